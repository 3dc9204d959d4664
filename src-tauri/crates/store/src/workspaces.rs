//! Workspaces: what receipts are counted in. They exist by being used; here they are listed,
//! renamed, merged and put away. Receipts and rollups stay as they are: only names lead on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use meter::Timestamp;
use meter::receipt::{DEFAULT_WORKSPACE, DEMO_WORKSPACE, Receipt, Status};
use rusqlite::{Connection, params};

use crate::alias::{self, Aliases, Sort};
use crate::books::Books;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::names::{self, Glossary, NameId};
use crate::questions::Questions;
use crate::receipt_row::Lanes;

/// One workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// What it is called now.
    pub name: Box<str>,
    /// Names that lead here, because it was called so or was merged into this.
    pub former_names: Vec<Box<str>>,
    /// When its newest call began.
    pub last_used: Option<Timestamp>,
    /// When it was put away, if it is.
    pub archived: Option<Timestamp>,
}

pub(crate) const OF_PASSES: &str = "SELECT workspace FROM pass";
const ARCHIVED: &str = "SELECT workspace, at FROM archived";
const ARCHIVE: &str = "INSERT OR IGNORE INTO archived (workspace, at) VALUES (?1, ?2)";
pub(crate) const RESTORE: &str = "DELETE FROM archived WHERE workspace = ?1";
const MOVE_ARCHIVED: &str = "UPDATE archived SET workspace = ?2 WHERE workspace = ?1";
const MOVE_PASSES: &str = "UPDATE pass SET workspace = ?2 WHERE workspace = ?1";
pub(crate) const LAST_OF_LANE: &str = "SELECT max(ordinal) FROM receipt WHERE lane = ?1";

/// Workspaces that are put away, by the names receipts may have for them, and since when.
pub(crate) type PutAway = HashMap<Box<str>, i64>;

impl Questions {
    /// Every workspace there is but the demonstration's, by name.
    pub fn workspaces(&self) -> Result<Vec<Workspace>, StoreError> {
        self.at_one_instant(|| {
            self.refresh()?;
            let (lanes, archived) = (self.lanes(), archived(&self.db)?);
            let mut all = BTreeMap::new();
            for name in used(&self.db, &self.glossary, &lanes)? {
                let id = names::find(&self.db, &name)?;
                let mut former_names = Vec::new();
                for former in id.iter().flat_map(|id| lanes.aliases().former(Sort::Workspace, *id))
                {
                    former_names.extend(self.glossary.text(&self.db, former)?);
                }
                former_names.sort_unstable();
                let last_used = match id {
                    Some(id) => self.last_used(&lanes, id)?,
                    None => None,
                };
                let archived = id.and_then(|id| archived.get(&id)).copied();
                let archived = archived.map(Timestamp::from_millis);
                all.insert(name.clone(), Workspace { name, former_names, last_used, archived });
            }
            Ok(all.into_values().collect())
        })
    }

    fn last_used(&self, lanes: &Lanes, name: NameId) -> Result<Option<Timestamp>, StoreError> {
        let mut find = self.db.prepare_cached(LAST_OF_LANE)?;
        let mut last: Option<i64> = None;
        for (id, _) in lanes.iter().filter(|(_, lane)| lane.workspace == name && !lane.demo) {
            last = last.max(find.query_row([id], |row| row.get(0))?);
        }
        Ok(last.map(|ordinal| Timestamp::from_millis(ordinal >> 12)))
    }
}

impl Ledger {
    /// Gives a workspace another name. Its old name, and those that led to it, lead there.
    pub fn rename_workspace(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to): (Box<str>, Box<str>) = (from.into(), to.into());
        self.write(move |books| {
            let known = Known::of(books)?;
            let from = known.current(from)?;
            if from == to {
                return Ok(());
            }
            known.free_for(&from, &to)?;
            let was = archived(&books.db)?;
            let ids = books.lead_workspace(&from, &to)?;
            if was.contains_key(&ids.0) {
                books.db.execute(MOVE_ARCHIVED, params![ids.0, ids.1])?;
            }
            Ok(())
        })
    }

    /// Counts everything of one workspace in another one from now on, past calls too. It is put
    /// away only if both were.
    pub fn merge_workspace(&self, from: &str, into: &str) -> Result<(), StoreError> {
        let (from, into): (Box<str>, Box<str>) = (from.into(), into.into());
        self.write(move |books| {
            let known = Known::of(books)?;
            let from = known.current(from)?;
            let into = known.current_or_former(into)?;
            if from == into {
                return Err(StoreError::MergedIntoItself { name: from });
            }
            let was = archived(&books.db)?;
            let (from, into) = books.lead_workspace(&from, &into)?;
            if !was.contains_key(&from) {
                books.db.execute(RESTORE, [into])?;
            }
            books.db.execute(RESTORE, [from])?;
            Ok(())
        })
    }

    /// Puts a workspace away. Its figures stay, and its next call brings it back.
    pub fn archive_workspace(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        self.put(name, move |db, id| db.execute(ARCHIVE, params![id, now.millis()]))
    }

    /// Brings a workspace back.
    pub fn restore_workspace(&self, name: &str) -> Result<(), StoreError> {
        self.put(name, |db, id| db.execute(RESTORE, [id]))
    }

    fn put(
        &self,
        name: &str,
        act: impl FnOnce(&Connection, NameId) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<(), StoreError> {
        let name: Box<str> = name.into();
        self.write(move |books| {
            let name = Known::of(books)?.current(name)?;
            let id = books.names.intern(&books.db, &name)?;
            act(&books.db, id)?;
            books.put_away = None;
            Ok(())
        })
    }

    /// What workspaces that clients may still name by an old name are called now.
    pub fn workspace_names(&self) -> Result<HashMap<Box<str>, Box<str>>, StoreError> {
        self.write(|books| former(books, &Aliases::read(&books.db)?, Sort::Workspace))
    }

    /// What passes are called now that were renamed.
    pub fn pass_names(&self) -> Result<HashMap<Box<str>, Box<str>>, StoreError> {
        self.write(|books| former(books, &Aliases::read(&books.db)?, Sort::Pass))
    }
}

impl Books {
    /// Lets a name lead to another one, and puts the passes of the first there.
    fn lead_workspace(&mut self, from: &str, to: &str) -> Result<(NameId, NameId), StoreError> {
        let ids = (self.names.intern(&self.db, from)?, self.names.intern(&self.db, to)?);
        alias::lead(&self.db, Sort::Workspace, ids.0, ids.1)?;
        self.db.execute(MOVE_PASSES, [from, to])?;
        self.put_away = None;
        Ok(ids)
    }

    /// A call brings the workspace it is counted in back. One that was denied does not: a client
    /// that nobody lets in any more should not be able to fill anybody's lists.
    pub(crate) fn brought_back(&mut self, receipt: &Receipt) -> rusqlite::Result<()> {
        let put_away = match &self.put_away {
            Some(known) => known,
            None => self.put_away.insert(put_away(&self.db, &self.glossary)?),
        };
        let since = put_away.get(&receipt.workspace).copied();
        let comes_after = since.is_some_and(|since| since < receipt.started_at.millis());
        if comes_after && receipt.status != Status::Denied {
            let name = self.names.intern(&self.db, &receipt.workspace)?;
            let name = Aliases::read(&self.db)?.now(Sort::Workspace, name);
            self.db.execute(RESTORE, [name])?;
            self.put_away = None;
        }
        Ok(())
    }
}

fn archived(db: &Connection) -> rusqlite::Result<HashMap<NameId, i64>> {
    let mut rows = db.prepare_cached(ARCHIVED)?;
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn put_away(db: &Connection, glossary: &Glossary) -> rusqlite::Result<PutAway> {
    let archived = archived(db)?;
    let mut away = PutAway::new();
    if archived.is_empty() {
        return Ok(away);
    }
    let aliases = Aliases::read(db)?;
    for (name, since) in archived {
        for name in aliases.former(Sort::Workspace, name).chain([name]) {
            // A name that is not in the ledger is on no receipt.
            if let Ok(Some(text)) = glossary.text(db, name) {
                away.insert(text, since);
            }
        }
    }
    Ok(away)
}

/// The names of all workspaces but the demonstration's: those of calls and of passes, and the one
/// that calls without any are counted in.
fn used(
    db: &Connection,
    glossary: &Glossary,
    lanes: &Lanes,
) -> Result<BTreeSet<Box<str>>, StoreError> {
    let ids = lanes.iter().filter(|(_, lane)| !lane.demo).map(|(_, lane)| lane.workspace);
    let mut all = BTreeSet::new();
    for id in ids.collect::<BTreeSet<NameId>>() {
        all.extend(glossary.text(db, id)?);
    }
    let mut passes = db.prepare_cached(OF_PASSES)?;
    for workspace in passes.query_map([], |row| row.get(0))? {
        all.insert(workspace?);
    }
    let default = match names::find(db, DEFAULT_WORKSPACE)? {
        Some(id) => glossary.text(db, lanes.aliases().now(Sort::Workspace, id))?,
        None => None,
    };
    all.insert(default.unwrap_or_else(|| DEFAULT_WORKSPACE.into()));
    all.remove(DEMO_WORKSPACE);
    Ok(all)
}

/// Former names, and what they lead to.
/// Names of a sort that were changed, and what they lead to.
pub(crate) fn former(
    books: &Books,
    aliases: &Aliases,
    sort: Sort,
) -> Result<HashMap<Box<str>, Box<str>>, StoreError> {
    let text = |id| books.glossary.text(&books.db, id);
    let mut former = HashMap::new();
    for (name, now) in aliases.of(sort) {
        if let (Some(name), Some(now)) = (text(name)?, text(now)?) {
            former.insert(name, now);
        }
    }
    Ok(former)
}

/// The names there are, for a change to be checked against.
struct Known {
    current: BTreeSet<Box<str>>,
    /// Former names, and what they lead to.
    former: HashMap<Box<str>, Box<str>>,
}

impl Known {
    fn of(books: &Books) -> Result<Self, StoreError> {
        let mut lanes = Lanes::default();
        lanes.refresh_shown(&books.db)?;
        let current = used(&books.db, &books.glossary, &lanes)?;
        Ok(Self { current, former: former(books, lanes.aliases(), Sort::Workspace)? })
    }

    /// A workspace by the name it has now.
    fn current(&self, name: Box<str>) -> Result<Box<str>, StoreError> {
        if *name == *DEMO_WORKSPACE {
            return Err(StoreError::DemoWorkspace);
        }
        match self.former.get(&name) {
            _ if self.current.contains(&name) => Ok(name),
            Some(now) => Err(StoreError::FormerWorkspace { name, now: now.clone() }),
            None => Err(StoreError::NoSuchWorkspace { name }),
        }
    }

    /// A workspace by any name that leads to it.
    fn current_or_former(&self, name: Box<str>) -> Result<Box<str>, StoreError> {
        self.current(self.former.get(&name).cloned().unwrap_or(name))
    }

    /// Whether a workspace may be called so: nothing else is, or leads elsewhere under that name.
    fn free_for(&self, from: &str, name: &str) -> Result<(), StoreError> {
        if name == DEMO_WORKSPACE {
            return Err(StoreError::DemoWorkspace);
        }
        let leads_elsewhere = self.former.get(name).is_some_and(|now| **now != *from);
        if self.current.contains(name) || leads_elsewhere {
            return Err(StoreError::WorkspaceExists { name: name.into(), from: from.into() });
        }
        Ok(())
    }
}
