//! Patients drawn on the device against the f64 sampler of the host, which uses the same random
//! numbers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use common::{device, fresh_seed, library, shipped};
use posology_cohort::device_plan::Around;
use posology_cohort::population_file::{How, Population};
use posology_cohort::{Cohort, Sampler};
use posology_kernels::sample::launch::{self, Who};
use posology_model::Model;
use posology_sim::sample::{self, Request};

/// f32 rounding of a value, through the few operations that make it: relative to the value or, for
/// what may be near zero, to the spread of the column.
const ROUNDING: f64 = 4e-6;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn populations() -> Vec<Population> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(configs().join("populations"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| Population::load(path).unwrap_or_else(|found| panic!("{found}")))
        .collect()
}

fn spread(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// Largest difference in units of the larger of value and spread, and the patients beyond
/// [`ROUNDING`].
fn compare(found: &[f64], expected: &[f64], beyond: &mut Vec<usize>) -> f64 {
    assert_eq!(found.len(), expected.len());
    let spread = spread(expected);
    let mut worst = 0.0f64;
    for (p, (a, b)) in found.iter().zip(expected).enumerate() {
        let error = (a - b).abs() / b.abs().max(spread).max(f64::MIN_POSITIVE);
        assert!(a.is_finite(), "patient {p}: {a}");
        if error <= ROUNDING {
            worst = worst.max(error);
        } else {
            beyond.push(p);
        }
    }
    worst
}

/// Another category, or another draw because a bound was within rounding: one in a million draws is
/// expected to have its rank that near to a boundary, of which a patient passes some ten.
fn few(beyond: &mut Vec<usize>, n: usize, what: &str) {
    beyond.sort_unstable();
    beyond.dedup();
    let allowed = 2 + n / 20_000;
    assert!(beyond.len() <= allowed, "{what}: {beyond:?}");
}

#[test]
fn every_population_is_the_hosts_up_to_rounding() {
    let seed = fresh_seed("patients");
    for population in populations() {
        // patients who are rows of a table end with it
        let (n, first) = match population.data_rows() {
            Some(rows) if !population.resamples() => (rows, 0),
            _ => (20_000, 77),
        };
        let expected = population.covariates(n, seed, first).unwrap();
        let found = sample::covariates(device(), &population, n, seed, first).unwrap();
        assert!(found.on_host.is_empty(), "{:?}", found.on_host);
        let found = found.drawn;
        assert_eq!(found.ids, expected.ids);
        let mut beyond = Vec::new();
        let mut worst = (0.0, "");
        for ((covariate, a), b) in population
            .covariates
            .iter()
            .zip(&found.columns)
            .zip(&expected.columns)
        {
            assert_eq!(a.name, b.name);
            let error = compare(&a.values, &b.values, &mut beyond);
            if error > worst.0 {
                worst = (error, &covariate.name);
            }
            let (low, high) = covariate
                .bounds
                .unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            assert!(
                a.values.iter().all(|v| *v >= low && *v <= high),
                "{}",
                a.name
            );
            if matches!(&covariate.how, How::Drawn(d) if d.is_categorical()) {
                // categories keep all their digits
                let levels = population.shares(population.covariate_index(&a.name).unwrap());
                let levels = levels.unwrap();
                assert!(a.values.iter().all(|v| levels.iter().any(|(l, _)| l == v)));
            }
        }
        println!(
            "{}: worst {:.1e} ({}), {} patients beyond rounding, redraws {} and {}",
            population.name,
            worst.0,
            worst.1,
            beyond.len(),
            found.redraws,
            expected.redraws
        );
        few(&mut beyond, n, &population.name);
    }
}

#[test]
fn every_model_is_the_hosts_up_to_rounding() {
    let seed = fresh_seed("patients");
    let n = 5000;
    for model in library() {
        let samplers = [Sampler::new(&model).unwrap()];
        let request = Request {
            population: None,
            samplers: &samplers,
            around: None,
            n,
            seed,
            first_id: 5,
        };
        let found = sample::sample(device(), &request).unwrap();
        assert!(
            found.on_host.is_empty(),
            "{}: {:?}",
            model.name,
            found.on_host
        );
        let found = found.drawn.cohort;
        let expected = Cohort::sample(&model, n, seed, 5).unwrap();
        assert_eq!(found.ids, expected.ids);
        let mut beyond = Vec::new();
        let mut worst = 0.0f64;
        for (slot, (a, b)) in found.slots.iter().zip(&expected.slots).enumerate() {
            worst = worst.max(compare(a, b, &mut beyond));
            let bounds = model.parameters.get(slot).and_then(|p| p.bounds);
            if let (Some((low, high)), true) = (bounds, a[0] != a[1]) {
                assert!(
                    a.iter().all(|v| *v >= low && *v <= high),
                    "{}",
                    model.slot_name(slot)
                );
            }
        }
        println!(
            "{}: worst {worst:.1e}, {} patients beyond rounding",
            model.name,
            beyond.len()
        );
        few(&mut beyond, n, &model.name);
    }
}

/// Pairs of the shipped trials, and what each model may be drawn with.
fn pairs() -> Vec<(Population, Model)> {
    let models = library();
    let mut out = Vec::new();
    let enough =
        |population: &Population| population.data_rows().is_none() || population.resamples();
    for population in populations().into_iter().filter(enough) {
        for model in &models {
            let coverage = population.coverage(model);
            if coverage.is_ok_and(|coverage| !coverage.given.is_empty()) {
                out.push((population.clone(), model.clone()));
            }
        }
    }
    assert!(out.len() > 3);
    out
}

#[test]
fn a_patient_is_the_same_in_every_batch_and_on_the_device_alone() {
    let seed = fresh_seed("patients");
    for (k, (population, model)) in pairs().into_iter().enumerate() {
        let samplers = [Sampler::new(&model).unwrap()];
        let draw = |n: usize, first_id: u32| {
            let request = Request {
                population: Some(&population),
                samplers: &samplers,
                around: None,
                n,
                seed,
                first_id,
            };
            sample::sample(device(), &request).unwrap().drawn
        };
        let whole = draw(700, 40);
        for (n, first) in [(1, 40 + 13), (64, 41), (333, 300)] {
            let part = draw(n, first);
            let at = (first - 40) as usize;
            for (a, b) in part.cohort.slots.iter().zip(&whole.cohort.slots) {
                assert_eq!(a[..], b[at..at + n], "{} {}", population.name, model.name);
            }
            for (a, b) in part.extra.iter().zip(&whole.extra) {
                assert_eq!(a.values[..], b.values[at..at + n]);
            }
        }
        if k % 4 > 0 {
            continue;
        }
        // the same patient, left on the device for another kernel
        let plan = Arc::new(samplers[0].plan().unwrap());
        let covariates = Arc::new(population.plan().unwrap());
        let centres = samplers[0].centres(&plan).unwrap();
        let plan = population.patient_plan(&model, covariates, plan).unwrap();
        let who = Who {
            first: 40,
            n: 700,
            seed,
        };
        let table = population.table();
        let resident = launch::patients(device(), &Arc::new(plan), &centres, &table, who).unwrap();
        assert!(resident.failed.is_empty());
        let bytes = device().client.read_one(resident.slots).unwrap();
        let found: &[f32] = bytemuck::cast_slice(&bytes);
        let mut beyond = Vec::new();
        for (slot, expected) in whole.cohort.slots.iter().enumerate() {
            let found: Vec<f64> = found[slot * 700..(slot + 1) * 700]
                .iter()
                .map(|v| f64::from(*v))
                .collect();
            compare(&found, expected, &mut beyond);
        }
        few(&mut beyond, 700, &model.name);
    }
}

/// Groups with typical values of their own are what each group is alone.
#[test]
fn replicates_are_drawn_together() {
    let seed = fresh_seed("patients");
    let model = shipped("docetaxel-neutropenia");
    let path = configs().join("populations/metastatic-breast.toml");
    let population = Population::load(&path).unwrap();
    let uncertainty = population.uncertainty(&model).unwrap().unwrap();
    let samplers: Vec<Sampler<'_>> = (0..5)
        .map(|r| {
            let typical = uncertainty.replicate(seed, r).unwrap();
            Sampler::new(&model).unwrap().with_typical(&typical)
        })
        .collect();
    let request = Request {
        population: Some(&population),
        samplers: &samplers,
        around: None,
        n: 300,
        seed,
        first_id: 600,
    };
    let all = sample::sample(device(), &request).unwrap().drawn.cohort;
    assert_eq!(all.len(), 1500);
    for (r, sampler) in samplers.iter().enumerate() {
        let one = Request {
            samplers: std::slice::from_ref(sampler),
            first_id: 600 + 300 * r as u32,
            ..request.clone()
        };
        let one = sample::sample(device(), &one).unwrap().drawn.cohort;
        for (a, b) in one.slots.iter().zip(&all.slots) {
            assert_eq!(a[..], b[300 * r..300 * (r + 1)]);
        }
    }
}

/// Every kind of distribution, bound, formula, table and refusal, in one file.
const EVERYTHING: &str = r#"
name = "everything"
title = "Everything"
[sources]
a = "a test"
[data]
file = "rows.csv"
resample = true
[covariates]
KIND = { unit = "1", categories = { low = 0.2, middle = 0.3, high = 0.5 }, source = "a" }
A = { unit = "1", normal = { mean = 1, sd = 2 }, bounds = [2.5, 9], source = "a" }
B = { unit = "h", exponential = { mean = 4 }, source = "a" }
C = { unit = "h", exponential = { mean = 4 }, bounds = [3, 30], source = "a" }
D = { unit = "mL", uniform = { low = -1, high = 3 }, source = "a" }
E = { unit = "mL", uniform = { low = -1, high = 3 }, bounds = [0, 1], source = "a" }
F = { unit = "kg", by = "KIND", when.low.normal = { mean = 60, sd = 10 }, when.middle.lognormal = { median = 70, cv = 0.2 }, when.high.normal = { mean = 80.3, sd = 5 }, bounds = [30, 110], source = "a" }
G = { unit = "1", by = "KIND", when.low.bernoulli = 0.3, when.middle.bernoulli = 0.9, when.high.fixed = 0, source = "a" }
WEIGHT = { unit = "kg", column = "WEIGHT", source = "a" }
SUM = { unit = "kg", expr = "F + WEIGHT", bounds = [110, 190] }
RATE = { unit = "mL/h", expr = "if(A > 4, 2, exp(-A/3)) * D / (B + C)" }
[[correlations]]
between = ["A", "B"]
value = 0.7
source = "a"
[[correlations]]
between = ["B", "D"]
value = -0.4
source = "a"
"#;

#[test]
fn every_distribution_is_the_hosts() {
    let seed = fresh_seed("patients");
    let folder = std::env::temp_dir().join(format!("posology-sample-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rows: String = (0..97)
        .map(|i| format!("{}\n", 50.1 + 0.37 * f64::from(i)))
        .collect();
    std::fs::write(folder.join("rows.csv"), format!("WEIGHT\n{rows}")).unwrap();
    let population = Population::parse("everything.toml", EVERYTHING, Some(&folder))
        .unwrap_or_else(|found| panic!("{found}"));
    std::fs::remove_dir_all(&folder).unwrap();
    let n = 60_000;
    let expected = population.covariates(n, seed, 3).unwrap();
    let found = sample::covariates(device(), &population, n, seed, 3).unwrap();
    assert!(found.on_host.is_empty(), "{:?}", found.on_host);
    let found = found.drawn;
    assert!(found.redraws > 1000, "{}", found.redraws);
    let mut beyond = Vec::new();
    for ((a, b), covariate) in found
        .columns
        .iter()
        .zip(&expected.columns)
        .zip(&population.covariates)
    {
        let worst = compare(&a.values, &b.values, &mut beyond);
        println!("{}: {worst:.1e}, {} beyond", a.name, beyond.len());
        if let Some((low, high)) = covariate.bounds {
            assert!(
                a.values.iter().all(|v| *v >= low && *v <= high),
                "{}",
                a.name
            );
        }
    }
    // data are the file's numbers
    let same = found.columns[8]
        .values
        .iter()
        .zip(&expected.columns[8].values);
    assert!(same.filter(|(a, b)| a == b).count() + 5 > n);
    few(&mut beyond, n, "everything");
}

#[test]
fn what_cannot_be_drawn_says_so_as_the_host_does() {
    let text = "name = \"x\"\ntitle = \"x\"\n[sources]\na = \"a\"\n[covariates]\n\
        HT = { unit = \"m\", normal = { mean = 1.7, sd = 0.1 }, source = \"a\" }\n\
        TALL = { unit = \"m\", expr = \"HT\", bounds = [9, 10] }\n";
    let population = Population::parse("x.toml", text, None).unwrap();
    let host = population.covariates(3, 1, 0).unwrap_err();
    let found = sample::covariates(device(), &population, 3, 1, 0).unwrap_err();
    assert_eq!(found.to_string(), host.to_string());
    // more patients than ids
    let host = population.covariates(2, 1, u32::MAX).unwrap_err();
    let found = sample::covariates(device(), &population, 2, 1, u32::MAX).unwrap_err();
    assert_eq!(found.to_string(), host.to_string());
    // numbers that f32 cannot hold are drawn on the host, everyone
    let text = text.replace("mean = 1.7, sd = 0.1", "mean = 1.7e-200, sd = 1e-201");
    let text = text.replace("bounds = [9, 10]", "bounds = [0, 10]");
    let population = Population::parse("x.toml", &text, None).unwrap();
    let found = sample::covariates(device(), &population, 100, 1, 0).unwrap();
    println!("{}", found.on_host[0]);
    assert!(found.on_host[0].to_string().contains("`HT`"));
    assert_eq!(found.drawn, population.covariates(100, 1, 0).unwrap());
}

/// `cargo test --release --workspace --test sample -- --ignored --nocapture patients_per_second`
#[test]
#[ignore = "a measurement"]
fn patients_per_second() {
    let model = shipped("docetaxel-neutropenia");
    let samplers = [Sampler::new(&model).unwrap()];
    let n = 500_000;
    for name in ["metastatic-breast", "reference-adults"] {
        let path = configs().join(format!("populations/{name}.toml"));
        let population = Population::load(&path).unwrap();
        let request = Request {
            population: Some(&population),
            samplers: &samplers,
            around: None,
            n,
            seed: 1,
            first_id: 0,
        };
        for round in 0..3 {
            let clock = Instant::now();
            sample::sample(device(), &request).unwrap();
            let on_device = n as f64 / clock.elapsed().as_secs_f64();
            let clock = Instant::now();
            population.sample(&model, n, 1, 0).unwrap();
            let on_host = n as f64 / clock.elapsed().as_secs_f64();
            println!(
                "{name}, round {round}: device {on_device:.3e}, host {on_host:.3e} patients/s"
            );
        }
    }
}

/// Parameters from a table, some missing, and log-normal values around individuals.
#[test]
fn parameters_of_data_and_around_individuals() {
    let seed = fresh_seed("patients");
    let model = shipped("docetaxel-neutropenia");
    let names: Vec<&str> = model.parameters.iter().map(|p| p.name.as_str()).collect();
    let folder = std::env::temp_dir().join(format!("posology-around-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let typical = model.parameters[0].value / model.units.scale(&model.parameters[0].unit);
    let rows: String = (0..40)
        .map(|i| match i % 5 {
            0 => ".,60\n".to_owned(),
            _ => format!("{},{}\n", typical * (1.0 + 0.01 * f64::from(i)), 50 + i),
        })
        .collect();
    std::fs::write(folder.join("rows.csv"), format!("P,WEIGHT\n{rows}")).unwrap();
    let text = format!(
        "name = \"x\"\ntitle = \"x\"\n[sources]\na = \"a\"\n[data]\nfile = \"rows.csv\"\n\
         resample = true\n[covariates]\nWEIGHT = {{ unit = \"kg\", column = \"WEIGHT\", source = \"a\" }}\n\
         [parameters]\n{} = {{ column = \"P\", missing = \"reference\" }}\n",
        names[0]
    );
    let population =
        Population::parse("x.toml", &text, Some(&folder)).unwrap_or_else(|found| panic!("{found}"));
    std::fs::remove_dir_all(&folder).unwrap();
    let around = Around {
        slots: vec![1, 2],
        mean: vec![
            model.parameters[1].value.ln(),
            model.parameters[2].value.ln(),
        ],
        root: vec![vec![0.2, 0.0], vec![0.1, 0.3]],
    };
    let samplers = [Sampler::new(&model).unwrap()];
    let request = Request {
        population: Some(&population),
        samplers: &samplers,
        around: Some(&around),
        n: 3000,
        seed,
        first_id: 9,
    };
    let found = sample::sample(device(), &request).unwrap();
    assert!(found.on_host.is_empty(), "{:?}", found.on_host);
    let mut expected = population.sample(&model, 3000, seed, 9).unwrap().cohort;
    let plain = expected.clone();
    around.draw(&model, seed, &mut expected).unwrap();
    assert_ne!(plain.slots[1], expected.slots[1]);
    // data keep their digits, missing ones are typical
    assert_eq!(found.drawn.cohort.slots[0], expected.slots[0]);
    let mut beyond = Vec::new();
    for (a, b) in found.drawn.cohort.slots.iter().zip(&expected.slots) {
        compare(a, b, &mut beyond);
    }
    few(&mut beyond, 3000, "around");
    // the same on the device alone
    let mut plan = samplers[0].plan().unwrap();
    let mut centres = samplers[0].centres(&plan).unwrap();
    around.extend(&model, &mut plan, &mut centres).unwrap();
    let covariates = Arc::new(population.plan().unwrap());
    let plan = population
        .patient_plan(&model, covariates, Arc::new(plan))
        .unwrap();
    let who = Who {
        first: 9,
        n: 3000,
        seed,
    };
    let table = population.table();
    let resident = launch::patients(device(), &Arc::new(plan), &centres, &table, who).unwrap();
    let bytes = device().client.read_one(resident.slots).unwrap();
    let slots: &[f32] = bytemuck::cast_slice(&bytes);
    for (slot, expected) in expected.slots.iter().enumerate() {
        let found: Vec<f64> = slots[slot * 3000..(slot + 1) * 3000]
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        compare(&found, expected, &mut beyond);
    }
    few(&mut beyond, 3000, "around");
}
