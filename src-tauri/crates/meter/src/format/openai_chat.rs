//! OpenAI-shaped chat completions and legacy completions, streamed and not.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::trouble::Failure;
use super::{NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want, plain};
use crate::leaves::Leaves;
use crate::receipt::Capability;
use crate::request::TextCount;
use crate::usage::Factor;

const BY_MODEL: &str = "usage_breakdown";

/// Reads chat completions.
#[derive(Debug, Default)]
pub(super) struct Chat {
    /// Choices that have shown up, and those that have finished, as bits.
    begun: u64,
    finished: u64,
    choice: Choice,
    /// What this document says about usage.
    usage: Usage,
    /// Usage that counts only if this is a stream.
    streamed_usage: Option<Box<str>>,
    /// A server's own measurements, which say what usage says, for where that was not asked for.
    timings: Option<Box<str>>,
    /// The usage of each model that had a part in the answer.
    by_model: Option<Box<str>>,
    executed: Executed,
    /// Searches the provider made, as bits by their index.
    searches: u64,
    cites_the_web: bool,
    has_choices: bool,
    /// Documents of some other shape have passed.
    is_foreign: bool,
}

/// The choice that is being read.
#[derive(Debug, Default)]
struct Choice {
    index: Option<u32>,
    is_finished: bool,
}

/// The tool run by the provider that is being read. A stream shows each twice.
#[derive(Debug, Default)]
struct Executed {
    index: Option<u32>,
    is_search: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Usage {
    #[default]
    None,
    Told,
}

impl Shape for Chat {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["id" | "model" | "model_id" | "service_tier"], Kind::String) => {
                Want::Keep(NAME_LIMIT)
            }
            (["usage"] | ["x_groq", "usage"] | ["choices", _, "usage"], Kind::Object) => {
                Want::Keep(USAGE_LIMIT)
            }
            (["timings"] | [.., BY_MODEL], Kind::Object) if path.len() < 3 => {
                Want::Keep(USAGE_LIMIT)
            }
            (["choices"], _) => {
                self.has_choices = true;
                Want::Walk
            }
            (["choices", _] | ["x_groq"], _) => Want::Walk,
            (["x_groq", "id" | "error"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["choices", _, "index"], Kind::Number) => Want::Keep(8),
            (["choices", _, "finish_reason"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["choices", _, "text"] | ["value"], Kind::String) => Want::Count,
            (["choices", _, "delta" | "message", rest @ ..], _) => want_of_message(rest, kind),
            _ => Want::Skip,
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["id"] => name(&mut answer.id, json),
            ["model" | "model_id"] => name(&mut answer.model, json),
            ["service_tier"] => name(&mut answer.service_tier, json),
            ["usage"] | ["choices", _, "usage"] => {
                self.usage = Usage::Told;
                answer.snapshot(json);
            }
            ["x_groq", "usage"] => self.streamed_usage = Some(json.into()),
            ["timings"] => self.timings = Some(json.into()),
            [.., BY_MODEL] => self.by_model = Some(json.into()),
            [.., "executed_tools", _, "index"] => self.executed.index = json.parse().ok(),
            [.., "executed_tools", _, "type"] => self.executed.is_search = json == "\"search\"",
            ["x_groq", "id"] => name(&mut answer.request_id, json),
            ["x_groq", "error"] => {
                answer.fail(Failure { word: None, sentence: Some(plain(json).into()) });
            }
            ["choices", _, "index"] => self.choice.index = json.parse().ok(),
            ["choices", _, "finish_reason"] => {
                self.choice.is_finished = true;
                answer.finished(json);
            }
            ["choices", _, _, "annotations", _, "type"] => {
                self.cites_the_web |= json == "\"url_citation\"";
            }
            _ => {}
        }
    }

    fn counted(&mut self, path: &[&str], text: TextCount, answer: &mut Answer) {
        match path {
            // Sound in base64: content, but not text.
            [.., "audio", "data"] => answer.seen.content = true,
            _ => answer.content(text),
        }
    }

    fn left(&mut self, path: &[&str], _answer: &mut Answer) {
        if let [.., "executed_tools", place] = path {
            let tool = std::mem::take(&mut self.executed);
            let index = tool.index.or_else(|| place.parse().ok()).unwrap_or(0).min(63);
            self.searches |= u64::from(tool.is_search) << index;
        } else if let ["choices", place] = path {
            let choice = std::mem::take(&mut self.choice);
            let index = choice.index.or_else(|| place.parse().ok()).unwrap_or(0).min(63);
            self.begun |= 1 << index;
            self.finished |= u64::from(choice.is_finished) << index;
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        self.is_foreign |= !self.has_choices;
        let is_whole = document == Document::Whole;
        let streamed = self.streamed_usage.take().filter(|_| !is_whole);
        let aside = streamed.or_else(|| self.timings.take());
        if let Some(json) = aside.filter(|_| self.usage == Usage::None) {
            self.usage = Usage::Told;
            answer.snapshot(&json);
        }
        if is_whole {
            return answer.complete();
        }
        let is_finished = self.begun != 0 && self.begun == self.finished;
        answer.seen.content_done = is_finished;
        if std::mem::take(&mut self.usage) == Usage::Told && is_finished {
            answer.seen.usage = true;
            answer.seen.terminal = true;
        }
    }

    fn marks_its_end(&self) -> bool {
        // Servers with a completion stream of their own (`value` pieces) end it without a word.
        self.has_choices || !self.is_foreign
    }

    fn recall(&mut self, recorded: &Recorded<'_>, answer: &mut Answer) {
        answer.snapshot(recorded.usage.as_str());
        self.by_model = Members::of(recorded.usage.as_str()).get(BY_MODEL).map(Into::into);
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        openai_usage::bill(answer, call);
        if let Some(by_model) = &self.by_model {
            openai_usage::split(answer, &Leaves::of(by_model), call);
            answer.keep_beside(BY_MODEL, by_model);
        }
        let searches = call.asked.capabilities.contains(&Capability::WebSearch);
        let is_told = answer.lines.iter().any(|line| line.factor == Factor::ToolWebSearch);
        if self.searches != 0 && !is_told {
            answer.derived(Factor::ToolWebSearch, u64::from(self.searches.count_ones()));
        } else if (searches || self.cites_the_web) && answer.seen.usage && !is_told {
            answer.derived(Factor::ToolWebSearch, 1);
        }
    }
}

/// What to do with a value of a message or its delta, by its path there.
fn want_of_message(path: &[&str], kind: Kind) -> Want {
    match (path, kind) {
        (["content" | "reasoning_content" | "reasoning" | "refusal"], Kind::String)
        | (
            ["content", _, "text" | "thinking"] | ["content", _, "thinking", _, "text"],
            Kind::String,
        )
        | (["tool_calls", _, "function", "name" | "arguments"], Kind::String)
        | (["function_call", "name" | "arguments"], Kind::String)
        | (["audio", "transcript" | "data"], Kind::String) => Want::Count,
        (["annotations" | "executed_tools", _, "type"], Kind::String) => Want::Keep(NAME_LIMIT),
        (["executed_tools", _, "index"], Kind::Number) => Want::Keep(8),
        (
            []
            | [
                "content" | "tool_calls" | "function_call" | "audio" | "annotations"
                | "executed_tools",
            ]
            | ["content" | "tool_calls" | "annotations" | "executed_tools", _]
            | ["tool_calls", _, "function"]
            | ["content", _, "thinking"]
            | ["content", _, "thinking", _],
            _,
        ) => Want::Walk,
        _ => Want::Skip,
    }
}
