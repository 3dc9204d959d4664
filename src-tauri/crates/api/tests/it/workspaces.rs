//! Workspaces as a resource.

use axum::http::Method;
use serde_json::{Value, json};
use store::{NewPass, Scope};

use crate::desk::{Answer, NOW, Office, at};

struct House {
    office: Office,
    boss: String,
}

impl House {
    fn new() -> Self {
        let office = Office::with(|receipts, begun| {
            for workspace in ["work", "client-a", "a/b <i>"] {
                let mut receipt = begun("2026-11-20T10:00:00Z");
                receipt.workspace = workspace.into();
                receipts.push(receipt);
            }
        });
        let boss = secret(&office, "boss", Scope::Manage);
        Self { office, boss }
    }

    async fn post(&self, act: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/workspaces/{act}");
        self.office.ask(Method::POST, &path, Some(&self.boss), &body.to_string()).await
    }
}

fn secret(office: &Office, label: &str, scope: Scope) -> String {
    let new = NewPass {
        label: label.into(),
        workspace: "personal".into(),
        scopes: vec![scope],
        allowance: meter::Allowance::default(),
        expires: None,
    };
    let (_, secret) = office.ledger.add_pass(new, at(NOW)).expect("the ledger takes a pass");
    secret.expose().to_owned()
}

fn names(list: &Value) -> Vec<&str> {
    let all = list.as_array().expect("a list");
    all.iter().map(|one| one["name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_workspace_is_renamed_merged_put_away_and_brought_back() {
    let house = House::new();
    let list = house.post("rename", &json!({"workspace": "a/b <i>", "to": " Größe "})).await.json();
    assert_eq!(names(&list), ["Größe", "client-a", "personal", "work"]);
    assert_eq!(list[0]["former_names"], json!(["a/b <i>"]));
    let list = house.post("merge", &json!({"workspace": "work", "into": "client-a"})).await.json();
    assert_eq!(names(&list), ["Größe", "client-a", "personal"]);
    let usage = house.office.get("/api/v1/usage?by=workspace&workspace=work").await.json();
    assert_eq!(
        (&usage["rows"][0]["name"], &usage["totals"]["requests"]),
        (&json!("client-a"), &json!(2))
    );
    let list = house.post("archive", &json!({"workspace": "client-a"})).await.json();
    assert_eq!(list[1]["archived"], "2026-11-20T22:00:00.000Z");
    let list = house.post("restore", &json!({"workspace": "client-a"})).await.json();
    assert_eq!(list[1]["archived"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_in_words() {
    let house = House::new();
    let (long, turned) = ("x".repeat(10_000), "a\u{202e}b");
    for (act, body, code) in [
        ("rename", json!({"workspace": "work"}), "bad_body"),
        ("rename", json!({"workspace": "work", "to": ""}), "bad_body"),
        ("rename", json!({"workspace": "work", "to": long}), "bad_body"),
        ("rename", json!({"workspace": "work", "to": turned}), "bad_body"),
        ("rename", json!({"workspace": "work", "to": "client-a"}), "conflict"),
        ("rename", json!({"workspace": "work", "to": "demo"}), "conflict"),
        ("rename", json!({"workspace": "nobody", "to": "x"}), "not_found"),
        ("merge", json!({"workspace": "work", "into": "work"}), "conflict"),
        ("merge", json!({"workspace": "demo", "into": "work"}), "conflict"),
        ("merge", json!({"workspace": "work", "into": "nobody"}), "not_found"),
        ("archive", json!({"workspace": "nobody"}), "not_found"),
        ("archive", json!({"workspace": "demo"}), "conflict"),
        ("archive", json!([]), "bad_body"),
    ] {
        let refused = house.post(act, &body).await;
        let shown: String = body.to_string().chars().take(80).collect();
        assert_eq!(refused.code(), code, "{act} {shown}");
        assert!(refused.text.len() < 1000, "{act} {shown} is answered at length");
    }
}

#[tokio::test]
async fn who_may_only_read_reads_the_list_and_changes_nothing() {
    let house = House::new();
    let reader = secret(&house.office, "reader", Scope::UsageRead);
    let ask = |method, path: &'static str, body: &'static str| {
        house.office.ask(method, path, Some(&reader), body)
    };
    let list = ask(Method::GET, "/api/v1/workspaces", "").await.json();
    assert_eq!(names(&list).len(), 4);
    let body = r#"{"workspace":"work","to":"x"}"#;
    assert_eq!(ask(Method::POST, "/api/v1/workspaces/rename", body).await.code(), "forbidden");
}
