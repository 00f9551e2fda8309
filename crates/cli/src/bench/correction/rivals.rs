//! What a correction is compared with: the mechanism fitted as it is, and physics-informed networks.

use std::ops::Range;

use anyhow::Context as _;
use posology_cohort::nmtran::Observation;
use posology_kernels::device::Device;
use posology_model::Model;
use posology_sim::{OutputPlan, RuleSet, Simulation};
use posology_twin::forecast::{Cut, split};
use posology_twin::informed::{self, InformedOptions, fit_informed};
use posology_twin::population::{Saem, SaemOptions};
use posology_twin::problem::Problem;
use posology_twin::space::{Entry, Population, Space};

use super::data::{
    Course, ERROR, Errors, Fitted, OMEGA, SEEN, UNTIL, errors, forecast, millilitre,
};

/// Population of `model` that fits the data best, by SAEM.
pub fn population(
    device: &Device,
    model: &Model,
    course: Course,
    who: Range<u32>,
    iterations: usize,
) -> anyhow::Result<Population> {
    let (observations, replay) = course.data(model, who, UNTIL)?;
    let (space, start) = Space::new(model, &[])?;
    let problem = Problem::new(device, model, &replay, &observations, space, None)?;
    let options = SaemOptions {
        explore: iterations * 3 / 5,
        converge: iterations * 2 / 5,
        ..SaemOptions::default()
    };
    let everyone = (0..problem.engine.subjects() as u32).collect();
    let mut fit = Saem::new(&problem, vec![everyone], vec![start], options, None)?;
    while !fit.done() {
        fit.iterate()?;
    }
    let fitted = fit.state.populations.first().context("no fit")?;
    Ok(fitted.clone())
}

/// Forecasts by a network of time per patient, fitted to what was seen of him with the mechanism as
/// penalty, his growth and first size beside it: of the network itself, where it has never been
/// asked for anything, and of the mechanism with the growth and first size that it found.
pub fn physics_informed(
    device: &Device,
    mechanism: &Fitted<'_>,
    course: Course,
    who: Range<u32>,
    iterations: usize,
) -> anyhow::Result<[Errors; 2]> {
    let model = mechanism.model;
    let (seen, replay) = course.data(model, who.clone(), SEEN)?;
    let (all, _) = course.data(model, who.clone(), UNTIL)?;
    let (_, hidden) = split(&all, Cut::After(f64::from(SEEN)));
    let mut outputs = OutputPlan::none();
    outputs.all_observables(model, false);
    let rules = RuleSet::default();
    let simulation = Simulation {
        model,
        cohort: &replay.cohort,
        timelines: &replay.timelines,
        outputs: &outputs,
        rules: &rules,
    };
    let observe = |o: &Observation| informed::Observation {
        patient: o.subject,
        time: o.time,
        output: 0,
        value: o.seen.number(),
        sd: ERROR * o.seen.number(),
    };
    let observations: Vec<_> = seen.observations.iter().map(observe).collect();
    let (space, _) = Space::new(model, &[])?;
    let of_slot = |entry: &Entry| {
        let omega = if entry.name == "growth" {
            OMEGA.0
        } else {
            OMEGA.1
        };
        (entry.slot, omega)
    };
    let options = InformedOptions {
        until: Some(f64::from(SEEN)),
        iterations,
        learning_rate: 3e-2,
        trainable: space.random.iter().map(of_slot).collect(),
        ..InformedOptions::default()
    };
    let fit = fit_informed(device, &simulation, &observations, &options)?;
    let mut times: Vec<f64> = hidden.iter().map(|o| o.time).collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let predicted = fit.predict(&times)?;
    let records = predicted.records.first().context("no output")?;
    let millilitre = millilitre(model)?;
    let one = |o: &Observation| {
        let at = times.partition_point(|&t| t < o.time);
        let forecast = records[o.subject][at] / millilitre;
        let patient = who.start + o.subject as u32;
        (patient, o.time, o.seen.number() / millilitre, forecast)
    };
    let network = errors(course, &hidden.iter().map(one).collect::<Vec<_>>());
    let phi = (0..replay.cohort.len()).flat_map(|i| {
        let value = |entry: &Entry| entry.scale.phi(fit.slots[entry.slot][i]);
        space.random.iter().map(value).collect::<Vec<_>>()
    });
    let simulated = forecast(device, mechanism, course, who, Some(phi.collect()))?;
    Ok([network, simulated])
}
