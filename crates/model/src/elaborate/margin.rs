//! Conditions as crossings: what `first_time`, rules and stopping criteria watch.

use super::evaluate::{Evaluator, Type, Value, is_comparison};
use crate::expr::{Binary, Expr, ExprKind, Unary};

impl Evaluator<'_> {
    /// A node that is positive exactly while the condition holds (`sign` -1: while it does not).
    pub fn margin(&mut self, tree: &Expr, holds: bool) -> Value {
        match &tree.kind {
            ExprKind::Unary(Unary::Not, inner) => return self.margin(inner, !holds),
            ExprKind::Chain { first, rest } => match rest.as_slice() {
                [(op, second)] if is_comparison(*op) => {
                    return self.crossing(first, *op, second, holds);
                }
                [(op @ (Binary::And | Binary::Or), _), ..] => {
                    // not (a and b) = (not a) or (not b)
                    let smallest = (*op == Binary::And) == holds;
                    let combine = if smallest { Binary::Min } else { Binary::Max };
                    let mut total = self.margin(first, holds);
                    for (_, operand) in rest {
                        let next = self.margin(operand, holds);
                        let failed = total.of == Type::Failed || next.of == Type::Failed;
                        total = Value {
                            node: self.graph.binary(combine, total.node, next.node),
                            of: if failed {
                                Type::Failed
                            } else {
                                Type::Condition
                            },
                            dynamic: total.dynamic || next.dynamic,
                        };
                    }
                    return total;
                }
                _ => {}
            },
            _ => {}
        }
        let value = self.value(tree);
        match value.of {
            Type::Failed => value,
            Type::Condition => {
                let message = "this condition has no crossing";
                let finding = self.error(&tree.span, "M107", message);
                self.report(finding.help("compare with < or >, combine with and, or, not"))
            }
            Type::Number(_) | Type::Zero => {
                let finding = self.not_a(&tree.span, true);
                self.report(finding)
            }
        }
    }

    fn crossing(&mut self, first: &Expr, op: Binary, second: &Expr, holds: bool) -> Value {
        let (a, b) = (self.value(first), self.value(second));
        let compared = self.binary(op, (a, &first.span), (b, &second.span));
        if compared.of == Type::Failed {
            return compared;
        }
        let larger_first = match op {
            Binary::Gt | Binary::Ge => holds,
            Binary::Lt | Binary::Le => !holds,
            _ => {
                let span = first.span.start..second.span.end;
                let finding = self.error(&span, "M107", "an equality has no crossing");
                return self.report(finding.help("compare with < or >"));
            }
        };
        let (large, small) = if larger_first { (a, b) } else { (b, a) };
        Value {
            node: self.graph.sub(large.node, small.node),
            ..compared
        }
    }
}
