//! Arguments of `posology fit` and `posology forecast`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use posology_twin::correction::{Optimiser, TrainOptions};

pub(super) const FIT_EXAMPLES: &str = "\
Examples:
  posology fit tumour-size --data configs/data/tumour_size/lesions.csv --missing 0 \\
      --missing 'NOT EVALUABLE' --missing 'TOO SMALL TO MEASURE' --out out/lesions
  posology fit docetaxel-neutropenia --data anc.csv --method map --out out/patients
  posology fit my-model --data study.csv --estimate SEX_CL,ke0 --lloq 0.05 --out out/study
  posology fit my-corrected-model --data study.csv --method correction --fit out/study --out out/net

The data follow NM-TRAN: one row per dose or observation, DV is what was measured (in the unit of the
observable, or of the header, `DV (mm)`), DVID names the observable. Random effects are those
that the model declares (`iiv`), and its values are where the fit begins.

With --out: report.html (parameters, goodness of fit, predictive checks), fit.json, individuals.csv
(for `simulate --individuals`), posteriors.csv, predictions.csv and provenance.json. An interrupted fit leaves
OUT.checkpoint.json; the same command with --resume goes on to the same bits. --method correction
writes weights.csv too: name it in the model file ([correction] weights = \"weights.csv\") and every
command runs the corrected model.";

pub(super) const FORECAST_EXAMPLES: &str = "\
Examples:
  posology forecast tumour-size --data configs/data/tumour_size/lesions.csv --missing 0 \\
      --missing 'NOT EVALUABLE' --missing 'TOO SMALL TO MEASURE' --hide-last 2 --at-least 6
  posology forecast psa-adaptation --data configs/data/abiraterone/psa.csv --keep-share 0.6 --folds 8
  posology forecast psa-adaptation --data configs/data/abiraterone/psa.csv --keep-share 0.6 --folds 8 \\
      --calibrate --out out/psa
  posology forecast my-model --data patient.csv --fit out/study --calibration out/psa

Observations behind the cut are kept from the twin, forecast, and scored against carrying the last
visible one forward. Without a cut every record is forecast (EVID 2 marks times at which nothing was
measured). The population is fitted to the visible observations of all patients, unless --folds
cross-validates, --fit names an earlier fit or --prior takes the model's own. --calibrate learns from
the cross-validated forecasts of all other patients how far to trust the model over the last observation
and how wide intervals must be; a later forecast of new patients takes that by --calibration DIR.";

/// A model and what was measured.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// A name of the library, or the path of a model file
    pub model: String,
    /// Doses and observations (NM-TRAN conventions)
    #[arg(long, value_name = "FILE.csv")]
    pub data: PathBuf,
    /// A word in DV that says that nothing was measured; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub missing: Vec<String>,
    /// A word in DV for a value below a limit, such as "TOO SMALL TO MEASURE=5"; may be given
    /// several times
    #[arg(long, value_name = "TEXT=LIMIT")]
    pub below: Vec<String>,
    /// Values at or below this are censored there
    #[arg(long, value_name = "LIMIT", allow_negative_numbers = true)]
    pub lloq: Option<f64>,
    /// Parameters without variability that are to be estimated too
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub estimate: Vec<String>,
    /// Residual errors are correlated in time (continuous AR(1)); the search for their correlation
    /// time begins here, such as "100 d"
    #[arg(long, value_name = "TIME")]
    pub correlation: Option<String>,
    /// Step, as for `simulate`
    #[arg(long, value_name = "STEP")]
    pub dt: Option<String>,
    /// Iterations of a population fit: exploring, then converging
    #[arg(long, value_name = "N,N", default_value = "300,200")]
    pub iterations: String,
    /// Seed of every random number
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Where the fit begins: CL=10, "CL=10 L/h"
    #[arg(value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Typical values, variability and residual error (SAEM), then each patient
    Population,
    /// Each patient, with the model's variability as prior
    Map,
    /// The network of the model's [correction], with that variability as prior; then each patient
    Correction,
}

impl Method {
    /// As the command line and `fit.json` call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Population => "population",
            Self::Map => "map",
            Self::Correction => "correction",
        }
    }

    /// As the report calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Population => "population (SAEM)",
            Self::Map => "individual (maximum a posteriori)",
            Self::Correction => "neural correction (universal differential equation)",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OptimiserArg {
    /// Adam, each patient following by Newton steps
    Adam,
    /// L-BFGS over weights and patients together: fewer, longer steps
    Lbfgs,
}

/// How the network of a correction is trained.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Training (--method correction)")]
pub struct TrainingArgs {
    /// How the weights take their steps
    #[arg(long, value_enum, default_value_t = OptimiserArg::Adam)]
    pub optimiser: OptimiserArg,
    /// Most epochs
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().epochs)]
    pub epochs: usize,
    /// Epochs without a better likelihood of held-out patients before training ends
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().patience)]
    pub patience: usize,
    /// Steps of the weights in an epoch
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().steps)]
    pub steps: usize,
    /// First learning rate
    #[arg(long, value_name = "RATE", default_value_t = TrainOptions::default().learning_rate)]
    pub learning_rate: f64,
    /// Inverse variance of the weights' normal prior
    #[arg(long, value_name = "R", default_value_t = TrainOptions::default().ridge)]
    pub ridge: f64,
    /// Share of patients who do not train: half of them say when to stop, half whether to keep it
    #[arg(long, value_name = "SHARE", default_value_t = TrainOptions::default().held_out)]
    pub held_out: f64,
    /// Log likelihood per observation that a correction has to gain to be kept
    #[arg(long, value_name = "GAIN", default_value_t = TrainOptions::default().least_gain)]
    pub least_gain: f64,
}

impl TrainingArgs {
    pub fn options(&self, seed: u64) -> TrainOptions {
        TrainOptions {
            optimiser: match self.optimiser {
                OptimiserArg::Adam => Optimiser::Adam,
                OptimiserArg::Lbfgs => Optimiser::Lbfgs,
            },
            epochs: self.epochs,
            steps: self.steps,
            learning_rate: self.learning_rate,
            ridge: self.ridge,
            held_out: self.held_out,
            patience: self.patience,
            least_gain: self.least_gain,
            seed,
        }
    }
}

#[derive(Debug, Args)]
pub struct FitArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// What is fitted
    #[arg(long, value_enum, default_value_t = Method::Population)]
    pub method: Method,
    /// Searches per patient, from different starts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub starts: u32,
    /// Simulated data sets of predictive checks and prediction errors
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    pub simulations: u32,
    /// Begin with the population of an earlier fit (its folder)
    #[arg(long, value_name = "DIR")]
    pub fit: Option<PathBuf>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the folder of --out if it is there (after success)
    #[arg(long, requires = "out", conflicts_with = "resume")]
    pub overwrite: bool,
    /// Go on with an interrupted fit
    #[arg(long, requires = "out")]
    pub resume: bool,
    #[command(flatten)]
    pub training: TrainingArgs,
}

#[derive(Debug, Args)]
pub struct ForecastArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Hide the last N observations of each patient
    #[arg(long, value_name = "N", group = "cut")]
    pub hide_last: Option<usize>,
    /// Hide what lies behind this share of each patient's observations
    #[arg(long, value_name = "SHARE", group = "cut")]
    pub keep_share: Option<f64>,
    /// Hide what was measured after this time, such as "12 wk"
    #[arg(long, value_name = "TIME", group = "cut")]
    pub after: Option<String>,
    /// Leave patients with fewer observations out of the scores
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub at_least: usize,
    /// Leave patients with an observation of zero or a censored one out of the scores
    #[arg(long)]
    pub without_zeros: bool,
    /// Cut the patients into N parts; the population of each part is fitted to all observations of
    /// the other parts (cross-validation: what a patient's past and other patients' futures say)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub folds: Option<u32>,
    /// The population of an earlier fit (its folder)
    #[arg(long, value_name = "DIR", conflicts_with_all = ["prior", "folds"])]
    pub fit: Option<PathBuf>,
    /// The model's own typical values and variability
    #[arg(long, conflicts_with = "folds")]
    pub prior: bool,
    /// Combine forecasts with the last observation and scale their intervals, as would have been
    /// best for all other patients
    #[arg(long, requires = "folds", conflicts_with_all = ["fit", "prior"])]
    pub calibrate: bool,
    /// The same, as an earlier forecast with --calibrate found it (its folder)
    #[arg(long, value_name = "DIR", conflicts_with = "calibrate")]
    pub calibration: Option<PathBuf>,
    /// Share of the intervals
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    pub level: f64,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the folder of --out if it is there (after success)
    #[arg(long, requires = "out")]
    pub overwrite: bool,
}
