//! The life of an idle instance: one request, then silence until no replica is ready any longer.
//!
//! The replicas are watched and never asked: a request would keep them alive.

use std::time::Duration;

use tokio::time::Instant;

use super::quiet::Quiet;
use crate::{analyse::eviction::Eviction, platforms::PlatformError, record::Outcome};

/// Distance of two looks at the replicas; they cost the platform nothing, being answered from a watch
/// (on a cluster) or by the data plane's control channel (on the twin). Tests do not wait so long.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 250 });
/// How long is waited for processes that are ending, once none is ready.
const ENDING: Duration = Duration::from_mins(2);

/// Asks once and waits, for as long as `at_most`.
pub(super) async fn eviction(stage: &mut impl Quiet, at_most: Duration) -> Eviction {
    let mut found = Eviction { resolution_s: LOOK.as_secs_f64(), ..Eviction::default() };
    let answered = match stage.ask(1).await {
        Ok(asked) if asked.rows.iter().any(|row| row.outcome == Outcome::Ok) => Instant::now(),
        Ok(_) => {
            found.failed = Some("the request before the silence was not answered correctly".to_owned());
            return found;
        }
        Err(error) => {
            found.failed = Some(format!("{error:#}"));
            return found;
        }
    };
    loop {
        let looked = Instant::now();
        let ready = stage.ready().await;
        found.idle_life_s = looked.duration_since(answered).as_secs_f64();
        if matches!(ready, Ok(0)) {
            break;
        }
        if looked.duration_since(answered) >= at_most {
            found.at_least = true;
            // It says so itself if it never would.
            if let Err(PlatformError::Limit { limit, .. }) = stage.zero(Duration::ZERO).await {
                found.limit = Some(limit);
            }
            found.failed = ready.err().map(|error| format!("the replicas cannot be watched: {error}"));
            return found;
        }
        if stage.is_interrupted() {
            found.failed = Some("interrupted".to_owned());
            return found;
        }
        tokio::time::sleep(LOOK).await;
    }
    if stage.zero(ENDING).await.is_ok() {
        found.gone_s = Some(answered.elapsed().as_secs_f64());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{
        analyse::testing::{answered, ms},
        platforms::ZeroProof,
        record::Record,
        runner::procedures::quiet::Asked,
    };

    /// A replica that goes after a while of silence, or never.
    struct Fake {
        dies_after: Option<Duration>,
        answers: bool,
        asked: Cell<u32>,
        since: Instant,
    }

    impl Quiet for Fake {
        async fn ask(&mut self, _: u64) -> anyhow::Result<Asked> {
            self.asked.set(self.asked.get() + 1);
            self.since = Instant::now();
            let outcome = if self.answers { Outcome::Ok } else { Outcome::Platform };
            let row = Record { outcome, ..answered(0, 0, ms(20)) };
            Ok(Asked { started_unix_ns: 0, rows: vec![row] })
        }

        async fn ready(&self) -> Result<u32, PlatformError> {
            Ok(u32::from(self.dies_after.is_none_or(|life| self.since.elapsed() < life)))
        }

        async fn zero(&self, _: Duration) -> Result<ZeroProof, PlatformError> {
            if self.dies_after.is_none() {
                let limit = "it keeps one replica".to_owned();
                return Err(PlatformError::Limit { platform: "openfaas", limit, remedy: String::new() });
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(ZeroProof { waited: Duration::ZERO, gone: Vec::new(), autoscaler: "0".into() })
        }

        fn is_interrupted(&self) -> bool {
            false
        }
    }

    fn fake(dies_after: Option<Duration>) -> Fake {
        Fake { dies_after, answers: true, asked: Cell::new(0), since: Instant::now() }
    }

    #[tokio::test]
    async fn the_silence_is_not_broken_and_the_life_ends_when_none_is_ready() {
        let mut stage = fake(Some(Duration::from_millis(60)));
        let found = eviction(&mut stage, Duration::from_mins(5)).await;
        assert!((0.059..5.0).contains(&found.idle_life_s), "{found:?}");
        assert!(found.gone_s.unwrap() >= found.idle_life_s + 0.029, "{found:?}");
        assert_eq!((found.at_least, found.failed, stage.asked.get()), (false, None, 1));
    }

    #[tokio::test]
    async fn a_replica_that_stays_gives_a_bound_and_its_reason() {
        let found = eviction(&mut fake(None), Duration::from_millis(50)).await;
        assert!(found.at_least && (0.05..5.0).contains(&found.idle_life_s), "{found:?}");
        assert_eq!(found.limit.as_deref(), Some("it keeps one replica"));
        assert_eq!(found.value_s(), Some(found.idle_life_s));
    }

    #[tokio::test]
    async fn without_an_answer_there_is_no_idle_instance() {
        let found = eviction(&mut Fake { answers: false, ..fake(None) }, Duration::from_secs(30)).await;
        assert_eq!(found.value_s(), None);
    }
}
