//! The flags that say which receipts are meant: the parameters of the HTTP contract, as flags.

use std::sync::Arc;

use chrono_tz::Tz;
use clap::{Args, ValueEnum};
use meter::Timestamp;

use api::period::Here;
use api::problem::{Code, Problem};
use api::query::{Query, Question};

use crate::exchange;

/// Which receipts. Flags may repeat: `--model a --model b` is either one.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filters {
    /// From this instant on: a date, date and time, `2026-11`, `today`, `yesterday`, RFC 3339
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Up to this instant, without it
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// The last `30m`, `24h`, `7d`, `2w`, `3mo` or `1y`
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["from", "to"])]
    last: Option<String>,
    /// Cut days by this zone instead of your own, such as `UTC`
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Only this model
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// Only this provider
    #[arg(long, value_name = "ID")]
    provider: Vec<String>,
    /// Only calls with this stored key
    #[arg(long, value_name = "LABEL")]
    key: Vec<String>,
    /// Only calls with this pass
    #[arg(long, value_name = "LABEL")]
    pass: Vec<String>,
    /// Only this workspace
    #[arg(long, value_name = "NAME")]
    workspace: Vec<String>,
    /// Only calls of this program
    #[arg(long, value_name = "NAME")]
    client: Vec<String>,
    /// Only with this status (`error`), code (`429`) or class (`4xx`)
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Only this kind of call, such as `chat` or `embedding`
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only this sort of model: llm, vlm, embedding, image, audio or video
    #[arg(long, value_name = "SORT")]
    technology: Vec<String>,
    /// Only calls that exercised this, such as `tools`, `vision` or `reasoning`
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// Only streams, or with `--stream false` only calls that were none
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    stream: Option<bool>,
    /// Only the receipt with this id
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Only calls tagged so; of several, all must fit
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Vec<String>,
    /// Count the built-in demonstration too, or `--demo only`
    #[arg(long, value_name = "HOW", num_args = 0..=1, default_missing_value = "with")]
    demo: Option<DemoFlag>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DemoFlag {
    With,
    Without,
    Only,
}

impl DemoFlag {
    const fn as_str(self) -> &'static str {
        match self {
            Self::With => "with",
            Self::Without => "without",
            Self::Only => "only",
        }
    }
}

/// Parameters, as a query string would name them.
pub(crate) type Parameters = Vec<(&'static str, String)>;

impl Filters {
    /// The same as parameters of the HTTP contract.
    pub(crate) fn parameters(&self) -> Parameters {
        let single =
            [("from", &self.from), ("to", &self.to), ("last", &self.last), ("tz", &self.tz)];
        let many = [
            ("model", &self.model),
            ("provider", &self.provider),
            ("key", &self.key),
            ("pass", &self.pass),
            ("workspace", &self.workspace),
            ("client", &self.client),
            ("status", &self.status),
            ("kind", &self.kind),
            ("technology", &self.technology),
            ("capability", &self.capability),
            ("id", &self.id),
            ("tag", &self.tag),
        ];
        let single = single.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        let many = many
            .into_iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name, value.clone())));
        let stream = self.stream.map(|stream| ("stream", stream.to_string()));
        let demo = self.demo.map(|demo| ("demo", demo.as_str().to_owned()));
        single.chain(many).chain(stream).chain(demo).collect()
    }

    /// These filters with the question's `own` parameters, ready to be asked.
    pub(crate) fn query(&self, question: Question, own: Parameters) -> Result<Query, Problem> {
        let mut parameters = self.parameters();
        parameters.extend(own);
        let mut query = Query::parse(question, &parameters, here())?;
        if query.currency.is_some() {
            let rates = super::home().and_then(|home| exchange::read(&home));
            query.rates = Arc::new(rates.map_err(|error| {
                let said = format!("{error:#}");
                let (message, hint) = said.split_once("\nhint: ").unwrap_or((&said, "mend it"));
                Problem::new(Code::Conflict, message).hint(hint)
            })?);
        }
        Ok(query)
    }
}

/// Now, where this machine is.
pub(crate) fn here() -> Here {
    Here { now: now(), zone: zone() }
}

/// What the time is.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}

/// The zone this machine is set to (or `TZ` says).
pub(crate) fn zone() -> Tz {
    let named = std::env::var("TZ").ok().and_then(|tz| tz.trim_start_matches(':').parse().ok());
    let set = || iana_time_zone::get_timezone().ok()?.parse().ok();
    named.or_else(set).unwrap_or(Tz::UTC)
}
