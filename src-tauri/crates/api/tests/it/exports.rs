//! Exports made in the background, over HTTP: ordered, followed, fetched, ended.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use meter::receipt::{CostState, Status};
use meter::{Money, Receipt};
use serde_json::{Value, json};

use crate::desk::{Answer, Office, used};

/// Six hundred calls of three models and two ends, one a minute, some at costs that nobody knows.
fn calls(made: &mut Vec<Receipt>, begun: &dyn Fn(&str) -> Receipt) {
    for minute in 0..600_u64 {
        let at = format!("2026-11-20T{:02}:{:02}:00Z", minute / 60, minute % 60);
        let mut receipt = begun(&at);
        let cost = format!("0.{:018}", minute * 7_919 + 1);
        let cost = Some(&*cost).filter(|_| minute % 7 != 0);
        used(&mut receipt, ["=cmd()", "b", "c"][minute as usize % 3], (minute + 1, 1), cost);
        if minute % 5 == 0 {
            (receipt.status, receipt.http_status) = (Status::Error, Some(429));
        }
        if minute % 11 == 0 {
            receipt.pass = Some("ci".into());
            receipt.tags.insert("team".into(), "red".into());
        }
        made.push(receipt);
    }
}

impl Office {
    async fn order(&self, order: Value) -> Answer {
        let request = Request::post("/api/v1/exports").header("content-type", "application/json");
        self.act(request.body(Body::from(order.to_string())).expect("well-formed")).await
    }

    async fn method(&self, method: Method, path: &str) -> Answer {
        self.act(
            Request::builder().method(method).uri(path).body(Body::empty()).expect("well-formed"),
        )
        .await
    }

    async fn piece(&self, id: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(format!("/api/v1/exports/{id}/file"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.act(request.body(Body::empty()).expect("well-formed")).await
    }

    /// Follows an export until it is neither waiting nor running.
    async fn ended(&self, id: &Value) -> Value {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let job = self.get(&format!("/api/v1/exports/{id}")).await.json();
            if !["waiting", "running"].contains(&job["status"].as_str().expect("well-formed")) {
                return job;
            }
            assert!(Instant::now() < until, "{job}");
            tokio::task::yield_now().await;
        }
    }

    async fn made(&self, order: Value) -> Value {
        let ordered = self.order(order).await;
        assert_eq!(ordered.status, StatusCode::CREATED, "{}", ordered.text);
        let job = self.ended(&ordered.json()["id"]).await;
        assert_eq!(job["status"], "done", "{job}");
        job
    }

    fn files(&self) -> Vec<String> {
        let folder = fs::read_dir(self.home.path().join("exports")).expect("well-formed");
        let mut names: Vec<String> = folder
            .map(|file| file.expect("well-formed").file_name().into_string().expect("well-formed"))
            .collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn an_export_in_the_background_is_the_file_that_one_waits_for() {
    let office = Office::with(calls);
    for format in ["csv", "jsonl"] {
        for form in ["requests", "hourly"] {
            let order = json!({"format": format, "form": form, "from": "2026-11-20T01:30:00Z",
                "to": "2026-11-20T09:00:00Z", "model": ["b", "c"], "status": "succeeded"});
            let job = office.made(order).await;
            let path = format!(
                "/api/v1/export?format={format}&form={form}&model=b&model=c\
                &from=2026-11-20T01:30:00Z&to=2026-11-20T09:00:00Z&status=succeeded"
            );
            let waited = office.get(&path).await;
            let file = office.piece(&job["id"], &[]).await;
            assert!(file.bytes == waited.bytes, "{format} {form}");
            assert_eq!(file.headers["content-disposition"], waited.headers["content-disposition"]);
            assert_eq!(job["bytes"], file.bytes.len());
            let rows = file.text.lines().count() - usize::from(format == "csv");
            assert_eq!(job["rows"], rows);
            assert!(rows > 20, "{rows}");
            if form == "requests" {
                assert_eq!(job["rows_expected"], rows);
            }
        }
    }
    let book = office.made(json!({"format": "xlsx", "form": "hourly"})).await;
    assert!(office.piece(&book["id"], &[]).await.bytes.starts_with(b"PK"));
    assert_eq!(book["name"], "usage-start_2026-11-20.xlsx");
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off_after_a_restart_too() {
    let office = Office::with(calls);
    let job = office.made(json!({"format": "csv"})).await;
    let whole = office.piece(&job["id"], &[]).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.headers["accept-ranges"], "bytes");
    let tag = whole.headers["etag"].to_str().unwrap().to_owned();
    let first = office.piece(&job["id"], &[("range", "bytes=0-99999")]).await;
    assert_eq!(first.status, StatusCode::PARTIAL_CONTENT);
    let length = whole.bytes.len();
    assert!(length > 100_000, "{length}");
    assert_eq!(first.headers["content-range"], format!("bytes 0-99999/{length}"));

    let office = office.restarted();
    let rest = office.piece(&job["id"], &[("range", "bytes=100000-"), ("if-range", &tag)]).await;
    assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT);
    assert!([&first.bytes[..], &rest.bytes[..]].concat() == whole.bytes);
    let other =
        office.piece(&job["id"], &[("range", "bytes=100000-"), ("if-range", "\"x\"")]).await;
    assert_eq!((other.status, other.bytes.len()), (StatusCode::OK, length));
    let known = office.piece(&job["id"], &[("if-none-match", &tag)]).await;
    assert_eq!((known.status, known.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    let beyond = office.piece(&job["id"], &[("range", &format!("bytes={length}-"))]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.code(), "bad_range");
    assert_eq!(beyond.headers["content-range"], format!("bytes */{length}"));
}

/// A CSV's rows by their headings.
fn table(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a readable table").clone();
    let row = |row: csv::StringRecord| {
        names.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
    };
    reader.records().map(|record| row(record.expect("a readable table"))).collect()
}

/// Requests, exact cost, unknown costs and tokens of each hour, model, pass and status.
type Sums = BTreeMap<[String; 4], (u64, i128, u64, u64)>;

fn sums(rows: &[BTreeMap<String, String>], hourly: bool) -> Sums {
    let mut sums = Sums::new();
    for row in rows {
        let hour = if hourly { &row["hour"] } else { &row["started_at"] };
        let key = [&hour[..13], &*row["model"], &*row["pass"], &*row["status"]].map(str::to_owned);
        let sum = sums.entry(key).or_default();
        let cost = row["cost"].parse::<Money>().ok();
        let number = |name: &str| row[name].parse::<u64>().expect("a readable table");
        sum.0 += if hourly { number("requests") } else { 1 };
        sum.1 += cost.map_or(0, Money::attos);
        sum.2 += if hourly { number("unpriced") } else { u64::from(cost.is_none()) };
        sum.3 += number("input.text") + number("output.text");
    }
    sums
}

#[tokio::test]
async fn hours_add_up_to_exactly_their_requests() {
    let office = Office::with(calls);
    for filter in ["", "&tag=team=red", "&status=error", "&from=2026-11-20T02:17:00Z&tz=UTC"] {
        let requests = office.get(&format!("/api/v1/export?format=csv{filter}")).await;
        let hours = office.get(&format!("/api/v1/export?format=csv&form=hourly{filter}")).await;
        let (requests, hours) = (table(&requests.text), table(&hours.text));
        assert!(hours.len() < requests.len() && hours.len() > 10, "{filter}: {}", hours.len());
        assert_eq!(sums(&hours, true), sums(&requests, false), "{filter}");
        // An hour in which no cost is known has none, which is not zero.
        let unknown = hours.iter().filter(|row| row["unpriced"] == row["requests"]);
        unknown.for_each(|row| assert_eq!(row["cost"], "", "{row:?}"));
        assert!(hours.windows(2).all(|pair| pair[0]["hour"] <= pair[1]["hour"]));
    }
    let half = office.get("/api/v1/export?form=hourly&tz=Asia/Kolkata").await;
    let half: Vec<Value> =
        half.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(half.iter().all(|row| row["hour"].as_str().unwrap()[14..16] == *"30"), "{half:?}");
    assert_eq!(half.iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>(), 600);
}

#[tokio::test]
async fn a_cancelled_export_leaves_nothing_and_one_cut_by_a_restart_says_so() {
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    let office = Office::held_up(calls, move || {
        let _ = gone.lock().unwrap_or_else(PoisonError::into_inner).recv();
    });
    let cancelled = office.order(json!({"format": "csv"})).await.json();
    let cut = office.order(json!({"format": "csv"})).await.json();
    let waiting = office.order(json!({"format": "csv"})).await.json();
    let of = |job: &Value, what: &str| format!("/api/v1/exports/{}{what}", job["id"]);
    let early = office.get(&of(&cancelled, "/file")).await;
    assert_eq!((early.status, &*early.code()), (StatusCode::CONFLICT, "conflict"));
    let answer = office.method(Method::POST, &of(&cancelled, "/cancel")).await;
    assert_eq!(answer.json()["status"], "cancelled");
    let again = office.method(Method::POST, &of(&cancelled, "/cancel")).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(office.method(Method::DELETE, &of(&waiting, "")).await.status, StatusCode::OK);
    assert_eq!(office.get(&of(&waiting, "")).await.code(), "not_found");
    let before = office.workshop.clone();
    // A power cut leaves half a file.
    fs::write(office.home.path().join("exports/2.part"), b"half").unwrap();

    let office = office.restarted();
    let jobs = office.get("/api/v1/exports").await.json();
    let said: Vec<(&Value, &Value)> = jobs["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (&job["id"], &job["status"]))
        .collect();
    assert_eq!(
        said,
        [(&cut["id"], &json!("interrupted")), (&cancelled["id"], &json!("cancelled"))]
    );
    assert_eq!(office.files(), ["exports.json"]);
    drop(go);
    before.close();
    assert_eq!(office.files(), ["exports.json"]);
}

#[tokio::test]
async fn of_a_hundred_orders_some_wait_and_the_others_are_told_to_come_later() {
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    let office = Office::held_up(calls, move || {
        let _ = gone.lock().unwrap_or_else(PoisonError::into_inner).recv();
    });
    let mut accepted = Vec::new();
    for _ in 0..100 {
        let answer = office.order(json!({"format": "csv", "form": "hourly"})).await;
        match answer.status {
            StatusCode::CREATED => accepted.push(answer.json()["id"].clone()),
            refused => {
                assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
                assert_eq!(answer.code(), "too_many_requests");
                assert_eq!(answer.headers["retry-after"], "1");
            }
        }
    }
    assert_eq!(accepted.len(), 20);
    drop(go);
    for id in &accepted {
        assert_eq!(office.ended(id).await["status"], "done");
    }
    let mut seen = Vec::new();
    let mut page = office.get("/api/v1/exports?limit=7").await.json();
    loop {
        seen.extend(page["exports"].as_array().unwrap().iter().map(|job| job["id"].clone()));
        let Some(next) = page["next"].as_u64() else { break };
        page = office.get(&format!("/api/v1/exports?limit=7&before={next}")).await.json();
    }
    accepted.reverse();
    assert_eq!(seen, accepted, "newest first, each once");
    // What is kept has a bound, and files go with what is forgotten.
    for _ in 0..40 {
        office.made(json!({"format": "csv", "model": "nobody"})).await;
    }
    assert_eq!(office.workshop.jobs().unwrap().len(), 50);
    assert_eq!(office.files().len(), 51, "and their list");
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_in_words() {
    let office = Office::with(|made, begun| {
        let mut receipt = begun("2026-11-20T10:00:00Z");
        receipt.cost_state = CostState::Unknown;
        made.push(receipt);
    });
    for (order, code) in [
        (json!({"from": "2026-11-20", "to": "2026-11-19"}), "bad_parameter"),
        (json!({"format": "pdf"}), "bad_body"),
        (json!({"form": "daily"}), "bad_body"),
        (json!({"form": "hourly", "currency": "EUR"}), "bad_parameter"),
        (json!({"colour": "red"}), "bad_parameter"),
        (json!({"model": 7}), "bad_body"),
        (json!([]), "bad_body"),
    ] {
        let answer = office.order(order.clone()).await;
        assert_eq!(answer.code(), code, "{order}: {}", answer.text);
        assert!(answer.json()["error"]["hint"].is_string(), "{order}");
    }
    for id in ["7", "-1", "x", "99999999999999999999", ".."] {
        assert_eq!(office.get(&format!("/api/v1/exports/{id}/file")).await.code(), "not_found");
    }
    for query in ["before=x", "limit=0", "limit=1001", "colour=red"] {
        assert_eq!(office.get(&format!("/api/v1/exports?{query}")).await.code(), "bad_parameter");
    }
    assert!(!office.home.path().join("exports").exists(), "nothing was made for nothing");
}

#[cfg(unix)]
#[tokio::test]
async fn exports_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let office = Office::with(calls);
    office.made(json!({"format": "xlsx"})).await;
    let folder = office.home.path().join("exports");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in office.files() {
        assert_eq!(mode(&folder.join(&name)), 0o600, "{name}");
    }
}
