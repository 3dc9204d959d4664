//! Wire formats: one file each. Bytes of an answer in, a [`Reading`] out.
//!
//! A reader is incremental, never fails, and keeps at most 64 KiB whatever passes by: the
//! framing splits the body into JSON documents, a scanner walks each, and the format's
//! [`Shape`] says which few values it wants of it.
//!
//! To add a format: a word in [`Format`], a file with a type that implements [`Shape`], an arm
//! in `shape_of`, and the paths that speak it in `providers/`. A format needs to say what
//! it wants of a document, note it in the [`Answer`], and in the end make lines of the usage.
//! Errors, framing, statuses and estimates are done here.

pub mod assist;

mod answer;
mod anthropic_messages;
mod bedrock_converse;
mod bedrock_invoke;
mod cohere_chat;
mod cohere_embed;
mod dashscope;
mod estimate;
mod framing;
mod gemini_embed;
mod gemini_generate;
mod gemini_interactions;
mod gemini_usage;
mod llamacpp_completion;
mod lmstudio_chat;
mod members;
mod ocr;
mod ollama;
mod openai_chat;
mod openai_embeddings;
mod openai_images;
mod openai_job;
mod openai_responses;
mod openai_speech;
mod openai_transcription;
mod openai_usage;
mod outcome;
mod rerank;
#[cfg(test)]
mod tests;
mod trouble;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use answer::{Answer, Call, name};
use framing::{Declared, Document, Framing, Parts};

use crate::json::{Kind, Scanner, Sink, Want};
use crate::provider::{Provider, Reasoning};
use crate::receipt::{Anomaly, RawUsage, ReportedCost, Status, UnknownWord, UsageState, words};
use crate::request::{Asked, TextCount};
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
        /// Gemini Interactions.
        GeminiInteractions = "gemini-interactions",
        /// Gemini embeddings.
        GeminiEmbed = "gemini-embed",
        /// Cohere's own chat, versions 1 and 2.
        CohereChat = "cohere-chat",
        /// Cohere's own embeddings.
        CohereEmbed = "cohere-embed",
        /// DashScope's own calls and tasks.
        Dashscope = "dashscope",
        /// Documents read by OCR.
        Ocr = "ocr",
        /// Ollama's own newline-delimited JSON.
        Ollama = "ollama",
        /// llama.cpp's own completion.
        LlamacppCompletion = "llamacpp-completion",
        /// LM Studio's own chat.
        LmstudioChat = "lmstudio-chat",
        /// OpenAI-shaped jobs: batches, fine-tuning, runs.
        OpenaiJob = "openai-job",
        /// OpenAI-shaped images: generations, edits, variations.
        OpenaiImages = "openai-images",
        /// OpenAI-shaped speech.
        OpenaiSpeech = "openai-speech",
        /// OpenAI-shaped transcriptions and translations of sound.
        OpenaiTranscription = "openai-transcription",
        /// Rankings, by search units or tokens.
        Rerank = "rerank",
        /// Bedrock Converse.
        BedrockConverse = "bedrock-converse",
        /// Bedrock Invoke, in the words of each model's maker.
        BedrockInvoke = "bedrock-invoke",
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
    /// The model that served: as a complete answer says, or as asked if it names none.
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

/// Bytes of a usage object that are kept; a larger one is not read.
const USAGE_LIMIT: usize = 16 * 1024;
/// Bytes of an id, a model or another name that are kept.
const NAME_LIMIT: usize = 200;

/// What can be said about the usage of an answer that reports none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    /// Prompt and answer are text that was counted.
    PromptAndAnswer,
    /// The prompt is text that is embedded.
    EmbeddedText,
    /// Nothing.
    Nothing,
    /// That there was none: nothing was generated.
    NothingToPay,
}

/// What the answers of one wire format look like. Paths are those inside one document; `error`
/// at the top of a document and bodies with an error status never reach a shape.
trait Shape: Send + Sync {
    /// The answer's headers, by their lower-case names.
    fn head(&mut self, _header: &dyn Fn(&str) -> Option<String>) {}

    /// What to do with a value.
    fn want(&mut self, path: &[&str], kind: Kind) -> Want;

    /// A value that was to be kept.
    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer);

    /// Characters of a value that was to be counted.
    fn counted(&mut self, _path: &[&str], text: TextCount, answer: &mut Answer) {
        answer.content(text);
    }

    /// A walked object or array is complete.
    fn left(&mut self, _path: &[&str], _answer: &mut Answer) {}

    /// A document is complete. Until then nothing of it is certain, but content has begun.
    fn document(&mut self, document: Document<'_>, answer: &mut Answer);

    /// The framing's own end marker, `[DONE]`, has passed.
    fn done(&mut self, answer: &mut Answer) {
        answer.seen.content_done = true;
        answer.seen.terminal = true;
    }

    /// Whether an answer may be no JSON at all: sound, or plain text.
    fn may_be_raw(&self) -> bool {
        false
    }

    /// Whether a stream must not end before [`Seen::terminal`].
    fn marks_its_end(&self) -> bool {
        true
    }

    /// What can be estimated where no usage was reported.
    fn guess(&self) -> Guess {
        Guess::PromptAndAnswer
    }

    /// Makes lines, and a stated cost, of what was gathered. Called once, at the end.
    fn bill(&mut self, answer: &mut Answer, call: Call<'_>);
}

fn shape_of(format: Option<Format>) -> Box<dyn Shape> {
    match format {
        Some(Format::OpenaiChat | Format::OpenaiCompletions) => {
            Box::new(openai_chat::Chat::default())
        }
        Some(Format::OpenaiEmbeddings) => Box::new(openai_embeddings::Embeddings),
        Some(Format::AnthropicMessages) => Box::new(anthropic_messages::Messages::default()),
        Some(Format::GeminiGenerate) => Box::new(gemini_generate::Generate::default()),
        Some(Format::GeminiInteractions) => Box::new(gemini_interactions::Interactions::default()),
        Some(Format::GeminiEmbed) => Box::new(gemini_embed::Embed),
        Some(Format::CohereChat) => Box::new(cohere_chat::Chat::default()),
        Some(Format::CohereEmbed) => Box::new(cohere_embed::Embed),
        Some(Format::Dashscope) => Box::new(dashscope::Native::default()),
        Some(Format::Ocr) => Box::new(ocr::Ocr),
        Some(Format::Ollama) => Box::new(ollama::Ollama::default()),
        Some(Format::LlamacppCompletion) => Box::new(llamacpp_completion::Completion::default()),
        Some(Format::LmstudioChat) => Box::new(lmstudio_chat::Chat::default()),
        Some(Format::OpenaiJob) => Box::new(openai_job::Job::default()),
        Some(Format::OpenaiImages) => Box::new(openai_images::Images::default()),
        Some(Format::OpenaiSpeech) => Box::new(openai_speech::Speech::default()),
        Some(Format::OpenaiTranscription) => {
            Box::new(openai_transcription::Transcription::default())
        }
        Some(Format::Rerank) => Box::new(rerank::Rerank),
        Some(Format::BedrockConverse) => Box::new(bedrock_converse::Converse::default()),
        Some(Format::BedrockInvoke) => Box::new(bedrock_invoke::Invoke::default()),
        Some(Format::OpenaiResponses) => Box::new(openai_responses::Responses::default()),
        None => Box::new(Unknown),
    }
}

/// An answer whose format is not known: nothing but errors and ids is read.
struct Unknown;

impl Shape for Unknown {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["id" | "model"], Kind::String) => Want::Keep(NAME_LIMIT),
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            _ => {}
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        if document == Document::Whole {
            answer.complete();
        }
    }

    fn marks_its_end(&self) -> bool {
        false
    }

    fn guess(&self) -> Guess {
        Guess::Nothing
    }

    fn bill(&mut self, _answer: &mut Answer, _call: Call<'_>) {}
}

/// Reads one answer.
pub struct Reader {
    status: u16,
    declared: Declared,
    framing: Framing,
    scanner: Scanner,
    shape: Box<dyn Shape>,
    answer: Answer,
    reasoning: Reasoning,
    request_id_headers: Vec<Box<str>>,
    is_stream: bool,
    /// The framing's word for the current document, if it is an error as a whole.
    refused: Option<Box<str>>,
    /// Complete documents, and those that were none.
    read: u32,
    unreadable: u32,
}

impl fmt::Debug for Reader {
    /// Without anything that was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Reader");
        shown.field("status", &self.status).field("seen", &self.answer.seen);
        shown.finish_non_exhaustive()
    }
}

impl Reader {
    /// For an answer in `format` by `provider`; without a format only errors are read.
    pub fn new(format: Option<Format>, provider: &Provider) -> Self {
        Self {
            status: 0,
            declared: Declared::default(),
            framing: Framing::default(),
            scanner: Scanner::default(),
            shape: shape_of(format),
            answer: Answer::default(),
            reasoning: provider.reasoning,
            request_id_headers: provider.request_id_headers.clone(),
            is_stream: false,
            refused: None,
            read: 0,
            unreadable: 0,
        }
    }

    /// Shows the answer's status and headers (`header` finds one by its lower-case name).
    pub fn head<'a>(&mut self, status: u16, header: &dyn Fn(&str) -> Option<&'a str>) {
        self.status = status;
        self.declared = Declared::of(header("content-type").unwrap_or_default());
        let known = self.request_id_headers.iter().map(|name| &**name).chain(REQUEST_ID_HEADERS);
        let id = known.into_iter().find_map(header).filter(|id| !id.is_empty());
        self.shape.head(&|name| header(name).map(Into::into));
        self.answer.request_id = id.map(|id| id.chars().take(NAME_LIMIT).collect());
    }

    /// Shows the next decoded bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) -> Seen {
        let mut framing = std::mem::take(&mut self.framing);
        framing.push(bytes, self.declared, self);
        self.framing = framing;
        self.answer.seen
    }

    /// What it all came to. `asked` is what the request turned out to ask for.
    pub fn finish(mut self, end: End, asked: &Asked) -> Reading {
        let mut framing = std::mem::take(&mut self.framing);
        framing.finish(&mut self);
        self.framing = framing;
        outcome::reading(self, end, asked)
    }

    /// The whole body is an error.
    fn is_refused(&self) -> bool {
        self.status >= 400
    }
}

/// Where a request id may be, if the provider's file names no better place.
const REQUEST_ID_HEADERS: [&str; 6] = [
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-generation-id",
    "cf-ray",
];

impl Parts for Reader {
    fn bytes(&mut self, bytes: &[u8]) -> usize {
        let is_refused = self.is_refused() || self.refused.is_some();
        let mut view = View { shape: &mut *self.shape, answer: &mut self.answer, is_refused };
        self.scanner.push(bytes, &mut view)
    }

    fn is_complete(&self) -> bool {
        self.scanner.is_complete()
    }

    fn is_broken(&self) -> bool {
        self.scanner.is_broken()
    }

    fn end(&mut self, document: Document<'_>) {
        let refused = self.refused.take();
        let is_whole = self.scanner.is_complete();
        let failure = self.answer.trouble.take().filter(|_| is_whole);
        if failure.is_some() || refused.is_some() {
            let failure = failure.unwrap_or_default();
            let word = refused.clone().or(failure.word);
            self.answer.fail(trouble::Failure { word, ..failure });
        }
        if is_whole {
            self.read = self.read.saturating_add(1);
            self.is_stream |= document != Document::Whole && !self.is_refused();
            if !self.is_refused() && refused.is_none() {
                self.shape.document(document, &mut self.answer);
            }
        } else if !self.scanner.is_fresh() {
            self.unreadable = self.unreadable.saturating_add(1);
        }
        self.scanner.reset();
    }

    fn forget(&mut self) {
        self.scanner.reset();
    }

    fn done(&mut self) {
        self.shape.done(&mut self.answer);
    }

    fn refuse(&mut self, word: &str) {
        self.refused = Some(word.into());
    }

    fn unreadable(&mut self) {
        self.unreadable = self.unreadable.saturating_add(1);
    }

    fn text(&mut self, text: &str) {
        if self.is_refused() {
            self.answer.fail(trouble::Failure { word: None, sentence: trouble::visible(text) });
        } else if self.shape.may_be_raw() {
            self.read = self.read.saturating_add(1);
            self.answer.complete();
        } else if !text.is_empty() {
            self.unreadable = self.unreadable.saturating_add(1);
        }
    }
}

/// One document's values on their way to the format.
struct View<'a> {
    shape: &'a mut dyn Shape,
    answer: &'a mut Answer,
    is_refused: bool,
}

impl Sink for View<'_> {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match path {
            ["request_id"] if kind == Kind::String => Want::Keep(NAME_LIMIT),
            _ if self.is_refused => self.answer.trouble.want(path, kind),
            ["error", ..] => self.answer.trouble.want(path, kind),
            [] => Want::Walk,
            _ => self.shape.want(path, kind),
        }
    }

    fn kept(&mut self, path: &[&str], json: &str) {
        match path {
            ["request_id"] if self.answer.request_id.is_some() => {}
            ["request_id"] => name(&mut self.answer.request_id, json),
            _ if self.is_refused => self.answer.trouble.kept(path, json),
            ["error", ..] => self.answer.trouble.kept(path, json),
            _ => self.shape.kept(path, json, self.answer),
        }
    }

    fn counted(&mut self, path: &[&str], text: TextCount) {
        self.shape.counted(path, text, self.answer);
    }

    fn left(&mut self, path: &[&str]) {
        if !self.is_refused {
            self.shape.left(path, self.answer);
        }
    }
}
