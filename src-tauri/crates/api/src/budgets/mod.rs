//! Budgets as they are written, shown and changed. What stops a call is the gateway's; how much
//! was spent before it started, [`spent`] asks the ledger.

mod count;
pub(crate) mod resource;
mod standing;
mod written;

#[cfg(test)]
mod tests;

pub use self::count::{period, spent};
pub use self::resource::{BudgetChange, BudgetDesk, ReleaseOrder};
pub use self::standing::{BudgetStanding, BudgetState, Budgets, Used};
pub use self::written::BudgetRule;
