//! Sealing: once a quarter of an hour, a UTC day, a week or a month is over, the cells of all its
//! lanes become one row, small and quick to read. Until then nobody needs days and weeks, and a
//! receipt costs one cell. What comes late or is corrected later goes into sealed rows. Days and
//! longer are sealed twice: by lane, and by road for the many questions that tell no lanes apart.

use std::ops::Range;

use meter::Money;
use rusqlite::{Connection, OptionalExtension, params};

use crate::books::Books;
use crate::lane::LaneId;
use crate::names::Reading;
use crate::pack::{Unpack, UnpackError, Unspell, put, put_money, put_signed};
use crate::rollup::{LaneSums, Span, read_sums};
use crate::tally::{Reads, Sign, Tally};
use crate::upkeep;

/// Sealed rows of one sort: how long a cell is, and what it tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Quarters,
    Days,
    Weeks,
    Months,
    DaysOfRoads,
    WeeksOfRoads,
    MonthsOfRoads,
}

impl Rows {
    /// Each after what it is made of.
    pub(crate) const ALL: [Self; 7] = [
        Self::Quarters,
        Self::Days,
        Self::Weeks,
        Self::Months,
        Self::DaysOfRoads,
        Self::WeeksOfRoads,
        Self::MonthsOfRoads,
    ];

    /// The number on disk.
    const fn code(self) -> u8 {
        match self {
            Self::Quarters => 0,
            Self::Days => 1,
            Self::Weeks => 3,
            Self::Months => 4,
            Self::DaysOfRoads => 5,
            Self::WeeksOfRoads => 6,
            Self::MonthsOfRoads => 7,
        }
    }

    /// How long a cell is.
    pub(crate) const fn span(self) -> Span {
        match self {
            Self::Quarters => Span::Quarter,
            Self::Days | Self::DaysOfRoads => Span::Day,
            Self::Weeks | Self::WeeksOfRoads => Span::Week,
            Self::Months | Self::MonthsOfRoads => Span::Month,
        }
    }

    /// What these are made of; quarters are made of receipts.
    pub(crate) const fn finer(self) -> Option<Self> {
        match self {
            Self::Quarters => None,
            Self::Days => Some(Self::Quarters),
            Self::Weeks | Self::Months | Self::DaysOfRoads => Some(Self::Days),
            Self::WeeksOfRoads | Self::MonthsOfRoads => Some(Self::DaysOfRoads),
        }
    }

    /// Whether lanes of a road are one.
    pub(crate) const fn is_of_roads(self) -> bool {
        match self {
            Self::Quarters | Self::Days | Self::Weeks | Self::Months => false,
            Self::DaysOfRoads | Self::WeeksOfRoads | Self::MonthsOfRoads => true,
        }
    }

    /// How many times the work of a quarter it is to seal a cell.
    const fn work(self) -> usize {
        match self {
            Self::Quarters => 1,
            Self::Days | Self::Weeks | Self::DaysOfRoads | Self::WeeksOfRoads => 4,
            Self::MonthsOfRoads => 10,
            Self::Months => 25,
        }
    }
}

/// How far each sort is sealed: the first cell that is not, by its number on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    until: [i64; 9],
}

pub(crate) const UNTIL: &str = "SELECT span, until FROM sealed WHERE span >= 0";
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

/// Stands beside the codes of [`Rows`]: how far the values of tags are summed up, in days.
const TAGS: u8 = 8;
/// Summing up the tags of a day reads its receipts.
const WORK_OF_TAGS: usize = 100;

/// Most requests end within this time, so that sealed rows are seldom written again.
const GRACE_MS: i64 = 5 * 60 * 1000;

/// After every cell of a time that a receipt's id can name.
const LAST_CELL: i64 = 1 << 40;

/// The first place of a range of cells, and the first after it. What lies before 1970, where
/// nothing is, shares the place of the first cell.
pub(crate) fn places(rows: Rows, cells: Range<i64>) -> [i64; 2] {
    let first = i64::from(rows.code()) << 40;
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
        let mut sealed = Self::default();
        let mut rows = db.prepare_cached(UNTIL)?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(until) = sealed.until.get_mut(usize::from(row.get::<_, u8>(0)?)) {
                *until = row.get(1)?;
            }
        }
        Ok(sealed)
    }

    /// The first UTC day that the values of tags are not summed up of.
    pub(crate) fn tags_until(&self) -> i64 {
        self.until[usize::from(TAGS)]
    }

    /// The first cell that is not sealed.
    pub(crate) fn until(&self, rows: Rows) -> i64 {
        self.until[usize::from(rows.code())]
    }
}

/// Seals up to so many cells that were over at `now_ms`, the finest first.
pub(crate) fn seal(books: &mut Books, now_ms: i64, most: usize) -> Result<SealsLeft, UnpackError> {
    let mut left = most;
    for rows in Rows::ALL {
        let sealed = Sealed::read(&books.db)?;
        let finer_until_ms = rows
            .finer()
            .map_or(now_ms - GRACE_MS, |finer| finer.span().start_ms(sealed.until(finer)));
        let before = sealed.until(rows);
        let end = rows.span().cell_of(finer_until_ms);
        let mut until = before;
        while until < end && left > 0 {
            until = seal_next(books, rows, until..end)?;
            left = left.saturating_sub(rows.work());
        }
        if until != before {
            books.db.prepare_cached(SEAL)?.execute(params![rows.code(), until])?;
        }
    }
    // Receipts that are still to move to their lanes are summed up by tag as they do.
    if upkeep::is_stale(&books.db)? {
        return Ok(if left == 0 { SealsLeft::Some } else { SealsLeft::None });
    }
    let sealed = Sealed::read(&books.db)?;
    let (mut until, end) = (sealed.tags_until(), sealed.until(Rows::Days));
    while until < end && left > 0 {
        until = upkeep::sum_tags_of_next(books, until..end)?;
        left = left.saturating_sub(WORK_OF_TAGS);
    }
    if until != sealed.tags_until() {
        books.db.prepare_cached(SEAL)?.execute(params![TAGS, until])?;
    }
    Ok(if left == 0 { SealsLeft::Some } else { SealsLeft::None })
}

/// Seals the first of these cells that anything happened in; says up to which all are done.
fn seal_next(books: &mut Books, rows: Rows, cells: Range<i64>) -> Result<i64, UnpackError> {
    let (span, finer) = (rows.span(), rows.finer());
    let next: Option<i64> = match finer {
        None => books.db.prepare_cached(NEXT_LIVE)?.query_row([cells.start], |row| row.get(0))?,
        Some(finer) => {
            let from = finer.span().cell_of(span.start_ms(cells.start));
            let rest = places(finer, from..LAST_CELL);
            let next: Option<i64> =
                books.db.prepare_cached(NEXT)?.query_row(rest, |row| row.get(0))?;
            next.map(|next| span.cell_of(finer.span().start_ms(next)))
        }
    };
    let Some(cell) = next.filter(|next| cells.contains(next)) else { return Ok(cells.end) };
    let names = Reading { glossary: &books.glossary, db: &books.db };
    let sums = match finer {
        None => live(&names, cell)?,
        Some(finer) => sealed(&names, finer, finer.span().within(span, cell))?,
    };
    let sums = if rows.is_of_roads() { books.by_road(sums)? } else { sums };
    write(books, rows, cell, &sums)?;
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
    rows: Rows,
    cells: Range<i64>,
) -> Result<LaneSums, UnpackError> {
    let mut found = names.db.prepare_cached(ROWS)?;
    let mut found = found.query(places(rows, cells))?;
    let mut sums = LaneSums::new();
    while let Some(row) = found.next()? {
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

/// Merges corrections of lanes into a cell that is sealed.
pub(crate) fn correct(
    books: &mut Books,
    rows: Rows,
    cell: i64,
    sums: LaneSums,
) -> rusqlite::Result<()> {
    let mut sums = match rows.is_of_roads() {
        true => books.by_road(sums)?,
        false => sums,
    };
    let names = Reading { glossary: &books.glossary, db: &books.db };
    let before: Option<Vec<u8>> = {
        let mut find = books.db.prepare_cached(ROWS)?;
        find.query_row(places(rows, cell..cell + 1), |row| row.get(1)).optional()?
    };
    if let Some(bytes) = before {
        match add_row(&mut sums, &bytes, &names) {
            Ok(()) | Err(UnpackError::Damaged) => {}
            Err(UnpackError::Sqlite(error)) => return Err(error),
        }
        sums.values_mut().for_each(Tally::tidy);
    }
    write(books, rows, cell, &sums)
}

/// Writes a sealed row, or removes one that is empty.
pub(crate) fn write(
    books: &mut Books,
    rows: Rows,
    cell: i64,
    sums: &LaneSums,
) -> rusqlite::Result<()> {
    let cells = packed(books, sums)?;
    if cells.is_empty() {
        books.db.prepare_cached(FORGET)?.execute(places(rows, cell..cell + 1))?;
    } else {
        let [place, _] = places(rows, cell..cell + 1);
        books.db.prepare_cached(WRITE)?.execute(params![place, cells])?;
    }
    Ok(())
}

/// The cells of lanes in a row; the other direction of [`SealedCells`].
pub(crate) fn packed(books: &mut Books, sums: &LaneSums) -> rusqlite::Result<Vec<u8>> {
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
    Ok(cells)
}

/// Forgets sealed days, weeks and months, so that they are made anew.
pub(crate) fn unseal(books: &mut Books) -> rusqlite::Result<()> {
    for rows in Rows::ALL.into_iter().filter(|rows| rows.finer().is_some()) {
        books.db.prepare_cached(FORGET)?.execute(places(rows, 0..LAST_CELL))?;
        books.db.prepare_cached(SEAL)?.execute(params![rows.code(), 0])?;
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
