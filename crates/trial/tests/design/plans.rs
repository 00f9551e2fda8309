//! Analysis, credibility, interim analyses, replicates, dose finding.

use posology_trial::design::{
    CredibilityContext, DoseFindingDesign, Futility, Multiplicity, Operating, Sequential,
    Statistic, Validation,
};

use crate::{edited, read, with};

#[test]
fn an_analysis_with_everything() {
    let more = "secondary = [\"intensity\", \"grade4\"]\nmultiplicity = \"fixed-sequence\"\nalpha = 0.025\nwin_ratio = [\"death\", \"neutropenia\"]\nlevel = 0.9\n[endpoints.death]\nhazard = \"0.01[1/d]\"\n";
    let analysis = with(more).analysis;
    assert_eq!((analysis.control, analysis.primary), (0, 0));
    assert_eq!(analysis.secondary, [2, 1]);
    assert_eq!(analysis.multiplicity, Multiplicity::FixedSequence);
    assert_eq!(analysis.multiplicity.name(), "fixed-sequence");
    assert_eq!((analysis.alpha, analysis.level), (0.025, 0.9));
    assert_eq!(analysis.win_ratio, [3, 0]);
}

#[test]
fn an_analysis_by_default() {
    let analysis = with("").analysis;
    assert_eq!(analysis.multiplicity, Multiplicity::Holm);
    assert_eq!((analysis.alpha, analysis.level), (0.05, 0.95));
    assert!(analysis.secondary.is_empty() && analysis.win_ratio.is_empty());
}

#[test]
fn credibility() {
    let more = r#"
[context]
question = "Is 75 mg/m2 safer?"
context_of_use = "teaching"
influence = "none"
consequence = """
no
patient"""
[[validation]]
quantity = "grade 4 neutropenia at 100 mg/m2"
published = 75.4
low = 70
high = 80
unit = "%"
endpoint = "grade4"
arm = "d100"
statistic = "rate"
source = "label"
note = "all cycles"
[[validation]]
quantity = "time"
published = 8
endpoint = "neutropenia"
arm = "d75"
statistic = "median"
source = "label"
"#;
    let trial = with(more);
    assert_eq!(
        trial.context,
        Some(CredibilityContext {
            question: "Is 75 mg/m2 safer?".into(),
            context_of_use: "teaching".into(),
            influence: "none".into(),
            consequence: "no patient".into(),
        })
    );
    assert_eq!(
        trial.validation,
        [
            Validation {
                quantity: "grade 4 neutropenia at 100 mg/m2".into(),
                published: 75.4,
                range: Some((70.0, 80.0)),
                unit: "%".into(),
                endpoint: 1,
                arm: 1,
                statistic: Statistic::Rate,
                source: "label".into(),
                note: "all cycles".into(),
            },
            Validation {
                quantity: "time".into(),
                published: 8.0,
                range: None,
                unit: String::new(),
                endpoint: 0,
                arm: 0,
                statistic: Statistic::Median,
                source: "label".into(),
                note: String::new(),
            }
        ]
    );
}

#[test]
fn interim_analyses() {
    let trial = with("[sequential]\nkind = \"obrien-fleming\"\nlooks = 4\n");
    assert_eq!(
        trial.sequential,
        Some(Sequential {
            kind: "obrien-fleming".into(),
            shape: None,
            looks: vec![0.25, 0.5, 0.75, 1.0],
            alpha: 0.05,
            sides: 2,
            futility: None,
        })
    );
    let more = "[sequential]\nkind = \"lan-demets-power\"\nshape = 2\nlooks = [0.5, 0.8, 1]\nalpha = 0.025\nsides = 1\nfutility = { kind = \"lan-demets-of\", power = 0.9 }\n";
    assert_eq!(
        with(more).sequential,
        Some(Sequential {
            kind: "lan-demets-power".into(),
            shape: Some(2.0),
            looks: vec![0.5, 0.8, 1.0],
            alpha: 0.025,
            sides: 1,
            futility: Some(Futility {
                kind: "lan-demets-of".into(),
                shape: None,
                power: 0.9,
            }),
        })
    );
}

#[test]
fn replicates() {
    let more = "[operating]\nreplicates = 10_000\npatients = 300\nnull = { arm = \"d75\" }\n";
    assert_eq!(
        with(more).operating,
        Some(Operating {
            replicates: 10_000,
            patients: 300,
            null: Some(0),
        })
    );
    let none = with("[operating]\nreplicates = 100\npatients = 300\n").operating;
    assert_eq!(none.unwrap().null, None);
}

#[test]
fn dose_finding() {
    let more = "[dose_finding]\ndesign = \"crm\"\ntarget = 0.25\ncohort_size = 3\npatients = 30\ndoses = [\"60 mg/m2 over 1 h every 21 d x 2\", \"d75\", \"d100\"]\nstart = 2\ndlt = \"grade4\"\nskeleton = [0.1, 0.2, 0.3]\nreplicates = 500\n";
    let trial = with(more);
    let study = trial.dose_finding.as_ref().unwrap();
    assert_eq!(study.design, DoseFindingDesign::Crm);
    assert_eq!((study.target, study.start, study.dlt), (0.25, 1, 1));
    assert_eq!(
        (study.cohort_size, study.patients, study.replicates),
        (3, 30, 500)
    );
    assert_eq!(study.skeleton, [0.1, 0.2, 0.3]);
    let doses: Vec<(&str, Option<usize>)> = study
        .doses
        .iter()
        .map(|dose| (dose.title.as_str(), dose.arm))
        .collect();
    assert_eq!(
        doses,
        [
            ("60 mg/m2 over 1 h every 21 d x 2", None),
            ("d75", Some(0)),
            ("d100", Some(1))
        ]
    );
    assert_eq!(
        study.doses[1].regimen,
        trial.arms[0].regimen.as_ref().unwrap().0
    );
    assert_eq!(study.doses[0].regimen.series[0].cycles, Some(2));
    let least =
        with("[dose_finding]\ndesign = \"3+3\"\ndoses = [\"d75\", \"d100\"]\ndlt = \"grade4\"\n");
    let least = least.dose_finding.unwrap();
    assert_eq!(least.design.name(), "3+3");
    assert_eq!((least.target, least.cohort_size, least.start), (0.3, 3, 0));
    assert!(least.skeleton.is_empty());
}

/// Covariates that the model lacks can divide patients; those that nothing names are left out.
#[test]
fn a_population_and_its_further_covariates() {
    let edits = [
        (
            "patients = 100",
            "patients = 100\npopulation = \"../populations/metastatic-breast.toml\"\nuncertainty = true",
        ),
        ("\"AAG > 1.34 g/L\"", "\"CRCL < 60 mL/min\", \"ALB < 40\""),
        (
            "men = \"female < 0.5\", women = \"female > 0.5\"",
            "young = \"AGE < 65 yr\", old = \"AGE >= 65 yr\"",
        ),
    ];
    let before = with("").model.slot_count();
    let trial = read(&edited(&edits)).unwrap_or_else(|found| panic!("{found}"));
    let sampled = trial.virtual_patients.as_ref().unwrap();
    assert!(sampled.uncertainty);
    assert_eq!(
        sampled.population.as_ref().unwrap().name,
        "metastatic-breast"
    );
    let file = sampled.population_file.as_ref().unwrap();
    assert_eq!(file.file, "../populations/metastatic-breast.toml");
    assert!(file.path.is_file());
    let model = &trial.model;
    assert_eq!(model.slot_count(), before + 3);
    let slots = model.typical_slots();
    let year = model
        .units
        .scale(&posology_model::unit::Unit::parse("yr").unwrap());
    assert!((slots[model.slot_index("AGE").unwrap()] / year - 54.0).abs() < 1.0);
    assert!(model.slot_index("SLD0").is_none());
    // what is drawn reaches the condition
    let drawn = sampled
        .population
        .as_ref()
        .unwrap()
        .sample(model, 500, 1, 0)
        .unwrap();
    let age = model.slot_index("AGE").unwrap();
    let values: Vec<f64> = drawn.cohort.slots[age]
        .iter()
        .map(|age| age / year)
        .collect();
    assert!(values.iter().all(|age| (25.0..=85.0).contains(age)));
    for (patient, &age) in values.iter().enumerate() {
        let slots: Vec<f64> = drawn
            .cohort
            .slots
            .iter()
            .map(|slot| slot[patient])
            .collect();
        let groups = &trial.subgroups[0].groups;
        let nodes = [groups[0].1.node, groups[1].1.node];
        let found = posology_model::interpret::evaluate_slots(&model.graph, &nodes, &slots);
        assert_eq!((found[0] > 0.0, found[1] > 0.0), (age < 65.0, age >= 65.0));
    }
}
