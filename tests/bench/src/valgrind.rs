//! Counts what a work does, by running this program again under valgrind.

use std::io::ErrorKind;
use std::process::Command;

use anyhow::{Context, ensure};

/// Repetitions; the first is taken off, so that set-up does not count.
const REPEATS: u64 = 5;

/// Of one repetition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) instructions: u64,
    pub(crate) allocations: u64,
}

/// Counts work number `at`. `None`: there is no valgrind.
pub(crate) fn counts(at: usize) -> anyhow::Result<Option<Counts>> {
    let callgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let Some(instructions) = per_repetition(callgrind, at, instructions)? else { return Ok(None) };
    let dhat = ["--tool=dhat", "--dhat-out-file=/dev/null"];
    let allocations = per_repetition(dhat, at, allocations)?;
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
    let number = said.lines().find_map(figure).map(|number| number.replace(',', ""));
    let number = number.and_then(|number| number.trim().parse().ok());
    Ok(Some(number.context("valgrind counted nothing")?))
}

/// Of callgrind's `Collected : 1234`.
fn instructions(line: &str) -> Option<&str> {
    line.split("Collected : ").nth(1)
}

/// Of dhat's `Total: 1,234 bytes in 56 blocks`.
fn allocations(line: &str) -> Option<&str> {
    line.split("Total:").nth(1)?.split(" bytes in ").nth(1)?.strip_suffix(" blocks")
}
