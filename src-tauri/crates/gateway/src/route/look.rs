//! Whether a call asks for a route: by a header, by the model in its path, or by the model in its
//! body, for which the body is waited for as far as it takes.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, Method, header};
use hyper::body::Incoming;
use meter::provider::{Auth, Route, percent_decode};
use meter::route::{Family, asked_by};

use crate::address;
use crate::credential::{self, Shown};
use crate::request_body::{Upload, UploadFailed};
use crate::snapshot::Snapshot;

/// Asks for a route, whatever model the request names.
const ROUTE: HeaderName = HeaderName::from_static("x-tollgate-route");

/// A body up to this size is kept for another try, in bytes.
pub(super) const KEPT: usize = 1024 * 1024;
/// A larger one must name its model within so many bytes. The SDKs write long messages first.
const NAMED_WITHIN: usize = 8 * 1024 * 1024;

/// A request's body, as far as it was looked at for a route.
pub(crate) enum Sent {
    /// Not at all.
    Unread(Incoming),
    /// In part, or whole.
    LookedAt(Arc<Upload>),
    /// It broke off while it was looked at.
    Failed(Arc<Upload>, UploadFailed),
}

impl Sent {
    pub(crate) fn is_unread(&self) -> bool {
        matches!(self, Self::Unread(_))
    }

    /// What is read of it from now on.
    pub(crate) fn upload(
        self,
        route: &Route,
        parts: &Parts,
        silence: Duration,
    ) -> (Arc<Upload>, Result<(), UploadFailed>) {
        match self {
            Self::Unread(incoming) => {
                (Upload::new(incoming, route, &parts.headers, silence), Ok(()))
            }
            Self::LookedAt(upload) => (upload, Ok(())),
            Self::Failed(upload, failed) => (upload, Err(failed)),
        }
    }
}

/// Whether a call can ask for a route at all: the one look that all others cost.
pub(crate) fn may_be_asked(snapshot: &Snapshot, parts: &Parts) -> bool {
    !snapshot.routes.named.is_empty() || parts.headers.contains_key(ROUTE)
}

/// The name of the route that is asked for, if one is, and the body.
pub(crate) async fn look(
    snapshot: &Snapshot,
    parts: &Parts,
    incoming: Incoming,
) -> (Option<Box<str>>, Sent) {
    let by_header = parts.headers.get(ROUTE).map(|name| name.to_str().unwrap_or("?").trim());
    if by_header.is_none() && parts.method != Method::POST {
        return (None, Sent::Unread(incoming));
    }
    let path = parts.uri.path();
    let by_head = by_header.map(Box::from).or_else(|| in_path(path));
    let rest = address::read(path, &parts.headers, snapshot).and_then(|address| {
        let provider = snapshot.providers.get(address.provider)?;
        let route = provider.route(parts.method.as_str(), address.rest);
        Some((route, provider.auth == Auth::None))
    });
    let (route, needs_none) = rest.unwrap_or_default();
    // Nothing is held for a stranger, who is denied whatever the body says.
    let is_let_in = match credential::shown(&parts.headers, parts.uri.query()) {
        Shown { pass: Some(secret), .. } => snapshot.passes.find(&secret).is_some(),
        Shown { own, .. } => !snapshot.require_pass && (own || needs_none),
    };
    if !is_let_in {
        return (None, Sent::Unread(incoming));
    }
    let silence = snapshot.timeouts.client_silence;
    let body_names = Family::of(&route, path).is_some_and(|family| !family.names_model_in_path());
    if by_head.is_none() && (!body_names || parts.headers.contains_key(header::CONTENT_ENCODING)) {
        return (None, Sent::Unread(incoming));
    }
    let upload = Upload::new(incoming, &route, &parts.headers, silence);
    if let Err(failed) = read_to_the_model(&upload, body_names).await {
        return (by_head, Sent::Failed(upload, failed));
    }
    let by_body = || upload.asked(|asked| asked.model.as_deref().and_then(asked_by).map(Box::from));
    let name = by_head.or_else(by_body);
    (name, Sent::LookedAt(upload))
}

/// Waits for the body as far as it takes to know the model. Most come in one piece.
async fn read_to_the_model(upload: &Upload, body_names: bool) -> Result<(), UploadFailed> {
    upload.look_ahead().await?;
    let is_enough = || !body_names || upload.asked(|asked| asked.model.is_some());
    for limit in [KEPT, NAMED_WITHIN] {
        if is_enough() || upload.collect(limit).await?.is_some() {
            break;
        }
    }
    Ok(())
}

/// The route in a path such as `…/models/route%2Ffast:generateContent`; the slash may be written
/// plainly, as some SDKs do.
fn in_path(path: &str) -> Option<Box<str>> {
    let (_, behind) = path.rsplit_once("/models/")?;
    let model = percent_decode(behind);
    let name = asked_by(&model)?.split([':', '/']).next()?;
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_name_a_route_either_way() {
        for path in [
            "/v1beta/models/route/fast:generateContent",
            "/v1beta/models/route%2Ffast:streamGenerateContent",
            "/gemini/v1beta/models/route%2ffast%3AgenerateContent",
        ] {
            assert_eq!(in_path(path).as_deref(), Some("fast"), "{path}");
        }
        for path in ["/v1beta/models/gemini-2.5-pro:generateContent", "/v1/chat/completions"] {
            assert_eq!(in_path(path), None, "{path}");
        }
    }
}
