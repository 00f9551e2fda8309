//! Properties that hold for any data, on random trials.

use posology_trial::statistics::*;
use proptest::prelude::*;

type Columns = (Vec<f64>, Vec<bool>, Vec<bool>);

/// Times on a grid of whole numbers (many ties) or not, with any censoring.
fn trial(patients: std::ops::Range<usize>) -> impl Strategy<Value = Columns> {
    let row = (0.0..20.0_f64, any::<bool>(), any::<bool>());
    (any::<bool>(), prop::collection::vec(row, patients)).prop_map(|(grid, rows)| {
        let mut rows = rows;
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let times = rows.iter().map(|r| if grid { r.0.floor() } else { r.0 });
        (
            times.collect(),
            rows.iter().map(|r| r.1).collect(),
            rows.iter().map(|r| r.2).collect(),
        )
    })
}

fn arms((times, events, treated): &Columns) -> Option<[SurvivalSample; 2]> {
    let arm = |which: bool| {
        let members: Vec<usize> = (0..times.len()).filter(|&i| treated[i] == which).collect();
        let (times, events) = (
            members.iter().map(|&i| times[i]).collect(),
            members.iter().map(|&i| events[i]).collect(),
        );
        SurvivalSample::new(if which { "treated" } else { "control" }, times, events).ok()
    };
    Some([arm(true)?, arm(false)?])
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #[test]
    fn fast_log_rank_equals_the_full_one(columns in trial(2..60)) {
        let (times, events, treated) = &columns;
        let fast = log_rank_z(times, events, treated);
        let Some([a, b]) = arms(&columns) else {
            prop_assert!(fast.is_err());
            return Ok(());
        };
        match (fast, log_rank(&[&a, &b])) {
            (Ok(z), Ok(full)) => {
                prop_assert!(near(z * z, full.test.statistic, 1e-9));
                let excess = full.groups[0].observed as f64 - full.groups[0].expected;
                prop_assert!(excess * z >= -1e-9);
            }
            (Err(fast), Err(full)) => prop_assert_eq!(
                std::mem::discriminant(&fast), std::mem::discriminant(&full)
            ),
            (fast, full) => prop_assert!(false, "{:?} against {:?}", fast, full),
        }
    }

    #[test]
    fn fast_hazard_ratio_equals_the_full_one(columns in trial(2..60)) {
        let (times, events, treated) = &columns;
        let mut scratch = TwoGroupScratch::default();
        let fast = cox_two_groups(times, events, treated, &mut scratch);
        let Some([a, b]) = arms(&columns) else {
            prop_assert!(fast.is_err());
            return Ok(());
        };
        match (fast, hazard_ratio(&a, &b, 0.95)) {
            (Ok(fast), Ok(full)) => {
                let full = &full.coefficients[0];
                prop_assert!(near(fast.log_hazard_ratio, full.log_hazard_ratio, 1e-8));
                prop_assert!(near(fast.standard_error, full.standard_error, 1e-8));
            }
            (Err(_), Err(_)) => {}
            (fast, full) => prop_assert!(false, "{:?} against {:?}", fast, full),
        }
    }

    #[test]
    fn sorting_restores_the_same_patients(columns in trial(2..60), turn in 0_usize..60) {
        let (mut times, mut events, mut treated) = columns.clone();
        let turn = turn % times.len();
        times.rotate_left(turn);
        events.rotate_left(turn);
        treated.rotate_left(turn);
        let mut scratch = TwoGroupScratch::default();
        sort_two_groups(&mut times, &mut events, &mut treated, &mut scratch).unwrap();
        prop_assert_eq!(&times, &columns.0);
        prop_assert_eq!(
            log_rank_score(&times, &events, &treated).unwrap(),
            log_rank_score(&columns.0, &columns.1, &columns.2).unwrap()
        );
    }

    #[test]
    fn scores_of_strata_add_up(columns in trial(4..60), cut in 1_usize..59) {
        let (times, events, treated) = &columns;
        let cut = cut.min(times.len() - 1);
        let mut sum = log_rank_score(&times[..cut], &events[..cut], &treated[..cut]).unwrap();
        sum += log_rank_score(&times[cut..], &events[cut..], &treated[cut..]).unwrap();
        let Some([a, b]) = arms(&columns) else { return Ok(()) };
        let labels = |which: bool| -> Vec<u32> {
            (0..times.len())
                .filter(|&i| treated[i] == which)
                .map(|i| u32::from(i >= cut))
                .collect()
        };
        let (first, second) = (labels(true), labels(false));
        if let Ok(full) = stratified_log_rank(&[&a, &b], &[&first, &second]) {
            prop_assert!(near(sum.z().unwrap().powi(2), full.test.statistic, 1e-9));
        }
    }

    #[test]
    fn incidences_of_all_causes_and_survival_sum_to_one(
        rows in prop::collection::vec((0.0..9.0_f64, 0_u32..4), 1..60)
    ) {
        let times: Vec<f64> = rows.iter().map(|r| r.0.round()).collect();
        let causes = rows.iter().map(|r| r.1).collect();
        let sample = CompetingSample::new("any", times, causes).unwrap();
        let curves: Vec<_> = (1..4).map(|c| CumulativeIncidence::fit(&sample, c)).collect();
        let survival = KaplanMeier::fit(sample.any_cause());
        for (i, step) in survival.steps().iter().enumerate() {
            let sum: f64 = curves.iter().map(|curve| curve.steps()[i].incidence).sum();
            prop_assert!(near(sum + step.survival, 1.0, 1e-12));
        }
        for curve in &curves {
            for (step, (low, high)) in curve.steps().iter().zip(curve.band(Band::LogLog, 0.9).unwrap()) {
                prop_assert!(low <= step.incidence + 1e-12 && step.incidence <= high + 1e-12);
                prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            }
        }
    }

    /// With one cause the incidence is one minus Kaplan-Meier, with Greenwood's variance.
    #[test]
    fn one_cause_is_kaplan_meier(columns in trial(1..60)) {
        let (times, events, _) = columns;
        let causes = events.iter().map(|&event| u32::from(event)).collect();
        let curve = CumulativeIncidence::fit(
            &CompetingSample::new("one", times, causes).unwrap(), 1
        );
        let (mut product, mut greenwood) = (1.0, 0.0);
        for step in curve.steps() {
            let (n, d) = (step.at_risk as f64, step.events as f64);
            product *= 1.0 - d / n;
            prop_assert!(near(step.incidence, 1.0 - product, 1e-12));
            if d < n {
                greenwood += d / (n * (n - d));
                prop_assert!((step.variance - product * product * greenwood).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn weights_of_one_give_the_plain_log_rank(columns in trial(4..60)) {
        let Some([a, b]) = arms(&columns) else { return Ok(()) };
        if let Ok(plain) = log_rank(&[&a, &b]) {
            let weighted = weighted_log_rank(&[&a, &b], None, 0.0, 0.0).unwrap();
            prop_assert!(near(plain.test.statistic, weighted.statistic, 1e-12));
        }
    }
}
