//! Who goes through the arms: patients at the start of their own treatment, and virtual ones
//! around them.

use std::ops::Range;

use posology_cohort::device_plan::Around;
use posology_cohort::event::{Action, Event, Timelines};
use posology_cohort::{Cohort, Sampler};
use posology_kernels::device::Device;
use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_sim::run::run as simulate;
use posology_sim::sample::{Request, sample};
use posology_sim::{Column, OutputPlan, RuleSet, SampleError, SimError, Simulation};

use super::{Stage, TrialError};
use crate::Trial;
use crate::design::{Individuals, ReplayData, Start};

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

/// Who is to be drawn.
pub(crate) struct Wanted<'a> {
    /// Real patients whose logarithms the slots of the trial's `around` have.
    pub individuals: Option<&'a Cohort>,
    /// Patients of a replicate, or all.
    pub n: usize,
    pub seed: u64,
    pub first_id: u32,
    /// Replicates one after the other, with typical parameters drawn from the population's
    /// uncertainty.
    pub replicates: Option<Range<u32>>,
}

/// Virtual patients with ids from `first_id`, drawn on the device: covariates from the population,
/// the model's own variability, and for the slots in `around` log-normal values with the means,
/// deviations and correlations of the individuals' logarithms. Says why, if a population or model
/// whose numbers no device holds was drawn on the host.
///
/// # Errors
/// What populations and models say of draws that do not exist; of the device.
pub(crate) fn virtual_cohort(
    trial: &Trial,
    device: &Device,
    wanted: &Wanted<'_>,
) -> Result<(Cohort, Vec<String>), TrialError> {
    let model = &trial.model;
    let none: &[usize] = &[];
    let (around, population) = match &trial.virtual_patients {
        Some(sampled) => (sampled.around.as_slice(), sampled.population.as_ref()),
        None => (none, None),
    };
    let sampler = Sampler::new(model)?;
    let uncertainty = match population {
        Some(population) if wanted.replicates.is_some() => population.uncertainty(model)?,
        _ => None,
    };
    let replicates = wanted.replicates.clone().unwrap_or(0..1);
    let samplers = replicates
        .map(|replicate| match &uncertainty {
            Some(uncertainty) => {
                let typical = uncertainty.replicate(wanted.seed, replicate)?;
                Ok(sampler.clone().with_typical(&typical))
            }
            None => Ok(sampler.clone()),
        })
        .collect::<Result<Vec<_>, Diagnostic>>()
        .map_err(Diagnostics::from)?;
    let individuals = wanted.individuals.filter(|_| !around.is_empty());
    let around = individuals.map(|individuals| {
        let (mean, root) = logarithms(individuals, around);
        Around {
            slots: around.to_vec(),
            mean,
            root,
        }
    });
    let request = Request {
        population,
        samplers: &samplers,
        around: around.as_ref(),
        n: wanted.n,
        seed: wanted.seed,
        first_id: wanted.first_id,
    };
    let sampled = sample(device, &request).map_err(|error| match error {
        SampleError::Device(error) => SimError::from(error).into(),
        SampleError::Input(found) => found.into(),
        SampleError::Around { .. } => {
            let slots = around.iter().flat_map(|around| &around.slots);
            let names: Vec<&str> = slots.map(|&slot| model.slot_name(slot)).collect();
            TrialError::Bounds {
                names: names.join(", "),
            }
        }
        error @ SampleError::Disagreement { .. } => TrialError::Sampling(error),
    })?;
    let reasons = sampled.on_host.iter().map(|reason| reason.because.clone());
    Ok((sampled.drawn.cohort, reasons.collect()))
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
