//! `config.toml`: where to listen, which provider is where. A wrong file is refused with
//! file, line and the allowed values; a missing one means defaults.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use api::alerts::{AlertPlan, AlertRule, QuietHours, Rule};
use api::budgets::BudgetRule;
use api::deployments::{DeploymentPlan, DeploymentRule, OwnServer, canonical};
use api::routes::RouteRule;
use chrono::Months;
use gateway::Timeouts;
use meter::Timestamp;
use meter::budget::Budget;
use meter::price::PublicKey;
use meter::provider::{Auth, Hosting, Provider, Providers};
use meter::route::{Family, NamedRoute};
use serde::Deserialize;

use crate::home::Home;
use crate::pages;

/// The port of the documented addresses.
const PORT: u16 = 8655;

/// More is no configuration but a mistake, which would be read for a while.
const LONGEST: usize = 1_000_000;

/// First path segments that can be no provider's id, besides those of the pages.
const RESERVED: &[&str] = &["api", "w", "v1", "v1beta", "healthz", "metrics", "assets", "open"];

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<OneOrMany>,
    default_provider: Option<Box<str>>,
    usage_assist: Option<bool>,
    response_meta: Option<bool>,
    metadata_tags: Option<bool>,
    #[serde(default)]
    allowed_hosts: Vec<Box<str>>,
    #[serde(default)]
    attribution: AttributionEntry,
    idle_timeout_seconds: Option<u64>,
    connect_timeout_seconds: Option<u64>,
    price_refresh: Option<PriceRefreshEntry>,
    backup: Option<BackupEntry>,
    prune: Option<PruneEntry>,
    quiet_hours: Option<QuietHours>,
    alerts: Option<Vec<AlertRule>>,
    #[serde(default)]
    metrics: MetricsEntry,
    otlp: Option<OtlpEntry>,
    #[serde(default)]
    budgets: Vec<BudgetRule>,
    #[serde(default)]
    deployments: Vec<DeploymentRule>,
    server_status_seconds: Option<u64>,
    #[serde(default)]
    routes: Vec<RouteRule>,
    #[serde(default)]
    providers: BTreeMap<Box<str>, ProviderEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRefreshEntry {
    url: Box<str>,
    public_key: Box<str>,
    every_hours: Option<u64>,
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsEntry {
    #[serde(default)]
    enabled: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtlpEntry {
    endpoint: Box<str>,
    trace_url: Option<Box<str>>,
    #[serde(default)]
    propagate: bool,
    every_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupEntry {
    folder: Option<PathBuf>,
    every_hours: Option<u64>,
    keep: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PruneEntry {
    keep_months: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributionEntry {
    #[serde(default)]
    local_process: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderEntry {
    base_url: Option<Box<str>>,
    name: Option<Box<str>>,
    auth: Option<Auth>,
    kind: Option<Hosting>,
    bare_prefix: Option<Box<str>>,
    usage_assist: Option<bool>,
    /// The wire formats in which routes may call it.
    speaks: Option<Vec<Family>>,
    /// Graphics processors that all its models share.
    gpus: Option<u32>,
}

/// What the file means.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: Vec<SocketAddr>,
    /// Whether `listen` was written by the user: then every address must work.
    pub(crate) listen_is_explicit: bool,
    /// Where bare `/v1` goes.
    pub(crate) default_provider: Box<str>,
    /// Ask for usage where clients do not.
    pub(crate) usage_assist: bool,
    /// Tell clients that ask what their receipts say.
    pub(crate) response_meta: bool,
    /// Take labels and user of request bodies for tags.
    pub(crate) metadata_tags: bool,
    /// Further `Host` values to accept.
    pub(crate) allowed_hosts: Vec<Box<str>>,
    /// Find out which program of this machine calls.
    pub(crate) local_process: bool,
    /// Built-in providers with the user's changes, and the user's own.
    pub(crate) providers: Providers,
    /// Silence of an upstream that ends a call.
    pub(crate) idle_timeout: Duration,
    /// How long a connection may take.
    pub(crate) connect_timeout: Duration,
    /// Where newer prices come from; absent: from nowhere.
    pub(crate) price_refresh: Option<PriceRefresh>,
    /// Where copies of the ledger go, and when.
    pub(crate) backup: BackupPlan,
    /// How long receipts are kept; absent: for good.
    pub(crate) prune: Option<PrunePlan>,
    /// When to speak up.
    pub(crate) alerts: AlertPlan,
    /// What may be spent.
    pub(crate) budgets: Vec<Budget>,
    /// The user's own servers, and what he declared of them.
    pub(crate) deployments: DeploymentPlan,
    /// Between two looks at those servers; absent: they are never asked.
    pub(crate) server_status: Option<Duration>,
    /// What may be asked for by a name of the user's own.
    pub(crate) routes: Vec<NamedRoute>,
    /// Whether a monitoring system may ask `/metrics`.
    pub(crate) metrics: bool,
    /// Which collector is told of calls; absent: none.
    pub(crate) otlp: Option<OtlpPlan>,
}

/// How an OpenTelemetry collector is told of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtlpPlan {
    /// What stands before `/v1/traces`.
    pub(crate) endpoint: reqwest::Url,
    /// Where a trace can be looked at, with `{trace_id}` in it.
    pub(crate) trace_url: Option<Box<str>>,
    /// Whether upstream is told of the trace where the client said nothing.
    pub(crate) propagate: bool,
    /// Between two sums.
    pub(crate) every: Duration,
}

/// Where copies of the ledger go, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackupPlan {
    folder: Option<PathBuf>,
    /// Between two copies; absent: only when asked to.
    pub(crate) every: Option<Duration>,
    /// How many stay.
    pub(crate) keep: usize,
}

/// How long receipts are kept; their sums stay for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrunePlan {
    /// Months of the calendar.
    pub(crate) keep_months: u32,
}

impl PrunePlan {
    /// Before which instant receipts go. Absent: no calendar reaches back so far.
    pub(crate) fn before(self, now: Timestamp) -> Option<Timestamp> {
        now.utc().checked_sub_months(Months::new(self.keep_months)).map(Timestamp::from)
    }
}

impl BackupPlan {
    /// The folder of the copies: what the user wrote, beginning at the home, or `backups`.
    pub(crate) fn folder(&self, home: &Home) -> PathBuf {
        home.path().join(self.folder.as_deref().unwrap_or(Path::new("backups")))
    }
}

/// Where newer prices come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriceRefresh {
    /// Of the bundle.
    pub(crate) url: reqwest::Url,
    /// Who must have signed it.
    pub(crate) public_key: PublicKey,
    /// Between two looks; absent: only when asked to.
    pub(crate) every: Option<Duration>,
    /// How long it may take.
    pub(crate) patience: Duration,
}

impl Config {
    /// Reads the file, if there is one.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("could not read `{}`", path.display()));
            }
        };
        Self::parse(&text).with_context(|| {
            format!("`{}` is not a valid configuration\nhint: mend the line below, or move the file away to start with defaults", path.display())
        })
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// Names the line, or the entry, that cannot be.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        if text.len() > LONGEST {
            bail!(
                "it is {} kB long\nallowed: up to {} kB; nobody writes more by hand",
                text.len() / 1000,
                LONGEST / 1000
            );
        }
        let file: File = toml::from_str(text)?;
        let mut providers = Providers::built_in().clone();
        for (id, entry) in &file.providers {
            providers.insert(provider(&providers, id, entry)?);
        }
        let gpus = |id: &str| file.providers.get(id).and_then(|entry| entry.gpus);
        let deployments = deployments(&file.deployments, &providers, gpus)?;
        let default_provider = file.default_provider.unwrap_or_else(|| "openai".into());
        if providers.get(&default_provider).is_none() {
            let known: Vec<&str> = providers.iter().map(|p| &*p.id).collect();
            bail!(
                "default_provider = `{default_provider}` names no provider\nallowed: {}",
                known.join(", ")
            );
        }
        let backup = backup(file.backup.unwrap_or_default())?;
        let listen_is_explicit = file.listen.is_some();
        let listen = match file.listen {
            None => default_listen(),
            Some(OneOrMany::One(one)) => vec![address(&one)?],
            Some(OneOrMany::Many(many)) => {
                many.iter().map(|a| address(a)).collect::<Result<_, _>>()?
            }
        };
        Ok(Self {
            listen,
            listen_is_explicit,
            default_provider,
            routes: routes(&file.routes, &providers)?,
            usage_assist: file.usage_assist.unwrap_or(true),
            response_meta: file.response_meta.unwrap_or(true),
            metadata_tags: file.metadata_tags.unwrap_or(true),
            allowed_hosts: file.allowed_hosts,
            local_process: file.attribution.local_process,
            providers,
            idle_timeout: seconds(file.idle_timeout_seconds, Timeouts::default().upstream_silence),
            connect_timeout: seconds(file.connect_timeout_seconds, Timeouts::default().connect),
            prune: file.prune.map(|entry| prune(&entry, &backup)).transpose()?,
            backup,
            alerts: alerts(file.alerts, file.quiet_hours)?,
            budgets: budgets(&file.budgets)?,
            deployments,
            server_status: server_status(file.server_status_seconds)?,
            metrics: file.metrics.enabled,
            otlp: file.otlp.as_ref().map(otlp).transpose()?,
            price_refresh: file.price_refresh.as_ref().map(price_refresh).transpose()?,
        })
    }
}

fn otlp(entry: &OtlpEntry) -> anyhow::Result<OtlpPlan> {
    let OtlpEntry { endpoint, trace_url, propagate, every_seconds } = entry;
    let is_web = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_plain = |url: &reqwest::Url| {
        url.username().is_empty() && url.password().is_none() && url.query().is_none()
    };
    let parsed = reqwest::Url::parse(endpoint).ok().filter(|url| is_web(url) && is_plain(url));
    let Some(url) = parsed else {
        bail!(
            "[otlp]: endpoint = `{}` cannot be used\nallowed: `http://HOST:PORT` or `https://…` without credentials or query, such as `http://127.0.0.1:4318`; credentials come from the environment, OTEL_EXPORTER_OTLP_HEADERS",
            endpoint.split('@').next_back().unwrap_or_default()
        );
    };
    if let Some(template) = trace_url {
        let filled = template.replace("{trace_id}", "0");
        let is_link = template.contains("{trace_id}")
            && reqwest::Url::parse(&filled).is_ok_and(|url| is_web(&url));
        if !is_link {
            bail!(
                "[otlp]: trace_url = `{template}` cannot be used\nallowed: an address with {{trace_id}} in it, such as `http://127.0.0.1:16686/trace/{{trace_id}}`"
            );
        }
    }
    if let Some(seconds) = every_seconds.filter(|seconds| !(1..=3600).contains(seconds)) {
        bail!("[otlp]: every_seconds = `{seconds}` is out of range\nallowed: 1 to 3600");
    }
    let every = seconds(*every_seconds, Duration::from_secs(60));
    Ok(OtlpPlan { endpoint: url, trace_url: trace_url.clone(), propagate: *propagate, every })
}

fn price_refresh(entry: &PriceRefreshEntry) -> anyhow::Result<PriceRefresh> {
    let PriceRefreshEntry { url, public_key, every_hours, timeout_seconds } = entry;
    let parsed = reqwest::Url::parse(url).ok().filter(|url| {
        let here = url
            .host_str()
            .is_some_and(|host| matches!(host, "localhost" | "[::1]") || host.starts_with("127."));
        url.scheme() == "https" || (url.scheme() == "http" && here)
    });
    let Some(url) = parsed else {
        bail!(
            "[price_refresh]: url = `{url}` cannot be used\nallowed: `https://…`, or `http://` on this machine"
        );
    };
    let public_key = public_key.parse().map_err(|wrong| {
        anyhow!("[price_refresh]: public_key = `{public_key}`: {wrong}\nallowed: the key that the publisher of the prices names")
    })?;
    if let Some(hours) = every_hours.filter(|hours| !(1..=24 * 90).contains(hours)) {
        bail!(
            "[price_refresh]: every_hours = `{hours}` is out of range\nallowed: 1 to 2160; left out, prices come only with `tollgate prices refresh`"
        );
    }
    Ok(PriceRefresh {
        url,
        public_key,
        every: every_hours.map(|hours| Duration::from_secs(hours * 60 * 60)),
        patience: seconds(*timeout_seconds, Duration::from_secs(60)),
    })
}

fn backup(entry: BackupEntry) -> anyhow::Result<BackupPlan> {
    let BackupEntry { folder, every_hours, keep } = entry;
    let (hours, keep) = (every_hours.unwrap_or(24), keep.unwrap_or(3));
    if hours > 24 * 366 {
        bail!(
            "[backup]: every_hours = `{hours}` is out of range\nallowed: 1 to 8784; 0: only with `tollgate backup`"
        );
    }
    if !(1..=1000).contains(&keep) {
        bail!("[backup]: keep = `{keep}` is out of range\nallowed: 1 to 1000");
    }
    if folder.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
        bail!(
            "[backup]: folder is empty\nallowed: a path; left out, it is `backups` in the data folder"
        );
    }
    let every = (hours > 0).then(|| Duration::from_secs(hours * 60 * 60));
    Ok(BackupPlan { folder, every, keep })
}

fn prune(entry: &PruneEntry, backup: &BackupPlan) -> anyhow::Result<PrunePlan> {
    let PruneEntry { keep_months } = *entry;
    if !(2..=1200).contains(&keep_months) {
        bail!("[prune]: keep_months = `{keep_months}` is out of range\nallowed: 2 to 1200");
    }
    if backup.every.is_none() {
        bail!(
            "[prune]: receipts go after the ledger was copied, and [backup] every_hours = 0 says never\nallowed: every_hours from 1, or `tollgate prune` now and then"
        );
    }
    Ok(PrunePlan { keep_months })
}

fn seconds(given: Option<u64>, default: Duration) -> Duration {
    given.map_or(default, Duration::from_secs)
}

/// Both loopback addresses, so that `localhost` works whichever way it resolves.
fn default_listen() -> Vec<SocketAddr> {
    vec![
        SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, PORT)),
        SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, PORT)),
    ]
}

/// Reads `ADDRESS:PORT`.
pub(crate) fn address(text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().with_context(|| {
        format!("`{text}` is not an address to listen on\nallowed: ADDRESS:PORT such as `127.0.0.1:8655` or `[::1]:8655`")
    })
}

fn provider(known: &Providers, id: &str, entry: &ProviderEntry) -> anyhow::Result<Provider> {
    let well_formed = !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if !well_formed || RESERVED.contains(&id) || pages::ROUTES.contains(&id) {
        bail!(
            "[providers.{id}]: the id cannot be used\nallowed: lower-case letters, digits, `-`, `_`, `.`, and none of: {}",
            [RESERVED, pages::ROUTES].concat().join(", ")
        );
    }
    if let Some(url) = entry.base_url.as_deref() {
        check_origin(id, url)?;
    }
    let mut provider = match (known.get(id), entry.base_url.as_deref()) {
        (Some(built_in), _) => built_in.clone(),
        (None, Some(url)) => Provider::declared(id, url),
        (None, None) => bail!(
            "[providers.{id}]: a provider Tollgate does not know needs a `base_url` such as `http://10.0.0.7:8000`"
        ),
    };
    if let Some(url) = &entry.base_url {
        provider.base_url = Some(url.trim_end_matches('/').into());
    }
    if let Some(name) = &entry.name {
        provider.name = name.clone();
    }
    if let Some(prefix) = &entry.bare_prefix {
        provider.bare_prefix = prefix.clone();
    }
    provider.auth = entry.auth.unwrap_or(provider.auth);
    provider.hosting = entry.kind.unwrap_or(provider.hosting);
    if let Some(speaks) = &entry.speaks {
        provider.speaks.clone_from(speaks);
    }
    provider.usage_assist = entry.usage_assist.unwrap_or(provider.usage_assist);
    Ok(provider)
}

/// A base URL is an origin: what stands before the path as the client sends it.
fn check_origin(id: &str, url: &str) -> anyhow::Result<()> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let is_origin = rest
        .and_then(|rest| rest.trim_end_matches('/').parse::<http::uri::Authority>().ok())
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if !is_origin {
        bail!(
            "[providers.{id}]: base_url = `{url}` is not an origin\nallowed: `http://HOST:PORT` or `https://HOST`, without path, query or credentials; the path comes from each request"
        );
    }
    Ok(())
}

/// The rules in force: the user's own, or those that are ready where there are none.
fn alerts(
    entries: Option<Vec<AlertRule>>,
    quiet_hours: Option<QuietHours>,
) -> anyhow::Result<AlertPlan> {
    let Some(entries) = entries else {
        return Ok(AlertPlan { rules: Rule::ready(), is_ready_made: true, quiet_hours });
    };
    let rules: Vec<Rule> = entries.iter().map(alert).collect::<anyhow::Result<_>>()?;
    let mut names: Vec<&str> = rules.iter().map(|rule| &*rule.name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("[[alerts]]: two rules are called `{}`\nhint: give each its own name", twice[0]);
    }
    Ok(AlertPlan { rules, is_ready_made: false, quiet_hours })
}

fn budgets(entries: &[BudgetRule]) -> anyhow::Result<Vec<Budget>> {
    let mut budgets: Vec<Budget> = Vec::with_capacity(entries.len());
    let mut names = HashSet::new();
    for entry in entries {
        let budget = entry.check().map_err(|problem| {
            let hint = problem.hint.unwrap_or_default();
            let name: String = entry.name.chars().take(80).collect();
            anyhow!("[[budgets]] `{name}`: {}\nhint: {hint}", problem.message)
        })?;
        if !names.insert(budget.name.clone()) {
            bail!(
                "[[budgets]]: two budgets are called `{}`\nhint: give each its own name",
                budget.name
            );
        }
        budgets.push(budget);
    }
    Ok(budgets)
}

/// The servers whose `kind` is local, and what is declared of them.
fn deployments(
    entries: &[DeploymentRule],
    providers: &Providers,
    gpus: impl Fn(&str) -> Option<u32>,
) -> anyhow::Result<DeploymentPlan> {
    let own = providers.iter().filter(|provider| provider.hosting == Hosting::Local);
    let mut servers: Vec<OwnServer> = own
        .filter_map(|provider| {
            let origin = provider.base_url.clone()?;
            let (gpus, is_here) = (gpus(&provider.id), is_here(&origin));
            let (id, status) = (provider.id.clone(), provider.status);
            Some(OwnServer { id, origin, status, gpus, is_here })
        })
        .collect();
    let mut declared: Vec<DeploymentRule> = Vec::with_capacity(entries.len());
    let mut said = HashMap::new();
    for entry in entries {
        let name: String = entry.name.chars().take(80).collect();
        let rule = entry.check().map_err(|problem| {
            let hint = problem.hint.unwrap_or_default();
            anyhow!("[[deployments]] `{name}`: {}\nhint: {hint}", problem.message)
        })?;
        let Some(server) = servers.iter_mut().find(|server| *server.id == *rule.provider) else {
            bail!(
                "[[deployments]] `{name}`: `{}` is no server of your own\nhint: a provider is one if its `kind` is `local` and it has a `base_url`; there are: {}",
                rule.provider,
                servers.iter().map(|server| &*server.id).collect::<Vec<_>>().join(", ")
            );
        };
        if let Some(status) = rule.status
            && *said.entry(server.id.clone()).or_insert(status) != status
        {
            bail!(
                "[[deployments]] `{name}`: another deployment of `{}` has a different `status`\nhint: a server is asked in one way; leave it out of one of them",
                rule.provider
            );
        }
        server.status = rule.status.unwrap_or(server.status);
        declared.push(rule);
    }
    are_declared_once(&declared, &servers)?;
    Ok(DeploymentPlan { servers, declared })
}

/// How a server names its models depends on its status, which is known once all are read.
fn are_declared_once(declared: &[DeploymentRule], servers: &[OwnServer]) -> anyhow::Result<()> {
    let status: HashMap<&str, _> = servers.iter().map(|one| (&*one.id, one.status)).collect();
    let (mut of_model, mut names) = (HashMap::new(), HashSet::new());
    for rule in declared {
        let (provider, name) = (&*rule.provider, &rule.name);
        let model = rule.model.as_deref();
        let model = model.map(|model| status.get(provider).map(|s| canonical(*s, model)));
        if let Some(same) = of_model.insert((provider, model), name) {
            bail!(
                "[[deployments]] `{name}`: `{same}` has the same provider and model\nhint: declare it once"
            );
        }
        if !names.insert(name) {
            bail!("[[deployments]]: two are called `{name}`\nhint: give each its own name");
        }
    }
    Ok(())
}

/// Whether an origin is this machine.
fn is_here(origin: &str) -> bool {
    let host = reqwest::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

fn server_status(seconds: Option<u64>) -> anyhow::Result<Option<Duration>> {
    match seconds {
        Some(0) => Ok(None),
        Some(seconds) if seconds > 3600 => bail!(
            "server_status_seconds = `{seconds}` is out of range\nallowed: 1 to 3600; 0: your own servers are never asked whether they run"
        ),
        given => Ok(Some(Duration::from_secs(given.unwrap_or(60)))),
    }
}

fn routes(entries: &[RouteRule], providers: &Providers) -> anyhow::Result<Vec<NamedRoute>> {
    let mut routes: Vec<NamedRoute> = Vec::with_capacity(entries.len());
    let mut names = HashSet::new();
    for entry in entries {
        let route = entry.check(providers).map_err(|problem| {
            let hint = problem.hint.unwrap_or_default();
            let name: String = entry.name.chars().take(80).collect();
            anyhow!("[[routes]] `{name}`: {}\nhint: {hint}", problem.message)
        })?;
        if !names.insert(route.name.clone()) {
            bail!(
                "[[routes]]: two routes are called `{}`\nhint: give each its own name",
                route.name
            );
        }
        routes.push(route);
    }
    Ok(routes)
}

fn alert(entry: &AlertRule) -> anyhow::Result<Rule> {
    entry.check().map_err(|problem| {
        let hint = problem.hint.unwrap_or_default();
        let name: String = entry.name.chars().take(80).collect();
        anyhow!("[[alerts]] `{name}`: {}\nhint: {hint}", problem.message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn a_missing_file_means_defaults() {
        let config = Config::load(Path::new("/nowhere/config.toml")).unwrap();
        assert_eq!(&*config.default_provider, "openai");
        assert_eq!(config.listen.len(), 2);
        assert!(config.usage_assist);
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(config.backup, BackupPlan { folder: None, every: Some(day), keep: 3 });
    }

    #[test]
    fn a_provider_can_be_moved_or_declared() {
        let config = Config::parse(
            "[providers.openai]\nbase_url = 'http://127.0.0.1:9100'\nusage_assist = false\n\
             [providers.mylab]\nauth = 'none'\nbase_url = 'http://10.0.0.7:8000'\nkind = 'local'\ngpus = 1\n",
        )
        .unwrap();
        let lab = config.providers.get("mylab").unwrap();
        assert_eq!((lab.auth, lab.hosting), (Auth::None, Hosting::Local));
        assert!(!config.providers.get("openai").unwrap().usage_assist);
        assert_eq!(
            config.providers.get("openai").unwrap().base_url.as_deref(),
            Some("http://127.0.0.1:9100")
        );
    }

    #[test]
    fn a_wrong_file_is_refused_with_line_and_allowed_values() {
        let typo = refusal("listen = '127.0.0.1:1'\nusage_asist = true\n");
        assert!(typo.contains("line 2") && typo.contains("usage_assist"), "{typo}");
        assert!(refusal("[backup]\nkeep = 0\n").contains("allowed: 1 to 1000"));
        assert!(refusal("[backup]\nevery_hours = 9999\n").contains("8784"));
        assert!(refusal("[backup]\nfolder = ''\n").contains("a path"));
        let auth = refusal("[providers.x]\nbase_url = 'http://x'\nauth = 'basic'\n");
        assert!(auth.contains("line 3") && auth.contains("x-api-key"), "{auth}");
        assert!(refusal("[providers.v1]\nbase_url = 'http://x'\n").contains("none of"));
        assert!(refusal("[providers.x]\nbase_url = 'http://x/v1'\n").contains("without path"));
        assert!(refusal("[providers.x]\n").contains("base_url"));
        assert!(refusal("default_provider = 'opnai'").contains("allowed: "));
        let refresh = |url: &str, key: &str| {
            refusal(&format!(
                "[price_refresh]\nurl = '{url}'\npublic_key = '{key}'\nevery_hours = 0\n"
            ))
        };
        assert!(refresh("http://prices.example/x", "").contains("https://"));
        assert!(refresh("https://prices.example/x", "12").contains("64 hexadecimal"));
        assert!(refresh("https://prices.example/x", &"1f".repeat(32)).contains("1 to 2160"));
        assert!(refusal("[price_refresh]\nurl = 'https://x'\n").contains("public_key"));
        assert!(refusal("listen = 'localhost'").contains("ADDRESS:PORT"));
        let otlp = |entry: &str| refusal(&format!("[otlp]\n{entry}\n"));
        assert!(otlp("endpoint = '127.0.0.1:4318'").contains("http://127.0.0.1:4318"));
        let secret = otlp("endpoint = 'https://me:planted@c.example'");
        assert!(secret.contains("OTEL_EXPORTER_OTLP_HEADERS") && !secret.contains("planted"));
        let fine = "endpoint = 'http://c'\n";
        assert!(otlp(&format!("{fine}trace_url = 'http://v/x'")).contains("{trace_id}"));
        assert!(otlp(&format!("{fine}trace_url = 'javascript:{{trace_id}}'")).contains("allowed"));
        assert!(otlp(&format!("{fine}every_seconds = 0")).contains("1 to 3600"));
    }

    #[test]
    fn receipts_are_kept_for_good_unless_the_file_says_how_long() {
        assert_eq!(Config::parse("").unwrap().prune, None);
        let plan = Config::parse("[prune]\nkeep_months = 36\n").unwrap().prune.unwrap();
        let now = Timestamp::parse("2026-11-21T15:00:00Z").unwrap();
        assert_eq!(plan.before(now), Timestamp::parse("2023-11-21T15:00:00Z"));
        assert!(refusal("[prune]\nkeep_months = 1\n").contains("2 to 1200"));
        assert!(refusal("[prune]\n").contains("keep_months"));
        let uncopied = "[prune]\nkeep_months = 36\n[backup]\nevery_hours = 0\n";
        assert!(refusal(uncopied).contains("every_hours"));
    }

    #[test]
    fn a_file_that_no_hand_wrote_is_refused_before_it_is_read() {
        assert!(refusal(&"#".repeat(1_000_001)).contains("up to 1000 kB"));
        assert!(Config::parse(&"#".repeat(1_000_000)).is_ok());
    }

    #[test]
    fn a_deployment_is_of_a_server_of_ones_own_and_declared_once() {
        let lab = "[providers.lab]\nauth = 'none'\nbase_url = 'http://10.0.0.7:8000'\nkind = 'local'\ngpus = 2\n";
        let entry = |fields: &str| {
            format!("{lab}[[deployments]]\nname = 'a'\nprovider = 'lab'\n{fields}\n")
        };
        let plan = Config::parse(&entry("model = 'm'\nstatus = 'vllm'")).unwrap().deployments;
        let server = plan.servers.iter().find(|server| &*server.id == "lab").unwrap();
        assert_eq!((server.gpus, server.is_here), (Some(2), false));
        assert_eq!(server.status, meter::provider::ServerStatus::Vllm);
        assert!(plan.servers.iter().any(|server| server.is_here));
        let other = |name: &str, fields: &str| {
            refusal(&format!(
                "{}[[deployments]]\nname = '{name}'\nprovider = 'lab'\n{fields}\n",
                entry("status = 'none'")
            ))
        };
        assert!(other("b", "").contains("same provider and model"));
        assert!(other("a", "model = 'n'").contains("two are called"));
        assert!(other("b", "model = 'n'\nstatus = 'vllm'").contains("different `status`"));
        assert!(refusal(&entry("status = 'magic'")).contains("line 9"));
        assert!(
            refusal("[[deployments]]\nname = 'a'\nprovider = 'openai'\n")
                .contains("no server of your own")
        );
        assert!(refusal("server_status_seconds = 4000").contains("1 to 3600"));
        assert_eq!(Config::parse("server_status_seconds = 0").unwrap().server_status, None);
    }

    #[test]
    fn alerts_are_the_ready_ones_unless_some_are_written() {
        let ready = Config::parse("").unwrap().alerts;
        assert_eq!((ready.rules, ready.is_ready_made), (Rule::ready(), true));
        assert_eq!(Config::parse("alerts = []").unwrap().alerts, AlertPlan::default());
        let one =
            "[[alerts]]\nname = 'a'\nspend_above = '1.50'\nper = 'week'\nonly = { model = 'm' }\n";
        let rule = Config::parse(one).unwrap().alerts.rules.remove(0);
        assert_eq!(rule.to_string(), "more than $1.50 a week, model m");
        let night = "[quiet_hours]\nfrom = '22:00'\nto = '07:00'\n";
        let hours = Config::parse(night).unwrap().alerts.quiet_hours.unwrap();
        assert_eq!(hours.to_string(), "22:00–07:00");
        assert!(refusal("[quiet_hours]\nfrom = 'ten'\nto = '07:00'\n").contains("`ten`"));
        assert!(refusal(&format!("{one}{one}")).contains("two rules"));
        assert!(refusal("[[alerts]]\nname = 'a'\n").contains("`spend_above`"));
        assert!(refusal("[[alerts]]\nname = 'a'\nspend_above = 'much'\n").contains("dollars"));
        let soon = "[[alerts]]\nname = 'a'\ncalls_above = 1\nwithin = 'soon'\n";
        assert!(refusal(soon).contains("`soon`"));
        let odd = "[[alerts]]\nname = 'a'\ncalls_above = 1\nonly = { modle = 'm' }\n";
        assert!(refusal(odd).contains("`modle`"));
    }
}
