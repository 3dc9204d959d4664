//! Puts money on usage lines: the price book, its calendar, and exact arithmetic.

use crate::money::{Currency, Money};
use crate::receipt::{CostState, Kind, Line, ReportedCost};
use crate::time::Timestamp;
use crate::usage::UsageLine;

/// A price book: every rate of every model from every instant.
#[derive(Debug)]
pub struct Book {
    hash: Box<str>,
}

impl Book {
    /// The book compiled into the program, read once.
    pub fn built_in() -> &'static Self {
        static BUILT_IN: std::sync::LazyLock<Book> =
            std::sync::LazyLock::new(|| Book { hash: "none".into() });
        &BUILT_IN
    }

    /// What identifies this book on a receipt.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// What is to be priced.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// The host the request went to, for regional rates.
    pub host: Option<&'a str>,
    /// The model the client asked for.
    pub model_requested: Option<&'a str>,
    /// The model that served; it wins.
    pub model_served: Option<&'a str>,
    /// What sort of call.
    pub kind: Kind,
    /// When the request began.
    pub at: Timestamp,
    /// The tier or speed that served; absent is standard.
    pub service_tier: Option<&'a str>,
    /// Where it ran.
    pub region: Option<&'a str>,
    /// Served by the user's own machine.
    pub local: bool,
    /// What the provider itself stated; it wins.
    pub reported_cost: Option<&'a ReportedCost>,
    /// What was used.
    pub lines: &'a [UsageLine],
}

/// What usage comes to by a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Valuation {
    /// The lines with their rates and amounts.
    pub lines: Vec<Line>,
    /// The cost, if every line is priced or the provider stated it.
    pub cost: Option<Money>,
    /// The priced part when only some lines are.
    pub subtotal: Option<Money>,
    /// Of all amounts.
    pub currency: Currency,
    /// What stands behind it.
    pub state: CostState,
}

/// Prices usage. Never fails: what cannot be priced is unknown.
pub fn rate(_book: &Book, query: &Query<'_>) -> Valuation {
    let unpriced = |line: &UsageLine| Line {
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
    };
    Valuation {
        lines: query.lines.iter().map(unpriced).collect(),
        cost: None,
        subtotal: None,
        currency: Currency::USD,
        state: CostState::Unknown,
    }
}
