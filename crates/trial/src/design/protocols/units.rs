//! Numbers as protocols write them: `1.5e9/L` and `0.5 mg/dL` get the brackets that expressions
//! need, and a number beside a measured value takes its unit.

use std::ops::Range;

use posology_model::expr::{self, Binary, Expr, ExprKind, Unary};
use posology_model::unit::Unit;

/// A text after editing, with the way back to the original.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edited {
    pub text: String,
    /// Byte of the original for every byte of the text, and for its end.
    back: Vec<usize>,
}

/// Why a text cannot be read; the span is in bytes of the original.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub code: &'static str,
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

impl Edited {
    /// Without any change.
    pub fn same(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            back: (0..=text.len()).collect(),
        }
    }

    /// A span of the text as a span of the original.
    pub fn span(&self, inner: Range<usize>) -> Range<usize> {
        let at = |byte: usize| {
            let last = self.back.last().copied().unwrap_or(0);
            self.back.get(byte).copied().unwrap_or(last)
        };
        let start = at(inner.start);
        start..at(inner.end).max(start)
    }

    fn push(&mut self, text: &str, original: Range<usize>) {
        let exact = text.len() == original.len();
        for k in 0..text.len() {
            let at = if exact {
                original.start + k
            } else {
                (original.start + k).min(original.end)
            };
            self.back.push(at);
        }
        self.text.push_str(text);
    }
}

/// Writes units out. `names` are the names of the scope, `unit` tells the unit of one.
pub(crate) fn with_units(
    text: &str,
    names: &[&str],
    unit: &dyn Fn(&str) -> Option<String>,
) -> Result<Edited, Problem> {
    let bracketed = brackets(text, names)?;
    let tree = expr::parse(&bracketed.text).map_err(|error| Problem {
        code: error.code,
        span: bracketed.span(error.span),
        message: error.message,
        help: error.help,
    })?;
    let mut inserts = Vec::new();
    adopt(&tree, unit, &mut inserts);
    // inside parentheses the end of the number is not known
    inserts.retain(|(at, _)| !bracketed.text[..*at].ends_with(')'));
    inserts.sort();
    let mut out = Edited {
        text: String::new(),
        back: Vec::new(),
    };
    let mut from = 0;
    for (at, unit) in inserts {
        copy(&bracketed, from..at, &mut out);
        let original = bracketed.span(at..at).start;
        out.push(&format!("[{unit}]"), original..original);
        from = at;
    }
    copy(&bracketed, from..bracketed.text.len(), &mut out);
    out.back.push(text.len());
    Ok(out)
}

fn copy(from: &Edited, range: Range<usize>, out: &mut Edited) {
    out.text.push_str(&from.text[range.clone()]);
    out.back.extend_from_slice(&from.back[range]);
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Length of the leading part whose characters satisfy `keep`.
fn run(text: &str, keep: impl Fn(char) -> bool) -> usize {
    text.find(|c| !keep(c)).unwrap_or(text.len())
}

/// Units after numbers in brackets; `AND`, `OR`, `NOT` in small letters.
fn brackets(text: &str, names: &[&str]) -> Result<Edited, Problem> {
    let mut out = Edited {
        text: String::new(),
        back: Vec::new(),
    };
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_ascii_alphabetic() || c == '_' {
            let length = run(rest, is_name);
            let word = &rest[..length];
            let lower = word.to_ascii_lowercase();
            let keyword = matches!(lower.as_str(), "and" | "or" | "not") && !names.contains(&word);
            out.push(if keyword { &lower } else { word }, at..at + length);
            at += length;
        } else if c == '[' {
            let length = rest.find(']').map_or(rest.len(), |end| end + 1);
            out.push(&rest[..length], at..at + length);
            at += length;
        } else if c.is_ascii_digit() {
            let length = number(rest);
            out.push(&rest[..length], at..at + length);
            at += length;
            if let Some(unit) = unit_after(text, at, names)? {
                let written = text[unit.clone()].trim();
                let inverse = if written.starts_with('/') { "1" } else { "" };
                out.push(&format!("[{inverse}{written}]"), unit.clone());
                at = unit.end;
            }
        } else {
            let length = c.len_utf8();
            out.push(&rest[..length], at..at + length);
            at += length;
        }
    }
    out.back.push(text.len());
    Ok(out)
}

/// Length of the number that `text` begins with.
fn number(text: &str) -> usize {
    let digits = |from: usize| run(&text[from..], |c| c.is_ascii_digit());
    let mut end = digits(0);
    if text[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

/// The unit that follows a number which ends at `at`.
fn unit_after(text: &str, at: usize, names: &[&str]) -> Result<Option<Range<usize>>, Problem> {
    let space = run(&text[at..], char::is_whitespace);
    let start = at + space;
    let rest = &text[start..];
    let begins = |c: char| c.is_alphabetic() || c == '%' || c == '°';
    let Some(first) = rest.chars().next() else {
        return Ok(None);
    };
    let inverse = first == '/';
    let word_at = usize::from(inverse);
    let word = &rest[word_at..];
    if !word.starts_with(begins) {
        return Ok(None);
    }
    let length = run(word, |c| is_name(c) || begins(c));
    let name = &word[..length];
    let called = word[length..].trim_start().starts_with('(');
    let keyword = matches!(name.to_ascii_lowercase().as_str(), "and" | "or" | "not");
    if keyword || called || (inverse && names.contains(&name)) {
        return Ok(None);
    }
    // the longest beginning that is a unit and in which no name of the scope stands
    let symbol = |c: char| is_name(c) || begins(c) || matches!(c, '/' | '*' | '·' | '^' | '.');
    let most = run(rest, symbol);
    let mut best = None;
    let ends = rest[..most]
        .char_indices()
        .map(|(i, c)| i + c.len_utf8())
        .filter(|&end| !rest[end..].starts_with(is_name));
    for end in ends {
        let written = &rest[..end];
        let foreign = written[word_at + length.min(written.len() - word_at)..]
            .split(|c: char| !is_name(c))
            .any(|word| names.contains(&word));
        let whole = if inverse {
            format!("1{written}")
        } else {
            written.to_owned()
        };
        if !foreign && Unit::parse(&whole).is_ok() {
            best = Some(end);
        }
    }
    if let Some(end) = best {
        return Ok(Some(at..start + end));
    }
    let span = start + word_at..start + word_at + length;
    let error = Unit::parse(name).err();
    Err(Problem {
        code: error.as_ref().map_or("M202", |error| error.code()),
        message: format!("`{name}` after a number is not a unit"),
        span,
        help: error
            .and_then(|error| error.help)
            .or_else(|| Some("a product needs `*`; a unit follows its number: `1.5e9/L`".into())),
    })
}

/// Gives bare numbers the unit of what they are compared with or added to; returns the unit of
/// the whole.
fn adopt(
    tree: &Expr,
    unit: &dyn Fn(&str) -> Option<String>,
    inserts: &mut Vec<(usize, String)>,
) -> Option<String> {
    match &tree.kind {
        ExprKind::Number { .. } => None,
        ExprKind::Name { name, .. } => unit(name),
        ExprKind::Unary(op, inner) => {
            let inner = adopt(inner, unit, inserts);
            inner.filter(|_| *op == Unary::Neg)
        }
        ExprKind::Chain { first, rest } => {
            let op = rest.first().map(|(op, _)| *op);
            let operands: Vec<&Expr> = std::iter::once(&**first)
                .chain(rest.iter().map(|(_, operand)| operand))
                .collect();
            match op {
                Some(Binary::Mul | Binary::Div) => {
                    let units: Vec<Option<String>> = operands
                        .iter()
                        .map(|operand| adopt(operand, unit, inserts))
                        .collect();
                    scaled(&operands, &units, rest)
                }
                Some(Binary::And | Binary::Or) => {
                    for operand in operands {
                        adopt(operand, unit, inserts);
                    }
                    None
                }
                _ => {
                    let common = alike(&operands, unit, inserts);
                    common.filter(|_| matches!(op, Some(Binary::Add | Binary::Sub)))
                }
            }
        }
        ExprKind::Power(base, exponent) => {
            adopt(base, unit, inserts);
            adopt(exponent, unit, inserts);
            None
        }
        ExprKind::Call { name, arguments } => {
            let arguments: Vec<&Expr> = arguments.iter().collect();
            match (name.text.as_str(), &arguments[..]) {
                ("min" | "max" | "abs", all) => alike(all, unit, inserts),
                ("if", [condition, yes, no]) => {
                    adopt(condition, unit, inserts);
                    alike(&[yes, no], unit, inserts)
                }
                (_, all) => {
                    for argument in all {
                        adopt(argument, unit, inserts);
                    }
                    None
                }
            }
        }
        ExprKind::Sum { body, .. } => adopt(body, unit, inserts),
    }
}

/// Operands of one dimension: the bare numbers among them take the unit of the others.
fn alike(
    operands: &[&Expr],
    unit: &dyn Fn(&str) -> Option<String>,
    inserts: &mut Vec<(usize, String)>,
) -> Option<String> {
    let units: Vec<Option<String>> = operands
        .iter()
        .map(|operand| adopt(operand, unit, inserts))
        .collect();
    let common = units.into_iter().flatten().next()?;
    if common != "1" {
        for operand in operands {
            if let Some(end) = bare(operand) {
                inserts.push((end, common.clone()));
            }
        }
    }
    Some(common)
}

/// Where the number ends, if the expression is nothing but a number without a unit.
fn bare(tree: &Expr) -> Option<usize> {
    match &tree.kind {
        // the literal 0 has any dimension
        ExprKind::Number { value, unit: None } if *value != 0.0 => Some(tree.span.end),
        ExprKind::Unary(Unary::Neg, inner) => bare(inner),
        _ => None,
    }
}

/// The unit of `1.25*PSA_nadir`: of the one factor that has one, if the others are numbers.
fn scaled(operands: &[&Expr], units: &[Option<String>], rest: &[(Binary, Expr)]) -> Option<String> {
    let number = |tree: &Expr| {
        matches!(&tree.kind, ExprKind::Number { unit: None, .. })
            || matches!(&tree.kind, ExprKind::Unary(Unary::Neg, inner) if matches!(inner.kind, ExprKind::Number { unit: None, .. }))
    };
    let mut found = None;
    for (index, (operand, unit)) in operands.iter().zip(units).enumerate() {
        match unit {
            Some(unit) => {
                let divisor = index > 0
                    && rest
                        .get(index - 1)
                        .is_some_and(|(op, _)| *op == Binary::Div);
                if divisor || found.is_some() {
                    return None;
                }
                found = Some(unit.clone());
            }
            None if number(operand) => {}
            None => return None,
        }
    }
    found
}
