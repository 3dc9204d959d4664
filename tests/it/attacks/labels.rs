//! Names that want to be something else: a header, a line of a log, a formula, a folder.

use serde_json::json;
use standin::client::Call;

use super::{MODEL, Vault};
use crate::gate::Setup;

const NAMES: &[&str] = &[
    "a\r\nx-injected: 1",
    "a\nINJECTED",
    "a\0b",
    "a\u{1b}[31mred",
    "a\u{202e}b",
    "../../etc/passwd",
    "a/b",
    "a b",
    "=1+1",
    "@SUM(1)",
    "<script>",
    "tg_pass;drop",
    "",
    " ",
];

#[test]
fn a_name_that_is_none_makes_no_pass_key_or_workspace() {
    let vault = Vault::open();
    for name in NAMES {
        let asks = [
            ("POST", "/api/v1/passes", json!({"label": name})),
            (
                "POST",
                "/api/v1/keys",
                json!({"provider": "openai", "label": name, "secret": "sk-1"}),
            ),
            ("POST", "/api/v1/keys", json!({"provider": name, "secret": "sk-1"})),
        ];
        for (method, path, body) in asks {
            let call = Call::new(method, path, body.to_string())
                .header("content-type", "application/json")
                .bearer(&vault.manager);
            let status = vault.refuses(&format!("{path} {body}"), &call);
            assert!(matches!(status, 400 | 404 | 409), "{path} {body}: {status}");
        }
    }
    // A workspace may be called anything that is one line of text.
    for name in
        NAMES.iter().filter(|name| name.trim().is_empty() || name.contains(char::is_control))
    {
        let body = json!({"label": "fine", "workspace": name});
        let call = Call::post("/api/v1/passes", &body).bearer(&vault.manager);
        assert_eq!(vault.refuses(&body.to_string(), &call), 400, "{body}");
    }
    // A secret that is no header value could never be sent, or would bring headers along.
    for secret in ["sk-1\r\nx-injected: 1", "sk-1\nx", "sk-\0", "sk 1", "schlüssel"] {
        let body = json!({"provider": "groq", "label": "odd", "place": "file", "secret": secret});
        let call = Call::post("/api/v1/keys", &body).bearer(&vault.manager);
        let status = vault.refuses(&format!("{secret:?}"), &call);
        assert!((400..500).contains(&status), "{secret:?}: {status}");
    }
    vault.is_unharmed();
}

#[test]
fn what_clients_write_is_text_in_every_listing_and_file() {
    let vault = Vault::open_with(Setup { log: Some("trace"), ..Setup::default() });
    let formula = "=HYPERLINK(\"http://evil.test\")";
    let body = json!({"model": format!("{formula}\r\nINJECTED\u{1b}[2J"), "messages": []});
    let call = Call::post("/w/%3D1%2B1/openai/v1/chat/completions", &body)
        .bearer("sk-own")
        .header("x-tollgate-tag-team", "@SUM(1)")
        .header("user-agent", "+cmd");
    assert_eq!(vault.gate.send(&call).status(), 200);
    for path in ["/w/a%0d%0aINJECTED/openai/v1/models", "/w/a%00b/openai/v1/models"] {
        assert_eq!(vault.refuses(path, &Call::get(path).bearer(&vault.pass)), 404, "{path}");
    }
    for target in ["/openai/v1/x%0d%0aINJECTED", "/nobody%0aINJECTED/v1"] {
        vault.exchange(&Call::get(target).bearer("sk-own").bytes(vault.gate.address()));
    }
    let receipts = vault.gate.receipts_of(6);
    let own = receipts.iter().find(|receipt| receipt["workspace"] == "=1+1").expect("it called");
    assert_eq!(own["tags"]["team"], "@SUM(1)", "{own:#}");
    let csv = vault.gate.says(&["export", "--format", "csv"]);
    for cell in ["'=1+1", "'=HYPERLINK", "'+cmd", "\"{\"\"team\"\":\"\"@SUM(1)\"\"}\""] {
        assert!(csv.contains(cell), "{cell} is not guarded in\n{csv}");
    }
    for listing in [&["requests"][..], &["usage", "--by", "model"], &["usage", "--by", "workspace"]]
    {
        let said = vault.gate.says(listing);
        assert!(!said.contains('\u{1b}'), "{listing:?} moves the cursor:\n{said:?}");
        assert!(!said.lines().any(|line| line.starts_with("INJECTED")), "{listing:?}:\n{said}");
    }
    let printed = vault.gate.printed();
    let logs = crate::gate::files_below(&vault.gate.home().join("logs"));
    let logs = logs.iter().map(|path| std::fs::read_to_string(path).expect("text"));
    for text in logs.chain([printed]) {
        assert!(!text.lines().any(|line| line.starts_with("INJECTED")), "a line was forged");
        assert!(!text.contains("\u{1b}[2J"), "a log moves the cursor");
    }
    assert!(vault.gate.says(&["usage", "--by", "model"]).contains(MODEL));
}

#[test]
fn a_stranger_names_no_workspaces_and_tags() {
    let vault = Vault::open();
    let call = vault
        .chat()
        .header("host", "evil.test")
        .header("x-tollgate-workspace", "planted")
        .header("x-tollgate-tag-team", "planted");
    assert_eq!(vault.refuses("a stranger", &call), 403);
    let receipts = vault.gate.receipts_of(2);
    assert_eq!(receipts[1]["status"], "denied");
    assert!(!receipts[1].to_string().contains("planted"), "{:#}", receipts[1]);
    vault.is_unharmed();
}
