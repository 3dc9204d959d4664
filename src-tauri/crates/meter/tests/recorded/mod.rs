//! Records a reading as a receipt and has its usage object read again.

use meter::format::{Format, Reading, reread};
use meter::provider::Provider;
use meter::receipt::Line;
use meter::request::Asked;
use meter::usage::UsageLine;
use meter::{Receipt, ReceiptId, Timestamp};

/// Holds a second reading of the recorded usage to the first; whether any was recorded.
pub(crate) fn says_it_again(
    name: &str,
    provider: &Provider,
    format: Option<Format>,
    asked: &Asked,
    reading: &Reading,
) -> bool {
    let Some(usage) = &reading.usage_raw else { return false };
    let (id, at) = (ReceiptId::new(Timestamp::from_millis(1), 1, 1), Timestamp::from_millis(1));
    let mut receipt = Receipt::begun(id, at, &provider.id, "http://upstream.test");
    receipt.format = format;
    receipt.model.clone_from(&reading.model);
    receipt.model_requested.clone_from(&asked.model);
    receipt.capabilities.clone_from(&asked.capabilities);
    receipt.lines = reading.lines.iter().map(unpriced).collect();
    let again = reread(&receipt, usage, &receipt.lines, reading.usage_state);
    let again = again.unwrap_or_else(|| panic!("{name}: its format is known"));
    assert_eq!(sorted(again.lines), sorted(reading.lines.clone()), "{name}");
    assert_eq!(again.usage_state, reading.usage_state, "{name}");
    assert_eq!(again.reported_cost, reading.reported_cost, "{name}");
    true
}

fn unpriced(line: &UsageLine) -> Line {
    Line {
        factor: line.factor.clone(),
        count: line.count,
        unit: line.factor.unit(),
        rate: None,
        amount: None,
        tier: None,
        price_version: None,
        basis: line.basis,
        bound: line.bound,
        model: line.model.clone(),
        attributes: line.attributes.iter().cloned().collect(),
    }
}

/// In an order of their own.
fn sorted(mut lines: Vec<UsageLine>) -> Vec<UsageLine> {
    lines.iter_mut().for_each(|line| line.attributes.sort());
    lines.sort_by_key(|line| (line.factor.clone(), line.model.clone(), line.count));
    lines
}
