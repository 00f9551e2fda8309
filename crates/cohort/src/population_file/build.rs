//! From what a population file says to a population that can be drawn.

mod anatomy;
mod covariate;
mod order;

use std::collections::BTreeMap;
use std::path::Path;

use posology_model::diagnostic::{Diagnostics, Source, did_you_mean};
use posology_model::file::reader::{Reader, Section};
use posology_model::file::{Place, Text};
use posology_model::unit::{Unit, UnitSystem};

use super::{Correlation, Covariate, How, ParameterColumn, Population};
use super::{copula, data, formula, read, uncertainty};

const KEYS: &[&str] = &[
    "name",
    "title",
    "description",
    "sources",
    "covariates",
    "correlations",
    "anatomy",
    "data",
    "parameters",
    "uncertainty",
];
/// No population needs more; the limit keeps hostile input cheap.
const LONGEST: usize = 4 << 20;
/// Covariates of a population at most; the copula's matrix grows with the square.
const MOST_COVARIATES: usize = 1000;

pub(super) fn population(source: &Source, dir: Option<&Path>) -> Result<Population, Diagnostics> {
    if source.text().len() > LONGEST {
        let place = Place::new(source, 0..0);
        let finding = place.error("M010", "the population file is longer than 4 MiB");
        return Err(finding.into());
    }
    let (mut reader, root) = Reader::open(source);
    let root = Section {
        table: root.get_ref(),
        place: reader.place(0..0),
        what: "the population".into(),
    };
    let built = build(&mut reader, &root, dir);
    let found = reader.finish();
    match built {
        Some(mut population) if !found.has_errors() => {
            population.warnings = found;
            Ok(population)
        }
        _ => Err(found),
    }
}

/// `None` after an error that was reported.
fn build(reader: &mut Reader, root: &Section<'_>, dir: Option<&Path>) -> Option<Population> {
    reader.only(root, KEYS);
    let name = reader.required_text(root, "name", "`name = \"my-population\"`");
    let title = reader.text(root, "title").map(|text| text.value);
    let description = reader.text(root, "description").map(|text| text.value);
    let sources = sources(reader, root);
    let written = read::covariates(reader, root);
    // what is not TOML was said already
    let readable = reader.diagnostics.iter().all(|d| d.code != "M001");
    if readable && written.is_empty() && !root.table.contains_key("parameters") {
        let message = "the population has no covariates";
        let help = "give a table [covariates], or [data] with [parameters]";
        let finding = root.place.error("D109", message).help(help);
        reader.diagnostics.push(finding);
    }
    if written.len() > MOST_COVARIATES {
        let message = format!("a population has at most {MOST_COVARIATES} covariates");
        let finding = root.place.error("D109", message);
        reader.diagnostics.push(finding);
        return None;
    }
    let parameters = parameters(reader, root);
    let uncertainty = uncertainty::read(reader, root);
    let correlations = copula::read(reader, root);

    let units: Vec<Option<Unit>> = written
        .iter()
        .map(|covariate| covariate::unit(reader, covariate.unit.as_ref()?))
        .collect();
    let anatomy = anatomy::read(reader, root, dir);
    let parts = anatomy.as_ref().map_or(Vec::new(), anatomy::Written::parts);
    let mut columns = Vec::new();
    for (covariate, unit) in written.iter().zip(&units) {
        let place = covariate.name.place().clone();
        if !posology_model::expr::is_identifier(&covariate.name.value) {
            let message = format!("`{}` is not a name", covariate.name.value);
            let help = "names are letters, digits and _, and begin with a letter";
            let finding = place.error("D105", message).help(help);
            reader.diagnostics.push(finding);
            return None;
        }
        if parts.iter().any(|(part, ..)| *part == covariate.name.value) {
            let message = format!("`{}` is also a part of the anatomy", covariate.name.value);
            let finding = place.error("D106", message).help("rename the covariate");
            reader.diagnostics.push(finding);
            return None;
        }
        let unit = unit.clone().unwrap_or_else(Unit::one);
        columns.push((covariate.name.value.clone(), unit, place));
    }
    for (name, unit, _) in &parts {
        let place = anatomy.as_ref().map_or(&root.place, |a| &a.place);
        columns.push((name.clone(), Unit::parse(unit).ok()?, place.clone()));
    }
    let mut names = match formula::names(&columns) {
        Ok(model) => model,
        Err(found) => {
            reader.diagnostics.extend(found);
            return None;
        }
    };
    let system = names.units.clone();
    let data = data_section(reader, root, dir, (&written, &units, &parameters), &system);
    let context = covariate::Context {
        columns: &columns,
        written: &written,
        sources: &sources,
        units: &system,
    };
    let mut covariates = Vec::new();
    let mut data_column = 0;
    for (i, one) in written.iter().enumerate() {
        covariates.push(covariate::build(
            reader,
            &context,
            &mut names,
            (i, one, units[i].as_ref()),
            &mut data_column,
        ));
    }
    let first_parameter = data_column;
    let anatomy = match anatomy {
        Some(found) => Some(found.resolve(reader, &columns, &system)?),
        None => None,
    };
    let complete: Option<Vec<Covariate>> = covariates.into_iter().collect();
    if reader.diagnostics.has_errors() {
        return None;
    }
    let mut covariates = complete?;
    let place = anatomy::place(reader, root);
    covariates.extend(parts.into_iter().filter_map(|(name, unit, part)| {
        Some(Covariate {
            name,
            unit: Unit::parse(unit).ok()?,
            how: How::Anatomy(part),
            bounds: None,
            source: "Huisinga 2012, CPT PSP 1:e5, from ICRP Publication 89".into(),
            calibrated: false,
            description: String::new(),
            labels: Vec::new(),
            published: Vec::new(),
            published_source: String::new(),
            place: place.clone(),
        })
    }));
    let order = order::order(reader, &covariates, anatomy.as_ref())?;
    let (drawn, correlations, factor) =
        correlated(reader, root, &covariates, &correlations, &sources)?;
    let data = data?;
    Some(Population {
        name: name?.value,
        title: title.unwrap_or_default(),
        description: description.unwrap_or_default(),
        sources,
        covariates,
        correlations,
        anatomy,
        warnings: Diagnostics::new(),
        source: reader.source.clone(),
        data,
        parameters: parameters
            .into_iter()
            .enumerate()
            .map(|(i, (name, _))| ParameterColumn {
                name,
                column: first_parameter + i,
            })
            .collect(),
        uncertainty,
        units: system,
        order,
        drawn,
        factor,
    })
}

fn sources(reader: &mut Reader, root: &Section<'_>) -> BTreeMap<String, String> {
    let Some(section) = reader.section(root, "sources", "[sources]") else {
        return BTreeMap::new();
    };
    let mut out = BTreeMap::new();
    for (key, _) in reader.entries(section.table) {
        if let Some(text) = reader.text(&section, &key.value) {
            out.insert(key.value, text.value);
        }
    }
    out
}

/// The text of a citation: that of `[sources]` if it is a key there, else itself, if it is words.
fn citation(
    reader: &mut Reader,
    text: Option<&Text>,
    sources: &BTreeMap<String, String>,
) -> String {
    let Some(text) = text else {
        return String::new();
    };
    if let Some(full) = sources.get(&text.value) {
        return full.clone();
    }
    if !text.value.trim().contains(' ') {
        let message = format!("`{}` is not a key of [sources]", text.value);
        let help = did_you_mean(&text.value, sources.keys().map(String::as_str))
            .unwrap_or_else(|| "add it there, or write the citation out".into());
        reader
            .diagnostics
            .push(text.error("D107", message).help(help));
    }
    text.value.clone()
}

/// A parameter and the column that gives it.
type Parameter = (Text, read::Column);

/// Columns of the data file that give individual parameters.
fn parameters(reader: &mut Reader, root: &Section<'_>) -> Vec<Parameter> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "parameters", "parameter") {
        reader.only(&section, &["column", "missing", "source", "description"]);
        if let Some(column) = read::column(reader, &section) {
            out.push((name, column));
        }
    }
    out
}

/// The data file, if there is one; `None` after an error.
#[allow(clippy::option_option, reason = "absence and failure are different")]
fn data_section(
    reader: &mut Reader,
    root: &Section<'_>,
    dir: Option<&Path>,
    (written, units, parameters): (&[read::Covariate], &[Option<Unit>], &[Parameter]),
    system: &UnitSystem,
) -> Option<Option<data::Data>> {
    let mut wanted = Vec::new();
    for (covariate, unit) in written.iter().zip(units) {
        if let Some(read::Kind::Column(column)) = &covariate.kind {
            wanted.push(data::Wanted {
                column,
                unit: Some(unit.as_ref()?),
            });
        }
    }
    wanted.extend(
        parameters
            .iter()
            .map(|(_, column)| data::Wanted { column, unit: None }),
    );
    match reader.section(root, "data", "[data]") {
        Some(section) => data::load(reader, &section, &wanted, (dir, system)).map(Some),
        None => match wanted.first() {
            None => Some(None),
            Some(first) => {
                let message = "a column needs a data file";
                let finding = first.column.place.error("D152", message);
                reader
                    .diagnostics
                    .push(finding.help("add [data] with `file = \"cohort.csv\"`"));
                None
            }
        },
    }
}

type Correlated = (Vec<usize>, Vec<Correlation>, nalgebra::DMatrix<f64>);

/// The drawn covariates, their correlations, and the factor of the copula.
fn correlated(
    reader: &mut Reader,
    root: &Section<'_>,
    covariates: &[Covariate],
    written: &[copula::Written],
    sources: &BTreeMap<String, String>,
) -> Option<Correlated> {
    let is_drawn = |i: &usize| matches!(covariates[*i].how, How::Drawn(_) | How::Mixture { .. });
    let drawn: Vec<usize> = (0..covariates.len()).filter(is_drawn).collect();
    let names: Vec<&str> = drawn.iter().map(|&i| covariates[i].name.as_str()).collect();
    let (mut values, mut correlations) = (Vec::new(), Vec::new());
    let mut place = None;
    for one in written {
        let Some((a, b, value)) = copula::resolve(reader, one, &names, &values) else {
            continue;
        };
        let at = one.between.as_ref().map(|(place, _)| place.clone());
        let (i, j) = (drawn[a], drawn[b]);
        for (mixed, by) in [(i, j), (j, i)] {
            if matches!(covariates[mixed].how, How::Mixture { by: chooser, .. } if chooser == by) {
                let message = format!(
                    "`{}` depends on `{}` through its cases already",
                    covariates[mixed].name, covariates[by].name
                );
                let help = "correlate it with another covariate, or give one distribution";
                let finding = at.as_ref()?.error("D120", message).help(help);
                reader.diagnostics.push(finding);
            }
        }
        place = place.or(at);
        values.push((a, b, value));
        correlations.push(Correlation {
            between: (i, j),
            value,
            source: citation(reader, one.source.as_ref(), sources),
            calibrated: one.calibrated,
        });
    }
    let place = place.unwrap_or_else(|| root.place.clone());
    match copula::factor(&names, &values, &place) {
        Ok(factor) => Some((drawn, correlations, factor)),
        Err(finding) => {
            reader.diagnostics.push(finding);
            None
        }
    }
}
