//! The machine that all figures are true for, and whether it had anything else to do.

use std::fs;
use std::time::{Duration, Instant};

use crate::process::{Cpu, machine_busy};

/// Share of the machine that others may use before the table says so.
const LOADED: f64 = 0.10;

/// In one line.
pub fn description() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} x {}, Linux {}", processors(), model.unwrap_or("unknown"), kernel.trim())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A warning if others were busy in the last minute.
pub(crate) fn load_warning() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = text.split(' ').next()?.parse().ok()?;
    let share = load / processors() as f64;
    (share > LOADED).then(|| format!("load average {load:.2} on {} processors", processors()))
}

/// Keeps an eye on what other programs do while we measure.
pub(crate) struct Others {
    ours: Vec<u32>,
    began: Instant,
    busy: Duration,
    used: Cpu,
}

impl Others {
    /// `ours` are the processes that belong to the benchmark.
    pub(crate) fn watch(ours: Vec<u32>) -> Self {
        let used = Cpu::of(&ours);
        Self { ours, began: Instant::now(), busy: machine_busy(), used }
    }

    /// A warning if they took so much that the figures suffer.
    pub(crate) fn warning(&self) -> Option<String> {
        let busy = machine_busy().saturating_sub(self.busy);
        let ours = Cpu::of(&self.ours).since(&self.used);
        let whole = self.began.elapsed().as_secs_f64() * processors() as f64;
        let share = busy.saturating_sub(ours).as_secs_f64() / whole;
        let percent = 100.0 * share;
        (share > LOADED).then(|| {
            format!("LOADED MACHINE: other programs used {percent:.0} % of it meanwhile; latencies are too high, CPU times a little")
        })
    }
}
