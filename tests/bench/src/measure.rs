//! Runs every load on every subject, round after round, and puts the figures together.

use std::time::Duration;

use crate::load::{self, Load};
use crate::process::Cpu;
use crate::subject::Subject;

/// What one load on one subject came to, a value for each round.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// CPU time of the subject for one call, receipts committed.
    pub(crate) cpu: Vec<Nanos>,
    pub(crate) whole: Spread,
    pub(crate) first_byte: Spread,
    pub(crate) chunk: Spread,
    /// Calls a second.
    pub(crate) rate: Vec<i64>,
}

/// Signed, because what is added may be less than nothing.
pub(crate) type Nanos = i64;

/// Half of the values lie below the one, one in a hundred above the other.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    pub(crate) p50: Vec<Nanos>,
    pub(crate) p99: Vec<Nanos>,
}

impl Spread {
    fn add(&mut self, values: impl Iterator<Item = Duration>) {
        let mut values: Vec<Nanos> = values.map(nanos).collect();
        values.sort_unstable();
        let Some(last) = values.len().checked_sub(1) else { return };
        self.p50.push(values[last / 2]);
        self.p99.push(values[last * 99 / 100]);
    }
}

/// Counts the calls made to each subject.
#[derive(Debug)]
pub(crate) struct Calls(Vec<u64>);

impl Calls {
    pub(crate) fn none(subjects: &[Subject]) -> Self {
        Self(vec![0; subjects.len()])
    }

    pub(crate) fn to(&self, subject: usize) -> u64 {
        self.0[subject]
    }

    pub(crate) fn add(&mut self, subject: usize, calls: usize) {
        self.0[subject] += calls as u64;
    }
}

/// All rounds of one load; the subjects take turns, and another begins each round.
pub(crate) fn rounds(
    subjects: &[Subject],
    calls: &mut Calls,
    load: Load,
    rounds: usize,
) -> anyhow::Result<Vec<Figures>> {
    let mut figures: Vec<Figures> = subjects.iter().map(|_| Figures::default()).collect();
    for (at, subject) in subjects.iter().enumerate() {
        let load = subject.share_of(load);
        let warm_up = Load { each: load.each.div_ceil(10), ..load };
        load::run(subject, warm_up)?;
        calls.add(at, warm_up.calls());
    }
    for round in 0..rounds {
        for turn in 0..subjects.len() {
            let at = (round + turn) % subjects.len();
            let load = subjects[at].share_of(load);
            calls.add(at, load.calls());
            one(&subjects[at], calls.to(at), load, &mut figures[at])?;
        }
    }
    Ok(figures)
}

fn one(subject: &Subject, calls: u64, load: Load, figures: &mut Figures) -> anyhow::Result<()> {
    let processes = subject.processes();
    subject.settle(calls - load.calls() as u64)?;
    let before = Cpu::of(&processes);
    let seen = load::run(subject, load)?;
    subject.settle(calls)?;
    let used = Cpu::of(&processes).since(&before);
    figures.cpu.push(nanos(used) / load.calls() as i64);
    figures.rate.push((load.calls() as f64 / seen.elapsed.as_secs_f64()) as i64);
    figures.whole.add(seen.took.iter().map(|took| took.whole));
    figures.first_byte.add(seen.took.iter().map(|took| took.first_byte));
    figures.chunk.add(seen.chunks.iter().copied());
    Ok(())
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
