//! Which wire formats belong together: what a route's targets must have in common, since nothing
//! is translated between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::format::Format;
use crate::provider::{Provider, Route};
use crate::receipt::{Kind, UnknownWord, words};

words! {
    /// Formats that one provider speaks if it speaks any of them.
    Family {
        /// OpenAI's, the model in the body.
        Openai = "openai",
        /// Anthropic's, the model in the body.
        Anthropic = "anthropic-messages",
        /// Gemini's, the model in the path.
        Gemini = "gemini-generate",
        /// Ollama's own, the model in the body.
        Ollama = "ollama-native",
    }
}

impl Family {
    /// That of a call, if a route can carry it: calls that begin jobs, or are about something that
    /// one provider keeps, belong to that provider.
    pub fn of(route: &Route, path: &str) -> Option<Self> {
        match (route.kind, route.format) {
            (Kind::Count, None) => Self::of_count(path),
            (
                Kind::Chat | Kind::Completion | Kind::Embedding | Kind::Image | Kind::Speech,
                Some(format),
            ) => Self::of_format(format),
            _ => None,
        }
    }

    /// Those of all of these.
    pub fn shared<'a>(providers: impl IntoIterator<Item = &'a Provider>) -> Vec<Self> {
        let mut shared = Self::ALL.to_vec();
        for provider in providers {
            shared.retain(|family| provider.speaks.contains(family));
        }
        shared
    }

    /// Whether the path names the model.
    pub const fn names_model_in_path(self) -> bool {
        matches!(self, Self::Gemini)
    }

    fn of_format(format: Format) -> Option<Self> {
        match format {
            Format::OpenaiChat
            | Format::OpenaiCompletions
            | Format::OpenaiResponses
            | Format::OpenaiEmbeddings
            | Format::OpenaiImages
            | Format::OpenaiSpeech => Some(Self::Openai),
            Format::AnthropicMessages => Some(Self::Anthropic),
            Format::GeminiGenerate | Format::GeminiEmbed => Some(Self::Gemini),
            Format::Ollama => Some(Self::Ollama),
            Format::GeminiInteractions
            | Format::CohereChat
            | Format::CohereEmbed
            | Format::Dashscope
            | Format::Ocr
            | Format::LlamacppCompletion
            | Format::LmstudioChat
            | Format::OpenaiJob
            | Format::Batch
            | Format::OpenaiTranscription
            | Format::Conversations
            | Format::Predict
            | Format::TextGeneration
            | Format::Rerank
            | Format::BedrockConverse
            | Format::BedrockInvoke => None,
        }
    }

    /// Counting tokens has no format of its own, only a path.
    fn of_count(path: &str) -> Option<Self> {
        if path.ends_with("/messages/count_tokens") {
            Some(Self::Anthropic)
        } else if path.ends_with("/responses/input_tokens") {
            Some(Self::Openai)
        } else if path.ends_with(":countTokens") {
            Some(Self::Gemini)
        } else {
            None
        }
    }
}
