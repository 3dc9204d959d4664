//! Where a stored key may go: to the host it was stored for, whatever the configuration says
//! later and wherever that host points.

use std::fs;

use serde_json::json;
use standin::Standin;
use standin::client::Call;

use super::{KEY, Vault, answers};
use crate::gate::Setup;

/// Changes the configuration the way `edit` says and starts anew.
fn edited(vault: &mut Vault, edit: impl Fn(&str) -> String) {
    vault.gate.ask_to_stop();
    vault.gate.ended();
    let path = vault.gate.home().join("config.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    let changed = edit(&text);
    assert_ne!(changed, text);
    fs::write(&path, changed).expect("it can be written");
    vault.gate.start();
}

#[test]
fn a_configuration_that_moves_a_provider_gets_no_key() {
    let mut vault = Vault::open();
    let thief = Standin::start().expect("a free port");
    let old = vault.gate.standin.origin();
    let port = vault.gate.standin.address().port();
    edited(&mut vault, |text| text.replace(&old, &thief.origin()));
    for path in ["/openai/v1/chat/completions", "/v1/chat/completions"] {
        let call = Call::post(path, &json!({})).bearer(&vault.pass);
        assert_eq!(vault.refuses(path, &call), 401, "{path}");
    }
    // A test of the key goes where the key belongs.
    vault.gate.command(&["keys", "test", "openai"]);
    // The same machine and port by another name, or over another scheme, is another origin.
    for origin in [format!("http://localhost:{port}"), format!("https://127.0.0.1:{port}")] {
        let before = thief.origin();
        edited(&mut vault, |text| {
            let openai = format!("[providers.openai]\nbase_url = \"{before}\"");
            let elsewhere = format!("[providers.openai]\nbase_url = \"{origin}\"");
            let text = text.replace(&openai, &elsewhere);
            if text.contains(&elsewhere) { text } else { replaced_openai(&text, &origin) }
        });
        let call = vault.chat().bearer(&vault.pass);
        assert_eq!(vault.refuses(&origin, &call), 401, "{origin}");
    }
    assert!(thief.seen().is_empty(), "{:#?}", thief.seen());
    assert_eq!(vault.gate.standin.seen().len(), 2);
    // Moved back, the key is used again: it was kept, not lost.
    edited(&mut vault, |text| replaced_openai(text, &old));
    crate::gate::wait_until("the key is read", || {
        vault.gate.send(&vault.chat().bearer(&vault.pass)).status() == 200
    });
}

/// The configuration with openai at this address.
fn replaced_openai(text: &str, origin: &str) -> String {
    let (before, rest) = text.split_once("[providers.openai]\n").expect("openai is moved");
    let (_, after) = rest.split_once('\n').expect("a line");
    format!("{before}[providers.openai]\nbase_url = \"{origin}\"\n{after}")
}

#[test]
fn a_provider_of_the_configurations_own_gets_no_key_of_another() {
    let mut vault = Vault::open();
    let thief = Standin::start().expect("a free port");
    let origin = thief.origin();
    edited(&mut vault, |text| {
        format!(
            "default_provider = \"thief\"\n{text}\n[providers.thief]\nbase_url = \"{origin}\"\n"
        )
    });
    for path in ["/thief/v1/chat/completions", "/v1/chat/completions"] {
        let call = Call::post(path, &json!({})).bearer(&vault.pass);
        assert_eq!(vault.refuses(path, &call), 401, "{path}");
    }
    for (entry, what) in [
        ("base_url = \"http://me:secret@127.0.0.1:1\"", "credentials"),
        ("base_url = \"http://127.0.0.1:1/v1\"", "a path"),
        ("base_url = \"file:///etc/passwd\"", "a file"),
    ] {
        vault.gate.ask_to_stop();
        vault.gate.ended();
        let path = vault.gate.home().join("config.toml");
        let text = fs::read_to_string(&path).expect("a configuration");
        fs::write(&path, format!("{text}\n[providers.odd]\n{entry}\n")).expect("writable");
        let refused = vault.gate.command(&["serve", "--listen", "127.0.0.1:0"]);
        assert!(!refused.status.success(), "an address with {what} is taken");
        fs::write(&path, text).expect("writable");
        vault.gate.start();
    }
    assert!(thief.seen().is_empty(), "{:#?}", thief.seen());
}

#[test]
fn a_redirect_is_handed_to_the_client_and_no_key_follows_it() {
    let thief = Standin::start().expect("a free port");
    let mut more = String::new();
    for status in [301, 302, 303, 307, 308] {
        let moved = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {}/v1/chat/completions\r\ncontent-length: 0\r\n\r\n",
            thief.origin()
        );
        more += &format!("[providers.moved{status}]\nbase_url = \"{}\"\n", answers(moved));
    }
    let vault = Vault::open_with(Setup { more, ..Setup::default() });
    for status in [301, 302, 303, 307, 308] {
        let provider = format!("moved{status}");
        let stored = vault.gate.command_given(
            &["keys", "add", &provider, "--no-test", "--store", "file"],
            &format!("{KEY}\n"),
        );
        assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
        let path = format!("/{provider}/v1/chat/completions");
        let reply = vault.gate.send(&Call::post(&path, &json!({})).bearer(&vault.pass));
        assert_eq!(reply.status(), status);
        let location = reply.header("location").map(str::to_owned);
        assert_eq!(location, Some(format!("{}/v1/chat/completions", thief.origin())));
    }
    assert!(thief.seen().is_empty(), "{:#?}", thief.seen());
}

#[test]
fn a_key_goes_upstream_only_and_a_pass_nowhere() {
    let vault = Vault::open();
    let port = vault.gate.address().port();
    for carrier in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
        let call = vault
            .chat()
            .header(carrier, &vault.pass)
            .header("cookie", &format!("a=1; tollgate-{port}=session-of-the-pages"))
            .play("status=401;parrot");
        let reply = vault.gate.send(&call);
        assert_eq!(reply.status(), 401);
    }
    let query = format!("/openai/v1/chat/completions?key={}&a=1", vault.pass);
    vault.gate.send(&Call::post(&query, &json!({})));
    for seen in vault.gate.upstream_saw(6) {
        let all = format!("{seen:?}");
        assert!(all.contains(KEY) && !all.contains("tg_"), "{all}");
        assert!(!all.contains("session-of-the-pages"), "{all}");
    }
    // The provider repeats the key in its answer; nothing that is kept does.
    let receipts = vault.gate.receipts_of(6);
    assert!(!json!(receipts).to_string().contains(KEY));
}
