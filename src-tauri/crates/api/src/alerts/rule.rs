//! A rule: what it watches, where its line is, which calls count, and the questions whose
//! figures it is judged by.

use std::fmt;
use std::str::FromStr;

use meter::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use super::quiet::QuietHours;
use super::service_level::{Percentile, Target};
use crate::period::{self, Granularity, Here};
use crate::problem::Problem;
use crate::query::{Query, Question};

/// All that is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertPlan {
    /// The rules, in the user's order.
    pub rules: Vec<Rule>,
    /// Whether they are those that are ready where the user wrote none.
    pub is_ready_made: bool,
    /// When no rule without hours of its own disturbs.
    pub quiet_hours: Option<QuietHours>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the user calls it.
    pub name: String,
    /// What it watches, and its line.
    pub watch: Watch,
    /// Which calls, as parameters of the questions.
    pub filters: Vec<(String, String)>,
    /// When it does not disturb, if that differs from the rest.
    pub quiet_hours: Option<QuietHours>,
    /// Whether it is watched at all.
    pub is_enabled: bool,
}

/// What a rule watches, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Spend since the present hour, day, week or month began, above this many dollars.
    Spend {
        /// What must not be exceeded.
        above: Money,
        /// Where the sum begins anew.
        per: Per,
    },
    /// What the present period will come to if it goes on as it began.
    Forecast {
        /// What must not be exceeded.
        above: Money,
        /// The period that is extrapolated.
        per: Per,
        /// So much of the period must be over before it says anything, in percent.
        after_percent: u64,
    },
    /// Calls that failed, of all that ended.
    Errors {
        /// More than this share, in percent.
        above_percent: u64,
        /// Looked at.
        within: Window,
        /// Fewer calls than this say nothing.
        at_least: u64,
    },
    /// Calls that a provider turned away with status 429.
    RateLimited {
        /// More than this many.
        above: u64,
        /// Looked at.
        within: Window,
    },
    /// Too few calls that succeed, of all that the provider ended.
    Availability {
        /// Less than this share.
        below: Target,
        /// Looked at.
        within: Window,
        /// Fewer calls than this say nothing.
        at_least: u64,
    },
    /// The time that most calls stay under, end to end.
    Latency {
        /// More than this many milliseconds.
        above_ms: u64,
        /// How many are most.
        percentile: Percentile,
        /// Looked at.
        within: Window,
        /// Fewer calls than this say nothing.
        at_least: u64,
    },
    /// The time that most streams stay under until their first content.
    FirstContent {
        /// More than this many milliseconds.
        above_ms: u64,
        /// How many are most.
        percentile: Percentile,
        /// Looked at.
        within: Window,
        /// Fewer calls than this say nothing.
        at_least: u64,
    },
    /// The share of input tokens read from a cache, against what it was.
    CacheHits {
        /// Less than this much of the usual share, in percent.
        below_percent: u64,
        /// Looked at.
        within: Window,
        /// What is usual: the time before, back to this long ago.
        compared_with: Window,
        /// Fewer input tokens than this, now or then, say nothing.
        at_least_tokens: u64,
    },
    /// Calls whose cost is not known, of all calls.
    Unpriced {
        /// More than this share, in percent.
        above_percent: u64,
        /// Looked at.
        within: Window,
        /// Fewer calls than this say nothing.
        at_least: u64,
    },
    /// Calls in a window.
    Calls {
        /// More than this many.
        above: u64,
        /// Looked at.
        within: Window,
    },
    /// What ran away: calls of one model, fast and at rising spend.
    Loop {
        /// More than this many of one model.
        above: u64,
        /// Looked at; compared with as much time before.
        within: Window,
    },
}

/// A period of the user's calendar.
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
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    const fn each(self) -> &'static str {
        match self {
            Self::Hour => "an hour",
            Self::Day => "a day",
            Self::Week => "a week",
            Self::Month => "a month",
        }
    }

    /// The one it is now.
    pub(crate) const fn this(self) -> &'static str {
        match self {
            Self::Hour => "this hour",
            Self::Day => "today",
            Self::Week => "this week",
            Self::Month => "this month",
        }
    }
}

impl From<Per> for Granularity {
    fn from(per: Per) -> Self {
        match per {
            Per::Hour => Self::Hour,
            Per::Day => Self::Day,
            Per::Week => Self::Week,
            Per::Month => Self::Month,
        }
    }
}

impl FromStr for Per {
    type Err = meter::receipt::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|per| per.as_str() == text);
        found.ok_or(meter::receipt::UnknownWord)
    }
}

/// A span of time that moves along with the clock, such as `5m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    count: u32,
    unit: char,
}

impl Window {
    /// From `m`inutes to `w`eeks; at most a year.
    pub const fn new(count: u32, unit: char) -> Option<Self> {
        let window = Self { count, unit };
        match window.minutes() {
            1..=MOST_MINUTES => Some(window),
            _ => None,
        }
    }

    /// How many minutes it has; none for what is no window.
    pub const fn minutes(self) -> u64 {
        let each = match self.unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            _ => 0,
        };
        self.count as u64 * each
    }

    /// Where it begins when it ends at `end`.
    fn before(self, end: Timestamp) -> Timestamp {
        Timestamp::from_millis(end.millis() - 60_000 * self.minutes().cast_signed())
    }
}

/// A year.
const MOST_MINUTES: u64 = 366 * 24 * 60;

impl FromStr for Window {
    type Err = meter::receipt::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = text.chars().next_back().ok_or(meter::receipt::UnknownWord)?;
        let count = text[..text.len() - unit.len_utf8()].parse();
        count.ok().and_then(|count| Self::new(count, unit)).ok_or(meter::receipt::UnknownWord)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit)
    }
}

/// What a rule has to be told to be judged.
#[derive(Clone, Debug)]
pub struct RuleQuestions {
    /// Its own period or window.
    pub now: Query,
    /// What that is compared with, if it is.
    pub before: Option<Query>,
}

impl Rule {
    /// What is watched from the first run on: $20 a day, and one call in five that fails.
    pub fn ready() -> Vec<Self> {
        let above = Money::from_attos(20 * 10_i128.pow(18));
        let within = FIVE_MINUTES;
        let ready = |name: &str, watch| Self {
            name: name.to_owned(),
            watch,
            filters: Vec::new(),
            quiet_hours: None,
            is_enabled: true,
        };
        vec![
            ready("Daily spend", Watch::Spend { above, per: Per::Day }),
            ready("Errors", Watch::Errors { above_percent: 20, within, at_least: 10 }),
        ]
    }

    /// The questions whose answers it is judged by.
    ///
    /// # Errors
    /// When a filter is not one.
    pub fn questions(&self, here: Here) -> Result<RuleQuestions, Problem> {
        let ask = |from: Timestamp, to: Option<Timestamp>, own: &[(&str, &str)]| {
            let mut parameters = vec![("from", from.to_string())];
            parameters.extend(to.map(|to| ("to", to.to_string())));
            parameters.extend(own.iter().map(|(name, value)| (*name, (*value).to_owned())));
            parameters.extend(self.filters.iter().map(|(name, value)| (&**name, value.clone())));
            Query::parse(Question::Usage, &parameters, here)
        };
        let begin = self.begin(here);
        let (now, before) = match &self.watch {
            Watch::RateLimited { .. } => (ask(begin, None, &[("status", "429")])?, None),
            Watch::Loop { within, .. } => {
                let by = [("by", "model")];
                let before = ask(within.before(begin), Some(begin), &by)?;
                (ask(begin, None, &by)?, Some(before))
            }
            Watch::CacheHits { compared_with, .. } => {
                let before = ask(compared_with.before(here.now), Some(begin), &[])?;
                (ask(begin, None, &[])?, Some(before))
            }
            Watch::Spend { .. }
            | Watch::Forecast { .. }
            | Watch::Errors { .. }
            | Watch::Availability { .. }
            | Watch::Latency { .. }
            | Watch::FirstContent { .. }
            | Watch::Unpriced { .. }
            | Watch::Calls { .. } => (ask(begin, None, &[])?, None),
        };
        Ok(RuleQuestions { now, before })
    }

    /// Where its present period or window begins.
    pub fn begin(&self, here: Here) -> Timestamp {
        match self.watch.span() {
            Span::Calendar(per) => period::around(per.into(), here).0,
            Span::Moving(within) => within.before(here.now),
        }
    }

    /// When its present period is over by itself; a window moves all the time.
    pub fn end(&self, here: Here) -> Option<Timestamp> {
        match &self.watch {
            Watch::Spend { per, .. } => Some(period::around((*per).into(), here).1),
            // The longer nothing is spent, the less will be.
            Watch::Forecast { .. }
            | Watch::Errors { .. }
            | Watch::RateLimited { .. }
            | Watch::Availability { .. }
            | Watch::Latency { .. }
            | Watch::FirstContent { .. }
            | Watch::CacheHits { .. }
            | Watch::Unpriced { .. }
            | Watch::Calls { .. }
            | Watch::Loop { .. } => None,
        }
    }

    /// When it will have something to say although nothing happens until then.
    pub fn ripens(&self, here: Here) -> Option<Timestamp> {
        let Watch::Forecast { per, after_percent, .. } = &self.watch else { return None };
        let (from, to) = period::around((*per).into(), here);
        let share = (to.millis() - from.millis()) * after_percent.cast_signed() / 100;
        let ripe = Timestamp::from_millis(from.millis() + share + 1);
        Some(ripe).filter(|ripe| *ripe > here.now)
    }

    /// The page that shows what it looked at, from one instant up to another.
    pub fn page(&self, from: Timestamp, to: Timestamp, model: Option<&str>) -> String {
        let own = match &self.watch {
            Watch::Errors { .. } | Watch::Availability { .. } => "&status=error",
            Watch::RateLimited { .. } => "&status=429",
            Watch::Spend { .. }
            | Watch::Forecast { .. }
            | Watch::Latency { .. }
            | Watch::FirstContent { .. }
            | Watch::CacheHits { .. }
            | Watch::Unpriced { .. }
            | Watch::Calls { .. }
            | Watch::Loop { .. } => "",
        };
        let is_free = !self.filters.iter().any(|(name, _)| name == "model");
        let model = model.filter(|_| is_free).map(|model| ("model", model));
        let filters = self.filters.iter().map(|(name, value)| (&**name, &**value)).chain(model);
        let filters: String =
            filters.map(|(name, value)| format!("&{name}={}", escaped(value))).collect();
        let [from, to] = [from, to].map(|at| escaped(&at.to_string()));
        format!("/activity?from={from}&to={to}{own}{filters}")
    }
}

pub(crate) const MINUTE: Window = Window { count: 1, unit: 'm' };
pub(crate) const FIVE_MINUTES: Window = Window { count: 5, unit: 'm' };
pub(crate) const HOUR: Window = Window { count: 1, unit: 'h' };
pub(crate) const MONTH: Window = Window { count: 30, unit: 'd' };
pub(crate) const WEEK: Window = Window { count: 7, unit: 'd' };

/// The time a rule looks at.
pub(crate) enum Span {
    /// The present period of the user's calendar.
    Calendar(Per),
    /// Up to now.
    Moving(Window),
}

impl Watch {
    pub(crate) const fn span(&self) -> Span {
        match self {
            Self::Spend { per, .. } | Self::Forecast { per, .. } => Span::Calendar(*per),
            Self::Errors { within, .. }
            | Self::RateLimited { within, .. }
            | Self::Availability { within, .. }
            | Self::Latency { within, .. }
            | Self::FirstContent { within, .. }
            | Self::CacheHits { within, .. }
            | Self::Unpriced { within, .. }
            | Self::Calls { within, .. }
            | Self::Loop { within, .. } => Span::Moving(*within),
        }
    }
}

/// Text as it may stand in an address.
pub fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        use std::fmt::Write as _;
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}

/// The rule in a sentence: `more than 20 % of at least 10 calls fail within 5m`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.watch {
            Watch::Spend { above, per } => {
                write!(f, "more than {} {}", above.as_dollars(), per.each())?
            }
            Watch::Forecast { above, per, after_percent } => write!(
                f,
                "on course for more than {} {}, once {after_percent} % of it is over",
                above.as_dollars(),
                per.each()
            )?,
            Watch::Errors { above_percent, within, at_least } => write!(
                f,
                "more than {above_percent} % of at least {at_least} calls fail within {within}"
            )?,
            Watch::RateLimited { above, within } => {
                write!(f, "more than {above} calls are answered 429 within {within}")?;
            }
            Watch::Availability { below, within, at_least } => write!(
                f,
                "less than {below} % of at least {at_least} calls succeed within {within}"
            )?,
            Watch::Latency { above_ms, percentile, within, at_least } => write!(
                f,
                "{percentile} latency above {above_ms} ms for at least {at_least} calls within {within}"
            )?,
            Watch::FirstContent { above_ms, percentile, within, at_least } => write!(
                f,
                "{percentile} time to first content above {above_ms} ms for at least {at_least} calls within {within}"
            )?,
            Watch::CacheHits { below_percent, within, compared_with, at_least_tokens } => write!(
                f,
                "cached input falls below {below_percent} % of its share in the {compared_with} before, within {within} and of at least {at_least_tokens} input tokens"
            )?,
            Watch::Unpriced { above_percent, within, at_least } => write!(
                f,
                "more than {above_percent} % of at least {at_least} calls have no known cost within {within}"
            )?,
            Watch::Calls { above, within } => write!(f, "more than {above} calls within {within}")?,
            Watch::Loop { above, within } => {
                write!(f, "more than {above} calls of one model within {within} at rising spend")?;
            }
        }
        self.filters.iter().try_for_each(|(name, value)| write!(f, ", {name} {value}"))
    }
}
