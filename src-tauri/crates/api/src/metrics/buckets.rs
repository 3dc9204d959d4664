//! A histogram with fixed bounds, as Prometheus and OpenTelemetry want it: counts by upper bound,
//! and the exact sum. Whole numbers only; the unit is the caller's.

/// How many observations fell under which bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    bounds: &'static [u64],
    /// One for each bound, and one for what exceeds them all.
    counts: Vec<u64>,
    sum: u128,
}

impl Buckets {
    /// Without observations; the bounds ascend.
    pub(crate) fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// Counts one observation.
    pub(crate) fn record(&mut self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at] += 1;
        self.sum += u128::from(value);
    }

    /// Upper bounds, each inclusive.
    pub(crate) const fn bounds(&self) -> &'static [u64] {
        self.bounds
    }

    /// How many there are under each bound alone, and above them all.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What they come to.
    pub(crate) const fn sum(&self) -> u128 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_includes_its_own_value() {
        let mut buckets = Buckets::new(&[10, 100]);
        for value in [0, 10, 11, 100, 101] {
            buckets.record(value);
        }
        assert_eq!(buckets.counts(), [2, 2, 1]);
        assert_eq!((buckets.count(), buckets.sum()), (5, 222));
    }
}
