//! OpenAI-shaped transcriptions: usage in tokens or seconds, or only the sound's duration, or,
//! as plain text and subtitles, nothing at all.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want, plain};
use crate::usage::{Basis, Count, Factor, UsageLine};

/// Reads transcriptions.
#[derive(Debug, Default)]
pub(super) struct Transcription {
    duration: Option<Count>,
    is_done: bool,
}

impl Shape for Transcription {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["type" | "model" | "id"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["duration"], Kind::Number | Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["delta"], Kind::String) => Want::Count,
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["type"] => self.is_done = json.ends_with(".done\""),
            ["model"] => name(&mut answer.model, json),
            ["id"] => name(&mut answer.id, json),
            ["duration"] => self.duration = Count::parse(&plain(json)),
            _ => answer.snapshot(json),
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        if std::mem::take(&mut self.is_done) || document == Document::Whole {
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
        let told = answer.usage.first_count(&["seconds", "duration"]);
        answer.reported(Factor::AudioInputSeconds, told);
        if let Some(duration) = self.duration.filter(|_| answer.lines.is_empty()) {
            let line = UsageLine::reported(Factor::AudioInputSeconds, duration);
            answer.lines.push(UsageLine { basis: Basis::Derived, ..line });
        }
    }
}
