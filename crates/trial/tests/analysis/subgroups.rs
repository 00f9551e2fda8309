//! Who benefits less, who is harmed more.

use posology_trial::run::{Measure, SubgroupQuestion};
use posology_trial::statistics::{SurvivalSample, detectable_hazard_ratio, hazard_ratio};

use crate::{Numbers, RESPONSE, analysed, close, every_arm, parallel, trial};

#[test]
fn counts_add_up() {
    let trial = trial(false);
    let cohort = parallel(&trial, 240, 3);
    let found = analysed(&trial, &cohort);
    assert_eq!(found.subgroups.len(), 2);
    for factor in &found.subgroups {
        // the second factor leaves out the women
        assert_eq!(factor.outside, if factor.factor == 0 { 0 } else { 120 });
        let questions: Vec<_> = factor
            .outcomes
            .iter()
            .map(|outcome| outcome.question)
            .collect();
        assert_eq!(
            questions,
            [SubgroupQuestion::Endpoint(0), SubgroupQuestion::Severe(0)]
        );
        for outcome in &factor.outcomes {
            let rows = &outcome.comparisons[0].rows;
            let patients: usize = rows
                .iter()
                .map(|r| r.own.patients + r.control.patients)
                .sum();
            assert_eq!(patients, 240 - factor.outside);
            if factor.factor == 0 {
                let events: usize = rows.iter().map(|row| row.own.events.unwrap()).sum();
                let all = match outcome.question {
                    SubgroupQuestion::Endpoint(_) => found.time(0).unwrap().arms[1].events,
                    SubgroupQuestion::Severe(_) => found.toxicities[0].arms[1].at_least(3),
                };
                assert_eq!(events, all);
            }
        }
    }
}

#[test]
fn a_group_is_a_trial_of_its_own() {
    let trial = trial(false);
    let cohort = parallel(&trial, 240, 3);
    let found = analysed(&trial, &cohort);
    let outcome = &found.subgroups[0].outcomes[0];
    assert_eq!(outcome.measure, Measure::HazardRatio);
    let comparison = &outcome.comparisons[0];
    for (group, row) in comparison.rows.iter().enumerate() {
        let sample = |arm: usize| {
            let arm = &cohort.arms[arm];
            let kept: Vec<usize> = (0..arm.members.len())
                .filter(|&k| arm.members[k] % 2 == group)
                .collect();
            SurvivalSample::new("g", arm.values[0].clone(), arm.events[0].clone())
                .unwrap()
                .select(&kept)
                .unwrap()
        };
        let (own, control) = (sample(1), sample(0));
        let direct = hazard_ratio(&own, &control, 0.95).unwrap();
        let effect = row.effect.as_ref().unwrap();
        close(effect.value, direct.coefficients[0].hazard_ratio.value);
        close(effect.low, direct.coefficients[0].hazard_ratio.low);
        let share = own.len() as f64 / (own.len() + control.len()) as f64;
        let events = (own.event_count() + control.event_count()) as f64;
        let smallest = detectable_hazard_ratio(events, share, 0.05, 0.8).unwrap();
        let stated = row.detectable.as_ref().unwrap();
        close(stated.below.unwrap(), smallest);
        close(stated.above.unwrap(), 1.0 / smallest);
        assert!(*row.detectable_gap.as_ref().unwrap() < smallest);
        assert!(row.within.is_none());
    }
    let overall = found.time(0).unwrap().comparisons[0]
        .hazard_ratio
        .as_ref()
        .unwrap();
    close(comparison.overall.as_ref().unwrap().value, overall.value);
    assert!(comparison.interaction_within.is_none());
}

/// Women are harmed by the higher dose, men are not: the test of interaction sees it.
#[test]
fn harm_in_one_group_is_seen() {
    let trial = trial(false);
    let mut cohort = parallel(&trial, 400, 9);
    let mut numbers = Numbers::new(4);
    for (index, arm) in cohort.arms.iter_mut().enumerate() {
        for (k, &p) in arm.members.iter().enumerate() {
            let risk = if index == 1 && p % 2 == 1 { 0.4 } else { 0.1 };
            arm.grade[0][k] = if numbers.draw() < risk { 3.0 } else { 1.0 };
        }
    }
    let found = analysed(&trial, &cohort);
    let harm = &found.subgroups[0].outcomes[1];
    assert_eq!(harm.measure, Measure::RiskDifference);
    let comparison = &harm.comparisons[0];
    assert!(comparison.interaction.as_ref().unwrap().p_value < 0.01);
    let [men, women] = [0, 1].map(|g| comparison.rows[g].effect.as_ref().unwrap());
    assert!(men.low < 0.0 && men.high > 0.0);
    assert!(women.low > 0.0);
    // what could have been seen: a rise, and no fall, as few have it at all
    let stated = comparison.rows[0].detectable.as_ref().unwrap();
    assert!(stated.above.unwrap() > 0.05 && stated.above.unwrap() < 0.5);
    // deaths do not depend on sex
    let deaths = &found.subgroups[0].outcomes[0].comparisons[0];
    assert!(deaths.interaction.as_ref().unwrap().p_value > 0.001);
}

#[test]
fn nobody_with_the_event_leaves_a_reason_and_a_test() {
    let trial = trial(false);
    let mut cohort = parallel(&trial, 100, 9);
    for arm in &mut cohort.arms {
        for (k, &p) in arm.members.iter().enumerate() {
            arm.grade[0][k] = if p % 2 == 1 && k % 3 == 0 { 4.0 } else { 0.0 };
        }
    }
    let found = analysed(&trial, &cohort);
    let comparison = &found.subgroups[0].outcomes[1].comparisons[0];
    close(comparison.rows[0].effect.as_ref().unwrap().value, 0.0);
    assert!(comparison.rows[0].detectable_gap.is_err());
    match &comparison.interaction {
        Ok(test) => assert!(comparison.test.contains("logistic") && test.p_value <= 1.0),
        Err(reason) => assert!(!reason.is_empty()),
    }
}

#[test]
fn groups_of_patients_in_every_arm_have_their_own_effects() {
    let trial = trial(true);
    let cohort = every_arm(&trial, 150, 5);
    let found = analysed(&trial, &cohort);
    assert_eq!(found.subgroups[1].outside, 75);
    let comparison = &found.subgroups[0].outcomes[0].comparisons[0];
    let mut all = 0;
    for (group, row) in comparison.rows.iter().enumerate() {
        let within = row.within.as_ref().unwrap().as_ref().unwrap();
        let differences: Vec<f64> = (0..150)
            .filter(|p| p % 2 == group)
            .map(|p| cohort.arms[1].values[0][p] - cohort.arms[0].values[0][p])
            .collect();
        assert_eq!(within.patients, 75);
        close(within.mean.value, differences.iter().sum::<f64>() / 75.0);
        let later = differences.iter().filter(|d| **d > 0.0).count();
        close(within.larger.value, later as f64 / 75.0);
        assert!(within.detectable.unwrap() > 2.0 * within.standard_error);
        all += later;
    }
    let paired = found.time(0).unwrap().comparisons[0]
        .paired
        .as_ref()
        .unwrap();
    close(paired.as_ref().unwrap().better.value, all as f64 / 150.0);
    assert!(comparison.interaction_within.as_ref().unwrap().is_ok());
}

#[test]
fn every_class_of_primary_endpoint_has_its_measure() {
    let mut trial = trial(false);
    let cohort = parallel(&trial, 240, 3);
    for (primary, measure) in [
        (3, Measure::RiskDifference),
        (RESPONSE, Measure::RiskDifference),
        (4, Measure::MeanDifference),
    ] {
        trial.analysis.primary = primary;
        trial.analysis.secondary.clear();
        let found = analysed(&trial, &cohort);
        assert!(found.sensitivity.is_empty());
        let outcome = &found.subgroups[0].outcomes[0];
        assert_eq!(outcome.measure, measure);
        let comparison = &outcome.comparisons[0];
        assert!(comparison.interaction.is_ok());
        let all = match measure {
            Measure::MeanDifference => {
                found.number(4).unwrap().effects[0]
                    .difference
                    .as_ref()
                    .unwrap()
                    .estimate
            }
            _ => *found.rate(primary).unwrap().effects[0]
                .difference
                .as_ref()
                .unwrap(),
        };
        assert_eq!(comparison.overall, Ok(all));
        // the groups are pooled: all lies between them
        let effects = comparison
            .rows
            .iter()
            .map(|row| row.effect.as_ref().unwrap().value);
        let (low, high) = effects.fold((1.0_f64, -1.0_f64), |(a, b), e| (a.min(e), b.max(e)));
        assert!(low - 0.05 < all.value && all.value < high + 0.05);
        for row in &comparison.rows {
            let stated = row.detectable.as_ref().unwrap();
            assert!(stated.below.unwrap() < 0.0 && stated.above.unwrap() > 0.0);
            assert!(*row.detectable_gap.as_ref().unwrap() > 0.0);
            let events = row.own.events;
            assert_eq!(events.is_none(), measure == Measure::MeanDifference);
        }
        assert_eq!(found.claims.claims.len(), 1);
    }
}
