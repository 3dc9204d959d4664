//! The user's own prices, by hand.

use super::*;
use crate::money::Money;
use crate::price::{Query, Valuation, rate};
use crate::receipt::{CostState, Kind};
use crate::usage::{Factor, UsageLine};

const LIST: &str = r#"{"provider":"acme","tier_names":{"bulk":"batch"},"models":[
        {"id":"big","versions":[{"rates":{"input.text":"10","tool.web_search":"5"}}]},
        {"id":"small","versions":[{"rates":{"input.text":"1"}}]}]}"#;

fn list() -> Book {
    Book::read("list", [("acme", LIST)]).unwrap()
}

fn read(text: &str) -> Result<Overrides, OverrideError> {
    Overrides::read(text, &list(), |id| id == "lab")
}

/// A million tokens of input on 2 November 2026.
fn cost(book: &Book, provider: &str, model: &str, local: bool) -> Valuation {
    let query = Query {
        provider,
        host: None,
        model_requested: None,
        model_served: Some(model),
        kind: Kind::Chat,
        at: Timestamp::parse("2026-11-02T00:00:00Z").unwrap(),
        took_ms: None,
        service_tier: None,
        region: None,
        local,
        reported_cost: None,
        lines: &[UsageLine::reported(Factor::InputText, 1_000_000)],
    };
    rate(book, &query)
}

fn money(text: &str) -> Option<Money> {
    text.parse().ok()
}

const OWN: &str = r#"
[[price]]
provider = "acme"
model = "big"
from = "2026-11-01"
to = "2026-12-01"
rates = { "input.text" = "7.5" }

[[price]]
provider = "lab"
rates = { "input.text" = "0.20" }

[[discount]]
provider = "acme"
pay = "4/5"

[[alias]]
provider = "acme"
name = "arn:aws:x/prod"
model = "small"
"#;

#[test]
fn what_the_user_wrote_wins_and_the_line_says_so() {
    let book = list().with(read(OWN).unwrap());
    let big = cost(&book, "acme", "big-2026-01-01", false);
    assert_eq!(big.cost, money("7.5"), "negotiated, so not discounted");
    assert_eq!(big.lines[0].price_version.as_deref(), Some("override big@2026-11-01"));
    let small = cost(&book, "acme", "small", false);
    assert_eq!(small.cost, money("0.8"));
    assert_eq!(small.lines[0].price_version.as_deref(), Some("small@start, override"));
    assert_eq!(small.lines[0].tier.as_deref(), Some("standard × 4/5 override"));
    let named = cost(&book, "acme", "ARN:aws:x/prod", false);
    assert_eq!(named.cost, money("0.8"));
    let lab = cost(&book, "lab", "whatever", true);
    assert_eq!((lab.cost, lab.state), (money("0.2"), CostState::Priced));
    assert_eq!(cost(&list(), "lab", "whatever", true).state, CostState::Free);
    assert_eq!(cost(&book, "acme", "other", false).state, CostState::Unknown);
    let (before, after) = (list(), book);
    assert!(after.hash().starts_with(before.hash()) && after.hash().len() == "list+".len() + 8);
}

#[test]
fn a_wrong_file_is_refused_with_its_line_and_a_reason() {
    for (wrong, line, reason) in [
        ("[[price]]\nprovider = \"acme\"\nrate = 1\n", 3, "unknown field"),
        ("[[price]]\nprovider = \"acme\"\nrates = { \"input.text\" = 1.5 }", 3, "string"),
        ("\n[[price]]\nprovider = \"acme\"\n[price.rates]\n\"input.text\" = \"cheap\"", 5, "rate"),
        ("[[price]]\nprovider = \"acme\"\nrates = { \"input.txt\" = \"1\" }", 3, "factor"),
        ("[[price]]\nprovider = \"acne\"\nrates = { \"input.text\" = \"1\" }", 1, "no provider"),
        ("\n\n[[discount]]\nprovider = \"acme\"\npay = \"80%\"", 3, "fraction"),
        ("[[discount]]\nprovider = \"acme\"\nmodel = \"bgi\"\npay = \"1/2\"", 1, "no price"),
        ("[[alias]]\nprovider = \"acme\"\nname = \"x\"\nmodel = \"bgi\"", 1, "no price"),
        ("[[discount]]\nprovider = \"acme\"\npay = \"1/2\"\nfrom = \"soon\"", 1, "instant"),
        ("[[price]]\nprovider = \"acme\"\ncurrency = \"EUR\"\nrates = {}", 1, "in USD"),
    ] {
        let refused = read(wrong).unwrap_err();
        assert_eq!(refused.line, line, "{wrong}\n{refused}");
        assert!(refused.reason.contains(reason), "{wrong}\n{refused}");
    }
    let twice = format!("{OWN}{OWN}");
    assert!(read(&twice).unwrap_err().reason.contains("same time"));
}
