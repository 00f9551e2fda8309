//! Inference of a rollout: decisions of many lanes against f64 on the host.

use posology_agent::bridge;
use posology_agent::policy::act::Mapping;
use posology_agent::policy::reference::{self, Reference};
use posology_agent::policy::{Actor, Draw, NetworkShape, PolicyNetwork};
use posology_agent::rollout::{Buffer, Rollout};
use posology_agent::spec::{ActionKind, ActionSpec, CostSpec, Spec};
use posology_cohort::philox;
use posology_kernels::device::Device;
use posology_kernels::policy::{Head, OutputLayout};

use super::policy::{Fresh, matrix, open, shape, weights};

/// A rollout of random observations.
struct Given {
    rollout: Rollout,
    observation: Vec<f32>,
    told: Vec<f32>,
    mask: Vec<u32>,
    started: Vec<u32>,
}

impl Given {
    fn new(
        device: &Device,
        shape: &NetworkShape,
        steps: usize,
        lanes: usize,
        fresh: &mut Fresh,
    ) -> Self {
        let rollout = empty(device, shape, steps, lanes);
        let more = (steps + 1) * lanes;
        let observation = fresh.normals(shape.observed() * more);
        let told = fresh.normals(shape.outputs.beliefs * more);
        // any levels, but at least the first
        let mask: Vec<u32> = (0..shape.outputs.heads.len() * more)
            .map(|_| fresh.word() | 1)
            .collect();
        let started: Vec<u32> = (0..more)
            .map(|_| u32::from(fresh.word().is_multiple_of(4)))
            .collect();
        let mut given = Self {
            rollout,
            observation,
            told,
            mask,
            started,
        };
        given.upload(device, shape);
        given
    }

    /// Put the observations on the device.
    fn upload(&mut self, device: &Device, shape: &NetworkShape) {
        let more = (self.rollout.steps + 1) * self.rollout.lanes;
        let heads = shape.outputs.heads.len();
        self.rollout.observation = matrix(device, &self.observation, shape.observed());
        self.rollout.hidden = matrix(device, &self.told, shape.outputs.beliefs);
        self.rollout.mask = Buffer::from_words(&device.client, &self.mask, heads, more);
        self.rollout.started = Buffer::from_words(&device.client, &self.started, 1, more);
    }

    /// What the network sees of one sample.
    fn inputs(&self, shape: &NetworkShape, sample: usize) -> Vec<f64> {
        let more = (self.rollout.steps + 1) * self.rollout.lanes;
        let observed = (0..shape.observed()).map(|f| self.observation[f * more + sample]);
        let told = (0..shape.sees_hidden).map(|f| self.told[f * more + sample]);
        observed.chain(told).map(f64::from).collect()
    }

    /// A rollout of `few` lanes, from lane `skip` on.
    fn part(&self, device: &Device, shape: &NetworkShape, skip: usize, few: usize) -> Self {
        fn columns<T: Copy>(all: &[T], lanes: usize, skip: usize, few: usize) -> Vec<T> {
            all.chunks(lanes)
                .flat_map(|row| row[skip..skip + few].iter().copied())
                .collect()
        }
        let (steps, lanes) = (self.rollout.steps, self.rollout.lanes);
        let mut part = Self {
            rollout: empty(device, shape, steps, few),
            observation: columns(&self.observation, lanes, skip, few),
            told: columns(&self.told, lanes, skip, few),
            mask: columns(&self.mask, lanes, skip, few),
            started: columns(&self.started, lanes, skip, few),
        };
        part.upload(device, shape);
        part
    }
}

/// An unwritten rollout for the ends of a network.
fn empty(device: &Device, shape: &NetworkShape, steps: usize, lanes: usize) -> Rollout {
    let levels = |head: &Head| match head {
        Head::Categorical { levels } => ActionKind::Levels(vec![0.0; *levels as usize]),
        Head::Gaussian => ActionKind::Fraction,
    };
    let action = |head: &Head| ActionSpec {
        name: "drug".into(),
        kind: levels(head),
    };
    let cost = CostSpec {
        name: "harm".into(),
        limit: 1.0,
        cvar: None,
    };
    let spec = Spec {
        features: vec!["x".into(); shape.observed()],
        actions: shape.outputs.heads.iter().map(action).collect(),
        costs: vec![cost; shape.outputs.costs],
        hidden: vec!["k".into(); shape.outputs.beliefs],
        ..Spec::default()
    };
    Rollout::new(device, &spec, steps, lanes, shape.state())
}

/// Ways to lay the work on threads: as on a GPU, and as on a software adapter.
const MAPPINGS: [Mapping; 2] = [
    Mapping {
        lanes: 1,
        block: 8,
        unroll: 4,
        share_weights: false,
    },
    Mapping {
        lanes: 4,
        block: 8,
        unroll: 1,
        share_weights: true,
    },
];

const DRAW: Draw = Draw {
    seed: 0x1234_5678_9abc_def0,
    first: 3,
    step: 50,
    deterministic: false,
};

/// The level that a uniform number falls on, and how far it is from the next boundary.
fn level_of(probabilities: &[f64], uniform: f64) -> (usize, f64) {
    let mut sum = 0.0;
    let (mut level, mut margin) = (None, f64::INFINITY);
    for (l, p) in probabilities.iter().enumerate() {
        sum += p;
        margin = margin.min((uniform - sum).abs());
        if level.is_none() && uniform < sum {
            level = Some(l);
        }
    }
    (level.unwrap_or(0), margin)
}

#[test]
fn decisions_are_those_of_the_reference() {
    let (device, mut fresh) = (open(), Fresh::new());
    let (steps, lanes) = (4, 27);
    for (recurrent, mapping) in [
        (true, MAPPINGS[0]),
        (true, MAPPINGS[1]),
        (false, MAPPINGS[1]),
    ] {
        let shape = shape(recurrent);
        let parameters = weights(&shape, &mut fresh);
        let on_device = matrix(&device, &parameters, 1);
        let given = Given::new(&device, &shape, steps, lanes, &mut fresh);
        let mut actor = Actor::with_mapping(&device, &shape, lanes, mapping);
        let core = fresh.normals(shape.state() * lanes);
        let words: Vec<u32> = core.iter().map(|h| h.to_bits()).collect();
        actor.set_core(&words);
        actor.begin(&given.rollout);
        let mut outputs = Vec::new();
        for t in 0..steps {
            let step = DRAW.step + t as u32;
            actor.act(&on_device, &given.rollout, t, Draw { step, ..DRAW });
            outputs.push(actor.outputs().floats(&device.client).unwrap());
        }
        let moved = actor.core().floats(&device.client).unwrap();
        actor.value(&on_device, &given.rollout, steps);
        assert_eq!(moved, actor.core().floats(&device.client).unwrap());
        assert_eq!(core, given.rollout.core.floats(&device.client).unwrap());
        let read = |buffer: &Buffer| buffer.floats(&device.client).unwrap();
        let action = read(&given.rollout.action);
        let log_prob = read(&given.rollout.log_prob);
        let value = read(&given.rollout.value);
        let reference = Reference {
            shape: &shape,
            parameters: &parameters,
        };
        let layout = &shape.outputs;
        for lane in 0..lanes {
            let mut h: Vec<f64> = (0..shape.state())
                .map(|j| f64::from(core[j * lanes + lane]))
                .collect();
            for t in 0..=steps {
                let sample = t * lanes + lane;
                if given.started[sample] == 1 {
                    h.fill(0.0);
                }
                let y = reference.step(&given.inputs(&shape, sample), &mut h);
                // what the critics expect, also after the last decision
                let more = (steps + 1) * lanes;
                let close = |got: f32, wanted: f64| {
                    assert!((f64::from(got) - wanted).abs() < 1e-5, "{got} {wanted}");
                };
                close(value[sample], y[layout.value_row()]);
                for k in 0..layout.costs {
                    let row = layout.quantile_row(k, 0);
                    let mean = y[row..row + layout.quantiles].iter().sum::<f64>();
                    close(
                        value[(1 + k) * more + sample],
                        mean / layout.quantiles as f64,
                    );
                }
                if t == steps {
                    continue;
                }
                for (r, &wanted) in y.iter().enumerate() {
                    close(outputs[t][r * lanes + lane], wanted);
                }
                let (mut expected, mut bound) = (0.0, 1e-5);
                for (h, &head) in layout.heads.iter().enumerate() {
                    let rows = &y[layout.head_row(h)..][..head.rows()];
                    let mask = given.mask[h * more + sample];
                    let taken = action[(h * steps + t) * lanes + lane];
                    let (number, step) = (DRAW.first + lane as u32, DRAW.step + t as u32);
                    let seed = DRAW.seed;
                    let stream = philox::stream::ACTIONS;
                    match head {
                        Head::Categorical { .. } => {
                            let word = philox::draw(seed, number, step, stream, h as u32)[0];
                            let p = reference::probabilities(rows, mask);
                            let uniform = philox::uniform_closed_open(word);
                            let (level, margin) = level_of(&p, uniform);
                            assert!(level as f32 == taken || margin < 1e-5, "{level} {taken}");
                            assert!(mask >> taken as u32 & 1 == 1, "a masked level was drawn");
                        }
                        Head::Gaussian => {
                            let (low, high) = Head::LOG_SD;
                            let sd = rows[1].clamp(low.into(), high.into()).exp();
                            let noise =
                                philox::standard_normal(seed, number, step, stream, h as u32);
                            let u = rows[0] + sd * noise;
                            let fraction = 1.0 / (1.0 + (-2.0 * u).exp());
                            close(taken, fraction.clamp(1e-6, 1.0 - 1e-6));
                            // steep where the normal is narrow: errors of the mean count by z/sd
                            let a = f64::from(taken);
                            let z = (0.5 * (a.ln() - (1.0 - a).ln()) - rows[0]) / sd;
                            bound += 1e-5 * (z.abs() / sd + z * z);
                        }
                    }
                    expected += reference::log_probability(head, rows, mask, taken);
                }
                let got = f64::from(log_prob[sample]);
                assert!((got - expected).abs() < bound, "{got} {expected}");
            }
        }
    }
}

#[test]
fn sequences_give_the_outputs_of_the_decisions() {
    let (device, mut fresh) = (open(), Fresh::new());
    let (steps, lanes) = (5, 13);
    for recurrent in [true, false] {
        let mut shape = shape(recurrent);
        (shape.sees_hidden, shape.inputs) = (0, shape.observed());
        let parameters = weights(&shape, &mut fresh);
        let given = Given::new(&device, &shape, steps, lanes, &mut fresh);
        let mut actor = Actor::new(&device, &shape, lanes);
        let core: Vec<u32> = (0..shape.state() * lanes)
            .map(|_| fresh.normal().to_bits())
            .collect();
        actor.set_core(&core);
        actor.begin(&given.rollout);
        let on = bridge::tensor_device(&device);
        let network = PolicyNetwork::with_parameters(shape.clone(), parameters, &on);
        let seen = bridge::tensor(&device, &given.rollout.observation);
        let outputs = network
            .forward_sequence(
                &device,
                seen.slice([0..shape.inputs, 0..steps * lanes]),
                bridge::tensor(&device, &given.rollout.core),
                &given.rollout.started,
                steps,
            )
            .unwrap();
        let outputs: Vec<f32> = outputs.into_data().try_into_vec().unwrap();
        let on_device = network.buffer().unwrap();
        for t in 0..steps {
            actor.act(&on_device, &given.rollout, t, DRAW);
            let decided = actor.outputs().floats(&device.client).unwrap();
            for row in 0..shape.rows() {
                let learned = &outputs[(row * steps + t) * lanes..][..lanes];
                for (a, b) in learned.iter().zip(&decided[row * lanes..]) {
                    assert!((a - b).abs() < 2e-5, "{a} {b}");
                }
            }
        }
    }
}

#[test]
fn the_mode_is_the_most_probable_action() {
    let (device, mut fresh) = (open(), Fresh::new());
    let (shape, lanes) = (shape(true), 33);
    let parameters = matrix(&device, &weights(&shape, &mut fresh), 1);
    let given = Given::new(&device, &shape, 1, lanes, &mut fresh);
    let actor = Actor::new(&device, &shape, lanes);
    let draw = Draw {
        deterministic: true,
        ..DRAW
    };
    actor.act(&parameters, &given.rollout, 0, draw);
    let outputs = actor.outputs().floats(&device.client).unwrap();
    let action = given.rollout.action.floats(&device.client).unwrap();
    for (h, head) in shape.outputs.heads.iter().enumerate() {
        for lane in 0..lanes {
            let row = |r: usize| outputs[(shape.outputs.head_row(h) + r) * lanes + lane];
            let taken = action[h * lanes + lane];
            match head {
                Head::Categorical { levels } => {
                    let mask = given.mask[h * 2 * lanes + lane];
                    let allowed = (0..*levels).filter(|&l| mask >> l & 1 == 1);
                    let best = allowed
                        .max_by(|&a, &b| row(a as usize).partial_cmp(&row(b as usize)).unwrap());
                    assert_eq!(taken, best.unwrap() as f32);
                }
                Head::Gaussian => {
                    let wanted = 1.0 / (1.0 + (-2.0 * f64::from(row(0))).exp());
                    assert!((f64::from(taken) - wanted).abs() < 1e-6);
                }
            }
        }
    }
}

#[test]
fn levels_are_drawn_as_often_as_they_are_probable() {
    let (device, mut fresh) = (open(), Fresh::new());
    let shape = shape(false);
    let (steps, lanes) = (8, 4096);
    let parameters = weights(&shape, &mut fresh);
    let mut given = Given::new(&device, &shape, steps, lanes, &mut fresh);
    // every lane sees the same, and levels 1 and 3 of the first head are forbidden
    let more = (steps + 1) * lanes;
    for (rows, values) in [
        (shape.observed(), &mut given.observation),
        (shape.sees_hidden, &mut given.told),
    ] {
        for row in 0..rows {
            let seen = values[row * more];
            values[row * more..(row + 1) * more].fill(seen);
        }
    }
    given.mask.fill(0b10101);
    given.upload(&device, &shape);
    let actor = Actor::new(&device, &shape, lanes);
    let on_device = matrix(&device, &parameters, 1);
    let draw = Draw {
        seed: fresh.seed,
        ..DRAW
    };
    for t in 0..steps {
        let step = t as u32;
        actor.act(&on_device, &given.rollout, t, Draw { step, ..draw });
    }
    let reference = Reference {
        shape: &shape,
        parameters: &parameters,
    };
    let y = reference.step(&given.inputs(&shape, 0), &mut []);
    let action = given.rollout.action.floats(&device.client).unwrap();
    let draws = steps * lanes;
    let p = reference::probabilities(&y[..5], 0b10101);
    let mut counts = [0usize; 5];
    for taken in &action[..draws] {
        counts[*taken as usize] += 1;
    }
    assert_eq!((counts[1], counts[3]), (0, 0));
    let chi_square: f64 = [0, 2, 4]
        .into_iter()
        .map(|l| {
            let wanted = p[l] * draws as f64;
            (counts[l] as f64 - wanted).powi(2) / wanted.max(1.0)
        })
        .sum();
    // two degrees of freedom: beyond 40 once in 5e8 seeds
    assert!(chi_square < 40.0, "{chi_square}: {counts:?} of {p:?}");
    // the normal behind the fractions: mean and variance within six standard errors
    let (mean, sd) = (y[5], y[6].clamp(-5.0, 1.0).exp());
    let z: Vec<f64> = action[draws..2 * draws]
        .iter()
        .map(|&a| f64::from(a))
        .filter(|a| *a > 2e-6 && *a < 1.0 - 2e-6)
        .map(|a| (0.5 * (a.ln() - (1.0 - a).ln()) - mean) / sd)
        .collect();
    // rarely, weights put the fractions at the ends, where they are cut off
    if z.len() == draws {
        let n = draws as f64;
        let first = z.iter().sum::<f64>() / n;
        let second = z.iter().map(|z| z * z).sum::<f64>() / n;
        assert!(first.abs() < 6.0 / n.sqrt(), "{first}");
        assert!((second - 1.0).abs() < 6.0 * (2.0 / n).sqrt(), "{second}");
    }
}

#[test]
fn a_lane_decides_the_same_whatever_runs_beside_it() {
    let (device, mut fresh) = (open(), Fresh::new());
    let shape = shape(true);
    let (steps, lanes, skip, few) = (3, 45, 11, 17);
    let parameters = matrix(&device, &weights(&shape, &mut fresh), 1);
    let all = Given::new(&device, &shape, steps, lanes, &mut fresh);
    let part = all.part(&device, &shape, skip, few);
    let play = |given: &Given, first: u32| {
        let lanes = given.rollout.lanes;
        let actor = Actor::new(&device, &shape, lanes);
        for t in 0..steps {
            let step = t as u32;
            actor.act(
                &parameters,
                &given.rollout,
                t,
                Draw {
                    step,
                    first,
                    ..DRAW
                },
            );
        }
        actor.value(&parameters, &given.rollout, steps);
        let rollout = &given.rollout;
        [
            &rollout.action,
            &rollout.log_prob,
            &rollout.value,
            actor.core(),
        ]
        .map(|buffer| buffer.words(&device.client).unwrap())
    };
    let whole = play(&all, 0);
    assert_eq!(whole, play(&all, 0));
    let alone = play(&part, skip as u32);
    for (whole, alone) in whole.iter().zip(&alone) {
        let rows = whole.len() / lanes;
        for row in 0..rows {
            let of_whole = &whole[row * lanes + skip..][..few];
            assert_eq!(of_whole, &alone[row * few..][..few]);
        }
    }
}

/// Seconds of processor time so far.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let mut fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11);
    let mut ticks = || fields.next().unwrap().parse::<f64>().unwrap();
    (ticks() + ticks()) / 100.0
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let (device, mut fresh) = (open(), Fresh::new());
    let shape = NetworkShape {
        inputs: 12,
        sees_hidden: 0,
        encoder: 64,
        hidden: 64,
        recurrent: true,
        outputs: OutputLayout {
            heads: vec![Head::Categorical { levels: 7 }],
            costs: 2,
            quantiles: 16,
            beliefs: 0,
        },
    };
    let weights = weights(&shape, &mut fresh);
    let parameters = matrix(&device, &weights, 1);
    for (lanes, block, unroll) in [
        (1usize, 8usize, 4usize),
        (2, 8, 2),
        (2, 8, 4),
        (4, 8, 2),
        (4, 8, 4),
        (2, 8, 8),
    ] {
        for n in [1024, 4096] {
            let given = Given::new(&device, &shape, 1, n, &mut fresh);
            let mapping = Mapping {
                lanes,
                block,
                unroll,
                share_weights: true,
            };
            let actor = Actor::with_mapping(&device, &shape, n, mapping);
            let start = std::time::Instant::now();
            let once = || {
                actor.act(&parameters, &given.rollout, 0, DRAW);
                let _ = given.rollout.log_prob.floats(&device.client).unwrap();
            };
            once();
            let first = start.elapsed().as_secs_f64();
            let before = cpu();
            let repeats = 100 * 1024 / n;
            let mut best = f64::INFINITY;
            for _ in 0..repeats {
                let start = std::time::Instant::now();
                once();
                best = best.min(start.elapsed().as_secs_f64());
            }
            let used = (cpu() - before) / repeats as f64;
            println!(
                "lanes {lanes} block {block} unroll {unroll} n {n}: {:.2} ms, {:.2} ms of one core, {:.0}/s per core (first {first:.2} s)",
                best * 1e3,
                used * 1e3,
                n as f64 / used
            );
        }
    }
}
