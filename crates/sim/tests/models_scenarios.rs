//! The scenario of every shipped model: its regimen is understood, lowers to events for sampled
//! patients, and gives the doses it says. No device is needed.

#![allow(clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use posology_cohort::{Action, Cohort, Regimen, Timelines};
use posology_model::Model;

const PATIENTS: usize = 500;

fn models() -> Vec<Model> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models");
    let entries = std::fs::read_dir(folder).expect("model folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    paths
        .iter()
        .map(|path| Model::load(path).unwrap_or_else(|found| panic!("{found}")))
        .collect()
}

fn lower(model: &Model, cohort: &Cohort) -> Option<Timelines> {
    let scenario = model.scenario.as_ref().expect("scenario");
    let (text, origin) = (
        scenario.regimen.as_ref()?,
        scenario.regimen_origin.as_ref()?,
    );
    let lowered = Regimen::parse(model, text, origin)
        .and_then(|regimen| regimen.timelines(model, cohort, scenario.duration, origin));
    Some(lowered.unwrap_or_else(|found| panic!("{}: {found}", model.name)))
}

#[test]
fn every_scenario_lowers_for_sampled_patients() {
    for model in models() {
        let cohort = Cohort::sample(&model, PATIENTS, 1, 0)
            .unwrap_or_else(|found| panic!("{}: {found}", model.name));
        for (slot, values) in cohort.slots.iter().enumerate() {
            let finite = values.iter().all(|value| value.is_finite());
            assert!(finite, "{} {}", model.name, model.slot_name(slot));
        }
        let Some(timelines) = lower(&model, &cohort) else {
            assert!(
                model.inputs.is_empty(),
                "{} has inputs but no regimen",
                model.name
            );
            continue;
        };
        assert_eq!(timelines.patients(), PATIENTS, "{}", model.name);
        let first = timelines.timeline(0).expect("timeline");
        assert!(
            first.events.iter().any(|event| event.dose),
            "{} gives nothing",
            model.name
        );
    }
}

/// Total given to each model's typical patient (coherent units of the state), from the text of
/// its scenario by hand.
#[test]
fn scenarios_give_the_doses_they_say() {
    let given: &[(&str, f64)] = &[
        ("ahn-chemotherapy", 20.25),
        ("bruno-tgi", 6.0 * 135.0 + 6.0 * 28.0 * 2250.0),
        ("carboplatin", 2.0 * 5.0 * 139.667),
        ("docetaxel", 2.0 * 180.0),
        ("docetaxel-neutropenia", 3.0 * 180.0),
        ("doxorubicin", 2.0 * 108.0),
        ("epirubicin", 2.0 * 162.0),
        ("liposomal-doxorubicin", 2.0 * 36.0),
        // MBq as decays per hour
        ("lu177-psma-siebinga", 2.0 * 7400.0 * 1e6 * 3600.0),
        ("nanoparticle-mouse", 0.1),
        // percent as shares
        ("nanoparticle-tumour", 1.0),
        // mg as micromoles
        ("paclitaxel", 2.0 * 315.0 / 0.8539),
        ("paclitaxel-neutropenia", 3.0 * 315.0 / 0.8539),
    ];
    for model in models() {
        let Some(&(_, expected)) = given.iter().find(|(name, _)| *name == model.name) else {
            continue;
        };
        let timelines = lower(&model, &Cohort::typical(&model, 1)).expect("regimen");
        let timeline = timelines.timeline(0).expect("timeline");
        let (mut total, mut rate, mut since) = (0.0, 0.0, 0.0);
        for event in &timeline.events {
            total += rate * (event.time - since);
            since = event.time;
            match event.action {
                Action::Bolus { amount, .. } => total += timelines.amount(0, amount),
                Action::Rate { change, .. } => rate += timelines.amount(0, change),
                _ => {}
            }
        }
        assert!(
            (total - expected).abs() <= 1e-9 * expected,
            "{}: {total}",
            model.name
        );
        assert!(
            rate.abs() <= 1e-9 * expected,
            "{}: an infusion goes on",
            model.name
        );
    }
}
