//! Anthropic messages, streamed and not, and the text completions that came before them.
//!
//! A stream tells its usage twice: at its start, where the output is a placeholder, and in
//! `message_delta`, whose numbers are totals and not increments
//! (docs.claude.com/en/docs/build-with-claude/streaming, read 2026-11-20).

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::{NAME_LIMIT, Shape, USAGE_LIMIT};
use crate::json::{Kind, Want};
use crate::leaves::Leaves;
use crate::receipt::Anomaly;
use crate::usage::{Basis, Count, Factor, UsageLine};

const FRESH: &str = "input_tokens";
const READ: &str = "cache_read_input_tokens";
const WRITTEN: &str = "cache_creation_input_tokens";
const OUTPUT: &str = "output_tokens";
/// They belong together: one snapshot tells all of them or none.
const PROMPT: [&str; 3] = [FRESH, READ, WRITTEN];

/// Reads messages.
#[derive(Debug, Default)]
pub(super) struct Messages {
    usage: Members,
    /// The output count is more than the placeholder of a stream's start.
    is_final: bool,
    has_stopped: bool,
    /// This document ends the stream.
    is_end: bool,
}

impl Shape for Messages {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["type" | "id" | "model" | "stop_reason"], Kind::String)
            | (["message", "id" | "model" | "stop_reason"], Kind::String)
            | (["delta", "stop_reason"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage"] | ["message", "usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["message" | "delta" | "content_block" | "content"] | ["content", _], _) => Want::Walk,
            (["delta", "text" | "thinking" | "partial_json"], Kind::String)
            | (["content_block", "text" | "thinking"], Kind::String)
            | (["content", _, "text" | "thinking" | "name" | "content"], Kind::String)
            | (["content", _, "input"], Kind::Object)
            | (["completion"], Kind::String) => Want::Count,
            _ => Want::Skip,
        }
    }

    fn wants_alike(&self) -> bool {
        true
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["type"] => self.is_end = json == "\"message_stop\"",
            ["id"] | ["message", "id"] => name(&mut answer.id, json),
            ["model"] | ["message", "model"] => name(&mut answer.model, json),
            [.., "stop_reason"] => {
                self.has_stopped = true;
                answer.finished(json);
            }
            ["message", "usage"] => self.usage = Members::of(json),
            ["usage"] => {
                self.merge(&Members::of(json));
                self.is_final = true;
            }
            _ => {}
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        if std::mem::take(&mut self.is_end) || document == Document::Whole {
            answer.complete();
        }
        answer.seen.content_done |= self.has_stopped;
        answer.seen.usage = self.is_final && answer.seen.content_done;
    }

    fn recall(&mut self, recorded: &Recorded<'_>, _answer: &mut Answer) {
        self.usage = Members::of(recorded.usage.as_str());
        self.is_final = recorded.is_whole();
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        self.usage.settle(answer);
        let usage = std::mem::take(&mut answer.usage);
        answer.service_tier = tier(&usage);
        answer.region = usage.text("inference_geo").filter(|geo| *geo != UNKNOWN).map(Into::into);
        let mut tokens = lines(&usage, call, answer);
        if !self.is_final {
            tokens.retain(|line| !line.factor.name().starts_with("output."));
        }
        let iterations = usage.items("iterations");
        if let Some(served) = by_attempt(&iterations, &usage, call, answer) {
            tokens = served;
        }
        answer.lines.append(&mut tokens);
        beside(&iterations, call, answer);
        server_tools(&usage, answer);
        answer.usage = usage;
    }
}

impl Messages {
    /// Takes over the totals of a `message_delta`. Servers that are blind to the cache at the
    /// start tell the truth here; others repeat zeros, which say nothing.
    fn merge(&mut self, delta: &Members) {
        let is_told =
            PROMPT.iter().any(|key| delta.count(key).is_some_and(|count| !count.is_zero()));
        let is_first = self.usage.is_empty();
        for (key, json) in delta.iter() {
            if is_told || is_first || !PROMPT.contains(&key) {
                self.usage.set(key, json);
            }
        }
    }
}

/// What stands in `inference_geo` when nobody knows.
const UNKNOWN: &str = "not_available";

/// The speed where it is not the usual one, because it has a price of its own, or the tier.
fn tier(usage: &Leaves) -> Option<Box<str>> {
    let speed = usage.text("speed").filter(|speed| *speed != "standard");
    speed.or_else(|| usage.text("service_tier")).map(Into::into)
}

/// The tokens of a usage object or of one of its iterations.
fn lines(usage: &Leaves, call: Call<'_>, answer: &mut Answer) -> Vec<UsageLine> {
    let mut lines = Vec::new();
    let mut add = |factor, count: Option<Count>, basis| {
        lines.extend(count.map(|c| UsageLine { basis, ..UsageLine::reported(factor, c) }));
    };
    add(Factor::InputText, usage.count(FRESH), Basis::Reported);
    add(Factor::InputCacheRead, usage.count(READ), Basis::Reported);
    let written = usage.count(WRITTEN).filter(|count| !count.is_zero());
    for (factor, count, basis) in written.map(|all| writes(usage, all, call)).into_iter().flatten()
    {
        add(factor, Some(count).filter(|count| !count.is_zero()), basis);
    }
    let thinking = usage.count("output_tokens_details.thinking_tokens").filter(|c| !c.is_zero());
    if let Some(output) = usage.count(OUTPUT) {
        let reasoning = thinking.unwrap_or_default();
        if reasoning > output {
            answer.flag(Anomaly::PartsExceedTotal);
        }
        let reasoning = reasoning.min(output);
        add(Factor::OutputText, output.less(reasoning), Basis::Reported);
        add(Factor::OutputReasoning, thinking.map(|_| reasoning), Basis::Reported);
    }
    lines
}

/// Cache writes by lifetime. What the split leaves over lives for five minutes; without a
/// split the request tells.
fn writes(usage: &Leaves, all: Count, call: Call<'_>) -> [(Factor, Count, Basis); 2] {
    let short = usage.count("cache_creation.ephemeral_5m_input_tokens");
    let long = usage.count("cache_creation.ephemeral_1h_input_tokens");
    let (hour, basis) = match (short, long) {
        (None, None) if call.asked.caches_for_an_hour => (all, Basis::Derived),
        (None, None) => (Count::ZERO, Basis::Derived),
        (short, long) => {
            let hour = long.unwrap_or_default().min(all);
            let is_told = all.less(hour) == short;
            (hour, if is_told { Basis::Reported } else { Basis::Derived })
        }
    };
    let rest = all.less(hour).unwrap_or_default();
    [(Factor::InputCacheWrite5m, rest, basis), (Factor::InputCacheWrite1h, hour, basis)]
}

/// Where several models tried, the tokens of each at its own name: the last one served.
fn by_attempt(
    iterations: &[Leaves],
    usage: &Leaves,
    call: Call<'_>,
    answer: &mut Answer,
) -> Option<Vec<UsageLine>> {
    let tried: Vec<&Leaves> = iterations
        .iter()
        .filter(|entry| matches!(entry.text("type"), Some("message" | "fallback_message")))
        .collect();
    let fallback = tried.iter().rfind(|entry| entry.text("type") == Some("fallback_message"))?;
    let adds_up = [FRESH, READ, WRITTEN, OUTPUT].iter().all(|key| {
        let sum = tried.iter().map(|entry| entry.count(key).unwrap_or_default()).sum::<Count>();
        sum == usage.count(key).unwrap_or_default()
    });
    if !adds_up {
        answer.flag(Anomaly::UsageInconsistent);
        return None;
    }
    if let Some(model) = fallback.text("model") {
        answer.model = Some(model.into());
    }
    let mut all = Vec::new();
    for entry in tried {
        all.extend(of_iteration(entry, call, answer));
    }
    Some(all)
}

/// What is billed beside the top level: summaries of a long history, advice by other models.
fn beside(iterations: &[Leaves], call: Call<'_>, answer: &mut Answer) {
    for entry in iterations {
        match entry.text("type") {
            Some("message" | "fallback_message") => {}
            Some("compaction" | "advisor_message") => {
                let lines = of_iteration(entry, call, answer);
                answer.lines.extend(lines.into_iter().filter(|line| !line.count.is_zero()));
            }
            _ => answer.flag(Anomaly::UnknownUsage),
        }
    }
}

fn of_iteration(entry: &Leaves, call: Call<'_>, answer: &mut Answer) -> Vec<UsageLine> {
    let kind = entry.text("type").unwrap_or_default();
    let model = match entry.text("model") {
        // An attempt that did not serve ran on the model that was asked for.
        None if kind == "message" => call.asked.model.as_deref(),
        named => named,
    };
    let other = model.filter(|model| answer.model.as_deref() != Some(*model));
    let mut lines = lines(entry, call, answer);
    for line in &mut lines {
        line.model = other.map(Into::into);
        line.attributes = vec![("iteration".into(), kind.into())];
    }
    lines
}

/// Calls of the provider's own tools, such as `web_search_requests`.
fn server_tools(usage: &Leaves, answer: &mut Answer) {
    for (key, value) in usage.under("server_tool_use").all() {
        let (Some(tool), Some(count)) = (key.strip_suffix("_requests"), Count::parse(value)) else {
            continue;
        };
        let factor = match tool {
            "web_search" => Factor::ToolWebSearch,
            "web_fetch" => Factor::ToolWebFetch,
            "code_execution" => Factor::ToolCodeSession,
            other => Factor::ToolOther(other.into()),
        };
        answer.reported(factor, Some(count).filter(|count| !count.is_zero()));
    }
}
