//! What another ledger has and this one has not: one that was set aside when a copy took its place.
//! The other is read as far as it can be and never written; what it has is recorded here like any
//! receipt, once.

use std::path::Path;

use meter::receipt::{Receipt, Settlement};
use meter::{Money, Timestamp};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row};

use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::names::Glossary;
use crate::pack::UnpackError;
use crate::questions::Questions;
use crate::receipt_row::{self, Lanes};
use crate::rollup::{Cells, Span};
use crate::{prune, schema, settlement};

/// What another ledger has that this one had not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Receipts.
    pub receipts: u64,
    /// When the newest of them began.
    pub newest: Option<Timestamp>,
    /// Later facts about receipts that both have.
    pub settlements: u64,
    /// Receipts of days that were pruned here: sums count them already, so they stay away.
    pub pruned: u64,
    /// Stretches and records of the other ledger that cannot be read.
    pub unreadable: u64,
}

impl Missing {
    /// Whether there is something to record.
    pub const fn is_some(&self) -> bool {
        self.receipts > 0 || self.settlements > 0
    }
}

const FROM: &str =
    "SELECT ordinal, lane, cost, detail FROM receipt WHERE ordinal >= ?1 ORDER BY ordinal";
const NEXT: &str = "SELECT ordinal FROM receipt WHERE ordinal >= ?1 ORDER BY ordinal LIMIT 1";
const HERE: &str = "SELECT 1 FROM receipt WHERE ordinal = ?1";
const RESERVATION: &str = "SELECT amount FROM reservation WHERE ordinal = ?1";
const SETTLED: &str = "SELECT DISTINCT ordinal FROM settlement";
const IS_AWAITED: &str = "SELECT EXISTS (SELECT 1 FROM awaited WHERE ordinal = ?1)";
const NO_LONGER_AWAITED: &str = "DELETE FROM awaited WHERE ordinal = ?1";

/// Receipts handed in before it is waited for: far fewer than there are slots.
const AT_ONCE: u64 = 512;
/// The shortest stretch that is stepped over: a millisecond.
const STEP: i64 = 1 << 12;

/// Something that is not here.
enum News {
    Receipt(Box<Receipt>),
    Facts(Facts),
}

/// Later facts about a receipt that is here.
struct Facts {
    ordinal: i64,
    facts: Vec<Settlement>,
    /// Whether the other ledger waits for no outcome of it any more.
    is_over: bool,
}

impl Questions {
    /// What another ledger has and this one has not.
    ///
    /// # Errors
    /// When the other cannot be opened, or this one not be read.
    pub fn missing(&self, other: &Path) -> Result<Missing, StoreError> {
        compare(self, &Other::open(other)?, |_| Ok(()))
    }
}

impl Ledger {
    /// Records what another ledger has and this one has not; `ours` reads this one.
    ///
    /// # Errors
    /// When the other cannot be opened, or this one not be written. What was recorded by then
    /// stays, and the next time finds what is left.
    pub fn merge(&self, ours: &Questions, other: &Path) -> Result<Missing, StoreError> {
        let (recorder, mut sent) = (self.recorder(), 0_u64);
        let done = compare(ours, &Other::open(other)?, |news| {
            match news {
                News::Receipt(receipt) => {
                    recorder.open(&receipt).finish(*receipt);
                    sent += 1;
                }
                News::Facts(facts) => return self.write(move |books| append(books, facts)),
            }
            if sent.is_multiple_of(AT_ONCE) { self.is_recorded() } else { Ok(()) }
        });
        self.is_recorded()?;
        done
    }

    /// Waits until what was handed in is in the ledger.
    fn is_recorded(&self) -> Result<(), StoreError> {
        self.caught_up()?;
        if self.health().problem.is_some() { Err(StoreError::Unavailable) } else { Ok(()) }
    }
}

fn append(books: &mut crate::books::Books, facts: Facts) -> Result<(), StoreError> {
    for fact in &facts.facts {
        let Some(receipt) = settlement::receipt(books, facts.ordinal)? else { return Ok(()) };
        let mut cells = Cells::default();
        settlement::append(books, receipt, fact, &mut cells)?;
        cells.write(books)?;
    }
    if facts.is_over {
        books.db.execute(NO_LONGER_AWAITED, [facts.ordinal])?;
    }
    Ok(())
}

/// Tells what is missing, receipts first, and counts it.
fn compare(
    ours: &Questions,
    other: &Other,
    mut tell: impl FnMut(News) -> Result<(), StoreError>,
) -> Result<Missing, StoreError> {
    ours.refresh()?;
    let mut missing = Missing::default();
    let first = prune::first_day(&ours.db)?.map_or(0, |day| Span::Day.start_ms(day) << 12);
    let mut damaged = 0;
    let gaps = other.each(|row| {
        let ordinal: i64 = row.get(0)?;
        let here = ours.db.prepare_cached(HERE)?.query_row([ordinal], |_| Ok(())).optional()?;
        if here.is_some() {
            return Ok(());
        }
        if ordinal < first {
            missing.pruned += 1;
            return Ok(());
        }
        match other.receipt(row) {
            Ok(receipt) => {
                missing.receipts += 1;
                missing.newest = missing.newest.max(Some(receipt.started_at));
                tell(News::Receipt(Box::new(receipt)))
            }
            Err(UnpackError::Damaged) => {
                damaged += 1;
                Ok(())
            }
            Err(UnpackError::Sqlite(error)) if is_damage(&error) => {
                damaged += 1;
                Ok(())
            }
            Err(UnpackError::Sqlite(error)) => Err(error.into()),
        }
    })?;
    missing.unreadable = gaps + damaged;
    for facts in other.later_facts(ours, &mut missing.unreadable)? {
        missing.settlements += facts.facts.len() as u64;
        tell(News::Facts(facts))?;
    }
    Ok(missing)
}

/// Another ledger, read as far as it can be.
struct Other {
    db: Connection,
    glossary: Glossary,
    lanes: Lanes,
}

/// How far one reading came.
enum Reach {
    End,
    /// The first ordinal that could not be read.
    Broke(i64),
}

impl Other {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let unsound = |why: String| StoreError::Unsound { path: path.to_owned(), why };
        std::fs::metadata(path).map_err(|why| unsound(why.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags);
        let db = db.map_err(|why| unsound(why.to_string()))?;
        schema::check_current_layout(&db, path)?;
        let mut lanes = Lanes::default();
        lanes.refresh(&db).map_err(|why| unsound(why.to_string()))?;
        Ok(Self { db, glossary: Glossary::default(), lanes })
    }

    /// Shows every row that can be read, oldest first; says how many stretches cannot.
    fn each(
        &self,
        mut visit: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let (mut from, mut gaps) = (0, 0);
        while let Reach::Broke(at) = self.each_from(from, &mut visit)? {
            gaps += 1;
            let Some(next) = self.readable_after(at) else { break };
            from = next;
        }
        Ok(gaps)
    }

    fn each_from(
        &self,
        from: i64,
        visit: &mut impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<Reach, StoreError> {
        let mut next = from;
        let mut find = match self.db.prepare_cached(FROM) {
            Err(error) if is_damage(&error) => return Ok(Reach::Broke(next)),
            find => find?,
        };
        let mut rows = find.query([from])?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(Reach::End),
                Err(error) if is_damage(&error) => return Ok(Reach::Broke(next)),
                Err(error) => return Err(error.into()),
            };
            match row.get::<_, i64>(0)? {
                // Rows of a table lie in order; where they do not, bytes were turned.
                ordinal if ordinal < next => return Ok(Reach::Broke(next)),
                ordinal => next = ordinal.saturating_add(1),
            }
            visit(row)?;
        }
    }

    /// Where reading can go on after a place that it broke at: in steps that double, then back.
    fn readable_after(&self, at: i64) -> Option<i64> {
        let can = |ordinal: i64| {
            let mut find = self.db.prepare_cached(NEXT).ok()?;
            find.query_row([ordinal], |row| row.get::<_, i64>(0)).optional().ok()
        };
        let (mut bad, mut step) = (at, STEP);
        let mut good = loop {
            let next = at.checked_add(step)?;
            if can(next).is_some() {
                break next;
            }
            (bad, step) = (next, step.checked_mul(2)?);
        };
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            if can(middle).is_some() { good = middle } else { bad = middle }
        }
        Some(good)
    }

    /// A row's receipt, whole.
    fn receipt(&self, row: &Row<'_>) -> Result<Receipt, UnpackError> {
        let mut receipt = receipt_row::read(row, &self.db, &self.glossary, &self.lanes)?;
        let mut find = self.db.prepare_cached(RESERVATION)?;
        let reserved = find.query_row([receipt.id.ordinal()], |row| row.get::<_, i128>(0));
        receipt.reserved = reserved.optional()?.map(Money::from_attos);
        Ok(receipt)
    }

    /// Later facts about receipts that both have, which ours has not heard of.
    fn later_facts(
        &self,
        ours: &Questions,
        unreadable: &mut u64,
    ) -> Result<Vec<Facts>, StoreError> {
        let settled = || -> rusqlite::Result<Vec<i64>> {
            self.db.prepare(SETTLED)?.query_map([], |row| row.get(0))?.collect()
        };
        let settled = settled().unwrap_or_else(|_| {
            *unreadable += 1;
            Vec::new()
        });
        let mut later = Vec::new();
        for ordinal in settled {
            // It may have been recorded a moment ago, in a lane that was not there before.
            let here = ours.at_one_instant(|| {
                ours.refresh()?;
                ours.row(ordinal)
            });
            let Some(here) = here? else { continue };
            let mut find = self.db.prepare_cached(receipt_row::ONE)?;
            let there = find.query_row([ordinal], |row| Ok(self.receipt(row)));
            let (Ok(Ok(there)), Ok(awaited)) =
                (there, self.db.query_row(IS_AWAITED, [ordinal], |row| row.get::<_, bool>(0)))
            else {
                *unreadable += 1;
                continue;
            };
            let mut facts = there.settlements;
            facts.retain(|fact| !here.settlements.contains(fact));
            if there.id == here.id && !facts.is_empty() {
                later.push(Facts { ordinal, facts, is_over: !awaited });
            }
        }
        Ok(later)
    }
}

/// Whether the file is what is wrong.
fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | SystemIoFailure))
}
