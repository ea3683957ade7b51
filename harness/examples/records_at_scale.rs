//! Writes a run of many records, and reports how long its report takes and how much memory.
//!
//! ```sh
//! cargo run --release -p harness --example records_at_scale -- FOLDER RECORDS
//! ```
//! The run is made up (two subjects, Poisson arrivals, one trial); the way from records to report is
//! the one of every run: `RunFolder`, the Arrow stream, Parquet, analysis, pages, plots.

use std::{collections::BTreeMap, error::Error, path::Path, process::Command, time::Instant};

use harness::{
    drive::{GeneratorAudit, shapes},
    experiment::{self, Arrivals, Experiment, LoadPoint, Metric, Site},
    record::{Outcome, Record, ServerTimings},
    runner,
    store::{CellMeta, CellState, RunFolder, SCHEMA_VERSION},
};

/// Offered load of each cell, requests a second.
const RATE: f64 = 20_000.0;
/// Records that are written at once, as the player's batches.
const BATCH: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // A process of its own, so that its peak memory is that of the report alone.
        ["report", folder] => report(Path::new(folder)),
        [folder, records] => write_then_report(Path::new(folder), records.parse()?),
        _ => Err("give a new folder and the number of records, for example /tmp/scale 50000000".into()),
    }
}

fn write_then_report(folder: &Path, records: u64) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    write(folder, records)?;
    println!("written:  {records} records in {:.0} s", begun.elapsed().as_secs_f64());
    let status = Command::new(std::env::current_exe()?).arg("report").arg(folder.join("scale")).status()?;
    if status.success() { Ok(()) } else { Err("the report failed".into()) }
}

fn report(folder: &Path) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let finished = runner::rebuild(folder)?;
    let requests: u64 = finished.summary.cells.iter().map(|cell| cell.requests).sum();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown");
    println!("reported: {requests} requests in {:.1} s, {peak}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// A run of two cells, each with half of the records.
fn write(dir: &Path, records: u64) -> Result<(), Box<dyn Error>> {
    let seconds = (records as f64 / 2.0 / RATE).max(1.0);
    let load = LoadPoint {
        name: "poisson".into(),
        question: "How long does a report of many records take?".into(),
        primary_metric: Metric::ResponseP99Ms,
        arrivals: Arrivals::Poisson { rate: RATE },
        warmup: std::time::Duration::ZERO,
        duration: std::time::Duration::from_secs_f64(seconds),
        ..LoadPoint::default()
    };
    let experiment = Experiment { trials: 1, load: vec![load], ..Experiment::default_on(Site::Twin) };
    let folder = RunFolder::create(dir, "scale")?;
    let cells = experiment::expand(&experiment);
    folder.write_experiment(&experiment)?;
    folder
        .write_environment(&serde_json::json!({ "notices": ["Made up, to measure the report itself."] }))?;
    folder.write_plan(&cells)?;
    for cell in cells {
        let meta = CellMeta {
            schema_version: SCHEMA_VERSION,
            cell: cell.clone(),
            state: CellState::Running,
            started_unix_ns: 1,
            ready_after_ms: 1.0,
            settings: BTreeMap::default(),
            payloads: vec!["none".into()],
            audit: None,
            remarks: Vec::new(),
            revisions: BTreeMap::default(),
        };
        let writer = folder.cell_writer(meta)?;
        let window = cell.load.warmup + cell.load.duration;
        let harness::drive::Plan::Open { send_times_ns, .. } =
            shapes::plan(&cell.load.arrivals, &shapes::Files::default(), window, cell.seed)
        else {
            return Err("the plan is not open".into());
        };
        let instance: std::sync::Arc<str> = "pod-a/1".into();
        for (batch, times) in send_times_ns.chunks(BATCH).enumerate() {
            let row = |(i, at_ns): (usize, &u64)| made_up((batch * BATCH + i) as u64, *at_ns, &instance);
            writer.append(&times.iter().enumerate().map(row).collect::<Vec<_>>())?;
        }
        let sent = send_times_ns.len() as u64;
        let audit =
            GeneratorAudit { planned: sent, sent, threads: 1, cpu_share: 0.5, ..GeneratorAudit::default() };
        writer.finish(Some(audit), CellState::Done)?;
    }
    Ok(())
}

/// A request that took between one and some hundred milliseconds; one in a thousand timed out.
fn made_up(call_id: u64, at_ns: u64, instance: &std::sync::Arc<str>) -> Record {
    let bits = call_id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11;
    let unit = bits as f64 / (1u64 << 53) as f64;
    let took_ns = (1e6 * (1.0 - 5.0 * (1.0 - unit).ln())) as u64;
    let timed_out = bits.is_multiple_of(1000);
    Record {
        call_id,
        scheduled_ns: at_ns,
        sent_ns: at_ns + 40_000,
        connected_ns: Some(at_ns + 40_000),
        first_byte_ns: Some(at_ns + took_ns),
        done_ns: at_ns + 40_000 + took_ns,
        status: if timed_out { 0 } else { 200 },
        outcome: if timed_out { Outcome::Timeout } else { Outcome::Ok },
        bytes_sent: 100_000,
        bytes_received: 500,
        payload: 0,
        endpoint: 0,
        connection: (call_id % 64) as u32,
        instance: Some(instance.clone()),
        cold: false,
        server: Some(ServerTimings { total_us: (took_ns / 1000) as u32, ..ServerTimings::default() }),
    }
}
