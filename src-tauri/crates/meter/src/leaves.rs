//! A small JSON object, flat: dotted paths and the scalars there. Made for usage objects.

use crate::json::{Kind, Scanner, Sink, Want, push_plain};
use crate::money::Money;
use crate::usage::Count;

/// Text kept in all; a usage object has a few hundred bytes.
const LIMIT: usize = 16 * 1024;
/// Of one string.
const VALUE_LIMIT: usize = 300;

/// Scalars by path, such as `prompt_tokens_details.cached_tokens` or `entries.0.model`. A null
/// says nothing, so it is not there. Strings stand without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leaves {
    text: String,
    spots: Vec<Spot>,
}

/// Where in the text a leaf's path begins, its value begins, and its value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    path: usize,
    value: usize,
    end: usize,
}

impl Leaves {
    /// Reads JSON text; of garbage as much as makes sense.
    pub(crate) fn of(json: &str) -> Self {
        let mut leaves = Self::default();
        leaves.read(json);
        leaves
    }

    /// The same, into what is there already.
    pub(crate) fn read(&mut self, json: &str) {
        self.text.clear();
        self.spots.clear();
        Scanner::default().push(json.as_bytes(), self);
    }

    /// There is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// What stands at a path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.all().find_map(|(at, value)| (at == path).then_some(value))
    }

    /// The number at a path, also where it is spelled as a float or a string.
    pub(crate) fn count(&self, path: &str) -> Option<Count> {
        self.text(path).and_then(Count::parse)
    }

    /// The number with this name in the object at a path.
    pub(crate) fn count_in(&self, object: &str, name: &str) -> Option<Count> {
        let is_it = |at: &str| {
            let inner = at.strip_prefix(object).and_then(|rest| rest.strip_prefix('.'));
            inner == Some(name)
        };
        self.all().find_map(|(at, value)| is_it(at).then_some(value)).and_then(Count::parse)
    }

    /// The number at the first of the paths that has one.
    pub(crate) fn first_count(&self, paths: &[&str]) -> Option<Count> {
        paths.iter().find_map(|path| self.count(path))
    }

    /// The amount at a path, rounded to what [`Money`] holds.
    pub(crate) fn money(&self, path: &str) -> Option<Money> {
        Money::rounded(self.text(path)?).ok().filter(|amount| *amount >= Money::ZERO)
    }

    /// All paths with their values.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = &self.text;
        self.spots.iter().map(|s| (&text[s.path..s.value], &text[s.value..s.end]))
    }

    /// The elements of the array at a path, each with paths of its own.
    pub(crate) fn items(&self, path: &str) -> Vec<Self> {
        let mut items: Vec<Self> = Vec::new();
        let mut current = "";
        for (at, value) in self.all() {
            let inner = at.strip_prefix(path).and_then(|rest| rest.strip_prefix('.'));
            let Some((index, rest)) = inner.and_then(|inner| inner.split_once('.')) else {
                continue;
            };
            if index != current || items.is_empty() {
                items.push(Self::default());
                current = index;
            }
            if let Some(item) = items.last_mut() {
                item.put(rest, value);
            }
        }
        items
    }

    /// The object at a path, with paths of its own.
    pub(crate) fn under(&self, path: &str) -> Self {
        let mut inner = Self::default();
        for (at, value) in self.all() {
            if let Some(rest) = at.strip_prefix(path).and_then(|rest| rest.strip_prefix('.')) {
                inner.put(rest, value);
            }
        }
        inner
    }

    /// Takes over what a later snapshot says: a field that it lacks stays, and a zero never
    /// replaces what was more than zero.
    pub(crate) fn update(&mut self, later: &Self) {
        let mut merged = Self::default();
        for (path, old) in self.all() {
            let is_zero = |text: &str| Count::parse(text).is_some_and(Count::is_zero);
            let value = match later.text(path) {
                Some(new) if !is_zero(new) || Count::parse(old).is_none_or(Count::is_zero) => new,
                Some(_) | None => old,
            };
            merged.put(path, value);
        }
        for (path, value) in later.all() {
            if self.text(path).is_none() {
                merged.put(path, value);
            }
        }
        *self = merged;
    }

    /// The later snapshot has the same fields and no zero, as in most streams.
    pub(crate) fn is_replaced_by(&self, later: &Self) -> bool {
        let is_more = |value: &str| {
            !value.starts_with('0') && value.bytes().all(|digit| digit.is_ascii_digit())
        };
        self.spots.len() == later.spots.len()
            && self.all().zip(later.all()).all(|((path, old), (later_path, new))| {
                path == later_path && (old == new || is_more(new))
            })
    }

    /// Sets one value, replacing what was there.
    pub(crate) fn set(&mut self, path: &str, value: &str) {
        let mut next = Self::default();
        for (at, old) in self.all().filter(|(at, _)| *at != path) {
            next.put(at, old);
        }
        next.put(path, value);
        *self = next;
    }

    fn put(&mut self, path: &str, value: &str) {
        if self.text.len() + path.len() + value.len() > LIMIT {
            return;
        }
        let at = self.text.len();
        self.text.push_str(path);
        self.text.push_str(value);
        let value = at + path.len();
        self.spots.push(Spot { path: at, value, end: self.text.len() });
    }
}

impl Sink for Leaves {
    fn want(&mut self, _path: &[&str], kind: Kind) -> Want {
        match kind {
            Kind::Object | Kind::Array => Want::Walk,
            Kind::String | Kind::Number | Kind::Bool => Want::Keep(VALUE_LIMIT),
            Kind::Null => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str) {
        let start = self.text.len();
        for (depth, step) in path.iter().enumerate() {
            if depth > 0 {
                self.text.push('.');
            }
            self.text.push_str(step);
        }
        let value = self.text.len();
        push_plain(&mut self.text, json);
        match self.text.len() {
            ..=LIMIT => self.spots.push(Spot { path: start, value, end: self.text.len() }),
            _ => self.text.truncate(start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_found_by_path_and_nulls_are_not_there() {
        let leaves = Leaves::of(
            r#"{"a":{"b":"17"},"n":null,"t":true,"f":3.0,"minus":-1,"cost":4.8e-06,
                "list":[{"k":1,"v":{"x":2}},{"k":3}]}"#,
        );
        assert_eq!(leaves.count("a.b"), Some(Count::whole(17)));
        assert_eq!(leaves.count("f"), Some(Count::whole(3)));
        assert_eq!((leaves.count("t"), leaves.count("minus")), (None, None));
        assert_eq!(leaves.text("n"), None);
        assert_eq!(leaves.money("cost").map(|m| m.to_string()).as_deref(), Some("0.0000048"));
        let items = leaves.items("list");
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].count("v.x"), Some(Count::whole(2)));
        assert_eq!(leaves.under("a").text("b"), Some("17"));
    }

    #[test]
    fn a_snapshot_with_the_same_fields_wins_as_any_other_does() {
        for later in
            [r#"{"a":5,"b":{"c":7}}"#, r#"{"a":5,"b":{"c":0}}"#, r#"{"a":5,"b":{"c":"00"}}"#]
        {
            let mut leaves = Leaves::of(r#"{"a":4,"b":{"c":7}}"#);
            let later_leaves = Leaves::of(later);
            leaves.update(&later_leaves);
            let all: Vec<_> = leaves.all().collect();
            assert_eq!(all, [("a", "5"), ("b.c", "7")], "{later}");
            let before = Leaves::of(r#"{"a":4,"b":{"c":7}}"#);
            assert_eq!(before.is_replaced_by(&later_leaves), later_leaves == leaves, "{later}");
        }
    }

    #[test]
    fn a_later_snapshot_wins_but_its_zeros_do_not() {
        let mut leaves = Leaves::of(r#"{"a":1,"b":2,"c":0}"#);
        leaves.update(&Leaves::of(r#"{"a":0,"b":3,"c":0,"d":4}"#));
        let all: Vec<_> = leaves.all().collect();
        assert_eq!(all, [("a", "1"), ("b", "3"), ("c", "0"), ("d", "4")]);
    }
}
