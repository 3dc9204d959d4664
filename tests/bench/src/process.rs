//! What a process has used, by the kernel's own books in `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// The kernel counts in these for every program it shows them to (`getconf CLK_TCK`).
const TICK: Duration = Duration::from_millis(10);
/// How far the fine figure may lie from the coarse one before it is doubted.
const DOUBT: Duration = Duration::from_millis(30);

/// CPU time so far, in two resolutions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu {
    /// Of the processes, all threads that ever ran, in ticks.
    coarse: Duration,
    /// Of the threads alive, in nanoseconds.
    fine: Duration,
    threads: BTreeSet<u32>,
}

impl Cpu {
    /// Of all these processes together.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut cpu = Self::default();
        for pid in pids {
            cpu.coarse += coarse(*pid);
            for thread in numbers(&format!("/proc/{pid}/task")) {
                let text = read(&format!("/proc/{pid}/task/{thread}/schedstat"));
                let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
                cpu.fine += Duration::from_nanos(nanos.unwrap_or_default());
                cpu.threads.insert(thread);
            }
        }
        cpu
    }

    /// Used since `earlier`. The fine figure if no thread has died with its share of it.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let coarse = self.coarse.saturating_sub(earlier.coarse);
        let fine = self.fine.saturating_sub(earlier.fine);
        let agree = coarse.abs_diff(fine) <= DOUBT + coarse / 20;
        if agree && earlier.threads.is_subset(&self.threads) { fine } else { coarse }
    }
}

/// One running program.
#[derive(Debug)]
pub(crate) struct Program {
    /// As the kernel names it, at most 15 bytes.
    pub(crate) name: String,
    /// CPU time so far.
    pub(crate) used: Duration,
}

/// All there are, by process id.
pub(crate) fn programs() -> BTreeMap<u32, Program> {
    let one = |pid| {
        let name = read(&format!("/proc/{pid}/comm")).trim().to_owned();
        (pid, Program { name, used: coarse(pid) })
    };
    numbers("/proc").into_iter().map(one).collect()
}

/// `utime` and `stime` of `/proc/PID/stat` (proc(5), fields 14 and 15).
fn coarse(pid: u32) -> Duration {
    let text = read(&format!("/proc/{pid}/stat"));
    // The second field is the program's name in brackets and may hold anything.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks: u32 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    TICK * ticks
}

/// The process and all processes below it.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(pid) = family.get(next).copied() {
        for thread in numbers(&format!("/proc/{pid}/task")) {
            let children = read(&format!("/proc/{pid}/task/{thread}/children"));
            family
                .extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        next += 1;
    }
    family
}

/// Resident memory now, in bytes, all processes together.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| status_line(*pid, "VmRSS:")).sum()
}

/// The most that was resident since [`forget_peak`], in bytes.
pub(crate) fn peak(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| status_line(*pid, "VmHWM:")).sum()
}

/// Lets the peak begin anew (proc(5), `clear_refs`).
pub(crate) fn forget_peak(pids: &[u32]) {
    for pid in pids {
        // Without the right to do so the peak is the one since the start: too high, not too low.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// What all programs together have kept the processors busy with.
pub(crate) fn machine_busy() -> Duration {
    let text = read("/proc/stat");
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u32> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq
    [0, 1, 2, 5, 6].iter().filter_map(|at| ticks.get(*at)).map(|ticks| TICK * *ticks).sum()
}

fn status_line(pid: u32, name: &str) -> u64 {
    let text = read(&format!("/proc/{pid}/status"));
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib: Option<u64> = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kib.unwrap_or_default() * 1024
}

fn numbers(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// A process that is gone has used nothing.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
