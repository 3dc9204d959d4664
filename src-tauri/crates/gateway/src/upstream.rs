//! The upstream leg: connection pools, TLS, and what can go wrong before an answer begins.
//!
//! hyper-util's client and not reqwest: reqwest parses addresses by the WHATWG rules (which
//! rewrites paths such as `/a/../b` or `%7e`) and adds an `accept` of its own, while what upstream
//! receives must be what the client sent. HTTP/2 is spoken where TLS negotiates it; its frames
//! carry the same body bytes. Two things need care there: one connection allows only so many
//! streams at a time, so there are several lanes, and streams share a window, so one client that
//! stops reading must not be able to use it up.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version, header};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use crate::leg::{IDLE, LegBody, Legs};
use crate::proxy::{Dial, Proxies, SlowConnect, Timed, Unresolved};
use crate::request_body::{RequestBody, UploadFailed};

/// Connections (of HTTP/2) that one host can have at the same time.
const LANES: usize = 8;
/// Calls in a lane before the next one is used: below the hundred streams that most servers allow.
const LANE_CALLS: usize = 90;
/// What one HTTP/2 stream may send unread, and all of a lane together: so large that streams
/// nobody reads cannot starve the others.
const STREAM_WINDOW: u32 = 1 << 20;
const LANE_WINDOW: u32 = STREAM_WINDOW * (LANE_CALLS as u32 + 10);

pub(crate) type Connector = Timed<HttpsConnector<Dial>>;

/// The gateway could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// TLS itself does not work here.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
}

/// Connection pools to every upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    lanes: Vec<Lane>,
    legs: Legs,
    /// Who answered in HTTP/1 over TLS.
    old_fashioned: Mutex<HashSet<Authority>>,
    proxies: Proxies,
}

#[derive(Debug)]
struct Lane {
    client: Client<Connector, RequestBody>,
    calls: Arc<AtomicUsize>,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Arriving {
    /// Over a connection with a task of its own; the place in its lane is given up with it.
    Lane(Incoming, #[expect(dead_code, reason = "held for its drop")] Place),
    /// Over a connection that it drives.
    Leg(LegBody),
}

impl Arriving {
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self {
            Self::Lane(incoming, _) => Pin::new(incoming).poll_frame(cx),
            Self::Leg(body) => body.poll_frame(cx),
        }
    }

    /// What is known of its length and end.
    pub(crate) fn incoming(&self) -> &Incoming {
        match self {
            Self::Lane(incoming, _) => incoming,
            Self::Leg(body) => body.incoming(),
        }
    }

    /// It is complete: what it came over may carry another.
    pub(crate) fn release(self) {
        match self {
            // Its own task sees to that.
            Self::Lane(..) => {}
            Self::Leg(body) => body.release(),
        }
    }
}

/// One running call's place in a lane.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Upstream {
    pub(crate) fn new(connect: Duration) -> Result<Self, SetUpError> {
        let proxies = Proxies::from_environment();
        let tls = tls_config()?;
        let dial = Dial::new(proxies.clone(), tls.clone(), connect);
        let https = || HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let timed = |inner| Timed { inner, patience: connect };
        let any = timed(https().enable_all_versions().wrap_connector(dial.clone()));
        let lane = || Lane { client: client(any.clone()), calls: Arc::default() };
        Ok(Self {
            lanes: (0..LANES).map(|_| lane()).collect(),
            legs: Legs::new(timed(https().enable_http1().wrap_connector(dial))),
            old_fashioned: Mutex::default(),
            proxies,
        })
    }

    /// Sends a request; `Err` is what kept an answer from beginning.
    pub(crate) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Arriving>, Fault> {
        if let Some(word) = self.proxies.authorization(request.uri()) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, word);
        }
        let is_plain = request.uri().scheme() == Some(&Scheme::HTTP);
        let authority = request.uri().authority().ok_or(Fault::Invalid)?.clone();
        if is_plain || self.old_fashioned().contains(&authority) {
            let sent = self.legs.send(request).await;
            if sent.is_err() && !is_plain {
                // Perhaps it has learnt something new.
                self.old_fashioned().remove(&authority);
            }
            return sent.map(|response| response.map(Arriving::Leg));
        }
        let lane = self.lane();
        lane.calls.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&lane.calls));
        let response = lane.client.request(request).await.map_err(|error| Fault::of(&error))?;
        if response.version() < Version::HTTP_2 {
            self.old_fashioned().insert(authority);
        }
        Ok(response.map(|incoming| Arriving::Lane(incoming, place)))
    }

    fn old_fashioned(&self) -> MutexGuard<'_, HashSet<Authority>> {
        self.old_fashioned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first lane with room, or else the emptiest. The count may be off by a few: that is fine.
    fn lane(&self) -> &Lane {
        let calls = |lane: &&Lane| lane.calls.load(Ordering::Relaxed);
        let roomy = self.lanes.iter().find(|lane| calls(lane) < LANE_CALLS);
        roomy.or_else(|| self.lanes.iter().min_by_key(calls)).expect("there are lanes")
    }
}

fn client(connector: Connector) -> Client<Connector, RequestBody> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_preserve_header_case(true)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(LANE_WINDOW)
        // A laptop that slept holds connections that nobody answers any more.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .build(connector)
}

/// Trust as the platform has it, plus what `SSL_CERT_FILE` names: on Linux that is the platform's
/// own convention, elsewhere company laptops set it for other tools and expect it to count.
fn tls_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&crypto))
        .with_safe_default_protocol_versions()?;
    match Verifier::new_with_extra_roots(extra_roots(), crypto) {
        Ok(verifier) => Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()),
        Err(error) => {
            // Servers on this machine can be called all the same.
            tracing::warn!(%error, "no trusted certificates found: calls over https will fail");
            let none = rustls::RootCertStore::empty();
            Ok(builder.with_root_certificates(none).with_no_client_auth())
        }
    }
}

/// The certificates of `SSL_CERT_FILE`, as far as they can be read.
fn extra_roots() -> Vec<CertificateDer<'static>> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE") else { return Vec::new() };
    let read = CertificateDer::pem_file_iter(&path)
        .map(|certificates| certificates.filter_map(Result::ok).collect());
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, "SSL_CERT_FILE could not be read");
        Vec::new()
    })
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    /// The origin, for the receipt.
    pub(crate) origin: Box<str>,
}

impl Target {
    /// What stands before the path, and path and query as they go on. `None`: no such address.
    pub(crate) fn new(base_url: &str, rest: &str) -> Option<Self> {
        let base: Uri = base_url.trim_end_matches('/').parse().ok()?;
        let parts = base.into_parts();
        let (scheme, authority) = (parts.scheme?, parts.authority?);
        let is_http = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if !is_http || authority.as_str().contains('@') {
            return None;
        }
        let origin = format!("{scheme}://{authority}").into();
        let prefix = parts.path_and_query.as_ref().map_or("", |p| p.path().trim_end_matches('/'));
        let slash = if rest.starts_with('/') { "" } else { "/" };
        let path = PathAndQuery::from_maybe_shared(format!("{prefix}{slash}{rest}")).ok()?;
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
        Some(Self { uri: uri.build().ok()?, origin })
    }

    /// The host, without port and brackets.
    pub(crate) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The value of `Host` where HTTP/2 cannot be spoken. Over TLS it can, and there `:authority`
    /// says it: a second, equal word would be one more than the client's own library sends.
    pub(crate) fn host_header(&self) -> Option<HeaderValue> {
        let is_plain = self.uri.scheme() == Some(&Scheme::HTTP);
        let authority = self.uri.authority().map(Authority::as_str).unwrap_or_default();
        let name = authority.strip_suffix(":80").unwrap_or(authority);
        is_plain.then(|| HeaderValue::from_str(name).ok()).flatten()
    }
}

/// What kept an answer from beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The name could not be resolved.
    Dns,
    /// The handshake failed: certificate, version.
    Tls,
    /// No connection.
    Unreachable,
    /// No connection in time: nothing was sent.
    SlowConnect,
    /// No answer in time.
    TimedOut,
    /// The connection broke before an answer.
    Broken,
    /// What came is not HTTP.
    Invalid,
    /// The client's own body broke off or stalled.
    Client(UploadFailed),
    /// The pass it runs under was revoked, and what runs cut.
    PassCut,
}

impl Fault {
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        if let Some(upload) = find::<UploadFailed>(error) {
            return Self::Client(*upload);
        }
        let is_connect = error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect);
        if is_connect {
            return Self::of_connecting(error);
        }
        if find::<rustls::Error>(error).is_some() {
            return Self::Tls;
        }
        match find::<hyper::Error>(error) {
            Some(hyper) if hyper.is_parse() => Self::Invalid,
            _ => Self::Broken,
        }
    }

    /// What kept a connection from coming about.
    pub(crate) fn of_connecting(error: &(dyn StdError + 'static)) -> Self {
        if find::<SlowConnect>(error).is_some() {
            return Self::SlowConnect;
        }
        if find::<Unresolved>(error).is_some() {
            return Self::Dns;
        }
        if find::<rustls::Error>(error).is_some() {
            return Self::Tls;
        }
        let is_slow = |io: &io::Error| io.kind() == io::ErrorKind::TimedOut;
        let slow = find::<io::Error>(error).is_some_and(is_slow);
        if slow { Self::SlowConnect } else { Self::Unreachable }
    }
}

/// Finds an error of this type in the chain, inside wrapping I/O errors too (those name the
/// source of what they wrap as their own, which hides it).
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref::<E>() {
        return Some(found);
    }
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped
        .and_then(|inner| find(inner as &(dyn StdError + 'static)))
        .or_else(|| error.source().and_then(find))
}

#[cfg(test)]
mod tests {
    use meter::receipt::AttemptEnd;

    use super::*;

    #[test]
    fn a_target_keeps_the_path_as_it_is() {
        let to = |base, rest| Target::new(base, rest).map(|target| target.uri.to_string());
        assert_eq!(
            to("http://h:1", "/a%2Fb/../c?x=%7e"),
            Some("http://h:1/a%2Fb/../c?x=%7e".into())
        );
        assert_eq!(to("https://h/", "//a"), Some("https://h//a".into()));
        assert_eq!(to("https://h/p/", "/a"), Some("https://h/p/a".into()));
        assert_eq!(to("https://h", "?q"), Some("https://h/?q".into()));
        assert_eq!(to("h:1", "/a"), None);
        assert_eq!(to("ftp://h", "/a"), None);
        assert_eq!(to("http://me:secret@h", "/a"), None);
    }

    #[test]
    fn a_connection_that_takes_too_long_has_sent_nothing() {
        assert_eq!(Fault::of_connecting(&SlowConnect), Fault::SlowConnect);
        let silent = io::Error::from(io::ErrorKind::TimedOut);
        assert_eq!(Fault::of_connecting(&silent), Fault::SlowConnect);
        let target = Target::new("http://h", "/a").unwrap();
        let (refusal, how) = crate::exchange::explain(Fault::SlowConnect, &target);
        assert_eq!((refusal.status.as_u16(), how), (504, AttemptEnd::Unreachable));
    }

    #[test]
    fn an_error_wrapped_in_io_errors_is_found() {
        let inner = rustls::Error::General("x".into());
        let wrapped = io::Error::other(io::Error::other(inner));
        assert!(find::<rustls::Error>(&wrapped).is_some());
        assert!(find::<Unresolved>(&wrapped).is_none());
    }
}
