//! Web pages: by a name that was pointed at 127.0.0.1, by another origin, by forms and images.
//! All of them know the secrets here, so that nothing but the guard can be what stops them.

use serde_json::json;
use standin::client::Call;

use super::{Vault, answers};
use crate::gate::Setup;

/// What a page would like to do.
fn wishes(vault: &Vault) -> Vec<(&'static str, Call)> {
    let new_pass = json!({"label": "mine", "scopes": ["call", "manage"]});
    vec![
        ("spending", vault.chat().bearer(&vault.pass)),
        ("spending by a bare path", {
            Call::post("/v1/chat/completions", &json!({"model": "m"})).bearer(&vault.pass)
        }),
        ("spending where no key is needed", Call::post("/ollama/api/chat", &json!({}))),
        ("spending by an address", Call::get(&format!("/v1beta/models?key={}", vault.pass))),
        ("reading figures", Call::get("/api/v1/usage").bearer(&vault.reader)),
        ("reading receipts", Call::get("/api/v1/export?format=csv").bearer(&vault.reader)),
        ("listening", Call::get("/api/v1/events").bearer(&vault.reader)),
        ("making a pass", Call::post("/api/v1/passes", &new_pass).bearer(&vault.manager)),
        ("removing a key", {
            Call::new("DELETE", "/api/v1/keys/openai/default", "").bearer(&vault.manager)
        }),
        ("a preflight", Call::new("OPTIONS", "/api/v1/passes", "").bearer(&vault.manager)),
    ]
}

#[test]
fn a_name_pointed_at_this_machine_opens_nothing() {
    let vault = Vault::open();
    let port = vault.gate.address().port();
    let hosts = [
        "rebound.example".to_owned(),
        format!("rebound.example:{port}"),
        format!("127.0.0.1.rebound.example:{port}"),
        format!("localhost.rebound.example:{port}"),
        format!("127.0.0.1.:{port}"),
        format!("localhost.:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("0.0.0.0:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:80".to_owned(),
        format!("127.0.0.1:0{port}"),
        format!("127.0.0.1:+{port}"),
        format!("127.0.0.1:{port}:80"),
        format!("127.0.0.1:{port}@rebound.example"),
        format!("rebound.example@127.0.0.1:{port}"),
        format!("127.0.0.1:{port}, rebound.example"),
        format!("127.0.0.1:{port}#rebound.example"),
        String::new(),
    ];
    for host in &hosts {
        for (what, call) in wishes(&vault) {
            let what = format!("{what} as `{host}`");
            let status = vault.refuses(&what, &call.header("host", host));
            assert!(matches!(status, 400 | 403), "{what}: {status}");
        }
        for path in ["/", "/activity", "/healthz", "/open?once=0"] {
            vault.refuses(&format!("{path} as `{host}`"), &Call::get(path).header("host", host));
        }
    }
    vault.is_unharmed();
}

#[test]
fn a_request_that_names_no_host_or_two_opens_nothing() {
    let vault = Vault::open();
    let (host, pass) = (vault.host(), &vault.pass);
    let rest = format!("authorization: Bearer {pass}\r\ncontent-length: 2\r\n\r\n{{}}");
    let target = "/openai/v1/chat/completions";
    for (what, head) in [
        ("no host", format!("POST {target} HTTP/1.1\r\n")),
        ("no host, long ago", format!("POST {target} HTTP/1.0\r\n")),
        ("two hosts", format!("POST {target} HTTP/1.1\r\nhost: {host}\r\nhost: {host}\r\n")),
        ("two hosts", format!("POST {target} HTTP/1.1\r\nhost: {host}\r\nhost: evil.test\r\n")),
        ("another target", format!("POST http://evil.test{target} HTTP/1.1\r\nhost: {host}\r\n")),
        ("a target's user", format!("POST http://me@{host}{target} HTTP/1.1\r\nhost: {host}\r\n")),
        ("another scheme", format!("POST https://{host}{target} HTTP/1.1\r\nhost: {host}\r\n")),
        ("another host", format!("POST http://{host}{target} HTTP/1.1\r\nhost: evil.test\r\n")),
        ("no version", format!("POST {target}\r\nhost: {host}\r\n")),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ] {
        vault.refuses_bytes(what, format!("{head}{rest}").as_bytes());
    }
    vault.is_unharmed();
}

#[test]
fn a_page_of_another_origin_opens_nothing() {
    let vault = Vault::open();
    let port = vault.gate.address().port();
    for origin in [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        "file://".to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{}", port ^ 1),
        format!("http://localhost:{port}"),
        format!("http://127.0.0.1:{port}.evil.example"),
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop".to_owned(),
    ] {
        for (what, call) in wishes(&vault) {
            let what = format!("{what} from `{origin}`");
            assert_eq!(vault.refuses(&what, &call.header("origin", &origin)), 403, "{what}");
        }
    }
    vault.is_unharmed();
}

#[test]
fn what_a_browser_embeds_or_follows_opens_nothing() {
    let vault = Vault::open();
    for site in ["cross-site", "same-site"] {
        for dest in ["empty", "image", "script", "style", "iframe", "object", "font", "document"] {
            for (what, call) in wishes(&vault) {
                let call = call.header("sec-fetch-site", site).header("sec-fetch-dest", dest);
                let what = format!("{what} as {dest}, {site}");
                assert_eq!(vault.refuses(&what, &call), 403, "{what}");
            }
        }
    }
    // What a provider answers is never shown as a page of ours, not even to the owner.
    for dest in ["document", "iframe", "script", "serviceworker"] {
        let call = Call::get("/ollama/api/tags").header("sec-fetch-site", "same-origin");
        assert_eq!(vault.refuses(dest, &call.header("sec-fetch-dest", dest)), 403, "{dest}");
    }
    vault.is_unharmed();
}

#[test]
fn what_a_form_can_send_changes_nothing() {
    let vault = Vault::open();
    let body = r#"{"label":"mine","scopes":["manage"]}"#;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
    {
        let call = Call::new("POST", "/api/v1/passes", body)
            .bearer(&vault.manager)
            .header("content-type", kind);
        assert_eq!(vault.refuses(kind, &call), 415, "{kind}");
    }
    let bare = Call::new("POST", "/api/v1/passes", body).bearer(&vault.manager);
    assert_eq!(vault.refuses("no kind at all", &bare), 415);
    vault.is_unharmed();
}

#[test]
fn what_a_provider_lets_other_pages_read_they_cannot_read_here() {
    let open = "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\naccess-control-expose-headers: *\r\ncontent-length: 2\r\n\r\n{}";
    let more =
        format!("[providers.lax]\nauth = \"none\"\nbase_url = \"{}\"\n", answers(open.to_owned()));
    let vault = Vault::open_with(Setup { more, ..Setup::default() });
    let answer = |call: &Call| {
        String::from_utf8_lossy(&vault.exchange(&call.bytes(vault.gate.address()))).into_owned()
    };
    // A program gets what the provider says, to the last header.
    assert!(answer(&Call::get("/lax/v1/models")).contains("access-control-expose-headers: *"));
    let call = Call::get("/lax/v1/models").header("origin", "https://evil.example");
    vault.refuses("another page", &call);
    vault.is_unharmed();
}
