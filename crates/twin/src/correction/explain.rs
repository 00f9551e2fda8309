//! What a correction adds to a rate.

use posology_model::Model;
use posology_model::interpret::{Environment, Interpreter};
use posology_model::program::lower_directly;

/// The parts of a corrected rate; coherent units of the state per time.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Contribution {
    /// Index of the state.
    pub state: usize,
    pub mechanism: f64,
    pub correction: f64,
}

/// Every corrected rate of `model` at each of `places`: slots, states (coherent units) and model
/// time, without infusions. Empty for a model without a correction; weights are slots if it was
/// loaded trainable.
pub fn contributions(
    model: &Model,
    places: &[(Vec<f64>, Vec<f64>, f64)],
) -> Vec<Vec<Contribution>> {
    let Some(correction) = &model.correction else {
        return vec![Vec::new(); places.len()];
    };
    let roots = correction.rates.iter().flat_map(|r| [r.mechanism, r.term]);
    let block = lower_directly(&model.graph, &roots.collect::<Vec<_>>());
    let inputs = vec![0.0; model.inputs.len()];
    let mut interpreter = Interpreter::default();
    let mut out = Vec::new();
    let one = |(slots, states, time): &(Vec<f64>, Vec<f64>, f64)| {
        let environment = Environment {
            states,
            slots,
            inputs: &inputs,
            time: *time,
            tad: *time,
            ..Environment::default()
        };
        interpreter.run(&block, &environment, &mut out);
        let pairs = out.chunks_exact(2).zip(&correction.rates);
        pairs
            .map(|(parts, rate)| Contribution {
                state: rate.state,
                mechanism: parts[0],
                correction: parts[1],
            })
            .collect()
    };
    places.iter().map(one).collect()
}
