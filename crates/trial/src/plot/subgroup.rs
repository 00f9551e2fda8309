//! Subgroup forest plots: who benefits less, who is harmed more, and what could have been seen.

use crate::statistics::Estimate;

use super::forest::{Forest, ForestRow};
use super::text::fixed;
use super::{PlotError, Svg};

/// Patients of one arm in one subgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubgroupCount {
    /// Patients.
    pub patients: usize,
    /// Events or responses among them, where the effect counts any.
    pub events: Option<usize>,
}

/// One subgroup, or all patients.
#[derive(Debug, Clone, PartialEq)]
pub struct Subgroup {
    /// Name, such as "65 years and older".
    pub name: String,
    /// Patients of each arm.
    pub counts: Vec<SubgroupCount>,
    /// The effect, or why there is none, such as "no events".
    pub effect: Result<Estimate, String>,
    /// Smallest effect that this many patients would show with the power stated in the caption,
    /// on the scale of the effect.
    pub detectable: Option<f64>,
}

/// A factor that divides the patients.
#[derive(Debug, Clone, PartialEq)]
pub struct SubgroupFactor {
    /// Name, such as "renal function".
    pub name: String,
    /// p value of the test for interaction; `None` where it cannot be computed.
    pub interaction: Option<f64>,
    /// Its subgroups.
    pub groups: Vec<Subgroup>,
}

/// Effects by subgroup.
#[derive(Debug, Clone, PartialEq)]
pub struct SubgroupFigure {
    /// Announced by screen readers.
    pub title: String,
    /// Name of the effect with its unit, such as "Hazard ratio".
    pub effect: String,
    /// Whether it is a ratio (axis around 1) or a difference (around 0).
    pub ratio: bool,
    /// Digits after the point.
    pub decimals: usize,
    /// Names of the arms that counts refer to.
    pub arms: Vec<String>,
    /// What lies left and right of the reference.
    pub favours: Option<(String, String)>,
    /// Effect in all patients.
    pub overall: Subgroup,
    /// Factors, in the order to show.
    pub factors: Vec<SubgroupFactor>,
}

impl SubgroupFigure {
    /// Draws the figure.
    ///
    /// # Errors
    /// As [`Forest::render`].
    pub fn render(&self) -> Result<Svg, PlotError> {
        let forest = if self.ratio {
            Forest::ratios(&self.title, &self.effect)
        } else {
            Forest::differences(&self.title, &self.effect)
        };
        let everything = || {
            let groups = self.factors.iter().flat_map(|factor| &factor.groups);
            groups.chain([&self.overall])
        };
        let events = everything().any(|group| group.counts.iter().any(|n| n.events.is_some()));
        let what = if events { "events/n" } else { "n" };
        let before = self.arms.iter().map(|arm| format!("{what}, {arm}"));
        let after = ["Minimum detectable", "p for interaction"].map(str::to_owned);
        let mut forest = forest
            .columns(before.collect(), after.to_vec())
            .decimals(self.decimals)
            .description(self.words());
        if let Some((left, right)) = &self.favours {
            forest = forest.favours(left, right);
        }
        for factor in &self.factors {
            let p = factor
                .interaction
                .map_or_else(|| "\u{2013}".to_owned(), p_text);
            let heading = ForestRow::heading(&factor.name);
            forest = forest.row(heading.cells(Vec::new(), vec![String::new(), p]));
            for group in &factor.groups {
                forest = forest.row(self.row(group).indented());
            }
        }
        let overall = self.row(&self.overall);
        let overall = if self.overall.effect.is_ok() {
            overall.overall()
        } else {
            overall
        };
        let svg = forest.row(overall).render()?;
        Ok(svg.noted("Arrows: the interval goes on. Subgroups are not adjusted for looking at several; read a difference between subgroups with its p for interaction and with the smallest effect that each could have shown."))
    }

    fn row(&self, group: &Subgroup) -> ForestRow {
        let counts = group.counts.iter().map(|count| {
            let patients = fixed(count.patients as f64, 0);
            match count.events {
                Some(events) => format!("{}/{patients}", fixed(events as f64, 0)),
                None => patients,
            }
        });
        let counts: Vec<String> = counts.collect();
        let detectable = group
            .detectable
            .filter(|value| value.is_finite())
            .map_or_else(
                || "\u{2013}".to_owned(),
                |value| fixed(value, self.decimals),
            );
        let weight = |count: &SubgroupCount| count.events.unwrap_or(count.patients) as f64;
        match &group.effect {
            Ok(effect) => ForestRow::new(&group.name, "", *effect)
                .weight(group.counts.iter().map(weight).sum())
                .cells(counts, vec![detectable]),
            Err(reason) => {
                let counts = counts.join(", ");
                let text = if counts.is_empty() {
                    reason.clone()
                } else {
                    format!("{counts}: {reason}")
                };
                ForestRow::missing(&group.name, text).cells_after(vec![detectable])
            }
        }
    }

    fn words(&self) -> String {
        let factors = self.factors.iter().map(|factor| {
            let p = factor
                .interaction
                .map_or_else(|| "not computed".to_owned(), p_text);
            format!("{}: p for interaction {p}", factor.name)
        });
        let factors: Vec<String> = factors.collect();
        format!("{} in subgroups. {}.", self.effect, factors.join("; "))
    }
}

fn p_text(p: f64) -> String {
    if p < 0.001 {
        "<0.001".to_owned()
    } else {
        fixed(p, 3)
    }
}
