//! The built pages, inside the binary: what the window and a browser are shown.
//! Knows no session; without one the pages say how to get one.

use std::borrow::Cow;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use rust_embed::{Embed, EmbeddedFile};

#[derive(Embed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Built;

/// First segments of the pages' own routes; none can be a provider's id.
pub(crate) const ROUTES: &[&str] = &[
    "activity",
    "alerts",
    "budgets",
    "connect",
    "deployments",
    "export",
    "keys",
    "models",
    "performance",
    "prices",
    "providers",
    "requests",
    "routes",
    "settings",
    "workspaces",
];

/// Nothing from elsewhere, no script or style in a page, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// What stands in for pages that were not built.
const UNBUILT: &str = "<!doctype html><title>Tollgate</title><h1>Tollgate is open</h1>\
    <p>This program was built without its pages. Build them with <code>make ui</code> and build \
    again; <code>tollgate usage</code> and <code>tollgate requests</code> show the receipts.";

/// A file of the pages by its name, such as `index.html`.
#[cfg(feature = "desktop")]
pub(crate) fn file(name: &str) -> Option<Cow<'static, [u8]>> {
    match (Built::get(name), name) {
        (Some(file), _) => Some(file.data),
        (None, "index.html") => Some(Cow::Borrowed(UNBUILT.as_bytes())),
        (None, _) => None,
    }
}

/// Whether the pages own this path.
pub(crate) fn own(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let first = path.split('/').next().unwrap_or_default();
    path.is_empty()
        || first == "assets"
        || path == "favicon.ico"
        || ROUTES.contains(&first)
        || Built::get(path).is_some()
}

/// The answer to `GET path`.
pub(crate) fn answer(path: &str, asked: &HeaderMap) -> Response<Body> {
    let name = path.strip_prefix('/').unwrap_or(path);
    match Built::get(name) {
        Some(file) => shown(name, &file, asked),
        None if name.starts_with("assets/") || name == "favicon.ico" => {
            with_status(StatusCode::NOT_FOUND)
        }
        None => match Built::get("index.html") {
            Some(file) => shown("index.html", &file, asked),
            None => page(Cow::Borrowed(UNBUILT)),
        },
    }
}

/// A page of our own making.
pub(crate) fn page(html: Cow<'static, str>) -> Response<Body> {
    let body = match html {
        Cow::Borrowed(html) => Body::from(html),
        Cow::Owned(html) => Body::from(html),
    };
    guarded("text/html; charset=utf-8", "no-store", body)
}

fn shown(name: &str, file: &EmbeddedFile, asked: &HeaderMap) -> Response<Body> {
    let hash = file.metadata.sha256_hash();
    let tag: String = hash[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    // Names below `assets/` change with what is in them.
    let keep = if name.starts_with("assets/") { "max-age=31536000, immutable" } else { "no-cache" };
    let is_known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let mut answer = if is_known {
        let mut answer = guarded(kind(name), keep, Body::empty());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        let body = match &file.data {
            Cow::Borrowed(bytes) => Body::from(*bytes),
            Cow::Owned(bytes) => Body::from(bytes.clone()),
        };
        guarded(kind(name), keep, body)
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

fn with_status(status: StatusCode) -> Response<Body> {
    let mut answer =
        guarded("text/plain; charset=utf-8", "no-store", Body::from("There is no such file.\n"));
    *answer.status_mut() = status;
    answer
}

fn guarded(kind: &'static str, keep: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, keep),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    answer
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        Some(_) | None => "application/octet-stream",
    }
}
