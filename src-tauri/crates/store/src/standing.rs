//! How a receipt stands once its settlements are counted in. The receipt says what was
//! known when it was written; the last settlement says what counts now.

use meter::Money;
use meter::receipt::{CostState, Line, Receipt, Status};

/// What counts now about a receipt; figures, status filters and totals go by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// How it ended: the last settlement that says so, else the receipt.
    pub status: Status,
    /// The lines that count.
    pub lines: &'a [Line],
    /// What it came to; absent is unknown.
    pub cost: Option<Money>,
    /// What stands behind the cost.
    pub cost_state: CostState,
    /// The priced part when there is no cost.
    pub subtotal: Option<Money>,
}

impl<'a> Standing<'a> {
    /// Of this receipt.
    pub fn of(receipt: &'a Receipt) -> Self {
        let own = Self {
            status: receipt.status,
            lines: &receipt.lines,
            cost: receipt.cost,
            cost_state: receipt.cost_state,
            subtotal: receipt.subtotal,
        };
        receipt.settlements.iter().fold(own, |before, news| Self {
            status: news.status.unwrap_or(before.status),
            lines: &news.lines,
            cost: news.cost,
            cost_state: news.cost_state,
            subtotal: news.subtotal,
        })
    }
}
