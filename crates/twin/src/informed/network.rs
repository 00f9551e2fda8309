//! Small networks of time, one per patient, with their derivative by time.

use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};
use posology_cohort::philox::{draw, uniform_closed_open};

/// The stream of random numbers that weights are drawn from.
const STREAM: u32 = 0x1f0e;

/// Largest weight of time at the start, for time from -1 to 1.
const STEEPEST: f64 = 3.0;

/// `layers` layers of tanh and a linear one from one number to one per state, for each patient apart.
#[derive(Clone, Debug)]
pub struct Networks {
    /// `[patients, inputs, outputs]`, then `[patients, 1, outputs]` of biases, by layer.
    pub weights: Vec<Tensor<3>>,
}

impl Networks {
    /// Weights by Glorot's rule but for those of time, drawn for patient `ids[i]` whatever his company; `outputs`
    /// `[patient][state]`: biases of the last layer.
    pub fn new(
        layers: &[usize],
        ids: &[u32],
        outputs: &[Vec<f64>],
        seed: u64,
        on: &Device,
    ) -> Self {
        let mut weights = Vec::new();
        for (layer, pair) in layers.windows(2).enumerate() {
            let [inputs, units] = [pair[0], pair[1]];
            let last = layer + 2 == layers.len();
            let limit = match layer {
                0 => STEEPEST,
                _ => (6.0 / (inputs + units) as f64).sqrt(),
            };
            let uniform = move |id: u32, step: usize, k: usize| {
                let [word, ..] = draw(seed, id, step as u32, STREAM, k as u32);
                2.0 * uniform_closed_open(word) - 1.0
            };
            let weight = move |id, k| limit * uniform(id, 2 * layer, k);
            let matrices = ids.iter().flat_map(|&id| {
                let all = 0..inputs * units;
                all.map(move |k| weight(id, k) as f32)
            });
            let matrices: Vec<f32> = matrices.collect();
            let biases = ids.iter().zip(outputs).flat_map(|(&id, given)| {
                (0..units).map(move |k| {
                    // the first layer's bends lie all over the interval
                    let bend = match layer {
                        0 => weight(id, k) * uniform(id, 1, k),
                        _ => 0.0,
                    };
                    let bias = if last { given.get(k).copied() } else { None };
                    bias.unwrap_or(bend) as f32
                })
            });
            let biases: Vec<f32> = biases.collect();
            for (words, rows) in [(matrices, inputs), (biases, 1)] {
                let words = TensorData::new(words, [ids.len(), rows, units]);
                weights.push(Tensor::from_data(words, on));
            }
        }
        Self { weights }
    }

    /// The networks and the table `[patients, more]` behind them, if there is one, from one row of numbers
    /// per patient as [`packed`] makes it.
    pub fn unpacked(layers: &[usize], flat: &Tensor<2>) -> (Self, Option<Tensor<2>>) {
        let [n, total] = flat.dims();
        let (mut weights, mut first) = (Vec::new(), 0);
        for pair in layers.windows(2) {
            for rows in [pair[0], 1] {
                let part = flat.clone().narrow(1, first, rows * pair[1]);
                weights.push(part.reshape([n, rows, pair[1]]));
                first += rows * pair[1];
            }
        }
        let more = (total > first).then(|| flat.clone().narrow(1, first, total - first));
        (Self { weights }, more)
    }

    /// What the networks give at `x`, `[patients, points, 1]`, and the derivative of that by time, both
    /// `[patients, points, states]`; `slope`, `[patients, 1, 1]`, is that of `x`. The derivative is
    /// carried through the layers beside the values, exactly.
    pub fn at(&self, x: Tensor<3>, slope: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let count = self.weights.len() / 2;
        let (mut value, mut rate) = (x, slope);
        for (layer, pair) in self.weights.chunks_exact(2).enumerate() {
            let [w, b] = [pair[0].clone(), pair[1].clone()];
            let (z, by_time) = if layer == 0 {
                // of one number
                (value * w.clone() + b, rate * w)
            } else {
                (value.matmul(w.clone()) + b, rate.matmul(w))
            };
            if layer + 1 == count {
                (value, rate) = (z, by_time);
            } else {
                value = z.tanh();
                rate = (-value.clone().square() + 1.0) * by_time;
            }
        }
        (value, rate)
    }
}

/// Tensors `[patients, rows, columns]` and a table behind them, as one row of numbers per patient.
pub fn packed(weights: Vec<Tensor<3>>, more: Option<Tensor<2>>) -> Tensor<2> {
    let row = |part: Tensor<3>| {
        let [n, rows, columns] = part.dims();
        part.reshape([n, rows * columns])
    };
    Tensor::cat(weights.into_iter().map(row).chain(more).collect(), 1)
}

/// From what networks give to states, and the same of the derivatives: `size` times the softplus where
/// a state is positive, `size` times the number itself where it may be negative.
pub fn states(
    value: Tensor<3>,
    rate: Tensor<3>,
    size: Tensor<3>,
    signed: &[bool],
) -> (Tensor<3>, Tensor<3>) {
    let soft = |x: Tensor<3>| relu(x.clone()) + (-x.abs()).exp().log1p();
    let (x, by_time) = if signed.iter().all(|signed| *signed) {
        (value, rate)
    } else if signed.iter().any(|signed| *signed) {
        let signs = signed.iter().map(|s| if *s { 0.0f32 } else { 1.0 });
        let signs = TensorData::new(signs.collect::<Vec<f32>>(), [1, 1, signed.len()]);
        let positive = Tensor::<3>::from_data(signs, &size.device());
        let share = (sigmoid(value.clone()) - 1.0) * positive.clone() + 1.0;
        let x = (soft(value.clone()) - value.clone()) * positive + value;
        (x, rate * share)
    } else {
        (soft(value.clone()), rate * sigmoid(value))
    };
    (x * size.clone(), by_time * size)
}

/// The number whose softplus is `y > 0`.
pub fn inverse_softplus(y: f64) -> f64 {
    if y > 30.0 { y } else { y.exp_m1().ln() }
}
