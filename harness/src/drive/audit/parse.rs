//! The kernel's own words in numbers: pure parsers of what stands in `/proc` and `/sys`.
//!
//! Formats: proc(5), and Documentation/scheduler/sched-stats, accounting/psi and admin-guide/cgroup-v2
//! of the kernel. A parser yields none for a text that it does not know; it never guesses.

/// A thread's scheduling so far (`/proc/PID/task/TID/schedstat`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scheduling {
    /// Time on a core, nanoseconds.
    pub(super) ran_ns: u64,
    /// Time on a run queue: ready, and no core for it, nanoseconds.
    pub(super) waited_ns: u64,
    /// Times it was put on a core.
    pub(super) slices: u64,
}

/// CPU time of some cores so far (`/proc/stat`), in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CpuTicks {
    /// All of it, idle time included.
    pub(super) total: u64,
    /// Taken away by the hypervisor while there was work.
    pub(super) stolen: u64,
}

/// Pages moved so far (`/proc/vmstat`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Swapped {
    pub(super) in_pages: u64,
    pub(super) out_pages: u64,
}

/// TCP sockets of this network namespace (`/proc/net/sockstat`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sockets {
    pub(super) in_use: u64,
    pub(super) time_wait: u64,
}

/// How long a cgroup's quota has held its processes back so far (`cpu.stat`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Throttled {
    pub(super) ns: u64,
    pub(super) times: u64,
}

/// `RAN WAITED SLICES`. A kernel without scheduling accounts says three zeros.
pub(super) fn schedstat(text: &str) -> Option<Scheduling> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    let read = Scheduling { ran_ns: next()?, waited_ns: next()?, slices: next()? };
    (read != Scheduling::default()).then_some(read)
}

/// Sums the lines `cpuN` of these cores; none of them: the line of all.
pub(super) fn stat(text: &str, cores: &[usize]) -> Option<CpuTicks> {
    let mut sum: Option<CpuTicks> = None;
    for line in text.lines().take_while(|line| line.starts_with("cpu")) {
        let (name, times) = line.split_once(' ')?;
        let wanted = match name["cpu".len()..].parse::<usize>() {
            Ok(core) => cores.contains(&core),
            Err(_) => cores.is_empty(),
        };
        if wanted {
            // user nice system idle iowait irq softirq steal; guest times are part of user and nice.
            let ticks: Vec<u64> =
                times.split_ascii_whitespace().map_while(|t| t.parse().ok()).take(8).collect();
            let stolen = *ticks.get(7)?;
            let sum = sum.get_or_insert_default();
            sum.total += ticks.iter().sum::<u64>();
            sum.stolen += stolen;
        }
    }
    sum
}

/// The lines `pswpin` and `pswpout`.
pub(super) fn vmstat(text: &str) -> Option<Swapped> {
    Some(Swapped { in_pages: field(text, "pswpin")?, out_pages: field(text, "pswpout")? })
}

/// The line `TCP: inuse N orphan N tw N ...`.
pub(super) fn sockstat(text: &str) -> Option<Sockets> {
    let tcp = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let words: Vec<&str> = tcp.split_ascii_whitespace().collect();
    let after = |name: &str| words.chunks(2).find(|pair| pair[0] == name)?.get(1)?.parse().ok();
    Some(Sockets { in_use: after("inuse")?, time_wait: after("tw")? })
}

/// `FIRST LAST` of `ip_local_port_range`: how many ports that are.
pub(super) fn port_range(text: &str) -> Option<u64> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.trim().parse().ok()?);
    (last >= first).then(|| last - first + 1)
}

/// `total` of the line `kind` (`some` or `full`) of a file in `/proc/pressure`, microseconds.
pub(super) fn pressure_us(text: &str, kind: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(kind))?;
    line.rsplit_once("total=")?.1.trim().parse().ok()
}

/// `cpu.stat` of a cgroup: version 2 counts microseconds, version 1 nanoseconds. None without a quota.
pub(super) fn cpu_stat(text: &str) -> Option<Throttled> {
    let ns = field(text, "throttled_usec").map(|us| us * 1000).or_else(|| field(text, "throttled_time"))?;
    Some(Throttled { ns, times: field(text, "nr_throttled")? })
}

/// Where a process's CPU cgroup lies below `/sys/fs/cgroup`, from `/proc/self/cgroup`: the unified
/// hierarchy's, and those of version 1.
pub(super) fn cgroup_folders(text: &str) -> Vec<String> {
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let path = path.trim_matches('/');
        if controllers.is_empty() {
            folders.push(path.to_owned());
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            folders.push(format!("{controllers}/{path}"));
            folders.push(format!("cpu/{path}"));
        }
    }
    folders
}

/// The number on the line that begins with this name.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_ascii_whitespace().next() == Some(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 10 30 800 5 0 2 53 7 0\ncpu0 60 5 20 400 5 0 1 9 7 0\n\
        cpu1 40 5 10 400 0 0 1 44 0 0\nintr 12345 0\nctxt 99\n";

    #[test]
    fn a_threads_wait_is_its_second_number_and_three_zeros_are_no_account() {
        let read = schedstat("542838760 154309 27\n").unwrap();
        assert_eq!((read.ran_ns, read.waited_ns, read.slices), (542_838_760, 154_309, 27));
        assert_eq!(schedstat("0 0 0\n"), None);
        assert_eq!(schedstat("12 x"), None);
    }

    #[test]
    fn stolen_time_is_that_of_the_cores_asked_for() {
        assert_eq!(stat(STAT, &[0]), Some(CpuTicks { total: 500, stolen: 9 }));
        assert_eq!(stat(STAT, &[0, 1]), Some(CpuTicks { total: 1000, stolen: 53 }));
        assert_eq!(
            stat(STAT, &[]),
            Some(CpuTicks { total: 1000, stolen: 53 }),
            "guest time is not counted twice"
        );
        assert_eq!(stat(STAT, &[9]), None);
        assert_eq!(stat("cpu 1 2 3", &[]), None, "a kernel that counts no steal");
    }

    #[test]
    fn swapped_pages_are_not_mistaken_for_their_neighbours() {
        let text = "pgpgin 7\npswpin 11\npswpout 13\npswpin_extra 5\n";
        assert_eq!(vmstat(text), Some(Swapped { in_pages: 11, out_pages: 13 }));
        assert_eq!(vmstat("pgpgin 7\n"), None, "a kernel without swap");
    }

    #[test]
    fn sockets_and_the_range_of_ports() {
        let text = "sockets: used 17\nTCP: inuse 21 orphan 0 tw 340 alloc 23 mem 2\nUDP: inuse 3 mem 0\n";
        assert_eq!(sockstat(text), Some(Sockets { in_use: 21, time_wait: 340 }));
        assert_eq!(port_range("32768\t60999\n"), Some(28_232));
        assert_eq!(port_range("60999 32768"), None);
    }

    #[test]
    fn pressure_is_told_by_kind() {
        let text = "some avg10=7.58 avg60=3.59 avg300=0.97 total=158648729\nfull avg10=7.50 avg60=3.56 avg300=0.94 total=59447374\n";
        assert_eq!(
            (pressure_us(text, "some"), pressure_us(text, "full")),
            (Some(158_648_729), Some(59_447_374))
        );
        assert_eq!(pressure_us("some avg10=0.00", "some"), None);
    }

    #[test]
    fn both_versions_of_cgroups_say_how_long_they_throttled() {
        let v2 = "usage_usec 1\nnr_periods 50\nnr_throttled 7\nthrottled_usec 650000\n";
        assert_eq!(cpu_stat(v2), Some(Throttled { ns: 650_000_000, times: 7 }));
        let v1 = "nr_periods 50\nnr_throttled 7\nthrottled_time 650000000\n";
        assert_eq!(cpu_stat(v1), cpu_stat(v2));
        assert_eq!(cpu_stat("usage_usec 1\n"), None);
    }

    #[test]
    fn the_cpu_cgroup_is_found_in_both_hierarchies() {
        let text = "4:memory:/pod/x\n3:cpu,cpuacct:/pod/y\n0::/pod/z\n";
        assert_eq!(cgroup_folders(text), ["cpu,cpuacct/pod/y", "cpu/pod/y", "pod/z"]);
    }
}
