//! Newer prices from a real server: the good bundle comes into force in the running process,
//! every other one leaves the prices as they are and says why.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use meter::Timestamp;
use price_bundle::{Signer, contents, price_files};
use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, Setup, count, wait_until};

/// What a server of prices does when it is asked.
#[derive(Clone)]
enum Does {
    Gives(Vec<u8>),
    Says404,
    /// Sends the head, then nothing for as long as it is listened to.
    Hangs,
    /// Sends and sends.
    NeverEnds,
    /// Promises more than comes.
    BreaksOff(Vec<u8>),
    HangsUp,
}

struct Server {
    url: String,
    does: Arc<Mutex<Does>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/prices", listener.local_addr().expect("bound"));
        let does = Arc::new(Mutex::new(Does::HangsUp));
        let now = Arc::clone(&does);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let does = now.lock().expect("nobody panics holding it").clone();
                thread::spawn(move || serve(stream, does));
            }
        });
        Self { url, does }
    }

    fn now(&self, does: Does) {
        *self.does.lock().expect("nobody panics holding it") = does;
    }
}

/// Whoever asked may go away at any time, so nothing here fails.
fn serve(mut stream: TcpStream, does: Does) {
    let mut asked = [0; 4096];
    let _ = stream.read(&mut asked);
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let _ = match does {
        Does::Gives(bytes) => stream.write_all(&[head(bytes.len()).as_bytes(), &bytes].concat()),
        Does::Says404 => stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        Does::Hangs => {
            let sent = stream.write_all(head(10_000).as_bytes());
            let _ = stream.read(&mut asked);
            sent
        }
        Does::NeverEnds => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
            while stream.write_all(&[b'x'; 65_536]).is_ok() {}
            Ok(())
        }
        Does::BreaksOff(bytes) => {
            stream.write_all(&[head(bytes.len()).as_bytes(), &bytes[..bytes.len() / 2]].concat())
        }
        Does::HangsUp => Ok(()),
    };
}

/// The prices of this program, a day later and with a price for the stand-in's model.
fn files() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src-tauri/crates/meter/prices");
    let mut files: BTreeMap<String, Value> = price_files(&folder).expect("the price files");
    let dollar =
        ["input.text", "input.cache_read", "input.cache_write", "output.text", "output.reasoning"];
    let rates: serde_json::Map<_, _> =
        dollar.iter().map(|factor| ((*factor).to_owned(), json!("1"))).collect();
    let model = json!({"id": "standin", "versions": [{"rates": rates}]});
    files.get_mut("openai").expect("a file")["models"].as_array_mut().expect("a list").push(model);
    files
}

fn bundle(signer: &Signer, sequence: u64, files: &BTreeMap<String, Value>) -> Vec<u8> {
    let made_at = Timestamp::parse("2026-11-20T06:00:00Z").expect("an instant");
    signer.sign(&contents(sequence, made_at, files, None).expect("JSON"))
}

fn signer() -> Signer {
    Signer::new(&[7; 32])
}

fn gate(server: &Server, more: &str) -> Gate {
    let (url, key) = (&server.url, signer().public_key());
    let refresh = format!(
        "[price_refresh]\nurl = '{url}'\npublic_key = '{key}'\ntimeout_seconds = 2\n{more}"
    );
    Gate::open_with(Setup { more: refresh, ..Setup::default() })
}

fn call(gate: &Gate) {
    let chat = json!({"model": "standin", "messages": []});
    let call = Call::post("/v1/chat/completions", &chat).bearer("planted");
    gate.send(&call).body().expect("whole");
}

fn age(gate: &Gate) -> Value {
    serde_json::from_str(&gate.says(&["prices", "age", "--json"])).expect("JSON")
}

/// A dollar a million tokens.
fn dollars(receipt: &Value) -> String {
    let tokens = count(receipt, "input.").unwrap_or(0) + count(receipt, "output.").unwrap_or(0);
    format!("0.{tokens:06}").trim_end_matches('0').to_owned()
}

#[test]
fn a_good_bundle_comes_into_force_and_receipts_keep_the_book_they_were_rated_with() {
    let server = Server::start();
    let mut gate = gate(&server, "");
    call(&gate);
    let first = gate.receipts_of(1).remove(0);
    assert_eq!(first["cost_state"], "unknown");
    server.now(Does::Gives(bundle(&signer(), 7, &files())));
    let done = gate.says(&["prices", "refresh", "--json"]);
    let done: Value = serde_json::from_str(&done).expect("JSON");
    assert_eq!((&done["renewed"], &done["sequence"]), (&json!(true), &json!(7)));
    assert_ne!(done["book_hash"], first["book_hash"]);
    call(&gate);
    let second = gate.receipts_of(2).remove(1);
    assert_eq!(second["book_hash"], done["book_hash"]);
    assert_eq!(second["cost"], *dollars(&second), "{second}");
    assert_eq!(gate.receipts()[0], first, "what was rated stays so");
    let again = gate.says(&["prices", "refresh", "--json"]);
    assert!(again.contains(r#""renewed":false"#), "{again}");

    // It outlives the process, and the server.
    server.now(Does::HangsUp);
    gate.kill();
    assert_eq!(age(&gate)["sequence"], 7);
    gate.start();
    call(&gate);
    assert_eq!(gate.receipts_of(3)[2]["book_hash"], done["book_hash"]);

    // Both books can be gone by again; of a third one it is said that it is not kept.
    let reprice = |book: &str| {
        let order = ["reprice", "--reason", "to see", "--json", "--book", book];
        gate.command(&order)
    };
    let old = reprice(first["book_hash"].as_str().expect("a hash"));
    let old: Value = serde_json::from_slice(&old.stdout).expect("JSON");
    assert_eq!((&old["changed"], &old["book_hash"]), (&json!(2), &first["book_hash"]));
    let new = reprice(done["book_hash"].as_str().expect("a hash"));
    let new: Value = serde_json::from_slice(&new.stdout).expect("JSON");
    assert_eq!(new["changed"], 1, "only the first one had no price");
    let gone = reprice("0123456789abcdef");
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(!gone.status.success() && said.contains("not kept here"), "{said}");
}

#[test]
fn what_is_no_good_bundle_changes_nothing_and_is_named() {
    let server = Server::start();
    let gate = gate(&server, "");
    let good = bundle(&signer(), 7, &files());
    server.now(Does::Gives(good.clone()));
    gate.says(&["prices", "refresh"]);
    let in_force = age(&gate)["book_hash"].clone();

    let mut tampered = good.clone();
    let price = tampered.len() / 2;
    tampered[price] ^= 1;
    let mut wrong = files();
    for model in wrong.get_mut("openai").expect("a file")["models"].as_array_mut().expect("a list")
    {
        if model["id"] == "gpt-4o" {
            model["versions"][0]["rates"]["input.text"] = json!("3");
        }
    }
    let made_at = Timestamp::parse("2026-11-20T07:00:00Z").expect("an instant");
    let reasons = json!({"corrections": {"openai": {"gpt-4o": "a slip"}}});
    let golden = contents(8, made_at, &wrong, Some(&reasons)).expect("JSON");
    let broken = signer().sign("{\"schema\":1,\"sequence\":9}");
    for (does, why) in [
        (Does::Gives(tampered), "signature is not valid"),
        (Does::Gives(bundle(&Signer::new(&[8; 32]), 8, &files())), "signature is not valid"),
        (Does::Gives(bundle(&signer(), 6, &files())), "older than number 7"),
        (Does::Gives(bundle(&signer(), 7, &wrong)), "another number 7"),
        (Does::Gives(bundle(&signer(), 8, &wrong)), "what `gpt-4o` of `openai` cost"),
        (Does::Gives(signer().sign(&golden)), "known cost of `gpt-4o`"),
        (Does::Gives(broken), "cannot be read"),
        (Does::Gives(good[..good.len() / 2].to_vec()), "signature is not valid"),
        (Does::Gives(good[..60].to_vec()), "no price bundle"),
        (Does::Gives(Vec::new()), "no price bundle"),
        (Does::BreaksOff(good.clone()), "could not be read"),
        (Does::NeverEnds, "more than 4 MiB"),
        (Does::Hangs, "longer than 2 seconds"),
        (Does::HangsUp, "could not be"),
        (Does::Says404, "404"),
    ] {
        server.now(does);
        let refused = gate.command(&["prices", "refresh"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(why), "wanted {why:?} in: {said}");
        assert!(said.contains("stay so"), "{said}");
        assert_eq!(age(&gate)["book_hash"], in_force, "{why}");
    }
    call(&gate);
    assert_eq!(gate.receipts_of(1)[0]["book_hash"], in_force);
}

#[test]
fn a_server_that_is_down_is_no_reason_not_to_serve() {
    let server = Server::start();
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/prices", closed.local_addr().expect("bound"));
    drop(closed);
    let gate = gate(&Server { url, ..server }, "every_hours = 1\n");
    let refused = gate.command(&["prices", "refresh"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("could not be reached"), "{said}");
    call(&gate);
    gate.receipt();
}

#[test]
fn with_an_interval_newer_prices_come_by_themselves_and_without_one_never() {
    let server = Server::start();
    server.now(Does::Gives(bundle(&signer(), 7, &files())));
    let quiet = gate(&server, "");
    let gate = gate(&server, "every_hours = 1\n");
    wait_until("the prices are renewed", || age(&gate)["sequence"] == 7);
    assert_eq!(age(&quiet)["sequence"], Value::Null);
}

#[test]
fn nothing_is_fetched_where_nothing_is_configured() {
    let gate = Gate::open();
    let refused = gate.command(&["prices", "refresh"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("[price_refresh]"), "{said}");
}

#[test]
fn a_kept_bundle_that_was_tampered_with_is_not_used() {
    let server = Server::start();
    let mut gate = gate(&server, "");
    server.now(Does::Gives(bundle(&signer(), 7, &files())));
    // Without a process the command fetches by itself.
    gate.kill();
    gate.says(&["prices", "refresh"]);
    let kept = gate.home().join("prices.bundle");
    let mut bytes = std::fs::read(&kept).expect("it is kept");
    *bytes.last_mut().expect("it is long") = b' ';
    std::fs::write(&kept, bytes).expect("the home is writable");
    assert_eq!(age(&gate)["sequence"], Value::Null);
    gate.start();
    call(&gate);
    assert_eq!(gate.receipt()["cost_state"], "unknown");
    assert!(gate.printed().contains("signature is not valid"), "{}", gate.printed());
}
