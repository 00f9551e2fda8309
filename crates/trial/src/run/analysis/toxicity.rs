//! Worst grades of every toxicity.

use crate::statistics::{Estimate, StatisticsError, clopper_pearson};

use super::data::Data;
use super::rates::{RateEffect, effect, paired};

/// The grade from which a toxicity counts as severe.
pub(super) const SEVERE: u8 = 3;
/// CTCAE ends with grade 5.
const GRADES: usize = 6;

/// Worst grades of one toxicity.
#[derive(Clone, Debug)]
pub struct ToxicityTable {
    /// Index of the model's toxicity.
    pub toxicity: usize,
    /// Whether the model can tell grade 3 or worse.
    pub knows_severe: bool,
    /// One per arm.
    pub arms: Vec<ToxicityArm>,
    /// Grade 3 or worse in every arm but the control, against the control.
    pub effects: Vec<ToxicityEffect>,
}

/// Worst grades in one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct ToxicityArm {
    /// Index of the arm.
    pub arm: usize,
    /// Patients.
    pub patients: usize,
    /// Patients by worst grade, 0 to 5.
    pub grades: [usize; GRADES],
    /// Share with grade 3 or worse, with Clopper and Pearson's interval.
    pub severe: Result<Estimate, StatisticsError>,
}

/// Grade 3 or worse, arm against control.
pub type ToxicityEffect = RateEffect;

impl ToxicityArm {
    /// Patients with this grade or worse.
    pub fn at_least(&self, grade: usize) -> usize {
        self.grades.iter().skip(grade).sum()
    }
}

/// Worst grade of a patient; a number that is none counts as no toxicity.
fn grade(value: f64) -> usize {
    (value as usize).min(GRADES - 1)
}

pub(super) fn toxicities(data: &Data<'_>) -> Vec<ToxicityTable> {
    (0..data.trial.model.toxicities.len())
        .filter(|&t| known(data, t))
        .map(|t| toxicity(data, t))
        .collect()
}

/// Whether every arm has grades of the toxicity.
fn known(data: &Data<'_>, t: usize) -> bool {
    data.result.arms.iter().all(|arm| {
        arm.grade
            .get(t)
            .is_some_and(|g| g.len() == arm.members.len())
    })
}

/// (position, grade 3 or worse) of the analysed patients of an arm.
pub(super) fn severe(data: &Data<'_>, t: usize, arm: usize) -> Vec<(usize, bool)> {
    let grades = &data.result.arms[arm].grade[t];
    let positions = data.positions[arm].iter();
    positions
        .map(|&k| (k, grade(grades[k]) >= usize::from(SEVERE)))
        .collect()
}

/// Toxicities of which the model can tell grade 3 or worse.
pub(super) fn with_severe(data: &Data<'_>) -> Vec<usize> {
    let all = &data.trial.model.toxicities;
    (0..all.len())
        .filter(|&t| known(data, t) && all[t].grades.iter().any(|&grade| grade >= SEVERE))
        .collect()
}

fn toxicity(data: &Data<'_>, t: usize) -> ToxicityTable {
    let arms = (0..data.result.arms.len()).map(|arm| {
        let mut grades = [0; GRADES];
        for &k in &data.positions[arm] {
            grades[grade(data.result.arms[arm].grade[t][k])] += 1;
        }
        let patients = data.positions[arm].len();
        let events: usize = grades.iter().skip(usize::from(SEVERE)).sum();
        ToxicityArm {
            arm,
            patients,
            grades,
            severe: clopper_pearson(events as u64, patients as u64, data.level()),
        }
    });
    let control = severe(data, t, data.control());
    let effects = data.others().map(|arm| {
        let own = severe(data, t, arm);
        let pairs = data.result.every_arm.then(|| {
            let flags = |rows: &[(usize, bool)]| rows.iter().map(|row| row.1).collect::<Vec<_>>();
            paired(&flags(&own), &flags(&control), data.level())
        });
        effect(data, arm, (&own, &control), pairs)
    });
    let all = &data.trial.model.toxicities[t];
    ToxicityTable {
        toxicity: t,
        knows_severe: all.grades.iter().any(|&grade| grade >= SEVERE),
        arms: arms.collect(),
        effects: effects.collect(),
    }
}
