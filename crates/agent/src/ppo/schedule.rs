//! How a coefficient changes over a run.

use serde::{Deserialize, Serialize};

/// Shape of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    #[default]
    Constant,
    Linear,
    /// Half a cosine (Loshchilov and Hutter 2017, "SGDR", without restarts).
    Cosine,
}

/// A coefficient from `start` to `end * start`, after a linear rise over `warm_up` updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pub shape: Shape,
    pub start: f64,
    /// Share of `start` at the last update.
    pub end: f64,
    pub warm_up: u64,
    pub updates: u64,
}

impl Schedule {
    /// The coefficient of `update`, counted from 0; the end stays after the last one.
    pub fn at(&self, update: u64) -> f64 {
        if update < self.warm_up {
            return self.start * (update + 1) as f64 / self.warm_up as f64;
        }
        let left = self.updates.saturating_sub(self.warm_up + 1).max(1);
        let done = ((update - self.warm_up) as f64 / left as f64).min(1.0);
        let share = match self.shape {
            Shape::Constant => return self.start,
            Shape::Linear => 1.0 - done,
            Shape::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.start * (self.end + (1.0 - self.end) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_rise_and_fall() {
        let schedule = |shape| Schedule {
            shape,
            start: 2.0,
            end: 0.1,
            warm_up: 4,
            updates: 15,
        };
        let constant = schedule(Shape::Constant);
        assert_eq!(
            (constant.at(0), constant.at(3), constant.at(14)),
            (0.5, 2.0, 2.0)
        );
        for shape in [Shape::Linear, Shape::Cosine] {
            let falling = schedule(shape);
            assert_eq!(
                (falling.at(4), falling.at(14), falling.at(99)),
                (2.0, 0.2, 0.2)
            );
            assert!((falling.at(9) - 1.1).abs() < 1e-12);
            assert!((4..14).all(|update| falling.at(update + 1) < falling.at(update)));
        }
    }

    #[test]
    fn a_run_of_one_update_has_its_start() {
        let schedule = Schedule {
            shape: Shape::Linear,
            start: 1.0,
            end: 0.0,
            warm_up: 0,
            updates: 1,
        };
        assert_eq!(schedule.at(0), 1.0);
    }
}
