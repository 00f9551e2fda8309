//! Training the network that corrects a mechanism, on the data of many patients.
//!
//! A mechanism plus a network inside the right-hand side is a universal differential equation
//! (Rackauckas 2020, arXiv 2001.04385), trained here through the solver, by its exact discrete
//! adjoint, as neural ordinary differential equations are (Chen 2018, NeurIPS 31, arXiv 1806.07366).
//! Weights are shared; patients differ by their random effects, whose prior is the population.
//!
//! Minimised over weights `w`, individual parameters `phi` and residual errors:
//!
//! ```text
//! sum_patients [-ln p(y | phi, w, error) + (phi - mu)' Omega^-1 (phi - mu) / 2] + ridge/2 |w|^2
//! ```
//!
//! An epoch ([`Training::epoch`]) estimates every patient's `phi` with the present weights, then the
//! residual errors, then takes steps of Adam (Kingma and Ba 2015, arXiv 1412.6980) in the weights;
//! each step is one launch of all training patients, whose gradient also moves every `phi` by a
//! damped Newton step, so that weights and individuals do not wait for each other. L-BFGS (Liu and
//! Nocedal 1989, doi 10.1007/BF01589116) over weights and individuals is the alternative. Sums over patients
//! are in f64 on the host and in their order, so a run repeats bit by bit on the same device.
//!
//! A correction that is not needed ends as exactly nothing. Weights never see the data of held-out
//! patients. One half of those says when to stop and which share `alpha` of the output layer is
//! best; the other half judges: unless its marginal likelihoods (Laplace) are clearly better with the
//! correction than without, `alpha` is 0. Clearly: a one-sided paired t test at 95 % that the gain
//! exceeds [`TrainOptions::least_gain`] per observation; .01 is what a residual error smaller by 1 %
//! gains, and less is no reason for a network. Two halves, because patients who chose an epoch and a
//! share would judge their choice too kindly.
//! Residual errors are estimated anew for every share: errors that fit the corrected model would
//! make the uncorrected one look worse than it is.
//!
//! Typical values and variances stay as they are given. A constant relative correction and a typical
//! rate are told apart by them alone.
//!
//! | module | what |
//! |---|---|
//! | `individuals` | individual parameters, their marginal likelihood, residual errors |
//! | [`training`] | epochs of training, from the start or a checkpoint |
//! | `descent` | L-BFGS, where Adam is not wanted |
//! | `choose` | how much of a trained correction is kept |
//! | `roles` | who trains, chooses and judges |
//! | [`explain`] | what a correction adds to a rate |

mod choose;
mod descent;
pub mod explain;
mod individuals;
mod roles;
pub mod training;

use posology_model::correction::Network;

pub use self::explain::{Contribution, contributions};
pub use self::training::{TrainState, Training};
use crate::error::TwinError;
use crate::problem::Problem;
use crate::space::Population;

/// How weights take their steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimiser {
    /// Adam (Kingma and Ba 2015), individuals following by damped Newton steps.
    #[default]
    Adam,
    /// L-BFGS (Liu and Nocedal 1989) over weights and individuals together, begun anew in every
    /// epoch, since residual errors have changed.
    Lbfgs,
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainOptions {
    pub optimiser: Optimiser,
    /// Most epochs, and steps of the weights in each.
    pub epochs: usize,
    pub steps: usize,
    /// Of Adam, first; falls to a hundredth along a cosine.
    pub learning_rate: f64,
    /// Inverse variance of a normal prior of every weight.
    pub ridge: f64,
    /// Share of patients whose data the weights do not see.
    pub held_out: f64,
    /// Epochs without a better held-out likelihood before training ends.
    pub patience: usize,
    /// Natural log likelihood per observation that a correction has to gain in patients who had no
    /// part in it, to be kept.
    pub least_gain: f64,
    /// Of who is held out.
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            optimiser: Optimiser::Adam,
            epochs: 40,
            steps: 15,
            learning_rate: 0.03,
            ridge: 0.1,
            held_out: 0.3,
            patience: 10,
            least_gain: 0.01,
            seed: 1,
        }
    }
}

/// Where training was at the start of an epoch.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochLoss {
    /// Mean over patients of minus the natural log of the marginal likelihood (Laplace).
    #[serde(with = "crate::bits::one")]
    pub train: f64,
    #[serde(with = "crate::bits::one")]
    pub held_out: f64,
    /// Residual error of each observable: additive, proportional, log-normal.
    #[serde(with = "crate::bits::triples")]
    pub errors: Vec<[f64; 3]>,
}

/// Gain of a correction over none in the patients that judge it.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Improvement {
    /// Mean difference of natural log marginal likelihoods per patient.
    pub mean: f64,
    /// Its standard error, paired.
    pub se: f64,
    pub patients: usize,
    /// The gain has to exceed this by so many standard errors.
    pub least: f64,
    pub quantile: f64,
}

impl Improvement {
    pub fn is_clear(&self) -> bool {
        self.mean > self.least + self.quantile * self.se && self.mean > 0.0
    }
}

/// A share of the output layer, and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Share {
    pub alpha: f64,
    /// Mean natural log marginal likelihood of a held-out patient of the half that chooses.
    pub held_out: f64,
}

/// A trained correction.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Trained {
    /// In the order of `Network::weight_names`, the output layer shrunk: what
    /// `Correction::weights_csv` makes a file of.
    pub weights: Vec<f64>,
    /// Share of the output layer that was kept; 0: the correction is switched off, exactly.
    pub alpha: f64,
    /// The population with these weights, and with residual errors that fit them.
    pub population: Population,
    pub losses: Vec<EpochLoss>,
    /// Epoch whose weights were taken.
    pub best: usize,
    pub shares: Vec<Share>,
    /// Of the best share other than 0, whether it was kept or not.
    pub improvement: Improvement,
}

/// Train to the end. `problem`: of a model that was loaded trainable, its space with all weights
/// among the fixed effects, which begin at `start.fixed`. `progress` sees every state and ends
/// training by `false`; a state begins again where it was (`resume`).
///
/// # Errors
/// [`TwinError::Slot`] for a weight that is no fixed effect, [`TwinError::Setting`] for options and
/// numbers of patients that allow no training and for weights that left the range of numbers,
/// [`TwinError::Start`], [`TwinError::Interrupted`], and those of the device.
pub fn train(
    problem: &Problem,
    network: &Network,
    start: Population,
    options: TrainOptions,
    resume: Option<TrainState>,
    mut progress: impl FnMut(&TrainState) -> bool,
) -> Result<Trained, TwinError> {
    let mut training = Training::new(problem, network, start, options, resume)?;
    while !training.done() {
        if !progress(&training.state) {
            return Err(TwinError::Interrupted {
                done: training.state.losses.len(),
                total: options.epochs,
                what: "epochs",
            });
        }
        training.epoch()?;
    }
    training.finish()
}
