//! Advantages, moments, sums, episodes and shuffling against the host.

use posology_agent::ops::sums::sum_rows;
use posology_agent::ppo::advantage::{Credit, advantages_of};
use posology_agent::ppo::shuffle::{gather, places};
use posology_agent::ppo::statistics::{
    Accounts, EpisodeSums, Normalisation, histogram, moments, normalise,
};
use posology_agent::rollout::{Buffer, Rollout};
use posology_agent::spec::{CostSpec, Spec};
use posology_kernels::device::{self, Device};
use proptest::prelude::*;

use crate::fresh::{Random, apart, floats};

fn cost(cvar: Option<f64>) -> CostSpec {
    CostSpec {
        name: "toxicity".to_owned(),
        limit: 1.0,
        cvar,
    }
}

fn rollout(device: &Device, costs: usize, steps: usize, lanes: usize) -> Rollout {
    let spec = Spec {
        costs: vec![cost(None); costs],
        ..Spec::default()
    };
    Rollout::new(device, &spec, steps, lanes, 0)
}

#[test]
fn advantages_agree_with_f64() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("advantages");
    for (costs, steps, lanes) in [(0, 1, 5), (1, 40, 33), (3, 17, 200)] {
        let n = lanes;
        let credits: Vec<Credit> = (0..=costs)
            .map(|s| Credit {
                discount: [0.97, 1.0, 1.0, 0.9][s],
                trace: [0.95, 0.95, 1.0, 0.0][s],
                beyond_truncation: s != 1,
            })
            .collect();
        let value = r.normals((1 + costs) * (steps + 1) * n);
        let reward = r.normals(steps * n);
        let cost = r.normals(costs * steps * n);
        let flags = r.flags(steps, n);
        let mut rollout = rollout(&device, costs, steps, n);
        rollout.value = floats(&device, &value, 1 + costs);
        rollout.reward = floats(&device, &reward, 1);
        rollout.flags = Buffer::from_words(&device.client, &flags, 1, steps * n);
        let charged = floats(&device, &cost, costs);
        let made = advantages_of(&device, &rollout, &charged, &credits);

        let (mut advantage, mut returns) = (Vec::new(), Vec::new());
        for (s, credit) in credits.iter().enumerate() {
            let gamma = f64::from(credit.discount);
            let v = |t: usize, i: usize| f64::from(value[(s * (steps + 1) + t) * n + i]);
            let start = advantage.len();
            advantage.resize(start + steps * n, 0.0);
            returns.resize(start + steps * n, 0.0);
            for i in 0..n {
                // the definition: a sum of discounted errors up to the end of the episode
                for t in 0..steps {
                    if flags[t * n + i] & 8 != 0 {
                        continue;
                    }
                    let (mut sum, mut factor) = (0.0, 1.0);
                    for u in t..steps {
                        let flag = flags[u * n + i];
                        let gain = match s {
                            0 => reward[u * n + i],
                            _ => cost[((s - 1) * steps + u) * n + i],
                        };
                        let next = match flag & 7 {
                            0 => v(u + 1, i),
                            1 => 0.0,
                            _ if credit.beyond_truncation => v(u + 1, i),
                            _ => 0.0,
                        };
                        sum += factor * (f64::from(gain) + gamma * next - v(u, i));
                        factor *= gamma * f64::from(credit.trace);
                        if flag & 7 != 0 {
                            break;
                        }
                    }
                    advantage[start + t * n + i] = sum;
                    returns[start + t * n + i] = sum + v(t, i);
                }
            }
        }
        let read = |b: &Buffer| b.floats(&device.client).unwrap();
        let (error, size) = apart(&read(&made.advantage), &advantage);
        assert!(error <= 2e-6 * size, "advantage: {error:e} of {size}");
        let (error, size) = apart(&read(&made.returns), &returns);
        assert!(error <= 2e-6 * size, "returns: {error:e} of {size}");
        let weight: Vec<f32> = flags
            .iter()
            .map(|f| if f & 8 == 0 { 1.0 } else { 0.0 })
            .collect();
        assert_eq!(read(&made.weight), weight);
    }
}

/// What follows a terminal state or a reset is not looked at, even if it is no number.
#[test]
fn what_does_not_follow_is_not_looked_at() {
    let device = device::open(None).unwrap();
    let mut rollout = rollout(&device, 0, 3, 1);
    rollout.value = floats(&device, &[0.5, f32::NAN, 0.25, 2.0], 1);
    rollout.reward = floats(&device, &[1.0, f32::NAN, 3.0], 1);
    rollout.flags = Buffer::from_words(&device.client, &[1, 8, 0], 1, 3);
    let none = Buffer::empty(&device.client, 0, 3);
    let made = advantages_of(&device, &rollout, &none, &[Credit::reward(0.5, 0.9)]);
    // 1 - 1/2; nothing; 3 + 1/2 * 2 - 1/4
    assert_eq!(
        made.advantage.floats(&device.client).unwrap(),
        [0.5, 0.0, 3.75]
    );
}

#[test]
fn sums_and_moments_agree_with_f64() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("sums and moments");
    for n in [1, 2, 63, 1000, 70_001] {
        let rows = 3;
        // a mean far from zero must not cost the variance its digits
        let x: Vec<f32> = (0..rows * n)
            .map(|j| r.normal() + [0.0, 1000.0, -3.0][j / n])
            .collect();
        let mut weight: Vec<f32> = (0..n).map(|_| r.below(3).min(1) as f32).collect();
        weight[0] = 1.0;
        let (on_device, on_weight) = (floats(&device, &x, rows), floats(&device, &weight, 1));
        let sums = sum_rows(&device, &on_device)
            .floats(&device.client)
            .unwrap();
        let found = moments(&device, &on_device, &on_weight);
        let found = found.floats(&device.client).unwrap();
        normalise(
            &device,
            &on_device,
            &on_weight,
            &Normalisation {
                centred: 0b101,
                scaled: 0b011,
                epsilon: 1e-6,
            },
        );
        let normalised = on_device.floats(&device.client).unwrap();
        for row in 0..rows {
            let values: Vec<f64> = x[row * n..][..n].iter().map(|&v| f64::from(v)).collect();
            let sum: f64 = values.iter().sum();
            let size: f64 = values.iter().map(|v| v.abs()).sum();
            assert!(
                (f64::from(sums[row]) - sum).abs() <= 2e-6 * size,
                "sum of {n}"
            );
            let valid: Vec<f64> = (0..n)
                .filter(|&j| weight[j] > 0.0)
                .map(|j| values[j])
                .collect();
            let count = valid.len() as f64;
            let mean = valid.iter().sum::<f64>() / count;
            let variance = valid.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            let got = &found[3 * row..][..3];
            assert_eq!(f64::from(got[0]), count);
            assert!(
                (f64::from(got[1]) - mean).abs() <= 2e-6 * mean.abs().max(1.0),
                "mean of {n}"
            );
            assert!(
                (f64::from(got[2]) - variance).abs() <= 2e-4 * variance + 1e-7,
                "{got:?} for {variance} of {n}"
            );
            for j in 0..n {
                let centre = if row == 1 { 0.0 } else { mean };
                let scale = if row == 2 {
                    1.0
                } else {
                    variance.sqrt() + 1e-6
                };
                let wanted = if weight[j] > 0.0 {
                    (values[j] - centre) / scale
                } else {
                    0.0
                };
                let got = f64::from(normalised[row * n + j]);
                let bound = 2e-4 * wanted.abs().max(1.0);
                assert!(
                    n < 100 || (got - wanted).abs() <= bound,
                    "{got} for {wanted}"
                );
            }
        }
    }
}

#[test]
fn episodes_agree_with_the_host_over_two_rollouts() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("episodes");
    let (steps, lanes) = (30, 150);
    let specs = [cost(None), cost(Some(0.75)), cost(Some(0.95))];
    let eta = [0.3, 0.5, -0.25];
    for costs in 0..=3 {
        let risk = Accounts::risk(&device, &specs[..costs], &eta[..costs]);
        let mut accounts = Accounts::new(&device, costs, lanes);
        // return, length, costs of the episode under way
        let mut under_way = vec![vec![0.0f64; 2 + costs]; lanes];
        for _ in 0..2 {
            let reward = r.normals(steps * lanes);
            let cost = r.normals(costs * steps * lanes);
            let flags = r.flags(steps, lanes);
            let mut rollout = rollout(&device, costs, steps, lanes);
            rollout.reward = floats(&device, &reward, 1);
            rollout.cost = floats(&device, &cost, costs);
            rollout.flags = Buffer::from_words(&device.client, &flags, 1, steps * lanes);
            let taken = accounts.take(&device, &rollout, &risk);
            let mut sums = EpisodeSums::default();
            sums.costs.resize(costs, Default::default());
            let mut charged = vec![0.0; costs * steps * lanes];
            let mut bins = vec![0u32; (1 + costs) * 8];
            for (lane, way) in under_way.iter_mut().enumerate() {
                for t in 0..steps {
                    let at = t * lanes + lane;
                    if flags[at] & 8 != 0 {
                        continue;
                    }
                    way[0] += f64::from(reward[at]);
                    way[1] += 1.0;
                    let ended = flags[at] & 7 != 0;
                    for k in 0..costs {
                        let now = f64::from(cost[k * steps * lanes + at]);
                        way[2 + k] += now;
                        let over = (way[2 + k] - eta[k]).max(0.0);
                        charged[k * steps * lanes + at] = match (specs[k].cvar, ended) {
                            (None, _) => now,
                            (Some(alpha), true) => over / (1.0 - alpha),
                            (Some(_), false) => 0.0,
                        };
                        if ended {
                            let sum = &mut sums.costs[k];
                            sum.total += way[2 + k];
                            sum.squares += way[2 + k].powi(2);
                            sum.above += f64::from(u8::from(way[2 + k] > eta[k]));
                            sum.excess += over;
                            sum.excess_squares += over * over;
                        }
                    }
                    if ended {
                        sums.episodes += 1.0;
                        sums.returns += way[0];
                        sums.return_squares += way[0].powi(2);
                        sums.length += way[1];
                        sums.terminated += f64::from(flags[at] & 1);
                        sums.diverged += f64::from((flags[at] & 4) / 4);
                        for row in 0..=costs {
                            let total = if row == 0 { way[0] } else { way[1 + row] };
                            bins[row * 8 + (total + 4.0).clamp(0.0, 7.0) as usize] += 1;
                        }
                        way.fill(0.0);
                    }
                }
            }
            let got = EpisodeSums::read(&device, &taken.sums).unwrap();
            let exact = |s: &EpisodeSums| [s.episodes, s.length, s.terminated, s.diverged];
            assert_eq!(exact(&got), exact(&sums));
            let near = |got: f64, wanted: f64| {
                assert!(
                    (got - wanted).abs() < 1e-5 * sums.return_squares,
                    "{got} {wanted}"
                );
            };
            near(got.returns, sums.returns);
            near(got.return_squares, sums.return_squares);
            for (got, wanted) in got.costs.iter().zip(&sums.costs) {
                near(got.total, wanted.total);
                near(got.squares, wanted.squares);
                near(got.excess, wanted.excess);
                near(got.excess_squares, wanted.excess_squares);
                near(got.above, wanted.above);
            }
            let (error, _) = apart(&taken.charged.floats(&device.client).unwrap(), &charged);
            // the weight of the worst 5 % is 20
            assert!(error < 2e-4, "charged: {error:e}");
            let ranges = vec![(-4.0, 4.0); 1 + costs];
            let counts = histogram(&device, &rollout, &taken.last, &ranges, 8);
            let counts = counts.words(&device.client).unwrap();
            // a total next to the edge of a bin may fall to the other side of it
            let moved: u32 = counts.iter().zip(&bins).map(|(a, b)| a.abs_diff(*b)).sum();
            assert!(moved <= 4, "{counts:?} for {bins:?}");
            assert_eq!(counts.iter().sum::<u32>(), bins.iter().sum::<u32>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_shuffle_is_a_permutation(n in 1usize..3000, seed in any::<u64>(), stream in any::<u32>(), cut in 0.0..1.0f64) {
        let device = shared();
        let first = (cut * n as f64) as usize;
        let mut seen = places(device, seed, stream, n, 0, first).words(&device.client).unwrap();
        seen.extend(places(device, seed, stream, n, first, n - first).words(&device.client).unwrap());
        seen.sort_unstable();
        let all: Vec<u32> = (0..n as u32).collect();
        prop_assert_eq!(seen, all);
    }
}

fn shared() -> &'static Device {
    static DEVICE: std::sync::OnceLock<Device> = std::sync::OnceLock::new();
    DEVICE.get_or_init(|| device::open(None).unwrap())
}

/// Over many streams every number comes to the first place equally often.
#[test]
fn shuffles_are_even() {
    let device = shared();
    let mut r = Random::fresh("shuffles");
    let (n, streams) = (6, 900);
    let seed = r.word();
    let mut counts = vec![0.0f64; n];
    for stream in 0..streams {
        let first = places(device, seed, stream, n, 0, 1);
        counts[first.words(&device.client).unwrap()[0] as usize] += 1.0;
    }
    let expected = f64::from(streams) / n as f64;
    let chi: f64 = counts
        .iter()
        .map(|c| (c - expected).powi(2) / expected)
        .sum();
    // five degrees of freedom: 30.9 is passed once in 100,000 runs
    assert!(chi < 30.9, "{counts:?}, chi-squared {chi}");
}

#[test]
fn a_minibatch_has_whole_sequences() {
    let device = shared();
    let mut r = Random::fresh("minibatch");
    let (rows, more, lanes, m) = (3, 8, 50, 20);
    let words: Vec<u32> = (0..rows * more * lanes).map(|_| r.word() as u32).collect();
    let from = Buffer::from_words(&device.client, &words, rows, more * lanes);
    let chosen = places(device, r.word(), 3, lanes, 10, m);
    let lane = chosen.words(&device.client).unwrap();
    for steps in [more - 1, more] {
        let got = gather(device, &from, &chosen, more, steps);
        assert_eq!((got.rows, got.columns), (rows, steps * m));
        let got = got.words(&device.client).unwrap();
        for row in 0..rows {
            for t in 0..steps {
                for (j, &lane) in lane.iter().enumerate() {
                    let wanted = words[(row * more + t) * lanes + lane as usize];
                    assert_eq!(got[(row * steps + t) * m + j], wanted);
                }
            }
        }
    }
}

/// More threads than one dimension of a grid has.
#[test]
fn large_buffers_are_copied_whole() {
    let device = shared();
    let (steps, lanes) = (1000, 4300);
    let words: Vec<u32> = (0..(steps * lanes) as u32).collect();
    let from = Buffer::from_words(&device.client, &words, 1, steps * lanes);
    let chosen = places(device, 5, 0, lanes, 0, lanes);
    let lane = chosen.words(&device.client).unwrap();
    let got = gather(device, &from, &chosen, steps, steps);
    let got = got.words(&device.client).unwrap();
    for (at, &got) in got.iter().enumerate() {
        assert_eq!(got, (at / lanes * lanes) as u32 + lane[at % lanes]);
    }
}
