//! Golden values of lifelines, scikit-survival, statsmodels, scipy and R (scripts/golden).

use posology_trial::statistics::*;
use serde_json::Value;

use crate::Xorshift;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/survival.json")).unwrap()
}

fn golden_r() -> Value {
    serde_json::from_str(include_str!("../golden/survival_r.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_f64().unwrap_or(f64::NAN))
            .collect(),
        single => vec![single.as_f64().unwrap_or(f64::NAN)],
    }
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("not a number: {value}"))
}

#[track_caller]
fn close(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    let error = (ours - theirs).abs() / theirs.abs().max(1e-3);
    assert!(
        error <= tolerance,
        "{what}: {ours} against {theirs}, relative error {error:.1e}"
    );
}

#[track_caller]
fn maybe_close(ours: Option<f64>, theirs: f64, what: &str) {
    match ours {
        Some(value) => close(value, theirs, 1e-8, what),
        None => assert!(theirs.is_nan(), "{what}: not reached, against {theirs}"),
    }
}

fn sample(data: &Value, name: &str) -> SurvivalSample {
    let events = data["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e.as_bool().unwrap())
        .collect();
    SurvivalSample::new(name, numbers(&data["times"]), events).unwrap()
}

fn survival(name: &str) -> SurvivalSample {
    sample(&golden()["data"][name], name)
}

const NAMES: [&str; 5] = ["standard", "adaptive", "ties", "heavy", "short"];

#[test]
fn curves_match_lifelines_statsmodels_and_scikit_survival() {
    let golden = golden();
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
    let (golden, r) = (golden(), golden_r());
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
    let (golden, r) = (golden(), golden_r());
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
    let (golden, r) = (golden(), golden_r());
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
    let (golden, r) = (golden(), golden_r());
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
    for case in golden()["hazard_ratio"].as_array().unwrap() {
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
    for case in golden()["proportions"].as_array().unwrap() {
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
fn paired_comparisons_match_scipy_and_r() {
    let (golden, r) = (golden(), golden_r());
    let column = |key: &str| numbers(&golden["paired_data"][key]);
    let (before, after, tied) = (column("before"), column("after"), column("tied"));

    let exact = signed_rank(&before, &after, 0.95).unwrap();
    assert!(exact.exact);
    let theirs = &r["signed_rank"]["exact"];
    close(
        exact.statistic,
        number(&theirs["statistic"]),
        1e-12,
        "statistic",
    );
    close(
        exact.p_value,
        number(&theirs["p_value"]),
        1e-10,
        "p value, R",
    );
    close(
        exact.p_value,
        number(&golden["signed_rank"]["exact"]["p_value"]),
        1e-10,
        "p value",
    );
    close(exact.shift.value, number(&theirs["shift"]), 1e-10, "shift");
    close(exact.shift.low, number(&theirs["low"]), 1e-10, "low");
    close(exact.shift.high, number(&theirs["high"]), 1e-10, "high");

    let approximate = signed_rank(&before, &tied, 0.95).unwrap();
    assert!(!approximate.exact);
    assert_eq!(approximate.zeros, 2);
    let theirs = &r["signed_rank"]["tied"];
    close(
        approximate.statistic,
        number(&theirs["statistic"]),
        1e-12,
        "statistic",
    );
    close(
        approximate.p_value,
        number(&theirs["p_value"]),
        1e-8,
        "p value, R",
    );
    let scipy = number(&golden["signed_rank"]["approximate"]["p_value"]);
    close(approximate.p_value, scipy, 1e-8, "p value, scipy");

    let paired = paired_difference(&before, &after, 0.95).unwrap();
    let theirs = &golden["paired_difference"];
    close(paired.p_value, number(&theirs["p_value"]), 1e-8, "p value");
    close(paired.mean.low, number(&theirs["low"]), 1e-8, "low");
    close(paired.mean.high, number(&theirs["high"]), 1e-8, "high");
    let interval = mean_interval("before", &before, 0.9).unwrap();
    close(
        interval.low,
        number(&golden["mean_interval_90"]["low"]),
        1e-8,
        "low",
    );
    close(
        interval.high,
        number(&golden["mean_interval_90"]["high"]),
        1e-8,
        "high",
    );
}

#[test]
fn bootstrap_matches_scipy_on_the_same_resamples() {
    let golden = golden();
    let column = |key: &str| numbers(&golden["paired_data"][key]);
    let (before, after, second) = (column("before"), column("after"), column("second"));
    // Logarithms, because sums of rounded numbers tie up to rounding.
    let logs: Vec<f64> = before.iter().map(|x| x.ln()).collect();
    let average = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    for (key, kind) in [
        ("percentile", BootstrapInterval::Percentile),
        ("bias_corrected", BootstrapInterval::BiasCorrected),
    ] {
        let settings = Bootstrap {
            resamples: 1000,
            level: 0.95,
            interval: kind,
        };
        let source = || Xorshift(2_463_534_242);
        let results = [
            (
                "mean_of_logs",
                bootstrap(&logs, average, &settings, &mut source()),
            ),
            (
                "ratio_of_means",
                bootstrap_paired(
                    &before,
                    &after,
                    |a, b| average(a) / average(b),
                    &settings,
                    &mut source(),
                ),
            ),
            (
                "difference_of_means",
                bootstrap_unpaired(
                    &before,
                    &second,
                    |a, b| average(a) - average(b),
                    &settings,
                    &mut source(),
                ),
            ),
        ];
        for (name, result) in results {
            let (ours, theirs) = (result.unwrap(), &golden["bootstrap"][name]);
            let what = format!("{name}, {key}");
            close(ours.value, number(&theirs["statistic"]), 1e-12, &what);
            close(ours.low, numbers(&theirs[key])[0], 1e-8, &what);
            close(ours.high, numbers(&theirs[key])[1], 1e-8, &what);
        }
    }
}

#[test]
fn summaries_match_numpy() {
    let golden = golden();
    let (before, after) = (
        numbers(&golden["paired_data"]["before"]),
        numbers(&golden["paired_data"]["after"]),
    );
    let theirs = &golden["summary"];
    for (p, value) in theirs["quantiles"].as_object().unwrap() {
        close(
            quantile("x", &before, p.parse().unwrap()).unwrap(),
            number(value),
            1e-12,
            p,
        );
    }
    let summary = Summary::of("x", &before).unwrap();
    close(summary.mean, number(&theirs["mean"]), 1e-12, "mean");
    close(summary.sd, number(&theirs["sd"]), 1e-12, "sd");
    let error = root_mean_square_error(&before, &after).unwrap();
    close(error, number(&theirs["rmse"]), 1e-12, "rmse");
}
