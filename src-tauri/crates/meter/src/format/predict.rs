//! Predictions: embeddings with their own counts, and finished images
//! (cloud.google.com/vertex-ai/generative-ai/docs/model-reference, read 2026-11-21).

use super::answer::{Answer, Call};
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::{Guess, NAME_LIMIT, Shape};
use crate::json::{Kind, Want};
use crate::usage::{Basis, Count, Factor, UsageLine};

const TOKENS: &str = "token_count";
const CHARACTERS: &str = "billableCharacterCount";

/// Reads predictions.
#[derive(Debug, Default)]
pub(super) struct Predictions {
    usage: Members,
    tokens: Option<Count>,
    images: u64,
    is_embedding: bool,
}

impl Shape for Predictions {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["predictions", _, "embeddings", "statistics", "token_count"], Kind::Number)
            | (["metadata", "billableCharacterCount"], Kind::Number) => Want::Keep(NAME_LIMIT),
            (["predictions", _, "bytesBase64Encoded" | "gcsUri"], Kind::String) => {
                self.images += 1;
                Want::Skip
            }
            (["predictions", _, "embeddings"], Kind::Object) => {
                self.is_embedding = true;
                Want::Walk
            }
            (["predictions", _, "textEmbedding" | "imageEmbedding" | "videoEmbeddings"], _) => {
                self.is_embedding = true;
                Want::Skip
            }
            (["predictions" | "metadata"] | ["predictions", _], _)
            | (["predictions", _, "embeddings", "statistics"], _) => Want::Walk,
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, _answer: &mut Answer) {
        match path {
            [.., TOKENS] => {
                let more = Count::parse(json);
                self.tokens = more.map(|more| self.tokens.unwrap_or_default().plus(more));
            }
            [.., key] => self.usage.set(key, json),
            [] => {}
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        if document == Document::Whole {
            if let Some(tokens) = self.tokens {
                self.usage.set(TOKENS, &tokens.to_string());
            }
            answer.complete();
            answer.seen.usage = self.tokens.is_some();
        }
    }

    fn guess(&self) -> Guess {
        if self.is_embedding { Guess::EmbeddedText } else { Guess::Nothing }
    }

    fn recall(&mut self, recorded: &Recorded<'_>, _answer: &mut Answer) {
        self.usage = Members::of(recorded.usage.as_str());
        self.is_embedding = recorded.is_of_embeddings();
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        if !self.usage.is_empty() {
            self.usage.settle(answer);
        }
        if let Some(tokens) = self.usage.count(TOKENS) {
            // Where billable characters are told, they may be what is billed, and the tokens
            // are only the nearest thing that has a price.
            let may_differ = self.usage.count(CHARACTERS).is_some();
            match may_differ {
                true => answer.derived(Factor::EmbeddingInput, tokens),
                false => answer.reported(Factor::EmbeddingInput, Some(tokens)),
            }
        }
        if self.images > 0 {
            answer.lines.push(UsageLine {
                basis: Basis::Derived,
                attributes: call.asked.attributes.clone(),
                ..UsageLine::reported(Factor::ImagesGenerated, self.images)
            });
        }
    }
}
