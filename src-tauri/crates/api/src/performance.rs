//! How fast calls are and how many there are at once: rates now, on average and at the busiest,
//! and how durations are spread, by whatever the table is cut by.

use chrono_tz::Tz;
use meter::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Filter, Questions};

use crate::answer::{Figures, Period, Row};
use crate::problem::{Code, Problem};
use crate::query::{By, Query, by_word};
use crate::question::{dimensions, figures, tells_use};
use crate::remains;

/// The answer to `performance`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Performance {
    /// What was asked about.
    pub period: Period,
    /// Everything in it.
    pub totals: Figures,
    /// How many calls and tokens there are at once.
    pub rates: Rates,
    /// How many calls took how long, end to end, in milliseconds.
    pub latency: Vec<Slice>,
    /// How many streams took how long until their first content, in milliseconds.
    pub ttft: Vec<Slice>,
    /// How many calls waited how long for Tollgate itself, in microseconds.
    pub overhead: Vec<Slice>,
    /// What the rows are: `provider`, `model`, `tag:workflow`, …; `null` without rows.
    pub by: Option<String>,
    /// As in `usage`: rows overlap and must not be added up.
    pub overlapping: bool,
    /// As in `usage`: from when on receipts are still being sorted in. Else `null`.
    pub sorting_from: Option<Timestamp>,
    /// The table, the busiest first.
    pub rows: Vec<Row>,
}

/// Calls of about the same duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Slice {
    /// They took at least this long.
    pub from: u64,
    /// And less than this.
    pub to: u64,
    /// How many they are.
    pub requests: u64,
}

/// How many calls and tokens there are at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Rates {
    /// Over the last sixty seconds, whatever the period.
    pub now: Rate,
    /// On average over the period up to now; `null` if that has no length.
    pub mean: Option<Rate>,
    /// The minute of the clock in which the most requests began.
    pub peak_requests_per_minute: Option<Peak>,
    /// The minute whose requests used the most tokens, in and out.
    pub peak_tokens_per_minute: Option<Peak>,
    /// The second of the clock in which the most requests began.
    pub peak_requests_per_second: Option<Peak>,
}

/// Rates as decimal text, rounded to thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Rate {
    /// Requests a minute (RPM).
    pub requests_per_minute: String,
    /// Tokens in and out a minute (TPM).
    pub tokens_per_minute: String,
    /// Requests a second (QPS).
    pub requests_per_second: String,
}

/// The busiest minute or second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Peak {
    /// How many there were in it.
    pub count: u64,
    /// When it began.
    pub from: Timestamp,
    /// Whether there was none busier. Else it is the busiest of those that were looked into:
    /// there were at least so many.
    pub exact: bool,
}

const MINUTE_MS: i64 = 60_000;

/// How fast calls were, and how many there were at once.
///
/// # Errors
/// When the ledger cannot be read, or the table is to be cut by times or by several things.
pub fn performance(
    ledger: &Questions,
    query: &Query,
    now: Timestamp,
) -> Result<Performance, Problem> {
    let dimension = match &query.by {
        Some(By::Dimension(dimension)) => Some(dimension),
        None => None,
        Some(By::Time(_) | By::Several(..)) => {
            let by = query.by.as_ref().map(by_word).unwrap_or_default();
            return Err(Problem::new(Code::BadParameter, format!("`{by}` is no `by` here"))
                .hint("Write `model`, `provider`, `tag:NAME` or another single thing; times are for `usage`."));
        }
    };
    ledger.at_one_instant(|| {
        let found = ledger.performance(&query.filter, dimension)?;
        let rates = rates(ledger, query, &found.totals, now)?;
        let [latency, ttft, overhead] =
            [&found.totals.latencies, &found.totals.ttfts, &found.totals.overheads].map(slices);
        let mut rows: Vec<Row> = found
            .rows
            .into_iter()
            .map(|(name, sums)| Row { name, names: Vec::new(), figures: figures(sums, None) })
            .collect();
        rows.sort_by(|a, b| {
            b.figures.requests.cmp(&a.figures.requests).then_with(|| a.name.cmp(&b.name))
        });
        Ok(Performance {
            period: period(&query.filter, query.zone),
            totals: figures(found.totals, None),
            rates,
            latency,
            ttft,
            overhead,
            by: query.by.as_ref().map(by_word),
            overlapping: dimensions(query).contains(&store::Dimension::Capability),
            sorting_from: if tells_use(query) { ledger.sorting_from()? } else { None },
            rows,
        })
    })
}

fn period(filter: &Filter, zone: Tz) -> Period {
    Period { from: filter.from, to: filter.to, tz: zone.name().to_owned() }
}

fn slices(durations: &store::Histogram) -> Vec<Slice> {
    let slices = durations.slices().into_iter();
    slices.map(|one| Slice { from: one.from, to: one.to, requests: one.count }).collect()
}

fn rates(
    ledger: &Questions,
    query: &Query,
    totals: &store::Figures,
    now: Timestamp,
) -> Result<Rates, Problem> {
    let filter = &query.filter;
    let minute_ago = Timestamp::from_millis(now.millis() - MINUTE_MS);
    let last = Filter { from: Some(minute_ago), to: None, ..filter.clone() };
    let last = ledger.usage(&last, None, None)?.totals;
    let begin = match filter.from {
        Some(from) => Some(from),
        None => remains::begin(ledger, filter)?,
    };
    let end = filter.to.map_or(now.millis(), |to| to.millis().min(now.millis()));
    let length = begin.map_or(0, |begin| end - begin.millis());
    let peaks = ledger.peaks(filter)?;
    let peak = |one: store::Busiest| Peak { count: one.count, from: one.from, exact: one.is_exact };
    Ok(Rates {
        now: rate(&last, MINUTE_MS.unsigned_abs()),
        mean: u64::try_from(length).ok().filter(|ms| *ms > 0).map(|ms| rate(totals, ms)),
        peak_requests_per_minute: peaks.requests_a_minute.map(peak),
        peak_tokens_per_minute: peaks.tokens_a_minute.map(peak),
        peak_requests_per_second: peaks.requests_a_second.map(peak),
    })
}

fn rate(figures: &store::Figures, ms: u64) -> Rate {
    let tokens = figures.input_tokens.saturating_add(figures.output_tokens);
    let minute = MINUTE_MS.unsigned_abs();
    Rate {
        requests_per_minute: per(figures.requests, minute, ms),
        tokens_per_minute: per(tokens, minute, ms),
        requests_per_second: per(figures.requests, 1_000, ms),
    }
}

/// So many within `ms`, as many as that is within `each` milliseconds.
fn per(count: u64, each: u64, ms: u64) -> String {
    let (count, each, ms) = (u128::from(count), u128::from(each), u128::from(ms.max(1)));
    let thousandths = (count * each * 1_000 + ms / 2) / ms;
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rounded_to_thousandths() {
        for (count, each, ms, want) in [
            (0, 60_000, 60_000, "0"),
            (3, 60_000, 60_000, "3"),
            (3, 1_000, 60_000, "0.05"),
            (1, 60_000, 86_400_000, "0.001"),
            (100, 60_000, 3_600_000, "1.667"),
            (u64::MAX, 60_000, 60_000, "18446744073709551615"),
        ] {
            assert_eq!(per(count, each, ms), want);
        }
    }
}
