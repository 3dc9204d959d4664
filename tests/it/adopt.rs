//! `keys adopt`: what is in the environment is kept only with a yes, each by itself.
#![cfg(unix)]

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::gate::{Gate, files_below};

const OPENAI: &str = "sk-PLANTED-ADOPTED-openai-0a1b";
const GEMINI: &str = "AIzaPLANTED-ADOPTED-gemini-2c3d";
const SHORT: &str = "gsk_short";

/// With provider keys in its environment, one of them twice, and a pass in a third place.
fn adopting(gate: &Gate, more: &[&str]) -> Command {
    let mut command = gate.prepared(&[&["keys", "adopt", "--store", "file"], more].concat());
    command.env("OPENAI_API_KEY", OPENAI).env("GEMINI_API_KEY", GEMINI);
    command.env("GOOGLE_API_KEY", GEMINI).env("GROQ_API_KEY", SHORT);
    command.env("ANTHROPIC_API_KEY", "tg_a-pass-already").env("XAI_API_KEY", "");
    command
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    for key in [OPENAI, GEMINI, SHORT] {
        assert!(!said.contains(key), "a key is shown: {said}");
    }
    said
}

/// Stored keys as `PROVIDER LABEL`.
fn stored(gate: &Gate) -> Vec<String> {
    let name = |line: &str| {
        let key: Value = serde_json::from_str(line).expect("JSON");
        format!("{} {}", key["provider"], key["label"]).replace('"', "")
    };
    gate.says(&["keys", "--json"]).lines().map(name).collect()
}

#[test]
fn nothing_is_kept_without_a_yes() {
    let gate = Gate::open();
    let output = adopting(&gate, &[]).output().expect("it runs");
    let said = said(&output);
    assert!(!output.status.success() && said.contains("--yes"), "{said}");
    for shown in ["OPENAI_API_KEY", "…0a1b", "GEMINI_API_KEY, GOOGLE_API_KEY", "…2c3d", "•••"]
    {
        assert!(said.contains(shown), "{shown} in {said}");
    }
    assert!(said.contains("`ANTHROPIC_API_KEY` holds a pass") && !said.contains("XAI"), "{said}");
    let unknown = adopting(&gate, &["--yes", "OPENAI_API_KEY", "HOME"]).output().expect("it runs");
    assert!(!unknown.status.success(), "{}", self::said(&unknown));
    assert!(stored(&gate).is_empty());
    assert!(!gate.home().join("keys.secret").exists());
    assert!(gate.standin.seen().is_empty());
}

#[test]
fn what_is_agreed_to_is_kept_and_nothing_else() {
    let gate = Gate::open();
    let words = ["--no-test", "--yes", "OPENAI_API_KEY", "GOOGLE_API_KEY"];
    let output = adopting(&gate, &words).output().expect("it runs");
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("unset GEMINI_API_KEY GOOGLE_API_KEY OPENAI_API_KEY"), "{said}");
    assert_eq!(stored(&gate), ["gemini default", "openai default"]);
    // A second time it does not take the place of what is there.
    let again = adopting(&gate, &["--yes", "OPENAI_API_KEY"]).output().expect("it runs");
    assert!(self::said(&again).contains("Tested: works"), "{}", self::said(&again));
    assert_eq!(stored(&gate), ["gemini default", "openai default", "openai OPENAI_API_KEY"]);
    let shown = gate.upstream_saw(1).remove(0).header("authorization").map(str::to_owned);
    assert_eq!(shown, Some(format!("Bearer {OPENAI}")));
    for path in files_below(gate.home()).iter().filter(|path| !path.ends_with("keys.secret")) {
        let bytes = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("PLANTED"), "{} holds a key", path.display());
    }
}

#[test]
fn one_that_cannot_be_kept_keeps_no_other_from_it() {
    let gate = Gate::open();
    // Azure has no address until its user gives it one, and comes first.
    let words = ["--no-test", "--yes", "AZURE_OPENAI_API_KEY", "GROQ_API_KEY"];
    let mut command = adopting(&gate, &words);
    let output = command.env("AZURE_OPENAI_API_KEY", OPENAI).output().expect("it runs");
    let said = said(&output);
    assert!(
        !output.status.success() && said.contains("AZURE_OPENAI_API_KEY is not kept"),
        "{said}"
    );
    assert!(said.contains("unset GROQ_API_KEY\n"), "{said}");
    assert_eq!(stored(&gate), ["groq default"]);
}

#[test]
fn at_a_terminal_each_is_asked_for() {
    let gate = Gate::open();
    let has_terminal = Command::new("script").args(["-qec", "true", "/dev/null"]).output();
    if !has_terminal.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: nothing here can make a terminal");
        return;
    }
    let plain = adopting(&gate, &["--no-test"]);
    let words = format!("{} keys adopt --store file --no-test", env!("CARGO_BIN_EXE_tollgate"));
    let mut command = Command::new("script");
    command.args(["-qec", &words, "/dev/null"]);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Gemini, Groq, OpenAI.
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), b"n\ny\n\n").expect("open");
    let output = child.wait_with_output().expect("it ends");
    let said = said(&output);
    assert!(said.contains("Keep GROQ_API_KEY as the groq key `default`?"), "{said}");
    assert_eq!(stored(&gate), ["groq default"], "{said}");
}
