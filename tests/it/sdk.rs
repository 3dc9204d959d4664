//! The providers' own SDKs through the gate, and their receipts held
//! against what the upstream stated, to the token. `tests/setup.sh` installs them; without
//! it these tests say so and pass, unless `TOLLGATE_REQUIRE_SDKS` is set.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use standin::seen::{End, Seen};

use crate::gate::{Gate, assert_usage};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// The installed program; `None` where the set-up did not run.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = folder().join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("TOLLGATE_REQUIRE_SDKS").is_none(),
        "{} is not installed",
        path.display()
    );
    eprintln!("skipped: {} is not installed; run tests/setup.sh", path.display());
    None
}

pub(crate) fn run(command: &mut Command) -> String {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } = command.output().expect("it can be run");
    let (said, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}\n{said}\n{errors}");
    said.into_owned()
}

/// Every request upstream saw has one receipt, in the same order, that agrees with it.
pub(crate) fn receipts_agree(gate: &Gate, seen: &[Seen]) -> Vec<Value> {
    let receipts = gate.receipts_of(seen.len());
    for (receipt, seen) in receipts.iter().zip(seen) {
        let played = seen.header("x-standin").unwrap_or_default();
        let expected = match seen.end {
            _ if played.contains("status=") || played.contains("fail=") => "error",
            Some(End::PeerLeft) => "cancelled",
            Some(End::Complete | End::Broken) | None => "succeeded",
        };
        assert_eq!(receipt["status"], expected, "{seen:?}\n{receipt:#}");
        if expected == "succeeded" && seen.said.is_some() {
            assert_usage(receipt, seen);
        }
    }
    receipts
}

fn sdk(program: &[&str], provider: &str) {
    let _ = sdk_with(program, provider, &serde_json::json!({}));
}

/// Every call of an SDK's, with these headers on each; what receipts they left.
fn sdk_with(program: &[&str], provider: &str, headers: &Value) -> Vec<Value> {
    let Some(interpreter) =
        installed(program[0]).filter(|_| installed("node_modules/openai").is_some())
    else {
        return Vec::new();
    };
    let gate = Gate::open();
    let mut command = if program[0].ends_with("node_modules") {
        Command::new("node")
    } else {
        Command::new(interpreter)
    };
    command.current_dir(folder()).arg(program[1]).args([
        provider,
        &*gate.origin(),
        &*headers.to_string(),
    ]);
    let said = run(&mut command);
    let cases: Vec<Value> =
        said.lines().map(|l| serde_json::from_str(l).expect("a case a line")).collect();
    // One case retries twice, so its receipts are three.
    let retries = 2 * cases.iter().filter(|c| c["case"] == "error after two retries").count();
    let seen = gate.upstream_saw(cases.len() + retries);
    let receipts = receipts_agree(&gate, &seen);
    let ids = cases.iter().filter_map(|case| case["id"].as_str());
    for id in ids {
        let of: Vec<&Value> = receipts.iter().filter(|r| r["response_id"] == *id).collect();
        assert_eq!(of.len(), 1, "{id}");
    }
    assert_eq!(receipts.iter().filter(|r| r["status"] == "cancelled").count(), 1);
    receipts
}

/// No SDK trips over what it is told behind an answer, and `most` of its answers do tell.
fn told(program: &[&str], provider: &str, most: usize) {
    let receipts = sdk_with(program, provider, &serde_json::json!({"x-tollgate-meta": "1"}));
    let tells = |r: &&Value| r["note"].as_str().is_some_and(|note| note.contains("metadata"));
    let tell = receipts.iter().filter(tells).count();
    assert!(receipts.is_empty() || tell >= most, "{tell} of {} tell", receipts.len());
}

const PYTHON: [&str; 2] = [".venv/bin/python", "run.py"];
const NODE: [&str; 2] = ["node_modules", "run.mjs"];

#[test]
fn the_python_sdk_of_openai_works_and_its_receipts_are_true() {
    sdk(&PYTHON, "openai");
}

#[test]
fn the_python_sdk_of_anthropic_works_and_its_receipts_are_true() {
    sdk(&PYTHON, "anthropic");
}

#[test]
fn the_python_sdk_of_google_works_and_its_receipts_are_true() {
    sdk(&PYTHON, "gemini");
}

#[test]
fn the_node_sdk_of_openai_works_and_its_receipts_are_true() {
    sdk(&NODE, "openai");
}

#[test]
fn the_node_sdk_of_anthropic_works_and_its_receipts_are_true() {
    sdk(&NODE, "anthropic");
}

#[test]
fn the_sdks_of_openai_work_where_they_are_told_of_their_receipts() {
    told(&PYTHON, "openai", 11);
    told(&NODE, "openai", 7);
}

#[test]
fn the_sdks_of_anthropic_work_where_they_are_told_of_their_receipts() {
    told(&PYTHON, "anthropic", 7);
    told(&NODE, "anthropic", 5);
}

#[test]
fn the_sdk_of_google_works_where_it_is_told_of_its_receipts() {
    told(&PYTHON, "gemini", 4);
}
