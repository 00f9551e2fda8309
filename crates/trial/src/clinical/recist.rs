//! Objective response by RECIST 1.1 from sums of diameters of target lesions: Eisenhauer et al.
//! 2009, Eur J Cancer 45:228, sections 4.3 and 4.4.
//!
//! A model has one sum of diameters, so the response of the target lesions is the overall
//! response: there are no non-target and no new lesions.
//!
//! * **CR**: the sum is at most [`Criteria::complete`]. In patients, lesions disappear and nodes
//!   shrink below 10 mm; the size of a model never becomes zero, so whoever wants complete
//!   responses says below what sum nothing would be seen. The default, zero, is the letter of
//!   the guideline.
//! * **PR**: at least 30 % below baseline. **PD**: at least 20 % and 5 mm above the smallest sum
//!   so far, baseline included; it goes before PR. **SD**: neither. **NE**: not measured, or no
//!   baseline.
//! * A sum above the limit after CR is what its size makes it. Lesions that reappear after a
//!   true CR are PD; but here they have hardly grown (otherwise the sum would be PD by its
//!   increase), and then "the original CR should be changed to PR" (table 3, footnote): CR is
//!   confirmed by CR only, but counts as PR where PR is to be confirmed.
//! * Best overall response: the best up to and including the first PD. SD counts once a scan
//!   other than PD lies at least [`Criteria::stable_for`] after baseline; earlier ones are NE
//!   (table 3).
//! * Confirmation ([`Confirmation`]) is asked for in trials without randomisation whose primary
//!   endpoint is response (section 4.6); it is off by default.

use super::composite::TimeToEvent;
use super::error::{ClinicalError, require_same_length};
use super::series::{Series, at_least_after, falls_to, reaches};

/// Response, from best to worst.
///
/// The codes are those of ADaM response data sets made with admiralonco (`aval_resp`), where 4
/// stands for non-CR/non-PD, which needs non-target lesions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Response {
    /// CR.
    Complete = 1,
    /// PR.
    Partial = 2,
    /// SD.
    Stable = 3,
    /// PD.
    Progressive = 5,
    /// NE.
    NotEvaluable = 6,
}

impl Response {
    /// All of them, from best to worst.
    pub const ALL: [Self; 5] = [
        Self::Complete,
        Self::Partial,
        Self::Stable,
        Self::Progressive,
        Self::NotEvaluable,
    ];

    /// The number that stands for it in data sets.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What a number stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|response| response.code() == code)
    }

    /// `CR`, `PR`, `SD`, `PD` or `NE`.
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::Complete => "CR",
            Self::Partial => "PR",
            Self::Stable => "SD",
            Self::Progressive => "PD",
            Self::NotEvaluable => "NE",
        }
    }

    /// CR or PR.
    pub const fn is_objective(self) -> bool {
        matches!(self, Self::Complete | Self::Partial)
    }
}

/// When a response counts as confirmed: by a second one at least `after` later, without PD and
/// with few other scans between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confirmation {
    /// Shortest time between the two scans.
    pub after: f64,
    /// Most scans between them that were not evaluable (PR, NE, PR is confirmed: section 4.4).
    pub not_evaluable: u32,
    /// Most scans with SD between two PR (zero: PR, SD, PR is SD).
    pub stable: u32,
}

/// The rules, in the caller's units of length and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criteria {
    /// Fall from baseline that makes PR, as a fraction.
    pub shrinkage: f64,
    /// Rise from the smallest sum that makes PD, as a fraction; together with the next.
    pub growth: f64,
    /// Rise from the smallest sum that makes PD, as a length.
    pub growth_length: f64,
    /// A sum of at most this is CR.
    pub complete: f64,
    /// Responses have to be confirmed.
    pub confirmation: Option<Confirmation>,
    /// SD counts from this time after baseline.
    pub stable_for: f64,
    /// PD after more missed scans in a row than this is censored at the last scan before them
    /// (one, in the FDA guidance on endpoints for cancer drugs, 2018); without it every PD counts.
    pub most_missed: Option<u32>,
}

impl Criteria {
    /// RECIST 1.1 without confirmation and shortest duration of SD, CR at a sum of zero.
    /// `millimetre`: its size in the unit of the sums.
    pub const fn recist_1_1(millimetre: f64) -> Self {
        Self {
            shrinkage: 0.30,
            growth: 0.20,
            growth_length: 5.0 * millimetre,
            complete: 0.0,
            confirmation: None,
            stable_for: 0.0,
            most_missed: None,
        }
    }

    /// With confirmation at least 4 weeks later, one scan that is not evaluable allowed between.
    /// `day`: its size in the unit of the times.
    #[must_use]
    pub const fn confirmed(mut self, day: f64) -> Self {
        self.confirmation = Some(Confirmation {
            after: 28.0 * day,
            not_evaluable: 1,
            stable: 0,
        });
        self
    }
}

/// What a patient's scans amount to. Times are those of the scans; subtract the first visit's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// Sum at the first visit.
    pub baseline: Option<f64>,
    /// Best overall response, confirmed if that was asked for.
    pub best: Response,
    /// When the response that counts was first seen: its first scan, not the confirming one.
    pub first_response: Option<f64>,
    /// First PD; otherwise censored at the last evaluable scan.
    pub progression: TimeToEvent,
    /// From the first response to progression, if there was a response.
    pub duration: Option<TimeToEvent>,
    /// Most favourable relative change from baseline up to the first PD (-0.3: 30 % smaller), for
    /// the waterfall plot.
    pub best_change: Option<f64>,
    /// Smallest sum up to the first PD, baseline included: time and sum.
    pub nadir: Option<(f64, f64)>,
    /// Evaluable scans after baseline, up to the first PD.
    pub scans: usize,
}

/// The response at every scan, into `responses` (one per visit; the baseline visit gets NE).
///
/// # Errors
/// If `responses` has another length than the series.
pub fn classify(
    series: &Series<'_>,
    criteria: &Criteria,
    responses: &mut [Response],
) -> Result<(), ClinicalError> {
    require_same_length(
        ("visits", series.times().len()),
        ("responses", responses.len()),
    )?;
    responses.fill(Response::NotEvaluable);
    let Some(baseline) = series.baseline() else {
        return Ok(());
    };
    let mut nadir = baseline;
    for (visit, _, sum) in series.measured().skip(1) {
        responses[visit] = if falls_to(sum, criteria.complete) {
            Response::Complete
        } else if reaches(sum, nadir * (1.0 + criteria.growth))
            && reaches(sum, nadir + criteria.growth_length)
        {
            Response::Progressive
        } else if falls_to(sum, baseline * (1.0 - criteria.shrinkage)) {
            Response::Partial
        } else {
            Response::Stable
        };
        nadir = nadir.min(sum);
    }
    Ok(())
}

/// Best overall response and the time of the first scan of a response that counts, from the
/// responses at each visit (the first is the baseline visit and is not looked at). Scans after
/// the first PD do not count.
///
/// # Errors
/// If there are no visits, or the columns differ in length.
pub fn best_overall(
    times: &[f64],
    responses: &[Response],
    criteria: &Criteria,
) -> Result<(Response, Option<f64>), ClinicalError> {
    require_same_length(("visits", times.len()), ("responses", responses.len()))?;
    let Some(&start) = times.first() else {
        return Err(ClinicalError::NoVisit);
    };
    let mut best = Response::NotEvaluable;
    let mut first = None;
    for visit in 1..times.len() {
        let response = responses[visit];
        let settled = at_least_after(times[visit], start, criteria.stable_for);
        let counts_as = match response {
            Response::Complete | Response::Partial => {
                match confirmed(times, responses, visit, criteria.confirmation) {
                    Some(level) => {
                        first = first.or(Some(times[visit]));
                        level
                    }
                    None if settled => Response::Stable,
                    None => Response::NotEvaluable,
                }
            }
            Response::Stable if !settled => Response::NotEvaluable,
            other => other,
        };
        best = best.min(counts_as);
        if response == Response::Progressive {
            break;
        }
    }
    Ok((best, first))
}

/// What the response at `visit` counts as; nothing if it is not confirmed.
fn confirmed(
    times: &[f64],
    responses: &[Response],
    visit: usize,
    rule: Option<Confirmation>,
) -> Option<Response> {
    let Some(rule) = rule else {
        return Some(responses[visit]);
    };
    let (mut missing, mut stable) = (0, 0);
    // CR as long as nothing but CR was seen since
    let mut complete = responses[visit] == Response::Complete;
    let mut partial = false;
    for later in visit + 1..times.len() {
        match responses[later] {
            Response::NotEvaluable => missing += 1,
            Response::Progressive => break,
            Response::Stable => {
                complete = false;
                stable += 1;
            }
            response => {
                complete &= response == Response::Complete;
                if at_least_after(times[later], times[visit], rule.after) {
                    if complete {
                        return Some(Response::Complete);
                    }
                    partial = true;
                }
            }
        }
        if partial || missing > rule.not_evaluable || stable > rule.stable {
            break;
        }
    }
    partial.then_some(Response::Partial)
}

/// Everything about one patient's scans. `responses` receives the response at every visit.
///
/// # Errors
/// If `responses` has another length than the series.
pub fn assess(
    series: &Series<'_>,
    criteria: &Criteria,
    responses: &mut [Response],
) -> Result<Assessment, ClinicalError> {
    classify(series, criteria, responses)?;
    let times = series.times();
    let (best, first_response) = best_overall(times, responses, criteria)?;
    let Some(baseline) = series.baseline() else {
        return Ok(Assessment {
            baseline: None,
            best,
            first_response,
            progression: TimeToEvent::censored(series.start()),
            duration: None,
            best_change: None,
            nadir: None,
            scans: 0,
        });
    };
    let mut nadir = (series.start(), baseline);
    let mut smallest = f64::INFINITY;
    let mut scans = 0;
    let mut last = (0, series.start());
    let mut progression = None;
    for (visit, time, sum) in series.measured().skip(1) {
        scans += 1;
        smallest = smallest.min(sum);
        if sum < nadir.1 {
            nadir = (time, sum);
        }
        if responses[visit] == Response::Progressive {
            let missed = (visit - last.0 - 1) as u64;
            let seen_in_time = criteria
                .most_missed
                .is_none_or(|most| missed <= u64::from(most));
            progression = Some(if seen_in_time {
                TimeToEvent::event(time)
            } else {
                TimeToEvent::censored(last.1)
            });
            break;
        }
        last = (visit, time);
    }
    let progression = progression.unwrap_or(TimeToEvent::censored(last.1));
    Ok(Assessment {
        baseline: Some(baseline),
        best,
        first_response,
        progression,
        duration: first_response.map(|since| progression.since(since)),
        best_change: (scans > 0).then(|| smallest / baseline - 1.0),
        nadir: Some(nadir),
        scans,
    })
}
