//! The table of parameters, and warnings about it.

use posology_model::model::Distribution;
use posology_trial::report::{Cell, Column, Section, Table, number};
use posology_twin::population::Uncertainty;
use posology_twin::population::fisher::{Estimate, Kind};
use posology_twin::space::{Entry, Scale};

use super::{About, figure, names};

/// Relative standard errors above this are named, percent.
const LARGE_RSE: f64 = 50.0;
/// Shrinkage above this misleads figures of individual estimates (Savic and Karlsson 2009), percent.
const LARGE_SHRINKAGE: f64 = 30.0;

pub(super) fn section(about: &About<'_>) -> Section {
    match about.uncertainty {
        Some(uncertainty) => estimated(about, uncertainty),
        None => prior(about),
    }
}

fn estimated(about: &About<'_>, uncertainty: &Uncertainty) -> Section {
    let mut table = Table::new("Estimates")
        .column(Column::text("Parameter"))
        .column(Column::number("Estimate", ""))
        .column(Column::text("Unit"))
        .column(Column::number("RSE", "%"))
        .column(Column::number("95 % interval", ""))
        .column(Column::number("CV or correlation", ""))
        .column(Column::number("Shrinkage", "%"));
    let kinds: [(&str, &[Kind]); 4] = [
        ("Typical values", &[Kind::Typical]),
        ("Fixed effects", &[Kind::Fixed]),
        (
            "Variability between patients",
            &[Kind::Variance, Kind::Covariance],
        ),
        ("Residual error", &[Kind::Error]),
    ];
    for (heading, those) in kinds {
        let of = |one: &&Estimate| those.contains(&one.kind);
        let mut estimates = uncertainty.estimates.iter().filter(of).peekable();
        if estimates.peek().is_none() {
            continue;
        }
        table = table.group(heading);
        for one in estimates {
            let part = |value: Option<f64>| {
                value.map_or_else(Cell::missing, |value| Cell::number(value, 1))
            };
            table = table.row(vec![
                Cell::text(one.name.clone()),
                Cell::text(figure(one.value)),
                Cell::text(unit(about, one)),
                part(one.rse),
                one.interval.map_or_else(Cell::missing, |(low, high)| {
                    Cell::text(format!("{} to {}", figure(low), figure(high)))
                }),
                spread(about, uncertainty, one).map_or_else(Cell::missing, Cell::text),
                part(one.shrinkage),
            ]);
        }
    }
    table = table
        .note(
            "Standard errors: expected information of the model linearised around the individual \
             estimates. Intervals: normal on the scale of the estimate (logarithm, logit), for \
             variances and errors on the logarithm.",
        )
        .note(
            "omega2: variance of a random effect. CV: of a log-normal parameter, \
             100 \u{221a}(exp(omega2) \u{2212} 1). Shrinkage: 1 \u{2212} SD of the individual \
             estimates / omega.",
        );
    let held = held(about);
    if !held.is_empty() {
        table = table.note(format!("Held at their values: {}.", names(&held)));
    }
    let mut section = Section::new("Parameters");
    let warnings = warnings(uncertainty);
    if warnings.is_empty() {
        section = section.paragraph(
            "No direction of the parameters is without information, and no relative standard \
             error exceeds 50 %.",
        );
    }
    for warning in warnings {
        section = section.callout(warning);
    }
    section.table(table)
}

/// The unit of an estimate; none for plain numbers.
fn unit(about: &About<'_>, one: &Estimate) -> String {
    let squared = |entry: &Entry| match (entry.scale, entry.unit.as_str()) {
        (Scale::Identity, unit) if unit != "1" => Some(format!("({unit})\u{b2}")),
        _ => None,
    };
    let variance = (one.kind == Kind::Variance)
        .then(|| entry(about, &one.name))
        .flatten();
    match variance.and_then(squared) {
        Some(unit) => unit,
        None if one.unit == "1" => String::new(),
        None => one.unit.clone(),
    }
}

/// The random effect of a variance's name.
fn entry<'a>(about: &About<'a>, name: &str) -> Option<&'a Entry> {
    let mut all = about.space.random.iter();
    all.find(|entry| format!("omega2({})", entry.name) == name)
}

/// Variances of logarithms as coefficients of variation, covariances as correlations.
fn spread(about: &About<'_>, uncertainty: &Uncertainty, one: &Estimate) -> Option<String> {
    match one.kind {
        Kind::Variance => {
            let entry = entry(about, &one.name)?;
            let log = matches!(entry.scale, Scale::Log | Scale::NegativeLog);
            let cv = 100.0 * (one.value.exp() - 1.0).sqrt();
            log.then(|| format!("{} %", number(cv, 1)))
        }
        Kind::Covariance => {
            let inside = one.name.strip_prefix("omega(")?.strip_suffix(')')?;
            let variance = |name: &str| {
                let name = format!("omega2({name})");
                let mut all = uncertainty.estimates.iter();
                Some(all.find(|other| other.name == name)?.value)
            };
            let (a, b) = inside.split_once(',')?;
            let correlation = one.value / (variance(a)? * variance(b)?).sqrt();
            Some(format!("r = {}", number(correlation, 2)))
        }
        _ => None,
    }
}

/// Parameters and variances that the fit does not move.
fn held(about: &About<'_>) -> Vec<String> {
    let flagged = |flags: &[bool], name: fn(&Entry) -> String| -> Vec<String> {
        let all = about.space.random.iter().zip(flags);
        all.filter(|(_, held)| **held)
            .map(|(entry, _)| name(entry))
            .collect()
    };
    let mut out = flagged(&about.space.held, |entry| entry.name.clone());
    out.extend(flagged(&about.space.held_omega, |entry| {
        format!("omega2({})", entry.name)
    }));
    out
}

/// What a reader must know before he believes the table.
fn warnings(uncertainty: &Uncertainty) -> Vec<String> {
    let mut out = Vec::new();
    for group in &uncertainty.weak {
        out.push(match group.as_slice() {
            [one] => format!("Not identified: the data hold almost no information on {one}."),
            several => format!(
                "Not identified: the data do not tell these parameters apart: {}.",
                names(several)
            ),
        });
    }
    let those = |test: &dyn Fn(&Estimate) -> bool| -> Vec<String> {
        let all = uncertainty.estimates.iter();
        all.filter(|one| test(one))
            .map(|one| one.name.clone())
            .collect()
    };
    let unsure: Vec<String> = uncertainty
        .estimates
        .iter()
        .filter_map(|one| {
            let rse = one.rse.filter(|rse| rse.is_nan() || *rse > LARGE_RSE)?;
            Some(format!("{} ({} %)", one.name, number(rse, 0)))
        })
        .collect();
    if !unsure.is_empty() {
        out.push(format!(
            "Relative standard error above 50 %: {}. Of a value near zero it is large whatever \
             the data say; else the data hold little information on it.",
            names(&unsure)
        ));
    }
    let without = those(&|one| one.se.is_none());
    if !without.is_empty() {
        out.push(format!("No standard error: {}.", names(&without)));
    }
    let shrunk = those(&|one| one.shrinkage.is_some_and(|s| s > LARGE_SHRINKAGE));
    if !shrunk.is_empty() {
        out.push(format!(
            "Shrinkage above 30 %: {}. Figures of individual estimates and of individual \
             predictions may look better than the fit is.",
            names(&shrunk)
        ));
    }
    out
}

/// What the model file says of the parameters, where no population was estimated.
fn prior(about: &About<'_>) -> Section {
    let mut table = Table::new("Parameters in the model file")
        .column(Column::text("Parameter"))
        .column(Column::number("Typical value", ""))
        .column(Column::text("Unit"))
        .column(Column::text("Distribution"))
        .column(Column::number("omega2", ""));
    for entry in &about.space.random {
        let Some(parameter) = about.model.parameters.get(entry.slot) else {
            continue;
        };
        let omega2 = parameter.iiv.map(|iiv| match entry.scale {
            Scale::Identity => iiv.omega2 / (entry.shown * entry.shown),
            _ => iiv.omega2,
        });
        table = table.row(vec![
            Cell::text(entry.name.clone()),
            Cell::text(figure(parameter.value / entry.shown)),
            Cell::text(if entry.unit == "1" { "" } else { &entry.unit }),
            Cell::text(match parameter.iiv.map(|iiv| iiv.distribution) {
                Some(Distribution::LogNormal) => "log-normal",
                Some(Distribution::LogitNormal) => "logit-normal",
                Some(_) => "normal",
                None => "",
            }),
            omega2.map_or_else(Cell::missing, |value| Cell::text(figure(value))),
        ]);
    }
    Section::new("Parameters")
        .paragraph(
            "No population was estimated: every patient was fitted alone, with a population as \
             prior. Standard errors and shrinkage of a population therefore do not exist.",
        )
        .table(table)
}
