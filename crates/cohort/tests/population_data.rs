//! Real cohorts: columns of a file, missing values by a declared rule, resampling.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use posology_cohort::Cohort;
use posology_cohort::population_file::Population;
use posology_model::Diagnostics;
use posology_model::model::Model;

const CSV: &str = "\
# six patients
ID,WEIGHT (g),HT,CRCL,CL,NOTE
a,70000,1.7,90,5,x
b,80000,1.8,.,6,x
c,60000,1.6,60,,x
d,,1.5,120,7,x
e,50000,1.4,NA,8,x
f,90000,1.9,30,9,x
";

fn population(csv: &str, covariates: &str, rest: &str) -> Result<Population, Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cohort.csv"), csv).unwrap();
    let text = format!(
        "name = \"real\"\n[sources]\nx = \"made up for this test\"\n[data]\nfile = \"cohort.csv\"\nid = \"ID\"\n{rest}\n[covariates]\n{covariates}\n"
    );
    Population::parse("real.toml", &text, Some(folder.path()))
}

fn weight(rule: &str) -> String {
    format!("WT = {{ unit = \"kg\", column = \"WEIGHT\", source = \"x\"{rule} }}")
}

fn model() -> Model {
    let text = "name = \"m\"\ntitle = \"m\"\ntime = \"h\"\ndt = \"1 h\"\n[sources]\nx = \"made up\"\n\
        [covariates]\nWT = { unit = \"g\", reference = 70000 }\n\
        [parameters]\nCL = { value = 10, unit = \"L/h\", source = \"x\", iiv = { cv = 0.3 } }\n\
        V = { value = 20, unit = \"L\", source = \"x\", iiv = { cv = 0.3 } }\n\
        [states.s]\nunit = \"mg\"\nrate = \"-CL/V*s*(WT/70[kg])\"\n[observables.y]\nexpr = \"s\"\nunit = \"mg\"\n";
    Model::parse("m.toml", text, None).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn each_rule_does_what_it_says() {
    let covariates = format!(
        "{}\nHT = {{ unit = \"m\", column = \"HT\", source = \"x\" }}\n\
         BMI = {{ unit = \"kg/m^2\", expr = \"WT/HT^2\" }}\n\
         CRCL = {{ unit = \"mL/min\", column = \"CRCL\", missing = \"median\", source = \"x\" }}",
        weight(", missing = \"reference\", reference = 75")
    );
    let population = population(CSV, &covariates, "").unwrap();
    assert_eq!(population.data_rows(), Some(6));
    assert_eq!(population.unused_columns(), ["CL", "NOTE"]);
    let missing: Vec<(String, usize, Option<f64>)> = population
        .missing()
        .iter()
        .map(|m| (m.column.clone(), m.count, m.value))
        .collect();
    assert_eq!(
        missing,
        [
            ("WEIGHT".to_owned(), 1, Some(75.0)),
            ("CRCL".to_owned(), 2, Some(75.0)) // of 90, 60, 120, 30
        ]
    );
    let drawn = population.covariates(6, 1, 0).unwrap();
    assert_eq!(drawn.names.unwrap(), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(
        drawn.columns[0].values,
        [70.0, 80.0, 60.0, 75.0, 50.0, 90.0]
    );
    assert_eq!(
        drawn.columns[3].values,
        [90.0, 75.0, 60.0, 120.0, 75.0, 30.0]
    );
    assert!((drawn.columns[2].values[0] - 70.0 / 2.89).abs() < 1e-12);
}

#[test]
fn patients_can_be_dropped_and_parameters_read() {
    let parameters =
        "resample = false\n[parameters]\nCL = { column = \"CL\", missing = \"reference\" }";
    let population = population(CSV, &weight(", missing = \"drop patient\""), parameters).unwrap();
    assert_eq!(population.data_rows(), Some(5));
    let model = model();
    let drawn = population.sample(&model, 5, 3, 0).unwrap();
    assert_eq!(
        drawn.cohort.names.as_ref().unwrap(),
        &["a", "b", "c", "e", "f"]
    );
    let slot = |name: &str| &drawn.cohort.slots[model.slot_index(name).unwrap()];
    // clearance from the file, typical where it is missing, volumes drawn as ever
    assert_eq!(slot("CL"), &[5.0, 6.0, 10.0, 8.0, 9.0]);
    assert_eq!(slot("WT"), &[70e6, 80e6, 60e6, 50e6, 90e6]);
    let plain = Cohort::sample(&model, 5, 3, 0).unwrap();
    assert_eq!(slot("V"), &plain.slots[model.slot_index("V").unwrap()]);
    assert_eq!(drawn.coverage.parameters, ["CL"]);
    assert!(drawn.coverage.reference.is_empty());
    let found = population.sample(&model, 6, 3, 0).unwrap_err();
    assert_eq!(found.iter().next().unwrap().code, "D153");
}

#[test]
fn rows_are_resampled_by_patient() {
    let population = population(
        CSV,
        &weight(", missing = \"drop patient\""),
        "resample = true",
    )
    .unwrap();
    let drawn = population.covariates(50_000, 9, 10).unwrap();
    assert_eq!(drawn.names, None);
    let values = &drawn.columns[0].values;
    for weight in [70.0, 80.0, 60.0, 50.0, 90.0] {
        let count = values.iter().filter(|v| **v == weight).count() as f64;
        // five standard errors of a share of a fifth
        assert!((count / 50_000.0 - 0.2).abs() < 5.0 * (0.16f64 / 50_000.0).sqrt());
    }
    let one = population.covariates(1, 9, 10 + 777).unwrap();
    assert_eq!(one.columns[0].values[0], values[777]);
}

fn code(csv: &str, covariates: &str, rest: &str) -> (String, String, String) {
    let found = population(csv, covariates, rest).unwrap_err();
    let first = found.iter().next().unwrap();
    let label = first.primary.as_ref().unwrap();
    let place = label.source.text()[label.span.clone()].to_owned();
    (first.code.to_owned(), place, first.help.join(" "))
}

#[test]
fn mistakes_point_at_their_place() {
    let (found, _, help) = code(CSV, &weight(""), "");
    assert_eq!(found, "D011");
    assert!(help.contains("missing = \"median\""));
    let (found, place, help) = code(CSV, &weight(", missing = \"mean\""), "");
    assert_eq!((found.as_str(), place.as_str()), ("D151", "\"mean\""));
    assert!(help.contains("median"));
    let (found, ..) = code(CSV, &weight(", missing = \"reference\""), "");
    assert_eq!(found, "D151");
    let other = "WT = { unit = \"kg\", column = \"WEIGTH\", source = \"x\" }";
    let (found, place, help) = code(CSV, other, "");
    assert_eq!((found.as_str(), place.as_str()), ("D150", "\"WEIGTH\""));
    assert!(help.contains("WEIGHT"));
    let volume = "WT = { unit = \"L\", column = \"WEIGHT\", missing = \"median\", source = \"x\" }";
    let (found, place, _) = code(CSV, volume, "");
    assert_eq!((found.as_str(), place.as_str()), ("D008", "WEIGHT (g)"));
    let (found, place, _) = code(
        &CSV.replace("80000", "heavy"),
        &weight(", missing = \"median\""),
        "",
    );
    assert_eq!((found.as_str(), place.as_str()), ("D010", "heavy"));
    let (found, place, _) = code(
        &CSV.replace("\nb,", "\na,"),
        &weight(", missing = \"median\""),
        "",
    );
    assert_eq!((found.as_str(), place.as_str()), ("D051", "a"));
    let (found, ..) = code("ID,WEIGHT\n", &weight(""), "");
    assert_eq!(found, "D009");
    let (found, ..) = code("ID,WEIGHT\na,.\n", &weight(", missing = \"median\""), "");
    assert_eq!(found, "D011");
    // a column without a file
    let text = "name = \"real\"\n[covariates]\nWT = { unit = \"kg\", column = \"W\", source = \"made up here\" }\n";
    let found = Population::parse("real.toml", text, None).unwrap_err();
    assert_eq!(found.iter().next().unwrap().code, "D152");
}

/// What only shows when patients are drawn, or meet a model.
#[test]
fn later_mistakes_point_at_the_population() {
    let csv = "ID,SEX,CL\na,0,1\nb,1,2\n";
    let mixed = "SEX = { unit = \"1\", column = \"SEX\", source = \"x\" }\n\
                 H = { unit = \"m\", by = \"SEX\", when.0.fixed = 1.7, source = \"x\" }";
    let found = population(csv, mixed, "")
        .unwrap()
        .covariates(2, 1, 0)
        .unwrap_err();
    let first = found.iter().next().unwrap();
    assert_eq!(
        (first.code, first.help[0].as_str()),
        ("D155", "add `when.1`")
    );
    let both = mixed.replace(
        "when.0.fixed = 1.7",
        "when.0.fixed = 1.7, when.1.fixed = 1.6",
    );
    let drawn = population(csv, &both, "")
        .unwrap()
        .covariates(2, 1, 0)
        .unwrap();
    assert_eq!(drawn.columns[1].values, [1.7, 1.6]);
    let sex = "SEX = { unit = \"1\", column = \"SEX\", source = \"x\" }";
    let unknown = "[parameters]\nKM = { column = \"CL\" }";
    let found = population(csv, sex, unknown)
        .unwrap()
        .coverage(&model())
        .unwrap_err();
    assert_eq!(found.iter().next().unwrap().code, "D157");
    let volume = "[parameters]\nCL = { column = \"CL\" }";
    let csv = csv.replace("CL", "CL (kg)");
    let found = population(&csv, sex, volume)
        .unwrap()
        .coverage(&model())
        .unwrap_err();
    assert_eq!(found.iter().next().unwrap().code, "D156");
    // bounds hold for data too
    let bounded = "SEX = { unit = \"1\", column = \"SEX\", bounds = [-0.5, 0.5], source = \"x\" }";
    let found = population(&csv, bounded, "")
        .unwrap()
        .covariates(2, 1, 0)
        .unwrap_err();
    assert_eq!(found.iter().next().unwrap().code, "D154");
}
