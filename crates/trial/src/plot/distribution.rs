//! Distributions by arm: a smoothed outline with its quantiles.

use super::axis::Axis;
use super::figure::Figure;
use super::layout::row_height;
use super::panel::Panel;
use super::style::{Dash, Marker, Style};
use super::text::fixed;
use super::thin::{evenly_spaced, quantile};
use super::{PlotError, Svg};

/// Fewer values than this are drawn as points instead of an outline.
const FEW: usize = 20;
/// Points of an outline.
const OUTLINE: usize = 96;

/// Values of one quantity in each arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Distributions {
    title: String,
    label: String,
    arms: Vec<(String, Vec<f64>)>,
    logarithmic: bool,
    references: Vec<(f64, String)>,
    description: String,
}

impl Distributions {
    /// `label` names the quantity and its unit. Values that are not finite (on a logarithmic axis
    /// not positive) are left out and counted in the note.
    pub fn new(
        title: impl Into<String>,
        label: impl Into<String>,
        arms: Vec<(String, Vec<f64>)>,
    ) -> Self {
        Self {
            title: title.into(),
            label: label.into(),
            arms,
            logarithmic: false,
            references: Vec::new(),
            description: String::new(),
        }
    }

    /// On a logarithmic axis.
    pub fn log(mut self) -> Self {
        self.logarithmic = true;
        self
    }

    /// A reference value with its name, such as a dose limit of an organ.
    pub fn reference(mut self, value: f64, name: impl Into<String>) -> Self {
        self.references.push((value, name.into()));
        self
    }

    /// A longer description for screen readers.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Draws the figure: one row per arm.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without arms, `Range`.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.arms.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "arm",
            });
        }
        let names: Vec<String> = self
            .arms
            .iter()
            .map(|(name, values)| format!("{name} (n = {})", fixed(values.len() as f64, 0)))
            .collect();
        let axis = Axis::new(&self.label);
        let axis = if self.logarithmic { axis.log() } else { axis };
        let mut panel = Panel::new("").x(axis).y(Axis::rows("", &names));
        let mut left_out = 0;
        for (row, (_, values)) in self.arms.iter().enumerate() {
            let usable = |v: &&f64| v.is_finite() && (!self.logarithmic || **v > 0.0);
            let mut sorted: Vec<f64> = values.iter().filter(usable).copied().collect();
            sorted.sort_by(f64::total_cmp);
            left_out += values.len() - sorted.len();
            panel = self.row(panel, row, &sorted);
        }
        for (index, (value, name)) in self.references.iter().enumerate() {
            let dash = if index % 2 == 0 {
                Dash::Dashed
            } else {
                Dash::Dotted
            };
            panel = panel.moment(name, *value, Style::ink().dash(dash));
        }
        let row = row_height(&names, 13.0, 600.0).max(58.0);
        let height = self.arms.len() as f64 * row + 56.0;
        let mut note =
            "Thin line: 5 to 95 % of the patients; thick line: the middle half; point: the median."
                .to_owned();
        if self.arms.iter().any(|(_, values)| values.len() >= FEW) {
            note.push_str(" The outline is a smoothed density.");
        }
        if left_out > 0 {
            note.push_str(&format!(
                " {} values could not be drawn (missing{}).",
                fixed(left_out as f64, 0),
                if self.logarithmic {
                    ", or zero on a logarithmic axis"
                } else {
                    ""
                }
            ));
        }
        let figure = Figure::new(&self.title, panel)
            .panel_size(600.0, height)
            .description(self.description.clone());
        Ok(figure.render()?.noted(&note))
    }

    fn row(&self, mut panel: Panel, row: usize, sorted: &[f64]) -> Panel {
        let at = Axis::row_at(row);
        let style = Style::series(row).dash(Dash::Solid);
        let q = |share| quantile(sorted, share);
        let [Some(p5), Some(p25), Some(p50), Some(p75), Some(p95)] =
            [0.05, 0.25, 0.5, 0.75, 0.95].map(q)
        else {
            return panel;
        };
        if sorted.len() >= FEW {
            let (x, density) = self.density(sorted);
            let high: Vec<f64> = density.iter().map(|d| at + 0.05 + 0.4 * d).collect();
            let low = vec![at + 0.05; x.len()];
            panel = panel.ribbon("", &x, &low, &high, style.opacity(0.4));
        } else {
            let y = vec![at + 0.2; sorted.len()];
            let style = style.marker(Marker::Circle, 2.4).opacity(0.6);
            panel = panel.points("", sorted, &y, style);
        }
        let y = at - 0.16;
        panel
            .line("", &[p5, p95], &[y, y], style.width(1.4))
            .line("", &[p25, p75], &[y, y], style.width(6.0))
            .points(
                "",
                &[p50],
                &[y],
                Style::ink().marker(Marker::Circle, 3.2).with_rim(),
            )
    }

    /// Kernel density on a grid (Gaussian, width by Silverman 1986, equation 3.31), the largest
    /// value 1, over the axis scale.
    fn density(&self, sorted: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let on = |v: f64| if self.logarithmic { v.ln() } else { v };
        let values: Vec<f64> = sorted.iter().map(|v| on(*v)).collect();
        let (low, high) = (values[0], values[values.len() - 1]);
        let at = |share| quantile(&values, share).unwrap_or(0.0);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let spread = variance.sqrt().min((at(0.75) - at(0.25)) / 1.34);
        let spread = if spread > 0.0 {
            spread
        } else {
            variance.sqrt()
        };
        let width = 0.9 * spread * (values.len() as f64).powf(-0.2);
        let width = width
            .max(1e-3 * (high - low))
            .max(1e-9 * high.abs())
            .max(1e-12);
        // Cut at the smallest and largest value: no outline where nobody is.
        let step = (high - low).max(2.0 * width) / (OUTLINE - 1) as f64;
        let start = 0.5 * (low + high) - 0.5 * step * (OUTLINE - 1) as f64;
        let grid: Vec<f64> = (0..OUTLINE).map(|i| start + i as f64 * step).collect();
        // Many values are stood for by their quantiles.
        let used = evenly_spaced(values.len(), 2000);
        let density: Vec<f64> = grid
            .iter()
            .map(|x| {
                let kernel = |at: &usize| (-0.5 * ((x - values[*at]) / width).powi(2)).exp();
                used.iter().map(kernel).sum()
            })
            .collect();
        let most = density.iter().copied().fold(1e-300, f64::max);
        let back = |x: f64| if self.logarithmic { x.exp() } else { x };
        (
            grid.into_iter().map(back).collect(),
            density.into_iter().map(|d| d / most).collect(),
        )
    }
}
