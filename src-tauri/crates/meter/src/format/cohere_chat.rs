//! Cohere's own chat, versions 1 and 2, streamed and not, and its older text generation.
//!
//! What is to be paid stands in `billed_units`; `tokens` beside it has the provider's own
//! template in it, and `cached_tokens` are those of that template, so neither is a line
//! (docs.cohere.com/reference/chat, read 2026-11-20).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::trouble::Failure;
use super::{NAME_LIMIT, Shape, USAGE_LIMIT};
use crate::json::{Kind, Want, plain};
use crate::leaves::Leaves;
use crate::receipt::Anomaly;
use crate::usage::{Count, Factor};

/// Reads chats.
#[derive(Debug, Default)]
pub(super) struct Chat {
    event: Event,
}

/// What the current document says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Event {
    /// Nothing: a plain answer does not say.
    #[default]
    Unnamed,
    /// The stream's last word, in either version's.
    Last,
    Other,
}

impl Shape for Chat {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["response" | "delta"], Kind::Object) => Want::Walk,
            (["id" | "response_id" | "model"], Kind::String)
            | (["response", "response_id"], Kind::String)
            | (["type" | "event_type"], Kind::String)
            | (["delta", "error"], Kind::String)
            | (["finish_reason"] | ["delta" | "response", "finish_reason"], Kind::String)
            | (["generations", _, "finish_reason"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage" | "meta"] | ["delta", "usage"] | ["response", "meta"], Kind::Object) => {
                Want::Keep(USAGE_LIMIT)
            }
            (["text"] | ["generations", _, "text"], Kind::String) => Want::Count,
            (["generations"] | ["generations", _], _) => Want::Walk,
            (["tool_calls" | "tool_call_delta"], _) => Want::Count,
            (["message", rest @ ..] | ["delta", "message", rest @ ..], _) => want_of(rest, kind),
            _ => Want::Skip,
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["type" | "event_type"] => {
                self.event = match json {
                    r#""message-end""# | r#""stream-end""# => Event::Last,
                    _ => Event::Other,
                };
            }
            ["id"] | [.., "response_id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            [.., "usage" | "meta"] => answer.snapshot(json),
            [.., "finish_reason"] => answer.finished(json),
            ["delta", "error"] => {
                answer.fail(Failure { word: None, sentence: Some(plain(json).into()) });
            }
            _ => {}
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        match std::mem::take(&mut self.event) {
            Event::Last => answer.complete(),
            Event::Unnamed if document == Document::Whole => answer.complete(),
            Event::Unnamed | Event::Other => {}
        }
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        let usage = std::mem::take(&mut answer.usage);
        answer.reported(Factor::InputText, told(&usage, "input_tokens"));
        output(&usage, answer);
        answer.reported(Factor::ClassifyUnits, usage.count("billed_units.classifications"));
        answer.usage = usage;
    }
}

/// What to do with a value of a message or its delta, by its path there.
fn want_of(path: &[&str], kind: Kind) -> Want {
    match (path, kind) {
        ([] | ["content"] | ["content", _], Kind::Object | Kind::Array) => Want::Walk,
        (["content", "text" | "thinking"] | ["content", _, "text" | "thinking"], Kind::String)
        | (["content" | "tool_plan"], Kind::String)
        | (["tool_calls"], _) => Want::Count,
        _ => Want::Skip,
    }
}

/// What is billed, or where nothing is said about that, what there was.
fn told(usage: &Leaves, side: &str) -> Option<Count> {
    ["billed_units", "tokens"].iter().find_map(|place| usage.count(&format!("{place}.{side}")))
}

/// The reasoning is told apart only of the tokens, and is part of what is billed.
fn output(usage: &Leaves, answer: &mut Answer) {
    let Some(total) = told(usage, "output_tokens") else { return };
    let reasoning = usage.count("tokens.reasoning_tokens").filter(|count| !count.is_zero());
    let text = total.less(reasoning.unwrap_or_default());
    if text.is_none() {
        answer.flag(Anomaly::PartsExceedTotal);
    }
    answer.reported(Factor::OutputText, Some(text.unwrap_or_default()));
    answer.reported(Factor::OutputReasoning, reasoning.map(|reasoning| reasoning.min(total)));
}
