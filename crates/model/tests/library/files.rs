//! What holds for every file.

use std::collections::BTreeSet;

use posology_model::Model;
use posology_model::interpret::{Environment, evaluate};

use super::patient::{Method, Patient, folder, load};

const SHIPPED: [&str; 18] = [
    "abiraterone-psa",
    "ahn-chemotherapy",
    "bruno-tgi",
    "carboplatin",
    "depillis",
    "docetaxel",
    "docetaxel-neutropenia",
    "doxorubicin",
    "epirubicin",
    "kuznetsov",
    "liposomal-doxorubicin",
    "lotka-volterra-adaptive",
    "lu177-psma-siebinga",
    "nanoparticle-mouse",
    "nanoparticle-tumour",
    "paclitaxel",
    "paclitaxel-carboplatin",
    "paclitaxel-neutropenia",
];

fn all() -> Vec<Model> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("model folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| {
            path.file_stem()
                .expect("stem")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names.iter().map(|name| load(name)).collect()
}

#[test]
fn the_library_holds_what_the_documentation_lists() {
    let names: BTreeSet<String> = all().into_iter().map(|model| model.name).collect();
    let missing: Vec<_> = SHIPPED
        .iter()
        .filter(|name| !names.contains(**name))
        .collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

#[test]
fn every_file_is_clean_and_says_what_it_is() {
    for model in all() {
        let name = &model.name;
        assert_eq!(model.warnings.to_string(), "", "{name} has warnings");
        assert!(!model.title.is_empty(), "{name} has no title");
        for heading in ["Structure.", "Reproduces", "Limits."] {
            assert!(
                model.description.contains(heading),
                "{name}: no `{heading}` in the description"
            );
        }
        assert!(!model.sources.is_empty(), "{name} cites nothing");
        assert!(model.scenario.is_some(), "{name} has no scenario");
        assert!(!model.observables.is_empty(), "{name} has no observable");
        assert!(!model.summaries.is_empty(), "{name} has no summary");
        for parameter in &model.parameters {
            let id = format!("{name}.{}", parameter.name);
            assert!(parameter.source.len() > 15, "{id} has no source");
            assert!(!parameter.description.is_empty(), "{id} has no description");
            assert!(!parameter.source.contains("MEMORY"), "{id} is unverified");
            let says = ["calibrated", "sensitivity", "numerical"];
            let admitted = says.iter().any(|word| parameter.source.contains(word));
            assert_eq!(
                parameter.calibrated, admitted,
                "{id}: flag and source disagree"
            );
        }
    }
}

/// d(total)/dt along the rates, by a central difference of the total, equals the declared gain.
#[test]
fn balances_hold_at_states_far_from_equilibrium() {
    for model in all() {
        let slots = model.typical_slots();
        let states: Vec<_> = (0..model.states.len())
            .map(|i| model.units.scale(&model.states[i].unit) * (3.0 + (i * 7 % 5) as f64))
            .collect();
        let inputs = vec![0.0; model.inputs.len()];
        let at = |states: &[f64], nodes: &[posology_model::graph::NodeId]| {
            let environment = Environment {
                states,
                slots: &slots,
                inputs: &inputs,
                time: 5.0,
                tad: 2.0,
                ..Environment::default()
            };
            evaluate(&model.graph, nodes, &environment)
        };
        let nodes: Vec<_> = model.states.iter().map(|state| state.rate).collect();
        let rates = at(&states, &nodes);
        for balance in &model.balances {
            let moved = |h: f64| {
                let there: Vec<_> = states.iter().zip(&rates).map(|(y, f)| y + h * f).collect();
                at(&there, &[balance.total])[0]
            };
            let (change, gain) = ((moved(0.5) - moved(-0.5)), at(&states, &[balance.gain])[0]);
            let scale = rates.iter().fold(gain.abs(), |a, b| a.max(b.abs()));
            assert!(
                (change - gain).abs() <= 1e-10 * scale,
                "{} {}: {change} against {gain}",
                model.name,
                balance.name
            );
        }
    }
}

/// Model, input, amount in its unit, duration in h (0: bolus).
type Dose = (&'static str, &'static str, f64, f64);

/// What each model is given to judge its step, one run an input.
const DOSES: [Dose; 16] = [
    ("ahn-chemotherapy", "drug", 20.25, 486.0),
    ("bruno-tgi", "capecitabine", 2250.0, 0.0),
    ("carboplatin", "carboplatin", 698.0, 1.0),
    ("docetaxel", "docetaxel", 180.0, 1.0),
    ("docetaxel-neutropenia", "docetaxel", 180.0, 1.0),
    ("doxorubicin", "doxorubicin", 108.0, 0.5),
    ("epirubicin", "epirubicin", 162.0, 0.5),
    ("liposomal-doxorubicin", "liposomal_doxorubicin", 36.0, 0.5),
    ("liposomal-doxorubicin", "doxorubicin", 108.0, 0.5),
    ("lu177-psma-siebinga", "lu177_psma", 7400.0, 0.0),
    ("nanoparticle-mouse", "particles", 0.1, 0.005),
    ("nanoparticle-tumour", "particles", 100.0, 0.0),
    ("paclitaxel", "paclitaxel", 315.0, 3.0),
    ("paclitaxel-carboplatin", "carboplatin", 698.0, 1.0),
    ("paclitaxel-carboplatin", "paclitaxel", 315.0, 3.0),
    ("paclitaxel-neutropenia", "paclitaxel", 315.0, 3.0),
];

/// The worst of the model's inputs.
fn step_error(name: &str, slots: &[(&str, f64)]) -> f64 {
    let doses: Vec<_> = DOSES.iter().filter(|dose| dose.0 == name).collect();
    if doses.is_empty() {
        return step_error_of(name, slots, None);
    }
    let errors = doses
        .into_iter()
        .map(|dose| step_error_of(name, slots, Some(dose)));
    errors.fold(0.0, f64::max)
}

/// A run of up to 21 d (or 120 d where nothing is dosed), or 50,000 steps, with both steps; the largest
/// difference in each state over the state's range.
fn step_error_of(name: &str, slots: &[(&str, f64)], dose: Option<&Dose>) -> f64 {
    let run = |method: Method| {
        let mut patient = Patient::new(name, slots, &[]).with(method);
        let hour = patient.at("1 h");
        let end = if dose.is_some() { 504.0 } else { 2880.0 } * hour;
        let end = end.min(50_000.0 * patient.model.step.at(0.0));
        let mut seen = Vec::new();
        if let Some(&(_, input, amount, duration)) = dose {
            if duration > 0.0 {
                patient.infuse(input, amount, duration * hour);
            } else {
                patient.bolus(input, amount);
            }
            seen.push(patient.y.clone());
        }
        let start = patient.time;
        for k in 1..=60 {
            // dense after the dose, where the step matters
            let x = f64::from(k) / 60.0;
            patient.advance(start + (end - start) * x.powi(4));
            seen.push(patient.y.clone());
        }
        seen
    };
    let (converged, shipped) = (run(Method::Converged), run(Method::Shipped));
    let mut worst: f64 = 0.0;
    for s in 0..converged[0].len() {
        let over = |f: fn(f64, f64) -> f64, from| converged.iter().map(|y| y[s]).fold(from, f);
        let range = over(f64::max, f64::MIN) - over(f64::min, f64::MAX);
        for (a, b) in converged.iter().zip(&shipped) {
            if range > 0.0 {
                worst = worst.max((a[s] - b[s]).abs() / range);
            }
        }
    }
    worst
}

/// 1e-4 of the range of each state is what the shipped steps promise.
#[test]
fn the_shipped_step_is_accurate_for_the_typical_patient() {
    for model in all() {
        let error = step_error(&model.name, &[]);
        assert!(error <= 1e-4, "{}: {error:e}", model.name);
    }
}

/// Every varying parameter at 2.5 SD below and above, one at a time, inside its bounds.
#[test]
fn the_shipped_step_is_accurate_for_unusual_patients() {
    for model in all() {
        for parameter in &model.parameters {
            let Some(variability) = parameter.iiv else {
                continue;
            };
            let scale = model.units.scale(&parameter.unit);
            for deviations in [-2.5, 2.5] {
                let eta = deviations * variability.omega2.sqrt();
                let normal =
                    variability.distribution == posology_model::model::Distribution::Normal;
                let value = if normal {
                    parameter.value + eta
                } else {
                    parameter.value * eta.exp()
                };
                let (low, high) = parameter.bounds.unwrap_or((f64::MIN, f64::MAX));
                let value = value.clamp(low, high) / scale;
                let error = step_error(&model.name, &[(&parameter.name, value)]);
                assert!(
                    error <= 1e-4,
                    "{} {} = {value}: {error:e}",
                    model.name,
                    parameter.name
                );
            }
        }
    }
}
