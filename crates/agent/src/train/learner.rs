//! One run of learning in memory: rollouts, updates, running estimates.

use std::time::Instant;

use posology_kernels::device::Device;
use posology_kernels::policy::NetworkShape;
use posology_kernels::update::adam::{self, Adam, AdamOptions};
use posology_kernels::update::loss::parts;
use posology_kernels::update::moments::MOMENTS;
use posology_kernels::update::scale::scaled;

use super::log::{CostMetrics, Metrics};
use super::state::State;
use super::trainer::Deployed;
use crate::bridge;
use crate::environment::Environment;
use crate::error::AgentError;
use crate::ops::loss::{LossMetrics, LossParameters};
use crate::policy::act::{Actor, Draw};
use crate::policy::{NetworkOptions, PolicyNetwork};
use crate::ppo::advantage::{Advantages, Credit, advantages_of};
use crate::ppo::config::{Algorithm, Config, NetworkKind};
use crate::ppo::multipliers::Gains;
use crate::ppo::risk::Finished;
use crate::ppo::schedule::Schedule;
use crate::ppo::statistics::{Accounts, EpisodeSums, Normalisation, Taken, moments, normalise};
use crate::ppo::update::{Learned, UpdatePlan, update};
use crate::rollout::{Buffer, Rollout};
use crate::spec::Spec;
use crate::transfers::{self, Transfers};

/// Added to the standard deviation of advantages: a signal that hardly varies stays small.
const ADVANTAGE_EPSILON: f32 = 1e-3;

/// Everything that learns and everything it learns from.
pub struct Learner {
    pub(super) device: Device,
    pub(super) config: Config,
    pub(super) spec: Spec,
    pub(super) environment: Box<dyn Environment>,
    pub(super) rollout: Rollout,
    pub(super) network: PolicyNetwork,
    pub(super) parameters: Buffer,
    pub(super) actor: Actor,
    pub(super) adam: Adam,
    pub(super) accounts: Accounts,
    pub(super) state: State,
    /// Launches of the rollouts so far: a decision is one of the policy and one of the environment.
    launches: u64,
    /// Totals of the episodes that ended in the last rollout, and their sums.
    pub(super) finished: Option<(Buffer, EpisodeSums)>,
    /// Updates in plain tensor operations, for comparison.
    pub unfused: bool,
}

/// The network that a configuration asks for.
///
/// # Errors
/// [`AgentError::Option`] for widths that cannot work.
pub fn network_shape(config: &Config, spec: &Spec) -> Result<NetworkShape, AgentError> {
    NetworkOptions {
        encoder: config.encoder,
        hidden: config.hidden,
        recurrent: config.network != NetworkKind::Memoryless,
        sees_hidden: config.network == NetworkKind::TaskConditioned,
        beliefs: config.beliefs && config.network != NetworkKind::TaskConditioned,
        quantiles: config.quantiles,
    }
    .shape(spec)
}

fn adam_options(config: &Config) -> AdamOptions {
    AdamOptions {
        beta_1: config.adam_beta1 as f32,
        beta_2: config.adam_beta2 as f32,
        epsilon: config.adam_epsilon as f32,
        max_norm: config.max_gradient_norm as f32,
        target: config.target_kl as f32,
    }
}

impl Learner {
    /// A first network before its first decision. `config.discount` of 0 takes the task's.
    ///
    /// # Errors
    /// A configuration that does not fit; the device.
    pub fn new(
        device: &Device,
        mut environment: Box<dyn Environment>,
        config: &Config,
    ) -> Result<Self, AgentError> {
        config.check()?;
        if config.algorithm == Algorithm::Dqn {
            return Err(AgentError::Option {
                key: "algorithm".to_owned(),
                value: "dqn".to_owned(),
                cause: "this is for safe-ppo and ppo".to_owned(),
            });
        }
        let mut config = config.clone();
        let spec = environment.spec().clone();
        if config.discount == 0.0 {
            config.discount = spec.discount;
        }
        let shape = network_shape(&config, &spec)?;
        let on = bridge::tensor_device(device).autodiff();
        let network = PolicyNetwork::new(shape.clone(), config.seed, &on);
        let Some(parameters) = network.buffer() else {
            return Err(AgentError::Option {
                key: "network".to_owned(),
                value: String::new(),
                cause: "its parameters are not on the kernels' device".to_owned(),
            });
        };
        let lanes = environment.lanes();
        let rollout = Rollout::new(device, &spec, config.steps, lanes, shape.state());
        environment.reset(config.seed, 0, &rollout)?;
        Ok(Self {
            adam: Adam::new(device, shape.offsets().total, adam_options(&config)),
            actor: Actor::new(device, &shape, lanes),
            accounts: Accounts::new(device, spec.costs.len(), lanes),
            state: State::new(spec.costs.len()),
            device: device.clone(),
            config,
            spec,
            environment,
            rollout,
            network,
            parameters,
            launches: 0,
            finished: None,
            unfused: false,
        })
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The policy as it is now.
    pub(crate) fn deployed(&self) -> Deployed<'_> {
        Deployed {
            device: &self.device,
            spec: &self.spec,
            shape: self.network.shape(),
            parameters: &self.parameters,
        }
    }

    /// The last rollout, the totals of the episodes that ended in it, and their sums.
    pub(crate) fn finished(&self) -> Option<(&Rollout, &Buffer, &EpisodeSums)> {
        let (last, sums) = self.finished.as_ref()?;
        Some((&self.rollout, last, sums))
    }

    /// Launches per decision of all lanes so far.
    pub fn launches_per_decision(&self) -> f64 {
        let decisions = self.state.update * self.config.steps as u64;
        self.launches as f64 / decisions.max(1) as f64
    }

    /// The parameters on the host.
    ///
    /// # Errors
    /// When the device fails.
    pub fn parameters(&self) -> Result<Vec<f32>, AgentError> {
        Ok(self.parameters.floats(&self.device.client)?)
    }

    /// `config.steps` decisions of every lane.
    ///
    /// # Errors
    /// When the device fails.
    pub fn roll_out(&mut self) -> Result<(), AgentError> {
        let steps = self.config.steps;
        let first = (self.state.update as u32).wrapping_mul(steps as u32);
        self.actor.begin(&self.rollout);
        for t in 0..steps {
            let draw = Draw {
                seed: self.config.seed,
                first: 0,
                step: first.wrapping_add(t as u32),
                deterministic: false,
            };
            self.actor.act(&self.parameters, &self.rollout, t, draw);
            self.environment.step(&self.rollout, t)?;
            self.launches += 1 + self.environment.launches();
        }
        self.actor.value(&self.parameters, &self.rollout, steps);
        Ok(())
    }

    /// What each signal is divided by, reward first.
    fn divisors(&self) -> Vec<f64> {
        let least = std::iter::once(0.0).chain(self.spec.costs.iter().map(|c| c.limit.abs()));
        let scales = self.state.scales.iter().zip(least);
        if self.config.scale_rewards {
            scales.map(|(scale, least)| scale.divisor(least)).collect()
        } else {
            scales.map(|_| 1.0).collect()
        }
    }

    /// Advantages in the critics' unit, and the moments of their returns.
    fn advantages(&self, taken: &Taken, divisors: &[f64]) -> (Advantages, Buffer) {
        let factors: Vec<f32> = divisors.iter().map(|d| (1.0 / d) as f32).collect();
        let columns = self.rollout.steps * self.rollout.lanes;
        let times = |buffer: &Buffer, factors: &[f32]| Buffer {
            handle: scaled(&self.device, &buffer.handle, factors, columns),
            ..buffer.clone()
        };
        let mut rollout = self.rollout.clone();
        rollout.reward = times(&rollout.reward, &factors[..1]);
        let charged = times(&taken.charged, &factors[1..]);
        let trace = self.config.gae_lambda as f32;
        let mut credits = vec![Credit::reward(self.config.discount as f32, trace)];
        credits.resize(
            divisors.len(),
            Credit {
                discount: self.config.cost_discount as f32,
                ..Credit::cost(trace)
            },
        );
        let made = advantages_of(&self.device, &rollout, &charged, &credits);
        let sizes = moments(&self.device, &made.returns, &made.weight);
        (made, sizes)
    }

    /// Take the sizes of the returns, `[signals][MOMENTS]` in the critics' unit.
    fn resize(&mut self, sizes: &[f32], divisors: &[f64]) {
        for (k, (scale, divisor)) in self.state.scales.iter_mut().zip(divisors).enumerate() {
            let row = &sizes[k * MOMENTS..];
            let (mean, variance) = (f64::from(row[1]), f64::from(row[2]));
            *scale = scale.after((mean * mean + variance) * divisor * divisor);
        }
    }

    fn schedule(&self) -> (f64, f64) {
        let updates = self.config.total_updates();
        let rate = Schedule {
            shape: self.config.rate_schedule,
            start: self.config.rate,
            end: self.config.rate_end,
            warm_up: self.config.warm_up,
            updates,
        };
        let entropy = Schedule {
            shape: self.config.entropy_schedule,
            start: self.config.entropy,
            end: self.config.entropy_end,
            warm_up: 0,
            updates,
        };
        (rate.at(self.state.update), entropy.at(self.state.update))
    }

    /// A rollout and an update of the policy. One read from the device, at its end: the metrics
    /// (the first update of a run reads the size of its returns before).
    ///
    /// # Errors
    /// [`AgentError::Diverged`] (without the name of a checkpoint) when numbers left the numbers;
    /// parameters are then those before; the device.
    pub fn update(&mut self) -> Result<Metrics, AgentError> {
        let (clock, before) = (Instant::now(), Transfers::now());
        self.roll_out()?;
        let mut metrics = self.learn()?;
        let (read, seconds) = (Transfers::since(before), clock.elapsed().as_secs_f64());
        metrics.transfers = read.reads;
        metrics.transferred_bytes = read.bytes;
        metrics.seconds = seconds;
        metrics.decisions_per_second = self.config.decisions_per_update() as f64 / seconds;
        Ok(metrics)
    }

    /// The update after [`Learner::roll_out`], timed by nobody.
    ///
    /// # Errors
    /// As [`Learner::update`].
    pub(super) fn learn(&mut self) -> Result<Metrics, AgentError> {
        let device = self.device.clone();
        let etas: Vec<f64> = self
            .state
            .tails
            .iter()
            .map(|tail| tail.value_at_risk)
            .collect();
        let risk = Accounts::risk(&device, &self.spec.costs, &etas);
        let taken = self.accounts.take(&device, &self.rollout, &risk);
        let mut divisors = self.divisors();
        if self.config.scale_rewards && self.state.update == 0 {
            let (_, sizes) = self.advantages(&taken, &divisors);
            let sizes = sizes.floats(&device.client)?;
            self.resize(&sizes, &divisors);
            divisors = self.divisors();
        }
        let (made, sizes) = self.advantages(&taken, &divisors);
        let how = Normalisation {
            epsilon: ADVANTAGE_EPSILON,
            ..Normalisation::default()
        };
        normalise(&device, &made.advantage, &made.weight, &how);
        let multipliers: Vec<u32> = self
            .state
            .controllers
            .iter()
            .map(|controller| (controller.multiplier as f32).to_bits())
            .collect();
        let multipliers = Buffer::from_words(&device.client, &multipliers, multipliers.len(), 1);
        let (rate, entropy) = self.schedule();
        let plan = UpdatePlan {
            epochs: self.config.epochs,
            minibatches: self.config.minibatches,
            seed: self.config.seed,
            update: self.state.update,
            rate: rate as f32,
            loss: LossParameters {
                clip: self.config.clip as f32,
                value: self.config.value_coefficient as f32,
                cost: self.config.cost_coefficient as f32,
                entropy: entropy as f32,
                belief: self.config.belief_coefficient as f32,
                ..LossParameters::default()
            },
            unfused: self.unfused,
        };
        let losses = update(
            &device,
            &self.network,
            &self.parameters,
            &self.adam,
            &Learned {
                rollout: &self.rollout,
                advantages: &made,
                multipliers: &multipliers,
            },
            &plan,
        )?;
        let mut handles = vec![
            taken.sums.handle.clone(),
            sizes.handle.clone(),
            self.adam.state.clone(),
        ];
        handles.extend(losses.iter().map(|loss| loss.handle.clone()));
        let mut read = transfers::read_floats(&device, handles)?.into_iter();
        let (sums, sizes, optimiser) = (
            read.next().unwrap_or_default(),
            read.next().unwrap_or_default(),
            read.next().unwrap_or_default(),
        );
        let losses: Vec<Vec<f32>> = read.collect();
        let sums = EpisodeSums::from_rows(&sums[..taken.sums.rows]);
        self.finished = Some((taken.last, sums.clone()));
        let losses: Vec<LossMetrics> = losses
            .iter()
            .map(|rows| LossMetrics::from_rows(&rows[..parts(self.spec.costs.len())]))
            .collect();
        self.refuse_nonsense(&optimiser, &losses, rate)?;
        let metrics = Metrics {
            rate,
            entropy_coefficient: entropy,
            ..self.metrics(&sums, &optimiser, &losses)
        };
        self.resize(&sizes, &divisors);
        self.watch(&sums);
        self.rollout.carry(&device);
        self.state.update += 1;
        Ok(metrics)
    }

    /// Running costs, values at risk and multipliers, from the episodes that have ended.
    fn watch(&mut self, sums: &EpisodeSums) {
        self.state.recent_episodes += sums.episodes;
        self.state.recent_returns += sums.returns;
        let mut gains = Gains::of(&self.config);
        if self.config.multiplier_anneal && self.config.rate > 0.0 {
            gains = gains.slowed(self.schedule().0 / self.config.rate);
        }
        let window = self.config.episode_window * self.rollout.lanes as f64;
        for (k, cost) in self.spec.costs.iter().enumerate() {
            let new = Finished {
                episodes: sums.episodes,
                cost: sums.costs[k].total,
                squares: sums.costs[k].squares,
                excess: sums.costs[k].excess,
                excess_squares: sums.costs[k].excess_squares,
                above: sums.costs[k].above,
            };
            if new.episodes <= 0.0 {
                continue;
            }
            let unit = if cost.limit.abs() > 1e-9 {
                cost.limit.abs()
            } else {
                self.state.scales[k + 1].divisor(0.0)
            };
            let rate = self.config.value_at_risk_rate;
            let tail = self.state.tails[k].after(&new, cost, window, rate, unit);
            self.state.tails[k] = tail;
            if self.config.algorithm == Algorithm::SafePpo {
                let excess = (tail.risk(cost) - self.kept_limit(k)) / unit;
                self.state.controllers[k] = self.state.controllers[k].after(excess, &gains);
            }
        }
    }

    /// The limit that training keeps of constraint `k`.
    fn kept_limit(&self, k: usize) -> f64 {
        self.config.limit_share * self.state.kept[k] * self.spec.costs[k].limit
    }

    /// # Errors
    /// [`AgentError::Diverged`] saying which part of the loss is no number, and how far the
    /// optimiser was.
    fn refuse_nonsense(
        &self,
        optimiser: &[f32],
        losses: &[LossMetrics],
        rate: f64,
    ) -> Result<(), AgentError> {
        let bad = losses.iter().position(|loss| !loss.loss.is_finite());
        if optimiser[adam::POISONED] == 0.0 && bad.is_none() {
            return Ok(());
        }
        let at = bad
            .unwrap_or(optimiser[adam::STEPS] as usize)
            .min(losses.len().saturating_sub(1));
        let mut parts = Vec::new();
        if let Some(loss) = losses.get(at) {
            let named = [
                ("policy", loss.policy),
                ("value", loss.value),
                ("entropy", loss.entropy),
                ("belief", loss.belief),
            ];
            let costs = loss.costs.iter().zip(&self.spec.costs);
            let costs = costs.map(|(loss, cost)| (cost.name.as_str(), *loss));
            let bad = named
                .into_iter()
                .chain(costs)
                .filter(|(_, part)| !part.is_finite());
            parts.extend(bad.map(|(name, part)| format!("the {name} part of the loss is {part}")));
        }
        if parts.is_empty() {
            parts.push("the gradient is no number although the loss is one".to_owned());
        }
        Err(AgentError::Diverged {
            update: self.state.update + 1,
            what: format!(
                "{} in step {} of {}; learning rate {rate:e}, norm of the gradient {:e}, of the parameters {:e}",
                parts.join(", "),
                at + 1,
                losses.len(),
                optimiser[adam::GRADIENT_NORM],
                optimiser[adam::PARAMETER_NORM],
            ),
            checkpoint: String::new(),
        })
    }

    fn metrics(&self, sums: &EpisodeSums, optimiser: &[f32], losses: &[LossMetrics]) -> Metrics {
        let done = optimiser[adam::STEPS] as usize;
        let seen = &losses[..done.clamp(1.min(losses.len()), losses.len())];
        let mean = |of: &dyn Fn(&LossMetrics) -> f32| {
            seen.iter().map(|loss| f64::from(of(loss))).sum::<f64>() / seen.len().max(1) as f64
        };
        let ended = sums.episodes > 0.0;
        let per_episode = |sum: f64| ended.then(|| sum / sums.episodes);
        let mean_return = per_episode(sums.returns);
        let spread = mean_return.map(|mean| {
            (sums.return_squares / sums.episodes - mean * mean)
                .max(0.0)
                .sqrt()
        });
        let variance = mean(&|loss| loss.return_variance);
        let costs = self.spec.costs.iter().enumerate().map(|(k, cost)| {
            let tail = &self.state.tails[k];
            CostMetrics {
                name: cost.name.clone(),
                mean: tail.mean,
                risk: tail.risk(cost),
                limit: cost.limit,
                kept_limit: self.kept_limit(k),
                value_at_risk: tail.value_at_risk,
                multiplier: self.state.controllers[k].multiplier,
                critic_loss: mean(&|loss| loss.costs.get(k).copied().unwrap_or_default()),
            }
        });
        let update = self.state.update + 1;
        Metrics {
            update,
            decisions: update * self.config.decisions_per_update(),
            episodes: sums.episodes,
            return_mean: mean_return,
            return_sd: spread,
            episode_length: per_episode(sums.length),
            terminated: per_episode(sums.terminated),
            diverged: per_episode(sums.diverged),
            costs: costs.collect(),
            loss: mean(&|loss| loss.loss),
            policy_loss: mean(&|loss| loss.policy),
            value_loss: mean(&|loss| loss.value),
            belief_loss: mean(&|loss| loss.belief),
            entropy: mean(&|loss| loss.entropy),
            kl: f64::from(optimiser[adam::CHANGE]),
            clip_fraction: mean(&|loss| loss.clipped),
            explained_variance: (variance > 0.0)
                .then(|| 1.0 - 2.0 * mean(&|loss| loss.value) / variance),
            gradient_norm: f64::from(optimiser[adam::NORMS])
                / f64::from(optimiser[adam::STEPS]).max(1.0),
            gradients_clipped: f64::from(optimiser[adam::CLIPPED])
                / f64::from(optimiser[adam::STEPS]).max(1.0),
            parameter_norm: f64::from(optimiser[adam::PARAMETER_NORM]),
            steps_taken: f64::from(optimiser[adam::STEPS]),
            steps_possible: losses.len() as f64,
            ..Metrics::default()
        }
    }
}
