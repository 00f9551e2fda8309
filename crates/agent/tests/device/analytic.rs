//! The analytic process: its closed forms hold for policies that are known to be optimal.

use posology_agent::environment::analytic::{Analytic, AnalyticEnvironment, Hidden};
use posology_agent::environment::{AutoReset, Environment};
use posology_agent::rollout::{Buffer, RESET, Rollout, TERMINATED};
use posology_kernels::device::{Device, open};

use crate::tabular::seed;

/// Mean return and cost of an episode under `act`, of the features that a lane has seen, and their
/// standard errors.
fn returns(
    device: &Device,
    process: &Analytic,
    seed: u64,
    lanes: usize,
    act: impl Fn(&[f32]) -> f32,
) -> [f64; 4] {
    let mut env = AnalyticEnvironment::new(device, process, lanes, AutoReset::NextStep).unwrap();
    let steps = process.horizon;
    let mut rollout = Rollout::new(device, env.spec(), steps, lanes, 0);
    env.reset(seed, 0, &rollout).unwrap();
    let mut seen = vec![Vec::new(); lanes];
    let mut chosen = vec![0u32; steps * lanes];
    for t in 0..steps {
        let observation = rollout.observation.floats(&device.client).unwrap();
        for (lane, seen) in seen.iter_mut().enumerate() {
            seen.push(observation[t * lanes + lane]);
            chosen[t * lanes + lane] = act(seen).to_bits();
        }
        rollout.action = Buffer::from_words(&device.client, &chosen, 1, steps * lanes);
        env.step(&rollout, t).unwrap();
    }
    let moments = |buffer: &Buffer| {
        let values = buffer.floats(&device.client).unwrap();
        let sums: Vec<f64> = (0..lanes)
            .map(|lane| {
                (0..steps)
                    .map(|t| f64::from(values[t * lanes + lane]))
                    .sum()
            })
            .collect();
        let n = lanes as f64;
        let mean = sums.iter().sum::<f64>() / n;
        let variance = sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n;
        (mean, (variance / n).sqrt())
    };
    let (reward, reward_error) = moments(&rollout.reward);
    let (cost, cost_error) = match process.limit {
        Some(_) => moments(&rollout.cost),
        None => (0.0, 0.0),
    };
    [reward, reward_error, cost, cost_error]
}

/// Five standard errors, or what f32 sums and a clipped optimum cost.
fn near(found: f64, error: f64, closed: f64) {
    println!("{found:.5} +/- {error:.5}, closed form {closed:.5}");
    assert!(
        (found - closed).abs() < 5.0 * error + 2e-3,
        "{found} is not {closed}"
    );
}

#[test]
fn closed_forms_hold_with_a_seen_target() {
    let device = open(None).unwrap();
    let seed = seed();
    for levels in [None, Some(4)] {
        let process = Analytic {
            levels,
            limit: Some(1.6),
            ..Analytic::default()
        };
        let act = |m: f64| {
            move |seen: &[f32]| {
                let dose = (seen[seen.len() - 1] - m as f32).max(0.0);
                levels.map_or(dose, |n| (dose * (n - 1) as f32).round())
            }
        };
        let [reward, error, ..] = returns(&device, &process, seed, 4096, act(0.0));
        near(reward, error, process.best_return());
        let (m, best, limit) = process.constrained();
        let [reward, error, cost, cost_error] = returns(&device, &process, seed, 4096, act(m));
        near(reward, error, best);
        near(cost, cost_error, limit);
        assert!((limit - 1.6).abs() < 1e-9);
    }
}

#[test]
fn closed_forms_hold_with_a_hidden_target() {
    let device = open(None).unwrap();
    let seed = seed();
    let two = Analytic {
        levels: Some(2),
        hidden: Some(Hidden {
            noise: 1.5,
            spread: 0.0,
        }),
        ..Analytic::default()
    };
    let vote = |seen: &[f32]| f32::from(u8::from(seen.iter().sum::<f32>() > 0.0));
    let [reward, error, ..] = returns(&device, &two, seed, 4096, vote);
    near(reward, error, two.best_return());
    let last = |seen: &[f32]| f32::from(u8::from(seen[seen.len() - 1] > 0.0));
    let [reward, error, ..] = returns(&device, &two, seed, 4096, last);
    near(reward, error, two.memoryless_return());
    assert!(two.best_return() > two.memoryless_return() + 0.7);

    let (noise, spread) = (0.2, 0.125);
    let any = Analytic {
        hidden: Some(Hidden { noise, spread }),
        ..Analytic::default()
    };
    // the cue is (target - 1/2 + noise) / spread
    let shrunk = |t: f64, sum: f64| {
        (0.5 + spread * sum / (t + (noise / spread).powi(2))).clamp(0.0, 1.0) as f32
    };
    let posterior =
        |seen: &[f32]| shrunk(seen.len() as f64, seen.iter().map(|&y| f64::from(y)).sum());
    let [reward, error, ..] = returns(&device, &any, seed, 4096, posterior);
    near(reward, error, any.best_return());
    let memoryless = |seen: &[f32]| shrunk(1.0, f64::from(seen[seen.len() - 1]));
    let [reward, error, ..] = returns(&device, &any, seed, 4096, memoryless);
    near(reward, error, any.memoryless_return());
}

#[test]
fn episodes_follow_each_other_in_the_three_modes() {
    let device = open(None).unwrap();
    let seed = seed();
    let process = Analytic {
        horizon: 3,
        hidden: Some(Hidden {
            noise: 0.1,
            spread: 0.1,
        }),
        ..Analytic::default()
    };
    let (lanes, steps) = (5, 9);
    for (reset, flags, started) in [
        (
            AutoReset::NextStep,
            [0, 0, TERMINATED, RESET, 0, 0, TERMINATED, RESET, 0],
            [1, 0, 0, 0, 1, 0, 0, 0, 1, 0],
        ),
        (
            AutoReset::SameStep,
            [0, 0, TERMINATED, 0, 0, TERMINATED, 0, 0, TERMINATED],
            [1, 0, 0, 1, 0, 0, 1, 0, 0, 1],
        ),
        (
            AutoReset::Disabled,
            [0, 0, TERMINATED, RESET, RESET, RESET, RESET, RESET, RESET],
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ] {
        let mut env = AnalyticEnvironment::new(&device, &process, lanes, reset).unwrap();
        let mut rollout = Rollout::new(&device, env.spec(), steps, lanes, 0);
        let half = vec![0.5f32.to_bits(); steps * lanes];
        rollout.action = Buffer::from_words(&device.client, &half, 1, steps * lanes);
        env.reset(seed, 0, &rollout).unwrap();
        for t in 0..5 {
            env.step(&rollout, t).unwrap();
        }
        // a second environment goes on from the middle
        let kept = env.snapshot().unwrap();
        let mut env = AnalyticEnvironment::new(&device, &process, lanes, reset).unwrap();
        env.restore(&kept).unwrap();
        for t in 5..steps {
            env.step(&rollout, t).unwrap();
        }
        let words = |buffer: &Buffer| buffer.words(&device.client).unwrap();
        let (found, began) = (words(&rollout.flags), words(&rollout.started));
        let hidden = rollout.hidden.floats(&device.client).unwrap();
        for lane in 0..lanes {
            let column =
                |all: &[u32], n: usize| (0..n).map(|t| all[t * lanes + lane]).collect::<Vec<_>>();
            assert_eq!(column(&found, steps), flags, "{reset:?}");
            assert_eq!(column(&began, steps + 1), started, "{reset:?}");
            // the target is the patient's own
            for t in 1..=steps {
                let same = hidden[t * lanes + lane] == hidden[(t - 1) * lanes + lane];
                assert_eq!(same, started[t] == 0, "{reset:?} {t}");
            }
        }
        assert!(env.restore(&kept[1..]).is_err());
    }
}
