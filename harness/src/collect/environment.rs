//! The machine and the versions: what somebody needs who wants to repeat a run.

use std::{fs, path::Path};

use serde::Serialize;

/// Facts of the machine that the harness runs on; unknown ones are none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Model of the first CPU.
    pub cpu_model: Option<String>,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Frequency governor of the first CPU.
    pub cpu_governor: Option<String>,
    /// Installed memory, MiB.
    pub memory_mib: Option<u64>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Distribution.
    pub distribution: Option<String>,
    /// Clock source of the kernel.
    pub clock_source: Option<String>,
    /// Whether the CPU says that it runs under a hypervisor.
    pub virtualised: Option<bool>,
    /// Load average over the last minute before the run.
    pub load_average: Option<f64>,
}

impl Machine {
    /// Reads them from `/proc` and `/sys`.
    pub fn observe() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").ok();
        let field = |name: &str| {
            let line = cpuinfo.as_deref()?.lines().find(|l| l.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_string())
        };
        Self {
            cpu_model: field("model name"),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            memory_mib: text("/proc/meminfo").as_deref().and_then(memory_mib),
            kernel: text("/proc/sys/kernel/osrelease"),
            distribution: text("/etc/os-release").as_deref().and_then(pretty_name),
            clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            virtualised: field("flags").map(|flags| flags.split(' ').any(|f| f == "hypervisor")),
            load_average: text("/proc/loadavg").and_then(|t| t.split(' ').next()?.parse().ok()),
        }
    }
}

/// SHA-256 of a file, lower-case hex.
///
/// # Errors
/// If the file cannot be read.
pub fn sha256_file(path: &Path) -> std::io::Result<String> {
    Ok(models::sha256_hex(&fs::read(path)?))
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|t| t.trim().to_string())
}

fn memory_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|l| l.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

fn pretty_name(os_release: &str) -> Option<String> {
    let line = os_release.lines().find(|l| l.starts_with("PRETTY_NAME="))?;
    Some(line.split_once('=')?.1.trim_matches('"').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_mib() {
        assert_eq!(memory_mib("MemTotal:       24689932 kB\nMemFree: 1 kB"), Some(24111));
        assert_eq!(memory_mib("nothing"), None);
    }

    #[test]
    fn the_distribution_loses_its_quotes() {
        assert_eq!(pretty_name("ID=debian\nPRETTY_NAME=\"Debian 12\"\n").as_deref(), Some("Debian 12"));
    }

    #[test]
    fn a_digest_is_the_known_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(file.path()).unwrap(), abc);
    }
}
