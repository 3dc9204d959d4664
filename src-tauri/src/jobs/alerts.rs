//! Judges the alert rules whenever the ledger or the rules changed, and has the news told.
//! While nothing happens nothing is asked, unless something goes on that time alone can end.

use std::sync::Arc;
use std::time::Duration;

use api::alerts::{AlertEvent, AlertPlan, Memory, Rule, Verdict};
use api::period::Here;
use api::problem::Problem;
use api::question;
use api::readers::Readers;
use meter::Timestamp;
use tokio::sync::watch;

use crate::alert_book::AlertBook;
use crate::cli;
use crate::settings::now;

/// Tells the desktop of an event.
pub(crate) type Teller = Arc<dyn Fn(&AlertEvent) + Send + Sync>;

/// Judged at most this often.
const PACE: Duration = Duration::from_secs(1);

/// A window moves on while nothing happens; looked at this often while an episode lasts.
const WINDOW_MS: i64 = 15_000;

/// Clocks are set and machines sleep: what waits for a moment looks at least this often.
const DOZE_MS: i64 = 60_000;

/// Judges for as long as the ledger changes.
pub(crate) async fn watch_over(
    book: Arc<AlertBook>,
    readers: Arc<Readers>,
    mut revision: watch::Receiver<u64>,
    tell: Teller,
) {
    let mut plans = book.plans();
    loop {
        revision.mark_unchanged();
        let plan = Arc::clone(&plans.borrow_and_update());
        for rule in plan.rules.iter().filter(|rule| rule.is_enabled) {
            match judged(rule, &readers).await {
                Ok(verdict) => {
                    if let Some(event) = book.news(rule, verdict) {
                        let (rule, turn) = (&event.occurrence.rule, event.occurrence.turn);
                        tracing::info!(?rule, ?turn, "alert");
                        if event.is_to_be_told() {
                            tell(&event);
                        }
                    }
                }
                Err(problem) => tracing::debug!("an alert was not judged: {}", problem.message),
            }
        }
        tokio::time::sleep(PACE).await;
        let next = book.look(|plan, memory| next_look(plan, memory, here()));
        let next = async {
            match next {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = revision.changed() => if changed.is_err() { return },
            changed = plans.changed() => if changed.is_err() { return },
            () = next => {}
        }
    }
}

/// When to look again although nothing happened; nothing: not at all.
fn next_look(plan: &AlertPlan, memory: &Memory, here: Here) -> Option<Duration> {
    let ms = plan.rules.iter().filter(|rule| rule.is_enabled).filter_map(|rule| {
        let until = |at: Timestamp| (at.millis() - here.now.millis()).clamp(0, DOZE_MS);
        if !memory.is_active(&rule.name) {
            return rule.ripens(here).map(until);
        }
        let ends = rule.end(here).map_or(WINDOW_MS, until);
        let hush = memory.is_held(&rule.name).then(|| memory.hush(plan, rule, here)).flatten();
        let told = hush.and_then(|(_, end)| end).map(until);
        Some(told.map_or(ends, |told| told.min(ends)))
    });
    ms.min().map(|ms| Duration::from_millis(ms.unsigned_abs()))
}

async fn judged(rule: &Rule, readers: &Arc<Readers>) -> Result<Verdict, Problem> {
    let (here, rule) = (here(), rule.clone());
    let asked = rule.questions(here)?;
    let answered = readers.ask(move |ledger| {
        let now = question::usage(ledger, &asked.now, here.now)?;
        let before = asked.before.map(|before| question::usage(ledger, &before, here.now));
        Ok(rule.judge(here, &now, before.transpose()?.as_ref()))
    });
    answered.await
}

fn here() -> Here {
    Here { now: now(), zone: cli::zone() }
}
