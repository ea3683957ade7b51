//! What the grading workloads read from the environment, and the limits that follow from it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::protocol::WantedLimits;
use crate::config::{ConfigError, Reader};
use crate::workloads::WorkloadError;

/// Seconds of time limits, as the messages name them.
const SECONDS: &str = "seconds from 0.1 to 3600";

/// The settings of both grading workloads.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `CC`: the C compiler; none for the first that is found.
    pub compiler: Option<PathBuf>,
    /// `PYTHON`: the interpreter; none for the first that is found.
    pub python: Option<PathBuf>,
    /// `GRADE_ALLOW_WEAK_SANDBOX`: start even where the kernel cannot hold a program.
    pub allow_weak_sandbox: bool,
    /// `GRADE_COMPILE_SECONDS`, `GRADE_COMPILE_MEMORY_BYTES` and what compiling shares with runs.
    pub compile: Limits,
    /// `GRADE_RUN_SECONDS` for C, and the other limits of a case.
    pub run_c: Limits,
    /// The same for Python.
    pub run_python: Limits,
    /// `GRADE_REQUEST_SECONDS`: all cases of one request together.
    pub request: Duration,
}

/// What one run may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time, and CPU time of all processes together.
    pub time: Duration,
    /// Resident memory of all processes together.
    pub memory_bytes: u64,
    /// Standard output and standard error together.
    pub output_bytes: u64,
    /// Processes and threads at the same time.
    pub processes: u64,
    /// All files together, and each of them.
    pub disk_bytes: u64,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// The first bad value, with what is expected instead.
    pub(crate) fn read(read: &Reader<impl Fn(&str) -> Option<String>>) -> Result<Self, ConfigError> {
        let seconds = |name, default| {
            let value: f64 = read.parsed(name, SECONDS, default)?;
            if (0.1..=3600.0).contains(&value) {
                Ok(Duration::from_secs_f64(value))
            } else {
                Err(ConfigError::new(name, value.to_string(), SECONDS))
            }
        };
        let run = |default_seconds| {
            Ok(Limits {
                time: seconds("GRADE_RUN_SECONDS", default_seconds)?,
                memory_bytes: read.number("GRADE_MEMORY_BYTES", 16 << 20..=64 << 30, 256 << 20)?,
                output_bytes: read.number("GRADE_OUTPUT_BYTES", 1 << 10..=64 << 20, 1 << 20)?,
                processes: read.number("GRADE_PROCESSES", 1..=10_000, 64)?,
                disk_bytes: read.number("GRADE_DISK_BYTES", 1 << 20..=16 << 30, 64 << 20)?,
            })
        };
        let run_c = run(30.0)?;
        Ok(Self {
            compiler: read.text("CC").map(PathBuf::from),
            python: read.text("PYTHON").map(PathBuf::from),
            allow_weak_sandbox: read.parsed("GRADE_ALLOW_WEAK_SANDBOX", "0 or 1", 0_u8)? != 0,
            compile: Limits {
                time: seconds("GRADE_COMPILE_SECONDS", 30.0)?,
                memory_bytes: read.number("GRADE_COMPILE_MEMORY_BYTES", 16 << 20..=64 << 30, 512 << 20)?,
                // A compiler starts an assembler and a linker, whatever the program may do.
                processes: run_c.processes.max(16),
                ..run_c
            },
            run_c,
            run_python: run(60.0)?,
            request: seconds("GRADE_REQUEST_SECONDS", 300.0)?,
        })
    }
}

impl Limits {
    /// These limits, lowered to what the caller wants.
    ///
    /// # Errors
    /// `BadParameter` if he wants more than is configured, or nothing.
    pub fn lowered(mut self, wanted: &WantedLimits) -> Result<Self, WorkloadError> {
        lower_time(&mut self.time, "run_seconds", wanted.run_seconds)?;
        lower(&mut self.memory_bytes, "memory_bytes", wanted.memory_bytes)?;
        lower(&mut self.output_bytes, "output_bytes", wanted.output_bytes)?;
        lower(&mut self.processes, "processes", wanted.processes)?;
        lower(&mut self.disk_bytes, "disk_bytes", wanted.disk_bytes)?;
        Ok(self)
    }

    /// The compiler's limits, of which a caller may lower the time alone.
    ///
    /// # Errors
    /// As for [`Limits::lowered`].
    pub fn compile_lowered(mut self, wanted: &WantedLimits) -> Result<Self, WorkloadError> {
        lower_time(&mut self.time, "compile_seconds", wanted.compile_seconds)?;
        Ok(self)
    }
}

fn lower(limit: &mut u64, name: &str, wanted: Option<u64>) -> Result<(), WorkloadError> {
    match wanted {
        Some(wanted) if wanted == 0 || wanted > *limit => Err(WorkloadError::BadParameter(format!(
            "limits.{name} is {wanted}; a request may set it from 1 to the configured {limit}"
        ))),
        Some(wanted) => {
            *limit = wanted;
            Ok(())
        }
        None => Ok(()),
    }
}

fn lower_time(limit: &mut Duration, name: &str, wanted: Option<f64>) -> Result<(), WorkloadError> {
    match wanted {
        Some(wanted) if (0.001..=limit.as_secs_f64()).contains(&wanted) => {
            *limit = Duration::from_secs_f64(wanted);
            Ok(())
        }
        Some(wanted) => Err(WorkloadError::BadParameter(format!(
            "limits.{name} is {wanted}; a request may set it from 0.001 to the configured {}",
            limit.as_secs_f64()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn settings(values: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Config::from_lookup(|name| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
        .map(|config| config.grade)
    }

    #[test]
    fn without_settings_the_documented_limits_hold() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.compile.time.as_secs(), 30);
        assert_eq!((settings.run_c.time.as_secs(), settings.run_python.time.as_secs()), (30, 60));
        assert_eq!(
            (settings.run_c.memory_bytes, settings.run_c.output_bytes),
            (256 * 1024 * 1024, 1024 * 1024)
        );
        assert!(!settings.allow_weak_sandbox);
    }

    #[test]
    fn a_bad_value_is_named_with_its_remedy() {
        let complaint = |name, value| settings(&[(name, value)]).unwrap_err().to_string();
        assert_eq!(
            complaint("GRADE_RUN_SECONDS", "0"),
            "GRADE_RUN_SECONDS=0: expected seconds from 0.1 to 3600"
        );
        assert!(complaint("GRADE_MEMORY_BYTES", "lots").starts_with("GRADE_MEMORY_BYTES=lots: expected"));
        assert!(complaint("GRADE_ALLOW_WEAK_SANDBOX", "yes").ends_with("expected 0 or 1"));
    }

    #[test]
    fn a_request_can_only_lower_a_limit() {
        let limits = settings(&[]).unwrap().run_c;
        let lowered = limits
            .lowered(&WantedLimits {
                run_seconds: Some(0.5),
                memory_bytes: Some(32 << 20),
                ..WantedLimits::default()
            })
            .unwrap();
        assert_eq!((lowered.time, lowered.memory_bytes), (Duration::from_millis(500), 32 << 20));
        assert_eq!(lowered.output_bytes, limits.output_bytes);
        let more = WantedLimits { processes: Some(65), ..WantedLimits::default() };
        assert!(limits.lowered(&more).unwrap_err().to_string().contains("the configured 64"));
        let longer = WantedLimits { run_seconds: Some(31.0), ..WantedLimits::default() };
        assert!(limits.lowered(&longer).unwrap_err().to_string().contains("the configured 30"));
        let none = WantedLimits { run_seconds: Some(f64::NAN), ..WantedLimits::default() };
        assert!(limits.lowered(&none).is_err());
    }
}
