//! What a rule promises of a service: how many calls succeed, and how soon most of them do. Each
//! day of a period either keeps the promise, breaks it, or has too few calls to say.

use std::fmt;
use std::str::FromStr;

use meter::Timestamp;
use meter::receipt::{Status, UnknownWord};
use serde::{Deserialize, Serialize};
use store::Questions;

use super::judge::{Measure, MeasureUnit};
use super::rule::{Rule, Watch};
use crate::answer::{Figures, Spread};
use crate::period::{Granularity, Here};
use crate::problem::Problem;
use crate::query::{Query, Question};
use crate::question;

/// A percentile that durations are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// Half of them.
    P50,
    /// Nineteen of twenty.
    P95,
    /// 99 of a hundred.
    P99,
}

impl Percentile {
    /// The percentile of a whole number.
    pub const fn of(percent: i64) -> Option<Self> {
        match percent {
            50 => Some(Self::P50),
            95 => Some(Self::P95),
            99 => Some(Self::P99),
            _ => None,
        }
    }

    /// The whole number.
    pub const fn percent(self) -> i64 {
        match self {
            Self::P50 => 50,
            Self::P95 => 95,
            Self::P99 => 99,
        }
    }

    pub(super) const fn in_ms(self, spread: Spread) -> u64 {
        match self {
            Self::P50 => spread.p50_ms,
            Self::P95 => spread.p95_ms,
            Self::P99 => spread.p99_ms,
        }
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.percent())
    }
}

/// A share of calls in thousandths of a percent: 99.5 % is 99,500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target(u64);

/// Thousandths of a percent in all of it.
const WHOLE: u64 = 100_000;

impl FromStr for Target {
    type Err = UnknownWord;

    /// Reads percent with up to three decimals, more than 0 and less than 100.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 2 || decimals.len() > 3 || !is_number(decimals) {
            return Err(UnknownWord);
        }
        let whole: u64 = Some(whole)
            .filter(|text| is_number(text))
            .map_or(Err(UnknownWord), |text| text.parse().map_err(|_| UnknownWord))?;
        let decimals: u64 = format!("{decimals:0<3}").parse().map_err(|_| UnknownWord)?;
        let thousandths = whole * 1_000 + decimals;
        (1..WHOLE).contains(&thousandths).then_some(Self(thousandths)).ok_or(UnknownWord)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&thousandths(self.0))
    }
}

/// Thousandths as decimal text: 99,500 is `99.5`.
fn thousandths(many: u64) -> String {
    let text = format!("{}.{:03}", many / 1_000, many % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Calls that say how available a service is: all that it ended itself. What Tollgate denied, a
/// client gave up or still runs says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) calls: u64,
    pub(super) failed: u64,
}

impl Served {
    pub(super) fn of(figures: &Figures) -> Self {
        let count = |status| figures.statuses.get(&status).copied().unwrap_or(0);
        let failed = count(Status::Error) + count(Status::Interrupted);
        Self { calls: count(Status::Succeeded) + failed, failed }
    }

    /// Calls that may fail before the target is missed.
    pub(super) fn allowed(self, target: Target) -> u64 {
        let allowed = u128::from(self.calls) * u128::from(WHOLE - target.0) / u128::from(WHOLE);
        u64::try_from(allowed).unwrap_or(u64::MAX)
    }

    /// The share that succeeded in percent, rounded down: what missed never reads as kept.
    pub(super) fn percent(self) -> String {
        let succeeded = u128::from(self.calls - self.failed) * u128::from(WHOLE);
        let share = succeeded / u128::from(self.calls.max(1));
        thousandths(u64::try_from(share).unwrap_or(WHOLE))
    }
}

/// How the rules that promise something of a service were kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Compliance {
    /// The first day's beginning.
    pub from: Timestamp,
    /// Now.
    pub to: Timestamp,
    /// The zone that days were cut by.
    pub tz: String,
    /// One of each rule that watches availability or durations, in the user's order.
    pub rules: Vec<KeptRule>,
}

/// How one rule was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct KeptRule {
    /// What the user calls it.
    pub name: String,
    /// The rule in a sentence.
    pub watches: String,
    /// What it measures.
    pub measure: Measure,
    /// What that is counted in.
    pub unit: MeasureUnit,
    /// Its line, as decimal text.
    pub line: String,
    /// All days together.
    pub whole: Kept,
    /// Calls that may fail in all of these days, for a rule of availability.
    pub error_budget: Option<u64>,
    /// How many of them failed.
    pub failed: u64,
    /// Days on which it was kept.
    pub days_kept: u64,
    /// Days on which it was broken; on others there were too few calls to say.
    pub days_broken: u64,
    /// One after the other, the oldest first.
    pub days: Vec<Kept>,
}

/// How a rule was kept in a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Kept {
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// Calls that say something.
    pub requests: u64,
    /// What was measured, as decimal text; `null` without such calls.
    pub value: Option<String>,
    /// Whether the line was kept; `null`: too few calls to say.
    pub kept: Option<bool>,
}

/// Days that are looked back.
const DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How each rule of availability and durations was kept, day by day.
///
/// # Errors
/// When the ledger cannot be read.
pub fn compliance(ledger: &Questions, rules: &[Rule], here: Here) -> Result<Compliance, Problem> {
    let month_ago = Timestamp::from_millis(here.now.millis() - (DAYS - 1) * DAY_MS);
    let (from, _) = crate::period::around(Granularity::Day, Here { now: month_ago, ..here });
    let mut kept = Vec::new();
    for rule in rules {
        if let Some(promise) = Promise::of(&rule.watch) {
            kept.push(kept_rule(ledger, rule, &promise, from, here)?);
        }
    }
    Ok(Compliance { from, to: here.now, tz: here.zone.name().to_owned(), rules: kept })
}

fn kept_rule(
    ledger: &Questions,
    rule: &Rule,
    promise: &Promise,
    from: Timestamp,
    here: Here,
) -> Result<KeptRule, Problem> {
    let mut asked = vec![
        ("from", from.to_string()),
        ("to", here.now.to_string()),
        ("granularity", Granularity::Day.to_string()),
    ];
    asked.extend(rule.filters.iter().map(|(name, value)| (&**name, value.clone())));
    let answer = question::usage(ledger, &Query::parse(Question::Usage, &asked, here)?, here.now)?;
    let days: Vec<Kept> =
        answer.series.iter().map(|day| promise.judged(day.from, day.to, &day.figures)).collect();
    let count = |kept| days.iter().filter(|day| day.kept == Some(kept)).count() as u64;
    let (measure, unit, line) = promise.says();
    let served = Served::of(&answer.totals);
    Ok(KeptRule {
        name: rule.name.clone(),
        watches: rule.to_string(),
        measure,
        unit,
        line,
        whole: promise.judged(from, here.now, &answer.totals),
        error_budget: promise.target().map(|target| served.allowed(target)),
        failed: served.failed,
        days_kept: count(true),
        days_broken: count(false),
        days,
    })
}

/// What a rule promises.
enum Promise {
    Availability { target: Target, at_least: u64 },
    Latency { percentile: Percentile, most_ms: u64, at_least: u64 },
    FirstContent { percentile: Percentile, most_ms: u64, at_least: u64 },
}

impl Promise {
    const fn of(watch: &Watch) -> Option<Self> {
        match *watch {
            Watch::Availability { below, at_least, .. } => {
                Some(Self::Availability { target: below, at_least })
            }
            Watch::Latency { above_ms, percentile, at_least, .. } => {
                Some(Self::Latency { percentile, most_ms: above_ms, at_least })
            }
            Watch::FirstContent { above_ms, percentile, at_least, .. } => {
                Some(Self::FirstContent { percentile, most_ms: above_ms, at_least })
            }
            Watch::Spend { .. }
            | Watch::Forecast { .. }
            | Watch::Errors { .. }
            | Watch::RateLimited { .. }
            | Watch::CacheHits { .. }
            | Watch::Unpriced { .. }
            | Watch::Calls { .. }
            | Watch::Loop { .. } => None,
        }
    }

    const fn target(&self) -> Option<Target> {
        match self {
            Self::Availability { target, .. } => Some(*target),
            Self::Latency { .. } | Self::FirstContent { .. } => None,
        }
    }

    fn says(&self) -> (Measure, MeasureUnit, String) {
        match self {
            Self::Availability { target, .. } => {
                (Measure::Availability, MeasureUnit::Percent, target.to_string())
            }
            Self::Latency { most_ms, .. } => {
                (Measure::Latency, MeasureUnit::Milliseconds, most_ms.to_string())
            }
            Self::FirstContent { most_ms, .. } => {
                (Measure::Ttft, MeasureUnit::Milliseconds, most_ms.to_string())
            }
        }
    }

    fn judged(&self, from: Timestamp, to: Timestamp, figures: &Figures) -> Kept {
        let duration = |spread: Option<Spread>, percentile: Percentile, most_ms, at_least| {
            let ms = spread.map(|spread| percentile.in_ms(spread));
            let requests = figures.requests;
            let kept = ms.filter(|_| requests >= at_least).map(|ms| ms <= most_ms);
            Kept { from, to, requests, value: ms.map(|ms| ms.to_string()), kept }
        };
        match *self {
            Self::Availability { target, at_least } => {
                let served = Served::of(figures);
                Kept {
                    from,
                    to,
                    requests: served.calls,
                    value: (served.calls > 0).then(|| served.percent()),
                    kept: (served.calls >= at_least.max(1))
                        .then(|| served.failed <= served.allowed(target)),
                }
            }
            Self::Latency { percentile, most_ms, at_least } => {
                duration(figures.latency, percentile, most_ms, at_least)
            }
            Self::FirstContent { percentile, most_ms, at_least } => {
                duration(figures.ttft, percentile, most_ms, at_least)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_share_with_up_to_three_decimals() {
        for text in ["99.5", "99", "0.001", "99.999", "50"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for wrong in ["100", "0", "", "99.9999", "-1", "+9", ".5", "9 9", "1e1", "99,5", "0.000"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_error_budget_is_what_the_target_leaves() {
        let target: Target = "99.5".parse().unwrap();
        // Half a percent of 1,000 are five, of 1,199 still five.
        let served = Served { calls: 1_000, failed: 6 };
        assert_eq!((served.allowed(target), served.percent()), (5, "99.4".to_owned()));
        assert_eq!(Served { calls: 1_199, failed: 0 }.allowed(target), 5);
        // 2 of 3 are 66.666… %, rounded down.
        assert_eq!(Served { calls: 3, failed: 1 }.percent(), "66.666");
        assert_eq!(Served { calls: 0, failed: 0 }.percent(), "0");
    }
}
