//! `tollgate performance`: how fast calls were, and how many there were at once.

use std::io::{self, Write as _};

use api::answer::{Figures, Row};
use api::performance::{Peak, Performance, Rate, Slice, performance};
use api::query::Question;
use clap::Args;
use meter::receipt::Status;

use super::figure::{duration, grouped, instant, microseconds};
use super::filters::{Filters, Parameters, now};
use super::screen::{FAINT, STRONG, Screen, painted};
use super::table::{self, Align, Cell, Column};

/// Shows latencies, times to first content, Tollgate's own share, and requests and tokens a minute.
///
/// Percentiles cover all calls of the period: they come from kept distributions, not samples.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate performance --last 7d
  tollgate performance --by provider --last 24h
  tollgate performance --by tag:workflow --model gpt-5.1
  tollgate performance --json")]
pub(crate) struct PerformanceArgs {
    /// One row a provider, model, key, pass, workspace, status, kind, client, technology, capability or tag:NAME
    #[arg(long, value_name = "WHAT")]
    by: Option<String>,
    /// Print one JSON object, as `GET /api/v1/performance` answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

impl PerformanceArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let own: Parameters = self.by.iter().map(|by| ("by", by.clone())).collect();
        let query = self.filters.query(Question::Performance, own)?;
        let answer = performance(&super::ledger()?, &query, now())?;
        let mut screen = Screen::take();
        if self.json {
            screen.json(&answer)?;
        } else if answer.by.is_some() {
            rows(&mut screen, &answer)?;
        } else {
            totals(&mut screen, &answer)?;
        }
        Ok(screen.flush()?)
    }
}

fn totals(screen: &mut Screen, answer: &Performance) -> io::Result<()> {
    let zone = answer.period.tz.parse().unwrap_or(chrono_tz::UTC);
    let mut fact = |name: &str, value: String| {
        writeln!(screen, "{} {value}", painted(FAINT, &format!("{name:<15}")))
    };
    let said = |rate: &Rate| {
        let Rate { requests_per_minute, tokens_per_minute, requests_per_second } = rate;
        format!(
            "{requests_per_minute} requests a minute ({requests_per_second} a second), {tokens_per_minute} tokens a minute"
        )
    };
    fact("Requests", grouped(answer.totals.requests))?;
    fact("Now", said(&answer.rates.now))?;
    if let Some(mean) = &answer.rates.mean {
        fact("On average", said(mean))?;
    }
    for (name, peak, what) in [
        ("Busiest minute", answer.rates.peak_requests_per_minute, "requests"),
        ("", answer.rates.peak_tokens_per_minute, "tokens"),
        ("Busiest second", answer.rates.peak_requests_per_second, "requests"),
    ] {
        if let Some(Peak { count, from, exact }) = peak {
            let least = if exact { "" } else { "at least " };
            fact(name, format!("{least}{} {what}, {}", grouped(count), instant(from, zone)))?;
        }
    }
    distribution(screen, "Time, end to end", &answer.latency, duration)?;
    distribution(screen, "Time to first content", &answer.ttft, duration)?;
    distribution(screen, "Added by Tollgate", &answer.overhead, microseconds)
}

/// The longest bar, in characters.
const BAR: u64 = 40;

fn distribution(
    screen: &mut Screen,
    title: &str,
    slices: &[Slice],
    said: fn(u64) -> String,
) -> io::Result<()> {
    let Some(most) = slices.iter().map(|slice| slice.requests).max() else { return Ok(()) };
    writeln!(screen, "\n{}", painted(STRONG, title))?;
    let columns = [
        Column::new("less than", Align::Right, 0),
        Column::new("requests", Align::Right, 0),
        Column::new("", Align::Left, 1),
    ];
    let row = |slice: &Slice| {
        let bar = (slice.requests * BAR).div_ceil(most.max(1));
        let bar = "▇".repeat(usize::try_from(bar).unwrap_or_default());
        vec![
            Cell::new(said(slice.to)),
            Cell::new(grouped(slice.requests)),
            Cell::new(bar).style(FAINT),
        ]
    };
    table::print(screen, &columns, &slices.iter().map(row).collect::<Vec<_>>())
}

const COLUMNS: &[Column] = &[
    Column::new("", Align::Left, 0).cut(10),
    Column::new("requests", Align::Right, 1),
    Column::new("errors", Align::Right, 5),
    Column::new("p50", Align::Right, 0),
    Column::new("p95", Align::Right, 0),
    Column::new("p99", Align::Right, 0),
    Column::new("first p50", Align::Right, 3),
    Column::new("first p95", Align::Right, 2),
    Column::new("first p99", Align::Right, 4),
    Column::new("added p50", Align::Right, 6),
    Column::new("added p99", Align::Right, 7),
];

fn rows(screen: &mut Screen, answer: &Performance) -> io::Result<()> {
    if answer.rows.is_empty() {
        return writeln!(screen, "No requests.");
    }
    let by = answer.by.as_deref().unwrap_or_default();
    let named = |row: &Row| match &row.name {
        Some(name) => Cell::new(name),
        None => Cell::new(format!("no {}", by.strip_prefix("tag:").unwrap_or(by))).style(FAINT),
    };
    let mut rows: Vec<Vec<Cell>> =
        answer.rows.iter().map(|row| cells(named(row), &row.figures)).collect();
    let total = cells(Cell::new("total"), &answer.totals);
    rows.push(total.into_iter().map(|cell| cell.style(STRONG)).collect());
    table::print(screen, COLUMNS, &rows)?;
    super::usage::remarks(answer.overlapping, answer.sorting_from, &answer.period.tz);
    Ok(())
}

fn cells(name: Cell, figures: &Figures) -> Vec<Cell> {
    let errors = figures.statuses.get(&Status::Error).copied().unwrap_or(0);
    let time = |ms: Option<u64>| Cell::new(ms.map_or_else(String::new, duration));
    let added = |us: Option<u64>| Cell::new(us.map_or_else(String::new, microseconds));
    vec![
        name,
        Cell::new(grouped(figures.requests)),
        Cell::new(if errors == 0 { String::new() } else { grouped(errors) }),
        time(figures.latency.map(|spread| spread.p50_ms)),
        time(figures.latency.map(|spread| spread.p95_ms)),
        time(figures.latency.map(|spread| spread.p99_ms)),
        time(figures.ttft.map(|spread| spread.p50_ms)),
        time(figures.ttft.map(|spread| spread.p95_ms)),
        time(figures.ttft.map(|spread| spread.p99_ms)),
        added(figures.overhead.map(|spread| spread.p50_us)),
        added(figures.overhead.map(|spread| spread.p99_us)),
    ]
}
