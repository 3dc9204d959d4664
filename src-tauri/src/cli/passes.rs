//! `tollgate passes`: local access secrets, each shown once.

use std::io::{self, Write as _};

use anyhow::Context as _;
use api::passes::{MadePass, NewPass, Pass, passes};
use api::period::Here;
use axum::http::Method;
use clap::{Args, Subcommand};

use super::figure::instant;
use super::filters::here;
use super::screen::{FAINT, PLAIN, STRONG, Screen, painted};
use super::table::{self, Align, Cell, Column};

/// Makes, lists and revokes passes: access secrets of this Tollgate, worthless elsewhere.
#[derive(Debug, Args)]
pub(crate) struct PassesArgs {
    #[command(subcommand)]
    command: PassesCommand,
}

#[derive(Debug, Subcommand)]
enum PassesCommand {
    /// Lists all passes, oldest first
    List {
        /// Print one pass a line, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Makes a pass and shows its secret, this once
    #[command(after_help = "Examples:
  tollgate passes add notebook
  tollgate passes add grafana --scope usage:read
  tollgate passes add ci --workspace client-a --expires 2027-01-01")]
    Add(AddArgs),
    /// Takes a pass back, for good; its label stays on the receipts it left
    Revoke {
        /// The pass
        #[arg(value_name = "LABEL")]
        label: String,
        /// Print the pass as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Its name on receipts; never used twice
    #[arg(value_name = "LABEL")]
    label: String,
    /// What it may do: `call` models, `usage:read`, `manage` [default: call]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// What its calls are counted in [default: personal]
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// When it ends by itself
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Print the pass with its secret as one JSON object
    #[arg(long)]
    json: bool,
}

impl PassesArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            PassesCommand::List { json } => list(*json),
            PassesCommand::Add(args) => args.run(),
            PassesCommand::Revoke { label, json } => revoke(label, *json),
        }
    }
}

fn list(json: bool) -> anyhow::Result<()> {
    let passes = passes(&super::ledger()?)?;
    let mut screen = Screen::take();
    if json {
        passes.iter().try_for_each(|pass| screen.json(pass))?;
    } else if passes.is_empty() {
        super::remark("There are no passes yet. Make one with `tollgate passes add LABEL`.");
    } else {
        print(&mut screen, &passes, here())?;
    }
    Ok(screen.flush()?)
}

const COLUMNS: &[Column] = &[
    Column::new("label", Align::Left, 0).cut(12),
    Column::new("may", Align::Left, 0),
    Column::new("workspace", Align::Left, 2).cut(10),
    Column::new("state", Align::Left, 0),
    Column::new("made", Align::Left, 4),
    Column::new("last used", Align::Left, 3),
];

fn print(screen: &mut Screen, passes: &[Pass], here: Here) -> io::Result<()> {
    let rows: Vec<Vec<Cell>> = passes
        .iter()
        .map(|pass| {
            let (state, style) = match (pass.revoked, pass.expires) {
                (Some(_), _) => ("revoked".to_owned(), FAINT),
                (None, Some(end)) if end <= here.now => ("expired".to_owned(), FAINT),
                (None, Some(end)) => (format!("until {}", instant(end, here.zone)), PLAIN),
                (None, None) => ("valid".to_owned(), PLAIN),
            };
            let used = pass.last_used.map(|at| instant(at, here.zone));
            vec![
                Cell::new(&pass.label).style(style),
                Cell::new(pass.scopes.join(" ")).style(style),
                Cell::new(&pass.workspace).style(style),
                Cell::new(state).style(style),
                Cell::new(instant(pass.created_at, here.zone)).style(style),
                Cell::optional(used.as_deref()).style(style),
            ]
        })
        .collect();
    table::print(screen, COLUMNS, &rows)
}

impl AddArgs {
    fn run(&self) -> anyhow::Result<()> {
        let here = here();
        let expires = match &self.expires {
            Some(text) => Some(here.instant(text).with_context(|| {
                format!("cannot use `{text}` for --expires\nhint: {}", api::period::INSTANT_SHAPES)
            })?),
            None => None,
        };
        let new = NewPass {
            label: self.label.clone(),
            workspace: self.workspace.clone(),
            scopes: (!self.scopes.is_empty()).then(|| self.scopes.clone()),
            expires,
        };
        let made: MadePass = super::change(Method::POST, "/api/v1/passes", Some(&new))?;
        let mut screen = Screen::take();
        if self.json {
            screen.json(&made)?;
        } else {
            let said =
                format!("Pass `{}`, may {}.", made.pass.label, made.pass.scopes.join(" and "));
            super::remark(&format!("{said} Its secret cannot be shown again:"));
            writeln!(screen, "{}", painted(STRONG, &made.secret))?;
        }
        Ok(screen.flush()?)
    }
}

fn revoke(label: &str, json: bool) -> anyhow::Result<()> {
    // A label with anything else in it is none, and must not become another path.
    if label.is_empty() || !label.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    {
        anyhow::bail!("there is no pass `{label}`\nhint: `tollgate passes list` shows them");
    }
    let path = format!("/api/v1/passes/{label}");
    let pass: Pass = super::change(Method::DELETE, &path, None::<&()>)?;
    if json {
        let mut screen = Screen::take();
        screen.json(&pass)?;
        screen.flush()?;
    } else {
        super::remark(&format!("Pass `{}` is revoked.", pass.label));
    }
    Ok(())
}
