//! The simulator as a tensor operation: gradients of a loss on top of it against f64.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN must fail")]

#[path = "../../sim/tests/common/mod.rs"]
mod common;

use burn::tensor::{Tensor, TensorData};
use common::{Case, device, fresh_seed, scenario, shipped};
use posology_cohort::Cohort;
use posology_cohort::philox::{draw, uniform_closed_open};
use posology_kernels::adjoint::reference::{PatientSeeds, gradient};
use posology_kernels::reference::{Method, simulate};
use posology_model::program::AccumulatorRequest;
use posology_sim::{Column, OutputPlan, RuleSet};
use posology_twin::op::{Operation, OperationError, values_of};
use rayon::prelude::*;

const PATIENTS: usize = 5;
const RECORDS: usize = 7;
/// Of a component, or of a twentieth of the patient's largest effect.
const TOLERANCE: f64 = 1e-3;

/// Patients under the model's scenario; what is recorded and integrated is `observable`.
fn case(name: &str, observable: &str, seed: u64) -> Case {
    let model = shipped(name);
    let mut cohort = Cohort::sample(&model, PATIENTS, seed, 0).unwrap_or_else(|e| panic!("{e}"));
    for (k, value) in cohort.slots.iter_mut().flatten().enumerate() {
        // away from reference values, where formulas of covariates may have a corner
        *value *= 0.97 + 0.03 * random(seed, 1, k);
    }
    let timelines = scenario(&model, &cohort);
    let end = timelines.end();
    let times = (0..RECORDS).map(|k| end * (k as f64 + 0.1 + 0.8 * random(seed, 2, k)));
    let times: Vec<f64> = times.map(|time| time / RECORDS as f64).collect();
    let mut outputs = OutputPlan::none();
    let node = model.observables.iter().find(|o| o.name == observable);
    let node = node.expect("observable").node;
    let column = Column {
        name: observable.to_owned(),
        unit: String::new(),
        scale: 1.0,
    };
    outputs.record(column.clone(), node, None);
    outputs.summary(column, AccumulatorRequest::Integral(node));
    Case {
        model,
        cohort,
        timelines: timelines.with_records(&times),
        outputs,
        rules: RuleSet::default(),
    }
}

fn random(seed: u64, purpose: u32, k: usize) -> f64 {
    let [word, ..] = draw(seed, purpose, 0, 0, k as u32);
    uniform_closed_open(word)
}

/// Data to fit, and sizes.
struct Loss {
    /// `[patient][record]`
    data: Vec<Vec<f64>>,
    /// A value of the integral that costs one.
    size: f64,
}

/// f64: the loss of each patient, and its gradient by slots and scales.
fn exact(case: &Case, seed: u64) -> (Loss, Vec<f64>, Vec<Vec<f64>>) {
    let program = case.program();
    let plan = posology_kernels::adjoint::AdjointPlan::new(program.clone());
    let rows = case.rows();
    let one = |i: usize| {
        let timeline = &rows[case.timelines.of_patient[i] as usize];
        let (slots, scales) = (case.cohort.patient(i), case.scales(i));
        let method = Method::Rk4 { refine: 1 };
        let path = simulate(&program, timeline, &slots, &scales, method).unwrap();
        let noise = |k: usize| (random(seed, 3, i * RECORDS + k) - 0.5).exp();
        let values = path.records.iter().map(|record| record[0]);
        let data: Vec<f64> = values.enumerate().map(|(k, y)| y * noise(k)).collect();
        let size = 0.5 * path.summaries[0];
        (path, data, size)
    };
    let seen: Vec<_> = (0..PATIENTS).into_par_iter().map(one).collect();
    let size = seen[0].2;
    let found: Vec<(f64, Vec<f64>)> = seen
        .par_iter()
        .enumerate()
        .map(|(i, (path, data, _))| {
            let ratios = path.records.iter().zip(data).map(|(y, d)| (y[0] / d).ln());
            let ratios: Vec<f64> = ratios.collect();
            let penalty = path.summaries[0] / size;
            let loss = ratios.iter().map(|r| r * r).sum::<f64>() / RECORDS as f64 + penalty.powi(2);
            let back = |(record, r): (&Vec<f64>, &f64)| vec![2.0 * r / RECORDS as f64 / record[0]];
            let seeds = PatientSeeds {
                states: vec![0.0; program.n_states],
                summaries: vec![2.0 * penalty / size],
                records: path.records.iter().zip(&ratios).map(back).collect(),
            };
            let timeline = &rows[case.timelines.of_patient[i] as usize];
            let (slots, scales) = (case.cohort.patient(i), case.scales(i));
            let found = gradient(&plan, timeline, &slots, &scales, &seeds).unwrap();
            (loss, [found.slots, found.scales].concat())
        })
        .collect();
    let data = seen.into_iter().map(|(_, data, _)| data).collect();
    let (losses, gradients) = found.into_iter().unzip();
    (Loss { data, size }, losses, gradients)
}

/// The same in tensors: loss of all patients as `[1, 1]`.
fn of_tensors(operation: &Operation, loss: &Loss, values: Tensor<2>, states: usize) -> Tensor<2> {
    let course = operation.run(values).unwrap();
    let records = course.records.unwrap();
    let mut data = vec![0.0f32; PATIENTS * RECORDS];
    for (i, of_patient) in loss.data.iter().enumerate() {
        for (k, value) in of_patient.iter().enumerate() {
            data[operation.record_column(i, k).unwrap()] = *value as f32;
        }
    }
    let data = Tensor::<2>::from_data(
        TensorData::new(data, [1, PATIENTS * RECORDS]),
        &operation.tensor_device(),
    );
    let misfit = (records.log() - data.log()).powi_scalar(2).sum_dim(1) / RECORDS as f64;
    let integral = course.ends.slice([states..states + 1, 0..PATIENTS]) / loss.size;
    misfit + integral.powi_scalar(2).sum_dim(1)
}

fn upload(operation: &Operation, values: &[f32]) -> Tensor<2> {
    let shape = [operation.value_rows(), PATIENTS];
    let on = operation.tensor_device().autodiff();
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &on)
}

fn download<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// Largest error of the components of a gradient, weighed by the sizes of what they belong to.
fn error(got: &[f64], wanted: &[f64], sizes: &[f64]) -> f64 {
    let effect = |k: usize| (wanted[k] * sizes[k]).abs();
    let largest = (0..wanted.len()).map(effect).fold(0.0, f64::max);
    let of = |k: usize| {
        let apart = ((got[k] - wanted[k]) * sizes[k]).abs();
        apart / effect(k).max(0.05 * largest)
    };
    let errors: Vec<f64> = (0..wanted.len()).map(of).collect();
    assert!(errors.iter().all(|e| e.is_finite()), "{got:?}");
    errors.into_iter().fold(0.0, f64::max)
}

fn column(rows: &[f32], i: usize) -> Vec<f64> {
    let column = rows.iter().skip(i).step_by(PATIENTS);
    column.map(|v| f64::from(*v)).collect()
}

const MODELS: [(&str, &str); 2] = [("docetaxel-neutropenia", "ANC"), ("bruno-tgi", "size")];

#[test]
fn gradient_of_a_loss_agrees_with_f64() {
    for (name, observable) in MODELS {
        let seed = fresh_seed(name);
        let case = case(name, observable, seed);
        let (loss, losses, gradients) = exact(&case, seed);
        let operation = Operation::of(device(), &case.simulation(), None).unwrap();
        let states = case.model.states.len();
        let all = values_of(&case.simulation());
        let run = || {
            let values = upload(&operation, &all).require_grad();
            let value = of_tensors(&operation, &loss, values.clone(), states);
            let found = value.backward();
            (download(value), download(values.grad(&found).unwrap()))
        };
        let (value, found) = run();
        let total: f64 = losses.iter().sum();
        let apart = (f64::from(value[0]) / total - 1.0).abs();
        let mut worst = 0.0;
        for (i, wanted) in gradients.iter().enumerate() {
            let e = error(&column(&found, i), wanted, &column(&all, i));
            worst = f64::max(worst, e);
        }
        println!("{name}: loss {total:.4} (error {apart:.1e}), gradient error {worst:.1e}");
        assert!(apart <= TOLERANCE && worst <= TOLERANCE, "{name}");

        let bits = |rows: Vec<f32>| rows.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
        let again = run();
        assert_eq!(bits(value), bits(again.0));
        assert_eq!(bits(found), bits(again.1), "{name}: bits of two runs");
    }
}

/// Rows that all patients share, expanded from one number each.
#[test]
fn shared_rows_get_the_sum_over_patients() {
    let (name, observable) = MODELS[1];
    let seed = fresh_seed(name);
    let mut case = case(name, observable, seed);
    // the parameters are the same for all
    let shared = case.model.parameters.len();
    for row in &mut case.cohort.slots[..shared] {
        let first = row[0];
        row.fill(first);
    }
    let (loss, _, gradients) = exact(&case, seed);
    let operation = Operation::of(device(), &case.simulation(), None).unwrap();
    let states = case.model.states.len();
    let all = values_of(&case.simulation());
    let values = upload(&operation, &all);
    let weights = values.clone().slice([0..shared, 0..1]).reshape([shared]);
    let weights = weights.detach().require_grad();
    let own = values.slice([shared..operation.value_rows(), 0..PATIENTS]);
    let own = own.detach().require_grad();
    let expanded = weights.clone().reshape([shared, 1]);
    let expanded = expanded.expand([shared, PATIENTS]);
    let values = Tensor::cat(vec![expanded, own.clone()], 0);
    let found = of_tensors(&operation, &loss, values, states).backward();
    let (weights, own) = (weights.grad(&found).unwrap(), own.grad(&found).unwrap());
    assert_eq!(weights.dims(), [shared]);
    let got: Vec<f64> = download(weights).into_iter().map(f64::from).collect();
    let sum = |k: usize| gradients.iter().map(|of| of[k]).sum::<f64>();
    let wanted: Vec<f64> = (0..shared).map(sum).collect();
    let sizes = column(&all, 0);
    // a sum of patients whose gradients cancel is no better than the largest of them
    let most = |k: usize| gradients.iter().map(|of| of[k].abs()).fold(0.0, f64::max);
    let scale: Vec<f64> = (0..shared).map(most).collect();
    let whole = error(&got, &wanted, &sizes[..shared]);
    let apart = |k: usize| (got[k] - wanted[k]).abs() / scale[k].max(1e-30);
    let largest = (0..shared)
        .map(|k| scale[k] * sizes[k].abs())
        .fold(0.0, f64::max);
    let counts = |k: &usize| scale[*k] * sizes[*k].abs() >= 0.05 * largest;
    let worst = (0..shared).filter(counts).map(apart).fold(0.0, f64::max);
    println!("shared rows: error {worst:.1e} of the largest patient, {whole:.1e} of the sum");
    assert!(worst <= TOLERANCE);
    for (i, wanted) in gradients.iter().enumerate() {
        let own = column(&download(own.clone()), i);
        let sizes = column(&all[shared * PATIENTS..], i);
        assert!(error(&own, &wanted[shared..], &sizes) <= TOLERANCE);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let case = case(MODELS[0].0, MODELS[0].1, 1);
    let operation = Operation::of(device(), &case.simulation(), None).unwrap();
    let short = Tensor::<2>::zeros([operation.value_rows(), 2], &operation.tensor_device());
    let error = operation.run(short).unwrap_err();
    assert!(matches!(error, OperationError::Shape { .. }), "{error}");
    let adjoint = operation.adjoint();
    let new = |timeline: &[u32], first: &[u32], total: usize| {
        Operation::new(adjoint.clone(), timeline, first, 1, total).err()
    };
    assert!(new(&[0], &[0], RECORDS).is_none());
    let found = new(&[0], &[1], RECORDS);
    assert!(matches!(found, Some(OperationError::Record { .. })));
    let found = new(&[9], &[0], RECORDS);
    assert!(matches!(found, Some(OperationError::Timeline { .. })));
    let found = new(&[], &[], 0);
    assert!(matches!(found, Some(OperationError::Patients { .. })));
}
