//! Whole episodes without learning: what baselines and oracles are worth.

mod compare;
mod open_loop;
mod search;

use posology_kernels::device::Device;
use posology_kernels::environment::Rule;

use crate::environment::Environment;
use crate::environment::patients::Patients;
use crate::error::AgentError;
use crate::rollout::{Buffer, RESET, Rollout};

pub use self::compare::{CompareOptions, Compared, compare};
pub use self::open_loop::{OpenLoop, OpenLoopOptions, optimise};
pub use self::search::{Found, SearchOptions, search};

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
    let spec = patients.spec().clone();
    let (lanes, horizon) = (patients.lanes(), spec.horizon);
    let chunk = CHUNK.min(horizon);
    let mut rollout = Rollout::new(device, &spec, chunk, lanes, 0);
    let factors = spec.actions.len();
    match player {
        Player::Always(values) => {
            let rows = values.iter();
            let words: Vec<u32> = rows
                .flat_map(|v| std::iter::repeat_n(v.to_bits(), chunk * lanes))
                .collect();
            check(words.len(), factors * chunk * lanes)?;
            rollout.action = Buffer::from_words(&device.client, &words, factors, chunk * lanes);
        }
        Player::Plan(plan) => check(plan.len(), factors * horizon * lanes)?,
        Player::Random | Player::Rule(_) => {}
    }
    let mut episodes = Episodes {
        returns: vec![0.0; lanes],
        terms: vec![vec![0.0; lanes]; spec.rewards.len()],
        costs: vec![vec![0.0; lanes]; spec.costs.len()],
        decisions: vec![0; lanes],
        flags: vec![0; lanes],
    };
    patients.reset(seed, first_patient, &rollout)?;
    let mut done = 0;
    while done < horizon {
        let steps = chunk.min(horizon - done);
        if let Player::Plan(plan) = player {
            let words: Vec<u32> = (0..factors)
                .flat_map(|f| {
                    let first = (f * horizon + done) * lanes;
                    let row = &plan[first..first + steps * lanes];
                    let rest = std::iter::repeat_n(0, (chunk - steps) * lanes);
                    row.iter().map(|v| v.to_bits()).chain(rest)
                })
                .collect();
            rollout.action = Buffer::from_words(&device.client, &words, factors, chunk * lanes);
        }
        for t in 0..steps {
            match player {
                Player::Random => patients.wander(&rollout, t, done + t, seed),
                Player::Rule(rule) => patients.follow(&rollout, t, rule),
                Player::Always(_) | Player::Plan(_) => {}
            }
            patients.step(&rollout, t)?;
        }
        let active = account(device, &rollout, steps, &mut episodes)?;
        done += steps;
        if !active {
            break;
        }
        rollout.carry(device);
    }
    Ok(episodes)
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

/// Adds what happened; whether any lane goes on.
fn account(
    device: &Device,
    rollout: &Rollout,
    steps: usize,
    episodes: &mut Episodes,
) -> Result<bool, AgentError> {
    let client = &device.client;
    let reward = rollout.reward.floats(client)?;
    let terms = rollout.terms.floats(client)?;
    let cost = rollout.cost.floats(client)?;
    let flags = rollout.flags.words(client)?;
    let (lanes, all) = (rollout.lanes, rollout.steps * rollout.lanes);
    let mut active = false;
    for i in 0..lanes {
        let mut over = false;
        for t in 0..steps {
            let at = t * lanes + i;
            if flags[at] & RESET != 0 {
                over = true;
                break;
            }
            episodes.returns[i] += f64::from(reward[at]);
            for (k, term) in episodes.terms.iter_mut().enumerate() {
                term[i] += f64::from(terms[k * all + at]);
            }
            for (k, sum) in episodes.costs.iter_mut().enumerate() {
                sum[i] += f64::from(cost[k * all + at]);
            }
            episodes.decisions[i] += 1;
            episodes.flags[i] = flags[at];
        }
        active |= !over && episodes.flags[i] == 0;
    }
    Ok(active)
}
