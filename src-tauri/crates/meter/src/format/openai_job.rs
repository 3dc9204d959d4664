//! OpenAI-shaped jobs: batches, fine-tuning, videos, runs of an assistant. Each is an object that is
//! shown over and over while its status changes; what it used stands there once it is over.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::reread::Recorded;
use super::trouble::{Failure, Trouble};
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want, plain};
use crate::receipt::{RawUsage, Status};
use crate::request::TextCount;
use crate::usage::{Count, Factor, UsageLine};

/// Half price, told by the sort of call alone.
const BATCH_TIER: &str = "batch";
const TRAINED: &str = "trained_tokens";
/// What others call that: docs.together.ai/reference/get-fine-tunes, read 2026-11-21.
const TOKEN_COUNT: &str = "token_count";
const SECONDS: &str = "seconds";

/// Reads jobs.
#[derive(Debug, Default)]
pub(super) struct Job {
    seen: Snapshot,
    is_batch: bool,
    /// The calls of a batch are embeddings.
    embeds: bool,
    trained: Option<Count>,
    /// Of a finished video, with what its price depends on.
    seconds: Option<Count>,
    size: Option<Box<str>>,
}

/// What the current document says; a run's stream has others than the run as well.
#[derive(Debug, Default)]
struct Snapshot {
    object: Option<Box<str>>,
    id: Option<Box<str>>,
    model: Option<Box<str>>,
    status: Option<Box<str>>,
    usage: Option<Box<str>>,
    trained: Option<Count>,
    seconds: Option<Count>,
    size: Option<Box<str>>,
    trouble: Trouble,
}

impl Shape for Job {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["object" | "id" | "model" | "status" | "endpoint" | "size"], Kind::String)
            | ([SECONDS], Kind::String | Kind::Number)
            | ([TRAINED | TOKEN_COUNT], Kind::Number)
            | (["last_error", "code" | "message"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["last_error"], Kind::Object) => Want::Walk,
            // A run's stream: pieces of a message.
            (["delta", "content", _, "text", "value"], Kind::String) => Want::Count,
            (
                ["delta"]
                | ["delta", "content"]
                | ["delta", "content", _]
                | ["delta", "content", _, "text"],
                _,
            ) => Want::Walk,
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, _answer: &mut Answer) {
        let text = || Some(plain(json).into());
        match path {
            ["object"] => self.seen.object = text(),
            ["id"] => self.seen.id = text(),
            ["model"] => self.seen.model = text(),
            ["status"] => self.seen.status = text(),
            ["endpoint"] => self.embeds = plain(json).ends_with("/embeddings"),
            ["usage"] => self.seen.usage = Some(json.into()),
            [SECONDS] => self.seen.seconds = Count::parse(&plain(json)),
            ["size"] => self.seen.size = text(),
            [TRAINED] => self.seen.trained = Count::parse(json),
            [TOKEN_COUNT] => self.seen.trained = self.seen.trained.or_else(|| Count::parse(json)),
            ["last_error", field] => self.seen.trouble.kept(&["error", field], json),
            _ => {}
        }
    }

    fn counted(&mut self, _path: &[&str], text: TextCount, answer: &mut Answer) {
        answer.content(text);
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        let seen = std::mem::take(&mut self.seen);
        let object = seen.object.as_deref().unwrap_or_default();
        if document != Document::Whole && object != "thread.run" {
            return;
        }
        self.is_batch |= object == "batch";
        self.settle(seen, answer);
    }

    fn guess(&self) -> Guess {
        Guess::Nothing
    }

    fn recall(&mut self, recorded: &Recorded<'_>, answer: &mut Answer) {
        answer.snapshot(recorded.usage.as_str());
        self.trained = answer.usage.count(TRAINED);
        self.seconds = answer.usage.count(SECONDS);
        self.embeds = recorded.is_of_embeddings();
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        if self.is_batch {
            name(&mut answer.service_tier, BATCH_TIER);
        }
        if self.embeds {
            answer.lines.extend(openai_usage::embedded(&answer.usage));
        } else {
            openai_usage::bill(answer, call);
        }
        answer.reported(Factor::TrainTokens, self.trained);
        if let Some(seconds) = self.seconds {
            let size = self.size.take().map(|size| ("size".into(), size));
            let line = UsageLine::reported(Factor::VideoSeconds, seconds);
            answer.lines.push(UsageLine { attributes: size.into_iter().collect(), ..line });
        }
    }
}

impl Job {
    fn settle(&mut self, mut seen: Snapshot, answer: &mut Answer) {
        for (place, word) in [(&mut answer.id, seen.id), (&mut answer.model, seen.model)] {
            if word.as_deref().is_some_and(|word| !word.is_empty()) {
                *place = word;
            }
        }
        let status = seen.status.as_deref().unwrap_or_default();
        let Some(outcome) = outcome(status) else {
            answer.outcome = Some(Status::Pending);
            answer.seen.terminal = true;
            return;
        };
        answer.outcome = (outcome != Status::Succeeded).then_some(outcome);
        if outcome == Status::Error {
            let untold = || Failure { word: seen.status.clone(), sentence: None };
            let failure = seen.trouble.take().unwrap_or_else(untold);
            answer.fail(failure);
        }
        answer.finished(status);
        if let Some(usage) = &seen.usage {
            answer.snapshot(usage);
        }
        if let Some(trained) = seen.trained {
            answer.set_raw(RawUsage::new(&format!("{{\"{TRAINED}\":{trained}}}")));
        }
        // A failed video is not billed.
        self.seconds = seen.seconds.filter(|_| outcome == Status::Succeeded);
        if let Some(seconds) = self.seconds {
            answer.set_raw(RawUsage::new(&format!("{{\"{SECONDS}\":{seconds}}}")));
        }
        self.size = seen.size;
        self.trained = seen.trained;
        answer.complete();
        answer.seen.usage |= self.trained.is_some() || self.seconds.is_some();
    }
}

/// What a job in this state came to, in whichever provider's spelling; absent while it is not
/// over.
fn outcome(status: &str) -> Option<Status> {
    match &*status.to_ascii_lowercase() {
        "completed" | "succeeded" | "success" | "incomplete" => Some(Status::Succeeded),
        "failed" | "failed_validation" | "error" | "user_error" => Some(Status::Error),
        // What ended before it was done is billed as far as it came.
        "cancelled" | "canceled" | "expired" => Some(Status::Cancelled),
        _ => None,
    }
}
