//! `GET events`: one data-less event after the ledger changed, so that whoever shows
//! figures asks again. It says that, never what. The first comes at once, for what changed since
//! its reader last asked.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// At most this often; what happens in between is one event.
const SPACING: Duration = Duration::from_millis(250);

/// A comment this often keeps proxies and time-outs from ending a quiet stream.
const HEARTBEAT: Duration = Duration::from_secs(15);

const CHANGED: Bytes = Bytes::from_static(b"event: changed\ndata:\n\n");
const STILL_HERE: Bytes = Bytes::from_static(b": still here\n\n");

/// A stream of server-sent events, one at once and one after each change of `revision`. It ends when the
/// sender is dropped, which is how a shutdown reaches those who listen.
pub(crate) fn stream_of(revision: watch::Receiver<u64>) -> Response {
    let begun = Listening { revision, next: Instant::now(), greeted: false };
    let events = stream::unfold(begun, |mut listening| async move {
        let event = listening.next().await?;
        Some((Ok::<_, Infallible>(event), listening))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(events)).into_response()
}

struct Listening {
    revision: watch::Receiver<u64>,
    next: Instant,
    greeted: bool,
}

impl Listening {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            // The head of an answer leaves with its first bytes; do not keep it waiting. And what
            // changed before it would be heard of by nobody.
            self.greeted = true;
            self.revision.mark_unchanged();
            return Some(CHANGED);
        }
        match timeout(HEARTBEAT, self.revision.changed()).await {
            Err(_quiet) => Some(STILL_HERE),
            Ok(Err(_closed)) => None,
            Ok(Ok(())) => {
                sleep_until(self.next).await;
                self.revision.mark_unchanged();
                self.next = Instant::now() + SPACING;
                Some(CHANGED)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_one_event_and_the_end_of_the_sender_is_the_end() {
        let (sender, revision) = watch::channel(0);
        let mut listening = Listening { revision, next: Instant::now(), greeted: false };
        assert_eq!(listening.next().await, Some(CHANGED), "for what was before");
        sender.send_modify(|revision| *revision += 1);
        sender.send_modify(|revision| *revision += 1);
        assert_eq!(listening.next().await, Some(CHANGED));
        sender.send_modify(|revision| *revision += 1);
        drop(sender);
        assert_eq!(listening.next().await, Some(CHANGED));
        assert_eq!(listening.next().await, None);
    }
}
