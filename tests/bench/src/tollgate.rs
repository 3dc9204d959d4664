//! Tollgate itself: the real binary with a home of its own, and its ledger seen from outside.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::subject::{Subject, free_address};
use crate::upstream::{OUTPUT_TOKENS, PROMPT_TOKENS};

/// Longest wait for receipts to be committed.
const COMMIT: Duration = Duration::from_secs(30);
/// Names a binary to measure instead of the one this workspace builds.
const BINARY: &str = "TOLLGATE_BIN";

/// Starts Tollgate in front of the upstream; builds it first unless `TOLLGATE_BIN` is set.
pub(crate) fn start(upstream: &Subject) -> anyhow::Result<Subject> {
    start_under(upstream, &[])
}

/// The same, run by the program and with the arguments of its own that `under` names.
pub(crate) fn start_under(upstream: &Subject, under: &[&str]) -> anyhow::Result<Subject> {
    let binary = match std::env::var_os(BINARY) {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    let folder = TempDir::new()?;
    let home = folder.path().join("home");
    std::fs::create_dir(&home)?;
    let config = format!("[providers.openai]\nbase_url = \"http://{}\"\n", upstream.address);
    std::fs::write(home.join("config.toml"), config)?;
    let ledger = Ledger { binary, home };
    let address = free_address()?;
    let mut command = match under {
        [] => Command::new(&ledger.binary),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&ledger.binary);
            command
        }
    };
    command.args(["serve", "--listen", &address.to_string()]);
    command.env("TOLLGATE_HOME", &ledger.home).current_dir(folder.path());
    let version = ledger.version()?;
    let mut subject = Subject::start("tollgate", version, command, address, folder)?;
    subject.prefix = "/openai";
    subject.ledger = Some(ledger);
    Ok(subject)
}

fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--bin", "tollgate"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .status()?;
    ensure!(built.success(), "tollgate could not be built");
    // This program was built into the same folder.
    let here = std::env::current_exe()?;
    Ok(here.with_file_name("tollgate"))
}

/// The receipts, asked for by the command line as a user would.
pub(crate) struct Ledger {
    binary: PathBuf,
    home: PathBuf,
}

/// What the receipts say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipts {
    /// How many there are.
    pub(crate) count: u64,
    /// Of those, how many succeeded with exactly the tokens that the upstream reported.
    pub(crate) exact: u64,
    /// Of those, how many have a cost.
    pub(crate) priced: u64,
}

impl Ledger {
    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env("TOLLGATE_HOME", &self.home);
        command
    }

    fn version(&self) -> anyhow::Result<String> {
        let output = self.command(["--version"]).output().context("tollgate cannot be run")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Waits until so many requests are in the ledger.
    pub(crate) fn wait_for(&self, count: u64) -> anyhow::Result<()> {
        let until = Instant::now() + COMMIT;
        loop {
            let committed = self.count()?;
            if committed == count {
                return Ok(());
            }
            ensure!(committed < count, "{committed} receipts for {count} calls");
            if Instant::now() > until {
                bail!("only {committed} of {count} receipts were committed in time");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn count(&self) -> anyhow::Result<u64> {
        let output = self.command(["usage", "--json"]).output()?;
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let usage: Value = serde_json::from_str(&answer).with_context(|| {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            format!("`tollgate usage --json` said:\n{answer}{errors}")
        })?;
        let total = &usage["totals"]["requests"];
        total.as_u64().with_context(|| format!("no number of requests in `{usage}`"))
    }

    /// Reads every receipt.
    pub(crate) fn receipts(&self) -> anyhow::Result<Receipts> {
        let mut child = self
            .command(["export", "--format", "jsonl"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = child.stdout.take().context("its output was to be piped")?;
        let mut receipts = Receipts::default();
        for line in BufReader::new(out).lines() {
            let receipt: Value = serde_json::from_str(&line?)?;
            receipts.count += 1;
            receipts.exact += u64::from(is_exact(&receipt));
            receipts.priced += u64::from(receipt["cost"].is_string());
        }
        ensure!(child.wait()?.success(), "`tollgate export` failed");
        Ok(receipts)
    }

    /// Bytes of the log before the ledger.
    pub(crate) fn log_size(&self) -> u64 {
        std::fs::metadata(self.home.join("ledger.db-wal")).map_or(0, |log| log.len())
    }

    /// Bytes on disk, all files of the ledger together.
    pub(crate) fn size(&self) -> u64 {
        let size = |name: &str| std::fs::metadata(self.home.join(name)).map_or(0, |m| m.len());
        ["ledger.db", "ledger.db-wal"].into_iter().map(size).sum()
    }
}

fn is_exact(receipt: &Value) -> bool {
    let lines = receipt["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |side: &str| -> u64 {
        let of_side = lines
            .iter()
            .filter(|line| line["factor"].as_str().is_some_and(|f| f.starts_with(side)));
        of_side.filter_map(|line| number(&line["count"])).sum()
    };
    receipt["status"] == "succeeded"
        && sum("input.") == PROMPT_TOKENS
        && sum("output.") == OUTPUT_TOKENS
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
