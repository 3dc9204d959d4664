//! Puts the price book's word on a receipt. What the words mean is `meter`'s; here they only
//! meet the state of the usage.

use meter::Money;
use meter::price::{self, Book, Query};
use meter::receipt::{CostState, Receipt, ReportedCost, UsageState};
use meter::usage::{Factor, UsageLine};

/// Rates what was used and writes it on the receipt, whose other fields are complete.
pub(crate) fn value(
    receipt: &mut Receipt,
    book: &Book,
    host: &str,
    lines: &[UsageLine],
    reported: Option<ReportedCost>,
) {
    receipt.reported_cost = reported;
    if receipt.usage_state == UsageState::None && receipt.reported_cost.is_none() {
        receipt.cost = Some(Money::ZERO);
        receipt.cost_state = CostState::Free;
        return;
    }
    let valuation = price::rate(
        book,
        &Query {
            provider: &receipt.provider,
            host: Some(host),
            model_requested: receipt.model_requested.as_deref(),
            model_served: receipt.model.as_deref(),
            kind: receipt.kind,
            at: receipt.started_at,
            took_ms: Some(receipt.latency_ms),
            service_tier: receipt.service_tier.as_deref(),
            region: receipt.region.as_deref(),
            local: receipt.billing.is_free_of_charge(),
            reported_cost: receipt.reported_cost.as_ref(),
            lines,
        },
    );
    if valuation.lines.is_empty() && receipt.reported_cost.is_none() {
        receipt.cost_state = CostState::UsageMissing;
        return;
    }
    let valuation = match receipt.usage_state {
        UsageState::Partial => valuation.of_partial_usage(),
        UsageState::Reported | UsageState::Estimated | UsageState::Missing | UsageState::None => {
            valuation
        }
    };
    if valuation.state == CostState::Free && receipt.usage_state == UsageState::Estimated {
        // Its lines say that they are estimates; that there is nothing to pay is none.
        receipt.usage_state = UsageState::None;
    }
    receipt.lines = valuation.lines;
    receipt.cost = valuation.cost;
    receipt.subtotal = valuation.subtotal;
    receipt.currency = valuation.currency;
    receipt.cost_state = valuation.state;
    receipt.book_hash = Some(book.hash().into());
}

/// Whether a call with this receipt costs nothing, whatever it used and however long it took.
pub(crate) fn is_free(receipt: &Receipt, book: &Book, host: &str) -> bool {
    let mut scratch = receipt.clone();
    // Much of anything, for an hour: without the user's own price for its server it is no charge.
    (scratch.usage_state, scratch.latency_ms) = (UsageState::Reported, 3_600_000);
    let line = UsageLine::reported(Factor::InputText, 1_000_000);
    value(&mut scratch, book, host, &[line], None);
    receipt.billing.is_free_of_charge() && scratch.cost_state == CostState::Free
}
