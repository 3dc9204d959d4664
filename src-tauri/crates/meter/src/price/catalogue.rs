//! The book for reading: what is listed for each model, as the files write it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Book;
use super::file;
use super::record::RatesText;
use crate::money::Currency;
use crate::time::Timestamp;
use crate::usage::{Count, Factor};

/// One model's list prices.
#[derive(Clone, Debug, Serialize)]
pub struct ListedModel {
    /// Who is paid.
    pub provider: Box<str>,
    /// Its id.
    pub id: Box<str>,
    /// Other exact ids of it.
    pub aliases: Vec<Box<str>>,
    /// Of all amounts.
    pub currency: Currency,
    /// There is nothing to pay, and that is known.
    pub free: bool,
    /// `verified`, `agreed`, `single` or `disputed`.
    pub confidence: Option<Box<str>>,
    /// The reason of a decision.
    pub note: Option<Box<str>>,
    /// The places where token rates are multiplied, by the names the file gives them.
    pub multiply: Vec<Box<str>>,
    /// Every version of every tier, `standard` first, oldest first.
    pub versions: Vec<ListedVersion>,
}

/// The rates of one tier in `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedVersion {
    /// The tier.
    pub tier: Box<str>,
    /// Its first instant; absent: from the beginning.
    pub from: Option<Timestamp>,
    /// The first instant after it; absent: no end is known.
    pub to: Option<Timestamp>,
    /// Rates by factor, as `prices/README.md` describes them.
    pub rates: BTreeMap<Box<str>, Box<str>>,
    /// Rates for the whole request beyond a length of the prompt.
    pub above: BTreeMap<Box<str>, RatesText>,
    /// Other rates at certain hours.
    pub windows: Vec<Value>,
    /// The smallest counts that are billed.
    pub at_least: BTreeMap<Factor, Count>,
}

#[derive(Deserialize)]
struct FileText {
    #[serde(default)]
    currency: Currency,
    models: Vec<ModelText>,
}

#[derive(Deserialize)]
struct ModelText {
    id: Box<str>,
    #[serde(default)]
    aliases: Vec<Box<str>>,
    #[serde(default)]
    free: bool,
    confidence: Option<Box<str>>,
    note: Option<Box<str>>,
    #[serde(default)]
    multiply: Vec<Box<str>>,
    versions: Vec<VersionText>,
    #[serde(default)]
    tiers: BTreeMap<Box<str>, Vec<VersionText>>,
}

#[derive(Deserialize)]
struct VersionText {
    from: Option<Box<str>>,
    to: Option<Box<str>>,
    rates: RatesText,
    #[serde(default)]
    above: BTreeMap<Box<str>, RatesText>,
    #[serde(default)]
    windows: Vec<Value>,
    #[serde(default)]
    at_least: BTreeMap<Factor, Count>,
}

impl Book {
    /// Everything that is listed, by provider and then as the files have it. The user's own
    /// prices are not in it.
    pub fn catalogue(&self) -> Vec<ListedModel> {
        self.texts().flat_map(|(provider, text)| of(provider, text)).collect()
    }
}

impl ListedModel {
    /// The versions in force at an instant, one a tier.
    pub fn at(&self, at: Timestamp) -> impl Iterator<Item = &ListedVersion> {
        let holds = move |version: &&ListedVersion| {
            version.from.is_none_or(|from| from <= at) && version.to.is_none_or(|to| at < to)
        };
        self.versions.iter().filter(holds)
    }

    /// Whether it goes by this id.
    pub fn is_called(&self, id: &str) -> bool {
        std::iter::once(&self.id).chain(&self.aliases).any(|own| own.eq_ignore_ascii_case(id))
    }
}

fn of(provider: &str, text: &str) -> Vec<ListedModel> {
    // A file that cannot be read prices nothing, so nothing is listed. A test reads them all.
    let Ok(file) = serde_json::from_str::<FileText>(text) else { return Vec::new() };
    let model = |text: ModelText| {
        let standard = text.versions.into_iter().map(|version| ("standard".into(), version));
        let tiers = text.tiers.into_iter().flat_map(|(tier, versions)| {
            versions.into_iter().map(move |version| (tier.clone(), version))
        });
        ListedModel {
            provider: provider.into(),
            id: text.id,
            aliases: text.aliases,
            currency: file.currency,
            free: text.free,
            confidence: text.confidence,
            note: text.note,
            multiply: text.multiply,
            versions: standard.chain(tiers).map(|(tier, version)| listed(tier, version)).collect(),
        }
    };
    file.models.into_iter().map(model).collect()
}

fn listed(tier: Box<str>, text: VersionText) -> ListedVersion {
    let instant = |text: Option<&str>| file::instant(Some(text?), file::NEVER).ok();
    ListedVersion {
        tier,
        from: instant(text.from.as_deref()),
        to: instant(text.to.as_deref()),
        rates: text.rates,
        above: text.above,
        windows: text.windows,
        at_least: text.at_least,
    }
}
