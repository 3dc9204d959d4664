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
pub mod postscript;

mod answer;
mod anthropic_messages;
mod batch;
mod bedrock_converse;
mod bedrock_invoke;
mod cohere_chat;
mod conversations;
mod dashscope;
mod estimate;
mod framing;
mod gemini_generate;
mod gemini_interactions;
mod gemini_usage;
mod llamacpp_completion;
mod lmstudio_chat;
mod members;
mod ollama;
mod openai_chat;
mod openai_images;
mod openai_job;
mod openai_responses;
mod openai_speech;
mod openai_transcription;
mod openai_usage;
mod outcome;
mod predict;
mod reader;
mod reread;
mod single;
#[cfg(test)]
mod tests;
mod text_generation;
mod trouble;
mod unknown;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use answer::{Answer, Call};
use framing::Document;
use reread::Recorded;
use single::Single;
use unknown::Unknown;

use crate::json::{Kind, Want};
use crate::receipt::{Anomaly, RawUsage, ReportedCost, Status, UnknownWord, UsageState, words};
use crate::request::TextCount;
use crate::usage::UsageLine;

pub use reader::Reader;
pub use reread::{Reread, reread};

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
        Ollama = "ollama-native",
        /// llama.cpp's own completion.
        LlamacppCompletion = "llamacpp-completion",
        /// LM Studio's own chat.
        LmstudioChat = "lmstudio-chat",
        /// OpenAI-shaped jobs: batches, fine-tuning, videos, runs.
        OpenaiJob = "openai-job",
        /// Batches that tell what they used call by call.
        Batch = "batch",
        /// OpenAI-shaped images: generations, edits, variations.
        OpenaiImages = "openai-images",
        /// OpenAI-shaped speech.
        OpenaiSpeech = "openai-speech",
        /// OpenAI-shaped transcriptions and translations of sound.
        OpenaiTranscription = "openai-transcription",
        /// Conversations kept by the provider, with tools it runs itself.
        Conversations = "conversations",
        /// Predictions: embeddings and images.
        Predict = "predict",
        /// Generated text with counts beside it.
        TextGeneration = "text-generation",
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

    /// Whether what it wants depends on nothing but path and kind, and asking it twice is the same
    /// as asking once. Then documents that look alike are compared instead of read again.
    fn wants_alike(&self) -> bool {
        false
    }

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

    /// Takes a recorded usage object for that of an answer.
    fn recall(&mut self, recorded: &Recorded<'_>, answer: &mut Answer) {
        answer.snapshot(recorded.usage.as_str());
    }

    /// Makes lines, and a stated cost, of what was gathered. Called once, at the end.
    fn bill(&mut self, answer: &mut Answer, call: Call<'_>);
}

fn shape_of(format: Option<Format>) -> Box<dyn Shape> {
    match format {
        Some(Format::OpenaiChat | Format::OpenaiCompletions) => {
            Box::new(openai_chat::Chat::default())
        }
        Some(Format::OpenaiEmbeddings) => Box::new(Single::EMBEDDINGS),
        Some(Format::AnthropicMessages) => Box::new(anthropic_messages::Messages::default()),
        Some(Format::GeminiGenerate) => Box::new(gemini_generate::Generate::default()),
        Some(Format::GeminiInteractions) => Box::new(gemini_interactions::Interactions::default()),
        Some(Format::GeminiEmbed) => Box::new(Single::GEMINI_EMBED),
        Some(Format::CohereChat) => Box::new(cohere_chat::Chat::default()),
        Some(Format::CohereEmbed) => Box::new(Single::COHERE_EMBED),
        Some(Format::Dashscope) => Box::new(dashscope::Native::default()),
        Some(Format::Ocr) => Box::new(Single::OCR),
        Some(Format::Ollama) => Box::new(ollama::Ollama::default()),
        Some(Format::LlamacppCompletion) => Box::new(llamacpp_completion::Completion::default()),
        Some(Format::LmstudioChat) => Box::new(lmstudio_chat::Chat::default()),
        Some(Format::OpenaiJob) => Box::new(openai_job::Job::default()),
        Some(Format::Batch) => Box::new(batch::Batch::default()),
        Some(Format::OpenaiImages) => Box::new(openai_images::Images::default()),
        Some(Format::OpenaiSpeech) => Box::new(openai_speech::Speech::default()),
        Some(Format::OpenaiTranscription) => {
            Box::new(openai_transcription::Transcription::default())
        }
        Some(Format::Conversations) => Box::new(conversations::Conversation::default()),
        Some(Format::Predict) => Box::new(predict::Predictions::default()),
        Some(Format::TextGeneration) => Box::new(text_generation::Generation::default()),
        Some(Format::Rerank) => Box::new(Single::RERANK),
        Some(Format::BedrockConverse) => Box::new(bedrock_converse::Converse::default()),
        Some(Format::BedrockInvoke) => Box::new(bedrock_invoke::Invoke::default()),
        Some(Format::OpenaiResponses) => Box::new(openai_responses::Responses::default()),
        None => Box::new(Unknown),
    }
}
