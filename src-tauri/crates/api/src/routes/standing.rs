//! How routes stand now: which target would be called, and why.

use meter::Money;
use meter::route::{Family, Figures, NamedRoute};
use serde::{Deserialize, Serialize};

use super::written::RouteRule;

/// The answer to `routes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Routes {
    /// Every route, in the user's order.
    pub routes: Vec<RouteStanding>,
}

/// A route and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct RouteStanding {
    /// The route, written out.
    pub route: RouteRule,
    /// The same as a sentence.
    pub says: String,
    /// The model that clients ask for.
    pub model: String,
    /// The wire formats in which it can be asked.
    pub formats: Vec<Family>,
    /// Its targets in the order in which a call with a pass would try them now.
    pub targets: Vec<TargetStanding>,
}

/// A target and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct TargetStanding {
    /// `PROVIDER/MODEL`.
    pub target: String,
    /// The provider's id.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Why it stands where it does.
    pub why: String,
    /// Label of the key that would be used; `null`: none is needed, or there is none.
    pub key: Option<String>,
    /// Why it cannot be called at all; `null`: it can.
    pub problem: Option<String>,
    /// It rests for so many more seconds, because it kept failing; `null`: it does not.
    pub rests_seconds: Option<u64>,
    /// Calls of the last day that say something about it, at most 64.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// US dollars for a million tokens, mixed as this user's are; `null`: no price is known.
    pub cost: Option<Money>,
    /// Milliseconds to the first token of a stream, the median; `null`: not known.
    pub wait_ms: Option<u64>,
    /// Output tokens a second, the median, rounded up; `null`: not known.
    pub tokens_per_second: Option<u64>,
}

/// What is said of a target by those who know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its place in the route as it is written.
    pub at: usize,
    /// Why it stands there now.
    pub why: String,
    /// The key that would be used.
    pub key: Option<String>,
    /// Why it cannot be called.
    pub problem: Option<String>,
    /// How much longer it rests.
    pub rests_seconds: Option<u64>,
    /// What the last day tells.
    pub figures: Figures,
}

impl RouteStanding {
    /// How a route stands: its targets as they are told of, in that order.
    pub fn of(route: &NamedRoute, formats: Vec<Family>, told: Vec<Told>) -> Self {
        let target = |told: Told| {
            let target = &route.targets[told.at];
            TargetStanding {
                target: target.to_string(),
                provider: target.provider.to_string(),
                model: target.model.to_string(),
                why: told.why,
                key: told.key,
                problem: told.problem,
                rests_seconds: told.rests_seconds,
                calls: told.figures.calls.into(),
                failures: told.figures.failures.into(),
                cost: told.figures.cost,
                wait_ms: told.figures.wait_ms,
                tokens_per_second: told.figures.pace.map(|pace| pace.div_ceil(1000)),
            }
        };
        Self {
            says: sentence(route),
            model: format!("{}{}", meter::route::PREFIX, route.name),
            formats,
            targets: told.into_iter().map(target).collect(),
            route: route.into(),
        }
    }
}

fn sentence(route: &NamedRoute) -> String {
    let count = route.targets.len();
    let order = match route.profile {
        None if count == 1 => "one target".to_owned(),
        None => format!("{count} targets in order"),
        Some(profile) => format!("{count} targets by {profile}"),
    };
    let tries = match route.tries() {
        1 => ", one try".to_owned(),
        tries if tries == count => String::new(),
        tries => format!(", up to {tries} tries"),
    };
    let first_byte = route.failover.first_byte;
    let first_byte = first_byte.map(|most| format!(", first byte within {} ms", most.as_millis()));
    let off = if route.is_enabled { "" } else { "; off" };
    format!("{order}{tries}{}{off}", first_byte.unwrap_or_default())
}
