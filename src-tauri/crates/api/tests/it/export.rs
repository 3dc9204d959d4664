//! Receipts as a file, over HTTP.

use std::collections::BTreeMap;
use std::io::Cursor;

use axum::body::Bytes;
use axum::http::StatusCode;
use calamine::{Data, DataType as _, Reader as _, Xlsx};
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

/// A sheet of a workbook by its headings.
fn sheet(book: &mut Xlsx<Cursor<Bytes>>, name: &str) -> Vec<BTreeMap<String, Data>> {
    let range = book.worksheet_range(name).expect("the sheet is there");
    let mut rows = range.rows();
    let names: Vec<String> =
        rows.next().expect("it has headings").iter().map(ToString::to_string).collect();
    rows.map(|row| names.iter().cloned().zip(row.iter().cloned()).collect()).collect()
}

#[tokio::test]
async fn a_workbook_holds_typed_cells_and_its_sums_are_the_ledgers() {
    let office = Office::with(|made, begun| {
        let costs = [Some("0.25"), Some("0.000000123456789012"), None];
        for (hour, cost) in [10, 11, 23].into_iter().zip(costs) {
            let mut receipt = begun(&format!("2026-11-20T{hour}:00:00.250Z"));
            used(&mut receipt, "=cmd()", (1_000_000, 7), cost);
            made.push(receipt);
        }
    });
    let path = "/api/v1/export?format=xlsx&from=2026-11-20&to=2026-11-22&tz=Europe/Berlin";
    let answer = office.get(path).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["x-tollgate-rows"], "3");
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert!(name.contains("usage-2026-11-20_2026-11-21.xlsx"), "{name}");
    let mut book = Xlsx::new(Cursor::new(answer.bytes)).unwrap();
    assert_eq!(book.sheet_names(), ["Summary", "By model", "By day", "Requests"]);

    let rows = sheet(&mut book, "Requests");
    assert_eq!(rows.len(), 3);
    let at = &rows[0]["started_at (Europe/Berlin)"];
    let at = at.as_datetime().unwrap().to_string();
    assert_eq!(at, "2026-11-20 11:00:00.250");
    assert_eq!(rows[0]["model"], Data::String("=cmd()".into()), "a text, and no formula");
    assert_eq!(rows[0]["input.text"], Data::Float(1_000_000.0));
    assert_eq!(rows[0]["cost"], Data::Float(0.25));
    assert_eq!(rows[0]["cost exactly"], Data::Empty);
    assert_eq!(rows[1]["cost exactly"], Data::Empty, "twelve digits fit a number");
    assert_eq!(rows[2]["cost"], Data::Empty, "unknown is not zero");

    let models = sheet(&mut book, "By model");
    assert_eq!(models.len(), 2, "one model and the total");
    let total = &models[1];
    assert_eq!(total["model"], Data::String("Total".into()));
    assert_eq!(total["requests"], Data::Float(3.0));
    assert_eq!(total["unpriced"], Data::Float(1.0));
    assert_eq!(total["exactly"], Data::String("0.250000123456789012".into()));
    let days = sheet(&mut book, "By day");
    let named: Vec<String> = days.iter().map(|row| row["day"].to_string()).collect();
    assert_eq!(named, ["2026-11-20", "2026-11-21", "Total"], "23:00 UTC is the next day in Berlin");
}

#[tokio::test]
async fn a_workbook_of_a_century_says_its_filters_and_has_months_for_days() {
    let path = "/api/v1/export?format=xlsx&from=1950-01-01&status=succeeded&status=4xx";
    let answer = many().get(path).await;
    let mut book = Xlsx::new(Cursor::new(answer.bytes)).unwrap();
    assert_eq!(sheet(&mut book, "Requests").len(), 600);
    let months: Vec<String> =
        sheet(&mut book, "By day").iter().map(|row| row["day"].to_string()).collect();
    assert_eq!(months, ["2026-11", "Total"]);
    let summary = book.worksheet_range("Summary").unwrap();
    let filters = summary.rows().find(|row| row[0] == "Filters").unwrap();
    assert_eq!(filters[1].to_string(), "status succeeded or 4xx");
}

#[tokio::test]
async fn a_workbook_of_nothing_is_one_all_the_same() {
    let answer = many().get("/api/v1/export?format=xlsx&model=nobody").await;
    let mut book = Xlsx::new(Cursor::new(answer.bytes)).unwrap();
    assert!(sheet(&mut book, "Requests").is_empty());
    assert_eq!(sheet(&mut book, "By model").len(), 1);
}
