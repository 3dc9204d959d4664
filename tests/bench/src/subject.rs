//! What is measured: a running server that answers chat completions.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::case::Case;
use crate::load::Load;
use crate::process::{Cpu, family};
use crate::tollgate::Ledger;

/// Longest wait for a server to answer; a Python one takes half a minute on a busy machine.
const START: Duration = Duration::from_secs(180);
/// So long nothing is done before work is taken to be over.
const QUIET: Duration = Duration::from_millis(50);
/// Longest wait for that.
const SETTLE: Duration = Duration::from_secs(10);
/// What it says, in its folder.
const LOG: &str = "output.txt";

/// A running server. Stopped when dropped.
pub(crate) struct Subject {
    /// The column's title.
    pub(crate) name: &'static str,
    /// What exactly it is.
    pub(crate) version: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What stands before the path of each call.
    pub(crate) prefix: &'static str,
    /// Header lines that it needs besides.
    pub(crate) headers: String,
    /// How many of the calls it is asked, in percent; less for the slow.
    pub(crate) share: usize,
    /// Whether it is asked to pass on a very large body.
    pub(crate) takes_uploads: bool,
    /// Where its receipts can be counted, if it writes any.
    pub(crate) ledger: Option<Ledger>,
    child: Child,
    /// Its files; gone with it.
    folder: TempDir,
}

impl Subject {
    /// The bare upstream: this program again.
    pub(crate) fn upstream() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("upstream")
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the bare upstream")?;
        let out = child.stdout.take().context("its output was to be piped")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let port: u16 = line.trim().parse().context("the bare upstream did not say its port")?;
        let version = concat!("hyper 1, one thread, bench ", env!("CARGO_PKG_VERSION")).into();
        let address = ([127, 0, 0, 1], port).into();
        Ok(Self::of("bare", version, address, child, folder))
    }

    /// One that wants nothing special.
    fn of(
        name: &'static str,
        version: String,
        address: SocketAddr,
        child: Child,
        folder: TempDir,
    ) -> Self {
        Self {
            name,
            version,
            address,
            prefix: "",
            headers: String::new(),
            share: 100,
            takes_uploads: true,
            ledger: None,
            child,
            folder,
        }
    }

    /// Starts `command`, which is to listen at `address`, and waits until it does.
    pub(crate) fn start(
        name: &'static str,
        version: String,
        mut command: Command,
        address: SocketAddr,
        folder: TempDir,
    ) -> anyhow::Result<Self> {
        let log = folder.path().join(LOG);
        let out = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let mut subject = Self::of(name, version, address, child, folder);
        subject.wait_until_open().with_context(|| output(name, &log))?;
        Ok(subject)
    }

    fn wait_until_open(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + START;
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "it ended at once");
            ensure!(Instant::now() < until, "it did not listen at `{}` in time", self.address);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The processes it consists of.
    pub(crate) fn processes(&self) -> Vec<u32> {
        family(self.child.id())
    }

    /// Lets it end by itself, and returns what it said.
    pub(crate) fn end(mut self) -> anyhow::Result<String> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let ended = self.child.wait()?;
        let said = std::fs::read_to_string(self.folder.path().join(LOG))?;
        ensure!(ended.success(), "{} did not end well; it said:\n{said}", self.name);
        Ok(said)
    }

    /// The bytes of a call to it.
    pub(crate) fn request(&self, case: Case) -> Vec<u8> {
        case.request(&self.address.to_string(), self.prefix, &self.headers)
    }

    /// Its part of `load`.
    pub(crate) fn share_of(&self, load: Load) -> Load {
        Load { each: (load.each * self.share).div_ceil(100), ..load }
    }

    /// Waits until everything that `calls` calls left to do is done: with receipts that can be
    /// counted until they are committed, else until it does nothing any more.
    pub(crate) fn settle(&self, calls: u64) -> anyhow::Result<()> {
        if let Some(ledger) = &self.ledger {
            return ledger.wait_for(calls);
        }
        let until = Instant::now() + SETTLE;
        let processes = self.processes();
        let mut before = Cpu::of(&processes);
        while Instant::now() < until {
            std::thread::sleep(QUIET);
            let now = Cpu::of(&processes);
            if now.since(&before) < QUIET / 10 {
                break;
            }
            before = now;
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // The first process last, so that it does not start the others anew.
        for pid in self.processes().iter().rev() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        let _ = self.child.wait();
    }
}

/// An address nobody listens at right now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn output(name: &str, log: &Path) -> String {
    format!("{name} does not run; it said:\n{}", std::fs::read_to_string(log).unwrap_or_default())
}
