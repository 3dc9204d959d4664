//! Sums of tags: what the receipts of a UTC day came to, by the values of a tag and by lane. Made
//! from the receipts once their day is sealed, and corrected by what comes later. Until then, and
//! on days with very many values, receipts answer.

use std::collections::BTreeMap;
use std::ops::Range;

use meter::Receipt;
use rusqlite::{OptionalExtension, params};

use crate::books::Books;
use crate::lane::LaneId;
use crate::names::{NameId, Reading};
use crate::pack::{Unpack, UnpackError, put, put_signed};
use crate::rollup::{LaneSums, Span};
use crate::seal;
use crate::tally::{Sign, Tally};

/// Values of one tag on one day that sums are kept of. Who gives each call a value of its own has
/// nothing to sum up.
const MOST_VALUES: usize = 500;

pub(crate) const OF_NAME: &str =
    "SELECT day, sums FROM tag_sum WHERE name = ?1 AND day >= ?2 AND day < ?3";
pub(crate) const ONE: &str = "SELECT sums FROM tag_sum WHERE name = ?1 AND day = ?2";
pub(crate) const OF_DAY: &str = "SELECT name, sums FROM tag_sum WHERE day = ?1";
pub(crate) const FORGET: &str = "DELETE FROM tag_sum WHERE day = ?1";
pub(crate) const FORGET_ONE: &str = "DELETE FROM tag_sum WHERE name = ?1 AND day = ?2";
const WRITE: &str = "INSERT OR REPLACE INTO tag_sum (name, day, sums) VALUES (?1, ?2, ?3)";

/// What the values of one tag came to.
pub(crate) type Values = BTreeMap<NameId, LaneSums>;

/// Sums, or corrections to sums, by day and name.
#[derive(Default)]
pub(crate) struct TagCells {
    days: BTreeMap<(i64, NameId), Values>,
}

impl TagCells {
    /// Counts what a receipt adds to the sums of its tags, or takes it away.
    pub(crate) fn count<E>(
        &mut self,
        sign: Sign,
        receipt: &Receipt,
        (lane, tally): (LaneId, &Tally),
        mut number: impl FnMut(&str) -> Result<NameId, E>,
    ) -> Result<(), E> {
        let day = Span::Day.cell_of(receipt.id.ordinal() >> 12);
        for (name, value) in &receipt.tags {
            let (name, value) = (number(name)?, number(value)?);
            let values = self.days.entry((day, name)).or_default();
            let sum = values.entry(value).or_default().entry(lane).or_default();
            match sign {
                Sign::Plus => sum.add(tally),
                Sign::Minus => sum.subtract(tally),
            }
        }
        Ok(())
    }

    /// Merges these into days that have sums, which are those before `until`.
    pub(crate) fn correct(self, books: &mut Books, until: i64) -> rusqlite::Result<()> {
        for ((day, name), mut values) in self.days.into_iter().filter(|(at, _)| at.0 < until) {
            let before: Option<Vec<u8>> = {
                let mut find = books.db.prepare_cached(ONE)?;
                find.query_row(params![name, day], |row| row.get(0)).optional()?
            };
            let read = before.map_or(Ok(DaySums::Kept), |bytes| {
                let names = Reading { glossary: &books.glossary, db: &books.db };
                add_row(&mut values, &bytes, &names)
            });
            match read {
                Ok(DaySums::Kept) | Err(UnpackError::Damaged) => write(books, day, name, values)?,
                Ok(DaySums::LeftToReceipts) => {}
                Err(UnpackError::Sqlite(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes these as all the sums there are of a day.
    pub(crate) fn write(self, books: &mut Books, day: i64) -> rusqlite::Result<()> {
        books.db.prepare_cached(FORGET)?.execute([day])?;
        for ((_, name), values) in self.days {
            write(books, day, name, values)?;
        }
        Ok(())
    }

    /// By name, without what was taken away completely.
    pub(crate) fn tidied(self) -> BTreeMap<NameId, Values> {
        let mut names: BTreeMap<NameId, Values> = BTreeMap::new();
        for ((_, name), values) in self.days {
            names.insert(name, tidied(values));
        }
        names.retain(|_, values| !values.is_empty());
        names
    }
}

/// Whether a row holds sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DaySums {
    Kept,
    /// There were too many values.
    LeftToReceipts,
}

fn tidied(mut values: Values) -> Values {
    for sums in values.values_mut() {
        sums.values_mut().for_each(Tally::tidy);
        sums.retain(|_, sum| !sum.is_empty());
    }
    values.retain(|_, sums| !sums.is_empty());
    values
}

fn write(books: &mut Books, day: i64, name: NameId, values: Values) -> rusqlite::Result<()> {
    let values = tidied(values);
    if values.is_empty() {
        books.db.prepare_cached(FORGET_ONE)?.execute(params![name, day])?;
        return Ok(());
    }
    let (mut row, mut last) = (Vec::new(), 0);
    // Empty: left to the receipts.
    if values.len() <= MOST_VALUES {
        for (value, sums) in &values {
            let cells = seal::packed(books, sums)?;
            put_signed(&mut row, (value.number() - last).into());
            put(&mut row, cells.len() as u64);
            row.extend_from_slice(&cells);
            last = value.number();
        }
    }
    books.db.prepare_cached(WRITE)?.execute(params![name, day, row])?;
    Ok(())
}

/// Adds what a row holds.
pub(crate) fn add_row(
    values: &mut Values,
    bytes: &[u8],
    names: &Reading<'_>,
) -> Result<DaySums, UnpackError> {
    if bytes.is_empty() {
        return Ok(DaySums::LeftToReceipts);
    }
    each_value(bytes, |value, cells| {
        seal::add_row(values.entry(value).or_default(), cells, names)
    })?;
    Ok(DaySums::Kept)
}

/// Shows each value of a row with its cells, still packed.
pub(crate) fn each_value<E: From<UnpackError>>(
    bytes: &[u8],
    mut visit: impl FnMut(NameId, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (mut row, mut last) = (Unpack::new(bytes), 0_i64);
    while !row.is_empty() {
        last = last.checked_add(row.signed_millis()?).ok_or(UnpackError::Damaged)?;
        let len = row.take()?;
        visit(NameId::of(last), row.bytes(len)?)?;
    }
    Ok(())
}

/// The sums of one day, by name; nothing where receipts answer.
pub(crate) fn kept(
    names: &Reading<'_>,
    day: i64,
) -> Result<BTreeMap<NameId, Option<Values>>, UnpackError> {
    let mut rows = names.db.prepare_cached(OF_DAY)?;
    let mut rows = rows.query([day])?;
    let mut kept = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob().map_err(|_| UnpackError::Damaged)?;
        let mut values = Values::new();
        let sums = match add_row(&mut values, bytes, names)? {
            DaySums::Kept => Some(values),
            DaySums::LeftToReceipts => None,
        };
        kept.insert(row.get(0)?, sums);
    }
    Ok(kept)
}

/// The whole UTC days within a range of milliseconds.
pub(crate) fn whole_days(range: &Range<i64>) -> Range<i64> {
    let first = Span::Day.cell_of(range.start.saturating_add(Span::Day.start_ms(1) - 1));
    first..Span::Day.cell_of(range.end).max(first)
}
