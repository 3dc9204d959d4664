//! `GET export`: rows leave as they are read from the ledger, and wait when the client does.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use futures_util::stream;
use meter::Timestamp;
use store::Questions;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::question;
use crate::readers::Readers;
use crate::remains;

/// How many rows there will be, for those who show progress; absent where nobody knows.
const ROWS: HeaderName = HeaderName::from_static("x-tollgate-rows");

/// Bytes that leave together.
const CHUNK: usize = 32 * 1024;

/// Chunks that may wait for the client, so an export holds at most about 100 KiB.
const WAITING: usize = 2;

/// A client that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// The next bytes. None at all are the end; a channel that closes without it broke off.
type Chunk = Result<Bytes, Problem>;

/// The file that `query` asks for.
pub(crate) async fn file(
    readers: &Arc<Readers>,
    query: Query,
    now: Timestamp,
) -> Result<Response, Problem> {
    let format = query.format;
    let name = file_name(&query, now);
    let (send, mut receive) = mpsc::channel::<Chunk>(WAITING);
    let out = Chunks { send, runtime: Handle::current(), waiting: Vec::with_capacity(CHUNK) };
    let (tell, rows) = oneshot::channel();
    readers.export(move |reader| write(reader, &query, now, tell, out)).await;
    // Until the first rows are there it can still be said properly that there are none.
    let first = receive.recv().await.unwrap_or_else(|| Err(broken_off()))?;
    let rows = rows.await.map_err(|_| broken_off())?;
    let chunks = stream::unfold((Some(first), Some(receive)), |(first, receive)| async {
        let mut receive = receive?;
        let next = match first {
            Some(first) => Ok(first),
            None => receive.recv().await.unwrap_or_else(|| Err(broken_off())),
        };
        match next {
            Ok(end) if end.is_empty() => None,
            Ok(chunk) => Some((Ok(chunk), (None, Some(receive)))),
            // An error here cuts the connection, so that half a file never looks whole.
            Err(problem) => Some((Err(problem), (None, None))),
        }
    });
    let headers = [
        (CONTENT_TYPE, format.media_type().to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    let rows = rows.map(|rows| [(ROWS, rows.to_string())]);
    Ok((headers, rows, Body::from_stream(chunks)).into_response())
}

fn broken_off() -> Problem {
    Problem::new(Code::Internal, "the export broke off")
}

/// Writes the whole file. When the client has gone there is nobody left to tell.
fn write(
    reader: Result<Questions, Problem>,
    query: &Query,
    now: Timestamp,
    rows: oneshot::Sender<Option<u64>>,
    out: Chunks,
) {
    let (send, runtime) = (out.send.clone(), out.runtime.clone());
    let written = reader.and_then(|ledger| {
        // Whoever asked may be gone by now, which the first bytes find out.
        let _ = rows.send(remains::rows(&ledger, query)?);
        let go_on = || match send.is_closed() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let sent = question::export(&ledger, query, now, out, None, go_on)?;
        Ok(sent.and_then(|mut out| out.flush()))
    });
    let last = match written {
        Ok(Ok(())) => Ok(Bytes::new()),
        Ok(Err(_gone)) => return,
        Err(problem) => Err(problem),
    };
    drop(runtime.block_on(send.send_timeout(last, PATIENCE)));
}

/// `usage-2026-11-01_2026-11-30.csv`.
pub(crate) fn file_name(query: &Query, now: Timestamp) -> String {
    format!("{}.{}", period_name(query, now), query.format)
}

/// `usage-2026-11-01_2026-11-30`: the first and the last day, by the asker's clock.
pub(crate) fn period_name(query: &Query, now: Timestamp) -> String {
    let date =
        |at: Timestamp, zone: Tz| at.utc().with_timezone(&zone).format("%Y-%m-%d").to_string();
    let from = query.filter.from.map_or_else(|| "start".to_owned(), |from| date(from, query.zone));
    let last = query.filter.to.map_or(now, |to| Timestamp::from_millis(to.millis() - 1));
    format!("usage-{from}_{}", date(last, query.zone))
}

/// A writer whose other end is an answer's body.
struct Chunks {
    send: mpsc::Sender<Chunk>,
    runtime: Handle,
    waiting: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK)));
        let sent = self.send.send_timeout(Ok(chunk), PATIENCE);
        self.runtime.block_on(sent).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
