//! `tollgate prune`: old receipts go, their sums stay.

use std::io::Write as _;

use api::prune::{PruneOrder, Pruned};
use axum::http::Method;
use clap::{ArgGroup, Args};
use meter::Timestamp;
use store::Questions;

use super::figure::{bytes, full_instant, grouped};
use super::filters::zone;
use super::remark;
use super::screen::Screen;

/// Removes old receipts and gives their space back; their sums stay to the quarter of an hour.
///
/// Whole days (UTC) of receipts are removed, while a Tollgate runs or while none does, a few hundred
/// at a time; calls do not wait. The ledger is copied first. Costs, tokens, requests and durations
/// of that time are still answered; single requests, tags and what is counted by them are not.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("which").required(true).args(["before", "older_than"])),
    after_help = "Examples:
  tollgate prune --older-than 2y --dry-run
  tollgate prune --before 2025-01-01"
)]
pub(crate) struct PruneArgs {
    /// Receipts from before this day
    #[arg(long, value_name = "DATE")]
    before: Option<String>,
    /// Receipts older than such as `2y` or `400d`
    #[arg(long, value_name = "SPAN")]
    older_than: Option<String>,
    /// Only say how many that are
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object, as `POST /api/v1/prune` answers
    #[arg(long)]
    json: bool,
}

impl PruneArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut order = PruneOrder {
            before: self.before.clone(),
            older_than: self.older_than.clone(),
            remove: false,
        };
        let mut done = send(&order)?;
        if !self.dry_run && done.receipts > 0 {
            order.remove = true;
            done = send(&order)?;
        }
        if let Some(copy) = &done.copy {
            remark(&format!("Copied the ledger to {} ({})", copy.path, bytes(copy.bytes)));
        }
        let mut screen = Screen::take();
        if self.json {
            screen.json(&done)?;
        } else {
            let what = if done.removed { "Removed" } else { "There are" };
            let (many, before) = (grouped(done.receipts), full_instant(done.before, zone()));
            writeln!(screen, "{what} {many} receipts from before {before}; their sums stay")?;
            if done.kept > 0 {
                let kept = grouped(done.kept);
                let why = "nobody knows their cost, and budgets count what was set aside for them";
                writeln!(screen, "{kept} more of that time are kept: {why}")?;
            }
        }
        Ok(screen.flush()?)
    }
}

/// Says if receipts of the time that was asked for were pruned.
pub(super) fn tell(ledger: &Questions, from: Option<Timestamp>) -> anyhow::Result<()> {
    let before = ledger.pruned_before()?.filter(|before| from.is_none_or(|from| from < *before));
    if let Some(before) = before {
        let (before, kept) = (full_instant(before, zone()), ledger.kept_in_pruned_time()?);
        let but = if kept > 0 { format!(", all but {}", grouped(kept)) } else { String::new() };
        remark(&format!(
            "Receipts from before {before} were pruned{but}; `tollgate usage` has their sums."
        ));
    }
    Ok(())
}

fn send(order: &PruneOrder) -> anyhow::Result<Pruned> {
    super::change(Method::POST, "/api/v1/prune", Some(order))
}
