//! Rollups: the sums of all receipts of a lane within a quarter of an hour, kept in the
//! receipt's own transaction. Once their time is over they are sealed, see [`crate::seal`].

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::{OptionalExtension, params};

use crate::books::Books;
use crate::lane::LaneId;
use crate::names::Reading;
use crate::pack::{Unpack, UnpackError, Unspell};
use crate::seal::{self, Rows, Sealed};
use crate::tag_sums::TagCells;
use crate::tally::{Reads, Sign, Tally};

/// How long a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    /// Fifteen minutes: divides every time zone's offset.
    Quarter,
    /// A UTC day.
    Day,
    /// A week of UTC days from Monday on.
    Week,
    /// A calendar month in UTC.
    Month,
}

const QUARTER_MS: i64 = 15 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// 1970 began on a Thursday.
const FIRST_MONDAY: i64 = -3;

impl Span {
    /// The cell an instant lies in.
    pub(crate) const fn cell_of(self, ms: i64) -> i64 {
        let day = ms.div_euclid(DAY_MS);
        match self {
            Self::Quarter => ms.div_euclid(QUARTER_MS),
            Self::Day => day,
            Self::Week => (day - FIRST_MONDAY).div_euclid(7),
            Self::Month => month_of(day),
        }
    }

    /// When a cell starts.
    pub(crate) const fn start_ms(self, cell: i64) -> i64 {
        match self {
            Self::Quarter => cell * QUARTER_MS,
            Self::Day => cell * DAY_MS,
            Self::Week => (FIRST_MONDAY + 7 * cell) * DAY_MS,
            Self::Month => first_day(cell) * DAY_MS,
        }
    }

    /// The cells of this span that one of a coarser one consists of.
    pub(crate) const fn within(self, coarser: Self, cell: i64) -> Range<i64> {
        self.cell_of(coarser.start_ms(cell))..self.cell_of(coarser.start_ms(cell + 1))
    }
}

// Years that begin in March end with the leap day, and 400 of them are always 146,097 days:
// https://howardhinnant.github.io/date_algorithms.html

/// The month, counted from January 1970, of a day counted from 1970-01-01.
const fn month_of(day: i64) -> i64 {
    let day = day + DAYS_BEFORE_1970;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    (era * 400 + year) * 12 + from_march - MONTHS_BEFORE_1970
}

/// The first day of a month; the inverse of [`month_of`].
const fn first_day(month: i64) -> i64 {
    let month = month + MONTHS_BEFORE_1970;
    let (year, from_march) = (month.div_euclid(12), month.rem_euclid(12));
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * from_march + 2) / 5 - DAYS_BEFORE_1970
}

/// From March 1st of the year 0 on.
const DAYS_BEFORE_1970: i64 = 719_468;
const MONTHS_BEFORE_1970: i64 = 1969 * 12 + 10;

/// Corrections to cells, gathered while a batch is recorded: by quarter, then by lane.
#[derive(Default)]
pub(crate) struct Cells {
    quarters: BTreeMap<i64, LaneSums>,
    /// The same by tags.
    pub(crate) tags: TagCells,
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
        for rows in Rows::ALL {
            let until = sealed.until(rows);
            if !self.begins_before(rows.span(), until) {
                continue;
            }
            for (cell, sums) in self.folded(rows.span()).into_iter().filter(|cell| cell.0 < until) {
                seal::correct(books, rows, cell, sums)?;
            }
        }
        self.tags.correct(books, sealed.tags_until())?;
        let live = sealed.until(Rows::Quarters);
        for (quarter, sums) in self.quarters.into_iter().filter(|cell| cell.0 >= live) {
            correct(books, quarter, sums)?;
        }
        Ok(())
    }

    /// Whether any of it counts in a cell before this one.
    fn begins_before(&self, span: Span, cell: i64) -> bool {
        let first = self.quarters.keys().next();
        first.is_some_and(|first| span.cell_of(Span::Quarter.start_ms(*first)) < cell)
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
    tally.add_packed((Sign::Plus, Reads::All), (requests, cost), &mut Unpack::new(sums), names)?;
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

#[cfg(test)]
mod tests {
    use meter::Timestamp;

    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for day in 0..366 * 500 {
            let date = Timestamp::from_millis(day * DAY_MS).utc();
            let of_date = |format: &str| date.format(format).to_string().parse::<i64>().unwrap();
            let month = (of_date("%Y") - 1970) * 12 + of_date("%m") - 1;
            assert_eq!(Span::Month.cell_of(day * DAY_MS + 1), month, "{date}");
            if of_date("%d") == 1 {
                assert_eq!(Span::Month.start_ms(month), day * DAY_MS, "{date}");
            }
        }
    }
}
