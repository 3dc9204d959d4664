//! How many of something there were in the last minute, to the second.

/// A sliding minute.
#[derive(Clone, Debug)]
pub(crate) struct Minute {
    /// By second modulo sixty.
    seconds: [u64; LENGTH as usize],
    /// The newest second that counts.
    now: u64,
}

const LENGTH: u64 = 60;

impl Default for Minute {
    fn default() -> Self {
        Self { seconds: [0; LENGTH as usize], now: 0 }
    }
}

impl Minute {
    /// Forgets what is over.
    fn pass(&mut self, now: u64) {
        let gone = now.saturating_sub(self.now).min(LENGTH);
        for second in 1..=gone {
            self.seconds[((self.now + second) % LENGTH) as usize] = 0;
        }
        self.now = self.now.max(now);
        if gone == LENGTH {
            self.seconds = [0; LENGTH as usize];
        }
    }

    /// How many there were.
    pub(crate) fn sum(&mut self, now: u64) -> u64 {
        self.pass(now);
        self.seconds.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// So many more.
    pub(crate) fn add(&mut self, now: u64, count: u64) {
        self.pass(now);
        let slot = &mut self.seconds[(self.now % LENGTH) as usize];
        *slot = slot.saturating_add(count);
    }

    /// What was counted as `before` at `then` turned out to be `after`.
    pub(crate) fn correct(&mut self, now: u64, then: u64, before: u64, after: u64) {
        self.pass(now);
        if now.saturating_sub(then) >= LENGTH {
            return;
        }
        let slot = &mut self.seconds[(then % LENGTH) as usize];
        *slot = slot.saturating_sub(before).saturating_add(after);
    }

    /// Seconds until no more than `most` are left.
    pub(crate) fn until_at_most(&mut self, now: u64, most: u64) -> u64 {
        let mut left = self.sum(now);
        for passed in 1..=LENGTH {
            left -= self.seconds[((self.now + passed) % LENGTH) as usize].min(left);
            if left <= most {
                return passed;
            }
        }
        LENGTH
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sums_the_last_sixty_seconds(steps in prop::collection::vec((0..40_u64, 0..9_u64), 1..60)) {
            let (mut minute, mut all, mut now) = (Minute::default(), Vec::new(), 0);
            for (pause, count) in steps {
                now += pause;
                minute.add(now, count);
                all.push((now, count));
                let sum = |at: u64| {
                    let recent = all.iter().filter(|(then, _)| at - then < 60);
                    recent.map(|(_, count)| count).sum::<u64>()
                };
                prop_assert_eq!(minute.sum(now), sum(now));
                let wait = minute.until_at_most(now, 3);
                prop_assert!((1..=60).contains(&wait) && sum(now + wait) <= 3);
                prop_assert!(wait == 1 || sum(now + wait - 1) > 3);
            }
        }
    }

    #[test]
    fn a_count_is_corrected_where_it_was_made() {
        let mut minute = Minute::default();
        minute.add(10, 100);
        minute.correct(20, 10, 100, 30);
        assert_eq!(minute.sum(69), 30);
        assert_eq!(minute.sum(70), 0);
        minute.correct(71, 10, 100, 30);
        assert_eq!(minute.sum(71), 0);
    }
}
