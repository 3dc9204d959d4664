//! Receipts as an Excel workbook in constant memory: a summary, the models and the days from
//! the ledger's own sums, and one row a request. Excel's numbers are doubles; an amount that
//! one does not hold exactly also stands beside it as a text.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use chrono_tz::Tz;
use meter::usage::{Count, Factor};
use meter::{Money, Receipt, Timestamp};
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use store::{Dimension, Filter, Questions, StoreError};

use crate::answer::{self, Figures, Usage};
use crate::columns::{Value, cells, header};
use crate::export::{CONVERTED, ExportForm};
use crate::hourly::{self, HourRow};
use crate::period::Granularity;
use crate::problem::Problem;
use crate::query::{By, Query};
use crate::question;
use crate::remains;

/// Rows of a sheet with its heading; Excel knows no more.
const MOST_ROWS: u32 = 1_048_576;

/// Characters of a cell; Excel knows 32,767.
const MOST_CHARACTERS: usize = 32_000;

/// What stands beside money that a number does not hold.
const EXACTLY: &str = "exactly";

/// Why a workbook was not written.
pub(crate) enum Unwritten {
    /// The ledger cannot be read.
    Problem(Problem),
    /// The receiving side or the temporary file failed.
    Io(io::Error),
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<Problem> for Unwritten {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<XlsxError> for Unwritten {
    fn from(error: XlsxError) -> Self {
        match error {
            XlsxError::IoError(error) => Self::Io(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

/// A workbook whose rows are in temporary files, ready to be packed.
pub(crate) struct Made(Workbook);

impl Made {
    /// Packs it into `out`, which may take its time: nothing is held meanwhile.
    pub(crate) fn save<W: Write + Send>(mut self, out: &mut W) -> Result<(), Unwritten> {
        Ok(self.0.save_to_writer(out)?)
    }
}

/// Makes the workbook; to be called within one state of the ledger. `written` is told each
/// receipt and may end it.
pub(crate) fn make(
    ledger: &Questions,
    query: &Query,
    now: Timestamp,
    scratch: Option<&Path>,
    mut written: impl FnMut() -> ControlFlow<()>,
) -> Result<Made, Unwritten> {
    let sums = |by: Option<By>| -> Result<Usage, Problem> {
        let query = Query { by, granularity: None, ..query.clone() };
        question::usage(ledger, &query, now)
    };
    let by_model = sums(Some(By::Dimension(Dimension::Model)))?;
    // Decades have too many days for a table.
    let by_day = sums(Some(By::Time(Granularity::Day)))
        .or_else(|_| sums(Some(By::Time(Granularity::Month))))?;
    let style = Style::new();
    let mut book = Workbook::new();
    if let Some(scratch) = scratch {
        book.set_tempdir(scratch)?;
    }
    let pruned = match query.form {
        ExportForm::Requests => remains::cut(ledger, &query.filter)?,
        // Sums are all there.
        ExportForm::Hourly => None,
    };
    let about = About { query, now, pruned };
    summary(book.add_worksheet().set_name("Summary")?, &style, &about, &by_model)?;
    table(book.add_worksheet().set_name("By model")?, &style, "model", &by_model)?;
    table(book.add_worksheet().set_name("By day")?, &style, "day", &by_day)?;
    let factors: Vec<Factor> = by_model.totals.factors.keys().cloned().collect();
    let columns = Columns { factors, query, style: &style };
    let mut sheet = columns.begin(&mut book, 1)?;
    let (mut row, mut number) = (1, 1);
    let mut outcome = Ok(());
    let mut next = |of: Row<'_>| {
        let next = || -> Result<(), XlsxError> {
            if row == MOST_ROWS {
                (row, number) = (1, number + 1);
                sheet = columns.begin(&mut book, number)?;
            }
            columns.write(book.worksheet_from_index(sheet)?, row, of)?;
            row += 1;
            Ok(())
        };
        outcome = { next }();
        match &outcome {
            Ok(()) => written(),
            Err(_) => ControlFlow::Break(()),
        }
    };
    match query.form {
        ExportForm::Requests => {
            let each = ledger.each(&query.filter, |receipt| next(Row::Request(&receipt)));
            each.map_err(Problem::from)?;
        }
        ExportForm::Hourly => hourly::each(ledger, query, |hour| next(Row::Hour(&hour)))?,
    }
    outcome?;
    Ok(Made(book))
}

/// A row of the long sheet.
enum Row<'a> {
    Request(&'a Receipt),
    Hour(&'a HourRow),
}

struct Style {
    heading: Format,
    time: Format,
    money: Format,
    whole: Format,
}

impl Style {
    fn new() -> Self {
        Self {
            heading: Format::new().set_bold(),
            time: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000"),
            money: Format::new().set_num_format("0.00################"),
            whole: Format::new().set_num_format("#,##0"),
        }
    }
}

fn headings<I>(sheet: &mut Worksheet, style: &Style, names: I) -> Result<(), XlsxError>
where
    I: IntoIterator<Item = String>,
{
    sheet.write_row_with_format(0, 0, names, &style.heading)?;
    sheet.set_freeze_panes(1, 0)?;
    Ok(())
}

/// Writes an amount as a number and, where that is not exact, as a text in the next column.
fn amount(
    sheet: &mut Worksheet,
    style: &Style,
    (row, column): (u32, u16),
    amount: Option<Money>,
) -> Result<(), XlsxError> {
    let Some(amount) = amount else { return Ok(()) };
    let text = amount.to_string();
    let Ok(number) = text.parse::<f64>() else { return Ok(()) };
    sheet.write_number_with_format(row, column, number, &style.money)?;
    if !is_exact(&text, number) {
        sheet.write_string(row, column + 1, text)?;
    }
    Ok(())
}

/// Whether Excel, which keeps fifteen significant digits, shows all of this decimal.
fn is_exact(text: &str, number: f64) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0');
    digits.count() <= 15 && number.to_string().parse() == text.parse::<f64>()
}

fn count(
    sheet: &mut Worksheet,
    style: &Style,
    (row, column): (u32, u16),
    count: Count,
) -> Result<(), XlsxError> {
    let number: f64 = count.to_string().parse().unwrap_or(f64::MAX);
    match count.millionths() % Count::ONE {
        0 => sheet.write_number_with_format(row, column, number, &style.whole)?,
        _ => sheet.write_number(row, column, number)?,
    };
    Ok(())
}

/// What a summary is about.
struct About<'a> {
    query: &'a Query,
    now: Timestamp,
    /// Before which instant receipts are missing in the list.
    pruned: Option<Timestamp>,
}

fn summary(
    sheet: &mut Worksheet,
    style: &Style,
    &About { query, now, pruned }: &About<'_>,
    usage: &Usage,
) -> Result<(), XlsxError> {
    sheet.set_column_width(0, 28)?.set_column_width(1, 32)?.set_column_width(2, 32)?;
    let totals = &usage.totals;
    let text = |at: Option<Timestamp>, none: &str| match at {
        Some(at) => at.utc().with_timezone(&query.zone).to_rfc3339(),
        None => none.to_owned(),
    };
    let mut rows: Vec<(String, Value<'_>)> = vec![
        ("From".into(), Value::Own(text(query.filter.from, "the first receipt"))),
        ("To, not included".into(), Value::Own(text(query.filter.to, "the last receipt"))),
        ("Time zone".into(), Value::Own(query.zone.name().to_owned())),
        ("Filters".into(), Value::Own(filters(&query.filter))),
        ("Written".into(), Value::Own(text(Some(now), ""))),
        ("By".into(), Value::Own(format!("Tollgate {}", env!("CARGO_PKG_VERSION")))),
        ("Requests".into(), Value::Whole(totals.requests)),
    ];
    if pruned.is_some() {
        let missing = format!("receipts from before {}", text(pruned, ""));
        rows.push(("Pruned, in sums only".into(), Value::Own(missing)));
    }
    rows.push(("Cost, USD".into(), totals.cost.map_or(Value::Absent, Value::Money)));
    for (currency, cost) in &totals.other_costs {
        rows.push((format!("Cost, {currency}"), Value::Money(*cost)));
    }
    if let Some(converted) = &totals.converted {
        let cost = converted.cost.map_or(Value::Absent, Value::Money);
        rows.push((format!("Cost converted to {}", converted.currency), cost));
    }
    rows.extend([
        ("Requests of unknown cost".into(), Value::Whole(totals.unpriced)),
        ("Their priced parts, USD".into(), Value::Money(totals.subtotal)),
        ("Requests of estimated usage".into(), Value::Whole(totals.estimated)),
        ("Tokens in".into(), Value::Whole(totals.input_tokens)),
        ("Tokens out".into(), Value::Whole(totals.output_tokens)),
    ]);
    sheet.write_row_with_format(0, 0, ["Tollgate", "", EXACTLY], &style.heading)?;
    for ((name, value), row) in rows.into_iter().zip(1..) {
        sheet.write_string(row, 0, name)?;
        cell(sheet, style, query.zone, (row, 1), value)?;
    }
    let notes = "An empty cost is an unknown one, never zero. Amounts of more than 15 digits \
        stand exactly, as text, in the column beside.";
    sheet.write_string(rows_after(totals), 0, notes)?;
    Ok(())
}

/// Below the longest summary.
fn rows_after(totals: &Figures) -> u32 {
    17 + u32::try_from(totals.other_costs.len()).unwrap_or(u32::MAX - 17)
}

/// The filters in a few words; `none` if there are none.
pub(crate) fn filters(filter: &Filter) -> String {
    let texts = [
        ("model", &filter.models),
        ("provider", &filter.providers),
        ("key", &filter.keys),
        ("pass", &filter.passes),
        ("workspace", &filter.workspaces),
        ("client", &filter.clients),
    ];
    let texts = texts.into_iter().filter(|(_, values)| !values.is_empty());
    let mut said: Vec<String> =
        texts.map(|(name, values)| format!("{name} {}", values.join(" or "))).collect();
    if !filter.statuses.is_empty() {
        let statuses: Vec<String> = filter.statuses.iter().map(ToString::to_string).collect();
        said.push(format!("status {}", statuses.join(" or ")));
    }
    if !filter.kinds.is_empty() {
        let kinds: Vec<String> = filter.kinds.iter().map(ToString::to_string).collect();
        said.push(format!("kind {}", kinds.join(" or ")));
    }
    let technologies: Vec<String> = filter.technologies.iter().map(ToString::to_string).collect();
    if !technologies.is_empty() {
        said.push(format!("technology {}", technologies.join(" or ")));
    }
    let capabilities: Vec<String> = filter.capabilities.iter().map(ToString::to_string).collect();
    if !capabilities.is_empty() {
        said.push(format!("capability {}", capabilities.join(" or ")));
    }
    said.extend(filter.stream.map(|stream| format!("stream {stream}")));
    said.extend(filter.tags.iter().map(|(name, value)| format!("tag {name}={value}")));
    if !filter.ids.is_empty() {
        said.push(format!("{} ids", filter.ids.len()));
    }
    if said.is_empty() { "none".to_owned() } else { said.join("; ") }
}

fn table(sheet: &mut Worksheet, style: &Style, of: &str, usage: &Usage) -> Result<(), XlsxError> {
    let factors: BTreeSet<&Factor> = usage.totals.factors.keys().collect();
    let fixed = [of, "requests", "succeeded", "error", "unpriced", "cost", EXACTLY];
    let tokens = ["input_tokens", "output_tokens"];
    let names = fixed.into_iter().chain(tokens).map(str::to_owned);
    headings(sheet, style, names.chain(factors.iter().map(|factor| factor.name().into_owned())))?;
    sheet.set_column_width(0, 32)?;
    for (answer::Row { name, figures, .. }, row) in usage.rows.iter().zip(1..) {
        sheet.write_string(row, 0, cut(name.as_deref().unwrap_or("none")))?;
        figures_row(sheet, style, row, figures, &factors)?;
    }
    let last = u32::try_from(usage.rows.len()).unwrap_or(MOST_ROWS).saturating_add(1);
    sheet.write_string_with_format(last, 0, "Total", &style.heading)?;
    figures_row(sheet, style, last, &usage.totals, &factors)
}

fn figures_row(
    sheet: &mut Worksheet,
    style: &Style,
    row: u32,
    figures: &Figures,
    factors: &BTreeSet<&Factor>,
) -> Result<(), XlsxError> {
    use meter::receipt::Status::{Error, Succeeded};
    let of = |status| figures.statuses.get(&status).copied().unwrap_or(0);
    let counts = [(1, figures.requests), (2, of(Succeeded)), (3, of(Error)), (4, figures.unpriced)];
    let tokens = [(7, figures.input_tokens), (8, figures.output_tokens)];
    for (column, number) in counts.into_iter().chain(tokens) {
        count(sheet, style, (row, column), Count::whole(number))?;
    }
    amount(sheet, style, (row, 5), figures.cost)?;
    for (factor, column) in factors.iter().zip(9..) {
        if let Some(used) = figures.factors.get(factor) {
            count(sheet, style, (row, column), *used)?;
        }
    }
    Ok(())
}

/// The sheet of requests, or of hours.
struct Columns<'a> {
    factors: Vec<Factor>,
    query: &'a Query,
    style: &'a Style,
}

impl Columns<'_> {
    /// Adds a sheet and says which it is.
    fn begin(&self, book: &mut Workbook, number: u32) -> Result<usize, XlsxError> {
        let of = match self.query.form {
            ExportForm::Requests => "Requests",
            ExportForm::Hourly => "Hours",
        };
        let name = if number == 1 { of.to_owned() } else { format!("{of} {number}") };
        let sheet = book.add_worksheet_with_constant_memory()?.set_name(name)?;
        let zone = self.query.zone.name();
        let name = |name: String| match &*name {
            "started_at" | "ended_at" | "hour" => format!("{name} ({zone})"),
            _ => name,
        };
        let exact = ["cost exactly".to_owned()];
        let converted = self.query.currency.iter().flat_map(|_| CONVERTED).map(str::to_owned);
        let names: Vec<String> = match self.query.form {
            ExportForm::Requests => header(&self.factors).collect(),
            ExportForm::Hourly => hourly::header(&self.factors).collect(),
        };
        let names = names.into_iter().map(name);
        headings(sheet, self.style, names.chain(exact).chain(converted))?;
        Ok(book.worksheets().len() - 1)
    }

    fn write(&self, sheet: &mut Worksheet, row: u32, of: Row<'_>) -> Result<(), XlsxError> {
        match of {
            Row::Hour(hour) => {
                let cells = hourly::cells(hour, &self.factors);
                self.cells(sheet, row, cells, hour.cost).map(drop)
            }
            Row::Request(receipt) => self.request(sheet, row, receipt),
        }
    }

    fn request(&self, sheet: &mut Worksheet, row: u32, receipt: &Receipt) -> Result<(), XlsxError> {
        let cost = crate::standing::Standing::of(receipt).cost;
        let column = self.cells(sheet, row, cells(receipt, &self.factors), cost)?;
        if let Some(conversion) = self.query.conversion() {
            sheet.write_string(row, column, conversion.to.to_string())?;
            if let Some(converted) = conversion.receipt(receipt) {
                let number = converted.cost.to_string().parse::<f64>().unwrap_or_default();
                sheet.write_number_with_format(row, column + 1, number, &self.style.money)?;
                sheet.write_string(row, column + 2, converted.rate)?;
                sheet.write_string(row, column + 3, converted.on.to_string())?;
            }
        }
        Ok(())
    }

    /// Writes a row's cells and, where a number does not hold it, the cost as a text behind
    /// them; says which column comes next.
    fn cells<'v>(
        &self,
        sheet: &mut Worksheet,
        row: u32,
        values: impl Iterator<Item = Value<'v>>,
        cost: Option<Money>,
    ) -> Result<u16, XlsxError> {
        let mut column = 0;
        for value in values {
            match value {
                // The text beside it has a column of its own here.
                Value::Money(amount) => {
                    let number = amount.to_string().parse::<f64>().unwrap_or_default();
                    sheet.write_number_with_format(row, column, number, &self.style.money)?;
                }
                other => cell(sheet, self.style, self.query.zone, (row, column), other)?,
            }
            column += 1;
        }
        let cost = cost.map(|cost| cost.to_string());
        let inexact = cost.filter(|text| text.parse().is_ok_and(|number| !is_exact(text, number)));
        if let Some(text) = inexact {
            sheet.write_string(row, column, text)?;
        }
        Ok(column + 1)
    }
}

fn cell(
    sheet: &mut Worksheet,
    style: &Style,
    zone: Tz,
    at: (u32, u16),
    value: Value<'_>,
) -> Result<(), XlsxError> {
    match value {
        Value::Absent => {}
        Value::Outside(text) => drop(sheet.write_string(at.0, at.1, cut(&text))?),
        Value::Own(text) => drop(sheet.write_string(at.0, at.1, cut(&text))?),
        Value::Whole(number) => count(sheet, style, at, Count::whole(number))?,
        Value::Count(number) => count(sheet, style, at, number)?,
        Value::Money(money) => amount(sheet, style, at, Some(money))?,
        Value::Time(time) => {
            let local = time.utc().with_timezone(&zone).naive_local();
            sheet.write_datetime_with_format(at.0, at.1, local, &style.time)?;
        }
    }
    Ok(())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
