//! Spans of the past in which the sources contradict each other: the rates that stand there are
//! written over what a model is said to have cost.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::record::{Model, Version};

/// What is written into `[from, to)` of the standard rates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Doubt {
    from: Option<String>,
    to: Option<String>,
    /// A range, or what is right.
    rates: BTreeMap<String, String>,
}

/// Writes what is in doubt about ids into their models; an alias gets a record of its own.
pub(crate) fn write(models: &mut Vec<Model>, doubts: &BTreeMap<String, Vec<Doubt>>) -> Result<()> {
    for (id, spans) in doubts {
        let goes_by = |model: &Model| model.id == *id || model.aliases.contains(id);
        let Some(at) = models.iter().position(goes_by) else {
            bail!("a doubt about `{id}`, which no source has")
        };
        let of = |model: &mut Model| {
            for span in spans {
                model.versions =
                    model.versions.iter().flat_map(|version| span.cut(version)).collect();
            }
        };
        if models[at].id == *id && models[at].aliases.is_empty() {
            of(&mut models[at]);
            continue;
        }
        let mut own = models[at].clone();
        if own.id == *id {
            let heir = models[at].aliases.remove(0);
            models[at].id = heir;
        } else {
            models[at].aliases.retain(|alias| alias != id);
        }
        own.id.clone_from(id);
        own.aliases.clear();
        of(&mut own);
        models.push(own);
    }
    Ok(())
}

impl Doubt {
    /// The version before, in and after the span, as far as there is anything of it.
    fn cut(&self, version: &Version) -> Vec<Version> {
        let later = |a: &Option<String>, b: &Option<String>| a.clone().max(b.clone());
        let earlier = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        let within = Version {
            from: later(&version.from, &self.from),
            to: earlier(&version.to, &self.to),
            rates: self.over(&version.rates),
            above: version.above.iter().map(|(at, rates)| (at.clone(), self.over(rates))).collect(),
            ..version.clone()
        };
        let before = Version { to: earlier(&version.to, &self.from), ..version.clone() };
        let after = Version { from: later(&version.from, &self.to), ..version.clone() };
        let mut parts = Vec::new();
        if self.from.is_some() && is_a_span(&before) {
            parts.push(before);
        }
        if is_a_span(&within) {
            parts.push(within);
        }
        if self.to.is_some() && is_a_span(&after) {
            parts.push(after);
        }
        parts
    }

    fn over(&self, rates: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let doubted = |factor: &String| self.rates.get(factor).cloned();
        rates
            .iter()
            .map(|(f, rate)| (f.clone(), doubted(f).unwrap_or_else(|| rate.clone())))
            .collect()
    }
}

/// Days and instants are written so that they sort.
fn is_a_span(version: &Version) -> bool {
    match (&version.from, &version.to) {
        (Some(from), Some(to)) => from < to,
        (_, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(from: &str, to: &str, rate: &str) -> Version {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let rates = [("input.text".to_owned(), rate.to_owned())].into();
        Version { from: text(from), to: text(to), rates, ..Version::default() }
    }

    #[test]
    fn a_span_is_cut_out_of_every_version_it_touches() {
        let model = Model {
            id: "big-4".into(),
            aliases: vec!["big-latest".into()],
            versions: vec![version("", "2026-01-01", "5"), version("2026-01-01", "", "3")],
            ..Model::default()
        };
        let doubt = |json| serde_json::from_str::<Doubt>(json).expect("a doubt");
        let doubts = [
            doubt(r#"{"to":"2025-06-01","rates":{"input.text":"1..5"}}"#),
            doubt(r#"{"from":"2025-12-01","to":"2026-02-01","rates":{"input.text":"3..5"}}"#),
        ];
        let mut models = vec![model.clone()];
        write(&mut models, &[("big-latest".to_owned(), doubts.to_vec())].into()).expect("known");
        assert_eq!(models[0], Model { aliases: vec![], ..model });
        let own = &models[1];
        assert_eq!((&*own.id, own.aliases.len()), ("big-latest", 0));
        assert_eq!(
            own.versions,
            [
                version("", "2025-06-01", "1..5"),
                version("2025-06-01", "2025-12-01", "5"),
                version("2025-12-01", "2026-01-01", "3..5"),
                version("2026-01-01", "2026-02-01", "3..5"),
                version("2026-02-01", "", "3"),
            ]
        );
        assert!(write(&mut models, &[("x".to_owned(), doubts.to_vec())].into()).is_err());
    }
}
