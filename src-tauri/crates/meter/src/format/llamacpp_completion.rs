//! llama.cpp's own completion: one document, several in an array, or events.
//!
//! The piece with `stop` has the counts. `tokens_cached` is what the cache holds afterwards;
//! what came from it is the part of the prompt that was not computed anew
//! (github.com/ggml-org/llama.cpp, tools/server, read 2026-11-21).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::{NAME_LIMIT, Shape};
use crate::json::{Kind, Want};
use crate::usage::{Count, Factor};

const PROMPT: &str = "tokens_evaluated";
const OUTPUT: &str = "tokens_predicted";
const COMPUTED: &str = "prompt_n";

/// Reads completions.
#[derive(Debug, Default)]
pub(super) struct Completion {
    /// Of the document that is being read.
    piece: Members,
    is_last: bool,
    /// Of the finished prompts.
    told: Members,
}

impl Shape for Completion {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["model" | "stop_type"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["stop"], Kind::Bool) => Want::Keep(8),
            ([PROMPT | OUTPUT] | ["timings", COMPUTED], Kind::Number) => Want::Keep(NAME_LIMIT),
            (["timings"], Kind::Object) => Want::Walk,
            (["content"], Kind::String) => Want::Count,
            _ => Want::Skip,
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["model"] => name(&mut answer.model, json),
            // Pieces in between say `none`.
            ["stop_type"] if json != "\"none\"" => answer.finished(json),
            ["stop"] => self.is_last = json == "true",
            [PROMPT | OUTPUT] | ["timings", COMPUTED] => {
                self.piece.set(path.last().copied().unwrap_or_default(), json);
            }
            _ => {}
        }
    }

    fn document(&mut self, _document: Document<'_>, answer: &mut Answer) {
        let piece = std::mem::take(&mut self.piece);
        if std::mem::take(&mut self.is_last) {
            answer.complete();
            answer.seen.usage = piece.get(PROMPT).is_some();
            self.told = sum(&self.told, piece);
        }
    }

    fn recall(&mut self, recorded: &Recorded<'_>, _answer: &mut Answer) {
        self.told = Members::of(recorded.usage.as_str());
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        if self.told.is_empty() {
            return;
        }
        self.told.settle(answer);
        let prompt = self.told.count(PROMPT).unwrap_or_default();
        // Without timings nothing is known of a cache.
        let fresh = self.told.count(COMPUTED).unwrap_or(prompt).min(prompt);
        let cached = prompt.less(fresh).filter(|count| !count.is_zero());
        answer.reported(Factor::InputText, Some(fresh));
        answer.reported(Factor::InputCacheRead, cached);
        answer.reported(Factor::OutputText, self.told.count(OUTPUT));
    }
}

/// Of several prompts, what they come to together.
fn sum(before: &Members, mut piece: Members) -> Members {
    for (key, json) in before.iter() {
        let both =
            Count::parse(json).unwrap_or_default().plus(piece.count(key).unwrap_or_default());
        piece.set(key, &both.to_string());
    }
    piece
}
