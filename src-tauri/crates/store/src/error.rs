//! What can go wrong with the ledger, in sentences a person can act on.

use std::path::PathBuf;

use meter::Timestamp;

use crate::pack::UnpackError;

/// Why the ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later version of Tollgate has changed the file.
    #[error(
        "the ledger `{}` was written by a newer Tollgate (layout {found}, this one knows {known})\n\
         hint: install the newer version again, or point TOLLGATE_HOME at another folder",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// The newest layout this program knows.
        known: i64,
    },
    /// An earlier version wrote it and nobody has brought it up to date yet.
    #[error(
        "the ledger `{}` is of an older layout\n\
         hint: run `tollgate serve` once to bring it up to date",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
    },
    /// The file is no ledger, is damaged, or its disk fails.
    #[error(
        "the ledger `{}` cannot be opened: {source}\nhint: run `tollgate doctor`",
        path.display()
    )]
    Unopened {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The home itself is the problem.
    #[error(
        "`{}` cannot be used: {source}\nhint: check its permissions and free space",
        path.display()
    )]
    Home {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A copy of the ledger would fill its disk.
    #[error(
        "`{}` has no room for a copy of the ledger: {} MB are needed, {} MB are free\n\
         hint: make room, or name another folder in config.toml: [backup] folder = \"…\"",
        folder.display(), needed.div_ceil(1_000_000), free / 1_000_000
    )]
    NoRoom {
        /// Where it was to be.
        folder: PathBuf,
        /// How large the ledger is.
        needed: u64,
        /// What is left there.
        free: u64,
    },
    /// A copy of the ledger could not be made; nothing of it is left.
    #[error("the copy `{}` could not be made: {source}\nhint: run `tollgate doctor`", path.display())]
    NotCopied {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A file cannot take the ledger's place; the ledger is as it was.
    #[error(
        "`{}` is no whole ledger: {why}\nhint: `tollgate doctor` lists the copies there are",
        path.display()
    )]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Receipts of the last weeks stay.
    #[error(
        "receipts of the last weeks cannot be pruned: budgets, alerts and jobs still ask for them\n\
         hint: name a day up to {}", &latest.to_string()[..10]
    )]
    TooYoungToPrune {
        /// The latest instant that receipts can be pruned up to.
        latest: Timestamp,
    },
    /// Sums are being made anew from the receipts, or are still to be made.
    #[error(
        "not all sums up to that day are made yet, and they need the receipts\n\
         hint: try again when `tollgate serve` has run for a while"
    )]
    NotSummedUp,
    /// Background jobs whose outcome is still to come.
    #[error("{jobs} background jobs of that time are still awaited\nhint: name an earlier day")]
    StillAwaited {
        /// How many.
        jobs: u64,
    },
    /// It cannot be written now; [`crate::Health::problem`] says why.
    #[error("the ledger cannot be written now\nhint: run `tollgate doctor`")]
    Unavailable,
    /// A record is not what was written.
    #[error("a record in the ledger is damaged\nhint: run `tollgate doctor --verify`")]
    Damaged,
    /// SQLite refused a statement.
    #[error("the ledger did not answer: {0}\nhint: run `tollgate doctor`")]
    Sqlite(#[from] rusqlite::Error),
    /// There is a pass with this label already.
    #[error(
        "there is a pass `{label}` already\nhint: choose another label; labels are never reused"
    )]
    PassExists {
        /// The label.
        label: Box<str>,
    },
    /// There is no pass with this label.
    #[error("there is no pass `{label}`\nhint: `tollgate passes list` shows them")]
    NoSuchPass {
        /// The label.
        label: Box<str>,
    },
    /// A revoked pass stays as it was.
    #[error("the pass `{label}` is revoked\nhint: make a new one with `tollgate passes add`")]
    PassRevoked {
        /// The label.
        label: Box<str>,
    },
    /// No call was ever counted in it, and no pass is.
    #[error("there is no workspace `{name}`\nhint: `tollgate workspaces list` shows them")]
    NoSuchWorkspace {
        /// The name.
        name: Box<str>,
    },
    /// It has another name since it was renamed or merged.
    #[error("the workspace `{name}` is called `{now}` now\nhint: use that name")]
    FormerWorkspace {
        /// The name it had.
        name: Box<str>,
        /// The name it has.
        now: Box<str>,
    },
    /// Another workspace has this name, or had it and is still reached by it.
    #[error(
        "the name `{name}` belongs to another workspace\n\
         hint: to count both as one, run `tollgate workspaces merge \"{from}\" \"{name}\"`"
    )]
    WorkspaceExists {
        /// The name.
        name: Box<str>,
        /// The workspace that was to be called so.
        from: Box<str>,
    },
    /// There is nothing to merge.
    #[error("`{name}` cannot be merged into itself\nhint: name two workspaces")]
    MergedIntoItself {
        /// Its name.
        name: Box<str>,
    },
    /// The demonstration's workspace is not the user's.
    #[error(
        "the workspace `demo` is the demonstration's and stays as it is\n\
         hint: no total counts it unless asked"
    )]
    DemoWorkspace,
    /// The system has no randomness to give, so no secret can be made.
    #[error("the system gives no randomness: {0}")]
    NoRandomness(getrandom::Error),
}

impl From<UnpackError> for StoreError {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::Damaged => Self::Damaged,
            UnpackError::Sqlite(error) => Self::Sqlite(error),
        }
    }
}
