//! The tries of a call on a route: each is written down with what it came to, and the receipt's
//! money is the sum of all.

use meter::format::Reading;
use meter::receipt::{Attempt, AttemptEnd, CostState, Line, Receipt, UsageState};
use meter::{Currency, Money};

use super::Tally;
use crate::budget::Hold;
use crate::clock::millis;
use crate::valuation;

/// What a try that failed came to.
#[derive(Clone, Debug)]
pub(crate) enum Came {
    /// Nothing is to be paid.
    ToNothing,
    /// Nobody knows.
    Unknown,
    /// To what its answer says.
    To(Box<Reading>),
}

impl Came {
    /// By what the answer says, if it says anything.
    pub(crate) fn of(reading: Reading) -> Self {
        match reading.usage_state {
            UsageState::None => Self::ToNothing,
            UsageState::Reported | UsageState::Partial => Self::To(Box::new(reading)),
            UsageState::Estimated | UsageState::Missing => Self::Unknown,
        }
    }
}

/// The tries so far, and why there is another.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Why the present target was chosen.
    chosen: Box<str>,
    /// No try is under way.
    is_between: bool,
    /// What the tries before it used and cost, as far as that is known.
    lines: Vec<Line>,
    known: Money,
    /// Some of them may have cost more than anybody knows; so much was set aside for them.
    is_open: bool,
    reserved: Money,
}

impl Tally {
    /// The next try goes to where this receipt's head says.
    pub(crate) fn aim(&mut self, to: &Receipt, host: &str, chosen: Box<str>) {
        let receipt = &mut self.receipt;
        receipt.provider.clone_from(&to.provider);
        receipt.upstream.clone_from(&to.upstream);
        receipt.key.clone_from(&to.key);
        (receipt.format, receipt.kind, receipt.billing) = (to.format, to.kind, to.billing);
        self.call.host = host.into();
        self.tries.get_or_insert_default().chosen = chosen;
    }

    /// Says what a try that failed came to, and gives back what budgets have set aside for it.
    pub(crate) fn weigh(&mut self, ended: AttemptEnd, status: Option<u16>, came: Came) -> Failed {
        let weighed = self.weighed(came);
        let set_aside = self.hold.as_ref().and_then(Hold::money).unwrap_or_default();
        if let Some(hold) = self.hold.take() {
            hold.settle(weighed.cost, weighed.tokens, None);
        }
        let elapsed = millis(self.call.began.elapsed());
        let attempt = Attempt {
            provider: self.receipt.provider.clone(),
            model: self.receipt.model_requested.clone(),
            http_status: status,
            started_ms: self.tried_ms,
            duration_ms: elapsed.saturating_sub(self.tried_ms),
            ended,
            cost: weighed.cost,
            chosen: self.tries.as_ref().map(|tries| tries.chosen.clone()),
        };
        Failed { attempt, set_aside, weighed }
    }

    /// Writes down a try that failed. Another follows.
    pub(crate) fn note_failed(&mut self, failed: Failed) {
        let Failed { attempt, set_aside, weighed } = failed;
        let tries = self.tries.get_or_insert_default();
        tries.is_between = true;
        tries.known = tries.known.saturating_add(weighed.known);
        tries.lines.extend(weighed.lines);
        if attempt.cost.is_none() {
            tries.is_open = true;
            tries.reserved = tries.reserved.saturating_add(set_aside);
        }
        self.receipt.attempts.push(attempt);
    }

    /// A try is under way.
    pub(crate) fn trying(&mut self) {
        // Until here it says how the answer at hand was asked for.
        self.receipt.assisted = false;
        if let Some(tries) = &mut self.tries {
            tries.is_between = false;
        }
    }

    /// Whether nobody charges for the present try, whatever it used.
    fn is_free(&self) -> bool {
        valuation::is_free(&self.receipt, &self.call.snapshot.book, &self.call.host)
    }

    fn weighed(&self, came: Came) -> Weighed {
        let reading = match came {
            Came::ToNothing => return Weighed::nothing(),
            Came::Unknown if self.is_free() => return Weighed::nothing(),
            Came::Unknown => return Weighed::default(),
            Came::To(reading) => *reading,
        };
        let mut scratch = self.receipt.clone();
        scratch.model = reading.model;
        scratch.service_tier = reading.service_tier;
        scratch.usage_state = reading.usage_state;
        let book = &*self.call.snapshot.book;
        valuation::value(
            &mut scratch,
            book,
            &self.call.host,
            &reading.lines,
            reading.reported_cost,
        );
        let model = scratch.model.take().or(scratch.model_requested.take());
        let of_its_own = |line: Line| Line { model: line.model.or_else(|| model.clone()), ..line };
        let tokens = scratch.input_tokens().saturating_add(scratch.output_tokens());
        Weighed {
            // Two currencies are no sum.
            cost: scratch.cost.filter(|_| scratch.currency == Currency::USD),
            known: scratch.cost.or(scratch.subtotal).unwrap_or_default(),
            tokens: Some(tokens),
            lines: scratch.lines.into_iter().map(of_its_own).collect(),
        }
    }
}

/// A try that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    attempt: Attempt,
    /// What budgets had set aside for it.
    set_aside: Money,
    weighed: Weighed,
}

/// What a try came to.
#[derive(Debug, Default)]
struct Weighed {
    /// Absent: unknown.
    cost: Option<Money>,
    /// The part that is known.
    known: Money,
    tokens: Option<u64>,
    lines: Vec<Line>,
}

impl Weighed {
    fn nothing() -> Self {
        Self { cost: Some(Money::ZERO), ..Self::default() }
    }
}

impl Tries {
    /// Whether the call waits for its next try.
    pub(super) fn is_between(&self) -> bool {
        self.is_between
    }

    /// Completes the receipt of the last try with those before it.
    pub(super) fn add_to(self, receipt: &mut Receipt) {
        if let Some(last) = receipt.attempts.last_mut().filter(|_| !self.is_between) {
            last.cost = receipt.cost;
            last.chosen = Some(self.chosen);
        }
        let own = receipt.cost.or(receipt.subtotal);
        let known = self.known.saturating_add(own.unwrap_or_default());
        if receipt.cost.is_some() && !self.is_open {
            receipt.cost = Some(known);
            if known != Money::ZERO && receipt.cost_state == CostState::Free {
                receipt.cost_state = CostState::Priced;
            }
        } else if self.is_open || self.known != Money::ZERO {
            let aside = receipt.reserved.unwrap_or_default();
            let kept = self.reserved.saturating_add(known).saturating_add(aside);
            receipt.reserved =
                (self.reserved != Money::ZERO || aside != Money::ZERO).then_some(kept);
            receipt.cost = None;
            receipt.subtotal = (known != Money::ZERO).then_some(known);
            let has_lines = !receipt.lines.is_empty() || !self.lines.is_empty();
            (receipt.usage_state, receipt.cost_state) = match has_lines {
                true => (UsageState::Partial, CostState::Partial),
                false => (UsageState::Missing, CostState::UsageMissing),
            };
        }
        if self.is_open {
            receipt.note.get_or_insert_with(|| OPEN.into());
        }
        receipt.lines.extend(self.lines);
    }
}

/// On receipts of calls some of whose tries ended without a word.
const OPEN: &str = "a try that failed did not say what it used, and its provider may bill it";
