//! In which order a route's targets are tried, and why.

use std::time::Instant;

use meter::Timestamp;
use meter::route::{Figures, NamedRoute, rank};

use super::{Experience, Prices};

/// A target to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its place in the route, from 0.
    pub at: usize,
    /// Why now, in a few words.
    pub chosen: Box<str>,
}

/// The targets in the order in which a call would try them now: by what the route prefers, those
/// that rest behind the others.
pub fn plan(
    route: &NamedRoute,
    experience: &Experience,
    prices: &Prices<'_>,
    streams: bool,
    at: Timestamp,
) -> Vec<Step> {
    let now = Instant::now();
    let figures = match route.profile {
        None => vec![Figures::default(); route.targets.len()],
        Some(_) => experience.figures(&route.targets, prices, streams, at),
    };
    let mut steps = Vec::with_capacity(figures.len());
    let mut resting = Vec::new();
    for ranked in rank(route.profile, &figures) {
        match experience.rests(&route.targets[ranked.at], now) {
            None => steps.push(Step { at: ranked.at, chosen: ranked.why.into() }),
            Some((left, failures)) => {
                let seconds = left.as_secs().max(1);
                let failures = if failures == 1 { "a failure" } else { "failures" };
                let why = format!("{}, rests {seconds} s after {failures}", ranked.why);
                resting.push(Step { at: ranked.at, chosen: why.into() });
            }
        }
    }
    steps.extend(resting);
    steps
}
