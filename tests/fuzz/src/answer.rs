//! The reader of answers: framing, JSON scanner and every wire format.

use std::cell::RefCell;
use std::sync::LazyLock;

use meter::format::{End, Format, Reader, Reading, Seen};
use meter::provider::{Provider, Providers};
use meter::request::Asked;

use crate::{heap, pieces};

/// What a reader may hold: 64 KiB by its promise, and itself.
const MOST_HELD: usize = 72 * 1024;

/// Reads the rest of `input` as its first two bytes say.
pub fn check(input: &[u8]) {
    let Some((call, body)) = Call::of(input) else { return };
    let whole = call.read(std::iter::once(body), End::Complete);
    assert_is_sane(&whole.1);
    assert_eq!(whole, call.read(body.chunks(1), End::Complete), "byte by byte");
    assert_eq!(whole, call.read(pieces::hostile(body), End::Complete), "in pieces");
    for end in [End::Broken, End::ClientLeft] {
        assert_is_sane(&call.read(std::iter::once(&body[..body.len() / 2]), end).1);
    }
    let held = call.most_held(body);
    assert!(held <= MOST_HELD, "{held} bytes were held");
}

/// The two bytes that make [`check`] read what follows as this format, with a content type
/// by number (see [`CONTENT_TYPES`]).
pub fn prefix(format: Option<Format>, content_type: u8) -> [u8; 2] {
    let at = Format::ALL.iter().position(|known| Some(*known) == format);
    [at.map_or(u8::MAX, |at| at as u8), content_type]
}

/// What an answer may declare itself to be.
const CONTENT_TYPES: [&str; 8] = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "",
    "application/vnd.amazon.eventstream",
    "text/plain",
    "audio/mpeg",
    "text/html",
];

pub(crate) struct Call {
    format: Option<Format>,
    provider: &'static Provider,
    status: u16,
    content_type: &'static str,
}

impl Call {
    pub(crate) fn of(input: &[u8]) -> Option<(Self, &[u8])> {
        static PLAIN: LazyLock<Provider> =
            LazyLock::new(|| Provider::declared("any", "http://any.test"));
        let ([format, how], body) = input.split_first_chunk()?;
        let others = Providers::built_in().get("xai").unwrap_or(&PLAIN);
        let call = Self {
            format: Format::ALL.get(usize::from(*format)).copied(),
            provider: if how & 0x40 == 0 { &PLAIN } else { others },
            status: if how & 0x80 == 0 { 200 } else { 429 },
            content_type: CONTENT_TYPES[usize::from(how & 7)],
        };
        Some((call, body))
    }

    pub(crate) fn format(&self) -> Option<Format> {
        self.format
    }

    pub(crate) fn content_type(&self) -> &'static str {
        self.content_type
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status == 200
    }

    fn reader(&self) -> Reader {
        let mut reader = Reader::new(self.format, self.provider);
        reader.head(self.status, &|name| (name == "content-type").then_some(self.content_type));
        reader
    }

    pub(crate) fn read<'b>(
        &self,
        pieces: impl Iterator<Item = &'b [u8]>,
        end: End,
    ) -> (Seen, Reading) {
        let mut reader = self.reader();
        let mut seen = Seen::default();
        for piece in pieces {
            let next = reader.push(piece);
            assert!(next.content >= seen.content && next.terminal >= seen.terminal, "{next:?}");
            seen = next;
        }
        (seen, reader.finish(end, &Asked::default()))
    }

    fn most_held(&self, body: &[u8]) -> usize {
        let mut reader = None;
        let mut rest = body.chunks(4096);
        heap::most_held(|| {
            let reader = reader.get_or_insert_with(|| self.reader());
            let piece = rest.next();
            piece.map(|piece| reader.push(piece)).is_some()
        })
    }
}

thread_local! {
    /// Whether the last answer held any usage: the driver prefers what does.
    static USAGE: RefCell<bool> = const { RefCell::new(false) };
}

/// Whether the last answer checked held any usage.
pub fn had_usage() -> bool {
    USAGE.with(|had| *had.borrow())
}

/// Results are bounded whatever was read.
fn assert_is_sane(reading: &Reading) {
    USAGE.with(|had| *had.borrow_mut() = !reading.lines.is_empty());
    let short = [
        &reading.model,
        &reading.response_id,
        &reading.finish_reason,
        &reading.service_tier,
        &reading.region,
        &reading.error_type,
        &reading.upstream_request_id,
    ];
    for text in short.into_iter().flatten() {
        assert!(text.len() <= 1024, "{} bytes in a name", text.len());
    }
    assert!(reading.error_message.as_ref().is_none_or(|text| text.len() <= 8 * 1024));
    assert!(reading.lines.len() <= 1000 && reading.anomalies.len() <= 100);
    assert!(reading.usage_raw.as_ref().is_none_or(|raw| raw.as_str().len() <= 64 * 1024));
}
