//! One request from its head to its answer: admit, look ahead, register, send, hand the answer on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::response;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use meter::price::{Outlook, Prospect};
use meter::provider::{Auth, Provider};
use meter::receipt::{AttemptEnd, Billing, Status};
use tokio_util::sync::CancellationToken;

use crate::admission::{self, Admitted, DEMO, Denied};
use crate::allowance::Stopped;
use crate::assist::{self, Asking};
use crate::body::Body;
use crate::budget::Stop;
use crate::caller::Caller;
use crate::clock::Began;
use crate::refusal::{Dialect, Refusal, stamp};
use crate::request_body::{RequestBody, Upload, UploadFailed};
use crate::response_body::{Metered, Source};
use crate::route::{Routed, Sent};
use crate::snapshot::{Snapshot, StoredKey};
use crate::tally::{self, Call, Tally};
use crate::upstream::{Arriving, Fault, Target};
use crate::{Shared, allowance, credential, demo, guard, headers, meta, route};

/// How much of a request is read before a budget is asked; of a larger one only its size counts.
const MOST_FORESEEN: usize = 1024 * 1024;

/// How much of a refused request to read on for, and how long, so that its client hears the "no".
pub(crate) const LINGER_BYTES: u64 = 8 * 1024 * 1024;
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(1);

/// Answers one request.
pub(crate) async fn run(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let began = Began::now();
    let snapshot = Arc::clone(&shared.snapshot.borrow());
    let (parts, incoming) = request.into_parts();
    let draft = admission::draft((shared.mint)(began.wall()), &began, &parts);
    let arrives_since = Instant::now();
    let (route, sent) = match route::may_be_asked(&snapshot, &parts) {
        true => Box::pin(route::look(&snapshot, &parts, incoming)).await,
        false => (None, Sent::Unread(incoming)),
    };
    if let Some(name) = route {
        let snapshot = &snapshot;
        let routed = Routed { shared, snapshot, began, name, draft, parts, sent, arrives_since };
        return Box::pin(route::run(routed)).await;
    }
    let admitted = match admission::admit(&snapshot, &parts, draft) {
        Ok(admitted) => admitted,
        Err(denied) => {
            let answer = deny(shared, &began, *denied);
            let silence = snapshot.timeouts.client_silence;
            // Who was read from has been told to go on.
            let waits = sent.is_unread() && parts.headers.contains_key(header::EXPECT);
            let (upload, _) = sent.upload(&<_>::default(), &parts, silence);
            linger(&upload, waits).await;
            return answer;
        }
    };
    let silence = snapshot.timeouts.client_silence;
    let (upload, came) = sent.upload(&admitted.route, &parts, silence);
    let secrets = || snapshot.keys.secrets_and(&admitted.secrets);
    let watch = snapshot.inspector.watch(&admitted.receipt, &parts, secrets);
    if let Some(watch) = watch.clone() {
        upload.show_to(watch, &parts.headers);
    }
    let held = match (admitted.pass, came) {
        (_, Err(failed)) => Err(Stopped::Client(failed)),
        (Some(pass), Ok(())) => allowance::of_body(pass, &admitted.route, &parts, &upload).await,
        (None, Ok(())) => Ok(()),
    };
    if let Err(Stopped::Refused(refusal)) = held {
        return Box::pin(refuse_body(shared, &snapshot, &began, admitted, refusal, &upload)).await;
    }
    let call = Call {
        began,
        snapshot: Arc::clone(&snapshot),
        upload: Arc::clone(&upload),
        host: admitted.target.host().into(),
        secrets: admitted.secrets,
        cut: shared.lifetime.cut.clone(),
        pass_cut: admitted.pass.map(|pass| pass.cut.clone()),
        parent: admitted.parent,
        caller: parts.extensions.get::<Caller>().cloned(),
        watch,
        wish: snapshot.response_meta.then(|| meta::wish(&parts.headers)).flatten(),
    };
    let tally = Tally::new(call, admitted.receipt, Arc::clone(&shared.open));
    let Admitted { dialect, provider, route, target, key, .. } = admitted;
    let key = key.map(|key| (provider.auth, key));
    let announced = headers::content_length(&parts.headers);
    let trip = Trip { shared, provider, announced, upload, dialect, target, key, arrives_since };
    if let Err(Stopped::Client(failed)) = held {
        return Box::pin(client_failed(tally, trip.dialect, failed)).await;
    }
    if &*provider.id == DEMO {
        return Box::pin(demo::answer(shared, tally, &route, trip.upload)).await;
    }
    let may_assist = assist::applies(&snapshot, provider, &route, &parts);
    trip.make(tally, parts, may_assist).await
}

/// One admitted request on its way.
pub(crate) struct Trip<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) provider: &'a Provider,
    /// Bytes that the request's body is said to have.
    pub(crate) announced: Option<u64>,
    pub(crate) upload: Arc<Upload>,
    pub(crate) dialect: Dialect,
    pub(crate) target: Target,
    pub(crate) key: Option<(Auth, &'a StoredKey)>,
    /// Since when its body is waited for.
    pub(crate) arrives_since: Instant,
}

impl Trip<'_> {
    async fn make(self, mut tally: Box<Tally>, parts: Parts, may_assist: bool) -> Response<Body> {
        let assumed_output = tally.snapshot().budgets.concern(&tally.facets());
        // The receipt is registered with what the request asks for, which the first piece of the
        // body usually tells. What it may come to, all of it tells.
        let asked = match (may_assist, assumed_output) {
            (true, _) => assist::ask(&self.upload).await,
            (false, None) => self.upload.look_ahead().await.map(|()| Asking::AsSent),
            (false, Some(_)) => self.upload.collect(MOST_FORESEEN).await.map(|_| Asking::AsSent),
        };
        let waited = self.arrives_since.elapsed();
        if let (Ok(_), Some(assumed_output)) = (&asked, assumed_output) {
            let outlook = self.outlook(&tally, &parts.method, assumed_output);
            if let Err(stop) = tally.reserve(outlook) {
                return Box::pin(self.stopped(tally, &stop, &parts)).await;
            }
        }
        tally.open();
        let asking = match asked {
            Ok(asking) => asking,
            Err(failed) => return Box::pin(client_failed(tally, self.dialect, failed)).await,
        };
        let request = self.request(parts, asking, &mut tally);
        tally.left_after(waited);
        let silence = tally.snapshot().timeouts.upstream_silence;
        let cut = tally.pass_cut();
        match send(self.shared, request, &self.upload, silence, cut.as_ref()).await {
            Ok(response) => {
                let (parts, arriving) = response.into_parts();
                hand_on(self.shared, parts, Source::Upstream(arriving), tally)
            }
            Err(Fault::Client(failed)) => {
                Box::pin(client_failed(tally, self.dialect, failed)).await
            }
            Err(Fault::PassCut) => pass_cut(tally, self.dialect),
            Err(fault) => Box::pin(upstream_failed(tally, self.dialect, fault, &self.target)).await,
        }
    }

    /// What the call may come to.
    pub(crate) fn outlook(&self, tally: &Tally, method: &Method, assumed_output: u64) -> Outlook {
        let only_looks = matches!(*method, Method::GET | Method::HEAD | Method::DELETE);
        let receipt = tally.receipt();
        let (served, is_whole) = (tally.served(), self.upload.is_over());
        let bytes = self.announced.unwrap_or(0).max(self.upload.bytes());
        self.upload.asked(|asked| {
            let prospect = Prospect {
                provider: self.provider,
                host: self.target.host(),
                kind: receipt.kind,
                at: receipt.started_at,
                only_looks,
                is_local: receipt.billing == Billing::Local,
                served: served.as_deref(),
                is_whole,
                asked,
                bytes,
                assumed_output,
            };
            prospect.outlook(&tally.snapshot().book)
        })
    }

    /// Tells the client that a budget stands against its call.
    async fn stopped(self, tally: Box<Tally>, stop: &Stop, parts: &Parts) -> Response<Body> {
        let refusal = Refusal::over_budget(stop);
        let answer = refusal.answer(self.dialect, tally.id());
        tally.deny(self.dialect, &refusal);
        linger(&self.upload, parts.headers.contains_key(header::EXPECT)).await;
        answer
    }

    /// The request as upstream gets it.
    pub(crate) fn request(
        &self,
        parts: Parts,
        asking: Asking,
        tally: &mut Tally,
    ) -> Request<RequestBody> {
        let Parts { method, headers, extensions, .. } = parts;
        let has_pass = tally.has_pass();
        let mut headers =
            headers::for_upstream(headers, self.target.host_header(), |name, value| {
                !has_pass || !credential::is_pass(name, value)
            });
        if let Some((auth, key)) = self.key {
            credential::put_in(&mut headers, auth, &key.secret);
        }
        let body = match asking {
            Asking::ForUsage(body) => {
                tally.assisted();
                assist::adjust(&mut headers, body.len());
                RequestBody::Whole(body)
            }
            Asking::Renamed(body) => {
                headers::say_length(&mut headers, body.len());
                RequestBody::Whole(body)
            }
            Asking::AsSent if self.upload.is_empty() => RequestBody::Whole(Bytes::new()),
            Asking::AsSent => RequestBody::Streamed(Arc::clone(&self.upload)),
        };
        if tally.has_wish() {
            meta::adjust(&mut headers);
        }
        if tally.snapshot().trace_upstream && !headers.contains_key(headers::TRACE_PARENT) {
            headers.insert(headers::TRACE_PARENT, tally.begin_trace());
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = headers;
        // Holds the case of the header names as they were written.
        *request.extensions_mut() = extensions;
        request
    }
}

/// Answers a request that the guard refused.
pub(crate) fn turn_away(
    shared: &Arc<Shared>,
    request: &Request<Incoming>,
    why: &guard::Foreign,
) -> Response<Body> {
    let began = Began::now();
    let mut parts = Request::new(()).into_parts().0;
    parts.uri.clone_from(request.uri());
    parts.headers.clone_from(request.headers());
    let draft = admission::stranger((shared.mint)(began.wall()), &began, &parts);
    deny(shared, &began, admission::foreign(draft, &parts, why))
}

/// Answers a request whose body asks for what its pass does not allow.
async fn refuse_body(
    shared: &Shared,
    snapshot: &Snapshot,
    began: &Began,
    admitted: Admitted<'_>,
    refusal: Refusal,
    upload: &Upload,
) -> Response<Body> {
    let Admitted { mut receipt, dialect, parent, .. } = admitted;
    upload.asked(|asked| tally::note_asked(&mut receipt, asked, snapshot));
    receipt.request_bytes = upload.bytes();
    let answer = deny(shared, began, Denied { receipt, dialect, refusal, parent });
    upload.linger(LINGER_BYTES, LINGER_TIME).await;
    answer
}

pub(crate) fn deny(shared: &Shared, began: &Began, denied: Denied) -> Response<Body> {
    let answer = denied.refusal.answer(denied.dialect, denied.receipt.id);
    tally::deny(denied, began, &shared.open);
    answer
}

/// Reads on for a moment: a connection closed over unread bytes is reset, and the reset can
/// overtake the answer. A client that waits for a `100 Continue` has sent nothing.
async fn linger(upload: &Upload, waits_for_continue: bool) {
    if !waits_for_continue {
        upload.linger(LINGER_BYTES, LINGER_TIME).await;
    }
}

/// Sends the request and waits for the answer's head, for as long as something moves.
pub(crate) async fn send(
    shared: &Shared,
    request: Request<RequestBody>,
    upload: &Upload,
    silence: Duration,
    cut: Option<&CancellationToken>,
) -> Result<Response<Arriving>, Fault> {
    let left = Instant::now();
    let mut sending = std::pin::pin!(shared.upstream.send(request));
    loop {
        let since = upload.last_activity().max(left);
        let timed = tokio::time::timeout_at((since + silence).into(), &mut sending);
        let sent = match cut {
            Some(cut) => cut.run_until_cancelled(timed).await.unwrap_or(Ok(Err(Fault::PassCut))),
            None => timed.await,
        };
        match sent {
            Ok(result) => return result,
            Err(_) if upload.last_activity() > since => {}
            Err(_) => return Err(Fault::TimedOut),
        }
    }
}

/// Hands the answer on, its bytes untouched.
pub(crate) fn hand_on(
    shared: &Shared,
    mut parts: response::Parts,
    source: Source,
    mut tally: Box<Tally>,
) -> Response<Body> {
    tally.answered(parts.status, &parts.headers);
    let strip = tally.is_assisted().then(|| assist::strip(&mut parts.headers)).flatten();
    parts.headers = headers::for_client(parts.headers);
    let is_bodiless = source.is_end_stream();
    let postscript = meta::prepare(&tally, parts.status, &mut parts.headers, is_bodiless);
    stamp(&mut parts.headers, tally.id());
    parts.version = http::Version::HTTP_11;
    let body = Metered::new(source, tally, strip, shared.lifetime.tasks.clone()).with(postscript);
    Response::from_parts(parts, body.into())
}

pub(crate) async fn client_failed(
    tally: Box<Tally>,
    dialect: Dialect,
    failed: UploadFailed,
) -> Response<Body> {
    let (status, code) = match failed {
        UploadFailed::Broken => (StatusCode::BAD_REQUEST, "broken_request"),
        UploadFailed::Stalled => (StatusCode::REQUEST_TIMEOUT, "stalled_request"),
        UploadFailed::NotAllowed => {
            let refusal = allowance::of_rest();
            let answer = refusal.answer(dialect, tally.id());
            tally.upload().linger(LINGER_BYTES, LINGER_TIME).await;
            tally.refuse(&refusal, Status::Denied);
            return answer;
        }
    };
    let refusal = Refusal::new(status, code, failed.to_string());
    let answer = refusal.answer(dialect, tally.id());
    tally.abandon(&refusal.message);
    answer
}

/// Answers a call whose pass was revoked while it waited for its answer.
pub(crate) fn pass_cut(tally: Box<Tally>, dialect: Dialect) -> Response<Body> {
    let refusal = Refusal::new(StatusCode::FORBIDDEN, tally::PASS_REVOKED, tally::PASS_CUT);
    let answer = refusal.answer(dialect, tally.id());
    tally.refuse(&refusal, Status::Cancelled);
    answer
}

async fn upstream_failed(
    tally: Box<Tally>,
    dialect: Dialect,
    fault: Fault,
    target: &Target,
) -> Response<Body> {
    let (refusal, how) = explain(fault, target);
    let answer = refusal.answer(dialect, tally.id());
    tally.upload().linger(LINGER_BYTES, LINGER_TIME).await;
    tally.fail(&refusal, how);
    answer
}

/// What to tell the client about an upstream that gave no answer.
pub(crate) fn explain(fault: Fault, target: &Target) -> (Refusal, AttemptEnd) {
    let (origin, host) = (&target.origin, target.host());
    let (status, code, how, sentence) = match fault {
        Fault::Dns => (
            502,
            "upstream_dns",
            AttemptEnd::Unreachable,
            format!(
                "the name `{host}` could not be resolved: check the network, or the provider's `base_url`"
            ),
        ),
        Fault::Tls => (
            502,
            "upstream_tls",
            AttemptEnd::Unreachable,
            format!(
                "no secure connection to `{origin}`: its certificate is not trusted here (behind a company proxy, point SSL_CERT_FILE at its CA file)"
            ),
        ),
        Fault::Unreachable => (
            502,
            "upstream_unreachable",
            AttemptEnd::Unreachable,
            format!(
                "`{origin}` could not be reached: check that it runs and that no firewall or proxy setting (HTTPS_PROXY) stands between"
            ),
        ),
        Fault::SlowConnect => (
            504,
            "upstream_timeout",
            AttemptEnd::Unreachable,
            format!(
                "no connection to `{origin}` came about in time: check the network, or its status page"
            ),
        ),
        Fault::TimedOut => (
            504,
            "upstream_timeout",
            AttemptEnd::TimedOut,
            format!("`{origin}` did not answer in time: try again, or check its status page"),
        ),
        Fault::Invalid => (
            502,
            "upstream_invalid",
            AttemptEnd::Broken,
            format!("what `{origin}` answered is not HTTP: check the provider's `base_url`"),
        ),
        Fault::Broken | Fault::Client(_) | Fault::PassCut => (
            502,
            "upstream_broken",
            AttemptEnd::Broken,
            format!("`{origin}` closed the connection before it answered: try again"),
        ),
    };
    let status = StatusCode::from_u16(status).expect("a status we wrote");
    (Refusal::new(status, code, sentence), how)
}
