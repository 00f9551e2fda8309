//! What must hold for any design, and simulation of the trials themselves.

use posology_cohort::philox::standard_normal;
use posology_trial::sequential::*;
use proptest::prelude::*;

use crate::{even, two_sided};

/// Any valid design without a futility boundary.
fn designs() -> impl Strategy<Value = SequentialSettings> {
    let gaps = prop::collection::vec(0.02..1.0f64, 1..7);
    (
        gaps,
        0..BoundaryKind::ALL.len(),
        1..=2u8,
        0.001..0.2f64,
        0.1..0.9f64,
    )
        .prop_map(|(gaps, kind, sides, alpha, shape)| {
            let total: f64 = gaps.iter().sum();
            let mut sum = 0.0;
            let mut looks: Vec<f64> = gaps
                .iter()
                .map(|gap| {
                    sum += gap;
                    sum / total
                })
                .collect();
            *looks.last_mut().unwrap() = 1.0;
            let kind = BoundaryKind::ALL[kind];
            let shape = match kind {
                BoundaryKind::WangTsiatis => Some(shape - 0.4),
                BoundaryKind::LanDeMetsPower => Some(4.0 * shape),
                BoundaryKind::HwangShihDeCani => Some(10.0 * shape - 7.0),
                _ => None,
            };
            SequentialSettings {
                kind,
                looks,
                alpha,
                sides,
                shape,
                futility: None,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_level_is_kept_and_spent_in_order(settings in designs()) {
        let design = SequentialDesign::new(&settings).unwrap();
        let looks = design.looks();
        prop_assert!((looks.last().unwrap().alpha_spent - settings.alpha).abs() < 1e-8);
        prop_assert!((design.rejection(0.0) - settings.alpha).abs() < 1e-8);
        prop_assert!(looks.windows(2).all(|pair| pair[0].alpha_spent <= pair[1].alpha_spent));
        // no look is easier than a fixed test of the whole level
        for look in looks {
            prop_assert!(look.nominal_p <= settings.alpha * (1.0 + 1e-9));
        }
    }

    #[test]
    fn power_grows_with_drift_and_trials_get_shorter(settings in designs(), drift in 0.0..4.0f64) {
        let design = SequentialDesign::new(&settings).unwrap();
        prop_assert!(design.power(drift + 0.1) >= design.power(drift) - 1e-12);
        let information = design.expected_information(drift);
        prop_assert!(information > 0.0 && information <= 1.0 + 1e-12);
        prop_assert!(design.inflation(0.9).unwrap() >= 1.0 - 1e-9);
        let found = design.drift(0.85).unwrap();
        prop_assert!((design.power(found) - 0.85).abs() < 1e-8);
        // every trial ends once
        let stopping = design.crossing(drift);
        let total: f64 = stopping.upper.iter().chain(&stopping.lower).sum();
        prop_assert!(total <= 1.0 + 1e-10);
    }

    #[test]
    fn a_look_more_costs_something(looks in 2..8usize, alpha in 0.001..0.2f64) {
        for kind in [BoundaryKind::Pocock, BoundaryKind::ObrienFleming] {
            let last = |looks| two_sided(kind, even(looks), alpha).looks()[looks - 1].critical;
            prop_assert!(last(looks) > last(looks - 1));
        }
    }

    #[test]
    fn obrien_fleming_falls_and_futility_rises(gap in 0.1..0.8f64, alpha in 0.005..0.1f64, power in 0.75..0.95f64) {
        let looks = vec![0.5 * gap, gap, 0.5 + 0.5 * gap, 1.0];
        let futility = FutilitySettings { kind: BoundaryKind::LanDeMetsPower, power, shape: Some(2.0) };
        let settings = SequentialSettings {
            alpha,
            sides: 1,
            futility: Some(futility),
            ..SequentialSettings::new(BoundaryKind::ObrienFleming, looks)
        };
        let design = SequentialDesign::new(&settings).unwrap();
        for pair in design.looks().windows(2) {
            prop_assert!(pair[0].critical > pair[1].critical);
            prop_assert!(pair[0].futility < pair[1].futility);
        }
        // the level counts no futility, the power does
        prop_assert!((design.looks()[3].alpha_spent - alpha).abs() < 1e-8);
        prop_assert!(design.power(0.0) < alpha);
        let drift = design.drift(power).unwrap();
        let missed: f64 = design.crossing(drift).lower.iter().take(3).sum();
        // at the design's drift the interim looks spend beta t^2
        prop_assert!((missed - (1.0 - power) * design.looks()[2].information.powi(2)).abs() < 1e-7);
    }
}

/// Trials as a statistician would run them: Z from independent increments, looked at in turn.
fn simulate(design: &SequentialDesign, drift: f64, trials: u32) -> (f64, f64, f64) {
    let (mut upper, mut lower, mut information) = (0.0, 0.0, 0.0);
    for trial in 0..trials {
        let (mut w, mut time) = (0.0, 0.0);
        for (index, look) in design.looks().iter().enumerate() {
            let step = look.information - time;
            time = look.information;
            w += drift * step
                + step.sqrt() * standard_normal(2024, trial, 0, 77, u32::try_from(index).unwrap());
            match design.decide(index, w / time.sqrt()) {
                Decision::Continue => continue,
                Decision::RejectUpper => upper += 1.0,
                Decision::RejectLower => lower += 1.0,
                Decision::Futility | Decision::Accept => {}
            }
            information += time;
            break;
        }
    }
    let trials = f64::from(trials);
    (upper / trials, lower / trials, information / trials)
}

#[test]
fn simulated_trials_keep_the_level_and_the_power() {
    let trials = 200_000;
    let within = |got: f64, expected: f64| {
        let error = (expected * (1.0 - expected) / f64::from(trials)).sqrt();
        assert!(
            (got - expected).abs() < 4.0 * error,
            "{got}, expected {expected}"
        );
    };
    for kind in [
        BoundaryKind::Pocock,
        BoundaryKind::ObrienFleming,
        BoundaryKind::LanDeMetsObrienFleming,
    ] {
        let design = two_sided(kind, vec![0.25, 0.6, 1.0], 0.05);
        let (upper, lower, _) = simulate(&design, 0.0, trials);
        within(upper + lower, 0.05);
        within(upper, 0.025);
        let (upper, _, information) = simulate(&design, 2.5, trials);
        within(upper, design.crossing(2.5).upper.iter().sum());
        let expected = design.expected_information(2.5);
        // information per trial lies in (0, 1], so its deviation is at most 1/2
        assert!((information - expected).abs() < 4.0 * 0.5 / f64::from(trials).sqrt());
    }
    let settings = SequentialSettings {
        alpha: 0.025,
        sides: 1,
        futility: Some(FutilitySettings {
            kind: BoundaryKind::LanDeMetsObrienFleming,
            power: 0.9,
            shape: None,
        }),
        ..SequentialSettings::new(BoundaryKind::LanDeMetsObrienFleming, even(3))
    };
    let design = SequentialDesign::new(&settings).unwrap();
    let drift = design.drift(0.9).unwrap();
    within(simulate(&design, drift, trials).0, 0.9);
    within(simulate(&design, 0.0, trials).0, design.power(0.0));
}

#[test]
fn settings_that_make_no_design_are_refused() {
    let base = || SequentialSettings::new(BoundaryKind::Pocock, vec![0.5, 1.0]);
    let refused = |settings: SequentialSettings| SequentialDesign::new(&settings).unwrap_err();
    let with_looks = |looks: &[f64]| SequentialSettings {
        looks: looks.to_vec(),
        ..base()
    };
    assert!(matches!(
        refused(with_looks(&[])),
        SequentialError::Looks { count: 0, .. }
    ));
    let fraction = |looks: &[f64], expected: usize| {
        let error = refused(with_looks(looks));
        assert!(
            matches!(error, SequentialError::Fraction { look, .. } if look == expected),
            "{looks:?}: {error}"
        );
    };
    fraction(&[0.5, 0.9], 2);
    fraction(&[0.5, 0.5, 1.0], 2);
    fraction(&[0.0, 1.0], 1);
    fraction(&[0.7, 0.3, 1.0], 2);
    fraction(&[f64::NAN, 1.0], 1);
    fraction(&[0.5, 1.2], 2);
    let with_alpha = |alpha, sides| SequentialSettings {
        alpha,
        sides,
        ..base()
    };
    assert!(matches!(
        refused(with_alpha(0.0, 2)),
        SequentialError::Alpha { .. }
    ));
    assert!(matches!(
        refused(with_alpha(0.6, 1)),
        SequentialError::Alpha { below: 0.5, .. }
    ));
    assert!(matches!(
        refused(with_alpha(f64::NAN, 2)),
        SequentialError::Alpha { .. }
    ));
    assert!(matches!(
        refused(with_alpha(0.05, 3)),
        SequentialError::Sides { sides: 3 }
    ));
    let shaped = |kind, shape| SequentialSettings {
        kind,
        shape,
        ..base()
    };
    for (kind, shape) in [
        (BoundaryKind::WangTsiatis, None),
        (BoundaryKind::WangTsiatis, Some(7.0)),
        (BoundaryKind::LanDeMetsPower, Some(0.0)),
        (BoundaryKind::HwangShihDeCani, Some(f64::INFINITY)),
        (BoundaryKind::Pocock, Some(1.0)),
    ] {
        let error = refused(shaped(kind, shape));
        assert!(
            matches!(error, SequentialError::Shape { .. }),
            "{kind:?}: {error}"
        );
    }
    let futility = |kind, sides, power| SequentialSettings {
        sides,
        futility: Some(FutilitySettings {
            kind,
            power,
            shape: None,
        }),
        ..base()
    };
    let of = BoundaryKind::LanDeMetsObrienFleming;
    assert!(matches!(
        refused(futility(of, 2, 0.9)),
        SequentialError::TwoSidedFutility
    ));
    assert!(matches!(
        refused(futility(of, 1, 0.01)),
        SequentialError::Power { .. }
    ));
    assert!(matches!(
        refused(futility(BoundaryKind::Pocock, 1, 0.9)),
        SequentialError::Shape { .. }
    ));
    let design = SequentialDesign::new(&base()).unwrap();
    assert!(matches!(
        design.drift(1.0),
        Err(SequentialError::Power { .. })
    ));
    assert!(matches!(
        design.drift(0.01),
        Err(SequentialError::Power { .. })
    ));
    assert!(
        "lan-demets"
            .parse::<BoundaryKind>()
            .unwrap_err()
            .contains(&"lan-demets-of")
    );
}

#[test]
fn settings_read_as_a_trial_file_writes_them() {
    let text = r#"{ "kind": "lan-demets-of", "looks": [0.5, 1.0] }"#;
    let settings: SequentialSettings = serde_json::from_str(text).unwrap();
    assert_eq!((settings.alpha, settings.sides), (0.05, 2));
    for kind in BoundaryKind::ALL {
        let name = serde_json::to_value(kind).unwrap();
        assert_eq!(name.as_str().unwrap(), kind.name());
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert!(
        serde_json::from_str::<SequentialSettings>(
            r#"{ "kind": "pocock", "looks": [1], "apha": 0.1 }"#
        )
        .is_err()
    );
}
