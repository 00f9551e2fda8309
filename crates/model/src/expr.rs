//! Expressions as written: a tree with spans, before names and units mean anything.

mod depth;
mod parse;
mod print;

use std::ops::Range;

pub use crate::graph::{Binary, Unary};
pub use parse::{ExprError, parse};

/// Bytes of the expression's text.
pub type Span = Range<usize>;

/// A word and where it stands.
#[derive(Clone, Debug)]
pub struct Word {
    pub text: String,
    pub span: Span,
}

/// A node of the tree. Equality ignores spans.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `75`, `75[mm]`
    Number { value: f64, unit: Option<Word> },
    /// `CL`, `amount[liver]`, `A[tissue,label]`
    Name { name: String, index: Vec<Word> },
    /// `-x`, `not x`
    Unary(Unary, Box<Expr>),
    /// Operators of one precedence, from left to right: `a + b - c`. A list, not a tree, so that
    /// the depth of the tree is bounded by the nesting of the text.
    Chain {
        first: Box<Expr>,
        rest: Vec<(Binary, Expr)>,
    },
    /// `x ^ y`, from right to left.
    Power(Box<Expr>, Box<Expr>),
    /// `exp(x)`, `if(c, a, b)`
    Call { name: Word, arguments: Vec<Expr> },
    /// `sum[tissue](...)`
    Sum { indices: Vec<Word>, body: Box<Expr> },
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Expr {
    /// Whether this is the literal number zero, which has any dimension.
    pub fn is_zero(&self) -> bool {
        matches!(self.kind, ExprKind::Number { value, unit: None } if value == 0.0)
    }

    /// The name, if the expression is nothing but a name.
    pub fn as_name(&self) -> Option<(&str, &[Word])> {
        match &self.kind {
            ExprKind::Name { name, index } => Some((name, index)),
            _ => None,
        }
    }
}

/// Precedence of an operator: larger binds closer. `not` is 3 and unary minus 7.
pub(crate) fn precedence(op: Binary) -> u8 {
    match op {
        Binary::Or => 1,
        Binary::And => 2,
        Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => 4,
        Binary::Add | Binary::Sub => 5,
        Binary::Mul | Binary::Div => 6,
        Binary::Pow => 8,
        Binary::Min | Binary::Max => 9,
    }
}

/// The operator as written.
pub(crate) fn symbol(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Pow => "^",
        Binary::Min => "min",
        Binary::Max => "max",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::And => "and",
        Binary::Or => "or",
    }
}

/// Whether `text` can be a name.
pub fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
