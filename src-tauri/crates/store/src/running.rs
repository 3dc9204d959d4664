//! When the models of self-hosted servers ran: spans that grow while somebody sees them run, so
//! that running time survives every death of the process that counts it.

use meter::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::books::Books;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::names::NameId;
use crate::questions::{Arrival, Questions};

/// A model that ran on a server from one instant up to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The provider's id.
    pub server: Box<str>,
    /// The model.
    pub model: Box<str>,
    /// When it was first seen to run.
    pub from: Timestamp,
    /// When it was last seen to.
    pub to: Timestamp,
    /// Graphics processors that the driver counted then; 0: nobody did.
    pub gpus: u32,
}

const ADD: &str =
    "INSERT INTO running (server, model, began, ended, gpus) VALUES (?1, ?2, ?3, ?4, ?5)";
/// The last span that begins no later; those before it end earlier.
pub(crate) const BEFORE: &str = "SELECT began, ended, gpus FROM running
    WHERE server = ?1 AND model = ?2 AND began <= ?3 ORDER BY began DESC LIMIT 1";
pub(crate) const REMOVE: &str =
    "DELETE FROM running WHERE server = ?1 AND model = ?2 AND began = ?3";
pub(crate) const NEXT: &str = "SELECT server, model FROM running
    WHERE (server, model) > (?1, ?2) ORDER BY server, model LIMIT 1";
pub(crate) const SPANS: &str = "SELECT began, ended, gpus FROM running
    WHERE server = ?1 AND model = ?2 AND began >= ?3 AND began < ?4 ORDER BY began";
const UNTIL: &str = "SELECT seq FROM running_until";
const FORGET_UNTIL: &str = "DELETE FROM running_until";
const ADD_UNTIL: &str = "INSERT INTO running_until (seq) VALUES (?1)";

impl Ledger {
    /// Notes when models ran. What overlaps or touches what is known becomes one span with it, so
    /// that it does no harm to note something twice. Spans of no length are passed over.
    pub fn ran(&self, runs: Vec<Run>, counted: Arrival) -> Result<(), StoreError> {
        self.write(move |books| {
            for run in runs.iter().filter(|run| run.from < run.to) {
                add(books, run)?;
            }
            books.db.execute(FORGET_UNTIL, [])?;
            books.db.execute(ADD_UNTIL, [counted.seq()])?;
            Ok(())
        })
    }
}

fn add(books: &mut Books, run: &Run) -> rusqlite::Result<()> {
    let server = books.names.intern(&books.db, &run.server)?;
    let model = books.names.intern(&books.db, &run.model)?;
    let (mut from, mut to, mut gpus) = (run.from.millis(), run.to.millis(), run.gpus);
    while let Some((began, ended, counted)) = before(&books.db, (server, model), to)? {
        if ended < from {
            break;
        }
        (from, to, gpus) = (from.min(began), to.max(ended), gpus.max(counted));
        books.db.prepare_cached(REMOVE)?.execute(params![server, model, began])?;
    }
    books.db.prepare_cached(ADD)?.execute(params![server, model, from, to, gpus])?;
    Ok(())
}

fn before(
    db: &Connection,
    (server, model): (NameId, NameId),
    at: i64,
) -> rusqlite::Result<Option<(i64, i64, u32)>> {
    let mut find = db.prepare_cached(BEFORE)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    find.query_row(params![server, model, at], row).optional()
}

impl Questions {
    /// Every run within a period, cut at its ends; by server and model, the oldest first.
    pub fn runs(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Vec<Run>, StoreError> {
        self.at_one_instant(|| {
            let from = from.map_or(0, Timestamp::millis);
            let to = to.map_or(i64::MAX, Timestamp::millis);
            let mut runs = Vec::new();
            let mut place = (NameId::ABSENT, NameId::ABSENT);
            while let Some(next) = self.next_place(place)? {
                place = next;
                self.runs_of(place, (from, to), &mut runs)?;
            }
            Ok(runs)
        })
    }

    /// The first server and model after this one.
    fn next_place(&self, after: (NameId, NameId)) -> rusqlite::Result<Option<(NameId, NameId)>> {
        let mut find = self.db.prepare_cached(NEXT)?;
        let place = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        find.query_row([after.0, after.1], place).optional()
    }

    fn runs_of(
        &self,
        (server, model): (NameId, NameId),
        (from, to): (i64, i64),
        runs: &mut Vec<Run>,
    ) -> Result<(), StoreError> {
        let text = |name| self.glossary.text(&self.db, name);
        let [server_text, model_text] =
            [text(server)?.unwrap_or_default(), text(model)?.unwrap_or_default()];
        // The one that may reach into the period begins before it.
        let first = before(&self.db, (server, model), from)?.map_or(from, |(began, ..)| began);
        let mut find = self.db.prepare_cached(SPANS)?;
        let spans = find.query_map(params![server, model, first, to], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
        })?;
        for span in spans {
            let (began, ended, gpus) = span?;
            let (began, ended) = (began.max(from), ended.min(to));
            if began < ended {
                runs.push(Run {
                    server: server_text.clone(),
                    model: model_text.clone(),
                    from: Timestamp::from_millis(began),
                    to: Timestamp::from_millis(ended),
                    gpus,
                });
            }
        }
        Ok(())
    }

    /// How far receipts are counted in [`Self::runs`]; absent: none is.
    pub fn runs_counted(&self) -> Result<Option<Arrival>, StoreError> {
        let seq = self.db.query_row(UNTIL, [], |row| row.get(0)).optional()?;
        Ok(seq.map(Arrival::of_seq))
    }
}
