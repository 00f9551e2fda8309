//! Populations: shipped ones against their own statements, the machinery against closed forms.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use posology_cohort::population_file::anatomy::Reference;
use posology_cohort::population_file::equations::{Sex, ckd_epi_2009, fat_free_mass};
use posology_cohort::population_file::{Population, correlation_matrix};
use posology_cohort::{Cohort, Sampler};
use posology_model::model::Model;
use serde_json::Value;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn shipped() -> Vec<(String, PathBuf)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(configs().join("populations")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            out.push((
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                path,
            ));
        }
    }
    assert!(out.len() >= 4);
    out
}

fn load(path: &Path) -> Population {
    Population::load(path).unwrap_or_else(|found| panic!("{}", found.render(false)))
}

fn parse(text: &str) -> Population {
    let dir = configs().join("populations");
    let text = format!("name = \"test\"\n[sources]\nx = \"made up for this test\"\n{text}");
    Population::parse("test.toml", &text, Some(&dir))
        .unwrap_or_else(|found| panic!("{}\n{text}", found.render(false)))
}

fn model(name: &str) -> Model {
    let path = configs().join(format!("models/{name}.toml"));
    Model::load(&path).unwrap_or_else(|found| panic!("{}", found.render(false)))
}

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/population.json")).unwrap()
}

fn close(value: f64, expected: &Value, relative: f64, what: &str) {
    let expected = expected.as_f64().unwrap();
    let error = (value - expected).abs() / expected.abs().max(1e-300);
    assert!(error <= relative, "{what}: {value} against {expected}");
}

/// The figure of the specification: N = 100,000, mean within 1 %, SD within 3 %; organ masses sum
/// to body weight and flows to cardiac output within 1e-9.
#[test]
fn shipped_populations_have_the_marginals_they_state() {
    for (name, path) in shipped() {
        let population = load(&path);
        assert_eq!(population.name, name);
        assert!(population.warnings.is_empty(), "{}", population.warnings);
        if population.data_rows().is_some() && !population.resamples() {
            // real patients, not distributions
            continue;
        }
        let drawn = population.covariates(100_000, 7, 0).unwrap();
        let check = population.check(&drawn);
        let mut compared = 0;
        for one in &check.covariates {
            assert!(!one.source.is_empty(), "{name}: {} has no source", one.name);
            if let (Some(mean), Some(sd)) = (one.mean_error, one.sd_error) {
                assert!(mean < 0.01, "{name}: mean of {} is off by {mean}", one.name);
                assert!(sd < 0.03, "{name}: SD of {} is off by {sd}", one.name);
                compared += 1;
            }
        }
        assert!(compared >= 4, "{name}");
        for (what, error) in [("mass", check.mass_error), ("flow", check.flow_error)] {
            if let Some(error) = error {
                assert!(error < 1e-9, "{name}: {what} {error}");
            }
        }
        assert!(check.redrawn < 0.01);
    }
}

/// Each population serves the models it is for: names and units agree.
#[test]
fn shipped_populations_fit_their_models() {
    let cases: [(&str, &str, &[&str]); 7] = [
        ("mcrpc", "lu177-psma-siebinga", &["CRCL", "TUM_VOL"]),
        ("mcrpc", "abiraterone-psa", &["psa0"]),
        (
            "metastatic-breast",
            "bruno-tgi",
            &["SLD0", "ECOG", "multisite", "NO16853", "BSA"],
        ),
        (
            "metastatic-breast",
            "docetaxel-neutropenia",
            &["BSA", "female", "ecog1", "prior", "AAG"],
        ),
        (
            "metastatic-breast",
            "paclitaxel-neutropenia",
            &["BSA", "BILI", "BILI0"],
        ),
        ("metastatic-breast", "carboplatin", &["GFR", "BSA"]),
        (
            "liposome-solid-tumour",
            "liposomal-doxorubicin",
            &["BSA", "TUM_VOL"],
        ),
    ];
    for (population, of, covariates) in cases {
        let population = load(&configs().join(format!("populations/{population}.toml")));
        let model = model(of);
        let coverage = population.coverage(&model).unwrap();
        for name in covariates {
            assert!(
                coverage.given.iter().any(|given| given == name),
                "{of}: {name}"
            );
        }
        let drawn = population.sample(&model, 300, 3, 0).unwrap();
        assert!(drawn.cohort.slots.iter().flatten().all(|v| v.is_finite()));
        // the same individual parameters as without a population
        let plain = Cohort::sample(&model, 300, 3, 0).unwrap();
        let parameters = model.parameters.len();
        assert_eq!(drawn.cohort.slots[..parameters], plain.slots[..parameters]);
        for name in covariates {
            let slot = model.slot_index(name).unwrap();
            let covariate = &population.covariates[population.covariate_index(name).unwrap()];
            let all = population.covariates(300, 3, 0).unwrap();
            let column = all.columns.iter().find(|c| c.name == *name).unwrap();
            let scale = model.units.scale(&covariate.unit);
            for (a, b) in drawn.cohort.slots[slot].iter().zip(&column.values) {
                assert_eq!(*a, b * scale);
            }
        }
    }
}

#[test]
fn what_a_population_lacks_is_listed() {
    let population = load(&configs().join("populations/mcrpc.toml"));
    let drawn = population
        .sample(&model("abiraterone-psa"), 10, 1, 0)
        .unwrap();
    let names: Vec<&str> = drawn
        .coverage
        .reference
        .iter()
        .map(|(name, ..)| name.as_str())
        .collect();
    assert_eq!(names, ["abi_on"]);
    assert!(drawn.coverage.note().unwrap().ends_with("abi_on = 1"));
    let weight = drawn
        .extra
        .iter()
        .find(|column| column.name == "WT")
        .unwrap();
    assert_eq!((weight.values.len(), weight.unit.text()), (10, "kg"));
}

#[test]
fn uncertainty_draws_replicates() {
    let population = load(&configs().join("populations/metastatic-breast.toml"));
    let model = model("docetaxel-neutropenia");
    let uncertainty = population.uncertainty(&model).unwrap().unwrap();
    let slot = model.slot_index("slope").unwrap();
    let centre = model.parameters[slot].value;
    let n = 20_000;
    let logs: Vec<f64> = (0..n)
        .map(|r| (uncertainty.replicate(5, r).unwrap()[slot] / centre).ln())
        .collect();
    let mean = logs.iter().sum::<f64>() / f64::from(n);
    let sd = (logs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n - 1)).sqrt();
    // rse 0.10, so the logarithm has SD sqrt(ln 1.01); five standard errors
    let expected = 1.01f64.ln().sqrt();
    assert!(mean.abs() < 5.0 * expected / f64::from(n).sqrt());
    assert!((sd / expected - 1.0).abs() < 5.0 / f64::from(2 * n).sqrt());
    // the sampler turns around the replicate's values
    let typical = uncertainty.replicate(5, 3).unwrap();
    let sampler = Sampler::new(&model).unwrap();
    let (plain, moved) = (
        sampler.individual(5, 9).unwrap(),
        sampler
            .clone()
            .with_typical(&typical)
            .individual(5, 9)
            .unwrap(),
    );
    let ratio = moved[slot] / plain[slot];
    assert!((ratio - typical[slot] / centre).abs() < 1e-12);
    assert!(
        population
            .uncertainty(&self::model("carboplatin"))
            .unwrap()
            .is_none()
    );
}

/// Standard errors that are correlated, of a parameter that may be negative, and such that bounds
/// cannot hold.
#[test]
fn uncertainty_keeps_correlations_and_bounds() {
    let model = |bounds: &str| {
        let text = format!(
            "name = \"m\"\ntitle = \"m\"\ntime = \"h\"\ndt = \"1 h\"\n[sources]\nx = \"made up for this test\"\n[parameters]\n\
             CL = {{ value = 5, unit = \"L/h\", source = \"x\"{bounds} }}\n\
             V = {{ value = 20, unit = \"L\", source = \"x\" }}\n\
             E = {{ value = -2, unit = \"1\", source = \"x\" }}\n\
             [states.s]\nunit = \"mg\"\nrate = \"CL/V*E*s\"\n[observables.y]\nexpr = \"s\"\nunit = \"mg\"\n"
        );
        Model::parse("m.toml", &text, None).unwrap_or_else(|found| panic!("{found}"))
    };
    let population = parse(
        "[covariates]\nA = { unit = \"1\", fixed = 1, source = \"x\" }\n\
         [uncertainty.m.parameters]\nCL = { rse = 0.2, source = \"x\" }\nV = { rse = 0.1, source = \"x\" }\nE = { rse = 0.5, source = \"x\" }\n\
         [[uncertainty.m.correlations]]\nbetween = [\"CL\", \"V\"]\nvalue = 0.7\nsource = \"x\"\n",
    );
    let free = model("");
    let uncertainty = population.uncertainty(&free).unwrap().unwrap();
    let n = 20_000;
    let draws: Vec<Vec<f64>> = (0..n)
        .map(|r| uncertainty.replicate(1, r).unwrap())
        .collect();
    let column = |slot: usize, log: bool| -> Vec<f64> {
        let value = |row: &Vec<f64>| if log { row[slot].ln() } else { row[slot] };
        draws.iter().map(value).collect()
    };
    let (cl, v, e) = (column(0, true), column(1, true), column(2, false));
    let matrix = correlation_matrix(&[&cl, &v, &e]);
    let error = 5.0 / f64::from(n).sqrt();
    assert!((matrix[0][1] - 0.7).abs() < error && matrix[0][2].abs() < error);
    let mean = e.iter().sum::<f64>() / f64::from(n);
    let sd = (e.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n)).sqrt();
    assert!((mean + 2.0).abs() < error && (sd - 1.0).abs() < error);
    let bounded = model(", bounds = [4.9, 5.1]");
    let uncertainty = population.uncertainty(&bounded).unwrap().unwrap();
    for replicate in 0..200 {
        let value = uncertainty.replicate(1, replicate).unwrap()[0];
        assert!((4.9..=5.1).contains(&value));
    }
    let hopeless = model(", bounds = [4.99999, 5.00001]");
    let uncertainty = population.uncertainty(&hopeless).unwrap().unwrap();
    let refused = (0..50).filter_map(|r| uncertainty.replicate(1, r).err());
    assert!(refused.into_iter().any(|finding| finding.code == "D161"));
}

#[test]
fn physiology_agrees_with_the_second_implementation() {
    let golden = golden();
    for case in golden["ckd_epi"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let sex = Sex::of(number("female")).unwrap();
        let gfr = ckd_epi_2009(number("creatinine"), number("age"), sex);
        close(gfr, &case["gfr"], 1e-12, "gfr");
    }
    let reference = Reference::load(&configs().join("populations/data/icrp89.csv")).unwrap();
    let organ = |name: &str| {
        let organs = &reference.organs;
        organs.iter().position(|organ| organ.name == name).unwrap()
    };
    for case in golden["anatomy"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let sex = Sex::of(number("female")).unwrap();
        let (height, weight) = (number("height"), number("weight"));
        let person = reference.anatomy(sex, height, weight).unwrap();
        close(
            fat_free_mass(height, weight, sex),
            &case["ffm"],
            1e-12,
            "ffm",
        );
        for name in ["adipose", "skin", "brain", "liver", "kidneys"] {
            close(person.masses[organ(name)], &case[name], 1e-12, name);
        }
        close(person.cardiac_output, &case["cardiac_output"], 1e-12, "co");
        close(
            person.flows[organ("liver")],
            &case["liver_flow"],
            1e-12,
            "liver flow",
        );
        assert!((person.sum_of_masses(&reference) / weight - 1.0).abs() < 1e-12);
        assert!((person.sum_of_flows(&reference) / person.cardiac_output - 1.0).abs() < 1e-12);
    }
    // the reference man and woman are themselves
    for (sex, height, weight, rest) in [
        (Sex::Male, 1.76, 73.0, 4.598),
        (Sex::Female, 1.63, 60.0, 4.575),
    ] {
        let person = reference.anatomy(sex, height, weight).unwrap();
        for (organ, mass) in reference.organs.iter().zip(&person.masses) {
            let expected = organ.mass[sex as usize];
            assert!((mass - expected).abs() < 1e-12, "{}", organ.name);
        }
        assert!((person.rest - rest).abs() < 1e-9);
    }
    assert!(
        reference.anatomy(Sex::Male, 1.8, 35.0).is_none(),
        "no fat left"
    );
}

#[test]
fn truncated_moments_agree_with_scipy() {
    for case in golden()["truncated"].as_array().unwrap() {
        let spec = case["spec"].as_str().unwrap();
        let (low, high) = (
            case["low"].as_f64().unwrap(),
            case["high"].as_f64().unwrap(),
        );
        let population = parse(&format!(
            "[covariates]\nX = {{ unit = \"1\", {spec}, bounds = [{low:?}, {high:?}], source = \"x\" }}\n"
        ));
        let moments = population.moments(0).unwrap();
        close(moments.mean, &case["mean"], 1e-6, spec);
        close(moments.sd, &case["sd"], 1e-6, spec);
        close(moments.median.unwrap(), &case["median"], 1e-8, spec);
        let drawn = population.covariates(20_000, 11, 0).unwrap();
        let values = &drawn.columns[0].values;
        assert!(values.iter().all(|v| *v >= low - 1e-9 && *v <= high + 1e-9));
        assert_eq!(drawn.redraws, 0);
        let mean = values.iter().sum::<f64>() / 20_000.0;
        assert!(
            (mean - moments.mean).abs() < 5.0 * moments.sd / 20_000f64.sqrt(),
            "{spec}"
        );
    }
}

/// A Gaussian copula: Pearson correlation of the normals, Spearman's of anything monotone.
#[test]
fn correlations_are_those_declared() {
    let population = parse(
        "[covariates]\n\
         A = { unit = \"1\", normal = { mean = 0, sd = 2 }, source = \"x\" }\n\
         B = { unit = \"kg\", lognormal = { median = 70, sd_log = 0.4 }, source = \"x\" }\n\
         C = { unit = \"1\", exponential = { mean = 3 }, source = \"x\" }\n\
         D = { unit = \"1\", bernoulli = 0.3, source = \"x\" }\n\
         [[correlations]]\nbetween = [\"A\", \"B\"]\nvalue = 0.6\nsource = \"x\"\n\
         [[correlations]]\nbetween = [\"C\", \"A\"]\nspearman = -0.5\nsource = \"x\"\n\
         [[correlations]]\nbetween = [\"A\", \"D\"]\nvalue = 0.4\nsource = \"x\"\n",
    );
    let n = 100_000;
    let drawn = population.covariates(n, 2, 0).unwrap();
    let values = |i: usize| drawn.columns[i].values.as_slice();
    let logs: Vec<f64> = values(1).iter().map(|v| v.ln()).collect();
    let ranks = |values: &[f64]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let mut out = vec![0.0; values.len()];
        for (rank, &i) in order.iter().enumerate() {
            out[i] = rank as f64;
        }
        out
    };
    let (ra, rc) = (ranks(values(0)), ranks(values(2)));
    let matrix = correlation_matrix(&[values(0), &logs, &ra, &rc, values(3)]);
    let error = 5.0 / (n as f64).sqrt();
    assert!((matrix[0][1] - 0.6).abs() < error, "{}", matrix[0][1]);
    assert!((matrix[2][3] + 0.5).abs() < error, "{}", matrix[2][3]);
    // point-biserial: rho * density(threshold) / sqrt(p q), threshold = quantile(0.7) = 0.524401
    let biserial = 0.4 * 0.347_693 / (0.3f64 * 0.7).sqrt();
    assert!((matrix[0][4] - biserial).abs() < error, "{}", matrix[0][4]);
    let share = values(3).iter().sum::<f64>() / n as f64;
    assert!((share - 0.3).abs() < 5.0 * (0.21 / n as f64).sqrt());
}

#[test]
fn bounds_of_computed_covariates_are_met_by_drawing_again() {
    let population = parse(
        "[covariates]\n\
         H = { unit = \"m\", normal = { mean = 1.7, sd = 0.1 }, source = \"x\" }\n\
         W = { unit = \"kg\", expr = \"25[kg/m^2] * H^2\", bounds = [60, 80] }\n",
    );
    let drawn = population.covariates(5000, 4, 0).unwrap();
    assert!(
        drawn.columns[1]
            .values
            .iter()
            .all(|w| (60.0..=80.0).contains(w))
    );
    assert!(drawn.redraws > 500);
    for (h, w) in drawn.columns[0].values.iter().zip(&drawn.columns[1].values) {
        assert!((25.0 * h * h / w - 1.0).abs() < 1e-12);
    }
}

#[test]
fn mixtures_follow_their_covariate() {
    let population = parse(
        "[covariates]\n\
         site = { unit = \"1\", categories = { lung = 0.25, skin = 0.75 }, source = \"x\" }\n\
         female = { unit = \"1\", by = \"site\", when.lung.fixed = 0, when.skin.bernoulli = 0.5, source = \"x\" }\n\
         X = { unit = \"1\", by = \"female\", when.0.fixed = 10, when.1.uniform = { low = 20, high = 30 }, source = \"x\" }\n",
    );
    assert_eq!(
        population.covariates[0].labels,
        [("lung".to_owned(), 0.0), ("skin".to_owned(), 1.0)]
    );
    let mut shares = population.shares(1).unwrap();
    shares.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(shares, [(0.0, 0.625), (1.0, 0.375)]);
    let moments = population.moments(2).unwrap();
    assert!((moments.mean - (0.625 * 10.0 + 0.375 * 25.0)).abs() < 1e-6);
    let drawn = population.covariates(4000, 1, 0).unwrap();
    for i in 0..4000 {
        let row: Vec<f64> = drawn.columns.iter().map(|c| c.values[i]).collect();
        assert!(row[0] == 1.0 || row[1] == 0.0);
        assert!(if row[1] == 0.0 {
            row[2] == 10.0
        } else {
            row[2] >= 20.0
        });
    }
}
