//! `keys test`: one free call, to the origin a key is bound to and nowhere else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, Setup};

const KEY: &str = "sk-PLANTED-TESTED-3d0e";

/// Somebody at an origin who gives everybody this answer and remembers what was asked.
struct Desk {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn answering(answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (answer, hears) = (answer.into(), Arc::clone(&heard));
        // It ends with the tests: nobody else knows the port.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a caller");
                let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
                while !asked.ends_with(b"\r\n\r\n")
                    && let Ok(got @ 1..) = stream.read(&mut piece)
                {
                    asked.extend_from_slice(&piece[..got]);
                }
                hears.lock().expect("nobody panics").push(String::from_utf8_lossy(&asked).into());
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("nobody panics").clone()
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// A gate whose Mistral is somewhere else.
fn gate_to(mistral: &str) -> Gate {
    let more = format!("[providers.mistral]\nbase_url = \"{mistral}\"\n");
    Gate::open_with(Setup { more, log: Some("trace"), ..Setup::default() })
}

fn add(gate: &Gate, provider: &str, more: &[&str]) -> String {
    let words = [&["keys", "add", provider, "--store", "file"], more].concat();
    let output = gate.command_given(&words, &format!("{KEY}\n"));
    let said = shown(&output);
    assert!(output.status.success(), "{said}");
    said
}

/// What a command printed, which is never the key.
fn shown(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8(bytes).expect("text");
    assert!(!said.contains(KEY), "the key is shown: {said}");
    said
}

/// What `keys test --json` says of the only key.
fn verdict(gate: &Gate) -> (Value, bool) {
    let output = gate.command(&["keys", "test", "--json"]);
    shown(&output);
    let line: Value = serde_json::from_slice(&output.stdout).expect("one line");
    (line, output.status.success())
}

#[test]
fn a_new_key_is_tested_in_its_providers_own_way_and_nothing_is_spent() {
    let gate = Gate::open();
    for provider in ["openai", "anthropic", "gemini", "groq"] {
        let said = add(&gate, provider, &[]);
        assert!(said.contains("Tested: "), "{said}");
    }
    assert!(add(&gate, "openai", &["--label", "untried", "--no-test"]).contains("is kept"));
    assert!(add(&gate, "vllm", &[]).contains("not tested"), "it documents no such call");
    let bearer = format!("Bearer {KEY}");
    let seen = gate.upstream_saw(4);
    let told: Vec<[Option<&str>; 4]> = seen
        .iter()
        .map(|one| {
            ["authorization", "x-api-key", "x-goog-api-key", "anthropic-version"]
                .map(|name| one.header(name))
        })
        .collect();
    let bearer = [Some(&*bearer), None, None, None];
    let anthropic = [None, Some(KEY), None, Some("2023-06-01")];
    assert_eq!(told, [bearer, anthropic, [None, None, Some(KEY), None], bearer]);
    let asked: Vec<String> =
        seen.iter().map(|one| format!("{} {}", one.method, one.target)).collect();
    let models = "GET /v1/models";
    assert_eq!(asked, [models, models, "GET /v1beta/models", "GET /openai/v1/models"]);
    assert!(gate.receipts().is_empty(), "a test is no call of the user's");
}

#[test]
fn a_refused_key_is_told_in_the_providers_words_without_the_key() {
    let words =
        json!({"error": {"message": format!("\u{1b}[2JIncorrect key {KEY}, sorry"), "code": 401}});
    let desk = Desk::answering(answer(
        "401 Unauthorized",
        "content-type: application/json\r\n",
        &words.to_string(),
    ));
    let mut gate = gate_to(&format!("http://{}", desk.address));
    let said = add(&gate, "mistral", &[]);
    assert!(said.contains("refused (401)") && said.contains("Incorrect key"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let (check, fine) = verdict(&gate);
    assert_eq!(
        (&check["verdict"], &check["http_status"], fine),
        (&json!("refused"), &json!(401), false)
    );
    let pass = gate.says(&["passes", "add", "page", "--scope", "manage"]);
    let test = Call::post("/api/v1/keys/mistral/default/test", &json!({}));
    let over_http = gate.send(&test.clone().bearer(pass.trim()));
    assert_eq!(over_http.status(), 200);
    assert_eq!(over_http.json().expect("JSON"), check);
    assert_eq!(gate.send(&test).status(), 401, "who tests must show a pass");
    gate.ask_to_stop();
    let (_, printed) = gate.ended();
    assert!(!printed.contains(KEY), "{printed}");
}

#[test]
fn a_key_follows_no_redirect() {
    let thief = Desk::answering(answer("200 OK", "", "{}"));
    let location = format!("location: http://{}/v1/models\r\n", thief.address);
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let desk = Desk::answering(answer(status, &location, ""));
        let gate = gate_to(&format!("http://{}", desk.address));
        add(&gate, "mistral", &["--no-test"]);
        let (check, fine) = verdict(&gate);
        assert_eq!((check["verdict"].as_str(), fine), (Some("unclear"), false), "{check}");
        assert_eq!(desk.heard().len(), 1);
    }
    assert!(thief.heard().is_empty(), "{:?}", thief.heard());
}

#[test]
fn a_key_is_shown_to_the_origin_it_was_stored_with_whatever_the_configuration_says_now() {
    let (home, thief) = (Desk::answering(answer("200 OK", "", "{}")), Desk::answering(""));
    let mut gate = gate_to(&format!("http://{}", home.address));
    add(&gate, "mistral", &["--no-test"]);
    gate.ask_to_stop();
    gate.ended();
    let config = gate.home().join("config.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let moved = text.replace(&home.address.to_string(), &thief.address.to_string());
    assert_ne!(moved, text);
    std::fs::write(&config, moved).expect("it can be written");
    // With a process and without one.
    assert_eq!(verdict(&gate).0["verdict"], "works");
    gate.start();
    assert_eq!(verdict(&gate).0["verdict"], "works");
    assert!(home.heard().iter().all(|head| head.contains(KEY)));
    assert_eq!((home.heard().len(), thief.heard().len()), (2, 0));
}

#[test]
fn what_says_nothing_of_the_key_is_not_held_against_it() {
    let busy = Desk::answering(answer("503 Service Unavailable", "", "<html>later</html>"));
    let broken = Desk::answering("not HTTP at all");
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let nobody = nobody.expect("a port that nobody holds any more");
    for (address, said) in
        [(busy.address, "unclear"), (broken.address, "unreachable"), (nobody, "unreachable")]
    {
        let gate = gate_to(&format!("http://{address}"));
        add(&gate, "mistral", &[]);
        let (check, fine) = verdict(&gate);
        assert_eq!((check["verdict"].as_str(), fine), (Some(said), false), "{check}");
    }
    let gate = Gate::open();
    let unknown = gate.command(&["keys", "test", "openai"]);
    assert!(!unknown.status.success() && shown(&unknown).contains("no such key"));
}
