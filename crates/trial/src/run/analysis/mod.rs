//! What the arms did: every endpoint by arm and against the control arm, toxicities, the course of
//! treatment, subgroups, and which claims hold when all are made at once.
//!
//! With each patient in every arm, a comparison is one of each patient with himself; the usual
//! comparisons of two groups are kept beside it. With parallel groups only the latter exist. A
//! number that cannot be computed is kept as its reason.

mod claims;
mod competing;
mod course;
mod data;
mod numbers;
mod rates;
mod sensitivity;
mod subgroups;
mod times;
mod toxicity;
mod wins;

use crate::Trial;
use crate::design::Class;
use crate::statistics::StatisticsError;

use super::TrialError;
use super::arms::CohortResult;
use data::Data;

pub use claims::{Claim, Claims};
pub use competing::{Cause, CauseArm, Competing};
pub use course::{ArmCourse, StopReason};
pub use numbers::{Difference, Geometric, NumberArm, NumberEffect, Numbers, Ratio};
pub use rates::{PairedRates, RateArm, RateEffect, Rates};
pub use sensitivity::{Scenario, Sensitivity};
pub use subgroups::{
    ArmCount, Detectable, Measure, SubgroupComparison, SubgroupFactor, SubgroupOutcome,
    SubgroupQuestion, SubgroupRow, Within,
};
pub(super) use times::reported;
pub use times::{ArmTimes, Comparison, Times};
pub use toxicity::{ToxicityArm, ToxicityEffect, ToxicityTable};
pub use wins::{WinComparison, Wins};

/// A number, or why there is none.
pub type Found<T> = Result<T, StatisticsError>;

/// Patients of one arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ArmPatients {
    /// Patients who entered the arm.
    pub entered: usize,
    /// Patients analysed.
    pub analysed: usize,
    /// Patients whose simulation of this arm did not complete.
    pub diverged: usize,
}

/// One cohort.
#[derive(Clone, Debug)]
pub struct CohortAnalysis {
    /// Each patient went through every arm.
    pub every_arm: bool,
    /// Patients analysed: those who completed every arm they went through.
    pub patients: usize,
    /// Patients left out because an arm did not complete.
    pub excluded: usize,
    /// One per arm.
    pub arms: Vec<ArmPatients>,
    /// One per endpoint that is a time to an event.
    pub times: Vec<Times>,
    /// One per endpoint that happens or not, and per best response.
    pub rates: Vec<Rates>,
    /// One per endpoint that is a number.
    pub numbers: Vec<Numbers>,
    /// One per toxicity of the model.
    pub toxicities: Vec<ToxicityTable>,
    /// The course of treatment of each arm that is given under visits.
    pub courses: Vec<ArmCourse>,
    /// The tests of the primary and the secondary endpoints.
    pub claims: Claims,
    /// One per way to divide the patients.
    pub subgroups: Vec<SubgroupFactor>,
    /// Win ratios, if the trial asks for them.
    pub wins: Option<Wins>,
    /// The primary time to an event under other assumptions, arm by arm.
    pub sensitivity: Vec<Sensitivity>,
}

impl CohortAnalysis {
    /// Analyses what a cohort did. `number` tells the cohort's random numbers (of the bootstrap)
    /// from those of others.
    ///
    /// # Errors
    /// [`TrialError::NobodyCompleted`] if an arm has fewer than two patients to analyse;
    /// otherwise what a statistic says of settings that it refuses.
    pub fn new(
        trial: &Trial,
        cohort: &CohortResult,
        seed: u64,
        number: u32,
    ) -> Result<Self, TrialError> {
        let data = Data::new(trial, cohort, (seed, number));
        if data.positions.iter().any(|arm| arm.len() < 2) {
            return Err(TrialError::NobodyCompleted {
                cohort: cohort.title.clone(),
            });
        }
        let patients = if cohort.every_arm {
            data.positions[0].len()
        } else {
            data.positions.iter().map(Vec::len).sum()
        };
        let entered = if cohort.every_arm {
            cohort.cohort.len()
        } else {
            cohort.arms.iter().map(|arm| arm.members.len()).sum()
        };
        let arms = cohort.arms.iter().zip(&data.positions);
        let arms = arms.map(|(arm, positions)| ArmPatients {
            entered: arm.members.len(),
            analysed: positions.len(),
            diverged: arm.members.len() - arm.complete().count(),
        });
        let (mut times, mut rates, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for (e, endpoint) in trial.endpoints.iter().enumerate() {
            match endpoint.class() {
                Class::Time => times.push(times::times(&data, e)?),
                Class::YesNo | Class::Response => rates.push(rates::rates(&data, e)),
                Class::Number => numbers.push(numbers::numbers(&data, e)),
            }
        }
        let mut out = Self {
            every_arm: cohort.every_arm,
            patients,
            excluded: entered - patients,
            arms: arms.collect(),
            times,
            rates,
            numbers,
            toxicities: toxicity::toxicities(&data),
            courses: course::courses(&data),
            claims: Claims::default(),
            subgroups: subgroups::subgroups(&data),
            wins: wins::wins(&data),
            sensitivity: sensitivity::sensitivity(&data),
        };
        out.claims = claims::claims(trial, &out)?;
        Ok(out)
    }

    /// The analysis of a time to an event.
    pub fn time(&self, endpoint: usize) -> Option<&Times> {
        self.times
            .iter()
            .find(|times| times.endpoint == Some(endpoint))
    }

    /// The analysis of an endpoint that happens or not, or of a best response.
    pub fn rate(&self, endpoint: usize) -> Option<&Rates> {
        self.rates.iter().find(|rates| rates.endpoint == endpoint)
    }

    /// The analysis of an endpoint that is a number.
    pub fn number(&self, endpoint: usize) -> Option<&Numbers> {
        self.numbers
            .iter()
            .find(|numbers| numbers.endpoint == endpoint)
    }
}
