//! Individual parameters as a device draws them.

use posology_model::model::{Distribution, Model};
use posology_model::sampling::{Bounds, Eta, ParameterPlan, Scale, Stage};

use crate::philox::stream;
use crate::population::{Cohort, MOST_REDRAWS, Sampler, inside};

/// Why patients are drawn on the host instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("patients are drawn on the host: {because}")]
pub struct HostOnly {
    pub because: String,
}

impl HostOnly {
    pub(crate) fn new(because: impl Into<String>) -> Self {
        Self {
            because: because.into(),
        }
    }
}

/// Zero, or a number well inside the range of f32, so that products of two are too.
pub(crate) fn fits(value: f64) -> bool {
    value == 0.0 || (1e-30..=1e30).contains(&value.abs())
}

impl Sampler<'_> {
    /// The plan of the parameters for a device. It does not depend on the typical values.
    ///
    /// # Errors
    /// Parameters whose typical value is outside their bounds and does not vary.
    pub fn plan(&self) -> Result<ParameterPlan, HostOnly> {
        let model = self.model();
        let mut normals = Vec::new();
        let mut blocks = Vec::new();
        for block in self.blocks() {
            let constant = block.deviations().iter().all(|sd| *sd == 0.0);
            if constant {
                for &p in &block.parameters {
                    let parameter = &model.parameters[p];
                    if !inside(self.typical()[p], parameter.bounds) {
                        return Err(HostOnly::new(format!(
                            "`{}` is outside its bounds",
                            parameter.name
                        )));
                    }
                }
                continue;
            }
            normals.extend(block.parameters.iter().map(|&p| p as u32));
            blocks.push(block);
        }
        normals.sort_unstable();
        let place = |p: usize| normals.iter().position(|&n| n as usize == p);
        let eta = |block: &crate::omega::Block, i: usize| -> Option<Eta> {
            let p = block.parameters[i];
            let rank = block
                .row(i)
                .into_iter()
                .filter(|(_, factor)| *factor != 0.0);
            Some(Eta {
                slot: p as u32,
                rank: rank
                    .map(|(j, factor)| Some((place(block.parameters[j])? as u32, factor.into())))
                    .collect::<Option<_>>()?,
                scale: scale(model, p),
                bounds: bounds(model, p),
            })
        };
        let blocks = blocks
            .iter()
            .map(|block| (0..block.parameters.len()).map(|i| eta(block, i)).collect())
            .collect::<Option<Vec<Vec<Eta>>>>()
            .ok_or_else(|| HostOnly::new("its variability has no numbers"))?;
        let stage = Stage {
            stream: stream::PARAMETERS,
            step: 0,
            normals,
            blocks,
            most_redraws: MOST_REDRAWS,
        };
        Ok(ParameterPlan {
            slots: self.typical().len() as u32,
            stages: if stage.blocks.is_empty() {
                Vec::new()
            } else {
                vec![stage]
            },
        })
    }

    /// A row of centres for the stage of [`Sampler::plan`], from these typical values.
    ///
    /// # Errors
    /// Values that f32 cannot hold, or at the end of a logit's interval.
    pub fn centres(&self, plan: &ParameterPlan) -> Result<Vec<f32>, HostOnly> {
        let typical = self.typical();
        let mut row: Vec<f64> = typical.to_vec();
        let own = plan.stages.first().filter(|stage| stage.step == 0);
        for eta in own.iter().flat_map(|stage| stage.blocks.iter().flatten()) {
            let centre = typical[eta.slot as usize];
            row.push(match eta.scale {
                Scale::LogitNormal { low, high } => {
                    let position = (centre - low.get()) / (high.get() - low.get());
                    (position / (1.0 - position)).ln()
                }
                _ => centre,
            });
        }
        match row.iter().position(|value| !fits(*value)) {
            None => Ok(row.iter().map(|value| *value as f32).collect()),
            Some(at) => {
                let slot = match at.checked_sub(typical.len()) {
                    None => at,
                    Some(eta) => plan.etas().nth(eta).map_or(0, |eta| eta.slot as usize),
                };
                Err(HostOnly::new(format!(
                    "{:e}, the centre of `{}`, is outside the range of f32",
                    row[at],
                    self.model().slot_name(slot)
                )))
            }
        }
    }

    /// All slots of patients whose varying slots a device has drawn: `[varied slot][patient]`.
    pub fn slots_of(&self, varied: &[u32], drawn: &[Vec<f32>], n: usize) -> Vec<Vec<f64>> {
        let column = |(slot, typical): (usize, &f64)| {
            let at = varied.iter().position(|&v| v as usize == slot);
            match at.and_then(|at| drawn.get(at)) {
                Some(values) => values.iter().map(|&value| f64::from(value)).collect(),
                None => vec![*typical; n],
            }
        };
        self.typical().iter().enumerate().map(column).collect()
    }
}

fn scale(model: &Model, p: usize) -> Scale {
    let parameter = &model.parameters[p];
    match (parameter.iiv.map(|iiv| iiv.distribution), parameter.bounds) {
        (Some(Distribution::LogNormal), _) => Scale::LogNormal,
        (Some(Distribution::LogitNormal), Some((low, high))) if high > low => Scale::LogitNormal {
            low: low.into(),
            high: high.into(),
        },
        _ => Scale::Normal,
    }
}

fn bounds(model: &Model, p: usize) -> Option<Bounds> {
    let (low, high) = model.parameters.get(p)?.bounds?;
    Some(Bounds {
        low: low.into(),
        high: high.into(),
    })
}

/// Log-normal values around real individuals, for some slots of virtual patients: a second stage,
/// drawn after the model's own variability, of which it replaces these slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Around {
    pub slots: Vec<usize>,
    /// Mean of the logarithms.
    pub mean: Vec<f64>,
    /// Lower Cholesky factor of their covariance, row by row.
    pub root: Vec<Vec<f64>>,
}

impl Around {
    /// Draws of one patient before bounds are taken to be impossible to meet.
    const MOST_REDRAWS: u32 = 10_000;
    /// Philox steps of these draws begin here, far from those of the model's own variability.
    const FIRST_STEP: u32 = 1 << 30;

    /// Puts the values into a cohort, on the host.
    ///
    /// # Errors
    /// The id of a patient all of whose draws were outside the bounds.
    pub fn draw(&self, model: &Model, seed: u64, cohort: &mut Cohort) -> Result<(), u32> {
        use crate::philox::standard_normal;
        let k = self.slots.len();
        for (row, &id) in cohort.ids.iter().enumerate() {
            let drawn = (0..Self::MOST_REDRAWS).find_map(|redraw| {
                let normal = |k: usize| {
                    let step = Self::FIRST_STEP + redraw;
                    standard_normal(seed, id, step, stream::PARAMETERS, k as u32)
                };
                let normals: Vec<f64> = (0..k).map(normal).collect();
                let value = |i: usize| {
                    let eta: f64 = (0..=i).map(|j| self.root[i][j] * normals[j]).sum();
                    (self.mean[i] + eta).exp()
                };
                let values: Vec<f64> = (0..k).map(value).collect();
                let all = self.slots.iter().zip(&values).all(|(&slot, &value)| {
                    let bounds = model.parameters.get(slot).and_then(|p| p.bounds);
                    bounds.is_none_or(|(low, high)| value >= low && value <= high)
                });
                all.then_some(values)
            });
            for (&slot, value) in self.slots.iter().zip(drawn.ok_or(id)?) {
                cohort.slots[slot][row] = value;
            }
        }
        Ok(())
    }

    /// Adds the stage to a plan, and its centres to each row of `width` centres.
    ///
    /// # Errors
    /// Values that f32 cannot hold.
    pub fn extend(
        &self,
        model: &Model,
        plan: &mut ParameterPlan,
        centres: &mut Vec<f32>,
    ) -> Result<(), HostOnly> {
        let own: Vec<f64> = self.mean.iter().map(|mean| mean.exp()).collect();
        if let Some(bad) = own.iter().find(|centre| !fits(**centre)) {
            return Err(HostOnly::new(format!(
                "{bad:e}, a mean of the individuals, is outside the range of f32"
            )));
        }
        let width = plan.width();
        *centres = centres
            .chunks(width.max(1))
            .flat_map(|row| row.iter().copied().chain(own.iter().map(|&c| c as f32)))
            .collect();
        let eta = |(i, &slot): (usize, &usize)| Eta {
            slot: slot as u32,
            rank: (0..=i)
                .filter(|&j| self.root[i][j] != 0.0)
                .map(|j| (j as u32, self.root[i][j].into()))
                .collect(),
            scale: Scale::LogNormal,
            bounds: bounds(model, slot),
        };
        plan.stages.push(Stage {
            stream: stream::PARAMETERS,
            step: Self::FIRST_STEP,
            normals: (0..self.slots.len() as u32).collect(),
            blocks: vec![self.slots.iter().enumerate().map(eta).collect()],
            most_redraws: Self::MOST_REDRAWS,
        });
        Ok(())
    }
}
