//! The data plane: lets a request through and hands the receipt off.
//!
//! [`Gateway::answer`] takes one request from its head to its last byte and never fails: whatever
//! happens is an answer in the client's own wire format and exactly one finished receipt. Where
//! receipts go, what SQL is and what things cost are not known here: the first is two closures
//! ([`Open`], [`Finish`]), the last is `meter`'s.
//!
//! The client leg is hyper's HTTP/1 server, the upstream leg hyper-util's client, because the bytes
//! of path and headers must leave as they came: a friendlier client library normalises URLs and
//! adds an `accept` of its own.

mod address;
mod admission;
mod allowance;
mod assist;
#[cfg(any(test, feature = "attack"))]
pub mod attack;
mod body;
pub mod budget;
mod caller;
mod clock;
mod connections;
mod credential;
mod decode;
mod demo;
mod exchange;
pub mod guard;
mod headers;
pub mod inspect;
mod leg;
pub mod listener;
mod meta;
mod poll;
mod proxy;
mod refusal;
mod request_body;
mod response_body;
pub mod route;
mod scrub;
mod snapshot;
mod stall;
mod tags;
mod tally;
mod upstream;
mod valuation;

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use meter::limits::LimitReading;
use meter::receipt::{Settlement, TraceParent};
use meter::{Receipt, ReceiptId, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use body::{Body, BodyError};
pub use caller::{Caller, Found};
pub use credential::put_in as put_key_in;
pub use scrub::scrub;
pub use snapshot::{KeyTable, PassInfo, PassTable, Snapshot, StoredKey, Timeouts};
pub use upstream::SetUpError;

/// Registers a receipt that has just begun; what it returns is called once with the finished one.
/// Called before anything leaves for upstream. It must be quick and must not wait for a database.
pub type Open = Arc<dyn Fn(&Receipt) -> Finish + Send + Sync>;

/// Takes what a call left behind, exactly once. Called from `Drop` too.
pub type Finish = Box<dyn FnOnce(Finished) + Send>;

/// What a call leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its own receipt.
    pub receipt: Receipt,
    /// What it told of a job that an earlier call to the same provider began.
    pub outcome: Option<Outcome>,
    /// The span it was made from, if its client said so.
    pub parent: Option<TraceParent>,
    /// What its provider said it still allows, and when.
    pub limits: Option<Limits>,
}

/// What a provider said it still allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// When its answer began.
    pub at: Timestamp,
    /// At least one.
    pub readings: Vec<LimitReading>,
}

/// How a background job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The provider's id of the job, which the receipt of the earlier call has too.
    pub response_id: Box<str>,
    /// What that receipt is to be completed with.
    pub settlement: Settlement,
}

/// Mints an id for a request that began at this instant.
pub type Mint = Arc<dyn Fn(Timestamp) -> ReceiptId + Send + Sync>;

/// How long the data plane lives, shared by listener and gateway.
#[derive(Clone, Debug, Default)]
pub struct Lifetime {
    /// Cancelled: accept no more; what runs may end by itself.
    pub stop: CancellationToken,
    /// Cancelled: what still runs is cut now.
    pub cut: CancellationToken,
    /// Work that outlives its connection, such as reading the tail of a stream the client left.
    pub tasks: TaskTracker,
}

/// The data plane. Cheap to clone; all clones share connection pools.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

/// What every request needs.
pub(crate) struct Shared {
    pub(crate) snapshot: watch::Receiver<Arc<Snapshot>>,
    pub(crate) mint: Mint,
    pub(crate) open: Open,
    pub(crate) upstream: upstream::Upstream,
    pub(crate) lifetime: Lifetime,
}

impl Gateway {
    /// Sets up connection pools and TLS; reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`, `SSL_CERT_FILE` and `SSL_CERT_DIR` from the environment.
    pub fn new(
        snapshot: watch::Receiver<Arc<Snapshot>>,
        mint: Mint,
        open: Open,
        lifetime: Lifetime,
    ) -> Result<Self, SetUpError> {
        let connect = snapshot.borrow().timeouts.connect;
        let upstream = upstream::Upstream::new(connect)?;
        Ok(Self { shared: Arc::new(Shared { snapshot, mint, open, upstream, lifetime }) })
    }

    /// Answers one request. Dropping the future or the answer's body cancels the call upstream
    /// and finishes its receipt.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        exchange::run(&self.shared, request).await
    }

    /// Answers a request that the guard refused, and leaves its `denied` receipt.
    pub fn turn_away(&self, request: &Request<Incoming>, why: &guard::Foreign) -> Response<Body> {
        exchange::turn_away(&self.shared, request, why)
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gateway")
    }
}
