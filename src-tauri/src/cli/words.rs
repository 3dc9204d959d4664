//! What the words of a receipt mean, in a few more words.

use meter::price::PassedOver;
use meter::receipt::{Anomaly, AttemptEnd, Billing, CostState, Status, UsageState};
use meter::usage::Factor;

/// A factor for people: `input.cache_write_5m` is `Input, cache write 5m`.
pub(crate) fn factor(factor: &Factor) -> String {
    let text = factor.name().replace('.', ", ").replace(['_', ':'], " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Why a call ended as it did, where the word alone leaves that open.
pub(crate) const fn status(status: Status) -> Option<&'static str> {
    match status {
        Status::Succeeded | Status::Error => None,
        Status::Denied => Some("Tollgate said no; nothing was sent to the provider"),
        Status::Cancelled => Some("the client went away before the answer was complete"),
        Status::Interrupted => Some("Tollgate ended while the call ran"),
        Status::Pending => Some("a background job; its outcome will be a settlement"),
    }
}

/// How usage became known.
pub(crate) const fn usage_state(state: UsageState) -> &'static str {
    match state {
        UsageState::Reported => "The provider reported that nothing was used.",
        UsageState::Partial => "The provider reported only part of the usage.",
        UsageState::Estimated => "The usage is an estimate.",
        UsageState::Missing => "Nobody said what was used.",
        UsageState::None => "There is nothing to pay for in such a call.",
    }
}

/// What stands behind a cost.
pub(crate) const fn cost_state(state: CostState) -> &'static str {
    match state {
        CostState::Priced => "calculated: every line has a price",
        CostState::ProviderReported => "stated by the provider",
        CostState::Partial => "not every line has a price",
        CostState::Unknown => "no price is known for this model",
        CostState::Free => "there is nothing to pay",
        CostState::Disputed => "sources contradict each other about the price",
        CostState::UsageMissing => "the usage is not known, so there is nothing to price",
    }
}

/// Who pays.
pub(crate) const fn billing(billing: Billing) -> &'static str {
    match billing {
        Billing::Byok => "your own key, per use",
        Billing::Subscription => "a flat-rate plan",
        Billing::Local => "your own machine",
        Billing::Demo => "nobody: a demonstration",
    }
}

/// What does not add up.
pub(crate) const fn anomaly(anomaly: Anomaly) -> &'static str {
    match anomaly {
        Anomaly::PartsExceedTotal => "The parts of a count exceed the count.",
        Anomaly::DialectMismatch => {
            "Cached tokens are counted apart although this format includes them."
        }
        Anomaly::ReasoningAmbiguous => "It cannot be told whether the output includes reasoning.",
        Anomaly::UsageInconsistent => "The provider's total is not the sum of its parts.",
        Anomaly::SuspiciousZero => "A zero stands where there must have been something.",
        Anomaly::UnterminatedStream => "The stream ended without its closing marker.",
        Anomaly::Unreadable => "The answer could not be read.",
        Anomaly::UnknownUsage => "The usage holds an entry this version does not know.",
        Anomaly::TierUnconfirmed => {
            "A tier was asked for and the answer does not say which one served."
        }
        Anomaly::ClockJumped => "The clock jumped while the call ran.",
        Anomaly::Unregistered => "The register was full: a crash would have lost this receipt.",
    }
}

/// Why receipts keep their valuation, after how many there are.
pub(crate) const fn passed_over(why: PassedOver) -> &'static str {
    match why {
        PassedOver::NothingToPay => "have nothing to pay for",
        PassedOver::NoUsage => "have no usage that could be priced",
        PassedOver::NoModel => "have no model",
        PassedOver::ProviderStated => "have a cost that the provider stated",
        PassedOver::UsageNotKept => "keep no usage object of the provider that could be read again",
        PassedOver::OtherCurrency => "would change to another currency",
    }
}

/// Why one try ended.
pub(crate) const fn attempt_end(end: AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Completed => "answered",
        AttemptEnd::Refused => "refused",
        AttemptEnd::Unreachable => "could not be reached",
        AttemptEnd::TimedOut => "took too long",
        AttemptEnd::Broken => "broke off",
        AttemptEnd::Abandoned => "was left by the client",
    }
}
