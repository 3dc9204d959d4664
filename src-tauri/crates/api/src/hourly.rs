//! Sums by the hour as rows of a file: one for each local hour and each model, provider, key,
//! pass, workspace, … that was called in it, from rollups, in constant memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use meter::receipt::{Capability, Kind, Status, Technology};
use meter::usage::{Count, Factor};
use meter::{Currency, Money, Timestamp};
use serde::Serialize;
use store::{LaneRow, Questions};

use crate::columns::{Value, words};
use crate::period::{self, Granularity, Here};
use crate::problem::Problem;
use crate::query::Query;

/// Hours that are added up at a time, so that a year is no more in memory than a day.
const AT_A_TIME: usize = 24;

/// What the calls of one sort came to in one hour.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HourRow {
    /// The first instant of an hour of the asker's clock.
    hour: Timestamp,
    workspace: Option<String>,
    pass: Option<String>,
    key: Option<String>,
    client: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    kind: Kind,
    technology: Option<Technology>,
    capabilities: Vec<Capability>,
    status: Status,
    http_status: Option<u16>,
    stream: bool,
    requests: u64,
    /// The sum of the costs that are known; absent when none is.
    pub(crate) cost: Option<Money>,
    currency: Currency,
    /// How many have no cost although there is, or may be, something to pay.
    unpriced: u64,
    estimated: u64,
    input_tokens: u64,
    output_tokens: u64,
    latency_mean_ms: Option<u64>,
    latency_p95_ms: Option<u64>,
    ttft_mean_ms: Option<u64>,
    ttft_p95_ms: Option<u64>,
    factors: BTreeMap<Factor, Count>,
}

impl HourRow {
    fn of(row: LaneRow, hour: Timestamp) -> Self {
        let LaneRow { figures, currency, .. } = row;
        // Nothing spent is zero; nothing known is not.
        let is_known = figures.priced != 0 || figures.unpriced == 0;
        let sum = match currency {
            Currency::USD => figures.cost,
            other => figures.other_costs.get(&other).copied().unwrap_or(Money::ZERO),
        };
        Self {
            hour,
            workspace: row.workspace,
            pass: row.pass,
            key: row.key,
            client: row.client,
            provider: row.provider,
            model: row.model,
            kind: row.kind,
            technology: row.technology,
            capabilities: row.capabilities,
            status: row.status,
            http_status: row.http_status,
            stream: row.stream,
            requests: figures.requests,
            cost: is_known.then_some(sum),
            currency,
            unpriced: figures.unpriced,
            estimated: figures.estimated,
            input_tokens: figures.input_tokens,
            output_tokens: figures.output_tokens,
            latency_mean_ms: figures.latency.map(|spread| spread.mean),
            latency_p95_ms: figures.latency.map(|spread| spread.p95),
            ttft_mean_ms: figures.ttft.map(|spread| spread.mean),
            ttft_p95_ms: figures.ttft.map(|spread| spread.p95),
            factors: figures.factors,
        }
    }
}

/// Shows every row to the visitor, the oldest hour first. Never holds the ledger for longer
/// than a day's hours take, whatever the visitor does.
pub(crate) fn each(
    ledger: &Questions,
    query: &Query,
    mut visit: impl FnMut(HourRow) -> ControlFlow<()>,
) -> Result<(), Problem> {
    let zone = query.zone;
    let around = |now| period::around(Granularity::Hour, Here { now, zone });
    let extent = ledger.extent(&query.filter)?;
    let mut at = around(extent.start).0;
    while at < extent.end {
        let mut edges = vec![at];
        while edges.len() <= AT_A_TIME && at < extent.end {
            at = around(at).1;
            edges.push(at);
        }
        for row in ledger.lane_rows(&query.filter, &edges)? {
            let hour = edges[row.bucket];
            if visit(HourRow::of(row, hour)).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What a cell of one column holds.
type Cell = for<'a> fn(&'a HourRow) -> Value<'a>;

/// The columns before the factors.
const COLUMNS: &[(&str, Cell)] = &[
    ("hour", |r| Value::Time(r.hour)),
    ("workspace", |r| text(&r.workspace)),
    ("pass", |r| text(&r.pass)),
    ("key", |r| text(&r.key)),
    ("client", |r| text(&r.client)),
    ("provider", |r| text(&r.provider)),
    ("model", |r| text(&r.model)),
    ("kind", |r| Value::Own(r.kind.to_string())),
    ("technology", |r| r.technology.map_or(Value::Absent, |of| Value::Own(of.to_string()))),
    ("capabilities", |r| words(&r.capabilities)),
    ("status", |r| Value::Own(r.status.to_string())),
    ("http_status", |r| whole(r.http_status.map(u64::from))),
    ("stream", |r| Value::Own(r.stream.to_string())),
    ("requests", |r| Value::Whole(r.requests)),
    ("cost", |r| r.cost.map_or(Value::Absent, Value::Money)),
    ("currency", |r| Value::Own(r.currency.to_string())),
    ("unpriced", |r| Value::Whole(r.unpriced)),
    ("estimated", |r| Value::Whole(r.estimated)),
    ("input_tokens", |r| Value::Whole(r.input_tokens)),
    ("output_tokens", |r| Value::Whole(r.output_tokens)),
    ("latency_mean_ms", |r| whole(r.latency_mean_ms)),
    ("latency_p95_ms", |r| whole(r.latency_p95_ms)),
    ("ttft_mean_ms", |r| whole(r.ttft_mean_ms)),
    ("ttft_p95_ms", |r| whole(r.ttft_p95_ms)),
];

/// The column of factors that have no column.
const OTHER_FACTORS: &str = "other_factors";

/// The names of the columns, with one for each of these factors.
pub(crate) fn header(factors: &[Factor]) -> impl Iterator<Item = String> {
    let before = COLUMNS.iter().map(|(name, _)| (*name).to_owned());
    let factors = factors.iter().map(|factor| factor.name().into_owned());
    before.chain(factors).chain([OTHER_FACTORS.to_owned()])
}

/// A row's cells in the order of [`header`].
pub(crate) fn cells<'a>(row: &'a HourRow, factors: &[Factor]) -> impl Iterator<Item = Value<'a>> {
    let mut counts: BTreeMap<&Factor, Count> =
        row.factors.iter().map(|(factor, count)| (factor, *count)).collect();
    let mut count = |factor| counts.remove(factor).map_or(Value::Absent, Value::Count);
    let factors: Vec<Value<'_>> = factors.iter().map(&mut count).collect();
    let other = match counts.is_empty() {
        true => Value::Absent,
        false => Value::Own(serde_json::to_string(&counts).expect("a map with text keys is JSON")),
    };
    COLUMNS.iter().map(|(_, cell)| cell(row)).chain(factors).chain([other])
}

fn text(outside: &Option<String>) -> Value<'_> {
    outside.as_deref().map_or(Value::Absent, |text| Value::Outside(Cow::Borrowed(text)))
}

fn whole(count: Option<u64>) -> Value<'static> {
    count.map_or(Value::Absent, Value::Whole)
}
