//! Gemini `generateContent`: one answer, an event stream, or one JSON array.
//!
//! Every chunk carries the usage so far. Keys come in camel case, through some proxies in
//! snake case; enums come as words or, when asked for, as numbers
//! (ai.google.dev/api/generate-content, read 2026-11-20).

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::{NAME_LIMIT, Shape, USAGE_LIMIT, gemini_usage};
use crate::json::{Kind, Want, plain};
use crate::usage::{Basis, Factor, UsageLine};

/// Searches told apart; a call makes a handful.
const SEARCH_LIMIT: usize = 256;

/// Reads generated content.
#[derive(Debug, Default)]
pub(super) struct Generate {
    usage: Members,
    has_finished: bool,
    /// The distinct searches, as hashes: the words themselves are content.
    searches: BTreeSet<u64>,
    /// A page of the web was among the sources.
    is_grounded: bool,
}

impl Shape for Generate {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["modelVersion" | "model_version" | "responseId" | "response_id"], Kind::String) => {
                Want::Keep(NAME_LIMIT)
            }
            (["usageMetadata" | "usage_metadata"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["candidates" | "promptFeedback" | "prompt_feedback"] | ["candidates", _], _) => {
                Want::Walk
            }
            (["candidates", _, rest @ ..], _) => self.want_of_candidate(rest, kind),
            ([_, "blockReason" | "block_reason"], Kind::String | Kind::Number) => {
                Want::Keep(NAME_LIMIT)
            }
            _ => Want::Skip,
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["modelVersion" | "model_version"] => name(&mut answer.model, json),
            ["responseId" | "response_id"] => name(&mut answer.id, json),
            ["usageMetadata" | "usage_metadata"] => self.usage.update_from(json),
            [.., "finishReason" | "finish_reason"] => self.finished(word(json, &FINISHES), answer),
            [.., "blockReason" | "block_reason"] => {
                if let Some(reason) = word(json, &BLOCKS) {
                    self.finished(Some(format!("blocked:{reason}")), answer);
                }
            }
            [.., "webSearchQueries" | "web_search_queries", _] if json.len() > 2 => {
                let mut hasher = DefaultHasher::new();
                json.hash(&mut hasher);
                if self.searches.len() < SEARCH_LIMIT {
                    self.searches.insert(hasher.finish());
                }
            }
            [.., "inlineData" | "inline_data", _] => answer.seen.content = true,
            _ => {}
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        if document == Document::Whole || self.has_finished {
            answer.complete();
            answer.seen.usage = !self.usage.is_empty();
        }
    }

    fn recall(&mut self, recorded: &Recorded<'_>, _answer: &mut Answer) {
        self.usage = Members::of(recorded.usage.as_str());
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        self.usage.settle(answer);
        gemini_usage::bill(answer);
        if !self.searches.is_empty() {
            let count = self.searches.len() as u64;
            let line = UsageLine::reported(Factor::ToolWebSearch, count);
            let grounded = ("grounded".into(), self.is_grounded.to_string().into());
            answer.lines.push(UsageLine {
                basis: Basis::Derived,
                attributes: vec![grounded],
                ..line
            });
        }
    }
}

impl Generate {
    /// What to do with a value of a candidate, by its path there.
    fn want_of_candidate(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["finishReason" | "finish_reason"], Kind::String | Kind::Number) => {
                Want::Keep(NAME_LIMIT)
            }
            (["content"] | ["content", "parts"] | ["content", "parts", _], _) => Want::Walk,
            (["content", "parts", _, "text"], Kind::String) => Want::Count,
            (
                [
                    "content",
                    "parts",
                    _,
                    "functionCall" | "function_call" | "executableCode" | "executable_code",
                ],
                Kind::Object,
            ) => Want::Count,
            (["content", "parts", _, "inlineData" | "inline_data"], _) => Want::Walk,
            // Base64: that it is there is enough.
            (["content", "parts", _, _, "data"], Kind::String) => Want::Keep(8),
            (["groundingMetadata" | "grounding_metadata"], _) => Want::Walk,
            ([_, "webSearchQueries" | "web_search_queries"], Kind::Array) => Want::Walk,
            ([_, "webSearchQueries" | "web_search_queries", _], Kind::String) => {
                Want::Keep(USAGE_LIMIT)
            }
            (
                [_, "groundingChunks" | "grounding_chunks"]
                | [_, "groundingChunks" | "grounding_chunks", _],
                _,
            ) => Want::Walk,
            ([_, "groundingChunks" | "grounding_chunks", _, "web"], Kind::Object) => {
                self.is_grounded = true;
                Want::Skip
            }
            _ => Want::Skip,
        }
    }

    fn finished(&mut self, reason: Option<String>, answer: &mut Answer) {
        if let Some(reason) = reason {
            self.has_finished = true;
            answer.finished(&reason);
        }
    }
}

/// An enum's word, also where it is told by number; the first of each says nothing.
fn word(json: &str, words: &[&str]) -> Option<String> {
    let text = plain(json);
    let word = match text.parse::<usize>() {
        Ok(number) => words.get(number).map_or(text, |word| (*word).into()),
        Err(_) => text,
    };
    (!word.is_empty() && !word.ends_with("_UNSPECIFIED")).then_some(word)
}

/// `Candidate.FinishReason` by number.
const FINISHES: [&str; 18] = [
    "",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "LANGUAGE",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "NO_IMAGE",
];

/// `PromptFeedback.BlockReason` by number.
const BLOCKS: [&str; 6] =
    ["", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"];
