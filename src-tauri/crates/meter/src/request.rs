//! Reads from a request only what a receipt needs: model, stream flag, tier, capabilities,
//! and counters for an estimate. Values it does not need are skipped, not stored.

mod body;
mod labels;
mod multipart;

use crate::format::Format;
use crate::provider::Route;
use crate::receipt::{Capability, Kind};
use crate::request::body::Body;
pub use crate::request::labels::Labels;
use crate::request::multipart::Form;

/// What the client asked for, as far as its body has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The model named in path or body.
    pub model: Option<Box<str>>,
    /// How many times one is named. The path's word is final; of several in a body nobody can
    /// say which one an upstream takes.
    pub model_names: u32,
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
    /// The id of a job, where only the path names it.
    pub job: Option<Box<str>>,
    /// The most tokens that the answer may have, if the request bounds it.
    pub most_output: Option<u64>,
    /// How many answers (or images) are asked for, if the request says so.
    pub answers: Option<u64>,
    /// What a price may depend on besides the model, such as an image's `size` and `quality`.
    pub attributes: Vec<(Box<str>, Box<str>)>,
    /// What the body says of whom it is for and what it belongs to.
    pub labels: Labels,
}

/// Counts text as it passes and keeps none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextCount {
    /// Characters of scripts written with spaces.
    pub spaced: u64,
    /// Characters of scripts where a token is about one character.
    pub dense: u64,
}

impl Asked {
    fn exercises(&mut self, capability: Capability) {
        if !self.capabilities.contains(&capability) {
            self.capabilities.push(capability);
        }
    }

    /// A top-level word that a price may depend on.
    fn wants(&mut self, attribute: &str, word: &str) {
        self.attributes.retain(|(known, _)| **known != *attribute);
        self.attributes.push((attribute.into(), word.into()));
    }

    /// The prompt holds something besides text.
    fn sends_media(&mut self, capability: Capability) {
        self.has_media = true;
        self.exercises(capability);
    }
}

/// Reads a request body as it streams by, split anywhere. Holds at most a few KiB.
#[derive(Debug)]
pub struct RequestScanner {
    asked: Asked,
    /// The path names the model: the body's word for it counts for nothing.
    model_is_in_path: bool,
    reader: BodyReader,
}

#[derive(Debug)]
enum BodyReader {
    Json(Box<Body>),
    Form(Box<Form>),
}

impl RequestScanner {
    /// For a request with this route and content type.
    pub fn new(route: &Route, content_type: Option<&str>) -> Self {
        let reader = match content_type.and_then(Form::new) {
            Some(form) => BodyReader::Form(Box::new(form)),
            None => BodyReader::Json(Box::new(Body::new(route))),
        };
        let asked = Asked {
            model: route.model.clone(),
            model_names: route.model.is_some().into(),
            job: route.job.clone(),
            stream: streams_unless_told(route),
            ..Asked::default()
        };
        Self { asked, model_is_in_path: route.model.is_some(), reader }
    }

    /// Shows the next decoded bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.reader {
            BodyReader::Json(body) => body.push(bytes, &mut self.asked),
            BodyReader::Form(form) => form.push(bytes, &mut self.asked),
        }
        if self.model_is_in_path {
            self.asked.model_names = 1;
        }
    }

    /// Says that the body is complete.
    pub fn finish(&mut self) {
        match &self.reader {
            BodyReader::Json(body) => self.asked.is_complete_object = body.is_one_object(),
            BodyReader::Form(_) => {}
        }
    }

    /// The request is for this model, whatever it says itself: a route chose it.
    pub fn is_for(&mut self, model: &str) {
        self.asked.model = Some(model.into());
    }

    /// What came so far is of the kind that its head promised, so that nothing in it was missed.
    pub fn is_understood(&self) -> bool {
        match &self.reader {
            BodyReader::Json(body) => !body.is_broken(),
            BodyReader::Form(_) => true,
        }
    }

    /// What has been read so far.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }
}

/// The top-level words that a price may depend on besides the model.
fn is_attribute(key: &str) -> bool {
    matches!(key, "size" | "quality" | "resolution" | "seconds" | "output_format")
}

/// Whether the answer streams if the body says nothing about it.
fn streams_unless_told(route: &Route) -> bool {
    let by_format = match (route.format, route.kind) {
        // Streams when `stream` is absent (github.com/ollama/ollama, docs/api.md, read 2026-11-20).
        (Some(Format::Ollama), kind) => kind != Kind::Embedding,
        _ => false,
    };
    let verb = &*route.verb;
    by_format || verb.starts_with("stream") || verb.ends_with("-stream")
}
