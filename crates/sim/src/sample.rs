//! Patients drawn on the device.
//!
//! The device draws every patient of a run, and what it drew is read back as the cohort, so that a
//! patient is the same person in every arm, batch and shard. The f64 sampler of
//! [`posology_cohort`] uses the same random numbers; it differs by f32 rounding.
//!
//! A population or a model whose numbers a device cannot hold is drawn on the host as a whole: the
//! covariates of all patients, or the parameters of all patients, never those of some. That follows
//! from the files alone, so it is the same on every device, and [`Sampled::on_host`] says why.
//! Inter-occasion variability is drawn on the host: it is events, not slots.

use std::sync::Arc;

use posology_cohort::device_plan::{Around, HostOnly};
use posology_cohort::population_file::{Covariates, Coverage, Drawn, Population};
use posology_cohort::{Cohort, Sampler};
use posology_kernels::device::Device;
use posology_kernels::sample::launch::{self, Who};
use posology_model::diagnostic::Diagnostic;
use posology_model::sampling::ParameterPlan;

use crate::error::SampleError;

/// Who is to be drawn.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Where covariates come from; the model's reference values without one.
    pub population: Option<&'a Population>,
    /// One per group of patients; samplers of one model, which differ in their typical values.
    pub samplers: &'a [Sampler<'a>],
    pub around: Option<&'a Around>,
    /// Patients per group.
    pub n: usize,
    pub seed: u64,
    /// Id of the first patient; the others follow.
    pub first_id: u32,
}

/// What was drawn, and where.
#[derive(Clone, Debug)]
pub struct Sampled<T> {
    pub drawn: T,
    /// Why something was drawn on the host; empty if the device drew everything.
    pub on_host: Vec<HostOnly>,
}

/// Covariates of `n` patients with ids from `first_id`.
///
/// # Errors
/// Those of [`Population::covariates`]; [`SampleError::Device`].
pub fn covariates(
    device: &Device,
    population: &Population,
    n: usize,
    seed: u64,
    first_id: u32,
) -> Result<Sampled<Covariates>, SampleError> {
    let plan = match population.plan() {
        Ok(plan) => Arc::new(plan),
        Err(reason) => {
            return Ok(Sampled {
                drawn: population.covariates(n, seed, first_id)?,
                on_host: vec![reason],
            });
        }
    };
    // too many ids, or no patients at all
    if n == 0 || ids_end(n, first_id).is_none() {
        return Ok(Sampled {
            drawn: population.covariates(n, seed, first_id)?,
            on_host: Vec::new(),
        });
    }
    let who = Who {
        first: first_id,
        n,
        seed,
    };
    let found = launch::covariates(device, &plan, &population.table(), who)?;
    if let Some(&place) = found.failed.first() {
        let id = first_id + place as u32;
        // the host says what is wrong with the patient
        population.covariates(1, seed, id)?;
        return Err(SampleError::Disagreement { id });
    }
    let redraws = found.redraws.iter().map(|&r| u64::from(r)).sum();
    Ok(Sampled {
        drawn: population.covariates_of(&found.values, redraws, seed, first_id)?,
        on_host: Vec::new(),
    })
}

/// Patients of a model: one group after the other.
///
/// # Errors
/// Those of [`Population::sample`] and [`Cohort::sample`]; [`SampleError::Around`];
/// [`SampleError::Device`].
pub fn sample(device: &Device, request: &Request<'_>) -> Result<Sampled<Drawn>, SampleError> {
    let Some(sampler) = request.samplers.first() else {
        return Ok(Sampled {
            drawn: Drawn {
                cohort: Cohort::default(),
                extra: Vec::new(),
                coverage: Coverage::default(),
                redraws: 0,
            },
            on_host: Vec::new(),
        });
    };
    let n = request.n * request.samplers.len();
    let Some(population) = request.population else {
        if ids_end(n, request.first_id).is_none() {
            // the host's words for too many patients
            Cohort::sample(sampler.model(), n, request.seed, request.first_id)?;
        }
        let ids: Vec<u32> = (0..n).map(|i| request.first_id + i as u32).collect();
        let Sampled { drawn, on_host } = parameters(device, request, &ids)?;
        return Ok(Sampled {
            drawn: Drawn {
                cohort: Cohort {
                    ids,
                    names: None,
                    slots: drawn,
                },
                extra: Vec::new(),
                coverage: Coverage::default(),
                redraws: 0,
            },
            on_host,
        });
    };
    // what does not fit the model shows before anyone is drawn
    population.coverage(sampler.model())?;
    let covariates = covariates(device, population, n, request.seed, request.first_id)?;
    individuals(device, request, population, covariates)
}

/// The patients whose covariates these are: the second half of [`sample`].
///
/// # Errors
/// As [`sample`].
pub fn individuals(
    device: &Device,
    request: &Request<'_>,
    population: &Population,
    covariates: Sampled<Covariates>,
) -> Result<Sampled<Drawn>, SampleError> {
    let Sampled { drawn, mut on_host } = covariates;
    let parameters = parameters(device, request, &drawn.ids)?;
    on_host.extend(parameters.on_host);
    // values around individuals are above those of the population
    let around: Vec<(usize, Vec<f64>)> = request
        .around
        .iter()
        .flat_map(|around| &around.slots)
        .map(|&slot| (slot, parameters.drawn[slot].clone()))
        .collect();
    let groups = (request.samplers, request.n);
    let mut drawn = population.individuals_of(groups, drawn, request.seed, parameters.drawn)?;
    for (slot, values) in around {
        drawn.cohort.slots[slot] = values;
    }
    Ok(Sampled { drawn, on_host })
}

fn ids_end(n: usize, first_id: u32) -> Option<u32> {
    u32::try_from(n).ok().and_then(|n| first_id.checked_add(n))
}

/// `[slot][patient]` of all groups.
fn parameters(
    device: &Device,
    request: &Request<'_>,
    ids: &[u32],
) -> Result<Sampled<Vec<Vec<f64>>>, SampleError> {
    match planned(request) {
        Ok((plan, centres)) => Ok(Sampled {
            drawn: on_device(device, request, plan, &centres, ids)?,
            on_host: Vec::new(),
        }),
        Err(reason) => {
            let groups = request.samplers.iter().zip(ids.chunks(request.n.max(1)));
            let mut slots: Vec<Vec<f64>> = Vec::new();
            for (sampler, ids) in groups {
                let part = sampler.columns(request.seed, ids).map_err(one)?;
                append(&mut slots, part);
            }
            if let Some(around) = request.around {
                let mut cohort = Cohort {
                    ids: ids.to_vec(),
                    names: None,
                    slots,
                };
                around_on_host(around, request, &mut cohort)?;
                slots = cohort.slots;
            }
            Ok(Sampled {
                drawn: slots,
                on_host: vec![reason],
            })
        }
    }
}

fn one(finding: Diagnostic) -> SampleError {
    SampleError::Input(finding.into())
}

fn append(all: &mut Vec<Vec<f64>>, part: Vec<Vec<f64>>) {
    if all.is_empty() {
        *all = part;
        return;
    }
    for (column, values) in all.iter_mut().zip(part) {
        column.extend(values);
    }
}

fn around_on_host(
    around: &Around,
    request: &Request<'_>,
    cohort: &mut Cohort,
) -> Result<(), SampleError> {
    let Some(sampler) = request.samplers.first() else {
        return Ok(());
    };
    around
        .draw(sampler.model(), request.seed, cohort)
        .map_err(|id| SampleError::Around { id })
}

/// The plan, and a row of centres per group.
fn planned(request: &Request<'_>) -> Result<(ParameterPlan, Vec<f32>), HostOnly> {
    let mut plan = ParameterPlan::default();
    let mut centres = Vec::new();
    for (group, sampler) in request.samplers.iter().enumerate() {
        if group == 0 {
            plan = sampler.plan()?;
        }
        centres.extend(sampler.centres(&plan)?);
    }
    if let (Some(around), Some(sampler)) = (request.around, request.samplers.first()) {
        around.extend(sampler.model(), &mut plan, &mut centres)?;
    }
    Ok((plan, centres))
}

fn on_device(
    device: &Device,
    request: &Request<'_>,
    plan: ParameterPlan,
    centres: &[f32],
    ids: &[u32],
) -> Result<Vec<Vec<f64>>, SampleError> {
    let varied = plan.varied();
    let group = request.n.max(1);
    let mut columns: Vec<Vec<f32>> = Vec::new();
    if !varied.is_empty() && !ids.is_empty() {
        let who = Who {
            first: request.first_id,
            n: ids.len(),
            seed: request.seed,
        };
        let found = launch::parameters(device, &Arc::new(plan), centres, group, who)?;
        if let Some(&place) = found.failed.first() {
            return Err(failed(request, place));
        }
        columns = found.values;
    }
    let mut slots = Vec::new();
    for (g, sampler) in request.samplers.iter().enumerate() {
        let range = g * group..((g + 1) * group).min(ids.len());
        let part: Vec<Vec<f32>> = columns
            .iter()
            .map(|column| column[range.clone()].to_vec())
            .collect();
        append(&mut slots, sampler.slots_of(&varied, &part, range.len()));
    }
    Ok(slots)
}

/// What the host says of a patient whom the device could not draw.
fn failed(request: &Request<'_>, place: usize) -> SampleError {
    let id = request.first_id + place as u32;
    let sampler = request.samplers.get(place / request.n.max(1));
    if let Some(sampler) = sampler {
        match sampler.individual(request.seed, id) {
            Err(finding) => return one(finding),
            Ok(slots) => {
                let mut cohort = Cohort {
                    ids: vec![id],
                    names: None,
                    slots: slots.into_iter().map(|value| vec![value]).collect(),
                };
                let around = request.around;
                if around
                    .is_some_and(|a| a.draw(sampler.model(), request.seed, &mut cohort).is_err())
                {
                    return SampleError::Around { id };
                }
            }
        }
    }
    SampleError::Disagreement { id }
}
