//! Cumulative incidence with competing risks: as curves by arm, or stacked.

use super::axis::Axis;
use super::figure::Figure;
use super::panel::{Panel, RiskRow};
use super::style::{Colour, Dash, Style};
use super::{PlotError, Svg};

/// Cumulative incidence of one cause: a step curve from (0, 0).
#[derive(Debug, Clone, PartialEq)]
pub struct IncidenceCurve {
    /// The cause, such as "stopped for toxicity".
    pub cause: String,
    /// Times of its steps, ascending.
    pub times: Vec<f64>,
    /// Incidence from each time on, as a fraction.
    pub incidence: Vec<f64>,
    /// Lower and upper limits of the pointwise band; may be empty.
    pub band: Vec<(f64, f64)>,
}

/// The causes of one arm. Every arm has the same causes in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidenceArm {
    /// Name of the arm.
    pub name: String,
    /// One curve per cause.
    pub causes: Vec<IncidenceCurve>,
    /// Patients at risk at some times; may be empty.
    pub at_risk: Vec<(f64, usize)>,
}

/// Cumulative incidence of competing causes.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidenceFigure {
    title: String,
    time_label: String,
    arms: Vec<IncidenceArm>,
    horizon: Option<f64>,
    every: Option<f64>,
    stacked: bool,
    description: String,
}

impl IncidenceFigure {
    /// One panel per cause with a curve per arm. `time_label` names the unit of time.
    pub fn lines(
        title: impl Into<String>,
        time_label: impl Into<String>,
        arms: Vec<IncidenceArm>,
    ) -> Self {
        Self {
            title: title.into(),
            time_label: time_label.into(),
            arms,
            horizon: None,
            every: None,
            stacked: false,
            description: String::new(),
        }
    }

    /// One panel per arm with the causes on top of one another; the rest is free of any.
    pub fn stacked(
        title: impl Into<String>,
        time_label: impl Into<String>,
        arms: Vec<IncidenceArm>,
    ) -> Self {
        Self {
            stacked: true,
            ..Self::lines(title, time_label, arms)
        }
    }

    /// Ends the time axis here.
    pub fn until(mut self, horizon: f64) -> Self {
        self.horizon = Some(horizon);
        self
    }

    /// Time between ticks.
    pub fn every(mut self, step: f64) -> Self {
        self.every = Some(step);
        self
    }

    /// A longer description for screen readers.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without arms, `LengthsDiffer`, `Range` for an unusable horizon.
    pub fn render(&self) -> Result<Svg, PlotError> {
        let causes = self.arms.first().map_or(0, |arm| arm.causes.len());
        if causes == 0 {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "arm with a cause",
            });
        }
        for arm in &self.arms {
            for curve in &arm.causes {
                let banded = curve.band.is_empty() || curve.band.len() == curve.times.len();
                if curve.times.len() != curve.incidence.len() || !banded {
                    return Err(PlotError::LengthsDiffer {
                        plot: self.title.clone(),
                        series: curve.cause.clone(),
                        first: curve.times.len(),
                        second: curve.incidence.len().min(curve.band.len()),
                    });
                }
            }
        }
        let curves = self.arms.iter().flat_map(|arm| &arm.causes);
        let last = curves.flat_map(|curve| curve.times.last().copied());
        let last = last.chain(
            self.arms
                .iter()
                .flat_map(|arm| arm.at_risk.last().map(|r| r.0)),
        );
        let last = last.filter(|time| time.is_finite()).fold(0.0, f64::max);
        let horizon = self.horizon.unwrap_or(if last > 0.0 { last } else { 1.0 });
        let panels: Vec<Panel> = if self.stacked {
            self.arms
                .iter()
                .map(|arm| self.stack(arm, horizon))
                .collect()
        } else {
            (0..causes)
                .map(|cause| self.compare(cause, horizon))
                .collect()
        };
        let figure = if let [panel] = panels.as_slice() {
            Figure::new(&self.title, panel.clone())
        } else {
            Figure::grid(&self.title, panels, 2).panel_size(350.0, 250.0)
        };
        figure.description(self.description.clone()).render()
    }

    /// `top`: end of the vertical axis.
    fn axes(&self, title: &str, horizon: f64, top: f64) -> Panel {
        let x = Axis::new(&self.time_label).range(0.0, horizon);
        let x = match self.every {
            Some(step) => x.every(step),
            None => x,
        };
        let step = if top > 0.5 { 0.25 } else { 0.1 };
        let y = Axis::new("Cumulative incidence (%)").range(0.0, top);
        Panel::new(title).x(x).y(y.every(step).percent())
    }

    /// The highest value of any curve or band, rounded up.
    fn top(&self) -> f64 {
        let curves = self.arms.iter().flat_map(|arm| &arm.causes);
        let values = curves.flat_map(|curve| {
            let bands = curve.band.iter().map(|band| band.1);
            curve.incidence.iter().copied().chain(bands)
        });
        let highest = values.filter(|v| v.is_finite()).fold(0.1, f64::max);
        let step = if highest > 0.5 { 0.25 } else { 0.1 };
        ((highest / step - 1e-9).ceil() * step).min(1.0)
    }

    fn compare(&self, cause: usize, horizon: f64) -> Panel {
        let title = &self.arms[0].causes[cause].cause;
        let mut panel = self.axes(title, horizon, self.top());
        let curves = || {
            let arms = self.arms.iter().enumerate();
            arms.filter_map(move |(index, arm)| Some((index, arm, arm.causes.get(cause)?)))
        };
        for (index, _, curve) in curves().filter(|(_, _, curve)| !curve.band.is_empty()) {
            let (low, high): (Vec<f64>, Vec<f64>) = curve.band.iter().copied().unzip();
            let (x, low) = from_zero(&curve.times, &low, horizon);
            let (_, high) = from_zero(&curve.times, &high, horizon);
            panel = panel.step_ribbon("", &x, &low, &high, Style::series(index).opacity(0.16));
        }
        for (index, arm, curve) in curves() {
            let (x, y) = from_zero(&curve.times, &curve.incidence, horizon);
            panel = panel.step(&arm.name, &x, &y, Style::series(index).width(2.0));
        }
        panel
    }

    fn stack(&self, arm: &IncidenceArm, horizon: f64) -> Panel {
        const COLOURS: [Colour; 6] = [
            Colour::Vermilion,
            Colour::Orange,
            Colour::Purple,
            Colour::Sky,
            Colour::Green,
            Colour::Blue,
        ];
        let mut panel = self.axes(&arm.name, horizon, 1.0);
        let mut times: Vec<f64> = arm
            .causes
            .iter()
            .flat_map(|c| c.times.iter().copied())
            .collect();
        times.extend([0.0, horizon]);
        times.retain(|time| time.is_finite());
        times.sort_by(f64::total_cmp);
        times.dedup();
        let mut below = vec![0.0; times.len()];
        for (index, curve) in arm.causes.iter().enumerate() {
            let above: Vec<f64> = times
                .iter()
                .zip(&below)
                .map(|(time, below)| {
                    let step = curve.times.partition_point(|at| at <= time);
                    below + step.checked_sub(1).map_or(0.0, |at| curve.incidence[at])
                })
                .collect();
            let style = Style::default().colour(COLOURS[index % COLOURS.len()]);
            panel = panel.step_ribbon(&curve.cause, &times, &below, &above, style.opacity(0.75));
            let line = Style::ink().width(1.0).dash(Dash::Solid).opacity(0.8);
            panel = panel.step("", &times, &above, line);
            below = above;
        }
        if arm.at_risk.is_empty() {
            return panel;
        }
        let cells = arm
            .at_risk
            .iter()
            .map(|(time, patients)| (*time, super::text::fixed(*patients as f64, 0)));
        let row = RiskRow {
            label: String::new(),
            style: Style::ink().width(0.0),
            cells: cells.collect(),
        };
        panel.table("At risk", vec![row])
    }
}

/// A step curve from zero to the horizon.
fn from_zero(times: &[f64], values: &[f64], horizon: f64) -> (Vec<f64>, Vec<f64>) {
    let steps = times.iter().copied().zip(values.iter().copied());
    let mut points: Vec<(f64, f64)> = std::iter::once((0.0, 0.0)).chain(steps).collect();
    if let Some(&(time, value)) = points.last()
        && time < horizon
    {
        points.push((horizon, value));
    }
    points.into_iter().unzip()
}
