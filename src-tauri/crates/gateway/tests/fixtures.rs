//! Plays every hand-made call of `tests/fixtures/` through a real gateway: plain and in each
//! coding, in hostile pieces, and broken off in the middle.

mod rig;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use gateway::listener::Limits;
use meter::Receipt;
use meter::provider::{Auth, Provider, Providers};
use meter::receipt::{Status, UsageState};
use meter::usage::{Basis, Count};
use rig::{Got, Rig, chunk, upstream};
use tokio::io::AsyncWriteExt;

/// One call as its folder tells it.
struct Case {
    name: String,
    provider: Provider,
    request: Vec<u8>,
    head: String,
    body: Vec<u8>,
}

type Encode = fn(&[u8]) -> Vec<u8>;

/// The codings of answers, each but the first in two members, as servers flush them.
const CODINGS: [(&str, Encode); 4] = [
    ("identity", <[u8]>::to_vec),
    ("gzip", |text| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }),
    ("br", |text| {
        let mut out = Vec::new();
        brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(text).expect("memory");
        out
    }),
    ("zstd", |text| zstd::bulk::compress(text, 3).expect("memory")),
];

/// What the upstream does next: these pieces, then the end of the chunks or of the connection.
#[derive(Default)]
struct Play {
    head: String,
    pieces: Vec<Vec<u8>>,
    is_broken_off: bool,
}

#[tokio::test]
async fn every_fixture_leaves_the_same_receipt_in_every_coding() {
    let (cases, play) = (cases(), Arc::new(Mutex::new(Play::default())));
    let mut rig = before(&cases, &play).await;
    let mut taken = Vec::new();
    for case in &cases {
        let mut plain: Option<Receipt> = None;
        for (coding, encode) in CODINGS {
            // Brotli has no members that could follow each other.
            let at = if coding == "br" { 0 } else { case.body.len() / 2 };
            let (front, back) = case.body.split_at(at);
            let front = if front.is_empty() { Vec::new() } else { encode(front) };
            let bytes = [front, encode(back)].concat();
            let head = format!("{}content-encoding: {coding}\r\n", case.head);
            *play.lock().expect("whole") =
                Play { head, pieces: hostile(&bytes), is_broken_off: false };
            let answer = rig.exchange(&case.request).await;
            assert_eq!(answer.content(), bytes, "{} in {coding}", case.name);
            let receipt = rig.receipt().await;
            let first = plain.get_or_insert_with(|| receipt.clone());
            assert_eq!(told(&receipt), told(first), "{} in {coding}", case.name);
            taken.push(receipt);
        }
    }
    let known = taken.iter().filter(|receipt| receipt.usage_state == UsageState::Reported);
    assert!(known.count() * 2 > taken.len(), "most fixtures report usage");
    assert_eq!(rig.stop(&taken).await, []);
}

#[tokio::test]
async fn every_fixture_that_breaks_off_leaves_one_receipt_that_says_no_more_than_it_knows() {
    let (cases, play) = (cases(), Arc::new(Mutex::new(Play::default())));
    let mut rig = before(&cases, &play).await;
    let mut taken = Vec::new();
    for case in &cases {
        let mut whole = None;
        for parts in [3, 1, 2] {
            let cut = &case.body[..case.body.len() * parts / 3];
            let is_broken_off = parts < 3;
            let (head, pieces) = (case.head.clone(), hostile(cut));
            *play.lock().expect("whole") = Play { head, pieces, is_broken_off };
            rig.exchange(&case.request).await;
            let receipt = rig.receipt().await;
            let most = *whole.get_or_insert_with(|| reported(&receipt));
            assert!(reported(&receipt) <= most, "{}: {parts} of 3", case.name);
            let is_known = receipt.usage_state == UsageState::Reported;
            let is_sure = is_known || receipt.status != Status::Succeeded || receipt.cost.is_none();
            assert!(!is_broken_off || is_sure, "{}: {parts} of 3: {receipt:?}", case.name);
            taken.push(receipt);
        }
    }
    assert_eq!(rig.stop(&taken).await, []);
}

/// Pieces of sizes that fall within characters, line ends and frames.
fn hostile(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for size in [1, 2, 3, 7, 61].into_iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push(piece.to_vec());
        bytes = rest;
    }
    pieces
}

fn told(receipt: &Receipt) -> impl PartialEq + std::fmt::Debug + use<> {
    let r = receipt.clone();
    let usage = (r.lines, r.usage_raw, r.usage_state, r.anomalies, r.reported_cost, r.cost);
    let names = (r.model, r.response_id, r.finish_reason, r.service_tier, r.region);
    (r.status, r.http_status, r.stream, usage, names, r.error_type, r.error_message)
}

fn reported(receipt: &Receipt) -> Count {
    let lines = receipt.lines.iter().filter(|line| line.basis != Basis::Estimated);
    lines.map(|line| line.count).sum()
}

/// A gateway before an upstream that answers every call with the current play.
async fn before(cases: &[Case], play: &Arc<Mutex<Play>>) -> Rig {
    let play = Arc::clone(play);
    let address = upstream(move |mut stream| {
        let play = Arc::clone(&play);
        async move {
            stream.set_nodelay(true)?;
            while Got::read(&mut stream).await?.is_some() {
                let Play { head, pieces, is_broken_off } =
                    std::mem::take(&mut *play.lock().expect("whole"));
                stream.write_all(format!("{head}\r\n").as_bytes()).await?;
                for piece in pieces {
                    stream.write_all(&chunk(piece)).await?;
                }
                if is_broken_off {
                    return Ok(());
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            Ok(())
        }
    })
    .await;
    Rig::with(Limits::default(), |snapshot| {
        for case in cases {
            let mut provider = case.provider.clone();
            (provider.auth, provider.usage_assist) = (Auth::None, false);
            provider.base_url = Some(format!("http://{address}").into());
            snapshot.providers.insert(provider);
        }
    })
    .await
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures");
    let folders = folders(&root).into_iter().flat_map(|provider| folders(&provider));
    let cases: Vec<Case> = folders.map(|folder| case(&folder)).collect();
    assert!(cases.len() > 100, "the fixtures are there");
    cases
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(root).expect("a folder").map(|entry| entry.expect("readable").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn case(folder: &Path) -> Case {
    let last = |path: &Path| path.file_name().expect("named").to_string_lossy().into_owned();
    let id = last(folder.parent().expect("a provider"));
    let name = format!("{id}/{}", last(folder));
    let text = fs::read_to_string(folder.join("call.toml")).expect(&name);
    let call: toml::Table = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
    let word = |key: &str, usual: &str| -> String {
        call.get(key).and_then(toml::Value::as_str).unwrap_or(usual).to_owned()
    };
    let (method, path, body) = (word("method", "POST"), word("path", "/"), word("request", ""));
    let sent = word("request_type", "application/json");
    let request = format!(
        "{method} /{id}{path} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\
         content-type: {sent}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut entries = fs::read_dir(folder).expect(&name).map(|entry| entry.expect("there").path());
    let answer = entries.find(|path| path.file_stem().is_some_and(|stem| stem == "answer"));
    let answer = answer.unwrap_or_else(|| panic!("{name}: no answer"));
    let status = call.get("status").and_then(toml::Value::as_integer).unwrap_or(200);
    let mut head = format!("HTTP/1.1 {status} So\r\ntransfer-encoding: chunked\r\n");
    let pairs = call.get("headers").and_then(toml::Value::as_array).into_iter().flatten();
    let headers: Vec<(&str, &str)> =
        pairs.filter_map(|pair| Some((pair.get(0)?.as_str()?, pair.get(1)?.as_str()?))).collect();
    if headers.iter().all(|(header, _)| *header != "content-type") {
        head += &format!("content-type: {}\r\n", content_type(&answer));
    }
    for (header, value) in headers {
        head += &format!("{header}: {value}\r\n");
    }
    let declared = Provider::declared(&id, "http://upstream.test");
    let provider = Providers::built_in().get(&id).unwrap_or(&declared).clone();
    Case { name, provider, request: request.into(), head, body: fs::read(answer).expect("there") }
}

fn content_type(answer: &Path) -> &'static str {
    match answer.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "json" => "application/json",
        "sse" => "text/event-stream",
        "ndjson" => "application/x-ndjson",
        "eventstream" => "application/vnd.amazon.eventstream",
        "html" => "text/html",
        _ => "application/octet-stream",
    }
}
