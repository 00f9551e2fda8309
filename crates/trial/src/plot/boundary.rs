//! Boundaries of a group-sequential design.

use super::axis::Axis;
use super::figure::Figure;
use super::panel::{Corner, Panel};
use super::style::{Colour, Dash, Marker, Style};
use super::text::fixed;
use super::{PlotError, Svg};

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Share of the planned information, 0 to 1.
    pub information: f64,
    /// Standardised statistic from which on the null hypothesis is rejected.
    pub efficacy: f64,
    /// Statistic below which the trial stops for futility, if it can.
    pub futility: Option<f64>,
}

/// Statistics seen at looks, such as those of one replicate trial.
#[derive(Debug, Clone, PartialEq)]
pub struct LookPath {
    /// Name in the legend; may be empty.
    pub name: String,
    /// Statistic at each look until the trial stopped.
    pub z: Vec<f64>,
}

/// Boundaries on the z scale against information.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundaryFigure {
    title: String,
    /// Name of each design and its looks.
    designs: Vec<(String, Vec<Look>)>,
    two_sided: bool,
    paths: Vec<LookPath>,
    inset: Vec<String>,
    description: String,
}

impl BoundaryFigure {
    /// Designs to draw, each with a name such as "O'Brien-Fleming". `two_sided` mirrors the
    /// efficacy boundary.
    pub fn new(
        title: impl Into<String>,
        designs: Vec<(String, Vec<Look>)>,
        two_sided: bool,
    ) -> Self {
        Self {
            title: title.into(),
            designs,
            two_sided,
            paths: Vec::new(),
            inset: Vec::new(),
            description: String::new(),
        }
    }

    /// Statistics to draw over the boundaries of the first design.
    pub fn paths(mut self, paths: Vec<LookPath>) -> Self {
        self.paths = paths;
        self
    }

    /// Lines inside the panel, such as the overall alpha.
    pub fn inset(mut self, lines: Vec<String>) -> Self {
        self.inset = lines;
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
    /// [`PlotError::Empty`] without looks.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.designs.iter().all(|(_, looks)| looks.is_empty()) {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "look",
            });
        }
        // Early boundaries may be far out: the axis ends at 6 or at what was seen.
        let limits = self.designs.iter().flat_map(|(_, looks)| looks);
        let seen = self.paths.iter().flat_map(|path| &path.z);
        let seen = seen.copied().filter(|z| z.is_finite());
        let highest = limits.map(|look| look.efficacy).filter(|z| z.is_finite());
        let highest = highest.fold(2.0, f64::max).min(6.0);
        let (low, high) = seen.fold((-1.0f64, highest), |(low, high), z| {
            (low.min(z), high.max(z))
        });
        let (high, low) = ((high + 0.3).min(8.0), (low - 0.3).max(-8.0));
        let low = if self.two_sided { low.min(-high) } else { low };
        let mut panel = Panel::new("")
            .x(Axis::new("Share of the planned information (%)")
                .range(0.0, 1.04)
                .every(0.2)
                .percent())
            .y(Axis::new("Standardised statistic z")
                .range(low, high)
                .every(1.0))
            .level("", 0.0, Style::ink().width(1.0).opacity(0.5));
        let looks = self
            .designs
            .first()
            .map_or(&[][..], |(_, looks)| looks.as_slice());
        let most = 40;
        for path in super::evenly_spaced(self.paths.len(), most) {
            let path = &self.paths[path];
            let (x, z): (Vec<f64>, Vec<f64>) = looks
                .iter()
                .zip(&path.z)
                .map(|(look, z)| (look.information, *z))
                .unzip();
            let style = Style::default()
                .colour(Colour::Grey)
                .width(1.1)
                .marker(Marker::Circle, 1.8)
                .opacity(0.7)
                .with_marker();
            panel = panel.line(&path.name, &x, &z, style);
        }
        for (index, (name, looks)) in self.designs.iter().enumerate() {
            let style = Style::series(index).width(2.0).with_marker();
            let x: Vec<f64> = looks.iter().map(|look| look.information).collect();
            let upper: Vec<f64> = looks.iter().map(|look| look.efficacy).collect();
            panel = panel.line(name, &x, &upper, style);
            if self.two_sided {
                let lower: Vec<f64> = upper.iter().map(|z| -z).collect();
                panel = panel.line("", &x, &lower, style);
            }
            let (x, y): (Vec<f64>, Vec<f64>) = looks
                .iter()
                .filter_map(|look| Some((look.information, look.futility?)))
                .unzip();
            if !x.is_empty() {
                let style = Style::series(index)
                    .width(1.6)
                    .dash(Dash::Dotted)
                    .with_marker();
                panel = panel.line(&format!("{name}, futility"), &x, &y, style);
            }
        }
        if !self.inset.is_empty() {
            panel = panel.inset(Corner::BottomRight, self.inset.clone());
        }
        let note = if self.paths.len() > most {
            format!(
                "{most} of {} trials are drawn.",
                fixed(self.paths.len() as f64, 0)
            )
        } else {
            String::new()
        };
        let figure = Figure::new(&self.title, panel).description(self.description.clone());
        Ok(figure.render()?.noted(&note))
    }
}
