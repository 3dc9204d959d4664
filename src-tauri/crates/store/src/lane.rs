//! A lane: everything about a receipt that one filters or groups by. Few distinct lanes
//! exist, so each receipt carries one small number and one index serves every combination
//! of filters; rollups are kept per lane.

use meter::Receipt;
use meter::receipt::{Capability, Kind, Status, Technology};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::codes::Coded;
use crate::names::{ByRow, NameId, Names};
use crate::pack::UnpackError;

/// One combination of what receipts are filtered and grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    /// The model served, else the one requested.
    pub(crate) model: NameId,
    pub(crate) provider: NameId,
    pub(crate) key: NameId,
    pub(crate) pass: NameId,
    pub(crate) workspace: NameId,
    pub(crate) client: NameId,
    pub(crate) currency: NameId,
    pub(crate) kind: Kind,
    /// As it stands: the receipt's own, or a later settlement's.
    pub(crate) status: Status,
    pub(crate) http_status: Option<u16>,
    pub(crate) stream: bool,
    pub(crate) demo: bool,
    /// There are settlements to read along with the receipt.
    pub(crate) settled: bool,
    pub(crate) technology: Option<Technology>,
    pub(crate) capabilities: Capabilities,
}

/// What calls exercised: a bit for each capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Capabilities(u32);

impl Capabilities {
    pub(crate) fn of(list: &[Capability]) -> Self {
        Self(list.iter().fold(0, |bits, one| bits | 1 << one.code()))
    }

    pub(crate) fn has(self, one: Capability) -> bool {
        self.0 & (1 << one.code()) != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |one| self.has(*one))
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The row of a lane.
pub(crate) type LaneId = i64;

/// Something about each lane.
pub(crate) type ByLane<T> = ByRow<LaneId, T>;

pub(crate) const FIND: &str = "SELECT id FROM lane
    WHERE model = ?1 AND provider = ?2 AND key = ?3 AND pass = ?4 AND workspace = ?5
      AND client = ?6 AND currency = ?7 AND kind = ?8 AND status = ?9 AND http_status = ?10
      AND stream = ?11 AND demo = ?12 AND settled = ?13 AND technology = ?14
      AND capabilities = ?15";
const ADD: &str = "INSERT INTO lane (model, provider, key, pass, workspace, client, currency,
        kind, status, http_status, stream, demo, settled, technology, capabilities)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
/// The columns [`Lane::from_row`] reads, after the id.
pub(crate) const AFTER: &str = "SELECT id, model, provider, key, pass, workspace, client,
        currency, kind, status, http_status, stream, demo, settled, technology, capabilities
    FROM lane WHERE id > ?1 ORDER BY id";

impl Lane {
    /// The lane of a receipt whose status is now this one.
    pub(crate) fn of(
        receipt: &Receipt,
        status: Status,
        names: &mut Names,
        db: &Connection,
    ) -> rusqlite::Result<Self> {
        let mut name =
            |text: Option<&str>| text.map_or(Ok(NameId::ABSENT), |t| names.intern(db, t));
        Ok(Self {
            model: name(receipt.model.as_deref().or(receipt.model_requested.as_deref()))?,
            provider: name(Some(&receipt.provider))?,
            key: name(receipt.key.as_deref())?,
            pass: name(receipt.pass.as_deref())?,
            workspace: name(Some(&receipt.workspace))?,
            client: name(receipt.client.as_deref())?,
            currency: name(Some(receipt.currency.as_str()))?,
            kind: receipt.kind,
            status,
            http_status: receipt.http_status,
            stream: receipt.stream,
            demo: receipt.is_demo(),
            settled: !receipt.settlements.is_empty(),
            technology: receipt.technology,
            capabilities: Capabilities::of(&receipt.capabilities),
        })
    }

    /// Its row, made if there is none yet.
    pub(crate) fn find_or_add(&self, db: &Connection) -> rusqlite::Result<LaneId> {
        let columns = params![
            self.model,
            self.provider,
            self.key,
            self.pass,
            self.workspace,
            self.client,
            self.currency,
            self.kind.code(),
            self.status.code(),
            self.http_status.unwrap_or(0),
            self.stream,
            self.demo,
            self.settled,
            self.technology.map_or(0, Coded::code),
            self.capabilities.0,
        ];
        let found = db.prepare_cached(FIND)?.query_row(columns, |row| row.get(0)).optional()?;
        match found {
            Some(id) => Ok(id),
            None => db.prepare_cached(ADD)?.insert(columns),
        }
    }

    /// Reads a row of [`AFTER`].
    pub(crate) fn from_row(row: &Row<'_>) -> Result<(LaneId, Self), UnpackError> {
        let http_status = Some(row.get(10)?).filter(|code| *code != 0);
        let lane = Self {
            model: row.get(1)?,
            provider: row.get(2)?,
            key: row.get(3)?,
            pass: row.get(4)?,
            workspace: row.get(5)?,
            client: row.get(6)?,
            currency: row.get(7)?,
            kind: Kind::from_code(row.get(8)?)?,
            status: Status::from_code(row.get(9)?)?,
            http_status,
            stream: row.get(11)?,
            demo: row.get(12)?,
            settled: row.get(13)?,
            technology: match row.get(14)? {
                0 => None,
                code => Some(Technology::from_code(code)?),
            },
            capabilities: Capabilities(row.get(15)?),
        };
        Ok((row.get(0)?, lane))
    }
}
