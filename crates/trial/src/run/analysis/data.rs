//! Who is analysed, and columns of them.

use crate::Trial;
use crate::design::Class;
use crate::run::arms::{CohortResult, strata};
use crate::statistics::{StatisticsError, SurvivalSample};

use super::Found;

/// The analysed patients of a cohort.
pub(super) struct Data<'a> {
    pub trial: &'a Trial,
    pub result: &'a CohortResult,
    /// Positions in each arm's members.
    pub positions: Vec<Vec<usize>>,
    /// Stratum of each patient of the cohort; `None` without strata or with patients in every arm.
    pub strata: Option<Vec<u32>>,
    /// Seed, and number of the cohort.
    pub streams: (u64, u32),
}

impl<'a> Data<'a> {
    pub fn new(trial: &'a Trial, result: &'a CohortResult, streams: (u64, u32)) -> Self {
        let stratified = !result.every_arm && !trial.allocation.strata.is_empty();
        Self {
            trial,
            result,
            positions: result.analysed(),
            strata: stratified.then(|| strata(trial, &result.cohort)),
            streams,
        }
    }

    /// Confidence level.
    pub fn level(&self) -> f64 {
        self.trial.analysis.level
    }

    pub fn control(&self) -> usize {
        self.trial.analysis.control
    }

    /// Every arm but the control.
    pub fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let control = self.control();
        (0..self.result.arms.len()).filter(move |&arm| arm != control)
    }

    pub fn title(&self, arm: usize) -> &'a str {
        &self.trial.arms[arm].title
    }

    /// Analysed positions of an arm whose endpoint exists.
    pub fn known(&self, e: usize, arm: usize) -> Vec<usize> {
        let result = &self.result.arms[arm];
        let n = result.members.len();
        let (values, events) = (&result.values[e], &result.events[e]);
        let number = self.trial.endpoints[e].class() == Class::Number;
        let timed = self.trial.endpoints[e].class() == Class::Time;
        let exists = |&k: &usize| {
            let value = values.len() == n && (values[k].is_finite());
            let event = number || events.len() == n;
            event && (value || !(number || timed))
        };
        self.positions[arm].iter().copied().filter(exists).collect()
    }

    /// Positions, the same in both arms, of patients in every arm whose endpoint exists in the arm
    /// and in the control.
    pub fn pairs(&self, e: usize, arm: usize) -> Vec<usize> {
        let control = self.known(e, self.control());
        self.known(e, arm)
            .into_iter()
            .filter(|k| control.binary_search(k).is_ok())
            .collect()
    }

    /// Index in the cohort of a position in an arm.
    pub fn patient(&self, arm: usize, position: usize) -> usize {
        self.result.arms[arm].members[position]
    }

    pub fn values(&self, e: usize, arm: usize, positions: &[usize]) -> Vec<f64> {
        let values = &self.result.arms[arm].values[e];
        positions.iter().map(|&k| values[k]).collect()
    }

    pub fn events(&self, e: usize, arm: usize, positions: &[usize]) -> Vec<bool> {
        let events = &self.result.arms[arm].events[e];
        positions.iter().map(|&k| events[k]).collect()
    }

    /// Patients of an arm with the event.
    pub fn count(&self, e: usize, arm: usize, positions: &[usize]) -> usize {
        let events = &self.result.arms[arm].events[e];
        positions.iter().filter(|&&k| events[k]).count()
    }

    /// Follow-up of some patients of an arm.
    pub fn sample(&self, e: usize, arm: usize, positions: &[usize]) -> Found<SurvivalSample> {
        SurvivalSample::new(
            self.title(arm),
            self.values(e, arm, positions),
            self.events(e, arm, positions),
        )
    }

    /// Strata of some patients of an arm.
    pub fn strata_of(&self, arm: usize, positions: &[usize]) -> Option<Vec<u32>> {
        let strata = self.strata.as_ref()?;
        Some(
            positions
                .iter()
                .map(|&k| strata[self.patient(arm, k)])
                .collect(),
        )
    }

    /// That an arm has nothing to analyse.
    pub fn nothing(&self, method: &'static str, arm: usize) -> StatisticsError {
        StatisticsError::TooFew {
            name: self.title(arm).to_owned(),
            method,
            count: 0,
            needed: 1,
        }
    }
}
