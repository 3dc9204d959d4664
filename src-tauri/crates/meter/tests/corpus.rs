//! Holds readings against recorded traffic of real providers, which is no part of this
//! repository: set `TOLLGATE_CORPUS` to the folder with `dev.jsonl.gz` and
//! `expected.dev.jsonl.gz`, and `TOLLGATE_KINDS` to the beginnings of the kinds to hold to it
//! (default: none fails, all are counted).

mod recorded;

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use meter::format::{End, Format, Reader, Reading};
use meter::provider::{Provider, Providers};
use meter::receipt::{Anomaly, Status};
use meter::request::{Asked, RequestScanner};
use meter::usage::{Count, Unit};
use serde_json::Value;

#[test]
fn recorded_answers_are_read_as_the_providers_mean_them() {
    let Some(folder) = env::var_os("TOLLGATE_CORPUS") else { return };
    let folder = Path::new(&folder);
    let expected: BTreeMap<String, Value> = rows(&folder.join("expected.dev.jsonl.gz"))
        .map(|row| (text(&row["id"]).to_owned(), row))
        .collect();
    let kinds = env::var("TOLLGATE_KINDS").unwrap_or_default();
    let held: Vec<&str> = kinds.split(',').filter(|kind| !kind.is_empty()).collect();
    let mut tally: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong_and_held = 0;
    for row in rows(&folder.join("dev.jsonl.gz")) {
        let id = text(&row["id"]);
        let (call, reading) = read(&row, usize::MAX);
        assert_eq!(reading, read(&row, 7).1, "{id} in pieces of 7 bytes");
        let Call { provider, format, asked } = &call;
        recorded::says_it_again(id, provider, *format, asked, &reading);
        let differences = differences(&expected[id], &reading);
        let kind = text(&row["kind"]);
        let (right, all) = tally.entry(kind.to_owned()).or_default();
        *all += 1;
        *right += usize::from(differences.is_empty());
        if !differences.is_empty() && held.iter().any(|held| kind.starts_with(held)) {
            wrong_and_held += 1;
            println!("{id}: {}", differences.join(", "));
        }
    }
    for (kind, (right, all)) in &tally {
        println!("{kind:36} {right:4} of {all:4}");
    }
    let sum = |pick: fn(&(usize, usize)) -> usize| tally.values().map(pick).sum::<usize>();
    println!("{} of {} readings right", sum(|t| t.0), sum(|t| t.1));
    assert_eq!(wrong_and_held, 0, "readings of the kinds {held:?} are wrong");
}

fn rows(path: &Path) -> impl Iterator<Item = Value> + use<> {
    let file = BufReader::new(MultiGzDecoder::new(File::open(path).expect("the corpus")));
    file.lines().map(|line| serde_json::from_str(&line.expect("gzip")).expect("JSON"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What is known before the answer comes.
struct Call {
    provider: Provider,
    format: Option<Format>,
    asked: Asked,
}

fn read(row: &Value, piece: usize) -> (Call, Reading) {
    let (request, response) = (&row["request"], &row["response"]);
    let declared = Provider::declared(text(&row["provider"]), "http://upstream.test");
    let provider = Providers::built_in().get(text(&row["provider"])).unwrap_or(&declared);
    let path = text(&request["path"]).split('?').next().unwrap_or_default();
    let route = provider.route(text(&request["method"]), path);
    let mut scanner = RequestScanner::new(&route, header(request, "content-type"));
    scanner.push(&base64(request));
    scanner.finish();
    let mut reader = Reader::new(route.format, provider);
    let status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    reader.head(status.unwrap_or(0), &|name| header(response, name));
    let body = decoded(base64(response), response);
    for piece in body.chunks(piece.min(body.len().max(1))) {
        reader.push(piece);
    }
    let asked = scanner.asked().clone();
    let reading = reader.finish(End::Complete, &asked);
    (Call { provider: provider.clone(), format: route.format, asked }, reading)
}

fn base64(message: &Value) -> Vec<u8> {
    STANDARD.decode(text(&message["body_b64"])).expect("base64")
}

/// Without its content coding, as the gateway shows bodies; the recordings know only gzip.
fn decoded(body: Vec<u8>, response: &Value) -> Vec<u8> {
    if header(response, "content-encoding") != Some("gzip") {
        return body;
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(&*body).read_to_end(&mut plain).expect("gzip");
    plain
}

fn header<'a>(message: &'a Value, name: &str) -> Option<&'a str> {
    let pairs = message["headers"].as_array()?;
    let found = pairs.iter().find(|pair| text(&pair[0]).eq_ignore_ascii_case(name))?;
    found[1].as_str()
}

/// What the sums of a reading's token lines are called in the expectations.
fn sums(reading: &Reading) -> BTreeMap<&'static str, Count> {
    let sum = |pick: &dyn Fn(&str) -> bool| -> Count {
        let tokens = reading.lines.iter().filter(|line| line.factor.unit() == Unit::Token);
        tokens.filter(|line| pick(&line.factor.name())).map(|line| line.count).sum()
    };
    let begins = |prefix: &'static str| {
        move |name: &str| {
            name.strip_prefix(prefix).is_some_and(|r| r.is_empty() || r.starts_with('.'))
        }
    };
    let read = sum(&begins("input.cache_read"));
    let write = sum(&|name| name.starts_with("input.cache_write"));
    let input = sum(&begins("input")).plus(sum(&begins("embedding")));
    BTreeMap::from([
        ("input_total", input),
        ("uncached_input", input.less(read.plus(write)).unwrap_or_default()),
        ("cache_read", read),
        ("cache_write", write),
        ("cache_write_5m", sum(&|name| name == "input.cache_write_5m")),
        ("cache_write_1h", sum(&|name| name == "input.cache_write_1h")),
        ("tool_input", sum(&|name| name == "input.tool_use")),
        ("output", sum(&begins("output"))),
        ("reasoning", sum(&|name| name == "output.reasoning")),
        ("audio_in", sum(&|name| name.starts_with("input.") && name.ends_with("audio"))),
        ("audio_out", sum(&|name| name == "output.audio")),
        ("image_in", sum(&|name| name.starts_with("input.") && name.ends_with("image"))),
        ("image_out", sum(&|name| name == "output.image")),
        ("video_in", sum(&|name| name.starts_with("input.") && name.ends_with("video"))),
    ])
}

fn differences(expected: &Value, reading: &Reading) -> Vec<String> {
    let mut found = Vec::new();
    let status = expected["status"].as_u64().unwrap_or(0);
    if status >= 400 && reading.status != Status::Error {
        found.push(format!("status {}", reading.status));
    }
    let model = text(&expected["model_served"]);
    let bare = |model: &str| model.strip_prefix("models/").unwrap_or(model).to_owned();
    if status < 300 && !model.is_empty() && reading.model.as_deref().map(bare) != Some(bare(model))
    {
        found.push(format!("model {:?} instead of {model}", reading.model));
    }
    if status < 300 && reading.anomalies.contains(&Anomaly::UnterminatedStream) {
        found.push("is a stream without an end".to_owned());
    }
    let billed = &expected["usage_billed"];
    let usage = if billed.is_null() { &expected["usage"] } else { billed };
    let Some(usage) = usage.as_object() else { return found };
    let sums = sums(reading);
    let lifetimes = |name: &str| name.starts_with("cache_write_");
    let is_split = !expected["ttl_assumed"].as_bool().unwrap_or(false);
    for (name, want) in usage {
        let Some(have) = sums.get(name.as_str()) else { continue };
        let want = Count::parse(&want.to_string()).unwrap_or_default();
        let only_if_told = ["audio_in", "audio_out", "image_in", "image_out", "video_in"];
        if only_if_told.contains(&name.as_str()) && want.is_zero() || lifetimes(name) && !is_split {
            continue;
        }
        if *have != want {
            found.push(format!("{name} {have} instead of {want}"));
        }
    }
    found
}
