//! `tollgate exports`: exports that a running Tollgate makes in the background.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::exports::{ExportJob, ExportJobs, ExportStatus};
use api::problem::ErrorBody;
use api::query::Question;
use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::export::beside;
use super::figure::{bytes, grouped, short_instant};
use super::filters::{Filters, Parameters, here, zone};
use super::screen::{BAD, GOOD, ODD, PLAIN, Screen};
use super::table::{self, Align, Cell, Column};
use super::{change, home, remark, wait_for};
use crate::control;

/// Exports that the running Tollgate makes in the background, and keeps for a week.
///
/// `tollgate export` writes one at once instead, and needs no running Tollgate.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate exports                                     how far they are
  tollgate exports start --format csv --from 2026-11-01 --to 2026-12-01
  tollgate exports start --form hourly --last 3mo --wait
  tollgate exports fetch 12
  tollgate exports cancel 12")]
pub(crate) struct ExportsArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows what there is and how far it is; what is meant without a word
    List,
    Start(Box<StartArgs>),
    /// Ends one that waits or is made; leaves no file
    Cancel {
        /// Its number
        id: u64,
    },
    Fetch(FetchArgs),
    /// Forgets one, and its file
    Remove {
        /// Its number
        id: u64,
    },
}

/// Orders one from the running Tollgate
#[derive(Debug, Args)]
struct StartArgs {
    /// `csv`, `jsonl` or `xlsx`
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    format: String,
    /// One row each of the `requests`, or `hourly` sums by model, key, pass, …
    #[arg(long, value_name = "FORM", default_value = "requests")]
    form: String,
    /// Say costs in this currency too, in columns of their own
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Wait until it is done
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    filters: Filters,
}

/// Copies the file of one that is done
#[derive(Debug, Args)]
struct FetchArgs {
    /// Its number
    id: u64,
    /// Replace this file instead of writing one of the export's own name here
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Between two looks at one that is waited for.
const LOOK: Duration = Duration::from_millis(200);

impl ExportsArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.action {
            None | Some(Action::List) => self.list(),
            Some(Action::Start(start)) => {
                let job = start.order()?;
                let job = if start.wait { follow(job)? } else { job };
                self.show(&job)?;
                must_not_have_failed(&job)
            }
            Some(Action::Cancel { id }) => {
                let path = format!("/api/v1/exports/{id}/cancel");
                self.show(&change(Method::POST, &path, None::<&Value>)?)
            }
            Some(Action::Fetch(fetch)) => fetch.copy(),
            Some(Action::Remove { id }) => {
                let path = format!("/api/v1/exports/{id}");
                let _left: ExportJobs = change(Method::DELETE, &path, None::<&Value>)?;
                Ok(())
            }
        }
    }

    fn list(&self) -> anyhow::Result<()> {
        let jobs = all()?;
        let mut screen = Screen::take();
        if self.json {
            for job in &jobs {
                screen.json(job)?;
            }
        } else if !jobs.is_empty() {
            let rows: Vec<Vec<Cell>> = jobs.iter().map(row).collect();
            table::print(&mut screen, &COLUMNS, &rows)?;
        }
        screen.flush()?;
        if jobs.is_empty() {
            remark("There are no exports; `tollgate exports start` orders one");
        }
        Ok(())
    }

    fn show(&self, job: &ExportJob) -> anyhow::Result<()> {
        let mut screen = Screen::take();
        match self.json {
            true => screen.json(job)?,
            false => {
                writeln!(screen, "Export {} is {}: {}", job.id, job.status.as_str(), job.name)?
            }
        }
        Ok(screen.flush()?)
    }
}

/// Every export, newest first.
fn all() -> anyhow::Result<Vec<ExportJob>> {
    let (mut jobs, mut path) = (Vec::new(), "/api/v1/exports?limit=1000".to_owned());
    loop {
        let page: ExportJobs = change(Method::GET, &path, None::<&Value>)?;
        jobs.extend(page.exports);
        let Some(next) = page.next else { return Ok(jobs) };
        path = format!("/api/v1/exports?limit=1000&before={next}");
    }
}

fn one(id: u64) -> anyhow::Result<ExportJob> {
    change(Method::GET, &format!("/api/v1/exports/{id}"), None::<&Value>)
}

const COLUMNS: [Column; 7] = [
    Column::new("Export", Align::Right, 0),
    Column::new("Status", Align::Left, 0),
    Column::new("Rows", Align::Right, 1),
    Column::new("Size", Align::Right, 2),
    Column::new("Ordered", Align::Left, 3),
    Column::new("File", Align::Left, 0).cut(20),
    Column::new("", Align::Left, 4).cut(10),
];

fn row(job: &ExportJob) -> Vec<Cell> {
    let status = match job.status {
        ExportStatus::Done => GOOD,
        ExportStatus::Waiting | ExportStatus::Running | ExportStatus::Cancelled => PLAIN,
        ExportStatus::Interrupted => ODD,
        ExportStatus::Failed => BAD,
    };
    vec![
        Cell::new(job.id.to_string()),
        Cell::new(job.status.as_str()).style(status),
        Cell::new(rows(job)),
        Cell::new(bytes(job.bytes)),
        Cell::new(short_instant(job.ordered_at, here())),
        Cell::new(&job.name),
        Cell::optional(job.problem.as_deref()),
    ]
}

fn rows(job: &ExportJob) -> String {
    match job.rows_expected.filter(|_| job.status.is_under_way()) {
        Some(all) => format!("{} of {}", grouped(job.rows), grouped(all)),
        None => grouped(job.rows),
    }
}

impl StartArgs {
    /// Orders it. Only what goes on running can make it.
    fn order(&self) -> anyhow::Result<ExportJob> {
        let own = [("format", self.format.clone()), ("form", self.form.clone())];
        let currency = self.currency.clone().map(|currency| ("currency", currency));
        let own: Parameters = own.into_iter().chain(currency).collect();
        // What is wrong is said here, in the words of the command line.
        self.filters.query(Question::Export, own.clone())?;
        let mut order: Map<String, Value> = Map::new();
        for (name, value) in own {
            order.insert(name.to_owned(), value.into());
        }
        for (name, value) in self.filters.parameters() {
            let values = order.entry(name).or_insert_with(|| json!([]));
            values.as_array_mut().into_iter().for_each(|all| all.push(value.clone().into()));
        }
        order.entry("tz").or_insert_with(|| zone().name().into());
        let (home, order) = (home()?, Value::from(order));
        let sent = control::send_to_holder(&home, Method::POST, "/api/v1/exports", Some(&order));
        let (status, answer) = wait_for(sent)?.map_err(|error| {
            error.context(
                "no Tollgate runs here that could make it\nhint: start one with `tollgate serve`; `tollgate export` writes a file without one",
            )
        })?;
        if status.is_success() {
            return Ok(serde_json::from_value(answer)?);
        }
        Err(serde_json::from_value::<ErrorBody>(answer)?.error.into())
    }
}

/// Waits until it is over.
fn follow(mut job: ExportJob) -> anyhow::Result<ExportJob> {
    let shows_progress = io::stderr().is_terminal();
    while job.status.is_under_way() {
        if shows_progress {
            // A terminal that is gone is no reason to stop.
            let _ = write!(io::stderr(), "\r{} rows", rows(&job));
        }
        std::thread::sleep(LOOK);
        job = one(job.id)?;
    }
    if shows_progress {
        let _ = writeln!(io::stderr(), "\r{} rows, {}", rows(&job), bytes(job.bytes));
    }
    Ok(job)
}

fn must_not_have_failed(job: &ExportJob) -> anyhow::Result<()> {
    match job.status {
        ExportStatus::Waiting | ExportStatus::Running | ExportStatus::Done => Ok(()),
        ExportStatus::Failed | ExportStatus::Cancelled | ExportStatus::Interrupted => {
            let why = job.problem.as_deref().unwrap_or("somebody cancelled it");
            bail!("export `{}` is {}: {why}", job.id, job.status.as_str())
        }
    }
}

impl FetchArgs {
    fn copy(&self) -> anyhow::Result<()> {
        let job = one(self.id)?;
        if job.status != ExportStatus::Done {
            let status = job.status.as_str();
            bail!(
                "export `{}` has no file: it is {status}\nhint: only what is `done` can be fetched",
                job.id
            );
        }
        let to = match &self.output {
            Some(path) => path.clone(),
            None => PathBuf::from(&job.name),
        };
        if self.output.is_none() && to.exists() {
            bail!("`{}` is there already\nhint: name a file: -o FILE", to.display());
        }
        let from = home()?.exports().join(format!("{}-{}", job.id, job.name));
        let mut file =
            File::open(&from).with_context(|| format!("could not read `{}`", from.display()))?;
        let (mut part, folder) = beside(&to)?;
        io::copy(&mut file, &mut part)
            .and_then(|_| part.as_file().sync_all())
            .with_context(|| format!("could not write into `{}`", folder.display()))?;
        part.persist(&to).with_context(|| format!("could not replace `{}`", to.display()))?;
        remark(&format!("Wrote {}, {}", to.display(), bytes(job.bytes)));
        Ok(())
    }
}
