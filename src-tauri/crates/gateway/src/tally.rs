//! The receipt of a running call. It is opened before anything leaves for upstream and finished
//! exactly once: by the end of the answer, by an error, or by being dropped, which is how a
//! client that went away (or a Tollgate that is being stopped) looks from here.

mod attempts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use meter::budget::Facets;
use meter::format::{End, Reader, Reading, Seen};
use meter::price::Outlook;
use meter::provider::Hosting;
use meter::receipt::{
    Anomaly, Attempt, AttemptEnd, Billing, Capability, CostState, Kind, ReportedCost, Status,
    Technology, TraceParent, UsageState,
};
use meter::request::Asked;
use meter::usage::UsageLine;
use meter::{Currency, Money, Receipt, ReceiptId};
use tokio_util::sync::CancellationToken;

use crate::admission::Denied;
use crate::budget::{Candidate, Hold, Stop};
use crate::caller::Caller;
use crate::clock::{Began, millis, wall_now};
use crate::decode::Decoder;
use crate::inspect::Watch;
use crate::meta::Wish;
use crate::refusal::{Dialect, Refusal};
use crate::request_body::Upload;
use crate::scrub::scrub;
use crate::snapshot::Snapshot;
use attempts::Tries;
pub(crate) use attempts::{Came, Failed};

use crate::{Finish, Finished, Limits, Open, Outcome, poll, tags, valuation};

/// Response headers that may carry a request id, where the provider's file names none.
const REQUEST_ID_HEADERS: [&str; 6] = [
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-generation-id",
    "cf-ray",
];

/// How a call came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer is complete.
    Complete,
    /// Upstream broke off.
    Broken,
    /// Upstream fell silent.
    TimedOut,
    /// The client went away.
    ClientLeft,
    /// Tollgate is being stopped.
    Stopped,
    /// The pass it ran under was revoked, and what ran cut.
    PassCut,
}

/// The word for machines where a pass was revoked while a call ran under it.
pub(crate) const PASS_REVOKED: &str = "pass_revoked";
/// The same for people.
pub(crate) const PASS_CUT: &str = "the pass was revoked while this call ran, and the call was cut";

/// What a tally needs besides the receipt it begins with.
pub(crate) struct Call {
    pub(crate) began: Began,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) upload: Arc<Upload>,
    /// The host the call goes to, for regional rates.
    pub(crate) host: Box<str>,
    /// Credentials of this request, to be masked.
    pub(crate) secrets: Vec<Box<str>>,
    /// Tollgate is being stopped.
    pub(crate) cut: CancellationToken,
    /// The pass it runs under was revoked, and what runs is to be cut.
    pub(crate) pass_cut: Option<CancellationToken>,
    /// The span it was made from.
    pub(crate) parent: Option<TraceParent>,
    /// Who makes it, where somebody finds that out.
    pub(crate) caller: Option<Caller>,
    /// What its client wishes to be told behind the answer.
    pub(crate) wish: Option<Box<Wish>>,
    /// Who looks on.
    pub(crate) watch: Option<Watch>,
}

/// Where a receipt stands.
enum Stage {
    /// Nothing has left for upstream.
    Drafted(Open),
    /// Registered; a crash would leave it interrupted.
    Opened(Finish),
    /// Handed off.
    Over,
}

/// The receipt of a running call.
pub(crate) struct Tally {
    call: Call,
    receipt: Receipt,
    stage: Stage,
    /// Since the answer began; gone after a panic.
    reader: Option<Reader>,
    /// Gone once the answer's bytes cannot be understood.
    decoder: Option<Decoder>,
    seen: Seen,
    tried_ms: u64,
    limits: Option<Limits>,
    /// What a poll's answer told of the job it asks about.
    job: Option<Box<Receipt>>,
    /// What budgets have set aside for it.
    hold: Option<Hold>,
    /// Its tries, where a route makes several possible.
    tries: Option<Box<Tries>>,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tally({})", self.receipt.id)
    }
}

impl Tally {
    /// From here on the receipt will be finished, whatever happens.
    /// In a box, because it is handed on often and is large.
    pub(crate) fn new(call: Call, receipt: Receipt, open: Open) -> Box<Self> {
        Box::new(Self {
            call,
            receipt,
            stage: Stage::Drafted(open),
            reader: None,
            decoder: None,
            seen: Seen::default(),
            tried_ms: 0,
            limits: None,
            job: None,
            hold: None,
            tries: None,
        })
    }

    /// Asks the budgets whether the call may go on, by what is known of the request by now.
    ///
    /// # Errors
    /// The budget that stands against it.
    pub(crate) fn reserve(&mut self, outlook: Outlook) -> Result<(), Box<Stop>> {
        self.note_asked();
        let served = self.served();
        let facets = Facets { served: served.as_deref(), ..facets(&self.receipt) };
        let candidate = Candidate { id: self.receipt.id, facets };
        let hold = self.call.snapshot.budgets.admit(candidate, outlook)?;
        self.receipt.reserved = hold.money();
        self.hold = Some(hold);
        Ok(())
    }

    /// The model that served when this one was asked for before.
    pub(crate) fn served(&self) -> Option<Box<str>> {
        let asked = self.call.upload.asked(|asked| asked.model.clone())?;
        self.call.snapshot.budgets.served(&asked)
    }

    /// What scopes of budgets look at.
    pub(crate) fn facets(&self) -> Facets<'_> {
        facets(&self.receipt)
    }

    pub(crate) fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Finishes a call that Tollgate itself refuses after all; nothing has left for upstream.
    pub(crate) fn deny(mut self, dialect: Dialect, refusal: &Refusal) {
        let Stage::Drafted(open) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        self.note_asked();
        let mut receipt = self.blank_out();
        receipt.request_bytes = self.call.upload.bytes();
        let (parent, refusal) = (self.call.parent, refusal.clone());
        deny(Denied { receipt, dialect, refusal, parent }, &self.call.began, &open);
    }

    /// Takes the receipt away.
    fn blank_out(&mut self) -> Receipt {
        let blank = Receipt::begun(self.receipt.id, self.receipt.started_at, "", "");
        std::mem::replace(&mut self.receipt, blank)
    }

    fn note_asked(&mut self) {
        let Call { upload, snapshot, .. } = &self.call;
        upload.asked(|asked| note_asked(&mut self.receipt, asked, snapshot));
    }

    /// Registers the receipt with what is known of the request by now.
    pub(crate) fn open(&mut self) {
        self.note_asked();
        self.receipt.request_bytes = self.call.upload.bytes();
        self.tried_ms = millis(self.call.began.elapsed());
        if let Stage::Drafted(open) = &self.stage {
            self.stage = Stage::Opened(open(&self.receipt));
        }
    }

    /// Notes that Tollgate itself asks for the usage.
    pub(crate) fn assisted(&mut self) {
        self.receipt.assisted = true;
    }

    /// A trace for a call whose client knows none, as upstream is to hear of it.
    pub(crate) fn begin_trace(&mut self) -> HeaderValue {
        let id = self.receipt.id;
        let number = self.receipt.attempts.len() as u64;
        let (trace_id, span_id) = (id.as_u128(), id.attempt_span_id(number));
        let begun = TraceParent { trace_id, span_id, is_sampled: true };
        self.receipt.trace_id = Some(begun.trace_id_text().into());
        HeaderValue::from_str(&begun.to_string()).expect("hexadecimal digits and dashes")
    }

    pub(crate) fn is_assisted(&self) -> bool {
        self.receipt.assisted
    }

    /// Whether its client wishes to be told behind the answer.
    pub(crate) fn has_wish(&self) -> bool {
        self.call.wish.is_some()
    }

    /// Finishes a call whose answer is complete and has a place for what its client wishes to be
    /// told, and returns that.
    pub(crate) fn end_telling(mut self) -> Option<String> {
        if let Some(wish) = &mut self.call.wish {
            wish.grant();
        }
        self.end(Ending::Complete);
        self.call.wish.take()?.into_told()
    }

    pub(crate) fn id(&self) -> ReceiptId {
        self.receipt.id
    }

    pub(crate) fn has_pass(&self) -> bool {
        self.receipt.pass.is_some()
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.call.snapshot
    }

    pub(crate) fn upload(&self) -> &Upload {
        &self.call.upload
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.call.cut.is_cancelled()
    }

    pub(crate) fn cut(&self) -> CancellationToken {
        self.call.cut.clone()
    }

    pub(crate) fn pass_cut(&self) -> Option<CancellationToken> {
        self.call.pass_cut.clone()
    }

    /// Notes what Tollgate itself took until the request left: all but the wait for its body.
    pub(crate) fn left_after(&mut self, waited: Duration) {
        let overhead = self.call.began.elapsed().saturating_sub(waited);
        self.receipt.overhead_us = u64::try_from(overhead.as_micros()).ok();
    }

    /// Notes that the answer has begun.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.receipt.http_status = Some(status.as_u16());
        self.limits = limits_told(headers);
        if let Some(watch) = &self.call.watch {
            watch.answered(status, headers);
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(provider) = self.call.snapshot.providers.get(&self.receipt.provider) else {
            return;
        };
        let named = provider.request_id_headers.iter().map(|name| &**name);
        let id = named.chain(REQUEST_ID_HEADERS).find_map(text);
        self.receipt.upstream_request_id = id.map(|id| crate::headers::cut(id, 128).into());
        let codings = headers.get_all(header::CONTENT_ENCODING).iter();
        self.decoder = Decoder::new(codings.map(|v| v.to_str().unwrap_or("?")), u64::MAX);
        let format = self.receipt.format;
        let read = AssertUnwindSafe(|| {
            let mut reader = Reader::new(format, provider);
            reader.head(status.as_u16(), &text);
            reader
        });
        self.reader = catch_unwind(read).ok();
    }

    /// Shows the next bytes of the answer.
    pub(crate) fn show(&mut self, bytes: &[u8]) {
        let (Some(decoder), Some(reader)) = (&mut self.decoder, &mut self.reader) else { return };
        let mut seen = self.seen;
        let watch = &self.call.watch;
        let shown = AssertUnwindSafe(|| {
            decoder.push(bytes, &mut |out| {
                seen = reader.push(out);
                if let Some(watch) = watch {
                    watch.answer(out);
                }
            })
        });
        match catch_unwind(shown) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.decoder = None,
            // A mistake of ours in reading costs the reading, never the answer.
            Err(_) => self.reader = None,
        }
        if seen.content && !self.seen.content {
            self.receipt.ttft_ms = Some(millis(self.call.began.elapsed()));
        }
        self.seen = seen;
    }

    /// Counts bytes that went to the client.
    pub(crate) fn passed(&mut self, bytes: usize) {
        self.receipt.response_bytes += bytes as u64;
    }

    /// Finishes a call that got no answer; `told` is what the client hears instead.
    pub(crate) fn fail(mut self, told: &Refusal, how: AttemptEnd) {
        self.receipt.status = Status::Error;
        self.receipt.http_status = Some(told.status.as_u16());
        self.receipt.error_type = Some(told.code.into());
        self.receipt.error_message = Some(scrub(&told.message, &self.call.secrets));
        // Without a connection nothing can have been used; after that nobody knows.
        let nothing_sent = how == AttemptEnd::Unreachable;
        self.receipt.usage_state =
            if nothing_sent { UsageState::None } else { UsageState::Missing };
        self.settle(how, None, &[], None);
    }

    /// Finishes a call that Tollgate itself ends before there is an answer: one that was cut may
    /// have used something, one that is denied was never sent whole.
    pub(crate) fn refuse(mut self, told: &Refusal, status: Status) {
        self.receipt.status = status;
        self.receipt.http_status = Some(told.status.as_u16());
        self.receipt.error_type = Some(told.code.into());
        self.receipt.error_message = Some(scrub(&told.message, &self.call.secrets));
        let is_denied = status == Status::Denied;
        self.receipt.usage_state = if is_denied { UsageState::None } else { UsageState::Missing };
        self.settle(AttemptEnd::Abandoned, None, &[], None);
    }

    /// Finishes a call whose client did not send all of its request.
    pub(crate) fn abandon(mut self, note: &str) {
        self.receipt.status = Status::Cancelled;
        self.receipt.note = Some(note.into());
        self.settle(AttemptEnd::Abandoned, None, &[], None);
    }

    /// Finishes a call. Only the first ending counts.
    pub(crate) fn end(&mut self, how: Ending) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        let end = match how {
            Ending::Complete => End::Complete,
            Ending::Broken | Ending::TimedOut => End::Broken,
            Ending::ClientLeft | Ending::Stopped | Ending::PassCut => End::ClientLeft,
        };
        let reading = self.reader.take().and_then(|reader| {
            let finished =
                AssertUnwindSafe(|| self.call.upload.asked(|asked| reader.finish(end, asked)));
            catch_unwind(finished).ok()
        });
        if self.decoder.is_none() && self.receipt.http_status.is_some() {
            self.receipt.anomalies.push(Anomaly::Unreadable);
        }
        match reading {
            Some(reading) => self.write_down(reading, how),
            None => self.write_unread(how),
        }
    }

    fn write_down(&mut self, reading: Reading, how: Ending) {
        let Reading { lines, reported_cost, anomalies, error_message, .. } = reading;
        let receipt = &mut self.receipt;
        receipt.status = reading.status;
        receipt.stream = reading.stream;
        // The first bytes of a whole answer say nothing about its first token.
        receipt.ttft_ms = receipt.ttft_ms.filter(|_| reading.stream);
        receipt.model = reading.model;
        receipt.response_id = reading.response_id;
        receipt.finish_reason = reading.finish_reason;
        receipt.service_tier = reading.service_tier;
        let provider = self.call.snapshot.providers.get(&receipt.provider);
        let by_host = || provider?.region_of(&self.call.host);
        receipt.region = reading.region.or_else(by_host);
        receipt.error_type = reading.error_type;
        receipt.error_message = error_message.map(|said| scrub(&said, &self.call.secrets));
        receipt.usage_raw = reading.usage_raw;
        receipt.usage_state = reading.usage_state;
        receipt.anomalies.extend(anomalies);
        if let Some(id) = reading.upstream_request_id {
            receipt.upstream_request_id.get_or_insert(id);
        }
        if receipt.kind == Kind::Poll {
            self.job = poll::part(receipt, how);
        }
        let attempt_end = self.note_ending(how);
        self.settle(attempt_end, Some(how), &lines, reported_cost);
    }

    /// The same for an answer that never began, or that our own reader broke on.
    fn write_unread(&mut self, how: Ending) {
        let ok = self.receipt.http_status.is_some_and(|status| status < 400);
        self.receipt.status = match how {
            Ending::Complete if ok => Status::Succeeded,
            Ending::Complete | Ending::Broken | Ending::TimedOut => Status::Error,
            Ending::ClientLeft | Ending::Stopped | Ending::PassCut => Status::Cancelled,
        };
        let has_left = !self.is_between_tries();
        if has_left && self.receipt.http_status.is_none() && how == Ending::ClientLeft {
            self.receipt.note = Some(
                "the client left before the answer began; the provider may still bill the input"
                    .into(),
            );
        }
        self.receipt.usage_state = UsageState::Missing;
        let attempt_end = self.note_ending(how);
        self.settle(attempt_end, Some(how), &[], None);
    }

    /// What an ending means beyond what the reader made of it.
    fn note_ending(&mut self, how: Ending) -> AttemptEnd {
        let seen = self.seen;
        let receipt = &mut self.receipt;
        let succeeded = receipt.status == Status::Succeeded;
        let mut explain = |code: &str, message: &str| {
            if receipt.error_type.is_none() && receipt.status == Status::Error {
                receipt.error_type = Some(code.into());
                receipt.error_message = Some(message.into());
            }
        };
        match how {
            Ending::Complete => match receipt.status {
                Status::Error | Status::Denied => AttemptEnd::Refused,
                Status::Succeeded | Status::Cancelled | Status::Interrupted | Status::Pending => {
                    AttemptEnd::Completed
                }
            },
            Ending::Broken => {
                explain(
                    "upstream_broken",
                    "upstream closed the connection before its answer was complete",
                );
                AttemptEnd::Broken
            }
            Ending::TimedOut => {
                explain("upstream_timeout", "upstream fell silent before its answer was complete");
                AttemptEnd::TimedOut
            }
            // A job in the background goes on without its client.
            Ending::ClientLeft if receipt.status == Status::Pending => AttemptEnd::Abandoned,
            Ending::ClientLeft if succeeded || seen.content_done => {
                // The client has all of the answer; it did not wait for the small print.
                receipt.status = Status::Succeeded;
                receipt.client_left_early = true;
                AttemptEnd::Completed
            }
            Ending::ClientLeft => AttemptEnd::Abandoned,
            Ending::Stopped | Ending::PassCut if succeeded => AttemptEnd::Completed,
            Ending::Stopped | Ending::PassCut if receipt.status == Status::Pending => {
                AttemptEnd::Abandoned
            }
            Ending::PassCut => {
                receipt.status = Status::Cancelled;
                receipt.error_type = Some(PASS_REVOKED.into());
                receipt.note = Some(PASS_CUT.into());
                AttemptEnd::Abandoned
            }
            Ending::Stopped => {
                receipt.status = Status::Error;
                receipt.error_type = Some("tollgate_stopped".into());
                receipt.note = Some("Tollgate was stopped before the answer was complete".into());
                AttemptEnd::Abandoned
            }
        }
    }

    fn is_between_tries(&self) -> bool {
        self.tries.as_ref().is_some_and(|tries| tries.is_between())
    }

    /// The last strokes: what was asked, times, the attempt, the price. Then the receipt is off.
    fn settle(
        &mut self,
        attempt_end: AttemptEnd,
        how: Option<Ending>,
        lines: &[UsageLine],
        reported: Option<ReportedCost>,
    ) {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let finish = match stage {
            Stage::Over => return,
            Stage::Drafted(open) => open(&self.receipt),
            Stage::Opened(finish) => finish,
        };
        self.note_asked();
        self.note_end(lines);
        if !self.is_between_tries() {
            self.note_attempt(attempt_end, how);
        }
        let outcome = self.value(lines, reported);
        let receipt = &mut self.receipt;
        let is_settled = receipt.cost.is_some();
        receipt.reserved = receipt.reserved.filter(|_| !is_settled);
        let spent = receipt.cost.filter(|_| receipt.currency == Currency::USD);
        let used = receipt.input_tokens().saturating_add(receipt.output_tokens());
        let used = (receipt.usage_state != UsageState::Missing).then_some(used);
        if let Some(tries) = self.tries.take() {
            tries.add_to(receipt);
        }
        if let Some(watch) = self.call.watch.take() {
            watch.over(receipt);
        }
        if let Some(wish) = &mut self.call.wish {
            self.call.upload.asked(|asked| wish.take_down(receipt, asked));
        }
        if outcome.is_some() {
            self.call.snapshot.budgets.stir();
        }
        let receipt = self.blank_out();
        let served = receipt.model.clone();
        let (parent, limits) = (self.call.parent, self.limits.take());
        finish(Finished { receipt, outcome, parent, limits });
        // After the receipt is on its way: who counts anew finds it here or there.
        if let Some(hold) = self.hold.take() {
            hold.settle(spent, used, served);
        }
    }

    /// Who called, how much came, when it ended.
    fn note_end(&mut self, lines: &[UsageLine]) {
        let is_between = self.is_between_tries();
        let receipt = &mut self.receipt;
        if is_between {
            // What was set aside is for a try that never left.
            receipt.usage_state = UsageState::None;
            receipt.reserved = None;
        }
        if let Some(caller) = &self.call.caller {
            caller.note(receipt);
        }
        receipt.request_bytes = self.call.upload.bytes();
        if receipt.kind.is_never_billed() && lines.is_empty() {
            receipt.usage_state = UsageState::None;
        }
        let elapsed = self.call.began.elapsed();
        let (ended_at, jumped) = self.call.began.ended(elapsed);
        receipt.ended_at = ended_at;
        receipt.latency_ms = millis(elapsed);
        if jumped {
            receipt.anomalies.push(Anomaly::ClockJumped);
        }
    }

    fn note_attempt(&mut self, ended: AttemptEnd, how: Option<Ending>) {
        let receipt = &mut self.receipt;
        receipt.attempts.push(Attempt {
            provider: receipt.provider.clone(),
            model: receipt.model_requested.clone(),
            http_status: how.and(receipt.http_status),
            started_ms: self.tried_ms,
            duration_ms: receipt.latency_ms.saturating_sub(self.tried_ms),
            ended,
            cost: None,
            chosen: None,
        });
    }

    /// The price, and what a poll told of the job it asks about, at that job's price.
    fn value(&mut self, lines: &[UsageLine], reported: Option<ReportedCost>) -> Option<Outcome> {
        let receipt = &mut self.receipt;
        let (book, host) = (&*self.call.snapshot.book, &*self.call.host);
        if receipt.kind != Kind::Poll {
            valuation::value(receipt, book, host, lines, reported);
            return None;
        }
        valuation::value(receipt, book, host, &[], None);
        let mut job = self.job.take()?;
        valuation::value(&mut job, book, host, &poll::counted(lines), reported);
        poll::outcome(*job, receipt)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.end(if self.is_stopping() { Ending::Stopped } else { Ending::ClientLeft });
    }
}

/// What the provider says it still allows.
fn limits_told(headers: &HeaderMap) -> Option<Limits> {
    let at = wall_now();
    let told =
        headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let readings = meter::limits::read(told, at);
    (!readings.is_empty()).then_some(Limits { at, readings })
}

fn facets(receipt: &Receipt) -> Facets<'_> {
    Facets {
        pass: receipt.pass.as_deref(),
        key: receipt.key.as_deref(),
        workspace: &receipt.workspace,
        provider: &receipt.provider,
        model: receipt.model_requested.as_deref(),
        served: None,
        may_be_any: receipt.model_requested.is_none()
            && !receipt.kind.is_never_billed()
            && !matches!(receipt.kind, Kind::Other | Kind::Moderation),
    }
}

/// Writes down what the request turned out to ask for.
pub(crate) fn note_asked(receipt: &mut Receipt, asked: &Asked, snapshot: &Snapshot) {
    if snapshot.metadata_tags {
        tags::add(receipt, asked);
    }
    receipt.model_requested.clone_from(&asked.model);
    receipt.capabilities.clone_from(&asked.capabilities);
    receipt.technology = technology(receipt.kind, &asked.capabilities);
    if receipt.http_status.is_none() {
        receipt.stream = asked.stream;
    }
}

/// What sort of model serves such a call.
fn technology(kind: Kind, capabilities: &[Capability]) -> Option<Technology> {
    let sees = capabilities.contains(&Capability::Vision);
    match kind {
        Kind::Chat | Kind::Completion if sees => Some(Technology::Vlm),
        Kind::Chat | Kind::Completion => Some(Technology::Llm),
        Kind::Embedding => Some(Technology::Embedding),
        Kind::Image => Some(Technology::Image),
        Kind::Speech | Kind::Transcription => Some(Technology::Audio),
        Kind::Video => Some(Technology::Video),
        Kind::Rerank
        | Kind::Moderation
        | Kind::Batch
        | Kind::FineTuning
        | Kind::Count
        | Kind::Poll
        | Kind::Meta
        | Kind::Other => None,
    }
}

/// The receipt of a request that Tollgate itself refused: nothing was sent, nothing is to be paid.
pub(crate) fn deny(denied: Denied, began: &Began, open: &Open) {
    let Denied { mut receipt, refusal, parent, .. } = denied;
    let elapsed = began.elapsed();
    receipt.status = Status::Denied;
    receipt.http_status = Some(refusal.status.as_u16());
    receipt.error_type = Some(refusal.code.into());
    receipt.error_message = Some(scrub(&refusal.message, &[]));
    receipt.usage_state = UsageState::None;
    receipt.ended_at = began.ended(elapsed).0;
    receipt.latency_ms = millis(elapsed);
    receipt.cost = Some(Money::ZERO);
    receipt.cost_state = CostState::Free;
    let finish = open(&receipt);
    finish(Finished { receipt, outcome: None, parent, limits: None });
}

/// Who pays for calls to a provider's host: the user's own machine nobody.
pub(crate) fn billing(hosting: Hosting) -> Billing {
    match hosting {
        Hosting::Hosted => Billing::Byok,
        Hosting::Local => Billing::Local,
    }
}
