//! A decision of every lane on the device against the same decision in f64 on the host.

use std::path::Path;

use posology_agent::environment::patients::{PatientOptions, Patients};
use posology_agent::environment::{AutoReset, Environment};
use posology_agent::rollout::{Buffer, RESET, Rollout, TERMINATED, TRUNCATED};
use posology_agent::spec::ActionKind;
use posology_agent::task::Task;
use posology_kernels::environment::DecisionPlan;
use posology_kernels::timeline::Action;
use posology_model::interpret::{Environment as Values, Interpreter};
use posology_model::program::{Accumulator, Block};

/// One patient's course in f64: the order of a step as `DecisionPlan` documents it.
struct Host<'a> {
    task: &'a Task,
    plan: &'a DecisionPlan,
    x: Vec<f64>,
    slots: Vec<f64>,
    time: f64,
    tad: f64,
}

impl<'a> Host<'a> {
    fn run(&self, block: &Block, carried: &[f64], inputs: &[f64]) -> Vec<f64> {
        let mut out = Vec::new();
        Interpreter::default().run(
            block,
            &Values {
                states: &self.x,
                slots: &self.slots,
                carried,
                inputs,
                time: self.time,
                tad: self.tad,
                ..Values::default()
            },
            &mut out,
        );
        out
    }

    fn measure(&mut self, carried: &[f64]) {
        let inputs = vec![0.0; self.task.program.n_inputs.max(1)];
        let seen = self.run(&self.task.program.observe, carried, &inputs);
        for (k, &slot) in self.task.program.observe_slots.iter().enumerate() {
            self.slots[slot] = seen[k];
            if let Some(fresh) = self.plan.measured[k].fresh {
                self.slots[fresh] = 1.0;
            }
        }
    }

    fn begin(task: &'a Task, plan: &'a DecisionPlan, own: &[f64]) -> Self {
        let program = &task.program;
        let mut slots = vec![0.0; program.n_slots];
        slots[..own.len()].copy_from_slice(own);
        let mut host = Self {
            task,
            plan,
            x: vec![0.0; program.n_integrated()],
            slots,
            time: 0.0,
            tad: 0.0,
        };
        let inputs = vec![0.0; program.n_inputs.max(1)];
        let carried = host.run(&program.setup, &[], &inputs);
        let start = host.run(&program.init, &carried, &inputs);
        host.x[..start.len()].copy_from_slice(&start);
        host.measure(&carried);
        let memory = host.run(&plan.begin, &carried, &inputs);
        for (slot, value) in plan.memory_slots.iter().zip(memory) {
            host.slots[*slot] = value;
        }
        host
    }

    fn look(&self) -> Vec<f64> {
        let inputs = vec![0.0; self.task.program.n_inputs.max(1)];
        self.run(&self.plan.look, &[], &inputs)
    }

    /// Outputs of `outcome` behind memory: terms, costs, ends.
    fn step(&mut self, action: &[f64]) -> Vec<f64> {
        let program = &self.task.program;
        for (factor, &chosen) in self.plan.factors.iter().zip(action) {
            self.slots[factor.slot] = if factor.levels.is_empty() {
                chosen * f64::from_bits(factor.largest)
            } else {
                f64::from_bits(factor.levels[chosen as usize])
            };
        }
        let mut inputs = vec![0.0; program.n_inputs.max(1)];
        let given = self.run(&self.plan.act, &[], &inputs);
        for (slot, value) in self.plan.act_slots.iter().zip(given) {
            self.slots[*slot] = value;
        }
        let carried = self.run(&program.setup, &[], &inputs);
        let n = program.n_states;
        for x in &mut self.x[n..] {
            *x = 0.0;
        }
        let mut extremes: Vec<f64> = program
            .accumulators
            .iter()
            .map(|a| match a {
                Accumulator::Min(_) => f64::INFINITY,
                Accumulator::Max(_) => f64::NEG_INFINITY,
                _ => 0.0,
            })
            .collect();
        for row in &self.task.interval.rows {
            for action in &row.actions {
                match *action {
                    Action::Bolus { state, amount } => {
                        self.x[state as usize] +=
                            amount.value * self.slots[amount.slot.unwrap() as usize];
                    }
                    Action::AddRate { input, rate } => {
                        inputs[input as usize] +=
                            rate.value * self.slots[rate.slot.unwrap() as usize];
                    }
                    Action::SetRate { input, rate } => {
                        let level = rate.slot.map_or(1.0, |slot| self.slots[slot as usize]);
                        inputs[input as usize] = rate.value * level;
                    }
                    Action::Dose { slot } => {
                        if slot.is_none_or(|slot| self.slots[slot as usize] > 0.0) {
                            self.tad = 0.0;
                        }
                    }
                    ref other => panic!("{other:?} in an interval"),
                }
            }
            self.monitor(&carried, &inputs, &mut extremes);
            for _ in 0..row.steps {
                self.rk4(row.h, &carried, &inputs);
                self.monitor(&carried, &inputs, &mut extremes);
            }
        }
        for (k, accumulator) in program.accumulators.iter().enumerate() {
            let value = match accumulator {
                Accumulator::Integral(i) => self.x[n + *i as usize],
                _ => extremes[k],
            };
            self.slots[self.plan.watch_slots[k]] = value;
        }
        self.measure(&carried);
        let found = self.run(&self.plan.outcome, &carried, &inputs);
        let memory = self.plan.memory_slots.len();
        for (slot, value) in self.plan.memory_slots.iter().zip(&found) {
            self.slots[*slot] = *value;
        }
        found[memory..].to_vec()
    }

    fn monitor(&self, carried: &[f64], inputs: &[f64], extremes: &mut [f64]) {
        let values = self.run(&self.task.program.monitor, carried, inputs);
        for (k, accumulator) in self.task.program.accumulators.iter().enumerate() {
            match accumulator {
                Accumulator::Min(i) => extremes[k] = extremes[k].min(values[*i as usize]),
                Accumulator::Max(i) => extremes[k] = extremes[k].max(values[*i as usize]),
                _ => {}
            }
        }
    }

    fn rk4(&mut self, h: f64, carried: &[f64], inputs: &[f64]) {
        let start = self.x.clone();
        let (time, tad) = (self.time, self.tad);
        let mut sum = vec![0.0; start.len()];
        for (node, reach, weight) in [
            (0.0, 0.5, 1.0 / 6.0),
            (0.5, 0.5, 1.0 / 3.0),
            (0.5, 1.0, 1.0 / 3.0),
            (1.0, 0.0, 1.0 / 6.0),
        ] {
            (self.time, self.tad) = (time + node * h, tad + node * h);
            let slope = self.run(&self.task.program.rates, carried, inputs);
            for s in 0..start.len() {
                sum[s] += weight * h * slope[s];
                self.x[s] = start[s] + reach * h * slope[s];
            }
        }
        for s in 0..start.len() {
            self.x[s] = start[s] + sum[s];
        }
        (self.time, self.tad) = (time + h, tad + h);
    }
}

const DOCETAXEL: &str = r#"
title = "docetaxel every week, by the count"
model = "docetaxel-neutropenia.toml"
[patients]
pool = 64
[decisions]
every = "7 d"
horizon = "63 d"
[actions.docetaxel]
into = "docetaxel"
levels = [0, 25, 50, 75, 100]
unit = "mg/m^2"
amount = "docetaxel * BSA"
over = "1 h"
allowed = "ANC >= 1.5[1e9/L]"
shield = "min(docetaxel, 300[mg/m^2] - total_given)"
[observe.ANC]
error = false
[watch.nadir]
min = "circulating"
[watch.exposure]
integral = "cp"
[memory.total_given]
start = "0[mg/m^2]"
next = "total_given + docetaxel"
[memory.lowest]
start = "ANC"
next = "min(lowest, ANC)"
[features.count]
value = "ln(ANC/5[1e9/L])"
[features.lowest]
value = "lowest/5[1e9/L]"
[features.given]
value = "total_given/300[mg/m^2]"
[hidden.slope]
value = "ln(slope/15.5711[L/umol])"
scale = 0.36
[reward.exposure]
value = "exposure/1[mg/L*h]"
weight = 0.5
[reward.count]
value = "circulating/1[1e9/L]"
weight = 0.1
[costs.neutropenia]
value = "nadir < 0.5[1e9/L]"
limit = 1
budget = true
[end.deep]
when = "nadir < 0.05[1e9/L]"
"#;

fn models() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models")
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now();
    let seed = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    println!("seed {seed}");
    seed
}

fn close(device: f32, host: f64, what: &str) {
    let bound = 2e-4 * (1.0 + host.abs());
    assert!(
        (f64::from(device) - host).abs() <= bound,
        "{what}: {device} on the device, {host} on the host"
    );
}

/// Plays random actions in every lane and compares all that a step writes.
fn compare(task: &Task, steps: usize, lanes: usize, seed: u64) {
    let device = posology_kernels::device::open(None).unwrap();
    let client = &device.client;
    let options = PatientOptions {
        lanes,
        seed,
        ..PatientOptions::default()
    };
    let mut environment = Patients::new(&device, task, &options).unwrap();
    let spec = task.spec.clone();
    let mut rollout = Rollout::new(&device, &spec, steps, lanes, 0);
    let word = |t: usize, i: usize, f: usize| {
        posology_cohort::philox::draw(seed, i as u32, t as u32, 99, f as u32)[0]
    };
    let mut chosen = vec![vec![vec![0.0f64; lanes]; steps]; spec.actions.len()];
    for (f, action) in spec.actions.iter().enumerate() {
        for t in 0..steps {
            for i in 0..lanes {
                let u = f64::from(word(t, i, f)) / 2f64.powi(32);
                chosen[f][t][i] = match &action.kind {
                    ActionKind::Levels(levels) => (u * levels.len() as f64).floor(),
                    ActionKind::Fraction => f64::from(u as f32),
                };
            }
        }
    }
    let words: Vec<u32> = chosen
        .iter()
        .flatten()
        .flatten()
        .map(|&a| (a as f32).to_bits())
        .collect();
    rollout.action = Buffer::from_words(client, &words, spec.actions.len(), steps * lanes);
    environment.reset(seed, 0, &rollout).unwrap();
    for t in 0..steps {
        environment.step(&rollout, t).unwrap();
    }
    let observation = rollout.observation.floats(client).unwrap();
    let mask = rollout.mask.words(client).unwrap();
    let started = rollout.started.words(client).unwrap();
    let hidden = rollout.hidden.floats(client).unwrap();
    let terms = rollout.terms.floats(client).unwrap();
    let reward = rollout.reward.floats(client).unwrap();
    let cost = rollout.cost.floats(client).unwrap();
    let flags = rollout.flags.words(client).unwrap();

    let plan = task.plan(false, AutoReset::NextStep);
    let cohort = task.patients(&device, task.pool, seed, 0).unwrap();
    let own = |p: usize| -> Vec<f64> {
        let values = cohort.patient(p % task.pool);
        values.into_iter().map(|v| f64::from(v as f32)).collect()
    };
    let (all, more) = (steps * lanes, (steps + 1) * lanes);
    let (mut ends, mut resets) = (0, 0);
    for i in 0..lanes {
        let mut patient = i;
        let mut host = Host::begin(task, &plan, &own(patient));
        let mut decisions = 0;
        let mut ended = false;
        for t in 0..=steps {
            let seen = host.look();
            let at = t * lanes + i;
            for (k, name) in spec.features.iter().enumerate() {
                close(
                    observation[k * more + at],
                    seen[k],
                    &format!("feature {name}, decision {t}, lane {i}"),
                );
            }
            let hidden_at = spec.features.len() + plan.conditions;
            for k in 0..spec.hidden.len() {
                close(hidden[k * more + at], seen[hidden_at + k], "hidden");
            }
            for f in 0..spec.actions.len() {
                let levels = plan.factors[f].levels.len() as u32;
                let mut wanted = if levels == 0 { 1 } else { (1u32 << levels) - 1 };
                for rule in plan.masks.iter().filter(|rule| rule.factor == f) {
                    if seen[rule.output] == 0.0 {
                        wanted &= !(1 << rule.level);
                    }
                }
                assert_eq!(mask[f * more + at], wanted, "mask");
            }
            assert_eq!(started[at], u32::from(decisions == 0 && !ended), "started");
            if t == steps {
                break;
            }
            if ended {
                assert_eq!(flags[at], RESET);
                assert_eq!(reward[at], 0.0);
                patient += lanes;
                host = Host::begin(task, &plan, &own(patient));
                (decisions, ended) = (0, false);
                resets += 1;
                continue;
            }
            let action: Vec<f64> = (0..spec.actions.len()).map(|f| chosen[f][t][i]).collect();
            let found = host.step(&action);
            decisions += 1;
            let mut total = 0.0;
            for (k, term) in spec.rewards.iter().enumerate() {
                close(terms[k * all + at], found[k], &term.name);
                total += if term.shaping {
                    0.0
                } else {
                    term.weight * found[k]
                };
            }
            close(reward[at], total, "reward");
            let costs_at = spec.rewards.len();
            for (k, of) in spec.costs.iter().enumerate() {
                close(cost[k * all + at], found[costs_at + k], &of.name);
            }
            let ends_at = costs_at + spec.costs.len();
            let terminal = found[ends_at..ends_at + plan.terminal]
                .iter()
                .any(|&v| v != 0.0);
            let cut = decisions >= spec.horizon;
            let wanted = if terminal {
                TERMINATED
            } else if cut {
                TRUNCATED
            } else {
                0
            };
            assert_eq!(flags[at], wanted, "flags, decision {t}, lane {i}");
            ended = wanted != 0;
            ends += u32::from(ended);
        }
    }
    println!("{ends} ends, {resets} resets");
    assert!(ends > 0 && resets > 0);
}

#[test]
fn docetaxel_by_the_count_is_the_same_on_the_host() {
    let task = Task::parse("task", DOCETAXEL, Some(&models()))
        .unwrap_or_else(|found| panic!("{}", found.render(false)));
    assert_eq!(task.spec.horizon, 9);
    assert_eq!(task.spec.features.last().unwrap(), "budget of neutropenia");
    compare(&task, 14, 24, fresh_seed());
}

#[test]
fn ahn_chemotherapy_is_the_same_on_the_host() {
    let path = models().join("../tasks/ahn-chemo.toml");
    let task = Task::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(task.spec.horizon, 600);
    compare(&task, 620, 3, fresh_seed());
}
