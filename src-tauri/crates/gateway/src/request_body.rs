//! A request's body on its way up: streamed as it arrives, never held whole, read by the way.
//!
//! [`Upload`] is shared between the body that hyper pulls upstream and the receipt, which may be
//! finished before the last byte left. A lock guards it for the length of one frame only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use meter::Allowance;
use meter::provider::Route;
use meter::request::{Asked, RequestScanner};

use crate::allowance;
use crate::clock::{Pace, Patience};
use crate::decode::Decoder;
use crate::inspect::Watch;

/// Decoded bytes of a compressed body that are looked at, at most.
const MOST_DECODED: u64 = 256 * 1024 * 1024;

/// Why a client's body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadFailed {
    /// The connection broke, or what came is no HTTP.
    #[error("the client's request broke off")]
    Broken,
    /// Nothing came for too long, or hardly anything for much longer.
    #[error("the client stopped sending its request")]
    Stalled,
    /// What came last is not what its pass allows.
    #[error("the request is not what its pass allows")]
    NotAllowed,
}

/// A request's body and what has been read from it so far.
#[derive(Debug)]
pub(crate) struct Upload(Mutex<State>);

#[derive(Debug)]
struct State {
    incoming: Incoming,
    patience: Patience,
    pace: Pace,
    /// Read, but not yet sent on.
    ahead: Option<Frame<Bytes>>,
    scan: Scan,
    bytes: u64,
    /// Its end was seen; of a body in chunks nothing else tells.
    is_over: bool,
    last: Instant,
    /// What the pass allows, where it is limited to models: checked again with every piece.
    held_to: Option<Allowance>,
    /// It may not name another model behind the one it named.
    is_of_one_model: bool,
}

/// The scanner and what stands before it.
#[derive(Debug)]
struct Scan {
    scanner: RequestScanner,
    /// Gone once the bytes cannot be understood.
    decoder: Option<Decoder>,
    is_finished: bool,
    /// Who looks on.
    watch: Option<Watch>,
}

/// What undoes the codings of a request with this head.
fn decoder(headers: &HeaderMap) -> Option<Decoder> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    Decoder::new(codings.map(|value| value.to_str().unwrap_or("?")), MOST_DECODED)
}

impl Scan {
    fn new(route: &Route, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let scanner = RequestScanner::new(route, text(header::CONTENT_TYPE));
        let decoder = decoder(headers);
        Self { scanner, decoder, is_finished: false, watch: None }
    }

    fn show(&mut self, bytes: &[u8]) {
        let Some(decoder) = &mut self.decoder else { return };
        let scanner = &mut self.scanner;
        // A mistake of ours in reading must not stop a request.
        let watch = &self.watch;
        let shown = AssertUnwindSafe(|| {
            decoder.push(bytes, &mut |out| {
                scanner.push(out);
                if let Some(watch) = watch {
                    watch.request(out);
                }
            })
        });
        if !matches!(catch_unwind(shown), Ok(Ok(()))) {
            self.decoder = None;
        }
    }

    /// Whether all that came was understood and names one model that is allowed.
    fn keeps_to(&self, allowance: &Allowance) -> bool {
        let is_understood = self.decoder.is_some() && self.scanner.is_understood();
        is_understood && allowance::is_kept(allowance, self.scanner.asked())
    }

    fn finish(&mut self) {
        if !self.is_finished && self.decoder.is_some() {
            let finished = AssertUnwindSafe(|| self.scanner.finish());
            self.is_finished = catch_unwind(finished).is_ok();
        }
    }
}

impl Upload {
    pub(crate) fn new(
        incoming: Incoming,
        route: &Route,
        headers: &HeaderMap,
        silence: Duration,
    ) -> Arc<Self> {
        let mut state = State {
            patience: Patience::new(silence),
            pace: Pace::new(silence),
            ahead: None,
            scan: Scan::new(route, headers),
            bytes: 0,
            is_over: false,
            last: Instant::now(),
            held_to: None,
            is_of_one_model: false,
            incoming,
        };
        if state.incoming.is_end_stream() {
            state.scan.finish();
        }
        Arc::new(Self(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Body bytes that came so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// When the last of them came.
    pub(crate) fn last_activity(&self) -> Instant {
        self.state().last
    }

    /// Whether there is no body at all.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state();
        state.bytes == 0 && state.incoming.is_end_stream()
    }

    /// Whether all of it has come.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state();
        state.is_over || state.incoming.is_end_stream()
    }

    /// Lets `read` see what the request asks for, as far as that is known.
    pub(crate) fn asked<T>(&self, read: impl FnOnce(&Asked) -> T) -> T {
        read(self.state().scan.scanner.asked())
    }

    /// Shows the body to this, too, with what of it was read ahead.
    pub(crate) fn show_to(&self, watch: Watch, headers: &HeaderMap) {
        let mut state = self.state();
        let ahead = state.ahead.as_ref().and_then(Frame::data_ref);
        if let (Some(mut decoder), Some(data)) = (decoder(headers), ahead) {
            // What is not in its coding is upstream's to judge.
            let _ = decoder.push(data, &mut |out| watch.request(out));
        }
        state.scan.watch = Some(watch);
    }

    /// From now on the body is let through as long as it keeps to this.
    pub(crate) fn hold_to(&self, allowance: Allowance) {
        self.state().held_to = Some(allowance);
    }

    /// From now on the body is let through as long as it names no other model.
    pub(crate) fn hold_to_one_model(&self) {
        self.state().is_of_one_model = true;
    }

    /// The request is for this model, whatever it says itself.
    pub(crate) fn is_for(&self, model: &str) {
        self.state().scan.scanner.is_for(model);
    }

    /// What was read and has not left yet.
    pub(crate) fn beginning(&self) -> Option<Bytes> {
        self.state().ahead.as_ref().and_then(Frame::data_ref).cloned()
    }

    /// Sends this in the place of what was read and has not left yet.
    pub(crate) fn begin_with(&self, beginning: Bytes) {
        self.state().ahead = Some(Frame::data(beginning));
    }

    /// Whether what came so far keeps to what it is held to.
    pub(crate) fn keeps_to_allowance(&self) -> bool {
        self.state().keeps_to_allowance()
    }

    /// Waits for the first piece of the body and reads it, without taking it off the way.
    pub(crate) async fn look_ahead(&self) -> Result<(), UploadFailed> {
        let first = std::future::poll_fn(|cx| self.state().poll_next(cx)).await.transpose()?;
        self.state().ahead = first;
        Ok(())
    }

    /// Waits for the whole body if it is no larger than `limit`. It stays on the way; what comes
    /// back is another handle to the same bytes. `None`: it is larger, or has trailers.
    pub(crate) async fn collect(&self, limit: usize) -> Result<Option<Bytes>, UploadFailed> {
        let mut pieces = Pieces::default();
        loop {
            let next = std::future::poll_fn(|cx| self.state().poll_next(cx)).await.transpose()?;
            // Trailers end a body, but then it is no longer one to put a question in.
            let (is_whole, data) = match next.map(Frame::into_data) {
                None => (true, None),
                Some(Ok(data)) => (false, Some(data)),
                Some(Err(_)) => (false, None),
            };
            let is_over = data.is_none();
            pieces.add(data.unwrap_or_default());
            if is_over || pieces.len() > limit {
                let all = pieces.join();
                self.state().ahead = Some(Frame::data(all.clone()));
                return Ok(is_whole.then_some(all));
            }
        }
    }

    /// Reads the body to its end and keeps none of it.
    pub(crate) async fn read_out(&self) -> Result<(), UploadFailed> {
        while let Some(frame) = std::future::poll_fn(|cx| self.state().poll_next(cx)).await {
            frame?;
        }
        Ok(())
    }

    /// Reads on for a moment, so that a client still sending can hear a "no" instead of a reset.
    pub(crate) async fn linger(&self, limit: u64, at_most: Duration) {
        let enough = self.bytes().saturating_add(limit);
        let read = std::future::poll_fn(|cx| {
            loop {
                let mut state = self.state();
                match ready!(state.poll_next(cx)) {
                    Some(Ok(_) | Err(UploadFailed::NotAllowed)) if state.bytes < enough => {}
                    Some(_) | None => return Poll::Ready(()),
                }
            }
        });
        // Whether it ended or not, there is nothing more to do for this client.
        let _ = tokio::time::timeout(at_most, read).await;
    }
}

impl State {
    fn keeps_to_allowance(&self) -> bool {
        let is_one = !self.is_of_one_model || self.scan.scanner.asked().model_names <= 1;
        is_one && self.held_to.as_ref().is_none_or(|allowance| self.scan.keeps_to(allowance))
    }

    /// The next piece; every byte is counted and shown to the scanner once, here.
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(Some(Ok(ahead)));
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_pending() {
            self.pace.waits();
            return self.patience.poll_over(cx).map(|()| Some(Err(UploadFailed::Stalled)));
        }
        self.patience.renew();
        self.last = Instant::now();
        let next = ready!(polled).transpose().map_err(|_| UploadFailed::Broken);
        if let Ok(Some(frame)) = &next
            && let Some(data) = frame.data_ref()
        {
            self.bytes += data.len() as u64;
            self.scan.show(data);
            if !self.pace.moves(data.len()) {
                return Poll::Ready(Some(Err(UploadFailed::Stalled)));
            }
        }
        self.is_over |= matches!(next, Ok(None));
        if self.is_over || self.incoming.is_end_stream() {
            self.scan.finish();
        }
        if matches!(next, Ok(Some(_))) && !self.keeps_to_allowance() {
            return Poll::Ready(Some(Err(UploadFailed::NotAllowed)));
        }
        Poll::Ready(next.transpose())
    }
}

/// What is sent upstream.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// The client's own bytes as they come.
    Streamed(Arc<Upload>),
    /// Bytes at hand: nothing, or a small body to which a question was added.
    Whole(Bytes),
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = UploadFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        match &mut *self {
            Self::Streamed(upload) => upload.state().poll_next(cx),
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streamed(upload) => {
                let state = upload.state();
                state.ahead.is_none() && state.incoming.is_end_stream()
            }
            Self::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streamed(upload) => {
                let state = upload.state();
                let ahead = state.ahead.as_ref().and_then(|frame| frame.data_ref());
                let ahead = ahead.map_or(0, |data| data.len() as u64);
                match state.incoming.size_hint().exact() {
                    Some(rest) => SizeHint::with_exact(rest + ahead),
                    None => SizeHint::default(),
                }
            }
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

/// A small body as it comes: mostly in one piece, which is not copied then.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    more: BytesMut,
}

impl Pieces {
    fn add(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&self.first);
        }
        self.more.extend_from_slice(&data);
    }

    fn len(&self) -> usize {
        self.first.len().max(self.more.len())
    }

    fn join(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}
