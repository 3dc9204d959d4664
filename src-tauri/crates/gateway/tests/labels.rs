//! Labels that stand in a request's body become tags, and nothing else of it does.

mod rig;

use std::collections::BTreeMap;

use gateway::Snapshot;
use gateway::listener::Limits;
use meter::receipt::Status;
use meter::{Allowance, Receipt};
use rig::{Rig, answering, json, keyless, post};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn asks(metadata: &Value) -> String {
    json!({"model": "m", "messages": [{"role": "user", "content": "PLANTED"}], "metadata": metadata})
        .to_string()
}

/// The receipt of a chat call with this body and these lines in its head.
async fn receipt_of(body: &str, more: &str, adjust: fn(&mut Snapshot)) -> Receipt {
    let (upstream, mut got) = answering(json("200 OK", "{}")).await;
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{upstream}")));
        adjust(snapshot);
    })
    .await;
    let request = post("/v1/chat/completions", body);
    let answer =
        rig.exchange(request.replacen("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"), 1)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        got.recv().await.expect("sent").body,
        body.as_bytes(),
        "the body goes up as it came"
    );
    rig.receipt().await
}

fn tags(receipt: &Receipt) -> BTreeMap<&str, &str> {
    receipt.tags.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[tokio::test]
async fn labels_of_the_body_are_tags_and_headers_win() {
    let body = asks(&json!({"user_id": "u1", "workflow": "body", "segment": "pro"}));
    let receipt = receipt_of(&body, "x-tollgate-tag-workflow: header", |_| ()).await;
    let expected = [("segment", "pro"), ("user", "u1"), ("workflow", "header")];
    assert_eq!(tags(&receipt), BTreeMap::from(expected));
}

#[tokio::test]
async fn labels_are_no_tags_where_the_user_does_not_want_it() {
    let off = |snapshot: &mut Snapshot| snapshot.metadata_tags = false;
    let receipt = receipt_of(&asks(&json!({"user_id": "u1"})), "x-tollgate-tag-a: b", off).await;
    assert_eq!(tags(&receipt), BTreeMap::from([("a", "b")]));
}

#[tokio::test]
async fn no_call_has_more_than_sixteen_tags() {
    let many = (0..10_000).map(|n| (format!("k{n:05}"), json!("v"))).collect();
    let receipt = receipt_of(&asks(&Value::Object(many)), "x-tollgate-tag-a: b", |_| ()).await;
    assert_eq!(receipt.tags.len(), 16);
    assert_eq!(receipt.tags["a"], "b".into());
}

#[tokio::test]
async fn a_call_that_its_pass_forbids_is_labelled_too() {
    let (upstream, _got) = answering(json("200 OK", "{}")).await;
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{upstream}")));
        let models = vec!["other".parse().expect("a pattern")];
        let allowance = Allowance { models, ..Allowance::default() };
        let pass = gateway::PassInfo { may_call: true, allowance, ..gateway::PassInfo::default() };
        snapshot.passes.insert(Sha256::digest("tg_1").into(), pass);
    })
    .await;
    let request = post("/v1/chat/completions", &asks(&json!({"team": "a"})));
    let request = request.replacen("\r\n\r\n", "\r\nauthorization: Bearer tg_1\r\n\r\n", 1);
    assert_eq!(rig.exchange(request).await.status(), 403);
    let receipt = rig.receipt().await;
    assert_eq!((receipt.status, tags(&receipt)), (Status::Denied, BTreeMap::from([("team", "a")])));
}

#[tokio::test]
async fn customer_data_of_the_body_is_echoed_and_kept_nowhere() {
    let (upstream, _got) = answering(json("200 OK", "{}")).await;
    let mut rig = Rig::before(upstream).await;
    for (metadata, more, expected) in [
        (
            r#"{"customer_data":{"order": 1.50,
            "z":1,"a":[]}}"#,
            "",
            r#""customer_data":{"order": 1.50,             "z":1,"a":[]}}"#,
        ),
        (r#"{"customer_data":"one"}"#, "", r#""customer_data":"one"}"#),
        (r#"{"customer_data":1}"#, "\r\nx-tollgate-customer-data: 2", r#""customer_data":"2"}"#),
    ] {
        let body = format!(r#"{{"model":"m","metadata":{metadata}}}"#);
        let more = format!("\r\nx-tollgate-meta: 1{more}\r\n\r\n");
        let request = post("/v1/chat/completions", &body).replacen("\r\n\r\n", &more, 1);
        let told = String::from_utf8(rig.exchange(request).await.content()).unwrap();
        assert!(told.contains(expected), "{told}");
        let receipt = rig.receipt().await;
        assert!(!format!("{receipt:?}").contains("customer"), "{receipt:?}");
    }
}
