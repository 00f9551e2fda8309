//! NM-TRAN records through the whole engine, from text to device, against closed forms of the one-
//! and two-compartment models.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN must fail")]
#![allow(clippy::needless_range_loop, reason = "patients index several tables")]

mod common;

use common::{device, exact, fresh_seed};
use posology_cohort::Dataset;
use posology_kernels::simulate::Status;
use posology_model::Model;
use posology_model::model::StepSchedule;
use posology_sim::RuleSet;
use posology_sim::{OutputPlan, RunOptions, Simulation};

/// Largest relative error of a prediction.
const TOLERANCE: f64 = 1e-4;
/// Predictions below this share of their patient's largest are compared with that share.
const SHARE: f64 = 1e-4;

const MODEL: &str = r#"
name = "pk"
title = "Two compartments with absorption"
time = "h"
dt = "0.05 h"
[sources]
x = "made up for a test"
[parameters]
KA = { value = 1.5, unit = "1/h", source = "x" }
CL = { value = 1.1, unit = "L/h", source = "x" }
V = { value = 20, unit = "L", source = "x" }
Q = { value = 0, unit = "L/h", source = "x" }
V2 = { value = 1, unit = "L", source = "x" }
LAG = { value = 0, unit = "h", source = "x" }
F1 = { value = 1, unit = "1", source = "x" }
R1 = { value = 10, unit = "mg/h", source = "x" }
D1 = { value = 2, unit = "h", source = "x" }
[inputs.oral]
into = "depot"
unit = "mg"
bioavailability = "F1"
lag = "LAG"
[inputs.iv]
into = "central"
unit = "mg"
bioavailability = "F1"
lag = "LAG"
duration = "D1"
[inputs.paced]
into = "central"
unit = "mg"
bioavailability = "F1"
lag = "LAG"
rate = "R1"
[states.depot]
unit = "mg"
rate = "-KA*depot"
[states.central]
unit = "mg"
rate = "KA*depot - CL/V*central - Q/V*central + Q/V2*peripheral"
[states.peripheral]
unit = "mg"
rate = "Q/V*central - Q/V2*peripheral"
[observables.cp]
expr = "central/V"
unit = "mg/L"
"#;

/// A patient's parameters.
#[derive(Clone, Copy, Debug)]
struct Pk {
    ka: f64,
    cl: f64,
    v: f64,
    q: f64,
    v2: f64,
}

const ONE: Pk = Pk {
    ka: 1.5,
    cl: 1.1,
    v: 20.0,
    q: 0.0,
    v2: 1.0,
};
const TWO: Pk = Pk {
    ka: 1.2,
    cl: 5.0,
    v: 20.0,
    q: 8.0,
    v2: 60.0,
};

/// Concentration after a unit bolus: a sum of exponentials.
#[derive(Clone, Debug)]
struct Response(Vec<(f64, f64)>);

impl Pk {
    fn iv(self) -> Response {
        let (k, k12, k21) = (self.cl / self.v, self.q / self.v, self.q / self.v2);
        if self.q == 0.0 {
            return Response(vec![(1.0 / self.v, k)]);
        }
        let (sum, product) = (k + k12 + k21, k * k21);
        let root = (sum * sum - 4.0 * product).sqrt();
        let alpha = 0.5 * (sum + root);
        let beta = product / alpha;
        let part = |a: f64, b: f64| (a - k21) / (a - b) / self.v;
        Response(vec![(part(alpha, beta), alpha), (part(beta, alpha), beta)])
    }

    /// The same after first-order absorption.
    fn oral(self) -> Response {
        let mut terms = Vec::new();
        let mut last = 0.0;
        for (a, l) in self.iv().0 {
            let share = a * self.ka / (self.ka - l);
            terms.push((share, l));
            last -= share;
        }
        terms.push((last, self.ka));
        Response(terms)
    }
}

impl Response {
    fn bolus(&self, t: f64, dose: f64) -> f64 {
        if t < 0.0 {
            0.0
        } else {
            dose * self.0.iter().map(|(a, l)| a * (-l * t).exp()).sum::<f64>()
        }
    }

    fn infusion(&self, t: f64, rate: f64, duration: f64) -> f64 {
        if t < 0.0 {
            return 0.0;
        }
        let (during, after) = (t.min(duration), (t - duration).max(0.0));
        let part = |&(a, l): &(f64, f64)| a / l * -(-l * during).exp_m1() * (-l * after).exp();
        rate * self.0.iter().map(part).sum::<f64>()
    }

    /// Doses at `t = 0` and every `interval` before since ever; only those before now count.
    fn ever_bolus(&self, t: f64, interval: f64, dose: f64) -> f64 {
        let from = t + (-t / interval).max(0.0).ceil() * interval;
        let part = |&(a, l): &(f64, f64)| a * (-l * from).exp() / -(-l * interval).exp_m1();
        dose * self.0.iter().map(part).sum::<f64>()
    }

    fn ever_infusion(&self, t: f64, interval: f64, rate: f64, duration: f64) -> f64 {
        let mut at = t + (-t / interval).max(0.0).ceil() * interval;
        let mut total = 0.0;
        while at < duration {
            total += self.infusion(at, rate, duration);
            at += interval;
        }
        let part = |&(a, l): &(f64, f64)| {
            a / l * -(-l * duration).exp_m1() * (-l * (at - duration)).exp()
                / -(-l * interval).exp_m1()
        };
        total + rate * self.0.iter().map(part).sum::<f64>()
    }

    /// Level of an infusion since ever.
    fn constant(&self, rate: f64) -> f64 {
        rate * self.0.iter().map(|(a, l)| a / l).sum::<f64>()
    }
}

/// One record; NaN is `.`.
#[derive(Clone, Copy, Debug)]
struct Rec {
    time: f64,
    amt: f64,
    rate: f64,
    cmt: &'static str,
    evid: f64,
    addl: f64,
    ii: f64,
    ss: f64,
    lag: f64,
    f1: f64,
    r1: f64,
    d1: f64,
    cl: f64,
}

const REC: Rec = Rec {
    time: 0.0,
    amt: f64::NAN,
    rate: f64::NAN,
    cmt: "iv",
    evid: 1.0,
    addl: f64::NAN,
    ii: f64::NAN,
    ss: f64::NAN,
    lag: 0.0,
    f1: 1.0,
    r1: 10.0,
    d1: 2.0,
    cl: f64::NAN,
};

/// A patient with a closed form.
struct Patient {
    name: String,
    pk: Pk,
    records: Vec<Rec>,
    times: Vec<f64>,
    expected: Box<dyn Fn(f64) -> f64>,
}

fn patient(
    name: &str,
    pk: Pk,
    records: &[Rec],
    times: &[f64],
    expected: impl Fn(f64) -> f64 + 'static,
) -> Patient {
    Patient {
        name: name.to_owned(),
        pk,
        records: records.to_vec(),
        times: times.to_vec(),
        expected: Box::new(expected),
    }
}

fn table(patients: &[Patient]) -> String {
    let mut text = String::from("id,time,Amt,RATE,CMT,evid,ADDL,II,SS,LAG,F1,R1,D1,CL,KA,V,Q,V2\n");
    let field = |value: f64| {
        if value.is_nan() {
            ".".to_owned()
        } else {
            value.to_string()
        }
    };
    for (id, patient) in patients.iter().enumerate() {
        let observation = |&time: &f64| Rec {
            time,
            evid: 0.0,
            lag: f64::NAN,
            f1: f64::NAN,
            r1: f64::NAN,
            d1: f64::NAN,
            cmt: ".",
            ..REC
        };
        let mut records = patient.records.clone();
        records.extend(patient.times.iter().map(observation));
        // stable: at equal times the observation follows
        records.sort_by(|a, b| a.time.total_cmp(&b.time));
        for (k, r) in records.iter().enumerate() {
            let cl = if k == 0 && r.cl.is_nan() {
                patient.pk.cl
            } else {
                r.cl
            };
            let fields = [r.time, r.amt, r.rate].map(field).join(",");
            let more = [
                r.evid,
                r.addl,
                r.ii,
                r.ss,
                r.lag,
                r.f1,
                r.r1,
                r.d1,
                cl,
                patient.pk.ka,
                patient.pk.v,
                patient.pk.q,
                patient.pk.v2,
            ];
            text.push_str(&format!(
                "{id},{fields},{},{}\n",
                r.cmt,
                more.map(field).join(",")
            ));
        }
    }
    text
}

/// Text to predictions, on the device; the largest relative error over all patients.
fn check(what: &str, patients: &[Patient], step: Option<f64>) {
    let model: Model = common::parse(MODEL);
    let dataset = Dataset::parse("data.csv", table(patients).as_bytes(), &model)
        .unwrap_or_else(|found| panic!("{}", found.render(false)));
    let replay = dataset
        .replay(&model, None)
        .unwrap_or_else(|found| panic!("{}", found.render(false)));
    let (outputs, rules) = (OutputPlan::of_model(&model, false), RuleSet::default());
    let simulation = Simulation {
        model: &model,
        cohort: &replay.cohort,
        timelines: &replay.timelines,
        outputs: &outputs,
        rules: &rules,
    };
    let options = RunOptions {
        step: step.map(StepSchedule::constant),
        ..exact()
    };
    let results = posology_sim::run(device(), &simulation, &options, |_, _| true).unwrap();
    let mut failed = Vec::new();
    let mut worst = (0.0, "");
    let mut compared = 0;
    for (lane, patient) in patients.iter().enumerate() {
        assert_eq!(results.status[lane], Status::Completed, "{}", patient.name);
        let first = results.record_offsets[lane];
        let times = dataset.times();
        let seen: Vec<(f64, f64)> = replay.records[lane]
            .iter()
            .enumerate()
            .map(|(k, &record)| (times[record], results.records[0][first + k]))
            .collect();
        let top = patient
            .times
            .iter()
            .map(|&t| (patient.expected)(t))
            .fold(0.0, f64::max);
        // the last record of a time is the observation
        for &time in &patient.times {
            let got = seen.iter().rev().find(|(at, _)| *at == time).unwrap().1;
            let wanted = (patient.expected)(time);
            let error = (got - wanted).abs() / wanted.abs().max(SHARE * top).max(f64::MIN_POSITIVE);
            compared += 1;
            if !(error <= worst.0) {
                worst = (error, &patient.name);
            }
            if !(error <= TOLERANCE) {
                failed.push(format!(
                    "{} at {time}: {got}, not {wanted} ({error:.1e})",
                    patient.name
                ));
            }
        }
    }
    println!(
        "{what}: {} patients, {compared} predictions, largest relative error {:.1e} ({})",
        patients.len(),
        worst.0,
        worst.1
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

const TIMES: &[f64] = &[0.0, 0.5, 1.0, 3.0, 7.5, 11.0, 12.0, 13.0, 24.0, 40.0, 60.5];

fn repeated(t: f64, interval: f64, doses: i32, response: impl Fn(f64) -> f64) -> f64 {
    (0..doses)
        .map(|k| response(t - f64::from(k) * interval))
        .sum()
}

#[test]
fn boluses_infusions_lags_and_additional_doses() {
    let mut all = Vec::new();
    for (tag, pk) in [("one", ONE), ("two", TWO)] {
        let mut add = |name: &str, records: &[Rec], expected: Box<dyn Fn(f64) -> f64>| {
            all.push(Patient {
                name: format!("{name}, {tag}"),
                pk,
                records: records.to_vec(),
                times: TIMES.to_vec(),
                expected,
            });
        };
        let (iv, oral) = (pk.iv(), pk.oral());
        let dose = Rec { amt: 100.0, ..REC };
        let c = iv.clone();
        add("bolus", &[dose], Box::new(move |t| c.bolus(t, 100.0)));
        let c = oral.clone();
        add(
            "oral",
            &[Rec {
                cmt: "depot",
                ..dose
            }],
            Box::new(move |t| c.bolus(t, 100.0)),
        );
        let c = oral.clone();
        add(
            "oral, F and lag",
            &[Rec {
                cmt: "oral",
                f1: 0.4,
                lag: 2.5,
                ..dose
            }],
            Box::new(move |t| c.bolus(t - 2.5, 40.0)),
        );
        let c = iv.clone();
        add(
            "infusion",
            &[Rec { rate: 10.0, ..dose }],
            Box::new(move |t| c.infusion(t, 10.0, 10.0)),
        );
        let c = iv.clone();
        add(
            "infusion, F",
            &[Rec {
                rate: 10.0,
                f1: 0.5,
                ..dose
            }],
            Box::new(move |t| c.infusion(t, 10.0, 5.0)),
        );
        let c = iv.clone();
        add(
            "infusion, lag",
            &[Rec {
                rate: 10.0,
                lag: 1.75,
                ..dose
            }],
            Box::new(move |t| c.infusion(t - 1.75, 10.0, 10.0)),
        );
        let c = iv.clone();
        add(
            "modelled duration",
            &[Rec {
                rate: -2.0,
                d1: 8.0,
                f1: 0.5,
                ..dose
            }],
            Box::new(move |t| c.infusion(t, 6.25, 8.0)),
        );
        let c = iv.clone();
        add(
            "modelled rate",
            &[Rec {
                rate: -1.0,
                r1: 25.0,
                cmt: "paced",
                ..dose
            }],
            Box::new(move |t| c.infusion(t, 25.0, 4.0)),
        );
        let c = iv.clone();
        add(
            "ADDL",
            &[Rec {
                addl: 3.0,
                ii: 12.0,
                ..dose
            }],
            Box::new(move |t| repeated(t, 12.0, 4, |t| c.bolus(t, 100.0))),
        );
        let c = iv.clone();
        add(
            "ADDL, lag",
            &[Rec {
                addl: 3.0,
                ii: 12.0,
                lag: 5.0,
                ..dose
            }],
            Box::new(move |t| repeated(t - 5.0, 12.0, 4, |t| c.bolus(t, 100.0))),
        );
        let c = iv.clone();
        add(
            "infusions outlast II",
            &[Rec {
                rate: 10.0,
                addl: 4.0,
                ii: 4.0,
                ..dose
            }],
            Box::new(move |t| repeated(t, 4.0, 5, |t| c.infusion(t, 10.0, 10.0))),
        );
        let (c, d) = (iv.clone(), oral.clone());
        add(
            "doses overlap",
            &[
                Rec { rate: 10.0, ..dose },
                Rec {
                    time: 3.0,
                    amt: 50.0,
                    cmt: "depot",
                    ..REC
                },
                Rec {
                    time: 6.0,
                    amt: 80.0,
                    rate: 8.0,
                    ..REC
                },
            ],
            Box::new(move |t| {
                c.infusion(t, 10.0, 10.0) + d.bolus(t - 3.0, 50.0) + c.infusion(t - 6.0, 8.0, 10.0)
            }),
        );
        let c = iv.clone();
        add(
            "EVID 2",
            &[
                dose,
                Rec {
                    time: 5.0,
                    evid: 2.0,
                    cmt: ".",
                    ..REC
                },
            ],
            Box::new(move |t| c.bolus(t, 100.0)),
        );
    }
    check("records", &all, None);
}

#[test]
fn resets_and_varying_covariates() {
    let mut all = Vec::new();
    for (tag, pk) in [("one", ONE), ("two", TWO)] {
        let iv = pk.iv();
        let running = Rec {
            amt: 100.0,
            rate: 5.0,
            addl: 9.0,
            ii: 12.0,
            ..REC
        };
        let c = iv.clone();
        let until = move |t: f64| {
            if t < 8.0 {
                c.infusion(t, 5.0, 20.0)
            } else {
                0.0
            }
        };
        all.push(patient(
            &format!("EVID 3 during an infusion, {tag}"),
            pk,
            &[
                running,
                Rec {
                    time: 8.0,
                    evid: 3.0,
                    cmt: ".",
                    ..REC
                },
            ],
            TIMES,
            until,
        ));
        let c = iv.clone();
        let again = move |t: f64| {
            if t < 8.0 {
                c.infusion(t, 5.0, 20.0)
            } else {
                c.bolus(t - 8.0, 60.0)
            }
        };
        all.push(patient(
            &format!("EVID 4, {tag}"),
            pk,
            &[
                running,
                Rec {
                    time: 8.0,
                    evid: 4.0,
                    amt: 60.0,
                    ..REC
                },
            ],
            TIMES,
            again,
        ));
        let c = iv.clone();
        let again = move |t: f64| {
            if t < 8.0 {
                c.infusion(t, 5.0, 20.0)
            } else {
                c.infusion(t - 8.0, 6.0, 10.0)
            }
        };
        all.push(patient(
            &format!("EVID 4, infusion, {tag}"),
            pk,
            &[
                running,
                Rec {
                    time: 8.0,
                    evid: 4.0,
                    amt: 60.0,
                    rate: 6.0,
                    ..REC
                },
            ],
            TIMES,
            again,
        ));
    }
    // CL doubles at 5 h and is halved at 13 h
    let k = ONE.cl / ONE.v;
    let exponent =
        move |t: f64| k * (t.min(5.0) + 2.0 * (t.clamp(5.0, 13.0) - 5.0) + (t - 13.0).max(0.0));
    let change = |time: f64, cl: f64| Rec {
        time,
        cl,
        evid: 2.0,
        cmt: ".",
        ..REC
    };
    let records = [
        Rec {
            amt: 100.0,
            cl: 1.1,
            ..REC
        },
        change(5.0, 2.2),
        change(13.0, 1.1),
    ];
    all.push(patient("CL varies", ONE, &records, TIMES, move |t| {
        5.0 * (-exponent(t)).exp()
    }));
    // F and lag that vary belong to the dose they stand with
    let c = ONE.iv();
    let records = [
        Rec {
            amt: 100.0,
            f1: 0.5,
            lag: 1.0,
            ..REC
        },
        Rec {
            time: 6.0,
            amt: 100.0,
            f1: 0.25,
            lag: 3.0,
            ..REC
        },
    ];
    all.push(patient("F and lag vary", ONE, &records, TIMES, move |t| {
        c.bolus(t - 1.0, 50.0) + c.bolus(t - 9.0, 25.0)
    }));
    check("resets and covariates", &all, None);
}

fn steady_patients(pk: Pk, tag: &str, ii: f64, times: &[f64]) -> Vec<Patient> {
    let (iv, oral) = (pk.iv(), pk.oral());
    let mut all = Vec::new();
    let dose = Rec {
        amt: 100.0,
        ss: 1.0,
        ii,
        ..REC
    };
    let mut add = |name: &str, records: &[Rec], expected: Box<dyn Fn(f64) -> f64>| {
        all.push(Patient {
            name: format!("{name}, {tag}"),
            pk,
            records: records.to_vec(),
            times: times.to_vec(),
            expected,
        });
    };
    let c = iv.clone();
    add(
        "SS bolus",
        &[dose],
        Box::new(move |t| c.ever_bolus(t, ii, 100.0)),
    );
    let c = oral.clone();
    add(
        "SS oral",
        &[Rec {
            cmt: "depot",
            ..dose
        }],
        Box::new(move |t| c.ever_bolus(t, ii, 100.0)),
    );
    let c = iv.clone();
    add(
        "SS and ADDL",
        &[Rec { addl: 40.0, ..dose }],
        Box::new(move |t| c.ever_bolus(t.rem_euclid(ii), ii, 100.0)),
    );
    for share in [0.4, 1.0, 25.0 / 12.0, 2.0, 100.0 / 12.0] {
        let duration = share * ii;
        let rate = 100.0 / duration;
        let c = iv.clone();
        add(
            &format!("SS infusion over {duration}"),
            &[Rec { rate, ..dose }],
            Box::new(move |t| c.ever_infusion(t, ii, rate, duration)),
        );
    }
    let c = iv.clone();
    let d1 = 16.0 / 12.0 * ii;
    add(
        "SS modelled duration",
        &[Rec {
            rate: -2.0,
            d1,
            ..dose
        }],
        Box::new(move |t| c.ever_infusion(t, ii, 100.0 / d1, d1)),
    );
    let c = iv.clone();
    add(
        "SS infusion and F",
        &[Rec {
            rate: 4.0,
            f1: 0.25,
            ..dose
        }],
        Box::new(move |t| c.ever_infusion(t, ii, 4.0, 6.25)),
    );
    let c = iv.clone();
    add(
        "SS constant",
        &[Rec {
            amt: 0.0,
            rate: 10.0,
            ii: 0.0,
            ..dose
        }],
        Box::new(move |t| {
            c.constant(10.0)
                - if t > 0.0 {
                    c.infusion(t, 10.0, f64::INFINITY)
                } else {
                    0.0
                }
        }),
    );
    for lag in [5.0, 12.0, 15.0, 30.0].map(|lag| lag / 12.0 * ii) {
        let c = iv.clone();
        add(
            &format!("SS, lag {lag}"),
            &[Rec { lag, ..dose }],
            Box::new(move |t| c.ever_bolus(t - lag, ii, 100.0)),
        );
        let (c, rate, duration) = (iv.clone(), 100.0 / (25.0 / 12.0 * ii), 25.0 / 12.0 * ii);
        add(
            &format!("SS infusion, lag {lag}"),
            &[Rec { lag, rate, ..dose }],
            Box::new(move |t| c.ever_infusion(t - lag, ii, rate, duration)),
        );
    }
    all
}

#[test]
fn steady_states() {
    let mut all = steady_patients(ONE, "one", 12.0, TIMES);
    all.extend(steady_patients(TWO, "two", 12.0, TIMES));
    for (tag, pk) in [("one", ONE), ("two", TWO)] {
        let (c, d) = (pk.iv(), pk.oral());
        // morning and evening doses that differ
        let both = move |t: f64| {
            c.ever_bolus(t, 24.0, 100.0)
                + if t < 12.0 {
                    0.0
                } else {
                    d.ever_bolus(t - 12.0, 24.0, 50.0)
                }
        };
        let records = [
            Rec {
                amt: 100.0,
                ss: 1.0,
                ii: 24.0,
                ..REC
            },
            Rec {
                time: 12.0,
                amt: 50.0,
                cmt: "depot",
                ss: 2.0,
                ii: 24.0,
                ..REC
            },
        ];
        all.push(patient(
            &format!("SS 2, {tag}"),
            pk,
            &records,
            &[0.0, 6.0, 12.0, 13.0, 20.0, 40.0],
            both,
        ));
        let infusion = Rec {
            amt: 100.0,
            rate: 10.0,
            addl: 5.0,
            ii: 24.0,
            ..REC
        };
        let c = pk.iv();
        let replaced = move |t: f64| {
            if t < 5.0 {
                c.infusion(t, 10.0, 10.0)
            } else {
                c.ever_bolus(t - 5.0, 12.0, 70.0)
            }
        };
        let records = [
            infusion,
            Rec {
                time: 5.0,
                amt: 70.0,
                ss: 1.0,
                ii: 12.0,
                ..REC
            },
        ];
        all.push(patient(
            &format!("SS 1 during an infusion, {tag}"),
            pk,
            &records,
            &[1.0, 5.0, 6.0, 30.0],
            replaced,
        ));
        let c = pk.iv();
        let kept = move |t: f64| {
            let steady = if t < 5.0 {
                0.0
            } else {
                c.ever_bolus(t - 5.0, 12.0, 70.0)
            };
            steady + repeated(t, 24.0, 6, |t| c.infusion(t, 10.0, 10.0))
        };
        let records = [
            infusion,
            Rec {
                time: 5.0,
                amt: 70.0,
                ss: 2.0,
                ii: 12.0,
                ..REC
            },
        ];
        all.push(patient(
            &format!("SS 2 during an infusion, {tag}"),
            pk,
            &records,
            &[1.0, 5.0, 6.0, 30.0, 50.0],
            kept,
        ));
    }
    check("steady states", &all, None);
}

/// Half-lives of 17 days to 2 years under daily dosing: each cycle changes little.
#[test]
fn steady_states_of_slow_kinetics() {
    let slow = |days: f64| Pk {
        cl: 50.0 * std::f64::consts::LN_2 / (24.0 * days),
        v: 50.0,
        ..ONE
    };
    let antibody = Pk {
        ka: 0.02,
        cl: 0.01,
        v: 3.0,
        q: 0.03,
        v2: 3.0,
    };
    let times = [0.0, 1.0, 6.0, 24.0, 48.0, 240.0];
    let mut all = Vec::new();
    for days in [30.0, 100.0, 365.0, 730.0] {
        all.extend(steady_patients(
            slow(days),
            &format!("half-life {days} d"),
            24.0,
            &times,
        ));
    }
    all.extend(steady_patients(antibody, "antibody, daily", 24.0, &times));
    all.extend(steady_patients(
        antibody,
        "antibody, every three weeks",
        504.0,
        &times,
    ));
    check("slow steady states", &all, Some(0.25));
}

/// Any number of doses of any kind superpose.
#[test]
fn random_records_superpose() {
    let mut state = fresh_seed("random records");
    let mut uniform = move |low: f64, high: f64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * ((state >> 33) as f64 / (1u64 << 31) as f64)
    };
    let mut all = Vec::new();
    for i in 0..60 {
        let pk = Pk {
            ka: uniform(0.3, 2.0),
            cl: uniform(1.0, 8.0),
            v: uniform(10.0, 40.0),
            q: uniform(1.0, 10.0),
            v2: uniform(20.0, 90.0),
        };
        let mut records = Vec::new();
        let mut parts: Vec<Box<dyn Fn(f64) -> f64>> = Vec::new();
        for _ in 0..2 + i % 6 {
            let time = (uniform(0.0, 48.0) * 8.0).round() / 8.0;
            let (amt, f1, lag) = (
                uniform(20.0, 200.0).round(),
                uniform(0.2, 1.0),
                (uniform(0.0, 4.0) * 4.0).round() / 4.0,
            );
            let (addl, ii) = (uniform(0.0, 4.0).floor(), uniform(2.0, 14.0).round());
            let count = addl as i32 + 1;
            let kind = uniform(0.0, 4.0).floor();
            let base = Rec {
                time,
                amt,
                f1,
                lag,
                addl,
                ii,
                ..REC
            };
            let start = time + lag;
            if kind == 0.0 {
                let c = pk.iv();
                records.push(base);
                parts.push(Box::new(move |t| {
                    repeated(t - start, ii, count, |t| c.bolus(t, f1 * amt))
                }));
            } else if kind == 1.0 {
                let c = pk.oral();
                records.push(Rec {
                    cmt: "oral",
                    ..base
                });
                parts.push(Box::new(move |t| {
                    repeated(t - start, ii, count, |t| c.bolus(t, f1 * amt))
                }));
            } else if kind == 2.0 {
                let (c, rate) = (pk.iv(), uniform(5.0, 50.0).round());
                records.push(Rec { rate, ..base });
                parts.push(Box::new(move |t| {
                    repeated(t - start, ii, count, |t| {
                        c.infusion(t, rate, f1 * amt / rate)
                    })
                }));
            } else {
                let (c, d1) = (pk.iv(), uniform(0.5, 20.0));
                records.push(Rec {
                    rate: -2.0,
                    d1,
                    ..base
                });
                parts.push(Box::new(move |t| {
                    repeated(t - start, ii, count, |t| c.infusion(t, f1 * amt / d1, d1))
                }));
            }
        }
        let times: Vec<f64> = (0..20).map(|k| 0.1 + 5.0 * f64::from(k)).collect();
        all.push(patient(
            &format!("random {i}"),
            pk,
            &records,
            &times,
            move |t| parts.iter().map(|part| part(t)).sum(),
        ));
    }
    check("random records", &all, None);
}
