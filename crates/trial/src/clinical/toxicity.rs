//! Worst grades of toxicities (CTCAE), dose-limiting toxicity and tables of grades.

use super::error::{ClinicalError, require_same_length};

/// Grades of CTCAE: 0 (none) to 5 (death).
pub const GRADES: usize = 6;

/// The worst grade seen from `from` to `to`, both included; nothing if nothing was seen then.
pub fn worst_grade(times: &[f64], grades: &[Option<u8>], from: f64, to: f64) -> Option<u8> {
    times
        .iter()
        .zip(grades)
        .filter(|&(&time, _)| time >= from && time <= to)
        .filter_map(|(_, &grade)| grade)
        .max()
}

/// Time of the first grade of at least `grade`.
pub fn first_at_grade(times: &[f64], grades: &[Option<u8>], grade: u8) -> Option<f64> {
    times
        .iter()
        .zip(grades)
        .find(|&(_, seen)| seen.is_some_and(|seen| seen >= grade))
        .map(|(&time, _)| time)
}

/// Dose-limiting toxicity within a window from the start of treatment: yes, no, or not evaluable
/// (the patient left, without one, before the window was over; dose-finding rules replace such
/// patients). `first` is the time of the first toxicity that would be dose-limiting.
pub fn dose_limiting(first: Option<f64>, window: f64, observed_until: f64) -> Option<bool> {
    let seen = first.is_some_and(|time| time <= window && time <= observed_until);
    if seen {
        Some(true)
    } else {
        (observed_until >= window).then_some(false)
    }
}

/// How many patients had which worst grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GradeCounts {
    /// Patients by worst grade.
    pub counts: [u64; GRADES],
    /// Patients of whom nothing was seen.
    pub missing: u64,
}

impl GradeCounts {
    /// Counts a patient.
    ///
    /// # Errors
    /// If the grade is above 5.
    pub fn add(&mut self, worst: Option<u8>) -> Result<(), ClinicalError> {
        let count = match worst {
            None => &mut self.missing,
            Some(grade) => self
                .counts
                .get_mut(usize::from(grade))
                .ok_or(ClinicalError::Grade { grade })?,
        };
        *count += 1;
        Ok(())
    }

    /// Adds the patients of another shard.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.missing += other.missing;
    }

    /// Patients of whom something was seen.
    pub fn evaluable(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Patients with this grade or worse.
    pub fn at_least(&self, grade: u8) -> u64 {
        self.counts.iter().skip(usize::from(grade)).sum()
    }
}

/// Worst grades of several patients, by arm.
///
/// # Errors
/// If the columns differ in length, an arm does not exist (`arms` is how many there are), or a
/// grade is above 5.
pub fn by_arm(
    arm: &[u32],
    worst: &[Option<u8>],
    arms: usize,
) -> Result<Vec<GradeCounts>, ClinicalError> {
    require_same_length(("arm", arm.len()), ("worst", worst.len()))?;
    let mut table = vec![GradeCounts::default(); arms];
    for (&arm, &worst) in arm.iter().zip(worst) {
        table
            .get_mut(arm as usize)
            .ok_or(ClinicalError::Arm { arm, arms })?
            .add(worst)?;
    }
    Ok(table)
}
