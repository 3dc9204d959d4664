//! Makes exports beside the traffic: a few at a time, on threads of its own that end when
//! nothing waits. Each writes beside its file's place and takes it when it is whole.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use meter::Timestamp;
use store::free_bytes;

use super::job::{ExportJob, ExportOrder, ExportStatus};
use super::shelf::{Shelf, part_of, path_of, private_file, private_folder};
use crate::download;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::question;
use crate::readers::OpenReader;
use crate::remains;
use crate::router::Clock;

/// Exports that are made at the same time.
const AT_A_TIME: usize = 2;

/// Exports that wait or are made; more are refused.
const MOST_UNDER_WAY: usize = 20;

/// Room that an export leaves on its disk, so that receipts can be written while it is made.
const SPARE: u64 = 64 << 20;

/// Bytes between two looks at how much room there is.
const LOOK: u64 = 8 << 20;

/// Rows between two looks: a workbook's go into temporary files in the same folder first.
const ROWS_A_LOOK: u64 = 4096;

/// Makes exports, and keeps them for a while.
pub struct Workshop {
    folder: PathBuf,
    open: OpenReader,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Read when it is first needed.
    shelf: Option<Shelf>,
    under_way: BTreeMap<u64, Arc<UnderWay>>,
    threads: Vec<JoinHandle<()>>,
    /// Threads that will look for more when they are done with what they make.
    working: usize,
    is_closed: bool,
}

/// An export that waits or is being made.
struct UnderWay {
    query: Query,
    ordered_at: Timestamp,
    rows: AtomicU64,
    rows_expected: Mutex<Option<u64>>,
    bytes: AtomicU64,
    stop: AtomicBool,
    is_begun: AtomicBool,
}

/// Why there is no file.
enum Unmade {
    Stopped,
    Failed(String),
}

impl Workshop {
    /// A workshop in `folder`, which is made with the first export.
    pub fn new(folder: PathBuf, open: OpenReader, clock: Clock) -> Arc<Self> {
        Arc::new(Self { folder, open, clock, state: Mutex::default() })
    }

    /// Orders an export and says what it is.
    ///
    /// # Errors
    /// When too many wait already, or the folder cannot be written.
    pub(crate) fn order(
        self: &Arc<Self>,
        order: ExportOrder,
        query: Query,
    ) -> Result<ExportJob, Problem> {
        let now = (self.clock)();
        let name = download::file_name(&query, now);
        let query = pinned(query, now);
        let mut state = self.state();
        if state.is_closed {
            return Err(Problem::new(Code::Conflict, "Tollgate is ending"));
        }
        if state.under_way.len() >= MOST_UNDER_WAY {
            let sentence = format!("{MOST_UNDER_WAY} exports wait or are made already");
            return Err(Problem::new(Code::TooManyRequests, sentence)
                .hint("Wait until some are done, or cancel one with `tollgate exports cancel`."));
        }
        let shelf = self.shelf(&mut state)?;
        let id = shelf.add(|id| ExportJob {
            id,
            status: ExportStatus::Waiting,
            name,
            order: order.pinned(&query),
            ordered_at: now,
            ended_at: None,
            rows: 0,
            rows_expected: None,
            bytes: 0,
            problem: None,
        });
        shelf.tidy(&self.folder, now);
        if let Err(error) = shelf.write(&self.folder) {
            shelf.jobs.pop();
            return Err(self.unwritten(&error));
        }
        let job = shelf.jobs.last().cloned().expect("it was just added");
        let under_way = UnderWay {
            query,
            ordered_at: now,
            rows: AtomicU64::new(0),
            rows_expected: Mutex::default(),
            bytes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            is_begun: AtomicBool::new(false),
        };
        state.under_way.insert(id, Arc::new(under_way));
        state.threads.retain(|thread| !thread.is_finished());
        if state.working < AT_A_TIME {
            self.hire(&mut state);
        }
        Ok(job)
    }

    /// Starts a thread that makes what waits. Where the system has none left, those that work
    /// come to it later, or the next order does.
    fn hire(self: &Arc<Self>, state: &mut State) {
        let workshop = Arc::clone(self);
        let work = move || while workshop.make_next() {};
        match thread::Builder::new().name("exports".to_owned()).spawn(work) {
            Ok(thread) => {
                state.working += 1;
                state.threads.push(thread);
            }
            Err(error) => tracing::error!(%error, "there is no thread for an export"),
        }
    }

    /// Every export that is remembered, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn jobs(&self) -> Result<Vec<ExportJob>, Problem> {
        let mut state = self.state();
        self.shelf(&mut state)?;
        let State { shelf, under_way, .. } = &*state;
        let jobs = shelf.iter().flat_map(|shelf| &shelf.jobs);
        Ok(jobs.map(|job| shown(job, under_way.get(&job.id))).collect())
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is no such export, or the folder cannot be read.
    pub fn job(&self, id: u64) -> Result<ExportJob, Problem> {
        self.jobs()?.into_iter().find(|job| job.id == id).ok_or_else(|| unknown(id))
    }

    /// Ends one that waits or is being made; leaves no file.
    ///
    /// # Errors
    /// When there is no such export, or it has ended.
    pub fn cancel(&self, id: u64) -> Result<ExportJob, Problem> {
        let now = (self.clock)();
        let mut state = self.state();
        let shelf = self.shelf(&mut state)?;
        let job = shelf.find(id).ok_or_else(|| unknown(id))?;
        if !job.status.is_under_way() {
            let sentence = format!("export `{id}` is over: it is {}", job.status.as_str());
            return Err(
                Problem::new(Code::Conflict, sentence).hint("`DELETE` removes it and its file.")
            );
        }
        job.status = ExportStatus::Cancelled;
        job.ended_at = Some(now);
        let job = job.clone();
        self.note(&state);
        if let Some(under_way) = state.under_way.remove(&id) {
            under_way.stop.store(true, Ordering::Relaxed);
        }
        Ok(job)
    }

    /// Forgets one and its file; one that is being made is cancelled first.
    ///
    /// # Errors
    /// When there is no such export.
    pub fn remove(&self, id: u64) -> Result<(), Problem> {
        let mut state = self.state();
        let shelf = self.shelf(&mut state)?;
        shelf.find(id).ok_or_else(|| unknown(id))?;
        shelf.remove(&self.folder, id);
        self.note(&state);
        if let Some(under_way) = state.under_way.remove(&id) {
            under_way.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Where the file of a finished export lies.
    ///
    /// # Errors
    /// When there is no such export, or it has no file.
    pub fn file(&self, id: u64) -> Result<(ExportJob, PathBuf), Problem> {
        let job = self.job(id)?;
        if job.status != ExportStatus::Done {
            let sentence = format!("export `{id}` has no file: it is {}", job.status.as_str());
            return Err(
                Problem::new(Code::Conflict, sentence).hint("Only what is `done` can be fetched.")
            );
        }
        let path = path_of(&self.folder, &job);
        Ok((job, path))
    }

    /// Forgets what is too old, and notices what a Tollgate before this one left behind.
    pub fn tidy(&self) {
        if !self.folder.exists() {
            return;
        }
        let now = (self.clock)();
        let mut state = self.state();
        let tidied = self.shelf(&mut state).map(|shelf| shelf.tidy(&self.folder, now));
        match tidied {
            Ok(()) => self.note(&state),
            Err(problem) => tracing::error!("exports are not tidied up: {problem}"),
        }
    }

    /// Ends what is being made, and waits for that. It is interrupted, and leaves no file.
    pub fn close(&self) {
        let threads = {
            let mut state = self.state();
            state.is_closed = true;
            for under_way in state.under_way.values() {
                under_way.stop.store(true, Ordering::Relaxed);
            }
            std::mem::take(&mut state.threads)
        };
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("making an export panicked");
            }
        }
    }

    /// Makes the oldest that waits; whether there was one.
    fn make_next(&self) -> bool {
        let Some((id, under_way)) = self.take_next() else { return false };
        // Whatever goes wrong with one, the next is made.
        let made = catch_unwind(AssertUnwindSafe(|| self.make(id, &under_way)));
        let mistake = "a mistake of Tollgate's own; the log says where";
        let made = made.unwrap_or_else(|_| Err(Unmade::Failed(mistake.to_owned())));
        if made.is_err() {
            let _ = fs::remove_file(part_of(&self.folder, id));
        }
        let now = (self.clock)();
        let mut state = self.state();
        let is_wanted = state.under_way.remove(&id).is_some();
        let Some(job) = state.shelf.as_mut().and_then(|shelf| shelf.find(id)) else {
            let _ = fs::remove_file(part_of(&self.folder, id));
            return true;
        };
        *job = shown(job, Some(&under_way));
        if !is_wanted {
            // It was cancelled meanwhile, and may have become whole all the same.
            job.status = ExportStatus::Cancelled;
            let _ = fs::remove_file(part_of(&self.folder, id));
            self.note(&state);
            return true;
        }
        job.ended_at = Some(now);
        let placed = made.and_then(|()| {
            let placed = fs::rename(part_of(&self.folder, id), path_of(&self.folder, job));
            placed.map_err(|error| Unmade::Failed(said(&error)))
        });
        (job.status, job.problem) = match placed {
            Ok(()) => (ExportStatus::Done, None),
            Err(Unmade::Failed(why)) => {
                tracing::warn!(id, "an export could not be made: {why}");
                (ExportStatus::Failed, Some(why))
            }
            Err(Unmade::Stopped) => {
                let why = "Tollgate ended while it was made".to_owned();
                (ExportStatus::Interrupted, Some(why))
            }
        };
        self.note(&state);
        true
    }

    fn take_next(&self) -> Option<(u64, Arc<UnderWay>)> {
        let mut state = self.state();
        let next = state.under_way.iter().find(|(_, one)| !one.is_begun.load(Ordering::Relaxed));
        let Some((id, under_way)) = next.map(|(id, one)| (*id, Arc::clone(one))) else {
            state.working -= 1;
            return None;
        };
        under_way.is_begun.store(true, Ordering::Relaxed);
        if let Some(job) = state.shelf.as_mut().and_then(|shelf| shelf.find(id)) {
            job.status = ExportStatus::Running;
        }
        Some((id, under_way))
    }

    /// Writes the whole file beside its place.
    fn make(&self, id: u64, under_way: &UnderWay) -> Result<(), Unmade> {
        let failed = |error: io::Error| match under_way.is_stopped() {
            true => Unmade::Stopped,
            false => Unmade::Failed(said(&error)),
        };
        let refused = |problem: Problem| Unmade::Failed(problem.message);
        if under_way.is_stopped() {
            return Err(Unmade::Stopped);
        }
        let ledger = (self.open)().map_err(|error| refused(error.into()))?;
        let expected = remains::rows(&ledger, &under_way.query);
        *under_way.expected() = expected.map_err(|error| refused(error.into()))?;
        private_folder(&self.folder).map_err(failed)?;
        let file = private_file(&part_of(&self.folder, id)).map_err(failed)?;
        let out = Watched { file, folder: &self.folder, under_way, unseen: LOOK };
        let mut is_full = false;
        let go_on = || {
            let rows = under_way.rows.fetch_add(1, Ordering::Relaxed);
            is_full |= rows.is_multiple_of(ROWS_A_LOOK) && !has_room(&self.folder);
            match under_way.is_stopped() || is_full {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let (query, scratch) = (&under_way.query, Some(&*self.folder));
        let out = BufWriter::new(out);
        let made = question::export(&ledger, query, under_way.ordered_at, out, scratch, go_on);
        let out = made.map_err(refused)?.map_err(|error| match is_full {
            true => failed(io::ErrorKind::StorageFull.into()),
            false => failed(error),
        })?;
        let out = out.into_inner().map_err(|error| failed(error.into_error()))?;
        out.file.sync_all().map_err(failed)
    }

    /// The list, read when it is first needed.
    fn shelf<'s>(&self, state: &'s mut State) -> Result<&'s mut Shelf, Problem> {
        if state.shelf.is_none() {
            let shelf = Shelf::open(&self.folder, (self.clock)());
            state.shelf = Some(shelf.map_err(|error| self.unwritten(&error))?);
        }
        Ok(state.shelf.as_mut().expect("it was just read"))
    }

    /// Writes the list down as well as that can be done.
    fn note(&self, state: &State) {
        let Some(shelf) = &state.shelf else { return };
        if let Err(error) = shelf.write(&self.folder) {
            tracing::error!(%error, "the list of exports could not be written");
        }
    }

    fn unwritten(&self, error: &io::Error) -> Problem {
        let folder = self.folder.display();
        Problem::new(Code::Conflict, format!("`{folder}` cannot be used: {}", said(error)))
            .hint("Make room, or see to it that the folder can be written.")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn expected(&self) -> MutexGuard<'_, Option<u64>> {
        self.rows_expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came in after it was ordered is not in it.
fn pinned(mut query: Query, now: Timestamp) -> Query {
    query.filter.to = query.filter.to.or(Some(Timestamp::from_millis(now.millis() + 1)));
    query
}

/// A job with the progress it has made.
fn shown(job: &ExportJob, under_way: Option<&Arc<UnderWay>>) -> ExportJob {
    let mut job = job.clone();
    if let Some(one) = under_way {
        job.rows = one.rows.load(Ordering::Relaxed);
        job.rows_expected = *one.expected();
        job.bytes = one.bytes.load(Ordering::Relaxed);
    }
    job
}

fn unknown(id: u64) -> Problem {
    Problem::new(Code::NotFound, format!("there is no export `{id}`"))
        .hint("`tollgate exports` lists those there are.")
}

/// What went wrong with a file, in a sentence.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "there is no room left on the disk".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether an export may grow; where the system does not say, it may.
fn has_room(folder: &Path) -> bool {
    free_bytes(folder).is_none_or(|free| free >= SPARE)
}

/// The file, which counts what is written, ends when it is told to, and leaves the ledger room.
struct Watched<'a> {
    file: File,
    folder: &'a Path,
    under_way: &'a UnderWay,
    /// Bytes since the last look.
    unseen: u64,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.under_way.is_stopped() {
            return Err(io::Error::other("it was ended"));
        }
        if self.unseen >= LOOK {
            self.unseen = 0;
            if !has_room(self.folder) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let written = self.file.write(bytes)?;
        self.unseen += written as u64;
        self.under_way.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workshop").field("folder", &self.folder).finish_non_exhaustive()
    }
}
