//! How long the questions of the pages take.

use std::path::PathBuf;

use bench::heavy_use::{self, HeavyUse};
use clap::Parser;

/// Asks a ledger what the pages ask.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The home whose ledger is asked [default: one that is made for it]
    home: Option<PathBuf>,
    /// Receipts of a ledger that is made for it
    #[arg(long, default_value_t = 1_000_000)]
    receipts: u64,
    /// Over how many days those are spread
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// How often each question is asked
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Only views whose names contain this
    #[arg(long)]
    only: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let Arguments { home, receipts, days, rounds, only } = Arguments::parse();
    if let Some(home) = home {
        return bench::views::run(&home, rounds, only.as_deref());
    }
    let home = tempfile::tempdir()?;
    let uses = HeavyUse::new(receipts, days, heavy_use::now(), 1);
    heavy_use::write_ledger(home.path(), uses)?;
    bench::views::run(home.path(), rounds, only.as_deref())
}
