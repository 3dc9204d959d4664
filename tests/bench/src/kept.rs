//! The counts that are kept in the repository, so that a change shows what it costs: they are the
//! same on every machine, but for what another compiler makes of the same lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::table::thousands;
use crate::valgrind::Counts;

const HEAD: &str = "\
# What things cost: instructions and allocations

Counted by valgrind (`make bench-micro`), each for one. `make counts` writes this file anew: do that
with a change that moves a line by more than a percent or two, and say why in its message.

| | instructions | allocations |
|---|---:|---:|
";

/// What was counted when the file was written last, by name.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<String, Counts>);

impl Kept {
    /// Nothing, where there is no such file.
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(path()).unwrap_or_default();
        Self(text.lines().filter_map(row).collect())
    }

    /// How much more it is now, for people.
    pub(crate) fn change(&self, name: &str, now: Counts) -> String {
        match self.0.get(name) {
            Some(before) => change(before.instructions, now.instructions),
            None => "new".to_owned(),
        }
    }
}

/// Writes what was counted now.
pub(crate) fn write(counted: &[(String, Counts)]) -> anyhow::Result<()> {
    let row = |(name, counts): &(String, Counts)| {
        let Counts { instructions, allocations } = *counts;
        format!("| {name} | {} | {} |\n", thousands(instructions), thousands(allocations))
    };
    let rows: String = counted.iter().map(row).collect();
    fs::write(path(), format!("{HEAD}{rows}")).context("the counts could not be written")
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "COUNTS.md"].iter().collect()
}

fn row(line: &str) -> Option<(String, Counts)> {
    let mut cells = line.split('|').map(str::trim).skip(1);
    let name = cells.next()?.to_owned();
    let mut number = || cells.next()?.replace(',', "").parse().ok();
    Some((name, Counts { instructions: number()?, allocations: number()? }))
}

fn change(before: u64, now: u64) -> String {
    let tenths = (now as f64 / before.max(1) as f64 - 1.0) * 100.0;
    format!("{tenths:+.1} %")
}
