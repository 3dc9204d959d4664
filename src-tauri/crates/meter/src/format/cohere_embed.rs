//! Cohere's own embeddings of text and images, billed as `meta.billed_units` says.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT};
use crate::json::{Kind, Want};
use crate::usage::Factor;

/// Reads embeddings.
#[derive(Debug, Default)]
pub(super) struct Embed;

impl Shape for Embed {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["id" | "model"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["meta"], Kind::Object) => Want::Keep(USAGE_LIMIT),
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

    fn guess(&self) -> Guess {
        Guess::EmbeddedText
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        let usage = std::mem::take(&mut answer.usage);
        let tokens = usage.first_count(&["billed_units.input_tokens", "tokens.input_tokens"]);
        let media = |what| usage.count(what).filter(|count| !count.is_zero());
        let (image_tokens, images) =
            (media("billed_units.image_tokens"), media("billed_units.images"));
        answer.reported(Factor::EmbeddingInput, tokens);
        answer.reported(Factor::InputImage, image_tokens);
        if image_tokens.is_none() {
            answer.reported(Factor::ImagesInput, images);
        }
        answer.usage = usage;
    }
}
