//! What a caller shows: a credential of its own, a pass of ours, or nothing; and how the stored
//! key is put in for a pass. Values never leave this file except into the request upstream.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use meter::provider::Auth;
use zeroize::Zeroizing;

/// How our own passes begin.
const PASS: &str = "tg_";
/// How a SigV4 signature begins.
const SIGNED: &str = "AWS4-HMAC-SHA256";
/// Headers that carry credentials.
const CARRIERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];

/// What a caller shows.
#[derive(Default)]
pub(crate) struct Shown {
    /// The secret of a pass.
    pub(crate) pass: Option<Zeroizing<String>>,
    /// A credential of the caller's own is there.
    pub(crate) own: bool,
    /// That is a SigV4 signature.
    pub(crate) signed: bool,
    /// The credential values, to be masked should a provider repeat them.
    pub(crate) values: Vec<Box<str>>,
}

/// Looks for credentials in headers and query.
pub(crate) fn shown(headers: &HeaderMap, query: Option<&str>) -> Shown {
    let mut shown = Shown::default();
    for value in CARRIERS.iter().flat_map(|name| headers.get_all(name)) {
        shown.note(secret_of(value));
    }
    for value in query.into_iter().flat_map(key_parameters) {
        shown.note(value);
    }
    shown
}

impl Shown {
    /// Whether one of the credentials begins like this.
    pub(crate) fn begins_with_any(&self, beginnings: &[Box<str>]) -> bool {
        let begins = |value: &str| beginnings.iter().any(|begin| value.starts_with(&**begin));
        self.values.iter().any(|value| begins(value))
    }

    fn note(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        self.values.push(secret.into());
        if secret.starts_with(PASS) {
            self.pass.get_or_insert_with(|| Zeroizing::new(secret.to_owned()));
        } else {
            self.own = true;
            self.signed |= secret.starts_with(SIGNED);
        }
    }
}

/// The secret inside a header value: without a `Bearer`. Values that are no text count as one.
fn secret_of(value: &HeaderValue) -> &str {
    let text = value.to_str().unwrap_or("?").trim();
    match text.split_at_checked(7) {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer ") => secret.trim(),
        _ if text.eq_ignore_ascii_case("bearer") => "",
        _ => text,
    }
}

fn key_parameters(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter_map(|pair| pair.strip_prefix("key="))
}

/// Whether this header carries a pass, and so must not go on.
pub(crate) fn is_pass(name: &HeaderName, value: &HeaderValue) -> bool {
    CARRIERS.contains(name) && secret_of(value).starts_with(PASS)
}

/// The target without `key=` parameters that carry a pass; everything else byte for byte.
pub(crate) fn without_pass(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let is_pass = |pair: &&str| pair.strip_prefix("key=").is_some_and(|v| v.starts_with(PASS));
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_pass(pair)).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Puts a stored key into a request, the way its provider wants it. `false`: it cannot be sent.
pub fn put_in(headers: &mut HeaderMap, auth: Auth, secret: &str) -> bool {
    let (name, text) = match auth {
        Auth::Bearer => (AUTHORIZATION, Zeroizing::new(format!("Bearer {secret}"))),
        Auth::XApiKey => (CARRIERS[1].clone(), Zeroizing::new(secret.to_owned())),
        Auth::XGoogApiKey => (CARRIERS[2].clone(), Zeroizing::new(secret.to_owned())),
        Auth::ApiKey => (CARRIERS[3].clone(), Zeroizing::new(secret.to_owned())),
        Auth::None => return true,
    };
    let Ok(mut value) = HeaderValue::from_str(&text) else { return false };
    value.set_sensitive(true);
    headers.insert(name, value);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Shown {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        shown(&headers, None)
    }

    #[test]
    fn a_pass_is_told_from_a_credential_wherever_it_stands() {
        for (name, value) in [
            ("authorization", "Bearer tg_1"),
            ("authorization", "bearer  tg_1"),
            ("x-api-key", "tg_1"),
            ("api-key", "tg_1"),
        ] {
            let shown = with(name, value);
            assert_eq!(shown.pass.as_deref().map(|p| &**p), Some("tg_1"), "{name}: {value}");
            assert!(!shown.own);
        }
        assert!(with("x-goog-api-key", "AIza").own && with("authorization", "Bearer sk-1").own);
        assert!(with("authorization", "AWS4-HMAC-SHA256 Credential=x").signed);
        let nothing = with("authorization", "Bearer ");
        assert!(!nothing.own && nothing.pass.is_none());
        assert!(shown(&HeaderMap::new(), Some("alt=sse&key=AIza")).own);
    }

    #[test]
    fn only_a_pass_is_taken_out_of_the_query() {
        assert_eq!(without_pass("/a?alt=sse&key=tg_1&x=%2F"), "/a?alt=sse&x=%2F");
        assert_eq!(without_pass("/a?key=tg_1"), "/a");
        assert_eq!(without_pass("/a?key=AIza"), "/a?key=AIza");
    }
}
