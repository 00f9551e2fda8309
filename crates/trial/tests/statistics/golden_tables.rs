//! Two-arm tables and multiplicity against statsmodels, scipy, R and metafor.

use posology_trial::statistics::*;
use serde_json::Value;

use crate::support::*;

fn arms(counts: &Value) -> TwoArms {
    let n: Vec<u64> = numbers(counts).iter().map(|x| *x as u64).collect();
    TwoArms::new(n[0], n[1], n[2], n[3]).unwrap()
}

#[track_caller]
fn pair(against: &mut Against, ours: Estimate, theirs: &Value, what: &str) {
    let theirs = numbers(theirs);
    let limits = &theirs[theirs.len() - 2..];
    against.check(ours.low, limits[0], what);
    against.check(ours.high, limits[1], what);
}

#[test]
fn two_arms_match_statsmodels_scipy_and_r() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut newcombe = Against::new("risk difference, Newcombe, statsmodels", 1e-6);
    let mut wald = Against::new("risk difference, Wald, statsmodels", 1e-6);
    let mut score = Against::new("risk difference, Miettinen-Nurminen, numerical", 1e-6);
    let mut katz = Against::new("risk ratio, Katz, statsmodels", 1e-6);
    let mut koopman = Against::new("risk ratio, Koopman, numerical", 1e-6);
    let mut woolf = Against::new("odds ratio, statsmodels", 1e-6);
    let mut exact = Against::new("exact odds ratio, scipy", 1e-6);
    let mut fisher = Against::new("Fisher's test, scipy and R", 1e-6);
    let mut pearson = Against::new("chi-squared test, scipy", 1e-6);
    for (case, in_r) in golden["tables"]
        .as_array()
        .unwrap()
        .iter()
        .zip(r["tables"]["two_arms"].as_array().unwrap())
    {
        let (table, what) = (arms(&case["counts"]), case["counts"].to_string());
        for (key, theirs) in case["difference"].as_object().unwrap() {
            let level: f64 = key.parse().unwrap();
            for (name, kind, against) in [
                ("newcombe", DifferenceInterval::Newcombe, &mut newcombe),
                ("wald", DifferenceInterval::Wald, &mut wald),
                ("score", DifferenceInterval::MiettinenNurminen, &mut score),
            ] {
                if theirs[name].is_array() {
                    let ours = table.risk_difference(kind, level).unwrap();
                    // A difference of rates lies within -1 and 1; statsmodels does not clip.
                    let limits = numbers(&theirs[name]);
                    against.check(ours.low, limits[0].max(-1.0), &what);
                    against.check(ours.high, limits[1].min(1.0), &what);
                }
            }
        }
        for (key, theirs) in case["ratio"].as_object().unwrap() {
            let level: f64 = key.parse().unwrap();
            for (name, kind, against) in [
                ("katz", RatioInterval::Katz, &mut katz),
                ("koopman", RatioInterval::Koopman, &mut koopman),
            ] {
                if theirs[name].is_array() {
                    let ours = table.risk_ratio(kind, level).unwrap();
                    pair(against, ours, &theirs[name], &what);
                }
            }
        }
        if case["odds_ratio"].is_array() {
            let ours = table.odds_ratio(0.95).unwrap();
            woolf.check(ours.value, numbers(&case["odds_ratio"])[0], &what);
            pair(&mut woolf, ours, &case["odds_ratio"], &what);
        }
        fisher.check(table.fisher_exact(), number(&case["fisher"]), &what);
        fisher.check(table.fisher_exact(), number(&in_r["fisher"]), &what);
        for (key, continuity) in [("chi_squared", false), ("yates", true)] {
            if case[key].is_array() {
                let ours = table.chi_squared(continuity).unwrap();
                pearson.check(ours.statistic, numbers(&case[key])[0], &what);
                pearson.check(ours.p_value, numbers(&case[key])[1], &what);
            }
        }
        // R's fisher.test stops its root search at 1e-4 and is left out.
        if case["exact_odds_ratio"].is_array() {
            let ours = table.exact_odds_ratio(0.95).unwrap();
            let theirs = numbers(&case["exact_odds_ratio"]);
            for (ours, theirs) in [ours.value, ours.low, ours.high].into_iter().zip(theirs) {
                if theirs.is_finite() {
                    exact.check(ours, theirs, &what);
                } else {
                    assert!(ours.is_infinite(), "{what}: {ours}");
                }
            }
        }
    }
}

#[test]
fn stratified_tables_match_statsmodels_r_and_metafor() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut difference = Against::new("stratified risk difference, metafor", 1e-6);
    let mut ratio = Against::new("stratified risk ratio, metafor", 1e-6);
    let mut odds = Against::new("stratified odds ratio, statsmodels and R", 1e-6);
    let mut test = Against::new("Cochran-Mantel-Haenszel test, statsmodels and R", 1e-6);
    let mut tarone = Against::new("Breslow-Day-Tarone test, statsmodels and metafor", 1e-6);
    for (case, in_r) in golden["strata"]
        .as_array()
        .unwrap()
        .iter()
        .zip(r["tables"]["strata"].as_array().unwrap())
    {
        let tables: Vec<TwoArms> = case["tables"]
            .as_array()
            .unwrap()
            .iter()
            .map(arms)
            .collect();
        let what = case["tables"].to_string();
        let ours = mantel_haenszel(&tables, 0.95).unwrap();
        let theirs = numbers(&in_r["risk_difference"]);
        difference.check(ours.risk_difference.value, theirs[0], &what);
        pair(
            &mut difference,
            ours.risk_difference,
            &in_r["risk_difference"],
            &what,
        );
        let (ours_ratio, theirs) = (ours.risk_ratio.unwrap(), numbers(&in_r["log_risk_ratio"]));
        ratio.check(ours_ratio.value.ln(), theirs[0], &what);
        ratio.check(ours_ratio.low.ln(), theirs[2], &what);
        ratio.check(ours_ratio.high.ln(), theirs[3], &what);
        ratio.check(ours_ratio.value, number(&case["risk_ratio"]), &what);
        for theirs in [&case["odds_ratio"], &in_r["odds_ratio"]] {
            let ours = ours.odds_ratio.unwrap();
            odds.check(ours.value, numbers(theirs)[0], &what);
            pair(&mut odds, ours, theirs, &what);
        }
        for theirs in [&case["test"], &in_r["test"]] {
            let ours = ours.test.unwrap();
            test.check(ours.statistic, numbers(theirs)[0], &what);
            test.check(ours.p_value, numbers(theirs)[1], &what);
        }
        let homogeneity = ours.homogeneity.unwrap();
        // statsmodels fails in strata where a margin is empty; metafor leaves them out.
        for theirs in [&case["tarone"], &in_r["tarone"]] {
            let theirs = numbers(theirs);
            if theirs[0].is_finite() {
                tarone.check(homogeneity.statistic, theirs[0], &what);
                tarone.check(homogeneity.p_value, theirs[1], &what);
            }
        }
    }
}

#[test]
fn adjusted_p_values_match_statsmodels_and_r() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut against = Against::new("adjusted p values, statsmodels and R", 1e-6);
    for (case, in_r) in golden["multiplicity"]
        .as_array()
        .unwrap()
        .iter()
        .zip(r["tables"]["multiplicity"].as_array().unwrap())
    {
        let p = numbers(&case["p"]);
        for (key, method) in [
            ("bonferroni", Multiplicity::Bonferroni),
            ("holm", Multiplicity::Holm),
            ("hochberg", Multiplicity::Hochberg),
        ] {
            let ours = adjust_p_values(&p, method).unwrap();
            for theirs in [&case[key], &in_r[key]] {
                for (ours, theirs) in ours.iter().zip(numbers(theirs)) {
                    against.check(*ours, theirs, key);
                }
            }
        }
    }
}
