//! Population fits against exact maximum likelihood of an independent package, and against the
//! truth of simulated data.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{LINE, device, parse, problem};
use posology_cohort::philox::{standard_normal, stream};
use posology_twin::map::{self, MapOptions};
use posology_twin::population::{Saem, SaemOptions, fisher, marginal};
use posology_twin::problem::{Problem, observables};
use posology_twin::space::Population;

/// `scripts/golden/mixed.py`, statsmodels 0.15.0 (MixedLM, maximum likelihood).
mod statsmodels {
    pub const TYPICAL: [f64; 2] = [51.350908773845376, -0.8846750088399975];
    pub const SE: [f64; 2] = [0.6784894811778927, 0.060312864914273116];
    pub const VARIANCES: [f64; 2] = [33.471440869268505, 0.250402066809107];
    pub const SD: f64 = 2.421759408191981;
    pub const LOG_LIKELIHOOD: f64 = -1128.1646392276689;
    pub const FIRST: [f64; 2] = [48.32713708412899, -0.9561583992314089];
}

fn saem(problem: &Problem, start: Population, options: SaemOptions) -> Population {
    let everyone: Vec<u32> = (0..problem.engine.subjects() as u32).collect();
    let mut fit = Saem::new(problem, vec![everyone], vec![start], options, None).unwrap();
    while !fit.done() {
        fit.iterate().unwrap();
    }
    fit.state.populations[0].clone()
}

fn close(what: &str, found: f64, wanted: f64, tolerance: f64) {
    let apart = (found - wanted).abs() / wanted.abs();
    println!("{what:24} {found:12.6} {wanted:12.6} {apart:.1e}");
    assert!(apart <= tolerance, "{what}: {found} for {wanted}");
}

/// A linear mixed model has an exact likelihood, so every number of the table can be held to it.
#[test]
fn a_linear_mixed_model_is_fitted_as_statsmodels_fits_it() {
    let model = parse(LINE);
    let data = include_bytes!("golden/mixed.csv");
    let (problem, start) = problem(&model, data, &[]);
    let found = saem(&problem, start, SaemOptions::default());
    let everyone: Vec<u32> = (0..80).collect();

    // SAEM ends near the maximum: by a few percent of the standard errors
    for k in 0..2 {
        let apart = (found.mu[k] - statsmodels::TYPICAL[k]).abs() / statsmodels::SE[k];
        println!("typical {k}: {} ({apart:.3} standard errors)", found.mu[k]);
        assert!(apart < 0.1, "typical {k}: {apart} standard errors");
        close(
            "variance",
            found.omega[3 * k],
            statsmodels::VARIANCES[k],
            0.08,
        );
    }
    close("residual sd", found.errors[0][0], statsmodels::SD, 0.03);

    // at the exact maximum everything else is exact too
    let exact = Population {
        mu: statsmodels::TYPICAL.to_vec(),
        omega: vec![
            statsmodels::VARIANCES[0],
            0.0,
            0.0,
            statsmodels::VARIANCES[1],
        ],
        fixed: Vec::new(),
        errors: vec![[statsmodels::SD, 0.0, 0.0]],
        correlation: vec![0.0],
        white: vec![0.0],
    };
    let populations = [exact.clone()];
    let of = vec![0; everyone.len()];
    let individuals = map::estimate(
        &problem,
        &everyone,
        &populations,
        &of,
        &MapOptions::default(),
    )
    .unwrap();
    assert!(individuals.iter().all(|i| i.converged));
    // statsmodels' covariance of random effects is free; its best diagonal differs by little
    for k in 0..2 {
        let apart = (individuals[0].phi[k] - statsmodels::FIRST[k]).abs();
        println!(
            "first patient {k}: {} {}",
            individuals[0].phi[k],
            statsmodels::FIRST[k]
        );
        assert!(apart < 0.02 * statsmodels::VARIANCES[k].sqrt(), "{apart}");
    }
    let table = fisher::uncertainty(
        &problem,
        &everyone,
        &exact,
        &individuals,
        &observables(&model),
    )
    .unwrap();
    for k in 0..2 {
        let se = table.estimates[k].se.unwrap();
        close("standard error", se, statsmodels::SE[k], 2e-3);
    }
    assert!(table.weak.is_empty());
    let marginal =
        marginal::marginal(&problem, &everyone, &exact, &individuals, 5, 500, 1).unwrap();
    let wanted = -2.0 * statsmodels::LOG_LIKELIHOOD;
    let apart = (marginal.minus_two_log_likelihood - wanted).abs();
    println!(
        "-2LL {} {wanted} se {}",
        marginal.minus_two_log_likelihood, marginal.se
    );
    assert!(apart < 0.5 + 4.0 * marginal.se, "{apart}");
}

const ONE_COMPARTMENT: &str = r#"
name = "one"
title = "One compartment, bolus"
time = "h"
dt = "0.5 h"
[parameters]
CL = { value = 3, unit = "L/h", source = "test", iiv = { omega2 = 0.3 } }
V  = { value = 40, unit = "L", source = "test", iiv = { omega2 = 0.2 } }
ke_scale = { value = 0.7, unit = "L", source = "test", bounds = [0.2, 3] }
[inputs.drug]
into = "central"
unit = "mg"
[states.central]
unit = "mg"
rate = "-CL/V*central*ke_scale/1[L]"
[observables.CP]
expr = "central/V"
unit = "mg/L"
error = { proportional = 0.3 }
"#;

/// Data of the closed form.
fn one_compartment(patients: u32, seed: u64) -> String {
    let mut text = String::from("ID,TIME,AMT,DV\n");
    for i in 0..patients {
        let z = |k: u32| standard_normal(seed, i, 0, stream::PREDICTIVE, k);
        let (cl, v) = (5.0 * (0.3 * z(0)).exp(), 30.0 * (0.2 * z(1)).exp());
        text += &format!("{i},0,100,.\n");
        for (k, t) in [0.5, 1.0, 2.0, 4.0, 8.0, 12.0].into_iter().enumerate() {
            let f = 100.0 / v * (-cl / v * t).exp();
            text += &format!("{i},{t},.,{}\n", f * (1.0 + 0.12 * z(2 + k as u32)));
        }
    }
    text
}

/// Typical values, variances and error come back from data of a closed form, and a parameter without
/// variability follows its stochastic gradient.
#[test]
fn a_compartment_model_is_recovered_from_its_closed_form() {
    let model = parse(ONE_COMPARTMENT);
    let data = one_compartment(120, 5);
    let (problem, start) = problem(&model, data.as_bytes(), &[]);
    // the true value of the superfluous parameter
    let mut start = start;
    let mut model_true = model.clone();
    let slot = model.slot_index("ke_scale").unwrap();
    model_true.parameters[slot].value = 1.0;
    let (problem_true, _) = common::problem(&model_true, data.as_bytes(), &[]);
    drop(problem);
    start.errors[0][1] = 0.4;
    let found = saem(&problem_true, start, SaemOptions::default());
    let everyone: Vec<u32> = (0..120).collect();
    let populations = [found.clone()];
    let individuals = map::estimate(
        &problem_true,
        &everyone,
        &populations,
        &vec![0; 120],
        &MapOptions::default(),
    )
    .unwrap();
    let table = fisher::uncertainty(
        &problem_true,
        &everyone,
        &found,
        &individuals,
        &observables(&model_true),
    )
    .unwrap();
    let truth = [5.0, 30.0, 0.09, 0.04, 0.12];
    for (estimate, truth) in table.estimates.iter().zip(truth) {
        let (value, se) = (estimate.value, estimate.se.unwrap());
        println!("{:18} {value:9.4} +- {se:.4} {truth}", estimate.name);
        assert!(
            (value - truth).abs() < 3.5 * se,
            "{}: {value} +- {se} for {truth}",
            estimate.name
        );
        // a table whose errors were huge would pass any test
        assert!(se < 0.3 * truth, "{}: {se}", estimate.name);
    }

    // the same from a wrong start of a fixed effect, with clearance known to vary around its truth
    let mut model = model;
    let cl = model.slot_index("CL").unwrap();
    model.parameters[cl].value = 5.0;
    let (mut problem, start) = common::problem(&model, data.as_bytes(), &["ke_scale"]);
    problem.space.held[0] = true;
    let options = SaemOptions {
        explore: 200,
        converge: 100,
        ..SaemOptions::default()
    };
    let found = saem(&problem, start, options);
    let scale = problem.space.fixed[0].scale.value(found.fixed[0]);
    println!("ke_scale {scale}");
    assert!((scale - 1.0).abs() < 0.12, "{scale}");
}

/// Two data sets fitted together give, each, the bits that they give alone.
#[test]
fn replicates_do_not_depend_on_their_company() {
    let model = parse(ONE_COMPARTMENT);
    let data = one_compartment(60, 9);
    let (problem, start) = problem(&model, data.as_bytes(), &[]);
    let options = SaemOptions {
        explore: 6,
        converge: 3,
        chains: 2,
        seed: 3,
    };
    let (first, second): (Vec<u32>, Vec<u32>) = ((0..30).collect(), (30..60).collect());
    let fit = |groups: Vec<Vec<u32>>| {
        let starts = vec![start.clone(); groups.len()];
        let mut fit = Saem::new(&problem, groups, starts, options, None).unwrap();
        while !fit.done() {
            fit.iterate().unwrap();
        }
        fit.state.populations
    };
    let both = fit(vec![first.clone(), second.clone()]);
    let alone = fit(vec![first]);
    assert_eq!(both[0], alone[0]);
    assert_ne!(both[0], both[1]);
}

/// A run that was stopped and taken up again gives the bits of one that was not.
#[test]
fn a_resumed_fit_is_the_same_fit() {
    let model = parse(ONE_COMPARTMENT);
    let data = one_compartment(40, 2);
    let (problem, start) = problem(&model, data.as_bytes(), &["ke_scale"]);
    let options = SaemOptions {
        explore: 12,
        converge: 6,
        chains: 2,
        seed: 3,
    };
    let everyone: Vec<Vec<u32>> = vec![(0..40).collect()];
    let mut whole = Saem::new(
        &problem,
        everyone.clone(),
        vec![start.clone()],
        options,
        None,
    )
    .unwrap();
    while !whole.done() {
        whole.iterate().unwrap();
    }
    let mut part = Saem::new(
        &problem,
        everyone.clone(),
        vec![start.clone()],
        options,
        None,
    )
    .unwrap();
    for _ in 0..9 {
        part.iterate().unwrap();
    }
    let text = serde_json::to_string(&part.state).unwrap();
    let state = serde_json::from_str(&text).unwrap();
    let mut rest = Saem::new(&problem, everyone, vec![start], options, Some(state)).unwrap();
    while !rest.done() {
        rest.iterate().unwrap();
    }
    assert_eq!(whole.state.populations, rest.state.populations);
    let _ = device();
}

/// A gradient through correlated errors is that of differences, and an AR(1) that made the data is
/// found again.
#[test]
fn correlated_errors_are_differentiated_and_recovered() {
    let model = parse(LINE);
    let mut text = String::from("ID,TIME,DV\n");
    let (sd, time) = (3.0, 6.0);
    for i in 0..150u32 {
        let z = |k: u32| standard_normal(11, i, 0, stream::PREDICTIVE, k);
        let (base, slope) = (50.0 + 6.0 * z(0), -0.8 + 0.4 * z(1));
        let mut e = 0.0;
        for k in 0..9u32 {
            let rho: f64 = if k == 0 { 0.0 } else { (-2.0f64 / time).exp() };
            e = rho * e + sd * (1.0 - rho * rho).sqrt() * z(2 + k);
            let t = 2.0 * f64::from(k);
            text += &format!("{i},{t},{}\n", base + slope * t + e);
        }
    }
    let (mut problem, mut start) = problem(&model, text.as_bytes(), &[]);
    start.correlation = vec![2.0];
    start.white = vec![0.2];
    problem.space.correlated = vec![true];

    let subjects: Vec<u32> = (0..5).collect();
    let groups = vec![0; 5];
    let phis: Vec<f64> = (0..5).flat_map(|i| [45.0 + f64::from(i), -0.5]).collect();
    let populations = [start.clone()];
    let scored = problem
        .score(&subjects, &populations, &groups, &phis)
        .unwrap();
    for k in 0..phis.len() {
        let moved = |by: f64| {
            let mut phis = phis.clone();
            phis[k] += by;
            let (_, log) = problem
                .likelihood(&subjects, &populations, &groups, &phis)
                .unwrap();
            log[k / 2]
        };
        let quotient = (moved(0.05) - moved(-0.05)) / 0.1;
        let apart = (scored.gradient[k] - quotient).abs();
        assert!(
            apart < 2e-3 * (1.0 + quotient.abs()),
            "{k}: {} {quotient}",
            scored.gradient[k]
        );
    }

    let found = saem(&problem, start, SaemOptions::default());
    println!("{found:?}");
    assert!(
        (found.correlation[0] / time).ln().abs() < 0.35,
        "{:?}",
        found.correlation
    );
    assert!(
        (found.errors[0][0] / sd).ln().abs() < 0.2,
        "{:?}",
        found.errors
    );
    assert!(
        (found.mu[0] - 50.0).abs() < 1.8 && (found.mu[1] + 0.8).abs() < 0.14,
        "{:?}",
        found.mu
    );
}
