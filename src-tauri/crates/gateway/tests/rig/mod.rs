//! A real gateway on a real port in front of a little upstream that a test scripts byte by byte.
#![expect(dead_code, reason = "every test file uses its own part")]

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use gateway::listener::{self, Limits};
use gateway::{Finished, Gateway, Lifetime, Snapshot};
use meter::provider::{Auth, Provider};
use meter::{Receipt, ReceiptId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway and the receipts it hands off.
pub(crate) struct Rig {
    pub(crate) port: u16,
    pub(crate) lifetime: Lifetime,
    pub(crate) opened: Arc<AtomicUsize>,
    finished: mpsc::UnboundedReceiver<Finished>,
    serving: JoinHandle<()>,
    _snapshot: watch::Sender<Arc<Snapshot>>,
}

impl Rig {
    /// With a provider `up` (no key needed) at this address.
    pub(crate) async fn before(upstream: SocketAddr) -> Self {
        Self::with(Limits::default(), |snapshot| {
            snapshot.providers.insert(keyless("up", &format!("http://{upstream}")));
        })
        .await
    }

    /// With settings of the test's own.
    pub(crate) async fn with(limits: Limits, adjust: impl FnOnce(&mut Snapshot)) -> Self {
        let mut snapshot = Snapshot::default();
        adjust(&mut snapshot);
        let (publish, snapshot) = watch::channel(Arc::new(snapshot));
        let counter = AtomicU16::new(0);
        let mint: gateway::Mint =
            Arc::new(move |at| ReceiptId::new(at, counter.fetch_add(1, Ordering::Relaxed), 7));
        let opened = Arc::new(AtomicUsize::new(0));
        let (sender, finished) = mpsc::unbounded_channel();
        let count = Arc::clone(&opened);
        let open: gateway::Open = Arc::new(move |_: &Receipt| {
            count.fetch_add(1, Ordering::SeqCst);
            let sender = sender.clone();
            Box::new(move |finished| {
                let _ = sender.send(finished);
            })
        });
        let lifetime = Lifetime::default();
        let gateway =
            Gateway::new(snapshot.clone(), mint, open, lifetime.clone()).expect("sets up");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let answer = move |request: http::Request<hyper::body::Incoming>, peer: listener::Peer| {
            let gateway = gateway.clone();
            let allowed = snapshot.borrow().clone();
            async move {
                let reach =
                    gateway::guard::check(&request, peer.local.port(), &allowed.allowed_hosts);
                let reach = match peer.is_crowded {
                    true => Err(gateway::guard::Foreign::Crowded),
                    false => reach,
                };
                match reach.and_then(gateway::guard::Reach::to_providers) {
                    Ok(()) => gateway.answer(request).await,
                    Err(foreign) => gateway.turn_away(&request, &foreign),
                }
            }
        };
        let serving =
            tokio::spawn(listener::serve(vec![listener], limits, lifetime.clone(), answer));
        Self { port, lifetime, opened, finished, serving, _snapshot: publish }
    }

    /// A new connection to the gateway.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.expect("the gateway listens")
    }

    /// Sends these bytes on a connection of their own and reads the answer to the connection's end.
    /// `HOST` in them becomes the gateway's.
    pub(crate) async fn exchange(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(&self.addressed(request.as_ref())).await.expect("sent");
        Answer::read(&mut stream).await
    }

    pub(crate) fn addressed(&self, request: &[u8]) -> Vec<u8> {
        let split =
            request.windows(4).position(|w| w == b"\r\n\r\n").map_or(request.len(), |at| at + 4);
        let head = String::from_utf8(request[..split].to_vec()).expect("heads are text");
        let head = head.replace("HOST", &format!("127.0.0.1:{}", self.port));
        [head.as_bytes(), &request[split..]].concat()
    }

    /// The next finished receipt.
    pub(crate) async fn receipt(&mut self) -> Receipt {
        self.finished().await.receipt
    }

    /// The next receipt with what came beside it.
    pub(crate) async fn finished(&mut self) -> Finished {
        let next = tokio::time::timeout(PATIENCE, self.finished.recv()).await;
        next.expect("a receipt in time").expect("the gateway is there")
    }

    /// Stops the gateway and holds what is left against promise 3: as many receipts as requests,
    /// each once. `taken` are those a test has already looked at.
    pub(crate) async fn stop(mut self, taken: &[Receipt]) -> Vec<Receipt> {
        self.lifetime.stop.cancel();
        tokio::time::timeout(PATIENCE, self.serving)
            .await
            .expect("stops in time")
            .expect("no panic");
        let mut rest = Vec::new();
        while let Ok(finished) = self.finished.try_recv() {
            rest.push(finished.receipt);
        }
        let ids: HashSet<ReceiptId> = taken.iter().chain(&rest).map(|r| r.id).collect();
        assert_eq!(ids.len(), taken.len() + rest.len(), "a receipt came twice");
        assert_eq!(ids.len(), self.opened.load(Ordering::SeqCst), "a receipt was never finished");
        rest
    }
}

/// A provider that needs no key.
pub(crate) fn keyless(id: &str, base_url: &str) -> Provider {
    let mut provider = Provider::declared(id, base_url);
    provider.auth = Auth::None;
    provider
}

/// An upstream that plays `script` on every connection it gets.
pub(crate) async fn upstream<F, Fut>(script: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // How a script ends is its test's business: it shows in the receipt.
            tokio::spawn(script(stream));
        }
    });
    address
}

/// An upstream that answers every request of a connection with `{}`, and how many it was opened.
pub(crate) async fn keeping_alive() -> (SocketAddr, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let address = upstream(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            while Got::read(&mut stream).await?.is_some() {
                stream.write_all(json("200 OK", "{}").as_bytes()).await?;
            }
            Ok(())
        }
    })
    .await;
    (address, opened)
}

/// An upstream that takes one request at a time, tells what it got and answers with these bytes.
pub(crate) async fn answering(
    answer: impl Into<Vec<u8>>,
) -> (SocketAddr, mpsc::UnboundedReceiver<Got>) {
    let answer: Arc<Vec<u8>> = Arc::new(answer.into());
    let (sender, got) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let (answer, sender) = (Arc::clone(&answer), sender.clone());
        async move {
            while let Some(request) = Got::read(&mut stream).await? {
                let _ = sender.send(request);
                stream.write_all(&answer).await?;
            }
            Ok(())
        }
    })
    .await;
    (address, got)
}

/// What an upstream got, raw.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Got {
    /// Reads one request; `None` at the end of the connection.
    pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        let Some((head, mut body)) = read_head(stream).await? else { return Ok(None) };
        if let Some(length) = header(&head, "content-length") {
            let length: usize = length.parse().expect("a length");
            let read = body.len();
            body.resize(length, 0);
            stream.read_exact(&mut body[read..]).await?;
        } else if header(&head, "transfer-encoding").is_some() {
            while !body.ends_with(b"0\r\n\r\n") {
                if stream.read_buf(&mut body).await? == 0 {
                    break;
                }
            }
            body = unchunked(&body);
        }
        Ok(Some(Self { head, body }))
    }
}

/// An answer as a client got it, raw.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The connection was closed properly, not reset.
    pub(crate) closed_cleanly: bool,
}

impl Answer {
    /// Reads to the end of the connection.
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let reading = async {
            let (head, mut body) = read_head(stream).await.ok().flatten().unwrap_or_default();
            let closed_cleanly = stream.read_to_end(&mut body).await.is_ok();
            Self { head, body, closed_cleanly }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time")
    }

    /// Reads one answer with a length from a connection that stays open.
    pub(crate) async fn read_one(stream: &mut TcpStream) -> Self {
        let reading = async {
            let (head, mut body) = read_head(stream).await.expect("read").expect("an answer");
            let length = header(&head, "content-length").expect("a length").parse().expect("it");
            while body.len() < length {
                assert_ne!(stream.read_buf(&mut body).await.expect("read"), 0);
            }
            Self { head, body, closed_cleanly: true }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time")
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The body without its chunks.
    pub(crate) fn content(&self) -> Vec<u8> {
        match self.header("transfer-encoding") {
            Some(_) => unchunked(&self.body),
            None => self.body.clone(),
        }
    }
}

/// Reads a head; what came with it of the body is returned too.
pub(crate) async fn read_head(stream: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut read = Vec::new();
    loop {
        if let Some(at) = read.windows(4).position(|w| w == b"\r\n\r\n") {
            let body = read.split_off(at + 4);
            return Ok(Some((String::from_utf8_lossy(&read).into_owned(), body)));
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    }
}

/// A header's value by its name in any case.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The bytes inside chunks, as far as they came.
pub(crate) fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(at) = bytes.windows(2).position(|w| w == b"\r\n") {
        let digits = std::str::from_utf8(&bytes[..at]).expect("a chunk's size");
        let size = usize::from_str_radix(digits, 16).expect("a chunk's size");
        let end = (at + 2 + size).min(bytes.len());
        out.extend_from_slice(&bytes[at + 2..end]);
        if size == 0 || end + 2 > bytes.len() {
            break;
        }
        bytes = &bytes[end + 2..];
    }
    out
}

/// One chunk.
pub(crate) fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The head of a streamed answer.
pub(crate) const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A whole answer with this JSON.
pub(crate) fn json(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A request with this body to the provider `up`.
pub(crate) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /up{path} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
