//! Text to units and quantities.
//!
//! ```text
//! unit   = term (("*" | "·" | "/") term)*
//! term   = number ("^" whole)? symbol-power? | symbol-power | "(" unit ")" power?
//! power  = "^" number | "^(" number ("/" whole)? ")" | digits | "-" digits
//! ```

use std::ops::Range;

use super::{Dimension, Exponent, Factor, Unit, symbols};

/// Longer units do not occur; the limit also bounds the parser's recursion.
const LONGEST: usize = 200;

/// Why a text is not a unit or a quantity. `span` is in bytes of the text that was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    pub message: String,
    pub span: Range<usize>,
    pub help: Option<String>,
    /// A symbol that is not in the table, as opposed to a text that is not a unit at all.
    pub unknown_symbol: bool,
}

impl UnitError {
    fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            message: message.into(),
            span,
            help: None,
            unknown_symbol: false,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The diagnostic code of this error.
    pub fn code(&self) -> &'static str {
        if self.unknown_symbol { "M201" } else { "M202" }
    }
}

pub(super) fn parse_unit(text: &str) -> Result<(Dimension, Factor), UnitError> {
    if text.len() > LONGEST {
        return Err(UnitError::new(
            "a unit this long cannot be right",
            0..text.len(),
        ));
    }
    if text.trim().is_empty() {
        return Err(UnitError::new("the unit is empty", 0..text.len())
            .help("write `1` for a dimensionless quantity"));
    }
    let mut cursor = Cursor { text, at: 0 };
    let unit = cursor.unit()?;
    cursor.skip_space();
    if cursor.at < text.len() {
        return Err(cursor.unexpected("`*` or `/`"));
    }
    let size = unit.1.value();
    if !size.is_finite() || size <= 0.0 {
        return Err(UnitError::new(
            "the unit's size is not a positive number",
            0..text.len(),
        ));
    }
    Ok(unit)
}

/// Parses a number with an optional unit, such as `1.5e9/L`, `0.25 h` or `12`, into the number
/// and its unit (`1` if there is none).
///
/// # Errors
/// As [`Unit::parse`], and for a missing or infinite number.
pub fn parse_quantity(text: &str) -> Result<(f64, Unit), UnitError> {
    if text.len() > LONGEST {
        return Err(UnitError::new(
            "a quantity this long cannot be right",
            0..text.len(),
        ));
    }
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_space();
    let start = cursor.at;
    let negative = cursor.eat('-');
    if !negative {
        cursor.eat('+');
    }
    let Some(number) = cursor.number() else {
        return Err(
            UnitError::new("a quantity begins with a number", start..text.len())
                .help("write for example \"0.25 h\" or \"1.5e9/L\""),
        );
    };
    if !number.is_finite() {
        return Err(UnitError::new("the number is too large", start..cursor.at));
    }
    let value = if negative { -number } else { number };
    cursor.skip_space();
    let rest_at = cursor.at;
    let rest = &text[rest_at..];
    if rest.is_empty() {
        return Ok((value, Unit::one()));
    }
    // `1.5e9/L`: the unit is `1/L`
    let inverse = rest.starts_with('/');
    let written = if inverse {
        format!("1{rest}")
    } else {
        rest.to_owned()
    };
    let unit = Unit::parse(&written).map_err(|mut error| {
        let shift = |at: usize| {
            (rest_at + at)
                .saturating_sub(usize::from(inverse))
                .min(text.len())
        };
        error.span = shift(error.span.start)..shift(error.span.end);
        error
    })?;
    Ok((value, unit))
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn eat_while(&mut self, keep: impl Fn(char) -> bool) -> Range<usize> {
        let start = self.at;
        while let Some(c) = self.peek().filter(|&c| keep(c)) {
            self.at += c.len_utf8();
        }
        start..self.at
    }

    fn skip_space(&mut self) {
        self.eat_while(char::is_whitespace);
    }

    fn unexpected(&self, wanted: &str) -> UnitError {
        match self.peek() {
            None => UnitError::new(
                format!("the unit ends where {wanted} is needed"),
                self.at..self.at,
            ),
            Some(c) => UnitError::new(
                format!("expected {wanted}, found `{c}`"),
                self.at..self.at + c.len_utf8(),
            ),
        }
    }

    fn unit(&mut self) -> Result<(Dimension, Factor), UnitError> {
        let (mut dimension, mut factor) = self.term()?;
        loop {
            self.skip_space();
            let divide = match self.peek() {
                Some('*' | '·') => false,
                Some('/') => true,
                _ => return Ok((dimension, factor)),
            };
            self.at += self.peek().map_or(0, char::len_utf8);
            let (d, f) = self.term()?;
            if divide {
                (dimension, factor) = (dimension.per(d), factor.mul(f.recip()));
            } else {
                (dimension, factor) = (dimension.times(d), factor.mul(f));
            }
        }
    }

    fn term(&mut self) -> Result<(Dimension, Factor), UnitError> {
        self.skip_space();
        let start = self.at;
        if self.eat('(') {
            let inner = self.unit()?;
            self.skip_space();
            if !self.eat(')') {
                return Err(self.unexpected("`)`"));
            }
            return self.raise(inner, start);
        }
        let Some(number) = self.number() else {
            return self.symbol();
        };
        let mut factor = Factor::number(number, 0);
        if self.peek() == Some('^') {
            (_, factor) = self.raise((Dimension::NONE, factor), start)?;
        }
        // `1.73m2`: the number and the symbol are one factor
        if self.peek().is_some_and(is_symbol) {
            let (dimension, size) = self.symbol()?;
            return Ok((dimension, factor.mul(size)));
        }
        Ok((Dimension::NONE, factor))
    }

    fn symbol(&mut self) -> Result<(Dimension, Factor), UnitError> {
        let span = self.eat_while(is_symbol);
        if span.is_empty() {
            return Err(self.unexpected("a unit"));
        }
        let word = &self.text[span.clone()];
        let Some(found) = symbols::look_up(word) else {
            let mut error = UnitError::new(format!("unknown unit `{word}`"), span);
            error.unknown_symbol = true;
            let meant = symbols::suggestion(word);
            return Err(match meant {
                Some(meant) => error.help(format!("did you mean `{meant}`?")),
                None => error,
            });
        };
        self.raise(found, span.start)
    }

    /// An optional power after a term.
    fn raise(
        &mut self,
        (dimension, factor): (Dimension, Factor),
        start: usize,
    ) -> Result<(Dimension, Factor), UnitError> {
        let Some(exponent) = self.exponent()? else {
            return Ok((dimension, factor));
        };
        match dimension.pow(exponent) {
            Some(dimension) => Ok((dimension, factor.pow(exponent))),
            None => Err(UnitError::new("this power has no meaning", start..self.at)),
        }
    }

    fn exponent(&mut self) -> Result<Option<Exponent>, UnitError> {
        let start = self.at;
        let caret = self.eat('^');
        let parenthesis = caret && self.eat('(');
        let negative = match self.peek() {
            Some('-') if caret || self.digit_follows() => self.eat('-'),
            _ => false,
        };
        let number = if caret { self.number() } else { self.whole() };
        let Some(mut number) = number else {
            return if caret {
                Err(self.unexpected("a number"))
            } else {
                Ok(None)
            };
        };
        if parenthesis {
            if self.eat('/') {
                match self.whole() {
                    Some(divisor) => number /= divisor,
                    None => return Err(self.unexpected("a whole number")),
                }
            }
            if !self.eat(')') {
                return Err(self.unexpected("`)`"));
            }
        }
        let signed = if negative { -number } else { number };
        match Exponent::from_f64(signed) {
            Some(exponent) => Ok(Some(exponent)),
            None => Err(UnitError::new("this power has no meaning", start..self.at)),
        }
    }

    fn digit_follows(&self) -> bool {
        self.text[self.at..]
            .chars()
            .nth(1)
            .is_some_and(|c| c.is_ascii_digit())
    }

    fn whole(&mut self) -> Option<f64> {
        let span = self.eat_while(|c| c.is_ascii_digit());
        self.text[span].parse().ok()
    }

    /// An unsigned number: `1`, `1.73`, `1e9`. An `e` without digits is left for the unit.
    fn number(&mut self) -> Option<f64> {
        let start = self.at;
        if self.eat_while(|c| c.is_ascii_digit()).is_empty() {
            return None;
        }
        if self.peek() == Some('.') && self.digit_follows() {
            self.at += 1;
            self.eat_while(|c| c.is_ascii_digit());
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let before = self.at;
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            if self.eat_while(|c| c.is_ascii_digit()).is_empty() {
                self.at = before;
            }
        }
        self.text[start..self.at].parse().ok()
    }
}

fn is_symbol(c: char) -> bool {
    c.is_alphabetic() || c == '%' || c == '°' || c == '_'
}
