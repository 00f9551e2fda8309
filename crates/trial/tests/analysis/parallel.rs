//! Parallel groups.

use posology_trial::run::CohortResult;
use posology_trial::statistics::{
    Better, DifferenceInterval, GroupVariance, KaplanMeier, SurvivalSample, TwoArms, WinEndpoint,
    WinVariance, adjust_p_values, clopper_pearson, geometric_mean_ratio, hazard_ratio, log_rank,
    mean_difference, stratified_log_rank, stratified_win_ratio, weighted_log_rank,
};
use posology_trial::{Trial, statistics};

use crate::{RESPONSE, analysed, close, parallel, trial};

fn sample(cohort: &CohortResult, e: usize, arm: usize) -> SurvivalSample {
    let arm = &cohort.arms[arm];
    SurvivalSample::new("arm", arm.values[e].clone(), arm.events[e].clone()).unwrap()
}

fn strata(cohort: &CohortResult, arm: usize) -> Vec<u32> {
    let members = cohort.arms[arm].members.iter();
    members.map(|p| u32::from(p % 3 == 0)).collect()
}

fn setting() -> (Trial, CohortResult) {
    let trial = trial(false);
    let cohort = parallel(&trial, 200, 11);
    (trial, cohort)
}

#[test]
fn times_are_those_of_the_statistics() {
    let (trial, cohort) = setting();
    let found = analysed(&trial, &cohort);
    assert_eq!((found.patients, found.excluded), (200, 0));
    assert_eq!((found.arms[0].analysed, found.arms[1].analysed), (80, 120));
    let times = found.time(0).unwrap();
    let (control, treated) = (sample(&cohort, 0, 0), sample(&cohort, 0, 1));
    let curve = KaplanMeier::fit(&treated);
    let arm = &times.arms[1];
    assert_eq!(arm.events, treated.event_count());
    assert_eq!(arm.curve.patients(), 120);
    assert_eq!(arm.free[1].0, 70.0);
    close(arm.free[1].1.unwrap().value, curve.survival(70.0).unwrap());
    let comparison = &times.comparisons[0];
    assert!(comparison.paired.is_none());
    let plain = log_rank(&[&control, &treated]).unwrap().test;
    close(comparison.log_rank.as_ref().unwrap().p_value, plain.p_value);
    let (a, b) = (strata(&cohort, 0), strata(&cohort, 1));
    let within = stratified_log_rank(&[&control, &treated], &[&a, &b])
        .unwrap()
        .test;
    let found_within = comparison
        .stratified_log_rank
        .as_ref()
        .unwrap()
        .as_ref()
        .unwrap();
    close(found_within.p_value, within.p_value);
    assert!(
        (within.statistic - plain.statistic).abs() > 1e-6,
        "strata make no difference"
    );
    let ratio = hazard_ratio(&treated, &control, 0.95).unwrap().coefficients[0].hazard_ratio;
    let found_ratio = comparison.hazard_ratio.as_ref().unwrap();
    close(found_ratio.value, ratio.value);
    close(found_ratio.high, ratio.high);
    assert!(comparison.stratified_hazard_ratio.as_ref().unwrap().is_ok());
    let check = comparison.proportional_hazards.as_ref().unwrap();
    assert!(check.degrees == 1 && check.p_value > 0.0 && check.p_value <= 1.0);
    assert!(comparison.restricted_mean.is_ok());
    // nobody is followed for longer than 140 d, and those who left for 60 d
    let follow_up = arm.follow_up.value.unwrap();
    assert!((60.0..=140.0).contains(&follow_up), "{follow_up}");
}

#[test]
fn causes_share_out_the_composite() {
    let (trial, cohort) = setting();
    let found = analysed(&trial, &cohort);
    let times = found.time(2).unwrap();
    let competing = times.competing.as_ref().unwrap();
    assert_eq!(
        competing
            .causes
            .iter()
            .map(|c| c.endpoint)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    for arm in 0..2 {
        let causes: Vec<_> = competing
            .causes
            .iter()
            .map(|cause| cause.arms[arm].as_ref().unwrap())
            .collect();
        let events: usize = causes.iter().map(|cause| cause.events).sum();
        assert_eq!(events, times.arms[arm].events);
        // by hand: neutropenia in weeks against death in days; a tie counts as death
        let result = &cohort.arms[arm];
        let first = (0..result.members.len()).filter(|&k| {
            result.events[1][k]
                && (!result.events[0][k] || 7.0 * result.values[1][k] < result.values[0][k] - 1e-9)
        });
        assert_eq!(causes[1].events, first.count());
        for at in 0..2 {
            let shares: f64 = causes.iter().map(|c| c.at[at].1.unwrap().value).sum();
            close(
                shares + times.arms[arm].curve.survival(causes[0].at[at].0).unwrap(),
                1.0,
            );
        }
    }
    assert!(
        competing
            .causes
            .iter()
            .all(|cause| cause.comparisons[0].1.is_ok())
    );
    assert!(found.time(0).unwrap().competing.is_none());
}

#[test]
fn rates_are_counted() {
    let (trial, cohort) = setting();
    let found = analysed(&trial, &cohort);
    let rates = found.rate(3).unwrap();
    let count = |arm: usize, e: usize| {
        cohort.arms[arm].events[e]
            .iter()
            .filter(|event| **event)
            .count() as u64
    };
    for arm in &rates.arms {
        let events = count(arm.arm, 3);
        assert_eq!(arm.events as u64, events);
        assert_eq!(
            arm.rate,
            clopper_pearson(events, arm.patients as u64, 0.95).unwrap()
        );
        assert!(arm.responses.is_empty());
    }
    let table = TwoArms::new(count(1, 3), 120, count(0, 3), 80).unwrap();
    let effect = &rates.effects[0];
    let difference = table
        .risk_difference(DifferenceInterval::Newcombe, 0.95)
        .unwrap();
    assert_eq!(effect.difference, Ok(difference));
    assert_eq!(effect.odds_ratio, table.odds_ratio(0.95));
    assert_eq!(effect.fisher, Ok(table.fisher_exact()));
    assert!(effect.stratified.as_ref().unwrap().as_ref().unwrap().strata == 2);
    assert!(effect.paired.is_none());
    let response = found.rate(RESPONSE).unwrap();
    for arm in &response.arms {
        let codes = &cohort.arms[arm.arm].values[RESPONSE];
        let of = |code: f64| codes.iter().filter(|value| **value == code).count();
        assert_eq!(arm.responses, [of(1.0), of(2.0), of(3.0), of(5.0), of(6.0)]);
        assert_eq!(arm.events, of(1.0) + of(2.0));
    }
}

#[test]
fn numbers_are_compared_between_groups() {
    let (trial, mut cohort) = setting();
    // one does not exist
    cohort.arms[1].values[4][3] = f64::NAN;
    let found = analysed(&trial, &cohort);
    let numbers = found.number(4).unwrap();
    assert_eq!(numbers.arms[1].missing, 1);
    assert_eq!(numbers.arms[1].summary.count, 119);
    let own: Vec<f64> = cohort.arms[1].values[4]
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    let other = &cohort.arms[0].values[4];
    let by_hand: f64 = own.iter().sum::<f64>() / 119.0;
    close(numbers.arms[1].mean.value, by_hand);
    let welch = mean_difference(&own, other, GroupVariance::Separate, 0.95).unwrap();
    let effect = &numbers.effects[0];
    let difference = effect.difference.as_ref().unwrap();
    assert_eq!(
        (difference.estimate, difference.p_value),
        (welch.difference, welch.p_value)
    );
    let ratio = geometric_mean_ratio(&own, other, GroupVariance::Separate, 0.95).unwrap();
    assert_eq!(
        effect.ratio.as_ref().unwrap().as_ref().unwrap().estimate,
        ratio.ratio
    );
    let geometric = numbers.arms[1].geometric.unwrap();
    close(geometric.mean.value, ratio.means.0);
    let logs: Vec<f64> = own.iter().map(|v| v.ln()).collect();
    let mean = logs.iter().sum::<f64>() / 119.0;
    let variance = logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 118.0;
    close(geometric.cv, (variance.exp() - 1.0).sqrt());
}

#[test]
fn grades_add_up() {
    let (trial, cohort) = setting();
    let found = analysed(&trial, &cohort);
    let table = &found.toxicities[0];
    assert!(table.knows_severe);
    for arm in &table.arms {
        let grades = &cohort.arms[arm.arm].grade[0];
        for grade in 0..6 {
            let by_hand = grades.iter().filter(|g| **g == grade as f64).count();
            assert_eq!(arm.grades[grade], by_hand);
        }
        assert_eq!(arm.at_least(0), arm.patients);
        let severe = grades.iter().filter(|g| **g >= 3.0).count();
        assert_eq!(arm.at_least(3), severe);
        close(
            arm.severe.as_ref().unwrap().value,
            severe as f64 / arm.patients as f64,
        );
    }
    let [low, high] = [0, 1].map(|arm| table.arms[arm].severe.as_ref().unwrap().value);
    close(
        table.effects[0].difference.as_ref().unwrap().value,
        high - low,
    );
}

#[test]
fn courses_tell_why_treatment_ended() {
    let (trial, cohort) = setting();
    let found = analysed(&trial, &cohort);
    let course = &found.courses[0];
    assert_eq!(course.patients, 80);
    assert_eq!(
        course
            .reasons
            .iter()
            .map(|reason| reason.patients)
            .sum::<usize>(),
        80
    );
    let texts: Vec<(&str, bool, usize)> = course
        .reasons
        .iter()
        .map(|reason| (reason.text.as_str(), reason.rule, reason.patients))
        .collect();
    assert_eq!(texts[1], ("left the trial", false, 20));
    assert_eq!(
        texts[2],
        ("ANC < 1.5e9/L on day 1: delay 7 d up to 21 d", true, 20)
    );
    assert!(texts[3].0.starts_with("grade 4 neutropenia"));
    // delays 0, 1, 2 in turn: 27, 27 and 26 patients
    assert_eq!((course.delayed, course.cycles_delayed), (53, 27 + 2 * 26));
    assert_eq!((course.reduced, course.reductions), (20, 20));
    // cycles of 21 d: 1 to 6 in turn, of 80 patients
    let cycles = (13.0 * 21.0 + 3.0) / 80.0;
    close(course.cycles.as_ref().unwrap().mean, cycles);
    close(course.treated.as_ref().unwrap().mean, 21.0 * cycles);
    close(course.intensity[0].1.as_ref().unwrap().mean, 0.85);
    close(course.dose[0].1.as_ref().unwrap().mean, 600.0);
}

#[test]
fn one_family_keeps_its_level() {
    let (mut trial, cohort) = setting();
    let found = analysed(&trial, &cohort);
    let p: Vec<f64> = found
        .claims
        .claims
        .iter()
        .map(|c| *c.p_value.as_ref().unwrap())
        .collect();
    let tests: Vec<&str> = found.claims.claims.iter().map(|claim| claim.test).collect();
    assert_eq!(
        tests,
        [
            "stratified log-rank test",
            "Cochran-Mantel-Haenszel test",
            "Welch's test"
        ]
    );
    let number = &found.number(4).unwrap().effects[0].difference;
    assert_eq!(p[2], number.as_ref().unwrap().p_value);
    let holm = adjust_p_values(&p, statistics::Multiplicity::Holm).unwrap();
    for (claim, adjusted) in found.claims.claims.iter().zip(&holm) {
        assert_eq!(claim.adjusted, Some(*adjusted));
        assert_eq!(claim.significant, *adjusted <= 0.05);
    }
    trial.analysis.multiplicity = posology_trial::design::Multiplicity::None;
    let plain = analysed(&trial, &cohort);
    let adjusted: Vec<f64> = plain
        .claims
        .claims
        .iter()
        .map(|c| c.adjusted.unwrap())
        .collect();
    assert_eq!(adjusted, p);
    trial.analysis.multiplicity = posology_trial::design::Multiplicity::FixedSequence;
    let sequence = analysed(&trial, &cohort);
    let mut largest = 0.0_f64;
    for (claim, p) in sequence.claims.claims.iter().zip(&p) {
        largest = largest.max(*p);
        assert_eq!(claim.adjusted, Some(largest));
    }
}

#[test]
fn wins_are_those_of_the_strata() {
    let (trial, cohort) = setting();
    let found = analysed(&trial, &cohort);
    let wins = found.wins.as_ref().unwrap();
    assert_eq!(wins.endpoints, [0, 1]);
    let of = |stratum: u32| -> Vec<WinEndpoint> {
        let select = |e: usize, arm: usize| {
            let labels = strata(&cohort, arm);
            let kept: Vec<usize> = (0..labels.len())
                .filter(|&k| labels[k] == stratum)
                .collect();
            sample(&cohort, e, arm).select(&kept).unwrap()
        };
        [0, 1]
            .iter()
            .map(|&e| {
                WinEndpoint::time("e", &select(e, 1), &select(e, 0), Better::Higher, 0.0).unwrap()
            })
            .collect()
    };
    let (a, b) = (of(0), of(1));
    let direct = stratified_win_ratio(&[&a, &b], WinVariance::Estimated, 0.95).unwrap();
    let comparison = wins.comparisons[0]
        .unmatched
        .as_ref()
        .unwrap()
        .as_ref()
        .unwrap();
    assert_eq!(
        (comparison.wins, comparison.losses),
        (direct.wins, direct.losses)
    );
    close(
        comparison.win_ratio.unwrap().estimate.value,
        direct.win_ratio.unwrap().estimate.value,
    );
    assert!(wins.comparisons[0].matched.is_none());
}

#[test]
fn those_who_left_may_have_had_the_event() {
    let (trial, cohort) = setting();
    let found = analysed(&trial, &cohort);
    let sensitivity = &found.sensitivity[0];
    let left = |arm: usize| {
        let arm = &cohort.arms[arm];
        let rows = arm.until.iter().zip(&arm.events[0]);
        rows.filter(|(until, event)| **until < trial.horizon && !**event)
            .count()
    };
    assert_eq!(sensitivity.left, (left(1), left(0)));
    assert!(left(1) > 0 && left(0) > 0);
    let ratio = |k: usize| {
        sensitivity.scenarios[k]
            .hazard_ratio
            .as_ref()
            .unwrap()
            .value
    };
    let as_seen = found.time(0).unwrap().comparisons[0]
        .hazard_ratio
        .as_ref()
        .unwrap()
        .value;
    assert!(ratio(1) > as_seen && ratio(2) < as_seen);
    assert!(ratio(0) > ratio(2) && ratio(0) < ratio(1));
    let groups = [&sample(&cohort, 0, 0), &sample(&cohort, 0, 1)];
    let late = weighted_log_rank(&groups, None, 0.0, 1.0).unwrap();
    close(sensitivity.late.as_ref().unwrap().p_value, late.p_value);
}

/// Numbers that no order of the patients may change.
fn numbers(trial: &Trial, cohort: &CohortResult) -> Vec<f64> {
    let found = analysed(trial, cohort);
    let mut out = Vec::new();
    for times in &found.times {
        out.extend(
            times
                .arms
                .iter()
                .map(|arm| arm.median.value.unwrap_or(-1.0)),
        );
        let comparison = &times.comparisons[0];
        out.push(comparison.hazard_ratio.as_ref().unwrap().low);
        out.push(
            comparison
                .stratified_log_rank
                .as_ref()
                .unwrap()
                .as_ref()
                .unwrap()
                .statistic,
        );
        out.push(comparison.proportional_hazards.as_ref().unwrap().statistic);
        out.push(
            comparison
                .restricted_mean
                .as_ref()
                .unwrap()
                .difference
                .value,
        );
        for cause in times
            .competing
            .iter()
            .flat_map(|competing| &competing.causes)
        {
            out.push(cause.comparisons[0].1.as_ref().unwrap().statistic);
        }
    }
    for rates in &found.rates {
        out.push(rates.effects[0].difference.as_ref().unwrap().value);
        let within = rates.effects[0]
            .stratified
            .as_ref()
            .unwrap()
            .as_ref()
            .unwrap();
        out.push(within.risk_difference.value);
    }
    for numbers in &found.numbers {
        out.push(numbers.effects[0].difference.as_ref().unwrap().p_value);
    }
    for factor in &found.subgroups {
        for outcome in &factor.outcomes {
            out.push(
                outcome.comparisons[0]
                    .interaction
                    .as_ref()
                    .unwrap()
                    .statistic,
            );
            let rows = &outcome.comparisons[0].rows;
            out.extend(rows.iter().map(|row| row.effect.as_ref().unwrap().value));
        }
    }
    let wins = found.wins.as_ref().unwrap().comparisons[0]
        .unmatched
        .as_ref()
        .unwrap();
    out.push(wins.as_ref().unwrap().net_benefit.z);
    out.push(found.courses[1].treated.as_ref().unwrap().mean);
    out.extend(
        found
            .claims
            .claims
            .iter()
            .map(|claim| claim.adjusted.unwrap()),
    );
    out
}

#[test]
fn the_order_of_the_patients_does_not_matter() {
    let (trial, cohort) = setting();
    let n = cohort.cohort.len();
    // patient p becomes patient 199 - p, and the members of each arm stay ascending
    let mut turned = cohort.clone();
    for slot in &mut turned.cohort.slots {
        slot.reverse();
    }
    turned.cohort.ids.reverse();
    for arm in &mut turned.arms {
        arm.members = arm.members.iter().rev().map(|p| n - 1 - p).collect();
        arm.values.iter_mut().for_each(|column| column.reverse());
        arm.events.iter_mut().for_each(|column| column.reverse());
        arm.grade.iter_mut().for_each(|column| column.reverse());
        arm.until.reverse();
        let course = arm.course.as_mut().unwrap();
        course.treated_until.reverse();
    }
    let (one, other) = (numbers(&trial, &cohort), numbers(&trial, &turned));
    assert!(one.len() > 30);
    for (a, b) in one.iter().zip(&other) {
        close(*a, *b);
    }
}
