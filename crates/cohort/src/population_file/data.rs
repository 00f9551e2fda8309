//! A real cohort: columns of a table, with a declared rule for values that are missing.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use posology_model::diagnostic::{Diagnostic, did_you_mean};
use posology_model::file::Text;
use posology_model::file::reader::{Reader, Section};
use posology_model::unit::{Unit, UnitSystem};

use super::read;
use crate::columns::header_unit;
use crate::individuals::read_file;
use crate::table::{MOST_FINDINGS, Table};

/// What to do about a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// It is an error.
    Error,
    /// The declared reference value (of a covariate) or the model's typical value (of a parameter).
    Reference,
    /// The median of the values that are there.
    Median,
    /// The patient is left out.
    DropPatient,
}

const RULES: &[(&str, Rule)] = &[
    ("error", Rule::Error),
    ("reference", Rule::Reference),
    ("median", Rule::Median),
    ("drop patient", Rule::DropPatient),
];

/// What was missing in a column and what was done.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Missing {
    pub column: String,
    pub count: usize,
    pub rule: Rule,
    /// The value put in, in the column's unit; `None` where patients were dropped or the model's
    /// typical value is used.
    pub value: Option<f64>,
}

impl Missing {
    /// For people: `CRCL: 2 missing, median 75`.
    pub fn note(&self) -> String {
        let done = match (self.rule, self.value) {
            (Rule::DropPatient, _) => "patients left out".to_owned(),
            (Rule::Median, Some(value)) => format!("replaced by the median, {value}"),
            (_, Some(value)) => format!("replaced by the reference, {value}"),
            (_, None) => "replaced by the typical value of the model".to_owned(),
        };
        format!("column {}: {} missing, {done}", self.column, self.count)
    }
}

/// A column in use.
#[derive(Clone, Debug)]
pub(crate) struct DataColumn {
    /// One value per kept patient; not a number where the model's typical value is to be used.
    pub values: Vec<f64>,
    /// The unit in the header.
    pub unit: Option<Unit>,
    pub name: String,
}

/// The table, after the rules.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub rows: usize,
    pub columns: Vec<DataColumn>,
    pub names: Option<Vec<String>>,
    pub resample: bool,
    pub missing: Vec<Missing>,
    /// Columns of the file that nothing uses.
    pub unused: Vec<String>,
}

/// A column that the population asks for.
pub(super) struct Wanted<'a> {
    pub column: &'a read::Column,
    /// Unit and value of `reference`, for a covariate.
    pub unit: Option<&'a Unit>,
}

/// Reads the table of `[data]` and applies the rules; findings go to the reader.
pub(super) fn load(
    reader: &mut Reader,
    section: &Section<'_>,
    wanted: &[Wanted<'_>],
    (dir, units): (Option<&Path>, &UnitSystem),
) -> Option<Data> {
    reader.only(
        section,
        &["file", "id", "resample", "source", "description"],
    );
    let file = reader.required_text(section, "file", "`file = \"cohort.csv\"`")?;
    let id = reader.text(section, "id");
    let resample = reader.flag(section, "resample").unwrap_or(false);
    let path = dir.unwrap_or(Path::new("")).join(&file.value);
    let table =
        read_file(&path).and_then(|bytes| Table::parse(&path.display().to_string(), &bytes));
    let table = match table {
        Ok(table) => table,
        Err(found) => {
            let hint = |d: Diagnostic| {
                let place = file.place();
                d.also(&place.source, place.span.clone(), "named here")
            };
            reader.diagnostics.extend(found.into_iter().map(hint));
            return None;
        }
    };
    let before = reader.diagnostics.len();
    let mut raw = Vec::new();
    for want in wanted {
        raw.push(column(reader, &table, want, units));
    }
    let id = id.and_then(|id| find(reader, &table, &id));
    if reader.diagnostics.len() > before {
        return None;
    }
    let raw: Vec<Raw> = raw.into_iter().collect::<Option<_>>()?;
    let dropped: BTreeSet<usize> = raw
        .iter()
        .filter(|raw| raw.rule == Rule::DropPatient)
        .flat_map(|raw| (0..table.rows.len()).filter(|&row| raw.values[row].is_none()))
        .collect();
    let kept: Vec<usize> = (0..table.rows.len())
        .filter(|row| !dropped.contains(row))
        .collect();
    if kept.is_empty() {
        let finding = Diagnostic::error("D009", "no patient of the table is left")
            .at(&table.source, table.header_span(0))
            .help("the table has no rows, or each lacks a value whose rule is `drop patient`");
        reader.diagnostics.push(finding);
        return None;
    }
    let mut missing = Vec::new();
    let mut columns = Vec::new();
    for raw in &raw {
        let fill = raw.fill();
        let values = kept
            .iter()
            .map(|&row| raw.values[row].unwrap_or(fill))
            .collect();
        let count = raw.values.iter().filter(|value| value.is_none()).count();
        if count > 0 {
            missing.push(Missing {
                column: raw.name.clone(),
                count,
                rule: raw.rule,
                value: Some(fill).filter(|v| v.is_finite() && raw.rule != Rule::DropPatient),
            });
        }
        columns.push(DataColumn {
            values,
            unit: raw.unit.clone(),
            name: raw.name.clone(),
        });
    }
    let names = id.map(|id| names(reader, &table, id, &kept));
    let used: BTreeSet<usize> = raw.iter().map(|raw| raw.at).chain(id).collect();
    let unused = table.header.iter().enumerate();
    Some(Data {
        rows: kept.len(),
        columns,
        names: names.filter(|_| !resample),
        resample,
        missing,
        unused: unused
            .filter(|(i, header)| !used.contains(i) && !header.name.is_empty())
            .map(|(_, header)| header.text.clone())
            .collect(),
    })
}

/// A column before the rules.
struct Raw {
    at: usize,
    name: String,
    values: Vec<Option<f64>>,
    unit: Option<Unit>,
    rule: Rule,
    reference: f64,
}

impl Raw {
    /// What stands for a missing value; not a number for a parameter's typical value.
    fn fill(&self) -> f64 {
        match self.rule {
            Rule::Median => {
                let mut present: Vec<f64> = self.values.iter().flatten().copied().collect();
                present.sort_by(f64::total_cmp);
                let middle = present.len() / 2;
                match present.len() {
                    0 => f64::NAN,
                    n if n % 2 == 1 => present[middle],
                    _ => 0.5 * (present[middle - 1] + present[middle]),
                }
            }
            _ => self.reference,
        }
    }
}

fn find(reader: &mut Reader, table: &Table, name: &Text) -> Option<usize> {
    let same = |text: &str| text.eq_ignore_ascii_case(&name.value);
    let found = table
        .header
        .iter()
        .position(|header| same(&header.text) || same(&header.name));
    if found.is_none() {
        let names: Vec<&str> = table.header.iter().map(|h| h.name.as_str()).collect();
        let help = did_you_mean(&name.value, names.iter().copied())
            .unwrap_or_else(|| format!("its columns: {}", names.join(", ")));
        let message = format!("the table has no column `{}`", name.value);
        reader
            .diagnostics
            .push(name.error("D150", message).help(help));
    }
    found
}

fn column(
    reader: &mut Reader,
    table: &Table,
    want: &Wanted<'_>,
    units: &UnitSystem,
) -> Option<Raw> {
    let written = want.column;
    let rule = match &written.missing {
        None => Rule::Error,
        Some(text) => match RULES.iter().find(|(name, _)| *name == text.value) {
            Some((_, rule)) => *rule,
            None => {
                let names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
                let message = format!("`{}` is no rule for missing values", text.value);
                let help = did_you_mean(&text.value, names.iter().copied())
                    .unwrap_or_else(|| format!("the rules are: {}", names.join(", ")));
                reader
                    .diagnostics
                    .push(text.error("D151", message).help(help));
                return None;
            }
        },
    };
    if rule == Rule::Reference && want.unit.is_some() && written.reference.is_none() {
        let message = "the rule `reference` needs the value: `reference = 1.8`";
        reader
            .diagnostics
            .push(written.place.error("D151", message));
        return None;
    }
    let at = find(reader, table, &written.name)?;
    let unit = match header_unit(table, at) {
        Ok(unit) => unit,
        Err(finding) => {
            reader.diagnostics.push(finding);
            return None;
        }
    };
    // covariates are brought to their own unit here, parameters to the model's when it is known
    let scale = match (&unit, want.unit) {
        (Some(unit), Some(own)) if unit.dimension() != own.dimension() => {
            let message = format!(
                "the column is {}, the covariate {}",
                units.describe(unit.dimension()),
                units.describe(own.dimension())
            );
            let finding = Diagnostic::error("D008", message)
                .at(&table.source, table.header_span(at))
                .help(format!("give a unit that converts to `{own}`, or none"));
            reader.diagnostics.push(finding);
            return None;
        }
        (Some(unit), Some(own)) => units.scale(unit) / units.scale(own),
        _ => 1.0,
    };
    let mut values = Vec::with_capacity(table.rows.len());
    for row in 0..table.rows.len() {
        if reader.diagnostics.len() >= MOST_FINDINGS {
            return None;
        }
        match table.number(row, at) {
            Ok(Some(value)) => values.push(Some(value * scale)),
            Ok(None) if rule == Rule::Error => {
                let message = format!("the value of `{}` is missing", table.header[at].name);
                let finding = Diagnostic::error("D011", message)
                    .at(&table.source, table.field_span(row, at))
                    .help("say what to do about it: `missing = \"median\"`, `\"reference\"` or `\"drop patient\"`");
                reader.diagnostics.push(finding);
            }
            Ok(None) => values.push(None),
            Err(finding) => reader.diagnostics.push(finding),
        }
    }
    if values.len() < table.rows.len() {
        return None;
    }
    if rule == Rule::Median && !values.is_empty() && values.iter().all(Option::is_none) {
        let message = "a column without any value has no median";
        let finding = Diagnostic::error("D011", message);
        let at = table.header_span(at);
        reader.diagnostics.push(finding.at(&table.source, at));
        return None;
    }
    Some(Raw {
        at,
        name: table.header[at].name.clone(),
        values,
        unit,
        rule,
        reference: written.reference.as_ref().map_or(f64::NAN, |r| r.value),
    })
}

/// Names of the kept patients; two of the same name are reported.
fn names(reader: &mut Reader, table: &Table, id: usize, kept: &[usize]) -> Vec<String> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    for &row in kept {
        let name = table.rows[row].field(id);
        if let Some(&twin) = first.get(name) {
            let finding = Diagnostic::error("D051", format!("patient `{name}` comes twice"))
                .at(&table.source, table.field_span(row, id))
                .also(&table.source, table.field_span(twin, id), "first here")
                .help("give one row per patient");
            reader.diagnostics.push(finding);
        } else {
            first.insert(name, row);
        }
    }
    kept.iter()
        .map(|&row| table.rows[row].field(id).to_owned())
        .collect()
}
