//! What a request's own body says of whom it is for and what it belongs to: the labels that SDKs
//! send as `metadata` (OpenAI, Anthropic), `labels` (Gemini, Vertex), `requestMetadata` (Bedrock),
//! and the user it names. Only these fields, never a prompt.

use std::fmt;

use crate::json::{Kind, Want, plain};

/// Labels kept of one request.
const MOST: usize = 16;
/// Bytes of a name; longer ones count for nothing.
const NAME_LIMIT: usize = 64;
/// Bytes kept of a value.
const VALUE_LIMIT: usize = 256;
/// Bytes of a value's JSON text, where all of it may be escaped.
const JSON_LIMIT: usize = 6 * VALUE_LIMIT;
/// Bytes of what the client wants to hear again.
const CUSTOMER_DATA_LIMIT: usize = 2 * 1024;
/// The label that names the end user.
const USER: &str = "user";
/// The member of `metadata` that is no label.
const CUSTOMER_DATA: &str = "customer_data";

/// The labels of one request, bounded in number and size. Of two of the same name the first counts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels {
    pairs: Vec<(Box<str>, Box<str>)>,
    customer_data: Option<Box<str>>,
}

impl fmt::Debug for Labels {
    /// Without what they say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Labels({})", self.pairs.len())
    }
}

/// Whether the members of this top-level object are labels.
pub(super) fn is_home(key: &str) -> bool {
    matches!(key, "metadata" | "labels" | "requestMetadata")
}

/// Whether this top-level word names the end user. `prompt_cache_key` does not: it names a cache.
pub(super) fn names_user(key: &str) -> bool {
    matches!(key, USER | "safety_identifier")
}

impl Labels {
    /// Names and values, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What the client wants to hear again: the JSON text of `metadata.customer_data`. It may be
    /// no valid JSON where the request was none.
    pub fn customer_data(&self) -> Option<&str> {
        self.customer_data.as_deref()
    }

    /// What to do with a value that may be a label.
    pub(super) fn want(&self, name: &str, kind: Kind) -> Want {
        match kind {
            _ if name == CUSTOMER_DATA => Want::Keep(CUSTOMER_DATA_LIMIT),
            Kind::String | Kind::Number | Kind::Bool if self.has_room_for(name) => {
                Want::Keep(JSON_LIMIT)
            }
            Kind::String | Kind::Number | Kind::Bool => Want::Skip,
            Kind::Object | Kind::Array | Kind::Null => Want::Skip,
        }
    }

    /// Takes a member of an object of labels.
    pub(super) fn take(&mut self, name: &str, json: &str) {
        match name {
            CUSTOMER_DATA => self.customer_data = Some(json.into()),
            // Anthropic's word, and that of many others.
            "user_id" => self.add(USER, &plain(json)),
            _ => self.add(name, &plain(json)),
        }
    }

    /// Takes the end user.
    pub(super) fn take_user(&mut self, user: &str) {
        self.add(USER, user);
    }

    fn has_room_for(&self, name: &str) -> bool {
        self.pairs.len() < MOST && !name.is_empty() && name.len() <= NAME_LIMIT
    }

    fn add(&mut self, name: &str, value: &str) {
        let name: String = name.trim().chars().map(in_name).collect();
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let value = value.trim();
        let ends = value.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.take_while(|end| *end <= VALUE_LIMIT).last().unwrap_or(0);
        let is_known = self.pairs.iter().any(|(known, _)| **known == *name);
        if !value.is_empty() && !is_known && self.has_room_for(&name) {
            self.pairs.push((name.into(), value[..end].trim_end().into()));
        }
    }
}

/// Names are those of headers as far as can be: lower case, and nothing that stands between names
/// and values where people write them.
fn in_name(c: char) -> char {
    match c.to_ascii_lowercase() {
        '=' | ',' | ':' => '_',
        c if c.is_control() || c.is_whitespace() => '_',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Route;
    use crate::request::RequestScanner;

    /// What is read from a body, whole and byte by byte.
    fn read(body: &str) -> Labels {
        let scan = |piece| {
            let mut scanner = RequestScanner::new(&Route::default(), Some("application/json"));
            body.as_bytes().chunks(piece).for_each(|bytes| scanner.push(bytes));
            scanner.finish();
            scanner.asked().labels.clone()
        };
        assert_eq!(scan(1), scan(body.len().max(1)), "{body}");
        scan(1)
    }

    fn pairs(body: &str) -> Vec<(String, String)> {
        read(body).iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn every_sdks_labels_are_read() {
        for (body, expected) in [
            (
                r#"{"model":"m","metadata":{"workflow":"nightly","Segment":"pro","seats":3,"trial":true}}"#,
                &[("workflow", "nightly"), ("segment", "pro"), ("seats", "3"), ("trial", "true")][..],
            ),
            (r#"{"metadata":{"user_id":"u1"}}"#, &[("user", "u1")]),
            (r#"{"user":"u1","safety_identifier":"h"}"#, &[("user", "u1")]),
            (r#"{"safety_identifier":"h","metadata":{"user_id":"u1"}}"#, &[("user", "h")]),
            (r#"{"labels":{"team":"a"},"contents":[]}"#, &[("team", "a")]),
            (r#"{"requestMetadata":{"team":"\u65e5"}}"#, &[("team", "日")]),
        ] {
            assert_eq!(pairs(body), owned(expected), "{body}");
        }
    }

    #[test]
    fn what_is_no_label_is_not_read() {
        for body in [
            r#"{"prompt_cache_key":"c","session_id":"s"}"#,
            r#"{"messages":[{"role":"user","content":"x","metadata":{"a":"b"},"user":"u"}]}"#,
            r#"{"metadata":"text"}"#,
            r#"{"metadata":["a",["b"]],"labels":7,"requestMetadata":null,"user":{"id":"u"}}"#,
            r#"{"metadata":{"a":null,"b":{"c":"d"},"e":["f"],"":"g","h":"  "}}"#,
            r#"{"metadata":{"a":"cut"#,
        ] {
            assert_eq!(pairs(body), [], "{body}");
        }
        let deep =
            format!(r#"{{"metadata":{}"a":"b"{}}}"#, r#"{"a":"#.repeat(9_000), "}".repeat(9_000));
        assert_eq!(pairs(&deep), []);
    }

    #[test]
    fn ten_thousand_labels_are_a_few() {
        let many: Vec<String> = (0..10_000).map(|n| format!(r#""k{n}":"v{n}""#)).collect();
        let read = pairs(&format!(r#"{{"metadata":{{{}}},"user":"u"}}"#, many.join(",")));
        assert_eq!(read.len(), MOST);
        assert_eq!(read[15], ("k15".into(), "v15".into()));
        let long =
            format!(r#"{{"metadata":{{"{}":"v","n":"{}"}}}}"#, "k".repeat(65), "日".repeat(200));
        assert_eq!(pairs(&long), owned(&[("n", &"日".repeat(85))]), "cut between characters");
        let escaped = format!(r#"{{"metadata":{{"n":"{}"}}}}"#, "\\u65e5".repeat(300));
        assert_eq!(pairs(&escaped), owned(&[("n", &"日".repeat(85))]));
    }

    #[test]
    fn control_characters_and_separators_are_replaced() {
        let read = pairs("{\"metadata\":{\"A b=c,d:e\\u0007\":\"x\\n\\u001b[31my\\u0085\"}}");
        assert_eq!(read, owned(&[("a_b_c_d_e_", "x  [31my")]));
    }

    #[test]
    fn customer_data_is_kept_as_it_stands_and_never_printed() {
        let labels = read(r#"{"metadata":{"customer_data":{"order": [7]},"a":"PLANTED"}}"#);
        assert_eq!(labels.customer_data(), Some(r#"{"order": [7]}"#));
        assert_eq!(labels.iter().count(), 1);
        assert!(!format!("{labels:?}").contains("PLANTED"));
        let large = format!(r#"{{"metadata":{{"customer_data":[{}1]}}}}"#, "1,".repeat(2_000));
        assert_eq!(read(&large).customer_data(), None);
    }
}
