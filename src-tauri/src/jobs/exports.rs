//! Looks after the folder of exports: what is too old goes, and what a Tollgate before this one
//! left behind is noticed. Which that is, is `api`'s business.

use std::sync::Arc;
use std::time::Duration;

use api::exports::Workshop;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// Keeps the folder tidy for as long as it is waited for.
pub(crate) async fn keep_tidy(workshop: Arc<Workshop>) {
    loop {
        let tidied = Arc::clone(&workshop);
        if tokio::task::spawn_blocking(move || tidied.tidy()).await.is_err() {
            tracing::error!("tidying up exports panicked");
        }
        tokio::time::sleep(LOOK).await;
    }
}
