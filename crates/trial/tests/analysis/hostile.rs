//! What cannot be computed keeps its reason.

use posology_kernels::simulate::Status;
use posology_trial::TrialError;
use posology_trial::run::CohortAnalysis;

use crate::{Numbers, analysed, every_arm, parallel, trial};

#[test]
fn the_diverged_are_left_out_and_counted() {
    let trial = trial(false);
    let mut cohort = parallel(&trial, 100, 2);
    for k in [0, 5] {
        cohort.arms[1].status[k] = Status::NotFinite;
        for values in &mut cohort.arms[1].values {
            values[k] = f64::NAN;
        }
    }
    let found = analysed(&trial, &cohort);
    assert_eq!((found.patients, found.excluded), (98, 2));
    assert_eq!((found.arms[1].entered, found.arms[1].diverged), (60, 2));
    assert_eq!(found.time(0).unwrap().arms[1].curve.patients(), 58);
    assert_eq!(found.toxicities[0].arms[1].patients, 58);
    // in every arm: left out of both
    let trial = crate::trial(true);
    let mut cohort = every_arm(&trial, 50, 2);
    cohort.arms[0].status[7] = Status::NotFinite;
    let found = analysed(&trial, &cohort);
    assert_eq!((found.patients, found.excluded), (49, 1));
    assert!(
        found
            .time(0)
            .unwrap()
            .arms
            .iter()
            .all(|arm| arm.curve.patients() == 49)
    );
}

#[test]
fn an_arm_without_patients_is_an_error() {
    let trial = trial(false);
    let mut cohort = parallel(&trial, 100, 2);
    cohort.arms[0].status.fill(Status::NotFinite);
    let found = CohortAnalysis::new(&trial, &cohort, 1, 0);
    assert!(matches!(found, Err(TrialError::NobodyCompleted { .. })));
}

#[test]
fn nothing_happens() {
    let trial = trial(false);
    let mut cohort = parallel(&trial, 60, 2);
    for arm in &mut cohort.arms {
        for e in [0, 1, 2, 3] {
            arm.events[e].fill(false);
        }
        for e in [0, 2] {
            arm.values[e].fill(140.0);
        }
        arm.values[1].fill(20.0);
        arm.values[4].fill(1.0);
        arm.grade[0].fill(0.0);
    }
    let found = analysed(&trial, &cohort);
    let comparison = &found.time(0).unwrap().comparisons[0];
    assert!(comparison.log_rank.is_err() && comparison.hazard_ratio.is_err());
    assert!(comparison.proportional_hazards.is_err() && comparison.restricted_mean.is_err());
    let effect = &found.rate(3).unwrap().effects[0];
    assert!(effect.risk_ratio.is_err() && effect.difference.is_ok());
    assert!(found.number(4).unwrap().effects[0].difference.is_err());
    for claim in &found.claims.claims {
        assert!(claim.p_value.is_err(), "{}", claim.test);
        assert!(claim.adjusted.is_none() && !claim.significant);
    }
    let wins = found.wins.as_ref().unwrap().comparisons[0]
        .unmatched
        .as_ref()
        .unwrap();
    assert!(wins.is_err());
    let rows = &found.subgroups[0].outcomes[0].comparisons[0].rows;
    assert!(
        rows.iter()
            .all(|row| row.effect.is_err() && row.detectable.is_err())
    );
}

#[test]
fn a_number_that_an_arm_does_not_have() {
    let trial = trial(false);
    let mut cohort = parallel(&trial, 60, 2);
    cohort.arms[1].values[4] = Vec::new();
    let found = analysed(&trial, &cohort);
    let numbers = found.number(4).unwrap();
    assert_eq!(numbers.arms.len(), 1);
    assert_eq!(numbers.without[0].0, 1);
    assert!(numbers.effects[0].difference.is_err());
    // the others of the family are tested as if it had shown nothing
    assert!(found.claims.claims[2].p_value.is_err());
    assert!(found.claims.claims[0].adjusted.is_some());
}

/// Small trials of any luck: an analysis or an error, and counts that add up.
#[test]
fn any_small_trial_has_an_analysis() {
    for (seed, every) in (0..60).map(|seed| (seed, seed % 2 == 0)) {
        let trial = trial(every);
        let n = 5 + (seed as usize * 7) % 23;
        let mut cohort = if every {
            every_arm(&trial, n, seed)
        } else {
            parallel(&trial, n, seed)
        };
        // some diverge, some numbers do not exist
        let mut numbers = Numbers::new(seed + 1000);
        for arm in &mut cohort.arms {
            for k in 0..arm.members.len() {
                if numbers.draw() < 0.05 {
                    arm.status[k] = Status::Negative;
                    arm.values
                        .iter_mut()
                        .for_each(|values| values[k] = f64::NAN);
                } else if numbers.draw() < 0.1 {
                    arm.values[4][k] = f64::NAN;
                }
            }
        }
        let found = match CohortAnalysis::new(&trial, &cohort, seed, 0) {
            Ok(found) => found,
            Err(TrialError::NobodyCompleted { .. }) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        for (arm, patients) in found.arms.iter().enumerate() {
            assert_eq!(patients.entered, cohort.arms[arm].members.len());
            let completed = patients.entered - patients.diverged;
            assert!(if every {
                patients.analysed <= completed
            } else {
                patients.analysed == completed
            });
            assert_eq!(
                found.time(0).unwrap().arms[arm].curve.patients(),
                patients.analysed
            );
            assert_eq!(found.toxicities[0].arms[arm].at_least(0), patients.analysed);
            let number = found
                .number(4)
                .unwrap()
                .arms
                .iter()
                .find(|other| other.arm == arm);
            if let Some(number) = number {
                assert_eq!(number.summary.count + number.missing, patients.analysed);
            }
        }
        for factor in &found.subgroups {
            for row in &factor.outcomes[0].comparisons[0].rows {
                if let Ok(effect) = &row.effect {
                    assert!(effect.low <= effect.value && effect.value <= effect.high);
                }
            }
        }
        assert_eq!(found.claims.claims.len(), 3);
        assert!(found.to_json(&trial, &cohort).is_object());
    }
}
