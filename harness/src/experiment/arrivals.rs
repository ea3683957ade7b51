//! How requests arrive: the parameters of every load shape, and what can be said of each without
//! playing it. The shapes themselves are in `drive/shapes`, one file each.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration_text;

/// Requests a second that any shape may reach.
pub const MAX_RATE: f64 = 1e6;
/// Connections of a closed loop at most.
pub const MAX_CONNECTIONS: u32 = 10_000;

/// How requests arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Arrivals {
    /// Open loop, equal distances.
    Constant {
        /// Requests a second.
        rate: f64,
    },
    /// Open loop, exponential distances.
    Poisson {
        /// Requests a second.
        rate: f64,
    },
    /// Open loop, constant rates one after another, each for the same share of the time.
    Steps {
        /// Requests a second, step by step.
        rates: Vec<f64>,
    },
    /// Open loop, a rate that changes evenly over the time.
    Ramp {
        /// Requests a second at the start.
        from: f64,
        /// Requests a second at the end.
        to: f64,
        /// Whether requests come at random (a Poisson process of this rate) instead of evenly.
        #[serde(default, skip_serializing_if = "is_false")]
        random: bool,
    },
    /// Open loop, a base rate with one peak.
    Spike {
        /// Requests a second before and after the peak.
        base: f64,
        /// Requests a second in it.
        peak: f64,
        /// When it begins, from the start of the load.
        #[serde(with = "duration_text")]
        at: Duration,
        /// How long it lasts.
        #[serde(with = "duration_text")]
        length: Duration,
        /// Whether requests come at random instead of evenly.
        #[serde(default, skip_serializing_if = "is_false")]
        random: bool,
    },
    /// Open loop, two rates in turn.
    Square {
        /// Requests a second in the first half of each period.
        low: f64,
        /// Requests a second in the second half.
        high: f64,
        /// Length of both halves together.
        #[serde(with = "duration_text")]
        period: Duration,
        /// Whether requests come at random instead of evenly.
        #[serde(default, skip_serializing_if = "is_false")]
        random: bool,
    },
    /// Open loop, bursts of requests that are sent at once, as STeLLAR does.
    Bursts {
        /// Requests of each burst; after the last size the first one comes again.
        sizes: Vec<u32>,
        /// Distance between bursts.
        #[serde(with = "duration_text")]
        iat: Duration,
        /// How the distances vary.
        #[serde(default)]
        spacing: Spacing,
        /// Endpoints that each get the whole burst at the same time.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        parallel: u16,
    },
    /// Open loop, single requests after pauses of these lengths: what is still warm?
    Idle {
        /// Pauses, each before one request; after the last one the first one comes again.
        gaps: Vec<Gap>,
    },
    /// MLPerf LoadGen: one query after another, of one sample.
    SingleStream {},
    /// MLPerf LoadGen: one query after another, each of several samples at once; the next one goes out
    /// when all of them are answered.
    MultiStream {
        /// Samples of a query.
        samples: u32,
    },
    /// MLPerf LoadGen: queries of one sample as a Poisson process.
    Server {
        /// Queries a second.
        rate: f64,
    },
    /// MLPerf LoadGen: all samples at once. Limit the connections with `[connection] pool`.
    Offline {
        /// Samples.
        samples: u32,
    },
    /// Invocations a minute, from a CSV file of the Azure Functions trace of 2019.
    #[serde(rename_all = "kebab-case")]
    AzureMinutes {
        /// The file.
        file: String,
        /// Beginning of the `HashFunction` to replay; empty: the sum of all rows.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        function: String,
        /// First minute of the day to replay, from 1.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        first_minute: u16,
        /// How a minute's invocations lie in it.
        #[serde(default)]
        spread: Spread,
        /// Factor on the number of invocations.
        #[serde(default = "unit")]
        rate_scale: f64,
        /// Factor on the speed of time: 60 plays a minute in a second.
        #[serde(default = "unit")]
        time_scale: f64,
    },
    /// Single invocations, from a CSV file of the Azure Functions trace of 2021.
    #[serde(rename_all = "kebab-case")]
    AzureInvocations {
        /// The file.
        file: String,
        /// Beginning of the `func` to replay; empty: all of them.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        function: String,
        /// Where in the trace to begin, from its first invocation on.
        #[serde(default, with = "duration_text", skip_serializing_if = "Duration::is_zero")]
        skip: Duration,
        /// Factor on the number of invocations; below 1 a seeded sample is taken.
        #[serde(default = "unit")]
        rate_scale: f64,
        /// Factor on the speed of time.
        #[serde(default = "unit")]
        time_scale: f64,
    },
    /// Send times from a CSV file with a column `time_s`, and `payload` and `endpoint` where the file
    /// decides on them.
    Schedule {
        /// The file.
        file: String,
    },
    /// Closed loop.
    #[serde(rename_all = "kebab-case")]
    Closed {
        /// Connections side by side.
        connections: u32,
        /// Pause between an answer and the next request.
        #[serde(with = "duration_text", default)]
        think_time: Duration,
    },
}

/// How the distances between bursts vary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// They are equal.
    #[default]
    Deterministic,
    /// A shifted exponential: at least the given distance, a tenth longer on average.
    Stochastic,
    /// The k-th distance is k times the given one.
    Step,
}

/// Where in a minute its invocations lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Anywhere, by the seed.
    #[default]
    Uniform,
    /// At equal distances.
    Even,
}

/// A pause, written as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gap(#[serde(with = "duration_text")] pub Duration);

impl Arrivals {
    /// Whether each request waits for an answer: a closed loop.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::SingleStream {} | Self::MultiStream { .. })
    }

    /// Whether nobody goes on before all are answered.
    pub fn is_lockstep(&self) -> bool {
        matches!(self, Self::MultiStream { .. })
    }

    /// Connections side by side of a closed loop.
    pub fn connections(&self) -> Option<u32> {
        match self {
            Self::Closed { connections, .. } => Some(*connections),
            Self::SingleStream {} => Some(1),
            Self::MultiStream { samples } => Some(*samples),
            _ => None,
        }
    }

    /// Whether the offered load is meant to stay the same, so that a steady state can be asked for.
    pub fn is_stationary(&self) -> bool {
        self.is_closed() || matches!(self, Self::Constant { .. } | Self::Poisson { .. } | Self::Server { .. })
    }

    /// The file that the shape is read from.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::AzureMinutes { file, .. }
            | Self::AzureInvocations { file, .. }
            | Self::Schedule { file } => Some(file),
            _ => None,
        }
    }

    /// The highest rate that the parameters name, requests a second; none where a file or the answers
    /// decide.
    pub fn peak_rate(&self) -> Option<f64> {
        match self {
            Self::Constant { rate } | Self::Poisson { rate } | Self::Server { rate } => Some(*rate),
            Self::Steps { rates } => rates.iter().copied().reduce(f64::max),
            Self::Ramp { from, to, .. } => Some(from.max(*to)),
            Self::Spike { base, peak, .. } => Some(base.max(*peak)),
            Self::Square { low, high, .. } => Some(low.max(*high)),
            _ => None,
        }
    }

    /// What makes no sense in the parameters, and what to write instead.
    ///
    /// # Errors
    /// The first such thing.
    pub fn check(&self) -> Result<(), String> {
        let rate = |rate: f64| rate > 0.0 && rate <= MAX_RATE;
        let or_none = |r: f64| r == 0.0 || rate(r);
        let rule = |holds: bool, message: &str| if holds { Ok(()) } else { Err(message.to_owned()) };
        let rates = |holds| rule(holds, &format!("a rate must be above 0 and at most {MAX_RATE} requests/s"));
        match self {
            Self::Constant { rate: r } | Self::Poisson { rate: r } | Self::Server { rate: r } => {
                rates(rate(*r))
            }
            Self::Steps { rates: all } => {
                rates(!all.is_empty() && all.iter().all(|&r| or_none(r)) && all.iter().any(|&r| rate(r)))
            }
            Self::Ramp { from, to, .. } => {
                rates(or_none(*from) && or_none(*to) && (rate(*from) || rate(*to)))
            }
            Self::Spike { base, peak, length, .. } => {
                rates(or_none(*base) && rate(*peak))?;
                rule(!length.is_zero(), "the spike's length must be above 0s")
            }
            Self::Square { low, high, period, .. } => {
                rates(or_none(*low) && or_none(*high) && (rate(*low) || rate(*high)))?;
                rule(*period >= Duration::from_millis(10), "the period must be at least 10ms")
            }
            Self::Bursts { sizes, iat, parallel, .. } => {
                let fits = |&size: &u32| (1..=MAX_CONNECTIONS).contains(&size);
                let all = !sizes.is_empty() && sizes.iter().all(fits);
                rule(
                    all,
                    &format!("sizes must be between 1 and {MAX_CONNECTIONS}, for example sizes = [10]"),
                )?;
                rule(
                    *iat >= Duration::from_micros(1),
                    "iat must be at least 1us, for example iat = \"10s\"",
                )?;
                rule((1..=1000).contains(parallel), "parallel must be between 1 and 1000")
            }
            Self::Idle { gaps } => {
                let all = !gaps.is_empty() && gaps.iter().all(|gap| gap.0 >= Duration::from_millis(1));
                rule(all, "gaps must be at least 1ms each, for example gaps = [\"1s\", \"10s\", \"1m\"]")
            }
            Self::MultiStream { samples } | Self::Offline { samples } => rule(
                (1..=MAX_CONNECTIONS).contains(samples),
                &format!("samples must be between 1 and {MAX_CONNECTIONS}"),
            ),
            Self::AzureMinutes { first_minute, rate_scale, time_scale, .. } => {
                rule((1..=1440).contains(first_minute), "first-minute must be between 1 and 1440")?;
                scales(*rate_scale, *time_scale)
            }
            Self::AzureInvocations { rate_scale, time_scale, .. } => scales(*rate_scale, *time_scale),
            Self::SingleStream {} | Self::Schedule { .. } => Ok(()),
            Self::Closed { connections, .. } => rule(
                (1..=MAX_CONNECTIONS).contains(connections),
                &format!("connections must be between 1 and {MAX_CONNECTIONS}"),
            ),
        }
    }
}

fn scales(rate_scale: f64, time_scale: f64) -> Result<(), String> {
    let sensible = |scale: f64| scale.is_finite() && scale > 0.0;
    if sensible(rate_scale) && sensible(time_scale) {
        Ok(())
    } else {
        Err("rate-scale and time-scale must be above 0; 1 leaves the trace as it is".into())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_one(value: &u16) -> bool {
    *value == 1
}

fn one() -> u16 {
    1
}

fn unit() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Arrivals, String> {
        #[derive(Deserialize)]
        struct Holder {
            arrivals: Arrivals,
        }
        let holder: Holder =
            toml::from_str(&format!("arrivals = {text}")).map_err(|error| error.message().to_owned())?;
        holder.arrivals.check().map(|()| holder.arrivals)
    }

    #[test]
    fn every_shape_is_written_as_one_line_and_reads_back_as_itself() {
        for text in [
            "{ kind = 'ramp', from = 1.0, to = 50.0 }",
            "{ kind = 'spike', base = 5.0, peak = 100.0, at = '10s', length = '2s', random = true }",
            "{ kind = 'square', low = 0.0, high = 20.0, period = '30s' }",
            "{ kind = 'bursts', sizes = [1, 10], iat = '500ms', spacing = 'stochastic', parallel = 3 }",
            "{ kind = 'idle', gaps = ['1s', '1m'] }",
            "{ kind = 'single-stream' }",
            "{ kind = 'multi-stream', samples = 8 }",
            "{ kind = 'server', rate = 20.0 }",
            "{ kind = 'offline', samples = 100 }",
            "{ kind = 'azure-minutes', file = 'a.csv', time-scale = 60.0, spread = 'even' }",
            "{ kind = 'azure-invocations', file = 'a.csv', rate-scale = 0.5 }",
            "{ kind = 'schedule', file = 'a.csv' }",
        ] {
            let shape = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let json = serde_json::to_string(&shape).unwrap();
            assert_eq!(serde_json::from_str::<Arrivals>(&json).unwrap(), shape, "{json}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_write() {
        for (text, part) in [
            ("{ kind = 'ramp', from = 0.0, to = 0.0 }", "a rate must be above 0"),
            ("{ kind = 'steps', rates = [] }", "a rate must be above 0"),
            (
                "{ kind = 'spike', base = 1.0, peak = 2.0, at = '1s', length = '0s' }",
                "length must be above 0s",
            ),
            ("{ kind = 'bursts', sizes = [], iat = '1s' }", "for example sizes = [10]"),
            ("{ kind = 'bursts', sizes = [1], iat = '0s' }", "for example iat"),
            ("{ kind = 'idle', gaps = ['0s'] }", "for example gaps"),
            ("{ kind = 'multi-stream', samples = 0 }", "samples must be between"),
            ("{ kind = 'azure-minutes', file = 'a', rate-scale = 0.0 }", "must be above 0; 1 leaves"),
            ("{ kind = 'azure-minutes', file = 'a', first-minute = 1441 }", "between 1 and 1440"),
            ("{ kind = 'constant', rate = nan }", "a rate must be above 0"),
            ("{ kind = 'ramp', form = 1.0, to = 2.0 }", "unknown field `form`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
