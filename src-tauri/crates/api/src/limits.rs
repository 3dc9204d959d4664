//! `GET limits`: what the providers said they still allow, kept in memory from the headers of
//! their answers, and when that will be used up at the present pace. No credential is known here,
//! only the label of a stored key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use meter::limits::{LimitReading, RETRY};
use meter::{Receipt, Timestamp};
use serde::{Deserialize, Serialize};

use crate::metrics::shortened;
use crate::problem::Problem;
use crate::router::Desk;

/// Limits that are kept; the one not heard of for longest goes first.
const MOST: usize = 256;
/// How far back the pace is measured, and by how many answers.
const PACE_MS: i64 = 10 * 60 * 1000;
const PACE_SAMPLES: usize = 32;
/// Less is a warning.
const LOW_MILLIONTHS: u64 = 100_000;
const MILLION: u64 = 1_000_000;

/// The answer to `limits`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct KnownLimits {
    /// Those that are nearest to their end first.
    pub limits: Vec<KnownLimit>,
}

/// One limit of one provider, as its last answer told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct KnownLimit {
    /// Whose.
    pub provider: String,
    /// For which stored key; `null`: for those that clients bring.
    pub key: Option<String>,
    /// For which model: providers count most models apart.
    pub model: Option<String>,
    /// What is limited, in the provider's word: `requests`, `tokens`, `input-tokens`, …; `retry`:
    /// it was asked too often and wants to be left alone until `resets_at`.
    pub what: String,
    /// How many there are in all.
    pub limit: Option<u64>,
    /// How many were left then.
    pub remaining: Option<u64>,
    /// How much was gone then, in percent, rounded up.
    pub used_percent: Option<u8>,
    /// When it is whole again.
    pub resets_at: Option<Timestamp>,
    /// When the provider said so.
    pub seen_at: Timestamp,
    /// How it stands now.
    pub state: LimitState,
    /// When it will be used up at the pace of the last minutes, if that is before it is whole again.
    pub used_up_at: Option<Timestamp>,
}

/// How a limit stands now.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, specta::Type,
)]
#[serde(rename_all = "snake_case")]
pub enum LimitState {
    /// Nothing is left.
    Exhausted,
    /// Less than a tenth is left.
    Low,
    /// There is enough.
    Fine,
    /// It has become whole since the provider spoke.
    Reset,
}

/// Whose limits stand together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    provider: Box<str>,
    key: Option<Box<str>>,
    model: Option<Box<str>>,
    what: Box<str>,
}

/// What is known of one.
#[derive(Clone, Debug)]
struct Kept {
    reading: LimitReading,
    seen_at: Timestamp,
    /// What was left when, since it last grew; oldest first.
    pace: VecDeque<(Timestamp, u64)>,
}

/// What the providers said last.
#[derive(Debug, Default)]
pub struct LimitBoard {
    kept: Mutex<BTreeMap<Holder, Kept>>,
}

impl LimitBoard {
    /// An answer told of these limits, at this instant.
    pub fn told(&self, receipt: &Receipt, at: Timestamp, readings: &[LimitReading]) {
        let mut kept = self.kept();
        let model = receipt.model_requested.as_deref().map(|model| shortened(model).into());
        for reading in readings {
            let holder = Holder {
                provider: receipt.provider.clone(),
                key: receipt.key.clone(),
                model: model.clone(),
                what: reading.what.clone(),
            };
            if kept.len() >= MOST && !kept.contains_key(&holder) {
                forget_oldest(&mut kept);
            }
            let known = kept.entry(holder).or_insert_with(|| Kept::begun(at));
            known.note(reading, at);
        }
    }

    /// What is known, at this instant.
    pub fn known(&self, now: Timestamp) -> KnownLimits {
        let kept = self.kept();
        let mut limits: Vec<KnownLimit> =
            kept.iter().map(|(holder, kept)| kept.at(holder, now)).collect();
        limits.sort_by_key(|one| (one.state, std::cmp::Reverse(one.used_percent)));
        KnownLimits { limits }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Holder, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_oldest(kept: &mut BTreeMap<Holder, Kept>) {
    let oldest = kept.iter().min_by_key(|(_, kept)| kept.seen_at).map(|(holder, _)| holder.clone());
    if let Some(oldest) = oldest {
        kept.remove(&oldest);
    }
}

impl Kept {
    fn begun(at: Timestamp) -> Self {
        Self { reading: LimitReading::default(), seen_at: at, pace: VecDeque::new() }
    }

    /// Answers may end in another order than they began.
    fn note(&mut self, reading: &LimitReading, at: Timestamp) {
        if at < self.seen_at {
            return;
        }
        self.seen_at = at;
        self.reading = reading.clone();
        let Some(left) = reading.remaining else { return };
        if self.pace.back().is_some_and(|(_, before)| left > *before) {
            self.pace.clear();
        }
        self.pace.push_back((at, left));
        let since = at.millis() - PACE_MS;
        while self.pace.len() > PACE_SAMPLES
            || self.pace.front().is_some_and(|(seen, _)| seen.millis() < since)
        {
            self.pace.pop_front();
        }
    }

    fn at(&self, holder: &Holder, now: Timestamp) -> KnownLimit {
        let LimitReading { limit, remaining, resets_at, .. } = self.reading;
        let used = self.used_millionths();
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let is_retry = &*holder.what == RETRY;
        let state = match used {
            _ if resets_at.is_some_and(|at| at <= now) => LimitState::Reset,
            _ if is_retry || remaining == Some(0) => LimitState::Exhausted,
            Some(MILLION..) => LimitState::Exhausted,
            Some(used) if used > MILLION - LOW_MILLIONTHS => LimitState::Low,
            Some(_) | None => LimitState::Fine,
        };
        KnownLimit {
            provider: holder.provider.to_string(),
            key: text(&holder.key),
            model: text(&holder.model),
            what: holder.what.to_string(),
            limit,
            remaining,
            used_percent: used.and_then(|used| u8::try_from(used.div_ceil(10_000)).ok()),
            resets_at,
            seen_at: self.seen_at,
            state,
            used_up_at: match state {
                LimitState::Low | LimitState::Fine => self.used_up_at(now),
                LimitState::Exhausted | LimitState::Reset => None,
            },
        }
    }

    fn used_millionths(&self) -> Option<u64> {
        let of_counts = || {
            let (limit, left) = (self.reading.limit?, self.reading.remaining?);
            let used = u128::from(limit.saturating_sub(left)) * u128::from(MILLION);
            u64::try_from(used.checked_div(limit.into())?).ok()
        };
        self.reading.used_millionths.or_else(of_counts)
    }

    /// The pace of what was seen, carried on; nothing where it has become whole before.
    fn used_up_at(&self, now: Timestamp) -> Option<Timestamp> {
        let (first_at, first_left) = *self.pace.front()?;
        let (last_at, left) = *self.pace.back()?;
        let (took, gone) = (last_at.millis() - first_at.millis(), first_left.checked_sub(left)?);
        if took <= 0 || gone == 0 || now.millis() - last_at.millis() > PACE_MS {
            return None;
        }
        let more = i128::from(took) * i128::from(left) / i128::from(gone);
        let end = last_at.millis().checked_add(i64::try_from(more).ok()?)?;
        let is_before = self.reading.resets_at.is_none_or(|whole| end < whole.millis());
        is_before.then(|| Timestamp::from_millis(end.max(now.millis())))
    }
}

/// `GET limits`.
pub(crate) async fn limits(State(desk): State<Desk>) -> Result<Json<KnownLimits>, Problem> {
    Ok(Json(desk.limits.known((desk.clock)())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter::ReceiptId;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_742_031_480_000 + seconds * 1000)
    }

    fn receipt(key: Option<&str>, model: &str) -> Receipt {
        let id = ReceiptId::new(at(0), 1, 1);
        let mut receipt = Receipt::begun(id, at(0), "openai", "");
        receipt.key = key.map(Into::into);
        receipt.model_requested = Some(model.into());
        receipt
    }

    fn tokens(remaining: u64, resets_at: Option<Timestamp>) -> [LimitReading; 1] {
        [LimitReading {
            what: "tokens".into(),
            limit: Some(1000),
            remaining: Some(remaining),
            used_millionths: None,
            resets_at,
        }]
    }

    fn only(board: &LimitBoard, now: Timestamp) -> KnownLimit {
        let mut known = board.known(now).limits;
        assert_eq!(known.len(), 1);
        known.remove(0)
    }

    #[test]
    fn the_pace_of_the_last_minutes_says_when_it_is_used_up() {
        let (board, receipt) = (LimitBoard::default(), receipt(None, "m"));
        board.told(&receipt, at(0), &tokens(900, Some(at(600))));
        assert_eq!(only(&board, at(0)).used_up_at, None, "one answer has no pace");
        board.told(&receipt, at(60), &tokens(600, Some(at(600))));
        let known = only(&board, at(60));
        // 300 in a minute: 600 last two more.
        assert_eq!((known.state, known.used_up_at), (LimitState::Fine, Some(at(180))));
        assert_eq!((known.used_percent, known.remaining), (Some(40), Some(600)));
        board.told(&receipt, at(61), &tokens(50, Some(at(62))));
        let known = only(&board, at(61));
        assert_eq!((known.state, known.used_up_at), (LimitState::Low, None), "it is whole before");
        assert_eq!(only(&board, at(62)).state, LimitState::Reset);
        board.told(&receipt, at(63), &tokens(1000, Some(at(123))));
        assert_eq!(only(&board, at(63)).used_up_at, None, "it grew: another pace");
        board.told(&receipt, at(64), &tokens(0, Some(at(123))));
        assert_eq!(only(&board, at(64)).state, LimitState::Exhausted);
    }

    #[test]
    fn an_answer_that_began_earlier_does_not_undo_a_later_one() {
        let (board, receipt) = (LimitBoard::default(), receipt(None, "m"));
        board.told(&receipt, at(10), &tokens(500, None));
        board.told(&receipt, at(5), &tokens(700, None));
        assert_eq!(only(&board, at(10)).remaining, Some(500));
    }

    #[test]
    fn keys_and_models_stand_apart_and_there_are_not_endlessly_many() {
        let board = LimitBoard::default();
        for key in [None, Some("work")] {
            for model in 0..1000 {
                let receipt = receipt(key, &model.to_string());
                board.told(&receipt, at(model), &tokens(500, None));
            }
        }
        let known = board.known(at(1000)).limits;
        assert_eq!(known.len(), MOST);
        assert!(known.iter().any(|one| one.key.as_deref() == Some("work")));
    }

    #[test]
    fn what_is_told_in_percent_needs_no_counts() {
        let board = LimitBoard::default();
        let plan = LimitReading {
            what: "plan-5h".into(),
            used_millionths: Some(951_000),
            resets_at: Some(at(100)),
            ..LimitReading::default()
        };
        board.told(&receipt(None, "m"), at(0), &[plan]);
        let known = only(&board, at(0));
        assert_eq!((known.state, known.used_percent), (LimitState::Low, Some(96)));
    }
}
