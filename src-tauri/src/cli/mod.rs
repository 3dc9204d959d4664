//! The command line: one file per subcommand. Arguments become questions and changes of
//! the `api` crate; answers go to standard output, everything else to standard error.

mod completions;
mod demo;
mod doctor;
mod exchange;
mod export;
mod figure;
mod filters;
mod paper;
mod passes;
mod prices;
mod reprice;
mod requests;
mod screen;
mod show;
mod table;
mod usage;
mod words;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use api::problem::{Code, ErrorBody, Problem};
use axum::http::Method;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::Questions;

pub(crate) use self::filters::zone;

use crate::home::Home;
use crate::{app, control};

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
    Serve(ServeArgs),
    Demo(demo::DemoArgs),
    Requests(requests::RequestsArgs),
    Show(show::ShowArgs),
    Usage(usage::UsageArgs),
    Export(export::ExportArgs),
    Passes(passes::PassesArgs),
    Prices(prices::PricesArgs),
    Reprice(reprice::RepriceArgs),
    Exchange(exchange::ExchangeArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
}

/// Runs the gateway until told to stop; prints where to reach it.
#[derive(Debug, Args)]
struct ServeArgs {
    /// Listen here instead of where `config.toml` says; may repeat
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
}

/// Does what the process's arguments ask for.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Serve(args) => app::serve(&args.listen),
        Command::Demo(args) => args.run(),
        Command::Requests(args) => args.run(),
        Command::Show(args) => args.run(),
        Command::Usage(args) => args.run(),
        Command::Export(args) => args.run(),
        Command::Passes(args) => args.run(),
        Command::Prices(args) => args.run(),
        Command::Reprice(args) => args.run(),
        Command::Exchange(args) => args.run(),
        Command::Doctor(args) => args.run(),
        Command::Completions(args) => args.run(),
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

/// Changes something through the one writer there is, running or not.
fn change<T: DeserializeOwned>(
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
) -> anyhow::Result<T> {
    let body = body.map(serde_json::to_value).transpose()?;
    let home = home()?;
    let (status, answer) = wait_for(control::send(&home, method, path, body.as_ref()))??;
    if status.is_success() {
        return Ok(serde_json::from_value(answer)?);
    }
    let refused: ErrorBody = serde_json::from_value(answer)?;
    Err(refused.error.into())
}

/// Waits for something that is done asynchronously.
fn wait_for<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
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
        remark(&if at == 0 {
            format!("error: {sentence}")
        } else {
            format!("  because {sentence}")
        });
        hints.extend(lines.map(screen::harmless));
    }
    hints.iter().for_each(|hint| remark(hint));
    match error.downcast_ref::<Problem>().map(|problem| problem.code) {
        Some(Code::BadParameter | Code::BadBody) => ExitCode::from(2),
        Some(_) | None => ExitCode::FAILURE,
    }
}

/// Whoever read our output has had enough: `tollgate requests | head` is fine.
fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    cause.downcast_ref::<io::Error>().is_some_and(broken)
        || cause
            .downcast_ref::<serde_json::Error>()
            .is_some_and(|error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
}
