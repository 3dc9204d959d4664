//! Which headers go on and which end here. Order, case and duplicates are kept: a header map is
//! rebuilt in its own order instead of having entries removed, because removal reorders it.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use meter::receipt::TraceParent;

/// The one header Tollgate adds to an answer.
pub(crate) const RECEIPT: HeaderName = HeaderName::from_static("x-tollgate-receipt");
/// Headers for Tollgate itself; none goes on.
const OURS: &str = "x-tollgate-";
/// `x-tollgate-tag-NAME`.
const TAG: &str = "x-tollgate-tag-";
/// `x-tollgate-workspace`.
pub(crate) const WORKSPACE: &str = "x-tollgate-workspace";
/// W3C trace context.
pub(crate) const TRACE_PARENT: &str = "traceparent";
/// Tags kept per request.
pub(crate) const MOST_TAGS: usize = 16;
/// Bytes kept of a tag's name and value.
const TAG_LIMITS: (usize, usize) = (64, 256);

/// Whether a header is about one connection only (RFC 9110 §7.6.1, and older custom).
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "proxy-authentication-info")
}

/// The names that `connection` lists, lower case.
fn listed(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|v| v.to_str().ok());
    let names = values.flat_map(|v| v.split(',')).map(|name| name.trim().to_ascii_lowercase());
    // Almost always this one word, which is dropped anyway.
    names.filter(|name| !name.is_empty() && name != "keep-alive" && name != "close").collect()
}

/// The headers that go on, in their order; `goes_on` may hold more back.
fn kept(headers: HeaderMap, goes_on: impl Fn(&HeaderName, &HeaderValue) -> bool) -> HeaderMap {
    let listed = listed(&headers);
    let mut out = HeaderMap::with_capacity(headers.len() + 1);
    let mut current = None;
    for (name, value) in headers {
        // A repeated header comes without its name.
        current = name.or(current);
        let Some(name) = &current else { continue };
        let is_listed = listed.iter().any(|held| held == name.as_str());
        if !is_hop_by_hop(name) && !is_listed && goes_on(name, &value) {
            out.append(name.clone(), value);
        }
    }
    out
}

/// A request's headers as upstream gets them. `host` is put where the client's stood; without
/// one (HTTP/2 may be spoken, where `:authority` says it) the connection adds what it needs.
pub(crate) fn for_upstream(
    headers: HeaderMap,
    host: Option<HeaderValue>,
    goes_on: impl Fn(&HeaderName, &HeaderValue) -> bool,
) -> HeaderMap {
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let length = headers.get(header::CONTENT_LENGTH).cloned();
    let mut out = kept(headers, |name, value| {
        let is_framing = *name == header::CONTENT_LENGTH && chunked;
        let is_dropped = *name == header::EXPECT || (*name == header::HOST && host.is_none());
        !is_framing && !is_dropped && !name.as_str().starts_with(OURS) && goes_on(name, value)
    });
    if let Some(host) = host {
        out.insert(header::HOST, host);
    }
    if let Some(length) = length.filter(|_| lengths > 1 && !chunked) {
        // Equal ones, or the parser would have refused them.
        out.insert(header::CONTENT_LENGTH, length);
    }
    out
}

/// An answer's headers as the client gets them. A provider's `access-control-*` opens nothing
/// here: no page of another origin gets as far as an answer.
pub(crate) fn for_client(headers: HeaderMap) -> HeaderMap {
    kept(headers, |_, _| true)
}

/// The tags a client gave, bounded in number and size.
pub(crate) fn tags(headers: &HeaderMap) -> impl Iterator<Item = (Box<str>, Box<str>)> {
    let (name_limit, value_limit) = TAG_LIMITS;
    let tags = headers.iter().filter_map(move |(name, value)| {
        let name = name.as_str().strip_prefix(TAG)?;
        let value = value.to_str().ok()?.trim();
        let fits = !name.is_empty() && name.len() <= name_limit && !value.is_empty();
        // A tab is all that a header may hold of what tables and terminals do not show as it is.
        let value = value.replace('\t', " ");
        fits.then(|| (name.into(), cut(&value, value_limit).into()))
    });
    tags.take(MOST_TAGS)
}

/// The calling program: the first product of the user agent, such as `OpenAI/Python`.
pub(crate) fn client(headers: &HeaderMap) -> Option<Box<str>> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    let product = agent.split([' ', '(']).next().filter(|product| !product.is_empty())?;
    Some(cut(product, 64).into())
}

/// The span that the call was made from, if its client says so.
pub(crate) fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACE_PARENT)?.to_str().ok()?.parse().ok()
}

/// At most `limit` bytes of the text, cut between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let limit = limit.min(text.len());
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// Says how long a changed body is, where that was said.
pub(crate) fn say_length(headers: &mut HeaderMap, length: usize) {
    if let Some(value) = headers.get_mut(header::CONTENT_LENGTH) {
        *value = HeaderValue::from(length);
    }
}

/// How long a body is said to be.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn connection_and_what_it_names_end_here_and_order_stays() {
        let headers = map(&[
            ("host", "127.0.0.1:8655"),
            ("accept", "a"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("accept", "b"),
            ("te", "trailers"),
            ("x-tollgate-tag-a", "1"),
            ("expect", "100-continue"),
            ("x-last", "z"),
        ]);
        let host = Some(HeaderValue::from_static("up"));
        let out = for_upstream(headers, host, |_, _| true);
        let pairs: Vec<_> = out.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(pairs, [("host", "up"), ("accept", "a"), ("accept", "b"), ("x-last", "z")]);
    }

    #[test]
    fn a_length_beside_chunks_is_not_passed_on() {
        let headers = map(&[("transfer-encoding", "chunked"), ("content-length", "3")]);
        assert!(for_upstream(headers, None, |_, _| true).is_empty());
        let twice = map(&[("content-length", "3"), ("content-length", "3")]);
        assert_eq!(for_upstream(twice, None, |_, _| true).len(), 1);
    }

    #[test]
    fn tags_client_and_trace_are_read_and_bounded() {
        let headers = map(&[
            ("x-tollgate-tag-team", "search"),
            ("user-agent", "OpenAI/Python 2.1.0"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ]);
        assert_eq!(tags(&headers).collect::<Vec<_>>(), [("team".into(), "search".into())]);
        let tabbed = map(&[("x-tollgate-tag-m", "d\ta")]);
        assert_eq!(tags(&tabbed).collect::<Vec<_>>(), [("m".into(), "d a".into())]);
        assert_eq!(client(&headers).as_deref(), Some("OpenAI/Python"));
        let parent = trace_parent(&headers).unwrap();
        assert_eq!(parent.trace_id_text(), "0af7651916cd43dd8448eb211c80319c");
    }
}
