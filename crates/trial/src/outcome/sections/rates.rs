//! What happens or not, and best responses: rates, waterfalls, spiders.

use super::{control, heading, interval, title};
use crate::Trial;
use crate::clinical::Series;
use crate::clinical::marker;
use crate::clinical::recist::{Criteria, Response, assess};
use crate::design::{EndpointKind, Observed};
use crate::outcome::people::last_scan;
use crate::plot::{
    BestChange, BestResponse, ResponseRate, Spider, SpiderLine, Waterfall, WaterfallArm,
};
use crate::report::{Cell, Column, Section, Table, p_value};
use crate::run::{CohortAnalysis, CohortResult, Found, Rates, TrialError, TrialResult};
use crate::statistics::Estimate;
use posology_model::unit::Unit;

/// Rates, with drawings where they are made of scans or markers; `None` without such endpoints.
pub(in crate::outcome) fn rates(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Option<Section>, TrialError> {
    let mut section = Section::new("Responses and other events that happen or not");
    let mut any = false;
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        for rates in &analysis.rates {
            any = true;
            let endpoint = &trial.endpoints[rates.endpoint];
            let name = heading(cohort.cohort.len(), &cohort.title);
            section = section.subheading(format!("{}: {name}", endpoint.title));
            section = by_arm(trial, rates, &name, section);
            section = against_control(trial, analysis, rates, &name, section);
            section = drawings(trial, cohort, rates, &name, section)?;
        }
    }
    Ok(any.then_some(section))
}

fn by_arm(trial: &Trial, rates: &Rates, name: &str, section: Section) -> Section {
    let endpoint = &trial.endpoints[rates.endpoint];
    let level = interval(trial.analysis.level);
    let responses = rates.arms.iter().any(|arm| !arm.responses.is_empty());
    let mut table = Table::new(format!("{}, {name}, by arm", endpoint.title))
        .column(Column::text("Arm"))
        .column(Column::number("Patients", ""))
        .column(Column::number(
            if responses {
                "Objective response"
            } else {
                "Yes"
            },
            "patients",
        ))
        .column(Column::number(format!("Rate ({level})"), "%"));
    if responses {
        for response in Response::ALL {
            table = table.column(Column::number(response.abbreviation(), "patients (%)"));
        }
    }
    for arm in &rates.arms {
        let mut row = vec![
            Cell::text(title(trial, arm.arm)),
            Cell::count(arm.patients),
            Cell::count(arm.events),
            Cell::percent_estimate(&arm.rate, 1),
        ];
        if responses {
            let counts = arm.responses.iter();
            row.extend(counts.map(|&count| Cell::share(count, arm.patients)));
        }
        table = table.row(row);
    }
    for (arm, why) in &rates.without {
        table = table.note(format!("{}: {why}", title(trial, *arm)));
    }
    section.table(table.note("Intervals: Clopper and Pearson."))
}

fn against_control(
    trial: &Trial,
    analysis: &CohortAnalysis,
    rates: &Rates,
    name: &str,
    section: Section,
) -> Section {
    if rates.effects.is_empty() {
        return section;
    }
    let endpoint = &trial.endpoints[rates.endpoint];
    let level = interval(trial.analysis.level);
    let mut table = Table::new(format!(
        "{}, {name}, against {}",
        endpoint.title,
        control(trial)
    ))
    .column(Column::text("Arm"))
    .column(Column::number(
        format!("Risk difference ({level})"),
        "percentage points",
    ))
    .column(Column::number(format!("Risk ratio ({level})"), ""))
    .column(Column::number(format!("Odds ratio ({level})"), ""))
    .column(Column::number(
        if analysis.every_arm {
            "McNemar p"
        } else {
            "Fisher p"
        },
        "",
    ));
    if analysis.every_arm {
        table = table
            .column(Column::number("Only in the arm", "% of patients"))
            .column(Column::number("Only in the control", "% of patients"));
    }
    let ratio = |found: &Found<Estimate>| match found {
        Ok(estimate) => Cell::estimate(estimate, 2),
        Err(_) => Cell::missing(),
    };
    for effect in &rates.effects {
        let difference = match &effect.difference {
            Ok(difference) => Cell::percent_estimate(difference, 1),
            Err(_) => Cell::missing(),
        };
        let paired = effect
            .paired
            .as_ref()
            .and_then(|paired| paired.as_ref().ok());
        let p = if analysis.every_arm {
            paired.and_then(|paired| paired.p_value)
        } else {
            effect.fisher.as_ref().ok().copied()
        };
        let mut row = vec![
            Cell::text(title(trial, effect.arm)),
            difference,
            ratio(&effect.risk_ratio),
            ratio(&effect.odds_ratio),
            p.map_or_else(Cell::missing, |p| Cell::text(p_value(p))),
        ];
        if analysis.every_arm {
            for share in [paired.map(|p| &p.only_arm), paired.map(|p| &p.only_control)] {
                row.push(
                    share.map_or_else(Cell::missing, |share| Cell::percent_estimate(share, 1)),
                );
            }
        }
        table = table.row(row);
    }
    let note = "Intervals: Newcombe (difference), Koopman (risk ratio), Woolf (odds ratio).";
    section.table(table.note(note))
}

/// What of a patient's measured values the drawings show.
struct Course {
    best: BestChange,
    line: SpiderLine,
}

/// Waterfall and spider of an endpoint that is made of scans or a marker.
fn drawings(
    trial: &Trial,
    cohort: &CohortResult,
    rates: &Rates,
    name: &str,
    mut section: Section,
) -> Result<Section, TrialError> {
    let endpoint = &trial.endpoints[rates.endpoint];
    let (observed, falls) = match endpoint.kind {
        EndpointKind::Response { observed, .. } => (observed, None),
        EndpointKind::Decline { observed, by, .. } => (observed, Some(by)),
        _ => return Ok(section),
    };
    let visits = trial.visits.as_ref();
    let Some(seen) = visits.and_then(|visits| visits.observed.get(observed)) else {
        return Ok(section);
    };
    let analysed = cohort.analysed();
    let (mut falling, mut spiders) = (Vec::new(), Vec::new());
    for arm in &rates.arms {
        let positions = analysed.get(arm.arm).map_or(&[][..], Vec::as_slice);
        let courses = courses(
            trial,
            cohort,
            arm.arm,
            positions,
            (observed, seen),
            rates,
            falls,
        )?;
        let (best, lines): (Vec<_>, Vec<_>) = courses
            .into_iter()
            .map(|course| (course.best, course.line))
            .unzip();
        falling.push(WaterfallArm {
            name: title(trial, arm.arm),
            patients: best,
            rate: ResponseRate {
                name: if falls.is_some() {
                    endpoint.title.clone()
                } else {
                    "Objective response".to_owned()
                },
                responders: arm.events,
                patients: arm.patients,
                rate: arm.rate,
            },
        });
        spiders.push((title(trial, arm.arm), lines));
    }
    if falling.iter().all(|arm| arm.patients.is_empty()) {
        return Ok(section);
    }
    let what = seen.name.clone();
    let label = format!("Best change of {what} from baseline (%)");
    let mut waterfall =
        Waterfall::new(format!("Best change of {what}, {name}"), falling).label(label.clone());
    let mut spider = Spider::new(
        format!("Course of {what}, {name}"),
        format!("Time since the start ({})", trial.time_unit),
        spiders,
    )
    .label(format!("Change of {what} from baseline (%)"));
    if let Some(by) = falls {
        waterfall = waterfall.references(&[-by]);
        spider = spider.references(&[-by]);
    }
    let caption = format!(
        "{label}, {name}, as measured, each bar a patient; beside it the rate with its {}.",
        interval(trial.analysis.level)
    );
    section = section.figure(waterfall.render()?, caption);
    let caption = format!(
        "Course of {what} as measured, {name}, each line a patient until progression or death."
    );
    Ok(section.figure(spider.render()?, caption))
}

fn courses(
    trial: &Trial,
    cohort: &CohortResult,
    arm: usize,
    positions: &[usize],
    (observed, seen): (usize, &Observed),
    rates: &Rates,
    falls: Option<f64>,
) -> Result<Vec<Course>, TrialError> {
    let result = &cohort.arms[arm];
    let Some(visits) = &result.visits else {
        return Ok(Vec::new());
    };
    let count = visits.times.len();
    let Some(all) = visits.seen.get(observed) else {
        return Ok(Vec::new());
    };
    let unit = &trial.model.observables[seen.observable].unit;
    let units = &trial.model.units;
    let millimetre = Unit::parse("mm").map_or(f64::NAN, |mm| units.scale(&mm) / units.scale(unit));
    let criteria = Criteria::recist_1_1(millimetre);
    let mut responses = vec![Response::NotEvaluable; count];
    let mut out = Vec::with_capacity(positions.len());
    for &k in positions {
        let Some(values) = all.get(k * count..(k + 1) * count) else {
            continue;
        };
        let measured: Vec<bool> = values.iter().map(|value| value.is_finite()).collect();
        let series = Series::new(&visits.times, values, &measured)?;
        let best = if falls.is_some() {
            BestChange {
                change: marker::best_change(&series).map_or(f64::NAN, |best| best.change),
                response: None,
            }
        } else {
            let found = assess(&series, &criteria, &mut responses)?;
            let code = result.values[rates.endpoint][k];
            let response = Response::from_code(code as u8).unwrap_or(Response::NotEvaluable);
            BestChange {
                change: found.best_change.unwrap_or(f64::NAN),
                response: Some(shown(response)),
            }
        };
        let mut line = SpiderLine {
            times: Vec::new(),
            changes: Vec::new(),
        };
        if let Some(baseline) = values
            .first()
            .filter(|first| first.is_finite() && **first > 0.0)
        {
            let end = last_scan(trial, result, k, observed);
            for (time, value) in visits.times.iter().zip(values) {
                if value.is_finite() && *time <= end {
                    line.times.push(trial.shown_time(*time));
                    line.changes.push(value / baseline - 1.0);
                }
            }
        }
        out.push(Course { best, line });
    }
    Ok(out)
}

/// The response as drawings know it.
const fn shown(response: Response) -> BestResponse {
    match response {
        Response::Complete => BestResponse::Complete,
        Response::Partial => BestResponse::Partial,
        Response::Stable => BestResponse::Stable,
        Response::Progressive => BestResponse::Progressive,
        Response::NotEvaluable => BestResponse::NotEvaluable,
    }
}
