//! Bedrock Converse, one document or a stream of frames. What is cached stands beside the
//! input tokens (docs.aws.amazon.com/bedrock/latest/APIReference, `TokenUsage`, read 2026-11-20).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{NAME_LIMIT, Shape, USAGE_LIMIT};
use crate::json::{Kind, Want};
use crate::usage::{Count, Factor};

/// Reads conversations.
#[derive(Debug, Default)]
pub(super) struct Converse {
    has_stopped: bool,
}

impl Shape for Converse {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["stopReason"] | ["serviceTier", "type"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["trace", "promptRouter", "invokedModelId"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["serviceTier" | "output" | "delta" | "trace"], _)
            | (["output", "message"] | ["output", "message", "content"], _)
            | (["output", "message", "content", _], _)
            | (["output", "message", "content", _, "reasoningContent"], _)
            | (["output", "message", "content", _, "reasoningContent", "reasoningText"], _)
            | (["delta", "reasoningContent" | "toolUse"] | ["trace", "promptRouter"], _) => {
                Want::Walk
            }
            (["delta", "text"] | ["delta", "reasoningContent", "text"], Kind::String)
            | (["delta", "toolUse", "input"], Kind::String)
            | (["output", "message", "content", _, "text"], Kind::String)
            | (["output", "message", "content", _, "toolUse"], Kind::Object)
            | ([.., "reasoningText", "text"], Kind::String) => Want::Count,
            _ => Want::Skip,
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["usage"] => answer.snapshot(json),
            ["stopReason"] => {
                self.has_stopped = true;
                answer.finished(json);
            }
            ["serviceTier", ..] => name(&mut answer.service_tier, json),
            _ => name(&mut answer.model, json),
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        answer.seen.content_done |= self.has_stopped;
        // The usage comes behind the stop, as the last thing.
        if document == Document::Whole || self.has_stopped && !answer.usage.is_empty() {
            answer.complete();
        }
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        lines(answer);
    }
}

/// Makes disjoint lines of the usage.
pub(super) fn lines(answer: &mut Answer) {
    let usage = std::mem::take(&mut answer.usage);
    answer.reported(Factor::InputText, usage.count("inputTokens"));
    let read = usage.first_count(&["cacheReadInputTokens", "cacheReadInputTokenCount"]);
    answer.reported(Factor::InputCacheRead, read);
    let written = usage.first_count(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
    let written = written.filter(|count| !count.is_zero());
    let of = |ttl: &str| -> Count {
        let details = usage.items("cacheDetails").into_iter();
        let mine = details.filter(|entry| entry.text("ttl") == Some(ttl));
        mine.filter_map(|entry| entry.count("inputTokens")).sum()
    };
    let (short, long) = (of("5m"), of("1h"));
    if written == Some(short.plus(long)) {
        answer.reported(Factor::InputCacheWrite5m, Some(short).filter(|count| !count.is_zero()));
        answer.reported(Factor::InputCacheWrite1h, Some(long).filter(|count| !count.is_zero()));
    } else {
        answer.reported(Factor::InputCacheWrite, written);
    }
    answer.reported(Factor::OutputText, usage.count("outputTokens"));
    answer.usage = usage;
}
