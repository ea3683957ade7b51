//! Rates and consumption from counters: what samples say, and what they cannot.

use proptest::prelude::*;

use super::*;
use crate::analyse::window::Pacing;

const WINDOW: Window = Window { start_ns: 10_000_000_000, end_ns: 40_000_000_000, pacing: Pacing::Open };

fn counter(component: &str, pod: &str, points: &[(f64, f64)]) -> Series {
    Series {
        name: name::CPU.into(),
        title: String::new(),
        unit: "s".into(),
        kind: SeriesKind::Counter,
        window_s: None,
        query: String::new(),
        labels: [("component", component), ("pod", pod)].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        points: points.iter().map(|(at_s, value)| ((at_s * 1e9) as i64, *value)).collect(),
    }
}

fn all(series: Vec<Series>) -> CellSeries {
    CellSeries { series, ..CellSeries::default() }
}

fn used(points: &[(f64, f64)]) -> Option<f64> {
    usage_of(&all(vec![counter("function", "a", points)]), &WINDOW).cpu_seconds
}

fn close(found: Option<f64>, wanted: f64) {
    assert!(found.is_some_and(|found| (found - wanted).abs() < 1e-6), "{found:?} is not {wanted}");
}

#[test]
fn growth_is_read_off_between_samples_that_do_not_meet_the_edges() {
    // One core from 0 to 50 s, sampled every 15 s.
    close(used(&[(-10.0, 5.0), (5.0, 20.0), (20.0, 35.0), (35.0, 50.0), (50.0, 65.0)]), 30.0);
    // The last sample is not in yet: its pace goes on to the end.
    close(used(&[(-10.0, 5.0), (5.0, 20.0), (20.0, 35.0), (35.0, 50.0)]), 30.0);
    assert_eq!(used(&[]), None);
    assert_eq!(used(&[(-40.0, 1.0), (-25.0, 2.0)]), None, "nothing of it lies in the interval");
}

#[test]
fn a_container_that_began_anew_counts_from_zero() {
    close(used(&[(0.0, 100.0), (10.0, 110.0), (20.0, 4.0), (30.0, 14.0), (40.0, 24.0)]), 4.0 + 10.0 + 10.0);
}

#[test]
fn a_replica_that_came_within_the_interval_counts_with_what_it_used_before_its_first_sample() {
    close(used(&[(20.0, 5.0), (30.0, 15.0), (40.0, 25.0)]), 25.0);
    // A total of hours is not of the last ten seconds.
    close(used(&[(20.0, 5000.0), (30.0, 5010.0), (40.0, 5020.0)]), 30.0);
}

#[test]
fn a_replica_that_went_stops_counting_at_its_last_sample() {
    let gone = counter("function", "a", &[(0.0, 0.0), (10.0, 10.0), (15.0, 15.0)]);
    let stays = counter("function", "b", &[(0.0, 0.0), (10.0, 0.0), (20.0, 0.0), (30.0, 0.0), (40.0, 0.0)]);
    close(usage_of(&all(vec![gone, stays]), &WINDOW).cpu_seconds, 5.0);
}

#[test]
fn the_plane_is_everything_but_the_function() {
    let even = |component: &str, cores: f64| {
        counter(component, component, &[0.0, 15.0, 30.0, 45.0].map(|at| (at, at * cores)))
    };
    let series = all(vec![
        even("function", 1.0),
        even("queue-proxy", 0.25),
        even("activator", 0.5),
        even("ingress", 0.125),
        even("autoscaler", 9.0),
    ]);
    let usage = usage_of(&series, &WINDOW);
    close(usage.cpu_seconds, 30.0);
    close(usage.plane_cpu_seconds, 0.875 * 30.0);
    close(Some(usage.resolution_s), 15.0);
    assert!(usage.remark("kubelet", &WINDOW).contains("samples 15 s apart (50 % of the interval)"));
    let short = Window { end_ns: 20_000_000_000, ..WINDOW };
    assert!(usage.remark("kubelet", &short).contains("too short"));
}

#[test]
fn where_only_use_is_known_it_holds_until_the_next_figure() {
    let mut series = counter("function", "a", &[(0.0, 0.5), (25.0, 1.0), (50.0, 0.0)]);
    (series.name, series.kind) = (name::CPU_CORES.to_owned(), SeriesKind::Gauge);
    close(usage_of(&all(vec![series]), &WINDOW).cpu_seconds, 15.0 * 0.5 + 15.0);
}

#[test]
fn rates_of_several_replicas_add_up_where_they_overlap() {
    let mut series = [
        counter("", "a", &[(0.0, 0.0), (10.0, 100.0), (20.0, 100.0)]),
        counter("", "b", &[(5.0, 0.0), (15.0, 50.0)]),
    ];
    for one in &mut series {
        one.name = name::REQUESTS.to_owned();
    }
    let series = all(series.into());
    let expected = [(0.0, 5.0, 10.0), (5.0, 10.0, 15.0), (10.0, 15.0, 5.0), (15.0, 20.0, 0.0)];
    assert_eq!(rate(&series, name::REQUESTS), expected);
    close(growth(&series, name::REQUESTS, &Window { start_ns: 0, end_ns: 15_000_000_000, ..WINDOW }), 150.0);
}

#[test]
fn levels_below_zero_add_up_as_well() {
    let mut one = counter("", "a", &[(0.0, -200.0), (5.0, -100.0), (10.0, -100.0)]);
    one.kind = SeriesKind::Gauge;
    let mut two = counter("", "b", &[(0.0, 50.0), (5.0, 50.0)]);
    two.kind = SeriesKind::Gauge;
    assert_eq!(
        level(&all(vec![one, two]), name::CPU),
        [(0.0, 5.0, -150.0), (5.0, 10.0, -50.0), (10.0, 15.0, -100.0)]
    );
}

proptest! {
    #[test]
    fn what_adjoining_intervals_used_adds_up_to_what_both_used(
        steps in prop::collection::vec((0.5..20.0_f64, 0.0..30.0_f64), 3..12),
        cut in 0.05..0.95_f64,
    ) {
        let (mut at_s, mut total) = (-5.0, 1e6);
        let points: Vec<(f64, f64)> = steps.iter().map(|(gap, grown)| {
            (at_s, total) = (at_s + gap, total + grown);
            (at_s, total)
        }).collect();
        let series = all(vec![counter("function", "a", &points)]);
        let (from, to) = (points[0].0.max(0.0), points[points.len() - 1].0);
        prop_assume!(to > from + 0.1);
        let middle = from + (to - from) * cut;
        let of = |from: f64, to: f64| {
            let window = Window { start_ns: (from * 1e9) as u64, end_ns: (to * 1e9) as u64, ..WINDOW };
            usage_of(&series, &window).cpu_seconds.unwrap_or(0.0)
        };
        let whole = of(from, to);
        prop_assert!((of(from, middle) + of(middle, to) - whole).abs() < 1e-4 * whole.max(1.0));
        prop_assert!(whole >= 0.0 && whole <= total - 1e6 + 1e-6);
    }
}
