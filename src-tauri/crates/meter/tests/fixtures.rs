//! Plays the hand-made calls of `tests/fixtures/<provider>/<case>/` and holds each reading
//! against what the case says: whole, byte by byte, and cut in two at every byte.
//!
//! A case is a folder with `call.toml`, which is documented by [`Call`], and the body of the
//! answer in `answer.json`, `.sse`, `.ndjson` or whatever else it is.

mod recorded;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use meter::format::{End, Reader, Reading};
use meter::provider::{Provider, Providers, Route};
use meter::request::{Asked, RequestScanner};
use meter::usage::{Basis, Bound, UsageLine};
use proptest::prelude::*;
use serde::Deserialize;

/// One call and what its receipt must say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    /// What the case is there for.
    shows: String,
    #[serde(default = "post")]
    method: String,
    /// Path without query, as the provider sees it.
    path: String,
    /// The request's body.
    #[serde(default)]
    request: String,
    #[serde(default = "json")]
    request_type: String,
    /// The answer's status and headers. A content type is told by the file's name otherwise.
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// `complete`, `broken` or `client_left`.
    #[serde(default = "complete")]
    end: String,
    reading: Expected,
}

/// What is not named is not looked at, except that nothing may be flagged unnamed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: String,
    usage_state: String,
    /// Each `factor count`, then ` of MODEL`, basis and bound where they are not the usual.
    lines: Vec<String>,
    /// Each `factor key=value`: what a price depends on besides.
    attributes: Option<Vec<String>>,
    #[serde(default)]
    anomalies: Vec<String>,
    model: Option<String>,
    stream: Option<bool>,
    response_id: Option<String>,
    finish_reason: Option<String>,
    service_tier: Option<String>,
    region: Option<String>,
    error_type: Option<String>,
    error_message: Option<String>,
    upstream_request_id: Option<String>,
    /// The amount that the provider stated.
    reported_cost: Option<String>,
}

fn post() -> String {
    "POST".into()
}

fn json() -> String {
    "application/json".into()
}

fn ok() -> u16 {
    200
}

fn complete() -> String {
    "complete".into()
}

struct Case {
    name: String,
    provider: Provider,
    route: Route,
    asked: Asked,
    call: Call,
    answer: Vec<u8>,
    content_type: &'static str,
}

#[test]
fn every_fixture_is_read_as_it_says_however_it_is_split() {
    let cases = cases();
    assert!(cases.len() > 10, "the fixtures are there");
    for case in &cases {
        let whole = read(case, std::iter::once(&*case.answer));
        check(case, &whole);
        assert_eq!(whole, read(case, case.answer.chunks(1)), "{}: byte by byte", case.name);
        for at in 1..case.answer.len() {
            let (head, tail) = case.answer.split_at(at);
            assert_eq!(whole, read(case, [head, tail].into_iter()), "{}: cut at {at}", case.name);
        }
    }
}

#[test]
fn a_cut_answer_never_says_more_than_the_whole_one() {
    for case in cases() {
        let whole = tokens(&read(&case, std::iter::once(&*case.answer)));
        // Each end is tried at every third byte, each at other ones.
        for (first, end) in [End::Complete, End::Broken, End::ClientLeft].into_iter().enumerate() {
            for at in (first..case.answer.len()).step_by(3) {
                let cut = read_until(&case, std::iter::once(&case.answer[..at]), end);
                let reported = cut.lines.iter().all(|line| line.basis != Basis::Estimated);
                assert!(!reported || tokens(&cut) <= whole, "{}: cut at {at}", case.name);
            }
        }
    }
}

#[test]
fn a_usage_object_read_again_says_what_it_said() {
    let mut read_again = 0;
    for case in cases() {
        let whole = read(&case, std::iter::once(&*case.answer));
        read_again += usize::from(recorded::says_it_again(
            &case.name,
            &case.provider,
            case.route.format,
            &case.asked,
            &whole,
        ));
    }
    assert!(read_again > 50, "most fixtures report usage");
}

#[test]
fn the_list_of_cases_names_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let list = fs::read_to_string(root.join("tests/fixtures/README.md")).expect("the list");
    let rows: Vec<&str> = list.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), 25);
    for (number, row) in (1..).zip(rows) {
        assert!(row.starts_with(&format!("| {number} ")), "{row}");
        let names: Vec<&str> =
            row.split('`').skip(1).step_by(2).filter(|n| n.contains('/')).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            let is_there = match name.split_once("::") {
                Some((file, test)) => fs::read_to_string(root.join(file))
                    .is_ok_and(|text| text.contains(&format!("fn {test}("))),
                None => root.join("tests/fixtures").join(name).join("call.toml").exists(),
            };
            assert!(is_there, "case {number} names {name}, which is not there");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_pieces_give_the_same_reading(cuts in prop::collection::vec(0usize..1_000_000, 1..12)) {
        static CASES: LazyLock<Vec<Case>> = LazyLock::new(cases);
        for case in CASES.iter() {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (case.answer.len() + 1)).collect();
            at.extend([0, case.answer.len()]);
            at.sort_unstable();
            let pieces = at.windows(2).map(|pair| &case.answer[pair[0]..pair[1]]);
            let whole = read(case, std::iter::once(&*case.answer));
            prop_assert_eq!(read(case, pieces), whole, "{}", case.name);
        }
    }
}

fn tokens(reading: &Reading) -> u64 {
    reading.lines.iter().map(|line| line.count.millionths()).sum()
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures");
    let mut cases = Vec::new();
    for provider in folders(&root) {
        for folder in folders(&provider) {
            cases.push(case(&provider, &folder));
        }
    }
    cases
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).expect("a folder of fixtures");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

fn case(provider: &Path, folder: &Path) -> Case {
    let last = |path: &Path| path.file_name().expect("named").to_string_lossy().into_owned();
    let name = format!("{}/{}", last(provider), last(folder));
    let text = fs::read_to_string(folder.join("call.toml")).expect(&name);
    let call: Call = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    let entries = fs::read_dir(folder).expect(&name).map(|entry| entry.expect("readable").path());
    let answer = entries
        .into_iter()
        .find(|path| path.file_stem().is_some_and(|stem| stem == "answer"))
        .unwrap_or_else(|| panic!("{name}: no answer"));
    let content_type = match answer.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "json" => "application/json",
        "sse" => "text/event-stream",
        "ndjson" => "application/x-ndjson",
        "eventstream" => "application/vnd.amazon.eventstream",
        "html" => "text/html",
        _ => "application/octet-stream",
    };
    let id = last(provider);
    let declared = Provider::declared(&id, "http://upstream.test");
    let provider = Providers::built_in().get(&id).unwrap_or(&declared).clone();
    let route = provider.route(&call.method, &call.path);
    let mut scanner = RequestScanner::new(&route, Some(&*call.request_type));
    scanner.push(call.request.as_bytes());
    scanner.finish();
    let asked = scanner.asked().clone();
    let answer = fs::read(answer).expect("readable");
    Case { name, provider, route, asked, call, answer, content_type }
}

fn read<'a>(case: &Case, pieces: impl Iterator<Item = &'a [u8]>) -> Reading {
    let end = match &*case.call.end {
        "complete" => End::Complete,
        "broken" => End::Broken,
        "client_left" => End::ClientLeft,
        other => panic!("{}: no such end: {other}", case.name),
    };
    read_until(case, pieces, end)
}

fn read_until<'a>(case: &Case, pieces: impl Iterator<Item = &'a [u8]>, end: End) -> Reading {
    let call = &case.call;
    let mut reader = Reader::new(case.route.format, &case.provider);
    reader.head(call.status, &|name| {
        let told = call.headers.iter().find(|(header, _)| header == name);
        told.map(|(_, value)| &**value).or((name == "content-type").then_some(case.content_type))
    });
    pieces.for_each(|piece| {
        reader.push(piece);
    });
    reader.finish(end, &case.asked)
}

fn check(case: &Case, reading: &Reading) {
    let (name, want) = (&case.name, &case.call.reading);
    let context = format!("{name} ({})", case.call.shows);
    assert_eq!(reading.status.as_str(), want.status, "{context}");
    assert_eq!(reading.lines.iter().map(line).collect::<Vec<_>>(), want.lines, "{context}");
    let attributes: Vec<String> = reading.lines.iter().flat_map(attributes).collect();
    assert_eq!(&attributes, want.attributes.as_ref().unwrap_or(&attributes), "{context}");
    assert_eq!(reading.usage_state.as_str(), want.usage_state, "{context}");
    let flags: Vec<&str> = reading.anomalies.iter().map(|a| a.as_str()).collect();
    assert_eq!(flags, want.anomalies, "{context}");
    assert_eq!(reading.stream, want.stream.unwrap_or(reading.stream), "{context}");
    for (what, have, want) in [
        ("model", &reading.model, &want.model),
        ("response_id", &reading.response_id, &want.response_id),
        ("finish_reason", &reading.finish_reason, &want.finish_reason),
        ("service_tier", &reading.service_tier, &want.service_tier),
        ("region", &reading.region, &want.region),
        ("error_type", &reading.error_type, &want.error_type),
        ("error_message", &reading.error_message, &want.error_message),
        ("upstream_request_id", &reading.upstream_request_id, &want.upstream_request_id),
    ] {
        // An empty text says that there is nothing.
        let have = have.as_deref().unwrap_or_default();
        assert_eq!(have, want.as_deref().unwrap_or(have), "{context}: {what}");
    }
    let cost = reading.reported_cost.as_ref().map(|cost| cost.amount.to_string());
    assert!(want.reported_cost.is_none() || want.reported_cost == cost, "{context}: {cost:?}");
}

fn attributes(line: &UsageLine) -> impl Iterator<Item = String> {
    line.attributes.iter().map(|(key, value)| format!("{} {key}={value}", line.factor))
}

fn line(line: &UsageLine) -> String {
    let mut text = format!("{} {}", line.factor, line.count);
    if let Some(model) = &line.model {
        text += &format!(" of {model}");
    }
    text += match line.basis {
        Basis::Reported => "",
        Basis::Derived => " derived",
        Basis::Estimated => " estimated",
    };
    text += match line.bound {
        Bound::Exact => "",
        Bound::Lower => " lower",
        Bound::Upper => " upper",
    };
    text
}
