//! Diagnostics as text for a terminal or a log.

use codespan_reporting::diagnostic as view;
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term::termcolor::{Ansi, WriteColor};
use codespan_reporting::term::{self, Chars, Config, Styles, StylesWriter};

use super::{Diagnostic, Label, Severity, Source};

/// After this many findings the rest is counted, not shown.
const SHOWN: usize = 50;

pub(super) fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let mut files = SimpleFiles::new();
    let mut known: Vec<Source> = Vec::new();
    let mut file_of = |source: &Source, files: &mut SimpleFiles<String, Source>| {
        if let Some(id) = known.iter().position(|other| other == source) {
            return id;
        }
        known.push(source.clone());
        files.add(source.name().to_owned(), source.clone())
    };
    let config = Config {
        chars: Chars::ascii(),
        ..Config::default()
    };
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(SHOWN) {
        let severity = match diagnostic.severity {
            Severity::Error => view::Severity::Error,
            Severity::Warning => view::Severity::Warning,
        };
        let mut labels = Vec::new();
        let mut add = |label: &Label, style: view::LabelStyle| {
            let id = file_of(&label.source, &mut files);
            let message = label.message.clone();
            labels.push(view::Label::new(style, id, label.span.clone()).with_message(message));
        };
        if let Some(primary) = &diagnostic.primary {
            add(primary, view::LabelStyle::Primary);
        }
        for label in &diagnostic.secondary {
            add(label, view::LabelStyle::Secondary);
        }
        let shown = view::Diagnostic::new(severity)
            .with_code(diagnostic.code)
            .with_message(&diagnostic.message)
            .with_labels(labels)
            .with_notes(
                diagnostic
                    .help
                    .iter()
                    .map(|help| format!("help: {help}"))
                    .collect(),
            );
        // rendering into memory fails only on spans outside the text, which `at` has cut
        out.push_str(
            &one(&config, &files, &shown, colour)
                .unwrap_or_else(|| format!("{}: {}\n", diagnostic.code, diagnostic.message)),
        );
    }
    if diagnostics.len() > SHOWN {
        out.push_str(&format!("... and {} more\n", diagnostics.len() - SHOWN));
    }
    out
}

fn one(
    config: &Config,
    files: &SimpleFiles<String, Source>,
    shown: &view::Diagnostic<usize>,
    colour: bool,
) -> Option<String> {
    if !colour {
        return term::emit_into_string(config, files, shown).ok();
    }
    let styles = Styles::default();
    let mut buffer = Ansi::new(Vec::new());
    debug_assert!(buffer.supports_color());
    let mut writer = StylesWriter::new(&mut buffer, &styles);
    term::emit_to_write_style(&mut writer, config, files, shown).ok()?;
    String::from_utf8(buffer.into_inner()).ok()
}

impl AsRef<str> for Source {
    fn as_ref(&self) -> &str {
        self.text()
    }
}
