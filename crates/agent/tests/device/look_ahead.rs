//! The look-ahead shield against the same twin in f64 on the host, and ends that hazards draw.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use posology_agent::environment::patients::{PatientOptions, Patients};
use posology_agent::environment::{AutoReset, Environment};
use posology_agent::error::AgentError;
use posology_agent::rollout::{Buffer, RESET, Rollout, TERMINATED, TRUNCATED};
use posology_agent::task::Task;
use posology_cohort::philox;
use posology_kernels::device::{Device, open};
use posology_kernels::environment::{DecisionPlan, Foresight, STREAM_HAZARD};
use posology_kernels::timeline::Action;
use posology_model::interpret::{Environment as Values, Interpreter};
use posology_model::program::Block;
use posology_model::reference::Segment;

use crate::tabular::seed;

const SHIELDED: &str = r#"
title = "docetaxel, looking ahead"
model = "docetaxel-neutropenia.toml"
[patients]
pool = 32
[decisions]
every = "7 d"
horizon = "42 d"
[actions.docetaxel]
into = "docetaxel"
levels = [50, 25, 75, 100]
unit = "mg/m^2"
amount = "docetaxel * BSA"
over = "1 h"
shield = "min(docetaxel, 150[mg/m^2] - last)"
look_ahead = { min = "circulating", within = "14 d", limit = "0.5e9/L" }
[observe.ANC]
[memory.last]
start = "0[mg/m^2]"
next = "docetaxel"
[features.count]
value = "ln(max(ANC, 0.01[1e9/L])/5[1e9/L])"
[reward.count]
value = "circulating/1[1e9/L]"
"#;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models")
}

fn task(text: &str) -> Task {
    Task::parse("task", text, Some(&models())).unwrap_or_else(|found| {
        panic!("{}", found.render(false));
    })
}

/// A twin on the host.
#[derive(Clone)]
struct Twin<'a> {
    task: &'a Task,
    sight: &'a Foresight,
    plan: Arc<DecisionPlan>,
    slots: Vec<f64>,
    y: Vec<f64>,
    tad: f64,
    time: f64,
}

impl Twin<'_> {
    fn run(&self, block: &Block, carried: &[f64], inputs: &[f64]) -> Vec<f64> {
        let values = Values {
            states: &self.y,
            slots: &self.slots,
            carried,
            inputs,
            time: self.time,
            tad: self.tad,
            ..Values::default()
        };
        let mut out = Vec::new();
        Interpreter::default().run(block, &values, &mut out);
        out
    }

    /// With a level of the action, one interval; the least value of what is watched, and the time
    /// for which it was below 0.5e9/L, to a step.
    fn interval(&mut self, level: f64) -> (f64, f64) {
        let plan = self.plan.clone();
        let program = &self.sight.plan.program;
        self.slots[plan.factors[0].slot] = level;
        let mut inputs = vec![0.0; program.n_inputs.max(1)];
        let given = self.run(&plan.act, &[], &inputs);
        for (&slot, value) in plan.act_slots.iter().zip(given) {
            self.slots[slot] = value;
        }
        let carried = self.run(&program.setup, &[], &inputs);
        let (mut least, mut below) = (f64::INFINITY, 0.0);
        let mut interpreter = Interpreter::default();
        for row in &self.task.interval.rows {
            for action in &row.actions {
                match *action {
                    Action::AddRate { input, rate } => {
                        let level = self.slots[rate.slot.unwrap() as usize];
                        inputs[input as usize] += rate.value * level;
                    }
                    Action::SetRate { input, rate } => {
                        let level = rate.slot.map_or(1.0, |slot| self.slots[slot as usize]);
                        inputs[input as usize] = rate.value * level;
                    }
                    Action::Dose { .. } => self.tad = 0.0,
                    ref other => panic!("{other:?} in an interval"),
                }
            }
            for step in 0..=row.steps {
                if step > 0 {
                    let segment = Segment {
                        program,
                        carried: &carried,
                        inputs: &inputs,
                        time: self.time,
                        tad: self.tad,
                    };
                    segment.rk4_step(&mut interpreter, &mut self.y, 0.0, row.h);
                    (self.time, self.tad) = (self.time + row.h, self.tad + row.h);
                }
                let seen = self.run(&program.monitor, &carried, &inputs)[0];
                least = least.min(seen);
                // a margin, positive while it holds
                below += if step > 0 && seen > 0.0 { row.h } else { 0.0 };
            }
        }
        (least, below)
    }
}

/// Plays random levels and compares the masks; `(forbidden, allowed, near the limit)`.
fn compare(device: &Device, text: &str, oracle: bool, timed: bool, seed: u64) -> [u32; 3] {
    let task = task(text);
    let (lanes, steps, levels) = (6, 8, [50.0, 25.0, 75.0, 100.0]);
    let options = PatientOptions {
        lanes,
        seed,
        ..PatientOptions::default()
    };
    let mut patients = Patients::new(device, &task, &options).unwrap();
    assert_eq!(patients.launches(), 2);
    let mut rollout = Rollout::new(device, &task.spec, steps, lanes, 0);
    let level = |t: usize, i: usize| philox::draw(seed, i as u32, t as u32, 99, 0)[0] % 4;
    let words: Vec<u32> = (0..steps * lanes)
        .map(|at| (level(at / lanes, at % lanes) as f32).to_bits())
        .collect();
    rollout.action = Buffer::from_words(&device.client, &words, 1, steps * lanes);
    patients.reset(seed, 0, &rollout).unwrap();
    for t in 0..4 {
        patients.step(&rollout, t).unwrap();
    }
    // other lanes go on from the middle
    let kept = patients.snapshot().unwrap();
    let mut patients = Patients::new(device, &task, &options).unwrap();
    patients.restore(&kept).unwrap();
    for t in 4..steps {
        patients.step(&rollout, t).unwrap();
    }
    let mask = rollout.mask.words(&device.client).unwrap();
    let started = rollout.started.words(&device.client).unwrap();
    let flags = rollout.flags.words(&device.client).unwrap();

    let (sight, typical) = task.foresight(false).unwrap();
    assert_eq!(sight.oracle, oracle);
    let rule = sight.rules[0];
    let limit = f64::from_bits(rule.limit);
    let cohort = task.patients(device, task.pool, seed, 0).unwrap();
    let plan = task.plan(false, AutoReset::Disabled);
    let mg = plan.factors[0].value(0) / 50.0;
    let last = plan.memory_slots[0];
    let mut counts = [0u32; 3];
    for i in 0..lanes {
        let mut patient = i;
        let mut twin: Option<Twin<'_>> = None;
        for t in 0..=steps {
            let at = t * lanes + i;
            if started[at] == 1 {
                patient += if t > 0 { lanes } else { 0 };
                let mut slots = cohort.patient(patient % task.pool);
                if !oracle {
                    for (slot, value) in slots.iter_mut().zip(&typical) {
                        *slot = f64::from(*value);
                    }
                }
                slots.resize(task.program.n_slots, 0.0);
                let mut fresh = Twin {
                    task: &task,
                    sight: &sight,
                    plan: plan.clone(),
                    slots,
                    y: vec![0.0; sight.plan.program.n_integrated()],
                    tad: 0.0,
                    time: 0.0,
                };
                let inputs = vec![0.0; sight.plan.program.n_inputs.max(1)];
                let carried = fresh.run(&sight.plan.program.setup, &[], &inputs);
                let start = fresh.run(&sight.plan.program.init, &carried, &inputs);
                fresh.y[..start.len()].copy_from_slice(&start);
                twin = Some(fresh);
            }
            let twin = twin.as_mut().unwrap();
            let ended = t > 0 && flags[(t - 1) * lanes + i] & (TERMINATED | TRUNCATED) != 0;
            if !ended {
                for (l, value) in levels.iter().enumerate() {
                    let mut tried = twin.clone();
                    let (mut least, mut below) = tried.interval(value * mg);
                    for _ in 1..rule.intervals {
                        let (more, longer) = tried.interval(25.0 * mg);
                        (least, below) = (least.min(more), below + longer);
                    }
                    let (excess, doubt) = if timed {
                        // a crossing lies within a step
                        (below - limit, 2.0 * task.interval.rows[1].h.max(0.5))
                    } else {
                        (limit - least, 2e-3 * limit)
                    };
                    let open = mask[at] >> l & 1 == 1;
                    if l == 1 {
                        assert!(open, "the least level is always there");
                    } else if excess.abs() < doubt {
                        counts[2] += 1;
                    } else {
                        assert_eq!(
                            open,
                            excess <= 0.0,
                            "decision {t}, lane {i}, level {value}: {least} {below}, limit {limit}"
                        );
                        counts[usize::from(open)] += 1;
                    }
                }
            }
            if t < steps && flags[at] & RESET == 0 {
                let chosen = level(t, i) as usize;
                twin.interval(levels[chosen] * mg);
                // what the task's shield let through
                let factor = plan.factors[0].slot;
                twin.slots[last] = twin.slots[factor];
            }
        }
    }
    counts
}

#[test]
fn masks_are_those_of_the_twin_on_the_host() {
    let device = open(None).unwrap();
    let seed = seed();
    let typical = compare(&device, SHIELDED, false, false, seed);
    println!("typical: forbidden, allowed, near: {typical:?}");
    assert!(typical[0] > 5 && typical[1] > 5 && typical[2] < 10);
    let text = SHIELDED.replace(
        "min = \"circulating\", within = \"14 d\", limit = \"0.5e9/L\"",
        "time_while = \"circulating < 0.5[1e9/L]\", within = \"7 d\", limit = \"2 d\", twin = \"oracle\"",
    );
    let oracle = compare(&device, &text, true, true, seed);
    println!("oracle: forbidden, allowed, near: {oracle:?}");
    assert!(oracle[0] > 5 && oracle[1] > 5);
}

/// A hazard that depends on the state: who is struck is known from the integral and the patient's
/// number; as many are struck as the hazards say.
#[test]
fn hazards_strike_as_often_as_they_say() {
    let device = open(None).unwrap();
    let seed = seed();
    let text = SHIELDED
        .lines()
        .filter(|line| !line.starts_with("look_ahead"))
        .map(|line| format!("{line}\n"))
        .collect::<String>()
        + r#"
[reward.hazard]
value = "infection_hazard"
[reward.now]
value = "infection_now"
[end.infection]
hazard = "0.05[1/d] * exp(-circulating/1[1e9/L])"
[end.moved]
hazard = "0.01[1/d]"
truncates = true
"#;
    let task = task(&text);
    let (lanes, steps) = (2048, 6);
    let options = PatientOptions {
        lanes,
        seed,
        reset: AutoReset::Disabled,
        ..PatientOptions::default()
    };
    let play = || {
        let mut patients = Patients::new(&device, &task, &options).unwrap();
        let mut rollout = Rollout::new(&device, &task.spec, steps, lanes, 0);
        let words = vec![2.0f32.to_bits(); steps * lanes];
        rollout.action = Buffer::from_words(&device.client, &words, 1, steps * lanes);
        patients.reset(seed, 5, &rollout).unwrap();
        for t in 0..steps {
            patients.step(&rollout, t).unwrap();
        }
        let terms = rollout.terms.floats(&device.client).unwrap();
        (terms, rollout.flags.words(&device.client).unwrap())
    };
    let (terms, flags) = play();
    assert!(play() == (terms.clone(), flags.clone()));
    let all = steps * lanes;
    let (mut expected, mut variance, mut struck, mut moved, mut at_risk) = (0.0, 0.0, 0, 0, 0);
    for t in 0..steps {
        for i in 0..lanes {
            let at = t * lanes + i;
            if flags[at] & RESET != 0 {
                continue;
            }
            let (hazard, now) = (f64::from(terms[all + at]), terms[2 * all + at]);
            let word = |k| philox::draw(seed, 5 + i as u32, t as u32 + 1, STREAM_HAZARD, k)[0];
            let waiting = |k| -philox::uniform_open_closed(word(k)).ln();
            if (hazard - waiting(0)).abs() > 1e-5 * (1e-3 + hazard) {
                assert_eq!(now == 1.0, hazard > waiting(0), "lane {i}, decision {t}");
            }
            let (by, end) = (now == 1.0, flags[at]);
            assert_eq!(end & TERMINATED != 0, by);
            if !by && t + 1 < steps {
                assert_eq!(
                    end & TRUNCATED != 0,
                    0.07 > waiting(1),
                    "lane {i}, decision {t}"
                );
                moved += u32::from(end & TRUNCATED != 0);
            }
            let p = 1.0 - (-hazard).exp();
            expected += p;
            variance += p * (1.0 - p);
            struck += u32::from(by);
            at_risk += 1;
        }
    }
    println!("struck {struck}, expected {expected:.1}; moved {moved} of {at_risk}");
    assert!((f64::from(struck) - expected).abs() < 5.0 * f64::sqrt(variance));
    assert!(struck > 50 && moved > 100);
}

/// Environments refuse the step that `posology simulate` refuses, and know how far below zero a
/// state may fall.
#[test]
fn an_unstable_step_is_refused() {
    let device = open(None).unwrap();
    let good = task(SHIELDED);
    let floors = good.floors().unwrap();
    // the amounts of drug and the counts, per litre, have a scale
    assert!(
        floors.iter().all(|floor| *floor < 0.0 && *floor > -1e7),
        "{floors:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let model = std::fs::read_to_string(models().join("docetaxel-neutropenia.toml")).unwrap();
    let step = model.lines().find(|line| line.starts_with("dt")).unwrap();
    let model = model.replace(step, "dt = \"24 h\"");
    std::fs::write(folder.path().join("docetaxel-neutropenia.toml"), model).unwrap();
    let task = Task::parse("task", SHIELDED, Some(folder.path())).unwrap();
    let Err(error) = Patients::new(&device, &task, &PatientOptions::default()) else {
        panic!("a step of a day was accepted");
    };
    assert!(matches!(error, AgentError::Simulation(_)), "{error}");
    assert!(error.to_string().contains("step"), "{error}");
}
