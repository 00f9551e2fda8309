//! Axes: what the reader is told, and the mapping from data to the page.

use super::PlotError;
use super::ticks::{Tick, linear, logarithmic, nice_step};

/// One axis of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub(super) label: String,
    pub(super) logarithmic: bool,
    pub(super) range: Option<(f64, f64)>,
    pub(super) include: Vec<f64>,
    pub(super) step: Option<f64>,
    pub(super) ticks: Option<Vec<(f64, String)>>,
    pub(super) percent: bool,
    pub(super) named: bool,
}

impl Default for Axis {
    fn default() -> Self {
        Self::new("")
    }
}

impl Axis {
    /// A linear axis over the range of the data. The label should name the unit.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            logarithmic: false,
            range: None,
            include: Vec::new(),
            step: None,
            ticks: None,
            percent: false,
            named: false,
        }
    }

    /// A vertical axis of named rows, the first on top: row `i` lies at [`Self::row_at`]. Long
    /// names wrap.
    pub fn rows<S: AsRef<str>>(label: impl Into<String>, names: &[S]) -> Self {
        let at = |index| Self::row_at(index);
        Self {
            named: true,
            ..Self::new(label)
                .range(at(names.len()) + 0.5, 0.5)
                .ticks(ticks_of(names, at))
        }
    }

    /// A horizontal axis of named columns: column `i` lies at `i`. Long names wrap.
    pub fn columns<S: AsRef<str>>(label: impl Into<String>, names: &[S]) -> Self {
        Self {
            named: true,
            ..Self::new(label)
                .range(-0.5, names.len() as f64 - 0.5)
                .ticks(ticks_of(names, |index| index as f64))
        }
    }

    /// Where row `index` of [`Self::rows`] lies; halves lie between rows.
    pub fn row_at(index: usize) -> f64 {
        -(index as f64)
    }

    /// Logarithmic; values that are not positive leave gaps.
    pub fn log(mut self) -> Self {
        self.logarithmic = true;
        self
    }

    /// From `low` to `high` instead of the range of the data.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Extends the range of the data so that it covers `value`.
    pub fn include(mut self, value: f64) -> Self {
        self.include.push(value);
        self
    }

    /// Ticks at multiples of `step`.
    pub fn every(mut self, step: f64) -> Self {
        self.step = (step > 0.0 && step.is_finite()).then_some(step);
        self
    }

    /// Exactly these ticks.
    pub fn ticks(mut self, ticks: Vec<(f64, String)>) -> Self {
        self.ticks = Some(ticks);
        self
    }

    /// Labels fractions as percentages.
    pub fn percent(mut self) -> Self {
        self.percent = true;
        self
    }

    /// Whether there are no ticks by request.
    pub(super) fn is_bare(&self) -> bool {
        self.ticks.as_ref().is_some_and(Vec::is_empty)
    }

    /// Fixes the range from data, and checks it.
    pub(super) fn resolve(
        &self,
        plot: &str,
        data: impl Iterator<Item = f64>,
        pixels: f64,
        spacing: f64,
    ) -> Result<Scale, PlotError> {
        let count = ((pixels / spacing) as usize).clamp(2, 10);
        let (low, high) = match self.range {
            Some(range) => range,
            None => self.data_range(data, count),
        };
        let valid = low.is_finite() && high.is_finite() && low < high;
        if !valid || (self.logarithmic && low <= 0.0) {
            return Err(PlotError::Range {
                plot: plot.to_owned(),
                axis: self.label.clone(),
                low,
                high,
            });
        }
        let ticks = match (&self.ticks, self.logarithmic) {
            (Some(ticks), _) => ticks
                .iter()
                .filter(|(at, _)| *at >= low && *at <= high)
                .map(|(at, label)| Tick {
                    at: *at,
                    label: label.clone(),
                })
                .collect(),
            (None, true) => logarithmic(low, high, count),
            (None, false) if self.percent => {
                let step = 100.0 * self.step.unwrap_or_else(|| nice_step(high - low, count));
                let mut ticks = linear(100.0 * low, 100.0 * high, step);
                ticks.iter_mut().for_each(|tick| tick.at /= 100.0);
                ticks
            }
            (None, false) => {
                let mut step = self.step.unwrap_or_else(|| nice_step(high - low, count));
                while (high - low) / step > 60.0 {
                    step *= 2.0;
                }
                linear(low, high, step)
            }
        };
        Ok(Scale {
            logarithmic: self.logarithmic,
            low,
            high,
            ticks,
            named: self.named,
        })
    }

    fn data_range(&self, data: impl Iterator<Item = f64>, count: usize) -> (f64, f64) {
        let usable = |value: &f64| value.is_finite() && (!self.logarithmic || *value > 0.0);
        let (low, high) = data
            .chain(self.include.iter().copied())
            .filter(usable)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
                (l.min(v), h.max(v))
            });
        if low > high {
            return if self.logarithmic {
                (1.0, 10.0)
            } else {
                (0.0, 1.0)
            };
        }
        if self.logarithmic {
            // Whole decades when there are several; otherwise a little room.
            return if high / low > 30.0 {
                (
                    10f64.powf((low.log10() + 1e-9).floor()),
                    10f64.powf((high.log10() - 1e-9).ceil()),
                )
            } else {
                (low / 1.25, high * 1.25)
            };
        }
        let span = if high > low {
            high - low
        } else {
            high.abs().max(1.0) * 0.2
        };
        let step = self.step.unwrap_or_else(|| nice_step(span, count));
        let (first, last) = (
            (low / step + 1e-9).floor() * step,
            (high / step - 1e-9).ceil() * step,
        );
        if first < last {
            (first, last)
        } else {
            (low - 0.5 * span, high + 0.5 * span)
        }
    }
}

/// A resolved axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    logarithmic: bool,
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<Tick>,
    /// Ticks name rows or columns: their labels wrap, and none is left out.
    pub named: bool,
}

fn ticks_of<S: AsRef<str>>(names: &[S], at: impl Fn(usize) -> f64) -> Vec<(f64, String)> {
    let named = names.iter().enumerate();
    named
        .map(|(index, name)| (at(index), name.as_ref().to_owned()))
        .collect()
}

impl Scale {
    /// Position of a value as a share of the axis; `None` where it has none.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        if !value.is_finite() || (self.logarithmic && value <= 0.0) {
            return None;
        }
        let share = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // Far outside is as good as just outside, and keeps the numbers small.
        Some(share.clamp(-2.0, 3.0))
    }
}
