//! Means, ranks, regressions, subgroups and power against scipy, statsmodels, lifelines and R.

use posology_trial::statistics::*;
use serde_json::Value;

use crate::support::*;

const TRIALS: [&str; 2] = ["small", "medium"];

/// A column split into treated and control patients.
fn arms(data: &Value, key: &str) -> (Vec<f64>, Vec<f64>) {
    let (values, arm) = (numbers(&data[key]), labels(&data["arm"]));
    let of = |which: u32| {
        let kept = values.iter().zip(&arm).filter(|(_, a)| **a == which);
        kept.map(|(value, _)| *value).collect()
    };
    (of(1), of(0))
}

fn treated(data: &Value) -> Vec<bool> {
    labels(&data["arm"]).iter().map(|arm| *arm == 1).collect()
}

fn names() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

#[test]
fn mean_differences_match_scipy_and_statsmodels() {
    let golden = comparisons();
    let mut against = Against::new("Welch's and Student's test, scipy", 1e-6);
    let mut ratios = Against::new("geometric mean ratio, scipy and statsmodels", 1e-6);
    for set in TRIALS {
        let (data, theirs) = (&golden["trials"][set], &golden["means"][set]);
        let ((a, b), (u, v)) = (arms(data, "change"), arms(data, "auc"));
        for (key, kind) in [
            ("welch", GroupVariance::Separate),
            ("student", GroupVariance::Pooled),
        ] {
            let theirs = &theirs[key];
            for level in [0.95, 0.9] {
                let ours = mean_difference(&a, &b, kind, level).unwrap();
                let limits = numbers(&theirs[level.to_string()]);
                against.check(ours.difference.low, limits[0], set);
                against.check(ours.difference.high, limits[1], set);
                against.check(ours.t, number(&theirs["t"]), set);
                against.check(ours.degrees, number(&theirs["degrees"]), set);
                against.check(ours.p_value, number(&theirs["p"]), set);
            }
        }
        for (key, kind) in [
            ("ratio_welch", GroupVariance::Separate),
            ("ratio_pooled", GroupVariance::Pooled),
        ] {
            let ours = geometric_mean_ratio(&u, &v, kind, 0.9).unwrap();
            let limits = numbers(&theirs[key]["0.9"]);
            ratios.check(ours.ratio.low, limits[0].exp(), set);
            ratios.check(ours.ratio.high, limits[1].exp(), set);
            ratios.check(ours.p_value, number(&theirs[key]["p"]), set);
            ratios.check(ours.means.0 / ours.means.1, ours.ratio.value, set);
            if kind == GroupVariance::Pooled {
                let p = ours.equivalence(0.8, 1.25).unwrap();
                ratios.check(p, number(&theirs["equivalence"]), set);
            }
        }
    }
}

#[test]
fn regressions_match_statsmodels_and_r() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut linear = Against::new("analysis of covariance, statsmodels", 1e-6);
    let mut odds = Against::new("logistic regression, statsmodels and R", 1e-6);
    for set in TRIALS {
        let (data, theirs) = (&golden["trials"][set], &golden["means"][set]);
        let covariates = ["baseline", "age"].map(|name| covariate(data, name));
        let outcome = numbers(&data["change"]);
        let ours = adjusted_difference(&outcome, &treated(data), &covariates, 0.95).unwrap();
        let columns = [
            covariate(data, "arm"),
            covariates[0].clone(),
            covariates[1].clone(),
        ];
        let fit = least_squares(&outcome, &columns, 0.95).unwrap();
        assert_eq!(fit.coefficients[0].effect, ours.effect);
        let theirs_ = &theirs["ancova"];
        for (j, ours) in fit.coefficients.iter().enumerate() {
            let at = |key: &str| numbers(&theirs_[key])[j];
            linear.check(ours.effect.value, at("coefficients"), set);
            linear.check(ours.standard_error, at("errors"), set);
            linear.check(ours.p_value, at("p"), set);
            linear.check(ours.effect.low, at("low"), set);
            linear.check(ours.effect.high, at("high"), set);
        }
        linear.check(fit.residual_squares, number(&theirs_["residual"]), set);
        assert_eq!(fit.degrees as f64, number(&theirs_["degrees"]));

        let columns = ["arm", "age", "baseline"].map(|name| covariate(data, name));
        let fit = logistic(&flags(&data["response"]), &columns, 0.95).unwrap();
        for theirs in [&theirs["logistic"], &r["subgroups"][set]["logistic"]] {
            for (j, ours) in fit.coefficients.iter().enumerate() {
                odds.check(
                    ours.log_odds_ratio,
                    numbers(&theirs["coefficients"])[j],
                    set,
                );
                odds.check(ours.standard_error, numbers(&theirs["errors"])[j], set);
            }
        }
        let theirs = &theirs["logistic"];
        odds.check(fit.log_likelihood, number(&theirs["log_likelihood"]), set);
        odds.check(fit.null_log_likelihood, number(&theirs["null"]), set);
    }
}

#[test]
fn rank_sums_match_scipy_and_r() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut against = Against::new("Mann-Whitney test, scipy and R", 1e-6);
    let mut shifts = Against::new("Hodges-Lehmann shift and interval, R", 1e-6);
    for (name, case) in golden["ranks"].as_object().unwrap() {
        let in_r = &r["ranks"][name];
        let (first, second) = (numbers(&case["first"]), numbers(&case["second"]));
        let ours = rank_sum(&first, &second, 0.95).unwrap();
        against.check(ours.statistic, number(&case["statistic"]), name);
        let key = if ours.exact { "exact" } else { "asymptotic" };
        against.check(ours.p_value, number(&case[key]), name);
        against.check(ours.p_value, number(&in_r["p"]), name);
        shifts.check(ours.shift.value, number(&case["shift"]), name);
        shifts.check(ours.shift.low, number(&in_r["low"]), name);
        shifts.check(ours.shift.high, number(&in_r["high"]), name);
    }
}

#[test]
fn subgroups_match_r_statsmodels_and_metafor() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut hazards = Against::new("subgroup hazard ratios and interaction, R survival", 1e-6);
    let mut odds = Against::new("interaction of odds ratios, R and statsmodels", 1e-6);
    let mut means = Against::new("interaction of means, statsmodels", 1e-6);
    let mut spread = Against::new("heterogeneity, metafor", 1e-6);
    let (data, theirs) = (&golden["trials"]["medium"], &r["subgroups"]["medium"]);
    let groups: Vec<usize> = labels(&data["group"]).iter().map(|g| *g as usize).collect();
    let events = numbers(&theirs["event"])
        .iter()
        .map(|e| *e == 1.0)
        .collect();
    let patients = SurvivalSample::new("all", numbers(&theirs["time"]), events).unwrap();
    let ours = survival_subgroups(&patients, &treated(data), &groups, &names(), 0.95).unwrap();
    let test = ours.interaction.unwrap();
    hazards.check(
        test.statistic,
        number(&theirs["interaction"]),
        "interaction",
    );
    for (effect, theirs) in ours
        .effects
        .iter()
        .zip(theirs["hazard"].as_array().unwrap())
    {
        let theirs = numbers(theirs);
        hazards.check(effect.effect.unwrap().value.ln(), theirs[0], &effect.name);
        hazards.check(effect.standard_error.unwrap(), theirs[1], &effect.name);
    }
    same_spread(
        &mut spread,
        ours.heterogeneity.unwrap(),
        &theirs["heterogeneity"],
    );

    let tables: Vec<TwoArms> = theirs["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|counts| {
            let n: Vec<u64> = numbers(counts).iter().map(|x| *x as u64).collect();
            TwoArms::new(n[0], n[1], n[2], n[3]).unwrap()
        })
        .collect();
    let ours = binary_subgroups(&tables, &names(), BinaryScale::OddsRatio, 0.95).unwrap();
    let statistic = ours.interaction.unwrap().statistic;
    odds.check(statistic, number(&theirs["logistic_interaction"]), "R");
    let ours = binary_subgroups(&tables, &names(), BinaryScale::RiskDifference, 0.95).unwrap();
    same_spread(
        &mut spread,
        ours.heterogeneity.unwrap(),
        &theirs["differences"],
    );
    let q = ours.interaction.unwrap();
    spread.check(q.p_value, numbers(&theirs["differences"]["q"])[1], "Q");

    for set in TRIALS {
        let data = &golden["trials"][set];
        let groups: Vec<usize> = labels(&data["group"]).iter().map(|g| *g as usize).collect();
        let values = numbers(&data["change"]);
        let ours = mean_subgroups(&values, &treated(data), &groups, &names(), 0.95).unwrap();
        let (test, theirs) = (
            ours.interaction.unwrap(),
            &golden["means"][set]["interaction_f"],
        );
        let theirs = numbers(theirs);
        means.check(test.statistic, theirs[0], set);
        means.check(test.p_value, theirs[1], set);
        assert_eq!(test.degrees as f64, theirs[2]);
        assert_eq!(test.residual_degrees.unwrap() as f64, theirs[3]);
    }
}

fn same_spread(against: &mut Against, ours: Heterogeneity, theirs: &Value) {
    let pooled = numbers(&theirs["pooled"]);
    against.check(ours.pooled.value, pooled[0], "pooled");
    against.check(ours.pooled.low, pooled[1], "pooled");
    against.check(ours.pooled.high, pooled[2], "pooled");
    against.check(ours.q.statistic, numbers(&theirs["q"])[0], "Q");
    against.check(ours.q.p_value, numbers(&theirs["q"])[1], "Q");
    against.check(ours.i_squared, number(&theirs["i2"]), "I squared");
}

#[test]
fn power_matches_gsdesign_lifelines_statsmodels_and_r() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut schoenfeld = Against::new("Schoenfeld, R gsDesign", 1e-6);
    let mut freedman = Against::new("Freedman, lifelines", 1e-6);
    let mut proportions = Against::new("power of two proportions, R", 1e-6);
    let mut means = Against::new("power of two means, statsmodels", 1e-6);
    for case in r["power"]["schoenfeld"].as_array().unwrap() {
        let at = |key: &str| number(&case[key]);
        let share = 1.0 / (1.0 + at("ratio"));
        let events = schoenfeld_events(at("hr"), share, 0.05, at("power")).unwrap();
        schoenfeld.check(events, at("events"), "events");
        let power = schoenfeld_power(at("hr"), 100.0, share, 0.05).unwrap();
        schoenfeld.check(power, at("power_100"), "power");
        let ratio = detectable_hazard_ratio(events, share, 0.05, at("power")).unwrap();
        schoenfeld.check(ratio.ln().abs(), at("hr").ln().abs(), "detectable");
    }
    for case in golden["power"]["freedman"].as_array().unwrap() {
        let at = |key: &str| number(&case[key]);
        let rates = numbers(&case["rates"]);
        let events = at("treated") * rates[0] + at("control") * rates[1];
        let share = at("treated") / (at("treated") + at("control"));
        let power = freedman_power(at("hazard_ratio"), events, share, at("alpha")).unwrap();
        freedman.check(power, at("power"), "power");
        let back = freedman_events(at("hazard_ratio"), share, at("alpha"), power).unwrap();
        freedman.check(back, events, "events");
    }
    for case in r["power"]["proportions"].as_array().unwrap() {
        let at = |key: &str| number(&case[key]);
        let (p1, p2, n) = (at("p1"), at("p2"), at("n"));
        let power = two_proportions_power(p2, n, p1, n, 0.05).unwrap();
        proportions.check(power, at("power"), "power");
        let patients = two_proportions_patients(p2, p1, 0.5, 0.05, 0.9).unwrap();
        proportions.check(patients, 2.0 * at("patients"), "patients");
        let (_, up) = detectable_risk_difference(p1, n, n, 0.05, 0.8).unwrap();
        proportions.check(p1 + up.unwrap(), at("detectable"), "detectable");
    }
    for case in golden["power"]["means"].as_array().unwrap() {
        let at = |key: &str| number(&case[key]);
        let (n, m) = (at("treated"), at("control"));
        let power = mean_difference_power(at("difference"), at("sd"), n, m, at("alpha")).unwrap();
        means.check(power, at("power"), "power");
        let back = detectable_mean_difference(at("sd"), n, m, at("alpha"), power).unwrap();
        means.check(back, at("difference"), "detectable");
    }
}
