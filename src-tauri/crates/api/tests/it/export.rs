//! Receipts as a file, over HTTP.

use axum::http::StatusCode;
use meter::Receipt;

use crate::desk::{Office, used};

fn many() -> Office {
    Office::with(|made, begun| {
        for minute in 0..600_u64 {
            let begun_at = format!("2026-11-20T{:02}:{:02}:00Z", minute / 60, minute % 60);
            let mut receipt = begun(&begun_at);
            used(&mut receipt, "=cmd()", (minute, 1), Some("0.25"));
            made.push(receipt);
        }
    })
}

#[tokio::test]
async fn every_receipt_is_one_line_and_the_file_is_whole() {
    let office = many();
    let answer = office.get("/api/v1/export?format=jsonl").await;
    let receipts: Vec<Receipt> =
        answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(receipts.len(), 600);
    assert!(receipts.windows(2).all(|pair| pair[0].id < pair[1].id), "oldest first");
    assert!(answer.text.ends_with("}\n"));
}

#[tokio::test]
async fn a_table_has_a_header_a_name_and_no_formulas() {
    let answer = many().get("/api/v1/export?format=csv&from=2026-11-20&to=2026-11-21").await;
    assert_eq!(answer.status, StatusCode::OK);
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert_eq!(name, "attachment; filename=\"usage-2026-11-20_2026-11-20.csv\"");
    assert_eq!(answer.text.lines().count(), 601);
    assert!(answer.text.starts_with("id,started_at,"));
    assert!(answer.text.contains(",'=cmd(),") && !answer.text.contains(",=cmd()"));
}

#[tokio::test]
async fn an_export_of_nothing_is_an_empty_file_with_its_header() {
    let office = many();
    let nothing = office.get("/api/v1/export?model=nobody").await;
    assert_eq!((nothing.status, &*nothing.text), (StatusCode::OK, ""));
    let header = office.get("/api/v1/export?format=csv&model=nobody").await;
    assert_eq!(header.text.lines().count(), 1);
}
