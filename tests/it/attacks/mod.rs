//! What others try, so that they spend your money, read your figures or change your settings.
//! Every attack meets the built program with a key in store and a pass made, and is held against
//! the same three questions afterwards.

mod crowds;
mod hosts;
mod keys;
mod labels;
mod passes;
mod paths;
mod smuggling;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use standin::client::{Call, Connection};
use standin::seen::Seen;

use crate::gate::{Gate, Setup};

const KEY: &str = "sk-TREASURE-KEY-6f1c";
/// How long to listen for what may not come.
const SILENCE: Duration = Duration::from_secs(3);
const WORKSPACE: &str = "treasury";
const MODEL: &str = "treasured-model";

/// A gate with something to steal.
struct Vault {
    gate: Gate,
    /// May call; the key is put in for it.
    pass: String,
    /// May do everything to the settings.
    manager: String,
    /// May read figures.
    reader: String,
    settings: String,
}

impl Vault {
    fn open() -> Self {
        Self::open_with(Setup::default())
    }

    fn open_with(setup: Setup) -> Self {
        let gate = Gate::open_with(setup);
        let stored = gate.command_given(
            &["keys", "add", "openai", "--no-test", "--store", "file"],
            &format!("{KEY}\n"),
        );
        assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
        let made = |arguments: &[&str]| {
            gate.says(&[&["passes", "add"], arguments].concat()).trim().to_owned()
        };
        let pass = made(&["laptop", "--workspace", WORKSPACE]);
        let manager = made(&["boss", "--scope", "manage"]);
        let reader = made(&["grafana", "--scope", "usage:read"]);
        let mut vault = Self { gate, pass, manager, reader, settings: String::new() };
        // Something to read: the owner's own call.
        assert_eq!(vault.gate.send(&vault.chat().bearer(&vault.pass)).status(), 200);
        let seen = vault.gate.upstream_saw(1);
        assert_eq!(seen[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
        vault.gate.receipts_of(1);
        vault.settings = vault.settings_now();
        vault
    }

    /// What the owner's client sends, but for the credential.
    fn chat(&self) -> Call {
        Call::post("/openai/v1/chat/completions", &json!({"model": MODEL, "messages": []}))
    }

    fn host(&self) -> String {
        self.gate.address().to_string()
    }

    /// Everything that can be changed, as the owner sees it.
    fn settings_now(&self) -> String {
        let asked = |path: &str, pass: &str| {
            let reply = self.gate.send(&Call::get(path).bearer(pass));
            assert_eq!(reply.status(), 200, "{path}");
            reply.json().expect("JSON")
        };
        let keys = asked("/api/v1/keys", &self.manager);
        let mut passes = asked("/api/v1/passes", &self.manager);
        for pass in passes.as_array_mut().expect("a list") {
            // Showing one is no change.
            pass["last_used"] = Value::Null;
        }
        let rules = asked("/api/v1/alerts", &self.reader)["rules"].clone();
        let rules = rules.as_array().expect("a list").iter().map(|rule| rule["rule"].to_string());
        let rules: Vec<String> = rules.collect();
        let config = std::fs::read_to_string(self.gate.home().join("config.toml"));
        format!("{keys}\n{passes}\n{rules:?}\n{}", config.expect("readable"))
    }

    /// Sends it and returns status and everything that came back, which tells nothing.
    fn refuses(&self, what: &str, call: &Call) -> u16 {
        self.refuses_bytes(what, &call.bytes(self.gate.address()))
    }

    /// The same for any bytes.
    fn refuses_bytes(&self, what: &str, bytes: &[u8]) -> u16 {
        let answer = self.exchange(bytes);
        let text = String::from_utf8_lossy(&answer);
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        assert!(!(200..400).contains(&status), "{what} was let in:\n{text}");
        self.tells_nothing(what, &text);
        status
    }

    /// Everything that comes back for these bytes until the gate hangs up.
    fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let connection = Connection::to(self.gate.address()).expect("it listens");
        let mut stream = connection.stream();
        stream.set_read_timeout(Some(SILENCE)).expect("a time-out can be set");
        // Whoever is refused half-way may find the connection closed.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while !is_whole(&answer)
            && let Ok(got) = stream.read(&mut piece)
            && got > 0
        {
            answer.extend_from_slice(&piece[..got]);
        }
        // Only now: a client that says nothing more is taken for one that left.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    fn tells_nothing(&self, what: &str, text: &str) {
        for secret in [KEY, &self.pass, &self.manager, &self.reader, WORKSPACE, MODEL, "laptop"] {
            assert!(!text.contains(secret), "{what} was told `{secret}`:\n{text}");
        }
        let lower = text.to_lowercase();
        assert!(!lower.contains("access-control-"), "{what} may read it elsewhere:\n{text}");
        assert!(!lower.contains("set-cookie"), "{what} was given a session:\n{text}");
    }

    /// Nothing was spent and nothing changed since the vault was opened.
    fn is_unharmed(&self) {
        let seen = self.gate.standin.seen();
        assert_eq!(seen.len(), 1, "something reached upstream: {seen:#?}");
        assert_eq!(self.settings_now(), self.settings);
    }
}

/// Whether one answer is there, whatever may come behind it.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    length.map_or(body.ends_with("0\r\n\r\n"), |length: usize| body.len() >= length)
}

/// An upstream that answers everything with these bytes; what `thief` sees is the test's matter.
fn answers(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || reply(stream, &answer));
        }
    });
    origin
}

fn reply(mut stream: TcpStream, answer: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let _ = stream.write_all(answer.as_bytes());
}

/// Whether a credential that is worth something arrived.
fn carries_the_key(seen: &Seen) -> bool {
    format!("{seen:?}").contains(KEY)
}
