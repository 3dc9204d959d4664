//! `tollgate export`: receipts as a file.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use api::export::ExportFormat;
use api::query::{Query, Question};
use api::question;
use clap::Args;
use tempfile::NamedTempFile;

use super::figure::grouped;
use super::filters::Filters;

/// Writes receipts as CSV, JSON lines or an Excel workbook: one row a request, or an hour
/// and sort of call, oldest first.
///
/// Covers all time unless filtered. Text cells that a spreadsheet would take for a formula
/// get an apostrophe in front.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate export -o usage.csv
  tollgate export --format jsonl --from 2026-11-01 --to 2026-12-01 -o november.jsonl
  tollgate export --from 2026-11-01 --to 2026-12-01 -o november.xlsx
  tollgate export --format csv --model gpt-5 | head
  tollgate export --form hourly --last 3mo -o hours.csv
A running Tollgate makes large ones in the background: tollgate exports")]
pub(crate) struct ExportArgs {
    /// `csv`, `jsonl` or `xlsx`; otherwise what FILE's name ends in, otherwise `jsonl`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// One row each of the `requests`, or `hourly` sums by model, key, pass, …
    #[arg(long, value_name = "FORM")]
    form: Option<String>,
    /// Say costs in this currency too, in columns of their own
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Replace this file, whole and at the end, instead of writing to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    filters: Filters,
}

/// Rows between two signs of life.
const PROGRESS: u64 = 5_000;

impl ExportArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let format = self.format.clone().or_else(|| self.named_format());
        let currency = self.currency.clone().map(|currency| ("currency", currency));
        let form = self.form.clone().map(|form| ("form", form));
        let format = format.map(|format| ("format", format));
        let own = format.into_iter().chain(form).chain(currency).collect();
        let query = self.filters.query(Question::Export, own)?;
        let ledger = super::ledger()?;
        super::prune::tell(&ledger, query.filter.from)?;
        match &self.output {
            None => {
                if query.format == ExportFormat::Xlsx && io::stdout().is_terminal() {
                    anyhow::bail!(
                        "a workbook is nothing for a terminal\nhint: name a file: -o usage.xlsx"
                    );
                }
                let out = BufWriter::new(io::stdout());
                write(&ledger, &query, out, false)?.flush()?;
            }
            Some(path) => {
                let (file, folder) = beside(path)?;
                let shows_progress = io::stderr().is_terminal();
                let rows = write(&ledger, &query, BufWriter::new(file), shows_progress)?;
                let file = rows.into_inner().map_err(io::IntoInnerError::into_error);
                let file =
                    file.with_context(|| format!("could not write into `{}`", folder.display()))?;
                file.as_file().sync_all()?;
                file.persist(path)
                    .with_context(|| format!("could not replace `{}`", path.display()))?;
            }
        }
        Ok(())
    }

    fn named_format(&self) -> Option<String> {
        let ending = self.output.as_deref()?.extension()?.to_str()?.to_ascii_lowercase();
        ending.parse::<ExportFormat>().ok().map(|format| format.to_string())
    }
}

/// A file in the same folder, so that it can take the other one's place in one step.
pub(super) fn beside(path: &Path) -> anyhow::Result<(NamedTempFile, PathBuf)> {
    if path.is_dir() {
        anyhow::bail!("`{}` is a folder\nhint: name a file in it", path.display());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let file = tempfile::Builder::new().prefix(".tollgate-export-").tempfile_in(&folder);
    let file = file.with_context(|| format!("could not write into `{}`", folder.display()))?;
    Ok((file, folder))
}

fn write<W: Write + Send>(
    ledger: &store::Questions,
    query: &Query,
    out: W,
    shows_progress: bool,
) -> anyhow::Result<W> {
    let mut written = 0;
    let out = question::export(ledger, query, crate::settings::now(), out, None, || {
        written += 1;
        if shows_progress && written % PROGRESS == 0 {
            // A terminal that is gone is no reason to stop.
            let _ = write!(io::stderr(), "\r{} rows", grouped(written));
        }
        ControlFlow::Continue(())
    })??;
    if shows_progress {
        let _ = writeln!(io::stderr(), "\r{} rows", grouped(written));
    }
    Ok(out)
}
