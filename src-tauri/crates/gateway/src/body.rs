//! The body of an answer: nothing, a few bytes of our own, or upstream's frames with a receipt on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::response_body::Metered;

/// Why an answer's body ended early. It tells the connection to break off, nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Upstream broke off.
    #[error("upstream broke off")]
    Broken,
    /// Upstream was silent for too long.
    #[error("upstream fell silent")]
    TimedOut,
    /// The pass it ran under was revoked, and what ran cut.
    #[error("the pass was revoked")]
    PassCut,
}

/// The body of an answer. Dropping it before its end cancels the call.
#[derive(Debug)]
pub struct Body(Inner);

#[derive(Debug)]
enum Inner {
    Own(Bytes),
    Metered(Box<Metered>),
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Own(bytes))
    }
}

impl From<Metered> for Body {
    fn from(metered: Metered) -> Self {
        Self(Inner::Metered(Box::new(metered)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Inner::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Metered(metered) => metered.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Own(bytes) => bytes.is_empty(),
            Inner::Metered(metered) => metered.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Metered(metered) => metered.size_hint(),
        }
    }
}
