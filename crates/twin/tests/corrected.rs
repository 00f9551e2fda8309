//! Training of a correction: a hidden term is recovered, and nothing is made up where none is missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{device, parse, problem};
use posology_cohort::Dataset;
use posology_cohort::nmtran::{Observation, Reading};
use posology_cohort::philox::{standard_normal, stream};
use posology_model::Model;
use posology_model::correction::Network;
use posology_twin::TwinError;
use posology_twin::correction::{
    Contribution, Optimiser, TrainOptions, Trained, Training, contributions, train,
};
use posology_twin::forecast::{Cut, split};
use posology_twin::map::{self, MapOptions};
use posology_twin::problem::Problem;
use posology_twin::space::{Population, Space};

const MECHANISM: &str = include_str!("../../../benches/correction/mechanism.toml");
const CORRECTED: &str = include_str!("../../../benches/correction/corrected.toml");
const TRUTH: &str = include_str!("../../../benches/correction/truth.toml");
/// 1/mL/d
const CROWDING: f64 = 0.0005;
const ERROR: f64 = 0.1;
/// Of the data, whatever runs the test.
const SEED: u64 = 3;
const PATIENTS: u32 = 120;
/// Days between observations, and of the last one.
const EVERY: u32 = 10;
const UNTIL: u32 = 120;

/// Growth, 1/d, and first size, mL, of a patient.
fn patient(seed: u64, i: u32) -> (f64, f64) {
    let z = |k: u32| standard_normal(seed, i, 0, stream::PREDICTIVE, k);
    (0.06 * (0.3 * z(0)).exp(), 10.0 * (0.7 * z(1)).exp())
}

/// The exact course, mL: `dT/dt = r T - c T^2`.
fn size(r: f64, first: f64, c: f64, t: f64) -> f64 {
    let grown = (r * t).exp();
    first * grown / (1.0 + c * first * (grown - 1.0) / r)
}

/// A data file of some patients.
fn data(patients: std::ops::Range<u32>, seed: u64, crowding: f64) -> String {
    let mut text = String::from("ID,TIME,DV\n");
    for i in patients {
        let (r, first) = patient(seed, i);
        for k in 0..=UNTIL / EVERY {
            let t = f64::from(k * EVERY);
            let e = standard_normal(seed, i, 1, stream::PREDICTIVE, k);
            let seen = size(r, first, crowding, t) * (ERROR * e).exp();
            text += &format!("{i},{t},{seen}\n");
        }
    }
    text
}

/// Mean absolute error of logarithms after day 50, of patients whom nobody has seen before.
fn forecast(model: &Model, population: &Population, fixed: &[&str], text: &str) -> f64 {
    let dataset = Dataset::parse("data.csv", text.as_bytes(), model).unwrap();
    let all = dataset.observations(model, &Reading::default()).unwrap();
    let replay = dataset.replay(model, None).unwrap();
    let (seen, hidden) = split(&all, Cut::After(50.0));
    let (space, _) = Space::new(model, fixed).unwrap();
    let problem = Problem::new(device(), model, &replay, &seen, space, None).unwrap();
    let who: Vec<u32> = (0..problem.engine.subjects() as u32).collect();
    let populations = [population.clone()];
    let of = vec![0; who.len()];
    let found = map::estimate(&problem, &who, &populations, &of, &MapOptions::default()).unwrap();
    let phi: Vec<f64> = found.into_iter().flat_map(|one| one.phi).collect();
    let values = problem.values(&populations, &of, &phi);
    let f = problem.engine.predict(&who, &values).unwrap();
    let each = f.of(0).len();
    let apart =
        |o: &Observation| (f.of(o.subject)[o.record % each].ln() - o.seen.number().ln()).abs();
    hidden.iter().map(apart).sum::<f64>() / hidden.len() as f64
}

/// R squared of the learned rate against the missing one at the states that patients visit, and the
/// largest correction relative to the mechanism.
fn rates(trainable: &Model, weights: &[f64], crowding: f64) -> (f64, f64) {
    let correction = trainable.correction.as_ref().unwrap();
    let millilitre = trainable.units.scale(&trainable.observables[0].unit);
    let growth = trainable.slot_index("growth").unwrap();
    let per_day = trainable.parameters[growth].value / 0.06;
    let (mut places, mut missing) = (Vec::new(), Vec::new());
    for i in 0..PATIENTS {
        let (r, first) = patient(SEED, i);
        let mut slots: Vec<f64> = trainable.parameters.iter().map(|p| p.value).collect();
        slots[growth] = r * per_day;
        for (&slot, &w) in correction.weights.iter().zip(weights) {
            slots[slot] = w;
        }
        for day in 0..=UNTIL {
            let size = size(r, first, crowding, f64::from(day));
            places.push((slots.clone(), vec![size * millilitre], f64::from(day)));
            missing.push(-crowding * size * size);
        }
    }
    let found = contributions(trainable, &places);
    let learned = |k: usize| found[k][0].correction / millilitre / per_day;
    let share = |of: &Vec<Contribution>| (of[0].correction / of[0].mechanism).abs();
    let mean = missing.iter().sum::<f64>() / missing.len() as f64;
    let total: f64 = missing.iter().map(|m| (m - mean).powi(2)).sum();
    let apart = |(k, m): (usize, &f64)| (m - learned(k)).powi(2);
    let left: f64 = missing.iter().enumerate().map(apart).sum();
    (
        1.0 - left / total,
        found.iter().map(share).fold(0.0, f64::max),
    )
}

/// The defaults, but for the length.
fn short() -> TrainOptions {
    TrainOptions {
        epochs: 25,
        ..TrainOptions::default()
    }
}

/// A trainable model with data, and where training begins.
struct Case {
    model: Model,
    names: Vec<String>,
    problem: Problem,
    start: Population,
}

impl Case {
    fn of(text: &str) -> Self {
        let model = Model::parse_trainable("test.toml", CORRECTED, None).unwrap();
        let names = model.correction.as_ref().unwrap().network.weight_names();
        let fixed: Vec<&str> = names.iter().map(String::as_str).collect();
        let (problem, start) = problem(&model, text.as_bytes(), &fixed);
        Self {
            model,
            names,
            problem,
            start,
        }
    }

    fn network(&self) -> Network {
        self.model.correction.as_ref().unwrap().network
    }

    fn train(&self, options: TrainOptions) -> Trained {
        let began = std::time::Instant::now();
        let start = self.start.clone();
        let network = self.network();
        let found = train(&self.problem, &network, start, options, None, |_| true).unwrap();
        println!(
            "alpha {} of epoch {} of {}, {:?}, errors {:?}, {:.1?}",
            found.alpha,
            found.best,
            found.losses.len(),
            found.improvement,
            found.population.errors,
            began.elapsed()
        );
        found
    }
}

fn refused(options: TrainOptions, case: &Case) -> String {
    let begun = Training::new(
        &case.problem,
        &case.network(),
        case.start.clone(),
        options,
        None,
    );
    begun.err().unwrap().to_string()
}

/// Growth that slows where the mechanism says that it does not: the missing rate is found, and
/// forecasts of new patients are nearly those of the true model.
#[test]
fn a_hidden_term_is_recovered() {
    let case = Case::of(&data(0..PATIENTS, SEED, CROWDING));
    let found = case.train(short());
    assert!(found.alpha > 0.0 && found.improvement.is_clear());
    // the error that was put in, which the mechanism alone would make several times as large
    let residual = found.population.errors[0][2];
    assert!((residual / ERROR - 1.0).abs() < 0.1, "{residual}");
    let (r_squared, _) = rates(&case.model, &found.weights, CROWDING);
    let test = data(PATIENTS..PATIENTS + 60, SEED, CROWDING);
    let names: Vec<&str> = case.names.iter().map(String::as_str).collect();
    let corrected = forecast(&case.model, &found.population, &names, &test);
    let [truth, mechanism] = [TRUTH, MECHANISM].map(|text| {
        let model = parse(text);
        let (_, population) = Space::new(&model, &[]).unwrap();
        forecast(&model, &population, &[], &test)
    });
    println!(
        "R2 {r_squared:.4}; forecasts {corrected:.4}, true {truth:.4}, mechanism {mechanism:.4}"
    );
    assert!(r_squared >= 0.9, "{r_squared}");
    assert!(corrected <= 1.3 * truth, "{corrected} for {truth}");
    assert!(corrected <= 0.2 * mechanism, "{corrected} for {mechanism}");

    // the file of these weights is the model that was trained
    let correction = case.model.correction.as_ref().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.csv");
    std::fs::write(&file, correction.weights_csv(&found.weights)).unwrap();
    let named = CORRECTED.replace("[correction]", "[correction]\nweights = \"weights.csv\"");
    let read = Model::parse("test.toml", &named, Some(folder.path())).unwrap();
    let read = read.correction.unwrap();
    assert_eq!(read.values, found.weights);
    assert!(!read.is_off());
}

/// The other optimiser comes to as good a likelihood.
#[test]
fn both_optimisers_find_the_term() {
    let case = Case::of(&data(0..60, SEED, CROWDING));
    let [adam, lbfgs] = [Optimiser::Adam, Optimiser::Lbfgs].map(|optimiser| {
        let epochs = match optimiser {
            Optimiser::Adam => 25,
            Optimiser::Lbfgs => 10,
        };
        case.train(TrainOptions {
            optimiser,
            epochs,
            ..TrainOptions::default()
        })
    });
    let gain = |found: &Trained| found.losses[0].held_out - found.losses[found.best].held_out;
    assert!(adam.alpha > 0.0 && lbfgs.alpha > 0.0);
    assert!(gain(&adam) > 10.0, "{}", gain(&adam));
    let share = gain(&lbfgs) / gain(&adam);
    assert!(share > 0.9, "{share}");
}

/// Data of the mechanism itself: nothing is made up.
#[test]
fn a_correction_that_is_not_needed_is_switched_off() {
    let case = Case::of(&data(0..PATIENTS, SEED, 0.0));
    let found = case.train(short());
    let (_, share) = rates(&case.model, &found.weights, 0.0);
    println!("largest share of the rate {share}");
    assert!(found.alpha == 0.0 || share < 0.01, "{share}");
    if found.alpha == 0.0 {
        let names = case.names.iter().zip(&found.weights);
        let output =
            names.filter(|(name, _)| name.starts_with("nn_w2") || name.starts_with("nn_b2"));
        let output: Vec<u64> = output.map(|(_, w)| w.to_bits()).collect();
        assert_eq!(output, [0; 9]);
    }
    // a rule that takes any gain would need luck; one that cannot be met takes none
    let improvement = found.improvement;
    assert_eq!(improvement.patients, 18);
    assert!((improvement.least - 0.13).abs() < 1e-12);
}

/// A run that was stopped and taken up again gives the bits of one that was not.
#[test]
fn resumed_training_is_the_same_training() {
    let case = Case::of(&data(0..40, SEED, CROWDING));
    let options = TrainOptions {
        epochs: 4,
        steps: 4,
        seed: 5,
        ..TrainOptions::default()
    };
    let network = case.network();
    let run = |resume, most: usize| {
        let mut kept = None;
        let result = train(
            &case.problem,
            &network,
            case.start.clone(),
            options,
            resume,
            |state| {
                kept = Some(state.clone());
                state.losses.len() < most
            },
        );
        (result, kept.unwrap())
    };
    let (whole, _) = run(None, usize::MAX);
    let (stopped, state) = run(None, 2);
    assert!(matches!(
        stopped,
        Err(TwinError::Interrupted {
            done: 2,
            total: 4,
            ..
        })
    ));
    let text = serde_json::to_string(&state).unwrap();
    let (rest, _) = run(Some(serde_json::from_str(&text).unwrap()), usize::MAX);
    let whole = whole.unwrap();
    assert_eq!(whole, rest.unwrap());
    let rising = whole.losses.windows(2).all(|w| w[1].train < w[0].train);
    assert!(rising, "{:?}", whole.losses);
    assert_eq!(whole.losses.len(), 5);

    // another seed holds out others, and a state of other options is refused
    let other = TrainOptions { seed: 6, ..options };
    let start = case.start.clone();
    let refused = Training::new(&case.problem, &network, start, other, Some(state));
    assert!(refused.err().unwrap().to_string().contains("checkpoint"));
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let case = Case::of(&data(0..20, SEED, CROWDING));
    let d = TrainOptions::default();
    let few = refused(d, &case);
    assert!(
        few.contains("20 patients") && few.contains("5 each"),
        "{few}"
    );
    let bad = [
        (TrainOptions { epochs: 0, ..d }, "epochs"),
        (
            TrainOptions {
                learning_rate: f64::NAN,
                ..d
            },
            "learning rate",
        ),
        (TrainOptions { ridge: -1.0, ..d }, "ridge"),
        (TrainOptions { held_out: 1.0, ..d }, "held-out"),
        (
            TrainOptions {
                least_gain: -0.1,
                ..d
            },
            "least gain",
        ),
    ];
    for (options, word) in bad {
        let said = refused(options, &case);
        assert!(said.contains(word), "{said}");
    }
    let (problem, start) = problem(&case.model, data(0..40, SEED, 0.0).as_bytes(), &[]);
    let missing = Training::new(&problem, &case.network(), start, d, None);
    assert!(matches!(missing.err(), Some(TwinError::Slot { name, .. }) if name == "nn_w1_1_1"));
}
