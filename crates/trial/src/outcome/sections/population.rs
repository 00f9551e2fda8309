//! Who takes part, and who went where.

use super::{heading, whole};
use crate::Trial;
use crate::outcome::people::{End, Person, people, reason_text};
use crate::plot::{Allocation, Flow, FlowArm, Svg};
use crate::protocol::reason;
use crate::report::{Characteristic, Section, baseline_table};
use crate::run::{CohortAnalysis, CohortResult, TrialError, TrialResult};
use crate::statistics::quantile;

/// Levels of a characteristic that is a list of levels and not a number.
const LEVELS: usize = 6;
/// Arms that fit into a diagram.
const MOST_ARMS: usize = 8;

/// Who takes part: source, flow, characteristics at baseline.
pub(in crate::outcome) fn population(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Section, TrialError> {
    let mut section = Section::new("Patients");
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        let name = heading(cohort.cohort.len(), &cohort.title);
        section = section
            .subheading(name.clone())
            .paragraph(source(trial, cohort));
        if trial.arms.len() <= MOST_ARMS {
            let caption = format!("Flow of patients, {name}. {}", flow_note(trial, cohort));
            section = section.figure(flow(trial, result, cohort, analysis)?, caption);
        }
        let characteristics = characteristics(trial, cohort);
        let groups = groups(trial, cohort);
        if characteristics.is_empty() {
            section = section.paragraph(
                "No covariate of the model differs between these patients: all have the same values at the start.",
            );
        } else {
            let arms: Vec<(String, usize)> = groups
                .iter()
                .map(|(name, members)| (name.clone(), members.len()))
                .collect();
            let caption = format!("Characteristics at baseline, {name}");
            section = section.table(baseline_table(caption, &arms, &characteristics));
        }
    }
    Ok(section)
}

/// Where the patients come from.
fn source(trial: &Trial, cohort: &CohortResult) -> String {
    if cohort.real {
        return trial.individuals.as_ref().map_or_else(String::new, |real| {
            format!(
                "Real patients with their own parameters, from {} ({}).",
                real.file,
                trial.citation(&real.source)
            )
        });
    }
    let Some(sampled) = &trial.virtual_patients else {
        return String::new();
    };
    let mut parts = Vec::new();
    if !sampled.around.is_empty() {
        let names: Vec<&str> = sampled
            .around
            .iter()
            .map(|&slot| trial.model.slot_name(slot))
            .collect();
        parts.push(format!(
            "Virtual patients, drawn log-normal around the real ones ({}).",
            names.join(", ")
        ));
    }
    match (&sampled.population, &sampled.population_file) {
        (Some(population), Some(file)) => {
            parts.push(format!(
                "Covariates are drawn from the population file {} ({}).",
                file.file, population.title
            ));
            for citation in population.sources.values() {
                parts.push(format!("Source: {citation}."));
            }
        }
        _ => parts
            .push("No population file: covariates have the model's reference values.".to_owned()),
    }
    parts.push(
        "Parameters vary between patients as the model says (see the table of its parameters)."
            .to_owned(),
    );
    parts.join(" ").replace("..", ".")
}

fn flow_note(trial: &Trial, cohort: &CohortResult) -> &'static str {
    match (cohort.every_arm, trial.visits.is_some()) {
        (true, true) => "Every patient went through every arm.",
        (false, true) => "Each patient was randomised to one arm.",
        (true, false) => {
            "Every patient went through every arm. Without visits everybody is treated and followed as planned."
        }
        (false, false) => {
            "Each patient was randomised to one arm. Without visits everybody is treated and followed as planned."
        }
    }
}

/// The diagram.
fn flow(
    trial: &Trial,
    result: &TrialResult,
    cohort: &CohortResult,
    analysis: &CohortAnalysis,
) -> Result<Svg, TrialError> {
    let everybody = people(trial, result);
    let arms = trial.arms.iter().enumerate().map(|(a, arm)| {
        let own: Vec<&Person<'_>> = everybody
            .iter()
            .filter(|person| std::ptr::eq(person.cohort, cohort) && person.arm == a)
            .collect();
        let allocated = own.len();
        let treated: Vec<&&Person<'_>> = own.iter().filter(|person| person.treated()).collect();
        let count =
            |of: &dyn Fn(&Person<'_>) -> bool| treated.iter().filter(|person| of(person)).count();
        let untreated = allocated - treated.len();
        let mut discontinued = Vec::new();
        let mut codes: Vec<u32> = treated
            .iter()
            .filter(|person| person.completed() && !person.died_on_treatment())
            .filter_map(|person| person.reason())
            .filter(|&code| code != reason::NONE)
            .collect();
        codes.sort_unstable();
        while let Some(&code) = codes.first() {
            let many = codes.iter().filter(|&&other| other == code).count();
            discontinued.push((reason_text(trial, a, code), many));
            codes.drain(..many);
        }
        let deaths = count(&|person| person.completed() && person.died_on_treatment());
        if deaths > 0 {
            discontinued.push(("death".to_owned(), deaths));
        }
        let diverged = count(&|person| person.end() == End::Diverged);
        if diverged > 0 {
            discontinued.push(("simulation diverged".to_owned(), diverged));
        }
        let ongoing = count(&|person| {
            let end = person.treated_until().unwrap_or(0.0);
            person.completed()
                && !person.died_on_treatment()
                && person.reason() == Some(reason::NONE)
                && end >= person.until() * (1.0 - 1e-9)
        });
        let analysed = analysis.arms.get(a).map_or(allocated, |arm| arm.analysed);
        let reasons = |text: &str, many: usize| match many {
            0 => Vec::new(),
            _ => vec![(text.to_owned(), many)],
        };
        FlowArm {
            name: arm.title.clone(),
            allocated,
            not_started: reasons("no dose was given", untreated),
            discontinued,
            ongoing,
            left_out: reasons(
                "simulation of an arm diverged",
                allocated.saturating_sub(analysed),
            ),
        }
    });
    let allocation = if cohort.every_arm {
        Allocation::EveryArm
    } else {
        Allocation::Randomised
    };
    let source = if cohort.real {
        "Real patients"
    } else {
        "Virtual patients sampled"
    };
    let flow = Flow::new(
        format!("Flow of patients, {}", cohort.title),
        (source, cohort.cohort.len()),
        Vec::new(),
        allocation,
        arms.collect(),
    );
    Ok(flow.render()?)
}

/// Columns of the table: the arms, or everybody where all went through every arm.
fn groups(trial: &Trial, cohort: &CohortResult) -> Vec<(String, Vec<usize>)> {
    if cohort.every_arm {
        return vec![("All arms".to_owned(), (0..cohort.cohort.len()).collect())];
    }
    let arms = trial.arms.iter().zip(&cohort.arms);
    arms.map(|(arm, result)| (arm.title.clone(), result.members.clone()))
        .collect()
}

/// Digits after the point of a characteristic of this size.
fn decimals(size: f64) -> usize {
    match size {
        size if size >= 200.0 => 0,
        size if size >= 20.0 => 1,
        _ => 2,
    }
}

/// Covariates that differ between patients.
fn characteristics(trial: &Trial, cohort: &CohortResult) -> Vec<Characteristic> {
    let model = &trial.model;
    let groups = groups(trial, cohort);
    let mut out = Vec::new();
    for (at, covariate) in model.covariates.iter().enumerate() {
        let slot = model.parameters.len() + at;
        let scale = model.units.scale(&covariate.unit);
        let of = |members: &[usize]| -> Vec<f64> {
            let values = members
                .iter()
                .map(|&p| cohort.cohort.slots[slot][p] / scale);
            values.filter(|value| value.is_finite()).collect()
        };
        let mut levels = of(&(0..cohort.cohort.len()).collect::<Vec<_>>());
        let size = levels.iter().copied().map(f64::abs).fold(0.0, f64::max);
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        if levels.len() < 2 {
            continue;
        }
        let unit = match covariate.unit.text() {
            "1" => String::new(),
            unit => unit.to_owned(),
        };
        let name = match covariate.description.split(';').next() {
            None | Some("") => covariate.name.clone(),
            Some(text) => format!("{} ({})", covariate.name, text.trim()),
        };
        let integers = levels.iter().all(|value| value.fract() == 0.0);
        let count = |level: f64| -> Vec<usize> {
            let of = |members: &[usize]| of(members).iter().filter(|&&v| v == level).count();
            groups.iter().map(|(_, members)| of(members)).collect()
        };
        out.push(if levels == [0.0, 1.0] && unit.is_empty() {
            let counts = count(1.0);
            Characteristic::Share { name, counts }
        } else if integers && unit.is_empty() && levels.len() <= LEVELS {
            let levels = levels.iter().map(|&level| (whole(level), count(level)));
            let levels = levels.collect();
            Characteristic::Levels { name, levels }
        } else {
            let quartiles = groups.iter().map(|(_, members)| {
                let values = of(members);
                [0.25, 0.5, 0.75].map(|p| quantile(&covariate.name, &values, p).unwrap_or(f64::NAN))
            });
            Characteristic::Number {
                name,
                unit,
                decimals: decimals(size),
                quartiles: quartiles.collect(),
            }
        });
    }
    out
}
