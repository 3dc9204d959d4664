//! The receipt: the immutable record of one request. Never a body, never a secret.
//!
//! Field names are the public JSON contract, the CSV columns and the words of the CLI.

mod id;
mod raw_usage;
mod trace;
mod words;
mod workspace;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::format::Format;
use crate::money::{Currency, Money};
use crate::time::Timestamp;
use crate::usage::{Basis, Bound, Count, Factor, Unit};

pub use id::{ParseReceiptIdError, ReceiptId};
pub use raw_usage::RawUsage;
pub use trace::{ParseTraceParentError, TraceParent};
pub(crate) use words::words;
pub use words::{
    Anomaly, AttemptEnd, Billing, Capability, CostState, Kind, Profile, Status, Technology,
    UnknownWord, UsageState,
};
pub use workspace::{DEFAULT_WORKSPACE, DEMO_WORKSPACE, workspace_name};

/// One try at an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Attempt {
    /// Who was tried.
    pub provider: Box<str>,
    /// The model asked of it.
    pub model: Option<Box<str>>,
    /// What it answered.
    pub http_status: Option<u16>,
    /// Milliseconds after the request began.
    pub started_ms: u64,
    /// Milliseconds it took.
    pub duration_ms: u64,
    /// Why it ended.
    pub ended: AttemptEnd,
    /// What this try came to, where a route made several possible; absent: unknown, or a call
    /// without a route, whose receipt says it.
    #[serde(default)]
    pub cost: Option<Money>,
    /// Why a route chose it, in a few words.
    #[serde(default)]
    pub chosen: Option<Box<str>>,
}

/// One disjoint usage item with the money on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Line {
    /// What was used.
    pub factor: Factor,
    /// How many.
    pub count: Count,
    /// Of what.
    pub unit: Unit,
    /// Money per so many, as the price book writes it: `3 / 1M token`. Absent: no price known.
    pub rate: Option<Box<str>>,
    /// Count times rate, exact. Absent: unknown, never zero.
    pub amount: Option<Money>,
    /// The service tier the rate belongs to.
    pub tier: Option<Box<str>>,
    /// The version of the price record.
    pub price_version: Option<Box<str>>,
    /// Where the count comes from.
    pub basis: Basis,
    /// Whether the count can be off.
    pub bound: Bound,
    /// The model it ran on, where that is not the receipt's own.
    pub model: Option<Box<str>>,
    /// What the price may depend on besides the model, such as an image's `size`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<Box<str>, Box<str>>,
}

/// A cost that the provider itself stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct ReportedCost {
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// Which field of the answer said so, such as `usage.cost`.
    pub source: Box<str>,
}

/// A later fact about a receipt, appended; the receipt itself never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Settlement {
    /// When it was appended.
    pub at: Timestamp,
    /// Why: `job`, `reprice`, ….
    pub reason: Box<str>,
    /// The receipt of the call that brought the news, if one did.
    pub by: Option<ReceiptId>,
    /// How the job ended, where that is the news.
    pub status: Option<Status>,
    /// What it tells about usage, in the provider's own words.
    pub usage_raw: Option<RawUsage>,
    /// How the usage is known from now on, where that is news.
    pub usage_state: Option<UsageState>,
    /// The lines that count from now on.
    pub lines: Vec<Line>,
    /// The cost that counts from now on.
    pub cost: Option<Money>,
    /// What stands behind it.
    pub cost_state: CostState,
    /// The priced part when that is `partial`.
    pub subtotal: Option<Money>,
    /// The price book it was valued with.
    pub book_hash: Option<Box<str>>,
    /// What the one who appended it said about it.
    pub note: Option<Box<str>>,
}

impl Settlement {
    /// The `reason` of a second valuation.
    pub const REPRICE: &'static str = "reprice";
    /// The `reason` of a second reading of the provider's usage, valued as well.
    pub const REREAD: &'static str = "reread";

    /// Whether somebody looked at the receipt once more; else it is news of a job.
    pub fn is_second_look(&self) -> bool {
        [Self::REPRICE, Self::REREAD].contains(&&*self.reason)
    }
}

/// The record of one request. Times are wall-clock UTC; durations are measured on a
/// monotonic clock and survive a jump of the former.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Receipt {
    /// Who this is.
    pub id: ReceiptId,
    /// When the request's head was read.
    pub started_at: Timestamp,
    /// When its last byte passed, or it failed.
    pub ended_at: Timestamp,
    /// What every figure is scoped to.
    pub workspace: Box<str>,
    /// Label of the pass the client showed.
    pub pass: Option<Box<str>>,
    /// Label of the stored key that was used.
    pub key: Option<Box<str>>,
    /// The calling program, from its user agent.
    pub client: Option<Box<str>>,
    /// From `x-tollgate-tag-NAME`.
    pub tags: BTreeMap<Box<str>, Box<str>>,
    /// Who is paid.
    pub provider: Box<str>,
    /// The origin the request was sent to.
    pub upstream: Box<str>,
    /// The wire format, if it is one we know.
    pub format: Option<Format>,
    /// What sort of call.
    pub kind: Kind,
    /// What sort of model.
    pub technology: Option<Technology>,
    /// The model the client asked for; on a route, the one that the route chose.
    pub model_requested: Option<Box<str>>,
    /// The model that served: as a complete answer says, or as requested if it names none.
    pub model: Option<Box<str>>,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// How it ended.
    pub status: Status,
    /// What upstream answered (or Tollgate, for a denial).
    pub http_status: Option<u16>,
    /// The provider's id of the answer.
    pub response_id: Option<Box<str>>,
    /// From a W3C `traceparent`: the client's, or Tollgate's own where the user wants upstream to
    /// hear of one.
    pub trace_id: Option<Box<str>>,
    /// Where it ran, if host or answer say so.
    pub region: Option<Box<str>>,
    /// Usage was asked for by Tollgate (usage assist).
    pub assisted: bool,
    /// The client hung up after the answer but before its last byte.
    pub client_left_early: bool,
    /// The provider's word for what went wrong.
    pub error_type: Option<Box<str>>,
    /// The provider's sentence, scrubbed and bounded.
    pub error_message: Option<Box<str>>,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<Box<str>>,
    /// Milliseconds until the first content of a stream.
    pub ttft_ms: Option<u64>,
    /// Milliseconds from head to end.
    pub latency_ms: u64,
    /// Microseconds that Tollgate itself added before the request left.
    pub overhead_us: Option<u64>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body, as they passed.
    pub response_bytes: u64,
    /// The provider's id of the request.
    pub upstream_request_id: Option<Box<str>>,
    /// The tier that served.
    pub service_tier: Option<Box<str>>,
    /// What the request exercised.
    pub capabilities: Vec<Capability>,
    /// The route that was asked for.
    pub route: Option<Box<str>>,
    /// What that route prefers; absent: the order of its targets.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Every try at an upstream.
    pub attempts: Vec<Attempt>,
    /// Who pays, and how.
    pub billing: Billing,
    /// The disjoint usage items.
    pub lines: Vec<Line>,
    /// The provider's own usage object.
    pub usage_raw: Option<RawUsage>,
    /// How the usage became known.
    pub usage_state: UsageState,
    /// What does not add up.
    pub anomalies: Vec<Anomaly>,
    /// What it came to. Absent unless every line is priced or the provider stated it.
    pub cost: Option<Money>,
    /// Of all amounts here.
    pub currency: Currency,
    /// What stands behind `cost`, or why it is absent.
    pub cost_state: CostState,
    /// The priced part when that is `partial`.
    pub subtotal: Option<Money>,
    /// What the provider stated.
    pub reported_cost: Option<ReportedCost>,
    /// The price book it was valued with.
    pub book_hash: Option<Box<str>>,
    /// Later facts, oldest first.
    pub settlements: Vec<Settlement>,
    /// A sentence a reader of this receipt should know.
    pub note: Option<Box<str>>,
    /// US dollars that budgets have set aside for the call, as long as its cost is unknown.
    /// Of no interest to anybody else.
    #[serde(skip)]
    pub reserved: Option<Money>,
}

impl Receipt {
    /// A receipt about which nothing is known but where and when it began. It says
    /// `interrupted`, because that is the truth until somebody finishes it.
    pub fn begun(id: ReceiptId, at: Timestamp, provider: &str, upstream: &str) -> Self {
        Self {
            id,
            started_at: at,
            ended_at: at,
            workspace: DEFAULT_WORKSPACE.into(),
            pass: None,
            key: None,
            client: None,
            tags: BTreeMap::new(),
            provider: provider.into(),
            upstream: upstream.into(),
            format: None,
            kind: Kind::Other,
            technology: None,
            model_requested: None,
            model: None,
            stream: false,
            status: Status::Interrupted,
            http_status: None,
            response_id: None,
            trace_id: None,
            region: None,
            assisted: false,
            client_left_early: false,
            error_type: None,
            error_message: None,
            finish_reason: None,
            ttft_ms: None,
            latency_ms: 0,
            overhead_us: None,
            request_bytes: 0,
            response_bytes: 0,
            upstream_request_id: None,
            service_tier: None,
            capabilities: Vec::new(),
            route: None,
            profile: None,
            attempts: Vec::new(),
            billing: Billing::Byok,
            lines: Vec::new(),
            usage_raw: None,
            usage_state: UsageState::Missing,
            anomalies: Vec::new(),
            cost: None,
            currency: Currency::USD,
            cost_state: CostState::UsageMissing,
            subtotal: None,
            reported_cost: None,
            book_hash: None,
            settlements: Vec::new(),
            note: None,
            reserved: None,
        }
    }

    /// Whether figures leave it out unless asked: the demonstration costs nobody anything.
    pub fn is_demo(&self) -> bool {
        self.billing == Billing::Demo
    }

    /// Tokens in: every `input.*` line (and embedded text), in whole tokens.
    pub fn input_tokens(&self) -> u64 {
        self.tokens(|factor| !factor.starts_with("output."))
    }

    /// Tokens out: every `output.*` line, in whole tokens.
    pub fn output_tokens(&self) -> u64 {
        self.tokens(|factor| factor.starts_with("output."))
    }

    fn tokens(&self, counts: impl Fn(&str) -> bool) -> u64 {
        let tokens =
            self.lines.iter().filter(|l| l.unit == Unit::Token && counts(&l.factor.name()));
        tokens.map(|l| l.count).sum::<Count>().millionths() / Count::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_seven_and_survives_its_parts() {
        let id = ReceiptId::new(Timestamp::from_millis(1_763_683_200_123), 0xabc, u64::MAX);
        let text = id.to_string();
        assert_eq!(&text[14..15], "7");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(ReceiptId::from_parts(id.ordinal(), id.random()), id);
        assert_eq!(id.minted_at().millis(), 1_763_683_200_123);
        assert!("019aa0b2-7c1e-4a00-8f3e-5b2c1d0e9f8a".parse::<ReceiptId>().is_err());
    }

    #[test]
    fn a_receipt_survives_json() {
        let id = ReceiptId::new(Timestamp::from_millis(1), 1, 1);
        let mut receipt = Receipt::begun(id, Timestamp::from_millis(1), "p", "http://u");
        receipt.usage_raw = RawUsage::new("{\n  \"a b\\\" c\": 1.50,\r\n \"d\": [ 1, 2 ]\n}");
        let json = serde_json::to_string(&receipt).unwrap();
        assert!(json.contains(r#""usage_raw":{"a b\" c":1.50,"d":[1,2]}"#), "{json}");
        assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
    }
}
