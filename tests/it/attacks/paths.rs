//! Targets that mean one thing to the guard and another to what stands behind it.

use serde_json::json;
use standin::Standin;
use standin::client::Call;

use super::{Vault, carries_the_key};

#[test]
fn no_spelling_of_a_path_reaches_management_or_files() {
    let vault = Vault::open();
    for path in [
        "//api/v1/usage",
        "/./api/v1/usage",
        "/x/../api/v1/usage",
        "/activity/../api/v1/usage",
        "/assets/..%2fapi/v1/usage",
        "/%61pi/v1/usage",
        "/api%2fv1/usage",
        "/api//v1/usage",
        "/API/v1/usage",
        "/api/v1/usage;a=b",
        "/api/v1/%75sage",
        "/api\\v1\\usage",
        "/w/lab/api/v1/usage",
        "/demo/../api/v1/usage",
        "/openai/../api/v1/usage",
        "/v1/../api/v1/usage",
        "/api/v1/usage%00",
        "/api/v1/usage%20",
    ] {
        vault.refuses_or_shows_a_page(path);
    }
    for path in [
        "/assets/../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc/passwd",
        "/assets//etc/passwd",
        "/..%5c..%5cconfig.toml",
        "/%2e%2e/%2e%2e/Cargo.toml",
        "/assets/%2e%2e/index.html",
        "/config.toml",
        "/keys.secret",
        "/ledger.db",
    ] {
        vault.refuses_or_shows_a_page(path);
    }
    vault.is_unharmed();
}

impl Vault {
    /// Nobody's pass is shown; a page of ours, empty of figures, is no harm.
    fn refuses_or_shows_a_page(&self, path: &str) {
        let answer = self.exchange(&Call::get(path).bytes(self.gate.address()));
        let text = String::from_utf8_lossy(&answer);
        self.tells_nothing(path, &text);
        for told in ["root:", "[providers", "\"totals\"", "\"requests\":", "SQLite format"] {
            assert!(!text.contains(told), "{path} told `{told}`:\n{text}");
        }
    }
}

#[test]
fn no_path_leads_a_call_to_another_host() {
    let vault = Vault::open();
    let thief = Standin::start().expect("a free port");
    let elsewhere = thief.address();
    let body = json!({"model": "m"});
    for path in [
        format!("//{elsewhere}/v1/chat/completions"),
        format!("/openai//{elsewhere}/v1/chat/completions"),
        format!("/openai/http://{elsewhere}/v1/chat/completions"),
        format!("/openai/@{elsewhere}/v1/chat/completions"),
        format!("/openai@{elsewhere}/v1/chat/completions"),
        format!("/openai:80@{elsewhere}/v1/chat/completions"),
        format!("/openai/..//{elsewhere}/v1/chat/completions"),
        format!("/openai/%2e%2e/%2e%2e//{elsewhere}/v1"),
        format!("/openai?@{elsewhere}/v1/chat/completions"),
        format!("/openai/v1?base_url=http://{elsewhere}"),
        format!("/openai%2f%2f{elsewhere}/v1"),
        format!("/http://{elsewhere}/v1"),
        format!("/w/x//{elsewhere}/v1/chat/completions"),
        format!("/w/http:%2f%2f{elsewhere}/openai/v1/chat/completions"),
        format!("/v1//{elsewhere}/chat/completions"),
    ] {
        // Some of these are calls to the provider under an odd path, which is its own matter.
        vault.exchange(&Call::post(&path, &body).bearer(&vault.pass).bytes(vault.gate.address()));
        assert!(thief.seen().is_empty(), "{path} led to {:#?}", thief.seen());
    }
    let ours = vault.gate.standin.seen();
    assert!(ours.iter().filter(|seen| carries_the_key(seen)).count() > 1, "the pass does work");
    for (name, value) in [
        ("x-forwarded-host", elsewhere.to_string()),
        ("forwarded", format!("host={elsewhere}")),
        ("x-original-url", format!("http://{elsewhere}/")),
        ("x-tollgate-route", format!("http://{elsewhere}")),
        ("x-base-url", thief.origin()),
        ("openai-base-url", thief.origin()),
    ] {
        let call = vault.chat().bearer(&vault.pass).header(name, &value);
        vault.exchange(&call.bytes(vault.gate.address()));
        assert!(thief.seen().is_empty(), "{name} led to {:#?}", thief.seen());
    }
}

#[test]
fn nobody_tunnels_through_and_nothing_is_echoed() {
    let vault = Vault::open();
    let thief = Standin::start().expect("a free port");
    let (host, pass) = (vault.host(), &vault.pass);
    let rest = format!("host: {host}\r\nauthorization: Bearer {pass}\r\n\r\n");
    for line in [
        format!("CONNECT {} HTTP/1.1", thief.address()),
        format!("CONNECT {host} HTTP/1.1"),
        "CONNECT /openai/v1/models HTTP/1.1".to_owned(),
        "TRACE /openai/v1/models HTTP/1.1".to_owned(),
        "TRACE * HTTP/1.1".to_owned(),
        "OPTIONS * HTTP/1.1".to_owned(),
        format!("GET http://{}/v1/models HTTP/1.1", thief.address()),
        format!("GET {}/v1/models HTTP/1.1", thief.address()),
    ] {
        vault.refuses_bytes(&line, format!("{line}\r\n{rest}").as_bytes());
    }
    assert!(thief.seen().is_empty());
    vault.is_unharmed();
}

#[test]
fn a_target_that_is_none_is_refused() {
    let vault = Vault::open();
    let (host, pass) = (vault.host(), &vault.pass);
    for target in [
        &b"/openai/v1/\0models"[..],
        b"/openai/v1/\x01models",
        b"/openai/v1/\x7fmodels",
        b"/openai/v1/mod els",
        b"/openai/v1/mod\tels",
        b"/openai/v1/mod\rels",
        b"openai/v1/models",
        b"",
        b"?",
    ] {
        let rest = format!(" HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {pass}\r\n\r\n");
        let bytes = [b"GET ", target, rest.as_bytes()].concat();
        vault.refuses_bytes(&String::from_utf8_lossy(target), &bytes);
    }
    vault.is_unharmed();
}
