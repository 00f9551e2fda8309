//! Conditions on covariates at the start: strata and subgroups.

use posology_cohort::Cohort;
use posology_model::interpret::{Environment, Interpreter};
use posology_model::program::lower_expressions;

use crate::Trial;
use crate::design::{Split, Subgroups};

/// Whether a condition holds for each patient.
pub(crate) fn holds(trial: &Trial, split: &Split, cohort: &Cohort) -> Vec<bool> {
    let (setup, block) = lower_expressions(&trial.model.graph, &[split.node]);
    let mut interpreter = Interpreter::default();
    let (mut carried, mut out) = (Vec::new(), Vec::new());
    (0..cohort.len())
        .map(|p| {
            let slots = cohort.patient(p);
            let environment = Environment {
                slots: &slots,
                ..Environment::default()
            };
            interpreter.run(&setup, &environment, &mut carried);
            let environment = Environment {
                slots: &slots,
                carried: &carried,
                ..Environment::default()
            };
            interpreter.run(&block, &environment, &mut out);
            out.first().is_some_and(|&value| value > 0.0)
        })
        .collect()
}

/// The group of each patient: the first whose condition holds.
pub(crate) fn group_of(
    trial: &Trial,
    subgroups: &Subgroups,
    cohort: &Cohort,
) -> Vec<Option<usize>> {
    let groups: Vec<Vec<bool>> = subgroups
        .groups
        .iter()
        .map(|(_, split)| holds(trial, split, cohort))
        .collect();
    (0..cohort.len())
        .map(|p| groups.iter().position(|holds| holds[p]))
        .collect()
}
