//! Operating characteristics as printed in papers and vignettes.

use posology_trial::dose_finding::*;

fn printed(what: &str, got: f64, value: f64, digits: i32) {
    let tolerance = 0.5 * 10f64.powi(-digits) * (1.0 + 1e-9);
    assert!(
        (got - value).abs() <= tolerance,
        "{what}: {got}, printed {value}"
    );
}

/// Liu and Yuan 2015, table 1 (target 0.3): escalate at or below, de-escalate at or above.
#[test]
fn boundaries_of_liu_and_yuan() {
    let (low, high) = IntervalRule::boin(0.3).boundaries(0.3);
    printed("lambda_e", low, 0.236, 3);
    printed("lambda_d", high, 0.358, 2);
    assert!((high - 0.3585).abs() < 1e-4);
}

/// The CRM of Braun 2020, Stat Med 39:4651, as enumerated by Norris in the vignette "MCSE-Free CRM
/// Performance and Safety Assessment" of the R package precautionary 0.2.6: six doses, cohorts of
/// two, at most 30 patients, scenario equal to the skeleton. No dose is skipped, no escalation
/// while the rate at the latest dose exceeds the target, and the trial stops with five patients at
/// the lowest dose or ten at any.
#[test]
fn crm_of_braun_path_by_path() {
    let skeleton = vec![0.03, 0.11, 0.25, 0.42, 0.58, 0.71];
    let settings = CrmSettings {
        prior_sd: 0.85,
        cohort_size: 2,
        escalation: Escalation::UntriedNext,
        coherence: Coherence::LastDose,
        stop_at: Some(10),
        stop_at_lowest: Some(5),
        restrict_recommendation: true,
        ..CrmSettings::new(0.25, skeleton.clone(), 30)
    };
    let design = Crm::new(settings).unwrap();
    let scenario = Scenario::new(skeleton, 0.25).unwrap();
    let exact = enumerate(&design, &scenario, 22_041).unwrap();
    // 22,041 paths, not one fewer
    assert!(matches!(
        enumerate(&design, &scenario, 22_040),
        Err(DoseFindingError::TooManyPaths { limit: 22_040 })
    ));
    let selected = [0.010420, 0.248309, 0.560418, 0.172114, 0.008630, 0.000109];
    for (figures, value) in exact.doses.iter().zip(selected) {
        printed("selected", figures.selected.value, value, 6);
    }
    printed("correct", exact.correct.value, 0.56, 2);
    printed("at the MTD", exact.patients_at_mtd.value, 0.3895, 4);
    printed("overdosed", exact.overdosed.value, 0.1971, 4);
    let above = |of: fn(&DoseFigures) -> Figure| -> f64 {
        exact.doses[3..].iter().map(|dose| of(dose).value).sum()
    };
    let rate = above(|dose| dose.toxicities) / above(|dose| dose.patients);
    printed("toxicity above the MTD", rate, 0.442, 3);
}

/// BOIN of Zhao et al. 2024 (doi 10.1158/1078-0432.CCR-23-2585), tables 3 and 4: target 0.25, five doses, ten
/// cohorts of three, the trial stops with nine patients at a dose where it would stay, one toxicity
/// in three is a reason to stay. Columns: correct and too high selections (%), patients below, at
/// and above the MTD, sample size. The paper's figures are from simulations; how many trials is not
/// known to us, so agreement is asked for within 1.5 percentage points and 0.3 patients.
#[test]
fn boin_of_zhao() {
    let table: [(&[f64], [f64; 6]); 5] = [
        (
            &[0.25, 0.41, 0.45, 0.49, 0.53],
            [77.0, 16.7, 0.0, 8.7, 6.2, 15.1],
        ),
        (
            &[0.12, 0.25, 0.42, 0.49, 0.55],
            [55.6, 14.5, 7.2, 8.4, 5.1, 20.7],
        ),
        (
            &[0.04, 0.12, 0.25, 0.43, 0.63],
            [56.7, 12.3, 11.4, 8.0, 4.6, 23.9],
        ),
        (
            &[0.02, 0.06, 0.1, 0.25, 0.4],
            [53.3, 17.1, 14.0, 7.7, 4.0, 25.7],
        ),
        (
            &[0.02, 0.05, 0.08, 0.11, 0.25],
            [63.9, 0.0, 17.6, 7.3, 0.0, 24.9],
        ),
    ];
    let settings = IntervalSettings {
        stop_at: Some(9),
        stay_at_one_of_three: true,
        ..IntervalSettings::boin(5, 0.25, 30)
    };
    let design = IntervalDesign::new(settings).unwrap();
    for (truth, row) in table {
        let scenario = Scenario::new(truth.to_vec(), 0.25).unwrap();
        let exact = enumerate(&design, &scenario, 10_000_000).unwrap();
        let mtd = exact.mtd.unwrap();
        let patients =
            |doses: &[DoseFigures]| doses.iter().map(|dose| dose.patients.value).sum::<f64>();
        let got = [
            100.0 * exact.correct.value,
            100.0 * exact.too_high.value,
            patients(&exact.doses[..mtd]),
            exact.doses[mtd].patients.value,
            patients(&exact.doses[mtd + 1..]),
            exact.sample_size.value,
        ];
        for (column, (got, value)) in got.into_iter().zip(row).enumerate() {
            let tolerance = if column < 2 { 1.5 } else { 0.3 };
            assert!(
                (got - value).abs() <= tolerance,
                "{truth:?} {column}: {got}, printed {value}"
            );
        }
    }
}

/// Exact probabilities of recommendation of the 3+3 from the application AplusB of Wheeler
/// (github.com/graham-wheeler/AplusB), as quoted to two digits in the tests of the R package
/// escalation (the second list there adds to 1, with 0.33 where two digits are 0.32).
#[test]
fn three_plus_three_of_wheeler() {
    let cases: [(Confirmation, &[f64], &[f64], f64); 2] = [
        (
            Confirmation::AfterDeescalation,
            &[0.1, 0.2, 0.3, 0.4, 0.5],
            &[0.10, 0.28, 0.33, 0.20, 0.06, 0.02],
            0.005,
        ),
        (
            Confirmation::None,
            &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
            &[0.09, 0.26, 0.33, 0.22, 0.08, 0.02, 0.0, 0.0, 0.0],
            0.006,
        ),
    ];
    for (confirmation, truth, expected, tolerance) in cases {
        let design = ThreePlusThree::new(truth.len(), 0, confirmation).unwrap();
        let scenario = Scenario::new(truth.to_vec(), 0.3).unwrap();
        let exact = enumerate(&design, &scenario, 1_000_000).unwrap();
        let selected = exact.doses.iter().map(|dose| dose.selected.value);
        let got = std::iter::once(exact.none_selected.value).chain(selected);
        for (got, expected) in got.zip(expected) {
            assert!(
                (got - expected).abs() <= tolerance,
                "{got}, quoted {expected}"
            );
        }
    }
}
