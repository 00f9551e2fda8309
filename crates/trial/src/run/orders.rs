//! What is kept of treatment that a clinician ordered: the same figures as of a regimen.

use std::collections::BTreeSet;

use posology_cohort::Cohort;

use super::TrialError;
use super::clinician::{Ordered, Orders, cycles};
use super::piece::planned_amount;
use super::plan::ArmPlan;
use super::result::{ArmResult, CourseResult, GivenResult};
use crate::protocol::reason;

/// Inputs that may be given, ascending.
pub(super) fn inputs(orders: &Orders) -> Vec<usize> {
    let inputs: BTreeSet<usize> = orders.drugs.iter().map(|drug| drug.input).collect();
    inputs.into_iter().collect()
}

/// Writes doses, course of treatment and dose levels at visits; `leaves`: when patients leave,
/// model time.
pub(super) fn written(
    plan: &ArmPlan<'_>,
    orders: &Orders,
    ordered: &Ordered,
    people: &Cohort,
    leaves: &[f64],
    out: &mut ArmResult,
) -> Result<(), TrialError> {
    let refuse = |message: String| match &plan.arm.trained {
        Some(policy) => policy.refuse(message, "this patient cannot be dosed"),
        None => posology_model::diagnostic::Diagnostics::new(),
    };
    let amounts = ordered.given(orders, &plan.model, people, refuse)?;
    if plan.machine.is_some() && !orders.drugs.is_empty() {
        out.course = Some(course(
            plan,
            orders,
            ordered,
            (people, leaves),
            &amounts,
            out,
        ));
    }
    if let Some(visits) = &mut out.visits {
        let count = visits.times.len();
        let mut level = vec![0.0f64; count * people.len()];
        for (drug, amounts) in orders.drugs.iter().zip(&amounts) {
            let planned = single(plan, people, drug.input);
            for (decision, time) in orders.times().enumerate() {
                // doses between two visits are shown at the earlier one
                let at = visits
                    .times
                    .partition_point(|&visit| visit <= time * (1.0 + 1e-9));
                let Some(visit) = at.checked_sub(1) else {
                    continue;
                };
                for (p, planned) in planned.iter().enumerate() {
                    let amount = amounts[p * orders.decisions + decision];
                    if amount > 0.0 {
                        let share = planned.map_or(1.0, |planned| amount / planned);
                        let known = &mut level[p * count + visit];
                        *known = known.max(share);
                    }
                }
            }
        }
        visits.level = level;
    }
    out.given = Some(GivenResult {
        orders: orders.clone(),
        amounts,
    });
    Ok(())
}

fn course(
    plan: &ArmPlan<'_>,
    orders: &Orders,
    ordered: &Ordered,
    (people, leaves): (&Cohort, &[f64]),
    amounts: &[Vec<f64>],
    out: &ArmResult,
) -> CourseResult {
    let (n, count) = (people.len(), orders.decisions);
    let with_dose = |p: usize| {
        let given = |&d: &usize| amounts.iter().any(|row| row[p * count + d] > 0.0);
        (0..count).filter(given).count() as f64
    };
    let end = |p: usize| {
        let decided = f64::from(ordered.decisions[p]) * orders.every;
        decided.min(out.until[p]).max(0.0)
    };
    let why = |p: usize| {
        let code = if leaves[p] < plan.trial.horizon && leaves[p] < count as f64 * orders.every {
            reason::DROPOUT
        } else {
            reason::NONE
        };
        // the end of an episode is no rule of a protocol
        f64::from(if ordered.ended[p] {
            reason::FIRST_RULE
        } else {
            code
        })
    };
    let mut course = CourseResult {
        cycles: (0..n).map(with_dose).collect(),
        delays: vec![0.0; n],
        reductions: vec![0.0; n],
        treated_until: (0..n).map(end).collect(),
        reason: (0..n).map(why).collect(),
        inputs: inputs(orders),
        ..CourseResult::default()
    };
    for &input in &course.inputs {
        let total = |p: usize| -> f64 {
            let drugs = orders.drugs.iter().zip(amounts);
            let of = drugs.filter(|(drug, _)| drug.input == input);
            of.map(|(drug, row)| {
                let given: f64 = row[p * count..(p + 1) * count].iter().sum();
                given * drug.at.len() as f64
            })
            .sum()
        };
        let dose: Vec<f64> = (0..n).map(total).collect();
        let cycles = plan
            .regimen()
            .map(|regimen| cycles(regimen, plan.trial.horizon));
        let planned = planned_amount(plan, people, input);
        let share = dose
            .iter()
            .zip(&planned)
            .map(|(dose, planned)| match cycles {
                Some(cycles) if *planned > 0.0 => dose / (planned * cycles),
                _ => f64::NAN,
            });
        course.intensity.push(share.collect());
        course.dose.push(dose);
    }
    course
}

/// One dose of the regimen for each patient, in the input's unit; `None` where the arm has no
/// regimen of it.
fn single(plan: &ArmPlan<'_>, people: &Cohort, input: usize) -> Vec<Option<f64>> {
    let doses: usize = plan.regimen().map_or(0, |regimen| {
        let series = regimen.series.iter().filter(|series| series.input == input);
        series.map(|series| series.offsets.len()).sum()
    });
    let planned = planned_amount(plan, people, input).into_iter();
    let one = |amount: f64| (doses > 0 && amount > 0.0).then(|| amount / doses as f64);
    planned.map(one).collect()
}
