//! The same patients in every arm.

use posology_trial::run::CohortAnalysis;
use posology_trial::statistics::{paired_difference, signed_rank};

use crate::{analysed, close, every_arm, trial};

#[test]
fn each_patient_is_compared_with_himself() {
    let trial = trial(true);
    let cohort = every_arm(&trial, 150, 5);
    let found = analysed(&trial, &cohort);
    assert!(found.every_arm && found.patients == 150);
    let comparison = &found.time(0).unwrap().comparisons[0];
    assert!(comparison.stratified_log_rank.is_none());
    let paired = comparison.paired.as_ref().unwrap().as_ref().unwrap();
    let (own, other) = (&cohort.arms[1].values[0], &cohort.arms[0].values[0]);
    let later = own.iter().zip(other).filter(|(a, b)| a > b).count();
    let earlier = own.iter().zip(other).filter(|(a, b)| a < b).count();
    close(paired.better.value, later as f64 / 150.0);
    close(paired.worse.value, earlier as f64 / 150.0);
    close(
        paired.better.value + paired.worse.value + paired.same.value,
        1.0,
    );
    let mean = own.iter().zip(other).map(|(a, b)| a - b).sum::<f64>() / 150.0;
    close(paired.mean.value, mean);
    // the sign test and the signed-rank test agree on what is plain
    let ranks = signed_rank(own, other, 0.95).unwrap();
    assert!(paired.p_value.unwrap() < 0.05 && ranks.p_value < 0.05);
    let number = found.number(4).unwrap().effects[0]
        .difference
        .as_ref()
        .unwrap();
    let direct = paired_difference(&cohort.arms[1].values[4], &cohort.arms[0].values[4], 0.95);
    assert_eq!(number.p_value, direct.unwrap().p_value);
}

#[test]
fn events_are_paired_as_by_mcnemar() {
    let trial = trial(true);
    let mut cohort = every_arm(&trial, 20, 5);
    // 9 with the event in the second arm only, 2 in the first only, 4 in both, 5 in none
    let (own, other) = (
        (0..20).map(|k| k < 13).collect::<Vec<bool>>(),
        (0..20).map(|k| (9..15).contains(&k)).collect::<Vec<bool>>(),
    );
    cohort.arms[1].events[3] = own;
    cohort.arms[0].events[3] = other;
    let found = analysed(&trial, &cohort);
    let effect = &found.rate(3).unwrap().effects[0];
    let paired = effect.paired.as_ref().unwrap().as_ref().unwrap();
    close(paired.only_arm.value, 0.45);
    close(paired.only_control.value, 0.1);
    close(paired.both.value, 0.2);
    close(paired.neither.value, 0.25);
    // 2 (1 + 11 + 55) / 2^11
    close(paired.p_value.unwrap(), 134.0 / 2048.0);
    let claim = &found.claims.claims[1];
    assert_eq!(claim.test, "McNemar's exact test within patients");
    assert_eq!(claim.p_value, Ok(paired.p_value.unwrap()));
}

#[test]
fn wins_are_counted_within_patients() {
    let trial = trial(true);
    let cohort = every_arm(&trial, 60, 8);
    let found = analysed(&trial, &cohort);
    let comparison = &found.wins.as_ref().unwrap().comparisons[0];
    assert!(comparison.unmatched.is_none());
    let matched = comparison.matched.as_ref().unwrap().as_ref().unwrap();
    let (mut wins, mut losses) = (0, 0);
    for k in 0..60 {
        // who is followed beyond the other's event wins; death first, then neutropenia
        for e in [0, 1] {
            let row = |arm: usize| (cohort.arms[arm].values[e][k], cohort.arms[arm].events[e][k]);
            let ((own, own_event), (other, other_event)) = (row(1), row(0));
            if other_event && own > other {
                wins += 1;
                break;
            }
            if own_event && other > own {
                losses += 1;
                break;
            }
        }
    }
    assert_eq!((matched.wins, matched.losses), (wins, losses));
}

#[test]
fn a_seed_fixes_the_resampling() {
    let trial = trial(true);
    let cohort = every_arm(&trial, 40, 5);
    let of = |seed: u64| {
        let found = CohortAnalysis::new(&trial, &cohort, seed, 0).unwrap();
        let paired = found.time(0).unwrap().comparisons[0].paired.clone();
        paired.unwrap().unwrap().mean
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}
