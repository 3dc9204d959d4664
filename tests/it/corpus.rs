//! Recorded traffic of real providers, replayed through the gate: bytes identical both
//! ways, receipts as the providers' documentation says. The recordings are no part of the
//! project; without them (`TOLLGATE_CORPUS`, or `shared/corpus` beside it) this says so
//! and passes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::gate::{Gate, PROVIDERS, Setup};

/// Provider ids of the recordings, beside those of [`PROVIDERS`].
const RECORDED: [&str; 24] = [
    "azure",
    "bedrock",
    "bedrock-mantle",
    "cerebras",
    "cohere",
    "crusoe",
    "deepgram",
    "gpustack",
    "heroku",
    "huggingface",
    "litellm-proxy",
    "local-openai",
    "mistral",
    "perplexity",
    "portkey",
    "pydantic-gateway",
    "replicate",
    "snowflake",
    "together",
    "vertex",
    "voyage",
    "watsonx",
    "writer",
    "zai",
];

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = std::env::var_os("TOLLGATE_CORPUS").map_or(beside, PathBuf::from);
    if folder.join("replay.py").exists() {
        return folder.canonicalize().ok();
    }
    eprintln!("skipped: no recorded traffic at {}; set TOLLGATE_CORPUS", folder.display());
    None
}

/// The replaying upstream; ends with the test.
struct Replay {
    process: Child,
    origin: String,
}

impl Replay {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new("python3")
            .args(["replay.py", "--port", "0", "dev.jsonl.gz"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("it tells its address");
        let origin = line.split_whitespace().last().expect("an address").to_owned();
        Self { process, origin }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// One run of all recordings.
struct Run {
    folder: PathBuf,
    gate: Gate,
    replay: Replay,
}

impl Run {
    fn prepare() -> Option<Self> {
        let folder = corpus()?;
        let replay = Replay::start(&folder);
        let mut config = "usage_assist = false\n".to_owned();
        for id in RECORDED.iter().chain(&PROVIDERS) {
            config += &format!("[providers.{id}]\nbase_url = \"{}\"\n", replay.origin);
        }
        let mut gate = Gate::closed(&Setup::default());
        std::fs::write(gate.home().join("config.toml"), config).expect("writable");
        gate.start();
        Some(Self { folder, gate, replay })
    }

    fn python(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("python3").args(arguments).current_dir(self.gate.home()).output();
        let output = output.expect("python runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        println!("{said}");
        (output.status.success(), said)
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Sends all recordings that match; whether bytes, status and headers were identical.
    fn send(&self, options: &str, only: &str) -> (bool, String) {
        let (runner, cases) = (self.file("run_corpus.py"), self.file("dev.jsonl.gz"));
        self.python(&[
            &runner,
            "--gateway",
            &self.gate.origin(),
            "--replay",
            &self.replay.origin,
            "--route",
            "*=/{provider}{path}",
            "--opts",
            options,
            "--only",
            only,
            &cases,
        ])
    }

    /// Holds the receipts against what is expected of these kinds.
    fn check(&self, sent: usize) -> (bool, String) {
        self.gate.receipts_of(sent);
        self.gate.says(&[
            "export",
            "--format",
            "jsonl",
            "-o",
            &self.gate.home().join("receipts.jsonl").display().to_string(),
        ]);
        let (checker, expected) =
            (self.file("check_receipts.py"), self.file("expected.dev.jsonl.gz"));
        self.python(&[&checker, "results.jsonl", "receipts.jsonl", &expected, "--show", "40"])
    }
}

fn cases_of(said: &str) -> usize {
    let first = said.split_whitespace().next().and_then(|count| count.parse().ok());
    first.expect("the runner tells how many")
}

/// Recorded calls that the expectations read otherwise than their provider means them.
const DISPUTED: [&str; 10] = [
    // The usage contradicts itself: more cached than there was, more reasoning than output. The
    // receipt flags it and has no negative count.
    "azure.foundry_chat--grok-4-1-fast-non-reasoning--071c513d",
    "azure.foundry_chat--grok-4-1-fast-non-reasoning--2ae9e417",
    "azure.foundry_chat--grok-4-1-fast-non-reasoning--3511908a",
    "azure.foundry_chat--grok-4-1-fast-non-reasoning--8a92933c",
    "openrouter.chat--google-gemini-2.5-flash--2fec5e99",
    "openrouter.chat--minimax-minimax-m2-free--baafd4cb",
    // The body leaves the output out, a header tells it.
    "bedrock.invoke--amazon.nova-lite-v1-0--3cfd4570",
    // Only asked about: nothing is to be paid for asking, and the recordings do not have the
    // calls that began these jobs.
    "openai.other--none--5830ee2c",
    "openai.other--none--c1119a66",
    "openai.responses.retrieve--none--62058f32",
];

#[test]
fn every_recorded_call_passes_unchanged_whatever_its_format() {
    let Some(run) = Run::prepare() else { return };
    let (same, said) = run.send("split=hostile;seed=3", "");
    assert!(same, "{said}");
    run.gate.receipts_of(cases_of(&said));
}

#[test]
fn recorded_calls_have_true_receipts() {
    let Some(run) = Run::prepare() else { return };
    let (same, said) = run.send("split=hostile;seed=3", &format!("^(?!{})", DISPUTED.join("|")));
    assert!(same, "{said}");
    let (right, said) = run.check(cases_of(&said));
    assert!(right, "{said}");
}

#[test]
fn recorded_streams_are_not_held_back() {
    let Some(run) = Run::prepare() else { return };
    let (same, said) = run.send("max=200;pieces=40;delay=25", "");
    assert!(same && said.contains("streamed through"), "{said}");
}

#[test]
fn recorded_calls_that_are_cut_say_so() {
    let Some(run) = Run::prepare() else { return };
    let (same, said) = run.send("cut=0.6", "");
    assert!(same, "{said}");
    let receipts = run.gate.receipts_of(cases_of(&said));
    // A body whose end was not reached is no success, unless there was none to reach.
    let is_wrong = |r: &&serde_json::Value| r["status"] == "succeeded" && r["response_bytes"] != 0;
    let wrong: Vec<_> = receipts.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "{} of {}, the first:\n{:#}", wrong.len(), receipts.len(), wrong[0]);
}

#[test]
fn recorded_calls_of_an_overloaded_provider_say_so() {
    let Some(run) = Run::prepare() else { return };
    let (same, said) = run.send("status=529", "");
    assert!(same, "{said}");
    for receipt in run.gate.receipts_of(cases_of(&said)) {
        assert_eq!(receipt["status"], "error", "{receipt:#}");
        assert_eq!(receipt["http_status"], 529);
    }
}
