//! By how much the cluster's clock differs from this machine's, from the `Date` header of its API
//! server: whole seconds, so one answer bounds it within a second, and several bound it better.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::platforms::cluster::{Api, ApiError};

/// How often the server is asked.
const QUESTIONS: u32 = 6;
/// Pause between two questions that spreads them over a second, so that some come soon after the
/// server's second changed.
pub const PAUSE: Duration = Duration::from_millis(170);
/// Deadline of one question.
const LIMIT: Duration = Duration::from_secs(5);

/// This machine's wall clock, nanoseconds since the Unix epoch.
pub fn unix_now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

/// Bounds of the cluster's clock minus this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// At least, ms.
    pub low_ms: f64,
    /// At most, ms.
    pub high_ms: f64,
}

impl ClockOffset {
    /// What one answer tells. Its `Date` is the server's clock in whole seconds, rounded down, at
    /// some instant between `sent` and `received` (Unix times of this machine, ms):
    /// `date <= server < date + 1 s`, so `date - received <= offset < date + 1 s - sent`.
    pub fn of(date_s: u64, sent_ms: f64, received_ms: f64) -> Self {
        let server_ms = date_s as f64 * 1e3;
        Self { low_ms: server_ms - received_ms, high_ms: server_ms + 1e3 - sent_ms }
    }

    /// What both tell together. Bounds that exclude each other (a clock that was set meanwhile)
    /// give the wider view.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (low_ms, high_ms) = (self.low_ms.max(other.low_ms), self.high_ms.min(other.high_ms));
        if low_ms <= high_ms {
            Self { low_ms, high_ms }
        } else {
            Self { low_ms: self.low_ms.min(other.low_ms), high_ms: self.high_ms.max(other.high_ms) }
        }
    }

    /// The middle of the bounds, ms.
    pub fn middle_ms(self) -> f64 {
        f64::midpoint(self.low_ms, self.high_ms)
    }

    /// How far it may be from the middle, ms.
    pub fn uncertainty_ms(self) -> f64 {
        (self.high_ms - self.low_ms) / 2.0
    }

    /// The smallest difference that the bounds allow, ms: 0 if they hold 0.
    pub fn least_ms(self) -> f64 {
        self.low_ms.max(-self.high_ms).max(0.0)
    }

    /// In words.
    pub fn words(self) -> String {
        let ahead = if self.middle_ms() < 0.0 { "behind" } else { "ahead of" };
        format!(
            "the cluster's clock is {:.0} ms {ahead} this machine's, give or take {:.0} ms",
            self.middle_ms().abs(),
            self.uncertainty_ms()
        )
    }
}

/// Asks the API server a few times with a `pause` (see [`PAUSE`]) between.
///
/// # Errors
/// If it does not answer, or without a `Date`.
pub async fn offset(api: &Api, pause: Duration) -> Result<ClockOffset, ApiError> {
    let mut found = ask(api).await?;
    for _ in 1..QUESTIONS {
        tokio::time::sleep(pause).await;
        if let Ok(next) = ask(api).await {
            found = found.and(next);
        }
    }
    Ok(found)
}

async fn ask(api: &Api) -> Result<ClockOffset, ApiError> {
    let unreachable = |cause: String| ApiError::Unreachable { cause };
    let unreadable =
        |cause: &str| ApiError::Answer { what: "get /version".to_owned(), cause: cause.to_owned() };
    let body = kube::client::Body::empty();
    let request =
        hyper::Request::get("/version").body(body).map_err(|error| unreachable(error.to_string()))?;
    let sent_ms = unix_ms();
    let answer = tokio::time::timeout(LIMIT, api.client().send(request))
        .await
        .map_err(|_| unreachable(format!("no answer to get /version within {LIMIT:?}")))?
        .map_err(|error| unreachable(error.to_string()))?;
    let received_ms = unix_ms();
    let date = answer.headers().get(hyper::header::DATE).and_then(|date| date.to_str().ok());
    let date_s = date.and_then(http_date_s).ok_or_else(|| unreadable("it has no usable Date header"))?;
    Ok(ClockOffset::of(date_s, sent_ms, received_ms))
}

fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

/// Unix seconds of a date as HTTP writes it (RFC 9110, section 5.6.7, IMF-fixdate):
/// `Fri, 20 Nov 2026 23:56:57 GMT`.
fn http_date_s(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    unix_ns(&format!("{year}-{month:02}-{day:0>2}T{time}Z")).map(|ns| ns / 1_000_000_000)
}

/// Unix nanoseconds of a time as Kubernetes writes it: `2026-11-20T23:53:32Z`, with or without a
/// fraction.
pub fn unix_ns(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

#[cfg(test)]
/// A date as HTTP writes it, for test servers. The day's name is not read, so any will do.
pub(crate) fn http_date(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let (date, clock) = text.trim_end_matches('Z').split_once('T').unwrap();
    let parts: Vec<&str> = date.split('-').collect();
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        [parts[1].parse::<usize>().unwrap() - 1];
    format!("Mon, {} {month} {} {clock} GMT", parts[2], parts[0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::replay::{Exchange, Replay};

    #[test]
    fn dates_of_http_and_of_kubernetes_are_read_alike() {
        let same = unix_ns("2026-11-20T23:56:57Z").unwrap();
        assert_eq!(http_date_s("Fri, 20 Nov 2026 23:56:57 GMT"), Some(same / 1_000_000_000));
        assert_eq!(unix_ns("2026-11-20T23:53:32.011563Z").unwrap() % 1_000_000_000, 11_563_000);
        assert_eq!(http_date_s("yesterday"), None);
        assert_eq!(unix_ns(""), None);
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_widens_the_bounds() {
        let (a, b) =
            (ClockOffset { low_ms: 0.0, high_ms: 10.0 }, ClockOffset { low_ms: 500.0, high_ms: 600.0 });
        assert_eq!(a.and(b), ClockOffset { low_ms: 0.0, high_ms: 600.0 });
        assert!((b.least_ms() - 500.0).abs() < 1e-9 && a.least_ms().abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn the_bounds_hold_the_true_offset(
            offset_ms in -1e5..1e5_f64, starts in prop::collection::vec((1e9..1e9 + 1e4_f64, 0.1..50.0_f64, 0.0..1.0_f64), 1..9),
        ) {
            let bounds = starts.into_iter().map(|(sent, took, part)| {
                let server_s = (sent + took * part + offset_ms) / 1e3;
                ClockOffset::of(server_s as u64, sent, sent + took)
            });
            let found = bounds.reduce(ClockOffset::and).unwrap();
            prop_assert!(found.low_ms <= offset_ms + 1e-3 && offset_ms <= found.high_ms + 1e-3);
        }
    }

    #[tokio::test]
    async fn the_offset_of_a_server_ten_minutes_ahead_is_found_from_its_dates() {
        let ahead = SystemTime::now() + Duration::from_mins(10);
        let mut answer = Exchange::new("GET", "/version", 200, json!({}));
        answer.headers.push(("date".to_owned(), http_date(ahead)));
        let server = Replay::start([answer]).await;
        let offset = ask(&server.api()).await.unwrap();
        assert!((offset.middle_ms() - 600_000.0).abs() < 1500.0, "{offset:?}");
    }
}
