//! Arms in which a clinician decides: the same events as a regimen give the same results.

use std::error::Error;
use std::sync::Arc;

use posology_cohort::Cohort;
use posology_kernels::device::Device;
use posology_trial::run::{ArmResult, Clinician, NoStore, Ordered, OrderedDrug, Orders};
use posology_trial::table::Values;
use posology_trial::{Progress, RunSettings, Table, Trial, TrialError, TrialResult};

use crate::{device, settings};

const TRIAL: &str = r#"name = "ordered"
title = "A regimen, and the same orders"
model = "../models/docetaxel-neutropenia.toml"
horizon = "126 d"
time_unit = "d"
[virtual]
patients = 40
population = "../populations/metastatic-breast.toml"
[visits]
every = "7 d"
dropout = "0.004/d"
[visits.observe.ANC]
[arms.regimen]
regimen = "75 mg/m2 over 1 h every 21 d x 5"
[arms.ordered]
regimen = "75 mg/m2 over 1 h every 21 d x 5"
policy = { checkpoint = "nowhere" }
[endpoints.days]
integral = "if(circulating < 0.5[1e9/L], 1, 0)"
unit = "d"
[endpoints.exposure]
integral = "cp"
unit = "mg*h/L"
[endpoints.intensity]
dose_intensity = "docetaxel"
unit = "%"
[endpoints.amount]
dose = "docetaxel"
unit = "mg"
[analysis]
control = "regimen"
primary = "days"
times = ["21 d"]
"#;

/// Gives `level` mg/m2 at every third weekly decision, and everybody `decisions` of them.
#[derive(Debug)]
struct Fixed {
    level: f64,
    decisions: usize,
    bsa: usize,
    /// Slot that is set to 1 instead.
    covariate: Option<usize>,
}

impl Clinician for Fixed {
    fn orders(&self, arm: &str) -> Option<Orders> {
        let drug = OrderedDrug {
            input: 0,
            at: vec![0.0],
            over: Some(1.0),
        };
        (arm == "ordered").then(|| Orders {
            every: 168.0,
            decisions: self.decisions,
            drugs: if self.covariate.is_some() {
                vec![]
            } else {
                vec![drug]
            },
            covariates: self.covariate.into_iter().collect(),
        })
    }

    fn treat(
        &self,
        _device: &Device,
        _arm: &str,
        patients: &Cohort,
        _seed: u64,
    ) -> Result<Ordered, Box<dyn Error + Send + Sync>> {
        let n = patients.len();
        let dose = |decision: usize| -> Vec<f64> {
            let due = decision.is_multiple_of(3) && decision < 15;
            let bsa = patients.slots[self.bsa].iter();
            bsa.map(|bsa| if due { self.level * bsa } else { 0.0 })
                .collect()
        };
        let doses = (0..self.decisions).map(dose).collect();
        let drugs = self.covariate.is_none();
        Ok(Ordered {
            decisions: vec![self.decisions as u32; n],
            ended: vec![false; n],
            amounts: if drugs { vec![doses] } else { vec![] },
            values: if drugs {
                vec![]
            } else {
                vec![vec![vec![1.0; n]; self.decisions]]
            },
        })
    }
}

fn ran(text: &str, clinician: Fixed) -> (Trial, TrialResult, RunSettings) {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let trial =
        Trial::parse("ordered.toml", text, &folder).unwrap_or_else(|found| panic!("{found}"));
    let run = RunSettings {
        clinician: Some(Arc::new(clinician)),
        ..settings()
    };
    let result = trial
        .simulate(device(), &run, &mut NoStore, &mut |_: &Progress| true)
        .unwrap()
        .unwrap();
    (trial, result, run)
}

fn docetaxel(level: f64, text: &str) -> (Trial, TrialResult, RunSettings) {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let model = Trial::parse("ordered.toml", text, &folder).unwrap().model;
    let (milligram, bsa) = (
        model.inputs[0].unit.clone(),
        model.slot_index("BSA").unwrap(),
    );
    // amounts enter the state in coherent units, as the model's own input would
    let people = Cohort::typical(&model, 1);
    let entering = posology_cohort::regimen::entering(&model, &people, 0).unwrap()[0];
    let square = model.units.scale(model.slot_unit(bsa));
    let level = level * entering * model.units.scale(&milligram) / square;
    ran(
        text,
        Fixed {
            level,
            decisions: 18,
            bsa,
            covariate: None,
        },
    )
}

fn close(a: &[f64], b: &[f64], relative: f64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= relative * a.abs().max(1.0), "{a} {b}");
    }
}

fn numbers<'a>(table: &'a Table, name: &str) -> &'a [f64] {
    match &table
        .columns
        .iter()
        .find(|c| c.name == name)
        .unwrap()
        .values
    {
        Values::Number(values) => values,
        other => panic!("{other:?}"),
    }
}

#[test]
fn orders_like_a_regimen_are_the_regimen() {
    let (trial, result, run) = docetaxel(75.0, TRIAL);
    let [regimen, ordered]: &[ArmResult; 2] = result.cohorts[0].arms[..].try_into().unwrap();
    for e in 0..trial.endpoints.len() {
        close(&regimen.values[e], &ordered.values[e], 2e-4);
    }
    let (a, b) = (
        regimen.course.as_ref().unwrap(),
        ordered.course.as_ref().unwrap(),
    );
    assert_eq!(a.cycles, b.cycles);
    close(&a.dose[0], &b.dose[0], 1e-6);
    close(&a.intensity[0], &b.intensity[0], 1e-6);
    assert!(
        a.intensity[0].iter().any(|&share| share < 0.9),
        "somebody leaves"
    );
    // what is seen and given at visits
    let (a, b) = (
        regimen.visits.as_ref().unwrap(),
        ordered.visits.as_ref().unwrap(),
    );
    close(&a.level, &b.level, 1e-6);
    for (a, b) in a.seen[0].iter().zip(&b.seen[0]) {
        assert!(a.is_nan() == b.is_nan() && (a.is_nan() || (a - b).abs() < 1e-3 * a));
    }
    // the exported doses
    let outcome = trial.outcome(&result, &run).unwrap();
    let table = outcome.tables.iter().find(|t| t.name == "adppk").unwrap();
    let arms = &table
        .columns
        .iter()
        .find(|c| c.name == "TRTP")
        .unwrap()
        .values;
    let Values::Text(arms) = arms else { panic!() };
    let doses = |arm: &str| -> Vec<(f64, f64, f64)> {
        let rows = 0..table.len();
        let dosed = rows.filter(|&r| arms[r] == arm && numbers(table, "EVID")[r] == 1.0);
        dosed
            .flat_map(|r| {
                let more = numbers(table, "ADDL")[r] as usize;
                let (time, amount) = (numbers(table, "TIME")[r], numbers(table, "AMT")[r]);
                let interval = numbers(table, "II")[r];
                (0..=more).map(move |k| (time + k as f64 * interval, amount, 0.0))
            })
            .collect()
    };
    let (a, b) = (doses("regimen"), doses("ordered"));
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert!(
            (a.0 - b.0).abs() < 1e-6 && (a.1 / b.1 - 1.0).abs() < 1e-6,
            "{a:?} {b:?}"
        );
    }
    assert!(outcome.report_html.contains("trained policy nowhere"));
    assert_eq!(outcome.summary["arms"][1]["policy"], "nowhere");
}

#[test]
fn half_the_dose_is_half_the_intensity() {
    let text = TRIAL.replace("dropout = \"0.004/d\"\n", "");
    let (_, result, _) = docetaxel(37.5, &text);
    let ordered = &result.cohorts[0].arms[1];
    let course = ordered.course.as_ref().unwrap();
    for p in 0..40 {
        assert!((course.intensity[0][p] - 0.5).abs() < 1e-6);
        assert!((course.treated_until[p] - 126.0 * 24.0).abs() < 1e-3);
    }
    assert!(result.cohorts[0].arms[0].values[1][0] > 1.9 * ordered.values[1][0]);
}

#[test]
fn covariates_are_set_and_stay() {
    let text = r#"name = "ordered"
title = "Drug on"
model = "../models/abiraterone-psa.toml"
horizon = "300 d"
time_unit = "d"
[virtual]
patients = 20
[arms.regimen]
regimen = "abi_on: 1 from 0 d"
[arms.ordered]
policy = { checkpoint = "nowhere" }
[arms.off]
regimen = "abi_on: 0 from 0 d"
[endpoints.psa]
last = "psa"
unit = "ng/mL"
[endpoints.on]
integral = "abi_on"
unit = "d"
[analysis]
control = "regimen"
primary = "psa"
times = ["100 d"]
"#;
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let model = Trial::parse("ordered.toml", text, &folder).unwrap().model;
    let covariate = model.slot_index("abi_on");
    let (_, result, _) = ran(
        text,
        Fixed {
            level: 0.0,
            decisions: 1,
            bsa: 0,
            covariate,
        },
    );
    let arms = &result.cohorts[0].arms;
    assert_eq!(arms[0].values, arms[1].values);
    assert!(arms[1].values[1].iter().all(|&on| (on - 300.0).abs() < 0.1));
    assert_ne!(arms[0].values[0], arms[2].values[0]);
    assert!(arms[1].course.is_none());
}

#[test]
fn nobody_decides() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let trial = Trial::parse("ordered.toml", TRIAL, &folder).unwrap();
    let error = trial.run(device(), &settings(), &mut |_: &Progress| true);
    let error = error.unwrap_err();
    assert!(matches!(&error, TrialError::Clinician { arm, .. } if arm == "ordered"));
    assert!(error.to_string().contains("nobody decides"), "{error}");
}

#[test]
fn what_a_trained_policy_cannot_be_beside() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let policy = "policy = { checkpoint = \"nowhere\" }";
    for (change, code, words) in [
        ("policy = { checkpoin = \"nowhere\" }", "T002", "checkpoint"),
        ("policy = { draws = true }", "T003", "`checkpoint`"),
        (
            "policy = { checkpoint = \"x\", draws = 1 }",
            "T004",
            "true or false",
        ),
        (
            "policy = { checkpoint = \"x\" }\nprotocol = \"p\"",
            "T009",
            "alone",
        ),
        ("policy = \"no-such-file.toml\"", "T005", "cannot read"),
    ] {
        let text = TRIAL.replace(policy, change)
            + "[protocols.p]\nrules = [\"ANC < 1.5e9/L on day 1: delay 7 d up to 14 d\"]\n";
        let found = Trial::parse("ordered.toml", &text, &folder).unwrap_err();
        let finding = found.iter().find(|d| d.code == code);
        let finding = finding.unwrap_or_else(|| panic!("{change}: {found}"));
        assert!(
            format!("{found}").contains(words),
            "{change}: {}",
            finding.message
        );
    }
}
