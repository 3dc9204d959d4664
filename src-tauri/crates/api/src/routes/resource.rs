//! `/api/v1/routes`: the routes as a resource, and who would be called.

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use meter::provider::Providers;
use meter::route::NamedRoute;

use super::standing::{RouteStanding, Routes};
use super::written::RouteRule;
use crate::problem::{Code, Problem};
use crate::readers::stumbled;
use crate::router::Desk;

/// A change of the routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteChange {
    /// One more: as it was written, and checked.
    Add(Box<(RouteRule, NamedRoute)>),
    /// The one of this name becomes another.
    Replace(String, Box<(RouteRule, NamedRoute)>),
    /// The one of this name goes.
    Remove(String),
}

/// Who keeps the routes.
#[derive(Clone)]
pub struct RouteDesk {
    /// How they stand.
    pub standing: Arc<dyn Fn() -> Routes + Send + Sync>,
    /// Changes something, for good and from now on.
    pub change: Arc<dyn Fn(RouteChange) -> Result<(), Problem> + Send + Sync>,
    /// Whom a route can lead to.
    pub providers: Arc<Providers>,
}

impl fmt::Debug for RouteDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteDesk").finish_non_exhaustive()
    }
}

pub(crate) fn reading() -> Router<Desk> {
    Router::new().route("/api/v1/routes", get(list))
}

pub(crate) fn managing() -> Router<Desk> {
    Router::new()
        .route("/api/v1/routes", post(add))
        .route("/api/v1/routes/{name}", put(replace).delete(remove))
}

async fn list(State(desk): State<Desk>) -> Result<Json<Routes>, Problem> {
    standing(&desk).await.map(Json)
}

async fn add(
    State(desk): State<Desk>,
    body: Bytes,
) -> Result<(StatusCode, Json<RouteStanding>), Problem> {
    let route = checked(&desk, &body)?;
    let name = route.1.name.to_string();
    let routes = changed(&desk, RouteChange::Add(route)).await?;
    Ok((StatusCode::CREATED, one(routes, &name)?))
}

async fn replace(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<RouteStanding>, Problem> {
    let route = checked(&desk, &body)?;
    let new_name = route.1.name.to_string();
    let routes = changed(&desk, RouteChange::Replace(name, route)).await?;
    one(routes, &new_name)
}

async fn remove(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Json<Routes>, Problem> {
    changed(&desk, RouteChange::Remove(name)).await.map(Json)
}

fn checked(desk: &Desk, body: &[u8]) -> Result<Box<(RouteRule, NamedRoute)>, Problem> {
    let written = RouteRule::read(body)?;
    let route = written.check(&desk.routes.providers)?;
    Ok(Box::new((written, route)))
}

async fn changed(desk: &Desk, change: RouteChange) -> Result<Routes, Problem> {
    let act = Arc::clone(&desk.routes.change);
    desk.change(move || act(change)).await?;
    standing(desk).await
}

async fn standing(desk: &Desk) -> Result<Routes, Problem> {
    let standing = Arc::clone(&desk.routes.standing);
    tokio::task::spawn_blocking(move || standing()).await.map_err(|_| stumbled())
}

fn one(routes: Routes, name: &str) -> Result<Json<RouteStanding>, Problem> {
    let found = routes.routes.into_iter().find(|one| one.route.name == name);
    found.map(Json).ok_or_else(|| {
        let name: String = name.chars().take(80).collect();
        Problem::new(Code::NotFound, format!("there is no route `{name}`"))
            .hint("`tollgate routes` lists them.")
    })
}
