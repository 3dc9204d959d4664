//! Receipts as rows of a file: one row a request, constant memory, safe to open in a
//! spreadsheet. Knows columns and cells; the asking is in [`crate::question`].

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use meter::receipt::UnknownWord;
use meter::usage::{Count, Factor};
use meter::{Currency, Money, Receipt};
use serde::Serialize;

use crate::conversion::{Conversion, ConvertedCost};
use crate::standing::{Standing, tokens};

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated, RFC 4180, UTF-8, one header line, one column a factor.
    Csv,
    /// One receipt's own JSON a line.
    Jsonl,
}

impl ExportFormat {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Csv, Self::Jsonl];

    /// The word for it, also the file's extension.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Jsonl => "application/x-ndjson",
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

/// Writes receipts to `out`, one at a time.
#[derive(Debug)]
pub struct Rows<W: Write> {
    sink: Sink<W>,
    conversion: Option<Conversion>,
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
    pub fn begin(format: ExportFormat, conversion: Option<Conversion>, out: W) -> io::Result<Self> {
        let sink = match format {
            ExportFormat::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                let added = conversion.iter().flat_map(|_| CONVERTED).map(str::to_owned);
                csv.write_record(header().chain(added))?;
                Sink::Csv(Box::new(csv))
            }
            ExportFormat::Jsonl => Sink::Jsonl(out),
        };
        Ok(Self { sink, conversion })
    }

    /// Adds one receipt.
    ///
    /// # Errors
    /// When `out` does.
    pub fn write(&mut self, receipt: &Receipt) -> io::Result<()> {
        let converted = self.conversion.as_ref().map(|to| (to.to, to.receipt(receipt)));
        match &mut self.sink {
            Sink::Csv(csv) => {
                let added = converted.into_iter().flat_map(converted_cells);
                Ok(csv.write_record(cells(receipt).chain(added))?)
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

    /// Hands out everything that was written.
    ///
    /// # Errors
    /// When `out` does.
    pub fn finish(self) -> io::Result<W> {
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
const CONVERTED: [&str; 4] =
    ["converted_currency", "converted_cost", "exchange_rate", "exchange_rate_date"];

fn converted_cells((to, cost): (Currency, Option<ConvertedCost>)) -> [String; 4] {
    let (amount, rate, on) = match cost {
        Some(ConvertedCost { cost, rate, on, .. }) => (cost.to_string(), rate, on.to_string()),
        None => Default::default(),
    };
    [to.to_string(), amount, rate, on]
}

/// What a cell of one column says.
type Cell = fn(&Receipt) -> String;

/// The columns before the factors. What a receipt came to is what counts now; `valuation`
/// says whether that is the first valuation or which later one.
const COLUMNS: &[(&str, Cell)] = &[
    ("id", |r| r.id.to_string()),
    ("started_at", |r| r.started_at.to_string()),
    ("ended_at", |r| r.ended_at.to_string()),
    ("workspace", |r| text(&r.workspace)),
    ("pass", |r| optional(r.pass.as_deref())),
    ("key", |r| optional(r.key.as_deref())),
    ("client", |r| optional(r.client.as_deref())),
    ("tags", |r| if r.tags.is_empty() { String::new() } else { json(&r.tags) }),
    ("provider", |r| text(&r.provider)),
    ("upstream", |r| text(&r.upstream)),
    ("format", |r| shown(r.format)),
    ("kind", |r| r.kind.to_string()),
    ("technology", |r| shown(r.technology)),
    ("model_requested", |r| optional(r.model_requested.as_deref())),
    ("model", |r| optional(r.model.as_deref())),
    ("stream", |r| r.stream.to_string()),
    ("status", |r| Standing::of(r).status.to_string()),
    ("http_status", |r| shown(r.http_status)),
    ("response_id", |r| optional(r.response_id.as_deref())),
    ("trace_id", |r| optional(r.trace_id.as_deref())),
    ("region", |r| optional(r.region.as_deref())),
    ("assisted", |r| r.assisted.to_string()),
    ("client_left_early", |r| r.client_left_early.to_string()),
    ("error_type", |r| optional(r.error_type.as_deref())),
    ("error_message", |r| optional(r.error_message.as_deref())),
    ("finish_reason", |r| optional(r.finish_reason.as_deref())),
    ("ttft_ms", |r| shown(r.ttft_ms)),
    ("latency_ms", |r| r.latency_ms.to_string()),
    ("overhead_us", |r| shown(r.overhead_us)),
    ("request_bytes", |r| r.request_bytes.to_string()),
    ("response_bytes", |r| r.response_bytes.to_string()),
    ("upstream_request_id", |r| optional(r.upstream_request_id.as_deref())),
    ("service_tier", |r| optional(r.service_tier.as_deref())),
    ("capabilities", |r| words(&r.capabilities)),
    ("route", |r| optional(r.route.as_deref())),
    ("attempts", |r| if r.attempts.is_empty() { String::new() } else { json(&r.attempts) }),
    ("billing", |r| r.billing.to_string()),
    ("usage_raw", |r| r.usage_raw.as_ref().map_or_else(String::new, |u| text(u.as_str()))),
    ("usage_state", |r| Standing::of(r).usage_state.to_string()),
    ("anomalies", |r| words(&r.anomalies)),
    ("cost", |r| shown(Standing::of(r).cost)),
    ("currency", |r| r.currency.to_string()),
    ("cost_state", |r| Standing::of(r).cost_state.to_string()),
    ("subtotal", |r| shown(Standing::of(r).subtotal)),
    ("valuation", |r| text(Standing::of(r).valuation())),
    ("first_cost", |r| shown(r.cost)),
    ("reported_cost", |r| shown::<Money>(r.reported_cost.as_ref().map(|c| c.amount))),
    ("reported_currency", |r| shown(r.reported_cost.as_ref().map(|c| c.currency))),
    ("reported_source", |r| optional(r.reported_cost.as_ref().map(|c| &*c.source))),
    ("book_hash", |r| optional(Standing::of(r).book_hash)),
    (
        "settlements",
        |r| if r.settlements.is_empty() { String::new() } else { json(&r.settlements) },
    ),
    ("note", |r| optional(r.note.as_deref())),
    ("input_tokens", |r| tokens(r).input.to_string()),
    ("output_tokens", |r| tokens(r).output.to_string()),
];

/// The column of factors that have no column.
const OTHER_FACTORS: &str = "other_factors";

fn header() -> impl Iterator<Item = String> {
    let before = COLUMNS.iter().map(|(name, _)| (*name).to_owned());
    let factors = Factor::NAMED.iter().map(|factor| factor.name().into_owned());
    before.chain(factors).chain([OTHER_FACTORS.to_owned()])
}

fn cells(receipt: &Receipt) -> impl Iterator<Item = String> {
    let mut counts: BTreeMap<&Factor, Count> = BTreeMap::new();
    for line in Standing::of(receipt).lines {
        let count = counts.entry(&line.factor).or_default();
        *count = count.plus(line.count);
    }
    let before = COLUMNS.iter().map(|(_, cell)| cell(receipt));
    // An empty cell is a factor nobody reported; 0 is one that was reported as none.
    let factors: Vec<String> =
        Factor::NAMED.iter().map(|factor| shown(counts.remove(factor))).collect();
    let other = if counts.is_empty() { String::new() } else { json(&counts) };
    before.chain(factors).chain([other])
}

/// Text that came from outside. A spreadsheet takes what begins with one of these for a
/// formula; an apostrophe in front makes it text again (OWASP, "CSV Injection").
fn text(outside: &str) -> String {
    match outside.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{outside}"),
        false => outside.to_owned(),
    }
}

fn optional(outside: Option<&str>) -> String {
    outside.map_or_else(String::new, text)
}

fn shown<T: fmt::Display>(own: Option<T>) -> String {
    own.map_or_else(String::new, |own| own.to_string())
}

fn words<T: fmt::Display>(own: &[T]) -> String {
    own.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

/// Begins with a bracket, so it is no formula.
fn json<T: serde::Serialize>(own: &T) -> String {
    serde_json::to_string(own).expect("maps with text keys and plain lists are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter::receipt::{CostState, Line};
    use meter::usage::{Basis, Bound};
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
        let mut rows = Rows::begin(ExportFormat::Csv, None, Vec::new()).unwrap();
        receipts.iter().for_each(|r| rows.write(r).unwrap());
        let bytes = rows.finish().unwrap();
        let mut reader = csv::Reader::from_reader(&*bytes);
        let names = reader.headers().unwrap().clone();
        let row = reader.records().next().map(Result::unwrap).unwrap_or_default();
        names.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
    }

    #[test]
    fn every_field_of_a_receipt_has_a_column() {
        let header: Vec<String> = header().collect();
        let json = serde_json::to_value(receipt()).unwrap();
        for field in json.as_object().unwrap().keys().filter(|f| *f != "lines") {
            assert!(header.contains(field), "{field}");
        }
        assert_eq!(header.len(), COLUMNS.len() + Factor::NAMED.len() + 1);
    }

    #[test]
    fn text_cells_are_no_formulas_and_numbers_stay_numbers() {
        let row = csv(&[receipt()]);
        assert_eq!(row["model"], "'=HYPERLINK(\"http://evil\")");
        assert_eq!(row["error_message"], "a, \"b\"\nc");
        assert_eq!(row["tags"], r#"{"team":"@sum"}"#);
        assert_eq!(row["cost"], "-0.000205");
        for (text_cell, guarded) in [("-1", true), (" =1", true), ("\t=1", true), ("gpt-5", false)]
        {
            assert_eq!(text(text_cell).starts_with('\''), guarded, "{text_cell:?}");
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
        let mut rows = Rows::begin(ExportFormat::Jsonl, None, Vec::new()).unwrap();
        rows.write(&receipt()).unwrap();
        rows.write(&receipt()).unwrap();
        let text = String::from_utf8(rows.finish().unwrap()).unwrap();
        assert_eq!(text.lines().count(), 2);
        let line = text.lines().next().unwrap();
        assert_eq!(serde_json::from_str::<Receipt>(line).unwrap(), receipt());
    }
}
