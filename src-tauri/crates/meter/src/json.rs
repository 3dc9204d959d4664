//! Reads JSON as it streams by, split anywhere, and hands over only what was asked for.
//!
//! A [`Scanner`] walks one document. At each value it shows its [`Sink`] the path and the
//! kind, and the sink says what it wants: to walk in, to have the text, to have the
//! characters counted, or nothing, which is the cheapest. The path is a slice of keys and of
//! indices in decimal, made for slice patterns:
//!
//! ```ignore
//! fn want(&mut self, path: &[&str], kind: Kind) -> Want {
//!     match (path, kind) {
//!         ([] | ["choices"] | ["choices", _], _) => Want::Walk,
//!         (["model"], Kind::String) => Want::Keep(200),
//!         (["choices", _, "text"], Kind::String) => Want::Count,
//!         _ => Want::Skip,
//!     }
//! }
//! ```
//!
//! Whatever passes by, a scanner holds no more than the path, one key and one kept value. It
//! tolerates more than JSON inside skipped values and stops at garbage where it walks.

mod outline;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

pub(crate) use outline::Outlines;
use text::{Escape, close_string, plain_string, push_unescaped, run_of_text, text_of};
pub(crate) use text::{plain, push_plain};

use crate::request::TextCount;

/// Walked containers inside each other; deeper ones are skipped.
const MAX_DEPTH: usize = 16;
/// Bytes of a key that are kept. Longer keys are cut, so they match nothing anyone asks for.
const KEY_LIMIT: usize = 96;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// What to do with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Pass over it.
    Skip,
    /// Ask again for each thing inside; on a scalar the same as [`Want::Skip`].
    Walk,
    /// Hand its JSON text to [`Sink::kept`]. Of a string at most this many bytes are kept,
    /// the rest is cut off; any other value that is longer is not handed over at all.
    Keep(usize),
    /// Count the characters of this string, or of all strings and keys inside.
    Count,
}

/// Who is told.
pub(crate) trait Sink {
    /// A value begins: what to do with it? The document itself has the empty path.
    fn want(&mut self, path: &[&str], kind: Kind) -> Want;
    /// A value that was to be kept is complete. `json` is its JSON text.
    fn kept(&mut self, _path: &[&str], _json: &str) {}
    /// Some characters (never none) of a value that was to be counted have passed.
    fn counted(&mut self, _path: &[&str], _text: TextCount) {}
    /// A walked object or array is complete.
    fn left(&mut self, _path: &[&str]) {}

    /// Whether it wants to hear of what has passed by in one piece without being kept.
    const LEARNS: bool = false;

    /// The inside of a string, or a number, of which nothing was kept. A string whose characters
    /// were to be counted is told here alone.
    fn passed(&mut self, _path: &[&str], _want: Want, _kind: Kind, _text: &[u8]) {}
}

/// A walked container that is still open. Its current step's text begins at `step`.
#[derive(Clone, Copy, Debug)]
struct Frame {
    is_object: bool,
    index: u32,
    step: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a value.
    Value,
    /// Just inside `[`: a value or the end.
    First,
    /// Just inside `{`: a key or the end.
    FirstKey,
    /// After a comma in an object.
    Key,
    InKey,
    Colon,
    InString,
    InLiteral,
    /// Inside a container that is not walked, outside its strings.
    Deep,
    DeepString,
    /// After a value in a container.
    After,
    Done,
    Broken,
}

/// Walks one document.
pub(crate) struct Scanner {
    state: State,
    escape: Escape,
    want: Want,
    /// Open containers below the one that is not walked.
    deep: usize,
    frames: Vec<Frame>,
    /// The steps of all frames, one after the other.
    steps: String,
    /// The key or the kept value.
    token: Vec<u8>,
    overflowed: bool,
}

impl fmt::Debug for Scanner {
    /// Without what it holds: that may be content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Value,
            escape: Escape::No,
            want: Want::Skip,
            deep: 0,
            frames: Vec::new(),
            steps: String::new(),
            token: Vec::new(),
            overflowed: false,
        }
    }
}

impl Scanner {
    /// Shows the next bytes. Returns how many belong to the document: fewer than given only
    /// when its last byte is among them, or garbage.
    pub(crate) fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let mut at = 0;
        while at < bytes.len() && !matches!(self.state, State::Done | State::Broken) {
            at += self.step(&bytes[at..], sink);
        }
        at
    }

    /// The document is an object or array and has been read to its end.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::Done
    }

    /// Nothing but white space has been seen.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state == State::Value && self.frames.is_empty()
    }

    /// What was read is not JSON.
    pub(crate) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Begins a new document, whatever became of the last one.
    pub(crate) fn reset(&mut self) {
        self.state = State::Value;
        self.escape = Escape::No;
        self.frames.clear();
        self.steps.clear();
    }

    /// Bytes held for later.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.token.capacity() + self.steps.capacity() + self.frames.capacity() * size_of::<Frame>()
    }

    /// Takes at least one byte, or changes the state.
    fn step(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        match self.state {
            State::InString => self.in_string(bytes, sink),
            State::InKey => self.in_key(bytes),
            State::InLiteral => self.in_literal(bytes, sink),
            State::Deep => self.in_deep(bytes, sink),
            State::DeepString => self.in_deep_string(bytes, sink),
            State::Done | State::Broken => bytes.len(),
            State::Value
            | State::First
            | State::FirstKey
            | State::Key
            | State::Colon
            | State::After => match bytes.iter().position(|b| !b.is_ascii_whitespace()) {
                Some(at) => at + self.between(&bytes[at..], sink),
                None => bytes.len(),
            },
        }
    }

    /// At a byte outside of tokens that is no white space. Returns how many bytes are taken.
    fn between(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let byte = bytes[0];
        match (self.state, byte) {
            (State::FirstKey | State::Key, b'"') => {
                if let Some(taken) = self.whole_key(bytes) {
                    return taken;
                }
                self.token.clear();
                self.overflowed = false;
                self.state = State::InKey;
            }
            (State::FirstKey, b'}') | (State::First, b']') => self.leave(sink),
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => self.next(),
            (State::After, b'}' | b']') if self.in_object() == (byte == b'}') => self.leave(sink),
            (State::Value | State::First, b'{') => self.open(Kind::Object, byte, sink),
            (State::Value | State::First, b'[') => self.open(Kind::Array, byte, sink),
            (State::Value | State::First, b'"') => {
                self.begin(Kind::String, sink);
                if let Some(taken) = self.whole_string(bytes, sink) {
                    return taken;
                }
                self.keep(b"\"");
                self.state = State::InString;
            }
            (State::Value | State::First, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                let kind = match byte {
                    b't' | b'f' => Kind::Bool,
                    b'n' => Kind::Null,
                    _ => Kind::Number,
                };
                self.begin(kind, sink);
                self.state = State::InLiteral;
                return 0;
            }
            _ => self.state = State::Broken,
        }
        1
    }

    /// Takes a key that came whole and plain, as nearly all do: it needs no copy.
    fn whole_key(&mut self, bytes: &[u8]) -> Option<usize> {
        let length = plain_string(&bytes[1..]).filter(|length| *length <= KEY_LIMIT)?;
        let key = std::str::from_utf8(&bytes[1..=length]).ok()?;
        if let Some(frame) = self.frames.last() {
            self.steps.truncate(frame.step);
        }
        self.steps.push_str(key);
        self.state = State::Colon;
        Some(length + 2)
    }

    /// Takes a string value that came whole and plain.
    fn whole_string<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) -> Option<usize> {
        let length = plain_string(&bytes[1..])?;
        match self.want {
            Want::Skip | Want::Walk | Want::Count if S::LEARNS => {
                let (want, text) = (self.want, &bytes[1..=length]);
                self.with_path(|path| sink.passed(path, want, Kind::String, text));
            }
            Want::Skip | Want::Walk => {}
            // The limit counts the quote it begins with and not the one it ends with.
            Want::Keep(limit) if length < limit => {
                let json = std::str::from_utf8(&bytes[..length + 2]).ok()?;
                self.with_path(|path| sink.kept(path, json));
            }
            Want::Keep(_) => return None,
            Want::Count => {
                let mut text = TextCount::default();
                text.add_utf8(&bytes[1..=length]);
                if !text.is_empty() {
                    self.with_path(|path| sink.counted(path, text));
                }
            }
        }
        self.state = self.after_value();
        Some(length + 2)
    }

    fn in_object(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.is_object)
    }

    /// Asks what to do with the value that begins here.
    fn begin(&mut self, kind: Kind, sink: &mut impl Sink) {
        self.want = self.with_path(|path| sink.want(path, kind));
        self.token.clear();
        self.overflowed = false;
    }

    fn open(&mut self, kind: Kind, byte: u8, sink: &mut impl Sink) {
        self.begin(kind, sink);
        if self.want != Want::Walk || self.frames.len() == MAX_DEPTH {
            self.deep = 1;
            self.keep(&[byte]);
            self.state = State::Deep;
            return;
        }
        let is_object = kind == Kind::Object;
        self.frames.push(Frame { is_object, index: 0, step: self.steps.len() });
        if is_object {
            self.state = State::FirstKey;
        } else {
            self.steps.push('0');
            self.state = State::First;
        }
    }

    /// After a comma.
    fn next(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        self.steps.truncate(frame.step);
        if frame.is_object {
            self.state = State::Key;
            return;
        }
        frame.index = frame.index.saturating_add(1);
        push_decimal(&mut self.steps, frame.index);
        self.state = State::Value;
    }

    /// After the closing bracket of a walked container.
    fn leave(&mut self, sink: &mut impl Sink) {
        if let Some(frame) = self.frames.pop() {
            self.steps.truncate(frame.step);
        }
        self.with_path(|path| sink.left(path));
        self.state = self.after_value();
    }

    fn after_value(&self) -> State {
        if self.frames.is_empty() { State::Done } else { State::After }
    }

    /// A value that is not walked is complete.
    fn end(&mut self, sink: &mut impl Sink) {
        if matches!(self.want, Want::Keep(_)) && !self.overflowed {
            let json = text_of(&self.token);
            self.with_path(|path| sink.kept(path, &json));
        }
        self.state = self.after_value();
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Want::Keep(limit) = self.want else { return };
        if self.overflowed || self.token.len() + bytes.len() > limit {
            self.overflowed = true;
        } else {
            self.token.extend_from_slice(bytes);
        }
    }

    fn in_string(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let (taken, ended) = self.string_run(bytes, sink);
        if let Want::Keep(limit) = self.want {
            let text = if ended { &bytes[..taken - 1] } else { &bytes[..taken] };
            let room = limit.saturating_sub(self.token.len());
            self.token.extend_from_slice(&text[..room.min(text.len())]);
        }
        if ended {
            if matches!(self.want, Want::Keep(_)) {
                close_string(&mut self.token);
            }
            self.end(sink);
        }
        taken
    }

    fn in_key(&mut self, bytes: &[u8]) -> usize {
        self.want = Want::Skip;
        let (taken, ended) = self.string_run(bytes, &mut Nobody);
        let text = if ended { &bytes[..taken - 1] } else { &bytes[..taken] };
        let room = KEY_LIMIT - self.token.len();
        self.token.extend_from_slice(&text[..room.min(text.len())]);
        if ended {
            if let Some(frame) = self.frames.last() {
                self.steps.truncate(frame.step);
            }
            push_unescaped(&mut self.steps, &self.token);
            self.state = State::Colon;
        }
        taken
    }

    fn in_literal<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) -> usize {
        let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b'"') || b.is_ascii_whitespace();
        let taken = bytes.iter().position(ends);
        if let (Some(length), Want::Keep(limit)) = (taken, self.want)
            && (self.token.is_empty() && !self.overflowed && length <= limit)
            && let Ok(json) = std::str::from_utf8(&bytes[..length])
        {
            self.with_path(|path| sink.kept(path, json));
            self.state = self.after_value();
            return length;
        }
        if S::LEARNS
            && let (Some(length), Want::Skip) = (taken, self.want)
            && matches!(bytes[0], b'-' | b'0'..=b'9')
        {
            let text = &bytes[..length];
            self.with_path(|path| sink.passed(path, Want::Skip, Kind::Number, text));
        }
        self.keep(&bytes[..taken.unwrap_or(bytes.len())]);
        if taken.is_some() {
            self.end(sink);
        }
        taken.unwrap_or(bytes.len())
    }

    fn in_deep(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => match plain_string(&bytes[at..]).filter(|_| self.want != Want::Count) {
                    Some(length) => at += length + 1,
                    None => {
                        self.state = State::DeepString;
                        break;
                    }
                },
                b'{' | b'[' => self.deep += 1,
                b'}' | b']' => self.deep -= 1,
                _ => {}
            }
            if self.deep == 0 {
                break;
            }
        }
        self.keep(&bytes[..at]);
        if self.deep == 0 {
            self.end(sink);
        }
        at
    }

    fn in_deep_string(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let (taken, ended) = self.string_run(bytes, sink);
        self.keep(&bytes[..taken]);
        if ended {
            self.state = State::Deep;
        }
        taken
    }

    /// Reads on inside a string. Returns how many bytes it took and whether its closing quote
    /// was the last of them.
    fn string_run(&mut self, bytes: &[u8], sink: &mut impl Sink) -> (usize, bool) {
        let (text, at, ended) = run_of_text(&mut self.escape, self.want, bytes);
        if text != TextCount::default() {
            self.with_path(|path| sink.counted(path, text));
        }
        (at, ended)
    }

    /// The document that begins here has been told of by other means.
    pub(crate) fn pass(&mut self) {
        self.state = State::Done;
    }

    fn with_path<R>(&self, tell: impl FnOnce(&[&str]) -> R) -> R {
        let mut path = [""; MAX_DEPTH];
        let mut end = self.steps.len();
        for (slot, frame) in path.iter_mut().zip(&self.frames).take(self.frames.len()).rev() {
            *slot = &self.steps[frame.step..end];
            end = frame.step;
        }
        tell(&path[..self.frames.len()])
    }
}

/// Wants nothing.
struct Nobody;

impl Sink for Nobody {
    fn want(&mut self, _path: &[&str], _kind: Kind) -> Want {
        Want::Skip
    }
}

fn push_decimal(text: &mut String, number: u32) {
    use std::fmt::Write as _;
    if number < 10 {
        text.push(char::from(b'0' + number as u8));
    } else {
        write!(text, "{number}").expect("strings take all");
    }
}
