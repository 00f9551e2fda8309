//! Typed access to a parsed TOML table; every mismatch becomes a diagnostic.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::text::{Number, Origin, Place, Text};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, did_you_mean};

/// A value of the file and where it stands.
pub type Value<'a> = &'a Spanned<DeValue<'a>>;

/// A table of the file and what it is called in messages.
#[derive(Clone)]
pub struct Section<'a> {
    pub table: &'a DeTable<'a>,
    /// The key or header that opens it.
    pub place: Place,
    /// `parameter `CL``
    pub what: String,
}

/// Reads values of the wanted type and keeps what is wrong with them: `M001` text that is not
/// TOML, `M002` unknown keys, `M003` missing ones, `M004` values of another type, `M401` numbers
/// that are not finite. What was reported is `None` to the caller.
pub struct Reader {
    pub source: Source,
    pub diagnostics: Diagnostics,
}

impl Reader {
    /// The top-level table of a file; what is not TOML in it is reported and left out.
    pub fn open(source: &Source) -> (Self, Spanned<DeTable<'_>>) {
        let mut reader = Self {
            source: source.clone(),
            diagnostics: Diagnostics::new(),
        };
        let (root, errors) = DeTable::parse_recoverable(source.text());
        for error in errors.iter().take(Diagnostics::MOST) {
            let span = error.span().unwrap_or(0..0);
            let finding = reader
                .place(span)
                .error("M001", error.message().trim().replace('\n', ", "));
            reader.diagnostics.push(finding);
        }
        (reader, root)
    }

    /// The findings, without what is said about the keys of a line that is not TOML: a part of it
    /// could not be read.
    pub fn finish(self) -> Diagnostics {
        let (found, text) = (self.diagnostics, self.source.text());
        // the lines are known by where they begin
        let line = |d: &Diagnostic| {
            let at = d.primary.as_ref()?.span.start;
            Some(text.get(..at)?.rfind('\n').map_or(0, |end| end + 1))
        };
        let broken: BTreeSet<Option<usize>> = found
            .iter()
            .filter(|d| d.code == "M001")
            .map(line)
            .collect();
        if broken.is_empty() {
            return found;
        }
        let echo = |d: &&Diagnostic| {
            matches!(d.code, "M002" | "M003" | "M004" | "M401") && broken.contains(&line(d))
        };
        found.iter().filter(|d| !echo(d)).cloned().collect()
    }

    pub fn place(&self, span: std::ops::Range<usize>) -> Place {
        Place::new(&self.source, span)
    }

    pub fn text_at(&self, span: std::ops::Range<usize>, value: &str) -> Text {
        Text {
            value: value.to_owned(),
            origin: Origin::within(&self.source, span, value),
        }
    }

    /// Keys and values in the order of the file.
    pub fn entries<'a>(&self, table: &'a DeTable<'a>) -> Vec<(Text, Value<'a>)> {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| (self.text_at(key.span(), key.get_ref()), value))
            .collect();
        entries.sort_by_key(|(key, _)| key.place().span.start);
        entries
    }

    /// Reports keys that the format does not have.
    pub fn only(&mut self, section: &Section<'_>, allowed: &[&str]) {
        for (key, _) in self.entries(section.table) {
            if !allowed.contains(&key.value.as_str()) {
                let help = did_you_mean(&key.value, allowed.iter().copied())
                    .unwrap_or_else(|| format!("known keys: {}", allowed.join(", ")));
                let message = format!("{} has no key `{}`", section.what, key.value);
                self.diagnostics.push(key.error("M002", message).help(help));
            }
        }
    }

    /// Reports that a required key is missing.
    pub fn missing(&mut self, section: &Section<'_>, key: &str, help: &str) {
        let message = format!("{} has no `{key}`", section.what);
        let mut finding = section.place.error("M003", message);
        if !help.is_empty() {
            finding = finding.help(help);
        }
        self.diagnostics.push(finding);
    }

    /// Reports a value of the wrong type.
    pub fn mismatch(&mut self, section: &Section<'_>, key: &str, wanted: &str, found: Value<'_>) {
        let kind = found.get_ref().type_str();
        let article = if kind.starts_with(['a', 'i']) {
            "an"
        } else {
            "a"
        };
        let message = format!(
            "`{key}` of {} must be {wanted}, found {article} {kind}",
            section.what
        );
        let finding = self.place(found.span()).error("M004", message);
        self.diagnostics.push(finding);
    }

    pub fn text(&mut self, section: &Section<'_>, key: &str) -> Option<Text> {
        let value = section.table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(self.text_at(value.span(), text)),
            _ => {
                self.mismatch(section, key, "a string", value);
                None
            }
        }
    }

    pub fn required_text(&mut self, section: &Section<'_>, key: &str, help: &str) -> Option<Text> {
        if !section.table.contains_key(key) {
            self.missing(section, key, help);
        }
        self.text(section, key)
    }

    pub fn flag(&mut self, section: &Section<'_>, key: &str) -> Option<bool> {
        let value = section.table.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.mismatch(section, key, "true or false", value);
        }
        flag
    }

    /// The number in `value`, finite.
    pub fn as_number(&mut self, value: Value<'_>) -> Option<Number> {
        let parsed = match value.get_ref() {
            DeValue::Integer(i) if i.radix() == 10 => i.as_str().replace('_', "").parse::<f64>(),
            DeValue::Float(f) => f.as_str().replace('_', "").parse::<f64>(),
            _ => return None,
        };
        let place = self.place(value.span());
        Some(Number {
            value: parsed.unwrap_or(f64::NAN),
            place,
        })
    }

    fn finite(&mut self, number: Number) -> Option<Number> {
        if number.value.is_finite() {
            return Some(number);
        }
        self.diagnostics
            .push(number.place.error("M401", "the number is not finite"));
        None
    }

    pub fn number(&mut self, section: &Section<'_>, key: &str) -> Option<Number> {
        let value = section.table.get(key)?;
        match self.as_number(value) {
            Some(number) => self.finite(number),
            None => {
                self.mismatch(section, key, "a number", value);
                None
            }
        }
    }

    pub fn required_number(&mut self, section: &Section<'_>, key: &str) -> Option<Number> {
        if !section.table.contains_key(key) {
            self.missing(section, key, "");
        }
        self.number(section, key)
    }

    /// A string, or a number taken as the text it is written in.
    pub fn text_or_number(&mut self, section: &Section<'_>, key: &str) -> Option<Text> {
        let value = section.table.get(key)?;
        self.as_text_or_number(section, key, value)
    }

    fn as_text_or_number(
        &mut self,
        section: &Section<'_>,
        key: &str,
        value: Value<'_>,
    ) -> Option<Text> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(self.text_at(value.span(), text));
        }
        match self.as_number(value) {
            Some(number) => {
                self.finite(number)?;
                let raw = self
                    .source
                    .text()
                    .get(value.span())
                    .unwrap_or_default()
                    .to_owned();
                Some(self.text_at(value.span(), &raw))
            }
            None => {
                self.mismatch(section, key, "a quantity such as \"2 h\"", value);
                None
            }
        }
    }

    fn list<'a>(
        &mut self,
        section: &Section<'a>,
        key: &str,
    ) -> Option<(Place, &'a [Spanned<DeValue<'a>>])> {
        let value = section.table.get(key)?;
        match value.get_ref() {
            DeValue::Array(items) => Some((self.place(value.span()), items.as_ref())),
            _ => {
                self.mismatch(section, key, "a list", value);
                None
            }
        }
    }

    /// May hold infinities (an open bound) and NaN: the caller decides.
    pub fn numbers(&mut self, section: &Section<'_>, key: &str) -> Option<(Place, Vec<Number>)> {
        let (place, items) = self.list(section, key)?;
        let mut numbers = Vec::with_capacity(items.len());
        for item in items {
            match self.as_number(item) {
                Some(number) => numbers.push(number),
                None => {
                    self.mismatch(section, key, "a list of numbers", item);
                    return None;
                }
            }
        }
        Some((place, numbers))
    }

    pub fn texts(&mut self, section: &Section<'_>, key: &str) -> Option<(Place, Vec<Text>)> {
        let (place, items) = self.list(section, key)?;
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            texts.push(self.as_text_or_number(section, key, item)?);
        }
        Some((place, texts))
    }

    /// The sub-table `key`.
    pub fn section<'a>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        what: &str,
    ) -> Option<Section<'a>> {
        let (found, value) = section.table.get_key_value(key)?;
        let place = self.place(found.span());
        match value.get_ref() {
            DeValue::Table(table) => Some(Section {
                table,
                place,
                what: what.to_owned(),
            }),
            _ => {
                self.mismatch(section, key, "a table", value);
                None
            }
        }
    }

    /// The tables inside the sub-table `key`, such as every `[states.NAME]`; `what` is `state`.
    pub fn named<'a>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        what: &str,
    ) -> Vec<(Text, Section<'a>)> {
        let Some(outer) = self.section(section, key, &format!("[{key}]")) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, value) in self.entries(outer.table) {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let place = name.place().clone();
                    let what = format!("{what} `{}`", name.value);
                    out.push((name, Section { table, place, what }));
                }
                _ => self.mismatch(&outer, &name.value, "a table", value),
            }
        }
        out
    }

    /// The tables of the list `key`, such as `[[correlations]]`.
    pub fn listed<'a>(&mut self, section: &Section<'a>, key: &str, what: &str) -> Vec<Section<'a>> {
        let Some((_, items)) = self.list(section, key) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => {
                    let place = self.place(item.span());
                    out.push(Section {
                        table,
                        place,
                        what: what.to_owned(),
                    });
                }
                _ => self.mismatch(section, key, "a list of tables", item),
            }
        }
        out
    }
}
