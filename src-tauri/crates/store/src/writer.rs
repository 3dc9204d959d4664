//! The writer: the one thread that writes the ledger. It gathers what is finished, commits
//! it in batches, frees the slots, and holds on to everything while the ledger is broken.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use meter::Receipt;

use crate::books::{Books, Recorded};
use crate::displaced;
use crate::error::StoreError;
use crate::health::Counters;
use crate::register::{Register, SLOTS, SlotUse};
use crate::seal::SealsLeft;
use crate::spill::Spill;
use crate::upkeep;

/// What the writer is asked to do, in order.
pub(crate) enum Order {
    /// Record a request that ended.
    Finished(Finished),
    /// Record what is known of a request that nobody finished.
    Abandoned(SlotUse),
    /// Change something else; gets no books while the ledger cannot be opened.
    Write(Write),
    /// Write what is left and end.
    Close(Sender<()>),
}

/// A change to the ledger that is not a receipt.
pub(crate) type Write = Box<dyn FnOnce(Option<&mut Books>) + Send>;

/// A finished receipt on its way into the ledger.
pub(crate) struct Finished {
    pub(crate) receipt: Box<Receipt>,
    pub(crate) place: Place,
}

impl Finished {
    fn slot(&self) -> Option<SlotUse> {
        match self.place {
            Place::Slot(slot) => Some(slot),
            Place::Memory(_) => None,
        }
    }
}

/// Where a receipt is kept until it is in the ledger.
pub(crate) enum Place {
    /// In the register as well, so that a crash does not lose it.
    Slot(SlotUse),
    /// In memory alone, with the permit that bounds how many of those there are.
    Memory(#[expect(dead_code, reason = "it counts until it is dropped")] Permit),
}

/// Leave to keep one receipt in memory alone.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// Absent: as many are given out as there are slots.
    pub(crate) fn take(given: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |count: usize| (count < SLOTS).then_some(count + 1);
        let taken = given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Self(Arc::clone(given)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Called after each commit.
pub(crate) type Listeners = Arc<Mutex<Vec<Box<dyn Fn() + Send>>>>;

/// How long the first receipt of a batch waits for company. Under load one commit then
/// carries hundreds; alone, a receipt is in the ledger a moment later than it could be.
const GATHER: Duration = Duration::from_millis(8);
const BATCH: usize = 1024;
/// Receipts waiting in slots before the oldest move to the spill file.
const MOST_WAITING: usize = SLOTS * 3 / 4;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const SLOWEST_RETRY: Duration = Duration::from_secs(5);

/// The writer's belongings. Lives on its own thread once [`Writer::run`] is called.
pub(crate) struct Writer {
    pub(crate) home: PathBuf,
    pub(crate) books: Option<Books>,
    pub(crate) register: Arc<Register>,
    pub(crate) spill: Spill,
    /// What recorders had to put down themselves.
    pub(crate) overflow: Arc<Mutex<Spill>>,
    pub(crate) waiting: VecDeque<Finished>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) listeners: Listeners,
    pub(crate) retry: Option<Retry>,
    /// Whether a migration may have left something to do.
    pub(crate) catching_up: SealsLeft,
}

/// When to try again, and how long to wait after that.
#[derive(Clone, Copy)]
pub(crate) struct Retry {
    at: Instant,
    pause: Duration,
}

impl Writer {
    /// Takes orders until it is told to close or nobody is left to give any.
    pub(crate) fn run(mut self, orders: Receiver<Order>) {
        loop {
            let order = match (self.next_try(), self.catching_up) {
                (Some(pause), _) => orders.recv_timeout(pause),
                (None, SealsLeft::Some) => orders.recv_timeout(Duration::ZERO),
                (None, SealsLeft::None) => {
                    orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
                }
            };
            let closing = match order {
                Ok(order) => self.gather(order, &orders),
                Err(RecvTimeoutError::Timeout) => {
                    self.catch_up();
                    None
                }
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            };
            if self.next_try().is_none_or(|pause| pause.is_zero()) {
                self.commit();
            }
            self.relieve();
            if let Some(done) = closing {
                self.end();
                // Nobody waits any more if the deadline passed.
                let _ = done.send(());
                return;
            }
        }
    }

    /// Does some of what a migration left to do, while nobody waits.
    fn catch_up(&mut self) {
        let Some(books) = self.books.as_mut().filter(|_| self.retry.is_none()) else { return };
        if self.catching_up == SealsLeft::None {
            return;
        }
        match books.write(upkeep::catch_up) {
            Ok(SealsLeft::Some) => return,
            Ok(SealsLeft::None) => {}
            // The next start tries again; figures are read with care for what is missing.
            Err(error) => tracing::warn!("not all sums could be made anew: {error}"),
        }
        self.catching_up = SealsLeft::None;
        self.counters.catching_up.store(false, Ordering::Relaxed);
    }

    fn next_try(&self) -> Option<Duration> {
        self.retry.map(|retry| retry.at.saturating_duration_since(Instant::now()))
    }

    /// Takes an order and those that come shortly after it.
    fn gather(&mut self, order: Order, orders: &Receiver<Order>) -> Option<Sender<()>> {
        if matches!(order, Order::Finished(_)) && self.retry.is_none() {
            // Asleep rather than in `recv`, so that senders need not wake this thread.
            std::thread::sleep(GATHER);
        }
        let mut next = Some(order);
        while let Some(order) = next {
            match order {
                Order::Finished(finished) => self.waiting.push_back(finished),
                Order::Abandoned(slot) => self.abandoned(slot),
                Order::Write(write) => {
                    self.commit();
                    write(self.books.as_mut());
                    self.changed();
                }
                Order::Close(done) => return Some(done),
            }
            next = if self.waiting.len() < BATCH { orders.try_recv().ok() } else { None };
        }
        self.counters.waiting.store(self.backlog(), Ordering::Relaxed);
        None
    }

    fn abandoned(&mut self, slot: SlotUse) {
        match self.register.draft(slot) {
            Some(receipt) => self.waiting.push_back(Finished { receipt, place: Place::Slot(slot) }),
            None => self.register.release(slot),
        }
    }

    /// Commits everything that waits, oldest first, as far as the ledger lets it.
    pub(crate) fn commit(&mut self) {
        if !self.is_in_place() || self.books.is_none() && !self.reopen() {
            return;
        }
        self.take_overflow();
        while !self.spill.is_empty() || !self.waiting.is_empty() {
            let done = if self.spill.is_empty() { self.commit_waiting() } else { self.unspill() };
            match done {
                Ok(recorded) => self.committed(recorded),
                Err(error) => return self.failed(&error),
            }
            self.take_overflow();
        }
        self.recovered();
    }

    /// Makes what recorders put down the spill file, if there is none.
    fn take_overflow(&mut self) {
        let mut overflow = self.overflow.lock().expect("nothing panics while it holds the file");
        if !overflow.is_empty()
            && self.spill.is_empty()
            && let Err(error) = self.spill.take_over(&mut overflow)
        {
            tracing::warn!(%error, "the overflow file stays for the next time");
        }
    }

    /// If the ledger's file was taken away under us, keeps what was in it and lets go of it. Says
    /// whether there is a place to write to.
    fn is_in_place(&mut self) -> bool {
        let Some(books) = self.books.take_if(|books| !books.is_in_place(&self.home)) else {
            return true;
        };
        match displaced::keep(books, &self.home) {
            Ok(kept) => {
                let kept = kept.display();
                tracing::warn!("the ledger was deleted or replaced; what was in it is in `{kept}`");
                true
            }
            Err((books, error)) => {
                self.books = Some(*books);
                self.try_later(format!("the ledger was deleted: {}", describe(&error)));
                false
            }
        }
    }

    fn reopen(&mut self) -> bool {
        match Books::open(&self.home) {
            Ok(books) => {
                self.books = Some(books);
                self.catching_up = SealsLeft::Some;
                true
            }
            Err(error) => {
                self.try_later(describe(&error));
                false
            }
        }
    }

    fn commit_waiting(&mut self) -> rusqlite::Result<Recorded> {
        let books = self.books.as_mut().expect("commit opened the books");
        let len = self.waiting.len().min(BATCH);
        let batch = self.waiting.iter().take(len).map(|finished| &*finished.receipt);
        let (done, recorded) = match books.record(batch) {
            Ok(recorded) => (len, recorded),
            Err(error) if is_about_the_ledger(&error) => return Err(error),
            // One of them is unacceptable; find out which, so that the others get in.
            Err(_) => (1, record_alone(books, &self.waiting[0].receipt)?),
        };
        for finished in self.waiting.drain(..done) {
            if let Some(slot) = finished.slot() {
                self.register.release(slot);
            }
        }
        Ok(recorded)
    }

    /// Brings the spill file's receipts home.
    fn unspill(&mut self) -> rusqlite::Result<Recorded> {
        let books = self.books.as_mut().expect("commit opened the books");
        let (mut at, mut total) = (Some(0), Recorded::default());
        while let Some(from) = at {
            let (receipts, next) = self.spill.read(from, BATCH).unwrap_or_default();
            let recorded = books.record(receipts.iter())?;
            total.new += recorded.new;
            at = next.filter(|_| !receipts.is_empty());
        }
        if let Err(error) = self.spill.clear() {
            tracing::warn!(%error, "the spill file is in the ledger and could not be removed");
            self.spill.disregard();
        }
        self.counters.spilled.store(0, Ordering::Relaxed);
        Ok(total)
    }

    fn committed(&mut self, recorded: Recorded) {
        self.recovered();
        self.counters.waiting.store(self.backlog(), Ordering::Relaxed);
        self.counters.recorded.fetch_add(recorded.new, Ordering::Relaxed);
        if recorded.collided > 0 {
            self.counters.lose(recorded.collided, "their row is taken by another");
        }
        self.changed();
    }

    fn backlog(&self) -> u64 {
        self.waiting.len() as u64 + self.counters.spilled.load(Ordering::Relaxed)
    }

    fn changed(&self) {
        let listeners = self.listeners.lock().expect("a listener that panicked ended the writer");
        listeners.iter().for_each(|listener| listener());
    }

    fn failed(&mut self, error: &rusqlite::Error) {
        self.try_later(format!("the ledger cannot be written: {error}"));
        // A full or busy ledger is fine as it is; anything else deserves a new beginning.
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
        let fine =
            matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DiskFull));
        if !fine {
            self.books = None;
        }
    }

    fn try_later(&mut self, problem: String) {
        let pause = self.retry.map_or(FIRST_RETRY, |r| (r.pause * 2).min(SLOWEST_RETRY));
        self.retry = Some(Retry { at: Instant::now() + pause, pause });
        if self.counters.set_problem(Some(problem.clone())) {
            tracing::error!("{problem}; traffic flows and receipts wait");
        }
    }

    fn recovered(&mut self) {
        self.retry = None;
        if self.counters.set_problem(None) {
            tracing::info!("the ledger can be written again");
        }
    }

    /// Moves the oldest waiting receipts to the spill file before the slots run out.
    fn relieve(&mut self) {
        if self.waiting.len() > MOST_WAITING {
            self.spill_waiting(self.waiting.len() - MOST_WAITING / 2);
        }
    }

    fn spill_waiting(&mut self, len: usize) {
        let spilled = self.spill.append(self.waiting.iter().take(len).map(|f| &*f.receipt));
        match spilled {
            Ok(()) => drop(self.counters.spilled.fetch_add(len as u64, Ordering::Relaxed)),
            // While slots are left the receipts are safer there than dropped.
            Err(_) if self.waiting.len() < 2 * SLOTS && self.register.free() > SLOTS / 16 => return,
            Err(_) => self
                .counters
                .lose(len as u64, "the ledger, the register and the spill file are full"),
        }
        for finished in self.waiting.drain(..len) {
            if let Some(slot) = finished.slot() {
                self.register.release(slot);
            }
        }
        self.counters.waiting.store(self.backlog(), Ordering::Relaxed);
    }

    /// What is still waiting stays in its slots; what has none goes to the spill file.
    fn end(&mut self) {
        self.commit();
        let homeless = |finished: &&Finished| finished.slot().is_none();
        let count = self.waiting.iter().filter(homeless).count();
        if count == 0 {
            return;
        }
        let receipts = self.waiting.iter().filter(homeless).map(|f| &*f.receipt);
        if self.spill.append(receipts).is_err() {
            self.counters.lose(count as u64, "Tollgate ends and the ledger cannot be written");
        }
    }
}

fn describe(error: &StoreError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn record_alone(books: &mut Books, receipt: &Receipt) -> rusqlite::Result<Recorded> {
    match books.record(std::iter::once(receipt)) {
        // A damaged file takes no receipt for what it is; there is a copy to put back.
        Err(error) if !is_about_the_ledger(&error) && books.is_whole() => {
            Ok(Recorded { collided: 1, ..Recorded::default() })
        }
        done => done,
    }
}

/// Whether waiting may help: the file or the disk is the problem, not the receipt.
fn is_about_the_ledger(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    match error.sqlite_error_code() {
        Some(ConstraintViolation | TooBig | TypeMismatch) => false,
        Some(_) => true,
        // What was read is nothing that was ever written, unless it is the receipt that cannot be.
        None => !matches!(error, rusqlite::Error::ToSqlConversionFailure(_)),
    }
}
