//! Figures over a period: totals, a table along one dimension, a series over time. Rollups
//! answer as far as they can; receipts are read only for the ragged ends of a period and
//! for filters that rollups do not know.

mod hours;
pub(crate) mod tags;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::rc::Rc;

use meter::Timestamp;
use meter::receipt::Receipt;

use crate::error::StoreError;
use crate::figures::{Figures, Sums};
use crate::filter::{Filter, Selection, ordinal_at};
use crate::lane::{ByLane, Capabilities, Lane, LaneId};
use crate::names::{NameId, Reading};
use crate::pack::{Unpack, Unspell};
use crate::pieces::{Layer, Of, Piece, layers, pieces};
use crate::questions::Questions;
use crate::receipt_row::Lanes;
use crate::rollup::Span;
use crate::seal::{self, Rows, Sealed, SealedCells};
use crate::tally::{Reads, Sign, Tally};
use crate::walk::Direction;
use crate::{prune, upkeep};

pub use self::hours::LaneRow;

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
    /// What sort of model served it.
    Technology,
    /// What the call exercised: one that exercised two counts in both rows, so that rows
    /// overlap and come to more than the total.
    Capability,
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

impl Usage {
    fn without_overhead(self) -> Self {
        let rows = self.rows.into_iter().map(|(name, sums)| (name, sums.without_overhead()));
        Self {
            totals: self.totals.without_overhead(),
            rows: rows.collect(),
            series: self.series.into_iter().map(Figures::without_overhead).collect(),
        }
    }
}

/// One row of [`Questions::table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// Which bucket, counted from 0, where there are buckets.
    pub bucket: Option<usize>,
    /// The value of each dimension; absent: no key, no pass.
    pub names: Vec<Option<String>>,
    /// What it came to.
    pub figures: Figures,
}

pub(crate) const ENDS: &str =
    "SELECT (SELECT min(ordinal) FROM receipt), (SELECT max(ordinal) FROM receipt)";
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
        self.figures(filter, by, buckets, (Days::Together, Reads::AllButOverhead))
    }

    /// The same with what Tollgate itself added, for which more is read.
    pub fn performance(
        &self,
        filter: &Filter,
        by: Option<&Dimension>,
    ) -> Result<Usage, StoreError> {
        self.figures(filter, by, None, (Days::Together, Reads::All))
    }

    /// The same with the costs of each UTC day, for those who value them by the day.
    pub fn usage_by_day(
        &self,
        filter: &Filter,
        by: Option<&Dimension>,
        buckets: Option<&[Timestamp]>,
    ) -> Result<Usage, StoreError> {
        self.figures(filter, by, buckets, (Days::Apart, Reads::AllButOverhead))
    }

    fn figures(
        &self,
        filter: &Filter,
        by: Option<&Dimension>,
        buckets: Option<&[Timestamp]>,
        (days, reads): (Days, Reads),
    ) -> Result<Usage, StoreError> {
        self.at_one_instant(|| {
            let selection = self.select(filter)?;
            let edges = buckets.unwrap_or_default();
            let cells = self.cells(&selection, by.as_slice(), edges, (days, reads))?;
            let mut grid = Grid::of(cells, edges.len().saturating_sub(1));
            match by {
                None => grid.rows.clear(),
                Some(Dimension::Tag(name)) => {
                    grid.rows = self.by_tag(&selection, name, &grid.totals, (days, reads))?;
                }
                Some(_) => {}
            }
            let usage = self.name(grid)?;
            Ok(match reads {
                Reads::All => usage,
                // Receipts of ragged ends have it, what is kept of others was not read.
                Reads::AllButOverhead => usage.without_overhead(),
            })
        })
    }

    /// What receipts came to by several dimensions at once, each bucket's apart where there
    /// are buckets, in no particular order. Tags tell nothing apart here, and neither do
    /// dimensions after the third.
    pub fn table(
        &self,
        filter: &Filter,
        by: &[&Dimension],
        buckets: Option<&[Timestamp]>,
    ) -> Result<Vec<TableRow>, StoreError> {
        self.at_one_instant(|| {
            let selection = self.select(filter)?;
            let edges = buckets.unwrap_or_default();
            let cells =
                self.cells(&selection, by, edges, (Days::Together, Reads::AllButOverhead))?;
            let cells = each_capability_apart(cells, by);
            let mut rows = Vec::with_capacity(cells.len());
            for Cell { bucket, groups, mut sums } in cells {
                sums.tidy();
                if sums.is_empty() || (buckets.is_some() && bucket.is_none()) {
                    continue;
                }
                let names = groups.into_iter().take(by.len()).map(|group| self.text(group));
                let names = names.collect::<Result<_, _>>()?;
                rows.push(TableRow {
                    bucket,
                    names,
                    figures: self.figures_of(sums)?.without_overhead(),
                });
            }
            Ok(rows)
        })
    }

    /// Adds up everything selected, by bucket and group.
    fn cells(
        &self,
        selection: &Selection,
        by: &[&Dimension],
        edges: &[Timestamp],
        (days, reads): (Days, Reads),
    ) -> Result<Vec<Cell>, StoreError> {
        let sealed = Sealed::read(&self.db)?;
        let (rows, of_days) = self.rows_for(selection, by)?;
        let (coarse, by_day) = match selection.is_of_lanes() {
            true => (layers(&sealed, rows), layers(&sealed, of_days)),
            false => (self.layers_of_tags(selection)?, self.layers_of_tags(selection)?),
        };
        let lanes = self.lanes();
        let rows = TableRows::of(selection, &lanes, by)?;
        let mut cells = Vec::new();
        let segments = segments(self.period(selection)?, edges);
        let [mut shared, mut shared_of_days] = [Shared::new(), Shared::new()];
        for (at, (range, bucket)) in segments.iter().enumerate() {
            let (bucket, next) = (*bucket, segments.get(at + 1).map(|(next, _)| next));
            let sums = rows.groups.iter().map(|_| None).collect();
            let mut part =
                Part { rows: &rows, sums, counts: Counts::Figures(reads), layers: &coarse };
            self.sum(selection, (range, next), &mut part, &mut shared)?;
            if days == Days::Apart {
                (part.counts, part.layers) = (Counts::CostOfDay, &by_day);
                self.sum(selection, (range, next), &mut part, &mut shared_of_days)?;
            }
            let found = rows.groups.iter().zip(part.sums);
            let found = found.filter_map(|(groups, sums)| Some((*groups, *sums?)));
            cells.extend(found.map(|(groups, sums)| Cell { bucket, groups, sums }));
        }
        Ok(cells)
    }

    /// From when on receipts are still to be told apart by capability and technology: until
    /// they are, they count as without either. Absent when all are.
    pub fn sorting_from(&self) -> Result<Option<Timestamp>, StoreError> {
        let day: Option<i64> =
            self.db.prepare_cached(upkeep::STALE)?.query_row([], |row| row.get(0))?;
        Ok(day.map(|day| Timestamp::from_millis(Span::Day.start_ms(day))))
    }

    /// What answers for figures, and for figures of each day. While receipts are told apart by
    /// what they exercised, days and longer have yet to follow.
    fn rows_for(
        &self,
        selection: &Selection,
        by: &[&Dimension],
    ) -> Result<(&'static [Rows], &'static [Rows]), StoreError> {
        if tells_use(selection, by) && self.sorting_from()?.is_some() {
            return Ok((&[Rows::Quarters], &[Rows::Quarters]));
        }
        Ok(match selection.by_road && by.iter().all(|one| is_of_roads(one)) {
            true => (&ROWS_BY_ROAD, &ROWS_OF_DAYS_BY_ROAD),
            false => (&ROWS, &ROWS_OF_DAYS),
        })
    }

    /// How many receipts a filter selects.
    pub fn count(&self, filter: &Filter) -> Result<u64, StoreError> {
        Ok(self.usage(filter, None, None)?.totals.requests)
    }

    /// The selection's period in milliseconds, no longer than there are receipts of.
    pub(crate) fn period(&self, selection: &Selection) -> Result<Range<i64>, StoreError> {
        let ends = |row: &rusqlite::Row<'_>| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?));
        // Where receipts were pruned there are still their sums.
        if prune::first_day(&self.db)?.is_some() {
            let Some((first, last)) = upkeep::ends(&self.db)? else { return Ok(0..0) };
            let from = (selection.from >> 12).max(Span::Day.start_ms(first));
            let to = (selection.to >> 12).min(Span::Day.start_ms(last + 1));
            return Ok(from..to.max(from));
        }
        let Some((first, last)) = self.db.query_row(ENDS, [], ends)? else { return Ok(0..0) };
        let quarter = |ordinal: i64| Span::Quarter.cell_of(ordinal >> 12);
        let from = (selection.from >> 12).max(Span::Quarter.start_ms(quarter(first)));
        let to = (selection.to >> 12).min(Span::Quarter.start_ms(quarter(last) + 1));
        Ok(from..to.max(from))
    }

    /// Adds up a range. Where days are not those of UTC, the hours between are taken from one
    /// bucket and given to the next: what the next range needs as well is read once.
    fn sum(
        &self,
        selection: &Selection,
        (range, next): (&Range<i64>, Option<&Range<i64>>),
        part: &mut Part<'_>,
        shared: &mut Shared,
    ) -> Result<(), StoreError> {
        let next = next.map_or_else(Vec::new, |next| pieces(next.clone(), part.layers));
        let before = std::mem::take(shared);
        for piece in pieces(range.clone(), part.layers) {
            if let Some((_, sums)) = before.iter().find(|(known, _)| known.is_as(&piece)) {
                part.merge(piece.sign, sums);
            } else if next.iter().any(|next| next.is_as(&piece)) {
                let sums = part.sums.iter().map(|_| None).collect();
                let mut alone = Part { sums, ..*part };
                let read = Piece { sign: Sign::Plus, ..piece.clone() };
                self.sum_piece(selection, &read, &mut alone)?;
                let sums = alone.sums;
                part.merge(piece.sign, &sums);
                shared.push((piece, sums));
            } else {
                self.sum_piece(selection, &piece, part)?;
            }
        }
        Ok(())
    }

    fn sum_piece(
        &self,
        selection: &Selection,
        piece: &Piece,
        part: &mut Part<'_>,
    ) -> Result<(), StoreError> {
        match piece.of {
            Of::Sealed(rows) => self.sum_sealed(piece, rows, part),
            Of::Live => self.sum_live(piece, part),
            Of::DaysOfTags => self.sum_days_of_tag(selection, piece, part),
            Of::Receipts => self.sum_receipts(selection, piece, part),
        }
    }

    fn sum_sealed(&self, piece: &Piece, of: Rows, part: &mut Part<'_>) -> Result<(), StoreError> {
        let span = of.span();
        let names = Reading { glossary: &self.glossary, db: &self.db };
        let mut rows = self.db.prepare_cached(seal::ROWS)?;
        let (from, to) = (span.cell_of(piece.range.start), span.cell_of(piece.range.end));
        let mut rows = rows.query(seal::places(of, from..to))?;
        while let Some(row) = rows.next()? {
            let at = span.start_ms(row.get(0)?);
            let bytes = row.get_ref(1)?.as_blob().map_err(|_| StoreError::Damaged)?;
            let mut cells = SealedCells::new(bytes);
            while let Some((lane, mut cell)) = cells.next()? {
                let counted = (cell.requests, cell.cost);
                part.add_packed((piece.sign, at), lane, counted, &mut cell.sums, &names)?;
            }
        }
        Ok(())
    }

    fn sum_live(&self, piece: &Piece, part: &mut Part<'_>) -> Result<(), StoreError> {
        let names = Reading { glossary: &self.glossary, db: &self.db };
        let mut cells = self.db.prepare_cached(seal::LIVE)?;
        let quarter = |ms| Span::Quarter.cell_of(ms);
        let mut cells = cells.query([quarter(piece.range.start), quarter(piece.range.end)])?;
        while let Some(cell) = cells.next()? {
            let at = Span::Quarter.start_ms(cell.get(0)?);
            let mut sums =
                Unpack::new(cell.get_ref(4)?.as_blob().map_err(|_| StoreError::Damaged)?);
            let counted = (cell.get(2)?, cell.get(3)?);
            part.add_packed((piece.sign, at), cell.get(1)?, counted, &mut sums, &names)?;
        }
        Ok(())
    }

    fn sum_receipts(
        &self,
        selection: &Selection,
        piece: &Piece,
        part: &mut Part<'_>,
    ) -> Result<(), StoreError> {
        let rows = Selection {
            lanes: Rc::clone(&selection.lanes),
            tags: selection.tags.clone(),
            ids: selection.ids.clone(),
            by_use: selection.by_use,
            by_road: selection.by_road,
            from: ordinal_at(Timestamp::from_millis(piece.range.start)),
            to: ordinal_at(Timestamp::from_millis(piece.range.end)),
        };
        self.visit(rows, |questions, receipt| {
            let lane = questions.lane_of(receipt.id.ordinal())?;
            let at = receipt.id.ordinal() >> 12;
            part.add(piece.sign, at, lane, &Tally::of(&receipt));
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

    fn name(&self, grid: Grid) -> Result<Usage, StoreError> {
        let mut rows = Vec::new();
        for (group, sums) in grid.rows {
            rows.push((self.text(group)?, self.figures_of(sums)?));
        }
        let series = grid.series.into_iter().map(|sums| self.figures_of(sums));
        Ok(Usage {
            series: series.collect::<Result<_, _>>()?,
            totals: self.figures_of(grid.totals)?,
            rows,
        })
    }

    fn text(&self, group: Group) -> Result<Option<String>, StoreError> {
        Ok(match group {
            Group::Name(id) => self.glossary.text(&self.db, id)?.map(String::from),
            Group::Word(word) => Some(word.to_owned()),
            // Cells were taken apart before anybody names them.
            Group::All | Group::Each(_) => None,
        })
    }

    fn figures_of(&self, sums: Sums) -> Result<Figures, StoreError> {
        sums.figures(|id| Ok(self.glossary.text(&self.db, id)?))
    }
}

/// Which row of the table something counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Group {
    /// The table has no rows by lane.
    All,
    Name(NameId),
    Word(&'static str),
    /// In the row of each of these.
    Each(Capabilities),
}

impl Group {
    /// The rows it stands for.
    fn rows(self) -> Vec<Self> {
        match self {
            Self::Each(none) if none.is_empty() => vec![Self::Name(NameId::ABSENT)],
            Self::Each(all) => all.iter().map(|one| Self::Word(one.as_str())).collect(),
            Self::All | Self::Name(_) | Self::Word(_) => vec![self],
        }
    }

    fn of(lane: &Lane, dimension: &Dimension) -> Self {
        match dimension {
            Dimension::Model => Self::Name(lane.model),
            Dimension::Provider => Self::Name(lane.provider),
            Dimension::Key => Self::Name(lane.key),
            Dimension::Pass => Self::Name(lane.pass),
            Dimension::Workspace => Self::Name(lane.workspace),
            Dimension::Client => Self::Name(lane.client),
            Dimension::Status => Self::Word(lane.status.as_str()),
            Dimension::Kind => Self::Word(lane.kind.as_str()),
            Dimension::Technology => match lane.technology {
                Some(technology) => Self::Word(technology.as_str()),
                None => Self::Name(NameId::ABSENT),
            },
            Dimension::Capability => Self::Each(lane.capabilities),
            Dimension::Tag(_) => Self::All,
        }
    }
}

/// Everything a question adds up.
#[derive(Default)]
struct Grid {
    totals: Sums,
    rows: BTreeMap<Group, Sums>,
    series: Vec<Sums>,
}

impl Grid {
    fn of(cells: Vec<Cell>, buckets: usize) -> Self {
        let mut grid = Self { series: vec![Sums::default(); buckets], ..Self::default() };
        for Cell { bucket, groups: [group, ..], mut sums } in cells {
            sums.tidy();
            if sums.is_empty() {
                continue;
            }
            grid.totals.merge(&sums);
            if let Some(bucket) = bucket {
                grid.series[bucket].merge(&sums);
            }
            for group in group.rows() {
                match grid.rows.entry(group) {
                    Entry::Vacant(row) => drop(row.insert(sums.clone())),
                    Entry::Occupied(mut row) => row.get_mut().merge(&sums),
                }
            }
        }
        grid
    }
}

/// What is added up first: each bucket's part of each row.
struct Cell {
    bucket: Option<usize>,
    groups: [Group; MOST_DIMENSIONS],
    sums: Sums,
}

/// Cells of sets of capabilities as cells of each of them.
fn each_capability_apart(cells: Vec<Cell>, by: &[&Dimension]) -> Vec<Cell> {
    let Some(at) = by.iter().position(|one| **one == Dimension::Capability) else { return cells };
    if at >= MOST_DIMENSIONS {
        return cells;
    }
    let mut apart: BTreeMap<(Option<usize>, [Group; MOST_DIMENSIONS]), Sums> = BTreeMap::new();
    for Cell { bucket, groups, sums } in cells {
        for row in groups[at].rows() {
            let mut groups = groups;
            groups[at] = row;
            apart.entry((bucket, groups)).or_default().merge(&sums);
        }
    }
    let cells = apart.into_iter();
    cells.map(|((bucket, groups), sums)| Cell { bucket, groups, sums }).collect()
}

/// Dimensions that one table tells apart.
const MOST_DIMENSIONS: usize = 3;

/// Whether the costs of each day are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Days {
    Together,
    Apart,
}

/// Whether a question is about what calls exercised.
fn tells_use(selection: &Selection, by: &[&Dimension]) -> bool {
    let told = |one: &&Dimension| matches!(one, Dimension::Technology | Dimension::Capability);
    selection.by_use || by.iter().any(told)
}

/// Whether lanes of a road count in the same row.
fn is_of_roads(dimension: &Dimension) -> bool {
    match dimension {
        Dimension::Model
        | Dimension::Provider
        | Dimension::Key
        | Dimension::Pass
        | Dimension::Workspace
        | Dimension::Status
        | Dimension::Kind
        | Dimension::Tag(_) => true,
        Dimension::Client | Dimension::Technology | Dimension::Capability => false,
    }
}

/// What answers for figures, the coarsest first.
const ROWS: [Rows; 4] = [Rows::Months, Rows::Weeks, Rows::Days, Rows::Quarters];

/// The same where lanes of a road are one. Where roads are not sealed yet, lanes answer.
const ROWS_BY_ROAD: [Rows; 7] = [
    Rows::MonthsOfRoads,
    Rows::WeeksOfRoads,
    Rows::DaysOfRoads,
    Rows::Months,
    Rows::Weeks,
    Rows::Days,
    Rows::Quarters,
];

/// Weeks and months cannot tell what a day cost.
const ROWS_OF_DAYS: [Rows; 2] = [Rows::Days, Rows::Quarters];
const ROWS_OF_DAYS_BY_ROAD: [Rows; 3] = [Rows::DaysOfRoads, Rows::Days, Rows::Quarters];

/// What is added up of the cells of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Figures(Reads),
    /// The cost of each day by itself, which is quick to read past everything else.
    CostOfDay,
}

/// The UTC day of an instant in milliseconds, counted from 1970.
fn day(millis: i64) -> i64 {
    Span::Day.cell_of(millis)
}

/// In which row of the table each selected lane counts.
struct TableRows<'a> {
    groups: Vec<[Group; MOST_DIMENSIONS]>,
    of_lane: ByLane<(usize, &'a Lane)>,
}

impl<'a> TableRows<'a> {
    fn of(selection: &Selection, lanes: &'a Lanes, by: &[&Dimension]) -> Result<Self, StoreError> {
        let mut rows = Self { groups: Vec::new(), of_lane: ByLane::default() };
        let mut known = HashMap::new();
        for id in selection.lanes.iter() {
            let lane = lanes.get(*id)?;
            let mut groups = [Group::All; MOST_DIMENSIONS];
            for (group, dimension) in groups.iter_mut().zip(by) {
                *group = Group::of(lane, dimension);
            }
            let row = *known.entry(groups).or_insert_with(|| {
                rows.groups.push(groups);
                rows.groups.len() - 1
            });
            rows.of_lane.insert(*id, (row, lane));
        }
        Ok(rows)
    }
}

/// What something comes to, by row of the table.
type RowSums = Vec<Option<Box<Sums>>>;

/// Pieces that a segment of the period and the next both need, and what they come to.
type Shared = Vec<(Piece, RowSums)>;

/// What one segment of the period comes to.
struct Part<'a> {
    rows: &'a TableRows<'a>,
    sums: RowSums,
    counts: Counts,
    layers: &'a [Layer],
}

impl Part<'_> {
    /// Adds what was read before, or takes it away.
    fn merge(&mut self, sign: Sign, others: &RowSums) {
        for (sums, other) in self.sums.iter_mut().zip(others) {
            match (other, sign) {
                (None, _) => {}
                (Some(other), Sign::Plus) => sums.get_or_insert_default().merge(other),
                (Some(other), Sign::Minus) => sums.get_or_insert_default().take_away(other),
            }
        }
    }

    /// `at` is an instant of the day it counts on, in milliseconds.
    fn add(&mut self, sign: Sign, at: i64, lane: LaneId, tally: &Tally) {
        let counts = self.counts;
        let Some((sums, lane)) = self.sums(lane) else { return };
        match (counts, sign) {
            (Counts::Figures(_), Sign::Plus) => sums.add(lane, tally),
            (Counts::Figures(_), Sign::Minus) => sums.subtract(lane, tally),
            (Counts::CostOfDay, _) => sums.on_day(sign, day(at), lane, tally.cost),
        }
    }

    /// The same of a rollup cell as it lies in the ledger.
    fn add_packed(
        &mut self,
        (sign, at): (Sign, i64),
        lane: LaneId,
        counted: (i64, i128),
        sums: &mut Unpack<'_>,
        names: &impl Unspell,
    ) -> Result<(), StoreError> {
        let counts = self.counts;
        let Some((into, lane)) = self.sums(lane) else { return Ok(()) };
        match counts {
            Counts::Figures(reads) => {
                into.add_packed((sign, reads), lane, counted, sums, names)?;
            }
            Counts::CostOfDay => into.on_day(sign, day(at), lane, counted.1),
        }
        Ok(())
    }

    /// Where receipts of this lane count, if it is selected.
    fn sums(&mut self, lane: LaneId) -> Option<(&mut Sums, &Lane)> {
        let (row, lane) = self.rows.of_lane.get(&lane)?;
        Some((self.sums[*row].get_or_insert_default(), lane))
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
