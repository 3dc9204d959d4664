//! Rows by the values of a tag: sums of whole days as far as they are kept, and receipts for the
//! rest of the period.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::params;

use super::{Days, Group, Part, day};
use crate::error::StoreError;
use crate::figures::Sums;
use crate::filter::Selection;
use crate::lane::LaneId;
use crate::names::{NameId, Reading, find};
use crate::pieces::{Layer, Of, Piece, layer_of_tags};
use crate::questions::Questions;
use crate::rollup::Span;
use crate::seal::{Sealed, SealedCells};
use crate::tally::{Reads, Sign, Tally};
use crate::{prune, receipt_row, tag_sums};

/// The columns of [`receipt_row::read`], and the tag's value.
pub(crate) const TAGGED: &str =
    "SELECT receipt.ordinal, lane, cost, detail, value FROM tag CROSS JOIN receipt USING (ordinal)
    WHERE name = ?1 AND value = ?2 AND tag.ordinal >= ?3 AND tag.ordinal < ?4";
/// The same of all values after one.
pub(crate) const TAGGED_AFTER: &str =
    "SELECT receipt.ordinal, lane, cost, detail, value FROM tag CROSS JOIN receipt USING (ordinal)
    WHERE name = ?1 AND value > ?2 AND tag.ordinal >= ?3 AND tag.ordinal < ?4";
pub(crate) const NEXT_VALUE: &str = "SELECT min(value) FROM tag WHERE name = ?1 AND value > ?2";

/// Values of a tag that are looked for one by one, each in its own stretch of the index;
/// of those who have more, the index is read whole.
const MOST_VALUES: usize = 1000;

impl Questions {
    /// Rows by the values of a tag; what has no such tag is what is left of the total.
    pub(super) fn by_tag(
        &self,
        selection: &Selection,
        name: &str,
        totals: &Sums,
        (days, reads): (Days, Reads),
    ) -> Result<BTreeMap<Group, Sums>, StoreError> {
        let mut rows: BTreeMap<Group, Sums> = BTreeMap::new();
        let Some(name) = find(&self.db, name)? else {
            return Ok([(Group::Name(NameId::ABSENT), totals.clone())].into());
        };
        for range in self.add_days_of_tag(selection, name, (days, reads), &mut rows)? {
            self.add_receipts_of_tag(selection, (name, range), days, &mut rows)?;
        }
        let mut rest = totals.clone();
        rows.values().for_each(|row| rest.take_away(row));
        rest.tidy();
        if !rest.is_empty() {
            rows.insert(Group::Name(NameId::ABSENT), rest);
        }
        rows.values_mut().for_each(Sums::tidy);
        rows.retain(|_, row| !row.is_empty());
        Ok(rows)
    }

    /// Adds what is summed up by day of the values of a tag, and says which ranges of ordinals are
    /// left to receipts.
    fn add_days_of_tag(
        &self,
        selection: &Selection,
        name: NameId,
        (apart, reads): (Days, Reads),
        rows: &mut BTreeMap<Group, Sums>,
    ) -> Result<Vec<Range<i64>>, StoreError> {
        let whole = selection.from..selection.to;
        let are_told_apart = !selection.by_use || self.sorting_from()?.is_none();
        if !selection.is_of_lanes() || !are_told_apart {
            return Ok(vec![whole]);
        }
        let days = tag_sums::whole_days(&self.period(selection)?);
        let days = days.start..days.end.min(Sealed::read(&self.db)?.tags_until());
        if days.is_empty() {
            return Ok(vec![whole]);
        }
        let first = |day: i64| Span::Day.start_ms(day) << 12;
        let mut left = vec![whole.start..first(days.start), first(days.end)..whole.end];
        let (names, lanes) = (Reading { glossary: &self.glossary, db: &self.db }, self.lanes());
        let mut found = self.db.prepare_cached(tag_sums::OF_NAME)?;
        let mut found = found.query(params![name, days.start, days.end])?;
        while let Some(row) = found.next()? {
            let day: i64 = row.get(0)?;
            let sums = row.get_ref(1)?.as_blob().map_err(|_| StoreError::Damaged)?;
            if sums.is_empty() {
                left.push(first(day)..first(day + 1));
            }
            tag_sums::each_value(sums, |value, cells| {
                let mut cells = SealedCells::new(cells);
                while let Some((lane, mut cell)) = cells.next()? {
                    if !selection.lanes.contains(&lane) {
                        continue;
                    }
                    let (into, lane) =
                        (rows.entry(Group::Name(value)).or_default(), lanes.get(lane)?);
                    let counted = (cell.requests, cell.cost);
                    into.add_packed((Sign::Plus, reads), lane, counted, &mut cell.sums, &names)?;
                    if apart == Days::Apart {
                        into.on_day(Sign::Plus, day, lane, cell.cost);
                    }
                }
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(left)
    }

    /// What answers where tags or ids are asked for: days of one tag, and receipts. Days without
    /// their receipts are left out, as are the parts of them.
    pub(super) fn layers_of_tags(&self, selection: &Selection) -> Result<Vec<Layer>, StoreError> {
        if selection.only_tag().is_none() || (selection.by_use && self.sorting_from()?.is_some()) {
            return Ok(Vec::new());
        }
        let first = prune::first_day(&self.db)?.unwrap_or(0);
        let until = Sealed::read(&self.db)?.tags_until();
        Ok(vec![layer_of_tags(first..until.max(first))])
    }

    /// Adds what the days of a piece came to for the one tag that is asked for.
    pub(super) fn sum_days_of_tag(
        &self,
        selection: &Selection,
        piece: &Piece,
        part: &mut Part<'_>,
    ) -> Result<(), StoreError> {
        let Some((name, asked)) = selection.only_tag() else { return Ok(()) };
        let names = Reading { glossary: &self.glossary, db: &self.db };
        let [from, to] = [piece.range.start, piece.range.end].map(|ms| Span::Day.cell_of(ms));
        let mut left = Vec::new();
        let mut found = self.db.prepare_cached(tag_sums::OF_NAME)?;
        let mut found = found.query(params![name, from, to])?;
        while let Some(row) = found.next()? {
            let day: i64 = row.get(0)?;
            let sums = row.get_ref(1)?.as_blob().map_err(|_| StoreError::Damaged)?;
            if sums.is_empty() {
                left.push(day);
            }
            tag_sums::each_value(sums, |value, cells| {
                let mut cells = SealedCells::new(if value == asked { cells } else { &[] });
                while let Some((lane, mut cell)) = cells.next()? {
                    let at = (piece.sign, Span::Day.start_ms(day));
                    let counted = (cell.requests, cell.cost);
                    part.add_packed(at, lane, counted, &mut cell.sums, &names)?;
                }
                Ok::<_, StoreError>(())
            })?;
        }
        for day in left {
            let range = Span::Day.start_ms(day)..Span::Day.start_ms(day + 1);
            let receipts = Piece { range, sign: piece.sign, of: Of::Receipts };
            self.sum_receipts(selection, &receipts, part)?;
        }
        Ok(())
    }

    /// The same from the receipts of a range of ordinals.
    fn add_receipts_of_tag(
        &self,
        selection: &Selection,
        (name, range): (NameId, Range<i64>),
        days: Days,
        rows: &mut BTreeMap<Group, Sums>,
    ) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut value = NameId::ABSENT;
        let mut next = self.db.prepare_cached(NEXT_VALUE)?;
        for sought in 0..=MOST_VALUES {
            let sql = if sought < MOST_VALUES { TAGGED } else { TAGGED_AFTER };
            if sql == TAGGED {
                let found: Option<NameId> =
                    next.query_row(params![name, value], |row| row.get(0))?;
                let Some(found) = found else { break };
                value = found;
            }
            let mut tagged = self.db.prepare_cached(sql)?;
            let mut tagged = tagged.query(params![name, value, range.start, range.end])?;
            while let Some(row) = tagged.next()? {
                self.add_tagged(row, selection, days, rows)?;
            }
        }
        Ok(())
    }

    /// Counts a row of [`TAGGED`] for its value, if it is selected.
    fn add_tagged(
        &self,
        row: &rusqlite::Row<'_>,
        selection: &Selection,
        days: Days,
        rows: &mut BTreeMap<Group, Sums>,
    ) -> Result<(), StoreError> {
        let (ordinal, lane): (i64, LaneId) = (row.get(0)?, row.get(1)?);
        let Some(others) = &selection.tags else { return Ok(()) };
        if !selection.lanes.contains(&lane)
            || (!others.is_empty()
                && !crate::walk::is_selected(&self.db, selection, ordinal, others)?)
        {
            return Ok(());
        }
        let lanes = self.lanes();
        let tally = Tally::of(&receipt_row::read(row, &self.db, &self.glossary, &lanes)?);
        let lane = lanes.get(lane)?;
        let group = rows.entry(Group::Name(row.get(4)?)).or_default();
        group.add(lane, &tally);
        if days == Days::Apart {
            group.on_day(Sign::Plus, day(ordinal >> 12), lane, tally.cost);
        }
        Ok(())
    }
}
