//! Gemini embeddings: `embedContent` and `batchEmbedContents`.

use super::answer::{Answer, Call};
use super::framing::Document;
use super::{Guess, Shape, USAGE_LIMIT, gemini_usage};
use crate::json::{Kind, Want};

/// Reads embeddings.
#[derive(Debug, Default)]
pub(super) struct Embed;

impl Shape for Embed {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["usageMetadata" | "usage_metadata"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, _path: &[&str], json: &str, answer: &mut Answer) {
        answer.snapshot(json);
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        if document == Document::Whole {
            answer.complete();
        }
    }

    fn guess(&self) -> Guess {
        Guess::EmbeddedText
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        gemini_usage::bill_embedding(answer);
    }
}
