//! The life of the process: start, stop, a second one, a wrong configuration.

use std::fs;
use std::net::TcpListener;

use serde_json::json;
use standin::client::Call;

use crate::gate::{Gate, Setup, assert_usage};

fn message(play: &str) -> Call {
    let body = json!({"model": "standin", "stream": true, "max_tokens": 64, "messages": []});
    Call::post("/v1/messages", &body).header("x-api-key", "planted").play(play)
}

#[test]
fn a_signal_to_stop_lets_streams_finish() {
    let mut gate = Gate::open();
    let mut reply = gate.send(&message("chunks=20;delay=40"));
    reply.read_past("Hello").expect("the stream begins");
    gate.ask_to_stop();
    let rest = reply.body().expect("the stream ends properly");
    assert!(String::from_utf8_lossy(&rest).contains("message_stop"));
    let (status, said) = gate.ended();
    assert!(status.success(), "{said}");
    let receipt = gate.receipt();
    assert_eq!(receipt["status"], "succeeded", "{receipt:#}");
    assert_usage(&receipt, &gate.upstream_saw(1)[0]);
}

#[test]
fn a_stream_that_outlasts_the_grace_period_still_has_its_receipt() {
    let mut gate = Gate::open();
    let mut reply = gate.send(&message("endless;delay=50"));
    reply.read_past("Hello").expect("the stream begins");
    gate.ask_to_stop();
    let (status, said) = gate.ended();
    assert!(status.success(), "{said}");
    let receipt = gate.receipt();
    assert_ne!(receipt["status"], "succeeded", "{receipt:#}");
    assert_eq!(crate::gate::count(&receipt, "input.text"), Some(901), "{receipt:#}");
}

#[test]
fn a_second_process_on_one_home_may_read_and_not_serve() {
    let gate = Gate::open();
    gate.send(&message("")).body().expect("a whole body");
    gate.receipts_of(1);
    let second = gate.command(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let why = String::from_utf8_lossy(&second.stderr);
    assert!(why.contains("already") && why.contains(&gate.pid().to_string()), "{why}");
    assert!(gate.says(&["requests"]).contains("standin"));
}

#[test]
fn a_port_in_use_is_named_with_its_holder() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = holder.local_addr().expect("bound").to_string();
    let gate = Gate::closed(&Setup::default());
    let output = gate.command(&["serve", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(why.contains(&address), "{why}");
    if cfg!(target_os = "linux") {
        assert!(why.contains(&std::process::id().to_string()), "{why}");
    }
}

#[test]
fn a_broken_configuration_is_refused_with_file_line_and_a_way_out() {
    for (text, hint) in [
        ("default_provider = \"opanai\"\n", "openai"),
        ("listen = \"here\"\n", "127.0.0.1:8655"),
        ("usage_asist = true\n", "usage_assist"),
        ("\n\n[providers.x\n", "3"),
        ("[providers.x]\nbase_url = \"ftp://x\"\n", "http"),
        ("[providers.api]\nbase_url = \"http://x\"\n", "api"),
    ] {
        let gate = Gate::closed(&Setup::default());
        fs::write(gate.home().join("config.toml"), text).expect("writable");
        let output = gate.command(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(why.contains("config.toml") && why.contains(hint), "{text}\n{why}");
    }
}

#[test]
fn wrong_usage_of_the_command_line_is_exit_code_two() {
    let gate = Gate::closed(&Setup::default());
    for wrong in [&["serf"][..], &["serve", "--listne"], &["requests", "--status", "maybe"]] {
        let output = gate.command(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn a_home_that_was_never_used_answers_questions_with_nothing() {
    let gate = Gate::closed(&Setup::default());
    assert_eq!(gate.says(&["requests", "--json"]).trim(), "");
    assert_eq!(gate.says(&["export", "--format", "jsonl"]), "");
}
