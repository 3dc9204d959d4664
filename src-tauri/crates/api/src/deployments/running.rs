//! Time that models ran, and what of it counts for their graphics processors.

use store::Run;

/// When something ran at all, as the beginning and the length of each span, in milliseconds: what
/// ran at the same time counts once.
pub(super) fn spans<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<(i64, u64)> {
    let mut seen: Vec<(i64, i64)> = runs.map(|run| (run.from.millis(), run.to.millis())).collect();
    seen.sort_unstable();
    let (mut spans, mut until) = (Vec::new(), i64::MIN);
    for (from, to) in seen {
        let from = from.max(until);
        if to > from {
            spans.push((from, (to - from).unsigned_abs()));
            until = to;
        }
    }
    spans
}

/// How long that was.
pub(super) fn together_ms<'a>(runs: impl Iterator<Item = &'a Run>) -> u64 {
    spans(runs).iter().map(|(_, ms)| *ms).fold(0, u64::saturating_add)
}

/// Time of all graphics processors together, as the driver counted them during each run. Absent
/// where it never did.
pub(super) fn driver_gpu_ms(runs: &[&Run]) -> Option<u64> {
    let most = runs.iter().map(|run| run.gpus).max().filter(|gpus| *gpus > 0)?;
    // The n-th of them was in use whenever a run had that many.
    let of = |nth: u32| together_ms(runs.iter().filter(|run| run.gpus >= nth).copied());
    Some((1..=most.min(MOST_GPUS)).map(of).fold(0, u64::saturating_add))
}

/// More than any machine has.
const MOST_GPUS: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use meter::Timestamp;

    fn run(from: i64, to: i64, gpus: u32) -> Run {
        let [from, to] = [from, to].map(Timestamp::from_millis);
        Run { server: "s".into(), model: "m".into(), from, to, gpus }
    }

    #[test]
    fn what_ran_at_the_same_time_counts_once() {
        let runs = [run(0, 10, 2), run(5, 20, 1), run(30, 40, 0), run(32, 35, 0)];
        // 0 to 20 and 30 to 40.
        assert_eq!(together_ms(runs.iter()), 30);
        assert_eq!(together_ms([].iter()), 0);
        // One during 0 to 20, another during 0 to 10; nobody counted after that.
        assert_eq!(driver_gpu_ms(&runs.iter().collect::<Vec<_>>()), Some(30));
        assert_eq!(driver_gpu_ms(&[&runs[2]]), None);
    }
}
