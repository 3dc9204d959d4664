//! `tollgate usage`: what a period came to.

use std::io::{self, Write as _};

use api::answer::{Figures, Row, Usage};
use api::conversion::{Converted, UsedRate};
use api::query::Question;
use api::question;
use api::units::UnitOfUse;
use clap::Args;
use meter::receipt::Status;
use meter::usage::Count;
use meter::{Money, Timestamp};

use super::figure::{count, duration, grouped, in_currency, instant, money, total};
use super::filters::{Filters, Parameters, now};
use super::screen::{FAINT, STRONG, Screen, painted};
use super::table::{self, Align, Cell, Column};

/// Adds up requests, tokens and costs.
///
/// Without filters it covers all time. Costs that are not known are never counted as zero:
/// they stand beside the sum as `+ n unpriced`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate usage --last 7d
  tollgate usage --by model --from 2026-11-01 --to 2026-12-01
  tollgate usage --by day --last 30d --provider anthropic
  tollgate usage --by tag:team --json
  tollgate usage --by month --currency EUR")]
pub(crate) struct UsageArgs {
    /// One row a model, provider, key, pass, workspace, status, kind, client, technology, capability, hour, day, week, month or tag:NAME, or several: model,key,hour
    #[arg(long, value_name = "WHAT")]
    by: Option<String>,
    /// Add a series of 15m, hours, days, weeks or months (seen with --json)
    #[arg(long, value_name = "WIDTH")]
    granularity: Option<String>,
    /// Say costs in this currency too, at the rates of `tollgate exchange`
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Print one JSON object, as `GET /api/v1/usage` answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

impl UsageArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let own =
            [("by", &self.by), ("granularity", &self.granularity), ("currency", &self.currency)];
        let own: Parameters =
            own.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        let query = self.filters.query(Question::Usage, own)?;
        let answer = question::usage(&super::ledger()?, &query, now())?;
        let mut screen = Screen::take();
        if self.json {
            screen.json(&answer)?;
        } else {
            print(&mut screen, &answer)?;
            if let Some(converted) = &answer.totals.converted {
                unconverted(converted);
            }
        }
        Ok(screen.flush()?)
    }
}

fn print(screen: &mut Screen, usage: &Usage) -> io::Result<()> {
    writeln!(screen, "{}\n", painted(FAINT, &period(usage)))?;
    match &usage.by {
        Some(by) => by_table(screen, by, usage),
        None => totals(screen, &usage.totals, &usage.exchange),
    }
}

fn period(usage: &Usage) -> String {
    let zone = usage.period.tz.parse().unwrap_or(chrono_tz::UTC);
    let edges = (usage.period.from, usage.period.to);
    let said = match edges {
        (None, None) => "all time".to_owned(),
        (Some(from), None) => format!("since {}", instant(from, zone)),
        (None, Some(to)) => format!("before {}", instant(to, zone)),
        (Some(from), Some(to)) => format!("{} up to {}", instant(from, zone), instant(to, zone)),
    };
    format!("Usage, {said} ({})", usage.period.tz)
}

/// What no rate could convert, and how there could be one.
fn unconverted(converted: &Converted) {
    for (currency, sum) in &converted.unconverted {
        let sum = in_currency(&money(*sum), *currency);
        let to = converted.currency;
        super::remark(&format!(
            "{sum} is of days before the first exchange rate from {currency} to {to}: see `tollgate exchange --help`."
        ));
    }
}

/// `at 1 EUR = 1.0812 USD of 2026-11-20`, or how many there were.
fn rates(used: &[UsedRate]) -> String {
    let stated: Vec<&UsedRate> = used.iter().filter(|rate| !rate.rate.is_empty()).collect();
    let days = || stated.iter().map(|rate| rate.on);
    match (&*stated, days().min(), days().max()) {
        ([one], _, _) => format!(" at {} of {}", one.rate, one.on),
        (many, Some(first), Some(last)) => {
            format!(" at {} rates of {first} to {last}, each on its days", many.len())
        }
        (_, _, _) => String::new(),
    }
}

fn totals(screen: &mut Screen, figures: &Figures, used: &[UsedRate]) -> io::Result<()> {
    let mut fact = |name: &str, value: String| {
        writeln!(screen, "{} {value}", painted(FAINT, &format!("{name:<15}")))
    };
    let ended: Vec<String> = figures
        .statuses
        .iter()
        .filter(|(_, number)| **number != 0)
        .map(|(status, number)| format!("{} {status}", grouped(*number)))
        .collect();
    let split = if ended.len() > 1 { format!("  ({})", ended.join(", ")) } else { String::new() };
    fact("Requests", format!("{}{split}", grouped(figures.requests)))?;
    fact("Cost", painted(STRONG, &total(figures)))?;
    if let Some(Converted { currency, cost: Some(cost), .. }) = figures.converted {
        let said = in_currency(&money(cost), currency);
        fact("", format!("{}{}", painted(STRONG, &said), rates(used)))?;
    }
    if figures.saved != Money::ZERO {
        fact("Saved", format!("{} by caching", money(figures.saved)))?;
    }
    if figures.subtotal != Money::ZERO {
        fact("", format!("{} of what is unpriced is known", money(figures.subtotal)))?;
    }
    if figures.estimated != 0 {
        fact("", format!("{} requests with estimated usage", grouped(figures.estimated)))?;
    }
    let tokens = format!(
        "{} input, {} output",
        grouped(figures.input_tokens),
        grouped(figures.output_tokens)
    );
    fact("Tokens", tokens)?;
    for (unit, many) in others(figures) {
        fact("", format!("{} {unit}", count(*many)))?;
    }
    for (name, spread) in [("Time", figures.latency), ("First content", figures.ttft)] {
        if let Some(spread) = spread {
            let times = [spread.p50_ms, spread.p95_ms, spread.p99_ms, spread.mean_ms];
            let [p50, p95, p99, mean] = times.map(duration);
            fact(name, format!("p50 {p50}, p95 {p95}, p99 {p99}, mean {mean}"))?;
        }
    }
    if figures.factors.is_empty() {
        return Ok(());
    }
    writeln!(screen)?;
    let columns = [
        Column::new("used", Align::Left, 0),
        Column::new("count", Align::Right, 0),
        Column::new("unit", Align::Left, 0),
    ];
    let rows: Vec<Vec<Cell>> = figures
        .factors
        .iter()
        .map(|(factor, many)| {
            let unit = super::figure::unit(factor.unit(), *many);
            vec![
                Cell::new(super::words::factor(factor)),
                Cell::new(count(*many)),
                Cell::new(unit).style(FAINT),
            ]
        })
        .collect();
    table::print(screen, &columns, &rows)
}

/// What was used besides tokens, each unit by itself.
fn others(figures: &Figures) -> impl Iterator<Item = (&UnitOfUse, &Count)> {
    figures.units.iter().filter(|(unit, _)| **unit != UnitOfUse::Tokens)
}

/// Where the converted cost stands: behind the cost.
const CONVERTED: usize = 6;

const COLUMNS: &[Column] = &[
    Column::new("", Align::Left, 0).cut(10),
    Column::new("requests", Align::Right, 1),
    Column::new("errors", Align::Right, 4),
    Column::new("tokens in", Align::Right, 2),
    Column::new("tokens out", Align::Right, 2),
    Column::new("cost", Align::Point, 0),
    Column::new("time p50", Align::Right, 5),
    Column::new("time p95", Align::Right, 6),
];

fn by_table(screen: &mut Screen, by: &str, usage: &Usage) -> io::Result<()> {
    if usage.rows.is_empty() {
        return writeln!(screen, "No requests.");
    }
    let converts = usage.totals.converted.is_some();
    let columns: Vec<Column> = if converts {
        let (before, after) = COLUMNS.split_at(CONVERTED);
        let added = Column::new("converted", Align::Point, 0);
        before.iter().copied().chain([added]).chain(after.iter().copied()).collect()
    } else {
        COLUMNS.to_vec()
    };
    let mut columns = columns;
    if others(&usage.totals).next().is_some() {
        columns.push(Column::new("other units", Align::Left, 3));
    }
    let mut rows: Vec<Vec<Cell>> = usage.rows.iter().map(|row| cells(by, row)).collect();
    let total =
        Row { name: Some("total".to_owned()), names: Vec::new(), figures: usage.totals.clone() };
    rows.push(cells(by, &total).into_iter().map(|cell| cell.style(STRONG)).collect());
    table::print(screen, &columns, &rows)?;
    remarks(usage.overlapping, usage.sorting_from, &usage.period.tz);
    let said = rates(&usage.exchange);
    if said.is_empty() {
        Ok(())
    } else {
        writeln!(screen, "{}", painted(FAINT, &format!("converted{said}")))
    }
}

/// What a table's rows do not say by themselves.
pub(super) fn remarks(overlapping: bool, sorting_from: Option<Timestamp>, zone: &str) {
    if overlapping {
        super::remark(
            "A request counts in the row of each capability that it exercised: rows overlap and do not add up to the total.",
        );
    }
    if let Some(from) = sorting_from {
        let since = instant(from, zone.parse().unwrap_or(chrono_tz::UTC));
        super::remark(&format!(
            "What requests since {since} exercised is still being sorted in after an update; until then they count as without."
        ));
    }
}

fn cells(by: &str, row: &Row) -> Vec<Cell> {
    let figures = &row.figures;
    let names: Vec<&str> = row.names.iter().map(|name| name.as_deref().unwrap_or("-")).collect();
    let name = match &row.name {
        _ if !names.is_empty() => Cell::new(names.join(", ")),
        Some(name) => Cell::new(name),
        None => Cell::new(format!("no {}", by.strip_prefix("tag:").unwrap_or(by))).style(FAINT),
    };
    let errors = figures.statuses.get(&Status::Error).copied().unwrap_or(0);
    let time = |ms: Option<u64>| Cell::new(ms.map_or_else(String::new, duration));
    let mut cells = vec![
        name,
        Cell::new(grouped(figures.requests)),
        Cell::new(if errors == 0 { String::new() } else { grouped(errors) }),
        Cell::new(grouped(figures.input_tokens)),
        Cell::new(grouped(figures.output_tokens)),
        Cell::new(total(figures)),
        time(figures.latency.map(|spread| spread.p50_ms)),
        time(figures.latency.map(|spread| spread.p95_ms)),
    ];
    let units: Vec<String> =
        others(figures).map(|(unit, many)| format!("{} {unit}", count(*many))).collect();
    cells.push(Cell::new(units.join(", ")));
    if let Some(converted) = &figures.converted {
        let said = converted.cost.map(|cost| in_currency(&money(cost), converted.currency));
        cells.insert(CONVERTED, Cell::optional(said.as_deref()));
    }
    cells
}
