//! `tollgate workspaces`: what calls are counted in, renamed, merged and put away.

use std::io::{self, Write as _};

use api::period::Here;
use api::workspaces::{MergeWorkspace, NamedWorkspace, RenameWorkspace, Workspace, workspaces};
use axum::http::Method;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::figure::instant;
use super::filters::here;
use super::screen::{FAINT, PLAIN, Screen};
use super::table::{self, Align, Cell, Column};

/// Lists, renames, merges and puts away what calls are counted in.
///
/// A workspace exists by being used: by a pass, by /w/NAME/ in front of a path, or by the header
/// x-tollgate-workspace. Its figures: `tollgate usage --by workspace`.
#[derive(Debug, Args)]
pub(crate) struct WorkspacesArgs {
    #[command(subcommand)]
    command: WorkspacesCommand,
}

#[derive(Debug, Subcommand)]
enum WorkspacesCommand {
    /// Lists workspaces; what is archived only with --all
    List {
        /// Those that are archived, too
        #[arg(long)]
        all: bool,
        /// Print one workspace a line, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Gives a workspace another name, for past calls too; its old name leads there
    Rename {
        /// The workspace
        #[arg(value_name = "NAME")]
        workspace: String,
        /// Its new name
        #[arg(value_name = "NEW")]
        to: String,
    },
    /// Counts all of one workspace in another, past calls too; its name leads there
    #[command(after_help = "Example: tollgate workspaces merge client_a client-a")]
    Merge {
        /// The workspace that ends
        #[arg(value_name = "NAME")]
        workspace: String,
        /// The workspace that stays
        #[arg(value_name = "INTO")]
        into: String,
    },
    /// Leaves a workspace out of lists and choices; totals count it, its next call brings it back
    Archive {
        /// The workspace
        #[arg(value_name = "NAME")]
        workspace: String,
    },
    /// Brings an archived workspace back
    Restore {
        /// The workspace
        #[arg(value_name = "NAME")]
        workspace: String,
    },
}

impl WorkspacesArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            WorkspacesCommand::List { all, json } => list(*all, *json),
            WorkspacesCommand::Rename { workspace, to } => {
                let body = RenameWorkspace { workspace: workspace.clone(), to: to.clone() };
                change("rename", &body)?;
                super::remark(&format!("Workspace `{workspace}` is called `{}` now.", to.trim()));
                Ok(())
            }
            WorkspacesCommand::Merge { workspace, into } => {
                let body = MergeWorkspace { workspace: workspace.clone(), into: into.clone() };
                change("merge", &body)?;
                super::remark(&format!("All of `{workspace}` is counted in `{into}` now."));
                Ok(())
            }
            WorkspacesCommand::Archive { workspace } => {
                change("archive", &NamedWorkspace { workspace: workspace.clone() })?;
                super::remark(&format!(
                    "Workspace `{workspace}` is archived. Totals count it, and its next call brings it back."
                ));
                Ok(())
            }
            WorkspacesCommand::Restore { workspace } => {
                change("restore", &NamedWorkspace { workspace: workspace.clone() })?;
                super::remark(&format!("Workspace `{workspace}` is back."));
                Ok(())
            }
        }
    }
}

fn change(act: &str, body: &impl Serialize) -> anyhow::Result<Vec<Workspace>> {
    super::change(Method::POST, &format!("/api/v1/workspaces/{act}"), Some(body))
}

fn list(all: bool, json: bool) -> anyhow::Result<()> {
    let (shown, hidden): (Vec<Workspace>, Vec<Workspace>) = workspaces(&super::ledger()?)?
        .into_iter()
        .partition(|workspace| all || workspace.archived.is_none());
    let mut screen = Screen::take();
    if json {
        shown.iter().try_for_each(|workspace| screen.json(workspace))?;
    } else {
        print(&mut screen, &shown, here())?;
        if !hidden.is_empty() {
            super::remark(&format!("{} archived, listed with --all", hidden.len()));
        }
    }
    Ok(screen.flush()?)
}

const COLUMNS: &[Column] = &[
    Column::new("workspace", Align::Left, 0).cut(16),
    Column::new("once called", Align::Left, 3).cut(16),
    Column::new("last used", Align::Left, 1),
    Column::new("archived", Align::Left, 2),
];

fn print(screen: &mut Screen, all: &[Workspace], here: Here) -> io::Result<()> {
    let rows: Vec<Vec<Cell>> = all
        .iter()
        .map(|workspace| {
            let style = if workspace.archived.is_some() { FAINT } else { PLAIN };
            let [used, archived] = [workspace.last_used, workspace.archived]
                .map(|at| at.map(|at| instant(at, here.zone)));
            vec![
                Cell::new(&workspace.name).style(style),
                Cell::new(workspace.former_names.join(", ")).style(FAINT),
                Cell::optional(used.as_deref()).style(style),
                Cell::optional(archived.as_deref()).style(style),
            ]
        })
        .collect();
    table::print(screen, COLUMNS, &rows)
}
