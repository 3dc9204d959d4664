//! Tells an OpenTelemetry collector of calls: OTLP over HTTP, protobuf. What it says is `api`'s;
//! here is the queue, the sending and the patience. The queue is bounded and calls never wait for
//! it: what finds no place is counted and not told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use api::otlp::{Ended, Instruments, Names, traces};
use api::status::OtlpStatus;
use gateway::Finished;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::OtlpPlan;
use crate::settings::now;

/// Calls that may wait. A receipt is a few kilobytes.
const QUEUE: usize = 2048;
/// Calls told at once.
const BATCH: usize = 256;
/// How long the first of a batch waits for others.
const LINGER: Duration = Duration::from_millis(500);
/// For one message, connection included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between tries; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What is left to be told may take so long when Tollgate stops.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

/// Where finished calls are handed in.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    plan: OtlpPlan,
    queue: mpsc::Sender<Box<Ended>>,
    counts: Arc<Counts>,
    /// Until somebody sends.
    other_end: Arc<Mutex<Option<Calls>>>,
}

type Calls = mpsc::Receiver<Box<Ended>>;

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Post {
    /// For the collector of this plan.
    pub(crate) fn new(plan: OtlpPlan) -> Self {
        let (queue, calls) = mpsc::channel(QUEUE);
        let other_end = Arc::new(Mutex::new(Some(calls)));
        Self { plan, queue, counts: Arc::default(), other_end }
    }

    /// What sends, until `stop`; there is one.
    ///
    /// # Errors
    /// Fails when no client can be made.
    pub(crate) fn exporter(
        &self,
        names: Names,
        stop: CancellationToken,
    ) -> anyhow::Result<Option<Exporter>> {
        let other_end = self.other_end.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(calls) = other_end else { return Ok(None) };
        let (plan, counts) = (self.plan.clone(), Arc::clone(&self.counts));
        let client = client(&plan).context("could not set up the connection to the collector")?;
        Ok(Some(Exporter { plan, names, client, counts, calls, stop }))
    }

    /// Hands a call in, or counts it where there is no place. The demonstration is no traffic.
    pub(crate) fn hand_in(&self, finished: &Finished) {
        if finished.receipt.is_demo() {
            return;
        }
        let Ok(place) = self.queue.try_reserve() else { return self.counts.leave_out(1) };
        let (receipt, parent) = (finished.receipt.clone(), finished.parent);
        place.send(Box::new(Ended { receipt, parent }));
    }

    /// How it is doing.
    pub(crate) fn status(&self) -> OtlpStatus {
        OtlpStatus {
            endpoint: self.plan.endpoint.to_string(),
            trace_url: self.plan.trace_url.as_deref().map(str::to_owned),
            sent: self.counts.sent.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
            problem: self.counts.problem().clone(),
        }
    }
}

impl Counts {
    fn leave_out(&self, calls: u64) {
        if self.dropped.fetch_add(calls, Ordering::Relaxed) == 0 {
            tracing::warn!(
                "calls are not told to the collector; from now on they are only counted"
            );
        }
    }

    fn problem(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a problem, or of its end; the log hears of the news only.
    fn set_problem(&self, problem: Option<String>) {
        let mut held = self.problem();
        match (&*held, &problem) {
            (None, Some(why)) => tracing::warn!("the collector takes nothing: {why}"),
            (Some(_), None) => tracing::info!("the collector takes calls again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *held = problem;
    }
}

/// What came of a message.
enum Outcome {
    /// It was taken.
    Taken,
    /// It never will be.
    Refused(String),
    /// It may be taken later.
    Later(String, Option<Duration>),
}

/// What sends.
pub(crate) struct Exporter {
    plan: OtlpPlan,
    names: Names,
    client: Client,
    counts: Arc<Counts>,
    calls: Calls,
    stop: CancellationToken,
}

impl Exporter {
    /// Until it is stopped: then what waits is told once, or not at all.
    pub(crate) async fn run(mut self) {
        let mut instruments = Instruments::since(now());
        let mut due = Instant::now() + self.plan.every;
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            tokio::select! {
                call = self.calls.recv() => match call {
                    Some(call) => self.tell(*call, &mut instruments).await,
                    None => break,
                },
                () = sleep_until(due) => {
                    self.sum_up(&instruments).await;
                    due = Instant::now() + self.plan.every;
                }
                () = stop.cancelled() => {}
            }
        }
        while let Ok(call) = self.calls.try_recv() {
            self.tell(*call, &mut instruments).await;
        }
        self.sum_up(&instruments).await;
    }

    /// Tells of this call and of those that come with it.
    async fn tell(&mut self, first: Ended, instruments: &mut Instruments) {
        tokio::select! {
            () = sleep(LINGER) => {}
            () = self.stop.cancelled() => {}
        }
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(call) = self.calls.try_recv()
        {
            batch.push(*call);
        }
        batch.iter().for_each(|call| instruments.note(&call.receipt));
        batch.retain(Ended::is_kept);
        if !batch.is_empty() {
            let calls = batch.len() as u64;
            match self.deliver(traces(&batch, &self.names)).await {
                true => _ = self.counts.sent.fetch_add(calls, Ordering::Relaxed),
                false => self.counts.leave_out(calls),
            }
        }
    }

    /// Tries until the message is taken or never will be; whether it was taken.
    async fn deliver(&self, message: Vec<u8>) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            let wait = match self.post("v1/traces", message.clone()).await {
                Outcome::Taken => {
                    self.counts.set_problem(None);
                    return true;
                }
                Outcome::Refused(why) => {
                    self.counts.set_problem(Some(why));
                    return false;
                }
                Outcome::Later(why, wait) => {
                    self.counts.set_problem(Some(why));
                    wait.unwrap_or(pause).min(LONGEST_PAUSE)
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.cancelled() => return false,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tells the sums. They hold all that was, so what is not taken comes with the next ones.
    async fn sum_up(&self, instruments: &Instruments) {
        match self.post("v1/metrics", instruments.written(&self.names, now())).await {
            Outcome::Taken => {}
            Outcome::Refused(why) | Outcome::Later(why, _) => {
                tracing::debug!("the collector took no sums: {why}");
            }
        }
    }

    async fn post(&self, path: &str, message: Vec<u8>) -> Outcome {
        let base = self.plan.endpoint.as_str().trim_end_matches('/');
        let request = self.client.post(format!("{base}/{path}")).body(message);
        match request.header(CONTENT_TYPE, "application/x-protobuf").send().await {
            Ok(answer) => judged(&answer),
            Err(error) => Outcome::Later(innermost(&error), None),
        }
    }
}

fn client(plan: &OtlpPlan) -> anyhow::Result<Client> {
    let given = std::env::var("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
    let client = Client::builder()
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .default_headers(headers(&given)?)
        .timeout(PATIENCE);
    let client = if is_here(&plan.endpoint) { client.no_proxy() } else { client };
    Ok(client.build()?)
}

/// `name=value,name=value`, as OpenTelemetry's own programs read it. Credentials stand there, so
/// that none stands in the configuration; none is repeated in what is said about it.
fn headers(given: &str) -> anyhow::Result<HeaderMap> {
    let pairs = given.split(',').filter(|pair| !pair.trim().is_empty());
    let mut headers = HeaderMap::new();
    for pair in pairs {
        let read = pair.split_once('=').and_then(|(name, value)| {
            let name: HeaderName = name.trim().parse().ok()?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = read.context(
            "OTEL_EXPORTER_OTLP_HEADERS cannot be read\nhint: write `name=value`, several with commas between",
        )?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Which statuses may be tried again: <https://opentelemetry.io/docs/specs/otlp/> (2026-11-21).
fn judged(answer: &Response) -> Outcome {
    let why = || format!("it answers {}", answer.status());
    match answer.status() {
        status if status.is_success() => Outcome::Taken,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Outcome::Later(why(), asked_to_wait(answer.headers())),
        _ => Outcome::Refused(why()),
    }
}

/// What is at the bottom of it: `Connection refused`, not `error sending request`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn asked_to_wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether a collector runs on this machine, where no proxy stands between.
fn is_here(url: &Url) -> bool {
    url.host_str()
        .is_some_and(|host| matches!(host, "localhost" | "[::1]") || host.starts_with("127."))
}
