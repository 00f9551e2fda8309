//! Tabular processes on the device against the same draws on the host.

use std::path::PathBuf;

use posology_agent::baseline::exact::{self, Among, Gain};
use posology_agent::baseline::tabular::{baselines, greedy, network_policy, worth};
use posology_agent::environment::process::{Outcome, StateTable, TabularProcess, Transitions};
use posology_agent::environment::tabular::{Tabular, TabularOptions};
use posology_agent::environment::wrappers::{ObservationNoise, Remaining, RewardWeights};
use posology_agent::environment::{AutoReset, Environment};
use posology_agent::policy::reference::{Reference, probabilities};
use posology_agent::policy::{NetworkOptions, initial};
use posology_agent::rollout::{Buffer, RESET, Rollout, TERMINATED, TRUNCATED};
use posology_agent::spec::{CostSpec, RewardSpec};
use posology_agent::train::Problem;
use posology_cohort::philox;
use posology_kernels::device::{Device, open};

const STREAM: u32 = posology_kernels::environment::STREAM_TRANSITIONS;

pub fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = now.unwrap().as_nanos() as u64;
    println!("seed {seed}");
    seed
}

/// Fractions for building things: number `i` of a stream that no environment uses.
fn fraction(seed: u64, i: u32) -> f64 {
    philox::uniform_closed_open(philox::draw(seed, i, 0, 99, 0)[0])
}

/// Nine states (the last two terminal), four actions, two rewards and a cost by pair and next
/// state, some actions inadmissible.
fn random_process(seed: u64) -> TabularProcess {
    let (states, actions) = (9usize, 4usize);
    let mut counter = 0;
    let mut next = move || {
        counter += 1;
        fraction(seed, counter)
    };
    let mut transitions = Transitions::new(3);
    for _ in 0..states * actions {
        let weights: Vec<f64> = (0..states)
            .map(|_| if next() < 0.5 { next() } else { 0.0 })
            .collect();
        let total: f64 = weights.iter().sum::<f64>() + 0.1;
        let mut outcomes = Vec::new();
        for (s, &w) in weights.iter().enumerate() {
            let p = if s == states - 1 { w + 0.1 } else { w } / total;
            if p > 0.0 {
                outcomes.push(Outcome {
                    next: s as u32,
                    probability: p,
                    signals: (0..3).map(|_| next() - 0.5).collect(),
                });
            }
        }
        let row = transitions.row(&outcomes);
        transitions.row_of.push(row);
    }
    let mut terminal = vec![false; states];
    terminal[states - 2..].fill(true);
    let mut start = vec![1.0 / (states - 2) as f64; states];
    start[states - 2..].fill(0.0);
    let reward = |name: &str, weight| RewardSpec {
        name: name.to_owned(),
        weight,
        shaping: false,
    };
    TabularProcess {
        name: "random".to_owned(),
        states,
        actions: (0..actions).map(|a| a.to_string()).collect(),
        rewards: vec![reward("first", 1.0), reward("second", -0.5)],
        costs: vec![CostSpec {
            name: "cost".to_owned(),
            limit: 1.0,
            cvar: None,
        }],
        transitions,
        terminal,
        admissible: (0..states as u32).map(|s| 1 + (s * 5 + 6) % 15).collect(),
        start,
        horizon: 6,
        discount: 1.0,
        features: StateTable::index(states).and(StateTable::code(states, 5, seed).unwrap()),
        hidden: StateTable {
            names: vec!["square".to_owned()],
            values: (0..states).map(|s| (s * s) as f32).collect(),
        },
        policies: Vec::new(),
    }
}

fn words(device: &Device, buffer: &Buffer) -> Vec<u32> {
    buffer.words(&device.client).unwrap()
}

fn floats(device: &Device, buffer: &Buffer) -> Vec<f32> {
    buffer.floats(&device.client).unwrap()
}

/// A rollout whose actions are `action(t, lane)`, played to its end.
fn play(
    device: &Device,
    env: &mut dyn Environment,
    steps: usize,
    begin: Option<(u64, u32)>,
    action: impl Fn(usize, usize) -> u32,
) -> Rollout {
    let lanes = env.lanes();
    let mut rollout = Rollout::new(device, env.spec(), steps, lanes, 0);
    let chosen: Vec<u32> = (0..steps * lanes)
        .map(|i| (action(i / lanes, i % lanes) as f32).to_bits())
        .collect();
    rollout.action = Buffer::from_words(&device.client, &chosen, 1, steps * lanes);
    if let Some((seed, first)) = begin {
        env.reset(seed, first, &rollout).unwrap();
    }
    for t in 0..steps {
        env.step(&rollout, t).unwrap();
    }
    rollout
}

/// One lane on the host: (flags, state after, started after, signals) by decision.
struct Host<'a> {
    process: &'a TabularProcess,
    seed: u64,
    lanes: u32,
    reset: AutoReset,
    patient: u32,
    decision: u32,
    state: usize,
    ended: bool,
}

impl Host<'_> {
    /// The entry of a distribution that a word falls on.
    fn draw(&self, row: &[f64]) -> usize {
        let word = philox::draw(self.seed, self.patient, self.decision, STREAM, 0)[0];
        let mut sum = 0.0;
        for (i, p) in row.iter().enumerate() {
            sum += p;
            let threshold = (sum * 4_294_967_296.0).round() as u32;
            if word < threshold || i + 1 == row.len() {
                return i;
            }
        }
        unreachable!()
    }

    fn begin(&mut self) {
        (self.decision, self.ended) = (0, false);
        // only states that can be the first are in the row
        let p = &self.process.start;
        let possible: Vec<usize> = (0..p.len()).filter(|&s| p[s] > 0.0).collect();
        let row: Vec<f64> = possible.iter().map(|&s| p[s]).collect();
        self.state = possible[self.draw(&row)];
    }

    fn step(&mut self, action: usize) -> (u32, bool, Vec<f64>) {
        let nothing = vec![0.0; 3];
        if self.ended {
            let fresh = self.reset == AutoReset::NextStep;
            if fresh {
                self.patient += self.lanes;
                self.begin();
            }
            return (RESET, fresh, nothing);
        }
        self.decision += 1;
        let t = &self.process.transitions;
        let row = t.row_of[self.state * self.process.actions.len() + action] as usize;
        let entry = t.bounds[row] as usize + self.draw(&t.probability[t.entries(row)]);
        self.state = t.next[entry] as usize;
        let signals = t.signals.iter().map(|values| values[entry]).collect();
        let flag = if self.process.terminal[self.state] {
            TERMINATED
        } else if self.decision as usize >= self.process.horizon {
            TRUNCATED
        } else {
            0
        };
        self.ended = flag != 0;
        let fresh = self.ended && self.reset == AutoReset::SameStep;
        if fresh {
            self.patient += self.lanes;
            self.begin();
        }
        (flag, fresh, signals)
    }
}

#[test]
fn courses_are_those_of_the_host() {
    let device = open(None).unwrap();
    let seed = seed();
    let process = random_process(seed);
    let (lanes, steps, first) = (70usize, 25usize, 1000u32);
    let action =
        |t: usize, lane: usize| (fraction(seed, (5000 + t * lanes + lane) as u32) * 4.0) as u32;
    for reset in [
        AutoReset::NextStep,
        AutoReset::SameStep,
        AutoReset::Disabled,
    ] {
        let options = TabularOptions {
            lanes,
            reset,
            ..TabularOptions::default()
        };
        let mut env = Tabular::new(&device, &process, &options).unwrap();
        let rollout = play(&device, &mut env, steps, Some((seed, first)), action);
        let (observation, hidden) = (
            floats(&device, &rollout.observation),
            floats(&device, &rollout.hidden),
        );
        let (mask, started) = (
            words(&device, &rollout.mask),
            words(&device, &rollout.started),
        );
        let (reward, terms) = (
            floats(&device, &rollout.reward),
            floats(&device, &rollout.terms),
        );
        let (cost, flags) = (
            floats(&device, &rollout.cost),
            words(&device, &rollout.flags),
        );
        let (all, more) = (steps * lanes, (steps + 1) * lanes);
        for lane in 0..lanes {
            let mut host = Host {
                process: &process,
                seed,
                lanes: lanes as u32,
                reset,
                patient: first + lane as u32,
                decision: 0,
                state: 0,
                ended: false,
            };
            host.begin();
            let mut fresh = true;
            for t in 0..=steps {
                let at = t * lanes + lane;
                assert_eq!(started[at], u32::from(fresh), "{reset:?} {lane} {t}");
                for k in 0..process.features.names.len() {
                    let value = process.features.values[k * process.states + host.state];
                    assert_eq!(observation[k * more + at], value, "{reset:?} {lane} {t}");
                }
                assert_eq!(hidden[at], (host.state * host.state) as f32);
                assert_eq!(mask[at], process.admissible[host.state]);
                if t == steps {
                    break;
                }
                let (flag, began, signals) = host.step(action(t, lane) as usize);
                fresh = began;
                assert_eq!(flags[at], flag, "{reset:?} {lane} {t}");
                assert_eq!(terms[at], signals[0] as f32);
                assert_eq!(terms[all + at], signals[1] as f32);
                assert!((f64::from(reward[at]) - signals[0] + 0.5 * signals[1]).abs() < 1e-6);
                assert_eq!(cost[at], signals[2] as f32);
            }
        }
        // every way in which an episode goes on is met
        for bit in [TERMINATED, TRUNCATED] {
            assert!(flags.contains(&bit), "{reset:?}");
        }
        assert_eq!(flags.contains(&RESET), reset != AutoReset::SameStep);
    }
}

#[test]
fn transitions_have_the_frequencies_of_the_table() {
    let device = open(None).unwrap();
    let seed = seed();
    let process = random_process(seed);
    let (lanes, steps) = (4096, 40);
    let options = TabularOptions {
        lanes,
        ..TabularOptions::default()
    };
    let mut env = Tabular::new(&device, &process, &options).unwrap();
    let rollout = play(&device, &mut env, steps, Some((seed, 0)), |t, lane| {
        ((t + lane) % 4) as u32
    });
    let seen = floats(&device, &rollout.observation);
    let flags = words(&device, &rollout.flags);
    let mut counts = vec![0u32; 9 * 4 * 9];
    for t in 0..steps {
        for lane in (0..lanes).filter(|lane| flags[t * lanes + lane] & RESET == 0) {
            let state = seen[t * lanes + lane] as usize;
            let next = seen[(t + 1) * lanes + lane] as usize;
            counts[(state * 4 + (t + lane) % 4) * 9 + next] += 1;
        }
    }
    let t = &process.transitions;
    let (mut chi, mut freedom) = (0.0, 0.0);
    for pair in (0..7 * 4).filter(|pair| counts[pair * 9..pair * 9 + 9].iter().any(|&c| c > 0)) {
        let found = &counts[pair * 9..pair * 9 + 9];
        let total = f64::from(found.iter().sum::<u32>());
        let mut expected = [0.0; 9];
        for e in t.entries(t.row_of[pair] as usize) {
            expected[t.next[e] as usize] = total * t.probability[e];
        }
        for (next, &wanted) in expected.iter().enumerate() {
            let count = f64::from(found[next]);
            if wanted == 0.0 {
                assert_eq!(count, 0.0, "an impossible transition");
            } else {
                chi += (count - wanted).powi(2) / wanted;
                freedom += 1.0;
            }
        }
        freedom -= 1.0;
    }
    // six standard deviations of chi square
    println!("chi square {chi:.1} on {freedom}");
    assert!(freedom > 20.0 && (chi - freedom).abs() < 6.0 * (2.0f64 * freedom).sqrt() + 6.0);
}

#[test]
fn a_snapshot_goes_on_with_the_same_bits() {
    let device = open(None).unwrap();
    let seed = seed();
    let process = random_process(seed);
    let options = TabularOptions {
        lanes: 50,
        ..TabularOptions::default()
    };
    let mut env = Tabular::new(&device, &process, &options).unwrap();
    let action = |t: usize, lane: usize| ((t * 3 + lane) % 4) as u32;
    play(&device, &mut env, 9, Some((seed, 7)), action);
    let kept = env.snapshot().unwrap();
    let one = play(&device, &mut env, 12, None, action);
    let mut other = Tabular::new(&device, &process, &options).unwrap();
    other.restore(&kept).unwrap();
    let two = play(&device, &mut other, 12, None, action);
    let later = |rollout: &Rollout| {
        let lines = |buffer: &Buffer| words(&device, buffer);
        let mut out = [&rollout.reward, &rollout.flags, &rollout.cost]
            .map(lines)
            .concat();
        // decision 0 is written by a reset only
        let more = 13 * 50;
        for (k, word) in lines(&rollout.observation).into_iter().enumerate() {
            if k % more >= 50 {
                out.push(word);
            }
        }
        out
    };
    assert_eq!(later(&one), later(&two));
    // neither fewer lanes nor another process
    assert!(env.restore(&kept[..kept.len() - 4]).is_err());
    let mut changed = process.clone();
    changed.horizon = 5;
    let mut stranger = Tabular::new(&device, &changed, &options).unwrap();
    assert!(stranger.restore(&kept).is_err());
}

/// Observations of patients 0 to 63 by decision, noise included.
fn courses(device: &Device, process: &TabularProcess, seed: u64, lanes: usize) -> Vec<Vec<f32>> {
    let options = TabularOptions {
        lanes,
        ..TabularOptions::default()
    };
    let env = Tabular::new(device, process, &options).unwrap();
    let mut env = Remaining::new(
        device,
        ObservationNoise::new(device, env, &[0.1; 6]).unwrap(),
    );
    // seven decisions and a reset at most per patient
    let steps = 8 * 64 / lanes;
    let rollout = play(device, &mut env, steps, Some((seed, 0)), |_, _| 1);
    let seen = floats(device, &rollout.observation);
    let started = words(device, &rollout.started);
    let mut out = vec![Vec::new(); 64];
    for lane in 0..lanes {
        let mut patient = lane;
        for t in 0..=steps {
            if started[t * lanes + lane] == 1 && t > 0 {
                patient += lanes;
            }
            if patient < 64 {
                let row = |k: usize| seen[(k * (steps + 1) + t) * lanes + lane];
                out[patient].extend((0..7).map(row));
            }
        }
    }
    out
}

#[test]
fn a_patient_meets_the_same_course_in_any_lane() {
    let device = open(None).unwrap();
    let seed = seed();
    let process = random_process(seed);
    let few = courses(&device, &process, seed, 16);
    let many = courses(&device, &process, seed, 64);
    for (patient, (a, b)) in few.iter().zip(&many).enumerate() {
        // whoever comes last in a lane may be cut by the end of the rollout
        let n = a.len().min(b.len());
        assert!(n >= 7 && a[..n] == b[..n], "patient {patient}");
    }
    assert!(
        few.iter()
            .zip(&many)
            .filter(|(a, b)| a.len() == b.len())
            .count()
            >= 48
    );
}

#[test]
fn wrappers_change_what_they_say() {
    let device = open(None).unwrap();
    let seed = seed();
    let process = random_process(seed);
    let options = TabularOptions {
        lanes: 1024,
        ..TabularOptions::default()
    };
    let plain = || Tabular::new(&device, &process, &options).unwrap();
    let action = |t: usize, lane: usize| ((t + lane) % 4) as u32;
    let base = play(&device, &mut plain(), 10, Some((seed, 0)), action);
    let sd = [0.5, 0.0, 0.0, 0.0, 0.0, 2.0];
    let noisy = ObservationNoise::new(&device, plain(), &sd).unwrap();
    let mut env = RewardWeights::new(&device, Remaining::new(&device, noisy), &[2.0, 3.0]).unwrap();
    assert_eq!(env.spec().features.len(), 7);
    assert_eq!(env.spec().rewards[1].weight, 3.0);
    let wrapped = play(&device, &mut env, 10, Some((seed, 0)), action);

    let terms = floats(&device, &wrapped.terms);
    let all = terms.len() / 2;
    for (i, reward) in floats(&device, &wrapped.reward).iter().enumerate() {
        assert!((reward - 2.0 * terms[i] - 3.0 * terms[all + i]).abs() < 1e-6);
    }
    let (clean, seen) = (
        floats(&device, &base.observation),
        floats(&device, &wrapped.observation),
    );
    let more = 11 * 1024;
    for (k, &sd) in sd.iter().enumerate() {
        let noise: Vec<f64> = (0..more)
            .map(|i| f64::from(seen[k * more + i] - clean[k * more + i]))
            .collect();
        let mean = noise.iter().sum::<f64>() / more as f64;
        let spread = (noise.iter().map(|e| e * e).sum::<f64>() / more as f64).sqrt();
        let sd = f64::from(sd);
        // resets draw some noise twice, so the bounds are wide
        assert!(
            mean.abs() <= 0.06 * sd && (spread - sd).abs() <= 0.05 * sd,
            "{k} {mean} {spread}"
        );
    }
    let started = words(&device, &wrapped.started);
    let flags = words(&device, &wrapped.flags);
    for (i, &start) in started.iter().enumerate() {
        let left = seen[6 * more + i];
        if start == 1 {
            assert_eq!(left, 1.0);
        } else if i >= 1024 && flags[i - 1024] & TRUNCATED != 0 {
            assert!(left.abs() < 1e-6);
        }
    }
    assert!(RewardWeights::new(&device, plain(), &[1.0]).is_err());
    assert!(ObservationNoise::new(&device, plain(), &[1.0]).is_err());
}

pub fn icu_sepsis() -> TabularProcess {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let problem = Problem::load(&root.join("configs/tasks/icu-sepsis.toml")).unwrap();
    problem.tabular().unwrap().clone()
}

/// Published to two digits: .78, .78 and .88 (Choudhary et al. 2024); the further digits are of an
/// independent dense solution in numpy.
#[test]
fn exact_values_of_icu_sepsis() {
    let process = icu_sepsis();
    let close = |value: f64, printed: f64| {
        println!("{value:.9} {printed}");
        assert!(
            (value - printed).abs() <= 0.5e-6,
            "{value} is not {printed}"
        );
    };
    let random = exact::uniform(&process, Among::All);
    let (name, expert) = &process.policies[0];
    assert_eq!(name, "expert");
    let value = |policy: &[f64], gain| exact::evaluate(&process, policy, gain).unwrap().mean;
    close(value(&random, Gain::Reward), 0.780071);
    close(value(expert, Gain::Reward), 0.781845);
    // inadmissible actions are the mean of the others, so the best of either is the same
    let admissible = exact::uniform(&process, Among::Admissible);
    close(value(&admissible, Gain::Reward), 0.780071);
    for among in [Among::All, Among::Admissible] {
        let best = exact::optimum(&process, Gain::Reward, among).unwrap();
        close(best.value.mean, 0.875142);
        let residual = exact::bellman_residual(&process, Gain::Reward, among, &best.value).unwrap();
        assert!(residual < 1e-12, "{residual}");
        let policy = exact::deterministic(&process, &best.action);
        let length = value(&policy, Gain::Decisions);
        assert!((length - 10.992).abs() < 0.02, "{length}");
    }
    let worst = exact::optimum(&process, Gain::Weighted(&[-1.0]), Among::All).unwrap();
    close(-worst.value.mean, 0.632990);
    let lengths = [(&random, 9.462), (expert, 9.238)];
    for (policy, printed) in lengths {
        assert!((value(policy, Gain::Decisions) - printed).abs() <= 0.5e-3);
    }
}

#[test]
fn a_network_is_valued_exactly() {
    let device = open(None).unwrap();
    let seed = seed();
    let process = random_process(seed);
    let options = NetworkOptions {
        encoder: 16,
        hidden: 16,
        recurrent: false,
        quantiles: 4,
        ..NetworkOptions::default()
    };
    let shape = options.shape(&process.spec()).unwrap();
    // wide enough weights that the policy is far from uniform
    let weights: Vec<f32> = (0..initial::parameters(&shape, seed).len() as u32)
        .map(|i| (fraction(seed, 90_000 + i) - 0.5) as f32)
        .collect();
    let words: Vec<u32> = weights.iter().map(|w| w.to_bits()).collect();
    let buffer = Buffer::from_words(&device.client, &words, 1, words.len());
    let policy = network_policy(&device, &process, &shape, &buffer).unwrap();
    let reference = Reference {
        shape: &shape,
        parameters: &weights,
    };
    for state in 0..9 {
        let inputs: Vec<f64> = (0..6)
            .map(|k| f64::from(process.features.values[k * 9 + state]))
            .collect();
        let outputs = reference.step(&inputs, &mut [0.0; 16]);
        let wanted = probabilities(&outputs[..4], process.admissible[state]);
        for (a, wanted) in wanted.iter().enumerate() {
            assert!((policy[state * 4 + a] - wanted).abs() < 1e-5);
        }
    }
    let stochastic = worth(&process, "network", &policy).unwrap();
    let chosen = exact::deterministic(&process, &greedy(&process, &policy));
    let best = exact::optimum(&process, Gain::Reward, Among::Admissible).unwrap();
    for policy in [&policy, &chosen] {
        let found = worth(&process, "", policy).unwrap();
        assert!(found.mean_return <= best.value.mean + 1e-9);
        assert!(found.decisions >= 1.0 && found.costs.len() == 1);
    }
    assert_eq!(stochastic.name, "network");
    let names: Vec<String> = baselines(&process)
        .unwrap()
        .into_iter()
        .map(|line| line.name)
        .collect();
    assert_eq!(names, ["random", "optimal"]);
    let memory = NetworkOptions::default().shape(&process.spec()).unwrap();
    assert!(network_policy(&device, &process, &memory, &buffer).is_err());
}

#[test]
fn chance_on_icu_sepsis_has_its_exact_value() {
    let device = open(None).unwrap();
    let seed = seed();
    let mut process = icu_sepsis();
    process.features = StateTable::index(process.states);
    let (lanes, steps) = (16_384, 160);
    let options = TabularOptions {
        lanes,
        reset: AutoReset::Disabled,
        ..TabularOptions::default()
    };
    let mut env = Tabular::new(&device, &process, &options).unwrap();
    let rollout = play(&device, &mut env, steps, Some((seed, 0)), |t, lane| {
        let word = philox::draw(seed, lane as u32, t as u32, 98, 0)[0];
        (philox::uniform_closed_open(word) * 25.0) as u32
    });
    let flags = words(&device, &rollout.flags);
    let running = flags[(steps - 1) * lanes..]
        .iter()
        .filter(|&&f| f == 0)
        .count();
    assert!(running <= 2, "{running} episodes still run");
    let decisions = flags.iter().filter(|&&f| f & RESET == 0).count() as f64 / lanes as f64;
    let survival = floats(&device, &rollout.reward).iter().sum::<f32>() as f64 / lanes as f64;
    let error = (0.78f64 * 0.22 / lanes as f64).sqrt();
    println!("survival {survival:.4} +/- {error:.4}, {decisions:.3} decisions");
    assert!((survival - 0.780071).abs() < 5.0 * error);
    assert!((decisions - 9.462).abs() < 0.35);
}

/// `cargo test ... -- --ignored --nocapture speed`
#[test]
#[ignore = "a measurement"]
fn speed() {
    let device = open(None).unwrap();
    let coded = icu_sepsis();
    let mut indexed = coded.clone();
    indexed.features = StateTable::index(indexed.states);
    for (name, process) in [("index", &indexed), ("code", &coded)] {
        for lanes in [1024, 65_536] {
            let steps = if lanes > 5000 { 2 } else { 64 };
            let options = TabularOptions {
                lanes,
                ..TabularOptions::default()
            };
            let mut env = Tabular::new(&device, process, &options).unwrap();
            let rollout = play(&device, &mut env, steps, Some((1, 0)), |t, lane| {
                ((t * 7 + lane) % 25) as u32
            });
            words(&device, &rollout.flags);
            let rounds = if lanes > 5000 { 50 } else { 20 };
            let begin = std::time::Instant::now();
            for _ in 0..rounds {
                for t in 0..steps {
                    env.step(&rollout, t).unwrap();
                }
            }
            words(&device, &rollout.flags);
            let time = begin.elapsed().as_secs_f64();
            let rate = (rounds * steps * lanes) as f64 / time;
            println!("{name}, {lanes} lanes: {rate:.3e} steps/s");
        }
    }
}
