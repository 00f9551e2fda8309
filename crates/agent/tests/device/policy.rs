//! The policy network: sequences and inference against f64 on the host.

use burn::tensor::{Tensor, TensorData};
use posology_agent::bridge;
use posology_agent::policy::reference::Reference;
use posology_agent::policy::{NetworkShape, PolicyNetwork};
use posology_agent::rollout::Buffer;
use posology_cohort::philox;
use posology_kernels::device::{self, Device};
use posology_kernels::policy::{Head, OutputLayout};

/// Fresh numbers on every run; the seed is in the message of a failure's output.
pub(super) struct Fresh {
    pub(super) seed: u64,
    next: u32,
}

impl Fresh {
    pub(super) fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = now.unwrap().as_nanos() as u64;
        println!("seed {seed}");
        Self { seed, next: 0 }
    }

    pub(super) fn word(&mut self) -> u32 {
        self.next += 1;
        philox::draw(self.seed, self.next, 0, 99, 0)[0]
    }

    pub(super) fn normal(&mut self) -> f32 {
        self.next += 1;
        philox::standard_normal(self.seed, self.next, 0, 99, 0) as f32
    }

    pub(super) fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}

pub(super) fn open() -> Device {
    device::open(None).unwrap()
}

pub(super) fn shape(recurrent: bool) -> NetworkShape {
    NetworkShape {
        inputs: 7,
        sees_hidden: 2,
        encoder: 21,
        hidden: 20,
        recurrent,
        outputs: OutputLayout {
            heads: vec![
                Head::Categorical { levels: 5 },
                Head::Gaussian,
                Head::Categorical { levels: 32 },
            ],
            costs: 2,
            quantiles: 4,
            beliefs: 2,
        },
    }
}

/// Weights large enough that every unit is bent and no policy is uniform.
pub(super) fn weights(shape: &NetworkShape, fresh: &mut Fresh) -> Vec<f32> {
    (0..shape.offsets().total)
        .map(|_| 0.4 * fresh.normal())
        .collect()
}

/// One matrix `[rows][columns]` on the device and on the host.
pub(super) fn matrix(device: &Device, values: &[f32], rows: usize) -> Buffer {
    let words: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
    let columns = values.len().checked_div(rows).unwrap_or(0);
    Buffer::from_words(&device.client, &words, rows, columns)
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// A sequence with episodes that begin in the middle.
struct Sequence {
    steps: usize,
    lanes: usize,
    inputs: Vec<f32>,
    core: Vec<f32>,
    started: Vec<u32>,
}

impl Sequence {
    fn new(shape: &NetworkShape, steps: usize, lanes: usize, fresh: &mut Fresh) -> Self {
        let count = steps * lanes;
        Self {
            steps,
            lanes,
            inputs: fresh.normals(shape.inputs * count),
            core: fresh.normals(shape.state() * lanes),
            started: (0..count)
                .map(|_| u32::from(fresh.word().is_multiple_of(4)))
                .collect(),
        }
    }

    /// Outputs `[rows][steps][lanes]` in f64.
    fn expected(&self, shape: &NetworkShape, parameters: &[f32]) -> Vec<f64> {
        let reference = Reference { shape, parameters };
        let count = self.steps * self.lanes;
        let mut all = vec![0.0; shape.rows() * count];
        for lane in 0..self.lanes {
            let mut core: Vec<f64> = (0..shape.state())
                .map(|j| f64::from(self.core[j * self.lanes + lane]))
                .collect();
            for t in 0..self.steps {
                let sample = t * self.lanes + lane;
                if self.started[sample] == 1 {
                    core.fill(0.0);
                }
                let inputs: Vec<f64> = (0..shape.inputs)
                    .map(|f| f64::from(self.inputs[f * count + sample]))
                    .collect();
                for (r, y) in reference.step(&inputs, &mut core).into_iter().enumerate() {
                    all[r * count + sample] = y;
                }
            }
        }
        all
    }
}

fn tensor_2(values: &[f32], rows: usize, device: &burn::tensor::Device) -> Tensor<2> {
    let columns = values.len().checked_div(rows).unwrap_or(1);
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
}

#[test]
fn sequences_give_the_outputs_of_the_reference() {
    let (device, mut fresh) = (open(), Fresh::new());
    let on = bridge::tensor_device(&device);
    for recurrent in [true, false] {
        let shape = shape(recurrent);
        let parameters = weights(&shape, &mut fresh);
        let sequence = Sequence::new(&shape, 6, 19, &mut fresh);
        let network = PolicyNetwork::with_parameters(shape.clone(), parameters.clone(), &on);
        let outputs = network
            .forward_sequence(
                &device,
                tensor_2(&sequence.inputs, shape.inputs, &on),
                bridge::tensor(&device, &matrix(&device, &sequence.core, shape.state())),
                &Buffer::from_words(&device.client, &sequence.started, 1, 6 * 19),
                6,
            )
            .unwrap();
        let expected = sequence.expected(&shape, &parameters);
        for (got, wanted) in floats(outputs).into_iter().zip(expected) {
            assert!((f64::from(got) - wanted).abs() < 1e-5, "{got} {wanted}");
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let (device, mut fresh) = (open(), Fresh::new());
    let on = bridge::tensor_device(&device).autodiff();
    for recurrent in [true, false] {
        let shape = shape(recurrent);
        let parameters = weights(&shape, &mut fresh);
        let (steps, lanes) = (5, 9);
        let sequence = Sequence::new(&shape, steps, lanes, &mut fresh);
        let network = PolicyNetwork::with_parameters(shape.clone(), parameters.clone(), &on);
        let core = bridge::tensor(&device, &matrix(&device, &sequence.core, shape.state()));
        let outputs = network
            .forward_sequence(
                &device,
                tensor_2(&sequence.inputs, shape.inputs, &on.clone().inner()),
                core,
                &Buffer::from_words(&device.client, &sequence.started, 1, steps * lanes),
                steps,
            )
            .unwrap();
        // a loss that weighs every output differently
        let factors = fresh.normals(shape.rows() * steps * lanes);
        let loss = (outputs * tensor_2(&factors, shape.rows(), &on)).sum();
        let gradients = loss.backward();
        let gradient = floats(network.parameters.val().grad(&gradients).unwrap());
        let loss_at = |at: usize, by: f32| {
            let mut moved = parameters.clone();
            moved[at] += by;
            let outputs = sequence.expected(&shape, &moved);
            let products = outputs.iter().zip(&factors).map(|(y, &w)| y * f64::from(w));
            (products.sum::<f64>(), f64::from(moved[at]))
        };
        let scale = gradient.iter().fold(0.0f32, |a, g| a.max(g.abs()));
        let mut offsets: Vec<usize> = (0..12)
            .map(|_| fresh.word() as usize % parameters.len())
            .collect();
        let at = shape.offsets();
        offsets.extend([0, at.encoder_bias, at.core_weight, at.core_bias]);
        offsets.extend([at.output_weight, at.output_bias]);
        if recurrent {
            offsets.extend([at.recurrent_weight, at.recurrent_bias]);
        }
        for k in offsets {
            let ((up, above), (down, below)) = (loss_at(k, 1e-3), loss_at(k, -1e-3));
            let wanted = (up - down) / (above - below);
            let error = (f64::from(gradient[k]) - wanted).abs();
            assert!(
                error < 1e-4 * f64::from(scale).max(1.0),
                "{k}: {} {wanted}",
                gradient[k]
            );
        }
    }
}
