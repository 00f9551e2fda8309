//! Endpoints that are numbers.

use serde::Serialize;

use crate::statistics::{
    Estimate, GroupVariance, StatisticsError, Summary, geometric_mean_ratio, mean_difference,
    mean_interval, paired_difference,
};

use super::Found;
use super::data::Data;

/// A number in every arm.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Index of the endpoint.
    pub endpoint: usize,
    /// One per arm in which it exists.
    pub arms: Vec<NumberArm>,
    /// Arms in which it does not, and why.
    pub without: Vec<(usize, StatisticsError)>,
    /// Every arm but the control against the control.
    pub effects: Vec<NumberEffect>,
}

/// A number in one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberArm {
    /// Index of the arm.
    pub arm: usize,
    /// Analysed patients for whom it does not exist.
    pub missing: usize,
    /// With Student's interval.
    pub mean: Estimate,
    /// 25 %, 50 % and 75 % quantiles.
    pub quartiles: [f64; 3],
    /// Number of patients, spread and range.
    pub summary: Summary,
    /// Where every value is positive.
    pub geometric: Option<Geometric>,
}

/// A positive number on the logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Geometric {
    /// Geometric mean with its interval.
    pub mean: Estimate,
    /// Geometric coefficient of variation, a fraction: the root of exp(variance of the
    /// logarithms) - 1.
    pub cv: f64,
}

/// An arm against the control: within patients who were in both, else two groups (Welch).
#[derive(Clone, Debug)]
pub struct NumberEffect {
    /// Index of the arm.
    pub arm: usize,
    /// Arm minus control.
    pub difference: Found<Difference>,
    /// Arm over control, of geometric means; `None` where a value is not positive.
    pub ratio: Option<Found<Ratio>>,
}

/// Mean difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// With Student's interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Two-sided p value of Student's or Welch's test.
    pub p_value: f64,
}

/// Ratio of geometric means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// With its interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Two-sided p value.
    pub p_value: f64,
}

pub(super) fn numbers(data: &Data<'_>, e: usize) -> Numbers {
    let title = &data.trial.endpoints[e].title;
    let (mut arms, mut without) = (Vec::new(), Vec::new());
    for arm in 0..data.result.arms.len() {
        let known = data.known(e, arm);
        let values = data.values(e, arm, &known);
        let missing = data.positions[arm].len() - known.len();
        match described(title, &values, data.level()) {
            Ok((mean, summary)) => arms.push(NumberArm {
                arm,
                missing,
                mean,
                quartiles: [summary.q1, summary.median, summary.q3],
                summary,
                geometric: geometric(title, &values, data.level()),
            }),
            Err(reason) => without.push((arm, reason)),
        }
    }
    Numbers {
        endpoint: e,
        effects: data.others().map(|arm| effect(data, e, arm)).collect(),
        arms,
        without,
    }
}

fn described(title: &str, values: &[f64], level: f64) -> Found<(Estimate, Summary)> {
    Ok((
        mean_interval(title, values, level)?,
        Summary::of(title, values)?,
    ))
}

fn positive(values: &[f64]) -> bool {
    values.iter().all(|&value| value > 0.0)
}

fn logarithms(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.ln()).collect()
}

fn exponential(estimate: Estimate) -> Estimate {
    Estimate {
        value: estimate.value.exp(),
        low: estimate.low.exp(),
        high: estimate.high.exp(),
        level: estimate.level,
    }
}

fn geometric(title: &str, values: &[f64], level: f64) -> Option<Geometric> {
    if !positive(values) {
        return None;
    }
    let logs = logarithms(values);
    let (mean, summary) = described(title, &logs, level).ok()?;
    Some(Geometric {
        mean: exponential(mean),
        cv: (summary.sd * summary.sd).exp_m1().sqrt(),
    })
}

fn effect(data: &Data<'_>, e: usize, arm: usize) -> NumberEffect {
    let (level, control) = (data.level(), data.control());
    if data.result.every_arm {
        let pairs = data.pairs(e, arm);
        let (own, other) = (data.values(e, arm, &pairs), data.values(e, control, &pairs));
        let ratio = (positive(&own) && positive(&other)).then(|| {
            let found = paired_difference(&logarithms(&own), &logarithms(&other), level)?;
            Ok(Ratio {
                estimate: exponential(found.mean),
                p_value: found.p_value,
            })
        });
        return NumberEffect {
            arm,
            difference: paired_difference(&own, &other, level).map(|found| Difference {
                estimate: found.mean,
                p_value: found.p_value,
            }),
            ratio,
        };
    }
    let column = |arm: usize| data.values(e, arm, &data.known(e, arm));
    let (own, other) = (column(arm), column(control));
    let ratio = (positive(&own) && positive(&other)).then(|| {
        let found = geometric_mean_ratio(&own, &other, GroupVariance::Separate, level)?;
        Ok(Ratio {
            estimate: found.ratio,
            p_value: found.p_value,
        })
    });
    let found = mean_difference(&own, &other, GroupVariance::Separate, level);
    NumberEffect {
        arm,
        difference: found.map(|found| Difference {
            estimate: found.difference,
            p_value: found.p_value,
        }),
        ratio,
    }
}
