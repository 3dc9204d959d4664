//! Sealing: once a quarter of an hour, a UTC day, a week or a month is over, the cells of all its
//! lanes become one row, small and quick to read. Until then nobody needs days and weeks, and a
//! receipt costs one cell. What comes late or is corrected later goes into sealed rows.

use std::ops::Range;

use meter::Money;
use rusqlite::{Connection, OptionalExtension, params};

use crate::books::Books;
use crate::lane::LaneId;
use crate::names::Reading;
use crate::pack::{Unpack, UnpackError, Unspell, put, put_money, put_signed};
use crate::rollup::{LaneSums, Span, read_sums};
use crate::tally::{Reads, Sign, Tally};

/// How far each span is sealed: the first cell that is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    quarters: i64,
    days: i64,
    weeks: i64,
    months: i64,
}

pub(crate) const UNTIL: &str = "SELECT until FROM sealed WHERE span = ?1";
const SEAL: &str = "UPDATE sealed SET until = ?2 WHERE span = ?1";
pub(crate) const LIVE: &str = "SELECT start, lane, requests, cost, sums FROM rollup
    WHERE span = 0 AND start >= ?1 AND start < ?2";
pub(crate) const NEXT_LIVE: &str = "SELECT min(start) FROM rollup WHERE span = 0 AND start >= ?1";
pub(crate) const FORGET_LIVE: &str =
    "DELETE FROM rollup WHERE span = 0 AND start >= ?1 AND start < ?2";
pub(crate) const ROWS: &str = "SELECT place & 1099511627775, cells FROM sealed_rollup
    WHERE place >= ?1 AND place < ?2";
pub(crate) const NEXT: &str = "SELECT min(place) & 1099511627775 FROM sealed_rollup
    WHERE place >= ?1 AND place < ?2";
const WRITE: &str = "INSERT OR REPLACE INTO sealed_rollup (place, cells) VALUES (?1, ?2)";
pub(crate) const FORGET: &str = "DELETE FROM sealed_rollup WHERE place >= ?1 AND place < ?2";

/// Most requests end within this time, so that sealed rows are seldom written again.
const GRACE_MS: i64 = 5 * 60 * 1000;

/// After every cell of a time that a receipt's id can name.
const LAST_CELL: i64 = 1 << 40;

/// The first place of a range of cells, and the first after it. What lies before 1970, where
/// nothing is, shares the place of the first cell.
pub(crate) fn places(span: Span, cells: Range<i64>) -> [i64; 2] {
    let first = i64::from(span.code()) << 40;
    [cells.start, cells.end].map(|cell| first + cell.clamp(0, LAST_CELL))
}

/// Whether there is more to seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealsLeft {
    /// There may be.
    Some,
    /// All that is over is sealed.
    None,
}

impl Sealed {
    /// Reads it with the cells it speaks of, that is in one transaction.
    pub(crate) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let until =
            |span: Span| db.prepare_cached(UNTIL)?.query_row([span.code()], |row| row.get(0));
        Ok(Self {
            quarters: until(Span::Quarter)?,
            days: until(Span::Day)?,
            weeks: until(Span::Week)?,
            months: until(Span::Month)?,
        })
    }

    /// The first cell of a span that is not sealed.
    pub(crate) fn until(&self, span: Span) -> i64 {
        match span {
            Span::Quarter => self.quarters,
            Span::Day => self.days,
            Span::Week => self.weeks,
            Span::Month => self.months,
        }
    }
}

/// Seals up to so many cells that were over at `now_ms`, the finest first.
pub(crate) fn seal(books: &mut Books, now_ms: i64, most: usize) -> Result<SealsLeft, UnpackError> {
    let mut left = most;
    for span in Span::ALL {
        let sealed = Sealed::read(&books.db)?;
        let finer_until_ms =
            span.finer().map_or(now_ms - GRACE_MS, |finer| finer.start_ms(sealed.until(finer)));
        let before = sealed.until(span);
        let end = span.cell_of(finer_until_ms);
        let mut until = before;
        while until < end && left > 0 {
            until = seal_next(books, span, until..end)?;
            left = left.saturating_sub(work_of(span));
        }
        if until != before {
            books.db.prepare_cached(SEAL)?.execute(params![span.code(), until])?;
        }
    }
    Ok(if left == 0 { SealsLeft::Some } else { SealsLeft::None })
}

/// How many times the work of a quarter it is to seal a cell.
const fn work_of(span: Span) -> usize {
    match span {
        Span::Quarter => 1,
        Span::Day | Span::Week => 4,
        Span::Month => 25,
    }
}

/// Seals the first of these cells that anything happened in; says up to which all are done.
fn seal_next(books: &mut Books, span: Span, cells: Range<i64>) -> Result<i64, UnpackError> {
    let finer = span.finer();
    let next: Option<i64> = match finer {
        None => books.db.prepare_cached(NEXT_LIVE)?.query_row([cells.start], |row| row.get(0))?,
        Some(finer) => {
            let from = finer.cell_of(span.start_ms(cells.start));
            let rest = places(finer, from..LAST_CELL);
            let next: Option<i64> =
                books.db.prepare_cached(NEXT)?.query_row(rest, |row| row.get(0))?;
            next.map(|next| span.cell_of(finer.start_ms(next)))
        }
    };
    let Some(cell) = next.filter(|next| cells.contains(next)) else { return Ok(cells.end) };
    let names = Reading { glossary: &books.glossary, db: &books.db };
    let sums = match finer {
        None => live(&names, cell)?,
        Some(finer) => sealed(&names, finer, finer.within(span, cell))?,
    };
    write(books, span, cell, &sums)?;
    if finer.is_none() {
        books.db.prepare_cached(FORGET_LIVE)?.execute([cell, cell + 1])?;
    }
    Ok(cell + 1)
}

/// The cells of a quarter that is not sealed. One that cannot be read is left out, as in
/// every sum; `verify` finds it.
pub(crate) fn live(names: &Reading<'_>, quarter: i64) -> Result<LaneSums, UnpackError> {
    let mut rows = names.db.prepare_cached(LIVE)?;
    let mut rows = rows.query([quarter, quarter + 1])?;
    let mut sums = LaneSums::new();
    while let Some(row) = rows.next()? {
        let packed = row.get_ref(4)?.as_blob().map_err(|_| UnpackError::Damaged)?;
        match read_sums(row.get(2)?, row.get(3)?, packed, names) {
            Ok(tally) => drop(sums.insert(row.get(1)?, tally)),
            Err(UnpackError::Damaged) => {}
            Err(error @ UnpackError::Sqlite(_)) => return Err(error),
        }
    }
    Ok(sums)
}

/// What sealed cells come to, by lane.
pub(crate) fn sealed(
    names: &Reading<'_>,
    span: Span,
    cells: Range<i64>,
) -> Result<LaneSums, UnpackError> {
    let mut rows = names.db.prepare_cached(ROWS)?;
    let mut rows = rows.query(places(span, cells))?;
    let mut sums = LaneSums::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob().map_err(|_| UnpackError::Damaged)?;
        match add_row(&mut sums, bytes, names) {
            Ok(()) | Err(UnpackError::Damaged) => {}
            Err(error @ UnpackError::Sqlite(_)) => return Err(error),
        }
    }
    Ok(sums)
}

/// Adds the cells of one sealed row.
pub(crate) fn add_row(
    sums: &mut LaneSums,
    bytes: &[u8],
    names: &impl Unspell,
) -> Result<(), UnpackError> {
    let mut cells = SealedCells::new(bytes);
    while let Some((lane, mut cell)) = cells.next()? {
        let counted = (cell.requests, cell.cost);
        sums.entry(lane).or_default().add_packed(
            (Sign::Plus, Reads::All),
            counted,
            &mut cell.sums,
            names,
        )?;
    }
    Ok(())
}

/// Merges corrections into a cell that is sealed.
pub(crate) fn correct(
    books: &mut Books,
    span: Span,
    cell: i64,
    mut sums: LaneSums,
) -> rusqlite::Result<()> {
    let names = Reading { glossary: &books.glossary, db: &books.db };
    let before: Option<Vec<u8>> = {
        let mut find = books.db.prepare_cached(ROWS)?;
        find.query_row(places(span, cell..cell + 1), |row| row.get(1)).optional()?
    };
    if let Some(bytes) = before {
        match add_row(&mut sums, &bytes, &names) {
            Ok(()) | Err(UnpackError::Damaged) => {}
            Err(UnpackError::Sqlite(error)) => return Err(error),
        }
        sums.values_mut().for_each(Tally::tidy);
    }
    write(books, span, cell, &sums)
}

/// Writes a sealed row, or removes one that is empty.
pub(crate) fn write(
    books: &mut Books,
    span: Span,
    cell: i64,
    sums: &LaneSums,
) -> rusqlite::Result<()> {
    let mut cells = Vec::with_capacity(sums.len() * 48);
    let (mut last, mut packed) = (0, Vec::with_capacity(128));
    for (lane, sum) in sums.iter().filter(|(_, sum)| !sum.is_empty()) {
        packed.clear();
        put_signed(&mut packed, sum.requests.into());
        put_money(&mut packed, Money::from_attos(sum.cost));
        sum.put(&mut packed, &mut books.interning())?;
        put_signed(&mut cells, (lane - last).into());
        put(&mut cells, packed.len() as u64);
        cells.extend_from_slice(&packed);
        last = *lane;
    }
    if cells.is_empty() {
        books.db.prepare_cached(FORGET)?.execute(places(span, cell..cell + 1))?;
    } else {
        let [place, _] = places(span, cell..cell + 1);
        books.db.prepare_cached(WRITE)?.execute(params![place, cells])?;
    }
    Ok(())
}

/// Forgets sealed days, weeks and months, so that they are made anew.
pub(crate) fn unseal(books: &mut Books) -> rusqlite::Result<()> {
    for span in [Span::Day, Span::Week, Span::Month] {
        books.db.prepare_cached(FORGET)?.execute(places(span, 0..LAST_CELL))?;
        books.db.prepare_cached(SEAL)?.execute(params![span.code(), 0])?;
    }
    Ok(())
}

/// The cells of one sealed row, one lane after another.
pub(crate) struct SealedCells<'a> {
    rest: Unpack<'a>,
    last: LaneId,
}

/// What one lane came to, still packed.
pub(crate) struct SealedCell<'a> {
    pub(crate) requests: i64,
    pub(crate) cost: i128,
    pub(crate) sums: Unpack<'a>,
}

impl<'a> SealedCells<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: Unpack::new(bytes), last: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<Option<(LaneId, SealedCell<'a>)>, UnpackError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let further = self.rest.signed_millis()?;
        self.last = self.last.checked_add(further).ok_or(UnpackError::Damaged)?;
        let len = self.rest.take()?;
        let mut sums = Unpack::new(self.rest.bytes(len)?);
        let (requests, cost) = (sums.signed_millis()?, sums.money()?.attos());
        Ok(Some((self.last, SealedCell { requests, cost, sums })))
    }
}
