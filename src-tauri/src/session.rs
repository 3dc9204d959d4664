//! Who may look at the pages: whoever opened an address that Tollgate printed on this machine.
//! The address works once and for a while; the cookie it leaves works until Tollgate ends.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use sha2::{Digest as _, Sha256};

use crate::pages;

/// How long an address can be opened.
const OPENS_FOR: Duration = Duration::from_secs(10 * 60);

/// Browsers that may look at the same time; the one that came first goes.
const SESSIONS: usize = 16;

/// Addresses that may wait to be opened.
const ADDRESSES: usize = 8;

/// The path of an address.
pub(crate) const PATH: &str = "/open";

/// Only hashes are kept, so that comparing them tells nothing about the secret.
type Hash = [u8; 32];

/// The addresses that can still be opened, and the browsers that did.
#[derive(Default)]
pub(crate) struct Sessions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    addresses: Vec<(Hash, Instant)>,
    sessions: Vec<Hash>,
}

impl Sessions {
    /// Makes a new address below `base`, such as `http://127.0.0.1:8655`.
    ///
    /// # Errors
    /// Fails when the system has no randomness.
    pub(crate) fn address(&self, base: &str) -> anyhow::Result<String> {
        let secret = secret()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.addresses.retain(|(_, made)| made.elapsed() < OPENS_FOR);
        if state.addresses.len() == ADDRESSES {
            state.addresses.remove(0);
        }
        state.addresses.push((hash(&secret), Instant::now()));
        Ok(format!("{base}{PATH}?once={secret}"))
    }

    /// Answers a browser that opens an address on `port`.
    pub(crate) fn open(&self, uri: &Uri, port: u16) -> Response<Body> {
        let once = uri.query().and_then(|query| query.strip_prefix("once="));
        let cookie = once.and_then(|once| self.exchange(once));
        let Some(secret) = cookie else {
            let mut answer = pages::page(Cow::Borrowed(SPENT));
            *answer.status_mut() = StatusCode::FORBIDDEN;
            return answer;
        };
        // A page rather than a redirect: a strict cookie would not follow a redirect that
        // began on another site.
        let mut answer = pages::page(Cow::Borrowed(WELCOME));
        let cookie = format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict", name(port));
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        answer
    }

    fn exchange(&self, once: &str) -> Option<String> {
        let wanted = hash(once);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.addresses.iter().position(|(known, _)| *known == wanted)?;
        let (_, made) = state.addresses.remove(at);
        if made.elapsed() >= OPENS_FOR {
            return None;
        }
        let secret = secret().ok()?;
        if state.sessions.len() == SESSIONS {
            state.sessions.remove(0);
        }
        state.sessions.push(hash(&secret));
        Some(secret)
    }

    /// Whether the request carries the cookie of a session on `port`.
    pub(crate) fn knows(&self, headers: &HeaderMap, port: u16) -> bool {
        let name = name(port);
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut secrets = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(known, _)| *known == name)
            .map(|(_, secret)| hash(secret));
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.any(|shown| state.sessions.contains(&shown))
    }
}

/// How the names of our cookies begin.
const OURS: &str = "tollgate-";

/// A `cookie` header without our own; `None` if nothing else is in it.
pub(crate) fn without_ours(cookies: &HeaderValue) -> Option<HeaderValue> {
    let is_ours = |cookie: &&[u8]| cookie.trim_ascii_start().starts_with(OURS.as_bytes());
    let all: Vec<&[u8]> = cookies.as_bytes().split(|byte| *byte == b';').collect();
    let kept: Vec<&[u8]> = all.iter().copied().filter(|cookie| !is_ours(cookie)).collect();
    if kept.len() == all.len() {
        return Some(cookies.clone());
    }
    let kept = kept.join(&b';');
    HeaderValue::from_bytes(kept.trim_ascii()).ok().filter(|kept| !kept.is_empty())
}

const SPENT: &str = "<!doctype html><meta charset=utf-8><title>Tollgate</title>\
    <h1>This address has been used</h1><p>Each address opens Tollgate once, and only for ten \
    minutes. Run <code>tollgate open</code> to get a fresh one.";

const WELCOME: &str = "<!doctype html><meta charset=utf-8><title>Tollgate</title>\
    <meta http-equiv=refresh content=\"0; url=/\"><p><a href=\"/\">Tollgate</a>";

/// Cookies know no ports; two Tollgates on one machine would share them.
fn name(port: u16) -> String {
    format!("{OURS}{port}")
}

fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(sessions: &Sessions, address: &str) -> Response<Body> {
        sessions.open(&address.parse().unwrap(), 8655)
    }

    #[test]
    fn an_address_opens_once_and_its_cookie_is_known_on_its_port_only() {
        let sessions = Sessions::default();
        let address = sessions.address("http://127.0.0.1:8655").unwrap();
        let first = opened(&sessions, &address);
        assert_eq!(first.status(), StatusCode::OK);
        let cookie = first.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        let shown = cookie.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {shown}").parse().unwrap());
        assert!(sessions.knows(&headers, 8655));
        assert!(!sessions.knows(&headers, 8656));
        assert_eq!(opened(&sessions, &address).status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn only_our_cookies_are_taken_out() {
        let left = |cookies: &'static str| {
            let left = without_ours(&HeaderValue::from_static(cookies));
            left.map(|left| left.to_str().unwrap().to_owned())
        };
        assert_eq!(left("a=1;  b=2"), Some("a=1;  b=2".into()));
        assert_eq!(left("a=1; tollgate-8655=x; b=2"), Some("a=1; b=2".into()));
        assert_eq!(left("tollgate-8655=x; b=2"), Some("b=2".into()));
        assert_eq!(left("tollgate-8655=x"), None);
    }

    #[test]
    fn what_was_never_printed_opens_nothing() {
        let sessions = Sessions::default();
        for address in ["/open", "/open?once=", "/open?once=00", "/open?other=1"] {
            assert_eq!(opened(&sessions, address).status(), StatusCode::FORBIDDEN, "{address}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "tollgate-8655=".parse().unwrap());
        assert!(!sessions.knows(&headers, 8655));
    }
}
