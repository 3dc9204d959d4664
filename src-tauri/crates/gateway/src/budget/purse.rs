//! One budget with what has been used of it.

use std::sync::Arc;
use std::time::Duration;

use meter::budget::{Budget, BudgetAction, Facets, Limit, Span, Unpriced};
use meter::{Money, Timestamp};

use super::minute::Minute;
use super::stop::{Stop, Why};
use super::{Account, Calendar};

/// A period of the user's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it; absent: it never ends.
    pub to: Option<Timestamp>,
}

impl Period {
    /// All of time.
    pub const EVER: Self = Self { from: Timestamp::from_millis(0), to: None };

    /// Whether an instant still belongs to it. A call that began a little before does: it was
    /// read just before another that turned the page. What is a day before is a clock set right.
    fn has(&self, at: Timestamp) -> bool {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        self.from.millis() <= at.millis() + DAY_MS && self.to.is_none_or(|to| at < to)
    }
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub budget: Arc<Budget>,
    /// The period it is about, where it counts money.
    pub period: Option<Period>,
    /// What was spent, where it counts money.
    pub spent: Money,
    /// What is set aside for calls that run.
    pub held: Money,
    /// Requests or tokens of the last minute, or calls that run, where it counts those.
    pub used: u64,
    /// Calls that run.
    pub running: u64,
    /// Calls that it stopped in this period, or since the start where it has none.
    pub denied: u64,
    /// It stops nothing until then.
    pub released_until: Option<Timestamp>,
    /// How much of the limit is used, in percent, rounded down.
    pub share: u64,
}

impl Standing {
    /// Whether it is in a state in which it denies.
    pub fn is_stopping(&self) -> bool {
        self.share >= 100
            && self.budget.action != BudgetAction::Soft
            && self.released_until.is_none()
            && matches!(self.budget.limit, Limit::Spend { .. })
    }
}

/// What a call would take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    pub(super) tokens: u64,
    pub(super) cost: Wanted,
}

/// What a call would take of a budget of money.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// What costs nothing cannot be too much.
    Nothing,
    /// Hardly more than this.
    About(Money),
    /// Nobody can say before it is over: it may run alone.
    All,
    /// Nobody will ever know.
    Unpriced,
}

impl Wanted {
    /// What counts as spent if nobody knows the cost in the end.
    pub(super) fn if_nobody_knows(self) -> Money {
        match self {
            Self::About(cost) => cost,
            Self::All => super::OPEN,
            Self::Nothing | Self::Unpriced => Money::ZERO,
        }
    }
}

/// What a call has taken of one budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) purse: u64,
    /// Whether the budget counts money.
    pub(super) is_money: bool,
    money: Money,
    /// What it counts as if nobody knows its cost in the end.
    if_nobody_knows: Money,
    tokens: u64,
    second: u64,
    /// The period it counts in.
    from: Timestamp,
}

/// One budget with what has been used of it.
#[derive(Debug)]
pub(super) struct Purse {
    pub(super) id: u64,
    budget: Arc<Budget>,
    period: Period,
    spent: Money,
    held: Money,
    running: u64,
    minute: Minute,
    denied: u64,
    pub(super) released_until: Option<Timestamp>,
    /// The highest share that was worth a word so far, in this period.
    told: u8,
}

impl Purse {
    pub(super) fn new(id: u64, budget: &Budget) -> Self {
        // Empty: the first look at it turns to the present one.
        let never = Period { from: Timestamp::from_millis(0), to: Some(Timestamp::from_millis(0)) };
        let period = match budget.limit {
            Limit::Spend { per: Span::Total, .. } => Period::EVER,
            _ => never,
        };
        Self {
            id,
            budget: Arc::new(budget.clone()),
            period,
            spent: Money::ZERO,
            held: Money::ZERO,
            running: 0,
            minute: Minute::default(),
            denied: 0,
            released_until: None,
            told: 0,
        }
    }

    /// Whether what was counted is what this budget would have counted.
    pub(super) fn counts_like(&self, budget: &Budget) -> bool {
        let is_alike = match (self.budget.limit, budget.limit) {
            (Limit::Spend { per: mine, .. }, Limit::Spend { per, .. }) => mine == per,
            (mine, its) => std::mem::discriminant(&mine) == std::mem::discriminant(&its),
        };
        is_alike && self.budget.name == budget.name && self.budget.scope == budget.scope
    }

    /// The same with another limit or action.
    pub(super) fn with(mut self, budget: &Budget) -> Self {
        if *self.budget != *budget {
            self.told = 0;
            self.budget = Arc::new(budget.clone());
        }
        self
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        *self.budget.name == *name
    }

    pub(super) fn counts(&self, facets: &Facets<'_>) -> bool {
        self.budget.scope.matches(facets)
    }

    /// Whether it may count such a call, once its model is known.
    pub(super) fn may_count(&self, facets: &Facets<'_>) -> bool {
        self.budget.scope.matches_but_for_model(facets)
    }

    pub(super) fn assumed_output(&self) -> u64 {
        self.budget.assumed_output
    }

    /// Turns to the period around this instant; says whether that is a new one.
    pub(super) fn turn(&mut self, at: Timestamp, calendar: &Calendar) -> bool {
        let Limit::Spend { per, .. } = self.budget.limit else { return false };
        if self.period.has(at) {
            return false;
        }
        self.period = calendar(per, at);
        (self.spent, self.held, self.denied, self.told) = (Money::ZERO, Money::ZERO, 0, 0);
        self.released_until = self.released_until.filter(|until| at < *until);
        true
    }

    /// Whether such a call may come in.
    pub(super) fn check(
        &mut self,
        wants: Wants,
        at: Timestamp,
        second: u64,
    ) -> Result<(), Box<Stop>> {
        if self.budget.action == BudgetAction::Soft || self.is_released(at) {
            return Ok(());
        }
        match self.budget.limit {
            Limit::Spend { most, .. } => self.check_money(wants.cost, most, at),
            Limit::Requests { most } => self.check_minute(1, most, second),
            Limit::Tokens { most } => self.check_minute(wants.tokens, most, second),
            Limit::Concurrent { most } if self.running >= most => {
                Err(self.stop(Why::Busy, Some(Duration::from_secs(1))))
            }
            Limit::Concurrent { .. } => Ok(()),
        }
    }

    fn is_released(&self, at: Timestamp) -> bool {
        self.released_until.is_some_and(|until| at < until)
    }

    fn check_money(&self, cost: Wanted, most: Money, at: Timestamp) -> Result<(), Box<Stop>> {
        let wanted = match (cost, self.budget.unpriced) {
            (Wanted::Nothing, _) => return Ok(()),
            (Wanted::About(cost), _) => cost,
            (Wanted::All, _) => most,
            (Wanted::Unpriced, Unpriced::Allow) => Money::ZERO,
            (Wanted::Unpriced, Unpriced::Deny) => return Err(self.stop(Why::Unpriced, None)),
        };
        if self.spent >= most {
            let left = self.period.to.map(|to| (to.millis() - at.millis()).max(0).unsigned_abs());
            let wait = left.map(|ms| Duration::from_millis(ms).max(Duration::from_secs(1)));
            return Err(self.stop(Why::Reached { spent: self.spent }, wait));
        }
        let fits = self.spent.saturating_add(self.held).saturating_add(wanted) <= most;
        if fits || self.held == Money::ZERO {
            return Ok(());
        }
        let why =
            Why::SetAside { spent: self.spent, held: self.held, running: self.running, wanted };
        Err(self.stop(why, Some(Duration::from_secs(1))))
    }

    fn check_minute(&mut self, wanted: u64, most: u64, second: u64) -> Result<(), Box<Stop>> {
        let used = self.minute.sum(second);
        // One that is too large for any minute may have a minute of its own.
        if used.saturating_add(wanted) <= most || (used == 0 && most > 0) {
            return Ok(());
        }
        let wait = self.minute.until_at_most(second, most.saturating_sub(wanted));
        Err(self.stop(Why::Busy, Some(Duration::from_secs(wait))))
    }

    fn stop(&self, why: Why, retry_after: Option<Duration>) -> Box<Stop> {
        Box::new(Stop { budget: Arc::clone(&self.budget), why, retry_after })
    }

    /// One more call was stopped; says whether it was the first.
    pub(super) fn denied(&mut self) -> bool {
        self.denied += 1;
        self.denied == 1
    }

    /// Takes what a call wants.
    pub(super) fn hold(&mut self, wants: Wants, second: u64) -> Held {
        self.running += 1;
        let mut held = Held {
            purse: self.id,
            is_money: false,
            money: Money::ZERO,
            if_nobody_knows: wants.cost.if_nobody_knows(),
            tokens: 0,
            second,
            from: self.period.from,
        };
        match self.budget.limit {
            Limit::Spend { most, .. } => {
                held.is_money = true;
                held.money = match wants.cost {
                    Wanted::About(cost) => cost,
                    Wanted::All => most,
                    Wanted::Nothing | Wanted::Unpriced => Money::ZERO,
                };
                self.held = self.held.saturating_add(held.money);
            }
            Limit::Requests { .. } => self.minute.add(second, 1),
            Limit::Tokens { .. } => {
                held.tokens = wants.tokens;
                self.minute.add(second, wants.tokens);
            }
            Limit::Concurrent { .. } => {}
        }
        held
    }

    /// A call is over; says what it has spent of this period, where it counts money.
    pub(super) fn settle(
        &mut self,
        held: &Held,
        cost: Option<Money>,
        tokens: Option<u64>,
        second: u64,
    ) -> Option<Money> {
        self.running = self.running.saturating_sub(1);
        match self.budget.limit {
            Limit::Tokens { .. } => {
                let used = tokens.unwrap_or(held.tokens);
                self.minute.correct(second, held.second, held.tokens, used);
                None
            }
            Limit::Spend { .. } if held.from == self.period.from => {
                // What nobody knows is what was set aside for it.
                let spent = cost.unwrap_or(held.if_nobody_knows);
                self.held = self.held.less(held.money);
                self.spent = self.spent.saturating_add(spent);
                Some(spent)
            }
            // It belongs to a period that is over.
            Limit::Spend { .. } | Limit::Requests { .. } | Limit::Concurrent { .. } => None,
        }
    }

    /// Whether a share of the limit that is worth a word was reached by now, and is told the
    /// first time.
    pub(super) fn is_at_a_share(&mut self) -> bool {
        let Limit::Spend { most, .. } = self.budget.limit else { return false };
        let share = share(self.spent, most);
        let reached = self.budget.warn_at.iter().filter(|at| u64::from(**at) <= share).max();
        let is_news = reached.is_some_and(|reached| *reached > self.told);
        self.told = self.told.max(reached.copied().unwrap_or(0));
        is_news
    }

    /// What the ledger is to be asked, where it counts money.
    pub(super) fn account(&mut self, now: Timestamp, calendar: &Calendar) -> Option<Account> {
        self.turn(now, calendar);
        matches!(self.budget.limit, Limit::Spend { .. }).then(|| Account {
            id: self.id,
            budget: Arc::clone(&self.budget),
            period: self.period,
        })
    }

    /// What was spent in that period, by the ledger.
    pub(super) fn recounted(&mut self, period: Period, spent: Money) {
        if period != self.period {
            return;
        }
        // The ledger goes by the model that served; what was counted by the one that was asked
        // for counts until the next start.
        let by_model = !self.budget.scope.models.is_empty();
        self.spent = if by_model { self.spent.max(spent) } else { spent };
    }

    pub(super) fn standing(&mut self, now: Timestamp, second: u64) -> Standing {
        let (used, share, period) = match self.budget.limit {
            Limit::Spend { most, .. } => (0, share(self.spent, most), Some(self.period)),
            Limit::Requests { most } | Limit::Tokens { most } => {
                let used = self.minute.sum(second);
                (used, percent(used, most), None)
            }
            Limit::Concurrent { most } => (self.running, percent(self.running, most), None),
        };
        Standing {
            budget: Arc::clone(&self.budget),
            period,
            spent: self.spent,
            held: self.held,
            used,
            running: self.running,
            denied: self.denied,
            released_until: self.released_until.filter(|until| now < *until),
            share,
        }
    }
}

fn percent(used: u64, most: u64) -> u64 {
    u64::try_from(u128::from(used) * 100 / u128::from(most.max(1))).unwrap_or(u64::MAX)
}

/// How much of a limit is used, in percent, rounded down.
fn share(spent: Money, most: Money) -> u64 {
    if most <= Money::ZERO {
        return 100;
    }
    let percent = spent.attos().max(0).saturating_mul(100) / most.attos();
    u64::try_from(percent).unwrap_or(u64::MAX)
}
