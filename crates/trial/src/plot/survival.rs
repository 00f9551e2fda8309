//! Kaplan-Meier curves with confidence bands, censoring ticks and the numbers at risk.

use crate::statistics::{Band, KaplanMeier};

use super::axis::Axis;
use super::figure::Figure;
use super::panel::{Corner, Panel, RiskRow};
use super::style::{Dash, Style};
use super::text::fixed;
use super::ticks::nice_step;
use super::{PlotError, Svg};

/// Survival curves of one or more groups on one time axis.
#[derive(Debug, Clone)]
pub struct SurvivalFigure<'a> {
    title: String,
    time_label: String,
    outcome_label: String,
    curves: Vec<(&'a KaplanMeier, Style)>,
    level: f64,
    band: Band,
    horizon: Option<f64>,
    every: Option<f64>,
    inset: Vec<String>,
    median_line: bool,
    bands: bool,
    description: String,
}

impl<'a> SurvivalFigure<'a> {
    /// `title` is announced by screen readers. `time_label` names the unit of time;
    /// `outcome_label` what the curve is the share of, for example "Without progression".
    pub fn new(
        title: impl Into<String>,
        time_label: impl Into<String>,
        outcome_label: impl Into<String>,
    ) -> Self {
        Self {
            title: title.into(),
            time_label: time_label.into(),
            outcome_label: outcome_label.into(),
            curves: Vec::new(),
            level: 0.95,
            band: Band::LogLog,
            horizon: None,
            every: None,
            inset: Vec::new(),
            median_line: true,
            bands: true,
            description: String::new(),
        }
    }

    /// Adds a group; its name becomes the legend entry and the row of numbers at risk.
    pub fn curve(self, curve: &'a KaplanMeier) -> Self {
        let style = Style::series(self.curves.len());
        self.styled_curve(curve, style)
    }

    /// Adds a group with its own style.
    pub fn styled_curve(mut self, curve: &'a KaplanMeier, style: Style) -> Self {
        self.curves.push((curve, style.width(2.0)));
        self
    }

    /// Confidence level and band; 95 % log-log unless set.
    pub fn band(mut self, band: Band, level: f64) -> Self {
        self.band = band;
        self.level = level;
        self
    }

    /// Ends the time axis here.
    pub fn until(mut self, horizon: f64) -> Self {
        self.horizon = Some(horizon);
        self
    }

    /// Time between ticks and between numbers at risk, for example 12 months.
    pub fn every(mut self, step: f64) -> Self {
        self.every = (step > 0.0 && step.is_finite()).then_some(step);
        self
    }

    /// Lines such as the hazard ratio, in a corner free of curves and bands, or above the curves
    /// if there is none.
    pub fn inset(mut self, lines: Vec<String>) -> Self {
        self.inset = lines;
        self
    }

    /// Leaves out the line at 50 %.
    pub fn without_median_line(mut self) -> Self {
        self.median_line = false;
        self
    }

    /// Leaves out the confidence bands, for many curves.
    pub fn without_bands(mut self) -> Self {
        self.bands = false;
        self
    }

    /// A longer description for screen readers.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The panel, for use in a larger figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without curves.
    pub fn panel(&self) -> Result<Panel, PlotError> {
        let longest = self
            .curves
            .iter()
            .map(|(curve, _)| curve.last_time())
            .fold(0.0, f64::max);
        if self.curves.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "curve",
            });
        }
        let step = self
            .every
            .unwrap_or_else(|| nice_step(longest.max(1e-9), 7));
        let horizon = self
            .horizon
            .unwrap_or_else(|| (longest / step - 1e-9).ceil().max(1.0) * step);
        let mut panel = Panel::new("")
            .x(Axis::new(&self.time_label).range(0.0, horizon).every(step))
            .y(Axis::new(&self.outcome_label)
                .range(0.0, 1.0)
                .every(0.25)
                .percent());
        if self.median_line {
            let style = Style::ink().width(1.0).dash(Dash::Dotted).opacity(0.55);
            panel = panel.level("", 0.5, style);
        }
        for (curve, style) in self.curves.iter().filter(|_| self.bands) {
            // A level outside (0, 1) leaves the band out: the figure shows what is defined.
            let limits = curve.band(self.band, self.level).unwrap_or_default();
            let start = std::iter::once((0.0, 1.0));
            let (x, low): (Vec<f64>, Vec<f64>) = start
                .clone()
                .chain(
                    curve
                        .steps()
                        .iter()
                        .zip(&limits)
                        .map(|(step, limit)| (step.time, limit.0)),
                )
                .unzip();
            let high: Vec<f64> = std::iter::once(1.0)
                .chain(limits.iter().map(|limit| limit.1))
                .collect();
            panel = panel.step_ribbon("", &x, &low, &high, style.opacity(0.16));
        }
        for (curve, style) in &self.curves {
            let (x, y): (Vec<f64>, Vec<f64>) = std::iter::once((0.0, 1.0))
                .chain(curve.steps().iter().map(|step| (step.time, step.survival)))
                .unzip();
            panel = panel.step(curve.name(), &x, &y, *style);
            let (x, y): (Vec<f64>, Vec<f64>) = curve
                .steps()
                .iter()
                .filter(|step| step.censored > 0)
                .map(|step| (step.time, step.survival))
                .unzip();
            panel = panel.censorings("", &x, &y, *style);
        }
        if !self.inset.is_empty() {
            panel = panel.inset(Corner::TopRight, self.inset.clone());
        }
        let times = || {
            let count = ((horizon / step + 1e-9).floor() as usize).min(60);
            (0..=count).map(move |index| index as f64 * step)
        };
        let rows = self.curves.iter().map(|(curve, style)| RiskRow {
            label: curve.name().to_owned(),
            style: *style,
            cells: times()
                .map(|time| {
                    // At risk just before this time; censored by then are the rest without event.
                    let at_risk = curve.at_risk(time);
                    let before = curve.steps().iter().filter(|step| step.time < time);
                    let censored: usize = before.map(|step| step.censored).sum();
                    (
                        time,
                        format!(
                            "{} ({})",
                            fixed(at_risk as f64, 0),
                            fixed(censored as f64, 0)
                        ),
                    )
                })
                .collect(),
        });
        Ok(panel.table("At risk (censored so far)", rows.collect()))
    }

    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without curves, `Range` for an unusable horizon.
    pub fn render(&self) -> Result<Svg, PlotError> {
        let figure = Figure::new(self.title.clone(), self.panel()?);
        let svg = figure.description(self.description.clone()).render()?;
        let censored = |curve: &KaplanMeier| {
            let steps = curve.steps().iter();
            steps.filter(|step| step.censored > 0).count()
        };
        let dense = self.curves.iter().any(|(curve, _)| censored(curve) > 100);
        Ok(svg.noted(if dense {
            "Ticks mark censored patients; where they lie close, some are left out."
        } else {
            "Ticks mark censored patients."
        }))
    }
}
