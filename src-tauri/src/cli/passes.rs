//! `tollgate passes`: local access secrets, each shown once.

use std::io::{self, Write as _};

use anyhow::Context as _;
use api::passes::{MadePass, NewPass, Pass, PassTerms, passes};
use api::period::Here;
use axum::http::Method;
use clap::{Args, Subcommand};
use meter::Timestamp;

use super::figure::instant;
use super::filters::here;
use super::screen::{FAINT, PLAIN, STRONG, Screen, painted};
use super::table::{self, Align, Cell, Column};

/// Makes, limits, lists and revokes passes: access secrets of this Tollgate, worthless elsewhere.
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
  tollgate passes add ci --workspace client-a --expires 2027-01-01
  tollgate passes add notes --provider openai --provider anthropic --model 'gpt-4o*'")]
    Add(AddArgs),
    /// Changes what a pass is limited to, when it ends or what it is counted in
    #[command(after_help = "Limits that are given take the place of those there were.

Examples:
  tollgate passes edit ci --model gpt-4o-mini --model 'claude-haiku*'
  tollgate passes edit ci --any-model --expires never")]
    Edit(EditArgs),
    /// Gives a pass another label, also on the receipts it left
    Rename {
        /// The pass
        #[arg(value_name = "LABEL")]
        label: String,
        /// Its new label; none that a pass ever had
        #[arg(value_name = "NEW")]
        new: String,
        /// Print the pass as JSON
        #[arg(long)]
        json: bool,
    },
    /// Takes a pass back, for good; its label stays on the receipts it left
    #[command(
        after_help = "The next call under it is denied. What runs goes on to its end, unless --cut ends it now."
    )]
    Revoke {
        /// The pass
        #[arg(value_name = "LABEL")]
        label: String,
        /// End what runs under it, too
        #[arg(long)]
        cut: bool,
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
    /// Only calls to this provider; may repeat [default: any]
    #[arg(long = "provider", value_name = "ID")]
    providers: Vec<String>,
    /// Only calls of this model, a name or its beginning and `*`; may repeat [default: any]
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// When it ends by itself
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Print the pass with its secret as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EditArgs {
    /// The pass
    #[arg(value_name = "LABEL")]
    label: String,
    /// What its calls are counted in
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Only calls to this provider; may repeat
    #[arg(long = "provider", value_name = "ID")]
    providers: Vec<String>,
    /// Calls to any provider
    #[arg(long, conflicts_with = "providers")]
    any_provider: bool,
    /// Only calls of this model, a name or its beginning and `*`; may repeat
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// Calls of any model
    #[arg(long, conflicts_with = "models")]
    any_model: bool,
    /// When it ends by itself; `never`
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Print the pass as JSON
    #[arg(long)]
    json: bool,
}

impl PassesArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            PassesCommand::List { json } => list(*json),
            PassesCommand::Add(args) => args.run(),
            PassesCommand::Edit(args) => args.run(),
            PassesCommand::Rename { label, new, json } => rename(label, new, *json),
            PassesCommand::Revoke { label, cut, json } => {
                let query = if *cut { "?streams=cut" } else { "" };
                revoke(label, query, *json)
            }
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
    Column::new("only", Align::Left, 1).cut(14),
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
                Cell::new(limits(pass)).style(style),
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
        let expires = self.expires.as_deref().map(end).transpose()?;
        let new = NewPass {
            label: self.label.clone(),
            workspace: self.workspace.clone(),
            scopes: (!self.scopes.is_empty()).then(|| self.scopes.clone()),
            providers: self.providers.clone(),
            models: self.models.clone(),
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

impl EditArgs {
    fn run(&self) -> anyhow::Result<()> {
        let before = find(&self.label)?;
        let given = |given: &[String], any: bool, before: Vec<String>| match given {
            [] if any => Vec::new(),
            [] => before,
            given => given.to_vec(),
        };
        let terms = PassTerms {
            providers: given(&self.providers, self.any_provider, before.providers),
            models: given(&self.models, self.any_model, before.models),
            workspace: self.workspace.clone().unwrap_or(before.workspace),
            expires: match self.expires.as_deref() {
                None => before.expires,
                Some("never") => None,
                Some(text) => Some(end(text)?),
            },
            label: before.label,
        };
        let pass = change(&self.label, &terms)?;
        if self.json {
            return print_json(&pass);
        }
        super::remark(&format!(
            "Pass `{}`, {}, counted in `{}`, {}.",
            pass.label,
            match limits(&pass).as_str() {
                "" => "for any model of any provider".to_owned(),
                limits => format!("for {limits} only"),
            },
            pass.workspace,
            match pass.expires {
                Some(at) => format!("ends {}", instant(at, here().zone)),
                None => "ends never".to_owned(),
            },
        ));
        Ok(())
    }
}

fn end(text: &str) -> anyhow::Result<Timestamp> {
    here().instant(text).with_context(|| {
        format!("cannot use `{text}` for --expires\nhint: {}", api::period::INSTANT_SHAPES)
    })
}

/// What a pass is limited to, in words; nothing if it is not.
fn limits(pass: &Pass) -> String {
    pass.providers.iter().chain(&pass.models).map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn rename(label: &str, new: &str, json: bool) -> anyhow::Result<()> {
    let Pass { workspace, providers, models, expires, .. } = find(label)?;
    let terms = PassTerms { label: new.to_owned(), workspace, providers, models, expires };
    let pass = change(label, &terms)?;
    if json {
        return print_json(&pass);
    }
    super::remark(&format!("Pass `{label}` is called `{}` now.", pass.label));
    Ok(())
}

fn revoke(label: &str, query: &str, json: bool) -> anyhow::Result<()> {
    let path = format!("{}{query}", path(label)?);
    let pass: Pass = super::change(Method::DELETE, &path, None::<&()>)?;
    if json {
        return print_json(&pass);
    }
    let streams = if query.is_empty() { "" } else { ", and what ran under it is cut" };
    super::remark(&format!("Pass `{}` is revoked{streams}.", pass.label));
    Ok(())
}

fn find(label: &str) -> anyhow::Result<Pass> {
    let all = passes(&super::ledger()?)?;
    all.into_iter().find(|pass| pass.label == label).with_context(|| unknown(label))
}

fn change(label: &str, terms: &PassTerms) -> anyhow::Result<Pass> {
    super::change(Method::PUT, &path(label)?, Some(terms))
}

fn path(label: &str) -> anyhow::Result<String> {
    Ok(format!("/api/v1/passes/{}", possible(label)?))
}

/// A label with anything else in it is none, and must not become another path.
pub(super) fn possible(label: &str) -> anyhow::Result<&str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if label.is_empty() || !label.bytes().all(fits) {
        anyhow::bail!(unknown(label));
    }
    Ok(label)
}

fn unknown(label: &str) -> String {
    format!("there is no pass `{label}`\nhint: `tollgate passes list` shows them")
}

fn print_json(pass: &Pass) -> anyhow::Result<()> {
    let mut screen = Screen::take();
    screen.json(pass)?;
    Ok(screen.flush()?)
}
