//! Checks of load points that are more than one load, and of swept bodies.

use super::{Arrivals, Experiment, LoadPoint, Metric, PayloadChoice, Procedure, file::Checks};

/// Connections of a step at most.
const MAX_CONNECTIONS: u32 = 10_000;
/// Largest body, bytes: what the function takes unless its MAX_BODY_BYTES says otherwise.
const MAX_BODY_BYTES: u64 = 10 << 20;

/// Everything of this page, for the load point at position `i`.
pub(super) fn problems(list: &mut Checks, i: &str, e: &Experiment, load: &LoadPoint) {
    figure(list, i, load);
    match &load.procedure {
        Procedure::Capacity { slo, precision } => {
            let place = ["load", i, "procedure"];
            if let Some(problem) = slo.problem() {
                list.check(false, &place, problem);
            }
            list.check(
                slo.limit_ms < e.timeout.as_secs_f64() * 1e3,
                &place,
                &format!(
                    "the limit of {} ms is not below the time-out; raise timeout (--timeout)",
                    slo.limit_ms
                ),
            );
            list.check((0.01..=0.5).contains(precision), &place, "precision must be between 0.01 and 0.5");
            list.check(
                matches!(load.arrivals, Arrivals::Poisson { .. }),
                &["load", i, "arrivals"],
                "a search for the capacity needs Poisson arrivals; their rate is where it begins",
            );
        }
        Procedure::Concurrency { connections } => {
            let sensible = |n: &u32| (1..=MAX_CONNECTIONS).contains(n);
            list.check(
                !connections.is_empty() && connections.iter().all(sensible),
                &["load", i, "procedure"],
                &format!("connections must be a list of numbers between 1 and {MAX_CONNECTIONS}"),
            );
            list.check(
                matches!(load.arrivals, Arrivals::Closed { .. }),
                &["load", i, "arrivals"],
                "a sweep over connections needs a closed loop; its own number of connections is not used",
            );
        }
        Procedure::Play | Procedure::Cold { .. } | Procedure::Eviction { .. } => {}
    }
    let reads_files = e.function.own.is_some() || matches!(&*e.function.workload, "classify" | "null");
    list.check(
        reads_files || !matches!(&load.payload, Some(PayloadChoice::Files { .. })),
        &["load", i, "payload"],
        "this workload makes its own requests; leave the files out, or name your own function in [function.own]",
    );
    if let Some(PayloadChoice::Sizes { bytes }) = &load.payload {
        let place = ["load", i, "payload"];
        list.check(
            !bytes.is_empty() && bytes.iter().all(|size| (1..=MAX_BODY_BYTES).contains(size)),
            &place,
            &format!("bytes must be a list of numbers between 1 and {MAX_BODY_BYTES}"),
        );
        list.check(
            e.function.workload == "null" && e.function.own.is_none(),
            &place,
            "random bytes mean something to the workload null alone; set function.workload = \"null\"",
        );
    }
}

/// A search or a sweep gives one figure of its own, and nothing else gives it.
fn figure(list: &mut Checks, i: &str, load: &LoadPoint) {
    let of_procedure = match &load.procedure {
        Procedure::Play => None,
        Procedure::Capacity { .. } => Some(Metric::CapacityRps),
        Procedure::Concurrency { .. } => Some(Metric::PeakGoodputRps),
        Procedure::Cold { .. } => Some(Metric::ColdStartMs),
        Procedure::Eviction { .. } => Some(Metric::IdleLifeS),
    };
    let asked = load.primary_metric;
    let is_of_some = matches!(
        asked,
        Metric::CapacityRps | Metric::PeakGoodputRps | Metric::ColdStartMs | Metric::IdleLifeS
    );
    let key = |metric: Metric| serde_json::to_value(metric).unwrap_or_default();
    match of_procedure {
        Some(own) if own != asked => list.check(
            false,
            &["load", i, "primary-metric"],
            &format!("this procedure gives {} alone; write {}", own.title(), key(own)),
        ),
        None if is_of_some => list.check(
            false,
            &["load", i, "primary-metric"],
            &format!("{} comes from a procedure of its own; name it, or use --question", asked.title()),
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_a_search_or_a_sweep_cannot_use_is_named_with_the_remedy() {
        let load = |rest: &str| {
            let metric = [("'capacity'", "capacity_rps"), ("'concurrency'", "peak_goodput_rps")]
                .into_iter()
                .find_map(|(kind, metric)| rest.contains(kind).then_some(metric))
                .unwrap_or("goodput_rps");
            format!(
                "[[load]]\nname = 'a'\nquestion = 'q'\nprimary-metric = '{metric}'\nwarmup = '1s'\nduration = '5s'\n{rest}"
            )
        };
        let poisson = "arrivals = { kind = 'poisson', rate = 5.0 }";
        let closed = "arrivals = { kind = 'closed', connections = 1 }";
        let texts = [
            format!("{closed}\nprocedure = {{ kind = 'capacity', precision = 0.1 }}"),
            format!("{poisson}\nprocedure = {{ kind = 'capacity', precision = 0.0 }}"),
            format!(
                "{poisson}\nprocedure = {{ kind = 'capacity', precision = 0.1, slo = {{ limit-ms = 60000.0 }} }}"
            ),
            format!(
                "{poisson}\nprocedure = {{ kind = 'capacity', precision = 0.1, slo = {{ quantile = 99.0 }} }}"
            ),
            format!("{poisson}\nprocedure = {{ kind = 'concurrency', connections = [1] }}"),
            format!("{closed}\nprocedure = {{ kind = 'concurrency', connections = [1, 0] }}"),
            format!("{closed}\npayload = {{ kind = 'sizes', bytes = [1024] }}"),
            format!("{closed}\npayload = {{ kind = 'sizes', bytes = [] }}"),
        ];
        let messages = texts.map(|text| parse(&load(&text), "x.toml").unwrap_err().to_string());
        insta::assert_snapshot!(messages.join("\n"), @r#"
        x.toml:7:12: load.0.arrivals: a search for the capacity needs Poisson arrivals; their rate is where it begins
        x.toml:8:13: load.0.procedure: precision must be between 0.01 and 0.5
        x.toml:8:13: load.0.procedure: the limit of 60000 ms is not below the time-out; raise timeout (--timeout)
        x.toml:8:13: load.0.procedure: the percentile must be between p50 and p99.99
        x.toml:7:12: load.0.arrivals: a sweep over connections needs a closed loop; its own number of connections is not used
        x.toml:8:13: load.0.procedure: connections must be a list of numbers between 1 and 10000
        x.toml:8:11: load.0.payload: random bytes mean something to the workload null alone; set function.workload = "null"
        x.toml:8:11: load.0.payload: bytes must be a list of numbers between 1 and 10485760
        "#);
    }

    #[test]
    fn a_procedure_and_the_figure_it_gives_belong_together() {
        let text = |metric: &str, rest: &str| {
            let text = format!(
                "[[load]]\nname = 'a'\nquestion = 'q'\nprimary-metric = '{metric}'\nwarmup = '1s'\nduration = '5s'\n\
                 arrivals = {{ kind = 'closed', connections = 1 }}\n{rest}"
            );
            parse(&text, "x.toml").map(|_| ()).map_err(|error| error.to_string())
        };
        let sweep = "procedure = { kind = 'concurrency', connections = [1] }";
        assert_eq!(text("peak_goodput_rps", sweep), Ok(()));
        insta::assert_snapshot!(text("goodput_rps", sweep).unwrap_err(), @r#"x.toml:4:18: load.0.primary-metric: this procedure gives highest goodput (correct answers/s) alone; write "peak_goodput_rps""#);
        insta::assert_snapshot!(text("cold_start_ms", "").unwrap_err(), @"x.toml:4:18: load.0.primary-metric: cold start (ms) comes from a procedure of its own; name it, or use --question");
    }
}
