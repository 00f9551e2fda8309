//! The table of toxicity by grade.

use crate::plot::Toxicity;
use crate::statistics::{StatisticsError, clopper_pearson};

use super::format;
use super::table::{Cell, Column, Table};

/// Patients by worst grade of each toxicity and arm: number, percentage and the interval of
/// Clopper and Pearson at `level`. Grades that nobody had are left out; grade 3 or worse is
/// always there, and grades from 3 on are set in bold.
///
/// # Errors
/// [`StatisticsError`] for a level outside (0, 1).
pub fn toxicity_table(toxicity: &Toxicity, level: f64) -> Result<Table, StatisticsError> {
    let arms = toxicity.arms.len();
    let percent = format::percent(level, 0);
    let mut table = Table::new(format!("{}: patients by worst grade", toxicity.title))
        .column(Column::text("Toxicity and grade"));
    for (name, patients) in &toxicity.arms {
        let unit = format!(
            "n of {} (%; {percent} CI)",
            format::number(*patients as f64, 0)
        );
        table = table.column(Column::number(name, unit));
    }
    for row in &toxicity.rows {
        table = table.group(&row.name);
        let exactly =
            |arm: usize, grade: usize| row.at_least(arm, grade) - row.at_least(arm, grade + 1);
        let mut lines: Vec<(String, Vec<usize>, bool)> = Vec::new();
        for grade in 1..=5 {
            let counts: Vec<usize> = (0..arms).map(|arm| exactly(arm, grade)).collect();
            if counts.iter().any(|count| *count > 0) {
                lines.push((format!("Grade {grade}"), counts, grade >= 3));
            }
        }
        for (name, grade) in [("Any grade", 1), ("Grade 3 or worse", 3)] {
            let counts = (0..arms).map(|arm| row.at_least(arm, grade));
            lines.push((name.to_owned(), counts.collect(), grade >= 3));
        }
        for (name, counts, severe) in lines {
            let mark = |cell: Cell| if severe { cell.strong() } else { cell };
            let mut cells = vec![mark(Cell::text(name))];
            for (count, (_, patients)) in counts.iter().zip(&toxicity.arms) {
                cells.push(mark(share(*count, *patients, level)?));
            }
            table = table.row(cells);
        }
    }
    Ok(table.note("Each patient counts once per toxicity, with the worst grade. Intervals: Clopper and Pearson."))
}

/// "12 (10.0; 5.3 to 16.8)".
fn share(count: usize, patients: usize, level: f64) -> Result<Cell, StatisticsError> {
    if patients == 0 {
        return Ok(Cell::missing());
    }
    let estimate = clopper_pearson(count as u64, patients as u64, level)?;
    let percent = |fraction: f64| format::number(100.0 * fraction, 1);
    Ok(Cell::text(format!(
        "{} ({}; {} to {})",
        format::number(count as f64, 0),
        percent(estimate.value),
        percent(estimate.low),
        percent(estimate.high)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::ToxicityRow;

    #[test]
    fn grades_add_up_and_severe_ones_stand_out() {
        let row = ToxicityRow {
            name: "Neutropenia".to_owned(),
            grades: vec![[2, 0, 1, 1, 0], [0, 0, 0, 0, 0]],
        };
        let arms = vec![("A".to_owned(), 10), ("B".to_owned(), 10)];
        let toxicity = Toxicity::new("Toxicity", arms, vec![row]).unwrap();
        let html = toxicity_table(&toxicity, 0.95).unwrap().html(1);
        // Clopper and Pearson: 4 of 10 is 12.2 to 73.8 %, 2 of 10 is 2.5 to 55.6 %, 0 of 10 is
        // 0 to 30.8 % (Newcombe 1998, checked with scipy.stats.binomtest).
        for (row, first, second) in [
            (
                "Any grade",
                "4 (40.0; 12.2 to 73.8)",
                "0 (0.0; 0.0 to 30.8)",
            ),
            (
                "Grade 3 or worse",
                "2 (20.0; 2.5 to 55.6)",
                "0 (0.0; 0.0 to 30.8)",
            ),
        ] {
            let line = html.lines().find(|line| line.contains(row)).unwrap();
            assert!(line.contains(first) && line.contains(second), "{line}");
            assert_eq!(
                line.contains("class=\"n strong\""),
                row != "Any grade",
                "{line}"
            );
        }
        assert!(!html.contains("Grade 2<") && html.contains("Grade 4<"));
        let crowded = ToxicityRow {
            name: "Anaemia".to_owned(),
            grades: vec![[9, 2, 0, 0, 0]],
        };
        assert!(Toxicity::new("Toxicity", vec![("A".to_owned(), 10)], vec![crowded]).is_err());
    }
}
