//! What holds for every head that anybody can send, whatever is in it. The property tests here and
//! the fuzzer (`tests/fuzz`, feature `attack`) hold random heads against it.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use meter::ReceiptId;
use meter::provider::{Auth, Provider};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::admission::{self, Admitted};
use crate::clock::Began;
use crate::guard::{self, Reach};
use crate::snapshot::{PassInfo, Snapshot, StoredKey};
use crate::upstream::Target;
use crate::{credential, headers};

const PORT: u16 = 8655;
const PASS: &str = "tg_good";
const KEY: &str = "sk-stored";
/// Where the key may go, and where nothing else may.
const KEYED: &str = "http://keyed.test:81";
const OPEN: &str = "http://open.test";

/// Takes any bytes as the head of a request and panics if they could spend, tell or confuse more
/// than they may.
pub fn check(head: &[u8]) {
    let Some(request) = read(head) else { return };
    let reach = guard::check(&request, PORT, &[]);
    let (parts, ()) = request.into_parts();
    if let Ok(reach) = reach {
        is_ours(&parts, reach);
    }
    let snapshot = snapshot();
    let began = Began::now();
    let draft = admission::draft(ReceiptId::new(began.wall(), 1, 7), &began, &parts);
    for (name, value) in &draft.tags {
        assert!(name.len() <= 64 && value.len() <= 256 && !value.chars().any(char::is_control));
    }
    match admission::admit(&snapshot, &parts, draft) {
        Ok(admitted) => goes_where_it_may(&snapshot, &parts, admitted),
        Err(denied) => {
            let answer = denied.refusal.answer(denied.dialect, denied.receipt.id);
            assert!(answer.status().is_client_error());
            assert!(!format!("{:?}{:?}", denied.receipt, denied.refusal).contains(KEY));
        }
    }
}

/// A head as the server reads it.
fn read(head: &[u8]) -> Option<Request<()>> {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut lines);
    if !parsed.parse(head).ok()?.is_complete() {
        return None;
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    *request.uri_mut() = parsed.path?.parse().ok()?;
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(line.value).ok()?);
    }
    Some(request)
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mut keyed = Provider::declared("keyed", KEYED);
    keyed.auth = Auth::Bearer;
    let mut open = Provider::declared("open-server", OPEN);
    open.auth = Auth::None;
    snapshot.providers.insert(keyed);
    snapshot.providers.insert(open);
    snapshot.default_provider = "keyed".into();
    let (label, workspace) = ("laptop".into(), "lab".into());
    let pass = PassInfo { label, workspace, may_call: true, ..PassInfo::default() };
    snapshot.passes.insert(Sha256::digest(PASS).into(), pass);
    let secret = Zeroizing::new(KEY.to_owned());
    let key = StoredKey { label: "main".into(), secret, origin: KEYED.into() };
    snapshot.keys.insert("keyed", key);
    snapshot
}

/// What the guard lets in names this gateway and nobody else.
fn is_ours(parts: &Parts, reach: Reach) {
    let hosts: Vec<_> = parts.headers.get_all("host").iter().collect();
    let [host] = hosts.as_slice() else { panic!("{hosts:?} were taken for one host") };
    let host = host.to_str().expect("it was read").to_ascii_lowercase();
    let ours = ["127.0.0.1:8655", "localhost:8655", "[::1]:8655"];
    assert!(ours.contains(&&*host), "`{host}` was taken for ours");
    let authority = parts.uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    assert!(authority.is_none_or(|authority| authority == host), "{}", parts.uri);
    assert!(!matches!(parts.method, Method::CONNECT | Method::TRACE));
    for origin in parts.headers.get_all("origin") {
        assert!(origin.to_str().is_ok_and(|o| o.eq_ignore_ascii_case(&format!("http://{host}"))));
    }
    if reach == Reach::All {
        let sites = parts.headers.get_all("sec-fetch-site").iter();
        assert!(sites.into_iter().all(|site| site == "none" || site == "same-origin"));
    }
}

/// What is admitted goes to its provider's own origin, under the path that was sent; the key goes
/// along for a pass only, and the pass nowhere.
fn goes_where_it_may(snapshot: &Snapshot, parts: &Parts, admitted: Admitted<'_>) {
    let Admitted { provider, target, key, receipt, .. } = admitted;
    let base = provider.base_url.as_deref().expect("what has no address is denied");
    assert_eq!(&*target.origin, base.trim_end_matches('/'));
    let shown = target.uri.to_string();
    assert!(shown.starts_with(&format!("{}/", target.origin)), "{shown}");
    let again: Uri = shown.parse().expect("what is sent can be read");
    assert_eq!(again, target.uri, "two readings");
    assert_eq!(again.authority(), base.parse::<Uri>().expect("ours").authority());
    path_is_kept(parts, &target, receipt.pass.is_some());

    let headers =
        headers::for_upstream(parts.headers.clone(), target.host_header(), |name, value| {
            receipt.pass.is_none() || !credential::is_pass(name, value)
        });
    assert!(headers.keys().all(|name| !name.as_str().starts_with("x-tollgate-")));
    assert!(headers.get_all("host").iter().count() <= 1);
    assert!(headers.get_all("content-length").iter().count() <= 1);
    assert!(!headers.contains_key("transfer-encoding") && !headers.contains_key("connection"));
    for name in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
        for value in headers.get_all(name) {
            let text = value.as_bytes();
            let (scheme, bare) = text.split_at(text.len().min(7));
            let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
            let secret = if is_bearer { bare } else { text }.trim_ascii();
            assert_ne!(secret, PASS.as_bytes(), "the pass goes along");
        }
    }
    let Some(key) = key else { return };
    assert_eq!((&*key.origin, receipt.pass.as_deref()), (&*target.origin, Some("laptop")));
    assert!(snapshot.keys.find(&provider.id, &target.origin).is_some());
}

/// The path goes on byte for byte behind what named the provider, and nothing is put before it but
/// the provider's own prefix.
fn path_is_kept(parts: &Parts, target: &Target, has_pass: bool) {
    let sent = parts.uri.path_and_query().map_or("", |sent| sent.as_str());
    let left = target.uri.path_and_query().map_or("", |left| left.as_str());
    let path = |text: &str| text.split('?').next().unwrap_or_default().to_owned();
    let (sent_path, left_path) = (path(sent), path(left));
    let tail = left_path.trim_start_matches('/');
    assert!(sent_path.ends_with(tail), "`{sent}` became `{left}`");
    let query = |text: &str| text.split_once('?').map(|(_, query)| query.to_owned());
    match (query(sent), query(left)) {
        (sent, left) if sent == left => {}
        (Some(sent), left) if has_pass => {
            let kept: Vec<&str> =
                sent.split('&').filter(|pair| !pair.starts_with("key=tg_")).collect();
            assert_eq!(left.unwrap_or_default(), kept.join("&"));
        }
        (sent, left) => panic!("the query {sent:?} became {left:?}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of targets, those that mean something and those that want to.
    const TARGET: &[&str] = &[
        "/",
        "//",
        "/keyed",
        "/open-server",
        "/v1",
        "/v1beta",
        "/models",
        "/w/lab",
        "/w/",
        "/..",
        "/.",
        "/%2e%2e",
        "%2f",
        "%5c",
        "\\",
        "@evil.test",
        ":80",
        ":",
        "http://evil.test",
        "http://127.0.0.1:8655",
        "http://me@127.0.0.1:8655",
        "?",
        "&",
        "key=tg_good",
        "key=tg_bad",
        "key=sk-own",
        "#",
        "*",
        ";",
        "%00",
        "é",
        "/chat/completions",
        "127.0.0.1:8655",
        "tg_good",
    ];
    /// Header lines; what is not here is no header that anybody looks at.
    const LINES: &[&str] = &[
        "host: 127.0.0.1:8655",
        "host: localhost:8655",
        "host: evil.test",
        "Host: [::1]:8655",
        "host: 127.0.0.1:+8655",
        "host:",
        "origin: http://127.0.0.1:8655",
        "origin: null",
        "origin: http://evil.test",
        "sec-fetch-site: same-origin",
        "sec-fetch-site: cross-site",
        "sec-fetch-dest: document",
        "sec-fetch-dest: empty",
        "authorization: Bearer tg_good",
        "authorization: bearer  tg_good",
        "authorization: Basic tg_good",
        "authorization: sk-own",
        "x-api-key: tg_good",
        "api-key: tg_bad",
        "x-goog-api-key: sk-own",
        "x: tg_good",
        "anthropic-version: 1",
        "connection: x-api-key, host",
        "connection: upgrade",
        "upgrade: websocket",
        "transfer-encoding: chunked",
        "content-length: 1",
        "x-tollgate-tag-a: b",
        "x-tollgate-workspace: \u{1}",
        "x-tollgate-route: x",
        "expect: 100-continue",
        "te: trailers",
    ];
    const METHODS: &[&str] = &["GET", "POST", "CONNECT", "TRACE", "OPTIONS", "get", "X"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_head_gets_further_than_it_may(
            method in prop::sample::select(METHODS),
            target in prop::collection::vec(prop::sample::select(TARGET), 0..7),
            lines in prop::collection::vec(prop::sample::select(LINES), 0..9),
        ) {
            let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            check(format!("{method} {} HTTP/1.1\r\n{lines}\r\n", target.concat()).as_bytes());
        }

        #[test]
        fn no_bytes_do(
            method in "[!-~]{1,9}",
            target in "[ -~]{0,40}",
            name in "[!-~]{1,20}",
            value in any::<Vec<u8>>(),
        ) {
            let head = format!("{method} {target} HTTP/1.1\r\nhost: localhost:8655\r\n{name}: ");
            check(&[head.as_bytes(), &value, b"\r\n\r\n"].concat());
            check(&value);
        }
    }

    #[test]
    fn a_pass_is_worth_the_key_of_its_provider() {
        let head = "POST /keyed/v1/x?key=tg_bad HTTP/1.1\r\nauthorization: Bearer tg_good\r\n\r\n";
        let (parts, ()) = read(head.as_bytes()).unwrap().into_parts();
        let (snapshot, began) = (snapshot(), Began::now());
        let draft = admission::draft(ReceiptId::new(began.wall(), 1, 7), &began, &parts);
        let admitted = admission::admit(&snapshot, &parts, draft).ok().unwrap();
        assert!(admitted.key.is_some(), "what is checked above does happen");
        goes_where_it_may(&snapshot, &parts, admitted);
    }
}
