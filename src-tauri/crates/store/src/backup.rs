//! Copies of the ledger: made while it is in use, put back when it is lost. Neither knows a
//! schedule nor a command; both leave what was there before untouched until the new is whole.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use meter::Timestamp;
use rusqlite::{Connection, InterruptHandle, OpenFlags};

use crate::error::StoreError;
use crate::questions::Questions;
use crate::register::private;
use crate::schema;

/// A whole copy of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// When it was begun; what is in it was recorded before.
    pub made_at: Timestamp,
    /// How large it is.
    pub bytes: u64,
}

/// What is in a copy that was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// How many receipts.
    pub receipts: u64,
    /// When the newest of them began.
    pub newest: Option<Timestamp>,
    /// Where the ledger is that was there before.
    pub aside: Option<PathBuf>,
}

/// Ends a copy that is being made, from any thread; that copy fails and leaves nothing.
pub struct StopCopying(InterruptHandle);

impl Drop for StopCopying {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

const FIRST: &str = "ledger-";
const LAST: &str = ".db";
const TIME: &str = "%Y%m%dT%H%M%SZ";
/// What follows a copy's name until it is whole.
const PART: &str = ".part";
/// Copies that were begun in one second take the names of the next ones.
const SOON_MS: i64 = 60_000;
/// Held in the folder of the copies by whoever makes one, and freed by any kind of death.
const LOCK: &str = "lock";
/// Room that a copy leaves on its disk, so that receipts can be written while it is made.
const SPARE: u64 = 64 << 20;

/// The copies in a folder, newest first. A folder that is not there has none. One from a time to
/// come was made by a clock that was ahead, before all that bear the time since: it comes last.
pub fn backups(folder: &Path, now: Timestamp) -> Result<Vec<Backup>, StoreError> {
    let home = |source| StoreError::Home { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for (name, file) in entries(folder).map_err(home)? {
        let Some(made_at) = name.to_str().and_then(time_of) else { continue };
        let bytes = file.metadata().map_err(home)?.len();
        found.push(Backup { path: file.path(), made_at, bytes });
    }
    let is_past = |backup: &Backup| backup.made_at.millis() - now.millis() <= SOON_MS;
    found.sort_unstable_by_key(|backup| Reverse((is_past(backup), backup.made_at)));
    Ok(found)
}

/// Removes all copies in a folder but the newest, and what is left of those that broke off.
pub fn forget_backups(folder: &Path, keep: usize, now: Timestamp) -> Result<(), StoreError> {
    let remove = |path: PathBuf| match fs::remove_file(&path) {
        // Somebody else forgot it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| StoreError::Home { path, source }),
    };
    for old in backups(folder, now)?.into_iter().skip(keep) {
        remove(old.path)?;
    }
    if !folder.exists() {
        return Ok(());
    }
    let home = |source| StoreError::Home { path: folder.to_owned(), source };
    // A part may be of a copy that is being made; whoever makes the next one sees to the rest.
    let Some(_turn) = Turn::of_whoever_is_first(folder).map_err(home)? else { return Ok(()) };
    for (name, file) in entries(folder).map_err(home)? {
        let name = name.to_str().unwrap_or_default();
        // SQLite's own journal of a copy goes with it.
        let name = name.strip_suffix("-journal").unwrap_or(name);
        let begun = name.strip_suffix(PART).and_then(time_of);
        if begun.is_some() {
            remove(file.path())?;
        }
    }
    Ok(())
}

/// Whether somebody makes a copy in a folder now.
pub fn is_copying(folder: &Path) -> Result<bool, StoreError> {
    let first = Turn::of_whoever_is_first(folder);
    let source = match first {
        Ok(turn) => return Ok(turn.is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => error,
    };
    Err(StoreError::Home { path: folder.to_owned(), source })
}

/// The turn to make a copy in a folder: two at once would write one file. Where the file system
/// knows no locks, everybody has it.
struct Turn(#[expect(dead_code, reason = "held for its lock")] File);

impl Turn {
    /// Waits for it.
    fn wait(folder: &Path) -> io::Result<Self> {
        let file = Self::file(folder)?;
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            Ok(()) | Err(_) => Ok(Self(file)),
        }
    }

    /// Absent: somebody else has it.
    fn of_whoever_is_first(folder: &Path) -> io::Result<Option<Self>> {
        let file = Self::file(folder)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                Err(error)
            }
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Self(file))),
        }
    }

    fn file(folder: &Path) -> io::Result<File> {
        let mut options = fs::OpenOptions::new();
        private(options.write(true).create(true).truncate(false)).open(folder.join(LOCK))
    }
}

fn entries(folder: &Path) -> io::Result<Vec<(OsString, fs::DirEntry)>> {
    match fs::read_dir(folder) {
        Ok(files) => files.map(|file| file.map(|file| (file.file_name(), file))).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// When the copy of this name was begun.
fn time_of(name: &str) -> Option<Timestamp> {
    let digits = name.strip_prefix(FIRST)?.strip_suffix(LAST)?;
    let cut = |range| digits.get(range).filter(|part: &&str| part.is_ascii());
    let (date, time) = (cut(0..8)?, cut(9..15)?);
    let at = Timestamp::parse(&format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    ))?;
    (at.utc().format(TIME).to_string() == digits).then_some(at)
}

impl Questions {
    /// Copies the ledger as it is now into a folder, which is made if need be. Receipts are
    /// recorded meanwhile, and are not in it. Nothing where there is no ledger yet. Waits for
    /// others that make a copy there.
    pub fn back_up(&self, folder: &Path, now: Timestamp) -> Result<Option<Backup>, StoreError> {
        let Some(ledger) = self.db.path().filter(|path| !path.is_empty()) else { return Ok(None) };
        let _turn = private_folder(folder)
            .and_then(|()| Turn::wait(folder))
            .map_err(|source| StoreError::Home { path: folder.to_owned(), source })?;
        let (path, made_at) = free_place(folder, now);
        copy(&self.db, Path::new(ledger), &path)?;
        let bytes = fs::metadata(&path).map_or(0, |file| file.len());
        Ok(Some(Backup { path, made_at, bytes }))
    }

    /// Copies the ledger as it is now into a file that is not there yet.
    pub fn back_up_to(&self, path: &Path) -> Result<(), StoreError> {
        // A part may be somebody else's who is at it.
        if let Some(taken) =
            [path.to_owned(), with_suffix(path, PART)].into_iter().find(|p| p.exists())
        {
            let source = io::ErrorKind::AlreadyExists.into();
            return Err(StoreError::Home { path: taken, source });
        }
        copy(&self.db, Path::new(self.db.path().unwrap_or_default()), path)
    }

    /// What ends a copy once it is dropped.
    pub fn stop_copying(&self) -> StopCopying {
        StopCopying(self.db.get_interrupt_handle())
    }
}

/// The place of a copy begun now. One that is there already is left alone: then it is a later
/// second's.
fn free_place(folder: &Path, now: Timestamp) -> (PathBuf, Timestamp) {
    let mut made_at = now;
    loop {
        let path = folder.join(format!("{FIRST}{}{LAST}", made_at.utc().format(TIME)));
        if !path.exists() {
            return (path, made_at);
        }
        made_at = Timestamp::from_millis(made_at.millis() + 1000);
    }
}

/// Writes a copy beside its place, makes sure that it is on the disk, and puts it there.
pub(crate) fn copy(db: &Connection, ledger: &Path, to: &Path) -> Result<(), StoreError> {
    let part = with_suffix(to, PART);
    let done = copy_part(db, ledger, &part).and_then(|()| {
        fs::rename(&part, to)
            .and_then(|()| sync_folder(to))
            .map_err(|source| StoreError::Home { path: to.to_owned(), source })
    });
    if done.is_err() {
        // A disk that is full must not stay so.
        let _ = fs::remove_file(&part);
    }
    done
}

fn copy_part(db: &Connection, ledger: &Path, part: &Path) -> Result<(), StoreError> {
    let home = |source| StoreError::Home { path: part.to_owned(), source };
    let needed = fs::metadata(ledger).map_or(0, |file| file.len());
    let free = free_bytes(part.parent().unwrap_or(part));
    if let Some(free) = free.filter(|free| *free < needed.saturating_add(SPARE)) {
        let folder = part.parent().unwrap_or(part).to_owned();
        return Err(StoreError::NoRoom { folder, needed, free });
    }
    // SQLite takes an empty file as none; this one only its owner can read.
    private(fs::OpenOptions::new().write(true).create(true).truncate(true))
        .open(part)
        .map_err(home)?;
    let copied = db.execute("VACUUM INTO ?1", [part.to_string_lossy()]);
    copied.map_err(|source| StoreError::NotCopied { path: part.to_owned(), source })?;
    File::open(part).and_then(|file| file.sync_all()).map_err(home)
}

/// Puts a copy in the place of a home's ledger, whose lock the caller holds. The copy is
/// checked first, and stays; the ledger that was there is set aside, never removed.
pub fn restore(home: &Path, from: &Path, now: Timestamp) -> Result<Restored, StoreError> {
    let ledger = home.join(schema::FILE);
    let fresh = with_suffix(&ledger, ".restored");
    let at_home = |source| StoreError::Home { path: home.to_owned(), source };
    private_folder(home).map_err(at_home)?;
    {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let unsound = |why: String| StoreError::Unsound { path: from.to_owned(), why };
        fs::metadata(from).map_err(|why| unsound(why.to_string()))?;
        let db = Connection::open_with_flags(from, flags);
        let db = db.map_err(|why| unsound(why.to_string()))?;
        schema::check_layout(&db, from)?;
        copy(&db, from, &fresh)?;
    }
    let (receipts, newest) = match contents(&fresh) {
        Ok(contents) => contents,
        Err(why) => {
            let _ = fs::remove_file(&fresh);
            return Err(StoreError::Unsound { path: from.to_owned(), why });
        }
    };
    let aside = set_aside(&ledger, now).map_err(at_home)?;
    fs::rename(&fresh, &ledger).and_then(|()| sync_folder(&ledger)).map_err(at_home)?;
    Ok(Restored { receipts, newest, aside })
}

/// Checks a copy; says how many receipts are in it, and when the newest began.
fn contents(path: &Path) -> Result<(u64, Option<Timestamp>), String> {
    let read = || -> rusqlite::Result<(String, i64, Option<i64>)> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok((
            db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?,
            db.query_row("SELECT count(*) FROM receipt", [], |row| row.get(0))?,
            db.query_row("SELECT max(ordinal) FROM receipt", [], |row| row.get(0))?,
        ))
    };
    match read() {
        Ok((said, receipts, newest)) if said == "ok" => {
            let newest = newest.map(|ordinal| Timestamp::from_millis(ordinal >> 12));
            Ok((receipts.unsigned_abs(), newest))
        }
        Ok((said, ..)) => Err(said),
        Err(error) => Err(error.to_string()),
    }
}

/// Gives the ledger a second name, with what belongs to it.
fn set_aside(ledger: &Path, now: Timestamp) -> io::Result<Option<PathBuf>> {
    if fs::symlink_metadata(ledger).is_err() {
        return Ok(None);
    }
    // Where it can still be opened, this brings its log home, and closing removes the log: a
    // log that was left beside the new ledger would be taken for its own.
    if let Ok(db) = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    let aside = aside_name(ledger, now);
    // With two names there is a ledger at every moment; some file systems know only one.
    if fs::hard_link(ledger, &aside).is_err() {
        fs::rename(ledger, &aside)?;
    }
    for belonging in ["-wal", "-shm", "-journal"] {
        let found = with_suffix(ledger, belonging);
        if found.exists() {
            fs::rename(&found, with_suffix(&aside, belonging))?;
        }
    }
    Ok(Some(aside))
}

/// A name for a ledger that is set aside, which no other has.
pub(crate) fn aside_name(ledger: &Path, now: Timestamp) -> PathBuf {
    let mut aside = with_suffix(ledger, &format!(".aside-{}", now.utc().format(TIME)));
    while aside.exists() {
        aside = with_suffix(&aside, "-again");
    }
    aside
}

/// Ledgers of a home that were set aside, or kept from before an update, by name.
pub fn set_aside_ledgers(home: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let at_home = |source| StoreError::Home { path: home.to_owned(), source };
    let kept = |name: &str| {
        let rest = name.strip_prefix(schema::FILE).unwrap_or_default();
        (rest.starts_with(".aside-") || rest.starts_with(".layout-"))
            && !["-wal", "-shm", "-journal", PART].iter().any(|end| rest.ends_with(end))
    };
    let files = entries(home).map_err(at_home)?.into_iter();
    let mut found: Vec<PathBuf> = files
        .filter(|(name, _)| name.to_str().is_some_and(kept))
        .map(|(_, file)| file.path())
        .collect();
    found.sort_unstable();
    Ok(found)
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes sure that a new name in a folder outlives a power cut.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// What a folder's disk has left, where the system says so.
#[cfg(unix)]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What a folder's disk has left; this system does not say.
#[cfg(not(unix))]
pub fn free_bytes(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_its_name_and_nothing_else_is() {
        let at = Timestamp::parse("2026-11-21T09:30:05Z");
        assert_eq!(time_of("ledger-20261121T093005Z.db"), at);
        for other in [
            "ledger.db",
            "ledger-20261121T093005Z.db.part",
            "ledger-20261321T093005Z.db",
            "ledger-2026112éT09305Z.db",
            "ledger-.db",
            "my-20261121T093005Z.db",
        ] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }
}
