//! What the witness adds to the base's models, and where the two contradict each other.

use std::collections::BTreeMap;

use crate::build::Maker;
use crate::decimal::Decimal;
use crate::decisions::{Decision, Right};
use crate::litellm::{Entry, TIERS};
use crate::record::{Model, Version};

impl Maker<'_> {
    /// What only the witness knows: rates, tiers and multipliers that the base lacks.
    pub(crate) fn overlay(&self, made: &mut Model, entry: &Entry) {
        let from = &self.decisions.litellm;
        let now = current(&made.versions);
        if let Some(last) = made.versions.get_mut(now) {
            let rows = self.witnessed(entry, "");
            let has_text = last.rates.contains_key("input.text");
            for (factor, rate) in rows.base.iter().filter(|(_, rate)| **rate != Decimal::ZERO) {
                if has_text && !last.rates.contains_key(factor) {
                    last.rates.insert(factor.clone(), rate.to_string());
                    for (start, above) in &mut last.above {
                        let same = |at: &&u64| start.ends_with(&format!("{at}"));
                        let row = rows.above.iter().find(|(at, _)| same(at));
                        let rate = row.and_then(|(_, row)| row.get(factor));
                        let rate = rate.map_or(UNKNOWN.to_owned(), Decimal::to_string);
                        above.insert(factor.clone(), rate);
                    }
                }
            }
            for (factor, rate) in entry.others() {
                // Seconds are another count of what a model with token rates is paid for.
                let twice = has_text && factor == "audio.input_seconds";
                if !twice && !self.ignores(&factor) {
                    last.rates.entry(factor).or_insert(rate);
                }
            }
        }
        for (tier, ending) in TIERS.iter().filter(|(tier, _)| from.tiers.iter().any(|t| t == tier))
        {
            let rows = self.witnessed(entry, ending);
            if !made.tiers.contains_key(*tier) && rows.base.contains_key("input.text") {
                let mut version = Version { from: Some(SNAPSHOT.into()), ..Version::of(&rows) };
                if let Some(standard) = made.versions.get(now) {
                    leave_holes(&mut version, standard);
                }
                made.tiers.insert((*tier).to_owned(), vec![version]);
            }
        }
        for (name, field) in &from.multipliers {
            let there = match field.split_once('.') {
                Some((field, key)) => entry.inner(field, key).is_some(),
                None => entry.raw(field).is_some(),
            };
            if there {
                made.multiply.push(name.clone());
            }
        }
    }

    /// Compares today's rates. What differs is written as decided, or as a range.
    pub(crate) fn vote(
        &self,
        made: &mut Model,
        entry: &Entry,
        decision: &Decision,
        remarks: &mut Vec<String>,
    ) {
        let rows = self.witnessed(entry, "");
        let mut others: BTreeMap<String, String> =
            rows.base.iter().map(|(factor, rate)| (factor.clone(), rate.to_string())).collect();
        others.extend(entry.others().into_iter().filter(|(factor, _)| !self.ignores(factor)));
        let at = current(&made.versions);
        let Some(current) = made.versions.get(at) else { return };
        let differ: Vec<(String, String, String)> = others
            .into_iter()
            .filter_map(|(factor, theirs)| {
                let ours = current.rates.get(&factor)?;
                let same = *ours == theirs || same_price(ours, &theirs);
                (!same).then(|| (factor, ours.clone(), theirs))
            })
            .collect();
        if differ.is_empty() {
            made.confidence = "agreed".into();
            return;
        }
        let list: Vec<String> =
            differ.iter().map(|(f, ours, theirs)| format!("{f} {ours}|{theirs}")).collect();
        let right = self.right(decision);
        if right == Right::Disputed && decision.right.is_none() && decision.versions.is_none() {
            remarks.push(format!("disputed: `{}` {}", made.id, list.join(", ")));
        }
        made.confidence = if right == Right::Disputed { "disputed" } else { "single" }.into();
        if right == Right::Genai {
            return;
        }
        let at = match &decision.since {
            Some(since) => split(&mut made.versions, at, since),
            None => at,
        };
        for (factor, ours, theirs) in differ {
            let text = match right {
                Right::Litellm => theirs,
                Right::Disputed | Right::Genai => range(&ours, &theirs),
            };
            made.versions[at].rates.insert(factor, text);
        }
    }
}

/// A rate that nobody knows.
const UNKNOWN: &str = "unknown";

/// A tier that says nothing about long prompts, where the standard rates do, is unknown there.
fn leave_holes(tier: &mut Version, standard: &Version) {
    for (start, row) in &standard.above {
        let known = tier.rates.keys().filter(|factor| row.contains_key(*factor));
        let known: Vec<String> = known.cloned().collect();
        let above = tier.above.entry(start.clone()).or_default();
        for factor in known {
            above.entry(factor).or_insert(UNKNOWN.into());
        }
    }
}

/// The day of the witness's release: it knows no earlier prices.
pub(crate) const SNAPSHOT: &str = "2026-11-12";

/// The day of the newest source.
pub(crate) const TODAY: &str = "2026-11-21";

/// Which version holds today.
pub(crate) fn current(versions: &[Version]) -> usize {
    versions.iter().rposition(|version| version.from.as_deref() < Some(TODAY)).unwrap_or(0)
}

fn same_price(ours: &str, theirs: &str) -> bool {
    let number = |text: &str| text.parse::<Decimal>().ok();
    match (ours.split_once('/'), theirs.split_once('/')) {
        (Some((ours, "h")), None) => {
            number(ours).is_some() && number(ours) == number(theirs).map(|n| n.times(3600))
        }
        _ => number(ours).is_some() && number(ours) == number(theirs),
    }
}

fn range(ours: &str, theirs: &str) -> String {
    let (Ok(a), Ok(b)) = (ours.parse::<Decimal>(), theirs.parse::<Decimal>()) else {
        return ours.to_owned();
    };
    if a.at_most(b) { format!("{a}..{b}") } else { format!("{b}..{a}") }
}

/// Cuts the version in two at an instant; the later one's index.
fn split(versions: &mut Vec<Version>, at: usize, since: &str) -> usize {
    if versions[at].from.as_deref() >= Some(since) {
        return at;
    }
    let mut later = versions[at].clone();
    later.from = Some(since.to_owned());
    versions[at].to = Some(since.to_owned());
    versions.insert(at + 1, later);
    at + 1
}
