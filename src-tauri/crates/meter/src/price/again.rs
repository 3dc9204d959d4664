//! Values a recorded receipt once more: the same usage at the same instant, by another book.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ask::host;
use super::{Book, Query, Valuation, rate};
use crate::format::Reread;
use crate::receipt::{Line, Receipt, ReportedCost, UnknownWord, UsageState, words};
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
        /// The provider's own words about usage are not on record, or in a format unknown here.
        UsageNotKept = "usage_not_kept",
        /// The book's price is in another currency than the receipt.
        OtherCurrency = "other_currency",
    }
}

/// Values `lines`, which are the receipt's own or those of its last settlement, at the
/// instant the request began. `state` is how they became known.
///
/// # Errors
/// Says why such a receipt keeps the valuation it has.
pub fn again(
    book: &Book,
    receipt: &Receipt,
    lines: &[Line],
    state: UsageState,
) -> Result<Valuation, PassedOver> {
    if receipt.reported_cost.is_some() {
        return Err(PassedOver::ProviderStated);
    }
    let usage: Vec<UsageLine> =
        lines.iter().filter(|line| !is_fee(line)).map(UsageLine::from).collect();
    value(book, receipt, &usage, state, None)
}

/// Values what a receipt's usage says when it is read again. A stated cost stands, unless the
/// reading finds another.
///
/// # Errors
/// Says why such a receipt keeps the valuation it has.
pub fn anew(book: &Book, receipt: &Receipt, reading: &Reread) -> Result<Valuation, PassedOver> {
    let stated = reading.reported_cost.as_ref().or(receipt.reported_cost.as_ref());
    value(book, receipt, &reading.lines, reading.usage_state, stated)
}

/// Whether the book itself put it there.
pub(crate) fn is_fee(line: &Line) -> bool {
    let by_the_book = [Factor::RequestFee, Factor::ServerSeconds].contains(&line.factor);
    by_the_book && line.basis == Basis::Derived
}

fn value(
    book: &Book,
    receipt: &Receipt,
    lines: &[UsageLine],
    state: UsageState,
    reported_cost: Option<&ReportedCost>,
) -> Result<Valuation, PassedOver> {
    check(receipt, lines, state)?;
    let query = Query { lines, reported_cost, ..of(receipt) };
    let valuation = rate(book, &query);
    if valuation.cost.or(valuation.subtotal).is_some() && valuation.currency != receipt.currency {
        return Err(PassedOver::OtherCurrency);
    }
    let is_partial = state == UsageState::Partial;
    Ok(if is_partial { valuation.of_partial_usage() } else { valuation })
}

fn check(receipt: &Receipt, lines: &[UsageLine], state: UsageState) -> Result<(), PassedOver> {
    if state == UsageState::None || receipt.is_demo() {
        return Err(PassedOver::NothingToPay);
    }
    if lines.is_empty() {
        return Err(PassedOver::NoUsage);
    }
    let is_named = receipt.model.is_some() || receipt.model_requested.is_some();
    let is_told = is_named || lines.iter().all(|line| line.model.is_some());
    if is_told { Ok(()) } else { Err(PassedOver::NoModel) }
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
        took_ms: Some(receipt.latency_ms),
        service_tier: receipt.service_tier.as_deref(),
        region: receipt.region.as_deref(),
        local: receipt.billing.is_free_of_charge(),
        reported_cost: None,
        lines: &[],
    }
}
