//! Fine-tuning jobs, as the calls that began them and later looked at them told.

use meter::receipt::{CostState, Kind, Status};
use meter::usage::{Count, Factor};
use meter::{Currency, Money, Receipt, ReceiptId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Filter, Questions, Standing};

use crate::problem::Problem;

/// Jobs of one answer, the newest.
const MOST_JOBS: usize = 1000;

/// One fine-tuning. Nobody asks the provider about it but the user's own programs; what their
/// calls showed is what is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct FineTuning {
    /// The provider's id of the job.
    pub job: String,
    /// Whose servers train.
    pub provider: String,
    /// The model that is trained on.
    pub model: Option<String>,
    /// How it stood when a call last showed it; `pending`: it went on then.
    pub status: Status,
    /// When the call began that started it.
    pub began: Timestamp,
    /// When a call showed that it was over; `null`: none did.
    pub ended: Option<Timestamp>,
    /// Seconds between the two; `null`: it goes on, as far as is known.
    pub seconds: Option<u64>,
    /// Tokens it was trained on; `null`: nobody said.
    pub trained_tokens: Option<Count>,
    /// What it came to; `null`: unknown.
    pub cost: Option<Money>,
    /// Of the cost.
    pub currency: Currency,
    /// What stands behind the cost.
    pub cost_state: CostState,
    /// The receipt of the call that started it.
    pub receipt: ReceiptId,
}

/// The jobs that were started in the period of a filter, newest first.
pub(super) fn tunings(ledger: &Questions, filter: &Filter) -> Result<Vec<FineTuning>, Problem> {
    let kinds = vec![Kind::FineTuning];
    if !(filter.kinds.is_empty() || filter.kinds.contains(&Kind::FineTuning)) {
        return Ok(Vec::new());
    }
    let filter = Filter { kinds, ..filter.clone() };
    let started = ledger.requests(&filter, None, MOST_JOBS)?;
    Ok(started.iter().filter_map(FineTuning::of).collect())
}

impl FineTuning {
    /// What a receipt tells of it; nothing where no job came of the call.
    fn of(receipt: &Receipt) -> Option<Self> {
        let job = receipt.response_id.as_deref()?;
        let standing = Standing::of(receipt);
        // A job may be over at once; else the news of its end came later.
        let is_over = standing.status != Status::Pending;
        let news = receipt.settlements.iter().find(|news| news.status.is_some());
        let ended = news.map_or(receipt.ended_at, |news| news.at);
        let ended = is_over.then_some(ended);
        let trained = standing.lines.iter().find(|line| line.factor == Factor::TrainTokens);
        let model = receipt.model.as_deref().or(receipt.model_requested.as_deref());
        let seconds = |ended: Timestamp| {
            (ended.millis() - receipt.started_at.millis()).max(0).unsigned_abs() / 1000
        };
        Some(Self {
            job: job.to_owned(),
            provider: receipt.provider.to_string(),
            model: model.map(str::to_owned),
            status: standing.status,
            began: receipt.started_at,
            ended,
            seconds: ended.map(seconds),
            trained_tokens: trained.map(|line| line.count),
            cost: standing.cost,
            currency: receipt.currency,
            cost_state: standing.cost_state,
            receipt: receipt.id,
        })
    }
}
