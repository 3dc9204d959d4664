//! Paces: the busiest minute and second of a period. Sums are kept by the quarter of an hour, so
//! the busiest quarters are looked into, receipt by receipt, as far as that is soon done.

use std::collections::BTreeMap;
use std::ops::Range;

use meter::Timestamp;
use meter::usage::{Count, Unit};

use crate::error::StoreError;
use crate::filter::{Filter, Selection, ordinal_at};
use crate::prune;
use crate::questions::Questions;
use crate::receipt_row;
use crate::rollup::Span;
use crate::seal::{self, Rows, Sealed, SealedCells};
use crate::standing::Standing;
use crate::upkeep;
use crate::walk::Direction;

/// The busiest of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busiest {
    /// How many there were.
    pub count: u64,
    /// When the minute or second began.
    pub from: Timestamp,
    /// Whether there can be none busier. Else it is the busiest of those looked into.
    pub is_exact: bool,
}

/// How much went on at once, by minutes and seconds of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    /// The minute in which the most requests began.
    pub requests_a_minute: Option<Busiest>,
    /// The minute whose requests used the most tokens, in and out.
    pub tokens_a_minute: Option<Busiest>,
    /// The second in which the most requests began.
    pub requests_a_second: Option<Busiest>,
}

/// Days that are looked into of a period of more.
const MOST_DAYS: usize = 14;
/// Receipts that are counted before no further quarter is looked into.
const MOST_COUNTED: usize = 15_000;
/// Receipts that are looked at, also those of others, before no further quarter is looked into.
const MOST_LOOKED_AT: usize = 50_000;
/// Receipts that are read for their tokens.
const MOST_READ: usize = 3_000;

const MINUTE_MS: i64 = 60_000;
const SECOND_MS: i64 = 1_000;

/// How many requests a cell has that a filter selects.
type Busy = Vec<(i64, u64)>;

impl Questions {
    /// The busiest minute and second among the receipts of a filter.
    pub fn peaks(&self, filter: &Filter) -> Result<Peaks, StoreError> {
        self.at_one_instant(|| {
            let selection = self.select(filter)?;
            let mut found = Found::default();
            if !selection.is_of_lanes() {
                let receipts = self.page(&selection, Direction::NewestFirst, MOST_READ + 1)?;
                let is_kept = prune::first_day(&self.db)?
                    .is_none_or(|day| Span::Day.start_ms(day) <= selection.from >> 12);
                found.is_read = receipts.len() <= MOST_READ && is_kept;
                found.left = u64::from(!found.is_read) * u64::MAX;
                for receipt in receipts {
                    found.count(receipt.id.minted_at().millis());
                    found.read(receipt.id.minted_at().millis(), &receipt);
                }
                return Ok(found.peaks());
            }
            let (mut quarters, left_out) = self.busy_quarters(&selection)?;
            quarters.sort_unstable_by_key(|(_, requests)| std::cmp::Reverse(*requests));
            found.is_read = left_out == 0;
            let mut quarters = quarters.into_iter();
            for (quarter, requests) in quarters.by_ref() {
                found.is_read &= found.reads + requests as usize <= MOST_READ;
                self.look_into(&selection, quarter, &mut found)?;
                if found.counts > MOST_COUNTED || found.looked_at > MOST_LOOKED_AT {
                    break;
                }
            }
            found.left = quarters.next().map_or(0, |(_, requests)| requests).max(left_out);
            found.is_read &= found.left == 0;
            Ok(found.peaks())
        })
    }

    fn look_into(
        &self,
        selection: &Selection,
        quarter: i64,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let at = |cell| ordinal_at(Timestamp::from_millis(Span::Quarter.start_ms(cell)));
        let from = at(quarter).max(selection.from);
        let to = at(quarter + 1).min(selection.to);
        let lanes = self.lanes();
        let mut rows = self.db.prepare_cached(upkeep::OF_DAY)?;
        let mut rows = rows.query([from, to])?;
        while let Some(row) = rows.next()? {
            found.looked_at += 1;
            if selection.lanes.contains(&row.get(1)?) {
                let at = row.get::<_, i64>(0)? >> 12;
                found.count(at);
                if found.reads < MOST_READ {
                    let receipt = receipt_row::read(row, &self.db, &self.glossary, &lanes)?;
                    found.read(at, &receipt);
                }
            }
        }
        Ok(())
    }

    /// The quarters with requests, of a long period those of its busiest days; and the most
    /// requests that one of the others can have, also one whose receipts were pruned.
    fn busy_quarters(&self, selection: &Selection) -> Result<(Busy, u64), StoreError> {
        let period = self.period(selection)?;
        let sealed = Sealed::read(&self.db)?;
        let day = |ms| Span::Day.cell_of(ms);
        let days = day(period.start)..day(period.end - 1) + 1;
        let of_days = if selection.by_road { Rows::DaysOfRoads } else { Rows::Days };
        let known = days.start..days.end.min(sealed.until(of_days));
        let first = prune::first_day(&self.db)?.unwrap_or(i64::MIN);
        let is_told_apart = !selection.by_use || self.sorting_from()?.is_none();
        if period.is_empty() || known.end - known.start <= MOST_DAYS as i64 || !is_told_apart {
            let busy = self.busy(selection, Rows::Quarters, &quarters(&period))?;
            return Ok(kept(busy, |quarter| day(Span::Quarter.start_ms(quarter)) >= first));
        }
        let (mut busy, pruned) = kept(self.busy(selection, of_days, &known)?, |day| day >= first);
        busy.sort_unstable_by_key(|(_, requests)| std::cmp::Reverse(*requests));
        let left_out = busy.get(MOST_DAYS).map_or(0, |(_, requests)| *requests).max(pruned);
        let mut found = Busy::new();
        let latest = (known.end..days.end).map(|day| (day, 0));
        for (day, _) in busy.into_iter().take(MOST_DAYS).chain(latest) {
            let of_day = Span::Quarter.within(Span::Day, day);
            found.extend(self.busy(selection, Rows::Quarters, &of_day)?);
        }
        Ok((found, left_out))
    }

    /// How many requests of a selection each cell has; those with none are left out.
    fn busy(
        &self,
        selection: &Selection,
        sealed: Rows,
        cells: &Range<i64>,
    ) -> Result<Busy, StoreError> {
        let mut busy: BTreeMap<i64, i64> = BTreeMap::new();
        let mut rows = self.db.prepare_cached(seal::ROWS)?;
        let mut rows = rows.query(seal::places(sealed, cells.clone()))?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob().map_err(|_| StoreError::Damaged)?;
            let (mut of_lanes, mut sum) = (SealedCells::new(bytes), 0);
            while let Some((lane, cell)) = of_lanes.next()? {
                if selection.lanes.contains(&lane) {
                    sum += cell.requests;
                }
            }
            busy.insert(row.get(0)?, sum);
        }
        if sealed == Rows::Quarters {
            let mut rows = self.db.prepare_cached(seal::LIVE)?;
            let mut rows = rows.query([cells.start, cells.end])?;
            while let Some(row) = rows.next()? {
                if selection.lanes.contains(&row.get(1)?) {
                    *busy.entry(row.get(0)?).or_default() += row.get::<_, i64>(2)?;
                }
            }
        }
        let busy = busy.into_iter().map(|(cell, requests)| (cell, requests.unsigned_abs()));
        Ok(busy.filter(|(_, requests)| *requests != 0).collect())
    }
}

/// The cells whose receipts are there, and the most requests of one of the others.
fn kept(busy: Busy, is_kept: impl Fn(i64) -> bool) -> (Busy, u64) {
    let (kept, pruned): (Busy, Busy) = busy.into_iter().partition(|(cell, _)| is_kept(*cell));
    (kept, pruned.into_iter().map(|(_, requests)| requests).max().unwrap_or(0))
}

fn quarters(period: &Range<i64>) -> Range<i64> {
    let quarter = |ms| Span::Quarter.cell_of(ms);
    match period.is_empty() {
        true => 0..0,
        false => quarter(period.start)..quarter(period.end - 1) + 1,
    }
}

/// What was counted, by the minute and the second.
#[derive(Default)]
struct Found {
    minutes: BTreeMap<i64, u64>,
    seconds: BTreeMap<i64, u64>,
    /// Millionths of tokens.
    tokens: BTreeMap<i64, u128>,
    counts: usize,
    looked_at: usize,
    reads: usize,
    /// The most requests of a quarter that was not looked into.
    left: u64,
    /// Whether the tokens of all of them were read.
    is_read: bool,
}

impl Found {
    fn count(&mut self, ms: i64) {
        self.counts += 1;
        *self.minutes.entry(ms.div_euclid(MINUTE_MS)).or_default() += 1;
        *self.seconds.entry(ms.div_euclid(SECOND_MS)).or_default() += 1;
    }

    fn read(&mut self, ms: i64, receipt: &meter::Receipt) {
        self.reads += 1;
        let lines = Standing::of(receipt).lines.iter();
        let tokens = lines.filter(|line| line.factor.unit() == Unit::Token);
        let tokens: u128 = tokens.map(|line| u128::from(line.count.millionths())).sum();
        *self.tokens.entry(ms.div_euclid(MINUTE_MS)).or_default() += tokens;
    }

    fn peaks(&self) -> Peaks {
        let busiest = |counts: &BTreeMap<i64, u64>, ms: i64| {
            // Of equals the first.
            let (at, count) = counts.iter().rev().max_by_key(|(_, count)| **count)?;
            let from = Timestamp::from_millis(at * ms);
            Some(Busiest { count: *count, from, is_exact: self.left <= *count })
        };
        let whole = |millionths: &u128| (millionths / u128::from(Count::ONE)) as u64;
        let tokens = self.tokens.iter().map(|(at, sum)| (*at, whole(sum))).collect();
        let tokens = busiest(&tokens, MINUTE_MS).filter(|most| most.count > 0);
        Peaks {
            requests_a_minute: busiest(&self.minutes, MINUTE_MS),
            tokens_a_minute: tokens.map(|most| Busiest { is_exact: self.is_read, ..most }),
            requests_a_second: busiest(&self.seconds, SECOND_MS),
        }
    }
}
