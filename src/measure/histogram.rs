//! How values are distributed over fixed ranges. The histogram of `prometheus-client` takes a lock for each value.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Counts values by range.
#[derive(Debug)]
pub struct Histogram {
    /// The largest value of each range but the last, which has no end.
    bounds: &'static [u64],
    /// How many of the counted units are one unit of the metric.
    per_unit: f64,
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// In nanoseconds: from 10 µs, in which a check of a cached token is answered, to the deadline of a request.
const DURATIONS: &[u64] = &[
    10 * MICROSECOND,
    25 * MICROSECOND,
    50 * MICROSECOND,
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    2_500 * MICROSECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    2_500 * MILLISECOND,
    5 * SECOND,
    10 * SECOND,
];

/// Up to the largest batch of a writer.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

impl Histogram {
    /// Of durations, shown in seconds.
    pub fn of_durations() -> Self {
        Self::new(DURATIONS, SECOND as f64)
    }

    /// Of small numbers.
    pub fn of_sizes() -> Self {
        Self::new(SIZES, 1.0)
    }

    fn new(bounds: &'static [u64], per_unit: f64) -> Self {
        Self {
            bounds,
            per_unit,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a duration. The histogram must be one of durations.
    pub fn observe(&self, duration: Duration) {
        // In 64 bits, which is quicker than `as_nanos` and enough for 500 years.
        self.add(duration.as_secs().saturating_mul(SECOND).saturating_add(duration.subsec_nanos().into()));
    }

    /// Counts a number. The histogram must be one of sizes.
    pub fn observe_size(&self, size: usize) {
        self.add(u64::try_from(size).unwrap_or(u64::MAX));
    }

    fn add(&self, value: u64) {
        // From the start, because nearly all values are small.
        let range = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.counts[range].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// What was counted so far.
    pub fn distribution(&self) -> Distribution {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / self.per_unit).chain([f64::INFINITY]);
        let ranges: Vec<(f64, u64)> =
            bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        Distribution { sum: self.sum.load(Relaxed) as f64 / self.per_unit, ranges }
    }
}

/// What a [`Histogram`] has counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The sum of all values.
    pub sum: f64,
    /// The largest value of each range, and how many values are in it. The last range is that of all larger values.
    pub ranges: Vec<(f64, u64)>,
}

impl Distribution {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(_, count)| count).sum()
    }

    /// Adds what another histogram with the same ranges has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        for ((_, count), (_, more)) in self.ranges.iter_mut().zip(&other.ranges) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_range_that_holds_it() {
        let histogram = Histogram::of_durations();
        for micros in [0, 10, 11, 30, 11_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counted = histogram.distribution();
        assert_eq!(counted.count(), 5);
        assert!((counted.sum - 11.000_051).abs() < 1e-9, "{}", counted.sum);
        assert_eq!(counted.ranges[..3], [(0.000_01, 2), (0.000_025, 1), (0.000_05, 1)]);
        assert_eq!(*counted.ranges.last().unwrap(), (f64::INFINITY, 1), "longer than the last bound");
    }

    #[test]
    fn two_distributions_add_up() {
        let (one, other) = (Histogram::of_sizes(), Histogram::of_sizes());
        one.observe_size(1);
        other.observe_size(1);
        other.observe_size(600);
        let mut both = one.distribution();
        both.add(&other.distribution());
        assert_eq!((both.count(), both.sum), (3, 602.0));
        assert_eq!((both.ranges[0], both.ranges[10].1), ((1.0, 2), 1));
    }
}
