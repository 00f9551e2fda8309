//! What is written about every update: TensorBoard events and one JSON line.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tensorboard_rs::summary_writer::SummaryWriter;

use super::container::{file_error, write_whole};
use super::validate::Validation;
use crate::error::AgentError;
use crate::ppo::statistics::EpisodeSums;

/// One constraint in an update.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CostMetrics {
    pub name: String,
    /// Mean cost of an episode.
    pub mean: f64,
    /// What the limit is about: the mean, or the bound on the conditional value at risk.
    pub risk: f64,
    pub limit: f64,
    /// The limit that training keeps: less, where validation finds more risk than training.
    pub kept_limit: f64,
    pub value_at_risk: f64,
    pub multiplier: f64,
    /// Quantile loss of the critic.
    pub critic_loss: f64,
}

/// What Q-learning adds to an update, in the reward's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ValueMetrics {
    /// Share of exploring decisions.
    pub epsilon: f64,
    /// Mean value of the actions in the minibatches, and what it should have been.
    pub mean: f64,
    pub target: f64,
    /// Mean size of the difference.
    pub error: f64,
    /// What rewards are divided by.
    pub reward_unit: f64,
}

/// One update.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// Counted from 1: updates done.
    pub update: u64,
    /// Decisions of the run so far.
    pub decisions: u64,
    /// Episodes that ended in this update; absent figures are those of no episode.
    pub episodes: f64,
    pub return_mean: Option<f64>,
    pub return_sd: Option<f64>,
    pub episode_length: Option<f64>,
    /// Shares of the episodes.
    pub terminated: Option<f64>,
    pub diverged: Option<f64>,
    pub costs: Vec<CostMetrics>,
    pub loss: f64,
    pub policy_loss: f64,
    pub value_loss: f64,
    pub belief_loss: f64,
    pub entropy: f64,
    pub kl: f64,
    pub clip_fraction: f64,
    pub explained_variance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<ValueMetrics>,
    /// Mean over the steps taken, before clipping.
    pub gradient_norm: f64,
    pub gradients_clipped: f64,
    pub parameter_norm: f64,
    /// Steps of the optimiser that were taken, of those possible.
    pub steps_taken: f64,
    pub steps_possible: f64,
    pub rate: f64,
    pub entropy_coefficient: f64,
    /// Blocking reads from the device in this update.
    pub transfers: u64,
    pub transferred_bytes: u64,
    pub seconds: f64,
    /// Decisions per second, learning included.
    pub decisions_per_second: f64,
}

impl Metrics {
    /// Names and values as TensorBoard has them.
    fn scalars(&self) -> Vec<(String, f64)> {
        let mut out: Vec<(String, f64)> = Vec::new();
        let mut put = |name: &str, value: Option<f64>| {
            out.extend(value.map(|value| (name.to_owned(), value)));
        };
        put("episode/return", self.return_mean);
        put("episode/return_sd", self.return_sd);
        put("episode/length", self.episode_length);
        put("episode/terminated", self.terminated);
        put("episode/diverged", self.diverged);
        put("episode/count", Some(self.episodes));
        put("loss/total", Some(self.loss));
        put("loss/policy", Some(self.policy_loss));
        put("loss/value", Some(self.value_loss));
        put("loss/belief", Some(self.belief_loss));
        put("policy/entropy", Some(self.entropy));
        put("policy/kl", Some(self.kl));
        put("policy/clip_fraction", Some(self.clip_fraction));
        put("policy/explained_variance", self.explained_variance);
        if let Some(values) = self.values {
            put("values/epsilon", Some(values.epsilon));
            put("values/mean", Some(values.mean));
            put("values/target", Some(values.target));
            put("values/error", Some(values.error));
        }
        put("optimiser/gradient_norm", Some(self.gradient_norm));
        put("optimiser/gradients_clipped", Some(self.gradients_clipped));
        put("optimiser/parameter_norm", Some(self.parameter_norm));
        put("optimiser/steps_taken", Some(self.steps_taken));
        put("optimiser/rate", Some(self.rate));
        put(
            "optimiser/entropy_coefficient",
            Some(self.entropy_coefficient),
        );
        put(
            "speed/decisions_per_second",
            Some(self.decisions_per_second),
        );
        put("speed/transfers", Some(self.transfers as f64));
        for cost in &self.costs {
            let name = &cost.name;
            put(&format!("cost/{name}/mean"), Some(cost.mean));
            put(&format!("cost/{name}/risk"), Some(cost.risk));
            put(&format!("cost/{name}/limit"), Some(cost.limit));
            put(&format!("cost/{name}/kept_limit"), Some(cost.kept_limit));
            put(
                &format!("cost/{name}/value_at_risk"),
                Some(cost.value_at_risk),
            );
            put(&format!("cost/{name}/multiplier"), Some(cost.multiplier));
            put(&format!("cost/{name}/critic_loss"), Some(cost.critic_loss));
        }
        out
    }
}

/// A histogram in the form of TensorBoard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub squares: f64,
    pub limits: Vec<f64>,
    pub counts: Vec<f64>,
}

impl Histogram {
    /// Of `values` in `bins` equal bins over their range; `None` of none, or where one is no number.
    pub fn of(values: &[f32], bins: usize) -> Option<Self> {
        let finite = !values.is_empty() && values.iter().all(|value| value.is_finite());
        if !finite {
            return None;
        }
        let numbers = || values.iter().map(|&value| f64::from(value));
        let min = numbers().fold(f64::INFINITY, f64::min);
        let max = numbers().fold(f64::NEG_INFINITY, f64::max);
        let width = ((max - min) / bins as f64).max(f64::MIN_POSITIVE);
        let mut counts = vec![0.0; bins];
        for value in numbers() {
            let bin = ((value - min) / width) as usize;
            counts[bin.min(bins - 1)] += 1.0;
        }
        Some(Self {
            min,
            max,
            sum: numbers().sum(),
            squares: numbers().map(|value| value * value).sum(),
            limits: (1..=bins).map(|bin| min + bin as f64 * width).collect(),
            counts,
        })
    }
}

impl Histogram {
    /// Of numbers that were counted elsewhere into equal bins from `low` to `high`, the outer bins
    /// with everything beyond; with their sum and the sum of their squares.
    pub fn counted(low: f64, high: f64, counts: &[u32], sum: f64, squares: f64) -> Option<Self> {
        let width = (high - low) / counts.len().max(1) as f64;
        let real = width > 0.0 && width.is_finite() && sum.is_finite() && squares.is_finite();
        (real && counts.iter().any(|&count| count > 0)).then(|| Self {
            min: low,
            max: high,
            sum,
            squares,
            limits: (1..=counts.len())
                .map(|bin| low + bin as f64 * width)
                .collect(),
            counts: counts.iter().map(|&count| f64::from(count)).collect(),
        })
    }

    /// How many numbers.
    fn count(&self) -> f64 {
        self.counts.iter().sum()
    }
}

/// Where totals of mean `sum / n` and their spread are counted: four standard deviations about the
/// mean.
pub fn histogram_range(n: f64, sum: f64, squares: f64) -> (f64, f64) {
    let mean = sum / n.max(1.0);
    let sd = (squares / n.max(1.0) - mean * mean).max(0.0).sqrt();
    let reach = 4.0 * sd.max(1e-6 * mean.abs()).max(1e-12);
    (mean - reach, mean + reach)
}

/// Sums and squares of the rows that are counted: the return, then every cost.
pub fn counted_sums(sums: &EpisodeSums) -> Vec<(f64, f64)> {
    let returns = std::iter::once((sums.returns, sums.return_squares));
    let costs = sums.costs.iter().map(|cost| (cost.total, cost.squares));
    returns.chain(costs).collect()
}

/// A file of JSON lines, each with the number of its update.
struct Lines {
    path: PathBuf,
    file: fs::File,
}

impl Lines {
    /// The file, whose lines of the first `update` updates are kept.
    fn open(path: PathBuf, update: u64) -> Result<Self, AgentError> {
        if path.exists() {
            let text = fs::read_to_string(&path).map_err(|error| file_error(&path, &error))?;
            write_whole(&path, kept(&text, update).as_bytes())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| file_error(&path, &error))?;
        Ok(Self { path, file })
    }

    fn write(&mut self, value: &impl Serialize) -> Result<(), AgentError> {
        let failed = |error: &dyn std::fmt::Display| file_error(&self.path, error);
        let mut line = serde_json::to_vec(value).map_err(|error| failed(&error))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| failed(&error))
    }
}

/// The logs of a run's folder.
pub struct Log {
    updates: Lines,
    validations: Lines,
    /// Absent after it has failed.
    board: Option<SummaryWriter>,
}

impl Log {
    /// Logs in `folder`, whose first `update` updates are kept.
    ///
    /// # Errors
    /// [`AgentError::File`].
    pub fn open(folder: &Path, update: u64) -> Result<Self, AgentError> {
        let updates = Lines::open(folder.join("metrics.jsonl"), update)?;
        let validations = Lines::open(folder.join("validation.jsonl"), update)?;
        // the writer of events gives no errors: find out now whether it can write
        let board = folder.join("tensorboard");
        fs::create_dir_all(&board).map_err(|error| file_error(&board, &error))?;
        let probe = board.join(".probe");
        fs::write(&probe, b"").map_err(|error| file_error(&probe, &error))?;
        fs::remove_file(&probe).map_err(|error| file_error(&probe, &error))?;
        Ok(Self {
            updates,
            validations,
            board: Some(SummaryWriter::new(board)),
        })
    }

    /// Write one update.
    ///
    /// # Errors
    /// [`AgentError::File`].
    pub fn write(&mut self, metrics: &Metrics) -> Result<(), AgentError> {
        self.updates.write(metrics)?;
        self.events(|board| {
            for (name, value) in metrics.scalars() {
                board.add_scalar(&name, value as f32, metrics.update as usize);
            }
            board.flush();
        })
    }

    /// Write a validation.
    ///
    /// # Errors
    /// [`AgentError::File`].
    pub fn validation(&mut self, found: &Validation) -> Result<(), AgentError> {
        self.validations.write(found)?;
        let update = found.update as usize;
        self.events(|board| {
            let mut put = |name: &str, value: f64| board.add_scalar(name, value as f32, update);
            put("validation/return", found.mean_return);
            put("validation/feasible", f64::from(u8::from(found.feasible)));
            for cost in &found.costs {
                put(&format!("validation/{}/risk", cost.name), cost.risk);
                put(&format!("validation/{}/upper", cost.name), cost.upper);
                put(&format!("validation/{}/limit", cost.name), cost.limit);
            }
            board.flush();
        })
    }

    /// Write a histogram, if there is one.
    ///
    /// # Errors
    /// [`AgentError::File`].
    pub fn histogram(
        &mut self,
        name: &str,
        of: Option<Histogram>,
        update: u64,
    ) -> Result<(), AgentError> {
        let Some(of) = of else {
            return Ok(());
        };
        self.events(|board| {
            board.add_histogram_raw(
                name,
                of.min,
                of.max,
                of.count(),
                of.sum,
                of.squares,
                &of.limits,
                &of.counts,
                update as usize,
            );
        })
    }

    /// The library writes events in a thread and panics when that thread cannot (a full disk).
    fn events(&mut self, write: impl FnOnce(&mut SummaryWriter)) -> Result<(), AgentError> {
        let Some(mut board) = self.board.take() else {
            return Ok(());
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| write(&mut board)));
        if outcome.is_err() {
            // its destructor would panic as well
            std::mem::forget(board);
            let folder = self.updates.path.with_file_name("tensorboard");
            return Err(file_error(&folder, &"events could not be written"));
        }
        self.board = Some(board);
        Ok(())
    }
}

/// The lines of the first `update` updates; a last line that was cut off goes as well.
fn kept(text: &str, update: u64) -> String {
    let of = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        value["update"].as_u64()
    };
    text.lines()
        .filter(|line| of(line).is_some_and(|number| number <= update))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_checkpoint_go() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = |update| Metrics {
            update,
            costs: vec![CostMetrics::default()],
            ..Metrics::default()
        };
        let mut log = Log::open(folder.path(), 0).unwrap();
        for update in 1..=3 {
            log.write(&metrics(update)).unwrap();
        }
        let of = Histogram::of(&[0.0, 1.0, 3.0], 32);
        log.histogram("parameters", of, 3).unwrap();
        log.validation(&Validation::default()).unwrap();
        drop(log);
        let path = folder.path().join("metrics.jsonl");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"update\": 2, \"cut");
        fs::write(&path, text).unwrap();
        let events = fs::read_dir(folder.path().join("tensorboard")).unwrap();
        let sizes: u64 = events
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(sizes > 1000, "{sizes}");
        drop(Log::open(folder.path(), 2).unwrap());
        let lines = fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn a_histogram_counts_everything() {
        let of = Histogram::of(&[0.0, 1.0, 2.0, 4.0], 4).unwrap();
        assert_eq!(of.counts, [1.0, 1.0, 1.0, 1.0]);
        assert_eq!((of.min, of.max, of.sum, of.squares), (0.0, 4.0, 7.0, 21.0));
        assert_eq!(
            Histogram::of(&[2.0; 3], 4)
                .unwrap()
                .counts
                .iter()
                .sum::<f64>(),
            3.0
        );
        assert_eq!(Histogram::of(&[f32::NAN], 4), None);
        // by hand: mean 2, standard deviation 1
        let (low, high) = histogram_range(2.0, 4.0, 10.0);
        assert_eq!((low, high), (-2.0, 6.0));
        let counted = Histogram::counted(low, high, &[0, 1, 1, 0], 4.0, 10.0).unwrap();
        assert_eq!(counted.limits, [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(counted.count(), 2.0);
        assert_eq!(Histogram::counted(0.0, 1.0, &[0, 0], 0.0, 0.0), None);
    }
}
