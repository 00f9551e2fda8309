//! The tests of the primary and the secondary endpoints, all made at once.

use crate::Trial;
use crate::design::{Class, Multiplicity};
use crate::statistics::{self, StatisticsError, adjust_p_values};

use super::{CohortAnalysis, Found};

/// The tests of a cohort: one for every endpoint that is tested and every arm but the control, all
/// of them one family.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// How the family keeps its level: `holm`, `fixed-sequence` or `none`.
    pub multiplicity: &'static str,
    /// Two-sided level of the family (of each test, with `none`).
    pub alpha: f64,
    /// The primary endpoint first, then the secondary ones in their order, arm by arm.
    pub claims: Vec<Claim>,
}

/// One test.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Index of the endpoint.
    pub endpoint: usize,
    /// Whether it is the primary one.
    pub primary: bool,
    /// Index of the arm that is compared with the control.
    pub arm: usize,
    /// What was done.
    pub test: &'static str,
    /// Two-sided p value.
    pub p_value: Found<f64>,
    /// Adjusted for the family; a test without p value counts as one that shows nothing.
    pub adjusted: Option<f64>,
    /// Whether the adjusted p value is at most alpha.
    pub significant: bool,
}

pub(super) fn claims(trial: &Trial, analysis: &CohortAnalysis) -> Found<Claims> {
    let settings = &trial.analysis;
    let tested = std::iter::once(settings.primary).chain(settings.secondary.iter().copied());
    let mut claims = Vec::new();
    for endpoint in tested {
        for arm in (0..trial.arms.len()).filter(|&arm| arm != settings.control) {
            let (test, p_value) = test(trial, analysis, endpoint, arm);
            claims.push(Claim {
                endpoint,
                primary: endpoint == settings.primary,
                arm,
                test,
                p_value,
                adjusted: None,
                significant: false,
            });
        }
    }
    let p_values: Vec<f64> = claims
        .iter()
        .map(|claim| claim.p_value.as_ref().copied().unwrap_or(1.0))
        .collect();
    let adjusted = match settings.multiplicity {
        Multiplicity::Holm => adjust_p_values(&p_values, statistics::Multiplicity::Holm)?,
        Multiplicity::FixedSequence => {
            adjust_p_values(&p_values, statistics::Multiplicity::FixedSequence)?
        }
        Multiplicity::None => p_values,
    };
    for (claim, adjusted) in claims.iter_mut().zip(adjusted) {
        if claim.p_value.is_ok() {
            claim.adjusted = Some(adjusted);
            claim.significant = adjusted <= settings.alpha;
        }
    }
    Ok(Claims {
        multiplicity: settings.multiplicity.name(),
        alpha: settings.alpha,
        claims,
    })
}

/// The test of an endpoint in an arm against the control.
fn test(
    trial: &Trial,
    analysis: &CohortAnalysis,
    e: usize,
    arm: usize,
) -> (&'static str, Found<f64>) {
    match trial.endpoints[e].class() {
        Class::Time => {
            let comparison = analysis
                .time(e)
                .and_then(|times| times.comparisons.iter().find(|other| other.arm == arm));
            let Some(comparison) = comparison else {
                return ("log-rank test", Err(missing(trial, e, "log-rank test")));
            };
            if let Some(paired) = &comparison.paired {
                let test = "sign test within patients";
                let p = paired.as_ref().map(|paired| paired.p_value);
                return (test, some(p.map_err(Clone::clone), "sign test"));
            }
            match &comparison.stratified_log_rank {
                Some(found) => ("stratified log-rank test", p_of(found)),
                None => ("log-rank test", p_of(&comparison.log_rank)),
            }
        }
        Class::YesNo | Class::Response => {
            let effect = analysis
                .rate(e)
                .and_then(|rates| rates.effects.iter().find(|effect| effect.arm == arm));
            let Some(effect) = effect else {
                return (
                    "Fisher's exact test",
                    Err(missing(trial, e, "comparison of two arms")),
                );
            };
            if let Some(paired) = &effect.paired {
                let p = paired.as_ref().map(|paired| paired.p_value);
                let p = some(p.map_err(Clone::clone), "McNemar's test");
                return ("McNemar's exact test within patients", p);
            }
            match &effect.stratified {
                Some(found) => {
                    let p = found
                        .as_ref()
                        .map(|found| found.test.map(|test| test.p_value));
                    let p = some(p.map_err(Clone::clone), "Cochran-Mantel-Haenszel test");
                    ("Cochran-Mantel-Haenszel test", p)
                }
                None => ("Fisher's exact test", effect.fisher.clone()),
            }
        }
        Class::Number => {
            let name = if analysis.every_arm {
                "Student's test within patients"
            } else {
                "Welch's test"
            };
            let effect = analysis
                .number(e)
                .and_then(|numbers| numbers.effects.iter().find(|effect| effect.arm == arm));
            match effect {
                Some(effect) => (
                    name,
                    effect
                        .difference
                        .as_ref()
                        .map(|d| d.p_value)
                        .map_err(Clone::clone),
                ),
                None => (name, Err(missing(trial, e, "comparison of means"))),
            }
        }
    }
}

fn p_of(found: &Found<statistics::ChiSquaredTest>) -> Found<f64> {
    found
        .as_ref()
        .map(|test| test.p_value)
        .map_err(Clone::clone)
}

/// A p value that does not exist means that no patient differs.
fn some(p: Found<Option<f64>>, method: &'static str) -> Found<f64> {
    p?.ok_or(StatisticsError::AllZero { method })
}

fn missing(trial: &Trial, e: usize, method: &'static str) -> StatisticsError {
    StatisticsError::TooFew {
        name: trial.endpoints[e].title.clone(),
        method,
        count: 0,
        needed: 1,
    }
}
