//! Patients of a data file on a device: predictions and their gradients for many candidate
//! parameter vectors at once.
//!
//! A *job* is one patient with one vector of values for the slots that a fit moves. Jobs of one
//! call run in lockstep, whatever patient, start, chain or replicate they belong to, and a job's
//! result does not depend on the others.

use std::ops::Range;

use posology_cohort::Replay;
use posology_kernels::adjoint::{Adjoint, AdjointOptions, AdjointPlan, Seeds};
use posology_kernels::device::{AdapterKind, Device};
use posology_kernels::launch::{Batch, Simulator, SimulatorOptions};
use posology_kernels::probe;
use posology_kernels::simulate::Plan;
use posology_kernels::timeline::Timeline;
use posology_model::Model;
use posology_model::model::StepSchedule;
use posology_sim::run::{lower_timelines, state_floors};
use posology_sim::{OutputPlan, RuleSet, Simulation};

use crate::error::TwinError;

/// Lanes of one launch: without and with a tape.
const SOFTWARE_LANES: (usize, usize) = (1 << 14, 1 << 12);
const HARDWARE_LANES: (usize, usize) = (1 << 18, 1 << 15);

/// A model with the records of a data file, ready to be evaluated.
pub struct Engine {
    simulator: Simulator,
    adjoint: Adjoint,
    /// Slots that a job sets, in the order of its values.
    slots: Vec<usize>,
    n_slots: usize,
    /// `[lane][slot]`, coherent.
    base: Vec<Vec<f32>>,
    timeline: Vec<u32>,
    /// Records of each lane, and the observable of each.
    observables: Vec<Vec<usize>>,
    lanes_of: Vec<Range<usize>>,
    at_once: (usize, usize),
}

/// Predictions of jobs; coherent units, not finite where a course diverged.
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    /// `[job]` first record; one more entry at the end.
    pub offsets: Vec<usize>,
    pub values: Vec<f64>,
}

impl Predictions {
    /// Of one job, by record of the patient in the order of the file.
    pub fn of(&self, job: usize) -> &[f64] {
        &self.values[self.offsets[job]..self.offsets[job + 1]]
    }
}

impl Engine {
    /// `slots`: what jobs will set. `schedule`: step sizes, the model's own where `None`.
    ///
    /// # Errors
    /// [`TwinError::Slot`] for a slot that the data give or that doses depend on, those of the
    /// device, and timelines without a derivative (steady states).
    pub fn new(
        device: &Device,
        model: &Model,
        replay: &Replay,
        slots: &[usize],
        schedule: Option<&StepSchedule>,
    ) -> Result<Self, TwinError> {
        let mut outputs = OutputPlan::none();
        outputs.all_observables(model, false);
        let rules = RuleSet::default();
        let simulation = Simulation {
            model,
            cohort: &replay.cohort,
            timelines: &replay.timelines,
            outputs: &outputs,
            rules: &rules,
        };
        refuse_doses(model, slots)?;
        let schedule = schedule.unwrap_or(&model.step);
        let timelines = lower_timelines(&simulation, schedule)?;
        let program = posology_sim::run::program(&simulation);
        let floors = state_floors(&simulation, schedule)?;
        let guard = !probe::compensation_survives(device)?;
        let simulator = Simulator::new(
            device,
            Plan::new(program.clone()),
            &timelines,
            &floors,
            SimulatorOptions {
                guard_compensation: guard,
                ..SimulatorOptions::default()
            },
        );
        let adjoint = Adjoint::new(
            device,
            AdjointPlan::new(program),
            &timelines,
            AdjointOptions {
                guard_compensation: guard,
                ..AdjointOptions::default()
            },
        )?;
        let lanes = replay.cohort.len();
        let counts: Vec<usize> = timelines.iter().map(Timeline::record_count).collect();
        let subjects = replay.subject_of_lane.last().map_or(0, |last| last + 1);
        let lanes_of = (0..subjects)
            .map(|s| {
                let first = replay.subject_of_lane.partition_point(|&of| of < s);
                first..replay.subject_of_lane.partition_point(|&of| of <= s)
            })
            .collect();
        let observables = (0..lanes)
            .map(|lane| {
                let records = &replay.records[lane];
                debug_assert_eq!(
                    records.len(),
                    counts[replay.timelines.of_patient[lane] as usize]
                );
                records.iter().map(|&r| replay.observables[r]).collect()
            })
            .collect();
        Ok(Self {
            simulator,
            adjoint,
            slots: slots.to_vec(),
            n_slots: model.slot_count(),
            base: (0..lanes)
                .map(|lane| {
                    let slots = replay.cohort.patient(lane);
                    slots.into_iter().map(|v| v as f32).collect()
                })
                .collect(),
            timeline: replay.timelines.of_patient.clone(),
            observables,
            lanes_of,
            at_once: match device.description.kind {
                AdapterKind::Software => SOFTWARE_LANES,
                _ => HARDWARE_LANES,
            },
        })
    }

    /// Number of patients.
    pub fn subjects(&self) -> usize {
        self.lanes_of.len()
    }

    /// Values of a job.
    pub fn width(&self) -> usize {
        self.slots.len()
    }

    /// Records of one patient.
    pub fn record_count(&self, subject: usize) -> usize {
        let lanes = self.lanes_of[subject].clone();
        lanes.map(|lane| self.observables[lane].len()).sum()
    }

    /// Cut jobs into launches of at most `most` lanes.
    fn launches(&self, subjects: &[u32], most: usize) -> Vec<Range<usize>> {
        let mut out = Vec::new();
        let (mut first, mut lanes) = (0, 0);
        for (job, &subject) in subjects.iter().enumerate() {
            let more = self.lanes_of[subject as usize].len();
            if lanes + more > most && job > first {
                out.push(first..job);
                (first, lanes) = (job, 0);
            }
            lanes += more;
        }
        if first < subjects.len() {
            out.push(first..subjects.len());
        }
        out
    }

    /// The lanes of some jobs, as a launch takes them.
    fn lanes(&self, subjects: &[u32], values: &[f64]) -> Lanes {
        let width = self.slots.len();
        let lanes: Vec<(usize, usize)> = subjects
            .iter()
            .enumerate()
            .flat_map(|(job, &s)| self.lanes_of[s as usize].clone().map(move |l| (job, l)))
            .collect();
        let n = lanes.len();
        let mut all = vec![0.0f32; self.n_slots * n];
        for (i, &(job, lane)) in lanes.iter().enumerate() {
            for (slot, &value) in self.base[lane].iter().enumerate() {
                all[slot * n + i] = value;
            }
            for (k, &slot) in self.slots.iter().enumerate() {
                all[slot * n + i] = values[job * width + k] as f32;
            }
        }
        let timeline: Vec<u32> = lanes.iter().map(|&(_, lane)| self.timeline[lane]).collect();
        // records of equal timelines interleave, so that neighbouring threads write neighbours
        let same = timeline.windows(2).all(|pair| pair[0] == pair[1]);
        let mut first_record = Vec::with_capacity(n);
        let mut total = 0;
        for (i, &(_, lane)) in lanes.iter().enumerate() {
            first_record.push(if same { i as u32 } else { total as u32 });
            total += self.observables[lane].len();
        }
        Lanes {
            patient: (0..n as u32).collect(),
            values: all,
            timeline,
            first_record,
            stride: if same { n } else { 1 },
            total,
            lanes,
        }
    }

    /// What every record of these jobs would show. `values`: `[job][slot]`, coherent.
    ///
    /// # Errors
    /// Those of the device.
    pub fn predict(&self, subjects: &[u32], values: &[f64]) -> Result<Predictions, TwinError> {
        let mut out = Predictions {
            offsets: vec![0],
            values: Vec::new(),
        };
        for jobs in self.launches(subjects, self.at_once.0) {
            let width = self.slots.len();
            let lanes = self.lanes(
                &subjects[jobs.clone()],
                &values[jobs.start * width..jobs.end * width],
            );
            let outcome = self.simulator.run(&lanes.batch())?;
            let stored = |i: usize| outcome.recorded[i] as usize;
            let outputs = 0..self.adjoint.plan().outputs().1;
            let columns: Vec<_> = outputs.map(|o| outcome.records.column(o)).collect();
            let shown = |observable: usize, record| columns[observable].get(record);
            self.collect(&lanes, shown, stored, jobs.len(), &mut out);
        }
        Ok(out)
    }

    fn collect(
        &self,
        lanes: &Lanes,
        shown: impl Fn(usize, usize) -> f32,
        stored: impl Fn(usize) -> usize,
        jobs: usize,
        out: &mut Predictions,
    ) {
        let mut at = 0;
        for job in 0..jobs {
            while let Some(&(of, lane)) = lanes.lanes.get(at)
                && of == job
            {
                let stored = stored(at);
                for (k, &observable) in self.observables[lane].iter().enumerate() {
                    let value = if k < stored {
                        f64::from(shown(observable, lanes.record(at, k)))
                    } else {
                        f64::NAN
                    };
                    out.values.push(value);
                }
                at += 1;
            }
            out.offsets.push(out.values.len());
        }
    }

    /// Predictions, and the gradient `[job][slot]` of one number per job with respect to its values:
    /// `seed(job, predictions, adjoints)` writes the derivative of the number with respect to every
    /// prediction (zero where it has none).
    ///
    /// # Errors
    /// Those of the device.
    pub fn gradient(
        &self,
        subjects: &[u32],
        values: &[f64],
        mut seed: impl FnMut(usize, &[f64], &mut [f64]),
    ) -> Result<(Predictions, Vec<f64>), TwinError> {
        let mut predictions = Predictions {
            offsets: vec![0],
            values: Vec::new(),
        };
        let mut gradient = Vec::with_capacity(values.len());
        self.traced(subjects, values, &mut predictions, |engine, traced, all| {
            let mut seeds = vec![0.0f32; traced.record_outputs * traced.lanes.total];
            let mut bar = Vec::new();
            let mut at = 0;
            for job in traced.jobs.clone() {
                let f = all.of(job);
                bar.clear();
                bar.resize(f.len(), 0.0);
                seed(job, f, &mut bar);
                at = engine.place_seeds(traced, job - traced.jobs.start, at, &bar, &mut seeds);
            }
            engine.one_gradient(traced, seeds, &mut gradient)
        })?;
        Ok((predictions, gradient))
    }

    /// Predictions, and their Jacobian: `[job][record][slot]`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn jacobian(
        &self,
        subjects: &[u32],
        values: &[f64],
    ) -> Result<(Predictions, Vec<f64>), TwinError> {
        let mut predictions = Predictions {
            offsets: vec![0],
            values: Vec::new(),
        };
        let width = self.slots.len();
        let mut jacobian: Vec<f64> = Vec::new();
        self.traced(subjects, values, &mut predictions, |engine, traced, all| {
            jacobian.resize(all.values.len() * width, 0.0);
            let longest = traced
                .jobs
                .clone()
                .map(|job| all.of(job).len())
                .max()
                .unwrap_or(0);
            // one record of every job at a time; the run itself stays on the tape
            for r in 0..longest {
                let mut seeds = vec![0.0f32; traced.record_outputs * traced.lanes.total];
                let mut at = 0;
                for job in traced.jobs.clone() {
                    let mut bar = vec![0.0; all.of(job).len()];
                    if let Some(one) = bar.get_mut(r) {
                        *one = 1.0;
                    }
                    at = engine.place_seeds(traced, job - traced.jobs.start, at, &bar, &mut seeds);
                }
                let mut row = Vec::new();
                engine.one_gradient(traced, seeds, &mut row)?;
                for (i, job) in traced.jobs.clone().enumerate() {
                    if r < all.of(job).len() {
                        let to = (all.offsets[job] + r) * width;
                        jacobian[to..to + width].copy_from_slice(&row[i * width..(i + 1) * width]);
                    }
                }
            }
            Ok(())
        })?;
        Ok((predictions, jacobian))
    }

    /// Trace the jobs, launch by launch, and do something with each tape.
    fn traced(
        &self,
        subjects: &[u32],
        values: &[f64],
        predictions: &mut Predictions,
        mut with: impl FnMut(&Self, &Traced, &Predictions) -> Result<(), TwinError>,
    ) -> Result<(), TwinError> {
        let width = self.slots.len();
        let outputs = self.adjoint.plan().outputs();
        for jobs in self.launches(subjects, self.at_once.1) {
            let lanes = self.lanes(
                &subjects[jobs.clone()],
                &values[jobs.start * width..jobs.end * width],
            );
            let tape = self.adjoint.forward(&lanes.batch())?;
            let (_, records) = self.adjoint.read(&tape)?;
            let shown = |observable, record| records[observable * lanes.total + record];
            self.collect(&lanes, shown, |_| usize::MAX, jobs.len(), predictions);
            let traced = Traced {
                jobs,
                lanes,
                tape,
                n_results: outputs.0,
                record_outputs: outputs.1,
            };
            with(self, &traced, predictions)?;
        }
        Ok(())
    }

    /// Put a job's adjoints of predictions where its lanes' records are; returns the next lane.
    fn place_seeds(
        &self,
        traced: &Traced,
        job: usize,
        mut at: usize,
        bar: &[f64],
        seeds: &mut [f32],
    ) -> usize {
        let mut bar = bar.iter();
        while let Some(&(of, lane)) = traced.lanes.lanes.get(at)
            && of == job
        {
            for (k, &observable) in self.observables[lane].iter().enumerate() {
                let value = bar.next().copied().unwrap_or(0.0) as f32;
                seeds[observable * traced.lanes.total + traced.lanes.record(at, k)] =
                    if value.is_finite() { value } else { 0.0 };
            }
            at += 1;
        }
        at
    }

    /// Append the gradient of each job of a launch.
    fn one_gradient(
        &self,
        traced: &Traced,
        records: Vec<f32>,
        out: &mut Vec<f64>,
    ) -> Result<(), TwinError> {
        let n = traced.lanes.lanes.len();
        let seeds = Seeds {
            states: vec![0.0; traced.n_results * n],
            summaries: Vec::new(),
            records,
        };
        let gradient = self.adjoint.gradient(&traced.tape, &seeds)?;
        let width = self.slots.len();
        let first = out.len();
        out.resize(first + traced.jobs.len() * width, 0.0);
        for (i, &(job, _)) in traced.lanes.lanes.iter().enumerate() {
            for (k, &slot) in self.slots.iter().enumerate() {
                out[first + job * width + k] += f64::from(gradient.slots[slot * n + i]);
            }
        }
        Ok(())
    }
}

/// Doses whose amount, lag or duration depends on a slot are worked out before a run: the gradient
/// does not see them, and a moved slot would not move them.
fn refuse_doses(model: &Model, slots: &[usize]) -> Result<(), TwinError> {
    use posology_model::graph::Node;
    for input in &model.inputs {
        let all = [
            Some(input.amount_scale),
            input.bioavailability,
            input.lag,
            input.rate,
            input.duration,
        ];
        for node in all.into_iter().flatten() {
            for &slot in slots {
                let reads = |node: &Node| *node == Node::Slot(slot as u32);
                if model.graph.reads(node, reads) {
                    return Err(TwinError::Slot {
                        name: model.slot_name(slot).to_owned(),
                        why: format!(
                            "doses into `{}` depend on it (bioavailability, lag, rate or duration)",
                            input.name
                        ),
                    });
                }
            }
        }
    }
    Ok(())
}

/// What a launch takes.
struct Lanes {
    /// (job, lane)
    lanes: Vec<(usize, usize)>,
    values: Vec<f32>,
    timeline: Vec<u32>,
    first_record: Vec<u32>,
    patient: Vec<u32>,
    stride: usize,
    total: usize,
}

impl Lanes {
    fn batch(&self) -> Batch<'_> {
        Batch {
            n: self.lanes.len(),
            values: &self.values,
            timeline: &self.timeline,
            first_record: &self.first_record,
            patient: &self.patient,
            record_stride: self.stride as u32,
            record_total: self.total,
            seed: 0,
        }
    }

    /// Place of record `k` of lane `i` among all records.
    fn record(&self, i: usize, k: usize) -> usize {
        self.first_record[i] as usize + k * self.stride
    }
}

/// Jobs of one launch on their tape.
struct Traced {
    jobs: Range<usize>,
    lanes: Lanes,
    tape: posology_kernels::adjoint::Tape,
    n_results: usize,
    record_outputs: usize,
}
