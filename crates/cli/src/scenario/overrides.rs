//! `KEY=VALUE`: typical values from the command line.

use posology_model::Model;
use posology_model::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use posology_model::model::Origin;
use serde::Serialize;

use super::{argument, slot_unit};
use crate::error::Failure;

/// A changed typical value, in its declared unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Override {
    pub name: String,
    pub value: f64,
    pub unit: String,
    /// The value of the model file.
    pub instead_of: f64,
}

/// Change typical values of parameters and reference values of covariates.
///
/// # Errors
/// Class usage, every finding: `U001` unknown keys, `U002` malformed settings, `U003` units,
/// `U004` values outside the bounds of their parameter.
pub fn apply(model: &mut Model, settings: &[String]) -> Result<Vec<Override>, Failure> {
    let mut found = Diagnostics::new();
    let mut out: Vec<Override> = Vec::new();
    for setting in settings {
        match read(model, setting) {
            Ok((slot, value)) => {
                let name = model.slot_name(slot).to_owned();
                if out.iter().any(|known| known.name == name) {
                    let message = format!("`{name}` is set twice");
                    found.push(
                        Diagnostic::error("U002", message).at(&argument(setting), 0..setting.len()),
                    );
                }
                let (unit, scale) = slot_unit(model, slot);
                let unit = unit.text().to_owned();
                let before = set(model, slot, value);
                out.push(Override {
                    name,
                    value: value / scale,
                    unit,
                    instead_of: before / scale,
                });
            }
            Err(findings) => found.extend(findings),
        }
    }
    if found.has_errors() {
        Err(Failure::of_command_line(found))
    } else {
        Ok(out)
    }
}

/// Returns the value before.
fn set(model: &mut Model, slot: usize, value: f64) -> f64 {
    let place = match slot.checked_sub(model.parameters.len()) {
        None => &mut model.parameters[slot].value,
        Some(covariate) => &mut model.covariates[covariate].reference,
    };
    std::mem::replace(place, value)
}

/// The slot and its new coherent value.
fn read(model: &Model, setting: &str) -> Result<(usize, f64), Diagnostics> {
    let source = argument(setting);
    let Some(equals) = setting.find('=') else {
        let message = format!("`{setting}` is not a setting of the form KEY=VALUE");
        return Err(Diagnostic::error("U002", message)
            .at(&source, 0..setting.len())
            .help("such as CL=10 or \"CL=10 L/h\"; options begin with --")
            .into());
    };
    let name = setting[..equals].trim();
    let Some(slot) = model.slot_index(name) else {
        let known = (0..model.slot_count()).map(|slot| model.slot_name(slot));
        let message = format!(
            "`{name}` is neither a parameter nor a covariate of {}",
            model.name
        );
        let help = did_you_mean(name, known)
            .unwrap_or_else(|| format!("`posology models {}` lists them", model.name));
        return Err(Diagnostic::error("U001", message)
            .at(&source, 0..equals)
            .help(help)
            .into());
    };
    let text = &setting[equals + 1..];
    let span = equals + 1..setting.len();
    let (unit, scale) = slot_unit(model, slot);
    let value = match text.trim().parse::<f64>() {
        Ok(number) => number * scale,
        Err(_) => {
            let origin = Origin::within(&source, span.clone(), text);
            let (value, dimension) = model.quantity(text, &origin)?;
            if dimension != unit.dimension() {
                let message = format!(
                    "`{name}` is measured in {}, not in {}",
                    model.units.describe(unit.dimension()),
                    model.units.describe(dimension)
                );
                return Err(Diagnostic::error("U003", message)
                    .at(&source, span)
                    .help(format!(
                        "give a number in {unit}, or a unit of the same kind"
                    ))
                    .into());
            }
            value
        }
    };
    let bounds = model
        .parameters
        .get(slot)
        .and_then(|parameter| parameter.bounds);
    let (low, high) = bounds.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    // a value written at its bound is inside, whatever the conversion rounds
    let slack = |bound: f64| {
        if bound.is_finite() {
            1e-12 * bound.abs()
        } else {
            0.0
        }
    };
    if !value.is_finite() || value < low - slack(low) || value > high + slack(high) {
        let message = format!(
            "the value of `{name}` lies outside its bounds, {} to {} {unit}",
            low / scale,
            high / scale
        );
        return Err(Diagnostic::error("U004", message).at(&source, span).into());
    }
    Ok((slot, value))
}
