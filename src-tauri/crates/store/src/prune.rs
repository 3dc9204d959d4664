//! Old receipts go, their sums stay. Where pruning ends is written down first; then the writer
//! removes a few hundred receipts a transaction whenever nobody waits, also after a crash, and
//! gives their pages back to the disk the same way.

use meter::Timestamp;
use rusqlite::{Connection, params};

use crate::books::{Books, SEALED_AT_ONCE};
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::names::Glossary;
use crate::pack::UnpackError;
use crate::questions::Questions;
use crate::receipt_row::{self, Lanes};
use crate::rollup::Span;
use crate::seal::{Rows, Sealed, SealsLeft};
use crate::standing::Standing;
use crate::{names, seal, upkeep};

/// The youngest receipts always stay: budgets, alerts and jobs that are still awaited ask for
/// those of a month, whatever zone it is counted in.
const KEPT_DAYS: i64 = 33;
/// Receipts removed in one transaction; each touches a page of the index by lane.
const AT_ONCE: i64 = 400;
/// Pages given back in one transaction.
const PAGES_AT_ONCE: i64 = 256;

pub(crate) const PRUNED: &str = "SELECT max(day) FROM pruned";
pub(crate) const OLDEST: &str = "SELECT ordinal, lane, cost, detail FROM receipt
    WHERE ordinal < ?1
    AND NOT EXISTS (SELECT 1 FROM reservation WHERE reservation.ordinal = receipt.ordinal)
    ORDER BY ordinal LIMIT ?2";
/// A receipt whose cost nobody knows stays with what budgets set aside for it: a total counts it.
pub(crate) const RESERVED: &str = "SELECT receipt.ordinal, lane, cost, detail
    FROM reservation CROSS JOIN receipt USING (ordinal) WHERE reservation.ordinal < ?1";
const ANY_BEFORE: &str = "SELECT EXISTS (SELECT 1 FROM receipt WHERE ordinal < ?1)";
const AWAITED: &str = "SELECT count(*) FROM awaited WHERE ordinal >= ?1 AND ordinal < ?2";
const FORGET_AWAITED: &str = "DELETE FROM awaited WHERE ordinal < ?1";
pub(crate) const FORGET_RESERVATION: &str = "DELETE FROM reservation WHERE ordinal = ?1";
pub(crate) const REMOVE: [&str; 2] =
    ["DELETE FROM settlement WHERE ordinal = ?1", "DELETE FROM receipt WHERE ordinal = ?1"];
pub(crate) const REMOVE_TAG: &str =
    "DELETE FROM tag WHERE name = ?1 AND value = ?2 AND ordinal = ?3";
const FREE_PAGES: &str = "PRAGMA freelist_count";

/// The first UTC day of which receipts are kept, if older ones were pruned.
pub(crate) fn first_day(db: &Connection) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached(PRUNED)?.query_row([], |row| row.get(0))
}

/// The first ordinal of a UTC day.
fn first_ordinal(day: i64) -> i64 {
    Span::Day.start_ms(day) << 12
}

/// The UTC day that pruning before this instant ends at.
fn end(db: &Connection, before: Timestamp, now: Timestamp) -> Result<i64, StoreError> {
    let day = Span::Day.cell_of(before.millis());
    let last = Span::Day.cell_of(now.millis()) - KEPT_DAYS;
    if day > last {
        let latest = Timestamp::from_millis(Span::Day.start_ms(last));
        return Err(StoreError::TooYoungToPrune { latest });
    }
    // Providers forget a job long before two months are over.
    let since = first_ordinal(Span::Day.cell_of(now.millis()) - 60);
    let awaited: i64 = db.query_row(AWAITED, [since, first_ordinal(day)], |row| row.get(0))?;
    if awaited > 0 {
        return Err(StoreError::StillAwaited { jobs: awaited.unsigned_abs() });
    }
    Ok(day)
}

/// Sums that are still being made need the receipts they are made of.
fn is_summed_up(db: &Connection, day: i64) -> Result<(), StoreError> {
    let stale: Option<i64> = db.prepare_cached(upkeep::STALE)?.query_row([], |row| row.get(0))?;
    let has_some = db.query_row(ANY_BEFORE, [first_ordinal(day)], |row| row.get::<_, bool>(0))?;
    let sealed = Sealed::read(db)?;
    let until = sealed.until(Rows::Days).min(sealed.tags_until());
    if has_some && (stale.is_some() || until < day) {
        return Err(StoreError::NotSummedUp);
    }
    Ok(())
}

/// What [`Ledger::prune`] would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prunable {
    /// Before which instant receipts go.
    pub before: Timestamp,
    /// How many those are.
    pub receipts: u64,
    /// How many of that time stay: nobody knows their cost, and budgets count what was set aside.
    pub kept: u64,
}

/// What was set aside for receipts from before an ordinal.
#[derive(Default)]
struct Reservations {
    /// Those that count, for nobody knows the cost.
    counting: u64,
    /// Those of receipts whose cost is known by now, or that cannot be read.
    over: Vec<i64>,
}

fn reservations(
    db: &Connection,
    glossary: &Glossary,
    end: i64,
) -> Result<Reservations, StoreError> {
    let mut lanes = Lanes::default();
    lanes.refresh(db)?;
    let mut found = Reservations::default();
    let mut rows = db.prepare_cached(RESERVED)?;
    let mut rows = rows.query([end])?;
    while let Some(row) = rows.next()? {
        match receipt_row::read(row, db, glossary, &lanes) {
            Ok(receipt) if Standing::of(&receipt).cost.is_none() => found.counting += 1,
            Ok(_) | Err(UnpackError::Damaged) => found.over.push(row.get(0)?),
            Err(error @ UnpackError::Sqlite(_)) => return Err(error.into()),
        }
    }
    Ok(found)
}

impl Questions {
    /// Before which instant receipts were pruned, if any were.
    pub fn pruned_before(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(first_day(&self.db)?.map(|day| Timestamp::from_millis(Span::Day.start_ms(day))))
    }

    /// Receipts from before [`Self::pruned_before`] that are there all the same: nobody knows
    /// their cost, or they came in later than that.
    pub fn kept_in_pruned_time(&self) -> Result<u64, StoreError> {
        let Some(day) = first_day(&self.db)? else { return Ok(0) };
        Ok(count_before(&self.db, first_ordinal(day))?)
    }

    /// What [`Ledger::prune`] would remove.
    ///
    /// # Errors
    /// Those that pruning has.
    pub fn prunable(&self, before: Timestamp, now: Timestamp) -> Result<Prunable, StoreError> {
        let day = end(&self.db, before, now)?;
        let count = count_before(&self.db, first_ordinal(day))?;
        let kept = reservations(&self.db, &self.glossary, first_ordinal(day))?.counting;
        let before = Timestamp::from_millis(Span::Day.start_ms(day));
        Ok(Prunable { before, receipts: count.saturating_sub(kept), kept })
    }
}

fn count_before(db: &Connection, end: i64) -> rusqlite::Result<u64> {
    const COUNT: &str = "SELECT count(*) FROM receipt WHERE ordinal < ?1";
    db.query_row(COUNT, [end], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

impl Ledger {
    /// Removes receipts from before an instant, whole UTC days of them, a few hundred at a time,
    /// and gives their space back; says before which instant. Sums stay as they are, and so do
    /// receipts of unknown cost that budgets have set something aside for. Receipts are recorded
    /// in between, and what a crash leaves undone the next start does.
    ///
    /// # Errors
    /// When they are too young, not summed up, or belong to jobs that are still awaited.
    pub fn prune(&self, before: Timestamp, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.prune_while(before, now, || true)
    }

    /// The same for as long as it is wanted. Once the first transaction is done the next start
    /// does what is left.
    ///
    /// # Errors
    /// Those of [`Self::prune`].
    pub fn prune_while(
        &self,
        before: Timestamp,
        now: Timestamp,
        go_on: impl Fn() -> bool,
    ) -> Result<Timestamp, StoreError> {
        while go_on() && self.write(upkeep::catch_up)? == SealsLeft::Some {}
        // Where nothing came in since, nothing has sealed the last days.
        let day = self.write(move |books| end(&books.db, before, now))?;
        let over_ms = Span::Day.start_ms(day + 1);
        while go_on()
            && self.write(move |books| Ok(seal::seal(books, over_ms, SEALED_AT_ONCE)?))?
                == SealsLeft::Some
        {}
        let day = self.write(move |books| {
            let day = end(&books.db, before, now)?.max(first_day(&books.db)?.unwrap_or(0));
            is_summed_up(&books.db, day)?;
            books.db.execute("DELETE FROM pruned", [])?;
            books.db.execute("INSERT INTO pruned VALUES (?1)", [day])?;
            books.db.execute(FORGET_AWAITED, [first_ordinal(day)])?;
            for ordinal in reservations(&books.db, &books.glossary, first_ordinal(day))?.over {
                books.db.prepare_cached(FORGET_RESERVATION)?.execute([ordinal])?;
            }
            Ok(day)
        })?;
        while go_on() && self.write(step)? == SealsLeft::Some {}
        Ok(Timestamp::from_millis(Span::Day.start_ms(day)))
    }
}

/// Removes some of what is to be removed, or gives some space back.
pub(crate) fn step(books: &mut Books) -> Result<SealsLeft, StoreError> {
    let Some(day) = first_day(&books.db)? else { return Ok(SealsLeft::None) };
    if remove_some(books, first_ordinal(day))? > 0 {
        return Ok(SealsLeft::Some);
    }
    let free: i64 = books.db.query_row(FREE_PAGES, [], |row| row.get(0))?;
    if free == 0 {
        return Ok(SealsLeft::None);
    }
    // Each row that it is asked for is one page.
    let mut vacuum = books.db.prepare(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    drop(pages);
    drop(vacuum);
    let left: i64 = books.db.query_row(FREE_PAGES, [], |row| row.get(0))?;
    // A file that cannot shrink is left as it is.
    Ok(if left < free && left > 0 { SealsLeft::Some } else { SealsLeft::None })
}

/// Says how many receipts that were.
fn remove_some(books: &Books, end: i64) -> Result<usize, StoreError> {
    let mut lanes = Lanes::default();
    lanes.refresh(&books.db)?;
    let mut old = Vec::new();
    {
        let mut rows = books.db.prepare_cached(OLDEST)?;
        let mut rows = rows.query([end, AT_ONCE])?;
        while let Some(row) = rows.next()? {
            let tags = match receipt_row::read(row, &books.db, &books.glossary, &lanes) {
                Ok(receipt) => receipt.tags,
                // Its tags lead nowhere from now on, which every list knows how to take.
                Err(UnpackError::Damaged) => Default::default(),
                Err(error @ UnpackError::Sqlite(_)) => return Err(error.into()),
            };
            old.push((row.get::<_, i64>(0)?, tags));
        }
    }
    for (ordinal, tags) in &old {
        for (name, value) in tags {
            let found = (names::find(&books.db, name)?, names::find(&books.db, value)?);
            if let (Some(name), Some(value)) = found {
                books.db.prepare_cached(REMOVE_TAG)?.execute(params![name, value, ordinal])?;
            }
        }
        for sql in REMOVE {
            books.db.prepare_cached(sql)?.execute([ordinal])?;
        }
    }
    Ok(old.len())
}
