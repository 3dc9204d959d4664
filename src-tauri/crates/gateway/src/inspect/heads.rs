//! What is shown of a call's head. Only what is known to hold no secret is: a list of names, because
//! whatever is new may be one.

use http::HeaderMap;
use http::request::Parts;
use meter::Receipt;
use zeroize::Zeroizing;

use super::{Call, Held};

/// Stands where something is not shown.
const MASK: &str = "•••";
/// Headers whose values are shown.
const SHOWN: [&str; 22] = [
    "accept",
    "accept-encoding",
    "anthropic-beta",
    "anthropic-version",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "openai-beta",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "request-id",
    "retry-after",
    "server",
    "transfer-encoding",
    "user-agent",
    "x-request-id",
    "x-should-retry",
];
/// Beginnings of further ones.
const SHOWN_FAMILIES: [&str; 4] =
    ["anthropic-ratelimit-", "x-ratelimit-", "x-stainless-", "x-tollgate-"];
/// Parameters of the query whose values are shown.
const SHOWN_PARAMETERS: [&str; 5] = ["alt", "api-version", "beta", "limit", "pageSize"];
/// A secret this short would mask half a text.
const SHORTEST_SECRET: usize = 6;

/// A call that has just come.
pub(super) fn call(receipt: &Receipt, parts: &Parts, secrets: Vec<Zeroizing<String>>) -> Call {
    Call {
        id: receipt.id,
        started_at: receipt.started_at,
        method: parts.method.as_str().into(),
        target: masked(target(parts), &secrets).into(),
        status: None,
        error: None,
        is_over: false,
        request_headers: shown(&parts.headers),
        answer_headers: Vec::new(),
        request: Held::default(),
        answer: Held::default(),
        secrets,
    }
}

fn target(parts: &Parts) -> String {
    let mut target = parts.uri.path().to_owned();
    for (at, pair) in parts.uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, value)) if SHOWN_PARAMETERS.contains(&name) => {
                target.push_str(&format!("{name}={value}"));
            }
            Some((name, _)) => target.push_str(&format!("{name}={MASK}")),
            None => target.push_str(MASK),
        }
    }
    target
}

/// Names of headers, and values of those that may be shown.
pub(super) fn shown(headers: &HeaderMap) -> Vec<(Box<str>, Box<str>)> {
    let value = |name: &str, value: &http::HeaderValue| {
        let is_shown =
            SHOWN.contains(&name) || SHOWN_FAMILIES.iter().any(|family| name.starts_with(family));
        match value.to_str() {
            Ok(value) if is_shown => value.into(),
            Ok(_) | Err(_) => MASK.into(),
        }
    };
    headers.iter().map(|(name, v)| (name.as_str().into(), value(name.as_str(), v))).collect()
}

/// The text without these secrets.
pub(super) fn masked(text: String, secrets: &[Zeroizing<String>]) -> String {
    let known = secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET);
    known.fold(text, |text, secret| match text.contains(secret.as_str()) {
        true => text.replace(secret.as_str(), MASK),
        false => text,
    })
}
