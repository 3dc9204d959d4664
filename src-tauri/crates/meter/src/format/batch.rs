//! Batches that tell what they used call by call: in lines that are downloaded once the batch is
//! over, or in a list inside the batch object itself.
//!
//! A batch object tells its state over and over. Every result is read by the format of the call
//! it answers, and the lines of all of them are added up
//! (docs.claude.com/en/api/retrieving-message-batch-results, docs.mistral.ai/api/#tag/batch,
//! read 2026-11-21).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::reread::{Recorded, read};
use super::trouble::Failure;
use super::{Format, Guess, NAME_LIMIT, Shape, USAGE_LIMIT};
use crate::json::{Kind, Want, plain};
use crate::provider::Reasoning;
use crate::receipt::{Anomaly, RawUsage, Status};
use crate::request::Asked;
use crate::usage::{Count, UsageLine};

/// Half price, told by the sort of call alone.
const TIER: &str = "batch";
/// Different lines of one batch; it has a handful for each model.
const MOST: usize = 256;

/// Reads batches and their results.
#[derive(Debug, Default)]
pub(super) struct Batch {
    object: Object,
    result: CallResult,
    lines: Vec<UsageLine>,
    anomalies: Vec<Anomaly>,
    /// Results have passed, whatever became of the calls.
    has_results: bool,
    /// It is over and no call of it succeeded.
    is_vain: bool,
}

/// What the batch object says.
#[derive(Debug, Default)]
struct Object {
    state: Option<Box<str>>,
    succeeded: Option<Count>,
    /// What its calls speak.
    endpoint: Option<Box<str>>,
}

/// The result that is being read.
#[derive(Debug, Default)]
struct CallResult {
    format: Option<Format>,
    model: Option<Box<str>>,
    usage: Option<RawUsage>,
}

/// What to do with a value of the batch object.
fn want_of_batch(path: &[&str], kind: Kind) -> Want {
    match (path, kind) {
        (["outputs"], Kind::Array) | (["request_counts"], Kind::Object) => Want::Walk,
        (["id" | "model" | "endpoint" | "status" | "processing_status"], Kind::String)
        | (["request_counts", "succeeded"] | ["succeeded_requests"], Kind::Number) => {
            Want::Keep(NAME_LIMIT)
        }
        _ => Want::Skip,
    }
}

/// The path inside one result, if it is inside one.
fn inner<'a, 'b>(path: &'a [&'b str]) -> Option<&'a [&'b str]> {
    match path {
        ["outputs", _, inner @ ..] => Some(inner),
        ["result" | "response", ..] => Some(path),
        _ => None,
    }
}

impl Shape for Batch {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (inner(path), kind) {
            (
                Some([] | ["result" | "response"] | ["result", "message"] | ["response", "body"]),
                _,
            ) => Want::Walk,
            (Some([_, "message" | "body", "model"]), Kind::String) => Want::Keep(NAME_LIMIT),
            (Some([_, "message" | "body", "usage" | "usage_info"]), Kind::Object) => {
                Want::Keep(USAGE_LIMIT)
            }
            (Some(_), _) => Want::Skip,
            (None, _) => want_of_batch(path, kind),
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        let text = || Some(plain(json).into());
        match path {
            [.., "message" | "body", "model"] => self.result.model = text(),
            [.., place, key @ ("usage" | "usage_info")] => {
                self.result.format = Some(self.spoken(place, key));
                self.result.usage = RawUsage::new(json);
            }
            ["id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            ["endpoint"] => self.object.endpoint = text(),
            ["status" | "processing_status"] => self.object.state = text(),
            [.., "succeeded" | "succeeded_requests"] => self.object.succeeded = Count::parse(json),
            _ => {}
        }
    }

    fn left(&mut self, path: &[&str], answer: &mut Answer) {
        if let ["outputs", _] | ["result" | "response"] = path {
            self.has_results = true;
            self.add(answer);
        }
    }

    fn document(&mut self, _document: Document<'_>, answer: &mut Answer) {
        let object = std::mem::take(&mut self.object);
        let Some(state) = object.state.as_deref() else { return };
        let is_vain = object.succeeded.is_some_and(Count::is_zero);
        let outcome = match state {
            "SUCCESS" => Some(Status::Succeeded),
            "FAILED" => Some(Status::Error),
            "CANCELLED" | "TIMEOUT_EXCEEDED" => Some(Status::Cancelled),
            // What was used stands in the results, if there are any.
            "ended" if is_vain => Some(Status::Succeeded),
            _ => None,
        };
        self.is_vain = is_vain && outcome.is_some();
        answer.outcome = Some(outcome.unwrap_or(Status::Pending));
        if outcome == Some(Status::Error) {
            answer.fail(Failure { word: Some(state.into()), sentence: None });
        }
        if outcome.is_some() {
            answer.finished(state);
        }
        answer.complete();
    }

    fn marks_its_end(&self) -> bool {
        false
    }

    fn guess(&self) -> Guess {
        if self.has_results || self.is_vain { Guess::NothingToPay } else { Guess::Nothing }
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        name(&mut answer.service_tier, TIER);
        answer.seen.usage = self.has_results;
        answer.lines.append(&mut self.lines);
        self.anomalies.drain(..).for_each(|anomaly| answer.flag(anomaly));
    }
}

impl Batch {
    /// The format of the call that a usage object of this name answers.
    fn spoken(&self, place: &str, key: &str) -> Format {
        let embeds = || self.object.endpoint.as_deref().is_some_and(|e| e.ends_with("/embeddings"));
        match (place, key) {
            ("message", _) => Format::AnthropicMessages,
            (_, "usage_info") => Format::Ocr,
            _ if embeds() => Format::OpenaiEmbeddings,
            _ => Format::OpenaiChat,
        }
    }

    /// Adds the lines of one result to those of the others of its model.
    fn add(&mut self, answer: &Answer) {
        let CallResult { format, model, usage } = std::mem::take(&mut self.result);
        let (Some(format), Some(usage)) = (format, usage) else { return };
        let call = Call { asked: &Asked::default(), reasoning: Reasoning::Inside };
        let read = read(format, &Recorded::whole(&usage), model.as_deref(), call);
        let other = model.filter(|model| answer.model.as_ref() != Some(model));
        for anomaly in read.anomalies {
            if !self.anomalies.contains(&anomaly) {
                self.anomalies.push(anomaly);
            }
        }
        for mut line in read.lines {
            line.model = line.model.or_else(|| other.clone());
            let same =
                |known: &UsageLine| *known == UsageLine { count: known.count, ..line.clone() };
            match self.lines.iter().position(same) {
                Some(at) => self.lines[at].count = self.lines[at].count.plus(line.count),
                None if self.lines.len() < MOST => self.lines.push(line),
                None => {}
            }
        }
    }
}
