//! Synthetic data for every figure, in sizes from one patient to many: for the tests and the
//! gallery.

use super::*;
use crate::statistics::{Estimate, KaplanMeier, SurvivalSample, clopper_pearson};

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

pub(crate) fn flow(size: Size) -> Flow {
    let reason = |name: &str, patients: usize| {
        let name = if size.long {
            format!("{name}, as the protocol of the trial and its second amendment define it")
        } else {
            name.to_owned()
        };
        (name, patients)
    };
    let n = size.patients;
    let arms = arm_names(size.arms, size.long)
        .into_iter()
        .map(|name| FlowArm {
            name,
            allocated: n,
            not_started: vec![reason("neutrophils too low on day 1", n / 50)],
            discontinued: vec![
                reason("progression", n / 3),
                reason("toxicity", n / 8),
                reason("left the trial", n / 20),
                reason("death", n / 30),
            ],
            ongoing: n / 10,
            left_out: vec![reason("simulation diverged", n / 100)],
        });
    let entered = size.arms * n;
    Flow::new(
        "Flow of patients",
        (
            "Sampled from the virtual population",
            entered + n / 4 + n / 9,
        ),
        vec![
            reason("creatinine clearance below 30 mL/min", n / 4),
            reason("neutrophils below 1.5\u{d7}10\u{2079}/L", n / 9),
        ],
        Allocation::Randomised,
        arms.collect(),
    )
}

const HARMS: [&str; 6] = [
    "Neutropenia",
    "Thrombocytopenia",
    "Anaemia",
    "Febrile neutropenia",
    "Decline of left ventricular ejection fraction",
    "Palmar-plantar erythrodysaesthesia syndrome",
];

pub(crate) fn toxicity(size: Size) -> Toxicity {
    let mut chance = Chance::new(5);
    let names = arm_names(size.arms, size.long);
    let arms: Vec<(String, usize)> = names
        .into_iter()
        .map(|name| (name, size.patients))
        .collect();
    let rows = HARMS.iter().enumerate().map(|(row, name)| {
        let grades = (0..size.arms).map(|arm| {
            let mut grades = [0; 5];
            for _ in 0..size.patients {
                let burden = chance.normal() + 0.6 - 0.45 * row as f64 + 0.15 * arm as f64;
                let grade = (burden * 2.0).floor().min(if row == 0 { 5.0 } else { 4.0 });
                if grade >= 1.0 {
                    grades[grade as usize - 1] += 1;
                }
            }
            grades
        });
        ToxicityRow {
            name: (*name).to_owned(),
            grades: grades.collect(),
        }
    });
    Toxicity::new("Worst grade per patient", arms, rows.collect()).unwrap()
}

pub(crate) fn harms(size: Size) -> HarmFigure {
    let toxicity = toxicity(size);
    let rows = toxicity.rows.iter().map(|row| {
        let rates: Vec<Estimate> = (0..size.arms)
            .map(|arm| rate(row.at_least(arm, 3), size.patients))
            .collect();
        let differences = rates.iter().skip(1).map(|r| {
            let (d, first) = (r.value - rates[0].value, rates[0]);
            let down = (r.value - r.low).hypot(first.high - first.value);
            let up = (r.high - r.value).hypot(first.value - first.low);
            (size.patients > 1).then_some(Estimate {
                value: d,
                low: d - down,
                high: d + up,
                level: 0.95,
            })
        });
        HarmRow {
            name: format!("{}, grade 3 or worse", row.name),
            differences: differences.collect(),
            rates: rates.clone(),
        }
    });
    HarmFigure::new(
        "Severe toxicity",
        arm_names(size.arms, size.long),
        rows.collect(),
    )
}

pub(crate) fn subgroups(size: Size, ratio: bool) -> SubgroupFigure {
    let mut chance = Chance::new(6);
    let mut group = |name: &str, share: f64| {
        let patients = ((size.patients as f64 * share) as usize).max(1);
        let width = 1.5 / (patients as f64).sqrt().min(40.0);
        let middle = -0.3 + 0.5 * width * chance.normal();
        let on = |v: f64| if ratio { v.exp() } else { v };
        let estimate = Estimate {
            value: on(middle),
            low: on(middle - 2.0 * width),
            high: on(middle + 2.0 * width),
            level: 0.95,
        };
        Subgroup {
            name: if size.long {
                format!("{name}, by the measurement closest before randomisation")
            } else {
                name.to_owned()
            },
            counts: vec![
                SubgroupCount {
                    patients,
                    events: Some(patients / 2)
                };
                size.arms
            ],
            effect: if share < 0.03 {
                Err("no events".to_owned())
            } else {
                Ok(estimate)
            },
            detectable: (share >= 0.03).then(|| on(-2.8 * width)),
        }
    };
    let factors = vec![
        SubgroupFactor {
            name: "Sex".to_owned(),
            interaction: Some(0.42),
            groups: vec![group("women", 0.45), group("men", 0.55)],
        },
        SubgroupFactor {
            name: "Age".to_owned(),
            interaction: Some(0.0004),
            groups: vec![
                group("below 65 years", 0.5),
                group("65 to 74 years", 0.4),
                group("75 years and older", 0.06),
            ],
        },
        SubgroupFactor {
            name: "Renal function".to_owned(),
            interaction: None,
            groups: vec![
                group("below 30 mL/min", 0.01),
                group("60 mL/min and above", 0.9),
            ],
        },
    ];
    SubgroupFigure {
        title: "Effect by subgroup".to_owned(),
        effect: if ratio {
            "Hazard ratio"
        } else {
            "Difference in response (fraction)"
        }
        .to_owned(),
        ratio,
        decimals: 2,
        arms: arm_names(size.arms, size.long),
        favours: Some((
            "favours the first arm".to_owned(),
            "favours the second arm".to_owned(),
        )),
        overall: group("All patients", 1.0),
        factors,
    }
}

pub(crate) fn curves(size: Size, events: bool) -> Vec<KaplanMeier> {
    let mut chance = Chance::new(7);
    let names = arm_names(size.arms, size.long).into_iter().enumerate();
    names
        .map(|(arm, name)| {
            let (times, events) = (0..size.patients)
                .map(|_| {
                    let time = -chance.uniform().ln() * (14.0 + 4.0 * arm as f64);
                    let censored = 12.0 + 24.0 * chance.uniform();
                    (time.min(censored), events && time <= censored)
                })
                .unzip();
            KaplanMeier::fit(&SurvivalSample::new(name, times, events).unwrap())
        })
        .collect()
}

pub(crate) fn incidence(size: Size) -> Vec<IncidenceArm> {
    let mut chance = Chance::new(8);
    let names = arm_names(size.arms, size.long).into_iter();
    names
        .map(|name| {
            let mut events: Vec<(f64, usize)> = (0..size.patients)
                .map(|_| (-chance.uniform().ln() * 20.0, chance.below(4)))
                .collect();
            events.sort_by(|a, b| a.0.total_cmp(&b.0));
            let n = size.patients as f64;
            let causes = [
                "progression",
                "stopped for toxicity",
                "death without progression",
            ];
            let causes = causes.iter().enumerate().map(|(cause, label)| {
                let times: Vec<f64> = events
                    .iter()
                    .filter(|event| event.1 == cause && event.0 < 36.0)
                    .map(|event| event.0)
                    .collect();
                let incidence: Vec<f64> = (1..=times.len()).map(|i| i as f64 / n).collect();
                let band = incidence.iter().map(|p| {
                    let half = 1.96 * (p * (1.0 - p) / n).sqrt();
                    ((p - half).max(0.0), (p + half).min(1.0))
                });
                IncidenceCurve {
                    cause: (*label).to_owned(),
                    band: band.collect(),
                    times,
                    incidence,
                }
            });
            let at_risk = (0..=6).map(|i| {
                let time = 6.0 * f64::from(i);
                (time, events.iter().filter(|event| event.0 >= time).count())
            });
            IncidenceArm {
                name,
                causes: causes.collect(),
                at_risk: at_risk.collect(),
            }
        })
        .collect()
}

pub(crate) fn boundary(size: Size) -> BoundaryFigure {
    let looks = |limits: [f64; 4], futility: bool| {
        let looks = limits.iter().enumerate().map(|(at, z)| Look {
            information: 0.25 * (at + 1) as f64,
            efficacy: *z,
            futility: futility.then_some(at as f64 * 0.6 - 0.3),
        });
        looks.collect::<Vec<_>>()
    };
    let mut chance = Chance::new(9);
    let paths = (0..size.patients.min(500)).map(|index| LookPath {
        name: if index == 0 {
            "simulated trials".to_owned()
        } else {
            String::new()
        },
        z: (1..=1 + chance.below(4))
            .map(|look| 0.9 * look as f64 + chance.normal())
            .collect(),
    });
    // Four looks at a two-sided level of 5 %: Jennison and Turnbull 2000, tables 2.1 and 2.3.
    BoundaryFigure::new(
        "Boundaries",
        vec![
            (
                "O'Brien-Fleming".to_owned(),
                looks([4.048, 2.863, 2.337, 2.024], size.arms == 1),
            ),
            ("Pocock".to_owned(), looks([2.361; 4], false)),
        ],
        true,
    )
    .paths(paths.collect())
    .inset(vec![
        "two-sided level 5 %".to_owned(),
        "power 90 %".to_owned(),
    ])
}

pub(crate) fn distributions(size: Size) -> Distributions {
    let mut chance = Chance::new(10);
    let arms = arm_names(size.arms, size.long)
        .into_iter()
        .enumerate()
        .map(|(arm, name)| {
            let values =
                (0..size.patients).map(|_| (chance.normal() * 0.4 + 1.0 + 0.2 * arm as f64).exp());
            (name, values.collect())
        });
    Distributions::new("Exposure by arm", "AUC (mg\u{b7}h/L)", arms.collect())
        .log()
        .reference(4.0, "target")
}

pub(crate) fn scatter(size: Size) -> Scatter {
    let mut chance = Chance::new(11);
    let groups = arm_names(size.arms, size.long).into_iter().map(|name| {
        let x: Vec<f64> = (0..size.patients)
            .map(|_| (chance.normal() * 0.5 + 1.0).exp())
            .collect();
        let y = x
            .iter()
            .map(|x| 6.0 * (-0.2 * x).exp() * (0.3 * chance.normal()).exp())
            .collect();
        ScatterGroup { name, x, y }
    });
    let curve: Vec<f64> = (1..100).map(|i| f64::from(i) * 0.1).collect();
    let fitted = curve.iter().map(|x| 6.0 * (-0.2 * x).exp()).collect();
    Scatter::new(
        "Nadir against exposure",
        Axis::new("AUC (mg\u{b7}h/L)").log(),
        Axis::new("Lowest neutrophil count (10\u{2079}/L)").log(),
        groups.collect(),
    )
    .curve("model", curve, fitted)
    .inset(vec!["rank correlation \u{2212}0.71".to_owned()])
}

pub(crate) fn course(size: Size) -> TimeCourse {
    let mut chance = Chance::new(12);
    let times: Vec<f64> = (0..=84).map(|i| f64::from(i) * 0.5).collect();
    let arms: Vec<TimeCourseArm> = arm_names(size.arms, size.long)
        .iter()
        .enumerate()
        .map(|(arm, name)| {
            let people: Vec<(f64, f64)> = (0..size.patients.min(2000))
                .map(|_| {
                    (
                        (0.3 * chance.normal()).exp() * 5.0,
                        (0.25 * chance.normal()).exp() * (1.0 + 0.2 * arm as f64),
                    )
                })
                .collect();
            let values: Vec<Vec<f64>> = times
                .iter()
                .map(|t| {
                    let dip = |(base, depth): &(f64, f64)| {
                        let day = t % 21.0;
                        base * (1.0
                            - (0.75 * depth).min(0.98) * (-(day - 8.4).powi(2) / 14.0).exp())
                    };
                    people.iter().map(dip).collect()
                })
                .collect();
            TimeCourseArm::of_patients(name, &times, &values, 0.05)
        })
        .collect();
    TimeCourse::new(
        "Neutrophils",
        Axis::new("Days since the first dose").every(7.0),
        Axis::new("Absolute neutrophil count (10\u{2079}/L)").log(),
        arms,
        0.05,
    )
    .reference(0.5, "grade 4")
    .reference(1.5, "needed to treat")
    .observed(
        (0..30)
            .map(|i| (f64::from(i) * 1.4, 1.0 + 4.0 * chance.uniform()))
            .collect(),
    )
}

pub(crate) fn power(size: Size) -> RateFigure {
    let series = arm_names(size.arms, size.long)
        .into_iter()
        .enumerate()
        .map(|(arm, name)| {
            let x: Vec<f64> = (1..=9).map(|i| f64::from(i) * 50.0).collect();
            let rates = x.iter().map(|n| {
                let power = 1.0 - (-n / (220.0 + 60.0 * arm as f64)).exp();
                rate((power * 1000.0) as usize, 1000)
            });
            RateSeries {
                name,
                rates: rates.collect(),
                x,
            }
        });
    RateFigure::new(
        "Power",
        "Patients in both arms",
        "Trials that reject the null hypothesis (%)",
        series.collect(),
        1000,
    )
    .reference(0.8, "80 %")
}

pub(crate) fn selection(size: Size) -> SelectionFigure {
    let designs = ["3+3", "BOIN", "CRM"]
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let shares = [
                0.05,
                0.2 - 0.03 * index as f64,
                0.5 + 0.08 * index as f64,
                0.2,
                0.02,
            ];
            DesignSelection {
                name: (*name).to_owned(),
                selected: shares
                    .iter()
                    .map(|s| rate((s * 2000.0) as usize, 2000))
                    .collect(),
                none: rate(60, 2000),
                treated: vec![0.15, 0.25, 0.4, 0.17, 0.03],
            }
        });
    let dose = |dose: usize| {
        if size.long {
            format!("{} mg/m2 over 1 h every 21 d", 30 + 15 * dose)
        } else {
            format!("{} mg/m2", 30 + 15 * dose)
        }
    };
    SelectionFigure::new(
        "Doses selected",
        (0..5).map(dose).collect(),
        vec![0.05, 0.12, 0.25, 0.42, 0.6],
        0.25,
        designs.collect(),
        2000,
    )
}

pub(crate) fn sensitivity(size: Size) -> SensitivityFigure {
    let names = [
        "clearance",
        "slope of the drug effect",
        "baseline neutrophils",
        "transit time",
    ];
    let rows = names.iter().enumerate().map(|(at, name)| {
        let long = if size.long {
            ", population value as the publication reports it"
        } else {
            ""
        };
        let by = 4.0 / (at as f64 + 1.0);
        SensitivityRow {
            name: format!("{name}{long} (\u{2212}20 %, +20 %)"),
            low: 31.0 - by,
            high: 31.0 + 1.3 * by,
        }
    });
    SensitivityFigure::new(
        "Sensitivity",
        "Patients with grade 4 neutropenia (%)",
        31.0,
        rows.collect(),
    )
}

/// Every figure, drawn.
pub(crate) fn all(size: Size) -> Vec<(&'static str, Svg)> {
    let curves_ = curves(size, true);
    let none = curves(size, false);
    let survival = |curves: &[KaplanMeier]| {
        let figure = SurvivalFigure::new("Survival", "Months since randomisation", "Alive (%)");
        let figure = curves.iter().fold(figure, SurvivalFigure::curve);
        let figure = if size.arms > 3 {
            figure.without_bands()
        } else {
            figure
        };
        let lines = vec![
            "hazard ratio 0.71 (0.55 to 0.93)".to_owned(),
            "log-rank p 0.012".to_owned(),
        ];
        figure.every(6.0).inset(lines).render()
    };
    let incidence_ = incidence(size);
    let time = "Months since randomisation";
    let drawn = [
        ("Flow", flow(size).render()),
        ("Survival", survival(&curves_)),
        ("Survival without events", survival(&none)),
        ("Waterfall", waterfall(size).render()),
        ("Spider", spider(size).render()),
        ("Swimmer", swimmer(size).render()),
        (
            "Incidence, lines",
            IncidenceFigure::lines("Causes", time, incidence_.clone())
                .until(36.0)
                .every(6.0)
                .render(),
        ),
        (
            "Incidence, stacked",
            IncidenceFigure::stacked("Causes", time, incidence_)
                .until(36.0)
                .every(6.0)
                .render(),
        ),
        ("Toxicity", toxicity(size).figure()),
        ("Harms", harms(size).render()),
        ("Subgroups", subgroups(size, true).render()),
        ("Subgroups, differences", subgroups(size, false).render()),
        ("Exposure", distributions(size).render()),
        ("Scatter", scatter(size).render()),
        ("Time course", course(size).render()),
        ("Boundary", boundary(size).render()),
        ("Power", power(size).render()),
        ("Selection", selection(size).render()),
        ("Sensitivity", sensitivity(size).render()),
    ];
    drawn.map(|(name, svg)| (name, svg.unwrap())).to_vec()
}
