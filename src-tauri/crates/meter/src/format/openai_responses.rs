//! OpenAI Responses, streamed and not.
//!
//! A stream's events wrap the same response that a plain call answers with, so the paths
//! below are those inside the response. Only its last event has usage, and repeats everything.

mod hosted;

use hosted::Hosted;

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::reread::Recorded;
use super::trouble::{Failure, Trouble};
use super::{NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want, plain};
use crate::receipt::Status;
use crate::request::TextCount;

/// Reads responses.
#[derive(Debug, Default)]
pub(super) struct Responses {
    event: Event,
    hosted: Hosted,
}

/// What the current document says; it counts once the document is complete.
#[derive(Debug, Default)]
struct Event {
    kind: Option<Box<str>>,
    status: Option<Box<str>>,
    incomplete: Option<Box<str>>,
    usage: Option<Box<str>>,
    /// The error of the response.
    trouble: Trouble,
    /// The fields of an `error` event, which has no wrapper.
    bare: Trouble,
    item_type: Option<Box<str>>,
}

/// The path inside the response.
fn inner<'a, 'b>(path: &'a [&'b str]) -> &'a [&'b str] {
    if let ["response", inner @ ..] = path { inner } else { path }
}

impl Shape for Responses {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        let is_wrapped = path.first() == Some(&"response");
        match (inner(path), kind) {
            (["error", ..], _) => self.event.trouble.want(inner(path), kind),
            (["code" | "message"], Kind::String) => self.event.bare.want(path, kind),
            (["type" | "id" | "model" | "status" | "service_tier"], Kind::String)
            | (["incomplete_details", "reason"], Kind::String)
            | (["item", "type"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            ([] | ["incomplete_details"], _) => Want::Walk,
            (["delta"], Kind::String) if !is_wrapped => Want::Count,
            (["output", _, rest @ ..], _) if !is_wrapped && is_text(rest, kind) => Want::Count,
            (inner, _) => self.hosted.want(inner, kind),
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match inner(path) {
            ["error", ..] => self.event.trouble.kept(inner(path), json),
            ["code" | "message"] => self.event.bare.kept(path, json),
            ["type"] => self.event.kind = Some(plain(json).into()),
            ["status"] => self.event.status = Some(plain(json).into()),
            ["incomplete_details", "reason"] => self.event.incomplete = Some(json.into()),
            ["usage"] => self.event.usage = Some(json.into()),
            ["id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            ["service_tier"] => name(&mut answer.service_tier, json),
            other => {
                if other == ["item", "type"] {
                    self.event.item_type = Some(plain(json).into());
                }
                self.hosted.kept(other, json);
            }
        }
    }

    fn counted(&mut self, path: &[&str], text: TextCount, answer: &mut Answer) {
        // Sound and pictures come as deltas too, in base64: content, but not text.
        let is_media = |kind: &str| kind.contains("audio.delta") || kind.contains("image");
        if path == ["delta"] && self.event.kind.as_deref().is_some_and(is_media) {
            answer.seen.content = true;
        } else {
            answer.content(text);
        }
    }

    fn left(&mut self, path: &[&str], _answer: &mut Answer) {
        self.hosted.left(inner(path));
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        let event = std::mem::take(&mut self.event);
        let named = match document {
            Document::Event(name) => event.kind.as_deref().unwrap_or(name),
            Document::Whole | Document::Item => "",
        };
        match named {
            ""
            | "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => self.settle(event, answer),
            "error" => self.fail(event, answer),
            "response.output_item.added" => answer.seen.content_done = false,
            "response.output_item.done" => {
                self.hosted.keep_items();
                answer.seen.content_done = event.item_type.as_deref() != Some("reasoning");
            }
            _ => self.hosted.forget_items(),
        }
    }

    fn recall(&mut self, recorded: &Recorded<'_>, answer: &mut Answer) {
        answer.snapshot(recorded.usage.as_str());
        self.hosted.recall(recorded);
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        openai_usage::bill(answer, call);
        self.hosted.bill(answer);
    }
}

impl Responses {
    /// A response as a whole: the answer itself, or a stream's last word.
    fn settle(&mut self, mut event: Event, answer: &mut Answer) {
        self.hosted.replace_items();
        if let Some(usage) = &event.usage {
            answer.snapshot(usage);
        }
        match event.status.as_deref() {
            Some("queued" | "in_progress") => answer.outcome = Some(Status::Pending),
            Some("cancelled") => answer.outcome = Some(Status::Cancelled),
            Some("failed") => return self.fail(event, answer),
            Some(_) | None => {}
        }
        if let Some(failure) = event.trouble.take() {
            answer.fail(failure);
        }
        match (&event.incomplete, &event.status) {
            (Some(reason), _) => answer.finished(reason),
            (None, Some(status)) if answer.outcome != Some(Status::Pending) => {
                answer.finished(status);
            }
            (None, _) => {}
        }
        answer.complete();
    }

    fn fail(&mut self, mut event: Event, answer: &mut Answer) {
        let failure = event.trouble.take().or_else(|| event.bare.take());
        answer.fail(failure.unwrap_or_else(|| Failure {
            word: Some(event.status.unwrap_or_else(|| "error".into())),
            sentence: None,
        }));
        answer.complete();
    }
}

/// Whether the value at this path of an output item is text of the answer.
fn is_text(path: &[&str], kind: Kind) -> bool {
    let text = matches!(
        path,
        ["content", _, "text" | "refusal"] | ["summary", _, "text"] | ["arguments" | "input"]
    );
    text && kind == Kind::String
}
