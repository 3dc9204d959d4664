//! What an answer says went wrong: the provider's word and sentence, whoever's shape it has.
//!
//! Only the named fields are read and each is cut, because some servers echo the request
//! into their error.

use crate::json::{Kind, Want, plain};
use crate::leaves::Leaves;

/// Bytes kept of a word or a sentence.
const LIMIT: usize = 300;

/// Collects the fields of an error as they pass.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    fields: Leaves,
}

/// What went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) word: Option<Box<str>>,
    pub(crate) sentence: Option<Box<str>>,
}

/// Where the word is, best first; a number is taken only if there is no text.
const WORDS: [&str; 9] = [
    "error.details.error_code",
    "error.code",
    "error.metadata.error_type",
    "error.type",
    "error.status",
    "code",
    "type",
    "status",
    "base_resp.status_code",
];

/// Where the sentence is, best first.
const SENTENCES: [&str; 8] = [
    "error.message",
    "error",
    "message",
    "Message",
    "detail",
    "error_description",
    "base_resp.status_msg",
    "title",
];

impl Trouble {
    /// What to do with a value of a body that is an error as a whole, by its path there; of
    /// another body only the part below `error` may be shown.
    pub(crate) fn want(&self, path: &[&str], kind: Kind) -> Want {
        let is_container = matches!(kind, Kind::Object | Kind::Array);
        match path {
            ["error", "details", ..] if kind == Kind::Array => Want::Skip,
            [] | ["error" | "message" | "detail" | "base_resp"] if is_container => Want::Walk,
            ["error", "details" | "metadata"] if is_container => Want::Walk,
            ["detail", _] | ["detail", _, "loc"] if is_container => Want::Walk,
            ["message", "detail"] | ["message", "detail", _] | ["message", "detail", _, "loc"]
                if is_container =>
            {
                Want::Walk
            }
            _ if is_container || kind == Kind::Null => Want::Skip,
            ["message", "detail", _, "type"] | ["message", "detail", _, "loc", _] => {
                Want::Keep(LIMIT)
            }
            ["detail", _, "type"] | ["detail", _, "loc", _] => Want::Keep(LIMIT),
            _ if named(path) => Want::Keep(LIMIT),
            _ => Want::Skip,
        }
    }

    /// A value asked for has arrived.
    pub(crate) fn kept(&mut self, path: &[&str], json: &str) {
        let text = plain(json);
        if !matches!(text.trim(), "" | "false") {
            self.fields.set(&path.join("."), text.trim());
        }
    }

    /// What has been collected, if it is anything; begins anew.
    pub(crate) fn take(&mut self) -> Option<Failure> {
        if self.fields.is_empty() {
            return None;
        }
        let fields = std::mem::take(&mut self.fields);
        let words = || WORDS.iter().filter_map(|path| fields.text(path));
        let word = words().find(|word| word.parse::<f64>().is_err()).or_else(|| words().next());
        let sentence = SENTENCES.iter().find_map(|path| fields.text(path));
        let invalid = || invalid(&fields, "detail").or_else(|| invalid(&fields, "message.detail"));
        match (word, sentence) {
            (_, None) => match invalid() {
                Some(failure) => Some(failure),
                None => word.map(|word| Failure { word: Some(word.into()), sentence: None }),
            },
            (word, Some(sentence)) => {
                Some(Failure { word: word.map(Into::into), sentence: Some(sentence.into()) })
            }
        }
    }
}

fn named(path: &[&str]) -> bool {
    let path = path.join(".");
    WORDS.contains(&&*path) || SENTENCES.contains(&&*path)
}

/// A validator's complaint: what sort and where, without the value it complains about.
fn invalid(fields: &Leaves, list: &str) -> Option<Failure> {
    let first = fields.items(list).into_iter().next()?;
    let place: Vec<&str> =
        first.all().filter_map(|(at, value)| at.starts_with("loc.").then_some(value)).collect();
    let word = first.text("type").map(Box::from);
    let sentence = (!place.is_empty()).then(|| format!("invalid: {}", place.join(".")).into());
    Some(Failure { word, sentence })
}

/// The visible words of a text or HTML page, one space between them, cut.
pub(crate) fn visible(text: &str) -> Option<Box<str>> {
    let mut out = String::new();
    let mut in_tag = false;
    for part in text.split_inclusive(['<', '>']) {
        let words = part.trim_end_matches(['<', '>']);
        if !in_tag {
            for word in words.split_whitespace() {
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(word);
            }
        }
        in_tag = part.ends_with('<') || in_tag && !part.ends_with('>');
    }
    let cut = out.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= LIMIT);
    let end = cut.last().unwrap_or(0);
    (end > 0).then(|| out[..end].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Scanner, Sink};

    impl Sink for Trouble {
        fn want(&mut self, path: &[&str], kind: Kind) -> Want {
            Self::want(self, path, kind)
        }

        fn kept(&mut self, path: &[&str], json: &str) {
            Self::kept(self, path, json);
        }
    }

    fn read(json: &str) -> Option<(String, String)> {
        let mut trouble = Trouble::default();
        Scanner::default().push(json.as_bytes(), &mut trouble);
        let own = |text: Option<Box<str>>| text.unwrap_or_default().into_string();
        trouble.take().map(|failure| (own(failure.word), own(failure.sentence)))
    }

    #[test]
    fn every_known_shape_gives_a_word_and_a_sentence() {
        for (json, word, sentence) in [
            (
                r#"{"error":{"message":"No.","type":"invalid_request_error","code":null}}"#,
                "invalid_request_error",
                "No.",
            ),
            (
                r#"{"error":{"code":429,"message":"Slow.","status":"RESOURCE_EXHAUSTED"}}"#,
                "RESOURCE_EXHAUSTED",
                "Slow.",
            ),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#,
                "overloaded_error",
                "Busy",
            ),
            (r#"{"error":"model 'x' not found"}"#, "", "model 'x' not found"),
            (r#"{"error":{"code":1302,"message":"m"}}"#, "1302", "m"),
            (r#"{"message":"m","type":"t"}"#, "t", "m"),
            (r#"{"Message":"m"}"#, "", "m"),
            (r#"{"detail":"Not Found"}"#, "", "Not Found"),
            (
                r#"{"detail":[{"loc":["body","model"],"msg":"x","type":"missing","input":"secret"}]}"#,
                "missing",
                "invalid: body.model",
            ),
            (
                r#"{"object":"error","message":{"detail":[{"type":"extra","loc":["body",3]}]}}"#,
                "extra",
                "invalid: body.3",
            ),
            (r#"{"base_resp":{"status_code":1004,"status_msg":"login"}}"#, "1004", "login"),
        ] {
            assert_eq!(read(json), Some((word.into(), sentence.into())), "{json}");
        }
        for none in [r#"{"error":null}"#, r#"{"error":{}}"#, r#"{"error":false}"#, "{}"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn of_a_page_only_the_visible_words_are_kept() {
        let page = "<html>\n<h1>502  Bad\nGateway</h1><hr>nginx</html>";
        assert_eq!(visible(page).as_deref(), Some("502 Bad Gateway nginx"));
        assert_eq!(visible(&"é".repeat(400)).map(|text| text.len()), Some(300));
        assert_eq!(visible("  "), None);
    }
}
