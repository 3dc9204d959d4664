//! `tollgate backup` and `tollgate restore`: a copy of the ledger, and back.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use meter::Timestamp;
use serde::Serialize;
use store::{backups, restore};

use super::figure::{bytes, full_instant, grouped};
use super::filters::zone;
use super::remark;
use super::screen::Screen;
use crate::config::Config;
use crate::home::Lock;
use crate::jobs;
use crate::settings::now;

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
  tollgate restore /media/stick/tollgate.db")]
pub(crate) struct RestoreArgs {
    /// The copy; otherwise the newest there is
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
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
}

impl RestoreArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let home = super::home()?;
        let _lock = match home.try_lock()? {
            Lock::Taken(lock) => lock,
            Lock::Held(holder) => bail!(
                "a running Tollgate{holder} writes this ledger, so none can take its place\nhint: stop it, restore, and start it again"
            ),
        };
        let from = match &self.file {
            Some(file) => file.clone(),
            None => {
                let folder = Config::load(&home.config())?.backup.folder(&home);
                let newest = backups(&folder)?.into_iter().next();
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
        let done = PutBack {
            from: from.display().to_string(),
            receipts: restored.receipts,
            newest: restored.newest,
            set_aside: restored.aside.map(|path| path.display().to_string()),
        };
        let mut screen = Screen::take();
        if self.json {
            screen.json(&done)?;
            return Ok(screen.flush()?);
        }
        let receipts = grouped(done.receipts);
        writeln!(screen, "The ledger is that of {}: {receipts} receipts", done.from)?;
        if let Some(newest) = done.newest {
            writeln!(screen, "The newest is of {}", full_instant(newest, zone()))?;
        }
        screen.flush()?;
        if let Some(aside) = &done.set_aside {
            remark(&format!("The one that was there is kept as {aside}"));
        }
        remark("Passes are those of the copy: look through `tollgate passes list`");
        Ok(())
    }
}
