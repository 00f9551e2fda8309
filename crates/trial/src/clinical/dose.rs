//! How much of the planned treatment a patient received.
//!
//! Dose intensity is dose per time; relative to the planned one it tells delays and reductions
//! together: Hryniuk and Bush 1984, J Clin Oncol 2:1281.

use super::error::{ClinicalError, require_same_length};

/// A dose below this share of the planned one is reduced; above, it is rounding.
const REDUCED_BELOW: f64 = 1.0 - 1e-6;

/// Planned and given administrations of one drug, one entry per planned administration.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// When each was due.
    pub due: &'a [f64],
    /// Planned amounts.
    pub planned: &'a [f64],
    /// When each was given, on the same clock; anything (NaN, say) if it was not.
    pub times: &'a [f64],
    /// Amounts given; zero if it was left out.
    pub given: &'a [f64],
    /// Planned time from the last administration to the end of its cycle.
    pub last_cycle: f64,
    /// Lateness that does not count as a delay.
    pub grace: f64,
}

/// What became of a course.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DoseSummary {
    /// Total amount given.
    pub given: f64,
    /// Total amount planned.
    pub planned: f64,
    /// Administrations with any amount.
    pub administrations: usize,
    /// Administrations left out, those after an early end of treatment included.
    pub omitted: usize,
    /// Administrations with less than planned, but not nothing.
    pub reduced: usize,
    /// Smallest share of the planned amount among those given; 1 if none was given.
    pub lowest_share: f64,
    /// Administrations later after the previous one than planned.
    pub delayed: usize,
    /// Sum of these delays.
    pub delay: f64,
    /// Share of the planned total that was given; NaN if nothing was planned.
    pub relative_dose: f64,
    /// Dose per time on treatment, relative to what was planned up to the last administration:
    /// 1 for whoever stops early but was treated as planned until then. Time on treatment lasts
    /// from when the first administration was due to the end of the last one's cycle. NaN if
    /// nothing was given.
    pub relative_dose_intensity: f64,
}

/// Total, delays, reductions and intensity of a course.
///
/// # Errors
/// If the columns differ in length.
pub fn summarise(course: &Course<'_>) -> Result<DoseSummary, ClinicalError> {
    let count = course.due.len();
    require_same_length(("due", count), ("planned", course.planned.len()))?;
    require_same_length(("due", count), ("times", course.times.len()))?;
    require_same_length(("due", count), ("given", course.given.len()))?;
    let mut summary = DoseSummary {
        lowest_share: 1.0,
        ..DoseSummary::default()
    };
    // last administration, how late it was, and what was planned up to it
    let mut last: Option<(usize, f64, f64)> = None;
    for k in 0..count {
        let (planned, given) = (course.planned[k], course.given[k]);
        summary.planned += planned;
        if given.is_nan() || given <= 0.0 {
            if planned > 0.0 {
                summary.omitted += 1;
            }
            continue;
        }
        summary.given += given;
        summary.administrations += 1;
        if given < planned * REDUCED_BELOW {
            summary.reduced += 1;
            summary.lowest_share = summary.lowest_share.min(given / planned);
        }
        let late = course.times[k] - course.due[k];
        // a postponed cycle moves all that follow; only its own lateness is its delay
        let delay = late - last.map_or(0.0, |(_, late_before, _)| late_before);
        if delay > course.grace {
            summary.delayed += 1;
            summary.delay += delay;
        }
        last = Some((k, late, summary.planned));
    }
    summary.relative_dose = ratio(summary.given, summary.planned);
    summary.relative_dose_intensity = last.map_or(f64::NAN, |(k, late, planned)| {
        let next = course.due.get(k + 1);
        let cycle = next.map_or(course.last_cycle, |next| next - course.due[k]);
        let planned_time = course.due[k] - course.due[0] + cycle;
        relative_dose_intensity(summary.given, planned_time + late, planned, planned_time)
    });
    Ok(summary)
}

/// Relative dose intensity from totals: `(given / time) / (planned / planned_time)`; NaN if a
/// denominator is not positive.
pub fn relative_dose_intensity(given: f64, time: f64, planned: f64, planned_time: f64) -> f64 {
    ratio(given, time) / ratio(planned, planned_time)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { f64::NAN }
}
