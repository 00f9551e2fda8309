//! Cohorts: individual parameters and covariates of virtual patients.

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::{Distribution, Model, Variability};
use rayon::prelude::*;

use crate::omega::{self, Block};
use crate::philox::{standard_normal, stream};

/// Draws of one block of parameters before bounds are taken to be impossible to meet.
pub const MOST_REDRAWS: u32 = 1000;
/// Philox steps per occasion: a redraw of occasion `o` is step `(o + 1) * STRIDE + redraw`.
const OCCASION_STRIDE: u32 = 1024;
/// Relative tolerance at bounds, so that a value written at its bound is inside.
const AT_BOUND: f64 = 1e-12;

/// Patients and their individual inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cohort {
    /// Counter of each patient's random numbers; unique within a run.
    pub ids: Vec<u32>,
    /// Names of real patients (the ID column), if they have any.
    pub names: Option<Vec<String>>,
    /// `[slot][patient]`, coherent units, slots as in [`Model::slot_name`].
    pub slots: Vec<Vec<f64>>,
}

impl Cohort {
    /// `n` copies of the typical patient: parameter values and reference covariates.
    pub fn typical(model: &Model, n: usize) -> Self {
        let slots = model
            .typical_slots()
            .into_iter()
            .map(|value| vec![value; n])
            .collect();
        Self {
            ids: (0..n).map(|i| i as u32).collect(),
            names: None,
            slots,
        }
    }

    /// `n` virtual patients with ids `first_id..first_id + n`, varied between individuals;
    /// covariates have their reference values. Patient `i` depends on `seed` and `i` only.
    ///
    /// # Errors
    /// `D060` contradictory correlations, `D061` bounds that draws do not meet, `D062` more
    /// patients than there are ids.
    pub fn sample(model: &Model, n: usize, seed: u64, first_id: u32) -> Result<Self, Diagnostics> {
        let last = u32::try_from(n).ok().and_then(|n| first_id.checked_add(n));
        if last.is_none() {
            return Err(Diagnostic::error(
                "D062",
                format!("{n} patients from id {first_id} are too many"),
            )
            .at(&model.source, 0..0)
            .help(format!(
                "ids are 32-bit numbers: at most {} patients in a run",
                u32::MAX
            ))
            .into());
        }
        let sampler = Sampler::new(model)?;
        let ids: Vec<u32> = (0..n).map(|i| first_id + i as u32).collect();
        let slots = sampler.columns(seed, &ids)?;
        Ok(Self {
            ids,
            names: None,
            slots,
        })
    }

    /// Number of patients.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// All slots of one patient (coherent units); empty slots are not a number.
    pub fn patient(&self, patient: usize) -> Vec<f64> {
        self.slots
            .iter()
            .map(|row| row.get(patient).copied().unwrap_or(f64::NAN))
            .collect()
    }

    /// What reports call a patient: the name, or else the id.
    pub fn label(&self, patient: usize) -> String {
        let name = self
            .names
            .as_ref()
            .and_then(|names| names.get(patient).cloned());
        name.or_else(|| self.ids.get(patient).map(u32::to_string))
            .unwrap_or_default()
    }

    /// Some patients, in the order asked for; those that do not exist are left out.
    #[must_use]
    pub fn select(&self, patients: &[usize]) -> Self {
        let known: Vec<usize> = patients
            .iter()
            .copied()
            .filter(|&p| p < self.len())
            .collect();
        Self {
            ids: known.iter().map(|&p| self.ids[p]).collect(),
            names: self
                .names
                .as_ref()
                .map(|names| known.iter().map(|&p| names[p].clone()).collect()),
            slots: self
                .slots
                .iter()
                .map(|row| known.iter().map(|&p| row[p]).collect())
                .collect(),
        }
    }
}

/// Patients that a thread draws at a time.
const CHUNK: usize = 1024;

/// Memory for drawing a block of parameters.
#[derive(Default)]
struct Scratch {
    normals: Vec<f64>,
    values: Vec<f64>,
}

/// Draws individual parameters of a model.
#[derive(Clone, Debug)]
pub struct Sampler<'a> {
    model: &'a Model,
    blocks: Vec<Block>,
    typical: Vec<f64>,
}

impl<'a> Sampler<'a> {
    /// Prepares the covariance matrix.
    ///
    /// # Errors
    /// `D060` where the correlations contradict each other.
    pub fn new(model: &'a Model) -> Result<Self, Diagnostics> {
        Ok(Self {
            model,
            blocks: omega::blocks(model)?,
            typical: model.typical_slots(),
        })
    }

    /// The same variability around other typical slot values (coherent, in the order of
    /// [`Model::typical_slots`]; slots beyond the given ones stay as they are): a replicate of a
    /// trial under parameter uncertainty.
    #[must_use]
    pub fn with_typical(mut self, typical: &[f64]) -> Self {
        for (slot, value) in self.typical.iter_mut().zip(typical) {
            *slot = *value;
        }
        self
    }

    /// The model that is sampled.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Typical slot values (coherent).
    pub fn typical(&self) -> &[f64] {
        &self.typical
    }

    /// All slots of patient `id` (coherent units). Parameters outside their bounds are drawn
    /// again together with those they are correlated with.
    ///
    /// # Errors
    /// `D061` where [`MOST_REDRAWS`] draws of a parameter all fell outside its bounds.
    pub fn individual(&self, seed: u64, id: u32) -> Result<Vec<f64>, Diagnostic> {
        let mut slots = self.typical.clone();
        let mut scratch = Scratch::default();
        for block in &self.blocks {
            self.draw(block, seed, id, &mut scratch)?;
            for (&p, value) in block.parameters.iter().zip(&scratch.values) {
                slots[p] = *value;
            }
        }
        Ok(slots)
    }

    /// `[slot][patient]` of these patients: [`Sampler::individual`] of each, on all threads.
    ///
    /// # Errors
    /// As [`Sampler::individual`].
    pub fn columns(&self, seed: u64, ids: &[u32]) -> Result<Vec<Vec<f64>>, Diagnostic> {
        let varied: Vec<usize> = self
            .blocks
            .iter()
            .flat_map(|block| block.parameters.iter().copied())
            .collect();
        let parts: Vec<Vec<Vec<f64>>> = ids
            .par_chunks(CHUNK)
            .map(|ids| {
                let mut columns = vec![Vec::with_capacity(ids.len()); varied.len()];
                let mut scratch = Scratch::default();
                for &id in ids {
                    let mut column = columns.iter_mut();
                    for block in &self.blocks {
                        self.draw(block, seed, id, &mut scratch)?;
                        for (value, column) in scratch.values.iter().zip(column.by_ref()) {
                            column.push(*value);
                        }
                    }
                }
                Ok(columns)
            })
            .collect::<Result<_, Diagnostic>>()?;
        let column = |slot: usize| match varied.iter().position(|&p| p == slot) {
            Some(at) => parts.iter().flat_map(|part| &part[at]).copied().collect(),
            None => vec![self.typical[slot]; ids.len()],
        };
        Ok((0..self.typical.len())
            .into_par_iter()
            .map(column)
            .collect())
    }

    /// Draws one block of a patient's parameters into `scratch.values`, again until all are
    /// inside their bounds.
    fn draw(
        &self,
        block: &Block,
        seed: u64,
        id: u32,
        scratch: &mut Scratch,
    ) -> Result<(), Diagnostic> {
        for redraw in 0..MOST_REDRAWS {
            let normal =
                |&p: &usize| standard_normal(seed, id, redraw, stream::PARAMETERS, p as u32);
            scratch.normals.clear();
            scratch.normals.extend(block.parameters.iter().map(normal));
            if self.vary(block, scratch) {
                return Ok(());
            }
        }
        Err(self.cannot_meet_bounds(&block.parameters, &block.deviations()))
    }

    /// Whether any parameter has inter-occasion variability.
    pub fn varies_between_occasions(&self) -> bool {
        self.model.parameters.iter().any(|p| p.iov.is_some())
    }

    /// Slots that differ on an occasion (0, 1, ...), with their values on it (coherent units):
    /// `individual` are the patient's slots without inter-occasion variability.
    ///
    /// # Errors
    /// `D061` as for [`Sampler::individual`].
    pub fn occasion(
        &self,
        seed: u64,
        id: u32,
        individual: &[f64],
        occasion: u32,
    ) -> Result<Vec<(usize, f64)>, Diagnostic> {
        let mut out = Vec::new();
        for (p, parameter) in self.model.parameters.iter().enumerate() {
            let Some(iov) = parameter.iov else { continue };
            let deviation = iov.omega2.sqrt();
            let centre = individual.get(p).copied().unwrap_or(parameter.value);
            let first = occasion.wrapping_add(1).wrapping_mul(OCCASION_STRIDE);
            let value = (0..MOST_REDRAWS).find_map(|redraw| {
                let step = first.wrapping_add(redraw);
                let kappa =
                    deviation * standard_normal(seed, id, step, stream::PARAMETERS, p as u32);
                let value = varied(centre, kappa, iov, parameter.bounds);
                inside(value, parameter.bounds).then_some(value)
            });
            out.push((
                p,
                value.ok_or_else(|| self.cannot_meet_bounds(&[p], &[deviation]))?,
            ));
        }
        Ok(out)
    }

    /// Values of a block for `scratch.normals`; whether all are inside their bounds.
    fn vary(&self, block: &Block, scratch: &mut Scratch) -> bool {
        scratch.values.clear();
        for (i, &p) in block.parameters.iter().enumerate() {
            let parameter = &self.model.parameters[p];
            let Some(iiv) = parameter.iiv else {
                return false;
            };
            let eta = block.eta(i, &scratch.normals);
            let value = varied(self.typical[p], eta, iiv, parameter.bounds);
            if !inside(value, parameter.bounds) {
                return false;
            }
            scratch.values.push(value);
        }
        true
    }

    /// The parameter of the block whose bounds are hardest to meet, in a diagnostic.
    fn cannot_meet_bounds(&self, parameters: &[usize], deviations: &[f64]) -> Diagnostic {
        // distance from the typical value to the bounds, in standard deviations of eta: how
        // much of the distribution lies inside
        let share = |(&p, &sd): (&usize, &f64)| {
            let parameter = &self.model.parameters[p];
            let Some(iiv) = parameter.iiv.or(parameter.iov) else {
                return f64::INFINITY;
            };
            let hits = (-300..=300)
                .map(|i| f64::from(i) / 100.0 * sd)
                .filter(|&eta| {
                    inside(
                        varied(parameter.value, eta, iiv, parameter.bounds),
                        parameter.bounds,
                    )
                })
                .count();
            hits as f64
        };
        let worst = parameters
            .iter()
            .zip(deviations)
            .min_by(|a, b| share(*a).total_cmp(&share(*b)));
        let name = worst.map_or("", |(&p, _)| self.model.parameters[p].name.as_str());
        Diagnostic::error(
            "D061",
            format!("{MOST_REDRAWS} draws of parameter `{name}` all fell outside its bounds"),
        )
        .at(&self.model.source, 0..0)
        .help(format!(
            "widen the bounds of `{name}`, or lower its variability"
        ))
    }
}

/// The value on the natural scale for an eta around `centre`.
fn varied(centre: f64, eta: f64, how: Variability, bounds: Option<(f64, f64)>) -> f64 {
    match (how.distribution, bounds) {
        (Distribution::LogNormal, _) => centre * eta.exp(),
        (Distribution::LogitNormal, Some((low, high))) if high > low => {
            let position = (centre - low) / (high - low);
            let logit = (position / (1.0 - position)).ln() + eta;
            low + (high - low) / (1.0 + (-logit).exp())
        }
        _ => centre + eta,
    }
}

pub(crate) fn inside(value: f64, bounds: Option<(f64, f64)>) -> bool {
    let (low, high) = bounds.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let slack = |bound: f64| {
        if bound.is_finite() {
            AT_BOUND * bound.abs()
        } else {
            0.0
        }
    };
    value.is_finite() && value >= low - slack(low) && value <= high + slack(high)
}

#[cfg(test)]
mod tests;
