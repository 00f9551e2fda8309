//! How a patient is drawn, as data: what a population file and a model's variability become
//! before a kernel is made of them.
//!
//! A plan names random numbers, not values: normal number `k` of patient `i` at redraw `r` is Philox
//! block `(i, step + r, stream, k)`, so a patient is the same on the host and on a device, in every
//! batch and in every arm. Numbers that vary between replicates (typical parameters) and tables of
//! data are no part of a plan: one kernel serves them all.

use std::sync::Arc;

use crate::program::Block;

/// An f64 by its bits, so that a plan can be compared and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Real(u64);

impl Real {
    pub const fn new(value: f64) -> Self {
        Self(value.to_bits())
    }

    pub const fn get(self) -> f64 {
        f64::from_bits(self.0)
    }

    /// Rounded to f32.
    pub const fn f32(self) -> f32 {
        self.get() as f32
    }

    /// The smallest finite f32 that is not below, or else the largest one.
    pub fn f32_up(self) -> f32 {
        let near = self.f32();
        let up = if f64::from(near) < self.get() {
            near.next_up()
        } else {
            near
        };
        up.clamp(f32::MIN, f32::MAX)
    }

    /// The largest finite f32 that is not above, or else the smallest one.
    pub fn f32_down(self) -> f32 {
        let near = self.f32();
        let down = if f64::from(near) > self.get() {
            near.next_down()
        } else {
            near
        };
        down.clamp(f32::MIN, f32::MAX)
    }
}

impl From<f64> for Real {
    fn from(value: f64) -> Self {
        Self::new(value)
    }
}

/// Lowest and highest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    pub low: Real,
    pub high: Real,
}

/// A sum of normal numbers: their places in the list of normals, and factors.
pub type Rank = Vec<(u32, Real)>;

/// A distribution as an increasing function of a standard normal number `z`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `mean + sd z`
    Normal { mean: Real, sd: Real },
    /// `median exp(sd_log z)`
    LogNormal { median: Real, sd_log: Real },
    /// `low + (high - low) P(z)`
    Uniform { low: Real, high: Real },
    /// `-mean ln P(-z)`
    Exponential { mean: Real },
    /// The first value whose threshold is above `z`, else the last, which has none.
    Levels {
        thresholds: Vec<Real>,
        levels: Vec<Level>,
    },
}

/// A value of a categorical covariate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level {
    pub value: Real,
    /// Inside the covariate's bounds.
    pub inside: bool,
}

/// A truncation of the standard normal number: probabilities below its lower limit, above its
/// upper one, and between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Truncation {
    pub below: Real,
    pub above: Real,
    pub within: Real,
}

/// A distribution, truncated or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    pub shape: Shape,
    pub truncation: Option<Truncation>,
}

/// Where a covariate's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum How {
    Drawn {
        rank: Rank,
        branch: Branch,
    },
    /// The branch whose value is that of covariate `by`.
    Mixture {
        rank: Rank,
        by: u32,
        branches: Vec<(Real, Branch)>,
    },
    /// Output 0 over the covariates in coherent units; output 1, if there is one, is zero for a
    /// patient who cannot be.
    Formula(Arc<Block>),
    /// A column of the table.
    Data(u32),
}

/// A step of drawing a patient; each needs earlier ones only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    One {
        covariate: u32,
        how: How,
        bounds: Option<Bounds>,
    },
    /// Covariates that are computed together: outputs 1, 2, ... are theirs, output 0 is zero for a
    /// patient who cannot be.
    Together {
        covariates: Vec<u32>,
        block: Arc<Block>,
    },
}

/// The table of a real cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    pub rows: u32,
    /// The Philox block whose first word chooses a row; `None` where patient `i` is row `i`.
    pub drawn: Option<u32>,
}

/// The covariates of a population.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CovariatePlan {
    pub stream: u32,
    /// Coherent value per value, of each covariate.
    pub scales: Vec<Real>,
    /// Numbers of the normals, ascending.
    pub normals: Vec<u32>,
    pub steps: Vec<Step>,
    pub table: Option<Table>,
    pub most_redraws: u32,
}

/// How a parameter follows from its centre and its eta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// `centre + eta`
    Normal,
    /// `centre exp(eta)`
    LogNormal,
    /// `low + (high - low) / (1 + exp(-(centre + eta)))`, the centre a logit.
    LogitNormal { low: Real, high: Real },
}

/// A parameter that varies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Eta {
    pub slot: u32,
    pub rank: Rank,
    pub scale: Scale,
    pub bounds: Option<Bounds>,
}

/// Parameters that are drawn together: in lists whose parameters are drawn again together until
/// all are inside their bounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stage {
    pub stream: u32,
    /// Philox step of the first draw.
    pub step: u32,
    /// Numbers of the normals, ascending.
    pub normals: Vec<u32>,
    pub blocks: Vec<Vec<Eta>>,
    pub most_redraws: u32,
}

/// The parameters of a model. Their centres are a row of numbers: the typical value of each slot,
/// then the centre of each eta, stage by stage and block by block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ParameterPlan {
    pub slots: u32,
    pub stages: Vec<Stage>,
}

impl ParameterPlan {
    /// Every eta, in the order of the centres.
    pub fn etas(&self) -> impl Iterator<Item = &Eta> {
        let blocks = self.stages.iter().flat_map(|stage| &stage.blocks);
        blocks.flatten()
    }

    /// Etas before a block of a stage.
    pub fn before(&self, stage: usize, block: usize) -> usize {
        let count = |blocks: &[Vec<Eta>]| blocks.iter().map(Vec::len).sum::<usize>();
        let stages = self.stages[..stage].iter().map(|s| count(&s.blocks));
        stages.sum::<usize>() + count(&self.stages[stage].blocks[..block])
    }

    /// Numbers in a row of centres.
    pub fn width(&self) -> usize {
        self.slots as usize + self.etas().count()
    }

    /// Slots that vary, in the order of their first eta.
    pub fn varied(&self) -> Vec<u32> {
        let mut out: Vec<u32> = Vec::new();
        for eta in self.etas() {
            if !out.contains(&eta.slot) {
                out.push(eta.slot);
            }
        }
        out
    }
}

/// A patient of a model: covariates of a population, parameters of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PatientPlan {
    pub parameters: Arc<ParameterPlan>,
    pub covariates: Option<Arc<CovariatePlan>>,
    /// Covariate, slot of the same name, coherent value per value.
    pub links: Vec<(u32, u32, Real)>,
    /// Slot, column of the table that replaces it, coherent value per value.
    pub columns: Vec<(u32, u32, Real)>,
}

/// Stands in a table for a value that is missing: the typical value of the model is used.
pub const MISSING: f32 = f32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_inwards() {
        for value in [0.3, -0.3, 1.0, 1e-7, 83.1] {
            let real = Real::new(value);
            assert!(f64::from(real.f32_up()) >= value && f64::from(real.f32_down()) <= value);
            assert!(real.f32_up() == real.f32() || real.f32_down() == real.f32());
        }
        assert_eq!(Real::new(1.0).f32_up(), 1.0);
        assert_eq!(Real::new(f64::INFINITY).f32_down(), f32::MAX);
        assert_eq!(Real::new(f64::NEG_INFINITY).f32_up(), f32::MIN);
    }
}
