//! Documents that look alike, as those of a stream do: a few hundred bytes that are the same each
//! time, around a few that are not. What was read once is compared instead of read again.
//!
//! An [`Outline`] is the text of one document with gaps where another may differ, and what its
//! [`Sink`] was told. A document that fits is told in the same words, the gaps' text in their place.

use std::ops::Range;

use memchr::memchr2;

use super::text::{Escape, run_of_text};
use super::{Kind, MAX_DEPTH, Scanner, Sink, Want};
use crate::request::TextCount;

/// Bytes of a document that is worth an outline.
const MOST_BYTES: usize = 4 * 1024;
/// Outlines kept; a stream has two or three shapes that come again.
const MOST_KEPT: usize = 3;
/// Outlines made of one answer, so that one in which nothing comes again costs little more.
const MOST_MADE: u8 = 24;

/// What was learnt from one answer's documents.
#[derive(Debug, Default)]
pub(crate) struct Outlines {
    /// The one that was made last comes first.
    kept: Vec<Outline>,
    made: u8,
    /// What a document has in the gaps; here only to be used again.
    found: Vec<Range<usize>>,
}

#[derive(Default)]
struct Outline {
    text: Vec<u8>,
    gaps: Vec<Gap>,
    told: Vec<Told>,
}

/// Where the text may differ.
#[derive(Clone, Debug)]
struct Gap {
    at: Range<usize>,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// The inside of a string.
    Text,
    Number,
}

type Path = Box<[Box<str>]>;

/// What a sink was told.
#[derive(Debug)]
enum Told {
    Kept(Path, Box<str>),
    /// The characters of the gap with this number, if there are any.
    Counted(Path, usize),
    Left(Path),
}

impl std::fmt::Debug for Outline {
    /// Without what it holds: that is content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outline").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl Outlines {
    /// Tells the sink of a document that is like one before, all of which is at the beginning of
    /// these bytes. Returns its length; `None`: it is not, and nothing was told.
    pub(crate) fn tell(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Option<usize> {
        let Self { kept, found, .. } = self;
        kept.iter().find_map(|outline| {
            let length = outline.fits(bytes, found)?;
            outline.tell(bytes, found, sink);
            Some(length)
        })
    }

    /// Bytes held for later.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.kept.iter().map(|outline| outline.text.capacity()).sum()
    }

    /// Remembers a document of which the sink has been told. What the sink wants must depend on
    /// nothing but path and kind: it is asked again.
    pub(crate) fn learn(&mut self, document: &[u8], sink: &mut impl Sink) {
        if self.made == MOST_MADE || document.len() > MOST_BYTES {
            return;
        }
        self.made += 1;
        let outline = Outline { text: document.into(), ..Outline::default() };
        let start = document.as_ptr().addr();
        let mut learner = Learner { sink, start, outline, is_usable: true };
        let mut scanner = Scanner::default();
        let length = scanner.push(document, &mut learner);
        if learner.is_usable && scanner.is_complete() && length == document.len() {
            self.kept.truncate(MOST_KEPT - 1);
            self.kept.insert(0, learner.outline);
        }
    }
}

impl Outline {
    /// How long the document is, if it fits, and what it has in the gaps.
    fn fits(&self, bytes: &[u8], found: &mut Vec<Range<usize>>) -> Option<usize> {
        found.clear();
        let (mut here, mut there) = (0, 0);
        for gap in &self.gaps {
            let same = &self.text[here..gap.at.start];
            let rest = bytes.get(there..)?.strip_prefix(same)?;
            let from = there + same.len();
            let length = match gap.sort {
                Sort::Text => length_of_text(rest)?,
                Sort::Number => length_of_number(rest)?,
            };
            found.push(from..from + length);
            (here, there) = (gap.at.end, from + length);
        }
        let same = &self.text[here..];
        bytes.get(there..)?.starts_with(same).then_some(there + same.len())
    }

    fn tell(&self, bytes: &[u8], found: &[Range<usize>], sink: &mut impl Sink) {
        for told in &self.told {
            match told {
                Told::Kept(path, json) => with(path, |path| sink.kept(path, json)),
                Told::Left(path) => with(path, |path| sink.left(path)),
                Told::Counted(path, gap) => {
                    // With its closing quote, which ends an escape.
                    let text = &bytes[found[*gap].start..=found[*gap].end];
                    let (text, ..) = run_of_text(&mut Escape::No, Want::Count, text);
                    if text != TextCount::default() {
                        with(path, |path| sink.counted(path, text));
                    }
                }
            }
        }
    }
}

fn with(path: &Path, tell: impl FnOnce(&[&str])) {
    let mut steps = [""; MAX_DEPTH];
    steps.iter_mut().zip(path).for_each(|(slot, step)| *slot = step);
    tell(&steps[..path.len()]);
}

/// How long the inside of a string is, if all of it has come.
fn length_of_text(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// How long the number is, if there is one and it ends.
fn length_of_number(bytes: &[u8]) -> Option<usize> {
    let belongs =
        |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let length = bytes.iter().position(|byte| !belongs(byte))?;
    matches!(bytes.first(), Some(b'-' | b'0'..=b'9')).then_some(length)
}

/// Writes down what the sink would be told, and where the text may differ.
struct Learner<'a, S> {
    sink: &'a mut S,
    /// The address of the document's first byte.
    start: usize,
    outline: Outline,
    is_usable: bool,
}

impl<S: Sink> Learner<'_, S> {
    fn gap(&mut self, text: &[u8], sort: Sort) {
        let from = text.as_ptr().addr() - self.start;
        self.outline.gaps.push(Gap { at: from..from + text.len(), sort });
    }
}

impl<S: Sink> Sink for Learner<'_, S> {
    const LEARNS: bool = true;

    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        self.sink.want(path, kind)
    }

    fn kept(&mut self, path: &[&str], json: &str) {
        self.outline.told.push(Told::Kept(owned(path), json.into()));
    }

    /// Of text that came whole and plain [`Sink::passed`] hears instead.
    fn counted(&mut self, _path: &[&str], _text: TextCount) {
        self.is_usable = false;
    }

    fn left(&mut self, path: &[&str]) {
        self.outline.told.push(Told::Left(owned(path)));
    }

    fn passed(&mut self, path: &[&str], want: Want, kind: Kind, text: &[u8]) {
        let sort = match kind {
            Kind::String => Sort::Text,
            Kind::Number => Sort::Number,
            Kind::Object | Kind::Array | Kind::Bool | Kind::Null => return,
        };
        if want == Want::Count {
            self.outline.told.push(Told::Counted(owned(path), self.outline.gaps.len()));
        }
        self.gap(text, sort);
    }
}

fn owned(path: &[&str]) -> Path {
    path.iter().map(|step| Box::from(*step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes down what it is told; characters in a row are one number.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Notes(Vec<(String, String, TextCount)>);

    impl Sink for Notes {
        fn want(&mut self, path: &[&str], kind: Kind) -> Want {
            match (path.last(), kind) {
                (Some(&"skip"), _) => Want::Skip,
                (Some(&"keep"), _) => Want::Keep(40),
                (_, Kind::Object | Kind::Array) => Want::Walk,
                (_, Kind::String) => Want::Count,
                (_, Kind::Number | Kind::Bool | Kind::Null) => Want::Keep(8),
            }
        }

        fn kept(&mut self, path: &[&str], json: &str) {
            self.0.push((path.join("/"), json.into(), TextCount::default()));
        }

        fn counted(&mut self, path: &[&str], text: TextCount) {
            match self.0.last_mut() {
                Some((last, what, count)) if *last == path.join("/") && what == "counted" => {
                    count.add(text);
                }
                _ => self.0.push((path.join("/"), "counted".into(), text)),
            }
        }

        fn left(&mut self, path: &[&str]) {
            self.0.push((path.join("/"), "left".into(), TextCount::default()));
        }
    }

    /// Reads one document after the other, and says how many were compared only.
    fn read_all(documents: &[Vec<u8>]) -> usize {
        let (mut outlines, mut compared) = (Outlines::default(), 0);
        for document in documents {
            let (mut read, mut told) = (Notes::default(), Notes::default());
            let mut scanner = Scanner::default();
            let length = scanner.push(document, &mut read);
            match outlines.tell(document, &mut told) {
                Some(short) => {
                    compared += 1;
                    let text = String::from_utf8_lossy(document);
                    assert_eq!((short, &told), (length, &read), "{text}");
                    assert!(scanner.is_complete(), "{text}");
                }
                None => {
                    assert_eq!(told, Notes::default(), "nothing was told");
                    if scanner.is_complete() {
                        outlines.learn(&document[..length], &mut read);
                    }
                }
            }
        }
        compared
    }

    fn bytes(documents: &[&str]) -> Vec<Vec<u8>> {
        documents.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn documents_of_one_shape_are_read_once() {
        let stream = [
            r#"{"id":"c","keep":"m","skip":17,"d":[{"i":0,"text":"one"}],"skip":"Ab3"}"#,
            r#"{"id":"c","keep":"m","skip":18,"d":[{"i":0,"text":" two"}],"skip":""} {"a":1}"#,
            r#"{"id":"c","keep":"m","skip":1e3,"d":[{"i":0,"text":"\n\u65e5\"\ud83d\ude00"}],"skip":"\\"}"#,
            r#"{"id":"","keep":"m","skip":-1,"d":[{"i":0,"text":""}],"skip":"日本"}"#,
        ];
        assert_eq!(read_all(&bytes(&stream)), 3);
    }

    #[test]
    fn another_word_number_or_key_is_another_shape() {
        let stream = [
            r#"{"keep":"m","d":[{"i":0,"text":"one"}]}"#,
            r#"{"keep":"n","d":[{"i":0,"text":"one"}]}"#,
            r#"{"keep":"m","d":[{"i":1,"text":"one"}]}"#,
            r#"{"keep":"m","d":[{"i":0,"else":"one"}]}"#,
            r#"{"keep":"m","d":[{"i":0,"text":"one"}"#,
            r#"{"keep":"m","d":[{"i":0,"text":"one"},{"i":0,"text":"one"}]}"#,
        ];
        assert_eq!(read_all(&bytes(&stream)), 0);
    }

    fn document() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            any::<f32>().prop_map(Into::into),
            "[a-z\"\\\\日\n]{0,6}".prop_map(Into::into),
        ];
        let value = leaf.prop_recursive(4, 24, 5, |inner| {
            let key = prop::sample::select(vec!["a", "b", "skip", "keep", "c\"d"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
                prop::collection::btree_map(key.prop_map(String::from), inner, 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        });
        value.prop_map(|value| serde_json::json!({ "a": value, "skip": 7, "t": "text" }))
    }

    /// The same with other words, numbers and bytes here and there.
    fn varied(document: &serde_json::Value, seed: u64) -> Vec<u8> {
        let mut text = document.to_string().into_bytes();
        let mut random = seed;
        for _ in 0..seed % 4 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (random >> 33) as usize % text.len();
            match random % 5 {
                0 => text[at] = b"x1\" \\,"[(random >> 20) as usize % 6],
                1 if text[at].is_ascii_alphanumeric() => text[at] = b'7',
                2 if text[at].is_ascii_lowercase() => text.insert(at, b'y'),
                3 if text[at].is_ascii_digit() => text.insert(at, b'3'),
                _ => {}
            }
        }
        text
    }

    proptest! {
        #[test]
        fn a_comparison_tells_what_reading_tells(
            document in document(),
            seeds in prop::collection::vec(any::<u64>(), 1..12),
        ) {
            let mut documents = vec![document.to_string().into_bytes()];
            documents.extend(seeds.iter().map(|seed| varied(&document, *seed)));
            read_all(&documents);
        }
    }
}
