//! What can be chosen about a training run: keys, defaults, checks.
//!
//! A resolved configuration is the defaults, then the `[learning]` table of the task, then
//! `key=value` from the command line, in the manner of Hydra.

use posology_model::diagnostic::did_you_mean;
use serde::{Deserialize, Serialize};

use super::schedule::Shape;
use crate::error::AgentError;

/// How multipliers are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Multipliers of the constraints by PID control.
    #[default]
    SafePpo,
    /// Multipliers held at 0: costs are watched, not kept.
    Ppo,
    /// Double Q-learning from a replay ring: costs are watched, and may be priced.
    Dqn,
}

/// What the policy knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    /// A gated recurrent core: it adapts to a patient within his treatment.
    #[default]
    Recurrent,
    /// The present observation only.
    Memoryless,
    /// The present observation and the patient's hidden quantities: an upper bound, not a policy
    /// that anyone could use.
    TaskConditioned,
}

/// A key of the configuration, for help texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    /// As it would be written in TOML.
    pub default: &'static str,
    /// Empty where it is a pure number or a choice.
    pub unit: &'static str,
    pub about: &'static str,
}

/// Declares the configuration once: field, type, default, unit, description.
macro_rules! configuration {
    ($($name:ident: $kind:ty = $default:expr, $unit:literal, $about:literal;)*) => {
        /// A resolved configuration; [`KEYS`] describes each key.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config {
            $(#[doc = $about] pub $name: $kind,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// Every key, in the order of the file.
        pub const KEYS: &[Key] = &[$(Key {
            name: stringify!($name),
            default: stringify!($default),
            unit: $unit,
            about: $about,
        },)*];
    };
}

configuration! {
    algorithm: Algorithm = Algorithm::SafePpo, "", "safe-ppo, ppo with multipliers held at 0, or dqn";
    network: NetworkKind = NetworkKind::Recurrent, "", "recurrent, memoryless or task-conditioned; dqn makes recurrent memoryless";
    seed: u64 = 1, "", "seed of every random number";
    lanes: usize = 1024, "patients", "patients treated at once";
    steps: usize = 32, "decisions", "decisions of each lane between two updates";
    stagger: bool = true, "", "first episodes of patients end at different decisions, so that lanes are out of phase";
    horizon: usize = 0, "decisions", "where above 0: episodes of patients are cut after so many in training; the rest has value";
    updates: u64 = 200, "updates", "updates of the policy in the whole run";
    decisions: u64 = 0, "decisions", "instead of updates where above 0: decisions of the whole run";
    epochs: usize = 4, "", "passes over the decisions of an update";
    minibatches: usize = 4, "", "parts of a pass, each of whole lanes";
    rate: f64 = 1e-3, "", "learning rate of Adam after the warm-up";
    rate_schedule: Shape = Shape::Cosine, "", "constant, linear or cosine";
    rate_end: f64 = 0.0, "share of rate", "learning rate at the end of the schedule";
    warm_up: u64 = 0, "updates", "updates in which the learning rate rises linearly";
    discount: f64 = 0.0, "per decision", "discount of rewards; 0 takes the task's own";
    cost_discount: f64 = 1.0, "per decision", "discount of costs; limits are about plain sums";
    gae_lambda: f64 = 0.95, "", "lambda of the generalised advantage";
    clip: f64 = 0.2, "", "largest change of an action's probability that is rewarded";
    entropy: f64 = 0.01, "", "coefficient of the entropy bonus";
    entropy_schedule: Shape = Shape::Linear, "", "constant, linear or cosine";
    entropy_end: f64 = 0.1, "share of entropy", "entropy bonus at the end of the schedule";
    value_coefficient: f64 = 0.5, "", "weight of the value's squared error";
    cost_coefficient: f64 = 0.5, "", "weight of the cost critics' quantile loss";
    belief_coefficient: f64 = 0.1, "", "weight of the belief's negative log-likelihood";
    target_kl: f64 = 0.03, "nats", "change of the policy that ends an update early; 0 never does";
    max_gradient_norm: f64 = 0.5, "", "longest gradient, all parameters together";
    adam_beta1: f64 = 0.9, "", "decay of Adam's first moment";
    adam_beta2: f64 = 0.999, "", "decay of Adam's second moment";
    adam_epsilon: f64 = 1e-5, "", "added to the root of Adam's second moment";
    encoder: usize = 64, "units", "width of the layer that reads the observation";
    hidden: usize = 64, "units", "width of the core";
    quantiles: usize = 16, "", "quantiles of each cost critic";
    beliefs: bool = true, "", "whether the policy also predicts the hidden quantities";
    scale_rewards: bool = true, "", "divide rewards and costs by the running size of their returns";
    limit_share: f64 = 1.0, "share of limit", "the limit that training keeps, a margin below the real one";
    multiplier_proportional: f64 = 3.0, "", "gain on the excess over a limit";
    multiplier_integral: f64 = 0.1, "", "gain on the summed excess";
    multiplier_derivative: f64 = 0.5, "", "gain on the rise of a cost";
    multiplier_smoothing: f64 = 0.8, "", "share of the past in the cost whose rise is looked at";
    multiplier_band: f64 = 0.05, "share of limit", "closer below the limit than this the summed excess shrinks more slowly";
    multiplier_anneal: bool = false, "", "let the summed excess shrink more slowly as the learning rate falls";
    multiplier_max: f64 = 20.0, "", "largest multiplier";
    value_at_risk_rate: f64 = 0.05, "share of limit", "step of the learned value at risk";
    episode_window: f64 = 1.0, "lanes", "episodes over which costs are averaged, in multiples of lanes";
    dqn_replay: usize = 131_072, "decisions", "dqn: decisions that the replay ring holds, of all lanes together";
    dqn_batch: usize = 512, "decisions", "dqn: decisions of one step of the optimiser";
    dqn_steps: u64 = 32, "", "dqn: steps of the optimiser per update";
    dqn_n_step: u32 = 1, "decisions", "dqn: rewards that a target sums before it trusts the network";
    dqn_target_every: u64 = 200, "optimiser steps", "dqn: steps between two moves of the target network";
    dqn_target_share: f64 = 1.0, "", "dqn: how far it moves to the network; 1 is a copy";
    dqn_epsilon: f64 = 1.0, "", "dqn: share of exploring decisions at the beginning";
    dqn_epsilon_end: f64 = 0.05, "", "dqn: share of exploring decisions at the end";
    dqn_explore: f64 = 0.5, "share of updates", "dqn: part of the run in which the share falls, linearly";
    dqn_huber: f64 = 1.0, "reward units", "dqn: error beyond which the loss is linear";
    dqn_reward_unit: f64 = 0.0, "", "dqn: what rewards are divided by; 0 measures their size in the first update";
    dqn_penalties: Vec<f64> = Vec::new(), "reward", "dqn: price of one unit of each cost, in the order of the costs; [] is free";
    validate_every: u64 = 20, "updates", "updates between validations, which choose the best checkpoint; 0 chooses by training's episodes";
    validate_patients: usize = 1024, "patients", "patients of a validation, never met in training or evaluation";
    validate_calibration: f64 = 0.5, "", "share of the gap between training's estimate of a risk and its validated bound that is taken out of the limit";
    checkpoint_every: u64 = 10, "updates", "updates between checkpoints";
    histogram_every: u64 = 25, "updates", "updates between histograms of parameters, returns and costs; 0 for none";
}

impl Config {
    /// The defaults, then `task` (its `[learning]` table), then `overrides` (`key=value`).
    ///
    /// # Errors
    /// [`AgentError::Option`] naming the key, with the closest known key where it is unknown.
    pub fn resolve(task: Option<&toml::Table>, overrides: &[String]) -> Result<Self, AgentError> {
        let mut config = Self::default();
        for (key, value) in task.into_iter().flatten() {
            config = config.with(key, &value.to_string(), value.clone())?;
        }
        config.changed(overrides)
    }

    /// With other values, `key=value`.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn changed(&self, overrides: &[String]) -> Result<Self, AgentError> {
        let mut config = self.clone();
        for text in overrides {
            let Some((key, value)) = text.split_once('=') else {
                return Err(refused(text, "", "expected key=value, such as rate=3e-4"));
            };
            let (key, value) = (key.trim(), value.trim());
            config = config.with(key, value, parsed(value))?;
        }
        config.check()?;
        Ok(config)
    }

    /// With one key changed.
    fn with(&self, key: &str, text: &str, value: toml::Value) -> Result<Self, AgentError> {
        if !KEYS.iter().any(|known| known.name == key) {
            let names = KEYS.iter().map(|known| known.name);
            let help = did_you_mean(key, names.clone()).unwrap_or_else(|| {
                format!("the keys are {}", names.collect::<Vec<_>>().join(", "))
            });
            return Err(refused(key, text, &format!("there is no such key; {help}")));
        }
        let mut table =
            toml::Table::try_from(self).map_err(|error| refused(key, text, &error.to_string()))?;
        // whole numbers are numbers
        let value = match (table.get(key), value) {
            (Some(toml::Value::Float(_)), toml::Value::Integer(whole)) => {
                toml::Value::Float(whole as f64)
            }
            (_, value) => value,
        };
        table.insert(key.to_owned(), value);
        table.try_into().map_err(|error: toml::de::Error| {
            let cause = error.message().trim().trim_end_matches('.').to_owned();
            refused(key, text, &cause)
        })
    }

    /// # Errors
    /// [`AgentError::Option`] for the first value that cannot work.
    pub fn check(&self) -> Result<(), AgentError> {
        let counts = [
            ("lanes", self.lanes, 1 << 20),
            ("steps", self.steps, 4096),
            ("epochs", self.epochs, 1000),
            ("minibatches", self.minibatches, 1024),
            ("encoder", self.encoder, 512),
            ("hidden", self.hidden, 512),
            ("quantiles", self.quantiles, 256),
            ("validate_patients", self.validate_patients, 1 << 16),
        ];
        for (key, value, most) in counts {
            if value == 0 || value > most {
                return Err(refused(
                    key,
                    &value.to_string(),
                    &format!("from 1 to {most}"),
                ));
            }
        }
        if !self.lanes.is_multiple_of(self.minibatches) {
            let value = self.minibatches.to_string();
            return Err(refused(
                "minibatches",
                &value,
                &format!("must divide lanes = {}", self.lanes),
            ));
        }
        if self.updates == 0 && self.decisions == 0 {
            return Err(refused("updates", "0", "at least 1 (or give decisions)"));
        }
        let ranges: [(&str, f64, f64, f64); 26] = [
            ("rate", self.rate, 0.0, 1.0),
            ("rate_end", self.rate_end, 0.0, 1.0),
            ("discount", self.discount, 0.0, 1.0),
            ("cost_discount", self.cost_discount, 0.0, 1.0),
            ("gae_lambda", self.gae_lambda, 0.0, 1.0),
            ("clip", self.clip, 1e-6, 10.0),
            ("entropy", self.entropy, 0.0, 100.0),
            ("entropy_end", self.entropy_end, 0.0, 100.0),
            ("value_coefficient", self.value_coefficient, 0.0, 1e3),
            ("cost_coefficient", self.cost_coefficient, 0.0, 1e3),
            ("belief_coefficient", self.belief_coefficient, 0.0, 1e3),
            ("target_kl", self.target_kl, 0.0, 1e3),
            ("max_gradient_norm", self.max_gradient_norm, 1e-9, 1e9),
            ("adam_beta1", self.adam_beta1, 0.0, 0.999_999),
            ("adam_beta2", self.adam_beta2, 0.0, 0.999_999),
            ("adam_epsilon", self.adam_epsilon, 1e-12, 1.0),
            ("limit_share", self.limit_share, 0.0, 10.0),
            (
                "multiplier_proportional",
                self.multiplier_proportional,
                0.0,
                1e4,
            ),
            ("multiplier_integral", self.multiplier_integral, 0.0, 1e4),
            (
                "multiplier_derivative",
                self.multiplier_derivative,
                0.0,
                1e4,
            ),
            (
                "multiplier_smoothing",
                self.multiplier_smoothing,
                0.0,
                0.999_999,
            ),
            ("multiplier_band", self.multiplier_band, 0.0, 1e3),
            ("validate_calibration", self.validate_calibration, 0.0, 1.0),
            ("multiplier_max", self.multiplier_max, 0.0, 1e6),
            ("value_at_risk_rate", self.value_at_risk_rate, 0.0, 1.0),
            ("episode_window", self.episode_window, 1e-3, 1e6),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let cause = format!("a number from {least} to {most}");
                return Err(refused(key, &value.to_string(), &cause));
            }
        }
        crate::dqn::config::check(self)
    }

    /// Decisions of one update.
    pub fn decisions_per_update(&self) -> u64 {
        (self.lanes * self.steps) as u64
    }

    /// Updates of the whole run.
    pub fn total_updates(&self) -> u64 {
        if self.decisions > 0 {
            self.decisions.div_ceil(self.decisions_per_update())
        } else {
            self.updates
        }
    }

    /// As a TOML file with a remark on every key.
    pub fn to_toml(&self) -> String {
        let table = toml::Table::try_from(self).unwrap_or_default();
        let line = |key: &Key| {
            let value = table
                .get(key.name)
                .map(ToString::to_string)
                .unwrap_or_default();
            let unit = if key.unit.is_empty() {
                String::new()
            } else {
                format!(" ({})", key.unit)
            };
            format!("# {}{unit}\n{} = {value}\n", key.about, key.name)
        };
        KEYS.iter().map(line).collect()
    }
}

/// The value of an override: as in TOML, and a bare word is a text.
fn parsed(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn refused(key: &str, value: &str, cause: &str) -> AgentError {
    AgentError::Option {
        key: key.to_owned(),
        value: value.to_owned(),
        cause: cause.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn resolve(overrides: &[&str]) -> Result<Config, AgentError> {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        Config::resolve(None, &overrides)
    }

    #[test]
    fn keys_are_the_fields_of_the_file() {
        let table = toml::Table::try_from(Config::default()).unwrap();
        let mut known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        known.sort_unstable();
        let mut fields: Vec<&str> = table.keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(known, fields);
        assert!(KEYS.iter().all(|key| !key.about.is_empty()));
    }

    #[test]
    fn the_written_file_is_read_back() {
        let config = resolve(&["rate=1", "network = memoryless", "seed=7", "clip=0.1"]).unwrap();
        assert_eq!((config.rate, config.seed), (1.0, 7));
        assert_eq!(config.network, NetworkKind::Memoryless);
        let read: Config = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(read, config);
    }

    #[test]
    fn a_task_comes_before_the_command_line() {
        let task: toml::Table = toml::from_str("rate = 0.1\nhidden = 8").unwrap();
        let config = Config::resolve(Some(&task), &["hidden=16".to_owned()]).unwrap();
        assert_eq!((config.rate, config.hidden), (0.1, 16));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, words) in [
            ("rat=0.1", "did you mean `rate`?"),
            ("rate", "key=value"),
            ("rate=fast", "invalid type"),
            ("rate=2", "from 0 to 1"),
            ("rate=nan", "from 0 to 1"),
            ("lanes=0", "from 1 to"),
            ("lanes=-3", "lanes = -3"),
            ("minibatches=3", "must divide lanes = 1024"),
            ("network=gru", "recurrent"),
            ("updates=0", "at least 1"),
        ] {
            let message = resolve(&[text]).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    #[test]
    fn a_run_has_whole_updates() {
        let config = resolve(&["lanes=10", "steps=4", "minibatches=1", "decisions=41"]).unwrap();
        assert_eq!(config.total_updates(), 2);
    }
}
