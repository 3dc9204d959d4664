//! Why a budget stops a call, and what its client is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use meter::Money;
use meter::budget::{Budget, BudgetAction, Limit, Span};

use super::in_words;

/// A budget that stands against a call.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Which.
    pub budget: Arc<Budget>,
    /// Why.
    pub why: Why,
    /// When it is worth trying again; absent: not by waiting.
    pub retry_after: Option<Duration>,
}

/// Why a budget stops a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// All of it is used.
    Reached {
        /// How much of it.
        spent: Money,
    },
    /// What is left is set aside for calls that run.
    SetAside {
        /// What was used.
        spent: Money,
        /// What is set aside.
        held: Money,
        /// For how many calls.
        running: u64,
        /// What this call would need.
        wanted: Money,
    },
    /// Nobody knows what such a call costs.
    Unpriced,
    /// Enough for this minute, or for now.
    Busy,
}

impl Stop {
    /// Whether calls are to come more slowly, and not to stop.
    pub fn is_about_pace(&self) -> bool {
        matches!(self.why, Why::SetAside { .. } | Why::Busy)
    }

    /// The word for machines.
    pub fn code(&self) -> &'static str {
        match self.why {
            Why::Reached { .. } => "budget_reached",
            Why::SetAside { .. } => "budget_set_aside",
            Why::Unpriced => "budget_unpriced",
            Why::Busy => "rate_limited",
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Budget { name, limit, action, .. } = &*self.budget;
        write!(f, "the budget `{name}` allows {limit}")?;
        match self.why {
            Why::Reached { spent } => {
                write!(f, ", and {} are spent", spent.as_dollars())?;
                match (limit, self.retry_after) {
                    (Limit::Spend { per, .. }, Some(wait)) if *per != Span::Total => {
                        write!(f, "; the next {} begins in {}", per.as_str(), in_words(wait))?;
                    }
                    _ => {}
                }
                match action {
                    BudgetAction::Ask => write!(
                        f,
                        ". The user can release it with `tollgate budgets release '{name}'`, on the Budgets page or in the tray"
                    ),
                    BudgetAction::Hard | BudgetAction::Soft => write!(
                        f,
                        ". The user can raise it with `tollgate budgets edit '{name}' --spend AMOUNT` or on the Budgets page"
                    ),
                }
            }
            Why::SetAside { spent, held, running, wanted } => write!(
                f,
                ": {} are spent and {} set aside for {running} {} that run, which leaves too little for this call (up to {}); try again when one of them is over",
                spent.as_dollars(),
                held.as_dollars(),
                if running == 1 { "call" } else { "calls" },
                wanted.as_dollars(),
            ),
            Why::Unpriced => write!(
                f,
                ", and nobody knows what this model costs. The user can tell its price with `tollgate prices override` or on the Prices page, or let such calls pass with `tollgate budgets edit '{name}' --unpriced allow`"
            ),
            Why::Busy => write!(
                f,
                ", which is used up; try again in {}",
                in_words(self.retry_after.unwrap_or_default())
            ),
        }
    }
}
