//! Who benefits less, and who is harmed more: effects in subgroups, tests of interaction, and what
//! this many patients could have shown.

mod question;

use serde::Serialize;

use crate::design::Class;
use crate::run::group_of;
use crate::statistics::{ChiSquaredTest, Estimate, Heterogeneity, InteractionTest};

use super::Found;
use super::data::Data;
use super::toxicity::{severe, with_severe};
use question::Question;

/// Power of the smallest effects that are stated.
pub const POWER: f64 = 0.8;

/// One way to divide the patients.
#[derive(Clone, Debug)]
pub struct SubgroupFactor {
    /// Index in the trial's subgroups.
    pub factor: usize,
    /// Analysed patients in none of its groups.
    pub outside: usize,
    /// The primary endpoint, then grade 3 or worse of every toxicity.
    pub outcomes: Vec<SubgroupOutcome>,
}

/// What is asked in subgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubgroupQuestion {
    /// An endpoint.
    Endpoint(usize),
    /// Grade 3 or worse of one of the model's toxicities.
    Severe(usize),
}

/// Scale of an effect, arm against control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Of a time to an event.
    HazardRatio,
    /// Of something that happens or not.
    RiskDifference,
    /// Of a number.
    MeanDifference,
}

/// One question in the groups of one factor.
#[derive(Clone, Debug)]
pub struct SubgroupOutcome {
    /// What is asked.
    pub question: SubgroupQuestion,
    /// Scale of the effects.
    pub measure: Measure,
    /// Every arm but the control against the control.
    pub comparisons: Vec<SubgroupComparison>,
}

/// An arm against the control in the groups of one factor.
#[derive(Clone, Debug)]
pub struct SubgroupComparison {
    /// Index of the arm.
    pub arm: usize,
    /// The effect in all patients.
    pub overall: Found<Estimate>,
    /// Name of the test of interaction.
    pub test: &'static str,
    /// Test that all groups share one effect, or why there is none.
    pub interaction: Result<InteractionTest, String>,
    /// Spread of the groups' effects.
    pub heterogeneity: Option<Heterogeneity>,
    /// Cochran's Q of the effects within patients, where the same patients were in both.
    pub interaction_within: Option<Found<ChiSquaredTest>>,
    /// One per group, in the order of the file.
    pub rows: Vec<SubgroupRow>,
}

/// One group.
#[derive(Clone, Debug)]
pub struct SubgroupRow {
    /// Index of the group.
    pub group: usize,
    /// Patients of the arm.
    pub own: ArmCount,
    /// Patients of the control.
    pub control: ArmCount,
    /// The effect, or why there is none.
    pub effect: Result<Estimate, String>,
    /// Smallest effects that this many patients show with a power of 80 %.
    pub detectable: Found<Detectable>,
    /// Smallest gap between this group's effect and that of all others which a test of interaction
    /// shows with a power of 80 %: a ratio of hazard ratios below one (its inverse above), or a
    /// difference of differences.
    pub detectable_gap: Found<f64>,
    /// Effects within patients, where the same patients were in both.
    pub within: Option<Found<Within>>,
}

/// Patients of one arm in one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ArmCount {
    /// Patients.
    pub patients: usize,
    /// Patients with the event; `None` for numbers.
    pub events: Option<usize>,
}

/// Smallest effects on either side of no effect; `None` where no effect is large enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Detectable {
    /// Below no effect.
    pub below: Option<f64>,
    /// Above no effect.
    pub above: Option<f64>,
}

/// Effects within the patients of a group: arm minus control of times (in the endpoint's unit, at
/// most the horizon), of numbers, or of having the event (1) or not (0).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Within {
    /// Patients.
    pub patients: usize,
    /// Mean difference, with Student's interval.
    pub mean: Estimate,
    /// Its standard error.
    pub standard_error: f64,
    /// Share in whom the arm's value is larger.
    pub larger: Estimate,
    /// Share in whom the arm's value is smaller.
    pub smaller: Estimate,
    /// Smallest mean difference that this many patients show with a power of 80 %.
    pub detectable: Option<f64>,
}

/// What each patient of an arm contributes.
struct Row {
    /// Position in the arm.
    position: usize,
    group: usize,
    value: f64,
    event: bool,
}

pub(super) fn subgroups(data: &Data<'_>) -> Vec<SubgroupFactor> {
    let trial = data.trial;
    let questions: Vec<SubgroupQuestion> =
        std::iter::once(SubgroupQuestion::Endpoint(trial.analysis.primary))
            .chain(with_severe(data).into_iter().map(SubgroupQuestion::Severe))
            .collect();
    let one = |(factor, subgroups): (usize, &crate::design::Subgroups)| {
        let of_patient = group_of(trial, subgroups, &data.result.cohort);
        let outside = |arm: usize| {
            let positions = data.positions[arm].iter();
            let out = |k: &&usize| of_patient[data.patient(arm, **k)].is_none();
            positions.filter(out).count()
        };
        let outside = if data.result.every_arm {
            outside(data.control())
        } else {
            (0..data.result.arms.len()).map(outside).sum()
        };
        let names: Vec<String> = subgroups
            .groups
            .iter()
            .map(|group| group.0.clone())
            .collect();
        let outcomes = questions.iter().map(|&question| {
            let measure = measure(data, question);
            let control = rows(data, question, data.control(), &of_patient);
            let comparisons = data.others().map(|arm| {
                let own = rows(data, question, arm, &of_patient);
                Question {
                    data,
                    question,
                    measure,
                    arm,
                    names: &names,
                }
                .answer(&own, &control)
            });
            SubgroupOutcome {
                question,
                measure,
                comparisons: comparisons.collect(),
            }
        });
        SubgroupFactor {
            factor,
            outside,
            outcomes: outcomes.collect(),
        }
    };
    trial.subgroups.iter().enumerate().map(one).collect()
}

fn measure(data: &Data<'_>, question: SubgroupQuestion) -> Measure {
    match question {
        SubgroupQuestion::Severe(_) => Measure::RiskDifference,
        SubgroupQuestion::Endpoint(e) => match data.trial.endpoints[e].class() {
            Class::Time => Measure::HazardRatio,
            Class::YesNo | Class::Response => Measure::RiskDifference,
            Class::Number => Measure::MeanDifference,
        },
    }
}

/// Patients outside all groups have the group `usize::MAX`.
fn rows(
    data: &Data<'_>,
    question: SubgroupQuestion,
    arm: usize,
    of_patient: &[Option<usize>],
) -> Vec<Row> {
    let group = |k: usize| of_patient[data.patient(arm, k)].unwrap_or(usize::MAX);
    match question {
        SubgroupQuestion::Severe(t) => severe(data, t, arm)
            .into_iter()
            .map(|(position, event)| Row {
                position,
                group: group(position),
                value: f64::from(u8::from(event)),
                event,
            })
            .collect(),
        SubgroupQuestion::Endpoint(e) => {
            let result = &data.result.arms[arm];
            let class = data.trial.endpoints[e].class();
            let row = |position: usize| {
                let event = result.events[e].get(position) == Some(&true);
                let value = match class {
                    Class::Time | Class::Number => result.values[e][position],
                    Class::YesNo | Class::Response => f64::from(u8::from(event)),
                };
                Row {
                    position,
                    group: group(position),
                    value,
                    event,
                }
            };
            data.known(e, arm).into_iter().map(row).collect()
        }
    }
}
