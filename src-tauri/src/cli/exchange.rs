//! `tollgate exchange`: dated exchange rates, for reports in another currency.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use chrono::NaiveDate;
use clap::{Args, Subcommand};
use meter::Currency;
use meter::exchange::{ExchangeRate, Quote, RateSource, read_ecb};

use super::screen::{FAINT, Screen};
use super::table::{self, Align, Cell, Column};
use crate::exchange;

/// Keeps dated exchange rates, for `--currency` of usage, requests and export.
///
/// Receipts stay in the currency they were charged in. A report converts each day's costs at
/// the last rate of that day or before it; days before the first rate stay unconverted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate exchange set 2026-11-01 USD EUR 0.92      one dollar was 0.92 euros from that day on
  tollgate exchange import eurofxref-hist.csv        the European Central Bank's table
  tollgate usage --by model --last 30d --currency EUR

The table is at https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip; Tollgate fetches nothing.")]
pub(crate) struct ExchangeArgs {
    #[command(subcommand)]
    command: ExchangeCommand,
}

#[derive(Debug, Subcommand)]
enum ExchangeCommand {
    /// Enters a rate: from this day on, one FROM is worth RATE of TO
    Set {
        /// The day, such as `2026-11-01`
        day: String,
        /// The currency, such as `USD`
        from: String,
        /// The other one, such as `EUR`
        to: String,
        /// Such as `0.92`
        rate: String,
    },
    /// Removes the rate of a day
    Remove {
        /// The day, such as `2026-11-01`
        day: String,
        /// The currency, such as `USD`
        from: String,
        /// The other one, such as `EUR`
        to: String,
    },
    /// Imports the European Central Bank's table; `-` is standard input
    Import {
        /// `eurofxref-hist.csv` or the daily `eurofxref.csv`
        file: PathBuf,
        /// Only these currencies; may repeat
        #[arg(long, value_name = "CODE")]
        currency: Vec<String>,
        /// Only days from this one on
        #[arg(long, value_name = "DAY", default_value = "2022-01-01")]
        since: String,
    },
    /// Lists the rates, oldest first
    List {
        /// Only with this currency
        #[arg(long, value_name = "CODE")]
        currency: Option<String>,
        /// Print one rate a line, as JSON
        #[arg(long)]
        json: bool,
    },
}

const COLUMNS: &[Column] = &[
    Column::new("day", Align::Left, 0),
    Column::new("from", Align::Left, 0),
    Column::new("to", Align::Left, 0),
    Column::new("rate", Align::Point, 0),
    Column::new("source", Align::Left, 1),
];

impl ExchangeArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            ExchangeCommand::Set { day, from, to, rate } => set(day, from, to, rate),
            ExchangeCommand::Remove { day, from, to } => remove(day, from, to),
            ExchangeCommand::Import { file, currency, since } => import(file, currency, since),
            ExchangeCommand::List { currency, json: false } => list(currency.as_deref(), print),
            ExchangeCommand::List { currency, json: true } => list(currency.as_deref(), print_json),
        }
    }
}

fn set(on: &str, from: &str, to: &str, rate: &str) -> anyhow::Result<()> {
    let rate: ExchangeRate = rate.parse().map_err(|wrong| anyhow!("`{rate}`: {wrong}"))?;
    let (on, from, to) = (day(on)?, code(from)?, code(to)?);
    if from == to {
        bail!("`{from}` is worth itself\nhint: name two currencies");
    }
    let quote = Quote { on, from, to, rate, source: RateSource::Entered };
    let said = format!("From {on} on: {quote}");
    exchange::change(&super::home()?, |rates| {
        rates.put(quote);
        Ok(())
    })?;
    super::remark(&said);
    Ok(())
}

fn remove(on: &str, from: &str, to: &str) -> anyhow::Result<()> {
    let (on, from, to) = (day(on)?, code(from)?, code(to)?);
    exchange::change(&super::home()?, |rates| match rates.remove(on, from, to) {
        true => Ok(()),
        false => bail!(
            "there is no rate from {from} to {to} of {on}\nhint: `tollgate exchange list` shows what there is"
        ),
    })
}

fn import(file: &PathBuf, only: &[String], since: &str) -> anyhow::Result<()> {
    let only: Vec<Currency> = only.iter().map(|text| code(text)).collect::<Result<_, _>>()?;
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.with_context(|| format!("could not read `{}`", file.display()))?;
    let quotes = read_ecb(&text, day(since)?).map_err(|wrong| {
        anyhow!(
            "`{}`, {wrong}\nhint: take `eurofxref-hist.csv` out of the archive and name it",
            file.display()
        )
    })?;
    let wanted = quotes.into_iter().filter(|quote| only.is_empty() || only.contains(&quote.to));
    let quotes: Vec<Quote> = wanted.collect();
    let (many, last) = (quotes.len(), quotes.iter().map(|quote| quote.on).max());
    exchange::change(&super::home()?, |rates| {
        quotes.into_iter().for_each(|quote| rates.put(quote));
        Ok(())
    })?;
    let last = last.map_or_else(String::new, |last| format!(", the last of {last}"));
    super::remark(&format!("{} rates imported{last}", super::figure::grouped(many as u64)));
    Ok(())
}

fn list(
    currency: Option<&str>,
    print: impl Fn(&mut Screen, &[&Quote]) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let only = currency.map(code).transpose()?;
    let rates = exchange::read(&super::home()?)?;
    let wanted = |quote: &&Quote| only.is_none_or(|only| quote.from == only || quote.to == only);
    let mut quotes: Vec<&Quote> = rates.quotes().filter(wanted).collect();
    quotes.sort_by_key(|quote| quote.on);
    let mut screen = Screen::take();
    print(&mut screen, &quotes)?;
    Ok(std::io::Write::flush(&mut screen)?)
}

fn print(screen: &mut Screen, quotes: &[&Quote]) -> std::io::Result<()> {
    if quotes.is_empty() {
        super::remark("There are no exchange rates.");
        return Ok(());
    }
    let row = |quote: &&Quote| {
        vec![
            Cell::new(quote.on.to_string()),
            Cell::new(quote.from.as_str()),
            Cell::new(quote.to.as_str()),
            Cell::new(quote.rate.to_string()),
            Cell::new(quote.source.as_str()).style(FAINT),
        ]
    };
    let rows: Vec<Vec<Cell>> = quotes.iter().map(row).collect();
    table::print(screen, COLUMNS, &rows)
}

fn print_json(screen: &mut Screen, quotes: &[&Quote]) -> std::io::Result<()> {
    quotes.iter().try_for_each(|quote| screen.json(quote))
}

fn day(text: &str) -> anyhow::Result<NaiveDate> {
    text.parse().map_err(|_| anyhow!("`{text}` is not a day such as `2026-11-01`"))
}

fn code(text: &str) -> anyhow::Result<Currency> {
    text.to_ascii_uppercase().parse().map_err(|wrong| anyhow!("`{text}`: {wrong}"))
}
