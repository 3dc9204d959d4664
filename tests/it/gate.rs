//! One running Tollgate in front of one stand-in, on a home of its own. The next test
//! should need ten lines; what it would need beyond them belongs here.

use std::fs;
use std::io::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use standin::Standin;
use standin::client::{Call, Reply};
use standin::seen::Seen;
use tempfile::TempDir;

/// The providers that are pointed at the stand-in.
pub(crate) const PROVIDERS: [&str; 11] = [
    "openai",
    "anthropic",
    "gemini",
    "openrouter",
    "deepseek",
    "groq",
    "xai",
    "ollama",
    "vllm",
    "llamacpp",
    "lmstudio",
];

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How a gate is started, where the defaults do not do.
#[derive(Default)]
pub(crate) struct Setup {
    /// Lines at the top of `config.toml`.
    pub(crate) top: &'static str,
    /// Lines at its end.
    pub(crate) more: String,
    /// `RUST_LOG`.
    pub(crate) log: Option<&'static str>,
    /// What starts the binary, if not the test itself: `sh -c 'ulimit …; exec "$0" "$@"'`.
    pub(crate) launcher: &'static [&'static str],
    /// Prepares the home before the first start.
    pub(crate) prepare: Option<fn(&Path)>,
}

/// A home, its configuration and the stand-in behind it; with or without a process on it.
pub(crate) struct Gate {
    /// The upstream.
    pub(crate) standin: Standin,
    home: TempDir,
    launcher: &'static [&'static str],
    log: Option<&'static str>,
    running: Option<Running>,
}

struct Running {
    process: Child,
    address: SocketAddr,
    said: Arc<Mutex<Vec<u8>>>,
    listeners: Vec<thread::JoinHandle<()>>,
}

impl Gate {
    /// With every provider at a stand-in of its own, and defaults for the rest.
    pub(crate) fn open() -> Self {
        Self::open_with(Setup::default())
    }

    /// With something special.
    pub(crate) fn open_with(setup: Setup) -> Self {
        let mut gate = Self::closed(&setup);
        gate.start();
        gate
    }

    /// All made ready but the process.
    pub(crate) fn closed(setup: &Setup) -> Self {
        let standin = Standin::start().expect("a free port");
        let home = TempDir::new().expect("a temporary folder");
        let mut config = format!("{}\n", setup.top);
        // Servers hear from tests alone, unless one is about more.
        if !setup.top.contains("server_status_seconds") {
            config += "server_status_seconds = 0\n";
        }
        for id in PROVIDERS {
            config += &format!("[providers.{id}]\nbase_url = \"{}\"\n", standin.origin());
        }
        config += &setup.more;
        fs::write(home.path().join("config.toml"), config).expect("the home is writable");
        if let Some(prepare) = setup.prepare {
            prepare(home.path());
        }
        Self { standin, home, launcher: setup.launcher, log: setup.log, running: None }
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn start(&mut self) {
        let mut process = self.serve();
        let said = Arc::new(Mutex::new(Vec::new()));
        let output = process.stdout.take().expect("piped");
        let errors = process.stderr.take().expect("piped");
        let listening = thread::spawn({
            let said = Arc::clone(&said);
            move || listen(errors, &said)
        });
        let mut output = BufReader::new(output);
        let Some(address) = read_address(&mut output, &said) else {
            listening.join().expect("it only copies");
            panic!("serve gave no address; it said:\n{}", text(&said));
        };
        let copying = thread::spawn({
            let said = Arc::clone(&said);
            move || listen(output, &said)
        });
        let listeners = vec![listening, copying];
        self.running = Some(Running { process, address, said, listeners });
        wait_until("healthz answers 200", || {
            Call::get("/healthz").send(address).is_ok_and(|reply| reply.status() == 200)
        });
    }

    fn serve(&self) -> Child {
        let binary = env!("CARGO_BIN_EXE_tollgate");
        let mut command = match self.launcher {
            [] => Command::new(binary),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                // What it starts besides goes when the process does.
                command.process_group(0);
                command
            }
        };
        self.at_home(&mut command);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary runs")
    }

    fn at_home(&self, command: &mut Command) {
        for name in
            ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
        {
            command.env_remove(name);
        }
        command.env("TOLLGATE_HOME", self.home.path()).env_remove("RUST_LOG").env("TZ", "UTC");
        // No test reaches the keychain of whoever runs it.
        command.env_remove("DBUS_SESSION_BUS_ADDRESS").env("XDG_RUNTIME_DIR", self.home.path());
        if let Some(log) = self.log {
            command.env("RUST_LOG", log);
        }
    }

    /// The data folder.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// Its origin.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.running().process.id()
    }

    /// Sends a call through the gate and reads the answer's head.
    pub(crate) fn send(&self, call: &Call) -> Reply {
        call.send(self.address()).expect("the gate answers")
    }

    /// Runs a subcommand on this home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        self.at_home(&mut command);
        command.args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
    }

    /// A subcommand on this home, to be started with more than the usual.
    pub(crate) fn prepared(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        self.at_home(&mut command);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a subcommand with this on its standard input.
    pub(crate) fn command_given(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        self.at_home(&mut command);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut pipe = child.stdin.take().expect("it was piped");
        // A command that does not read its input ends by itself.
        let _ = pipe.write_all(input.as_bytes());
        drop(pipe);
        child.wait_with_output().expect("it ends")
    }

    /// Starts a subcommand that goes on; its standard output is to be read.
    pub(crate) fn start_command(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        self.at_home(&mut command);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().expect("the binary runs")
    }

    /// Runs a subcommand that must succeed; what it printed.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tollgate {arguments:?} failed:\n{errors}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// All receipts, oldest first.
    pub(crate) fn receipts(&self) -> Vec<Value> {
        let export = self.says(&["export", "--format", "jsonl"]);
        let mut all: Vec<Value> = export
            .lines()
            .map(|line| serde_json::from_str(line).expect("one receipt a line"))
            .collect();
        all.sort_by_key(|receipt| receipt["id"].as_str().map(str::to_owned));
        all
    }

    /// Waits until there are exactly so many receipts.
    pub(crate) fn receipts_of(&self, calls: usize) -> Vec<Value> {
        let mut all = Vec::new();
        wait_until(&format!("{calls} receipts are in the ledger"), || {
            all = self.receipts();
            all.len() >= calls
        });
        assert_eq!(all.len(), calls, "{all:#?}");
        all
    }

    /// The one receipt of a gate that was called once.
    pub(crate) fn receipt(&self) -> Value {
        self.receipts_of(1).remove(0)
    }

    /// What the stand-in received once so many requests have come to an end there.
    pub(crate) fn upstream_saw(&self, requests: usize) -> Vec<Seen> {
        let seen = self
            .standin
            .wait_for(|seen| seen.len() >= requests && seen.iter().all(|s| s.end.is_some()));
        assert_eq!(seen.len(), requests);
        seen
    }

    /// Everything that the process printed so far.
    pub(crate) fn printed(&self) -> String {
        text(&self.running().said)
    }

    /// Asks the process to stop, as a service manager would.
    pub(crate) fn ask_to_stop(&self) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status().expect("kill exists");
        assert!(status.success());
    }

    /// Waits for the process to end of itself; its exit status and all it printed.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        let mut running = self.running.take().expect("a process");
        wait_until("the process ends", || matches!(running.process.try_wait(), Ok(Some(_))));
        running.listeners.into_iter().for_each(|l| l.join().expect("it only copies"));
        (running.process.wait().expect("it ended"), text(&running.said))
    }

    /// Kills the process as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            if !self.launcher.is_empty() {
                let group = format!("-{}", running.process.id());
                let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
                assert!(killed.is_ok_and(|status| status.success()), "the group was there");
            }
            running.process.kill().expect("it runs");
            running.process.wait().expect("it was killed");
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a process")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(running) = &self.running
        {
            eprintln!("--- tollgate printed:\n{}", text(&running.said));
        }
        self.kill();
    }
}

fn read_address(output: &mut impl BufRead, said: &Mutex<Vec<u8>>) -> Option<SocketAddr> {
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|read| read > 0) {
        said.lock().expect("nobody panics holding it").extend_from_slice(line.as_bytes());
        let after = line.split("http://").nth(1);
        let address = after.map(|a| a.split(|c: char| c == '/' || c.is_whitespace()).next());
        if let Some(Ok(address)) = address.flatten().map(str::parse) {
            return Some(address);
        }
        line.clear();
    }
    None
}

fn listen(mut from: impl Read, into: &Mutex<Vec<u8>>) {
    let mut piece = [0; 4096];
    while let Ok(got) = from.read(&mut piece)
        && got > 0
    {
        into.lock().expect("nobody panics holding it").extend_from_slice(&piece[..got]);
    }
}

fn text(said: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&said.lock().expect("nobody panics holding it")).into_owned()
}

/// Looks again and again, at most [`PATIENCE`].
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The sum of a receipt's lines whose factor starts so; `None` if there is no such line.
pub(crate) fn count(receipt: &Value, factor: &str) -> Option<u64> {
    let lines = receipt["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counts = lines
        .iter()
        .filter(|line| line["factor"].as_str().is_some_and(|f| f.starts_with(factor)))
        .map(|line| match &line["count"] {
            Value::String(text) => text.parse().expect("a whole count"),
            number => number.as_u64().expect("a whole count"),
        });
    counts.fold(None, |sum: Option<u64>, next| Some(sum.unwrap_or(0) + next))
}

/// Fails unless the receipt's lines are what the stand-in stated, to the token.
pub(crate) fn assert_usage(receipt: &Value, seen: &Seen) {
    let said = seen.said.as_ref().expect("the answer stated its usage");
    let is_embedding = receipt["kind"] == "embedding";
    let fresh = if is_embedding { "embedding.input" } else { "input.text" };
    let got = [fresh, "input.cache_read", "input.cache_write", "output.text", "output.reasoning"]
        .map(|factor| count(receipt, factor).unwrap_or(0));
    let want = [said.fresh, said.cache_read, said.cache_write, said.output, said.reasoning];
    let want = if is_embedding { [said.fresh, 0, 0, 0, 0] } else { want };
    assert_eq!(got, want, "fresh, read, written, visible, hidden of {receipt:#}");
    assert_eq!(receipt["usage_state"], "reported", "{receipt:#}");
}

/// Files below a folder; sockets are none.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .filter(|path| path.is_file())
        .collect()
}
