//! The command line: one file per subcommand. Arguments become questions and changes of
//! the `api` crate; answers go to standard output, everything else to standard error.

mod alerts;
mod backup;
mod budgets;
mod completions;
pub(crate) mod demo;
mod deployments;
mod doctor;
mod exchange;
mod export;
mod exports;
pub(crate) mod figure;
mod filters;
mod inspect;
mod keys;
pub(crate) mod limits;
mod manual;
mod open;
mod paper;
mod passes;
mod performance;
mod prices;
mod prune;
mod report;
mod reprice;
mod requests;
mod routes;
mod screen;
mod show;
mod surroundings;
mod table;
mod usage;
mod words;
mod workspaces;

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
#[command(name = "tollgate", version)]
#[cfg_attr(not(feature = "desktop"), command(arg_required_else_help = true))]
#[command(after_help = "Begin with:
  tollgate serve                    start the gateway, see its addresses
  tollgate demo                     a first receipt, without key or network
  tollgate requests --follow        watch calls come in

TOLLGATE_HOME says where the data lives. Exit codes: 0 fine, 1 failed, 2 wrong usage.")]
pub(crate) struct Arguments {
    /// Without a command: start in the tray, without opening the window
    #[cfg(feature = "desktop")]
    #[arg(long)]
    hidden: bool,
    /// The window's own process, started by the one in the tray
    #[cfg(feature = "desktop")]
    #[arg(long, value_name = "PAGE", hide = true)]
    window: Option<String>,
    /// None opens the window
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeArgs),
    Open(open::OpenArgs),
    Demo(demo::DemoArgs),
    Requests(requests::RequestsArgs),
    Show(show::ShowArgs),
    Usage(usage::UsageArgs),
    Performance(performance::PerformanceArgs),
    Export(export::ExportArgs),
    Exports(exports::ExportsArgs),
    Alerts(alerts::AlertsArgs),
    Budgets(budgets::BudgetsArgs),
    Deployments(deployments::DeploymentsArgs),
    Routes(routes::RoutesArgs),
    Keys(keys::KeysArgs),
    Limits(limits::LimitsArgs),
    Passes(passes::PassesArgs),
    Inspect(inspect::InspectArgs),
    Workspaces(workspaces::WorkspacesArgs),
    Prices(prices::PricesArgs),
    Report(report::ReportArgs),
    Reprice(reprice::RepriceArgs),
    Exchange(exchange::ExchangeArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Merge(backup::MergeArgs),
    Prune(prune::PruneArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Manual(manual::ManualArgs),
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
        None => window(&arguments),
        Some(Command::Serve(args)) => app::serve(&args.listen),
        Some(Command::Open(args)) => args.run(),
        Some(Command::Demo(args)) => args.run(),
        Some(Command::Requests(args)) => args.run(),
        Some(Command::Show(args)) => args.run(),
        Some(Command::Usage(args)) => args.run(),
        Some(Command::Performance(args)) => args.run(),
        Some(Command::Export(args)) => args.run(),
        Some(Command::Exports(args)) => args.run(),
        Some(Command::Alerts(args)) => args.run(),
        Some(Command::Budgets(args)) => args.run(),
        Some(Command::Deployments(args)) => args.run(),
        Some(Command::Routes(args)) => args.run(),
        Some(Command::Keys(args)) => args.run(),
        Some(Command::Limits(args)) => args.run(),
        Some(Command::Passes(args)) => args.run(),
        Some(Command::Inspect(args)) => args.run(),
        Some(Command::Workspaces(args)) => args.run(),
        Some(Command::Prices(args)) => args.run(),
        Some(Command::Report(args)) => args.run(),
        Some(Command::Reprice(args)) => args.run(),
        Some(Command::Exchange(args)) => args.run(),
        Some(Command::Backup(args)) => args.run(),
        Some(Command::Restore(args)) => args.run(),
        Some(Command::Merge(args)) => args.run(),
        Some(Command::Prune(args)) => args.run(),
        Some(Command::Doctor(args)) => args.run(),
        Some(Command::Completions(args)) => args.run(),
        Some(Command::Manual(args)) => args.run(),
    };
    done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

#[cfg(feature = "desktop")]
fn window(arguments: &Arguments) -> anyhow::Result<()> {
    use crate::desktop::{self, Start};
    if let Some(page) = &arguments.window {
        return desktop::run_window(page);
    }
    desktop::run(if arguments.hidden { Start::Hidden } else { Start::Shown })
}

#[cfg(not(feature = "desktop"))]
fn window(_: &Arguments) -> anyhow::Result<()> {
    anyhow::bail!("this Tollgate was built without a window\nhint: run `tollgate serve`")
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
pub(crate) fn remark(sentence: &str) {
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
