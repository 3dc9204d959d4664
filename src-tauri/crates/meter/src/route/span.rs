//! Where in a request's body its model stands.

use std::ops::Range;

use crate::json::{Kind, Scanner, Sink, Want};

/// Bytes that are shown at once where the model is not expected.
const STRIDE: usize = 4096;

/// The bytes of the value of the body's first `model`, quotes included, if it is a string and has
/// come whole. `body` may be the beginning of a longer one.
pub fn model_span(body: &[u8]) -> Option<Range<usize>> {
    // Which stride it begins in; the scanner tells what it finds, not where.
    let strides = || body.chunks(STRIDE);
    let (mut scanner, mut seek) = (Scanner::default(), Seek::default());
    let at = strides().position(|stride| {
        scanner.push(stride, &mut seek);
        seek.has_begun
    })?;
    let (mut scanner, mut seek) = (Scanner::default(), Seek::default());
    strides().take(at).for_each(|stride| {
        scanner.push(stride, &mut seek);
    });
    let mut begin = None;
    for (offset, byte) in body.iter().enumerate().skip(at * STRIDE) {
        scanner.push(std::slice::from_ref(byte), &mut seek);
        if seek.has_begun {
            begin.get_or_insert(offset);
        }
        if seek.has_ended {
            return begin.map(|begin| begin..offset + 1);
        }
    }
    None
}

#[derive(Default)]
struct Seek {
    has_begun: bool,
    has_ended: bool,
}

impl Sink for Seek {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            ([], Kind::Object) => Want::Walk,
            (["model"], Kind::String) if !self.has_begun => {
                self.has_begun = true;
                Want::Keep(1)
            }
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, _path: &[&str], _json: &str) {
        self.has_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(body: &str) -> Option<&str> {
        model_span(body.as_bytes()).map(|span| &body[span])
    }

    #[test]
    fn only_the_value_of_the_outermost_model_is_meant() {
        assert_eq!(found(r#"{"model":"a"}"#), Some(r#""a""#));
        assert_eq!(
            found(r#" { "x": {"model":"b"}, "model" : "a\"\\" , "y":1}"#),
            Some(r#""a\"\\""#)
        );
        assert_eq!(
            found(r#"{"messages":[{"content":"\"model\":\"b\""}],"model":"ä"}"#),
            Some("\"ä\"")
        );
        assert_eq!(found(r#"{"\u006dodel":"a"}"#), Some(r#""a""#));
        assert_eq!(found(r#"{"model":"a"#), None);
        for none in ["", "{}", "[]", r#"{"model":1}"#, r#"{"model":null}"#, r#"["model","a"]"#] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_before_and_behind_the_value_is_found(
            before in 0..9000_usize, name in "[^\\x00-\\x1f]{0,300}", more: bool,
        ) {
            let name = serde_json::to_string(&name).unwrap();
            let head = format!(r#"{{"messages":"{}","model":"#, "é".repeat(before));
            let tail = if more { r#","model":"no"}"# } else { "}" };
            let body = format!("{head}{name}{tail}");
            prop_assert_eq!(model_span(body.as_bytes()), Some(head.len()..head.len() + name.len()));
        }
    }
}
