//! `config.toml`: where to listen, which provider is where. A wrong file is refused with
//! file, line and the allowed values; a missing one means defaults.

mod jobs;
mod providers;
mod rules;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::alerts::{AlertPlan, AlertRule, QuietHours};
use api::budgets::BudgetRule;
use api::deployments::{DeploymentPlan, DeploymentRule};
use api::routes::RouteRule;
use gateway::Timeouts;
use meter::budget::Budget;
use meter::provider::Providers;
use meter::route::NamedRoute;
use serde::Deserialize;

use jobs::{BackupEntry, MetricsEntry, OtlpEntry, PriceRefreshEntry, PruneEntry};
pub(crate) use jobs::{BackupPlan, OtlpPlan, PriceRefresh, PrunePlan};
use providers::ProviderEntry;

/// The port of the documented addresses.
const PORT: u16 = 8655;

/// More is no configuration but a mistake, which would be read for a while.
const LONGEST: usize = 1_000_000;

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
            providers.insert(providers::provider(&providers, id, entry)?);
        }
        let gpus = |id: &str| file.providers.get(id).and_then(|entry| entry.gpus);
        let deployments = rules::deployments(&file.deployments, &providers, gpus)?;
        let default_provider = file.default_provider.unwrap_or_else(|| "openai".into());
        if providers.get(&default_provider).is_none() {
            let known: Vec<&str> = providers.iter().map(|p| &*p.id).collect();
            bail!(
                "default_provider = `{default_provider}` names no provider\nallowed: {}",
                known.join(", ")
            );
        }
        let backup = jobs::backup(file.backup.unwrap_or_default())?;
        let listen_is_explicit = file.listen.is_some();
        let listen = match file.listen {
            None => default_listen(),
            Some(OneOrMany::One(one)) => vec![address(&one)?],
            Some(OneOrMany::Many(many)) if many.is_empty() => {
                bail!("listen = [] names nowhere to listen\nallowed: one `ADDRESS:PORT` or more")
            }
            Some(OneOrMany::Many(many)) => {
                many.iter().map(|a| address(a)).collect::<Result<_, _>>()?
            }
        };
        Ok(Self {
            listen,
            listen_is_explicit,
            default_provider,
            routes: rules::routes(&file.routes, &providers)?,
            usage_assist: file.usage_assist.unwrap_or(true),
            response_meta: file.response_meta.unwrap_or(true),
            metadata_tags: file.metadata_tags.unwrap_or(true),
            allowed_hosts: file.allowed_hosts,
            local_process: file.attribution.local_process,
            providers,
            idle_timeout: seconds(
                "idle_timeout_seconds",
                file.idle_timeout_seconds,
                Timeouts::default().upstream_silence,
            )?,
            connect_timeout: seconds(
                "connect_timeout_seconds",
                file.connect_timeout_seconds,
                Timeouts::default().connect,
            )?,
            prune: file.prune.map(|entry| jobs::prune(&entry, &backup)).transpose()?,
            backup,
            alerts: rules::alerts(file.alerts, file.quiet_hours)?,
            budgets: rules::budgets(&file.budgets)?,
            deployments,
            server_status: rules::server_status(file.server_status_seconds)?,
            metrics: file.metrics.enabled,
            otlp: file.otlp.as_ref().map(jobs::otlp).transpose()?,
            price_refresh: file.price_refresh.as_ref().map(jobs::price_refresh).transpose()?,
        })
    }
}

/// A time that something may take: never none at all.
fn seconds(name: &str, given: Option<u64>, default: Duration) -> anyhow::Result<Duration> {
    match given {
        Some(0) => bail!("{name} = `0` would end everything at once\nallowed: 1 or more"),
        given => Ok(given.map_or(default, Duration::from_secs)),
    }
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

#[cfg(test)]
mod tests {
    use api::alerts::Rule;
    use meter::Timestamp;
    use meter::provider::{Auth, Hosting};

    use super::*;

    #[test]
    fn what_could_never_serve_is_refused() {
        assert!(refusal("listen = []").contains("nowhere to listen"));
        for name in ["idle_timeout_seconds", "connect_timeout_seconds"] {
            assert!(refusal(&format!("{name} = 0")).contains(&format!("{name} = `0`")));
        }
    }

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
