//! Does the effect of treatment differ between subgroups? An estimate for each, a test of
//! interaction, and the heterogeneity of the estimates.
//!
//! Tests of interaction, and not tests within subgroups, after Pocock et al. 2002, Stat Med
//! 21:2917. Heterogeneity: Cochran 1954, Biometrics 10:101; Higgins and Thompson 2002, Stat Med
//! 21:1539.

use serde::{Deserialize, Serialize};

use super::error::{require_count, require_finite, require_level, require_same_length};
use super::least_squares::least_squares;
use super::subgroup_parts::{
    arm_of, assemble, effect, interaction_columns, likelihood_ratio, logistic_interaction, members,
    named, require_products,
};
use super::tails::{fisher_upper, normal_critical};
use super::{
    ChiSquaredTest, Covariate, DifferenceInterval, Estimate, GroupVariance, StatisticsError,
    SurvivalSample, TwoArms, cox, detectable_hazard_ratio, mean_difference,
};

pub(super) const METHOD: &str = "subgroup analysis";

/// Effect of treatment in one subgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubgroupEffect {
    /// Subgroup.
    pub name: String,
    /// Treated patients.
    pub treated: usize,
    /// Control patients.
    pub control: usize,
    /// Patients with the event; `None` for means.
    pub events: Option<usize>,
    /// Hazard ratio, odds ratio, or difference; `None` if the subgroup does not determine it.
    pub effect: Option<Estimate>,
    /// Standard error, on the logarithm for ratios.
    pub standard_error: Option<f64>,
    /// Why there is no estimate.
    pub reason: Option<String>,
}

impl SubgroupEffect {
    /// The hazard ratio below one that the subgroup's events show with this power: how large an
    /// effect the subgroup can have without the trial seeing it. See
    /// [`detectable_hazard_ratio`].
    ///
    /// # Errors
    /// [`StatisticsError::Setting`] without events or with an empty arm.
    pub fn detectable_hazard_ratio(&self, alpha: f64, power: f64) -> Result<f64, StatisticsError> {
        let share = self.treated as f64 / (self.treated + self.control) as f64;
        detectable_hazard_ratio(self.events.unwrap_or(0) as f64, share, alpha, power)
    }
}

/// Test of the hypothesis that all subgroups share one effect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct InteractionTest {
    /// Likelihood ratio or Q (chi-squared), or F.
    pub statistic: f64,
    /// Subgroups with patients, less one.
    pub degrees: usize,
    /// Residual degrees of freedom of an F test.
    pub residual_degrees: Option<usize>,
    /// P value.
    pub p_value: f64,
}

/// Spread of several estimates of one effect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Heterogeneity {
    /// Estimate weighted by inverse variance, with its normal interval.
    pub pooled: Estimate,
    /// Cochran's Q.
    pub q: ChiSquaredTest,
    /// Share of the spread that is not chance (I squared), 0 to 1.
    pub i_squared: f64,
}

/// Effects in all subgroups and their comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubgroupAnalysis {
    /// One entry per subgroup, in the order of `names`.
    pub effects: Vec<SubgroupEffect>,
    /// Test of interaction; `None` if it cannot be done.
    pub interaction: Option<InteractionTest>,
    /// Why there is no test of interaction.
    pub reason: Option<String>,
    /// Heterogeneity of the estimates, on the logarithm for ratios; `None` with fewer than two.
    pub heterogeneity: Option<Heterogeneity>,
}

/// Heterogeneity of `(estimate, standard error)` of independent groups.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than two estimates, `NotFinite`, `Setting` for a
/// standard error that is not positive, `Level`.
pub fn heterogeneity(
    estimates: &[(f64, f64)],
    level: f64,
) -> Result<Heterogeneity, StatisticsError> {
    require_level(level)?;
    require_count("heterogeneity", "estimates", estimates.len(), 2)?;
    let values: Vec<f64> = estimates.iter().map(|e| e.0).collect();
    require_finite("estimates", &values)?;
    if let Some(&(_, value)) = estimates.iter().find(|e| !(e.1 > 0.0 && e.1.is_finite())) {
        return Err(StatisticsError::Setting {
            method: "heterogeneity",
            name: "standard error",
            value,
            range: "above zero",
        });
    }
    let weights: Vec<f64> = estimates.iter().map(|e| e.1.powi(-2)).collect();
    let total: f64 = weights.iter().sum();
    let value = super::linear::dot(&weights, &values) / total;
    let squares = weights.iter().zip(&values);
    let q: f64 = squares.map(|(w, x)| w * (x - value).powi(2)).sum();
    let degrees = estimates.len() - 1;
    let margin = normal_critical(level) / total.sqrt();
    Ok(Heterogeneity {
        pooled: Estimate {
            value,
            low: value - margin,
            high: value + margin,
            level,
        },
        q: ChiSquaredTest::new(q, degrees),
        i_squared: if q > 0.0 {
            ((q - degrees as f64) / q).max(0.0)
        } else {
            0.0
        },
    })
}

/// Hazard ratios in subgroups, each from its own model. The interaction is the likelihood ratio
/// test of the products of arm and subgroup in a Cox model with both.
///
/// `groups[i]` is the index into `names` of patient `i`.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than two subgroups, `LengthsDiffer`, `Setting` for an
/// index beyond `names`, `Level`. What a single subgroup does not determine is no error.
pub fn survival_subgroups(
    sample: &SurvivalSample,
    treated: &[bool],
    groups: &[usize],
    names: &[String],
    level: f64,
) -> Result<SubgroupAnalysis, StatisticsError> {
    require_level(level)?;
    let members = members(sample.len(), treated, groups, names)?;
    let effects: Vec<SubgroupEffect> = members
        .iter()
        .zip(names)
        .map(|(members, name)| {
            let fit = sample.select(members).and_then(|patients| {
                let arm = arm_of(treated, members);
                cox(&patients, &[arm], None, level)
            });
            let fit = fit.map(|fit| {
                let arm = &fit.coefficients[0];
                (arm.hazard_ratio, arm.standard_error)
            });
            let events = members.iter().filter(|&&i| sample.events()[i]).count();
            effect(name, treated, members, Some(events), fit)
        })
        .collect();
    let (main, products) = interaction_columns(treated, groups);
    let all: Vec<Covariate> = main.iter().chain(&products).cloned().collect();
    let reduced = require_products(&products).and_then(|()| cox(sample, &main, None, level));
    let test = reduced.and_then(|reduced| {
        let full = cox(sample, &all, None, level)?;
        Ok(likelihood_ratio(
            full.log_likelihood - reduced.log_likelihood,
            products.len(),
        ))
    });
    Ok(assemble(effects, test, true, level))
}

/// Scale of the effect on a yes or no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BinaryScale {
    /// Odds ratio (Woolf); the interaction is the likelihood ratio test of a logistic model.
    #[default]
    OddsRatio,
    /// Risk difference (Newcombe's interval); the interaction is Cochran's Q of the differences
    /// with their Wald variances.
    RiskDifference,
}

/// Effects on a yes or no endpoint in subgroups, one table each.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than two subgroups, `LengthsDiffer`, `Level`.
pub fn binary_subgroups(
    tables: &[TwoArms],
    names: &[String],
    scale: BinaryScale,
    level: f64,
) -> Result<SubgroupAnalysis, StatisticsError> {
    require_level(level)?;
    require_count(METHOD, "subgroups", tables.len(), 2)?;
    require_same_length("tables", tables.len(), "names", names.len())?;
    let effects: Vec<SubgroupEffect> = tables
        .iter()
        .zip(names)
        .map(|(table, name)| {
            let (x1, n1, x2, n2) = table.numbers();
            let estimate = match scale {
                BinaryScale::OddsRatio => table.odds_ratio(level).map(|odds| {
                    let cells = [x1, n1 - x1, x2, n2 - x2];
                    let error = cells.iter().map(|count| count.recip()).sum::<f64>().sqrt();
                    (odds, error)
                }),
                BinaryScale::RiskDifference => table
                    .risk_difference(DifferenceInterval::Newcombe, level)
                    .map(|difference| {
                        let (p1, p2) = table.rates();
                        let variance = p1 * (1.0 - p1) / n1 + p2 * (1.0 - p2) / n2;
                        (difference, variance.sqrt())
                    }),
            };
            let (treated, control) = (table.treated(), table.control());
            let events = (treated.0 + control.0) as usize;
            let sizes = (treated.1 as usize, control.1 as usize);
            named(name, sizes, Some(events), estimate)
        })
        .collect();
    let test = match scale {
        BinaryScale::OddsRatio => logistic_interaction(tables, level),
        BinaryScale::RiskDifference => {
            let pairs: Vec<(f64, f64)> = effects
                .iter()
                .filter_map(|e| Some((e.effect?.value, e.standard_error?)))
                .collect();
            heterogeneity(&pairs, level).map(|h| InteractionTest {
                statistic: h.q.statistic,
                degrees: h.q.degrees,
                residual_degrees: None,
                p_value: h.q.p_value,
            })
        }
    };
    let ratio = scale == BinaryScale::OddsRatio;
    Ok(assemble(effects, test, ratio, level))
}

/// Mean differences in subgroups (Welch). The interaction is the F test of the products of arm
/// and subgroup in a linear model with both.
///
/// `groups[i]` is the index into `names` of patient `i`.
///
/// # Errors
/// As [`survival_subgroups`], and `NotFinite`.
pub fn mean_subgroups(
    values: &[f64],
    treated: &[bool],
    groups: &[usize],
    names: &[String],
    level: f64,
) -> Result<SubgroupAnalysis, StatisticsError> {
    require_level(level)?;
    require_finite("values", values)?;
    let members = members(values.len(), treated, groups, names)?;
    let effects: Vec<SubgroupEffect> = members
        .iter()
        .zip(names)
        .map(|(members, name)| {
            let of = |arm: bool| -> Vec<f64> {
                let kept = members.iter().filter(|&&i| treated[i] == arm);
                kept.map(|&i| values[i]).collect()
            };
            let fit = mean_difference(&of(true), &of(false), GroupVariance::Separate, level)
                .map(|fit| (fit.difference, fit.standard_error));
            effect(name, treated, members, None, fit)
        })
        .collect();
    let (main, products) = interaction_columns(treated, groups);
    let all: Vec<Covariate> = main.iter().chain(&products).cloned().collect();
    let reduced = require_products(&products).and_then(|()| least_squares(values, &main, level));
    let test = reduced.and_then(|reduced| {
        let full = least_squares(values, &all, level)?;
        let degrees = reduced.degrees - full.degrees;
        let gain = (reduced.residual_squares - full.residual_squares).max(0.0) / degrees as f64;
        let statistic = gain / full.residual_sd.powi(2);
        Ok(InteractionTest {
            statistic,
            degrees,
            residual_degrees: Some(full.degrees),
            p_value: fisher_upper(statistic, degrees as f64, full.degrees as f64),
        })
    });
    Ok(assemble(effects, test, false, level))
}
