//! How the rules stand now: what the page, the tray and `tollgate alerts` show.

use meter::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{AlertEvent, Memory};
use super::quiet::QuietHours;
use super::rule::{AlertPlan, Rule};
use super::written::AlertRule;
use crate::period::Here;

/// The answer to `alerts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Alerts {
    /// Every rule, in the user's order.
    pub rules: Vec<AlertStanding>,
    /// Whether these are the rules that are ready where the user wrote none.
    pub is_ready_made: bool,
    /// How many are active and neither snoozed nor paused.
    pub active: u64,
    /// The pause that keeps all of them from disturbing; `null`: there is none.
    pub pause: Option<AlertEvent>,
    /// When no rule without hours of its own disturbs.
    pub quiet_hours: Option<QuietHours>,
    /// When the quiet hours that there are now end; `null`: it is not quiet.
    pub quiet_until: Option<Timestamp>,
}

/// A rule and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct AlertStanding {
    /// The rule, written out in full.
    pub rule: AlertRule,
    /// The same as a sentence.
    pub watches: String,
    /// How it stands.
    pub state: RuleState,
    /// How what goes on began, with the figures; `null`: nothing does.
    pub began: Option<AlertEvent>,
    /// When the desktop was told; `null`: it was not, or there was nothing to tell.
    pub told_at: Option<Timestamp>,
    /// Until when it is snoozed; `null`: it is not.
    pub snoozed_until: Option<Timestamp>,
    /// The page that shows what it looks at now.
    pub page: String,
}

/// How a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// On the right side of its line.
    Fine,
    /// Across it.
    Active,
    /// Not to disturb, whichever side it is on.
    Snoozed,
    /// Not watched.
    Off,
}

impl Alerts {
    /// How these rules stand.
    pub fn of(plan: &AlertPlan, memory: &Memory, here: Here) -> Self {
        let pause = memory.paused(here.now).cloned();
        let rules: Vec<_> = plan.rules.iter().map(|rule| standing(rule, memory, here)).collect();
        let active = rules.iter().filter(|rule| rule.state == RuleState::Active);
        Self {
            active: if pause.is_some() { 0 } else { active.count() as u64 },
            rules,
            is_ready_made: plan.is_ready_made,
            pause,
            quiet_hours: plan.quiet_hours,
            quiet_until: plan.quiet_hours.and_then(|hours| hours.end(here)),
        }
    }

    /// The standing of one rule.
    pub fn rule(&self, name: &str) -> Option<&AlertStanding> {
        self.rules.iter().find(|standing| standing.rule.name == name)
    }
}

fn standing(rule: &Rule, memory: &Memory, here: Here) -> AlertStanding {
    let episode = memory.episode(&rule.name);
    let snoozed_until = memory.snoozed(&rule.name, here.now);
    AlertStanding {
        rule: rule.into(),
        watches: rule.to_string(),
        state: match (rule.is_enabled, snoozed_until, episode) {
            (false, _, _) => RuleState::Off,
            (true, Some(_), _) => RuleState::Snoozed,
            (true, None, Some(_)) => RuleState::Active,
            (true, None, None) => RuleState::Fine,
        },
        began: episode.map(|episode| episode.began.clone()),
        told_at: episode.and_then(|episode| episode.told.as_ref()).map(|told| told.at),
        snoozed_until,
        page: rule.page(rule.begin(here), here.now, None),
    }
}
