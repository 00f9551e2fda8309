//! Who goes through the arms: patients at the start of their own treatment, and virtual ones
//! around them.

use posology_cohort::event::{Action, Event, Timelines};
use posology_cohort::philox::{standard_normal, stream};
use posology_cohort::{Cohort, Sampler};
use posology_model::diagnostic::Diagnostics;
use posology_sim::run::run as simulate;
use posology_sim::{Column, OutputPlan, RuleSet, Simulation};

use super::{Stage, TrialError};
use crate::Trial;
use crate::design::{Individuals, ReplayData, Start};

/// Draws of one patient before bounds are taken to be impossible to meet.
const MOST_REDRAWS: u32 = 10_000;
/// Philox steps of these draws begin here, far from those of the model's own variability.
const FIRST_STEP: u32 = 1 << 30;

/// The individuals as the arms find them.
pub(super) fn individuals(
    stage: &mut Stage<'_, '_>,
    real: &Individuals,
    replay: Option<&ReplayData>,
) -> Result<Cohort, TrialError> {
    match (&real.start, replay) {
        (Some(start), Some(data)) => carried(stage, real, start, data),
        _ => Ok(real.cohort.clone()),
    }
}

fn carried(
    stage: &mut Stage<'_, '_>,
    real: &Individuals,
    start: &Start,
    data: &ReplayData,
) -> Result<Cohort, TrialError> {
    let model = &stage.trial.model;
    let mut outputs = OutputPlan::none();
    for &(slot, node) in &start.carry {
        let column = Column {
            name: model.slot_name(slot).to_owned(),
            unit: String::new(),
            scale: 1.0,
        };
        outputs.record(column, node, None);
    }
    let events = &data.events;
    let mut timelines = Timelines {
        scales: events.timelines.scales.clone(),
        ..Timelines::default()
    };
    for (lane, &patient) in data.patient_of_lane.iter().enumerate() {
        let time = start.times[patient];
        let mut timeline =
            events.timelines.timelines[events.timelines.of_patient[lane] as usize].clone();
        timeline
            .events
            .retain(|event| event.time < time && event.action != Action::Record);
        timeline.events.push(Event::new(time, Action::Record));
        timeline.end = time;
        timelines.timelines.push(timeline);
        timelines.of_patient.push(lane as u32);
    }
    let rules = RuleSet::default();
    let simulation = Simulation {
        model,
        cohort: &events.cohort,
        timelines: &timelines,
        outputs: &outputs,
        rules: &rules,
    };
    let (options, device) = (stage.options(), stage.device);
    let results = simulate(device, &simulation, &options, |done, total| {
        stage.report("start of treatment", done, total)
    })?;
    let mut cohort = real.cohort.clone();
    for (column, &(slot, _)) in start.carry.iter().enumerate() {
        for (lane, &patient) in data.patient_of_lane.iter().enumerate() {
            cohort.slots[slot][patient] = results.records[column][results.record_offsets[lane]];
        }
    }
    Ok(cohort)
}

/// Virtual patients with ids from `first_id`: covariates from the population, the model's own
/// variability, and for the slots in `around` log-normal values with the means, deviations and
/// correlations of the individuals' logarithms. With a `replicate`, typical parameters are drawn
/// from the population's uncertainty.
///
/// # Errors
/// What populations and models say of draws that do not exist.
pub(crate) fn virtual_cohort(
    trial: &Trial,
    individuals: Option<&Cohort>,
    n: usize,
    seed: u64,
    first_id: u32,
    replicate: Option<u32>,
) -> Result<Cohort, TrialError> {
    let model = &trial.model;
    let none: &[usize] = &[];
    let (around, population) = match &trial.virtual_patients {
        Some(sampled) => (sampled.around.as_slice(), sampled.population.as_ref()),
        None => (none, None),
    };
    let mut cohort = match population {
        None => Cohort::sample(model, n, seed, first_id)?,
        Some(population) => {
            let mut sampler = Sampler::new(model)?;
            if let (Some(replicate), Some(uncertainty)) =
                (replicate, population.uncertainty(model)?)
            {
                let typical = uncertainty
                    .replicate(seed, replicate)
                    .map_err(Diagnostics::from)?;
                sampler = sampler.with_typical(&typical);
            }
            population.sample_with(&sampler, n, seed, first_id)?.cohort
        }
    };
    let Some(individuals) = individuals.filter(|_| !around.is_empty()) else {
        return Ok(cohort);
    };
    let (mean, root) = logarithms(individuals, around);
    for (row, &id) in cohort.ids.iter().enumerate() {
        let drawn = (0..MOST_REDRAWS).find_map(|redraw| {
            let normal = |k: usize| {
                standard_normal(seed, id, FIRST_STEP + redraw, stream::PARAMETERS, k as u32)
            };
            let normals: Vec<f64> = (0..around.len()).map(normal).collect();
            let value =
                |k: usize| (mean[k] + (0..=k).map(|j| root[k][j] * normals[j]).sum::<f64>()).exp();
            let values: Vec<f64> = (0..around.len()).map(value).collect();
            let inside = around.iter().zip(&values).all(|(&slot, &value)| {
                let bounds = model
                    .parameters
                    .get(slot)
                    .and_then(|parameter| parameter.bounds);
                bounds.is_none_or(|(low, high)| value >= low && value <= high)
            });
            inside.then_some(values)
        });
        let Some(values) = drawn else {
            let names: Vec<&str> = around.iter().map(|&slot| model.slot_name(slot)).collect();
            return Err(TrialError::Bounds {
                names: names.join(", "),
            });
        };
        for (&slot, value) in around.iter().zip(values) {
            cohort.slots[slot][row] = value;
        }
    }
    Ok(cohort)
}

/// Mean of the logarithms and the lower Cholesky factor of their covariance (n - 1).
pub(crate) fn logarithms(individuals: &Cohort, around: &[usize]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let logs: Vec<Vec<f64>> = around
        .iter()
        .map(|&slot| {
            individuals.slots[slot]
                .iter()
                .map(|value| value.max(f64::MIN_POSITIVE).ln())
                .collect()
        })
        .collect();
    let n = individuals.len().max(2) as f64;
    let mean: Vec<f64> = logs.iter().map(|row| row.iter().sum::<f64>() / n).collect();
    let covariance = |i: usize, j: usize| {
        logs[i]
            .iter()
            .zip(&logs[j])
            .map(|(a, b)| (a - mean[i]) * (b - mean[j]))
            .sum::<f64>()
            / (n - 1.0)
    };
    let k = around.len();
    let mut root = vec![vec![0.0; k]; k];
    for i in 0..k {
        for j in 0..=i {
            let rest = covariance(i, j) - (0..j).map(|m| root[i][m] * root[j][m]).sum::<f64>();
            root[i][j] = match (i == j, root[j][j] > 0.0) {
                (true, _) => rest.max(0.0).sqrt(),
                (false, true) => rest / root[j][j],
                (false, false) => 0.0,
            };
        }
    }
    (mean, root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_gives_the_covariance_back() {
        let e = std::f64::consts::E;
        let cohort = Cohort {
            ids: vec![0, 1, 2],
            names: None,
            slots: vec![vec![1.0, e, e * e], vec![1.0, e * e, e]],
        };
        let (mean, root) = logarithms(&cohort, &[0, 1]);
        assert!((mean[0] - 1.0).abs() < 1e-12 && (mean[1] - 1.0).abs() < 1e-12);
        // variances 1 and 1, covariance 1/2
        assert!((root[0][0] - 1.0).abs() < 1e-12);
        assert!((root[1][0] - 0.5).abs() < 1e-12);
        assert!((root[1][1] - 0.75f64.sqrt()).abs() < 1e-12);
    }
}
