//! Synthetic data for every figure, in sizes from one patient to many: for the tests and the
//! gallery.

use super::*;
use crate::statistics::{Estimate, KaplanMeier, SurvivalSample, clopper_pearson};

mod patients;
mod summaries;

pub(crate) use patients::*;
pub(crate) use summaries::*;

/// Numbers that look random enough (Knuth 1998, 3.3.4, table 1, line 26).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Between 0 and 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }
}

/// Names of arms: short ones, or as long as people write them.
pub(crate) fn arm_names(count: usize, long: bool) -> Vec<String> {
    (0..count)
        .map(|arm| {
            if long {
                format!("Docetaxel {} mg/m2 over 1 h every 21 days with dose modification by neutrophil count and pegfilgrastim", 60 + 5 * arm)
            } else {
                format!("{} mg/m2", 60 + 15 * arm)
            }
        })
        .collect()
}

pub(crate) fn rate(responders: usize, patients: usize) -> Estimate {
    clopper_pearson(responders as u64, patients.max(1) as u64, 0.95).unwrap()
}

/// How large and how awkward the data are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub arms: usize,
    pub patients: usize,
    pub long: bool,
}

impl Size {
    pub(crate) const USUAL: Self = Self {
        arms: 2,
        patients: 120,
        long: false,
    };
}

/// Every figure, drawn.
pub(crate) fn all(size: Size) -> Vec<(&'static str, Svg)> {
    let curves_ = curves(size, true);
    let none = curves(size, false);
    let survival = |curves: &[KaplanMeier]| {
        let figure = SurvivalFigure::new("Survival", "Months since randomisation", "Alive (%)");
        let figure = curves.iter().fold(figure, SurvivalFigure::curve);
        let figure = if size.arms > 3 {
            figure.without_bands()
        } else {
            figure
        };
        let lines = vec![
            "hazard ratio 0.71 (0.55 to 0.93)".to_owned(),
            "log-rank p 0.012".to_owned(),
        ];
        figure.every(6.0).inset(lines).render()
    };
    let incidence_ = incidence(size);
    let time = "Months since randomisation";
    let drawn = [
        ("Flow", flow(size).render()),
        ("Survival", survival(&curves_)),
        ("Survival without events", survival(&none)),
        ("Waterfall", waterfall(size).render()),
        ("Spider", spider(size).render()),
        ("Swimmer", swimmer(size).render()),
        (
            "Incidence, lines",
            IncidenceFigure::lines("Causes", time, incidence_.clone())
                .until(36.0)
                .every(6.0)
                .render(),
        ),
        (
            "Incidence, stacked",
            IncidenceFigure::stacked("Causes", time, incidence_)
                .until(36.0)
                .every(6.0)
                .render(),
        ),
        ("Toxicity", toxicity(size).figure()),
        ("Harms", harms(size).render()),
        ("Subgroups", subgroups(size, true).render()),
        ("Subgroups, differences", subgroups(size, false).render()),
        ("Exposure", distributions(size).render()),
        ("Scatter", scatter(size).render()),
        ("Time course", course(size).render()),
        ("Boundary", boundary(size).render()),
        ("Power", power(size).render()),
        ("Selection", selection(size).render()),
        ("Sensitivity", sensitivity(size).render()),
    ];
    drawn.map(|(name, svg)| (name, svg.unwrap())).to_vec()
}
