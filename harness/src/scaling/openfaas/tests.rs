//! Each documented consequence as an example, and the recorded time line replayed.

use proptest::prelude::*;

use super::*;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Plays a success rate over time in steps of 100 ms; returns each change as (seconds, replicas).
fn play(
    config: AlertConfig,
    phases: (f64, f64),
    until_s: f64,
    rate_at: impl Fn(f64) -> f64,
) -> Vec<(f64, u32)> {
    let mut scaler = CeAutoscaler::new(config, s(0.0), s(phases.0), s(phases.1));
    let mut changes = vec![(0.0, scaler.desired())];
    let mut served = 0.0;
    for step in 0..(until_s * 10.0) as u32 {
        let at = f64::from(step) / 10.0;
        served += rate_at(at) / 10.0;
        let desired = scaler.advance(s(at), served as u64);
        if changes.last().unwrap().1 != desired {
            changes.push((at, desired));
        }
    }
    changes
}

fn load_for(seconds: f64, rate: f64) -> impl Fn(f64) -> f64 {
    move |at| if at < seconds { rate } else { 0.0 }
}

/// The recording does not tell the phase of Prometheus's evaluation; its first rise (seen at 32 s)
/// puts it between 11 s and 12 s after the start. Samples are 2 to 3 s apart, so that is the
/// tolerance.
#[test]
fn the_recorded_time_line_is_reproduced() {
    let text = include_str!("../../../tests/fixtures/openfaas-scale-timeline.txt");
    let recorded: Vec<(f64, u32)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split(' ');
            (fields.next().unwrap().parse().unwrap(), fields.next().unwrap().parse().unwrap())
        })
        .collect();
    let model = play(AlertConfig::default(), (1.5, 11.5), 180.0, load_for(120.0, 1000.0));
    let model_at = |at: f64| model.iter().rfind(|(t, _)| *t <= at).unwrap().1;
    for (at, replicas) in &recorded {
        let near = [at - 3.0, *at, at + 3.0].map(|t| model_at(t.max(0.0)));
        assert!(near.contains(replicas), "{replicas} replicas at {at} s; the model has {near:?}");
    }
    assert_eq!(model.iter().map(|c| c.1).collect::<Vec<_>>(), [1, 2, 3, 4, 1]);
    assert!(recorded.len() > 70);
}

#[test]
fn the_first_rise_comes_between_20_and_45_seconds_whatever_the_phases() {
    for scrape in [0.3, 2.2, 4.9] {
        for evaluation in 1..15 {
            let phases = (scrape, f64::from(evaluation) - 0.1);
            let changes = play(AlertConfig::default(), phases, 60.0, load_for(60.0, 100.0));
            let (at, replicas) = changes[1];
            assert!((20.0..=45.0).contains(&at) && replicas == 2, "{changes:?} with {phases:?}");
        }
    }
}

#[test]
fn one_to_five_replicas_takes_more_than_two_minutes_and_stops_there() {
    let changes = play(AlertConfig::default(), (1.5, 11.5), 400.0, load_for(400.0, 100.0));
    assert_eq!(changes.iter().map(|c| c.1).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(changes[4].0 > 120.0, "{changes:?}");
}

#[test]
fn at_five_or_fewer_successes_a_second_it_never_scales() {
    let changes = play(AlertConfig::default(), (1.5, 11.5), 600.0, |_| 5.0);
    assert_eq!(changes, [(0.0, 1)]);
    let changes = play(AlertConfig::default(), (1.5, 11.5), 600.0, |_| 6.0);
    assert_eq!(changes.last().unwrap().1, 5);
}

#[test]
fn equal_bounds_switch_it_off() {
    let config = AlertConfig { min: 2, max: 2, ..AlertConfig::default() };
    assert_eq!(play(config, (1.5, 11.5), 300.0, load_for(150.0, 100.0)), [(0.0, 2)]);
}

#[test]
fn a_resolved_alert_drops_straight_to_min() {
    let config = AlertConfig { factor_percent: 50.0, ..AlertConfig::default() };
    let changes = play(config, (1.5, 11.5), 160.0, load_for(90.0, 100.0));
    assert_eq!(changes.iter().map(|c| c.1).collect::<Vec<_>>(), [1, 4, 5, 1]);
}

#[test]
fn a_firing_adds_the_rounded_up_share_of_max() {
    let step = |max, factor_percent| AlertConfig { max, factor_percent, ..AlertConfig::default() }.step();
    assert_eq!([step(5, 10.0), step(5, 20.0), step(5, 21.0), step(5, 100.0), step(5, 0.0)], [1, 1, 2, 5, 0]);
}

#[test]
fn a_peak_shorter_than_two_evaluations_does_not_fire() {
    let changes = play(AlertConfig::default(), (1.5, 11.5), 120.0, load_for(13.0, 100.0));
    assert_eq!(changes, [(0.0, 1)]);
}

#[test]
fn a_second_load_after_the_resolution_starts_a_new_group() {
    let twice = |at: f64| if at < 60.0 || (150.0..210.0).contains(&at) { 100.0 } else { 0.0 };
    let changes = play(AlertConfig::default(), (1.5, 11.5), 300.0, twice);
    assert_eq!(changes.iter().map(|c| c.1).collect::<Vec<_>>(), [1, 2, 1, 2, 1]);
}

#[test]
fn labels_that_the_community_edition_refuses_are_refused() {
    let mut config = AlertConfig::default();
    for (key, value) in [
        ("com.openfaas.scale.zero", "true"),
        ("com.openfaas.scale.zero-duration", "5m"),
        ("com.openfaas.scale.target", "50"),
        ("com.openfaas.scale.type", "cpu"),
        ("com.openfaas.scale.max", "6"),
        ("com.openfaas.scale.factor", "101"),
        ("evaluation-interval", "0s"),
    ] {
        assert!(config.set(key, value).is_err(), "{key} = {value}");
    }
    assert_eq!(config, AlertConfig::default());
    config.set("com.openfaas.scale.factor", "20").unwrap();
    assert!((config.factor_percent - 20.0).abs() < f64::EPSILON);
}

proptest! {
    #[test]
    fn replicas_stay_within_bounds_whatever_the_load(
        rates in prop::collection::vec(0.0..50.0f64, 1..30), min in 1u32..=5, extra in 0u32..5,
        scrape in 0.0..5.0f64, evaluation in 0.0..15.0f64, factor_percent in 0.0..100.0f64
    ) {
        let max = (min + extra).min(MAX_REPLICAS);
        let config = AlertConfig { min, max, factor_percent, ..AlertConfig::default() };
        let until_s = rates.len() as f64 * 10.0;
        let changes = play(config, (scrape, evaluation), until_s, |at| rates[(at / 10.0) as usize]);
        prop_assert!(changes.iter().all(|(_, n)| (min..=max).contains(n)), "{changes:?}");
    }
}
