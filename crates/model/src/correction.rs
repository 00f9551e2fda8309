//! Neural corrections of a mechanism: `rate = mechanism + correction`, a small dense network.
//!
//! A right-hand side that holds a network is a neural ordinary differential equation (Chen 2018,
//! Neural ordinary differential equations, NeurIPS 31); one that adds it to a known mechanism is a
//! universal differential equation (Rackauckas 2020, arXiv 2001.04385). The network becomes ordinary
//! expressions of the model's graph, so every lowering knows it: kernel, adjoint, Jacobian, reference.

use std::fmt::Write;
use std::path::PathBuf;

use crate::graph::NodeId;

/// Names of weights and latents begin with it.
pub const PREFIX: &str = "nn_";

/// How the weights of a correction enter the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// Numbers, folded.
    Constants,
    /// Parameters of the patient, for training.
    Parameters,
}

/// What a hidden unit does to its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `tanh x`
    Tanh,
    /// `ln(1 + exp x)` (Dugas 2001)
    Softplus,
    /// `x / (1 + exp -x)` (Ramachandran 2017)
    Swish,
}

impl Activation {
    /// Word of a model file, and what it means.
    pub const ALL: [(&str, Self); 3] = [
        ("tanh", Self::Tanh),
        ("softplus", Self::Softplus),
        ("swish", Self::Swish),
    ];

    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, known)| *known == self);
        found.map_or("", |(word, _)| word)
    }
}

/// What the bound of a correction is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `scale * state * tanh(output)`: at most `scale * |state|`, and 0 where the state is 0.
    Relative,
    /// `scale * tanh(output)`; where it is negative, times `state / (state + floor)` (0 below 0).
    Absolute,
}

impl Form {
    pub const ALL: [(&str, Self); 2] = [("relative", Self::Relative), ("absolute", Self::Absolute)];

    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, known)| *known == self);
        found.map_or("", |(word, _)| word)
    }
}

/// The shape of a fully connected network with linear outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Expressions that it reads.
    pub inputs: usize,
    /// Latent variables that it reads, after the expressions.
    pub latents: usize,
    /// Units of a hidden layer.
    pub width: usize,
    /// Hidden layers.
    pub layers: usize,
    pub outputs: usize,
    pub activation: Activation,
}

impl Network {
    /// Units from input to output, `[inputs + latents, width, ..., outputs]`.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![self.inputs + self.latents];
        sizes.extend(std::iter::repeat_n(self.width, self.layers));
        sizes.push(self.outputs);
        sizes
    }

    /// Number of weights, biases included.
    pub fn weight_count(&self) -> usize {
        let sizes = self.sizes();
        sizes.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
    }

    /// Every weight by layer, then unit: `nn_wLAYER_UNIT_INPUT` for its inputs, `nn_bLAYER_UNIT` for
    /// its bias; all counted from 1, the output layer last.
    pub fn weight_names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.weight_count());
        for (layer, pair) in self.sizes().windows(2).enumerate() {
            for unit in 1..=pair[1] {
                let layer = layer + 1;
                names.extend((1..=pair[0]).map(|from| format!("{PREFIX}w{layer}_{unit}_{from}")));
                names.push(format!("{PREFIX}b{layer}_{unit}"));
            }
        }
        names
    }

    /// `nn_z1`, ...
    pub fn latent_names(&self) -> Vec<String> {
        (1..=self.latents)
            .map(|k| format!("{PREFIX}z{k}"))
            .collect()
    }

    /// Where training begins, in the order of [`Self::weight_names`]: hidden layers Glorot-uniform
    /// (Glorot and Bengio 2010) with biases 0, the output layer 0, so that the correction is off.
    /// Weight `k` has draw `k` of SplitMix64 (Steele, Lea and Flood 2014) from `seed`, whatever the
    /// others are.
    pub fn initial(&self, seed: u64) -> Vec<f64> {
        let sizes = self.sizes();
        let mut values = Vec::with_capacity(self.weight_count());
        for (layer, pair) in sizes.windows(2).enumerate() {
            let output = layer + 2 == sizes.len();
            let limit = (6.0 / (pair[0] + pair[1]) as f64).sqrt();
            for _ in 0..pair[1] {
                for _ in 0..pair[0] {
                    let share = 2.0 * uniform(seed, values.len() as u64) - 1.0;
                    values.push(if output { 0.0 } else { limit * share });
                }
                values.push(0.0);
            }
        }
        values
    }

    /// Whether every weight of the output layer is 0.
    pub(crate) fn is_off(&self, values: &[f64]) -> bool {
        let before = self.inputs + self.latents;
        let last = if self.layers == 0 { before } else { self.width };
        let output = (last + 1) * self.outputs;
        values.iter().rev().take(output).all(|&value| value == 0.0)
    }
}

/// Draw `k` (from 0) of SplitMix64, in `[0, 1)`.
fn uniform(seed: u64, k: u64) -> f64 {
    let gamma = 0x9E37_79B9_7F4A_7C15u64;
    let mut z = seed.wrapping_add(gamma.wrapping_mul(k.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}

/// The correction of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    pub network: Network,
    /// Texts of the expressions that the network reads.
    pub inputs: Vec<String>,
    pub seed: u64,
    /// The file that the weights come from; none if the correction is not trained.
    pub file: Option<PathBuf>,
    /// Weights in the order of [`Network::weight_names`]: of the file, else where training begins.
    pub values: Vec<f64>,
    /// Slots of the weights, in the same order; none where they are constants of the graph.
    pub weights: Vec<usize>,
    /// Slots of the latent variables; none if the correction is switched off.
    pub latents: Vec<usize>,
    /// Per corrected state, in the order of the file: an output of the network each.
    pub rates: Vec<CorrectedRate>,
}

/// A corrected state; values and nodes are coherent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorrectedRate {
    /// Index of the state.
    pub state: usize,
    pub form: Form,
    /// Largest correction: per time if relative, unit of the state per time if absolute.
    pub scale: f64,
    /// Unit of the state.
    pub floor: Option<f64>,
    /// The rate without the correction, running infusions included; unit of the state per time.
    pub mechanism: NodeId,
    /// What the correction adds to it; a constant 0 if it is switched off.
    pub term: NodeId,
}

impl Correction {
    /// Whether the weights are parameters of the patient.
    pub fn is_trainable(&self) -> bool {
        !self.weights.is_empty()
    }

    /// Whether the correction is constantly 0 and no part of any program.
    pub fn is_off(&self) -> bool {
        !self.is_trainable() && self.network.is_off(&self.values)
    }

    /// The text of a weights file that holds `values`, one per weight in the order of
    /// [`Network::weight_names`]; finite numbers are read back with the same bits. A file of fewer
    /// or more values is refused when it is read.
    pub fn weights_csv(&self, values: &[f64]) -> String {
        let mut out = "weight,value\n".to_owned();
        for (name, value) in self.network.weight_names().iter().zip(values) {
            // writing to a string cannot fail; `{:?}` is the shortest text that parses to the value
            let _ = writeln!(out, "{name},{value:?}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference implementation for seed 1234567.
    #[test]
    fn draws_are_those_of_splitmix64() {
        for (k, word) in [6_457_827_717_110_365_317u64, 3_203_168_211_198_807_973]
            .into_iter()
            .enumerate()
        {
            let expected = (word >> 11) as f64 / (1u64 << 53) as f64;
            assert_eq!(uniform(1_234_567, k as u64).to_bits(), expected.to_bits());
        }
    }
}
