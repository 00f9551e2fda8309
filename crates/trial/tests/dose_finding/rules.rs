//! The rules of each design, step by step, and refusals.

use posology_trial::dose_finding::*;

use crate::history;

/// Plays cohorts (dose from one, toxicities of three) and returns what comes next.
fn play(design: &dyn DoseDesign, cohorts: &[(usize, u32)]) -> (Decision, Option<usize>) {
    let mut history = History::new(design.doses());
    for &(dose, toxicities) in cohorts {
        let Decision::Treat {
            dose: asked,
            patients,
        } = design.next(&history)
        else {
            panic!("stopped before {cohorts:?} ended");
        };
        assert_eq!(asked, dose - 1, "{cohorts:?}");
        history
            .push(Cohort {
                dose: asked,
                patients,
                toxicities,
            })
            .unwrap();
    }
    (
        design.next(&history),
        design.recommend(&history).map(|dose| dose + 1),
    )
}

fn treat(dose: usize) -> Decision {
    Decision::Treat {
        dose: dose - 1,
        patients: 3,
    }
}

const COMPLETE: Decision = Decision::Stop(StopReason::Complete);
const TOO_TOXIC: Decision = Decision::Stop(StopReason::TooToxic);

#[test]
fn three_plus_three() {
    let design = |confirmation| ThreePlusThree::new(3, 0, confirmation).unwrap();
    let always = design(Confirmation::Always);
    assert_eq!(play(&always, &[]), (treat(1), None));
    assert_eq!(play(&always, &[(1, 0)]).0, treat(2));
    assert_eq!(play(&always, &[(1, 1)]).0, treat(1));
    assert_eq!(play(&always, &[(1, 2)]), (TOO_TOXIC, None));
    assert_eq!(play(&always, &[(1, 1), (1, 0)]).0, treat(2));
    assert_eq!(play(&always, &[(1, 1), (1, 1)]), (TOO_TOXIC, None));
    // two of three at dose 2: three more at dose 1, unless it has six
    assert_eq!(play(&always, &[(1, 0), (2, 2)]).0, treat(1));
    assert_eq!(
        play(&always, &[(1, 0), (2, 2), (1, 1)]),
        (COMPLETE, Some(1))
    );
    assert_eq!(play(&always, &[(1, 0), (2, 2), (1, 2)]), (TOO_TOXIC, None));
    assert_eq!(
        play(&always, &[(1, 1), (1, 0), (2, 3)]),
        (COMPLETE, Some(1))
    );
    // the highest dose needs six as well
    let top = [(1, 0), (2, 0), (3, 0)];
    assert_eq!(play(&always, &top).0, treat(3));
    let six = [(1, 0), (2, 0), (3, 0), (3, 1)];
    assert_eq!(play(&always, &six), (COMPLETE, Some(3)));
    let fail = [(1, 0), (2, 0), (3, 0), (3, 2)];
    assert_eq!(play(&always, &fail).0, treat(2));

    let after = design(Confirmation::AfterDeescalation);
    assert_eq!(play(&after, &top), (COMPLETE, Some(3)));
    assert_eq!(play(&after, &[(1, 0), (2, 2)]).0, treat(1));
    let none = design(Confirmation::None);
    assert_eq!(play(&none, &[(1, 0), (2, 2)]), (COMPLETE, Some(1)));

    let later = ThreePlusThree::new(3, 1, Confirmation::Always).unwrap();
    assert_eq!(play(&later, &[(2, 2)]).0, treat(1));
    assert_eq!(play(&later, &[(2, 2), (1, 0)]).0, treat(1));
}

#[test]
fn boin_by_the_table() {
    // target 0.3: of 3, escalate with 0, stay with 1, de-escalate with 2, eliminate with 3
    let design = IntervalDesign::new(IntervalSettings::boin(3, 0.3, 12)).unwrap();
    assert_eq!(play(&design, &[(1, 0)]).0, treat(2));
    assert_eq!(play(&design, &[(1, 0), (2, 1)]).0, treat(2));
    assert_eq!(play(&design, &[(1, 0), (2, 2)]).0, treat(1));
    assert_eq!(play(&design, &[(1, 3)]), (TOO_TOXIC, None));
    // dose 2 is eliminated, so dose 1 is repeated although it is safe
    assert_eq!(play(&design, &[(1, 0), (2, 3), (1, 0)]).0, treat(1));
    let full = [(1, 0), (2, 3), (1, 0), (1, 0)];
    let end = Decision::Stop(StopReason::SampleSize);
    assert_eq!(play(&design, &full), (end, Some(1)));
    // what is left of the planned patients
    let odd = IntervalDesign::new(IntervalSettings::boin(3, 0.3, 7)).unwrap();
    let last = Decision::Treat {
        dose: 2,
        patients: 1,
    };
    assert_eq!(play(&odd, &[(1, 0), (2, 0)]).0, last);
    // stops where it would stay
    let settings = IntervalSettings {
        stop_at: Some(6),
        ..IntervalSettings::boin(3, 0.3, 30)
    };
    let early = IntervalDesign::new(settings).unwrap();
    let enough = Decision::Stop(StopReason::EnoughAtDose);
    assert_eq!(play(&early, &[(1, 1), (1, 1)]).0, enough);
    assert_eq!(play(&early, &[(1, 1), (1, 0)]).0, treat(2));
    // a trial that was not run by the rules: dose 3 was given although dose 2 is too toxic
    let strange = history(&[3, 3, 3], &[0, 3, 0]);
    let decision = IntervalDesign::new(IntervalSettings::boin(3, 0.3, 30))
        .unwrap()
        .next(&strange);
    assert_eq!(decision, treat(1));
    // stricter at the lowest dose: 2 of 3 end the trial
    let settings = IntervalSettings {
        extra_safe: Some(0.05),
        ..IntervalSettings::boin(3, 0.3, 30)
    };
    let safe = IntervalDesign::new(settings).unwrap();
    assert_eq!(play(&safe, &[(1, 2)]), (TOO_TOXIC, None));
}

#[test]
fn crm_restrictions() {
    let settings = |escalation, coherence| CrmSettings {
        cohort_size: 3,
        escalation,
        coherence,
        ..CrmSettings::new(0.25, skeleton(0.05, 0.25, 1, 6).unwrap(), 30)
    };
    let design = |escalation, coherence| Crm::new(settings(escalation, coherence)).unwrap();
    let free = design(Escalation::Free, Coherence::None);
    assert!(matches!(play(&free, &[(1, 0)]).0, Decision::Treat { dose, .. } if dose > 1));
    let step = design(Escalation::OneStep, Coherence::None);
    assert_eq!(play(&step, &[(1, 0)]).0, treat(2));
    // back at dose 1 after dose 3: the highest dose tried and the latest one are not the same
    let mut returned = history(&[3, 3, 3, 0, 0, 0], &[0; 6]);
    returned
        .push(Cohort {
            dose: 0,
            patients: 3,
            toxicities: 0,
        })
        .unwrap();
    assert_eq!(step.next(&returned), treat(2));
    let untried = design(Escalation::UntriedNext, Coherence::None);
    assert_eq!(untried.next(&returned), treat(4));
    assert!(matches!(free.next(&returned), Decision::Treat { dose, .. } if dose > 3));
    // the rate of the cohort, 1 of 3, lies above the target: no escalation
    let coherent = design(Escalation::OneStep, Coherence::LastCohort);
    let calm = [(1, 0), (2, 0), (3, 0), (4, 1)];
    assert_eq!(play(&coherent, &calm).0, treat(4));
    let cautious = Crm::new(CrmSettings {
        overdose_stop: Some(0.9),
        ..settings(Escalation::OneStep, Coherence::None)
    })
    .unwrap();
    assert_eq!(play(&cautious, &[(1, 3)]), (TOO_TOXIC, None));
}

#[test]
fn impossible_cohorts_are_refused() {
    let mut history = History::new(2);
    for (dose, patients, toxicities) in [(2, 3, 0), (0, 0, 0), (0, 3, 4)] {
        let cohort = Cohort {
            dose,
            patients,
            toxicities,
        };
        let error = history.push(cohort).unwrap_err();
        assert!(
            matches!(error, DoseFindingError::Cohort { doses: 2, .. }),
            "{error}"
        );
    }
    assert_eq!(history, History::new(2));
}

#[test]
fn settings_that_make_no_design_are_refused() {
    let boin = || IntervalSettings::boin(5, 0.3, 30);
    let setting = |settings: IntervalSettings| match IntervalDesign::new(settings).unwrap_err() {
        DoseFindingError::Range { setting, .. } => setting,
        other => panic!("{other}"),
    };
    let rule = |safe, toxic| IntervalRule::Boin { safe, toxic };
    assert_eq!(
        setting(IntervalSettings {
            target: 0.7,
            ..boin()
        }),
        "target"
    );
    assert_eq!(
        setting(IntervalSettings {
            target: f64::NAN,
            ..boin()
        }),
        "target"
    );
    assert_eq!(
        setting(IntervalSettings {
            rule: rule(0.29, 0.42),
            ..boin()
        }),
        "safe"
    );
    assert_eq!(
        setting(IntervalSettings {
            rule: rule(0.18, 0.31),
            ..boin()
        }),
        "toxic"
    );
    assert_eq!(
        setting(IntervalSettings {
            cohort_size: 0,
            ..boin()
        }),
        "cohort_size"
    );
    assert_eq!(
        setting(IntervalSettings {
            cohort_size: 31,
            ..boin()
        }),
        "cohort_size"
    );
    assert_eq!(setting(IntervalSettings { start: 5, ..boin() }), "start");
    assert_eq!(
        setting(IntervalSettings {
            elimination: 1.0,
            ..boin()
        }),
        "elimination"
    );
    assert_eq!(
        setting(IntervalSettings {
            extra_safe: Some(0.5),
            ..boin()
        }),
        "extra_safe"
    );
    assert_eq!(
        setting(IntervalSettings {
            stop_at: Some(0),
            ..boin()
        }),
        "stop_at"
    );
    assert!(ThreePlusThree::new(0, 0, Confirmation::None).is_err());
    assert!(ThreePlusThree::new(3, 3, Confirmation::None).is_err());

    let crm = |skeleton: &[f64]| CrmSettings::new(0.25, skeleton.to_vec(), 24);
    let error = Crm::new(crm(&[0.1, 0.3, 0.2])).unwrap_err();
    assert!(matches!(
        error,
        DoseFindingError::Skeleton { position: 3, .. }
    ));
    assert!(matches!(
        Crm::new(crm(&[])).unwrap_err(),
        DoseFindingError::Missing { .. }
    ));
    let wide = CrmSettings {
        prior_sd: 0.0,
        ..crm(&[0.1, 0.2])
    };
    assert!(matches!(
        Crm::new(wide).unwrap_err(),
        DoseFindingError::Range {
            setting: "prior_sd",
            ..
        }
    ));
    assert!(skeleton(0.25, 0.2, 1, 4).is_err());
    assert!(skeleton(0.05, 0.2, 4, 4).is_err());
    assert!(Scenario::new(vec![0.1, 1.2], 0.3).is_err());
    assert!(FixedToxicity::new(1, vec![]).is_err());
    assert!(matches!(
        PatientPool::new(1, &[vec![true], vec![]]),
        Err(DoseFindingError::PoolSize {
            dose: 2,
            count: 0,
            expected: 1
        })
    ));
    assert!(PatientPool::new(1, &[]).is_err());

    let design = ThreePlusThree::new(3, 0, Confirmation::None).unwrap();
    let scenario = Scenario::new(vec![0.1, 0.2], 0.3).unwrap();
    assert!(matches!(
        enumerate(&design, &scenario, 100),
        Err(DoseFindingError::DoseCount {
            count: 2,
            doses: 3,
            ..
        })
    ));
    let source = FixedToxicity::new(1, vec![0.1, 0.2, 0.3]).unwrap();
    let three = Scenario::new(vec![0.1, 0.2, 0.3], 0.3).unwrap();
    assert!(simulate(&design, &source, &three, 0).is_err());
    assert!(simulate(&design, &source, &scenario, 10).is_err());
}

#[test]
fn a_trial_file_selects_a_design() {
    let build = |text: &str, doses: usize| {
        serde_json::from_str::<DoseFindingSettings>(text)
            .unwrap()
            .build(doses)
    };
    let design = build(r#"{ "design": "boin", "target": 0.3, "patients": 30 }"#, 5).unwrap();
    assert_eq!(
        (design.name(), design.doses(), design.most_patients()),
        ("boin", 5, 30)
    );
    assert_eq!(design.next(&History::new(5)), treat(1));
    let design = build(r#"{ "design": "3+3", "start": 2 }"#, 4).unwrap();
    assert_eq!(design.next(&History::new(4)), treat(2));
    let design = build(
        r#"{ "design": "crm", "target": 0.25, "patients": 24, "cohort_size": 1, "prior_mtd": 3, "elimination": 0.95 }"#,
        5,
    )
    .unwrap();
    assert_eq!(design.target(), 0.25);
    let text = r#"{ "design": "keyboard", "target": 0.2, "patients": 30, "halfwidth": 0.04 }"#;
    assert_eq!(build(text, 5).unwrap().name(), "keyboard");

    let refused = |text: &str| build(text, 5).err().unwrap();
    assert!(matches!(
        refused(r#"{ "design": "3+3", "patients": 30 }"#),
        DoseFindingError::NoSuchSetting {
            setting: "patients",
            ..
        }
    ));
    assert!(matches!(
        refused(r#"{ "design": "boin", "target": 0.3, "patients": 30, "skeleton": [0.1] }"#),
        DoseFindingError::NoSuchSetting {
            setting: "skeleton",
            ..
        }
    ));
    assert!(matches!(
        refused(r#"{ "design": "crm", "target": 0.04, "patients": 30 }"#),
        DoseFindingError::Range {
            setting: "halfwidth",
            ..
        }
    ));
    assert!(matches!(
        refused(
            r#"{ "design": "crm", "target": 0.3, "patients": 30, "skeleton": [0.1, 0.2], "prior_mtd": 1 }"#
        ),
        DoseFindingError::NoSuchSetting {
            setting: "prior_mtd",
            ..
        }
    ));
    // without a prior guess, the middle dose is thought to be right
    let design = build(r#"{ "design": "crm", "target": 0.3, "patients": 30 }"#, 5).unwrap();
    let prior = skeleton(0.05, 0.3, 2, 5).unwrap();
    let settings = CrmSettings {
        cohort_size: 3,
        restrict_recommendation: true,
        ..CrmSettings::new(0.3, prior, 30)
    };
    let same = Crm::new(settings).unwrap();
    let scenario = Scenario::new(vec![0.1, 0.2, 0.3, 0.4, 0.5], 0.3).unwrap();
    let source = FixedToxicity::new(1, scenario.truth().to_vec()).unwrap();
    assert_eq!(
        simulate(design.as_ref(), &source, &scenario, 50),
        simulate(&same, &source, &scenario, 50)
    );
    let design = build(r#"{ "design": "3+3", "target": 0.25 }"#, 5).unwrap();
    assert_eq!(design.target(), 0.25);
    assert!(matches!(
        refused(r#"{ "design": "crm", "target": 0.3, "patients": 30, "skeleton": [0.1, 0.2] }"#),
        DoseFindingError::DoseCount {
            count: 2,
            doses: 5,
            ..
        }
    ));
    assert!(matches!(
        refused(r#"{ "design": "boin", "target": 0.3 }"#),
        DoseFindingError::Missing {
            setting: "patients",
            ..
        }
    ));
    assert!(matches!(
        refused(r#"{ "design": "boin", "target": 0.3, "patients": 30, "start": 0 }"#),
        DoseFindingError::Range {
            setting: "start",
            ..
        }
    ));
    for kind in DesignKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
    // counts given out of order are one history all the same
    assert_eq!(history(&[3, 6], &[0, 2]).total(), 9);
}
