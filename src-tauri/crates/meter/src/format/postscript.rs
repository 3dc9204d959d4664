//! Puts a few words of Tollgate's own behind an answer whose client asked for them: a last member
//! of a JSON object, or a comment at the end of an event stream. All else passes byte for byte.

use super::assist::Passing;
use crate::json::{Kind, Scanner, Sink, Want};

/// The member's names; the second where the answer has the first itself.
const NAMES: [&str; 2] = ["meta", "tollgate_meta"];
/// How the comment begins. Readers of event streams skip every line that begins with a colon
/// (<https://html.spec.whatwg.org/multipage/server-sent-events.html>, read 2026-11-21).
const COMMENT: &str = ": tollgate-meta ";
/// White space behind an object that is held back; an answer with more of it passes as it is.
const MOST_SPACE: usize = 4 * 1024;

/// What goes behind one answer.
#[derive(Debug)]
pub struct Postscript(Form);

#[derive(Debug)]
enum Form {
    Member(Box<Member>),
    Comment(Lines),
}

impl Postscript {
    /// As the last member of a JSON object; any other JSON stays as it is.
    pub fn member() -> Self {
        Self(Form::Member(Box::default()))
    }

    /// As a comment behind the last event of a `text/event-stream`.
    pub fn comment() -> Self {
        Self(Form::Comment(Lines::default()))
    }

    /// Shows the next bytes of the answer and says what of them goes on now.
    pub fn push(&mut self, bytes: &[u8]) -> Passing {
        match &mut self.0 {
            Form::Member(member) => member.push(bytes),
            Form::Comment(lines) => {
                lines.push(bytes);
                if bytes.is_empty() { Passing::Nothing } else { Passing::All }
            }
        }
    }

    /// Whether the answer, should it end here, has a place for words.
    pub fn has_place(&self) -> bool {
        match &self.0 {
            Form::Member(member) => member.name().is_some(),
            Form::Comment(_) => true,
        }
    }

    /// What is held back, without words.
    pub fn held(&self) -> &[u8] {
        match &self.0 {
            Form::Member(member) => &member.held,
            Form::Comment(_) => &[],
        }
    }

    /// The end of the answer with these words in, which are JSON on one line; what was held
    /// back where there is no place for them.
    pub fn finish(self, words: &str) -> Vec<u8> {
        debug_assert!(!words.contains(['\r', '\n']), "a comment is one line");
        match self.0 {
            Form::Member(member) => member.finish(words),
            Form::Comment(lines) => lines.finish(words),
        }
    }
}

/// A JSON document: its last bracket, and what follows, waits for the answer's end.
#[derive(Default)]
struct Member {
    scanner: Scanner,
    members: Members,
    /// The object's last bracket and white space behind it; empty before that.
    held: Vec<u8>,
    /// It is no object, or more than one.
    is_off: bool,
}

impl std::fmt::Debug for Member {
    /// Without what is held: that may be content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("is_off", &self.is_off).finish_non_exhaustive()
    }
}

impl Member {
    fn push(&mut self, bytes: &[u8]) -> Passing {
        if bytes.is_empty() {
            return Passing::Nothing;
        }
        if self.is_off {
            return Passing::All;
        }
        if !self.held.is_empty() {
            self.held.extend_from_slice(bytes);
            return self.give_up_unless_space();
        }
        let taken = self.scanner.push(bytes, &mut self.members);
        self.is_off = self.scanner.is_broken();
        if !self.scanner.is_complete() {
            return Passing::All;
        }
        if !self.members.is_object {
            self.is_off = true;
            return Passing::All;
        }
        let (before, held) = bytes.split_at(taken - 1);
        self.held.extend_from_slice(held);
        match self.give_up_unless_space() {
            Passing::Nothing if before.is_empty() => Passing::Nothing,
            Passing::Nothing => Passing::Parts(before.to_vec()),
            Passing::Parts(_) | Passing::All => Passing::All,
        }
    }

    /// Lets what is held go if it is more than a bracket and a little white space.
    fn give_up_unless_space(&mut self) -> Passing {
        let is_space = self.held[1..].iter().all(u8::is_ascii_whitespace);
        if is_space && self.held.len() <= MOST_SPACE {
            return Passing::Nothing;
        }
        self.is_off = true;
        Passing::Parts(std::mem::take(&mut self.held))
    }

    /// What the words are to be called, if they have a place at all.
    fn name(&self) -> Option<&'static str> {
        let mut free = NAMES.iter().zip(self.members.taken).filter(|(_, taken)| !taken);
        free.next().map(|(name, _)| *name).filter(|_| !self.held.is_empty())
    }

    fn finish(self, words: &str) -> Vec<u8> {
        let Some(name) = self.name() else { return self.held };
        let comma = if self.members.any { "," } else { "" };
        let member = format!("{comma}\"{name}\":{words}");
        [member.as_bytes(), &self.held].concat()
    }
}

#[derive(Default)]
struct Members {
    is_object: bool,
    any: bool,
    /// Which of [`NAMES`] the answer has itself.
    taken: [bool; 2],
}

impl Sink for Members {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match path {
            [] => {
                self.is_object = kind == Kind::Object;
                if self.is_object { Want::Walk } else { Want::Skip }
            }
            [key, ..] => {
                self.any = true;
                for (name, taken) in NAMES.iter().zip(&mut self.taken) {
                    *taken |= key == name;
                }
                Want::Skip
            }
        }
    }
}

/// An event stream, of which only matters whether its last line has ended.
#[derive(Debug, Default)]
struct Lines {
    is_open: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.is_open = !matches!(last, b'\r' | b'\n');
        }
    }

    /// No blank line follows: it would send off an event that the stream left open, and for some
    /// readers (OpenAI's Python SDK, once an `id` was named) an empty one.
    fn finish(self, words: &str) -> Vec<u8> {
        let before = if self.is_open { "\n" } else { "" };
        format!("{before}{COMMENT}{words}\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = r#"{"a":1}"#;

    /// What comes out of an answer that comes in pieces of this size.
    fn told(mut postscript: Postscript, answer: &str, piece: usize) -> String {
        let mut out = Vec::new();
        for bytes in answer.as_bytes().chunks(piece) {
            match postscript.push(bytes) {
                Passing::All => out.extend_from_slice(bytes),
                Passing::Nothing => {}
                Passing::Parts(parts) => out.extend(parts),
            }
        }
        out.extend(postscript.finish(WORDS));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_words_are_an_objects_last_member_however_it_is_split() {
        for (answer, expected) in [
            (r#"{}"#, r#"{"meta":{"a":1}}"#),
            ("{ }\n\n", "{ \"meta\":{\"a\":1}}\n\n"),
            (
                "\n {\"id\":\"}\",\"n\":{\"meta\":[]}}\r\n",
                "\n {\"id\":\"}\",\"n\":{\"meta\":[]},\"meta\":{\"a\":1}}\r\n",
            ),
            (r#"{"meta":null}"#, r#"{"meta":null,"tollgate_meta":{"a":1}}"#),
            (r#"{"m\u0065ta":1}"#, r#"{"m\u0065ta":1,"tollgate_meta":{"a":1}}"#),
        ] {
            for piece in 1..=answer.len() {
                assert_eq!(told(Postscript::member(), answer, piece), expected, "by {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_single_object_passes_as_it_is() {
        let spaced = format!("{{}}{}", " ".repeat(MOST_SPACE));
        for answer in [
            "",
            "[{}]",
            "[]",
            "\"{}\"",
            "null",
            "{}{}",
            "{} x",
            r#"{"a":1"#,
            r#"{"meta":1,"tollgate_meta":2}"#,
            "}",
            "plain text {}",
            &spaced,
        ] {
            for piece in [1, 2, 5, 1 << 20] {
                assert_eq!(told(Postscript::member(), answer, piece), answer, "by {piece}");
            }
        }
    }

    #[test]
    fn a_comment_ends_a_stream_and_sends_no_open_event_off() {
        for (stream, behind) in [
            ("", ": tollgate-meta {\"a\":1}\n"),
            ("data: 1\n\n", ": tollgate-meta {\"a\":1}\n"),
            ("data: 1\r\r", ": tollgate-meta {\"a\":1}\n"),
            ("data: 1\r\n", ": tollgate-meta {\"a\":1}\n"),
            ("data: {\"cu", "\n: tollgate-meta {\"a\":1}\n"),
        ] {
            for piece in 1..=stream.len().max(1) {
                let expected = format!("{stream}{behind}");
                assert_eq!(told(Postscript::comment(), stream, piece), expected, "by {piece}");
            }
        }
    }

    #[test]
    fn nothing_of_an_answer_is_printed() {
        let mut member = Postscript::member();
        member.push(b"{\"PLANTED\":1}");
        let mut comment = Postscript::comment();
        comment.push(b"PLANTED");
        let printed = format!("{member:?}{comment:?}");
        assert!(!printed.contains("LANTED"), "{printed}");
    }
}
