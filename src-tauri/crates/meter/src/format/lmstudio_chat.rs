//! LM Studio's own chat: one document, or events of which the last, `chat.end`, wraps that
//! document (github.com/lmstudio-ai/docs, REST, read 2026-11-21).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{NAME_LIMIT, Shape, USAGE_LIMIT};
use crate::json::{Kind, Want};
use crate::receipt::Anomaly;
use crate::usage::{Count, Factor};

/// Reads chats.
#[derive(Debug, Default)]
pub(super) struct Chat {
    stats: Option<Box<str>>,
}

impl Shape for Chat {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["model_instance_id"] | ["result", "model_instance_id"], Kind::String)
            | (["response_id"] | ["result", "response_id"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["stats"] | ["result", "stats"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            // What the last event repeats has been counted.
            (["content"] | ["output", _, "content"], Kind::String) => Want::Count,
            (["result" | "output"] | ["output", _], _) => Want::Walk,
            _ => Want::Skip,
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            [.., "model_instance_id"] => name(&mut answer.model, json),
            [.., "response_id"] => name(&mut answer.id, json),
            [.., "stats"] => self.stats = Some(json.into()),
            _ => {}
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        let stats = self.stats.take();
        if let Some(stats) = &stats {
            answer.snapshot(stats);
        }
        if stats.is_some() || document == Document::Whole {
            answer.complete();
        }
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        let count = |name: &str| answer.usage.count(name);
        let (input, output) = (count("input_tokens"), count("total_output_tokens"));
        let reasoning = count("reasoning_output_tokens").filter(|count| !count.is_zero());
        let text = output.map(|all| all.less(reasoning.unwrap_or_default()));
        if text == Some(None) {
            answer.flag(Anomaly::PartsExceedTotal);
        }
        answer.reported(Factor::InputText, input);
        answer.reported(Factor::OutputText, text.map(|text| text.unwrap_or(Count::ZERO)));
        answer.reported(Factor::OutputReasoning, reasoning);
    }
}
