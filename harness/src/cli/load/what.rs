//! What `harness load` sends beyond the common flags: any shape, several endpoints, other bodies.

use std::path::PathBuf;

use super::super::CliError;
use crate::{
    drive::shapes::Files,
    experiment::{Arrivals, Experiment, PayloadChoice, Site},
    screen::note,
    workloads::{
        Kind, Requests, Size,
        payloads::{self, Payloads},
    },
};

/// Shape and bodies.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WhatArgs {
    /// Any load shape, as an experiment file writes it, for example "kind = 'ramp', from = 5, to = 50"
    /// (kinds: ramp, steps, spike, square, bursts, idle, single-stream, server, offline,
    /// azure-minutes, azure-invocations, schedule)
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["rate", "connections", "arrivals", "requests"])]
    pub shape: Option<String>,
    /// Another endpoint of the same target; requests are spread over all of them; may be repeated
    #[arg(long = "and", value_name = "URL")]
    pub and: Vec<String>,
    /// Weights of the files in the folder of --body, in the order of their names, for example 3,1
    #[arg(long, value_name = "N,N", value_delimiter = ',', requires = "body")]
    pub weights: Vec<f64>,
    /// Send the body as multipart/form-data, in a field of this name
    #[arg(long, value_name = "FIELD", requires = "body")]
    pub multipart: Option<String>,
    /// Send seeded random bodies of these sizes, for example 1KiB,64KiB,1MiB
    #[arg(long, value_name = "SIZE,SIZE", value_delimiter = ',', value_parser = size, conflicts_with = "body")]
    pub sizes: Vec<u64>,
    /// Send what this workload of our function takes, to its path where the URL names none, and check the answers
    #[arg(long, value_name = "NAME", conflicts_with_all = ["body", "sizes"])]
    pub workload: Option<Kind>,
    /// How much work one request of the workload is
    #[arg(long, value_name = "SIZE", value_enum, requires = "workload", default_value = "small")]
    pub size: Size,
}

impl WhatArgs {
    /// The shape with the files that it replays, if one was given.
    ///
    /// # Errors
    /// If it makes no sense, or its file cannot be replayed.
    pub fn shape(&self) -> Result<Option<(Arrivals, Files)>, CliError> {
        let Some(text) = &self.shape else { return Ok(None) };
        let usage = |cause: String| CliError::Usage(format!("--shape '{text}': {cause}"));
        let shape = parse(text).map_err(usage)?;
        let files = Files::parse([&shape], |file| std::fs::read_to_string(file))
            .map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(Some((shape, files)))
    }

    /// What a workload is sent, where one was named.
    ///
    /// # Errors
    /// If something is missing.
    pub fn requests(&self, seed: u64) -> Result<Option<Requests>, CliError> {
        let Some(kind) = self.workload else { return Ok(None) };
        let mut experiment = Experiment { seed, ..Experiment::default_on(Site::Twin) };
        experiment.choose_workload(kind);
        experiment.function.size = self.size;
        let say = |line: &str| note!("{line}");
        Ok(Some(kind.requests(&experiment, &models::Places::from_env(), &say)?))
    }

    /// What is sent, where `body` (a file or a folder) or sizes were given.
    ///
    /// # Errors
    /// If something cannot be read.
    pub fn payloads(&self, body: Option<&PathBuf>, seed: u64) -> Result<Option<Payloads>, CliError> {
        let choice = match (body, self.sizes.as_slice()) {
            (Some(path), _) => PayloadChoice::Files {
                path: path.display().to_string(),
                weights: self.weights.clone(),
                multipart_field: self.multipart.clone(),
            },
            (None, []) => return Ok(None),
            (None, sizes) => PayloadChoice::Sizes { bytes: sizes.to_vec() },
        };
        payloads::load(&choice, seed).map(Some).map_err(|error| CliError::Usage(format!("--body: {error}")))
    }
}

/// A shape as experiment files write it; the braces may be left out.
fn parse(text: &str) -> Result<Arrivals, String> {
    #[derive(serde::Deserialize)]
    struct Line {
        arrivals: Arrivals,
    }
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    let line: Line = toml::from_str(&format!("arrivals = {{ {inner} }}"))
        .map_err(|error| error.message().replace('\n', " "))?;
    line.arrivals.check()?;
    Ok(line.arrivals)
}

/// Bytes: `1000`, `64KiB`, `1MiB`, `1kB`.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.trim()[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "kib" | "k" => 1 << 10,
        "mb" => 1_000_000,
        "mib" | "m" => 1 << 20,
        _ => return Err("the unit is none of B, kB, KiB, MB, MiB".into()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| "write a number of bytes, for example 64KiB")?;
    number.checked_mul(unit).ok_or_else(|| "that is too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_written_as_in_an_experiment_file() {
        let shape = parse("kind = 'ramp', from = 5, to = 50").unwrap();
        assert_eq!(shape, Arrivals::Ramp { from: 5.0, to: 50.0, random: false });
        assert_eq!(parse("{ kind = 'ramp', from = 5, to = 50 }").unwrap(), shape);
        assert!(parse("kind = 'ramp', from = 0, to = 0").unwrap_err().contains("a rate must be above 0"));
        assert!(parse("kind = 'romp'").unwrap_err().contains("unknown variant `romp`"));
    }

    #[test]
    fn sizes_have_units() {
        let sizes: Vec<u64> = ["0", "1000", "1kB", "64KiB", "2m"].map(|text| size(text).unwrap()).into();
        assert_eq!(sizes, [0, 1000, 1000, 65_536, 2_097_152]);
        assert!(size("4 parsecs").is_err() && size("KiB").is_err() && size("99999999999999MiB").is_err());
    }
}
