//! How fast patients are drawn: `cargo test --release -p posology-cohort --test population_speed --
//! --ignored --nocapture`. Prints patients per second; asserts nothing about the machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::Instant;

use posology_cohort::Cohort;
use posology_cohort::population_file::Population;
use posology_model::model::Model;

#[test]
#[ignore = "a measurement"]
fn patients_per_second() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let model = Model::load(&configs.join("models/docetaxel-neutropenia.toml")).unwrap();
    let file = configs.join("populations/metastatic-breast.toml");
    let population = Population::load(&file).unwrap();
    let adults = Population::load(&configs.join("populations/reference-adults.toml")).unwrap();
    let n = 500_000;
    let measure = |what: &str, draw: &dyn Fn()| {
        let clock = Instant::now();
        draw();
        let rate = n as f64 / clock.elapsed().as_secs_f64();
        println!("{what}: {rate:.3e} patients/s");
    };
    for _ in 0..3 {
        measure("parameters of docetaxel-neutropenia", &|| {
            assert_eq!(Cohort::sample(&model, n, 1, 0).unwrap().len(), n);
        });
        measure("covariates of metastatic-breast", &|| {
            assert_eq!(population.covariates(n, 1, 0).unwrap().ids.len(), n);
        });
        measure("covariates and parameters", &|| {
            assert_eq!(population.sample(&model, n, 1, 0).unwrap().cohort.len(), n);
        });
        measure("anatomy of reference-adults", &|| {
            assert_eq!(adults.covariates(n, 1, 0).unwrap().ids.len(), n);
        });
    }
}
