//! How a command that changes something reaches the ledger's one writer.
//!
//! While a process holds the home, the change is sent to it over a control socket in the
//! home; with no process, the command takes the home's lock and acts itself. Both end in
//! the same management router, so there is one way to do each thing.

use std::time::Duration;

use anyhow::{Context as _, bail};
use api::auth::Local;
use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use crate::app;
use crate::home::{Home, Lock};

/// The most an answer may hold: a thousand receipts fit many times over.
const ANSWER_LIMIT: usize = 16 << 20;

/// How long an answer in the making may take once there will be no others.
const GRACE: Duration = Duration::from_secs(1);

/// Sends one management request, to the running process or to ourselves.
///
/// # Errors
/// Fails when the running process does not answer, or the home cannot be used.
pub(crate) async fn send(
    home: &Home,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<(StatusCode, Value)> {
    let request = request(method, path, body)?;
    match home.try_lock()? {
        Lock::Taken(lock) => {
            let offline = app::Offline::open(home, lock)?;
            let read = read(offline.router().call(request).await?).await;
            offline.close();
            read
        }
        Lock::Held(holder) => {
            let answer = over_socket(home, request).await.with_context(|| {
                format!("the running Tollgate{holder} does not answer on its control socket\nhint: stop it and try again")
            })?;
            read(answer).await
        }
    }
}

/// Sends one management request to the router of this process.
///
/// # Errors
/// Fails when the answer cannot be read.
#[cfg(feature = "desktop")]
pub(crate) async fn ask(
    mut router: axum::Router,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<(StatusCode, Value)> {
    read(router.call(request(method, path, body)?).await?).await
}

/// Sends one management request to the process that holds the home, and to no other.
///
/// # Errors
/// Fails when there is none, or it does not answer.
pub(crate) async fn send_to_holder(
    home: &Home,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<(StatusCode, Value)> {
    let answer = over_socket(home, request(method, path, body)?).await;
    read(answer.context("no Tollgate answers on this home's control socket")?).await
}

/// The answer of the process that holds the home, as it comes.
///
/// # Errors
/// Fails when there is none, or it does not answer.
#[cfg(feature = "desktop")]
pub(crate) async fn stream_of_holder(
    home: &Home,
    path: &str,
) -> anyhow::Result<Response<hyper::body::Incoming>> {
    over_socket(home, request(Method::GET, path, None)?).await
}

/// The events of the process that holds the home.
///
/// # Errors
/// Fails when there is none, or it does not answer.
#[cfg(feature = "desktop")]
pub(crate) async fn events_of_holder(home: &Home) -> anyhow::Result<hyper::body::Incoming> {
    Ok(stream_of_holder(home, "/api/v1/events").await?.into_body())
}

fn request(method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Request<Body>> {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    match body {
        Some(json) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(serde_json::to_vec(json)?)),
        None => request.body(Body::empty()),
    }
    .context("could not build the request")
}

async fn read<B>(answer: Response<B>) -> anyhow::Result<(StatusCode, Value)>
where
    B: axum::body::HttpBody<Data = bytes::Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), ANSWER_LIMIT);
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => bail!("could not read the answer: {error}"),
    };
    if body.is_empty() {
        return Ok((status, Value::Null));
    }
    Ok((status, serde_json::from_slice(&body).context("the answer is not JSON")?))
}

async fn over_socket(
    home: &Home,
    request: Request<Body>,
) -> anyhow::Result<Response<hyper::body::Incoming>> {
    let stream = TokioIo::new(platform::connect(home).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    // Ends by itself when the answer has been read or `sender` and answer are dropped.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// Opens the listening end, which only the home's owner may ask; what is returned serves it
/// until `stop`.
///
/// # Errors
/// Fails when it cannot be opened.
pub(crate) fn serve(
    home: &Home,
    router: Router,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let listener = platform::listen(home)?;
    let router = router.layer(Extension(Local));
    let home = home.clone();
    Ok(async move {
        let served =
            axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        // Whoever follows events would follow them for ever.
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = served.into_future() => {
                if let Err(error) = served {
                    tracing::error!(%error, "the control socket broke");
                }
            }
            () = patience => {}
        }
        platform::clean(&home);
    })
}

/// A name for a home's socket where its path is too long or none is needed.
fn name_of(home: &Home) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut name = DefaultHasher::new();
    home.path().join("control.sock").hash(&mut name);
    format!("tollgate-{:016x}", name.finish())
}

/// A socket in the home.
#[cfg(unix)]
mod platform {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use anyhow::Context as _;
    use tokio::net::{UnixListener, UnixStream};

    use super::{Home, name_of};

    pub(super) async fn connect(home: &Home) -> std::io::Result<UnixStream> {
        UnixStream::connect(path(home)).await
    }

    pub(super) fn listen(home: &Home) -> anyhow::Result<UnixListener> {
        let path = path(home);
        // Whoever left it is dead: we hold the home's lock.
        clean(home);
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("could not open the control socket `{}`", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    pub(super) fn clean(home: &Home) {
        let _ = std::fs::remove_file(path(home));
    }

    /// Where the socket is. A home whose path is too long for a socket address gets a stand-in
    /// in the system's folder for temporary files, named after the home.
    fn path(home: &Home) -> PathBuf {
        /// `sockaddr_un` holds 104 bytes on macOS, 108 on Linux, with a closing zero.
        const LONGEST: usize = 103;
        let path = home.path().join("control.sock");
        if path.as_os_str().len() <= LONGEST {
            return path;
        }
        std::env::temp_dir().join(format!("{}.sock", name_of(home)))
    }
}

/// A named pipe, which goes when its last end is closed. Others may look at one by default but
/// not write, so nobody else can ask.
#[cfg(windows)]
mod platform {
    use std::io;
    use std::time::Duration;

    use anyhow::Context as _;
    use axum::serve::Listener;
    use tokio::net::windows::named_pipe::{
        ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions,
    };

    use super::{Home, name_of};

    /// `ERROR_PIPE_BUSY`: all ends are taken, the next one is about to be made.
    const BUSY: i32 = 231;
    const AGAIN: Duration = Duration::from_millis(10);
    const TRIES: usize = 200;

    pub(super) async fn connect(home: &Home) -> io::Result<NamedPipeClient> {
        let name = pipe(home);
        for _ in 0..TRIES {
            match ClientOptions::new().open(&name) {
                Err(error) if error.raw_os_error() == Some(BUSY) => {
                    tokio::time::sleep(AGAIN).await;
                }
                opened => return opened,
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    pub(super) fn listen(home: &Home) -> anyhow::Result<Pipes> {
        let name = pipe(home);
        // Whoever has a pipe of that name already is not us: we hold the home's lock.
        let next = ServerOptions::new().first_pipe_instance(true).create(&name);
        let next = next.with_context(|| format!("could not open the control pipe `{name}`"))?;
        Ok(Pipes { name, next })
    }

    pub(super) fn clean(_: &Home) {}

    fn pipe(home: &Home) -> String {
        format!(r"\\.\pipe\{}", name_of(home))
    }

    /// One end waits while the others talk.
    pub(super) struct Pipes {
        name: String,
        next: NamedPipeServer,
    }

    impl Listener for Pipes {
        type Io = NamedPipeServer;
        type Addr = ();

        async fn accept(&mut self) -> (Self::Io, Self::Addr) {
            loop {
                let connected = self.next.connect().await;
                // A new end first, so that there is always one to connect to.
                match ServerOptions::new().create(&self.name) {
                    Ok(next) => {
                        let taken = std::mem::replace(&mut self.next, next);
                        if connected.is_ok() {
                            return (taken, ());
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, "the control pipe has no new end");
                        let _ = self.next.disconnect();
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }
}
