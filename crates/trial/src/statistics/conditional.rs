//! Two arms with all margins fixed.

use statrs::function::factorial::ln_binomial;

use super::TwoArms;

/// Fisher's noncentral hypergeometric distribution of the events in the treated arm, given all
/// margins.
pub(super) struct Conditional {
    pub(super) low: u64,
    pub(super) high: u64,
    /// Log weights of `low..=high` at an odds ratio of one, the largest being zero.
    logs: Vec<f64>,
}

impl Conditional {
    pub(super) fn new(arms: &TwoArms) -> Self {
        let ((treated_events, treated), (control_events, control)) =
            (arms.treated(), arms.control());
        let events = treated_events + control_events;
        let low = events.saturating_sub(control);
        let high = events.min(treated);
        let raw = (low..=high).map(|x| ln_binomial(treated, x) + ln_binomial(control, events - x));
        let mut logs: Vec<f64> = raw.collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        logs.iter_mut().for_each(|log| *log -= largest);
        Self { low, high, logs }
    }

    /// Weights at a log odds ratio, the largest being one.
    pub(super) fn weights(&self, log_odds_ratio: f64) -> Vec<f64> {
        let shifted = |index: usize| self.logs[index] + log_odds_ratio * index as f64;
        let largest = (0..self.logs.len()).map(shifted).fold(f64::MIN, f64::max);
        (0..self.logs.len())
            .map(|index| (shifted(index) - largest).exp())
            .collect()
    }

    pub(super) fn mean(&self, log_odds_ratio: f64) -> f64 {
        let weights = self.weights(log_odds_ratio);
        let sum: f64 = weights
            .iter()
            .zip(self.low..)
            .map(|(w, x)| w * x as f64)
            .sum();
        sum / weights.iter().sum::<f64>()
    }

    pub(super) fn probability(&self, log_odds_ratio: f64, holds: impl Fn(u64) -> bool) -> f64 {
        let weights = self.weights(log_odds_ratio);
        let kept = weights.iter().zip(self.low..).filter(|(_, x)| holds(*x));
        kept.map(|(w, _)| w).sum::<f64>() / weights.iter().sum::<f64>()
    }
}
