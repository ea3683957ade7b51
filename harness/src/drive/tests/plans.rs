//! Which endpoint and payload a call gets: by weight, by assignment, by the seed.

use super::{
    super::null_target::{self, NullOptions},
    *,
};

fn payloads(count: usize) -> Arc<[Payload]> {
    let payload = |size: usize| Payload {
        name: size.to_string(),
        content_type: String::new(),
        body: vec![b'x'; size].into(),
    };
    (0..count).map(payload).collect()
}

#[tokio::test]
async fn heavier_payloads_are_sent_more_often_and_the_same_ones_in_every_run() {
    let target = null_target::spawn(&NullOptions::default()).unwrap();
    let weights = [6.0, 0.0, 3.0, 1.0];
    let play_with = async |seed| {
        let weights = weights.into();
        let load = Load { payloads: payloads(4), weights, seed, ..load(&target.url(), closed(4, 2000)) };
        let (_, records) = play_to_the_end(load).await;
        records.iter().map(|record| (record.payload, record.bytes_sent)).collect::<Vec<_>>()
    };
    let sent = play_with(3).await;
    assert!(sent.iter().all(|&(payload, bytes)| u32::from(payload) == bytes));
    let chi2: f64 = (0..4u16)
        .filter(|&payload| weights[usize::from(payload)] > 0.0)
        .map(|payload| {
            let expected = 2000.0 * weights[usize::from(payload)] / 10.0;
            let found = sent.iter().filter(|&&(other, _)| other == payload).count() as f64;
            (found - expected).powi(2) / expected
        })
        .sum();
    assert!(sent.iter().all(|&(payload, _)| payload != 1), "a weight of nothing");
    // 2 degrees of freedom: 20 is exceeded 5 times in 10^5.
    assert!(chi2 < 20.0, "chi-squared {chi2}");
    assert_eq!(play_with(3).await, sent);
    assert_ne!(play_with(4).await, sent);
}

#[tokio::test]
async fn assigned_sends_go_where_the_schedule_says_and_the_rest_where_the_seed_does() {
    let targets: Vec<_> = (0..3).map(|_| null_target::spawn(&NullOptions::default()).unwrap()).collect();
    let load_with = |assigned| {
        let plan = Plan::Open { send_times_ns: (0..60).map(|send| send * 1_000_000).collect(), assigned };
        let mut load = Load { payloads: payloads(5), ..load(&targets[0].url(), plan) };
        load.endpoints
            .extend(targets[1..].iter().map(|target| Endpoint { url: target.url(), headers: vec![] }));
        load
    };
    let (_, drawn) = play_to_the_end(load_with(Vec::new())).await;
    let fixed: Vec<_> = (0..60u16)
        .map(|send| match send % 3 {
            0 => Assigned { endpoint: Some(send % 2), payload: Some(send % 5) },
            1 => Assigned { endpoint: None, payload: Some(4) },
            _ => Assigned::default(),
        })
        .collect();
    let (_, records) = play_to_the_end(load_with(fixed.clone())).await;
    for ((record, drawn), fixed) in records.iter().zip(&drawn).zip(fixed) {
        assert_eq!(record.endpoint, fixed.endpoint.unwrap_or(drawn.endpoint));
        assert_eq!(record.payload, fixed.payload.unwrap_or(drawn.payload));
        assert_eq!(record.bytes_sent, u32::from(record.payload));
    }
}

#[tokio::test]
async fn weights_and_assignments_that_do_not_fit_are_refused() {
    let refused = async |change: fn(&mut Load)| {
        let mut load = load("http://127.0.0.1:1/", constant(100.0, 2));
        change(&mut load);
        play(load, PlayOptions::default(), |_| Ok(()), Interrupt::never()).await.unwrap_err().to_string()
    };
    let messages = [
        refused(|load| load.weights = [1.0, 2.0].into()).await,
        refused(|load| load.weights = [0.0].into()).await,
        refused(|load| load.weights = [f64::NAN].into()).await,
        refused(|load| load.connections.pool = Some(0)).await,
        refused(|load| {
            load.plan = Plan::Open { send_times_ns: vec![0, 1], assigned: vec![Assigned::default()] };
        })
        .await,
        refused(|load| {
            let fixed = Assigned { endpoint: Some(0), payload: Some(1) };
            load.plan = Plan::Open { send_times_ns: vec![0, 1], assigned: vec![Assigned::default(), fixed] };
        })
        .await,
    ];
    insta::assert_snapshot!(messages.join("\n"), @r"
    this load cannot be played: it has 2 weights for 1 payloads; give one for each, or none
    this load cannot be played: its weights are not usable; give numbers from 0 up, at least one above 0
    this load cannot be played: its weights are not usable; give numbers from 0 up, at least one above 0
    this load cannot be played: its pool has no connections; choose at least one, or no limit
    this load cannot be played: it assigns 1 of 2 sends; assign each one, or none
    this load cannot be played: send 1 is assigned to an endpoint or payload that the load does not have (1 and 1 of them)
    ");
}
