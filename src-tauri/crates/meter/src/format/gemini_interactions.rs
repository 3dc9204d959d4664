//! Gemini Interactions: an interaction as a whole, or the events of one.
//!
//! A stream's events wrap the same interaction that a plain call answers with, so the paths
//! below are those inside it (ai.google.dev/api/interactions-api, read 2026-11-20).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::trouble::Failure;
use super::{NAME_LIMIT, Shape, USAGE_LIMIT, gemini_usage};
use crate::json::{Kind, Want, plain};
use crate::receipt::Status;
use crate::usage::{Factor, UsageLine};

/// Reads interactions.
#[derive(Debug, Default)]
pub(super) struct Interactions {
    event: Event,
}

/// What the current document says; it counts once the document is complete.
#[derive(Debug, Default)]
struct Event {
    kind: Option<Box<str>>,
    status: Option<Box<str>>,
    usage: Option<Box<str>>,
}

/// The path inside the interaction.
fn inner<'a, 'b>(path: &'a [&'b str]) -> &'a [&'b str] {
    if let ["interaction", inner @ ..] = path { inner } else { path }
}

impl Shape for Interactions {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (inner(path), kind) {
            (
                [
                    "event_type" | "id" | "interaction_id" | "model" | "agent" | "status"
                    | "service_tier",
                ],
                Kind::String,
            ) => Want::Keep(NAME_LIMIT),
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            ([] | ["delta"] | ["delta", "content"], Kind::Object) => Want::Walk,
            (["delta", "text" | "arguments"] | ["delta", "content", "text"], Kind::String)
            | (["delta", "arguments"], Kind::Object) => Want::Count,
            (["delta", "data"], Kind::String) => Want::Keep(8),
            (["steps" | "outputs", rest @ ..], _) => want_of_step(rest, kind),
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match inner(path) {
            ["event_type"] => self.event.kind = Some(plain(json).into()),
            ["id" | "interaction_id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            ["agent"] if answer.model.is_none() => name(&mut answer.model, json),
            ["status"] => self.event.status = Some(plain(json).into()),
            ["service_tier"] => name(&mut answer.service_tier, json),
            ["usage"] => self.event.usage = Some(json.into()),
            // A picture or sound in base64.
            ["delta", "data"] => answer.seen.content = true,
            _ => {}
        }
    }

    fn document(&mut self, _document: Document<'_>, answer: &mut Answer) {
        let event = std::mem::take(&mut self.event);
        if let Some(usage) = &event.usage {
            answer.snapshot(usage);
        }
        match event.kind.as_deref() {
            None | Some("interaction.completed" | "interaction.complete") => {
                settle(event.status.as_deref(), answer);
            }
            Some(_) => {}
        }
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        gemini_usage::bill(answer);
        for tool in answer.usage.items("grounding_tool_count") {
            let Some(count) = tool.count("count").filter(|count| !count.is_zero()) else {
                continue;
            };
            let factor = match tool.text("type") {
                Some("google_search") | None => Factor::ToolWebSearch,
                Some("retrieval") => Factor::ToolFileSearch,
                Some(other) => Factor::ToolOther(other.into()),
            };
            let attributes = match factor {
                Factor::ToolWebSearch => vec![("grounded".into(), "true".into())],
                _ => Vec::new(),
            };
            answer.lines.push(UsageLine { attributes, ..UsageLine::reported(factor, count) });
        }
    }
}

/// What to do with a value of a step, by its path below the list of steps.
fn want_of_step(path: &[&str], kind: Kind) -> Want {
    match (path, kind) {
        ([_, "text"] | [_, "content" | "summary", _, "text"], Kind::String)
        | ([_, "arguments"], Kind::Object | Kind::String) => Want::Count,
        ([] | [_] | [_, "content" | "summary"] | [_, "content" | "summary", _], _) => Want::Walk,
        _ => Want::Skip,
    }
}

/// An interaction as a whole: the answer itself, or a stream's last word.
fn settle(status: Option<&str>, answer: &mut Answer) {
    match status {
        Some("in_progress" | "queued") => answer.outcome = Some(Status::Pending),
        Some("cancelled") => answer.outcome = Some(Status::Cancelled),
        Some("failed") => answer.fail(Failure { word: Some("failed".into()), sentence: None }),
        Some(_) | None => {}
    }
    if let Some(status) = status.filter(|_| answer.outcome != Some(Status::Pending)) {
        answer.finished(status);
    }
    answer.complete();
}
