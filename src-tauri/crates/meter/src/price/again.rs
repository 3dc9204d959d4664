//! Values a recorded receipt once more: the same usage at the same instant, by another book.
//!
//! What a receipt does not keep, such as the size of an image, cannot be valued again; that
//! is said, never guessed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ask::host;
use super::{Book, Query, Valuation, rate, rating};
use crate::receipt::{Line, Receipt, Settlement, UnknownWord, UsageState, words};
use crate::usage::{Basis, Factor, UsageLine};

words! {
    /// Why a receipt is passed over.
    PassedOver {
        /// There is nothing to pay for in such a call.
        NothingToPay = "nothing_to_pay",
        /// Nobody said what was used.
        NoUsage = "no_usage",
        /// No model is known that a price could belong to.
        NoModel = "no_model",
        /// The provider itself stated the cost, and that stands.
        ProviderStated = "provider_stated",
        /// The price depends on what the receipt does not keep, such as an image's size.
        DetailNotKept = "detail_not_kept",
        /// The book's price is in another currency than the receipt.
        OtherCurrency = "other_currency",
    }
}

/// Values `lines`, which are the receipt's own or those of its last settlement, at the
/// instant the request began.
///
/// # Errors
/// Says why such a receipt keeps the valuation it has.
pub fn again(book: &Book, receipt: &Receipt, lines: &[Line]) -> Result<Valuation, PassedOver> {
    check(receipt, lines)?;
    let usage: Vec<UsageLine> = lines.iter().filter_map(usage).collect();
    let query = Query { lines: &usage, ..of(receipt) };
    if rating::depends_on_attributes(book, &query) {
        return Err(PassedOver::DetailNotKept);
    }
    let valuation = rate(book, &query);
    if valuation.cost.or(valuation.subtotal).is_some() && valuation.currency != receipt.currency {
        return Err(PassedOver::OtherCurrency);
    }
    // Lines that came later, with a job's outcome, are whole.
    let came_later = receipt.settlements.iter().any(|news| *news.reason != *Settlement::REPRICE);
    let is_partial = receipt.usage_state == UsageState::Partial && !came_later;
    Ok(if is_partial { valuation.of_partial_usage() } else { valuation })
}

fn check(receipt: &Receipt, lines: &[Line]) -> Result<(), PassedOver> {
    if receipt.reported_cost.is_some() {
        return Err(PassedOver::ProviderStated);
    }
    if receipt.usage_state == UsageState::None || receipt.is_demo() {
        return Err(PassedOver::NothingToPay);
    }
    if lines.is_empty() {
        return Err(PassedOver::NoUsage);
    }
    match receipt.model.as_ref().or(receipt.model_requested.as_ref()) {
        Some(_) => Ok(()),
        None => Err(PassedOver::NoModel),
    }
}

/// What to ask the book about a receipt, but for the lines.
fn of(receipt: &Receipt) -> Query<'_> {
    Query {
        provider: &receipt.provider,
        host: host(&receipt.upstream),
        model_requested: receipt.model_requested.as_deref(),
        model_served: receipt.model.as_deref(),
        kind: receipt.kind,
        at: receipt.started_at,
        service_tier: receipt.service_tier.as_deref(),
        region: receipt.region.as_deref(),
        local: receipt.billing.is_free_of_charge(),
        reported_cost: None,
        lines: &[],
    }
}

/// The usage behind a line; nothing for a fee that the book itself put there.
fn usage(line: &Line) -> Option<UsageLine> {
    let is_fee = line.factor == Factor::RequestFee && line.basis == Basis::Derived;
    (!is_fee).then(|| UsageLine {
        factor: line.factor.clone(),
        count: line.count,
        model: line.model.clone(),
        basis: line.basis,
        bound: line.bound,
        attributes: Vec::new(),
    })
}
