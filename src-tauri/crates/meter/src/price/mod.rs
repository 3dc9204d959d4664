//! Puts money on usage lines: the price book, its calendar, and exact arithmetic.
//!
//! What cannot be priced is unknown, never zero, and never a guess: the id must have a
//! record, the record a version for the instant, the version the tier and a rate for every
//! line that counted anything. All names of providers and models are data in `prices/`.

mod again;
mod amount;
pub mod ask;
mod book;
mod bundle;
mod calendar;
mod catalogue;
mod elsewhere;
mod file;
mod naming;
mod outlook;
mod overrides;
mod rating;
mod record;
mod saved;

pub(crate) use again::is_fee;
pub use again::{PassedOver, again, anew};
pub use amount::BadRate;
pub use book::{Book, Edition};
pub use bundle::{Bundle, BundleError, LARGEST_BUNDLE, PublicKey, bundle_message};
pub use catalogue::{ListedModel, ListedVersion};
pub use elsewhere::{server_cost, valued_at};
pub use file::BookError;
pub use outlook::{Foreseen, Outlook, Prospect};
pub use overrides::{OverrideError, Overrides, OwnPrice};
pub use rating::rate;
pub use record::Problem;
pub use saved::saved_by_cache;

use crate::money::{Currency, Money};
use crate::receipt::{CostState, Kind, Line, ReportedCost};
use crate::time::Timestamp;
use crate::usage::{Factor, UsageLine};

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
    /// How long it took, in milliseconds, for servers that are charged by the hour.
    pub took_ms: Option<u64>,
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

impl Valuation {
    /// The same where some of the usage is unknown: the sum of the rest is not the cost.
    #[must_use]
    pub fn of_partial_usage(mut self) -> Self {
        let by_time = self.lines.iter().any(|line| line.factor == Factor::ServerSeconds);
        if self.state != CostState::ProviderReported
            && !by_time
            && let Some(known) = self.cost.take()
        {
            self.subtotal = Some(known);
            self.state = CostState::Partial;
        }
        self
    }
}
