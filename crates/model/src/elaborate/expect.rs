//! Expressions against the dimensions that are declared for them.

use super::evaluate::{Evaluator, Type, Value, dimension};
use crate::expr::Expr;
use crate::file::Place;
use crate::graph::NodeId;
use crate::unit::Dimension;

impl Evaluator<'_> {
    /// Whether `value` has the wanted dimension; reports it if not.
    pub fn expect(
        &mut self,
        value: Value,
        wanted: Dimension,
        tree: &Expr,
        what: &str,
        declared: Option<&Place>,
    ) -> Option<NodeId> {
        match value.of {
            Type::Failed => return None,
            Type::Zero => return Some(value.node),
            Type::Number(dimension) if dimension == wanted => return Some(value.node),
            Type::Condition => {
                let finding = self.not_a(&tree.span, false);
                self.report(finding);
                return None;
            }
            Type::Number(_) => {}
        }
        let (wanted_text, found) = (
            self.symbols.system.describe(wanted),
            self.describe(value.of),
        );
        let message = format!("{what} must be {wanted_text}, the expression is {found}");
        let mut finding = self
            .error(&tree.span, "M204", message)
            .label(format!("this is {found}"));
        if let Some(place) = declared {
            let label = format!("makes it {wanted_text}");
            finding = finding.also(&place.source, place.span.clone(), label);
        }
        let help = dimension(value.of).and_then(|found| hint(wanted, found));
        self.report(finding.help_if(help));
        None
    }
}

/// What is probably missing between two dimensions.
pub(super) fn hint(a: Dimension, b: Dimension) -> Option<String> {
    let molar = Dimension::MASS.per(Dimension::AMOUNT);
    let ratio = a.per(b);
    let inverse = b.per(a);
    let is = |dimension: Dimension| ratio == dimension || inverse == dimension;
    let text = if is(molar) {
        "mass and amount of substance differ by a molar mass: multiply or divide by it"
    } else if is(Dimension::VOLUME) {
        "they differ by a volume: divide an amount by its volume of distribution"
    } else if is(Dimension::TIME) {
        "they differ by a time: a rate is per time (h and d convert by themselves)"
    } else if is(Dimension::MASS) || is(Dimension::AMOUNT) {
        "they differ by a mass or an amount"
    } else if a.is_none() || b.is_none() {
        "a number can carry a unit: `75[mm]`"
    } else {
        return None;
    };
    Some(text.to_owned())
}
