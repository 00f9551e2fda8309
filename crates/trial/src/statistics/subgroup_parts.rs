//! Pieces that the subgroup analyses share.

use super::error::{require_count, require_same_length};
use super::logistic::grouped_logistic;
use super::subgroups::{InteractionTest, METHOD, SubgroupAnalysis, SubgroupEffect, heterogeneity};
use super::{ChiSquaredTest, Covariate, Estimate, StatisticsError, TwoArms};

type Fitted = Result<(Estimate, f64), StatisticsError>;

pub(super) fn assemble(
    effects: Vec<SubgroupEffect>,
    test: Result<InteractionTest, StatisticsError>,
    ratio: bool,
    level: f64,
) -> SubgroupAnalysis {
    let pairs: Vec<(f64, f64)> = effects
        .iter()
        .filter_map(|e| {
            let value = e.effect?.value;
            Some((if ratio { value.ln() } else { value }, e.standard_error?))
        })
        .collect();
    let (interaction, reason) = match test {
        Ok(test) => (Some(test), None),
        Err(error) => (None, Some(error.to_string())),
    };
    SubgroupAnalysis {
        effects,
        interaction,
        reason,
        heterogeneity: heterogeneity(&pairs, level).ok(),
    }
}

pub(super) fn likelihood_ratio(gain: f64, degrees: usize) -> InteractionTest {
    let test = ChiSquaredTest::new((2.0 * gain).max(0.0), degrees);
    InteractionTest {
        statistic: test.statistic,
        degrees,
        residual_degrees: None,
        p_value: test.p_value,
    }
}

/// Patients of each subgroup.
pub(super) fn members(
    patients: usize,
    treated: &[bool],
    groups: &[usize],
    names: &[String],
) -> Result<Vec<Vec<usize>>, StatisticsError> {
    require_count(METHOD, "subgroups", names.len(), 2)?;
    require_same_length("patients", patients, "treated", treated.len())?;
    require_same_length("patients", patients, "subgroups", groups.len())?;
    let mut members = vec![Vec::new(); names.len()];
    for (i, &group) in groups.iter().enumerate() {
        match members.get_mut(group) {
            Some(list) => list.push(i),
            None => {
                return Err(StatisticsError::Setting {
                    method: METHOD,
                    name: "subgroup",
                    value: group as f64,
                    range: "less than the number of names",
                });
            }
        }
    }
    Ok(members)
}

pub(super) fn arm_of(treated: &[bool], members: &[usize]) -> Covariate {
    Covariate {
        name: "treated".to_owned(),
        values: (members.iter())
            .map(|&i| f64::from(u8::from(treated[i])))
            .collect(),
    }
}

/// Columns of a model with arm and subgroups, and the products of both. Subgroups without patients
/// have no column; the first of the others is the reference.
pub(super) fn interaction_columns(
    treated: &[bool],
    groups: &[usize],
) -> (Vec<Covariate>, Vec<Covariate>) {
    let everyone: Vec<usize> = (0..treated.len()).collect();
    let arm = arm_of(treated, &everyone);
    let mut present = groups.to_vec();
    present.sort_unstable();
    present.dedup();
    let (mut main, mut products) = (vec![arm.clone()], Vec::new());
    for group in present.into_iter().skip(1) {
        let inside = |i: usize| f64::from(u8::from(groups[i] == group));
        main.push(Covariate {
            name: format!("subgroup {group}"),
            values: everyone.iter().map(|&i| inside(i)).collect(),
        });
        products.push(Covariate {
            name: format!("treated x subgroup {group}"),
            values: everyone
                .iter()
                .map(|&i| arm.values[i] * inside(i))
                .collect(),
        });
    }
    (main, products)
}

/// Refuses an interaction of fewer than two subgroups with patients.
pub(super) fn require_products(products: &[Covariate]) -> Result<(), StatisticsError> {
    require_count(METHOD, "subgroups with patients", products.len() + 1, 2)
}

pub(super) fn effect(
    name: &str,
    treated: &[bool],
    members: &[usize],
    events: Option<usize>,
    fit: Fitted,
) -> SubgroupEffect {
    let count = members.iter().filter(|&&i| treated[i]).count();
    named(name, (count, members.len() - count), events, fit)
}

pub(super) fn named(
    name: &str,
    (treated, control): (usize, usize),
    events: Option<usize>,
    fit: Fitted,
) -> SubgroupEffect {
    let (effect, standard_error, reason) = match fit {
        Ok((estimate, error)) => (Some(estimate), Some(error), None),
        Err(error) => (None, None, Some(error.to_string())),
    };
    SubgroupEffect {
        name: name.to_owned(),
        treated,
        control,
        events,
        effect,
        standard_error,
        reason,
    }
}

/// Likelihood ratio of one rate for each arm and subgroup against arm plus subgroup on the log
/// odds.
pub(super) fn logistic_interaction(
    tables: &[TwoArms],
    level: f64,
) -> Result<InteractionTest, StatisticsError> {
    let (mut successes, mut trials) = (Vec::new(), Vec::new());
    let (mut treated, mut groups) = (Vec::new(), Vec::new());
    for (index, table) in tables.iter().enumerate() {
        let (x1, n1, x2, n2) = table.numbers();
        successes.extend([x1, x2]);
        trials.extend([n1, n2]);
        treated.extend([true, false]);
        groups.extend([index, index]);
    }
    let (main, _) = interaction_columns(&treated, &groups);
    let reduced = grouped_logistic(&successes, &trials, &main, level)?;
    let term = |count: f64, all: f64| {
        if count > 0.0 {
            count * (count / all).ln()
        } else {
            0.0
        }
    };
    let saturated: f64 = successes
        .iter()
        .zip(&trials)
        .map(|(&x, &n)| term(x, n) + term(n - x, n))
        .sum();
    let gain = saturated - reduced.log_likelihood;
    Ok(likelihood_ratio(gain, tables.len() - 1))
}
