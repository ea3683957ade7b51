//! Events of answers: whether there is a broker with a logger behind it, and of which kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Experiment, file::Checks};
use crate::{platforms::PlatformKind, workloads::Kind};

/// Variable of the function that says when its events are posted.
pub const MODE: &str = "EVENT_MODE";
/// Modes that the function knows, in the order of the built-in question.
pub const MODES: [&str; 3] = ["off", "background", "inline"];
/// Variables of the function that name its sink.
const SINKS: [&str; 2] = ["EVENT_SINK", "K_SINK"];
/// The mode of a subject that names none.
pub const USUAL_MODE: &str = "background";

/// A run whose functions tell a broker what they answered, and a logger that gets it. On the twin
/// the broker is the twin's own; on a cluster it is Knative Eventing's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EventsChoice {
    /// Class of the broker on a cluster.
    pub broker_class: BrokerClass,
}

impl Default for EventsChoice {
    fn default() -> Self {
        Self { broker_class: BrokerClass::Channel }
    }
}

/// Classes of Knative's brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BrokerClass {
    /// Channels of the cluster's default kind, in memory unless somebody changed it.
    #[serde(rename = "MTChannelBasedBroker")]
    Channel,
    /// A topic of Kafka for each broker.
    Kafka,
}

impl BrokerClass {
    /// As the annotation `eventing.knative.dev/broker.class` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Channel => "MTChannelBasedBroker",
            Self::Kafka => "Kafka",
        }
    }
}

/// What makes no sense with events.
pub(super) fn problems(list: &mut Checks, e: &Experiment) {
    let modes = e.variants.iter().enumerate().map(|(i, variant)| {
        (vec!["variants".to_owned(), i.to_string(), "env".to_owned()], variant.env.get(MODE))
    });
    let own = (vec!["function".to_owned(), "env".to_owned()], e.function.env.get(MODE));
    for (place, mode) in modes.chain([own]) {
        let Some(mode) = mode else { continue };
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        list.check(
            MODES.contains(&mode.as_str()),
            &place,
            &format!("{MODE} = '{mode}': write one of {}", MODES.join(", ")),
        );
    }
    if e.events.is_none() {
        return;
    }
    let mut check = |holds: bool, message: &str| list.check(holds, &["events"], message);
    check(e.function.own.is_none(), "a function of one's own makes no events; leave them out");
    check(
        e.function.workload != Kind::Logger.name(),
        "the logger gets events and makes none; measure another workload with events",
    );
    check(
        !e.platforms().contains(&PlatformKind::Endpoint),
        "an endpoint is there already and has its own sink; leave it out, or the events",
    );
}

/// What a file may leave to the flags, and the whole experiment may not.
pub(super) fn missing(list: &mut Checks, e: &Experiment) {
    let has_sink = |env: &BTreeMap<String, String>| SINKS.iter().any(|name| env.contains_key(*name));
    let asks = |env: &BTreeMap<String, String>| env.get(MODE).is_some_and(|mode| mode != MODES[0]);
    let envs = || std::iter::once(&e.function.env).chain(e.variants.iter().map(|variant| &variant.env));
    list.check(
        e.events.is_some() || !envs().any(asks) || envs().any(has_sink),
        &["events"],
        &format!(
            "{MODE} asks for events and there is no broker: add --events, or a sink of yours in {}",
            SINKS[0]
        ),
    );
}

#[cfg(test)]
mod tests {
    use crate::experiment::testing::message;

    #[test]
    fn events_that_make_no_sense_are_named_with_the_remedy() {
        assert_eq!(message("on = 'twin'\n[events]"), "accepted");
        assert_eq!(message("on = 'twin'\n[events]\nbroker-class = 'Kafka'"), "accepted");
        assert!(message("[events]\nbroker-class = 'Rabbit'").contains("unknown variant `Rabbit`"));
        assert!(message("on = 'twin'\n[events]\n[function]\nworkload = 'logger'").contains("makes none"));
        assert!(message("[events]\n[function]\nimage = 'r/f:1'\n[function.own]\n").contains("one's own"));
        let late = message("on = 'twin'\n[function.env]\nEVENT_MODE = 'late'\n");
        let alone = message("on = 'twin'\n[function.env]\nEVENT_MODE = 'inline'\n");
        assert!(alone.contains("add --events"), "{alone}");
        let own = "on = 'twin'\n[function.env]\nEVENT_MODE = 'inline'\nEVENT_SINK = 'http://b/'\n";
        assert_eq!(message(own), "accepted");
        assert!(late.contains("EVENT_MODE = 'late': write one of off, background, inline"), "{late}");
    }
}
