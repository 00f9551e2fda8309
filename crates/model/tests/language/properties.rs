//! No input makes the front end panic, overflow the stack or hang.

use super::{BASE, parse};
use posology_model::unit::{Dimension, Unit, UnitSystem};
use proptest::prelude::*;

/// Every feature in one text, as raw material for mutations.
const RICH: &str = r#"
name = "rich"
title = "Everything"
time = "d"
dt = [ { until = "6 h", dt = "0.05 h" }, { dt = "1 h" } ]
sources = { a = "A 2001" }
[index]
i = ["p", "q"]
j = "i"
[covariates]
BSA = { unit = "m^2", reference = 1.8 }
[parameters]
k = { value = 1, unit = "1/h", source = "a", iiv = { cv = 0.2 }, iov = { sd = 0.1 } }
f = { value = 0.5, unit = "1", source = "a", bounds = [0, 1], iiv = { sd = 0.3, distribution = "logit-normal" } }
[[correlations]]
between = ["k", "f"]
value = -0.3
[tables."i,j"]
M = { unit = "1/h", "p,p" = 1, "p,q" = 2, "q,p" = 3, "q,q" = 4, source = "a" }
[derived]
"c[i]" = { expr = "x[i] / 3[L]", unit = "mg/L" }
load = { expr = "if(t > 2[d] and tad < 1[h], sum[i](x[i]), max(x[p], 0))^2 / 1[mg]", unit = "mg" }
[states."x[i]"]
unit = "mg"
init = "f * 1[mg]"
rate = "-sum[j](M[i,j] * x[j]) - k * load"
[states."x[q]"]
unit = "ug"
rate = "-k * x[q]"
[inputs.drug]
into = "x[p]"
unit = "mg"
bioavailability = "f * BSA / 1.8[m^2]"
lag = "1 / k"
[observables."C[i]"]
expr = "c[i]"
error = { proportional = 0.1, additive = "1 ug/L" }
[toxicities.high]
expr = "c[p]"
above = ["1 mg/L", "2 mg/L"]
grades = [1, 3]
source = "a"
[summaries]
s = { first_time = "c[p] > 1[mg/L] or not c[q] > 1[mg/L]", unit = "d" }
u = { time_below = "c[p]", threshold = "c[q] / 2", unit = "d" }
[balance.mass]
total = "sum[i](x[i])"
[correction]
inputs = ["x[p]/1[mg]", "f"]
width = 3
layers = 2
activation = "swish"
latents = 1
seed = 7
[correction.rates]
"x[i]" = { scale = "1 mg/h", form = "absolute", floor = "2 ug" }
[scenario]
regimen = "1 mg"
duration = "2 wk"
"#;

#[test]
fn the_raw_material_is_sound() {
    super::model(RICH);
}

fn mutate(text: &str, edits: &[(usize, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, length, insert) in edits {
        let start = at % (chars.len() + 1);
        let end = (start + length).min(chars.len());
        chars.splice(start..end, insert.chars());
    }
    chars.into_iter().collect()
}

fn edit() -> impl Strategy<Value = (usize, usize, String)> {
    let piece = prop_oneof![
        "[ -~]{0,3}",
        Just("\"".to_owned()),
        Just("\n".to_owned()),
        Just("[i]".to_owned()),
        Just("µ".to_owned()),
        Just("x[p]".to_owned()),
        Just(" = ".to_owned()),
        Just("-1e400".to_owned()),
        Just("((((((".to_owned()),
        Just("\\u0041".to_owned()),
    ];
    (any::<usize>(), 0usize..6, piece)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 3000 }))]

    #[test]
    fn random_text_is_refused_with_findings(text in ".{0,300}") {
        if let Err(findings) = parse(&text) {
            prop_assert!(!findings.is_empty() && !findings.to_string().is_empty());
        }
    }

    #[test]
    fn mutated_models_never_panic(edits in proptest::collection::vec(edit(), 1..6)) {
        if let Err(findings) = parse(&mutate(RICH, &edits)) {
            prop_assert!(findings.has_errors());
            prop_assert!(findings.iter().all(|d| d.position().is_some()));
            prop_assert!(!findings.render(true).is_empty());
        }
    }

    #[test]
    fn swapped_lines_never_panic(a in 0usize..60, b in 0usize..60, base in any::<bool>()) {
        let text = if base { BASE } else { RICH };
        let mut lines: Vec<&str> = text.lines().collect();
        let n = lines.len();
        lines.swap(a % n, b % n);
        let _ = parse(&lines.join("\n"));
        lines.remove(a % n);
        let _ = parse(&lines.join("\r\n"));
    }

    #[test]
    fn coherent_units_print_and_parse_to_themselves(
        mass in -4i32..5, amount in -4i32..5, length in -9i32..10, time in -4i32..5,
        unit in prop_oneof![Just("h"), Just("d"), Just("min"), Just("s"), Just("wk")],
    ) {
        let system = UnitSystem::new(&Unit::parse(unit).expect("time"));
        let dimension = Dimension::of(mass, amount, length, time);
        let printed = system.coherent_unit(dimension);
        let parsed = Unit::parse(printed.text()).expect("unit");
        prop_assert_eq!(parsed.dimension(), dimension);
        prop_assert!((system.scale(&parsed) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn products_and_powers_of_units_scale_like_numbers(
        a in prop_oneof![Just("mg"), Just("kg"), Just("umol"), Just("mL"), Just("MBq"), Just("Gy")],
        b in prop_oneof![Just("h"), Just("d"), Just("nM"), Just("mm"), Just("%"), Just("1e9")],
        n in 1i32..4,
    ) {
        let system = UnitSystem::new(&Unit::parse("h").expect("h"));
        let scale = |text: String| system.scale(&Unit::parse(&text).expect("unit"));
        let expected = scale(a.into()) / scale(b.into()).powi(n);
        let found = scale(format!("{a}/{b}^{n}"));
        prop_assert!((found / expected - 1.0).abs() < 1e-12);
    }

    #[test]
    fn no_text_makes_the_unit_parser_panic(text in "[a-zA-Z0-9/*^()%. µ-]{0,40}") {
        let _ = Unit::parse(&text);
        let _ = posology_model::unit::parse_quantity(&text);
    }
}

#[test]
fn hostile_sizes_are_refused_without_a_panic() {
    for text in [
        format!("[{}a]\n", "a.".repeat(100_000)),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        "x y\n".repeat(100_000),
        "#".repeat(5 << 20),
    ] {
        let findings = parse(&text).expect_err("hostile");
        assert!(findings.len() <= posology_model::Diagnostics::MOST);
        assert!(findings.to_string().len() < 50_000_000);
    }
    let states: String = (0..15_000)
        .map(|i| format!("[states.x{i}]\nunit = \"mg\"\nrate = \"y{i}\"\n"))
        .collect();
    let head = "name = \"n\"\ntitle = \"n\"\ntime = \"h\"\ndt = \"1 h\"\n";
    let findings = parse(&format!("{head}{states}")).expect_err("unknown names");
    assert!(findings.iter().all(|d| d.code == "M301"));
}
