//! Data that determine nothing, or almost nothing: no events, empty groups, zero cells, ties.

use posology_trial::statistics::*;

use crate::support::refused;

fn sample(name: &str, rows: &[(f64, bool)]) -> SurvivalSample {
    let (times, events) = rows.iter().copied().unzip();
    SurvivalSample::new(name, times, events).unwrap()
}

fn table(x1: u64, n1: u64, x2: u64, n2: u64) -> TwoArms {
    TwoArms::new(x1, n1, x2, n2).unwrap()
}

#[test]
fn two_groups_without_events_or_without_overlap() {
    let mut scratch = TwoGroupScratch::default();
    let never = [false; 4];
    let arm = [true, false, true, false];
    let times = [1.0, 2.0, 3.0, 4.0];
    refused!(
        log_rank_z(&times, &never, &arm),
        StatisticsError::NoEvents { .. }
    );
    refused!(
        cox_two_groups(&times, &never, &arm, &mut scratch),
        StatisticsError::NoEvents { .. }
    );
    refused!(log_rank_z(&[], &[], &[]), StatisticsError::NoEvents { .. });
    refused!(
        log_rank_z(&[2.0, 1.0], &[true; 2], &[true, false]),
        StatisticsError::NotSorted { index: 1 }
    );
    refused!(
        log_rank_score(&[1.0, f64::NAN], &[true; 2], &[true, false]),
        StatisticsError::NotSorted { index: 1 }
    );
    refused!(
        log_rank_score(&[1.0], &[true, true], &[true]),
        StatisticsError::LengthsDiffer { .. }
    );
    // All of one group leave before the first event of the other: never at risk together.
    let events = [false, false, true, true];
    let arm = [true, true, false, false];
    refused!(
        log_rank_z(&times, &events, &arm),
        StatisticsError::NothingToCompare
    );
    refused!(
        cox_two_groups(&times, &events, &arm, &mut scratch),
        StatisticsError::NotEstimable { .. }
    );
    // Only treated patients have events while controls are at risk.
    refused!(
        cox_two_groups(
            &times,
            &[true, false, true, false],
            &[true, false, true, false],
            &mut scratch
        ),
        StatisticsError::Separated { .. }
    );
    // Nobody treated.
    refused!(
        log_rank_z(&times, &[true; 4], &[false; 4]),
        StatisticsError::NothingToCompare
    );
}

/// Hand: times 1 (treated event), 2 (control event), 3 (treated, censored). At 1: expected 2/3,
/// variance 2/9. At 2: one treated of two, expected 1/2, variance 1/4.
#[test]
fn log_rank_by_hand() {
    let score =
        log_rank_score(&[1.0, 2.0, 3.0], &[true, true, false], &[true, false, true]).unwrap();
    assert!((score.observed_minus_expected - (1.0 - 2.0 / 3.0 - 0.5)).abs() < 1e-15);
    assert!((score.variance - (2.0 / 9.0 + 0.25)).abs() < 1e-15);
    // Partial likelihood with e = exp(b): e / (2e + 1) * 1 / (e + 1); its maximum solves
    // 1 - 2e/(2e+1) - e/(e+1) = 0, so 2 e^2 = 1.
    let mut scratch = TwoGroupScratch::default();
    let fit = cox_two_groups(
        &[1.0, 2.0, 3.0],
        &[true, true, false],
        &[true, false, true],
        &mut scratch,
    )
    .unwrap();
    assert!((fit.log_hazard_ratio - 0.5_f64.sqrt().ln()).abs() < 1e-12);
}

#[test]
fn competing_risks_at_the_edges() {
    let make = |name: &str, times: &[f64], causes: &[u32]| {
        CompetingSample::new(name, times.to_vec(), causes.to_vec())
    };
    refused!(make("none", &[], &[]), StatisticsError::TooFew { .. });
    refused!(
        make("a", &[1.0], &[]),
        StatisticsError::LengthsDiffer { .. }
    );
    refused!(
        make("a", &[f64::NAN], &[1]),
        StatisticsError::NotFinite { .. }
    );
    let censored = make("a", &[1.0, 2.0], &[0, 0]).unwrap();
    let other = make("b", &[1.0, 2.0], &[2, 0]).unwrap();
    let flat = CumulativeIncidence::fit(&censored, 1);
    assert_eq!(flat.incidence(2.0), Some(0.0));
    assert_eq!(flat.incidence(2.5), None);
    let interval = flat
        .incidence_interval(1.0, Band::LogLog, 0.95)
        .unwrap()
        .unwrap();
    assert_eq!((interval.low, interval.high), (0.0, 0.0));
    refused!(
        gray_test(&[&censored, &other], 1),
        StatisticsError::NoEvents { .. }
    );
    refused!(
        gray_test(&[&censored], 1),
        StatisticsError::TooFew { needed: 2, .. }
    );
    // Groups that are never at risk together.
    let early = make("early", &[1.0, 1.0], &[0, 0]).unwrap();
    let late = make("late", &[2.0, 3.0], &[1, 1]).unwrap();
    refused!(
        gray_test(&[&early, &late], 1),
        StatisticsError::NothingToCompare
    );
    // Hand: 4 patients, cause 1 at 1, cause 2 at 2, cause 1 at 3, censored at 4.
    // F1 = 1/4, then 1/4 + 1/2 * 1/2 = 1/2; F2 = 1/4.
    let four = make("four", &[1.0, 2.0, 3.0, 4.0], &[1, 2, 1, 0]).unwrap();
    let (first, second) = (
        CumulativeIncidence::fit(&four, 1),
        CumulativeIncidence::fit(&four, 2),
    );
    assert_eq!(
        [1.0, 2.0, 3.0].map(|t| first.incidence(t).unwrap()),
        [0.25, 0.25, 0.5]
    );
    assert_eq!(second.incidence(4.0), Some(0.25));
    // At full follow-up without censoring the variance is binomial: 1/4 * 3/4 / 4.
    assert!((second.steps()[1].variance - 0.25 * 0.75 / 4.0).abs() < 1e-15);
}

#[test]
fn proportional_hazards_needs_its_own_fit_and_enough_events() {
    let patients = sample("p", &[(1.0, true), (2.0, true), (3.0, false), (4.0, true)]);
    let arm = Covariate {
        name: "arm".to_owned(),
        values: vec![1.0, 0.0, 1.0, 0.0],
    };
    let fit = cox(&patients, std::slice::from_ref(&arm), None, 0.95).unwrap();
    let transform = TimeTransform::KaplanMeier;
    let two = [arm.clone(), arm.clone()];
    refused!(
        proportional_hazards(&patients, &two, None, &fit, transform),
        StatisticsError::LengthsDiffer { .. }
    );
    let one_event = sample(
        "p",
        &[(1.0, false), (2.0, true), (3.0, false), (4.0, false)],
    );
    refused!(
        proportional_hazards(&one_event, &[arm], None, &fit, transform),
        StatisticsError::NotEstimable { .. }
    );
}

#[test]
fn tables_with_zero_cells() {
    refused!(TwoArms::new(0, 0, 1, 2), StatisticsError::TooFew { .. });
    refused!(TwoArms::new(3, 2, 1, 2), StatisticsError::Counts { .. });
    let none = table(0, 10, 0, 12);
    refused!(none.odds_ratio(0.95), StatisticsError::EmptyCell { .. });
    refused!(
        none.exact_odds_ratio(0.95),
        StatisticsError::EmptyCell { .. }
    );
    refused!(none.chi_squared(false), StatisticsError::EmptyCell { .. });
    for interval in [RatioInterval::Katz, RatioInterval::Koopman] {
        refused!(
            none.risk_ratio(interval, 0.95),
            StatisticsError::EmptyCell { .. }
        );
    }
    assert_eq!(none.fisher_exact(), 1.0);
    let zero = table(0, 10, 4, 12);
    refused!(
        zero.risk_ratio(RatioInterval::Katz, 0.95),
        StatisticsError::EmptyCell { .. }
    );
    let ratio = zero.risk_ratio(RatioInterval::Koopman, 0.95).unwrap();
    assert!(ratio.low == 0.0 && ratio.value == 0.0 && ratio.high > 0.0 && ratio.high < 5.0);
    let exact = zero.exact_odds_ratio(0.95).unwrap();
    assert!(exact.value == 0.0 && exact.low == 0.0 && exact.high.is_finite());
    refused!(
        zero.risk_difference(DifferenceInterval::Newcombe, 2.0),
        StatisticsError::Level { .. }
    );
    // Fisher's tea tasting: 3 of 4 against 1 of 4, p = (1 + 16 + 16 + 1) / 70.
    assert!((table(3, 4, 1, 4).fisher_exact() - 34.0 / 70.0).abs() < 1e-12);

    refused!(mantel_haenszel(&[], 0.95), StatisticsError::TooFew { .. });
    refused!(
        mantel_haenszel(&[none, none], 0.95),
        StatisticsError::NoSpread { .. }
    );
    let ours = mantel_haenszel(&[zero, none], 0.95).unwrap();
    assert!(ours.risk_ratio.is_none() && ours.odds_ratio.is_none() && ours.homogeneity.is_none());
    assert!(ours.test.is_some());
}

#[test]
fn p_values_and_settings_out_of_range() {
    refused!(
        adjust_p_values(&[0.1, 1.2], Multiplicity::Holm),
        StatisticsError::Probability { .. }
    );
    assert!(
        adjust_p_values(&[], Multiplicity::Hochberg)
            .unwrap()
            .is_empty()
    );
    let gate = adjust_p_values(&[0.01, 0.2, 0.001], Multiplicity::FixedSequence).unwrap();
    assert_eq!(gate, [0.01, 0.2, 0.2]);
    refused!(
        schoenfeld_events(1.0, 0.5, 0.05, 0.8),
        StatisticsError::Setting { .. }
    );
    refused!(
        schoenfeld_power(0.7, -1.0, 0.5, 0.05),
        StatisticsError::Setting { .. }
    );
    refused!(
        two_proportions_patients(0.2, 0.2, 0.5, 0.05, 0.8),
        StatisticsError::Setting { .. }
    );
    refused!(
        detectable_mean_difference(0.0, 5.0, 5.0, 0.05, 0.8),
        StatisticsError::Setting { .. }
    );
    // Eight patients in each arm: no response rate is low enough below 30 %.
    let (down, up) = detectable_risk_difference(0.3, 8.0, 8.0, 0.05, 0.8).unwrap();
    assert!(down.is_none() && up.is_some());
    let table = table(1, 8, 3, 10);
    let direct = detectable_risk_difference(0.3, 8.0, 10.0, 0.05, 0.8);
    assert_eq!(table.detectable_difference(0.05, 0.8), direct);
}

#[test]
fn means_and_models_that_do_not_vary() {
    let flat = [2.0, 2.0, 2.0];
    refused!(
        mean_difference(&flat, &flat, GroupVariance::Separate, 0.95),
        StatisticsError::NoSpread { .. }
    );
    refused!(
        mean_difference(&[1.0], &flat, GroupVariance::Separate, 0.95),
        StatisticsError::TooFew { .. }
    );
    refused!(
        geometric_mean_ratio(&[1.0, 0.0], &flat, GroupVariance::Pooled, 0.9),
        StatisticsError::NotPositive { index: 1, .. }
    );
    refused!(rank_sum(&[], &flat, 0.95), StatisticsError::TooFew { .. });
    refused!(
        rank_sum(&flat, &flat, 0.95),
        StatisticsError::AllZero { .. }
    );
    let column = |name: &str, values: &[f64]| Covariate {
        name: name.to_owned(),
        values: values.to_vec(),
    };
    let x = column("x", &[1.0, 2.0, 3.0, 4.0, 6.0]);
    let y = [1.0, 3.0, 2.0, 5.0, 4.0];
    refused!(
        least_squares(&y, &[column("c", &[1.0; 5])], 0.95),
        StatisticsError::Collinear { .. }
    );
    refused!(
        least_squares(&y, &[x.clone(), x.clone()], 0.95),
        StatisticsError::Collinear { .. }
    );
    refused!(
        least_squares(&x.values, std::slice::from_ref(&x), 0.95),
        StatisticsError::NoSpread { .. }
    );
    refused!(
        logistic(&[false; 5], std::slice::from_ref(&x), 0.95),
        StatisticsError::NoEvents { .. }
    );
    refused!(
        logistic(&[true; 5], std::slice::from_ref(&x), 0.95),
        StatisticsError::EmptyCell { .. }
    );
    refused!(
        logistic(&[false, false, true, true, true], &[x], 0.95),
        StatisticsError::OddsSeparated { .. }
    );
}
