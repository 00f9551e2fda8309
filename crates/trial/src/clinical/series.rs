//! What was measured of one patient.

use super::error::{ClinicalError, require_same_length};

/// Rounding that comparisons of times forgive, relative to the time: 28 d is not missed because
/// two device clocks (single precision) differ in the last digit.
const TIME_SLACK: f64 = 1e-6;
/// Rounding that comparisons of values forgive, relative to the reference: 63 mm is 30 % below
/// 90 mm, though 0.7 * 90 is less than 63 in binary.
const VALUE_SLACK: f64 = 1e-9;

/// Values of one patient at planned visits, the first of them the baseline.
///
/// A value counts as measured if its flag is set and it is a number.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    times: &'a [f64],
    values: &'a [f64],
    measured: &'a [bool],
}

impl<'a> Series<'a> {
    /// Three columns of equal length, visits in order of time. `measured` is false where a visit
    /// was missed or the patient had left.
    ///
    /// # Errors
    /// If the columns are empty or differ in length, or the times do not increase.
    pub fn new(
        times: &'a [f64],
        values: &'a [f64],
        measured: &'a [bool],
    ) -> Result<Self, ClinicalError> {
        require_same_length(("times", times.len()), ("values", values.len()))?;
        require_same_length(("times", times.len()), ("measured", measured.len()))?;
        let Some(first) = times.first() else {
            return Err(ClinicalError::NoVisit);
        };
        if !first.is_finite() {
            return Err(ClinicalError::TimeOrder {
                index: 0,
                time: *first,
            });
        }
        let disorder = times
            .windows(2)
            .position(|pair| !(pair[1] > pair[0] && pair[1].is_finite()));
        if let Some(before) = disorder {
            return Err(ClinicalError::TimeOrder {
                index: before + 1,
                time: times[before + 1],
            });
        }
        Ok(Self {
            times,
            values,
            measured,
        })
    }

    /// Visits up to and including a time; always at least the baseline visit.
    #[must_use]
    pub fn until(&self, end: f64) -> Self {
        let count = self.times.partition_point(|&time| time <= end).max(1);
        Self {
            times: &self.times[..count],
            values: &self.values[..count],
            measured: &self.measured[..count],
        }
    }

    /// Times of all visits, measured or not; never empty.
    pub fn times(&self) -> &'a [f64] {
        self.times
    }

    /// The value of a visit, if it was measured.
    pub fn value(&self, visit: usize) -> Option<f64> {
        match (self.measured.get(visit), self.values.get(visit)) {
            (Some(true), Some(&value)) if value.is_finite() => Some(value),
            _ => None,
        }
    }

    /// The first visit's value: measured and positive, so that changes can be relative to it.
    pub fn baseline(&self) -> Option<f64> {
        self.value(0).filter(|&value| value > 0.0)
    }

    /// Time of the baseline visit.
    pub fn start(&self) -> f64 {
        self.times[0]
    }

    /// Measured visits in order of time: index, time, value.
    pub fn measured(&self) -> impl Iterator<Item = (usize, f64, f64)> + '_ {
        self.times
            .iter()
            .enumerate()
            .filter_map(|(visit, &time)| self.value(visit).map(|value| (visit, time, value)))
    }

    /// Time of the last measured visit; of the baseline visit if there is none.
    pub fn last_measured(&self) -> f64 {
        self.measured()
            .last()
            .map_or(self.start(), |(_, time, _)| time)
    }
}

/// Whether `time` is at least `interval` after `from`, but for rounding.
pub(super) fn at_least_after(time: f64, from: f64, interval: f64) -> bool {
    time - from >= interval - TIME_SLACK * time.abs().max(from.abs())
}

/// `value >= bound`, but for rounding.
pub(super) fn reaches(value: f64, bound: f64) -> bool {
    value >= bound - VALUE_SLACK * bound.abs()
}

/// `value <= bound`, but for rounding.
pub(super) fn falls_to(value: f64, bound: f64) -> bool {
    value <= bound + VALUE_SLACK * bound.abs()
}
