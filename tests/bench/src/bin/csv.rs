//! An export of a million receipts beside the `sqlite3` shell with the same columns.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use api::period::Here;
use api::query::{Query, Question};
use api::question;
use bench::{heavy_use, machine};
use clap::Parser;
use store::Questions;

/// Writes CSV from a ledger, and from a plain table of the same cells by the `sqlite3` shell.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The home whose ledger is exported
    home: PathBuf,
    /// The first so many receipts
    #[arg(long, default_value_t = 1_000_000)]
    receipts: u64,
    /// How often each is asked, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    let Arguments { home, receipts, rounds } = Arguments::parse();
    let folder = tempfile::tempdir_in(&home)?;
    let at = |name: &str| folder.path().join(name);
    let (ours, plain, theirs) = (at("ours.csv"), at("plain.db"), at("theirs.csv"));
    println!("{}", machine::description());
    for round in 0..rounds.max(1) {
        let (rows, taken) = export(&home, &ours, receipts)?;
        if round == 0 {
            let import = format!(".import --csv {} receipt", ours.display());
            shell(&plain, &import, Stdio::null())?;
        }
        let began = Instant::now();
        shell(&plain, "SELECT * FROM receipt", File::create(&theirs)?.into())?;
        let (size, shell) = (std::fs::metadata(&ours)?.len() / 1_000_000, began.elapsed());
        println!("{rows} rows, {size} MB: exported in {taken:.1?}, sqlite3 in {shell:.1?}");
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).context("no peak")?;
    println!("the export's memory at most: {}", peak.trim_start_matches("VmHWM:").trim());
    Ok(())
}

fn export(home: &Path, to: &Path, most: u64) -> anyhow::Result<(u64, Duration)> {
    let now = heavy_use::now();
    let here = Here { now, zone: chrono_tz::UTC };
    let said = |problem| anyhow!("{problem}");
    let query = Query::parse(Question::Export, &[("format", "csv")], here).map_err(said)?;
    let (began, mut rows) = (Instant::now(), 0);
    let ledger = Questions::open(home)?;
    let out = BufWriter::new(File::create(to)?);
    let written = question::export(&ledger, &query, now, out, None, || {
        rows += 1;
        if rows < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    // An export that was ended says so; what it wrote is there.
    if let Ok(mut out) = written.map_err(said)? {
        out.flush()?;
    }
    Ok((rows, began.elapsed()))
}

fn shell(db: &Path, order: &str, out: Stdio) -> anyhow::Result<()> {
    let mut sqlite3 = Command::new("sqlite3");
    sqlite3.args(["-csv", "-header"]).arg(db).arg(order).stdout(out);
    ensure!(sqlite3.status().context("is `sqlite3` installed?")?.success(), "sqlite3 failed");
    Ok(())
}
