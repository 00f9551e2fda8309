//! Who takes part: real patients with their own parameters, virtual ones, and what was reported.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use posology_cohort::Cohort;
use posology_cohort::population_file::Population;
use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, did_you_mean};
use posology_model::file::{Place, Text};
use posology_model::unit::Unit;

use super::columns::Columns;
use super::reader::{Reader, Section};
use super::start::Start;

/// Virtual patients that a run may have at most (their numbers are 32 bits wide).
const MOST_PATIENTS: u64 = 1 << 31;

/// Real patients with their own parameters.
#[derive(Clone, Debug)]
pub struct Individuals {
    /// What reports call them.
    pub title: String,
    /// One row per patient, with names.
    pub cohort: Cohort,
    /// When and in what state they enter the arms; as they are in the file if absent.
    pub start: Option<Start>,
    /// File as the trial file writes it.
    pub file: String,
    /// The citation.
    pub source: String,
}

/// Patients sampled from the model's variability, or around the individuals.
#[derive(Clone, Debug)]
pub struct Virtual {
    /// What reports call them.
    pub title: String,
    /// How many, unless the run says otherwise.
    pub patients: usize,
    /// Slots that scatter around the individuals (as they enter the arms) instead.
    pub around: Vec<usize>,
    /// Whom covariates are drawn from; reference values if absent.
    pub population: Option<Population>,
    /// Where the trial file names the population.
    pub population_file: Option<PopulationFile>,
    /// Replicates also draw the uncertain parameters of the population.
    pub uncertainty: bool,
}

/// A population that a trial names.
#[derive(Clone, Debug)]
pub struct PopulationFile {
    /// As the trial file writes it.
    pub file: String,
    /// The same, from where the trial file lies.
    pub path: PathBuf,
    /// Where the trial file names it.
    pub place: Place,
}

/// What the real trial found: times to an event of groups that correspond to arms.
#[derive(Clone, Debug)]
pub struct Reported {
    /// What reports call it.
    pub title: String,
    /// A remark for readers.
    pub note: String,
    /// Unit of the times.
    pub unit: Unit,
    /// One entry per group.
    pub groups: Vec<ReportedGroup>,
    /// File as the trial file writes it.
    pub file: String,
    /// The citation.
    pub source: String,
}

/// Times of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedGroup {
    /// As the file calls it.
    pub name: String,
    /// Index of the arm that it received.
    pub arm: usize,
    /// In the unit of the report.
    pub times: Vec<f64>,
    /// Event (true) or censored.
    pub events: Vec<bool>,
}

pub(super) fn individuals(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    dir: &Path,
) -> Option<Individuals> {
    reader.only(section, &["title", "file", "columns", "start", "source"]);
    let title = reader.words(section, "title");
    let source = reader.words(section, "source");
    let file = reader.required_text(section, "file", "a CSV file with one row per patient")?;
    let wanted = reader.pairs(section, "columns");
    let result = (|| {
        let table = Columns::load(&file, dir)?;
        let columns = positions(&table, &wanted)?;
        Cohort::parse_csv(model, table.name(), table.renamed(&columns).as_bytes())
    })();
    let cohort = keep(reader, result)?;
    if cohort.names.is_none() {
        reader.missing(
            section,
            "columns.ID",
            "name the column that names the patients: `columns = { ID = \"...\" }`",
        );
        return None;
    }
    let title = if title.is_empty() {
        format!("{} patients", cohort.len())
    } else {
        title
    };
    Some(Individuals {
        title,
        cohort,
        start: None,
        file: file.value,
        source,
    })
}

pub(super) fn virtual_patients(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    individuals: bool,
    population: Option<(PopulationFile, Option<Population>)>,
) -> Option<Virtual> {
    reader.only(
        section,
        &["title", "patients", "around", "population", "uncertainty"],
    );
    let title = reader.words(section, "title");
    if !section.table.contains_key("patients") {
        reader.missing(section, "patients", "how many, such as `patients = 10000`");
    }
    let patients = reader.count(section, "patients", (2, MOST_PATIENTS), 2) as usize;
    let title = if title.is_empty() {
        "virtual patients".to_owned()
    } else {
        title
    };
    let mut around = Vec::new();
    for name in reader.texts(section, "around") {
        match model.slot_index(&name.value) {
            Some(slot) if individuals => around.push(slot),
            Some(_) => reader
                .found
                .push(name.error("T009", "there are no individuals to sample around")),
            None => {
                let names: Vec<&str> = (0..model.slot_count())
                    .map(|slot| model.slot_name(slot))
                    .collect();
                let help = did_you_mean(&name.value, names);
                let message = format!(
                    "`{}` is neither a parameter nor a covariate of {}",
                    name.value, model.name
                );
                reader.found.push(name.error("T012", message).help_if(help));
            }
        }
    }
    let uncertainty = reader.flag(section, "uncertainty").unwrap_or(false);
    if uncertainty && let Some((key, _)) = section.table.get_key_value("uncertainty") {
        let place = reader.place(key.span());
        let says = |population: &Population| {
            let found = population.uncertainty(model);
            found.map(|found| found.is_some())
        };
        let problem = match &population {
            None => Some("`uncertainty` needs a `population`"),
            Some((_, None)) => None,
            Some((_, Some(population))) => match keep(reader, says(population)) {
                Some(false) => Some("the population does not say which parameters are uncertain"),
                _ => None,
            },
        };
        if let Some(problem) = problem {
            let help = format!(
                "add [uncertainty.{}.parameters] to the population",
                model.name
            );
            reader.found.push(place.error("T009", problem).help(help));
        }
    }
    if let Some((_, Some(population))) = &population {
        // what does not fit the model is said now, not when the trial runs
        keep(reader, population.coverage(model).map(|_| ()));
    }
    let (population_file, population) =
        population.map_or((None, None), |(file, population)| (Some(file), population));
    Some(Virtual {
        title,
        patients,
        around,
        population,
        population_file,
        uncertainty,
    })
}

/// The population that `[virtual]` names.
pub(super) fn population(
    reader: &mut Reader,
    section: &Section<'_>,
    dir: &Path,
) -> Option<(PopulationFile, Option<Population>)> {
    let text = reader.text(section, "population")?;
    let path = dir.join(&text.value);
    let file = PopulationFile {
        file: text.value.clone(),
        path: path.clone(),
        place: text.place().clone(),
    };
    if !path.is_file() {
        let message = format!("there is no population file `{}`", path.display());
        reader.found.push(
            text.error("T005", message)
                .help("the path is relative to the trial file"),
        );
        return Some((file, None));
    }
    let population = keep(reader, Population::load(&path));
    Some((file, population))
}

/// Covariates of the population that the model lacks become covariates of the model if the trial
/// file names them, so that strata, subgroups and rules can use them.
pub(super) fn further_covariates(reader: &Reader, population: &Population, model: &mut Model) {
    let words: BTreeSet<&str> = reader
        .source
        .text()
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    for (index, covariate) in population.covariates.iter().enumerate() {
        if words.contains(covariate.name.as_str()) && !model.knows(&covariate.name) {
            // for patients who do not come from the population
            let reference = population
                .moments(index)
                .map_or(0.0, |moments| moments.median.unwrap_or(moments.mean));
            let reference = reference * model.units.scale(&covariate.unit);
            model.add_covariate(
                &covariate.name,
                &covariate.unit,
                reference,
                &covariate.description,
            );
        }
    }
}

pub(super) fn reported(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    arms: &[Text],
    dir: &Path,
) -> Option<Reported> {
    reader.only(
        section,
        &[
            "title", "file", "columns", "unit", "groups", "note", "source",
        ],
    );
    let (title, note, source) = (
        reader.words(section, "title"),
        reader.words(section, "note"),
        reader.words(section, "source"),
    );
    let file = reader.required_text(section, "file", "a CSV file with one row per patient")?;
    let unit = super::lookup::time_unit(reader, section, "unit", model);
    let wanted = reader.pairs(section, "columns");
    let groups = reader.pairs(section, "groups");
    let mut position = |key: &str, table: &Columns| -> Option<usize> {
        let Some((_, column)) = wanted.iter().find(|(name, _)| name.value == key) else {
            reader.missing(
                section,
                &format!("columns.{key}"),
                "columns: group, time, event",
            );
            return None;
        };
        keep(reader, table.column(column).map_err(Diagnostics::from))
    };
    let table = match Columns::load(&file, dir) {
        Ok(table) => table,
        Err(found) => {
            reader.found.extend(found);
            return None;
        }
    };
    let (group, time, event) = (
        position("group", &table)?,
        position("time", &table)?,
        position("event", &table)?,
    );
    let group = table.texts(group);
    let time = keep(reader, table.numbers(time))?;
    let flags = keep(reader, table.numbers(event))?;
    if let Some(row) = flags.iter().position(|&flag| flag != 0.0 && flag != 1.0) {
        reader.found.push(table.field_error(row, event, "0 or 1"));
    }
    let mut out = Vec::new();
    for (name, arm) in &groups {
        let Some(index) = super::lookup::known(reader, arm, arms, "arm") else {
            continue;
        };
        let rows: Vec<usize> = (0..group.len())
            .filter(|&row| group[row] == name.value)
            .collect();
        if rows.is_empty() {
            let message = format!("`{}` has no rows of group `{}`", file.value, name.value);
            reader.found.push(name.error("T010", message));
        }
        out.push(ReportedGroup {
            name: name.value.clone(),
            arm: index,
            times: rows.iter().map(|&row| time[row]).collect(),
            events: rows.iter().map(|&row| flags[row] == 1.0).collect(),
        });
    }
    Some(Reported {
        title,
        note,
        unit: unit?,
        groups: out,
        file: file.value,
        source,
    })
}

/// The columns asked for, with their new names.
pub(super) fn positions(
    table: &Columns,
    wanted: &[(Text, Text)],
) -> Result<Vec<(String, usize)>, Diagnostics> {
    let mut found = Diagnostics::new();
    let mut out = Vec::new();
    for (name, column) in wanted {
        match table.column(column) {
            Ok(at) => out.push((name.value.clone(), at)),
            Err(finding) => found.push(finding),
        }
    }
    if found.has_errors() {
        Err(found)
    } else {
        Ok(out)
    }
}

/// The value, or its findings in the reader's.
pub(super) fn keep<T>(reader: &mut Reader, result: Result<T, Diagnostics>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(found) => {
            reader.found.extend(found);
            None
        }
    }
}
