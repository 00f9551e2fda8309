//! Visits, protocols, allocation, subgroups, steps, populations.

use posology_trial::design::{Action, Condition};

use crate::{BASE, edited, read, with};

const HOURS: f64 = 24.0; // the model counts in hours

#[test]
fn visits_and_what_is_measured() {
    let trial = with("");
    assert!(trial.warnings.is_empty(), "{}", trial.warnings);
    let visits = trial.visits.as_ref().unwrap();
    assert_eq!(visits.every, 7.0 * HOURS);
    assert_eq!(visits.every_text, "7 d");
    assert_eq!(visits.missed, 0.03);
    assert!((visits.dropout - 0.0005 / HOURS).abs() < 1e-18);
    let [anc] = &visits.observed[..] else {
        panic!("{:?}", visits.observed)
    };
    assert_eq!(
        (anc.name.as_str(), anc.every, anc.error, anc.lloq),
        ("ANC", 1, true, None)
    );
    assert_eq!(trial.model.observables[anc.observable].name, "ANC");
}

#[test]
fn observations_have_their_own_interval_error_and_limit() {
    let text = edited(&[(
        "[visits.observe.ANC]\nevery = \"7 d\"\n",
        "[visits.observe.ANC]\n\n[visits.observe.docetaxel_plasma]\nevery = \"3 wk\"\nerror = false\nlloq = \"5 ng/mL\"\n",
    )]);
    let trial = read(&text).unwrap_or_else(|found| panic!("{found}"));
    let observed = &trial.visits.as_ref().unwrap().observed;
    assert_eq!(observed[0].every, 1);
    assert_eq!(
        (observed[1].every, observed[1].error, observed[1].lloq),
        (3, false, Some(0.005))
    );
    // nothing uses the concentration
    let codes: Vec<&str> = trial.warnings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["T025"]);
}

#[test]
fn protocols_and_arms() {
    let trial = with("");
    let [protocol] = &trial.protocols[..] else {
        panic!("{:?}", trial.protocols)
    };
    assert_eq!(
        (protocol.name.as_str(), protocol.source.as_str()),
        ("standard", "label")
    );
    assert_eq!(trial.arms[0].protocol, Some(0));
    assert_eq!(trial.arms[1].protocol, Some(0));
    let [delay, reduce] = &protocol.rules[..] else {
        panic!("{:?}", protocol.rules)
    };
    assert_eq!(delay.text, "ANC < 1.5e9/L on day 1: delay 7 d up to 21 d");
    assert_eq!(delay.day, Some(1));
    assert_eq!(
        delay.actions,
        [Action::Delay {
            limit: Some(21.0 * HOURS)
        }]
    );
    let Condition::Measured { text, .. } = &delay.condition else {
        panic!("{:?}", delay.condition)
    };
    assert_eq!(text, "ANC < 1.5e9[1/L]");
    assert_eq!(reduce.day, None);
    assert!(matches!(
        reduce.condition,
        Condition::Grade {
            toxicity: 0,
            grade: 4
        }
    ));
    assert_eq!(
        reduce.actions,
        [
            Action::Reduce {
                share: 0.25,
                input: None
            },
            Action::Stop
        ]
    );
    let line = reduce.place.source.position(reduce.place.span.start).0;
    assert!(BASE.lines().nth(line - 1).unwrap().contains("grade 4"));
}

#[test]
fn allocation() {
    let trial = with("");
    let design = &trial.allocation;
    assert!(!design.every_arm);
    assert_eq!((design.ratio.as_slice(), design.block), (&[1, 2][..], 6));
    assert_eq!(design.accrual, 14.0 * HOURS);
    let strata: Vec<&str> = design
        .strata
        .iter()
        .map(|split| split.text.as_str())
        .collect();
    assert_eq!(strata, ["ecog1", "AAG > 1.34 g/L"]);
    // a stratum is positive where it holds
    let mut slots = trial.model.typical_slots();
    let holds = |slots: &[f64]| -> Vec<bool> {
        design
            .strata
            .iter()
            .map(|split| value(&trial.model, split.node, slots) > 0.0)
            .collect()
    };
    slots[trial.model.slot_index("ecog1").unwrap()] = 0.0;
    slots[trial.model.slot_index("AAG").unwrap()] = 1.0e3 * 1.35;
    assert_eq!(holds(&slots), [false, true]);
    slots[trial.model.slot_index("ecog1").unwrap()] = 1.0;
    slots[trial.model.slot_index("AAG").unwrap()] = 1.0e3 * 1.33;
    assert_eq!(holds(&slots), [true, false]);
}

/// Value of a node that reads slots only.
fn value(model: &posology_model::Model, node: posology_model::graph::NodeId, slots: &[f64]) -> f64 {
    posology_model::interpret::evaluate_slots(&model.graph, &[node], slots)[0]
}

#[test]
fn without_a_design_each_patient_goes_through_every_arm() {
    let design = BASE.split("[design]").nth(1).unwrap();
    let section = design.split("[endpoints.neutropenia]").next().unwrap();
    let trial =
        read(&edited(&[("[design]", ""), (section, "\n")])).unwrap_or_else(|f| panic!("{f}"));
    assert!(trial.allocation.every_arm);
    assert_eq!(
        (trial.allocation.ratio.as_slice(), trial.allocation.block),
        (&[1, 1][..], 2)
    );
    assert!(trial.allocation.strata.is_empty());
    assert_eq!(trial.allocation.accrual, 0.0);
}

#[test]
fn subgroups() {
    let trial = with("");
    let [sex] = &trial.subgroups[..] else {
        panic!("{:?}", trial.subgroups)
    };
    assert_eq!((sex.name.as_str(), sex.title.as_str()), ("sex", "sex"));
    let mut slots = trial.model.typical_slots();
    for (female, expected) in [(0.0, [true, false]), (1.0, [false, true])] {
        slots[trial.model.slot_index("female").unwrap()] = female;
        let found: Vec<bool> = sex
            .groups
            .iter()
            .map(|(_, split)| value(&trial.model, split.node, &slots) > 0.0)
            .collect();
        assert_eq!(found, expected);
    }
    let names: Vec<&str> = sex.groups.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["men", "women"]);
}

#[test]
fn steps_of_the_trial() {
    assert!(with("").step.is_none());
    let one = read(&edited(&[(
        "time_unit = \"d\"",
        "time_unit = \"d\"\ndt = \"0.05 h\"",
    )]))
    .unwrap();
    let pieces = &one.step.unwrap().0;
    assert_eq!(
        (pieces.len(), pieces[0].until, pieces[0].dt),
        (1, None, 0.05)
    );
    let many = "time_unit = \"d\"\ndt = [ { until = \"2 h\", dt = \"36 s\" }, { dt = \"0.1 h\" } ]";
    let many = read(&edited(&[("time_unit = \"d\"", many)])).unwrap();
    let pieces = &many.step.unwrap().0;
    assert_eq!(
        pieces
            .iter()
            .map(|piece| (piece.until, piece.dt))
            .collect::<Vec<_>>(),
        [(Some(2.0), 0.01), (None, 0.1)]
    );
}

#[test]
fn a_rule_of_an_arm_decides_at_visits_from_what_is_measured() {
    let rule = "protocol = \"standard\"\n[arms.d75.rule]\nevery = \"14 d\"\nset.ecog1 = \"if(ANC < 0.5*ANC_baseline, 1, if(ANC_nadir > 1[1e9/L], 0, ecog1))\"";
    let trial =
        read(&edited(&[("protocol = \"standard\"", rule)])).unwrap_or_else(|f| panic!("{f}"));
    let rule = trial.arms[0].rule.as_ref().unwrap();
    assert_eq!(
        (rule.every, rule.every_text.as_str()),
        (14.0 * HOURS, "14 d")
    );
    assert!(rule.set.set.is_empty());
    assert_eq!(rule.text[0].0, "ecog1");
}
