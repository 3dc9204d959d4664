//! Rollups: the sums of all receipts of a lane within a quarter of an hour, and again within
//! a UTC day so that years are a few thousand rows. Kept in the receipt's own transaction.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use crate::books::Books;
use crate::lane::LaneId;
use crate::names::Reading;
use crate::pack::{Unpack, UnpackError, Unspell};
use crate::tally::Tally;

/// How long a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    /// Fifteen minutes: divides every time zone's offset.
    Quarter,
    /// A UTC day.
    Day,
}

impl Span {
    pub(crate) const ALL: [Self; 2] = [Self::Quarter, Self::Day];

    /// The number on disk.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Quarter => 0,
            Self::Day => 1,
        }
    }

    pub(crate) const fn millis(self) -> i64 {
        match self {
            Self::Quarter => 15 * 60 * 1000,
            Self::Day => 24 * 60 * 60 * 1000,
        }
    }
}

/// Corrections to cells, gathered while a batch is recorded.
#[derive(Default)]
pub(crate) struct Cells {
    sums: BTreeMap<(Span, i64, LaneId), Tally>,
}

pub(crate) const READ: &str = "SELECT requests, cost, sums FROM rollup
    WHERE span = ?1 AND start = ?2 AND lane = ?3";
const WRITE: &str = "INSERT OR REPLACE INTO rollup (span, start, lane, requests, cost, sums)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(crate) const REMOVE: &str = "DELETE FROM rollup WHERE span = ?1 AND start = ?2 AND lane = ?3";

impl Cells {
    /// Counts what a receipt adds to its cells.
    pub(crate) fn add(&mut self, ordinal: i64, lane: LaneId, tally: &Tally) {
        for key in keys(ordinal, lane) {
            self.sums.entry(key).or_default().add(tally);
        }
    }

    /// Takes away what it added before a settlement.
    pub(crate) fn subtract(&mut self, ordinal: i64, lane: LaneId, tally: &Tally) {
        for key in keys(ordinal, lane) {
            self.sums.entry(key).or_default().subtract(tally);
        }
    }

    /// Merges the corrections into the ledger's cells.
    pub(crate) fn write(self, books: &mut Books) -> rusqlite::Result<()> {
        for ((span, start, lane), mut sum) in self.sums {
            if let Some(before) = read_cell(books, span, start, lane)? {
                sum.add(&before);
            }
            write_cell(books, (span, start, lane), &sum)?;
        }
        Ok(())
    }

    pub(crate) fn into_sums(self) -> BTreeMap<(Span, i64, LaneId), Tally> {
        self.sums
    }
}

fn keys(ordinal: i64, lane: LaneId) -> [(Span, i64, LaneId); 2] {
    Span::ALL.map(|span| (span, (ordinal >> 12).div_euclid(span.millis()), lane))
}

fn read_cell(
    books: &Books,
    span: Span,
    start: i64,
    lane: LaneId,
) -> rusqlite::Result<Option<Tally>> {
    let names = Reading { glossary: &books.glossary, db: &books.db };
    let mut find = books.db.prepare_cached(READ)?;
    let found = find.query_row(params![span.code(), start, lane], |row| {
        let sums = row.get_ref(2)?.as_blob()?;
        Ok(read_sums(row.get(0)?, row.get(1)?, sums, &names))
    });
    match found.optional()? {
        None => Ok(None),
        Some(Ok(tally)) => Ok(Some(tally)),
        Some(Err(UnpackError::Sqlite(error))) => Err(error),
        // A cell that cannot be read must not stop the ledger; `verify` finds it and
        // `rebuild` makes it anew.
        Some(Err(UnpackError::Damaged)) => Ok(None),
    }
}

/// Reads the columns of a cell.
pub(crate) fn read_sums(
    requests: i64,
    cost: i128,
    sums: &[u8],
    names: &impl Unspell,
) -> Result<Tally, UnpackError> {
    Tally::take(requests, cost, &mut Unpack::new(sums), names)
}

pub(crate) fn write_cell(
    books: &mut Books,
    (span, start, lane): (Span, i64, LaneId),
    sum: &Tally,
) -> rusqlite::Result<()> {
    if sum.is_empty() {
        books.db.prepare_cached(REMOVE)?.execute(params![span.code(), start, lane])?;
        return Ok(());
    }
    let mut sums = Vec::with_capacity(128);
    sum.put(&mut sums, &mut books.interning())?;
    let row = params![span.code(), start, lane, sum.requests, sum.cost, sums];
    books.db.prepare_cached(WRITE)?.execute(row)?;
    Ok(())
}
