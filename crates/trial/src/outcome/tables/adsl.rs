//! ADSL: one row per subject.

use posology_model::unit::Unit;

use crate::Trial;
use crate::outcome::people::{
    End, Person, days, death, died, people_covariate, reason_text, study_day,
};
use crate::protocol::reason;
use crate::run::{TrialResult, group_of, strata};
use crate::table::Table;

use super::names::Names;
use super::{Sheet, flag, yes_no};

/// Names that covariates must not take.
const TAKEN: [&str; 30] = [
    "STUDYID", "USUBJID", "SUBJID", "COHORT", "ARMCD", "ARM", "TRT01P", "TRT01PN", "TRT01A",
    "TRT01AN", "ITTFL", "RANDFL", "SAFFL", "COMPLFL", "TRTSDY", "TRTEDY", "TRTDURD", "EOSSTT",
    "EOSDY", "DCSREAS", "EOTSTT", "DCTREAS", "DTHFL", "DTHDY", "SEX", "AGE", "AGEU", "STRATAR",
    "TRTP", "TRTA",
];

/// What is known of a cohort besides its slots.
struct Divided {
    strata: Vec<u32>,
    groups: Vec<Vec<Option<usize>>>,
}

/// Subject level: treatment, populations, disposition, covariates, strata and subgroups.
pub(super) fn adsl(trial: &Trial, result: &TrialResult, people: &[Person<'_>]) -> Table {
    let mut sheet = Sheet::new("adsl", people);
    let arm = |person: &Person<'_>| &trial.arms[person.arm];
    sheet.text("STUDYID", "trial", |_| trial.name.clone());
    sheet.text(
        "USUBJID",
        "patient, unique over cohorts and arms",
        Person::subject,
    );
    sheet.text(
        "SUBJID",
        "name of a real patient, number of a virtual one; the same in every arm",
        Person::label,
    );
    sheet.text("COHORT", "real or virtual patients", |person| {
        person.cohort.title.clone()
    });
    sheet.text("ARMCD", "key of the arm", |person| arm(person).name.clone());
    sheet.text("ARM", "arm", |person| arm(person).title.clone());
    for (name, what) in [
        ("TRT01P", "planned treatment"),
        (
            "TRT01A",
            "actual treatment: the planned one, nobody crosses over",
        ),
    ] {
        sheet.text(name, what, |person| arm(person).title.clone());
        sheet.number(
            format!("{name}N"),
            "1",
            format!("{what}, number"),
            |person| (person.arm + 1) as f64,
        );
    }
    sheet.text("ITTFL", "in the intention-to-treat population", |_| {
        yes_no(true)
    });
    sheet.text("RANDFL", "randomised", |person| {
        yes_no(!person.cohort.every_arm)
    });
    sheet.text("SAFFL", "received any treatment", |person| {
        yes_no(person.treated())
    });
    sheet.text("COMPLFL", "followed to the end", |person| {
        yes_no(person.end() == End::Completed)
    });
    disposition(trial, &mut sheet);
    demography(trial, &mut sheet);
    divided(trial, result, people, &mut sheet);
    let mut names = Names::without(&TAKEN);
    for slot in trial.model.parameters.len()..trial.model.slot_count() {
        let unit = trial.model.slot_unit(slot);
        let scale = trial.model.units.scale(unit);
        let covariate = &trial.model.covariates[slot - trial.model.parameters.len()];
        let what = format!("{} at the start: {}", covariate.name, covariate.description);
        sheet.number(names.of(&covariate.name), unit.text(), what, |person| {
            person.cohort.cohort.slots[slot][person.patient] / scale
        });
    }
    sheet.table
}

/// When treatment and follow-up ended, and why.
fn disposition(trial: &Trial, sheet: &mut Sheet<'_, Person<'_>>) {
    let none = || f64::NAN;
    sheet.number(
        "TRTSDY",
        "d",
        "study day of the start of treatment",
        |person| {
            if person.treated() { 1.0 } else { f64::NAN }
        },
    );
    let treated = |person: &Person<'_>| person.treated_until().filter(|_| person.completed());
    sheet.number(
        "TRTEDY",
        "d",
        "study day of the end of treatment",
        |person| treated(person).map_or_else(none, |time| study_day(trial, time)),
    );
    sheet.number("TRTDURD", "d", "duration of treatment", |person| {
        treated(person).map_or_else(none, |time| days(trial, time))
    });
    sheet.text(
        "EOSSTT",
        "end of the patient's part in the trial",
        |person| {
            match person.end() {
                End::Completed => "COMPLETED",
                _ => "DISCONTINUED",
            }
            .to_owned()
        },
    );
    sheet.number(
        "EOSDY",
        "d",
        "study day of the end of observation",
        |person| {
            study_day(
                trial,
                person.until().min(died(trial, person.result, person.k)),
            )
        },
    );
    sheet.text(
        "DCSREAS",
        "why his part in the trial ended early",
        |person| {
            match person.end() {
                End::Completed => "",
                End::Diverged => "SIMULATION DIVERGED",
                End::Died => "DEATH",
                End::Left => "LEFT THE TRIAL",
            }
            .to_owned()
        },
    );
    sheet.text(
        "EOTSTT",
        "end of treatment, if it was given under visits",
        |person| {
            if person.died_on_treatment() {
                return "DISCONTINUED".to_owned();
            }
            match (person.reason(), person.treated_until()) {
                (Some(reason::NONE), Some(time)) if time < person.until() * (1.0 - 1e-9) => {
                    "COMPLETED"
                }
                (Some(reason::NONE), _) => "ONGOING",
                (Some(_), _) => "DISCONTINUED",
                (None, _) => "",
            }
            .to_owned()
        },
    );
    sheet.text(
        "DCTREAS",
        "why treatment ended early: the rule as written",
        |person| {
            if person.died_on_treatment() {
                return "death".to_owned();
            }
            let code = person.reason();
            code.map_or_else(String::new, |code| reason_text(trial, person.arm, code))
        },
    );
    let death = death(trial);
    sheet.text("DTHFL", "died during follow-up", |person| {
        flag(death.and_then(|e| person.event(e)) == Some(true))
    });
    sheet.number("DTHDY", "d", "study day of death", |person| {
        let Some(e) = death.filter(|&e| person.event(e) == Some(true)) else {
            return f64::NAN;
        };
        let scale = trial.model.units.scale(&trial.endpoints[e].unit);
        study_day(trial, person.value(e) * scale)
    });
}

/// Sex and age, if the model or its population knows them.
fn demography(trial: &Trial, sheet: &mut Sheet<'_, Person<'_>>) {
    let female = people_covariate(trial, &["female", "woman"]);
    let male = people_covariate(trial, &["male", "man"]);
    if let Some((slot, women)) = female.map(|s| (s, true)).or(male.map(|s| (s, false))) {
        sheet.text("SEX", "sex", |person| {
            let yes = person.cohort.cohort.slots[slot][person.patient] > 0.5;
            if yes == women { "F" } else { "M" }.to_owned()
        });
    }
    let year = Unit::parse("yr").map(|year| trial.model.units.scale(&year));
    if let (Some(slot), Ok(year)) = (people_covariate(trial, &["age"]), year) {
        let plain = trial.model.slot_unit(slot).text() == "1";
        let scale = if plain { 1.0 } else { year };
        sheet.number("AGE", "yr", "age at the start", |person| {
            person.cohort.cohort.slots[slot][person.patient] / scale
        });
        sheet.text("AGEU", "unit of AGE", |_| "YEARS".to_owned());
    }
}

/// Strata of the randomisation, and subgroups.
fn divided(
    trial: &Trial,
    result: &TrialResult,
    people: &[Person<'_>],
    sheet: &mut Sheet<'_, Person<'_>>,
) {
    let of_cohort: Vec<Divided> = result
        .cohorts
        .iter()
        .map(|cohort| Divided {
            strata: strata(trial, &cohort.cohort),
            groups: trial
                .subgroups
                .iter()
                .map(|subgroups| group_of(trial, subgroups, &cohort.cohort))
                .collect(),
        })
        .collect();
    let of = |person: &Person<'_>| {
        let at = result
            .cohorts
            .iter()
            .position(|cohort| std::ptr::eq(cohort, person.cohort));
        at.and_then(|at| of_cohort.get(at))
    };
    debug_assert!(people.iter().all(|person| of(person).is_some()));
    let stratum = |person: &Person<'_>| of(person).map_or(0, |known| known.strata[person.patient]);
    let splits = &trial.allocation.strata;
    if !splits.is_empty() {
        sheet.text("STRATAR", "stratum of the randomisation", |person| {
            let bits = stratum(person);
            let parts = splits.iter().enumerate().map(|(k, split)| {
                let holds = if bits >> k & 1 == 1 { "yes" } else { "no" };
                format!("{}: {holds}", split.text)
            });
            parts.collect::<Vec<_>>().join("; ")
        });
    }
    for (k, split) in splits.iter().enumerate() {
        let what = format!("stratum: {}", split.text);
        sheet.text(format!("STRAT{}R", k + 1), what, |person| {
            yes_no(stratum(person) >> k & 1 == 1)
        });
    }
    for (g, subgroups) in trial.subgroups.iter().enumerate() {
        sheet.text(format!("SUBGR{}", g + 1), &subgroups.title, |person| {
            let group = of(person).and_then(|known| known.groups[g][person.patient]);
            group.map_or_else(String::new, |group| subgroups.groups[group].0.clone())
        });
    }
}
