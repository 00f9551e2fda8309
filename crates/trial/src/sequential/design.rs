//! A group-sequential design: its critical values and what they imply.

use serde::{Deserialize, Serialize};

use super::SequentialError;
use super::boundary::{constant_boundary, crossing, spending_boundary, tail_alpha};
use super::futility::{self, FutilitySettings};
use super::kind::{BoundaryKind, Family};
use super::normal::{root, upper, upper_quantile};

/// Smallest distance between looks, as a fraction of the maximum information.
const GAP: f64 = 1e-3;
/// Most looks of a design.
const MOST_LOOKS: usize = 50;

/// What a trial file says about interim analyses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequentialSettings {
    /// Family of boundaries.
    pub kind: BoundaryKind,
    /// Information fraction of each look; the last is 1.
    pub looks: Vec<f64>,
    /// Significance level of the whole trial, both sides together.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// 1 or 2.
    #[serde(default = "default_sides")]
    pub sides: u8,
    /// Parameter of the family, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<f64>,
    /// Non-binding futility boundary, for one-sided tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub futility: Option<FutilitySettings>,
}

fn default_alpha() -> f64 {
    0.05
}

fn default_sides() -> u8 {
    2
}

impl SequentialSettings {
    /// A design with two-sided level 0.05 and no futility boundary.
    pub fn new(kind: BoundaryKind, looks: Vec<f64>) -> Self {
        Self {
            kind,
            looks,
            alpha: default_alpha(),
            sides: default_sides(),
            shape: None,
            futility: None,
        }
    }
}

/// Sides of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Only large Z rejects.
    One,
    /// Large and small Z reject.
    Two,
}

/// One analysis of a design.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Fraction of the maximum information.
    pub information: f64,
    /// Z at or above it rejects; in a two-sided test also Z at or below its negative.
    pub critical: f64,
    /// Z at or below it suggests to stop for futility. At the last look it equals `critical`.
    pub futility: Option<f64>,
    /// Type I error spent up to and including this look, both sides together; a futility boundary
    /// does not count, because it need not be followed.
    pub alpha_spent: f64,
    /// P value, of the test's sides, at the critical value.
    pub nominal_p: f64,
}

/// What a statistic means at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Stop and reject: Z is large.
    RejectUpper,
    /// Stop and reject: Z is small (two-sided tests).
    RejectLower,
    /// Stop for futility.
    Futility,
    /// Go on to the next look.
    Continue,
    /// The last look came and nothing was rejected.
    Accept,
}

/// Probabilities of stopping at each look, under one drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// Rejection by a large Z.
    pub upper: Vec<f64>,
    /// In a two-sided test rejection by a small Z; else stopping for futility before the last
    /// look (zeros without a futility boundary).
    pub lower: Vec<f64>,
}

impl Crossing {
    /// P(rejection) by either side.
    pub(super) fn rejection(&self, sides: Sides) -> f64 {
        let upper: f64 = self.upper.iter().sum();
        match sides {
            Sides::One => upper,
            Sides::Two => upper + self.lower.iter().sum::<f64>(),
        }
    }
}

/// A group-sequential design.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SequentialDesign {
    kind: BoundaryKind,
    alpha: f64,
    sides: Sides,
    looks: Vec<Look>,
}

impl SequentialDesign {
    /// Finds the critical values of a design.
    ///
    /// # Errors
    /// [`SequentialError`], one variant per setting.
    pub fn new(settings: &SequentialSettings) -> Result<Self, SequentialError> {
        let sides = match settings.sides {
            1 => Sides::One,
            2 => Sides::Two,
            sides => return Err(SequentialError::Sides { sides }),
        };
        check_alpha(settings.alpha, sides)?;
        check_looks(&settings.looks)?;
        let family = settings.kind.family(settings.shape)?;
        let (times, alpha) = (&settings.looks[..], settings.alpha);
        let critical = match family {
            Family::Power(exponent) => constant_boundary(times, alpha, sides, exponent)?,
            Family::Spends(spending) => spending_boundary(times, alpha, sides, spending)?,
        };
        let rejection = crossing(times, &critical, None, sides, 0.0);
        let futility = match (&settings.futility, sides) {
            (None, _) => None,
            (Some(_), Sides::Two) => return Err(SequentialError::TwoSidedFutility),
            (Some(futility), Sides::One) => {
                Some(futility::boundary(times, &critical, alpha, futility)?)
            }
        };
        let mut spent = 0.0;
        let mut looks = Vec::with_capacity(times.len());
        for (index, (&information, &critical)) in times.iter().zip(&critical).enumerate() {
            spent += rejection.upper[index] + rejection.lower[index];
            let tail = upper(critical);
            looks.push(Look {
                information,
                critical,
                futility: futility.as_ref().map(|bounds| bounds[index]),
                alpha_spent: spent,
                nominal_p: match sides {
                    Sides::One => tail,
                    Sides::Two => 2.0 * tail,
                },
            });
        }
        Ok(Self {
            kind: settings.kind,
            alpha,
            sides,
            looks,
        })
    }

    /// Family of boundaries.
    pub fn kind(&self) -> BoundaryKind {
        self.kind
    }

    /// Significance level, both sides together.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Sides of the test.
    pub fn sides(&self) -> Sides {
        self.sides
    }

    /// The analyses in order.
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// What a statistic means at a look (counted from zero). A futility boundary is taken as
    /// followed. After the last look the last one is meant.
    pub fn decide(&self, look: usize, z: f64) -> Decision {
        let last = self.looks.len() - 1;
        let look = look.min(last);
        let Look {
            critical, futility, ..
        } = self.looks[look];
        if z >= critical {
            Decision::RejectUpper
        } else if self.sides == Sides::Two && z <= -critical {
            Decision::RejectLower
        } else if look == last {
            Decision::Accept
        } else if futility.is_some_and(|bound| z <= bound) {
            Decision::Futility
        } else {
            Decision::Continue
        }
    }

    /// Probabilities of stopping at each look if Z has expectation `drift` at full information.
    /// A futility boundary is taken as followed.
    pub fn crossing(&self, drift: f64) -> Crossing {
        let column = |of: fn(&Look) -> f64| self.looks.iter().map(of).collect::<Vec<f64>>();
        let futility: Option<Vec<f64>> = self.looks.iter().map(|look| look.futility).collect();
        crossing(
            &column(|look| look.information),
            &column(|look| look.critical),
            futility.as_deref(),
            self.sides,
            drift,
        )
    }

    /// P(rejection by a large Z) under a drift. Rejection by the wrong side does not count, as in
    /// Jennison and Turnbull's tables.
    pub fn power(&self, drift: f64) -> f64 {
        self.crossing(drift).upper.iter().sum()
    }

    /// P(rejection by any side) under a drift; the type I error at zero. A futility boundary is
    /// taken as followed, which lowers it.
    pub fn rejection(&self, drift: f64) -> f64 {
        self.crossing(drift).rejection(self.sides)
    }

    /// The positive drift at which the design has a power.
    ///
    /// # Errors
    /// [`SequentialError::Power`] unless the power lies between the level and 1.
    pub fn drift(&self, power: f64) -> Result<f64, SequentialError> {
        let refuse = SequentialError::Power {
            power,
            alpha: self.alpha,
        };
        if !(power > self.alpha && power < 1.0) {
            return Err(refuse);
        }
        let fixed = fixed_drift(self.alpha, self.sides, power);
        root(0.0, 4.0 * fixed + 4.0, |drift| self.power(drift) - power).ok_or(refuse)
    }

    /// Maximum information over that of a fixed trial with the same level and power (and so
    /// maximum patients or events over theirs). Jennison and Turnbull 2000, chapter 2.
    ///
    /// # Errors
    /// As [`Self::drift`].
    pub fn inflation(&self, power: f64) -> Result<f64, SequentialError> {
        let ratio = self.drift(power)? / fixed_drift(self.alpha, self.sides, power);
        Ok(ratio * ratio)
    }

    /// Expected information at the end of the trial under a drift, as a fraction of the maximum.
    pub fn expected_information(&self, drift: f64) -> f64 {
        let stopping = self.crossing(drift);
        let before_last = &self.looks[..self.looks.len() - 1];
        let saved = |(index, look): (usize, &Look)| {
            (stopping.upper[index] + stopping.lower[index]) * (1.0 - look.information)
        };
        1.0 - before_last.iter().enumerate().map(saved).sum::<f64>()
    }
}

/// Drift of a fixed trial: the sum of two normal quantiles.
fn fixed_drift(alpha: f64, sides: Sides, power: f64) -> f64 {
    upper_quantile(tail_alpha(alpha, sides)) + upper_quantile(1.0 - power)
}

fn check_alpha(alpha: f64, sides: Sides) -> Result<(), SequentialError> {
    let below = match sides {
        Sides::One => 0.5,
        Sides::Two => 1.0,
    };
    if alpha >= 1e-10 && alpha < below {
        Ok(())
    } else {
        Err(SequentialError::Alpha { alpha, below })
    }
}

fn check_looks(looks: &[f64]) -> Result<(), SequentialError> {
    if looks.is_empty() || looks.len() > MOST_LOOKS {
        return Err(SequentialError::Looks {
            count: looks.len(),
            most: MOST_LOOKS,
        });
    }
    let mut previous = 0.0;
    for (index, &value) in looks.iter().enumerate() {
        let last = index + 1 == looks.len();
        let increases = value >= previous + GAP && value <= 1.0;
        if !increases || (last && value != 1.0) {
            return Err(SequentialError::Fraction {
                look: index + 1,
                value,
                previous,
                gap: GAP,
            });
        }
        previous = value;
    }
    Ok(())
}
