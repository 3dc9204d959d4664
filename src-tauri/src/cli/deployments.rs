//! `tollgate deployments`: what runs on the user's own servers, and every change of what is
//! declared of them.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use api::alerts::escaped;
use api::deployments::{
    Deployment, DeploymentRule, DeploymentState, Deployments, FineTuning, GpusFrom, Versus,
};
use api::prices::{PricesInForce, TellPrice};
use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};
use meter::provider::ServerStatus;
use meter::receipt::Status;

use super::figure::{count, grouped, in_currency, money};
use super::filters::Filters;
use super::screen::{BAD, FAINT, GOOD, ODD, PLAIN, Screen};
use super::table::{self, Align, Cell, Column};
use crate::config::Config;
use crate::rule_file::undeclared;

/// Shows models on servers of your own, and fine-tunings: whether they run, for how long, what they
/// were used for.
///
/// Models that were called are found by themselves. Servers that are declared, or were called within
/// the last hour, are asked once a minute which models they hold ready (`server_status_seconds` in
/// `config.toml`; 0: never), by requests that load nothing and show no key. Running time is what was
/// seen: calls, and the time between two such answers. A fine-tuning stands as your own programs'
/// calls last showed it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  tollgate deployments --last 7d
  tollgate deployments add studio --provider vllm --gpus 2 --cost-per-hour 1.20
  tollgate deployments edit studio --versus openai/gpt-5-mini
  tollgate deployments --versus anthropic/claude-haiku-4-5 --last 30d
  tollgate deployments --json | jq '.deployments[] | select(.state == \"active\")'")]
pub(crate) struct DeploymentsArgs {
    #[command(subcommand)]
    command: Option<DeploymentsCommand>,
    #[command(flatten)]
    list: Box<ListArgs>,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// What the same usage would have cost with this paid model: `provider/model`
    #[arg(long, value_name = "PROVIDER/MODEL")]
    versus: Option<String>,
    /// Print one JSON object, as `GET /api/v1/deployments` answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

#[derive(Debug, Subcommand)]
enum DeploymentsCommand {
    /// Lists deployments and fine-tunings
    List {
        #[command(flatten)]
        list: Box<ListArgs>,
    },
    /// Declares a deployment
    Add {
        /// What it is called
        name: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Changes a declaration; what is not named stays as it is
    Edit {
        /// What it is called
        name: String,
        /// Calls it so from now on
        #[arg(long, value_name = "NEW")]
        rename: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Removes a declaration; its requests and running time stay
    Remove {
        /// What it is called
        name: String,
    },
}

/// What a deployment is; an empty text takes it back.
#[derive(Debug, Args)]
struct Fields {
    /// The server: a provider whose kind is `local`
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Its model, as receipts name it [default: all that is not declared by itself]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Graphics processors that are set aside for it [default: as the driver counts them]
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    gpus: Option<i64>,
    /// What the server can be asked [default: what the provider is known for]
    #[arg(long, value_enum)]
    status: Option<StatusWord>,
    /// The paid model it is compared with
    #[arg(long, value_name = "PROVIDER/MODEL")]
    versus: Option<String>,
    /// What an hour of it costs, in dollars: written to your own prices, for its calls as well
    #[arg(long, value_name = "DOLLARS", allow_negative_numbers = true)]
    cost_per_hour: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatusWord {
    /// `/api/ps`, `/api/tags`
    Ollama,
    /// `/health`, `/v1/models`, `/metrics`
    Vllm,
    /// `/health`, `/props`, `/slots`
    Llamacpp,
    /// `/api/v0/models`
    Lmstudio,
    /// `/v1/models`
    Openai,
    /// Nothing
    None,
}

impl From<StatusWord> for ServerStatus {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Ollama => Self::Ollama,
            StatusWord::Vllm => Self::Vllm,
            StatusWord::Llamacpp => Self::Llamacpp,
            StatusWord::Lmstudio => Self::Lmstudio,
            StatusWord::Openai => Self::Openai,
            StatusWord::None => Self::None,
        }
    }
}

impl Fields {
    fn over(&self, rule: DeploymentRule) -> DeploymentRule {
        let text = |given: &Option<String>, before: Option<String>| match given.as_deref() {
            None => before,
            Some("") => None,
            Some(given) => Some(given.to_owned()),
        };
        DeploymentRule {
            provider: self.provider.clone().unwrap_or(rule.provider),
            model: text(&self.model, rule.model),
            gpus: self.gpus.or(rule.gpus),
            status: self.status.map(ServerStatus::from).or(rule.status),
            versus: text(&self.versus, rule.versus),
            ..rule
        }
    }

    /// Writes the price per hour, where one is given, to the one place where prices are.
    fn tell_price(&self, rule: &DeploymentRule) -> anyhow::Result<()> {
        let Some(dollars) = &self.cost_per_hour else { return Ok(()) };
        let told = TellPrice {
            provider: rule.provider.clone(),
            model: rule.model.clone().unwrap_or_default(),
            from: None,
            rates: BTreeMap::from([("server.seconds".to_owned(), format!("{dollars}/h"))]),
        };
        let _: PricesInForce = super::change(Method::PUT, "/api/v1/prices/own", Some(&told))?;
        super::remark(&format!("An hour of `{}` costs ${dollars}.", rule.name));
        Ok(())
    }
}

impl DeploymentsArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            None => self.list.run(),
            Some(DeploymentsCommand::List { list }) => list.run(),
            Some(DeploymentsCommand::Add { name, fields }) => {
                let rule = DeploymentRule { name: name.clone(), ..DeploymentRule::default() };
                let rule = fields.over(rule);
                let rule = super::change(Method::POST, "/api/v1/deployments", Some(&rule))?;
                said(&rule);
                fields.tell_price(&rule)
            }
            Some(DeploymentsCommand::Edit { name, rename, fields }) => {
                let declared = Config::load(&super::home()?.config())?.deployments.declared;
                let before = declared.into_iter().find(|rule| rule.name == *name);
                let before = before.ok_or_else(|| undeclared(name))?;
                let new_name = rename.clone().unwrap_or_else(|| before.name.clone());
                let rule = fields.over(DeploymentRule { name: new_name, ..before });
                let rule = super::change(Method::PUT, &path(name), Some(&rule))?;
                said(&rule);
                fields.tell_price(&rule)
            }
            Some(DeploymentsCommand::Remove { name }) => {
                let _: DeploymentRule = super::change(Method::DELETE, &path(name), None::<&()>)?;
                super::remark(&format!("Deployment `{name}` is no longer declared."));
                Ok(())
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/deployments/{}", escaped(name))
}

fn said(rule: &DeploymentRule) {
    let of = rule.model.as_ref().map_or_else(String::new, |model| format!(", model {model}"));
    super::remark(&format!("Deployment `{}`: {}{of}.", rule.name, rule.provider));
}

impl ListArgs {
    fn run(&self) -> anyhow::Result<()> {
        let mut query = self.filters.parameters();
        query.extend(self.versus.clone().map(|versus| ("versus", versus)));
        if !query.iter().any(|(name, _)| *name == "tz") {
            query.push(("tz", super::zone().name().to_owned()));
        }
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let path = format!("/api/v1/deployments?{}", query.join("&"));
        let answer: Deployments = super::change(Method::GET, &path, None::<&()>)?;
        let mut screen = Screen::take();
        if self.json {
            screen.json(&answer)?;
        } else {
            print(&mut screen, &answer)?;
        }
        Ok(screen.flush()?)
    }
}

const COLUMNS: &[Column] = &[
    Column::new("name", Align::Left, 0).cut(14),
    Column::new("type", Align::Left, 5),
    Column::new("state", Align::Left, 0),
    Column::new("requests", Align::Right, 1),
    Column::new("ran", Align::Right, 0),
    Column::new("tokens", Align::Right, 1),
    Column::new("GPUs", Align::Right, 3),
    Column::new("GPU hours", Align::Right, 4),
    Column::new("cost", Align::Point, 2),
    Column::new("saved", Align::Point, 2),
];

fn print(screen: &mut Screen, answer: &Deployments) -> io::Result<()> {
    let totals = &answer.totals;
    if answer.deployments.is_empty() && answer.fine_tunings.is_empty() {
        super::remark(
            "No model on a server of your own was called or is declared. Declare one with `tollgate deployments add`.",
        );
        return Ok(());
    }
    let hours = totals
        .gpu_seconds
        .map_or_else(String::new, |seconds| format!(", {} GPU hours", hours(seconds)));
    writeln!(
        screen,
        "{} of {} deployments run; {} requests{hours}; {} fine-tunings, {} of them under way\n",
        grouped(totals.active),
        grouped(totals.deployments),
        grouped(totals.requests),
        grouped(totals.fine_tunings),
        grouped(totals.fine_tunings_running),
    )?;
    let mut rows: Vec<Vec<Cell>> = answer.deployments.iter().map(cells).collect();
    rows.extend(answer.fine_tunings.iter().map(tuning_cells));
    table::print(screen, COLUMNS, &rows)?;
    if answer.more != 0 {
        super::remark(&format!("{} more are not shown.", grouped(answer.more)));
    }
    if answer.deployments.iter().any(|one| one.estimated != 0) {
        super::remark("~ Tokens of some requests are estimated.");
    }
    notes(answer);
    Ok(())
}

/// What the columns have no room for.
fn notes(answer: &Deployments) {
    for one in &answer.deployments {
        let Some(versus) = &one.versus else { continue };
        let Versus { model, requests, unpriced, too_many, .. } = versus;
        if *too_many {
            super::remark(&format!(
                "`{}` has too many requests to rate each as `{model}`: ask for a shorter period.",
                one.name
            ));
        } else if *unpriced != 0 {
            super::remark(&format!(
                "{} of {} requests of `{}` have no price as `{model}`.",
                grouped(*unpriced),
                grouped(*requests),
                one.name
            ));
        }
    }
}

fn cells(one: &Deployment) -> Vec<Cell> {
    let (state, style) = match one.state {
        DeploymentState::Active => ("active", GOOD),
        DeploymentState::Idle => ("idle", PLAIN),
        DeploymentState::Loading => ("loading", ODD),
        DeploymentState::Absent => ("not there", ODD),
        DeploymentState::Unreachable => ("unreachable", BAD),
        DeploymentState::Unclear => ("unclear", ODD),
        DeploymentState::Unknown => ("not asked", FAINT),
    };
    let estimated = if one.estimated == 0 { "" } else { "~" };
    let gpus = one.gpus.map(|gpus| match one.gpus_from {
        Some(GpusFrom::Driver) | None => gpus.to_string(),
        Some(GpusFrom::Declared | GpusFrom::Server) => format!("{gpus} declared"),
    });
    let in_own = |amount| in_currency(&money(amount), one.currency);
    let cost = one.running_cost.map(in_own).or_else(|| one.requests_cost.map(money));
    let saved = one.versus.as_ref().and_then(|versus| versus.saved).map(money);
    vec![
        Cell::new(&one.name),
        Cell::new("deployment").style(FAINT),
        Cell::new(state).style(style),
        Cell::new(grouped(one.requests)),
        Cell::new(span(one.running_seconds)),
        Cell::new(format!("{estimated}{}", grouped(one.input_tokens + one.output_tokens))),
        Cell::optional(gpus.as_deref()),
        Cell::optional(one.gpu_seconds.map(hours).as_deref()),
        Cell::optional(cost.as_deref()),
        Cell::optional(saved.as_deref()),
    ]
}

fn tuning_cells(one: &FineTuning) -> Vec<Cell> {
    let style = match one.status {
        Status::Succeeded => GOOD,
        Status::Pending => ODD,
        Status::Error | Status::Denied => BAD,
        Status::Cancelled | Status::Interrupted => PLAIN,
    };
    let model = one.model.as_deref().unwrap_or_default();
    let state = if one.status == Status::Pending { "running" } else { one.status.as_str() };
    vec![
        Cell::new(format!("{} {model}", one.job)),
        Cell::new("fine-tuning").style(FAINT),
        Cell::new(state).style(style),
        Cell::optional(None),
        Cell::optional(one.seconds.map(span).as_deref()),
        Cell::optional(one.trained_tokens.map(count).as_deref()),
        Cell::optional(None),
        Cell::optional(None),
        Cell::optional(one.cost.map(|cost| in_currency(&money(cost), one.currency)).as_deref()),
        Cell::optional(None),
    ]
}

/// A span as people say it: `31 h 12 min`.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {:02} min", grouped(seconds / 3600), seconds % 3600 / 60),
    }
}

/// Hours with one decimal, rounded down: what was set aside at least.
fn hours(seconds: u64) -> String {
    format!("{}.{}", grouped(seconds / 3600), seconds % 3600 / 360)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_hours_are_never_rounded_up() {
        assert_eq!(
            [59, 60, 3599, 3600, 112_320].map(span),
            ["59 s", "1 min", "59 min", "1 h 00 min", "31 h 12 min"]
        );
        assert_eq!([0, 359, 360, 3599, 149_400].map(hours), ["0.0", "0.0", "0.1", "0.9", "41.5"]);
    }
}
