//! Interim analyses of a replicate.

use serde::Serialize;

use super::tests_of::test;
use crate::design::Class;
use crate::sequential::{Decision, SequentialDesign};
use crate::statistics::{Estimate, StatisticsError, clopper_pearson};

/// What is known of every patient of a chunk; times in the endpoint's unit.
pub(super) struct Patients {
    pub value: Vec<f64>,
    pub event: Vec<bool>,
    /// After the trial opened.
    pub entry: Vec<f64>,
    /// Of the randomisation.
    pub stratum: Vec<u32>,
}

/// The patients of one analysis.
pub(super) struct Data {
    pub value: Vec<f64>,
    pub event: Vec<bool>,
    pub treated: Vec<bool>,
    pub stratum: Vec<u32>,
}

impl Data {
    pub fn new(all: &Patients, chosen: &[usize], treated: impl Fn(usize) -> bool) -> Self {
        Self {
            value: chosen.iter().map(|&p| all.value[p]).collect(),
            event: chosen.iter().map(|&p| all.event[p]).collect(),
            treated: chosen.iter().map(|&p| treated(p)).collect(),
            stratum: chosen.iter().map(|&p| all.stratum[p]).collect(),
        }
    }
}

/// Where replicates stopped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SequentialCount {
    /// Information fraction of each look.
    pub looks: Vec<f64>,
    /// Critical value of each look.
    pub critical: Vec<f64>,
    /// Replicates that rejected at each look.
    pub rejected_at: Vec<usize>,
    /// Replicates that stopped for futility at each look.
    pub futile_at: Vec<usize>,
    /// Share of replicates that rejected at any look, with its exact interval.
    pub rate: Estimate,
    /// Mean information at the decision, as a share of the whole.
    pub expected_information: f64,
}

/// A group-sequential design applied to replicates.
pub(super) struct Looks {
    design: SequentialDesign,
}

impl Looks {
    pub fn new(design: SequentialDesign) -> Self {
        Self { design }
    }

    /// The look at which a replicate stops, and whether it rejects.
    pub fn stop(
        &self,
        class: Class,
        all: &Patients,
        chosen: &[usize],
        treated: impl Fn(usize) -> bool,
    ) -> (usize, bool) {
        let looks = self.design.looks();
        let last = looks.len() - 1;
        for (k, look) in looks.iter().enumerate() {
            let mut data = if k == last {
                Data::new(all, chosen, &treated)
            } else if class == Class::Time {
                until_events(all, chosen, look.information, &treated)
            } else {
                first_patients(all, chosen, look.information, &treated)
            };
            let z = test(class, &mut data).z;
            if z.is_nan() {
                continue;
            }
            match self.design.decide(k, z) {
                Decision::Continue => {}
                Decision::RejectUpper | Decision::RejectLower => return (k, true),
                Decision::Futility | Decision::Accept => return (k, false),
            }
        }
        (last, false)
    }

    pub fn count(
        &self,
        stops: impl Iterator<Item = (usize, bool)>,
    ) -> Result<SequentialCount, StatisticsError> {
        let looks = self.design.looks();
        let mut rejected_at = vec![0; looks.len()];
        let mut futile_at = vec![0; looks.len()];
        let (mut n, mut information) = (0usize, 0.0);
        for (look, rejected) in stops {
            n += 1;
            information += looks[look].information;
            if rejected {
                rejected_at[look] += 1;
            } else if look + 1 < looks.len() {
                futile_at[look] += 1;
            }
        }
        let rejected: usize = rejected_at.iter().sum();
        Ok(SequentialCount {
            looks: looks.iter().map(|look| look.information).collect(),
            critical: looks.iter().map(|look| look.critical).collect(),
            rejected_at,
            futile_at,
            rate: clopper_pearson(rejected as u64, n as u64, 0.95)?,
            expected_information: information / n.max(1) as f64,
        })
    }
}

/// What was known on the day of the event that completes a share of all events.
fn until_events(
    all: &Patients,
    chosen: &[usize],
    share: f64,
    treated: impl Fn(usize) -> bool,
) -> Data {
    let mut days: Vec<f64> = chosen
        .iter()
        .filter(|&&p| all.event[p])
        .map(|&p| all.entry[p] + all.value[p])
        .collect();
    days.sort_by(f64::total_cmp);
    let wanted = (share * days.len() as f64).ceil() as usize;
    let day = days
        .get(wanted.saturating_sub(1))
        .copied()
        .unwrap_or(f64::INFINITY);
    let mut data = Data {
        value: Vec::new(),
        event: Vec::new(),
        treated: Vec::new(),
        stratum: Vec::new(),
    };
    for &p in chosen.iter().filter(|&&p| all.entry[p] < day) {
        let followed = day - all.entry[p];
        let seen = all.value[p] <= followed;
        data.value.push(all.value[p].min(followed));
        data.event.push(all.event[p] && seen);
        data.treated.push(treated(p));
        data.stratum.push(all.stratum[p]);
    }
    data
}

/// The first patients to enter.
fn first_patients(
    all: &Patients,
    chosen: &[usize],
    share: f64,
    treated: impl Fn(usize) -> bool,
) -> Data {
    let mut order = chosen.to_vec();
    order.sort_by(|&a, &b| all.entry[a].total_cmp(&all.entry[b]));
    order.truncate((share * chosen.len() as f64).ceil() as usize);
    Data::new(all, &order, treated)
}
