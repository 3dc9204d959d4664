//! How budgets stand now: what the page, the tray and `tollgate budgets` show.

use meter::budget::{Budget, BudgetAction, Limit, Scope, Span};
use meter::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use super::written::BudgetRule;
use crate::alerts::escaped;

/// The answer to `budgets`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Budgets {
    /// Every budget, in the user's order.
    pub budgets: Vec<BudgetStanding>,
    /// How many deny calls now.
    pub stopping: u64,
}

/// A budget and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct BudgetStanding {
    /// The budget, written out.
    pub budget: BudgetRule,
    /// The same as a sentence.
    pub says: String,
    /// How it stands.
    pub state: BudgetState,
    /// How much of the limit is used, in percent, rounded down.
    pub share: u64,
    /// Where it counts money.
    pub money: Option<MoneyUsed>,
    /// Requests or tokens of the last minute, or calls that run; `null` where it counts money.
    pub used: Option<u64>,
    /// Calls that run.
    pub running: u64,
    /// Calls that it denied in this period; since the start, where it has none.
    pub denied: u64,
    /// It stops nothing until then; `null`: it is not released.
    pub released_until: Option<Timestamp>,
    /// The page with the requests that count.
    pub page: String,
}

/// What was used of a budget of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct MoneyUsed {
    /// Its limit, in US dollars.
    pub limit: Money,
    /// What was spent.
    pub spent: Money,
    /// What is set aside for calls that run.
    pub set_aside: Money,
    /// What is left; nothing below zero.
    pub left: Money,
    /// The first instant of its period.
    pub from: Timestamp,
    /// The first instant after it; `null`: it never ends.
    pub to: Option<Timestamp>,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum BudgetState {
    /// Within its limit.
    Fine,
    /// Over a share that is worth a word.
    Near,
    /// Its limit is reached, and it denies calls.
    Stopping,
    /// Its limit is reached, and calls go on.
    Over,
    /// It denies nothing for a while, whatever was spent.
    Released,
    /// It counts nothing.
    Off,
}

/// What was used, by whoever counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Money spent.
    pub spent: Money,
    /// Money set aside.
    pub held: Money,
    /// Requests or tokens of the last minute, or calls that run.
    pub used: u64,
    /// Calls that run.
    pub running: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// It stops nothing until then.
    pub released_until: Option<Timestamp>,
    /// Share of the limit in percent.
    pub share: u64,
    /// The period it is about.
    pub from: Timestamp,
    /// Its end.
    pub to: Option<Timestamp>,
}

impl Budgets {
    /// How these stand.
    pub fn of<'a>(all: impl Iterator<Item = (&'a Budget, Used)>) -> Self {
        let budgets: Vec<_> = all.map(|(budget, used)| BudgetStanding::of(budget, &used)).collect();
        let stopping = budgets.iter().filter(|one| one.state == BudgetState::Stopping).count();
        Self { budgets, stopping: stopping as u64 }
    }

    /// The standing of one.
    pub fn budget(&self, name: &str) -> Option<&BudgetStanding> {
        self.budgets.iter().find(|standing| standing.budget.name == name)
    }
}

impl BudgetStanding {
    fn of(budget: &Budget, used: &Used) -> Self {
        let money = match budget.limit {
            Limit::Spend { most, .. } => Some(MoneyUsed {
                limit: most,
                spent: used.spent,
                set_aside: used.held,
                left: most.less(used.spent),
                from: used.from,
                to: used.to,
            }),
            Limit::Requests { .. } | Limit::Tokens { .. } | Limit::Concurrent { .. } => None,
        };
        let from = money.map_or(used.from, |money| money.from);
        Self {
            says: sentence(budget),
            state: state(budget, used),
            share: used.share,
            used: money.is_none().then_some(used.used),
            money,
            running: used.running,
            denied: used.denied,
            released_until: used.released_until,
            page: page(&budget.scope, from),
            budget: budget.into(),
        }
    }
}

fn state(budget: &Budget, used: &Used) -> BudgetState {
    let is_money = matches!(budget.limit, Limit::Spend { .. });
    let first_word = budget.warn_at.first().map_or(100, |share| u64::from(*share));
    match (budget.is_enabled, used.released_until, used.share, budget.action) {
        (false, _, _, _) => BudgetState::Off,
        (true, Some(_), _, _) => BudgetState::Released,
        (true, None, 100.., BudgetAction::Soft) => BudgetState::Over,
        (true, None, 100.., _) => BudgetState::Stopping,
        (true, None, share, _) if is_money && share >= first_word => BudgetState::Near,
        (true, None, _, _) => BudgetState::Fine,
    }
}

/// The budget as a sentence: `$5.00 a day, pass ci, then stop`.
fn sentence(budget: &Budget) -> String {
    let scope = &budget.scope;
    let parts = [
        ("pass", &scope.passes),
        ("key", &scope.keys),
        ("workspace", &scope.workspaces),
        ("provider", &scope.providers),
        ("model", &scope.models),
    ];
    let mut said = budget.limit.to_string();
    for (name, values) in parts.into_iter().filter(|(_, values)| !values.is_empty()) {
        said.push_str(&format!(", {name} {}", values.join(" or ")));
    }
    said.push_str(match budget.action {
        BudgetAction::Soft => "; then only say so",
        BudgetAction::Hard => "; then deny calls",
        BudgetAction::Ask => "; then deny calls until released",
    });
    said
}

/// The page with the requests that count since then.
fn page(scope: &Scope, from: Timestamp) -> String {
    let mut query = vec![if from.millis() == 0 {
        "range=all".to_owned()
    } else {
        format!("from={}", escaped(&from.to_string()))
    }];
    let parts = [
        ("pass", &scope.passes),
        ("key", &scope.keys),
        ("workspace", &scope.workspaces),
        ("provider", &scope.providers),
    ];
    for (name, values) in parts {
        query.extend(values.iter().map(|value| format!("{name}={}", escaped(value))));
    }
    // Filters know no `*`.
    let models = scope.models.iter().filter(|model| !model.ends_with('*'));
    query.extend(models.map(|model| format!("model={}", escaped(model))));
    format!("/requests?{}", query.join("&"))
}

/// When a release ends that says nothing else: with the period.
pub(crate) fn end_of_release(standing: &BudgetStanding, now: Timestamp) -> Timestamp {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let per = standing.budget.per;
    let end = standing.money.and_then(|money| money.to).filter(|_| per != Some(Span::Total));
    end.unwrap_or_else(|| Timestamp::from_millis(now.millis() + DAY_MS))
}
