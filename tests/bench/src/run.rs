//! The whole run: starts the subjects, measures, verifies the receipts, prints.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use crate::case::Case;
use crate::load::Load;
use crate::machine::{self, Others};
use crate::measure::{Calls, rounds};
use crate::memory;
use crate::peer::Peer;
use crate::report::Report;
use crate::subject::Subject;
use crate::table::size;
use crate::{answers, nginx, tollgate};

/// How much to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each subject takes its turn.
    pub rounds: usize,
    /// Calls are multiplied by this much, in percent.
    pub percent: usize,
    /// Who stays at home.
    pub without: Vec<Baseline>,
    /// Who comes in addition.
    pub with: Vec<Peer>,
    /// What to do where others use the machine.
    pub loaded: Loaded,
}

/// What to do on a machine that other programs use, where figures come out too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// Measure nothing.
    Refuse,
    /// Measure and say so above and below the table.
    Warn,
}

/// Who takes part besides the bare upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Baseline {
    /// nginx's `proxy_pass`.
    Nginx,
    /// Tollgate itself.
    Tollgate,
}

/// Between two chunks of a stream that a model makes; a fast model.
pub(crate) const PAUSE: Duration = Duration::from_millis(2);

/// Measures and prints the table.
pub fn run(plan: &Plan) -> anyhow::Result<()> {
    let early_warning = machine_is_free(plan.loaded)?;
    let subjects = start(plan)?;
    let began = Instant::now();
    let ours = std::iter::once(std::process::id());
    let others = Others::watch(ours.chain(subjects.iter().flat_map(Subject::processes)).collect());
    let mut calls = Calls::none(&subjects);
    let mut memory = memory::idle(&subjects);
    for (at, subject) in subjects.iter().enumerate() {
        calls.add(at, answers::check(subject)?);
    }
    let mut report = Report::new(&subjects);
    loads(plan, &subjects, &mut calls, &mut report)?;
    eprintln!("measuring memory");
    memory::peaks(&subjects, &mut calls, &mut memory)?;
    report.memory(&memory);

    println!("{}", machine::description());
    for subject in &subjects {
        let share = match subject.share {
            100 => String::new(),
            share => format!("; {share} % of the calls"),
        };
        println!("{}: {}{share}", subject.name, subject.version);
    }
    let warnings: Vec<String> = [early_warning, others.warning()].into_iter().flatten().collect();
    let warn = || warnings.iter().for_each(|warning| println!("{warning}"));
    warn();
    println!("\n{report}");
    println!("{} rounds in {:.0} s, medians", plan.rounds, began.elapsed().as_secs_f64());
    warn();
    verify(&subjects, &calls)
}

/// A warning for the table if it is not, and the user wants to measure all the same.
fn machine_is_free(loaded: Loaded) -> anyhow::Result<Option<String>> {
    let Some(load) = machine::load_warning() else { return Ok(None) };
    match loaded {
        Loaded::Refuse => bail!(
            "the machine is loaded: {load}\nWait until they are done, or measure all the same: \
             `make bench ARGS=\"--anyway\"`"
        ),
        Loaded::Warn => {
            let warning = format!("LOADED MACHINE: before the run {load}");
            eprintln!("{warning}");
            Ok(Some(warning))
        }
    }
}

fn start(plan: &Plan) -> anyhow::Result<Vec<Subject>> {
    let wanted = |baseline| !plan.without.contains(&baseline);
    let mut subjects = vec![Subject::upstream()?];
    if wanted(Baseline::Nginx) {
        subjects.push(nginx::start(&subjects[0])?);
    }
    for peer in &plan.with {
        subjects.push(peer.start(&subjects[0])?);
    }
    if wanted(Baseline::Tollgate) {
        subjects.push(tollgate::start(&subjects[0])?);
    }
    Ok(subjects)
}

fn loads(
    plan: &Plan,
    subjects: &[Subject],
    calls: &mut Calls,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut measure = |title: &str, case, at_once, each: usize| {
        let load = Load { case, at_once, each: (each * plan.percent).div_ceil(100) };
        eprintln!("measuring: {title}, {at_once} at a time");
        let figures = rounds(subjects, calls, load, plan.rounds)?;
        report.cpu(title, load, &figures);
        match (case, at_once) {
            (Case::Call, _) => {
                report.whole(&figures);
                report.rate(&figures);
            }
            (Case::Stream | Case::AssistedStream, 1) => {
                report.whole(&figures);
                report.first_byte(&figures);
            }
            // All at once and no pause: a queue, whose length says nothing about a call.
            (Case::Stream | Case::AssistedStream, _) => report.rate(&figures),
            (Case::Paced(_), _) => {
                report.first_byte(&figures);
                report.chunk(&figures);
            }
        }
        anyhow::Ok(())
    };
    measure("call", Case::Call, 1, 3000)?;
    measure("call", Case::Call, 32, 200)?;
    measure("stream of 200 chunks", Case::Stream, 1, 600)?;
    measure("stream of 200 chunks", Case::Stream, 32, 40)?;
    measure("the same with usage assist", Case::AssistedStream, 1, 600)?;
    measure("the same, a chunk each 2 ms", Case::Paced(PAUSE), 1, 4)?;
    measure("the same, a chunk each 2 ms", Case::Paced(PAUSE), 32, 4)
}

/// Every call has a receipt, and every receipt says what the upstream said.
fn verify(subjects: &[Subject], calls: &Calls) -> anyhow::Result<()> {
    for (at, subject) in subjects.iter().enumerate() {
        let Some(ledger) = &subject.ledger else { continue };
        ledger.wait_for(calls.to(at))?;
        let receipts = ledger.receipts()?;
        let each = ledger.size().checked_div(receipts.count).unwrap_or_default();
        println!(
            "{}: {} calls, {} receipts, {} with the exact tokens, {} with a cost; {} on disk, {each} bytes a receipt",
            subject.name,
            calls.to(at),
            receipts.count,
            receipts.exact,
            receipts.priced,
            size(ledger.size()),
        );
        let complete = receipts.count == calls.to(at) && receipts.exact == receipts.count;
        ensure!(complete, "the receipts of {} are not complete", subject.name);
    }
    Ok(())
}
