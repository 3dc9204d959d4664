//! The shape of the ledger file: numbered migrations, each in one transaction, the file
//! backed up before them.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::backup;
use crate::error::StoreError;
use crate::money_sum;
use crate::register::private;

/// The ledger's name within the home.
pub(crate) const FILE: &str = "ledger.db";

/// In order; the number of those applied stands in `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_ledger.sql"),
    include_str!("../migrations/0002_sealed_rollups.sql"),
    include_str!("../migrations/0003_passes_and_workspaces.sql"),
    include_str!("../migrations/0004_sealed_months.sql"),
    include_str!("../migrations/0005_reservations.sql"),
    include_str!("../migrations/0006_running.sql"),
    include_str!("../migrations/0007_what_calls_used.sql"),
    include_str!("../migrations/0008_pruned.sql"),
    include_str!("../migrations/0009_roads_and_tags.sql"),
];

/// `TOLL`, so that `file` and other programs can tell what it is.
const APPLICATION: i32 = 0x544f_4c4c;

/// Opens the ledger for writing, making or migrating it as needed.
pub(crate) fn open_for_writing(home: &Path) -> Result<Connection, StoreError> {
    let path = home.join(FILE);
    let made = private(std::fs::OpenOptions::new().write(true).create(true)).open(&path);
    // A file that exists and cannot be written is for SQLite to explain.
    if let (Err(source), false) = (made, path.exists()) {
        return Err(StoreError::Home { path, source });
    }
    let open = || -> Result<Connection, OpenFailure> {
        let mut db = Connection::open(&path)?;
        prepare(&db)?;
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A commit survives the death of the process. After a power cut the last ones may be
        // missing (never torn): those since the system last wrote the WAL out.
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
        migrate(&mut db, &path, MIGRATIONS)?;
        Ok(db)
    };
    open().map_err(|failure| failure.at(&path))
}

/// Opens the ledger for questions. A home without a ledger answers like an empty one.
pub(crate) fn open_for_reading(home: &Path) -> Result<Connection, StoreError> {
    let path = home.join(FILE);
    let open = || -> Result<Connection, OpenFailure> {
        if std::fs::metadata(&path).map_or(true, |file| file.len() == 0) {
            let mut db = Connection::open_in_memory()?;
            prepare(&db)?;
            migrate(&mut db, &path, MIGRATIONS)?;
            return Ok(db);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags)?;
        prepare(&db)?;
        match (version(&db)?, MIGRATIONS.len() as i64) {
            (found, known) if found > known => Err(OpenFailure::Newer { found, known }),
            (found, known) if found < known => Err(OpenFailure::Older),
            _ => Ok(db),
        }
    };
    open().map_err(|failure| failure.at(&path))
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    money_sum::register(db)
}

enum OpenFailure {
    Newer { found: i64, known: i64 },
    Older,
    Store(StoreError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for OpenFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl OpenFailure {
    fn at(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Newer { found, known } => StoreError::Newer { path, found, known },
            Self::Older => StoreError::Older { path },
            Self::Store(error) => error,
            Self::Sqlite(source) => StoreError::Unopened { path, source },
        }
    }
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn migrate(db: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), OpenFailure> {
    let known = migrations.len() as i64;
    let found = version(db)?;
    if found > known {
        return Err(OpenFailure::Newer { found, known });
    }
    if 0 < found && found < known {
        back_up(db, path, found)?;
    }
    for (number, sql) in (1..).zip(migrations).filter(|(number, _)| *number > found) {
        let tx = db.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.commit()?;
    }
    Ok(())
}

/// Copies the ledger to `ledger.db.layout-N` beside it, unless that is there already.
fn back_up(db: &Connection, path: &Path, layout: i64) -> Result<(), OpenFailure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".layout-{layout}"));
    let to = path.with_file_name(name);
    if to.exists() {
        return Ok(());
    }
    backup::copy(db, path, &to).map_err(OpenFailure::Store)
}

/// A table or an index that a ledger should have and has not.
pub(crate) struct Part {
    pub(crate) name: String,
    /// What makes it.
    pub(crate) sql: String,
    pub(crate) is_index: bool,
}

/// What a ledger lacks of its layout.
pub(crate) fn missing_parts(db: &Connection) -> Result<Vec<Part>, StoreError> {
    const PARTS: &str =
        "SELECT name, sql, type = 'index' FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    const HAS: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
    let mut whole = Connection::open_in_memory()?;
    prepare(&whole)?;
    let path = Path::new(FILE);
    migrate(&mut whole, path, MIGRATIONS).map_err(|failure| failure.at(path))?;
    let mut parts = whole.prepare(PARTS)?;
    let parts = parts.query_map([], |row| {
        Ok(Part { name: row.get(0)?, sql: row.get(1)?, is_index: row.get(2)? })
    })?;
    let mut missing = Vec::new();
    for part in parts {
        let part = part?;
        if !db.query_row(HAS, [&part.name], |row| row.get::<_, bool>(0))? {
            missing.push(part);
        }
    }
    Ok(missing)
}

/// Whether a file is a ledger of just this layout.
pub(crate) fn check_current_layout(db: &Connection, path: &Path) -> Result<(), StoreError> {
    check_layout(db, path)?;
    let unsound = |why: String| StoreError::Unsound { path: path.to_owned(), why };
    let found = version(db).map_err(|why| unsound(why.to_string()))?;
    match found == MIGRATIONS.len() as i64 {
        true => Ok(()),
        false => Err(unsound("an older Tollgate wrote it".to_owned())),
    }
}

/// Whether a file is a ledger of this Tollgate or an earlier one.
pub(crate) fn check_layout(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let unsound = |why: String| StoreError::Unsound { path: path.to_owned(), why };
    let read = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = read("application_id").map_err(|why| unsound(why.to_string()))?;
    let found = read("user_version").map_err(|why| unsound(why.to_string()))?;
    let known = MIGRATIONS.len() as i64;
    if application != i64::from(APPLICATION) || found < 1 {
        return Err(unsound("it was not written by Tollgate".to_owned()));
    }
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_ledger_is_backed_up_and_migrated_with_its_rows() {
        let home = tempfile::tempdir().unwrap();
        let db = open_for_writing(home.path()).unwrap();
        db.execute("INSERT INTO name (text) VALUES ('kept')", []).unwrap();
        drop(db);
        let path = home.path().join(FILE);
        let mut db = Connection::open(&path).unwrap();
        let next = "ALTER TABLE name ADD COLUMN extra INTEGER";
        let mut newer = MIGRATIONS.to_vec();
        newer.push(next);
        assert!(migrate(&mut db, &path, &newer).is_ok());
        let (known, found) = (MIGRATIONS.len() as i64, newer.len() as i64);
        let rows = "SELECT count(*) FROM name WHERE text = 'kept' AND extra IS NULL";
        assert_eq!(db.query_row(rows, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        let copy = home.path().join(format!("ledger.db.layout-{known}"));
        assert_eq!(version(&Connection::open(copy).unwrap()).unwrap(), known);
        for refused in [open_for_writing(home.path()), open_for_reading(home.path())] {
            assert!(matches!(refused, Err(StoreError::Newer { found: f, .. }) if f == found));
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_ledger_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let mut db = open_for_writing(home.path()).unwrap();
        let path = home.path().join(FILE);
        let broken = "CREATE TABLE half (a); SELECT nonsense";
        let mut newer = MIGRATIONS.to_vec();
        newer.push(broken);
        assert!(migrate(&mut db, &path, &newer).is_err());
        assert_eq!(version(&db).unwrap(), MIGRATIONS.len() as i64);
        let half = "SELECT count(*) FROM sqlite_schema WHERE name = 'half'";
        assert_eq!(db.query_row(half, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }
}
