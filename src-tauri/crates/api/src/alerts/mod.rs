//! When to speak up: rules over usage figures, what they say, and how they are told and
//! changed. Everything here is pure but the routes: who asks the ledger, keeps the history
//! and reaches the desktop is not known here.
//!
//! A rule as it is written ([`AlertRule`]) becomes a checked [`Rule`]; a rule names the
//! questions whose figures it needs and judges them to a [`Verdict`]; [`Memory`] makes news
//! of verdicts, at most once an episode.

mod judge;
mod memory;
mod quiet;
pub(crate) mod resource;
mod rule;
mod service_level;
mod standing;
pub(crate) mod written;

#[cfg(test)]
mod tests;

pub use self::judge::{Crossing, Measure, MeasureUnit, Reading, Verdict};
pub use self::memory::{AlertEvent, Hush, Memory, Occurrence, Turn};
pub use self::quiet::{QuietHours, TimeOfDay};
pub use self::resource::{AlertChange, AlertDesk, AlertHistory, PauseOrder, SnoozeOrder, until};
pub use self::rule::{AlertPlan, Per, Rule, RuleQuestions, Watch, Window, escaped};
pub use self::service_level::{Compliance, Kept, KeptRule, Percentile, Target, compliance};
pub use self::standing::{AlertStanding, Alerts, RuleState};
pub use self::written::AlertRule;
