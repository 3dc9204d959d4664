//! `/api/v1/passes`: local access secrets as a resource. A secret is in one answer, once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use meter::allowance::NoModelPattern;
use meter::receipt::DEFAULT_WORKSPACE;
use meter::{Allowance, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Questions, Scope};

use crate::problem::{Code, Problem};
use crate::router::Desk;
use crate::workspaces;

/// What is known about a pass. Its label is its name everywhere, and never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Pass {
    /// Its name on receipts.
    pub label: String,
    /// What its calls are counted in.
    pub workspace: String,
    /// What it may do: `call`, `usage:read`, `manage`.
    pub scopes: Vec<String>,
    /// The providers it may be used for; none named: any.
    pub providers: Vec<String>,
    /// The models it may be used for, each its name or a beginning and `*`; none named: any.
    pub models: Vec<String>,
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
    /// The providers it may be used for; any if left out.
    #[serde(default)]
    pub providers: Vec<String>,
    /// The models it may be used for, each its name or a beginning and `*`; any if left out.
    #[serde(default)]
    pub models: Vec<String>,
    /// When it ends by itself; never if left out.
    pub expires: Option<Timestamp>,
}

/// All that can be changed about a pass, as it is to be from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct PassTerms {
    /// Its name, also on the receipts it left.
    pub label: String,
    /// What its calls are counted in.
    pub workspace: String,
    /// The providers it may be used for; none: any.
    pub providers: Vec<String>,
    /// The models it may be used for; none: any.
    pub models: Vec<String>,
    /// When it ends by itself; null: never.
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
        .route("/api/v1/passes/{label}", put(change).delete(revoke))
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
    let new = checked(&desk, asked)?;
    let now = (desk.clock)();
    let ledger = Arc::clone(&desk.ledger);
    let (pass, secret) = desk.change(move || Ok(ledger.add_pass(new, now)?)).await?;
    let made = MadePass { pass: pass.into(), secret: secret.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(made)))
}

async fn change(
    State(desk): State<Desk>,
    Path(label): Path<String>,
    body: Bytes,
) -> Result<Json<Pass>, Problem> {
    let asked: PassTerms = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(Code::BadBody, format!("these are not the terms of a pass: {error}"))
            .hint("Send `label`, `workspace`, `providers`, `models` and `expires`, all of them.")
    })?;
    let terms = store::PassTerms {
        label: checked_label(asked.label)?,
        workspace: workspaces::checked(&asked.workspace)?,
        allowance: allowance(&desk, asked.providers, &asked.models)?,
        expires: asked.expires,
    };
    let ledger = Arc::clone(&desk.ledger);
    let pass = desk.change(move || Ok(ledger.change_pass(&label, terms)?)).await?;
    Ok(Json(pass.into()))
}

/// `?streams=cut` ends what runs under it as well; otherwise that goes on to its end.
async fn revoke(
    State(desk): State<Desk>,
    Path(label): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Pass>, Problem> {
    let cuts = match query.as_deref() {
        None | Some("") => false,
        Some("streams=cut") => true,
        Some(other) => {
            let other: String = other.chars().take(100).collect();
            return Err(Problem::new(Code::BadParameter, format!("cannot revoke with `{other}`"))
                .hint("Write `streams=cut` to end what runs under it, or nothing."));
        }
    };
    let now = (desk.clock)();
    let ledger = Arc::clone(&desk.ledger);
    let found = desk.change(move || {
        ledger.revoke_pass(&label, now)?;
        Ok(ledger.passes()?.into_iter().find(|pass| *pass.label == *label))
    });
    let gone = || Problem::new(Code::Internal, "the pass is revoked and cannot be shown");
    let pass = found.await?.ok_or_else(gone)?;
    if cuts {
        // By now no new call gets in under it, so that none can slip past the cut.
        (desk.cut_pass)(&pass.label);
    }
    Ok(Json(pass.into()))
}

fn checked(desk: &Desk, asked: NewPass) -> Result<store::NewPass, Problem> {
    let scopes = match asked.scopes {
        None => vec![Scope::Call],
        Some(words) => words.iter().map(|word| scope(word)).collect::<Result<_, _>>()?,
    };
    if scopes.is_empty() {
        return Err(Problem::new(Code::BadBody, "a pass without scopes opens nothing").hint(SCOPES));
    }
    let workspace = asked.workspace.unwrap_or_else(|| DEFAULT_WORKSPACE.to_owned());
    Ok(store::NewPass {
        label: checked_label(asked.label)?,
        workspace: workspaces::checked(&workspace)?,
        scopes,
        allowance: allowance(desk, asked.providers, &asked.models)?,
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

/// A limit that names nobody would rule out everything; whoever mistypes one should hear of it.
fn allowance(desk: &Desk, providers: Vec<String>, models: &[String]) -> Result<Allowance, Problem> {
    if providers.len().max(models.len()) > MOST_LIMITS {
        return Err(Problem::new(Code::BadBody, format!("these are over {MOST_LIMITS} limits")));
    }
    let known = (desk.status)().providers;
    let unknown = providers.iter().find(|id| !known.iter().any(|one| one.id == **id));
    if let Some(unknown) = unknown {
        let unknown: String = unknown.chars().take(100).collect();
        let ids: Vec<&str> = known.iter().map(|one| &*one.id).collect();
        return Err(Problem::new(Code::BadBody, format!("there is no provider `{unknown}`"))
            .hint(format!("Providers are {}.", ids.join(", "))));
    }
    let model = |text: &String| {
        text.parse().map_err(|no: NoModelPattern| {
            let text: String = text.chars().take(100).collect();
            Problem::new(Code::BadBody, format!("`{text}` cannot be a model"))
                .hint(format!("{no}, such as `gpt-4o*`."))
        })
    };
    Ok(Allowance {
        providers: providers.into_iter().map(String::into).collect(),
        models: models.iter().map(model).collect::<Result<_, _>>()?,
    })
}

/// So many providers or models in one pass.
const MOST_LIMITS: usize = 100;

/// A name that stands in paths and on receipts alike.
fn checked_label(text: String) -> Result<Box<str>, Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    let text: String = text.chars().take(100).collect();
    Err(Problem::new(Code::BadBody, format!("`{text}` cannot be a label"))
        .hint("Use up to 64 letters, digits, `.`, `_` and `-`."))
}

impl From<store::Pass> for Pass {
    fn from(pass: store::Pass) -> Self {
        Self {
            label: pass.label.into(),
            workspace: pass.workspace.into(),
            scopes: pass.scopes.iter().map(Scope::to_string).collect(),
            providers: pass.allowance.providers.into_iter().map(String::from).collect(),
            models: pass.allowance.models.iter().map(ToString::to_string).collect(),
            created_at: pass.created_at,
            last_used: pass.last_used,
            expires: pass.expires,
            revoked: pass.revoked,
        }
    }
}
