//! Rollups: the sums of all receipts of a lane within a quarter of an hour, kept in the
//! receipt's own transaction. Once their time is over they are sealed, see [`crate::seal`].

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::{OptionalExtension, params};

use crate::books::Books;
use crate::lane::LaneId;
use crate::names::Reading;
use crate::pack::{Unpack, UnpackError, Unspell};
use crate::seal::{self, Sealed};
use crate::tally::{Sign, Tally};

/// How long a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    /// Fifteen minutes: divides every time zone's offset.
    Quarter,
    /// A UTC day.
    Day,
    /// A week of UTC days from Monday on.
    Week,
}

/// 1970 began on a Thursday.
const FIRST_MONDAY_MS: i64 = -3 * 24 * 60 * 60 * 1000;

impl Span {
    pub(crate) const ALL: [Self; 3] = [Self::Quarter, Self::Day, Self::Week];

    /// The number on disk.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Quarter => 0,
            Self::Day => 1,
            Self::Week => 3,
        }
    }

    pub(crate) const fn millis(self) -> i64 {
        match self {
            Self::Quarter => 15 * 60 * 1000,
            Self::Day => 24 * 60 * 60 * 1000,
            Self::Week => 7 * 24 * 60 * 60 * 1000,
        }
    }

    /// Where the first cell of a span starts.
    const fn origin_ms(self) -> i64 {
        match self {
            Self::Quarter | Self::Day => 0,
            Self::Week => FIRST_MONDAY_MS,
        }
    }

    /// The cell an instant lies in.
    pub(crate) const fn cell_of(self, ms: i64) -> i64 {
        (ms - self.origin_ms()).div_euclid(self.millis())
    }

    /// When a cell starts.
    pub(crate) const fn start_ms(self, cell: i64) -> i64 {
        self.origin_ms() + cell * self.millis()
    }

    /// The cells of this span that one of a coarser one consists of.
    pub(crate) const fn within(self, coarser: Self, cell: i64) -> Range<i64> {
        self.cell_of(coarser.start_ms(cell))..self.cell_of(coarser.start_ms(cell + 1))
    }
}

/// Corrections to cells, gathered while a batch is recorded: by quarter, then by lane.
#[derive(Default)]
pub(crate) struct Cells {
    quarters: BTreeMap<i64, LaneSums>,
}

/// The sums of each lane of one cell's time.
pub(crate) type LaneSums = BTreeMap<LaneId, Tally>;

pub(crate) const READ: &str = "SELECT requests, cost, sums FROM rollup
    WHERE span = 0 AND start = ?1 AND lane = ?2";
const WRITE: &str = "INSERT OR REPLACE INTO rollup (span, start, lane, requests, cost, sums)
    VALUES (0, ?1, ?2, ?3, ?4, ?5)";
pub(crate) const REMOVE: &str = "DELETE FROM rollup WHERE span = 0 AND start = ?1 AND lane = ?2";

impl Cells {
    /// Counts what a receipt adds to its cells.
    pub(crate) fn add(&mut self, ordinal: i64, lane: LaneId, tally: &Tally) {
        self.sum(ordinal, lane).add(tally);
    }

    /// Takes away what it added before a settlement.
    pub(crate) fn subtract(&mut self, ordinal: i64, lane: LaneId, tally: &Tally) {
        self.sum(ordinal, lane).subtract(tally);
    }

    fn sum(&mut self, ordinal: i64, lane: LaneId) -> &mut Tally {
        let quarter = Span::Quarter.cell_of(ordinal >> 12);
        self.quarters.entry(quarter).or_default().entry(lane).or_default()
    }

    /// Merges the corrections into the ledger's cells.
    pub(crate) fn write(self, books: &mut Books) -> rusqlite::Result<()> {
        let sealed = Sealed::read(&books.db)?;
        for span in Span::ALL {
            for (cell, sums) in self.folded(span) {
                if cell < sealed.until(span) {
                    seal::correct(books, span, cell, sums)?;
                } else if span == Span::Quarter {
                    correct(books, cell, sums)?;
                }
            }
        }
        Ok(())
    }

    /// The same by cells of a span.
    pub(crate) fn folded(&self, span: Span) -> BTreeMap<i64, LaneSums> {
        let mut folded = BTreeMap::<i64, LaneSums>::new();
        for (quarter, sums) in &self.quarters {
            let cell = span.cell_of(Span::Quarter.start_ms(*quarter));
            let into = folded.entry(cell).or_default();
            for (lane, sum) in sums {
                into.entry(*lane).or_default().add(sum);
            }
        }
        folded
    }
}

/// Merges corrections into the cells of a quarter that is not sealed.
fn correct(books: &mut Books, quarter: i64, sums: LaneSums) -> rusqlite::Result<()> {
    for (lane, mut sum) in sums {
        if let Some(before) = read_cell(books, quarter, lane)? {
            sum.add(&before);
            sum.tidy();
        }
        write_cell(books, quarter, lane, &sum)?;
    }
    Ok(())
}

fn read_cell(books: &Books, quarter: i64, lane: LaneId) -> rusqlite::Result<Option<Tally>> {
    let names = Reading { glossary: &books.glossary, db: &books.db };
    let mut find = books.db.prepare_cached(READ)?;
    let found = find.query_row(params![quarter, lane], |row| {
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
    let mut tally = Tally::default();
    tally.add_packed(Sign::Plus, (requests, cost), &mut Unpack::new(sums), names)?;
    Ok(tally)
}

pub(crate) fn write_cell(
    books: &mut Books,
    quarter: i64,
    lane: LaneId,
    sum: &Tally,
) -> rusqlite::Result<()> {
    if sum.is_empty() {
        books.db.prepare_cached(REMOVE)?.execute(params![quarter, lane])?;
        return Ok(());
    }
    let mut sums = Vec::with_capacity(128);
    sum.put(&mut sums, &mut books.interning())?;
    let row = params![quarter, lane, sum.requests, sum.cost, sums];
    books.db.prepare_cached(WRITE)?.execute(row)?;
    Ok(())
}
