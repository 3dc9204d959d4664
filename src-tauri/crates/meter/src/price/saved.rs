//! What a cache was worth: the price of its tokens as plain input, less what they did cost.

use crate::money::Money;
use crate::receipt::Line;
use crate::usage::Factor;

/// What caching saved on one receipt, in its currency: reads save, writes cost extra, so it
/// may be negative. What plain input costs is taken from the receipt's own `input.text` line;
/// without one that is priced, or without cached tokens, this is zero.
pub fn saved_by_cache(lines: &[Line]) -> Money {
    lines
        .iter()
        .filter_map(|line| saved(lines, line))
        .fold(Money::ZERO, |sum, saved| Money::from_attos(sum.attos().saturating_add(saved)))
}

fn saved(lines: &[Line], cached: &Line) -> Option<i128> {
    if !is_cached(&cached.factor) {
        return None;
    }
    let is_plain = |line: &&Line| {
        line.factor == Factor::InputText && line.model == cached.model && !line.count.is_zero()
    };
    let plain = lines.iter().find(is_plain)?;
    let (count, of) = (cached.count.millionths(), plain.count.millionths());
    let as_plain = plain.amount?.attos().checked_mul(count.into())? / i128::from(of);
    as_plain.checked_sub(cached.amount?.attos())
}

/// Text only: what audio or images cost uncached is another rate.
fn is_cached(factor: &Factor) -> bool {
    matches!(
        factor,
        Factor::InputCacheRead
            | Factor::InputCacheWrite
            | Factor::InputCacheWrite5m
            | Factor::InputCacheWrite30m
            | Factor::InputCacheWrite1h
            | Factor::InputCacheWrite12h
            | Factor::InputCacheWriteFor(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::Kind;
    use crate::time::Timestamp;
    use crate::usage::UsageLine;

    fn lines(counts: &[(Factor, u64)]) -> Vec<Line> {
        let counts = counts.iter().cloned();
        let used: Vec<UsageLine> =
            counts.map(|(factor, count)| UsageLine::reported(factor, count)).collect();
        let query = super::super::Query {
            provider: "anthropic",
            host: None,
            model_requested: None,
            model_served: Some("claude-sonnet-4-5-20250929"),
            kind: Kind::Chat,
            at: Timestamp::parse("2026-11-20T00:00:00Z").unwrap(),
            took_ms: None,
            service_tier: None,
            region: None,
            local: false,
            reported_cost: None,
            lines: &used,
        };
        super::super::rate(super::super::Book::built_in(), &query).lines
    }

    #[test]
    fn reads_save_and_writes_cost_extra() {
        // $3 a million plain, $0.30 read, $3.75 written: 100,000 × 2.70 − 10,000 × 0.75.
        let lines = lines(&[
            (Factor::InputText, 7),
            (Factor::InputCacheRead, 100_000),
            (Factor::InputCacheWrite5m, 10_000),
            (Factor::OutputText, 50),
        ]);
        assert_eq!(saved_by_cache(&lines).to_string(), "0.2625");
    }

    #[test]
    fn without_plain_input_or_without_a_cache_nothing_is_claimed() {
        assert_eq!(saved_by_cache(&lines(&[(Factor::InputCacheRead, 100_000)])), Money::ZERO);
        assert_eq!(saved_by_cache(&lines(&[(Factor::InputText, 5)])), Money::ZERO);
    }
}
