//! A rule as it is written: an entry of `[[alerts]]`, the body of a request, a form. One line
//! of the eleven is given; what that line does not know is refused, not forgotten.

use std::collections::BTreeMap;

use meter::Money;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::quiet::QuietHours;
use super::rule::{FIVE_MINUTES, HOUR, MINUTE, MONTH, Per, Rule, WEEK, Watch, Window};
use super::service_level::{Percentile, Target};
use crate::period::Here;
use crate::problem::{Code, Problem};

/// A rule as it is written. Exactly one of the fields that end in `above`, `above_ms` or
/// `below` is given: its line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// What the user calls it; up to 80 characters.
    pub name: String,
    /// Dollars, as decimal text, that may be spent in the present period.
    pub spend_above: Option<String>,
    /// Dollars, as decimal text, that the present period may be on course for.
    pub forecast_above: Option<String>,
    /// Percent of calls that may fail.
    pub error_rate_above: Option<i64>,
    /// Calls that may be answered 429.
    pub rate_limited_above: Option<i64>,
    /// Percent of calls, as decimal text such as `99.5`, that must succeed.
    pub availability_below: Option<String>,
    /// Milliseconds that most calls may take.
    pub latency_above_ms: Option<i64>,
    /// Milliseconds that most streams may take until their first content.
    pub ttft_above_ms: Option<i64>,
    /// Percent of the usual share of cached input that there must be.
    pub cache_hits_below: Option<i64>,
    /// Percent of calls that may have no known cost.
    pub unpriced_above: Option<i64>,
    /// Calls that there may be.
    pub calls_above: Option<i64>,
    /// Calls of one model that there may be while spend rises.
    pub loop_above: Option<i64>,
    /// The calendar period of a spend or forecast; `day` if left out.
    pub per: Option<Per>,
    /// Percent of the period that must be over before a forecast; 10 if left out.
    pub after_percent: Option<i64>,
    /// How many of a hundred are most, of a duration: 50, 95 or 99; 95 if left out.
    pub percentile: Option<i64>,
    /// The time looked at, such as `5m`.
    pub within: Option<String>,
    /// How far back goes what is usual for the cache; `7d` if left out.
    pub compared_with: Option<String>,
    /// Fewer calls than this say nothing; 10 if left out.
    pub at_least: Option<i64>,
    /// Fewer input tokens than this say nothing of a cache; 100000 if left out.
    pub at_least_tokens: Option<i64>,
    /// Only these calls: values by the names of the questions' filters.
    #[serde(default, deserialize_with = "one_or_many")]
    #[specta(type = BTreeMap<String, Vec<String>>)]
    pub only: BTreeMap<String, Vec<String>>,
    /// When this rule does not disturb, instead of the hours that go for all.
    pub quiet_hours: Option<QuietHours>,
    /// `false` watches nothing until it is taken back.
    pub enabled: Option<bool>,
}

/// The fields that are a rule's line.
const LINES: [&str; 11] = [
    "spend_above",
    "forecast_above",
    "error_rate_above",
    "rate_limited_above",
    "availability_below",
    "latency_above_ms",
    "ttft_above_ms",
    "cache_hits_below",
    "unpriced_above",
    "calls_above",
    "loop_above",
];

/// The filters a rule may have.
const FILTERS: [&str; 13] = [
    "model",
    "provider",
    "key",
    "pass",
    "workspace",
    "client",
    "status",
    "kind",
    "technology",
    "capability",
    "stream",
    "tag",
    "demo",
];

/// Names that are addresses beside the rules' own.
const RESERVED: [&str; 4] = ["compliance", "history", "pause", "quiet-hours"];

/// The longest name of a rule, in characters.
const NAME: usize = 80;

/// The longest value of a filter, and the most of them.
const FILTER: usize = 1000;
const MOST_FILTERS: usize = 50;

/// More dollars than this, or more of anything else, is a slip of the finger.
const MOST: i64 = 1_000_000_000;

/// A day in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl AlertRule {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Names the field that cannot be read.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let not_one = |error: serde_json::Error| {
            Problem::new(Code::BadBody, format!("this is not a rule: {error}"))
                .hint("Send such as {\"name\":\"Daily spend\",\"spend_above\":\"20.00\"}.")
        };
        // An object: a list would be read as fields without names.
        let fields: serde_json::Map<String, Value> =
            serde_json::from_slice(body).map_err(not_one)?;
        let value = Value::Object(fields);
        let rule: Result<Self, _> = serde_json::from_value(value.clone());
        rule.map_err(|error| match culprit(&value) {
            Some(field) => {
                let field: String = field.chars().take(100).collect();
                wrong(&field, &format!("cannot be used: {error}"), &shapes(&field))
            }
            None => not_one(error),
        })
    }

    /// The checked rule.
    ///
    /// # Errors
    /// Names the field that is wrong and says what may stand there.
    pub fn check(&self) -> Result<Rule, Problem> {
        let watch = self.watch()?;
        self.refuse_strangers(&watch)?;
        let rule = Rule {
            name: self.checked_name()?,
            filters: self.filters(&watch)?,
            watch,
            quiet_hours: self.quiet_hours,
            is_enabled: self.enabled.unwrap_or(true),
        };
        // Asked once here, so that a wrong filter is refused now and not forgotten later.
        let here = Here { now: meter::Timestamp::default(), zone: chrono_tz::UTC };
        rule.questions(here).map_err(|problem| {
            let hint = problem.hint.unwrap_or_default();
            Problem::new(Code::BadBody, format!("`only`: {}", problem.message)).hint(hint)
        })?;
        Ok(rule)
    }

    fn checked_name(&self) -> Result<String, Problem> {
        let name = visible(&self.name)?;
        if RESERVED.contains(&name) {
            let why = format!("cannot be `{name}`");
            return Err(wrong("name", &why, "That is an address of the API; choose another."));
        }
        Ok(name.to_owned())
    }

    fn watch(&self) -> Result<Watch, Problem> {
        let given = self.given();
        let [line] = given.iter().filter(|name| LINES.contains(name)).collect::<Vec<_>>()[..]
        else {
            let lines = LINES.map(|line| format!("`{line}`")).join(", ");
            let name: String = self.name.chars().take(NAME).collect();
            return Err(Problem::new(
                Code::BadBody,
                format!("the rule `{name}` must have exactly one line"),
            )
            .hint(format!("Give one of {lines}.")));
        };
        let whole = |field: &str, value: Option<i64>, from: i64, to: i64| {
            whole(field, value.unwrap_or_default(), from, to)
        };
        let above = |value: Option<i64>| whole(line, value, 0, MOST);
        let percent = |value: Option<i64>| whole(line, value, 0, 99);
        let ms = |value: Option<i64>| whole(line, value, 1, DAY_MS);
        let at_least = whole("at_least", Some(self.at_least.unwrap_or(10)), 1, MOST)?;
        let per = self.per.unwrap_or(Per::Day);
        let percentile = || {
            let given = self.percentile.unwrap_or(95);
            let wrong =
                || wrong("percentile", &format!("cannot be {given}"), "Write 50, 95 or 99.");
            Percentile::of(given).ok_or_else(wrong)
        };
        let within = |usual| window("within", self.within.as_deref(), usual);
        Ok(match *line {
            "spend_above" => {
                Watch::Spend { above: dollars(line, self.spend_above.as_deref())?, per }
            }
            "forecast_above" => Watch::Forecast {
                above: dollars(line, self.forecast_above.as_deref())?,
                per,
                after_percent: whole(
                    "after_percent",
                    Some(self.after_percent.unwrap_or(10)),
                    1,
                    99,
                )?,
            },
            "error_rate_above" => Watch::Errors {
                above_percent: percent(self.error_rate_above)?,
                within: within(FIVE_MINUTES)?,
                at_least,
            },
            "rate_limited_above" => Watch::RateLimited {
                above: above(self.rate_limited_above)?,
                within: within(FIVE_MINUTES)?,
            },
            "availability_below" => Watch::Availability {
                below: target(line, self.availability_below.as_deref())?,
                within: within(MONTH)?,
                at_least,
            },
            "latency_above_ms" => Watch::Latency {
                above_ms: ms(self.latency_above_ms)?,
                percentile: percentile()?,
                within: within(FIVE_MINUTES)?,
                at_least,
            },
            "ttft_above_ms" => Watch::FirstContent {
                above_ms: ms(self.ttft_above_ms)?,
                percentile: percentile()?,
                within: within(FIVE_MINUTES)?,
                at_least,
            },
            "cache_hits_below" => {
                let within = within(HOUR)?;
                let compared_with = window("compared_with", self.compared_with.as_deref(), WEEK)?;
                if compared_with.minutes() <= within.minutes() {
                    let why = format!("`{compared_with}` is not longer than `within`, `{within}`");
                    return Err(wrong("compared_with", &why, "Write a longer one, such as `7d`."));
                }
                Watch::CacheHits {
                    below_percent: whole(line, self.cache_hits_below, 1, 100)?,
                    within,
                    compared_with,
                    at_least_tokens: whole(
                        "at_least_tokens",
                        Some(self.at_least_tokens.unwrap_or(100_000)),
                        1,
                        MOST * 1000,
                    )?,
                }
            }
            "unpriced_above" => Watch::Unpriced {
                above_percent: percent(self.unpriced_above)?,
                within: within(HOUR)?,
                at_least,
            },
            "calls_above" => {
                Watch::Calls { above: above(self.calls_above)?, within: within(FIVE_MINUTES)? }
            }
            // The eleventh and last of `LINES`.
            _ => Watch::Loop { above: above(self.loop_above)?, within: within(MINUTE)? },
        })
    }

    /// Fields with a value, besides those that every rule has.
    fn given(&self) -> Vec<&'static str> {
        let fields = [
            ("spend_above", self.spend_above.is_some()),
            ("forecast_above", self.forecast_above.is_some()),
            ("error_rate_above", self.error_rate_above.is_some()),
            ("rate_limited_above", self.rate_limited_above.is_some()),
            ("availability_below", self.availability_below.is_some()),
            ("latency_above_ms", self.latency_above_ms.is_some()),
            ("ttft_above_ms", self.ttft_above_ms.is_some()),
            ("cache_hits_below", self.cache_hits_below.is_some()),
            ("unpriced_above", self.unpriced_above.is_some()),
            ("calls_above", self.calls_above.is_some()),
            ("loop_above", self.loop_above.is_some()),
            ("per", self.per.is_some()),
            ("after_percent", self.after_percent.is_some()),
            ("percentile", self.percentile.is_some()),
            ("within", self.within.is_some()),
            ("compared_with", self.compared_with.is_some()),
            ("at_least", self.at_least.is_some()),
            ("at_least_tokens", self.at_least_tokens.is_some()),
        ];
        fields.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }

    fn refuse_strangers(&self, watch: &Watch) -> Result<(), Problem> {
        let known: &[&str] = match watch {
            Watch::Spend { .. } => &["per"],
            Watch::Forecast { .. } => &["per", "after_percent"],
            Watch::Errors { .. } | Watch::Availability { .. } | Watch::Unpriced { .. } => {
                &["within", "at_least"]
            }
            Watch::Latency { .. } | Watch::FirstContent { .. } => {
                &["percentile", "within", "at_least"]
            }
            Watch::RateLimited { .. } | Watch::Calls { .. } | Watch::Loop { .. } => &["within"],
            Watch::CacheHits { .. } => &["within", "compared_with", "at_least_tokens"],
        };
        let given = self.given();
        let mut strangers = given.iter().filter(|name| !LINES.contains(name));
        match strangers.find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(stranger) => {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                let hint = format!("Leave it out. This line goes with {}.", known.join(", "));
                Err(wrong(stranger, "says nothing to the line of this rule", &hint))
            }
        }
    }

    fn filters(&self, watch: &Watch) -> Result<Vec<(String, String)>, Problem> {
        let mut filters = Vec::new();
        for (name, values) in &self.only {
            let shown: String = name.chars().take(100).collect();
            if !FILTERS.contains(&&**name) {
                let allowed = FILTERS.map(|name| format!("`{name}`")).join(", ");
                let why = format!("has no filter `{shown}`");
                return Err(wrong("only", &why, &format!("Allowed are {allowed}.")));
            }
            if name == "status" && matches!(watch, Watch::RateLimited { .. }) {
                let why = "cannot have a `status` here, where it is always 429";
                return Err(wrong("only", why, "Leave it out."));
            }
            if values.is_empty() || values.iter().any(|value| value.chars().count() > FILTER) {
                let why = format!("has a `{shown}` without value, or with one that is too long");
                let hint = format!("Leave it out or write up to {FILTER} characters.");
                return Err(wrong("only", &why, &hint));
            }
            filters.extend(values.iter().map(|value| (name.clone(), value.clone())));
        }
        if filters.len() > MOST_FILTERS {
            let hint = format!("Write at most {MOST_FILTERS}.");
            return Err(wrong("only", "has too many values", &hint));
        }
        Ok(filters)
    }
}

/// A rule written out, with what was left out.
impl From<&Rule> for AlertRule {
    fn from(rule: &Rule) -> Self {
        let mut only: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &rule.filters {
            only.entry(name.clone()).or_default().push(value.clone());
        }
        let Rule { name, quiet_hours, .. } = rule.clone();
        let enabled = (!rule.is_enabled).then_some(false);
        let plain = Self { name, only, quiet_hours, enabled, ..Self::default() };
        let number = |number: u64| i64::try_from(number).ok();
        let text = |text: &dyn ToString| Some(text.to_string());
        match &rule.watch {
            Watch::Spend { above, per } => {
                Self { spend_above: text(above), per: Some(*per), ..plain }
            }
            Watch::Forecast { above, per, after_percent } => Self {
                forecast_above: text(above),
                per: Some(*per),
                after_percent: number(*after_percent),
                ..plain
            },
            Watch::Errors { above_percent, within, at_least } => Self {
                error_rate_above: number(*above_percent),
                within: text(within),
                at_least: number(*at_least),
                ..plain
            },
            Watch::RateLimited { above, within } => {
                Self { rate_limited_above: number(*above), within: text(within), ..plain }
            }
            Watch::Availability { below, within, at_least } => Self {
                availability_below: text(below),
                within: text(within),
                at_least: number(*at_least),
                ..plain
            },
            Watch::Latency { above_ms, percentile, within, at_least } => Self {
                latency_above_ms: number(*above_ms),
                percentile: Some(percentile.percent()),
                within: text(within),
                at_least: number(*at_least),
                ..plain
            },
            Watch::FirstContent { above_ms, percentile, within, at_least } => Self {
                ttft_above_ms: number(*above_ms),
                percentile: Some(percentile.percent()),
                within: text(within),
                at_least: number(*at_least),
                ..plain
            },
            Watch::CacheHits { below_percent, within, compared_with, at_least_tokens } => Self {
                cache_hits_below: number(*below_percent),
                within: text(within),
                compared_with: text(compared_with),
                at_least_tokens: number(*at_least_tokens),
                ..plain
            },
            Watch::Unpriced { above_percent, within, at_least } => Self {
                unpriced_above: number(*above_percent),
                within: text(within),
                at_least: number(*at_least),
                ..plain
            },
            Watch::Calls { above, within } => {
                Self { calls_above: number(*above), within: text(within), ..plain }
            }
            Watch::Loop { above, within } => {
                Self { loop_above: number(*above), within: text(within), ..plain }
            }
        }
    }
}

/// `model = "a"` and `model = ["a", "b"]` are both fine.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let only = BTreeMap::<String, OneOrMany>::deserialize(input)?;
    let many = |value| match value {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    };
    Ok(only.into_iter().map(|(name, value)| (name, many(value))).collect())
}

/// The first field that cannot be read even alone.
fn culprit(body: &Value) -> Option<&str> {
    let fields = body.as_object()?.iter();
    let alone = |name: &str, value: &Value| {
        let named = [("name".to_owned(), "".into()), (name.to_owned(), value.clone())];
        let alone = Value::Object(named.into_iter().collect());
        AlertRule::deserialize(alone)
    };
    fields
        .map(|(name, value)| (name, alone(name, value)))
        .find(|(_, r)| r.is_err())
        .map(|(n, _)| &**n)
}

fn shapes(field: &str) -> String {
    let shape = match field {
        "availability_below" => "percent as text, such as \"99.5\"",
        "spend_above" | "forecast_above" => "dollars as text, such as \"20.00\"",
        "per" => "`hour`, `day`, `week` or `month`",
        "enabled" => "`true` or `false`",
        "name" | "within" | "compared_with" => "text in quotes",
        "only" => "an object such as {\"model\":\"NAME\"}",
        "quiet_hours" => "an object such as {\"from\":\"22:00\",\"to\":\"07:00\"}",
        "at_least" | "at_least_tokens" | "after_percent" | "percentile" => "a whole number",
        line if LINES.contains(&line) => "a whole number",
        _ => return "Leave it out.".to_owned(),
    };
    format!("Write {shape}.")
}

pub(crate) fn wrong(field: &str, why: &str, hint: &str) -> Problem {
    Problem::new(Code::BadBody, format!("`{field}` {why}")).hint(hint)
}

pub(crate) fn whole(field: &str, value: i64, from: i64, to: i64) -> Result<u64, Problem> {
    let fits = (from..=to).contains(&value).then_some(value);
    fits.and_then(|value| u64::try_from(value).ok()).ok_or_else(|| {
        let hint = format!("Write a whole number from {from} to {to}.");
        wrong(field, &format!("cannot be {value}"), &hint)
    })
}

pub(crate) fn dollars(field: &str, text: Option<&str>) -> Result<Money, Problem> {
    let text = text.unwrap_or_default();
    let most = Money::from_attos(i128::from(MOST) * 10_i128.pow(18));
    let read = text.trim().parse().ok();
    read.filter(|amount| (Money::ZERO..=most).contains(amount)).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        let hint = format!("Write dollars as text from \"0\" to \"{MOST}\", such as \"20.00\".");
        wrong(field, &format!("cannot be `{text}`"), &hint)
    })
}

fn target(field: &str, text: Option<&str>) -> Result<Target, Problem> {
    let text = text.unwrap_or_default().trim();
    text.parse().map_err(|_| {
        let text: String = text.chars().take(40).collect();
        let hint = "Write percent as text, more than 0 and less than 100, such as \"99.5\".";
        wrong(field, &format!("cannot be `{text}`"), hint)
    })
}

/// A name that can be shown, without the space around it.
pub(crate) fn visible(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    let length = name.chars().count();
    let is_fit = |c: char| !c.is_control() && !is_direction(c);
    if length == 0 || length > NAME || !name.chars().all(is_fit) {
        let why = format!("has {length} characters or one that cannot be shown");
        return Err(wrong("name", &why, &format!("Write 1 to {NAME} visible characters.")));
    }
    Ok(name)
}

fn window(field: &str, text: Option<&str>, usual: Window) -> Result<Window, Problem> {
    let Some(text) = text else { return Ok(usual) };
    text.trim().parse().map_err(|_| {
        let text: String = text.chars().take(40).collect();
        let hint = "Write minutes, hours, days or weeks from `1m` up to a year, such as `5m`, `1h` or `7d`.";
        wrong(field, &format!("cannot be `{text}`"), hint)
    })
}

/// Marks that turn the direction of what follows.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
