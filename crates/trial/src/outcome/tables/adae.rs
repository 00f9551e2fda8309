//! ADAE: adverse events.

use crate::Trial;
use crate::outcome::people::Person;
use crate::table::Table;

use super::{Sheet, flag};

/// One row per patient, arm and toxicity that reached a grade: the worst of follow-up. Patients
/// without are in ADSL only.
pub(super) fn adae(trial: &Trial, people: &[Person<'_>]) -> Table {
    let toxicities = &trial.model.toxicities;
    let of = |columns: &[Vec<f64>], person: &Person<'_>, t: usize| -> f64 {
        let column = columns.get(t);
        column
            .and_then(|column| column.get(person.k))
            .copied()
            .unwrap_or(f64::NAN)
    };
    let grade = |person: &Person<'_>, t: usize| of(&person.result.grade, person, t);
    let rows: Vec<(&Person<'_>, usize)> = people
        .iter()
        .filter(|person| person.completed())
        .flat_map(|person| (0..toxicities.len()).map(move |t| (person, t)))
        .filter(|(person, t)| grade(person, *t) >= 1.0)
        .collect();
    let mut sheet = Sheet::new("adae", &rows);
    sheet.subject(|row| row.0);
    sheet.text("AEDECOD", "toxicity of the model", |row| {
        toxicities[row.1].name.clone()
    });
    sheet.text("AETOXGR", "worst grade (CTCAE)", |row| {
        format!("{:.0}", grade(row.0, row.1))
    });
    sheet.number("ATOXGRN", "1", "worst grade (CTCAE)", |row| {
        grade(row.0, row.1).round()
    });
    sheet.number("AVAL", "", "worst value, in AVALU", |row| {
        of(&row.0.result.worst, row.0, row.1)
    });
    sheet.text("AVALU", "unit of AVAL", |row| {
        toxicities[row.1].unit.text().to_owned()
    });
    sheet.text("TRTEMFL", "after the start of treatment", |row| {
        flag(row.0.treated())
    });
    sheet.text("AOCCIFL", "the worst occurrence of the patient", |_| {
        flag(true)
    });
    sheet.table
}
