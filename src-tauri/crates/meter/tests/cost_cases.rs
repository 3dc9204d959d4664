//! The built-in book against tables of costs that two independent libraries agree about.
//!
//! Tables that are not part of the project are looked for at `TOLLGATE_PRICING` and skipped
//! where that is not set; `prices_by_hand.csv` is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use meter::price::{Book, ask};
use meter::provider::Providers;
use meter::{Money, Timestamp};
use serde_json::{Value, json};

const NOW: &str = "2026-11-20T12:00:00Z";

fn answer(question: &Value) -> Value {
    let now = Timestamp::parse(NOW).unwrap();
    let line = ask::answer(Book::built_in(), Providers::built_in(), now, &question.to_string());
    serde_json::from_str(&line.unwrap()).unwrap()
}

type Row = BTreeMap<String, String>;

/// Rows of a CSV file as column to cell; cells may be quoted.
fn rows(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names = cells(lines.next().unwrap());
    let row = |line| names.iter().cloned().zip(cells(line)).collect();
    lines.map(row).collect()
}

fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for letter in line.trim_end_matches('\r').chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            letter => cells.last_mut().unwrap().push(letter),
        }
    }
    cells
}

fn tables() -> Option<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_PRICING").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: TOLLGATE_PRICING is not set");
    }
    folder
}

/// A row of the table as a question, as its README maps columns to factors.
fn question(row: &Row) -> Value {
    let cell =
        |name: &str| row.get(name).map_or(0, |cell| cell.parse::<f64>().unwrap_or(0.0) as u64);
    let embeds = row["endpoint"] == "embeddings";
    let parts = ["reasoning", "audio_out", "image_out_tokens"];
    let text = cell("output") - parts.iter().map(|part| cell(part)).sum::<u64>();
    let counted = [
        (if embeds { "embedding.input" } else { "input.text" }, cell("uncached_input")),
        ("input.cache_read", cell("cache_read")),
        ("input.cache_write_5m", cell("cache_write_5m")),
        ("input.cache_write_1h", cell("cache_write_1h")),
        ("input.audio", cell("audio_in")),
        ("input.image", cell("image_in_tokens")),
        ("output.text", text),
        ("output.reasoning", cell("reasoning")),
        ("output.audio", cell("audio_out")),
        ("output.image", cell("image_out_tokens")),
        ("images.generated", cell("images")),
        ("tts.characters", cell("tts_characters")),
        ("audio.input_seconds", cell("audio_seconds")),
        ("tool.web_search", cell("web_searches")),
    ];
    let lines: serde_json::Map<String, Value> =
        counted.iter().filter(|(_, n)| *n > 0).map(|(f, n)| ((*f).into(), json!(n))).collect();
    let kind = match &*row["endpoint"] {
        "embeddings" => "embedding",
        "images" => "image",
        other => other,
    };
    json!({
        "id": row["id"], "base_url": row["base_url"], "model": row["model"], "kind": kind,
        "at": format!("{}T{}Z", row["date"], row["time_utc"]),
        "service_tier": row["service_tier"], "lines": lines,
    })
}

#[test]
fn the_table_of_costs_is_reproduced_to_the_last_digit() {
    let Some(folder) = tables() else { return };
    let mut wrong = Vec::new();
    let rows = rows(&folder.join("cases_dev.csv"));
    for row in &rows {
        let answer = answer(&question(row));
        let cost = answer["cost"].as_str().map(|cost| cost.parse::<Money>().unwrap());
        if cost != row["expected_usd"].parse::<Money>().ok() {
            let what = ["id", "provider", "model", "shape", "service_tier", "date", "expected_usd"];
            let row: Vec<&str> = what.iter().map(|name| &*row[*name]).collect();
            wrong.push(format!("{row:?} {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn ids_in_use_have_a_price_or_are_free() {
    let Some(folder) = tables() else { return };
    let rows = rows(&folder.join("coverage.csv"));
    let ids = [
        ("google", "gemini"),
        ("aws", "bedrock"),
        ("x-ai", "xai"),
        ("moonshotai", "moonshot"),
        ("voyageai", "voyage"),
    ];
    let mut missing = Vec::new();
    for row in &rows {
        let provider = ids.iter().find(|(theirs, _)| *theirs == row["provider"]);
        let provider = provider.map_or(&*row["provider"], |(_, ours)| ours);
        // Whichever a model is paid by, one of these is it.
        let priced = [
            "input.text",
            "embedding.input",
            "audio.input_seconds",
            "tts.characters",
            "images.generated",
            "ocr.pages",
            "rerank.search_units",
            "audio.session_seconds",
            "output.image",
        ];
        let state = |factor: &str| {
            let asked =
                json!({"provider": provider, "model": row["model"], "lines": {factor: 1000}});
            answer(&asked)["lines"][0]["amount"].is_string()
        };
        if !priced.iter().any(|factor| state(factor)) {
            missing.push(format!("{} {}", row["provider"], row["model"]));
        }
    }
    assert!(missing.len() <= 30, "{} without a price:\n{}", missing.len(), missing.join("\n"));
    eprintln!("{} of {} have none:\n{}", missing.len(), rows.len(), missing.join("\n"));
}

#[test]
fn what_was_worked_out_by_hand_is_what_comes_out() {
    let rows = rows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prices_by_hand.csv"));
    assert!(rows.len() > 20);
    for row in rows {
        let pair = |text: &str| {
            let (factor, count) = text.rsplit_once('=').unwrap();
            (factor.replace(';', ","), json!(count.parse::<u64>().unwrap()))
        };
        let lines: serde_json::Map<_, _> = row["lines"].split(' ').map(pair).collect();
        let answer = answer(&json!({
            "provider": row["provider"], "model": row["model"], "at": row["at"], "lines": lines,
            "service_tier": row["service_tier"], "region": row["region"],
        }));
        let said = answer["cost"].as_str().or(answer["cost_state"].as_str());
        assert_eq!(said, Some(&*row["cost"]), "{row:?} {answer}");
    }
}

#[test]
fn only_a_provider_s_own_hosts_are_that_provider() {
    let at = |url: &str, model: &str| {
        answer(&json!({"base_url": url, "model": model, "lines": {"input.text": 1000}}))
    };
    assert_eq!(at("https://api.x.ai/v1", "grok-4.3")["cost"], "0.00125");
    for url in ["https://api.x.ai.evil.com/v1", "https://api.x.ai@evil.com", "http://localhost:1"] {
        let answer = at(url, "grok-4.3");
        assert_eq!((&answer["cost_state"], &answer["cost"]), (&json!("unknown"), &Value::Null));
    }
    assert_eq!(at("https://api.moonshot.cn/v1", "kimi-k2-thinking")["cost_state"], "unknown");
    let deepinfra = at("https://api.deepinfra.com/v1/openai", "deepseek-ai/DeepSeek-V3.1");
    assert_eq!(deepinfra["cost_state"], "priced");
}

#[test]
fn the_built_in_book_can_be_read_whole() {
    let book = Book::built_in();
    assert_eq!(book.hash().len(), 16);
    book.check().unwrap();
    assert!(book.providers().count() > 20);
    for provider in book.providers() {
        // Some sell only what stands in another provider's list.
        let resells = provider == "bedrock-mantle";
        assert_eq!(book.models(provider).is_empty(), resells, "{provider}");
    }
}

/// Ids no provider has: every known id with something behind it, in front of it, or less of it.
#[test]
fn no_invented_id_has_a_price() {
    let book = Book::built_in();
    for provider in book.providers() {
        let known = book.models(provider);
        for id in &known {
            for invented in [format!("{id}-made-up"), format!("{id}x"), format!("x-{id}")] {
                if known.contains(&&*invented) {
                    continue;
                }
                let asked = json!({"provider": provider, "model": invented,
                                   "lines": {"input.text": 1, "output.text": 1}});
                let answer = answer(&asked);
                assert_eq!(answer["cost_state"], "unknown", "{provider} {invented}");
            }
        }
    }
}
