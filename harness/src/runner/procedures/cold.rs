//! Cold starts: wait for zero replicas, prove it, send one request; and the same request warm.

use std::{collections::BTreeSet, time::Duration};

use super::quiet::{Asked, Quiet};
use crate::{
    analyse::cold::{Class, ColdStart, ColdStarts, classify, identity},
    platforms::{PlatformError, ZeroProof},
    record::{Outcome, Record},
};

/// The same request warm, right after each start: so many times, one after another.
const WARM: u64 = 5;

/// Measures so many cold starts, one after another. What cannot be done ends it and is said in what it
/// returns; starts that were measured until then are kept.
pub(super) async fn cold(stage: &mut impl Quiet, starts: u32, zero_within: Duration) -> ColdStarts {
    let mut found = ColdStarts { planned: starts, ..ColdStarts::default() };
    let mut seen = BTreeSet::new();
    // Whoever is alive now shows the boot id that must not come back.
    if stage.ready().await.is_ok_and(|ready| ready > 0)
        && let Ok(asked) = stage.ask(1).await
    {
        note(&mut seen, &asked.rows);
    }
    while found.starts.len() < starts as usize {
        if stage.is_interrupted() {
            found.stopped = Some("interrupted".to_owned());
            break;
        }
        let zero = match stage.zero(zero_within).await {
            Ok(zero) => zero,
            Err(PlatformError::Limit { limit, .. }) => {
                found.limit = Some(limit);
                break;
            }
            Err(error) => {
                found.stopped = Some(error.to_string());
                break;
            }
        };
        let start = match stage.ask(1).await {
            Ok(asked) => first(zero, &asked, &mut seen),
            Err(error) => Err(format!("{error:#}")),
        };
        match start {
            Ok(mut start) => {
                if start.class != Class::Unproved {
                    start.warm_ms = warm(stage, &mut seen).await;
                }
                found.starts.push(start);
            }
            Err(why) => {
                found.stopped = Some(why);
                break;
            }
        }
    }
    found
}

/// The request after zero.
fn first(zero: ZeroProof, asked: &Asked, seen: &mut BTreeSet<String>) -> Result<ColdStart, String> {
    let record = asked.rows.first().ok_or("no request was sent after zero replicas")?;
    let (class, why) = classify(record, &zero, seen);
    note(seen, &asked.rows);
    Ok(ColdStart {
        zero,
        class,
        why,
        replica: identity(record).map(|(replica, _)| replica.to_owned()),
        sent_unix_ns: asked.started_unix_ns + record.scheduled_ns,
        response_ms: ms(record.response_ns()),
        server_ms: record.server.map(|server| f64::from(server.total_us) / 1e3),
        warm_ms: Vec::new(),
    })
}

async fn warm(stage: &mut impl Quiet, seen: &mut BTreeSet<String>) -> Vec<f64> {
    let Ok(asked) = stage.ask(WARM).await else { return Vec::new() };
    note(seen, &asked.rows);
    // A replica that another one joined meanwhile may answer its first request here.
    let warm = asked.rows.iter().filter(|row| row.outcome == Outcome::Ok && !row.cold);
    warm.map(|row| ms(row.response_ns())).collect()
}

fn note(seen: &mut BTreeSet<String>, rows: &[Record]) {
    seen.extend(rows.iter().filter_map(identity).map(|(_, boot)| boot.to_owned()));
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::testing::{answered, ms};

    /// A platform that starts a new process for the first request after zero.
    struct Fake {
        boot: u32,
        alive: bool,
        calls: Vec<String>,
        zeros: std::cell::RefCell<Vec<Result<ZeroProof, PlatformError>>>,
    }

    fn zero() -> ZeroProof {
        ZeroProof { waited: Duration::from_secs(6), gone: Vec::new(), autoscaler: "0".into() }
    }

    impl Quiet for Fake {
        async fn ask(&mut self, requests: u64) -> anyhow::Result<Asked> {
            self.calls.push(format!("ask {requests}"));
            let is_cold = !self.alive;
            self.boot += u32::from(is_cold);
            self.alive = true;
            let row = |i| Record {
                instance: Some(format!("pod-{0}/b{0}", self.boot).into()),
                cold: is_cold && i == 0,
                ..answered(i, ms(3), ms(if is_cold { 800 } else { 20 }))
            };
            Ok(Asked { started_unix_ns: 1_000_000_000, rows: (0..requests).map(row).collect() })
        }

        async fn ready(&self) -> Result<u32, PlatformError> {
            Ok(u32::from(self.alive))
        }

        async fn zero(&self, _: Duration) -> Result<ZeroProof, PlatformError> {
            self.zeros.borrow_mut().pop().unwrap_or_else(|| Ok(zero()))
        }

        fn is_interrupted(&self) -> bool {
            false
        }
    }

    fn fake(zeros: Vec<Result<ZeroProof, PlatformError>>) -> Fake {
        Fake { boot: 1, alive: true, calls: Vec::new(), zeros: zeros.into() }
    }

    #[tokio::test]
    async fn a_platform_that_keeps_its_replica_alive_yields_no_cold_start() {
        let mut stage = fake(Vec::new());
        // Zero is claimed, but the same process answers.
        let found = cold(&mut stage, 2, Duration::ZERO).await;
        assert_eq!((found.starts.len(), found.count(Class::Warm), found.median_ms()), (2, 2, None));
        assert!(found.starts[0].why.contains("had answered before"));
    }

    #[tokio::test]
    async fn each_start_is_proved_and_followed_by_the_same_request_warm() {
        let mut stage = Fake { alive: false, ..fake(Vec::new()) };
        let found = cold(&mut stage, 1, Duration::ZERO).await;
        let start = &found.starts[0];
        assert_eq!((start.class, start.replica.as_deref()), (Class::Cold, Some("pod-2")));
        assert_eq!((start.response_ms, start.sent_unix_ns), (800.0, 1_003_000_000));
        assert_eq!((start.server_ms, start.warm_ms.as_slice()), (Some(18.0), [20.0; 5].as_slice()));
        assert_eq!(stage.calls, ["ask 1", "ask 5"], "nothing else is sent: it would keep the replica alive");
    }

    #[tokio::test]
    async fn a_platforms_limit_is_no_failure_and_a_failure_keeps_what_was_measured() {
        let limit = || PlatformError::Limit {
            platform: "openfaas",
            limit: "does not scale to zero".into(),
            remedy: String::new(),
        };
        let found = cold(&mut fake(vec![Err(limit())]), 3, Duration::ZERO).await;
        assert_eq!((found.limit.as_deref(), found.stopped), (Some("does not scale to zero"), None));

        let late = || PlatformError::Control { platform: "knative", cause: "not at zero after 9 s".into() };
        // Popped from the end.
        let mut stage = Fake { alive: false, ..fake(vec![Err(late()), Ok(zero())]) };
        let found = cold(&mut stage, 3, Duration::ZERO).await;
        assert_eq!((found.starts.len(), found.limit), (1, None));
        assert!(found.stopped.unwrap().contains("not at zero after 9 s"));
    }
}
