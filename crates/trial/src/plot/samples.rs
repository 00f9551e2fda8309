//! Synthetic data for every figure, in sizes from one patient to many: for the tests and the
//! gallery.

use super::*;
use crate::statistics::{Estimate, clopper_pearson};

/// Numbers that look random enough (Knuth 1998, 3.3.4, table 1, line 26).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Between 0 and 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }
}

/// Names of arms: short ones, or as long as people write them.
pub(crate) fn arm_names(count: usize, long: bool) -> Vec<String> {
    (0..count)
        .map(|arm| {
            if long {
                format!("Docetaxel {} mg/m2 over 1 h every 21 days with dose modification by neutrophil count and pegfilgrastim", 60 + 5 * arm)
            } else {
                format!("{} mg/m2", 60 + 15 * arm)
            }
        })
        .collect()
}

pub(crate) fn rate(responders: usize, patients: usize) -> Estimate {
    clopper_pearson(responders as u64, patients.max(1) as u64, 0.95).unwrap()
}

/// How large and how awkward the data are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub arms: usize,
    pub patients: usize,
    pub long: bool,
}

impl Size {
    pub(crate) const USUAL: Self = Self {
        arms: 2,
        patients: 120,
        long: false,
    };
}

pub(crate) fn waterfall(size: Size) -> Waterfall {
    let mut chance = Chance::new(1);
    let arms = arm_names(size.arms, size.long).into_iter().enumerate();
    let arms = arms.map(|(arm, name)| {
        let patients: Vec<BestChange> = (0..size.patients)
            .map(|index| {
                let change = (chance.normal() * 0.45 - 0.15 * arm as f64).exp() - 1.2;
                let change = change.max(-1.0);
                let response = match change {
                    c if c <= -0.99 => BestResponse::Complete,
                    c if c <= -0.3 => BestResponse::Partial,
                    c if c < 0.2 => BestResponse::Stable,
                    _ => BestResponse::Progressive,
                };
                let missing = index % 41 == 40;
                BestChange {
                    change: if missing { f64::NAN } else { change },
                    response: Some(if missing {
                        BestResponse::NotEvaluable
                    } else {
                        response
                    }),
                }
            })
            .collect();
        let responders = patients
            .iter()
            .filter(|p| p.response <= Some(BestResponse::Partial))
            .count();
        WaterfallArm {
            name,
            rate: ResponseRate {
                name: "Objective response".to_owned(),
                responders,
                patients: patients.len(),
                rate: rate(responders, patients.len()),
            },
            patients,
        }
    });
    Waterfall::new("Best change of the sum of diameters", arms.collect())
        .label("Best change of the sum of diameters (%)")
}

pub(crate) fn swimmer(size: Size) -> Swimmer {
    let mut chance = Chance::new(2);
    let all = size.arms * size.patients;
    let lanes: Vec<SwimmerLane> = (0..all)
        .map(|index| {
            let end = (-chance.uniform().ln() * 18.0).min(48.0);
            let first = end * chance.uniform();
            let reduced = chance.uniform() < 0.4;
            let split = if reduced { first } else { end };
            let mut spans = vec![DoseSpan {
                from: 0.0,
                to: split,
                level: 0,
            }];
            let mut marks = Vec::new();
            if reduced {
                spans.push(DoseSpan {
                    from: split + 0.4,
                    to: end,
                    level: 1 + index % 2,
                });
                marks.push((split, SwimmerMark::Reduction));
            }
            if chance.uniform() < 0.5 {
                marks.push((end * chance.uniform(), SwimmerMark::Response));
            }
            if chance.uniform() < 0.4 {
                marks.push((end * chance.uniform(), SwimmerMark::Delay));
            }
            let ongoing = end >= 48.0;
            if !ongoing {
                let rest = end + 6.0 * chance.uniform();
                let kinds = [
                    SwimmerMark::Progression,
                    SwimmerMark::Death,
                    SwimmerMark::StoppedForToxicity,
                    SwimmerMark::LeftTrial,
                ];
                marks.push((rest, kinds[chance.below(4)]));
            }
            SwimmerLane {
                patient: format!("{:05}", index + 1),
                arm: index % size.arms.max(1),
                spans,
                marks,
                ongoing: ongoing.then_some(end),
            }
        })
        .collect();
    let durations: Vec<f64> = lanes.iter().map(SwimmerLane::end).collect();
    let (chosen, sentence) = Swimmer::choose(
        &durations,
        &lanes.iter().map(|lane| lane.arm).collect::<Vec<_>>(),
        48,
    );
    let lanes = chosen.into_iter().map(|at| lanes[at].clone()).collect();
    Swimmer::new(
        "Time on treatment",
        "Weeks since the first dose",
        arm_names(size.arms, size.long),
        lanes,
        sentence,
    )
    .levels(vec![
        "full dose".into(),
        "reduced once".into(),
        "reduced twice".into(),
    ])
}

pub(crate) fn spider(size: Size) -> Spider {
    let mut chance = Chance::new(3);
    let arms = arm_names(size.arms, size.long).into_iter().map(|name| {
        let lines = (0..size.patients).map(|_| {
            let (kill, grow) = (0.08 * chance.uniform(), 0.02 * chance.uniform());
            let share = chance.uniform();
            let visits = 2 + chance.below(8);
            let times: Vec<f64> = (0..visits).map(|visit| 6.0 * visit as f64).collect();
            let changes = times
                .iter()
                .map(|t| share * (-kill * t).exp() + (1.0 - share) * (grow * t).exp() - 1.0)
                .collect();
            SpiderLine { times, changes }
        });
        (name, lines.collect())
    });
    Spider::new(
        "Change of the sum of diameters",
        "Weeks since randomisation",
        arms.collect(),
    )
}
