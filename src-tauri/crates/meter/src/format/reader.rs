//! Reads one answer: the framing's documents through the scanner into the format's shape.

use std::fmt;

use super::answer::{Answer, name};
use super::framing::{Declared, Document, Framing, Parts};
use super::{End, Format, NAME_LIMIT, Reading, Seen, Shape, outcome, shape_of, trouble};
use crate::json::{Kind, Outlines, Scanner, Sink, Want};
use crate::provider::{Provider, Reasoning};
use crate::request::{Asked, TextCount};
use crate::usage::Count;

/// Reads one answer.
pub struct Reader {
    pub(super) status: u16,
    pub(super) declared: Declared,
    pub(super) framing: Framing,
    pub(super) scanner: Scanner,
    /// Of documents of this stream, where its format can be read by them.
    pub(super) outlines: Outlines,
    pub(super) shape: Box<dyn Shape>,
    pub(super) answer: Answer,
    pub(super) reasoning: Reasoning,
    pub(super) request_id_headers: Vec<Box<str>>,
    cached_header: Option<Box<str>>,
    /// Cached tokens of the prompt, as a header tells.
    pub(super) cached: Option<Count>,
    pub(super) is_stream: bool,
    /// The framing's word for the current document, if it is an error as a whole.
    pub(super) refused: Option<Box<str>>,
    /// Complete documents, and those that were none.
    pub(super) read: u32,
    pub(super) unreadable: u32,
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
            outlines: Outlines::default(),
            shape: shape_of(format),
            answer: Answer::default(),
            reasoning: provider.reasoning,
            request_id_headers: provider.request_id_headers.clone(),
            cached_header: provider.cached_header.clone(),
            cached: None,
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
        self.cached = self.cached_header.as_deref().and_then(header).and_then(Count::parse);
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
    pub(super) fn is_refused(&self) -> bool {
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
        // One document alone is like no other.
        let may_repeat =
            self.read > 0 && !is_refused && self.scanner.is_fresh() && self.shape.wants_alike();
        let mut view = View { shape: &mut *self.shape, answer: &mut self.answer, is_refused };
        if !may_repeat {
            return self.scanner.push(bytes, &mut view);
        }
        if let Some(length) = self.outlines.tell(bytes, &mut view) {
            self.scanner.pass();
            return length;
        }
        let length = self.scanner.push(bytes, &mut view);
        if self.scanner.is_complete() {
            self.outlines.learn(&bytes[..length], &mut view);
        }
        length
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
