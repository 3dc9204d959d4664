//! `/api/v1/keys`: the user's provider keys as a resource. A secret goes in and never comes out.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use meter::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::problem::{Code, Problem};
use crate::router::Desk;

/// Where a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The system's keychain.
    Keychain,
    /// A file of the home that only the user can read; whoever reads it has the keys.
    File,
}

/// One stored key; never its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Key {
    /// Whose key.
    pub provider: String,
    /// Its name on receipts.
    pub label: String,
    /// The only origin it is shown to, such as `https://api.openai.com`.
    pub origin: String,
    /// Whether it is the one that is used, of those for this origin.
    pub is_default: bool,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Where its secret is kept.
    pub place: Place,
    /// Why it cannot be used at the moment, if so.
    pub problem: Option<String>,
}

/// A key to be stored.
#[derive(Deserialize, Serialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whose key.
    pub provider: String,
    /// Its name on receipts; `default` unless said otherwise. The same one again takes the
    /// place of the old, for the next call on.
    #[serde(default)]
    pub label: Option<String>,
    /// The secret.
    pub secret: String,
    /// Whether it is the one to be used from now on.
    #[serde(default)]
    pub use_it: bool,
    /// Where to keep it; the keychain unless said otherwise.
    #[serde(default)]
    pub place: Option<Place>,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({}, {:?}, •••)", self.provider, self.label)
    }
}

/// What a provider says of a key when asked by a call that costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It answers.
    Works,
    /// It does not take the key.
    Refused,
    /// It answers something that says nothing of the key, such as that it is busy.
    Unclear,
    /// It does not answer.
    Unreachable,
    /// It documents no call that needs a valid key and costs nothing, so nobody asked.
    Untested,
}

/// What came of testing a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct KeyCheck {
    /// Whose key.
    pub provider: String,
    /// Its name on receipts.
    pub label: String,
    /// Who was asked: the only origin the key is shown to.
    pub origin: String,
    /// What it said.
    pub verdict: Verdict,
    /// The status it answered with.
    pub http_status: Option<u16>,
    /// The provider's own words, without secrets, or why there are none.
    pub message: Option<String>,
}

/// A [`KeyCheck`] under way.
pub type Checking = Pin<Box<dyn Future<Output = Result<KeyCheck, Problem>> + Send>>;

/// Who keeps the keys.
pub trait KeyRing: Send + Sync {
    /// All of them.
    fn keys(&self) -> Vec<Key>;
    /// Stores one.
    ///
    /// # Errors
    /// When there is no such provider, or no place takes the secret.
    fn add(&self, new: &NewKey, secret: Zeroizing<String>) -> Result<Key, Problem>;
    /// Makes one the one that is used.
    ///
    /// # Errors
    /// When there is no such key.
    fn choose(&self, provider: &str, label: &str) -> Result<(), Problem>;
    /// Removes one for good.
    ///
    /// # Errors
    /// When there is no such key, or its place cannot be opened.
    fn remove(&self, provider: &str, label: &str) -> Result<(), Problem>;
    /// Asks the provider whether one works, by a call that costs nothing.
    ///
    /// # Errors
    /// When there is no such key, or its secret cannot be had.
    fn check(self: Arc<Self>, provider: &str, label: &str) -> Checking;
}

pub(crate) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/keys", get(list).post(add))
        .route("/api/v1/keys/{provider}/{label}", delete(remove))
        .route("/api/v1/keys/{provider}/{label}/use", post(choose))
        .route("/api/v1/keys/{provider}/{label}/test", post(check))
}

async fn list(State(desk): State<Desk>) -> Json<Vec<Key>> {
    Json(desk.keys.keys())
}

async fn add(State(desk): State<Desk>, body: Bytes) -> Result<(StatusCode, Json<Key>), Problem> {
    // What is wrong with it must not be said by quoting it.
    let mut new: NewKey = serde_json::from_slice(&body).map_err(|_| {
        Problem::new(Code::BadBody, "this is not a key")
            .hint("Send `provider`, `secret` and perhaps `label`, `use_it`, `place`.")
    })?;
    let secret = Zeroizing::new(std::mem::take(&mut new.secret));
    let keys = Arc::clone(&desk.keys);
    let key = desk.change(move || keys.add(&new, secret)).await?;
    Ok((StatusCode::CREATED, Json(key)))
}

async fn choose(
    State(desk): State<Desk>,
    Path((provider, label)): Path<(String, String)>,
) -> Result<Json<Vec<Key>>, Problem> {
    let keys = Arc::clone(&desk.keys);
    desk.change(move || keys.choose(&provider, &label)).await?;
    Ok(Json(desk.keys.keys()))
}

async fn check(
    State(desk): State<Desk>,
    Path((provider, label)): Path<(String, String)>,
) -> Result<Json<KeyCheck>, Problem> {
    let checked = Arc::clone(&desk.keys).check(&provider, &label).await?;
    // A keychain that opened for this serves calls from now on.
    desk.change(|| Ok(())).await?;
    Ok(Json(checked))
}

async fn remove(
    State(desk): State<Desk>,
    Path((provider, label)): Path<(String, String)>,
) -> Result<Json<Vec<Key>>, Problem> {
    let keys = Arc::clone(&desk.keys);
    desk.change(move || keys.remove(&provider, &label)).await?;
    Ok(Json(desk.keys.keys()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_a_new_key_is_not_its_secret() {
        let new: NewKey =
            serde_json::from_str(r#"{"provider":"x","secret":"sk-PLANTED"}"#).unwrap();
        let printed = format!("{new:?} {new:#?}");
        assert!(printed.contains("•••") && !printed.contains("PLANTED"), "{printed}");
    }
}
