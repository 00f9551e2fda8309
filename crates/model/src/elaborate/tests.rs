use crate::graph::Node;
use crate::interpret::{self, Environment};
use crate::model::{Distribution, Model, SummaryKind};

const TWO_COMPARTMENTS: &str = r#"
name = "two-compartments"
title = "Two compartments with a molar effect"
time = "h"
dt = [ { until = "6 h", dt = "0.05 h" }, { dt = "1 h" } ]
[sources]
made = "made up for this test"
[covariates]
BSA = { unit = "m^2", reference = 1.8 }
[parameters]
CL = { value = 24, unit = "L/d", source = "made", iiv = { cv = 0.3 }, bounds = [0, 100] }
V1 = { value = 7400, unit = "mL", source = "made", iiv = { omega2 = 0.02 } }
k12 = { value = 1, unit = "1/h", source = "made", iiv = { sd = 0.1, distribution = "normal" } }
MW = { value = 500, unit = "g/mol", source = "made" }
[[correlations]]
between = ["V1", "CL"]
value = 0.5
[derived]
cp = { expr = "central / V1 / MW", unit = "nmol/L" }
late = { expr = "cp + early", unit = "umol/L" }
early = { expr = "if(t < 2[d], cp, 0)", unit = "umol/L" }
[inputs.drug]
into = "central"
unit = "mg"
[inputs.molar]
into = "central"
unit = "umol"
molar_mass = "MW"
[states.central]
unit = "mg"
rate = "-CL/V1*central - k12*central + k12*peripheral"
[states.peripheral]
unit = "g"
init = "0"
rate = "k12*central - k12*peripheral"
[observables.C]
expr = "cp"
unit = "nmol/L"
error = { proportional = 0.2, additive = "3 nmol/L", lloq = "1 nmol/L" }
[toxicities.high]
expr = "cp"
above = ["1 umol/L", "2000 nmol/L"]
grades = [2, 4]
source = "made"
[summaries]
peak = { max = "cp", unit = "nmol/L" }
auc = { integral = "cp", unit = "umol*h/L" }
above = { time_above = "cp", threshold = "50 nmol/L", unit = "d" }
below = { time_below = "C", threshold = "0.5*cp + 1[nM]", unit = "d" }
first = { first_time = "cp > 1[uM] and not t < 1[h]", unit = "d" }
at = { at = "central", time = "2 d", unit = "g" }
[balance.drug]
total = "central + peripheral"
gain = "-CL/V1*central"
[scenario]
regimen = "100 mg/m2 every 21 d"
duration = "3 wk"
"#;

fn model(text: &str) -> Model {
    Model::parse("test.toml", text, None).unwrap_or_else(|findings| panic!("{findings}"))
}

fn evaluate(model: &Model, node: crate::graph::NodeId, states: &[f64], t: f64) -> f64 {
    let slots = model.typical_slots();
    let inputs = vec![0.0; model.inputs.len()];
    let environment = Environment {
        states,
        slots: &slots,
        inputs: &inputs,
        time: t,
        tad: t,
        ..Default::default()
    };
    interpret::evaluate(&model.graph, &[node], &environment)[0]
}

#[test]
fn a_model_is_read_into_coherent_units() {
    let m = model(TWO_COMPARTMENTS);
    assert!(
        m.warnings.iter().all(|w| w.code == "M313"),
        "{}",
        m.warnings
    );
    assert_eq!(m.typical_slots(), vec![1.0, 7.4, 1.0, 500e-3, 180.0]);
    assert_eq!(
        (m.slot_count(), m.slot_index("BSA"), m.slot_name(4)),
        (5, Some(4), "BSA")
    );
    assert_eq!(m.slot_unit(1).text(), "mL");
    assert_eq!(m.step.at(1.0), 0.05);
    assert_eq!(m.step.at(7.0), 1.0);
    let iiv = m.parameters[0].iiv.expect("iiv");
    assert_eq!(
        (iiv.distribution, iiv.omega2),
        (Distribution::LogNormal, (0.3f64 * 0.3).ln_1p())
    );
    assert!((m.parameters[2].iiv.expect("iiv").omega2 - 0.01).abs() < 1e-15);
    let (low, high) = m.parameters[0].bounds.expect("bounds");
    assert!(low == 0.0 && (high * 24.0 - 100.0).abs() < 1e-12);
    assert_eq!(m.parameters[0].source, "made up for this test");
    assert_eq!(m.correlations, vec![(0, 1, 0.5)]);
    assert_eq!(m.scenario.as_ref().map(|s| s.duration), Some(504.0));
    let error = m.observables[0].error.expect("error");
    assert!((error.additive - 3e-3).abs() < 1e-18 && error.lloq == Some(1e-3));
    assert_eq!(m.toxicities[0].thresholds, vec![1.0, 2.0]);
}

#[test]
fn expressions_compute_what_they_say() {
    let m = model(TWO_COMPARTMENTS);
    let x = [37.0, 5.0];
    let cp = 37.0 / 7.4 / 0.5;
    assert!((evaluate(&m, m.derived[0].node, &x, 0.0) - cp).abs() < 1e-12);
    assert!((evaluate(&m, m.derived[1].node, &x, 47.0) - 2.0 * cp).abs() < 1e-12);
    assert!((evaluate(&m, m.derived[1].node, &x, 49.0) - cp).abs() < 1e-12);
    let rate = -37.0 / 7.4 - 37.0 + 5.0;
    assert!((evaluate(&m, m.states[0].rate, &x, 0.0) - rate).abs() < 1e-12);
    let scales: Vec<f64> = m
        .inputs
        .iter()
        .map(|i| evaluate(&m, i.amount_scale, &x, 0.0))
        .collect();
    assert_eq!(scales, vec![1.0, 0.5]);
    for (i, _) in m.inputs.iter().enumerate() {
        assert!(
            m.graph
                .reads(m.states[0].rate, |n| *n == Node::Input(i as u32))
        );
    }
    let SummaryKind::FirstTime { margin } = m.summaries[4].kind else {
        panic!("order")
    };
    // cp > 1 and t >= 1 h: the smaller of cp - 1 and t - 1
    assert!((evaluate(&m, margin, &x, 3.0) - 2.0).abs() < 1e-12);
    assert!(evaluate(&m, margin, &x, 0.5) < 0.0);
    assert!(evaluate(&m, margin, &[3.0, 0.0], 3.0) < 0.0);
}
