//! Counts of values in equal bins.

use super::ticks::nice_step;

/// Bins with round edges.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Bin edges, ascending: one more than counts.
    pub edges: Vec<f64>,
    /// Values per bin.
    pub counts: Vec<f64>,
}

impl Histogram {
    /// Bins the finite values. The width follows Freedman and Diaconis 1981 (from the quartiles
    /// and the count), rounded to 1, 2 or 5 times a power of ten, with 4 to 80 bins. Without
    /// finite values there is one empty bin.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
            return Self {
                edges: vec![0.0, 1.0],
                counts: vec![0.0],
            };
        };
        let at = |share: f64| sorted[(share * (sorted.len() - 1) as f64).round() as usize];
        let span = if high > low {
            high - low
        } else {
            low.abs().max(1.0)
        };
        let ideal = 2.0 * (at(0.75) - at(0.25)) / (sorted.len() as f64).cbrt();
        let count = if ideal > 0.0 {
            (span / ideal).clamp(4.0, 80.0)
        } else {
            10.0
        };
        let width = nice_step(span, count.round() as usize);
        let first = (low / width).floor() as i64;
        let bins = ((high / width).floor() as i64 - first + 1).max(1) as usize;
        let mut counts = vec![0.0; bins];
        for value in &sorted {
            let bin = ((value / width).floor() as i64 - first).max(0) as usize;
            counts[bin.min(bins - 1)] += 1.0;
        }
        let edges = (0..=bins)
            .map(|bin| (first + bin as i64) as f64 * width)
            .collect();
        Self { edges, counts }
    }

    /// Shares of all values instead of counts.
    pub fn shares(&self) -> Vec<f64> {
        let total: f64 = self.counts.iter().sum();
        self.counts
            .iter()
            .map(|count| if total > 0.0 { count / total } else { 0.0 })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_is_counted_once() {
        let values: Vec<f64> = (0..1000)
            .map(|i| (f64::from(i) * 0.37).sin() * 3.0)
            .collect();
        let histogram = Histogram::of(&[values.as_slice(), &[f64::NAN]].concat());
        assert_eq!(histogram.counts.iter().sum::<f64>(), 1000.0);
        assert_eq!(histogram.edges.len(), histogram.counts.len() + 1);
        assert!(histogram.edges[0] <= -3.0 && histogram.edges[histogram.edges.len() - 1] >= 2.99);
        let one = Histogram::of(&[2.0, 2.0]);
        assert_eq!(one.counts.iter().sum::<f64>(), 2.0);
    }
}
