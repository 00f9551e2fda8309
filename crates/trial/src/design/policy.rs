//! Policies as arms: a file that decides doses from what was measured.
//!
//! ```toml
//! name = "anc-guided"                  # = file stem
//! title = "Dose by the lowest neutrophil count"
//! source = "convention"
//! kind = "expressions"                 # or "trained", see below
//! hold = "ANC < 1.0[1e9/L]"            # a due cycle waits while this holds; optional
//! [level]                              # dose relative to the arm's regimen, per input
//! docetaxel = "if(ANC_nadir < 0.5[1e9/L], 0.75, 1)"
//! bounds = [0, 1.25]                   # levels are kept within; default [0, 1]
//! ```
//!
//! A policy sees what rules see: measured observables, their first and lowest values, covariates.
//!
//! A trained policy is a checkpoint of `posology train`. It stands in a policy file, or in the arm
//! itself (`policy = { checkpoint = "...", draws = false }`), sees what its task lets it see and
//! decides when its task says:
//!
//! ```toml
//! name = "learned"
//! kind = "trained"
//! checkpoint = "../../runs/docetaxel"  # a checkpoint, or the folder of a run; beside this file
//! draws = false                        # true: actions are drawn, not the most probable ones
//! ```

use std::path::{Path, PathBuf};

use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, Source};
use posology_model::file::{Place, Text};
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

/// A policy of a checkpoint: whoever runs the trial plays it.
#[derive(Clone, Debug)]
pub struct TrainedPolicy {
    /// The checkpoint, or the folder of a run.
    pub checkpoint: PathBuf,
    /// As the file writes it.
    pub file: String,
    /// Actions are drawn from the policy instead of being its most probable ones.
    pub draws: bool,
    /// One line.
    pub title: String,
    place: Place,
}

impl TrainedPolicy {
    /// A finding about the policy, at the place that names it.
    pub fn refuse(&self, message: impl Into<String>, help: &str) -> Diagnostics {
        let finding = self.place.error("T033", message);
        finding.help(help).into()
    }

    /// A checkpoint that the command line names instead.
    #[must_use]
    pub fn instead(&self, checkpoint: PathBuf) -> Self {
        Self {
            file: checkpoint.display().to_string(),
            checkpoint,
            ..self.clone()
        }
    }
}

/// What an arm names.
pub(super) enum Named {
    Expressions(Policy),
    Trained(TrainedPolicy),
}

/// A trained policy written in the arm, or in a policy file of its own.
pub(super) fn trained(
    reader: &mut Reader,
    section: &Section<'_>,
    keys: &[&str],
    dir: &Path,
) -> Option<TrainedPolicy> {
    reader.only(section, keys);
    let checkpoint = reader.required_text(
        section,
        "checkpoint",
        "a checkpoint of `posology train`, or the folder of its run",
    )?;
    Some(TrainedPolicy {
        checkpoint: dir.join(&checkpoint.value),
        draws: reader.flag(section, "draws").unwrap_or(false),
        title: reader.words(section, "title"),
        place: checkpoint.place().clone(),
        file: checkpoint.value,
    })
}

/// Reads the policy that an arm names.
pub(super) fn policy(
    reader: &mut Reader,
    file: &Text,
    model: &Model,
    seen: Option<&mut Seen>,
    dir: &Path,
) -> Option<Named> {
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
    let found = read(&source, file, stem.as_deref(), model, seen, path.parent());
    keep(reader, found)
}

fn read(
    source: &Source,
    file: &Text,
    stem: Option<&str>,
    model: &Model,
    seen: Option<&mut Seen>,
    dir: Option<&Path>,
) -> Result<Named, Diagnostics> {
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
    let dir = dir.unwrap_or(Path::new(""));
    let policy = whole(&mut reader, &section, file, stem, model, (seen, dir));
    match policy {
        Some(policy) if !reader.found.has_errors() => Ok(policy),
        _ => Err(reader.found),
    }
}

fn whole(
    reader: &mut Reader,
    section: &Section<'_>,
    file: &Text,
    stem: Option<&str>,
    model: &Model,
    (seen, dir): (Option<&mut Seen>, &Path),
) -> Option<Named> {
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
        "what the policy is made of: `kind = \"expressions\"` or `kind = \"trained\"`",
    )?;
    if kind.value == "trained" {
        let keys = ["name", "title", "source", "kind", "checkpoint", "draws"];
        return trained(reader, section, &keys, dir).map(Named::Trained);
    }
    reader.only(
        section,
        &["name", "title", "source", "kind", "hold", "level", "bounds"],
    );
    if kind.value != "expressions" {
        let message = format!("there is no kind of policy `{}`", kind.value);
        let finding = kind.error("T010", message);
        reader
            .found
            .push(finding.help("kinds: expressions, trained"));
    }
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
    Some(Named::Expressions(Policy {
        title: reader.words(section, "title"),
        source: reader.words(section, "source"),
        file: file.value.clone(),
        name: name.value,
        hold,
        levels,
        bounds,
    }))
}
