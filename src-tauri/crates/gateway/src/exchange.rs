//! One request from its head to its answer: admit, look ahead, register, send, hand the answer on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use meter::receipt::AttemptEnd;

use crate::admission::{self, Admitted, DEMO, Denied};
use crate::body::Body;
use crate::clock::Began;
use crate::refusal::{Dialect, Refusal, stamp};
use crate::request_body::{RequestBody, Upload, UploadFailed};
use crate::response_body::{Metered, Source};
use crate::tally::{self, Call, Tally};
use crate::upstream::{Fault, Place, Target};
use crate::{Shared, credential, demo, guard, headers};

/// How much of a refused request to read on for, and how long, so that its client hears the "no".
const LINGER_BYTES: u64 = 8 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Answers one request.
pub(crate) async fn run(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let began = Began::now();
    let snapshot = Arc::clone(&shared.snapshot.borrow());
    let (parts, incoming) = request.into_parts();
    let draft = admission::draft((shared.mint)(began.wall()), &began, &parts);
    let admitted = match admission::admit(&snapshot, &parts, draft) {
        Ok(admitted) => admitted,
        Err(denied) => {
            let answer = deny(shared, &began, *denied);
            let silence = snapshot.timeouts.client_silence;
            let upload = Upload::new(incoming, &<_>::default(), &parts.headers, silence);
            linger(&upload, parts.headers.contains_key(header::EXPECT)).await;
            return answer;
        }
    };
    let Admitted { receipt, dialect, provider, route, target, key, secrets } = admitted;
    let upload = Upload::new(incoming, &route, &parts.headers, snapshot.timeouts.client_silence);
    let waited = Instant::now();
    let looked = upload.look_ahead().await;
    let waited = waited.elapsed();
    let call = Call {
        began,
        snapshot: Arc::clone(&snapshot),
        upload: Arc::clone(&upload),
        host: target.host().into(),
        secrets,
        cut: shared.lifetime.cut.clone(),
    };
    let mut tally = Tally::open(call, receipt, &shared.open);
    if let Err(failed) = looked {
        return client_failed(tally, dialect, failed);
    }
    if &*provider.id == DEMO {
        return demo::answer(shared, tally, &route, upload).await;
    }
    let auth = provider.auth;
    let Parts { method, headers, extensions, .. } = parts;
    let has_pass = tally.has_pass();
    let mut headers = headers::for_upstream(headers, target.host_header(), |name, value| {
        !has_pass || !credential::is_pass(name, value)
    });
    if let Some(key) = key {
        credential::put_in(&mut headers, auth, &key.secret);
    }
    let body = if upload.is_empty() {
        RequestBody::Whole(Bytes::new())
    } else {
        RequestBody::Streamed(Arc::clone(&upload))
    };
    let mut sent = Request::new(body);
    *sent.method_mut() = method;
    *sent.uri_mut() = target.uri.clone();
    *sent.headers_mut() = headers;
    // Holds the case of the header names as they were written.
    *sent.extensions_mut() = extensions;
    tally.left_after(began.elapsed().saturating_sub(waited));
    match send(shared, sent, &upload, snapshot.timeouts.upstream_silence).await {
        Ok((response, place)) => hand_on(shared, response, place, tally),
        Err(Fault::Client(failed)) => client_failed(tally, dialect, failed),
        Err(fault) => upstream_failed(tally, dialect, fault, &target).await,
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
    let draft = admission::draft((shared.mint)(began.wall()), &began, &parts);
    deny(shared, &began, admission::foreign(draft, &parts, why))
}

fn deny(shared: &Shared, began: &Began, denied: Denied) -> Response<Body> {
    let Denied { receipt, dialect, refusal } = denied;
    let answer = refusal.answer(dialect, receipt.id);
    tally::deny(receipt, began, &shared.open, &refusal);
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
async fn send(
    shared: &Shared,
    request: Request<RequestBody>,
    upload: &Upload,
    silence: Duration,
) -> Result<(Response<Incoming>, Place), Fault> {
    let left = Instant::now();
    let mut sending = std::pin::pin!(shared.upstream.send(request));
    loop {
        let since = upload.last_activity().max(left);
        match tokio::time::timeout_at((since + silence).into(), &mut sending).await {
            Ok(result) => return result,
            Err(_) if upload.last_activity() > since => {}
            Err(_) => return Err(Fault::TimedOut),
        }
    }
}

/// Hands the answer on, its bytes untouched.
fn hand_on(
    shared: &Shared,
    response: Response<Incoming>,
    place: Place,
    mut tally: Tally,
) -> Response<Body> {
    let (mut parts, incoming) = response.into_parts();
    tally.answered(parts.status, &parts.headers);
    parts.headers = headers::for_client(parts.headers);
    stamp(&mut parts.headers, tally.id());
    parts.version = http::Version::HTTP_11;
    let source = Source::Upstream(incoming, place);
    Response::from_parts(parts, Metered::new(source, tally, shared.lifetime.tasks.clone()).into())
}

fn client_failed(tally: Tally, dialect: Dialect, failed: UploadFailed) -> Response<Body> {
    let (status, code) = match failed {
        UploadFailed::Broken => (StatusCode::BAD_REQUEST, "broken_request"),
        UploadFailed::Stalled => (StatusCode::REQUEST_TIMEOUT, "stalled_request"),
    };
    let refusal = Refusal::new(status, code, failed.to_string());
    let answer = refusal.answer(dialect, tally.id());
    tally.abandon(&refusal.message);
    answer
}

async fn upstream_failed(
    tally: Tally,
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
fn explain(fault: Fault, target: &Target) -> (Refusal, AttemptEnd) {
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
        Fault::Broken | Fault::Client(_) => (
            502,
            "upstream_broken",
            AttemptEnd::Broken,
            format!("`{origin}` closed the connection before it answered: try again"),
        ),
    };
    let status = StatusCode::from_u16(status).expect("a status we wrote");
    (Refusal::new(status, code, sentence), how)
}
