//! Finds the rows a filter selects, in order and a page at a time.
//!
//! Most filters fill a page from the newest few thousand rows. Those that do not are rare
//! combinations; their rows are found lane by lane through the index, so that no page
//! depends on how many receipts there are.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use crate::filter::Selection;
use crate::lane::LaneId;
use crate::names::NameId;

/// Rows looked at in order before lanes are asked one by one.
const SCANNED: usize = 4000;

/// The rows, by ordinal, that a page may still come from: from the first to before the second.
type Rest = (i64, i64);

/// Which end of the period comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    NewestFirst,
    OldestFirst,
}

pub(crate) const SCAN_DOWN: &str = "SELECT ordinal, lane FROM receipt
    WHERE ordinal >= ?1 AND ordinal < ?2 ORDER BY ordinal DESC LIMIT ?3";
pub(crate) const SCAN_UP: &str = "SELECT ordinal, lane FROM receipt
    WHERE ordinal >= ?1 AND ordinal < ?2 ORDER BY ordinal LIMIT ?3";
pub(crate) const LANE_DOWN: &str = "SELECT ordinal FROM receipt
    WHERE lane = ?4 AND ordinal >= ?1 AND ordinal < ?2 ORDER BY ordinal DESC LIMIT ?3";
pub(crate) const LANE_UP: &str = "SELECT ordinal FROM receipt
    WHERE lane = ?4 AND ordinal >= ?1 AND ordinal < ?2 ORDER BY ordinal LIMIT ?3";
pub(crate) const TAG_DOWN: &str = "SELECT ordinal FROM tag
    WHERE name = ?3 AND value = ?4 AND ordinal >= ?1 AND ordinal < ?2 ORDER BY ordinal DESC";
pub(crate) const TAG_UP: &str = "SELECT ordinal FROM tag
    WHERE name = ?3 AND value = ?4 AND ordinal >= ?1 AND ordinal < ?2 ORDER BY ordinal";
pub(crate) const LANE_OF: &str = "SELECT lane FROM receipt WHERE ordinal = ?1";
pub(crate) const HAS_TAG: &str =
    "SELECT 1 FROM tag WHERE name = ?1 AND value = ?2 AND ordinal = ?3";

impl Direction {
    fn scan(self) -> &'static str {
        match self {
            Self::NewestFirst => SCAN_DOWN,
            Self::OldestFirst => SCAN_UP,
        }
    }

    fn lane(self) -> &'static str {
        match self {
            Self::NewestFirst => LANE_DOWN,
            Self::OldestFirst => LANE_UP,
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::NewestFirst => TAG_DOWN,
            Self::OldestFirst => TAG_UP,
        }
    }
}

/// The first `limit` ordinals of a selection.
pub(crate) fn page(
    db: &Connection,
    selection: &Selection,
    direction: Direction,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let Some(tags) = &selection.tags else { return Ok(Vec::new()) };
    if selection.lanes.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    if !selection.ids.is_empty() {
        return named(db, selection, direction, limit);
    }
    if !tags.is_empty() {
        return tagged(db, selection, direction, limit);
    }
    let (mut found, rest) = scan(db, selection, direction, limit)?;
    if let Some((from, to)) = rest {
        found.extend(merge(db, selection, direction, limit - found.len(), (from, to))?);
    }
    Ok(found)
}

/// Looks at the first rows of the period. Also says which rows are left, if the page is not
/// full yet.
fn scan(
    db: &Connection,
    selection: &Selection,
    direction: Direction,
    limit: usize,
) -> rusqlite::Result<(Vec<i64>, Option<Rest>)> {
    let (mut found, mut seen, mut last) = (Vec::new(), 0, 0);
    let mut rows = db.prepare_cached(direction.scan())?;
    let most = SCANNED.max(limit);
    let mut rows = rows.query(params![selection.from, selection.to, most as i64])?;
    while let Some(row) = rows.next()? {
        (last, seen) = (row.get(0)?, seen + 1);
        if selection.lanes.contains(&row.get::<_, LaneId>(1)?) {
            found.push(last);
            if found.len() == limit {
                return Ok((found, None));
            }
        }
    }
    let rest = (seen == most).then_some(match direction {
        Direction::NewestFirst => (selection.from, last),
        Direction::OldestFirst => (last + 1, selection.to),
    });
    Ok((found, rest))
}

/// Takes the first rows of each lane and keeps the first of all.
fn merge(
    db: &Connection,
    selection: &Selection,
    direction: Direction,
    limit: usize,
    (mut from, mut to): Rest,
) -> rusqlite::Result<Vec<i64>> {
    let mut best = BTreeSet::new();
    let mut rows = db.prepare_cached(direction.lane())?;
    for lane in selection.lanes.iter() {
        let found = rows.query_map(params![from, to, limit as i64, lane], |row| row.get(0))?;
        for ordinal in found {
            best.insert(ordinal?);
        }
        while best.len() > limit {
            match direction {
                Direction::NewestFirst => best.pop_first(),
                Direction::OldestFirst => best.pop_last(),
            };
        }
        if best.len() == limit {
            match direction {
                Direction::NewestFirst => from = best.first().copied().unwrap_or(from),
                Direction::OldestFirst => to = best.last().copied().unwrap_or(to),
            }
        }
    }
    Ok(in_order(best.into_iter().collect(), direction))
}

fn named(
    db: &Connection,
    selection: &Selection,
    direction: Direction,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let ordinals: BTreeSet<i64> = selection.ids.iter().map(|id| id.ordinal()).collect();
    let mut found = Vec::new();
    for ordinal in ordinals {
        let within = (selection.from..selection.to).contains(&ordinal);
        if within && is_selected(db, selection, ordinal, all(selection))? {
            found.push(ordinal);
        }
    }
    let mut found = in_order(found, direction);
    found.truncate(limit);
    Ok(found)
}

fn tagged(
    db: &Connection,
    selection: &Selection,
    direction: Direction,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let Some(((name, value), others)) = all(selection).split_first() else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut rows = db.prepare_cached(direction.tag())?;
    let mut rows = rows.query(params![selection.from, selection.to, name, value])?;
    while let Some(row) = rows.next()? {
        let ordinal = row.get(0)?;
        if is_selected(db, selection, ordinal, others)? {
            found.push(ordinal);
            if found.len() == limit {
                break;
            }
        }
    }
    Ok(found)
}

/// All tags that are asked for.
fn all(selection: &Selection) -> &[(NameId, NameId)] {
    selection.tags.as_deref().unwrap_or_default()
}

/// Whether a row within the period is of a selected lane and has these tags.
pub(crate) fn is_selected(
    db: &Connection,
    selection: &Selection,
    ordinal: i64,
    tags: &[(NameId, NameId)],
) -> rusqlite::Result<bool> {
    let lane: Option<LaneId> =
        db.prepare_cached(LANE_OF)?.query_row([ordinal], |row| row.get(0)).optional()?;
    if !lane.is_some_and(|lane| selection.lanes.contains(&lane)) {
        return Ok(false);
    }
    let mut has = db.prepare_cached(HAS_TAG)?;
    for (name, value) in tags {
        if !has.exists(params![name, value, ordinal])? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn in_order(mut ascending: Vec<i64>, direction: Direction) -> Vec<i64> {
    match direction {
        Direction::NewestFirst => ascending.reverse(),
        Direction::OldestFirst => {}
    }
    ascending
}
