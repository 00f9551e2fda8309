//! Competing risks against R's survival and cmprsk, and lifelines.

use posology_trial::statistics::*;
use serde_json::Value;

use crate::support::*;

const DATA: [&str; 3] = ["coarse", "fine", "to_the_end"];

fn everyone(data: &Value, name: &str) -> CompetingSample {
    CompetingSample::new(name, numbers(&data["times"]), labels(&data["causes"])).unwrap()
}

/// One sample per group, with the strata of its patients.
fn groups(data: &Value) -> (Vec<CompetingSample>, Vec<Vec<u32>>) {
    let (times, causes) = (numbers(&data["times"]), labels(&data["causes"]));
    let (group, stratum) = (labels(&data["group"]), labels(&data["stratum"]));
    let count = group.iter().max().unwrap() + 1;
    (0..count)
        .map(|g| {
            let members: Vec<usize> = (0..group.len()).filter(|&i| group[i] == g).collect();
            let sample = CompetingSample::new(
                format!("group {g}"),
                members.iter().map(|&i| times[i]).collect(),
                members.iter().map(|&i| causes[i]).collect(),
            );
            (
                sample.unwrap(),
                members.iter().map(|&i| stratum[i]).collect::<Vec<_>>(),
            )
        })
        .unzip()
}

#[test]
fn cumulative_incidence_matches_r() {
    let (data, r) = (comparisons(), comparisons_r());
    let mut values = Against::new("cumulative incidence, R survival", 1e-6);
    let mut errors = Against::new("its standard error, R survival", 1e-6);
    let mut limits = Against::new("its limits, R survival", 1e-6);
    let mut cuminc = Against::new("cumulative incidence, R cmprsk", 1e-6);
    for set in DATA {
        let sample = everyone(&data["competing_data"][set], set);
        for (key, band) in [("log_log", Band::LogLog), ("plain", Band::Plain)] {
            for cause in 1..=2 {
                let theirs = &r["incidence"][set][key][cause - 1];
                let ours = CumulativeIncidence::fit(&sample, cause as u32);
                let band = ours.band(band, 0.95).unwrap();
                let column = |key: &str| numbers(&theirs[key]);
                assert_eq!(ours.steps().len(), column("time").len());
                for (i, step) in ours.steps().iter().enumerate() {
                    let what = format!("{set}, cause {cause}, {}", step.time);
                    values.check(step.time, column("time")[i], &what);
                    values.check(step.incidence, column("incidence")[i], &what);
                    errors.check(step.variance.sqrt(), column("error")[i], &what);
                    let (low, high) = (column("low")[i], column("high")[i]);
                    if low.is_finite() && step.incidence > 0.0 {
                        limits.check(band[i].0, low, &what);
                        limits.check(band[i].1, high, &what);
                    }
                }
            }
        }
        for (cause, theirs) in r["incidence"][set]["cuminc"].as_object().unwrap() {
            let cause: u32 = cause.trim_start_matches('1').trim().parse().unwrap();
            let ours = CumulativeIncidence::fit(&sample, cause);
            let (times, values) = (numbers(&theirs["time"]), numbers(&theirs["incidence"]));
            for (i, &time) in times.iter().enumerate() {
                // The corners of the curve: the last entry of a time is the value after it.
                if times.get(i + 1) != Some(&time) {
                    // R writes 15 digits.
                    let value = ours.incidence(time.mul_add(1e-13, time).min(ours.last_time()));
                    let value = value.unwrap();
                    cuminc.check(value, values[i], &format!("{set}, cause {cause}, {time}"));
                }
            }
        }
    }
}

#[test]
fn cumulative_incidence_matches_lifelines() {
    let golden = comparisons();
    let mut values = Against::new("cumulative incidence and variance, lifelines", 1e-6);
    let mut compared = 0;
    for set in DATA {
        let sample = everyone(&golden["competing_data"][set], set);
        let Some(theirs) = golden["incidence"][set].as_object() else {
            continue;
        };
        compared += 1;
        for (cause, theirs) in theirs {
            let ours = CumulativeIncidence::fit(&sample, cause.parse().unwrap());
            let (times, incidence) = (numbers(&theirs["time"]), numbers(&theirs["incidence"]));
            for (time, value) in times.iter().zip(incidence) {
                let what = format!("{set}, cause {cause}, {time}");
                values.check(ours.incidence(*time).unwrap(), value, &what);
            }
            for (time, variance) in times.iter().zip(numbers(&theirs["variance"])) {
                // lifelines has none once everyone has had an event.
                if variance.is_nan() {
                    continue;
                }
                let steps = ours.steps();
                let step = &steps[steps.partition_point(|step| step.time < *time)];
                values.check(step.variance, variance, &format!("{set}, {cause}, {time}"));
            }
        }
    }
    assert!(compared > 0);
}

#[test]
fn gray_matches_cmprsk() {
    let (data, r) = (comparisons(), comparisons_r());
    let mut against = Against::new("Gray's test, R cmprsk", 1e-6);
    for set in DATA {
        let (samples, strata) = groups(&data["competing_data"][set]);
        let samples: Vec<&CompetingSample> = samples.iter().collect();
        let strata: Vec<&[u32]> = strata.iter().map(Vec::as_slice).collect();
        let theirs = &r["incidence"][set];
        for cause in 1..=3 {
            let plain = gray_test(&samples, cause).unwrap();
            let stratified = stratified_gray_test(&samples, &strata, cause).unwrap();
            let sum: f64 = plain.groups.iter().map(|group| group.score).sum();
            assert!(sum.abs() < 1e-9, "scores sum to {sum}");
            for (ours, key) in [(plain, "gray"), (stratified, "gray_stratified")] {
                let what = format!("{set}, cause {cause}, {key}");
                let at = |column: &str| numbers(&theirs[key][column])[cause as usize - 1];
                against.check(ours.test.statistic, at("statistic"), &what);
                against.check(ours.test.p_value, at("p"), &what);
                assert_eq!(ours.test.degrees, samples.len() - 1);
            }
        }
    }
}
