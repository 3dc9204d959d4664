//! What reading answers and requests, rating and recording cost by themselves.

use bench::micro::Keep;
use clap::{Parser, Subcommand};

/// Measures the readers, each wire format alone, then rating and recording.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Writes the counts down for the next time
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do one work so many times
    #[command(hide = true)]
    Repeat { work: usize, times: u64 },
    /// Be the bare upstream
    #[command(hide = true)]
    Upstream,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Repeat { work, times }) => bench::micro::repeat(work, times),
        Some(Command::Upstream) => bench::upstream::serve()?,
        None => bench::micro::run(if arguments.keep { Keep::Yes } else { Keep::No })?,
    }
    Ok(())
}
