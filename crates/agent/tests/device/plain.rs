//! Network and update of own kernels against the same in plain tensor operations.

use burn::tensor::{Tensor, TensorData};
use posology_agent::bridge;
use posology_agent::environment::AutoReset;
use posology_agent::policy::PolicyNetwork;
use posology_agent::policy::plain::PlainNetwork;
use posology_agent::ppo::config::Config;
use posology_agent::rollout::Buffer;
use posology_agent::train::problem::Who;
use posology_agent::train::{Learner, Problem};

use crate::gru::{distance, download};
use crate::policy::{Fresh, open, shape, weights};

fn wide(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

#[test]
fn networks_agree_in_outputs_and_gradients() {
    let (device, mut fresh) = (open(), Fresh::new());
    let on = bridge::tensor_device(&device);
    for (recurrent, lanes) in [(true, 20), (true, 9), (false, 20)] {
        let mut shape = shape(recurrent);
        // wide enough for threads that load for each other, and not
        shape.hidden = if lanes == 20 { 32 } else { 20 };
        let parameters = weights(&shape, &mut fresh);
        let steps = 7;
        let upload = |values: Vec<f32>, rows: usize, columns: usize| {
            Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &on)
        };
        let columns = steps * lanes;
        let inputs = upload(fresh.normals(shape.inputs * columns), shape.inputs, columns);
        let core = upload(fresh.normals(shape.hidden * lanes), shape.hidden, lanes);
        let factors = upload(fresh.normals(shape.rows() * columns), shape.rows(), columns);
        let started: Vec<u32> = (0..columns)
            .map(|_| u32::from(fresh.word().is_multiple_of(4)))
            .collect();
        let carried = started.iter().map(|&s| 1.0 - s as f32).collect();
        let carried = upload(carried, steps, lanes);

        let learning = on.clone().autodiff();
        let network = PolicyNetwork::with_parameters(shape.clone(), parameters.clone(), &learning);
        let started = Buffer::from_words(&device.client, &started, 1, columns);
        let fused = network
            .forward_sequence(&device, inputs.clone(), core.clone(), &started, steps)
            .unwrap();
        let gradients = (fused.clone() * factors.clone().autodiff())
            .sum()
            .backward();
        let by_fused = network.parameters.val().grad(&gradients).unwrap();

        let length = parameters.len();
        let flat = Tensor::<1>::from_data(TensorData::new(parameters, [length]), &on);
        let parts: Vec<Tensor<2>> = PlainNetwork::split(&shape, &flat)
            .into_iter()
            .map(|part| part.autodiff().require_grad())
            .collect();
        let plain = PlainNetwork::new(&shape, parts.clone())
            .unwrap()
            .forward_sequence(
                inputs.autodiff(),
                core.autodiff(),
                carried.autodiff(),
                steps,
            );
        let gradients = (plain.clone() * factors.autodiff()).sum().backward();
        let by_plain: Vec<Tensor<2>> = parts
            .iter()
            .map(|part| part.grad(&gradients).unwrap())
            .collect();
        let by_plain = PlainNetwork::join(&by_plain);

        let far = distance(&download(fused), &wide(download(plain)));
        assert!(far < 1e-5, "outputs, {recurrent} {lanes}: {far:e}");
        let far = distance(&download(by_fused), &wide(download(by_plain)));
        assert!(far < 1e-4, "gradients, {recurrent} {lanes}: {far:e}");
    }
}

/// One update each from the same beginning: the same steps of the optimiser.
#[test]
fn updates_agree() {
    let device = open();
    for name in ["analytic-limited", "analytic-hidden"] {
        let problem = Problem::built_in(name).unwrap().unwrap();
        let small = ["lanes=32", "steps=5", "hidden=8", "encoder=8", "epochs=2"];
        let more = ["target_kl=0", "rate=1e-2", "max_gradient_norm=0.1"];
        let set: Vec<String> = small.iter().chain(&more).map(|s| s.to_string()).collect();
        let config = Config::resolve(problem.learning(), &set).unwrap();
        let who = Who {
            lanes: config.lanes,
            reset: AutoReset::NextStep,
            seed: config.seed,
            first_id: 0,
            pool: None,
            learning: true,
            staggered: false,
            horizon: None,
        };
        let learn = |unfused: bool| {
            let environment = problem.environment(&device, &who).unwrap();
            let mut learner = Learner::new(&device, environment, &config).unwrap();
            let before = learner.parameters().unwrap();
            learner.unfused = unfused;
            let metrics = learner.update().unwrap();
            (before, learner.parameters().unwrap(), metrics)
        };
        let (before, fused, of_fused) = learn(false);
        let (same, plain, of_plain) = learn(true);
        assert_eq!(before, same);
        let moved = fused.iter().zip(&before).map(|(a, b)| (a - b).abs());
        let moved = moved.fold(0.0, f32::max);
        let apart = fused.iter().zip(&plain).map(|(a, b)| (a - b).abs());
        let apart = apart.fold(0.0, f32::max);
        println!("{name}: moved {moved:e}, apart {apart:e}");
        // four steps of Adam, each of about the learning rate
        assert!(moved > 1e-2, "{name}: {moved:e}");
        assert!(apart < 1e-2 * moved, "{name}: {apart:e}");
        assert_eq!(of_fused.steps_taken, of_plain.steps_taken);
        assert!((of_fused.loss - of_plain.loss).abs() < 1e-4);
        assert!((of_fused.entropy - of_plain.entropy).abs() < 1e-4);
    }
}
