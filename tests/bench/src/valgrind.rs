//! Counts instructions and allocations: of a work, by running this program again under valgrind,
//! and of a call, by running Tollgate itself under it.

use std::io::ErrorKind;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::case::Case;
use crate::load::{self, Load};
use crate::subject::Subject;
use crate::tollgate;

/// Repetitions; the first is taken off, so that set-up does not count.
const REPEATS: u64 = 5;

const CALLGRIND: [&str; 2] = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
const DHAT: [&str; 2] = ["--tool=dhat", "--dhat-out-file=/dev/null"];
/// Calls of a short run, and how many more a long one makes: enough for many batches of receipts.
const CALLS: usize = 200;
const MORE_CALLS: usize = 1000;

/// Of one repetition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) instructions: u64,
    pub(crate) allocations: u64,
}

/// Counts work number `at`. `None`: there is no valgrind.
pub(crate) fn counts(at: usize) -> anyhow::Result<Option<Counts>> {
    let Some(instructions) = per_repetition(CALLGRIND, at, instructions)? else { return Ok(None) };
    let allocations = per_repetition(DHAT, at, allocations)?;
    Ok(allocations.map(|allocations| Counts { instructions, allocations }))
}

fn per_repetition(
    tool: [&str; 2],
    at: usize,
    figure: fn(&str) -> Option<&str>,
) -> anyhow::Result<Option<u64>> {
    let Some(one) = count(tool, at, 1, figure)? else { return Ok(None) };
    let all = count(tool, at, REPEATS, figure)?;
    Ok(all.map(|all| all.saturating_sub(one) / (REPEATS - 1)))
}

fn count(
    tool: [&str; 2],
    at: usize,
    times: u64,
    figure: fn(&str) -> Option<&str>,
) -> anyhow::Result<Option<u64>> {
    let output = Command::new("valgrind")
        .args(tool)
        .arg(std::env::current_exe()?)
        .args(["repeat", &at.to_string(), &times.to_string()])
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output.context("valgrind cannot be run")?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed:\n{said}");
    number(&said, figure).map(Some)
}

fn number(said: &str, figure: fn(&str) -> Option<&str>) -> anyhow::Result<u64> {
    let number = said.lines().find_map(figure).map(|number| number.replace(',', ""));
    let number = number.and_then(|number| number.trim().parse().ok());
    number.context("valgrind counted nothing")
}

/// Counts what a call through Tollgate comes to in its process, with everything that is done for
/// its receipt until that is in the ledger. What the kernel does is not in it.
pub(crate) fn whole_path(upstream: &Subject, case: Case) -> anyhow::Result<Counts> {
    let of_one = |tool, figure| -> anyhow::Result<u64> {
        let few = of_calls(upstream, case, tool, figure, CALLS)?;
        let many = of_calls(upstream, case, tool, figure, CALLS + MORE_CALLS)?;
        Ok(many.saturating_sub(few) / MORE_CALLS as u64)
    };
    Ok(Counts {
        instructions: of_one(CALLGRIND, instructions)?,
        allocations: of_one(DHAT, allocations)?,
    })
}

fn of_calls(
    upstream: &Subject,
    case: Case,
    tool: [&str; 2],
    figure: fn(&str) -> Option<&str>,
    calls: usize,
) -> anyhow::Result<u64> {
    let subject = tollgate::start_under(upstream, &[&["valgrind"], &tool[..]].concat())?;
    load::run(&subject, Load { case, at_once: 1, each: calls })?;
    number(&subject.end()?, figure)
}

/// Of callgrind's `Collected : 1234`.
fn instructions(line: &str) -> Option<&str> {
    line.split("Collected : ").nth(1)
}

/// Of dhat's `Total: 1,234 bytes in 56 blocks`.
fn allocations(line: &str) -> Option<&str> {
    line.split("Total:").nth(1)?.split(" bytes in ").nth(1)?.strip_suffix(" blocks")
}
