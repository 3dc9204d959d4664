//! Two real agents through the gate: turns with a tool, an error, a cancelled turn. What the
//! agent counted itself is the sum of its receipts.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::gate::{Gate, count};
use crate::sdk::{installed, receipts_agree, run};

#[derive(Clone, Copy)]
enum Agent {
    ClaudeCode,
    Codex,
}

impl Agent {
    /// Ready to run one prompt with an empty home of its own and nothing of ours in its
    /// environment; the upstream is told to play this. `None` where it is not installed.
    fn command(self, gate: &Gate, home: &Path, play: &str) -> Option<Command> {
        let program = installed(match self {
            Self::ClaudeCode => "node_modules/.bin/claude",
            Self::Codex => "node_modules/.bin/codex",
        })?;
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home).current_dir(home).stdin(Stdio::null());
        match self {
            Self::ClaudeCode => claude_code(&mut command, gate, play),
            Self::Codex => codex(&mut command, gate, home, play),
        }
        Some(command)
    }
}

fn claude_code(command: &mut Command, gate: &Gate, play: &str) {
    command
        .env("ANTHROPIC_BASE_URL", gate.origin())
        .env("ANTHROPIC_AUTH_TOKEN", "planted")
        .env("ANTHROPIC_CUSTOM_HEADERS", format!("x-standin: {play}"))
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .args(["-p", "say a word with bash", "--allowedTools", "Bash"])
        .args(["--output-format", "json"]);
}

fn codex(command: &mut Command, gate: &Gate, home: &Path, play: &str) {
    let config = format!(
        "model = \"standin\"\nmodel_provider = \"gate\"\n[model_providers.gate]\nname = \"gate\"\n\
         base_url = \"{}/v1\"\nwire_api = \"responses\"\nenv_key = \"GATE_KEY\"\n\
         http_headers = {{ \"x-standin\" = \"{play}\" }}\n",
        gate.origin()
    );
    std::fs::write(home.join("config.toml"), config).expect("writable");
    command.env("CODEX_HOME", home).env("GATE_KEY", "planted");
    command.args(["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]);
    command.args(["--json", "say a word"]);
}

/// The sum over receipts of the lines whose factors start so.
fn tokens(receipts: &[Value], factor: &str) -> u64 {
    receipts.iter().filter_map(|receipt| count(receipt, factor)).sum()
}

#[test]
fn claude_code_takes_two_turns_with_a_tool_and_its_receipts_are_what_it_counted() {
    let (gate, home) = (Gate::open(), TempDir::new().expect("a temporary folder"));
    let Some(mut command) = Agent::ClaudeCode.command(&gate, home.path(), "") else { return };
    let told: Value = serde_json::from_str(run(&mut command).trim()).expect("JSON");
    assert_eq!((&told["subtype"], &told["num_turns"]), (&"success".into(), &2.into()), "{told:#}");

    let seen = gate.upstream_saw(gate.standin.seen().len());
    let tool_ran = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_result = |part: &&Value| part["type"] == "tool_result";
        let parts = body["messages"].as_array().into_iter().flatten();
        let mut parts = parts.flat_map(|m| m["content"].as_array().into_iter().flatten());
        parts.find(is_result).is_some_and(|part| part.to_string().contains("through-the-gate"))
    };
    assert!(seen.iter().any(|seen| tool_ran(seen.body())), "the tool's output went up");
    let receipts = receipts_agree(&gate, &seen);
    let usage = &told["usage"];
    assert_eq!(tokens(&receipts, "input.text"), usage["input_tokens"]);
    assert_eq!(tokens(&receipts, "input.cache_read"), usage["cache_read_input_tokens"]);
    assert_eq!(tokens(&receipts, "input.cache_write"), usage["cache_creation_input_tokens"]);
    assert_eq!(tokens(&receipts, "output"), usage["output_tokens"]);
    assert!(receipts.iter().all(|r| r["client"].as_str().is_some_and(|c| c.contains("claude"))));
}

#[test]
fn codex_takes_two_turns_with_a_tool_and_its_receipts_are_what_it_counted() {
    let (gate, home) = (Gate::open(), TempDir::new().expect("a temporary folder"));
    let Some(mut command) = Agent::Codex.command(&gate, home.path(), "") else { return };
    let said = run(&mut command);
    let mut events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let done = events.next_back().expect("an event");
    assert_eq!(done["type"], "turn.completed", "{said}");
    assert!(said.contains("through-the-gate\\n"), "the tool ran");

    let receipts = receipts_agree(&gate, &gate.upstream_saw(gate.standin.seen().len()));
    assert_eq!(tokens(&receipts, "input"), done["usage"]["input_tokens"]);
    assert_eq!(tokens(&receipts, "input.cache_read"), done["usage"]["cached_input_tokens"]);
    assert_eq!(tokens(&receipts, "output"), done["usage"]["output_tokens"]);
    assert_eq!(tokens(&receipts, "output.reasoning"), done["usage"]["reasoning_output_tokens"]);
}

/// What an agent is refused, it tells; every try has its receipt.
fn is_refused(agent: Agent) {
    let (gate, home) = (Gate::open(), TempDir::new().expect("a temporary folder"));
    let Some(mut command) = agent.command(&gate, home.path(), "status=400") else { return };
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("asked for status 400"), "{said}");
    let receipts = receipts_agree(&gate, &gate.upstream_saw(gate.standin.seen().len()));
    assert!(!receipts.is_empty() && receipts.iter().all(|r| r["http_status"] == 400));
}

#[test]
fn claude_code_hears_a_refusal_and_it_has_its_receipt() {
    is_refused(Agent::ClaudeCode);
}

#[test]
fn codex_hears_a_refusal_and_it_has_its_receipt() {
    is_refused(Agent::Codex);
}

/// An agent that is stopped in the middle of an answer leaves a cancelled call.
fn is_stopped(agent: Agent) {
    let (gate, home) = (Gate::open(), TempDir::new().expect("a temporary folder"));
    let Some(mut command) = agent.command(&gate, home.path(), "endless;delay=20") else { return };
    let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = silent.spawn().expect("it runs");
    gate.standin.wait_for(|seen| seen.iter().any(|seen| seen.said.is_some()));
    // The launcher passes the signal on to the agent proper.
    let pid = process.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill exists");
    assert!(sent.success());
    process.wait().expect("it ends");
    let receipts = receipts_agree(&gate, &gate.upstream_saw(gate.standin.seen().len()));
    assert!(receipts.iter().any(|r| r["status"] == "cancelled"), "{receipts:#?}");
}

#[test]
fn claude_code_stopped_in_the_middle_leaves_a_cancelled_call() {
    is_stopped(Agent::ClaudeCode);
}

#[test]
fn codex_stopped_in_the_middle_leaves_a_cancelled_call() {
    is_stopped(Agent::Codex);
}
