//! Roads: lanes side by side, which differ only in what most questions do not ask about (client,
//! HTTP status, stream, technology, capabilities, settlements). Sums of years are kept by road as
//! well, so that pages need not add up every lane.

use std::collections::HashMap;

use meter::receipt::{Kind, Status};
use rusqlite::Connection;

use crate::lane::{self, ByLane, Lane, LaneId};
use crate::names::NameId;
use crate::pack::UnpackError;
use crate::rollup::LaneSums;

/// What all lanes of a road have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Road {
    model: NameId,
    provider: NameId,
    key: NameId,
    pass: NameId,
    workspace: NameId,
    currency: NameId,
    kind: Kind,
    status: Status,
    demo: bool,
}

impl Road {
    fn of(lane: &Lane) -> Self {
        let Lane { model, provider, key, pass, workspace, currency, kind, status, demo, .. } =
            *lane;
        Self { model, provider, key, pass, workspace, currency, kind, status, demo }
    }
}

/// The roads of all lanes, by names as they stand on receipts. A road goes by the number of its
/// first lane, which stays the first: lanes are only ever added.
#[derive(Default)]
pub(crate) struct Roads {
    first: HashMap<Road, LaneId>,
    of_lane: ByLane<LaneId>,
    last: LaneId,
}

impl Roads {
    /// Reads the lanes that were added since.
    pub(crate) fn refresh(&mut self, db: &Connection) -> Result<(), UnpackError> {
        let mut rows = db.prepare_cached(lane::AFTER)?;
        let mut rows = rows.query([self.last])?;
        while let Some(row) = rows.next()? {
            let (id, lane) = Lane::from_row(row)?;
            self.of_lane.insert(id, *self.first.entry(Road::of(&lane)).or_insert(id));
            self.last = id;
        }
        Ok(())
    }

    /// The same sums by road. A lane that nobody knows is a road of its own.
    pub(crate) fn fold(&self, sums: LaneSums) -> LaneSums {
        let mut folded = LaneSums::new();
        for (lane, sum) in sums {
            let road = self.of_lane.get(&lane).copied().unwrap_or(lane);
            folded.entry(road).or_default().add(&sum);
        }
        folded.values_mut().for_each(|sum| sum.tidy());
        folded
    }
}
