//! What must hold for any design and any data.

use posology_trial::dose_finding::*;
use proptest::prelude::*;

use crate::history;

/// Counts at up to seven doses.
fn counts() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
    prop::collection::vec((0..16u32, 0.0..=1.0f64), 1..8).prop_map(|rows| {
        let toxic = |&(n, share): &(u32, f64)| (share * f64::from(n)).round() as u32;
        (
            rows.iter().map(|row| row.0).collect(),
            rows.iter().map(toxic).collect(),
        )
    })
}

fn any_design() -> impl Strategy<Value = Box<dyn DoseDesign>> {
    let settings = (
        2..7usize,
        0.1..0.45f64,
        1..5u32,
        6..40u32,
        any::<[bool; 4]>(),
        0..4usize,
    );
    settings.prop_map(|(doses, target, cohort_size, patients, flags, kind)| {
        let patients = patients.max(cohort_size);
        let stop_at = flags[0].then_some(9);
        let start = usize::from(flags[1]);
        let interval = |base: IntervalSettings| IntervalSettings {
            cohort_size,
            start,
            stop_at,
            extra_safe: flags[2].then_some(0.05),
            stay_at_one_of_three: flags[3],
            ..base
        };
        let design: Box<dyn DoseDesign> = match kind {
            0 => Box::new(
                IntervalDesign::new(interval(IntervalSettings::boin(doses, target, patients)))
                    .unwrap(),
            ),
            1 => Box::new(
                IntervalDesign::new(interval(IntervalSettings::keyboard(
                    doses, target, patients,
                )))
                .unwrap(),
            ),
            2 => Box::new(ThreePlusThree::new(doses, start, Confirmation::Always).unwrap()),
            _ => {
                let prior = skeleton(0.05, target, doses / 2, doses).unwrap();
                let settings = CrmSettings {
                    cohort_size,
                    start,
                    stop_at,
                    overdose_stop: flags[2].then_some(0.9),
                    ..CrmSettings::new(target, prior, patients)
                };
                Box::new(Crm::new(settings).unwrap())
            }
        };
        design
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn isotonic_is_monotone_idempotent_and_keeps_the_mean(
        values in prop::collection::vec(0.0..1.0f64, 1..12),
        seed in prop::collection::vec(0.1..10.0f64, 12),
    ) {
        let weights = &seed[..values.len()];
        let fitted = isotonic(&values, weights);
        prop_assert_eq!(fitted.len(), values.len());
        prop_assert!(fitted.windows(2).all(|pair| pair[0] <= pair[1]));
        let again = isotonic(&fitted, weights);
        prop_assert_eq!(&again, &fitted);
        let mean = |values: &[f64]| values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>();
        prop_assert!((mean(&fitted) - mean(&values)).abs() < 1e-9);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        prop_assert_eq!(isotonic(&sorted, weights), sorted);
    }

    #[test]
    fn decision_tables_are_ordered(target in 0.06..0.55f64, cutoff in 0.8..0.99f64) {
        for base in [IntervalSettings::boin(3, target, 40), IntervalSettings::keyboard(3, target, 40)] {
            let design = IntervalDesign::new(IntervalSettings { elimination: cutoff, ..base }).unwrap();
            let rows = design.table().rows();
            for row in rows {
                if let (Some(up), Some(down)) = (row.escalate, row.deescalate) {
                    prop_assert!(up < down);
                }
                if let (Some(down), Some(out)) = (row.deescalate, row.eliminate) {
                    prop_assert!(down <= out);
                }
                prop_assert!(row.eliminate.is_none() || row.patients >= 3);
            }
            for pair in rows.windows(2) {
                // a patient more changes a limit by at most one
                let (a, b) = (pair[0].eliminate, pair[1].eliminate);
                if let (Some(a), Some(b)) = (a, b) {
                    prop_assert!(a <= b && b <= a + 1);
                }
            }
        }
    }

    #[test]
    fn crm_posterior_is_monotone_in_the_data((patients, toxicities) in counts(), at in 0..7usize) {
        let doses = patients.len();
        let at = at % doses;
        let prior = skeleton(0.05, 0.25, doses / 2, doses).unwrap();
        let design = Crm::new(CrmSettings::new(0.25, prior, 120)).unwrap();
        let before = design.posterior(&history(&patients, &toxicities));
        prop_assert!(before.variance > 0.0);
        prop_assert!(before.toxicity.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(before.overdose.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
        // one patient more at a dose: a toxicity raises every probability, none lowers it
        let mut more = patients.clone();
        more[at] += 1;
        let without = design.posterior(&history(&more, &toxicities));
        let mut toxic = toxicities.clone();
        toxic[at] += 1;
        let with = design.posterior(&history(&more, &toxic));
        for dose in 0..doses {
            prop_assert!(with.toxicity[dose] > before.toxicity[dose]);
            prop_assert!(without.toxicity[dose] < before.toxicity[dose]);
            prop_assert!(with.overdose[dose] >= before.overdose[dose] - 1e-12);
            prop_assert!(without.overdose[dose] <= before.overdose[dose] + 1e-12);
        }
    }

    #[test]
    fn trials_follow_their_plan(design in any_design(), seed in any::<u64>(), top in 0.05..1.0f64) {
        let doses = design.doses();
        let truth: Vec<f64> = (1..=doses).map(|dose| top * dose as f64 / doses as f64).collect();
        let source = FixedToxicity::new(seed, truth).unwrap();
        for replicate in 0..20 {
            let trial = run_trial(design.as_ref(), &source, replicate).unwrap();
            let history = &trial.history;
            prop_assert!(history.total() <= design.most_patients());
            prop_assert!(!history.cohorts().is_empty());
            // one dose at a time, upwards
            for pair in history.cohorts().windows(2) {
                prop_assert!(pair[1].dose <= pair[0].dose + 1);
            }
            if trial.reason == StopReason::TooToxic {
                prop_assert_eq!(trial.recommended, None);
            }
            if design.name() != "crm" && let Some(dose) = trial.recommended {
                prop_assert!(history.patients()[dose] > 0);
            }
        }
    }

    #[test]
    fn boin_never_gives_an_eliminated_dose(target in 0.1..0.4f64, seed in any::<u64>(), top in 0.2..1.0f64) {
        let design = IntervalDesign::new(IntervalSettings::boin(5, target, 45)).unwrap();
        let truth: Vec<f64> = (1..=5).map(|dose| top * f64::from(dose) / 5.0).collect();
        let source = FixedToxicity::new(seed, truth).unwrap();
        for replicate in 0..20 {
            let trial = run_trial(&design, &source, replicate).unwrap();
            let mut seen = History::new(5);
            for cohort in trial.history.cohorts() {
                if let Some(end) = design.eliminated_from(&seen) {
                    prop_assert!(cohort.dose < end, "{:?}", trial.history.cohorts());
                }
                seen.push(*cohort).unwrap();
            }
            if let (Some(end), Some(dose)) = (design.eliminated_from(&seen), trial.recommended) {
                prop_assert!(dose < end);
            }
        }
    }
}
