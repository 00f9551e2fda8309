//! Dose, toxicity and radiation dose.

use posology_trial::clinical::ClinicalError;
use posology_trial::clinical::dose::{Course, relative_dose_intensity, summarise};
use posology_trial::clinical::dosimetry::{bed_of_decay, bed_of_fractions, eqd2};
use posology_trial::clinical::toxicity::{
    GradeCounts, by_arm, dose_limiting, first_at_grade, worst_grade,
};
use proptest::prelude::*;

const DUE: [f64; 4] = [0.0, 21.0, 42.0, 63.0];
const PLANNED: [f64; 4] = [100.0; 4];

fn course<'a>(times: &'a [f64], given: &'a [f64]) -> Course<'a> {
    Course {
        due: &DUE,
        planned: &PLANNED,
        times,
        given,
        last_cycle: 21.0,
        grace: 0.5,
    }
}

#[test]
fn as_planned() {
    let found = summarise(&course(&DUE, &PLANNED)).unwrap();
    assert_eq!((found.given, found.planned), (400.0, 400.0));
    assert_eq!((found.administrations, found.omitted), (4, 0));
    assert_eq!((found.reduced, found.lowest_share), (0, 1.0));
    assert_eq!((found.delayed, found.delay), (0, 0.0));
    assert_eq!(found.relative_dose, 1.0);
    assert_eq!(found.relative_dose_intensity, 1.0);
}

#[test]
fn a_delay_moves_what_follows_and_a_reduction_lowers_it() {
    // third cycle a week late, then two at 75 %
    let found = summarise(&course(
        &[0.0, 21.0, 49.0, 70.0],
        &[100.0, 100.0, 75.0, 75.0],
    ))
    .unwrap();
    assert_eq!((found.delayed, found.delay), (1, 7.0));
    assert_eq!((found.reduced, found.lowest_share), (2, 0.75));
    assert_eq!(found.relative_dose, 0.875);
    // 350 in 91 d instead of 400 in 84 d
    let expected = (350.0 / 91.0) / (400.0 / 84.0);
    assert!((found.relative_dose_intensity - expected).abs() < 1e-15);
    let totals = relative_dose_intensity(350.0, 91.0, 400.0, 84.0);
    assert_eq!(found.relative_dose_intensity, totals);
}

#[test]
fn an_early_end_lowers_the_dose_but_not_its_intensity() {
    let nan = f64::NAN;
    let found = summarise(&course(&[0.0, 21.0, nan, nan], &[100.0, 100.0, 0.0, 0.0])).unwrap();
    assert_eq!((found.administrations, found.omitted), (2, 2));
    assert_eq!(found.relative_dose, 0.5);
    assert_eq!(found.relative_dose_intensity, 1.0);
    // one left out in the middle costs intensity
    let gap = summarise(&course(&DUE, &[100.0, 0.0, 100.0, 100.0])).unwrap();
    assert_eq!((gap.omitted, gap.delayed), (1, 0));
    assert_eq!(gap.relative_dose_intensity, 0.75);
    // a loading dose is no reason for an intensity above 1
    let loading = Course {
        planned: &[200.0, 100.0, 100.0, 100.0],
        ..course(&DUE, &[200.0, 0.0, 0.0, 0.0])
    };
    assert_eq!(summarise(&loading).unwrap().relative_dose_intensity, 1.0);
    let none = summarise(&course(&DUE, &[0.0; 4])).unwrap();
    assert_eq!((none.relative_dose, none.omitted), (0.0, 4));
    assert!(none.relative_dose_intensity.is_nan());
    assert!(matches!(
        summarise(&course(&DUE, &[1.0])),
        Err(ClinicalError::LengthsDiffer { .. })
    ));
}

#[test]
fn grades_and_dose_limiting_toxicity() {
    let times = [0.0, 7.0, 14.0, 28.0];
    let grades = [Some(0), None, Some(3), Some(4)];
    assert_eq!(worst_grade(&times, &grades, 0.0, 21.0), Some(3));
    assert_eq!(worst_grade(&times, &grades, 7.0, 7.0), None);
    assert_eq!(first_at_grade(&times, &grades, 4), Some(28.0));
    assert_eq!(first_at_grade(&times, &grades, 5), None);
    // window 21 d: within, after, left before the end of it, left before the toxicity
    assert_eq!(dose_limiting(Some(14.0), 21.0, 14.0), Some(true));
    assert_eq!(dose_limiting(Some(28.0), 21.0, 90.0), Some(false));
    assert_eq!(dose_limiting(None, 21.0, 20.0), None);
    assert_eq!(dose_limiting(Some(14.0), 21.0, 10.0), None);
    assert_eq!(dose_limiting(None, 21.0, 21.0), Some(false));
}

#[test]
fn tables_of_grades() {
    let arm = [0, 0, 0, 1, 1];
    let worst = [Some(4), Some(2), None, Some(0), Some(4)];
    let table = by_arm(&arm, &worst, 2).unwrap();
    assert_eq!(table[0].counts, [0, 0, 1, 0, 1, 0]);
    assert_eq!((table[0].missing, table[0].evaluable()), (1, 2));
    assert_eq!((table[0].at_least(3), table[0].at_least(2)), (1, 2));
    assert_eq!(table[1].counts, [1, 0, 0, 0, 1, 0]);
    assert_eq!(
        by_arm(&[2], &[None], 2),
        Err(ClinicalError::Arm { arm: 2, arms: 2 })
    );
    assert_eq!(
        by_arm(&[0], &[Some(6)], 2),
        Err(ClinicalError::Grade { grade: 6 })
    );
}

#[test]
fn radiation_doses() {
    // 30 fractions of 2 Gy on a tumour (alpha/beta 10 Gy): 72 Gy, equivalent to themselves
    assert!((bed_of_fractions(60.0, 2.0, 10.0) - 72.0).abs() < 1e-12);
    assert!((eqd2(72.0, 10.0) - 60.0).abs() < 1e-12);
}

#[test]
fn decaying_dose_rate_against_the_integral() {
    // Lea-Catcheside: BED = D + 2/(alpha/beta) * integral of R(t) y(t), y' = R - repair y
    let (dose, decay, repair, alpha_beta) = (20.0, 0.013, 0.46, 2.5);
    let rate = |t: f64| dose * decay * (-decay * t).exp();
    let (step, mut t, mut y, mut sum) = (0.01, 0.0, 0.0, 0.0);
    while t < 40.0 / decay {
        // midpoint rule, second order in both
        let middle = y + 0.5 * step * (rate(t) - repair * y);
        sum += step * rate(t + 0.5 * step) * middle;
        y += step * (rate(t + 0.5 * step) - repair * middle);
        t += step;
    }
    let expected = dose + 2.0 / alpha_beta * sum;
    let found = bed_of_decay(dose, decay, repair, alpha_beta);
    assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
}

proptest! {
    #[test]
    fn shards_of_a_table_add_up(
        patients in prop::collection::vec(prop::option::of(0u8..6), 0..60),
        cut in 0usize..60,
    ) {
        let count = |patients: &[Option<u8>]| {
            let mut counts = GradeCounts::default();
            for &worst in patients {
                counts.add(worst).unwrap();
            }
            counts
        };
        let cut = cut.min(patients.len());
        let mut merged = count(&patients[..cut]);
        merged.merge(&count(&patients[cut..]));
        prop_assert_eq!(merged, count(&patients));
        prop_assert_eq!(merged.evaluable() + merged.missing, patients.len() as u64);
        prop_assert_eq!(merged.at_least(0), merged.evaluable());
    }

    #[test]
    fn delays_add_up_to_the_lateness_of_the_end(
        late in prop::collection::vec(prop_oneof![Just(0.0), 1.0..21.0f64], 4),
    ) {
        let mut shift = 0.0;
        let mut times = DUE;
        for (time, late) in times.iter_mut().zip(&late) {
            shift += late;
            *time += shift;
        }
        let found = summarise(&course(&times, &PLANNED)).unwrap();
        prop_assert_eq!(found.delayed, late.iter().filter(|&&late| late > 0.0).count());
        prop_assert!((found.delay - shift).abs() < 1e-9);
    }
}
