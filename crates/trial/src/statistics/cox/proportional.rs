//! Check of proportional hazards: does a log hazard ratio change with time?
//!
//! Grambsch and Therneau 1994, Biometrika 81:515: the scaled Schoenfeld residual, and the score
//! test of theta = 0 in a coefficient beta + theta g(t). The score test uses the information
//! matrix of both parts, as `cox.zph` of R's survival package does from version 3, and not the
//! paper's approximation of constant variance.

use serde::{Deserialize, Serialize};

use super::likelihood::{Design, EventTime};
use super::{Covariate, CoxFit, PIVOT_TOLERANCE, check_columns};
use crate::statistics::error::require_same_length;
use crate::statistics::linear::{Cholesky, dot, mirror};
use crate::statistics::{ChiSquaredTest, KaplanMeier, StatisticsError, SurvivalSample};

/// The function g of time with which a coefficient may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeTransform {
    /// 1 - S(t-), with the Kaplan-Meier curve of all patients: robust to late, sparse events.
    #[default]
    KaplanMeier,
    /// The rank of the time among all follow-up times.
    Rank,
    /// The time itself.
    Identity,
}

/// Test of one covariate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProportionalHazardsTerm {
    /// Covariate.
    pub name: String,
    /// Score test of no change with time.
    pub test: ChiSquaredTest,
}

/// Result of the check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProportionalHazards {
    /// Function of time.
    pub transform: TimeTransform,
    /// One test per covariate.
    pub terms: Vec<ProportionalHazardsTerm>,
    /// Test of all covariates at once.
    pub global: ChiSquaredTest,
    /// Times of the events, ascending, in the unit of the sample.
    pub times: Vec<f64>,
    /// g at those times.
    pub transformed: Vec<f64>,
    /// One row per event and one column per covariate: the scaled Schoenfeld residual plus the
    /// coefficient, whose smooth over time shows beta(t). The variance is taken as the average
    /// over all events, in every stratum.
    pub residuals: Vec<Vec<f64>>,
}

struct Event {
    time: f64,
    transformed: f64,
    residual: Vec<f64>,
}

/// Tests whether the hazard ratios of `fit` change with time. `sample`, `covariates` and `strata`
/// must be those of the fit.
///
/// # Errors
/// [`StatisticsError::LengthsDiffer`] if `fit` has other covariates, `NotEstimable` if the events
/// are too few to see a change of a covariate with time, otherwise as [`super::cox`].
pub fn proportional_hazards(
    sample: &SurvivalSample,
    covariates: &[Covariate],
    strata: Option<&[u32]>,
    fit: &CoxFit,
    transform: TimeTransform,
) -> Result<ProportionalHazards, StatisticsError> {
    check_columns(sample, covariates, strata)?;
    require_same_length(
        "covariates",
        covariates.len(),
        "coefficients of the fit",
        fit.coefficients.len(),
    )?;
    let design = Design::new(sample, covariates, strata)?;
    let p = covariates.len();
    let beta: Vec<f64> = fit
        .coefficients
        .iter()
        .zip(&design.scales)
        .map(|(coefficient, scale)| coefficient.log_hazard_ratio * scale)
        .collect();
    let transformed = centred(transform_times(sample, transform), sample.events());
    let mut score = vec![0.0; p];
    let mut information = vec![vec![0.0; 2 * p]; 2 * p];
    let mut events = Vec::with_capacity(sample.event_count());
    design.walk(&beta, |time| {
        let g = transformed[time.tied[0]];
        let means = mean_of_means(time, p);
        add_information(&mut information, time, g);
        for row in design.dying_rows(time) {
            let residual: Vec<f64> = row.iter().zip(&means).map(|(x, mean)| x - mean).collect();
            for (score, value) in score.iter_mut().zip(&residual) {
                *score += g * value;
            }
            events.push(Event {
                time: sample.times()[time.tied[0]],
                transformed: g,
                residual,
            });
        }
    });
    mirror(&mut information);
    let blamed = |column: usize| StatisticsError::NotEstimable {
        covariate: covariates[column % p].name.clone(),
    };
    let test = |columns: &[usize]| -> Result<ChiSquaredTest, StatisticsError> {
        let kept: Vec<usize> = (0..p).chain(columns.iter().map(|j| p + j)).collect();
        let matrix: Vec<Vec<f64>> = kept
            .iter()
            .map(|&j| kept.iter().map(|&k| information[j][k]).collect())
            .collect();
        let factor = Cholesky::new(&matrix, PIVOT_TOLERANCE).map_err(|at| blamed(kept[at]))?;
        let mut gradient = vec![0.0; p];
        gradient.extend(columns.iter().map(|&j| score[j]));
        let statistic = dot(&gradient, &factor.solve(&gradient));
        Ok(ChiSquaredTest::new(statistic, columns.len()))
    };
    let mut terms = Vec::with_capacity(p);
    for (j, covariate) in covariates.iter().enumerate() {
        terms.push(ProportionalHazardsTerm {
            name: covariate.name.clone(),
            test: test(&[j])?,
        });
    }
    let global = test(&(0..p).collect::<Vec<_>>())?;

    let upper: Vec<Vec<f64>> = information[..p]
        .iter()
        .map(|row| row[..p].iter().map(|x| x / events.len() as f64).collect())
        .collect();
    let factor = Cholesky::new(&upper, PIVOT_TOLERANCE).map_err(blamed)?;
    events.sort_by(|a, b| a.time.total_cmp(&b.time));
    let centre = centre_of(&transform_times(sample, transform), sample.events());
    let residuals = events.iter().map(|event| {
        let scaled = factor.solve(&event.residual);
        (0..p)
            .map(|j| (scaled[j] + beta[j]) / design.scales[j])
            .collect()
    });
    Ok(ProportionalHazards {
        transform,
        terms,
        global,
        times: events.iter().map(|event| event.time).collect(),
        transformed: events.iter().map(|e| e.transformed + centre).collect(),
        residuals: residuals.collect(),
    })
}

/// Average over Efron's steps of the weighted covariate means.
fn mean_of_means(time: &EventTime, p: usize) -> Vec<f64> {
    let steps = time.events as f64;
    (0..p)
        .map(|j| {
            let sum: f64 = (0..time.events)
                .map(|removed| time.mean(removed as f64 / steps, j))
                .sum();
            sum / steps
        })
        .collect()
}

/// Lower triangle of the information on beta (first half) and theta (second half).
fn add_information(information: &mut [Vec<f64>], time: &EventTime, g: f64) {
    let p = information.len() / 2;
    for removed in 0..time.events {
        let share = removed as f64 / time.events as f64;
        for j in 0..p {
            for k in 0..=j {
                let spread = time.second(share, j, k) - time.mean(share, j) * time.mean(share, k);
                information[j][k] += spread;
                information[p + j][p + k] += g * g * spread;
                information[p + j][k] += g * spread;
                if j != k {
                    information[p + k][j] += g * spread;
                }
            }
        }
    }
}

/// g at every patient's time.
fn transform_times(sample: &SurvivalSample, transform: TimeTransform) -> Vec<f64> {
    match transform {
        TimeTransform::Identity => sample.times().to_vec(),
        TimeTransform::KaplanMeier => {
            let curve = KaplanMeier::fit(sample);
            let steps = curve.steps();
            let before = |time: f64| steps.partition_point(|step| step.time < time);
            sample
                .times()
                .iter()
                .map(|&time| {
                    let last = before(time).checked_sub(1);
                    1.0 - last.map_or(1.0, |index| steps[index].survival)
                })
                .collect()
        }
        TimeTransform::Rank => {
            let mut sorted = sample.times().to_vec();
            sorted.sort_by(f64::total_cmp);
            sample
                .times()
                .iter()
                .map(|&time| {
                    let below = sorted.partition_point(|&other| other < time);
                    let upto = sorted.partition_point(|&other| other <= time);
                    0.5 * (below + upto + 1) as f64
                })
                .collect()
        }
    }
}

/// Mean of g over the events.
fn centre_of(values: &[f64], events: &[bool]) -> f64 {
    let at_events = values.iter().zip(events).filter(|(_, event)| **event);
    let (sum, count) = at_events.fold((0.0, 0.0), |(sum, count), (value, _)| {
        (sum + value, count + 1.0)
    });
    sum / count
}

fn centred(values: Vec<f64>, events: &[bool]) -> Vec<f64> {
    let centre = centre_of(&values, events);
    values.into_iter().map(|value| value - centre).collect()
}
