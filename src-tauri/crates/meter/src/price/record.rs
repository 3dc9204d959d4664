//! The price book's records: what a `prices/*.json` file may say, checked while it is read.
//!
//! `prices/README.md` describes the files for people.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::amount::{Rate, Ratio};
use super::calendar::{Holidays, Window, WindowText};
use crate::time::Timestamp;
use crate::usage::{Factor, Unit, UsageLine};

/// Why a price file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Not the JSON that `prices/README.md` describes.
    #[error("price file `{file}` cannot be read: {reason}")]
    Unreadable {
        /// Which file, by provider.
        file: Box<str>,
        /// The parser's words, with line and column.
        reason: Box<str>,
    },
    /// A record contradicts itself or says something that has no meaning.
    #[error("price file `{file}`, model `{model}`: {problem}")]
    BadRecord {
        /// Which file, by provider.
        file: Box<str>,
        /// Which model.
        model: Box<str>,
        /// What is wrong.
        problem: Problem,
    },
}

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

/// One file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) provider: Box<str>,
    #[serde(default)]
    pub(super) currency: crate::money::Currency,
    /// Hosts of a provider that has no provider file; exact, or `.suffix`.
    #[serde(default)]
    pub(super) hosts: Vec<Box<str>>,
    /// Hosts of the provider where other prices hold, so that these do not.
    #[serde(default)]
    pub(super) other_prices_at: Vec<Box<str>>,
    /// The company's own models: asked when nobody says whose model is meant.
    #[serde(default)]
    pub(super) maker: bool,
    /// The requested id is a name the user chose: only the served model counts.
    #[serde(default)]
    pub(super) user_named: bool,
    /// The requested id is what is billed; the served one only helps where that is unknown.
    #[serde(default)]
    pub(super) request_decides: bool,
    /// Books asked after this one.
    #[serde(default)]
    pub(super) also: Vec<Also>,
    #[serde(default)]
    pub(super) names: Names,
    /// Words for tiers, each with the tier of the records.
    #[serde(default)]
    pub(super) tier_names: BTreeMap<Box<str>, Box<str>>,
    /// Factors that are billed like another where a record has no rate of their own.
    #[serde(default)]
    pub(super) billed_as: BTreeMap<Factor, Factor>,
    #[serde(default)]
    pub(super) multipliers: BTreeMap<Box<str>, MultiplierText>,
    #[serde(default)]
    pub(super) holidays: BTreeMap<Box<str>, Holidays>,
    #[serde(default)]
    #[expect(dead_code, reason = "for people and the import program")]
    evidence: Vec<Box<str>>,
    #[serde(default)]
    #[expect(dead_code, reason = "for people and the import program")]
    notes: Vec<Box<str>>,
    pub(super) models: Vec<ModelText>,
}

/// Another book that is asked after this one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Also {
    pub(super) book: Box<str>,
    /// Which of its tiers hold here; `standard` always does.
    #[serde(default)]
    pub(super) tiers: Vec<Box<str>>,
}

/// Documented decorations of model ids.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    /// What may stand before an id; `*` is any text without a slash.
    #[serde(default)]
    pub(super) prefixes: Vec<Box<str>>,
    /// What may stand behind an id.
    #[serde(default)]
    pub(super) suffixes: Vec<Box<str>>,
    /// What may stand between an id and a date behind it, besides nothing.
    #[serde(default)]
    pub(super) dates: Vec<Box<str>>,
    /// What starts a fine-tuned id, `<start><base>:<organisation>:…`, and its record's id.
    #[serde(default)]
    pub(super) fine_tunes: Option<Box<str>>,
}

/// A factor on all token rates of the models that list it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MultiplierText {
    by: Box<str>,
    #[serde(default)]
    host: Vec<Box<str>>,
    #[serde(default)]
    region: Vec<Box<str>>,
    from: Option<Box<str>>,
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

/// One model as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelText {
    pub(super) id: Box<str>,
    #[serde(default)]
    pub(super) aliases: Vec<Box<str>>,
    #[serde(default)]
    multiply: Vec<Box<str>>,
    #[serde(default)]
    free: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "for people and the import program")]
    confidence: Option<Box<str>>,
    #[serde(default)]
    #[expect(dead_code, reason = "for people and the import program")]
    sources: Option<Box<str>>,
    #[serde(default)]
    #[expect(dead_code, reason = "for people and the import program")]
    note: Option<Box<str>>,
    versions: Vec<VersionText>,
    #[serde(default)]
    tiers: BTreeMap<Box<str>, Vec<VersionText>>,
}

type RatesText = BTreeMap<Box<str>, Box<str>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionText {
    from: Option<Box<str>>,
    to: Option<Box<str>>,
    rates: RatesText,
    #[serde(default)]
    above: BTreeMap<Box<str>, RatesText>,
    #[serde(default)]
    windows: Vec<WindowText<RatesText>>,
    #[serde(default)]
    at_least: BTreeMap<Factor, crate::usage::Count>,
}

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
    to: Timestamp,
    /// What names it on a receipt: model and start.
    pub(super) name: Box<str>,
    pub(super) rates: Rates,
    /// Largest threshold first.
    pub(super) above: Vec<Above>,
    pub(super) windows: Vec<Window<Rates>>,
    pub(super) at_least: BTreeMap<Factor, crate::usage::Count>,
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
    /// Paid by another line of the same request.
    Within(Factor),
}

impl Rates {
    fn read(text: &RatesText) -> Result<Self, Problem> {
        let read = |(key, value): (&Box<str>, &Box<str>)| Entry::read(key, value);
        text.iter().map(read).collect::<Result<_, _>>().map(Self)
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
        if let Some(factor) = text.strip_prefix("within ") {
            return factor.parse().map(Self::Within).map_err(|_| bad());
        }
        if let Some((low, high)) = text.split_once("..") {
            let high = Rate::parse(high, unit).map_err(|_| bad())?;
            low.parse::<crate::money::Money>().map_err(|_| bad())?;
            return Ok(Self::Disputed(format!("{low}..{}", high.text(Ratio::ONE)).into()));
        }
        Rate::parse(text, unit).map(Self::Known).map_err(|_| bad())
    }
}

const ALWAYS: Timestamp = Timestamp::from_millis(i64::MIN);
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

fn instant(text: Option<&str>, otherwise: Timestamp) -> Result<Timestamp, Problem> {
    let Some(text) = text else { return Ok(otherwise) };
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(&whole).ok_or_else(|| Problem::Instant(text.into()))
}

impl MultiplierText {
    fn read(&self, name: &str) -> Result<Multiplier, Problem> {
        Ok(Multiplier {
            name: name.into(),
            by: self.by.parse().map_err(|_| Problem::Ratio(self.by.clone()))?,
            host: self.host.clone(),
            region: self.region.clone(),
            from: instant(self.from.as_deref(), ALWAYS)?,
        })
    }
}

impl VersionText {
    fn read(&self, id: &str, holidays: &BTreeMap<Box<str>, Holidays>) -> Result<Version, Problem> {
        let read_above = |(text, rates): (&Box<str>, &RatesText)| {
            let least = threshold(text).ok_or_else(|| Problem::Threshold(text.clone()))?;
            Ok(Above { least, text: text.clone(), rates: Rates::read(rates)? })
        };
        let mut above: Vec<Above> =
            self.above.iter().map(read_above).collect::<Result<_, Problem>>()?;
        above.sort_by_key(|above| std::cmp::Reverse(above.least));
        let windows = self.windows.iter();
        Ok(Version {
            from: instant(self.from.as_deref(), ALWAYS)?,
            to: instant(self.to.as_deref(), NEVER)?,
            name: format!("{id}@{}", self.from.as_deref().unwrap_or("start")).into(),
            rates: Rates::read(&self.rates)?,
            above,
            windows: windows.map(|w| w.read(holidays, Rates::read)).collect::<Result<_, _>>()?,
            at_least: self.at_least.clone(),
        })
    }
}

/// The smallest count beyond `>200000` or `>=200000`.
fn threshold(text: &str) -> Option<u64> {
    if let Some(least) = text.strip_prefix(">=") {
        return least.parse().ok();
    }
    text.strip_prefix('>')?.parse::<u64>().ok()?.checked_add(1)
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

fn read_versions(
    texts: &[VersionText],
    id: &str,
    holidays: &BTreeMap<Box<str>, Holidays>,
) -> Result<Vec<Version>, Problem> {
    let mut versions: Vec<Version> =
        texts.iter().map(|text| text.read(id, holidays)).collect::<Result<_, _>>()?;
    versions.sort_by_key(|version| version.from);
    for (before, after) in versions.iter().zip(versions.iter().skip(1)) {
        if before.to > after.from || before.from >= before.to {
            return Err(Problem::Overlap(after.name.clone()));
        }
    }
    Ok(versions)
}

impl ModelText {
    pub(super) fn read(&self, file: &File) -> Result<Model, Problem> {
        let versions = |texts: &[_]| read_versions(texts, &self.id, &file.holidays);
        let multiplier = |name: &Box<str>| match file.multipliers.get(name) {
            Some(text) => text.read(name),
            None => Err(Problem::Undefined(name.clone())),
        };
        let tiers = self.tiers.iter();
        Ok(Model {
            multipliers: self.multiply.iter().map(multiplier).collect::<Result<_, _>>()?,
            free: self.free,
            standard: versions(&self.versions)?,
            tiers: tiers
                .map(|(tier, texts)| Ok((tier.clone(), versions(texts)?)))
                .collect::<Result<_, Problem>>()?,
        })
    }
}
