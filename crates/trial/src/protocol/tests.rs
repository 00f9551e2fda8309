//! The machine against a person with a pencil: the same rules in plain code on the same
//! measurements, and the same doses given as fixed events.

use posology_cohort::event::{Action as Act, Amount, Event, Timeline};
use posology_cohort::{Cohort, Timelines};
use posology_kernels::device::{self, Device};
use posology_model::file::{Origin, Place};
use posology_sim::outputs::{Column, column};
use posology_sim::{OutputPlan, Results, RuleSet, RunOptions, Simulation};

use super::Machine;
use crate::Trial;
use crate::design::{Action, Condition, Observed, Protocol, Rule, Visits};

const PATIENTS: usize = 200;
const TRIAL: &str = r#"
name = "t"
title = "t"
model = "docetaxel-neutropenia.toml"
horizon = "150 d"
time_unit = "d"
[virtual]
patients = 10
[arms.a]
regimen = "100 mg/m2 over 1 h every 21 d x 5"
[endpoints.t]
first_time = "circulating < 0.5[1e9/L]"
unit = "d"
[analysis]
control = "a"
primary = "t"
"#;

fn device() -> Device {
    device::open(Some("software")).unwrap()
}

fn rule(condition: Condition, day: Option<u32>, actions: Vec<Action>) -> Rule {
    let origin = Origin::whole("rule", "");
    let place: &Place = origin.place();
    Rule {
        text: String::new(),
        place: place.clone(),
        condition,
        day,
        actions,
    }
}

fn measured(text: &str) -> Condition {
    Condition::Measured {
        text: text.to_owned(),
        origin: Origin::whole("rule", text),
    }
}

fn trial(error: bool, missed: f64, dropout: f64) -> Trial {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models");
    let mut trial = Trial::parse("t.toml", TRIAL, &models).unwrap_or_else(|e| panic!("{e}"));
    trial.visits = Some(Visits {
        every: 168.0,
        every_text: "7 d".to_owned(),
        missed,
        dropout,
        observed: vec![Observed {
            observable: 0,
            name: "ANC".to_owned(),
            every: 1,
            error,
            lloq: None,
        }],
    });
    let reduce = |share| Action::Reduce { share, input: None };
    trial.protocols = vec![Protocol {
        name: "p".to_owned(),
        rules: vec![
            rule(
                measured("ANC < 4.5[1e9/L]"),
                Some(1),
                vec![Action::Delay {
                    limit: Some(14.0 * 24.0),
                }],
            ),
            rule(
                Condition::Grade {
                    toxicity: 0,
                    grade: 4,
                },
                None,
                vec![reduce(0.25), reduce(0.2), Action::Stop],
            ),
        ],
        source: String::new(),
    }];
    trial.arms[0].protocol = Some(0);
    trial
}

struct Run {
    machine: Machine,
    cohort: Cohort,
    results: Results,
}

/// Records per visit: ANC as seen, fresh, give, level, cycle, stopped, reason, true ANC.
fn run(trial: &Trial, seed: u64) -> Run {
    let visits = trial.visits.as_ref().unwrap();
    let machine = Machine::new(trial, &trial.arms[0], visits).unwrap_or_else(|e| panic!("{e}"));
    let people = Cohort::sample(&trial.model, PATIENTS, seed, 0).unwrap();
    let leaves: Vec<f64> = (0..PATIENTS)
        .map(|p| if p % 3 == 0 { 40.0 * 24.0 } else { 1e9 })
        .collect();
    let cohort = machine.cohort(&people, &leaves);
    let timelines = machine.timelines(&cohort, trial.horizon, true).unwrap();
    let mut model = machine.model.clone();
    let mut outputs = OutputPlan::none();
    let plain = |name: &str| Column {
        name: name.to_owned(),
        unit: "1".to_owned(),
        scale: 1.0,
    };
    let course = &machine.course;
    let slots = [
        machine.seen[0].value,
        machine.seen[0].fresh,
        machine.rules.dose_slots[0],
        course.levels[0].1,
        course.cycle,
        course.stopped,
        course.reason,
    ];
    for slot in slots {
        let node = model.graph.slot(slot);
        outputs.record(plain("x"), node, None);
    }
    let anc = model.observables[0].clone();
    outputs.record(column(&model, "ANC", &anc.unit), anc.node, None);
    let total = model.graph.slot(course.totals[0].1);
    outputs.summary(
        plain("total"),
        posology_model::program::AccumulatorRequest::Last(total),
    );
    let simulation = Simulation {
        model: &model,
        cohort: &cohort,
        timelines: &timelines,
        outputs: &outputs,
        rules: &machine.rules,
    };
    let options = RunOptions {
        seed,
        ..RunOptions::default()
    };
    let results = posology_sim::run::run(&device(), &simulation, &options, |_, _| true).unwrap();
    Run {
        machine,
        cohort,
        results,
    }
}

fn seed() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let seed = now.as_nanos() as u64 & 0xFFFF_FFFF;
    println!("seed {seed}");
    seed
}

/// What a doctor does with the protocol of [`trial`].
#[derive(Default)]
struct Doctor {
    cycles: u32,
    since: u32,
    waited: u32,
    severe: bool,
    times: u32,
    level: f64,
    stopped: bool,
    reason: u32,
}

impl Doctor {
    /// The dose level given at this visit.
    fn visit(&mut self, here: bool, left: bool, anc: f64) -> f64 {
        self.since += 1;
        let finished = self.cycles == 5 && self.since >= 3;
        if self.stopped || finished {
            return 0.0;
        }
        if left {
            (self.stopped, self.reason) = (true, 1);
            return 0.0;
        }
        if !here {
            return 0.0;
        }
        self.severe |= anc < 0.5;
        if self.severe && self.times >= 2 && self.cycles > 0 {
            (self.stopped, self.reason) = (true, 3);
            return 0.0;
        }
        let due = self.cycles == 0 || self.since >= 3;
        if !due || self.cycles == 5 {
            return 0.0;
        }
        if anc < 4.5 {
            if self.waited == 2 {
                (self.stopped, self.reason) = (true, 2);
            }
            self.waited += 1;
            return 0.0;
        }
        if self.severe {
            self.level *= if self.times == 0 { 0.75 } else { 0.8 };
            self.times += 1;
        }
        (self.severe, self.waited, self.since) = (false, 0, 0);
        self.cycles += 1;
        self.level
    }
}

#[test]
fn the_machine_decides_as_a_doctor_would() {
    for (error, missed, dropout) in [(false, 0.0, 0.0), (true, 0.15, 1.0)] {
        let trial = trial(error, missed, dropout);
        let run = run(&trial, seed());
        let records = &run.results.records;
        let visits = run.machine.visits as usize;
        assert_eq!(visits, 22);
        let (mut delayed, mut reduced, mut stopped, mut absent) = (0, 0, 0, 0);
        for p in 0..PATIENTS {
            let first = run.results.record_offsets[p];
            let mut doctor = Doctor {
                level: 1.0,
                ..Doctor::default()
            };
            let mut total = 0.0;
            for v in 0..visits {
                let at = |column: usize| records[column][first + v];
                let here = at(1) == 1.0;
                absent += usize::from(!here);
                let left = dropout > 0.0 && p % 3 == 0 && v as f64 * 7.0 >= 40.0;
                let waited = doctor.waited;
                // coherent is 1/L
                let give = doctor.visit(here, left, at(0) / 1e9);
                total += give;
                delayed += usize::from(doctor.waited > waited);
                let context = format!("patient {p}, visit {v}, ANC {}", at(0));
                assert!(
                    (at(2) - give).abs() < 1e-6,
                    "{context}: gave {}, not {give}",
                    at(2)
                );
                assert_eq!(at(4), f64::from(doctor.cycles), "{context}");
                assert_eq!(at(5) == 1.0, doctor.stopped, "{context}");
                assert_eq!(at(6), f64::from(doctor.reason), "{context}");
                assert!((at(3) - doctor.level).abs() < 1e-6, "{context}");
            }
            reduced += usize::from(doctor.level < 1.0);
            stopped += usize::from(doctor.stopped);
            let weight = run.machine.cycle.as_ref().unwrap().groups[0].weight;
            let ratio = run.results.summaries[0][p] / (weight * total.max(1e-9));
            assert!(total == 0.0 || (ratio - 1.0).abs() < 1e-6, "total {ratio}");
        }
        println!("{delayed} delays, {reduced} reduced, {stopped} stopped, {absent} visits missed");
        assert!(
            delayed > 20 && reduced > 20 && stopped > 5,
            "the protocol was hardly used"
        );
        assert_eq!(absent > 0, missed > 0.0);
    }
}

#[test]
fn doses_of_the_machine_are_doses() {
    let trial = trial(true, 0.1, 1.0);
    let run = run(&trial, seed());
    let records = &run.results.records;
    let visits = run.machine.visits as usize;
    // the same course as fixed events of each patient
    let model = &trial.model;
    let bsa = model.slot_index("BSA").unwrap();
    let mut lines = Vec::new();
    for p in 0..PATIENTS {
        let mut events = Vec::new();
        for v in 0..visits {
            let time = v as f64 * 168.0;
            events.push(Event::new(time, Act::Record));
            let give = records[2][run.results.record_offsets[p] + v];
            if give > 0.0 {
                // BSA is kept in dm^2, the dose in mg per m^2
                let amount = Amount::fixed(give * 100.0 * run.cohort.slots[bsa][p] / 100.0);
                events.push(Event::dose(
                    time,
                    Act::Rate {
                        input: 0,
                        change: amount,
                    },
                ));
                events.push(Event::new(
                    time + 1.0,
                    Act::Rate {
                        input: 0,
                        change: amount.negated(),
                    },
                ));
            }
        }
        lines.push(Timeline::new(events, trial.horizon));
    }
    let timelines = Timelines {
        of_patient: (0..PATIENTS as u32).collect(),
        timelines: lines,
        scales: Vec::new(),
    };
    let mut outputs = OutputPlan::none();
    let anc = &model.observables[0];
    outputs.record(column(model, "ANC", &anc.unit), anc.node, None);
    let mut cohort = run.cohort.clone();
    cohort.slots.truncate(model.slot_count());
    let simulation = Simulation {
        model,
        cohort: &cohort,
        timelines: &timelines,
        outputs: &outputs,
        rules: &RuleSet::default(),
    };
    let results =
        posology_sim::run::run(&device(), &simulation, &RunOptions::default(), |_, _| true)
            .unwrap();
    let worst = results.records[0]
        .iter()
        .zip(&records[7])
        .map(|(fixed, machine)| (fixed / machine - 1.0).abs())
        .fold(0.0, f64::max);
    println!("largest relative difference {worst:.1e}");
    // steps are cut at other instants; both are within 1e-4 of the truth
    assert!(worst < 2e-4, "{worst}");
}
