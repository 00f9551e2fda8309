//! Spider plots: the change of every patient over time.

use super::axis::Axis;
use super::figure::Figure;
use super::panel::Panel;
use super::style::{Dash, Marker, Style};
use super::text::{fixed, signed_percent};
use super::thin::{ascending, evenly_spaced};
use super::{PlotError, Svg};

/// Lines drawn at most in each arm.
const LINES: usize = 60;

/// The course of one patient.
#[derive(Debug, Clone, PartialEq)]
pub struct SpiderLine {
    /// Times, in the figure's unit.
    pub times: Vec<f64>,
    /// Change from baseline as a fraction at each time.
    pub changes: Vec<f64>,
}

/// Courses of patients, one panel per arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Spider {
    title: String,
    time_label: String,
    label: String,
    arms: Vec<(String, Vec<SpiderLine>)>,
    references: Vec<f64>,
    cap: f64,
    description: String,
}

impl Spider {
    /// `time_label` names the unit of time; each arm has a name and its patients. Reference lines
    /// at -30 % and +20 % unless set; the axis ends at +100 % at the latest.
    pub fn new(
        title: impl Into<String>,
        time_label: impl Into<String>,
        arms: Vec<(String, Vec<SpiderLine>)>,
    ) -> Self {
        Self {
            title: title.into(),
            time_label: time_label.into(),
            label: "Change from baseline (%)".to_owned(),
            arms,
            references: vec![-0.3, 0.2],
            cap: 1.0,
            description: String::new(),
        }
    }

    /// Label of the vertical axis.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Reference lines, as fractions.
    pub fn references(mut self, references: &[f64]) -> Self {
        self.references = references.to_vec();
        self
    }

    /// The axis ends at this fraction at the latest; lines leave the panel there.
    pub fn cap(mut self, cap: f64) -> Self {
        if cap.is_finite() && cap > 0.0 {
            self.cap = cap;
        }
        self
    }

    /// A longer description for screen readers.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Draws the figure. Beyond 60 patients in an arm lines are chosen evenly by their last
    /// change, which the note says.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without arms, `LengthsDiffer`.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.arms.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "arm",
            });
        }
        let lines = || self.arms.iter().flat_map(|(_, lines)| lines);
        for line in lines() {
            if line.times.len() != line.changes.len() {
                return Err(PlotError::LengthsDiffer {
                    plot: self.title.clone(),
                    series: "patient".to_owned(),
                    first: line.times.len(),
                    second: line.changes.len(),
                });
            }
        }
        let finite = |values: &mut dyn Iterator<Item = f64>| {
            values.filter(|v| v.is_finite()).fold(0.0, f64::max)
        };
        let last = finite(&mut lines().flat_map(|line| line.times.iter().copied()));
        let highest = finite(&mut lines().flat_map(|line| line.changes.iter().copied()));
        let top = (highest.clamp(0.25, self.cap) / 0.25 - 1e-9).ceil() * 0.25;
        let mut leaving = false;
        let (mut drawn, mut total) = (0, 0);
        let panels = self.arms.iter().enumerate().map(|(arm, (name, lines))| {
            let count = fixed(lines.len() as f64, 0);
            let mut panel = Panel::new(name)
                .note(format!("n = {count}"))
                .x(Axis::new(&self.time_label)
                    .include(0.0)
                    .include(last.max(1e-9)))
                .y(Axis::new(&self.label).range(-1.0, top).every(0.5).percent());
            for &reference in &self.references {
                let style = Style::ink().width(1.0).dash(Dash::Dashed).opacity(0.7);
                panel = panel.level("", reference, style);
            }
            let ends: Vec<f64> = lines
                .iter()
                .map(|line| line.changes.last().copied().unwrap_or(0.0))
                .collect();
            let order = ascending(&ends);
            let chosen = evenly_spaced(order.len(), LINES);
            drawn += chosen.len();
            total += lines.len();
            let opacity = if chosen.len() > 25 { 0.5 } else { 0.85 };
            let style = Style::series(arm)
                .dash(Dash::Solid)
                .width(1.2)
                .marker(Marker::Circle, 1.6)
                .opacity(opacity)
                .with_marker();
            for at in chosen {
                let line = &lines[order[at]];
                leaving |= line.changes.iter().any(|&change| change > top);
                panel = panel.line("", &line.times, &line.changes, style);
            }
            panel
        });
        let panels: Vec<Panel> = panels.collect();
        let figure = if let [panel] = panels.as_slice() {
            Figure::new(&self.title, panel.clone())
        } else {
            Figure::grid(&self.title, panels, 2).panel_size(330.0, 240.0)
        };
        let references: Vec<String> = self.references.iter().map(|r| signed_percent(*r)).collect();
        let mut notes = Vec::new();
        if !references.is_empty() {
            notes.push(format!("Dashed: {}.", references.join(" and ")));
        }
        if drawn < total {
            notes.push(format!(
                "{} of {} patients are drawn, evenly spaced by their last change within each arm.",
                fixed(drawn as f64, 0),
                fixed(total as f64, 0)
            ));
        }
        if leaving {
            notes.push(format!("Lines leave the panel at {}.", signed_percent(top)));
        }
        let figure = figure.description(self.description.clone());
        Ok(figure.render()?.noted(&notes.join(" ")))
    }
}
