//! The correction of a model, in a line and as JSON.

use posology_model::Model;
use posology_model::correction::{CorrectedRate, Correction, Form};
use serde_json::{Value, json};

fn state<'a>(model: &'a Model, rate: &CorrectedRate) -> &'a str {
    model.states.get(rate.state).map_or("", |state| &state.name)
}

/// What is corrected by what, and whether it is trained.
pub fn line(model: &Model, correction: &Correction) -> String {
    let states = correction
        .rates
        .iter()
        .map(|rate| format!("{} ({})", state(model, rate), rate.form.word()));
    let network = &correction.network;
    let weights = match &correction.file {
        Some(file) => format!("weights {}", file.display()),
        None => "untrained".to_owned(),
    };
    let off = if correction.is_off() {
        ", so switched off"
    } else {
        ""
    };
    format!(
        "correction of {} by a network of {}: {} x {} {}, {} latents, {} weights, {weights}{off}",
        states.collect::<Vec<_>>().join(", "),
        correction.inputs.join("; "),
        network.layers,
        network.width,
        network.activation.word(),
        network.latents,
        network.weight_count(),
    )
}

/// Scales and floors in the units of the states, and the model's time.
pub fn describe(model: &Model, correction: &Correction) -> Value {
    let network = &correction.network;
    let rate = |rate: &CorrectedRate| {
        let scale = model
            .states
            .get(rate.state)
            .map_or(1.0, |state| model.units.scale(&state.unit));
        let of_state = match rate.form {
            Form::Relative => 1.0,
            Form::Absolute => scale,
        };
        json!({
            "state": state(model, rate), "form": rate.form, "scale": rate.scale / of_state,
            "floor": rate.floor.map(|floor| floor / scale),
        })
    };
    json!({
        "rates": correction.rates.iter().map(rate).collect::<Vec<_>>(),
        "inputs": correction.inputs,
        "width": network.width,
        "layers": network.layers,
        "activation": network.activation,
        "latents": network.latents,
        "weights": network.weight_count(),
        "file": correction.file,
        "seed": correction.seed,
        "off": correction.is_off(),
    })
}
