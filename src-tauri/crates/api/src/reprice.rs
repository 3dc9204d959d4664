//! `POST /api/v1/reprice`: what a second look would change, and appending it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use meter::price::PassedOver;
use meter::usage::Count;
use meter::{Currency, Money};
use serde::{Deserialize, Serialize};
use store::{Change, Depth, Reprice, Repricing};

use crate::problem::{Code, Problem};
use crate::query::{Query, Question};
use crate::router::Desk;

/// The longest reason a second valuation may have, in characters.
const LONGEST_REASON: usize = 200;

/// Which receipts are to be valued again, by the filters of `GET requests`, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct RepriceOrder {
    /// Why, in a few words; stays with each second valuation.
    pub reason: String,
    /// The hash of the list prices to go by; absent: those in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<String>,
    /// Whether to append the second valuations; otherwise they are only looked at.
    #[serde(default)]
    pub append: bool,
    /// Whether to read the provider's usage again, as it is understood now.
    #[serde(default)]
    pub reread: bool,
    /// Filters, named as in a query string; a list means one of these.
    #[serde(flatten)]
    pub filters: BTreeMap<String, Values>,
}

/// One value of a filter, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(untagged)]
pub enum Values {
    /// One.
    One(String),
    /// Any of these.
    Many(Vec<String>),
}

impl Values {
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What a re-pricing changes, or would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Repriced {
    /// Whether second valuations were appended.
    pub appended: bool,
    /// The price book they are made with.
    pub book_hash: String,
    /// Receipts whose valuation changes.
    pub changed: u64,
    /// Those of them whose usage is read otherwise.
    pub reread: u64,
    /// Receipts whose valuation is what it was.
    pub unchanged: u64,
    /// Receipts that keep their valuation, by why.
    pub passed_over: BTreeMap<PassedOver, u64>,
    /// The changing receipts of each model.
    pub rows: Vec<RepricedRow>,
    /// All changing receipts, by currency.
    pub totals: BTreeMap<Currency, Difference>,
}

/// What changes about the receipts of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct RepricedRow {
    /// Who was paid.
    pub provider: String,
    /// The model served, else the one requested.
    pub model: Option<String>,
    /// Of the amounts.
    pub currency: Currency,
    /// The change.
    #[serde(flatten)]
    pub difference: Difference,
}

/// What some receipts come to before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Difference {
    /// How many receipts change.
    pub receipts: u64,
    /// The sum of their known costs until now.
    pub cost_before: Money,
    /// Those of them that had no cost.
    pub unpriced_before: u64,
    /// The sum of their known costs from then on.
    pub cost_after: Money,
    /// Those of them that have no cost then.
    pub unpriced_after: u64,
    /// Their tokens until now, in and out.
    pub tokens_before: u64,
    /// Their tokens from then on.
    pub tokens_after: u64,
}

impl From<Change> for Difference {
    fn from(change: Change) -> Self {
        Self {
            receipts: change.receipts,
            cost_before: change.before.cost,
            unpriced_before: change.before.unpriced,
            cost_after: change.after.cost,
            unpriced_after: change.after.unpriced,
            tokens_before: whole(change.before.tokens),
            tokens_after: whole(change.after.tokens),
        }
    }
}

/// In whole tokens; some providers count in fractions.
fn whole(tokens: Count) -> u64 {
    tokens.millionths() / Count::ONE
}

impl Repriced {
    fn of(found: Repricing, book_hash: &str, appended: bool) -> Self {
        let totals = found.totals().into_iter().map(|(of, change)| (of, change.into())).collect();
        let (changed, unchanged) = (found.changed(), found.unchanged);
        let reread = found.changes.values().map(|change| change.reread).sum();
        let row = |((provider, model, currency), change): ((Box<str>, Option<Box<str>>, _), _)| {
            let (provider, model) = (provider.into(), model.map(String::from));
            RepricedRow { provider, model, currency, difference: Difference::from(change) }
        };
        Self {
            appended,
            book_hash: book_hash.to_owned(),
            changed,
            reread,
            unchanged,
            passed_over: found.passed_over,
            rows: found.changes.into_iter().map(row).collect(),
            totals,
        }
    }
}

pub(crate) fn routes() -> Router<Desk> {
    Router::new().route("/api/v1/reprice", post(reprice))
}

async fn reprice(State(desk): State<Desk>, body: Bytes) -> Result<Json<Repriced>, Problem> {
    let order: RepriceOrder = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(Code::BadBody, format!("this is not a re-pricing: {error}"))
            .hint("Send such as {\"reason\":\"a list was wrong\",\"from\":\"2026-11-01\"}.")
    })?;
    let query = Query::parse(Question::Reprice, &parameters(&order.filters), desk.here())?;
    let note = reason(&order.reason)?;
    let depth = if order.reread { Depth::Reading } else { Depth::Valuation };
    let ledger = Arc::clone(&desk.ledger);
    let (prices, at) = (Arc::clone(&desk.prices), (desk.clock)());
    let done = desk.readers.ask(move |questions| {
        let book = prices(order.book.as_deref())?;
        let hash = book.hash().to_owned();
        let found = if order.append {
            ledger.reprice(questions, &query.filter, &Reprice { book, depth, at, note })?
        } else {
            questions.repricing(&query.filter, &book, depth)?
        };
        Ok(Repriced::of(found, &hash, order.append))
    });
    done.await.map(Json)
}

fn parameters(filters: &BTreeMap<String, Values>) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    for (name, values) in filters {
        pairs.extend(values.all().iter().map(|value| (name.as_str(), value.as_str())));
    }
    pairs
}

fn reason(text: &str) -> Result<Box<str>, Problem> {
    let text = text.trim();
    let length = text.chars().count();
    if (1..=LONGEST_REASON).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(text.into());
    }
    Err(Problem::new(Code::BadBody, "a second valuation needs a reason")
        .hint(format!("Give `reason` one line of up to {LONGEST_REASON} characters.")))
}
