//! A histogram of durations that can be merged and taken apart again, so that percentiles
//! over years come from sums of small ones.

use crate::pack::{Unpack, UnpackError, put, put_signed};
use crate::tally::Sign;

/// Buckets per doubling. A bucket is at most 1/32 wide, so a percentile is off by at most
/// 1.6 %; durations below 64 ms are exact.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// The bucket of the longest duration there can be.
const LAST: u16 = (58 * STEPS + 63) as u16;

/// Durations in milliseconds, counted in buckets that grow with them.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Neighbouring buckets; those outside are empty. A year's are some two hundred.
    counts: Vec<i64>,
    /// Which bucket the first of them is.
    first: u16,
    sum_ms: i128,
}

/// Durations of about the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The shortest.
    pub from: u64,
    /// What is longer than all of them.
    pub to: u64,
    /// How many there are.
    pub count: u64,
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.sum_ms == other.sum_ms && self.buckets().eq(other.buckets())
    }
}

impl Eq for Histogram {}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, ms: u64) {
        *self.count_of(bucket(ms)) += 1;
        self.sum_ms += i128::from(ms);
    }

    /// Counts one duration in one of sixteen buckets a doubling, so that fewer are told apart:
    /// percentiles are off by at most 3.2 %.
    pub(crate) fn record_coarsely(&mut self, duration: u64) {
        let width = 1_u64 << duration.checked_ilog2().unwrap_or(0).saturating_sub(4);
        *self.count_of(bucket((duration / width * width).saturating_add(width / 2))) += 1;
        self.sum_ms += i128::from(duration);
    }

    /// The buckets that are not empty.
    fn buckets(&self) -> impl Iterator<Item = (u16, i64)> {
        let counts = (self.first..).zip(self.counts.iter().copied());
        counts.filter(|(_, count)| *count != 0)
    }

    /// The count of a bucket that there can be.
    #[inline]
    fn count_of(&mut self, bucket: u16) -> &mut i64 {
        // Below the first this wraps and is beyond every end.
        if usize::from(bucket.wrapping_sub(self.first)) >= self.counts.len() {
            self.reach(bucket);
        }
        &mut self.counts[usize::from(bucket - self.first)]
    }

    /// Makes room for a bucket.
    fn reach(&mut self, bucket: u16) {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            // Some more than needed, as they seldom come alone.
            let first = bucket - bucket % STEPS as u16;
            self.counts.splice(..0, (first..self.first).map(|_| 0));
            self.first = first;
        }
        let at = usize::from(bucket - self.first);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
    }

    /// How many durations there are of each length, two slices a doubling, from the shortest to
    /// the longest without gaps.
    pub fn slices(&self) -> Vec<Slice> {
        let mut slices: Vec<Slice> = Vec::new();
        for (bucket, count) in self.buckets() {
            let (from, to) = slice_of(low(bucket));
            while let Some(last) = slices.last().filter(|last| last.from < from) {
                let (from, to) = slice_of(last.to);
                slices.push(Slice { from, to, count: 0 });
            }
            match slices.last_mut() {
                Some(last) => last.count += count.unsigned_abs(),
                None => slices.push(Slice { from, to, count: count.unsigned_abs() }),
            }
        }
        slices
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum: u64, count| sum.saturating_add(count.unsigned_abs()))
    }

    /// Their mean, rounded to the nearest millisecond. Absent when there are none.
    pub fn mean_ms(&self) -> Option<u64> {
        let count = u128::from(self.count());
        let sum = self.sum_ms.unsigned_abs();
        (count > 0)
            .then(|| u64::try_from(sum.saturating_add(count / 2) / count).unwrap_or(u64::MAX))
    }

    /// The duration that this percentage (0 to 100) of them do not exceed: `percentile_ms(95)`.
    pub fn percentile_ms(&self, percent: u8) -> Option<u64> {
        let total = self.count();
        let rank = (u128::from(total) * u128::from(percent.min(100))).div_ceil(100).max(1);
        let mut passed = 0_u128;
        for (bucket, count) in self.buckets() {
            passed += u128::from(count.unsigned_abs());
            if passed >= rank {
                return Some(middle(bucket));
            }
        }
        None
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.merge(Sign::Plus, other);
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.merge(Sign::Minus, other);
    }

    fn merge(&mut self, sign: Sign, other: &Self) {
        for (bucket, count) in other.buckets() {
            let sum = self.count_of(bucket);
            *sum = sign.merge_narrow(*sum, count);
        }
        self.sum_ms = sign.merge(self.sum_ms, other.sum_ms);
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put(out, self.buckets().count() as u64);
        let mut last = 0;
        for (bucket, count) in self.buckets() {
            put(out, bucket - last);
            put_signed(out, i128::from(count));
            last = bucket;
        }
        put_signed(out, self.sum_ms);
    }

    /// Adds what [`Self::put`] wrote.
    pub(crate) fn add_packed(
        &mut self,
        sign: Sign,
        input: &mut Unpack<'_>,
    ) -> Result<(), UnpackError> {
        let mut last = 0_u16;
        for _ in 0..input.take::<usize>()? {
            let (step, count) = input.step_and_count()?;
            last = last.checked_add(step).ok_or(UnpackError::Damaged)?;
            if last > LAST {
                return Err(UnpackError::Damaged);
            }
            let sum = self.count_of(last);
            *sum = sign.merge_narrow(*sum, count);
        }
        self.sum_ms = sign.merge(self.sum_ms, input.signed()?);
        Ok(())
    }
}

fn bucket(ms: u64) -> u16 {
    let octave = (ms / STEPS).checked_ilog2().unwrap_or(0);
    (u64::from(octave) * STEPS + (ms >> octave)) as u16
}

fn middle(bucket: u16) -> u64 {
    low(bucket) + ((1_u64 << octave(bucket)) - 1) / 2
}

/// The shortest duration of a bucket.
fn low(bucket: u16) -> u64 {
    (u64::from(bucket) - octave(bucket) * STEPS) << octave(bucket)
}

fn octave(bucket: u16) -> u64 {
    (u64::from(bucket) >> STEP_BITS).saturating_sub(1)
}

/// From where to where the slice of a duration goes: 4 to 6, 6 to 8, 8 to 12.
fn slice_of(duration: u64) -> (u64, u64) {
    match duration.checked_ilog2() {
        None => (0, 1),
        Some(0) => (1, 2),
        Some(doubling) => {
            let half = doubling - 1;
            let halves = duration >> half;
            (halves << half, (halves + 1).checked_shl(half).unwrap_or(u64::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_duration_has_the_last_bucket() {
        assert_eq!(bucket(u64::MAX), LAST);
        assert!(middle(LAST) > u64::MAX / 64 * 63);
    }

    #[test]
    fn percentiles_are_those_of_the_durations() {
        let mut histogram = Histogram::default();
        for ms in 1..=60 {
            histogram.record(ms);
        }
        assert_eq!(histogram.percentile_ms(50), Some(30));
        assert_eq!(histogram.percentile_ms(95), Some(57));
        assert_eq!(histogram.percentile_ms(100), Some(60));
        assert_eq!(histogram.mean_ms(), Some(31));
        assert_eq!(Histogram::default().percentile_ms(50), None);
        assert_eq!(Histogram::default().mean_ms(), None);
    }

    #[test]
    fn slices_hold_every_duration_once_and_leave_no_gap() {
        let mut histogram = Histogram::default();
        for ms in [0, 5, 5, 6, 100, 127, 128] {
            histogram.record(ms);
        }
        let slices = histogram.slices();
        let busy = slices.iter().filter(|slice| slice.count > 0);
        let busy: Vec<_> = busy.map(|slice| (slice.from, slice.to, slice.count)).collect();
        assert_eq!(busy, [(0, 1, 1), (4, 6, 2), (6, 8, 1), (96, 128, 2), (128, 192, 1)]);
        assert!(slices.windows(2).all(|pair| pair[0].to == pair[1].from), "{slices:?}");
        assert_eq!(Histogram::default().slices(), []);
    }

    proptest! {
        #[test]
        fn a_bucket_stands_for_its_durations_within_two_percent(ms in 0..u64::MAX / 2) {
            let stands_for = middle(bucket(ms));
            prop_assert!(stands_for.abs_diff(ms) <= ms / 63, "{ms} {stands_for}");
            prop_assert!(bucket(ms) <= bucket(ms + 1));
        }

        #[test]
        fn what_is_added_can_be_taken_away(a: Vec<u32>, b: Vec<u32>) {
            let of = |list: &[u32]| {
                let mut histogram = Histogram::default();
                list.iter().for_each(|ms| histogram.record(u64::from(*ms)));
                histogram
            };
            let mut sum = of(&a);
            sum.add(&of(&b));
            prop_assert_eq!(sum.count(), (a.len() + b.len()) as u64);
            let mut bytes = Vec::new();
            sum.put(&mut bytes);
            let mut back = Histogram::default();
            back.add_packed(Sign::Plus, &mut Unpack::new(&bytes)).unwrap();
            prop_assert_eq!(&back, &sum);
            sum.subtract(&of(&b));
            prop_assert_eq!(sum, of(&a));
        }
    }
}
