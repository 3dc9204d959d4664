//! Accepts connections, so many and no more, and serves them, until it is told to stop: then what
//! runs may end by itself for a while, and what still runs after that is cut. What is served is
//! not known here.
//!
//! It has a thread of its own ([`serve_apart`]): a call's bytes are read, looked at and written
//! without another thread being woken for them, and no page, export or job stands in their way.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::Lifetime;
use crate::caller::Caller;
use crate::connections::{Connections, Seat, WhileBusy};
use crate::stall::Stalling;

/// The most a request's head may hold, and what is read ahead of a body or waits to be written.
const BUFFER: usize = 128 * 1024;
/// Header lines a request may have.
const HEADERS: usize = 100;
/// How long a connection that is one too many, or that gave way, is kept.
const PARTING: Duration = Duration::from_secs(2);

/// How many connections there may be, and how patient the listener is with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections, those of all listeners together.
    pub connections: usize,
    /// For the complete head of a request, from the end of the one before.
    pub header_read: Duration,
    /// For a client to take more of an answer it has stopped reading, and some more for whatever
    /// it takes.
    pub write_stall: Duration,
    /// For streams to end by themselves once told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            header_read: Duration::from_secs(30),
            write_stall: Duration::from_secs(600),
            grace: Duration::from_secs(10),
        }
    }
}

/// Which connection a request came over.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Our end: its port is the one that `Host` must name.
    pub local: SocketAddr,
    /// The client's end.
    pub remote: SocketAddr,
    /// There are more connections than there may be: this one can only be told so.
    pub is_crowded: bool,
    /// Who the client is, once somebody has found out.
    pub caller: Caller,
}

/// The same as [`serve`], on a thread of its own.
///
/// # Errors
/// When the system gives no thread, or the listeners cannot move to it.
pub async fn serve_apart<A, F, B>(
    listeners: Vec<TcpListener>,
    limits: Limits,
    lifetime: Lifetime,
    answer: A,
) -> io::Result<()>
where
    A: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listeners: Vec<_> =
        listeners.into_iter().map(TcpListener::into_std).collect::<io::Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (over, ended) = oneshot::channel();
    let run = move || {
        let served = runtime.block_on(async {
            let listeners = listeners.into_iter().map(TcpListener::from_std);
            let listeners = listeners.collect::<io::Result<_>>()?;
            serve(listeners, limits, lifetime, answer).await;
            Ok(())
        });
        // With it goes every task that may still hold what the caller wants back. A name that is
        // still being looked up is not waited for.
        runtime.shutdown_timeout(PARTING);
        // Nobody waits any more if the process ends.
        let _ = over.send(served);
    };
    thread::Builder::new().name("gateway".into()).spawn(run)?;
    ended.await.unwrap_or_else(|_| Err(io::Error::other("the gateway's thread stumbled")))
}

/// Serves `answer` on all listeners until `lifetime.stop`, then waits for the running requests,
/// at most for the grace period, and for what they left behind. Returns when all is over.
pub async fn serve<A, F, B>(
    listeners: Vec<TcpListener>,
    limits: Limits,
    lifetime: Lifetime,
    answer: A,
) where
    A: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut accepting = JoinSet::new();
    let open = Connections::new(limits.connections);
    for listener in listeners {
        let open = Arc::clone(&open);
        accepting.spawn(accept(listener, open, limits, lifetime.clone(), answer.clone()));
    }
    while accepting.join_next().await.is_some() {}
    lifetime.cut.cancel();
    lifetime.tasks.close();
    lifetime.tasks.wait().await;
}

async fn accept<A, F, B>(
    listener: TcpListener,
    open: Arc<Connections>,
    limits: Limits,
    lifetime: Lifetime,
    answer: A,
) where
    A: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = lifetime.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) => if let Some(seat) = open.enter() {
                    let lifetime = lifetime.clone();
                    connections.spawn(connection(stream, remote, seat, limits, lifetime, answer.clone()));
                },
                Err(error) => pause(&error).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.grace, all).await.is_err() {
        // Said before the connections are dropped, so that their receipts know why.
        lifetime.cut.cancel();
        connections.shutdown().await;
    }
}

/// Out of file descriptors, usually: waiting lets some connections end.
async fn pause(error: &io::Error) {
    tracing::warn!(%error, "could not accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn connection<A, F, B>(
    stream: TcpStream,
    remote: SocketAddr,
    seat: Seat,
    limits: Limits,
    lifetime: Lifetime,
    answer: A,
) where
    A: Fn(Request<Incoming>, Peer) -> F + Send,
    F: Future<Output = Response<B>> + Send,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Small frames must not wait for the client's acknowledgement.
    let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else { return };
    let (seat, is_crowded) = (&seat, seat.is_crowded());
    let peer = Peer { local, remote, is_crowded, caller: Caller::default() };
    let service = service_fn(move |request| {
        // In a box, because it is handed on a few times before it runs.
        let (answering, busy) = (Box::pin(answer(request, peer.clone())), seat.busy());
        async { Ok::<_, Infallible>(answering.await.map(|body| WhileBusy { body, _busy: busy })) }
    });
    let io = TokioIo::new(Stalling::new(stream, limits.write_stall));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if is_crowded { PARTING } else { limits.header_read })
        .keep_alive(!is_crowded)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS)
        .preserve_header_case(true)
        // Chunks are small: one copied buffer for many of them is cheaper than a list of parts.
        .writev(false)
        // Upstream's answer has a date, or means to have none.
        .auto_date_header(false)
        .serve_connection(io, service);
    let mut serving = pin!(serving);
    // How a connection ended is of no interest: every request on it has its own receipt.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = lifetime.stop.cancelled() => serving.as_mut().graceful_shutdown(),
        () = seat.asked_to_leave() => {
            if seat.is_fresh() {
                // Half a head is worth nothing.
                return;
            }
            serving.as_mut().graceful_shutdown();
            if seat.is_idle() {
                // Its last answer may still be on its way.
                let _ = tokio::time::timeout(PARTING, serving).await;
                return;
            }
        }
    }
    let _ = serving.await;
}
