//! Expressions of trial files, rules and command lines against a finished model.

use super::{BASE, model, value};
use posology_model::diagnostic::Source;
use posology_model::model::Origin;
use posology_model::unit::{Dimension, Unit};

fn whole(text: &str) -> (&str, Origin) {
    (text, Origin::whole("rule", text))
}

#[test]
fn later_expressions_see_states_parameters_and_observables() {
    let mut m = model(BASE);
    let (text, origin) = whole("2 * C + 1[ug/mL]");
    let typed = m.expression(text, &origin).expect("expression");
    assert_eq!(typed.dimension, Dimension::MASS.per(Dimension::VOLUME));
    assert!(typed.dynamic && !typed.condition);
    assert_eq!(value(&m, typed.node, &[10.0]), 11.0);
    let (text, origin) = whole("k*V");
    assert!(!m.expression(text, &origin).expect("expression").dynamic);
    let (text, origin) = whole("C < 3[mg/L]");
    assert!(m.expression(text, &origin).expect("condition").condition);
}

#[test]
fn conditions_become_margins() {
    let mut m = model(BASE);
    for (text, at_two, at_ten) in [
        ("C > 3[mg/L]", -2.0, 2.0),
        ("C <= 3[mg/L]", 2.0, -2.0),
        ("not C > 3[mg/L]", 2.0, -2.0),
        ("C > 3[mg/L] and x < 4[mg]", -2.0, -6.0),
        ("C > 3[mg/L] or x < 4[mg]", 2.0, 2.0),
        ("not (C > 3[mg/L] and x < 4[mg])", 2.0, 6.0),
    ] {
        let node = m.condition(text, &Origin::whole("rule", text)).expect(text);
        assert_eq!(
            (value(&m, node, &[2.0]), value(&m, node, &[10.0])),
            (at_two, at_ten),
            "{text}"
        );
    }
    for (text, code, column) in [
        ("C == 3[mg/L]", "M107", 1),
        ("if(C > 3[mg/L], x > 1[mg], x > 2[mg])", "M107", 1),
        ("C + 3[mg/L]", "M105", 1),
        ("x > 1[mg] and D > 1", "M301", 15),
        ("C > 3", "M203", 5),
    ] {
        let findings = m
            .condition(text, &Origin::whole("rule", text))
            .expect_err(text);
        let first = findings.iter().next().expect("finding");
        assert_eq!(
            (first.code, first.column()),
            (code, Some(column)),
            "{findings}"
        );
    }
}

#[test]
fn findings_point_into_the_file_that_the_text_stands_in() {
    let mut m = model(BASE);
    let trial = Source::new("trial.toml", "[rule]\nwhen = \"C > 3[mg/l]\"\n");
    let origin = Origin::within(&trial, 14..27, "C > 3[mg/l]");
    let findings = m.condition("C > 3[mg/l]", &origin).expect_err("unit");
    let first = findings.iter().next().expect("finding");
    assert_eq!(
        (first.file(), first.position()),
        (Some("trial.toml"), Some((2, 18)))
    );
    assert_eq!(first.help, ["did you mean `L`?"]);
}

#[test]
fn quantities_and_wanted_units_convert() {
    let mut m = model(BASE);
    let quantity = |text: &str| m.quantity(text, &Origin::whole("argument", text));
    let (v, dimension) = quantity("2 d").expect("quantity");
    assert_eq!((v, dimension), (48.0, Dimension::TIME));
    assert!(quantity("2 days").is_err());
    let unit = Unit::parse("ng/mL").expect("unit");
    let (text, origin) = whole("C");
    assert!(m.expression_in(text, &unit, &origin).is_ok());
    let (text, origin) = whole("x");
    let findings = m
        .expression_in(text, &unit, &origin)
        .expect_err("dimension");
    assert_eq!(findings.iter().next().map(|d| d.code), Some("M204"));
}
