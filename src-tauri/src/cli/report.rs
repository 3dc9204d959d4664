//! `tollgate report`: a filtered view as one HTML file to hand on.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use api::query::Question;
use api::report::report;
use clap::Args;

use super::export::beside;
use super::filters::Filters;
use super::remark;

/// Writes figures, pictures and tables as one HTML file that stands by itself.
///
/// No script and nothing from elsewhere is in it, no prompt, no reply and no key: it can be
/// mailed, opened without a network, and printed. Covers all time unless filtered.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate report -o usage.html
  tollgate report --from 2026-11-01 --to 2026-12-01 --workspace shop -o november.html")]
pub(crate) struct ReportArgs {
    /// How wide the pictures' bars are: `hour`, `day`, `week` or `month`; otherwise what fits
    #[arg(long, value_name = "WIDTH")]
    granularity: Option<String>,
    /// Say the total in this currency too
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Replace this file instead of writing to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    filters: Filters,
}

impl ReportArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let own = [("granularity", &self.granularity), ("currency", &self.currency)];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        let query = self.filters.query(Question::Report, own.collect())?;
        if self.output.is_none() && io::stdout().is_terminal() {
            anyhow::bail!("a page is nothing for a terminal\nhint: name a file: -o usage.html");
        }
        let page = report(&super::ledger()?, &query, crate::settings::now())?;
        let Some(path) = &self.output else {
            return Ok(io::stdout().write_all(page.as_bytes())?);
        };
        let (mut file, folder) = beside(path)?;
        file.write_all(page.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .with_context(|| format!("could not write into `{}`", folder.display()))?;
        file.persist(path).with_context(|| format!("could not replace `{}`", path.display()))?;
        remark(&format!("Wrote {}", path.display()));
        Ok(())
    }
}
