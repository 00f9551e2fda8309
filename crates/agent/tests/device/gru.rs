//! The recurrent core against f64 on the host and against Burn's own.

use burn::module::Param;
use burn::nn::gru::{Gru, GruConfig};
use burn::tensor::{Device as TensorDevice, Tensor, TensorData};
use posology_agent::bridge;
use posology_agent::ops::gru::{gru_sequence, gru_sequence_on};
use posology_agent::rollout::Buffer;
use posology_kernels::device::Device;
use posology_kernels::recurrent::Target;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Largest difference over the largest size, and that both are numbers.
pub fn distance(got: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(got.len(), wanted.len());
    let size = wanted.iter().fold(1e-3f64, |size, x| size.max(x.abs()));
    let far = got.iter().zip(wanted).map(|(&g, w)| {
        assert!(g.is_finite() && w.is_finite());
        (f64::from(g) - w).abs()
    });
    far.fold(0.0, f64::max) / size
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn fresh(what: &str) -> Self {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let seed = now.as_nanos() as u64;
        println!("{what}: seed {seed}");
        Self(seed)
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Numbers that f32 holds exactly, between `-scale` and `scale`.
    pub fn numbers(&mut self, n: usize, scale: f64) -> Vec<f64> {
        (0..n)
            .map(|_| f64::from(((2.0 * self.uniform() - 1.0) * scale) as f32))
            .collect()
    }
}

#[derive(Clone)]
struct Case {
    hidden: usize,
    steps: usize,
    lanes: usize,
    xw: Vec<f64>,
    u: Vec<f64>,
    c: Vec<f64>,
    h0: Vec<f64>,
    started: Vec<u32>,
    /// The loss is the sum of the states times these.
    weight: Vec<f64>,
}

/// Derivatives by `xw`, `u`, `c`, `h0`.
type Derivatives<T> = [Vec<T>; 4];

impl Case {
    fn random(random: &mut Random, [hidden, steps, lanes]: [usize; 3], starts: f64) -> Self {
        let all = steps * lanes;
        let scale = 2.0 / (hidden as f64).sqrt();
        Self {
            hidden,
            steps,
            lanes,
            xw: random.numbers(3 * hidden * all, 2.0),
            u: random.numbers(3 * hidden * hidden, scale),
            c: random.numbers(3 * hidden, 0.5),
            h0: random.numbers(hidden * lanes, 1.0),
            started: (0..all)
                .map(|_| u32::from(random.uniform() < starts))
                .collect(),
            weight: random.numbers(hidden * all, 1.0),
        }
    }

    /// States and gates `[unit][column]`: `(h before, r, z, n, q, h after)`.
    fn forward(&self) -> Vec<[f64; 6]> {
        let (hidden, all) = (self.hidden, self.steps * self.lanes);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut found = vec![[0.0; 6]; hidden * all];
        for column in 0..all {
            let before: Vec<f64> = (0..hidden)
                .map(|unit| match column.checked_sub(self.lanes) {
                    _ if self.started[column] != 0 => 0.0,
                    None => self.h0[unit * self.lanes + column],
                    Some(earlier) => found[unit * all + earlier][5],
                })
                .collect();
            let product = |row: usize| {
                let weights = &self.u[row * hidden..(row + 1) * hidden];
                let sum: f64 = weights.iter().zip(&before).map(|(w, h)| w * h).sum();
                sum + self.c[row]
            };
            for unit in 0..hidden {
                let x = |gate: usize| self.xw[(gate * hidden + unit) * all + column];
                let r = sigmoid(x(0) + product(unit));
                let z = sigmoid(x(1) + product(hidden + unit));
                let q = product(2 * hidden + unit);
                let n = (x(2) + r * q).tanh();
                let after = (1.0 - z) * n + z * before[unit];
                found[unit * all + column] = [before[unit], r, z, n, q, after];
            }
        }
        found
    }

    fn loss(&self) -> f64 {
        let states = self.forward();
        states.iter().zip(&self.weight).map(|(s, w)| s[5] * w).sum()
    }

    fn backward(&self) -> Derivatives<f64> {
        let (hidden, lanes, all) = (self.hidden, self.lanes, self.steps * self.lanes);
        let found = self.forward();
        let mut d_xw = vec![0.0; 3 * hidden * all];
        let mut d_u = vec![0.0; 3 * hidden * hidden];
        let mut d_c = vec![0.0; 3 * hidden];
        let mut d_state = vec![0.0; hidden * lanes];
        for column in (0..all).rev() {
            let lane = column % lanes;
            let mut delta = vec![0.0; 3 * hidden];
            let mut earlier = vec![0.0; hidden];
            for unit in 0..hidden {
                let [before, r, z, n, q, _] = found[unit * all + column];
                let d = d_state[unit * lanes + lane] + self.weight[unit * all + column];
                let d_n = d * (1.0 - z) * (1.0 - n * n);
                delta[unit] = d_n * q * r * (1.0 - r);
                delta[hidden + unit] = d * (before - n) * z * (1.0 - z);
                delta[2 * hidden + unit] = d_n * r;
                earlier[unit] = d * z;
                for gate in 0..2 {
                    let row = gate * hidden + unit;
                    d_xw[row * all + column] = delta[row];
                }
                d_xw[(2 * hidden + unit) * all + column] = d_n;
            }
            for (row, d) in delta.iter().enumerate() {
                d_c[row] += d;
                for k in 0..hidden {
                    d_u[row * hidden + k] += d * found[k * all + column][0];
                    earlier[k] += d * self.u[row * hidden + k];
                }
            }
            for (k, d) in earlier.into_iter().enumerate() {
                let zero = self.started[column] != 0;
                d_state[k * lanes + lane] = if zero { 0.0 } else { d };
            }
        }
        [d_xw, d_u, d_c, d_state]
    }

    /// The same on the device: states, derivatives.
    fn run(&self, device: &Device, target: Target) -> (Vec<f32>, Derivatives<f32>) {
        let (hidden, all) = (self.hidden, self.steps * self.lanes);
        let tensors = bridge::tensor_device(device).autodiff();
        let xw = upload(&self.xw, [3 * hidden, all], &tensors).require_grad();
        let u = upload(&self.u, [3 * hidden, hidden], &tensors).require_grad();
        let c = upload(&self.c, [3 * hidden], &tensors).require_grad();
        let h0 = upload(&self.h0, [hidden, self.lanes], &tensors).require_grad();
        let started = Buffer::from_words(&device.client, &self.started, 1, all);
        let out = gru_sequence_on(
            target,
            device,
            xw.clone(),
            u.clone(),
            c.clone(),
            h0.clone(),
            &started,
            self.steps,
        )
        .unwrap();
        let weight = upload(&self.weight, [hidden, all], &tensors);
        let grads = (out.clone() * weight).sum().backward();
        let derivatives = [
            download(xw.grad(&grads).unwrap()),
            download(u.grad(&grads).unwrap()),
            download(c.grad(&grads).unwrap()),
            download(h0.grad(&grads).unwrap()),
        ];
        (download(out), derivatives)
    }

    fn check(&self, device: &Device, target: Target) -> Result<(), TestCaseError> {
        let wanted: Vec<f64> = self.forward().iter().map(|state| state[5]).collect();
        let (out, found) = self.run(device, target);
        let far = distance(&out, &wanted);
        prop_assert!(far < 1e-5, "states: {far:e}");
        for (name, (got, exact)) in ["xw", "u", "c", "h0"]
            .into_iter()
            .zip(found.iter().zip(self.backward()))
        {
            let far = distance(got, &exact);
            prop_assert!(far < 1e-4, "derivative by {name}: {far:e}");
        }
        Ok(())
    }
}

pub fn upload<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    device: &TensorDevice,
) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn download<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

fn exact(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

/// The derivatives of the f64 reference are those of its own loss.
#[test]
fn the_reference_is_its_own_derivative() {
    let mut random = Random::fresh("reference");
    let case = Case::random(&mut random, [4, 6, 3], 0.3);
    let fields: [fn(&mut Case) -> &mut Vec<f64>; 4] = [
        |case| &mut case.xw,
        |case| &mut case.u,
        |case| &mut case.c,
        |case| &mut case.h0,
    ];
    for (field, exact) in fields.into_iter().zip(case.backward()) {
        for (place, exact) in exact.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut case = case.clone();
                field(&mut case)[place] += by;
                case.loss()
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((difference - exact).abs() < 1e-7, "{difference} {exact}");
        }
    }
}

#[test]
fn states_and_derivatives_agree_with_f64() {
    let device = posology_kernels::device::open(None).unwrap();
    let mut random = Random::fresh("gru");
    let here = Target::of(&device);
    // the other kind of adapter's kernel, and launches of few steps
    let other = Target {
        software: !here.software,
        ..here
    };
    let short = Target {
        budget: 900,
        ..here
    };
    for (target, shape) in [
        (here, [32, 20, 50]),
        (here, [64, 9, 37]),
        (other, [32, 11, 50]),
        (other, [64, 5, 37]),
        (short, [32, 40, 24]),
        (other, [12, 7, 5]),
    ] {
        let case = Case::random(&mut random, shape, 0.1);
        case.check(&device, target)
            .unwrap_or_else(|error| panic!("{shape:?} {target:?}: {error}"));
    }
}

#[test]
fn any_lengths_and_any_starts_agree_with_f64() {
    let device = posology_kernels::device::open(None).unwrap();
    let mut random = Random::fresh("lengths");
    let shapes = (3usize..5, 1usize..20, 1usize..70, 0.0..1.0f64);
    let mut runner = TestRunner::new(Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    });
    let seed = random.0;
    runner
        .run(&shapes, |(quads, steps, lanes, starts)| {
            let mut random = Random(seed ^ (quads * steps * lanes) as u64);
            Case::random(&mut random, [4 * quads, steps, lanes], starts)
                .check(&device, Target::of(&device))
        })
        .unwrap();
    random.uniform();
}

#[test]
fn what_lies_before_an_episode_never_matters() {
    let device = posology_kernels::device::open(None).unwrap();
    let mut random = Random::fresh("before");
    let mut case = Case::random(&mut random, [16, 4, 9], 0.2);
    case.started[..9].fill(1);
    let clean = case.run(&device, Target::of(&device));
    case.h0.fill(f64::NAN);
    let dirty = case.run(&device, Target::of(&device));
    assert_eq!(clean.0, dirty.0);
    assert_eq!(clean.1, dirty.1);
    assert!(clean.1[3].iter().all(|&d| d == 0.0));
}

#[test]
fn the_same_bits_twice() {
    let device = posology_kernels::device::open(None).unwrap();
    let mut random = Random::fresh("twice");
    let case = Case::random(&mut random, [32, 16, 200], 0.05);
    let target = Target::of(&device);
    let bits = |(out, grads): (Vec<f32>, Derivatives<f32>)| -> Vec<u32> {
        let all = out.into_iter().chain(grads.into_iter().flatten());
        all.map(f32::to_bits).collect()
    };
    let first = bits(case.run(&device, target));
    assert_eq!(first, bits(case.run(&device, target)));
    // nor does it matter in how many launches
    let cut = Target {
        budget: 700,
        ..target
    };
    assert_eq!(first, bits(case.run(&device, cut)));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let device = posology_kernels::device::open(None).unwrap();
    let tensors = bridge::tensor_device(&device);
    let started = Buffer::from_words(&device.client, &[0; 6], 1, 6);
    let run = |hidden: usize, columns: usize| {
        gru_sequence(
            &device,
            Tensor::zeros([3 * hidden, columns], &tensors),
            Tensor::zeros([3 * hidden, hidden], &tensors),
            Tensor::zeros([3 * hidden], &tensors),
            Tensor::zeros([hidden, 2], &tensors),
            &started,
            3,
        )
    };
    assert!(run(8, 6).is_ok());
    assert!(run(8, 8).is_err());
    assert!(run(6, 6).is_err());
}

/// Burn's unit with weights `w [3H, E]`, `b`, `u [3H, H]`, `c`.
fn burn_gru(hidden: usize, w: &Tensor<2>, b: &Tensor<1>, u: &Tensor<2>, c: &Tensor<1>) -> Gru {
    let mut gru = GruConfig::new(w.dims()[1], hidden, true).init(&w.device());
    assert!(gru.reset_after);
    let gates = [&mut gru.reset_gate, &mut gru.update_gate, &mut gru.new_gate];
    for (gate, controller) in gates.into_iter().enumerate() {
        let rows = gate * hidden..(gate + 1) * hidden;
        let matrix = |m: &Tensor<2>| {
            let part = m.clone().slice([rows.clone()]).transpose();
            Param::from_tensor(part.detach())
        };
        let vector = |v: &Tensor<1>| Param::from_tensor(v.clone().slice([rows.clone()]).detach());
        controller.input_transform.weight = matrix(w);
        controller.input_transform.bias = Some(vector(b));
        controller.hidden_transform.weight = matrix(u);
        controller.hidden_transform.bias = Some(vector(c));
    }
    gru
}

#[test]
fn burns_own_unit_agrees() {
    let device = posology_kernels::device::open(None).unwrap();
    let tensors = bridge::tensor_device(&device).autodiff();
    let mut random = Random::fresh("burn");
    let (hidden, inputs, steps, lanes) = (32, 12, 24, 40);
    let all = steps * lanes;
    let mut made = |n: usize, scale: f64| random.numbers(n, scale);
    let w = upload(
        &made(3 * hidden * inputs, 0.5),
        [3 * hidden, inputs],
        &tensors,
    )
    .require_grad();
    let b = upload(&made(3 * hidden, 0.5), [3 * hidden], &tensors).require_grad();
    let u = upload(
        &made(3 * hidden * hidden, 0.3),
        [3 * hidden, hidden],
        &tensors,
    )
    .require_grad();
    let c = upload(&made(3 * hidden, 0.5), [3 * hidden], &tensors).require_grad();
    let x = upload(&made(inputs * all, 2.0), [inputs, all], &tensors).require_grad();
    let h0 = upload(&made(hidden * lanes, 1.0), [hidden, lanes], &tensors).require_grad();
    let weight = upload(&made(hidden * all, 1.0), [hidden, all], &tensors);
    let started = Buffer::from_words(&device.client, &vec![0; all], 1, all);

    let xw = w.clone().matmul(x.clone()) + b.clone().unsqueeze_dim::<2>(1);
    let ours = gru_sequence(
        &device,
        xw,
        u.clone(),
        c.clone(),
        h0.clone(),
        &started,
        steps,
    )
    .unwrap();
    let grads = (ours.clone() * weight.clone()).sum().backward();

    let theirs = burn_gru(hidden, &w, &b, &u, &c);
    let (x_theirs, h_theirs) = (
        x.clone().detach().require_grad(),
        h0.clone().detach().require_grad(),
    );
    let batched = x_theirs
        .clone()
        .reshape([inputs, steps, lanes])
        .permute([2, 1, 0]);
    let states = theirs.forward(batched, Some(h_theirs.clone().transpose()));
    let states = states.permute([2, 1, 0]).reshape([hidden, all]);
    let grads_theirs = (states.clone() * weight).sum().backward();

    let far = distance(&download(ours), &exact(download(states)));
    println!("states: {far:e}");
    assert!(far < 1e-5, "states: {far:e}");
    let gates = [&theirs.reset_gate, &theirs.update_gate, &theirs.new_gate];
    let stacked = |parts: Vec<Tensor<2>>| {
        exact(download(Tensor::cat(
            parts.into_iter().map(Tensor::transpose).collect(),
            0,
        )))
    };
    let lines = |parts: Vec<Tensor<1>>| exact(download(Tensor::cat(parts, 0)));
    let g = &grads_theirs;
    let expected = [
        stacked(
            gates
                .map(|k| k.input_transform.weight.val().grad(g).unwrap())
                .into(),
        ),
        lines(
            gates
                .map(|k| {
                    k.input_transform
                        .bias
                        .as_ref()
                        .unwrap()
                        .val()
                        .grad(g)
                        .unwrap()
                })
                .into(),
        ),
        stacked(
            gates
                .map(|k| k.hidden_transform.weight.val().grad(g).unwrap())
                .into(),
        ),
        lines(
            gates
                .map(|k| {
                    k.hidden_transform
                        .bias
                        .as_ref()
                        .unwrap()
                        .val()
                        .grad(g)
                        .unwrap()
                })
                .into(),
        ),
        exact(download(x_theirs.grad(g).unwrap())),
        exact(download(h_theirs.grad(g).unwrap())),
    ];
    let found = [
        download(w.grad(&grads).unwrap()),
        download(b.grad(&grads).unwrap()),
        download(u.grad(&grads).unwrap()),
        download(c.grad(&grads).unwrap()),
        download(x.grad(&grads).unwrap()),
        download(h0.grad(&grads).unwrap()),
    ];
    for (name, (got, wanted)) in ["w", "b", "u", "c", "x", "h0"]
        .into_iter()
        .zip(found.iter().zip(&expected))
    {
        let far = distance(got, wanted);
        println!("derivative by {name}: {far:e}");
        assert!(far < 1e-4, "derivative by {name}: {far:e}");
    }
}
