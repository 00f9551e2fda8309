//! Cases small enough to check by hand, refusals, and large groups with a known truth.

use posology_trial::statistics::*;

use crate::Xorshift;

#[test]
fn curve_by_hand() {
    // 4 patients: event at 1, censored at 2, event at 3, censored at 4.
    // S(1) = 3/4; S(3) = 3/4 * 1/2 = 3/8. Area to 4: 1 + 2 * 3/4 + 1 * 3/8 = 2.875.
    let sample = SurvivalSample::new(
        "four",
        vec![3.0, 1.0, 4.0, 2.0],
        vec![true, true, false, false],
    )
    .unwrap();
    let curve = KaplanMeier::fit(&sample);
    assert_eq!(curve.survival(0.5), Some(1.0));
    assert_eq!(curve.survival(1.0), Some(0.75));
    assert_eq!(curve.survival(3.5), Some(0.375));
    assert_eq!(curve.survival(4.5), None);
    assert_eq!(
        [0.0, 1.0, 1.5, 3.0, 4.0, 4.1].map(|t| curve.at_risk(t)),
        [4, 4, 3, 2, 1, 0]
    );
    assert_eq!((curve.events_until(3.0), curve.censored(3.0)), (2, 1));
    assert_eq!(
        restricted_mean(&curve, 4.0, 0.95).unwrap().mean.value,
        2.875
    );
    // Greenwood at 3: (3/8)^2 (1/(4*3) + 1/(2*1)) = 9/64 * 7/12
    let variance = curve.steps()[2].variance().unwrap();
    assert!((variance - 9.0 / 64.0 * 7.0 / 12.0).abs() < 1e-15);
    assert!(matches!(
        restricted_mean(&curve, 5.0, 0.95),
        Err(StatisticsError::Horizon { last: 4.0, .. })
    ));
}

#[test]
fn bad_input_is_named() {
    let two = || SurvivalSample::new("two", vec![1.0, 2.0], vec![false, false]).unwrap();
    let new =
        |times: &[f64], events: &[bool]| SurvivalSample::new("arm A", times.into(), events.into());
    assert!(matches!(
        new(&[], &[]),
        Err(StatisticsError::TooFew { count: 0, .. })
    ));
    assert!(matches!(
        new(&[1.0], &[]),
        Err(StatisticsError::LengthsDiffer { .. })
    ));
    assert!(matches!(
        new(&[f64::NAN], &[true]),
        Err(StatisticsError::NotFinite { index: 0, .. })
    ));
    assert!(matches!(
        new(&[1.0, -2.0], &[true, true]),
        Err(StatisticsError::NegativeTime { index: 1, .. })
    ));
    assert!(matches!(
        log_rank(&[&two(), &two()]),
        Err(StatisticsError::NoEvents { .. })
    ));
    assert!(matches!(
        hazard_ratio(&two(), &two(), 0.95),
        Err(StatisticsError::NoEvents { .. })
    ));
    assert!(matches!(
        log_rank(&[&two()]),
        Err(StatisticsError::TooFew { needed: 2, .. })
    ));
    assert!(matches!(
        clopper_pearson(3, 2, 0.95),
        Err(StatisticsError::Counts { .. })
    ));
    assert!(matches!(
        wilson(0, 0, 0.95),
        Err(StatisticsError::TooFew { .. })
    ));
    assert!(matches!(
        wilson(1, 2, 95.0),
        Err(StatisticsError::Level { level: 95.0 })
    ));
    assert!(matches!(
        paired_difference(&[1.0, 2.0], &[1.0, 2.0], 0.95),
        Err(StatisticsError::AllZero { .. })
    ));
    assert!(matches!(
        signed_rank(&[1.0, 2.0], &[1.0, 2.0], 0.95),
        Err(StatisticsError::AllZero { .. })
    ));
    let curve = KaplanMeier::fit(&two());
    assert!(matches!(
        curve.quantile(1.0, Band::LogLog, 0.95),
        Err(StatisticsError::Probability { .. })
    ));
    assert_eq!(curve.median(Band::LogLog, 0.95).unwrap().value, None);
    let message = new(&[1.0, f64::INFINITY], &[true, true])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("arm A") && message.contains("position 1"),
        "{message}"
    );
}

#[test]
fn cox_refuses_what_the_data_do_not_determine() {
    let times: Vec<f64> = (1..=20).map(f64::from).collect();
    let patients = |events: Vec<bool>| SurvivalSample::new("all", times.clone(), events).unwrap();
    let covariate = |name: &str, values: Vec<f64>| Covariate {
        name: name.to_owned(),
        values,
    };
    let arm: Vec<f64> = (0..20).map(|i| f64::from(i % 2)).collect();

    let constant = [covariate("centre", vec![3.0; 20])];
    let error = cox(&patients(vec![true; 20]), &constant, None, 0.95).unwrap_err();
    assert!(matches!(&error, StatisticsError::NotEstimable { covariate } if covariate == "centre"));

    let double: Vec<f64> = arm.iter().map(|a| 1.0 - 2.0 * a).collect();
    let twice = [covariate("arm", arm.clone()), covariate("copy", double)];
    let error = cox(&patients(vec![true; 20]), &twice, None, 0.95).unwrap_err();
    assert!(matches!(&error, StatisticsError::NotEstimable { covariate } if covariate == "copy"));

    // Only patients with arm = 1 ever have the event.
    let events = arm.iter().map(|a| *a == 1.0).collect();
    let error = cox(&patients(events), &[covariate("arm", arm)], None, 0.95).unwrap_err();
    assert!(
        matches!(&error, StatisticsError::Separated { covariate } if covariate == "arm"),
        "{error}"
    );
}

#[test]
fn large_groups_are_fast_and_agree_with_the_true_hazard_ratio() {
    let mut random = Xorshift(99);
    let mut exponential = |rate: f64| {
        let uniform = (f64::from(random.next_u32()) + 0.5) / f64::from(u32::MAX);
        -uniform.ln() / rate
    };
    let n = 20_000;
    let mut group = |name: &str, rate: f64| {
        // Whole days, so that ties are many; follow-up ends at 200.
        let days: Vec<f64> = (0..n).map(|_| exponential(rate).ceil()).collect();
        let events = days.iter().map(|d| *d <= 200.0).collect();
        SurvivalSample::new(name, days.iter().map(|d| d.min(200.0)).collect(), events).unwrap()
    };
    let (a, b) = (group("a", 0.006), group("b", 0.010));
    let fit = hazard_ratio(&a, &b, 0.999).unwrap();
    let ratio = fit.coefficients[0].hazard_ratio;
    assert!(ratio.low < 0.6 && 0.6 < ratio.high, "{ratio:?}");
    assert!(log_rank(&[&a, &b]).unwrap().test.p_value < 1e-12);
    let median = KaplanMeier::fit(&b).median(Band::LogLog, 0.95).unwrap();
    let truth = 2.0_f64.ln() / 0.010;
    assert!((median.value.unwrap() - truth).abs() < 3.0);
}
