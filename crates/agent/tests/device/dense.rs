//! Dense layers over many columns against f64 on the host.

use burn::tensor::Tensor;
use posology_agent::bridge;
use posology_agent::ops::dense::{dense, dense_on};
use posology_kernels::dense::Target;
use posology_kernels::device::Device;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::gru::{Random, distance, download, upload};

/// `[m][n]` from `[m][k]` and `[k][n]`.
fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut found = vec![0.0; m * n];
    for i in 0..m {
        for e in 0..k {
            for j in 0..n {
                found[i * n + j] += a[i * k + e] * b[e * n + j];
            }
        }
    }
    found
}

fn turned(a: &[f64], m: usize, n: usize) -> Vec<f64> {
    (0..m * n).map(|at| a[at % m * n + at / m]).collect()
}

fn check(
    device: &Device,
    target: Target,
    random: &mut Random,
    [outputs, inputs, columns]: [usize; 3],
) -> Result<(), TestCaseError> {
    let w = random.numbers(outputs * inputs, 1.0);
    let b = random.numbers(outputs, 1.0);
    let x = random.numbers(inputs * columns, 1.0);
    let d = random.numbers(outputs * columns, 1.0);
    let mut y = product(&w, &x, outputs, inputs, columns);
    for (at, y) in y.iter_mut().enumerate() {
        *y += b[at / columns];
    }
    let wanted = [
        y,
        product(&d, &turned(&x, inputs, columns), outputs, columns, inputs),
        d.chunks(columns).map(|row| row.iter().sum()).collect(),
        product(&turned(&w, outputs, inputs), &d, inputs, outputs, columns),
    ];
    let tensors = bridge::tensor_device(device).autodiff();
    let w = upload(&w, [outputs, inputs], &tensors).require_grad();
    let b = upload(&b, [outputs], &tensors).require_grad();
    let x = upload(&x, [inputs, columns], &tensors).require_grad();
    let y = dense_on(target, w.clone(), b.clone(), x.clone()).unwrap();
    let grads = (y.clone() * upload(&d, [outputs, columns], &tensors))
        .sum()
        .backward();
    let found = [
        download(y),
        download(w.grad(&grads).unwrap()),
        download(b.grad(&grads).unwrap()),
        download(x.grad(&grads).unwrap()),
    ];
    for (name, (got, wanted)) in ["y", "w", "b", "x"]
        .into_iter()
        .zip(found.iter().zip(&wanted))
    {
        let far = distance(got, wanted);
        prop_assert!(
            far < 1e-5,
            "{name} of {outputs}x{inputs}x{columns}: {far:e}"
        );
    }
    Ok(())
}

#[test]
fn layers_agree_with_f64() {
    let device = posology_kernels::device::open(None).unwrap();
    let mut random = Random::fresh("dense");
    let here = Target::of(&device);
    let other = Target {
        software: !here.software,
        ..here
    };
    let alone = Target {
        planes: false,
        ..here
    };
    for target in [here, other, alone] {
        let shape = [50, 33, 1200];
        check(&device, target, &mut random, shape).unwrap();
        check(&device, target, &mut random, [7, 5, 33]).unwrap();
    }
    let mut runner = TestRunner::new(Config {
        cases: 30,
        failure_persistence: None,
        ..Config::default()
    });
    let seed = random.0;
    runner
        .run(
            &(1usize..80, 1usize..40, 1usize..2000),
            |(outputs, inputs, columns)| {
                let mut random = Random(seed ^ (outputs * inputs * columns) as u64);
                check(&device, here, &mut random, [outputs, inputs, columns])
            },
        )
        .unwrap();
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let device = posology_kernels::device::open(None).unwrap();
    let tensors = bridge::tensor_device(&device);
    let run = |given: usize, bias: usize| {
        dense(
            &device,
            Tensor::zeros([3, 4], &tensors),
            Tensor::zeros([bias], &tensors),
            Tensor::zeros([given, 5], &tensors),
        )
    };
    assert!(run(4, 3).is_ok());
    assert!(run(5, 3).is_err());
    assert!(run(4, 4).is_err());
}
