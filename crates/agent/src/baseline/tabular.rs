//! Policies of a tabular process, each with its exact value: chance, those of the data, the
//! optimum, a network.

use posology_kernels::device::Device;

use super::exact::{Among, Gain, deterministic, evaluate, optimum, uniform};
use crate::environment::process::TabularProcess;
use crate::environment::tabular::every_state;
use crate::error::AgentError;
use crate::policy::reference::probabilities;
use crate::policy::{Actor, Draw, NetworkShape};
use crate::rollout::Buffer;

/// What a policy is worth, exactly.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Worth {
    pub name: String,
    /// Mean weighted return of an episode.
    pub mean_return: f64,
    /// Mean sum of each cost over an episode.
    pub costs: Vec<f64>,
    /// Mean decisions of an episode.
    pub decisions: f64,
}

/// The worth of a policy `[states][actions]`.
///
/// # Errors
/// As [`evaluate`].
pub fn worth(process: &TabularProcess, name: &str, policy: &[f64]) -> Result<Worth, AgentError> {
    let mean = |gain| Ok::<f64, AgentError>(evaluate(process, policy, gain)?.mean);
    Ok(Worth {
        name: name.to_owned(),
        mean_return: mean(Gain::Reward)?,
        costs: (0..process.costs.len())
            .map(|k| mean(Gain::Cost(k)))
            .collect::<Result<_, _>>()?,
        decisions: mean(Gain::Decisions)?,
    })
}

/// Chance, the policies that come with the data, and the optimum without regard to costs.
///
/// # Errors
/// As [`evaluate`].
pub fn baselines(process: &TabularProcess) -> Result<Vec<Worth>, AgentError> {
    let mut out = vec![worth(process, "random", &uniform(process, Among::All))?];
    for (name, policy) in &process.policies {
        out.push(worth(process, name, policy)?);
    }
    let best = optimum(process, Gain::Reward, Among::All)?;
    let policy = deterministic(process, &best.action);
    out.push(worth(process, "optimal", &policy)?);
    Ok(out)
}

/// What a network without memory does in every state: probabilities `[states][actions]`.
///
/// # Errors
/// [`AgentError::Option`] for a network that remembers (what it does is no function of the state)
/// or has other heads; the device.
pub fn network_policy(
    device: &Device,
    process: &TabularProcess,
    shape: &NetworkShape,
    parameters: &Buffer,
) -> Result<Vec<f64>, AgentError> {
    let actions = process.actions.len();
    if shape.recurrent || shape.outputs.heads != process.spec().heads() {
        return Err(AgentError::Option {
            key: "network".to_owned(),
            value: format!("{:?}", shape.outputs.heads),
            cause: "must be without memory, with one head of the process's actions".to_owned(),
        });
    }
    let rollout = every_state(device, process)?;
    let actor = Actor::new(device, shape, process.states);
    let draw = Draw {
        seed: 0,
        first: 0,
        step: 0,
        deterministic: true,
    };
    actor.act(parameters, &rollout, 0, draw);
    let outputs = actor.outputs().floats(&device.client)?;
    let row = |(state, &mask): (usize, &u32)| {
        let logit = |a: usize| f64::from(outputs[a * process.states + state]);
        probabilities(&(0..actions).map(logit).collect::<Vec<_>>(), mask)
    };
    Ok(process
        .admissible
        .iter()
        .enumerate()
        .flat_map(row)
        .collect())
}

/// The most probable action in every state.
pub fn greedy(process: &TabularProcess, policy: &[f64]) -> Vec<usize> {
    let best = |row: &[f64]| {
        let better = |best: usize, a: usize| if row[a] > row[best] { a } else { best };
        (0..row.len()).fold(0, better)
    };
    policy.chunks(process.actions.len()).map(best).collect()
}
