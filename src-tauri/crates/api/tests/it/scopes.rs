//! Who may ask what, and how the door says no.

use axum::http::{Method, StatusCode};
use meter::Timestamp;
use store::{NewPass, Scope};

use crate::desk::{NOW, Office, at};

fn pass(office: &Office, label: &str, scope: Scope, expires: Option<Timestamp>) -> String {
    let new = NewPass {
        label: label.into(),
        workspace: "personal".into(),
        scopes: vec![scope],
        allowance: meter::Allowance::default(),
        expires,
    };
    let (_, secret) = office.ledger.add_pass(new, at(NOW)).expect("the ledger takes a pass");
    secret.expose().to_owned()
}

const READING: &[&str] = &[
    "/api/v1/usage",
    "/api/v1/requests",
    "/api/v1/requests/019aa0b2-7c1e-7a00-8f3e-5b2c1d0e9f8a",
    "/api/v1/export",
    "/api/v1/events",
];

#[tokio::test]
async fn nothing_is_answered_without_the_right_scope() {
    let office = Office::with(|_, _| {});
    let caller = pass(&office, "caller", Scope::Call, None);
    let reader = pass(&office, "reader", Scope::UsageRead, None);
    let boss = pass(&office, "boss", Scope::Manage, None);
    let old = pass(&office, "old", Scope::UsageRead, Some(at("2026-11-20T21:59:59Z")));
    for path in READING {
        for nobody in [None, Some("tg_wrong"), Some(""), Some(&*old)] {
            let answer = office.ask(Method::GET, path, nobody, "").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        for other in [&caller, &boss] {
            let answer = office.ask(Method::GET, path, Some(other), "").await;
            assert_eq!(
                (answer.status, &*answer.code()),
                (StatusCode::FORBIDDEN, "forbidden"),
                "{path}"
            );
        }
    }
    let answer = office.ask(Method::GET, "/api/v1/passes", Some(&reader), "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = office.ask(Method::GET, "/api/v1/usage", Some(&reader), "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refusal_never_repeats_the_secret() {
    let office = Office::with(|_, _| {});
    let secret = pass(&office, "caller", Scope::Call, None);
    let answer = office.ask(Method::GET, "/api/v1/usage", Some(&secret), "").await;
    assert!(!answer.text.contains(&secret));
}

#[tokio::test]
async fn wrong_addresses_methods_and_parameters_are_problems_too() {
    let office = Office::with(|_, _| {});
    let reader = pass(&office, "reader", Scope::UsageRead, None);
    for (method, path, status, code) in [
        (Method::GET, "/api/v1/nothing", StatusCode::NOT_FOUND, "not_found"),
        (Method::GET, "/api", StatusCode::NOT_FOUND, "not_found"),
        (Method::DELETE, "/api/v1/usage", StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        (Method::GET, "/api/v1/usage?nonsense=1", StatusCode::BAD_REQUEST, "bad_parameter"),
        (Method::GET, "/api/v1/usage?from=%FF%FE", StatusCode::BAD_REQUEST, "bad_parameter"),
    ] {
        let answer = office.ask(method, path, Some(&reader), "").await;
        assert_eq!((answer.status, &*answer.code()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_said_and_mended_without_a_restart() {
    let office = Office::with(|made, begun| made.push(begun("2026-11-20T10:00:00Z")));
    let (ledger, aside) = (office.home.path().join("ledger.db"), office.home.path().join("aside"));
    std::fs::rename(&ledger, &aside).unwrap();
    std::fs::write(&ledger, "this is no ledger, whatever its name says").unwrap();
    let broken = office.get("/api/v1/usage").await;
    assert_eq!(
        (broken.status, &*broken.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable")
    );
    std::fs::rename(&aside, &ledger).unwrap();
    assert_eq!(office.get("/api/v1/usage").await.json()["totals"]["requests"], 1);
}

#[tokio::test]
async fn who_asks_too_much_in_a_second_is_told_to_wait() {
    let office = Office::with(|_, _| {});
    let reader = pass(&office, "reader", Scope::UsageRead, None);
    let mut asked = 0;
    let refused = loop {
        let path = "/api/v1/openapi.json";
        let answer = office.ask(Method::GET, path, Some(&reader), "").await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        asked += 1;
        assert!(asked < 100_000, "nobody is told to wait");
    };
    assert!(asked >= 200);
    assert_eq!(refused.code(), "too_many_requests");
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    assert_eq!(office.get("/api/v1/openapi.json").await.status, StatusCode::OK, "not our own");
}
