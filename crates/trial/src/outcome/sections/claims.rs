//! Which claims hold when all are made at once, wins, and other assumptions.

use super::{control, heading, interval, title};
use crate::Trial;
use crate::report::{Cell, Column, Section, Table, number, p_value};
use crate::run::{CohortAnalysis, Found, TrialResult, WinComparison};
use crate::statistics::{ChiSquaredTest, Estimate};

/// The tests of the trial as one family, and the win ratio; `None` with one arm.
pub(in crate::outcome) fn claims(trial: &Trial, result: &TrialResult) -> Option<Section> {
    if trial.arms.len() < 2 {
        return None;
    }
    let mut section = Section::new("Tests and multiplicity").callout(
        "With as many virtual patients as one likes every difference becomes significant: p values say what a trial of this size would see, not how well the model is known.",
    );
    let mut any = false;
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        let name = heading(cohort.cohort.len(), &cohort.title);
        if !analysis.claims.claims.is_empty() {
            any = true;
            section = section.table(family(trial, analysis, &name));
        }
        if let Some(wins) = &analysis.wins {
            any = true;
            let order: Vec<&str> = wins
                .endpoints
                .iter()
                .map(|&e| trial.endpoints[e].title.as_str())
                .collect();
            let mut table = Table::new(format!("Win ratio, {name}"))
                .column(Column::text("Arm"))
                .column(Column::number("Wins", "pairs"))
                .column(Column::number("Losses", "pairs"))
                .column(Column::number("Ties", "pairs"))
                .column(Column::number(
                    format!("Win ratio ({})", interval(trial.analysis.level)),
                    "",
                ))
                .column(Column::number("p", ""));
            for comparison in &wins.comparisons {
                table = table.row(win_row(trial, comparison));
            }
            table = table.note(format!(
                "Against {}; the later event wins, first by {}.",
                control(trial),
                order.join(", then by ")
            ));
            section = section.table(table);
        }
    }
    any.then_some(section)
}

fn family(trial: &Trial, analysis: &CohortAnalysis, name: &str) -> Table {
    let claims = &analysis.claims;
    let how = match claims.multiplicity {
        "holm" => "adjusted by Holm",
        "fixed-sequence" => "in fixed sequence",
        _ => "not adjusted",
    };
    let mut table = Table::new(format!(
        "Tests against {}, {name}: {how}, two-sided level {}",
        control(trial),
        number(claims.alpha, 3)
    ))
    .column(Column::text("Endpoint"))
    .column(Column::text("Role"))
    .column(Column::text("Arm"))
    .column(Column::text("Test"))
    .column(Column::text("Significant"))
    .column(Column::number("p", ""))
    .column(Column::number("Adjusted p", ""));
    for claim in &claims.claims {
        let p = match &claim.p_value {
            Ok(p) => Cell::text(p_value(*p)),
            Err(why) => Cell::text(why.to_string()),
        };
        let significant = if claim.significant { "yes" } else { "no" };
        table = table.row(vec![
            Cell::text(trial.endpoints[claim.endpoint].title.clone()),
            Cell::text(if claim.primary {
                "primary"
            } else {
                "secondary"
            }),
            Cell::text(title(trial, claim.arm)),
            Cell::text(claim.test),
            Cell::text(significant),
            p,
            claim
                .adjusted
                .map_or_else(Cell::missing, |p| Cell::text(p_value(p))),
        ]);
    }
    table
}

fn win_row(trial: &Trial, comparison: &WinComparison) -> Vec<Cell> {
    let mut row = vec![Cell::text(title(trial, comparison.arm))];
    let count = |many: u64| Cell::number(many as f64, 0);
    if let Some(Ok(found)) = &comparison.matched {
        let ties = found.pairs.saturating_sub(found.wins + found.losses);
        row.extend([count(found.wins), count(found.losses), count(ties)]);
        row.push(Cell::estimate(&found.win_ratio, 2));
        row.push(Cell::text(p_value(found.p_value)));
    } else if let Some(Ok(found)) = &comparison.unmatched {
        let sum = |of: fn(&crate::statistics::EndpointWins) -> u64| {
            found.endpoints.iter().map(of).sum::<u64>()
        };
        row.extend([
            count(sum(|wins| wins.wins)),
            count(sum(|wins| wins.losses)),
            count(found.ties),
        ]);
        match &found.win_ratio {
            Some(ratio) => {
                row.push(Cell::estimate(&ratio.estimate, 2));
                row.push(Cell::text(p_value(ratio.p_value)));
            }
            None => row.extend([Cell::missing(), Cell::missing()]),
        }
    } else {
        let why = match (&comparison.matched, &comparison.unmatched) {
            (Some(Err(why)), _) | (_, Some(Err(why))) => why.to_string(),
            _ => String::new(),
        };
        row.push(Cell::text(why));
        row.extend(std::iter::repeat_with(Cell::missing).take(4));
    }
    row
}

/// The primary time to an event under other assumptions; `None` where there are none.
pub(in crate::outcome) fn sensitivity(trial: &Trial, result: &TrialResult) -> Option<Section> {
    let mut section = Section::new("Sensitivity").paragraph(
        "The primary time to an event under other assumptions: tests that stress early or late differences, and what if patients who left had had the event when they left.",
    );
    let mut any = false;
    let ratio = |found: &Found<Estimate>| match found {
        Ok(estimate) => Cell::estimate(estimate, 2),
        Err(_) => Cell::missing(),
    };
    let test = |found: &Found<ChiSquaredTest>| match found {
        Ok(test) => Cell::text(p_value(test.p_value)),
        Err(_) => Cell::missing(),
    };
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        if analysis.sensitivity.is_empty() {
            continue;
        }
        any = true;
        let name = heading(cohort.cohort.len(), &cohort.title);
        let mut table = Table::new(format!("Other assumptions, {name}"))
            .column(Column::text("Arm"))
            .column(Column::text("Assumption"))
            .column(Column::number(
                format!("Hazard ratio ({})", interval(trial.analysis.level)),
                "",
            ))
            .column(Column::number("Log-rank p", ""));
        for entry in &analysis.sensitivity {
            let arm = title(trial, entry.arm);
            for scenario in &entry.scenarios {
                table = table.row(vec![
                    Cell::text(arm.clone()),
                    Cell::text(scenario.title.clone()),
                    ratio(&scenario.hazard_ratio),
                    test(&scenario.log_rank),
                ]);
            }
            for (what, found) in [
                (
                    "early differences stressed (Fleming and Harrington, rho 1)",
                    &entry.early,
                ),
                (
                    "late differences stressed (Fleming and Harrington, gamma 1)",
                    &entry.late,
                ),
            ] {
                table = table.row(vec![
                    Cell::text(arm.clone()),
                    Cell::text(what),
                    Cell::missing(),
                    test(found),
                ]);
            }
            let (own, other) = entry.left;
            table = table.note(format!(
                "{arm}: {} patients left before the event, and {} of the control.",
                number(own as f64, 0),
                number(other as f64, 0)
            ));
        }
        section = section.table(table);
    }
    any.then_some(section)
}
