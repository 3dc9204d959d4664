//! An answer that may be a failure: how much of it must be read to know, and what it cost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{HeaderMap, Response, header};
use http_body::Frame;
use hyper::body::Body as _;
use meter::format::{End, Format, Reader, Reading};
use meter::provider::Provider;
use meter::request::Asked;
use tokio::time::Instant;

use crate::decode::Decoder;
use crate::response_body::Source;
use crate::tally::Came;
use crate::upstream::{Arriving, Fault};

/// So much of a failed answer is kept, for the client that gets it if nobody else answers.
const KEPT: usize = 64 * 1024;
/// And for so long it is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer whose beginning has been looked at; nothing of it has gone to the client.
pub(super) struct Begun {
    pub(super) parts: Parts,
    pub(super) source: Source,
    /// What it came to, if it says that it failed.
    pub(super) failure: Option<Came>,
}

/// What reads an answer.
pub(super) struct Eyes<'a> {
    pub(super) format: Option<Format>,
    pub(super) provider: &'a Provider,
    pub(super) asked: Asked,
}

impl Begun {
    /// As it came: nobody wants to know.
    pub(super) fn unread(answer: Response<Arriving>) -> Self {
        let (parts, arriving) = answer.into_parts();
        Self { parts, source: Source::Upstream(arriving), failure: None }
    }

    /// An answer that is a failure by its status: all of it, if it is as short as they are.
    pub(super) async fn failed(answer: Response<Arriving>, eyes: Eyes<'_>) -> Self {
        let (parts, mut arriving) = answer.into_parts();
        let mut kept = BytesMut::new();
        let until = Instant::now() + PATIENCE;
        let mut is_torn = false;
        while kept.len() < KEPT
            && let Ok(Some(next)) = tokio::time::timeout_at(until, next(&mut arriving)).await
        {
            let Ok(frame) = next else {
                is_torn = true;
                break;
            };
            kept.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        }
        let kept = kept.freeze();
        let is_whole = !is_torn && arriving.incoming().is_end_stream();
        let end = if is_whole { End::Complete } else { End::Broken };
        let reading = eyes.read(&parts, &kept, end);
        let first = Some(Frame::data(kept));
        let source = if is_torn {
            Source::Torn(first)
        } else if is_whole {
            // What it came over may carry another.
            arriving.release();
            Source::Begun(first, None)
        } else {
            Source::Begun(first, Some(arriving))
        };
        let failure = Some(reading.map_or(Came::ToNothing, Came::of));
        Self { parts, source, failure }
    }

    /// An answer that promises well: its first piece, which may still say that it failed.
    pub(super) async fn promising(
        answer: Response<Arriving>,
        eyes: Eyes<'_>,
        until: Instant,
    ) -> Result<Self, Fault> {
        let (parts, mut arriving) = answer.into_parts();
        let first = match tokio::time::timeout_at(until, next(&mut arriving)).await {
            Err(_) => return Err(Fault::TimedOut),
            Ok(Some(Err(_))) => return Err(Fault::Broken),
            Ok(first) => first.transpose().unwrap_or_default(),
        };
        let data = first.as_ref().and_then(Frame::data_ref);
        let reading = data.and_then(|data| eyes.read(&parts, data, End::ClientLeft));
        let said_no = reading.filter(|reading| reading.error_type.is_some());
        let failure = said_no.map(Came::of);
        Ok(Self { parts, source: Source::Begun(first, Some(arriving)), failure })
    }
}

impl Eyes<'_> {
    /// What these bytes say, read apart from the receipt.
    fn read(self, parts: &Parts, bytes: &[u8], end: End) -> Option<Reading> {
        let codings = parts.headers.get_all(header::CONTENT_ENCODING).iter();
        let mut decoder = Decoder::new(codings.map(|v| v.to_str().unwrap_or("?")), 1 << 20)?;
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let read = AssertUnwindSafe(|| {
            let mut reader = Reader::new(self.format, self.provider);
            reader.head(parts.status.as_u16(), &text);
            let mut has_content = false;
            decoder.push(bytes, &mut |out| has_content |= reader.push(out).content).ok()?;
            (!has_content).then(|| reader.finish(end, &self.asked))
        });
        // A mistake of ours in reading must not stop an answer.
        catch_unwind(read).ok().flatten()
    }
}

async fn next(arriving: &mut Arriving) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    std::future::poll_fn(|cx| arriving.poll_frame(cx)).await
}

/// How long a provider asks to be left alone.
pub(super) fn asked_to_wait(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let exactly = number("retry-after-ms").map(Duration::from_millis);
    exactly.or_else(|| number("retry-after").map(Duration::from_secs))
}
