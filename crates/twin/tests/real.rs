//! The models that were fitted to real patients here: their files hold what the fit gives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::{device, shipped};
use posology_cohort::Dataset;
use posology_cohort::nmtran::{Reading, Word};
use posology_twin::map::{self, MapOptions};
use posology_twin::population::{Saem, SaemOptions, fisher};
use posology_twin::problem::{Problem, observables};
use posology_twin::space::Space;

/// A fit that begins at the values of the file stays near them. `near`: largest change of the
/// logarithms of typical values, variances and errors (a short fit has not forgotten its start, and
/// chains of weakly known parameters wander: 32 men for seven random effects).
fn stays(model: &str, data: &str, words: &[&str], near: [f64; 3]) {
    let model = shipped(model);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../configs/data")
        .join(data);
    let dataset = Dataset::load(&path, &model).unwrap_or_else(|found| panic!("{found}"));
    let reading = Reading {
        words: words
            .iter()
            .map(|text| Word {
                text: (*text).to_owned(),
                below: None,
            })
            .collect(),
        lloq: None,
    };
    let observations = dataset
        .observations(&model, &reading)
        .unwrap_or_else(|found| panic!("{found}"));
    let replay = dataset
        .replay(&model, None)
        .unwrap_or_else(|found| panic!("{found}"));
    let (space, start) = Space::new(&model, &[]).unwrap();
    let problem = Problem::new(device(), &model, &replay, &observations, space, None).unwrap();
    let everyone: Vec<u32> = (0..problem.engine.subjects() as u32).collect();
    let options = SaemOptions {
        explore: 150,
        converge: 100,
        ..SaemOptions::default()
    };
    let groups = vec![everyone.clone()];
    let mut fit = Saem::new(&problem, groups, vec![start.clone()], options, None).unwrap();
    while !fit.done() {
        fit.iterate().unwrap();
    }
    let found = fit.state.populations[0].clone();
    let of = vec![0; everyone.len()];
    let search = MapOptions {
        starts: 1,
        ..MapOptions::default()
    };
    let populations = [found.clone()];
    let modes = map::estimate(&problem, &everyone, &populations, &of, &search).unwrap();
    let seen: Vec<u32> = everyone
        .into_iter()
        .filter(|&s| !problem.points[s as usize].is_empty())
        .collect();
    let modes: Vec<_> = seen.iter().map(|&s| modes[s as usize].clone()).collect();
    let names = observables(&model);
    let table = fisher::uncertainty(&problem, &seen, &found, &modes, &names).unwrap();
    let p = start.mu.len();
    for (k, estimate) in table.estimates.iter().enumerate() {
        let (low, high) = estimate.interval.unwrap();
        let entry = |k: usize| &problem.space.random[k];
        let file = if k < p {
            entry(k).scale.value(start.mu[k]) / entry(k).shown
        } else if k < 2 * p {
            start.omega[(k - p) * p + k - p]
        } else {
            start.errors[0].iter().copied().find(|&e| e > 0.0).unwrap()
        };
        println!(
            "{:16} {:10.5} ({low:.5} to {high:.5}), file {file:.5}",
            estimate.name, estimate.value
        );
        // what the data hardly know is not held to anything
        if estimate.rse.unwrap() > 50.0 {
            continue;
        }
        let apart = (estimate.value / file).ln().abs();
        let kind = if k < p { 0 } else { (k - p) / p + 1 };
        assert!(
            apart < near[kind.min(2)],
            "{}: {} for {file}",
            estimate.name,
            estimate.value
        );
    }
}

#[test]
fn tumour_size_holds_the_fit_to_the_lesions() {
    stays(
        "tumour-size",
        "tumour_size/lesions.csv",
        &["0", "TOO SMALL TO MEASURE", "NOT EVALUABLE"],
        [0.25, 0.5, 0.12],
    );
}

#[test]
fn psa_adaptation_holds_the_fit_to_the_trial() {
    stays(
        "psa-adaptation",
        "abiraterone/psa.csv",
        &[],
        [0.6, 1.6, 0.2],
    );
}

/// Effects of descriptors stay at the values of the file: they were estimated with the rest.
#[test]
fn nanoparticle_tumour_holds_the_fit_to_the_sets() {
    stays(
        "nanoparticle-tumour",
        "nano_tumour/courses.csv",
        &["0"],
        [0.6, 0.8, 0.12],
    );
}
