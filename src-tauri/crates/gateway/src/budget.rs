//! What has been used of every budget, in memory: asked before a call leaves, told when it is
//! over. Never waits for the ledger; what that knows of earlier calls is brought from outside.
//!
//! A call is let in if what was spent, what is set aside for the calls that run and what is set
//! aside for itself fit the limit. One that alone is too large for what is left is let in if
//! nothing else runs and the limit is not reached, or nobody could ever use up a budget that is
//! smaller than what his client reserves. So a limit is overshot by one call at the most, as
//! long as calls keep to what was set aside for them.

mod minute;
mod purse;
mod stop;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use meter::budget::{Budget, Facets, Span};
use meter::price::{Foreseen, Outlook};
use meter::{Money, ReceiptId, Timestamp};
use tokio::sync::Notify;

use purse::{Held, Purse, Wanted, Wants};
pub use purse::{Period, Standing};
pub use stop::{Stop, Why};

/// The period of the user's calendar around an instant. [`Span::Total`] is never asked for.
pub type Calendar = Arc<dyn Fn(Span, Timestamp) -> Period + Send + Sync>;

/// Every budget and what has been used of it.
pub struct Budgets {
    state: Mutex<State>,
    calendar: Calendar,
    origin: Instant,
    /// Something came about that is worth a word, or that the ledger should be asked about.
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    purses: Vec<Purse>,
    last_id: u64,
    /// Calls that ended since the ledger was last asked, as long as its answer is awaited.
    since: Option<Vec<Ended>>,
    /// What was learned of models, by the names that clients have for them.
    models: Vec<Known>,
}

/// What was learned of a model.
#[derive(Clone, Debug)]
struct Known {
    asked: Box<str>,
    /// The name that served.
    served: Option<Box<str>>,
    /// What its dearest call has cost, for calls whose cost nothing bounds.
    dearest: Money,
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    id: ReceiptId,
    purse: u64,
    spent: Money,
}

/// What is set aside for a call about which nothing can be said but that it has a price.
const OPEN: Money = Money::from_attos(Money::ONE.attos() / 4);
/// The same where cheaper calls of its model were seen: the next may be longer.
const OPEN_KNOWN: Money = Money::from_attos(OPEN.attos() / 10);
/// Models that are remembered.
const MOST_MODELS: usize = 256;

/// A call that asks to be let in.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its receipt's id.
    pub id: ReceiptId,
    /// What scopes look at.
    pub facets: Facets<'a>,
}

impl Default for Budgets {
    /// None, in a calendar of one endless period.
    fn default() -> Self {
        Self::new(Arc::new(|_, _| Period::EVER))
    }
}

impl Budgets {
    /// No budgets, in this calendar.
    pub fn new(calendar: Calendar) -> Self {
        let origin = Instant::now();
        Self { state: Mutex::default(), calendar, origin, news: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No arithmetic in there panics; a poisoned purse still counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn second(&self) -> u64 {
        self.origin.elapsed().as_secs()
    }

    /// The model that served when this one was asked for before.
    pub(crate) fn served(&self, asked: &str) -> Option<Box<str>> {
        let state = self.state();
        state.models.iter().find(|known| *known.asked == *asked)?.served.clone()
    }

    /// Puts these budgets in force. What is the same as before keeps what it counted; what is
    /// new begins with nothing, until [`Self::recount`].
    pub fn put(&self, budgets: &[Budget]) {
        self.put_if(budgets, Purse::counts_like);
    }

    /// Puts the same budgets in force under new names of what they count; all keep what they
    /// counted.
    pub fn rename(&self, budgets: &[Budget]) {
        self.put_if(budgets, |purse, budget| purse.is_called(&budget.name));
    }

    fn put_if(&self, budgets: &[Budget], is_same: impl Fn(&Purse, &Budget) -> bool) {
        let mut state = self.state();
        let mut before = std::mem::take(&mut state.purses);
        for budget in budgets.iter().filter(|budget| budget.is_enabled) {
            let known = before.iter().position(|purse| is_same(purse, budget));
            let purse = match known {
                Some(at) => before.swap_remove(at).with(budget),
                None => {
                    state.last_id += 1;
                    Purse::new(state.last_id, budget)
                }
            };
            state.purses.push(purse);
        }
        drop(state);
        self.news.notify_one();
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.state().purses.is_empty()
    }

    /// Whether any budget could count a call of this scope, whatever its model.
    pub(crate) fn concern(&self, facets: &Facets<'_>) -> Option<u64> {
        let state = self.state();
        let mut may = state.purses.iter().filter(|purse| purse.may_count(facets));
        let first = may.next()?.assumed_output();
        Some(may.fold(first, |most, purse| most.max(purse.assumed_output())))
    }

    /// Lets a call in, or says which budget stands against it.
    ///
    /// # Errors
    /// The first budget that stops it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        call: Candidate<'_>,
        outlook: Outlook,
    ) -> Result<Hold, Box<Stop>> {
        let (at, second) = (call.id.minted_at(), self.second());
        let mut guard = self.state();
        let state = &mut *guard;
        let wants = Wants { tokens: outlook.tokens, cost: state.set_aside(&call, outlook.cost) };
        let mut is_news = false;
        let mut stopped = None;
        for purse in state.purses.iter_mut().filter(|purse| purse.counts(&call.facets)) {
            is_news |= purse.turn(at, &self.calendar);
            if let Err(stop) = purse.check(wants, at, second) {
                is_news |= purse.denied();
                stopped = Some(stop);
                break;
            }
        }
        // Nothing is taken of any before all have let it in.
        let counting = state.purses.iter_mut().filter(|purse| purse.counts(&call.facets));
        let held = match stopped {
            None => Ok(counting.map(|purse| purse.hold(wants, second)).collect()),
            Some(stop) => Err(stop),
        };
        drop(guard);
        if is_news {
            self.news.notify_one();
        }
        let held = held?;
        let model = call.facets.model.map(Box::from);
        Ok(Hold { budgets: Arc::clone(self), id: call.id, model, wants, held })
    }

    fn settle(
        &self,
        hold: &mut Hold,
        cost: Option<Money>,
        tokens: Option<u64>,
        served: Option<Box<str>>,
    ) {
        let second = self.second();
        let mut state = self.state();
        let mut is_news = false;
        for held in hold.held.drain(..) {
            let purse = state.purses.iter_mut().find(|purse| purse.id == held.purse);
            // A budget that is gone counts no more.
            let Some(purse) = purse else { continue };
            let spent = purse.settle(&held, cost, tokens, second);
            is_news |= purse.is_at_a_share();
            if let (Some(since), Some(spent)) = (&mut state.since, spent) {
                since.push(Ended { id: hold.id, purse: held.purse, spent });
            }
        }
        // What was refused cost nothing, and says nothing of the next one.
        if let (Some(model), Some(cost)) = (&hold.model, cost.filter(|cost| *cost > Money::ZERO)) {
            state.remember(model, served, cost);
        }
        drop(state);
        if is_news {
            self.news.notify_one();
        }
    }

    /// How every budget stands.
    pub fn standing(&self, now: Timestamp) -> Vec<Standing> {
        let second = self.second();
        let mut state = self.state();
        state
            .purses
            .iter_mut()
            .map(|purse| {
                purse.turn(now, &self.calendar);
                purse.standing(now, second)
            })
            .collect()
    }

    /// Lets a budget stop nothing until then.
    pub fn release(&self, name: &str, until: Option<Timestamp>) {
        let mut state = self.state();
        if let Some(purse) = state.purses.iter_mut().find(|purse| purse.is_called(name)) {
            purse.released_until = until;
        }
    }

    /// Waits until a budget reached a share of its limit that is worth a word, stopped its first
    /// call, or a new period began.
    pub async fn changed(&self) {
        self.news.notified().await;
    }

    /// Has everybody look again.
    pub fn stir(&self) {
        self.news.notify_one();
    }

    /// Counts money anew from what the ledger says. `ask` is called once with the budgets of
    /// money and their periods after all calls that ended before have reached the ledger, which
    /// `caught_up` waits for; it answers what each has spent in one state of the ledger, and
    /// which of the calls it is then asked about that state knows.
    ///
    /// # Errors
    /// Those of `caught_up` and `ask`; then everything stays as it was.
    pub fn recount<E>(
        &self,
        now: Timestamp,
        caught_up: impl FnOnce() -> Result<(), E>,
        ask: impl FnOnce(&[Account], &dyn Fn() -> Vec<ReceiptId>) -> Result<Counted, E>,
    ) -> Result<(), E> {
        let accounts: Vec<Account> = {
            let mut state = self.state();
            state.since = Some(Vec::new());
            state.purses.iter_mut().filter_map(|purse| purse.account(now, &self.calendar)).collect()
        };
        let ended = || self.state().since.iter().flatten().map(|ended| ended.id).collect();
        let counted = caught_up().and_then(|()| ask(&accounts, &ended));
        let mut state = self.state();
        let since = state.since.take().unwrap_or_default();
        let Counted { spent, known } = counted?;
        for (account, spent) in accounts.iter().zip(spent) {
            let purse = state.purses.iter_mut().find(|purse| purse.id == account.id);
            let Some(purse) = purse else { continue };
            let later = since
                .iter()
                .filter(|ended| ended.purse == account.id && !known.contains(&ended.id));
            let spent = later.fold(spent, |sum, ended| sum.saturating_add(ended.spent));
            purse.recounted(account.period, spent);
        }
        Ok(())
    }
}

impl State {
    /// What is set aside of a budget of money.
    fn set_aside(&self, call: &Candidate<'_>, foreseen: Foreseen) -> Wanted {
        match foreseen {
            Foreseen::Nothing => Wanted::Nothing,
            Foreseen::About(cost, meter::Currency::USD) => Wanted::About(cost),
            // Limits are dollars; amounts of two currencies are no sum.
            Foreseen::About(..) | Foreseen::Unpriced => Wanted::Unpriced,
            Foreseen::Open(count) => {
                let asked = call.facets.model;
                let seen = self.models.iter().find(|known| Some(&*known.asked) == asked);
                let one = seen.map_or(OPEN, |known| known.dearest.max(OPEN_KNOWN));
                let count = i128::from(count);
                Wanted::About(Money::from_attos(one.attos().saturating_mul(count)))
            }
            Foreseen::Unseen => Wanted::All,
        }
    }

    fn remember(&mut self, asked: &str, served: Option<Box<str>>, cost: Money) {
        match self.models.iter_mut().find(|known| *known.asked == *asked) {
            Some(known) => {
                known.dearest = cost.max(known.dearest);
                known.served = served.or(known.served.take());
            }
            None => {
                if self.models.len() == MOST_MODELS {
                    self.models.swap_remove(0);
                }
                self.models.push(Known { asked: asked.into(), served, dearest: cost });
            }
        }
    }
}

impl std::fmt::Debug for Budgets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budgets").field("state", &*self.state()).finish_non_exhaustive()
    }
}

/// A budget of money that the ledger is asked about.
#[derive(Clone, Debug)]
pub struct Account {
    id: u64,
    /// Which.
    pub budget: Arc<Budget>,
    /// Over which time.
    pub period: Period,
}

/// What the ledger says.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// What each account has spent, calls of unknown cost with what was set aside for them.
    pub spent: Vec<Money>,
    /// Those of the calls asked about that are in it.
    pub known: Vec<ReceiptId>,
}

/// What is set aside for a call that runs. Dropped without [`Hold::settle`], all of it counts
/// as spent.
#[derive(Debug)]
pub(crate) struct Hold {
    budgets: Arc<Budgets>,
    id: ReceiptId,
    model: Option<Box<str>>,
    wants: Wants,
    held: Vec<Held>,
}

impl Hold {
    /// The money that is set aside; what the receipt says while its cost is unknown.
    pub(crate) fn money(&self) -> Option<Money> {
        let counts = self.held.iter().any(|held| held.is_money);
        let unknown = self.wants.cost.if_nobody_knows();
        Some(unknown).filter(|cost| counts && *cost != Money::ZERO)
    }

    /// The call is over: it cost so much, as far as anybody knows, and used so many tokens.
    pub(crate) fn settle(
        mut self,
        cost: Option<Money>,
        tokens: Option<u64>,
        served: Option<Box<str>>,
    ) {
        let budgets = Arc::clone(&self.budgets);
        budgets.settle(&mut self, cost, tokens, served);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            let budgets = Arc::clone(&self.budgets);
            budgets.settle(self, None, None, None);
        }
    }
}

/// As one says how long it takes.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs().max(1);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
