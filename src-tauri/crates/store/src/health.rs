//! How the recording of receipts is doing: counters that everybody may read at any time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How the ledger is doing since this process opened it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Receipts committed.
    pub recorded: u64,
    /// Finished receipts that wait to be committed.
    pub waiting: u64,
    /// Of those, the ones in the spill file.
    pub spilled: u64,
    /// Receipts that found no place anywhere.
    pub lost: u64,
    /// Requests that began while every slot of the register was taken; a crash would have
    /// lost their receipts.
    pub unregistered: u64,
    /// Slots of an earlier process that could not be read.
    pub torn: u64,
    /// Whether an update's work on the sums is still under way.
    pub catching_up: bool,
    /// Why the ledger cannot be written at the moment.
    pub problem: Option<String>,
}

/// The counters behind [`Health`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) recorded: AtomicU64,
    pub(crate) waiting: AtomicU64,
    pub(crate) spilled: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) unregistered: AtomicU64,
    pub(crate) torn: AtomicU64,
    pub(crate) catching_up: AtomicBool,
    problem: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn read(&self) -> Health {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Health {
            recorded: of(&self.recorded),
            waiting: of(&self.waiting),
            spilled: of(&self.spilled),
            lost: of(&self.lost),
            unregistered: of(&self.unregistered),
            torn: of(&self.torn),
            catching_up: self.catching_up.load(Ordering::Relaxed),
            problem: self.lock().clone(),
        }
    }

    /// Takes note of a problem, or of its end; says whether that is news.
    pub(crate) fn set_problem(&self, problem: Option<String>) -> bool {
        let mut held = self.lock();
        let news = held.is_some() != problem.is_some();
        *held = problem;
        news
    }

    /// Counts receipts that found no place; says so once.
    pub(crate) fn lose(&self, count: u64, why: &str) {
        if self.lost.fetch_add(count, Ordering::Relaxed) == 0 {
            tracing::error!(count, "receipts are lost: {why}; from now on they are only counted");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.problem.lock().expect("nothing panics while it holds the problem's text")
    }
}
