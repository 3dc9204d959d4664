//! Removes receipts that are older than the user keeps them, after a copy of the ledger was made
//! and never without one. What pruning is, is `store`'s business.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::problem::Problem;
use store::Ledger;

use crate::config::PrunePlan;
use crate::settings::now;

/// Pruning by the calendar.
pub(crate) struct Pruning {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) plan: PrunePlan,
}

impl Pruning {
    /// Removes what is too old by now. Dropped, it ends soon; the next start does what is left.
    pub(crate) async fn after_a_copy(&self) {
        let (ledger, now) = (Arc::clone(&self.ledger), now());
        let Some(before) = self.plan.before(now) else { return };
        let going_on = GoingOn::default();
        let is_wanted = Arc::clone(&going_on.0);
        let prune = move || {
            let go_on = || is_wanted.load(Ordering::Relaxed);
            api::prune::alone(|| ledger.prune_while(before, now, go_on).map_err(Problem::from))
        };
        match tokio::task::spawn_blocking(prune).await {
            Ok(Ok(before)) => tracing::info!(%before, "older receipts are pruned; their sums stay"),
            Ok(Err(problem)) => tracing::warn!("old receipts stay for now: {problem}"),
            Err(_) => tracing::error!("pruning stumbled"),
        }
        drop(going_on);
    }
}

/// Says that pruning is no longer wanted once it is dropped.
struct GoingOn(Arc<AtomicBool>);

impl Default for GoingOn {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for GoingOn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
