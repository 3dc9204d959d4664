//! A view as one page to hand on.

use axum::http::StatusCode;
use base64::Engine as _;
use meter::receipt::Status;
use sha2::{Digest as _, Sha256};

use crate::desk::{Office, used};

const HOSTILE: &str = "</script><img src=x onerror=alert(1)><!--\"'`&lt;\u{202e}";

fn hostile() -> Office {
    Office::with(|made, begun| {
        for hour in 8..20 {
            let mut receipt = begun(&format!("2026-11-20T{hour:02}:30:00Z"));
            used(&mut receipt, HOSTILE, (1_000, 7), Some("1.000000000000000001"));
            receipt.workspace = HOSTILE.into();
            receipt.pass = Some(HOSTILE.into());
            receipt.key = Some(HOSTILE.into());
            receipt.client = Some(HOSTILE.into());
            receipt.error_message = Some("sk-planted-in-an-error".into());
            receipt.tags.insert("team".into(), HOSTILE.into());
            made.push(receipt);
        }
        let mut unknown = begun("2026-11-20T20:30:00Z");
        used(&mut unknown, "other", (5, 5), None);
        (unknown.status, unknown.http_status) = (Status::Error, Some(500));
        made.push(unknown);
    })
}

#[tokio::test]
async fn a_report_stands_by_itself_whatever_things_are_called() {
    let office = hostile();
    let answer = office.get("/api/v1/report?from=2026-11-20&to=2026-11-21&tz=UTC").await;
    assert_eq!(answer.status, StatusCode::OK);
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert_eq!(name, "attachment; filename=\"usage-2026-11-20_2026-11-20.html\"");
    let page = answer.text;
    let lower = page.to_ascii_lowercase();
    for never in ["<script", "<img", "<!--", "javascript:", "http:", "https:", "url(", "@import"] {
        assert!(!lower.contains(never), "{never}");
    }
    assert!(!page.contains("sk-planted"), "what an upstream said is not for everybody");
    assert!(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&lt;!--"));
    // Every element is one of those that the page is made of.
    let names = page.split('<').skip(1).map(|part| {
        part.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap()
    });
    let known = "html head meta title style body main header section footer h1 h2 dl div dt dd p \
        strong bdi data figure figcaption svg text rect line table caption thead tbody tfoot tr th td";
    let known: Vec<&str> = known.split_whitespace().collect();
    names.filter(|name| !name.is_empty()).for_each(|name| assert!(known.contains(&name), "{name}"));
    // Its figures are those of the ledger: twelve times a bit more than a dollar, one unknown.
    assert!(page.contains("exactly 12.000000000000000012 USD; 1 of unknown cost, not counted"));
    assert!(page.contains("<strong>13</strong>") && page.contains("1 ended in errors"));
    let bars = page.matches("<rect").count();
    assert_eq!(bars, 48, "24 hours in two pictures");
}

#[tokio::test]
async fn a_report_s_policy_allows_its_own_style_and_nothing_else() {
    let page = hostile().get("/api/v1/report").await;
    let style = page.text.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
    );
    assert_eq!(page.headers["content-security-policy"].to_str().unwrap(), policy);
    let quoted = policy.replace('\'', "&#39;");
    assert!(page.text.contains(&format!("content=\"{quoted}\"")), "{policy}");
}

#[tokio::test]
async fn a_report_of_nothing_or_of_all_time_is_one_too() {
    let office = hostile();
    let nothing = office.get("/api/v1/report?model=nobody").await;
    assert!(nothing.text.contains("No request fits these filters"), "{}", nothing.text);
    let ever = office.get("/api/v1/report?from=0001-01-01&to=2900-01-01").await;
    assert_eq!(ever.status, StatusCode::OK, "{}", ever.text);
    assert!(ever.text.contains("2026-11"));
    let wrong = office.get("/api/v1/report?from=2026-11-20&to=2026-11-19").await;
    assert_eq!(wrong.code(), "bad_parameter");
}
