//! Right-censored survival times of one group.

use super::StatisticsError;
use super::error::{require_count, require_finite, require_same_length};

/// Follow-up of one group of patients: a time each, and whether it ended with the event.
#[derive(Debug, Clone, PartialEq)]
pub struct SurvivalSample {
    name: String,
    times: Vec<f64>,
    events: Vec<bool>,
}

impl SurvivalSample {
    /// Checks and keeps one group.
    ///
    /// `times`: one per patient, in any one unit, from the patient's own start. `events`: `true`
    /// for an event at that time, `false` for the end of follow-up without it.
    ///
    /// # Errors
    /// [`StatisticsError::TooFew`] if empty, `LengthsDiffer`, `NotFinite` or `NegativeTime`.
    pub fn new(
        name: impl Into<String>,
        times: Vec<f64>,
        events: Vec<bool>,
    ) -> Result<Self, StatisticsError> {
        let name = name.into();
        require_same_length(
            &format!("{name}, times"),
            times.len(),
            &format!("{name}, events"),
            events.len(),
        )?;
        require_count("survival analysis", &name, times.len(), 1)?;
        require_finite(&name, &times)?;
        if let Some(index) = times.iter().position(|&time| time < 0.0) {
            return Err(StatisticsError::NegativeTime {
                value: times[index],
                name,
                index,
            });
        }
        Ok(Self {
            name,
            times,
            events,
        })
    }

    /// Name of the group, as shown in tables and messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Follow-up times, one per patient.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Event indicators, one per patient.
    pub fn events(&self) -> &[bool] {
        &self.events
    }

    /// Number of patients (never zero).
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Number of patients with the event.
    pub fn event_count(&self) -> usize {
        self.events.iter().filter(|&&event| event).count()
    }

    /// Longest follow-up.
    pub fn last_time(&self) -> f64 {
        self.times.iter().copied().fold(0.0, f64::max)
    }

    /// The same group with patients drawn by index, as a bootstrap does. Indices out of range
    /// are skipped.
    ///
    /// # Errors
    /// [`StatisticsError::TooFew`] if no index is in range.
    pub fn select(&self, indices: &[usize]) -> Result<Self, StatisticsError> {
        let kept = || indices.iter().filter(|&&index| index < self.times.len());
        Self::new(
            self.name.clone(),
            kept().map(|&index| self.times[index]).collect(),
            kept().map(|&index| self.events[index]).collect(),
        )
    }
}
