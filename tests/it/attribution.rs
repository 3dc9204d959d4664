//! Who calls, found out from the connection: only if the user wants it, and never what the
//! program was told.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::gate::{Gate, Setup, wait_until};

const SECRET: &str = "PLANTED-SECRET-8d1f";

fn on() -> Gate {
    let more = "[attribution]\nlocal_process = true\n".to_owned();
    Gate::open_with(Setup { more, ..Setup::default() })
}

/// A repository, cloned from somewhere with a credential in the address, and a folder in it.
fn repository() -> TempDir {
    let home = TempDir::new().expect("a temporary folder");
    let shop = home.path().join("shop");
    fs::create_dir_all(shop.join("src")).expect("writable");
    let url = format!("https://me:{SECRET}@github.com/acme/shop.git");
    for arguments in [&["init", "-q"][..], &["remote", "add", "origin", &url]] {
        let git = Command::new("git").args(arguments).current_dir(&shop).status();
        assert!(git.expect("git is there").success());
    }
    home
}

/// Calls from a shell in this folder, whose arguments and environment are nobody's business.
fn call_from(folder: &Path, gate: &Gate, header: &str) {
    let script = r#"exec 3<>/dev/tcp/127.0.0.1/"$PORT"
        printf 'POST /openai/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%s\r\nauthorization: Bearer sk-own\r\nx-standin: ttfb=200\r\nconnection: close\r\n%b\r\ncontent-length: 15\r\n\r\n{"model":"any"}' "$PORT" "$HEADER" >&3
        while read -r line <&3; do :; done"#;
    let called = Command::new("bash")
        .args(["-c", script, "bash", SECRET])
        .env("PORT", gate.address().port().to_string())
        .env("HEADER", header)
        .env("TOKEN", SECRET)
        .current_dir(folder)
        .status();
    assert!(called.is_ok(), "bash is there");
}

/// A receipt that names the program, once there is one: what is not known in time is left out.
fn attributed(folder: &Path, gate: &Gate, header: &str) -> Value {
    let mut found = Value::Null;
    wait_until("a receipt names the program that called", || {
        call_from(folder, gate, header);
        let receipts = gate.receipts();
        let known = receipts.into_iter().rev().find(|receipt| receipt["tags"]["cwd"].is_string());
        known.is_some_and(|receipt| {
            found = receipt;
            true
        })
    });
    found
}

#[test]
fn a_call_from_a_repository_names_program_folder_and_project() {
    let (gate, home) = (on(), repository());
    let folder = home.path().join("shop/src").canonicalize().expect("it is there");
    let receipt = attributed(&folder, &gate, "x: y");
    assert_eq!(receipt["client"], "bash", "{receipt:#}");
    let tags = &receipt["tags"];
    assert_eq!(tags["process"], "bash", "{tags:#}");
    assert_eq!(tags["cwd"], folder.to_str().expect("text"), "{tags:#}");
    assert_eq!((&tags["project"], &tags["git"]), (&"shop".into(), &"github.com/acme/shop".into()));
    let usage = gate.says(&["usage", "--by", "tag:project"]);
    assert!(usage.contains("shop"), "{usage}");
    let everything = format!("{:?}{}", gate.receipts(), gate.printed());
    assert!(!everything.contains(SECRET), "{everything}");
}

#[test]
fn what_a_request_says_of_itself_stands() {
    let (gate, home) = (on(), repository());
    let said = r"user-agent: OpenAI/Python 2.1\r\nx-tollgate-tag-project: billing";
    let receipt = attributed(&home.path().join("shop"), &gate, said);
    assert_eq!(receipt["client"], "OpenAI/Python", "{receipt:#}");
    assert_eq!(receipt["tags"]["project"], "billing", "{receipt:#}");
    assert_eq!(receipt["tags"]["process"], "bash", "{receipt:#}");
}

#[test]
fn nobody_is_looked_up_unless_the_user_wants_it() {
    let (gate, home) = (Gate::open(), repository());
    call_from(&home.path().join("shop"), &gate, "x: y");
    let receipt = gate.receipt();
    assert_eq!(receipt["client"], Value::Null, "{receipt:#}");
    assert!(receipt["tags"].as_object().is_none_or(serde_json::Map::is_empty), "{receipt:#}");
}
