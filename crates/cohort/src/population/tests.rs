use super::*;
use crate::testing::{model_with, pk_model};

const VARIED: &str = r#"
CL = { value = 8, unit = "L/h", source = "x", iiv = { cv = 0.3 }, iov = { cv = 0.1 } }
V = { value = 50, unit = "L", source = "x", iiv = { omega2 = 0.04 } }
F = { value = 0.7, unit = "1", source = "x", bounds = [0, 1], iiv = { sd = 0.8, distribution = "logit-normal" } }
E0 = { value = 10, unit = "g", source = "x", iiv = { sd = 2, distribution = "normal" } }
TR = { value = 1, unit = "1/h", source = "x", iiv = { sd = 1 }, bounds = [0.5, 1.5] }
"#;
const CORRELATED: &str = "[[correlations]]\nbetween = [\"CL\", \"V\"]\nvalue = 0.6\n";

fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    (
        mean,
        (values.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt(),
    )
}

#[test]
fn individual_values_have_the_declared_distribution() {
    let model = model_with(VARIED, CORRELATED);
    let n = 40_000;
    let cohort = Cohort::sample(&model, n, 11, 0).expect("sample");
    let of = |name: &str| &cohort.slots[model.slot_index(name).expect("slot")];
    let four_errors = 4.0 / (n as f64).sqrt();

    let cl: Vec<f64> = of("CL").iter().map(|v| (v / 8.0).ln()).collect();
    let v: Vec<f64> = of("V").iter().map(|v| (v / 50.0).ln()).collect();
    let omega_cl = (1.0f64 + 0.09).ln().sqrt();
    let (mean, sd) = moments(cl.iter().copied());
    assert!(mean.abs() < four_errors * omega_cl && (sd / omega_cl - 1.0).abs() < four_errors);
    let (_, sd) = moments(v.iter().copied());
    assert!((sd / 0.2 - 1.0).abs() < four_errors);
    let product = cl.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>() / n as f64;
    assert!((product / (omega_cl * 0.2) - 0.6).abs() < four_errors);

    let logit = of("F")
        .iter()
        .map(|f| (f / (1.0 - f)).ln() - (0.7f64 / 0.3).ln());
    let (mean, sd) = moments(logit);
    assert!(mean.abs() < 0.8 * four_errors && (sd / 0.8 - 1.0).abs() < four_errors);
    // 10 g with sd 2 g, in mg
    let (mean, sd) = moments(of("E0").iter().copied());
    assert!(
        (mean - 10_000.0).abs() < 2_000.0 * four_errors && (sd / 2_000.0 - 1.0).abs() < four_errors
    );
    // truncation by redraw: all inside, and not piled up at the bounds
    let tr = of("TR");
    assert!(tr.iter().all(|t| (0.5..=1.5).contains(t)));
    assert!(tr.iter().filter(|&&t| t == 0.5 || t == 1.5).count() == 0);
    // truncated eta of a standard normal between ln 0.5 and ln 1.5: share below zero is
    // (Phi(0) - Phi(-0.693147)) / (Phi(0.405465) - Phi(-0.693147)) = 0.255891 / 0.413316
    let share = tr.iter().filter(|&&t| t < 1.0).count() as f64 / n as f64;
    assert!(
        (share - 0.619_117).abs() < 4.0 * (0.25 / n as f64).sqrt(),
        "{share}"
    );
}

#[test]
fn a_patient_depends_on_seed_and_id_only() {
    let model = model_with(VARIED, CORRELATED);
    let whole = Cohort::sample(&model, 1000, 3, 0).expect("sample");
    let part = Cohort::sample(&model, 10, 3, 500).expect("sample");
    for i in 0..10 {
        assert_eq!(part.patient(i), whole.patient(500 + i));
    }
    assert_eq!(part.ids[0], 500);
    assert_ne!(
        Cohort::sample(&model, 1, 4, 0).expect("sample").patient(0),
        whole.patient(0)
    );
    let single = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("pool");
    assert_eq!(
        single
            .install(|| Cohort::sample(&model, 1000, 3, 0))
            .expect("sample"),
        whole
    );
    let chosen = whole.select(&[7, 3, 5000]);
    assert_eq!((chosen.len(), chosen.patient(1)), (2, whole.patient(3)));
}

#[test]
fn occasions_vary_around_the_individual() {
    let model = model_with(VARIED, "");
    let sampler = Sampler::new(&model).expect("sampler");
    let individual = sampler.individual(5, 9).expect("patient");
    let cl = model.slot_index("CL").expect("slot");
    let on = |occasion| {
        sampler
            .occasion(5, 9, &individual, occasion)
            .expect("occasion")
    };
    assert_eq!(on(0).len(), 1);
    assert_eq!(on(0)[0].0, cl);
    assert_eq!(on(2), on(2));
    assert_ne!(on(1), on(2));
    let n = 20_000u32;
    let kappas = (0..n).map(|occasion| (on(occasion)[0].1 / individual[cl]).ln());
    let (mean, sd) = moments(kappas.collect::<Vec<_>>().into_iter());
    let omega = (1.0f64 + 0.01).ln().sqrt();
    let errors = 4.0 / f64::from(n).sqrt();
    assert!(mean.abs() < errors * omega && (sd / omega - 1.0).abs() < errors);
}

#[test]
fn typical_patients_have_the_models_values() {
    let model = pk_model();
    let cohort = Cohort::typical(&model, 3);
    assert_eq!(cohort.patient(2), model.typical_slots());
    assert_eq!((cohort.len(), cohort.label(1)), (3, "1".to_owned()));
    // no variability: sampling gives the same
    assert_eq!(Cohort::sample(&model, 3, 1, 0).expect("sample"), cohort);
}

#[test]
fn impossible_populations_are_named() {
    let far = "A = { value = 1, unit = \"1\", source = \"x\", bounds = [0.999999, 1.000001], iiv = { cv = 2 } }";
    let error = Cohort::sample(&model_with(far, ""), 1, 1, 0).expect_err("bounds");
    let first = error.iter().next().expect("finding");
    assert_eq!(first.code, "D061");
    assert!(first.message.contains("`A`"));
    let error = Cohort::sample(&pk_model(), 2, 1, u32::MAX).expect_err("ids");
    assert_eq!(error.iter().next().map(|d| d.code), Some("D062"));
}
