//! What real patients were given and what was measured.

use std::path::Path;

use posology_cohort::{Cohort, Dataset, Replay};
use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, did_you_mean};
use posology_model::file::Text;

use super::columns::Columns;
use super::patients::{Individuals, keep, positions};
use super::reader::{Reader, Section};

/// Treatment and measurements of real patients.
#[derive(Clone, Debug)]
pub struct ReplayData {
    /// What reports call it.
    pub title: String,
    /// `[patient]` as in the individuals: what was measured, in order of time.
    pub records: Vec<Vec<Measurement>>,
    /// `[patient]` the group that the patient belonged to; empty without one.
    pub groups: Vec<String>,
    /// Treatment as events.
    pub events: Replay,
    /// `[lane of events]` the patient.
    pub patient_of_lane: Vec<usize>,
    /// The observable of the model that was measured.
    pub observable: usize,
    /// Predictions are divided by their own largest value at the record times.
    pub divide_by_maximum: bool,
    /// Slot of the covariate that says whether the drug was on.
    pub exposure: Option<usize>,
    /// Group and the arm whose schedule it is compared with.
    pub compare: Vec<(String, usize)>,
    /// File as the trial file writes it.
    pub file: String,
    /// The citation.
    pub source: String,
}

/// One row of data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// Model time.
    pub time: f64,
    /// As the file gives it.
    pub observed: f64,
    /// Covariate `exposure` from this row to the next.
    pub exposure: f64,
}

const KEYS: &[&str] = &[
    "title",
    "file",
    "columns",
    "group",
    "observed",
    "observable",
    "divide_by_maximum",
    "first",
    "exposure",
    "arms",
    "source",
];

pub(super) fn replay(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    individuals: Option<&mut Individuals>,
    arms: &[Text],
    dir: &Path,
) -> Option<ReplayData> {
    reader.only(section, KEYS);
    let (title, source) = (
        reader.words(section, "title"),
        reader.words(section, "source"),
    );
    let divide_by_maximum = reader.flag(section, "divide_by_maximum").unwrap_or(false);
    let file = reader.required_text(section, "file", "a CSV file with one row per record")?;
    let observed = reader.required_text(section, "observed", "the column of what was measured")?;
    let observable = observable(reader, section, model);
    let exposure = exposure(reader, section, model);
    let group = reader.text(section, "group");
    let wanted = reader.pairs(section, "columns");
    let first = reader.pairs(section, "first");
    let compare = reader.pairs(section, "arms");
    let Some(individuals) = individuals else {
        let finding = section
            .place
            .error("T009", "a replay needs the patients' own parameters");
        reader
            .found
            .push(finding.help("give [individuals], a file with one row per patient"));
        return None;
    };

    let table = keep(reader, Columns::load(&file, dir))?;
    let column = |reader: &mut Reader, name: &Text| {
        keep(reader, table.column(name).map_err(Diagnostics::from))
    };
    let columns = keep(reader, positions(&table, &wanted))?;
    let Some(id) = columns
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("ID"))
        .map(|&(_, at)| at)
    else {
        reader.missing(
            section,
            "columns.ID",
            "name the column that names the patients",
        );
        return None;
    };
    let observed = column(reader, &observed)?;
    let observed = keep(reader, table.numbers(observed))?;
    let group = match &group {
        Some(name) => table.texts(column(reader, name)?),
        None => vec![String::new(); observed.len()],
    };
    baseline(reader, &table, &first, id, model, individuals)?;

    let names = table.texts(id);
    let mut complete = true;
    for name in individual_names(&individuals.cohort) {
        if !names.contains(&name) {
            let message = format!("patient `{name}` of [individuals] has no records");
            let finding = file.error("T017", message);
            reader
                .found
                .push(finding.help("remove the patient there, or add records here"));
            complete = false;
        }
    }
    if !complete {
        return None;
    }
    let text = table.renamed(&columns);
    let dataset = keep(reader, Dataset::parse(table.name(), text.as_bytes(), model))?;
    let events = keep(reader, dataset.replay(model, Some(&individuals.cohort)))?;
    let times = dataset.times();
    if times.len() != observed.len() {
        let finding = file.error("T017", "some rows of the data are not records of a patient");
        reader.found.push(finding);
        return None;
    }
    let on = exposure.and_then(|slot| {
        let name = model.slot_name(slot);
        columns
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|&(_, at)| at)
    });
    let on = match on {
        Some(at) => keep(reader, table.numbers(at))?,
        None => vec![f64::NAN; observed.len()],
    };
    let mut records = Vec::new();
    let mut groups = Vec::new();
    for name in individual_names(&individuals.cohort) {
        let rows: Vec<usize> = (0..names.len()).filter(|&row| names[row] == name).collect();
        let Some(&row) = rows.first() else { continue };
        groups.push(group[row].clone());
        let record = |&row: &usize| Measurement {
            time: times[row],
            observed: observed[row],
            exposure: on[row],
        };
        records.push(rows.iter().map(record).collect());
    }
    let lanes = events.cohort.names.clone().unwrap_or_default();
    let all = individual_names(&individuals.cohort);
    let patient_of_lane: Vec<usize> = lanes
        .iter()
        .filter_map(|lane| all.iter().position(|name| name == lane))
        .collect();
    if patient_of_lane.len() != all.len() {
        let message =
            "a patient's clock starts again in the data; a replay needs one course per patient";
        reader.found.push(file.error("T017", message));
    }
    let mut pairs = Vec::new();
    for (name, arm) in compare {
        if !groups.contains(&name.value) {
            let help = did_you_mean(&name.value, groups.iter().map(String::as_str));
            reader.found.push(
                name.error("T010", format!("no patient is of group `{}`", name.value))
                    .help_if(help),
            );
        }
        if let Some(index) = super::lookup::known(reader, &arm, arms, "arm") {
            pairs.push((name.value, index));
        }
    }
    Some(ReplayData {
        title: if title.is_empty() {
            "Replay".to_owned()
        } else {
            title
        },
        records,
        groups,
        events,
        patient_of_lane,
        observable: observable?,
        divide_by_maximum,
        exposure,
        compare: pairs,
        file: file.value,
        source,
    })
}

fn individual_names(cohort: &Cohort) -> Vec<String> {
    cohort.names.clone().unwrap_or_default()
}

fn observable(reader: &mut Reader, section: &Section<'_>, model: &Model) -> Option<usize> {
    let name = reader.required_text(
        section,
        "observable",
        "the observable of the model that was measured",
    )?;
    let found = model
        .observables
        .iter()
        .position(|observable| observable.name == name.value);
    if found.is_none() {
        let names = || {
            model
                .observables
                .iter()
                .map(|observable| observable.name.as_str())
        };
        let help = did_you_mean(&name.value, names())
            .unwrap_or_else(|| format!("observables: {}", names().collect::<Vec<_>>().join(", ")));
        let message = format!("{} has no observable `{}`", model.name, name.value);
        reader.found.push(name.error("T010", message).help(help));
    }
    found
}

fn exposure(reader: &mut Reader, section: &Section<'_>, model: &Model) -> Option<usize> {
    let name = reader.text(section, "exposure")?;
    covariate(reader, &name, model)
}

/// Slot of the covariate that `name` names.
pub(super) fn covariate(reader: &mut Reader, name: &Text, model: &Model) -> Option<usize> {
    let known = || {
        model
            .covariates
            .iter()
            .map(|covariate| covariate.name.as_str())
    };
    if known().any(|known| known == name.value) {
        return model.slot_index(&name.value);
    }
    let message = format!("`{}` is not a covariate of {}", name.value, model.name);
    let help = did_you_mean(&name.value, known())
        .unwrap_or_else(|| format!("covariates: {}", known().collect::<Vec<_>>().join(", ")));
    reader.found.push(name.error("T012", message).help(help));
    None
}

/// Covariates that are the patient's first measurement, in the covariate's own unit.
fn baseline(
    reader: &mut Reader,
    table: &Columns,
    first: &[(Text, Text)],
    id: usize,
    model: &Model,
    individuals: &mut Individuals,
) -> Option<()> {
    let names = table.texts(id);
    for (name, column) in first {
        let slot = covariate(reader, name, model)?;
        let at = keep(reader, table.column(column).map_err(Diagnostics::from))?;
        let values = keep(reader, table.numbers(at))?;
        let scale = model.units.scale(model.slot_unit(slot));
        for (patient, label) in individual_names(&individuals.cohort).iter().enumerate() {
            if let Some(row) = names.iter().position(|name| name == label) {
                individuals.cohort.slots[slot][patient] = values[row] * scale;
            }
        }
    }
    Some(())
}
