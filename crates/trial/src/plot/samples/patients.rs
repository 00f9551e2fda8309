//! What happens to single patients.

use super::*;

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
