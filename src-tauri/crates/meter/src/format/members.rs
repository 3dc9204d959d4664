//! The members of a usage object, verbatim, as merged from the snapshots of a stream. Whole
//! members are replaced, so that lists stay lists of one snapshot.

use super::USAGE_LIMIT;
use super::answer::Answer;
use crate::json::{Kind, Scanner, Sink, Want};
use crate::leaves::Leaves;
use crate::receipt::RawUsage;
use crate::usage::Count;

/// Members kept; a usage object has about a dozen.
const LIMIT: usize = 64;

/// Keys with the JSON text of their values, in the order they first came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members(Vec<(Box<str>, Box<str>)>);

impl Members {
    /// Those of a JSON object.
    pub(super) fn of(json: &str) -> Self {
        let mut members = Self::default();
        Scanner::default().push(json.as_bytes(), &mut members);
        members
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The JSON text of a member.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|(known, json)| (**known == *key).then_some(&**json))
    }

    /// A member that is a number.
    pub(super) fn count(&self, key: &str) -> Option<Count> {
        self.get(key).and_then(Count::parse)
    }

    /// Sets one member. A null says nothing where there is something.
    pub(super) fn set(&mut self, key: &str, json: &str) {
        let place = self.0.iter().position(|(known, _)| **known == *key);
        match place {
            Some(_) if json == "null" => {}
            Some(place) if *self.0[place].1 == *json => {}
            Some(place) => self.0[place].1 = json.into(),
            None if self.0.len() < LIMIT => self.0.push((key.into(), json.into())),
            None => {}
        }
    }

    /// Takes over a later, cumulative snapshot: what it lacks stays, and a zero never
    /// replaces what was more than zero.
    pub(super) fn update(&mut self, later: &Self) {
        for (key, json) in &later.0 {
            self.update_one(key, json);
        }
    }

    /// The same from the snapshot's JSON, for streams that tell it with every chunk.
    pub(super) fn update_from(&mut self, json: &str) {
        Scanner::default().push(json.as_bytes(), &mut Later(self));
    }

    fn update_one(&mut self, key: &str, json: &str) {
        let is_lost = may_be_zero(json)
            && Count::parse(json).is_some_and(Count::is_zero)
            && self.count(key).is_some_and(|count| !count.is_zero());
        if !is_lost {
            self.set(key, json);
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, json)| (&**key, &**json))
    }

    /// Makes this the answer's usage.
    pub(super) fn settle(&self, answer: &mut Answer) {
        let json = self.json();
        answer.usage = Leaves::of(&json);
        answer.set_raw(RawUsage::new(&json));
    }

    /// The object they make up.
    pub(super) fn json(&self) -> String {
        let members = self.0.iter().map(|(key, json)| {
            let key = serde_json::Value::from(&**key);
            format!("{key}:{json}")
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

impl Sink for Members {
    fn want(&mut self, path: &[&str], _kind: Kind) -> Want {
        if path.is_empty() { Want::Walk } else { Want::Keep(USAGE_LIMIT) }
    }

    fn kept(&mut self, path: &[&str], json: &str) {
        if let [key] = path {
            self.set(key, json);
        }
    }
}

/// Members of a later snapshot, on their way into these.
struct Later<'a>(&'a mut Members);

impl Sink for Later<'_> {
    fn want(&mut self, path: &[&str], _kind: Kind) -> Want {
        if path.is_empty() { Want::Walk } else { Want::Keep(USAGE_LIMIT) }
    }

    fn kept(&mut self, path: &[&str], json: &str) {
        if let [key] = path {
            self.0.update_one(key, json);
        }
    }
}

/// Whether a look at the number is needed to tell.
fn may_be_zero(json: &str) -> bool {
    let is_plain = json.bytes().all(|digit| digit.is_ascii_digit());
    !is_plain || json.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_replaced_whole_and_never_by_nothing() {
        let mut members = Members::of(r#"{"a":1,"b":[1,2],"c":{"d":null},"e":0,"f":7}"#);
        let later = r#"{"a":0,"b":[3],"c":null,"e":5,"g\"":0}"#;
        let merged = r#"{"a":1,"b":[3],"c":{"d":null},"e":5,"f":7,"g\"":0}"#;
        let mut streamed = members.clone();
        streamed.update_from(later);
        assert_eq!(streamed.json(), merged);
        members.update(&Members::of(later));
        assert_eq!(members.json(), merged);
    }
}
