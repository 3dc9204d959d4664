//! What makes news of verdicts: episodes, who was told, snoozes and pauses. All of it follows
//! from the events that were written down, so that a restart forgets nothing and tells
//! nothing twice.

use std::collections::BTreeMap;

use meter::Timestamp;
use serde::{Deserialize, Serialize};

use super::judge::{Reading, Verdict};
use super::rule::{AlertPlan, Rule};
use crate::period::Here;

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct AlertEvent {
    /// Counts up by one from event to event.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub occurrence: Occurrence,
}

/// What happened, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Occurrence {
    /// What happened.
    pub turn: Turn,
    /// The rule's name; `null`: it is about all of them.
    pub rule: Option<String>,
    /// The rule in a sentence, as it was then.
    pub watches: Option<String>,
    /// What there is to say, as a sentence.
    pub said: String,
    /// The figures that crossed the line.
    pub reading: Option<Reading>,
    /// The page with the requests behind it.
    pub page: Option<String>,
    /// Why the desktop was not told at once; `null`: it was.
    pub hush: Option<Hush>,
    /// Until when a snooze or pause lasts; `null`: until it is taken back.
    pub until: Option<Timestamp>,
}

/// What happened to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Its line was crossed.
    Began,
    /// What had to wait was told to the desktop.
    Told,
    /// It is over.
    Ended,
    /// It is not to disturb for a while.
    Snoozed,
    /// It may disturb again.
    Woken,
    /// None is to disturb for a while.
    Paused,
    /// They may disturb again.
    Resumed,
    /// A budget has used a share of its limit that is worth a word, or stops calls.
    Budget,
}

/// Why nothing is told at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Hush {
    /// It is late.
    QuietHours,
    /// The rule is snoozed.
    Snoozed,
    /// All alerts are paused.
    Paused,
}

/// What is remembered of the events so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    last: u64,
    episodes: BTreeMap<String, Episode>,
    snoozes: BTreeMap<String, AlertEvent>,
    pause: Option<AlertEvent>,
}

/// What goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Episode {
    pub(crate) began: AlertEvent,
    pub(crate) told: Option<AlertEvent>,
}

impl Memory {
    /// Goes through the events once more, oldest first.
    pub fn recall<'a>(events: impl IntoIterator<Item = &'a AlertEvent>) -> Self {
        let mut memory = Self::default();
        events.into_iter().for_each(|event| memory.take_in(event));
        memory
    }

    /// Remembers one more event.
    pub fn take_in(&mut self, event: &AlertEvent) {
        self.last = self.last.max(event.number);
        let Occurrence { turn, rule, hush, .. } = &event.occurrence;
        match (turn, rule) {
            (Turn::Paused, _) => self.pause = Some(event.clone()),
            (Turn::Resumed, _) => self.pause = None,
            (_, None) => {}
            (Turn::Began, Some(rule)) => {
                let told = hush.is_none().then(|| event.clone());
                let episode = Episode { began: event.clone(), told };
                self.episodes.insert(rule.clone(), episode);
            }
            (Turn::Told, Some(rule)) => {
                if let Some(episode) = self.episodes.get_mut(rule) {
                    episode.told = Some(event.clone());
                }
            }
            (Turn::Ended, Some(rule)) => drop(self.episodes.remove(rule)),
            (Turn::Snoozed, Some(rule)) => drop(self.snoozes.insert(rule.clone(), event.clone())),
            (Turn::Woken, Some(rule)) => drop(self.snoozes.remove(rule)),
            // It is said once; the budget itself knows how it stands.
            (Turn::Budget, Some(_)) => {}
        }
    }

    /// The occurrence as the next event.
    pub fn next(&self, occurrence: Occurrence, at: Timestamp) -> AlertEvent {
        AlertEvent { number: self.last + 1, at, occurrence }
    }

    /// Events without which all this could not be recalled.
    pub fn essence(&self) -> Vec<&AlertEvent> {
        let episodes = self.episodes.values();
        let episodes = episodes.flat_map(|one| std::iter::once(&one.began).chain(&one.told));
        let mut all: Vec<_> = episodes.chain(self.snoozes.values()).chain(&self.pause).collect();
        all.sort_by_key(|event| event.number);
        all.dedup_by_key(|event| event.number);
        all
    }

    /// What a verdict is news of, if it is any: an episode that begins or ends, or that still
    /// lasts when what kept it from being told is over.
    pub fn news(
        &self,
        plan: &AlertPlan,
        rule: &Rule,
        verdict: Verdict,
        here: Here,
    ) -> Option<Occurrence> {
        let hush = self.hush(plan, rule, here).map(|(hush, _)| hush);
        match (verdict, self.episodes.get(&rule.name)) {
            (Verdict::Crossed(crossing), episode) => {
                let turn = match episode {
                    None => Turn::Began,
                    Some(Episode { told: None, .. }) if hush.is_none() => Turn::Told,
                    Some(_) => return None,
                };
                let reading = crossing.reading;
                Some(Occurrence {
                    page: Some(rule.page(reading.from, reading.to, reading.model.as_deref())),
                    reading: Some(reading),
                    hush,
                    ..Occurrence::of(turn, rule, crossing.said)
                })
            }
            (Verdict::Back, Some(_)) => {
                Some(Occurrence::of(Turn::Ended, rule, "It is over.".to_owned()))
            }
            (Verdict::Back, None) | (Verdict::Between, _) => None,
        }
    }

    /// Episodes of rules that are gone or are not what they were: they end.
    pub fn orphans(&self, plan: &AlertPlan) -> Vec<Occurrence> {
        let stale = |(name, episode): (&String, &Episode)| {
            let rule = plan.rules.iter().find(|rule| rule.name == *name);
            let said = match rule {
                None => "The rule was removed.",
                Some(rule) if !rule.is_enabled => "The rule was switched off.",
                Some(rule) if episode.began.occurrence.watches != Some(rule.to_string()) => {
                    "The rule was changed."
                }
                Some(_) => return None,
            };
            let Occurrence { rule, watches, .. } = episode.began.occurrence.clone();
            let turn = Turn::Ended;
            Some(Occurrence { rule, watches, ..Occurrence::plain(turn, said.to_owned()) })
        };
        self.episodes.iter().filter_map(stale).collect()
    }

    /// Why this rule disturbs nobody now, and until when; without an end: until it is resumed.
    pub fn hush(
        &self,
        plan: &AlertPlan,
        rule: &Rule,
        here: Here,
    ) -> Option<(Hush, Option<Timestamp>)> {
        if self.paused(here.now).is_some() {
            return self.hush_of_all(plan, here);
        }
        if let Some(until) = self.snoozed(&rule.name, here.now) {
            return Some((Hush::Snoozed, Some(until)));
        }
        let hours = rule.quiet_hours.or(plan.quiet_hours)?;
        hours.end(here).map(|end| (Hush::QuietHours, Some(end)))
    }

    /// Why nothing without hours of its own disturbs now, and until when.
    pub fn hush_of_all(&self, plan: &AlertPlan, here: Here) -> Option<(Hush, Option<Timestamp>)> {
        match self.paused(here.now) {
            Some(pause) => Some((Hush::Paused, pause.occurrence.until)),
            None => plan.quiet_hours?.end(here).map(|end| (Hush::QuietHours, Some(end))),
        }
    }

    /// The pause that lasts, if one does.
    pub fn paused(&self, now: Timestamp) -> Option<&AlertEvent> {
        self.pause.as_ref().filter(|pause| pause.occurrence.until.is_none_or(|until| until > now))
    }

    /// Until when a rule is snoozed, if it is.
    pub fn snoozed(&self, rule: &str, now: Timestamp) -> Option<Timestamp> {
        let snooze = self.snoozes.get(rule)?;
        snooze.occurrence.until.filter(|until| *until > now)
    }

    pub(crate) fn episode(&self, rule: &str) -> Option<&Episode> {
        self.episodes.get(rule)
    }

    /// The beginnings of what goes on, oldest first.
    pub fn active(&self) -> Vec<&AlertEvent> {
        let mut active: Vec<_> = self.episodes.values().map(|episode| &episode.began).collect();
        active.sort_by_key(|event| event.number);
        active
    }

    /// Whether this rule is across its line, and the desktop was not told yet.
    pub fn is_held(&self, rule: &str) -> bool {
        self.episodes.get(rule).is_some_and(|episode| episode.told.is_none())
    }

    /// Whether this rule is across its line.
    pub fn is_active(&self, rule: &str) -> bool {
        self.episodes.contains_key(rule)
    }
}

impl AlertEvent {
    /// Whether the desktop is to be told of it, now.
    pub const fn is_to_be_told(&self) -> bool {
        match self.occurrence.turn {
            Turn::Began | Turn::Budget => self.occurrence.hush.is_none(),
            Turn::Told => true,
            Turn::Ended | Turn::Snoozed | Turn::Woken | Turn::Paused | Turn::Resumed => false,
        }
    }
}

impl Occurrence {
    /// Something that happened to a rule.
    pub fn of(turn: Turn, rule: &Rule, said: String) -> Self {
        let (name, watches) = (Some(rule.name.clone()), Some(rule.to_string()));
        Self { rule: name, watches, ..Self::plain(turn, said) }
    }

    /// Something that happened to all of them.
    pub const fn plain(turn: Turn, said: String) -> Self {
        Self {
            turn,
            rule: None,
            watches: None,
            said,
            reading: None,
            page: None,
            hush: None,
            until: None,
        }
    }
}
