//! The settings of events, read from the same environment as all others.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::backoff::Backoff;
use super::binding::OWN;
use crate::config::{ConfigError, Reader};

/// When an event is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// There are no events.
    #[default]
    Off,
    /// Beside the answer, which waits for nothing.
    Background,
    /// Before the answer, which waits for the event's fate and is given whatever that is.
    Inline,
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "off" => Ok(Self::Off),
            "background" => Ok(Self::Background),
            "inline" => Ok(Self::Inline),
            _ => Err(()),
        }
    }
}

/// Whether and how answers become events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventConfig {
    /// `EVENT_MODE`; without it `background` where there is a sink, else `off`.
    pub mode: Mode,
    /// Where events go; always there unless the mode is `off`.
    pub sending: Option<Sending>,
}

/// Where events go, and how hard is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// `EVENT_SINK`, else `K_SINK`.
    pub sink: Sink,
    /// `EVENT_SOURCE`: `ce-source`; none: made of workload and instance.
    pub source: Option<String>,
    /// `EVENT_TYPE`: `ce-type`; none: `testbed.WORKLOAD.answered`.
    pub kind: Option<String>,
    /// `K_CE_OVERRIDES`: further attributes, as a SinkBinding sets them.
    pub overrides: BTreeMap<String, String>,
    /// `EVENT_BUFFER`: events that may wait for a connection.
    pub buffer: usize,
    /// `EVENT_CONNECTIONS`: events that are posted at the same time, each over a connection of its own.
    pub connections: usize,
    /// `EVENT_RETRIES`: attempts after the first.
    pub retries: u32,
    /// `EVENT_BACKOFF_SECONDS` and `EVENT_BACKOFF_MAX_SECONDS`.
    pub backoff: Backoff,
    /// `EVENT_TIMEOUT_SECONDS`: of one attempt, with connecting.
    pub timeout: Duration,
}

/// Who takes events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// `HOST:PORT`, as the `Host` header has it.
    pub authority: String,
    /// Host to connect to.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl Sink {
    /// Reads `http://HOST[:PORT][/PATH]`.
    fn parse(url: &str) -> Option<Self> {
        let uri: hyper::Uri = url.trim().parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        if uri.scheme_str() != Some("http") || authority.host().is_empty() {
            return None;
        }
        Some(Self {
            authority: authority.as_str().to_owned(),
            // An IPv6 address has brackets in a URL and none in a socket's address.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

impl EventConfig {
    /// Reads the settings. `may_emit` is false for a workload that only receives events: a sink in
    /// its environment is ignored, since a broker would give it its own events back for ever.
    ///
    /// # Errors
    /// The first bad value, with what is expected instead.
    pub(crate) fn read<L: Fn(&str) -> Option<String>>(
        read: &Reader<L>,
        may_emit: bool,
    ) -> Result<Self, ConfigError> {
        let (name, address) = match read.text("EVENT_SINK") {
            Some(address) => ("EVENT_SINK", Some(address)),
            None => ("K_SINK", read.text("K_SINK")),
        };
        let usual = if address.is_some() && may_emit { Mode::Background } else { Mode::Off };
        let mode = read.parsed("EVENT_MODE", "off, background or inline", usual)?;
        if mode == Mode::Off {
            return Ok(Self::default());
        }
        let given = read.text("EVENT_MODE").unwrap_or_default();
        if !may_emit {
            return Err(ConfigError::new("EVENT_MODE", given, "off: this workload receives events itself"));
        }
        let Some(address) = address else {
            return Err(ConfigError::new("EVENT_MODE", given, "off, or a sink in EVENT_SINK or K_SINK"));
        };
        let sink = Sink::parse(&address).ok_or_else(|| {
            // The address may carry a login, which must not reach a log.
            let shown = if address.contains('@') { "(not shown)".to_owned() } else { address };
            let expected = "http://HOST:PORT/PATH, without a login; TLS is not spoken to sinks: inside a cluster \
                            take the broker's http address";
            ConfigError::new(name, shown, expected)
        })?;
        let first = read.seconds("EVENT_BACKOFF_SECONDS", 0.1)?;
        let sending = Sending {
            sink,
            source: non_empty(read, "EVENT_SOURCE")?,
            kind: non_empty(read, "EVENT_TYPE")?,
            overrides: overrides(read.text("K_CE_OVERRIDES"))?,
            buffer: read.number("EVENT_BUFFER", 1..=1_000_000, 1000)?,
            connections: read.number("EVENT_CONNECTIONS", 1..=64, 4)?,
            retries: read.number("EVENT_RETRIES", 0..=100, 5)?,
            backoff: Backoff { first, longest: read.seconds("EVENT_BACKOFF_MAX_SECONDS", 5.0)? },
            timeout: read.seconds("EVENT_TIMEOUT_SECONDS", 5.0)?,
        };
        Ok(Self { mode, sending: Some(sending) })
    }
}

/// A source or type; neither may have spaces (one is a URI reference, the other a name).
fn non_empty<L: Fn(&str) -> Option<String>>(
    read: &Reader<L>,
    name: &'static str,
) -> Result<Option<String>, ConfigError> {
    match read.text(name) {
        Some(text) if text.chars().any(|c| c.is_whitespace() || c.is_control()) => {
            Err(ConfigError::new(name, text, "no spaces"))
        }
        text => Ok(text),
    }
}

/// `{"extensions":{"name":"value"}}` (Knative's SinkBinding and sources).
fn overrides(text: Option<String>) -> Result<BTreeMap<String, String>, ConfigError> {
    #[derive(Deserialize)]
    struct Overrides {
        #[serde(default)]
        extensions: BTreeMap<String, String>,
    }
    let Some(text) = text else { return Ok(BTreeMap::new()) };
    let bad = |expected: &str| ConfigError::new("K_CE_OVERRIDES", text.clone(), expected);
    let given: Overrides = serde_json::from_str(&text)
        .map_err(|_| bad("JSON such as {\"extensions\":{\"name\":\"value\"}}, all values texts"))?;
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if let Some(name) = given.extensions.keys().find(|name| !is_name(name)) {
        return Err(bad(&format!("names of a-z and 0-9; '{name}' is none")));
    }
    if let Some(name) = given.extensions.keys().find(|name| OWN.contains(&name.as_str())) {
        return Err(bad(&format!("no '{name}': the function sets it itself")));
    }
    Ok(given.extensions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn events(settings: &[(&str, &str)]) -> Result<EventConfig, String> {
        let lookup = |name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(lookup).map(|config| config.events).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_sink_there_are_no_events_and_with_one_they_go_beside_the_answer() {
        assert_eq!(events(&[]).unwrap(), EventConfig::default());
        let found = events(&[("K_SINK", "http://broker.ns.svc.cluster.local/ns/default")]).unwrap();
        let sending = found.sending.unwrap();
        assert_eq!(found.mode, Mode::Background);
        let (host, port, path) = (sending.sink.host, sending.sink.port, sending.sink.path);
        assert_eq!((&*host, port, &*path), ("broker.ns.svc.cluster.local", 80, "/ns/default"));
        assert_eq!((sending.buffer, sending.connections, sending.retries), (1000, 4, 5));
        assert_eq!((sending.timeout.as_secs(), sending.backoff.longest.as_secs()), (5, 5));
        assert_eq!(events(&[("K_SINK", "http://b/"), ("EVENT_MODE", "off")]).unwrap().sending, None);
    }

    #[test]
    fn the_own_variable_goes_before_that_of_the_platform() {
        let both = [("K_SINK", "http://a/"), ("EVENT_SINK", "http://[::1]:81"), ("EVENT_MODE", "inline")];
        let found = events(&both).unwrap();
        let sink = found.sending.unwrap().sink;
        assert_eq!(
            (found.mode, sink.host.as_str(), sink.port, sink.path.as_str()),
            (Mode::Inline, "::1", 81, "/")
        );
        assert_eq!(sink.authority, "[::1]:81");
    }

    #[test]
    fn a_bad_setting_is_named_with_its_remedy() {
        let complaint = |settings: &[(&str, &str)]| events(settings).unwrap_err();
        assert_eq!(
            complaint(&[("EVENT_MODE", "later")]),
            "EVENT_MODE=later: expected off, background or inline"
        );
        assert!(complaint(&[("EVENT_MODE", "inline")]).ends_with("off, or a sink in EVENT_SINK or K_SINK"));
        assert!(complaint(&[("K_SINK", "https://b/")]).contains("TLS is not spoken to sinks"));
        assert!(!complaint(&[("K_SINK", "http://me:secret@b/")]).contains("secret"));
        assert!(complaint(&[("EVENT_SINK", "broker")]).starts_with("EVENT_SINK=broker: expected http://"));
        let sink = ("K_SINK", "http://b/");
        assert!(complaint(&[sink, ("EVENT_BUFFER", "0")]).starts_with("EVENT_BUFFER=0"));
        assert!(complaint(&[sink, ("EVENT_TYPE", "two words")]).ends_with("expected no spaces"));
        let with = |overrides| complaint(&[sink, ("K_CE_OVERRIDES", overrides)]);
        assert!(with("{").contains("JSON such as"));
        assert!(with(r#"{"extensions":{"Bad-Name":"x"}}"#).contains("'Bad-Name' is none"));
        assert!(with(r#"{"extensions":{"id":"1"}}"#).contains("no 'id'"));
    }

    #[test]
    fn the_logger_never_emits_so_that_no_event_goes_round_in_circles() {
        let logger = ("WORKLOAD", "logger");
        assert_eq!(events(&[logger, ("K_SINK", "http://b/")]).unwrap(), EventConfig::default());
        let asked = events(&[logger, ("K_SINK", "http://b/"), ("EVENT_MODE", "inline")]).unwrap_err();
        assert!(asked.contains("receives events itself"), "{asked}");
    }
}
