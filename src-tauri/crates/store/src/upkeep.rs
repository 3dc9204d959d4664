//! Checks that the rollups are what the receipts come to, and makes them anew.

use std::collections::BTreeMap;

use rusqlite::params;

use crate::books::Books;
use crate::error::StoreError;
use crate::lane::LaneId;
use crate::ledger::Ledger;
use crate::names::Reading;
use crate::questions::Questions;
use crate::receipt_row::{self, Lanes};
use crate::rollup::{Cells, Span, read_sums, write_cell};
use crate::tally::Tally;

/// What [`Questions::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Receipts added up.
    pub receipts: u64,
    /// Receipts that could not be read.
    pub damaged: u64,
    /// Rollup cells that are not what their receipts come to.
    pub wrong_cells: u64,
    /// What SQLite's own check of the file says, if it is not content.
    pub file: Option<String>,
}

impl Verified {
    /// Whether all is as it should be.
    pub fn is_sound(&self) -> bool {
        self.damaged == 0 && self.wrong_cells == 0 && self.file.is_none()
    }
}

type Sums = BTreeMap<(Span, i64, LaneId), Tally>;

// Asked for one at a time, each end is one look at the index; together they are a scan.
pub(crate) const DAYS: &str =
    "SELECT (SELECT min(ordinal) FROM receipt), (SELECT max(ordinal) FROM receipt)";
pub(crate) const ROLLUP_DAYS: &str = "SELECT
    (SELECT min(start) FROM rollup WHERE span = 1),
    (SELECT max(start) FROM rollup WHERE span = 1)";
pub(crate) const OF_DAY: &str = "SELECT ordinal, lane, cost, detail FROM receipt
    WHERE ordinal >= ?1 AND ordinal < ?2";
pub(crate) const CELLS_OF_DAY: &str = "SELECT span, start, lane, requests, cost, sums FROM rollup
    WHERE span = ?1 AND start >= ?2 AND start < ?3";
pub(crate) const FORGET_DAY: &str =
    "DELETE FROM rollup WHERE span = ?1 AND start >= ?2 AND start < ?3";
const CHECK: &str = "PRAGMA quick_check(1)";

impl Questions {
    /// Checks the file, reads every receipt and compares what they come to with the rollups,
    /// a day at a time. Takes as long as the ledger is large and keeps nobody from writing.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        let said: String = self.db.query_row(CHECK, [], |row| row.get(0))?;
        verified.file = (said != "ok").then_some(said);
        for day in self.at_one_instant(|| days(&self.db))? {
            self.at_one_instant(|| {
                let (kept, torn) = self.cells_of(day)?;
                let mut lanes = Lanes::default();
                lanes.refresh(&self.db)?;
                let names = Reading { glossary: &self.glossary, db: &self.db };
                let found = add_up(&names, &lanes, day)?;
                verified.receipts += found.receipts;
                verified.damaged += found.damaged;
                verified.wrong_cells += torn + differences(&found.sums, &kept);
                Ok(())
            })?;
        }
        Ok(verified)
    }

    fn cells_of(&self, day: i64) -> Result<(Sums, u64), StoreError> {
        let names = Reading { glossary: &self.glossary, db: &self.db };
        let (mut sums, mut torn) = (Sums::new(), 0);
        for span in Span::ALL {
            let mut rows = self.db.prepare_cached(CELLS_OF_DAY)?;
            let (from, to) = cells_within(span, day);
            let mut rows = rows.query(params![span.code(), from, to])?;
            while let Some(row) = rows.next()? {
                let blob = row.get_ref(5)?.as_blob().map_err(|_| StoreError::Damaged)?;
                match read_sums(row.get(3)?, row.get(4)?, blob, &names) {
                    Ok(tally) => drop(sums.insert((span, row.get(1)?, row.get(2)?), tally)),
                    Err(_) => torn += 1,
                }
            }
        }
        Ok((sums, torn))
    }
}

impl Ledger {
    /// Makes all rollups anew from the receipts, a day at a time, so that recording goes on
    /// in between. Says how many days that were.
    pub fn rebuild(&self) -> Result<u64, StoreError> {
        let days = self.write(|books| days(&books.db))?;
        let count = days.len() as u64;
        for day in days {
            self.write(move |books| rebuild_day(books, day))?;
        }
        Ok(count)
    }
}

fn rebuild_day(books: &mut Books, day: i64) -> Result<(), StoreError> {
    let mut lanes = Lanes::default();
    lanes.refresh(&books.db)?;
    let names = Reading { glossary: &books.glossary, db: &books.db };
    let found = add_up(&names, &lanes, day)?;
    for span in Span::ALL {
        let (from, to) = cells_within(span, day);
        books.db.execute(FORGET_DAY, params![span.code(), from, to])?;
    }
    for (key, tally) in found.sums {
        write_cell(books, key, &tally)?;
    }
    Ok(())
}

struct Found {
    sums: Sums,
    receipts: u64,
    damaged: u64,
}

fn add_up(names: &Reading<'_>, lanes: &Lanes, day: i64) -> Result<Found, StoreError> {
    let (mut cells, mut receipts, mut damaged) = (Cells::default(), 0, 0);
    let ordinal = |day: i64| (day * Span::Day.millis()) << 12;
    let mut rows = names.db.prepare_cached(OF_DAY)?;
    let mut rows = rows.query([ordinal(day), ordinal(day + 1)])?;
    while let Some(row) = rows.next()? {
        match receipt_row::read(row, names.db, names.glossary, lanes) {
            Ok(receipt) => {
                receipts += 1;
                cells.add(row.get(0)?, row.get(1)?, &Tally::of(&receipt));
            }
            Err(_) => damaged += 1,
        }
    }
    Ok(Found { sums: cells.into_sums(), receipts, damaged })
}

/// The UTC days that have receipts or rollups, from the first to the last.
fn days(db: &rusqlite::Connection) -> Result<Vec<i64>, StoreError> {
    let ends =
        |sql: &str| db.query_row(sql, [], |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)));
    let day = |ordinal: i64| (ordinal >> 12) / Span::Day.millis();
    let receipts = ends(DAYS)?.map(|(first, last)| (day(first), day(last)));
    let both = [receipts, ends(ROLLUP_DAYS)?];
    let first = both.iter().flatten().map(|(first, _)| *first).min();
    let last = both.iter().flatten().map(|(_, last)| *last).max();
    Ok(first.zip(last).map_or_else(Vec::new, |(first, last)| (first..=last).collect()))
}

fn cells_within(span: Span, day: i64) -> (i64, i64) {
    let cells = Span::Day.millis() / span.millis();
    (day * cells, (day + 1) * cells)
}

fn differences(found: &Sums, kept: &Sums) -> u64 {
    let wrong = found.iter().filter(|(key, tally)| kept.get(key) != Some(tally)).count();
    let surplus = kept.keys().filter(|key| !found.contains_key(key)).count();
    (wrong + surplus) as u64
}
