//! That a scanner hands over what was asked for, however its bytes are split.

use super::*;

/// Writes down everything it is told.
#[derive(Default)]
struct Notes {
    kept: Vec<(String, String)>,
    left: Vec<String>,
    text: TextCount,
}

impl Sink for Notes {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["count"] | ["list", _, "count"], _) => Want::Count,
            (["skip"], _) => Want::Skip,
            (["cut"], _) => Want::Keep(8),
            (["whole"], _) | (_, Kind::String | Kind::Number | Kind::Bool | Kind::Null) => {
                Want::Keep(100)
            }
            (_, Kind::Object | Kind::Array) => Want::Walk,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str) {
        self.kept.push((path.join("/"), json.into()));
    }

    fn counted(&mut self, _path: &[&str], text: TextCount) {
        self.text.spaced += text.spaced;
        self.text.dense += text.dense;
    }

    fn left(&mut self, path: &[&str]) {
        self.left.push(path.join("/"));
    }
}

const DOCUMENT: &str = r#" {"a":1.5e3, "list":[true,{"count":"x\"日\u65e5\ud83d\ude00"},[null]],
    "skip":{"a":["}",{}]},"whole":{"b" : [1,"]\""]},"cut":"12345678\n", "u\u0073e":"", "e":[],
    "count":{"k":"ab"}} "#;

fn check(notes: &Notes) {
    let kept: Vec<(&str, &str)> =
        notes.kept.iter().map(|(path, json)| (&**path, &**json)).collect();
    assert_eq!(
        kept,
        [
            ("a", "1.5e3"),
            ("list/0", "true"),
            ("list/2/0", "null"),
            ("whole", r#"{"b" : [1,"]\""]}"#),
            ("cut", r#""1234567""#),
            ("use", r#""""#),
        ]
    );
    assert_eq!(notes.left, ["list/1", "list/2", "list", "e", ""]);
    assert_eq!(notes.text, TextCount { spaced: 2 + 3, dense: 3 });
}

#[test]
fn only_what_was_asked_for_is_handed_over_however_it_is_split() {
    for split in 0..DOCUMENT.len() {
        let (mut notes, mut scanner) = (Notes::default(), Scanner::default());
        let (head, tail) = DOCUMENT.as_bytes().split_at(split);
        scanner.push(head, &mut notes);
        scanner.push(tail, &mut notes);
        assert!(scanner.is_complete(), "split at {split}");
        check(&notes);
    }
    let (mut notes, mut scanner) = (Notes::default(), Scanner::default());
    for byte in DOCUMENT.as_bytes() {
        scanner.push(&[*byte], &mut notes);
    }
    check(&notes);
}

#[test]
fn a_document_ends_with_its_last_bracket() {
    let mut scanner = Scanner::default();
    assert_eq!(scanner.push(b"{\"a\":{}} {", &mut Notes::default()), 8);
    assert!(scanner.is_complete());
    scanner.reset();
    assert!(scanner.is_fresh());
}

#[test]
fn garbage_is_noticed_and_never_panics() {
    for text in ["}", "{]", "[}", "{1:2}", "hello", "[1 2]", "{\"a\" 1}", "{,}", "[,]"] {
        let mut scanner = Scanner::default();
        scanner.push(text.as_bytes(), &mut Notes::default());
        assert!(scanner.is_broken(), "{text}");
    }
    let mut scanner = Scanner::default();
    scanner.push(&b"[".repeat(100_000), &mut Notes::default());
    assert!(!scanner.is_complete() && scanner.held() < 4096);
}

#[test]
fn a_cut_string_stays_json() {
    for (whole, cut) in [("1234567", "1234567"), ("12345日", "12345"), ("12345\\u00e9", "12345")] {
        let mut notes = Notes::default();
        Scanner::default().push(format!("{{\"cut\":\"{whole}89\"}}").as_bytes(), &mut notes);
        assert_eq!(plain(&notes.kept[0].1), cut);
    }
}
