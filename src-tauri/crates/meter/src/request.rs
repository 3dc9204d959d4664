//! Reads from a request only what a receipt needs: model, stream flag, tier, capabilities,
//! and counters for an estimate. Values it does not need are skipped, not stored.

use crate::provider::Route;
use crate::receipt::Capability;

/// What the client asked for, as far as its body has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The model named in path or body.
    pub model: Option<Box<str>>,
    /// The stream flag, path verb and the format's default considered.
    pub stream: bool,
    /// The tier asked for.
    pub service_tier: Option<Box<str>>,
    /// The body has a `stream_options` of the client's own (of whatever type).
    pub has_stream_options: bool,
    /// The body was one complete JSON object.
    pub is_complete_object: bool,
    /// What the request exercises.
    pub capabilities: Vec<Capability>,
    /// Characters of text seen in the prompt, for an estimate.
    pub text: TextCount,
    /// The prompt holds images, audio or files: text alone is a lower bound.
    pub has_media: bool,
    /// The prompt continues a conversation kept by the provider: text alone says nothing.
    pub has_remote_history: bool,
    /// Every cache breakpoint in the request asks for the one-hour lifetime.
    pub caches_for_an_hour: bool,
    /// The answer will come later; this call only starts the job.
    pub is_background: bool,
}

/// Counts text as it passes and keeps none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextCount {
    /// Characters of scripts written with spaces.
    pub spaced: u64,
    /// Characters of scripts where a token is about one character.
    pub dense: u64,
}

/// Reads a request body as it streams by, split anywhere.
#[derive(Debug)]
pub struct RequestScanner {
    asked: Asked,
}

impl RequestScanner {
    /// For a request with this route and content type.
    pub fn new(route: &Route, _content_type: Option<&str>) -> Self {
        Self { asked: Asked { model: route.model.clone(), ..Asked::default() } }
    }

    /// Shows the next decoded bytes of the body.
    pub fn push(&mut self, _bytes: &[u8]) {}

    /// Says that the body is complete.
    pub fn finish(&mut self) {}

    /// What has been read so far.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }
}
