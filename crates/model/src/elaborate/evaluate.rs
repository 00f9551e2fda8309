//! Trees to graph nodes: names resolved, dimensions checked, families expanded.

use std::collections::BTreeSet;

use super::index::Bindings;
use super::symbols::{Help, Problem, Symbols};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expr::{Binary, Expr, ExprKind, Span, Unary, Word, symbol};
use crate::file::{Origin, Place};
use crate::graph::{Graph, NodeId};
use crate::unit::{Dimension, Exponent, Unit};

/// Visits of expression nodes, over all elements and sums, that a model may need.
pub(super) const WORK: usize = 5_000_000;

/// What an expression is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    Number(Dimension),
    /// The literal 0, which has any dimension.
    Zero,
    Condition,
    /// Reported already.
    Failed,
}

/// An expression in the graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub node: NodeId,
    pub of: Type,
    /// Reads a state or the time.
    pub dynamic: bool,
}

/// A parsed expression and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub tree: Expr,
    pub origin: Origin,
}

impl Body {
    pub fn place(&self) -> Place {
        self.origin.at(self.tree.span.clone())
    }
}

/// What is counted and collected over a whole model.
#[derive(Debug)]
pub(super) struct Ledger {
    pub diagnostics: Diagnostics,
    /// Names that expressions used.
    pub used: BTreeSet<String>,
    pub work: usize,
}

impl Ledger {
    pub fn new() -> Self {
        Self {
            diagnostics: Diagnostics::new(),
            used: BTreeSet::new(),
            work: WORK,
        }
    }

    /// Counts one visit; false once the model has become too large, which is reported,
    /// and once there are more findings than anyone reads.
    pub fn visit(&mut self, origin: &Origin) -> bool {
        if self.diagnostics.len() >= Diagnostics::MOST && self.diagnostics.has_errors() {
            return false;
        }
        if self.work == 0 {
            let message = "the model expands to too many operations";
            let finding = origin.place().error("M314", message);
            if !self.diagnostics.iter().any(|d| d.code == "M314") {
                self.diagnostics
                    .push(finding.help("indices and sums multiply: make them smaller"));
            }
            return false;
        }
        self.work -= 1;
        true
    }
}

/// Evaluates the expressions of one text.
pub(super) struct Evaluator<'a> {
    pub symbols: &'a Symbols,
    pub graph: &'a mut Graph,
    pub ledger: &'a mut Ledger,
    pub origin: &'a Origin,
    /// Set where only constants of the patient are allowed: what is being evaluated.
    pub constant: Option<&'a str>,
    pub bindings: Bindings,
}

impl Evaluator<'_> {
    pub fn report(&mut self, finding: Diagnostic) -> Value {
        self.ledger.diagnostics.push(finding);
        self.failed()
    }

    pub(super) fn error(
        &self,
        span: &Span,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        self.origin.at(span.clone()).error(code, message)
    }

    pub fn failed(&mut self) -> Value {
        let node = self.graph.constant(0.0);
        Value {
            node,
            of: Type::Failed,
            dynamic: false,
        }
    }

    pub(super) fn describe(&self, of: Type) -> String {
        match of {
            Type::Number(dimension) => self.symbols.system.describe(dimension),
            Type::Condition => "a condition".into(),
            Type::Zero | Type::Failed => "a number".into(),
        }
    }

    pub fn value(&mut self, tree: &Expr) -> Value {
        if !self.ledger.visit(self.origin) {
            return self.failed();
        }
        match &tree.kind {
            ExprKind::Number { value, unit } => self.number(*value, unit.as_ref()),
            ExprKind::Name { name, index } => self.name(name, index, &tree.span),
            ExprKind::Unary(op, operand) => self.unary(*op, operand),
            ExprKind::Chain { first, rest } => self.chain(first, rest),
            ExprKind::Power(base, exponent) => self.power(base, exponent),
            ExprKind::Call { name, arguments } => self.call(name, arguments, &tree.span),
            ExprKind::Sum { indices, body } => self.sum(indices, body),
        }
    }

    fn number(&mut self, value: f64, unit: Option<&Word>) -> Value {
        let Some(word) = unit else {
            let node = self.graph.constant(value);
            let of = if value == 0.0 {
                Type::Zero
            } else {
                Type::Number(Dimension::NONE)
            };
            return Value {
                node,
                of,
                dynamic: false,
            };
        };
        match Unit::parse(&word.text) {
            Ok(unit) => {
                let node = self
                    .graph
                    .constant(value * self.symbols.system.scale(&unit));
                Value {
                    node,
                    of: Type::Number(unit.dimension()),
                    dynamic: false,
                }
            }
            Err(error) => {
                let span = word.span.start + error.span.start..word.span.start + error.span.end;
                let finding = self.error(&span, error.code(), error.message.clone());
                self.report(finding.help_if(error.help))
            }
        }
    }

    fn name(&mut self, name: &str, index: &[Word], span: &Span) -> Value {
        let built_in = match name {
            "t" => Some((self.graph.time(), Dimension::TIME, true)),
            "tad" => Some((self.graph.tad(), Dimension::TIME, true)),
            "pi" => Some((
                self.graph.constant(std::f64::consts::PI),
                Dimension::NONE,
                false,
            )),
            _ => None,
        };
        let (node, dimension, dynamic) = match built_in {
            Some(_) if !index.is_empty() => {
                let finding = self.error(span, "M307", format!("`{name}` takes no index"));
                return self.report(finding);
            }
            Some(found) => found,
            None => {
                if !self.ledger.used.contains(name) {
                    self.ledger.used.insert(name.to_owned());
                }
                // whatever is wrong with the definition was said there
                let definition = self.symbols.families.get(name);
                if definition.is_some_and(|family| family.unit.is_none()) {
                    return self.failed();
                }
                let found = match self.symbols.resolve(name, index, span, &self.bindings) {
                    Ok(found) => found,
                    Err(problem) => {
                        let finding = problem.at(self.symbols, self.origin);
                        return self.report(finding);
                    }
                };
                let (Some(dimension), element) = (
                    found.family.dimension(),
                    found.family.elements.get(found.flat),
                ) else {
                    return self.failed();
                };
                let Some(Some(element)) = element else {
                    let indices = &self.symbols.indices;
                    let full = indices.element_name(name, &found.family.indices, found.flat);
                    let message = format!("`{full}` is not defined");
                    let problem = Problem {
                        code: "M309",
                        message,
                        span: span.clone(),
                        help: Help::None,
                    };
                    let finding = problem.at(self.symbols, self.origin);
                    let place = &found.family.place;
                    let label = format!("`{name}` is defined here, for other elements");
                    let finding = finding.also(&place.source, place.span.clone(), label);
                    return self.report(finding);
                };
                (element.node, dimension, element.dynamic)
            }
        };
        if let (true, Some(what)) = (dynamic, self.constant) {
            let message = format!("{what} cannot depend on `{name}`, which changes over time");
            let finding = self.error(span, "M305", message);
            return self.report(finding.help("use parameters, covariates and numbers"));
        }
        Value {
            node,
            of: Type::Number(dimension),
            dynamic,
        }
    }

    fn unary(&mut self, op: Unary, operand: &Expr) -> Value {
        let value = self.value(operand);
        let fits = match value.of {
            Type::Failed => return value,
            Type::Condition => op == Unary::Not,
            Type::Number(_) | Type::Zero => op != Unary::Not,
        };
        if !fits {
            let finding = self.not_a(&operand.span, op == Unary::Not);
            return self.report(finding);
        }
        Value {
            node: self.graph.unary(op, value.node),
            ..value
        }
    }

    /// A number where a condition is needed, or the reverse.
    pub(super) fn not_a(&self, span: &Span, condition_wanted: bool) -> Diagnostic {
        if condition_wanted {
            self.error(span, "M105", "a condition is needed here, this is a number")
                .help("compare it: `x > 0`")
        } else {
            self.error(span, "M105", "a number is needed here, this is a condition")
                .help("`if(condition, 1, 0)` is a number")
        }
    }

    fn chain(&mut self, first: &Expr, rest: &[(Binary, Expr)]) -> Value {
        let mut left = self.value(first);
        let mut left_span = first.span.clone();
        if let [(a, _), (b, right), ..] = rest
            && is_comparison(*a)
            && is_comparison(*b)
        {
            let message = "the result of a comparison cannot be compared";
            let finding = self.error(&right.span, "M106", message);
            return self.report(finding.help("write `a < b and b < c`"));
        }
        for (op, operand) in rest {
            let right = self.value(operand);
            left = self.binary(*op, (left, &left_span), (right, &operand.span));
            left_span = left_span.start..operand.span.end;
        }
        left
    }

    pub(super) fn binary(
        &mut self,
        op: Binary,
        left: (Value, &Span),
        right: (Value, &Span),
    ) -> Value {
        let logical = matches!(op, Binary::And | Binary::Or);
        for (value, span) in [left, right] {
            if value.of != Type::Failed && (value.of == Type::Condition) != logical {
                let finding = self.not_a(span, logical);
                return self.report(finding);
            }
        }
        let of = match op {
            Binary::And | Binary::Or => Type::Condition,
            Binary::Mul | Binary::Div => match (dimension(left.0.of), dimension(right.0.of)) {
                (Some(a), Some(b)) if op == Binary::Mul => Type::Number(a.times(b)),
                (Some(a), Some(b)) => Type::Number(a.per(b)),
                _ => Type::Failed,
            },
            _ => match self.unify(&format!("of `{}`", symbol(op)), left, right) {
                Type::Number(_) | Type::Zero if is_comparison(op) => Type::Condition,
                of => of,
            },
        };
        let node = self.graph.binary(op, left.0.node, right.0.node);
        Value {
            node,
            of,
            dynamic: left.0.dynamic || right.0.dynamic,
        }
    }

    /// The common type of two operands, which must have the same dimension.
    pub(super) fn unify(
        &mut self,
        what: &str,
        left: (Value, &Span),
        right: (Value, &Span),
    ) -> Type {
        let (a, b) = match (left.0.of, right.0.of) {
            (Type::Failed, _) | (_, Type::Failed) => return Type::Failed,
            (Type::Condition, Type::Condition) => return Type::Condition,
            (Type::Zero, other) | (other, Type::Zero) if other != Type::Condition => return other,
            (Type::Number(a), Type::Number(b)) if a == b => return Type::Number(a),
            (a, b) => (a, b),
        };
        if a == Type::Condition || b == Type::Condition {
            let span = if a == Type::Condition {
                left.1
            } else {
                right.1
            };
            let finding = self.not_a(span, false);
            self.report(finding);
            return Type::Failed;
        }
        let (a_text, b_text) = (self.describe(a), self.describe(b));
        let message = format!("left side {what} is {a_text}, right side is {b_text}");
        let first = self.origin.at(left.1.clone());
        let finding = self
            .error(right.1, "M203", message)
            .label(format!("this is {b_text}"))
            .also(&first.source, first.span, format!("this is {a_text}"));
        let help = match (dimension(a), dimension(b)) {
            (Some(a), Some(b)) => super::expect::hint(a, b),
            _ => None,
        };
        self.report(finding.help_if(help));
        Type::Failed
    }

    fn power(&mut self, base: &Expr, exponent: &Expr) -> Value {
        let (b, e) = (self.value(base), self.value(exponent));
        for (value, operand) in [(b, base), (e, exponent)] {
            if value.of == Type::Condition {
                let finding = self.not_a(&operand.span, false);
                return self.report(finding);
            }
        }
        let (Some(base_dimension), Some(exponent_dimension)) = (dimension(b.of), dimension(e.of))
        else {
            return self.failed();
        };
        if !exponent_dimension.is_none() {
            let text = self.describe(e.of);
            let message = format!("an exponent is a plain number, this is {text}");
            let finding = self.error(&exponent.span, "M206", message);
            return self.report(finding);
        }
        let of = if base_dimension.is_none() {
            Some(base_dimension)
        } else {
            let constant = self.graph.as_constant(e.node);
            constant
                .and_then(Exponent::from_f64)
                .and_then(|e| base_dimension.pow(e))
        };
        let Some(of) = of else {
            let text = self.describe(b.of);
            let message = format!("this power of {text} has no dimension");
            let finding = self.error(&exponent.span, "M206", message).help(
                "divide the base by a reference value first, such as (WT / 70[kg])^0.75; \
                 a dimensional base needs a constant, simple exponent",
            );
            return self.report(finding);
        };
        let node = self.graph.pow(b.node, e.node);
        Value {
            node,
            of: Type::Number(of),
            dynamic: b.dynamic || e.dynamic,
        }
    }
}

pub(super) fn is_comparison(op: Binary) -> bool {
    use Binary::{Eq, Ge, Gt, Le, Lt, Ne};
    matches!(op, Lt | Le | Gt | Ge | Eq | Ne)
}

/// The dimension of a number; the literal 0 counts as a plain one.
pub(super) fn dimension(of: Type) -> Option<Dimension> {
    match of {
        Type::Number(dimension) => Some(dimension),
        Type::Zero => Some(Dimension::NONE),
        Type::Condition | Type::Failed => None,
    }
}
