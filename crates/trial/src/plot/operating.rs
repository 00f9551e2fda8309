//! Operating characteristics: rates over a quantity with Monte Carlo intervals, doses selected,
//! and what an input changes.

use crate::statistics::Estimate;

use super::axis::Axis;
use super::figure::Figure;
use super::layout::row_height;
use super::panel::{Corner, Panel};
use super::style::{Colour, Dash, Marker, Style};
use super::text::{fixed, percent_text};
use super::{PlotError, Svg};

/// A rate at several values of a quantity, such as power by sample size.
#[derive(Debug, Clone, PartialEq)]
pub struct RateSeries {
    /// Name in the legend.
    pub name: String,
    /// Values of the quantity, ascending.
    pub x: Vec<f64>,
    /// Rate at each as a fraction, with its Monte Carlo interval.
    pub rates: Vec<Estimate>,
}

/// Rates against a quantity: power curves, type I error, assurance.
#[derive(Debug, Clone, PartialEq)]
pub struct RateFigure {
    title: String,
    x_label: String,
    y_label: String,
    series: Vec<RateSeries>,
    references: Vec<(f64, String)>,
    replicates: usize,
    description: String,
}

impl RateFigure {
    /// `y_label` such as "Trials that reject the null hypothesis (%)"; `replicates` is the number
    /// of trials behind each point, for the note.
    pub fn new(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
        series: Vec<RateSeries>,
        replicates: usize,
    ) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            series,
            references: Vec::new(),
            replicates,
            description: String::new(),
        }
    }

    /// A reference rate with its name, such as (0.8, "power 80 %").
    pub fn reference(mut self, rate: f64, name: impl Into<String>) -> Self {
        self.references.push((rate, name.into()));
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
    /// [`PlotError::Empty`] without series, `LengthsDiffer`, `Range`.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.series.iter().all(|series| series.x.is_empty()) {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "rate",
            });
        }
        let highest = self.series.iter().flat_map(|series| &series.rates);
        let highest = highest.map(|rate| rate.high.min(1.0)).fold(0.0, f64::max);
        // Small rates such as a type I error get an axis of their own.
        let axis = Axis::new(&self.y_label).percent().include(0.0);
        let axis = if highest > 0.3 {
            axis.range(0.0, 1.0).every(0.2)
        } else {
            axis
        };
        let mut panel = Panel::new("").x(Axis::new(&self.x_label)).y(axis);
        for (index, (rate, name)) in self.references.iter().enumerate() {
            let dash = if index % 2 == 0 {
                Dash::Dashed
            } else {
                Dash::Dotted
            };
            panel = panel.level(name, *rate, Style::ink().dash(dash).opacity(0.7));
        }
        for (index, series) in self.series.iter().enumerate() {
            let column = |value: fn(&Estimate) -> f64| -> Vec<f64> {
                series.rates.iter().map(value).collect()
            };
            let style = Style::series(index);
            let (low, high) = (column(|r| r.low), column(|r| r.high));
            panel = panel
                .errors("", &series.x, &low, &high, style.width(1.2))
                .line(
                    &series.name,
                    &series.x,
                    &column(|r| r.value),
                    style.with_marker(),
                );
        }
        let figure = Figure::new(&self.title, panel).description(self.description.clone());
        let level = self
            .series
            .iter()
            .flat_map(|s| &s.rates)
            .map(|rate| rate.level)
            .next();
        let note = format!(
            "Each point: {} simulated trials; bars: {} Monte Carlo intervals.",
            fixed(self.replicates as f64, 0),
            percent_text(level.unwrap_or(0.95), 0)
        );
        Ok(figure.render()?.noted(&note))
    }
}

/// How one dose-finding design did.
#[derive(Debug, Clone, PartialEq)]
pub struct DesignSelection {
    /// Name, such as "BOIN".
    pub name: String,
    /// Share of trials that selected each dose, with its Monte Carlo interval.
    pub selected: Vec<Estimate>,
    /// Share of trials that selected none.
    pub none: Estimate,
    /// Share of patients treated at each dose.
    pub treated: Vec<f64>,
}

/// Doses selected by dose-finding designs, as bars.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectionFigure {
    title: String,
    doses: Vec<String>,
    rates: Vec<f64>,
    target: f64,
    designs: Vec<DesignSelection>,
    replicates: usize,
}

impl SelectionFigure {
    /// `rates` are the true rates of dose-limiting toxicity of the doses, `target` the one sought.
    pub fn new(
        title: impl Into<String>,
        doses: Vec<String>,
        rates: Vec<f64>,
        target: f64,
        designs: Vec<DesignSelection>,
        replicates: usize,
    ) -> Self {
        Self {
            title: title.into(),
            doses,
            rates,
            target,
            designs,
            replicates,
        }
    }

    /// Draws the figure: share of trials that selected each dose (and none) with intervals, and
    /// the share of patients treated there; the dose nearest the target is shaded.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without designs, `LengthsDiffer` if a column has not one value per dose.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.designs.is_empty() || self.doses.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "design and dose",
            });
        }
        let columns = self.designs.iter().flat_map(|design| {
            [
                (&design.name, design.selected.len()),
                (&design.name, design.treated.len()),
            ]
        });
        let rates = (&self.title, self.rates.len());
        for (name, length) in columns.chain([rates]) {
            if length != self.doses.len() {
                return Err(PlotError::LengthsDiffer {
                    plot: self.title.clone(),
                    series: name.clone(),
                    first: self.doses.len(),
                    second: length,
                });
            }
        }
        let names = self
            .doses
            .iter()
            .zip(&self.rates)
            .map(|(dose, rate)| format!("{dose} DLT {}", percent_text(*rate, 0)));
        let mut names: Vec<String> = names.collect();
        names.push("none".to_owned());
        let count = self.designs.len() as f64;
        let bar = 0.8 / count;
        let distance = |dose: &usize| (self.rates[*dose] - self.target).abs();
        let best = (0..self.doses.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let mut panel = Panel::new("")
            .x(Axis::columns(
                "Dose and its true rate of dose-limiting toxicity",
                &names,
            ))
            .y(Axis::new("Share (%)").include(0.0).percent());
        if let Some(best) = best {
            let at = best as f64;
            let label = format!("nearest the target of {}", percent_text(self.target, 0));
            panel = panel.spans(&label, &[(at - 0.48, at + 0.48)], Style::wash());
        }
        for (index, design) in self.designs.iter().enumerate() {
            let style = Style::series(index).dash(Dash::Solid);
            let left = |dose: usize| dose as f64 - 0.4 + index as f64 * bar;
            let all: Vec<Estimate> = design
                .selected
                .iter()
                .chain([&design.none])
                .copied()
                .collect();
            let bars: Vec<[f64; 4]> = all
                .iter()
                .enumerate()
                .map(|(dose, rate)| [left(dose) + 0.02, left(dose) + bar - 0.02, 0.0, rate.value])
                .collect();
            panel = panel.blocks(&design.name, &bars, style.opacity(0.8));
            let middle = |dose: usize| left(dose) + 0.5 * bar;
            let x: Vec<f64> = (0..all.len()).map(middle).collect();
            let low: Vec<f64> = all.iter().map(|rate| rate.low).collect();
            let high: Vec<f64> = all.iter().map(|rate| rate.high).collect();
            panel = panel.errors("", &x, &low, &high, Style::ink());
        }
        // After all bars, so that one legend entry stands at the end.
        for (index, design) in self.designs.iter().enumerate() {
            let x: Vec<f64> = (0..design.treated.len())
                .map(|dose| dose as f64 - 0.4 + (index as f64 + 0.5) * bar)
                .collect();
            let style = Style::default()
                .colour(Colour::Ink)
                .marker(Marker::Diamond, 3.4)
                .with_rim();
            panel = panel.points("patients treated there", &x, &design.treated, style);
        }
        let figure = Figure::new(&self.title, panel).panel_size(620.0, 350.0).description(
            "Bars: share of trials that selected the dose; diamonds: share of patients treated at it.",
        );
        Ok(figure.render()?.noted(&format!(
            "Bars: share of {} simulated trials that selected the dose, with Monte Carlo intervals.",
            fixed(self.replicates as f64, 0)
        )))
    }
}

/// What one input changes.
#[derive(Debug, Clone, PartialEq)]
pub struct SensitivityRow {
    /// The input and the two values it was given, such as "clearance (-20 %, +20 %)".
    pub name: String,
    /// Result with the lower value.
    pub low: f64,
    /// Result with the higher value.
    pub high: f64,
}

/// One-way sensitivity as a tornado plot, the widest bar on top.
#[derive(Debug, Clone, PartialEq)]
pub struct SensitivityFigure {
    title: String,
    label: String,
    base: f64,
    rows: Vec<SensitivityRow>,
}

impl SensitivityFigure {
    /// `label` names the result and its unit, `base` is the result with all inputs as they are.
    pub fn new(
        title: impl Into<String>,
        label: impl Into<String>,
        base: f64,
        rows: Vec<SensitivityRow>,
    ) -> Self {
        Self {
            title: title.into(),
            label: label.into(),
            base,
            rows,
        }
    }

    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without rows, `Range`.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.rows.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "input",
            });
        }
        let mut rows: Vec<&SensitivityRow> = self.rows.iter().collect();
        let reach = |row: &SensitivityRow| {
            (row.low - self.base)
                .abs()
                .max((row.high - self.base).abs())
        };
        rows.sort_by(|a, b| reach(b).total_cmp(&reach(a)));
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let mut panel = Panel::new("")
            .x(Axis::new(&self.label).include(self.base))
            .y(Axis::rows("", &names));
        let sides = [
            ("lower value", true, Colour::Sky),
            ("higher value", false, Colour::Vermilion),
        ];
        for (name, lower, colour) in sides {
            let bars = rows.iter().enumerate().filter_map(|(at, row)| {
                let value = if lower { row.low } else { row.high };
                let at = Axis::row_at(at);
                let bar = [
                    value.min(self.base),
                    value.max(self.base),
                    at - 0.36,
                    at + 0.36,
                ];
                value.is_finite().then_some(bar)
            });
            let bars: Vec<[f64; 4]> = bars.collect();
            panel = panel.blocks(name, &bars, Style::default().colour(colour).opacity(0.85));
        }
        panel = panel.moment("", self.base, Style::ink()).inset(
            Corner::BottomRight,
            vec![format!("base {}", short(self.base))],
        );
        let height = rows.len() as f64 * row_height(&names, 13.0, 620.0).max(26.0) + 62.0;
        Figure::new(&self.title, panel)
            .panel_size(620.0, height)
            .description(format!(
                "The result with each input lower and higher, against {} with all as they are.",
                short(self.base)
            ))
            .render()
    }
}

/// A number with about three digits.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 1.0 => 1,
        _ => 3,
    };
    fixed(value, decimals)
}
