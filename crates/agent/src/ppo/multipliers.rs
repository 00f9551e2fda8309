//! Multipliers of constraints by PID control (Stooke, Achiam and Abbeel 2020, "Responsive safety in
//! reinforcement learning by PID Lagrangian methods", algorithm 2).
//!
//! The plain Lagrangian update is the integral term alone and oscillates; the proportional and the
//! derivative term damp it. Four things are added: the integral stops where the multiplier is
//! saturated (anti-windup); the derivative is that of a smoothed cost; within a band below the limit
//! the integral shrinks more slowly, so that a policy that has come to keep its limit is not freed
//! again at once; and it shrinks the more slowly the lower the learning rate, because the policy
//! that it steers follows as slowly ([`Gains::slowed`]).

use serde::{Deserialize, Serialize};

use super::config::Config;

/// Gains of the controller; the excess is a share of the limit, so gains have no unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    pub proportional: f64,
    pub integral: f64,
    pub derivative: f64,
    /// Share of the past in the smoothed cost.
    pub smoothing: f64,
    /// How far below the limit, as a share of it, the integral shrinks by `excess^2 / band` only.
    pub band: f64,
    /// Largest multiplier.
    pub max: f64,
    /// What the integral shrinks by, in shares of what the cost is below the limit.
    pub pace: f64,
}

impl Gains {
    pub fn of(config: &Config) -> Self {
        Self {
            proportional: config.multiplier_proportional,
            integral: config.multiplier_integral,
            derivative: config.multiplier_derivative,
            smoothing: config.multiplier_smoothing,
            band: config.multiplier_band,
            max: config.multiplier_max,
            pace: 1.0,
        }
    }

    /// With the shrinking of the integral slowed to `share`, that of the learning rate. A policy
    /// follows its multiplier at a speed in proportion to the rate: integral and policy are two
    /// integrators in a loop, whose damping `P / 2 sqrt(rate / I)` falls with the rate.
    #[must_use]
    pub fn slowed(self, share: f64) -> Self {
        Self {
            pace: share,
            ..self
        }
    }
}

/// The controller of one constraint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Controller {
    pub multiplier: f64,
    /// Summed excess, at least 0.
    pub integral: f64,
    /// Smoothed excess; absent before the first one.
    pub smoothed: Option<f64>,
}

impl Controller {
    /// The controller after `excess` = (cost - limit) / scale of an update.
    #[must_use]
    pub fn after(self, excess: f64, gains: &Gains) -> Self {
        let before = self.smoothed.unwrap_or(excess);
        let smoothed = gains.smoothing * before + (1.0 - gains.smoothing) * excess;
        // only a rise counts: a falling cost must not pay for being above the limit
        let rise = (smoothed - before).max(0.0);
        let raw = |integral: f64| {
            gains.proportional * excess + gains.integral * integral + gains.derivative * rise
        };
        let pace = if excess >= 0.0 {
            1.0
        } else if gains.band > 0.0 {
            gains.pace * (-excess / gains.band).min(1.0)
        } else {
            gains.pace
        };
        let grown = (self.integral + pace * excess).max(0.0);
        let integral = if excess > 0.0 && raw(grown) > gains.max {
            self.integral
        } else {
            grown
        };
        Self {
            multiplier: raw(integral).clamp(0.0, gains.max),
            integral,
            smoothed: Some(smoothed),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GAINS: Gains = Gains {
        proportional: 0.5,
        integral: 0.1,
        derivative: 2.0,
        smoothing: 0.5,
        band: 0.0,
        max: 3.0,
        pace: 1.0,
    };

    /// By hand: excess 1, then 2, then -1.
    #[test]
    fn three_steps_by_hand() {
        let first = Controller::default().after(1.0, &GAINS);
        assert_eq!((first.multiplier, first.integral), (0.6, 1.0));
        // smoothed 1.5, rise 0.5: 0.5 * 2 + 0.1 * 3 + 2 * 0.5
        let second = first.after(2.0, &GAINS);
        assert!((second.multiplier - 2.3).abs() < 1e-12);
        // smoothed 0.25, no rise: -0.5 + 0.1 * 2, below zero
        let third = second.after(-1.0, &GAINS);
        assert_eq!((third.multiplier, third.integral), (0.0, 2.0));
    }

    /// A toy plant, cost = 1 - multiplier / 2 smoothed, limit 0.5: the multiplier settles at 1.
    #[test]
    fn a_plant_is_brought_to_its_limit() {
        let (mut controller, mut cost) = (Controller::default(), 1.0);
        for _ in 0..400 {
            controller = controller.after((cost - 0.5) / 0.5, &GAINS);
            cost += 0.3 * ((1.0 - 0.5 * controller.multiplier) - cost);
        }
        assert!((cost - 0.5).abs() < 1e-3, "{cost}");
        assert!((controller.multiplier - 1.0).abs() < 1e-2);
    }

    /// A policy that follows its multiplier at a falling rate, so that integral and policy swing:
    /// the share of the last updates within 2 % of the limit.
    #[test]
    fn a_slow_plant_is_kept_within_its_limit() {
        let kept = |gains: &Gains| {
            let (mut controller, mut cost, mut within) = (Controller::default(), 1.9, 0);
            for update in 0..240 {
                let rate = 0.5 * (1.0 + (std::f64::consts::PI * f64::from(update) / 240.0).cos());
                controller = controller.after(cost - 0.98, &gains.slowed(rate));
                cost += 0.025 * rate * (1.0 - controller.multiplier);
                within += u32::from(update >= 120 && cost <= 1.0);
            }
            f64::from(within) / 120.0
        };
        let plain = Gains {
            proportional: 1.0,
            derivative: 0.0,
            max: 20.0,
            ..GAINS
        };
        let shipped = Gains::of(&Config::default());
        println!("{} {}", kept(&plain), kept(&shipped));
        assert!(kept(&plain) < 0.3 && kept(&shipped) > 0.95);
        // a falling cost frees the policy more slowly, a rising one binds it as fast
        let half = Gains { band: 0.2, ..GAINS }.slowed(0.5);
        let before = Controller {
            integral: 2.0,
            ..Controller::default()
        };
        assert!((before.after(-0.1, &half).integral - (2.0 - 0.1 * 0.5 * 0.5)).abs() < 1e-12);
        assert!((before.after(0.1, &half).integral - 2.1).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn multipliers_stay_in_their_range(excesses in prop::collection::vec(-50.0..50.0f64, 1..60)) {
            let mut controller = Controller::default();
            for &excess in &excesses {
                controller = controller.after(excess, &GAINS);
                prop_assert!((0.0..=GAINS.max).contains(&controller.multiplier));
                prop_assert!(controller.integral >= 0.0);
            }
        }

        /// However long the limit was passed, one satisfied stretch of equal size frees the policy.
        #[test]
        fn a_saturated_integral_does_not_wind_up(updates in 1usize..500) {
            let mut controller = Controller::default();
            for _ in 0..updates {
                controller = controller.after(4.0, &GAINS);
            }
            prop_assert!(controller.integral <= (GAINS.max / GAINS.integral) + 4.0);
            for _ in 0..12 {
                controller = controller.after(-4.0, &GAINS);
            }
            prop_assert_eq!(controller.multiplier, 0.0);
        }
    }
}
