//! Other programs of this machine: with no pass, with an old one, with one for something else.

use std::fs;
use std::path::Path;

use serde_json::json;
use standin::client::Call;

use super::Vault;

/// The headers in which clients show what they have.
const CARRIERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];

#[test]
fn another_program_without_a_pass_opens_nothing() {
    let vault = Vault::open();
    let guesses = [
        String::new(),
        "tg_".to_owned(),
        format!("tg_{}", "0".repeat(40)),
        vault.pass[..vault.pass.len() - 1].to_owned(),
        format!("{}0", vault.pass),
        vault.pass.to_uppercase(),
        vault.pass.replace("tg_", "TG_"),
    ];
    for guess in guesses.iter().filter(|guess| !guess.starts_with("TG_")) {
        for carrier in CARRIERS {
            let call = vault.chat().header(carrier, guess);
            assert_eq!(vault.refuses("a guess", &call), 401, "{carrier}: {guess}");
        }
    }
    for guess in &guesses {
        for path in ["/api/v1/usage", "/api/v1/requests", "/api/v1/keys", "/api/v1/passes"] {
            assert_eq!(vault.refuses(path, &Call::get(path).bearer(guess)), 401, "{path}");
        }
        let port = vault.gate.address().port();
        let cookie =
            Call::get("/api/v1/keys").header("cookie", &format!("tollgate-{port}={guess}"));
        assert_eq!(vault.refuses("a guessed cookie", &cookie), 401);
        let open = Call::get(&format!("/open?once={guess}"));
        assert_eq!(vault.refuses("a guessed address", &open), 403);
    }
    assert_eq!(
        vault.refuses("the socket's own", &Call::post("/api/v1/page-address", &json!({}))),
        404
    );
    vault.is_unharmed();
}

#[test]
fn a_revoked_or_expired_pass_opens_nothing() {
    let mut vault = Vault::open();
    let gone = vault.gate.says(&["passes", "add", "gone"]).trim().to_owned();
    vault.gate.says(&["passes", "revoke", "gone"]);
    let expired = "--expires=2026-01-01";
    let over = vault.gate.command(&["passes", "add", "over", expired]);
    let over = String::from_utf8(over.stdout).expect("text").trim().to_owned();
    let boss = vault.gate.says(&["passes", "add", "ex", "--scope", "manage"]).trim().to_owned();
    vault.gate.says(&["passes", "revoke", "ex"]);
    vault.settings = vault.settings_now();
    for pass in [&gone, &over, &boss].into_iter().filter(|pass| !pass.is_empty()) {
        for carrier in CARRIERS {
            let call = vault.chat().header(carrier, pass);
            assert_eq!(vault.refuses("an old pass", &call), 401, "{carrier}");
        }
        let read = Call::get("/api/v1/keys").bearer(pass);
        assert_eq!(vault.refuses("an old pass", &read), 401);
    }
    vault.is_unharmed();
}

#[test]
fn a_pass_opens_what_it_is_for_and_nothing_else() {
    let vault = Vault::open();
    for pass in [&vault.reader, &vault.manager] {
        assert_eq!(vault.refuses("calling", &vault.chat().bearer(pass)), 403);
    }
    let routes = routes();
    assert!(routes.len() > 20 && routes.contains(&"/api/v1/keys/{provider}/{label}".into()));
    let mut readable = Vec::new();
    for route in &routes {
        let path = route.replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let call = Call::new(method, &path, "").header("connection", "close");
            let what = format!("{method} {path}");
            let asked = |call: &Call| vault.refuses(&what, call);
            let nobody = asked(&call);
            assert!(matches!(nobody, 401 | 404 | 405), "{what}: {nobody} without a pass");
            let caller = asked(&call.clone().bearer(&vault.pass));
            assert!(matches!(caller, 403..=405), "{what}: {caller} with a pass for calls");
            if nobody == 401 && method != "GET" {
                let reader = asked(&call.bearer(&vault.reader));
                assert_eq!(reader, 403, "{what} with a pass for reading");
            } else if nobody == 401 && vault.reads(&path) {
                readable.push(path.clone());
            }
        }
    }
    readable.sort();
    // What shows keys and passes is for those who manage them.
    let expected = [
        "/metrics",
        "alerts",
        "alerts/compliance",
        "alerts/history",
        "budgets",
        "deployments",
        "events",
        "export",
        "exports",
        "exports/id",
        "exports/id/file",
        "limits",
        "openapi.json",
        "performance",
        "prices",
        "report",
        "requests",
        "requests/id",
        "routes",
        "status",
        "usage",
        "workspaces",
    ];
    for path in &readable {
        let short = path.strip_prefix("/api/v1/").unwrap_or(path);
        assert!(expected.contains(&short), "is `{short}` for everybody who may read figures?");
    }
    assert!(readable.len() >= expected.len(), "{readable:?}");
    vault.is_unharmed();
}

impl Vault {
    /// Whether a pass for reading is let in there.
    fn reads(&self, path: &str) -> bool {
        let reply = self.gate.send(&Call::get(path).bearer(&self.reader));
        reply.status() != 403
    }
}

/// Every route of the management contract, as its source has it, so that no new one is left out.
fn routes() -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src-tauri/crates/api/src");
    let mut routes = Vec::new();
    for file in crate::gate::files_below(&source) {
        let text = fs::read_to_string(&file).expect("source is text");
        let found = text.split(".route(").skip(1).filter_map(|rest| {
            let rest = rest.trim_start().strip_prefix('"')?;
            rest.split('"').next().map(str::to_owned)
        });
        routes.extend(found);
    }
    routes.sort();
    routes.dedup();
    routes
}

#[test]
fn a_pass_does_not_become_more_by_where_it_stands() {
    let vault = Vault::open();
    let other = [
        format!("Basic {}", vault.manager),
        format!("Token {}", vault.manager),
        format!("Bearer {} {}", vault.reader, vault.manager),
        vault.manager.clone(),
    ];
    for value in &other {
        let call = Call::get("/api/v1/keys").header("authorization", value);
        assert_eq!(vault.refuses("another scheme", &call), 401, "{value}");
    }
    for path in ["/api/v1/keys?key=", "/api/v1/keys?access_token=", "/api/v1/keys?authorization="] {
        let call = Call::get(&format!("{path}{}", vault.manager));
        assert_eq!(vault.refuses("in the address", &call), 401, "{path}");
    }
    for carrier in ["x-api-key", "cookie", "proxy-authorization", "x-tollgate-pass"] {
        let call = Call::get("/api/v1/keys").header(carrier, &vault.manager);
        assert_eq!(vault.refuses("another header", &call), 401, "{carrier}");
    }
    vault.is_unharmed();
}
