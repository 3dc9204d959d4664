//! The price book as used: models, their versions, and the rate of a line.

use std::collections::BTreeMap;

use super::amount::{Rate, Ratio};
use super::calendar::Window;
use crate::money::Money;
use crate::time::Timestamp;
use crate::usage::{Count, Factor, Unit, UsageLine};

/// All prices of one model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) multipliers: Vec<Multiplier>,
    /// There is nothing to pay, and that is known.
    pub(super) free: bool,
    pub(super) standard: Vec<Version>,
    pub(super) tiers: BTreeMap<Box<str>, Vec<Version>>,
}

/// The rates that hold for `[from, to)`.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// What names it on a receipt: model and start.
    pub(super) name: Box<str>,
    pub(super) rates: Rates,
    /// Largest threshold first.
    pub(super) above: Vec<Above>,
    pub(super) windows: Vec<Window<Rates>>,
    pub(super) at_least: BTreeMap<Factor, Count>,
}

/// Rates for the whole request once its prompt is long enough.
#[derive(Debug)]
pub(super) struct Above {
    /// The smallest prompt that counts, in tokens.
    pub(super) least: u64,
    /// As written, such as `>200000`.
    pub(super) text: Box<str>,
    pub(super) rates: Rates,
}

/// The rates of one table row, by factor and attributes.
#[derive(Debug)]
pub(super) struct Rates(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    factor: Factor,
    /// All must hold: `size=1024x1024`.
    attributes: Vec<(Box<str>, Box<str>)>,
    price: Price,
}

/// What one unit costs.
#[derive(Debug)]
pub(super) enum Price {
    Known(Rate),
    /// Sources contradict each other: the range, as text.
    Disputed(Box<str>),
    /// Nobody knows, although neighbouring rates are known.
    Unknown,
    /// Paid by another line of the same request.
    Within(Factor),
}

impl Rates {
    pub(super) fn read(text: &RatesText) -> Result<Self, Problem> {
        text.iter().map(|(key, rate)| Entry::read(key, rate)).collect::<Result<_, _>>().map(Self)
    }

    /// The rate for a line: the entry with the most attributes, all of which must hold.
    pub(super) fn get(&self, factor: &Factor, line: &UsageLine) -> Option<&Price> {
        let fits = |entry: &&Entry| {
            entry.factor == *factor && entry.attributes.iter().all(|a| line.attributes.contains(a))
        };
        let best = self.0.iter().filter(fits).max_by_key(|entry| entry.attributes.len())?;
        Some(&best.price)
    }

    pub(super) fn names(&self, factor: &Factor) -> bool {
        self.0.iter().any(|entry| entry.factor == *factor)
    }
}

impl Entry {
    /// Reads `images.generated[size=1024x1024,quality=hd]` and its rate.
    fn read(key: &str, value: &str) -> Result<Self, Problem> {
        let bad = || Problem::Factor(key.into());
        let (name, conditions) = match key.split_once('[') {
            Some((name, rest)) => (name, rest.strip_suffix(']').ok_or_else(bad)?),
            None => (key, ""),
        };
        let factor: Factor = name.parse().map_err(|_| bad())?;
        let attributes = conditions
            .split(',')
            .filter(|condition| !condition.is_empty())
            .map(|condition| condition.split_once('=').map(|(k, v)| (k.into(), v.into())))
            .collect::<Option<_>>()
            .ok_or_else(bad)?;
        let price = Price::read(value, factor.unit())?;
        Ok(Self { factor, attributes, price })
    }
}

impl Price {
    fn read(text: &str, unit: Unit) -> Result<Self, Problem> {
        let bad = || Problem::Rate(text.into());
        if text == "unknown" {
            return Ok(Self::Unknown);
        }
        if let Some(factor) = text.strip_prefix("within ") {
            return factor.parse().map(Self::Within).map_err(|_| bad());
        }
        if let Some((low, high)) = text.split_once("..") {
            let high = Rate::parse(high, unit).map_err(|_| bad())?;
            low.parse::<Money>().map_err(|_| bad())?;
            return Ok(Self::Disputed(format!("{low}..{}", high.text(Ratio::ONE)).into()));
        }
        Rate::parse(text, unit).map(Self::Known).map_err(|_| bad())
    }
}

/// Whether one of two rates of `key`, as written, is more than so many times the other.
pub(super) fn leap(key: &str, old: &str, new: &str, times: i128) -> bool {
    let name = key.split('[').next().unwrap_or_default();
    let Ok(factor) = name.parse::<Factor>() else { return false };
    let read = |text| Price::read(text, factor.unit());
    match (read(old), read(new)) {
        (Ok(Price::Known(old)), Ok(Price::Known(new))) => old.is_beyond(times, &new),
        // A range or nothing is no number that could leap.
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

/// A factor on token rates, and where it holds.
#[derive(Clone, Debug)]
pub(super) struct Multiplier {
    pub(super) name: Box<str>,
    pub(super) by: Ratio,
    pub(super) host: Vec<Box<str>>,
    pub(super) region: Vec<Box<str>>,
    pub(super) from: Timestamp,
}

impl Version {
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// Which version holds. They never overlap, so there is at most one.
pub(super) fn at(versions: &[Version], at: Timestamp) -> Option<&Version> {
    versions.iter().find(|version| version.holds(at))
}

/// Rates as written, by factor and attributes.
pub(super) type RatesText = BTreeMap<Box<str>, Box<str>>;

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The key of a rate names no usage factor.
    #[error("`{0}` is not a usage factor")]
    Factor(Box<str>),
    /// The text of a rate is none.
    #[error("`{0}` is not a rate such as `3`, `2.5/1K`, `0.36/h` or `1..2`")]
    Rate(Box<str>),
    /// Not a threshold.
    #[error("`{0}` is not a threshold such as `>200000` or `>=200000`")]
    Threshold(Box<str>),
    /// Not an instant.
    #[error("`{0}` is not an instant such as `2026-10-14` or `2026-05-15T19:00:00Z`")]
    Instant(Box<str>),
    /// Two versions hold at the same instant.
    #[error("two versions hold at `{0}`")]
    Overlap(Box<str>),
    /// A word that the file does not define.
    #[error("`{0}` is not defined in this file")]
    Undefined(Box<str>),
    /// Not a fraction.
    #[error("`{0}` is not a fraction such as `11/10`")]
    Ratio(Box<str>),
    /// A calendar window that has no meaning.
    #[error("`{0}` is not a time zone, weekday range or span of hours")]
    Calendar(Box<str>),
    /// An id that another record has already.
    #[error("the id `{0}` belongs to two records")]
    DoubleId(Box<str>),
}
