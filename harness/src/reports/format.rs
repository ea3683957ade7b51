//! Numbers as people read them: few digits, units, a dash where there is nothing.

use std::time::Duration;

use crate::experiment::{Arrivals, LoadPoint, Procedure, Spacing};

/// Stands for a value that does not exist.
pub const NONE: &str = "–";

/// Three significant digits, and never fewer than the whole number: `0.0123`, `4.25`, `123`, `12,345`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    // Rounding can carry into the next decade (9.996 is 10.0): ask the rounded value again.
    let decimals = usize::try_from((2 - magnitude).clamp(0, 6)).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    let rounded = text.parse::<f64>().unwrap_or(value);
    let carried = rounded != 0.0 && rounded.abs().log10().floor() as i32 > magnitude && decimals > 0;
    if carried { format!("{rounded:.*}", decimals - 1) } else { grouped(&text) }
}

/// A setting that people chose: as [`number`], without zeros at its end: `40`, `0.5`.
pub fn setting(value: f64) -> String {
    let text = number(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The number, or a dash.
pub fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), number)
}

/// A whole number with its thousands apart.
pub fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// A share as per cent: `0 %`, `0.042 %`, `0.42 %`, `12.3 %`. Something is never rounded to nothing.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        p if p < 0.01 => "< 0.01 %".to_owned(),
        p if p < 0.1 => format!("{p:.3} %"),
        p if p < 1.0 => format!("{p:.2} %"),
        p => format!("{} %", setting(p)),
    }
}

/// So many of so many, as counts and as a share.
pub fn part(some: u64, all: u64) -> String {
    match (some, all) {
        (_, 0) => NONE.to_owned(),
        (0, all) => format!("0 of {}", count(all)),
        (some, all) => format!("{} of {} ({})", count(some), count(all), percent(some as f64 / all as f64)),
    }
}

/// What is done at a load point, and for how long.
pub fn load(load: &LoadPoint) -> String {
    let each = || format!("{} measured after {} of warm-up", duration(load.duration), duration(load.warmup));
    match &load.procedure {
        Procedure::Capacity { slo, .. } => format!(
            "a search for the highest Poisson rate that holds {slo}; a probe lasts up to {}, after {} of warm-up",
            duration(load.duration),
            duration(load.warmup)
        ),
        Procedure::Concurrency { connections } => {
            let numbers: Vec<String> = connections.iter().map(u32::to_string).collect();
            format!("closed loops of {} connections; {} each", numbers.join(", "), each())
        }
        Procedure::Cold { starts, zero_within } => format!(
            "{starts} times a trial: wait for zero replicas (up to {}), send one request, and the same request warm \
             right after its answer",
            duration(*zero_within)
        ),
        Procedure::Eviction { at_most } => format!(
            "once a trial: one request, then silence until no replica is ready, for up to {}",
            duration(*at_most)
        ),
        Procedure::Play => format!("{}; {}", arrivals(&load.arrivals), each()),
    }
}

/// A size in the largest unit that leaves it whole: `4 KiB`, `1500 bytes`.
pub fn bytes(value: u64) -> String {
    match value {
        1 => "1 byte".to_owned(),
        n if n > 0 && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n > 0 && n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => format!("{n} bytes"),
    }
}

/// Bytes in MiB.
pub fn mebibytes(bytes: f64) -> String {
    number(bytes / 1_048_576.0)
}

/// A p-value.
pub fn p_value(p: Option<f64>) -> String {
    match p {
        None => NONE.to_owned(),
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    }
}

/// A ratio with two decimals: `1.23`.
pub fn ratio(value: f64) -> String {
    if value.is_finite() { format!("{value:.2}") } else { NONE.to_owned() }
}

/// A duration: `1m 30s`.
pub fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// `1 trial`, `2 trials`.
pub fn plural(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(n as u64)) }
}

/// How requests arrive, in words.
pub fn arrivals(arrivals: &Arrivals) -> String {
    match arrivals {
        Arrivals::Constant { rate } => format!("open loop, constant, {} requests/s", setting(*rate)),
        Arrivals::Poisson { rate } => format!("open loop, Poisson, {} requests/s", setting(*rate)),
        Arrivals::Steps { rates } => {
            let rates: Vec<_> = rates.iter().map(|rate| setting(*rate)).collect();
            format!("open loop, steps of {} requests/s", rates.join(", "))
        }
        Arrivals::Ramp { from, to, random } => {
            format!("open loop, a ramp from {} to {} requests/s{}", setting(*from), setting(*to), at(*random))
        }
        Arrivals::Spike { base, peak, at: from, length, random } => format!(
            "open loop, {} requests/s with a spike of {} from {} on for {}{}",
            setting(*base),
            setting(*peak),
            duration(*from),
            duration(*length),
            at(*random)
        ),
        Arrivals::Square { low, high, period, random } => format!(
            "open loop, a square wave of {} and {} requests/s with a period of {}{}",
            setting(*low),
            setting(*high),
            duration(*period),
            at(*random)
        ),
        Arrivals::Bursts { sizes, iat, spacing, parallel } => bursts(sizes, *iat, *spacing, *parallel),
        Arrivals::Idle { gaps } => {
            let gaps: Vec<_> = gaps.iter().map(|gap| duration(gap.0)).collect();
            format!("open loop, single requests after pauses of {}", gaps.join(", "))
        }
        Arrivals::SingleStream {} => "MLPerf SingleStream: one query after another".to_owned(),
        Arrivals::MultiStream { samples } => {
            format!(
                "MLPerf MultiStream: queries of {}, one after another",
                plural(*samples as usize, "sample")
            )
        }
        Arrivals::Server { rate } => {
            format!("MLPerf Server: Poisson, {} queries/s", setting(*rate))
        }
        Arrivals::Offline { samples } => {
            format!("MLPerf Offline: {} at once", plural(*samples as usize, "sample"))
        }
        Arrivals::AzureMinutes { file, function, first_minute, rate_scale, time_scale, .. } => format!(
            "Azure trace (invocations a minute) {}{} from minute {first_minute} on{}",
            file_name(file),
            chosen(function),
            scaled(*rate_scale, *time_scale)
        ),
        Arrivals::AzureInvocations { file, function, skip, rate_scale, time_scale } => format!(
            "Azure trace (invocations) {}{} from {} on{}",
            file_name(file),
            chosen(function),
            duration(*skip),
            scaled(*rate_scale, *time_scale)
        ),
        Arrivals::Schedule { file } => format!("open loop, the schedule {}", file_name(file)),
        Arrivals::Closed { connections, think_time } if think_time.is_zero() => {
            format!("closed loop, {}", plural(*connections as usize, "connection"))
        }
        Arrivals::Closed { connections, think_time } => {
            let think = duration(*think_time);
            format!("closed loop, {}, think time {think}", plural(*connections as usize, "connection"))
        }
    }
}

fn at(random: bool) -> &'static str {
    if random { ", at random" } else { "" }
}

fn bursts(sizes: &[u32], iat: Duration, spacing: Spacing, parallel: u16) -> String {
    let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
    let every = match spacing {
        Spacing::Deterministic => format!("every {}", duration(iat)),
        Spacing::Stochastic => format!("at least {} apart, a tenth more on average", duration(iat)),
        Spacing::Step => format!("with distances that grow by {}", duration(iat)),
    };
    let side_by_side =
        if parallel > 1 { format!(", on {parallel} endpoints side by side") } else { String::new() };
    format!("open loop, bursts of {} requests {every}{side_by_side}", sizes.join(", "))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn chosen(function: &str) -> String {
    if function.is_empty() { String::new() } else { format!(", function {function}") }
}

fn scaled(rate: f64, time: f64) -> String {
    let differs = |scale: f64| (scale - 1.0).abs() > f64::EPSILON;
    let more = differs(rate).then(|| format!(", {} times the invocations", setting(rate)));
    let faster = differs(time).then(|| format!(", {} times as fast", setting(time)));
    [more, faster].into_iter().flatten().collect()
}

/// Puts a comma between thousands, from five digits on.
fn grouped(text: &str) -> String {
    let (whole, fraction) = text.find('.').map_or((text, ""), |dot| text.split_at(dot));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    if digits.len() < 5 {
        return text.to_owned();
    }
    let mut out = sign.to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_never_lose_whole_ones() {
        let cases = [
            (0.0, "0"),
            (0.012_345, "0.0123"),
            (4.251, "4.25"),
            (9.996, "10.0"),
            (99.96, "100"),
            (123.4, "123"),
            (1234.5, "1234"),
            (12_345.6, "12,346"),
            (-1_234_567.0, "-1,234,567"),
            (f64::NAN, NONE),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn a_single_failure_among_a_million_is_not_rounded_to_none() {
        assert_eq!(part(1, 1_000_000), "1 of 1,000,000 (< 0.01 %)");
        assert_eq!(part(0, 4321), "0 of 4321");
        assert_eq!(part(0, 0), NONE);
    }

    proptest! {
        #[test]
        fn a_number_reads_back_within_half_a_per_cent(value in 1e-3..1e9_f64) {
            let read: f64 = number(value).replace(',', "").parse().unwrap();
            prop_assert!((read / value - 1.0).abs() <= 0.0051, "{value} became {read}");
        }
    }
}
