//! The command line: one file per subcommand. Arguments become questions and changes of
//! the `api` crate; answers go to standard output, everything else to standard error.

mod export;
mod figure;
mod filters;
mod paper;
mod prices;
mod requests;
mod screen;
mod show;
mod table;
mod usage;
mod words;

use std::io::{self, Write as _};
use std::process::ExitCode;

use api::problem::{Code, Problem};
use clap::{Parser, Subcommand};
use store::Questions;

use crate::home::Home;

/// Lets your LLM calls through and keeps the receipts.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true)]
#[command(after_help = "Begin with:
  tollgate serve                    start the gateway, see its addresses
  tollgate demo                     a first receipt, without key or network
  tollgate requests --follow        watch calls come in

TOLLGATE_HOME says where the data lives. Exit codes: 0 fine, 1 failed, 2 wrong usage.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Usage(usage::UsageArgs),
    Requests(requests::RequestsArgs),
    Show(show::ShowArgs),
    Export(export::ExportArgs),
    Prices(prices::PricesArgs),
}

/// Does what the process's arguments ask for.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Usage(args) => args.run(),
        Command::Requests(args) => args.run(),
        Command::Show(args) => args.run(),
        Command::Export(args) => args.run(),
        Command::Prices(args) => args.run(),
    };
    done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

/// The home's ledger, for questions.
fn ledger() -> anyhow::Result<Questions> {
    Ok(Questions::open(home()?.path())?)
}

fn home() -> anyhow::Result<Home> {
    Home::find()
}

/// A sentence beside the answer.
fn remark(sentence: &str) {
    // Standard error may be closed; that is no reason to fail.
    let _ = writeln!(io::stderr(), "{sentence}");
}

/// Says what went wrong: the sentence, what led to it, and hints at the end.
fn failed(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let mut hints = Vec::new();
    for (at, cause) in error.chain().enumerate() {
        let text = cause.to_string();
        let mut lines = text.lines();
        let sentence = screen::harmless(lines.next().unwrap_or_default());
        remark(&if at == 0 { format!("error: {sentence}") } else { format!("  because {sentence}") });
        hints.extend(lines.map(screen::harmless));
    }
    hints.iter().for_each(|hint| remark(hint));
    match error.downcast_ref::<Problem>().map(|problem| problem.code) {
        Some(Code::BadParameter) => ExitCode::from(2),
        Some(_) | None => ExitCode::FAILURE,
    }
}

/// Whoever read our output has had enough: `tollgate requests | head` is fine.
fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    cause.downcast_ref::<io::Error>().is_some_and(broken)
        || cause.downcast_ref::<serde_json::Error>().is_some_and(|error| {
            error.io_error_kind() == Some(io::ErrorKind::BrokenPipe)
        })
}
