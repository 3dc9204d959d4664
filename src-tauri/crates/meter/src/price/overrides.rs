//! The user's own prices: negotiated rates, discounts, and names the user gave to models, each
//! from an instant on. They win over the book; what they say nothing about stays as it is.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::Book;
use super::amount::Ratio;
use super::file::{self, Names};
use super::naming;
use super::record::{Model, Problem, Rates, RatesText, Version};
use crate::money::Currency;
use crate::time::Timestamp;

/// Why a file of own prices cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct OverrideError {
    /// Counted from one.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    price: Vec<Spanned<PriceText>>,
    #[serde(default)]
    discount: Vec<Spanned<DiscountText>>,
    #[serde(default)]
    alias: Vec<Spanned<AliasText>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceText {
    provider: Box<str>,
    /// Absent: every model of the provider.
    model: Option<Box<str>>,
    tier: Option<Box<str>>,
    currency: Option<Currency>,
    from: Option<Box<str>>,
    to: Option<Box<str>>,
    rates: BTreeMap<Box<str>, Spanned<Box<str>>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiscountText {
    provider: Box<str>,
    /// Absent: every model of the provider.
    model: Option<Box<str>>,
    /// What is paid of the list price: `4/5`.
    pay: Box<str>,
    from: Option<Box<str>>,
    to: Option<Box<str>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasText {
    provider: Box<str>,
    /// The id on the wire: a deployment, an ARN, a fine-tune.
    name: Box<str>,
    /// The id whose prices hold.
    model: Box<str>,
    from: Option<Box<str>>,
    to: Option<Box<str>>,
}

impl File {
    fn entries(&self, line: impl Fn(Range<usize>) -> usize) -> Vec<OwnPrice> {
        let prices = self.price.iter().map(|entry| {
            let PriceText { provider, model, tier, from, to, rates, .. } = entry.get_ref().clone();
            let tier = tier.map(|tier| format!(" ({tier})")).unwrap_or_default();
            let rates = rates.iter().map(|(key, rate)| format!("{key} {}", rate.get_ref()));
            let says = rates.collect::<Vec<_>>().join(", ") + &tier;
            OwnPrice { line: line(entry.span()), provider, model, says, from, to }
        });
        let discounts = self.discount.iter().map(|entry| {
            let DiscountText { provider, model, pay, from, to } = entry.get_ref().clone();
            let says = format!("{pay} of the list price");
            OwnPrice { line: line(entry.span()), provider, model, says, from, to }
        });
        let aliases = self.alias.iter().map(|entry| {
            let AliasText { provider, name, model, from, to } = entry.get_ref().clone();
            let says = format!("priced as {model}");
            OwnPrice { line: line(entry.span()), provider, model: Some(name), says, from, to }
        });
        let mut entries: Vec<OwnPrice> = prices.chain(discounts).chain(aliases).collect();
        entries.sort_by_key(|entry| entry.line);
        entries
    }
}

/// One entry of the file, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct OwnPrice {
    /// Where it stands in the file.
    pub line: usize,
    /// Whose price.
    pub provider: Box<str>,
    /// Of which model, or under which name; absent is all of them.
    pub model: Option<Box<str>>,
    /// What holds: rates, `4/5 of the list price`, `as gpt-5`.
    pub says: String,
    /// From when, as written.
    pub from: Option<Box<str>>,
    /// Up to when, as written.
    pub to: Option<Box<str>>,
}

/// The user's own prices, checked.
#[derive(Debug, Default)]
pub struct Overrides {
    /// What stands in the file, in its order.
    pub entries: Vec<OwnPrice>,
    hash: Box<str>,
    providers: BTreeMap<Box<str>, Own>,
}

/// What the user says about one provider.
#[derive(Debug, Default)]
pub(super) struct Own {
    currency: Option<Currency>,
    /// By model in lower case; absent is every model.
    prices: BTreeMap<Option<Box<str>>, Model>,
    discounts: BTreeMap<Option<Box<str>>, Vec<During<Ratio>>>,
    aliases: BTreeMap<Box<str>, Vec<During<Box<str>>>>,
}

/// Something that holds in `[from, to)`.
#[derive(Debug)]
struct During<T> {
    from: Timestamp,
    to: Timestamp,
    what: T,
}

impl Overrides {
    /// Reads the file. `book` is what it overrides; `is_known` says which providers there are.
    ///
    /// # Errors
    /// Says in which line what is wrong.
    pub fn read(
        text: &str,
        book: &Book,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Self, OverrideError> {
        let at = |span: Range<usize>, reason: String| OverrideError {
            line: text[..span.start.min(text.len())].matches('\n').count() + 1,
            reason,
        };
        let file: File = toml::from_str(text)
            .map_err(|error| at(error.span().unwrap_or_default(), error.message().to_owned()))?;
        let digest = Sha256::digest(text.as_bytes());
        let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let mut own = Self { hash: hash.into(), ..Self::default() };
        let provider = |id: &str| match is_known(id) || book.prices(id).is_some() {
            true => Ok(()),
            false => Err(format!("there is no provider `{id}`")),
        };
        for entry in &file.price {
            for (key, rate) in &entry.get_ref().rates {
                let alone = [(key.clone(), rate.get_ref().clone())].into();
                Rates::read(&alone).map_err(|problem| at(rate.span(), said(problem)))?;
            }
            let added = provider(&entry.get_ref().provider)
                .and_then(|()| own.add_price(entry.get_ref(), book));
            added.map_err(|reason| at(entry.span(), reason))?;
        }
        for entry in &file.alias {
            let added = provider(&entry.get_ref().provider)
                .and_then(|()| own.add_alias(entry.get_ref(), book));
            added.map_err(|reason| at(entry.span(), reason))?;
        }
        for entry in &file.discount {
            let added = provider(&entry.get_ref().provider)
                .and_then(|()| own.add_discount(entry.get_ref(), book));
            added.map_err(|reason| at(entry.span(), reason))?;
        }
        own.entries = file.entries(|span| at(span, String::new()).line);
        Ok(own)
    }

    /// What identifies them on a receipt, behind the book's own hash; empty without any.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    pub(super) fn of(&self, provider: &str) -> Option<&Own> {
        self.providers.get(provider)
    }

    /// Providers with own prices, and their currency where one was named.
    pub(super) fn providers(&self) -> impl Iterator<Item = (&str, Option<Currency>)> {
        self.providers.iter().map(|(id, own)| (&**id, own.currency))
    }

    fn add_price(&mut self, text: &PriceText, book: &Book) -> Result<(), String> {
        let listed = book.prices(&text.provider).map(|prices| prices.currency);
        let own = self.providers.entry(text.provider.clone()).or_default();
        let currency = text.currency.or(listed).unwrap_or_default();
        let before = listed.or(own.currency);
        if let Some(before) = before.filter(|before| *before != currency) {
            let provider = &text.provider;
            return Err(format!("amounts of `{provider}` are in {before}, not in {currency}"));
        }
        own.currency = Some(currency);
        let (from, to) = span(text.from.as_deref(), text.to.as_deref())?;
        let rates: RatesText =
            text.rates.iter().map(|(key, rate)| (key.clone(), rate.get_ref().clone())).collect();
        let name = text.model.as_deref().unwrap_or(&text.provider);
        let version = Version {
            from,
            to,
            name: format!("override {name}@{}", text.from.as_deref().unwrap_or("start")).into(),
            rates: Rates::read(&rates).map_err(said)?,
            above: Vec::new(),
            windows: Vec::new(),
            at_least: BTreeMap::new(),
        };
        let model = own.prices.entry(key(text.model.as_deref())).or_insert_with(|| Model {
            multipliers: Vec::new(),
            free: false,
            standard: Vec::new(),
            tiers: BTreeMap::new(),
        });
        let versions = match text.tier.as_deref() {
            None | Some("standard" | "default") => &mut model.standard,
            Some(tier) => model.tiers.entry(tier.into()).or_default(),
        };
        if versions.iter().any(|other| from < other.to && other.from < to) {
            return Err(format!("another price of `{name}` holds in the same time"));
        }
        versions.push(version);
        Ok(())
    }

    fn add_discount(&mut self, text: &DiscountText, book: &Book) -> Result<(), String> {
        if let Some(model) = &text.model {
            self.is_priced(book, &text.provider, model)?;
        }
        let pay = text.pay.parse().map_err(|_| said(Problem::Ratio(text.pay.clone())))?;
        let (from, to) = span(text.from.as_deref(), text.to.as_deref())?;
        let own = self.providers.entry(text.provider.clone()).or_default();
        let all = own.discounts.entry(key(text.model.as_deref())).or_default();
        add(all, During { from, to, what: pay }, "discount")
    }

    fn add_alias(&mut self, text: &AliasText, book: &Book) -> Result<(), String> {
        self.is_priced(book, &text.provider, &text.model)?;
        let (from, to) = span(text.from.as_deref(), text.to.as_deref())?;
        let own = self.providers.entry(text.provider.clone()).or_default();
        let all = own.aliases.entry(text.name.to_ascii_lowercase().into()).or_default();
        add(all, During { from, to, what: text.model.clone() }, "alias")
    }

    /// A name that nothing prices is a slip of the pen.
    fn is_priced(&self, book: &Book, provider: &str, model: &str) -> Result<(), String> {
        let own = self.of(provider).is_some_and(|own| own.prices.contains_key(&key(Some(model))));
        if own || book.find(provider, model).is_some() {
            return Ok(());
        }
        Err(format!("`{provider}` has no price for a model `{model}`"))
    }
}

impl Own {
    /// What the user's name stands for.
    pub(super) fn alias(&self, name: &str, at: Timestamp) -> Option<&str> {
        let during = self.aliases.get(&*name.to_ascii_lowercase())?;
        during.iter().find(|d| d.holds(at)).map(|d| &*d.what)
    }

    /// The user's own price of a model; one for the model before one for all, and only where
    /// it `holds`.
    pub(super) fn price<'a>(
        &'a self,
        names: &Names,
        id: &str,
        holds: impl Fn(&'a Model) -> bool,
    ) -> Option<&'a Model> {
        let holds = |model: &&'a Model| holds(model);
        naming::find(names, id, |id| self.prices.get(&key(Some(id))).filter(holds))
            .or_else(|| self.prices.get(&None).filter(holds))
    }

    /// What is paid of the list price; a discount on the model before one on everything.
    pub(super) fn discount(&self, names: &Names, id: &str, at: Timestamp) -> Option<Ratio> {
        let now = |all: &Vec<During<Ratio>>| all.iter().find(|d| d.holds(at)).map(|d| d.what);
        naming::find(names, id, |id| self.discounts.get(&key(Some(id))).and_then(now))
            .or_else(|| self.discounts.get(&None).and_then(now))
    }
}

impl<T> During<T> {
    fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

fn add<T>(all: &mut Vec<During<T>>, new: During<T>, what: &str) -> Result<(), String> {
    if all.iter().any(|other| new.from < other.to && other.from < new.to) {
        return Err(format!("another {what} of that name holds in the same time"));
    }
    all.push(new);
    Ok(())
}

fn key(model: Option<&str>) -> Option<Box<str>> {
    model.map(|model| model.to_ascii_lowercase().into())
}

fn span(from: Option<&str>, to: Option<&str>) -> Result<(Timestamp, Timestamp), String> {
    let from = file::instant(from, file::ALWAYS).map_err(said)?;
    let to = file::instant(to, file::NEVER).map_err(said)?;
    if from >= to {
        return Err("it ends before it begins".to_owned());
    }
    Ok((from, to))
}

fn said(problem: Problem) -> String {
    problem.to_string()
}

#[cfg(test)]
mod tests;
