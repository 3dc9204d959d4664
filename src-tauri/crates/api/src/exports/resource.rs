//! `/api/v1/exports`: ordering, following, fetching and removing exports.

use axum::body::Bytes;
use axum::extract::{Path, Query as QueryString, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::job::{ExportJob, ExportJobs, ExportOrder};
use super::piece;
use crate::problem::{Code, Problem};
use crate::query::{DEFAULT_LIMIT, MOST_LIMIT, Query};
use crate::readers::stumbled;
use crate::router::Desk;

pub(crate) fn reading() -> Router<Desk> {
    Router::new()
        .route("/api/v1/exports", get(list))
        .route("/api/v1/exports/{id}", get(one))
        .route("/api/v1/exports/{id}/file", get(file))
}

pub(crate) fn managing() -> Router<Desk> {
    Router::new()
        .route("/api/v1/exports", post(order))
        .route("/api/v1/exports/{id}", axum::routing::delete(remove))
        .route("/api/v1/exports/{id}/cancel", post(cancel))
}

/// Does what may wait for the disk.
async fn on_disk<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(act).await.unwrap_or_else(|_| Err(stumbled()))
}

async fn order(
    State(desk): State<Desk>,
    body: Bytes,
) -> Result<(StatusCode, Json<ExportJob>), Problem> {
    let order: ExportOrder = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(Code::BadBody, format!("this is no order of an export: {error}")).hint(
            "Send such as {\"format\":\"csv\",\"from\":\"2026-11-01\",\"status\":[\"error\",\"4xx\"]}.",
        )
    })?;
    let mut query = Query::parse(ExportOrder::QUESTION, &order.parameters(), desk.here())?;
    if query.currency.is_some() {
        query.rates = (desk.exchange)()?;
    }
    let job = on_disk(move || desk.workshop.order(order, query)).await?;
    Ok((StatusCode::CREATED, Json(job)))
}

async fn list(State(desk): State<Desk>, uri: Uri) -> Result<Json<ExportJobs>, Problem> {
    let (before, limit) = page_of(&uri)?;
    let jobs = on_disk(move || desk.workshop.jobs()).await?;
    Ok(Json(ExportJobs::page(jobs, before, limit)))
}

async fn one(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Json<ExportJob>, Problem> {
    let id = number(&id)?;
    on_disk(move || desk.workshop.job(id)).await.map(Json)
}

async fn file(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let id = number(&id)?;
    let (job, path) = on_disk(move || desk.workshop.file(id)).await?;
    piece::answer(&job, &path, &asked).await
}

async fn cancel(
    State(desk): State<Desk>,
    Path(id): Path<String>,
) -> Result<Json<ExportJob>, Problem> {
    let id = number(&id)?;
    on_disk(move || desk.workshop.cancel(id)).await.map(Json)
}

async fn remove(
    State(desk): State<Desk>,
    Path(id): Path<String>,
) -> Result<Json<ExportJobs>, Problem> {
    let id = number(&id)?;
    let left = on_disk(move || {
        desk.workshop.remove(id)?;
        desk.workshop.jobs()
    });
    Ok(Json(ExportJobs::page(left.await?, None, DEFAULT_LIMIT)))
}

fn number(id: &str) -> Result<u64, Problem> {
    id.parse().map_err(|_| {
        let shown: String = id.chars().take(100).collect();
        Problem::new(Code::NotFound, format!("there is no export `{shown}`"))
            .hint("Exports have numbers; `GET exports` lists them.")
    })
}

/// The page that a query string asks for.
fn page_of(uri: &Uri) -> Result<(Option<u64>, usize), Problem> {
    let given = QueryString::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
        Problem::new(Code::BadParameter, "the query string cannot be read")
            .hint("Write `name=value` pairs joined by `&`.")
    })?;
    let (mut before, mut limit) = (None, DEFAULT_LIMIT);
    for (name, value) in given.0 {
        match &*name {
            "before" => {
                let hint = "Use the `next` of the page before.";
                let wrong = |_| Problem::parameter("before", &value, hint);
                before = Some(value.parse().map_err(wrong)?);
            }
            "limit" => {
                let read = value.parse().ok().filter(|limit| (1..=MOST_LIMIT).contains(limit));
                limit = read.ok_or_else(|| {
                    let hint = format!("Write a number from 1 to {MOST_LIMIT}.");
                    Problem::parameter("limit", &value, hint)
                })?;
            }
            _ => {
                let name: String = name.chars().take(100).collect();
                let sentence = format!("there is no parameter `{name}`");
                return Err(Problem::new(Code::BadParameter, sentence)
                    .hint("Allowed are `before`, `limit`."));
            }
        }
    }
    Ok((before, limit))
}
