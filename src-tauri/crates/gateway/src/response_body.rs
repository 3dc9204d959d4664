//! An answer's body on its way to the client: every frame goes on as it came and is shown to the
//! receipt. However the body ends (its end, an error, silence, being dropped), the receipt hears
//! of it once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use meter::format::assist::{Passing, Strip};
use meter::format::postscript::Postscript;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use crate::body::BodyError;
use crate::clock::Patience;
use crate::demo::Script;
use crate::tally::{Ending, Tally};
use crate::upstream::Arriving;

/// How long, and how many bytes, to read on for the usage of an answer whose content is complete
/// when its client leaves.
const DRAIN_TIME: Duration = Duration::from_secs(2);
const DRAIN_BYTES: u64 = 256 * 1024;

/// Where an answer's frames come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From upstream.
    Upstream(Arriving),
    /// From upstream too, after its beginning was looked at: that, and the rest if there is any.
    Begun(Option<Frame<Bytes>>, Option<Arriving>),
    /// From upstream, which broke off behind this.
    Torn(Option<Frame<Bytes>>),
    /// From the demonstration.
    Local(Script),
    /// From nowhere any more.
    Gone,
}

impl Source {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Begun(first @ Some(_), _) | Self::Torn(first @ Some(_)) => {
                Poll::Ready(first.take().map(Ok))
            }
            Self::Torn(None) => Poll::Ready(Some(Err(BodyError::Broken))),
            Self::Begun(None, None) => Poll::Ready(None),
            Self::Upstream(arriving) | Self::Begun(None, Some(arriving)) => {
                let polled = arriving.poll_frame(cx);
                polled.map(|next| next.map(|frame| frame.map_err(|_| BodyError::Broken)))
            }
            Self::Local(script) => script.poll_frame(cx).map(|next| next.map(Ok)),
            Self::Gone => Poll::Ready(None),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(arriving) => arriving.incoming().is_end_stream(),
            Self::Begun(first, rest) => {
                let is_over = |rest: &Arriving| rest.incoming().is_end_stream();
                first.is_none() && rest.as_ref().is_none_or(is_over)
            }
            Self::Torn(_) => false,
            Self::Local(script) => script.is_over(),
            Self::Gone => true,
        }
    }
}

/// An answer's body with its receipt.
#[derive(Debug)]
pub(crate) struct Metered {
    source: Source,
    /// Gone once it has ended.
    tally: Option<Box<Tally>>,
    patience: Patience,
    /// Takes out the one frame that Tollgate asked for itself.
    strip: Option<Box<Strip>>,
    /// Puts behind the answer what its client wishes to be told.
    postscript: Option<Box<Postscript>>,
    /// The failure to be told as soon as all before it is flushed.
    failed: Option<BodyError>,
    is_flushed: bool,
    /// Cuts it while it runs.
    cut: Option<PassCut>,
    tasks: TaskTracker,
}

impl Metered {
    pub(crate) fn new(
        source: Source,
        tally: Box<Tally>,
        strip: Option<Strip>,
        tasks: TaskTracker,
    ) -> Self {
        let patience = Patience::new(tally.snapshot().timeouts.upstream_silence);
        let strip = strip.map(Box::new);
        let cut = tally.pass_cut().map(PassCut::of);
        let mut body = Self {
            source,
            tally: Some(tally),
            patience,
            strip,
            postscript: None,
            failed: None,
            is_flushed: false,
            cut,
            tasks,
        };
        if body.is_end_stream() {
            // Nobody polls a body that is at its end.
            body.over(Ending::Complete);
        }
        body
    }

    /// The same with this behind it. It must not be at its end already.
    pub(crate) fn with(mut self, postscript: Option<Postscript>) -> Self {
        self.postscript = postscript.map(Box::new);
        self
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.failed {
            return self.fail(error, cx);
        }
        loop {
            let next = match self.source.poll_frame(cx) {
                _ if self.cut.as_mut().is_some_and(|cut| cut.is_now(cx)) => {
                    Some(Err(BodyError::PassCut))
                }
                Poll::Ready(next) => next,
                Poll::Pending => match self.patience.poll_over(cx) {
                    Poll::Ready(()) => Some(Err(BodyError::TimedOut)),
                    Poll::Pending => return Poll::Pending,
                },
            };
            self.patience.renew();
            let passing = match next {
                Some(Ok(frame)) => self.pass(frame).map(Ok),
                Some(Err(error)) => {
                    self.over(match error {
                        BodyError::TimedOut => Ending::TimedOut,
                        BodyError::Broken => Ending::Broken,
                        BodyError::PassCut => Ending::PassCut,
                    });
                    self.failed = Some(error);
                    match self.postscript.take().map(|postscript| postscript.held().to_vec()) {
                        Some(held) if !held.is_empty() => Some(Ok(Frame::data(held.into()))),
                        Some(_) | None => return self.fail(error, cx),
                    }
                }
                None => match self.rest() {
                    Some(rest) => Some(Ok(rest)),
                    None => {
                        self.over(Ending::Complete);
                        return Poll::Ready(None);
                    }
                },
            };
            if passing.is_some() {
                return Poll::Ready(passing);
            }
        }
    }

    /// Tells the server of a failure. It drops what it has not flushed when a body fails. Pending
    /// makes it flush, so that the client has all that came before the failure.
    fn fail(
        &mut self,
        error: BodyError,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if std::mem::replace(&mut self.is_flushed, true) {
            return Poll::Ready(Some(Err(error)));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Shows a frame to the receipt and says what of it goes on: the same frame, but for the one
    /// that Tollgate asked for itself. `None`: nothing of it, for now.
    fn pass(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let data = match frame.into_data() {
            Ok(data) => data,
            // Behind trailers nothing of what is held back could follow.
            Err(trailers) => {
                return (self.strip.is_none() && self.postscript.is_none()).then_some(trailers);
            }
        };
        if let Some(tally) = &mut self.tally {
            tally.show(&data);
        }
        let data = match &mut self.strip {
            None => data,
            Some(strip) => match strip.push(&data) {
                Passing::All => data,
                Passing::Nothing => return None,
                Passing::Parts(parts) => parts.into(),
            },
        };
        let frame = match self.postscript {
            None => self.counted(data),
            Some(_) => self.behind_which(data)?,
        };
        if self.is_end_stream() {
            self.over(Ending::Complete);
        }
        Some(frame)
    }

    /// What goes on now of data that something may stand behind.
    fn behind_which(&mut self, data: Bytes) -> Option<Frame<Bytes>> {
        let passing = self.postscript.as_mut()?.push(&data);
        match passing {
            Passing::All => Some(self.counted(data)),
            Passing::Nothing => None,
            Passing::Parts(parts) => Some(self.counted(parts.into())),
        }
    }

    /// What goes on at the end of upstream's answer: what was held back, and what the client
    /// wishes to be told. The receipt is finished before, because that tells of it.
    fn rest(&mut self) -> Option<Frame<Bytes>> {
        let held = self.strip.take().map(|strip| Bytes::from(strip.finish())).unwrap_or_default();
        let Some(mut postscript) = self.postscript.take() else {
            return (!held.is_empty()).then(|| self.counted(held));
        };
        let mut rest = match postscript.push(&held) {
            Passing::All => held.to_vec(),
            Passing::Nothing => Vec::new(),
            Passing::Parts(parts) => parts,
        };
        if let Some(tally) = &mut self.tally {
            tally.passed(rest.len() + postscript.held().len());
        }
        let told = match self.tally.take_if(|_| postscript.has_place()) {
            Some(tally) => tally.end_telling(),
            None => None,
        };
        match told {
            Some(told) => rest.extend(postscript.finish(&told)),
            None => rest.extend_from_slice(postscript.held()),
        }
        self.over(Ending::Complete);
        (!rest.is_empty()).then(|| Frame::data(rest.into()))
    }

    fn counted(&mut self, data: Bytes) -> Frame<Bytes> {
        if let Some(tally) = &mut self.tally {
            tally.passed(data.len());
        }
        Frame::data(data)
    }

    /// The one place where a receipt learns how its answer ended, but for `Drop`.
    fn over(&mut self, how: Ending) {
        if let Some(mut tally) = self.tally.take() {
            tally.end(how);
        }
        let source = std::mem::replace(&mut self.source, Source::Gone);
        if let (Ending::Complete, Source::Upstream(arriving) | Source::Begun(_, Some(arriving))) =
            (how, source)
        {
            arriving.release();
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        // What the strip holds back may still have to go on, and a failure still to be told.
        self.strip.is_none()
            && self.postscript.is_none()
            && self.failed.is_none()
            && self.source.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.source {
            _ if self.strip.is_some() || self.postscript.is_some() => SizeHint::default(),
            Source::Upstream(arriving) => arriving.incoming().size_hint(),
            Source::Begun(first, rest) => {
                let first = first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
                let rest = rest.as_ref().map(|rest| rest.incoming().size_hint().exact());
                let rest = rest.unwrap_or(Some(0));
                rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(first + rest))
            }
            Source::Torn(_) => SizeHint::default(),
            Source::Local(script) => script.size_hint(),
            Source::Gone => SizeHint::with_exact(0),
        }
    }
}

/// Listens for the revocation of a pass.
#[derive(Debug)]
struct PassCut(Pin<Box<WaitForCancellationFutureOwned>>);

impl PassCut {
    fn of(token: CancellationToken) -> Self {
        Self(Box::pin(token.cancelled_owned()))
    }

    /// Whether it was revoked; if not, whoever polls is woken when it is.
    fn is_now(&mut self, cx: &mut Context<'_>) -> bool {
        self.0.as_mut().poll(cx).is_ready()
    }
}

impl Drop for Metered {
    /// The client left, or Tollgate is being stopped. Upstream is let go of at once, unless the
    /// content is complete and only its usage is still to come.
    fn drop(&mut self) {
        let Some(tally) = self.tally.take() else { return };
        let seen = tally.seen();
        let lacks_usage = seen.content_done && !seen.usage && !seen.terminal;
        if lacks_usage && !tally.is_stopping() && Handle::try_current().is_ok() {
            let source = std::mem::replace(&mut self.source, Source::Gone);
            self.tasks.spawn(drain(source, tally));
        }
        // Dropping the tally finishes it.
    }
}

/// Reads the short tail of an answer that its client did not wait for.
async fn drain(mut source: Source, mut tally: Box<Tally>) {
    let mut left = DRAIN_BYTES;
    let cut = tally.cut();
    let read = async {
        while let Some(Ok(frame)) = poll_fn(|cx| source.poll_frame(cx)).await {
            let Some(data) = frame.data_ref() else { continue };
            tally.show(data);
            left = left.saturating_sub(data.len() as u64);
            let seen = tally.seen();
            if left == 0 || seen.usage || seen.terminal {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = tokio::time::sleep(DRAIN_TIME) => {}
        () = cut.cancelled() => {}
    }
    tally.end(Ending::ClientLeft);
}
