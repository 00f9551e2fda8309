//! The best plan for one patient who is known: cross-entropy optimisation of the action sequence
//! (de Boer 2005), all candidates of all patients in lockstep on the device.

use posology_cohort::Cohort;
use posology_cohort::philox::draw;
use posology_kernels::device::Device;

use super::{Episodes, Player, play};
use crate::environment::patients::{PatientOptions, Patients};
use crate::environment::{AutoReset, Environment};
use crate::error::AgentError;
use crate::spec::ActionKind;
use crate::task::Task;

/// Philox stream of candidate plans.
const STREAM: u32 = 65;
/// A level keeps at least this share, so that no plan is ruled out by chance.
const LEAST_SHARE: f64 = 0.01;
/// A fraction's standard deviation starts here.
const FIRST_SPREAD: f64 = 0.3;

/// How hard is looked.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenLoopOptions {
    pub patients: usize,
    pub first_id: u32,
    pub seed: u64,
    /// Candidates per patient and iteration.
    pub candidates: usize,
    pub iterations: usize,
    /// Share of the candidates that shape the next ones.
    pub elite: f64,
    /// Share of the old distribution that is kept.
    pub inertia: f64,
    /// Loss per unit of a cost above its limit; plans beyond a limit are worse by this.
    pub penalty: f64,
    /// `[factor][decision]` decisions that have been made: every plan begins with them.
    pub begun: Vec<Vec<f32>>,
}

impl Default for OpenLoopOptions {
    fn default() -> Self {
        Self {
            patients: 64,
            first_id: 0,
            seed: 1,
            candidates: 256,
            iterations: 40,
            elite: 0.1,
            inertia: 0.3,
            penalty: 1e3,
            begun: Vec::new(),
        }
    }
}

/// The best plan of each patient.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenLoop {
    /// `[patient]` return less penalties.
    pub scores: Vec<f64>,
    pub returns: Vec<f64>,
    /// `[cost][patient]`
    pub costs: Vec<Vec<f64>>,
    /// `[patient][factor][decision]`: index of a level or fraction.
    pub plans: Vec<Vec<Vec<f32>>>,
}

/// What is drawn from for one decision.
#[derive(Clone, Debug)]
enum Law {
    Levels(Vec<f64>),
    Fraction { mean: f64, spread: f64 },
}

/// Optimises a plan for each patient, who is fully known: an oracle that no policy has.
///
/// # Errors
/// Findings about the population; the device.
pub fn optimise(
    device: &Device,
    task: &Task,
    options: &OpenLoopOptions,
    progress: impl FnMut(usize, usize),
) -> Result<OpenLoop, AgentError> {
    let cohort = task.patients(device, options.patients, options.seed, options.first_id)?;
    optimise_among(device, task, &cohort, options, progress)
}

/// As [`optimise`], for these patients; `options.patients` does not count.
///
/// # Errors
/// As [`optimise`].
pub fn optimise_among(
    device: &Device,
    task: &Task,
    cohort: &Cohort,
    options: &OpenLoopOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<OpenLoop, AgentError> {
    let (n, copies) = (cohort.len(), options.candidates.max(2));
    let lanes = n * copies;
    let horizon = task.spec.horizon;
    let factors = task.spec.actions.len();
    let mut patients = Patients::of(
        device,
        task,
        cohort,
        &PatientOptions {
            lanes,
            reset: AutoReset::Disabled,
            pool: None,
            seed: options.seed,
            first_id: options.first_id,
            ..PatientOptions::default()
        },
    )?;
    patients.copies(copies);
    let start: Vec<Law> = task
        .spec
        .actions
        .iter()
        .map(|action| match &action.kind {
            ActionKind::Levels(levels) => {
                Law::Levels(vec![1.0 / levels.len() as f64; levels.len()])
            }
            ActionKind::Fraction => Law::Fraction {
                mean: 0.5,
                spread: FIRST_SPREAD,
            },
        })
        .collect();
    // [patient][factor][decision]
    let mut laws: Vec<Vec<Vec<Law>>> =
        vec![start.iter().map(|law| vec![law.clone(); horizon]).collect(); n];
    let mut best = OpenLoop {
        scores: vec![f64::NEG_INFINITY; n],
        returns: vec![f64::NAN; n],
        costs: vec![vec![f64::NAN; n]; task.spec.costs.len()],
        plans: vec![Vec::new(); n],
    };
    for iteration in 0..options.iterations {
        progress(iteration, options.iterations);
        let plan = candidates(&laws, &best, options, iteration, copies, horizon);
        let episodes = play(
            device,
            &mut patients,
            &Player::Plan(plan.clone()),
            options.seed,
            options.first_id,
        )?;
        let scores: Vec<f64> = (0..lanes)
            .map(|i| score(task, options, &episodes, i))
            .collect();
        for patient in 0..n {
            let own = patient * copies..(patient + 1) * copies;
            let mut order: Vec<usize> = own.collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
            let top = order[0];
            if scores[top] > best.scores[patient] {
                best.scores[patient] = scores[top];
                best.returns[patient] = episodes.returns[top];
                for (row, costs) in best.costs.iter_mut().zip(&episodes.costs) {
                    row[patient] = costs[top];
                }
                best.plans[patient] = (0..factors)
                    .map(|f| {
                        (0..horizon)
                            .map(|t| plan[(f * horizon + t) * lanes + top])
                            .collect()
                    })
                    .collect();
            }
            let elite = ((copies as f64 * options.elite).ceil() as usize).clamp(1, copies);
            let elite = &order[..elite];
            for (f, row) in laws[patient].iter_mut().enumerate() {
                for (t, law) in row.iter_mut().enumerate() {
                    let at = |lane: &usize| plan[(f * horizon + t) * lanes + lane];
                    learn(law, elite.iter().map(at), elite.len(), options.inertia);
                }
            }
        }
    }
    progress(options.iterations, options.iterations);
    debug_assert_eq!(patients.lanes(), lanes);
    Ok(best)
}

fn score(task: &Task, options: &OpenLoopOptions, episodes: &Episodes, lane: usize) -> f64 {
    let over: f64 = task
        .spec
        .costs
        .iter()
        .zip(&episodes.costs)
        .map(|(spec, costs)| (costs[lane] - spec.limit).max(0.0))
        .sum();
    episodes.returns[lane] - options.penalty * over
}

/// `[factor][decision][lane]`; the first candidate of a patient is the best so far.
fn candidates(
    laws: &[Vec<Vec<Law>>],
    best: &OpenLoop,
    options: &OpenLoopOptions,
    iteration: usize,
    copies: usize,
    horizon: usize,
) -> Vec<f32> {
    let lanes = laws.len() * copies;
    let factors = laws.first().map_or(0, Vec::len);
    let mut plan = vec![0.0f32; factors * horizon * lanes];
    for (patient, rows) in laws.iter().enumerate() {
        for (f, row) in rows.iter().enumerate() {
            for (t, law) in row.iter().enumerate() {
                for copy in 0..copies {
                    let lane = patient * copies + copy;
                    let at = (f * horizon + t) * lanes + lane;
                    let kept = best.plans[patient].get(f).filter(|_| copy == 0);
                    let made = options.begun.get(f).and_then(|row| row.get(t));
                    plan[at] = match made.or(kept.map(|kept| &kept[t])) {
                        Some(known) => *known,
                        None => {
                            let id = options.first_id.wrapping_add(patient as u32);
                            let step = (iteration * horizon + t) as u32;
                            let block = (copy * factors + f) as u32;
                            sampled(law, draw(options.seed, id, step, STREAM, block))
                        }
                    };
                }
            }
        }
    }
    plan
}

fn sampled(law: &Law, words: [u32; 4]) -> f32 {
    let unit = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
    match law {
        Law::Levels(shares) => {
            let mut rest = unit(words[0]);
            for (level, share) in shares.iter().enumerate() {
                rest -= share;
                if rest < 0.0 {
                    return level as f32;
                }
            }
            (shares.len() - 1) as f32
        }
        Law::Fraction { mean, spread } => {
            let radius = (-2.0 * unit(words[0]).ln()).sqrt();
            let normal = radius * (std::f64::consts::TAU * unit(words[1])).cos();
            (mean + spread * normal).clamp(0.0, 1.0) as f32
        }
    }
}

fn learn(law: &mut Law, elite: impl Iterator<Item = f32>, count: usize, inertia: f64) {
    let n = count.max(1) as f64;
    match law {
        Law::Levels(shares) => {
            let mut counts = vec![0.0; shares.len()];
            for level in elite {
                counts[(level as usize).min(shares.len() - 1)] += 1.0 / n;
            }
            for (share, count) in shares.iter_mut().zip(counts) {
                *share = (inertia * *share + (1.0 - inertia) * count).max(LEAST_SHARE);
            }
            let sum: f64 = shares.iter().sum();
            shares.iter_mut().for_each(|share| *share /= sum);
        }
        Law::Fraction { mean, spread } => {
            let values: Vec<f64> = elite.map(f64::from).collect();
            let centre = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / n;
            *mean = inertia * *mean + (1.0 - inertia) * centre;
            *spread = (inertia * *spread + (1.0 - inertia) * variance.sqrt()).max(LEAST_SHARE);
        }
    }
}
