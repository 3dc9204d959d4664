//! What became of calls to each target of a route: who keeps failing and rests for a while, and
//! what the last day's calls tell of price, time and failures. In memory; nobody waits for it.

mod observation;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use meter::price::Book;
use meter::provider::{Hosting, Providers};
use meter::route::{Failover, Figures, NamedRoute, Target};
use meter::{Receipt, Timestamp};

use observation::{Mix, Observation};

/// The longest rest that a provider itself can ask for.
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);

/// Calls that are remembered of each target.
const KEPT: usize = 64;

/// What became of calls to the targets of routes; nothing is kept of any other.
#[derive(Debug, Default)]
pub struct Experience {
    known: Mutex<HashMap<Target, Known>>,
}

/// What is known of a target.
#[derive(Debug, Default)]
struct Known {
    /// Failures since it last answered.
    failures: u32,
    rests_until: Option<Instant>,
    /// Its last calls, the oldest first.
    calls: VecDeque<Observation>,
}

impl Experience {
    fn known(&self) -> MutexGuard<'_, HashMap<Target, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the targets of these routes are watched, and no others.
    pub fn watch<'a>(&self, routes: impl Iterator<Item = &'a NamedRoute>) {
        let mut known = self.known();
        let mut before = std::mem::take(&mut *known);
        for target in routes.flat_map(|route| &route.targets) {
            known
                .entry(target.clone())
                .or_insert_with(|| before.remove(target).unwrap_or_default());
        }
    }

    /// A call is over. What it was on a route is told try by try.
    pub fn told(&self, receipt: &Receipt) {
        let mut known = self.known();
        if known.is_empty() {
            return;
        }
        for (provider, model, observation) in observation::of(receipt) {
            let target = Target { provider, model };
            let Some(one) = known.get_mut(&target) else { continue };
            if one.calls.len() == KEPT {
                one.calls.pop_front();
            }
            one.calls.push_back(observation);
        }
    }

    /// It answered.
    pub(super) fn answered(&self, target: &Target) {
        if let Some(one) = self.known().get_mut(target) {
            (one.failures, one.rests_until) = (0, None);
        }
    }

    /// It failed, and asked to be left alone for so long.
    pub(super) fn failed(
        &self,
        target: &Target,
        failover: &Failover,
        asks: Option<Duration>,
        now: Instant,
    ) {
        let mut all = self.known();
        let Some(one) = all.get_mut(target) else { return };
        one.failures = one.failures.saturating_add(1);
        let tired = (one.failures >= failover.rest_after).then_some(failover.rest);
        let asked = asks.filter(|asked| *asked > failover.longest_wait);
        let rest = tired.max(asked.map(|asked| asked.min(LONGEST_REST)));
        // A target that failed after its rest rests again at once.
        one.rests_until = rest.map(|rest| now + rest).max(one.rests_until);
    }

    /// How much longer it rests, and after how many failures.
    pub fn rests(&self, target: &Target, now: Instant) -> Option<(Duration, u32)> {
        let all = self.known();
        let one = all.get(target)?;
        let left = one.rests_until?.checked_duration_since(now)?;
        Some((left, one.failures))
    }

    /// What the last day's calls tell of each target, for calls that stream or do not. Prices are
    /// those of the book, for tokens mixed as the user's calls to all of them were.
    pub fn figures(
        &self,
        targets: &[Target],
        prices: &Prices<'_>,
        streams: bool,
        at: Timestamp,
    ) -> Vec<Figures> {
        let all = self.known();
        let of = |target: &Target| {
            let calls = all.get(target).into_iter().flat_map(|one| &one.calls);
            calls.filter(move |call| call.is_recent(at))
        };
        let mix = targets.iter().flat_map(of).fold(Mix::default(), Mix::with);
        let figures = targets.iter().map(|target| {
            let cost = prices.of(target, mix, at);
            Figures { cost, ..observation::figures(of(target), streams) }
        });
        figures.collect()
    }
}

/// What tokens cost.
#[derive(Clone, Copy, Debug)]
pub struct Prices<'a> {
    /// The prices in force.
    pub book: &'a Book,
    /// Who runs on the user's own machine.
    pub providers: &'a Providers,
}

impl Prices<'_> {
    fn of(&self, target: &Target, mix: Mix, at: Timestamp) -> Option<meter::Money> {
        let provider = self.providers.get(&target.provider)?;
        mix.price(self.book, target, provider.hosting == Hosting::Local, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watching(target: &Target) -> Experience {
        let experience = Experience::default();
        let route = NamedRoute {
            name: "r".into(),
            targets: vec![target.clone()],
            profile: None,
            failover: Failover::default(),
            is_enabled: true,
        };
        experience.watch([&route].into_iter());
        experience
    }

    #[test]
    fn who_keeps_failing_rests_and_who_answers_is_back() {
        let target: Target = "a/m".parse().unwrap();
        let (experience, now) = (watching(&target), Instant::now());
        let failover = Failover::default();
        let later = |seconds| now + Duration::from_secs(seconds);
        for _ in 0..2 {
            experience.failed(&target, &failover, None, now);
            assert_eq!(experience.rests(&target, now), None);
        }
        experience.failed(&target, &failover, Some(Duration::from_secs(1)), now);
        assert_eq!(experience.rests(&target, later(10)), Some((Duration::from_secs(20), 3)));
        assert_eq!(experience.rests(&target, later(31)), None);
        experience.failed(&target, &failover, None, later(31));
        assert_eq!(experience.rests(&target, later(32)).unwrap().1, 4);
        experience.answered(&target);
        assert_eq!(experience.rests(&target, later(32)), None);
    }

    #[test]
    fn a_long_wait_that_is_asked_for_is_a_rest_at_once_and_not_for_ever() {
        let target: Target = "a/m".parse().unwrap();
        let (experience, now) = (watching(&target), Instant::now());
        let day = Some(Duration::from_secs(86_400));
        experience.failed(&target, &Failover::default(), day, now);
        assert_eq!(experience.rests(&target, now), Some((LONGEST_REST, 1)));
    }
}
