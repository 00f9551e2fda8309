//! Running a cohort on a device, batch by batch.
//!
//! A patient's result depends on his own inputs, his number and the seed, never on the batch.

use std::ops::Range;

use posology_cohort::{Cohort, Timelines};
use posology_kernels::device::{AdapterKind, Device};
use posology_kernels::launch::{Batch, Simulator, SimulatorOptions};
use posology_kernels::probe;
use posology_kernels::reference::{self, Method};
use posology_kernels::simulate::{Plan, Status};
use posology_kernels::timeline::Timeline;
use posology_model::Model;
use posology_model::model::StepSchedule;
use posology_model::program::{NOT_REACHED, Program};
use rayon::prelude::*;

use crate::error::SimError;
use crate::outputs::{OutputPlan, RuleSet};
use crate::rows;

/// A state may undershoot zero by this share of its range before the patient counts as diverged.
const NEGATIVE_TOLERANCE: f64 = 1e-4;
/// Timelines looked at to learn the states' ranges.
const RANGE_SAMPLES: usize = 8;
/// Steps of one patient beyond which a run is refused.
const MOST_STEPS: f64 = 1e8;
/// Patients per batch, unless told otherwise: progress moves, memory stays small, and buffers of a
/// software adapter come back from its allocator instead of new from the system, which costs a patient
/// of short runs a fifth more (`results/performance.md`).
pub fn batch_size(device: &Device) -> usize {
    match device.description.kind {
        AdapterKind::Software => 1 << 16,
        _ => 1 << 18,
    }
}

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Simulation<'a> {
    pub model: &'a Model,
    pub cohort: &'a Cohort,
    pub timelines: &'a Timelines,
    pub outputs: &'a OutputPlan,
    pub rules: &'a RuleSet,
}

/// How to simulate it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOptions {
    pub seed: u64,
    /// Instead of the model's own step schedule.
    pub step: Option<StepSchedule>,
    pub residual_error: bool,
    /// Largest batch; `None` lets the device decide.
    pub batch: Option<usize>,
    /// Largest share of diverged patients.
    pub max_diverged: f64,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            step: None,
            residual_error: true,
            batch: None,
            max_diverged: 0.001,
        }
    }
}

/// Bytes between host and device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Transfers {
    pub to_device: u64,
    pub to_host: u64,
}

/// What a run gave, in the units of the plan's columns.
#[derive(Clone, Debug, Default)]
pub struct Results {
    pub patients: usize,
    /// `[patient]` first record in the rows of `records`; one more entry at the end.
    pub record_offsets: Vec<usize>,
    /// `[column][record]`, records of a patient consecutive.
    pub records: Vec<Vec<f64>>,
    /// `[column][patient]`; NaN where never reached.
    pub summaries: Vec<Vec<f64>>,
    /// `[state][patient]` at the end, coherent units.
    pub states: Vec<Vec<f32>>,
    pub status: Vec<Status>,
    /// Time reached, model time unit.
    pub time: Vec<f64>,
    pub transfers: Transfers,
    /// RK4 steps of all patients (steady-state cycles counted once).
    pub patient_steps: u64,
}

impl Results {
    /// Patients with a status other than completed, by cause.
    pub fn diverged(&self) -> Vec<(Status, usize)> {
        [Status::NotFinite, Status::Negative, Status::NotSteady]
            .into_iter()
            .map(|cause| (cause, self.status.iter().filter(|&&s| s == cause).count()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// Name of a status in outputs.
pub fn status_name(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::NotFinite => "not-finite",
        Status::Negative => "negative",
        Status::NotSteady => "not-steady",
    }
}

/// Timelines of a simulation as the kernel takes them.
pub fn lower_timelines(
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
) -> Result<Vec<Timeline>, SimError> {
    let latches = &simulation.outputs.latches;
    lower_all(simulation.model, simulation.timelines, schedule, latches)
}

/// Lower timelines of `model`; refuses those of more steps than anyone waits for.
pub(crate) fn lower_all(
    model: &Model,
    timelines: &Timelines,
    schedule: &StepSchedule,
    latches: &[(f64, usize)],
) -> Result<Vec<Timeline>, SimError> {
    let finest = schedule
        .0
        .iter()
        .map(|piece| piece.dt)
        .fold(f64::INFINITY, f64::min);
    for timeline in &timelines.timelines {
        let steps = (timeline.end - timeline.start) / finest;
        if steps.is_nan() || steps > MOST_STEPS {
            let unit = model.time_unit.text().to_owned();
            return Err(SimError::TooManySteps {
                steps,
                end: timeline.end,
                unit,
            });
        }
    }
    let targets: Vec<usize> = model.inputs.iter().map(|input| input.into).collect();
    let lower = |timeline| rows::lower(timeline, schedule, &targets, latches);
    Ok(timelines.timelines.par_iter().map(lower).collect())
}

/// The program of a simulation.
pub fn program(simulation: &Simulation<'_>) -> Program {
    let changes = |event: &posology_cohort::Event| {
        matches!(event.action, posology_cohort::Action::SetSlot { .. })
    };
    let repeated = |repeat: &posology_cohort::Repeat| {
        repeat
            .actions
            .iter()
            .any(|action| matches!(action, posology_cohort::Action::SetSlot { .. }))
    };
    let varying = simulation
        .timelines
        .timelines
        .iter()
        .any(|t| t.events.iter().any(changes) || t.repeat.as_ref().is_some_and(repeated));
    simulation
        .outputs
        .program(simulation.model, simulation.rules, varying)
}

/// A simulation whose program is compiled and whose timelines are on the device: what several runs
/// have in common.
pub struct Prepared<'a> {
    simulation: Simulation<'a>,
    options: RunOptions,
    /// Records and steps of each timeline.
    counts: Vec<usize>,
    steps: Vec<u64>,
    simulator: Simulator,
    /// Patients of a launch.
    batch: usize,
}

impl<'a> Prepared<'a> {
    /// Compile the program, lower the timelines and take them to the device.
    ///
    /// # Errors
    /// Timelines that cannot be run, courses that leave the model's domain, a lost device.
    pub fn new(
        device: &Device,
        simulation: &Simulation<'a>,
        options: &RunOptions,
    ) -> Result<Self, SimError> {
        let schedule = options.step.as_ref().unwrap_or(&simulation.model.step);
        let timelines = lower_timelines(simulation, schedule)?;
        let program = program(simulation);
        let floors = floors(simulation, &program, &timelines)?;
        let counts: Vec<usize> = timelines.iter().map(Timeline::record_count).collect();
        let most_records = counts.iter().copied().max().unwrap_or(0);
        let kernel_options = SimulatorOptions {
            residual_error: options.residual_error,
            guard_compensation: !probe::compensation_survives(device)?,
            ..SimulatorOptions::default()
        };
        let plan = Plan::new(program);
        let simulator = Simulator::new(device, plan, &timelines, &floors, kernel_options);
        let batch = simulator
            .max_batch(simulation.timelines.scales.len(), most_records)
            .min(options.batch.unwrap_or_else(|| batch_size(device)))
            .max(1);
        Ok(Self {
            simulation: simulation.clone(),
            options: options.clone(),
            steps: timelines.iter().map(Timeline::step_count).collect(),
            counts,
            simulator,
            batch,
        })
    }

    /// Integrate the cohort. `progress(done, total)` returns whether to go on.
    ///
    /// # Errors
    /// An interruption, more diverged patients than allowed, a lost device.
    pub fn run(&self, mut progress: impl FnMut(usize, usize) -> bool) -> Result<Results, SimError> {
        let total = self.simulation.cohort.len();
        let outputs = self.simulation.outputs;
        let states = self.simulator.plan().program.n_states;
        let mut results = Results {
            patients: total,
            record_offsets: vec![0],
            records: vec![Vec::new(); outputs.records.len()],
            summaries: vec![Vec::with_capacity(total); outputs.summaries.len()],
            states: vec![Vec::with_capacity(total); states],
            ..Results::default()
        };
        results.transfers.to_device = self.simulator.uploaded_bytes();
        let mut first = 0;
        while first < total {
            if !progress(first, total) {
                return Err(SimError::Interrupted { done: first, total });
            }
            let n = self.batch.min(total - first);
            self.one_batch(first, n, &mut results)?;
            first += n;
        }
        progress(total, total);
        refuse_divergence(&results, &self.options)?;
        Ok(results)
    }

    fn one_batch(&self, first: usize, n: usize, results: &mut Results) -> Result<(), SimError> {
        let Self {
            simulation,
            simulator,
            counts,
            steps,
            ..
        } = self;
        let patients = first..first + n;
        let rows = simulation
            .cohort
            .slots
            .iter()
            .chain(&simulation.timelines.scales);
        // row by row: an iterator over all of them hides the lengths from the compiler
        let mut values: Vec<f32> = Vec::with_capacity(n * rows.clone().count());
        for row in rows {
            values.extend(row[patients.clone()].iter().map(|&v| v as f32));
        }
        let timeline = &simulation.timelines.of_patient[patients.clone()];
        let patient = &simulation.cohort.ids[patients.clone()];
        // records of a patient lie together on the host; on the device equal timelines interleave,
        // so that neighbouring threads write neighbouring words
        let same = simulator.interleaves() && timeline.windows(2).all(|pair| pair[0] == pair[1]);
        let mut first_record = Vec::with_capacity(n);
        let mut record_total = 0usize;
        for (i, &t) in timeline.iter().enumerate() {
            first_record.push(if same { i as u32 } else { record_total as u32 });
            record_total += counts[t as usize];
        }
        let stride = if same { n } else { 1 };
        let batch = Batch {
            n,
            values: &values,
            timeline,
            first_record: &first_record,
            patient,
            record_stride: stride as u32,
            record_total,
            seed: self.options.seed,
        };
        let outcome = simulator.run(&batch)?;
        let (up, down) = simulator
            .plan()
            .patient_bytes(simulation.timelines.scales.len());
        results.transfers.to_device += n as u64 * up;
        results.transfers.to_host += n as u64 * down + 4 * outcome.records.values().len() as u64;

        for &t in timeline {
            let count = counts[t as usize];
            let last = results.record_offsets.last().copied().unwrap_or(0);
            results.record_offsets.push(last + count);
            results.patient_steps += steps[t as usize];
        }
        // a patient who was frozen has no records after that
        let mine = results.record_offsets[first..].windows(2);
        let missing: Vec<Range<usize>> = mine
            .zip(&outcome.recorded)
            .map(|(mine, &recorded)| mine[0] + recorded as usize..mine[1])
            .filter(|missing| !missing.is_empty())
            .collect();
        let columns = results.records.par_iter_mut().enumerate();
        columns.for_each(|(k, column)| {
            let scale = simulation.outputs.records[k].scale;
            let shown = outcome.records.column(k);
            if stride == 1 {
                shown.append(scale, column);
            } else {
                let value = |place: usize| f64::from(shown.get(place)) / scale;
                column.extend(by_patient(n, record_total, value));
            }
            for missing in &missing {
                column[missing.clone()].fill(f64::NAN);
            }
        });
        for (k, (column, shown)) in results
            .summaries
            .iter_mut()
            .zip(&simulation.outputs.summaries)
            .enumerate()
        {
            column.extend(outcome.summaries[k * n..(k + 1) * n].iter().map(|&v| {
                if v == NOT_REACHED {
                    f64::NAN
                } else {
                    f64::from(v) / shown.scale
                }
            }));
        }
        for (s, column) in results.states.iter_mut().enumerate() {
            column.extend_from_slice(&outcome.states[s * n..(s + 1) * n]);
        }
        results.status.extend(outcome.status);
        results
            .time
            .extend(outcome.time.iter().map(|&t| f64::from(t)));
        Ok(())
    }
}

/// Prepare a simulation and run it once. `progress(done, total)` returns whether to go on.
///
/// # Errors
/// Those of [`Prepared::new`] and [`Prepared::run`].
pub fn run(
    device: &Device,
    simulation: &Simulation<'_>,
    options: &RunOptions,
    progress: impl FnMut(usize, usize) -> bool,
) -> Result<Results, SimError> {
    Prepared::new(device, simulation, options)?.run(progress)
}

fn refuse_divergence(results: &Results, options: &RunOptions) -> Result<(), SimError> {
    let causes = results.diverged();
    let diverged: usize = causes.iter().map(|(_, count)| count).sum();
    let total = results.patients.max(1);
    if diverged as f64 / total as f64 <= options.max_diverged {
        return Ok(());
    }
    let example = |cause: Status| results.status.iter().position(|&s| s == cause).unwrap_or(0);
    let causes = causes
        .into_iter()
        .map(|(cause, count)| {
            let at = example(cause);
            format!(
                "{count} {} (first: patient {at} at t = {:.4})",
                status_name(cause),
                results.time[at]
            )
        })
        .collect::<Vec<_>>()
        .join(", ");
    Err(SimError::TooManyDiverged {
        diverged,
        total,
        share: 100.0 * diverged as f64 / total as f64,
        allowed: 100.0 * options.max_diverged,
        causes,
    })
}

/// Values of interleaved records (of `n` patients with as many each), patient by patient.
fn by_patient(
    n: usize,
    record_total: usize,
    value: impl Fn(usize) -> f64,
) -> impl Iterator<Item = f64> {
    (0..n)
        .flat_map(move |i| (i..record_total).step_by(n))
        .map(value)
}

/// Lowest value of each state over these patients' courses, as [`run`] takes it.
///
/// # Errors
/// As [`run`] for timelines that cannot be run.
pub fn state_floors(
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
) -> Result<Vec<f32>, SimError> {
    let timelines = lower_timelines(simulation, schedule)?;
    floors(simulation, &program(simulation), &timelines)
}

/// Lowest value of each state: a small share of its range over typical courses below zero.
fn floors(
    simulation: &Simulation<'_>,
    program: &Program,
    timelines: &[Timeline],
) -> Result<Vec<f32>, SimError> {
    let mut range = vec![0.0f64; program.n_states];
    let stride = timelines.len().div_ceil(RANGE_SAMPLES).max(1);
    for (t, timeline) in timelines.iter().enumerate().step_by(stride) {
        let Some(patient) = simulation
            .timelines
            .of_patient
            .iter()
            .position(|&of| of as usize == t)
        else {
            continue;
        };
        let slots = simulation.cohort.patient(patient);
        let scales: Vec<f64> = simulation
            .timelines
            .scales
            .iter()
            .map(|row| row[patient])
            .collect();
        let path = reference::simulate(
            program,
            timeline,
            &slots,
            &scales,
            Method::Rk4 { refine: 1 },
        )?;
        for (range, seen) in range.iter_mut().zip(&path.range) {
            *range = if seen.is_finite() {
                range.max(*seen)
            } else {
                f64::INFINITY
            };
        }
    }
    // a state that stays at zero in these courses has no scale to judge it by
    let floor = |range: f64| {
        if range > 0.0 && range.is_finite() {
            -NEGATIVE_TOLERANCE * range
        } else {
            f64::from(f32::MIN)
        }
    };
    Ok(range.into_iter().map(|range| floor(range) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::by_patient;

    #[test]
    fn interleaved_records_come_patient_by_patient() {
        // record r of patient i lies at 3 r + i
        let value = |place: usize| (100 * (place % 3) + place / 3) as f64;
        let ordered: Vec<f64> = by_patient(3, 6, value).collect();
        assert_eq!(ordered, [0.0, 1.0, 100.0, 101.0, 200.0, 201.0]);
        assert_eq!(by_patient(3, 0, value).count(), 0);
    }
}
