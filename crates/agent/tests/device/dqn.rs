//! Double Q-learning: its kernels against the host in f64, and learning on a process whose optimum
//! is known.

use std::path::Path;
use std::sync::Arc;

use posology_agent::dqn::DqnLearner;
use posology_agent::dqn::config::resolved;
use posology_agent::dqn::replay::{Replay, Sample, Sampling, explore, price};
use posology_agent::dqn::update::{QBatch, double_q_loss};
use posology_agent::environment::AutoReset;
use posology_agent::environment::analytic::{Analytic, AnalyticEnvironment};
use posology_agent::ppo::config::Config;
use posology_agent::rollout::{Buffer, DIVERGED, RESET, Rollout, TERMINATED};
use posology_agent::spec::{ActionKind, ActionSpec, CostSpec, Spec};
use posology_agent::train::container::Container;
use posology_agent::train::run::LAST;
use posology_agent::train::{EvaluateOptions, Metrics, Problem, evaluate, resume, train};
use posology_cohort::philox::{self, stream};
use posology_kernels::device::{self, Device};
use posology_kernels::dqn::loss::part;
use posology_kernels::policy::{Head, OutputLayout};

use crate::fresh::{Random, apart, floats};

fn levels_of(counts: &[u32]) -> Vec<ActionSpec> {
    let action = |(h, &count): (usize, &u32)| ActionSpec {
        name: format!("drug {h}"),
        kind: ActionKind::Levels((0..count).map(f64::from).collect()),
    };
    counts.iter().enumerate().map(action).collect()
}

/// A mask that allows something, or 0, which allows everything.
fn mask(r: &mut Random, levels: u32) -> u32 {
    let all = u32::MAX >> (32 - levels);
    if r.below(4) == 0 {
        return 0;
    }
    (r.word() as u32 & all) | (1 << r.below(u64::from(levels)))
}

/// The loss in f64: parts of every sample, and the gradient of the mean loss.
struct Host {
    parts: Vec<f64>,
    gradient: Vec<f64>,
}

fn host(
    [outputs, chooser, target]: [&[f32]; 3],
    layout: &OutputLayout,
    counts: &[u32],
    given: &Given,
    width: f64,
) -> Host {
    let n = given.returns.len();
    let total: f64 = given.weight.iter().map(|&w| f64::from(w)).sum();
    let mut found = Host {
        parts: vec![0.0; part::ALL * n],
        gradient: vec![0.0; layout.rows() * n],
    };
    for i in (0..n).filter(|&i| given.weight[i] > 0.0) {
        let at = |h: usize, l: usize| (layout.head_row(h) + l) * n + i;
        let (mut value, mut next) = (0.0, 0.0);
        for (h, &count) in counts.iter().enumerate() {
            let mask = given.mask[h * n + i];
            value += f64::from(outputs[at(h, given.action[h * n + i] as usize)]);
            let allowed = (0..count as usize).filter(|l| mask == 0 || mask >> l & 1 == 1);
            let best = allowed.max_by(|&a, &b| chooser[at(h, a)].total_cmp(&chooser[at(h, b)]));
            next += f64::from(target[at(h, best.unwrap())]);
        }
        let follow = f64::from(given.follow[i]);
        let wanted = f64::from(given.returns[i]) + if follow > 0.0 { follow * next } else { 0.0 };
        let off = value - wanted;
        let loss = if off.abs() <= width {
            0.5 * off * off
        } else {
            width * (off.abs() - 0.5 * width)
        };
        let w = f64::from(given.weight[i]);
        for (row, of) in [
            (part::LOSS, loss),
            (part::ERROR, off.abs()),
            (part::VALUE, value),
            (part::TARGET, wanted),
        ] {
            found.parts[row * n + i] = w * of;
        }
        for h in 0..counts.len() {
            let slope = off.clamp(-width, width) * w / total;
            found.gradient[at(h, given.action[h * n + i] as usize)] = slope;
        }
    }
    found
}

struct Given {
    action: Vec<f32>,
    mask: Vec<u32>,
    returns: Vec<f32>,
    follow: Vec<f32>,
    weight: Vec<f32>,
}

#[test]
fn the_loss_is_that_of_the_host() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("double q loss");
    let counts = [[5u32].as_slice(), &[32], &[3, 4]];
    for (counts, n) in counts.into_iter().zip([1000, 77, 513]) {
        let heads = counts.iter().map(|&levels| Head::Categorical { levels });
        let layout = OutputLayout {
            heads: heads.collect(),
            costs: 2,
            quantiles: 1,
            beliefs: 0,
        };
        let mut given = Given {
            action: Vec::new(),
            mask: Vec::new(),
            returns: r.normals(n),
            follow: (0..n)
                .map(|_| [0.0, 0.5, 0.99][r.below(3) as usize])
                .collect(),
            weight: (0..n).map(|_| f32::from(r.below(5) > 0)).collect(),
        };
        given.weight[0] = 1.0;
        for &count in counts {
            for _ in 0..n {
                given.action.push(r.below(u64::from(count)) as f32);
                given.mask.push(mask(&mut r, count));
            }
        }
        let rows = layout.rows();
        let outputs = [(); 3].map(|()| r.normals(rows * n));
        let [one, two, three] = outputs.each_ref().map(|of| floats(&device, of, rows));
        let batch = QBatch {
            samples: n,
            layout: Arc::new(layout.clone()),
            action: floats(&device, &given.action, counts.len()),
            mask: Buffer::from_words(&device.client, &given.mask, counts.len(), n),
            returns: floats(&device, &given.returns, 1),
            follow: floats(&device, &given.follow, 1),
            weight: floats(&device, &given.weight, 1),
        };
        let width = r.uniform(0.3, 2.0);
        let found = double_q_loss(&device, &one, &two, &three, &batch, width);
        let [a, b, c] = &outputs;
        let wanted = host([a, b, c], &layout, counts, &given, f64::from(width));
        for (got, wanted, what) in [
            (&found.parts, &wanted.parts, "parts"),
            (&found.gradient, &wanted.gradient, "gradient"),
        ] {
            let got = got.floats(&device.client).unwrap();
            let (off, size) = apart(&got, wanted);
            println!("{counts:?} {what}: {:.1e} of {size:.1e}", off);
            assert!(size > 0.0 && off < 2e-6 * size, "{what}: {off} of {size}");
        }
    }
}

#[test]
fn exploration_is_even_and_respects_masks() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("exploration");
    let (lanes, steps, t, step) = (20_000, 3, 1, 17);
    let counts = [6u32, 32];
    let spec = Spec {
        actions: levels_of(&counts),
        ..Spec::default()
    };
    let mut rollout = Rollout::new(&device, &spec, steps, lanes, 0);
    let more = (steps + 1) * lanes;
    let masks: Vec<u32> = counts
        .iter()
        .flat_map(|&count| (0..more).map(|_| mask(&mut r, count)).collect::<Vec<_>>())
        .collect();
    rollout.mask = Buffer::from_words(&device.client, &masks, 2, more);
    let greedy = vec![99f32.to_bits(); 2 * steps * lanes];
    rollout.action = Buffer::from_words(&device.client, &greedy, 2, steps * lanes);
    let (epsilon, seed) = (0.3, r.word());
    let counts_of = Arc::new(counts.to_vec());
    explore(&device, &rollout, t, &counts_of, epsilon, seed, step);
    let actions = rollout.action.floats(&device.client).unwrap();
    let mut explored = 0;
    let mut ranks = [0u32; 4];
    for lane in 0..lanes {
        let draw = |h: u32| philox::draw(seed, lane as u32, step, stream::EXPLORATION, h);
        let explores = philox::uniform_closed_open(draw(0)[0]) < f64::from(epsilon as f32);
        explored += u32::from(explores);
        for (h, &count) in counts.iter().enumerate() {
            let action = actions[(h * steps + t) * lanes + lane];
            if !explores {
                assert_eq!(action, 99.0);
                continue;
            }
            let mask = masks[h * more + t * lanes + lane];
            let allowed: Vec<u32> = (0..count)
                .filter(|l| mask == 0 || mask >> l & 1 == 1)
                .collect();
            let place = (u64::from(draw(h as u32)[1]) * allowed.len() as u64) >> 32;
            assert_eq!(action as u32, allowed[place as usize]);
            if allowed.len() == 4 {
                ranks[place as usize] += 1;
            }
        }
    }
    // other decisions are as they were
    assert_eq!(
        actions.iter().filter(|&&a| a != 99.0).count(),
        2 * explored as usize
    );
    let share = f64::from(explored) / lanes as f64;
    assert!((share - epsilon).abs() < 0.02, "{share}");
    let all: u32 = ranks.iter().sum();
    let even = |&rank: &u32| (f64::from(rank) / f64::from(all) - 0.25).abs() < 0.1;
    assert!(all > 300 && ranks.iter().all(even), "{ranks:?}");
}

/// Decisions of the host's own record, by number.
#[derive(Default)]
struct Record {
    reward: Vec<Vec<f32>>,
    flags: Vec<Vec<u32>>,
    seen: Vec<Vec<f32>>,
}

/// Samples are decisions of the ring, no older ones; rewards are summed to the end of an episode at
/// most; what is seen afterwards is the next observation of the same lane.
#[test]
fn samples_are_what_happened() {
    let device = device::open(None).unwrap();
    let mut r = Random::fresh("replay");
    let (lanes, steps, batch) = (7, 4, 3000);
    let spec = Spec {
        features: vec!["number".to_owned()],
        actions: levels_of(&[3]),
        costs: vec![CostSpec {
            name: "toxicity".to_owned(),
            limit: 1.0,
            cvar: None,
        }],
        ..Spec::default()
    };
    let config = Config {
        dqn_replay: 10 * lanes,
        steps,
        ..Config::default()
    };
    let shape = {
        let config = resolved(&config, &spec).unwrap();
        posology_agent::train::learner::network_shape(&config, &spec).unwrap()
    };
    let mut replay = Replay::new(&device, &config, &spec, &shape, lanes).unwrap();
    assert_eq!(replay.slots, 11);
    let mut record = Record::default();
    let (discount, unit, toll) = (0.5f32, 0.25f32, 2.0f32);
    let all_flags = r.flags(6 * steps, lanes);
    for part in 0..6 {
        let mut rollout = Rollout::new(&device, &spec, steps, lanes, 0);
        let number = |t: usize, lane: usize| ((part * steps + t) * 100 + lane) as f32;
        let seen: Vec<f32> = (0..(steps + 1) * lanes)
            .map(|i| number(i / lanes, i % lanes))
            .collect();
        rollout.observation = floats(&device, &seen, 1);
        let reward = r.normals(steps * lanes);
        let cost = r.normals(steps * lanes);
        let flags = all_flags[part * steps * lanes..][..steps * lanes].to_vec();
        rollout.reward = floats(&device, &reward, 1);
        rollout.cost = floats(&device, &cost, 1);
        rollout.flags = Buffer::from_words(&device.client, &flags, 1, steps * lanes);
        let (priced, weight) = price(&device, &rollout, &[f64::from(toll)]);
        let weight = weight.floats(&device.client).unwrap();
        for (w, f) in weight.iter().zip(&flags) {
            assert_eq!(*w == 1.0, f & (RESET | DIVERGED) == 0);
        }
        for t in 0..steps {
            let row = t * lanes..(t + 1) * lanes;
            let priced = row.clone().map(|i| reward[i] - toll * cost[i]);
            record.reward.push(priced.collect());
            record.flags.push(flags[row.clone()].to_vec());
            record.seen.push(seen[row].to_vec());
        }
        replay.take(&device, &rollout, &priced);
        let done = (part + 1) * steps;
        assert_eq!(replay.valid(), done.min(10));
        for n_step in [1, 3] {
            let how = Sampling {
                batch,
                n_step,
                discount,
                unit,
                seed: r.word(),
                number: part as u32,
            };
            let sample = replay.draw(&device, &how);
            check(&device, &replay, &sample, &record, &how, done);
        }
    }
}

fn check(
    device: &Device,
    replay: &Replay,
    sample: &Sample,
    record: &Record,
    how: &Sampling,
    done: usize,
) {
    let client = &device.client;
    let (lanes, slots) = (replay.lanes, replay.slots);
    let ring = replay.observation.floats(client).unwrap();
    let place = sample.place.words(client).unwrap();
    let next = sample.next.words(client).unwrap();
    let returns = sample.returns.floats(client).unwrap();
    let follow = sample.follow.floats(client).unwrap();
    let weight = sample.weight.floats(client).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..how.batch {
        if weight[i] == 0.0 {
            assert_eq!((returns[i], follow[i]), (0.0, 0.0));
            continue;
        }
        let number = ring[place[i] as usize] as usize;
        let (d, lane) = (number / 100, number % 100);
        assert_eq!(d % slots * lanes + lane, place[i] as usize);
        assert!(d < done && d + replay.valid() >= done, "{d} of {done}");
        seen.insert(number);
        assert_eq!(record.flags[d][lane] & (RESET | DIVERGED), 0);
        let (mut sum, mut left, mut at) = (0.0f64, 1.0f64, d);
        loop {
            let flag = record.flags[at][lane];
            assert_eq!(flag & DIVERGED, 0);
            sum += left * f64::from(record.reward[at][lane]);
            left *= f64::from(how.discount);
            at += 1;
            if flag & TERMINATED != 0 {
                left = 0.0;
            }
            if flag != 0 || at - d == how.n_step as usize || at == done {
                break;
            }
        }
        let wanted = sum * f64::from(how.unit);
        assert!((f64::from(returns[i]) - wanted).abs() < 1e-6 * (1.0 + wanted.abs()));
        assert_eq!(follow[i], left as f32);
        assert_eq!(next[i] as usize, at % slots * lanes + lane);
        assert_eq!(ring[next[i] as usize] as usize, 100 * at + lane);
    }
    // every decision that can be learnt from has its chance: one drawn 43 times on average is not missed
    let first = done - replay.valid();
    let learnable = |d: usize, lane: usize| {
        let mut window = (d..done.min(d + how.n_step as usize)).map(|at| record.flags[at][lane]);
        let reset = record.flags[d][lane] & RESET != 0;
        let end = window.find(|&flag| flag != 0).unwrap_or(0);
        !reset && end & DIVERGED == 0
    };
    let decided: std::collections::BTreeSet<usize> = (first..done)
        .flat_map(|d| (0..lanes).map(move |lane| (d, lane)))
        .filter(|&(d, lane)| learnable(d, lane))
        .map(|(d, lane)| 100 * d + lane)
        .collect();
    assert_eq!(seen, decided);
}

const LEVELS: &str = "process = \"analytic\"\nhorizon = 8\nlevels = 5\n";

fn configure(problem: &Problem, overrides: &[&str]) -> Config {
    let overrides = overrides.iter().map(|&text| text.to_owned());
    let overrides: Vec<String> = overrides.collect();
    Config::resolve(problem.learning(), &overrides).unwrap()
}

#[test]
fn the_optimum_of_levels_is_learnt() {
    let device = device::open(None).unwrap();
    let problem = Problem::from_text("levels", None, LEVELS).unwrap();
    let config = configure(
        &problem,
        &[
            "algorithm=dqn",
            "lanes=128",
            "steps=8",
            "updates=40",
            "encoder=16",
            "hidden=16",
            "rate=1e-2",
            "dqn_replay=16384",
            "dqn_batch=1024",
            "dqn_steps=16",
            "dqn_target_every=30",
            "max_gradient_norm=10",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let mut all: Vec<Metrics> = Vec::new();
    let clock = std::time::Instant::now();
    train(
        &device,
        &problem,
        &config,
        folder.path(),
        &mut |metrics, _| {
            all.push(metrics.clone());
            true
        },
    )
    .unwrap();
    let container = Container::read(&folder.path().join(LAST)).unwrap();
    let options = EvaluateOptions {
        patients: 4096,
        resamples: 200,
        ..EvaluateOptions::default()
    };
    let found = evaluate(&device, &container, "last", &problem, &options, |_| true).unwrap();
    let process = Analytic {
        levels: Some(5),
        ..Analytic::default()
    };
    let best = process.best_return();
    println!(
        "{:.1} s: {:.4} of {best:.4}; {:?}",
        clock.elapsed().as_secs_f64(),
        found.total.value,
        all.last().unwrap().values
    );
    assert!(
        found.total.value > 0.99 * best,
        "{} of {best}",
        found.total.value
    );
    // what the values expect at random decisions of an episode is about half of its return
    let values = all.last().unwrap().values.unwrap();
    assert!(
        (values.mean / (0.5625 * best) - 1.0).abs() < 0.1,
        "{values:?}"
    );
    assert_eq!((all[0].transfers, all[1].transfers), (2, 1));
    assert_eq!(all[0].values.unwrap().epsilon, 1.0);
    assert!((values.epsilon - 0.05).abs() < 1e-9);
}

/// Runs that are stopped or killed and gone on with end in the same bytes, the ring among them.
#[test]
fn an_interrupted_run_ends_in_the_same_bytes() {
    let device = device::open(None).unwrap();
    let text = "process = \"analytic\"\nhorizon = 5\nlevels = 3\nlimit = 2\n";
    let problem = Problem::from_text("interrupted", None, text).unwrap();
    let config = configure(
        &problem,
        &[
            "algorithm=dqn",
            "lanes=16",
            "steps=4",
            "updates=7",
            "hidden=8",
            "encoder=8",
            "checkpoint_every=2",
            "minibatches=1",
            "dqn_replay=160",
            "dqn_batch=32",
            "dqn_steps=3",
            "dqn_n_step=2",
            "dqn_target_every=4",
            "dqn_target_share=0.5",
            "dqn_penalties=[0.1]",
        ],
    );
    let whole = tempfile::tempdir().unwrap();
    train(&device, &problem, &config, whole.path(), &mut |_, _| true).unwrap();
    let expected = std::fs::read(whole.path().join(LAST)).unwrap();
    let cut = tempfile::tempdir().unwrap();
    let mut stop = |metrics: &Metrics, _: u64| metrics.update < 3;
    let first = train(&device, &problem, &config, cut.path(), &mut stop).unwrap();
    assert!(first.stopped && first.update == 3);
    let end = resume(&device, cut.path(), &mut |_, _| true).unwrap();
    assert_eq!((end.update, end.launches_per_decision > 0.0), (7, true));
    assert!(std::fs::read(cut.path().join(LAST)).unwrap() == expected);
    let killed = tempfile::tempdir().unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut kill = |metrics: &Metrics, _: u64| {
            assert!(metrics.update < 6, "killed");
            true
        };
        train(&device, &problem, &config, killed.path(), &mut kill)
    }));
    assert!(outcome.is_err());
    resume(&device, killed.path(), &mut |_, _| true).unwrap();
    assert!(std::fs::read(killed.path().join(LAST)).unwrap() == expected);
}

/// Neither exploring nor greedy decisions leave what a state admits.
#[test]
fn decisions_of_a_run_respect_masks() {
    let device = device::open(None).unwrap();
    let tasks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks");
    let problem = Problem::load(&tasks.join("icu-sepsis.toml")).unwrap();
    let (lanes, steps, updates) = (64, 8, 6);
    let config = configure(
        &problem,
        &[
            "algorithm=dqn",
            "lanes=64",
            "steps=8",
            "updates=6",
            "minibatches=1",
            "encoder=8",
            "hidden=8",
            "dqn_steps=2",
            "dqn_batch=64",
            "dqn_replay=4096",
            "dqn_epsilon=0.5",
            "dqn_epsilon_end=0.5",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    train(&device, &problem, &config, folder.path(), &mut |_, _| true).unwrap();
    let container = Container::read(&folder.path().join(LAST)).unwrap();
    let mask = container.words("replay.mask").unwrap();
    let action = container.words("replay.action").unwrap();
    let decisions = lanes * steps * updates;
    assert!(decisions < mask.len());
    let mut narrow = 0;
    for (mask, action) in mask.iter().zip(action).take(decisions) {
        let level = f32::from_bits(action) as u32;
        assert!(*mask == 0 || mask >> level & 1 == 1, "{level} of {mask:b}");
        narrow += u32::from((1..13).contains(&mask.count_ones()));
    }
    assert!(narrow > 500, "{narrow} decisions had few levels");
}

#[test]
fn fractions_have_no_values() {
    let device = device::open(None).unwrap();
    let process = Analytic::default();
    let lanes = AnalyticEnvironment::new(&device, &process, 16, AutoReset::NextStep).unwrap();
    let error = DqnLearner::new(&device, Box::new(lanes), &Config::default());
    let message = error.err().unwrap().to_string();
    assert!(message.contains("dose is a fraction"), "{message}");
}
