//! What answers on the listeners: the guard, then pages, management or gateway by path.

use std::sync::Arc;

use api::auth::Local;
use axum::Router;
use gateway::guard::{self, Foreign};
use gateway::{Gateway, Snapshot, listener};
use http::header::{Entry, HeaderName, HeaderValue};
use http::{Method, Request, Response, header};
use http_body_util::Either;
use hyper::body::Incoming;
use store::Ledger;
use tokio::sync::watch;
use tower_service::Service as _;

use crate::attribution::Attribution;
use crate::pages;
use crate::session::{self, Sessions};

/// The body of any answer on the listeners: the gateway's or the management router's.
type AnyBody = Either<gateway::Body, axum::body::Body>;

/// What answers on the listeners.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) gateway: Gateway,
    pub(crate) router: Router,
    pub(crate) snapshot: watch::Receiver<Arc<Snapshot>>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) sessions: Arc<Sessions>,
    /// Finds out who calls, where the user wants that.
    pub(crate) attribution: Option<Arc<Attribution>>,
}

impl Front {
    /// The guard first, no path exempt; then by the first segment.
    pub(crate) async fn answer(
        mut self,
        request: Request<Incoming>,
        peer: listener::Peer,
    ) -> Response<AnyBody> {
        let allowed = Arc::clone(&self.snapshot.borrow());
        let port = peer.local.port();
        let reach = match guard::check(&request, port, &allowed.allowed_hosts) {
            Ok(_) if peer.is_crowded => {
                return self.gateway.turn_away(&request, &Foreign::Crowded).map(Either::Left);
            }
            Ok(reach) => reach,
            Err(why) => return self.gateway.turn_away(&request, &why).map(Either::Left),
        };
        match request.uri().path() {
            "/healthz" => sealed(health(&self.ledger)),
            session::PATH => self.sessions.open(request.uri(), port).map(Either::Right),
            path if matches!(path, "/api" | "/metrics") || path.starts_with("/api/") => {
                if let Err(why) = reach.to_management() {
                    return self.gateway.turn_away(&request, &why).map(Either::Left);
                }
                let mut request = request.map(axum::body::Body::new);
                if self.sessions.knows(request.headers(), port) {
                    request.extensions_mut().insert(Local);
                }
                let Ok(answer) = self.router.call(request).await;
                sealed(answer)
            }
            path if pages::own(path) && matches!(*request.method(), Method::GET | Method::HEAD) => {
                pages::answer(path, request.headers()).map(Either::Right)
            }
            _ => match reach.to_providers() {
                Ok(()) => {
                    let mut request = without_session(request);
                    if let Some(attribution) = &self.attribution {
                        attribution.seek(&peer);
                        request.extensions_mut().insert(peer.caller);
                    }
                    self.gateway.answer(request).await.map(Either::Left)
                }
                Err(why) => self.gateway.turn_away(&request, &why).map(Either::Left),
            },
        }
    }
}

/// An answer of our own that no page may embed, guess at or keep.
fn sealed(mut answer: Response<axum::body::Body>) -> Response<AnyBody> {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer.map(Either::Right)
}

/// The request without the cookies of our pages, which are no provider's business.
fn without_session<B>(mut request: Request<B>) -> Request<B> {
    let headers = request.headers_mut();
    if let Entry::Occupied(mut cookies) = headers.entry(header::COOKIE) {
        let kept: Vec<HeaderValue> = cookies.iter().filter_map(session::without_ours).collect();
        match kept.split_first() {
            None => drop(cookies.remove_entry_mult()),
            Some((first, more)) => {
                cookies.insert(first.clone());
                more.iter().for_each(|cookie| cookies.append(cookie.clone()));
            }
        }
    }
    request
}

/// 200 as long as calls are taken; says how recording is doing.
fn health(ledger: &Ledger) -> Response<axum::body::Body> {
    let health = ledger.health();
    let whole = health.problem.is_none() && health.lost == 0;
    let json = serde_json::json!({
        "status": if whole { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "recorded": health.recorded,
        "waiting": health.waiting,
        "spilled": health.spilled,
        "lost": health.lost,
        "unregistered": health.unregistered,
        "problem": health.problem,
    });
    text("application/json", json.to_string())
}

fn text(kind: &'static str, body: String) -> Response<axum::body::Body> {
    let mut answer = Response::new(axum::body::Body::from(body));
    answer.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    answer
}
