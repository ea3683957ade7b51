//! Waiting, without a request, until the twin's last replica has gone.

use std::time::{Duration, Instant};

use super::{Step, Twin};
use crate::platforms::{PlatformError, PlatformKind, ZeroProof};

/// How often the plane is asked when it does not report by itself: the end of a process is no news
/// of the routing.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until no replica process is left, those that were told to end included, and none is wanted.
pub(super) async fn wait(twin: &Twin, limit: Duration) -> Result<ZeroProof, PlatformError> {
    refuse(twin)?;
    let plane = twin.plane.as_ref().ok_or_else(|| twin.control("nothing is deployed".to_owned()))?;
    let started = Instant::now();
    let before = twin.lives().1.len();
    loop {
        let state = twin.state().await?;
        if state.ready == 0 && state.desired == 0 && state.pids.is_empty() {
            let news = twin.lives().1;
            let gone = news.iter().skip(before).filter(|one| one.step == Step::Gone);
            return Ok(ZeroProof {
                waited: started.elapsed(),
                gone: gone.map(|one| one.replica.clone()).collect(),
                autoscaler: "the twin's autoscaler wants 0, and no replica process is left".to_owned(),
            });
        }
        if started.elapsed() >= limit {
            return Err(twin.control(format!(
                "it is not at zero after {} s: {} replicas are wanted, {} processes are left; allow more time \
                 (zero-within), or a shorter window in its settings",
                limit.as_secs(),
                state.desired,
                state.pids.len()
            )));
        }
        let change =
            plane.wait_for(|news| news.state.as_ref().is_some_and(|(_, now)| now.ready != state.ready));
        let _ = tokio::time::timeout(LOOK, change).await;
    }
}

/// What never goes to zero says so at once.
fn refuse(twin: &Twin) -> Result<(), PlatformError> {
    let limit = |limit: String, remedy: &str| {
        Err(PlatformError::Limit { platform: twin.kind.name(), limit, remedy: remedy.to_owned() })
    };
    match (twin.kind, twin.life.min_replicas) {
        (PlatformKind::Knative, 0) => Ok(()),
        (PlatformKind::Knative, kept) => {
            limit(format!("it keeps {kept} replicas, so it never scales to zero"), "set replicas.min to 0")
        }
        _ => {
            limit("the Community Edition does not scale to zero".to_owned(), "measure cold starts on knative")
        }
    }
}
