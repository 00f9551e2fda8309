//! Win statistics against the R packages WINS, hce and coin, and a brute-force reference.

use posology_trial::statistics::*;
use serde_json::Value;

use crate::support::*;

const DATA: [&str; 2] = ["coarse", "fine"];

/// The three endpoints of the patients of one stratum, or of all.
fn hierarchy(data: &Value, margins: &[f64], stratum: Option<u32>) -> Vec<WinEndpoint> {
    let (arm, strata) = (labels(&data["arm"]), labels(&data["stratum"]));
    let members = |which: u32| -> Vec<usize> {
        (0..arm.len())
            .filter(|&i| arm[i] == which && stratum.is_none_or(|s| strata[i] == s))
            .collect()
    };
    let pick = |key: &str, which: u32| -> Vec<f64> {
        let column = numbers(&data[key]);
        members(which).iter().map(|&i| column[i]).collect()
    };
    let time = |key: &str, event: &str, margin: f64| {
        let flags = flags(&data[event]);
        let sample = |which: u32| {
            let events = members(which).iter().map(|&i| flags[i]).collect();
            SurvivalSample::new(key, pick(key, which), events).unwrap()
        };
        WinEndpoint::time(key, &sample(1), &sample(0), Better::Higher, margin).unwrap()
    };
    let (treated, control) = (pick("score", 1), pick("score", 0));
    vec![
        time("death", "died", margins[0]),
        time("progression", "progressed", margins[1]),
        WinEndpoint::number("score", &treated, &control, Better::Higher, margins[2]).unwrap(),
    ]
}

#[track_caller]
fn three(against: &mut Against, ours: &WinStatistic, theirs: &Value, what: &str) {
    let theirs = numbers(theirs);
    against.check(ours.estimate.value, theirs[0], what);
    against.check(ours.estimate.low, theirs[1], what);
    against.check(ours.estimate.high, theirs[2], what);
}

#[test]
fn wins_match_the_package_wins() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut against = Against::new("win statistics, null variance, R WINS", 1e-6);
    for set in DATA {
        let data = &golden["wins_data"][set];
        let results = [
            (
                "plain",
                win_ratio(&hierarchy(data, &[0.0; 3], None), WinVariance::Null, 0.95),
            ),
            (
                "margins",
                win_ratio(
                    &hierarchy(data, &[1.5, 0.5, 1.0], None),
                    WinVariance::Null,
                    0.95,
                ),
            ),
            ("stratified", {
                let strata = [0, 1].map(|s| hierarchy(data, &[0.0; 3], Some(s)));
                let strata: Vec<&[WinEndpoint]> = strata.iter().map(Vec::as_slice).collect();
                stratified_win_ratio(&strata, WinVariance::Null, 0.95)
            }),
        ];
        for (key, ours) in results {
            let (ours, theirs) = (ours.unwrap(), &r["wins"][set][key]);
            let what = format!("{set}, {key}");
            let statistics = [
                ours.win_ratio.unwrap(),
                ours.net_benefit,
                ours.win_odds.unwrap(),
            ];
            for (i, (ours, key)) in statistics
                .iter()
                .zip(["win_ratio", "net_benefit", "win_odds"])
                .enumerate()
            {
                three(&mut against, ours, &theirs[key], &what);
                against.check(ours.z, numbers(&theirs["z"])[i], &what);
                against.check(ours.p_value, numbers(&theirs["p"])[i], &what);
            }
        }
    }
}

#[test]
fn wins_match_brute_force() {
    let golden = comparisons();
    let mut against = Against::new("win statistics, estimated variance, brute force", 1e-6);
    let mut pooled = Against::new("Finkelstein-Schoenfeld test, brute force", 1e-6);
    let mut matched = Against::new("matched win ratio, brute force", 1e-6);
    for set in DATA {
        for case in golden["wins"][set].as_array().unwrap() {
            let margins = numbers(&case["margins"]);
            let what = format!("{set}, margins {margins:?}");
            let endpoints = hierarchy(&golden["wins_data"][set], &margins, None);
            let ours = win_ratio(&endpoints, WinVariance::Estimated, 0.95).unwrap();
            assert_eq!(ours.wins as f64, number(&case["wins"]), "{what}");
            assert_eq!(ours.losses as f64, number(&case["losses"]), "{what}");
            let z = 1.959_963_984_540_054;
            for (ours, key) in [
                (ours.win_ratio.unwrap(), "win_ratio"),
                (ours.win_odds.unwrap(), "win_odds"),
            ] {
                let theirs = numbers(&case[key]);
                against.check(ours.estimate.value, theirs[0], &what);
                let error = (ours.estimate.high / ours.estimate.low).ln() / (2.0 * z);
                against.check(error, theirs[1], &what);
                against.check(ours.z, theirs[0].ln() / theirs[1], &what);
            }
            let theirs = numbers(&case["net_benefit"]);
            against.check(ours.net_benefit.estimate.value, theirs[0], &what);
            against.check(ours.net_benefit.z, theirs[0] / theirs[1], &what);

            let test = finkelstein_schoenfeld(&endpoints).unwrap();
            let theirs = numbers(&case["finkelstein_schoenfeld"]);
            for (ours, theirs) in [test.score, test.variance, test.z].into_iter().zip(theirs) {
                pooled.check(ours, theirs, &what);
            }
            let all = &golden["wins_data"][set];
            let size = labels(&all["arm"]).iter().filter(|&&arm| arm == 1).count();
            let pairs = first_patients(all, &margins, size);
            let (ours, theirs) = (matched_win_ratio(&pairs, 0.95).unwrap(), &case["matched"]);
            assert_eq!(ours.wins as f64, number(&theirs["wins"]));
            assert_eq!(ours.losses as f64, number(&theirs["losses"]));
            matched.check(ours.win_ratio.value, number(&theirs["win_ratio"]), &what);
            matched.check(ours.win_ratio.low, numbers(&theirs["limits"])[0], &what);
            matched.check(ours.win_ratio.high, numbers(&theirs["limits"])[1], &what);
            matched.check(ours.z, number(&theirs["z"]), &what);
        }
    }
}

/// The first `2 * size` patients, so that the arms, who alternate, have one size.
fn first_patients(data: &Value, margins: &[f64], size: usize) -> Vec<WinEndpoint> {
    let mut shorter = data.clone();
    for column in shorter.as_object_mut().unwrap().values_mut() {
        column.as_array_mut().unwrap().truncate(2 * size);
    }
    hierarchy(&shorter, margins, None)
}

#[test]
fn single_endpoints_match_hce_and_gehan() {
    let (golden, r) = (comparisons(), comparisons_r());
    let mut against = Against::new("win statistics of a score, R hce", 1e-6);
    let mut gehan = Against::new(
        "Finkelstein-Schoenfeld of one time, Gehan's test, R coin",
        1e-6,
    );
    for set in DATA {
        let data = &golden["wins_data"][set];
        let endpoints = hierarchy(data, &[0.0; 3], None);
        let ours = win_ratio(&endpoints[2..], WinVariance::Estimated, 0.95).unwrap();
        let theirs = &r["wins"][set]["score"];
        three(
            &mut against,
            &ours.win_ratio.unwrap(),
            &theirs["win_ratio"],
            set,
        );
        three(
            &mut against,
            &ours.win_odds.unwrap(),
            &theirs["win_odds"],
            set,
        );
        three(&mut against, &ours.net_benefit, &theirs["net_benefit"], set);
        let test = finkelstein_schoenfeld(&endpoints[..1]).unwrap();
        if set == "fine" {
            gehan.check(test.z.abs(), number(&r["wins"][set]["gehan_z"]), set);
        }
    }
}
