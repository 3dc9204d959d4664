//! Passes as a resource.

use axum::http::{Method, StatusCode};
use store::{NewPass, Scope};

use crate::desk::{NOW, Office, at};

fn office() -> (Office, String) {
    let office = Office::with(|_, _| {});
    let new = NewPass {
        label: "boss".into(),
        workspace: "personal".into(),
        scopes: vec![Scope::Manage],
        expires: None,
    };
    let (_, secret) = office.ledger.add_pass(new, at(NOW)).expect("the ledger takes a pass");
    let secret = secret.expose().to_owned();
    (office, secret)
}

#[tokio::test]
async fn a_secret_is_in_one_answer_only_and_works() {
    let (office, boss) = office();
    let body = r#"{"label":"grafana","scopes":["usage:read"]}"#;
    let made = office.ask(Method::POST, "/api/v1/passes", Some(&boss), body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("tg_"));
    let usage = office.ask(Method::GET, "/api/v1/usage", Some(&secret), "").await;
    assert_eq!(usage.status, StatusCode::OK);
    let listed = office.ask(Method::GET, "/api/v1/passes", Some(&boss), "").await;
    assert!(!listed.text.contains(&secret) && !listed.text.contains("secret"));
    assert_eq!(listed.json()[1]["label"], "grafana");
    assert_eq!(listed.json()[1]["workspace"], "personal");
}

#[tokio::test]
async fn a_revoked_pass_opens_nothing_and_stays_in_the_list() {
    let (office, boss) = office();
    let body = r#"{"label":"short","scopes":["usage:read"]}"#;
    let made = office.ask(Method::POST, "/api/v1/passes", Some(&boss), body).await.json();
    let secret = made["secret"].as_str().unwrap();
    let revoked = office.ask(Method::DELETE, "/api/v1/passes/short", Some(&boss), "").await;
    assert_eq!(revoked.json()["revoked"], "2026-11-20T22:00:00.000Z");
    let usage = office.ask(Method::GET, "/api/v1/usage", Some(secret), "").await;
    assert_eq!((usage.status, &*usage.code()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
    let listed = office.ask(Method::GET, "/api/v1/passes", Some(&boss), "").await;
    assert_eq!(listed.json().as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_pass_that_cannot_be_is_refused_in_words() {
    let (office, boss) = office();
    for (body, code) in [
        ("", "bad_body"),
        ("[]", "bad_body"),
        (r#"{"label":""}"#, "bad_body"),
        (r#"{"label":"a/b"}"#, "bad_body"),
        (r#"{"label":"x","scopes":[]}"#, "bad_body"),
        (r#"{"label":"x","scopes":["root"]}"#, "bad_body"),
        (r#"{"label":"x","role":"admin"}"#, "bad_body"),
        (r#"{"label":"boss"}"#, "conflict"),
    ] {
        let refused = office.ask(Method::POST, "/api/v1/passes", Some(&boss), body).await;
        assert_eq!(refused.code(), code, "{body}");
    }
    let stranger = office.ask(Method::DELETE, "/api/v1/passes/nobody", Some(&boss), "").await;
    assert_eq!((stranger.status, &*stranger.code()), (StatusCode::NOT_FOUND, "not_found"));
}
