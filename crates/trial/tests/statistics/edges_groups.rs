//! Subgroups and hierarchies of endpoints that determine nothing, or almost nothing.

use posology_trial::statistics::*;

use crate::Xorshift;
use crate::support::refused;

fn sample(name: &str, rows: &[(f64, bool)]) -> SurvivalSample {
    let (times, events) = rows.iter().copied().unzip();
    SurvivalSample::new(name, times, events).unwrap()
}

#[test]
fn an_empty_subgroup_is_reported_and_not_hidden() {
    let names = ["with", "without", "empty"].map(str::to_owned);
    let patients = sample(
        "all",
        &[
            (1.0, true),
            (2.0, true),
            (3.0, true),
            (4.0, false),
            (5.0, false),
            (6.0, false),
        ],
    );
    let treated = [true, false, true, false, true, false];
    let groups = [0, 0, 0, 0, 1, 1];
    let ours = survival_subgroups(&patients, &treated, &groups, &names, 0.95).unwrap();
    assert!(ours.effects[0].effect.is_some());
    let reason = ours.effects[1].reason.as_ref().unwrap();
    assert!(reason.contains("no events"), "{reason}");
    assert_eq!(ours.effects[2].treated + ours.effects[2].control, 0);
    assert!(ours.effects[2].reason.is_some() && ours.interaction.is_none());
    assert!(ours.reason.is_some() && ours.heterogeneity.is_none());
    refused!(
        survival_subgroups(&patients, &treated, &[0, 0, 0, 0, 1, 7], &names, 0.95),
        StatisticsError::Setting { .. }
    );
    refused!(
        heterogeneity(&[(1.0, 0.5)], 0.95),
        StatisticsError::TooFew { .. }
    );
    refused!(
        heterogeneity(&[(1.0, 0.5), (2.0, 0.0)], 0.95),
        StatisticsError::Setting { .. }
    );
}

/// An empty subgroup leaves the test of the others as it is.
#[test]
fn interactions_ignore_subgroups_without_patients() {
    let mut random = Xorshift(12);
    let mut uniform = || (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
    let treated: Vec<bool> = (0..60).map(|i| i % 2 == 0).collect();
    let values: Vec<f64> = (0..60).map(|_| uniform()).collect();
    let patients = SurvivalSample::new("all", values.clone(), vec![true; 60]).unwrap();
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let two: Vec<usize> = (0..60).map(|i| i % 3 / 2).collect();
    let shifted: Vec<usize> = two.iter().map(|group| group + 1).collect();
    let (short, long) = (names(&["a", "b"]), names(&["none", "a", "b"]));
    let pairs = [
        (
            survival_subgroups(&patients, &treated, &two, &short, 0.95),
            survival_subgroups(&patients, &treated, &shifted, &long, 0.95),
        ),
        (
            mean_subgroups(&values, &treated, &two, &short, 0.95),
            mean_subgroups(&values, &treated, &shifted, &long, 0.95),
        ),
    ];
    for (short, long) in pairs {
        let (short, long) = (short.unwrap(), long.unwrap());
        assert!(short.interaction.is_some());
        assert_eq!(short.interaction, long.interaction);
        assert_eq!(short.effects[..], long.effects[1..]);
        assert!(long.effects[0].effect.is_none());
    }
    let alone = survival_subgroups(&patients, &treated, &[0; 60], &short, 0.95).unwrap();
    assert!(alone.interaction.is_none() && alone.reason.is_some());
    let events = alone.effects[0].detectable_hazard_ratio(0.05, 0.8).unwrap();
    assert!((events - detectable_hazard_ratio(60.0, 0.5, 0.05, 0.8).unwrap()).abs() < 1e-15);
    refused!(
        alone.effects[1].detectable_hazard_ratio(0.05, 0.8),
        StatisticsError::Setting { .. }
    );
}

#[test]
fn win_ratios_at_the_edges() {
    let (a, b) = (
        sample("a", &[(5.0, false), (4.0, false)]),
        sample("b", &[(1.0, false), (2.0, false)]),
    );
    let censored = WinEndpoint::time("death", &a, &b, Better::Higher, 0.0).unwrap();
    refused!(
        win_ratio(
            std::slice::from_ref(&censored),
            WinVariance::Estimated,
            0.95
        ),
        StatisticsError::NoSpread { .. }
    );
    refused!(
        finkelstein_schoenfeld(std::slice::from_ref(&censored)),
        StatisticsError::NoSpread { .. }
    );
    refused!(
        win_ratio(&[], WinVariance::Null, 0.95),
        StatisticsError::TooFew { .. }
    );
    refused!(
        WinEndpoint::time("death", &a, &b, Better::Higher, -1.0),
        StatisticsError::Setting { .. }
    );
    let three = WinEndpoint::number("score", &[1.0; 3], &[1.0; 2], Better::Higher, 0.0).unwrap();
    refused!(
        win_ratio(&[censored.clone(), three], WinVariance::Null, 0.95),
        StatisticsError::LengthsDiffer { .. }
    );
    // The first endpoint decides nothing; the second all, in favour of the treated arm.
    let score = WinEndpoint::number("score", &[1.0, 2.0], &[4.0, 9.0], Better::Lower, 0.0).unwrap();
    let hierarchy = [censored, score];
    refused!(
        matched_win_ratio(&hierarchy, 0.95),
        StatisticsError::EmptyCell { .. }
    );
    let ours = win_ratio(&hierarchy, WinVariance::Null, 0.95).unwrap();
    assert_eq!((ours.wins, ours.losses, ours.ties), (4, 0, 0));
    assert!(ours.win_ratio.is_none() && ours.win_odds.is_none());
    assert_eq!(ours.net_benefit.estimate.value, 1.0);
    // Earlier is better: an event at 2 beats one who is still waiting at 5.
    let early = sample("a", &[(2.0, true), (5.0, false)]);
    let late = sample("b", &[(5.0, false), (7.0, true)]);
    let response = WinEndpoint::time("response", &early, &late, Better::Lower, 0.0).unwrap();
    let ours = win_ratio(&[response], WinVariance::Null, 0.95).unwrap();
    assert_eq!((ours.wins, ours.losses, ours.ties), (2, 0, 2));
}

#[test]
fn a_thousand_against_a_thousand_patients() {
    let mut random = Xorshift(5);
    let mut uniform = || (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
    let mut arm = |rate: f64| {
        let times: Vec<f64> = (0..1000).map(|_| -uniform().ln() / rate).collect();
        let events = times.iter().map(|t| *t < 24.0).collect();
        SurvivalSample::new("arm", times.iter().map(|t| t.min(24.0)).collect(), events).unwrap()
    };
    let (a, b) = (arm(0.02), arm(0.03));
    let deaths = WinEndpoint::time("death", &a, &b, Better::Higher, 0.0).unwrap();
    let ours = win_ratio(&[deaths], WinVariance::Estimated, 0.999).unwrap();
    // Uncensored exponential times: a treated patient lives longer with odds 3 to 2; ending
    // follow-up at one time only turns pairs into ties: P(win) / P(loss) stays 3 / 2.
    let ratio = ours.win_ratio.unwrap().estimate;
    assert!(ratio.low < 1.5 && 1.5 < ratio.high, "{ratio:?}");
}
