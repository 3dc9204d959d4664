//! Judges the alert rules whenever the ledger changed, remembers episodes and tells of them:
//! once when one begins, and again only after it has ended. What is told also stands in
//! `alerts.jsonl` in the home, so that a restart tells nothing twice.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::alerts::{Rule, Turn, Verdict};
use api::period::Here;
use api::problem::Problem;
use api::question;
use api::readers::Readers;
use meter::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::cli;
use crate::home::Home;
use crate::settings::now;

/// Judged at most this often.
const PACE: Duration = Duration::from_secs(1);

/// A window moves on while nothing happens; looked at this often while an episode lasts.
const WINDOW: Duration = Duration::from_secs(15);

/// The history's length; older lines go when it has twice as many.
const HISTORY: usize = 1000;

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When.
    pub(crate) at: Timestamp,
    /// The rule's name.
    pub(crate) rule: String,
    /// Whether it began or ended.
    pub(crate) turn: Turn,
    /// The figures, as a sentence.
    pub(crate) said: String,
    /// The page with the requests behind it.
    pub(crate) page: String,
}

/// The history on disk.
#[derive(Clone, Debug)]
pub(crate) struct History(PathBuf);

impl History {
    /// That of a home.
    pub(crate) fn of(home: &Home) -> Self {
        Self(home.path().join("alerts.jsonl"))
    }

    /// Every event, oldest first; lines that cannot be read are passed over.
    pub(crate) fn events(&self) -> Vec<Event> {
        let Ok(file) = fs::File::open(&self.0) else { return Vec::new() };
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }

    /// The episodes that go on, by rule.
    pub(crate) fn active(&self) -> BTreeMap<String, Event> {
        let mut active = BTreeMap::new();
        for event in self.events() {
            match event.turn {
                Turn::Began => active.insert(event.rule.clone(), event),
                Turn::Ended => active.remove(&event.rule),
            };
        }
        active
    }

    fn append(&self, event: &Event) -> std::io::Result<()> {
        let events = self.events();
        if events.len() > 2 * HISTORY {
            let kept = &events[events.len() - HISTORY..];
            let lines: Result<Vec<String>, _> = kept.iter().map(serde_json::to_string).collect();
            fs::write(&self.0, lines?.join("\n") + "\n")?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        writeln!(options.open(&self.0)?, "{}", serde_json::to_string(event)?)
    }
}

/// Judges for as long as the ledger changes.
pub(crate) async fn watch_over(
    rules: Vec<Rule>,
    history: History,
    readers: Arc<Readers>,
    mut revision: watch::Receiver<u64>,
) {
    if rules.is_empty() {
        return;
    }
    let mut active = history.active();
    // A rule that is gone has no episode.
    active.retain(|name, _| rules.iter().any(|rule| rule.name == *name));
    loop {
        revision.mark_unchanged();
        for rule in &rules {
            match judged(rule, &readers).await {
                Ok(verdict) => turn(rule, verdict, &mut active, &history),
                Err(problem) => tracing::debug!("an alert was not judged: {}", problem.message),
            }
        }
        tokio::time::sleep(PACE).await;
        let moves =
            rules.iter().any(|rule| rule.is_of_a_window() && active.contains_key(&rule.name));
        let window = async {
            match moves {
                true => tokio::time::sleep(WINDOW).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = revision.changed() => if changed.is_err() { return },
            () = window => {}
        }
    }
}

async fn judged(rule: &Rule, readers: &Arc<Readers>) -> Result<Verdict, Problem> {
    let here = Here { now: now(), zone: cli::zone() };
    let (query, rule) = (rule.query(here)?, rule.clone());
    readers
        .ask(move |ledger| Ok(rule.judge(&question::usage(ledger, &query, here.now)?.totals)))
        .await
}

fn turn(rule: &Rule, verdict: Verdict, active: &mut BTreeMap<String, Event>, history: &History) {
    let event =
        |turn, said| Event { at: now(), rule: rule.name.clone(), turn, said, page: rule.page() };
    let news = match (verdict, active.contains_key(&rule.name)) {
        (Verdict::Crossed(said), false) => event(Turn::Began, said),
        (Verdict::Back, true) => event(Turn::Ended, "It is over.".to_owned()),
        (Verdict::Crossed(_) | Verdict::Between, true)
        | (Verdict::Back | Verdict::Between, false) => {
            return;
        }
    };
    match news.turn {
        Turn::Began => active.insert(news.rule.clone(), news.clone()),
        Turn::Ended => active.remove(&news.rule),
    };
    if let Err(error) = history.append(&news) {
        tracing::warn!(%error, "the history of alerts could not be written");
    }
    tell(&news);
}

/// Tells the desktop; where none listens the history, the tray and the log still do.
fn tell(event: &Event) {
    tracing::info!(rule = %event.rule, turn = ?event.turn, "alert");
    #[cfg(feature = "desktop")]
    if event.turn == Turn::Began {
        let (summary, body) = (event.rule.clone(), event.said.clone());
        // A daemon that hangs must hold up nobody.
        std::thread::spawn(move || {
            let mut note = notify_rust::Notification::new();
            note.appname("Tollgate").summary(&summary).body(&body).icon("tollgate");
            if let Err(error) = note.show() {
                tracing::info!(%error, "no notification daemon took the alert");
            }
        });
    }
}
