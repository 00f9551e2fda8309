//! Simulated trials against exact enumeration, and on any number of threads.

use posology_trial::dose_finding::*;

fn within(what: &str, simulated: Figure, exact: Figure) {
    assert_eq!(exact.standard_error, 0.0);
    let error = (simulated.value - exact.value).abs();
    let allowed = 4.5 * simulated.standard_error + 1e-3 / 20.0;
    assert!(
        error <= allowed,
        "{what}: {simulated:?}, exact {}",
        exact.value
    );
}

fn designs() -> Vec<Box<dyn DoseDesign>> {
    let crm = CrmSettings {
        cohort_size: 3,
        overdose_stop: Some(0.9),
        ..CrmSettings::new(0.3, skeleton(0.05, 0.3, 2, 4).unwrap(), 18)
    };
    vec![
        Box::new(ThreePlusThree::new(4, 0, Confirmation::Always).unwrap()),
        Box::new(IntervalDesign::new(IntervalSettings::boin(4, 0.3, 24)).unwrap()),
        Box::new(IntervalDesign::new(IntervalSettings::keyboard(4, 0.3, 21)).unwrap()),
        Box::new(Crm::new(crm).unwrap()),
    ]
}

#[test]
fn simulation_agrees_with_enumeration() {
    let truth = vec![0.12, 0.2, 0.33, 0.5];
    for design in designs() {
        let scenario = Scenario::new(truth.clone(), 0.3).unwrap();
        assert_eq!(scenario.mtd(), Some(2));
        let exact = enumerate(design.as_ref(), &scenario, 10_000_000).unwrap();
        let source = FixedToxicity::new(20, truth.clone()).unwrap();
        let simulated = simulate(design.as_ref(), &source, &scenario, 10_000).unwrap();
        let name = design.name();
        let all: f64 = exact.doses.iter().map(|dose| dose.selected.value).sum();
        assert!((all + exact.none_selected.value - 1.0).abs() < 1e-12);
        let ended: f64 = exact.stopped.iter().map(|(_, share)| share.value).sum();
        assert!((ended - 1.0).abs() < 1e-12);
        for (ours, exact) in simulated.doses.iter().zip(&exact.doses) {
            within(name, ours.selected, exact.selected);
            within(name, ours.patients, exact.patients);
            within(name, ours.toxicities, exact.toxicities);
            // whoever is treated has the probability of the dose
            let rate = exact.toxicities.value / exact.patients.value;
            assert!((rate - exact.truth).abs() < 1e-9);
        }
        for (ours, exact) in [
            (simulated.none_selected, exact.none_selected),
            (simulated.correct, exact.correct),
            (simulated.too_high, exact.too_high),
            (simulated.patients_at_mtd, exact.patients_at_mtd),
            (simulated.overdosed, exact.overdosed),
            (simulated.overdosed_60, exact.overdosed_60),
            (simulated.overdosed_80, exact.overdosed_80),
            (simulated.toxicity_rate, exact.toxicity_rate),
            (simulated.sample_size, exact.sample_size),
        ] {
            within(name, ours, exact);
        }
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let truth = vec![0.1, 0.2, 0.3, 0.45];
    let scenario = Scenario::new(truth.clone(), 0.3).unwrap();
    let source = FixedToxicity::new(9, truth).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            designs()
                .iter()
                .map(|design| simulate(design.as_ref(), &source, &scenario, 1_500).unwrap())
                .collect::<Vec<_>>()
        })
    };
    let one = run(1);
    assert_eq!(one, run(3));
    assert_eq!(one, run(8));
    // a replicate is the same trial whoever runs it, and other seeds give other trials
    let design = &designs()[1];
    let trial = |source: &FixedToxicity| run_trial(design.as_ref(), source, 77).unwrap();
    assert_eq!(trial(&source), trial(&source));
    let other = FixedToxicity::new(10, vec![0.1, 0.2, 0.3, 0.45]).unwrap();
    let differ = (0..50).any(|replicate| {
        run_trial(design.as_ref(), &source, replicate).unwrap()
            != run_trial(design.as_ref(), &other, replicate).unwrap()
    });
    assert!(differ);
}

#[test]
fn toxicities_have_their_probabilities() {
    let truth = vec![0.0, 0.05, 0.3, 1.0];
    let source = FixedToxicity::new(123, truth.clone()).unwrap();
    let (replicates, patients) = (2_000, 20);
    for (dose, p) in truth.into_iter().enumerate() {
        let toxic = (0..replicates)
            .flat_map(|replicate| (0..patients).map(move |patient| (replicate, patient)))
            .filter(|&(replicate, patient)| source.toxicity(replicate, patient, dose))
            .count() as f64;
        let all = f64::from(replicates * patients);
        assert!((toxic / all - p).abs() <= 4.0 * (p * (1.0 - p) / all).sqrt());
    }
    // a patient who does not tolerate a dose does not tolerate a higher one
    assert!(
        (0..100)
            .all(|patient| { !source.toxicity(0, patient, 1) || source.toxicity(0, patient, 2) })
    );
}

/// Trials on a table of simulated patients whose rates are those of a scenario agree with the
/// exact figures of the scenario.
#[test]
fn a_pool_of_patients_stands_for_its_rates() {
    let patients = 1_000;
    let outcomes: Vec<Vec<bool>> = [0.12, 0.2, 0.33, 0.5]
        .iter()
        .map(|rate| {
            (0..patients)
                .map(|row| f64::from(row) < rate * 1_000.0)
                .collect()
        })
        .collect();
    let pool = PatientPool::new(4, &outcomes).unwrap();
    let truth = pool.truth();
    assert_eq!(truth, [0.12, 0.2, 0.33, 0.5]);
    let scenario = Scenario::new(truth, 0.3).unwrap();
    for design in designs() {
        let exact = enumerate(design.as_ref(), &scenario, 10_000_000).unwrap();
        let simulated = simulate(design.as_ref(), &pool, &scenario, 5_000).unwrap();
        within(design.name(), simulated.correct, exact.correct);
        within(design.name(), simulated.sample_size, exact.sample_size);
        within(design.name(), simulated.overdosed, exact.overdosed);
    }
}

#[test]
fn where_every_dose_is_too_toxic_none_is_right() {
    let truth = vec![0.6, 0.7, 0.8, 0.9];
    let design = IntervalDesign::new(IntervalSettings::boin(4, 0.3, 30)).unwrap();
    let scenario = Scenario::too_toxic(truth.clone()).unwrap();
    let exact = enumerate(&design, &scenario, 10_000_000).unwrap();
    assert!(exact.correct.value > 0.9);
    assert_eq!(exact.correct, exact.none_selected);
    assert!((exact.overdosed.value - 1.0).abs() < 1e-12);
    let stopped = exact
        .stopped
        .iter()
        .find(|(reason, _)| *reason == StopReason::TooToxic);
    assert!(stopped.unwrap().1.value > 0.9);
}

/// The scenario of the manual of the R package BOIN, by every path.
#[test]
fn the_usual_table() {
    let truth = vec![0.05, 0.15, 0.3, 0.45, 0.6];
    let design = IntervalDesign::new(IntervalSettings::boin(5, 0.3, 30)).unwrap();
    let scenario = Scenario::new(truth.clone(), 0.3).unwrap();
    let exact = enumerate(&design, &scenario, 10_000_000).unwrap();
    let table = "\
boin, target 30.0 %, dose 3 is right, every path
dose                         1       2       3       4       5    none
true toxicity, %           5.0    15.0    30.0    45.0    60.0
selected, %                1.2    23.2    54.6    19.4     1.6     0.0
patients                  4.18    9.10   11.16    4.75    0.81
toxicities                0.21    1.36    3.35    2.14    0.49
correct selection, %                54.6
selection too high, %               21.0
patients at the right dose, %       37.2
patients above it, %                18.5
trials with over 60 % above it, %   3.4
trials with over 80 % above it, %   0.0
patients with toxicity, %           25.2
patients per trial                  29.99
ended: all patients treated, %      100.0
ended: lowest dose too toxic, %     0.0
";
    assert_eq!(exact.to_string(), table);
    let source = FixedToxicity::new(1, truth).unwrap();
    let simulated = simulate(&design, &source, &scenario, 500).unwrap();
    let text = simulated.to_string();
    assert!(text.contains("dose 3 is right, 500 trials"), "{text}");
    assert!(text.contains("standard error"), "{text}");
}
