//! Has budgets counted anew now and then, and their news told: when the gateway says so, and
//! some time after the ledger changed, because prices and late facts change what was spent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::alerts::Teller;
use crate::alert_book::AlertBook;
use crate::budget_book::BudgetBook;

/// Looked at most this often.
const PACE: Duration = Duration::from_secs(1);

/// How long after the ledger changed it is asked again.
const LATER: Duration = Duration::from_secs(30);

/// Goes on for as long as the ledger changes.
pub(crate) async fn keep_count(
    book: Arc<BudgetBook>,
    alerts: Arc<AlertBook>,
    mut revision: watch::Receiver<u64>,
    tell: Teller,
) {
    loop {
        revision.mark_unchanged();
        let (counts, notes) = (Arc::clone(&book), Arc::clone(&alerts));
        let news = tokio::task::spawn_blocking(move || {
            counts.recount();
            counts.news().into_iter().map(|occurrence| notes.note(occurrence)).collect::<Vec<_>>()
        });
        for event in news.await.unwrap_or_default() {
            tracing::info!(budget = ?event.occurrence.rule, "budget");
            if event.is_to_be_told() {
                tell(&event);
            }
        }
        tokio::time::sleep(PACE).await;
        let later = async {
            tokio::time::sleep(LATER).await;
            revision.changed().await
        };
        tokio::select! {
            () = book.counting.changed() => {}
            changed = later => if changed.is_err() { return },
        }
    }
}
