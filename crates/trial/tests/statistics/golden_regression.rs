//! Proportional hazards checks, model tests and weighted log-rank tests against R and lifelines.

use posology_trial::statistics::*;
use serde_json::Value;

use crate::support::*;

const DATA: [&str; 2] = ["coarse", "fine"];

fn model(data: &Value, name: &str) -> (Vec<Covariate>, Option<Vec<u32>>) {
    let column = |name| covariate(data, name);
    let three = || vec![column("arm"), column("age"), column("marker")];
    match name {
        "one" => (vec![column("arm")], None),
        "three" => (three(), None),
        "interaction" => {
            let mut columns = three();
            columns.push(column("arm").product(&column("age")).unwrap());
            (columns, None)
        }
        _ => (three(), Some(labels(&data["stratum"]))),
    }
}

#[test]
fn proportional_hazards_matches_r() {
    let (data, r) = (survival_data(), comparisons_r());
    let mut tests = Against::new("proportional hazards test, R survival", 1e-6);
    let mut residuals = Against::new("scaled Schoenfeld residuals, R survival", 1e-6);
    let mut fits = Against::new("Cox coefficients and model tests, R survival", 1e-6);
    for set in DATA {
        let columns = &data["regression_data"][set];
        let patients = sample(columns, set);
        for name in ["one", "three", "interaction", "stratified"] {
            let theirs = &r["proportional_hazards"][set][name];
            let (covariates, strata) = model(columns, name);
            let strata = strata.as_deref();
            let what = format!("{set}, {name}");
            let fit = cox(&patients, &covariates, strata, 0.95).unwrap();
            for (ours, theirs) in fit
                .coefficients
                .iter()
                .zip(numbers(&theirs["coefficients"]))
            {
                fits.check(ours.log_hazard_ratio, theirs, &what);
            }
            for (ours, key) in [
                (&fit.likelihood_ratio, "likelihood_ratio"),
                (&fit.score, "score"),
                (&fit.wald, "wald"),
            ] {
                fits.check(ours.statistic, number(&theirs[key]), &what);
            }
            for (transform, theirs) in [
                TimeTransform::KaplanMeier,
                TimeTransform::Rank,
                TimeTransform::Identity,
            ]
            .into_iter()
            .zip(theirs["tests"].as_array().unwrap())
            {
                let what = format!("{what}, {}", theirs["transform"]);
                let ours =
                    proportional_hazards(&patients, &covariates, strata, &fit, transform).unwrap();
                let all = ours.terms.iter().map(|term| &term.test);
                let all: Vec<_> = all.chain([&ours.global]).collect();
                let statistics = numbers(&theirs["chisq"]);
                // For a single covariate R leaves the global line out or repeats it.
                assert!(statistics.len() >= ours.terms.len(), "{what}");
                for (test, (statistic, p)) in
                    all.iter().zip(statistics.iter().zip(numbers(&theirs["p"])))
                {
                    tests.check(test.statistic, *statistic, &what);
                    tests.check(test.p_value, p, &what);
                }
                for (time, theirs) in ours.times.iter().zip(numbers(&theirs["time"])) {
                    residuals.check(*time, theirs, &what);
                }
                for (g, x) in ours.transformed.iter().zip(numbers(&theirs["x"])) {
                    residuals.check(*g, x, &what);
                }
                compare_rows(&mut residuals, &ours, theirs, &what);
            }
        }
    }
}

/// Rows of tied times have no order of their own.
fn compare_rows(residuals: &mut Against, ours: &ProportionalHazards, theirs: &Value, what: &str) {
    let rows: Vec<Vec<f64>> = theirs["y"]
        .as_array()
        .unwrap()
        .iter()
        .map(numbers)
        .collect();
    let key = |time: f64, row: &[f64]| (time, row.to_vec());
    let sorted = |rows: &[Vec<f64>]| {
        let mut keyed: Vec<_> = ours
            .times
            .iter()
            .zip(rows)
            .map(|(t, r)| key(*t, r))
            .collect();
        keyed.sort_by(|a, b| {
            let last = |row: &[f64]| row[row.len() - 1];
            let first = a.0.total_cmp(&b.0);
            first.then(last(&a.1).total_cmp(&last(&b.1)))
        });
        keyed
    };
    for (ours, theirs) in sorted(&ours.residuals).iter().zip(&sorted(&rows)) {
        for (a, b) in ours.1.iter().zip(&theirs.1) {
            residuals.check(*a, *b, what);
        }
    }
}

#[test]
fn scaled_residuals_match_lifelines() {
    let (data, theirs) = (survival_data(), comparisons());
    let columns = &data["regression_data"]["fine"];
    let patients = sample(columns, "fine");
    let (covariates, _) = model(columns, "three");
    let fit = cox(&patients, &covariates, None, 0.95).unwrap();
    let transform = TimeTransform::Identity;
    let ours = proportional_hazards(&patients, &covariates, None, &fit, transform).unwrap();
    let mut against = Against::new("scaled Schoenfeld residuals, lifelines", 1e-6);
    let rows = theirs["scaled_residuals"].as_array().unwrap();
    assert_eq!(rows.len(), ours.residuals.len());
    for (ours, theirs) in ours.residuals.iter().zip(rows) {
        for (j, (a, b)) in ours.iter().zip(numbers(theirs)).enumerate() {
            // lifelines leaves the coefficient out.
            let coefficient = fit.coefficients[j].log_hazard_ratio;
            against.check(a - coefficient, b, "fine");
        }
    }
}

#[test]
fn weighted_log_rank_matches_lifelines_and_r() {
    let (data, theirs, r) = (survival_data(), comparisons(), comparisons_r());
    let mut against = Against::new("Fleming-Harrington test, lifelines", 1e-6);
    let mut against_r = Against::new("Fleming-Harrington test (rho), R survival", 1e-6);
    for set in DATA {
        let columns = &data["regression_data"][set];
        let (everyone, arm) = (sample(columns, set), numbers(&columns["arm"]));
        let group = |which: f64| {
            let members: Vec<usize> = (0..arm.len()).filter(|&i| arm[i] == which).collect();
            everyone.select(&members).unwrap()
        };
        let (treated, control) = (group(1.0), group(0.0));
        let groups = [&treated, &control];
        for case in theirs["weighted_log_rank"][set].as_array().unwrap() {
            let (rho, gamma) = (number(&case["rho"]), number(&case["gamma"]));
            let what = format!("{set}, rho {rho}, gamma {gamma}");
            let ours = weighted_log_rank(&groups, None, rho, gamma).unwrap();
            against.check(ours.statistic, number(&case["statistic"]), &what);
            against.check(ours.p_value, number(&case["p_value"]), &what);
        }
        for (rho, theirs) in [(0.0, "rho_0"), (0.5, "rho_half"), (1.0, "rho_1")] {
            let ours = weighted_log_rank(&groups, None, rho, 0.0).unwrap();
            let theirs = number(&r["weighted_log_rank"][set][theirs]);
            against_r.check(ours.statistic, theirs, &format!("{set}, rho {rho}"));
        }
    }
}
