//! For each patient the parameters of a rule that serve him best.

use posology_kernels::device::Device;

use super::{Player, play};
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
    mut progress: impl FnMut(usize, usize),
) -> Result<Found, AgentError> {
    let points: usize = baseline.search.iter().map(|axis| axis.points).product();
    let batch = (LANES / points.max(1)).max(1);
    let mut found = Found {
        parameters: vec![Vec::new(); baseline.search.len()],
        returns: Vec::new(),
    };
    let mut first = 0;
    while first < options.patients {
        progress(first, options.patients);
        let n = batch.min(options.patients - first);
        one_batch(
            device, task, baseline, options, first, n, points, &mut found,
        )?;
        first += n;
    }
    progress(options.patients, options.patients);
    Ok(found)
}

#[allow(clippy::too_many_arguments)]
fn one_batch(
    device: &Device,
    task: &Task,
    baseline: &Baseline,
    options: &SearchOptions,
    first: usize,
    n: usize,
    points: usize,
    found: &mut Found,
) -> Result<(), AgentError> {
    let lanes = n * points;
    let first_id = options.first_id + first as u32;
    let mut patients = Patients::new(
        device,
        task,
        &PatientOptions {
            lanes,
            reset: AutoReset::Disabled,
            pool: Some(n),
            seed: options.seed,
            first_id,
            ..PatientOptions::default()
        },
    )?;
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
            let seed = options.seed.wrapping_add(replicate as u64);
            let episodes = play(device, &mut patients, &rule, seed, first_id)?;
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
