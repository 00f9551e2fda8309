//! Typed access to the TOML of a trial file; every mismatch becomes a diagnostic.

use posology_model::diagnostic::{Diagnostics, Source, did_you_mean};
use posology_model::file::{Number, Origin, Place, Text};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Value<'a> = &'a Spanned<DeValue<'a>>;

/// A table of the file and what it is called in messages.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub table: &'a DeTable<'a>,
    /// The key or header that opens it.
    pub place: Place,
    pub what: String,
}

pub(super) struct Reader {
    pub source: Source,
    pub found: Diagnostics,
}

impl Reader {
    pub fn place(&self, span: std::ops::Range<usize>) -> Place {
        Place::new(&self.source, span)
    }

    fn text_at(&self, span: std::ops::Range<usize>, value: &str) -> Text {
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
                self.found.push(key.error("T002", message).help(help));
            }
        }
    }

    pub fn missing(&mut self, section: &Section<'_>, key: &str, help: &str) {
        let message = format!("{} has no `{key}`", section.what);
        self.found
            .push(section.place.error("T003", message).help(help));
    }

    fn mismatch(&mut self, section: &Section<'_>, key: &str, wanted: &str, value: Value<'_>) {
        let kind = value.get_ref().type_str();
        let message = format!(
            "`{key}` of {} must be {wanted}, found: {kind}",
            section.what
        );
        let finding = self.place(value.span()).error("T004", message);
        self.found.push(finding);
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

    /// A string, empty if there is none.
    pub fn words(&mut self, section: &Section<'_>, key: &str) -> String {
        self.text(section, key)
            .map_or_else(String::new, |text| text.value.trim().to_owned())
    }

    pub fn flag(&mut self, section: &Section<'_>, key: &str) -> Option<bool> {
        let value = section.table.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.mismatch(section, key, "true or false", value);
        }
        flag
    }

    /// A finite number.
    pub fn number(&mut self, section: &Section<'_>, key: &str) -> Option<Number> {
        let value = section.table.get(key)?;
        match finite(value) {
            Some(number) => Some(Number {
                value: number,
                place: self.place(value.span()),
            }),
            None => {
                self.mismatch(section, key, "a number", value);
                None
            }
        }
    }

    /// A whole number in a range; `default` if there is none, or none that can be used.
    pub fn count(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: (u64, u64),
        default: u64,
    ) -> u64 {
        let Some(number) = self.number(section, key) else {
            return default;
        };
        let (low, high) = range;
        let whole = number.value.fract() == 0.0;
        if whole && number.value >= low as f64 && number.value <= high as f64 {
            return number.value as u64;
        }
        let message = format!(
            "`{key}` of {} must be a whole number from {low} to {high}",
            section.what
        );
        self.found.push(number.place.error("T013", message));
        default
    }

    pub fn texts(&mut self, section: &Section<'_>, key: &str) -> Vec<Text> {
        let Some(value) = section.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.mismatch(section, key, "a list of strings", value);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(self.text_at(item.span(), text)),
                _ => self.mismatch(section, key, "a list of strings", item),
            }
        }
        texts
    }

    /// The sub-table `key`.
    pub fn section<'a>(&mut self, section: &Section<'a>, key: &str) -> Option<Section<'a>> {
        let (name, value) = section.table.get_key_value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => {
                let place = self.place(name.span());
                Some(Section {
                    table,
                    place,
                    what: format!("[{key}]"),
                })
            }
            _ => {
                self.mismatch(section, key, "a table", value);
                None
            }
        }
    }

    /// The tables inside the sub-table `key`, such as every `[arms.NAME]`.
    pub fn named<'a>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        noun: &str,
    ) -> Vec<(Text, Section<'a>)> {
        let Some(outer) = self.section(section, key) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, value) in self.entries(outer.table) {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let place = name.place().clone();
                    let what = format!("{noun} `{}`", name.value);
                    out.push((name, Section { table, place, what }));
                }
                _ => self.mismatch(&outer, &name.value, "a table", value),
            }
        }
        out
    }

    /// A table of strings, such as `columns = { ID = "patient" }`.
    pub fn pairs(&mut self, section: &Section<'_>, key: &str) -> Vec<(Text, Text)> {
        let Some(inner) = self.section(section, key) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, value) in self.entries(inner.table) {
            match value.get_ref() {
                DeValue::String(text) => out.push((name, self.text_at(value.span(), text))),
                _ => self.mismatch(&inner, &name.value, "a string", value),
            }
        }
        out
    }

    /// The tables of a list such as `[[validation]]`.
    pub fn tables<'a>(&mut self, section: &Section<'a>, key: &str, noun: &str) -> Vec<Section<'a>> {
        let Some(value) = section.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.mismatch(section, key, "a list of tables", value);
            return Vec::new();
        };
        let mut out = Vec::new();
        for (number, item) in items.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(table) => out.push(Section {
                    table,
                    place: self.place(item.span()),
                    what: format!("{noun} {}", number + 1),
                }),
                _ => self.mismatch(section, key, "a list of tables", item),
            }
        }
        out
    }

    /// A list of finite numbers.
    pub fn numbers(&mut self, section: &Section<'_>, key: &str) -> Vec<Number> {
        let Some(value) = section.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.mismatch(section, key, "a list of numbers", value);
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items.iter() {
            match finite(item) {
                Some(value) => out.push(Number {
                    value,
                    place: self.place(item.span()),
                }),
                None => self.mismatch(section, key, "a list of numbers", item),
            }
        }
        out
    }

    /// A number of a range, both ends included or not; reported if it lies outside.
    pub fn within(
        &mut self,
        section: &Section<'_>,
        key: &str,
        fits: impl Fn(f64) -> bool,
        range: &str,
    ) -> Option<f64> {
        let number = self.number(section, key)?;
        if fits(number.value) {
            return Some(number.value);
        }
        let message = format!("`{key}` of {} must be {range}", section.what);
        self.found.push(number.place.error("T013", message));
        None
    }

    /// One of some words; the first if there is none.
    pub fn choice<T: Copy>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let Some(text) = self.text(section, key) else {
            return choices.first().map(|&(_, value)| value);
        };
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words = || choices.iter().map(|&(word, _)| word);
            let message = format!(
                "`{key}` of {} cannot be `{}`",
                section.what,
                text.value.trim()
            );
            self.found.push(
                text.error("T010", message)
                    .help_if(did_you_mean(&text.value, words()))
                    .help(format!(
                        "one of: {}",
                        words().collect::<Vec<_>>().join(", ")
                    )),
            );
        }
        found.map(|&(_, value)| value)
    }

    /// Reports texts that come twice.
    pub fn once(&mut self, texts: &[Text], noun: &str) {
        for (index, text) in texts.iter().enumerate() {
            if texts[..index].iter().any(|known| known.value == text.value) {
                let message = format!("the {noun} `{}` stands here twice", text.value);
                self.found
                    .push(text.error("T027", message).help("leave one of them out"));
            }
        }
    }
}

fn finite(value: Value<'_>) -> Option<f64> {
    let parsed = match value.get_ref() {
        DeValue::Integer(i) if i.radix() == 10 => i.as_str().replace('_', "").parse::<f64>().ok(),
        DeValue::Float(f) => f.as_str().replace('_', "").parse::<f64>().ok(),
        _ => None,
    };
    parsed.filter(|number| number.is_finite())
}
