//! One call on a route, from target to target until one answers. Nothing has gone to the client
//! as long as another target may be tried; from its first byte on an answer is like any other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Method, Response, StatusCode};
use meter::provider::{Provider, Route};
use meter::receipt::AttemptEnd;
use meter::route::{Family, NamedRoute, Target};
use meter::{Receipt, Timestamp};
use tokio_util::sync::CancellationToken;

use super::Prices;
use super::failure::{Begun, Eyes, asked_to_wait};
use super::look::Sent;
use super::payload::{self, NoPayload, Payload, bad};
use super::plan::{Step, plan};
use crate::address::{self, Address};
use crate::admission::{self, Admitted, Denied};
use crate::assist::{self, Asking};
use crate::body::Body;
use crate::caller::Caller;
use crate::clock::Began;
use crate::exchange::{self, LINGER_BYTES, LINGER_TIME, Trip};
use crate::refusal::{Dialect, Refusal};
use crate::request_body::{Upload, UploadFailed};
use crate::snapshot::{PassInfo, Snapshot};
use crate::tally::{Call, Came, Failed, Tally};
use crate::upstream::Fault;
use crate::{Shared, allowance, credential, headers, meta};

/// The wait before a target is tried again that asked for none.
const PAUSE: Duration = Duration::from_millis(250);

/// A call that asks for a route.
pub(crate) struct Routed<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) began: Began,
    pub(crate) name: Box<str>,
    pub(crate) draft: Receipt,
    pub(crate) parts: Parts,
    pub(crate) sent: Sent,
    /// Since when the body is waited for.
    pub(crate) arrives_since: Instant,
}

/// Answers a call that asks for a route.
pub(crate) async fn run(routed: Routed<'_>) -> Response<Body> {
    let Routed { shared, snapshot, began, name, mut draft, mut parts, sent, arrives_since } =
        routed;
    payload::join_route_in_path(&mut parts);
    draft.route = Some(name.chars().take(meter::route::NAME_LIMIT).collect());
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let address = address::read(&path, &parts.headers, snapshot);
    let asked = address.as_ref().and_then(|address| snapshot.providers.get(address.provider));
    let meaning = match (&address, asked) {
        (Some(address), Some(asked)) => {
            asked.route(parts.method.as_str(), address.rest.split('?').next().unwrap_or_default())
        }
        _ => Route::default(),
    };
    let (upload, came) = sent.upload(&meaning, &parts, snapshot.timeouts.client_silence);
    let dialect = Dialect::of(meaning.format, parts.uri.path(), &parts.headers);
    (draft.format, draft.kind) = (meaning.format, meaning.kind);
    let stage = Stage { shared, snapshot, began, parts: &parts, upload: &upload, dialect };
    let (Some(address), Some(asked)) = (address, asked) else {
        // It says what addresses look like.
        let denied = admission::admit(snapshot, &parts, draft.clone()).err();
        let refusal = denied.map_or_else(|| bad("this address names no provider"), |no| no.refusal);
        return stage.deny(draft, refusal).await;
    };
    if let Some(workspace) = &address.workspace {
        draft.workspace.clone_from(workspace);
    }
    draft.provider.clone_from(&asked.id);
    let Some(route) = snapshot.routes.find(&name) else {
        return stage.deny(draft, unknown(snapshot, &name)).await;
    };
    if !route.is_enabled {
        let sentence =
            format!("the route `{}` is off: `tollgate routes edit {0} --enabled`", route.name);
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "unknown_route", sentence);
        return stage.deny(draft, refusal).await;
    }
    draft.profile = route.profile;
    let family = Family::of(&meaning, parts.uri.path()).filter(|_| parts.method == Method::POST);
    let Some(family) = family else {
        let sentence = "a route carries calls to models (chat, completions, responses, messages, embeddings, images, speech); this path is none of them";
        return stage.deny(draft, bad(sentence)).await;
    };
    let payload = match came {
        Ok(()) => Payload::read(&upload, family, &parts).await,
        Err(failed) => Err(NoPayload::Client(failed)),
    };
    let payload = match payload {
        Ok(payload) => payload,
        Err(NoPayload::Refused(refusal)) => return stage.deny(draft, refusal).await,
        Err(NoPayload::Client(failed)) => return stage.client_failed(draft, failed).await,
    };
    let query = path.split_once('?').map(|(_, query)| query);
    let own_credential = credential::shown(&parts.headers, query).own;
    let steps = steps(snapshot, draft.started_at, route, &upload, &payload);
    let waited = arrives_since.elapsed();
    let journey = Journey {
        stage,
        route,
        address,
        asked,
        family,
        payload,
        own_credential,
        draft,
        steps,
        waited,
        tally: None,
        refusal: None,
        tried: 0,
        asks: Vec::new(),
    };
    journey.make().await
}

/// Whom to try, in which order. What cannot be sent twice gets one try, and so does what continues
/// something that one provider keeps: at the target that the user put first.
fn steps(
    snapshot: &Snapshot,
    at: Timestamp,
    route: &NamedRoute,
    upload: &Upload,
    payload: &Payload,
) -> VecDeque<Step> {
    let (streams, is_kept_there) =
        upload.asked(|asked| (asked.stream, asked.has_remote_history || asked.is_background));
    if is_kept_there {
        let chosen = "first of the route: the call is about what its provider keeps".into();
        return [Step { at: 0, chosen }].into();
    }
    let prices = Prices { book: &snapshot.book, providers: &snapshot.providers };
    let steps = plan(route, &snapshot.routes.experience, &prices, streams, at);
    let most = if payload.is_for_one_try() { 1 } else { route.tries() };
    steps.iter().cycle().take(most).cloned().collect()
}

fn unknown(snapshot: &Snapshot, name: &str) -> Refusal {
    let name: String = name.chars().take(80).collect();
    let known: Vec<&str> = snapshot.routes.named.iter().map(|route| &*route.name).take(8).collect();
    let hint = match known.is_empty() {
        true => "`tollgate routes add` makes one".to_owned(),
        false => format!("there is {}", known.join(", ")),
    };
    Refusal::new(
        StatusCode::NOT_FOUND,
        "unknown_route",
        format!("there is no route `{name}`: {hint}"),
    )
}

/// What every part of a journey needs.
#[derive(Clone, Copy)]
struct Stage<'a> {
    shared: &'a Arc<Shared>,
    snapshot: &'a Arc<Snapshot>,
    began: Began,
    parts: &'a Parts,
    upload: &'a Arc<Upload>,
    dialect: Dialect,
}

impl Stage<'_> {
    async fn deny(self, mut receipt: Receipt, refusal: Refusal) -> Response<Body> {
        self.upload.asked(|asked| crate::tally::note_asked(&mut receipt, asked, self.snapshot));
        receipt.request_bytes = self.upload.bytes();
        let parent = headers::trace_parent(&self.parts.headers);
        let denied = Denied { receipt, dialect: self.dialect, refusal, parent };
        let answer = exchange::deny(self.shared, &self.began, denied);
        self.upload.linger(LINGER_BYTES, LINGER_TIME).await;
        answer
    }

    async fn client_failed(self, draft: Receipt, failed: UploadFailed) -> Response<Body> {
        let tally = self.tally(draft, "", Vec::new(), None);
        exchange::client_failed(tally, self.dialect, failed).await
    }

    fn tally(
        self,
        receipt: Receipt,
        host: &str,
        secrets: Vec<Box<str>>,
        pass: Option<&PassInfo>,
    ) -> Box<Tally> {
        let known = || self.snapshot.keys.secrets_and(&secrets);
        let watch = self.snapshot.inspector.watch(&receipt, self.parts, known);
        if let Some(watch) = watch.clone() {
            self.upload.show_to(watch, &self.parts.headers);
        }
        let call = Call {
            began: self.began,
            snapshot: Arc::clone(self.snapshot),
            upload: Arc::clone(self.upload),
            host: host.into(),
            secrets,
            cut: self.shared.lifetime.cut.clone(),
            pass_cut: pass.map(|pass| pass.cut.clone()),
            parent: headers::trace_parent(&self.parts.headers),
            caller: self.parts.extensions.get::<Caller>().cloned(),
            watch,
            wish: self.snapshot.response_meta.then(|| meta::wish(&self.parts.headers)).flatten(),
        };
        Tally::new(call, receipt, Arc::clone(&self.shared.open))
    }
}

/// A target that may be called.
struct Leg<'a> {
    step: Step,
    target: &'a Target,
    trip: Trip<'a>,
    parts: Parts,
    meaning: Route,
    receipt: Receipt,
    wait: Duration,
}

/// A call on its way along its route.
struct Journey<'a> {
    stage: Stage<'a>,
    route: &'a NamedRoute,
    address: Address<'a, 'a>,
    /// The provider that the client's path names.
    asked: &'a Provider,
    family: Family,
    payload: Payload,
    own_credential: bool,
    draft: Receipt,
    steps: VecDeque<Step>,
    /// How long the body was waited for.
    waited: Duration,
    tally: Option<Box<Tally>>,
    /// Why the first target that could not be tried could not.
    refusal: Option<Refusal>,
    tried: usize,
    /// Which targets failed, and how long they ask to be left alone.
    asks: Vec<(usize, Option<Duration>)>,
}

/// What a try led to.
enum Outcome {
    /// An answer for the client.
    Answer(Begun),
    /// A failure, after which another target may be tried.
    Failed(AttemptEnd, Gone),
    /// The end of the call.
    Over(Fault),
}

/// What the client gets of a failure if no other target can be tried.
#[expect(clippy::large_enum_variant, reason = "made once a try and taken apart at once")]
enum Gone {
    Answer(Begun),
    Fault(Fault),
}

/// Does this until the pass is revoked and what runs under it cut.
async fn unless_cut<T>(
    cut: Option<&CancellationToken>,
    work: impl Future<Output = T>,
) -> Result<T, Fault> {
    match cut {
        Some(cut) => cut.run_until_cancelled(work).await.ok_or(Fault::PassCut),
        None => Ok(work.await),
    }
}

impl<'a> Journey<'a> {
    async fn make(mut self) -> Response<Body> {
        let Some(mut leg) = self.next() else { return self.nobody().await };
        loop {
            match self.attempt(&leg).await {
                Outcome::Answer(begun) => return self.hand_on(begun),
                Outcome::Over(fault) => return self.over(&leg, fault).await,
                Outcome::Failed(ended, gone) => {
                    let failed = self.weigh(ended, &gone);
                    let Some(next) = self.next() else { return self.give_up(leg, gone).await };
                    self.tally().note_failed(failed);
                    leg = next;
                    let cut = self.tally().pass_cut();
                    let waiting = tokio::time::sleep(leg.wait);
                    if let Err(fault) = unless_cut(cut.as_ref(), waiting).await {
                        return self.over(&leg, fault).await;
                    }
                }
            }
        }
    }

    fn tally(&mut self) -> &mut Tally {
        self.tally.as_mut().expect("made with the first leg")
    }

    fn take_tally(&mut self) -> Box<Tally> {
        self.tally.take().expect("made with the first leg, and taken once at the end")
    }

    /// The next target that may be called, by pass, key and budgets.
    fn next(&mut self) -> Option<Leg<'a>> {
        while let Some(step) = self.steps.pop_front() {
            let Some(wait) = self.wait_before(step.at) else { continue };
            let admitted = self.admit(&step);
            let (leg, secrets, pass) = match admitted {
                Ok(admitted) => admitted,
                Err(refusal) => {
                    self.refusal.get_or_insert(refusal);
                    continue;
                }
            };
            let leg = Leg { wait, ..leg };
            self.stage.upload.is_for(&leg.target.model);
            if self.tally.is_none() {
                let host = leg.trip.target.host();
                self.tally = Some(self.stage.tally(leg.receipt.clone(), host, secrets, pass));
            }
            self.aim(&leg);
            match self.reserve(&leg) {
                Ok(()) => return Some(leg),
                // Of all that stand against it, this changes by itself.
                Err(refusal) => self.refusal = Some(refusal),
            }
        }
        None
    }

    /// How long to wait before this target; `None`: longer than anybody should.
    fn wait_before(&self, at: usize) -> Option<Duration> {
        match self.asks.iter().rev().find(|(failed, _)| *failed == at) {
            None => Some(Duration::ZERO),
            Some((_, asked)) => Some(asked.unwrap_or(PAUSE))
                .filter(|wait| *wait <= self.route.failover.longest_wait),
        }
    }

    /// Admits a call to a target as if the client had called it itself.
    #[expect(clippy::type_complexity, reason = "what a leg and the first tally need, once")]
    fn admit(
        &self,
        step: &Step,
    ) -> Result<(Leg<'a>, Vec<Box<str>>, Option<&'a PassInfo>), Refusal> {
        let (snapshot, target) = (self.stage.snapshot, &self.route.targets[step.at]);
        let no = |refusal: Refusal| Refusal {
            message: format!("route `{}`, target `{target}`: {}", self.route.name, refusal.message),
            ..refusal
        };
        let provider = snapshot.providers.get(&target.provider).ok_or_else(|| {
            no(Refusal::new(StatusCode::NOT_FOUND, "unknown_address", "there is no such provider"))
        })?;
        if !provider.speaks.contains(&self.family) {
            return Err(no(bad(format!(
                "it is not called in the wire format of this request (`{}`)",
                self.family
            ))));
        }
        if self.own_credential && provider.id != self.asked.id {
            let sentence = format!(
                "the call brings a credential of its own, which belongs to `{}` and is shown to nobody else: call with a pass (`tollgate passes add`), or `{}` directly",
                self.asked.id, provider.id
            );
            return Err(no(Refusal::new(StatusCode::FORBIDDEN, "own_credential", sentence)));
        }
        let to = (provider, target);
        let parts = payload::head_for(self.stage.parts, &self.address, self.asked, to, self.family);
        let parts = parts.ok_or_else(|| no(bad("its model cannot be put into this path")))?;
        let admitted = admission::admit(snapshot, &parts, self.draft.clone())
            .map_err(|denied| no(denied.refusal))?;
        let Admitted {
            receipt, provider, route: meaning, target: place, key, pass, secrets, ..
        } = admitted;
        if let Some(pass) = pass {
            allowance::of_target(pass, &target.model, parts.uri.path()).map_err(no)?;
            if !pass.allowance.models.is_empty() && self.payload.is_for_one_try() {
                self.stage.upload.hold_to(pass.allowance.clone());
            }
        }
        let trip = Trip {
            shared: self.stage.shared,
            provider,
            announced: headers::content_length(&parts.headers),
            upload: Arc::clone(self.stage.upload),
            dialect: self.stage.dialect,
            target: place,
            key: key.map(|key| (provider.auth, key)),
            arrives_since: Instant::now(),
        };
        let (step, wait) = (step.clone(), Duration::ZERO);
        Ok((Leg { step, target, trip, parts, meaning, receipt, wait }, secrets, pass))
    }

    fn aim(&mut self, leg: &Leg<'a>) {
        self.stage.upload.is_for(&leg.target.model);
        let (host, chosen) = (leg.trip.target.host(), leg.step.chosen.clone());
        self.tally().aim(&leg.receipt, host, chosen);
    }

    /// Sets aside what a try may come to.
    fn reserve(&mut self, leg: &Leg<'a>) -> Result<(), Refusal> {
        let tally = self.tally();
        let Some(assumed) = tally.snapshot().budgets.concern(&tally.facets()) else {
            return Ok(());
        };
        let outlook = leg.trip.outlook(tally, &leg.parts.method, assumed);
        tally.reserve(outlook).map_err(|stop| Refusal::over_budget(&stop))
    }

    /// One try.
    async fn attempt(&mut self, leg: &Leg<'a>) -> Outcome {
        let shared = Arc::clone(self.stage.shared);
        let (asking, parts) = self.asking(leg);
        let waited = self.waited;
        let is_first = self.tried == 0;
        self.tried += 1;
        let tally = self.tally();
        tally.open();
        tally.trying();
        let request = leg.trip.request(parts, asking, tally);
        if is_first {
            tally.left_after(waited);
        }
        let (cut, silence) = (tally.pass_cut(), tally.snapshot().timeouts.upstream_silence);
        let patience = self.route.failover.first_byte.map_or(silence, |most| most.min(silence));
        let left = Instant::now();
        let upload = self.stage.upload;
        let sent = exchange::send(&shared, request, upload, patience, cut.as_ref()).await;
        let answer = match sent {
            Ok(answered) => answered,
            Err(fault @ (Fault::Client(_) | Fault::PassCut)) => return Outcome::Over(fault),
            Err(fault) => return self.failed(leg, fault),
        };
        if self.route.failover.statuses.contains(&answer.status().as_u16()) {
            let asks = asked_to_wait(answer.headers());
            self.mark_failed(leg, asks);
            if self.steps.is_empty() {
                return Outcome::Answer(Begun::unread(answer));
            }
            let beginning = Begun::failed(answer, self.eyes(leg));
            return match unless_cut(cut.as_ref(), beginning).await {
                Ok(begun) => Outcome::Failed(AttemptEnd::Refused, Gone::Answer(begun)),
                Err(fault) => Outcome::Over(fault),
            };
        }
        if !answer.status().is_success() || self.steps.is_empty() {
            self.stage.snapshot.routes.experience.answered(leg.target);
            return Outcome::Answer(Begun::unread(answer));
        }
        let until = (left + patience).into();
        let beginning = Begun::promising(answer, self.eyes(leg), until);
        let begun = match unless_cut(cut.as_ref(), beginning).await {
            Ok(begun) => begun,
            Err(fault) => return Outcome::Over(fault),
        };
        match begun {
            Err(fault) => self.failed(leg, fault),
            Ok(begun) if begun.failure.is_some() => {
                self.mark_failed(leg, None);
                Outcome::Failed(AttemptEnd::Refused, Gone::Answer(begun))
            }
            Ok(begun) => {
                self.stage.snapshot.routes.experience.answered(leg.target);
                Outcome::Answer(begun)
            }
        }
    }

    /// The request's body and head for this target.
    fn asking(&self, leg: &Leg<'a>) -> (Asking, Parts) {
        let mut parts = leg.parts.clone();
        let (bytes, more) = self.payload.with(&leg.target.model);
        if self.payload.is_for_one_try() {
            payload::lengthen(&mut parts, more);
            self.stage.upload.begin_with(bytes);
            return (Asking::AsSent, parts);
        }
        let may_ask = assist::applies(self.stage.snapshot, leg.trip.provider, &leg.meaning, &parts);
        let question = may_ask.then(|| assist::question(self.stage.upload, &bytes)).flatten();
        (question.unwrap_or(Asking::Renamed(bytes)), parts)
    }

    /// What looks at the beginning of an answer, apart from the receipt.
    fn eyes(&self, leg: &Leg<'a>) -> Eyes<'a> {
        Eyes {
            format: leg.meaning.format,
            provider: leg.trip.provider,
            asked: self.stage.upload.asked(Clone::clone),
        }
    }

    fn failed(&mut self, leg: &Leg<'a>, fault: Fault) -> Outcome {
        self.mark_failed(leg, None);
        let ended = exchange::explain(fault, &leg.trip.target).1;
        Outcome::Failed(ended, Gone::Fault(fault))
    }

    fn mark_failed(&mut self, leg: &Leg<'a>, asks: Option<Duration>) {
        let failover = &self.route.failover;
        self.stage.snapshot.routes.experience.failed(leg.target, failover, asks, Instant::now());
        self.asks.push((leg.step.at, asks));
    }

    /// What a failed try came to, and what was set aside for it given back.
    fn weigh(&mut self, ended: AttemptEnd, gone: &Gone) -> Failed {
        let (status, came) = match gone {
            Gone::Answer(begun) => {
                let came = begun.failure.clone().unwrap_or(Came::Unknown);
                (Some(begun.parts.status.as_u16()), came)
            }
            // Without a connection nothing can have been used.
            Gone::Fault(_) if ended == AttemptEnd::Unreachable => (None, Came::ToNothing),
            Gone::Fault(_) => (None, Came::Unknown),
        };
        self.tally().weigh(ended, status, came)
    }

    fn hand_on(mut self, begun: Begun) -> Response<Body> {
        let tally = self.take_tally();
        exchange::hand_on(self.stage.shared, begun.parts, begun.source, tally)
    }

    /// The last try failed, and nobody is left to be tried.
    async fn give_up(mut self, leg: Leg<'a>, gone: Gone) -> Response<Body> {
        // Others were looked at meanwhile.
        self.aim(&leg);
        match gone {
            Gone::Answer(begun) => self.hand_on(begun),
            Gone::Fault(fault) => self.over(&leg, fault).await,
        }
    }

    /// There is no answer to hand on.
    async fn over(mut self, leg: &Leg<'a>, fault: Fault) -> Response<Body> {
        let (tally, dialect) = (self.take_tally(), self.stage.dialect);
        match fault {
            Fault::Client(failed) => return exchange::client_failed(tally, dialect, failed).await,
            Fault::PassCut => return exchange::pass_cut(tally, dialect),
            Fault::Dns
            | Fault::Tls
            | Fault::Unreachable
            | Fault::SlowConnect
            | Fault::TimedOut
            | Fault::Broken
            | Fault::Invalid => {}
        }
        let (refusal, how) = exchange::explain(fault, &leg.trip.target);
        let tries = match self.tried {
            1 => "its only try".to_owned(),
            tries => format!("all {tries} tries"),
        };
        let message =
            format!("route `{}`: {tries} failed, the last at {}", self.route.name, refusal.message);
        let refusal = Refusal { message, ..refusal };
        let answer = refusal.answer(dialect, tally.id());
        tally.upload().linger(LINGER_BYTES, LINGER_TIME).await;
        tally.fail(&refusal, how);
        answer
    }

    /// No target can be tried at all.
    async fn nobody(mut self) -> Response<Body> {
        let fallback = || bad("none of the route's targets can be called");
        let refusal = self.refusal.take().unwrap_or_else(fallback);
        match self.tally.take() {
            None => self.stage.deny(self.draft, refusal).await,
            Some(tally) => {
                let answer = refusal.answer(self.stage.dialect, tally.id());
                tally.deny(self.stage.dialect, &refusal);
                self.stage.upload.linger(LINGER_BYTES, LINGER_TIME).await;
                answer
            }
        }
    }
}
