//! Whether a request was meant for us: its `Host` is one of ours and no foreign page sent it.
//! Without this any web page could reach the port through a name that it points at 127.0.0.1.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Uri};

/// A request that was not meant for us.
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
    /// A page of another site sent it.
    #[error("requests from web pages of other origins are refused")]
    Origin,
}

/// Checks a request that came in on `port`. `allowed` holds further names, as `host:port`.
pub fn check(
    uri: &Uri,
    headers: &HeaderMap,
    port: u16,
    allowed: &[Box<str>],
) -> Result<(), Foreign> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Foreign::NoHost) };
    let host = host.to_str().map_err(|_| Foreign::NoHost)?;
    let is_ours = |host: &str| is_ours(host, port, allowed);
    let foreign = |host: &str| Foreign::Host(crate::headers::cut(host, 128).into());
    if !is_ours(host) {
        return Err(foreign(host));
    }
    // An absolute request target overrules `Host`.
    if let Some(authority) = uri.authority().filter(|authority| !is_ours(authority.as_str())) {
        return Err(foreign(authority.as_str()));
    }
    let is_same = |origin: &str| origin.strip_prefix("http://").is_some_and(is_ours);
    let is_foreign = |origin: &http::HeaderValue| !origin.to_str().is_ok_and(is_same);
    if headers.get_all(ORIGIN).iter().any(is_foreign) { Err(Foreign::Origin) } else { Ok(()) }
}

/// Whether `host` is a loopback name with our port, or one that the user allowed.
fn is_ours(host: &str, port: u16, allowed: &[Box<str>]) -> bool {
    if allowed.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return true;
    }
    let name = match host.rsplit_once(':') {
        // Not the colon inside an IPv6 literal.
        Some((name, digits)) if !digits.ends_with(']') => {
            if digits.parse() != Ok(port) {
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

    fn check_with(pairs: &[(&'static str, &'static str)]) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        check(&Uri::from_static("/v1"), &headers, 8655, &["host.docker.internal:8655".into()])
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
            assert_eq!(check_with(&[("host", host)]), Ok(()), "{host}");
        }
    }

    #[test]
    fn every_other_host_is_foreign() {
        for host in [
            "evil.test",
            "evil.test:8655",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1:08655x",
            "[::1]",
            "localhost.evil.test:8655",
            "host.docker.internal",
            "0.0.0.0:8655",
            "",
        ] {
            assert!(check_with(&[("host", host)]).is_err(), "{host}");
        }
        assert_eq!(check_with(&[]), Err(Foreign::NoHost));
        let two = [("host", "127.0.0.1:8655"), ("host", "127.0.0.1:8655")];
        assert_eq!(check_with(&two), Err(Foreign::NoHost));
    }

    #[test]
    fn only_our_own_pages_may_call() {
        let with = |origin| check_with(&[("host", "127.0.0.1:8655"), ("origin", origin)]);
        assert_eq!(with("http://127.0.0.1:8655"), Ok(()));
        for origin in
            ["null", "http://evil.test", "https://127.0.0.1:8655", "http://127.0.0.1:3000", ""]
        {
            assert_eq!(with(origin), Err(Foreign::Origin), "{origin}");
        }
    }

    #[test]
    fn an_absolute_target_must_be_ours_too() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:8655".parse().unwrap());
        let proxied = Uri::from_static("http://evil.test/v1");
        assert!(check(&proxied, &headers, 8655, &[]).is_err());
    }
}
