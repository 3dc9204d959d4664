//! Baselines that are not on the machine: installed on first use, in exact versions, below
//! `target/` and nowhere else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Written last, so that an installation that broke off is begun anew.
const COMPLETE: &str = "complete";

/// The folder of `name`, whose version is part of it, filled by `install` unless it is.
pub(crate) fn folder(
    name: &str,
    install: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program is in no target folder")?;
    let folder = target.join("baselines").join(name);
    if folder.join(COMPLETE).exists() {
        return Ok(folder);
    }
    eprintln!("installing {name} into `{}`", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    install(&folder).with_context(|| format!("{name} could not be installed"))?;
    fs::write(folder.join(COMPLETE), "")?;
    Ok(folder)
}

/// Runs one step of an installation; `needs` says what may be missing.
pub(crate) fn step(mut command: Command, needs: &str) -> anyhow::Result<()> {
    // The table alone belongs to the standard output.
    match command.stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`{command:?}` ended with {status}\nIt needs {needs}"),
        Err(error) => bail!("`{command:?}` cannot be run: {error}\nIt needs {needs}"),
    }
}
