//! The settings: environment variables, read once into a validated type.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::cgroup;
use crate::events::config::EventConfig;
use crate::storage;
use crate::workloads::{Kind, grade, logger, pdf};

/// Requests that may wait for each inference thread, unless `QUEUE_LIMIT` says otherwise. At
/// MobileNetV2's cost the last in the queue then waits about half a second.
pub const QUEUE_PER_THREAD: usize = 32;

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `PORT`; 0 takes a free one.
    pub port: u16,
    /// `BIND`: the address to listen on.
    pub bind: IpAddr,
    /// `WORKLOAD`.
    pub workload: Kind,
    /// `MODEL`: a name in the manifest; none for the first that is found.
    pub model: Option<String>,
    /// `MODELS_DIR`: where model files are looked for first.
    pub models_dir: Option<PathBuf>,
    /// `INFERENCE_THREADS`: requests computed at the same time, each on one thread.
    pub inference_threads: usize,
    /// `QUEUE_LIMIT`: requests that may wait for a thread.
    pub queue_limit: usize,
    /// `HTTP_WORKERS`: threads that read requests and write answers.
    pub http_workers: usize,
    /// `MAX_BODY_BYTES`.
    pub max_body_bytes: usize,
    /// `MAX_PIXELS` of a picture.
    pub max_pixels: u64,
    /// `DRAIN_SECONDS`: how long newly arriving requests are still served after SIGTERM.
    pub drain: Duration,
    /// `GRACE_SECONDS`: from SIGTERM to the end, at most.
    pub grace: Duration,
    /// `INSTANCE_ID`, else `HOSTNAME`.
    pub instance_id: Option<String>,
    /// `S3_...`: the object storage that inputs may lie in.
    pub storage: Option<storage::Settings>,
    /// Whether and how answers become events.
    pub events: EventConfig,
    /// What the workload `logger` keeps.
    pub logger: logger::Settings,
    /// What the workloads `grade-c` and `grade-python` read.
    pub grade: grade::settings::Settings,
    /// What the workload `pdf` reads.
    pub pdf: pdf::settings::Settings,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}={value}: expected {expected}")]
pub struct ConfigError {
    name: &'static str,
    value: String,
    expected: String,
}

impl ConfigError {
    /// A bad value, and what would be a good one.
    pub fn new(name: &'static str, value: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { name, value: value.into(), expected: expected.into() }
    }
}

impl Config {
    /// Reads the environment of the process.
    ///
    /// # Errors
    /// The first bad value, with what is expected instead.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads settings from `lookup`; an empty value counts as none.
    ///
    /// # Errors
    /// The first bad value, with what is expected instead.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let read = Reader { lookup };
        let inference_threads = match read.text("INFERENCE_THREADS") {
            Some(_) => read.number("INFERENCE_THREADS", 1..=256, 1)?,
            None => cgroup::usable_cpus(),
        };
        let drain = read.seconds("DRAIN_SECONDS", 3.0)?;
        let grace = read.seconds("GRACE_SECONDS", drain.as_secs_f64().max(30.0))?;
        if grace < drain {
            return Err(ConfigError::new(
                "GRACE_SECONDS",
                grace.as_secs_f64().to_string(),
                format!("at least DRAIN_SECONDS, which is {}", drain.as_secs_f64()),
            ));
        }
        let workload = read.parsed("WORKLOAD", &format!("one of: {}", Kind::names()), Kind::default())?;
        Ok(Self {
            port: read.number("PORT", 0..=u16::MAX, 8080)?,
            bind: read.parsed("BIND", "an IP address, such as 127.0.0.1", Ipv4Addr::UNSPECIFIED.into())?,
            workload,
            model: read.text("MODEL"),
            models_dir: read.text("MODELS_DIR").map(PathBuf::from),
            inference_threads,
            queue_limit: read.number("QUEUE_LIMIT", 0..=100_000, QUEUE_PER_THREAD * inference_threads)?,
            http_workers: read.number("HTTP_WORKERS", 1..=64, 1)?,
            max_body_bytes: read.number("MAX_BODY_BYTES", 1..=1 << 30, 10 << 20)?,
            max_pixels: read.number("MAX_PIXELS", 1..=1_000_000_000, 50_000_000)?,
            drain,
            grace,
            instance_id: read.instance_id()?,
            storage: storage::Settings::from_lookup(&read.lookup)?,
            events: EventConfig::read(&read, workload != Kind::Logger)?,
            logger: logger::Settings::read(&read)?,
            grade: grade::settings::Settings::read(&read)?,
            pdf: pdf::settings::Settings::read(&read)?,
        })
    }
}

/// Reads values and checks them, for this file and for the workloads' own settings.
pub(crate) struct Reader<L> {
    lookup: L,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        expected: &str,
        default: T,
    ) -> Result<T, ConfigError> {
        self.text(name).map_or(Ok(default), |value| {
            value.trim().parse().map_err(|_| ConfigError::new(name, value, expected))
        })
    }

    pub(crate) fn number<T>(
        &self,
        name: &'static str,
        range: RangeInclusive<T>,
        default: T,
    ) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let value = self.parsed(name, &expected, default)?;
        if range.contains(&value) {
            Ok(value)
        } else {
            Err(ConfigError::new(name, value.to_string(), expected))
        }
    }

    pub(crate) fn seconds(&self, name: &'static str, default: f64) -> Result<Duration, ConfigError> {
        let expected = "seconds from 0 to 3600";
        let value = self.parsed(name, expected, default)?;
        if (0.0..=3600.0).contains(&value) {
            Ok(Duration::from_secs_f64(value))
        } else {
            Err(ConfigError::new(name, value.to_string(), expected))
        }
    }

    /// The name goes into a header, so it is held to what a header can carry.
    fn instance_id(&self) -> Result<Option<String>, ConfigError> {
        let fits = |id: &String| id.len() <= 253 && id.bytes().all(|byte| byte.is_ascii_graphic());
        match self.text("INSTANCE_ID") {
            Some(id) if fits(&id) => Ok(Some(id)),
            Some(id) => Err(ConfigError::new("INSTANCE_ID", id, "up to 253 visible ASCII characters")),
            None => Ok(self.text("HOSTNAME").filter(fits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn complaint(settings: &[(&str, &str)]) -> String {
        config(settings).unwrap_err().to_string()
    }

    #[test]
    fn without_settings_the_documented_defaults_hold() {
        let config = config(&[]).unwrap();
        assert_eq!((config.port, config.bind.to_string().as_str()), (8080, "0.0.0.0"));
        assert_eq!(config.max_body_bytes, 10_485_760);
        assert_eq!(config.max_pixels, 50_000_000);
        assert_eq!(config.queue_limit, 32 * config.inference_threads);
        assert_eq!((config.drain.as_secs(), config.grace.as_secs()), (3, 30));
        assert_eq!((config.workload, config.model, config.instance_id), (Kind::Classify, None, None));
    }

    #[test]
    fn values_are_taken_and_empty_ones_ignored() {
        let config = config(&[
            ("PORT", "0"),
            ("BIND", "::1"),
            ("MODEL", ""),
            ("MODELS_DIR", "weights"),
            ("INFERENCE_THREADS", "3"),
            ("DRAIN_SECONDS", "0.25"),
            ("INSTANCE_ID", "pod-7"),
            ("HOSTNAME", "other"),
        ])
        .unwrap();
        assert_eq!((config.port, config.bind.to_string().as_str()), (0, "::1"));
        assert_eq!((config.model, config.models_dir), (None, Some("weights".into())));
        assert_eq!((config.inference_threads, config.queue_limit), (3, 96));
        assert_eq!(config.drain, Duration::from_millis(250));
        assert_eq!(config.instance_id.as_deref(), Some("pod-7"));
    }

    #[test]
    fn the_host_name_is_the_instance_unless_one_is_given() {
        assert_eq!(config(&[("HOSTNAME", "pod-1")]).unwrap().instance_id.as_deref(), Some("pod-1"));
        assert_eq!(config(&[("HOSTNAME", "no header\n")]).unwrap().instance_id, None);
    }

    #[test]
    fn a_bad_value_is_named_with_its_remedy() {
        assert_eq!(complaint(&[("PORT", "http")]), "PORT=http: expected a whole number from 0 to 65535");
        assert_eq!(complaint(&[("PORT", "70000")]), "PORT=70000: expected a whole number from 0 to 65535");
        assert_eq!(complaint(&[("BIND", "home")]), "BIND=home: expected an IP address, such as 127.0.0.1");
        assert_eq!(
            complaint(&[("WORKLOAD", "dance")]),
            format!("WORKLOAD=dance: expected one of: {}", Kind::names())
        );
        assert_eq!(
            complaint(&[("INFERENCE_THREADS", "0")]),
            "INFERENCE_THREADS=0: expected a whole number from 1 to 256"
        );
        assert_eq!(
            complaint(&[("DRAIN_SECONDS", "-1")]),
            "DRAIN_SECONDS=-1: expected seconds from 0 to 3600"
        );
        assert_eq!(
            complaint(&[("DRAIN_SECONDS", "nan")]),
            "DRAIN_SECONDS=NaN: expected seconds from 0 to 3600"
        );
        assert_eq!(
            complaint(&[("GRACE_SECONDS", "1"), ("DRAIN_SECONDS", "2")]),
            "GRACE_SECONDS=1: expected at least DRAIN_SECONDS, which is 2"
        );
        assert_eq!(
            complaint(&[("INSTANCE_ID", "two words")]),
            "INSTANCE_ID=two words: expected up to 253 visible ASCII characters"
        );
        assert!(
            complaint(&[("MAX_BODY_BYTES", "0")]).starts_with("MAX_BODY_BYTES=0: expected a whole number")
        );
        assert!(complaint(&[("MAX_PIXELS", "many")]).starts_with("MAX_PIXELS=many: expected a whole number"));
        assert!(complaint(&[("QUEUE_LIMIT", "-1")]).starts_with("QUEUE_LIMIT=-1: expected a whole number"));
        assert!(complaint(&[("HTTP_WORKERS", "0")]).starts_with("HTTP_WORKERS=0: expected a whole number"));
    }
}
