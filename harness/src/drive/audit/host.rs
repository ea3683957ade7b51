//! Looking at the machine: the only place of the self-audit that reads files and clocks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::{
    sys::{
        resource::{Resource, getrlimit},
        time::TimeSpec,
    },
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

use super::{
    machine::{Limits, Reading},
    parse,
};

/// Two clocks that were read within this time count as read at once, nanoseconds.
const AT_ONCE_NS: i64 = 50_000;
/// Attempts at reading them at once.
const ATTEMPTS: u32 = 5;

/// Where the kernel's files lie, and which of them concern this generator.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
    schedstat: PathBuf,
    cores: Vec<usize>,
    cpu_stat: Option<PathBuf>,
    frequencies: Vec<PathBuf>,
    throttle_counts: Vec<PathBuf>,
}

impl Host {
    /// This machine, for a generator's thread on these cores (none: any).
    pub(super) fn new(thread: Pid, cores: Vec<usize>) -> Self {
        Self::under(Path::new("/"), thread, cores)
    }

    /// A machine whose files lie under `root`.
    fn under(root: &Path, thread: Pid, cores: Vec<usize>) -> Self {
        let sys = root.join("sys");
        let cpus: Vec<PathBuf> =
            cores.iter().map(|core| sys.join(format!("devices/system/cpu/cpu{core}"))).collect();
        let there = |file: &str| -> Vec<PathBuf> {
            cpus.iter().map(|cpu| cpu.join(file)).filter(|path| path.exists()).collect()
        };
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let cpu_stat = parse::cgroup_folders(&groups)
            .into_iter()
            .map(|folder| sys.join("fs/cgroup").join(folder).join("cpu.stat"))
            .find(|path| fs::read_to_string(path).is_ok_and(|text| parse::cpu_stat(&text).is_some()));
        Self {
            schedstat: root.join(format!("proc/self/task/{thread}/schedstat")),
            root: root.to_owned(),
            frequencies: there("cpufreq/scaling_cur_freq"),
            throttle_counts: there("thermal_throttle/core_throttle_count"),
            cpu_stat,
            cores,
        }
    }

    /// The limits that hold now.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            open_files: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
            local_ports: self.read("proc/sys/net/ipv4/ip_local_port_range", parse::port_range),
        }
    }

    /// Looks once.
    pub(super) fn look(&self) -> Reading {
        let clocks = clocks();
        let counts = |paths: &[PathBuf]| -> Vec<u64> {
            paths.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok()).collect()
        };
        let throttles = counts(&self.throttle_counts);
        Reading {
            at_ns: clocks.monotonic_ns.unsigned_abs(),
            late_ns: 0,
            scheduling: fs::read_to_string(&self.schedstat).ok().as_deref().and_then(parse::schedstat),
            cpu: self.read("proc/stat", |text| parse::stat(text, &self.cores)),
            swapped: self.read("proc/vmstat", parse::vmstat),
            wall_ahead_ns: clocks.wall_ahead_ns,
            slept_ns: clocks.slept_ns,
            mhz: counts(&self.frequencies).into_iter().max().map(|khz| khz as f64 / 1e3),
            heat_throttles: (!throttles.is_empty()).then(|| throttles.iter().sum()),
            sockets: self.read("proc/net/sockstat", parse::sockstat),
            open_files: self.open_files(),
            quota: self.cpu_stat.as_ref().and_then(|path| parse::cpu_stat(&fs::read_to_string(path).ok()?)),
            cpu_pressure_us: self.read("proc/pressure/cpu", |text| parse::pressure_us(text, "some")),
            memory_pressure_us: self.read("proc/pressure/memory", |text| parse::pressure_us(text, "full")),
        }
    }

    fn read<T>(&self, file: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        parse(&fs::read_to_string(self.root.join(file)).ok()?)
    }

    /// Open files of this process. Since Linux 6.2 the folder's size says it; to list thousands of
    /// entries four times a second would cost milliseconds.
    fn open_files(&self) -> Option<u64> {
        let folder = self.root.join("proc/self/fd");
        match fs::metadata(&folder).ok()?.len() {
            0 => Some(fs::read_dir(&folder).ok()?.count() as u64),
            count => Some(count),
        }
    }
}

/// Clocks against each other, nanoseconds.
#[expect(clippy::struct_field_names, reason = "units belong into names")]
struct Clocks {
    monotonic_ns: i64,
    wall_ahead_ns: Option<i64>,
    slept_ns: Option<i64>,
}

/// Reads the clocks between two reads of the monotonic one; again, if the thread was held up.
fn clocks() -> Clocks {
    let ns = |clock| clock_gettime(clock).ok().map(nanoseconds);
    let mut best: Option<(i64, Clocks)> = None;
    for _ in 0..ATTEMPTS {
        let Some(before) = ns(ClockId::CLOCK_MONOTONIC) else { break };
        let (wall, boot) = (ns(ClockId::CLOCK_REALTIME), ns(ClockId::CLOCK_BOOTTIME));
        let Some(after) = ns(ClockId::CLOCK_MONOTONIC) else { break };
        let (took, middle) = (after - before, i64::midpoint(before, after));
        if best.as_ref().is_none_or(|(shortest, _)| took < *shortest) {
            let wall_ahead_ns = wall.map(|wall| wall - middle);
            best = Some((
                took,
                Clocks { monotonic_ns: middle, wall_ahead_ns, slept_ns: boot.map(|b| b - middle) },
            ));
        }
        if took <= AT_ONCE_NS {
            break;
        }
    }
    best.map_or(Clocks { monotonic_ns: 0, wall_ahead_ns: None, slept_ns: None }, |(_, clocks)| clocks)
}

fn nanoseconds(time: TimeSpec) -> i64 {
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

#[cfg(test)]
mod tests {
    use nix::unistd::gettid;

    use super::*;

    /// Writes files of a made-up machine.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn every_file_is_found_where_the_kernel_has_it() {
        let cpu = "sys/devices/system/cpu";
        let root = machine(&[
            ("proc/self/task/7/schedstat", "9 8 7\n"),
            ("proc/stat", "cpu  9 9 9 9 9 9 9 9\ncpu0 1 0 0 8 0 0 0 1\ncpu1 9 0 0 0 0 0 0 0\n"),
            ("proc/vmstat", "pswpin 1\npswpout 2\n"),
            ("proc/net/sockstat", "TCP: inuse 3 orphan 0 tw 4 alloc 1 mem 0\n"),
            ("proc/sys/net/ipv4/ip_local_port_range", "1000\t1999\n"),
            ("proc/pressure/cpu", "some avg10=0.0 avg60=0.0 avg300=0.0 total=11\n"),
            ("proc/pressure/memory", "some a total=5\nfull avg10=0.0 avg60=0.0 avg300=0.0 total=12\n"),
            ("proc/self/cgroup", "0::/pod/x\n"),
            ("proc/self/fd/0", ""),
            ("sys/fs/cgroup/pod/x/cpu.stat", "nr_throttled 2\nthrottled_usec 3\n"),
            (&format!("{cpu}/cpu0/cpufreq/scaling_cur_freq"), "2400000\n"),
            (&format!("{cpu}/cpu1/cpufreq/scaling_cur_freq"), "3600000\n"),
            (&format!("{cpu}/cpu0/thermal_throttle/core_throttle_count"), "6\n"),
        ]);
        let host = Host::under(root.path(), Pid::from_raw(7), vec![0]);
        let look = host.look();
        assert_eq!(look.scheduling.unwrap().waited_ns, 8);
        assert_eq!(look.cpu, Some(parse::CpuTicks { total: 10, stolen: 1 }), "the generator's core alone");
        assert_eq!(look.swapped.unwrap().out_pages, 2);
        assert_eq!(look.sockets.unwrap().time_wait, 4);
        assert_eq!((look.cpu_pressure_us, look.memory_pressure_us), (Some(11), Some(12)));
        assert_eq!((look.mhz, look.heat_throttles), (Some(2400.0), Some(6)));
        assert_eq!(look.quota, Some(parse::Throttled { ns: 3000, times: 2 }));
        assert_eq!(host.limits().local_ports, Some(1000));
        let both = Host::under(root.path(), Pid::from_raw(7), vec![0, 1]);
        assert_eq!(both.look().mhz, Some(3600.0), "the fastest core's");
    }

    #[test]
    fn this_machine_tells_at_least_its_clocks_and_files() {
        let host = Host::new(gettid(), vec![0]);
        let (before, after) = (host.look(), host.look());
        assert!(after.at_ns > before.at_ns);
        assert!(before.open_files.unwrap() > 2);
        // Between two looks the wall clock keeps its distance to well under what counts as a step.
        let step_ns = after.wall_ahead_ns.unwrap() - before.wall_ahead_ns.unwrap();
        assert!(step_ns.abs() < 10_000_000, "{step_ns}");
    }

    #[test]
    fn a_machine_without_any_of_the_files_yields_none() {
        let root = machine(&[]);
        let look = Host::under(root.path(), Pid::from_raw(7), vec![0]).look();
        let clocks_alone = Reading {
            at_ns: look.at_ns,
            wall_ahead_ns: look.wall_ahead_ns,
            slept_ns: look.slept_ns,
            ..Reading::default()
        };
        assert_eq!(look, clocks_alone);
    }
}
