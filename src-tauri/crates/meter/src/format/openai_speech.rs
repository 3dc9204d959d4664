//! OpenAI-shaped speech: the sound itself, or events of which the last one has usage. Without
//! usage the characters of the request are what is billed.

use super::answer::{Answer, Call};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want};
use crate::usage::Factor;

/// Reads speech.
#[derive(Debug, Default)]
pub(super) struct Speech {
    is_done: bool,
}

impl Shape for Speech {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["type"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["type"] if json.ends_with(".delta\"") => answer.seen.content = true,
            ["type"] => self.is_done = json.ends_with(".done\""),
            _ => answer.snapshot(json),
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        if self.is_done || document == Document::Whole {
            answer.complete();
        }
    }

    fn may_be_raw(&self) -> bool {
        true
    }

    fn guess(&self) -> Guess {
        Guess::Nothing
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        openai_usage::bill(answer, call);
        for line in &mut answer.lines {
            if line.factor == Factor::OutputText {
                line.factor = Factor::OutputAudio;
            }
        }
        let characters = call.asked.text.characters();
        if answer.lines.is_empty() && characters > 0 {
            answer.derived(Factor::TtsCharacters, characters);
        }
    }
}
