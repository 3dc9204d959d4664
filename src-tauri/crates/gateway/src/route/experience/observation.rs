//! What one call tells of its target, and what many of them say together.

use meter::price::{Book, Query, rate};
use meter::receipt::{Attempt, AttemptEnd, Kind, Status};
use meter::route::{Figures, Target};
use meter::usage::{Count, Factor, UsageLine};
use meter::{Currency, Money, Receipt, Timestamp};

/// Older calls say nothing of how a target does now, in milliseconds.
const RECENT: i64 = 24 * 60 * 60 * 1000;

/// A call, as far as its target is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    at: Timestamp,
    is_failure: bool,
    streams: bool,
    /// To the first token of a stream, or the whole answer.
    wait_ms: Option<u64>,
    /// Thousandths of output tokens a second.
    pace: Option<u64>,
    used: Mix,
}

/// Tokens of the sorts that prices tell apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mix {
    fresh: u64,
    cached: u64,
    output: u64,
}

impl Observation {
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        now.millis().saturating_sub(self.at.millis()) < RECENT
    }
}

/// What a receipt tells: of the target of each of its tries.
pub(super) fn of(receipt: &Receipt) -> impl Iterator<Item = (Box<str>, Box<str>, Observation)> {
    let last = receipt.attempts.len().saturating_sub(1);
    let tries = receipt.attempts.iter().enumerate();
    tries.filter_map(move |(at, attempt)| {
        let model = attempt.model.clone()?;
        let seen = if at == last { whole(receipt, attempt) } else { failure(receipt, attempt) };
        Some((attempt.provider.clone(), model, seen?))
    })
}

/// Nothing, if it does not speak against the target: a client that leaves, or asks wrongly.
fn failure(receipt: &Receipt, attempt: &Attempt) -> Option<Observation> {
    let is_fault = match (attempt.ended, attempt.http_status) {
        (AttemptEnd::Unreachable | AttemptEnd::TimedOut | AttemptEnd::Broken, _) => true,
        (AttemptEnd::Refused, Some(status)) => {
            matches!(status, 200..=299 | 408 | 429 | 500..=599)
        }
        (AttemptEnd::Refused, None) | (AttemptEnd::Completed | AttemptEnd::Abandoned, _) => false,
    };
    is_fault.then_some(Observation {
        at: receipt.started_at,
        is_failure: true,
        streams: receipt.stream,
        wait_ms: None,
        pace: None,
        used: Mix::default(),
    })
}

fn whole(receipt: &Receipt, attempt: &Attempt) -> Option<Observation> {
    if receipt.status != Status::Succeeded {
        return failure(receipt, attempt);
    }
    let ttft = receipt.ttft_ms.map(|ttft| ttft.saturating_sub(attempt.started_ms));
    let wait_ms = if receipt.stream { ttft } else { Some(attempt.duration_ms) };
    let generating = attempt.duration_ms.saturating_sub(ttft.unwrap_or_default());
    let output = receipt.output_tokens();
    let is_measured = output > 0 && generating > 0;
    Some(Observation {
        at: receipt.started_at,
        is_failure: false,
        streams: receipt.stream,
        wait_ms,
        pace: is_measured.then(|| output.saturating_mul(1_000_000) / generating),
        used: Mix::of(receipt),
    })
}

/// What many calls say together.
pub(super) fn figures<'a>(calls: impl Iterator<Item = &'a Observation>, streams: bool) -> Figures {
    let (mut waits, mut paces, mut figures) = (Vec::new(), Vec::new(), Figures::default());
    for call in calls {
        figures.calls += 1;
        figures.failures += u32::from(call.is_failure);
        if call.streams == streams {
            waits.extend(call.wait_ms);
            paces.extend(call.pace);
        }
    }
    Figures { wait_ms: median(waits), pace: median(paces), streams, ..figures }
}

fn median(mut all: Vec<u64>) -> Option<u64> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

impl Mix {
    /// Three of prompt to one of answer, where nothing is known.
    const USUAL: Self = Self { fresh: 750_000, cached: 0, output: 250_000 };

    fn of(receipt: &Receipt) -> Self {
        let tokens = |is_meant: fn(&Factor) -> bool| {
            let lines = receipt.lines.iter().filter(|line| is_meant(&line.factor));
            lines.map(|line| line.count).sum::<Count>().millionths() / Count::ONE
        };
        let cached = tokens(|factor| *factor == Factor::InputCacheRead);
        Self {
            fresh: receipt.input_tokens().saturating_sub(cached),
            cached,
            output: receipt.output_tokens(),
        }
    }

    pub(super) fn with(self, call: &Observation) -> Self {
        Self {
            fresh: self.fresh.saturating_add(call.used.fresh),
            cached: self.cached.saturating_add(call.used.cached),
            output: self.output.saturating_add(call.used.output),
        }
    }

    /// US dollars for a million tokens of this mix.
    pub(super) fn price(
        self,
        book: &Book,
        target: &Target,
        is_local: bool,
        at: Timestamp,
    ) -> Option<Money> {
        let mix = if self.fresh + self.cached + self.output == 0 { Self::USUAL } else { self };
        // Where a cache has no price of its own, it saves nothing.
        let uncached = Self { fresh: mix.fresh.saturating_add(mix.cached), cached: 0, ..mix };
        mix.rated(book, target, is_local, at).or_else(|| uncached.rated(book, target, is_local, at))
    }

    fn rated(self, book: &Book, target: &Target, local: bool, at: Timestamp) -> Option<Money> {
        let parts = [
            (Factor::InputText, self.fresh),
            (Factor::InputCacheRead, self.cached),
            (Factor::OutputText, self.output),
        ];
        let lines: Vec<UsageLine> = parts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(factor, count)| UsageLine::reported(factor, count))
            .collect();
        let valuation = rate(
            book,
            &Query {
                provider: &target.provider,
                host: None,
                model_requested: Some(&target.model),
                model_served: None,
                kind: Kind::Chat,
                at,
                took_ms: None,
                service_tier: None,
                region: None,
                local,
                reported_cost: None,
                lines: &lines,
            },
        );
        let cost = valuation.cost.filter(|_| valuation.currency == Currency::USD)?;
        let tokens = i128::from(self.fresh + self.cached + self.output);
        Some(Money::from_attos(cost.attos().checked_mul(1_000_000)? / tokens.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_that_of_the_users_own_mix() {
        // gpt-4o: $2.50, $1.25 from the cache, $10.
        let target = "openai/gpt-4o".parse().unwrap();
        let at = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
        let price = |fresh, cached, output| {
            let mix = Mix { fresh, cached, output };
            mix.price(Book::built_in(), &target, false, at).unwrap().to_string()
        };
        assert_eq!(price(10, 0, 10), "6.25");
        assert_eq!(price(0, 10, 0), "1.25");
        assert_eq!(price(0, 0, 0), "4.375");
        let nobody = "openai/nobody-knows".parse().unwrap();
        assert_eq!(Mix::USUAL.price(Book::built_in(), &nobody, false, at), None);
        assert_eq!(Mix::USUAL.price(Book::built_in(), &nobody, true, at), Some(Money::ZERO));
    }
}
