//! Waterfall plots: the best change of every patient, sorted, beside the response rate.
//!
//! A waterfall alone misleads: it shows sizes of change without saying how many patients
//! responded. The rate and its interval are therefore part of the data that a waterfall needs.

use crate::statistics::Estimate;

use super::axis::Axis;
use super::figure::Figure;
use super::panel::Panel;
use super::style::{Colour, Dash, Marker, Style};
use super::text::{fixed, percent_text, signed_percent};
use super::thin::{ascending, evenly_spaced};
use super::{PlotError, Svg};

/// Bars drawn at most, over all arms.
const BARS: usize = 200;

/// Best response of a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BestResponse {
    /// Complete response.
    Complete,
    /// Partial response.
    Partial,
    /// Stable disease.
    Stable,
    /// Progressive disease.
    Progressive,
    /// Not evaluable.
    NotEvaluable,
}

impl BestResponse {
    /// All of them, best first.
    pub const ALL: [Self; 5] = [
        Self::Complete,
        Self::Partial,
        Self::Stable,
        Self::Progressive,
        Self::NotEvaluable,
    ];

    /// Name in full.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete response",
            Self::Partial => "partial response",
            Self::Stable => "stable disease",
            Self::Progressive => "progressive disease",
            Self::NotEvaluable => "not evaluable",
        }
    }

    fn colour(self) -> Colour {
        match self {
            Self::Complete => Colour::Blue,
            Self::Partial => Colour::Sky,
            Self::Stable => Colour::Grey,
            Self::Progressive => Colour::Vermilion,
            Self::NotEvaluable => Colour::Ink,
        }
    }
}

/// Best change of one patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestChange {
    /// Change from baseline as a fraction: -0.3 is a decrease by 30 %. NaN if never measured
    /// again: such a patient has no bar and is counted in the note.
    pub change: f64,
    /// Best response, which colours the bar; `None` where the endpoint has no categories: then
    /// the arm does.
    pub response: Option<BestResponse>,
}

/// A response rate: what stands beside a waterfall.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseRate {
    /// What it is, such as "Objective response" or "PSA50".
    pub name: String,
    /// Patients with a response.
    pub responders: usize,
    /// Patients in the denominator.
    pub patients: usize,
    /// The rate as a fraction, with its interval.
    pub rate: Estimate,
}

/// One arm of a waterfall.
#[derive(Debug, Clone, PartialEq)]
pub struct WaterfallArm {
    /// Name of the arm.
    pub name: String,
    /// Every patient, in any order.
    pub patients: Vec<BestChange>,
    /// The response rate of the arm.
    pub rate: ResponseRate,
}

/// Best changes by arm, each arm in a panel with its response rate beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Waterfall {
    title: String,
    label: String,
    arms: Vec<WaterfallArm>,
    references: Vec<f64>,
    cap: f64,
    description: String,
}

impl Waterfall {
    /// Sizes of tumours: reference lines at -30 % and +20 % (RECIST 1.1), bars beyond +100 % cut
    /// and marked.
    pub fn new(title: impl Into<String>, arms: Vec<WaterfallArm>) -> Self {
        Self {
            title: title.into(),
            label: "Best change from baseline (%)".to_owned(),
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

    /// Reference lines, as fractions; for PSA50 for example -0.5 alone.
    pub fn references(mut self, references: &[f64]) -> Self {
        self.references = references.to_vec();
        self
    }

    /// Bars above this fraction are cut and marked.
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

    /// Draws the figure, 740 wide. Its note says how many bars were left out and why.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without arms.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.arms.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "arm",
            });
        }
        let most = (BARS / self.arms.len()).max(20);
        let changes = self.arms.iter().flat_map(|arm| &arm.patients);
        let changes = || changes.clone().map(|patient| patient.change);
        let highest = changes().filter(|v| !v.is_nan()).fold(0.25, f64::max);
        let top = (highest.min(self.cap) / 0.25 - 1e-9).ceil() * 0.25;
        let panels = (0..self.arms.len()).map(|arm| self.panel(arm, most, top));
        let height = match self.arms.len() {
            1 => 330.0,
            2 => 230.0,
            3 | 4 => 185.0,
            _ => 150.0,
        };
        let beside = self.arms.iter().map(|arm| rate_lines(&arm.rate)).collect();
        let description = if self.description.is_empty() {
            self.words()
        } else {
            self.description.clone()
        };
        let figure = Figure::grid(&self.title, panels.collect(), 1)
            .panel_size(540.0, height)
            .font(12.5)
            .beside(180.0, beside)
            .description(description);
        Ok(figure.render()?.noted(&self.note(most)))
    }

    fn panel(&self, index: usize, most: usize, top: f64) -> Panel {
        let arm = &self.arms[index];
        let changes: Vec<f64> = arm.patients.iter().map(|patient| patient.change).collect();
        let mut order = ascending(&changes);
        order.reverse();
        let drawn: Vec<&BestChange> = evenly_spaced(order.len(), most)
            .into_iter()
            .map(|at| &arm.patients[order[at]])
            .collect();
        let count = drawn.len().max(1) as f64;
        let gap = if drawn.len() > 90 { 0.0 } else { 0.08 };
        let mut panel = Panel::new(&arm.name)
            .note(format!("n = {}", fixed(arm.patients.len() as f64, 0)))
            .x(Axis::new("Patients, sorted by change")
                .range(0.0, count)
                .ticks(Vec::new()))
            .y(Axis::new(&self.label).range(-1.0, top).every(0.5).percent());
        let mut groups = vec![None];
        groups.extend(BestResponse::ALL.map(Some));
        for group in groups {
            let members = drawn.iter().enumerate();
            let members = members.filter(|(_, patient)| patient.response == group);
            let bars: Vec<[f64; 4]> = members
                .map(|(at, patient)| {
                    // No change at all is still a patient: a sliver.
                    let value = patient.change.clamp(-1.0, top);
                    let value = if value.abs() < 0.006 { 0.006 } else { value };
                    let at = at as f64;
                    [at + gap, at + 1.0 - gap, value.min(0.0), value.max(0.0)]
                })
                .collect();
            let (name, colour) = group.map_or(("", Style::series(index).colour), |group| {
                (group.name(), group.colour())
            });
            // Also without bars, so that the legend is the same for every arm.
            let patients = || self.arms.iter().flat_map(|arm| &arm.patients);
            if patients().any(|p| p.response == group && !p.change.is_nan()) {
                panel = panel.blocks(name, &bars, Style::default().colour(colour));
            }
        }
        let above = drawn.iter().enumerate();
        let above: Vec<f64> = above
            .filter(|(_, patient)| patient.change > top)
            .map(|(at, _)| at as f64 + 0.5)
            .collect();
        if !above.is_empty() {
            let style = Style::ink().marker(Marker::Triangle, 3.2);
            let label = format!("beyond {}", signed_percent(top));
            panel = panel.points(&label, &above, &vec![top; above.len()], style);
        }
        panel = panel.level("", 0.0, Style::ink().width(1.0));
        for &reference in &self.references {
            let style = Style::ink().width(1.0).dash(Dash::Dashed).opacity(0.7);
            panel = panel.level("", reference, style);
            let text = vec![signed_percent(reference)];
            panel = panel.labels_right(&[count], &[reference], text);
        }
        panel
    }

    fn note(&self, most: usize) -> String {
        let measured = |arm: &&WaterfallArm| {
            let patients = arm.patients.iter();
            patients.filter(|patient| !patient.change.is_nan()).count()
        };
        let total: usize = self.arms.iter().map(|arm| measured(&arm)).sum();
        let all: usize = self.arms.iter().map(|arm| arm.patients.len()).sum();
        let drawn: usize = self.arms.iter().map(|arm| measured(&arm).min(most)).sum();
        let mut note = String::new();
        if drawn < total {
            note = format!(
                "{} of {} patients are drawn, evenly spaced in rank within each arm; the rates count everybody.",
                fixed(drawn as f64, 0),
                fixed(total as f64, 0)
            );
        }
        if total < all {
            let missing = all - total;
            let (patients, have, are) = match missing {
                1 => ("patient", "has", "is"),
                _ => ("patients", "have", "are"),
            };
            let space = if note.is_empty() { "" } else { " " };
            note.push_str(&format!(
                "{space}{} {patients} without a measurement after baseline {have} no bar and {are} counted in the rate as stated there.",
                fixed(missing as f64, 0)
            ));
        }
        note
    }

    fn words(&self) -> String {
        let arms = self
            .arms
            .iter()
            .map(|arm| format!("{}: {}", arm.name, rate_lines(&arm.rate).join(", ")));
        let arms: Vec<String> = arms.collect();
        format!(
            "One bar per patient, sorted by change. {}.",
            arms.join("; ")
        )
    }
}

/// The rate in words, the number first.
fn rate_lines(rate: &ResponseRate) -> Vec<String> {
    let interval = &rate.rate;
    vec![
        format!("{} {}", rate.name, percent_text(interval.value, 1)),
        format!(
            "{} CI {} to {}",
            percent_text(interval.level, 0),
            fixed(100.0 * interval.low, 1),
            percent_text(interval.high, 1)
        ),
        format!(
            "{} of {} patients",
            fixed(rate.responders as f64, 0),
            fixed(rate.patients as f64, 0)
        ),
    ]
}
