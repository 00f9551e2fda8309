//! Expressions, conditions and quantities of other texts, compiled against a finished model.

use super::Origin;
use super::evaluate::{Evaluator, Ledger, Type, Value};
use super::symbols::Symbols;
use crate::diagnostic::Diagnostics;
use crate::expr::{self, Expr};
use crate::graph::{Graph, NodeId};
use crate::model::Model;
use crate::unit::{Dimension, Unit, parse_quantity};

/// A compiled expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Typed {
    pub node: NodeId,
    /// Dimension of the value; that of a plain number for a condition and for the literal 0.
    pub dimension: Dimension,
    /// A condition (1 or 0) rather than a number.
    pub condition: bool,
    /// Depends on a state or on time.
    pub dynamic: bool,
}

fn with<T>(
    model: &mut Model,
    text: &str,
    origin: &Origin,
    f: impl FnOnce(&mut Evaluator<'_>, &Expr) -> Option<T>,
) -> Result<T, Diagnostics> {
    compile(&model.symbols, &mut model.graph, text, origin, f)
}

/// Parses `text` and hands it to `f` with an evaluator over `symbols`.
pub(super) fn compile<T>(
    symbols: &Symbols,
    graph: &mut Graph,
    text: &str,
    origin: &Origin,
    f: impl FnOnce(&mut Evaluator<'_>, &Expr) -> Option<T>,
) -> Result<T, Diagnostics> {
    let tree = expr::parse(text).map_err(|error| {
        let place = origin.at(error.span.clone());
        Diagnostics::from(place.error(error.code, error.message).help_if(error.help))
    })?;
    let mut ledger = Ledger::new();
    let result = f(
        &mut Evaluator {
            symbols,
            graph,
            ledger: &mut ledger,
            origin,
            constant: None,
            bindings: Vec::new(),
        },
        &tree,
    );
    match result {
        Some(result) if !ledger.diagnostics.has_errors() => Ok(result),
        _ => Err(ledger.diagnostics),
    }
}

pub(super) fn typed(value: Value) -> Option<Typed> {
    let dimension = match value.of {
        Type::Failed => return None,
        Type::Number(dimension) => dimension,
        Type::Zero | Type::Condition => Dimension::NONE,
    };
    let condition = value.of == Type::Condition;
    Some(Typed {
        node: value.node,
        dimension,
        condition,
        dynamic: value.dynamic,
    })
}

pub(crate) fn expression(
    model: &mut Model,
    text: &str,
    origin: &Origin,
) -> Result<Typed, Diagnostics> {
    with(model, text, origin, |evaluator, tree| {
        typed(evaluator.value(tree))
    })
}

pub(crate) fn expression_in(
    model: &mut Model,
    text: &str,
    unit: &Unit,
    origin: &Origin,
) -> Result<NodeId, Diagnostics> {
    with(model, text, origin, |evaluator, tree| {
        let value = evaluator.value(tree);
        evaluator.expect(value, unit.dimension(), tree, "the expression", None)
    })
}

pub(crate) fn condition(
    model: &mut Model,
    text: &str,
    origin: &Origin,
) -> Result<NodeId, Diagnostics> {
    with(model, text, origin, |evaluator, tree| {
        let value = evaluator.margin(tree, true);
        (value.of != Type::Failed).then_some(value.node)
    })
}

pub(crate) fn quantity(
    model: &Model,
    text: &str,
    origin: &Origin,
) -> Result<(f64, Dimension), Diagnostics> {
    let (value, unit) = parse_quantity(text).map_err(|error| {
        let place = origin.at(error.span.clone());
        Diagnostics::from(place.error(error.code(), error.message).help_if(error.help))
    })?;
    let value = value * model.units.scale(&unit);
    if !value.is_finite() {
        let message = "the value is beyond the range of floating point";
        return Err(origin.place().error("M401", message).into());
    }
    Ok((value, unit.dimension()))
}
