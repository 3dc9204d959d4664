//! Answers about a time whose receipts were pruned and whose sums were not.

use std::io::Cursor;

use api::deployments::listing::Sources;
use api::deployments::{DeploymentPlan, OwnServer, ServerBoard, deployments};
use api::period::Here;
use api::query::{Query, Question};
use axum::body::Body;
use axum::http::Request;
use calamine::{Reader as _, Xlsx};
use meter::price::Book;
use meter::provider::ServerStatus;
use serde_json::Value;

use crate::desk::{NOW, Office, at, used};

/// Two calls of `old` in June, one of `new` in November; June's receipts are gone.
fn office() -> Office {
    let office = Office::with(|made, begun| {
        for (instant, model) in [
            ("2026-06-01T10:00:00Z", "old"),
            ("2026-06-02T10:00:00Z", "old"),
            ("2026-11-20T21:00:00Z", "new"),
        ] {
            let mut receipt = begun(instant);
            used(&mut receipt, model, (100, 10), Some("0.5"));
            made.push(receipt);
        }
    });
    office.ledger.prune(at("2026-07-01T00:00:00Z"), at(NOW)).expect("June is old enough");
    let left = office.questions().requests(&Default::default(), None, 9).expect("it is read");
    assert_eq!(left.len(), 1);
    office
}

#[tokio::test]
async fn whoever_prunes_the_ledger_is_copied_first_and_without_a_copy_nothing_goes() {
    let office = Office::with(|made, begun| {
        for (instant, reserved) in
            [("2026-06-01T10:00:00Z", None), ("2026-06-02T10:00:00Z", Some(7))]
        {
            let mut receipt = begun(instant);
            used(&mut receipt, "old", (100, 10), None);
            receipt.reserved = reserved.map(meter::Money::from_attos);
            made.push(receipt);
        }
    });
    let ask = async |remove: bool| {
        let order = format!("{{\"older_than\":\"90d\",\"remove\":{remove}}}");
        let request = Request::post("/api/v1/prune").header("content-type", "application/json");
        office.act(request.body(Body::from(order)).unwrap()).await
    };
    let left = || office.questions().requests(&Default::default(), None, 9).unwrap().len();
    let shown = ask(false).await.json();
    assert_eq!(
        (&shown["receipts"], &shown["kept"], &shown["copy"]),
        (&1.into(), &1.into(), &Value::Null)
    );
    let backups = office.home.path().join("backups");
    std::fs::write(&backups, "no folder").unwrap();
    assert_eq!(ask(true).await.code(), "ledger_unavailable");
    assert_eq!(left(), 2);
    std::fs::remove_file(&backups).unwrap();
    let done = ask(true).await.json();
    assert_eq!((&done["receipts"], &done["kept"], left()), (&1.into(), &1.into(), 1));
    let copy = std::fs::metadata(done["copy"]["path"].as_str().unwrap()).unwrap();
    assert_eq!(done["copy"]["bytes"], copy.len());
}

#[tokio::test]
async fn a_series_without_a_beginning_has_the_pruned_months_too() {
    let office = office();
    let usage = office.get("/api/v1/usage?granularity=month&tz=UTC").await.json();
    assert_eq!(usage["totals"]["requests"], 3);
    let series = usage["series"].as_array().unwrap();
    let requests: Vec<u64> = series.iter().map(|b| b["requests"].as_u64().unwrap()).collect();
    assert_eq!(requests, [2, 0, 0, 0, 0, 1]);
    let new = office.get("/api/v1/usage?granularity=month&tz=UTC&model=new").await.json();
    assert_eq!(new["series"].as_array().unwrap().len(), 1, "none of these were pruned");
}

#[tokio::test]
async fn rates_are_averages_over_pruned_time_too() {
    let office = office();
    let mean = |answer: serde_json::Value| answer["rates"]["mean"]["tokens_per_minute"].clone();
    // 330 tokens since the first of June: 172 days and 22 hours, 248,995.2 minutes.
    assert_eq!(mean(office.get("/api/v1/performance").await.json()), "0.001");
    // 110 in the last hour.
    assert_eq!(mean(office.get("/api/v1/performance?model=new").await.json()), "1.833");
}

#[tokio::test]
async fn an_export_promises_the_rows_that_are_left_and_its_workbook_says_so() {
    let office = office();
    let lines = office.get("/api/v1/export?format=jsonl").await;
    assert_eq!(lines.headers["x-tollgate-rows"], "1");
    assert_eq!(lines.text.lines().count(), 1);
    let summary = async |of: &str| {
        let answer = office.get(&format!("/api/v1/export?format=xlsx&tz=UTC{of}")).await;
        let mut book = Xlsx::new(Cursor::new(answer.bytes)).unwrap();
        let range = book.worksheet_range("Summary").unwrap();
        range.rows().map(|row| format!("{}: {}", row[0], row[1])).collect::<Vec<_>>()
    };
    let said = "Pruned, in sums only: receipts from before 2026-07-01T00:00:00+00:00".to_owned();
    let all = summary("").await;
    assert!(all.contains(&said) && all.contains(&"Requests: 3".to_owned()), "{all:?}");
    assert!(!summary("&model=new").await.contains(&said));
}

#[test]
fn what_pruned_calls_had_cost_elsewhere_is_unknown() {
    let office = office();
    let lab = OwnServer {
        id: "openai".into(),
        origin: "http://127.0.0.1:9".into(),
        status: ServerStatus::Openai,
        gpus: None,
        is_here: true,
    };
    let plan = DeploymentPlan { servers: vec![lab], declared: Vec::new() };
    let said = ServerBoard::default().said();
    let book = Book::built_in();
    let sources = Sources { plan: &plan, said: &said, book, now: at(NOW) };
    let here = Here { now: at(NOW), zone: chrono_tz::UTC };
    let known = |parameters: &[(&str, &str)]| {
        let query = Query::parse(Question::Deployments, parameters, here).unwrap();
        let answer = deployments(&office.questions(), &query, sources).unwrap();
        let one = answer.deployments.into_iter().map(|one| {
            let versus = one.versus.unwrap();
            (one.model.unwrap(), versus.cost.is_some(), versus.saved.is_some())
        });
        one.collect::<std::collections::BTreeSet<_>>()
    };
    let versus = ("versus", "openai/gpt-4o");
    let all = [("new".to_owned(), true, true), ("old".to_owned(), false, false)];
    assert_eq!(known(&[versus]), all.into());
    assert_eq!(known(&[versus, ("from", "2026-07-01")]), [("new".to_owned(), true, true)].into());
}
