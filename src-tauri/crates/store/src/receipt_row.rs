//! A row of the receipt table, read back into the receipt it was.

use meter::receipt::{Receipt, Settlement};
use meter::{Money, ReceiptId};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::alias::Aliases;
use crate::detail::take_detail;
use crate::lane::{self, ByLane, Lane, LaneId};
use crate::lines::take_settlement;
use crate::names::{Glossary, Reading};
use crate::pack::{Unpack, UnpackError};
use crate::record::blank;

/// One row by ordinal; the columns [`read`] wants.
pub(crate) const ONE: &str = "SELECT ordinal, lane, cost, detail FROM receipt WHERE ordinal = ?1";
pub(crate) const SETTLEMENTS: &str = "SELECT fact FROM settlement WHERE ordinal = ?1 ORDER BY seq";

/// The whole id of the receipt with an ordinal.
pub(crate) fn id(db: &Connection, ordinal: i64) -> rusqlite::Result<Option<ReceiptId>> {
    let detail: Option<Vec<u8>> =
        db.prepare_cached(ONE)?.query_row([ordinal], |row| row.get(3)).optional()?;
    let random = detail.and_then(|detail| {
        let bytes = detail.get(1..9)?.try_into().ok()?;
        Some(u64::from_be_bytes(bytes))
    });
    Ok(random.map(|random| ReceiptId::from_parts(ordinal, random)))
}

/// Every lane read so far. Lanes never change and are never removed, so a lane read once
/// stays true; only the names that passes and workspaces in it are shown under may change.
#[derive(Default)]
pub(crate) struct Lanes {
    by_id: ByLane<Lane>,
    last: LaneId,
    /// None on the writing side, which deals in names as they stand on receipts.
    aliases: Aliases,
}

impl Lanes {
    /// Reads the lanes that were added since.
    pub(crate) fn refresh(&mut self, db: &Connection) -> Result<(), UnpackError> {
        let mut rows = db.prepare_cached(lane::AFTER)?;
        let mut rows = rows.query([self.last])?;
        while let Some(row) = rows.next()? {
            let (id, lane) = Lane::from_row(row)?;
            self.by_id.insert(id, self.aliases.shown(lane));
            self.last = id;
        }
        Ok(())
    }

    /// The same, with every lane under the names of today.
    pub(crate) fn refresh_shown(&mut self, db: &Connection) -> Result<(), UnpackError> {
        let aliases = Aliases::read(db)?;
        if aliases != self.aliases {
            *self = Self { aliases, ..Self::default() };
        }
        self.refresh(db)
    }

    /// What names lead on.
    pub(crate) fn aliases(&self) -> &Aliases {
        &self.aliases
    }

    pub(crate) fn get(&self, id: LaneId) -> Result<&Lane, UnpackError> {
        self.by_id.get(&id).ok_or(UnpackError::Damaged)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LaneId, &Lane)> {
        self.by_id.iter().map(|(id, lane)| (*id, lane))
    }
}

/// Reads a row of [`ONE`]'s columns.
pub(crate) fn read(
    row: &Row<'_>,
    db: &Connection,
    glossary: &Glossary,
    lanes: &Lanes,
) -> Result<Receipt, UnpackError> {
    let names = Reading { glossary, db };
    let ordinal: i64 = row.get(0)?;
    let lane = lanes.get(row.get(1)?)?;
    let mut receipt = blank(ReceiptId::from_parts(ordinal, 0));
    fill_from_lane(&mut receipt, lane, &names)?;
    receipt.cost = row.get::<_, Option<i128>>(2)?.map(Money::from_attos);
    let detail = row.get_ref(3)?.as_blob().map_err(|_| UnpackError::Damaged)?;
    take_detail(&mut receipt, &mut Unpack::new(detail), &names)?;
    if lane.settled {
        receipt.settlements = settlements(ordinal, &names)?;
    }
    Ok(receipt)
}

fn fill_from_lane(r: &mut Receipt, lane: &Lane, names: &Reading<'_>) -> Result<(), UnpackError> {
    let text = |id| names.glossary.text(names.db, id);
    r.model = text(lane.model)?;
    r.provider = text(lane.provider)?.ok_or(UnpackError::Damaged)?;
    r.key = text(lane.key)?;
    r.pass = text(lane.pass)?;
    r.workspace = text(lane.workspace)?.ok_or(UnpackError::Damaged)?;
    r.client = text(lane.client)?;
    let currency = text(lane.currency)?.ok_or(UnpackError::Damaged)?;
    r.currency = currency.parse().map_err(|_| UnpackError::Damaged)?;
    r.kind = lane.kind;
    r.http_status = lane.http_status;
    r.stream = lane.stream;
    Ok(())
}

fn settlements(ordinal: i64, names: &Reading<'_>) -> Result<Vec<Settlement>, UnpackError> {
    let mut rows = names.db.prepare_cached(SETTLEMENTS)?;
    let mut rows = rows.query([ordinal])?;
    let mut settlements = Vec::new();
    while let Some(row) = rows.next()? {
        let fact = row.get_ref(0)?.as_blob().map_err(|_| UnpackError::Damaged)?;
        settlements.push(take_settlement(&mut Unpack::new(fact), names)?);
    }
    Ok(settlements)
}
