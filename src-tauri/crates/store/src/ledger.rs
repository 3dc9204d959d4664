//! The ledger as a running Tollgate holds it: opened once, recovered, written by one thread.
//!
//! What survives what: a request that began leaves a receipt even if the process is killed
//! the moment after (its slot is in the system's hands); a receipt whose end the client saw
//! keeps its usage. A power cut may take what the system had not written out yet, at most
//! the last half minute or so, and never leaves the ledger torn.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use meter::receipt::{Receipt, Settlement};
use meter::{ReceiptId, Timestamp};

use crate::books::Books;
use crate::error::StoreError;
use crate::health::{Counters, Health};
use crate::register::{Register, Remains, SlotUse};
use crate::seal::SealsLeft;
use crate::settlement::{self, Settled};
use crate::spill::Spill;
use crate::writer::{Finished, Listeners, Order, Permit, Place, Writer};

/// The in-flight register's name within the home.
const REGISTER: &str = "inflight";
/// The spill file's name within the home.
const SPILL: &str = "spill";
/// The name of the file for what found no place while the writer was at something else.
const OVERFLOW: &str = "overflow";

/// What is not in the ledger of a home: of calls under way and of receipts that wait, if a process
/// runs; otherwise the next start records it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotRecorded {
    /// Receipts and drafts in the in-flight register.
    pub in_slots: u64,
    /// Slots with bytes that are no receipt.
    pub torn: u64,
    /// Bytes of receipts that were spilled.
    pub spilled_bytes: u64,
}

impl NotRecorded {
    /// Of a home, whoever runs on it. Changes nothing.
    ///
    /// # Errors
    /// When the register cannot be read.
    pub fn look(home: &Path) -> Result<Self, StoreError> {
        let path = home.join(REGISTER);
        let remains = Register::look(&path).map_err(|source| StoreError::Home { path, source })?;
        let size = |name: &str| std::fs::metadata(home.join(name)).map_or(0, |file| file.len());
        Ok(Self {
            in_slots: remains.receipts.len() as u64,
            torn: remains.torn,
            spilled_bytes: size(SPILL) + size(OVERFLOW),
        })
    }
}

/// By how much the last id may be ahead of the clock and still be followed by the next: a minute.
const MOST_AHEAD: i64 = 60_000 << 12;

/// Owns everything that is written: the ledger, the in-flight register, the spill file. One
/// process at a time may hold the one of a home; the caller sees to that with a lock.
pub struct Ledger {
    desk: Arc<Desk>,
    listeners: Listeners,
    writer: JoinHandle<()>,
}

/// What recorders share.
struct Desk {
    register: Arc<Register>,
    orders: Sender<Order>,
    counters: Arc<Counters>,
    overflow: Arc<Mutex<Spill>>,
    last_minted: AtomicI64,
    /// What makes ids random: its keys are, and nothing comes twice. The system is asked once.
    randomness: RandomState,
    minted: AtomicU64,
    /// How many [`Permit`]s are given out.
    permits: Arc<AtomicUsize>,
}

impl Ledger {
    /// Opens the ledger of a home, making it if there is none, and commits what an earlier
    /// process left in the register and the spill file.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        let books = Books::open(home)?;
        let path = home.join(REGISTER);
        let (register, remains) =
            Register::open(&path).map_err(|source| StoreError::Home { path, source })?;
        Ok(Self::start(home, Some(books), register, remains))
    }

    /// Like [`Self::open`], but a ledger that is corrupt, read-only or on a full disk is no
    /// reason to stop traffic: receipts wait, [`Self::health`] says why, and the ledger is
    /// tried again now and then. Only a ledger of a newer Tollgate is still refused.
    pub fn open_or_degraded(home: &Path) -> Result<Self, StoreError> {
        let books = match Books::open(home) {
            Ok(books) => Some(books),
            Err(newer @ StoreError::Newer { .. }) => return Err(newer),
            // The writer meets the same problem at once, and reports it.
            Err(_) => None,
        };
        let (register, remains) = Register::open(&home.join(REGISTER)).unwrap_or_else(|error| {
            tracing::error!(%error, "no in-flight register: a crash now would lose receipts");
            (Register::absent(), Remains::default())
        });
        Ok(Self::start(home, books, register, remains))
    }

    fn start(home: &Path, books: Option<Books>, register: Register, remains: Remains) -> Self {
        let (orders, received) = mpsc::channel();
        let (register, counters) = (Arc::new(register), Arc::new(Counters::default()));
        let listeners = Listeners::default();
        counters.torn.store(remains.torn, Ordering::Relaxed);
        counters.catching_up.store(true, Ordering::Relaxed);
        let newest = remains.receipts.iter().map(|(_, receipt)| receipt.id.ordinal()).max();
        let seed = newest
            .unwrap_or(0)
            .max(books.as_ref().map_or(0, |books| books.last_ordinal().unwrap_or(0)));
        let waiting = remains
            .receipts
            .into_iter()
            .map(|(slot, receipt)| Finished { receipt, place: Place::Slot(slot) });
        let overflow = Arc::new(Mutex::new(Spill::at(home.join(OVERFLOW))));
        let mut writer = Writer {
            home: home.to_owned(),
            books,
            register: Arc::clone(&register),
            spill: Spill::at(home.join(SPILL)),
            overflow: Arc::clone(&overflow),
            waiting: waiting.collect(),
            counters: Arc::clone(&counters),
            listeners: Arc::clone(&listeners),
            retry: None,
            catching_up: SealsLeft::Some,
        };
        writer.commit();
        let thread = std::thread::Builder::new().name("ledger".into());
        let writer =
            thread.spawn(move || writer.run(received)).expect("a process can start a thread");
        let desk = Desk {
            register,
            orders,
            counters,
            overflow,
            last_minted: AtomicI64::new(seed),
            randomness: RandomState::new(),
            minted: AtomicU64::new(0),
            permits: Arc::default(),
        };
        Self { desk: Arc::new(desk), listeners, writer }
    }

    /// What the gateway records with.
    pub fn recorder(&self) -> Recorder {
        Recorder { desk: Arc::clone(&self.desk) }
    }

    /// Calls this after each commit, on the writer's thread; it must be quick and must not
    /// ask the ledger to write.
    pub fn on_changed(&self, listener: impl Fn() + Send + 'static) {
        let mut listeners = self.listeners.lock().expect("no listener panics");
        listeners.push(Box::new(listener));
    }

    /// How recording is doing.
    pub fn health(&self) -> Health {
        self.desk.counters.read()
    }

    /// Appends the outcome of a background job to the receipt of the call that began it, at
    /// most once.
    pub fn settle(
        &self,
        provider: &str,
        response_id: &str,
        settlement: Settlement,
    ) -> Result<Settled, StoreError> {
        let (provider, response_id) = (provider.to_owned(), response_id.to_owned());
        self.write(move |books| {
            Ok(settlement::settle(books, &provider, &response_id, &settlement)?)
        })
    }

    /// Waits until all receipts that were finished before are in the ledger.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn caught_up(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(()))
    }

    /// Does something in one transaction on the writer's thread, after all receipts that were
    /// finished before, and waits for it.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Books) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let write = move |books: Option<&mut Books>| {
            let done = books.map_or(Err(StoreError::Unavailable), |books| books.write(act));
            // The asker waits below; if it is gone, so is the interest.
            let _ = answer.send(done);
        };
        let sent = self.desk.orders.send(Order::Write(Box::new(write)));
        sent.map_err(|_| StoreError::Unavailable)?;
        answered.recv().unwrap_or(Err(StoreError::Unavailable))
    }

    /// Commits what is finished and closes. Requests that are still under way keep their
    /// slots, and the next start records them as interrupted. Gives up waiting at the
    /// deadline; nothing is lost by that either.
    pub fn close(self, deadline: Duration) {
        let (done, closed) = mpsc::channel();
        if self.desk.orders.send(Order::Close(done)).is_ok()
            && closed.recv_timeout(deadline).is_ok()
        {
            // It has said its last word, so this does not wait.
            let _ = self.writer.join();
        }
    }
}

/// Opens receipts for requests. Cheap to clone; all methods are quick and none waits for the
/// ledger.
#[derive(Clone)]
pub struct Recorder {
    desk: Arc<Desk>,
}

impl Recorder {
    /// A new id. Ids grow, also when the clock is set back; but not after one that was far
    /// ahead, which would date every later receipt.
    pub fn mint(&self, now: Timestamp) -> ReceiptId {
        let count = self.desk.minted.fetch_add(1, Ordering::Relaxed);
        let random = self.desk.randomness.hash_one(count);
        // A clock that was set back lives through milliseconds twice, hardly through the same part
        // of one.
        let at = now.millis() << 12 | (random >> 52) as i64;
        let next = |last: i64| if last - at > MOST_AHEAD { at } else { at.max(last + 1) };
        let mint = |last| Some(next(last));
        let last = self.desk.last_minted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, mint);
        ReceiptId::from_parts(next(last.expect("the closure always says Some")), random)
    }

    /// Appends the outcome of a background job to the receipt of the call that began it, at
    /// most once and without waiting for it. An outcome that cannot be written is logged: it
    /// can be asked for again.
    pub fn settle(&self, provider: &str, response_id: &str, settlement: Settlement) {
        let (provider, response_id) = (provider.to_owned(), response_id.to_owned());
        let write = move |books: Option<&mut Books>| {
            let act =
                |books: &mut Books| settlement::settle(books, &provider, &response_id, &settlement);
            match books.map(|books| books.write(act)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::error!("could not note how a background job ended: {error}");
                }
                None => tracing::error!("could not note how a background job ended"),
            }
        };
        self.desk.send(Order::Write(Box::new(write)));
    }

    /// Puts a request down in the in-flight register before anything of it is sent. Should
    /// the process die, this draft becomes its receipt.
    pub fn open(&self, draft: &Receipt) -> Ticket {
        let claim = match self.desk.register.begin(draft) {
            Some(slot) => Claim::Slot(slot),
            None => {
                self.desk.counters.unregistered.fetch_add(1, Ordering::Relaxed);
                Claim::Draft(Box::new(draft.clone()))
            }
        };
        Ticket { desk: Arc::clone(&self.desk), claim: Some(claim) }
    }
}

/// The claim to one receipt. Dropped without [`Ticket::finish`], its draft is recorded.
#[must_use = "a ticket that is dropped records its draft"]
pub struct Ticket {
    desk: Arc<Desk>,
    /// Absent once it has been used.
    claim: Option<Claim>,
}

enum Claim {
    Slot(SlotUse),
    Draft(Box<Receipt>),
}

impl Ticket {
    /// Whether the draft is in the register, so that a crash would not lose it.
    pub fn is_registered(&self) -> bool {
        matches!(self.claim, Some(Claim::Slot(_)))
    }

    /// Hands in the finished receipt. Never blocks.
    pub fn finish(mut self, receipt: Receipt) {
        match self.claim.take() {
            Some(Claim::Slot(slot)) => {
                self.desk.register.finish(slot, &receipt);
                let place = Place::Slot(slot);
                self.desk.send(Order::Finished(Finished { receipt: Box::new(receipt), place }));
            }
            Some(Claim::Draft(_)) | None => self.desk.send_unregistered(Box::new(receipt)),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match self.claim.take() {
            Some(Claim::Slot(slot)) => self.desk.send(Order::Abandoned(slot)),
            Some(Claim::Draft(draft)) => self.desk.send_unregistered(draft),
            None => {}
        }
    }
}

impl Desk {
    /// The channel needs no bound of its own: the slots bound what is sent with one, the
    /// permits what is sent without.
    fn send(&self, order: Order) {
        // After `close` a receipt with a slot stays there until the next start.
        let _ = self.orders.send(order);
    }

    fn send_unregistered(&self, receipt: Box<Receipt>) {
        match Permit::take(&self.permits) {
            Some(permit) => {
                let place = Place::Memory(permit);
                self.send(Order::Finished(Finished { receipt, place }));
            }
            None => self.put_down(&receipt),
        }
    }

    /// The writer is long at something and everything is full: what ends now goes to a file that
    /// it comes to later, for a short write is better than a lost receipt.
    fn put_down(&self, receipt: &Receipt) {
        let mut overflow = self.overflow.lock().expect("nothing panics while it holds the file");
        if overflow.append_soon(receipt).is_ok() {
            self.counters.spilled.fetch_add(1, Ordering::Relaxed);
        } else {
            self.counters.lose(1, "the register, the waiting room and the overflow are full");
        }
    }
}
