//! Kinds of endpoints.

use posology_model::graph::NodeId;
use posology_model::interpret::{Environment, evaluate};
use posology_trial::Trial;
use posology_trial::design::{Class, Endpoint, EndpointKind};

use crate::{edited, read, with};

const DAY: f64 = 24.0; // the model counts in hours

fn endpoint(text: &str) -> (Trial, Endpoint) {
    let trial = with(&format!("\n[endpoints.x]\n{text}\n"));
    let endpoint = trial.endpoints.last().unwrap().clone();
    assert_eq!(endpoint.name, "x");
    (trial, endpoint)
}

fn node(trial: &mut Trial, name: &str) -> NodeId {
    let index = trial.model.state_index(name).unwrap();
    trial.model.graph.state(index)
}

#[test]
fn expressions_keep_their_nodes() {
    for (verb, make) in [
        (
            "integral",
            EndpointKind::Integral as fn(NodeId) -> EndpointKind,
        ),
        ("mean", EndpointKind::Mean),
        ("last", EndpointKind::Last),
        ("min", EndpointKind::Min),
        ("max", EndpointKind::Max),
    ] {
        let unit = if verb == "integral" {
            "1e9*d/L"
        } else {
            "1e9/L"
        };
        let (mut trial, x) = endpoint(&format!("{verb} = \"circulating\"\nunit = \"{unit}\""));
        let circulating = node(&mut trial, "circulating");
        assert_eq!(x.kind, make(circulating), "{verb}");
        assert_eq!((x.class(), x.text.as_str()), (Class::Number, "circulating"));
    }
}

#[test]
fn values_and_drawn_times_at_a_moment() {
    let (mut trial, x) = endpoint("at = \"circulating\"\ntime = \"3 wk\"\nunit = \"1e9/L\"");
    let circulating = node(&mut trial, "circulating");
    let kind = EndpointKind::At {
        node: circulating,
        time: 21.0 * DAY,
    };
    assert_eq!((x.kind.clone(), x.class()), (kind, Class::Number));
    let (trial, x) = endpoint("drawn = \"MTT*2\"\ntime = \"6 wk\"");
    let EndpointKind::Drawn { node, time } = x.kind else {
        panic!("{:?}", x.kind)
    };
    let slots = trial.model.typical_slots();
    let found = posology_model::interpret::evaluate_slots(&trial.model.graph, &[node], &slots);
    let expected = 2.0 * slots[trial.model.slot_index("MTT").unwrap()];
    assert_eq!((found[0], time), (expected, 42.0 * DAY));
    assert_eq!((x.class(), x.unit.text()), (Class::Time, "d"));
}

#[test]
fn a_hazard_is_a_state_and_a_threshold() {
    let before = with("").model;
    let (trial, x) = endpoint("hazard = \"0.1[1/d]*(1 + cp/1[mg/L])\"\nunit = \"wk\"");
    let EndpointKind::Hazard { margin, threshold } = x.kind else {
        panic!("{:?}", x.kind)
    };
    assert_eq!((x.class(), x.unit.text()), (Class::Time, "wk"));
    let model = &trial.model;
    assert_eq!(model.states.len(), before.states.len() + 1);
    assert_eq!(threshold, model.slot_count() - 1);
    assert_eq!(model.slot_name(threshold), "threshold_x");
    let state = model.state_index("hazard_x").unwrap();
    let mut states = vec![1.0; model.states.len()];
    let mut slots = model.typical_slots();
    assert_eq!(slots[threshold], std::f64::consts::LN_2);
    states[state] = 2.5;
    slots[threshold] = 0.75;
    let environment = Environment {
        states: &states,
        slots: &slots,
        ..Environment::default()
    };
    let rate = model.states[state].rate;
    let found = evaluate(&model.graph, &[margin, rate], &environment);
    assert_eq!(found[0], 2.5 - 0.75);
    let volume = slots[model.slot_index("V1").unwrap()];
    let expected = 0.1 / DAY * (1.0 + 1.0 / volume);
    assert!((found[1] - expected).abs() < 1e-12, "{found:?} {expected}");
}

#[test]
fn what_is_seen_at_visits() {
    let cases: [(&str, EndpointKind, Class); 6] = [
        (
            "response = \"ANC\"\nconfirm = \"4 wk\"",
            EndpointKind::Response {
                observed: 0,
                confirm: Some(28.0 * DAY),
            },
            Class::Response,
        ),
        (
            "response = \"ANC\"",
            EndpointKind::Response {
                observed: 0,
                confirm: None,
            },
            Class::Response,
        ),
        (
            "progression = \"ANC\"",
            EndpointKind::Progression { observed: 0 },
            Class::Time,
        ),
        (
            "decline = \"ANC\"\nby = 0.5\nconfirm = \"3 wk\"",
            EndpointKind::Decline {
                observed: 0,
                by: 0.5,
                confirm: 21.0 * DAY,
            },
            Class::YesNo,
        ),
        (
            "rise = \"ANC\"\nby = 0.25\nat_least = \"2e9/L\"\nconfirm = \"3 wk\"\nflare = \"12 wk\"",
            EndpointKind::Rise {
                observed: 0,
                by: 0.25,
                at_least: 2e9,
                confirm: 21.0 * DAY,
                flare: 84.0 * DAY,
            },
            Class::Time,
        ),
        (
            "rise = \"ANC\"\nby = 0.25",
            EndpointKind::Rise {
                observed: 0,
                by: 0.25,
                at_least: 0.0,
                confirm: 0.0,
                flare: 0.0,
            },
            Class::Time,
        ),
    ];
    for (text, kind, class) in cases {
        let (_, x) = endpoint(text);
        assert_eq!((x.kind.clone(), x.class()), (kind, class), "{text}");
        let unit = if class == Class::Time { "d" } else { "1" };
        assert_eq!((x.unit.text(), x.text.as_str()), (unit, "ANC"), "{text}");
    }
}

#[test]
fn toxicities_and_doses() {
    let (trial, x) = endpoint("toxicity = \"neutropenia\"\ngrade = 3");
    let kind = EndpointKind::Toxicity {
        toxicity: 0,
        grade: 3,
        within: None,
        node: trial.model.toxicities[0].node,
    };
    assert_eq!((x.kind.clone(), x.class()), (kind, Class::YesNo));
    for (text, kind, unit) in [
        (
            "dose_intensity = \"docetaxel\"",
            EndpointKind::DoseIntensity { input: 0 },
            "%",
        ),
        (
            "dose = \"docetaxel\"",
            EndpointKind::Dose { input: 0 },
            "mg",
        ),
        (
            "dose = \"docetaxel\"\nunit = \"g\"",
            EndpointKind::Dose { input: 0 },
            "g",
        ),
        (
            "time_on_treatment = true",
            EndpointKind::TimeOnTreatment,
            "d",
        ),
    ] {
        let (_, x) = endpoint(text);
        assert_eq!((x.kind.clone(), x.class()), (kind, Class::Number), "{text}");
        assert_eq!(x.unit.text(), unit, "{text}");
    }
}

/// After `within` the toxicity's value can neither be a minimum nor reach a threshold.
#[test]
fn a_toxicity_within_a_time_is_harmless_after_it() {
    let trial = with("");
    let EndpointKind::Toxicity { node, within, .. } = trial.endpoints[1].kind else {
        panic!("{:?}", trial.endpoints[1].kind)
    };
    assert_eq!(within, Some(21.0 * DAY));
    let states = vec![3.0e8; trial.model.states.len()];
    let slots = trial.model.typical_slots();
    for (time, expected) in [(0.0, 3.0e8), (21.0 * DAY, 3.0e8), (21.0 * DAY + 0.01, 1e30)] {
        let environment = Environment {
            states: &states,
            slots: &slots,
            time,
            ..Environment::default()
        };
        let found = evaluate(&trial.model.graph, &[node], &environment);
        assert_eq!(found[0], expected, "{time}");
    }
}

#[test]
fn composites_name_earlier_or_later_endpoints() {
    let more = "\n[endpoints.pfs]\nearliest = [\"seen\", \"neutropenia\", \"death\"]\n[endpoints.seen]\nprogression = \"ANC\"\n[endpoints.death]\nhazard = \"0.01[1/d]\"\n[endpoints.all]\nearliest = [\"pfs\", \"death\"]\n[endpoints.before]\nmean = \"circulating\"\nunit = \"1e9/L\"\nuntil = \"death\"\n";
    let trial = with(more);
    let index = |name: &str| {
        trial
            .endpoints
            .iter()
            .position(|endpoint| endpoint.name == name)
            .unwrap()
    };
    let of = |name: &str| trial.endpoints[index(name)].clone();
    assert_eq!(
        of("pfs").kind,
        EndpointKind::Earliest(vec![index("seen"), index("neutropenia"), index("death")])
    );
    assert_eq!(
        of("all").kind,
        EndpointKind::Earliest(vec![index("pfs"), index("death")])
    );
    assert_eq!(of("pfs").class(), Class::Time);
    assert_eq!(of("pfs").text, "seen, neutropenia, death");
    assert_eq!(of("before").until, Some(index("death")));
}

#[test]
fn primary_endpoints_of_every_class() {
    for (name, class) in [
        ("neutropenia", Class::Time),
        ("grade4", Class::YesNo),
        ("intensity", Class::Number),
    ] {
        let primary = format!("primary = \"{name}\"");
        let trial = read(&edited(&[("primary = \"neutropenia\"", &primary)]))
            .unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(trial.endpoints[trial.analysis.primary].class(), class);
    }
}
