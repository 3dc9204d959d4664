//! `/api/v1/deployments`: what runs on the user's own servers, and what he declared of it.

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post, put};
use axum::{Json, Router};

use super::answer::Deployments;
use super::board::ServerBoard;
use super::listing::{Sources, deployments};
use super::rule::{DeploymentPlan, DeploymentRule};
use crate::problem::{Code, Problem};
use crate::query::Question;
use crate::readers::stumbled;
use crate::router::Desk;

/// A change of what is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentChange {
    /// One more.
    Add(DeploymentRule),
    /// The one of this name becomes another.
    Replace(String, DeploymentRule),
    /// The one of this name goes.
    Remove(String),
}

/// Changes what is declared.
pub type ChangesDeployments = Arc<dyn Fn(&DeploymentChange) -> Result<(), Problem> + Send + Sync>;

/// Who keeps what is declared, and what servers said.
#[derive(Clone)]
pub struct DeploymentDesk {
    /// Servers and declarations.
    pub plan: Arc<dyn Fn() -> Arc<DeploymentPlan> + Send + Sync>,
    /// What servers and driver said last.
    pub board: Arc<ServerBoard>,
    /// Changes a declaration, for good and from now on.
    pub change: ChangesDeployments,
}

impl fmt::Debug for DeploymentDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeploymentDesk").finish_non_exhaustive()
    }
}

pub(crate) fn reading() -> Router<Desk> {
    Router::new().route("/api/v1/deployments", get(list))
}

pub(crate) fn managing() -> Router<Desk> {
    Router::new()
        .route("/api/v1/deployments", post(add))
        .route("/api/v1/deployments/{name}", put(replace).delete(remove))
}

async fn list(State(desk): State<Desk>, uri: Uri) -> Result<Json<Deployments>, Problem> {
    let (query, now) = desk.query(Question::Deployments, &uri)?;
    let answered = desk.readers.ask(move |ledger| {
        let (plan, said) = ((desk.deployments.plan)(), desk.deployments.board.said());
        let book = (desk.prices)(None)?;
        deployments(ledger, &query, Sources { plan: &plan, said: &said, book: &book, now })
    });
    answered.await.map(Json)
}

async fn add(
    State(desk): State<Desk>,
    body: Bytes,
) -> Result<(StatusCode, Json<DeploymentRule>), Problem> {
    let rule = DeploymentRule::read(&body)?.check()?;
    changed(&desk, DeploymentChange::Add(rule.clone())).await?;
    Ok((StatusCode::CREATED, Json(rule)))
}

async fn replace(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<DeploymentRule>, Problem> {
    let rule = DeploymentRule::read(&body)?.check()?;
    changed(&desk, DeploymentChange::Replace(name, rule.clone())).await?;
    Ok(Json(rule))
}

async fn remove(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Json<DeploymentRule>, Problem> {
    let known = (desk.deployments.plan)();
    let rule = known.declared.iter().find(|rule| rule.name == name).cloned();
    let rule = rule.ok_or_else(|| unknown(&name))?;
    changed(&desk, DeploymentChange::Remove(name)).await?;
    Ok(Json(rule))
}

async fn changed(desk: &Desk, change: DeploymentChange) -> Result<(), Problem> {
    if let DeploymentChange::Replace(name, _) = &change {
        let known = (desk.deployments.plan)();
        if !known.declared.iter().any(|rule| rule.name == *name) {
            return Err(unknown(name));
        }
    }
    let act = Arc::clone(&desk.deployments.change);
    tokio::task::spawn_blocking(move || act(&change)).await.unwrap_or_else(|_| Err(stumbled()))
}

fn unknown(name: &str) -> Problem {
    let name: String = name.chars().take(80).collect();
    Problem::new(Code::NotFound, format!("no deployment `{name}` is declared"))
        .hint("`tollgate deployments` lists them; those that were only seen have no declaration.")
}
