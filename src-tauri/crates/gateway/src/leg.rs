//! HTTP/1 connections to upstreams that whoever makes a call drives itself: they have no task of
//! their own. So all that one read brought is parsed, shown to the receipt and written to the
//! client in one go, where a connection with a task of its own wakes another for every chunk.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::Connection as _;
use tokio::runtime::Handle;
use tower_service::Service as _;

use crate::proxy::Line;
use crate::request_body::{RequestBody, Upload};
use crate::upstream::{Connector, Fault};

/// Idle connections are dropped before the usual minute of servers and balancers is over.
pub(crate) const IDLE: Duration = Duration::from_secs(50);

/// Connections to every upstream that speaks HTTP/1.
#[derive(Debug)]
pub(crate) struct Legs {
    connector: Connector,
    idle: Arc<Idle>,
}

/// What a connection leads to.
type Origin = (Scheme, Authority);

impl Legs {
    /// The connector must not negotiate anything but HTTP/1.
    pub(crate) fn new(connector: Connector) -> Self {
        Self { connector, idle: Arc::default() }
    }

    /// Sends a request, over an idle connection if there is one.
    pub(crate) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<LegBody>, Fault> {
        let uri = std::mem::take(request.uri_mut());
        let origin = uri.scheme().cloned().zip(uri.authority().cloned()).ok_or(Fault::Invalid)?;
        let host = request.headers_mut().entry(header::HOST);
        host.or_insert_with(|| host_of(&origin));
        let upload = match request.body() {
            RequestBody::Streamed(upload) => Some(Arc::clone(upload)),
            RequestBody::Whole(_) => None,
        };
        loop {
            let used = self.idle.take(&origin).await;
            let is_used = used.is_some();
            let mut leg = match used {
                Some(leg) => leg,
                // Rare, and large: in a box of its own every call's future is smaller.
                None => Box::pin(Leg::connect(&self.connector, uri.clone())).await?,
            };
            *request.uri_mut() = if leg.is_relayed { uri.clone() } else { origin_form(&uri) };
            request = match leg.send(request).await {
                Ok(response) => {
                    leg.answers(upload.as_deref());
                    let idle = Arc::clone(&self.idle);
                    return Ok(response.map(|incoming| LegBody { incoming, leg, origin, idle }));
                }
                Err(mut failed) => match failed.take_message() {
                    // Upstream had closed it: nothing of the request has left.
                    Some(request) if is_used => request,
                    Some(_) | None => return Err(Fault::of(failed.error())),
                },
            };
        }
    }
}

/// The value of `Host` where the request has none.
fn host_of((scheme, authority): &Origin) -> HeaderValue {
    let usual = if *scheme == Scheme::HTTPS { ":443" } else { ":80" };
    let name = authority.as_str();
    HeaderValue::from_str(name.strip_suffix(usual).unwrap_or(name))
        .expect("an authority is visible ASCII")
}

fn origin_form(uri: &Uri) -> Uri {
    Uri::from(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")))
}

/// One connection.
#[derive(Debug)]
struct Leg {
    sender: SendRequest<RequestBody>,
    /// Gone once it is closed, or has a task of its own after all.
    connection: Option<Box<Connection<MaybeHttpsStream<Line>, RequestBody>>>,
    /// Whether it ends at a proxy that wants whole addresses.
    is_relayed: bool,
}

impl Leg {
    async fn connect(connector: &Connector, uri: Uri) -> Result<Self, Fault> {
        let io = connector.clone().call(uri).await;
        let io = io.map_err(|error| Fault::of_connecting(&*error))?;
        let is_relayed = io.connected().is_proxied();
        let mut builder = http1::Builder::new();
        let (sender, connection) = builder
            .preserve_header_case(true)
            .handshake(io)
            .await
            .map_err(|error| Fault::of(&error))?;
        Ok(Self { sender, connection: Some(Box::new(connection)), is_relayed })
    }

    /// Reads and writes what can be read and written now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // Whoever waits for an answer hears of a failure by that.
            self.connection = None;
        }
    }

    /// Whether it is open still and takes another request.
    fn is_fit(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.connection.is_some() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            if connection.as_mut().is_some_and(|open| Pin::new(open).poll(cx).is_ready()) {
                *connection = None;
            }
            answer.as_mut().poll(cx)
        })
        .await
    }

    /// Its answer begins. While the client still sends, neither way may wait for the other: a
    /// client that does not read yet would keep its own bytes from going on.
    fn answers(&mut self, upload: Option<&Upload>) {
        if upload.is_some_and(|upload| !upload.is_over())
            && let Some(connection) = self.connection.take()
        {
            tokio::spawn(*connection);
        }
    }
}

/// An answer's body, which drives the connection that it comes over.
#[derive(Debug)]
pub(crate) struct LegBody {
    incoming: Incoming,
    leg: Leg,
    origin: Origin,
    idle: Arc<Idle>,
}

impl LegBody {
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_ready() || self.leg.connection.is_none() {
            return polled;
        }
        self.leg.drive(cx);
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    pub(crate) fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// The answer is complete: the connection may take another call.
    pub(crate) fn release(self) {
        if self.leg.connection.is_some() {
            self.idle.put(self.origin, self.leg);
        }
    }
}

/// Connections that wait for another call. Nobody drives them meanwhile; whether upstream closed
/// one shows when it is taken.
#[derive(Debug, Default)]
struct Idle(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    legs: HashMap<Origin, Vec<(Leg, Instant)>>,
    /// Whether somebody looks for old ones.
    is_swept: bool,
}

impl Idle {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, if it still can be.
    async fn take(&self, origin: &Origin) -> Option<Leg> {
        loop {
            let (mut leg, since) = self.waiting().legs.get_mut(origin)?.pop()?;
            if since.elapsed() < IDLE && poll_fn(|cx| Poll::Ready(leg.is_fit(cx))).await {
                return Some(leg);
            }
        }
    }

    fn put(self: &Arc<Self>, origin: Origin, leg: Leg) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut waiting = self.waiting();
        waiting.legs.entry(origin).or_default().push((leg, Instant::now()));
        if !std::mem::replace(&mut waiting.is_swept, true) {
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }
}

/// Closes what nobody wanted for long, until there is nothing left to close.
async fn sweep(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(IDLE / 2).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut waiting = idle.waiting();
        waiting.legs.retain(|_, legs| {
            legs.retain(|(_, since)| since.elapsed() < IDLE);
            !legs.is_empty()
        });
        if waiting.legs.is_empty() {
            waiting.is_swept = false;
            return;
        }
    }
}
