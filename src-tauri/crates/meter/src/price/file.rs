//! The price book as written: what a `prices/*.json` file may say, checked while it is read.
//!
//! `prices/README.md` describes the files for people.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::calendar::{Holidays, WindowText};
use super::record::{Above, Model, Multiplier, Problem, Rates, RatesText, Version};
use crate::money::Currency;
use crate::time::Timestamp;
use crate::usage::{Count, Factor};

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

/// One file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File<'t> {
    pub(super) provider: Box<str>,
    #[serde(default)]
    pub(super) currency: Currency,
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
    /// What the provider's own tools feed back is reported as one sum over all their rounds.
    #[serde(default)]
    pub(super) sums_rounds: bool,
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
    /// Read one by one when they are first asked for.
    #[serde(borrow)]
    pub(super) models: Vec<&'t RawValue>,
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

/// The ids of a model as written, read without the rest.
#[derive(Debug, Deserialize)]
pub(super) struct Ids<'t> {
    #[serde(borrow)]
    pub(super) id: Cow<'t, str>,
    #[serde(borrow, default)]
    pub(super) aliases: Vec<Cow<'t, str>>,
}

/// What the models of a file share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) multipliers: BTreeMap<Box<str>, MultiplierText>,
    pub(super) holidays: BTreeMap<Box<str>, Holidays>,
}

/// One model as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelText {
    pub(super) id: Box<str>,
    #[serde(default)]
    #[expect(dead_code, reason = "read as `Ids`")]
    aliases: Vec<Box<str>>,
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
    at_least: BTreeMap<Factor, Count>,
}

pub(super) const ALWAYS: Timestamp = Timestamp::from_millis(i64::MIN);
pub(super) const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Reads a day, which means its midnight in UTC, or an instant.
pub(super) fn instant(text: Option<&str>, otherwise: Timestamp) -> Result<Timestamp, Problem> {
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
        let mut above = Vec::with_capacity(self.above.len());
        for (text, rates) in &self.above {
            let least = threshold(text).ok_or_else(|| Problem::Threshold(text.clone()))?;
            above.push(Above { least, text: text.clone(), rates: Rates::read(rates)? });
        }
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
    pub(super) fn read(&self, shared: &Shared) -> Result<Model, Problem> {
        let versions = |texts: &[_]| read_versions(texts, &self.id, &shared.holidays);
        let multiplier = |name: &str| match shared.multipliers.get(name) {
            Some(text) => text.read(name),
            None => Err(Problem::Undefined(name.into())),
        };
        let tiers = self.tiers.iter();
        Ok(Model {
            multipliers: self
                .multiply
                .iter()
                .map(|name| multiplier(name))
                .collect::<Result<_, _>>()?,
            free: self.free,
            standard: versions(&self.versions)?,
            tiers: tiers
                .map(|(tier, texts)| Ok((tier.clone(), versions(texts)?)))
                .collect::<Result<_, Problem>>()?,
        })
    }
}
