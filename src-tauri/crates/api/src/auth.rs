//! Who may ask and who may change: bearers by their scopes, our own process by itself.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::Response;
use store::Scope;

use crate::problem::{Code, Problem};

/// Put into a request's extensions by whoever calls the router from inside the process:
/// the window, the control socket. Nothing that comes over the network can carry it.
#[derive(Clone, Copy, Debug)]
pub struct Local;

/// The scopes of the pass with this secret; nothing if there is no such pass.
pub type Scopes = Arc<dyn Fn(&str) -> Option<Vec<Scope>> + Send + Sync>;

/// What a part of the contract asks of its callers.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) scopes: Scopes,
    pub(crate) needed: Scope,
    pub(crate) pace: Arc<Pace>,
}

/// Questions of one pass that are answered within a second. A page that asks too much asks a
/// few dozen; a script that runs away must not keep everybody else from the ledger.
const MOST_A_SECOND: u32 = 200;

/// How much is being asked at the moment, by each that shows a pass.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Since when it is counted, and how many there were, by a hash of the pass that nobody
    /// outside can foresee. Only passes that exist are counted, so there are few.
    counted: Mutex<HashMap<u64, (Instant, u32)>>,
    hash: RandomState,
}

impl Pace {
    fn admit(&self, secret: &str, now: Instant) -> Result<(), Problem> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |since: Instant| now.duration_since(since) >= Duration::from_secs(1);
        let (since, asked) = counted.entry(self.hash.hash_one(secret)).or_insert((now, 0));
        if is_over(*since) {
            (*since, *asked) = (now, 0);
        }
        *asked += 1;
        if *asked > MOST_A_SECOND {
            let sentence = format!("more than {MOST_A_SECOND} questions in a second");
            return Err(Problem::new(Code::TooManyRequests, sentence)
                .hint("Wait a second; `events` says when asking again is of use."));
        }
        if *asked == 1 {
            // Passes that were revoked since are not kept for ever.
            counted.retain(|_, (since, _)| !is_over(*since));
        }
        Ok(())
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("needed", &self.needed).finish_non_exhaustive()
    }
}

/// Lets the request through if its caller may.
pub(crate) async fn check(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if request.extensions().get::<Local>().is_none() {
        let secret = guard.admit(&request)?;
        guard.pace.admit(secret, Instant::now())?;
    }
    Ok(next.run(request).await)
}

/// Lets a change through that brings JSON, or nothing: a page of another site can make a browser
/// send forms and plain text without asking us first, and neither is JSON.
pub(crate) async fn json_only(request: Request, next: Next) -> Result<Response, Problem> {
    let is_json = match request.headers().get(CONTENT_TYPE) {
        Some(kind) => kind.to_str().is_ok_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("application/json")
        }),
        None => request.body().is_end_stream(),
    };
    if is_json || matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(next.run(request).await);
    }
    Err(Problem::new(Code::NotJson, "a change is told in JSON")
        .hint("Send it as `content-type: application/json`."))
}

impl Guard {
    /// The pass that lets the request in.
    fn admit<'r>(&self, request: &'r Request) -> Result<&'r str, Problem> {
        let needed = self.needed;
        let make_one = format!("Make a pass with `tollgate passes add NAME --scope {needed}`.");
        let Some(secret) = bearer(request) else {
            return Err(Problem::new(Code::Unauthenticated, "this needs a bearer token")
                .hint(format!("{make_one} Send it as `authorization: Bearer tg_…`.")));
        };
        let Some(scopes) = (self.scopes)(secret) else {
            return Err(Problem::new(Code::Unauthenticated, "this bearer token is not known")
                .hint(make_one));
        };
        if scopes.contains(&needed) {
            return Ok(secret);
        }
        Err(Problem::new(Code::Forbidden, format!("this pass lacks the scope `{needed}`"))
            .hint(make_one))
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim()).filter(|s| !s.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pass_has_so_much_room_in_a_second_and_as_much_in_the_next() {
        let (pace, now) = (Pace::default(), Instant::now());
        for _ in 0..MOST_A_SECOND {
            pace.admit("tg_a", now).unwrap();
        }
        let refused = pace.admit("tg_a", now).unwrap_err();
        assert_eq!(refused.code.http_status().as_u16(), 429);
        pace.admit("tg_b", now).unwrap();
        let later = now + Duration::from_secs(1);
        pace.admit("tg_a", later).unwrap();
        assert_eq!(pace.counted.lock().unwrap().len(), 1, "who asks no more is forgotten");
    }
}
