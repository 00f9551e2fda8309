//! Tree to text, with the parentheses that precedence needs and no others.

use std::fmt;

use super::{Expr, ExprKind, Unary, Word, precedence, symbol};

const NOT: u8 = 3;
const NEGATE: u8 = 7;
const POWER: u8 = 8;
const ATOM: u8 = 10;

fn level(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::Chain { rest, .. } => rest.first().map_or(ATOM, |(op, _)| precedence(*op)),
        ExprKind::Unary(Unary::Not, _) => NOT,
        ExprKind::Unary(..) => NEGATE,
        ExprKind::Power(..) => POWER,
        _ => ATOM,
    }
}

/// `expr`, in parentheses unless it binds at least as closely as `least`.
fn within(expr: &Expr, least: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if level(expr) >= least {
        write!(f, "{expr}")
    } else {
        write!(f, "({expr})")
    }
}

fn list<T: fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, unit: None } => write!(f, "{value}"),
            ExprKind::Number {
                value,
                unit: Some(unit),
            } => write!(f, "{value}[{unit}]"),
            ExprKind::Name { name, index } if index.is_empty() => f.write_str(name),
            ExprKind::Name { name, index } => write!(f, "{name}[{}]", list(index.iter())),
            ExprKind::Unary(Unary::Not, operand) => {
                f.write_str("not ")?;
                within(operand, NOT, f)
            }
            ExprKind::Unary(_, operand) => {
                f.write_str("-")?;
                within(operand, NEGATE, f)
            }
            ExprKind::Chain { first, rest } => {
                let own = level(self);
                // a comparison cannot be chained, so its left side needs parentheses too
                within(first, own + 1, f)?;
                for (op, operand) in rest {
                    write!(f, " {} ", symbol(*op))?;
                    within(operand, own + 1, f)?;
                }
                Ok(())
            }
            ExprKind::Power(base, exponent) => {
                within(base, POWER + 1, f)?;
                f.write_str("^")?;
                within(exponent, NEGATE, f)
            }
            ExprKind::Call { name, arguments } => write!(f, "{name}({})", list(arguments.iter())),
            ExprKind::Sum { indices, body } => {
                write!(f, "sum[{}]({body})", list(indices.iter()))
            }
        }
    }
}
