//! Whether a request was meant for us: its `Host` is one of ours, no foreign page caused it, and
//! how far it may get. Without this any web page could reach the port, by its address or through
//! a name that it points at 127.0.0.1.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, Request, Uri, uri::Scheme};

/// Who caused a request, as browsers say it; no page can change it (Fetch Metadata, W3C).
const SITE: &str = "sec-fetch-site";
/// What the answer is for: `empty` is a script's own call.
const DESTINATION: &str = "sec-fetch-dest";

/// A request that was not meant for us, or not for the place it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// It names no host, or several.
    #[error("the request names no single `Host`")]
    NoHost,
    /// It names a host that is not ours.
    #[error(
        "`{0}` is not a name of this gateway\n\
         hint: call it as 127.0.0.1 or localhost, or add the name with its port to `allowed_hosts` in config.toml"
    )]
    Host(Box<str>),
    /// Its target and its `Host` name different hosts.
    #[error("the request's target and its `Host` do not agree")]
    TwoHosts,
    /// It asks for a tunnel, or to have its own head repeated with the key in it.
    #[error("`CONNECT` and `TRACE` are refused")]
    Method,
    /// A page of another site sent it.
    #[error("requests from web pages of other origins are refused")]
    Origin,
    /// A browser wants to show or embed what a provider answers, which must not run as ours.
    #[error(
        "a browser may open the pages only\n\
         hint: call this address from a program, such as curl"
    )]
    Browser,
    /// There are as many connections as there may be, and all are busy.
    #[error("too many calls are running: try again in a moment")]
    Crowded,
}

/// How far a request may get that is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everywhere: a program, or a script of our own pages.
    All,
    /// Not to providers: a browser shows or embeds the answer.
    Own,
    /// To the pages only: a link on somebody else's page was followed.
    Pages,
}

impl Reach {
    /// Whether it covers the management contract.
    ///
    /// # Errors
    /// When another site's page led here.
    pub fn to_management(self) -> Result<(), Foreign> {
        match self {
            Self::All | Self::Own => Ok(()),
            Self::Pages => Err(Foreign::Origin),
        }
    }

    /// Whether it covers calls to providers.
    ///
    /// # Errors
    /// When another site's page led here, or a browser would show the answer.
    pub fn to_providers(self) -> Result<(), Foreign> {
        match self {
            Self::All => Ok(()),
            Self::Own => Err(Foreign::Browser),
            Self::Pages => Err(Foreign::Origin),
        }
    }
}

/// Checks a request that came in on `port`. `allowed` holds further names, as `host:port`.
///
/// # Errors
/// When it was not meant for us.
pub fn check<B>(request: &Request<B>, port: u16, allowed: &[Box<str>]) -> Result<Reach, Foreign> {
    let headers = request.headers();
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Foreign::Method);
    }
    let host = host(headers)?;
    if !is_ours(host, port, allowed) {
        return Err(Foreign::Host(crate::headers::cut(host, 128).into()));
    }
    if !agrees(request.uri(), host) {
        return Err(Foreign::TwoHosts);
    }
    // Ours under another name is foreign too: whoever holds the port at `[::1]` may be somebody
    // else than we at `127.0.0.1`.
    let is_same = |origin: &str| {
        origin.strip_prefix("http://").is_some_and(|name| name.eq_ignore_ascii_case(host))
    };
    if headers.get_all(ORIGIN).iter().any(|origin| !origin.to_str().is_ok_and(is_same)) {
        return Err(Foreign::Origin);
    }
    reach(request.method(), headers)
}

fn host(headers: &HeaderMap) -> Result<&str, Foreign> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Foreign::NoHost) };
    host.to_str().map_err(|_| Foreign::NoHost)
}

/// Whether an absolute request target, which overrules `Host`, says the same.
fn agrees(uri: &Uri, host: &str) -> bool {
    let is_plain = uri.scheme().is_none_or(|scheme| *scheme == Scheme::HTTP);
    let authority = uri.authority().map(http::uri::Authority::as_str);
    is_plain && authority.is_none_or(|authority| authority.eq_ignore_ascii_case(host))
}

/// What the browser says, if it is one. `same-site` is foreign: sites know no ports.
fn reach(method: &Method, headers: &HeaderMap) -> Result<Reach, Foreign> {
    let says = |name, words: &[&str]| {
        let is_word = |value: &http::HeaderValue| words.iter().any(|word| value == word);
        headers.get_all(name).iter().all(is_word)
    };
    let is_call = says(DESTINATION, &["empty"]);
    if says(SITE, &["same-origin", "none"]) {
        return Ok(if is_call { Reach::All } else { Reach::Own });
    }
    let is_link = headers.contains_key(DESTINATION) && says(DESTINATION, &["document"]);
    if is_link && matches!(*method, Method::GET | Method::HEAD) {
        return Ok(Reach::Pages);
    }
    Err(Foreign::Origin)
}

/// Whether `host` is a loopback name with our port, or one that the user allowed.
fn is_ours(host: &str, port: u16, allowed: &[Box<str>]) -> bool {
    if allowed.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return true;
    }
    let name = match host.rsplit_once(':') {
        // Not the colon inside an IPv6 literal.
        Some((name, digits)) if !digits.ends_with(']') => {
            // Parsing alone would take `+8655` and `08655` too.
            let is_plain = digits.starts_with(|first: char| matches!(first, '1'..='9'));
            if !is_plain || digits.parse() != Ok(port) {
                return false;
            }
            name
        }
        _ if port == 80 => host,
        _ => return false,
    };
    name == "127.0.0.1" || name == "[::1]" || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: (&str, &str) = ("host", "127.0.0.1:8655");

    fn asked(
        method: &str,
        uri: &'static str,
        pairs: &[(&'static str, &str)],
    ) -> Result<Reach, Foreign> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap(), 8655, &["host.docker.internal:8655".into()])
    }

    fn check_with(pairs: &[(&'static str, &str)]) -> Result<Reach, Foreign> {
        asked("GET", "/v1", pairs)
    }

    #[test]
    fn our_names_with_our_port_are_ours() {
        for host in [
            "127.0.0.1:8655",
            "localhost:8655",
            "LocalHost:8655",
            "[::1]:8655",
            "host.docker.internal:8655",
        ] {
            assert_eq!(check_with(&[("host", host)]), Ok(Reach::All), "{host}");
        }
    }

    #[test]
    fn every_other_host_is_foreign() {
        for host in [
            "evil.test",
            "evil.test:8655",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:80",
            "127.0.0.1:08655",
            "127.0.0.1:+8655",
            "127.0.0.1:8655:8655",
            "127.0.0.1:08655x",
            "127.0.0.1:8655@evil.test",
            "me@127.0.0.1:8655",
            "127.1:8655",
            "2130706433:8655",
            "0x7f000001:8655",
            "127.0.0.2:8655",
            "127.0.0.1.:8655",
            "[::1]",
            "[::ffff:127.0.0.1]:8655",
            "::1:8655",
            "localhost.:8655",
            "localhost.evil.test:8655",
            "evillocalhost:8655",
            "localhost:8655/",
            "localhost:8655, evil.test",
            "http://localhost:8655",
            "host.docker.internal",
            "0.0.0.0:8655",
            "",
        ] {
            assert!(check_with(&[("host", host)]).is_err(), "{host}");
        }
        assert_eq!(check_with(&[]), Err(Foreign::NoHost));
        assert_eq!(check_with(&[OURS, OURS]), Err(Foreign::NoHost));
    }

    #[test]
    fn only_our_own_pages_may_call() {
        let with = |origin| check_with(&[OURS, ("origin", origin)]);
        assert_eq!(with("http://127.0.0.1:8655"), Ok(Reach::All));
        for origin in [
            "null",
            "http://evil.test",
            "https://127.0.0.1:8655",
            "http://127.0.0.1:3000",
            "http://127.0.0.1",
            "http://127.0.0.1:8655/",
            "http://127.0.0.1:8655.evil.test",
            "http://evil.test:8655",
            "http://localhost:8655",
            "http://[::1]:8655",
            "chrome-extension://127.0.0.1:8655",
            "file://",
            "",
        ] {
            assert_eq!(with(origin), Err(Foreign::Origin), "{origin}");
        }
        let both = [OURS, ("origin", "http://127.0.0.1:8655"), ("origin", "http://evil.test")];
        assert_eq!(check_with(&both), Err(Foreign::Origin));
    }

    #[test]
    fn what_a_browser_says_decides_how_far_a_request_gets() {
        let says = |method, site, dest| {
            asked(method, "/v1", &[OURS, ("sec-fetch-site", site), ("sec-fetch-dest", dest)])
        };
        for site in ["same-origin", "none"] {
            assert_eq!(says("POST", site, "empty"), Ok(Reach::All), "{site}");
            for dest in ["document", "iframe", "script", "image", "object", "serviceworker"] {
                assert_eq!(says("GET", site, dest), Ok(Reach::Own), "{site} {dest}");
            }
        }
        for site in ["same-site", "cross-site", "new-word", ""] {
            assert_eq!(says("GET", site, "document"), Ok(Reach::Pages), "{site}");
            assert_eq!(says("POST", site, "document"), Err(Foreign::Origin), "{site}");
            for dest in ["empty", "iframe", "script", "image", "style", "object", ""] {
                assert_eq!(says("GET", site, dest), Err(Foreign::Origin), "{site} {dest}");
            }
            assert_eq!(check_with(&[OURS, ("sec-fetch-site", site)]), Err(Foreign::Origin));
        }
        let twice = [OURS, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
        assert_eq!(check_with(&twice), Err(Foreign::Origin));
        // Node's own fetch sends this one header and no other of its kind.
        assert_eq!(check_with(&[OURS, ("sec-fetch-mode", "cors")]), Ok(Reach::All));
        assert!(Reach::Own.to_management().is_ok() && Reach::Own.to_providers().is_err());
        assert!(Reach::Pages.to_management().is_err() && Reach::Pages.to_providers().is_err());
    }

    #[test]
    fn an_absolute_target_says_what_host_says() {
        let to = |uri| asked("GET", uri, &[OURS]);
        assert_eq!(to("http://127.0.0.1:8655/v1"), Ok(Reach::All));
        for uri in [
            "http://evil.test/v1",
            "http://localhost:8655/v1",
            "http://me@127.0.0.1:8655/v1",
            "https://127.0.0.1:8655/v1",
        ] {
            assert_eq!(to(uri), Err(Foreign::TwoHosts), "{uri}");
        }
        assert_eq!(asked("CONNECT", "127.0.0.1:8655", &[OURS]), Err(Foreign::Method));
        assert_eq!(asked("TRACE", "/openai/v1", &[OURS]), Err(Foreign::Method));
    }
}
