//! Checks that the rollups are what the receipts come to, and makes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use meter::Timestamp;

use crate::books::{Books, SEALED_AT_ONCE};
use crate::error::StoreError;
use crate::lane::LaneId;
use crate::ledger::Ledger;
use crate::names::{self, NameId, Reading};
use crate::pack::UnpackError;
use crate::prune;
use crate::questions::Questions;
use crate::receipt_row::{self, Lanes};
use crate::road::Roads;
use crate::rollup::{Cells, LaneSums, Span, write_cell};
use crate::schema;
use crate::seal::{self, Rows, Sealed, SealsLeft, live, sealed, unseal};
use crate::settlement;
use crate::tag_sums::{self, TagCells, Values};
use crate::tally::{Sign, Tally};

/// What [`Questions::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Receipts added up.
    pub receipts: u64,
    /// Receipts that could not be read.
    pub damaged: u64,
    /// Rollup cells that are not what their receipts come to.
    pub wrong_cells: u64,
    /// Before which instant receipts were pruned: there, the sums of days are compared with those
    /// of their quarters of an hour.
    pub pruned_before: Option<Timestamp>,
    /// Receipts from before that which are there all the same.
    pub kept: u64,
    /// What SQLite's own check of the file says, if it is not content.
    pub file: Option<String>,
    /// Tables and indexes that are not there.
    pub missing: Vec<String>,
}

impl Verified {
    /// Whether all is as it should be.
    pub fn is_sound(&self) -> bool {
        self.damaged == 0 && self.wrong_cells == 0 && self.file.is_none() && self.missing.is_empty()
    }
}

// Asked for one at a time, each end is one look at the index; together they are a scan.
pub(crate) const DAYS: &str =
    "SELECT (SELECT min(ordinal) FROM receipt), (SELECT max(ordinal) FROM receipt)";
pub(crate) const ROLLUP_ENDS: &str = "SELECT
    (SELECT min(place) FROM sealed_rollup WHERE place >= ?1 AND place < ?2) & 1099511627775,
    (SELECT max(place) FROM sealed_rollup WHERE place >= ?1 AND place < ?2) & 1099511627775";
pub(crate) const OF_DAY: &str = "SELECT ordinal, lane, cost, detail FROM receipt
    WHERE ordinal >= ?1 AND ordinal < ?2";

pub(crate) const NEXT_RECEIPT: &str = "SELECT min(ordinal) FROM receipt WHERE ordinal >= ?1";

const CHECK: &str = "PRAGMA quick_check(1)";

impl Questions {
    /// Checks the file, reads every receipt and compares what they come to with the rollups,
    /// a day at a time. Takes as long as the ledger is large and keeps nobody from writing.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let file = match self.db.query_row(CHECK, [], |row| row.get::<_, String>(0)) {
            Ok(said) => (said != "ok").then_some(said),
            Err(rusqlite::Error::QueryReturnedNoRows) => Some("it cannot be checked".to_owned()),
            Err(error) => Some(format!("it cannot be checked: {error}")),
        };
        let mut verified = Verified { file, ..Verified::default() };
        match self.verify_parts(&mut verified) {
            // What else goes wrong comes of that.
            Err(_) if verified.file.is_some() || !verified.missing.is_empty() => Ok(verified),
            done => done.map(|()| verified),
        }
    }

    fn verify_parts(&self, verified: &mut Verified) -> Result<(), StoreError> {
        let missing = schema::missing_parts(&self.db)?;
        verified.missing = missing.into_iter().map(|part| part.name).collect();
        let days = self.at_one_instant(|| days(&self.db))?;
        for day in &days {
            self.at_one_instant(|| match is_pruned(&self.db, *day)? {
                true => self.verify_sums_of_day(*day, verified),
                false => self.verify_day(*day, verified),
            })?;
        }
        verified.pruned_before = self.pruned_before()?;
        verified.kept = self.kept_in_pruned_time()?;
        let mut roads = Roads::default();
        for rows in Rows::ALL {
            let Some(of) = rows.finer().filter(|finer| *finer != Rows::Quarters) else { continue };
            let cells = days.iter().map(|day| rows.span().cell_of(Span::Day.start_ms(*day)));
            for cell in cells.collect::<BTreeSet<i64>>() {
                verified.wrong_cells +=
                    self.at_one_instant(|| self.wrong_of_days(rows, of, cell, &mut roads))?;
            }
        }
        Ok(())
    }

    fn verify_day(&self, day: i64, verified: &mut Verified) -> Result<(), StoreError> {
        let mut lanes = Lanes::default();
        lanes.refresh(&self.db)?;
        let names = Reading { glossary: &self.glossary, db: &self.db };
        let found = add_up(&names, &lanes, day)?;
        verified.receipts += found.receipts;
        verified.damaged += found.damaged;
        let until = Sealed::read(&self.db)?;
        let quarters = found.cells.folded(Span::Quarter);
        for quarter in Span::Quarter.within(Span::Day, day) {
            let expected = quarters.get(&quarter).unwrap_or(&NOTHING);
            let (live, kept) = self.kept(Rows::Quarters, quarter)?;
            let (right, none) = match quarter < until.until(Rows::Quarters) {
                true => (kept, live),
                false => (live, kept),
            };
            verified.wrong_cells += differences(expected, &right) + none.len() as u64;
        }
        if day < until.until(Rows::Days) {
            let days = found.cells.folded(Span::Day);
            let expected = days.get(&day).unwrap_or(&NOTHING);
            verified.wrong_cells += differences(expected, &self.kept(Rows::Days, day)?.1);
        }
        if day < until.tags_until() {
            verified.wrong_cells += wrong_tags(found.cells.tags, tag_sums::kept(&names, day)?);
        }
        Ok(())
    }

    /// Of a day without receipts.
    fn verify_sums_of_day(&self, day: i64, verified: &mut Verified) -> Result<(), StoreError> {
        let names = Reading { glossary: &self.glossary, db: &self.db };
        if Sealed::read(&self.db)?.until(Rows::Days) <= day {
            return Ok(());
        }
        let expected = sealed(&names, Rows::Quarters, Span::Quarter.within(Span::Day, day))?;
        verified.wrong_cells += differences(&expected, &self.kept(Rows::Days, day)?.1);
        Ok(())
    }

    /// How many sums of a cell are not those of the days it is made of.
    fn wrong_of_days(
        &self,
        rows: Rows,
        of: Rows,
        cell: i64,
        roads: &mut Roads,
    ) -> Result<u64, StoreError> {
        if cell >= Sealed::read(&self.db)?.until(rows) {
            return Ok(0);
        }
        let names = Reading { glossary: &self.glossary, db: &self.db };
        let mut expected = sealed(&names, of, Span::Day.within(rows.span(), cell))?;
        if rows.is_of_roads() {
            roads.refresh(&self.db)?;
            expected = roads.fold(expected);
        }
        Ok(differences(&expected, &self.kept(rows, cell)?.1))
    }

    /// What is kept of a cell, live and sealed.
    fn kept(&self, rows: Rows, cell: i64) -> Result<(LaneSums, LaneSums), StoreError> {
        let names = Reading { glossary: &self.glossary, db: &self.db };
        let live = match rows.finer() {
            None => live(&names, cell)?,
            Some(_) => LaneSums::new(),
        };
        Ok((live, sealed(&names, rows, cell..cell + 1)?))
    }
}

static NOTHING: LaneSums = LaneSums::new();

/// How many lanes' sums are not what they should be.
fn differences(expected: &LaneSums, kept: &LaneSums) -> u64 {
    let wrong = expected.iter().filter(|(lane, sum)| kept.get(lane) != Some(sum)).count();
    let surplus = kept.keys().filter(|lane| !expected.contains_key(lane)).count();
    (wrong + surplus) as u64
}

/// How many tags' sums of a day are not what they should be.
fn wrong_tags(expected: TagCells, kept: BTreeMap<NameId, Option<Values>>) -> u64 {
    let expected = expected.tidied();
    let right = |name, values: &Option<Values>| match values {
        Some(values) => expected.get(name) == Some(values),
        None => true,
    };
    let wrong = kept.iter().filter(|(name, values)| !right(name, values)).count();
    (wrong + expected.keys().filter(|name| !kept.contains_key(name)).count()) as u64
}

impl Ledger {
    /// Makes the indexes and all rollups anew. Says how many days those were of.
    pub fn mend(&self) -> Result<u64, StoreError> {
        self.write(|books| {
            for part in schema::missing_parts(&books.db)?.iter().filter(|part| part.is_index) {
                books.db.execute_batch(&part.sql)?;
            }
            Ok(books.db.execute_batch("REINDEX")?)
        })?;
        self.rebuild()
    }

    /// Makes all rollups anew from the receipts, a day at a time, so that recording goes on
    /// in between. Says how many days that were.
    pub fn rebuild(&self) -> Result<u64, StoreError> {
        let days = self.write(|books| days(&books.db))?;
        let count = days.len() as u64;
        let end_ms = days.last().map_or(0, |day| Span::Day.start_ms(day + 1));
        for day in days {
            self.write(move |books| rebuild_day(books, day))?;
        }
        // Sealed from the old cells or the new, while those were made: begin again.
        self.write(|books| Ok(unseal(books)?))?;
        while self.write(move |books| Ok(seal::seal(books, end_ms, SEALED_AT_ONCE)?))?
            == SealsLeft::Some
        {}
        Ok(count)
    }
}

/// Whether there may be sums of this day without their receipts.
fn is_pruned(db: &rusqlite::Connection, day: i64) -> rusqlite::Result<bool> {
    Ok(prune::first_day(db)?.is_some_and(|first| day < first))
}

fn rebuild_day(books: &mut Books, day: i64) -> Result<(), StoreError> {
    if is_pruned(&books.db, day)? {
        return Ok(());
    }
    let cells = sort_into_lanes(books, day)?;
    let quarters = cells.folded(Span::Quarter);
    let sealed = Sealed::read(&books.db)?;
    if day < sealed.tags_until() {
        cells.tags.write(books, day)?;
    }
    let until = sealed.until(Rows::Quarters);
    for quarter in Span::Quarter.within(Span::Day, day) {
        let sums = quarters.get(&quarter).unwrap_or(&NOTHING);
        if quarter < until {
            seal::write(books, Rows::Quarters, quarter, sums)?;
            continue;
        }
        books.db.prepare_cached(seal::FORGET_LIVE)?.execute([quarter, quarter + 1])?;
        for (lane, sum) in sums {
            write_cell(books, quarter, *lane, sum)?;
        }
    }
    Ok(())
}

/// Sums up the tags of the first of these days that has receipts; says up to which all are done.
pub(crate) fn sum_tags_of_next(books: &mut Books, days: Range<i64>) -> Result<i64, UnpackError> {
    let next: Option<i64> = books
        .db
        .prepare_cached(NEXT_RECEIPT)?
        .query_row([first_ordinal(days.start)], |row| row.get(0))?;
    let next = next.map(|ordinal| Span::Day.cell_of(ordinal >> 12));
    let Some(day) = next.filter(|day| days.contains(day)) else { return Ok(days.end) };
    sort_into_lanes(books, day)?.tags.write(books, day)?;
    Ok(day + 1)
}

/// Moves the receipts of a day to the lanes that they belong to by now, and adds them up.
fn sort_into_lanes(books: &mut Books, day: i64) -> Result<Cells, UnpackError> {
    const AT_ONCE: usize = 512;
    let mut cells = Cells::default();
    let mut lanes = Lanes::default();
    lanes.refresh(&books.db)?;
    let (mut from, to) = (first_ordinal(day), first_ordinal(day + 1));
    loop {
        let (mut page, mut rows_read) = (Vec::with_capacity(AT_ONCE), 0);
        {
            let mut rows = books.db.prepare_cached(OF_DAY)?;
            let mut rows = rows.query([from, to])?;
            while let Some(row) = rows.next()?.filter(|_| rows_read < AT_ONCE) {
                (from, rows_read) = (row.get::<_, i64>(0)? + 1, rows_read + 1);
                if let Ok(receipt) = receipt_row::read(row, &books.db, &books.glossary, &lanes) {
                    page.push((row.get::<_, LaneId>(1)?, receipt));
                }
            }
        }
        for (was, receipt) in page {
            let (ordinal, lane) = (receipt.id.ordinal(), books.lane(&receipt)?);
            if lane != was {
                books.db.prepare_cached(settlement::MOVE)?.execute([ordinal, lane])?;
            }
            let tally = Tally::of(&receipt);
            cells.add(ordinal, lane, &tally);
            cells.tags.count(Sign::Plus, &receipt, (lane, &tally), |text| books.name(text))?;
        }
        if rows_read < AT_ONCE {
            return Ok(cells);
        }
    }
}

fn first_ordinal(day: i64) -> i64 {
    Span::Day.start_ms(day) << 12
}

struct Found {
    cells: Cells,
    receipts: u64,
    damaged: u64,
}

fn add_up(names: &Reading<'_>, lanes: &Lanes, day: i64) -> Result<Found, StoreError> {
    let (mut cells, mut receipts, mut damaged) = (Cells::default(), 0, 0);
    let mut rows = names.db.prepare_cached(OF_DAY)?;
    let mut rows = rows.query([first_ordinal(day), first_ordinal(day + 1)])?;
    while let Some(row) = rows.next()? {
        match receipt_row::read(row, names.db, names.glossary, lanes) {
            Ok(receipt) => {
                receipts += 1;
                let (lane, tally) = (row.get(1)?, Tally::of(&receipt));
                cells.add(row.get(0)?, lane, &tally);
                cells.tags.count(Sign::Plus, &receipt, (lane, &tally), |text| {
                    names::find(names.db, text)?.ok_or(StoreError::Damaged)
                })?;
            }
            Err(_) => damaged += 1,
        }
    }
    Ok(Found { cells, receipts, damaged })
}

/// The UTC days that have receipts or rollups, from the first to the last.
fn days(db: &rusqlite::Connection) -> Result<Vec<i64>, StoreError> {
    Ok(ends(db)?.map_or_else(Vec::new, |(first, last)| (first..=last).collect()))
}

pub(crate) fn ends(db: &rusqlite::Connection) -> Result<Option<(i64, i64)>, StoreError> {
    let ends = |row: &rusqlite::Row<'_>| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?));
    let day = |ordinal: i64| Span::Day.cell_of(ordinal >> 12);
    let receipts: Option<(i64, i64)> = db.query_row(DAYS, [], ends)?;
    let receipts = receipts.map(|(first, last)| (day(first), day(last)));
    // Of quarters: days are forgotten and sealed anew by a rebuild, which may be cut short.
    let sealed = db.query_row(ROLLUP_ENDS, seal::places(Rows::Quarters, 0..i64::MAX), ends)?;
    let of_quarter = |cell| Span::Day.cell_of(Span::Quarter.start_ms(cell));
    let sealed = sealed.map(|(first, last)| (of_quarter(first), of_quarter(last)));
    let both = [receipts, sealed];
    let first = both.iter().flatten().map(|(first, _)| *first).min();
    let last = both.iter().flatten().map(|(_, last)| *last).max();
    Ok(first.zip(last))
}

pub(crate) const STALE: &str = "SELECT min(day) FROM rebuild";

/// Whether there are receipts that a migration left to be summed up anew.
pub(crate) fn is_stale(db: &rusqlite::Connection) -> rusqlite::Result<bool> {
    let day: Option<i64> = db.prepare_cached(STALE)?.query_row([], |row| row.get(0))?;
    Ok(day.is_some())
}

/// Does one step of what a migration left to do: makes the sums of a day anew, or seals what
/// is over. A step takes a tenth of a second at most, and is all or nothing.
pub(crate) fn catch_up(books: &mut Books) -> Result<SealsLeft, StoreError> {
    let stale: Option<i64> = books.db.prepare_cached(STALE)?.query_row([], |row| row.get(0))?;
    let Some(stale) = stale else {
        return match seal::seal(books, books.newest_ms, SEALED_AT_ONCE)? {
            SealsLeft::Some => Ok(SealsLeft::Some),
            SealsLeft::None => prune::step(books),
        };
    };
    let next = match ends(&books.db)? {
        Some((first, last)) if stale <= last => {
            let day = stale.max(first);
            rebuild_day(books, day)?;
            Some(day + 1).filter(|next| *next <= last)
        }
        Some(_) | None => None,
    };
    books.db.execute("DELETE FROM rebuild", [])?;
    match next {
        Some(next) => books.db.execute("INSERT INTO rebuild VALUES (?1)", [next]).map(drop)?,
        None => unseal(books)?,
    }
    Ok(SealsLeft::Some)
}
