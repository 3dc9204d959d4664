use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::*;

const NOW: &str = "2026-11-21T00:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The built-in prices as the object of a bundle, changed.
fn contents(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let files: serde_json::Map<_, _> = Book::built_in()
        .texts()
        .map(|(id, text)| (id.to_owned(), serde_json::from_str(text).unwrap()))
        .collect();
    let mut object = json!({
        "schema": 1, "sequence": 7, "made_at": "2026-11-20T12:00:00Z", "files": files,
    });
    change(&mut object);
    object.to_string()
}

fn signed(seed: u8, contents: &str) -> (Vec<u8>, PublicKey) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let (first, message) = bundle_message(contents);
    let hex: String = pair.sign(&message).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let key = PublicKey(pair.public_key().as_ref().try_into().unwrap());
    (format!("{first}{hex}\n{contents}").into_bytes(), key)
}

fn succeed(contents: &str) -> Result<Book, BundleError> {
    Bundle::read(contents).unwrap().succeed(Book::built_in(), None, at(NOW))
}

/// The model of a file of the bundle.
fn model<'v>(
    object: &'v mut serde_json::Value,
    provider: &str,
    id: &str,
) -> &'v mut serde_json::Value {
    let models = object["files"][provider]["models"].as_array_mut().unwrap();
    models.iter_mut().find(|model| model["id"] == id).unwrap()
}

fn last_version<'v>(
    object: &'v mut serde_json::Value,
    provider: &str,
    id: &str,
) -> &'v mut serde_json::Value {
    model(object, provider, id)["versions"].as_array_mut().unwrap().last_mut().unwrap()
}

#[test]
fn only_what_the_key_signed_is_opened_and_no_byte_of_it_may_differ() {
    let (bytes, key) = signed(1, &contents(|_| {}));
    assert_eq!(Bundle::open(&bytes, &key).unwrap().sequence(), 7);
    let (_, other) = signed(2, "{}");
    assert!(matches!(Bundle::open(&bytes, &other), Err(BundleError::Forged(_))));
    for at in [20, 146, 147, 200, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Bundle::open(&changed, &key).is_err(), "byte {at}");
    }
    for length in [0, 10, 18, 100, 146, 147, 1000, bytes.len() - 1] {
        assert!(Bundle::open(&bytes[..length], &key).is_err(), "{length} bytes");
    }
    let huge = [bytes, vec![b' '; LARGEST_BUNDLE]].concat();
    assert!(matches!(Bundle::open(&huge, &key), Err(BundleError::TooLarge)));
}

#[test]
fn the_same_prices_are_the_same_book_whichever_way_they_came() {
    let files: Vec<String> =
        Book::built_in().texts().map(|(id, text)| format!("\"{id}\":{text}")).collect();
    let (made_at, files) = ("2026-11-20T12:00:00Z", files.join(","));
    let text = format!(r#"{{"schema":1,"sequence":7,"made_at":"{made_at}","files":{{{files}}}}}"#);
    assert_eq!(Bundle::read(&text).unwrap().book_hash(), Book::built_in().hash());
    assert!(Book::built_in().edition().made_at > at("2026-11-01T00:00:00Z"));
}

#[test]
fn a_newer_book_succeeds_and_an_older_or_unripe_one_does_not() {
    let same = Bundle::read(&contents(|_| {})).unwrap();
    let book = same.succeed(Book::built_in(), Some(6), at(NOW)).unwrap();
    assert_eq!(book.edition(), same.edition());
    assert!(same.succeed(&book, Some(7), at(NOW)).is_ok(), "once more is no rollback");
    let older = same.succeed(Book::built_in(), Some(8), at(NOW));
    assert!(matches!(older, Err(BundleError::Older { found: 7, last: 8 })));
    let other = Bundle::read(&contents(|o| o["files"]["openai"]["notes"] = json!(["x"]))).unwrap();
    assert!(matches!(other.succeed(&book, Some(7), at(NOW)), Err(BundleError::SameNumber(7))));
    let early = succeed(&contents(|o| o["made_at"] = json!("2026-11-01T00:00:00Z")));
    assert!(matches!(early, Err(BundleError::Outdated { .. })));
    let late = succeed(&contents(|o| o["made_at"] = json!("2027-11-01T00:00:00Z")));
    assert!(matches!(late, Err(BundleError::FromTheFuture(_))));
    let other = Bundle::read(&contents(|o| o["schema"] = json!(2)));
    assert!(matches!(other, Err(BundleError::OtherSchema(2))));
}

#[test]
fn a_price_that_changes_after_the_book_was_made_is_news() {
    let book = succeed(&contents(|object| {
        let versions = model(object, "openai", "gpt-4o")["versions"].as_array_mut().unwrap();
        let mut news = versions.last().unwrap().clone();
        versions.last_mut().unwrap()["to"] = json!("2026-11-20T10:00:00Z");
        news["from"] = json!("2026-11-20T10:00:00Z");
        news["rates"]["input.text"] = json!("2");
        versions.push(news);
    }))
    .unwrap();
    let asked = r#"{"provider":"openai","model":"gpt-4o","lines":{"input.text":1000000}}"#;
    let answer =
        crate::price::ask::answer(&book, crate::provider::Providers::built_in(), at(NOW), asked);
    assert!(answer.unwrap().contains(r#""cost":"2""#));
}

#[test]
fn the_past_changes_only_where_it_is_corrected() {
    let wrong = |object: &mut serde_json::Value| {
        last_version(object, "mistral", "codestral-2508")["rates"]["input.text"] = json!("0.31");
    };
    let refused = succeed(&contents(wrong)).unwrap_err();
    assert!(refused.to_string().contains("`codestral-2508` of `mistral`"), "{refused}");
    let corrected = contents(|object| {
        wrong(object);
        object["corrections"] = json!({"mistral": {"codestral-2508": "the page was misread"}});
    });
    assert!(succeed(&corrected).is_ok());
    let gone = contents(|o| {
        let models = o["files"]["mistral"]["models"].as_array_mut().unwrap();
        models.retain(|model| model["id"] != "codestral-2508");
    });
    assert!(matches!(succeed(&gone), Err(BundleError::PastChanged { .. })));
    let head = contents(|o| o["files"]["openai"]["currency"] = json!("EUR"));
    assert!(matches!(succeed(&head), Err(BundleError::PastChanged { .. })));
    let whole = contents(|o| drop(o["files"].as_object_mut().unwrap().remove("openai")));
    assert!(matches!(succeed(&whole), Err(BundleError::PastChanged { .. })));
}

#[test]
fn a_rate_leaps_only_with_a_reason() {
    let leap = |object: &mut serde_json::Value| {
        let versions =
            model(object, "mistral", "codestral-2508")["versions"].as_array_mut().unwrap();
        let mut news = versions.last().unwrap().clone();
        versions.last_mut().unwrap()["to"] = json!("2026-12-01");
        news["from"] = json!("2026-12-01");
        news["rates"]["input.text"] = json!("300");
        versions.push(news);
    };
    assert!(matches!(succeed(&contents(leap)), Err(BundleError::Leap { .. })));
    let meant = contents(|object| {
        leap(object);
        object["leaps"] = json!({"mistral": {"codestral-2508": "announced"}});
    });
    assert!(succeed(&meant).is_ok());
}

#[test]
fn known_costs_hold_even_against_a_correction() {
    let wrong = contents(|object| {
        last_version(object, "openai", "gpt-4o")["rates"]["input.text"] = json!("3");
        object["corrections"] = json!({"openai": {"gpt-4o": "on purpose"}});
    });
    let refused = succeed(&wrong).unwrap_err();
    assert!(matches!(refused, BundleError::Golden { .. }), "{refused}");
    assert!(refused.to_string().contains("`gpt-4o`"), "{refused}");
}

#[test]
fn a_wrong_price_file_is_refused() {
    let wrong =
        contents(|o| last_version(o, "openai", "gpt-4o")["rates"]["input.text"] = json!("x"));
    assert!(matches!(succeed(&wrong), Err(BundleError::Book(_))));
    for text in ["", "{}", "[]", r#"{"schema":1}"#, r#"{"schema":1,"sequence":-1}"#] {
        assert!(Bundle::read(text).is_err(), "{text}");
    }
}

#[test]
fn golden_costs_are_of_the_time_before_the_book_was_made() {
    let golden = include_str!("../../../prices/_golden.jsonl");
    assert!(golden.lines().count() > 20);
    for line in golden.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(at(row["at"].as_str().unwrap()) < Book::built_in().edition().made_at, "{line}");
    }
}
