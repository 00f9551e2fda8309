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

    /// Swapping the arms changes signs only.
    #[test]
    fn swapping_the_arms_mirrors_the_statistics(columns in trial(4..40)) {
        let (times, events, treated) = &columns;
        let other: Vec<bool> = treated.iter().map(|t| !t).collect();
        if let (Ok(z), Ok(w)) = (
            log_rank_z(times, events, treated), log_rank_z(times, events, &other)
        ) {
            prop_assert!(near(z, -w, 1e-10));
        }
        let mut scratch = TwoGroupScratch::default();
        if let (Ok(a), Ok(b)) = (
            cox_two_groups(times, events, treated, &mut scratch),
            cox_two_groups(times, events, &other, &mut scratch),
        ) {
            prop_assert!(near(a.log_hazard_ratio, -b.log_hazard_ratio, 1e-9));
        }
        // Only the order of the times matters.
        let stretched: Vec<f64> = times.iter().map(|t| (0.1 * t).exp()).collect();
        prop_assert_eq!(
            log_rank_score(&stretched, events, treated).unwrap(),
            log_rank_score(times, events, treated).unwrap()
        );
    }

    /// The score intervals end where the test that they invert is just significant; all intervals
    /// contain their estimate, lie in the range, and mirror when the arms are swapped.
    #[test]
    fn intervals_of_tables_are_coherent(
        n1 in 1_u64..40, n2 in 1_u64..40, f1 in 0.0..=1.0_f64, f2 in 0.0..=1.0_f64,
        level in 0.5..0.999_f64,
    ) {
        let (x1, x2) = ((f1 * n1 as f64).round() as u64, (f2 * n2 as f64).round() as u64);
        let table = TwoArms::new(x1, n1, x2, n2).unwrap();
        let swapped = TwoArms::new(x2, n2, x1, n1).unwrap();
        for kind in [
            DifferenceInterval::Newcombe,
            DifferenceInterval::MiettinenNurminen,
            DifferenceInterval::Wald,
        ] {
            let ours = table.risk_difference(kind, level).unwrap();
            let back = swapped.risk_difference(kind, level).unwrap();
            prop_assert!(ours.low <= ours.value + 1e-12 && ours.value <= ours.high + 1e-12);
            prop_assert!(ours.low >= -1.0 && ours.high <= 1.0);
            prop_assert!(near(ours.low, -back.high, 1e-9) && near(ours.high, -back.low, 1e-9));
        }
        if x1 > 0 && x2 > 0 {
            for kind in [RatioInterval::Katz, RatioInterval::Koopman] {
                let ours = table.risk_ratio(kind, level).unwrap();
                let back = swapped.risk_ratio(kind, level).unwrap();
                prop_assert!(ours.low <= ours.value * (1.0 + 1e-9));
                prop_assert!(ours.value <= ours.high * (1.0 + 1e-9));
                prop_assert!(near(ours.low * back.high, 1.0, 1e-8));
            }
        }
        let p = table.fisher_exact();
        prop_assert!((0.0..=1.0).contains(&p) && near(p, swapped.fisher_exact(), 1e-9));
        if let Ok(exact) = table.exact_odds_ratio(level) {
            prop_assert!(exact.low <= exact.value && exact.value <= exact.high);
        }
        if x1 + x2 > 0 && x1 + x2 < n1 + n2 {
            // The uncorrected score test at no difference is Pearson's; Koopman's interval of the
            // ratio excludes one exactly where it rejects.
            let pearson = table.chi_squared(false).unwrap();
            if let Ok(ratio) = table.risk_ratio(RatioInterval::Koopman, level) {
                let outside = ratio.low > 1.0 + 1e-9 || ratio.high < 1.0 - 1e-9;
                let clear = (pearson.p_value - (1.0 - level)).abs() > 1e-9;
                prop_assert!(!clear || outside == (pearson.p_value < 1.0 - level));
            }
        }
    }

    /// One stratum gives the crude effects, and copies of a stratum do not change them.
    #[test]
    fn one_stratum_is_the_crude_table(
        n1 in 2_u64..40, n2 in 2_u64..40, f1 in 0.0..=1.0_f64, f2 in 0.0..=1.0_f64, copies in 1_usize..5,
    ) {
        let (x1, x2) = ((f1 * n1 as f64).round() as u64, (f2 * n2 as f64).round() as u64);
        let table = TwoArms::new(x1, n1, x2, n2).unwrap();
        if let Ok(pooled) = mantel_haenszel(&vec![table; copies], 0.9) {
            let (p1, p2) = table.rates();
            prop_assert!(near(pooled.risk_difference.value, p1 - p2, 1e-12));
            if let (Some(ratio), Ok(crude)) = (
                pooled.odds_ratio, table.odds_ratio(0.9)
            ) {
                prop_assert!(near(ratio.value, crude.value, 1e-12));
            }
            if let Some(test) = pooled.homogeneity {
                prop_assert!(test.statistic < 1e-9);
            }
        }
    }

    #[test]
    fn adjusted_p_values_are_ordered(p in prop::collection::vec(0.0..=1.0_f64, 1..9)) {
        let adjust = |method| adjust_p_values(&p, method).unwrap();
        let bonferroni = adjust(Multiplicity::Bonferroni);
        let (holm, hochberg) = (adjust(Multiplicity::Holm), adjust(Multiplicity::Hochberg));
        for i in 0..p.len() {
            prop_assert!(p[i] <= hochberg[i] && hochberg[i] <= holm[i] && holm[i] <= bonferroni[i]);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || holm[i] <= holm[j]);
            }
        }
        let smallest = p.iter().copied().fold(1.0, f64::min);
        let first = holm.iter().copied().fold(1.0, f64::min);
        prop_assert!(near(first, (smallest * p.len() as f64).min(1.0), 1e-12));
    }

    /// Wins of one arm are losses of the other.
    #[test]
    fn swapping_the_arms_inverts_the_win_ratio(
        a in prop::collection::vec((0.0..9.0_f64, any::<bool>(), 0_i32..4), 2..15),
        b in prop::collection::vec((0.0..9.0_f64, any::<bool>(), 0_i32..4), 2..15),
        margin in 0.0..2.0_f64,
    ) {
        let time = |rows: &[(f64, bool, i32)]| SurvivalSample::new(
            "arm",
            rows.iter().map(|r| r.0.round()).collect(),
            rows.iter().map(|r| r.1).collect(),
        ).unwrap();
        let score = |rows: &[(f64, bool, i32)]| rows.iter().map(|r| f64::from(r.2)).collect::<Vec<_>>();
        let hierarchy = |x: &[(f64, bool, i32)], y: &[(f64, bool, i32)]| [
            WinEndpoint::time("time", &time(x), &time(y), Better::Higher, margin).unwrap(),
            WinEndpoint::number("score", &score(x), &score(y), Better::Lower, 0.0).unwrap(),
        ];
        for variance in [WinVariance::Estimated, WinVariance::Null] {
            let ours = win_ratio(&hierarchy(&a, &b), variance, 0.9);
            let back = win_ratio(&hierarchy(&b, &a), variance, 0.9);
            let (Ok(ours), Ok(back)) = (ours, back) else { continue };
            prop_assert_eq!((ours.wins, ours.losses), (back.losses, back.wins));
            prop_assert_eq!(ours.pairs, (a.len() * b.len()) as u64);
            prop_assert!(near(ours.net_benefit.z, -back.net_benefit.z, 1e-9));
            if let (Some(x), Some(y)) = (ours.win_ratio, back.win_ratio) {
                prop_assert!(near(x.estimate.low * y.estimate.high, 1.0, 1e-9));
            }
        }
        if let (Ok(x), Ok(y)) = (
            finkelstein_schoenfeld(&hierarchy(&a, &b)), finkelstein_schoenfeld(&hierarchy(&b, &a))
        ) {
            prop_assert!(near(x.score, -y.score, 1e-12) && near(x.variance, y.variance, 1e-12));
        }
    }

    #[test]
    fn a_shift_moves_locations_and_nothing_else(
        a in prop::collection::vec(-5.0..5.0_f64, 3..30),
        b in prop::collection::vec(-5.0..5.0_f64, 3..30),
        shift in -8.0..8.0_f64,
    ) {
        let moved: Vec<f64> = a.iter().map(|x| x + shift).collect();
        for kind in [GroupVariance::Separate, GroupVariance::Pooled] {
            let x = mean_difference(&a, &b, kind, 0.95).unwrap();
            let y = mean_difference(&moved, &b, kind, 0.95).unwrap();
            prop_assert!(near(x.difference.low + shift, y.difference.low, 1e-9));
            prop_assert!(near(x.standard_error, y.standard_error, 1e-9));
        }
        let (x, y) = (rank_sum(&a, &b, 0.95).unwrap(), rank_sum(&moved, &b, 0.95).unwrap());
        prop_assert!(near(x.shift.value + shift, y.shift.value, 1e-9));
        prop_assert!(near(x.shift.low + shift, y.shift.low, 1e-9));
        // Without covariates other than the arm, the adjusted difference is the pooled one.
        let outcome = [a.as_slice(), &b].concat();
        let treated: Vec<bool> = (0..outcome.len()).map(|i| i < a.len()).collect();
        let adjusted = adjusted_difference(&outcome, &treated, &[], 0.95).unwrap();
        let pooled = mean_difference(&a, &b, GroupVariance::Pooled, 0.95).unwrap();
        prop_assert!(near(adjusted.effect.low, pooled.difference.low, 1e-9));
    }

    /// Identical estimates have no heterogeneity, and the pooled one lies among them.
    #[test]
    fn pooled_estimates_lie_among_them(
        rows in prop::collection::vec((-3.0..3.0_f64, 0.1..2.0_f64), 2..8)
    ) {
        let ours = heterogeneity(&rows, 0.95).unwrap();
        let low = rows.iter().map(|r| r.0).fold(f64::INFINITY, f64::min);
        let high = rows.iter().map(|r| r.0).fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(low - 1e-12 <= ours.pooled.value && ours.pooled.value <= high + 1e-12);
        prop_assert!((0.0..1.0).contains(&ours.i_squared));
        let same: Vec<(f64, f64)> = rows.iter().map(|r| (1.5, r.1)).collect();
        prop_assert!(heterogeneity(&same, 0.95).unwrap().q.statistic < 1e-20);
    }

    #[test]
    fn power_and_its_inverses_agree(
        log_ratio in 0.1..1.5_f64, share in 0.2..0.8_f64, alpha in 0.001..0.2_f64, power in 0.5..0.99_f64,
        rate in 0.05..0.9_f64, other in 0.05..0.9_f64,
    ) {
        let ratio = (-log_ratio).exp();
        let events = schoenfeld_events(ratio, share, alpha, power).unwrap();
        prop_assert!(near(schoenfeld_power(ratio, events, share, alpha).unwrap(), power, 1e-9));
        let back = detectable_hazard_ratio(events, share, alpha, power).unwrap();
        prop_assert!(near(back, ratio, 1e-9));
        let events = freedman_events(ratio, share, alpha, power).unwrap();
        prop_assert!(near(freedman_power(ratio, events, share, alpha).unwrap(), power, 1e-9));
        if (rate - other).abs() > 0.01 {
            let n = two_proportions_patients(rate, other, share, alpha, power).unwrap();
            let (treated, control) = (share * n, (1.0 - share) * n);
            let ours = two_proportions_power(rate, treated, other, control, alpha).unwrap();
            prop_assert!(near(ours, power, 1e-9));
            let (down, up) =
                detectable_risk_difference(other, treated, control, alpha, power).unwrap();
            let found = if rate > other { up } else { down };
            let at = two_proportions_power(other + found.unwrap(), treated, other, control, alpha);
            prop_assert!(near(at.unwrap(), power, 1e-6));
        }
    }
}
