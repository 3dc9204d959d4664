//! Ollama's own API: chat and completions as newline-delimited JSON or one document, and
//! embeddings.
//!
//! The line with `done` has the counts; zeros are left out of it, and so is a prompt that
//! came from the cache (github.com/ollama/ollama, docs/api.md, read 2026-11-20).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::{Guess, NAME_LIMIT, Shape};
use crate::json::{Kind, Want};
use crate::usage::Factor;

const PROMPT: &str = "prompt_eval_count";
const OUTPUT: &str = "eval_count";

/// Reads answers.
#[derive(Debug, Default)]
pub(super) struct Ollama {
    usage: Members,
    is_done: bool,
    /// A model was loaded or unloaded; nothing was generated.
    is_load: bool,
    is_embedding: bool,
}

impl Shape for Ollama {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["model" | "done_reason"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["done"], Kind::Bool) => Want::Keep(8),
            (
                [
                    PROMPT
                    | OUTPUT
                    | "total_duration"
                    | "load_duration"
                    | "prompt_eval_duration"
                    | "eval_duration",
                ],
                Kind::Number,
            ) => Want::Keep(NAME_LIMIT),
            (["embedding" | "embeddings"], _) => {
                self.is_embedding = true;
                Want::Skip
            }
            (["message"], Kind::Object) => Want::Walk,
            (["response" | "thinking"] | ["message", "content" | "thinking"], Kind::String)
            | (["message", "tool_calls"], Kind::Array) => Want::Count,
            _ => Want::Skip,
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["model"] => name(&mut answer.model, json),
            ["done"] => self.is_done = json == "true",
            ["done_reason"] => {
                self.is_load = matches!(json, "\"load\"" | "\"unload\"");
                answer.finished(json);
            }
            [key] => self.usage.set(key, json),
            _ => {}
        }
    }

    fn document(&mut self, _document: Document<'_>, answer: &mut Answer) {
        if self.is_done || self.is_embedding {
            answer.complete();
            answer.seen.usage = self.counts_something();
        }
    }

    fn guess(&self) -> Guess {
        match (self.is_load, self.is_embedding) {
            (true, _) => Guess::NothingToPay,
            (false, true) => Guess::EmbeddedText,
            (false, false) => Guess::PromptAndAnswer,
        }
    }

    fn recall(&mut self, recorded: &Recorded<'_>, _answer: &mut Answer) {
        self.usage = Members::of(recorded.usage.as_str());
        self.is_embedding = recorded.is_of_embeddings();
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        if !self.usage.is_empty() {
            self.usage.settle(answer);
        }
        let prompt = if self.is_embedding { Factor::EmbeddingInput } else { Factor::InputText };
        answer.reported(prompt, self.usage.count(PROMPT));
        answer.reported(Factor::OutputText, self.usage.count(OUTPUT));
    }
}

impl Ollama {
    fn counts_something(&self) -> bool {
        self.usage.get(PROMPT).or_else(|| self.usage.get(OUTPUT)).is_some()
    }
}
