//! Conversations kept by the provider, with tools it runs itself: one document or events.
//!
//! What tools read stands beside prompt and answer and only the total has it all
//! (docs.mistral.ai/agents/connectors, read 2026-11-21).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::trouble::{Failure, Trouble};
use super::{NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want, plain};
use crate::leaves::Leaves;
use crate::usage::{Count, Factor};

/// Reads conversations.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    event: Option<Box<str>>,
    trouble: Trouble,
}

impl Shape for Conversation {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["type" | "model" | "conversation_id"] | ["outputs", _, "model"], Kind::String) => {
                Want::Keep(NAME_LIMIT)
            }
            (["message" | "code"], Kind::String | Kind::Number) => self.trouble.want(path, kind),
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["content" | "arguments"], Kind::String)
            | (["content", "text" | "thinking"], Kind::String)
            | (["outputs", _, "content" | "arguments"], Kind::String)
            | (["outputs", _, "content", _, "text" | "thinking"], Kind::String) => Want::Count,
            (["content" | "outputs"] | ["outputs", _] | ["outputs", _, "content"], _)
            | (["outputs", _, "content", _], _) => Want::Walk,
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["type"] => self.event = Some(plain(json).into()),
            ["conversation_id"] => name(&mut answer.id, json),
            [.., "model"] => name(&mut answer.model, json),
            ["usage"] => answer.snapshot(json),
            _ => self.trouble.kept(path, json),
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        let (event, failure) = (self.event.take(), self.trouble.take());
        match event.as_deref() {
            Some("conversation.response.error") => {
                let untold = || Failure { word: event.clone(), sentence: None };
                answer.fail(failure.unwrap_or_else(untold));
            }
            Some("conversation.response.done") => answer.complete(),
            _ if document == Document::Whole => answer.complete(),
            _ => {}
        }
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        openai_usage::bill(answer, call);
        let usage = std::mem::take(&mut answer.usage);
        let read = usage.count("connector_tokens").filter(|count| !count.is_zero());
        if let Some(read) = read.filter(|read| is_inside(*read, &usage)) {
            let text = answer.lines.iter_mut().find(|line| line.factor == Factor::InputText);
            if let Some(line) = text {
                line.count = line.count.less(read).unwrap_or_default();
            }
        }
        answer.reported(Factor::InputToolUse, read);
        for (tool, calls) in usage.under("connectors").all() {
            let factor = match tool {
                "web_search" => Factor::ToolWebSearch,
                "code_interpreter" => Factor::ToolCodeSession,
                "document_library" => Factor::ToolFileSearch,
                other => Factor::ToolOther(other.into()),
            };
            answer.reported(factor, Count::parse(calls).filter(|count| !count.is_zero()));
        }
        answer.usage = usage;
    }
}

/// Whether the prompt has in it what the tools read: the total tells.
fn is_inside(read: Count, usage: &Leaves) -> bool {
    let count = |name: &str| usage.count(name).unwrap_or_default();
    let prompt = count("prompt_tokens");
    prompt >= read && usage.count("total_tokens") == Some(prompt.plus(count("completion_tokens")))
}
