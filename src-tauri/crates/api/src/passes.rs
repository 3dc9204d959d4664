//! `/api/v1/passes`: local access secrets as a resource. A secret is in one answer, once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use meter::Timestamp;
use meter::receipt::DEFAULT_WORKSPACE;
use serde::{Deserialize, Serialize};
use store::{Questions, Scope};

use crate::problem::{Code, Problem};
use crate::router::Desk;

/// What is known about a pass. Its label is its name everywhere, and never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Pass {
    /// Its name on receipts.
    pub label: String,
    /// What its calls are counted in.
    pub workspace: String,
    /// What it may do: `call`, `usage:read`, `manage`.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last shown, to the minute.
    pub last_used: Option<Timestamp>,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

/// A pass that was just made, with its secret: the only time it can be seen.
#[derive(Serialize, Deserialize, specta::Type)]
pub struct MadePass {
    /// The pass.
    #[serde(flatten)]
    pub pass: Pass,
    /// `tg_` and what follows.
    pub secret: String,
}

/// A pass to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct NewPass {
    /// Its name on receipts.
    pub label: String,
    /// What its calls are counted in; `personal` if left out.
    pub workspace: Option<String>,
    /// What it may do; `call` if left out.
    pub scopes: Option<Vec<String>>,
    /// When it ends by itself; never if left out.
    pub expires: Option<Timestamp>,
}

impl std::fmt::Debug for MadePass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadePass").field("pass", &self.pass).field("secret", &"•••").finish()
    }
}

/// Every pass ever made, oldest first.
///
/// # Errors
/// When the ledger cannot be read.
pub fn passes(ledger: &Questions) -> Result<Vec<Pass>, Problem> {
    Ok(ledger.passes()?.into_iter().map(Pass::from).collect())
}

pub(crate) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/passes", get(list).post(add))
        .route("/api/v1/passes/{label}", delete(revoke))
}

async fn list(State(desk): State<Desk>) -> Result<Json<Vec<Pass>>, Problem> {
    desk.readers.ask(passes).await.map(Json)
}

async fn add(
    State(desk): State<Desk>,
    body: Bytes,
) -> Result<(StatusCode, Json<MadePass>), Problem> {
    let asked: NewPass = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(Code::BadBody, format!("this is not a pass: {error}"))
            .hint("Send such as {\"label\":\"ci\",\"scopes\":[\"usage:read\"]}.")
    })?;
    let new = checked(asked)?;
    let now = (desk.clock)();
    let ledger = Arc::clone(&desk.ledger);
    let (pass, secret) = desk.change(move || Ok(ledger.add_pass(new, now)?)).await?;
    let made = MadePass { pass: pass.into(), secret: secret.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(made)))
}

async fn revoke(
    State(desk): State<Desk>,
    Path(label): Path<String>,
) -> Result<Json<Pass>, Problem> {
    let now = (desk.clock)();
    let ledger = Arc::clone(&desk.ledger);
    let found = desk.change(move || {
        ledger.revoke_pass(&label, now)?;
        Ok(ledger.passes()?.into_iter().find(|pass| *pass.label == *label))
    });
    let gone = || Problem::new(Code::Internal, "the pass is revoked and cannot be shown");
    found.await?.map(|pass| Json(pass.into())).ok_or_else(gone)
}

fn checked(asked: NewPass) -> Result<store::NewPass, Problem> {
    let scopes = match asked.scopes {
        None => vec![Scope::Call],
        Some(words) => words.iter().map(|word| scope(word)).collect::<Result<_, _>>()?,
    };
    if scopes.is_empty() {
        return Err(Problem::new(Code::BadBody, "a pass without scopes opens nothing").hint(SCOPES));
    }
    let workspace = asked.workspace.unwrap_or_else(|| DEFAULT_WORKSPACE.to_owned());
    Ok(store::NewPass {
        label: name("label", asked.label)?,
        workspace: name("workspace", workspace)?,
        scopes,
        expires: asked.expires,
    })
}

const SCOPES: &str = "Scopes are `call`, `usage:read` and `manage`.";

fn scope(word: &str) -> Result<Scope, Problem> {
    word.parse().map_err(|_| {
        let word: String = word.chars().take(100).collect();
        Problem::new(Code::BadBody, format!("there is no scope `{word}`")).hint(SCOPES)
    })
}

/// Names that stand in paths, headers and receipts alike.
fn name(what: &str, text: String) -> Result<Box<str>, Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    let text: String = text.chars().take(100).collect();
    Err(Problem::new(Code::BadBody, format!("`{text}` cannot be a {what}"))
        .hint("Use up to 64 letters, digits, `.`, `_` and `-`."))
}

impl From<store::Pass> for Pass {
    fn from(pass: store::Pass) -> Self {
        Self {
            label: pass.label.into(),
            workspace: pass.workspace.into(),
            scopes: pass.scopes.iter().map(Scope::to_string).collect(),
            created_at: pass.created_at,
            last_used: pass.last_used,
            expires: pass.expires,
            revoked: pass.revoked,
        }
    }
}
