//! One load from several generators: more than one machine can give, or one process.
//!
//! A [`Crew`] of workers, each this very binary, plays a [`Load`](super::Load) as if it were one
//! generator: [`Share`] divides the calls by their ids, [`clock`] finds how far each worker's clock is
//! off, all start at one instant, their records come while they play and go into one sink, and one
//! audit is made of all of theirs. Percentiles are never averaged: there is one set of records.
//!
//! Where workers come from is behind [`Workers`]: processes of this machine ([`Local`]), or pods of
//! a cluster (`platforms::cluster::workers`). They talk in frames over any line ([`messages`]).

pub mod clock;
mod crew;
mod local;
mod member;
mod merge;
mod messages;
mod plan_bytes;
mod report;
mod share;
#[cfg(test)]
mod tests;
mod wire;
mod worker;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

pub use crew::Crew;
pub use local::Local;
pub use report::WorkerReport;
pub use share::Share;
pub use worker::{MakeJudge, Served, Worker};

use super::{DriveError, GeneratorAudit, Load, PlayOptions, SinkError};
use crate::{interrupt::Interrupt, record::Record, secret::Secret};

/// Workers of a crew at most: their ids and lines must stay few.
pub const MOST_WORKERS: u32 = 256;

/// A line to a worker that has just been opened.
pub struct Line {
    /// What comes from it.
    pub input: Box<dyn AsyncRead + Send + Unpin>,
    /// What goes to it.
    pub output: Box<dyn AsyncWrite + Send + Unpin>,
    /// Where the worker is, in words: `process 4711 of this machine`.
    pub place: String,
    /// What the worker asks of whoever calls it.
    pub token: Secret,
    /// Knows why the worker ended, once it has; dropped when it is no longer needed.
    pub fate: Box<dyn Fate>,
}

/// Knows why a worker ended.
pub trait Fate: Send {
    /// Why, in words, if it can be found out soon.
    fn learn(&mut self) -> BoxFuture<'_, Option<String>>;
}

/// Where workers come from.
pub trait Workers: Send + Sync {
    /// Opens a line to a worker, which is started if it has to be.
    fn open(&self, share: Share) -> BoxFuture<'_, Result<Line, String>>;
}

/// Where a load comes from.
pub enum LoadFrom {
    /// A thread of this process.
    Here,
    /// Several workers.
    Crew(Crew),
}

impl LoadFrom {
    /// Plays a load: [`super::play`], or the same by several workers.
    ///
    /// # Errors
    /// As [`super::play`]; and when a worker cannot be had.
    pub async fn play<S>(
        &self,
        load: Load,
        options: PlayOptions,
        sink: S,
        interrupt: Interrupt,
    ) -> Result<GeneratorAudit, DriveError>
    where
        S: FnMut(&[Record]) -> Result<(), SinkError> + Send + 'static,
    {
        match self {
            Self::Here => super::play(load, options, sink, interrupt).await,
            Self::Crew(crew) => crew.play(load, options, sink, interrupt).await,
        }
    }
}

/// Why several workers could not play a load.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// The load cannot be given away.
    #[error("this load cannot be given to workers: {0}")]
    Load(String),
    /// A worker cannot be had.
    #[error("{worker} cannot be had: {cause}")]
    Open {
        /// Which.
        worker: String,
        /// Why, and what to do.
        cause: String,
    },
    /// A worker does not take its part.
    #[error("{worker} ({place}) did not take its part of the load: {cause}")]
    Prepare {
        /// Which.
        worker: String,
        /// Where it is.
        place: String,
        /// Why.
        cause: String,
    },
    /// None of them played.
    #[error("no worker could play the load: {cause}")]
    Play {
        /// What the first of them said.
        cause: String,
    },
}
