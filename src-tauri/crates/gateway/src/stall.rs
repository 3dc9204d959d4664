//! A client connection that gives up on a client which has stopped reading.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::clock::{Pace, Patience};

/// A stream whose writes fail when the other side takes nothing, or hardly anything, for too
/// long. A body above it cannot notice: nobody asks it for frames while the connection is full.
#[derive(Debug)]
pub(crate) struct Stalling {
    stream: TcpStream,
    limit: Duration,
    /// There while a write waits.
    patience: Option<Patience>,
    pace: Pace,
}

impl Stalling {
    pub(crate) fn new(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, limit, patience: None, pace: Pace::new(limit) }
    }

    fn watched(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let too_slow = || Err(io::ErrorKind::TimedOut.into());
        if let Poll::Ready(written) = written {
            self.patience = None;
            let is_in_time = written.as_ref().is_ok_and(|bytes| self.pace.moves(*bytes));
            return Poll::Ready(if is_in_time {
                written
            } else {
                written.and_then(|_| too_slow())
            });
        }
        self.pace.waits();
        let patience = self.patience.get_or_insert_with(|| Patience::new(self.limit));
        patience.poll_over(cx).map(|()| too_slow())
    }
}

impl AsyncRead for Stalling {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stalling {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(cx, written)
    }
}
