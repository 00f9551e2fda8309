//! What is worked out from all of them.

use super::*;

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
