//! Questions about receipts, over a read-only connection of their own. They neither wait
//! for the writer nor make it wait, and need no running process.

use std::cell::{Ref, RefCell};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use meter::receipt::Receipt;
use meter::{Money, ReceiptId};
use rusqlite::{Connection, OptionalExtension};

use crate::displaced::FileId;
use crate::error::StoreError;
use crate::filter::{Filter, Selection};
use crate::names::Glossary;
use crate::receipt_row::{self, Lanes};
use crate::schema;
use crate::standing::Standing;
use crate::walk::{self, Direction};

/// Asks the ledger of a home. Not shared between threads: each opens its own.
pub struct Questions {
    pub(crate) db: Connection,
    pub(crate) glossary: Glossary,
    lanes: RefCell<Lanes>,
    place: PathBuf,
    /// The file that is read. Absent: there was none.
    file: Option<FileId>,
}

/// What budgets have set aside for a call whose cost nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Its model, if one is known.
    pub model: Option<Box<str>>,
    /// In US dollars.
    pub amount: Money,
}

/// How far somebody has followed the receipts that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival(i64);

impl Arrival {
    pub(crate) const fn of_seq(seq: i64) -> Self {
        Self(seq)
    }

    pub(crate) const fn seq(self) -> i64 {
        self.0
    }
}

/// Receipts read at a time when a question has no limit.
const PAGE: usize = 512;

pub(crate) const ARRIVED: &str =
    "SELECT seq, ordinal FROM arrival WHERE seq > ?1 ORDER BY seq LIMIT ?2";
pub(crate) const RESERVED: &str =
    "SELECT ordinal, amount FROM reservation WHERE ordinal >= ?1 AND ordinal < ?2";
pub(crate) const LAST_ARRIVAL: &str = "SELECT max(seq) FROM arrival";

impl Questions {
    /// Opens the ledger of a home for reading. Where there is none yet, every answer is
    /// empty, also later: open again once there is one.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        let place = home.join(schema::FILE);
        let file = FileId::at(&place);
        let db = schema::open_for_reading(home)?;
        let file = file.filter(|_| db.path().is_some_and(|path| !path.is_empty()));
        Ok(Self { db, glossary: Glossary::default(), lanes: RefCell::default(), place, file })
    }

    /// Whether the file that is read still stands in its place. Else open again: it was deleted,
    /// replaced, or made since.
    pub fn is_in_place(&self) -> bool {
        self.file == FileId::at(&self.place)
    }

    /// One receipt with its settlements.
    pub fn receipt(&self, id: ReceiptId) -> Result<Option<Receipt>, StoreError> {
        self.at_one_instant(|| {
            self.refresh()?;
            Ok(self.row(id.ordinal())?.filter(|receipt| receipt.id == id))
        })
    }

    /// The newest receipts of a filter, newest first; with `before`, those older than it.
    pub fn requests(
        &self,
        filter: &Filter,
        before: Option<ReceiptId>,
        limit: usize,
    ) -> Result<Vec<Receipt>, StoreError> {
        self.at_one_instant(|| {
            let mut selection = self.select(filter)?;
            if let Some(before) = before {
                selection.to = selection.to.min(before.ordinal());
            }
            self.page(&selection, Direction::NewestFirst, limit)
        })
    }

    /// The oldest receipts of a filter, oldest first; with `after`, those newer than it. To
    /// follow what comes in, see [`Self::arrived`].
    pub fn requests_after(
        &self,
        filter: &Filter,
        after: Option<ReceiptId>,
        limit: usize,
    ) -> Result<Vec<Receipt>, StoreError> {
        self.at_one_instant(|| {
            let mut selection = self.select(filter)?;
            if let Some(after) = after {
                selection.from = selection.from.max(after.ordinal() + 1);
            }
            self.page(&selection, Direction::OldestFirst, limit)
        })
    }

    /// Shows every receipt of a filter to the visitor, oldest first, in constant memory.
    /// Never holds the ledger for longer than a page, whatever the visitor does.
    pub fn each(
        &self,
        filter: &Filter,
        mut visit: impl FnMut(Receipt) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut from = 0;
        loop {
            let page = self.at_one_instant(|| {
                let mut selection = self.select(filter)?;
                selection.from = selection.from.max(from);
                self.page(&selection, Direction::OldestFirst, PAGE)
            })?;
            let full = page.len() == PAGE;
            for receipt in page {
                from = receipt.id.ordinal() + 1;
                if visit(receipt).is_break() {
                    return Ok(());
                }
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Calls of a filter whose cost nobody knows and for which budgets have set something
    /// aside.
    pub fn reserved(&self, filter: &Filter) -> Result<Vec<Reserved>, StoreError> {
        self.at_one_instant(|| {
            let mut selection = self.select(filter)?;
            let mut find = self.db.prepare_cached(RESERVED)?;
            let rows = find.query_map([selection.from, selection.to], |row| {
                Ok((row.get(0)?, row.get::<_, i128>(1)?))
            })?;
            let rows: Vec<(i64, i128)> = rows.collect::<Result<_, _>>()?;
            let mut found = Vec::new();
            for (ordinal, attos) in rows {
                (selection.from, selection.to) = (ordinal, ordinal + 1);
                let receipts = self.page(&selection, Direction::OldestFirst, 1)?;
                let unknown = receipts.into_iter().find(|one| Standing::of(one).cost.is_none());
                found.extend(unknown.map(|receipt| Reserved {
                    model: receipt.model.or(receipt.model_requested),
                    amount: Money::from_attos(attos),
                }));
            }
            Ok(found)
        })
    }

    /// Where somebody begins who wants to hear of receipts that come in from now on.
    pub fn last_arrival(&self) -> Result<Arrival, StoreError> {
        let last: Option<i64> =
            self.db.prepare_cached(LAST_ARRIVAL)?.query_row([], |row| row.get(0))?;
        Ok(Arrival(last.unwrap_or(0)))
    }

    /// The receipts of a filter that came in after `since`, in the order they came, and how
    /// far that is. Ids tell when a request began, so only this finds the long ones that
    /// ended late. Looks at up to `limit` arrivals; the ledger remembers the last 10,000.
    pub fn arrived(
        &self,
        filter: &Filter,
        since: Arrival,
        limit: usize,
    ) -> Result<(Vec<Receipt>, Arrival), StoreError> {
        self.at_one_instant(|| {
            let mut selection = self.select(filter)?;
            let mut find = self.db.prepare_cached(ARRIVED)?;
            let rows =
                find.query_map([since.0, limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
            let last = rows.last().map_or(since, |(seq, _)| Arrival(*seq));
            let mut receipts = Vec::new();
            // Nothing that ever came in fits: then nothing of this did.
            let rows = if selection.lanes.is_empty() { Vec::new() } else { rows };
            for (_, ordinal) in rows {
                let (from, to) = (selection.from, selection.to);
                if (from..to).contains(&ordinal) {
                    (selection.from, selection.to) = (ordinal, ordinal + 1);
                    receipts.extend(self.page(&selection, Direction::OldestFirst, 1)?);
                    (selection.from, selection.to) = (from, to);
                }
            }
            Ok((receipts, last))
        })
    }

    /// Answers several questions from one state of the ledger. Receipts that come in
    /// meanwhile are recorded, but the ledger's write-ahead log grows until this returns.
    pub fn at_one_instant<T, E: From<StoreError>>(
        &self,
        ask: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.db.is_autocommit() {
            return ask();
        }
        // Rolled back when dropped: there is nothing to commit.
        let _reading = self.db.unchecked_transaction().map_err(StoreError::from)?;
        ask()
    }

    pub(crate) fn select(&self, filter: &Filter) -> Result<Selection, StoreError> {
        self.refresh()?;
        Ok(Selection::of(filter, &self.db, &self.lanes())?)
    }

    pub(crate) fn lanes(&self) -> Ref<'_, Lanes> {
        self.lanes.borrow()
    }

    pub(crate) fn refresh(&self) -> Result<(), StoreError> {
        Ok(self.lanes.borrow_mut().refresh_shown(&self.db)?)
    }

    pub(crate) fn page(
        &self,
        selection: &Selection,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Receipt>, StoreError> {
        let ordinals = walk::page(&self.db, selection, direction, limit)?;
        let mut receipts = Vec::with_capacity(ordinals.len());
        for ordinal in ordinals {
            receipts.extend(self.row(ordinal)?);
        }
        if !selection.ids.is_empty() {
            receipts.retain(|receipt| selection.ids.contains(&receipt.id));
        }
        Ok(receipts)
    }

    pub(crate) fn row(&self, ordinal: i64) -> Result<Option<Receipt>, StoreError> {
        let lanes = self.lanes();
        let mut find = self.db.prepare_cached(receipt_row::ONE)?;
        let found = find.query_row([ordinal], |row| {
            Ok(receipt_row::read(row, &self.db, &self.glossary, &lanes))
        });
        Ok(found.optional()?.transpose()?)
    }
}
