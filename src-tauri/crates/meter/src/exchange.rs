//! Exchange rates, each of a day: what turns an amount of one currency into another one.
//!
//! Reports only: receipts stay in the currency they were charged in. On each day the last
//! rate of that day or before it holds; before the first one nothing is known. Exact
//! fractions, rounded half to even once, at an atto.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::money::{Currency, Money};
use crate::receipt::{UnknownWord, words};
use crate::time::Timestamp;

words! {
    /// Who said so.
    RateSource {
        /// The user.
        Entered = "entered",
        /// The reference rates of the European Central Bank.
        Ecb = "ecb",
    }
}

/// The currency that the central bank's rates are of, and by way of which others are found.
const BETWEEN: Currency = Currency::EUR;
/// Decimals of a rate, and digits before them.
const DIGITS: usize = 9;
/// The first line of the file.
const HEADER: &str = "date,from,to,rate,source";

/// What one unit of `from` was worth on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The day.
    pub on: NaiveDate,
    /// One unit of this …
    pub from: Currency,
    /// … is worth so many of this.
    pub to: Currency,
    /// How many.
    pub rate: ExchangeRate,
    /// Who said so.
    pub source: RateSource,
}

impl fmt::Display for Quote {
    /// `1 EUR = 1.0812 USD`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 {} = {} {}", self.from, self.rate, self.to)
    }
}

/// A positive decimal number with at most nine digits on either side of the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeRate(Money);

/// The text is no exchange rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a positive number such as `0.92`, with up to nine decimals")]
pub struct BadExchangeRate;

impl FromStr for ExchangeRate {
    type Err = BadExchangeRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let fits =
            |part: &str| part.len() <= DIGITS && part.bytes().all(|letter| letter.is_ascii_digit());
        let rate: Money = text.parse().map_err(|_| BadExchangeRate)?;
        (fits(whole) && fits(decimals) && rate > Money::ZERO)
            .then_some(Self(rate))
            .ok_or(BadExchangeRate)
    }
}

impl fmt::Display for ExchangeRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ExchangeRate {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExchangeRate {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

/// All rates that are known here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeRates {
    pairs: BTreeMap<(Currency, Currency), BTreeMap<NaiveDate, Quote>>,
}

/// How amounts of one currency become another one on some day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Of which day the rate is, the older one where it takes two.
    pub on: NaiveDate,
    /// `1 EUR = 1.0812 USD`, as it was stated; two, where there is none between the two
    /// currencies themselves. Empty between a currency and itself.
    pub says: Box<str>,
    over: i128,
    under: i128,
}

/// Why a file of rates cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ExchangeError {
    /// Counted from one.
    pub line: usize,
    /// What is wrong there.
    pub reason: Box<str>,
}

/// The UTC day of an instant, by which rates are looked up.
pub fn day_of(at: Timestamp) -> NaiveDate {
    at.utc().date_naive()
}

impl ExchangeRates {
    /// Adds a rate, in place of another of that day and pair.
    pub fn put(&mut self, quote: Quote) {
        self.pairs.entry((quote.from, quote.to)).or_default().insert(quote.on, quote);
    }

    /// Takes a rate out; says whether there was one.
    pub fn remove(&mut self, on: NaiveDate, from: Currency, to: Currency) -> bool {
        self.pairs.get_mut(&(from, to)).is_some_and(|days| days.remove(&on).is_some())
    }

    /// All rates, by pair and then by day.
    pub fn quotes(&self) -> impl Iterator<Item = &Quote> {
        self.pairs.values().flat_map(BTreeMap::values)
    }

    /// Every currency that some rate is of, in the order of their letters.
    pub fn currencies(&self) -> Vec<Currency> {
        let both = self.pairs.keys().flat_map(|(from, to)| [*from, *to]);
        both.collect::<BTreeSet<Currency>>().into_iter().collect()
    }

    /// How `from` becomes `to` on a day: by the newest rate between the two that is not
    /// younger, stated either way round, else by way of the euro. Nothing where none is known.
    pub fn find(&self, from: Currency, to: Currency, on: NaiveDate) -> Option<Exchange> {
        if from == to {
            return Some(Exchange { on, says: "".into(), over: 1, under: 1 });
        }
        self.between(from, to, on).or_else(|| {
            let (there, back) = (self.between(from, BETWEEN, on)?, self.between(BETWEEN, to, on)?);
            let exchange = Exchange {
                on: there.on.min(back.on),
                says: format!("{}, {}", there.says, back.says).into(),
                over: there.over.checked_mul(back.over)?,
                under: there.under.checked_mul(back.under)?,
            };
            Some(exchange.reduced())
        })
    }

    fn between(&self, from: Currency, to: Currency, on: NaiveDate) -> Option<Exchange> {
        let newest = |pair| self.pairs.get(&pair)?.range(..=on).next_back().map(|(_, q)| q);
        let one = Money::ONE.attos();
        let (straight, turned) = (newest((from, to)), newest((to, from)));
        let is_turned = match (straight, turned) {
            (Some(straight), Some(turned)) => turned.on > straight.on,
            (straight, _) => straight.is_none(),
        };
        let quote = if is_turned { turned? } else { straight? };
        let rate = quote.rate.0.attos();
        let (over, under) = if is_turned { (one, rate) } else { (rate, one) };
        Some(Exchange { on: quote.on, says: quote.to_string().into(), over, under }.reduced())
    }

    /// Reads the file that [`ExchangeRates::write`] wrote, or that somebody wrote by hand.
    ///
    /// # Errors
    /// Says in which line what is wrong.
    pub fn read(text: &str) -> Result<Self, ExchangeError> {
        let mut rates = Self::default();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') || line == HEADER {
                continue;
            }
            let quote = quote(line);
            rates.put(quote.map_err(|reason| ExchangeError { line: at + 1, reason })?);
        }
        Ok(rates)
    }

    /// All rates as a file.
    pub fn write(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for Quote { on, from, to, rate, source } in self.quotes() {
            writeln!(text, "{on},{from},{to},{rate},{source}").expect("strings take all");
        }
        text
    }
}

fn quote(line: &str) -> Result<Quote, Box<str>> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let (on, from, to, rate, source) = match cells[..] {
        [on, from, to, rate] => (on, from, to, rate, "entered"),
        [on, from, to, rate, source] => (on, from, to, rate, source),
        _ => return Err(format!("not `{HEADER}`").into()),
    };
    let said =
        |wrong: &dyn fmt::Display, text: &str| -> Box<str> { format!("`{text}`: {wrong}").into() };
    Ok(Quote {
        on: on.parse().map_err(|_| said(&"not a day such as `2026-11-01`", on))?,
        from: from.parse().map_err(|wrong| said(&wrong, from))?,
        to: to.parse().map_err(|wrong| said(&wrong, to))?,
        rate: rate.parse().map_err(|wrong| said(&wrong, rate))?,
        source: source.parse().map_err(|_| said(&"not `entered` or `ecb`", source))?,
    })
}

/// Reads the table of the European Central Bank (`eurofxref-hist.csv` or the daily
/// `eurofxref.csv`): a euro in other currencies, one day a line, from `since` on.
///
/// # Errors
/// Says in which line what is wrong.
pub fn read_ecb(text: &str, since: NaiveDate) -> Result<Vec<Quote>, ExchangeError> {
    let wrong = |line: usize, reason: String| ExchangeError { line, reason: reason.into() };
    let mut lines = text.lines().enumerate();
    let cells = |line: &'_ str| -> Vec<String> {
        line.split(',').map(|cell| cell.trim().to_owned()).collect()
    };
    let header = lines.next().map(|(_, line)| cells(line.trim_start_matches('\u{feff}')));
    let header = header.filter(|header| header[0] == "Date").ok_or_else(|| {
        wrong(1, "not the central bank's table, which begins `Date,USD,JPY,…`".to_owned())
    })?;
    let mut quotes = Vec::new();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let cells = cells(line);
        let day = NaiveDate::parse_from_str(&cells[0], "%Y-%m-%d")
            .or_else(|_| NaiveDate::parse_from_str(&cells[0], "%d %B %Y"));
        let on = day.map_err(|_| wrong(at + 1, format!("`{}` is not a day", cells[0])))?;
        if on < since {
            continue;
        }
        if cells.len() != header.len() {
            return Err(wrong(at + 1, "not as many cells as the first line has".to_owned()));
        }
        let named = header.iter().zip(&cells).skip(1);
        for (name, cell) in named.filter(|(_, cell)| !cell.is_empty() && *cell != "N/A") {
            let to = name.parse().map_err(|error| wrong(1, format!("`{name}`: {error}")))?;
            let rate = cell.parse();
            let rate = rate.map_err(|error| wrong(at + 1, format!("`{cell}`: {error}")))?;
            quotes.push(Quote { on, from: BETWEEN, to, rate, source: RateSource::Ecb });
        }
    }
    Ok(quotes)
}

impl Exchange {
    /// The amount in the other currency, or nothing when it does not fit.
    pub fn convert(&self, amount: Money) -> Option<Money> {
        // Whole multiples first, so that what is multiplied stays small.
        let (whole, rest) = (amount.attos() / self.under, amount.attos() % self.under);
        let (part, left) = {
            let over = rest.checked_mul(self.over)?;
            (over / self.under, over % self.under)
        };
        let sum = whole.checked_mul(self.over)?.checked_add(part)?;
        let up = match (left.unsigned_abs() * 2).cmp(&self.under.unsigned_abs()) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => (sum % 2).abs(),
            std::cmp::Ordering::Greater => 1,
        };
        sum.checked_add(if amount < Money::ZERO { -up } else { up }).map(Money::from_attos)
    }

    fn reduced(self) -> Self {
        let shared = shared(self.over, self.under);
        Self { over: self.over / shared, under: self.under / shared, ..self }
    }
}

fn shared(a: i128, b: i128) -> i128 {
    if b == 0 { a.max(1) } else { shared(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USD: Currency = Currency::USD;
    const EUR: Currency = Currency::EUR;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn rates(text: &str) -> ExchangeRates {
        ExchangeRates::read(text).unwrap()
    }

    fn converted(rates: &ExchangeRates, from: &str, to: &str, on: &str, amount: &str) -> String {
        let found = rates.find(from.parse().unwrap(), to.parse().unwrap(), day(on));
        let Some(found) = found else { return "unknown".to_owned() };
        let amount = found.convert(amount.parse().unwrap()).unwrap();
        format!("{amount} of {} by {}", found.on, found.says)
    }

    #[test]
    fn the_last_rate_on_or_before_the_day_holds_and_nothing_holds_before_the_first() {
        let rates =
            rates("date,from,to,rate,source\n2026-11-01,USD,EUR,0.92\n2026-11-10,USD,EUR,0.9\n");
        let of = |on| converted(&rates, "USD", "EUR", on, "10");
        assert_eq!(of("2026-10-31"), "unknown");
        assert_eq!(of("2026-11-01"), "9.2 of 2026-11-01 by 1 USD = 0.92 EUR");
        assert_eq!(of("2026-11-09"), "9.2 of 2026-11-01 by 1 USD = 0.92 EUR");
        assert_eq!(of("2026-11-10"), "9 of 2026-11-10 by 1 USD = 0.9 EUR");
        assert_eq!(of("2027-11-10"), "9 of 2026-11-10 by 1 USD = 0.9 EUR");
        // The other way round, exactly: 9 / 0.9.
        let back = converted(&rates, "EUR", "USD", "2026-11-10", "9");
        assert_eq!(back, "10 of 2026-11-10 by 1 USD = 0.9 EUR");
        assert_eq!(converted(&rates, "USD", "GBP", "2026-11-10", "9"), "unknown");
        assert_eq!(converted(&rates, "GBP", "GBP", "2020-01-01", "9"), "9 of 2020-01-01 by ");
    }

    #[test]
    fn the_central_bank_s_table_is_read_with_its_holes() {
        let table = "Date,USD,CNY,RUB,\n2026-11-20,1.25,8,N/A,\n2026-11-19,1.2,7.9,N/A,\n2019-01-01,9,9,9,\n";
        let mut rates = ExchangeRates::default();
        let quotes = read_ecb(table, day("2020-01-01")).unwrap();
        assert_eq!(quotes.len(), 4);
        quotes.into_iter().for_each(|quote| rates.put(quote));
        // 1 USD = 1 / 1.25 EUR = 0.8 EUR
        assert_eq!(
            converted(&rates, "USD", "EUR", "2026-11-22", "1"),
            "0.8 of 2026-11-20 by 1 EUR = 1.25 USD"
        );
        // 1 USD = 0.8 EUR = 6.4 CNY
        assert_eq!(
            converted(&rates, "USD", "CNY", "2026-11-20", "10"),
            "64 of 2026-11-20 by 1 EUR = 1.25 USD, 1 EUR = 8 CNY"
        );
        assert_eq!(converted(&rates, "USD", "RUB", "2026-11-20", "10"), "unknown");
        let daily = "Date, USD, CNY, \n20 November 2026, 1.25, 8, \n";
        assert_eq!(read_ecb(daily, day("2020-01-01")).unwrap().len(), 2);
        for (wrong, line) in [
            ("", 1),
            ("date;USD\n", 1),
            ("Date,USD\n2026-13-01,1\n", 2),
            ("Date,USD\n2026-11-20,x\n", 2),
            ("Date,USD\n2026-11-20\n", 2),
            ("Date,usd\n2026-11-20,1\n", 1),
        ] {
            assert_eq!(read_ecb(wrong, day("2020-01-01")).unwrap_err().line, line, "{wrong}");
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_a_wrong_line_is_named() {
        let rates = rates("2026-11-01,USD,EUR,0.92\n2026-11-01,EUR,CNY,7.7120,ecb\n");
        assert_eq!(ExchangeRates::read(&rates.write()).unwrap(), rates);
        for wrong in [
            "2026-11-01,USD,EUR",
            "2026-11-31,USD,EUR,1",
            "2026-11-01,USD,EUR,0",
            "2026-11-01,USD,EUR,-1",
            "2026-11-01,USD,EUR,1e3",
            "2026-11-01,usd,EUR,1",
            "2026-11-01,USD,EUR,1.0000000001",
            "2026-11-01,USD,EUR,1,mine",
        ] {
            let refused = ExchangeRates::read(&format!("{HEADER}\n{wrong}\n")).unwrap_err();
            assert_eq!(refused.line, 2, "{wrong}");
        }
    }

    #[test]
    fn a_third_is_rounded_once_at_an_atto() {
        let rates = rates("2026-11-01,EUR,USD,3");
        assert_eq!(
            converted(&rates, "USD", "EUR", "2026-11-01", "1"),
            "0.333333333333333333 of 2026-11-01 by 1 EUR = 3 USD"
        );
        let found = rates.find(USD, EUR, day("2026-11-01")).unwrap();
        // 2/3 of an atto up, 1/3 down, and the same below nothing.
        for (attos, want) in [(2, 1), (1, 0), (-2, -1), (-1, 0), (4, 1)] {
            assert_eq!(found.convert(Money::from_attos(attos)).unwrap().attos(), want, "{attos}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_amount(rate in 1..1_000_000_000u64, whole in -1_000_000_000_000i64..1_000_000_000_000) {
            let rate = format!("{}.{:09}", rate % 1000, rate);
            let rates = rates(&format!("2026-11-01,USD,EUR,{rate}"));
            let on = day("2026-11-01");
            let amount = Money::from_attos(i128::from(whole) * 1_000_000_000_000_000);
            let there = rates.find(USD, EUR, on).unwrap().convert(amount).unwrap();
            let back = rates.find(EUR, USD, on).unwrap().convert(there);
            // Amounts of 15 zeros times nine decimals are whole attos, so nothing was rounded.
            prop_assert_eq!(back, Some(amount));
        }
    }
}
