//! Whole episodes without learning: what baselines and oracles are worth.

mod compare;
mod open_loop;
mod policy;
mod record;
mod search;

use posology_kernels::device::Device;
use posology_kernels::environment::Rule;

use crate::environment::Environment;
use crate::environment::patients::Patients;
use crate::error::AgentError;
use crate::policy::act::{Actor, Draw};
use crate::rollout::{Buffer, RESET, Rollout};

pub use self::compare::{CompareOptions, Compared, compare};
pub use self::open_loop::{OpenLoop, OpenLoopOptions, optimise, optimise_among};
pub use self::policy::Policy;
pub use self::record::{Record, record};
pub use self::search::{Found, SearchOptions, play_found, search, search_among};

/// Decisions between two transfers of what happened.
const CHUNK: usize = 64;

/// Who decides.
#[derive(Clone, Debug)]
pub enum Player {
    /// Uniformly among what is allowed.
    Random,
    /// Always this, one value per factor: the index of a level, or a fraction.
    Always(Vec<f32>),
    /// A rule of the task.
    Rule(Rule),
    /// A plan, `[factors][decisions][lanes]`, whatever is observed.
    Plan(Vec<f32>),
    /// A network.
    Policy(Policy),
    /// Someone who takes over after decisions that have been made; he has seen them: a policy has
    /// them in its core.
    After(Begun, Box<Player>),
}

/// How a course has begun.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Begun {
    /// `[factors][decisions][lanes]`
    pub actions: Vec<f32>,
    pub decisions: usize,
    /// `[lane]` from then on each lane meets the measurement errors of this number; none: those of
    /// its patient.
    pub numbers: Vec<u32>,
}

/// How the episode of each lane went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Episodes {
    /// `[lane]` sum of the weighted reward.
    pub returns: Vec<f64>,
    /// `[term][lane]`
    pub terms: Vec<Vec<f64>>,
    /// `[cost][lane]`
    pub costs: Vec<Vec<f64>>,
    /// `[lane]`
    pub decisions: Vec<u32>,
    /// `[lane]` flags of the last transition.
    pub flags: Vec<u32>,
}

impl Episodes {
    /// Mean return.
    pub fn mean_return(&self) -> f64 {
        self.returns.iter().sum::<f64>() / self.returns.len().max(1) as f64
    }
}

/// A transition of one lane.
pub(crate) struct Happened<'a> {
    reward: &'a [f32],
    terms: &'a [f32],
    cost: &'a [f32],
    /// Columns of a row, and this transition's.
    all: usize,
    at: usize,
    pub flags: u32,
}

impl Happened<'_> {
    pub fn reward(&self) -> f64 {
        f64::from(self.reward[self.at])
    }

    pub fn term(&self, k: usize) -> f64 {
        f64::from(self.terms[k * self.all + self.at])
    }

    pub fn cost(&self, k: usize) -> f64 {
        f64::from(self.cost[k * self.all + self.at])
    }
}

/// Plays one episode in every lane, lanes of patients that rest when theirs is over
/// ([`crate::environment::AutoReset::Disabled`]).
///
/// # Errors
/// When the device fails, or a plan has another size than the lanes need.
pub fn play(
    device: &Device,
    patients: &mut Patients,
    player: &Player,
    seed: u64,
    first_patient: u32,
) -> Result<Episodes, AgentError> {
    let spec = patients.spec();
    let lanes = patients.lanes();
    let mut episodes = Episodes {
        returns: vec![0.0; lanes],
        terms: vec![vec![0.0; lanes]; spec.rewards.len()],
        costs: vec![vec![0.0; lanes]; spec.costs.len()],
        decisions: vec![0; lanes],
        flags: vec![0; lanes],
    };
    follow(
        device,
        patients,
        player,
        seed,
        first_patient,
        &mut |i, happened| {
            episodes.returns[i] += happened.reward();
            for (k, term) in episodes.terms.iter_mut().enumerate() {
                term[i] += happened.term(k);
            }
            for (k, sum) in episodes.costs.iter_mut().enumerate() {
                sum[i] += happened.cost(k);
            }
            episodes.decisions[i] += 1;
            episodes.flags[i] = happened.flags;
        },
    )?;
    Ok(episodes)
}

/// Plays as [`play`] does; every transition of a lane is told in its order.
pub(crate) fn follow(
    device: &Device,
    patients: &mut Patients,
    player: &Player,
    seed: u64,
    first_patient: u32,
    tell: &mut dyn FnMut(usize, &Happened<'_>),
) -> Result<(), AgentError> {
    let spec = patients.spec().clone();
    let (lanes, horizon) = (patients.lanes(), spec.horizon);
    let chunk = CHUNK.min(horizon);
    let (plan, planned, numbers, player) = match player {
        Player::After(begun, then) => (
            begun.actions.as_slice(),
            begun.decisions.min(horizon),
            begun.numbers.as_slice(),
            then.as_ref(),
        ),
        Player::Plan(plan) => (plan.as_slice(), horizon, &[][..], player),
        other => (&[][..], 0, &[][..], other),
    };
    let factors = spec.actions.len();
    check(plan.len(), factors * planned * lanes)?;
    let actor = match player {
        Player::Policy(policy) => Some((policy, Actor::new(device, &policy.shape, lanes))),
        _ => None,
    };
    let core = actor.as_ref().map_or(0, |(_, actor)| actor.core().rows);
    let mut rollout = Rollout::new(device, &spec, chunk, lanes, core);
    if let Player::Always(values) = player {
        let rows = values.iter();
        let words: Vec<u32> = rows
            .flat_map(|v| std::iter::repeat_n(v.to_bits(), chunk * lanes))
            .collect();
        check(words.len(), factors * chunk * lanes)?;
        rollout.action = Buffer::from_words(&device.client, &words, factors, chunk * lanes);
    }
    patients.reset(seed, first_patient, &rollout)?;
    let mut over = vec![false; lanes];
    let mut done = 0;
    while done < horizon && over.iter().any(|over| !over) {
        let steps = chunk.min(horizon - done);
        let mut forced = rollout.clone();
        if done < planned {
            let words = part(plan, planned, done, chunk, lanes);
            forced.action = Buffer::from_words(&device.client, &words, factors, chunk * lanes);
        }
        for t in 0..steps {
            match player {
                Player::Random => patients.wander(&rollout, t, done + t, seed),
                Player::Rule(rule) => patients.follow(&rollout, t, rule),
                _ => {}
            }
            if let Some((policy, actor)) = &actor {
                let draw = Draw {
                    seed,
                    first: first_patient,
                    step: (done + t) as u32,
                    deterministic: policy.deterministic,
                };
                actor.act(&policy.parameters, &rollout, t, draw);
            }
            if !numbers.is_empty() && done + t == planned {
                patients.renumber(numbers)?;
            }
            let now = if done + t < planned {
                &forced
            } else {
                &rollout
            };
            patients.step(now, t)?;
        }
        account(device, &rollout, steps, &mut over, tell)?;
        done += steps;
        rollout.carry(device);
    }
    Ok(())
}

/// Decisions `done..done + chunk` of a plan; zero behind its end.
fn part(plan: &[f32], planned: usize, done: usize, chunk: usize, lanes: usize) -> Vec<u32> {
    let known = chunk.min(planned - done) * lanes;
    plan.chunks_exact(planned * lanes)
        .flat_map(|row| {
            let first = done * lanes;
            let rest = std::iter::repeat_n(0, chunk * lanes - known);
            let known = &row[first..first + known];
            known.iter().map(|v| v.to_bits()).chain(rest)
        })
        .collect()
}

fn check(found: usize, wanted: usize) -> Result<(), AgentError> {
    if found == wanted {
        return Ok(());
    }
    Err(AgentError::Option {
        key: "actions".to_owned(),
        value: format!("{found} values"),
        cause: format!("{wanted} are needed"),
    })
}

/// Tells what happened, and notes whose episode is over.
fn account(
    device: &Device,
    rollout: &Rollout,
    steps: usize,
    over: &mut [bool],
    tell: &mut dyn FnMut(usize, &Happened<'_>),
) -> Result<(), AgentError> {
    let client = &device.client;
    let reward = rollout.reward.floats(client)?;
    let terms = rollout.terms.floats(client)?;
    let cost = rollout.cost.floats(client)?;
    let flags = rollout.flags.words(client)?;
    let (lanes, all) = (rollout.lanes, rollout.steps * rollout.lanes);
    for (i, over) in over.iter_mut().enumerate() {
        for t in 0..steps {
            let at = t * lanes + i;
            *over = *over || flags[at] & RESET != 0;
            if *over {
                break;
            }
            tell(
                i,
                &Happened {
                    reward: &reward,
                    terms: &terms,
                    cost: &cost,
                    all,
                    at,
                    flags: flags[at],
                },
            );
            *over = flags[at] != 0;
        }
    }
    Ok(())
}
