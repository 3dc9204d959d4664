//! Figures of every lane apart, one bucket after the other: what an export by the hour has a
//! row for each of. Adds up as [`super`] does, and reads nothing outside the buckets.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use meter::receipt::{Capability, Kind, Status, Technology};
use meter::{Currency, Timestamp};

use super::{Counts, Dimension, Group, MOST_DIMENSIONS, Part, Shared, TableRows, segments};
use crate::error::StoreError;
use crate::figures::Figures;
use crate::filter::Filter;
use crate::lane::{ByLane, Lane, LaneId};
use crate::pieces::layers;
use crate::questions::Questions;
use crate::receipt_row::Lanes;
use crate::seal::Sealed;
use crate::tally::Reads;

/// What the calls of one sort came to in one bucket. Lists of receipts can be filtered by
/// everything that tells sorts apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRow {
    /// Which bucket, counted from 0.
    pub bucket: usize,
    /// The model served or, where that is unknown, the one requested.
    pub model: Option<String>,
    /// Who was paid.
    pub provider: Option<String>,
    /// The stored key's label.
    pub key: Option<String>,
    /// The pass's label.
    pub pass: Option<String>,
    /// The workspace.
    pub workspace: Option<String>,
    /// The calling program.
    pub client: Option<String>,
    /// The currency of the costs.
    pub currency: Currency,
    /// What sort of call.
    pub kind: Kind,
    /// What sort of model, where the format tells.
    pub technology: Option<Technology>,
    /// What the calls exercised.
    pub capabilities: Vec<Capability>,
    /// How it ended, settlements counted in.
    pub status: Status,
    /// The HTTP status, if upstream answered.
    pub http_status: Option<u16>,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// What they came to.
    pub figures: Figures,
}

impl LaneRow {
    /// The order of rows in a bucket.
    fn in_order(&self, other: &Self) -> Ordering {
        fn names(row: &LaneRow) -> [&Option<String>; 6] {
            [&row.workspace, &row.pass, &row.key, &row.provider, &row.model, &row.client]
        }
        let words = |row: &Self| {
            (row.kind.as_str(), row.status.as_str(), row.http_status, row.stream, row.currency)
        };
        let uses = |row: &Self| {
            let exercised: Vec<_> = row.capabilities.iter().map(|one| one.as_str()).collect();
            (row.technology.map(Technology::as_str), exercised)
        };
        let by_words = names(self).cmp(&names(other)).then_with(|| words(self).cmp(&words(other)));
        by_words.then_with(|| uses(self).cmp(&uses(other)))
    }
}

impl Questions {
    /// What a filter's receipts came to, each lane apart, in the buckets between these
    /// ascending edges; the oldest bucket first, nothing where nothing was called.
    pub fn lane_rows(
        &self,
        filter: &Filter,
        edges: &[Timestamp],
    ) -> Result<Vec<LaneRow>, StoreError> {
        self.at_one_instant(|| {
            let selection = self.select(filter)?;
            let rows = self.rows_for(&selection, &[&Dimension::Capability])?.0;
            let coarse = match selection.is_of_lanes() {
                true => layers(&Sealed::read(&self.db)?, rows),
                false => self.layers_of_tags(&selection)?,
            };
            let lanes = self.lanes();
            let (rows, kinds) = alike(&selection.lanes, &lanes)?;
            let mut found = Vec::new();
            for (range, bucket) in segments(self.period(&selection)?, edges) {
                let Some(bucket) = bucket else { continue };
                let (begin, sums) = (found.len(), rows.groups.iter().map(|_| None).collect());
                let mut part = Part {
                    rows: &rows,
                    sums,
                    counts: Counts::Figures(Reads::AllButOverhead),
                    layers: &coarse,
                };
                self.sum(&selection, (&range, None), &mut part, &mut Shared::new())?;
                for (lane, sums) in kinds.iter().zip(part.sums) {
                    let Some(mut sums) = sums else { continue };
                    sums.tidy();
                    if !sums.is_empty() {
                        found.push(self.lane_row(bucket, lane, self.figures_of(*sums)?)?);
                    }
                }
                found[begin..].sort_unstable_by(LaneRow::in_order);
            }
            Ok(found)
        })
    }

    /// The period of a filter, no longer than there are receipts of.
    pub fn extent(&self, filter: &Filter) -> Result<Range<Timestamp>, StoreError> {
        self.at_one_instant(|| {
            let period = self.period(&self.select(filter)?)?;
            Ok(Timestamp::from_millis(period.start)..Timestamp::from_millis(period.end))
        })
    }

    fn lane_row(
        &self,
        bucket: usize,
        lane: &Lane,
        figures: Figures,
    ) -> Result<LaneRow, StoreError> {
        let name = |id| -> Result<Option<String>, StoreError> {
            Ok(self.glossary.text(&self.db, id)?.map(String::from))
        };
        let currency = name(lane.currency)?.and_then(|code| code.parse().ok());
        Ok(LaneRow {
            bucket,
            model: name(lane.model)?,
            provider: name(lane.provider)?,
            key: name(lane.key)?,
            pass: name(lane.pass)?,
            workspace: name(lane.workspace)?,
            client: name(lane.client)?,
            currency: currency.ok_or(StoreError::Damaged)?,
            kind: lane.kind,
            technology: lane.technology,
            capabilities: lane.capabilities.iter().collect(),
            status: lane.status,
            http_status: lane.http_status,
            stream: lane.stream,
            figures,
        })
    }
}

/// One row for all lanes that are shown alike: some differ only in having settlements, or in
/// names that lead to the same one today.
fn alike<'a>(
    selected: &HashSet<LaneId>,
    lanes: &'a Lanes,
) -> Result<(TableRows<'a>, Vec<Lane>), StoreError> {
    let mut rows = TableRows { groups: Vec::new(), of_lane: ByLane::default() };
    let (mut known, mut kinds) = (HashMap::new(), Vec::new());
    for id in selected {
        let lane = lanes.get(*id)?;
        let shown = Lane { settled: false, ..*lane };
        let row = *known.entry(shown).or_insert_with(|| {
            rows.groups.push([Group::All; MOST_DIMENSIONS]);
            kinds.push(shown);
            kinds.len() - 1
        });
        rows.of_lane.insert(*id, (row, lane));
    }
    Ok((rows, kinds))
}
