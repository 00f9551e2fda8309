//! One run of Q-learning in memory.

use std::sync::Arc;
use std::time::Instant;

use posology_kernels::device::Device;
use posology_kernels::dqn::loss::part;
use posology_kernels::update::adam::{self, Adam, AdamOptions};

use super::config::{epsilon, resolved};
use super::replay::{Replay, Sampling, explore, levels, price};
use super::update::{QPlan, Student, follow, update};
use crate::bridge;
use crate::environment::Environment;
use crate::error::AgentError;
use crate::policy::PolicyNetwork;
use crate::policy::act::{Actor, Draw};
use crate::ppo::config::Config;
use crate::ppo::risk::Finished;
use crate::ppo::scale::Scale;
use crate::ppo::schedule::Schedule;
use crate::ppo::statistics::{Accounts, EpisodeSums, moments};
use crate::rollout::{Buffer, Rollout};
use crate::spec::Spec;
use crate::train::learner::network_shape;
use crate::train::log::{CostMetrics, Metrics, ValueMetrics};
use crate::train::state::State;
use crate::train::trainer::Deployed;
use crate::transfers::{self, Transfers};

/// Everything that learns and everything it learns from.
pub struct DqnLearner {
    pub(super) device: Device,
    pub(super) config: Config,
    pub(super) spec: Spec,
    pub(super) environment: Box<dyn Environment>,
    pub(super) rollout: Rollout,
    pub(super) network: PolicyNetwork,
    pub(super) parameters: Buffer,
    pub(super) target: Buffer,
    pub(super) actor: Actor,
    pub(super) adam: Adam,
    pub(super) accounts: Accounts,
    pub(super) replay: Replay,
    /// `scales[0]` is the unit of the reward.
    pub(super) state: State,
    levels: Arc<Vec<u32>>,
    tally: Buffer,
    launches: u64,
    /// Totals of the episodes that ended in the last rollout, and their sums.
    finished: Option<(Buffer, EpisodeSums)>,
}

impl DqnLearner {
    /// A first network before its first decision.
    ///
    /// # Errors
    /// A configuration or a task that does not fit; the device.
    pub fn new(
        device: &Device,
        mut environment: Box<dyn Environment>,
        config: &Config,
    ) -> Result<Self, AgentError> {
        let spec = environment.spec().clone();
        let config = resolved(config, &spec)?;
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
        let replay = Replay::new(device, &config, &spec, &shape, lanes)?;
        let rollout = Rollout::new(device, &spec, config.steps, lanes, 0);
        environment.reset(config.seed, 0, &rollout)?;
        let target = Buffer::empty(&device.client, 1, shape.offsets().total);
        follow(device, &parameters, &target, 1.0);
        let options = AdamOptions {
            beta_1: config.adam_beta1 as f32,
            beta_2: config.adam_beta2 as f32,
            epsilon: config.adam_epsilon as f32,
            max_norm: config.max_gradient_norm as f32,
            target: 0.0,
        };
        let mut state = State::new(spec.costs.len());
        if config.dqn_reward_unit > 0.0 {
            state.scales[0] = scale(config.dqn_reward_unit);
        }
        Ok(Self {
            adam: Adam::new(device, shape.offsets().total, options),
            actor: Actor::new(device, &shape, lanes),
            accounts: Accounts::new(device, spec.costs.len(), lanes),
            levels: levels(&shape),
            tally: Buffer::empty(&device.client, part::ALL, 1),
            launches: 0,
            finished: None,
            device: device.clone(),
            config,
            spec,
            environment,
            rollout,
            network,
            parameters,
            target,
            replay,
            state,
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

    /// What rewards are divided by before they are learnt.
    pub fn reward_unit(&self) -> f64 {
        self.state.scales[0].divisor(0.0)
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

    /// Launches per decision of all lanes so far: the policy, exploration, the environment.
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
    fn roll_out(&mut self, epsilon: f64) -> Result<(), AgentError> {
        let (steps, seed) = (self.config.steps, self.config.seed);
        let first = (self.state.update as u32).wrapping_mul(steps as u32);
        for t in 0..steps {
            let step = first.wrapping_add(t as u32);
            let draw = Draw {
                seed,
                first: 0,
                step,
                deterministic: true,
            };
            self.actor.act(&self.parameters, &self.rollout, t, draw);
            explore(
                &self.device,
                &self.rollout,
                t,
                &self.levels,
                epsilon,
                seed,
                step,
            );
            self.environment.step(&self.rollout, t)?;
            self.launches += 2 + self.environment.launches();
        }
        Ok(())
    }

    /// Measure the unit of the reward, so that returns differ by about 1: the size of a reward times
    /// that of a discounted sum of as many independent ones as an episode has.
    fn measure_unit(
        &mut self,
        priced: &Buffer,
        weight: &Buffer,
        sums: &Buffer,
    ) -> Result<(), AgentError> {
        let found = moments(&self.device, priced, weight);
        let handles = vec![found.handle, sums.handle.clone()];
        let read = transfers::read_floats(&self.device, handles)?;
        let row = |k: usize| f64::from(read[0][k]);
        let (decided, square) = (row(0), row(1) * row(1) + row(2));
        let ended = EpisodeSums::from_rows(&read[1][..sums.rows]).episodes;
        let length = (decided / ended.max(1.0)).min(self.spec.horizon as f64);
        let kept = self.config.discount * self.config.discount;
        let independent = if kept < 1.0 {
            (1.0 - kept.powf(length)) / (1.0 - kept)
        } else {
            length
        };
        self.state.scales[0] = self.state.scales[0].after(square * independent);
        Ok(())
    }

    fn rate(&self) -> f64 {
        Schedule {
            shape: self.config.rate_schedule,
            start: self.config.rate,
            end: self.config.rate_end,
            warm_up: self.config.warm_up,
            updates: self.config.total_updates(),
        }
        .at(self.state.update)
    }

    /// Decisions of every lane into the ring, and steps of the optimiser. One read from the device,
    /// at its end: the metrics (the first update of a run measures the reward before, unless its
    /// unit is given).
    ///
    /// # Errors
    /// [`AgentError::Diverged`] (without the name of a checkpoint) when numbers left the numbers;
    /// parameters are then those before; the device.
    pub fn update(&mut self) -> Result<Metrics, AgentError> {
        let (clock, before) = (Instant::now(), Transfers::now());
        let device = self.device.clone();
        let epsilon = epsilon(&self.config, self.state.update);
        self.roll_out(epsilon)?;
        let tails = self.state.tails.iter();
        let etas: Vec<f64> = tails.map(|tail| tail.value_at_risk).collect();
        let risk = Accounts::risk(&device, &self.spec.costs, &etas);
        let taken = self.accounts.take(&device, &self.rollout, &risk);
        let (priced, weight) = price(&device, &self.rollout, &self.config.dqn_penalties);
        self.replay.take(&device, &self.rollout, &priced);
        if self.state.scales[0].weight == 0.0 {
            self.measure_unit(&priced, &weight, &taken.sums)?;
        }
        let rate = self.rate();
        let plan = QPlan {
            sampling: Sampling {
                batch: self.config.dqn_batch,
                n_step: self.config.dqn_n_step,
                discount: self.config.discount as f32,
                unit: (1.0 / self.reward_unit()) as f32,
                seed: self.config.seed,
                number: 0,
            },
            steps: self.config.dqn_steps,
            rate: rate as f32,
            width: self.config.dqn_huber as f32,
            target_every: self.config.dqn_target_every,
            target_share: self.config.dqn_target_share,
            before: self.state.update * self.config.dqn_steps,
        };
        let student = Student {
            network: &self.network,
            parameters: &self.parameters,
            target: &self.target,
            adam: &self.adam,
            tally: &self.tally,
        };
        update(&device, &student, &self.replay, &plan)?;
        let handles = vec![
            taken.sums.handle.clone(),
            self.adam.state.clone(),
            self.tally.handle.clone(),
        ];
        let read = transfers::read_floats(&device, handles)?;
        let sums = EpisodeSums::from_rows(&read[0][..taken.sums.rows]);
        let (optimiser, tally) = (&read[1], &read[2]);
        self.refuse_nonsense(optimiser, tally, rate)?;
        let metrics = self.metrics(&sums, optimiser, tally);
        self.watch(&sums);
        self.finished = Some((taken.last, sums));
        self.rollout.carry(&device);
        self.state.update += 1;
        let (read, seconds) = (Transfers::since(before), clock.elapsed().as_secs_f64());
        Ok(Metrics {
            rate,
            values: metrics
                .values
                .map(|values| ValueMetrics { epsilon, ..values }),
            transfers: read.reads,
            transferred_bytes: read.bytes,
            seconds,
            decisions_per_second: self.config.decisions_per_update() as f64 / seconds,
            ..metrics
        })
    }

    fn refuse_nonsense(
        &self,
        optimiser: &[f32],
        tally: &[f32],
        rate: f64,
    ) -> Result<(), AgentError> {
        let loss = tally[part::LOSS];
        if optimiser[adam::POISONED] == 0.0 && loss.is_finite() {
            return Ok(());
        }
        Err(AgentError::Diverged {
            update: self.state.update + 1,
            what: format!(
                "the loss of Q-learning sums to {loss} after {} of {} steps; learning rate {rate:e}, norm of the gradient {:e}, of the parameters {:e}",
                optimiser[adam::STEPS],
                self.config.dqn_steps,
                optimiser[adam::GRADIENT_NORM],
                optimiser[adam::PARAMETER_NORM],
            ),
            checkpoint: String::new(),
        })
    }

    /// Running costs, from the episodes that have ended.
    fn watch(&mut self, sums: &EpisodeSums) {
        self.state.recent_episodes += sums.episodes;
        self.state.recent_returns += sums.returns;
        if sums.episodes <= 0.0 {
            return;
        }
        let window = self.config.episode_window * self.rollout.lanes as f64;
        let rate = self.config.value_at_risk_rate;
        for (k, cost) in self.spec.costs.iter().enumerate() {
            let new = Finished {
                episodes: sums.episodes,
                cost: sums.costs[k].total,
                squares: sums.costs[k].squares,
                excess: sums.costs[k].excess,
                excess_squares: sums.costs[k].excess_squares,
                above: sums.costs[k].above,
            };
            let unit = cost.limit.abs().max(1e-9);
            let tail = self.state.tails[k].after(&new, cost, window, rate, unit);
            self.state.tails[k] = tail;
        }
    }

    fn metrics(&self, sums: &EpisodeSums, optimiser: &[f32], tally: &[f32]) -> Metrics {
        let steps = self.config.dqn_steps as f64;
        let mean = |row: usize| f64::from(tally[row]) / steps;
        let per_episode = |sum: f64| (sums.episodes > 0.0).then(|| sum / sums.episodes);
        let return_mean = per_episode(sums.returns);
        let variance = return_mean.map(|mean| sums.return_squares / sums.episodes - mean * mean);
        let costs = self.spec.costs.iter().enumerate().map(|(k, cost)| {
            let tail = &self.state.tails[k];
            CostMetrics {
                name: cost.name.clone(),
                mean: tail.mean,
                risk: tail.risk(cost),
                limit: cost.limit,
                value_at_risk: tail.value_at_risk,
                ..CostMetrics::default()
            }
        });
        let taken = f64::from(optimiser[adam::STEPS]);
        let unit = self.reward_unit();
        let number = self.state.update + 1;
        Metrics {
            update: number,
            decisions: number * self.config.decisions_per_update(),
            episodes: sums.episodes,
            return_mean,
            return_sd: variance.map(|variance| variance.max(0.0).sqrt()),
            episode_length: per_episode(sums.length),
            terminated: per_episode(sums.terminated),
            diverged: per_episode(sums.diverged),
            costs: costs.collect(),
            loss: mean(part::LOSS),
            value_loss: mean(part::LOSS),
            values: Some(ValueMetrics {
                epsilon: 0.0,
                mean: unit * mean(part::VALUE),
                target: unit * mean(part::TARGET),
                error: unit * mean(part::ERROR),
                reward_unit: unit,
            }),
            gradient_norm: f64::from(optimiser[adam::NORMS]) / taken.max(1.0),
            gradients_clipped: f64::from(optimiser[adam::CLIPPED]) / taken.max(1.0),
            parameter_norm: f64::from(optimiser[adam::PARAMETER_NORM]),
            steps_taken: taken,
            steps_possible: steps,
            ..Metrics::default()
        }
    }
}

/// A scale that divides by `unit`.
fn scale(unit: f64) -> Scale {
    Scale {
        square: unit * unit,
        weight: 1.0,
    }
}
