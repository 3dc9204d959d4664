//! Sees which models of the user's own servers run, and notes for how long: by the calls that came
//! to the ledger, and by asking the servers now and then. Only servers that are declared or were
//! called of late are asked, only for what loads nothing, without any credential, and what they
//! answer is bounded in time and size.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use api::deployments::inquiry::{Heard, Inquiry, ServerReading, ServerState};
use api::deployments::{DeploymentPlan, DriverReading, OwnServer, SERVED, canonical};
use meter::Timestamp;
use meter::provider::ServerStatus;
use reqwest::redirect::Policy;
use store::{Arrival, Filter, Ledger, Questions, Run, StoreError};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::child;
use crate::deployment_book::DeploymentBook;
use crate::settings::now;

/// Receipts are followed at most this often.
const PACE: Duration = Duration::from_secs(5);
/// For a connection, and for a whole answer.
const CONNECT: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer.
const LARGEST: usize = 2 << 20;
/// Servers that are asked at the same time.
const AT_ONCE: usize = 8;
/// How long after a call a server that nobody declared is asked.
const OF_LATE_MS: i64 = 60 * 60 * 1000;
/// What was seen twice within this time ran in between, unless it was seen not to.
const BRIDGE_MS: i64 = 150 * 1000;
/// Arrivals that are looked at together.
const ARRIVALS: usize = 500;
/// Models of a server that says what it has and not what is loaded, that are all taken to run.
const FEW: usize = 16;

/// What is needed to see and to note.
pub(crate) struct Watch {
    pub(crate) home: PathBuf,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) book: Arc<DeploymentBook>,
    /// Between two looks at servers; absent: they are never asked.
    pub(crate) every: Option<Duration>,
    /// What asks, made when somebody is to be asked.
    pub(crate) client: OnceLock<reqwest::Client>,
}

/// Goes on for as long as the ledger changes.
pub(crate) async fn keep_watch(watch: Watch, mut revision: watch::Receiver<u64>) {
    let watch = Arc::new(watch);
    let mut memory = Memory::default();
    let mut next = watch.every.map(|_| Instant::now());
    loop {
        revision.mark_unchanged();
        memory = followed(&watch, memory).await;
        if next.is_some_and(|next| next <= Instant::now()) {
            memory = asked(&watch, memory).await;
            next = watch.every.map(|every| Instant::now() + every);
        }
        let until = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(60 * 60));
        tokio::time::sleep_until(until.min(Instant::now() + PACE)).await;
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            changed = revision.changed() => if changed.is_err() { return },
        }
    }
}

/// What was seen last, by server and model as it is called there.
#[derive(Debug, Default)]
struct Memory {
    /// Absent: nothing was read yet.
    counted: Option<Arrival>,
    seen: BTreeMap<(Box<str>, Box<str>), Sight>,
    /// When each server was called last, and for what model.
    called: BTreeMap<Box<str>, BTreeMap<Box<str>, Timestamp>>,
}

/// When a model was last seen to run, and whether it was not seen to stop since.
#[derive(Clone, Copy, Debug)]
struct Sight {
    at: Timestamp,
    goes_on: bool,
}

impl Memory {
    /// Something ran from one instant up to another; the run with the time since it was seen
    /// before, if it is not too long ago.
    fn ran(&mut self, server: &str, model: &str, from: Timestamp, to: Timestamp, gpus: u32) -> Run {
        let before = self.seen.get(&(server.into(), model.into())).copied();
        let bridged = before.filter(|sight| {
            let gap = from.millis() - sight.at.millis();
            sight.goes_on && (0..=BRIDGE_MS).contains(&gap)
        });
        let last = before.map_or(to, |sight| sight.at.max(to));
        // A clock that was set back is followed.
        let at = if last.millis() - to.millis() > BRIDGE_MS { to } else { last };
        self.seen.insert((server.into(), model.into()), Sight { at, goes_on: true });
        let from = bridged.map_or(from, |sight| sight.at);
        Run { server: server.into(), model: model.into(), from, to, gpus }
    }

    /// Everything of this server but these was seen not to run.
    fn stopped_but(&mut self, server: &str, kept: &BTreeSet<Box<str>>) {
        for ((_, model), sight) in self.seen.iter_mut().filter(|(key, _)| *key.0 == *server) {
            sight.goes_on &= kept.contains(model);
        }
    }

    fn was_called(&mut self, server: &str, model: &str, at: Timestamp) {
        let last = self.called.entry(server.into()).or_default().entry(model.into()).or_insert(at);
        *last = (*last).max(at);
    }

    fn forget_old(&mut self, now: Timestamp) {
        let since = Timestamp::from_millis(now.millis() - OF_LATE_MS);
        for models in self.called.values_mut() {
            models.retain(|_, at| *at >= since);
        }
        self.called.retain(|_, models| !models.is_empty());
        self.seen.retain(|_, sight| sight.at >= since);
    }
}

/// Notes the calls that came to the ledger since.
async fn followed(watch: &Arc<Watch>, mut memory: Memory) -> Memory {
    let own = Arc::clone(watch);
    let done = tokio::task::spawn_blocking(move || {
        if let Err(error) = follow(&own, &mut memory) {
            tracing::debug!("calls of own servers are counted later: {error}");
        }
        memory
    });
    done.await.unwrap_or_default()
}

fn follow(watch: &Watch, memory: &mut Memory) -> Result<(), StoreError> {
    let plan = watch.book.plan();
    let questions = Questions::open(&watch.home)?;
    let mut since = match memory.counted {
        Some(since) => since,
        None => begun(&questions, &plan, memory)?,
    };
    let filter = of_servers(&plan);
    loop {
        let (receipts, last) = questions.arrived(&filter, since, ARRIVALS)?;
        if last == since {
            return Ok(());
        }
        let mut runs = Vec::new();
        for receipt in &receipts {
            let Some(server) = plan.servers.iter().find(|one| one.id == receipt.provider) else {
                continue;
            };
            let model = receipt.model.as_deref().or(receipt.model_requested.as_deref());
            let model = canonical(server.status, model.unwrap_or_default());
            if receipt.http_status.is_some_and(|status| (200..300).contains(&status)) {
                memory.was_called(&server.id, model, receipt.ended_at);
                let (from, to) = (receipt.started_at, receipt.ended_at);
                runs.push(memory.ran(&server.id, model, from, to, 0));
            }
        }
        // What other providers served moves on without a word; it is looked at once more at most.
        if !runs.is_empty() || memory.counted.is_none() {
            watch.ledger.ran(runs, last)?;
        }
        since = last;
        memory.counted = Some(last);
    }
}

/// What an earlier process left, and how far it came.
fn begun(
    questions: &Questions,
    plan: &DeploymentPlan,
    memory: &mut Memory,
) -> Result<Arrival, StoreError> {
    let at = now();
    let late = |ms: i64| Timestamp::from_millis(at.millis() - ms);
    for run in questions.runs(Some(late(BRIDGE_MS)), None)? {
        memory.seen.insert((run.server, run.model), Sight { at: run.to, goes_on: true });
    }
    for server in &plan.servers {
        let providers = vec![server.id.to_string()];
        let filter = Filter { from: Some(late(OF_LATE_MS)), providers, ..of_servers(plan) };
        for receipt in questions.requests(&filter, None, FEW)? {
            let model = receipt.model.as_deref().or(receipt.model_requested.as_deref());
            let model = canonical(server.status, model.unwrap_or_default());
            memory.was_called(&server.id, model, receipt.ended_at);
        }
    }
    Ok(questions.runs_counted()?.unwrap_or_default())
}

fn of_servers(plan: &DeploymentPlan) -> Filter {
    let providers = plan.servers.iter().map(|server| server.id.to_string()).collect();
    Filter { providers, kinds: SERVED.to_vec(), ..Filter::default() }
}

/// Asks the servers that are worth it, and notes what runs there.
async fn asked(watch: &Arc<Watch>, mut memory: Memory) -> Memory {
    let (plan, at) = (watch.book.plan(), now());
    memory.forget_old(at);
    let is_declared = |id: &str| plan.declared.iter().any(|rule| rule.provider == *id);
    let worth: Vec<&OwnServer> = plan
        .servers
        .iter()
        .filter(|server| server.status != ServerStatus::None)
        .filter(|server| is_declared(&server.id) || memory.called.contains_key(&server.id))
        .collect();
    let board = &watch.book.board;
    let before = board.said();
    board.forget_but(|id| worth.iter().any(|server| *server.id == *id));
    let client = if worth.is_empty() { None } else { watch.client() };
    let readings = match client {
        Some(client) => readings(client, &worth).await,
        None => Vec::new(),
    };
    let mut runs = Vec::new();
    let mut is_busy_here = false;
    for (server, reading) in worth.iter().zip(readings) {
        let models = running(server, &reading, &plan, &memory);
        is_busy_here |= server.is_here && !models.is_empty();
        runs.extend(
            models.iter().map(|(model, on_gpu)| {
                (server.id.clone(), model.clone(), server.is_here && *on_gpu)
            }),
        );
        memory.stopped_but(&server.id, &models.into_keys().collect());
        board.told(&server.id, now(), reading);
    }
    // A driver that is asked wakes what sleeps, so it is not asked while nothing runs.
    let driver = if is_busy_here { driver().await } else { None };
    board.driver_told(driver);
    let at = now();
    let noted: Vec<Run> = runs
        .into_iter()
        .map(|(server, model, counts)| {
            let gpus = driver.filter(|_| counts).map_or(0, |driver| driver.count);
            memory.ran(&server, &model, at, at, gpus)
        })
        .filter(|run| run.from < run.to)
        .collect();
    if noted.is_empty() {
        if !board.said().is_the_same_as(&before) {
            watch.book.news();
        }
        return memory;
    }
    let (ledger, counted) = (Arc::clone(&watch.ledger), memory.counted.unwrap_or_default());
    let note = tokio::task::spawn_blocking(move || ledger.ran(noted, counted));
    if let Ok(Err(error)) = note.await {
        tracing::debug!("running time is noted later: {error}");
    }
    memory
}

/// The models that run there, each with whether a graphics processor may have to do with it.
fn running(
    server: &OwnServer,
    reading: &ServerReading,
    plan: &DeploymentPlan,
    memory: &Memory,
) -> BTreeMap<Box<str>, bool> {
    let name = |model: &str| Box::<str>::from(canonical(server.status, model));
    if reading.state != ServerState::Up {
        return BTreeMap::new();
    }
    let called = memory.called.get(&server.id);
    let ready =
        reading.ready.iter().map(|(model, ready)| (name(model), ready.on_gpu != Some(false)));
    let mut models: BTreeMap<Box<str>, bool> = ready.collect();
    // It says what it has, and not what it has loaded.
    if server.status == ServerStatus::Openai {
        let declared = || plan.declared.iter().filter(|rule| *rule.provider == *server.id);
        let is_whole = declared().any(|rule| rule.model.is_none()) && models.len() <= FEW;
        models.retain(|model, _| {
            is_whole
                || called.is_some_and(|called| called.contains_key(model))
                || declared().any(|rule| rule.model.as_deref().map(name).as_ref() == Some(model))
        });
    }
    // It has one, whatever that is called.
    if models.is_empty() && reading.serves_any {
        let last = called.and_then(|called| called.iter().max_by_key(|(_, at)| **at));
        models.insert(last.map_or_else(|| "".into(), |(model, _)| model.clone()), true);
    }
    models
}

impl Watch {
    /// Certificates take a moment to read, so it is kept.
    fn client(&self) -> Option<&reqwest::Client> {
        if self.client.get().is_none() {
            let made = reqwest::Client::builder()
                .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::none())
                .referer(false)
                .pool_max_idle_per_host(0)
                .connect_timeout(CONNECT)
                .timeout(PATIENCE)
                .build();
            let _ = self.client.set(made.ok()?);
        }
        self.client.get()
    }
}

/// What each of them says, in their order.
async fn readings(client: &reqwest::Client, servers: &[&OwnServer]) -> Vec<ServerReading> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    for (at, server) in servers.iter().enumerate() {
        let (client, turns, server) = (client.clone(), Arc::clone(&turns), (*server).clone());
        asking.spawn(async move {
            let _turn = turns.acquire().await;
            (at, ask(&client, &server).await)
        });
    }
    let mut readings = vec![ServerReading::default(); servers.len()];
    while let Some(asked) = asking.join_next().await {
        if let Ok((at, reading)) = asked {
            readings[at] = reading;
        }
    }
    readings
}

async fn ask(client: &reqwest::Client, server: &OwnServer) -> ServerReading {
    let mut inquiry = Inquiry::of(server.status);
    while let Some(path) = inquiry.next() {
        match answer(client, &format!("{}{path}", server.origin)).await {
            Ok((status, body)) if body.len() <= LARGEST => {
                inquiry.hear(Heard::Answer { status, body: &body });
            }
            Ok(_) => inquiry.hear(Heard::TooLong),
            Err(_) => inquiry.hear(Heard::Silence),
        }
    }
    inquiry.end()
}

/// The status and the body, of which no more than one byte too many is read.
async fn answer(client: &reqwest::Client, url: &str) -> reqwest::Result<(u16, Vec<u8>)> {
    let mut answer = client.get(url).send().await?;
    let mut body = Vec::new();
    while body.len() <= LARGEST
        && let Some(piece) = answer.chunk().await?
    {
        let left = (LARGEST + 1).saturating_sub(body.len());
        body.extend_from_slice(&piece[..piece.len().min(left)]);
    }
    Ok((answer.status().as_u16(), body))
}

/// What this machine's driver says of its graphics processors, where there is one.
async fn driver() -> Option<DriverReading> {
    let asked = tokio::task::spawn_blocking(|| {
        let mut command = child::command("nvidia-smi");
        command.args(["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]);
        child::printed(command, PATIENCE)
    });
    DriverReading::parse(&asked.await.ok()??)
}
