//! The alert rules in force and what is remembered of them: `alerts.jsonl` in the home, one
//! event a line, from which a restart recalls everything. Owns both; knows neither figures
//! nor how anybody is told.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use api::alerts::{
    AlertChange, AlertEvent, AlertPlan, Alerts, Memory, Occurrence, Rule, Turn, Verdict,
};
use api::period::Here;
use api::problem::{Code, Problem};
use tokio::sync::watch;

use crate::home::Home;
use crate::settings::{now, refused};
use crate::{cli, rule_file};

/// The history's length; older lines go when it has twice as many.
const HISTORY: usize = 1000;

/// The rules in force, and what became of them.
pub(crate) struct AlertBook {
    home: Home,
    plan: watch::Sender<Arc<AlertPlan>>,
    kept: Mutex<Kept>,
    revision: OnceLock<watch::Sender<u64>>,
}

struct Kept {
    log: AlertLog,
    memory: Memory,
}

impl AlertBook {
    /// The book of a home that is ours to write in.
    pub(crate) fn open(home: Home, plan: AlertPlan) -> Arc<Self> {
        let log = AlertLog::of(&home);
        let memory = Memory::recall(&log.events());
        let book = Self {
            home,
            plan: watch::Sender::new(Arc::new(plan)),
            kept: Mutex::new(Kept { log, memory }),
            revision: OnceLock::new(),
        };
        let plan = book.plan();
        book.kept().tidy(&plan);
        Arc::new(book)
    }

    /// Counts news on this number, besides what else changes it.
    pub(crate) fn count_on(&self, revision: watch::Sender<u64>) {
        let _ = self.revision.set(revision);
    }

    /// The rules in force, and every change of them.
    pub(crate) fn plans(&self) -> watch::Receiver<Arc<AlertPlan>> {
        self.plan.subscribe()
    }

    /// How the rules stand.
    pub(crate) fn standing(&self) -> Alerts {
        let plan = self.plan();
        Alerts::of(&plan, &self.kept().memory, here())
    }

    /// Every event that is kept, oldest first.
    pub(crate) fn history(&self) -> Vec<AlertEvent> {
        AlertLog::of(&self.home).events()
    }

    /// Writes down what a verdict is news of, if it is any.
    pub(crate) fn news(&self, rule: &Rule, verdict: Verdict) -> Option<AlertEvent> {
        let mut kept = self.kept();
        let plan = self.plan();
        // It may have been changed while it was judged.
        if !plan.rules.contains(rule) {
            return None;
        }
        let occurrence = kept.memory.news(&plan, rule, verdict, here())?;
        let event = kept.record(occurrence);
        drop(kept);
        self.renew();
        Some(event)
    }

    /// Writes down something that happened to none of the rules.
    pub(crate) fn note(&self, occurrence: Occurrence) -> AlertEvent {
        let (mut kept, plan) = (self.kept(), self.plan());
        let hush = kept.memory.hush_of_all(&plan, here()).map(|(hush, _)| hush);
        let event = kept.record(Occurrence { hush, ..occurrence });
        drop(kept);
        self.renew();
        event
    }

    /// What `look` reads in what is remembered.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&AlertPlan, &Memory) -> T) -> T {
        let plan = self.plan();
        look(&plan, &self.kept().memory)
    }

    /// Changes something, for good and from now on.
    ///
    /// # Errors
    /// When there is no such rule, or the configuration cannot be changed.
    pub(crate) fn change(&self, change: &AlertChange) -> Result<Alerts, Problem> {
        let mut kept = self.kept();
        let plan = self.plan();
        let found = |name: &str| {
            let rule = plan.rules.iter().find(|rule| rule.name == name);
            rule.ok_or_else(|| refused(&rule_file::unknown(name)))
        };
        match change {
            AlertChange::Add(_) | AlertChange::QuietHours(_) => {}
            AlertChange::Replace(name, _)
            | AlertChange::Remove(name)
            | AlertChange::Snooze(name, _) => {
                found(name).map_err(|problem| Problem { code: Code::NotFound, ..problem })?;
            }
            AlertChange::Pause(_) | AlertChange::Resume => {}
        }
        match change {
            AlertChange::Add(_)
            | AlertChange::Replace(..)
            | AlertChange::Remove(_)
            | AlertChange::QuietHours(_) => {
                let plan =
                    rule_file::change(&self.home, change).map_err(|error| refused(&error))?;
                kept.tidy(&plan);
                self.plan.send_replace(Arc::new(plan));
            }
            AlertChange::Snooze(name, until) if *until > now() => {
                let until = Some(*until);
                let said = "It is not to disturb.".to_owned();
                kept.record(Occurrence {
                    until,
                    ..Occurrence::of(Turn::Snoozed, found(name)?, said)
                });
            }
            AlertChange::Snooze(name, _) => {
                if kept.memory.snoozed(name, now()).is_some() {
                    let said = "It may disturb again.".to_owned();
                    kept.record(Occurrence::of(Turn::Woken, found(name)?, said));
                }
            }
            AlertChange::Pause(until) => {
                let said = "No alert is to disturb.".to_owned();
                kept.record(Occurrence { until: *until, ..Occurrence::plain(Turn::Paused, said) });
            }
            AlertChange::Resume => {
                if kept.memory.paused(now()).is_some() {
                    let said = "Alerts may disturb again.".to_owned();
                    kept.record(Occurrence::plain(Turn::Resumed, said));
                }
            }
        }
        drop(kept);
        // What had to be still may be told now.
        self.plan.send_modify(|_| ());
        self.renew();
        Ok(self.standing())
    }

    fn renew(&self) {
        if let Some(revision) = self.revision.get() {
            revision.send_modify(|revision| *revision += 1);
        }
    }

    fn plan(&self) -> Arc<AlertPlan> {
        Arc::clone(&self.plan.borrow())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Ends episodes of rules that are gone or changed, and forgets snoozes of those gone.
    fn tidy(&mut self, plan: &AlertPlan) {
        for occurrence in self.memory.orphans(plan) {
            self.record(occurrence);
        }
    }

    fn record(&mut self, occurrence: Occurrence) -> AlertEvent {
        let event = self.memory.next(occurrence, now());
        self.memory.take_in(&event);
        // The desktop is told all the same; only a restart would not know.
        if let Err(error) = self.log.append(&event, &self.memory) {
            tracing::warn!(%error, "the history of alerts could not be written");
        }
        event
    }
}

/// How the rules of a home stand, whoever holds it.
pub(crate) fn standing_of(home: &Home, plan: &AlertPlan) -> Alerts {
    Alerts::of(plan, &Memory::recall(&AlertLog::of(home).events()), here())
}

/// The moment and the place.
fn here() -> Here {
    Here { now: now(), zone: cli::zone() }
}

/// The events on disk.
#[derive(Clone, Debug)]
pub(crate) struct AlertLog(PathBuf);

impl AlertLog {
    /// That of a home.
    pub(crate) fn of(home: &Home) -> Self {
        Self(home.path().join("alerts.jsonl"))
    }

    /// Every event, oldest first; lines that cannot be read are passed over.
    pub(crate) fn events(&self) -> Vec<AlertEvent> {
        let Ok(file) = fs::File::open(&self.0) else { return Vec::new() };
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }

    /// What is different after every event.
    pub(crate) fn size(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |file| file.len())
    }

    fn append(&self, event: &AlertEvent, memory: &Memory) -> std::io::Result<()> {
        // A line takes a few hundred bytes; shorter than this nobody needs to count.
        if self.size() > 200 * 2 * HISTORY as u64 {
            self.shorten(memory)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.0)?;
        // A power cut may have left half a line.
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(-1)).is_ok() {
            file.read_exact(&mut last)?;
        }
        let torn = if last == *b"\n" { "" } else { "\n" };
        file.write_all(format!("{torn}{}\n", serde_json::to_string(event)?).as_bytes())
    }

    /// Forgets what is old, but nothing that still counts.
    fn shorten(&self, memory: &Memory) -> std::io::Result<()> {
        let events = self.events();
        if events.len() <= 2 * HISTORY {
            return Ok(());
        }
        let (old, kept) = events.split_at(events.len() - HISTORY);
        let essence = memory.essence();
        let old = old.iter().filter(|old| essence.iter().any(|event| event.number == old.number));
        let lines: Result<Vec<String>, _> = old.chain(kept).map(serde_json::to_string).collect();
        let folder = self.0.parent().unwrap_or(&self.0);
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all((lines?.join("\n") + "\n").as_bytes())?;
        file.persist(&self.0)?;
        Ok(())
    }
}
