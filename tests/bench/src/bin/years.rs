//! What a ledger of years costs to keep: opening it, writing another receipt.

use std::path::PathBuf;

use bench::upkeep;
use clap::Parser;

/// Measures the writing side of a ledger, which gets some more receipts by that.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The home whose ledger is written
    home: PathBuf,
    /// Receipts of a busy time
    #[arg(long, default_value_t = 50_000)]
    receipts: u64,
    /// Receipts that come one at a time
    #[arg(long, default_value_t = 500)]
    single: u64,
}

fn main() -> anyhow::Result<()> {
    let Arguments { home, receipts, single } = Arguments::parse();
    upkeep::run(&home, receipts, single)
}
