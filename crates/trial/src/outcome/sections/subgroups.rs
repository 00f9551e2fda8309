//! Who benefits less, who is harmed more, and how large a difference could have been seen.

use super::{control, heading, interval, title};
use crate::Trial;
use crate::plot::{Subgroup, SubgroupCount, SubgroupFactor, SubgroupFigure};
use crate::report::{Cell, Column, Section, Table, number, p_value};
use crate::run::{
    ArmCount, CohortAnalysis, Measure, SubgroupComparison, SubgroupQuestion, SubgroupRow,
    TrialError, TrialResult,
};

/// Questions that are shown; further toxicities are in `summary.json`.
const MOST_QUESTIONS: usize = 6;

/// Effects by subgroup; `None` without subgroups or with one arm.
pub(in crate::outcome) fn subgroups(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Option<Section>, TrialError> {
    let mut section = Section::new("Subgroups: who benefits less, who is harmed more").paragraph(
        "Effects of each arm against the control within groups of patients, a test of whether the groups share one effect (interaction), and the smallest effect and the smallest gap between a group and all others that this many patients show with a power of 80 %. A group without a visible gap smaller than that has not been shown to fare the same. Tests are not adjusted for their number.",
    );
    let mut any = false;
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        let name = heading(cohort.cohort.len(), &cohort.title);
        let mut questions: Vec<SubgroupQuestion> = Vec::new();
        for outcome in analysis
            .subgroups
            .iter()
            .flat_map(|factor| &factor.outcomes)
        {
            if !questions.contains(&outcome.question) {
                questions.push(outcome.question);
            }
        }
        for question in questions.into_iter().take(MOST_QUESTIONS) {
            for arm in (0..trial.arms.len()).filter(|&arm| arm != trial.analysis.control) {
                if let Some(found) = one(trial, analysis, question, arm, &name)? {
                    any = true;
                    let (figure, caption, table) = found;
                    let what = words(trial, question);
                    section = section
                        .subheading(format!("{what}, {}: {name}", title(trial, arm)))
                        .figure(figure, caption)
                        .table(table);
                }
            }
        }
    }
    Ok(any.then_some(section))
}

fn words(trial: &Trial, question: SubgroupQuestion) -> String {
    match question {
        SubgroupQuestion::Endpoint(e) => trial.endpoints[e].title.clone(),
        SubgroupQuestion::Severe(t) => format!(
            "{}, grade 3 or worse",
            trial.model.toxicities[t].name.replace('_', " ")
        ),
    }
}

/// Name of the effect, whether it is a ratio, its factor for display and its decimals.
fn scale(
    trial: &Trial,
    question: SubgroupQuestion,
    measure: Measure,
) -> (String, bool, f64, usize) {
    match measure {
        Measure::HazardRatio => ("Hazard ratio".to_owned(), true, 1.0, 2),
        Measure::RiskDifference => {
            let name = "Risk difference (percentage points)".to_owned();
            (name, false, 100.0, 1)
        }
        Measure::MeanDifference => {
            let unit = match question {
                SubgroupQuestion::Endpoint(e) => trial.endpoints[e].unit.text(),
                SubgroupQuestion::Severe(_) => "1",
            };
            let name = match unit {
                "1" => "Mean difference".to_owned(),
                unit => format!("Mean difference ({unit})"),
            };
            (name, false, 1.0, 2)
        }
    }
}

type Found = (crate::plot::Svg, String, Table);

fn one(
    trial: &Trial,
    analysis: &CohortAnalysis,
    question: SubgroupQuestion,
    arm: usize,
    name: &str,
) -> Result<Option<Found>, TrialError> {
    let mut factors: Vec<(usize, Measure, &SubgroupComparison)> = Vec::new();
    for factor in &analysis.subgroups {
        let outcome = factor.outcomes.iter().find(|o| o.question == question);
        let found = outcome.and_then(|outcome| {
            let comparison = outcome.comparisons.iter().find(|c| c.arm == arm)?;
            Some((factor.factor, outcome.measure, comparison))
        });
        factors.extend(found);
    }
    let Some(&(_, measure, leading)) = factors.first() else {
        return Ok(None);
    };
    let (effect, ratio, factor, decimals) = scale(trial, question, measure);
    let shown = |estimate: &crate::statistics::Estimate| crate::statistics::Estimate {
        value: factor * estimate.value,
        low: factor * estimate.low,
        high: factor * estimate.high,
        level: estimate.level,
    };
    let sum = |of: fn(&SubgroupRow) -> ArmCount| SubgroupCount {
        patients: leading.rows.iter().map(|row| of(row).patients).sum(),
        events: leading.rows.iter().map(|row| of(row).events).sum(),
    };
    let beside = |row: &SubgroupRow| -> Option<f64> {
        let detectable = row.detectable.as_ref().ok()?;
        // on the side on which the effect in all patients lies
        let middle = if ratio { 1.0 } else { 0.0 };
        let below = leading.overall.as_ref().map_or(true, |e| e.value <= middle);
        let chosen = if below {
            detectable.below
        } else {
            detectable.above
        };
        chosen.map(|value| factor * value)
    };
    let overall = Subgroup {
        name: "All patients".to_owned(),
        counts: vec![sum(|row| row.own), sum(|row| row.control)],
        effect: leading
            .overall
            .as_ref()
            .map(shown)
            .map_err(|_| "not estimable".to_owned()),
        detectable: None,
    };
    let of = |count: ArmCount| SubgroupCount {
        patients: count.patients,
        events: count.events,
    };
    let drawn = factors.iter().map(|(f, _, comparison)| SubgroupFactor {
        name: trial.subgroups[*f].title.clone(),
        interaction: comparison
            .interaction
            .as_ref()
            .ok()
            .map(|test| test.p_value),
        groups: comparison
            .rows
            .iter()
            .map(|row| Subgroup {
                name: trial.subgroups[*f].groups[row.group].0.clone(),
                counts: vec![of(row.own), of(row.control)],
                effect: row.effect.as_ref().map(shown).map_err(|_| {
                    let none = row.own.patients == 0 || row.control.patients == 0;
                    if none { "no patients" } else { "not estimable" }.to_owned()
                }),
                detectable: beside(row),
            })
            .collect(),
    });
    let what = words(trial, question);
    let figure = SubgroupFigure {
        title: format!("{what} by subgroup, {}, {name}", title(trial, arm)),
        effect: effect.clone(),
        ratio,
        decimals,
        arms: vec![title(trial, arm), control(trial)],
        favours: None,
        overall,
        factors: drawn.collect(),
    };
    let caption = format!(
        "{what}: {} against {} by subgroup, {name}.",
        title(trial, arm),
        control(trial)
    );
    let table = audit(trial, &factors, (&effect, factor, decimals), &what, name);
    Ok(Some((figure.render()?, caption, table)))
}

/// What was found and what could have been found.
fn audit(
    trial: &Trial,
    factors: &[(usize, Measure, &SubgroupComparison)],
    (effect, factor, decimals): (&str, f64, usize),
    what: &str,
    name: &str,
) -> Table {
    let level = interval(trial.analysis.level);
    let within = factors
        .iter()
        .flat_map(|(_, _, comparison)| &comparison.rows)
        .any(|row| matches!(row.within, Some(Ok(_))));
    let mut table = Table::new(format!("{what} by subgroup, {name}"))
        .column(Column::text("Group"))
        .column(Column::number("Patients", "arm, control"))
        .column(Column::number(format!("{effect} ({level})"), ""))
        .column(Column::number("Smallest detectable effect", "below, above"))
        .column(Column::number("Smallest detectable gap to all others", ""));
    if within {
        table = table.column(Column::number(
            format!("Mean difference within patients ({level})"),
            "",
        ));
    }
    let maybe = |value: Option<f64>| {
        value.map_or_else(
            || "none".to_owned(),
            |value| number(factor * value, decimals),
        )
    };
    for (f, _, comparison) in factors {
        let interaction = match &comparison.interaction {
            Ok(test) => format!("interaction p {}", p_value(test.p_value)),
            Err(why) => {
                let factor = &trial.subgroups[*f].title;
                table = table.note(format!("No test of interaction, {factor}: {why}"));
                "no test of interaction".to_owned()
            }
        };
        table = table.group(format!("{} ({interaction})", trial.subgroups[*f].title));
        for row in &comparison.rows {
            let patients = format!(
                "{}, {}",
                number(row.own.patients as f64, 0),
                number(row.control.patients as f64, 0)
            );
            let found = match &row.effect {
                Ok(estimate) => {
                    let shown = crate::statistics::Estimate {
                        value: factor * estimate.value,
                        low: factor * estimate.low,
                        high: factor * estimate.high,
                        level: estimate.level,
                    };
                    Cell::estimate(&shown, decimals)
                }
                Err(why) => Cell::text(why.clone()),
            };
            let detectable = match &row.detectable {
                Ok(both) => Cell::text(format!("{}, {}", maybe(both.below), maybe(both.above))),
                Err(_) => Cell::missing(),
            };
            let gap = match &row.detectable_gap {
                Ok(gap) => Cell::number(factor * gap, decimals),
                Err(_) => Cell::missing(),
            };
            let mut cells = vec![
                Cell::text(trial.subgroups[*f].groups[row.group].0.clone()),
                Cell::text(patients),
                found,
                detectable,
                gap,
            ];
            if within {
                cells.push(match &row.within {
                    Some(Ok(within)) => Cell::estimate(&within.mean, 2),
                    _ => Cell::missing(),
                });
            }
            table = table.row(cells);
        }
        table = table.end_group();
    }
    table
}
