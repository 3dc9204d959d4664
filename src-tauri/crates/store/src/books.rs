//! The writing side of the ledger: receipts, their index rows and the rollups they count in,
//! all in one transaction. Only the writer thread has one.

use std::collections::HashMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use meter::receipt::{Receipt, Status};
use rusqlite::{Connection, OptionalExtension, params};

use crate::detail::put_detail;
use crate::displaced::FileId;
use crate::error::StoreError;
use crate::lane::{Lane, LaneId};
use crate::lines::put_settlement;
use crate::names::{Glossary, Interning, NameId, Names};
use crate::pack::UnpackError;
use crate::receipt_row;
use crate::road::Roads;
use crate::rollup::{Cells, LaneSums};
use crate::schema;
use crate::seal::{SealsLeft, seal};
use crate::settlement;
use crate::standing::Standing;
use crate::tally::{Sign, Tally};
use crate::workspaces::PutAway;

/// The open ledger, for the one who writes it.
pub(crate) struct Books {
    pub(crate) db: Connection,
    /// The file that is written.
    file: Option<FileId>,
    pub(crate) names: Names,
    pub(crate) glossary: Glossary,
    lanes: HashMap<Lane, LaneId>,
    roads: Roads,
    passes_seen: HashMap<Box<str>, i64>,
    /// Absent: to be read anew.
    pub(crate) put_away: Option<PutAway>,
    /// The youngest receipt seen, in milliseconds since 1970.
    pub(crate) newest_ms: i64,
    /// When there may be a cell to seal.
    next_seal_ms: i64,
    /// Arrivals since old ones were forgotten.
    untrimmed: u64,
}

/// What became of a batch of receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// New in the ledger.
    pub(crate) new: u64,
    /// In the ledger already: recovered twice, or repeated.
    pub(crate) known: u64,
    /// Another receipt has the same ordinal. Never seen; counted rather than hidden.
    pub(crate) collided: u64,
}

const ADD_RECEIPT: &str =
    "INSERT OR IGNORE INTO receipt (ordinal, lane, cost, detail) VALUES (?1, ?2, ?3, ?4)";
const ADD_TAG: &str = "INSERT INTO tag (name, value, ordinal) VALUES (?1, ?2, ?3)";
const ADD_RESERVATION: &str = "INSERT INTO reservation (ordinal, amount) VALUES (?1, ?2)";
const ADD_ARRIVAL: &str = "INSERT INTO arrival (ordinal) VALUES (?1)";
const ADD_SETTLEMENT: &str = "INSERT INTO settlement (ordinal, seq, fact) VALUES (?1, ?2, ?3)";
const ADD_AWAITED: &str = "INSERT INTO awaited (job, ordinal) VALUES (?1, ?2)";
/// Followers that fall further behind than this miss some.
pub(crate) const TRIM_ARRIVALS: &str =
    "DELETE FROM arrival WHERE seq <= (SELECT max(seq) FROM arrival) - 10000";
const TRIMMED_AT_ONCE: u64 = 256;
pub(crate) const PASS_USED: &str = "UPDATE pass SET last_used = max(coalesce(last_used, 0), ?2)
    WHERE label = coalesce(
        (SELECT now.text FROM name AS was
            JOIN alias ON alias.sort = 0 AND alias.name = was.id
            JOIN name AS now ON now.id = alias.now
            WHERE was.text = ?1),
        ?1)";

/// Lanes have a practical end; a client that makes up model names does not.
const MOST_CACHED: usize = 20_000;

/// Periods whose cells are added up in one transaction; a hundred take some ten milliseconds.
pub(crate) const SEALED_AT_ONCE: usize = 100;

impl Books {
    /// Opens, makes or migrates the ledger of a home.
    pub(crate) fn open(home: &Path) -> Result<Self, StoreError> {
        let db = schema::open_for_writing(home)?;
        let newest = last_ordinal(&db, tomorrow())?;
        Ok(Self {
            db,
            file: FileId::at(&home.join(schema::FILE)),
            names: Names::default(),
            glossary: Glossary::default(),
            lanes: HashMap::new(),
            roads: Roads::default(),
            passes_seen: HashMap::new(),
            put_away: None,
            newest_ms: newest >> 12,
            next_seal_ms: 0,
            untrimmed: TRIMMED_AT_ONCE,
        })
    }

    /// Whether the file that is written still stands in its place.
    pub(crate) fn is_in_place(&self, home: &Path) -> bool {
        self.file == FileId::at(&home.join(schema::FILE))
    }

    /// Whether SQLite finds nothing wrong with the file. Takes as long as it is large.
    pub(crate) fn is_whole(&self) -> bool {
        let said = self.db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        said.is_ok_and(|said| said == "ok")
    }

    /// Does something in one transaction; all of it or nothing.
    pub(crate) fn write<T, E: From<rusqlite::Error>>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let done = act(self).and_then(|done| {
            self.db.execute_batch("COMMIT")?;
            Ok(done)
        });
        if done.is_err() {
            // SQLite may have rolled back by itself; then this is the error to ignore.
            let _ = self.db.execute_batch("ROLLBACK");
            self.names.forget();
            self.lanes.clear();
            self.roads = Roads::default();
            self.passes_seen.clear();
            self.put_away = None;
            self.next_seal_ms = 0;
        }
        done
    }

    /// Records receipts in one transaction. Those already in the ledger are skipped.
    pub(crate) fn record<'a>(
        &mut self,
        receipts: impl Iterator<Item = &'a Receipt>,
    ) -> rusqlite::Result<Recorded> {
        self.write(|books| {
            let (mut recorded, mut cells) = (Recorded::default(), Cells::default());
            for receipt in receipts {
                books.newest_ms = books.newest_ms.max(receipt.id.minted_at().millis());
                books.record_one(receipt, &mut recorded, &mut cells)?;
            }
            cells.write(books)?;
            books.seal_some()?;
            books.trim_arrivals(recorded.new)?;
            Ok(recorded)
        })
    }

    /// Seals cells whose time is over, a few at once, so that nobody waits for many.
    fn seal_some(&mut self) -> rusqlite::Result<()> {
        if self.newest_ms < self.next_seal_ms {
            return Ok(());
        }
        match seal(self, self.newest_ms, SEALED_AT_ONCE) {
            Ok(SealsLeft::Some) => Ok(()),
            Ok(SealsLeft::None) => {
                // Once a quarter of an hour is often enough to look.
                self.next_seal_ms = self.newest_ms + 15 * 60 * 1000;
                Ok(())
            }
            Err(UnpackError::Sqlite(error)) => Err(error),
            // Every sum is read with care for damage, and what is not sealed stays live.
            Err(UnpackError::Damaged) => Ok(()),
        }
    }

    /// Forgets old arrivals now and then: each time is one more page to write.
    fn trim_arrivals(&mut self, new: u64) -> rusqlite::Result<()> {
        self.untrimmed += new;
        if self.untrimmed >= TRIMMED_AT_ONCE {
            self.db.prepare_cached(TRIM_ARRIVALS)?.execute([])?;
            self.untrimmed = 0;
        }
        Ok(())
    }

    fn record_one(
        &mut self,
        receipt: &Receipt,
        recorded: &mut Recorded,
        cells: &mut Cells,
    ) -> rusqlite::Result<()> {
        let ordinal = receipt.id.ordinal();
        let lane = self.lane(receipt)?;
        let mut detail = Vec::with_capacity(256);
        put_detail(&mut detail, receipt, &mut self.interning())?;
        let cost = receipt.cost.map(|cost| cost.attos());
        let added =
            self.db.prepare_cached(ADD_RECEIPT)?.execute(params![ordinal, lane, cost, detail])?;
        if added == 0 {
            match receipt_row::id(&self.db, ordinal)? {
                Some(id) if id == receipt.id => recorded.known += 1,
                Some(_) | None => recorded.collided += 1,
            }
            return Ok(());
        }
        self.add_satellites(receipt)?;
        self.pass_used(receipt)?;
        self.brought_back(receipt)?;
        let tally = Tally::of(receipt);
        cells.add(ordinal, lane, &tally);
        cells.tags.count(Sign::Plus, receipt, (lane, &tally), |text| self.name(text))?;
        recorded.new += 1;
        Ok(())
    }

    /// The lane of a receipt as it stands.
    pub(crate) fn lane(&mut self, receipt: &Receipt) -> rusqlite::Result<LaneId> {
        let status = Standing::of(receipt).status;
        let lane = Lane::of(receipt, status, &mut self.names, &self.db)?;
        if let Some(id) = self.lanes.get(&lane) {
            return Ok(*id);
        }
        let id = lane.find_or_add(&self.db)?;
        if self.lanes.len() >= MOST_CACHED {
            self.lanes.clear();
        }
        self.lanes.insert(lane, id);
        Ok(id)
    }

    /// The number of a text.
    pub(crate) fn name(&mut self, text: &str) -> rusqlite::Result<NameId> {
        self.names.intern(&self.db, text)
    }

    /// Sums of lanes as sums of roads.
    pub(crate) fn by_road(&mut self, sums: LaneSums) -> rusqlite::Result<LaneSums> {
        match self.roads.refresh(&self.db) {
            // A lane that cannot be read stays a road of its own.
            Ok(()) | Err(UnpackError::Damaged) => Ok(self.roads.fold(sums)),
            Err(UnpackError::Sqlite(error)) => Err(error),
        }
    }

    pub(crate) fn interning(&mut self) -> Interning<'_> {
        Interning { names: &mut self.names, db: &self.db }
    }

    fn add_satellites(&mut self, receipt: &Receipt) -> rusqlite::Result<()> {
        let ordinal = receipt.id.ordinal();
        self.db.prepare_cached(ADD_ARRIVAL)?.execute([ordinal])?;
        if let Some(reserved) = receipt.reserved {
            self.db.prepare_cached(ADD_RESERVATION)?.execute(params![ordinal, reserved.attos()])?;
        }
        for (name, value) in &receipt.tags {
            let name = self.names.intern(&self.db, name)?;
            let value = self.names.intern(&self.db, value)?;
            self.db.prepare_cached(ADD_TAG)?.execute(params![name, value, ordinal])?;
        }
        for (seq, settlement) in receipt.settlements.iter().enumerate() {
            let mut fact = Vec::new();
            put_settlement(&mut fact, settlement, &mut self.interning())?;
            self.db.prepare_cached(ADD_SETTLEMENT)?.execute(params![ordinal, seq as i64, fact])?;
        }
        if let (Status::Pending, Some(response)) =
            (Standing::of(receipt).status, &receipt.response_id)
        {
            let job = settlement::job(&receipt.provider, response);
            self.db.prepare_cached(ADD_AWAITED)?.execute([job, ordinal])?;
        }
        Ok(())
    }

    /// Notes on the pass that it was used, once a minute.
    fn pass_used(&mut self, receipt: &Receipt) -> rusqlite::Result<()> {
        let Some(label) = &receipt.pass else { return Ok(()) };
        let at = receipt.started_at.millis();
        if self.passes_seen.get(label).is_some_and(|seen| at < seen + 60_000) {
            return Ok(());
        }
        self.db.prepare_cached(PASS_USED)?.execute(params![label, at])?;
        self.passes_seen.insert(label.clone(), at);
        Ok(())
    }

    /// The largest ordinal there is, but for those a clock that once ran a day ahead or more
    /// has left: they must not drag every later receipt into the future with them.
    pub(crate) fn last_ordinal(&self) -> rusqlite::Result<i64> {
        last_ordinal(&self.db, tomorrow())
    }
}

fn last_ordinal(db: &Connection, before: i64) -> rusqlite::Result<i64> {
    const LAST: &str = "SELECT ordinal FROM receipt WHERE ordinal < ?1
        ORDER BY ordinal DESC LIMIT 1";
    let last = db.query_row(LAST, [before], |row| row.get(0)).optional()?;
    Ok(last.unwrap_or(0))
}

/// The first ordinal of this time tomorrow.
fn tomorrow() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_millis() as i64 + 24 * 60 * 60 * 1000) << 12
}
