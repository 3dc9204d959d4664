//! Patterns of paths, taken apart once: every call is matched against some forty of them.

use std::borrow::Cow;

use serde::Deserialize;

/// Matched against the last segments of a path. In a segment `*` is any text, `{model}` any text
/// that is the model, `{model imagen}` such that begins so, and `{job}` any text that is the id of
/// a job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Box<str>")]
pub(super) struct Pattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    /// Some text between two that are known.
    Some {
        what: What,
        open: Box<str>,
        begins: Box<str>,
        close: Box<str>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Anything,
    Model,
    Job,
}

/// What a pattern's names stand for in a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Captured {
    pub(super) model: Option<Box<str>>,
    pub(super) job: Option<Box<str>>,
}

impl From<Box<str>> for Pattern {
    fn from(pattern: Box<str>) -> Self {
        Self(pattern.split('/').map(Segment::of).collect())
    }
}

impl Pattern {
    /// What it captures, if it is that path.
    pub(super) fn captures(&self, path: &[Cow<'_, str>]) -> Option<Captured> {
        let tail = &path[path.len().checked_sub(self.0.len())?..];
        let mut captured = Captured::default();
        for (segment, text) in self.0.iter().zip(tail) {
            match segment.inner(text)? {
                (What::Anything, _) => {}
                (What::Model, model) => captured.model = Some(model.into()),
                (What::Job, job) => captured.job = Some(job.into()),
            }
        }
        Some(captured)
    }
}

impl Segment {
    fn of(text: &str) -> Self {
        if let Some((open, rest)) = text.split_once("{model ")
            && let Some((begins, close)) = rest.split_once('}')
        {
            return Self::some(What::Model, open, begins, close);
        }
        let names = [("{model}", What::Model), ("{job}", What::Job), ("*", What::Anything)];
        let named = names.into_iter().find_map(|(name, what)| {
            let (open, close) = text.split_once(name)?;
            Some(Self::some(what, open, "", close))
        });
        named.unwrap_or_else(|| Self::Text(text.into()))
    }

    fn some(what: What, open: &str, begins: &str, close: &str) -> Self {
        Self::Some { what, open: open.into(), begins: begins.into(), close: close.into() }
    }

    /// What the text holds in the place of its name, if it is this segment.
    fn inner<'t>(&self, text: &'t str) -> Option<(What, &'t str)> {
        match self {
            Self::Text(own) => (**own == *text).then_some((What::Anything, text)),
            Self::Some { what, open, begins, close } => {
                let inner = text.strip_prefix(&**open)?.strip_suffix(&**close)?;
                (!inner.is_empty() && inner.starts_with(&**begins)).then_some((*what, inner))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_text_that_is_there() {
        let captures = |pattern: &str, path: &str| {
            let path: Vec<Cow<'_, str>> = path.split('/').map(Cow::from).collect();
            Pattern::from(Box::from(pattern)).captures(&path)
        };
        let model = |name: &str| Some(Captured { model: Some(name.into()), job: None });
        assert_eq!(captures("chat/completions", "v1/chat/completions"), Some(Captured::default()));
        assert_eq!(captures("chat/completions", "completions"), None);
        assert_eq!(captures("models/{model}:go", "v1/models/a.b:go"), model("a.b"));
        assert_eq!(captures("models/{model}:go", "models/:go"), None);
        assert_eq!(captures("{model imagen}:go", "imagen-4:go"), model("imagen-4"));
        assert_eq!(captures("{model imagen}:go", "veo-4:go"), None);
        let job = Captured { model: None, job: Some("b_1".into()) };
        assert_eq!(captures("*/batches/{job}", "x/batches/b_1"), Some(job));
    }
}
