//! The closed sets of a receipt: one word each, the same in JSON, SQL, CLI and UI.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, specta::Type)]
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
    /// What a route prefers among its targets, by the user's own receipts.
    Profile {
        /// Price, time and failures together.
        Balanced = "balanced",
        /// The lowest price of a token.
        Cost = "cost",
        /// The shortest wait for the first token (or for a whole answer).
        Latency = "latency",
        /// The most tokens a second.
        Throughput = "throughput",
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
