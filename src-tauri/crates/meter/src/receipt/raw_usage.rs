//! The provider's own words about usage, kept so that a better reader can read them again.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The provider's usage object: its JSON verbatim, on one line. It holds no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawUsage(Box<str>);

impl RawUsage {
    /// Keeps the text if it is JSON of at most 16 KiB; white space between tokens goes, so
    /// that a receipt is one line of JSON.
    pub fn new(json: &str) -> Option<Self> {
        let fits = json.len() <= 16 * 1024;
        (fits && serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok())
            .then(|| Self(without_layout(json).into()))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Valid JSON without the white space between its tokens.
fn without_layout(json: &str) -> String {
    if !json.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return json.into();
    }
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let kept = in_string || !c.is_ascii_whitespace();
        (in_string, escaped) = match (*c, in_string, escaped) {
            (_, true, true) => (true, false),
            ('\\', true, false) => (true, true),
            ('"', inside, false) => (!inside, false),
            (_, inside, _) => (inside, false),
        };
        kept
    };
    json.chars().filter(keep).collect()
}

impl Serialize for RawUsage {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if !out.is_human_readable() {
            return out.serialize_str(&self.0);
        }
        let raw: &serde_json::value::RawValue =
            serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(out)
    }
}

impl<'de> Deserialize<'de> for RawUsage {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if !input.is_human_readable() {
            return Box::<str>::deserialize(input).map(Self);
        }
        let raw = Box::<serde_json::value::RawValue>::deserialize(input)?;
        Ok(Self(raw.get().into()))
    }
}
