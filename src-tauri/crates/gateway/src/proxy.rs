//! How a connection to a host is made: straight, or through the proxy that the environment names
//! (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`). Loopback never goes through a proxy.

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::rt;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Tcp = HttpConnector<Resolver>;

/// A name that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("the name could not be resolved")]
pub(crate) struct Unresolved(#[source] io::Error);

/// A connection that took too long to come about.
#[derive(Debug, thiserror::Error)]
#[error("connecting took too long")]
pub(crate) struct SlowConnect;

/// The system's resolver, with an error that can be told from others.
#[derive(Clone, Debug)]
pub(crate) struct Resolver(GaiResolver);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, Unresolved>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.0.call(name);
        Box::pin(async move { resolving.await.map_err(Unresolved) })
    }
}

/// The proxies that the environment names.
#[derive(Clone, Debug)]
pub(crate) struct Proxies(Arc<Matcher>);

impl Proxies {
    /// Those of this process's environment (on macOS and Windows only that, too).
    pub(crate) fn from_environment() -> Self {
        Self(Arc::new(Matcher::from_env()))
    }

    /// The proxy for this address, if there is one.
    fn of(&self, uri: &Uri) -> Option<Intercept> {
        if is_loopback(uri.host()?) { None } else { self.0.intercept(uri) }
    }

    /// What a request to this address must tell the proxy that it is sent to in the clear.
    pub(crate) fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let is_plain = uri.scheme_str() == Some("http");
        is_plain.then(|| self.of(uri)).flatten()?.basic_auth().cloned()
    }
}

/// Whether a host is this machine.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// Makes plain connections; TLS to the provider is laid over them by the caller.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    tcp: Tcp,
    /// TCP, or TLS for a proxy with an `https` address.
    to_proxy: HttpsConnector<Tcp>,
    proxies: Proxies,
}

impl Dial {
    /// `tls` is for proxies that are themselves reached over TLS.
    pub(crate) fn new(proxies: Proxies, tls: rustls::ClientConfig, patience: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        tcp.set_connect_timeout(Some(patience));
        Self { to_proxy: HttpsConnector::from((tcp.clone(), tls)), tcp, proxies }
    }
}

impl Service<Uri> for Dial {
    type Response = Line;
    type Error = BoxError;
    type Future = BoxFuture<Line>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> BoxFuture<Line> {
        match self.proxies.of(&uri) {
            None => {
                let connecting = self.tcp.call(uri);
                Box::pin(async move {
                    let io = MaybeHttpsStream::Http(connecting.await?);
                    Ok(Line { io, is_relayed: false })
                })
            }
            Some(proxy) => self.through(&proxy, uri),
        }
    }
}

impl Dial {
    fn through(&mut self, proxy: &Intercept, uri: Uri) -> BoxFuture<Line> {
        let to = proxy.uri().clone();
        if to.scheme_str().is_some_and(|scheme| scheme.starts_with("socks")) {
            let mut socks = SocksV5::new(to, self.tcp.clone());
            if let Some((user, word)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), word.to_owned());
            }
            let connecting = socks.call(uri);
            return Box::pin(async move {
                Ok(Line { io: MaybeHttpsStream::Http(connecting.await?), is_relayed: false })
            });
        }
        if uri.scheme_str() == Some("http") {
            let connecting = self.to_proxy.call(to);
            return Box::pin(async move { Ok(Line { io: connecting.await?, is_relayed: true }) });
        }
        let mut tunnel = Tunnel::new(to, self.to_proxy.clone());
        if let Some(word) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(word.clone());
        }
        let connecting = tunnel.call(uri);
        Box::pin(async move { Ok(Line { io: connecting.await?, is_relayed: false }) })
    }
}

/// A connection that knows whether it ends at a proxy which wants whole addresses.
#[derive(Debug)]
pub(crate) struct Line {
    io: MaybeHttpsStream<TokioIo<TcpStream>>,
    is_relayed: bool,
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.is_relayed)
    }
}

impl rt::Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl rt::Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

/// Bounds name, connection and handshakes together.
#[derive(Clone, Debug)]
pub(crate) struct Timed<S> {
    pub(crate) inner: S,
    pub(crate) patience: Duration,
}

impl<S> Service<Uri> for Timed<S>
where
    S: Service<Uri, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> BoxFuture<S::Response> {
        let connecting = tokio::time::timeout(self.patience, self.inner.call(uri));
        Box::pin(async move { connecting.await.map_err(|_| SlowConnect)? })
    }
}
