//! A ledger that was deleted, or replaced by another file, under the connection that writes it.
//! The system keeps such a file for whoever has it open; nobody else would ever see it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use meter::Timestamp;

use crate::backup::{aside_name, copy, sync_folder, with_suffix};
use crate::books::Books;
use crate::error::StoreError;
use crate::schema;

/// Which file a ledger is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    /// Of the file at this place. Absent: there is none, or the system does not say.
    #[cfg(unix)]
    pub(crate) fn at(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).ok().map(|file| Self(file.dev(), file.ino()))
    }

    /// Other systems do not let go of a file that is open.
    #[cfg(not(unix))]
    pub(crate) fn at(_: &Path) -> Option<Self> {
        None
    }
}

/// Copies a displaced ledger from its open connection: into its place, or, if another file is
/// there, beside it. Says where, and closes the connection.
///
/// # Errors
/// Gives the books back, which are still all there is of that ledger.
pub(crate) fn keep(books: Books, home: &Path) -> Result<PathBuf, (Box<Books>, StoreError)> {
    let ledger = home.join(schema::FILE);
    let kept = with_suffix(&ledger, ".kept");
    if let Err(error) = copy(&books.db, &ledger, &kept) {
        return Err((Box::new(books), error));
    }
    // Closing removes its log by name, so it comes before anybody opens what is there now.
    drop(books);
    let at_home = |source| StoreError::Home { path: ledger.clone(), source };
    let placed = if ledger.exists() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let aside = aside_name(&ledger, Timestamp::from_millis(now.as_millis() as i64));
        fs::rename(&kept, &aside).map(|()| aside)
    } else {
        // A log that was left behind would be taken for the new file's own.
        for belonging in ["-wal", "-shm"] {
            let _ = fs::remove_file(with_suffix(&ledger, belonging));
        }
        fs::rename(&kept, &ledger).and_then(|()| sync_folder(&ledger)).map(|()| ledger.clone())
    };
    // It is whole and on the disk in any case, under the name of what was kept.
    Ok(placed.map_err(at_home).unwrap_or(kept))
}
