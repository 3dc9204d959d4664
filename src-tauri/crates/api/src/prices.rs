//! `/api/v1/prices`: the prices in force, how old they are, and the user's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use meter::Timestamp;
use meter::price::{Book, ListedModel, OwnPrice};
use serde::{Deserialize, Serialize};

use crate::problem::{Code, Problem};
use crate::readers::stumbled;
use crate::router::Desk;

/// Days after which a book is worth renewing.
pub const STALE_DAYS: i64 = 45;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The answer to `prices`: what is in force and how fresh it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct PriceList {
    /// What identifies it on receipts.
    pub book_hash: String,
    /// How many models are listed.
    pub models: usize,
    /// When the list was last compared with its sources.
    pub made_at: Timestamp,
    /// Days since then.
    pub days: i64,
    /// Whether that is too long ago.
    pub stale: bool,
    /// The number of the bundle it came in; `null`: compiled into the program.
    pub sequence: Option<u64>,
    /// The newest change that is in force.
    pub newest: Option<Timestamp>,
    /// The same by provider.
    pub providers: Vec<ProviderPrices>,
    /// Changes that are announced.
    pub due: Vec<DuePrice>,
    /// Changes that were announced, and whose day came after the list was made: whether they
    /// came true nobody has looked.
    pub passed: Vec<DuePrice>,
    /// Models whose sources contradict each other.
    pub disputed: Vec<DisputedPrice>,
    /// The user's own prices, which win, in the order of their file.
    pub own: Vec<OwnPrice>,
}

/// What is listed for one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct ProviderPrices {
    /// Its id.
    pub provider: String,
    /// How many models.
    pub models: usize,
    /// The newest change that is in force.
    pub newest: Option<Timestamp>,
}

/// A change of a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct DuePrice {
    /// Who is paid.
    pub provider: String,
    /// For which model.
    pub model: String,
    /// From when on.
    pub at: Timestamp,
}

/// A price about which sources do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct DisputedPrice {
    /// Who is paid.
    pub provider: String,
    /// For which model.
    pub model: String,
    /// What is known about it.
    pub note: Option<String>,
}

/// Which prices are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct PricesInForce {
    /// What identifies them on receipts.
    pub book_hash: String,
    /// How many entries of the user's own are among them.
    pub own: usize,
}

/// A price that the user tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct TellPrice {
    /// Who is paid.
    pub provider: String,
    /// The model, as it stands on receipts; empty: whatever the provider has.
    pub model: String,
    /// From when on, such as `2026-11-01`; absent: always.
    #[serde(default)]
    pub from: Option<String>,
    /// Rates by factor, as in `prices.toml`: `input.text` to `3`, dollars a million tokens.
    pub rates: BTreeMap<String, String>,
}

/// What a look for newer prices came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Refreshed {
    /// Whether other prices are in force than before.
    pub renewed: bool,
    /// The number of the bundle in force.
    pub sequence: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// What identifies the prices in force on receipts.
    pub book_hash: String,
}

impl PriceList {
    /// What a book says about itself at an instant.
    pub fn of(book: &Book, now: Timestamp) -> Self {
        let models = book.catalogue();
        let newest = |provider: Option<&str>| {
            let of = models.iter().filter(|m| provider.is_none_or(|id| *m.provider == *id));
            let starts = of.flat_map(|model| model.versions.iter().filter_map(|v| v.from));
            starts.filter(|from| *from <= now).max()
        };
        let providers = book.providers().map(|provider| ProviderPrices {
            provider: provider.to_owned(),
            models: models.iter().filter(|model| *model.provider == *provider).count(),
            newest: newest(Some(provider)),
        });
        let first = |model: &ListedModel, after: Timestamp| {
            let starts = model.versions.iter().filter_map(|v| v.from).filter(|from| *from > after);
            let due = |at| DuePrice {
                provider: model.provider.to_string(),
                model: model.id.to_string(),
                at,
            };
            starts.min().map(due)
        };
        let made_at = book.edition().made_at;
        let days = (now.millis() - made_at.millis()) / DAY_MS;
        let disputed = models.iter().filter(|m| m.confidence.as_deref() == Some("disputed"));
        let disputed = disputed.map(|model| DisputedPrice {
            provider: model.provider.to_string(),
            model: model.id.to_string(),
            note: model.note.as_deref().map(str::to_owned),
        });
        Self {
            book_hash: book.hash().to_owned(),
            models: models.len(),
            made_at,
            days,
            stale: days > STALE_DAYS,
            sequence: book.edition().sequence,
            newest: newest(None),
            providers: providers.collect(),
            due: models.iter().filter_map(|model| first(model, now)).collect(),
            passed: models
                .iter()
                .filter_map(|model| first(model, made_at))
                .filter(|due| due.at <= now)
                .collect(),
            disputed: disputed.collect(),
            own: book.overrides().entries.clone(),
        }
    }
}

/// What everybody who reads usage may see.
pub(crate) fn reading() -> Router<Desk> {
    Router::new().route("/api/v1/prices", get(list))
}

pub(crate) fn managing() -> Router<Desk> {
    Router::new()
        .route("/api/v1/prices/own", put(tell))
        .route("/api/v1/prices/override", post(renew))
        .route("/api/v1/prices/refresh", post(refresh))
}

async fn list(State(desk): State<Desk>) -> Result<Json<PriceList>, Problem> {
    let now = desk.here().now;
    let prices = Arc::clone(&desk.prices);
    let list = tokio::task::spawn_blocking(move || Ok(PriceList::of(&*prices(None)?, now)));
    list.await.unwrap_or_else(|_| Err(stumbled())).map(Json)
}

/// Writes a price of the user's own and puts it in force.
async fn tell(
    State(desk): State<Desk>,
    told: Result<Json<TellPrice>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<PricesInForce>, Problem> {
    let Json(told) = told.map_err(|rejection| {
        Problem::new(Code::BadBody, rejection.body_text())
            .hint("Send `provider`, `model` and `rates`, such as `{\"input.text\": \"3\"}`.")
    })?;
    let tell = Arc::clone(&desk.tell_price);
    let done = tokio::task::spawn_blocking(move || tell(&told));
    done.await.unwrap_or_else(|_| Err(stumbled())).map(|book| Json(PricesInForce::of(&book)))
}

/// Fetches newer prices, if the configuration says where from.
async fn refresh(State(desk): State<Desk>) -> Result<Json<Refreshed>, Problem> {
    (desk.refresh)().await.map(Json)
}

/// Reads the user's own prices anew.
async fn renew(State(desk): State<Desk>) -> Result<Json<PricesInForce>, Problem> {
    let prices = Arc::clone(&desk.prices);
    let read = tokio::task::spawn_blocking(move || prices(None));
    let book = read.await.unwrap_or_else(|_| Err(stumbled()))?;
    Ok(Json(PricesInForce::of(&book)))
}

impl PricesInForce {
    fn of(book: &Book) -> Self {
        Self { book_hash: book.hash().to_owned(), own: book.overrides().entries.len() }
    }
}
