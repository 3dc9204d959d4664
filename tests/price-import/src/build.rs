//! Makes one book from the base, the witness and the decisions, and says what is undecided.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::decimal::Decimal;
use crate::decisions::{Decision, Decisions, Right};
use crate::doubt;
use crate::genai::{self, Dated, Prices};
use crate::litellm::{Entry, Map, TIERS};
use crate::record::{Model, Row, Rows, Version};
use crate::vote::{SNAPSHOT, TODAY};

/// A finished book and what a person should look at.
#[derive(Debug, Default)]
pub(crate) struct Proposal {
    pub(crate) models: Vec<Model>,
    pub(crate) remarks: Vec<String>,
}

/// The base's price keys, our factors, and what rates say about their unit.
const KEYS: &[(&str, &str, &str)] = &[
    ("input_mtok", "input.text", ""),
    ("output_mtok", "output.text", ""),
    ("cache_read_mtok", "input.cache_read", ""),
    ("cache_write_mtok", "{w}", ""),
    ("cache_write_5m_mtok", "input.cache_write_5m", ""),
    ("cache_write_1h_mtok", "input.cache_write_1h", ""),
    ("input_audio_mtok", "input.audio", ""),
    ("cache_audio_read_mtok", "input.cache_read.audio", ""),
    ("output_audio_mtok", "output.audio", ""),
    ("input_image_mtok", "input.image", ""),
    ("cache_image_read_mtok", "input.cache_read.image", ""),
    ("output_image_mtok", "output.image", ""),
    ("input_video_mtok", "input.video", ""),
    ("output_video_mtok", "output.video", ""),
    ("output_reasoning_mtok", "output.reasoning", ""),
    ("output_citation_mtok", "output.citation", ""),
    ("web_searches_kcount", "tool.web_search", ""),
    ("storage_searches_kcount", "tool.file_search", ""),
    ("social_searches_kcount", "tool.other:x_search", ""),
    ("code_executions_kcount", "tool.code_session", ""),
    ("rerank_searches_kcount", "rerank.search_units", ""),
    ("input_mchars", "tts.characters", ""),
    ("input_document_kpages", "ocr.pages", ""),
    ("input_annotated_document_kpages", "ocr.pages[annotated=true]", ""),
    ("input_audio_hours", "audio.input_seconds", "/h"),
    ("audio_hours", "audio.input_seconds", "/h"),
    ("requests_kcount", "request.fee", "/1K"),
];

/// Price keys that no factor counts.
const IGNORED: &[&str] = &["input_text_messages_kcount"];

pub(crate) fn book(
    decisions: &Decisions,
    base: &[genai::Provider],
    witness: &Map,
) -> Result<Proposal> {
    let mut proposal = Proposal::default();
    let entries: BTreeMap<String, &Entry> =
        witness.of(&decisions.litellm.providers, &decisions.litellm.prefixes).collect();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let extra = decisions.extra.iter().flat_map(|m| m.aliases.iter().chain([&m.id]));
    taken.extend(extra.map(|id| id.to_lowercase()));
    for provider in base.iter().filter(|provider| decisions.genai.contains(&provider.id)) {
        let ids = ids(decisions, provider, &entries, &mut proposal.remarks)?;
        for model in provider.models.iter().filter(|model| decisions.wants(&model.id)) {
            let mut names: Vec<String> =
                ids.iter().filter(|(_, of)| **of == model.id).map(|(id, _)| id.clone()).collect();
            names.retain(|name| taken.insert(name.clone()));
            if !names.is_empty() {
                let made = Maker { decisions, entries: &entries, names: &names }
                    .make(model, &mut proposal.remarks)?;
                proposal.models.extend(made);
            }
        }
    }
    for (id, entry) in &entries {
        let known = undated(id).is_some_and(|stem| taken.contains(stem));
        if !known
            && decisions.litellm.models.iter().any(|start| id.starts_with(&**start))
            && taken.insert(id.clone())
        {
            let names = [id.clone()];
            let maker = Maker { decisions, entries: &entries, names: &names };
            proposal.models.extend(maker.witness_only(id, entry));
        }
    }
    proposal.models.extend(decisions.extra.iter().cloned());
    doubt::write(&mut proposal.models, &decisions.doubts)?;
    proposal.models.sort_by(|a, b| a.id.cmp(&b.id));
    let known: BTreeSet<&str> = proposal.models.iter().map(|model| &*model.id).collect();
    for id in decisions.models.keys().filter(|id| !known.contains(&***id)) {
        if !decisions.models[id].drop {
            bail!("a decision about `{id}`, which no source has");
        }
    }
    Ok(proposal)
}

impl Decisions {
    fn wants(&self, id: &str) -> bool {
        let starts = |list: &[String]| list.iter().any(|start| id.starts_with(&**start));
        (self.only.is_empty() || starts(&self.only)) && !starts(&self.never)
    }
}

/// Which ids are which model: spelled in the base's rules, or known from elsewhere and matched
/// by them. Only the latter are guesses of the base, so they need a reason.
fn ids(
    decisions: &Decisions,
    provider: &genai::Provider,
    entries: &BTreeMap<String, &Entry>,
    remarks: &mut Vec<String>,
) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    for model in provider.models.iter().filter(|model| decisions.wants(&model.id)) {
        for id in model.spelled().into_iter().chain([model.id.to_lowercase()]) {
            let whole = !id.ends_with(['-', '@', '.', ':', '/']);
            if whole && provider.find(&id)?.is_some_and(|found| found.id == model.id) {
                ids.insert(id, model.id.clone());
            }
        }
    }
    let wire = decisions.ids.iter().map(|id| (id.to_lowercase(), true));
    for (id, seen) in wire.chain(entries.keys().map(|id| (id.clone(), false))) {
        if ids.contains_key(&id) || undated(&id).is_some_and(|stem| ids.contains_key(stem)) {
            continue;
        }
        let Some(model) = provider.find(&id)?.filter(|model| decisions.wants(&model.id)) else {
            continue;
        };
        let id = fine_tuned(&id).unwrap_or(id);
        let agrees = entries.get(&id).is_some_and(|entry| agrees(model, entry));
        if seen || agrees {
            ids.insert(id, model.id.clone());
        } else {
            remarks.push(format!("left out: `{id}` would be guessed to be `{}`", model.id));
        }
    }
    Ok(ids)
}

/// `ft:base` of `ft:base:organisation:…`: fine-tunes have one record for each base.
fn fine_tuned(id: &str) -> Option<String> {
    let (base, _) = id.strip_prefix("ft:")?.split_once(':')?;
    Some(format!("ft:{base}"))
}

/// Without a date behind it.
fn undated(id: &str) -> Option<&str> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let compact = id.rsplit_once('-').filter(|(_, d)| d.len() == 8 && digits(d));
    let dashed = id.len().checked_sub(11).filter(|at| id.is_char_boundary(*at)).and_then(|at| {
        let (stem, date) = id.split_at(at);
        let plain: String = date.chars().filter(|c| *c != '-').collect();
        (date.starts_with('-') && plain.len() == 8 && digits(&plain)).then_some((stem, date))
    });
    compact.or(dashed).map(|(stem, _)| stem)
}

/// Whether the witness gives the same input and output rate.
fn agrees(model: &genai::Model, entry: &Entry) -> bool {
    let rows = entry.tokens("", "w");
    let now = model.standard.iter().rev().find(|(from, _)| from.as_deref() < Some(TODAY));
    let Some((_, prices)) = now else { return false };
    [("input_mtok", "input.text"), ("output_mtok", "output.text")].iter().all(|(key, factor)| {
        let base = prices.get(*key).map(|tiered| tiered.base).filter(|rate| *rate != Decimal::ZERO);
        base == rows.base.get(*factor).copied().filter(|rate| *rate != Decimal::ZERO)
    })
}

/// Makes one model.
pub(crate) struct Maker<'a> {
    pub(crate) decisions: &'a Decisions,
    entries: &'a BTreeMap<String, &'a Entry>,
    names: &'a [String],
}

impl Maker<'_> {
    fn make(&self, model: &genai::Model, remarks: &mut Vec<String>) -> Result<Option<Model>> {
        let id = model.id.to_lowercase();
        let none = Decision::default();
        let entry = self.entry(&id, model);
        let id = if self.names.contains(&id) { id } else { self.names[0].clone() };
        let decision = self.decisions.models.get(&id).unwrap_or(&none);
        if decision.drop {
            return Ok(None);
        }
        let mut made = Model { id: id.clone(), sources: "g".into(), ..Model::default() };
        made.aliases = self.names.iter().filter(|name| **name != id).cloned().collect();
        made.versions = versions(&model.standard, |prices| self.rows(&id, prices))?;
        for (tier, dated) in &model.tiers {
            made.tiers.insert(
                tier.clone(),
                self.tier(&id, model, tier, dated, entry.filter(|entry| agrees(model, entry)))?,
            );
        }
        let empty = made.versions.iter().all(|version| version.rates.is_empty());
        if empty && self.decisions.free.iter().any(|part| id.contains(&**part)) {
            made.free = true;
            let free = ["input.text", "output.text"].map(|f| (f.to_owned(), "0".to_owned()));
            made.versions = vec![Version { rates: free.into(), ..Version::default() }];
        } else if empty && decision.versions.is_none() {
            return Ok(None);
        }
        if let Some(entry) = entry {
            made.sources = "g+l".into();
            let alone = self.decisions.litellm.adds_nothing_to.iter();
            let trusted = agrees(model, entry) || self.right(decision) == Right::Litellm;
            if trusted && !alone.into_iter().any(|part| id.contains(&**part)) {
                self.overlay(&mut made, entry);
            }
            self.vote(&mut made, entry, decision, remarks);
        }
        if model.hourly && decision.versions.is_none() {
            remarks.push(format!("`{id}`: prices by the hour need a decision"));
        }
        decide(&mut made, decision);
        Ok(Some(made))
    }

    pub(crate) fn right(&self, decision: &Decision) -> Right {
        decision.right.or(self.decisions.right).unwrap_or(Right::Disputed)
    }

    /// The witness's entry for any of the ids, rather one that agrees.
    fn entry(&self, id: &String, model: &genai::Model) -> Option<&Entry> {
        let ids = || std::iter::once(id).chain(self.names);
        let entries = || ids().filter_map(|id| self.entries.get(id)).copied();
        entries().find(|entry| agrees(model, entry)).or_else(|| entries().next())
    }

    fn witness_only(&self, id: &str, entry: &Entry) -> Option<Model> {
        let none = Decision::default();
        let decision = self.decisions.models.get(id).unwrap_or(&none);
        let mut version = Version::of(&self.witnessed(entry, ""));
        version.rates.retain(|factor, _| !self.ignores(factor));
        for (factor, rate) in entry.others() {
            if !self.ignores(&factor) {
                version.rates.insert(factor, rate);
            }
        }
        let mode = entry.text("mode").unwrap_or_default();
        let paid = version.rates.values().any(|rate| rate != "0");
        if decision.drop || (version.rates.is_empty() || !paid) && decision.versions.is_none() {
            return None;
        }
        if mode == "embedding" {
            as_embedding(&mut version);
        }
        if mode == "rerank" || mode == "audio_transcription" {
            version.rates.retain(|_, rate| rate != "0");
        }
        as_image(&mut version, &mode);
        let mut made = Model { id: id.into(), sources: "l".into(), ..Model::default() };
        made.confidence = "single".into();
        version.from = Some(SNAPSHOT.into());
        made.versions = vec![version];
        self.overlay(&mut made, entry);
        decide(&mut made, decision);
        Some(made)
    }

    pub(crate) fn ignores(&self, factor: &str) -> bool {
        self.decisions.litellm.ignore.iter().any(|ignored| ignored == factor)
    }

    /// The base's prices by our factors, and the text behind rates that are not per token.
    fn rows(&self, id: &str, prices: &Prices) -> Result<Version> {
        let mut version = Version::default();
        for (key, tiered) in prices {
            if IGNORED.contains(&&**key) {
                continue;
            }
            let Some((_, factor, per)) = KEYS.iter().find(|(known, _, _)| known == key) else {
                bail!("`{id}`: unknown price key `{key}`");
            };
            let factor = self.factor(id, key, factor);
            version.rates.insert(factor.into(), format!("{}{per}", tiered.base));
            for (start, rate) in &tiered.above {
                let text = if start % 1000 == 999 {
                    format!(">={}", start + 1)
                } else {
                    format!(">{start}")
                };
                version.above.entry(text).or_default().insert(factor.into(), rate.to_string());
            }
        }
        let mode = self.names.iter().find_map(|name| self.entries.get(name)?.text("mode"));
        if id.contains("embed") || mode.as_deref() == Some("embedding") {
            as_embedding(&mut version);
        }
        as_image(&mut version, if id.contains("image") { "image_generation" } else { "" });
        if id.contains("tts") {
            as_speech(&mut version);
        }
        Ok(version)
    }

    fn factor<'f>(&'f self, id: &str, key: &str, factor: &'f str) -> &'f str {
        let session = ["voice", "live-1", "realtime-"].iter().any(|word| id.contains(word));
        match key {
            "audio_hours" if session && !id.contains("transcribe") => "audio.session_seconds",
            _ if factor == "{w}" => &self.decisions.cache_write,
            _ => factor,
        }
    }

    /// A tier's token rates, complete where a source says so; fees stay the standard ones.
    fn tier(
        &self,
        id: &str,
        model: &genai::Model,
        tier: &str,
        dated: &Dated,
        entry: Option<&Entry>,
    ) -> Result<Vec<Version>> {
        let mut made = versions(dated, |prices| self.rows(id, prices))?;
        let standard = versions(&model.standard, |prices| self.rows(id, prices))?;
        let ending = TIERS.iter().find(|(known, _)| *known == tier).map(|(_, ending)| *ending);
        let witnessed = entry.zip(ending).map(|(entry, ending)| self.witnessed(entry, ending));
        for version in &mut made {
            let Some(now) = standard.last() else { continue };
            if let Some(rate) = now.rates.get("input.cache_read") {
                let documented = tier == "batch" && model.batch_cache_is_standard;
                if documented && !version.rates.contains_key("input.cache_read") {
                    version.rates.insert("input.cache_read".into(), rate.clone());
                }
            }
            for (factor, rate) in witnessed.iter().flat_map(|rows| &rows.base) {
                let known = version.rates.contains_key(factor) || self.ignores(factor);
                if !known {
                    version.rates.insert(factor.clone(), rate.to_string());
                    for (start, row) in witnessed.iter().flat_map(|rows| &rows.above) {
                        if let Some(rate) = row.get(factor) {
                            let above = version.above.entry(format!(">{start}")).or_default();
                            above.insert(factor.clone(), rate.to_string());
                        }
                    }
                }
            }
        }
        Ok(made)
    }

    pub(crate) fn witnessed(&self, entry: &Entry, ending: &str) -> Rows {
        let mut rows = entry.tokens(ending, &self.decisions.cache_write);
        // Said twice is said once.
        let same = |row: &Row, a: &str, b: &str| row.get(a).is_some() && row.get(a) == row.get(b);
        for (own, as_other) in [
            ("output.reasoning", "output.text"),
            ("input.image", "input.text"),
            ("input.video", "input.text"),
            ("input.cache_read.image", "input.cache_read"),
        ] {
            if same(&rows.base, own, as_other) {
                rows.base.remove(own);
            }
        }
        rows.base.retain(|factor, _| !self.ignores(factor));
        rows
    }
}

fn versions(dated: &Dated, make: impl Fn(&Prices) -> Result<Version>) -> Result<Vec<Version>> {
    let mut versions: Vec<Version> = Vec::new();
    for (from, prices) in dated {
        if let Some(before) = versions.last_mut() {
            before.to = from.clone();
        }
        let made = Version { from: from.clone(), ..make(prices)? };
        versions.push(made);
    }
    Ok(versions)
}

fn as_embedding(version: &mut Version) {
    version.rates.retain(|factor, rate| factor != "output.text" || rate != "0");
    if let Some(rate) = version.rates.get("input.text") {
        version.rates.insert("embedding.input".into(), rate.clone());
    }
}

/// What a speech model answers is audio, whatever the libraries call it.
fn as_speech(version: &mut Version) {
    if let Some(rate) = version.rates.get("output.text").cloned() {
        version.rates.entry("output.audio".into()).or_insert(rate);
    }
}

/// Models that are paid by image tokens are not paid by the image.
fn as_image(version: &mut Version, mode: &str) {
    let by_image = version.rates.contains_key("images.generated");
    let text = version.rates.get("output.text").cloned();
    if let Some(rate) = text.filter(|_| mode.starts_with("image_") && !by_image) {
        version.rates.entry("output.image".into()).or_insert(rate);
    }
    if version.rates.contains_key("output.image") {
        version.rates.entry("images.generated".into()).or_insert("within output.image".into());
    }
}

fn decide(made: &mut Model, decision: &Decision) {
    made.free |= decision.free;
    made.multiply.extend(decision.multiply.iter().cloned());
    made.note.clone_from(&decision.note);
    for alias in &decision.aliases {
        if !made.aliases.contains(alias) && *alias != made.id {
            made.aliases.push(alias.clone());
        }
    }
    if let Some(versions) = &decision.versions {
        made.versions.clone_from(versions);
        made.confidence = "single".into();
        made.sources += "+o";
    }
    for (tier, versions) in &decision.tiers {
        if versions.is_empty() {
            made.tiers.remove(tier);
        } else {
            made.tiers.insert(tier.clone(), versions.clone());
        }
    }
    for version in &mut made.versions {
        version.rates.extend(decision.rates.iter().map(|(f, r)| (f.clone(), r.clone())));
        version.at_least.extend(decision.at_least.iter().map(|(f, n)| (f.clone(), *n)));
    }
    if made.confidence.is_empty() {
        made.confidence = "single".into();
    }
}
