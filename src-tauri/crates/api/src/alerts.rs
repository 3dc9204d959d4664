//! When to speak up: rules over usage figures, judged without memory, clock or ledger.
//!
//! A [`Rule`] names the question whose figures it needs; [`Rule::judge`] says whether they
//! cross its line. Who asks, remembers episodes and tells the user is not known here.

use meter::Money;
use meter::receipt::Status;
use serde::{Deserialize, Serialize};

use crate::answer::Figures;
use crate::period::Here;
use crate::problem::Problem;
use crate::query::{Query, Question};

/// What a rule watches, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Spend since the present hour, day, week or month began, above this many dollars.
    Spend {
        /// What must not be exceeded.
        above: Money,
        /// Where the sum begins anew.
        per: Per,
    },
    /// Calls that failed, of all that ended within a window.
    Errors {
        /// More than this share, in percent.
        above_percent: u64,
        /// The window, such as `5m`.
        within: String,
        /// Fewer calls than this say nothing.
        at_least: u64,
    },
    /// The time that 95 of a hundred calls stay under.
    Latency {
        /// More than this many milliseconds.
        above_ms: u64,
        /// The window, such as `10m`.
        within: String,
        /// Fewer calls than this say nothing.
        at_least: u64,
    },
    /// Calls in a window: what a loop that ran away does.
    Calls {
        /// More than this many.
        above: u64,
        /// The window, such as `1m`.
        within: String,
    },
}

/// A calendar period of the user's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// From the full hour on.
    Hour,
    /// From midnight on.
    Day,
    /// From Monday on.
    Week,
    /// From the first on.
    Month,
}

impl Per {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The present period's beginning, as a question names it.
    fn begin(self, here: Here) -> String {
        let now = here.now.utc().with_timezone(&here.zone);
        match self {
            Self::Hour => now.format("%Y-%m-%dT%H:00").to_string(),
            Self::Day => "today".to_owned(),
            Self::Week => {
                use chrono::Datelike as _;
                let since = u64::from(now.weekday().num_days_from_monday());
                let monday = now.date_naive().checked_sub_days(chrono::Days::new(since));
                monday.unwrap_or(now.date_naive()).format("%Y-%m-%d").to_string()
            }
            Self::Month => now.format("%Y-%m").to_string(),
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the user calls it.
    pub name: String,
    /// What it watches.
    pub line: Line,
    /// Which calls, as parameters of the questions.
    pub filters: Vec<(String, String)>,
}

/// How figures stand to a rule's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Across the line; the sentence says by how much.
    Crossed(String),
    /// Clearly back, so that the next crossing is news again.
    Back,
    /// Neither: what is going on goes on.
    Between,
}

impl Rule {
    /// What is watched from the first run on: $20 a day, and one call in five that fails.
    pub fn ready() -> Vec<Self> {
        let dollars = |whole: i128| Money::from_attos(whole * 1_000_000_000_000_000_000);
        vec![
            Self {
                name: "Daily spend".to_owned(),
                line: Line::Spend { above: dollars(20), per: Per::Day },
                filters: Vec::new(),
            },
            Self {
                name: "Errors".to_owned(),
                line: Line::Errors { above_percent: 20, within: "5m".to_owned(), at_least: 10 },
                filters: Vec::new(),
            },
        ]
    }

    /// The usage question whose totals it judges.
    ///
    /// # Errors
    /// When a filter or the window is not one.
    pub fn query(&self, here: Here) -> Result<Query, Problem> {
        let period = match &self.line {
            Line::Spend { per, .. } => ("from".to_owned(), per.begin(here)),
            Line::Errors { within, .. }
            | Line::Latency { within, .. }
            | Line::Calls { within, .. } => ("last".to_owned(), within.clone()),
        };
        let parameters: Vec<_> = std::iter::once(period).chain(self.filters.clone()).collect();
        Query::parse(Question::Usage, &parameters, here)
    }

    /// The page with the requests behind it, as a query string.
    pub fn page(&self) -> String {
        let period = match &self.line {
            Line::Spend { per: Per::Month, .. } => "range=month".to_owned(),
            Line::Spend { per: Per::Week, .. } => "range=7d".to_owned(),
            Line::Spend { .. } => "range=today".to_owned(),
            Line::Errors { .. } => "range=1h&status=error".to_owned(),
            Line::Latency { .. } | Line::Calls { .. } => "range=1h".to_owned(),
        };
        let filters: String = self
            .filters
            .iter()
            .map(|(name, value)| format!("&{name}={}", escaped(value)))
            .collect();
        format!("/requests?{period}{filters}")
    }

    /// Whether it looks at a window that moves on without any call.
    pub const fn is_of_a_window(&self) -> bool {
        !matches!(self.line, Line::Spend { .. })
    }

    /// How `totals` stand to the line.
    pub fn judge(&self, totals: &Figures) -> Verdict {
        match &self.line {
            Line::Spend { above, per } => match totals.cost {
                Some(cost) if cost > *above => Verdict::Crossed(format!(
                    "{cost_text} spent this {per}, over the line of {line_text}; {requests} requests.",
                    cost_text = dollars(cost),
                    line_text = dollars(*above),
                    per = per.as_str(),
                    requests = totals.requests,
                )),
                // A sum only falls when its period is over.
                Some(_) | None => Verdict::Back,
            },
            Line::Errors { above_percent, within, at_least } => {
                let count = |status| totals.statuses.get(&status).copied().unwrap_or(0);
                let failed = count(Status::Error) + count(Status::Interrupted);
                let ended = totals.requests - count(Status::Pending);
                let is_enough = ended >= *at_least;
                if is_enough && failed * 100 > above_percent * ended {
                    return Verdict::Crossed(format!(
                        "{failed} of {ended} requests failed within {within}: {} %, over the line of {above_percent} %.",
                        failed * 100 / ended
                    ));
                }
                // Half the line: what swings around it is one episode.
                match is_enough && failed * 200 > above_percent * ended {
                    true => Verdict::Between,
                    false => Verdict::Back,
                }
            }
            Line::Latency { above_ms, within, at_least } => {
                let p95 = totals.latency.map_or(0, |spread| spread.p95_ms);
                match totals.requests >= *at_least {
                    true if p95 > *above_ms => Verdict::Crossed(format!(
                        "95 of 100 requests took up to {p95} ms within {within}, over the line of {above_ms} ms."
                    )),
                    true if p95 * 10 > above_ms * 8 => Verdict::Between,
                    true | false => Verdict::Back,
                }
            }
            Line::Calls { above, within } => {
                if totals.requests > *above {
                    return Verdict::Crossed(format!(
                        "{} requests within {within}, over the line of {above}.",
                        totals.requests
                    ));
                }
                match totals.requests * 2 > *above {
                    true => Verdict::Between,
                    false => Verdict::Back,
                }
            }
        }
    }
}

/// Dollars with two decimals, rounded half up; four below a dollar.
fn dollars(amount: Money) -> String {
    let decimals: u32 = if amount.attos().unsigned_abs() < 10u128.pow(18) { 4 } else { 2 };
    let step = 10u128.pow(18 - decimals);
    let steps = (amount.attos().unsigned_abs() + step / 2) / step;
    let unit = 10u128.pow(decimals);
    format!("${}.{:0width$}", steps / unit, steps % unit, width = decimals as usize)
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        use std::fmt::Write as _;
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte))
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}

/// What happened to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Its line was crossed.
    Began,
    /// It is over.
    Ended,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use meter::Timestamp;

    use super::*;

    fn figures(requests: u64, errors: u64, cost: &str) -> Figures {
        Figures {
            requests,
            statuses: BTreeMap::from([(Status::Error, errors)]),
            cost: Some(cost.parse().unwrap()),
            other_costs: BTreeMap::new(),
            subtotal: Money::ZERO,
            saved: Money::ZERO,
            unpriced: 0,
            estimated: 0,
            input_tokens: 0,
            output_tokens: 0,
            factors: BTreeMap::new(),
            latency: None,
            ttft: None,
            converted: None,
        }
    }

    #[test]
    fn a_line_is_crossed_above_it_and_not_on_it() {
        let [spend, errors] = &Rule::ready()[..] else { panic!() };
        assert_eq!(spend.judge(&figures(1, 0, "20")), Verdict::Back);
        let Verdict::Crossed(said) = spend.judge(&figures(3, 0, "20.005")) else { panic!() };
        assert_eq!(said, "$20.01 spent this day, over the line of $20.00; 3 requests.");
        assert_eq!(errors.judge(&figures(10, 2, "0")), Verdict::Between);
        assert!(matches!(errors.judge(&figures(10, 3, "0")), Verdict::Crossed(_)));
    }

    #[test]
    fn few_calls_say_nothing_and_half_the_line_is_back() {
        let errors = &Rule::ready()[1];
        assert_eq!(errors.judge(&figures(9, 9, "0")), Verdict::Back);
        assert_eq!(errors.judge(&figures(100, 11, "0")), Verdict::Between);
        assert_eq!(errors.judge(&figures(100, 10, "0")), Verdict::Back);
    }

    #[test]
    fn periods_begin_where_the_user_lives() {
        let here = Here {
            now: Timestamp::parse("2026-11-21T23:30:00Z").unwrap(),
            zone: chrono_tz::Europe::Berlin,
        };
        let begin = |per: Per| {
            let line = Line::Spend { above: Money::ZERO, per };
            let rule = Rule { name: String::new(), line, filters: Vec::new() };
            rule.query(here).unwrap().filter.from.unwrap().to_string()
        };
        assert_eq!(begin(Per::Hour), "2026-11-21T23:00:00.000Z");
        assert_eq!(begin(Per::Day), "2026-11-21T23:00:00.000Z");
        // It is Sunday there; the week began on Monday the 16th.
        assert_eq!(begin(Per::Week), "2026-11-15T23:00:00.000Z");
        assert_eq!(begin(Per::Month), "2026-10-31T23:00:00.000Z");
    }

    #[test]
    fn a_rule_leads_to_its_requests() {
        let mut rule = Rule::ready().remove(1);
        rule.filters = vec![("model".to_owned(), "a b&c".to_owned())];
        assert_eq!(rule.page(), "/requests?range=1h&status=error&model=a%20b%26c");
    }
}
