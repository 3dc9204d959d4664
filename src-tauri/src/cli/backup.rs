//! `tollgate backup`, `tollgate restore` and `tollgate merge`: a copy of the ledger, back, and what
//! came in since.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use meter::Timestamp;
use serde::Serialize;
use store::{Ledger, Questions, backups, restore, set_aside_ledgers};

use super::figure::{bytes, full_instant, grouped};
use super::filters::zone;
use super::remark;
use super::screen::Screen;
use crate::config::Config;
use crate::home::{Home, HomeLock, Lock};
use crate::jobs;
use crate::settings::now;

/// How long the ledger may take to write what is left.
pub(super) const CLOSING: Duration = Duration::from_secs(60);

/// Copies the ledger, while a Tollgate runs or while none does.
///
/// A running Tollgate does so by itself every day and keeps the last three; `[backup]` in
/// config.toml says where, how often and how many.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate backup
  tollgate backup /media/stick/tollgate.db")]
pub(crate) struct BackupArgs {
    /// A file that is not there yet, instead of one more in the folder of the copies
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A copy, as told.
#[derive(Debug, Serialize)]
pub(super) struct Copy {
    pub(super) path: String,
    /// Absent: it was made to order, with a name of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) made_at: Option<Timestamp>,
    pub(super) bytes: u64,
}

impl From<store::Backup> for Copy {
    fn from(backup: store::Backup) -> Self {
        let path = backup.path.display().to_string();
        Self { path, made_at: Some(backup.made_at), bytes: backup.bytes }
    }
}

impl BackupArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let made = self.copy()?;
        let mut screen = Screen::take();
        if self.json {
            screen.json(&made)?;
        } else {
            writeln!(screen, "Copied the ledger to {} ({})", made.path, bytes(made.bytes))?;
        }
        Ok(screen.flush()?)
    }

    fn copy(&self) -> anyhow::Result<Copy> {
        let home = super::home()?;
        if let Some(path) = &self.file {
            super::ledger()?.back_up_to(path)?;
            let bytes = std::fs::metadata(path)?.len();
            return Ok(Copy { path: path.display().to_string(), made_at: None, bytes });
        }
        let Some(made) = jobs::backup::copy(&home, &Config::load(&home.config())?.backup)? else {
            bail!("there is no ledger yet\nhint: `tollgate serve` makes one");
        };
        Ok(made.into())
    }
}

/// Puts a copy in the ledger's place; the ledger that was there is set aside, not removed.
///
/// The copy is checked first. Passes and prices of receipts are again those of the copy:
/// passes revoked since are valid again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate doctor                  lists the copies
  tollgate restore                 the newest of them
  tollgate restore --merge         and all that came in since, as far as it can be read
  tollgate restore /media/stick/tollgate.db")]
pub(crate) struct RestoreArgs {
    /// The copy; otherwise the newest there is
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Then record what the ledger that was there has and the copy has not
    #[arg(long)]
    merge: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was put back.
#[derive(Debug, Serialize)]
struct PutBack {
    from: String,
    receipts: u64,
    /// When the newest of them began; `null`: there are none.
    newest: Option<Timestamp>,
    /// The ledger that was there; `null`: there was none.
    set_aside: Option<String>,
    /// What that one has and the copy has not; `null`: there was none, or it cannot be read.
    missing: Option<Missing>,
    /// Whether that was recorded here as well.
    merged: bool,
}

/// What a ledger that was set aside has and the one in its place had not.
#[derive(Debug, Serialize)]
struct Missing {
    receipts: u64,
    /// When the newest of them began; `null`: there are none.
    newest: Option<Timestamp>,
    /// Later facts about receipts that both have.
    settlements: u64,
    /// Receipts of days that were pruned here; sums count them already.
    pruned: u64,
    /// Stretches and records of it that cannot be read.
    unreadable: u64,
}

impl From<store::Missing> for Missing {
    fn from(missing: store::Missing) -> Self {
        let store::Missing { receipts, newest, settlements, pruned, unreadable } = missing;
        Self { receipts, newest, settlements, pruned, unreadable }
    }
}

impl Missing {
    /// How many, and what could not be read, in words.
    fn said(&self) -> String {
        let mut said = format!("{} receipts", grouped(self.receipts));
        if let Some(newest) = self.newest {
            said += &format!(" (the newest of {})", full_instant(newest, zone()));
        }
        if self.settlements > 0 {
            said += &format!(", {} later facts", grouped(self.settlements));
        }
        if self.pruned > 0 {
            let pruned = grouped(self.pruned);
            said +=
                &format!("; {pruned} of days that were pruned here stay away, as sums have them");
        }
        if self.unreadable > 0 {
            said += &format!("; it cannot be read in {} places", grouped(self.unreadable));
        }
        said
    }
}

/// Takes the home for a command that writes its ledger itself.
pub(super) fn alone(home: &Home) -> anyhow::Result<HomeLock> {
    match home.try_lock()? {
        Lock::Taken(lock) => Ok(lock),
        Lock::Held(holder) => bail!(
            "a running Tollgate{holder} writes this ledger, so none can take its place\nhint: stop it, run this again, and start it"
        ),
    }
}

/// Records what another ledger has, in a home whose lock is held.
fn merge(home: &Home, other: &Path) -> anyhow::Result<Missing> {
    let ledger = Ledger::open(home.path())?;
    let merged = ledger.merge(&Questions::open(home.path())?, other);
    ledger.close(CLOSING);
    Ok(merged?.into())
}

impl RestoreArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let home = super::home()?;
        let _lock = alone(&home)?;
        let from = match &self.file {
            Some(file) => file.clone(),
            None => {
                let folder = Config::load(&home.config())?.backup.folder(&home);
                let newest = backups(&folder, now())?.into_iter().next();
                let newest = newest.map(|backup| backup.path);
                newest.with_context(|| {
                    format!(
                        "there is no copy in `{}`\nhint: name one: tollgate restore FILE",
                        folder.display()
                    )
                })?
            }
        };
        let restored = restore(home.path(), &from, now())?;
        let missing = restored.aside.as_deref().map(|aside| match self.merge {
            true => merge(&home, aside),
            false => Ok(Questions::open(home.path())?.missing(aside)?.into()),
        });
        let (missing, trouble) = match missing.transpose() {
            Ok(missing) => (missing, None),
            Err(error) => (None, Some(error)),
        };
        let done = PutBack {
            from: from.display().to_string(),
            receipts: restored.receipts,
            newest: restored.newest,
            set_aside: restored.aside.map(|path| path.display().to_string()),
            merged: self.merge && missing.is_some(),
            missing,
        };
        let mut screen = Screen::take();
        if self.json {
            screen.json(&done)?;
        } else {
            let receipts = grouped(done.receipts);
            writeln!(screen, "The ledger is that of {}: {receipts} receipts", done.from)?;
            if let Some(newest) = done.newest {
                writeln!(screen, "The newest is of {}", full_instant(newest, zone()))?;
            }
            if let Some(merged) = done.missing.as_ref().filter(|_| done.merged) {
                writeln!(screen, "Of the one that was there, it got {}", merged.said())?;
            }
        }
        screen.flush()?;
        done.tell();
        match trouble {
            Some(error) if self.merge => {
                Err(error.context("the copy is in its place, but the old ledger was not merged"))
            }
            Some(error) => {
                remark(&format!("What came in since the copy cannot be told: {error:#}"));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl PutBack {
    /// Says what is to be known besides.
    fn tell(&self) {
        if let Some(aside) = &self.set_aside {
            remark(&format!("The one that was there is kept as {aside}"));
            let missing = self.missing.as_ref().filter(|_| !self.merged);
            if let Some(missing) =
                missing.filter(|missing| missing.receipts + missing.settlements > 0)
            {
                remark(&format!("It has {} that this one has not.", missing.said()));
                remark(&format!("To record them here as well: tollgate merge '{aside}'"));
            }
        }
        remark("Passes are those of the copy: look through `tollgate passes list`");
    }
}

/// Records what a ledger that was set aside has and this one has not.
///
/// Receipts and later facts about them come in as they were, once; what cannot be read is left out
/// and counted. Passes, workspaces and settings stay those of this ledger. The other is not changed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate merge                   what `tollgate restore` set aside last
  tollgate merge --dry-run")]
pub(crate) struct MergeArgs {
    /// The other ledger; otherwise the one that was set aside last
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only say how much that is
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl MergeArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let home = super::home()?;
        let other = match &self.file {
            Some(file) => file.clone(),
            None => last_set_aside(&home)?,
        };
        let missing = if self.dry_run {
            super::ledger()?.missing(&other)?.into()
        } else {
            let _lock = alone(&home)?;
            merge(&home, &other)?
        };
        let mut screen = Screen::take();
        if self.json {
            screen.json(&missing)?;
        } else {
            let what = if self.dry_run { "has, and this ledger has not:" } else { "gave" };
            writeln!(screen, "{} {what} {}", other.display(), missing.said())?;
        }
        Ok(screen.flush()?)
    }
}

fn last_set_aside(home: &Home) -> anyhow::Result<PathBuf> {
    let aside = set_aside_ledgers(home.path())?.into_iter().rfind(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(".aside-"))
    });
    aside.with_context(|| {
        format!(
            "no ledger was set aside in `{}`\nhint: name one: tollgate merge FILE",
            home.path().display()
        )
    })
}
