//! `tollgate routes`: the user's own names for a list of targets, and who would be called.

use std::io::{self, Write as _};

use anyhow::bail;
use api::alerts::escaped;
use api::routes::{RouteRule, RouteStanding, Routes, TargetStanding};
use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};
use meter::route::Profile;

use super::screen::{BAD, FAINT, GOOD, ODD, STRONG, Screen, harmless, painted};
use crate::config::Config;
use crate::rule_file::unknown_route;

/// Gives a list of targets a name that clients ask for.
///
/// A client asks for a route as for a model, `route/NAME`, or with the header
/// `x-tollgate-route: NAME`. Its targets are tried one after the other until one answers; once an
/// answer's first byte has gone to the client, nothing else is tried. Only the model's name is
/// changed on the way. Use a pass: each target is called with the stored key of its provider. A
/// call that brings a credential of its own is only tried at targets of the provider it is sent
/// to. Routes stand as `[[routes]]` in `config.toml`, where these commands write them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  tollgate routes add fast groq/llama-3.3-70b-versatile openai/gpt-4o-mini
  tollgate routes add cheap openai/gpt-4o-mini deepseek/deepseek-chat --profile cost
  tollgate routes edit fast --first-byte-ms 2000 --attempts 3
  tollgate routes explain fast              who would be called now, and why")]
pub(crate) struct RoutesArgs {
    #[command(subcommand)]
    command: Option<RoutesCommand>,
    /// Print one route a line, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum RoutesCommand {
    /// Lists the routes
    List {
        /// Print one route a line, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Says which target would be called now, and why
    Explain {
        /// What it is called
        name: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Adds a route
    Add {
        /// What clients ask for
        name: String,
        /// `PROVIDER/MODEL`, in the order in which they are tried
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
        #[command(flatten)]
        rules: Box<RuleArgs>,
    },
    /// Changes a route; what is not named stays as it is
    Edit {
        /// What it is called
        name: String,
        /// Calls it so from now on
        #[arg(long, value_name = "NEW")]
        rename: Option<String>,
        /// New targets in the place of the old ones
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        #[command(flatten)]
        rules: Box<RuleArgs>,
    },
    /// Removes a route
    Remove {
        /// What it is called
        name: String,
    },
}

/// What is preferred, and when the next target is tried.
#[derive(Debug, Args)]
struct RuleArgs {
    /// What is preferred among the targets, by your own receipts [default: their order]
    #[arg(long, value_enum)]
    profile: Option<ProfileWord>,
    /// Statuses after which the next target is tried [default: 408,429,500,502,503,504,529]
    #[arg(long, value_name = "STATUSES", value_delimiter = ',')]
    retry_on: Option<Vec<i64>>,
    /// The most tries of one call [default: one for each target]
    #[arg(long, value_name = "TRIES", allow_negative_numbers = true)]
    attempts: Option<i64>,
    /// How long a target may take to its answer's first byte [default: as long as any call]
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    first_byte_ms: Option<i64>,
    /// The longest wait that a provider may ask for before the same target is tried again
    /// [default: 2000]
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    longest_wait_ms: Option<i64>,
    /// Failures one after the other after which a target rests [default: 3]
    #[arg(long, value_name = "FAILURES", allow_negative_numbers = true)]
    rest_after: Option<i64>,
    /// How long it rests [default: 30]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    rest_seconds: Option<i64>,
    /// May be asked for, or with `--enabled false` not until it is taken back
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    enabled: Option<bool>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileWord {
    /// Their order
    Order,
    /// Price, time and failures together
    Balanced,
    /// The lowest price of a token
    Cost,
    /// The shortest wait for the first token
    Latency,
    /// The most tokens a second
    Throughput,
}

impl RuleArgs {
    fn over(&self, route: RouteRule) -> RouteRule {
        let profile = match self.profile {
            None => route.profile,
            Some(ProfileWord::Order) => None,
            Some(ProfileWord::Balanced) => Some(Profile::Balanced),
            Some(ProfileWord::Cost) => Some(Profile::Cost),
            Some(ProfileWord::Latency) => Some(Profile::Latency),
            Some(ProfileWord::Throughput) => Some(Profile::Throughput),
        };
        RouteRule {
            profile,
            retry_on: self.retry_on.clone().or(route.retry_on),
            attempts: self.attempts.or(route.attempts),
            first_byte_ms: self.first_byte_ms.or(route.first_byte_ms),
            longest_wait_ms: self.longest_wait_ms.or(route.longest_wait_ms),
            rest_after: self.rest_after.or(route.rest_after),
            rest_seconds: self.rest_seconds.or(route.rest_seconds),
            enabled: self.enabled.map_or(route.enabled, |enabled| (!enabled).then_some(false)),
            ..route
        }
    }
}

impl RoutesArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            None => list(self.json),
            Some(RoutesCommand::List { json }) => list(*json),
            Some(RoutesCommand::Explain { name, json }) => explain(name, *json),
            Some(RoutesCommand::Add { name, targets, rules }) => {
                let (name, targets) = (name.clone(), targets.clone());
                let route = rules.over(RouteRule { name, targets, ..RouteRule::default() });
                said(&super::change(Method::POST, "/api/v1/routes", Some(&route))?);
                Ok(())
            }
            Some(RoutesCommand::Edit { name, rename, targets, rules }) => {
                let routes = Config::load(&super::home()?.config())?.routes;
                let before = routes.iter().find(|route| *route.name == **name);
                let mut route = RouteRule::from(before.ok_or_else(|| unknown_route(name))?);
                if let Some(rename) = rename {
                    route.name.clone_from(rename);
                }
                if !targets.is_empty() {
                    route.targets.clone_from(targets);
                }
                said(&super::change(Method::PUT, &path(name), Some(&rules.over(route)))?);
                Ok(())
            }
            Some(RoutesCommand::Remove { name }) => {
                let _: Routes = super::change(Method::DELETE, &path(name), None::<&()>)?;
                super::remark(&format!("Route `{name}` is removed."));
                Ok(())
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/routes/{}", escaped(name))
}

fn said(route: &RouteStanding) {
    super::remark(&format!("Ask for the model `{}`: {}.", route.model, route.says));
    for target in &route.targets {
        if let Some(problem) = &target.problem {
            super::remark(&format!("`{}` cannot be called yet: {problem}", target.target));
        }
    }
}

fn all() -> anyhow::Result<Routes> {
    super::change(Method::GET, "/api/v1/routes", None::<&()>)
}

fn list(json: bool) -> anyhow::Result<()> {
    let routes = all()?.routes;
    let mut screen = Screen::take();
    if json {
        routes.iter().try_for_each(|route| screen.json(route))?;
    } else if routes.is_empty() {
        super::remark("There are no routes. Add one with `tollgate routes add`.");
    } else {
        routes.iter().try_for_each(|route| print(&mut screen, route))?;
    }
    Ok(screen.flush()?)
}

fn explain(name: &str, json: bool) -> anyhow::Result<()> {
    let Some(route) = all()?.routes.into_iter().find(|route| route.route.name == *name) else {
        bail!(unknown_route(name));
    };
    let mut screen = Screen::take();
    if json {
        screen.json(&route)?;
        return Ok(screen.flush()?);
    }
    print(&mut screen, &route)?;
    for (at, target) in route.targets.iter().enumerate() {
        explain_target(&mut screen, at, target)?;
    }
    if let Some(first) = route.targets.iter().find(|target| target.problem.is_none()) {
        writeln!(screen, "A call with a pass would go to {} now.", harmless(&first.target))?;
    } else {
        writeln!(screen, "No target can be called now.")?;
    }
    Ok(screen.flush()?)
}

fn print(screen: &mut Screen, route: &RouteStanding) -> io::Result<()> {
    let usable = route.targets.iter().filter(|target| target.problem.is_none()).count();
    let state = match (route.route.enabled, usable, route.targets.len()) {
        (Some(false), _, _) => painted(FAINT, "off"),
        (_, 0, _) => painted(BAD, "no target can be called"),
        (_, some, all) if some < all => painted(ODD, &format!("{some} of {all} can be called")),
        (_, _, _) => painted(GOOD, "fine"),
    };
    let name = painted(STRONG, &harmless(&route.model));
    writeln!(screen, "{name}: {state}  {}", painted(FAINT, &harmless(&route.says)))?;
    let targets: Vec<&str> = route.route.targets.iter().map(String::as_str).collect();
    writeln!(screen, "    {}", harmless(&targets.join(" → ")))
}

fn explain_target(screen: &mut Screen, at: usize, target: &TargetStanding) -> io::Result<()> {
    let state = match (&target.problem, target.rests_seconds) {
        (Some(problem), _) => painted(BAD, &harmless(problem)),
        (None, Some(_)) => painted(ODD, &harmless(&target.why)),
        (None, None) => harmless(&target.why),
    };
    writeln!(screen, "  {}. {}  {state}", at + 1, painted(STRONG, &harmless(&target.target)))?;
    let mut known = Vec::new();
    known.extend(target.key.as_ref().map(|key| format!("key {key}")));
    known.extend(target.cost.map(|cost| format!("{} per 1M tokens", cost.as_dollars())));
    known.extend(target.wait_ms.map(|wait| format!("{wait} ms to the first token")));
    known.extend(target.tokens_per_second.map(|pace| format!("{pace} tokens/s")));
    known.push(match (target.calls, target.failures) {
        (0, _) => "no calls in the last day".to_owned(),
        (calls, 0) => format!("{calls} calls, none failed"),
        (calls, failed) => format!("{calls} calls, {failed} failed"),
    });
    writeln!(screen, "     {}", painted(FAINT, &harmless(&known.join(" · "))))
}
