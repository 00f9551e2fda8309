//! Tumour markers such as PSA: confirmed falls, confirmed rises from the nadir, largest change.
//!
//! The rules for PSA are those of the Prostate Cancer Clinical Trials Working Group: PCWG2, Scher
//! et al. 2008, J Clin Oncol 26:1148; PCWG3, Scher et al. 2016, J Clin Oncol 34:1402. Two choices
//! that the papers leave to the protocol are parameters, with these defaults:
//!
//! * The confirming value is the first one measured at least 3 weeks after the first. It must
//!   meet the criterion itself, and so must every value measured between the two
//!   ([`Decline::sustained`], [`Rise::sustained`]): the values are consecutive.
//! * Before week 12 a rise does not count in a patient whose marker has not fallen below baseline
//!   yet, because the effect of a drug may come late ([`Rise::flare`]); after it, progression of
//!   such a patient is measured from baseline. That is what the rule for everybody, a rise from
//!   the smallest value so far, amounts to, since the smallest value is then the baseline.

use super::composite::TimeToEvent;
use super::series::{Series, at_least_after, falls_to, reaches};

/// A fall from baseline that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decline {
    /// Fraction of the baseline by which the value must fall.
    pub by: f64,
    /// Shortest time to the confirming value; zero: one value is enough.
    pub confirm: f64,
    /// Values measured between the two must meet the criterion, too.
    pub sustained: bool,
}

impl Decline {
    /// PSA50: 50 %, confirmed at least 3 weeks later. `day`: its size in the unit of the times.
    pub const fn psa50(day: f64) -> Self {
        Self {
            by: 0.5,
            confirm: 21.0 * day,
            sustained: true,
        }
    }
}

/// A rise above the nadir that counts as progression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// Fraction of the smallest value so far by which the value must rise.
    pub by: f64,
    /// Least rise, in the unit of the marker; together with `by`.
    pub at_least: f64,
    /// Shortest time to the confirming value; zero: one value is enough.
    pub confirm: f64,
    /// Values measured between the two must meet the criterion, too.
    pub sustained: bool,
    /// Time from baseline before which a rise does not count in a patient without any fall.
    pub flare: f64,
}

impl Rise {
    /// PSA progression of PCWG3: 25 % and 2 ng/mL above the nadir, confirmed at least 3 weeks
    /// later; without a fall only from week 12 on. Both arguments are sizes in the units of the
    /// series: of 1 ng/mL and of a day.
    pub const fn pcwg3(nanogram_per_millilitre: f64, day: f64) -> Self {
        Self {
            by: 0.25,
            at_least: 2.0 * nanogram_per_millilitre,
            confirm: 21.0 * day,
            sustained: true,
            flare: 84.0 * day,
        }
    }
}

/// A criterion that was met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Met {
    /// Time of the first value that met it: the date of the event.
    pub first: f64,
    /// Time of the value that confirmed it: when it was known.
    pub known: f64,
}

/// The largest change of a marker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestChange {
    /// Relative to baseline, the most favourable after baseline: -0.5 is a fall by half.
    pub change: f64,
    /// When it was measured.
    pub time: f64,
}

/// The first confirmed fall; nothing if there was none, or no baseline.
pub fn decline(series: &Series<'_>, rule: &Decline) -> Option<Met> {
    let bound = series.baseline()? * (1.0 - rule.by);
    let low = |value: f64| falls_to(value, bound);
    series
        .measured()
        .skip(1)
        .filter(|&(_, _, value)| low(value))
        .find_map(|(visit, time, _)| {
            confirm(series, (visit, time), rule.confirm, rule.sustained, low)
        })
}

/// Time of the first confirmed rise above the smallest value so far, or else censored at the last
/// measured value; a rise that the last values could not confirm does not count. With the event
/// comes the time at which it was known.
pub fn rise(series: &Series<'_>, rule: &Rise) -> (TimeToEvent, Option<f64>) {
    match first_rise(series, rule) {
        Some(met) => (TimeToEvent::event(met.first), Some(met.known)),
        None => (TimeToEvent::censored(series.last_measured()), None),
    }
}

fn first_rise(series: &Series<'_>, rule: &Rise) -> Option<Met> {
    let baseline = series.baseline()?;
    let mut nadir = baseline;
    for (visit, time, value) in series.measured().skip(1) {
        let bound = (nadir * (1.0 + rule.by), nadir + rule.at_least);
        let high = |value: f64| reaches(value, bound.0) && reaches(value, bound.1);
        let counts = nadir < baseline || at_least_after(time, series.start(), rule.flare);
        if counts && high(value) {
            let met = confirm(series, (visit, time), rule.confirm, rule.sustained, high);
            if met.is_some() {
                return met;
            }
        }
        nadir = nadir.min(value);
    }
    None
}

/// Looks for the value that confirms the one of a visit.
fn confirm(
    series: &Series<'_>,
    (visit, time): (usize, f64),
    interval: f64,
    sustained: bool,
    meets: impl Fn(f64) -> bool,
) -> Option<Met> {
    if interval <= 0.0 {
        return Some(Met {
            first: time,
            known: time,
        });
    }
    for later in visit + 1..series.times().len() {
        let Some(value) = series.value(later) else {
            continue;
        };
        let known = series.times()[later];
        if at_least_after(known, time, interval) {
            return meets(value).then_some(Met { first: time, known });
        }
        if sustained && !meets(value) {
            return None;
        }
    }
    None
}

/// The most favourable change after baseline; nothing without baseline or any later value.
pub fn best_change(series: &Series<'_>) -> Option<BestChange> {
    let baseline = series.baseline()?;
    lowest(series.measured().skip(1)).map(|(time, value)| BestChange {
        change: value / baseline - 1.0,
        time,
    })
}

/// The smallest value, baseline included: when it was first measured, and the value.
pub fn nadir(series: &Series<'_>) -> Option<(f64, f64)> {
    lowest(series.measured())
}

fn lowest(measured: impl Iterator<Item = (usize, f64, f64)>) -> Option<(f64, f64)> {
    measured
        .map(|(_, time, value)| (time, value))
        .reduce(|least, next| if next.1 < least.1 { next } else { least })
}
