//! Text to tree.

use std::sync::LazyLock;

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pair;
use pest::pratt_parser::{Assoc, Op, PrattParser};

use super::depth::{LONGEST, too_deep};
use super::{Binary, Expr, ExprKind, Span, Unary, Word, precedence};

#[derive(pest_derive::Parser)]
#[grammar = "expr.pest"]
struct Grammar;

/// Why a text is not an expression. Spans are bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    pub code: &'static str,
    pub message: String,
    pub span: Span,
    pub help: Option<String>,
}

static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    let left = |rule| Op::infix(rule, Assoc::Left);
    PrattParser::new()
        .op(left(Rule::or))
        .op(left(Rule::and))
        .op(Op::prefix(Rule::not))
        .op(left(Rule::le)
            | left(Rule::lt)
            | left(Rule::ge)
            | left(Rule::gt)
            | left(Rule::eq)
            | left(Rule::ne))
        .op(left(Rule::add) | left(Rule::sub))
        .op(left(Rule::mul) | left(Rule::div))
        .op(Op::prefix(Rule::negate))
        .op(Op::infix(Rule::pow, Assoc::Right))
});

/// Parses an expression.
///
/// # Errors
/// The first place at which the text leaves the grammar, nesting beyond the limits, or a number
/// beyond the range of f64.
pub fn parse(text: &str) -> Result<Expr, ExprError> {
    let error = |code, message: &str, span: Span, help: Option<&str>| ExprError {
        code,
        message: message.to_owned(),
        span,
        help: help.map(str::to_owned),
    };
    if text.trim().is_empty() {
        return Err(error(
            "M101",
            "the expression is empty",
            0..text.len(),
            None,
        ));
    }
    let help = Some("name parts of it in [derived]");
    if text.len() > LONGEST {
        return Err(error(
            "M102",
            "the expression is too long",
            0..text.len(),
            help,
        ));
    }
    if let Some(span) = too_deep(text) {
        return Err(error(
            "M102",
            "the expression is nested too deeply here",
            span,
            help,
        ));
    }
    let mut pairs = Grammar::parse(Rule::input, text).map_err(|e| syntax(text, &e))?;
    let mut overflow = None;
    let tree = pairs.next().map(|pair| expression(pair, &mut overflow));
    match (tree, overflow) {
        (_, Some(span)) => Err(error(
            "M401",
            "the number is beyond the range of floating point",
            span,
            None,
        )),
        (Some(tree), None) => Ok(tree),
        (None, None) => Err(error(
            "M101",
            "the expression is empty",
            0..text.len(),
            None,
        )),
    }
}

/// Without the white space that the grammar swallows before an optional part.
fn span(pair: &Pair<'_, Rule>) -> Span {
    let start = pair.as_span().start();
    start..start + pair.as_str().trim_end().len()
}

fn word(pair: &Pair<'_, Rule>) -> Word {
    Word {
        text: pair.as_str().to_owned(),
        span: span(pair),
    }
}

/// `overflow` receives the place of a number that is not finite.
fn expression(pair: Pair<'_, Rule>, overflow: &mut Option<Span>) -> Expr {
    PRATT
        .map_primary(|pair| primary(pair, overflow))
        .map_prefix(|op, operand| {
            let unary = if op.as_rule() == Rule::not {
                Unary::Not
            } else {
                Unary::Neg
            };
            let span = op.as_span().start()..operand.span.end;
            Expr {
                kind: ExprKind::Unary(unary, Box::new(operand)),
                span,
            }
        })
        .map_infix(|left, op, right| join(left, binary(op.as_rule()), right))
        .parse(pair.into_inner())
}

fn binary(rule: Rule) -> Binary {
    match rule {
        Rule::or => Binary::Or,
        Rule::and => Binary::And,
        Rule::le => Binary::Le,
        Rule::lt => Binary::Lt,
        Rule::ge => Binary::Ge,
        Rule::gt => Binary::Gt,
        Rule::eq => Binary::Eq,
        Rule::ne => Binary::Ne,
        Rule::add => Binary::Add,
        Rule::sub => Binary::Sub,
        Rule::div => Binary::Div,
        Rule::pow => Binary::Pow,
        _ => Binary::Mul,
    }
}

/// Operators of one precedence extend the chain on their left: `(a + b) + c` is `a + b + c`.
fn join(left: Expr, op: Binary, right: Expr) -> Expr {
    let span = left.span.start..right.span.end;
    if op == Binary::Pow {
        return Expr {
            kind: ExprKind::Power(Box::new(left), Box::new(right)),
            span,
        };
    }
    let kind = match left.kind {
        ExprKind::Chain { first, mut rest }
            if rest
                .first()
                .is_some_and(|(known, _)| precedence(*known) == precedence(op)) =>
        {
            rest.push((op, right));
            ExprKind::Chain { first, rest }
        }
        _ => ExprKind::Chain {
            first: Box::new(left),
            rest: vec![(op, right)],
        },
    };
    Expr { kind, span }
}

fn primary(pair: Pair<'_, Rule>, overflow: &mut Option<Span>) -> Expr {
    let at = span(&pair);
    let rule = pair.as_rule();
    let mut inner = pair.into_inner();
    let kind = match rule {
        Rule::number => {
            let (mut value, mut unit) = (f64::NAN, None);
            for part in inner {
                match part.as_rule() {
                    Rule::unit => unit = Some(word(&part)),
                    _ => value = part.as_str().parse().unwrap_or(f64::NAN),
                }
            }
            if !value.is_finite() {
                *overflow = Some(at.clone());
            }
            ExprKind::Number { value, unit }
        }
        Rule::group => {
            let inside = inner.next().map(|pair| expression(pair, overflow));
            return match inside {
                // the parentheses belong to the operand when a message points at it
                Some(inside) => Expr {
                    kind: inside.kind,
                    span: at,
                },
                None => Expr {
                    kind: ExprKind::Number {
                        value: 0.0,
                        unit: None,
                    },
                    span: at,
                },
            };
        }
        Rule::sum => {
            let mut indices = Vec::new();
            let mut body = None;
            for part in inner {
                match part.as_rule() {
                    Rule::name => indices.push(word(&part)),
                    _ => body = Some(expression(part, overflow)),
                }
            }
            let zero = || Expr {
                kind: ExprKind::Number {
                    value: 0.0,
                    unit: None,
                },
                span: 0..0,
            };
            ExprKind::Sum {
                indices,
                body: Box::new(body.unwrap_or_else(zero)),
            }
        }
        Rule::call => {
            let name = inner.next().map(|pair| word(&pair));
            let name = name.unwrap_or_else(|| Word {
                text: String::new(),
                span: at.clone(),
            });
            let arguments = inner.map(|pair| expression(pair, overflow)).collect();
            ExprKind::Call { name, arguments }
        }
        _ => {
            let name = inner
                .next()
                .map(|pair| pair.as_str().to_owned())
                .unwrap_or_default();
            ExprKind::Name {
                name,
                index: inner.map(|pair| word(&pair)).collect(),
            }
        }
    };
    Expr { kind, span: at }
}

/// A grammar error in the user's words.
fn syntax(text: &str, error: &pest::error::Error<Rule>) -> ExprError {
    let at = match error.location {
        InputLocation::Pos(at) => at,
        InputLocation::Span((start, _)) => start,
    };
    let rest = text.get(at..).unwrap_or_default();
    let found = rest.chars().next();
    let operator_wanted = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives
            .iter()
            .any(|rule| matches!(rule, Rule::add | Rule::mul | Rule::EOI)),
        ErrorVariant::CustomError { .. } => false,
    };
    let wanted = if operator_wanted {
        "an operator or the end"
    } else {
        "a value"
    };
    let message = match found {
        None => format!("the expression ends where {wanted} is needed"),
        Some(c) => format!("expected {wanted}, found `{c}`"),
    };
    let length = found.map_or(0, char::len_utf8);
    ExprError {
        code: "M101",
        message,
        span: at..at + length,
        help: hint(text, at, operator_wanted),
    }
}

fn hint(text: &str, at: usize, operator_wanted: bool) -> Option<String> {
    let rest = text.get(at..).unwrap_or_default();
    let before = text.get(..at).unwrap_or_default().trim_end();
    let hint = if rest.starts_with("&&") || rest.starts_with('&') {
        "write `and`"
    } else if rest.starts_with('|') {
        "write `or`"
    } else if rest.starts_with('!') {
        "write `not`"
    } else if rest.starts_with('=') {
        "write `==` to compare"
    } else if rest.starts_with('*') && before.ends_with('*') {
        "write `^` for a power"
    } else if rest.starts_with('?') {
        "write `if(condition, a, b)`"
    } else if operator_wanted && rest.starts_with('[') {
        "a unit follows its number directly: `75[mm]`"
    } else if operator_wanted && rest.starts_with(|c: char| c.is_alphanumeric() || c == '(') {
        "a product needs `*`, and a number with a unit brackets: `75[mm]`"
    } else if rest.is_empty() && text.matches('(').count() > text.matches(')').count() {
        "a parenthesis is not closed"
    } else {
        return None;
    };
    Some(hint.to_owned())
}
