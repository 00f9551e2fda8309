//! Random batches, and the loss of one in f64 with its gradient by central differences.

use std::sync::Arc;

use posology_agent::ops::loss::{LossBatch, LossParameters};
use posology_agent::rollout::Buffer;
use posology_kernels::device::Device;
use posology_kernels::policy::{Head, OutputLayout};

use crate::fresh::{Random, floats};

pub const HEAD: Head = Head::Gaussian;

/// A batch and the host's copy of it.
pub struct Case {
    pub layout: OutputLayout,
    pub n: usize,
    pub outputs: Vec<f32>,
    pub action: Vec<f32>,
    pub mask: Vec<u32>,
    pub log_prob: Vec<f32>,
    pub advantage: Vec<f32>,
    pub returns: Vec<f32>,
    pub hidden: Vec<f32>,
    pub weight: Vec<f32>,
    pub multipliers: Vec<f32>,
}

/// A sample's loss parts in f64: policy, value, costs, entropy, belief, and the log-probability.
pub struct Parts {
    pub policy: f64,
    pub value: f64,
    pub costs: Vec<f64>,
    pub entropy: f64,
    pub belief: f64,
    pub log_prob: f64,
}

impl Parts {
    pub fn loss(&self, p: &LossParameters) -> f64 {
        self.policy
            + f64::from(p.value) * self.value
            + f64::from(p.cost) * self.costs.iter().sum::<f64>()
            - f64::from(p.entropy) * self.entropy
            + f64::from(p.belief) * self.belief
    }
}

impl Case {
    pub fn random(r: &mut Random, layout: OutputLayout, n: usize) -> Self {
        let (heads, signals) = (layout.heads.len(), 1 + layout.costs);
        let mut case = Self {
            n,
            outputs: r.normals(layout.rows() * n),
            action: vec![0.0; heads * n],
            mask: vec![0; heads * n],
            log_prob: vec![0.0; n],
            advantage: r.normals(signals * n),
            returns: r.normals(signals * n),
            hidden: r.normals(layout.beliefs * n),
            weight: (0..n)
                .map(|_| if r.below(5) == 0 { 0.0 } else { 1.0 })
                .collect(),
            multipliers: (0..layout.costs).map(|_| r.uniform(0.0, 3.0)).collect(),
            layout,
        };
        case.weight[0] = 1.0;
        for h in 0..heads {
            for i in 0..n {
                let (action, mask) = match case.layout.heads[h] {
                    Head::Categorical { levels } => {
                        let chosen = r.below(u64::from(levels)) as u32;
                        let all = u32::MAX >> (32 - levels);
                        let mask = (r.word() as u32 & all) | (1 << chosen);
                        // every fourth mask is absent
                        (chosen as f32, if r.below(4) == 0 { 0 } else { mask })
                    }
                    Head::Gaussian => {
                        // some standard deviations are out of bounds, some log variances too
                        let row = case.layout.head_row(h);
                        let log_sd = 0.8 * case.outputs[(row + 1) * n + i] - 0.2;
                        case.outputs[(row + 1) * n + i] = log_sd;
                        // as the policy draws it: farther out, single precision has no better ratio
                        let u =
                            case.outputs[row * n + i] + log_sd.clamp(-5.0, 1.0).exp() * r.normal();
                        ((0.5 + 0.5 * u.tanh()).clamp(0.001, 0.999), 0)
                    }
                };
                case.action[h * n + i] = action;
                case.mask[h * n + i] = mask;
            }
        }
        let clip = parameters().clip;
        for i in 0..n {
            let now = case.parts(&|row| f64::from(case.outputs[row * n + i]), i);
            // no derivative exists where clipping begins, and rounding would choose the side
            let mut change = 0.3 * r.normal();
            while [1.0 - clip, 1.0 + clip]
                .iter()
                .any(|e| (change.exp() - e).abs() < 1e-3)
            {
                change = 0.3 * r.normal();
            }
            case.log_prob[i] = now.log_prob as f32 - change;
        }
        case
    }

    pub fn batch(&self, device: &Device) -> LossBatch {
        let heads = self.layout.heads.len();
        LossBatch {
            samples: self.n,
            layout: Arc::new(self.layout.clone()),
            action: floats(device, &self.action, heads),
            mask: Buffer::from_words(&device.client, &self.mask, heads, self.n),
            log_prob: floats(device, &self.log_prob, 1),
            advantage: floats(device, &self.advantage, 1 + self.layout.costs),
            returns: floats(device, &self.returns, 1 + self.layout.costs),
            hidden: floats(device, &self.hidden, self.layout.beliefs),
            weight: floats(device, &self.weight, 1),
            multipliers: floats(device, &self.multipliers, 1),
        }
    }

    /// The parts of sample `i`, with the outputs that `x` gives by row.
    pub fn parts(&self, x: &dyn Fn(usize) -> f64, i: usize) -> Parts {
        let (layout, n) = (&self.layout, self.n);
        let p = parameters();
        let (mut log_prob, mut entropy) = (0.0, 0.0);
        for (h, head) in layout.heads.iter().enumerate() {
            let row = layout.head_row(h);
            let action = f64::from(self.action[h * n + i]);
            match *head {
                Head::Categorical { levels } => {
                    let mask = self.mask[h * n + i];
                    let open: Vec<usize> = (0..levels as usize)
                        .filter(|l| mask == 0 || mask >> l & 1 == 1)
                        .collect();
                    let sum: f64 = open.iter().map(|l| x(row + l).exp()).sum();
                    for l in open {
                        let log_p = x(row + l) - sum.ln();
                        entropy -= log_p.exp() * log_p;
                        if l == action as usize {
                            log_prob += log_p;
                        }
                    }
                }
                Head::Gaussian => {
                    let log_sd = x(row + 1).clamp(-5.0, 1.0);
                    let u = (2.0 * action - 1.0).atanh();
                    let z = (u - x(row)) / log_sd.exp();
                    let normal = -0.5 * z * z - log_sd - 0.5 * std::f64::consts::TAU.ln();
                    log_prob += normal - (0.5 * (1.0 - u.tanh().powi(2))).ln();
                    entropy += log_sd + 0.5 * (std::f64::consts::TAU * std::f64::consts::E).ln();
                }
            }
        }
        let at = |rows: &[f32], row: usize| f64::from(rows[row * n + i]);
        let (mut a, mut price) = (at(&self.advantage, 0), 1.0);
        for (k, &multiplier) in self.multipliers.iter().enumerate() {
            a -= f64::from(multiplier) * at(&self.advantage, k + 1);
            price += f64::from(multiplier);
        }
        a /= price;
        let ratio = (log_prob - f64::from(self.log_prob[i])).exp();
        let clip = f64::from(p.clip);
        let policy = -(ratio * a).min(ratio.clamp(1.0 - clip, 1.0 + clip) * a);
        let value = 0.5 * (x(layout.value_row()) - at(&self.returns, 0)).powi(2);
        let kappa = f64::from(p.kappa);
        let costs = (0..layout.costs).map(|k| {
            let each = (0..layout.quantiles).map(|q| {
                let u = at(&self.returns, k + 1) - x(layout.quantile_row(k, q));
                let rank = (q as f64 + 0.5) / layout.quantiles as f64;
                let huber = if u.abs() <= kappa {
                    0.5 * u * u
                } else {
                    kappa * (u.abs() - 0.5 * kappa)
                };
                (rank - if u < 0.0 { 1.0 } else { 0.0 }).abs() * huber / kappa
            });
            each.sum::<f64>() / layout.quantiles as f64
        });
        let costs = costs.collect();
        let mut belief = 0.0;
        for q in 0..layout.beliefs {
            let variance = x(layout.belief_log_variance_row(q)).clamp(-6.0, 4.0).exp();
            let miss = at(&self.hidden, q) - x(layout.belief_mean_row(q));
            belief += 0.5 * (std::f64::consts::TAU * variance).ln() + 0.5 * miss * miss / variance;
        }
        Parts {
            policy,
            value,
            costs,
            entropy,
            belief: belief / layout.beliefs.max(1) as f64,
            log_prob,
        }
    }

    /// The loss and its gradient `[rows][n]` by central differences, in f64.
    pub fn reference(&self) -> (f64, Vec<f64>) {
        let (n, p) = (self.n, parameters());
        let total: f64 = self.weight.iter().map(|&w| f64::from(w)).sum();
        let mut loss = 0.0;
        let mut gradient = vec![0.0; self.layout.rows() * n];
        for i in (0..n).filter(|&i| self.weight[i] > 0.0) {
            let share = f64::from(self.weight[i]) / total;
            let here = |row: usize| f64::from(self.outputs[row * n + i]);
            loss += share * self.parts(&here, i).loss(&p);
            for row in 0..self.layout.rows() {
                let moved = |by: f64| {
                    let x = |r: usize| here(r) + if r == row { by } else { 0.0 };
                    self.parts(&x, i).loss(&p)
                };
                gradient[row * n + i] = share * (moved(1e-6) - moved(-1e-6)) / 2e-6;
            }
        }
        (loss, gradient)
    }
}

pub fn parameters() -> LossParameters {
    LossParameters {
        entropy: 0.05,
        kappa: 0.7,
        ..LossParameters::default()
    }
}

/// Every kind of head, with 0 to 3 costs.
pub fn layouts() -> Vec<OutputLayout> {
    let level = |levels| Head::Categorical { levels };
    let layout = |heads: &[Head], costs, quantiles, beliefs| OutputLayout {
        heads: heads.to_vec(),
        costs,
        quantiles,
        beliefs,
    };
    vec![
        layout(&[level(11)], 0, 0, 0),
        layout(&[HEAD], 1, 8, 2),
        layout(&[level(5), HEAD], 2, 16, 0),
        layout(&[level(32), HEAD, level(2)], 3, 5, 3),
    ]
}
