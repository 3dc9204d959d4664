//! What is answered, in numbers one can add up in one's head.

use std::collections::HashSet;

use axum::http::StatusCode;
use meter::receipt::{Receipt, Status};

use crate::desk::{Office, used};

/// Two priced calls of one model, one unpriced of another, an error, and a demonstration.
fn office() -> Office {
    Office::with(|made, begun| {
        let mut one = begun("2026-11-19T10:00:00Z");
        used(&mut one, "big", (100, 10), Some("0.1"));
        one.tags.insert("team".into(), "red".into());
        let mut two = begun("2026-11-20T10:00:00Z");
        used(&mut two, "big", (200, 20), Some("0.000000000000000002"));
        two.stream = true;
        let mut three = begun("2026-11-20T22:30:00Z");
        used(&mut three, "small", (7, 3), None);
        let mut four = begun("2026-11-20T23:30:00Z");
        four.status = Status::Error;
        four.http_status = Some(429);
        let mut demo = begun("2026-11-20T11:00:00Z");
        used(&mut demo, "demo", (1, 1), None);
        demo.billing = meter::receipt::Billing::Demo;
        demo.workspace = meter::receipt::DEMO_WORKSPACE.into();
        made.extend([one, two, three, four, demo]);
    })
}

#[tokio::test]
async fn totals_are_exact_and_say_what_they_leave_out() {
    let usage = office().get("/api/v1/usage").await.json();
    let totals = &usage["totals"];
    assert_eq!(totals["requests"], 4);
    assert_eq!(totals["cost"], "0.100000000000000002");
    assert_eq!(totals["unpriced"], 2, "the unpriced call and the error nobody knows about");
    assert_eq!((&totals["input_tokens"], &totals["output_tokens"]), (&307.into(), &33.into()));
    assert_eq!(totals["statuses"]["succeeded"], 3);
    assert_eq!(totals["statuses"]["error"], 1);
    assert_eq!(totals["statuses"]["denied"], 0);
    assert_eq!(usage["rows"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn a_cost_nobody_knows_is_null_and_not_zero() {
    let office = office();
    let unknown = office.get("/api/v1/usage?model=small").await.json();
    assert_eq!(unknown["totals"]["cost"], serde_json::Value::Null);
    assert_eq!(unknown["totals"]["unpriced"], 1);
    let nothing = office.get("/api/v1/usage?model=nobody").await.json();
    assert_eq!(nothing["totals"]["cost"], "0");
}

#[tokio::test]
async fn a_table_has_the_dearest_first_and_the_nameless_too() {
    let usage = office().get("/api/v1/usage?by=model").await.json();
    let rows: Vec<_> = usage["rows"].as_array().unwrap().iter().collect();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str()).collect();
    assert_eq!(names, [Some("big"), None, Some("small")]);
    assert_eq!(usage["by"], "model");
    let tags = office().get("/api/v1/usage?by=tag:team").await.json();
    assert_eq!(tags["rows"][0]["name"], "red");
    assert_eq!(tags["rows"][1]["name"], serde_json::Value::Null);
    assert_eq!(tags["rows"][1]["requests"], 3);
}

#[tokio::test]
async fn days_are_the_askers_days() {
    let office = office();
    let days = |usage: serde_json::Value| -> Vec<(String, u64)> {
        let rows = usage["rows"].as_array().unwrap().clone();
        let row = |r: &serde_json::Value| {
            (r["name"].as_str().unwrap().to_owned(), r["requests"].as_u64().unwrap())
        };
        rows.iter().map(row).collect()
    };
    let berlin = days(office.get("/api/v1/usage?by=day&to=2026-11-22").await.json());
    assert_eq!(
        berlin,
        [("2026-11-19".into(), 1), ("2026-11-20".into(), 2), ("2026-11-21".into(), 1)]
    );
    let utc = days(office.get("/api/v1/usage?by=day&to=2026-11-22&tz=UTC").await.json());
    assert_eq!(utc, [("2026-11-19".into(), 1), ("2026-11-20".into(), 3)]);
}

#[tokio::test]
async fn a_series_covers_its_period_without_gaps() {
    let path = "/api/v1/usage?granularity=day&from=2026-11-18&to=2026-11-22";
    let usage = office().get(path).await.json();
    let series = usage["series"].as_array().unwrap();
    let counts: Vec<_> = series.iter().map(|bucket| bucket["requests"].as_u64().unwrap()).collect();
    assert_eq!(counts, [0, 1, 2, 1]);
    for pair in series.windows(2) {
        assert_eq!(pair[0]["to"], pair[1]["from"]);
    }
    assert_eq!(series[0]["from"], "2026-11-17T23:00:00.000Z");
    assert_eq!(usage["granularity"], "day");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let office = Office::with(|made, begun| {
        made.extend((0..25).map(|minute| begun(&format!("2026-11-20T10:{minute:02}:00Z"))));
    });
    let (mut path, mut seen) = ("/api/v1/requests?limit=10".to_owned(), Vec::new());
    let mut pages = 0;
    loop {
        let page = office.get(&path).await.json();
        let requests = page["requests"].as_array().unwrap().clone();
        seen.extend(requests.iter().map(|r| r["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/requests?limit=10&before={next}");
    }
    assert_eq!((pages, seen.len()), (3, 25));
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 25);
}

#[tokio::test]
async fn filters_choose_receipts() {
    let office = office();
    for (query, count) in [
        ("", 4),
        ("?demo=with", 5),
        ("?demo=only", 1),
        ("?model=big", 2),
        ("?model=big&model=small", 3),
        ("?status=429", 1),
        ("?status=4xx&status=succeeded", 4),
        ("?stream=true", 1),
        ("?tag=team=red", 1),
        ("?from=2026-11-20&to=2026-11-21", 2),
        ("?last=35h", 3),
        ("?provider=nobody", 0),
    ] {
        let page = office.get(&format!("/api/v1/requests{query}")).await.json();
        assert_eq!(page["requests"].as_array().map(Vec::len), Some(count), "{query}");
    }
}

#[tokio::test]
async fn a_receipt_is_found_by_its_id_or_an_unambiguous_beginning() {
    let office = office();
    let page = office.get("/api/v1/requests?model=small").await.json();
    let receipt = &page["requests"][0];
    let id = receipt["id"].as_str().unwrap();
    for length in [36, 35, 24, 19, 18] {
        let answer = office.get(&format!("/api/v1/requests/{}", &id[..length])).await;
        assert_eq!(&answer.json(), receipt, "{length}");
    }
    assert_eq!(office.get("/api/v1/requests/01").await.code(), "ambiguous");
    for stranger in ["zz", "01a1ffff", "ffffffff-ffff-7fff-bfff-ffffffffffff", "%00"] {
        let answer = office.get(&format!("/api/v1/requests/{stranger}")).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (StatusCode::NOT_FOUND, "not_found"),
            "{stranger}"
        );
    }
}

#[tokio::test]
async fn a_receipt_in_an_answer_is_the_receipt() {
    let office = office();
    let page = office.get("/api/v1/requests?limit=1").await.json();
    let shown: Receipt = serde_json::from_value(page["requests"][0].clone()).unwrap();
    assert_eq!(office.questions().receipt(shown.id).unwrap(), Some(shown));
}

#[tokio::test]
async fn a_table_of_model_key_and_hour_tells_each_combination_apart() {
    let office = Office::with(|made, begun| {
        let calls = [
            ("2026-11-20T10:05:00Z", "a", Some("work"), "1"),
            ("2026-11-20T10:50:00Z", "a", Some("work"), "2"),
            ("2026-11-20T10:55:00Z", "a", None, "4"),
            ("2026-11-20T11:05:00Z", "a", Some("work"), "8"),
        ];
        for (at, model, key, cost) in calls {
            let mut receipt = begun(at);
            used(&mut receipt, model, (1, 1), Some(cost));
            receipt.key = key.map(Into::into);
            made.push(receipt);
        }
    });
    let answer = office.get("/api/v1/usage?by=model,key,hour&tz=Europe/Berlin").await.json();
    let rows: Vec<(String, String)> = answer["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["names"].to_string(), row["cost"].to_string()))
        .collect();
    let row = |names: &str, cost: &str| (names.to_owned(), format!("\"{cost}\""));
    assert_eq!(
        rows,
        [
            row(r#"["a",null,"2026-11-20T11:00+01:00"]"#, "4"),
            row(r#"["a","work","2026-11-20T11:00+01:00"]"#, "3"),
            row(r#"["a","work","2026-11-20T12:00+01:00"]"#, "8"),
        ]
    );
    assert_eq!(answer["by"], "model,key,hour");
    let refused = office.get("/api/v1/usage?by=model,tag:team").await;
    assert_eq!(refused.code(), "bad_parameter");
}
