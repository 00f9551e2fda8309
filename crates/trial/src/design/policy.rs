//! Policies as arms: a file that decides doses from what was measured.
//!
//! ```toml
//! name = "anc-guided"                  # = file stem
//! title = "Dose by the lowest neutrophil count"
//! source = "convention"
//! kind = "expressions"                 # trained policies are a kind of their own
//! hold = "ANC < 1.0[1e9/L]"            # a due cycle waits while this holds; optional
//! [level]                              # dose relative to the arm's regimen, per input
//! docetaxel = "if(ANC_nadir < 0.5[1e9/L], 0.75, 1)"
//! bounds = [0, 1.25]                   # levels are kept within; default [0, 1]
//! ```
//!
//! A policy sees what rules see: measured observables, their first and lowest values, covariates.

use std::path::Path;

use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, Source};
use posology_model::file::Text;
use posology_model::model::Origin;

use super::lookup::known;
use super::patients::keep;
use super::reader::{Reader, Section};
use super::seen::Seen;

/// A policy file, read; its expressions are compiled with the arm that uses it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Name of the file without its ending.
    pub name: String,
    /// One line.
    pub title: String,
    /// As the trial file writes it.
    pub file: String,
    /// The citation.
    pub source: String,
    /// A due cycle waits while this holds.
    pub hold: Option<(String, Origin)>,
    /// (input, level, its place), in the order of the file.
    pub levels: Vec<(usize, String, Origin)>,
    /// Lowest and highest level.
    pub bounds: (f64, f64),
}

/// Reads the policy that an arm names.
pub(super) fn policy(
    reader: &mut Reader,
    file: &Text,
    model: &Model,
    seen: Option<&mut Seen>,
    dir: &Path,
) -> Option<Policy> {
    let Some(seen) = seen else {
        let finding = file.error(
            "T009",
            "a policy decides at visits, and this trial has none",
        );
        reader
            .found
            .push(finding.help("add [visits] with `every` and what is observed"));
        return None;
    };
    let path = dir.join(&file.value);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read the policy {}: {error}", path.display());
            let finding = file.error("T005", message);
            reader
                .found
                .push(finding.help("the path is relative to the trial file"));
            return None;
        }
    };
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let source = Source::new(path.display().to_string(), &text);
    let found = read(&source, &file.value, stem.as_deref(), model, seen);
    keep(reader, found)
}

fn read(
    source: &Source,
    file: &str,
    stem: Option<&str>,
    model: &Model,
    seen: &mut Seen,
) -> Result<Policy, Diagnostics> {
    let mut reader = Reader {
        source: source.clone(),
        found: Diagnostics::new(),
    };
    let (root, errors) = toml::de::DeTable::parse_recoverable(source.text());
    for error in errors.iter().take(Diagnostics::MOST) {
        let place = reader.place(error.span().unwrap_or(0..0));
        let message = error.message().trim().replace('\n', ", ");
        reader.found.push(place.error("T001", message));
    }
    if !errors.is_empty() {
        return Err(reader.found);
    }
    let section = Section {
        table: root.get_ref(),
        place: reader.place(0..0),
        what: "the policy".into(),
    };
    let policy = whole(&mut reader, &section, file, stem, model, seen);
    match policy {
        Some(policy) if !reader.found.has_errors() => Ok(policy),
        _ => Err(reader.found),
    }
}

fn whole(
    reader: &mut Reader,
    section: &Section<'_>,
    file: &str,
    stem: Option<&str>,
    model: &Model,
    seen: &mut Seen,
) -> Option<Policy> {
    reader.only(
        section,
        &["name", "title", "source", "kind", "hold", "level", "bounds"],
    );
    let name = reader.required_text(section, "name", "the name of the file without its ending")?;
    if stem.is_some_and(|stem| stem != name.value) {
        let message = format!("the policy is called `{}`, its file otherwise", name.value);
        reader
            .found
            .push(name.error("T006", message).help("use one name for both"));
    }
    let kind = reader.required_text(
        section,
        "kind",
        "what the policy is made of: `kind = \"expressions\"`",
    )?;
    if kind.value != "expressions" {
        let message = format!("there is no kind of policy `{}`", kind.value);
        reader
            .found
            .push(kind.error("T010", message).help("kinds: expressions"));
    }
    let inputs: Vec<Text> = model
        .inputs
        .iter()
        .map(|input| Text {
            value: input.name.clone(),
            origin: Origin::whole("input", &input.name),
        })
        .collect();
    let mut levels = Vec::new();
    for (input, level) in reader.pairs(section, "level") {
        if let Some(index) = known(reader, &input, &inputs, "input") {
            let compiled = keep(reader, seen.condition(&level.value, &level.origin));
            if let Some(compiled) = compiled {
                if compiled.condition || !compiled.dimension.is_none() {
                    let finding = level.error(
                        "T014",
                        "a dose level is a plain number, relative to the regimen",
                    );
                    reader
                        .found
                        .push(finding.help("such as \"if(ANC < 1.0, 0.75, 1)\""));
                }
                levels.push((index, compiled.text, level.origin));
            }
        }
    }
    let hold = reader.text(section, "hold").and_then(|text| {
        let compiled = keep(reader, seen.condition(&text.value, &text.origin))?;
        if !compiled.condition {
            let finding = text.error("T014", "`hold` must be a condition");
            reader.found.push(finding.help("such as \"ANC < 1.5e9/L\""));
        }
        Some((compiled.text, text.origin))
    });
    if levels.is_empty() && hold.is_none() {
        let finding = section.place.error("T007", "the policy decides nothing");
        reader
            .found
            .push(finding.help("give `[level]` with an expression per input, or `hold`"));
    }
    let bounds = reader.numbers(section, "bounds");
    let bounds = match bounds.as_slice() {
        [] => (0.0, 1.0),
        [low, high] if 0.0 <= low.value && low.value <= high.value => (low.value, high.value),
        _ => {
            let finding = section.place.error(
                "T013",
                "`bounds` are two numbers, the lower first and not negative",
            );
            reader
                .found
                .push(finding.help("such as `bounds = [0, 1.25]`"));
            (0.0, 1.0)
        }
    };
    Some(Policy {
        title: reader.words(section, "title"),
        source: reader.words(section, "source"),
        file: file.to_owned(),
        name: name.value,
        hold,
        levels,
        bounds,
    })
}
