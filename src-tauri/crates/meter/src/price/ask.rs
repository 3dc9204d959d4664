//! One question about a price, as a line of JSON, and its answer: what `tollgate prices rate`
//! reads and writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Book, Query, rate};
use crate::money::{Currency, Money};
use crate::provider::{Hosting, Providers};
use crate::receipt::{CostState, Kind, Line};
use crate::time::Timestamp;
use crate::usage::{Count, Factor, UsageLine};

/// Why a line is no question.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Not the JSON object that is expected.
    #[error(
        "not a question: {0}\nwrite one JSON object a line, such as \
             {{\"model\":\"NAME\",\"lines\":{{\"input.text\":1000}}}}"
    )]
    Unreadable(#[from] serde_json::Error),
    /// A line's name is no usage factor.
    #[error("not a usage factor: `{0}`")]
    Factor(Box<str>),
}

/// All fields but `model` and `lines` may be left out.
#[derive(Debug, Deserialize)]
struct Question {
    #[serde(default)]
    id: Value,
    provider: Option<Box<str>>,
    base_url: Option<Box<str>>,
    /// The model that served.
    model: Box<str>,
    kind: Option<Kind>,
    at: Option<Timestamp>,
    took_ms: Option<u64>,
    service_tier: Option<Box<str>>,
    region: Option<Box<str>>,
    /// `images.generated[size=1024x1024]` carries attributes.
    lines: BTreeMap<Box<str>, Count>,
}

#[derive(Debug, Serialize)]
struct Answer {
    id: Value,
    lines: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtotal: Option<Money>,
    currency: Currency,
    cost_state: CostState,
}

/// Answers one line with one line (without a line end). `now` is used where `at` is left out.
pub fn answer(
    book: &Book,
    providers: &Providers,
    now: Timestamp,
    question: &str,
) -> Result<String, AskError> {
    let question: Question = serde_json::from_str(question)?;
    let host = question.base_url.as_deref().and_then(host);
    let provider = match (&question.provider, host) {
        (Some(id), _) => Some(&**id),
        (None, Some(host)) => {
            providers.by_host(host).map(|known| &*known.id).or_else(|| book.provider_at(host))
        }
        (None, None) => book.maker_of(&question.model),
    };
    let lines = lines(&question.lines)?;
    let local = |id| providers.get(id).is_some_and(|known| known.hosting == Hosting::Local);
    let valuation = rate(
        book,
        &Query {
            provider: provider.unwrap_or_default(),
            host,
            model_requested: None,
            model_served: Some(&question.model),
            kind: question.kind.unwrap_or(Kind::Chat),
            at: question.at.unwrap_or(now),
            took_ms: question.took_ms,
            service_tier: question.service_tier.as_deref(),
            region: question.region.as_deref(),
            local: provider.is_some_and(local),
            reported_cost: None,
            lines: &lines,
        },
    );
    Ok(serde_json::to_string(&Answer {
        id: question.id,
        lines: valuation.lines,
        cost: valuation.cost,
        subtotal: valuation.subtotal,
        currency: valuation.currency,
        cost_state: valuation.state,
    })?)
}

fn lines(texts: &BTreeMap<Box<str>, Count>) -> Result<Vec<UsageLine>, AskError> {
    texts.iter().map(|(name, count)| line(name, *count)).collect()
}

fn line(text: &str, count: Count) -> Result<UsageLine, AskError> {
    let bad = || AskError::Factor(text.into());
    let (name, attributes) = text.split_once('[').unwrap_or((text, "]"));
    let attributes = attributes.strip_suffix(']').ok_or_else(bad)?.split(',');
    let factor: Factor = name.parse().map_err(|_| bad())?;
    let mut line = UsageLine::reported(factor, count);
    for pair in attributes.filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(bad)?;
        line.attributes.push((key.into(), value.into()));
    }
    Ok(line)
}

/// The host of a URL: without scheme, user, port and path.
pub(super) fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_what_is_connected_to() {
        for (url, want) in [
            ("https://api.x.test/v1", "api.x.test"),
            ("https://api.x.test:443/v1?q=http://b", "api.x.test"),
            ("https://api.x.test@evil.test/v1", "evil.test"),
            ("api.x.test", "api.x.test"),
        ] {
            assert_eq!(host(url), Some(want), "{url}");
        }
        assert_eq!(host("https:///v1"), None);
    }

    #[test]
    fn a_line_that_is_no_question_says_why() {
        let ask = |text| {
            let book = Book::read("x", []).unwrap();
            answer(&book, Providers::built_in(), Timestamp::default(), text)
        };
        assert!(matches!(ask("{}"), Err(AskError::Unreadable(_))));
        let smell = ask(r#"{"model":"m","lines":{"output.smell":1}}"#);
        assert!(matches!(smell, Err(AskError::Factor(_))));
    }
}
