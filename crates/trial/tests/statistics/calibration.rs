//! Tests keep their level in trials without an effect, and intervals cover the truth.
//!
//! Bounds: Monte Carlo error of the count (four standard errors), plus what the normal
//! approximation may be off at the sample size, stated for each test.

use posology_trial::statistics::*;

use crate::Xorshift;

struct Source(Xorshift);

impl Source {
    fn uniform(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 0.5) / 4_294_967_296.0
    }

    fn exponential(&mut self, rate: f64) -> f64 {
        -self.uniform().ln() / rate
    }
}

/// Share of `trials` in which an event of probability `level` happened.
#[track_caller]
fn keeps(what: &str, count: usize, trials: usize, level: f64, approximation: f64) {
    let share = count as f64 / trials as f64;
    let bound = 4.0 * (level * (1.0 - level) / trials as f64).sqrt() + approximation;
    println!("{what}: {share} at {level}, allowed {bound:.4}");
    assert!((share - level).abs() <= bound, "{what}: {share} at {level}");
}

#[test]
fn null_trials_of_two_arms_keep_their_level() {
    let mut source = Source(Xorshift(20_250_101));
    let (trials, n) = (20_000, 200);
    let (mut times, mut events, mut treated) = (vec![0.0; n], vec![false; n], vec![false; n]);
    let mut scratch = TwoGroupScratch::default();
    let [
        mut log_rank,
        mut wald,
        mut pearson,
        mut fisher,
        mut newcombe,
    ] = [0; 5];
    for _ in 0..trials {
        let mut responders = [0_u64; 2];
        for i in 0..n {
            let (time, end) = (source.exponential(0.06), 12.0 + 24.0 * source.uniform());
            treated[i] = i % 2 == 0;
            events[i] = time <= end;
            // Weekly visits, so that times tie.
            times[i] = (time.min(end) * 4.0).ceil();
            responders[i % 2] += u64::from(source.uniform() < 0.35);
        }
        sort_two_groups(&mut times, &mut events, &mut treated, &mut scratch).unwrap();
        let z = log_rank_z(&times, &events, &treated).unwrap();
        log_rank += usize::from(z.abs() > 1.959_963_984_540_054);
        let fit = cox_two_groups(&times, &events, &treated, &mut scratch).unwrap();
        let z = fit.log_hazard_ratio / fit.standard_error;
        wald += usize::from(z.abs() > 1.959_963_984_540_054);
        let half = n as u64 / 2;
        let table = TwoArms::new(responders[0], half, responders[1], half).unwrap();
        pearson += usize::from(table.chi_squared(false).unwrap().p_value < 0.05);
        fisher += usize::from(table.fisher_exact() < 0.05);
        let limits = table
            .risk_difference(DifferenceInterval::Newcombe, 0.95)
            .unwrap();
        newcombe += usize::from(limits.low > 0.0 || limits.high < 0.0);
    }
    // Some 150 events: the approximation is good to a tenth of the level; counts are discrete.
    keeps("log-rank", log_rank, trials, 0.05, 0.003);
    keeps("Cox, Wald", wald, trials, 0.05, 0.003);
    keeps("Pearson", pearson, trials, 0.05, 0.005);
    keeps("Newcombe", newcombe, trials, 0.05, 0.006);
    assert!(fisher < pearson && fisher as f64 <= 0.05 * trials as f64);
}

#[test]
fn null_trials_of_other_tests_keep_their_level() {
    let mut source = Source(Xorshift(777));
    let trials = 3_000;
    let [
        mut gray,
        mut pooled,
        mut wins,
        mut hazards,
        mut ranks,
        mut welch,
        mut covered,
    ] = [0; 7];
    for _ in 0..trials {
        // Two causes; the arm changes nothing.
        let mut arm = |n: usize| {
            let (times, causes) = (0..n)
                .map(|_| {
                    let (a, b) = (source.exponential(0.05), source.exponential(0.03));
                    let end = 10.0 + 30.0 * source.uniform();
                    let first = a.min(b).min(end);
                    let cause = if end <= a.min(b) {
                        0
                    } else {
                        1 + u32::from(b < a)
                    };
                    (first, cause)
                })
                .unzip();
            CompetingSample::new("arm", times, causes).unwrap()
        };
        let (a, b) = (arm(60), arm(60));
        gray += usize::from(gray_test(&[&a, &b], 1).unwrap().test.p_value < 0.05);
        let (first, second) = (a.any_cause(), b.any_cause());
        let scores = |source: &mut Source| -> Vec<f64> {
            (0..60).map(|_| (4.0 * source.uniform()).floor()).collect()
        };
        let (x, y) = (scores(&mut source), scores(&mut source));
        let hierarchy = [
            WinEndpoint::time("time", first, second, Better::Higher, 2.0).unwrap(),
            WinEndpoint::number("score", &x, &y, Better::Higher, 0.0).unwrap(),
        ];
        pooled += usize::from(finkelstein_schoenfeld(&hierarchy).unwrap().p_value < 0.05);
        let ratio = win_ratio(&hierarchy, WinVariance::Estimated, 0.95).unwrap();
        wins += usize::from(ratio.win_ratio.unwrap().p_value < 0.05);
        ranks += usize::from(rank_sum(&x, &y, 0.95).unwrap().p_value < 0.05);
        let test = mean_difference(&x, &y, GroupVariance::Separate, 0.95).unwrap();
        welch += usize::from(test.p_value < 0.05);
        // A proportional effect: the hazard ratio is 1.6 at all times.
        let mut exponential = |rate: f64| {
            let times: Vec<f64> = (0..80).map(|_| source.exponential(rate)).collect();
            let events = times.iter().map(|t| *t < 30.0).collect();
            SurvivalSample::new("arm", times.iter().map(|t| t.min(30.0)).collect(), events).unwrap()
        };
        let (treated, control) = (exponential(0.08), exponential(0.05));
        let both = SurvivalSample::new(
            "both",
            [treated.times(), control.times()].concat(),
            [treated.events(), control.events()].concat(),
        );
        let (both, arm) = (
            both.unwrap(),
            Covariate {
                name: "arm".to_owned(),
                values: (0..160).map(|i| f64::from(u8::from(i < 80))).collect(),
            },
        );
        let fit = cox(&both, std::slice::from_ref(&arm), None, 0.95).unwrap();
        let interval = fit.coefficients[0].hazard_ratio;
        covered += usize::from(interval.low <= 1.6 && 1.6 <= interval.high);
        let transform = TimeTransform::KaplanMeier;
        let check = proportional_hazards(&both, &[arm], None, &fit, transform).unwrap();
        hazards += usize::from(check.global.p_value < 0.05);
    }
    keeps("Gray", gray, trials, 0.05, 0.006);
    keeps("Finkelstein-Schoenfeld", pooled, trials, 0.05, 0.006);
    keeps("win ratio", wins, trials, 0.05, 0.01);
    keeps("proportional hazards", hazards, trials, 0.05, 0.006);
    keeps("Mann-Whitney", ranks, trials, 0.05, 0.006);
    keeps("Welch", welch, trials, 0.05, 0.006);
    keeps("Cox interval", covered, trials, 0.95, 0.006);
}
