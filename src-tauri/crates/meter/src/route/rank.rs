//! Which target comes first: what is known of each, and what the user prefers. Whole numbers only.

use crate::money::Money;
use crate::receipt::Profile;

/// A target with fewer recent calls is tried to get to know it, where time is what counts.
pub const KNOWN_AFTER: u32 = 5;

/// What is known of a target from recent calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Recent calls that say something about it.
    pub calls: u32,
    /// Those of them that failed.
    pub failures: u32,
    /// US dollars for a million tokens, mixed as the user's are.
    pub cost: Option<Money>,
    /// Milliseconds to the first token of a stream, or to a whole answer; the median.
    pub wait_ms: Option<u64>,
    /// Thousandths of output tokens a second; the median.
    pub pace: Option<u64>,
    /// Whether `wait_ms` is about streams.
    pub streams: bool,
}

/// A target's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Which target, from 0.
    pub at: usize,
    /// Why it stands there, in a few words.
    pub why: String,
}

/// The targets, the preferred one first. What is equal stays in the user's order.
pub fn rank(profile: Option<Profile>, all: &[Figures]) -> Vec<Ranked> {
    let mut order: Vec<usize> = (0..all.len()).collect();
    match profile {
        None => {}
        Some(Profile::Cost) => order.sort_by_key(|at| or_last(cost(&all[*at]), &all[*at])),
        Some(Profile::Latency) => {
            order.sort_by_key(|at| (is_known(&all[*at]), or_last(wait(&all[*at]), &all[*at])));
        }
        Some(Profile::Throughput) => {
            order.sort_by_key(|at| (is_known(&all[*at]), or_last(slowness(&all[*at]), &all[*at])));
        }
        Some(Profile::Balanced) => {
            let best = [cost, wait, slowness].map(|of| all.iter().filter_map(of).min());
            order.sort_by_key(|at| balance(&all[*at], best));
        }
    }
    let place = |(place, at): (usize, usize)| {
        let word = profile.map_or("order", Profile::as_str);
        let known = profile.map_or_else(String::new, |profile| known(profile, &all[at]));
        Ranked { at, why: format!("{word}: {} of {}{known}", place + 1, all.len()) }
    };
    order.into_iter().enumerate().map(place).collect()
}

fn is_known(one: &Figures) -> bool {
    one.calls >= KNOWN_AFTER
}

fn cost(one: &Figures) -> Option<u128> {
    one.cost.map(|cost| cost.attos().unsigned_abs())
}

fn wait(one: &Figures) -> Option<u128> {
    one.wait_ms.map(u128::from)
}

/// Time for a token.
fn slowness(one: &Figures) -> Option<u128> {
    one.pace.map(|pace| 1_000_000_000_000 / u128::from(pace.max(1)))
}

/// What one success takes: who fails every other time needs twice the tries.
fn for_success(figure: u128, one: &Figures) -> u128 {
    let tries = u128::from(one.calls) + 1;
    let successes = u128::from(one.calls.saturating_sub(one.failures)) + 1;
    figure.saturating_mul(tries) / successes
}

fn or_last(figure: Option<u128>, one: &Figures) -> u128 {
    figure.map_or(u128::MAX, |figure| for_success(figure, one))
}

/// How much worse than the best in thousandths, all three together. Who is unknown is as good as
/// the best until known better.
fn balance(one: &Figures, best: [Option<u128>; 3]) -> u128 {
    let figures = [cost(one), wait(one), slowness(one)];
    let worse = figures.into_iter().zip(best).map(|(figure, best)| match (figure, best) {
        (Some(figure), Some(best)) => (figure + 1).saturating_mul(1000) / (best + 1),
        (None, _) | (_, None) => 1000,
    });
    for_success(worse.fold(0, u128::saturating_add), one)
}

/// What is known, as far as the profile looks at it.
fn known(profile: Profile, one: &Figures) -> String {
    let cost = || match one.cost {
        Some(cost) => format!("{} per 1M tokens", cost.as_dollars()),
        None => "price unknown".to_owned(),
    };
    let what = if one.streams { "the first token" } else { "an answer" };
    let wait = || one.wait_ms.map(|wait| format!("{wait} ms to {what}"));
    let pace = || one.pace.map(|pace| format!("{} tokens a second", pace.div_ceil(1000)));
    let mut said = match profile {
        Profile::Cost => vec![cost()],
        Profile::Latency => wait().into_iter().collect(),
        Profile::Throughput => pace().into_iter().collect(),
        Profile::Balanced => [Some(cost()), wait(), pace()].into_iter().flatten().collect(),
    };
    if matches!(profile, Profile::Latency | Profile::Throughput) && !is_known(one) {
        said.push(format!("to get to know it, {} of {KNOWN_AFTER} calls", one.calls));
    }
    if one.failures > 0 {
        said.push(format!("{} of {} calls failed", one.failures, one.calls));
    }
    said.into_iter().map(|part| format!(", {part}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figures() -> impl Strategy<Value = Figures> {
        let cost = proptest::option::of(0..1_000_000_000_i64);
        let (wait, pace) =
            (proptest::option::of(0..100_000_u64), proptest::option::of(0..500_000_u64));
        (0..64_u32, 0..64_u32, cost, wait, pace).prop_map(
            |(calls, failures, cost, wait_ms, pace)| {
                let cost = cost.map(|cost| Money::from_attos(i128::from(cost) * 1_000_000_000));
                Figures { calls, failures: failures.min(calls), cost, wait_ms, pace, streams: true }
            },
        )
    }

    fn places(profile: Option<Profile>, all: &[Figures]) -> Vec<usize> {
        rank(profile, all).into_iter().map(|ranked| ranked.at).collect()
    }

    fn profiles() -> impl Strategy<Value = Option<Profile>> {
        let all = Profile::ALL.iter().copied().map(Some).chain([None]).collect::<Vec<_>>();
        proptest::sample::select(all)
    }

    proptest! {
        #[test]
        fn everybody_has_one_place(profile in profiles(), all in prop::collection::vec(figures(), 1..12)) {
            let mut order = places(profile, &all);
            prop_assert!(rank(profile, &all).iter().all(|ranked| ranked.why.len() < 160));
            order.sort_unstable();
            prop_assert_eq!(order, (0..all.len()).collect::<Vec<_>>());
        }

        #[test]
        fn who_is_better_in_everything_never_stands_behind(
            profile in profiles(), one in figures(), at in any::<prop::sample::Index>(),
            others in prop::collection::vec(figures(), 1..8),
        ) {
            // Known, cheaper, faster, and with fewer failures than one of the others.
            let worse = Figures { calls: 20, failures: one.failures.min(20), ..one };
            let less = |cost: Money| Money::from_attos(cost.attos() / 2);
            let better = Figures {
                failures: worse.failures / 2,
                cost: worse.cost.map(less),
                wait_ms: worse.wait_ms.map(|wait| wait / 2),
                pace: worse.pace.map(|pace| pace * 2),
                ..worse
            };
            let mut all = others;
            let at = at.index(all.len());
            all.insert(at, better);
            all.push(worse);
            let order = places(profile, &all);
            let place = |of: usize| order.iter().position(|at| *at == of).unwrap();
            prop_assert!(place(at) < place(all.len() - 1), "{order:?}");
        }

        #[test]
        fn equals_stay_in_the_users_order(profile in profiles(), one in figures(), count in 1..9_usize) {
            prop_assert_eq!(places(profile, &vec![one; count]), (0..count).collect::<Vec<_>>());
        }

        #[test]
        fn without_a_profile_nothing_changes_the_order(all in prop::collection::vec(figures(), 1..9)) {
            prop_assert_eq!(places(None, &all), (0..all.len()).collect::<Vec<_>>());
        }
    }

    fn known(cost: &str, wait_ms: u64, pace: u64) -> Figures {
        let cost = Some(cost.parse().unwrap());
        Figures {
            calls: 9,
            failures: 0,
            cost,
            wait_ms: Some(wait_ms),
            pace: Some(pace),
            streams: true,
        }
    }

    #[test]
    fn each_profile_prefers_what_it_says() {
        let all = [known("2", 100, 50_000), known("0.5", 900, 10_000), known("1", 200, 80_000)];
        assert_eq!(places(Some(Profile::Cost), &all), [1, 2, 0]);
        assert_eq!(places(Some(Profile::Latency), &all), [0, 2, 1]);
        assert_eq!(places(Some(Profile::Throughput), &all), [2, 0, 1]);
        // 4000+1000+1600, 1000+9000+8000, 2000+2000+1000: the third is good at everything.
        assert_eq!(places(Some(Profile::Balanced), &all), [2, 0, 1]);
        let why = &rank(Some(Profile::Cost), &all)[0].why;
        assert_eq!(why, "cost: 1 of 3, $0.5000 per 1M tokens");
    }

    #[test]
    fn who_fails_every_other_time_takes_twice_as_much() {
        let shaky = Figures { failures: 9, calls: 19, ..known("0.6", 100, 1) };
        // Twenty tries for eleven successes.
        assert_eq!(places(Some(Profile::Cost), &[shaky, known("1", 100, 1)]), [1, 0]);
        assert_eq!(places(Some(Profile::Cost), &[shaky, known("1.2", 100, 1)]), [0, 1]);
        let why = &rank(Some(Profile::Cost), &[shaky])[0].why;
        assert!(why.ends_with(", 9 of 19 calls failed"), "{why}");
    }

    #[test]
    fn who_is_not_known_is_tried_where_time_counts_and_comes_last_where_money_does() {
        let all = [known("1", 100, 1000), Figures { calls: 2, ..Figures::default() }];
        assert_eq!(places(Some(Profile::Latency), &all), [1, 0]);
        assert_eq!(places(Some(Profile::Cost), &all), [0, 1]);
        let why = &rank(Some(Profile::Latency), &all)[0].why;
        assert_eq!(why, "latency: 1 of 2, to get to know it, 2 of 5 calls");
    }
}
