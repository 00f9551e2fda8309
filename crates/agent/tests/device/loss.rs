//! The fused loss against plain tensor operations, against f64 on the host, and by hand.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use posology_agent::bridge;
use posology_agent::ops::loss::{
    LossBatch, LossMetrics, LossParameters, fused_loss, safe_ppo_loss, unfused_loss,
};
use posology_agent::rollout::Buffer;
use posology_kernels::device::{self, Device};
use posology_kernels::policy::{Head, OutputLayout};

use crate::fresh::{Random, floats};

const HEAD: Head = Head::Gaussian;

/// A batch and the host's copy of it.
struct Case {
    layout: OutputLayout,
    n: usize,
    outputs: Vec<f32>,
    action: Vec<f32>,
    mask: Vec<u32>,
    log_prob: Vec<f32>,
    advantage: Vec<f32>,
    returns: Vec<f32>,
    hidden: Vec<f32>,
    weight: Vec<f32>,
    multipliers: Vec<f32>,
}

/// A sample's loss parts in f64: policy, value, costs, entropy, belief, and the log-probability.
struct Parts {
    policy: f64,
    value: f64,
    costs: Vec<f64>,
    entropy: f64,
    belief: f64,
    log_prob: f64,
}

impl Parts {
    fn loss(&self, p: &LossParameters) -> f64 {
        self.policy
            + f64::from(p.value) * self.value
            + f64::from(p.cost) * self.costs.iter().sum::<f64>()
            - f64::from(p.entropy) * self.entropy
            + f64::from(p.belief) * self.belief
    }
}

impl Case {
    fn random(r: &mut Random, layout: OutputLayout, n: usize) -> Self {
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
                    Head::Gaussian => (r.uniform(0.02, 0.98), 0),
                };
                case.action[h * n + i] = action;
                case.mask[h * n + i] = mask;
            }
            // some standard deviations are out of bounds, some log variances too
            if case.layout.heads[h] == HEAD {
                let row = case.layout.head_row(h) + 1;
                case.outputs[row * n..(row + 1) * n]
                    .iter_mut()
                    .for_each(|x| *x = 0.8 * *x - 0.2);
            }
        }
        for i in 0..n {
            let now = case.parts(&|row| f64::from(case.outputs[row * n + i]), i);
            case.log_prob[i] = now.log_prob as f32 + 0.3 * r.normal();
        }
        case
    }

    fn batch(&self, device: &Device) -> LossBatch {
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
    fn parts(&self, x: &dyn Fn(usize) -> f64, i: usize) -> Parts {
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
    fn reference(&self) -> (f64, Vec<f64>) {
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

fn parameters() -> LossParameters {
    LossParameters {
        entropy: 0.05,
        kappa: 0.7,
        ..LossParameters::default()
    }
}

/// Every kind of head, with 0 to 3 costs.
fn layouts() -> Vec<OutputLayout> {
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

/// Elementwise relative error, for elements that matter: at least 1e-3 of the largest.
fn relative(got: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(got.len(), wanted.len());
    let largest = wanted.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    let error = |(&g, &w): (&f32, &f64)| {
        assert!(g.is_finite());
        (f64::from(g) - w).abs() / w.abs().max(1e-3 * largest)
    };
    got.iter().zip(wanted).map(error).fold(0.0, f64::max)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn close(got: f32, wanted: f64, bound: f64, what: &str) {
    let error = (f64::from(got) - wanted).abs() / wanted.abs().max(1.0);
    assert!(
        error <= bound,
        "{what}: {got} for {wanted}, error {error:e}"
    );
}

#[test]
fn the_kernel_agrees_with_f64_and_with_differences_of_it() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("loss in f64");
    for layout in layouts() {
        let case = Case::random(&mut r, layout, 200);
        let outputs = floats(&device, &case.outputs, case.layout.rows());
        let made = fused_loss(&device, &outputs, &case.batch(&device), &parameters());
        let (loss, gradient) = case.reference();
        let metrics = LossMetrics::read(&device, &made.metrics).unwrap();
        close(metrics.loss, loss, 1e-5, "loss");
        let error = relative(&made.gradient.floats(&device.client).unwrap(), &gradient);
        println!(
            "{:?}: loss {:e}, gradient {error:e}",
            case.layout.heads,
            (f64::from(metrics.loss) - loss).abs()
        );
        assert!(error < 1e-4, "gradient {error:e} with {:?}", case.layout);
    }
}

#[test]
fn the_kernel_agrees_with_tensor_operations() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("fused and unfused loss");
    let learning = bridge::tensor_device(&device).autodiff();
    for layout in layouts() {
        let case = Case::random(&mut r, layout, 3000);
        let (rows, n) = (case.layout.rows(), case.n);
        let batch = case.batch(&device);
        let outputs = || {
            Tensor::<2>::from_data(TensorData::new(case.outputs.clone(), [rows, n]), &learning)
                .require_grad()
        };
        // something before and after the loss, so that the chain rule has work to do
        let (x, y) = (outputs(), outputs());
        let (fused, metrics) =
            safe_ppo_loss(&device, x.clone() * 0.5, &batch, &parameters()).unwrap();
        let (plain, plain_metrics) = unfused_loss(&device, y.clone() * 0.5, &batch, &parameters());
        let got = (fused.clone() * -3.0).backward();
        let wanted = (plain.clone() * -3.0).backward();
        let host = |t: Tensor<2>| t.into_data().try_into_vec::<f32>().unwrap();
        let got = host(x.grad(&got).unwrap());
        let wanted = host(y.grad(&wanted).unwrap());
        let error = relative(&got, &wide(&wanted));
        assert!(error < 1e-4, "gradient {error:e} with {:?}", case.layout);
        close(
            fused.into_scalar::<f32>(),
            f64::from(plain.into_scalar::<f32>()),
            1e-5,
            "loss",
        );
        let metrics = metrics.floats(&device.client).unwrap();
        let plain = plain_metrics.into_data().try_into_vec::<f32>().unwrap();
        let mut largest = 0.0f64;
        for (row, (&got, &wanted)) in metrics.iter().zip(&plain).enumerate() {
            let error = f64::from((got - wanted).abs()) / f64::from(wanted.abs()).max(1.0);
            largest = largest.max(error);
            close(got, f64::from(wanted), 1e-5, &format!("metric {row}"));
        }
        println!("{:?}: {error:e}, values {largest:e}", case.layout.heads);
    }
}

/// Two samples, one head of two levels, one cost with two quantiles, by hand.
///
/// Sample 1: p = (1/4, 3/4), level 1 was drawn with probability 1/2, so r = 3/2 and is clipped to
/// 6/5; A = (2 - 1 * 1) / (1 + 1) = 1/2. Policy part -3/5 with no gradient. Value 1 for a return
/// of 3: 2. Quantiles 0 and 4 for a cost of 2, kappa 1: both 1/4 * 3/2. Entropy
/// ln 4 - 3/4 ln 3.
/// Sample 2: p = (1/2, 1/2), level 0 drawn with 1/2, r = 1; A = (-1 - 1) / 2 = -1, so 1. Value
/// exact. Quantiles 1 and 1 for 3/2: (1/4 + 3/4) / 8, half of it as a mean. Entropy ln 2.
#[test]
fn two_samples_by_hand() {
    let device = device::open(None).unwrap();
    let ln = f64::ln;
    let layout = OutputLayout {
        heads: vec![Head::Categorical { levels: 2 }],
        costs: 1,
        quantiles: 2,
        beliefs: 0,
    };
    let case = Case {
        layout,
        n: 2,
        outputs: [
            [0.0, 0.0],
            [3f32.ln(), 0.0],
            [1.0, 0.0],
            [0.0, 1.0],
            [4.0, 1.0],
        ]
        .concat(),
        action: vec![1.0, 0.0],
        mask: vec![3, 3],
        log_prob: vec![0.5f32.ln(); 2],
        advantage: vec![2.0, -1.0, 1.0, 1.0],
        returns: vec![3.0, 0.0, 2.0, 1.5],
        hidden: vec![],
        weight: vec![1.0, 1.0],
        multipliers: vec![1.0],
    };
    let coefficients = LossParameters {
        clip: 0.2,
        value: 0.5,
        cost: 1.0,
        entropy: 0.1,
        belief: 0.0,
        kappa: 1.0,
    };
    let outputs = floats(&device, &case.outputs, 5);
    let made = fused_loss(&device, &outputs, &case.batch(&device), &coefficients);
    let metrics = LossMetrics::read(&device, &made.metrics).unwrap();
    let entropy = [ln(4.0) - 0.75 * ln(3.0), ln(2.0)];
    close(metrics.policy, (-0.6 + 1.0) / 2.0, 1e-6, "policy");
    close(metrics.value, (2.0 + 0.0) / 2.0, 1e-6, "value");
    close(metrics.costs[0], (0.375 + 0.0625) / 2.0, 1e-6, "cost");
    close(
        metrics.entropy,
        (entropy[0] + entropy[1]) / 2.0,
        1e-6,
        "entropy",
    );
    // r - 1 - ln r of 3/2, and 0 of 1
    close(metrics.kl, (0.5 - ln(1.5)) / 2.0, 1e-6, "divergence");
    assert_eq!(metrics.clipped, 0.5);
    let loss = 0.2 + 0.5 * 1.0 + 0.21875 - 0.1 * (entropy[0] + entropy[1]) / 2.0;
    close(metrics.loss, loss, 1e-6, "loss");
    // by level 0, sample 1: -0.1 / 2 of the entropy's derivative -p (ln p + entropy)
    let steep = 0.05 * 0.25 * (-ln(4.0) + entropy[0]);
    let wanted = [
        // sample 2: minus r A = 1 times 1 - 1/2, halved by the mean
        [steep, 0.25],
        [-steep, -0.25],
        // 1/2 (1 - 3), halved
        [-0.5, 0.0],
        // minus 1/4 of the clipped error 1, and of 1/2; halved by the quantiles and by the samples
        [-0.0625, -0.03125],
        [0.0625, -0.09375],
    ];
    let got = made.gradient.floats(&device.client).unwrap();
    for (at, (got, wanted)) in got.iter().zip(wanted.concat()).enumerate() {
        close(*got, wanted, 1e-7, &format!("gradient {at}"));
    }
}

#[test]
fn extreme_outputs_give_numbers_and_empty_samples_nothing() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("extreme outputs");
    let mut case = Case::random(&mut r, layouts().pop().unwrap(), 64);
    for i in 0..64 {
        for row in 0..case.layout.policy_rows() {
            case.outputs[row * 64 + i] *= 60.0;
        }
        case.action[64 + i] = if i % 2 == 0 { 0.0 } else { 1.0 };
        if case.weight[i] == 0.0 {
            case.outputs[i] = f32::NAN;
            case.returns[i] = f32::INFINITY;
        }
    }
    let outputs = floats(&device, &case.outputs, case.layout.rows());
    let made = fused_loss(&device, &outputs, &case.batch(&device), &parameters());
    assert!(
        LossMetrics::read(&device, &made.metrics)
            .unwrap()
            .loss
            .is_finite()
    );
    let gradient = made.gradient.floats(&device.client).unwrap();
    for (at, g) in gradient.iter().enumerate() {
        assert!(g.is_finite(), "gradient {at}");
        assert!(*g == 0.0 || case.weight[at % 64] > 0.0);
    }
    case.weight = vec![0.0; 64];
    let made = fused_loss(&device, &outputs, &case.batch(&device), &parameters());
    assert_eq!(LossMetrics::read(&device, &made.metrics).unwrap().loss, 0.0);
}

#[test]
fn a_wrong_shape_is_refused() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("wrong shape");
    let case = Case::random(&mut r, layouts().remove(0), 8);
    let outputs = Tensor::<2>::ones([3, 8], &bridge::tensor_device(&device));
    let refused = safe_ppo_loss(&device, outputs, &case.batch(&device), &parameters());
    assert!(refused.unwrap_err().to_string().contains("[12, 8]"));
}

/// Loss and gradient of 65,536 samples with 11 levels and two costs of 16 quantiles.
#[test]
#[ignore = "measures time"]
fn fused_against_unfused_time() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("time of the loss");
    let layout = OutputLayout {
        heads: vec![Head::Categorical { levels: 11 }],
        costs: 2,
        quantiles: 16,
        beliefs: 0,
    };
    let case = Case::random(&mut r, layout, 65_536);
    let batch = case.batch(&device);
    let learning = bridge::tensor_device(&device).autodiff();
    let data = TensorData::new(case.outputs.clone(), [case.layout.rows(), case.n]);
    let x = Tensor::<2>::from_data(data, &learning).require_grad();
    let plain = floats(&device, &case.outputs, case.layout.rows());
    let time = |what: &str, run: &dyn Fn() -> f32| {
        run();
        let mut seconds: Vec<f64> = (0..15)
            .map(|_| {
                let start = std::time::Instant::now();
                run();
                start.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        println!(
            "{what}: median {:.2} ms, best {:.2} ms",
            1e3 * seconds[7],
            1e3 * seconds[0]
        );
    };
    // every run ends with one number of the gradient on the host, so that all of it is done
    let wait = |gradient: Tensor<2>| gradient.slice([0..1, 0..1]).into_scalar::<f32>();
    time("raw kernel", &|| {
        let made = fused_loss(&device, &plain, &batch, &parameters());
        wait(bridge::tensor(&device, &made.gradient))
    });
    time("fused operation", &|| {
        let (loss, _) = safe_ppo_loss(&device, x.clone(), &batch, &parameters()).unwrap();
        wait(x.grad(&loss.backward()).unwrap())
    });
    time("unfused", &|| {
        let (loss, _) = unfused_loss(&device, x.clone(), &batch, &parameters());
        wait(x.grad(&loss.backward()).unwrap())
    });
}
