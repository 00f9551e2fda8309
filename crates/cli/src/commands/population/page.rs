//! `check.html`: one page that holds drawn patients against their file and its sources.

mod marginals;

use std::path::Path;

use posology_cohort::population_file::{
    Check, Covariates, Coverage, How, Population, correlation_matrix,
};
use posology_model::model::Model;
use posology_trial::report::{Cell, Column, Report, Section, Table, percent};

use crate::error::Failure;
use crate::output::provenance;

/// Covariates in the correlation table at most; organs follow body weight anyway.
const MOST_CORRELATED: usize = 16;

/// What the page says of the run.
pub struct About<'a> {
    pub model: Option<&'a Model>,
    pub coverage: Option<&'a Coverage>,
    pub seed: u64,
    pub first: u32,
    /// Role, path, SHA-256.
    pub hashes: &'a [(&'a str, &'a Path, String)],
}

/// The page.
///
/// # Errors
/// Class numeric where a figure cannot be drawn.
pub fn html(
    population: &Population,
    drawn: &Covariates,
    check: &Check,
    about: &About<'_>,
) -> Result<String, Failure> {
    let n = drawn.ids.len();
    let title = if population.title.is_empty() {
        population.name.clone()
    } else {
        population.title.clone()
    };
    let count = posology_trial::report::number(n as f64, 0);
    let mut report = Report::new(title)
        .subtitle(format!("Virtual population {}: check", population.name))
        .key("Patients", count.clone(), "")
        .key("Covariates", population.covariates.len().to_string(), "");
    let worst = check
        .covariates
        .iter()
        .filter_map(|one| Some((one.mean_error?, one.sd_error?)))
        .fold((0.0f64, 0.0f64), |w, (m, s)| (w.0.max(m), w.1.max(s)));
    report = report
        .key(
            "Largest error of a mean",
            percent(worst.0, 2),
            "expected within 1 % at 100,000",
        )
        .key(
            "Largest error of an SD",
            percent(worst.1, 2),
            "expected within 3 % at 100,000",
        );
    if let Some(error) = check.mass_error {
        report = report.key(
            "Organ masses / body weight - 1",
            format!("{error:.0e}"),
            "largest",
        );
    }
    let mut overview = Section::new("Population");
    if !population.description.is_empty() {
        let words: Vec<&str> = population.description.split_whitespace().collect();
        overview = overview.paragraph(words.join(" "));
    }
    overview = overview.paragraph(format!("{count} patients, seed {}.", about.seed));
    report = report
        .section(overview.table(definitions(population)))
        .section(marginals::section(population, drawn, check)?)
        .section(correlations(population, drawn));
    if let Some(section) = anatomy(population, check) {
        report = report.section(section);
    }
    report = report.section(completeness(population, check, about));
    for (role, path, hash) in about.hashes {
        report = report.provenance(format!("The {role} file"), path.display().to_string());
        report = report.provenance(format!("SHA-256 of the {role} file"), hash.clone());
    }
    let program = provenance::program();
    let text = |key: &str| program[key].as_str().unwrap_or("unknown").to_owned();
    report = report
        .provenance("Program", format!("posology {}", text("version")))
        .provenance("Commit", text("commit"))
        .provenance("Date", provenance::now())
        .provenance("Seed", about.seed.to_string())
        .provenance("First patient", about.first.to_string());
    for (key, source) in &population.sources {
        report = report.provenance(format!("Source {key}"), source.clone());
    }
    let calibrated: Vec<&str> = population
        .covariates
        .iter()
        .filter(|covariate| covariate.calibrated)
        .map(|covariate| covariate.name.as_str())
        .collect();
    if !calibrated.is_empty() {
        report = report.limit(format!(
            "Calibrated, that is fitted to what a source reports or assumed, and not a published \
             distribution: {}.",
            calibrated.join(", ")
        ));
    }
    report = report.limit(
        "Covariates are independent where no correlation, case or formula connects them, which \
         real patients' are not.",
    );
    Ok(report.render())
}

/// What the file says of each covariate.
fn definitions(population: &Population) -> Table {
    let mut table = Table::new("Covariates as the file defines them")
        .column(Column::text("Covariate"))
        .column(Column::text("Unit"))
        .column(Column::text("Definition"))
        .column(Column::text("Bounds"))
        .column(Column::text("Source"));
    let organs = |how: &How| matches!(how, How::Anatomy(_));
    for (i, covariate) in population.covariates.iter().enumerate() {
        if organs(&covariate.how) {
            continue;
        }
        let name = match covariate.description.as_str() {
            "" => covariate.name.clone(),
            words => format!("{} ({words})", covariate.name),
        };
        let bounds = covariate
            .bounds
            .map_or(String::new(), |(low, high)| format!("{low} to {high}"));
        let mark = if covariate.calibrated {
            " (calibrated)"
        } else {
            ""
        };
        table = table.row(vec![
            Cell::text(name),
            Cell::text(covariate.unit.text()),
            Cell::text(population.describe(i)),
            Cell::text(bounds),
            Cell::text(format!("{}{mark}", covariate.source)),
        ]);
    }
    let parts = population
        .covariates
        .iter()
        .filter(|c| organs(&c.how))
        .count();
    if parts > 0 {
        table = table.note(format!(
            "And {parts} organ masses (M_), flows (Q_) and other parts of the anatomy: ICRP 89 \
             reference man and woman, scaled by lean body weight (Huisinga 2012)."
        ));
    }
    table
}

fn correlations(population: &Population, drawn: &Covariates) -> Section {
    let mut section = Section::new("Correlations");
    if !population.correlations.is_empty() {
        let mut table = Table::new("Declared correlations, of the normals behind the covariates")
            .column(Column::text("Between"))
            .column(Column::text("Source"))
            .column(Column::number("Value", ""));
        for one in &population.correlations {
            let name = |i: usize| population.covariates[i].name.as_str();
            let mark = if one.calibrated { " (calibrated)" } else { "" };
            table = table.row(vec![
                Cell::text(format!(
                    "{} and {}",
                    name(one.between.0),
                    name(one.between.1)
                )),
                Cell::text(format!("{}{mark}", one.source)),
                Cell::number(one.value, 2),
            ]);
        }
        section = section.table(table);
    }
    let varies = |i: &usize| {
        let values = &drawn.columns[*i].values;
        let organ = matches!(population.covariates[*i].how, How::Anatomy(_));
        !organ && values.iter().any(|v| Some(v) != values.first())
    };
    let all: Vec<usize> = (0..drawn.columns.len()).filter(varies).collect();
    let shown = &all[..all.len().min(MOST_CORRELATED)];
    let columns: Vec<&[f64]> = shown
        .iter()
        .map(|&i| drawn.columns[i].values.as_slice())
        .collect();
    let mut table =
        Table::new("Correlation of the drawn covariates (Pearson)").column(Column::text(""));
    for &i in shown {
        table = table.column(Column::number(drawn.columns[i].name.clone(), ""));
    }
    for (&i, row) in shown.iter().zip(correlation_matrix(&columns)) {
        let mut cells = vec![Cell::text(drawn.columns[i].name.clone())];
        cells.extend(row.into_iter().map(|value| Cell::number(value, 2)));
        table = table.row(cells);
    }
    if all.len() > shown.len() {
        table = table.note(format!("The first {MOST_CORRELATED} of {}.", all.len()));
    }
    section.table(table)
}

fn anatomy(population: &Population, check: &Check) -> Option<Section> {
    let anatomy = population.anatomy.as_ref()?;
    let mut table = Table::new("Organs of the drawn patients and of the reference man and woman")
        .column(Column::text("Organ"))
        .column(Column::number("Mean", "kg"))
        .column(Column::number("SD", "kg"))
        .column(Column::number("Man", "kg"))
        .column(Column::number("Woman", "kg"))
        .column(Column::number("Flow, mean", "L/min"))
        .column(Column::number("SD", "L/min"));
    for organ in &anatomy.reference.organs {
        let name = format!("M_{}", organ.name);
        let find = |name: String| check.covariates.iter().find(|one| one.name == name);
        let (one, flow) = (find(name)?, find(format!("Q_{}", organ.name)));
        let number = |value: Option<f64>| value.map_or_else(Cell::missing, |v| Cell::number(v, 3));
        table = table.row(vec![
            Cell::text(match &organ.part_of {
                Some(whole) => format!("{} (in {whole})", organ.name),
                None => organ.name.clone(),
            }),
            Cell::number(one.mean, 3),
            Cell::number(one.sd, 3),
            Cell::number(organ.mass[0], 3),
            Cell::number(organ.mass[1], 3),
            number(flow.map(|flow| flow.mean)),
            number(flow.map(|flow| flow.sd)),
        ]);
    }
    let error = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.1e}"));
    Some(
        Section::new("Anatomy")
            .paragraph(format!(
                "Organ masses with the explicit rest sum to body weight within a share of {}, \
                 arterial flows to cardiac output within {} (largest over all patients).",
                error(check.mass_error),
                error(check.flow_error)
            ))
            .table(table.note(
                "The rest is what the reference weighs beyond its organs; it scales as lean \
                 tissue does. Parts of another organ count once.",
            )),
    )
}

/// What is missing, ignored or kept at a reference value.
fn completeness(population: &Population, check: &Check, about: &About<'_>) -> Section {
    let mut section = Section::new("Missing and ignored");
    let mut lines = Vec::new();
    if let (Some(model), Some(coverage)) = (about.model, about.coverage) {
        lines.push(format!(
            "Covariates of {} given by this population: {}.",
            model.name,
            if coverage.given.is_empty() {
                "none".to_owned()
            } else {
                coverage.given.join(", ")
            }
        ));
        if let Some(note) = coverage.note() {
            section = section.callout(format!("Of {}: {note}.", model.name));
        }
        if !coverage.parameters.is_empty() {
            lines.push(format!(
                "Parameters from the data file: {}.",
                coverage.parameters.join(", ")
            ));
        }
        if !coverage.extra.is_empty() {
            lines.push(format!(
                "Covariates that the model lacks, kept for subgroups: {}.",
                coverage.extra.join(", ")
            ));
        }
    }
    lines.extend(population.missing().iter().map(|missing| missing.note()));
    if !population.unused_columns().is_empty() {
        lines.push(format!(
            "Columns of the data file that nothing uses: {}.",
            population.unused_columns().join(", ")
        ));
    }
    if check.redrawn > 0.0 {
        lines.push(format!(
            "{} of draws had a computed covariate outside its bounds and were drawn again, which \
             shifts the other covariates of those patients.",
            percent(check.redrawn, 2)
        ));
    }
    if lines.is_empty() {
        lines.push("Nothing is missing and nothing was left out.".to_owned());
    }
    section.list(lines)
}
