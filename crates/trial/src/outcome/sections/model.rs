//! Where the numbers of the model come from.

use posology_model::model::{Distribution, Parameter};

use crate::Trial;
use crate::report::{Cell, Column, Section, Table, significant};
use crate::run::{TrialResult, logarithms};

pub(in crate::outcome) fn parameters(trial: &Trial, result: &TrialResult) -> Section {
    let model = &trial.model;
    let mut table = Table::new(format!("Parameters of {}", model.name))
        .column(Column::text("Parameter"))
        .column(Column::text("Value"))
        .column(Column::text("Between patients"))
        .column(Column::text("Origin"));
    for parameter in &model.parameters {
        let name = match parameter.description.as_str() {
            "" => parameter.name.clone(),
            text => format!("{}, {text}", parameter.name),
        };
        let value = parameter.value / model.units.scale(&parameter.unit);
        let unit = parameter.unit.text();
        let unit = if unit == "1" { "" } else { unit };
        let origin = if parameter.calibrated && !parameter.source.starts_with("calibrated") {
            format!("calibrated: {}", parameter.source)
        } else {
            parameter.source.clone()
        };
        table = table.row(vec![
            Cell::text(name),
            Cell::text(format!("{} {unit}", significant(value, 4)).trim_end()),
            spread(trial, parameter),
            Cell::text(origin),
        ]);
    }
    let mut section =
        Section::new("The model and what is calibrated").paragraph(model.title.clone());
    let text = model
        .description
        .split("\n\n")
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    for paragraph in text.filter(|part| !part.is_empty()) {
        section = section.paragraph(paragraph);
    }
    around(trial, result, section.table(table))
}

fn spread(trial: &Trial, parameter: &Parameter) -> Cell {
    let Some(iiv) = parameter.iiv else {
        return Cell::missing();
    };
    let sd = iiv.omega2.sqrt();
    Cell::text(match iiv.distribution {
        Distribution::LogNormal => {
            format!("log-normal, SD of the logarithm {}", significant(sd, 3))
        }
        Distribution::LogitNormal => {
            format!("logit-normal, SD of the logit {}", significant(sd, 3))
        }
        Distribution::Normal => {
            let shown = sd / trial.model.units.scale(&parameter.unit);
            format!("normal, SD {} {}", significant(shown, 3), parameter.unit)
        }
    })
}

/// What virtual patients were really drawn from, where that is not the model's own variability.
fn around(trial: &Trial, result: &TrialResult, section: Section) -> Section {
    let slots = match &trial.virtual_patients {
        Some(sampled) if !sampled.around.is_empty() => &sampled.around,
        _ => return section,
    };
    let Some(real) = result.cohorts.iter().find(|cohort| cohort.real) else {
        return section;
    };
    let (mean, root) = logarithms(&real.cohort, slots);
    let sd = |k: usize| {
        root[k]
            .iter()
            .map(|value| value * value)
            .sum::<f64>()
            .sqrt()
    };
    let mut table = Table::new(format!(
        "What virtual patients are drawn from: log-normal around the {}",
        real.title
    ))
    .column(Column::text("Parameter"))
    .column(Column::text("Geometric mean"))
    .column(Column::text("SD of the logarithm"))
    .column(Column::text("Correlation of the logarithms"));
    for (k, &slot) in slots.iter().enumerate() {
        let unit = trial.model.slot_unit(slot);
        let value = mean[k].exp() / trial.model.units.scale(unit);
        let correlations: Vec<String> = (0..k)
            .map(|j| {
                let covariance: f64 = (0..=j).map(|m| root[k][m] * root[j][m]).sum();
                let name = trial.model.slot_name(slots[j]);
                format!(
                    "{} with {name}",
                    significant(covariance / (sd(k) * sd(j)), 2)
                )
            })
            .collect();
        table = table.row(vec![
            Cell::text(trial.model.slot_name(slot)),
            Cell::text(format!("{} {unit}", significant(value, 4))),
            Cell::text(significant(sd(k), 3)),
            match correlations.is_empty() {
                true => Cell::missing(),
                false => Cell::text(correlations.join(", ")),
            },
        ]);
    }
    let note = "Calibrated here: moments (n - 1) of the patients as they enter the arms; values outside the bounds of the model's parameters are redrawn. These replace the variability in the table above.";
    section.table(table.note(note))
}
