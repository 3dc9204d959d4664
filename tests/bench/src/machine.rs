//! The machine that all figures are true for, and whether it had anything else to do.

use std::fs;
use std::time::{Duration, Instant};

use crate::process::{Cpu, Program, machine_busy, programs};

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

/// How long to look at what others do before measuring.
const SAMPLE: Duration = Duration::from_secs(3);
/// Programs named in a warning; the rest are only in the sum.
const NAMED: usize = 5;
/// Share of one processor below which a program is not worth naming.
const WORTH_NAMING: f64 = 0.02;

/// What other programs do right now, if it is so much that figures suffer. The load average
/// is not asked: it still remembers the build that has just made this program.
pub(crate) fn load_warning() -> Option<String> {
    let (began, busy, before) = (Instant::now(), machine_busy(), programs());
    std::thread::sleep(SAMPLE);
    let busy = machine_busy().saturating_sub(busy).as_secs_f64();
    let elapsed = began.elapsed().as_secs_f64();
    let share = busy / elapsed / processors() as f64;
    if share <= LOADED {
        return None;
    }
    let mut busiest: Vec<(f64, u32, Program)> = programs()
        .into_iter()
        .map(|(pid, program)| {
            let earlier = before.get(&pid).map(|earlier| earlier.used).unwrap_or_default();
            let used = program.used.saturating_sub(earlier);
            (used.as_secs_f64() / elapsed, pid, program)
        })
        .filter(|(share, ..)| *share > WORTH_NAMING)
        .collect();
    busiest.sort_by(|one, other| other.0.total_cmp(&one.0));
    let named = busiest.iter().take(NAMED).map(|(share, pid, program)| {
        format!("\n  {} ({pid}): {:.0} % of one", program.name, 100.0 * share)
    });
    Some(format!(
        "other programs use {:.0} % of the {} processors{}",
        100.0 * share,
        processors(),
        named.collect::<String>()
    ))
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
