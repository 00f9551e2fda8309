//! Indexed families: tables, sums, single elements, two indices, second names, CSV files.

use super::{model, parse, value};
use posology_model::Model;

const ORGANS: &str = r#"
name = "organs"
title = "Three organs in parallel"
time = "h"
dt = "0.1 h"
[index]
tissue = ["liver", "spleen", "muscle"]
[parameters]
Vb = { value = 5, unit = "L", source = "made up" }
[tables.tissue]
Q = { unit = "L/h", liver = 90, spleen = 10, muscle = 60, source = "made up" }
V = { unit = "mL", liver = 1500, spleen = 200, muscle = 30000, source = "made up", iiv = { cv = 0.2 } }
[derived]
"c[tissue]" = { expr = "amount[tissue] / V[tissue]", unit = "mg/L" }
cb = { expr = "blood / Vb", unit = "mg/L" }
[states.blood]
unit = "mg"
rate = "sum[tissue](Q[tissue] * (c[tissue] - cb)) - 1[L/h] * c[liver]"
[states."amount[tissue]"]
unit = "mg"
rate = "Q[tissue] * (cb - c[tissue])"
[states."amount[liver]"]
unit = "ug"
init = "1[mg]"
rate = "Q[liver] * (cb - c[liver]) + 1[L/h] * c[liver]"
[inputs.drug]
into = "amount[spleen]"
unit = "mg"
[observables."exposure[tissue]"]
expr = "c[tissue]"
unit = "ug/mL"
[summaries."auc[tissue]"]
integral = "c[tissue]"
unit = "mg*h/L"
[balance.drug]
total = "blood + sum[tissue](amount[tissue])"
"#;

#[test]
fn a_family_is_written_once() {
    let m = model(ORGANS);
    let names: Vec<&str> = m.states.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        ["blood", "amount[liver]", "amount[spleen]", "amount[muscle]"]
    );
    assert_eq!(m.states[1].unit.text(), "ug");
    assert_eq!(value(&m, m.states[1].init, &[0.0; 4]), 1.0);
    let slots: Vec<&str> = (0..m.slot_count()).map(|i| m.slot_name(i)).collect();
    let expected = [
        "Vb",
        "Q[liver]",
        "Q[spleen]",
        "Q[muscle]",
        "V[liver]",
        "V[spleen]",
        "V[muscle]",
    ];
    assert_eq!(slots, expected);
    assert_eq!(m.slot_index("V[muscle]"), Some(6));
    assert_eq!(m.typical_slots()[4..], [1.5, 0.2, 30.0]);
    assert!(m.parameters[5].iiv.is_some());
    assert_eq!(m.inputs[0].into, 2);
    assert_eq!(m.summaries.len(), 3);
    assert_eq!(m.observables[2].name, "exposure[muscle]");
    // by hand: cb = 2, c = 4, 5, 1
    let x = [10.0, 6.0, 1.0, 30.0];
    let rate = 90.0 * (4.0 - 2.0) + 10.0 * (5.0 - 2.0) + 60.0 * (1.0 - 2.0) - 4.0;
    assert!((value(&m, m.states[0].rate, &x) - rate).abs() < 1e-9);
    assert!((value(&m, m.states[1].rate, &x) - (90.0 * (2.0 - 4.0) + 4.0)).abs() < 1e-9);
    assert!((value(&m, m.states[3].rate, &x) - 60.0).abs() < 1e-9);
    let total: f64 = m.states.iter().map(|s| value(&m, s.rate, &x)).sum();
    assert!(total.abs() < 1e-9, "the system is closed: {total}");
}

#[test]
fn two_indices_and_a_second_name_for_one() {
    let m = model(
        r#"
name = "clones"
title = "Competing clones, hot and cold"
time = "d"
dt = "0.1 d"
[index]
clone = ["a", "b"]
other = "clone"
label = ["hot", "cold"]
[tables."clone,other"]
K = { unit = "1/d", "a,a" = 1, "a,b" = 2, "b,a" = 3, "b,b" = 4, source = "made up" }
[tables.label]
f = { unit = "1", hot = 10, cold = 100, source = "made up" }
[states."n[clone,label]"]
unit = "cells"
rate = "-f[label] * sum[other](K[clone,other] * n[other,label])"
[states."n[b,hot]"]
unit = "cells"
rate = "sum[clone,label](n[clone,label]) * 1[1/d]"
"#,
    );
    let names: Vec<&str> = m.states.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["n[a,hot]", "n[a,cold]", "n[b,hot]", "n[b,cold]"]);
    let x = [1.0, 2.0, 3.0, 4.0];
    let rates: Vec<f64> = m.states.iter().map(|s| value(&m, s.rate, &x)).collect();
    assert_eq!(
        rates,
        [
            -10.0 * (1.0 + 6.0),
            -100.0 * (2.0 + 8.0),
            10.0,
            -100.0 * (6.0 + 16.0)
        ]
    );
}

fn with_table(csv: &str, section: &str) -> Result<Model, posology_model::Diagnostics> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("posology-table-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("folder");
    std::fs::write(dir.join("tissue.csv"), csv).expect("write");
    let start = ORGANS.find("[tables.tissue]").expect("tables");
    let end = ORGANS.find("[derived]").expect("derived");
    let text = format!(
        "{}[tables.tissue]\n{section}\n{}",
        &ORGANS[..start],
        &ORGANS[end..]
    );
    let result = Model::parse("test.toml", &text, Some(&dir));
    std::fs::remove_dir_all(&dir).expect("clean");
    result
}

#[test]
fn a_table_may_be_a_csv_file() {
    let section = "file = \"tissue.csv\"\nsource = \"made up\"";
    let csv =
        "# comment\ntissue,Q (L/h), V (mL)\nliver,90,1500\r\nmuscle,60,30000\n\"spleen\",10,200\n";
    let m = with_table(csv, section).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(m.typical_slots(), model(ORGANS).typical_slots());
    let by_column = "file = \"tissue.csv\"\nsource = { Q = \"Smith\", V = \"Jones\" }";
    let m = with_table(csv, by_column).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(m.parameters[4].source, "Jones");
}

#[test]
fn a_malformed_table_points_into_the_csv_file() {
    let section = "file = \"tissue.csv\"\nsource = \"made up\"";
    let finding = |csv: &str| {
        let findings = with_table(csv, section)
            .err()
            .unwrap_or_else(|| panic!("accepted {csv}"));
        let first = findings
            .iter()
            .find(|d| d.code.starts_with('M'))
            .cloned()
            .expect("finding");
        let in_csv = first
            .file()
            .is_some_and(|file| file.ends_with("tissue.csv"));
        (first.code, first.line(), first.column(), in_csv)
    };
    let ok = "liver,90,1\nmuscle,60,1\nspleen,10,1\n";
    let at = |code, line, column| (code, Some(line), Some(column), true);
    assert_eq!(
        finding(&format!("tissue,Q (L/h),V (ml)\n{ok}")),
        at("M201", 1, 19)
    );
    assert_eq!(finding(&format!("tissue,Q,V (L)\n{ok}")), at("M003", 1, 8));
    assert_eq!(
        finding(&format!("organ,Q (L/h),V (L)\n{ok}")),
        at("M008", 1, 1)
    );
    assert_eq!(
        finding(&format!(
            "tissue,Q (L/h),V (L)\n{}",
            ok.replace("90,1", "90")
        )),
        at("M008", 2, 1)
    );
    assert_eq!(
        finding(&format!("tissue,Q (L/h),V (L)\n{}", ok.replace("60", "6O"))),
        at("M008", 3, 8)
    );
    assert_eq!(
        finding(&format!(
            "tissue,Q (L/h),V (L)\n{}",
            ok.replace("liver", "livr")
        ))
        .0,
        "M309"
    );
    assert_eq!(
        finding(&format!("tissue,Q (L/h),V (L)\n{ok}{ok}")),
        at("M302", 5, 1)
    );
    assert_eq!(finding("").0, "M008");
    let missing = parse(&ORGANS.replace("[derived]", "[tables.none]\nfile = \"x.csv\"\n[derived]"));
    assert!(
        missing
            .expect_err("no folder")
            .iter()
            .any(|d| d.code == "M005")
    );
}

#[test]
fn a_thousand_states_elaborate_in_less_than_a_second() {
    let names: Vec<String> = (0..1000).map(|i| format!("\"e{i}\"")).collect();
    let values: Vec<String> = (0..1000).map(|i| format!("e{i} = {}", i + 1)).collect();
    let text = format!(
        r#"
name = "large"
title = "A chain of a thousand"
time = "h"
dt = "0.1 h"
[index]
i = [{}]
[tables.i]
k = {{ unit = "1/h", source = "made up", {} }}
[derived]
total = {{ expr = "sum[i](x[i])", unit = "mg" }}
"flow[i]" = {{ expr = "k[i] * x[i] * exp(-x[i] / total)", unit = "mg/h" }}
[states."x[i]"]
unit = "mg"
rate = "flow[i] - x[i] * k[e0] * total / (total + 1[mg])"
"#,
        names.join(", "),
        values.join(", ")
    );
    let start = std::time::Instant::now();
    let m = model(&text);
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!((m.states.len(), m.slot_count()), (1000, 1000));
    // generous for an unoptimised build on a busy machine; an optimised one takes 0.02 s
    let limit = if cfg!(debug_assertions) { 5.0 } else { 1.0 };
    assert!(seconds < limit, "{seconds} s");
}

#[test]
fn expansions_are_limited() {
    let elements: Vec<String> = (0..1500).map(|i| format!("\"e{i}\"")).collect();
    let head = format!(
        "name = \"l\"\ntitle = \"l\"\ntime = \"h\"\ndt = \"1 h\"\n[index]\ni = [{}]\nj = \"i\"\nk = \"i\"\n",
        elements.join(",")
    );
    for (code, rest) in [
        ("M314", "[states.\"x[i,j]\"]\nunit = \"1\"\nrate = \"0\"\n"),
        (
            "M314",
            "[states.x]\nunit = \"1\"\nrate = \"sum[i,j](1[1/h])\"\n",
        ),
        (
            "M314",
            "[states.x]\nunit = \"1\"\nrate = \"sum[i](sum[j](sum[k](x/1[h])))\"\n",
        ),
    ] {
        let findings = parse(&format!("{head}{rest}"))
            .err()
            .unwrap_or_else(|| panic!("{rest}"));
        assert!(
            findings.iter().any(|d| d.code == code),
            "{rest}: {findings}"
        );
    }
}

#[test]
fn a_long_chain_of_definitions_needs_no_stack() {
    let mut text = String::from(
        "name = \"c\"\ntitle = \"c\"\ntime = \"h\"\ndt = \"1 h\"\n[states.x]\nunit = \"1\"\nrate = \"d0 / 1[h]\"\n[derived]\n",
    );
    const LINKS: usize = 15_000;
    for i in 0..LINKS {
        text += &format!("d{i} = {{ expr = \"d{} + 1\", unit = \"1\" }}\n", i + 1);
    }
    text += &format!("d{LINKS} = {{ expr = \"x\", unit = \"1\" }}\n");
    let m = model(&text);
    assert_eq!(value(&m, m.states[0].rate, &[2.0]), 2.0 + LINKS as f64);
    let looped = text.replace(
        &format!("d{LINKS} = {{ expr = \"x\""),
        &format!("d{LINKS} = {{ expr = \"d0\""),
    );
    let findings = parse(&looped).expect_err("cycle");
    assert_eq!(
        findings.iter().map(|d| d.code).collect::<Vec<_>>(),
        ["M304"]
    );
}
