//! Parameters of a question, parsed once: the same names and values in a query string and
//! as flags of the command line.

use std::sync::Arc;

use chrono_tz::Tz;
use meter::exchange::ExchangeRates;
use meter::receipt::{Capability, Kind, Status, Technology};
use meter::{Currency, ReceiptId};
use store::{Demo, Dimension, Filter, StatusFilter};

use crate::conversion::Conversion;
use crate::deployments::PaidModel;
use crate::export::{ExportForm, ExportFormat};
use crate::period::{Granularity, Here, INSTANT_SHAPES};
use crate::problem::{Code, Problem};

/// The questions that take parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Totals, a table, a series.
    Usage,
    /// A page of receipts.
    Requests,
    /// Rates and durations.
    Performance,
    /// Receipts as a file.
    Export,
    /// A page to share.
    Report,
    /// A second valuation.
    Reprice,
    /// Models on servers of the user's own.
    Deployments,
}

/// How the table of a usage answer is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// One row a model, key, tag value, ….
    Dimension(Dimension),
    /// One row an hour, day, week or month.
    Time(Granularity),
    /// One row for each combination: `model,key,hour`.
    Several(Vec<Dimension>, Option<Granularity>),
}

/// A question's parameters, ready to be asked.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which receipts.
    pub filter: Filter,
    /// Where days begin.
    pub zone: Tz,
    /// How the table is cut, if there is to be one.
    pub by: Option<By>,
    /// How wide the buckets of the series are, if there is to be one.
    pub granularity: Option<Granularity>,
    /// The most receipts of one page.
    pub limit: usize,
    /// Only receipts older than this one: where the page before ended.
    pub before: Option<ReceiptId>,
    /// How an export is written.
    pub format: ExportFormat,
    /// What an export has a row for each of.
    pub form: ExportForm,
    /// The currency to convert costs to, if any.
    pub currency: Option<Currency>,
    /// The rates to do that at; whoever asks brings them.
    pub rates: Arc<ExchangeRates>,
    /// The paid model to compare with, if any.
    pub versus: Option<PaidModel>,
}

/// Receipts of a page, unless asked otherwise.
pub const DEFAULT_LIMIT: usize = 50;

/// The most receipts of one page.
pub const MOST_LIMIT: usize = 1000;

const FILTERS: &[&str] = &[
    "from",
    "to",
    "last",
    "tz",
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
    "id",
    "tag",
    "demo",
];

impl Question {
    /// Parameters that only this question takes.
    const fn own(self) -> &'static [&'static str] {
        match self {
            Self::Usage => &["by", "granularity", "currency"],
            Self::Performance => &["by"],
            Self::Requests => &["limit", "before", "currency"],
            Self::Export => &["format", "form", "currency"],
            Self::Report => &["granularity", "currency"],
            Self::Reprice => &[],
            Self::Deployments => &["versus"],
        }
    }
}

impl Query {
    /// Reads the parameters of `question`, asked at `here`. Names may repeat where several
    /// values make sense; a receipt then has to match one of them.
    ///
    /// # Errors
    /// Says which parameter is unknown, unreadable or contradicts another, and what to write.
    pub fn parse<N: AsRef<str>, V: AsRef<str>>(
        question: Question,
        parameters: &[(N, V)],
        here: Here,
    ) -> Result<Self, Problem> {
        let given = Given::check(question, parameters)?;
        let zone = given.one(
            "tz",
            "Write a zone of the IANA database, such as `Europe/Berlin`.",
            |text| text.parse::<Tz>().ok(),
        )?;
        let here = Here { zone: zone.unwrap_or(here.zone), ..here };
        let form = given.one("form", "Write `requests` or `hourly`.", |text| text.parse().ok())?;
        let form = form.unwrap_or_default();
        if form == ExportForm::Hourly && given.all("currency").next().is_some() {
            let sentence = "sums by the hour stay in the currency they were paid in";
            return Err(Problem::new(Code::BadParameter, sentence)
                .hint("Leave `currency` out, or ask for the form `requests`."));
        }
        Ok(Self {
            form,
            filter: filter(&given, here)?,
            zone: here.zone,
            by: given.one("by", BY_SHAPES, parse_by)?,
            granularity: given.one(
                "granularity",
                "Write `15m`, `hour`, `day`, `week` or `month`.",
                |text| text.parse().ok(),
            )?,
            limit: given
                .one("limit", format!("Write a number from 1 to {MOST_LIMIT}."), |text| {
                    text.parse().ok().filter(|limit| (1..=MOST_LIMIT).contains(limit))
                })?
                .unwrap_or(DEFAULT_LIMIT),
            before: given
                .one("before", "Use the `next` of the page before.", |text| text.parse().ok())?,
            format: given
                .one("format", "Write `csv`, `jsonl` or `xlsx`.", |text| text.parse().ok())?
                .unwrap_or(ExportFormat::Jsonl),
            currency: given.one("currency", "Write three letters such as `EUR`.", |text| {
                text.to_ascii_uppercase().parse().ok()
            })?,
            versus: given.one(
                "versus",
                "Write the provider and the model: `ID/MODEL`.",
                |text| text.parse().ok(),
            )?,
            rates: Arc::default(),
        })
    }

    /// How costs are converted, if they are.
    pub fn conversion(&self) -> Option<Conversion> {
        let rates = Arc::clone(&self.rates);
        self.currency.map(|to| Conversion { to, rates })
    }
}

fn filter(given: &Given<'_>, here: Here) -> Result<Filter, Problem> {
    let mut from = given.one("from", INSTANT_SHAPES, |text| here.instant(text))?;
    let to = given.one("to", INSTANT_SHAPES, |text| here.instant(text))?;
    let last = given.one(
        "last",
        "Write a span such as `30m`, `24h`, `7d`, `2w`, `3mo` or `1y`.",
        |text| here.ago(text),
    )?;
    if last.is_some() {
        if from.is_some() || to.is_some() {
            return Err(Problem::new(
                Code::BadParameter,
                "`last` cannot stand beside `from` or `to`",
            )
            .hint("Leave one of them out."));
        }
        from = last;
    }
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Problem::new(
            Code::BadParameter,
            format!("the period ends at `{to}`, before it begins"),
        )
        .hint("A period runs from `from` up to, and without, `to`."));
    }
    Ok(Filter {
        from,
        to,
        models: given.texts("model"),
        providers: given.texts("provider"),
        keys: given.texts("key"),
        passes: given.texts("pass"),
        workspaces: given.texts("workspace"),
        clients: given.texts("client"),
        statuses: given.many("status", STATUS_SHAPES, parse_status)?,
        kinds: given.many("kind", one_of(Kind::ALL), |text| text.parse::<Kind>().ok())?,
        technologies: given
            .many("technology", one_of(Technology::ALL), |text| text.parse().ok())?,
        capabilities: given
            .many("capability", one_of(Capability::ALL), |text| text.parse().ok())?,
        stream: given.one("stream", "Write `true` or `false`.", |text| text.parse().ok())?,
        ids: given.many("id", "Write whole receipt ids.", |text| text.parse().ok())?,
        tags: given.many("tag", "Write `NAME=VALUE`.", parse_tag)?,
        demo: given
            .one("demo", "Write `with`, `without` or `only`.", parse_demo)?
            .unwrap_or(Demo::Without),
    })
}

const STATUS_SHAPES: &str = "Write `succeeded`, `error`, `denied`, `cancelled`, `interrupted`, \
     `pending`, a code such as `429` or a class such as `4xx`.";

const BY_SHAPES: &str = "Write `model`, `provider`, `key`, `pass`, `workspace`, `status`, `kind`, \
     `client`, `technology`, `capability`, `15m`, `hour`, `day`, `week`, `month` or `tag:NAME`; or up to three of them and a time, such as \
     `model,key,hour`, but no tags.";

fn one_of<T: std::fmt::Display>(all: &[T]) -> String {
    let words: Vec<String> = all.iter().map(|word| format!("`{word}`")).collect();
    format!("Write one of {}.", words.join(", "))
}

fn parse_status(text: &str) -> Option<StatusFilter> {
    if let Ok(status) = text.parse::<Status>() {
        return Some(StatusFilter::Word(status));
    }
    if let Some(class) = text.strip_suffix("xx") {
        return class.parse().ok().filter(|class| (1..=5).contains(class)).map(StatusFilter::Class);
    }
    text.parse().ok().filter(|code| (100..=599).contains(code)).map(StatusFilter::Code)
}

/// Names of tags come from header names, which hold neither `=` nor `:`.
fn parse_tag(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(['=', ':'])?;
    (!name.is_empty()).then(|| (name.to_ascii_lowercase(), value.to_owned()))
}

fn parse_demo(text: &str) -> Option<Demo> {
    match text {
        "without" => Some(Demo::Without),
        "with" => Some(Demo::With),
        "only" => Some(Demo::Only),
        _ => None,
    }
}

fn parse_by(text: &str) -> Option<By> {
    if text.contains(',') && !text.starts_with("tag:") {
        return parse_several(text);
    }
    if let Ok(granularity) = text.parse() {
        return Some(By::Time(granularity));
    }
    parse_dimension(text).map(By::Dimension)
}

fn parse_several(text: &str) -> Option<By> {
    let (mut dimensions, mut granularity) = (Vec::new(), None);
    for part in text.split(',') {
        match part.parse() {
            Ok(time) if granularity.is_none() => granularity = Some(time),
            Ok(_) => return None,
            Err(_) => {
                let dimension = parse_dimension(part)?;
                let is_new = !dimensions.contains(&dimension);
                dimensions.push(dimension);
                if !is_new || dimensions.len() > 3 {
                    return None;
                }
            }
        }
    }
    let has_tag = dimensions.iter().any(|one| matches!(one, Dimension::Tag(_)));
    (!has_tag && !dimensions.is_empty()).then_some(By::Several(dimensions, granularity))
}

fn parse_dimension(text: &str) -> Option<Dimension> {
    if let Some(name) = text.strip_prefix("tag:") {
        let name = name.to_ascii_lowercase();
        return (!name.is_empty()).then_some(Dimension::Tag(name));
    }
    Some(match text {
        "model" => Dimension::Model,
        "provider" => Dimension::Provider,
        "key" => Dimension::Key,
        "pass" => Dimension::Pass,
        "workspace" => Dimension::Workspace,
        "status" => Dimension::Status,
        "kind" => Dimension::Kind,
        "client" => Dimension::Client,
        "technology" => Dimension::Technology,
        "capability" => Dimension::Capability,
        _ => return None,
    })
}

/// The word that [`parse_by`] reads.
pub(crate) fn by_word(by: &By) -> String {
    match by {
        By::Time(granularity) => granularity.to_string(),
        By::Dimension(dimension) => dimension_word(dimension),
        By::Several(dimensions, granularity) => {
            let time = granularity.map(|granularity| granularity.to_string());
            let words: Vec<String> = dimensions.iter().map(dimension_word).chain(time).collect();
            words.join(",")
        }
    }
}

fn dimension_word(dimension: &Dimension) -> String {
    let word = match dimension {
        Dimension::Tag(name) => return format!("tag:{name}"),
        Dimension::Model => "model",
        Dimension::Provider => "provider",
        Dimension::Key => "key",
        Dimension::Pass => "pass",
        Dimension::Workspace => "workspace",
        Dimension::Status => "status",
        Dimension::Kind => "kind",
        Dimension::Client => "client",
        Dimension::Technology => "technology",
        Dimension::Capability => "capability",
    };
    word.to_owned()
}

/// The parameters as given, names checked.
struct Given<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Given<'a> {
    fn check<N: AsRef<str>, V: AsRef<str>>(
        question: Question,
        parameters: &'a [(N, V)],
    ) -> Result<Self, Problem> {
        let pairs: Vec<_> = parameters.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        let allowed = || FILTERS.iter().chain(question.own());
        for (name, value) in &pairs {
            if !allowed().any(|known| known == name) {
                let names: Vec<String> = allowed().map(|name| format!("`{name}`")).collect();
                let name: String = name.chars().take(100).collect();
                return Err(Problem::new(
                    Code::BadParameter,
                    format!("there is no parameter `{name}`"),
                )
                .hint(format!("Allowed are {}.", names.join(", "))));
            }
            if value.is_empty() {
                return Err(Problem::new(Code::BadParameter, format!("`{name}` has no value"))
                    .hint("Leave it out or give it a value."));
            }
        }
        Ok(Self { pairs })
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).map(str::to_owned).collect()
    }

    fn one<T>(
        &self,
        name: &str,
        shapes: impl Into<String>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let mut values = self.all(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Problem::new(Code::BadParameter, format!("`{name}` is given twice"))
                .hint("Leave one of them out."));
        }
        parse(value).map(Some).ok_or_else(|| Problem::parameter(name, value, shapes))
    }

    fn many<T>(
        &self,
        name: &str,
        shapes: impl Into<String>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let shapes = shapes.into();
        self.all(name)
            .map(|value| parse(value).ok_or_else(|| Problem::parameter(name, value, &*shapes)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter::Timestamp;

    fn here() -> Here {
        Here {
            now: Timestamp::parse("2026-11-20T22:00:00Z").unwrap(),
            zone: chrono_tz::Europe::Berlin,
        }
    }

    fn requests(parameters: &[(&str, &str)]) -> Result<Query, Problem> {
        Query::parse(Question::Requests, parameters, here())
    }

    #[test]
    fn every_filter_is_read() {
        let id = "019aa0b2-7c1e-7a00-8f3e-5b2c1d0e9f8a";
        let query = requests(&[
            ("model", "gpt-5"),
            ("model", "claude"),
            ("provider", "openai"),
            ("key", "k"),
            ("pass", "p"),
            ("workspace", "w"),
            ("client", "curl"),
            ("status", "error"),
            ("status", "429"),
            ("status", "5xx"),
            ("kind", "chat"),
            ("technology", "vlm"),
            ("capability", "tools"),
            ("capability", "vision"),
            ("stream", "true"),
            ("id", id),
            ("tag", "Team=red=1"),
            ("demo", "with"),
            ("limit", "7"),
            ("before", id),
        ])
        .unwrap();
        let filter = &query.filter;
        assert_eq!(filter.models, ["gpt-5", "claude"]);
        assert_eq!(
            filter.statuses,
            [StatusFilter::Word(Status::Error), StatusFilter::Code(429), StatusFilter::Class(5)]
        );
        assert_eq!(filter.tags, [("team".to_owned(), "red=1".to_owned())]);
        assert_eq!(filter.technologies, [Technology::Vlm]);
        assert_eq!(filter.capabilities, [Capability::Tools, Capability::Vision]);
        assert_eq!((filter.stream, filter.demo), (Some(true), Demo::With));
        assert_eq!((query.limit, query.before), (7, Some(id.parse().unwrap())));
        assert_eq!(filter.ids, [id.parse().unwrap()]);
    }

    #[test]
    fn days_are_those_of_the_zone_that_was_asked_for() {
        let local = requests(&[("from", "today")]).unwrap().filter.from.unwrap();
        assert_eq!(local.to_string(), "2026-11-19T23:00:00.000Z");
        let utc = requests(&[("from", "today"), ("tz", "UTC")]).unwrap();
        assert_eq!(utc.filter.from.unwrap().to_string(), "2026-11-20T00:00:00.000Z");
        assert_eq!(utc.zone, Tz::UTC);
    }

    #[test]
    fn a_wrong_parameter_is_refused_with_what_to_write() {
        for (parameters, message, hint) in [
            (&[("modle", "x")][..], "`modle`", "`model`"),
            (&[("by", "model")], "`by`", "`limit`"),
            (&[("model", "")], "no value", "Leave it out"),
            (&[("limit", "0")], "`0` for `limit`", "1 to 1000"),
            (&[("status", "6xx")], "`6xx`", "`4xx`"),
            (&[("technology", "llms")], "`llms`", "`llm`"),
            (&[("capability", "magic")], "`magic`", "`web_search`"),
            (&[("from", "soon")], "`soon` for `from`", "`2026-11-20`"),
            (&[("last", "7d"), ("from", "today")], "`last`", "Leave"),
            (&[("from", "2026-11-02"), ("to", "2026-11-01")], "before it begins", "up to"),
            (&[("stream", "true"), ("stream", "false")], "twice", "Leave"),
            (&[("id", "019aa0b2")], "`019aa0b2`", "whole"),
            (&[("tz", "Berlin")], "`Berlin`", "Europe/Berlin"),
        ] {
            let problem = requests(parameters).unwrap_err();
            assert_eq!(problem.code, Code::BadParameter);
            assert!(problem.message.contains(message), "{problem}");
            assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{problem}");
        }
    }

    #[test]
    fn what_usage_is_cut_by_survives_its_word() {
        for word in [
            "model",
            "provider",
            "key",
            "pass",
            "workspace",
            "status",
            "kind",
            "client",
            "technology",
            "capability",
            "15m",
            "hour",
            "day",
            "week",
            "month",
            "tag:team",
            "model,key,hour",
            "workspace,status",
            "model,capability",
        ] {
            assert_eq!(by_word(&parse_by(word).unwrap()), word);
        }
        for wrong in ["tag:", "model,", "model,model", "day,hour", "model,tag:team", "hour,day"] {
            assert_eq!(parse_by(wrong), None, "{wrong}");
        }
    }
}
