//! `tollgate manual`: manual pages, made of what `--help` says. For whoever packages Tollgate.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

/// Writes the manual pages of all commands into a folder.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct ManualArgs {
    /// The folder, which has to be there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl ManualArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        clap_mangen::generate_to(super::Arguments::command(), &self.folder)
            .with_context(|| format!("could not write into `{}`", self.folder.display()))
    }
}
