//! Paired comparisons, resampling and summaries against scipy, numpy and R (scripts/golden).

use posology_trial::statistics::*;

use crate::Xorshift;
use crate::support::*;

#[test]
fn paired_comparisons_match_scipy_and_r() {
    let (golden, r) = (survival_data(), survival_r());
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
    let golden = survival_data();
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
    let golden = survival_data();
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
