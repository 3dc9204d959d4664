//! What a pass may be used for: certain providers, certain models, or anything.

use std::fmt;
use std::str::FromStr;

/// Longest model pattern, in bytes. Shorter than what is kept of a model's name in a request, so
/// that a name which was cut can never equal one.
const PATTERN_LIMIT: usize = 200;

/// What a pass may be used for. A list that is empty allows anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Ids of providers.
    pub providers: Vec<Box<str>>,
    /// Models by name.
    pub models: Vec<ModelPattern>,
}

/// A model's exact name, or how its name begins: `gpt-4o*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelPattern(Box<str>);

/// It is no model pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a model is its exact name, or the beginning of names and one `*` at the end")]
pub struct NoModelPattern;

impl Allowance {
    /// Whether nothing is ruled out.
    pub fn is_unlimited(&self) -> bool {
        self.providers.is_empty() && self.models.is_empty()
    }

    /// Whether this provider may be called.
    pub fn has_provider(&self, id: &str) -> bool {
        self.providers.is_empty() || self.providers.iter().any(|known| **known == *id)
    }

    /// Whether this model may be called.
    pub fn has_model(&self, name: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(name))
    }
}

impl ModelPattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names are compared as they are: where a provider tells `A` from `a`, so does this.
    fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => *self.0 == *name,
        }
    }
}

impl FromStr for ModelPattern {
    type Err = NoModelPattern;

    fn from_str(text: &str) -> Result<Self, NoModelPattern> {
        let beginning = text.strip_suffix('*').unwrap_or(text);
        let is_usual = |c: char| c.is_ascii_graphic() && c != '*';
        let fits = !text.is_empty() && text.len() <= PATTERN_LIMIT;
        (fits && beginning.chars().all(is_usual)).then(|| Self(text.into())).ok_or(NoModelPattern)
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(patterns: &[&str]) -> Allowance {
        let models = patterns.iter().map(|text| text.parse().unwrap()).collect();
        Allowance { models, ..Allowance::default() }
    }

    #[test]
    fn a_model_is_allowed_by_its_name_or_by_how_it_begins() {
        let some = models(&["gpt-4o*", "claude-haiku-4-5"]);
        for allowed in ["gpt-4o", "gpt-4o-mini", "claude-haiku-4-5"] {
            assert!(some.has_model(allowed), "{allowed}");
        }
        for other in ["gpt-4", "GPT-4o", "claude-haiku-4-5-20251001", "x/gpt-4o", "", "*"] {
            assert!(!some.has_model(other), "{other}");
        }
        assert!(models(&[]).has_model("anything") && models(&["*"]).has_model("anything"));
    }

    #[test]
    fn a_star_stands_at_the_end_or_nowhere() {
        let long = "m".repeat(201);
        for wrong in ["", "*a", "a*b", "a**", "two words", "a\nb", "ä", &long] {
            assert_eq!(wrong.parse::<ModelPattern>(), Err(NoModelPattern), "{wrong}");
        }
    }
}
