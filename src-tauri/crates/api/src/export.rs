//! Receipts as lines of a file: one a request or one an hour and sort of call, constant memory,
//! safe to open in a spreadsheet. The asking is in [`crate::question`], workbooks in [`crate::workbook`].

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use meter::receipt::UnknownWord;
use meter::usage::Factor;
use meter::{Currency, Receipt};
use serde::{Deserialize, Serialize};

use crate::columns::{Value, cells, header};
use crate::conversion::{Conversion, ConvertedCost};
use crate::hourly::{self, HourRow};

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// Comma-separated, RFC 4180, UTF-8, one header line, one column a factor.
    Csv,
    /// One receipt's own JSON a line.
    #[default]
    Jsonl,
    /// An Excel workbook: typed cells, with a summary, models and days on sheets of their own.
    Xlsx,
}

impl ExportFormat {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Csv, Self::Jsonl, Self::Xlsx];

    /// The word for it, also the file's extension.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Xlsx => "xlsx",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Jsonl => "application/x-ndjson",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ExportFormat {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|f| f.as_str() == text).ok_or(UnknownWord)
    }
}

/// What an export has a row for each of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum ExportForm {
    /// Requests.
    #[default]
    Requests,
    /// Hours, and in each every model, provider, key, pass, workspace, client, kind and status
    /// that was called with; the sums are those of the requests.
    Hourly,
}

impl ExportForm {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Requests, Self::Hourly];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Hourly => "hourly",
        }
    }
}

impl FromStr for ExportForm {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|f| f.as_str() == text).ok_or(UnknownWord)
    }
}

/// Writes receipts to `out` as lines, one at a time.
#[derive(Debug)]
pub(crate) struct Rows<W: Write> {
    sink: Sink<W>,
    conversion: Option<Conversion>,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    Csv,
    Jsonl,
}

#[derive(Debug)]
enum Sink<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> Rows<W> {
    /// Begins the file; CSV gets its header line at once, so that no row is still a table.
    /// Costs are converted too, in columns of their own, if that is wanted.
    ///
    /// # Errors
    /// When `out` does.
    pub(crate) fn begin(
        lines: Lines,
        form: ExportForm,
        conversion: Option<Conversion>,
        out: W,
    ) -> io::Result<Self> {
        let sink = match lines {
            Lines::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                let added = conversion.iter().flat_map(|_| CONVERTED).map(str::to_owned);
                match form {
                    ExportForm::Requests => {
                        csv.write_record(header(Factor::NAMED).chain(added))?;
                    }
                    ExportForm::Hourly => csv.write_record(hourly::header(Factor::NAMED))?,
                }
                Sink::Csv(Box::new(csv))
            }
            Lines::Jsonl => Sink::Jsonl(out),
        };
        Ok(Self { sink, conversion })
    }

    /// Adds one receipt.
    ///
    /// # Errors
    /// When `out` does.
    pub(crate) fn write(&mut self, receipt: &Receipt) -> io::Result<()> {
        let converted = self.conversion.as_ref().map(|to| (to.to, to.receipt(receipt)));
        match &mut self.sink {
            Sink::Csv(csv) => {
                let added = converted.into_iter().flat_map(converted_cells);
                let cells = cells(receipt, Factor::NAMED).map(plain);
                Ok(csv.write_record(cells.chain(added))?)
            }
            Sink::Jsonl(out) => {
                match converted {
                    None => serde_json::to_writer(&mut *out, receipt)?,
                    Some((_, converted)) => {
                        serde_json::to_writer(&mut *out, &Both { receipt, converted })?;
                    }
                }
                out.write_all(b"\n")
            }
        }
    }

    /// Adds one hour's row.
    ///
    /// # Errors
    /// When `out` does.
    pub(crate) fn write_hour(&mut self, hour: &HourRow) -> io::Result<()> {
        match &mut self.sink {
            Sink::Csv(csv) => Ok(csv.write_record(hourly::cells(hour, Factor::NAMED).map(plain))?),
            Sink::Jsonl(out) => {
                serde_json::to_writer(&mut *out, hour)?;
                out.write_all(b"\n")
            }
        }
    }

    /// Hands out everything that was written.
    ///
    /// # Errors
    /// When `out` does.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self.sink {
            Sink::Csv(csv) => csv.into_inner().map_err(csv::IntoInnerError::into_error),
            Sink::Jsonl(mut out) => out.flush().map(|()| out),
        }
    }
}

/// A receipt's own JSON with one more member.
#[derive(Serialize)]
struct Both<'a> {
    #[serde(flatten)]
    receipt: &'a Receipt,
    converted: Option<ConvertedCost>,
}

/// The last columns, where costs are converted.
pub(crate) const CONVERTED: [&str; 4] =
    ["converted_currency", "converted_cost", "exchange_rate", "exchange_rate_date"];

fn converted_cells((to, cost): (Currency, Option<ConvertedCost>)) -> [String; 4] {
    let (amount, rate, on) = match cost {
        Some(ConvertedCost { cost, rate, on, .. }) => (cost.to_string(), rate, on.to_string()),
        None => Default::default(),
    };
    [to.to_string(), amount, rate, on]
}

fn plain(value: Value<'_>) -> String {
    match value {
        Value::Absent => String::new(),
        Value::Outside(outside) => text(&outside),
        Value::Own(own) => own,
        Value::Whole(count) => count.to_string(),
        Value::Count(count) => count.to_string(),
        Value::Money(amount) => amount.to_string(),
        Value::Time(at) => at.to_string(),
    }
}

/// Text that came from outside. A spreadsheet takes what begins with one of these for a
/// formula; an apostrophe in front makes it text again (OWASP, "CSV Injection").
///
/// One more is put before those that are there, so that taking one away gives the text back. A
/// zero character ends the text for some readers and the reading for others.
fn text(outside: &str) -> String {
    let outside = &*outside.replace('\0', "\u{fffd}");
    match outside
        .trim_start_matches([' ', '\''])
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
    {
        true => format!("'{outside}"),
        false => outside.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use meter::receipt::{CostState, Line};
    use meter::usage::{Basis, Bound, Count};
    use meter::{ReceiptId, Timestamp};

    fn line(factor: Factor, count: Count) -> Line {
        Line {
            unit: factor.unit(),
            factor,
            count,
            rate: None,
            amount: None,
            tier: None,
            price_version: None,
            basis: Basis::Reported,
            bound: Bound::Exact,
            model: None,
            attributes: [].into(),
        }
    }

    fn receipt() -> Receipt {
        let at = Timestamp::from_millis(1_763_683_200_123);
        let mut receipt = Receipt::begun(ReceiptId::new(at, 1, 7), at, "openai", "http://u");
        receipt.model = Some("=HYPERLINK(\"http://evil\")".into());
        receipt.error_message = Some("a, \"b\"\nc".into());
        receipt.tags.insert("team".into(), "@sum".into());
        receipt.lines = vec![
            line(Factor::InputText, Count::whole(10)),
            line(Factor::InputText, Count::whole(5)),
            line(Factor::OutputText, Count::ZERO),
            line(Factor::AudioInputSeconds, Count::parse("12.4").unwrap()),
            line(Factor::ToolOther("x_search".into()), Count::whole(2)),
        ];
        receipt.cost = Some("-0.000205".parse().unwrap());
        receipt.cost_state = CostState::ProviderReported;
        receipt
    }

    fn csv(receipts: &[Receipt]) -> BTreeMap<String, String> {
        let mut rows = Rows::begin(Lines::Csv, ExportForm::Requests, None, Vec::new()).unwrap();
        receipts.iter().for_each(|r| rows.write(r).unwrap());
        let bytes = rows.finish().unwrap();
        let mut reader = csv::Reader::from_reader(&*bytes);
        let names = reader.headers().unwrap().clone();
        let row = reader.records().next().map(Result::unwrap).unwrap_or_default();
        names.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
    }

    #[test]
    fn every_field_of_a_receipt_has_a_column() {
        let header: Vec<String> = header(Factor::NAMED).collect();
        let json = serde_json::to_value(receipt()).unwrap();
        for field in json.as_object().unwrap().keys().filter(|f| *f != "lines") {
            assert!(header.contains(field), "{field}");
        }
    }

    #[test]
    fn text_cells_are_no_formulas_and_numbers_stay_numbers() {
        let row = csv(&[receipt()]);
        assert_eq!(row["model"], "'=HYPERLINK(\"http://evil\")");
        assert_eq!(row["error_message"], "a, \"b\"\nc");
        assert_eq!(row["tags"], r#"{"team":"@sum"}"#);
        assert_eq!(row["cost"], "-0.000205");
        let guarded = ["-1", " =1", "\t=1", "'=1", "'' +1"];
        guarded.iter().for_each(|cell| assert_eq!(text(cell), format!("'{cell}")));
        for plain in ["gpt-5", "'s", "", "a\u{e9}"] {
            assert_eq!(text(plain), plain);
        }
    }

    #[test]
    fn factors_are_columns_and_absent_is_not_zero() {
        let row = csv(&[receipt()]);
        assert_eq!(row["input.text"], "15");
        assert_eq!(row["output.text"], "0");
        assert_eq!(row["output.reasoning"], "");
        assert_eq!(row["audio.input_seconds"], "12.4");
        assert_eq!(row["other_factors"], r#"{"tool.other:x_search":2}"#);
        assert_eq!((&*row["input_tokens"], &*row["output_tokens"]), ("15", "0"));
    }

    #[test]
    fn a_line_of_jsonl_is_the_receipt() {
        let mut rows = Rows::begin(Lines::Jsonl, ExportForm::Requests, None, Vec::new()).unwrap();
        rows.write(&receipt()).unwrap();
        rows.write(&receipt()).unwrap();
        let text = String::from_utf8(rows.finish().unwrap()).unwrap();
        assert_eq!(text.lines().count(), 2);
        let line = text.lines().next().unwrap();
        assert_eq!(serde_json::from_str::<Receipt>(line).unwrap(), receipt());
    }
}
