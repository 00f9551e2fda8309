//! Follow-up of one group of patients with several kinds of event.

use crate::statistics::error::require_same_length;
use crate::statistics::{StatisticsError, SurvivalSample};

/// Follow-up of one group: a time each, and the cause that ended it.
#[derive(Debug, Clone, PartialEq)]
pub struct CompetingSample {
    times: SurvivalSample,
    causes: Vec<u32>,
}

impl CompetingSample {
    /// Checks and keeps one group.
    ///
    /// `times`: one per patient, in any one unit, from the patient's own start. `causes`: 0 for
    /// the end of follow-up without any event, otherwise the number of the event.
    ///
    /// # Errors
    /// As [`SurvivalSample::new`].
    pub fn new(
        name: impl Into<String>,
        times: Vec<f64>,
        causes: Vec<u32>,
    ) -> Result<Self, StatisticsError> {
        let name = name.into();
        require_same_length(
            &format!("{name}, times"),
            times.len(),
            &format!("{name}, causes"),
            causes.len(),
        )?;
        let events = causes.iter().map(|&cause| cause != 0).collect();
        Ok(Self {
            times: SurvivalSample::new(name, times, events)?,
            causes,
        })
    }

    /// Name of the group, as shown in tables and messages.
    pub fn name(&self) -> &str {
        self.times.name()
    }

    /// Follow-up times, one per patient.
    pub fn times(&self) -> &[f64] {
        self.times.times()
    }

    /// Causes, one per patient; 0 means censored.
    pub fn causes(&self) -> &[u32] {
        &self.causes
    }

    /// Number of patients (never zero).
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.causes.len()
    }

    /// Number of patients with an event of this cause.
    pub fn event_count(&self, cause: u32) -> usize {
        self.causes.iter().filter(|&&other| other == cause).count()
    }

    /// Time to the first event of any cause.
    pub fn any_cause(&self) -> &SurvivalSample {
        &self.times
    }
}
