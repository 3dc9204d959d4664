//! The live inspector: while its user looks at a pass, the last calls under it are held in memory,
//! request and answer. Nowhere else, and not for longer: closing the window, ten minutes, or a
//! reader that does not come back, and all of it is gone. Closed, it costs one relaxed load a call.

mod heads;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderMap, StatusCode};
use meter::{Receipt, ReceiptId, Timestamp};
use tokio::sync::Notify;
use zeroize::Zeroizing;

/// How long a window stays open.
pub const OPEN_FOR: Duration = Duration::from_secs(10 * 60);
/// A window that nobody has looked through for so long is closed: its page, or its command, is gone.
const UNREAD_FOR: Duration = Duration::from_secs(90);
/// Windows open at a time.
const MOST_WINDOWS: usize = 4;
/// Calls held of one pass.
const MOST_CALLS: usize = 50;
/// Bytes held of one body.
const MOST_OF_BODY: usize = 256 * 1024;
/// Bytes held of all bodies of a window.
const MOST_OF_ALL: usize = 16 * 1024 * 1024;

/// What the time is.
pub type InspectClock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Holds what is looked at. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Inspector(Arc<Shared>);

struct Shared {
    /// Whether any window is open.
    is_on: AtomicBool,
    windows: Mutex<Vec<Window>>,
    opened: Notify,
    clock: InspectClock,
}

struct Window {
    pass: Box<str>,
    opened: Instant,
    read: Instant,
    calls: VecDeque<Call>,
    held: usize,
}

/// One call, as far as it has come.
#[derive(Clone)]
pub struct Call {
    /// The receipt it leaves.
    pub id: ReceiptId,
    /// When its head was read.
    pub started_at: Timestamp,
    /// Its method.
    pub method: Box<str>,
    /// Where it goes, without what may be a secret.
    pub target: Box<str>,
    /// What upstream, or Tollgate instead of it, answered.
    pub status: Option<u16>,
    /// Why it was refused or failed.
    pub error: Option<Box<str>>,
    /// Whether it has ended.
    pub is_over: bool,
    /// Names, and values of those headers that are known to hold no secret.
    pub request_headers: Vec<(Box<str>, Box<str>)>,
    /// The same of the answer.
    pub answer_headers: Vec<(Box<str>, Box<str>)>,
    /// What the client sent, decoded.
    pub request: Held,
    /// What was answered, decoded.
    pub answer: Held,
    secrets: Vec<Zeroizing<String>>,
}

/// The beginning of a body.
#[derive(Clone, Default)]
pub struct Held {
    bytes: Zeroizing<Vec<u8>>,
    /// Bytes there were, decoded.
    pub total: u64,
}

impl Held {
    /// Takes what still fits of at most this many bytes more, and says how many that were.
    fn take(&mut self, bytes: &[u8]) -> usize {
        self.total += bytes.len() as u64;
        let room = MOST_OF_BODY - self.bytes.len();
        let taken = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// Whether there was more than is held.
    pub fn is_cut(&self) -> bool {
        self.total > self.bytes.len() as u64
    }
}

impl Call {
    /// The beginning of the request's body, with the call's own credentials masked.
    pub fn request_text(&self) -> String {
        self.text_of(&self.request)
    }

    /// The same of the answer's.
    pub fn answer_text(&self) -> String {
        self.text_of(&self.answer)
    }

    fn text_of(&self, held: &Held) -> String {
        heads::masked(String::from_utf8_lossy(&held.bytes).into_owned(), &self.secrets)
    }
}

/// How a window stands.
#[derive(Debug)]
pub struct View<'a> {
    /// Until it closes by itself.
    pub left: Duration,
    /// Oldest first.
    pub calls: &'a VecDeque<Call>,
}

impl Default for Inspector {
    fn default() -> Self {
        Self::with_clock(Arc::new(Instant::now))
    }
}

impl Inspector {
    /// One that goes by this clock.
    pub fn with_clock(clock: InspectClock) -> Self {
        let (is_on, windows, opened) = Default::default();
        Self(Arc::new(Shared { is_on, windows, opened, clock }))
    }

    /// Begins to look at a pass, for ten minutes; one that is looked at already is joined. `false`:
    /// too many are open.
    pub fn open(&self, pass: &str) -> bool {
        let (mut windows, now) = self.0.swept();
        if windows.iter().any(|window| *window.pass == *pass) {
            return true;
        }
        if windows.len() == MOST_WINDOWS {
            return false;
        }
        let (opened, read, calls) = (now, now, VecDeque::new());
        windows.push(Window { pass: pass.into(), opened, read, calls, held: 0 });
        self.0.is_on.store(true, Ordering::Relaxed);
        self.0.opened.notify_one();
        true
    }

    /// Forgets all that was seen of a pass. `false`: nobody was looking.
    pub fn close(&self, pass: &str) -> bool {
        let (mut windows, _) = self.0.swept();
        let before = windows.len();
        windows.retain(|window| *window.pass != *pass);
        self.0.is_on.store(!windows.is_empty(), Ordering::Relaxed);
        windows.len() < before
    }

    /// Lets `read` see what there is of a pass; nothing if its window is not open. Calls under the
    /// pass wait meanwhile.
    pub fn look<T>(&self, pass: &str, read: impl FnOnce(&View<'_>) -> T) -> Option<T> {
        let (mut windows, now) = self.0.swept();
        let window = windows.iter_mut().find(|window| *window.pass == *pass)?;
        window.read = now;
        let left = OPEN_FOR.saturating_sub(now - window.opened);
        Some(read(&View { left, calls: &window.calls }))
    }

    /// Closes windows in time, whoever looks; never ends.
    pub async fn keep_time(self) {
        loop {
            while let Some(wait) = self.sweep() {
                tokio::time::sleep(wait).await;
            }
            self.0.opened.notified().await;
        }
    }

    /// Closes the windows whose time is over, and says when to come again; nothing is open if it
    /// says nothing.
    fn sweep(&self) -> Option<Duration> {
        let (windows, now) = self.0.swept();
        windows.iter().map(|window| window.ends().saturating_duration_since(now)).min()
    }

    /// Watches a call whose pass is looked at.
    pub(crate) fn watch(
        &self,
        receipt: &Receipt,
        parts: &Parts,
        secrets: impl FnOnce() -> Vec<Zeroizing<String>>,
    ) -> Option<Watch> {
        if !self.0.is_on.load(Ordering::Relaxed) {
            return None;
        }
        let pass = receipt.pass.as_deref()?;
        let (mut windows, _) = self.0.swept();
        let window = windows.iter_mut().find(|window| *window.pass == *pass)?;
        window.admit(heads::call(receipt, parts, secrets()));
        let eye = Eye { shared: Arc::clone(&self.0), call: receipt.id };
        Some(Watch(Arc::new(eye)))
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inspector")
    }
}

impl fmt::Debug for Call {
    /// Without what it says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.id)
    }
}

impl fmt::Debug for Held {
    /// Without what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({} bytes)", self.bytes.len())
    }
}

impl Shared {
    /// The windows that are still open, and what the time is.
    fn swept(&self) -> (MutexGuard<'_, Vec<Window>>, Instant) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        windows.retain(|window| now < window.ends());
        self.is_on.store(!windows.is_empty(), Ordering::Relaxed);
        (windows, now)
    }
}

impl Window {
    fn ends(&self) -> Instant {
        (self.opened + OPEN_FOR).min(self.read + UNREAD_FOR)
    }

    fn admit(&mut self, call: Call) {
        if self.calls.len() == MOST_CALLS {
            self.forget_oldest();
        }
        self.calls.push_back(call);
    }

    /// The oldest go when all of it gets too much; the newest stays.
    fn keep_within_bounds(&mut self) {
        while self.held > MOST_OF_ALL && self.calls.len() > 1 {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(call) = self.calls.pop_front() {
            self.held -= call.request.bytes.len() + call.answer.bytes.len();
        }
    }
}

/// Shows a call to the window of its pass, as long as that is open.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Eye>);

struct Eye {
    shared: Arc<Shared>,
    call: ReceiptId,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// More of the request's body, decoded.
    pub(crate) fn request(&self, bytes: &[u8]) {
        self.0.see(|call| call.request.take(bytes));
    }

    /// An answer begins; one that began before it was not the client's.
    pub(crate) fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        self.0.see(|call| {
            call.status = Some(status.as_u16());
            call.answer_headers = heads::shown(headers);
            0
        });
    }

    /// More of the answer's body, decoded.
    pub(crate) fn answer(&self, bytes: &[u8]) {
        self.0.see(|call| call.answer.take(bytes));
    }

    /// The call has ended like this.
    pub(crate) fn over(&self, receipt: &Receipt) {
        self.0.see(|call| {
            call.status = receipt.http_status;
            call.error.clone_from(&receipt.error_message);
            call.is_over = true;
            0
        });
    }
}

impl Eye {
    /// Lets `look` take something down, and says how many bytes that were.
    fn see(&self, look: impl FnOnce(&mut Call) -> usize) {
        let (mut windows, _) = self.shared.swept();
        let found = windows.iter_mut().find_map(|window| {
            let at = window.calls.iter().rposition(|call| call.id == self.call)?;
            Some((window, at))
        });
        // Its window may have been closed, or it was the oldest of too many.
        let Some((window, at)) = found else { return };
        window.held += look(&mut window.calls[at]);
        window.keep_within_bounds();
    }
}

impl Drop for Eye {
    /// Whatever became of it, it is over.
    fn drop(&mut self) {
        self.see(|call| {
            call.is_over = true;
            0
        });
    }
}
