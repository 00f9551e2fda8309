//! Diagnostics as data: what went wrong, where, and what would have been right.
//!
//! Every front-end function of the workspace (model files, event tables, regimens, trial files)
//! returns [`Diagnostics`] as its error: many findings of one run, each with a stable code and a
//! span in a [`Source`]. Rendering is a separate step.

mod codes;
mod render;

pub use codes::{CODES, meaning};

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A named text that diagnostics point into. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

impl Source {
    /// `name` is what the user knows the text by: a path, or `command line`.
    pub fn new(name: impl AsRef<str>, text: impl AsRef<str>) -> Self {
        Self {
            name: Arc::from(name.as_ref()),
            text: Arc::from(text.as_ref()),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = floor_boundary(&self.text, offset);
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// A span cut to the text and to character boundaries.
    fn clamp(&self, span: Range<usize>) -> Range<usize> {
        let start = floor_boundary(&self.text, span.start);
        let mut end = span.end.clamp(start, self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {} bytes)", self.name, self.text.len())
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Error,
}

/// A span of a source with a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub source: Source,
    pub span: Range<usize>,
    pub message: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable, such as `M203`; see [`CODES`] for those of this crate.
    pub code: &'static str,
    pub severity: Severity,
    /// The cause, one sentence without a full stop.
    pub message: String,
    /// Where; findings about a whole file point at its first character.
    pub primary: Option<Label>,
    pub secondary: Vec<Label>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message)
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message)
    }

    fn new(code: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        // texts of the user are quoted: one line, and nothing that a terminal obeys
        let one_line = |c: char| if c.is_control() { ' ' } else { c };
        Self {
            code,
            severity,
            message: message.into().chars().map(one_line).collect(),
            primary: None,
            secondary: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Where the finding is (bytes of `source`).
    #[must_use]
    pub fn at(mut self, source: &Source, span: Range<usize>) -> Self {
        let span = source.clamp(span);
        self.primary = Some(Label {
            source: source.clone(),
            span,
            message: String::new(),
        });
        self
    }

    /// A remark at the primary span.
    #[must_use]
    pub fn label(mut self, message: impl Into<String>) -> Self {
        if let Some(primary) = &mut self.primary {
            primary.message = message.into();
        }
        self
    }

    /// Another place that plays a part.
    #[must_use]
    pub fn also(mut self, source: &Source, span: Range<usize>, message: impl Into<String>) -> Self {
        let span = source.clamp(span);
        self.secondary.push(Label {
            source: source.clone(),
            span,
            message: message.into(),
        });
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds the help if there is one.
    #[must_use]
    pub fn help_if(mut self, help: Option<impl Into<String>>) -> Self {
        self.help.extend(help.map(Into::into));
        self
    }

    pub fn file(&self) -> Option<&str> {
        self.primary.as_ref().map(|label| label.source.name())
    }

    /// Line and column, from 1.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.primary
            .as_ref()
            .map(|label| label.source.position(label.span.start))
    }

    pub fn line(&self) -> Option<usize> {
        self.position().map(|(line, _)| line)
    }

    pub fn column(&self) -> Option<usize> {
        self.position().map(|(_, column)| column)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::render(std::slice::from_ref(self), false))
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Place<'a> {
            file: &'a str,
            line: usize,
            column: usize,
            end_line: usize,
            end_column: usize,
            message: &'a str,
        }
        fn place(label: &Label) -> Place<'_> {
            let (line, column) = label.source.position(label.span.start);
            let (end_line, end_column) = label.source.position(label.span.end);
            let file = label.source.name();
            Place {
                file,
                line,
                column,
                end_line,
                end_column,
                message: &label.message,
            }
        }
        let mut out = serializer.serialize_struct("Diagnostic", 6)?;
        out.serialize_field("code", self.code)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("primary", &self.primary.as_ref().map(place))?;
        out.serialize_field(
            "secondary",
            &self.secondary.iter().map(place).collect::<Vec<_>>(),
        )?;
        out.serialize_field("help", &self.help)?;
        out.end()
    }
}

/// The findings of one run, in the order they were found. The error type of every front end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Findings that are kept of one run: enough for every reader, and hostile input stays cheap.
    pub const MOST: usize = 1000;

    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding, unless the same code at the same place is there already (the elements of
    /// an indexed family repeat what is said of the first), or there are [`Self::MOST`] already
    /// and nothing is lost but more of the same.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.0.len() >= Self::MOST && self.has_errors() {
            return;
        }
        let known = diagnostic.primary.as_ref().is_some_and(|new| {
            self.0.iter().any(|d| {
                d.code == diagnostic.code
                    && d.primary.as_ref().is_some_and(|old| {
                        old.span == new.span && old.source.name == new.source.name
                    })
            })
        });
        if !known {
            self.0.push(diagnostic);
        }
    }

    pub fn extend(&mut self, others: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in others {
            self.push(diagnostic);
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// `Err` with every finding if any of them is an error, else the value and the warnings.
    pub fn into_result<T>(self, value: T) -> Result<(T, Diagnostics), Diagnostics> {
        if self.has_errors() {
            Err(self)
        } else {
            Ok((value, self))
        }
    }

    /// By file, then position: the order in which a reader meets them.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            let key = |d: &Diagnostic| {
                d.primary
                    .as_ref()
                    .map(|label| (label.source.name.clone(), label.span.start))
            };
            key(a).cmp(&key(b))
        });
    }

    /// Every finding with file, line, column and caret; `colour` adds ANSI escapes.
    pub fn render(&self, colour: bool) -> String {
        render::render(&self.0, colour)
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(findings: I) -> Self {
        let mut out = Self::new();
        for diagnostic in findings {
            out.push(diagnostic);
        }
        out
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// The candidate closest to `word`, if it is close enough to be a slip of the hand.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|&(distance, candidate)| {
            distance <= (word.chars().count().max(candidate.chars().count()) / 3).max(1)
                && distance < word.chars().count().max(candidate.chars().count())
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `central`?"
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    const COMPARED: usize = 2000;
    // a pathological word must not cost a quadratic comparison with every name
    if word.len() > 200 {
        return None;
    }
    closest(word, candidates.into_iter().take(COMPARED))
        .map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests;
