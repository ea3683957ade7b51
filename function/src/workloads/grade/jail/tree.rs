//! All descendants of a process, as `/proc` shows them.
//!
//! Source: `proc_pid_stat(5)`, `proc_tid_children(5)`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// Looks at the processes below one.
#[derive(Debug)]
pub(super) struct Tree {
    root: i32,
    /// A process whose own use does not count (its children's does).
    uncounted: Option<i32>,
    page_bytes: u64,
    tick: Duration,
    /// Whether the kernel lists children; else all processes are asked for their parent.
    lists_children: bool,
}

/// What they take at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Processes and threads.
    pub tasks: u64,
    /// Resident memory; pages that processes share count in each of them.
    pub resident_bytes: u64,
    /// CPU time, with that of their children who ended, to a hundredth of a second each.
    pub cpu: Duration,
    /// Those who ended and wait for their parent, if that is the root.
    pub zombies: Vec<i32>,
}

struct Stat {
    state: char,
    parent: i32,
    own_ticks: u64,
    /// Of its children whom it has waited for.
    childrens_ticks: u64,
    threads: u64,
    resident_pages: u64,
}

impl Tree {
    pub(super) fn below(root: i32, uncounted: Option<i32>) -> Self {
        let number = |what, usual: i64| {
            sysconf(what).ok().flatten().filter(|&n| n > 0).unwrap_or(usual).cast_unsigned()
        };
        Self {
            root,
            uncounted,
            page_bytes: number(SysconfVar::PAGE_SIZE, 4096),
            tick: Duration::from_secs(1) / number(SysconfVar::CLK_TCK, 100) as u32,
            lists_children: Path::new(&format!("/proc/{root}/task/{root}/children")).exists(),
        }
    }

    /// All descendants, children before grandchildren.
    pub(super) fn descendants(&self) -> Vec<i32> {
        let parents = if self.lists_children { Vec::new() } else { all_parents() };
        let mut found = self.children(self.root, &parents);
        let mut next = 0;
        while next < found.len() {
            found.extend(self.children(found[next], &parents));
            next += 1;
        }
        found
    }

    /// What they take now.
    pub(super) fn look(&self) -> Look {
        let mut look = Look::default();
        for pid in self.descendants() {
            // Who is gone meanwhile is with those who ended.
            let Some(stat) = read_stat(pid) else { continue };
            look.cpu += self.tick * stat.childrens_ticks as u32;
            if Some(pid) == self.uncounted {
                continue;
            }
            look.cpu += self.tick * stat.own_ticks as u32;
            if stat.state == 'Z' {
                look.zombies.extend((stat.parent == self.root).then_some(pid));
                continue;
            }
            look.tasks += stat.threads;
            look.resident_bytes += stat.resident_pages * self.page_bytes;
        }
        look
    }

    fn children(&self, pid: i32, parents: &[(i32, i32)]) -> Vec<i32> {
        if !self.lists_children {
            return parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child).collect();
        }
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
        let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists.flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect()
    }
}

/// Every process that there is, and its parent.
fn all_parents() -> Vec<(i32, i32)> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, read_stat(pid)?.parent)))
        .collect()
}

/// CPU time of a process with one thread, to the nanosecond; none if the kernel does not count it.
pub(super) fn exact_cpu(pid: i32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn read_stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the program's name, which may hold anything, also `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The first of them is the third of the line.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(14)? + number(15)?,
        childrens_ticks: number(16)? + number(17)?,
        threads: number(20)?,
        resident_pages: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let line = "7 (a) S 1 2) R 3 7 7 0 -1 0 0 0 0 0 10 20 1 2 20 0 5 0 99 4096 321 18446744073709551615";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.own_ticks, stat.childrens_ticks), ('R', 3, 30, 3));
        assert_eq!((stat.threads, stat.resident_pages), (5, 321));
    }

    #[test]
    fn grandchildren_are_found_by_both_ways_of_looking() {
        // `cat` waits for its input, which this test holds.
        let script = "(cat; true); true";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = shell.id().cast_signed();
        let listed = Tree::below(pid, None);
        let asked = Tree { lists_children: false, ..Tree::below(pid, None) };
        let until = std::time::Instant::now() + Duration::from_secs(20);
        // The shell, and the `cat` below the shell below it.
        let are_there = |tree: &Tree| tree.descendants().len() == 2;
        while !(are_there(&listed) && are_there(&asked)) && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(are_there(&listed) && are_there(&asked));
        assert!(listed.look().tasks >= 1 && listed.look().resident_bytes > 0);
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!(listed.look(), Look::default());
    }
}
