//! What every peer is asked to compute: a model, its patients, their doses and output times.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use posology_cohort::event::Action;
use posology_cohort::{Cohort, Regimen, Timeline, Timelines};
use posology_kernels::device::Device;
use posology_kernels::reference::{self, Method};
use posology_kernels::timeline as lowered;
use posology_model::Model;
use posology_model::model::StepSchedule;
use posology_model::program::{Kind, Program};
use posology_sim::run::{lower_timelines, program};
use posology_sim::step::Tuner;
use posology_sim::{OutputPlan, Prepared, Results, RuleSet, RunOptions, Simulation};
use rayon::prelude::*;
use serde_json::{Value, json};

/// Seed of the sampled patients.
const SEED: u64 = 12;
/// Patients whose outputs are held to the f64 reference: so many of all, and as many of the first.
const CHECKED: usize = 16;
const FIRST: usize = 512;
/// The reference takes this many steps for one.
const REFINE: u32 = 8;
/// What peers call the time after the last dose: a state, which every dose sets back.
const CLOCK: &str = "tad";
/// Steps of a model without a scenario.
const STEPS: f64 = 1200.0;

/// One model with its patients.
pub struct Problem {
    pub model: Model,
    cohort: Cohort,
    timelines: Timelines,
    outputs: OutputPlan,
    rules: RuleSet,
    /// Model time.
    pub times: Vec<f64>,
    pub duration: f64,
    truth: Vec<Truth>,
}

/// A patient's course in f64, in declared units.
struct Truth {
    patient: usize,
    /// `[time][state]`
    states: Vec<Vec<f64>>,
    /// Of each state, over time.
    range: Vec<f64>,
}

impl Problem {
    /// `outputs`: times of a course at which all states are asked for, whole steps apart.
    pub fn new(name: &str, text: &str, outputs: u32, patients: usize) -> anyhow::Result<Self> {
        let mut model =
            Model::parse(name, text, None).with_context(|| format!("reading {name}"))?;
        let cohort = Cohort::sample(&model, patients, SEED, 0)?;
        let h = model.step.at(0.0);
        let duration = model.scenario.as_ref().map_or(STEPS * h, |s| s.duration);
        let dosing = model
            .scenario
            .as_ref()
            .and_then(|s| Some((s.regimen.as_ref()?, s.regimen_origin.as_ref()?)));
        let timelines = match dosing {
            Some((regimen, origin)) => Regimen::parse(&model, regimen, origin)?
                .timelines(&model, &cohort, duration, origin)?,
            None => Timelines::shared(patients, Timeline::new(Vec::new(), duration)),
        };
        let times: Vec<f64> = (1..=outputs)
            .map(|k| duration * f64::from(k) / f64::from(outputs))
            .collect();
        let mut plan = OutputPlan::none();
        plan.all_states(&mut model);
        let mut problem = Self {
            timelines: timelines.with_records(&times),
            model,
            cohort,
            outputs: plan,
            rules: RuleSet::default(),
            times,
            duration,
            truth: Vec::new(),
        };
        let rows = lower_timelines(&problem.simulation(), &problem.model.step)?;
        problem.truth = problem.truths(&rows)?;
        Ok(problem)
    }

    fn simulation(&self) -> Simulation<'_> {
        Simulation {
            model: &self.model,
            cohort: &self.cohort,
            timelines: &self.timelines,
            outputs: &self.outputs,
            rules: &self.rules,
        }
    }

    fn truths(&self, rows: &[lowered::Timeline]) -> anyhow::Result<Vec<Truth>> {
        let program = self.program();
        let one = |patient: usize| -> anyhow::Result<Truth> {
            let slots = self.cohort.patient(patient);
            let timeline = &rows[self.timelines.of_patient[patient] as usize];
            let method = Method::Rk4 { refine: REFINE };
            let path = reference::simulate(&program, timeline, &slots, &[], method)?;
            let shown = |row: &Vec<f64>| -> Vec<f64> {
                let columns = self.outputs.records.iter();
                columns.zip(row).map(|(c, v)| v / c.scale).collect()
            };
            let columns = self.outputs.records.iter();
            Ok(Truth {
                patient,
                states: path.records.iter().map(shown).collect(),
                range: columns.zip(&path.range).map(|(c, r)| r / c.scale).collect(),
            })
        };
        let spaced = |n: usize| (0..n).step_by(n.div_ceil(CHECKED));
        let all = self.cohort.len();
        let mut who: Vec<usize> = spaced(all).chain(spaced(all.min(FIRST))).collect();
        who.sort_unstable();
        who.dedup();
        who.into_par_iter().map(one).collect()
    }

    /// Largest difference from the reference over all outputs of the checked patients below
    /// `patients`, divided by the state's range. `at(patient, time, state)`: declared units.
    pub fn error(&self, patients: usize, at: impl Fn(usize, usize, usize) -> f64) -> f64 {
        let mut worst = 0.0f64;
        for truth in self.truth.iter().filter(|t| t.patient < patients) {
            for (t, row) in truth.states.iter().enumerate() {
                for (s, wanted) in row.iter().enumerate() {
                    let apart = (at(truth.patient, t, s) - wanted).abs();
                    let scaled = apart / truth.range[s].max(f64::MIN_POSITIVE);
                    // a comparison that NaN cannot pass
                    worst = if scaled <= worst { worst } else { scaled };
                }
            }
        }
        worst
    }

    /// The model's steps, so many times as long.
    pub fn coarser(&self, times: f64) -> StepSchedule {
        self.model.step.with_steps(|_, dt| dt * times)
    }

    /// Schedules in pieces whose errors stay within `tolerances` in some of the patients.
    pub fn tuned(&self, tolerances: &[f64]) -> anyhow::Result<Vec<StepSchedule>> {
        let tuner = Tuner::new(&self.simulation(), CHECKED, &self.times)?;
        let schedules = tolerances.iter().map(|&tolerance| tuner.within(tolerance));
        Ok(schedules.collect::<Result<_, _>>()?)
    }

    /// Steps of one course.
    pub fn steps(&self, schedule: &StepSchedule) -> anyhow::Result<u64> {
        let rows = lower_timelines(&self.simulation(), schedule)?;
        let steps = rows.iter().map(lowered::Timeline::step_count);
        Ok(steps.max().unwrap_or(0))
    }

    /// Our own run, ready to be timed.
    pub fn prepared(
        &self,
        device: &Device,
        schedule: &StepSchedule,
    ) -> anyhow::Result<Prepared<'_>> {
        let options = RunOptions {
            step: Some(schedule.clone()),
            residual_error: false,
            ..RunOptions::default()
        };
        Ok(Prepared::new(device, &self.simulation(), &options)?)
    }

    /// Error of our own results.
    pub fn own_error(&self, results: &Results) -> f64 {
        self.error(self.cohort.len(), |patient, t, s| {
            results.records[s][results.record_offsets[patient] + t]
        })
    }

    pub fn patients(&self) -> usize {
        self.cohort.len()
    }

    pub fn states(&self) -> usize {
        self.model.states.len()
    }

    /// States of a peer: ours, and the time after a dose where the rates ask for it.
    pub fn peer_states(&self) -> usize {
        self.states() + usize::from(self.clocked())
    }

    fn clocked(&self) -> bool {
        let rates = &self.program().rates;
        rates.ops.iter().any(|op| op.kind == Kind::Tad)
    }

    fn program(&self) -> Program {
        program(&self.simulation())
    }

    /// Arithmetic operations of the rates.
    pub fn operations(&self) -> usize {
        self.program().rates.arithmetic_count()
    }

    /// The case file and its arrays for the first `n` patients, in `folder`; its path.
    ///
    /// # Errors
    /// Doses that are no boluses, or that differ between patients; files that cannot be written.
    pub fn write(
        &self,
        folder: &Path,
        method: &str,
        rtol: f64,
        n: usize,
    ) -> anyhow::Result<PathBuf> {
        let model = &self.model;
        std::fs::create_dir_all(folder)?;
        let [timeline] = self.timelines.timelines.as_slice() else {
            anyhow::bail!("{}: patients with doses of their own", model.name);
        };
        let clocked = self.clocked();
        let (mut doses, mut last): (Vec<Value>, _) = (Vec::new(), 0.0);
        for event in &timeline.events {
            match &event.action {
                Action::Bolus { input, amount }
                    if amount.scale.is_none() && amount.slot.is_none() =>
                {
                    let state = model.inputs[*input].into;
                    let scale = model.units.scale(&model.states[state].unit);
                    let mut dose = |state: usize, amount: f64| {
                        doses.push(json!({"time": event.time, "state": state, "amount": amount}));
                    };
                    dose(state, amount.value / scale);
                    if clocked && event.time > last {
                        dose(self.states(), last - event.time);
                        last = event.time;
                    }
                }
                Action::Record => {}
                _ => anyhow::bail!("{}: peers take boluses only", model.name),
            }
        }
        anyhow::ensure!(
            timeline.repeat.is_none(),
            "{}: peers take listed doses only",
            model.name
        );
        let values = self
            .cohort
            .slots
            .iter()
            .enumerate()
            .flat_map(|(slot, row)| {
                let scale = model.units.scale(model.slot_unit(slot));
                row[..n].iter().map(move |v| v / scale)
            });
        write_f64(&folder.join("values.f64"), values)?;
        let program = self.program();
        let start = lowered::Timeline {
            rows: vec![lowered::Row {
                actions: vec![lowered::Action::Reset],
                ..Default::default()
            }],
        };
        let initial: Vec<Vec<f64>> = (0..n)
            .into_par_iter()
            .map(|i| {
                let slots = self.cohort.patient(i);
                let method = Method::Rk4 { refine: 1 };
                reference::simulate(&program, &start, &slots, &[], method).map(|path| path.states)
            })
            .collect::<Result<_, _>>()?;
        let by_state = model.states.iter().enumerate().flat_map(|(s, state)| {
            let scale = model.units.scale(&state.unit);
            let initial = &initial;
            (0..n).map(move |i| initial[i][s] / scale)
        });
        let clock = std::iter::repeat_n(0.0, if clocked { n } else { 0 });
        write_f64(&folder.join("initial.f64"), by_state.chain(clock))?;
        let largest = (0..model.states.len()).map(|s| {
            let all = self.truth.iter().map(move |t| t.range[s]);
            all.fold(0.0, f64::max)
        });
        // absolute tolerance: the relative one of the smallest state's range
        let smallest = largest.filter(|r| *r > 0.0).fold(f64::INFINITY, f64::min);
        let states = model.states.iter().map(|s| s.name.as_str());
        let steps = model.step.0.iter().map(|piece| match piece.until {
            Some(until) => json!({"until": until, "dt": piece.dt}),
            None => json!({"dt": piece.dt}),
        });
        let case = json!({
            "model": model.name,
            "patients": n,
            "states": states.chain(clocked.then_some(CLOCK)).collect::<Vec<_>>(),
            "parameters": (0..self.cohort.slots.len()).map(|i| model.slot_name(i)).collect::<Vec<_>>(),
            "values": "values.f64",
            "initial": "initial.f64",
            "doses": doses,
            "duration": self.duration,
            "steps": steps.collect::<Vec<_>>(),
            "times": self.times,
            "method": method,
            "rtol": rtol,
            "atol": rtol * smallest.min(1.0),
            "threads": 0,
        });
        let path = folder.join("case.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&case)?)?;
        Ok(path)
    }
}

fn write_f64(path: &Path, values: impl Iterator<Item = f64>) -> anyhow::Result<()> {
    let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
