//! Whether a book may stand in the place of another: numbers rise, the past stays told as it
//! was, rates do not leap, and costs known by heart still come out. The publisher's slips are
//! meant here; against others there is the signature.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::super::book::Book;
use super::super::catalogue::{ListedModel, ListedVersion};
use super::super::file::ALWAYS;
use super::super::record::{self, RatesText};
use super::{Bundle, BundleError};
use crate::price::ask;
use crate::provider::Providers;
use crate::time::Timestamp;

/// How many times more or less a rate may be without a reason.
const LEAP: i128 = 4;
/// How far clocks may disagree.
const CLOCKS: i64 = 24 * 60 * 60 * 1000;
/// Questions of the past whose costs are known, one JSON object a line.
const GOLDEN: &str = include_str!("../../../prices/_golden.jsonl");
/// What stands in a file for people.
const FOR_PEOPLE: [&str; 3] = ["models", "evidence", "notes"];
/// Where the reason stands for what holds for all models of a provider.
const ALL: &str = "*";

impl Bundle {
    /// The bundle's book, every file of it checked, if it may come after the list prices
    /// `in_force`; `last` is the number of the newest bundle that ever did.
    ///
    /// # Errors
    /// Says why it may not.
    pub fn succeed(
        &self,
        in_force: &Book,
        last: Option<u64>,
        now: Timestamp,
    ) -> Result<Book, BundleError> {
        if let Some(last) = last.filter(|last| *last > self.sequence) {
            return Err(BundleError::Older { found: self.sequence, last });
        }
        let (made_at, before) = (self.edition.made_at, in_force.edition().made_at);
        if made_at < before {
            return Err(BundleError::Outdated { found: made_at, in_force: before });
        }
        if last == Some(self.sequence) && in_force.hash() != &*self.hash {
            return Err(BundleError::SameNumber(self.sequence));
        }
        if made_at.millis() > now.millis().saturating_add(CLOCKS) {
            return Err(BundleError::FromTheFuture(made_at));
        }
        let files = self.files.iter().map(|(id, text)| (&**id, &**text));
        let book = Book::read(&self.hash, files)?.of_edition(self.edition);
        self.keeps_heads(in_force, &book)?;
        self.keeps_prices(in_force, &book)?;
        keeps_golden(&book)?;
        Ok(book)
    }

    fn keeps_heads(&self, old: &Book, new: &Book) -> Result<(), BundleError> {
        let new: BTreeMap<&str, &str> = new.texts().collect();
        for (provider, text) in old.texts() {
            let kept = new.get(provider).is_some_and(|new| keeps_head(&head(text), &head(new)));
            if !kept && !is_given(&self.corrections, provider, ALL) {
                return Err(self.past_changed(provider, ALL, ALWAYS));
            }
        }
        Ok(())
    }

    fn keeps_prices(&self, old: &Book, new: &Book) -> Result<(), BundleError> {
        let listed = new.catalogue();
        let find = |model: &ListedModel| {
            let same = |new: &&ListedModel| new.provider == model.provider && new.id == model.id;
            listed.iter().find(same)
        };
        let made_at = old.edition().made_at;
        for before in &old.catalogue() {
            let corrected = is_given(&self.corrections, &before.provider, &before.id);
            match find(before) {
                _ if corrected => {}
                Some(after) => self.keeps(before, after, made_at)?,
                None => return Err(self.past_changed(&before.provider, &before.id, ALWAYS)),
            }
        }
        Ok(())
    }

    /// Up to `made_at` the old book knew; what it said about later was a forecast.
    fn keeps(
        &self,
        old: &ListedModel,
        new: &ListedModel,
        made_at: Timestamp,
    ) -> Result<(), BundleError> {
        let ids_stay = old.aliases.iter().all(|alias| new.is_called(alias));
        if !ids_stay || (old.free, &old.multiply) != (new.free, &new.multiply) {
            return Err(self.past_changed(&old.provider, &old.id, ALWAYS));
        }
        let tiers: BTreeSet<&str> = old.versions.iter().map(|version| &*version.tier).collect();
        for (tier, at) in tiers.into_iter().flat_map(|tier| {
            instants(old, new, tier, made_at).into_iter().map(move |at| (tier, at))
        }) {
            let holds =
                |model: &'_ ListedModel| model.at(at).position(|version| *version.tier == *tier);
            let of = |model: &'_ ListedModel, index: Option<usize>| {
                index.and_then(|index| model.at(at).nth(index).cloned())
            };
            let Some(before) = of(old, holds(old)) else { continue };
            let after = of(new, holds(new));
            if at < made_at && !after.as_ref().is_some_and(|after| is_same(&before, after)) {
                return Err(self.past_changed(&old.provider, &old.id, at));
            }
            let may_leap = is_given(&self.leaps, &old.provider, &old.id);
            if let Some(after) = after.filter(|_| !may_leap) {
                leaps(old, &before.rates, &after.rates)?;
                for (threshold, rates) in &before.above {
                    after.above.get(threshold).map_or(Ok(()), |new| leaps(old, rates, new))?;
                }
            }
        }
        Ok(())
    }

    fn past_changed(&self, provider: &str, model: &str, at: Timestamp) -> BundleError {
        let at = if at == ALWAYS { "any time".to_owned() } else { at.to_string() };
        BundleError::PastChanged { provider: provider.into(), model: model.into(), at: at.into() }
    }
}

fn is_given(reasons: &super::Reasons, provider: &str, model: &str) -> bool {
    let reason = reasons.get(provider).and_then(|models| models.get(model));
    reason.is_some_and(|reason| !reason.trim().is_empty())
}

/// What a price file says besides its models, without the words for people.
fn head(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(head) = value.as_object_mut() {
        head.retain(|key, _| !FOR_PEOPLE.contains(&&**key));
    }
    value
}

/// Whether lists at most grew; a word or a switch that was not there is another meaning.
fn keeps_head(old: &Value, new: &Value) -> bool {
    let is_list = |value: &Value| value.is_array() || value.is_object();
    let added = new.as_object().into_iter().flatten().filter(|(key, _)| old.get(key).is_none());
    grows(old, new) && added.into_iter().all(|(_, value)| is_list(value))
}

/// Whether the new says all the old says, and perhaps more.
fn grows(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().all(|(key, value)| new.get(key).is_some_and(|new| grows(value, new)))
        }
        (Value::Array(old), Value::Array(new)) => old.iter().all(|value| new.contains(value)),
        (old, new) => old == new,
    }
}

/// Every instant at which one of the two may begin to differ from the other.
fn instants(
    old: &ListedModel,
    new: &ListedModel,
    tier: &str,
    made_at: Timestamp,
) -> BTreeSet<Timestamp> {
    let of_tier = old.versions.iter().chain(&new.versions).filter(|v| *v.tier == *tier);
    let edges = of_tier.flat_map(|version| [version.from, version.to]).flatten();
    edges.chain([ALWAYS, made_at]).collect()
}

fn is_same(old: &ListedVersion, new: &ListedVersion) -> bool {
    (&old.rates, &old.above, &old.windows, &old.at_least)
        == (&new.rates, &new.above, &new.windows, &new.at_least)
}

fn leaps(model: &ListedModel, old: &RatesText, new: &RatesText) -> Result<(), BundleError> {
    for (factor, before) in old {
        let Some(after) = new.get(factor) else { continue };
        if record::leap(factor, before, after, LEAP) {
            return Err(BundleError::Leap {
                provider: model.provider.clone(),
                model: model.id.clone(),
                factor: factor.clone(),
                before: before.clone(),
                after: after.clone(),
            });
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Golden<'t> {
    model: &'t str,
    cost: &'t str,
}

#[derive(Deserialize)]
struct Answered {
    cost: Option<Box<str>>,
    cost_state: Box<str>,
}

/// Every golden line asks about an instant, so what the time is has no part in it.
fn keeps_golden(book: &Book) -> Result<(), BundleError> {
    for line in GOLDEN.lines().filter(|line| !line.is_empty()) {
        let known: Golden<'_> = serde_json::from_str(line).expect("a test reads every line");
        let answer = ask::answer(book, Providers::built_in(), Timestamp::default(), line)
            .expect("a test asks every line");
        let answer: Answered = serde_json::from_str(&answer).expect("answers have these fields");
        let found = answer.cost.unwrap_or(answer.cost_state);
        if *found != *known.cost {
            let (model, known) = (known.model.into(), known.cost.into());
            return Err(BundleError::Golden { model, known, found });
        }
    }
    Ok(())
}
