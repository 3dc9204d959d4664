//! What the tray says: today, the week, the month, the last call, the last error, the model
//! that cost most. Asked from the same questions as `tollgate usage`; nothing is added up.

use std::sync::Arc;

use api::alerts::{AlertStanding, Alerts, RuleState};
use api::answer::Figures;
use api::budgets::{BudgetStanding, BudgetState};
use api::limits::{KnownLimit, KnownLimits, LimitState};
use api::period::Here;
use api::problem::Problem;
use api::query::{Query, Question};
use api::question;
use api::standing::Standing;
use meter::exchange::ExchangeRates;
use meter::limits::RETRY;
use meter::{Currency, Money, Receipt};
use store::Questions;

use super::choice::{Choice, Span};
use super::gate::Gate;
use crate::cli::figure;
use crate::cli::limits::span;

/// The longest name that a menu line shows.
const NAME: usize = 32;

/// The tray's lines, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    /// What stands beside the icon: the spend of the days that were chosen.
    pub(super) title: String,
    /// `Today $3.42 · 214 requests`.
    pub(super) today: String,
    /// `7 days $21.07`.
    pub(super) week: String,
    /// `November $84.10`.
    pub(super) month: String,
    /// The dearest model of today.
    pub(super) top: String,
    /// The last call.
    pub(super) last: String,
    /// The last call of today that failed.
    pub(super) error: String,
    /// The limit that is nearest to its end, if one is near.
    pub(super) limits: String,
    /// What alerts go on.
    pub(super) alerts: String,
    /// Whether any does, and may disturb.
    pub(super) is_alert: bool,
    /// What costs can be converted to.
    pub(super) currencies: Vec<Currency>,
    /// Whether none may disturb.
    pub(super) is_paused: bool,
    /// The fullest budget.
    pub(super) budgets: String,
    /// A budget that denies calls, and could be released.
    pub(super) stopping: Option<String>,
}

/// Reads the ledger.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn read(gate: &Arc<Gate>, choice: Choice) -> Result<Glance, Problem> {
    let here = gate.here();
    let (alerts, limits) = (gate.alerts().await, gate.limits().await);
    let budgets = gate.budgets().await;
    let asking = Arc::clone(gate);
    let asked = move |ledger: &Questions| {
        let rates = asking.rates();
        let glance = glance(ledger, here, alerts.as_ref(), choice, &rates)?;
        let budgets = budgets.unwrap_or_default().budgets;
        Ok(Glance {
            stopping: stopping(&budgets).map(str::to_owned),
            limits: nearest(&limits, here),
            budgets: fullest(&budgets),
            ..glance
        })
    };
    gate.readers().ask(asked).await
}

/// A budget that denies calls, and could be released.
pub(super) fn stopping(budgets: &[BudgetStanding]) -> Option<&str> {
    budgets.iter().find(|one| is_stopping(one)).map(|one| &*one.budget.name)
}

fn is_stopping(budget: &BudgetStanding) -> bool {
    budget.state == BudgetState::Stopping && budget.money.is_some()
}

/// The budget of which least is left, those that deny calls first.
fn fullest(budgets: &[BudgetStanding]) -> String {
    let counting = budgets.iter().filter(|one| one.state != BudgetState::Off);
    let Some(one) = counting.max_by_key(|one| (is_stopping(one), one.share)) else {
        return "No budget".to_owned();
    };
    let name = short(&one.budget.name);
    match one.money {
        _ if is_stopping(one) => format!("Budget {name} denies calls"),
        Some(money) => format!("Budget {name} {} %, {} left", one.share, money.left.as_dollars()),
        None => format!("Budget {name} {} %", one.share),
    }
}

fn glance(
    ledger: &Questions,
    here: Here,
    alerts: Option<&Alerts>,
    choice: Choice,
    rates: &Arc<ExchangeRates>,
) -> Result<Glance, Problem> {
    let usage = |parameters: &[(&str, &str)]| {
        let mut query = Query::parse(Question::Usage, parameters, here)?;
        (query.currency, query.rates) = (choice.currency, Arc::clone(rates));
        question::usage(ledger, &query, here.now)
    };
    let latest = |parameters: &[(&str, &str)]| {
        let query = Query::parse(Question::Requests, parameters, here)?;
        question::requests(ledger, &query).map(|page| page.requests.into_iter().next())
    };
    let now = here.now.utc().with_timezone(&here.zone);
    let today = usage(&[("from", "today"), ("by", "model")])?;
    let week = usage(&[("last", "7d")])?;
    let month = usage(&[("from", &now.format("%Y-%m").to_string())])?;
    let last = latest(&[("limit", "1")])?;
    let error = latest(&[("limit", "1"), ("from", "today"), ("status", "error")])?;
    let [spent_today, spent_week, spent_month] =
        [&today, &week, &month].map(|usage| figure::wanted_total(&usage.totals));
    let top =
        today.rows.first().filter(|row| row.figures.cost.is_some_and(|cost| cost != Money::ZERO));
    Ok(Glance {
        is_alert: alerts.is_some_and(|alerts| alerts.active != 0),
        is_paused: alerts.is_some_and(|alerts| alerts.pause.is_some()),
        alerts: alerts.map_or_else(|| "No alert".to_owned(), active),
        today: format!("Today {spent_today} · {}", requests(&today.totals)),
        week: format!("7 days {spent_week}"),
        month: format!("{} {spent_month}", now.format("%B")),
        title: match choice.span {
            Span::Today => spent_today,
            Span::Week => spent_week,
            Span::Month => spent_month,
        },
        currencies: rates.currencies(),
        limits: String::new(),
        budgets: String::new(),
        stopping: None,
        top: top.map_or_else(
            || "Nothing spent today".to_owned(),
            |row| {
                let name = row.name.as_deref().unwrap_or("no model");
                format!("Most: {} {}", short(name), figure::wanted_total(&row.figures))
            },
        ),
        last: last
            .as_ref()
            .map_or_else(|| "No call yet".to_owned(), |receipt| last_call(receipt, here)),
        error: error
            .as_ref()
            .map_or_else(|| "No error today".to_owned(), |receipt| last_error(receipt, here)),
    })
}

/// The limit that is nearest to its end; they come in that order.
fn nearest(known: &KnownLimits, here: Here) -> String {
    let is_near = |one: &&KnownLimit| matches!(one.state, LimitState::Low | LimitState::Exhausted);
    let Some(one) = known.limits.iter().find(is_near) else { return "No limit near".to_owned() };
    let what = one.what.replace('-', " ");
    let left = match (one.state, one.used_percent) {
        (LimitState::Low, Some(used)) => {
            format!("{} % of {what} left", 100_u8.saturating_sub(used))
        }
        (_, _) if one.what == RETRY => "asks to wait".to_owned(),
        (_, _) => format!("no {what} left"),
    };
    let whole = one.resets_at.map(|at| span(at.millis() - here.now.millis()));
    let whole = whole.map_or_else(String::new, |span| format!(", whole in {span}"));
    format!("Limit: {} {}{whole}", short(&one.provider), short(&left))
}

/// The newest of what goes on, and how many there are.
fn active(alerts: &Alerts) -> String {
    let is_active = |rule: &&AlertStanding| rule.state == RuleState::Active;
    let active: Vec<_> = alerts.rules.iter().filter(is_active).collect();
    let begun = |rule: &&&AlertStanding| rule.began.as_ref().map(|began| began.number);
    match active.iter().max_by_key(begun).map(|newest| short(&newest.rule.name)) {
        None => "No alert".to_owned(),
        Some(newest) if active.len() == 1 => format!("Alert: {newest}"),
        Some(newest) => format!("{} alerts: {newest}, …", active.len()),
    }
}

fn requests(figures: &Figures) -> String {
    match figures.requests {
        1 => "1 request".to_owned(),
        many => format!("{} requests", figure::grouped(many)),
    }
}

fn last_call(receipt: &Receipt, here: Here) -> String {
    let standing = Standing::of(receipt);
    let cost = figure::cost(receipt, &standing, false);
    let at = receipt.started_at.utc().with_timezone(&here.zone).format("%H:%M");
    format!("Last: {} {cost} at {at}", short(&name(receipt)))
}

fn last_error(receipt: &Receipt, here: Here) -> String {
    let what = receipt.http_status.map_or_else(|| "failed".to_owned(), |code| code.to_string());
    let at = receipt.started_at.utc().with_timezone(&here.zone).format("%H:%M");
    format!("Last error: {} {what} at {at}", short(&name(receipt)))
}

fn name(receipt: &Receipt) -> String {
    let model = receipt.model.as_deref().or(receipt.model_requested.as_deref());
    model.unwrap_or(&receipt.provider).to_owned()
}

/// A name that cannot widen the menu or break its line.
fn short(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(NAME + 1).collect();
    if shown.chars().count() <= NAME {
        return shown;
    }
    let cut: String = shown.chars().take(NAME - 1).collect();
    format!("{cut}…")
}
