//! Functions, `if` and sums over an index.

use super::evaluate::{Evaluator, Type, Value, dimension};
use crate::expr::{Binary, Expr, Span, Unary, Word};

impl Evaluator<'_> {
    pub(super) fn call(&mut self, name: &Word, arguments: &[Expr], span: &Span) -> Value {
        let known: (&str, std::ops::RangeInclusive<usize>) = match name.text.as_str() {
            "exp" | "ln" | "log10" | "sqrt" | "abs" | "tanh" => ("one argument", 1..=1),
            "min" | "max" => ("two or more arguments", 2..=1000),
            "if" => ("a condition and two values", 3..=3),
            _ => return self.unknown_function(name),
        };
        if !known.1.contains(&arguments.len()) {
            let message = format!(
                "`{}` takes {}, found {}",
                name.text,
                known.0,
                arguments.len()
            );
            let finding = self.error(span, "M104", message);
            return self.report(finding);
        }
        match (name.text.as_str(), arguments) {
            ("if", [condition, a, b]) => self.select(condition, a, b),
            ("min", [first, rest @ ..]) => self.extreme(Binary::Min, first, rest),
            ("max", [first, rest @ ..]) => self.extreme(Binary::Max, first, rest),
            (function, [argument, ..]) => self.function(function, argument),
            (_, []) => self.failed(),
        }
    }

    fn unknown_function(&mut self, name: &Word) -> Value {
        let help = match name.text.as_str() {
            "log" => Some("write `ln` (natural) or `log10`".to_owned()),
            "pow" => Some("write `x^y`".to_owned()),
            "sum" => Some("write `sum[index](...)`".to_owned()),
            other if self.symbols.families.contains_key(other) => {
                Some(format!("`{other}` is not a function; a product needs `*`"))
            }
            other => crate::diagnostic::did_you_mean(
                other,
                [
                    "exp", "ln", "log10", "sqrt", "abs", "tanh", "min", "max", "if",
                ],
            ),
        };
        let message = format!("unknown function `{}`", name.text);
        let finding = self.error(&name.span, "M103", message);
        self.report(finding.help_if(help))
    }

    fn function(&mut self, function: &str, argument: &Expr) -> Value {
        let x = self.value(argument);
        if x.of == Type::Condition {
            let finding = self.not_a(&argument.span, false);
            return self.report(finding);
        }
        let Some(dimension) = dimension(x.of) else {
            return x;
        };
        let (op, of) = match function {
            "abs" => (Unary::Abs, Some(dimension)),
            "sqrt" => (Unary::Sqrt, dimension.sqrt()),
            "exp" => (Unary::Exp, dimension.is_none().then_some(dimension)),
            "ln" => (Unary::Ln, dimension.is_none().then_some(dimension)),
            "log10" => (Unary::Log10, dimension.is_none().then_some(dimension)),
            _ => (Unary::Tanh, dimension.is_none().then_some(dimension)),
        };
        let Some(of) = of else {
            let text = self.describe(x.of);
            let message = format!("`{function}` takes a plain number, this is {text}");
            let finding = self.error(&argument.span, "M205", message);
            return self.report(finding.help("divide it by a value of the same dimension"));
        };
        // |0| is still the zero of any dimension
        let of = if x.of == Type::Zero && function == "abs" {
            x.of
        } else {
            Type::Number(of)
        };
        Value {
            node: self.graph.unary(op, x.node),
            of,
            dynamic: x.dynamic,
        }
    }

    fn extreme(&mut self, op: Binary, first: &Expr, rest: &[Expr]) -> Value {
        let mut left = self.value(first);
        let mut left_span = &first.span;
        for operand in rest {
            let right = self.value(operand);
            left = self.binary(op, (left, left_span), (right, &operand.span));
            left_span = &operand.span;
        }
        left
    }

    fn select(&mut self, condition: &Expr, a: &Expr, b: &Expr) -> Value {
        let c = self.value(condition);
        let (x, y) = (self.value(a), self.value(b));
        if matches!(c.of, Type::Number(_) | Type::Zero) {
            let finding = self.not_a(&condition.span, true);
            return self.report(finding);
        }
        let mut of = self.unify("of `if`", (x, &a.span), (y, &b.span));
        if c.of == Type::Failed {
            of = Type::Failed;
        }
        let node = self.graph.select(c.node, x.node, y.node);
        Value {
            node,
            of,
            dynamic: c.dynamic || x.dynamic || y.dynamic,
        }
    }

    pub(super) fn sum(&mut self, indices: &[Word], body: &Expr) -> Value {
        let mut ids = Vec::new();
        for word in indices {
            match self.symbols.indices.find(&word.text) {
                Some(id) => ids.push(id),
                None => {
                    let message = format!("unknown index `{}`", word.text);
                    let names = self
                        .symbols
                        .indices
                        .0
                        .iter()
                        .map(|index| index.name.as_str());
                    let help = crate::diagnostic::did_you_mean(&word.text, names);
                    let finding = self.error(&word.span, "M306", message).help_if(help);
                    return self.report(finding);
                }
            }
        }
        let Some(size) = self.symbols.indices.size(&ids) else {
            let finding = self.error(&body.span, "M314", "the sum has too many terms");
            return self.report(finding);
        };
        let node = self.graph.constant(0.0);
        let mut total = Value {
            node,
            of: Type::Zero,
            dynamic: false,
        };
        for flat in 0..size {
            let elements = self.symbols.indices.unflat(&ids, flat);
            let depth = self.bindings.len();
            self.bindings.extend(ids.iter().copied().zip(elements));
            let term = self.value(body);
            self.bindings.truncate(depth);
            if term.of == Type::Failed {
                return term; // the other terms would repeat the finding
            }
            total = self.binary(Binary::Add, (total, &body.span), (term, &body.span));
        }
        total
    }
}
