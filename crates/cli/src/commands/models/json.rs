//! A model as JSON.

use posology_model::Model;
use posology_model::unit::Unit;
use serde_json::{Value, json};

use super::{correction, kind, scenario};
use crate::scenario::step_value;

/// A model for JSON, values in their declared units.
pub fn describe(model: &Model) -> Value {
    let scale = |unit: &Unit| model.units.scale(unit);
    let bounds = |bounds: Option<(f64, f64)>, unit: &Unit| {
        // JSON has no infinity: an open bound is null
        bounds.map(|(low, high)| [low / scale(unit), high / scale(unit)])
    };
    json!({
        "name": model.name,
        "title": model.title,
        "description": model.description,
        "time_unit": model.time_unit,
        "step": step_value(&model.step),
        "scenario": scenario(model),
        "sources": model.sources,
        "parameters": model.parameters.iter().map(|p| json!({
            "name": p.name, "value": p.value / scale(&p.unit), "unit": p.unit, "source": p.source,
            "calibrated": p.calibrated, "description": p.description, "bounds": bounds(p.bounds, &p.unit),
            "iiv": p.iiv, "iov": p.iov,
        })).collect::<Vec<_>>(),
        "covariates": model.covariates.iter().map(|c| json!({
            "name": c.name, "reference": c.reference / scale(&c.unit), "unit": c.unit,
            "source": c.source, "description": c.description,
        })).collect::<Vec<_>>(),
        "states": model.states.iter().map(|s| json!({
            "name": s.name, "unit": s.unit, "dimension": s.unit.dimension().to_string(), "signed": s.signed,
            "description": s.description,
        })).collect::<Vec<_>>(),
        "inputs": model.inputs.iter().map(|i| json!({
            "name": i.name, "unit": i.unit, "into": model.states.get(i.into).map(|s| &s.name), "description": i.description,
        })).collect::<Vec<_>>(),
        "observables": model.observables.iter().map(|o| json!({
            "name": o.name, "unit": o.unit, "error": o.error, "description": o.description,
        })).collect::<Vec<_>>(),
        "toxicities": model.toxicities.iter().map(|t| json!({
            "name": t.name, "unit": t.unit, "direction": t.direction, "grades": t.grades, "source": t.source,
            "thresholds": t.thresholds.iter().map(|v| v / scale(&t.unit)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "summaries": model.summaries.iter().map(|s| json!({
            "name": s.name, "kind": kind(&s.kind), "unit": s.unit,
        })).collect::<Vec<_>>(),
        "correction": model.correction.as_ref().map(|c| correction::describe(model, c)),
        "balances": model.balances.iter().map(|b| &b.name).collect::<Vec<_>>(),
    })
}
