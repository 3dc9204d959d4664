//! Servers that generate text and count it beside the text: as results with counts of their
//! own, or with `details` (cloud.ibm.com/apidocs/watsonx-ai,
//! github.com/huggingface/text-generation-inference, read 2026-11-21).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::{NAME_LIMIT, Shape};
use crate::json::{Kind, Want};
use crate::usage::{Count, Factor};

const INPUT: [&str; 2] = ["input_token_count", "input_length"];
const OUTPUT: [&str; 2] = ["generated_token_count", "generated_tokens"];

/// Reads generated text.
#[derive(Debug, Default)]
pub(super) struct Generation {
    /// The counts; those of several results are added up, those of events replace each other.
    usage: Members,
    result: Members,
    document: Members,
    prefilled: u64,
    has_finished: bool,
    is_embedding: bool,
}

/// The path inside one result.
fn inner<'a, 'b>(path: &'a [&'b str]) -> &'a [&'b str] {
    if let ["results", _, inner @ ..] = path { inner } else { path }
}

impl Shape for Generation {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (inner(path), kind) {
            (["model_id" | "stop_reason"] | ["details", "finish_reason"], Kind::String) => {
                Want::Keep(NAME_LIMIT)
            }
            ([key] | ["details", key], Kind::Number)
                if INPUT.contains(key) || OUTPUT.contains(key) =>
            {
                Want::Keep(NAME_LIMIT)
            }
            (["embedding"], Kind::Array) => {
                self.is_embedding = true;
                Want::Skip
            }
            (["details", "prefill", _], Kind::Object) => {
                self.prefilled += 1;
                Want::Skip
            }
            (["generated_text"] | ["token", "text"], Kind::String) => Want::Count,
            ([] | ["results" | "details" | "token"] | ["details", "prefill"], _) => Want::Walk,
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match inner(path) {
            ["model_id"] => name(&mut answer.model, json),
            // Events in between say that nothing is over yet.
            ["stop_reason"] if json.eq_ignore_ascii_case("\"not_finished\"") => {}
            ["stop_reason"] | ["details", "finish_reason"] => {
                self.has_finished = true;
                answer.finished(json);
            }
            [key] | ["details", key] => self.result.set(key, json),
            _ => {}
        }
    }

    fn left(&mut self, path: &[&str], _answer: &mut Answer) {
        if let ["results", _] = path {
            let result = std::mem::take(&mut self.result);
            self.document = sum(&self.document, result);
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        let rest = std::mem::take(&mut self.result);
        let told = sum(&std::mem::take(&mut self.document), rest);
        self.usage.update(&told);
        if self.prefilled > 0 && INPUT.iter().all(|key| self.usage.get(key).is_none()) {
            self.usage.set(INPUT[1], &self.prefilled.to_string());
        }
        if document == Document::Whole || self.has_finished {
            answer.complete();
            answer.seen.usage = !self.usage.is_empty();
        }
    }

    fn recall(&mut self, recorded: &Recorded<'_>, _answer: &mut Answer) {
        self.usage = Members::of(recorded.usage.as_str());
        self.is_embedding = recorded.is_of_embeddings();
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        if self.usage.is_empty() {
            return;
        }
        self.usage.settle(answer);
        let count = |keys: [&str; 2]| keys.iter().find_map(|key| self.usage.count(key));
        let prompt = if self.is_embedding { Factor::EmbeddingInput } else { Factor::InputText };
        answer.reported(prompt, count(INPUT));
        answer.reported(Factor::OutputText, count(OUTPUT).filter(|_| !self.is_embedding));
    }
}

fn sum(before: &Members, mut more: Members) -> Members {
    for (key, json) in before.iter() {
        let before = Count::parse(json).unwrap_or_default();
        let both = before.plus(more.count(key).unwrap_or_default());
        more.set(key, &both.to_string());
    }
    more
}
