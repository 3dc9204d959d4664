//! Pruning: old receipts go, their sums stay. What there is to remove is shown first, and nothing
//! goes before the ledger was copied.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use meter::Timestamp;
use serde::{Deserialize, Serialize};
use store::Prunable;

use crate::problem::{Code, Problem};
use crate::query::{Query, Question};
use crate::readers::stumbled;
use crate::router::Desk;

/// Which receipts to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct PruneOrder {
    /// Those from before this day or instant.
    pub before: Option<String>,
    /// Those older than such as `2y` or `400d`.
    pub older_than: Option<String>,
    /// `true` removes them; otherwise they are only counted.
    #[serde(default)]
    pub remove: bool,
}

/// What was, or would be, removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Pruned {
    /// Whether they were removed.
    pub removed: bool,
    /// Receipts from before this instant, the begin of a day in UTC.
    pub before: Timestamp,
    /// How many those are.
    pub receipts: u64,
    /// How many of that time stay: nobody knows their cost, and budgets count what was set aside
    /// for them.
    pub kept: u64,
    /// The copy of the ledger that was made first; absent: nothing was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<LedgerCopy>,
}

/// A copy of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct LedgerCopy {
    /// The file, on the machine that keeps the ledger.
    pub path: String,
    /// How large it is.
    pub bytes: u64,
}

/// Copies the ledger, before something is taken out of it.
pub type CopyFirst = Arc<dyn Fn() -> Result<Option<LedgerCopy>, Problem> + Send + Sync>;

/// Two would only stand in each other's way.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Does something while nobody else prunes.
///
/// # Errors
/// When somebody does.
pub fn alone<T>(act: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    let Ok(_alone) = ONE_AT_A_TIME.try_lock() else {
        let message = "receipts are being pruned already";
        return Err(Problem::new(Code::Conflict, message).hint("Ask again when it is done."));
    };
    act()
}

pub(crate) fn routes() -> Router<Desk> {
    Router::new().route("/api/v1/prune", post(prune))
}

async fn prune(State(desk): State<Desk>, body: Bytes) -> Result<Json<Pruned>, Problem> {
    let order: PruneOrder = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(Code::BadBody, format!("this is not a pruning: {error}"))
            .hint("Send such as {\"older_than\":\"2y\"}.")
    })?;
    let here = desk.here();
    // The instants of questions, read as they are there.
    let before = match (&order.before, &order.older_than) {
        (Some(day), None) => Query::parse(Question::Usage, &[("to", day)], here)?.filter.to,
        (None, Some(age)) => Query::parse(Question::Usage, &[("last", age)], here)?.filter.from,
        (Some(_), Some(_)) | (None, None) => None,
    };
    let before = before.ok_or_else(|| {
        Problem::new(Code::BadBody, "a pruning needs either `before` or `older_than`")
            .hint("Send such as {\"older_than\":\"2y\"}.")
    })?;
    let (ledger, now) = (Arc::clone(&desk.ledger), (desk.clock)());
    let prunable = desk.readers.ask(move |questions| Ok(questions.prunable(before, now)?));
    let Prunable { before, receipts, kept } = prunable.await?;
    let mut pruned = Pruned { removed: order.remove, before, receipts, kept, copy: None };
    if order.remove {
        let copy_first = Arc::clone(&desk.copy_first);
        // It may take minutes: no turn of those who read is held meanwhile.
        let removed = tokio::task::spawn_blocking(move || {
            alone(|| {
                let copy = if receipts > 0 { copy_first()? } else { None };
                ledger.prune(before, now)?;
                Ok(copy)
            })
        });
        pruned.copy = removed.await.unwrap_or_else(|_| Err(stumbled()))?;
    }
    Ok(Json(pruned))
}
