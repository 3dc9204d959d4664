//! `/api/v1/alerts`: the rules as a resource, how they stand, and their history.

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query as QueryString, State};
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use meter::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::memory::AlertEvent;
use super::quiet::QuietHours;
use super::rule::Rule;
use super::service_level::{Compliance, compliance};
use super::standing::{AlertStanding, Alerts};
use super::written::AlertRule;
use crate::period::Here;
use crate::problem::{Code, Problem};
use crate::query::{DEFAULT_LIMIT, MOST_LIMIT};
use crate::readers::stumbled;
use crate::router::Desk;

/// A change of the rules or of when they disturb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// One more rule: as it was written, and checked.
    Add(Box<(AlertRule, Rule)>),
    /// The rule of this name becomes another.
    Replace(String, Box<(AlertRule, Rule)>),
    /// The rule of this name goes.
    Remove(String),
    /// The rule of this name disturbs nobody until then; at once over if that is now.
    Snooze(String, Timestamp),
    /// No rule disturbs anybody until then, or until it is taken back.
    Pause(Option<Timestamp>),
    /// The end of a pause.
    Resume,
    /// When rules without hours of their own disturb nobody.
    QuietHours(Option<QuietHours>),
}

/// Who keeps the rules and their history.
#[derive(Clone)]
pub struct AlertDesk {
    /// How the rules stand.
    pub standing: Arc<dyn Fn() -> Alerts + Send + Sync>,
    /// Changes something, for good and from now on, and says how they stand then.
    pub change: Arc<dyn Fn(AlertChange) -> Result<Alerts, Problem> + Send + Sync>,
    /// Every event that is kept, oldest first.
    pub history: Arc<dyn Fn() -> Vec<AlertEvent> + Send + Sync>,
}

impl fmt::Debug for AlertDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertDesk").finish_non_exhaustive()
    }
}

/// One page of the history, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct AlertHistory {
    /// The events.
    pub events: Vec<AlertEvent>,
    /// Ask again with this as `before` for the next page; `null`: this was the last one.
    pub next: Option<u64>,
}

/// How long a rule is not to disturb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct SnoozeOrder {
    /// `1h`, `tomorrow`, a date or an instant; `now` ends a snooze.
    pub until: String,
}

/// How long no rule is to disturb.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields, default)]
pub struct PauseOrder {
    /// `1h`, `tomorrow`, a date or an instant; `now` ends a pause; `null` lasts until then.
    pub until: Option<String>,
}

pub(crate) fn reading() -> Router<Desk> {
    Router::new()
        .route("/api/v1/alerts", get(list))
        .route("/api/v1/alerts/history", get(history))
        .route("/api/v1/alerts/compliance", get(kept))
}

pub(crate) fn managing() -> Router<Desk> {
    Router::new()
        .route("/api/v1/alerts", post(add))
        .route("/api/v1/alerts/pause", post(pause))
        .route("/api/v1/alerts/quiet-hours", put(quiet_hours))
        .route("/api/v1/alerts/{name}", put(replace).delete(remove))
        .route("/api/v1/alerts/{name}/snooze", post(snooze))
}

async fn list(State(desk): State<Desk>) -> Json<Alerts> {
    Json((desk.alerts.standing)())
}

async fn kept(State(desk): State<Desk>, uri: Uri) -> Result<Json<Compliance>, Problem> {
    let given = QueryString::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|_| {
        Problem::new(Code::BadParameter, "the query string cannot be read")
            .hint("Write `name=value` pairs joined by `&`.")
    })?;
    let mut here = desk.here();
    for (name, value) in given.0 {
        if name != "tz" {
            let name: String = name.chars().take(100).collect();
            let problem = format!("there is no parameter `{name}`");
            return Err(Problem::new(Code::BadParameter, problem).hint("Allowed is `tz`."));
        }
        let hint = "Write a zone of the IANA database, such as `Europe/Berlin`.";
        here.zone = value.parse().map_err(|_| Problem::parameter("tz", &value, hint))?;
    }
    // Rules are kept as they are written; each was checked when it was.
    let standing = (desk.alerts.standing)();
    let rules: Vec<Rule> =
        standing.rules.iter().map(|rule| rule.rule.check()).collect::<Result<_, _>>()?;
    desk.readers.ask(move |ledger| compliance(ledger, &rules, here)).await.map(Json)
}

async fn history(State(desk): State<Desk>, uri: Uri) -> Result<Json<AlertHistory>, Problem> {
    let given = QueryString::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|_| {
        Problem::new(Code::BadParameter, "the query string cannot be read")
            .hint("Write `name=value` pairs joined by `&`.")
    })?;
    let (mut before, mut limit, mut rule) = (None, DEFAULT_LIMIT, None);
    for (name, value) in given.0 {
        match &*name {
            "before" => {
                let wrong =
                    || Problem::parameter("before", &value, "Use the `next` of the page before.");
                before = Some(value.parse().map_err(|_| wrong())?);
            }
            "limit" => {
                let wrong = || {
                    let hint = format!("Write a number from 1 to {MOST_LIMIT}.");
                    Problem::parameter("limit", &value, hint)
                };
                let read = value.parse().ok().filter(|limit| (1..=MOST_LIMIT).contains(limit));
                limit = read.ok_or_else(wrong)?;
            }
            "rule" if value.is_empty() => {
                return Err(Problem::parameter("rule", "", "Leave it out or name a rule."));
            }
            "rule" => rule = Some(value),
            // The zone that every question may name; instants need none.
            "tz" => {
                let hint = "Write a zone of the IANA database, such as `Europe/Berlin`.";
                let wrong = |_| Problem::parameter("tz", &value, hint);
                value.parse::<chrono_tz::Tz>().map_err(wrong)?;
            }
            _ => {
                let name: String = name.chars().take(100).collect();
                return Err(Problem::new(
                    Code::BadParameter,
                    format!("there is no parameter `{name}`"),
                )
                .hint("Allowed are `before`, `limit`, `rule`, `tz`."));
            }
        }
    }
    let read = tokio::task::spawn_blocking(move || (desk.alerts.history)());
    let events = read.await.map_err(|_| stumbled())?;
    Ok(Json(AlertHistory::page(events, before, limit, rule.as_deref())))
}

impl AlertHistory {
    /// The events of `rule`, or all of them, before the one numbered so.
    pub fn page(
        events: Vec<AlertEvent>,
        before: Option<u64>,
        limit: usize,
        rule: Option<&str>,
    ) -> Self {
        let is_wanted = |event: &AlertEvent| {
            before.is_none_or(|before| event.number < before)
                && rule.is_none_or(|rule| event.occurrence.rule.as_deref() == Some(rule))
        };
        let mut newest = events.into_iter().rev().filter(is_wanted);
        let events: Vec<_> = newest.by_ref().take(limit).collect();
        let next = newest.next().and_then(|_| events.last()).map(|event| event.number);
        Self { events, next }
    }
}

async fn add(
    State(desk): State<Desk>,
    body: Bytes,
) -> Result<(StatusCode, Json<AlertStanding>), Problem> {
    let rule = checked(&body)?;
    let name = rule.1.name.clone();
    let alerts = changed(&desk, AlertChange::Add(rule)).await?;
    Ok((StatusCode::CREATED, one(&alerts, &name)?))
}

async fn replace(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<AlertStanding>, Problem> {
    let rule = checked(&body)?;
    let new_name = rule.1.name.clone();
    let alerts = changed(&desk, AlertChange::Replace(name, rule)).await?;
    one(&alerts, &new_name)
}

async fn remove(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Json<Alerts>, Problem> {
    changed(&desk, AlertChange::Remove(name)).await.map(Json)
}

async fn snooze(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<AlertStanding>, Problem> {
    let order: SnoozeOrder = read(&body, "{\"until\":\"tomorrow\"}")?;
    let until = until(&order.until, desk.here())?;
    let alerts = changed(&desk, AlertChange::Snooze(name.clone(), until)).await?;
    one(&alerts, &name)
}

async fn pause(State(desk): State<Desk>, body: Bytes) -> Result<Json<Alerts>, Problem> {
    let order = match body.is_empty() {
        true => PauseOrder::default(),
        false => read(&body, "{\"until\":\"tomorrow\"} or {\"until\":null}")?,
    };
    let here = desk.here();
    let until = order.until.map(|text| until(&text, here)).transpose()?;
    let change = match until {
        Some(until) if until <= here.now => AlertChange::Resume,
        Some(_) | None => AlertChange::Pause(until),
    };
    changed(&desk, change).await.map(Json)
}

async fn quiet_hours(State(desk): State<Desk>, body: Bytes) -> Result<Json<Alerts>, Problem> {
    let hours = read(&body, "{\"from\":\"22:00\",\"to\":\"07:00\"} or null")?;
    changed(&desk, AlertChange::QuietHours(hours)).await.map(Json)
}

fn checked(body: &[u8]) -> Result<Box<(AlertRule, Rule)>, Problem> {
    let written = AlertRule::read(body)?;
    let rule = written.check()?;
    Ok(Box::new((written, rule)))
}

fn read<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(Code::BadBody, format!("this cannot be read: {error}"))
            .hint(format!("Send such as {example}."))
    })
}

async fn changed(desk: &Desk, change: AlertChange) -> Result<Alerts, Problem> {
    let act = Arc::clone(&desk.alerts.change);
    tokio::task::spawn_blocking(move || act(change)).await.unwrap_or_else(|_| Err(stumbled()))
}

fn one(alerts: &Alerts, name: &str) -> Result<Json<AlertStanding>, Problem> {
    let gone = || Problem::new(Code::Internal, "the rule is changed and cannot be shown");
    alerts.rule(name).cloned().map(Json).ok_or_else(gone)
}

/// The moment that `1h`, `tomorrow`, a date or an instant means; never in the past.
///
/// # Errors
/// When it is none of these, is over, or is more than a year away.
pub fn until(text: &str, here: Here) -> Result<Timestamp, Problem> {
    const YEAR_MS: i64 = 366 * 24 * 60 * 60 * 1000;
    let shown: String = text.chars().take(40).collect();
    let at = match text.trim() {
        "tomorrow" => Some(crate::period::around(crate::period::Granularity::Day, here).1),
        text => here.instant(text).or_else(|| {
            let window: super::rule::Window = text.parse().ok()?;
            let ms = 60_000 * i64::try_from(window.minutes()).ok()?;
            Some(Timestamp::from_millis(here.now.millis() + ms))
        }),
    };
    let refused = |why: String| {
        Problem::new(Code::BadBody, format!("`until` {why}")).hint(
            "Write a span such as `1h` or `7d`, `tomorrow`, a date such as `2026-11-25`, an instant such as `2026-11-25T08:00`, or `now`.",
        )
    };
    let at = at.ok_or_else(|| refused(format!("cannot be `{shown}`")))?;
    if at < here.now {
        return Err(refused(format!("cannot be `{shown}`, which is over")));
    }
    if at.millis() > here.now.millis() + YEAR_MS {
        return Err(refused(format!("cannot be `{shown}`, which is more than a year away")));
    }
    Ok(at)
}
