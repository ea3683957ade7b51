//! A sweep over numbers of connections: closed loops, one after another in an order that the seed gives.

use anyhow::Context;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{Stage, part::Rows};
use crate::{
    analyse::{tally::tally, window::Window},
    experiment::Arrivals,
    outcome::{ConcurrencyOutcome, PartFigures, ProcedureOutcome, concurrency::Step},
};

/// Plays every step, and keeps what was found after each.
pub(super) async fn sweep(stage: &mut Stage<'_>, connections: &[u32]) -> anyhow::Result<ConcurrencyOutcome> {
    let Arrivals::Closed { think_time, .. } = stage.cell.load.arrivals else {
        anyhow::bail!("a sweep over connections needs a closed loop");
    };
    let idle_ms = stage.idle_ms().await?.context("it does not answer single requests")?;
    // A fixed order would give each number of connections its own place in the life of a replica.
    let mut order: Vec<u32> = connections.to_vec();
    order.shuffle(&mut StdRng::seed_from_u64(stage.cell.seed));
    let mut outcome = ConcurrencyOutcome::default();
    for (i, &connections) in order.iter().enumerate() {
        stage.progress.now(&format!("{}: {connections} connections", stage.cell.id));
        let arrivals = Arrivals::Closed { connections, think_time };
        let part = stage.part(&format!("c{connections:03}"), u64::from(connections), arrivals);
        let rows = Rows::default();
        let audit = stage.play(&part, &rows, stage.run.interrupt.clone()).await?;
        if stage.is_interrupted() {
            break;
        }
        let counts = rows.with(|rows| tally(rows, &Window::planned(&part.load)));
        let figures = PartFigures::new(&part.id, &counts, &audit);
        let (goodput, failed) = (figures.goodput_rps, figures.failed);
        stage.progress.say(&format!(
            "  {}: {goodput:.1} correct answers/s, {failed} of {} failed",
            part.id, figures.requests
        ));
        outcome.steps.push(Step { connections, part: figures });
        outcome.finished = i + 1 == order.len();
        stage.keep(&ProcedureOutcome::Concurrency(outcome.clone()))?;
        if !outcome.finished && stage.calm(idle_ms).await?.is_none() && !stage.is_interrupted() {
            stage.remark(format!("after {connections} connections it did not become as quick as before"));
        }
    }
    Ok(outcome)
}
