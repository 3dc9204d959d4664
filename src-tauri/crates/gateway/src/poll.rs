//! A call that asks about a job which an earlier call began. It has a receipt of its own, for
//! which nothing is to be paid; what it tells of the job is handed off beside it.

use meter::Receipt;
use meter::receipt::{Anomaly, Kind, Settlement, Status, UsageState};
use meter::usage::{Basis, UsageLine};

use crate::Outcome;
use crate::tally::Ending;

/// Why the settlements of this file are appended.
const REASON: &str = "job";

/// Takes the job's facts off the receipt of a poll. Absent while the job is not over, or where
/// the answer does not tell.
pub(crate) fn part(poll: &mut Receipt, how: Ending) -> Option<Box<Receipt>> {
    let answered = poll.http_status.is_some_and(|status| status < 400) && poll.format.is_some();
    let is_unclear = poll
        .anomalies
        .iter()
        .any(|a| matches!(a, Anomaly::UnterminatedStream | Anomaly::Unreadable));
    let is_whole = how == Ending::Complete && !is_unclear;
    let is_over = match poll.status {
        Status::Succeeded => true,
        Status::Error | Status::Cancelled => is_whole,
        Status::Pending | Status::Denied | Status::Interrupted => false,
    };
    let job = (answered && is_over && poll.response_id.is_some()).then(|| {
        let kind = Kind::Chat;
        Box::new(Receipt { kind, ..poll.clone() })
    });
    poll.usage_state = UsageState::None;
    poll.usage_raw = None;
    if answered && (is_whole || poll.status == Status::Pending) {
        // The job's misfortune is not the poll's.
        poll.status = Status::Succeeded;
        (poll.error_type, poll.error_message, poll.finish_reason) = (None, None, None);
    }
    job
}

/// Of a poll's answer only what the provider itself counted is news.
pub(crate) fn counted(lines: &[UsageLine]) -> Vec<UsageLine> {
    lines.iter().filter(|line| line.basis != Basis::Estimated).cloned().collect()
}

/// Words the news: `job` is valued, `poll` complete.
pub(crate) fn outcome(job: Receipt, poll: &Receipt) -> Option<Outcome> {
    let settlement = Settlement {
        at: poll.ended_at,
        reason: REASON.into(),
        by: Some(poll.id),
        status: Some(job.status),
        usage_raw: job.usage_raw,
        usage_state: Some(job.usage_state),
        lines: job.lines,
        cost: job.cost,
        cost_state: job.cost_state,
        subtotal: job.subtotal,
        book_hash: job.book_hash,
        note: None,
    };
    job.response_id.map(|response_id| Outcome { response_id, settlement })
}
