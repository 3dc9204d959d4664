//! The one door to blocking work: a few readers of the ledger that take turns on threads
//! made for waiting.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use store::{Questions, StoreError};
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};

/// Questions that are answered at the same time; the others wait their turn.
const READERS: usize = 4;

/// Exports that run at the same time. They have readers of their own, because a client
/// that reads slowly must not keep anyone else from asking.
const EXPORTS: usize = 2;

/// Opens one more reader of the ledger.
pub type OpenReader = Box<dyn Fn() -> Result<Questions, StoreError> + Send + Sync>;

/// Readers of the ledger, opened when first needed and kept.
pub struct Readers {
    open: OpenReader,
    idle: Mutex<Vec<Questions>>,
    turns: Semaphore,
    exports: Arc<Semaphore>,
}

impl Readers {
    /// Readers that `open` opens.
    pub fn new(open: OpenReader) -> Arc<Self> {
        Arc::new(Self {
            open,
            idle: Mutex::default(),
            turns: Semaphore::new(READERS),
            exports: Arc::new(Semaphore::new(EXPORTS)),
        })
    }

    /// Asks one question.
    ///
    /// # Errors
    /// Those of the question, and that the ledger cannot be opened.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Questions) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let readers = Arc::clone(self);
        let answered = tokio::task::spawn_blocking(move || {
            let reader = readers.reader()?;
            let answer = question(&reader);
            // A reader that failed is closed; the next question opens a fresh one.
            if !matches!(&answer, Err(problem) if problem.code == Code::LedgerUnavailable) {
                readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            }
            answer
        });
        answered.await.unwrap_or_else(|_| Err(stumbled()))
    }

    fn reader(&self) -> Result<Questions, Problem> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let idle = idle.filter(Questions::is_in_place);
        idle.map_or_else(|| Ok((self.open)()?), Ok)
    }

    /// Runs `export` with a reader of its own once fewer than [`EXPORTS`] others run, and
    /// does not wait for it: whoever reads what it writes sees its end.
    pub(crate) async fn export(
        self: &Arc<Self>,
        export: impl FnOnce(Result<Questions, Problem>) + Send + 'static,
    ) {
        let slot = Arc::clone(&self.exports).acquire_owned().await;
        let readers = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            export((readers.open)().map_err(Problem::from));
            drop(slot);
        });
    }
}

/// What is said when the work itself panicked.
pub(crate) fn stumbled() -> Problem {
    tracing::error!("answering a question panicked");
    Problem::new(Code::Internal, "a mistake of Tollgate's own kept it from answering")
        .hint("Look into the log for the place, and report it.")
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}
