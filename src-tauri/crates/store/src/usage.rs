//! Figures over a period: totals, a table along one dimension, a series over time. Rollups
//! answer as far as they can; receipts are read only for the ragged ends of a period and
//! for filters that rollups do not know.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use meter::Timestamp;
use meter::receipt::Receipt;
use rusqlite::params;

use crate::error::StoreError;
use crate::figures::{Figures, Sums};
use crate::filter::{Filter, Selection, ordinal_at};
use crate::lane::{Lane, LaneId};
use crate::names::{NameId, Reading, find};
use crate::questions::Questions;
use crate::rollup::{Span, read_sums};
use crate::tally::Tally;
use crate::walk::Direction;

/// What a table of figures has a row for each of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The model served or, where that is unknown, the one requested.
    Model,
    /// Who was paid.
    Provider,
    /// Labels of stored keys.
    Key,
    /// Labels of passes.
    Pass,
    /// Workspaces.
    Workspace,
    /// How it ended, settlements counted in.
    Status,
    /// What sort of call.
    Kind,
    /// Calling programs.
    Client,
    /// The values of the tag with this name.
    Tag(String),
}

/// The answer to [`Questions::usage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All of the period.
    pub totals: Figures,
    /// One row for each value of the dimension, the unnamed one (no key, no pass, no tag)
    /// included, in no particular order.
    pub rows: Vec<(Option<String>, Figures)>,
    /// One for each pair of neighbouring bucket edges.
    pub series: Vec<Figures>,
}

pub(crate) const CELLS: &str = "SELECT lane, requests, cost, sums, start FROM rollup
    WHERE span = ?1 AND start >= ?2 AND start < ?3";
pub(crate) const FIRST_DAY: &str = "SELECT min(start) FROM rollup WHERE span = 1";
pub(crate) const LAST_DAY: &str = "SELECT max(start) FROM rollup WHERE span = 1";
pub(crate) const TAGGED: &str = "SELECT ordinal, value FROM tag
    WHERE name = ?1 AND ordinal >= ?2 AND ordinal < ?3";

impl Questions {
    /// What the receipts of a filter came to. `buckets` are the edges of a series, ascending,
    /// already resolved in the user's time zone; what lies outside the filter's period does
    /// not count.
    pub fn usage(
        &self,
        filter: &Filter,
        by: Option<&Dimension>,
        buckets: Option<&[Timestamp]>,
    ) -> Result<Usage, StoreError> {
        self.figures(filter, by, buckets, Days::Together)
    }

    /// The same with the costs of each UTC day, for those who value them by the day.
    pub fn usage_by_day(
        &self,
        filter: &Filter,
        by: Option<&Dimension>,
        buckets: Option<&[Timestamp]>,
    ) -> Result<Usage, StoreError> {
        self.figures(filter, by, buckets, Days::Apart)
    }

    fn figures(
        &self,
        filter: &Filter,
        by: Option<&Dimension>,
        buckets: Option<&[Timestamp]>,
        days: Days,
    ) -> Result<Usage, StoreError> {
        self.at_one_instant(|| {
            let selection = self.select(filter)?;
            let edges = buckets.unwrap_or_default();
            let mut grid = Grid {
                series: vec![Sums::default(); edges.len().saturating_sub(1)],
                ..Grid::default()
            };
            for (range, bucket) in segments(self.period(&selection)?, edges) {
                let mut part = Part { grid: &mut grid, bucket, by, days };
                self.sum(&selection, range, &mut part)?;
            }
            if let Some(Dimension::Tag(name)) = by {
                grid.rows = self.by_tag(&selection, name, &grid.totals, days)?;
            }
            self.name(grid, by)
        })
    }

    /// How many receipts a filter selects.
    pub fn count(&self, filter: &Filter) -> Result<u64, StoreError> {
        Ok(self.usage(filter, None, None)?.totals.requests)
    }

    /// The selection's period in milliseconds, no longer than the days there are figures of.
    fn period(&self, selection: &Selection) -> Result<Range<i64>, StoreError> {
        let day = |sql: &str| self.db.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        let (Some(first), Some(last)) = (day(FIRST_DAY)?, day(LAST_DAY)?) else { return Ok(0..0) };
        let from = (selection.from >> 12).max(first * Span::Day.millis());
        let to = (selection.to >> 12).min((last + 1) * Span::Day.millis());
        Ok(from..to.max(from))
    }

    fn sum(
        &self,
        selection: &Selection,
        range: Range<i64>,
        part: &mut Part<'_>,
    ) -> Result<(), StoreError> {
        if !selection.is_of_lanes() {
            return self.sum_receipts(selection, range, part);
        }
        for (piece, span) in pieces(range) {
            match span {
                Some(span) => self.sum_cells(selection, piece, span, part)?,
                None => self.sum_receipts(selection, piece, part)?,
            }
        }
        Ok(())
    }

    fn sum_cells(
        &self,
        selection: &Selection,
        range: Range<i64>,
        span: Span,
        part: &mut Part<'_>,
    ) -> Result<(), StoreError> {
        let names = Reading { glossary: &self.glossary, db: &self.db };
        let lanes = self.lanes();
        let mut cells = self.db.prepare_cached(CELLS)?;
        let (from, to) = (range.start / span.millis(), range.end / span.millis());
        let mut cells = cells.query(params![span.code(), from, to])?;
        while let Some(cell) = cells.next()? {
            let id: LaneId = cell.get(0)?;
            if selection.lanes.contains(&id) {
                let sums = cell.get_ref(3)?.as_blob().map_err(|_| StoreError::Damaged)?;
                let tally = read_sums(cell.get(1)?, cell.get(2)?, sums, &names)?;
                let start: i64 = cell.get(4)?;
                part.add(start * span.millis(), lanes.get(id)?, &tally);
            }
        }
        Ok(())
    }

    fn sum_receipts(
        &self,
        selection: &Selection,
        range: Range<i64>,
        part: &mut Part<'_>,
    ) -> Result<(), StoreError> {
        let rows = Selection {
            lanes: Rc::clone(&selection.lanes),
            tags: selection.tags.clone(),
            ids: selection.ids.clone(),
            from: ordinal_at(Timestamp::from_millis(range.start)),
            to: ordinal_at(Timestamp::from_millis(range.end)),
        };
        self.visit(rows, |questions, receipt| {
            let lane = questions.lane_of(receipt.id.ordinal())?;
            let at = receipt.id.ordinal() >> 12;
            part.add(at, questions.lanes().get(lane)?, &Tally::of(&receipt));
            Ok(())
        })
    }

    /// Shows receipts to the visitor, within the instant that is being read.
    fn visit(
        &self,
        mut rows: Selection,
        mut visit: impl FnMut(&Self, Receipt) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        const PAGE: usize = 512;
        loop {
            let page = self.page(&rows, Direction::OldestFirst, PAGE)?;
            let full = page.len() == PAGE;
            for receipt in page {
                rows.from = receipt.id.ordinal() + 1;
                visit(self, receipt)?;
            }
            if !full {
                return Ok(());
            }
        }
    }

    fn lane_of(&self, ordinal: i64) -> Result<LaneId, StoreError> {
        let mut find = self.db.prepare_cached(crate::walk::LANE_OF)?;
        Ok(find.query_row([ordinal], |row| row.get(0))?)
    }

    /// Rows by the values of a tag; what has no such tag is what is left of the total.
    fn by_tag(
        &self,
        selection: &Selection,
        name: &str,
        totals: &Sums,
        days: Days,
    ) -> Result<BTreeMap<Group, Sums>, StoreError> {
        let mut rows: BTreeMap<Group, Sums> = BTreeMap::new();
        let mut rest = totals.clone();
        let Some(name) = find(&self.db, name)? else {
            return Ok([(Group::Name(NameId::ABSENT), rest)].into());
        };
        let mut tagged = self.db.prepare_cached(TAGGED)?;
        let mut tagged = tagged.query(params![name, selection.from, selection.to])?;
        while let Some(row) = tagged.next()? {
            let ordinal: i64 = row.get(0)?;
            if crate::walk::is_selected(&self.db, selection, ordinal)? {
                let Some(receipt) = self.row(ordinal)? else { continue };
                let (lane, tally) = (self.lane_of(ordinal)?, Tally::of(&receipt));
                let lanes = self.lanes();
                let group = rows.entry(Group::Name(row.get(1)?)).or_default();
                let lane = lanes.get(lane)?;
                match days {
                    Days::Together => {
                        group.add(lane, &tally);
                        rest.subtract(lane, &tally);
                    }
                    Days::Apart => {
                        group.add_on(day(ordinal >> 12), lane, &tally);
                        rest.subtract_on(day(ordinal >> 12), lane, &tally);
                    }
                }
            }
        }
        if !rest.is_empty() {
            rows.insert(Group::Name(NameId::ABSENT), rest);
        }
        Ok(rows)
    }

    fn name(&self, grid: Grid, by: Option<&Dimension>) -> Result<Usage, StoreError> {
        let figures = |sums: Sums| sums.figures(|id| Ok(self.glossary.text(&self.db, id)?));
        let mut rows = Vec::new();
        for (group, sums) in grid.rows {
            let name = match group {
                Group::Name(id) => self.glossary.text(&self.db, id)?.map(String::from),
                Group::Word(word) => Some(word.to_owned()),
            };
            rows.push((name, figures(sums)?));
        }
        Ok(Usage {
            totals: figures(grid.totals)?,
            rows: if by.is_some() { rows } else { Vec::new() },
            series: grid.series.into_iter().map(figures).collect::<Result<_, _>>()?,
        })
    }
}

/// Which row of the table something counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Name(NameId),
    Word(&'static str),
}

/// Everything a question adds up.
#[derive(Default)]
struct Grid {
    totals: Sums,
    rows: BTreeMap<Group, Sums>,
    series: Vec<Sums>,
}

/// Whether the costs of each day are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Days {
    Together,
    Apart,
}

/// The UTC day of an instant in milliseconds, counted from 1970.
fn day(millis: i64) -> i64 {
    millis.div_euclid(Span::Day.millis())
}

/// The part of the grid that one segment of the period counts in.
struct Part<'a> {
    grid: &'a mut Grid,
    bucket: Option<usize>,
    by: Option<&'a Dimension>,
    days: Days,
}

impl Part<'_> {
    /// `at` is an instant of the day it counts on, in milliseconds.
    fn add(&mut self, at: i64, lane: &Lane, tally: &Tally) {
        let days = self.days;
        let add = |sums: &mut Sums| match days {
            Days::Together => sums.add(lane, tally),
            Days::Apart => sums.add_on(day(at), lane, tally),
        };
        add(&mut self.grid.totals);
        if let Some(bucket) = self.bucket {
            add(&mut self.grid.series[bucket]);
        }
        let group = match self.by {
            None | Some(Dimension::Tag(_)) => return,
            Some(Dimension::Model) => Group::Name(lane.model),
            Some(Dimension::Provider) => Group::Name(lane.provider),
            Some(Dimension::Key) => Group::Name(lane.key),
            Some(Dimension::Pass) => Group::Name(lane.pass),
            Some(Dimension::Workspace) => Group::Name(lane.workspace),
            Some(Dimension::Client) => Group::Name(lane.client),
            Some(Dimension::Status) => Group::Word(lane.status.as_str()),
            Some(Dimension::Kind) => Group::Word(lane.kind.as_str()),
        };
        add(self.grid.rows.entry(group).or_default());
    }
}

/// Cuts the period at the bucket edges; each segment with the bucket it is in.
fn segments(period: Range<i64>, edges: &[Timestamp]) -> Vec<(Range<i64>, Option<usize>)> {
    let within = |at: i64| at.clamp(period.start, period.end);
    let edges: Vec<i64> = edges.iter().map(|edge| within(edge.millis())).collect();
    let first = edges.first().copied().unwrap_or(period.start);
    let last = edges.last().copied().unwrap_or(first);
    let buckets = edges.windows(2).enumerate().map(|(at, edge)| (edge[0]..edge[1], Some(at)));
    let around = [(period.start..first, None), (last..period.end, None)];
    buckets.chain(around).filter(|(range, _)| !range.is_empty()).collect()
}

/// Cuts a range into whole days and quarters, which rollups know, and ragged ends.
fn pieces(range: Range<i64>) -> Vec<(Range<i64>, Option<Span>)> {
    let (quarters, days) = (whole(&range, Span::Quarter), whole(&range, Span::Day));
    let mut pieces = Vec::new();
    let Some(quarters) = quarters else { return vec![(range, None)] };
    pieces.push((range.start..quarters.start, None));
    match days {
        None => pieces.push((quarters.clone(), Some(Span::Quarter))),
        Some(days) => {
            pieces.push((quarters.start..days.start, Some(Span::Quarter)));
            pieces.push((days.clone(), Some(Span::Day)));
            pieces.push((days.end..quarters.end, Some(Span::Quarter)));
        }
    }
    pieces.push((quarters.end..range.end, None));
    pieces.retain(|(range, _)| !range.is_empty());
    pieces
}

/// The part of a range that is whole cells.
fn whole(range: &Range<i64>, span: Span) -> Option<Range<i64>> {
    let len = span.millis();
    let (from, to) = (range.start.div_euclid(len) * len, range.end.div_euclid(len) * len);
    let from = if from < range.start { from + len } else { from };
    (from < to).then_some(from..to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_cover_the_range_once_and_fit_their_cells(from in 0..400_000_000_i64, len in 0..400_000_000_i64) {
            let mut at = from;
            for (piece, span) in pieces(from..from + len) {
                prop_assert_eq!(piece.start, at);
                at = piece.end;
                let cell = span.map_or(1, Span::millis);
                prop_assert_eq!((piece.start % cell, piece.end % cell), (0, 0));
                prop_assert!(span.is_some() || piece.end - piece.start < 2 * Span::Quarter.millis());
            }
            prop_assert_eq!(at, if len == 0 { from } else { from + len });
        }
    }
}
