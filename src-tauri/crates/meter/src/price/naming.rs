//! From the id on the wire to the id of a record: exact, then without one date, then without
//! documented decorations. Never by a prefix: `x-mini` says nothing about `x`.

use chrono::{Datelike, NaiveDate};

use super::file::Names;

/// The first id under which `known` has a record.
pub(super) fn find<T>(names: &Names, id: &str, known: impl Fn(&str) -> Option<T>) -> Option<T> {
    let id = id.to_ascii_lowercase();
    if let Some(found) = known(&id) {
        return Some(found);
    }
    let bare = undecorated(names, &id);
    if let Some(base) = fine_tuned(names, bare) {
        return dated(names, &base, &known);
    }
    dated(names, &id, &known).or_else(|| if bare == id { None } else { dated(names, bare, &known) })
}

/// As it is, with its date spelled the other way, without its date.
fn dated<T>(names: &Names, id: &str, known: impl Fn(&str) -> Option<T>) -> Option<T> {
    if let Some(found) = known(id) {
        return Some(found);
    }
    let (stem, date) = split_date(names, id)?;
    known(&format!("{stem}-{}", date.format("%Y-%m-%d")))
        .or_else(|| known(&format!("{stem}-{}", date.format("%Y%m%d"))))
        .or_else(|| known(stem))
}

/// Takes off one valid calendar date: `-20250929`, `-2025-09-29`, and `@20250929` where documented.
fn split_date<'a>(names: &Names, id: &'a str) -> Option<(&'a str, NaiveDate)> {
    let marks = std::iter::once("-").chain(names.dates.iter().map(|mark| &**mark));
    let forms = [("%Y-%m-%d", 10), ("%Y%m%d", 8)];
    for (mark, (form, length)) in marks.flat_map(|mark| forms.map(|form| (mark, form))) {
        let Some(at) = id.len().checked_sub(length).filter(|at| id.is_char_boundary(*at)) else {
            continue;
        };
        let (Some(stem), Ok(date)) =
            (id[..at].strip_suffix(mark), NaiveDate::parse_from_str(&id[at..], form))
        else {
            continue;
        };
        if !stem.is_empty() && (2020..2050).contains(&date.year()) {
            return Some((stem, date));
        }
    }
    None
}

/// Without the longest documented prefix and without a documented suffix.
fn undecorated<'a>(names: &Names, id: &'a str) -> &'a str {
    let rests = names.prefixes.iter().filter_map(|prefix| after(prefix, id));
    let rest = rests.min_by_key(|rest| rest.len()).unwrap_or(id);
    let bare = names.suffixes.iter().find_map(|suffix| rest.strip_suffix(&**suffix));
    bare.filter(|bare| !bare.is_empty()).unwrap_or(rest)
}

/// What stands after the prefix, in which `*` is any text without a slash.
fn after<'a>(prefix: &str, id: &'a str) -> Option<&'a str> {
    let mut parts = prefix.split('*');
    let mut rest = id.strip_prefix(parts.next()?)?;
    for part in parts {
        let at = rest.find(part)?;
        if at == 0 || rest[..at].contains('/') {
            return None;
        }
        rest = &rest[at + part.len()..];
    }
    (!rest.is_empty()).then_some(rest)
}

/// `<start><base>:<organisation>:…` to `<start><base>`: fine-tunes have records of their own.
fn fine_tuned(names: &Names, id: &str) -> Option<String> {
    let start = names.fine_tunes.as_deref()?;
    let (base, _) = id.strip_prefix(start)?.split_once(':')?;
    Some(format!("{start}{base}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str) -> Option<String> {
        let names = Names {
            prefixes: vec!["models/".into(), "arn:*:profile/".into(), "projects/*/models/".into()],
            suffixes: vec![":latest".into()],
            dates: vec!["@".into()],
            fine_tunes: Some("ft:".into()),
        };
        let ids = ["big-4", "big-4-2024-05-13", "small-1-20250101", "ft:big-4"];
        find(&names, id, |id| ids.contains(&id).then(|| id.to_owned()))
    }

    #[test]
    fn an_id_is_found_exactly_or_without_documented_decoration() {
        for (id, want) in [
            ("big-4", "big-4"),
            ("BIG-4", "big-4"),
            ("big-4-20251231", "big-4"),
            ("big-4-2025-12-31", "big-4"),
            ("big-4@20251231", "big-4"),
            ("big-4-20240513", "big-4-2024-05-13"),
            ("small-1-2025-01-01", "small-1-20250101"),
            ("models/big-4", "big-4"),
            ("models/big-4-20251231", "big-4"),
            ("big-4:latest", "big-4"),
            ("arn:x:y:profile/big-4", "big-4"),
            ("projects/mine/models/big-4", "big-4"),
            ("ft:big-4-2025-04-14:acme::AbC123", "ft:big-4"),
        ] {
            assert_eq!(found(id).as_deref(), Some(want), "{id}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for id in [
            "",
            "big",
            "big-4-mini",
            "big-4-made-up",
            "big-4-20251399",
            "big-4-20251231-20251231",
            "big-4@2025",
            "models/",
            "other/big-4",
            "projects/a/b/models/big-4",
            "ft:small-1-20250101:acme::x",
            "big-4:nitro",
        ] {
            assert_eq!(found(id), None, "{id}");
        }
    }
}
