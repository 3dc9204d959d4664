//! Bedrock Invoke: whatever the model's maker answers, as one document or in frames. The
//! maker's own usage object counts; where there is none, the metrics in the headers or in the
//! last frame do. They are copies of each other, never to be added.

use super::answer::{Answer, Call};
use super::anthropic_messages::Messages;
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, bedrock_converse, openai_usage};
use crate::json::{Kind, Want};
use crate::leaves::Leaves;
use crate::usage::{Count, Factor};

/// Reads invocations.
#[derive(Debug, Default)]
pub(super) struct Invoke {
    /// Knows the shape that most answers have.
    messages: Messages,
    /// A usage object in another maker's words.
    other_usage: bool,
    metrics: Leaves,
    /// Tokens by the headers, or by the fields of older models.
    told: Told,
    is_embedding: bool,
    /// Ranks documents: billed by the search, and nobody says by how many.
    is_ranking: bool,
    has_stopped: bool,
}

#[derive(Debug, Default)]
struct Told {
    input: Option<Count>,
    output: Option<Count>,
    read: Option<Count>,
    written: Option<Count>,
}

/// Spelled as [`Messages`] spells it.
fn is_of_messages(usage: &str) -> bool {
    ["\"input_tokens\"", "\"output_tokens\""].iter().any(|key| usage.contains(key))
}

const METRICS: &str = "amazon-bedrock-invocationMetrics";

impl Shape for Invoke {
    fn head(&mut self, header: &dyn Fn(&str) -> Option<String>) {
        let count = |name: &str| {
            let value = header(&format!("x-amzn-bedrock-{name}-token-count"))?;
            Count::parse(&value)
        };
        self.told = Told {
            input: count("input"),
            output: count("output"),
            read: count("cache-read-input"),
            written: count("cache-write-input"),
        };
    }

    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            ([METRICS] | ["usage"] | ["metadata", "usage"], Kind::Object) => {
                Want::Keep(USAGE_LIMIT)
            }
            (
                ["inputTextTokenCount" | "prompt_token_count" | "generation_token_count"],
                Kind::Number,
            )
            | (["totalOutputTextTokenCount"] | ["results", _, "tokenCount"], Kind::Number) => {
                Want::Keep(NAME_LIMIT)
            }
            (["completionReason" | "finish_reason"], Kind::String)
            | (["results", _, "completionReason"] | ["messageStop", "stopReason"], Kind::String)
            | (["outputs" | "generations", _, "stop_reason" | "finish_reason"], Kind::String)
            | (["choices", _, "finish_reason" | "stop_reason"] | ["stopReason"], Kind::String) => {
                Want::Keep(NAME_LIMIT)
            }
            (["embedding" | "embeddings" | "embeddingsByType"], _) => {
                self.is_embedding = true;
                Want::Skip
            }
            (["results", _, "relevance_score"], _) => {
                self.is_ranking = true;
                Want::Skip
            }
            (["generation" | "outputText" | "text"], Kind::String)
            | (["outputs" | "generations", _, "text"], Kind::String)
            | (["results", _, "outputText"], Kind::String)
            | (["contentBlockDelta", "delta", "text"], Kind::String)
            | (
                ["choices", _, "delta" | "message", "content" | "reasoning_content"],
                Kind::String,
            )
            | (["output", "message", "content", _, "text"], Kind::String)
            | (["completions", _, "data", "text"], Kind::String) => Want::Count,
            (
                ["metadata" | "messageStop" | "results" | "outputs" | "generations" | "choices"],
                _,
            )
            | (["contentBlockDelta" | "output" | "completions"], _)
            | (["results" | "outputs" | "generations" | "choices" | "completions", _], _)
            | (["choices", _, "delta" | "message"] | ["completions", _, "data"], _)
            | (["contentBlockDelta", "delta"] | ["output", "message"], _)
            | (["output", "message", "content"] | ["output", "message", "content", _], _) => {
                Want::Walk
            }
            _ => self.messages.want(path, kind),
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        let add = |place: &mut Option<Count>| {
            if let Some(count) = Count::parse(json) {
                *place = Some(count);
            }
        };
        match path {
            [METRICS] => self.metrics = Leaves::of(json),
            ["usage"] | ["metadata", "usage"] if !is_of_messages(json) => {
                self.other_usage = true;
                answer.snapshot(json);
            }
            ["inputTextTokenCount" | "prompt_token_count"] => add(&mut self.told.input),
            ["generation_token_count" | "totalOutputTextTokenCount"] => add(&mut self.told.output),
            ["results", _, "tokenCount"] => add(&mut self.told.output),
            [.., "completionReason" | "finish_reason" | "stopReason" | "stop_reason"] => {
                self.has_stopped = true;
                answer.finished(json);
                self.messages.kept(path, json, answer);
            }
            _ => self.messages.kept(path, json, answer),
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        self.messages.document(document, answer);
        answer.seen.content_done |= self.has_stopped;
        let is_last = document == Document::Whole || !self.metrics.is_empty();
        if is_last {
            answer.complete();
            answer.seen.usage = true;
        }
    }

    fn guess(&self) -> Guess {
        match (self.is_embedding, self.is_ranking) {
            (true, _) => Guess::EmbeddedText,
            (false, true) => Guess::Nothing,
            (false, false) => Guess::PromptAndAnswer,
        }
    }

    fn recall(&mut self, recorded: &Recorded<'_>, answer: &mut Answer) {
        let usage = recorded.usage.as_str();
        self.metrics = Members::of(usage).get(METRICS).map(Leaves::of).unwrap_or_default();
        self.is_embedding = recorded.is_of_embeddings();
        if is_of_messages(usage) {
            self.messages.recall(recorded, answer);
        } else {
            self.other_usage = Leaves::of(usage).all().any(|(path, _)| !path.starts_with(METRICS));
            answer.snapshot(usage);
        }
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        if !self.other_usage {
            let kept = answer.take_raw();
            self.messages.bill(answer, call);
            let told = answer.take_raw().filter(|_| !answer.lines.is_empty());
            answer.set_raw(told.or(kept));
        } else if answer.usage.count("inputTokens").is_some() {
            bedrock_converse::lines(answer);
        } else {
            openai_usage::bill(answer, call);
        }
        self.fill(answer);
    }
}

impl Invoke {
    /// What the maker's own usage does not say.
    fn fill(&self, answer: &mut Answer) {
        let has = |answer: &Answer, side: &str| {
            answer.lines.iter().any(|line| line.factor.name().starts_with(side))
        };
        let of = |name: &str, told: Option<Count>| self.metrics.count(name).or(told);
        let told = answer.lines.len();
        let input = of("inputTokenCount", self.told.input);
        let output = of("outputTokenCount", self.told.output);
        if !has(answer, "input.") && self.is_embedding {
            answer.reported(Factor::EmbeddingInput, input);
        } else if !has(answer, "input.") {
            let some = |count: Option<Count>| count.filter(|count| !count.is_zero());
            answer.reported(Factor::InputText, input);
            let read = of("cacheReadInputTokenCount", self.told.read);
            answer.reported(Factor::InputCacheRead, some(read));
            let written = of("cacheWriteInputTokenCount", self.told.written);
            answer.reported(Factor::InputCacheWrite, some(written));
        }
        if !has(answer, "output.") && !self.is_embedding {
            answer.reported(Factor::OutputText, output);
        }
        if answer.lines.len() > told {
            answer.keep_beside(METRICS, &self.raw());
        }
    }

    /// The metrics, however they were told.
    fn raw(&self) -> String {
        let fields = [
            ("inputTokenCount", self.told.input),
            ("outputTokenCount", self.told.output),
            ("cacheReadInputTokenCount", self.told.read),
            ("cacheWriteInputTokenCount", self.told.written),
        ];
        let told = fields.into_iter().filter_map(|(key, told)| {
            let count = self.metrics.count(key).or(told)?;
            Some(format!("\"{key}\":{count}"))
        });
        format!("{{{}}}", told.collect::<Vec<_>>().join(","))
    }
}
