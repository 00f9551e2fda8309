//! A process whose optimum is known in closed form, for tests of learning.
//!
//! At every decision a dose `a` in 0..1 is to meet a target `x`: the reward is `1 - (a - x)^2`,
//! the cost (where there is one) `a`. Either the target is new at every decision, uniform on 0..1
//! and seen; or it is the patient's own, hidden, and every observation shows it with new noise, so
//! that memory pays. Episodes last `horizon` decisions and end there. Discount 1.

use posology_kernels::device::Device;
use posology_kernels::environment::{AnalyticLanes, AnalyticNoise, AnalyticPlan, LaneClock};

use super::patients::buffers;
use super::wrappers::Clocked;
use super::{AutoReset, Environment};
use crate::error::AgentError;
use crate::rollout::Rollout;
use crate::spec::{ActionKind, ActionSpec, CostSpec, RewardSpec, Spec};

/// What is hidden, and behind how much noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hidden {
    /// Standard deviation of the noise of an observation: in units of the target with a fraction
    /// as the action; with two levels the observation is -1 or 1 (targets 0 and 1) plus noise.
    pub noise: f64,
    /// Standard deviation of the target around 1/2, normal; only with a fraction as the action
    /// (with levels the target is 0 or 1, equally often). At most 1/8, so that the optimum hardly
    /// ever lies outside 0..1.
    pub spread: f64,
}

/// Which of the processes.
#[derive(Clone, Debug, PartialEq)]
pub struct Analytic {
    /// Levels of the action, evenly spaced over 0..1; `None` for any fraction.
    pub levels: Option<u32>,
    /// Decisions of an episode.
    pub horizon: usize,
    /// Limit of the mean cost of an episode.
    pub limit: Option<f64>,
    /// Tail share: the limit is about the conditional value at risk of an episode's cost.
    pub cvar: Option<f64>,
    pub hidden: Option<Hidden>,
}

impl Default for Analytic {
    fn default() -> Self {
        Self {
            levels: None,
            horizon: 8,
            limit: None,
            cvar: None,
            hidden: None,
        }
    }
}

/// An optimum of one decision under a price on the dose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Priced {
    /// Mean reward of a decision.
    pub reward: f64,
    /// Mean dose of a decision.
    pub cost: f64,
}

impl Analytic {
    /// Optimal mean return of an episode without a limit: with a hidden target, of a policy that
    /// remembers.
    ///
    /// Fraction, hidden: the loss of decision `t` is the variance after `t` observations,
    /// `1 / (1/spread^2 + t/noise^2)` (1e-4 of it is lost outside 0..1). Two levels, hidden: the
    /// sum of `t` observations has the target's sign with probability `Phi(sqrt(t) / noise)`.
    pub fn best_return(&self) -> f64 {
        match self.hidden {
            None => self.horizon as f64 * self.priced(0.0).reward,
            Some(hidden) => (1..=self.horizon).map(|t| self.known(&hidden, t)).sum(),
        }
    }

    /// Optimal mean return of a policy that sees the latest observation only.
    pub fn memoryless_return(&self) -> f64 {
        match self.hidden {
            None => self.best_return(),
            Some(hidden) => self.horizon as f64 * self.known(&hidden, 1),
        }
    }

    /// Mean reward of one decision when `t` observations are known.
    fn known(&self, hidden: &Hidden, t: usize) -> f64 {
        let t = t as f64;
        match self.levels {
            Some(_) => normal_cdf(t.sqrt() / hidden.noise),
            None => 1.0 - 1.0 / (hidden.spread.powi(-2) + t * hidden.noise.powi(-2)),
        }
    }

    /// The optimum of one decision with a seen target, where a unit of dose costs `2 m` of reward:
    /// the dose is `max(0, x - m)`, or the level nearest to it.
    pub fn priced(&self, m: f64) -> Priced {
        let Some(levels) = self.levels else {
            // E[dose] = (1 - m)^2 / 2; E[loss] = int_0^m x^2 dx + m^2 (1 - m)
            return Priced {
                reward: 1.0 - (m * m - 2.0 / 3.0 * m.powi(3)),
                cost: (1.0 - m).powi(2) / 2.0,
            };
        };
        // level i + 1 is better than level i where x > s = m + (i + 1/2) h, and gains
        // 2 x h - h^2 (2 i + 1) there; no dose loses E[x^2] = 1/3
        let h = 1.0 / f64::from(levels - 1);
        let mut priced = Priced {
            reward: 2.0 / 3.0,
            cost: 0.0,
        };
        for i in 0..levels - 1 {
            let i = f64::from(i);
            let s = (m + (i + 0.5) * h).min(1.0);
            priced.reward += h * (1.0 - s * s) - h * h * (2.0 * i + 1.0) * (1.0 - s);
            priced.cost += h * (1.0 - s);
        }
        priced
    }

    /// The optimum with a seen target that keeps the limit on average: `(m, return, cost)` of an
    /// episode. The multiplier is `2 m`; 0 where the limit does not bind.
    pub fn constrained(&self) -> (f64, f64, f64) {
        let horizon = self.horizon as f64;
        let whole = |m: f64| {
            let Priced { reward, cost } = self.priced(m);
            (m, horizon * reward, horizon * cost)
        };
        let limit = self.limit.unwrap_or(f64::INFINITY);
        if whole(0.0).2 <= limit {
            return whole(0.0);
        }
        if self.levels.is_none() {
            return whole(1.0 - (2.0 * limit.max(0.0) / horizon).sqrt());
        }
        // the mean dose falls with m, continuously
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if whole(middle).2 > limit {
                low = middle;
            } else {
                high = middle;
            }
        }
        whole(high)
    }

    /// The optimum of an episode of one decision with any fraction as its dose and a seen target,
    /// whose conditional value at risk of the dose keeps the limit: `(m, return)`.
    ///
    /// By Rockafellar and Uryasev's sum with value at risk `e` and a price of `2 m` on every unit of
    /// dose above it, the best dose is `x` up to `e`, then `e`, and `x - m` from `e + m` on; the
    /// best `e` is `alpha - m / 2`. Then
    ///
    /// ```text
    /// CVaR = [((1 - m)^2 - e^2) / 2 + e m / 2] / (1 - alpha)
    /// loss = m^3 / 3 + m^2 (1 - e - m)
    /// ```
    ///
    /// up to `m = 2 (1 - alpha)`, from where the worst share of the doses is all one cap.
    pub fn tail_constrained(&self, alpha: f64) -> (f64, f64) {
        let limit = self.limit.unwrap_or(f64::INFINITY);
        let eta = |m: f64| alpha - 0.5 * m;
        let risk = |m: f64| {
            let above = 0.5 * ((1.0 - m).powi(2) - eta(m).powi(2));
            (above + 0.5 * eta(m) * m) / (1.0 - alpha)
        };
        let most = 2.0 * (1.0 - alpha);
        if risk(0.0) <= limit {
            return (0.0, 1.0);
        }
        if risk(most) > limit {
            let cap = limit.max(0.0);
            return (1.0 - cap, 1.0 - (1.0 - cap).powi(3) / 3.0);
        }
        // the risk falls with m
        let (mut low, mut high) = (0.0, most);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if risk(middle) > limit {
                low = middle;
            } else {
                high = middle;
            }
        }
        let m = high;
        let loss = m.powi(3) / 3.0 + m * m * (1.0 - eta(m) - m);
        (m, 1.0 - loss)
    }

    /// As a policy and its trainer see it.
    pub fn spec(&self) -> Spec {
        let seen = match self.hidden {
            Some(_) => "cue",
            None => "target",
        };
        let kind = match self.levels {
            Some(levels) => {
                let h = 1.0 / f64::from(levels.max(2) - 1);
                ActionKind::Levels((0..levels).map(|i| f64::from(i) * h).collect())
            }
            None => ActionKind::Fraction,
        };
        let cost = self.limit.map(|limit| CostSpec {
            name: "dose".to_owned(),
            limit,
            cvar: self.cvar,
        });
        Spec {
            name: "analytic".to_owned(),
            features: vec![seen.to_owned(), "remaining".to_owned()],
            actions: vec![ActionSpec {
                name: "dose".to_owned(),
                kind,
            }],
            rewards: vec![RewardSpec {
                name: "nearness".to_owned(),
                weight: 1.0,
                shaping: false,
            }],
            costs: cost.into_iter().collect(),
            hidden: self.hidden.iter().map(|_| "target".to_owned()).collect(),
            horizon: self.horizon,
            discount: 1.0,
        }
    }

    fn check(&self) -> Result<(), AgentError> {
        let wrong = |key: &str, value: String, cause: &str| {
            Err(AgentError::Option {
                key: key.to_owned(),
                value,
                cause: cause.to_owned(),
            })
        };
        if self.horizon == 0 {
            return wrong("horizon", "0".to_owned(), "must be at least 1");
        }
        if let Some(alpha) = self.cvar
            && !(0.0..1.0).contains(&alpha)
        {
            return wrong("cvar", alpha.to_string(), "must be from 0 to below 1");
        }
        if let Some(levels) = self.levels
            && !(2..=32).contains(&levels)
        {
            return wrong("levels", levels.to_string(), "must be 2 to 32");
        }
        if let Some(hidden) = self.hidden {
            if self.levels.is_some_and(|levels| levels != 2) {
                return wrong(
                    "levels",
                    "more".to_owned(),
                    "a hidden target has two levels",
                );
            }
            let spread = self.levels.is_some() || (hidden.spread > 0.0 && hidden.spread <= 0.125);
            if !(hidden.noise > 0.0 && hidden.noise.is_finite() && spread) {
                return wrong(
                    "hidden",
                    format!("{hidden:?}"),
                    "noise must be positive, the spread positive and at most 1/8",
                );
            }
        }
        Ok(())
    }
}

/// The distribution function of a standard normal variate, to 1e-15 near the middle:
/// `1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + ...)` (Abramowitz and Stegun 26.2.11).
pub(crate) fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term.abs() > 1e-17 {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// Lanes of an analytic process.
pub struct AnalyticEnvironment {
    spec: Spec,
    lanes: AnalyticLanes,
}

impl AnalyticEnvironment {
    /// # Errors
    /// [`AgentError::Option`] where the process cannot be.
    pub fn new(
        device: &Device,
        process: &Analytic,
        lanes: usize,
        reset: AutoReset,
    ) -> Result<Self, AgentError> {
        process.check()?;
        let spec = process.spec();
        let plan = AnalyticPlan {
            levels: process.levels.unwrap_or(0),
            hidden: process.hidden.is_some(),
            cost: process.limit.is_some(),
            reset: reset.into(),
        };
        let sizes = process
            .hidden
            .map_or_else(AnalyticNoise::default, |hidden| AnalyticNoise {
                spread: hidden.spread as f32,
                noise: hidden.noise as f32,
            });
        let horizon = process.horizon as u32;
        Ok(Self {
            lanes: AnalyticLanes::new(device, plan, sizes, lanes, horizon, 1.0),
            spec,
        })
    }
}

impl Environment for AnalyticEnvironment {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn lanes(&self) -> usize {
        self.lanes.lanes()
    }

    fn reset(&mut self, seed: u64, first_patient: u32, out: &Rollout) -> Result<(), AgentError> {
        self.lanes.begin(seed, first_patient, &buffers(out));
        Ok(())
    }

    fn step(&mut self, rollout: &Rollout, t: usize) -> Result<(), AgentError> {
        self.lanes.step(t, &buffers(rollout));
        Ok(())
    }

    fn snapshot(&self) -> Result<Vec<u8>, AgentError> {
        Ok(self.lanes.snapshot()?)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        if self.lanes.restore(bytes) {
            return Ok(());
        }
        Err(AgentError::Checkpoint {
            path: "environment".to_owned(),
            cause: "its state belongs to another number of lanes".to_owned(),
        })
    }
}

impl Clocked for AnalyticEnvironment {
    fn clock(&self) -> LaneClock {
        let (context, len) = self.lanes.context();
        LaneClock {
            context: context.clone(),
            len,
            patient_row: 1,
            seed: self.lanes.seed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Analytic, normal_cdf};

    #[test]
    fn normal_distribution_function() {
        // tables of the standard normal distribution
        assert!((normal_cdf(1.0) - 0.841_344_746_068_543).abs() < 1e-14);
        assert!((normal_cdf(-2.5) - 0.006_209_665_325_776).abs() < 1e-14);
    }

    /// The mean of `1 - (a - x)^2` and of `a` over a fine grid of targets.
    fn by_grid(process: &Analytic, m: f64) -> (f64, f64) {
        let n = 200_000;
        let (mut reward, mut cost) = (0.0, 0.0);
        for i in 0..n {
            let x = (f64::from(i) + 0.5) / f64::from(n);
            let mut a = (x - m).max(0.0);
            if let Some(levels) = process.levels {
                let top = f64::from(levels - 1);
                a = (a * top).round() / top;
            }
            reward += 1.0 - (a - x) * (a - x);
            cost += a;
        }
        (reward / f64::from(n), cost / f64::from(n))
    }

    /// Doses `min(x, e)` and `max(e, x - m)` for all e and m on a grid: none that keeps the limit is
    /// better than the closed form.
    #[test]
    fn the_tail_optimum_is_that_of_a_search() {
        let (n, alpha) = (2000, 0.75);
        for limit in [0.45, 0.55, 0.65, 0.8] {
            let process = Analytic {
                horizon: 1,
                limit: Some(limit),
                ..Analytic::default()
            };
            let mut best = f64::NEG_INFINITY;
            for e in 0..100 {
                for m in 0..100 {
                    let (e, m) = (0.01 * f64::from(e), 0.01 * f64::from(m));
                    let (mut reward, mut doses) = (0.0, Vec::with_capacity(n));
                    for i in 0..n {
                        let x = (i as f64 + 0.5) / n as f64;
                        let dose = x.min(e).max(x - m);
                        reward += (1.0 - (dose - x) * (dose - x)) / n as f64;
                        doses.push(dose);
                    }
                    // doses rise with the target
                    let tail = &doses[(alpha * n as f64) as usize..];
                    if tail.iter().sum::<f64>() / tail.len() as f64 <= limit {
                        best = best.max(reward);
                    }
                }
            }
            let (_, found) = process.tail_constrained(alpha);
            println!("limit {limit}: {found:.5}, searched {best:.5}");
            assert!((-5e-5..1e-3).contains(&(found - best)), "{limit}");
        }
    }

    #[test]
    fn optima_are_those_of_a_fine_grid() {
        for levels in [None, Some(2), Some(5)] {
            let process = Analytic {
                levels,
                limit: Some(1.6),
                ..Analytic::default()
            };
            for m in [0.0, 0.1, 0.35, 0.8] {
                let priced = process.priced(m);
                let (reward, cost) = by_grid(&process, m);
                assert!((priced.reward - reward).abs() < 2e-5, "{levels:?} {m}");
                assert!((priced.cost - cost).abs() < 2e-5, "{levels:?} {m}");
            }
            let (m, best, cost) = process.constrained();
            assert!((cost - 1.6).abs() < 1e-9 && m > 0.0);
            assert!(best < process.best_return());
        }
    }
}
