//! `fit.html`: estimates, how sure they are, and whether the model describes the data.

mod convergence;
mod individuals;
mod observed;
mod parameters;
mod predictive;
mod residuals;
#[cfg(test)]
mod tests;
mod training;

use std::path::Path;

use posology_model::Model;
use posology_trial::plot::PlotError;
use posology_trial::report::{Cell, Column, Report, Section, Table, number, percent, significant};
use posology_twin::correction::Trained;
use posology_twin::goodness::Goodness;
use posology_twin::map::Individual;
use posology_twin::population::Uncertainty;
use posology_twin::population::marginal::Marginal;
use posology_twin::space::{Population, Space};

use crate::error::{Class, Failure};
use crate::output::provenance;

use observed::Observed;

/// What the page shows of a fit.
pub struct About<'a> {
    pub model: &'a Model,
    pub method: &'a str,
    /// Names, in the order of `patient` in the rows of `goodness` and of `individuals`.
    pub patients: &'a [String],
    /// Patients of the file, with or without observations.
    pub everyone: usize,
    pub space: &'a Space,
    /// `None` where no population was estimated.
    pub uncertainty: Option<&'a Uncertainty>,
    pub marginal: Option<&'a Marginal>,
    pub individuals: &'a [Individual],
    pub goodness: &'a Goodness,
    /// One per iteration; may be empty.
    pub trace: &'a [Population],
    /// Iterations with steps of one.
    pub explore: usize,
    pub trained: Option<&'a Trained>,
    /// Observation records without a value.
    pub missing: usize,
    /// Findings about data and fit.
    pub notes: &'a [String],
    pub seed: u64,
    /// Role, path, SHA-256.
    pub hashes: &'a [(&'a str, &'a Path, String)],
}

/// The page.
///
/// # Errors
/// Class numeric where a figure cannot be drawn.
pub fn html(about: &About<'_>) -> Result<String, Failure> {
    let model = about.model;
    let title = if model.title.is_empty() {
        &model.name
    } else {
        &model.title
    };
    let observed = observed::of(about);
    let mut report = keys(
        Report::new(title).subtitle(format!("Fit of {}: {}", model.name, about.method)),
        about,
    )
    .section(overview(about, &observed))
    .section(parameters::section(about))
    .section(individuals::section(about))
    .section(residuals::section(&observed)?)
    .section(predictive::section(about, &observed)?)
    .section(individuals::courses(about, &observed)?);
    if let Some(trained) = about.trained {
        report = report.section(training::section(trained)?);
    }
    if !about.trace.is_empty() {
        report = report.section(convergence::section(about)?);
    }
    Ok(origin(report, about).render())
}

/// Headline numbers.
fn keys(report: Report, about: &About<'_>) -> Report {
    let rows = &about.goodness.rows;
    let censored = rows.iter().filter(|row| row.seen.censored()).count();
    let mut report = report
        .key("Patients", count(about.patients.len()), "")
        .key("Observations", count(rows.len()), "censored ones included")
        .key(
            "Censored",
            count(censored),
            match rows.len() {
                0 => String::new(),
                all => percent(censored as f64 / all as f64, 1),
            },
        );
    if let Some(marginal) = about.marginal {
        report = report
            .key(
                "\u{2212}2 log likelihood",
                number(marginal.minus_two_log_likelihood, 2),
                format!("\u{b1} {} (Monte Carlo error)", number(marginal.se, 2)),
            )
            .key("AIC", number(marginal.aic, 2), "")
            .key("BIC", number(marginal.bic, 2), "by number of patients");
    }
    if let Some(uncertainty) = about.uncertainty {
        let condition = if uncertainty.condition.is_finite() {
            significant(uncertainty.condition, 3)
        } else {
            "infinite".to_owned()
        };
        report = report.key(
            "Condition number",
            condition,
            "of the information, in correlations",
        );
    }
    report
}

/// Findings, and what the data are.
fn overview(about: &About<'_>, observed: &[Observed<'_>]) -> Section {
    let mut section = Section::new("Data and findings");
    let seen: std::collections::BTreeSet<usize> =
        about.goodness.rows.iter().map(|row| row.patient).collect();
    let mut words = format!(
        "{} of {} patients have observations of {}.",
        count(seen.len()),
        count(about.everyone),
        match observed.len() {
            1 => "one observable".to_owned(),
            n => format!("{n} observables"),
        }
    );
    if about.missing > 0 {
        words += &format!(
            " {} observation records without a value were left out.",
            count(about.missing)
        );
    }
    section = section.paragraph(words);
    section = if about.notes.is_empty() {
        section.paragraph("The fit reported no findings about data or estimates.")
    } else {
        section.list(about.notes.to_vec())
    };
    let mut table = Table::new("Observations")
        .column(Column::text("Observable"))
        .column(Column::text("Unit"))
        .column(Column::number("Patients", ""))
        .column(Column::number("Observations", ""))
        .column(Column::number("Below a limit", ""))
        .column(Column::number("Above a limit", ""))
        .column(Column::number("First", about.model.time_unit.text()))
        .column(Column::number("Last", about.model.time_unit.text()));
    for one in observed {
        let times = one.rows.iter().map(|row| row.time);
        let (first, last) = observed::range(times);
        table = table.row(vec![
            Cell::text(one.name),
            Cell::text(one.unit),
            Cell::count(one.patients().len()),
            Cell::count(one.rows.len()),
            Cell::count(one.rows.iter().filter(|row| observed::below(row)).count()),
            Cell::count(one.rows.iter().filter(|row| observed::above(row)).count()),
            Cell::text(significant(first, 3)),
            Cell::text(significant(last, 3)),
        ]);
    }
    section = section.table(table);
    let bad = |value: fn(&posology_twin::goodness::Row) -> f64| {
        let rows = about.goodness.rows.iter();
        rows.filter(|row| !observed::drawable(value(row))).count()
    };
    let (typical, own) = (bad(|row| row.pred), bad(|row| row.ipred));
    if typical + own > 0 {
        section = section.callout(format!(
            "Predictions that are not finite: {} at typical parameters, {} at individual \
             estimates. They are left out of all figures.",
            count(typical),
            count(own)
        ));
    }
    section
}

/// Files, program and limits.
fn origin(mut report: Report, about: &About<'_>) -> Report {
    for (role, path, hash) in about.hashes {
        report = report.provenance(format!("The {role} file"), path.display().to_string());
        report = report.provenance(format!("SHA-256 of the {role} file"), hash.clone());
    }
    let program = provenance::program();
    let text = |key: &str| program[key].as_str().unwrap_or("unknown").to_owned();
    report
        .provenance("Program", format!("posology {}", text("version")))
        .provenance("Commit", text("commit"))
        .provenance("Date", provenance::now())
        .provenance("Method", about.method)
        .provenance("Seed", about.seed.to_string())
        .limit(provenance::NOTICE)
        .limit(
            "Estimates hold for the patients of the data file. A fit that describes them well \
             does not show that the model predicts other patients, doses or times.",
        )
        .limit(
            "The page names patients and shows their measurements: keep it as carefully as the \
             data file.",
        )
}

fn count(n: usize) -> String {
    number(n as f64, 0)
}

/// Four significant digits.
fn figure(value: f64) -> String {
    significant(value, 4)
}

/// Name and unit, for axes.
fn with_unit(name: &str, unit: &str) -> String {
    match unit {
        "1" | "" => name.to_owned(),
        unit => format!("{name} ({unit})"),
    }
}

/// At most this many names in a sentence.
const NAMES: usize = 20;

fn names(all: &[String]) -> String {
    let shown = all[..all.len().min(NAMES)].join(", ");
    match all.len() - all.len().min(NAMES) {
        0 => shown,
        more => format!("{shown} and {} more", count(more)),
    }
}

fn plot(error: PlotError) -> Failure {
    Failure::new(Class::Numeric, error.to_string())
}
