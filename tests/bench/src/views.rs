//! What the pages ask, put to a ledger one after another: how long each answer takes, beside
//! what the same sums cost SQLite when it has to read every receipt of the period.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use api::alerts::{AlertRule, compliance};
use api::budgets::spent;
use api::deployments::board::Said;
use api::deployments::listing::Sources;
use api::deployments::{DeploymentPlan, OwnServer, deployments};
use api::passes::passes;
use api::performance::performance;
use api::period::Here;
use api::problem::Problem;
use api::query::{Query, Question};
use api::question;
use api::report::report;
use api::workspaces::workspaces;
use meter::Timestamp;
use meter::budget::Scope;
use meter::price::Book;
use meter::provider::ServerStatus;
use store::Questions;

use crate::machine;
use crate::table::{Table, time};

/// What is allowed: an answer, the first page of the log, and what no page waits for.
const MOST: Duration = Duration::from_millis(50);
const MOST_FIRST_PAGE: Duration = Duration::from_millis(10);
const MOST_OF_THE_REST: Duration = Duration::from_millis(100);

/// Where whoever asks lives: days there are no whole UTC days.
const ZONE: chrono_tz::Tz = chrono_tz::Europe::Berlin;
const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;

/// A question of a page.
struct View {
    page: &'static str,
    asks: Asks,
    most: Duration,
}

/// What is asked, as in an address.
#[derive(Clone, Copy)]
enum Asks {
    Usage(&'static str),
    Performance(&'static str),
    Requests(&'static str),
    /// All rows of an export by the hour.
    Hourly(&'static str),
    Report(&'static str),
    /// As if this provider were a server of the user's own.
    Deployments(&'static str, &'static str),
    /// How a rule that watches all calls was kept.
    Compliance,
    Workspaces,
    Passes,
    /// Spent in all of time, by the models that a budget is of.
    Spent,
}

const fn view(page: &'static str, asks: Asks) -> View {
    View { page, asks, most: MOST }
}

const fn usage(page: &'static str, asks: &'static str) -> View {
    view(page, Asks::Usage(asks))
}

const fn speed(page: &'static str, asks: &'static str) -> View {
    view(page, Asks::Performance(asks))
}

const fn log(page: &'static str, asks: &'static str) -> View {
    View { page, asks: Asks::Requests(asks), most: MOST_FIRST_PAGE }
}

const fn rest(page: &'static str, asks: Asks) -> View {
    View { page, asks, most: MOST_OF_THE_REST }
}

const VIEWS: &[View] = &[
    usage("tray, today", "from=today&by=model"),
    usage("activity, 1 hour", "last=1h&by=model&granularity=hour"),
    usage("activity, 1 day", "last=24h&by=model&granularity=hour"),
    usage("activity, 7 days", "last=7d&by=model&granularity=hour"),
    usage("activity, 30 days", "last=30d&by=model&granularity=day"),
    usage("activity, 30 days by workspace", "last=30d&by=workspace&granularity=day"),
    usage("activity, 30 days, one key", "last=30d&by=model&granularity=day&key=own"),
    usage("activity, a year", "last=1y&by=model&granularity=week"),
    usage("activity, all", "by=model&granularity=month"),
    usage("activity, 30 days, one client", "last=30d&by=model&granularity=day&client=claude-cli"),
    usage("activity, streams of 30 days", "last=30d&by=model&granularity=day&stream=true"),
    usage("one model of the chart, a year", "last=1y&model=gpt-5-2025-08-07&granularity=week"),
    usage("the year before", "from=2Y&to=1Y"),
    usage("calendar of a year", "last=1y&granularity=day"),
    usage("calendar of a year, one workspace", "last=1y&workspace=thesis&granularity=day"),
    usage("models, all", "by=model"),
    usage("models and keys, 30 days by day", "last=30d&by=model,key,day"),
    usage("models and capabilities, a year by month", "last=1y&by=model,capability,month"),
    usage("models and providers, all", "by=model,provider"),
    usage("hours of one model, 7 days", "last=7d&model=gpt-5-2025-08-07&by=hour"),
    usage("days of one model, all", "model=gpt-5-2025-08-07&by=day"),
    usage("providers, all", "by=provider"),
    usage("keys, all", "by=key"),
    usage("passes, all", "by=pass"),
    usage("clients, all", "by=client"),
    usage("kinds, all", "by=kind"),
    usage("workspaces, all", "by=workspace"),
    usage("errors, all", "by=status&status=error"),
    usage("HTTP 429, all", "by=model&status=429"),
    usage("capabilities, all", "by=capability"),
    usage("technologies, a year", "last=1y&by=technology"),
    usage("one capability of the chart, a year", "last=1y&capability=vision&granularity=week"),
    speed("performance, 1 day", "last=24h&by=provider"),
    speed("performance, 7 days", "last=7d&by=provider"),
    speed("performance, 30 days", "last=30d&by=model"),
    speed("performance, a year", "last=1y&by=model"),
    speed("performance, all", "by=provider"),
    speed("performance, one model, all", "model=gpt-5-2025-08-07&by=key"),
    speed("performance, capabilities, all", "by=capability"),
    speed("performance, a tag, 30 days", "last=30d&by=tag:team"),
    usage("tagged, 30 days", "last=30d&by=tag:team"),
    usage("tagged, a year", "last=1y&by=tag:team"),
    usage("one value of a tag, 30 days by day", "last=30d&tag=team=red&by=model&granularity=day"),
    usage("one value of a tag, a year by week", "last=1y&tag=team=red&by=model&granularity=week"),
    view("workspaces, the list", Asks::Workspaces),
    view("passes, the list", Asks::Passes),
    view("compliance, 30 days", Asks::Compliance),
    view("a budget, counted anew", Asks::Spent),
    view("deployments, 30 days", Asks::Deployments("groq", "last=30d")),
    view("deployments, all", Asks::Deployments("groq", "")),
    rest(
        "deployments versus a model, 30 days",
        Asks::Deployments("groq", "last=30d&versus=openai/gpt-5-mini"),
    ),
    rest("report, 30 days", Asks::Report("last=30d")),
    rest("report, a year", Asks::Report("last=1y")),
    rest("export by the hour, a day", Asks::Hourly("last=24h")),
    log("requests, all", "limit=100"),
    log("requests, 30 days, one model", "last=30d&model=gpt-5-2025-08-07&limit=100"),
    log("requests, HTTP 500 of one key", "status=500&key=trial&limit=100"),
    log("requests, rare combination", "model=gpt-image-1&workspace=client-b&key=trial&limit=100"),
    log("requests, a year ago", "to=today&status=429&workspace=thesis&limit=100"),
    log("requests, none match", "model=nobody&limit=100"),
    log("requests, one client and pass, a year", "last=1y&client=claude-cli&pass=laptop&limit=100"),
    log("requests, one provider, two years ago", "to=1Y&provider=groq&limit=100"),
    log("requests with vision, errors", "capability=vision&status=error&limit=100"),
    log("requests, one tag", "tag=team=red&limit=100"),
    view(
        "requests, one tag and a rare model",
        Asks::Requests("tag=team=red&model=gpt-image-1&limit=100"),
    ),
    usage("models, all, in euros", "by=model&currency=EUR"),
    usage("capabilities, all, in euros", "by=capability&currency=EUR"),
    usage("calendar of a year, in euros", "last=1y&granularity=day&currency=EUR"),
    usage("activity, all, in euros", "by=model&granularity=month&currency=EUR"),
];

/// The same sums from the receipts themselves.
const BASELINE: &str = "SELECT l.model, count(*), max(r.cost), sum(length(r.detail))
    FROM receipt r JOIN lane l ON l.id = r.lane GROUP BY l.model";

/// Asks everything of the ledger in `home`, or only views with a certain text in their names,
/// and prints the table. Says which answers took longer than they may.
///
/// # Errors
/// When the ledger cannot be read.
pub fn run(home: &Path, rounds: usize, only: Option<&str>) -> anyhow::Result<()> {
    let opened = Instant::now();
    let ledger = Questions::open(home)?;
    let newest = ask(&ledger, Asks::Requests("limit=1"), Timestamp::from_millis(i64::MAX >> 20))?;
    let opened = opened.elapsed();
    let now = newest.newest.context("the ledger is empty")?;
    let all = question::usage(&ledger, &parse(Question::Usage, "demo=with", now)?, now);
    let receipts = all.map_err(said)?.totals.requests;
    let size = std::fs::metadata(home.join("ledger.db"))?.len();
    println!("{}", machine::description());
    println!(
        "{receipts} receipts, {} bytes each; opened and first asked in {}\n",
        size / receipts.max(1),
        nanos(opened)
    );
    let mut table = Table::new(["view", "median", "slowest", "CPU", "answer", "may take", ""]);
    let mut late = 0;
    for view in VIEWS.iter().filter(|view| only.is_none_or(|text| view.page.contains(text))) {
        let (mut taken, mut computed) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for _ in 0..rounds.max(1) {
            let (began, cpu) = (Instant::now(), on_cpu());
            bytes = ask(&ledger, view.asks, now)?.bytes;
            taken.push(began.elapsed());
            computed.push(on_cpu().saturating_sub(cpu));
        }
        taken.sort_unstable();
        computed.sort_unstable();
        let median = taken[taken.len() / 2];
        let is_late = median > view.most;
        late += usize::from(is_late);
        table.row([
            view.page.to_owned(),
            nanos(median),
            nanos(taken[taken.len() - 1]),
            nanos(computed[computed.len() / 2]),
            format!("{bytes} B"),
            nanos(view.most),
            if is_late { "LATE" } else { "" }.to_owned(),
        ]);
    }
    if only.is_none() {
        let db = rusqlite::Connection::open(home.join("ledger.db"))?;
        let began = Instant::now();
        let groups = db.prepare(BASELINE)?.query_map([], |_| Ok(()))?.count();
        let read = format!("SQLite reads every receipt ({groups} models)");
        let nothing = String::new;
        let row = [read, nanos(began.elapsed()), nothing(), nothing(), nothing(), nothing()];
        table.row(row.into_iter().chain([nothing()]));
    }
    println!("{table}");
    println!("{late} views took longer than they may");
    Ok(())
}

struct Asked {
    newest: Option<Timestamp>,
    bytes: usize,
}

fn ask(ledger: &Questions, asks: Asks, now: Timestamp) -> anyhow::Result<Asked> {
    let json = |bytes: serde_json::Result<Vec<u8>>| Ok(Asked { newest: None, bytes: bytes?.len() });
    match asks {
        Asks::Usage(asks) => {
            let query = parse(Question::Usage, asks, now)?;
            json(serde_json::to_vec(&question::usage(ledger, &query, now).map_err(said)?))
        }
        Asks::Performance(asks) => {
            let query = parse(Question::Performance, asks, now)?;
            json(serde_json::to_vec(&performance(ledger, &query, now).map_err(said)?))
        }
        Asks::Requests(asks) => {
            let answer = question::requests(ledger, &parse(Question::Requests, asks, now)?);
            let answer = answer.map_err(said)?;
            let newest = answer.requests.first().map(|receipt| receipt.started_at);
            Ok(Asked { newest, ..json(serde_json::to_vec(&answer))? })
        }
        Asks::Hourly(asks) => {
            let query = parse(Question::Export, &format!("{asks}&form=hourly&format=csv"), now)?;
            let going_on = || ControlFlow::Continue(());
            let written = question::export(ledger, &query, now, Vec::new(), None, going_on);
            Ok(Asked { newest: None, bytes: written.map_err(said)??.len() })
        }
        Asks::Report(asks) => {
            let query = parse(Question::Report, asks, now)?;
            Ok(Asked { newest: None, bytes: report(ledger, &query, now).map_err(said)?.len() })
        }
        Asks::Deployments(server, asks) => {
            let query = parse(Question::Deployments, asks, now)?;
            let server = OwnServer {
                id: server.into(),
                origin: "http://127.0.0.1:8000".into(),
                status: ServerStatus::Openai,
                gpus: Some(1),
                is_here: true,
            };
            let plan = DeploymentPlan { servers: vec![server], declared: Vec::new() };
            let (said_by_servers, book) = (Said::default(), Book::built_in());
            let sources = Sources { plan: &plan, said: &said_by_servers, book, now };
            json(serde_json::to_vec(&deployments(ledger, &query, sources).map_err(said)?))
        }
        Asks::Compliance => {
            const RULE: &[u8] = br#"{"name":"kept","availability_below":"99.5","at_least":100}"#;
            let rule = AlertRule::read(RULE).and_then(|rule| rule.check()).map_err(said)?;
            let answer = compliance(ledger, &[rule], Here { now, zone: ZONE });
            json(serde_json::to_vec(&answer.map_err(said)?))
        }
        Asks::Workspaces => json(serde_json::to_vec(&workspaces(ledger).map_err(said)?)),
        Asks::Passes => json(serde_json::to_vec(&passes(ledger).map_err(said)?)),
        Asks::Spent => {
            let scope = Scope { models: vec!["gpt-*".into()], ..Scope::default() };
            spent(ledger, &scope, Timestamp::default(), None).map_err(said)?;
            Ok(Asked { newest: None, bytes: 0 })
        }
    }
}

fn parse(question: Question, asks: &str, now: Timestamp) -> anyhow::Result<Query> {
    let ago = |years: i64| Timestamp::from_millis(now.millis() - years * YEAR_MS).to_string();
    let asks = asks.replace("2Y", &ago(2)).replace("1Y", &ago(1));
    let pairs: Vec<(&str, &str)> =
        asks.split('&').filter_map(|pair| pair.split_once('=')).collect();
    Query::parse(question, &pairs, Here { now, zone: ZONE }).map_err(said)
}

fn said(problem: Problem) -> anyhow::Error {
    anyhow!("{problem}")
}

/// What this thread has computed so far; on a busy machine that is less than the clock says.
fn on_cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn nanos(taken: Duration) -> String {
    time(i64::try_from(taken.as_nanos()).unwrap_or(i64::MAX))
}
