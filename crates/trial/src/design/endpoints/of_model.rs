//! Endpoints of expressions of the model.

use posology_model::Model;
use posology_model::file::Text;
use posology_model::graph::NodeId;
use posology_model::unit::{Dimension, Unit};

use super::{Context, EndpointKind};
use crate::design::lookup::quantity;
use crate::design::patients::keep;
use crate::design::reader::{Reader, Section};

pub(super) fn of_expression(
    reader: &mut Reader,
    verb: &str,
    section: &Section<'_>,
    text: &Text,
    unit: Option<&Unit>,
    model: &mut Model,
    context: &Context<'_>,
) -> Option<EndpointKind> {
    let time = Dimension::TIME;
    if verb == "first_time" {
        let unit = unit?;
        if unit.dimension() != time {
            let message = format!("the first time of a condition is a time, `{unit}` is not");
            reader.found.push(text.error("T014", message));
        }
        return keep(reader, model.condition(&text.value, &text.origin))
            .map(EndpointKind::FirstTime);
    }
    let at = match verb {
        "at" | "drawn" => Some(moment(reader, section, model, context)),
        _ => None,
    };
    let wanted = match (verb, unit) {
        ("drawn", _) => time,
        ("integral", Some(unit)) => unit.dimension().per(time),
        (_, Some(unit)) => unit.dimension(),
        // reported
        (_, None) => return None,
    };
    let shown = unit.map_or_else(
        || "a time to an event".to_owned(),
        |unit| format!("`{unit}`"),
    );
    let typed = keep(reader, model.expression(&text.value, &text.origin))?;
    if typed.condition || typed.dimension != wanted {
        let found = if typed.condition {
            "a condition".to_owned()
        } else {
            model.units.describe(typed.dimension)
        };
        let message = format!(
            "{shown} needs an expression that is {}, this is {found}",
            model.units.describe(wanted)
        );
        reader.found.push(text.error("T014", message));
        return None;
    }
    let node: NodeId = typed.node;
    Some(match verb {
        "integral" => EndpointKind::Integral(node),
        "mean" => EndpointKind::Mean(node),
        "last" => EndpointKind::Last(node),
        "min" => EndpointKind::Min(node),
        "max" => EndpointKind::Max(node),
        "at" => EndpointKind::At { node, time: at?? },
        _ => EndpointKind::Drawn { node, time: at?? },
    })
}

/// `time`: within follow-up.
fn moment(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    context: &Context<'_>,
) -> Option<f64> {
    let text = reader.required_text(section, "time", "when it is evaluated, such as \"6 wk\"")?;
    let time = quantity(reader, &text, Dimension::TIME, model)?;
    if (0.0..=context.horizon).contains(&time) {
        return Some(time);
    }
    let message = format!("{} is not within follow-up", text.value);
    reader.found.push(text.error("T013", message));
    None
}

/// A state that accumulates the hazard, and a threshold for each patient.
pub(super) fn hazard(
    reader: &mut Reader,
    name: &Text,
    text: &Text,
    model: &mut Model,
) -> Option<EndpointKind> {
    let typed = keep(reader, model.expression(&text.value, &text.origin))?;
    let wanted = Dimension::NONE.per(Dimension::TIME);
    if typed.condition || typed.dimension != wanted {
        let found = if typed.condition {
            "a condition".to_owned()
        } else {
            model.units.describe(typed.dimension)
        };
        let message = format!(
            "a hazard is {}, this is {found}",
            model.units.describe(wanted)
        );
        reader.found.push(text.error("T014", message));
        return None;
    }
    let one = Unit::one();
    let free = |model: &Model, stem: &str| {
        let mut free = format!("{stem}_{}", name.value);
        while model.knows(&free) {
            free.push('_');
        }
        free
    };
    let state_name = free(model, "hazard");
    let state = model.add_state(&state_name, &one, typed.node)?;
    let threshold_name = free(model, "threshold");
    // the reference patient has the median time
    let threshold = model.add_covariate(
        &threshold_name,
        &one,
        std::f64::consts::LN_2,
        "cumulative hazard at the event; unit exponential between patients",
    )?;
    let (total, limit) = (model.graph.state(state), model.graph.slot(threshold));
    let margin = model.graph.sub(total, limit);
    Some(EndpointKind::Hazard { margin, threshold })
}
