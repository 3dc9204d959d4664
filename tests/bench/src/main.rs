//! The benchmark's command line.

use std::time::Duration;

use bench::steady::Steady;
use bench::{Baseline, Loaded, Peer, Plan, run, upstream};
use clap::{Parser, Subcommand};

/// Measures Tollgate next to nginx and the bare upstream.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// How often each subject takes its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Makes the rounds shorter or longer than usual
    #[arg(long, default_value_t = 100)]
    percent: usize,
    /// Leaves one out
    #[arg(long)]
    without: Vec<Baseline>,
    /// Measures one more, which is installed below `target/` on first use
    #[arg(long)]
    with: Vec<Peer>,
    /// Measures on a loaded machine too, and says so with the table
    #[arg(long)]
    anyway: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the bare upstream
    #[command(hide = true)]
    Upstream,
    /// Short calls without a pause, and the account of their receipts
    Steady {
        /// For how long
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// Connections, each with one call in flight
        #[arg(long, default_value_t = 64)]
        at_once: usize,
        /// No more calls a second than this
        #[arg(long)]
        most: Option<u64>,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Upstream) => upstream::serve(),
        Some(Command::Steady { seconds, at_once, most }) => {
            let time = Duration::from_secs(seconds);
            Steady { time, at_once, most_a_second: most }.run()
        }
        None => run(&Plan {
            rounds: arguments.rounds,
            percent: arguments.percent,
            without: arguments.without,
            with: arguments.with,
            loaded: if arguments.anyway { Loaded::Warn } else { Loaded::Refuse },
        }),
    }
}
