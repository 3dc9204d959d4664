//! What the pages ask, put to a ledger one after another: how long each answer takes, beside
//! what the same sums cost SQLite when it has to read every receipt of the period.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use api::performance::performance;
use api::period::Here;
use api::problem::Problem;
use api::query::{Query, Question};
use api::question;
use meter::Timestamp;
use store::Questions;

use crate::machine;
use crate::table::{Table, time};

/// What is allowed: an answer, and the first page of the log.
const MOST: Duration = Duration::from_millis(50);
const MOST_FIRST_PAGE: Duration = Duration::from_millis(10);

/// A question of a page.
struct View {
    page: &'static str,
    question: Question,
    /// As in an address.
    asks: &'static str,
    most: Duration,
}

const fn usage(page: &'static str, asks: &'static str) -> View {
    View { page, question: Question::Usage, asks, most: MOST }
}

const fn speed(page: &'static str, asks: &'static str) -> View {
    View { page, question: Question::Performance, asks, most: MOST }
}

const fn log(page: &'static str, asks: &'static str) -> View {
    View { page, question: Question::Requests, asks, most: MOST_FIRST_PAGE }
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
    usage("one model of the chart, a year", "last=1y&model=gpt-5-2025-08-07&granularity=week"),
    usage("models, all", "by=model"),
    usage("providers, all", "by=provider"),
    usage("workspaces, all", "by=workspace"),
    usage("errors, all", "by=status&status=error"),
    usage("capabilities, all", "by=capability"),
    usage("technologies, a year", "last=1y&by=technology"),
    usage("one capability of the chart, a year", "last=1y&capability=vision&granularity=week"),
    speed("performance, 7 days", "last=7d&by=provider"),
    speed("performance, a year", "last=1y&by=model"),
    usage("tagged, 30 days", "last=30d&by=tag:team"),
    log("requests, all", "limit=100"),
    log("requests, 30 days, one model", "last=30d&model=gpt-5-2025-08-07&limit=100"),
    log("requests, HTTP 500 of one key", "status=500&key=trial&limit=100"),
    log("requests, rare combination", "model=gpt-image-1&workspace=client-b&key=trial&limit=100"),
    log("requests, a year ago", "to=today&status=429&workspace=thesis&limit=100"),
    log("requests, none match", "model=nobody&limit=100"),
    usage("models, all, in euros", "by=model&currency=EUR"),
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
    let newest = ask(&ledger, &log("", "limit=1"), Timestamp::from_millis(i64::MAX >> 20))?;
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
            bytes = ask(&ledger, view, now)?.bytes;
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

fn ask(ledger: &Questions, view: &View, now: Timestamp) -> anyhow::Result<Asked> {
    let query = parse(view.question, view.asks, now)?;
    if view.question == Question::Usage {
        let answer = question::usage(ledger, &query, now).map_err(said)?;
        return Ok(Asked { newest: None, bytes: serde_json::to_vec(&answer)?.len() });
    }
    if view.question == Question::Performance {
        let answer = performance(ledger, &query, now).map_err(said)?;
        return Ok(Asked { newest: None, bytes: serde_json::to_vec(&answer)?.len() });
    }
    let answer = question::requests(ledger, &query).map_err(said)?;
    let newest = answer.requests.first().map(|receipt| receipt.started_at);
    Ok(Asked { newest, bytes: serde_json::to_vec(&answer)?.len() })
}

fn parse(question: Question, asks: &str, now: Timestamp) -> anyhow::Result<Query> {
    let pairs: Vec<(&str, &str)> =
        asks.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    Query::parse(question, &pairs, Here { now, zone: chrono_tz::Europe::Berlin }).map_err(said)
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
