//! The questions themselves: plain functions over the ledger, asked by HTTP, the command
//! line and the window alike.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use chrono_tz::Tz;
use meter::receipt::Status;
use meter::{Receipt, ReceiptId, Timestamp};
use store::{Demo, Dimension, Filter, Questions};

use crate::answer::{Bucket, Figures, Overhead, Period, Requests, Row, Spread, Usage};
use crate::conversion::{Conversion, Converted};
use crate::export::{ExportForm, ExportFormat, Lines, Rows};
use crate::hourly;
use crate::period::{self, Granularity};
use crate::problem::{Code, Problem};
use crate::query::{By, Query, by_word};
use crate::remains;
use crate::units::units;
use crate::workbook::{self, Unwritten};

/// What a period came to: totals, a table if one was asked for, a series if one was.
///
/// # Errors
/// When the ledger cannot be read, or the series would be too long to be read by anyone.
pub fn usage(ledger: &Questions, query: &Query, now: Timestamp) -> Result<Usage, Problem> {
    let granularity = match &query.by {
        Some(By::Time(granularity)) => Some(*granularity),
        Some(By::Several(_, granularity)) => granularity.or(query.granularity),
        Some(By::Dimension(_)) | None => query.granularity,
    };
    let edges = match granularity {
        Some(granularity) => edges(ledger, query, granularity, now)?,
        None => Vec::new(),
    };
    let dimension = match &query.by {
        Some(By::Dimension(dimension)) => Some(dimension),
        Some(By::Time(_) | By::Several(..)) | None => None,
    };
    let buckets = (!edges.is_empty()).then_some(&*edges);
    let conversion = query.conversion();
    let found = match conversion {
        None => ledger.usage(&query.filter, dimension, buckets)?,
        Some(_) => ledger.usage_by_day(&query.filter, dimension, buckets)?,
    };
    let exchange = conversion.as_ref().map(|to| to.sum(&found.totals.costs_by_day).1);
    let conversion = conversion.as_ref();
    let series: Vec<Bucket> = edges
        .windows(2)
        .zip(found.series)
        .map(|(edge, sums)| Bucket {
            from: edge[0],
            to: edge[1],
            figures: figures(sums, conversion),
        })
        .collect();
    let rows = match &query.by {
        Some(By::Time(granularity)) => time_rows(&series, *granularity, query),
        Some(By::Dimension(_)) => dearest_first(found.rows, conversion),
        Some(By::Several(dimensions, granularity)) => {
            let edges = granularity.and(buckets);
            let buckets = granularity.map(|granularity| (granularity, query.zone));
            several(
                ledger.table(&query.filter, &dimensions.iter().collect::<Vec<_>>(), edges)?,
                buckets.zip(edges),
            )?
        }
        None => Vec::new(),
    };
    Ok(Usage {
        period: Period {
            from: query.filter.from,
            to: query.filter.to,
            tz: query.zone.name().to_owned(),
        },
        totals: figures(found.totals, conversion),
        by: query.by.as_ref().map(by_word),
        overlapping: dimensions(query).contains(&Dimension::Capability),
        sorting_from: match tells_use(query) {
            true => ledger.sorting_from()?,
            false => None,
        },
        rows,
        granularity: query.granularity,
        series: if query.granularity.is_some() { series } else { Vec::new() },
        exchange: exchange.unwrap_or_default(),
    })
}

/// What the table is cut by, times aside.
pub(crate) fn dimensions(query: &Query) -> &[Dimension] {
    match &query.by {
        Some(By::Dimension(dimension)) => std::slice::from_ref(dimension),
        Some(By::Several(dimensions, _)) => dimensions,
        Some(By::Time(_)) | None => &[],
    }
}

/// Whether the answer depends on what calls exercised.
pub(crate) fn tells_use(query: &Query) -> bool {
    let told = |one: &Dimension| matches!(one, Dimension::Technology | Dimension::Capability);
    !query.filter.technologies.is_empty()
        || !query.filter.capabilities.is_empty()
        || dimensions(query).iter().any(told)
}

/// Where the buckets of a series begin and end; nothing when there is nothing to show.
fn edges(
    ledger: &Questions,
    query: &Query,
    granularity: Granularity,
    now: Timestamp,
) -> Result<Vec<Timestamp>, Problem> {
    let from = match query.filter.from {
        Some(from) => from,
        None => match remains::begin(ledger, &query.filter)? {
            Some(begin) => begin,
            None => return Ok(Vec::new()),
        },
    };
    let to = query.filter.to.unwrap_or(Timestamp::from_millis(now.millis() + 1));
    period::edges(granularity, query.zone, from, to.max(from)).ok_or_else(|| {
        let most = period::MOST_BUCKETS;
        Problem::new(
            Code::BadParameter,
            format!("more than {most} times `{granularity}` is too long a series"),
        )
        .hint("Ask for a shorter period or a wider granularity.")
    })
}

fn time_rows(series: &[Bucket], granularity: Granularity, query: &Query) -> Vec<Row> {
    let busy = series.iter().filter(|bucket| bucket.figures.requests != 0);
    busy.map(|bucket| Row {
        name: Some(period::label(granularity, query.zone, bucket.from)),
        names: Vec::new(),
        figures: bucket.figures.clone(),
    })
    .collect()
}

fn dearest_first(
    rows: Vec<(Option<String>, store::Figures)>,
    conversion: Option<&Conversion>,
) -> Vec<Row> {
    let row = |(name, sums)| Row { name, names: Vec::new(), figures: figures(sums, conversion) };
    let mut rows: Vec<Row> = rows.into_iter().map(row).collect();
    rows.sort_by(|a, b| {
        let dear = |row: &Row| {
            let converted = row.figures.converted.as_ref().and_then(|converted| converted.cost);
            (converted, row.figures.cost, row.figures.requests)
        };
        dear(b).cmp(&dear(a)).then_with(|| a.name.cmp(&b.name))
    });
    rows
}

/// Rows of a table of several dimensions. More are for an export.
const MOST_ROWS: usize = 10_000;

/// The oldest first where times are told apart, then the dearest.
fn several(
    mut rows: Vec<store::TableRow>,
    times: Option<((Granularity, Tz), &[Timestamp])>,
) -> Result<Vec<Row>, Problem> {
    if rows.len() > MOST_ROWS {
        let problem = format!("{} rows are too long a table", rows.len());
        return Err(Problem::new(Code::BadParameter, problem)
            .hint("Ask for a shorter period, a filter or a wider time."));
    }
    rows.sort_by(|a, b| {
        let dear = |row: &store::TableRow| (row.figures.cost, row.figures.requests);
        a.bucket
            .cmp(&b.bucket)
            .then_with(|| dear(b).cmp(&dear(a)))
            .then_with(|| a.names.cmp(&b.names))
    });
    let row = |row: store::TableRow| {
        let time = times.and_then(|((granularity, zone), edges)| {
            Some(period::label(granularity, zone, *edges.get(row.bucket?)?))
        });
        let names = row.names.into_iter().chain(time.map(Some)).collect();
        Row { name: None, names, figures: figures(row.figures, None) }
    };
    Ok(rows.into_iter().map(row).collect())
}

pub(crate) fn figures(sums: store::Figures, conversion: Option<&Conversion>) -> Figures {
    let spread =
        |s: store::Spread| Spread { mean_ms: s.mean, p50_ms: s.p50, p95_ms: s.p95, p99_ms: s.p99 };
    let overhead = |s: store::Spread| Overhead {
        mean_us: s.mean,
        p50_us: s.p50,
        p95_us: s.p95,
        p99_us: s.p99,
    };
    let count = |status: &Status| sums.statuses.get(status).copied().unwrap_or(0);
    let statuses: BTreeMap<Status, u64> =
        Status::ALL.iter().map(|status| (*status, count(status))).collect();
    // Nothing spent is zero; nothing known is not.
    let is_known = sums.priced != 0 || sums.unpriced == 0;
    let converted = conversion.map(|to| {
        let (sum, _) = to.sum(&sums.costs_by_day);
        Converted { cost: sum.cost.filter(|_| is_known), ..sum }
    });
    Figures {
        requests: sums.requests,
        statuses,
        cost: is_known.then_some(sums.cost),
        other_costs: sums.other_costs,
        converted,
        subtotal: sums.subtotal,
        saved: sums.saved,
        unpriced: sums.unpriced,
        estimated: sums.estimated,
        input_tokens: sums.input_tokens,
        output_tokens: sums.output_tokens,
        units: units(&sums.factors),
        factors: sums.factors,
        latency: sums.latency.map(spread),
        ttft: sums.ttft.map(spread),
        overhead: sums.overhead.map(overhead),
    }
}

/// One page of receipts, newest first.
///
/// # Errors
/// When the ledger cannot be read.
pub fn requests(ledger: &Questions, query: &Query) -> Result<Requests, Problem> {
    // One more than asked for tells whether there is a next page.
    let mut requests = ledger.requests(&query.filter, query.before, query.limit + 1)?;
    let next = if requests.len() > query.limit {
        requests.truncate(query.limit);
        requests.last().map(|oldest| oldest.id)
    } else {
        None
    };
    let conversion = query.conversion();
    let converted = requests
        .iter()
        .filter_map(|receipt| Some((receipt.id, conversion.as_ref()?.receipt(receipt)?)));
    let converted = converted.collect();
    Ok(Requests { requests, converted, next })
}

/// The receipt whose id is `text` or, if there is only one such, begins with it.
///
/// # Errors
/// When the ledger cannot be read, or none or several receipts answer to that.
pub fn receipt(ledger: &Questions, text: &str) -> Result<Receipt, Problem> {
    let shown: String = text.chars().take(100).collect();
    let nothing = || {
        Problem::new(Code::NotFound, format!("there is no receipt `{shown}`"))
            .hint("Copy an id, or its first 18 characters, from `tollgate requests`.")
    };
    if let Ok(id) = text.parse::<ReceiptId>() {
        return ledger.receipt(id)?.ok_or_else(nothing);
    }
    let prefix = text.to_ascii_lowercase();
    let Some(last) = last_id(&prefix) else { return Err(nothing()) };
    let everything = Filter { demo: Demo::With, ..Filter::default() };
    let after = ReceiptId::from_parts(last.ordinal() + 1, 0);
    let mut found = ledger.requests(&everything, Some(after), 6)?;
    found.retain(|receipt| receipt.id.to_string().starts_with(&prefix));
    match found.len() {
        0 => Err(nothing()),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let ids: Vec<String> = found.iter().map(|r| format!("`{}`", r.id)).collect();
            Err(Problem::new(Code::Ambiguous, format!("several receipts begin with `{shown}`"))
                .hint(format!("Such as {}.", ids.join(", "))))
        }
    }
}

/// The largest id that begins with `prefix`, or nothing when no id can.
fn last_id(prefix: &str) -> Option<ReceiptId> {
    const LARGEST: &str = "ffffffff-ffff-7fff-bfff-ffffffffffff";
    let shape = |(at, c): (usize, char)| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    };
    if prefix.is_empty() || prefix.len() > LARGEST.len() || !prefix.chars().enumerate().all(shape) {
        return None;
    }
    format!("{prefix}{}", &LARGEST[prefix.len()..]).parse().ok()
}

/// Writes what the query asks for to `out`, oldest first, in constant memory, and gives `out`
/// back. `written` is told of each row and may end it. Workbooks keep what is not yet packed in
/// `scratch`, or where the system keeps such things.
///
/// # Errors
/// Outer: the ledger cannot be read. Inner: the receiving side failed, or `written` ended it.
pub fn export<W: Write + Send>(
    ledger: &Questions,
    query: &Query,
    now: Timestamp,
    mut out: W,
    scratch: Option<&Path>,
    mut written: impl FnMut() -> ControlFlow<()>,
) -> Result<io::Result<W>, Problem> {
    let mut is_ended = false;
    let mut written = || {
        let flow = written();
        is_ended |= flow.is_break();
        flow
    };
    let lines = match query.format {
        ExportFormat::Csv => Lines::Csv,
        ExportFormat::Jsonl => Lines::Jsonl,
        ExportFormat::Xlsx => {
            let made =
                ledger.at_one_instant(|| workbook::make(ledger, query, now, scratch, &mut written));
            return match made.and_then(|made| if is_ended { Ok(()) } else { made.save(&mut out) }) {
                Ok(()) if is_ended => Ok(Err(ended())),
                Ok(()) => Ok(Ok(out)),
                Err(Unwritten::Io(error)) => Ok(Err(error)),
                Err(Unwritten::Problem(problem)) => Err(problem),
            };
        }
    };
    let mut rows = match Rows::begin(lines, query.form, query.conversion(), out) {
        Ok(rows) => rows,
        Err(error) => return Ok(Err(error)),
    };
    let mut outcome = Ok(());
    let mut next = |done: io::Result<()>| {
        outcome = done;
        match &outcome {
            Ok(()) => written(),
            Err(_) => ControlFlow::Break(()),
        }
    };
    match query.form {
        ExportForm::Requests => {
            ledger.each(&query.filter, |receipt| next(rows.write(&receipt)))?;
        }
        ExportForm::Hourly => hourly::each(ledger, query, |hour| next(rows.write_hour(&hour)))?,
    }
    if is_ended {
        outcome = Err(ended());
    }
    Ok(outcome.and_then(|()| rows.finish()))
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the export was ended")
}
