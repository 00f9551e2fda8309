//! Worst grades.

use super::{control, heading, title};
use crate::Trial;
use crate::plot::{HarmFigure, HarmRow, Toxicity, ToxicityRow};
use crate::report::{Section, toxicity_table};
use crate::run::{CohortAnalysis, TrialError, TrialResult};
use crate::statistics::Estimate;

/// Worst grades of every toxicity of the model; `None` if it has none.
pub(in crate::outcome) fn toxicity(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Option<Section>, TrialError> {
    if result
        .analyses
        .iter()
        .all(|analysis| analysis.toxicities.is_empty())
    {
        return Ok(None);
    }
    let mut section = Section::new("Toxicity").paragraph(
        "Worst grade of each patient during the whole follow-up, from the model's own course and not only from what visits saw.",
    );
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        if analysis.toxicities.is_empty() {
            continue;
        }
        let name = heading(cohort.cohort.len(), &cohort.title);
        let arms: Vec<(String, usize)> = analysis
            .arms
            .iter()
            .enumerate()
            .map(|(arm, patients)| (title(trial, arm), patients.analysed))
            .collect();
        let count = arms.len();
        let rows = analysis.toxicities.iter().map(|table| {
            let grades = (0..count).map(|arm| {
                let found = table.arms.iter().find(|own| own.arm == arm);
                found.map_or([0; 5], |own| {
                    let [_, grades @ ..] = own.grades;
                    grades
                })
            });
            ToxicityRow {
                name: readable(&trial.model.toxicities[table.toxicity].name),
                grades: grades.collect(),
            }
        });
        let toxicity = Toxicity::new(format!("Toxicity, {name}"), arms, rows.collect())?;
        let caption = format!("Patients by worst grade (CTCAE), {name}.");
        section = section
            .figure(toxicity.figure()?, caption)
            .table(toxicity_table(&toxicity, trial.analysis.level)?);
        section = harms(trial, analysis, &name, section)?;
    }
    Ok(Some(section))
}

/// A key as words.
fn readable(key: &str) -> String {
    key.replace('_', " ")
}

/// Rates of grade 3 or worse, and their differences from the control.
fn harms(
    trial: &Trial,
    analysis: &CohortAnalysis,
    name: &str,
    section: Section,
) -> Result<Section, TrialError> {
    let reference = trial.analysis.control;
    let order: Vec<usize> = std::iter::once(reference)
        .chain((0..trial.arms.len()).filter(|&arm| arm != reference))
        .collect();
    let rows: Vec<HarmRow> = analysis
        .toxicities
        .iter()
        .filter(|table| table.knows_severe)
        .filter_map(|table| {
            let rate = |arm: usize| -> Option<Estimate> {
                let own = table.arms.iter().find(|own| own.arm == arm)?;
                own.severe.as_ref().ok().copied()
            };
            let difference = |arm: usize| -> Option<Estimate> {
                let effect = table.effects.iter().find(|effect| effect.arm == arm)?;
                effect.difference.as_ref().ok().copied()
            };
            Some(HarmRow {
                name: format!(
                    "{}, grade 3 or worse",
                    readable(&trial.model.toxicities[table.toxicity].name)
                ),
                rates: order.iter().map(|&arm| rate(arm)).collect::<Option<_>>()?,
                differences: order[1..].iter().map(|&arm| difference(arm)).collect(),
            })
        })
        .collect();
    if rows.is_empty() || order.len() < 2 {
        return Ok(section);
    }
    let arms = order.iter().map(|&arm| title(trial, arm)).collect();
    let figure = HarmFigure::new(format!("Severe toxicity, {name}"), arms, rows);
    let caption = format!(
        "Rates of grade 3 or worse, and differences in risk from {}, {name}.",
        control(trial)
    );
    Ok(section.figure(figure.render()?, caption))
}
