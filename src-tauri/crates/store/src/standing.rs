//! How a receipt stands once its settlements are counted in. The receipt says what was
//! known when it was written; the last settlement says what counts now.

use meter::Money;
use meter::receipt::{CostState, Line, RawUsage, Receipt, Settlement, Status, UsageState};

/// What counts now about a receipt; figures, status filters and totals go by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// How it ended: the last settlement that says so, else the receipt.
    pub status: Status,
    /// The provider's last words about usage.
    pub usage_raw: Option<&'a RawUsage>,
    /// How the usage became known.
    pub usage_state: UsageState,
    /// The lines that count.
    pub lines: &'a [Line],
    /// What it came to; absent is unknown.
    pub cost: Option<Money>,
    /// What stands behind the cost.
    pub cost_state: CostState,
    /// The priced part when there is no cost.
    pub subtotal: Option<Money>,
    /// The price book behind it.
    pub book_hash: Option<&'a str>,
    /// Whose valuation that is: a settlement's, or absent the receipt's own.
    pub valued_by: Option<&'a Settlement>,
}

impl<'a> Standing<'a> {
    /// Of this receipt.
    pub fn of(receipt: &'a Receipt) -> Self {
        let own = Self {
            status: receipt.status,
            usage_raw: receipt.usage_raw.as_ref(),
            usage_state: receipt.usage_state,
            lines: &receipt.lines,
            cost: receipt.cost,
            cost_state: receipt.cost_state,
            subtotal: receipt.subtotal,
            book_hash: receipt.book_hash.as_deref(),
            valued_by: None,
        };
        receipt.settlements.iter().fold(own, |before, news| Self {
            status: news.status.unwrap_or(before.status),
            usage_raw: news
                .usage_raw
                .as_ref()
                .or_else(|| before.usage_raw.filter(|_| news.is_second_look())),
            usage_state: news.usage_state.unwrap_or(before.usage_state),
            lines: &news.lines,
            cost: news.cost,
            cost_state: news.cost_state,
            subtotal: news.subtotal,
            book_hash: news.book_hash.as_deref(),
            valued_by: Some(news),
        })
    }

    /// The word for whose valuation counts: `first`, or the settlement's reason.
    pub fn valuation(&self) -> &'a str {
        self.valued_by.map_or("first", |news| &news.reason)
    }

    /// Whether the prices were looked up again, and perhaps the usage read again before.
    pub fn is_repriced(&self) -> bool {
        self.valued_by.is_some_and(Settlement::is_second_look)
    }
}
