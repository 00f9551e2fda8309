//! Toxicity: worst grades by arm as stacked bars, and differences in risk beside the rates.

use crate::statistics::Estimate;

use super::axis::Axis;
use super::figure::Figure;
use super::layout::row_height;
use super::panel::Panel;
use super::style::{Colour, Dash, Style};
use super::text::{fixed, percent_text};
use super::{PlotError, Svg};

/// One toxicity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToxicityRow {
    /// Name, such as "neutropenia".
    pub name: String,
    /// For each arm: patients whose worst grade was 1, 2, 3, 4, 5 (CTCAE).
    pub grades: Vec<[usize; 5]>,
}

impl ToxicityRow {
    /// Patients of an arm with at least this grade (1 to 5).
    pub fn at_least(&self, arm: usize, grade: usize) -> usize {
        self.grades.get(arm).map_or(0, |grades| {
            grades.iter().skip(grade.saturating_sub(1)).sum()
        })
    }
}

/// Worst grade per patient of every toxicity in every arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toxicity {
    /// Announced by screen readers, and the caption of the table.
    pub title: String,
    /// Name of each arm and its patients (the denominator).
    pub arms: Vec<(String, usize)>,
    /// Toxicities, in the order to show.
    pub rows: Vec<ToxicityRow>,
}

impl Toxicity {
    /// Checked counts.
    ///
    /// # Errors
    /// [`PlotError::LengthsDiffer`] if a row has not one set of grades per arm,
    /// [`PlotError::Counts`] if more patients have a toxicity than are in the arm.
    pub fn new(
        title: impl Into<String>,
        arms: Vec<(String, usize)>,
        rows: Vec<ToxicityRow>,
    ) -> Result<Self, PlotError> {
        let title = title.into();
        for row in &rows {
            if row.grades.len() != arms.len() {
                return Err(PlotError::LengthsDiffer {
                    plot: title,
                    series: row.name.clone(),
                    first: arms.len(),
                    second: row.grades.len(),
                });
            }
            for (arm, (_, patients)) in arms.iter().enumerate() {
                let found = row.at_least(arm, 1);
                if found > *patients {
                    return Err(PlotError::Counts {
                        plot: title,
                        what: "with a toxicity",
                        expected: *patients,
                        found,
                    });
                }
            }
        }
        Ok(Self { title, arms, rows })
    }

    /// Bars of each arm in a panel, stacked by grade from 1 to 5. The numbers beside a bar are
    /// the percentages with any grade and with grade 3 or worse.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without arms or toxicities.
    pub fn figure(&self) -> Result<Svg, PlotError> {
        for (empty, missing) in [
            (self.arms.is_empty(), "arm"),
            (self.rows.is_empty(), "toxicity"),
        ] {
            if empty {
                return Err(PlotError::Empty {
                    plot: self.title.clone(),
                    missing,
                });
            }
        }
        let names: Vec<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        let worst = (1..=5).rev().find(|&grade| {
            let arms = 0..self.arms.len();
            self.rows
                .iter()
                .any(|row| arms.clone().any(|arm| row.at_least(arm, grade) > 0))
        });
        let panels = self.arms.iter().enumerate().map(|(arm, (name, patients))| {
            let share = |count: usize| count as f64 / (*patients).max(1) as f64;
            let mut panel = Panel::new(name)
                .note(format!("n = {}", fixed(*patients as f64, 0)))
                .x(Axis::new("Patients (%)")
                    .range(0.0, 1.0)
                    .every(0.25)
                    .percent())
                .y(Axis::rows("", &names));
            for grade in 1..=worst.unwrap_or(1).max(4) {
                let bars: Vec<[f64; 4]> = self
                    .rows
                    .iter()
                    .enumerate()
                    .map(|(row, toxicity)| {
                        let (from, to) = (
                            share(toxicity.at_least(arm, grade + 1)),
                            share(toxicity.at_least(arm, grade)),
                        );
                        let at = Axis::row_at(row);
                        // The worst grades lie at the axis, where lengths compare best.
                        [from, to, at - 0.34, at + 0.34]
                    })
                    .collect();
                let style = Style::default().colour(Colour::Heat(grade as u8));
                panel = panel.blocks(&format!("grade {grade}"), &bars, style);
            }
            let ends: Vec<f64> = self
                .rows
                .iter()
                .map(|row| share(row.at_least(arm, 1)))
                .collect();
            let ys: Vec<f64> = (0..names.len()).map(Axis::row_at).collect();
            let texts = self.rows.iter().map(|row| {
                format!(
                    "{} / {}",
                    fixed(100.0 * share(row.at_least(arm, 1)), 0),
                    fixed(100.0 * share(row.at_least(arm, 3)), 0)
                )
            });
            panel.labels_right(&ends, &ys, texts.collect())
        });
        let columns = if self.arms.len() == 1 { 1 } else { 2 };
        let width = if columns == 1 { 560.0 } else { 370.0 };
        let row = row_height(&names, 12.0, width).max(24.0);
        let height = self.rows.len() as f64 * row + 62.0;
        let figure = Figure::grid(&self.title, panels.collect(), columns)
            .panel_size(width, height)
            .font(12.0)
            .description("Share of patients by worst grade of each toxicity, one panel per arm.");
        Ok(figure
            .render()?
            .noted("Numbers: percentage with any grade / with grade 3 or worse."))
    }
}

/// Rates of one harm in every arm and how they differ from the first arm.
#[derive(Debug, Clone, PartialEq)]
pub struct HarmRow {
    /// Name of the harm, such as "neutropenia, grade 3 or worse".
    pub name: String,
    /// Rate in each arm, as a fraction.
    pub rates: Vec<Estimate>,
    /// Rate of each further arm minus that of the first, as a fraction; `None` where it cannot be
    /// estimated.
    pub differences: Vec<Option<Estimate>>,
}

/// Rates by arm as points beside the differences in risk with their intervals (Amit, Heiberger
/// and Lane 2008).
#[derive(Debug, Clone, PartialEq)]
pub struct HarmFigure {
    title: String,
    arms: Vec<String>,
    rows: Vec<HarmRow>,
}

impl HarmFigure {
    /// The first arm is the one compared with.
    pub fn new(title: impl Into<String>, arms: Vec<String>, rows: Vec<HarmRow>) -> Self {
        Self {
            title: title.into(),
            arms,
            rows,
        }
    }

    /// Draws the figure, 740 wide.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without rows.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.rows.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "harm",
            });
        }
        let names: Vec<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        let blank = vec![""; names.len()];
        let arms = self.arms.len().max(1);
        // Arms lie one below the other inside a row.
        let at = |row: usize, arm: usize| {
            let spread = 0.62 / arms as f64;
            Axis::row_at(row) + spread * (0.5 * (arms as f64 - 1.0) - arm as f64)
        };
        let mut rates = Panel::new("Rate")
            .x(Axis::new("Patients (%)").include(0.0).percent())
            .y(Axis::rows("", &names));
        let mut differences = Panel::new("Difference in risk")
            .x(Axis::new("Percentage points")
                .include(-0.05)
                .include(0.05)
                .percent())
            .y(Axis::rows("", &blank))
            .moment("", 0.0, Style::ink().dash(Dash::Dashed).opacity(0.7));
        for row in 0..names.len().saturating_sub(1) {
            let style = Style::ink().width(1.0).opacity(0.12);
            let between = Axis::row_at(row) - 0.5;
            rates = rates.level("", between, style);
            differences = differences.level("", between, style);
        }
        for (arm, name) in self.arms.iter().enumerate() {
            let style = Style::series(arm);
            let style = style.marker(style.marker, 3.2).dash(Dash::Solid).width(1.4);
            let rows = || self.rows.iter().enumerate();
            let found =
                rows().filter_map(|(row, harm)| Some((at(row, arm), *harm.rates.get(arm)?)));
            rates = points(rates, name, found.collect(), style);
            if let Some(other) = arm.checked_sub(1) {
                let found = rows().filter_map(|(row, harm)| {
                    Some((at(row, arm), (*harm.differences.get(other)?)?))
                });
                differences = points(differences, "", found.collect(), style);
            }
        }
        let row = row_height(&names, 12.0, 372.0).max(14.0 + 11.0 * arms as f64);
        let height = self.rows.len() as f64 * row + 66.0;
        let level = self
            .rows
            .iter()
            .flat_map(|row| &row.rates)
            .map(|rate| rate.level)
            .next();
        // A single arm has nothing to differ from.
        let panels = if arms > 1 {
            vec![rates, differences]
        } else {
            vec![rates]
        };
        let mut figure = Figure::grid(&self.title, panels, 2)
            .panel_size(372.0, height)
            .font(12.0);
        let mut note = String::new();
        if let (Some(first), true) = (self.arms.first(), arms > 1) {
            note = format!(
                "Differences are against {first}; right of zero the harm is more common than there."
            );
            figure = figure.description(note.clone());
        }
        if let Some(level) = level {
            note.push_str(&format!(" Bars: {} intervals.", percent_text(level, 0)));
        }
        Ok(figure.render()?.noted(note.trim()))
    }
}

/// Points with horizontal intervals.
fn points(panel: Panel, name: &str, found: Vec<(f64, Estimate)>, style: Style) -> Panel {
    let column = |value: fn(&Estimate) -> f64| -> Vec<f64> {
        found.iter().map(|(_, estimate)| value(estimate)).collect()
    };
    let y: Vec<f64> = found.iter().map(|(y, _)| *y).collect();
    panel
        .intervals("", &y, &column(|e| e.low), &column(|e| e.high), style)
        .points(name, &column(|e| e.value), &y, style)
}
