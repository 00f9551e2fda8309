use super::*;

fn scale(unit: &str, time: &str) -> f64 {
    let time = Unit::parse(time).expect("time unit");
    UnitSystem::new(&time).scale(&Unit::parse(unit).expect("unit"))
}

#[test]
fn coherent_scales_are_exact() {
    for (unit, time, expected) in [
        ("mg", "h", 1.0),
        ("g", "h", 1000.0),
        ("ug", "h", 1e-3),
        ("mg/L", "h", 1.0),
        ("ng/mL", "h", 1e-3),
        ("ug/mL", "d", 1.0),
        ("umol*h/L", "h", 1.0),
        ("umol*h/L", "d", 1.0 / 24.0),
        ("L/h", "h", 1.0),
        ("L/h", "d", 24.0),
        ("mL/min", "h", 0.06),
        ("1/d", "h", 1.0 / 24.0),
        ("1e9/L", "h", 1e9),
        ("10^9/L", "h", 1e9),
        ("cells/uL", "h", 1e6),
        ("m^2", "h", 100.0),
        ("mg/m2", "h", 0.01),
        ("mm", "d", 0.01),
        ("mm^3", "d", 1e-6),
        ("nM", "h", 1e-3),
        ("M", "h", 1e6),
        ("MBq", "h", 3600e6),
        ("wk", "d", 7.0),
        ("mo", "d", 30.4375),
        ("yr", "d", 365.25),
        ("%", "d", 0.01),
        ("1", "d", 1.0),
        ("cells", "d", 1.0),
        ("L/h/kg", "h", 1e-6),
        ("µg", "h", 1e-3),
        ("h-1", "h", 1.0),
    ] {
        assert_eq!(scale(unit, time), expected, "{unit} in mg, umol, L, {time}");
    }
}

#[test]
fn derived_units_reduce_to_base_dimensions() {
    let dimension = |text: &str| Unit::parse(text).expect("unit").dimension();
    assert_eq!(dimension("Gy"), dimension("J/kg"));
    assert_eq!(dimension("Sv"), dimension("m^2/s^2"));
    assert_eq!(dimension("Bq"), dimension("1/s"));
    assert_eq!(dimension("M"), dimension("mol/L"));
    assert_eq!(dimension("mL/min/1.73m2"), dimension("m/s"));
    assert_eq!(dimension("(mg*h)/(L*m)"), dimension("mg*h/L/m"));
    assert_eq!(dimension("kg^0.75").mass.as_f64(), 0.75);
    assert_eq!(dimension("kg^(3/4)"), dimension("kg^0.75"));
    let si = Unit::parse("J/kg").expect("unit").si_scale();
    assert_eq!(si, Unit::parse("Gy").expect("unit").si_scale());
    assert!((scale("mL/min/1.73m2", "min") - 1e-3 / 173.0).abs() < 1e-18);
}

#[test]
fn dimensions_read_like_words() {
    let system = UnitSystem::new(&Unit::parse("h").expect("h"));
    let describe = |text: &str| system.describe(Unit::parse(text).expect("unit").dimension());
    assert_eq!(describe("ng/mL"), "mg/L (mass/volume)");
    assert_eq!(describe("L/h"), "L/h (volume/time)");
    assert_eq!(describe("mg/m^2"), "mg/dm^2 (mass/area)");
    assert_eq!(describe("1/d"), "1/h (1/time)");
    assert_eq!(describe("L/h/mg"), "L/(mg*h) (volume/(mass*time))");
    assert_eq!(describe("1"), "a plain number (dimensionless)");
}

#[test]
fn errors_name_the_symbol_and_its_place() {
    let error = |text: &str| Unit::parse(text).expect_err(text);
    let e = error("mg/ml");
    assert_eq!(
        (e.span, e.help.as_deref()),
        (3..5, Some("did you mean `mL`?"))
    );
    assert_eq!(error("hours").help.as_deref(), Some("did you mean `h`?"));
    assert_eq!(error("mgg").help.as_deref(), Some("did you mean `mg`?"));
    assert_eq!(error("umol/").span, 5..5);
    assert_eq!(error("mg L").span, 3..4);
    assert_eq!(error("(mg").code(), "M202");
    assert_eq!(
        error("").help.as_deref(),
        Some("write `1` for a dimensionless quantity")
    );
    assert!(Unit::parse("m^1e9").is_err());
    assert!(Unit::parse("0/L").is_err());
    assert!(Unit::parse(&"m*".repeat(5000)).is_err());
    assert!(Unit::parse(&"(".repeat(199)).is_err());
    assert!(Unit::parse("m^(1/7)").is_err());
}

#[test]
fn quantities_are_a_number_and_a_unit() {
    let quantity = |text: &str| {
        let (value, unit) = parse_quantity(text).expect(text);
        (value, unit.text().to_owned())
    };
    assert_eq!(quantity("1.5e9/L"), (1.5e9, "1/L".into()));
    assert_eq!(quantity("0.25 h"), (0.25, "h".into()));
    assert_eq!(quantity("-3mg/L"), (-3.0, "mg/L".into()));
    assert_eq!(quantity("2 1e9/L"), (2.0, "1e9/L".into()));
    assert_eq!(quantity("12"), (12.0, "1".into()));
    assert_eq!(quantity("5 %"), (5.0, "%".into()));
    assert_eq!(parse_quantity("h").expect_err("no number").span, 0..1);
    assert_eq!(parse_quantity("3 hh/L").expect_err("unit").span, 2..4);
    assert_eq!(parse_quantity("3/ml").expect_err("unit").span, 2..4);
    assert!(parse_quantity("1e999 h").is_err());
}
