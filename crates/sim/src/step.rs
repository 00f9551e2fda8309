//! The largest step a model can be integrated with: by stability, and by accuracy.

use posology_cohort::{Cohort, Timelines};
use posology_kernels::reference::{self, Method, Path};
use posology_kernels::timeline::Timeline;
use posology_model::Model;
use posology_model::graph::NodeId;
use posology_model::interpret::Environment;
use posology_model::model::{StepPiece, StepSchedule};
use posology_model::program::Program;
use posology_model::stability::{Jacobian, RK4_REAL_LIMIT};
use rayon::prelude::*;

use crate::error::SimError;
use crate::outputs::OutputPlan;
use crate::run::{Simulation, lower_all};

/// Instants of each patient at which rates or errors are looked at.
const INSTANTS: usize = 64;
/// Events after which a closer look is taken, and how many steps after.
const EVENTS: usize = 8;
const STEPS_AFTER_EVENT: [f64; 5] = [1.0, 4.0, 16.0, 64.0, 256.0];
/// Tolerance of the adaptive solver whose solution counts as converged.
const REFERENCE_RTOL: f64 = 1e-10;
/// Absolute tolerance of the adaptive solver, as a share of each model's smallest non-zero start.
const REFERENCE_ATOL: f64 = 1e-12;

/// The fastest rate found along sampled courses.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Stability {
    /// Largest modulus of an eigenvalue of the Jacobian, per model time unit.
    pub fastest: f64,
    /// When it was met.
    pub time: f64,
    /// By whom (position in the cohort).
    pub patient: usize,
    /// `2.785 / fastest`.
    pub largest_step: f64,
    /// The first instant at which the schedule's step is too long for the rate found there.
    pub violation: Option<Violation>,
}

/// A step that is too long.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Violation {
    pub time: f64,
    pub patient: usize,
    pub rate: f64,
    pub step: f64,
}

/// Patients, spread over the cohort, and their timelines with `INSTANTS` records.
struct Sample {
    program: Program,
    patients: Vec<usize>,
    timelines: Timelines,
}

impl Sample {
    /// At instants all over the courses.
    fn new(simulation: &Simulation<'_>, most: usize) -> Self {
        let timelines = simulation.timelines;
        Self::at(
            simulation,
            most,
            &instants(timelines, simulation.model, timelines.end()),
        )
    }

    /// At `times`.
    fn at(simulation: &Simulation<'_>, most: usize, times: &[f64]) -> Self {
        let total = simulation.cohort.len();
        let stride = total.div_ceil(most.max(1)).max(1);
        let patients: Vec<usize> = (0..total).step_by(stride).collect();
        let timelines = simulation.timelines.select(&patients).with_records(times);
        // every state is recorded, nothing else
        let mut model = simulation.model.clone();
        let mut outputs = OutputPlan::none();
        outputs.all_states(&mut model);
        let inner = Simulation {
            model: &model,
            timelines: &timelines,
            outputs: &outputs,
            ..simulation.clone()
        };
        let program = crate::run::program(&inner);
        Self {
            program,
            patients,
            timelines,
        }
    }

    fn lower(&self, model: &Model, schedule: &StepSchedule) -> Result<Vec<Timeline>, SimError> {
        lower_all(model, &self.timelines, schedule, &[])
    }

    /// Paths of the sampled patients.
    fn paths(
        &self,
        cohort: &Cohort,
        timelines: &[Timeline],
        method: Method,
    ) -> Result<Vec<Path>, SimError> {
        let jobs: Vec<(usize, usize)> = self.patients.iter().copied().enumerate().collect();
        jobs.into_par_iter()
            .map(|(k, patient)| {
                let slots = cohort.patient(patient);
                let scales: Vec<f64> = self.timelines.scales.iter().map(|row| row[k]).collect();
                let timeline = &timelines[self.timelines.of_patient[k] as usize];
                Ok(reference::simulate(
                    &self.program,
                    timeline,
                    &slots,
                    &scales,
                    method,
                )?)
            })
            .collect()
    }
}

/// Evenly spaced instants, and some soon after the first events, where transients are.
fn instants(timelines: &Timelines, model: &Model, end: f64) -> Vec<f64> {
    let mut times: Vec<f64> = (0..=INSTANTS)
        .map(|k| end * k as f64 / INSTANTS as f64)
        .collect();
    let mut starts: Vec<f64> = timelines
        .timelines
        .iter()
        .flat_map(|timeline| timeline.events.iter().map(|event| event.time))
        .collect();
    starts.sort_by(f64::total_cmp);
    starts.dedup();
    let dt = model.step.at(0.0);
    for start in starts.into_iter().take(EVENTS) {
        times.extend(STEPS_AFTER_EVENT.iter().map(|steps| start + steps * dt));
    }
    times.retain(|time| *time <= end);
    times
}

/// Spectral radius of the Jacobian along the courses of at most `most` patients.
pub fn stability(
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
    most: usize,
) -> Result<Stability, SimError> {
    let sample = Sample::new(simulation, most);
    let timelines = sample.lower(simulation.model, schedule)?;
    // fixed steps first: the courses are those the run takes; where they blow up, the adaptive solver
    let mut paths = sample.paths(simulation.cohort, &timelines, Method::Rk4 { refine: 1 })?;
    if paths
        .iter()
        .any(|path| path.range.iter().any(|range| !range.is_finite()))
    {
        let method = Method::Dop853 {
            rtol: 1e-6,
            atol: 1e-9,
        };
        paths = sample.paths(simulation.cohort, &timelines, method)?;
    }
    let found = fastest_rates(&sample, simulation, &paths);
    let mut result = Stability {
        fastest: 0.0,
        time: 0.0,
        patient: 0,
        largest_step: f64::INFINITY,
        violation: None,
    };
    for Rate {
        rate,
        time,
        tad,
        patient,
    } in found
    {
        let step = schedule.at(tad);
        if rate > result.fastest {
            result = Stability {
                fastest: rate,
                time,
                patient,
                ..result
            };
        }
        if rate * step > RK4_REAL_LIMIT && result.violation.is_none() {
            result.violation = Some(Violation {
                time,
                patient,
                rate,
                step,
            });
        }
    }
    if result.fastest > 0.0 {
        result.largest_step = RK4_REAL_LIMIT / result.fastest;
    }
    Ok(result)
}

/// The fastest rate of a patient at an instant.
struct Rate {
    /// Spectral radius of the Jacobian, per model time unit.
    rate: f64,
    time: f64,
    /// Time after the last dose.
    tad: f64,
    patient: usize,
}

fn fastest_rates(sample: &Sample, simulation: &Simulation<'_>, paths: &[Path]) -> Vec<Rate> {
    let rates: Vec<NodeId> = simulation
        .model
        .states
        .iter()
        .map(|state| state.rate)
        .collect();
    let jacobian = Jacobian::new(&simulation.model.graph, &rates);
    let inputs = vec![0.0; simulation.model.inputs.len()];
    paths
        .par_iter()
        .zip(&sample.patients)
        .flat_map_iter(|(path, &patient)| {
            let (jacobian, inputs) = (&jacobian, &inputs);
            path.points.iter().filter_map(move |point| {
                let environment = Environment {
                    states: &point.states,
                    slots: &point.slots,
                    inputs,
                    time: point.time,
                    tad: point.tad,
                    ..Environment::default()
                };
                Some(Rate {
                    rate: jacobian.spectral_radius(&environment)?,
                    time: point.time,
                    tad: point.tad,
                    patient,
                })
            })
        })
        .collect()
}

/// Refuse a schedule that is unstable for any sampled patient.
pub fn refuse_unstable(
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
    most: usize,
) -> Result<Stability, SimError> {
    let stability = stability(simulation, schedule, most)?;
    if let Some(violation) = &stability.violation {
        return Err(SimError::UnstableStep {
            time: violation.time,
            rate: violation.rate,
            dt: violation.step,
            limit: RK4_REAL_LIMIT / violation.rate,
            suggested: rounded_down(0.9 * stability.largest_step),
            unit: simulation.model.time_unit.text().to_owned(),
            who: format!("patient {}", simulation.cohort.label(violation.patient)),
        });
    }
    Ok(stability)
}

/// Largest error of RK4 with `schedule`, against the adaptive solver, over states and instants,
/// each state scaled by its range in the patient.
pub fn truncation_error(
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
    most: usize,
) -> Result<f64, SimError> {
    let sample = Sample::new(simulation, most);
    let truth = converged(&sample, simulation, schedule)?;
    error_against(&sample, simulation, schedule, &truth)
}

fn converged(
    sample: &Sample,
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
) -> Result<Vec<Path>, SimError> {
    let timelines = sample.lower(simulation.model, schedule)?;
    let scale = sample
        .paths(simulation.cohort, &timelines, Method::Rk4 { refine: 1 })?
        .iter()
        .flat_map(|path| path.range.clone())
        .filter(|range| *range > 0.0 && range.is_finite())
        .fold(f64::INFINITY, f64::min);
    let atol = if scale.is_finite() {
        REFERENCE_ATOL * scale
    } else {
        REFERENCE_ATOL
    };
    sample.paths(
        simulation.cohort,
        &timelines,
        Method::Dop853 {
            rtol: REFERENCE_RTOL,
            atol,
        },
    )
}

fn error_against(
    sample: &Sample,
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
    truth: &[Path],
) -> Result<f64, SimError> {
    let timelines = sample.lower(simulation.model, schedule)?;
    let paths = sample.paths(simulation.cohort, &timelines, Method::Rk4 { refine: 1 })?;
    Ok(paths
        .iter()
        .zip(truth)
        .map(|(path, truth)| scaled_error(path, truth))
        .fold(0.0, worse))
}

/// Largest difference over records and states, each state scaled by its range in `truth`.
pub fn scaled_error(path: &Path, truth: &Path) -> f64 {
    let mut worst = 0.0f64;
    for (a, b) in path.points.iter().zip(&truth.points) {
        for (s, (x, y)) in a.states.iter().zip(&b.states).enumerate() {
            let range = truth
                .points
                .iter()
                .map(|p| p.states[s].abs())
                .fold(truth.range[s], f64::max);
            if range > 0.0 {
                let error = (x - y).abs() / range;
                worst = worse(worst, error);
            }
        }
    }
    worst
}

/// The larger of two errors; not a number, as after a divergence, is the largest.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b <= a { a } else { b }
}

/// The step that a tolerance needs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Accuracy {
    pub tolerance: f64,
    /// Error of the schedule as shipped.
    pub error: f64,
    /// Largest constant step that meets the tolerance.
    pub constant_step: f64,
    /// The shipped schedule times the largest factor that meets the tolerance.
    pub schedule: StepSchedule,
}

/// Find the largest steps whose error stays within `tolerance`, by halving and doubling.
pub fn accuracy(
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
    tolerance: f64,
    most: usize,
) -> Result<Accuracy, SimError> {
    let sample = Sample::new(simulation, most);
    let truth = converged(&sample, simulation, schedule)?;
    let error_of = |candidate: &StepSchedule| error_against(&sample, simulation, candidate, &truth);
    let error = error_of(schedule)?;
    let factor = largest(|factor| Ok(error_of(&scale_schedule(schedule, factor))? <= tolerance))?;
    let longest = schedule.0.iter().map(|piece| piece.dt).fold(0.0, f64::max);
    let constant = largest(|factor| {
        Ok(error_of(&StepSchedule::constant(rounded_down(longest * factor)))? <= tolerance)
    })?;
    Ok(Accuracy {
        tolerance,
        error,
        constant_step: rounded_down(longest * constant),
        schedule: scale_schedule(schedule, factor),
    })
}

/// Pieces of a schedule that [`Tuner`] looks for: each begins at twice the time after the dose of the
/// one before it.
const PIECES: usize = 9;
/// Share of the largest stable step that a suggested one may take.
const STABLE_SHARE: f64 = 0.9;
/// Error at which pieces are weighed: far above the reference's own.
const WEIGHED_AT: f64 = 1e-4;
/// The steps of all other pieces are divided by this while one is weighed.
const OTHERS: f64 = 4.0;
/// A piece's steps grow no further than this over those it was weighed with.
const MOST_GROWTH: f64 = 16.0;
/// Neighbouring pieces whose steps differ by less are one.
const ALIKE: f64 = 0.07;

/// Finds schedules in pieces: fine steps where a dose makes them needed, coarse ones after it.
///
/// The error of RK4 grows with the fourth power of the step, so that steps in proportion to
/// `(n / error)^(1/5)` (of a piece with `n` steps and an error of its own) are the fewest for a sum of
/// errors.
pub struct Tuner<'a> {
    simulation: Simulation<'a>,
    sample: Sample,
    truth: Vec<Path>,
    /// What one piece after the other was weighed with.
    base: StepSchedule,
    /// Largest stable step of each.
    limit: Vec<f64>,
    weight: Vec<f64>,
}

impl<'a> Tuner<'a> {
    /// Weigh the pieces over the courses of at most `most` patients. Errors are looked at at `times`,
    /// where steps end as well: give those at which outputs are wanted.
    ///
    /// # Errors
    /// Timelines that cannot be run.
    pub fn new(simulation: &Simulation<'a>, most: usize, times: &[f64]) -> Result<Self, SimError> {
        let shipped = &simulation.model.step;
        let everywhere = Sample::new(simulation, most);
        let courses = converged(&everywhere, simulation, shipped)?;
        let rates = fastest_rates(&everywhere, simulation, &courses);
        let longest = rates.iter().map(|rate| rate.tad).fold(0.0, f64::max);
        let base = divided(shipped, longest);
        let limit = limits(&base, &rates);
        let sample = Sample::at(simulation, most, times);
        let truth = converged(&sample, simulation, shipped)?;
        let mut tuner = Self {
            simulation: simulation.clone(),
            sample,
            truth,
            base,
            limit,
            weight: Vec::new(),
        };
        let even = vec![1.0; tuner.base.0.len()];
        let factor = largest(|factor| tuner.holds(&tuner.times(&even, factor), WEIGHED_AT))?;
        tuner.base = tuner.times(&even, factor);
        tuner.weight = (0..tuner.base.0.len())
            .map(|piece| tuner.weigh(piece))
            .collect::<Result<_, _>>()?;
        Ok(tuner)
    }

    /// The schedule with the fewest steps found whose error stays within `tolerance`.
    ///
    /// # Errors
    /// Timelines that cannot be run.
    pub fn within(&self, tolerance: f64) -> Result<StepSchedule, SimError> {
        let longest = |weight: &[f64]| -> Result<(u64, StepSchedule), SimError> {
            let factor = largest(|factor| self.holds(&self.times(weight, factor), tolerance))?;
            let schedule = merged(&self.times(weight, factor));
            Ok((self.steps(&schedule)?, schedule))
        };
        let weighed = longest(&self.weight)?;
        let even = longest(&vec![1.0; self.weight.len()])?;
        Ok(if weighed.0 < even.0 {
            weighed.1
        } else {
            even.1
        })
    }

    /// Steps of the longest course.
    ///
    /// # Errors
    /// Timelines that cannot be run.
    pub fn steps(&self, schedule: &StepSchedule) -> Result<u64, SimError> {
        let timelines = self.sample.lower(self.simulation.model, schedule)?;
        Ok(timelines
            .iter()
            .map(Timeline::step_count)
            .max()
            .unwrap_or(0))
    }

    fn holds(&self, schedule: &StepSchedule, tolerance: f64) -> Result<bool, SimError> {
        Ok(self.error(schedule)? <= tolerance)
    }

    /// Largest error at the times that were given, each state scaled by its range in the patient.
    ///
    /// # Errors
    /// Timelines that cannot be run.
    pub fn error(&self, schedule: &StepSchedule) -> Result<f64, SimError> {
        error_against(&self.sample, &self.simulation, schedule, &self.truth)
    }

    /// The base with its steps multiplied by weights and factor, as far as they are stable.
    fn times(&self, weight: &[f64], factor: f64) -> StepSchedule {
        self.base
            .with_steps(|k, dt| rounded_down((dt * weight[k] * factor).min(self.limit[k])))
    }

    /// `(n / error)^(1/5)` of one piece, the others made so fine that the error is its own.
    fn weigh(&self, piece: usize) -> Result<f64, SimError> {
        let with = |own: f64, others: f64| {
            self.base
                .with_steps(|k, dt| dt / if k == piece { own } else { others })
        };
        let steps = self
            .steps(&with(2.0, 1.0))?
            .saturating_sub(self.steps(&self.base)?);
        let error = self.error(&with(1.0, OTHERS))?;
        let weight = (steps.max(1) as f64 * WEIGHED_AT / error).powf(0.2);
        Ok(if weight.is_finite() {
            weight.clamp(1.0 / MOST_GROWTH, MOST_GROWTH)
        } else {
            1.0
        })
    }
}

/// `schedule` cut into pieces after a dose, up to `longest`.
fn divided(schedule: &StepSchedule, longest: f64) -> StepSchedule {
    let finest = schedule
        .0
        .iter()
        .map(|piece| piece.dt)
        .fold(f64::INFINITY, f64::min);
    let halvings = (1..PIECES as i32).map(|k| longest / 2f64.powi(k));
    let mut ends: Vec<f64> = halvings
        .filter(|end| *end > finest)
        .map(rounded_down)
        .chain(schedule.0.iter().filter_map(|piece| piece.until))
        .collect();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    let starts = std::iter::once(0.0).chain(ends.iter().copied());
    let untils = ends.iter().copied().map(Some).chain([None]);
    let pieces = starts.zip(untils).map(|(start, until)| StepPiece {
        until,
        dt: schedule.at(start),
    });
    StepSchedule(pieces.collect())
}

/// The largest step of each piece that is stable with room to spare.
fn limits(schedule: &StepSchedule, rates: &[Rate]) -> Vec<f64> {
    let mut fastest = vec![0.0f64; schedule.0.len()];
    for rate in rates {
        let fastest = &mut fastest[schedule.piece(rate.tad)];
        *fastest = fastest.max(rate.rate);
    }
    // nobody looked into an empty piece: whatever is stable elsewhere
    let overall = fastest.iter().copied().fold(0.0, f64::max);
    let limit = |rate: f64| STABLE_SHARE * RK4_REAL_LIMIT / if rate > 0.0 { rate } else { overall };
    fastest.into_iter().map(limit).collect()
}

/// Neighbours with nearly the same step as one piece of the smaller.
fn merged(schedule: &StepSchedule) -> StepSchedule {
    let mut out: Vec<StepPiece> = Vec::new();
    for piece in &schedule.0 {
        match out.last_mut() {
            Some(last) if (piece.dt / last.dt - 1.0).abs() < ALIKE => {
                last.until = piece.until;
                last.dt = last.dt.min(piece.dt);
            }
            _ => out.push(*piece),
        }
    }
    StepSchedule(out)
}

fn scale_schedule(schedule: &StepSchedule, factor: f64) -> StepSchedule {
    schedule.with_steps(|_, dt| rounded_down(dt * factor))
}

/// The largest factor for which `good` holds, to a few per cent, between 2^-12 and 2^12: halved or
/// doubled until it is bracketed, then bisected; the smallest if none holds.
fn largest(good: impl Fn(f64) -> Result<bool, SimError>) -> Result<f64, SimError> {
    const MOST: f64 = 4096.0;
    const BISECTIONS: usize = 4;
    let mut low = 1.0;
    let mut high;
    if good(low)? {
        high = 2.0;
        while good(high)? {
            low = high;
            high *= 2.0;
            if high > MOST {
                return Ok(low);
            }
        }
    } else {
        high = low;
        loop {
            low = high / 2.0;
            if low < 1.0 / MOST || good(low)? {
                break;
            }
            high = low;
        }
    }
    for _ in 0..BISECTIONS {
        let middle = (low * high).sqrt();
        if good(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Down to two significant digits, so that a suggestion can be typed.
fn rounded_down(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    // the hair keeps an exact two-digit number what it is
    let digits = (value / unit + 1e-9).floor();
    format!("{:.*}", 12, digits * unit).parse().unwrap_or(value)
}
