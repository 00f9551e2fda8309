//! For each patient the parameters of a rule that serve him best.

use posology_cohort::Cohort;
use posology_kernels::device::Device;

use super::{Begun, Player, Record, play, record};
use crate::environment::AutoReset;
use crate::environment::patients::{PatientOptions, Patients};
use crate::error::AgentError;
use crate::task::{Baseline, Task};

/// Lanes of one search launch.
const LANES: usize = 16_384;

/// Who is searched for, and how closely.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOptions {
    pub patients: usize,
    /// Id of the first.
    pub first_id: u32,
    /// Of the population.
    pub seed: u64,
    /// Episodes with other measurement errors over which a parameter is judged; 1 without errors.
    pub replicates: usize,
    /// Rounds of a finer grid between the neighbours of the best point.
    pub refinements: usize,
    /// `[factor][decision]` decisions that have been made before the rule takes over; replicates
    /// then differ in what is measured after them. None: the rule decides from the start.
    pub begun: Vec<Vec<f32>>,
}

/// The best parameters found, per patient.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// `[axis][patient]`
    pub parameters: Vec<Vec<f64>>,
    /// `[patient]` mean return over the replicates with the best parameters.
    pub returns: Vec<f64>,
}

/// Searches a rule's parameters for each patient on a grid (all combinations of its axes), then
/// on finer grids around the best point. Every parameter of a patient is tried on the same
/// measurement errors. What it finds is a lower bound of what is possible.
///
/// # Errors
/// Findings about the population; the device.
pub fn search(
    device: &Device,
    task: &Task,
    baseline: &Baseline,
    options: &SearchOptions,
    progress: impl FnMut(usize, usize),
) -> Result<Found, AgentError> {
    let cohort = task.patients(device, options.patients, options.seed, options.first_id)?;
    search_among(device, task, baseline, &cohort, options, progress)
}

/// As [`search`], for these patients; `options.patients` does not count.
///
/// # Errors
/// As [`search`].
pub fn search_among(
    device: &Device,
    task: &Task,
    baseline: &Baseline,
    cohort: &Cohort,
    options: &SearchOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<Found, AgentError> {
    let points: usize = baseline.search.iter().map(|axis| axis.points).product();
    let batch = (LANES / points.max(1)).max(1);
    let mut found = Found {
        parameters: vec![Vec::new(); baseline.search.len()],
        returns: Vec::new(),
    };
    let mut first = 0;
    while first < cohort.len() {
        progress(first, cohort.len());
        let n = batch.min(cohort.len() - first);
        let who: Vec<usize> = (first..first + n).collect();
        one_batch(
            device,
            task,
            baseline,
            &cohort.select(&who),
            options,
            options.first_id + first as u32,
            points,
            &mut found,
        )?;
        first += n;
    }
    progress(cohort.len(), cohort.len());
    Ok(found)
}

/// Plays the parameters that were found, each patient's own.
///
/// # Errors
/// When the device fails.
pub fn play_found(
    device: &Device,
    task: &Task,
    baseline: &Baseline,
    cohort: &Cohort,
    options: &SearchOptions,
    found: &Found,
) -> Result<Record, AgentError> {
    let mut all = Record::default();
    let mut first = 0;
    while first < cohort.len() {
        let n = LANES.min(cohort.len() - first);
        let who: Vec<usize> = (first..first + n).collect();
        let first_id = options.first_id + first as u32;
        let mut patients = lanes_of(device, task, &cohort.select(&who), options, n, first_id)?;
        let mut kept = vec![0.0f32; patients.plan().kept_slots.len() * n];
        for (axis, values) in baseline.search.iter().zip(&found.parameters) {
            if let Some(row) = task.kept(axis) {
                for (lane, value) in values[first..first + n].iter().enumerate() {
                    kept[row * n + lane] = *value as f32;
                }
            }
        }
        patients.keep(&kept);
        let rule = Player::Rule(task.rule(patients.plan(), baseline));
        all.append(record(
            device,
            &mut patients,
            &rule,
            options.seed,
            first_id,
        )?);
        first += n;
    }
    Ok(all)
}

/// The decisions made, in every lane; `copies` neighbouring lanes are one patient's.
fn begun(
    options: &SearchOptions,
    first_id: u32,
    copies: usize,
    lanes: usize,
    replicate: u32,
) -> Begun {
    let made = options.begun.iter().flatten();
    Begun {
        actions: made
            .flat_map(|&action| std::iter::repeat_n(action, lanes))
            .collect(),
        decisions: options.begun.first().map_or(0, Vec::len),
        numbers: (0..lanes)
            .map(|lane| first_id.wrapping_add((lane / copies) as u32 + replicate))
            .collect(),
    }
}

fn lanes_of(
    device: &Device,
    task: &Task,
    cohort: &Cohort,
    options: &SearchOptions,
    lanes: usize,
    first_id: u32,
) -> Result<Patients, AgentError> {
    let options = PatientOptions {
        lanes,
        reset: AutoReset::Disabled,
        pool: None,
        seed: options.seed,
        first_id,
        ..PatientOptions::default()
    };
    Patients::of(device, task, cohort, &options)
}

#[allow(clippy::too_many_arguments)]
fn one_batch(
    device: &Device,
    task: &Task,
    baseline: &Baseline,
    cohort: &Cohort,
    options: &SearchOptions,
    first_id: u32,
    points: usize,
    found: &mut Found,
) -> Result<(), AgentError> {
    let n = cohort.len();
    let lanes = n * points;
    let mut patients = lanes_of(device, task, cohort, options, lanes, first_id)?;
    patients.copies(points);
    let rule = Player::Rule(task.rule(patients.plan(), baseline));
    // per axis and patient: the grid's ends
    let mut ranges: Vec<Vec<(f64, f64)>> = baseline
        .search
        .iter()
        .map(|axis| vec![(axis.from, axis.to); n])
        .collect();
    let mut best = vec![(f64::NEG_INFINITY, vec![f64::NAN; baseline.search.len()]); n];
    for _round in 0..=options.refinements {
        let kept_rows = patients.plan().kept_slots.len();
        let mut kept = vec![0.0f32; kept_rows * lanes];
        let mut tried = vec![vec![0.0f64; lanes]; baseline.search.len()];
        for lane in 0..lanes {
            let (patient, mut point) = (lane / points, lane % points);
            for (a, axis) in baseline.search.iter().enumerate() {
                let (low, high) = ranges[a][patient];
                let k = point % axis.points;
                point /= axis.points;
                let value = low + (high - low) * k as f64 / (axis.points - 1) as f64;
                tried[a][lane] = value;
                if let Some(row) = task.kept(axis) {
                    kept[row * lanes + lane] = value as f32;
                }
            }
        }
        let mut sums = vec![0.0f64; lanes];
        for replicate in 0..options.replicates.max(1) {
            patients.keep(&kept);
            let (player, seed) = if options.begun.is_empty() {
                (rule.clone(), options.seed.wrapping_add(replicate as u64))
            } else {
                let begun = begun(options, first_id, points, lanes, replicate as u32);
                let rule = Box::new(rule.clone());
                (Player::After(begun, rule), options.seed)
            };
            let episodes = play(device, &mut patients, &player, seed, first_id)?;
            for (sum, value) in sums.iter_mut().zip(episodes.returns) {
                *sum += value / options.replicates.max(1) as f64;
            }
        }
        for patient in 0..n {
            for lane in patient * points..(patient + 1) * points {
                if sums[lane] > best[patient].0 {
                    best[patient].0 = sums[lane];
                    for (value, tried) in best[patient].1.iter_mut().zip(&tried) {
                        *value = tried[lane];
                    }
                }
            }
            for (a, axis) in baseline.search.iter().enumerate() {
                let (low, high) = ranges[a][patient];
                let reach = (high - low) / (axis.points - 1) as f64;
                let centre = best[patient].1[a];
                ranges[a][patient] = (
                    (centre - reach).max(axis.from),
                    (centre + reach).min(axis.to),
                );
            }
        }
    }
    for (value, parameters) in best {
        found.returns.push(value);
        for (row, parameter) in found.parameters.iter_mut().zip(parameters) {
            row.push(parameter);
        }
    }
    Ok(())
}
