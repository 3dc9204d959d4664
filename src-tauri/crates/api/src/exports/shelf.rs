//! The folder of exports: finished files, the list of them, and what is left of those that
//! broke off. Only its owner can look into it, and nothing in it grows for ever.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use meter::Timestamp;
use serde::{Deserialize, Serialize};

use super::job::{ExportJob, ExportStatus};

/// Exports that are remembered, files or not; the oldest go first.
const MOST_KEPT: usize = 50;

/// What finished files may take together; the newest stays, however large.
const MOST_BYTES: u64 = 10 << 30;

/// How long one is kept.
const KEPT_FOR_MS: i64 = 7 * 24 * 3600 * 1000;

/// The list, beside the files.
const LIST: &str = "exports.json";

/// What follows a name until the file is whole.
const PART: &str = ".part";

/// All exports that are remembered, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Shelf {
    /// The number of the last one, so that none is used twice.
    last: u64,
    pub(super) jobs: Vec<ExportJob>,
}

impl Shelf {
    /// What a folder holds. Whoever wrote there is gone: what was under way is interrupted,
    /// and what no whole export owns is removed.
    ///
    /// # Errors
    /// When the list cannot be read. A folder that is not there has none.
    pub(super) fn open(folder: &Path, now: Timestamp) -> io::Result<Self> {
        let mut shelf = match fs::read(folder.join(LIST)) {
            Ok(list) => serde_json::from_slice::<Self>(&list).unwrap_or_else(|error| {
                tracing::error!(%error, "the list of exports cannot be read and is begun anew");
                Self::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error),
        };
        for job in &mut shelf.jobs {
            if job.status.is_under_way() {
                job.status = ExportStatus::Interrupted;
                job.ended_at = Some(now);
                job.problem = Some("Tollgate ended while it was made".to_owned());
            }
        }
        shelf.sweep(folder)?;
        Ok(shelf)
    }

    /// Adds one under a number of its own.
    pub(super) fn add(&mut self, make: impl FnOnce(u64) -> ExportJob) -> u64 {
        self.last += 1;
        self.jobs.push(make(self.last));
        self.last
    }

    pub(super) fn find(&mut self, id: u64) -> Option<&mut ExportJob> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// Forgets what is too old or too much, and its files.
    pub(super) fn tidy(&mut self, folder: &Path, now: Timestamp) {
        let mut bytes = 0_u64;
        let mut kept = 0;
        let mut gone = Vec::new();
        for job in self.jobs.iter().rev() {
            bytes = bytes.saturating_add(job.bytes);
            kept += 1;
            let ended_ms = job.ended_at.map(Timestamp::millis);
            let is_old = ended_ms.is_some_and(|ended| now.millis() - ended > KEPT_FOR_MS);
            let is_much = kept > MOST_KEPT || (kept > 1 && bytes > MOST_BYTES);
            if (is_old || is_much) && !job.status.is_under_way() {
                bytes -= job.bytes;
                gone.push(job.id);
            }
        }
        for id in gone {
            self.remove(folder, id);
        }
    }

    /// Forgets one, and its file.
    pub(super) fn remove(&mut self, folder: &Path, id: u64) {
        let Some(at) = self.jobs.iter().position(|job| job.id == id) else { return };
        let job = self.jobs.remove(at);
        let path = path_of(folder, &job);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(%error, path = %path.display(), "an export could not be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Writes the list down. On a full disk it is right in memory and old on the disk; what was
    /// under way is then interrupted after a restart, which is true.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        private_folder(folder)?;
        let part = folder.join(format!("{LIST}{PART}"));
        let list = serde_json::to_vec(self).map_err(io::Error::other)?;
        let written = private_file(&part).and_then(|mut file| {
            io::Write::write_all(&mut file, &list)?;
            file.sync_all()
        });
        let placed = written.and_then(|()| fs::rename(&part, folder.join(LIST)));
        if placed.is_err() {
            let _ = fs::remove_file(&part);
        }
        placed
    }

    /// Removes what is left of exports that broke off, and files that no list knows.
    fn sweep(&self, folder: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let is_whole = |job: &ExportJob| job.status == ExportStatus::Done;
            let is_known =
                self.jobs.iter().any(|job| is_whole(job) && path_of(folder, job) == path);
            if is_ours(&path) && !is_known {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Whether a file has a name that only this folder's owner gives.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.split_once("-usage-").map_or("", |(number, _)| number);
    name.ends_with(PART) || number.parse::<u64>().is_ok()
}

/// Where an export's file lies.
pub(super) fn path_of(folder: &Path, job: &ExportJob) -> PathBuf {
    folder.join(format!("{}-{}", job.id, job.name))
}

/// Where it lies until it is whole.
pub(super) fn part_of(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id}{PART}"))
}

/// Makes the folder, readable by its owner only.
pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A new file, readable by its owner only.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
