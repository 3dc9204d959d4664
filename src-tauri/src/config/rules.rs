//! What `config.toml` says about alerts, budgets, deployments and routes: its lists of rules.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{anyhow, bail};
use api::alerts::{AlertPlan, AlertRule, QuietHours, Rule};
use api::budgets::BudgetRule;
use api::deployments::{DeploymentPlan, DeploymentRule, OwnServer, canonical};
use api::routes::RouteRule;
use meter::budget::Budget;
use meter::provider::{Hosting, Providers};
use meter::route::NamedRoute;

/// The rules in force: the user's own, or those that are ready where there are none.
pub(super) fn alerts(
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

pub(super) fn alert(entry: &AlertRule) -> anyhow::Result<Rule> {
    entry.check().map_err(|problem| {
        let hint = problem.hint.unwrap_or_default();
        let name: String = entry.name.chars().take(80).collect();
        anyhow!("[[alerts]] `{name}`: {}\nhint: {hint}", problem.message)
    })
}

pub(super) fn budgets(entries: &[BudgetRule]) -> anyhow::Result<Vec<Budget>> {
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
pub(super) fn deployments(
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
pub(super) fn are_declared_once(
    declared: &[DeploymentRule],
    servers: &[OwnServer],
) -> anyhow::Result<()> {
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
pub(super) fn is_here(origin: &str) -> bool {
    let host = reqwest::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

pub(super) fn server_status(seconds: Option<u64>) -> anyhow::Result<Option<Duration>> {
    match seconds {
        Some(0) => Ok(None),
        Some(seconds) if seconds > 3600 => bail!(
            "server_status_seconds = `{seconds}` is out of range\nallowed: 1 to 3600; 0: your own servers are never asked whether they run"
        ),
        given => Ok(Some(Duration::from_secs(given.unwrap_or(60)))),
    }
}

pub(super) fn routes(
    entries: &[RouteRule],
    providers: &Providers,
) -> anyhow::Result<Vec<NamedRoute>> {
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
