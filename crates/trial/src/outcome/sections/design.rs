//! What was asked and how.

use crate::Trial;
use crate::report::{Cell, Column, Section, Table, number, percent, significant};

/// What was asked and how.
pub(in crate::outcome) fn design(trial: &Trial) -> Section {
    let mut section = Section::new("Design");
    for paragraph in trial
        .description
        .split("\n\n")
        .filter(|paragraph| !paragraph.is_empty())
    {
        section = section.paragraph(paragraph);
    }
    let mut arms = Table::new("Arms")
        .column(Column::text("Arm"))
        .column(Column::text("Treatment"))
        .column(Column::text("Rule at visits"))
        .column(Column::text("Source"));
    for arm in &trial.arms {
        let protocol = arm
            .protocol
            .and_then(|protocol| trial.protocols.get(protocol));
        let rule = arm.rule.as_ref().map_or_else(
            || match (protocol, &arm.policy, &arm.trained) {
                (Some(protocol), ..) => format!("protocol {}", protocol.name),
                (_, Some(policy), _) => format!("policy {}", policy.name),
                (_, _, Some(policy)) => format!(
                    "trained policy {}, {} actions",
                    policy.file,
                    if policy.draws {
                        "drawn"
                    } else {
                        "most probable"
                    }
                ),
                _ => "none".to_owned(),
            },
            |rule| {
                let set: Vec<String> = rule
                    .text
                    .iter()
                    .map(|(name, text)| format!("{name} := {text}"))
                    .collect();
                format!("every {}: {}", rule.every_text, set.join("; "))
            },
        );
        let text = if arm.description.is_empty() {
            match &arm.trained {
                Some(_) if arm.regimen_text.is_empty() => "decided by the policy".to_owned(),
                Some(_) => format!("decided by the policy, relative to {}", arm.regimen_text),
                None => arm.regimen_text.clone(),
            }
        } else {
            arm.description.clone()
        };
        arms = arms.row(vec![
            Cell::text(arm.title.clone()),
            Cell::text(text),
            Cell::text(rule),
            cite(trial, &arm.source),
        ]);
    }
    let mut endpoints = Table::new("Endpoints")
        .column(Column::text("Endpoint"))
        .column(Column::text("Definition"))
        .column(Column::text("Role"))
        .column(Column::text("Source"));
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        let verb = match endpoint.kind {
            crate::design::EndpointKind::FirstTime(_) => "first time",
            crate::design::EndpointKind::Integral(_) => "integral of",
            crate::design::EndpointKind::Mean(_) => "time average of",
            crate::design::EndpointKind::Last(_) => "last value of",
            crate::design::EndpointKind::Min(_) => "smallest",
            crate::design::EndpointKind::Max(_) => "largest",
            crate::design::EndpointKind::At { .. } => "value at a time of",
            crate::design::EndpointKind::Drawn { .. } => "time drawn by the model from",
            crate::design::EndpointKind::Hazard { .. } => "time to an event with the hazard",
            crate::design::EndpointKind::Response { .. } => "best response (RECIST 1.1) on",
            crate::design::EndpointKind::Progression { .. } => {
                "time to progression (RECIST 1.1) on"
            }
            crate::design::EndpointKind::Decline { .. } => "fall of",
            crate::design::EndpointKind::Rise { .. } => "time to a rise of",
            crate::design::EndpointKind::Earliest(_) => "earliest of",
            crate::design::EndpointKind::Toxicity { .. } => "toxicity",
            crate::design::EndpointKind::DoseIntensity { .. } => "dose intensity of",
            crate::design::EndpointKind::Dose { .. } => "amount given of",
            crate::design::EndpointKind::TimeOnTreatment => "time on treatment",
        };
        let until = endpoint.until.map_or_else(String::new, |until| {
            format!(", until {}", trial.endpoints[until].name)
        });
        let note = if endpoint.note.is_empty() {
            String::new()
        } else {
            format!(" ({})", endpoint.note)
        };
        let role = if e == trial.analysis.primary {
            "primary"
        } else if trial.analysis.secondary.contains(&e) {
            "secondary, tested"
        } else {
            "secondary"
        };
        endpoints = endpoints.row(vec![
            Cell::text(endpoint.title.clone()),
            Cell::text(format!("{verb} {}{until}{note}", endpoint.text)),
            Cell::text(role),
            cite(trial, &endpoint.source),
        ]);
    }
    section = section
        .paragraph(follow_up(trial))
        .paragraph(allocation(trial))
        .table(arms)
        .table(endpoints);
    section = visits(trial, section);
    for protocol in &trial.protocols {
        let used = trial.arms.iter().any(|arm| {
            let own = arm.protocol.and_then(|own| trial.protocols.get(own));
            own.is_some_and(|own| own.name == protocol.name)
        });
        if used {
            let rules = protocol.rules.iter().map(|rule| rule.text.clone());
            section = section
                .subheading(format!("Protocol {}: rules as written", protocol.name))
                .list(rules.collect());
            if !protocol.source.is_empty() {
                section = section.paragraph(trial.citation(&protocol.source));
            }
        }
    }
    section
}

fn follow_up(trial: &Trial) -> String {
    let mut text = format!(
        "Follow-up ends after {} {}; whoever has no event by then is censored there.",
        number(trial.shown_time(trial.horizon), 1).trim_end_matches(".0"),
        trial.time_unit
    );
    if trial.allocation.accrual > 0.0 {
        text += &format!(
            " Patients enter uniformly over {} {}, and follow-up ends for all at the same time.",
            number(trial.shown_time(trial.allocation.accrual), 1).trim_end_matches(".0"),
            trial.time_unit
        );
    }
    text
}

fn allocation(trial: &Trial) -> String {
    let allocation = &trial.allocation;
    if allocation.every_arm || trial.arms.len() < 2 {
        return "Every patient goes through every arm with the same parameters and the same random numbers.".to_owned();
    }
    let ratio: Vec<String> = allocation.ratio.iter().map(u32::to_string).collect();
    let strata: Vec<&str> = allocation
        .strata
        .iter()
        .map(|split| split.text.as_str())
        .collect();
    let within = if strata.is_empty() {
        String::new()
    } else {
        format!(", within strata by {}", strata.join(" and "))
    };
    let whose = if trial.individuals.is_some() {
        "Virtual patients are"
    } else {
        "Patients are"
    };
    format!(
        "{whose} randomised {} in permuted blocks of {}{within}.",
        ratio.join(":"),
        allocation.block
    )
}

/// When patients are seen and what is measured.
fn visits(trial: &Trial, section: Section) -> Section {
    let Some(visits) = &trial.visits else {
        return section;
    };
    let mut text = format!(
        "Patients are seen every {}; doses are given at visits only.",
        visits.every_text
    );
    if visits.missed > 0.0 {
        text += &format!(
            " A visit is missed with a probability of {}: nothing is measured and nothing given.",
            percent(visits.missed, 1)
        );
    }
    if visits.dropout > 0.0 {
        let per = 1.0 / visits.dropout;
        text += &format!(
            " Patients leave with a constant hazard, after {} {} on average.",
            significant(trial.shown_time(per), 3),
            trial.time_unit
        );
    }
    let mut table = Table::new("Measured at visits; rules see nothing else")
        .column(Column::text("Quantity"))
        .column(Column::text("Every"))
        .column(Column::text("Measurement error"))
        .column(Column::text("Limit of quantification"));
    for observed in &visits.observed {
        let observable = &trial.model.observables[observed.observable];
        let scale = trial.model.units.scale(&observable.unit);
        let every = trial.shown_time(f64::from(observed.every) * visits.every);
        let limit = observed.lloq.map_or_else(Cell::missing, |limit| {
            Cell::text(format!(
                "{} {}",
                significant(limit / scale, 3),
                observable.unit
            ))
        });
        table = table.row(vec![
            Cell::text(observed.name.clone()),
            Cell::text(format!(
                "{} {}",
                number(every, 2).trim_end_matches('0').trim_end_matches('.'),
                trial.time_unit
            )),
            Cell::text(match (observed.error, &observable.error) {
                (true, Some(_)) => "residual error of the model",
                (true, None) => "none (the model has none)",
                (false, _) => "none",
            }),
            limit,
        ]);
    }
    section.subheading("Visits").paragraph(text).table(table)
}

fn cite(trial: &Trial, key: &str) -> Cell {
    if key.is_empty() {
        Cell::missing()
    } else {
        Cell::text(trial.citation(key))
    }
}
