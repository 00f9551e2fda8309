//! How deep a text nests, before anything recurses over it.

use super::Span;

/// Deepest nesting of parentheses, chained `^`, signs and `not`.
pub(super) const DEEPEST: usize = 64;

/// Longest expression, in bytes.
pub(super) const LONGEST: usize = 20_000;

/// What stood before a character.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Operand,
    Operator,
}

/// The place at which `text` nests deeper than [`DEEPEST`], if it does.
///
/// Recursion of the parser and of everything after it grows with open brackets and, inside each
/// bracket, with right-associative `^`, with prefix signs and with `not`.
pub(super) fn too_deep(text: &str) -> Option<Span> {
    let mut open: Vec<usize> = Vec::new();
    let (mut outer, mut signs, mut nots) = (0, 0, 0);
    let mut before = Before::Operator;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'(' | b'[' => {
                open.push(outer);
                outer += 1 + signs + nots;
                (signs, nots, before) = (0, 0, Before::Operator);
            }
            b')' | b']' => {
                outer = open.pop().unwrap_or(0);
                (signs, nots, before) = (0, 0, Before::Operand);
            }
            b'^' => {
                signs += 1;
                before = Before::Operator;
            }
            b'-' if before == Before::Operator => signs += 1,
            b',' => (signs, nots, before) = (0, 0, Before::Operator),
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'!' => {
                (signs, before) = (0, Before::Operator);
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
                    at += 1;
                }
                match &bytes[start..at] {
                    b"not" => (nots, before) = (nots + 1, Before::Operator),
                    b"and" | b"or" => (signs, nots, before) = (0, 0, Before::Operator),
                    _ => before = Before::Operand,
                }
            }
            _ => before = Before::Operand,
        }
        if outer + signs + nots > DEEPEST {
            return Some(start..at);
        }
    }
    None
}
