//! How figures stand to a rule's line: arithmetic on integers, without memory or clock.

use meter::receipt::Status;
use meter::usage::{Count, Factor};
use meter::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use super::rule::{Rule, Watch};
use super::service_level::{Served, Target};
use crate::answer::{Figures, Row, Usage};
use crate::period::{Here, around};

/// How figures stand to a rule's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Across the line.
    Crossed(Box<Crossing>),
    /// Clearly back, so that the next crossing is news again.
    Back,
    /// Neither: what is going on goes on.
    Between,
}

/// Figures that crossed a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The figures.
    pub reading: Reading,
    /// The same as a sentence.
    pub said: String,
}

/// The figures that crossed a line, and the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Reading {
    /// What was measured.
    pub measure: Measure,
    /// What it came to, as decimal text.
    pub value: String,
    /// The line, as decimal text.
    pub threshold: String,
    /// What both are counted in.
    pub unit: MeasureUnit,
    /// How many requests that is about.
    pub requests: u64,
    /// The model, where it is about one.
    pub model: Option<String>,
    /// Where the period or window began.
    pub from: Timestamp,
    /// Where it ended: the moment it was measured.
    pub to: Timestamp,
}

/// What rules measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Money spent in a calendar period.
    Spend,
    /// What a calendar period will come to.
    Forecast,
    /// The share of calls that failed.
    ErrorRate,
    /// Calls answered 429.
    RateLimited,
    /// The share of calls that succeeded, of those that the provider ended.
    Availability,
    /// A percentile end to end.
    Latency,
    /// A percentile until first content.
    Ttft,
    /// The share of cached input, as a share of the usual one.
    CacheHits,
    /// The share of calls without a known cost.
    Unpriced,
    /// Calls.
    Calls,
    /// Calls of one model at rising spend.
    Loop,
}

/// What figures are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum MeasureUnit {
    /// US dollars.
    Usd,
    /// Hundredths.
    Percent,
    /// Thousandths of a second.
    Milliseconds,
    /// Requests.
    Requests,
}

/// A cache that was never used much cannot collapse: the usual share must be this, in percent.
const USUAL_SHARE: u128 = 10;

/// The longest name of a model in a sentence.
const NAME: usize = 60;

/// What crossed, before it is known where and when.
struct Found {
    measure: Measure,
    unit: MeasureUnit,
    value: String,
    threshold: String,
    requests: u64,
    model: Option<String>,
    said: String,
}

enum Stand {
    Over(Found),
    Between,
    Back,
}

impl Rule {
    /// How the answers to its questions stand to its line.
    pub fn judge(&self, here: Here, now: &Usage, before: Option<&Usage>) -> Verdict {
        match self.stand(here, now, before) {
            Stand::Over(found) => {
                let Found { measure, unit, value, threshold, requests, model, said } = found;
                let (from, to) = (self.begin(here), here.now);
                let reading =
                    Reading { measure, value, threshold, unit, requests, model, from, to };
                Verdict::Crossed(Box::new(Crossing { reading, said }))
            }
            Stand::Between => Verdict::Between,
            Stand::Back => Verdict::Back,
        }
    }

    fn stand(&self, here: Here, now: &Usage, before: Option<&Usage>) -> Stand {
        let totals = &now.totals;
        match &self.watch {
            Watch::Spend { above, per } => spend(totals, *above, per.this()),
            Watch::Forecast { above, per, after_percent } => {
                let (from, to) = around((*per).into(), here);
                let whole = to.millis() - from.millis();
                let gone = here.now.millis() - from.millis();
                // Of the period's first moments nothing can be said.
                match gone.max(0).unsigned_abs() * 100 >= whole.unsigned_abs() * after_percent {
                    true => forecast(totals, *above, (gone, whole), per.as_str()),
                    false => Stand::Back,
                }
            }
            Watch::Errors { above_percent, within, at_least } => {
                let count = |status| totals.statuses.get(&status).copied().unwrap_or(0);
                let failed = count(Status::Error) + count(Status::Interrupted);
                let ended = totals.requests - count(Status::Pending);
                let share = Share { part: failed, whole: ended, at_least: *at_least };
                share.stand(*above_percent, Measure::ErrorRate, |percent| {
                    format!("{failed} of {ended} requests failed within {within}: {percent} %, over the line of {above_percent} %.")
                })
            }
            Watch::Unpriced { above_percent, within, at_least } => {
                let (part, whole) = (totals.unpriced, totals.requests);
                let share = Share { part, whole, at_least: *at_least };
                share.stand(*above_percent, Measure::Unpriced, |percent| {
                    format!("{part} of {whole} requests within {within} have no known cost: {percent} %, over the line of {above_percent} %.")
                })
            }
            Watch::RateLimited { above, within } => {
                let requests = totals.requests;
                number(requests, *above, Measure::RateLimited, || {
                    format!(
                        "{requests} requests were answered 429 within {within}, over the line of {above}."
                    )
                })
            }
            Watch::Calls { above, within } => {
                let requests = totals.requests;
                number(requests, *above, Measure::Calls, || {
                    format!("{requests} requests within {within}, over the line of {above}.")
                })
            }
            Watch::Availability { below, within, at_least } => {
                availability(Served::of(totals), *below, *at_least, &within.to_string())
            }
            Watch::Latency { above_ms, percentile, within, at_least } => {
                let spread = totals.latency.filter(|_| totals.requests >= *at_least);
                duration(
                    totals,
                    spread.map_or(0, |spread| percentile.in_ms(spread)),
                    *above_ms,
                    Measure::Latency,
                    |ms| {
                        let most = percentile.percent();
                        format!(
                            "{most} of 100 requests took up to {ms} ms within {within}, over the line of {above_ms} ms."
                        )
                    },
                )
            }
            Watch::FirstContent { above_ms, percentile, within, at_least } => {
                let spread = totals.ttft.filter(|_| totals.requests >= *at_least);
                duration(
                    totals,
                    spread.map_or(0, |spread| percentile.in_ms(spread)),
                    *above_ms,
                    Measure::Ttft,
                    |ms| {
                        let most = percentile.percent();
                        format!(
                            "{most} of 100 streams took up to {ms} ms to begin within {within}, over the line of {above_ms} ms."
                        )
                    },
                )
            }
            Watch::CacheHits { below_percent, within, compared_with, at_least_tokens } => {
                let Some(before) = before else { return Stand::Back };
                let [now, usual] = [totals, &before.totals].map(Cached::of);
                if now.input.min(usual.input) < u128::from(*at_least_tokens) {
                    return Stand::Back;
                }
                cache_hits(totals.requests, (&now, &usual), *below_percent, |now, usual| {
                    format!(
                        "{now} % of the input came from a cache within {within}, after {usual} % in the {compared_with} before: below {below_percent} % of that."
                    )
                })
            }
            Watch::Loop { above, within } => runaway(now, before, *above, &within.to_string()),
        }
    }
}

fn spend(totals: &Figures, above: Money, per: &str) -> Stand {
    // A sum only falls when its period is over, and an unknown one is over no line.
    let Some(cost) = totals.cost.filter(|cost| *cost > above) else { return Stand::Back };
    let (value, line, requests) = (cost.as_dollars(), above.as_dollars(), totals.requests);
    Stand::Over(Found {
        measure: Measure::Spend,
        unit: MeasureUnit::Usd,
        value: cost.to_string(),
        threshold: above.to_string(),
        requests,
        model: None,
        said: format!(
            "{value} spent {per}, over the line of {line}; {}{}.",
            plural(requests, "request"),
            without_cost(totals)
        ),
    })
}

fn forecast(totals: &Figures, above: Money, (gone, whole): (i64, i64), per: &str) -> Stand {
    let Some(spent) = totals.cost else { return Stand::Back };
    let (gone, whole) = (i128::from(gone.max(1)), i128::from(whole));
    // Above a hundred billion dollars the milliseconds do not matter.
    let course = spent
        .attos()
        .checked_mul(whole)
        .map_or_else(|| (spent.attos() / gone).saturating_mul(whole), |attos| attos / gone);
    let course = Money::from_attos(course);
    if course > above {
        let (spent, line) = (spent.as_dollars(), above.as_dollars());
        return Stand::Over(Found {
            measure: Measure::Forecast,
            unit: MeasureUnit::Usd,
            value: course.to_string(),
            threshold: above.to_string(),
            requests: totals.requests,
            model: None,
            said: format!(
                "{spent} spent in {} % of this {per}: on course for {}, over the line of {line}{}.",
                gone * 100 / whole,
                course.as_dollars(),
                without_cost(totals)
            ),
        });
    }
    match course.attos() / 9 > above.attos() / 10 {
        true => Stand::Between,
        false => Stand::Back,
    }
}

/// So many of so many.
struct Share {
    part: u64,
    whole: u64,
    at_least: u64,
}

impl Share {
    fn stand(&self, line: u64, measure: Measure, said: impl FnOnce(&str) -> String) -> Stand {
        let (part, whole) = (u128::from(self.part), u128::from(self.whole));
        let line_of_whole = u128::from(line) * whole;
        if self.whole < self.at_least || self.whole == 0 {
            return Stand::Back;
        }
        if part * 100 > line_of_whole {
            // Rounded up: what is over the line never reads as being on it.
            let value = tenths((part * 1000).div_ceil(whole));
            return Stand::Over(Found {
                measure,
                unit: MeasureUnit::Percent,
                said: said(&value),
                value,
                threshold: line.to_string(),
                requests: self.whole,
                model: None,
            });
        }
        // Half the line: what swings around it is one episode.
        match part * 200 > line_of_whole {
            true => Stand::Between,
            false => Stand::Back,
        }
    }
}

fn availability(served: Served, target: Target, at_least: u64, within: &str) -> Stand {
    let (Served { calls, failed }, allowed) = (served, served.allowed(target));
    if calls < at_least || calls == 0 {
        return Stand::Back;
    }
    if failed > allowed {
        let (value, may) = (served.percent(), plural(allowed, "call"));
        return Stand::Over(Found {
            measure: Measure::Availability,
            unit: MeasureUnit::Percent,
            said: format!(
                "{} of {calls} calls within {within} succeeded: {value} %, below the line of {target} %. {failed} failed, where {may} may.",
                calls - failed
            ),
            value,
            threshold: target.to_string(),
            requests: calls,
            model: None,
        });
    }
    // A tenth of the error budget: what swings around the line is one episode.
    match u128::from(failed) * 10 > u128::from(allowed) * 9 {
        true => Stand::Between,
        false => Stand::Back,
    }
}

fn number(count: u64, line: u64, measure: Measure, said: impl FnOnce() -> String) -> Stand {
    if count > line {
        return Stand::Over(Found {
            measure,
            unit: MeasureUnit::Requests,
            value: count.to_string(),
            threshold: line.to_string(),
            requests: count,
            model: None,
            said: said(),
        });
    }
    match count * 2 > line {
        true => Stand::Between,
        false => Stand::Back,
    }
}

fn duration(
    totals: &Figures,
    ms: u64,
    line: u64,
    measure: Measure,
    said: impl FnOnce(u64) -> String,
) -> Stand {
    if ms > line {
        return Stand::Over(Found {
            measure,
            unit: MeasureUnit::Milliseconds,
            value: ms.to_string(),
            threshold: line.to_string(),
            requests: totals.requests,
            model: None,
            said: said(ms),
        });
    }
    match ms * 10 > line * 8 {
        true => Stand::Between,
        false => Stand::Back,
    }
}

/// How much of the input came from a cache, in millionths of tokens.
struct Cached {
    input: u128,
    read: u128,
}

impl Cached {
    fn of(figures: &Figures) -> Self {
        let read = [
            Factor::InputCacheRead,
            Factor::InputCacheReadAudio,
            Factor::InputCacheReadImage,
            Factor::InputCacheReadVideo,
        ];
        let read = read.iter().filter_map(|factor| figures.factors.get(factor));
        let one = u128::from(Count::ONE);
        Self {
            input: u128::from(figures.input_tokens),
            read: read.map(|count| u128::from(count.millionths()) / one).sum(),
        }
    }

    fn tenths(&self) -> String {
        tenths(self.read * 1000 / self.input.max(1))
    }
}

fn cache_hits(
    requests: u64,
    (now, usual): (&Cached, &Cached),
    below: u64,
    said: impl FnOnce(&str, &str) -> String,
) -> Stand {
    if usual.read * 100 < USUAL_SHARE * usual.input {
        return Stand::Back;
    }
    // Shares are compared crosswise, so that nothing is divided.
    let (is, was) = (now.read * usual.input, usual.read * now.input);
    let below = u128::from(below);
    if is * 100 < below * was {
        return Stand::Over(Found {
            measure: Measure::CacheHits,
            unit: MeasureUnit::Percent,
            value: tenths(is * 1000 / was),
            threshold: below.to_string(),
            requests,
            model: None,
            said: said(&now.tenths(), &usual.tenths()),
        });
    }
    // Back is half the way up from the line to what is usual.
    match is * 200 < (below + 100) * was {
        true => Stand::Between,
        false => Stand::Back,
    }
}

fn runaway(now: &Usage, before: Option<&Usage>, above: u64, within: &str) -> Stand {
    let earlier = |row: &Row| {
        let rows = before.map(|before| before.rows.as_slice()).unwrap_or_default();
        rows.iter().find(|earlier| earlier.name == row.name)
    };
    let busiest = now.rows.iter().max_by_key(|row| row.figures.requests);
    let fast = now.rows.iter().filter(|row| row.figures.requests > above);
    let rising = fast.filter(|row| rises(&row.figures, earlier(row).map(|row| &row.figures)));
    if let Some(row) = rising.max_by_key(|row| row.figures.requests) {
        let requests = row.figures.requests;
        let model = row.name.as_deref().unwrap_or("no model");
        let model: String = model.chars().filter(|c| !c.is_control()).take(NAME).collect();
        let spent = row.figures.cost.map_or_else(|| "unknown".to_owned(), Money::as_dollars);
        return Stand::Over(Found {
            measure: Measure::Loop,
            unit: MeasureUnit::Requests,
            value: requests.to_string(),
            threshold: above.to_string(),
            requests,
            said: format!(
                "{requests} requests to {model} within {within}, over the line of {above}, and rising; cost {spent}."
            ),
            model: row.name.clone(),
        });
    }
    match busiest.is_some_and(|row| row.figures.requests * 2 > above) {
        true => Stand::Between,
        false => Stand::Back,
    }
}

/// Whether more was spent than before; where that is not known, whether more was used.
fn rises(now: &Figures, before: Option<&Figures>) -> bool {
    let tokens = |figures: &Figures| figures.input_tokens + figures.output_tokens;
    let cost = |figures: &Figures| figures.cost.unwrap_or(Money::ZERO);
    let is_unknown = now.unpriced != 0 && tokens(now) > before.map_or(0, tokens);
    is_unknown || cost(now) > before.map_or(Money::ZERO, cost)
}

/// Tenths as decimal text: `204` is `20.4`, `200` is `20`.
fn tenths(tenths: u128) -> String {
    match (tenths / 10, tenths % 10) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{rest}"),
    }
}

/// What a sum leaves out.
fn without_cost(totals: &Figures) -> String {
    match totals.unpriced {
        0 => String::new(),
        unpriced => format!("; {} without known cost not counted", plural(unpriced, "request")),
    }
}

fn plural(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}
