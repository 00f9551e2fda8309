//! Curves, tests and models against lifelines, scikit-survival, statsmodels, scipy and R
//! (scripts/golden).

use posology_trial::statistics::*;
use serde_json::Value;

use crate::support::*;

#[track_caller]
fn maybe_close(ours: Option<f64>, theirs: f64, what: &str) {
    match ours {
        Some(value) => close(value, theirs, 1e-8, what),
        None => assert!(theirs.is_nan(), "{what}: not reached, against {theirs}"),
    }
}

fn survival(name: &str) -> SurvivalSample {
    sample(&survival_data()["data"][name], name)
}

const NAMES: [&str; 5] = ["standard", "adaptive", "ties", "heavy", "short"];

#[test]
fn curves_match_lifelines_statsmodels_and_scikit_survival() {
    let golden = survival_data();
    for name in NAMES {
        let theirs = &golden["curves"][name];
        let curve = KaplanMeier::fit(&survival(name));
        let band = curve.band(Band::LogLog, 0.95).unwrap();
        let column = |key: &str| numbers(&theirs[key]);
        let other = &theirs["sksurv"];
        assert_eq!(curve.steps().len(), column("time").len(), "{name}");
        for (i, step) in curve.steps().iter().enumerate() {
            let what = format!("{name} at {}", step.time);
            assert_eq!(step.time, column("time")[i]);
            assert_eq!(step.at_risk as f64, column("at_risk")[i], "{what}");
            assert_eq!(step.events as f64, column("events")[i], "{what}");
            assert_eq!(step.censored as f64, column("censored")[i], "{what}");
            close(step.survival, column("survival")[i], 1e-12, &what);
            close(step.survival, numbers(&other["survival"])[i], 1e-12, &what);
            if step.survival > 0.0 && step.survival < 1.0 {
                close(band[i].0, column("low")[i], 1e-8, &what);
                close(band[i].1, column("high")[i], 1e-8, &what);
                close(band[i].0, numbers(&other["low"])[i], 1e-8, &what);
                close(band[i].1, numbers(&other["high"])[i], 1e-8, &what);
            }
        }
        let errors = theirs["statsmodels"]["standard_error"].as_array().unwrap();
        let events: Vec<&Step> = curve
            .steps()
            .iter()
            .filter(|step| step.events > 0)
            .collect();
        for (step, error) in events.iter().zip(errors) {
            if let Some(variance) = step.variance() {
                close(variance.sqrt(), number(error), 1e-8, name);
            }
        }
        let horizon = number(&theirs["horizon"]);
        let mean = restricted_mean(&curve, horizon, 0.95).unwrap();
        close(
            mean.mean.value,
            number(&theirs["restricted_mean"]),
            1e-8,
            name,
        );
    }
}

#[test]
fn quantiles_bands_and_restricted_means_match_r() {
    let (golden, r) = (survival_data(), survival_r());
    let probabilities = numbers(&r["quantiles"]);
    for name in NAMES {
        let curve = KaplanMeier::fit(&survival(name));
        let theirs = &r["curves"][name];
        for (key, kind) in [("log_log", Band::LogLog), ("plain", Band::Plain)] {
            let theirs = &theirs[key];
            for (i, &p) in probabilities.iter().enumerate() {
                let what = format!("{name}, {key}, quantile {p}");
                let ours = curve.quantile(p, kind, 0.95).unwrap();
                maybe_close(ours.value, numbers(&theirs["quantile"])[i], &what);
                maybe_close(ours.low, numbers(&theirs["quantile_low"])[i], &what);
                maybe_close(ours.high, numbers(&theirs["quantile_high"])[i], &what);
            }
            let band = curve.band(kind, 0.95).unwrap();
            for (i, step) in curve.steps().iter().enumerate() {
                if step.survival > 0.0 && step.survival < 1.0 {
                    close(band[i].0, numbers(&theirs["low"])[i], 1e-8, name);
                    close(band[i].1, numbers(&theirs["high"])[i], 1e-8, name);
                }
            }
        }
        let horizon = number(&golden["curves"][name]["horizon"]);
        let mean = restricted_mean(&curve, horizon, 0.95).unwrap();
        close(
            mean.mean.value,
            number(&theirs["restricted_mean"]),
            1e-8,
            name,
        );
        close(
            mean.variance.sqrt(),
            number(&theirs["restricted_mean_se"]),
            1e-8,
            name,
        );
    }
}

#[test]
fn abiraterone_medians_are_the_published_ones() {
    let median = |name| {
        let curve = KaplanMeier::fit(&survival(name));
        curve.median(Band::LogLog, 0.95).unwrap().value.unwrap()
    };
    assert!((median("standard") - 14.3).abs() < 1e-12);
    assert!((median("adaptive") - 30.6).abs() < 1e-12);
}

#[test]
fn log_rank_matches_three_packages_and_r() {
    let (golden, r) = (survival_data(), survival_r());
    let cases = golden["log_rank"].as_array().unwrap();
    for (case, in_r) in cases.iter().zip(r["log_rank"].as_array().unwrap()) {
        let samples: Vec<SurvivalSample> = case["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| survival(n.as_str().unwrap()))
            .collect();
        let result = log_rank(&samples.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(result.test.degrees, samples.len() - 1);
        for package in ["lifelines", "sksurv", "statsmodels"] {
            close(
                result.test.statistic,
                number(&case[package]["statistic"]),
                1e-8,
                package,
            );
            close(
                result.test.p_value,
                number(&case[package]["p_value"]),
                1e-8,
                package,
            );
        }
        close(result.test.statistic, number(&in_r["statistic"]), 1e-8, "R");
        for (group, expected) in result.groups.iter().zip(numbers(&in_r["expected"])) {
            close(group.expected, expected, 1e-8, &group.name);
        }
    }
}

fn arms(data: &Value) -> (Vec<SurvivalSample>, Vec<Vec<u32>>) {
    let (all, arm) = (sample(data, "all"), numbers(&data["arm"]));
    let strata: Vec<u32> = numbers(&data["stratum"])
        .iter()
        .map(|s| *s as u32)
        .collect();
    [0.0, 1.0]
        .map(|which| {
            let members: Vec<usize> = (0..arm.len()).filter(|&i| arm[i] == which).collect();
            (
                all.select(&members).unwrap(),
                members.iter().map(|&i| strata[i]).collect(),
            )
        })
        .into_iter()
        .unzip()
}

#[test]
fn stratified_log_rank_matches_statsmodels_and_r() {
    let (golden, r) = (survival_data(), survival_r());
    for name in ["coarse", "fine"] {
        let (groups, strata) = arms(&golden["regression_data"][name]);
        let groups: Vec<&SurvivalSample> = groups.iter().collect();
        let strata: Vec<&[u32]> = strata.iter().map(Vec::as_slice).collect();
        let test = stratified_log_rank(&groups, &strata).unwrap().test;
        let theirs = &golden["stratified_log_rank"][name];
        close(test.statistic, number(&theirs["statistic"]), 1e-8, name);
        close(test.p_value, number(&theirs["p_value"]), 1e-8, name);
        close(
            test.statistic,
            number(&r["regression"][name]["stratified_log_rank"]),
            1e-8,
            name,
        );
    }
}

#[test]
fn cox_matches_lifelines_statsmodels_and_r() {
    let (golden, r) = (survival_data(), survival_r());
    for name in ["coarse", "fine"] {
        let data = &golden["regression_data"][name];
        let patients = sample(data, name);
        let labels: Vec<u32> = numbers(&data["stratum"])
            .iter()
            .map(|s| *s as u32)
            .collect();
        for (index, case) in golden["cox"][name].as_array().unwrap().iter().enumerate() {
            let covariates: Vec<Covariate> = case["columns"]
                .as_array()
                .unwrap()
                .iter()
                .map(|column| column.as_str().unwrap())
                .map(|column| Covariate {
                    name: column.to_owned(),
                    values: numbers(&data[column]),
                })
                .collect();
            let strata = case["strata"]
                .as_bool()
                .unwrap()
                .then_some(labels.as_slice());
            let fit = cox(&patients, &covariates, strata, 0.95).unwrap();
            let in_r = &r["regression"][name]["cox"][index];
            let [lifelines, statsmodels] = [&case["lifelines"], &case["statsmodels"]];
            let what = format!("{name}, model {index}");
            for (j, ours) in fit.coefficients.iter().enumerate() {
                // lifelines stops its Newton iterations earlier than the other two.
                for (theirs, tolerance) in [(lifelines, 1e-6), (statsmodels, 1e-8), (in_r, 1e-8)] {
                    let at = |key: &str| numbers(&theirs[key])[j];
                    close(ours.log_hazard_ratio, at("coefficients"), tolerance, &what);
                    close(ours.standard_error, at("standard_errors"), tolerance, &what);
                }
                let at = |key: &str| numbers(&lifelines[key])[j];
                close(ours.p_value, at("p_values"), 1e-6, &what);
                close(ours.hazard_ratio.low, numbers(&in_r["low"])[j], 1e-8, &what);
                close(
                    ours.hazard_ratio.high,
                    numbers(&in_r["high"])[j],
                    1e-8,
                    &what,
                );
            }
            let likelihood = numbers(&in_r["log_likelihood"]);
            close(fit.null_log_likelihood, likelihood[0], 1e-10, &what);
            close(fit.log_likelihood, likelihood[1], 1e-10, &what);
            close(
                fit.log_likelihood,
                number(&lifelines["log_likelihood"]),
                1e-10,
                &what,
            );
            close(
                fit.log_likelihood,
                number(&statsmodels["log_likelihood"]),
                1e-10,
                &what,
            );
            close(
                fit.likelihood_ratio.statistic,
                number(&lifelines["likelihood_ratio"]),
                1e-7,
                &what,
            );
            close(fit.score.statistic, number(&in_r["score"]), 1e-8, &what);
            close(fit.wald.statistic, number(&in_r["wald"]), 1e-8, &what);
        }
    }
}

#[test]
fn hazard_ratios_match_statsmodels() {
    for case in survival_data()["hazard_ratio"].as_array().unwrap() {
        let arm = |key: &str| survival(case[key].as_str().unwrap());
        let fit = hazard_ratio(&arm("treated"), &arm("control"), 0.95).unwrap();
        let theirs = &case["statsmodels"];
        let ours = &fit.coefficients[0];
        close(
            ours.log_hazard_ratio,
            numbers(&theirs["coefficients"])[0],
            1e-8,
            "coefficient",
        );
        close(
            ours.standard_error,
            numbers(&theirs["standard_errors"])[0],
            1e-8,
            "error",
        );
    }
}

#[test]
fn proportions_match_statsmodels_and_scipy() {
    for case in survival_data()["proportions"].as_array().unwrap() {
        let (x, n) = (
            case["successes"].as_u64().unwrap(),
            case["trials"].as_u64().unwrap(),
        );
        let level = number(&case["level"]);
        let exact = clopper_pearson(x, n, level).unwrap();
        let score = wilson(x, n, level).unwrap();
        let pairs = [
            (exact, "clopper_pearson"),
            (exact, "scipy_exact"),
            (score, "wilson"),
            (score, "scipy_wilson"),
        ];
        for (ours, key) in pairs {
            let what = format!("{key} of {x}/{n}");
            for (ours, theirs) in [ours.low, ours.high].into_iter().zip(numbers(&case[key])) {
                assert!(
                    (ours - theirs).abs() <= 1e-10,
                    "{what}: {ours} against {theirs}"
                );
            }
        }
    }
}

#[test]
fn restricted_mean_differences_combine_the_curves_of_r() {
    let (golden, r) = (survival_data(), survival_r());
    let horizon = number(&golden["curves"]["standard"]["horizon"]);
    let curves = ["adaptive", "standard"].map(|name| KaplanMeier::fit(&survival(name)));
    let ours = restricted_mean_difference(&curves[0], &curves[1], horizon, 0.95).unwrap();
    let theirs = &r["curves"]["standard"];
    let standard = restricted_mean(&curves[1], horizon, 0.95).unwrap();
    let adaptive = restricted_mean(&curves[0], horizon, 0.95).unwrap();
    let (mean, error) = (
        number(&theirs["restricted_mean"]),
        number(&theirs["restricted_mean_se"]),
    );
    close(standard.mean.value, mean, 1e-8, "standard");
    close(
        ours.difference.value,
        adaptive.mean.value - mean,
        1e-8,
        "difference",
    );
    let variance = adaptive.variance + error * error;
    close(ours.variance, variance, 1e-8, "variance");
    let z = ours.difference.value / variance.sqrt();
    let half = 1.959_963_984_540_054 * variance.sqrt();
    close(
        ours.difference.high - ours.difference.low,
        2.0 * half,
        1e-8,
        "interval",
    );
    // P(|Z| > z) by the error function's tail bounds: phi(z) / z (1 - 1 / z^2) < P / 2.
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    assert!(ours.p_value < 2.0 * density / z.abs());
    assert!(ours.p_value > 2.0 * density / z.abs() * (1.0 - 1.0 / (z * z)));
}
