//! Wire formats: one file each. Bytes of an answer in, a [`Reading`] out.
//!
//! A reader is incremental, never fails, and keeps at most 64 KiB whatever passes by.

mod estimate;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::provider::Provider;
use crate::receipt::{Anomaly, RawUsage, ReportedCost, Status, UnknownWord, UsageState, words};
use crate::request::Asked;
use crate::usage::UsageLine;

words! {
    /// A wire format: how a request is shaped and where its answer says what was used.
    Format {
        /// OpenAI-shaped chat completions.
        OpenaiChat = "openai-chat",
        /// OpenAI-shaped legacy completions.
        OpenaiCompletions = "openai-completions",
        /// OpenAI-shaped embeddings.
        OpenaiEmbeddings = "openai-embeddings",
        /// OpenAI Responses.
        OpenaiResponses = "openai-responses",
        /// Anthropic Messages.
        AnthropicMessages = "anthropic-messages",
        /// Gemini `generateContent`.
        GeminiGenerate = "gemini-generate",
        /// Gemini embeddings.
        GeminiEmbed = "gemini-embed",
        /// Ollama's own newline-delimited JSON.
        Ollama = "ollama",
    }
}

/// What a reader has seen so far of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Content has begun (first token).
    pub content: bool,
    /// Content is complete; at most usage and a terminal marker are still to come.
    pub content_done: bool,
    /// Final usage has been seen.
    pub usage: bool,
    /// The format's terminal marker has been seen.
    pub terminal: bool,
}

/// How the bytes of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The body is complete.
    Complete,
    /// Upstream broke off or stalled.
    Broken,
    /// The client went away.
    ClientLeft,
}

/// What an answer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How the call ended.
    pub status: Status,
    /// The answer was a stream.
    pub stream: bool,
    /// The model that served.
    pub model: Option<Box<str>>,
    /// The provider's id of the answer.
    pub response_id: Option<Box<str>>,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<Box<str>>,
    /// The tier (or speed) that served.
    pub service_tier: Option<Box<str>>,
    /// Where it ran.
    pub region: Option<Box<str>>,
    /// The provider's word for what went wrong.
    pub error_type: Option<Box<str>>,
    /// The provider's sentence, bounded; it may still hold a secret, the gateway scrubs it.
    pub error_message: Option<Box<str>>,
    /// The provider's id of the request.
    pub upstream_request_id: Option<Box<str>>,
    /// The disjoint usage items.
    pub lines: Vec<UsageLine>,
    /// The provider's usage object.
    pub usage_raw: Option<RawUsage>,
    /// How the usage became known.
    pub usage_state: UsageState,
    /// A cost that the provider stated.
    pub reported_cost: Option<ReportedCost>,
    /// What does not add up.
    pub anomalies: Vec<Anomaly>,
}

/// Reads one answer.
#[derive(Debug)]
pub struct Reader {
    status: u16,
    seen: Seen,
}

impl Reader {
    /// For an answer in `format` by `provider`; without a format the first bytes tell, or nothing does.
    pub fn new(_format: Option<Format>, _provider: &Provider) -> Self {
        Self { status: 0, seen: Seen::default() }
    }

    /// Shows the answer's status and headers (`header` finds one by its lower-case name).
    pub fn head<'a>(&mut self, status: u16, _header: &dyn Fn(&str) -> Option<&'a str>) {
        self.status = status;
    }

    /// Shows the next decoded bytes of the body.
    pub fn push(&mut self, _bytes: &[u8]) -> Seen {
        self.seen
    }

    /// What it all came to. `asked` is what the request turned out to ask for.
    pub fn finish(self, end: End, _asked: &Asked) -> Reading {
        let ok = self.status < 400 && end == End::Complete;
        Reading {
            status: if ok { Status::Succeeded } else { Status::Error },
            stream: false,
            model: None,
            response_id: None,
            finish_reason: None,
            service_tier: None,
            region: None,
            error_type: None,
            error_message: None,
            upstream_request_id: None,
            lines: Vec::new(),
            usage_raw: None,
            usage_state: UsageState::Missing,
            reported_cost: None,
            anomalies: Vec::new(),
        }
    }
}
