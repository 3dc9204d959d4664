//! What answers on the listeners: the guard, then pages, management or gateway by path.

use std::sync::Arc;

use api::auth::Local;
use axum::Router;
use gateway::{Gateway, Snapshot, guard, listener};
use http::{Method, Request, Response, header};
use http_body_util::Either;
use hyper::body::Incoming;
use store::Ledger;
use tokio::sync::watch;
use tower_service::Service as _;

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
        if let Err(why) =
            guard::check(request.uri(), request.headers(), port, &allowed.allowed_hosts)
        {
            return self.gateway.turn_away(&request, &why).map(Either::Left);
        }
        match request.uri().path() {
            "/healthz" => health(&self.ledger).map(Either::Right),
            session::PATH => self.sessions.open(request.uri(), port).map(Either::Right),
            path if matches!(path, "/api" | "/metrics") || path.starts_with("/api/") => {
                let mut request = request.map(axum::body::Body::new);
                if self.sessions.knows(request.headers(), port) {
                    request.extensions_mut().insert(Local);
                }
                let Ok(answer) = self.router.call(request).await;
                answer.map(Either::Right)
            }
            path if pages::own(path) && matches!(*request.method(), Method::GET | Method::HEAD) => {
                pages::answer(path, request.headers()).map(Either::Right)
            }
            _ => self.gateway.answer(request).await.map(Either::Left),
        }
    }
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
