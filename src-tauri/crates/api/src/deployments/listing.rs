//! The answer to `deployments`: every model of the user's own servers that was called, runs or is
//! declared, and what became of it in a period.

use std::collections::{BTreeMap, BTreeSet};

use meter::price::{Book, server_cost};
use meter::receipt::{Kind, Status};
use meter::{Currency, Money, Timestamp};
use store::{Dimension, Figures, Filter, Questions, Run};

use super::answer::{Deployment, DeploymentState, DeploymentTotals, Deployments, GpusFrom};
use super::board::Said;
use super::inquiry::{ServerReading, ServerState};
use super::rule::{DeploymentPlan, DeploymentRule, OwnServer, canonical};
use super::running::{driver_gpu_ms, spans, together_ms};
use super::tuning::{FineTuning, tunings};
use super::versus::{PaidModel, Patience, Versus};
use crate::alerts::escaped;
use crate::answer::{Period, Spread};
use crate::problem::Problem;
use crate::query::Query;
use meter::provider::ServerStatus;

/// Rows of one answer; the busiest come first.
const MOST_ROWS: usize = 2000;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// What an answer is made of besides the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Servers and declarations.
    pub plan: &'a DeploymentPlan,
    /// What servers and driver said.
    pub said: &'a Said,
    /// The prices in force.
    pub book: &'a Book,
    /// What the time is.
    pub now: Timestamp,
}

/// Kinds of calls that a model serves.
pub const SERVED: [Kind; 10] = [
    Kind::Chat,
    Kind::Completion,
    Kind::Embedding,
    Kind::Image,
    Kind::Speech,
    Kind::Transcription,
    Kind::Video,
    Kind::Rerank,
    Kind::Moderation,
    Kind::Batch,
];

/// Every deployment, and what became of it in the period of a query.
///
/// # Errors
/// When the ledger cannot be read.
pub fn deployments(
    ledger: &Questions,
    query: &Query,
    sources: Sources<'_>,
) -> Result<Deployments, Problem> {
    let fine_tunings = tunings(ledger, &query.filter)?;
    let mut rows = found(ledger, query, sources)?;
    let mut listed = Vec::with_capacity(rows.len());
    let mut patience = Patience::default();
    rows.sort_by(|a, b| {
        let first = |row: &Found<'_>| (row.state, std::cmp::Reverse(row.figures.requests));
        first(a).cmp(&first(b)).then_with(|| a.name.cmp(&b.name))
    });
    let more = rows.len().saturating_sub(MOST_ROWS) as u64;
    let active = rows.iter().filter(|row| row.state == DeploymentState::Active).count() as u64;
    let mut totals = DeploymentTotals {
        deployments: rows.len() as u64,
        active,
        requests: rows.iter().map(|row| row.figures.requests).sum(),
        gpu_seconds: all_gpu_ms(&rows).map(|ms| ms / 1000),
        fine_tunings: fine_tunings.len() as u64,
        fine_tunings_running: running(&fine_tunings),
        saved: None,
    };
    for row in rows.iter().take(MOST_ROWS) {
        let one = row.written(ledger, query, sources, &mut patience)?;
        if let Some(Versus { saved: Some(saved), currency: Currency::USD, .. }) = one.versus {
            totals.saved = Some(totals.saved.unwrap_or(Money::ZERO).saturating_add(saved));
        }
        listed.push(one);
    }
    let Query { filter, zone, .. } = query;
    let period = Period { from: filter.from, to: filter.to, tz: zone.name().to_owned() };
    Ok(Deployments { period, totals, deployments: listed, more, fine_tunings })
}

fn running(jobs: &[FineTuning]) -> u64 {
    jobs.iter().filter(|job| job.status == Status::Pending).count() as u64
}

/// One row in the making.
struct Found<'a> {
    name: String,
    server: &'a OwnServer,
    rule: Option<&'a DeploymentRule>,
    model: Option<String>,
    /// As receipts name its models.
    models: Vec<String>,
    /// Whether those are all that the server has on receipts.
    is_whole: bool,
    runs: Vec<Run>,
    figures: Figures,
    state: DeploymentState,
    reading: Option<&'a (Timestamp, ServerReading)>,
    driver_gpus: Option<u32>,
}

/// What is known of one model of a server.
#[derive(Debug, Default)]
struct Group {
    models: BTreeSet<String>,
    /// Of calls that named no model.
    has_nameless: bool,
    figures: Vec<Figures>,
    runs: Vec<Run>,
}

/// Models by server and name.
type Groups<'a> = BTreeMap<(&'a str, String), Group>;

fn found<'a>(
    ledger: &Questions,
    query: &Query,
    sources: Sources<'a>,
) -> Result<Vec<Found<'a>>, Problem> {
    let wanted = &query.filter.providers;
    let is_wanted = |id: &str| wanted.is_empty() || wanted.iter().any(|one| one == id);
    let servers: Vec<&OwnServer> =
        sources.plan.servers.iter().filter(|server| is_wanted(&server.id)).collect();
    if servers.is_empty() {
        return Ok(Vec::new());
    }
    let filter = of_servers(&query.filter, servers.iter().map(|server| &*server.id));
    let mut groups = groups(ledger, &filter, &servers, sources.said)?;
    let mut rows = Vec::new();
    // Those of one model first: what is left is for those of the whole server.
    let (of_model, of_server): (Vec<_>, Vec<_>) =
        sources.plan.declared.iter().partition(|rule| rule.model.is_some());
    for rule in of_model {
        let Some(server) = servers.iter().find(|server| *server.id == *rule.provider) else {
            continue;
        };
        let model = rule.model.clone().unwrap_or_default();
        let key = (&*server.id, canonical(server.status, &model).to_owned());
        let group = groups.remove(&key).unwrap_or_default();
        rows.push(Found::of(server, Some(rule), Some(model), vec![group], sources.said));
    }
    for rule in of_server {
        let Some(server) = servers.iter().find(|server| *server.id == *rule.provider) else {
            continue;
        };
        let is_claimed = rows.iter().any(|row: &Found<'_>| row.server.id == server.id);
        let (rest, others) = groups.into_iter().partition(|(key, _)| *key.0 == *server.id);
        groups = others;
        let rest: Groups<'_> = rest;
        let rest = rest.into_values().collect();
        let row = Found::of(server, Some(rule), None, rest, sources.said);
        rows.push(Found { is_whole: !is_claimed, ..row });
    }
    for ((id, model), group) in groups {
        let Some(server) = servers.iter().find(|server| *server.id == *id) else { continue };
        let model = (!model.is_empty()).then_some(model);
        rows.push(Found::of(server, None, model, vec![group], sources.said));
    }
    if !query.filter.models.is_empty() {
        let asked = &query.filter.models;
        rows.retain(|row| row.models.iter().chain(&row.model).any(|model| asked.contains(model)));
    }
    for row in &mut rows {
        row.count(ledger, &filter)?;
    }
    Ok(rows)
}

fn of_servers<'a>(filter: &Filter, servers: impl Iterator<Item = &'a str>) -> Filter {
    let kinds = match &*filter.kinds {
        [] => SERVED.to_vec(),
        given => given.to_vec(),
    };
    Filter { providers: servers.map(str::to_owned).collect(), kinds, ..filter.clone() }
}

/// Everything that receipts, runs and servers tell apart.
fn groups<'a>(
    ledger: &Questions,
    filter: &Filter,
    servers: &[&'a OwnServer],
    said: &Said,
) -> Result<Groups<'a>, Problem> {
    let mut groups = Groups::new();
    let server = |id: &str| servers.iter().find(|server| *server.id == *id).copied();
    for row in ledger.table(filter, &[&Dimension::Provider, &Dimension::Model], None)? {
        let [Some(provider), model] = &*row.names else { continue };
        let Some(server) = server(provider) else { continue };
        let name = model.as_deref().unwrap_or_default();
        let key = (&*server.id, canonical(server.status, name).to_owned());
        let group = groups.entry(key).or_default();
        group.has_nameless |= model.is_none();
        group.models.extend(model.clone());
        group.figures.push(row.figures);
    }
    for run in ledger.runs(filter.from, filter.to)? {
        let Some(server) = server(&run.server) else { continue };
        let key = (&*server.id, canonical(server.status, &run.model).to_owned());
        groups.entry(key).or_default().runs.push(run);
    }
    for server in servers {
        let Some((_, reading)) = said.servers.get(&server.id) else { continue };
        // A list of what there is says nothing about what is used.
        if server.status == ServerStatus::Openai {
            continue;
        }
        for model in reading.ready.keys() {
            let key = (&*server.id, canonical(server.status, model).to_owned());
            groups.entry(key).or_default();
        }
    }
    Ok(groups)
}

impl<'a> Found<'a> {
    fn of(
        server: &'a OwnServer,
        rule: Option<&'a DeploymentRule>,
        model: Option<String>,
        groups: Vec<Group>,
        said: &'a Said,
    ) -> Self {
        let reading = said.servers.get(&server.id);
        let name = match (rule, &model) {
            (Some(rule), _) => rule.name.clone(),
            (None, Some(model)) => format!("{}/{model}", server.id),
            (None, None) => server.id.to_string(),
        };
        let mut figures: Vec<Figures> = Vec::new();
        let (mut models, mut runs) = (Vec::new(), Vec::new());
        for group in groups {
            models.extend(group.models);
            runs.extend(group.runs);
            figures.extend(group.figures);
        }
        // Several have to be added up, which is the ledger's business.
        let figures = match figures.len() {
            0 | 1 => figures.pop().unwrap_or_default(),
            _ => Figures::default(),
        };
        runs.sort_unstable_by_key(|run| run.from);
        let state = reading.map_or(DeploymentState::Unknown, |(_, reading)| {
            state(server, reading, model.as_deref())
        });
        let here = said.driver.filter(|_| server.is_here);
        let driver_gpus = here
            .map(|driver| driver.count)
            .or_else(|| runs.iter().map(|run| run.gpus).max().filter(|gpus| *gpus > 0));
        Self {
            name,
            server,
            rule,
            model,
            models,
            is_whole: false,
            runs,
            figures,
            state,
            reading,
            driver_gpus,
        }
    }

    /// Which receipts count here.
    fn filter(&self, of_servers: &Filter) -> Filter {
        Filter {
            providers: vec![self.server.id.to_string()],
            models: if self.is_whole { Vec::new() } else { self.models.clone() },
            ..of_servers.clone()
        }
    }

    /// Adds up what several models or names came to.
    fn count(&mut self, ledger: &Questions, of_servers: &Filter) -> Result<(), Problem> {
        if self.models.len() > 1 || (self.is_whole && !self.models.is_empty()) {
            self.figures = ledger.usage(&self.filter(of_servers), None, None)?.totals;
        }
        Ok(())
    }

    fn gpus(&self) -> Option<(u32, GpusFrom)> {
        let declared = self.rule.and_then(DeploymentRule::gpu_count);
        declared
            .map(|gpus| (gpus, GpusFrom::Declared))
            .or_else(|| self.server.gpus.map(|gpus| (gpus, GpusFrom::Server)))
            .or_else(|| self.driver_gpus.map(|gpus| (gpus, GpusFrom::Driver)))
    }

    fn gpu_ms(&self) -> Option<u64> {
        let runs: Vec<&Run> = self.runs.iter().collect();
        match self.gpus()? {
            (gpus, GpusFrom::Declared | GpusFrom::Server) => {
                Some(together_ms(self.runs.iter()).saturating_mul(gpus.into()))
            }
            (_, GpusFrom::Driver) => Some(driver_gpu_ms(&runs).unwrap_or(0)),
        }
    }

    fn written(
        &self,
        ledger: &Questions,
        query: &Query,
        sources: Sources<'_>,
        patience: &mut Patience,
    ) -> Result<Deployment, Problem> {
        let figures = &self.figures;
        let spread = |s: store::Spread| Spread {
            mean_ms: s.mean,
            p50_ms: s.p50,
            p95_ms: s.p95,
            p99_ms: s.p99,
        };
        let place = (&*self.server.id, self.priced_model());
        let per_hour = server_cost(sources.book, place, sources.now, HOUR_MS);
        let currency = per_hour.map_or(Currency::USD, |(_, currency)| currency);
        let running_cost = per_hour.and_then(|_| self.running_cost(sources.book, currency));
        // Nothing spent is zero; nothing known is not.
        let is_known = figures.unpriced == 0 && figures.other_costs.is_empty();
        let requests_cost = (is_known && currency == Currency::USD).then_some(figures.cost);
        let here = running_cost.or(requests_cost).map(|cost| (cost, currency));
        let paid = query.versus.clone().or_else(|| self.rule?.versus.as_deref()?.parse().ok());
        let versus = paid.map(|paid: PaidModel| {
            let filter = self.filter(&of_servers(&query.filter, std::iter::empty()));
            Versus::of(ledger, &filter, sources.book, &paid, patience)
        });
        let reading = self.reading.map(|(_, reading)| reading);
        let gpus = self.gpus();
        let is_active = self.state == DeploymentState::Active;
        let driver = sources.said.driver.filter(|_| self.server.is_here && is_active);
        Ok(Deployment {
            name: self.name.clone(),
            provider: self.server.id.to_string(),
            model: self.model.clone(),
            declared: self.rule.cloned(),
            state: self.state,
            asked_at: self.reading.map(|(at, _)| *at),
            working_on: reading.and_then(|reading| reading.running),
            waiting: reading.and_then(|reading| reading.waiting),
            requests: figures.requests,
            errors: figures.statuses.get(&Status::Error).copied().unwrap_or(0),
            input_tokens: figures.input_tokens,
            output_tokens: figures.output_tokens,
            estimated: figures.estimated,
            latency: figures.latency.map(spread),
            running_seconds: together_ms(self.runs.iter()) / 1000,
            last_seen: self.runs.iter().map(|run| run.to).max(),
            gpus: gpus.map(|(gpus, _)| gpus),
            gpus_from: gpus.map(|(_, from)| from),
            gpu_seconds: self.gpu_ms().map(|ms| ms / 1000),
            busy_percent: driver.and_then(|driver| driver.busy_percent),
            cost_per_hour: per_hour.map(|(cost, _)| cost),
            running_cost,
            requests_cost,
            currency,
            versus: versus.transpose()?.map(|versus| versus.against(here)),
            page: self.page(),
        })
    }

    /// The model whose price per hour holds.
    fn priced_model(&self) -> &str {
        let first = || self.models.first().map(String::as_str);
        self.model.as_deref().or_else(first).unwrap_or_default()
    }

    /// What its running time came to in a currency; absent where some of it has a price in
    /// another one, or none.
    fn running_cost(&self, book: &Book, wanted: Currency) -> Option<Money> {
        let place = (&*self.server.id, self.priced_model());
        let mut all = Money::ZERO;
        for (from, ms) in spans(self.runs.iter()) {
            let (cost, currency) = server_cost(book, place, Timestamp::from_millis(from), ms)?;
            all = all.checked_add(cost).filter(|_| currency == wanted)?;
        }
        Some(all)
    }

    fn page(&self) -> String {
        let provider = format!("provider={}", escaped(&self.server.id));
        let models: Vec<&String> = match self.is_whole {
            true => Vec::new(),
            false if self.models.is_empty() => self.model.iter().collect(),
            false => self.models.iter().collect(),
        };
        let models = models.into_iter().map(|model| format!("model={}", escaped(model)));
        let query: Vec<String> =
            ["range=all".to_owned(), provider].into_iter().chain(models).collect();
        format!("/requests?{}", query.join("&"))
    }
}

fn state(server: &OwnServer, reading: &ServerReading, model: Option<&str>) -> DeploymentState {
    match reading.state {
        ServerState::Asleep => return DeploymentState::Idle,
        ServerState::Loading => return DeploymentState::Loading,
        ServerState::Unreachable => return DeploymentState::Unreachable,
        ServerState::Unclear => return DeploymentState::Unclear,
        ServerState::Up => {}
    }
    let name = |model| canonical(server.status, model);
    let Some(model) = model.map(name) else {
        let is_active = reading.serves_any || !reading.ready.is_empty();
        return if is_active { DeploymentState::Active } else { DeploymentState::Idle };
    };
    if reading.serves_any || reading.ready.keys().any(|ready| name(ready) == model) {
        return DeploymentState::Active;
    }
    let is_installed =
        reading.installed.as_ref().map(|all| all.iter().any(|one| name(one) == model));
    match (is_installed, server.status) {
        (Some(false), _) | (None, ServerStatus::Vllm | ServerStatus::Openai) => {
            DeploymentState::Absent
        }
        (Some(true) | None, _) => DeploymentState::Idle,
    }
}

/// Time of all graphics processors together; those that several models share count once.
fn all_gpu_ms(rows: &[Found<'_>]) -> Option<u64> {
    let mut sum = None;
    let mut add = |ms: u64| sum = Some(sum.unwrap_or(0_u64).saturating_add(ms));
    let mut shared: BTreeMap<&str, (u32, Vec<&Run>)> = BTreeMap::new();
    let mut of_driver: Vec<&Run> = Vec::new();
    for row in rows {
        match row.gpus() {
            Some((_, GpusFrom::Declared)) => add(row.gpu_ms().unwrap_or(0)),
            Some((gpus, GpusFrom::Server)) => {
                shared.entry(&*row.server.id).or_insert((gpus, Vec::new())).1.extend(&row.runs);
            }
            Some((_, GpusFrom::Driver)) => of_driver.extend(&row.runs),
            None => {}
        }
    }
    for (gpus, runs) in shared.values() {
        add(together_ms(runs.iter().copied()).saturating_mul(u64::from(*gpus)));
    }
    if let Some(ms) = driver_gpu_ms(&of_driver) {
        add(ms);
    }
    sum
}
