//! Clipping and Adam in one kernel against Burn's, and its own f64 arithmetic.

use std::time::{SystemTime, UNIX_EPOCH};

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Tensor, TensorData};
use posology_agent::bridge;
use posology_kernels::device::{self, Device};
use posology_kernels::update::adam::{self, Adam, AdamOptions, Change};

const OPTIONS: AdamOptions = AdamOptions {
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1e-5,
    max_norm: 0.5,
    target: 0.02,
};

fn seed() -> u64 {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    println!("seed {nanos}");
    nanos
}

/// Numbers from -1 to 1.
fn numbers(n: usize, state: &mut u64) -> Vec<f32> {
    let mut next = || {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (*state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

struct Bench {
    device: Device,
    n: usize,
    parameters: cubecl::server::Handle,
    change: cubecl::server::Handle,
    adam: Adam,
}

impl Bench {
    fn new(parameters: &[f32], change: f32) -> Self {
        let device = device::open(None).unwrap();
        let up = |v: &[f32]| device.client.create_from_slice(bytemuck::cast_slice(v));
        Self {
            n: parameters.len(),
            parameters: up(parameters),
            change: up(&[9.0, change]),
            adam: Adam::new(&device, parameters.len(), OPTIONS),
            device,
        }
    }

    fn step(&self, gradient: &[f32], rate: f32, first: bool) {
        let gradient = self
            .device
            .client
            .create_from_slice(bytemuck::cast_slice(gradient));
        let change = Change {
            handle: &self.change,
            len: 2,
            word: 1,
        };
        self.adam.step(
            &self.device,
            &self.parameters,
            &gradient,
            &change,
            rate,
            first,
        );
    }

    fn read(&self, handle: &cubecl::server::Handle) -> Vec<f32> {
        bytemuck::cast_slice(&self.device.client.read_one(handle.clone()).unwrap()).to_vec()
    }

    fn parameters(&self) -> Vec<f32> {
        let mut all = self.read(&self.parameters);
        all.truncate(self.n);
        all
    }

    fn state(&self) -> Vec<f32> {
        self.read(&self.adam.state)
    }
}

#[derive(Module, Debug)]
struct Flat {
    all: Param<Tensor<1>>,
}

/// The same gradients, clipped on the host in f64, given to Burn's Adam.
#[test]
fn steps_are_those_of_burn() {
    let mut random = seed();
    for n in [1usize, 63, 1000] {
        let start = numbers(n, &mut random);
        let ours = Bench::new(&start, 0.0);
        let autodiff = bridge::tensor_device(&ours.device).autodiff();
        let from = |v: &[f32]| Tensor::<1>::from_data(TensorData::new(v.to_vec(), [n]), &autodiff);
        let mut theirs = Flat {
            all: Param::from_tensor(from(&start)),
        };
        let mut optimiser = AdamConfig::new().with_epsilon(OPTIONS.epsilon).init();
        for step in 0..12 {
            let size = [1e-3, 1.0, 30.0][step % 3];
            let gradient: Vec<f32> = numbers(n, &mut random).iter().map(|g| g * size).collect();
            let norm = gradient
                .iter()
                .map(|&g| f64::from(g).powi(2))
                .sum::<f64>()
                .sqrt();
            let scale = (0.5 / norm).min(1.0);
            let clipped: Vec<f32> = gradient
                .iter()
                .map(|&g| (f64::from(g) * scale) as f32)
                .collect();
            ours.step(&gradient, 1e-2, step == 0);
            // a loss whose gradient is that vector
            let loss = (theirs.all.val() * from(&clipped)).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &theirs);
            theirs = optimiser.step(1e-2, theirs, gradients);
            let state = ours.state();
            assert!((f64::from(state[adam::GRADIENT_NORM]) / norm - 1.0).abs() < 1e-5);
        }
        let theirs = theirs.all.val().into_data().try_into_vec::<f32>().unwrap();
        let worst = ours
            .parameters()
            .iter()
            .zip(&theirs)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        println!("n {n}: largest difference {worst:e}");
        assert!(worst < 1e-6, "{worst:e}");
        assert_eq!(ours.state()[adam::STEPS], 12.0);
    }
}

#[test]
fn a_policy_that_moved_too_far_waits_for_the_next_update() {
    let bench = Bench::new(&[1.0, 2.0], 0.03);
    bench.step(&[1.0, 1.0], 0.1, true);
    assert_eq!(bench.parameters(), [1.0, 2.0]);
    assert_eq!(bench.state()[adam::STOPPED], 1.0);
    assert_eq!(bench.state()[adam::POWER_1], 1.0);
    // a calm minibatch of the same update does not start it again
    let calm = Bench {
        change: bench
            .device
            .client
            .create_from_slice(bytemuck::cast_slice(&[9.0f32, 0.0])),
        ..bench
    };
    calm.step(&[1.0, 1.0], 0.1, false);
    assert_eq!(calm.parameters(), [1.0, 2.0]);
    calm.step(&[1.0, 1.0], 0.1, true);
    assert!(
        calm.parameters()
            .iter()
            .zip([1.0, 2.0])
            .all(|(now, then)| *now < then)
    );
    assert_eq!(calm.state()[adam::CLIPPED], 1.0);
}

#[test]
fn what_is_no_number_changes_nothing() {
    for bad in [f32::NAN, f32::INFINITY, 3e38] {
        let bench = Bench::new(&[1.0, 2.0, 3.0], 0.0);
        bench.step(&[0.1, bad, 0.2], 0.1, true);
        assert_eq!(bench.parameters(), [1.0, 2.0, 3.0]);
        assert_eq!(bench.state()[adam::POISONED], 1.0);
        bench.step(&[0.1, 0.1, 0.2], 0.1, false);
        assert_eq!(bench.parameters(), [1.0, 2.0, 3.0]);
    }
}

/// Moments and state read, put into another optimiser: the same bits as without.
#[test]
fn an_optimiser_is_restored_to_the_bit() {
    let mut random = seed();
    let n = 130;
    let bench = Bench::new(&numbers(n, &mut random), 0.0);
    let gradients: Vec<Vec<f32>> = (0..6).map(|_| numbers(n, &mut random)).collect();
    for gradient in &gradients[..3] {
        bench.step(gradient, 0.01, false);
    }
    let state: [f32; adam::STATE_WORDS] = bench.state()[..adam::STATE_WORDS].try_into().unwrap();
    let (first, second) = (
        bench.read(&bench.adam.first),
        bench.read(&bench.adam.second),
    );
    let again = Bench::new(&bench.parameters(), 0.0);
    let again = Bench {
        adam: Adam::restored(&again.device, OPTIONS, &first[..n], &second[..n], &state),
        ..again
    };
    for gradient in &gradients[3..] {
        bench.step(gradient, 0.01, false);
        again.step(gradient, 0.01, false);
    }
    assert_eq!(bench.parameters(), again.parameters());
    assert_eq!(bench.state(), again.state());
}
