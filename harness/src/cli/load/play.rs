//! Plays the load with progress on the screen, keeps its records, and sums them up.

use std::{
    fs,
    io::IsTerminal,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::{super::CliError, output, request::Request, source::Source};
use crate::{
    analyse::{
        summary::{ThresholdResult, Validity},
        tally::{Counting, Tally},
        thresholds::{self, Figures},
        validity,
    },
    drive::{DriveError, GeneratorAudit, PlayOptions, Progress},
    interrupt::Interrupt,
    record::Record,
    runner::live::{self, Live},
    screen::note,
    store::{self, RecordFile},
};

/// How often the bar moves.
const BAR_TICK: Duration = Duration::from_millis(200);

/// How often a line is printed where there is no terminal.
const LINE_TICK: Duration = Duration::from_secs(5);

/// What was measured.
pub(super) struct Measured {
    pub(super) counts: Tally,
    pub(super) validity: Validity,
    pub(super) audit: GeneratorAudit,
    pub(super) thresholds: Vec<ThresholdResult>,
}

/// Plays it to its end, or to Ctrl-C.
pub(super) fn play(request: &Request) -> Result<Measured, CliError> {
    let mut file = request.save.as_deref().map(begin_folder).transpose()?;
    let counting = Arc::new(Mutex::new(Counting::new(request.window())));
    let rows = Arc::clone(&counting);
    let mut keep = move |batch: &[Record]| {
        let mut counting = rows.lock().unwrap_or_else(PoisonError::into_inner);
        batch.iter().for_each(|record| counting.take(record));
        match &mut file {
            Some(file) => file.append(batch).map_err(Into::into),
            None => Ok(()),
        }
    };
    let options = PlayOptions { core: request.core, ..PlayOptions::default() };
    let progress = Arc::clone(&options.progress);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start: free memory or open files")?;
    let audit = runtime.block_on(async {
        let interrupt = Interrupt::on_signals().map_err(DriveError::from).map_err(refused)?;
        let source = Source::start(request).await?;
        let (load, live) = (request.load(), live_screen(request));
        let length = request.duration.map(|duration| request.warmup + duration);
        let watch = live.as_ref().map(Live::watch).unwrap_or_default();
        let count = watch.begin(&load.plan, length, &progress);
        let sink = move |batch: &[Record]| {
            count.take(batch);
            keep(batch)
        };
        let audit = match source.accepts(&load.endpoints) {
            Ok(()) => tokio::select! {
                audit = source.play(load, options, sink, interrupt) => audit.map_err(refused),
                never = show(request, &progress, live.is_some()) => match never {},
            },
            Err(error) => Err(error),
        };
        source.end().await;
        audit
    })?;
    let mut counting = counting.lock().unwrap_or_else(PoisonError::into_inner);
    if audit.interrupted || request.duration.is_none() {
        let ended_ns = counting.last_done_ns().saturating_add(1);
        counting.until(ended_ns.min(request.window().end_ns));
    }
    let counts = counting.finish();
    drop(counting);
    let problems = validity::of_generator(&counts, &audit);
    let validity = Validity { problems };
    let figures = Figures::from(&counts);
    let judged = request.thresholds.iter();
    let thresholds = judged.map(|t| thresholds::of_interval(t, figures, validity.is_valid())).collect();
    let measured = Measured { counts, validity, audit, thresholds };
    if let Some(folder) = &request.save {
        let result = folder.join("load.json");
        fs::write(&result, output::json(request, &measured))
            .with_context(|| format!("{} cannot be written; free space", result.display()))?;
        let stream = folder.join("records.arrows");
        store::write_parquet(&stream, &folder.join("records.parquet"))
            .context("the records were not converted")?;
    }
    Ok(measured)
}

fn refused(error: DriveError) -> CliError {
    match error {
        DriveError::Url { .. } | DriveError::Core { .. } | DriveError::Load(_) => {
            CliError::Usage(error.to_string())
        }
        other => CliError::Failed(other.into()),
    }
}

/// Makes the folder of `--save`, which must not hold a measurement already.
pub(super) fn begin_folder(folder: &Path) -> Result<RecordFile, CliError> {
    fs::create_dir_all(folder).map_err(|error| {
        CliError::Usage(format!(
            "--save {} cannot be made ({error}); choose another folder",
            folder.display()
        ))
    })?;
    let stream = folder.join("records.arrows");
    if stream.exists() {
        return Err(CliError::Usage(format!(
            "--save {} holds a measurement already; choose another folder",
            folder.display()
        )));
    }
    RecordFile::create(&stream).map_err(|error| CliError::Failed(error.into()))
}

/// The live screen, where one is wanted and there is a terminal for it.
fn live_screen(request: &Request) -> Option<Live> {
    if request.quiet || !request.live || !live::is_possible() {
        return None;
    }
    let length = request.duration.map(|duration| request.warmup + duration);
    let live = Live::start(&request.endpoint.url, length)?;
    live.doing(&output::arrived(request));
    Some(live)
}

/// Shows on stderr how far it has come, for as long as it is polled, unless a live screen does.
async fn show(request: &Request, progress: &Progress, live: bool) -> std::convert::Infallible {
    if request.quiet || live {
        std::future::pending::<()>().await;
    }
    let window_ms = request.duration.map(|duration| (request.warmup + duration).as_millis() as u64);
    let total = request.requests.or(window_ms).unwrap_or(0);
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::new(total) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {msg}, {eta} left") {
        bar.set_style(style);
    }
    let mut ticks = tokio::time::interval(if terminal { BAR_TICK } else { LINE_TICK });
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let elapsed_ms = progress.elapsed_ns().unwrap_or(0) / 1_000_000;
        let (sent, ended) = (progress.sent.load(Relaxed), progress.ended.load(Relaxed));
        let failed = progress.failed.load(Relaxed);
        let done = if request.requests.is_some() { ended } else { elapsed_ms };
        let message = format!("{sent} sent, {} under way, {failed} failed", sent.saturating_sub(ended));
        if terminal {
            bar.set_position(done.min(total));
            bar.set_message(message);
        } else {
            let left_s = window_ms.map(|window_ms| window_ms.saturating_sub(elapsed_ms) / 1000);
            let left = left_s.map_or(String::new(), |left_s| format!(", {left_s} s left"));
            note!("{:>4} s: {message}{left}", elapsed_ms / 1000);
        }
    }
}
