//! The 32 men under the drug they really received.

use crate::{folder, result, trial};

/// The figure that the data set's notes give for true days.
const PUBLISHED: f64 = 0.2007;
const TOLERANCE: f64 = 0.0010;

#[test]
fn mean_error_of_the_32_men_is_the_published_one() {
    let replay = result().replay.as_ref().expect("replay");
    assert_eq!(replay.patients.len(), 32);
    let records: usize = replay
        .patients
        .iter()
        .map(|patient| patient.records.len())
        .sum();
    assert_eq!(records, 678);
    println!("mean RMSE {:.5}", replay.rmse.value);
    assert!(
        (replay.rmse.value - PUBLISHED).abs() <= TOLERANCE,
        "{}",
        replay.rmse.value
    );
}

/// The same in f64 without any of our code but the CSV: Runge-Kutta with the same steps.
#[test]
fn predictions_agree_with_a_hand_simulation() {
    let text = std::fs::read_to_string(folder().join("data/abiraterone/psa.csv")).expect("data");
    let fits = std::fs::read_to_string(folder().join("data/abiraterone/published_fits.csv"))
        .expect("fits");
    let replay = result().replay.as_ref().expect("replay");
    for fit in fits.lines().skip(1) {
        let fields: Vec<&str> = fit.split(',').collect();
        let (s, r): (f64, f64) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        let rows: Vec<(f64, f64)> = text
            .lines()
            .skip(1)
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|row| row[0] == fields[4])
            .map(|row| (row[2].parse().unwrap(), row[4].parse().unwrap()))
            .collect();
        let mut state = [s, r];
        let mut burden = vec![s + r];
        for pair in rows.windows(2) {
            let span = pair[1].0 - pair[0].0;
            let steps = (span / 0.5).ceil().max(1.0);
            for _ in 0..steps as usize {
                state = crate::arms::step(state, pair[0].1, span / steps);
            }
            burden.push(state[0] + state[1]);
        }
        let largest = burden.iter().copied().fold(0.0, f64::max);
        let man = replay
            .patients
            .iter()
            .find(|patient| patient.name == fields[4])
            .expect("man");
        for (value, predicted) in burden.iter().zip(&man.predicted) {
            assert!(
                (value / largest - predicted).abs() < 2e-5,
                "{}: {} {predicted}",
                man.name,
                value / largest
            );
        }
    }
}

#[test]
fn the_reported_medians_are_those_of_the_publication() {
    let reported = result().reported.as_ref().expect("reported");
    let raw = |arm: usize| {
        let group = &trial()
            .reported
            .as_ref()
            .unwrap()
            .groups
            .iter()
            .find(|g| g.arm == arm)
            .unwrap();
        let mut times = group.times.clone();
        times.sort_by(f64::total_cmp);
        0.5 * (times[7] + times[8])
    };
    assert!((raw(0) - 14.3).abs() < 1e-9 && (raw(1) - 30.35).abs() < 1e-9);
    assert_eq!(
        reported
            .arms
            .iter()
            .map(|arm| arm.curve.patients())
            .collect::<Vec<_>>(),
        [16, 16]
    );
    assert_eq!(reported.arms[1].events, 12);
}
