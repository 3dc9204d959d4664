//! The `multipart/form-data` body of a request: audio, images and files with a few fields.
//!
//! Fields come in any order, so a model's name may stand behind a file of half a gigabyte.
//! Files are passed over; of a field only its first bytes are kept.

use crate::receipt::Capability;
use crate::request::{Asked, TextCount, is_attribute};

/// Bytes of a part's headers that are read; what is beyond them counts as content.
const HEADER_LIMIT: usize = 4 * 1024;
/// Bytes of a field's value that are kept.
const VALUE_LIMIT: usize = 256;
/// The longest boundary allowed is 70 (RFC 2046, 5.1.1).
const BOUNDARY_LIMIT: usize = 70;

/// Reads a form.
#[derive(Debug)]
pub(super) struct Form {
    /// `\r\n--boundary`. A carriage return stands nowhere but in front.
    delimiter: Box<[u8]>,
    /// Bytes of the delimiter that have just passed.
    matched: usize,
    state: State,
    headers: Vec<u8>,
    field: Field,
    value: Vec<u8>,
    text: TextCount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In front of the first delimiter, or inside a part.
    Content,
    /// Behind a delimiter: a new part, or the end of the form.
    Delimited,
    Headers,
    Done,
}

/// What the part at hand is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Model,
    /// Something that the price may depend on.
    Attribute(Box<str>),
    Stream,
    /// The end user.
    User,
    /// Text that the model reads.
    Prompt,
    Image,
    Audio,
    Other,
}

impl Form {
    /// For a body of this content type, if it is a form.
    pub(super) fn new(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        let is_usual = !boundary.contains('\r') && (1..=BOUNDARY_LIMIT).contains(&boundary.len());
        is_usual.then(|| Self {
            delimiter: format!("\r\n--{boundary}").into_bytes().into(),
            // The first delimiter stands at the very beginning, without its line break.
            matched: 2,
            state: State::Content,
            headers: Vec::new(),
            field: Field::Other,
            value: Vec::new(),
            text: TextCount::default(),
        })
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], asked: &mut Asked) {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Content => self.content(bytes, asked),
                State::Delimited => self.delimited(bytes),
                State::Headers => self.header_bytes(bytes, asked),
                State::Done => bytes.len(),
            };
            bytes = &bytes[taken..];
        }
    }

    /// Looks for the delimiter; what stands in front of it is the part.
    fn content(&mut self, bytes: &[u8], asked: &mut Asked) -> usize {
        if self.matched == 0 {
            let run = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
            self.take(&bytes[..run]);
            self.matched = usize::from(run < bytes.len());
            return run + self.matched;
        }
        if bytes[0] != self.delimiter[self.matched] {
            // It was content after all. The byte at hand is looked at again.
            let (delimiter, matched) = (std::mem::take(&mut self.delimiter), self.matched);
            self.take(&delimiter[..matched]);
            self.delimiter = delimiter;
            self.matched = 0;
            return 0;
        }
        self.matched += 1;
        if self.matched == self.delimiter.len() {
            self.end_part(asked);
            self.matched = 0;
            self.headers.clear();
            self.state = State::Delimited;
        }
        1
    }

    /// `--` ends the form, a line break begins a part's headers.
    fn delimited(&mut self, bytes: &[u8]) -> usize {
        match bytes[0] {
            b'-' => self.state = State::Done,
            b'\n' => self.state = State::Headers,
            _ => {}
        }
        1
    }

    fn header_bytes(&mut self, bytes: &[u8], asked: &mut Asked) -> usize {
        let line = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let taken = line.min(HEADER_LIMIT - self.headers.len());
        self.headers.extend_from_slice(&bytes[..taken]);
        let is_over = self.headers.ends_with(b"\n\r\n") || self.headers == b"\r\n";
        if is_over || self.headers.len() == HEADER_LIMIT {
            self.begin_part(asked);
            self.state = State::Content;
        }
        taken
    }

    fn begin_part(&mut self, asked: &mut Asked) {
        let headers = String::from_utf8_lossy(&self.headers);
        let disposition = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let name = disposition.and_then(|value| parameter(value, "name")).unwrap_or_default();
        self.field = match name.trim_end_matches("[]") {
            "model" => Field::Model,
            "stream" => Field::Stream,
            "user" => Field::User,
            "prompt" => Field::Prompt,
            name if is_attribute(name) => Field::Attribute(name.into()),
            "image" | "mask" => Field::Image,
            "file" | "audio" if headers.contains("filename") => Field::Audio,
            _ => Field::Other,
        };
        match self.field {
            Field::Model => asked.model_names += 1,
            Field::Image => asked.sends_media(Capability::Vision),
            Field::Audio => asked.sends_media(Capability::AudioInput),
            Field::Stream | Field::User | Field::Attribute(_) | Field::Prompt | Field::Other => {}
        }
        self.value.clear();
        self.text = TextCount::default();
    }

    /// More content of the part at hand.
    fn take(&mut self, bytes: &[u8]) {
        match self.field {
            Field::Model | Field::Stream | Field::User | Field::Attribute(_) => {
                let room = VALUE_LIMIT - self.value.len();
                self.value.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Field::Prompt => self.text.add_utf8(bytes),
            Field::Image | Field::Audio | Field::Other => {}
        }
    }

    fn end_part(&mut self, asked: &mut Asked) {
        let value = String::from_utf8_lossy(&self.value);
        match &self.field {
            Field::Attribute(name) => asked.wants(name, value.trim()),
            Field::Model if !value.is_empty() && asked.model.is_none() => {
                asked.model = Some(value.trim().into());
            }
            Field::User => asked.labels.take_user(&value),
            Field::Stream => asked.stream = matches!(value.trim(), "true" | "1" | "True"),
            Field::Prompt => asked.text.add(self.text),
            Field::Model | Field::Image | Field::Audio | Field::Other => {}
        }
        self.field = Field::Other;
    }
}

/// The parameter of a header's value, without its quotes.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').find_map(|part| {
        let (key, text) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| text.trim().trim_matches('"'))
    })
}
