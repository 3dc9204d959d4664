//! Names that were changed: passes and workspaces that were renamed or merged. A receipt keeps the
//! name it was written with, and so do lanes and rollups; whoever asks is shown today's name.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::lane::Lane;
use crate::names::NameId;

/// What sort of thing a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    Pass,
    Workspace,
}

impl Sort {
    fn of_code(code: i64) -> Option<Self> {
        [Self::Pass, Self::Workspace].into_iter().find(|sort| sort.code() == code)
    }

    /// The number on disk.
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Pass => 0,
            Self::Workspace => 1,
        }
    }
}

/// Every name that was changed, and what it leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aliases {
    now: HashMap<(Sort, NameId), NameId>,
}

const ALL: &str = "SELECT sort, name, now FROM alias";
const FOLLOW: &str = "UPDATE alias SET now = ?3 WHERE sort = ?1 AND now = ?2";
const END: &str = "DELETE FROM alias WHERE sort = ?1 AND name = ?2";
const LEAD: &str = "INSERT INTO alias (sort, name, now) VALUES (?1, ?2, ?3)";

impl Aliases {
    /// A handful of rows: people rename things a few times a year.
    pub(crate) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut rows = db.prepare_cached(ALL)?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut now = HashMap::new();
        for row in rows {
            let (sort, name, leads_to) = row?;
            if let Some(sort) = Sort::of_code(sort) {
                now.insert((sort, name), leads_to);
            }
        }
        Ok(Self { now })
    }

    /// What something is called now that once was called so.
    pub(crate) fn now(&self, sort: Sort, name: NameId) -> NameId {
        self.now.get(&(sort, name)).copied().unwrap_or(name)
    }

    /// The names that lead to this one.
    pub(crate) fn former(&self, sort: Sort, now: NameId) -> impl Iterator<Item = NameId> {
        self.of(sort).filter(move |(_, to)| *to == now).map(|(name, _)| name)
    }

    /// Every changed name of a sort, with what it leads to.
    pub(crate) fn of(&self, sort: Sort) -> impl Iterator<Item = (NameId, NameId)> {
        self.now.iter().filter(move |(key, _)| key.0 == sort).map(|(key, now)| (key.1, *now))
    }

    /// A lane under the names of today.
    pub(crate) fn shown(&self, lane: Lane) -> Lane {
        Lane {
            pass: self.now(Sort::Pass, lane.pass),
            workspace: self.now(Sort::Workspace, lane.workspace),
            ..lane
        }
    }
}

/// From now on `from`, and every name that led to it, leads to `to`.
pub(crate) fn lead(db: &Connection, sort: Sort, from: NameId, to: NameId) -> rusqlite::Result<()> {
    let sort = sort.code();
    db.execute(FOLLOW, params![sort, from, to])?;
    // A name that gets its old name back leads nowhere any more.
    db.execute(END, params![sort, to])?;
    db.execute(LEAD, params![sort, from, to])?;
    Ok(())
}
