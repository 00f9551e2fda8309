//! Responders in two arms: risk difference, risk ratio, odds ratio and tests of no difference.

use serde::{Deserialize, Serialize};

use super::conditional::Conditional;
use super::error::require_level;
use super::proportion::wilson;
use super::roots::bisect;
use super::tails::normal_critical;
use super::{ChiSquaredTest, Estimate, StatisticsError, detectable_risk_difference};

/// Counts of patients with the event (response, toxicity) in two arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoArms {
    treated_events: u64,
    treated: u64,
    control_events: u64,
    control: u64,
}

/// Interval of a risk difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceInterval {
    /// Two Wilson intervals combined: Newcombe 1998, Stat Med 17:873, method 10. Keeps its level
    /// in small samples; the usual choice.
    #[default]
    Newcombe,
    /// Score test inverted, with the variance factor n / (n - 1): Miettinen and Nurminen 1985,
    /// Stat Med 4:213.
    MiettinenNurminen,
    /// Normal approximation (Wald): too short in small samples, and empty when both rates are
    /// zero or one.
    Wald,
}

/// Interval of a risk ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RatioInterval {
    /// Score test inverted: Koopman 1984, Biometrics 40:513. Allows no event in the treated arm.
    #[default]
    Koopman,
    /// Normal approximation on the logarithm: Katz et al. 1978, Biometrics 34:469.
    Katz,
}

impl TwoArms {
    /// Checks and keeps the counts: events and patients of the treated arm, then of the control
    /// arm.
    ///
    /// # Errors
    /// [`StatisticsError::TooFew`] if an arm is empty, `Counts` if it has more events than
    /// patients.
    pub fn new(
        treated_events: u64,
        treated: u64,
        control_events: u64,
        control: u64,
    ) -> Result<Self, StatisticsError> {
        for (name, successes, trials) in [
            ("treated", treated_events, treated),
            ("control", control_events, control),
        ] {
            if trials == 0 {
                return Err(StatisticsError::TooFew {
                    name: name.to_owned(),
                    method: "comparison of two arms",
                    count: 0,
                    needed: 1,
                });
            }
            if successes > trials {
                return Err(StatisticsError::Counts { successes, trials });
            }
        }
        Ok(Self {
            treated_events,
            treated,
            control_events,
            control,
        })
    }

    /// Events and patients of the treated arm.
    pub fn treated(&self) -> (u64, u64) {
        (self.treated_events, self.treated)
    }

    /// Events and patients of the control arm.
    pub fn control(&self) -> (u64, u64) {
        (self.control_events, self.control)
    }

    /// Rates of the treated and the control arm.
    pub fn rates(&self) -> (f64, f64) {
        let (x1, n1, x2, n2) = self.numbers();
        (x1 / n1, x2 / n2)
    }

    /// Rate of the treated arm minus that of the control arm.
    ///
    /// # Errors
    /// [`StatisticsError::Level`].
    pub fn risk_difference(
        &self,
        interval: DifferenceInterval,
        level: f64,
    ) -> Result<Estimate, StatisticsError> {
        require_level(level)?;
        let (_, n1, _, n2) = self.numbers();
        let (p1, p2) = self.rates();
        let value = p1 - p2;
        let z = normal_critical(level);
        let (low, high) = match interval {
            DifferenceInterval::Wald => {
                let margin = z * (p1 * (1.0 - p1) / n1 + p2 * (1.0 - p2) / n2).sqrt();
                (value - margin, value + margin)
            }
            DifferenceInterval::Newcombe => {
                let first = wilson(self.treated_events, self.treated, level)?;
                let second = wilson(self.control_events, self.control, level)?;
                let down = (p1 - first.low).hypot(second.high - p2);
                let up = (first.high - p1).hypot(p2 - second.low);
                (value - down, value + up)
            }
            DifferenceInterval::MiettinenNurminen => {
                let excess = |difference| self.difference_score(difference) - z * z;
                let low = bisect(-1.0, value, excess);
                (low, bisect(value, 1.0, excess))
            }
        };
        Ok(Estimate {
            value,
            low: low.max(-1.0),
            high: high.min(1.0),
            level,
        })
    }

    /// Rate of the treated arm over that of the control arm.
    ///
    /// # Errors
    /// [`StatisticsError::Level`], or [`StatisticsError::EmptyCell`] without events in the
    /// control arm, and for [`RatioInterval::Katz`] in either arm.
    pub fn risk_ratio(
        &self,
        interval: RatioInterval,
        level: f64,
    ) -> Result<Estimate, StatisticsError> {
        require_level(level)?;
        let empty = |cause| StatisticsError::EmptyCell {
            method: "risk ratio",
            cause,
            remedy: "report the risk difference instead",
        };
        if self.control_events == 0 {
            return Err(empty("nobody in the control arm has the event"));
        }
        let (x1, n1, x2, n2) = self.numbers();
        let (p1, p2) = self.rates();
        let (value, z) = (p1 / p2, normal_critical(level));
        let (low, high) = match interval {
            RatioInterval::Katz => {
                if self.treated_events == 0 {
                    return Err(empty("nobody in the treated arm has the event"));
                }
                let error = (1.0 / x1 - 1.0 / n1 + 1.0 / x2 - 1.0 / n2).sqrt();
                (value * (-z * error).exp(), value * (z * error).exp())
            }
            RatioInterval::Koopman => {
                let excess = |ratio: f64| self.ratio_score(ratio) - z * z;
                let low = if x1 == 0.0 {
                    0.0
                } else {
                    bisect(0.0, value, excess)
                };
                let mut bound = value.max(n1.max(n2).recip());
                while excess(bound) <= 0.0 {
                    bound *= 2.0;
                }
                (low, bisect(value, bound, excess))
            }
        };
        Ok(Estimate {
            value,
            low,
            high,
            level,
        })
    }

    /// Odds ratio with its normal interval on the logarithm: Woolf 1955, Ann Hum Genet 19:251.
    ///
    /// # Errors
    /// [`StatisticsError::Level`], or [`StatisticsError::EmptyCell`] if any of the four counts is
    /// zero ([`Self::exact_odds_ratio`] is defined then).
    pub fn odds_ratio(&self, level: f64) -> Result<Estimate, StatisticsError> {
        require_level(level)?;
        let (x1, n1, x2, n2) = self.numbers();
        let cells = [x1, n1 - x1, x2, n2 - x2];
        if cells.contains(&0.0) {
            return Err(StatisticsError::EmptyCell {
                method: "odds ratio",
                cause: "an arm has nobody with, or nobody without, the event",
                remedy: "report the exact conditional odds ratio or the risk difference",
            });
        }
        let value = cells[0] * cells[3] / (cells[1] * cells[2]);
        let error = cells.iter().map(|count| count.recip()).sum::<f64>().sqrt();
        let margin = normal_critical(level) * error;
        Ok(Estimate {
            value,
            low: value * (-margin).exp(),
            high: value * margin.exp(),
            level,
        })
    }

    /// Conditional maximum likelihood odds ratio with its exact interval: Cornfield 1956, Proc
    /// Third Berkeley Symp 4:135; as R's fisher.test. A limit may be infinite.
    ///
    /// # Errors
    /// [`StatisticsError::Level`], or [`StatisticsError::EmptyCell`] if nobody or everybody has
    /// the event.
    pub fn exact_odds_ratio(&self, level: f64) -> Result<Estimate, StatisticsError> {
        require_level(level)?;
        let table = Conditional::new(self);
        if table.low == table.high {
            return Err(StatisticsError::EmptyCell {
                method: "exact odds ratio",
                cause: "nobody, or everybody, has the event",
                remedy: "report the risk difference",
            });
        }
        let tail = 0.5 * (1.0 - level);
        let (first, last) = (
            self.treated_events == table.low,
            self.treated_events == table.high,
        );
        let solve = |f: &dyn Fn(f64) -> f64| bisect(-LARGEST_LOG, LARGEST_LOG, f).exp();
        let x = self.treated_events;
        Ok(Estimate {
            value: match (first, last) {
                (true, _) => 0.0,
                (_, true) => f64::INFINITY,
                _ => solve(&|log| table.mean(log) - x as f64),
            },
            low: if first {
                0.0
            } else {
                solve(&|log| table.probability(log, |count| count >= x) - tail)
            },
            high: if last {
                f64::INFINITY
            } else {
                solve(&|log| table.probability(log, |count| count <= x) - tail)
            },
            level,
        })
    }

    /// Two-sided p value of Fisher's exact test: the probability, given the margins, of all
    /// tables that are no more likely than this one. Fisher 1935, J R Stat Soc 98:39.
    pub fn fisher_exact(&self) -> f64 {
        let table = Conditional::new(self);
        let weights = table.weights(0.0);
        let total: f64 = weights.iter().sum();
        let here = weights[(self.treated_events - table.low) as usize];
        // Tables that are equally likely differ by rounding.
        let as_unlikely = weights.iter().filter(|&&w| w <= here * (1.0 + 1e-7));
        (as_unlikely.sum::<f64>() / total).min(1.0)
    }

    /// Pearson's chi-squared test, with Yates's continuity correction if wanted: Pearson 1900,
    /// Philos Mag 50:157; Yates 1934, J R Stat Soc Suppl 1:217.
    ///
    /// # Errors
    /// [`StatisticsError::EmptyCell`] if nobody or everybody has the event.
    pub fn chi_squared(&self, continuity: bool) -> Result<ChiSquaredTest, StatisticsError> {
        let (x1, n1, x2, n2) = self.numbers();
        let (with, n) = (x1 + x2, n1 + n2);
        if with == 0.0 || with == n {
            return Err(StatisticsError::EmptyCell {
                method: "chi-squared test",
                cause: "nobody, or everybody, has the event",
                remedy: "report that the arms do not differ",
            });
        }
        let cross = (x1 * (n2 - x2) - x2 * (n1 - x1)).abs();
        let correction = if continuity {
            (0.5 * n).min(cross)
        } else {
            0.0
        };
        let statistic = n * (cross - correction).powi(2) / (n1 * n2 * with * (n - with));
        Ok(ChiSquaredTest::new(statistic, 1))
    }

    /// The smallest risk differences, below and above zero, that arms of this size show with this
    /// power at the control arm's rate. See [`detectable_risk_difference`].
    ///
    /// # Errors
    /// As [`detectable_risk_difference`].
    pub fn detectable_difference(
        &self,
        alpha: f64,
        power: f64,
    ) -> Result<(Option<f64>, Option<f64>), StatisticsError> {
        let (_, n1, _, n2) = self.numbers();
        detectable_risk_difference(self.rates().1, n1, n2, alpha, power)
    }

    /// Counts as numbers: events and patients, treated and control.
    pub(super) fn numbers(&self) -> (f64, f64, f64, f64) {
        (
            self.treated_events as f64,
            self.treated as f64,
            self.control_events as f64,
            self.control as f64,
        )
    }

    /// Squared score statistic of a risk difference, with the restricted maximum likelihood rates
    /// in closed form.
    fn difference_score(&self, difference: f64) -> f64 {
        let (x1, n1, x2, n2) = self.numbers();
        let (p1, p2) = self.rates();
        // Cubic of the restricted rate of the control arm (their appendix).
        let n = n1 + n2;
        let d = difference;
        let (l3, l2) = (n, (n1 + 2.0 * n2) * d - n - x1 - x2);
        let l1 = (n2 * d - n - 2.0 * x2) * d + x1 + x2;
        let l0 = x2 * d * (1.0 - d);
        let q = (l2 / (3.0 * l3)).powi(3) - l1 * l2 / (6.0 * l3 * l3) + l0 / (2.0 * l3);
        let radius = ((l2 / (3.0 * l3)).powi(2) - l1 / (3.0 * l3))
            .max(0.0)
            .sqrt();
        let radius = if q > 0.0 { radius } else { -radius };
        let cosine = if radius == 0.0 {
            0.0
        } else {
            (q / radius.powi(3)).clamp(-1.0, 1.0)
        };
        let angle = (std::f64::consts::PI + cosine.acos()) / 3.0;
        let second = (2.0 * radius * angle.cos() - l2 / (3.0 * l3)).clamp(0.0, 1.0);
        let first = (second + d).clamp(0.0, 1.0);
        let variance = first * (1.0 - first) / n1 + second * (1.0 - second) / n2;
        let gap = p1 - p2 - d;
        score(gap, variance * n / (n - 1.0))
    }

    /// Squared score statistic of a risk ratio.
    fn ratio_score(&self, ratio: f64) -> f64 {
        let (x1, n1, x2, n2) = self.numbers();
        let (p1, p2) = self.rates();
        let a = (n1 + n2) * ratio;
        let b = ratio * (n1 + x2) + x1 + n2;
        let c = x1 + x2;
        // The smaller root, in the form that does not cancel.
        let second = 2.0 * c / (b + (b * b - 4.0 * a * c).max(0.0).sqrt());
        let first = (ratio * second).min(1.0);
        let variance = first * (1.0 - first) / n1 + ratio * ratio * second * (1.0 - second) / n2;
        score(p1 - ratio * p2, variance)
    }
}

/// Gap squared over variance; a gap without any variance is beyond every limit.
fn score(gap: f64, variance: f64) -> f64 {
    if gap == 0.0 {
        0.0
    } else if variance <= 0.0 {
        f64::INFINITY
    } else {
        gap * gap / variance
    }
}

/// Log odds ratios are sought within this distance from zero.
const LARGEST_LOG: f64 = 700.0;
