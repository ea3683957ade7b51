//! One cell in numbers: what its interval amounted to, and whether the instrument can be trusted.

use super::{
    machine, observed,
    resources::{Resources, resources},
    revisions::by_revision,
    steady,
    summary::{CellSummary, Problem, Validity},
    tally::{Tally, tally},
    validity,
    window::Window,
};
use crate::{
    experiment::Cell,
    record::Outcome,
    store::{CellData, CellState},
};

/// Sums up one cell. Says INVALID with reasons where the instrument failed, and remarks what the
/// platform did; never fails, whatever the data looks like.
pub fn cell(data: &CellData) -> CellSummary {
    let window = Window::of_cell(data);
    let counts = tally(&data.records, &window);
    let mut used = resources(&data.samples, &window);
    let observed = fill_in(&mut used, data, &window);
    let course = steady::course(data, &window, &counts, &used);
    let mut remarks = Vec::new();
    remarks.extend(data.meta.remarks.iter().map(|remark| format!("collecting: {remark}.")));
    remarks.extend(cut_short(data, &window));
    remarks.extend(course.remarks);
    remarks.extend(failures(&counts));
    remarks.extend(censoring(&counts));
    remarks.extend(observed);
    remarks.extend(data.meta.audit.iter().flat_map(machine::remarks));
    if used.restarts > 0 {
        remarks
            .push(format!("restarted: replicas that ended without having been told to: {}.", used.restarts));
    }
    if counts.cold_starts > 0 {
        remarks.push(format!("cold: answers that were an instance's first: {}.", counts.cold_starts));
    }
    let mut problems = validity::of_cell(data, &window, &counts);
    problems.extend(course.problem);
    CellSummary {
        validity: Validity { problems },
        remarks,
        replicas: used.replicas,
        cpu_seconds: used.cpu_seconds,
        plane_cpu_seconds: used.plane_cpu_seconds,
        memory_bytes: used.memory_bytes,
        ready_after_ms: data.meta.ready_after_ms,
        by_revision: by_revision(&data.records, &window, &data.meta.revisions),
        ..summary(&data.meta.cell, counts)
    }
}

/// CPU and memory from what Prometheus or the kubelet saw, where the platform itself told none; says
/// what such figures can bear.
fn fill_in(used: &mut Resources, data: &CellData, window: &Window) -> Option<String> {
    let series = data.series.as_ref()?;
    let usage = observed::usage_of(series, window);
    let fills = used.cpu_seconds.is_none() && usage.cpu_seconds.is_some();
    used.cpu_seconds = used.cpu_seconds.or(usage.cpu_seconds);
    used.plane_cpu_seconds = used.plane_cpu_seconds.or(usage.plane_cpu_seconds);
    used.memory_bytes = used.memory_bytes.or(usage.memory_bytes);
    fills.then(|| usage.remark(&series.source, window))
}

/// A planned cell of which nothing was found.
pub(super) fn missing(planned: &Cell) -> CellSummary {
    let mut summary =
        summary(planned, tally(&[], &Window { end_ns: 0, start_ns: 0, ..Window::planned(&planned.load) }));
    summary.validity.problems.push(Problem {
        reason: "The cell was planned and was not measured.".into(),
        remedy: "Run the experiment to its end; it stopped before this cell.".into(),
    });
    summary
}

fn summary(cell: &Cell, counts: Tally) -> CellSummary {
    CellSummary {
        id: cell.id.clone(),
        subject: cell.subject.clone(),
        trial: cell.trial,
        load: cell.load.name.clone(),
        arrivals: cell.load.arrivals.clone(),
        validity: Validity::default(),
        remarks: Vec::new(),
        window_s: counts.window_s,
        requests: counts.requests,
        offered_rps: counts.offered_rps,
        achieved_rps: counts.achieved_rps,
        goodput_rps: counts.goodput_rps,
        outcomes: counts.outcomes,
        response_ms: counts.response_ms,
        service_ms: counts.service_ms,
        failure_ms: counts.failure_ms,
        lateness_ms: counts.lateness_ms,
        connect_ms: counts.connect_ms,
        server_ms: counts.server_ms,
        upload_bytes_per_s: counts.upload_bytes_per_s,
        download_bytes_per_s: counts.download_bytes_per_s,
        cold_starts: counts.cold_starts,
        instances: counts.instances,
        replicas: None,
        cpu_seconds: None,
        plane_cpu_seconds: None,
        memory_bytes: None,
        ready_after_ms: 0.0,
        by_revision: Vec::new(),
    }
}

fn cut_short(data: &CellData, window: &Window) -> Option<String> {
    let planned = Window::planned(&data.meta.cell.load);
    let cut = data.meta.state != CellState::Done || !data.damage.is_empty();
    (cut && window.end_ns < planned.end_ns).then(|| {
        format!(
            "cut short: the interval ends at the last record, after {:.1} s of {:.1} s; requests in flight then are missing.",
            window.seconds(),
            planned.seconds()
        )
    })
}

fn failures(counts: &Tally) -> Option<String> {
    if counts.failures() == 0 {
        return None;
    }
    let by_outcome: Vec<String> = Outcome::ALL
        .iter()
        .filter(|&&o| o != Outcome::Ok && counts.count(o) > 0)
        .map(|&o| format!("{} {}", counts.count(o), o.name()))
        .collect();
    let share = 100.0 * counts.failures() as f64 / counts.requests as f64;
    Some(format!("failures: {share:.1} % of {} requests ({}).", counts.requests, by_outcome.join(", ")))
}

fn censoring(counts: &Tally) -> Option<String> {
    let names: Vec<&str> =
        counts.response_ms.lower_bounds.iter().map(String::as_str).filter(|n| n.starts_with('p')).collect();
    (!names.is_empty()).then(|| {
        format!(
            "time-outs: {} of the response time are lower bounds; the true values are longer.",
            names.join(", ")
        )
    })
}

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
