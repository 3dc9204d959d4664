//! `/api/v1/budgets`: the budgets as a resource, and how they stand.

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use meter::Timestamp;
use meter::budget::Budget;
use serde::{Deserialize, Serialize};

use super::standing::{BudgetStanding, Budgets, end_of_release};
use super::written::BudgetRule;
use crate::alerts::until;
use crate::problem::{Code, Problem};
use crate::readers::stumbled;
use crate::router::Desk;

/// A change of the budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetChange {
    /// One more: as it was written, and checked.
    Add(Box<(BudgetRule, Budget)>),
    /// The one of this name becomes another.
    Replace(String, Box<(BudgetRule, Budget)>),
    /// The one of this name goes.
    Remove(String),
    /// The one of this name stops nothing until then; at once over if that is now.
    Release(String, Timestamp),
}

/// Who keeps the budgets.
#[derive(Clone)]
pub struct BudgetDesk {
    /// How they stand.
    pub standing: Arc<dyn Fn() -> Budgets + Send + Sync>,
    /// Changes something, for good and from now on, and says how they stand then.
    pub change: Arc<dyn Fn(BudgetChange) -> Result<Budgets, Problem> + Send + Sync>,
}

impl fmt::Debug for BudgetDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetDesk").finish_non_exhaustive()
    }
}

/// How long a budget is to stop nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseOrder {
    /// `1h`, `tomorrow`, a date or an instant; `now` ends a release; `null` lasts until the
    /// period is over (a day, where it never is).
    pub until: Option<String>,
}

pub(crate) fn reading() -> Router<Desk> {
    Router::new().route("/api/v1/budgets", get(list))
}

pub(crate) fn managing() -> Router<Desk> {
    Router::new()
        .route("/api/v1/budgets", post(add))
        .route("/api/v1/budgets/{name}", put(replace).delete(remove))
        .route("/api/v1/budgets/{name}/release", post(release))
}

async fn list(State(desk): State<Desk>) -> Result<Json<Budgets>, Problem> {
    let standing = Arc::clone(&desk.budgets.standing);
    tokio::task::spawn_blocking(move || standing()).await.map(Json).map_err(|_| stumbled())
}

async fn add(
    State(desk): State<Desk>,
    body: Bytes,
) -> Result<(StatusCode, Json<BudgetStanding>), Problem> {
    let budget = checked(&body)?;
    let name = budget.1.name.to_string();
    let budgets = changed(&desk, BudgetChange::Add(budget)).await?;
    Ok((StatusCode::CREATED, one(&budgets, &name)?))
}

async fn replace(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<BudgetStanding>, Problem> {
    let budget = checked(&body)?;
    let new_name = budget.1.name.to_string();
    let budgets = changed(&desk, BudgetChange::Replace(name, budget)).await?;
    one(&budgets, &new_name)
}

async fn remove(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Json<Budgets>, Problem> {
    changed(&desk, BudgetChange::Remove(name)).await.map(Json)
}

async fn release(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<BudgetStanding>, Problem> {
    let order = match body.is_empty() {
        true => ReleaseOrder::default(),
        false => serde_json::from_slice(&body).map_err(|error| {
            Problem::new(Code::BadBody, format!("this cannot be read: {error}"))
                .hint("Send such as {\"until\":\"1h\"} or {\"until\":null}.")
        })?,
    };
    let here = desk.here();
    let end = match order.until {
        Some(text) => until(&text, here)?,
        None => {
            let standing = Arc::clone(&desk.budgets.standing);
            let budgets =
                tokio::task::spawn_blocking(move || standing()).await.map_err(|_| stumbled())?;
            let found = budgets.budget(&name).ok_or_else(|| unknown(&name))?;
            end_of_release(found, here.now)
        }
    };
    let budgets = changed(&desk, BudgetChange::Release(name.clone(), end)).await?;
    one(&budgets, &name)
}

fn checked(body: &[u8]) -> Result<Box<(BudgetRule, Budget)>, Problem> {
    let written = BudgetRule::read(body)?;
    let budget = written.check()?;
    Ok(Box::new((written, budget)))
}

async fn changed(desk: &Desk, change: BudgetChange) -> Result<Budgets, Problem> {
    let act = Arc::clone(&desk.budgets.change);
    tokio::task::spawn_blocking(move || act(change)).await.unwrap_or_else(|_| Err(stumbled()))
}

fn one(budgets: &Budgets, name: &str) -> Result<Json<BudgetStanding>, Problem> {
    budgets.budget(name.trim()).cloned().map(Json).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Problem {
    let name: String = name.chars().take(80).collect();
    Problem::new(Code::NotFound, format!("there is no budget `{name}`"))
        .hint("`tollgate budgets` lists them.")
}
