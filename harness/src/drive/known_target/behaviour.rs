//! How long the target of known behaviour takes: a handful of laws, written as one short text.

use std::{fmt, str::FromStr, time::Duration};

use humantime::{format_duration, parse_duration};
use serde::{Serialize, Serializer};

/// A law of service times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behaviour {
    /// Each request takes the same time.
    Constant {
        /// That time.
        time: Duration,
    },
    /// Exponential times, each request by itself.
    Exponential {
        /// Their mean.
        mean: Duration,
    },
    /// Two times: most requests are fast, a few are slow.
    Bimodal {
        /// The time of most.
        fast: Duration,
        /// The time of a few.
        slow: Duration,
        /// Share of the slow ones, between 0 and 1.
        slow_share: f64,
    },
    /// A heavy tail: Pareto's law, cut off at its longest time.
    Pareto {
        /// The shortest time.
        shortest: Duration,
        /// The longest time.
        longest: Duration,
        /// The exponent of the tail; the smaller, the heavier.
        shape: f64,
    },
    /// One server that takes requests in their order of arrival, with exponential service times.
    Queue {
        /// Mean service time, the wait in the queue not included.
        mean: Duration,
    },
    /// A constant time, but the whole server freezes at the end of each period.
    Stalls {
        /// The time of a request that no stall touches.
        time: Duration,
        /// How long the server freezes.
        stall: Duration,
        /// The period.
        every: Duration,
    },
}

/// A text that is no behaviour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the behaviour '{text}' {cause}; write constant:100ms, exponential:20ms, bimodal:50ms:250ms:0.05 (fast, slow, share of the slow), pareto:5ms:1s:1.2 (shortest, longest, shape), queue:2ms or stalls:20ms:1s:10s (time, stall, period)"
)]
pub struct BehaviourError {
    text: String,
    cause: &'static str,
}

impl Behaviour {
    /// The names, in the order in which they are shown.
    pub const NAMES: [&str; 6] = ["constant", "exponential", "bimodal", "pareto", "queue", "stalls"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant { .. } => "constant",
            Self::Exponential { .. } => "exponential",
            Self::Bimodal { .. } => "bimodal",
            Self::Pareto { .. } => "pareto",
            Self::Queue { .. } => "queue",
            Self::Stalls { .. } => "stalls",
        }
    }

    /// In words, for people.
    pub fn words(&self) -> String {
        match *self {
            Self::Constant { time } => format!("constant, {}", format_duration(time)),
            Self::Exponential { mean } => format!("exponential, mean {}", format_duration(mean)),
            Self::Bimodal { fast, slow, slow_share } => format!(
                "bimodal, {}, but {} for {} % of the requests",
                format_duration(fast),
                format_duration(slow),
                slow_share * 100.0
            ),
            Self::Pareto { shortest, longest, shape } => format!(
                "heavy tail, Pareto with shape {shape}, {} to {}",
                format_duration(shortest),
                format_duration(longest)
            ),
            Self::Queue { mean } => {
                format!("one server with a queue, exponential service, mean {}", format_duration(mean))
            }
            Self::Stalls { time, stall, every } => format!(
                "constant, {}, but the server freezes for {} every {}",
                format_duration(time),
                format_duration(stall),
                format_duration(every)
            ),
        }
    }

    /// The quantile `q` (between 0 and 1) of the service time, seconds: the inverse of its
    /// distribution function, so that a uniform draw becomes a service time (Devroye, Non-Uniform
    /// Random Variate Generation, 1986, chapter 2). Waiting and stalls are not in it.
    ///
    /// The bounded Pareto's is that of Harchol-Balter, Performance Modeling and Design of Computer
    /// Systems, 2013, section 20.4, solved for the time.
    pub fn service_quantile_s(&self, q: f64) -> f64 {
        match *self {
            Self::Constant { time } | Self::Stalls { time, .. } => time.as_secs_f64(),
            Self::Exponential { mean } | Self::Queue { mean } => -(1.0 - q).ln() * mean.as_secs_f64(),
            Self::Bimodal { fast, slow, slow_share } => {
                let time = if q <= 1.0 - slow_share { fast } else { slow };
                time.as_secs_f64()
            }
            Self::Pareto { shortest, longest, shape } => {
                let (low, high) = (shortest.as_secs_f64(), longest.as_secs_f64());
                let kept = 1.0 - (low / high).powf(shape);
                low * (1.0 - q * kept).powf(-1.0 / shape)
            }
        }
    }

    /// What is wrong with its numbers, if anything is.
    fn fault(&self) -> Option<&'static str> {
        let times: &[Duration] = match self {
            Self::Constant { time } => &[*time],
            Self::Exponential { mean } | Self::Queue { mean } => &[*mean],
            Self::Bimodal { fast, slow, .. } => &[*fast, *slow],
            Self::Pareto { shortest, longest, .. } => &[*shortest, *longest],
            Self::Stalls { time, stall, every } => &[*time, *stall, *every],
        };
        if times.iter().any(Duration::is_zero) {
            return Some("has a time of zero");
        }
        if times.iter().any(|time| *time > Duration::from_hours(1)) {
            return Some("has a time beyond an hour");
        }
        match *self {
            Self::Bimodal { fast, slow, slow_share } => (fast >= slow
                || !(slow_share > 0.0 && slow_share < 1.0))
                .then_some("needs a fast time below its slow one, and a share between 0 and 1"),
            Self::Pareto { shortest, longest, shape } => (shortest >= longest
                || !(shape.is_finite() && shape > 0.0))
                .then_some("needs a shortest time below its longest one, and a shape above 0"),
            Self::Stalls { time, stall, every } => (time + stall >= every)
                .then_some("needs a period longer than its time and its stall together"),
            _ => None,
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the spaces of humantime: the text is one word, for a shell.
        let of = |time: Duration| format_duration(time).to_string().replace(' ', "");
        write!(f, "{}:", self.name())?;
        match *self {
            Self::Constant { time } => write!(f, "{}", of(time)),
            Self::Exponential { mean } | Self::Queue { mean } => write!(f, "{}", of(mean)),
            Self::Bimodal { fast, slow, slow_share } => write!(f, "{}:{}:{slow_share}", of(fast), of(slow)),
            Self::Pareto { shortest, longest, shape } => {
                write!(f, "{}:{}:{shape}", of(shortest), of(longest))
            }
            Self::Stalls { time, stall, every } => write!(f, "{}:{}:{}", of(time), of(stall), of(every)),
        }
    }
}

impl FromStr for Behaviour {
    type Err = BehaviourError;

    /// Reads `NAME:NUMBERS`, or a name alone for the numbers that `harness calibrate` uses.
    fn from_str(text: &str) -> Result<Self, BehaviourError> {
        let refuse = |cause| BehaviourError { text: text.into(), cause };
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let numbers: Vec<&str> = parts.collect();
        let time = |text: &str| parse_duration(text).map_err(|_| refuse("has a time that cannot be read"));
        let number = |text: &str| text.parse::<f64>().map_err(|_| refuse("has a number that cannot be read"));
        let behaviour = match (name, numbers.as_slice()) {
            ("constant", []) => Self::Constant { time: Duration::from_millis(100) },
            ("constant", [t]) => Self::Constant { time: time(t)? },
            ("exponential", []) => Self::Exponential { mean: Duration::from_millis(20) },
            ("exponential", [t]) => Self::Exponential { mean: time(t)? },
            ("bimodal", []) => Self::Bimodal {
                fast: Duration::from_millis(50),
                slow: Duration::from_millis(250),
                slow_share: 0.05,
            },
            ("bimodal", [fast, slow, share]) => {
                Self::Bimodal { fast: time(fast)?, slow: time(slow)?, slow_share: number(share)? }
            }
            ("pareto", []) => Self::Pareto {
                shortest: Duration::from_millis(5),
                longest: Duration::from_secs(1),
                shape: 1.2,
            },
            ("pareto", [shortest, longest, shape]) => {
                Self::Pareto { shortest: time(shortest)?, longest: time(longest)?, shape: number(shape)? }
            }
            ("queue", []) => Self::Queue { mean: Duration::from_millis(2) },
            ("queue", [t]) => Self::Queue { mean: time(t)? },
            ("stalls", []) => Self::Stalls {
                time: Duration::from_millis(20),
                stall: Duration::from_secs(1),
                every: Duration::from_secs(10),
            },
            ("stalls", [t, stall, every]) => {
                Self::Stalls { time: time(t)?, stall: time(stall)?, every: time(every)? }
            }
            (name, _) if Self::NAMES.contains(&name) => {
                return Err(refuse("has too few or too many numbers"));
            }
            _ => return Err(refuse("is not known")),
        };
        behaviour.fault().map_or(Ok(behaviour), |cause| Err(refuse(cause)))
    }
}

impl Serialize for Behaviour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behaviour_reads_back_from_its_text() {
        for name in Behaviour::NAMES {
            let behaviour: Behaviour = name.parse().unwrap();
            assert_eq!(behaviour.name(), name);
            assert_eq!(behaviour.to_string().parse(), Ok(behaviour), "{behaviour}");
        }
        let long: Behaviour = "stalls:1ms:1s 500ms:1m 10s".parse().unwrap();
        assert_eq!(long.to_string(), "stalls:1ms:1s500ms:1m10s");
        assert_eq!(long.to_string().parse(), Ok(long));
    }

    #[test]
    fn a_text_that_makes_no_sense_names_what_to_write() {
        let causes: Vec<String> = [
            "gaussian:5ms",
            "constant:0s",
            "constant:x",
            "queue:1ms:2ms",
            "bimodal:5ms:1ms:0.1",
            "bimodal:1ms:5ms:1.5",
            "pareto:1ms:1s:NaN",
            "stalls:1ms:1s:1s",
            "constant:2h",
        ]
        .into_iter()
        .map(|text| text.parse::<Behaviour>().unwrap_err().to_string())
        .map(|message| {
            assert!(message.contains("; write constant:100ms"));
            message.split("; write").next().unwrap().to_owned()
        })
        .collect();
        insta::assert_snapshot!(causes.join("\n"), @r"
        the behaviour 'gaussian:5ms' is not known
        the behaviour 'constant:0s' has a time of zero
        the behaviour 'constant:x' has a time that cannot be read
        the behaviour 'queue:1ms:2ms' has too few or too many numbers
        the behaviour 'bimodal:5ms:1ms:0.1' needs a fast time below its slow one, and a share between 0 and 1
        the behaviour 'bimodal:1ms:5ms:1.5' needs a fast time below its slow one, and a share between 0 and 1
        the behaviour 'pareto:1ms:1s:NaN' needs a shortest time below its longest one, and a shape above 0
        the behaviour 'stalls:1ms:1s:1s' needs a period longer than its time and its stall together
        the behaviour 'constant:2h' has a time beyond an hour
        ");
    }
}
