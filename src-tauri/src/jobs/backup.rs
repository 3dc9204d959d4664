//! Copies the ledger now and then, beside the traffic. What a copy is, is `store`'s business.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use meter::Timestamp;
use store::{Backup, Questions, backups, forget_backups, is_copying};

use crate::config::BackupPlan;
use crate::home::Home;
use crate::jobs::prune::Pruning;
use crate::settings::now;

/// Between two looks whether a copy is due.
const LOOK: Duration = Duration::from_secs(10 * 60);

/// Copies the ledger for as long as it is waited for, and prunes it after each copy where that is
/// wanted; dropped, it ends a copy in the making.
pub(crate) async fn keep_backed_up(home: Home, plan: BackupPlan, pruning: Option<Pruning>) {
    let mut is_told = false;
    loop {
        match back_up_if_due(&home, &plan).await {
            Ok(None) => {}
            Ok(Some(made)) => {
                is_told = false;
                tracing::info!(path = %made.path.display(), bytes = made.bytes, "copied the ledger");
                if let Some(pruning) = &pruning {
                    pruning.after_a_copy().await;
                }
            }
            Err(error) => {
                // Once an episode, not every time.
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!("there is no new copy of the ledger: {error:#}");
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Copies the ledger into the folder of the copies, and forgets the oldest of those.
pub(crate) fn copy(home: &Home, plan: &BackupPlan) -> anyhow::Result<Option<Backup>> {
    copy_with(&Questions::open(home.path())?, home, plan)
}

fn copy_with(ledger: &Questions, home: &Home, plan: &BackupPlan) -> anyhow::Result<Option<Backup>> {
    let folder = plan.folder(home);
    let made = ledger.back_up(&folder, now())?;
    forget_backups(&folder, plan.keep, now())?;
    Ok(made)
}

async fn back_up_if_due(home: &Home, plan: &BackupPlan) -> anyhow::Result<Option<Backup>> {
    let (at, folder, every) = (home.path().to_owned(), plan.folder(home), plan.every);
    let Some(every) = every else { return Ok(None) };
    let due = move || -> anyhow::Result<Option<Questions>> {
        let now = now();
        // One of a clock that was ahead says nothing of what was written since.
        let newest = backups(&folder, now)?.into_iter().next().filter(|one| one.made_at <= now);
        if !is_due(newest.as_ref(), every, now) || !has_changed(&at, newest.as_ref()) {
            return Ok(None);
        }
        // Waiting for another's copy could not be ended when the program is.
        if is_copying(&folder)? {
            return Ok(None);
        }
        let ledger = Questions::open(&at)?;
        let is_empty = ledger.last_arrival()? == store::Arrival::default();
        Ok(Some(ledger).filter(|_| !is_empty))
    };
    let stumbled = "copying the ledger stumbled";
    let Some(ledger) = tokio::task::spawn_blocking(due).await.context(stumbled)?? else {
        return Ok(None);
    };
    let _ends_with_us = ledger.stop_copying();
    let (home, plan) = (home.clone(), plan.clone());
    let copied = tokio::task::spawn_blocking(move || copy_with(&ledger, &home, &plan));
    copied.await.context(stumbled)?
}

/// A copy from the future is one of a clock that was set back since.
fn is_due(newest: Option<&Backup>, every: Duration, now: Timestamp) -> bool {
    newest.is_none_or(|newest| {
        let age = now.millis() - newest.made_at.millis();
        age < 0 || age.unsigned_abs() >= every.as_millis() as u64
    })
}

/// Whether anything was written since; where the system does not say, it may have been.
fn has_changed(home: &std::path::Path, newest: Option<&Backup>) -> bool {
    let written = |path: PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let Some(newest) = newest else { return true };
    let made =
        SystemTime::UNIX_EPOCH + Duration::from_millis(newest.made_at.millis().unsigned_abs());
    let last = ["ledger.db", "ledger.db-wal"].map(|name| written(home.join(name)));
    last.iter().flatten().max().is_none_or(|last| *last >= made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_due_when_the_last_is_old_enough_or_from_a_clock_that_ran_ahead() {
        let at = Timestamp::from_millis;
        let made = |ms| Backup { path: PathBuf::new(), made_at: at(ms), bytes: 1 };
        let hour = Duration::from_secs(3600);
        assert!(is_due(None, hour, at(0)));
        assert!(!is_due(Some(&made(5_000)), hour, at(3_604_999)));
        assert!(is_due(Some(&made(5_000)), hour, at(3_605_000)));
        assert!(is_due(Some(&made(5_000)), hour, at(4_999)));
    }
}
