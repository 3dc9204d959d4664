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
        allowance: meter::Allowance::default(),
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
        (r#"{"label":"x","providers":["opnai"]}"#, "bad_body"),
        (r#"{"label":"x","models":["*-mini"]}"#, "bad_body"),
        (r#"{"label":"x","models":[""]}"#, "bad_body"),
        (r#"{"label":"x","workspace":"a\u202eb"}"#, "bad_body"),
        (r#"{"label":"boss"}"#, "conflict"),
    ] {
        let refused = office.ask(Method::POST, "/api/v1/passes", Some(&boss), body).await;
        assert_eq!(refused.code(), code, "{body}");
    }
    let stranger = office.ask(Method::DELETE, "/api/v1/passes/nobody", Some(&boss), "").await;
    assert_eq!((stranger.status, &*stranger.code()), (StatusCode::NOT_FOUND, "not_found"));
}

#[tokio::test]
async fn the_terms_of_a_pass_are_changed_as_a_whole() {
    let (office, boss) = office();
    let body = r#"{"label":"ci","models":["gpt-4o*"],"workspace":"my lab"}"#;
    let made = office.ask(Method::POST, "/api/v1/passes", Some(&boss), body).await.json();
    assert_eq!((&made["models"][0], &made["providers"][0]), (&"gpt-4o*".into(), &().into()));
    let body = r#"{"label":"build","workspace":"lab","providers":["openai"],"models":[],"expires":"2027-01-01T00:00:00Z"}"#;
    let put = office.ask(Method::PUT, "/api/v1/passes/ci", Some(&boss), body).await.json();
    assert_eq!((&put["label"], &put["workspace"]), (&"build".into(), &"lab".into()));
    assert_eq!((&put["providers"][0], &put["models"][0]), (&"openai".into(), &().into()));
    assert_eq!(put["expires"], "2027-01-01T00:00:00.000Z");
    for (label, body, code) in [
        ("ci", body, "not_found"),
        ("build", r#"{"label":"build"}"#, "bad_body"),
        (
            "build",
            r#"{"label":"boss","workspace":"w","providers":[],"models":[],"expires":null}"#,
            "conflict",
        ),
    ] {
        let path = format!("/api/v1/passes/{label}");
        assert_eq!(office.ask(Method::PUT, &path, Some(&boss), body).await.code(), code, "{body}");
    }
    let path = "/api/v1/passes/build?streams=gently";
    assert_eq!(office.ask(Method::DELETE, path, Some(&boss), "").await.code(), "bad_parameter");
    let path = "/api/v1/passes/build?streams=cut";
    assert!(office.ask(Method::DELETE, path, Some(&boss), "").await.json()["revoked"].is_string());
    let body = r#"{"label":"b","workspace":"w","providers":[],"models":[],"expires":null}"#;
    let refused = office.ask(Method::PUT, "/api/v1/passes/build", Some(&boss), body).await;
    assert_eq!(refused.code(), "conflict");
}
