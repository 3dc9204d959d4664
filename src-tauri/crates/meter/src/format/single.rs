//! Answers that are a single document with an id, a model and one object about usage, the rest
//! of which nobody needs: vectors, rankings, pages that were read. They differ in where that
//! object stands and in what it is billed by.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, gemini_usage, openai_usage};
use crate::json::{Kind, Want};
use crate::receipt::Anomaly;
use crate::usage::{Count, Factor};

/// Reads single documents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Single {
    /// What the object about usage is called.
    places: &'static [&'static str],
    guess: Guess,
    bill: fn(&mut Answer, Call<'_>),
}

impl Single {
    /// OpenAI-shaped embeddings.
    pub(super) const EMBEDDINGS: Self =
        Self { places: &["usage"], guess: Guess::EmbeddedText, bill: embeddings };
    /// Gemini's embeddings, which name no model.
    pub(super) const GEMINI_EMBED: Self = Self {
        places: &["usageMetadata", "usage_metadata"],
        guess: Guess::EmbeddedText,
        bill: |answer, _| gemini_usage::bill_embedding(answer),
    };
    /// Cohere's own embeddings of text and images, billed as `meta.billed_units` says.
    pub(super) const COHERE_EMBED: Self =
        Self { places: &["meta"], guess: Guess::EmbeddedText, bill: text_and_images };
    /// Rankings: billed in search units, which `meta.billed_units` tells, or in tokens.
    pub(super) const RERANK: Self =
        Self { places: &["usage", "meta"], guess: Guess::Nothing, bill: ranking };
    /// Documents read by OCR, billed by the page.
    pub(super) const OCR: Self =
        Self { places: &["usage_info"], guess: Guess::Nothing, bill: pages };
}

impl Shape for Single {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["id" | "model"], Kind::String) => Want::Keep(NAME_LIMIT),
            ([place], Kind::Object) if self.places.contains(place) => Want::Keep(USAGE_LIMIT),
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            _ => answer.snapshot(json),
        }
    }

    fn document(&mut self, _document: Document<'_>, answer: &mut Answer) {
        answer.complete();
    }

    fn marks_its_end(&self) -> bool {
        false
    }

    fn guess(&self) -> Guess {
        self.guess
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        (self.bill)(answer, call);
    }
}

fn embeddings(answer: &mut Answer, call: Call<'_>) {
    let line = openai_usage::embedded(&answer.usage);
    let is_zero = line.as_ref().is_some_and(|line| line.count == Count::ZERO);
    if is_zero && !call.asked.text.is_empty() {
        answer.flag(Anomaly::SuspiciousZero);
    }
    answer.reported_cost = openai_usage::cost(&answer.usage);
    answer.lines.extend(line);
}

fn text_and_images(answer: &mut Answer, _call: Call<'_>) {
    let usage = std::mem::take(&mut answer.usage);
    let tokens = usage.first_count(&["billed_units.input_tokens", "tokens.input_tokens"]);
    let media = |what| usage.count(what).filter(|count| !count.is_zero());
    let (image_tokens, images) = (media("billed_units.image_tokens"), media("billed_units.images"));
    answer.reported(Factor::EmbeddingInput, tokens);
    answer.reported(Factor::InputImage, image_tokens);
    if image_tokens.is_none() {
        answer.reported(Factor::ImagesInput, images);
    }
    answer.usage = usage;
}

fn ranking(answer: &mut Answer, _call: Call<'_>) {
    let usage = std::mem::take(&mut answer.usage);
    let units = usage.first_count(&["billed_units.search_units", "search_units"]);
    answer.reported(Factor::RerankSearchUnits, units);
    let tokens = usage.first_count(&[
        "billed_units.input_tokens",
        "total_tokens",
        "prompt_tokens",
        "tokens.input_tokens",
    ]);
    if units.is_none() {
        answer.reported(Factor::InputText, tokens);
    }
    answer.reported_cost = openai_usage::cost(&usage);
    answer.usage = usage;
}

fn pages(answer: &mut Answer, _call: Call<'_>) {
    let pages = answer.usage.count("pages_processed");
    answer.reported(Factor::OcrPages, pages);
}
