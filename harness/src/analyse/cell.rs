//! One cell in numbers: what its interval amounted to, and whether the instrument can be trusted.

use super::{
    machine, observed,
    resources::{Resources, resources},
    revisions::ByRevision,
    rows::Rows,
    series::{Binning, TimeBin, bin_s},
    sizes::{self, BySize},
    steady::{self, Watched},
    summary::{CellSummary, Problem, Validity},
    tally::{Counting, Tally, tally},
    times::Times,
    validity,
    window::Window,
};
use crate::{
    collect::timeline::FirstAnswers,
    experiment::Cell,
    outcome::ProcedureOutcome,
    record::{Outcome, Record},
    store::{CellData, CellMeta, CellState},
};

/// Sums up one cell. Says INVALID with reasons where the instrument failed, and remarks what the
/// platform did; never fails, whatever the data looks like.
pub fn cell<R: Rows>(data: CellData<R>) -> Examined {
    let (mut data, rows) = data.without_rows();
    let planned = Window::planned(&data.meta.cell.load);
    let mut reading = Reading::new(&data, planned);
    data.damage.extend(rows.scan(&mut |batch| reading.take(batch)));
    let window = Window::of_cell(&data, reading.counting.last_done_ns());
    if window != planned {
        // The interval ended earlier than it was to: what belongs to it is known only now.
        reading = Reading::new(&data, window);
        rows.scan(&mut |batch| reading.take(batch));
    }
    let summary = sum_up(&data, &window, &reading);
    let Reading { counting, binning, answers, .. } = reading;
    let times = counting.response_times().clone();
    let digest = Digest { bins: binning.finish(), times, answers, window };
    Examined { summary, digest: data.with(digest) }
}

/// What is kept of a cell's records once they are summed up, for plots and time lines.
#[derive(Debug, Clone)]
pub struct Digest {
    /// Response times and rates over time, in bins of [`super::series::bin_s`].
    pub bins: Vec<TimeBin>,
    /// Response times of the measured interval: correct answers and (censored) time-outs.
    pub times: Times,
    /// First answers of each instance.
    pub answers: FirstAnswers,
    /// The measured interval.
    pub window: Window,
}

/// A cell without its records.
pub type CellDigest = CellData<Digest>;

/// A cell that was examined.
#[derive(Debug, Clone)]
pub struct Examined {
    /// In numbers.
    pub summary: CellSummary,
    /// What plots are made from.
    pub digest: CellDigest,
}

/// Everything that one reading of a cell's records yields.
struct Reading {
    records: u64,
    counting: Counting,
    watched: Watched,
    by_revision: ByRevision,
    by_size: BySize,
    binning: Binning,
    answers: FirstAnswers,
    started_unix_ns: u64,
}

impl Reading {
    fn new(data: &CellData<()>, window: Window) -> Self {
        let CellMeta { cell, started_unix_ns, .. } = &data.meta;
        let mut answers = FirstAnswers::default();
        answers.load_begins(&cell.id, *started_unix_ns);
        Self {
            records: 0,
            counting: Counting::new(window),
            watched: Watched::new(window),
            by_revision: ByRevision::new(window, data.meta.revisions.clone()),
            by_size: BySize::new(window, &cell.load),
            binning: Binning::new(bin_s(&cell.load), window.pacing),
            answers,
            started_unix_ns: *started_unix_ns,
        }
    }

    fn take(&mut self, batch: &[Record]) {
        self.records += batch.len() as u64;
        for record in batch {
            self.counting.take(record);
            self.watched.take(record);
            self.by_revision.take(record);
            self.by_size.take(record);
            self.binning.take(record);
        }
        self.answers.take(self.started_unix_ns, batch);
    }
}

fn sum_up(data: &CellData<()>, window: &Window, reading: &Reading) -> CellSummary {
    let counts = reading.counting.finish();
    if let Some(outcome) = &data.outcome {
        return of_procedure(data, outcome, counts);
    }
    let mut used = resources(&data.samples, window);
    let observed = fill_in(&mut used, data, window);
    let course = steady::course(data, &reading.watched, &counts, &used);
    let mut remarks = Vec::new();
    remarks.extend(data.meta.remarks.iter().map(|remark| format!("collecting: {remark}.")));
    remarks.extend(cut_short(data, window));
    remarks.extend(course.remarks);
    remarks.extend(failures(&counts));
    remarks.extend(censoring(&counts));
    remarks.extend(observed);
    remarks.extend(data.meta.audit.iter().filter_map(validity::pool_waits));
    remarks.extend(data.meta.audit.iter().flat_map(machine::remarks));
    if used.restarts > 0 {
        remarks
            .push(format!("restarted: replicas that ended without having been told to: {}.", used.restarts));
    }
    if counts.cold_starts > 0 {
        remarks.push(format!("cold: answers that were an instance's first: {}.", counts.cold_starts));
    }
    let mut problems = validity::of_cell(data, reading.records, window, &counts);
    problems.extend(course.problem);
    let by_size = reading.by_size.finish();
    CellSummary {
        validity: Validity { problems },
        remarks,
        replicas: used.replicas,
        cpu_seconds: used.cpu_seconds,
        plane_cpu_seconds: used.plane_cpu_seconds,
        memory_bytes: used.memory_bytes,
        ready_after_ms: data.meta.ready_after_ms,
        by_revision: reading.by_revision.finish(),
        size_fit: sizes::fit(&by_size),
        by_size,
        ..summary(&data.meta.cell, counts)
    }
}

/// A cell whose procedure played loads of their own: what it found, and what may be held against it.
fn of_procedure(data: &CellData<()>, outcome: &ProcedureOutcome, counts: Tally) -> CellSummary {
    let mut problems = validity::of_procedure(data);
    problems.extend(outcome.problems());
    let mut remarks: Vec<String> =
        data.meta.remarks.iter().map(|remark| format!("collecting: {remark}.")).collect();
    remarks.extend(outcome.remarks());
    CellSummary {
        validity: Validity { problems },
        remarks,
        requests: outcome.requests(),
        ready_after_ms: data.meta.ready_after_ms,
        outcome: Some(outcome.clone()),
        ..summary(&data.meta.cell, counts)
    }
}

/// CPU and memory from what Prometheus or the kubelet saw, where the platform itself told none; says
/// what such figures can bear.
fn fill_in<R>(used: &mut Resources, data: &CellData<R>, window: &Window) -> Option<String> {
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
        inside_ms: counts.inside_ms,
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
        elasticity: None,
        outcome: None,
        by_size: Vec::new(),
        size_fit: None,
        events: None,
    }
}

fn cut_short<R>(data: &CellData<R>, window: &Window) -> Option<String> {
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
