//! How many CPUs this process may use: its scheduling affinity, and the quota of its control
//! group, version 1 or 2.
//!
//! Source: the kernel's `Documentation/admin-guide/cgroup-v2.rst` (`cpu.max`: "$MAX $PERIOD" in
//! microseconds, or `max`) and `Documentation/scheduler/sched-bwc.rst` (`cpu.cfs_quota_us`,
//! -1 for none, and `cpu.cfs_period_us`).

use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";

/// Threads that can compute at the same time: the CPU limit rounded up, at most the CPUs that
/// the process may run on, at least one.
pub fn usable_cpus() -> usize {
    let cpus = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).map_or(1, |set| {
        (0..nix::sched::CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).count()
    });
    let quota = cpu_limit(|path| std::fs::read_to_string(path).ok());
    threads_for(cpus, quota)
}

fn threads_for(cpus: usize, limit: Option<f64>) -> usize {
    let limit = limit.map_or(usize::MAX, |limit| limit.ceil() as usize);
    cpus.min(limit).max(1)
}

/// The tightest CPU quota of the process's control group and its ancestors, in CPUs; none if
/// there is none. `read` gives a file's text, if it can be read.
pub fn cpu_limit(read: impl Fn(&Path) -> Option<String>) -> Option<f64> {
    let membership = read(Path::new("/proc/self/cgroup"))?;
    let mut limits = Vec::new();
    for line in membership.lines() {
        // hierarchy id : controllers, empty in version 2 : path
        let mut fields = line.splitn(3, ':');
        let (Some(_id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if controllers.is_empty() {
            for group in with_ancestors(Path::new(MOUNT), path) {
                limits.extend(read(&group.join("cpu.max")).as_deref().and_then(quota_v2));
            }
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            // The mount is named by the controllers, in either order, with links for each.
            for group in with_ancestors(&Path::new(MOUNT).join("cpu"), path) {
                let quota = read(&group.join("cpu.cfs_quota_us"));
                let period = read(&group.join("cpu.cfs_period_us"));
                limits.extend(quota.zip(period).and_then(|(quota, period)| ratio(&quota, &period)));
            }
        }
    }
    limits.into_iter().min_by(f64::total_cmp)
}

/// The group and all groups above it. Inside a container the path may name a group that is not
/// visible there; the mount itself is then the container's own group, and comes last.
fn with_ancestors(mount: &Path, path: &str) -> Vec<PathBuf> {
    Path::new(path.trim_start_matches('/')).ancestors().map(|group| mount.join(group)).collect()
}

fn quota_v2(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota, period)
}

fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(files: &[(&str, &str)]) -> Option<f64> {
        cpu_limit(|path| {
            files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn version_2_reads_cpu_max_of_its_own_group() {
        let files =
            [("/proc/self/cgroup", "0::/pod/main\n"), ("/sys/fs/cgroup/pod/main/cpu.max", "150000 100000\n")];
        assert_eq!(limit(&files), Some(1.5));
    }

    #[test]
    fn version_2_in_a_container_reads_the_root() {
        let files = [("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/cpu.max", "50000 100000\n")];
        assert_eq!(limit(&files), Some(0.5));
    }

    #[test]
    fn the_tightest_ancestor_counts() {
        let files = [
            ("/proc/self/cgroup", "0::/a/b\n"),
            ("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a/cpu.max", "200000 100000\n"),
            ("/sys/fs/cgroup/cpu.max", "400000 100000\n"),
        ];
        assert_eq!(limit(&files), Some(2.0));
    }

    #[test]
    fn version_1_reads_quota_and_period() {
        let files = [
            ("/proc/self/cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n"),
            // Only the container's own group is visible, at the mount.
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(limit(&files), Some(2.5));
    }

    #[test]
    fn no_quota_is_no_limit() {
        let v1 = [
            ("/proc/self/cgroup", "4:cpu,cpuacct:/\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(limit(&v1), None);
        assert_eq!(
            limit(&[("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/cpu.max", "max 100000\n")]),
            None
        );
        assert_eq!(limit(&[]), None);
        assert_eq!(limit(&[("/proc/self/cgroup", "nonsense")]), None);
        // `cpuset` is another controller than `cpu`.
        assert_eq!(limit(&[("/proc/self/cgroup", "3:cpuset:/\n")]), None);
    }

    #[test]
    fn threads_are_the_limit_rounded_up_within_the_cpus() {
        assert_eq!(threads_for(8, Some(1.5)), 2);
        assert_eq!(threads_for(8, Some(0.25)), 1);
        assert_eq!(threads_for(2, Some(16.0)), 2);
        assert_eq!(threads_for(4, None), 4);
        assert_eq!(threads_for(0, None), 1);
        assert!(usable_cpus() >= 1);
    }
}
