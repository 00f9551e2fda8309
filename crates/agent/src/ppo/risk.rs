//! Costs of finished episodes: running means, conditional value at risk, learned value at risk.
//!
//! Rockafellar and Uryasev 2000, "Optimization of conditional value-at-risk", eq. 4:
//! `CVaR_a(C) = min over eta of eta + E[max(C - eta, 0)] / (1 - a)`; the minimiser is the value at
//! risk. `eta` follows the subgradient `1 - P(C > eta) / (1 - a)`.

use serde::{Deserialize, Serialize};

use crate::spec::CostSpec;

/// What the episodes of one update that have ended cost, for one constraint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Finished {
    pub episodes: f64,
    /// Sum of the episodes' costs.
    pub cost: f64,
    /// Sum of their squares.
    pub squares: f64,
    /// Sum of `max(C - eta, 0)`.
    pub excess: f64,
    /// Sum of its squares.
    pub excess_squares: f64,
    /// Episodes with `C > eta`.
    pub above: f64,
}

/// Running estimate of one constraint's cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Value at risk `eta`, in the cost's unit; 0 for a limit on the mean.
    pub value_at_risk: f64,
    /// Episodes in the estimate, older ones counting less.
    pub episodes: f64,
    /// Mean cost of an episode.
    pub mean: f64,
    /// Mean of `max(C - eta, 0)`.
    pub excess: f64,
    /// Mean square of what the limit is about: of the cost, or of its excess above the value at
    /// risk.
    pub square: f64,
}

impl Tail {
    /// With the episodes that ended in an update; `window` is the number of episodes after which
    /// an old one counts 1/e. `rate` is the step of the value at risk in units of `scale`.
    #[must_use]
    pub fn after(
        self,
        new: &Finished,
        cost: &CostSpec,
        window: f64,
        rate: f64,
        scale: f64,
    ) -> Self {
        if new.episodes <= 0.0 {
            return self;
        }
        let kept = self.episodes * (-new.episodes / window).exp();
        let episodes = kept + new.episodes;
        let mix = |old: f64, sum: f64| (kept * old + sum) / episodes;
        let mut tail = Self {
            episodes,
            mean: mix(self.mean, new.cost),
            excess: mix(self.excess, new.excess),
            square: match cost.cvar {
                Some(_) => mix(self.square, new.excess_squares),
                None => mix(self.square, new.squares),
            },
            ..self
        };
        let Some(alpha) = cost.cvar else {
            return tail;
        };
        if self.episodes == 0.0 {
            return tail.guessed(new, alpha);
        }
        let above = new.above / new.episodes;
        // the full step only from a full window of episodes
        let step = rate * scale * (new.episodes / window).min(1.0);
        let change = -step * (1.0 - above / (1.0 - alpha));
        tail.value_at_risk += change;
        // what lies above it changes with it, to first order by the share of episodes there
        tail.excess = (tail.excess - change * above).max(0.0);
        tail
    }

    /// The first guess, from which the value at risk is learned: that of a normal distribution
    /// with the episodes' mean and variance.
    fn guessed(mut self, new: &Finished, alpha: f64) -> Self {
        let mean = new.cost / new.episodes;
        let sd = (new.squares / new.episodes - mean * mean).max(0.0).sqrt();
        let z = normal_quantile(alpha);
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        self.value_at_risk = mean + z * sd;
        self.excess = sd * (density - z * (1.0 - alpha));
        self.square = sd * sd * ((1.0 + z * z) * (1.0 - alpha) - z * density);
        self
    }

    /// What the limit is about: the mean, or the conditional value at risk.
    pub fn risk(&self, cost: &CostSpec) -> f64 {
        match cost.cvar {
            None => self.mean,
            Some(alpha) => self.value_at_risk + self.excess / (1.0 - alpha),
        }
    }

    /// One-sided upper 95 % bound of [`Tail::risk`] from so many episodes: of a mean by the central
    /// limit theorem, of a conditional value at risk by the spread of the excess (Rockafellar and
    /// Uryasev's sum is itself a mean at the best value at risk; Trindade et al. 2007).
    pub fn upper(&self, cost: &CostSpec) -> f64 {
        let (mean, tail) = match cost.cvar {
            None => (self.mean, 1.0),
            Some(alpha) => (self.excess, 1.0 - alpha),
        };
        let sd = (self.square - mean * mean).max(0.0).sqrt();
        self.risk(cost) + UPPER * sd / tail / self.episodes.max(1.0).sqrt()
    }
}

/// Quantile .95 of the standard normal distribution.
pub const UPPER: f64 = 1.644_854;

/// A risk and its standard error, of the costs of so many independent episodes; sorts them.
pub fn risk_and_error(costs: &mut [f64], cost: &CostSpec) -> (f64, f64) {
    let n = costs.len().max(1) as f64;
    let error = |values: &mut dyn Iterator<Item = f64>, tail: f64| {
        let (sum, squares) = values.fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
        ((squares / n - (sum / n).powi(2)).max(0.0) / n).sqrt() / tail
    };
    match cost.cvar {
        None => {
            let mean = costs.iter().sum::<f64>() / n;
            (mean, error(&mut costs.iter().copied(), 1.0))
        }
        Some(alpha) => {
            let risk = conditional_value_at_risk(costs, alpha);
            let place = ((alpha * n) as usize).min(costs.len().saturating_sub(1));
            let eta = costs.get(place).copied().unwrap_or_default();
            let mut excess = costs.iter().map(|c| (c - eta).max(0.0));
            (risk, error(&mut excess, 1.0 - alpha))
        }
    }
}

/// Quantile of the standard normal distribution, to 5e-4 (Abramowitz and Stegun 26.2.23).
fn normal_quantile(p: f64) -> f64 {
    let tail = p.min(1.0 - p).max(1e-12);
    let t = (-2.0 * tail.ln()).sqrt();
    let z = t
        - (2.515_517 + 0.802_853 * t + 0.010_328 * t * t)
            / (1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t);
    if p < 0.5 { -z } else { z }
}

/// Mean of the worst `1 - alpha` of the costs, exactly, splitting the cost at the boundary.
pub fn conditional_value_at_risk(costs: &mut [f64], alpha: f64) -> f64 {
    costs.sort_by(f64::total_cmp);
    let tail = (1.0 - alpha) * costs.len() as f64;
    let (mut left, mut sum) = (tail, 0.0);
    for &cost in costs.iter().rev() {
        if left <= 0.0 {
            break;
        }
        sum += cost * left.min(1.0);
        left -= 1.0;
    }
    if tail > 0.0 {
        sum / tail
    } else {
        costs.last().copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cost(cvar: Option<f64>) -> CostSpec {
        CostSpec {
            name: "toxicity".to_owned(),
            limit: 1.0,
            cvar,
        }
    }

    fn finished(costs: &[f64], eta: f64) -> Finished {
        Finished {
            episodes: costs.len() as f64,
            cost: costs.iter().sum(),
            squares: costs.iter().map(|c| c * c).sum(),
            excess: costs.iter().map(|c| (c - eta).max(0.0)).sum(),
            excess_squares: costs.iter().map(|c| (c - eta).max(0.0).powi(2)).sum(),
            above: costs.iter().filter(|&&c| c > eta).count() as f64,
        }
    }

    #[test]
    fn a_mean_needs_no_value_at_risk() {
        let tail = Tail::default().after(&finished(&[1.0, 3.0], 0.0), &cost(None), 2.0, 0.1, 1.0);
        assert_eq!((tail.risk(&cost(None)), tail.value_at_risk), (2.0, 0.0));
        let same = tail.after(&Finished::default(), &cost(None), 2.0, 0.1, 1.0);
        assert_eq!(same, tail);
    }

    /// Uniform costs on 0..1, alpha 0.9: value at risk 0.9, conditional value at risk 0.95.
    #[test]
    fn the_value_at_risk_is_learned() {
        let costs: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0).collect();
        let cost = cost(Some(0.9));
        let mut tail = Tail::default();
        for update in 0..2000 {
            let rate = 0.05 / (1.0 + 0.02 * f64::from(update));
            tail = tail.after(
                &finished(&costs, tail.value_at_risk),
                &cost,
                1000.0,
                rate,
                1.0,
            );
        }
        assert!((tail.value_at_risk - 0.9).abs() < 0.01, "{tail:?}");
        assert!((tail.risk(&cost) - 0.95).abs() < 0.005, "{tail:?}");
        let mut costs = costs;
        assert!((conditional_value_at_risk(&mut costs, 0.9) - 0.95).abs() < 1e-12);
    }

    /// Normal costs: the first guess is already right. Qnorm(.95) = 1.6449, its CVaR 2.0627.
    #[test]
    fn the_first_guess_is_that_of_a_normal_distribution() {
        assert!((normal_quantile(0.95) - 1.6449).abs() < 5e-4);
        assert!((normal_quantile(0.05) + 1.6449).abs() < 5e-4);
        let new = Finished {
            episodes: 100.0,
            cost: 300.0,
            squares: 1300.0,
            ..Finished::default()
        };
        let cost = cost(Some(0.95));
        let tail = Tail::default().after(&new, &cost, 100.0, 0.05, 1.0);
        assert!((tail.value_at_risk - (3.0 + 2.0 * 1.6449)).abs() < 2e-3);
        assert!((tail.risk(&cost) - (3.0 + 2.0 * 2.0627)).abs() < 3e-3);
    }

    /// Exponential costs: VaR.9 = ln 10, CVaR.9 = 1 + ln 10; the excess has mean .1 and mean square
    /// .2, so the bound is 1.645 sqrt(.19 / n) / .1 above. Covered 95 times in 100, about.
    #[test]
    fn an_upper_bound_covers_its_risk() {
        let cost = cost(Some(0.9));
        let (n, runs) = (2000u32, 300u32);
        let (mut covered, mut widths) = (0, 0.0);
        for run in 0..runs {
            let uniform = |i: u32| {
                let word = posology_cohort::philox::draw(7, i, run, 99, 0)[0];
                (f64::from(word) + 0.5) / 2f64.powi(32)
            };
            let mut costs: Vec<f64> = (0..n).map(|i| -uniform(i).ln()).collect();
            let (risk, error) = risk_and_error(&mut costs, &cost);
            let upper = risk + UPPER * error;
            widths += upper - risk;
            covered += u32::from(upper >= 1.0 + 10f64.ln());
            if run == 0 {
                let tail = Tail {
                    episodes: 0.0,
                    ..Tail::default()
                };
                let eta = costs[1800];
                let mut tail = tail.after(&finished(&costs, eta), &cost, 1e9, 0.0, 1.0);
                tail.value_at_risk = eta;
                let sums = finished(&costs, eta);
                (tail.excess, tail.square) = (
                    sums.excess / f64::from(n),
                    sums.excess_squares / f64::from(n),
                );
                assert!((tail.upper(&cost) - upper).abs() < 1e-9);
            }
        }
        let width = widths / f64::from(runs);
        let theory = UPPER * (0.19f64 / f64::from(n)).sqrt() / 0.1;
        assert!((width / theory - 1.0).abs() < 0.03, "{width} {theory}");
        let share = f64::from(covered) / f64::from(runs);
        assert!((0.89..=0.985).contains(&share), "{share}");
    }

    #[test]
    fn a_boundary_episode_counts_in_part() {
        // worst 1.5 of 3 episodes: (5 + 0.5 * 4) / 1.5
        let value = conditional_value_at_risk(&mut [4.0, 5.0, 1.0], 0.5);
        assert!((value - 7.0 / 1.5).abs() < 1e-12);
    }

    proptest! {
        /// For any eta the bound is above the exact value: the estimate errs on the safe side.
        #[test]
        fn any_value_at_risk_gives_an_upper_bound(
            mut costs in prop::collection::vec(-5.0..5.0f64, 2..40),
            eta in -6.0..6.0f64,
            alpha in 0.05..0.95f64,
        ) {
            let n = costs.len() as f64;
            let bound = eta + finished(&costs, eta).excess / n / (1.0 - alpha);
            let exact = conditional_value_at_risk(&mut costs, alpha);
            prop_assert!(bound >= exact - 1e-9);
        }
    }
}
