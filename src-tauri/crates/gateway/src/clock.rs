//! The two clocks of one request, the wall's, which may jump, and the monotonic one, which may not;
//! and patience, which is measured on the latter.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meter::Timestamp;
use tokio::time::{Sleep, sleep_until};

/// The clocks may drift apart by this much before the wall's counts as having jumped.
const TOLERANCE_MS: u64 = 3_000;

/// When a request began, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    wall: Timestamp,
    steady: Instant,
}

impl Began {
    /// Now.
    pub(crate) fn now() -> Self {
        Self { wall: wall_now(), steady: Instant::now() }
    }

    /// What the wall clock said.
    pub(crate) fn wall(&self) -> Timestamp {
        self.wall
    }

    /// Steady time since then.
    pub(crate) fn elapsed(&self) -> Duration {
        self.steady.elapsed()
    }

    /// When it is over: the wall clock's word (never before the beginning), and whether that
    /// clock jumped in between.
    pub(crate) fn ended(&self, elapsed: Duration) -> (Timestamp, bool) {
        let now = wall_now();
        let by_wall = now.millis() - self.wall.millis();
        let by_steady = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        (now.max(self.wall), by_wall.abs_diff(by_steady) > TOLERANCE_MS)
    }
}

/// The wall clock. Before 1970 it is 1970.
pub(crate) fn wall_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Patience with a peer that should send something: runs out after a stretch of silence.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    last: Instant,
    /// Armed when there is something to wait for, and then moved only when it goes off: frames
    /// that come in time cost one look at the clock each.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, last: Instant::now(), alarm: None }
    }

    /// Something came.
    pub(crate) fn renew(&mut self) {
        self.last = Instant::now();
    }

    /// Ready once it has run out. To be asked whenever there is nothing else to do.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (last, limit) = (self.last, self.limit);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until((last + limit).into())));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if last.elapsed() >= limit {
                return Poll::Ready(());
            }
            alarm.as_mut().reset((last + limit).into());
        }
    }
}

/// Patience with a peer that does send something, but so little that it would go on for ever:
/// the time spent waiting for it may grow only with what it moves.
#[derive(Debug)]
pub(crate) struct Pace {
    grace: Duration,
    waited: Duration,
    since: Option<Instant>,
    moved: u64,
}

/// Bytes a second: a tenth of what compressed speech takes, which some stream as it is spoken.
const SLOWEST: u64 = 100;

impl Pace {
    pub(crate) fn new(grace: Duration) -> Self {
        Self { grace, waited: Duration::ZERO, since: None, moved: 0 }
    }

    /// Nothing moves until the peer does something.
    pub(crate) fn waits(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// So many bytes moved. `false`: the peer is too slow.
    pub(crate) fn moves(&mut self, bytes: usize) -> bool {
        let Some(since) = self.since.take() else {
            self.moved += bytes as u64;
            return true;
        };
        self.waited += since.elapsed();
        self.moved += bytes as u64;
        self.waited <= self.grace + Duration::from_millis(self.moved * 1000 / SLOWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_counts_and_what_moves_earns_more_of_it() {
        let mut pace = Pace::new(Duration::ZERO);
        assert!(pace.moves(0), "nobody waited");
        pace.waits();
        assert!(!pace.moves(0), "it waited for nothing");
        pace.waits();
        assert!(pace.moves(1 << 30), "months of waiting are earned");
    }
}
