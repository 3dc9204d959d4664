//! What usage would have cost somewhere else, and what a server of the user's own costs by the
//! hour: questions of comparison, which change no receipt.

use super::again::is_fee;
use super::{Book, Query, Valuation, rate};
use crate::money::{Currency, Money};
use crate::receipt::{Kind, Line, Receipt};
use crate::time::Timestamp;
use crate::usage::{Factor, UsageLine};

/// What the usage in `lines`, which are a receipt's own or those of its last settlement, would
/// have come to with another provider's model at the instant the request began. Absent where
/// nothing was used.
pub fn valued_at(
    book: &Book,
    receipt: &Receipt,
    lines: &[Line],
    (provider, model): (&str, &str),
) -> Option<Valuation> {
    let used: Vec<UsageLine> = lines
        .iter()
        .filter(|line| !is_fee(line))
        // Whatever it ran on here, there it is that model.
        .map(|line| UsageLine { model: None, ..UsageLine::from(line) })
        .collect();
    let query = Query {
        kind: receipt.kind,
        at: receipt.started_at,
        lines: &used,
        ..of_model(provider, model, receipt.started_at)
    };
    (!used.is_empty()).then(|| rate(book, &query))
}

/// What a server costs that serves a model for so long, beginning at `at`: its time at the user's
/// own price per hour, whatever is done in it. Absent where there is no such price.
pub fn server_cost(
    book: &Book,
    (provider, model): (&str, &str),
    at: Timestamp,
    millis: u64,
) -> Option<(Money, Currency)> {
    let query = Query { took_ms: Some(millis), local: true, ..of_model(provider, model, at) };
    let valuation = rate(book, &query);
    let time = valuation.lines.iter().find(|line| line.factor == Factor::ServerSeconds)?;
    Some((time.amount?, valuation.currency))
}

fn of_model<'a>(provider: &'a str, model: &'a str, at: Timestamp) -> Query<'a> {
    Query {
        provider,
        host: None,
        model_requested: None,
        model_served: Some(model),
        kind: Kind::Chat,
        at,
        took_ms: None,
        service_tier: None,
        region: None,
        local: false,
        reported_cost: None,
        lines: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Overrides;
    use crate::receipt::{CostState, ReceiptId};
    use crate::usage::Basis;

    const NOON: &str = "2026-11-20T12:00:00Z";

    fn book() -> Book {
        let own = "[[price]]\nprovider = 'shop'\nmodel = 'm'\n[price.rates]\n'input.text' = '2'\n'output.text' = '10'\n\
            [[price]]\nprovider = 'lab'\nrates = { 'server.seconds' = '3.6/h' }\n";
        let list = Book::read("x", []).unwrap();
        let own = Overrides::read(own, &list, |_| true).unwrap();
        list.with(own)
    }

    fn receipt(counts: &[(Factor, u64)]) -> Receipt {
        let at = Timestamp::parse(NOON).unwrap();
        let mut receipt = Receipt::begun(ReceiptId::new(at, 0, 0), at, "lab", "http://lab.test");
        let used: Vec<UsageLine> =
            counts.iter().cloned().map(|(factor, n)| UsageLine::reported(factor, n)).collect();
        let query =
            Query { took_ms: Some(1000), local: true, lines: &used, ..of_model("lab", "own", at) };
        receipt.lines = rate(&book(), &query).lines;
        receipt
    }

    #[test]
    fn the_same_tokens_are_rated_as_if_the_paid_model_had_served_them() {
        let receipt = receipt(&[(Factor::InputText, 500), (Factor::OutputText, 200)]);
        // By the hour here: the time is no usage there.
        assert!(receipt.lines.iter().any(|line| line.basis == Basis::Derived));
        let there = valued_at(&book(), &receipt, &receipt.lines, ("shop", "m")).unwrap();
        // 500 × $2 + 200 × $10, a million.
        assert_eq!(there.cost.unwrap().to_string(), "0.003");
        let unknown = valued_at(&book(), &receipt, &receipt.lines, ("shop", "other")).unwrap();
        assert_eq!((unknown.cost, unknown.state), (None, CostState::Unknown));
        assert!(valued_at(&book(), &receipt, &[], ("shop", "m")).is_none());
    }

    #[test]
    fn a_server_costs_its_time_at_its_own_price_and_nothing_is_made_up() {
        let at = Timestamp::parse(NOON).unwrap();
        let cost = |millis| server_cost(&book(), ("lab", "own"), at, millis).unwrap().0.to_string();
        assert_eq!(
            (cost(3_600_000), cost(1), cost(0)),
            ("3.6".into(), "0.000001".into(), "0".into())
        );
        assert_eq!(server_cost(&book(), ("shop", "m"), at, 1000), None);
        assert_eq!(server_cost(&book(), ("nobody", "m"), at, 1000), None);
    }
}
