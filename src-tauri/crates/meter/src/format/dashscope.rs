//! DashScope's own shape: text, embeddings, rankings, and tasks that make images or video.
//!
//! Every event of a stream has the usage so far. A call without `incremental_output` repeats
//! its whole text in each, so text is never counted. Errors come with a 200 at times
//! (help.aliyun.com/zh/model-studio, read 2026-11-20).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::reread::Recorded;
use super::trouble::{Failure, Trouble};
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want, plain};
use crate::receipt::Status;
use crate::request::TextCount;
use crate::usage::{Count, Factor};

/// Reads answers.
#[derive(Debug, Default)]
pub(super) struct Native {
    trouble: Trouble,
    /// The state of a task that runs by itself.
    task: Option<Box<str>>,
    has_finished: bool,
    is_embedding: bool,
}

impl Shape for Native {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["output"] | ["output", "choices"] | ["output", "choices", _], _) => Want::Walk,
            (["output", "task_id" | "task_status" | "finish_reason"], Kind::String)
            | (["output", "choices", _, "finish_reason"], Kind::String)
            | (["code" | "message"] | ["output", "code" | "message"], Kind::String) => {
                Want::Keep(NAME_LIMIT)
            }
            (["usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["output", "text"], Kind::String)
            | (["output", "choices", _, "message"], Kind::Object) => Want::Count,
            (["output", "embeddings"], _) => {
                self.is_embedding = true;
                Want::Skip
            }
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            [.., "finish_reason"] if json != "\"null\"" => {
                self.has_finished = true;
                answer.finished(json);
            }
            ["output", "task_id"] => name(&mut answer.id, json),
            ["output", "task_status"] => self.task = Some(plain(json).into()),
            [.., field @ ("code" | "message")] => self.trouble.kept(&[field], json),
            ["usage"] => answer.snapshot(json),
            _ => {}
        }
    }

    fn counted(&mut self, _path: &[&str], text: TextCount, answer: &mut Answer) {
        answer.seen.content |= !text.is_empty();
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        let task = self.task.take();
        // A sentence alone is no error, only with a word to it.
        if let Some(failure) = self.trouble.take().filter(|failure| failure.word.is_some()) {
            answer.fail(failure);
        }
        match task.as_deref() {
            Some("PENDING" | "RUNNING") => answer.outcome = Some(Status::Pending),
            Some("CANCELED") => answer.outcome = Some(Status::Cancelled),
            Some(word @ ("FAILED" | "UNKNOWN")) => {
                answer.fail(Failure { word: Some(word.into()), sentence: None });
            }
            Some(_) | None => {}
        }
        if document == Document::Whole || self.has_finished {
            answer.complete();
        }
    }

    fn guess(&self) -> Guess {
        Guess::Nothing
    }

    fn recall(&mut self, recorded: &Recorded<'_>, answer: &mut Answer) {
        answer.snapshot(recorded.usage.as_str());
        self.is_embedding = recorded.is_of_embeddings();
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        let some = |count: Option<Count>| count.filter(|count| !count.is_zero());
        let usage = answer.usage.clone();
        if usage.count("input_tokens").is_some() && !self.is_embedding {
            openai_usage::bill(answer, call);
        } else if let Some(line) = openai_usage::embedded(&usage) {
            let factor = if self.is_embedding { Factor::EmbeddingInput } else { Factor::InputText };
            answer.reported(factor, Some(line.count));
        }
        let images = some(usage.first_count(&["image_count", "output_image_count"]));
        let video = some(usage.first_count(&["video_duration", "output_video_duration"]));
        let makes_video = usage.count("video_count").is_some();
        let seconds = some(usage.first_count(&["duration", "seconds"]));
        let heard = if makes_video { Factor::VideoSeconds } else { Factor::AudioInputSeconds };
        answer.reported(Factor::ImagesGenerated, images);
        answer.reported(Factor::TtsCharacters, some(usage.count("characters")));
        match (seconds, video) {
            (Some(_), _) => answer.reported(heard, seconds),
            (None, _) => answer.reported(Factor::VideoSeconds, video),
        }
    }
}
