//! Which of several events came first.

use crate::statistics::{
    Band, ChiSquaredTest, CompetingSample, CumulativeIncidence, Estimate, gray_test,
    stratified_gray_test,
};

use super::Found;
use super::data::Data;

/// Competing risks of a composite.
#[derive(Clone, Debug)]
pub struct Competing {
    /// One per event of the composite.
    pub causes: Vec<Cause>,
}

/// One event of a composite, where it was the first.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Index of its endpoint.
    pub endpoint: usize,
    /// One per arm.
    pub arms: Vec<Found<CauseArm>>,
    /// (arm, Gray's test of equal incidence against the control), within the strata of the
    /// randomisation where there are any.
    pub comparisons: Vec<(usize, Found<ChiSquaredTest>)>,
}

/// One event of a composite in one arm.
#[derive(Clone, Debug)]
pub struct CauseArm {
    /// Index of the arm.
    pub arm: usize,
    /// Patients in whom it came first.
    pub events: usize,
    /// Its incidence (Aalen and Johansen), in the unit of the composite.
    pub curve: CumulativeIncidence,
    /// (time, incidence up to then)
    pub at: Vec<(f64, Option<Estimate>)>,
}

pub(super) fn competing(data: &Data<'_>, e: usize, parts: &[usize], at: &[f64]) -> Competing {
    let arms = 0..data.result.arms.len();
    let samples: Vec<Found<CompetingSample>> =
        arms.map(|arm| sample(data, e, parts, arm)).collect();
    let strata: Option<Vec<Vec<u32>>> = (0..samples.len())
        .map(|arm| data.strata_of(arm, &data.known(e, arm)))
        .collect();
    let control = data.control();
    let causes = parts.iter().enumerate().map(|(index, &endpoint)| {
        let cause = index as u32 + 1;
        let one = |(arm, sample): (usize, &Found<CompetingSample>)| {
            let sample = sample.as_ref().map_err(Clone::clone)?;
            let curve = CumulativeIncidence::fit(sample, cause);
            let mut known = Vec::new();
            for &time in at {
                let incidence = curve.incidence_interval(time, Band::LogLog, data.level())?;
                known.push((time, incidence));
            }
            Ok(CauseArm {
                arm,
                events: sample.event_count(cause),
                curve,
                at: known,
            })
        };
        let test = |arm: usize| {
            let own = samples[arm].as_ref().map_err(Clone::clone)?;
            let other = samples[control].as_ref().map_err(Clone::clone)?;
            let groups = [other, own];
            let found = match &strata {
                Some(strata) => {
                    stratified_gray_test(&groups, &[&strata[control], &strata[arm]], cause)
                }
                None => gray_test(&groups, cause),
            };
            found.map(|found| found.test)
        };
        Cause {
            endpoint,
            arms: samples.iter().enumerate().map(one).collect(),
            comparisons: data.others().map(|arm| (arm, test(arm))).collect(),
        }
    });
    Competing {
        causes: causes.collect(),
    }
}

/// The cause of a patient is the first of the events whose time is that of the composite.
fn sample(data: &Data<'_>, e: usize, parts: &[usize], arm: usize) -> Found<CompetingSample> {
    let (trial, result) = (data.trial, &data.result.arms[arm]);
    let known = data.known(e, arm);
    let scale = |endpoint: usize| trial.model.units.scale(&trial.endpoints[endpoint].unit);
    let cause = |&k: &usize| {
        if !result.events[e][k] {
            return 0;
        }
        let mut first = (f64::INFINITY, 0);
        for (index, &part) in parts.iter().enumerate() {
            let happened = result.events[part].get(k) == Some(&true);
            let time = result.values[part][k] * scale(part);
            if happened && time < first.0 {
                first = (time, index as u32 + 1);
            }
        }
        first.1
    };
    let causes = known.iter().map(cause).collect();
    CompetingSample::new(data.title(arm), data.values(e, arm, &known), causes)
}
