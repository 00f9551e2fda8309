//! The fused loss against plain tensor operations, against f64 on the host, and by hand.

mod case;

use burn::tensor::{Tensor, TensorData};
use posology_agent::bridge;
use posology_agent::ops::loss::{
    LossMetrics, LossParameters, fused_loss, safe_ppo_loss, unfused_loss,
};
use posology_kernels::device;
use posology_kernels::policy::{Head, OutputLayout};

use self::case::{Case, layouts, parameters};
use crate::fresh::{Random, floats};

/// Elementwise relative error, for elements that matter: at least 1e-2 of the largest.
fn relative(got: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(got.len(), wanted.len());
    let largest = wanted.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    let error = |(&g, &w): (&f32, &f64)| {
        assert!(g.is_finite());
        // a small element is a difference of large terms, and rounds with their last bits
        (f64::from(g) - w).abs() / w.abs().max(1e-2 * largest)
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
fn the_same_batch_gives_the_same_bits() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("bits of the loss");
    let case = Case::random(&mut r, layouts().pop().unwrap(), 5000);
    let outputs = floats(&device, &case.outputs, case.layout.rows());
    let run = || {
        let made = fused_loss(&device, &outputs, &case.batch(&device), &parameters());
        [made.metrics, made.gradient].map(|b| b.words(&device.client).unwrap())
    };
    assert_eq!(run(), run());
}

/// A constant explains nothing of returns with variance 4; half of the error, half of it.
#[test]
fn explained_variance_by_hand() {
    let with = |value: f32| LossMetrics {
        value,
        return_variance: 4.0,
        ..LossMetrics::default()
    };
    assert_eq!(with(2.0).explained_variance(), 0.0);
    assert_eq!(with(1.0).explained_variance(), 0.5);
    // mean 3, mean square 13
    let rows = [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 13.0];
    assert_eq!(LossMetrics::from_rows(&rows), with(2.0));
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
