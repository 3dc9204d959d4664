//! `/api/v1/workspaces`: what calls are counted in, listed, renamed, merged and put away. Names
//! stand in bodies, never in paths: they may hold anything printable, a slash too.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use meter::Timestamp;
use meter::receipt::workspace_name;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Questions;

use crate::problem::{Code, Problem};
use crate::router::Desk;

/// One workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Workspace {
    /// What it is called now.
    pub name: String,
    /// Names that lead here, because it was called so or was merged into this.
    pub former_names: Vec<String>,
    /// When its newest call began.
    pub last_used: Option<Timestamp>,
    /// When it was put away, if it is: lists and choices leave it out, totals count it, and its
    /// next call brings it back.
    pub archived: Option<Timestamp>,
}

/// A workspace and the name it is to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct RenameWorkspace {
    /// What it is called now.
    pub workspace: String,
    /// What it is to be called.
    pub to: String,
}

/// A workspace and the one it is to be counted in, past calls too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct MergeWorkspace {
    /// The one that ends.
    pub workspace: String,
    /// The one that stays.
    pub into: String,
}

/// A workspace to be put away or brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct NamedWorkspace {
    /// Its name.
    pub workspace: String,
}

/// Every workspace but the demonstration's, by name.
///
/// # Errors
/// When the ledger cannot be read.
pub fn workspaces(ledger: &Questions) -> Result<Vec<Workspace>, Problem> {
    Ok(ledger.workspaces()?.into_iter().map(Workspace::from).collect())
}

pub(crate) fn reading() -> Router<Desk> {
    Router::new().route("/api/v1/workspaces", get(list))
}

pub(crate) fn managing() -> Router<Desk> {
    Router::new()
        .route("/api/v1/workspaces/rename", post(rename))
        .route("/api/v1/workspaces/merge", post(merge))
        .route("/api/v1/workspaces/archive", post(archive))
        .route("/api/v1/workspaces/restore", post(restore))
}

async fn list(State(desk): State<Desk>) -> Result<Json<Vec<Workspace>>, Problem> {
    desk.readers.ask(workspaces).await.map(Json)
}

async fn rename(State(desk): State<Desk>, body: Bytes) -> Result<Json<Vec<Workspace>>, Problem> {
    let asked: RenameWorkspace = read(&body, r#"{"workspace":"work","to":"client-a"}"#)?;
    let to = checked(&asked.to)?;
    let ledger = Arc::clone(&desk.ledger);
    desk.change(move || Ok(ledger.rename_workspace(&asked.workspace, &to)?)).await?;
    list(State(desk)).await
}

async fn merge(State(desk): State<Desk>, body: Bytes) -> Result<Json<Vec<Workspace>>, Problem> {
    let asked: MergeWorkspace = read(&body, r#"{"workspace":"client_a","into":"client-a"}"#)?;
    let ledger = Arc::clone(&desk.ledger);
    desk.change(move || Ok(ledger.merge_workspace(&asked.workspace, &asked.into)?)).await?;
    list(State(desk)).await
}

async fn archive(State(desk): State<Desk>, body: Bytes) -> Result<Json<Vec<Workspace>>, Problem> {
    let asked: NamedWorkspace = read(&body, r#"{"workspace":"client-a"}"#)?;
    let (ledger, now) = (Arc::clone(&desk.ledger), (desk.clock)());
    desk.change(move || Ok(ledger.archive_workspace(&asked.workspace, now)?)).await?;
    list(State(desk)).await
}

async fn restore(State(desk): State<Desk>, body: Bytes) -> Result<Json<Vec<Workspace>>, Problem> {
    let asked: NamedWorkspace = read(&body, r#"{"workspace":"client-a"}"#)?;
    let ledger = Arc::clone(&desk.ledger);
    desk.change(move || Ok(ledger.restore_workspace(&asked.workspace)?)).await?;
    list(State(desk)).await
}

fn read<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(Code::BadBody, format!("this cannot be done to a workspace: {error}"))
            .hint(format!("Send such as {example}."))
    })
}

/// A name that a workspace may get.
pub(crate) fn checked(text: &str) -> Result<Box<str>, Problem> {
    workspace_name(text).ok_or_else(|| {
        let text: String = text.chars().take(100).collect();
        Problem::new(Code::BadBody, format!("`{text}` cannot be a workspace's name"))
            .hint("Use up to 64 bytes of printable characters, and none that are invisible.")
    })
}

impl From<store::Workspace> for Workspace {
    fn from(workspace: store::Workspace) -> Self {
        let store::Workspace { name, former_names, last_used, archived } = workspace;
        let former_names = former_names.into_iter().map(String::from).collect();
        Self { name: name.into(), former_names, last_used, archived }
    }
}
