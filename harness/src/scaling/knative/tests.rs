//! Each documented rule as an example, and the recorded time line replayed.

use proptest::prelude::*;

use super::*;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Target 2 at 70 %, as in the recording.
fn recorded_config() -> KpaConfig {
    KpaConfig { target: 2.0, max_scale: 10, ..KpaConfig::default() }
}

/// Runs the policy second by second from `from_s` to `to_s` with a load and pods that are ready at
/// once; returns each tick's time and decision.
fn play(kpa: &mut Kpa, span_s: std::ops::Range<u32>, load: f64, ready: &mut u32) -> Vec<(u32, Decision)> {
    let mut ticks = Vec::new();
    for second in span_s {
        let now = Duration::from_secs(u64::from(second));
        kpa.observe(now, load);
        if second % 2 == 0 {
            let decision = kpa.tick(now, *ready);
            *ready = decision.desired.unwrap_or(*ready);
            ticks.push((second, decision));
        }
    }
    ticks
}

#[test]
fn without_data_nothing_is_desired() {
    let mut kpa = Kpa::new(KpaConfig::default(), s(0.0));
    assert_eq!(kpa.tick(s(2.0), 1).desired, None);
}

#[test]
fn desired_is_the_stable_average_over_target_times_utilisation_rounded_up() {
    let mut kpa = Kpa::new(recorded_config(), s(0.0));
    kpa.observe(s(0.0), 5.7);
    // 5.7 / 1.4 = 4.07; four pods keep the panic threshold away.
    let decision = kpa.tick(s(0.5), 4);
    assert_eq!((decision.desired, decision.panic), (Some(5), false));
}

#[test]
fn panic_starts_at_twice_the_ready_pods_and_not_below() {
    let mut below = Kpa::new(recorded_config(), s(0.0));
    below.observe(s(0.0), 1.4 * 5.0);
    assert!(!below.tick(s(0.5), 3).panic, "5 wanted of 3 ready is 167 %");
    let mut at = Kpa::new(recorded_config(), s(0.0));
    at.observe(s(0.0), 1.4 * 6.0);
    assert!(at.tick(s(0.5), 3).panic, "6 wanted of 3 ready is 200 %");
}

#[test]
fn in_panic_it_never_scales_down_and_panic_ends_a_stable_window_after_its_last_cause() {
    let mut kpa = Kpa::new(recorded_config(), s(0.0));
    let mut ready = 1;
    let busy = play(&mut kpa, 0..10, 8.0, &mut ready);
    assert_eq!(busy.last().unwrap().1.desired, Some(6));
    // The last cause was at 0 s: from 2 s on six pods are ready.
    let quiet = play(&mut kpa, 10..80, 0.5, &mut ready);
    for (second, decision) in quiet {
        assert_eq!(decision.panic, second <= 60, "panic at {second} s");
        assert!(second > 60 || decision.desired == Some(6), "scaled down in panic at {second} s");
    }
    assert!(ready < 6);
}

#[test]
fn one_step_up_is_limited_by_the_rate() {
    let config = KpaConfig { max_scale_up_rate: 3.0, ..recorded_config() };
    let mut kpa = Kpa::new(config, s(0.0));
    kpa.observe(s(0.0), 100.0);
    assert_eq!(kpa.tick(s(0.5), 2).desired, Some(6));
}

#[test]
fn one_step_down_halves_at_most() {
    let mut kpa = Kpa::new(KpaConfig { min_scale: 0, ..recorded_config() }, s(0.0));
    kpa.observe(s(0.0), 0.1);
    assert_eq!(kpa.tick(s(0.5), 9).desired, Some(4));
}

#[test]
fn bounds_hold_and_equal_bounds_pin() {
    let mut kpa = Kpa::new(KpaConfig { min_scale: 3, max_scale: 3, ..recorded_config() }, s(0.0));
    assert_eq!(kpa.initial(), 3);
    let mut ready = 3;
    for (_, decision) in
        play(&mut kpa, 0..10, 500.0, &mut ready).into_iter().chain(play(&mut kpa, 10..200, 0.0, &mut 3))
    {
        assert_eq!(decision.desired, Some(3));
    }
}

#[test]
fn activation_scale_applies_while_there_is_any_traffic() {
    let mut kpa = Kpa::new(KpaConfig { activation_scale: 3, ..recorded_config() }, s(0.0));
    kpa.observe(s(0.0), 0.2);
    assert_eq!(kpa.tick(s(0.5), 3).desired, Some(3));
}

#[test]
fn a_scale_down_waits_for_the_delay() {
    let config = KpaConfig { scale_down_delay: s(20.0), min_scale: 1, window: s(6.0), ..recorded_config() };
    let mut kpa = Kpa::new(config, s(0.0));
    let mut ready = 4;
    play(&mut kpa, 0..10, 5.0, &mut ready);
    let ticks = play(&mut kpa, 10..60, 0.0, &mut ready);
    let first_down = ticks.iter().find(|(_, d)| d.desired < Some(4)).unwrap().0;
    // The averages stop wanting 4 pods within about two seconds; 20 s later it may act.
    assert!((26..=34).contains(&first_down), "went down at {first_down} s");
}

#[test]
fn zero_comes_right_after_the_window_where_the_activator_was_in_the_path_all_along() {
    let mut kpa = Kpa::new(recorded_config(), s(0.0));
    let mut ready = 1;
    play(&mut kpa, 0..100, 1.0, &mut ready);
    let ticks = play(&mut kpa, 100..200, 0.0, &mut ready);
    let zero = ticks.iter().find(|(_, d)| d.desired == Some(0)).unwrap().0;
    assert!((159..=162).contains(&zero), "zero at {zero} s");
}

#[test]
fn zero_waits_for_the_grace_where_the_activator_was_not_in_the_path() {
    let config = KpaConfig { target_burst_capacity: 0.0, ..recorded_config() };
    let mut kpa = Kpa::new(config, s(0.0));
    let mut ready = 1;
    let busy = play(&mut kpa, 0..100, 1.0, &mut ready);
    assert!(busy.iter().all(|(_, d)| !d.activator_in_path && d.excess_burst_capacity == 0));
    let ticks = play(&mut kpa, 100..220, 0.0, &mut ready);
    let zero = ticks.iter().find(|(_, d)| d.desired == Some(0)).unwrap().0;
    let joined = ticks.iter().find(|(_, d)| d.activator_in_path).unwrap().0;
    assert!((158..=162).contains(&joined), "activator joined at {joined} s");
    assert!((30..=32).contains(&(zero - joined)), "zero {} s later", zero - joined);
}

#[test]
fn the_last_pod_stays_for_the_retention_period() {
    let config = KpaConfig { pod_retention: s(40.0), ..recorded_config() };
    let mut kpa = Kpa::new(config, s(0.0));
    let mut ready = 1;
    play(&mut kpa, 0..100, 1.0, &mut ready);
    let ticks = play(&mut kpa, 100..260, 0.0, &mut ready);
    let zero = ticks.iter().find(|(_, d)| d.desired == Some(0)).unwrap().0;
    assert!((199..=202).contains(&zero), "zero at {zero} s");
}

#[test]
fn a_revision_is_not_scaled_to_zero_before_it_was_active_for_a_window() {
    let mut kpa = Kpa::new(recorded_config(), s(0.0));
    let ticks = play(&mut kpa, 0..60, 0.0, &mut 1);
    assert!(ticks.iter().all(|(_, d)| d.desired == Some(1)), "{ticks:?}");
}

#[test]
fn from_zero_the_first_request_brings_a_pod_and_restarts_the_window() {
    let mut kpa = Kpa::new(recorded_config(), s(0.0));
    let mut ready = 1;
    play(&mut kpa, 0..100, 0.0, &mut ready);
    assert_eq!(ready, 0);
    kpa.observe(s(130.2), 1.0);
    let poked = kpa.tick(s(130.2), 0);
    assert_eq!(poked.desired, Some(1));
    assert!(poked.activator_in_path);
    ready = 1;
    let ticks = play(&mut kpa, 131..240, 0.0, &mut ready);
    let zero = ticks.iter().find(|(_, d)| d.desired == Some(0)).unwrap().0;
    assert!((190..=193).contains(&zero), "zero at {zero} s");
}

#[test]
fn the_activator_stands_in_the_path_while_spare_capacity_is_below_the_target_burst_capacity() {
    let decide = |burst: f64, ready: u32, load: f64| {
        let config = KpaConfig { target_burst_capacity: burst, ..KpaConfig::default() };
        let mut kpa = Kpa::new(config, s(0.0));
        kpa.observe(s(0.0), load);
        let decision = kpa.tick(s(0.5), ready);
        (decision.excess_burst_capacity, decision.activator_in_path)
    };
    // Pods x 100 - 211 - load.
    assert_eq!(decide(211.0, 2, 8.0), (-19, true));
    assert_eq!(decide(211.0, 3, 8.0), (81, false));
    assert_eq!(decide(0.0, 1, 8.0), (0, false));
    assert_eq!(decide(0.0, 0, 1.0), (0, true), "no pods: always");
    assert_eq!(decide(-1.0, 50, 0.5), (-1, true), "-1: always");
}

#[test]
fn settings_outside_knatives_ranges_are_refused_with_the_range() {
    let mut config = KpaConfig::default();
    for (key, value) in [
        ("target", "0"),
        ("window", "5s"),
        ("autoscaling.knative.dev/window", "2h"),
        ("panic-threshold-percentage", "100"),
        ("activation-scale", "1"),
        ("min-scale", "1"),
        ("metric", "rps"),
        ("no-such", "1"),
    ] {
        assert!(config.set(key, value).is_err(), "{key} = {value}");
    }
    assert_eq!(config, KpaConfig::default());
    config.set("autoscaling.knative.dev/window", "6s").unwrap();
    assert_eq!(config.panic_window(), Duration::from_millis(600));
    insta::assert_snapshot!(config.set("window", "5s").unwrap_err(), @"window = 5s: write 6s to 1h");
}

struct Sample {
    at_s: f64,
    desired: i64,
    ready: u32,
    stable: f64,
    panic: f64,
    in_panic: bool,
    excess: i64,
}

fn recording() -> Vec<Sample> {
    let text = include_str!("../../../tests/fixtures/kpa-step-load.txt");
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let v: Vec<f64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        Sample {
            at_s: v[0],
            desired: v[1] as i64,
            ready: v[2] as u32,
            stable: v[3],
            panic: v[4],
            in_panic: v[5] > 0.0,
            excess: v[6] as i64,
        }
    })
    .collect()
}

/// Connections of the recorded closed loop, which are its concurrency, averaged over one second.
fn recorded_load(second: u32) -> f64 {
    let steps = [(0.0, 60.1, 2.0), (60.1, 150.12, 12.0), (150.12, 250.14, 2.0)];
    let (from, to) = (f64::from(second), f64::from(second + 1));
    steps.iter().map(|&(a, b, n)| n * (to.min(b) - from.max(a)).max(0.0)).sum()
}

/// The recorded averages and ready pods go in; wish, panic and burst capacity must come out as
/// recorded, each within 2.5 s: a tick of 2 s whose phase the recording does not tell, and its
/// sampling of 1 s.
#[test]
fn the_recorded_averages_give_the_recorded_decisions() {
    let recorded = recording();
    let mut kpa = Kpa::new(recorded_config(), s(0.0));
    let mut model = Vec::new();
    // The recorder's first row comes before the autoscaler's first data.
    for pair in recorded.windows(2).filter(|pair| pair[0].desired >= 0).step_by(2) {
        // The wish made the pods that the same row shows, so the pods come from the row before.
        let (ready, row) = (pair[0].ready, &pair[1]);
        model.push((row.at_s, kpa.decide(s(row.at_s), ready, row.stable, row.panic)));
    }
    let near = |at_s: f64| model.iter().filter(move |(t, _)| (t - at_s).abs() <= 2.5).map(|(_, d)| d);
    let mut checked = 0;
    for row in recorded.iter().filter(|r| r.desired >= 0) {
        let at = row.at_s;
        assert!(
            near(at).any(|d| d.desired == Some(row.desired as u32)),
            "desired at {at} s: {}",
            row.desired
        );
        // The recorder's first data already came in panic, 1 s before this replay could see it.
        assert!(near(at).any(|d| d.panic == row.in_panic) || at < 62.0, "panic at {at} s: {}", row.in_panic);
        assert!(near(at).any(|d| (d.excess_burst_capacity - row.excess).abs() <= 2), "burst at {at} s");
        checked += 1;
    }
    assert!(checked > 300, "only {checked} rows");
}

/// The stated load goes in; both averages must follow the recorded ones. In a step the recorded
/// ones run up to a second ahead or behind (scrape phase), which is worth 1/6 of the step of 10 in
/// the panic window and 1/60 in the stable one.
#[test]
fn the_stated_load_gives_the_recorded_averages() {
    let mut kpa = Kpa::new(recorded_config(), s(0.0));
    let mut model = Vec::new();
    for second in 0..360u32 {
        let now = s(f64::from(second) + 0.5);
        kpa.observe(now, recorded_load(second));
        model.push((f64::from(second) + 1.0, kpa.tick(now, 1)));
    }
    for row in recording().iter().filter(|r| r.at_s > 3.0) {
        let mut near = model.iter().filter(|(t, _)| (t - row.at_s).abs() <= 2.5).map(|(_, d)| d);
        let close = near.clone().any(|d| (d.panic_concurrency - row.panic).abs() < 10.0 / 6.0);
        assert!(close, "panic average at {} s: {}", row.at_s, row.panic);
        let close = near.any(|d| (d.stable_concurrency - row.stable).abs() < 10.0 / 60.0 + 0.05);
        assert!(close, "stable average at {} s: {}", row.at_s, row.stable);
    }
}

/// The same load against pods that become ready one second after they are wanted: the whole
/// feedback loop, compared by its landmarks.
#[test]
fn the_landmarks_of_the_recording_appear_when_the_loop_is_closed() {
    let mut kpa = Kpa::new(recorded_config(), s(0.0));
    let mut wanted = 1;
    let mut log = Vec::new();
    for second in 0..360u32 {
        let ready = wanted;
        let now = Duration::from_secs(u64::from(second));
        kpa.observe(now, recorded_load(second));
        if second % 2 == 1 {
            let decision = kpa.tick(now, ready);
            wanted = decision.desired.unwrap_or(wanted);
            log.push((second, decision));
        }
    }
    let first = |from: u32, wanted: u32| {
        log.iter().find(|(at, d)| *at >= from && d.desired == Some(wanted)).map_or(u32::MAX, |(at, _)| *at)
    };
    let first_up = |wanted| {
        log.iter().find(|(at, d)| *at >= 60 && d.desired >= Some(wanted)).map_or(u32::MAX, |(at, _)| *at)
    };
    assert!(first(0, 2) <= 3, "2 connections: 2 pods within 3 s");
    // A tick of 2 s either way: which one sees the step first is a matter of phase.
    for (wanted, recorded) in [(5, 63), (8, 65), (9, 67)] {
        let at = first_up(wanted);
        assert!(at.abs_diff(recorded) <= 2, "{wanted} pods at {at} s, recorded {recorded} s");
    }
    assert!(log.iter().all(|(_, d)| d.desired <= Some(9)), "ceil(12 / 1.4) is the most");
    let panic_end = log.iter().find(|(at, d)| *at > 70 && !d.panic).unwrap().0;
    assert!((118..=128).contains(&panic_end), "panic ends about 60 s after its last cause: {panic_end}");
    for (wanted, recorded) in [(8, 157), (7, 165), (6, 173), (5, 181), (4, 189), (3, 197), (2, 207)] {
        let at = first(150, wanted);
        assert!(at.abs_diff(recorded) <= 3, "{wanted} pods at {at} s, recorded {recorded} s");
    }
    assert!(first(250, 1).abs_diff(269) <= 3, "1 pod at {}", first(250, 1));
    assert!(first(250, 0).abs_diff(311) <= 3, "0 pods at {}", first(250, 0));
}

proptest! {
    #[test]
    fn wishes_stay_within_bounds_and_panic_never_lowers_them(
        loads in prop::collection::vec(0.0..200.0f64, 1..300), min in 0u32..4, extra in 0u32..20
    ) {
        let config = KpaConfig { min_scale: min, max_scale: min + extra + 1, ..recorded_config() };
        let mut kpa = Kpa::new(config, s(0.0));
        let mut ready = min.max(1);
        let mut last = None;
        for (second, load) in loads.iter().enumerate() {
            let now = Duration::from_secs(second as u64);
            kpa.observe(now, *load);
            let decision = kpa.tick(now, ready);
            let desired = decision.desired.unwrap();
            prop_assert!((min..=min + extra + 1).contains(&desired));
            if let Some((true, before)) = last && decision.panic {
                prop_assert!(desired >= before);
            }
            last = Some((decision.panic, desired));
            ready = desired;
        }
    }
}
