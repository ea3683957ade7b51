//! What is shown while a model or a set of pictures is downloaded.

use std::time::{Duration, Instant};

use models::Progress as Download;

/// Shows a download as a line every few seconds.
pub fn lines(say: &dyn Fn(&str)) -> impl FnMut(Download<'_>) {
    let mut last: Option<Instant> = None;
    move |download: Download<'_>| {
        if last.is_none_or(|at| at.elapsed() >= Duration::from_secs(3)) {
            last = Some(Instant::now());
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let (done, total) = (mib(download.done_bytes), mib(download.total_bytes));
            say(&format!("downloading {}: {done:.1} of {total:.1} MiB", download.file));
        }
    }
}
