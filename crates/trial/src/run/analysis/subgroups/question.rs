//! One question about one arm, in the groups of one factor.

use crate::run::within::SAME_TIME;
use crate::statistics::{
    BinaryScale, ChiSquaredTest, DifferenceInterval, Estimate, GroupVariance, Heterogeneity,
    InteractionTest, StatisticsError, SubgroupEffect, Summary, SurvivalSample, TwoArms,
    binary_subgroups, clopper_pearson, detectable_hazard_ratio, detectable_interaction,
    detectable_mean_difference, detectable_risk_difference, heterogeneity, mean_difference,
    mean_interval, mean_subgroups, survival_subgroups,
};

use super::super::Found;
use super::super::data::Data;
use super::super::rates::table;
use super::super::times::two_groups;
use super::{
    ArmCount, Detectable, Measure, POWER, Row, SubgroupComparison, SubgroupQuestion, SubgroupRow,
    Within,
};

/// One question about one arm.
pub(super) struct Question<'a, 'd> {
    pub data: &'a Data<'d>,
    pub question: SubgroupQuestion,
    pub measure: Measure,
    pub arm: usize,
    pub names: &'a [String],
}

impl Question<'_, '_> {
    pub fn answer(&self, own: &[Row], control: &[Row]) -> SubgroupComparison {
        let level = self.data.level();
        // a group without patients in one of the arms has no effect, and says nothing of the others
        let there: Vec<usize> = (0..self.names.len())
            .filter(|g| {
                [own, control]
                    .iter()
                    .all(|rows| rows.iter().any(|row| row.group == *g))
            })
            .collect();
        let (effects, test, interaction, heterogeneity) = self.effects(own, control, &there);
        let within: Option<Vec<Found<Within>>> = self.data.result.every_arm.then(|| {
            (0..self.names.len())
                .map(|group| self.within(own, control, group))
                .collect()
        });
        let interaction_within = within.as_ref().map(|groups| {
            let parts: Vec<(f64, f64)> = groups
                .iter()
                .flatten()
                .map(|w| (w.mean.value, w.standard_error))
                .filter(|part| part.1 > 0.0)
                .collect();
            heterogeneity_test(&parts, level)
        });
        let mut within = within.map(Vec::into_iter);
        let rows = (0..self.names.len()).map(|group| {
            let of = |rows: &[Row]| self.count(rows, |row| row.group == group);
            let rest = |rows: &[Row]| {
                self.count(rows, |row| row.group != group && row.group != usize::MAX)
            };
            let (a, b) = (of(own), of(control));
            let found = there
                .iter()
                .position(|&g| g == group)
                .map(|at| &effects[at]);
            let effect = match found {
                Some(found) => found
                    .effect
                    .ok_or_else(|| found.reason.clone().unwrap_or_default()),
                None => Err(format!(
                    "`{}` has {} patients in the arm and {} in the control",
                    self.names[group], a.patients, b.patients
                )),
            };
            let error = found.and_then(|found| found.standard_error);
            let others = self.error_of_rest(own, control, group);
            SubgroupRow {
                group,
                own: a,
                control: b,
                effect,
                detectable: self.detectable(a, b, error),
                detectable_gap: self.gap((a, b), (rest(own), rest(control)), error, others),
                within: within.as_mut().and_then(Iterator::next),
            }
        });
        SubgroupComparison {
            arm: self.arm,
            overall: self.overall(own, control),
            test,
            interaction,
            heterogeneity,
            rows: rows.collect(),
            interaction_within,
        }
    }

    fn count(&self, rows: &[Row], wanted: impl Fn(&Row) -> bool) -> ArmCount {
        let here = || rows.iter().filter(|row| wanted(row));
        ArmCount {
            patients: here().count(),
            events: (self.measure != Measure::MeanDifference)
                .then(|| here().filter(|row| row.event).count()),
        }
    }

    #[allow(clippy::type_complexity, reason = "parts of one result")]
    fn effects(
        &self,
        own: &[Row],
        control: &[Row],
        there: &[usize],
    ) -> (
        Vec<SubgroupEffect>,
        &'static str,
        Result<InteractionTest, String>,
        Option<Heterogeneity>,
    ) {
        let level = self.data.level();
        let names: Vec<String> = there.iter().map(|&g| self.names[g].clone()).collect();
        let (mut values, mut events) = (Vec::new(), Vec::new());
        let (mut treated, mut groups) = (Vec::new(), Vec::new());
        for (rows, arm) in [(own, true), (control, false)] {
            for row in rows {
                if let Some(group) = there.iter().position(|&g| g == row.group) {
                    values.push(row.value);
                    events.push(row.event);
                    treated.push(arm);
                    groups.push(group);
                }
            }
        }
        let tables = || -> Found<Vec<TwoArms>> {
            there
                .iter()
                .map(|&g| tabled(own, control, |row| row.group == g))
                .collect()
        };
        let (test, found) = match self.measure {
            Measure::HazardRatio => (
                "likelihood ratio test of arm by group in a Cox model",
                SurvivalSample::new(self.data.title(self.arm), values, events)
                    .and_then(|all| survival_subgroups(&all, &treated, &groups, &names, level)),
            ),
            Measure::RiskDifference => (
                "Cochran's Q of the risk differences",
                tables().and_then(|tables| {
                    binary_subgroups(&tables, &names, BinaryScale::RiskDifference, level)
                }),
            ),
            Measure::MeanDifference => (
                "F test of arm by group in a linear model",
                mean_subgroups(&values, &treated, &groups, &names, level),
            ),
        };
        match found {
            Ok(found) => {
                let reason = found.reason.unwrap_or_default();
                let interaction = found.interaction.ok_or(reason);
                if self.measure == Measure::RiskDifference && interaction.is_err() {
                    // a group in which nobody, or everybody, has the event has no variance
                    let scale = BinaryScale::OddsRatio;
                    let other = tables().and_then(|t| binary_subgroups(&t, &names, scale, level));
                    if let Some(test) = other.ok().and_then(|other| other.interaction) {
                        let name = "likelihood ratio test of arm by group in a logistic model";
                        return (found.effects, name, Ok(test), found.heterogeneity);
                    }
                }
                (found.effects, test, interaction, found.heterogeneity)
            }
            Err(reason) => {
                // one group only: its effect is still an effect
                let effects = names
                    .iter()
                    .zip(there)
                    .map(|(name, &g)| self.alone(name, own, control, g))
                    .collect();
                (effects, test, Err(reason.to_string()), None)
            }
        }
    }

    /// The effect in one group, without others to compare it with.
    fn alone(&self, name: &str, own: &[Row], control: &[Row], group: usize) -> SubgroupEffect {
        let keep = |row: &Row| row.group == group;
        let (a, b) = (self.count(own, keep), self.count(control, keep));
        let found = self.effect(own, control, keep);
        SubgroupEffect {
            name: name.to_owned(),
            treated: a.patients,
            control: b.patients,
            events: a.events.zip(b.events).map(|(a, b)| a + b),
            effect: found.as_ref().ok().map(|found| found.0),
            standard_error: found.as_ref().ok().map(|found| found.1),
            reason: found.err().map(|reason| reason.to_string()),
        }
    }

    /// The effect in some patients, with its standard error (on the logarithm for ratios).
    fn effect(
        &self,
        own: &[Row],
        control: &[Row],
        keep: impl Fn(&Row) -> bool + Copy,
    ) -> Found<(Estimate, f64)> {
        let level = self.data.level();
        let values = |rows: &[Row]| -> Vec<f64> {
            rows.iter()
                .filter(|row| keep(row))
                .map(|row| row.value)
                .collect()
        };
        match self.measure {
            Measure::HazardRatio => {
                let sample = |rows: &[Row], arm: usize| {
                    let kept = rows.iter().filter(|row| keep(row));
                    let events = kept.map(|row| row.event).collect();
                    SurvivalSample::new(self.data.title(arm), values(rows), events)
                };
                let own = sample(own, self.arm)?;
                let control = sample(control, self.data.control())?;
                let fit = two_groups(&own, &control, None, level)?.fit;
                let arm = &fit.coefficients[0];
                Ok((arm.hazard_ratio, arm.standard_error))
            }
            Measure::RiskDifference => {
                let table = tabled(own, control, keep)?;
                let difference = table.risk_difference(DifferenceInterval::Newcombe, level)?;
                let ((p1, p2), n1, n2) = (table.rates(), table.treated().1, table.control().1);
                let variance = p1 * (1.0 - p1) / n1 as f64 + p2 * (1.0 - p2) / n2 as f64;
                Ok((difference, variance.sqrt()))
            }
            Measure::MeanDifference => {
                let (own, control) = (values(own), values(control));
                let found = mean_difference(&own, &control, GroupVariance::Separate, level)?;
                Ok((found.difference, found.standard_error))
            }
        }
    }

    fn overall(&self, own: &[Row], control: &[Row]) -> Found<Estimate> {
        self.effect(own, control, |_| true).map(|found| found.0)
    }

    /// Standard error of the effect in all other groups; of hazard ratios it is not needed.
    fn error_of_rest(&self, own: &[Row], control: &[Row], group: usize) -> Option<f64> {
        if self.measure == Measure::HazardRatio {
            return None;
        }
        let rest = |row: &Row| row.group != group && row.group != usize::MAX;
        self.effect(own, control, rest).ok().map(|found| found.1)
    }

    fn detectable(
        &self,
        own: ArmCount,
        control: ArmCount,
        error: Option<f64>,
    ) -> Found<Detectable> {
        let alpha = self.data.trial.analysis.alpha;
        let (n1, n2) = (own.patients as f64, control.patients as f64);
        let events = (own.events.unwrap_or(0) + control.events.unwrap_or(0)) as f64;
        match self.measure {
            Measure::HazardRatio => {
                let ratio = detectable_hazard_ratio(events, n1 / (n1 + n2), alpha, POWER)?;
                Ok(Detectable {
                    below: Some(ratio),
                    above: Some(ratio.recip()),
                })
            }
            Measure::RiskDifference => {
                let rate = control.events.unwrap_or(0) as f64 / n2;
                let (below, above) = detectable_risk_difference(rate, n1, n2, alpha, POWER)?;
                Ok(Detectable { below, above })
            }
            Measure::MeanDifference => {
                let size = detectable_by(alpha, &[error.unwrap_or(f64::NAN)])?;
                Ok(Detectable {
                    below: Some(-size),
                    above: Some(size),
                })
            }
        }
    }

    fn gap(
        &self,
        here: (ArmCount, ArmCount),
        rest: (ArmCount, ArmCount),
        error: Option<f64>,
        error_of_rest: Option<f64>,
    ) -> Found<f64> {
        let alpha = self.data.trial.analysis.alpha;
        if self.measure == Measure::HazardRatio {
            let events = |(own, control): (ArmCount, ArmCount)| {
                (own.events.unwrap_or(0) + control.events.unwrap_or(0)) as f64
            };
            let own = (here.0.patients + rest.0.patients) as f64;
            let control = (here.1.patients + rest.1.patients) as f64;
            let share = own / (own + control);
            return detectable_interaction((events(here), events(rest)), share, alpha, POWER);
        }
        let errors = [error, error_of_rest].map(|error| error.unwrap_or(f64::NAN));
        detectable_by(alpha, &errors)
    }

    /// Effects within patients who are in both arms at the same position.
    fn within(&self, own: &[Row], control: &[Row], group: usize) -> Found<Within> {
        let level = self.data.level();
        let slack = match (self.measure, self.question) {
            (Measure::HazardRatio, SubgroupQuestion::Endpoint(e)) => {
                let trial = self.data.trial;
                SAME_TIME * trial.horizon / trial.model.units.scale(&trial.endpoints[e].unit)
            }
            _ => 0.0,
        };
        let differences: Vec<f64> = own
            .iter()
            .filter(|row| row.group == group)
            .filter_map(|row| {
                let at = control.binary_search_by_key(&row.position, |other| other.position);
                let difference = row.value - control[at.ok()?].value;
                Some(if difference.abs() <= slack {
                    0.0
                } else {
                    difference
                })
            })
            .collect();
        let n = differences.len();
        let share = |wanted: fn(f64) -> bool| {
            let count = differences.iter().filter(|&&d| wanted(d)).count();
            clopper_pearson(count as u64, n as u64, level)
        };
        let mean = mean_interval(&self.names[group], &differences, level)?;
        let sd = Summary::of(&self.names[group], &differences)?.sd;
        let standard_error = sd / (n as f64).sqrt();
        Ok(Within {
            patients: n,
            mean,
            standard_error,
            larger: share(|d| d > 0.0)?,
            smaller: share(|d| d < 0.0)?,
            detectable: detectable_by(self.data.trial.analysis.alpha, &[standard_error]).ok(),
        })
    }
}

fn tabled(own: &[Row], control: &[Row], keep: impl Fn(&Row) -> bool) -> Found<TwoArms> {
    let flags = |rows: &[Row]| -> Vec<(usize, bool)> {
        let kept = rows.iter().filter(|row| keep(row));
        kept.map(|row| (row.position, row.event)).collect()
    };
    table(&flags(own), &flags(control))
}

fn heterogeneity_test(parts: &[(f64, f64)], level: f64) -> Found<ChiSquaredTest> {
    heterogeneity(parts, level).map(|found| found.q)
}

/// The smallest sum of independent estimates with these standard errors that shows with the power.
fn detectable_by(alpha: f64, errors: &[f64]) -> Found<f64> {
    let variance: f64 = errors.iter().map(|error| error * error).sum();
    if !errors.iter().all(|&error| error > 0.0 && error.is_finite()) {
        return Err(StatisticsError::Setting {
            method: "smallest effect",
            name: "standard error",
            value: variance.sqrt(),
            range: "above zero; the groups do not vary, or one has no estimate",
        });
    }
    // the sum of two variances, each one half of it
    detectable_mean_difference(1.0, 2.0 / variance, 2.0 / variance, alpha, POWER)
}
