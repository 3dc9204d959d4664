//! The receipt: the immutable record of one request. Never a body, never a secret.
//!
//! Field names are the public JSON contract, the CSV columns and the words of the CLI.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::format::Format;
use crate::money::{Currency, Money};
use crate::time::Timestamp;
use crate::usage::{Basis, Bound, Count, Factor, Unit};

/// A UUIDv7. Ids that one ledger mints differ in their first 64 bits (48 bits of
/// milliseconds, 12 bits of counter), so the ledger can use those as its row number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(u128);

impl ReceiptId {
    /// Builds an id from the instant, a counter of 12 bits and 62 random bits.
    pub const fn new(at: Timestamp, counter: u16, random: u64) -> Self {
        let ms = (at.millis() as u128) & 0xffff_ffff_ffff;
        let counter = (counter as u128) & 0xfff;
        let random = (random as u128) & 0x3fff_ffff_ffff_ffff;
        Self(ms << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random)
    }

    /// The instant and counter as one number of 60 bits that orders like the id itself.
    pub const fn ordinal(self) -> i64 {
        let ms = (self.0 >> 80) as i64;
        let counter = (self.0 >> 64) as i64 & 0xfff;
        ms << 12 | counter
    }

    /// The 62 random bits: with [`Self::ordinal`] the whole id.
    pub const fn random(self) -> u64 {
        self.0 as u64 & 0x3fff_ffff_ffff_ffff
    }

    /// Puts an id together again from [`Self::ordinal`] and [`Self::random`].
    pub const fn from_parts(ordinal: i64, random: u64) -> Self {
        Self::new(Timestamp::from_millis(ordinal >> 12), ordinal as u16 & 0xfff, random)
    }

    /// The id as a number.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The instant it was minted at.
    pub const fn minted_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as i64)
    }
}

impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = [(96, 0xffff_ffff), (80, 0xffff), (64, 0xffff), (48, 0xffff)]
            .map(|(s, m)| self.0 >> s & m);
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", self.0 & 0xffff_ffff_ffff)
    }
}

impl fmt::Debug for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ReceiptId {
    type Err = ParseReceiptIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let dashes = |at: usize| matches!(at, 8 | 13 | 18 | 23);
        if text.len() != 36 || !text.bytes().enumerate().all(|(i, b)| dashes(i) == (b == b'-')) {
            return Err(ParseReceiptIdError);
        }
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseReceiptIdError);
        }
        let id = Self(u128::from_str_radix(&hex, 16).map_err(|_| ParseReceiptIdError)?);
        if Self::from_parts(id.ordinal(), id.random()) == id {
            Ok(id)
        } else {
            Err(ParseReceiptIdError)
        }
    }
}

/// The text is not a UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt id such as `019aa0b2-7c1e-7a00-8f3e-5b2c1d0e9f8a`")]
pub struct ParseReceiptIdError;

impl Serialize for ReceiptId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { out.serialize_u128(self.0) }
    }
}

impl<'de> Deserialize<'de> for ReceiptId {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if !input.is_human_readable() {
            return u128::deserialize(input).map(Self);
        }
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in JSON, SQL, CLI and UI.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|w| w.as_str() == text).ok_or(UnknownWord)
            }
        }
    };
}
pub(crate) use words;

/// The text is none of the allowed words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of the allowed words")]
pub struct UnknownWord;

words! {
    /// How a request ended.
    Status {
        /// A complete answer, whatever its finish reason.
        Succeeded = "succeeded",
        /// Upstream said no, failed, or broke off.
        Error = "error",
        /// Tollgate itself said no; nothing was sent upstream.
        Denied = "denied",
        /// The client went away before the answer was complete.
        Cancelled = "cancelled",
        /// Tollgate died while it ran.
        Interrupted = "interrupted",
        /// A background job whose outcome is a later settlement.
        Pending = "pending",
    }
}

words! {
    /// What sort of call it was.
    #[expect(missing_docs, reason = "the names say it")]
    Kind {
        Chat = "chat",
        Completion = "completion",
        Embedding = "embedding",
        Image = "image",
        Speech = "speech",
        Transcription = "transcription",
        Video = "video",
        Rerank = "rerank",
        Moderation = "moderation",
        Batch = "batch",
        FineTuning = "fine_tuning",
        Count = "count",
        Poll = "poll",
        Meta = "meta",
        Other = "other",
    }
}

impl Kind {
    /// Whether such calls cost nothing by themselves: they count, look up or list.
    pub const fn is_never_billed(self) -> bool {
        matches!(self, Self::Count | Self::Poll | Self::Meta)
    }
}

words! {
    /// What sort of model served it.
    #[expect(missing_docs, reason = "the names say it")]
    Technology {
        Llm = "llm",
        Vlm = "vlm",
        Embedding = "embedding",
        Image = "image",
        Audio = "audio",
        Video = "video",
    }
}

words! {
    /// How the usage became known.
    UsageState {
        /// The provider reported all of it.
        Reported = "reported",
        /// The provider reported some; the rest is unknown or estimated.
        Partial = "partial",
        /// Counted or guessed by Tollgate.
        Estimated = "estimated",
        /// There must have been some, but nobody said how much.
        Missing = "missing",
        /// There is nothing to pay for in such a call.
        None = "none",
    }
}

words! {
    /// What stands behind a receipt's cost, or why it has none.
    CostState {
        /// Every line has a price.
        Priced = "priced",
        /// The provider stated the cost.
        ProviderReported = "provider_reported",
        /// Some lines have a price; see `subtotal`.
        Partial = "partial",
        /// No price is known.
        Unknown = "unknown",
        /// There is nothing to pay, and that is known.
        Free = "free",
        /// Sources contradict each other about the price.
        Disputed = "disputed",
        /// The usage is missing, so there is nothing to price.
        UsageMissing = "usage_missing",
    }
}

words! {
    /// Who pays, and how.
    Billing {
        /// The user's own key, per use.
        Byok = "byok",
        /// A flat-rate plan.
        Subscription = "subscription",
        /// The user's own machine.
        Local = "local",
        /// The built-in demonstration.
        Demo = "demo",
    }
}

impl Billing {
    /// Whether nobody charges anything, whatever was used.
    pub const fn is_free_of_charge(self) -> bool {
        matches!(self, Self::Local | Self::Demo)
    }
}

words! {
    /// What a request exercised.
    #[expect(missing_docs, reason = "the names say it")]
    Capability {
        Tools = "tools",
        StructuredOutputs = "structured_outputs",
        Vision = "vision",
        AudioInput = "audio_input",
        AudioOutput = "audio_output",
        Documents = "documents",
        WebSearch = "web_search",
        CodeExecution = "code_execution",
        Reasoning = "reasoning",
        PromptCaching = "prompt_caching",
        Background = "background",
    }
}

words! {
    /// Something about the usage that does not add up. Flagged instead of bent.
    Anomaly {
        /// The parts of a count exceed the count.
        PartsExceedTotal = "parts_exceed_total",
        /// The sender counts cached tokens apart although its dialect includes them.
        DialectMismatch = "dialect_mismatch",
        /// It cannot be told whether the output includes reasoning.
        ReasoningAmbiguous = "reasoning_ambiguous",
        /// The provider's total is not the sum of its parts.
        UsageInconsistent = "usage_inconsistent",
        /// A zero where there must have been something.
        SuspiciousZero = "suspicious_zero",
        /// A stream ended without the marker its format demands.
        UnterminatedStream = "unterminated_stream",
        /// The answer could not be read (garbage, bad encoding, bad checksum).
        Unreadable = "unreadable",
        /// A usage entry of a kind this version does not know; see `usage_raw`.
        UnknownUsage = "unknown_usage",
        /// A tier was asked for and the answer does not say which one served.
        TierUnconfirmed = "tier_unconfirmed",
        /// The wall clock jumped while the request ran.
        ClockJumped = "clock_jumped",
        /// The in-flight register was full, so a crash would have lost this receipt.
        Unregistered = "unregistered",
    }
}

words! {
    /// Why one try at an upstream ended.
    AttemptEnd {
        /// It answered to the end.
        Completed = "completed",
        /// It answered with an error status or an error in its answer.
        Refused = "refused",
        /// No connection: name, network or handshake.
        Unreachable = "unreachable",
        /// It took too long.
        TimedOut = "timed_out",
        /// It broke off.
        Broken = "broken",
        /// The client went away.
        Abandoned = "abandoned",
    }
}

/// One try at an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// One disjoint usage item with the money on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A cost that the provider itself stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedCost {
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// Which field of the answer said so, such as `usage.cost`.
    pub source: Box<str>,
}

/// A later fact about a receipt, appended; the receipt itself never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// When it was appended.
    pub at: Timestamp,
    /// Why: `job`, `reprice`, ….
    pub reason: Box<str>,
    /// The receipt of the call that brought the news, if one did.
    pub by: Option<ReceiptId>,
    /// How the job ended, where that is the news.
    pub status: Option<Status>,
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
}

/// The provider's usage object: its JSON verbatim, on one line. It holds no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawUsage(Box<str>);

impl RawUsage {
    /// Keeps the text if it is JSON of at most 16 KiB; white space between tokens goes, so
    /// that a receipt is one line of JSON.
    pub fn new(json: &str) -> Option<Self> {
        let fits = json.len() <= 16 * 1024;
        (fits && serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok())
            .then(|| Self(without_layout(json).into()))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Valid JSON without the white space between its tokens.
fn without_layout(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let kept = in_string || !c.is_ascii_whitespace();
        (in_string, escaped) = match (*c, in_string, escaped) {
            (_, true, true) => (true, false),
            ('\\', true, false) => (true, true),
            ('"', inside, false) => (!inside, false),
            (_, inside, _) => (inside, false),
        };
        kept
    };
    json.chars().filter(keep).collect()
}

impl Serialize for RawUsage {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if !out.is_human_readable() {
            return out.serialize_str(&self.0);
        }
        let raw: &serde_json::value::RawValue =
            serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(out)
    }
}

impl<'de> Deserialize<'de> for RawUsage {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if !input.is_human_readable() {
            return Box::<str>::deserialize(input).map(Self);
        }
        let raw = Box::<serde_json::value::RawValue>::deserialize(input)?;
        Ok(Self(raw.get().into()))
    }
}

/// The record of one request. Times are wall-clock UTC; durations are measured on a
/// monotonic clock and survive a jump of the former.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The model the client asked for.
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
    /// From a W3C `traceparent`, if the client sent one.
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

/// The workspace of a call that names none.
pub const DEFAULT_WORKSPACE: &str = "personal";

/// The workspace of the built-in demonstration.
pub const DEMO_WORKSPACE: &str = "demo";

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
