//! The JSON of answers. A receipt is [`meter::Receipt`]'s own JSON; money is decimal text,
//! absent is `null`, and totals never hide what they leave out.

use std::collections::BTreeMap;

use meter::receipt::Status;
use meter::usage::{Count, Factor};
use meter::{Currency, Money, Receipt, ReceiptId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::conversion::{Converted, ConvertedCost, UsedRate};
use crate::period::Granularity;
use crate::units::UnitOfUse;

/// The half-open period `[from, to)` a question was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Period {
    /// Its first instant; `null`: from the beginning.
    pub from: Option<Timestamp>,
    /// The first instant after it; `null`: no end.
    pub to: Option<Timestamp>,
    /// The zone that days were cut by.
    pub tz: String,
}

/// The answer to `usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Usage {
    /// What was asked about.
    pub period: Period,
    /// Everything in it.
    pub totals: Figures,
    /// What the rows are: `model`, `day`, `tag:team`, …; `null` without rows.
    pub by: Option<String>,
    /// Whether rows overlap: a request that exercised two capabilities counts in both, so rows
    /// come to more than the totals and must not be added up.
    pub overlapping: bool,
    /// After an update: capabilities and technologies of receipts from this instant on are
    /// still being sorted in, and count as without any until then. Else `null`.
    pub sorting_from: Option<Timestamp>,
    /// The table: the dearest first, or oldest first where rows are times.
    pub rows: Vec<Row>,
    /// How wide the buckets of the series are; `null` without a series.
    pub granularity: Option<Granularity>,
    /// One bucket after the other, those without requests too.
    pub series: Vec<Bucket>,
    /// The rates that went into the converted total; empty unless a currency was asked for.
    pub exchange: Vec<UsedRate>,
}

/// One row of a usage table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Row {
    /// The model, key, day, …; `null`: receipts that have none, or there are `names`.
    pub name: Option<String>,
    /// One for each of several things the table is cut by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Option<String>>,
    /// What it came to.
    #[serde(flatten)]
    pub figures: Figures,
}

/// One bucket of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Bucket {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
    /// What it came to.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Sums over some receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Figures {
    /// How many requests.
    pub requests: u64,
    /// How many of them ended how; every status is there.
    pub statuses: BTreeMap<Status, u64>,
    /// The exact sum of all costs that are known, in US dollars; `null` when none is.
    pub cost: Option<Money>,
    /// The exact sums of costs in other currencies.
    pub other_costs: BTreeMap<Currency, Money>,
    /// All of these costs in the currency that was asked for; `null` if none was.
    pub converted: Option<Converted>,
    /// The priced parts of requests whose cost is not known. Not in `cost`.
    pub subtotal: Money,
    /// What caching saved in US dollars, each call at its own rates, less what writing to
    /// caches cost extra.
    pub saved: Money,
    /// Requests whose cost is not known and not in the sum.
    pub unpriced: u64,
    /// Requests whose usage is an estimate.
    pub estimated: u64,
    /// Tokens in: all `input.*` and embedded text.
    pub input_tokens: u64,
    /// Tokens out: all `output.*`.
    pub output_tokens: u64,
    /// Every factor's own sum.
    pub factors: BTreeMap<Factor, Count>,
    /// The sum of each unit that models are used by; never added to another.
    pub units: BTreeMap<UnitOfUse, Count>,
    /// End to end; `null` without requests.
    pub latency: Option<Spread>,
    /// Until the first content; `null` without streams.
    pub ttft: Option<Spread>,
    /// What Tollgate itself added; `null` unless `performance` was asked for, and where nothing
    /// was measured.
    pub overhead: Option<Overhead>,
}

/// How the time that Tollgate itself added is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Overhead {
    /// The mean, in microseconds.
    pub mean_us: u64,
    /// Half of the requests waited at most this many microseconds for Tollgate.
    pub p50_us: u64,
    /// 95 of a hundred at most this many.
    pub p95_us: u64,
    /// 99 of a hundred at most this many.
    pub p99_us: u64,
}

/// How durations are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Spread {
    /// The mean, in milliseconds.
    pub mean_ms: u64,
    /// Half of them took at most this many milliseconds.
    pub p50_ms: u64,
    /// 95 of a hundred took at most this many milliseconds.
    pub p95_ms: u64,
    /// 99 of a hundred took at most this many milliseconds.
    pub p99_ms: u64,
}

/// One page of receipts, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Requests {
    /// The receipts.
    pub requests: Vec<Receipt>,
    /// Their costs in the currency that was asked for; those without cost or rate are left out.
    pub converted: BTreeMap<ReceiptId, ConvertedCost>,
    /// Ask again with this as `before` for the next page; `null`: this was the last one.
    pub next: Option<ReceiptId>,
}
