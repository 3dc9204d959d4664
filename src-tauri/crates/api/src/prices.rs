//! `/api/v1/prices`: the prices in force.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use meter::Timestamp;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::readers::stumbled;
use crate::router::Desk;

/// Which prices are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct PricesInForce {
    /// What identifies them on receipts.
    pub book_hash: String,
    /// How many entries of the user's own are among them.
    pub own: usize,
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

pub(crate) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/prices/override", post(renew))
        .route("/api/v1/prices/refresh", post(refresh))
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
    let own = book.overrides().entries.len();
    Ok(Json(PricesInForce { book_hash: book.hash().to_owned(), own }))
}
