//! The live inspector: shows what it is for, to whom it is for, while it is for that; and leaves
//! nothing behind.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{self, Child, ChildStdout, Stdio};

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, Setup, files_below, wait_until};

const PROMPT: &str = "PLANTED-PROMPT-5c1d";
const ANSWER: &str = "PLANTED-ANSWER-88ae";
const OTHER: &str = "PLANTED-OTHER-02f7";
const KEY: &str = "sk-PLANTED-KEY-77b1";

/// A gate with passes `laptop`, `other` and one of each scope for asking.
struct House {
    gate: Gate,
    laptop: String,
    other: String,
    reader: String,
    manager: String,
}

impl House {
    fn open() -> Self {
        let gate = Gate::open_with(Setup { log: Some("trace"), ..Setup::default() });
        let add = |arguments: &[&str]| {
            gate.says(&[&["passes", "add"], arguments].concat()).trim().to_owned()
        };
        let (laptop, other) = (add(&["laptop"]), add(&["other"]));
        let reader = add(&["reader", "--scope", "usage:read"]);
        let manager = add(&["boss", "--scope", "manage"]);
        let added = gate.command_given(&["keys", "add", "openai", "--store", "file"], KEY);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        Self { gate, laptop, other, reader, manager }
    }

    fn call(&self, pass: &str, prompt: &str) {
        let words = json!([{"role": "user", "content": prompt}]);
        let chat = json!({"model": "standin", "messages": words, "stream": true});
        let call = Call::post("/v1/chat/completions", &chat)
            .bearer(pass)
            .play(&format!("coding=gzip;say={ANSWER}"));
        let reply = self.gate.send(&call);
        assert_eq!(reply.status(), 200);
        drop(reply.remains());
    }

    fn asks(&self, method: &str, path: &str, pass: &str) -> (u16, String) {
        let path = format!("/api/v1/inspector/{path}");
        let reply = self.gate.send(&Call::new(method, &path, "").bearer(pass));
        let status = reply.status();
        (status, String::from_utf8_lossy(&reply.remains().0).into_owned())
    }
}

/// `tollgate inspect`, and its next call.
struct Command {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Command {
    fn start(gate: &Gate) -> Self {
        let mut command = gate.prepared(&["inspect", "--pass", "laptop", "--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        // The notice comes once the window is open.
        let notice = child.stderr.as_mut().expect("piped");
        let mut read = [0; 11];
        notice.read_exact(&mut read).expect("a notice");
        assert_eq!(&read, b"The CONTENT");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, said }
    }

    fn call(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }
}

#[test]
fn the_calls_of_one_pass_are_shown_while_somebody_looks_and_nothing_stays() {
    let mut house = House::open();
    house.call(&house.laptop, PROMPT);
    let mut command = Command::start(&house.gate);
    house.call(&house.other, OTHER);
    house.call(&house.laptop, PROMPT);
    let call = command.call();
    let text = |side: &str| call[side]["text"].as_str().expect("text").to_owned();
    assert!(text("request").contains(PROMPT), "{call:#}");
    assert!(text("answer").contains(ANSWER) && text("answer").contains("[DONE]"), "{call:#}");
    let all = call.to_string();
    for secret in [&house.laptop, KEY] {
        assert!(!all.contains(secret), "{all}");
    }
    let (status, listed) = house.asks("GET", "laptop", &house.manager);
    assert_eq!(status, 200);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["calls"].as_array().map(Vec::len), Some(1), "only those since: {listed:#}");
    assert_eq!(house.asks("GET", "other", &house.manager).0, 404);

    let pid = command.child.id().to_string();
    assert!(process::Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    assert!(command.child.wait().expect("ends").success());
    wait_until("the window is closed", || house.asks("GET", "laptop", &house.manager).0 == 404);
    house.call(&house.laptop, PROMPT);
    assert_eq!(house.asks("GET", "laptop", &house.manager).0, 404);

    house.gate.receipts_of(4);
    house.gate.ask_to_stop();
    let (_, printed) = house.gate.ended();
    let files = files_below(house.gate.home());
    let mut places = vec![("what was printed".to_owned(), printed.into_bytes())];
    for path in files {
        places.push((path.display().to_string(), fs::read(&path).expect("readable")));
    }
    for (place, bytes) in places {
        for planted in [PROMPT, ANSWER, OTHER] {
            let found = bytes.windows(planted.len()).any(|part| part == planted.as_bytes());
            assert!(!found, "`{planted}` is in {place}");
        }
    }
}

#[test]
fn only_those_who_manage_may_look() {
    let house = House::open();
    for pass in [&house.reader, &house.laptop, "tg_wrong"] {
        for (method, path) in
            [("POST", "laptop"), ("GET", "laptop"), ("GET", "laptop/x"), ("DELETE", "laptop")]
        {
            let (status, said) = house.asks(method, path, pass);
            assert!(matches!(status, 401 | 403), "{method} {path}: {status} {said}");
        }
    }
    assert_eq!(house.asks("POST", "nobody", &house.manager).0, 404);
    assert_eq!(house.asks("POST", "laptop", &house.manager).0, 200);
    house.call(&house.laptop, PROMPT);
    assert_eq!(house.asks("GET", "laptop", &house.reader).0, 403);
    assert_eq!(house.asks("DELETE", "laptop", &house.manager).0, 200);
    assert_eq!(house.asks("DELETE", "laptop", &house.manager).0, 404);
}
