//! A second valuation through the contract: looked at first, appended when asked to.

use axum::http::{Method, StatusCode};
use serde_json::json;
use store::{NewPass, Scope};

use crate::desk::{NOW, Office, at, used};

#[tokio::test]
async fn a_second_valuation_is_previewed_then_appended_then_no_news() {
    let office = Office::with(|made, begun| {
        let mut receipt = begun("2026-11-20T10:00:00Z");
        // Nobody knew a price for it then.
        used(&mut receipt, "gpt-5", (1000, 200), None);
        made.push(receipt);
    });
    let new = NewPass {
        label: "boss".into(),
        workspace: "personal".into(),
        scopes: vec![Scope::Manage],
        allowance: meter::Allowance::default(),
        expires: None,
    };
    let (_, boss) = office.ledger.add_pass(new, at(NOW)).expect("the ledger takes a pass");
    let ask = async |order: serde_json::Value| {
        let (path, order) = ("/api/v1/reprice", order.to_string());
        office.ask(Method::POST, path, Some(boss.expose()), &order).await
    };
    let preview = ask(json!({"reason": "now known", "model": ["gpt-5"]})).await.json();
    assert_eq!((&preview["appended"], &preview["changed"]), (&json!(false), &json!(1)));
    // 1,000 × 1.25 and 200 × 10 dollars a million.
    assert_eq!(preview["totals"]["USD"]["cost_after"], "0.00325");
    assert_eq!(preview["totals"]["USD"]["unpriced_before"], 1);

    let order = json!({"reason": "now known", "model": "gpt-5", "append": true});
    assert_eq!(ask(order.clone()).await.json()["changed"], 1);
    assert_eq!(ask(order).await.json()["unchanged"], 1);
    let usage = office.get("/api/v1/usage").await.json();
    assert_eq!(usage["totals"]["cost"], "0.00325");

    for wrong in [json!({"reason": ""}), json!({"reason": "x", "modle": "y"}), json!([])] {
        assert_eq!(ask(wrong).await.status, StatusCode::BAD_REQUEST);
    }
}
