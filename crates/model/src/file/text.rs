//! Values of a file with the place they stand at.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Source};

/// A span of a source.
#[derive(Clone, Debug)]
pub struct Place {
    pub source: Source,
    pub span: Range<usize>,
}

impl Place {
    pub fn new(source: &Source, span: Range<usize>) -> Self {
        Self {
            source: source.clone(),
            span,
        }
    }

    pub fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).at(&self.source, self.span.clone())
    }

    pub fn warning(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, message).at(&self.source, self.span.clone())
    }
}

/// Where a text that is parsed further (an expression, a unit, a regimen) stands in a file, so
/// that spans inside the text become spans of the file.
#[derive(Clone, Debug)]
pub struct Origin {
    place: Place,
    /// Where the text begins, if it stands in the source character for character.
    exact: Option<usize>,
}

impl Origin {
    /// A text of its own, such as a command-line argument called `name`.
    pub fn whole(name: &str, text: &str) -> Self {
        let source = Source::new(name, text);
        Self {
            place: Place {
                source,
                span: 0..text.len(),
            },
            exact: Some(0),
        }
    }

    /// `text` at `span` of `source`, where it may stand in TOML quotes. With escapes in it, spans
    /// inside the text fall back to the whole `span`.
    pub fn within(source: &Source, span: Range<usize>, text: &str) -> Self {
        let raw = source.text().get(span.clone()).unwrap_or_default();
        let offsets: &[usize] = if raw.starts_with("\"\"\"") || raw.starts_with("'''") {
            &[3, 4, 5] // a line break after the opening quotes does not belong to the text
        } else if raw.starts_with(['"', '\'']) {
            &[1]
        } else {
            &[0]
        };
        let at = offsets
            .iter()
            .find(|&&at| raw.get(at..at + text.len()) == Some(text));
        let exact = at.map(|at| span.start + at);
        Self {
            place: Place::new(source, span),
            exact,
        }
    }

    pub fn source(&self) -> &Source {
        &self.place.source
    }

    /// The whole text, quotes included.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A span of the text as a span of the source.
    pub fn span(&self, inner: Range<usize>) -> Range<usize> {
        match self.exact {
            Some(start) => start + inner.start..start + inner.end,
            None => self.place.span.clone(),
        }
    }

    pub fn at(&self, inner: Range<usize>) -> Place {
        Place::new(&self.place.source, self.span(inner))
    }

    /// A part of the text as a text of its own.
    pub fn part(&self, inner: Range<usize>) -> Origin {
        let exact = self.exact.map(|start| start + inner.start);
        Origin {
            place: self.at(inner),
            exact,
        }
    }
}

/// A string of a file.
#[derive(Clone, Debug)]
pub struct Text {
    pub value: String,
    pub origin: Origin,
}

impl Text {
    pub fn place(&self) -> &Place {
        &self.origin.place
    }

    pub fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        self.place().error(code, message)
    }
}

/// A number of a file, as written.
#[derive(Clone, Debug)]
pub struct Number {
    pub value: f64,
    pub place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(toml: &str, value: &str) -> Option<usize> {
        let start = toml.find(['"', '\'']).expect("quote");
        let source = Source::new("x", toml);
        let origin = Origin::within(&source, start..toml.len(), value);
        let span = origin.span(0..1);
        (span.len() == 1).then_some(span.start)
    }

    #[test]
    fn spans_inside_every_kind_of_string_are_exact() {
        assert_eq!(position("k = \"abc\"", "abc"), Some(5));
        assert_eq!(position("k = 'abc'", "abc"), Some(5));
        assert_eq!(position("k = \"\"\"abc\"\"\"", "abc"), Some(7));
        assert_eq!(position("k = \"\"\"\nabc\"\"\"", "abc"), Some(8));
        assert_eq!(position("k = '''\r\nabc'''", "abc"), Some(9));
        assert_eq!(position("k = \"a\\u0062c\"", "abc"), None);
    }
}
