//! What `tollgate doctor` looks at besides the ledger: who runs on the home, who may read it, whether
//! it can be written, how much room there is, what waits to be recorded, what the clock says.

use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;

use meter::Timestamp;
use serde::Serialize;
use store::{Filter, NotRecorded, Questions, free_bytes};

use super::figure::{bytes, full_instant, grouped};
use super::filters::zone;
use crate::home::Home;

/// Less room than this and the next receipts may have to wait.
const ROOM: u64 = 64 << 20;
/// A receipt may be that much ahead of the clock: ids do not go back for a correction of it.
const AHEAD_MS: i64 = 60_000;

/// Something that is not as it should be.
#[derive(Debug, Serialize)]
pub(super) struct Trouble {
    /// What, in one sentence.
    pub(super) what: String,
    /// What to do about it.
    pub(super) hint: String,
}

fn trouble(what: String, hint: impl Into<String>) -> Trouble {
    Trouble { what, hint: hint.into() }
}

/// How things are around the ledger.
#[derive(Debug, Default, Serialize)]
pub(super) struct Surroundings {
    /// The process that serves this home; `null`: none.
    pub(super) process: Option<String>,
    /// Receipts in the in-flight register, with those of calls under way.
    pub(super) in_slots: u64,
    /// Bytes of receipts that were spilled and wait.
    pub(super) spilled_bytes: u64,
    /// What the disk has left; `null`: the system does not say.
    pub(super) free_bytes: Option<u64>,
    /// What is wrong.
    pub(super) troubles: Vec<Trouble>,
    /// What is odd, and no reason to do anything at once.
    pub(super) notes: Vec<Trouble>,
}

impl Surroundings {
    /// Looks around; changes nothing and makes nothing.
    pub(super) fn of(home: &Home, now: Timestamp) -> Self {
        let mut found = Self { process: home.holder(), ..Self::default() };
        if !home.path().is_dir() {
            if home.path().exists() {
                let what = format!("`{}` is no folder", home.path().display());
                found.troubles.push(trouble(what, "move it away, or set TOLLGATE_HOME"));
            }
            return found;
        }
        found.may_be_written(home.path());
        found.is_private(home.path());
        found.has_room(home.path());
        found.is_recorded(home.path());
        found.is_of_now(home.path(), now);
        found
    }

    #[cfg(unix)]
    fn may_be_written(&mut self, home: &Path) {
        use rustix::fs::{Access, access};
        let paths = [home.to_owned(), home.join("ledger.db"), home.join("inflight")];
        let refused = |path: &&PathBuf| path.exists() && access(*path, Access::WRITE_OK).is_err();
        if let Some(path) = paths.iter().find(refused) {
            let (path, home) = (path.display(), home.display());
            self.troubles.push(trouble(
                format!("`{path}` cannot be written"),
                format!("give yourself the right with chmod -R u+rwX '{home}', or make its disk writable; receipts wait until then, and no other Tollgate can start"),
            ));
        }
    }

    #[cfg(not(unix))]
    fn may_be_written(&mut self, _: &Path) {}

    #[cfg(unix)]
    fn is_private(&mut self, home: &Path) {
        use std::os::unix::fs::PermissionsExt as _;
        let open =
            |path: &Path| path.metadata().is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
        // What lies in a folder that only its owner can enter is private.
        if open(home) && ["ledger.db", "inflight", "keys"].iter().any(|name| open(&home.join(name)))
        {
            let home = home.display();
            self.troubles.push(trouble(
                format!("others on this machine may read the receipts in `{home}`"),
                format!("chmod -R go= '{home}'"),
            ));
        }
    }

    #[cfg(not(unix))]
    fn is_private(&mut self, _: &Path) {}

    fn has_room(&mut self, home: &Path) {
        self.free_bytes = free_bytes(home);
        if let Some(free) = self.free_bytes.filter(|free| *free < ROOM) {
            self.troubles.push(trouble(
                format!("the disk of `{}` is full: {} are left", home.display(), bytes(free)),
                "make room; `tollgate prune` and fewer copies ([backup] keep) do as well. Receipts wait until then",
            ));
        }
    }

    fn is_recorded(&mut self, home: &Path) {
        let left = match NotRecorded::look(home) {
            Ok(left) => left,
            Err(error) => {
                let hint = "calls pass, but a crash would lose what they came to";
                self.troubles.push(trouble(error.to_string(), hint));
                return;
            }
        };
        (self.in_slots, self.spilled_bytes) = (left.in_slots, left.spilled_bytes);
        if left.torn > 0 {
            self.notes.push(trouble(
                format!("{} slots of the in-flight register cannot be read", grouped(left.torn)),
                "calls that ran when the machine stopped have no receipt; `tollgate serve` uses the slots again",
            ));
        }
    }

    fn is_of_now(&mut self, home: &Path, now: Timestamp) {
        // What keeps the ledger from being read is told elsewhere.
        let Ok(ledger) = Questions::open(home) else { return };
        let newest = ledger.requests(&Filter::default(), None, 1).ok();
        let Some(newest) = newest.and_then(|newest| newest.into_iter().next()) else { return };
        let at = newest.id.minted_at();
        if at.millis() - now.millis() > AHEAD_MS {
            let at = full_instant(at, zone());
            self.notes.push(trouble(
                format!("the newest receipt is of {at}, which is still to come"),
                "set this machine's clock, if it is behind; if it was ahead once, those receipts stay as they are",
            ));
        }
    }

    /// What waits, in words; nothing if nothing does.
    pub(super) fn waiting(&self) -> Option<String> {
        if self.in_slots == 0 && self.spilled_bytes == 0 {
            return None;
        }
        let mut said = format!("{} receipts in the register", grouped(self.in_slots));
        if self.spilled_bytes > 0 {
            said += &format!(", {} of them spilled", bytes(self.spilled_bytes));
        }
        let and = match self.process {
            Some(_) => "calls under way among them",
            None => "the next start records them",
        };
        Some(format!("{said}: {and}"))
    }
}
