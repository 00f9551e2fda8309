//! The sections of a report.

use super::figures;
use crate::Trial;
use crate::report::{Cell, Column, Report, Section, Table, estimate, number, p_value, percent, time_estimate};
use crate::run::{CohortAnalysis, ReplayResult, Times, TrialError, TrialResult};
use crate::statistics::median;

fn interval(level: f64) -> String {
    format!("{} % CI", number(100.0 * level, if (100.0 * level).fract() == 0.0 { 0 } else { 1 }))
}

/// Decimals that show a quantity of this size to about three digits.
fn decimals(size: f64) -> usize {
    if size.abs() >= 100.0 {
        0
    } else if size.abs() >= 1.0 {
        1
    } else {
        3
    }
}

fn primary<'a>(trial: &Trial, analysis: &'a CohortAnalysis) -> Option<&'a Times> {
    analysis.times.iter().find(|times| times.endpoint == Some(trial.analysis.primary))
}

/// The headline numbers.
pub(super) fn keys(trial: &Trial, result: &TrialResult, mut report: Report) -> Report {
    if let Some(replay) = &result.replay {
        let detail = format!("root mean square, mean of {} patients", replay.patients.len());
        report = report.key("Replay error", number(replay.rmse.value, 4), detail);
    }
    if let Some(times) = result.analyses.last().and_then(|analysis| primary(trial, analysis)) {
        let cohort = result.cohorts.last().map_or(String::new(), |cohort| {
            format!("{} {}", number(cohort.cohort.len() as f64, 0), cohort.title.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '))
        });
        for arm in &times.arms {
            let value = arm.median.value.map_or_else(|| "not reached".to_owned(), |value| format!("{} {}", number(value, 1), times.unit));
            report = report.key(format!("Median, {}", arm.curve.name().to_lowercase()), value, format!("{cohort}; model-based endpoint"));
        }
        for comparison in &times.comparisons {
            if let Some(paired) = &comparison.paired {
                let label = format!("Later event with {}", trial.arms[comparison.arm].title.to_lowercase());
                report = report.key(label, percent(paired.better.value, 1), format!("of patients; earlier in {}", percent(paired.worse.value, 1)));
            }
        }
    }
    report
}

/// What was asked and how.
pub(super) fn design(trial: &Trial, result: &TrialResult) -> Section {
    let mut section = Section::new("Design");
    for paragraph in trial.description.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        section = section.paragraph(paragraph);
    }
    let mut arms = Table::new("Arms").column(Column::text("Arm")).column(Column::text("Treatment")).column(Column::text("Rule at visits")).column(Column::text("Source"));
    for arm in &trial.arms {
        let rule = arm.rule.as_ref().map_or_else(|| "none".to_owned(), |rule| {
            let set: Vec<String> = rule.text.iter().map(|(name, text)| format!("{name} := {text}")).collect();
            format!("every {}: {}", rule.every_text, set.join("; "))
        });
        let text = if arm.description.is_empty() { arm.regimen_text.clone() } else { arm.description.clone() };
        arms = arms.row(vec![Cell::text(arm.title.clone()), Cell::text(text), Cell::text(rule), cite(trial, &arm.source)]);
    }
    let mut endpoints = Table::new("Endpoints").column(Column::text("Endpoint")).column(Column::text("Definition")).column(Column::text("Role")).column(Column::text("Source"));
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        let verb = match endpoint.kind {
            crate::design::EndpointKind::FirstTime(_) => "first time",
            crate::design::EndpointKind::Integral(_) => "integral of",
            crate::design::EndpointKind::Mean(_) => "time average of",
            crate::design::EndpointKind::Last(_) => "last value of",
            crate::design::EndpointKind::Min(_) => "smallest",
            crate::design::EndpointKind::Max(_) => "largest",
        };
        let until = endpoint.until.map_or_else(String::new, |until| format!(", until {}", trial.endpoints[until].name));
        let note = if endpoint.note.is_empty() { String::new() } else { format!(" ({})", endpoint.note) };
        let role = if e == trial.analysis.primary { "primary" } else { "secondary" };
        endpoints = endpoints.row(vec![
            Cell::text(endpoint.title.clone()),
            Cell::text(format!("{verb} {}{until}{note}", endpoint.text)),
            Cell::text(role),
            cite(trial, &endpoint.source),
        ]);
    }
    let mut patients = Table::new("Patients").column(Column::text("Cohort")).column(Column::number("Simulated in every arm", "")).column(Column::number("Analysed", "")).column(Column::number("Left out (diverged)", ""));
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        patients = patients.row(vec![
            Cell::text(cohort.title.clone()),
            Cell::count(cohort.cohort.len()),
            Cell::count(analysis.patients),
            Cell::count(analysis.excluded),
        ]);
    }
    let horizon = format!(
        "Follow-up ends after {} {}; whoever has no event by then is censored there. Every patient goes through every arm with the same parameters and the same random numbers.",
        number(trial.shown_time(trial.horizon), 0),
        trial.time_unit
    );
    section.paragraph(horizon).table(arms).table(endpoints).table(patients)
}

fn cite(trial: &Trial, key: &str) -> Cell {
    if key.is_empty() { Cell::missing() } else { Cell::text(trial.citation(key)) }
}

/// Prediction against measurement.
pub(super) fn replay(trial: &Trial, replay: &ReplayResult) -> Result<Section, TrialError> {
    let title = trial.replay.as_ref().map_or("Replay", |data| data.title.as_str());
    let level = interval(trial.analysis.level);
    let records: usize = replay.patients.iter().map(|patient| patient.records.len()).sum();
    let text = format!(
        "{} measurements of {} patients against the model under the drug each of them really received; \
         the drug of a record holds from its day to the next record's. The root mean square error is {} on average over patients ({level} {} to {}).",
        number(records as f64, 0),
        replay.patients.len(),
        number(replay.rmse.value, 4),
        number(replay.rmse.low, 3),
        number(replay.rmse.high, 3),
    );
    let mut section = Section::new(title).paragraph(text);
    if trial.replay.as_ref().is_some_and(|data| data.divide_by_maximum) {
        section = section.paragraph("Measurements are relative to each patient's largest; so are predictions, each divided by its own largest value at the record times.");
    }
    let mut groups: Vec<&str> = replay.patients.iter().map(|patient| patient.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut table = Table::new("Root mean square error per patient").column(Column::text("Group")).column(Column::number("Patients", "")).column(Column::number("Records", "")).column(Column::number("Mean", "")).column(Column::number("Median", "")).column(Column::number("Smallest", "")).column(Column::number("Largest", ""));
    let all = [("all", replay.patients.iter().collect::<Vec<_>>())];
    let by_group = groups.iter().map(|group| (*group, replay.patients.iter().filter(|patient| patient.group == *group).collect::<Vec<_>>()));
    for (name, members) in all.into_iter().chain(by_group.filter(|_| groups.len() > 1)) {
        let errors: Vec<f64> = members.iter().map(|patient| patient.rmse).collect();
        table = table.row(vec![
            Cell::text(name),
            Cell::count(members.len()),
            Cell::count(members.iter().map(|patient| patient.records.len()).sum()),
            Cell::number(errors.iter().sum::<f64>() / errors.len().max(1) as f64, 4),
            Cell::number(median("RMSE", &errors)?, 3),
            Cell::number(errors.iter().copied().fold(f64::INFINITY, f64::min), 3),
            Cell::number(errors.iter().copied().fold(f64::NEG_INFINITY, f64::max), 3),
        ]);
    }
    let caption = "Measured and predicted values of each patient. Points: measured; line: predicted; shaded: drug on.";
    section = section.table(table).figure_grid(figures::replay(trial, replay)?, caption);
    Ok(schedules(trial, replay, section))
}

/// Real schedules beside those of an arm.
fn schedules(trial: &Trial, replay: &ReplayResult, mut section: Section) -> Section {
    for arm in 0..trial.arms.len() {
        let rows: Vec<_> = replay.schedules.iter().filter(|schedule| schedule.arm == arm).collect();
        if rows.is_empty() {
            continue;
        }
        let title = &trial.arms[arm].title;
        let mean = |of: fn(&crate::run::Schedule) -> f64| rows.iter().map(|row| of(row)).sum::<f64>() / rows.len() as f64;
        let (real, would, same) = (mean(|row| row.real), mean(|row| row.arm_share), mean(|row| row.agreement));
        // what two schedules with these shares would agree on if they had nothing to do with one another
        let chance = rows.iter().map(|row| row.real * row.arm_share + (1.0 - row.real) * (1.0 - row.arm_share)).sum::<f64>() / rows.len() as f64;
        let verdict = if same > chance + 0.1 { "more than the share that unrelated schedules would" } else { "hardly more than the share that unrelated schedules would; the fits do not predict when a patient's drug was switched" };
        section = section
            .subheading(format!("{title} in reality and in the model"))
            .paragraph(format!(
                "From the start of treatment to the last record, each of the {} patients was on drug for {} of the time on average; the arm {} keeps him on for {}. \
                 The two are both on or both off for {} of the time, {verdict} ({}).",
                rows.len(), percent(real, 0), title, percent(would, 0), percent(same, 0), percent(chance, 0)
            ));
        let mut table = Table::new(format!("Time on drug: real schedule and the arm {title}, over the same time")).column(Column::text("Patient")).column(Column::number("Record", trial.time_unit.text())).column(Column::number("On drug, real", "%")).column(Column::number("On drug, arm", "%")).column(Column::number("Agreement", "%"));
        for row in &rows {
            table = table.row(vec![
                Cell::text(row.name.clone()),
                Cell::number(trial.shown_time(row.duration), 1),
                Cell::number(100.0 * row.real, 0),
                Cell::number(100.0 * row.arm_share, 0),
                Cell::number(100.0 * row.agreement, 0),
            ]);
        }
        table = table.note("From the start of the arm to the patient's last record. Agreement: share of time in which both are on or both are off; unrelated schedules with the same shares agree for some of the time, too.");
        section = section.table(table);
    }
    section
}

/// Times to an event: the primary endpoint first, and what was reported.
pub(super) fn times(trial: &Trial, result: &TrialResult) -> Result<Section, TrialError> {
    let mut section = Section::new("Times to an event");
    let mut order: Vec<usize> = (0..trial.endpoints.len()).filter(|&e| trial.endpoints[e].is_time()).collect();
    order.sort_by_key(|&e| e != trial.analysis.primary);
    for e in order {
        let endpoint = &trial.endpoints[e];
        for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
            let Some(times) = analysis.times.iter().find(|times| times.endpoint == Some(e)) else { continue };
            let horizon = trial.horizon / trial.model.units.scale(&endpoint.unit);
            let name = heading(cohort.cohort.len(), &cohort.title);
            section = section.subheading(format!("{}: {name}", endpoint.title));
            let caption = format!("{} ({}), {name}, with pointwise 95 % bands and numbers at risk.", endpoint.title, endpoint.text);
            // the axis ends where hardly anything happens any more
            let figure = figures::survival(&format!("{}, {name}", endpoint.title), times, shown_until(times, horizon), inset(trial, times))?;
            section = section.figure(figure, caption);
            section = time_tables(trial, times, &format!("{}, {name}", endpoint.title), section);
        }
    }
    if let (Some(times), Some(reported)) = (&result.reported, &trial.reported) {
        let longest = times.arms.iter().map(|arm| arm.curve.last_time()).fold(0.0, f64::max);
        section = section.subheading(reported.title.clone());
        section = section.callout(format!(
            "Beside the model for orientation only: this is another endpoint than the model's. {}",
            reported.note
        ));
        let figure = figures::survival(&reported.title, times, longest, inset(trial, times))?;
        section = section.figure(figure, format!("{}. {}", reported.title, trial.citation(&reported.source)));
        section = time_tables(trial, times, &reported.title, section);
    }
    Ok(section)
}

fn heading(patients: usize, title: &str) -> String {
    if title.starts_with(|c: char| c.is_ascii_digit()) { title.to_owned() } else { format!("{} {title}", number(patients as f64, 0)) }
}

/// Where fewer than one patient in fifty is left in every arm, if that is before the horizon.
fn shown_until(times: &Times, horizon: f64) -> f64 {
    let left = |at: f64| times.arms.iter().any(|arm| arm.curve.survival(at).unwrap_or(0.0) > 0.02);
    (1..=20).map(|k| horizon * f64::from(k) / 20.0).find(|&at| !left(at)).unwrap_or(horizon)
}

fn inset(trial: &Trial, times: &Times) -> Vec<String> {
    let mut lines = Vec::new();
    for comparison in &times.comparisons {
        if let Ok(ratio) = &comparison.hazard_ratio {
            let who = if times.comparisons.len() > 1 { format!("{}: ", trial.arms[comparison.arm].title) } else { String::new() };
            lines.push(format!("{who}HR {}", estimate(ratio, 2)));
        }
    }
    lines
}

fn time_tables(trial: &Trial, times: &Times, caption: &str, mut section: Section) -> Section {
    let level = interval(trial.analysis.level);
    let mut table = Table::new(format!("{caption}, by arm")).column(Column::text("Arm")).column(Column::number("Patients", "")).column(Column::number("Events", "")).column(Column::number(format!("Median ({level})"), times.unit.clone()));
    let restricted = times.arms.iter().find_map(|arm| arm.restricted_mean);
    if let Some(mean) = &restricted {
        table = table.column(Column::number(format!("Restricted mean ({level})"), format!("{}, up to {}", times.unit, number(mean.horizon, 1))));
    }
    for arm in &times.arms {
        let mut row = vec![Cell::text(arm.curve.name()), Cell::count(arm.curve.patients()), Cell::count(arm.events), Cell::text(time_estimate(&arm.median, 1))];
        if restricted.is_some() {
            row.push(arm.restricted_mean.map_or_else(Cell::missing, |mean| Cell::estimate(&mean.mean, 1)));
        }
        table = table.row(row);
    }
    table = table.note("Kaplan and Meier, with log-log intervals.");
    section = section.table(table);
    section = free_table(trial, times, caption, section);
    if times.comparisons.is_empty() {
        return section;
    }
    let control = &trial.arms[trial.analysis.control].title;
    let mut table = Table::new(format!("{caption}, against {}", control.to_lowercase())).column(Column::text("Arm")).column(Column::number(format!("Hazard ratio ({level})"), "")).column(Column::number("Log-rank p", "")).column(Column::number(format!("Difference of restricted means ({level})"), times.unit.clone()));
    let mut reasons = Vec::new();
    for comparison in &times.comparisons {
        let mut kept = |reason: String| {
            reasons.push(reason);
            Cell::missing()
        };
        let ratio = match &comparison.hazard_ratio {
            Ok(ratio) => Cell::estimate(ratio, 2),
            Err(reason) => kept(reason.to_string()),
        };
        let test = match &comparison.log_rank {
            Ok(test) => Cell::text(p_value(test.p_value)),
            Err(reason) => kept(reason.to_string()),
        };
        let difference = match &comparison.restricted_mean {
            Ok(difference) => Cell::estimate(&difference.difference, 1),
            Err(reason) => kept(reason.to_string()),
        };
        table = table.row(vec![Cell::text(trial.arms[comparison.arm].title.clone()), ratio, test, difference]);
    }
    for reason in reasons {
        table = table.note(reason);
    }
    if times.endpoint.is_some() {
        table = table.note("These compare the arms as if they held different patients. The same patients are in every arm, so the comparisons within patients below are the ones to read; hazards need not be proportional.");
    }
    section.table(table)
}

/// Shares without the event at fixed times.
fn free_table(trial: &Trial, times: &Times, caption: &str, section: Section) -> Section {
    let level = interval(trial.analysis.level);
    let Some(first) = times.arms.first().filter(|arm| !arm.free.is_empty()) else { return section };
    let mut table = Table::new(format!("{caption}: share without the event, % ({level})")).column(Column::text("Arm"));
    for (time, _) in &first.free {
        table = table.column(Column::number(format!("At {}", number(*time, 0)), times.unit.clone()));
    }
    for arm in &times.arms {
        let mut row = vec![Cell::text(arm.curve.name())];
        row.extend(arm.free.iter().map(|(_, share)| share.as_ref().map_or_else(Cell::missing, |share| Cell::percent_estimate(share, 1))));
        table = table.row(row);
    }
    section.table(table.note("Clopper and Pearson where everybody was followed for that long, else the interval of the curve."))
}

/// Effects within patients.
pub(super) fn within(trial: &Trial, result: &TrialResult) -> Result<Section, TrialError> {
    let level = interval(trial.analysis.level);
    let control = trial.arms[trial.analysis.control].title.to_lowercase();
    let mut section = Section::new("Effects within patients").paragraph(format!(
        "Every patient went through every arm with the same parameters, so each one's own effect is known exactly. Times are at most the horizon. Intervals: bootstrap over patients, {} resamples.",
        number(trial.analysis.resamples as f64, 0)
    ));
    let unit = trial.endpoints[trial.analysis.primary].unit.text().to_owned();
    let title = &trial.endpoints[trial.analysis.primary].title;
    let mut table = Table::new(format!("{title}: each arm minus {control}")).column(Column::text("Patients")).column(Column::text("Arm")).column(Column::number(format!("Mean difference ({level})"), unit.clone())).column(Column::number(format!("Median difference ({level})"), unit.clone())).column(Column::number(format!("Later ({level})"), "% of patients")).column(Column::number(format!("Earlier ({level})"), "% of patients")).column(Column::number("Same", "% of patients"));
    let mut drawings = Vec::new();
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        let Some(times) = primary(trial, analysis) else { continue };
        for comparison in &times.comparisons {
            let Some(paired) = &comparison.paired else { continue };
            let arm = &trial.arms[comparison.arm].title;
            let name = heading(cohort.cohort.len(), &cohort.title);
            table = table.row(vec![
                Cell::text(name.clone()),
                Cell::text(arm.clone()),
                Cell::estimate(&paired.mean, 2),
                Cell::estimate(&paired.median, 2),
                Cell::percent_estimate(&paired.better, 1),
                Cell::percent_estimate(&paired.worse, 1),
                Cell::number(100.0 * paired.same.value, 1),
            ]);
            if !cohort.real {
                drawings.push((figures::effects(&format!("Individual effects, {name}"), arm, &unit, paired)?, name));
            }
        }
    }
    section = section.table(table);
    for (drawing, name) in drawings {
        section = section.figure(drawing, format!("{title}: individual effects, {name}. Right of zero the event comes later than under {control} treatment."));
    }
    Ok(section)
}

/// Exposure, burden and other numbers.
pub(super) fn numbers(trial: &Trial, result: &TrialResult) -> Result<Section, TrialError> {
    let level = interval(trial.analysis.level);
    let mut section = Section::new("Drug exposure and other endpoints");
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        if analysis.numbers.is_empty() {
            continue;
        }
        let name = heading(cohort.cohort.len(), &cohort.title);
        let control = trial.arms[trial.analysis.control].title.to_lowercase();
        let mut table = Table::new(format!("Endpoints that are numbers, {name}")).column(Column::text("Endpoint")).column(Column::text("Arm")).column(Column::number(format!("Mean ({level})"), "")).column(Column::number("Median (quartiles)", "")).column(Column::number(format!("Mean difference from {control} ({level})"), ""));
        for numbers in &analysis.numbers {
            let endpoint = &trial.endpoints[numbers.endpoint];
            let unit = if endpoint.unit.text() == "1" { String::new() } else { format!(" ({})", endpoint.unit) };
            let places = decimals(numbers.arms.iter().map(|arm| arm.mean.value.abs()).fold(0.0, f64::max));
            for (arm, values) in numbers.arms.iter().enumerate() {
                let [low, middle, high] = values.quartiles;
                let effect = numbers.effects.iter().find(|effect| effect.arm == arm);
                let difference = match (arm == trial.analysis.control, effect.and_then(|effect| effect.difference)) {
                    (true, _) => Cell::missing(),
                    (_, Some(difference)) => Cell::estimate(&difference, places),
                    (_, None) => Cell::text("none"),
                };
                table = table.row(vec![
                    Cell::text(if arm == 0 { format!("{}{unit}", endpoint.title) } else { String::new() }),
                    Cell::text(trial.arms[arm].title.clone()),
                    Cell::estimate(&values.mean, places),
                    Cell::text(format!("{} ({} to {})", number(middle, places), number(low, places), number(high, places))),
                    difference,
                ]);
            }
        }
        section = section.table(table.note("Means and differences within patients with Student's intervals."));
        section = distributions(trial, result, cohort.title.as_str(), section)?;
    }
    Ok(section)
}

/// The first number of the trial that is accumulated until the primary event, drawn by arm.
fn distributions(trial: &Trial, result: &TrialResult, title: &str, section: Section) -> Result<Section, TrialError> {
    let Some(cohort) = result.cohorts.iter().find(|cohort| cohort.title == title && !cohort.real) else {
        return Ok(section);
    };
    let chosen = trial.endpoints.iter().position(|endpoint| endpoint.until == Some(trial.analysis.primary));
    let Some(e) = chosen else { return Ok(section) };
    let endpoint = &trial.endpoints[e];
    let complete = cohort.complete();
    let arms: Vec<(String, Vec<f64>)> = trial
        .arms
        .iter()
        .zip(&cohort.arms)
        .map(|(arm, values)| (arm.title.clone(), complete.iter().map(|&p| values.values[e][p]).collect()))
        .collect();
    let figure = figures::distribution(&endpoint.title, &format!("{} ({})", endpoint.title, endpoint.unit), &arms)?;
    Ok(section.figure(figure, format!("{}, {}.", endpoint.title, heading(cohort.cohort.len(), &cohort.title))))
}

/// Where the numbers of the model come from.
pub(super) fn parameters(trial: &Trial) -> Section {
    let model = &trial.model;
    let mut table = Table::new(format!("Parameters of {}", model.name)).column(Column::text("Parameter")).column(Column::number("Value", "")).column(Column::text("Unit")).column(Column::number("Between patients", "SD of the logarithm")).column(Column::text("Origin"));
    for parameter in &model.parameters {
        let varies = parameter.iiv.map_or_else(Cell::missing, |iiv| Cell::number(iiv.omega2.sqrt(), 2));
        let origin = if parameter.calibrated && !parameter.source.starts_with("calibrated") { format!("calibrated: {}", parameter.source) } else { parameter.source.clone() };
        table = table.row(vec![
            Cell::text(if parameter.description.is_empty() { parameter.name.clone() } else { format!("{}, {}", parameter.name, parameter.description) }),
            Cell::text(crate::report::significant(parameter.value / model.units.scale(&parameter.unit), 4)),
            Cell::text(parameter.unit.text()),
            varies,
            Cell::text(origin),
        ]);
    }
    let mut section = Section::new("The model and what is calibrated").paragraph(model.title.clone());
    let text = model.description.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    for paragraph in text.filter(|part| !part.is_empty()) {
        section = section.paragraph(paragraph);
    }
    section.table(table)
}
