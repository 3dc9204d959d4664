//! The scanner of request bodies, JSON and multipart.

use meter::provider::{Provider, Route};
use meter::request::{Asked, RequestScanner};

use crate::{heap, pieces};

/// "A few KiB", generously.
const MOST_HELD: usize = 24 * 1024;

/// What a request may declare itself to be, with the path it goes to.
const KINDS: [(&str, &str); 5] = [
    ("/v1/chat/completions", "application/json"),
    ("/v1/responses", "application/json"),
    ("/v1/messages", "application/json"),
    ("/v1beta/models/m:streamGenerateContent", "application/json"),
    ("/v1/audio/transcriptions", "multipart/form-data; boundary=XyZ"),
];

/// Reads the rest of `input` as its first byte says.
pub fn check(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    let (path, content_type) = KINDS[usize::from(*kind) % KINDS.len()];
    let route = Provider::declared("any", "http://any.test").route("POST", path);
    let whole = read(&route, content_type, std::iter::once(body));
    assert_eq!(whole, read(&route, content_type, body.chunks(1)), "byte by byte");
    assert_eq!(whole, read(&route, content_type, pieces::hostile(body)), "in pieces");
    for text in [&whole.model, &whole.service_tier].into_iter().flatten() {
        assert!(text.len() <= 1024, "{} bytes in a name", text.len());
    }
    let held = most_held(&route, content_type, body);
    assert!(held <= MOST_HELD, "{held} bytes were held");
}

fn read<'b>(route: &Route, content_type: &str, pieces: impl Iterator<Item = &'b [u8]>) -> Asked {
    let mut scanner = RequestScanner::new(route, Some(content_type));
    for piece in pieces {
        scanner.push(piece);
    }
    scanner.finish();
    scanner.asked().clone()
}

fn most_held(route: &Route, content_type: &str, body: &[u8]) -> usize {
    let mut scanner = None;
    let mut rest = body.chunks(4096);
    heap::most_held(|| {
        let scanner = scanner.get_or_insert_with(|| RequestScanner::new(route, Some(content_type)));
        rest.next().map(|piece| scanner.push(piece)).is_some()
    })
}
