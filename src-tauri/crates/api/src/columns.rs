//! The columns of an exported receipt and what stands in each, whatever the file looks like.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use meter::usage::{Count, Factor};
use meter::{Money, Receipt, Timestamp};

use crate::standing::{Standing, tokens};

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Nothing is known, which is not zero.
    Absent,
    /// A text from outside.
    Outside(Cow<'a, str>),
    /// A text of Tollgate's own.
    Own(String),
    /// A count of whole things.
    Whole(u64),
    /// How many of a factor.
    Count(Count),
    /// An amount of the currency that has a column of its own.
    Money(Money),
    /// An instant.
    Time(Timestamp),
}

/// What a cell of one column holds.
type Cell = for<'a> fn(&'a Receipt) -> Value<'a>;

/// The columns before the factors. What a receipt came to is what counts now; `valuation`
/// says whether that is the first valuation or which later one.
const COLUMNS: &[(&str, Cell)] = &[
    ("id", |r| own(r.id)),
    ("started_at", |r| Value::Time(r.started_at)),
    ("ended_at", |r| Value::Time(r.ended_at)),
    ("workspace", |r| text(&r.workspace)),
    ("pass", |r| optional(r.pass.as_deref())),
    ("key", |r| optional(r.key.as_deref())),
    ("client", |r| optional(r.client.as_deref())),
    ("tags", |r| json(r.tags.is_empty(), &r.tags)),
    ("provider", |r| text(&r.provider)),
    ("upstream", |r| text(&r.upstream)),
    ("format", |r| shown(r.format)),
    ("kind", |r| own(r.kind)),
    ("technology", |r| shown(r.technology)),
    ("model_requested", |r| optional(r.model_requested.as_deref())),
    ("model", |r| optional(r.model.as_deref())),
    ("stream", |r| own(r.stream)),
    ("status", |r| own(Standing::of(r).status)),
    ("http_status", |r| whole(r.http_status.map(u64::from))),
    ("response_id", |r| optional(r.response_id.as_deref())),
    ("trace_id", |r| optional(r.trace_id.as_deref())),
    ("region", |r| optional(r.region.as_deref())),
    ("assisted", |r| own(r.assisted)),
    ("client_left_early", |r| own(r.client_left_early)),
    ("error_type", |r| optional(r.error_type.as_deref())),
    ("error_message", |r| optional(r.error_message.as_deref())),
    ("finish_reason", |r| optional(r.finish_reason.as_deref())),
    ("ttft_ms", |r| whole(r.ttft_ms)),
    ("latency_ms", |r| Value::Whole(r.latency_ms)),
    ("overhead_us", |r| whole(r.overhead_us)),
    ("request_bytes", |r| Value::Whole(r.request_bytes)),
    ("response_bytes", |r| Value::Whole(r.response_bytes)),
    ("upstream_request_id", |r| optional(r.upstream_request_id.as_deref())),
    ("service_tier", |r| optional(r.service_tier.as_deref())),
    ("capabilities", |r| words(&r.capabilities)),
    ("route", |r| optional(r.route.as_deref())),
    ("profile", |r| shown(r.profile)),
    ("attempts", |r| json(r.attempts.is_empty(), &r.attempts)),
    ("billing", |r| own(r.billing)),
    ("usage_raw", |r| optional(r.usage_raw.as_ref().map(|raw| raw.as_str()))),
    ("usage_state", |r| own(Standing::of(r).usage_state)),
    ("anomalies", |r| words(&r.anomalies)),
    ("cost", |r| money(Standing::of(r).cost)),
    ("currency", |r| own(r.currency)),
    ("cost_state", |r| own(Standing::of(r).cost_state)),
    ("subtotal", |r| money(Standing::of(r).subtotal)),
    ("valuation", |r| text(Standing::of(r).valuation())),
    ("first_cost", |r| money(r.cost)),
    ("reported_cost", |r| money(r.reported_cost.as_ref().map(|c| c.amount))),
    ("reported_currency", |r| shown(r.reported_cost.as_ref().map(|c| c.currency))),
    ("reported_source", |r| optional(r.reported_cost.as_ref().map(|c| &*c.source))),
    ("book_hash", |r| optional(Standing::of(r).book_hash)),
    ("settlements", |r| json(r.settlements.is_empty(), &r.settlements)),
    ("note", |r| optional(r.note.as_deref())),
    ("input_tokens", |r| Value::Whole(tokens(r).input)),
    ("output_tokens", |r| Value::Whole(tokens(r).output)),
];

/// The column of factors that have no column.
const OTHER_FACTORS: &str = "other_factors";

/// The names of the columns, with one for each of these factors.
pub(crate) fn header(factors: &[Factor]) -> impl Iterator<Item = String> {
    let before = COLUMNS.iter().map(|(name, _)| (*name).to_owned());
    let factors = factors.iter().map(|factor| factor.name().into_owned());
    before.chain(factors).chain([OTHER_FACTORS.to_owned()])
}

/// A receipt's cells in the order of [`header`].
pub(crate) fn cells<'a>(
    receipt: &'a Receipt,
    factors: &[Factor],
) -> impl Iterator<Item = Value<'a>> {
    let mut counts: BTreeMap<&Factor, Count> = BTreeMap::new();
    for line in Standing::of(receipt).lines {
        let count = counts.entry(&line.factor).or_default();
        *count = count.plus(line.count);
    }
    let before = COLUMNS.iter().map(|(_, cell)| cell(receipt));
    // An empty cell is a factor nobody reported; 0 is one that was reported as none.
    let mut count = |factor| counts.remove(factor).map_or(Value::Absent, Value::Count);
    let factors: Vec<Value<'_>> = factors.iter().map(&mut count).collect();
    let other = json(counts.is_empty(), &counts);
    before.chain(factors).chain([other])
}

fn text(outside: &str) -> Value<'_> {
    Value::Outside(Cow::Borrowed(outside))
}

fn optional(outside: Option<&str>) -> Value<'_> {
    outside.map_or(Value::Absent, text)
}

fn own<T: fmt::Display>(own: T) -> Value<'static> {
    Value::Own(own.to_string())
}

fn shown<T: fmt::Display>(own: Option<T>) -> Value<'static> {
    own.map_or(Value::Absent, self::own)
}

fn whole(count: Option<u64>) -> Value<'static> {
    count.map_or(Value::Absent, Value::Whole)
}

fn money(amount: Option<Money>) -> Value<'static> {
    amount.map_or(Value::Absent, Value::Money)
}

/// Words of our own, one after the other.
pub(crate) fn words<T: fmt::Display>(own: &[T]) -> Value<'static> {
    let words: Vec<String> = own.iter().map(T::to_string).collect();
    Value::Own(words.join(" "))
}

/// Begins with a bracket, so it is no formula.
fn json<T: serde::Serialize>(is_empty: bool, own: &T) -> Value<'static> {
    if is_empty {
        return Value::Absent;
    }
    let json = serde_json::to_string(own);
    Value::Own(json.expect("maps with text keys and plain lists are JSON"))
}
