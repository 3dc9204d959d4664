//! Writes a ledger as a heavy user's years leave it, through the same door as the gateway.

use std::path::PathBuf;

use bench::heavy_use::{self, HeavyUse};
use clap::Parser;
use meter::Timestamp;

/// Writes a ledger of synthetic receipts into a home that has none.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The home: a folder without a ledger
    home: PathBuf,
    /// How many receipts
    #[arg(long, default_value_t = 1_000_000)]
    receipts: u64,
    /// Over how many days
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// Before which instant, such as 2026-11-20T12:00:00Z [default: now]
    #[arg(long, value_parser = instant)]
    until: Option<Timestamp>,
    /// Another seed gives other receipts
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write it like 2026-11-20T12:00:00Z".to_owned())
}

fn main() -> anyhow::Result<()> {
    let Arguments { home, receipts, days, until, seed } = Arguments::parse();
    let until = until.unwrap_or_else(heavy_use::now);
    heavy_use::write_ledger(&home, HeavyUse::new(receipts, days, until, seed))?;
    println!("{receipts} receipts in {}", home.display());
    Ok(())
}
