//! OpenAI-shaped embeddings: one plain document, the vectors of which are skipped.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want};
use crate::receipt::Anomaly;
use crate::usage::Count;

/// Reads embeddings.
#[derive(Debug, Default)]
pub(super) struct Embeddings;

impl Shape for Embeddings {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["id" | "model"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            ["usage"] => answer.snapshot(json),
            _ => {}
        }
    }

    fn document(&mut self, _document: Document<'_>, answer: &mut Answer) {
        answer.complete();
    }

    fn marks_its_end(&self) -> bool {
        false
    }

    fn guess(&self) -> Guess {
        Guess::EmbeddedText
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        let line = openai_usage::embedded(&answer.usage);
        let is_zero = line.as_ref().is_some_and(|line| line.count == Count::ZERO);
        if is_zero && !call.asked.text.is_empty() {
            answer.flag(Anomaly::SuspiciousZero);
        }
        answer.reported_cost = openai_usage::cost(&answer.usage);
        answer.lines.extend(line);
    }
}
