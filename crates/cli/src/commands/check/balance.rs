//! Declared mass balances, verified: `d(total)/dt - gain` is zero along the equations.

use posology_cohort::Cohort;
use posology_cohort::philox::standard_normal;
use posology_model::Model;
use posology_model::differentiate::vector_jacobian_product;
use posology_model::graph::NodeId;
use posology_model::interpret::{Environment, evaluate, evaluate_slots};
use posology_model::model::Balance;
use serde::Serialize;

/// Random points of each patient.
const POINTS: u32 = 16;
/// Relative residual that rounding can leave.
const ROUNDING: f64 = 1e-9;
/// A Philox stream that no other module uses.
const STREAM: u32 = 90;

/// Whether a balance holds.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub name: String,
    /// Points at which every term was finite.
    pub points: usize,
    /// Largest residual, as a share of the sum of the terms' sizes.
    pub worst: f64,
    pub holds: bool,
}

/// Every declared balance at random states of the cohort's patients, in f64, while no input runs.
pub fn verify(model: &Model, cohort: &Cohort, seed: u64) -> Vec<Verdict> {
    model
        .balances
        .iter()
        .map(|balance| verify_one(model, balance, cohort, seed))
        .collect()
}

fn verify_one(model: &Model, balance: &Balance, cohort: &Cohort, seed: u64) -> Verdict {
    let mut graph = model.graph.clone();
    // the chain rule: d(total)/dt is the sum over states of d(total)/d(state) times its rate,
    // and the explicit derivative with respect to either clock
    let mut variables: Vec<NodeId> = (0..model.states.len()).map(|s| graph.state(s)).collect();
    variables.extend([graph.time(), graph.tad()]);
    let one = graph.constant(1.0);
    let gradient = vector_jacobian_product(&mut graph, &[balance.total], &[one], &variables);
    let velocities = model
        .states
        .iter()
        .map(|state| state.rate)
        .chain([one, one]);
    let mut nodes: Vec<NodeId> = gradient
        .iter()
        .zip(velocities)
        .map(|(&slope, rate)| graph.mul(slope, rate))
        .collect();
    nodes.push(balance.gain);
    let starts: Vec<NodeId> = model.states.iter().map(|state| state.init).collect();
    let inputs = vec![0.0; model.inputs.len()];

    let mut verdict = Verdict {
        name: balance.name.clone(),
        points: 0,
        worst: 0.0,
        holds: false,
    };
    for (patient, &id) in cohort.ids.iter().enumerate() {
        let slots = cohort.patient(patient);
        let start = evaluate_slots(&graph, &starts, &slots);
        for point in 0..POINTS {
            let draw = |k: usize| standard_normal(seed, id, point, STREAM, k as u32);
            // two orders of magnitude around the start, or around 1 where the start is zero
            let scale = |start: f64| if start == 0.0 { 1.0 } else { start };
            let states: Vec<f64> = start
                .iter()
                .enumerate()
                .map(|(k, &x)| scale(x) * (1.5 * draw(k)).exp())
                .collect();
            let time = 10.0 * draw(states.len()).abs();
            let environment = Environment {
                states: &states,
                slots: &slots,
                inputs: &inputs,
                time,
                tad: time,
                ..Environment::default()
            };
            let terms = evaluate(&graph, &nodes, &environment);
            let Some((gain, terms)) = terms.split_last() else {
                continue;
            };
            let size = terms.iter().map(|term| term.abs()).sum::<f64>() + gain.abs();
            let residual = (terms.iter().sum::<f64>() - gain).abs();
            if !(size.is_finite() && residual.is_finite()) {
                continue;
            }
            verdict.points += 1;
            if size > 0.0 {
                verdict.worst = verdict.worst.max(residual / size);
            }
        }
    }
    verdict.holds = verdict.points > 0 && verdict.worst <= ROUNDING;
    verdict
}
