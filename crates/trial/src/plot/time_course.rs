//! Time courses of many patients: the median with a band, by arm.

use super::axis::Axis;
use super::figure::Figure;
use super::panel::Panel;
use super::style::{Colour, Dash, Marker, Style};
use super::text::{fixed, percent_text};
use super::thin::{evenly_spaced, quantile};
use super::{PlotError, Svg};

/// The course of one arm.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeCourseArm {
    /// Name of the arm.
    pub name: String,
    /// Times, ascending.
    pub times: Vec<f64>,
    /// Median at each time.
    pub median: Vec<f64>,
    /// Lower end of the band.
    pub low: Vec<f64>,
    /// Upper end of the band.
    pub high: Vec<f64>,
}

impl TimeCourseArm {
    /// Median and the band between the quantiles `tail` and `1 - tail` (0.05: 5 to 95 %) of
    /// patients: `values[i]` are those of all patients at `times[i]`, in any order; values that
    /// are not finite (patients no longer followed) do not count, and a time without any leaves a
    /// gap.
    pub fn of_patients(
        name: impl Into<String>,
        times: &[f64],
        values: &[Vec<f64>],
        tail: f64,
    ) -> Self {
        let mut arm = Self {
            name: name.into(),
            times: times.to_vec(),
            median: Vec::new(),
            low: Vec::new(),
            high: Vec::new(),
        };
        for values in values {
            let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
            sorted.sort_by(f64::total_cmp);
            let at = |share| quantile(&sorted, share).unwrap_or(f64::NAN);
            arm.median.push(at(0.5));
            arm.low.push(at(tail));
            arm.high.push(at(1.0 - tail));
        }
        arm
    }
}

/// Courses by arm on one time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeCourse {
    title: String,
    x: Axis,
    y: Axis,
    arms: Vec<TimeCourseArm>,
    tail: f64,
    separate: bool,
    observed: Vec<(f64, f64)>,
    references: Vec<(f64, String)>,
    description: String,
}

impl TimeCourse {
    /// Axis labels should name the units; give [`Axis::log`] for concentrations. `tail` says
    /// which quantiles the bands are (0.05: 5 to 95 %).
    pub fn new(
        title: impl Into<String>,
        x: Axis,
        y: Axis,
        arms: Vec<TimeCourseArm>,
        tail: f64,
    ) -> Self {
        Self {
            title: title.into(),
            x,
            y,
            separate: arms.len() > 3,
            arms,
            tail,
            observed: Vec::new(),
            references: Vec::new(),
            description: String::new(),
        }
    }

    /// One panel per arm, as there always is for more than three arms.
    pub fn separate(mut self) -> Self {
        self.separate = true;
        self
    }

    /// Measurements to compare with: time and value.
    pub fn observed(mut self, observed: Vec<(f64, f64)>) -> Self {
        self.observed = observed;
        self
    }

    /// A reference value with its name, such as the limit of quantification or of a grade.
    pub fn reference(mut self, value: f64, name: impl Into<String>) -> Self {
        self.references.push((value, name.into()));
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
    /// [`PlotError::Empty`] without arms, `LengthsDiffer`, `Range`.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.arms.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "arm",
            });
        }
        let arms: Vec<(usize, &TimeCourseArm)> = self.arms.iter().enumerate().collect();
        let mut note = format!(
            "Lines: median; bands: {} to {} of the patients.",
            fixed(100.0 * self.tail, 0),
            percent_text(1.0 - self.tail, 0)
        );
        let most = 2000;
        if self.observed.len() > most {
            note.push_str(&format!(
                " {} of {} measurements are drawn.",
                fixed(most as f64, 0),
                fixed(self.observed.len() as f64, 0)
            ));
        }
        let figure = if self.separate && arms.len() > 1 {
            // Panels share their ranges, so that they compare.
            let covered = |axis: &Axis, values: &mut dyn Iterator<Item = f64>| {
                let values = values.filter(|v| v.is_finite());
                values.fold(axis.clone(), Axis::include)
            };
            let ys = self
                .arms
                .iter()
                .flat_map(|arm| arm.low.iter().chain(&arm.high));
            let y = covered(&self.y, &mut ys.copied());
            let times = self.arms.iter().flat_map(|arm| &arm.times);
            let x = covered(&self.x, &mut times.copied());
            let panels = arms.iter().map(|arm| {
                let panel = Panel::new(&arm.1.name).x(x.clone()).y(y.clone());
                self.layers(panel, &[*arm], most)
            });
            Figure::grid(&self.title, panels.collect(), 2).panel_size(350.0, 230.0)
        } else {
            let panel = Panel::new("").x(self.x.clone()).y(self.y.clone());
            Figure::new(&self.title, self.layers(panel, &arms, most))
        };
        let figure = figure.description(self.description.clone());
        Ok(figure.render()?.noted(&note))
    }

    fn layers(&self, mut panel: Panel, arms: &[(usize, &TimeCourseArm)], most: usize) -> Panel {
        for (index, arm) in arms {
            let style = Style::series(*index).opacity(0.22);
            panel = panel.ribbon("", &arm.times, &arm.low, &arm.high, style);
        }
        for (index, arm) in arms {
            let name = if self.separate { "" } else { arm.name.as_str() };
            panel = panel.line(
                name,
                &arm.times,
                &arm.median,
                Style::series(*index).width(2.0),
            );
        }
        if !self.observed.is_empty() {
            let chosen = evenly_spaced(self.observed.len(), most);
            let (x, y): (Vec<f64>, Vec<f64>) =
                chosen.into_iter().map(|at| self.observed[at]).unzip();
            let style = Style::default().marker(Marker::Circle, 2.0).opacity(0.6);
            panel = panel.points("measured", &x, &y, style);
        }
        for (index, (value, name)) in self.references.iter().enumerate() {
            let dash = [Dash::Dashed, Dash::Dotted, Dash::DashDot][index % 3];
            let style = Style::default()
                .colour(Colour::Ink)
                .width(1.1)
                .dash(dash)
                .opacity(0.7);
            panel = panel.level(name, *value, style);
        }
        panel
    }
}
