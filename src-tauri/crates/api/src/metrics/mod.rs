//! What passed since this process began, for a monitoring system: counted in memory from
//! finished receipts, told in Prometheus' text format at `/metrics`. It must not know who asks.
//!
//! Names of models come from clients, so the number of series is bounded: a model has series of
//! its own from its first answered call on, as long as there is room; all others share `other`.

pub(crate) mod buckets;
mod exposition;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use meter::receipt::{AttemptEnd, Kind, Status};
use meter::usage::{Count, Factor, Unit};
use meter::{Currency, Money, Receipt};

use crate::problem::{Code, Problem};
use crate::router::Desk;
use buckets::Buckets;

/// Pairs of provider and model that have series of their own.
const MOST_MODELS: usize = 200;
/// Bytes of a model's name that are kept.
const NAME_BYTES: usize = 100;
/// The model of all calls whose model has no series of its own.
pub(crate) const OTHER: &str = "other";
/// The model of calls that name none.
const NO_MODEL: &str = "none";

/// In microseconds, 0.1 s to 10 min.
const LATENCY: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
];
/// In microseconds, 50 ms to 1 min.
const TTFT: &[u64] = &[
    50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
    60_000_000,
];
/// In microseconds, 50 µs to 0.1 s.
const OVERHEAD: &[u64] = &[50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000];

/// Counts calls. Cheap enough to be told of each as it ends.
#[derive(Debug, Default)]
pub struct Meters {
    counted: Mutex<Counted>,
}

/// Who served, as a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    provider: Box<str>,
    model: Box<str>,
}

/// Everything that was counted.
#[derive(Debug, Default)]
struct Counted {
    in_flight: BTreeMap<Box<str>, u64>,
    targets: BTreeMap<Target, Series>,
}

/// What one target was asked and gave.
#[derive(Debug)]
struct Series {
    requests: BTreeMap<(Kind, Status), u64>,
    errors: BTreeMap<Trouble, u64>,
    tokens: BTreeMap<&'static str, Count>,
    units: BTreeMap<&'static str, (Unit, Count)>,
    costs: BTreeMap<Currency, Money>,
    uncosted: u64,
    latency: Buckets,
    ttft: Buckets,
    overhead: Buckets,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            requests: BTreeMap::new(),
            errors: BTreeMap::new(),
            tokens: BTreeMap::new(),
            units: BTreeMap::new(),
            costs: BTreeMap::new(),
            uncosted: 0,
            latency: Buckets::new(LATENCY),
            ttft: Buckets::new(TTFT),
            overhead: Buckets::new(OVERHEAD),
        }
    }
}

/// Why a call did not succeed, in few enough words for a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Denied,
    Cancelled,
    Interrupted,
    RateLimited,
    Unauthorized,
    BadRequest,
    Upstream,
    Unreachable,
    TimedOut,
    Broken,
}

impl Trouble {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::BadRequest => "bad_request",
            Self::Upstream => "upstream",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Broken => "broken",
        }
    }

    fn of(receipt: &Receipt) -> Option<Self> {
        Some(match receipt.status {
            Status::Succeeded | Status::Pending => return None,
            Status::Denied => Self::Denied,
            Status::Cancelled => Self::Cancelled,
            Status::Interrupted => Self::Interrupted,
            Status::Error => match receipt.attempts.last().map(|attempt| attempt.ended) {
                Some(AttemptEnd::Unreachable) => Self::Unreachable,
                Some(AttemptEnd::TimedOut) => Self::TimedOut,
                Some(AttemptEnd::Broken) => Self::Broken,
                Some(AttemptEnd::Completed | AttemptEnd::Refused | AttemptEnd::Abandoned)
                | None => match receipt.http_status {
                    Some(429) => Self::RateLimited,
                    Some(401 | 403) => Self::Unauthorized,
                    Some(400..=499) => Self::BadRequest,
                    Some(_) | None => Self::Upstream,
                },
            },
        })
    }
}

impl Meters {
    /// A call has begun.
    pub fn begun(&self, receipt: &Receipt) {
        *self.counted().in_flight.entry(receipt.provider.clone()).or_default() += 1;
    }

    /// A call that had begun is over. The demonstration is no traffic, as everywhere.
    pub fn finished(&self, receipt: &Receipt) {
        let mut counted = self.counted();
        if let Some(running) = counted.in_flight.get_mut(&receipt.provider) {
            *running = running.saturating_sub(1);
        }
        if !receipt.is_demo() {
            counted.series_of(receipt).note(receipt);
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn series_of(&mut self, receipt: &Receipt) -> &mut Series {
        let named = receipt.model.as_deref().or(receipt.model_requested.as_deref());
        let provider = receipt.provider.clone();
        let model: Box<str> = shortened(named.unwrap_or(NO_MODEL)).into();
        let wanted = Target { provider, model };
        let is_real = named.is_none() || receipt.status == Status::Succeeded;
        let has_room = self.targets.len() < MOST_MODELS;
        let known = self.targets.contains_key(&wanted) || (is_real && has_room);
        let target = if known { wanted } else { Target { model: OTHER.into(), ..wanted } };
        self.targets.entry(target).or_default()
    }
}

/// The beginning of a name, cut between characters.
pub(crate) fn shortened(name: &str) -> &str {
    let end = (0..=NAME_BYTES.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
    &name[..end.unwrap_or(0)]
}

impl Series {
    fn note(&mut self, receipt: &Receipt) {
        *self.requests.entry((receipt.kind, receipt.status)).or_default() += 1;
        if let Some(trouble) = Trouble::of(receipt) {
            *self.errors.entry(trouble).or_default() += 1;
        }
        for line in &receipt.lines {
            let (factor, unit) = (label_of(&line.factor), line.unit);
            let sum = match unit {
                Unit::Token => self.tokens.entry(factor).or_default(),
                _ => &mut self.units.entry(factor).or_insert((unit, Count::ZERO)).1,
            };
            *sum = sum.plus(line.count);
        }
        match receipt.cost {
            Some(cost) => {
                let sum = self.costs.entry(receipt.currency).or_default();
                *sum = sum.checked_add(cost).unwrap_or(*sum);
            }
            None => self.uncosted += 1,
        }
        self.latency.record(receipt.latency_ms.saturating_mul(1000));
        if let Some(ttft) = receipt.ttft_ms {
            self.ttft.record(ttft.saturating_mul(1000));
        }
        if let Some(overhead) = receipt.overhead_us {
            self.overhead.record(overhead);
        }
    }
}

/// A factor as a label, without what providers may put into its name.
fn label_of(factor: &Factor) -> &'static str {
    match (factor.name(), factor) {
        (Cow::Borrowed(name), _) => name,
        (Cow::Owned(_), Factor::InputCacheWriteFor(_)) => "input.cache_write",
        (Cow::Owned(_), _) => "tool.other",
    }
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(desk): State<Desk>) -> Result<Response, Problem> {
    let Some(meters) = desk.meters else {
        return Err(Problem::new(Code::NotFound, "metrics are switched off").hint(
            "Write `[metrics]` and `enabled = true` into config.toml and start Tollgate anew.",
        ));
    };
    let text = exposition::written(&meters.counted(), &desk.ledger.health());
    Ok(([(CONTENT_TYPE, exposition::CONTENT)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter::{ReceiptId, Timestamp};

    fn called(model: &str, status: Status) -> Receipt {
        let id = ReceiptId::new(Timestamp::from_millis(1), 1, 1);
        let mut receipt = Receipt::begun(id, Timestamp::from_millis(1), "openai", "");
        receipt.model_requested = Some(model.into());
        receipt.status = status;
        receipt
    }

    fn models(meters: &Meters) -> Vec<Box<str>> {
        meters.counted().targets.keys().map(|target| target.model.clone()).collect()
    }

    #[test]
    fn names_that_clients_make_up_get_no_series_of_their_own() {
        let meters = Meters::default();
        for made_up in 0..1000 {
            meters.finished(&called(&format!("made-up-{made_up}"), Status::Error));
        }
        meters.finished(&called("real", Status::Succeeded));
        meters.finished(&called("real", Status::Error));
        assert_eq!(models(&meters), ["other".into(), "real".into()]);
    }

    #[test]
    fn there_are_at_most_so_many_series_whoever_answers() {
        let meters = Meters::default();
        for number in 0..1000 {
            meters.finished(&called(&format!("m{number:04}"), Status::Succeeded));
        }
        let models = models(&meters);
        assert_eq!(models.len(), MOST_MODELS + 1);
        assert_eq!(models.last().map(|name| &**name), Some(OTHER));
        let counted = meters.counted();
        let total: u64 = counted.targets.values().flat_map(|one| one.requests.values()).sum();
        assert_eq!(total, 1000);
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        assert_eq!(shortened(&"é".repeat(80)), "é".repeat(50));
        assert_eq!(shortened(&format!("a{}", "é".repeat(80))).len(), 99);
    }
}
