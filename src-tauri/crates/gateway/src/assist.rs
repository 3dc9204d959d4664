//! Usage assist on the wire: when to ask an upstream for its usage, and how its answer is put
//! back as if nobody had. What is asked and what is taken out again is `meter`'s.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use meter::format::Format;
use meter::format::assist::{self, Strip};
use meter::provider::{Provider, Route};

use crate::headers;
use crate::request_body::{Upload, UploadFailed};
use crate::snapshot::Snapshot;

/// Larger requests go up unasked: to ask, a body must be held.
const LIMIT: usize = 1024 * 1024;

/// How a request goes up.
pub(crate) enum Asking {
    /// As it was sent.
    AsSent,
    /// With this body, which asks for usage.
    ForUsage(Bytes),
    /// With this body, which names the model of a route's target.
    Renamed(Bytes),
}

/// Whether a request is one that may be asked a question, as far as its head tells.
pub(crate) fn applies(
    snapshot: &Snapshot,
    provider: &Provider,
    route: &Route,
    parts: &Parts,
) -> bool {
    let is_on = snapshot.usage_assist && provider.usage_assist && parts.method == Method::POST;
    is_on
        && matches!(route.format, Some(Format::OpenaiChat | Format::OpenaiCompletions))
        && is_identity(&parts.headers)
        && is_type(&parts.headers, "application/json")
        && headers::content_length(&parts.headers).is_none_or(|length| length <= LIMIT as u64)
}

/// Waits for a small body, and puts the question in if its answer will stream.
pub(crate) async fn ask(upload: &Upload) -> Result<Asking, UploadFailed> {
    let Some(body) = upload.collect(LIMIT).await? else { return Ok(Asking::AsSent) };
    Ok(question(upload, &body).unwrap_or(Asking::AsSent))
}

/// The body with the question put in, if its answer will stream.
pub(crate) fn question(upload: &Upload, body: &[u8]) -> Option<Asking> {
    let would_stream =
        upload.asked(|asked| asked.stream && asked.is_complete_object && !asked.has_stream_options);
    let asked = would_stream.then(|| assist::ask(body)).flatten();
    asked.map(|body| Asking::ForUsage(body.into()))
}

/// The headers that go with a changed body; the answer must come in the clear to be put back.
pub(crate) fn adjust(headers: &mut HeaderMap, length: usize) {
    headers::say_length(headers, length);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// What takes the asked-for frame out of this answer, if it is one that can hold it.
pub(crate) fn strip(headers: &mut HeaderMap) -> Option<Strip> {
    let is_json = is_type(headers, "application/json");
    if is_json || !is_identity(headers) {
        return None;
    }
    // It may get shorter.
    headers.remove(header::CONTENT_LENGTH);
    Some(Strip::default())
}

fn is_identity(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| {
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
    })
}
