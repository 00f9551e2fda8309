//! Mistakes, one at a time: each has its code, its place and no echo elsewhere.

use super::{BASE, parse};

/// `§` marks the expected place of the one finding.
#[track_caller]
pub fn finds(code: &str, marked: &str) {
    let at = marked.find('§').expect("a mark");
    let text = marked.replace('§', "");
    let line = marked[..at].matches('\n').count() + 1;
    let column = marked[..at]
        .chars()
        .rev()
        .take_while(|&c| c != '\n')
        .count()
        + 1;
    let findings = parse(&text)
        .err()
        .unwrap_or_else(|| panic!("accepted:\n{text}"));
    let found: Vec<_> = findings
        .iter()
        .filter(|d| d.severity == posology_model::diagnostic::Severity::Error)
        .map(|d| (d.code, d.position().unwrap_or_default()))
        .collect();
    assert_eq!(found, [(code, (line, column))], "\n{findings}");
    assert!(findings.iter().all(|d| d.file() == Some("test.toml")));
}

/// The base model with `from` replaced.
#[track_caller]
fn swap(code: &str, from: &str, to: &str) {
    assert!(BASE.contains(from), "{from}");
    finds(code, &BASE.replacen(from, to, 1));
}

/// The base model with more text.
#[track_caller]
fn more(code: &str, text: &str) {
    finds(code, &format!("{BASE}{text}"));
}

/// The base model with more text before `[derived]`, where other parameters can stand.
#[track_caller]
fn parameter(code: &str, text: &str) {
    swap(code, "[derived]", &format!("{text}\n[derived]"));
}

#[test]
fn toml_and_structure() {
    swap("M001", "time = \"h\"", "time = §h");
    swap("M001", "\nV = {", "\n§k = {");
    // the rest of a line that is not TOML is not blamed for it
    for bad in ["value = 2,5", "value = 2.5.1"] {
        let text = BASE.replacen("value = 2", bad, 1);
        let findings = parse(&text).expect_err("no TOML");
        assert!(findings.iter().all(|d| d.code == "M001"), "{findings}");
    }
    swap("M002", "title", "§titel = \"x\"\ntitle");
    swap("M002", "unit = \"L\", ", "unit = \"L\", §units = \"L\", ");
    swap("M002", "[states.x]", "[states.x]\n§rte = \"0\"");
    more("M002", "[§summary.a]\nlast = \"x\"\nunit = \"mg\"");
    finds("M003", &format!("§{}", BASE.replace("time = \"h\"\n", "")));
    finds(
        "M003",
        &format!("§{}", BASE.replace("dt = \"0.1 h\"\n", "")),
    );
    swap(
        "M003",
        "V = { value = 2, unit = \"L\",",
        "§V = { value = 2,",
    );
    swap(
        "M003",
        "V = { value = 2, unit = \"L\", source = \"made up\" }",
        "§V = { value = 2, unit = \"L\" }",
    );
    swap("M003", "V = { value = 2,", "§V = {");
    swap(
        "M003",
        "[states.x]\nunit = \"mg\"\nrate = \"-k*x\"",
        "[states.§x]\nunit = \"mg\"",
    );
    swap("M003", "expr = \"c\"", "expr = \"§2*c\"");
    swap("M004", "value = 2", "value = §\"2\"");
    swap("M004", "rate = \"-k*x\"", "rate = §true");
    swap("M004", "[states.x]", "[states]\ny = §3\n[states.x]");
    swap("M004", "title = \"One compartment\"", "title = §1");
    swap("M006", "name = \"base\"", "name = §\"my base\"");
    swap(
        "M006",
        "V = {",
        "§\"V-1\" = { value = 2, unit = \"L\", source = \"made up\" }\nV = {",
    );
    more("M006", "[states.§\"y[\"]\nunit = \"mg\"\nrate = \"0\"");
    parameter(
        "M006",
        "§\"Q[liver]\" = { value = 2, unit = \"L\", source = \"made up\" }",
    );
    finds(
        "M310",
        "name = §\"n\"\ntitle = \"n\"\ntime = \"h\"\ndt = \"1 h\"\n",
    );
    let nothing = parse("").expect_err("no model");
    assert!(
        nothing.iter().all(|d| d.position() == Some((1, 1))),
        "{nothing}"
    );
}

#[test]
fn expressions() {
    swap("M101", "-k*x", "-k*§");
    swap("M101", "-k*x", "-k*(x§");
    swap("M101", "-k*x", "-k §x");
    swap("M101", "-k*x", "§");
    swap("M101", "\"-k*x\"", "'''\n -k*x\n + §,'''");
    swap("M102", "-k*x", &format!("{}§({}", "(".repeat(64), "x"));
    swap("M103", "-k*x", "-§lg(k*x)");
    swap("M103", "-k*x", "-k*§x(1)");
    swap("M104", "-k*x", "-k*§max(x)");
    swap("M104", "-k*x", "-k*§exp(1, 2)*x");
    swap("M104", "-k*x", "§if(x > 0, k*x)");
    swap("M105", "-k*x", "-k*§(x > 0)");
    swap("M105", "-k*x", "if(§x, k*x, 0)");
    swap("M105", "-k*x", "if(x > 0 and §k, k*x, 0)");
    swap("M105", "-k*x", "§k*x > 0");
    swap("M105", "-k*x", "-k*not §x");
    swap("M106", "-k*x", "if(0 < x < §2[mg], k*x, 0)");
    more(
        "M107",
        "[summaries.a]\nfirst_time = \"§x == 2[mg]\"\nunit = \"h\"",
    );
    swap("M401", "-k*x", "-k*x*§1e999");
}

#[test]
fn units() {
    swap("M201", "unit = \"L\"", "unit = \"§Liter\"");
    swap("M201", "-k*x", "-k*x + 1[mg/§hr]");
    swap("M202", "unit = \"L\"", "unit = \"L/§\"");
    swap("M202", "0.1 h", "§h");
    swap("M203", "-k*x", "-k*x + §x");
    swap("M203", "-k*x", "-k*max(x, §V)");
    swap("M203", "-k*x", "if(x > §3, k*x, 0)");
    swap("M203", "-k*x", "if(x > 0, k*x, §x)");
    swap("M204", "-k*x", "§-k*x/V");
    swap("M204", "x / V", "§x * V");
    swap("M204", "\"0.1 h\"", "§\"0.1 mg\"");
    swap("M204", "unit = \"mg\"\n", "unit = \"mg\"\ninit = \"§3\"\n");
    more("M204", "[summaries.a]\nintegral = \"§c\"\nunit = \"mg/L\"");
    more(
        "M204",
        "[summaries.a]\ntime_above = \"c\"\nthreshold = \"1 mg/L\"\nunit = §\"mg\"",
    );
    more(
        "M204",
        "[summaries.a]\ntime_above = \"c\"\nthreshold = §\"1 mg\"\nunit = \"h\"",
    );
    more(
        "M204",
        "[summaries.a]\nat = \"c\"\ntime = §\"1 mg\"\nunit = \"mg/L\"",
    );
    more("M204", "[balance.b]\ntotal = \"x\"\ngain = \"§x\"");
    swap("M205", "-k*x", "-k*x*exp(§x)");
    swap("M205", "-k*x", "-k*x*ln(§t)");
    swap("M206", "-k*x", "-k*x^§k");
    swap("M206", "-k*x", "-k*x*2^§t");
    swap("M206", "-k*x", "-k*x^§0.763");
    more("M207", "[inputs.d]\ninto = \"x\"\nunit = §\"umol\"");
    more("M207", "[inputs.d]\ninto = \"x\"\nunit = §\"mg/L\"");
    swap("M208", "time = \"h\"", "time = §\"mg\"");
}

#[test]
fn names() {
    swap("M301", "-k*x", "-k*§y");
    swap("M301", "-k*x", "-§K1*x");
    more("M301", "[inputs.d]\ninto = \"§y\"\nunit = \"mg\"");
    more("M301", "[inputs.d]\ninto = §\"V\"\nunit = \"mg\"");
    let x = "x = { value = 2, unit = \"mg\", source = \"made up\" }\n[derived]";
    finds(
        "M302",
        &BASE
            .replace("[derived]", x)
            .replace("[states.x]", "[states.§x]"),
    );
    more("M302", "[covariates]\n§V = { unit = \"L\", reference = 1 }");
    more("M302", "[observables.§k]\nexpr = \"x\"");
    parameter(
        "M303",
        "§t = { value = 2, unit = \"L\", source = \"made up\" }",
    );
    swap(
        "M304",
        "[derived]",
        "[derived]\n§a = { expr = \"b\", unit = \"1\" }\nb = { expr = \"a\", unit = \"1\" }",
    );
    swap(
        "M304",
        "[derived]",
        "[derived]\n§a = { expr = \"a + 1\", unit = \"1\" }",
    );
    swap(
        "M305",
        "unit = \"mg\"\n",
        "unit = \"mg\"\ninit = \"§c*V\"\n",
    );
    swap(
        "M305",
        "unit = \"mg\"\n",
        "unit = \"mg\"\ninit = \"1[mg/h]*§t\"\n",
    );
    more(
        "M305",
        "[inputs.d]\ninto = \"x\"\nunit = \"mg\"\nbioavailability = \"§x/1[mg]\"",
    );
}

const INDEX: &str = "[index]\ni = [\"a\", \"b\"]\nj = [\"c\"]\n";

#[track_caller]
fn indexed(code: &str, text: &str) {
    more(code, &format!("{INDEX}{text}"));
}

#[test]
fn indices() {
    let q = "[tables.i]\nQ = { unit = \"1/h\", a = 1, b = 2, source = \"made up\" }\n";
    more("M306", "[index]\n§i = []");
    more("M302", "[index]\ni = [\"a\", §\"a\"]");
    more("M302", "[index]\ni = [\"a\", §\"i\"]");
    more("M306", "[index]\ni = §\"j\"");
    indexed(
        "M306",
        "[tables.§k]\nQ = { unit = \"1/h\", a = 1, b = 2, source = \"made up\" }",
    );
    indexed(
        "M306",
        "[tables.i]\nQ = { unit = \"1/h\", a = 1, b = 2, §d = 3, source = \"made up\" }",
    );
    indexed(
        "M309",
        "[tables.i]\n§Q = { unit = \"1/h\", a = 1, source = \"made up\" }",
    );
    indexed("M004", "[tables.i]\nQ = §3");
    let state = |rate: &str| format!("{q}[states.\"y[i]\"]\nunit = \"mg\"\nrate = \"{rate}\"");
    indexed("M307", &state("-§Q*y[i]"));
    indexed("M307", &state("-Q[i]*§y[i,i]"));
    indexed("M306", &state("-Q[§ii]*y[i]"));
    indexed("M306", &state("-Q[§c]*y[i]"));
    indexed("M307", &state("-sum[j](Q[§j]*y[i])"));
    indexed(
        "M308",
        &format!("{q}[states.y]\nunit = \"mg\"\nrate = \"-Q[§i]*y\""),
    );
    indexed("M306", &state("-sum[§k](Q[i])*y[i]"));
    indexed("M204", &state("§-Q[i]*y[i]*y[i]"));
    indexed("M302", "[states.\"y[i,§i]\"]\nunit = \"mg\"\nrate = \"0\"");
    indexed(
        "M302",
        "[states.\"y[a]\"]\nunit = \"mg\"\nrate = \"0\"\n[states.§\"y[ a]\"]\nunit = \"mg\"\nrate = \"0\"",
    );
    indexed("M306", "[states.\"y[§d]\"]\nunit = \"mg\"\nrate = \"0\"");
    indexed(
        "M307",
        "[states.\"y[a]\"]\nunit = \"mg\"\nrate = \"0\"\n[states.§y]\nunit = \"mg\"\nrate = \"0\"",
    );
    indexed(
        "M309",
        "[states.\"y[a]\"]\nunit = \"mg\"\nrate = \"-k*§y[b]\"",
    );
    indexed(
        "M204",
        "[states.\"y[a]\"]\nunit = \"mg\"\nrate = \"0\"\n[states.\"y[b]\"]\nunit = §\"L\"\nrate = \"0\"",
    );
    indexed(
        "M307",
        "[states.y]\nunit = \"mg\"\nrate = \"-k*y/1[h]*§t[a]\"",
    );
}

#[test]
fn elements_of_one_family_have_one_dimension() {
    indexed(
        "M204",
        "[observables.\"y[a]\"]\nexpr = \"x\"\n[observables.§\"y[b]\"]\nexpr = \"c\"",
    );
}

/// What was reported once is not reported again by its users.
#[test]
fn broken_definitions_do_not_echo() {
    let use_y = "[observables.Y]\nexpr = \"y\"\nunit = \"mg\"\n[summaries.a]\nlast = \"y + Y\"\nunit = \"mg\"\n";
    for definition in [
        "[states.y]\nunit = \"§mgg\"\nrate = \"-k*y\"",
        "[states.y]\nunit = \"mg\"\nrate = \"-k*§z\"",
        "[states.y]\nunit = \"mg\"\nrate = \"-k*y§ )\""
            .replace(" )", ")")
            .as_str(),
        "[states.§y]\nrate = \"-k*y\"",
        "[covariates]\ny = { unit = \"§mgg\", reference = 3 }",
        "[derived.y]\nunit = \"mg\"\nexpr = \"§c\"",
        "[derived.y]\nunit = \"mg\"\nexpr = \"§z\"",
        "[derived.§y]\nunit = \"mg\"\nexpr = \"y\"",
    ] {
        let code = match definition {
            d if d.contains("mgg") => "M201",
            d if d.contains("§z") => "M301",
            d if d.contains("§)") => "M101",
            d if d.contains("states.§y") => "M003",
            d if d.contains("§c") => "M204",
            _ => "M304",
        };
        let base = BASE.replace("[derived]\nc =", "[derived.c]\n").replace(
            "[derived.c]\n { expr = \"x / V\", unit = \"mg/L\" }",
            "[derived.c]\nexpr = \"x / V\"\nunit = \"mg/L\"",
        );
        finds(code, &format!("{base}{definition}\n{use_y}"));
    }
}

#[test]
fn numbers() {
    swap("M401", "value = 2", "value = §inf");
    swap("M401", "value = 2", "value = §nan");
    swap("M402", "value = 2", "value = §1e300");
    swap("M402", "dt = \"0.1 h\"", "dt = §\"0 h\"");
    swap("M402", "value = 2", "bounds = §[3, 1], value = 2");
    swap("M403", "value = 2", "bounds = [3, 4], value = §2");
    swap("M404", "value = 2", "iiv = { cv = §0 }, value = 2");
    swap("M404", "value = 2", "§iiv = { cv = 0.1 }, value = -2");
    swap(
        "M404",
        "value = 2",
        "§iiv = { sd = 0.1, distribution = \"logit-normal\" }, value = 2",
    );
    swap(
        "M404",
        "value = 2",
        "iiv = { sd = 0.1, distribution = §\"lognormal\" }, value = 2",
    );
    swap(
        "M009",
        "value = 2",
        "§iiv = { cv = 0.1, sd = 0.1 }, value = 2",
    );
    swap("M009", "value = 2", "§iiv = { }, value = 2");
    swap(
        "M407",
        "dt = \"0.1 h\"",
        "dt = [§{ until = \"1 h\", dt = \"0.1 h\" }]",
    );
    swap(
        "M407",
        "dt = \"0.1 h\"",
        "dt = [§{ dt = \"0.1 h\" }, { dt = \"1 h\" }]",
    );
    swap(
        "M407",
        "dt = \"0.1 h\"",
        "dt = [{ until = \"2 h\", dt = \"0.1 h\" }, { until = §\"1 h\", dt = \"0.1 h\" }, { dt = \"1 h\" }]",
    );
}

#[test]
fn correlations() {
    let vary = BASE.replace("value = 1,", "iiv = { cv = 0.1 }, value = 1,");
    let vary = vary.replace("value = 2,", "iiv = { cv = 0.1 }, value = 2,");
    let more = |code: &str, text: &str| finds(code, &format!("{vary}{text}"));
    more(
        "M301",
        "[[correlations]]\nbetween = [§\"q\", \"k\"]\nvalue = 0.1",
    );
    more(
        "M402",
        "[[correlations]]\nbetween = [\"V\", \"k\"]\nvalue = §1",
    );
    more(
        "M302",
        "[[correlations]]\nbetween = §[\"k\", \"k\"]\nvalue = 0.1",
    );
    more("M009", "[[correlations]]\nbetween = §[\"k\"]\nvalue = 0.1");
    more("M003", "§[[correlations]]\nbetween = [\"V\", \"k\"]");
    let one = BASE.replace("value = 1,", "iiv = { cv = 0.1 }, value = 1,");
    finds(
        "M315",
        &format!("{one}[[correlations]]\nbetween = [§\"V\", \"k\"]\nvalue = 0.1"),
    );
    // a variability that was reported is not missed
    let broken = vary.replace(
        "iiv = { cv = 0.1 }, value = 2",
        "iiv = { cv = §-0.1 }, value = 2",
    );
    let one = "[[correlations]]\nbetween = [\"V\", \"k\"]\nvalue = 0.1";
    finds("M404", &format!("{broken}{one}"));
    let three = "[[correlations]]\nbetween = [\"V\", \"k\"]\nvalue = 0.9\n\
                 [[correlations]]\nbetween = [\"V\", \"z\"]\nvalue = 0.9\n\
                 [[correlations]]\nbetween = §[\"k\", \"z\"]\nvalue = -0.9\n";
    let z = "z = { value = 1, unit = \"1\", source = \"made up\", iiv = { cv = 0.1 } }\n[derived]";
    finds("M405", &format!("{}{three}", vary.replace("[derived]", z)));
}

#[test]
fn outputs() {
    let tox = |rest: &str| format!("[toxicities.§n]\nexpr = \"c\"\n{rest}");
    let quiet = |rest: &str| tox(rest).replacen('§', "", 1);
    more("M009", &tox("grades = [1]\nsource = \"CTCAE v5\""));
    more(
        "M009",
        &tox("above = [\"1 mg/L\"]\nbelow = [\"1 mg/L\"]\ngrades = [1]\nsource = \"CTCAE v5\""),
    );
    more("M003", &tox("above = [\"1 mg/L\"]\nsource = \"CTCAE v5\""));
    more("M003", &tox("above = [\"1 mg/L\"]\ngrades = [1]"));
    more(
        "M204",
        &quiet("above = [§\"1 mg\"]\ngrades = [1]\nsource = \"CTCAE v5\""),
    );
    more(
        "M406",
        &quiet("below = §[\"1 mg/L\", \"2 mg/L\"]\ngrades = [1, 2]\nsource = \"CTCAE v5\""),
    );
    more(
        "M406",
        &quiet("above = [\"1 mg/L\", \"2 mg/L\"]\ngrades = §[1]\nsource = \"CTCAE v5\""),
    );
    more(
        "M402",
        &quiet("above = [\"1 mg/L\"]\ngrades = [§6]\nsource = \"CTCAE v5\""),
    );
    more(
        "M009",
        "[summaries.§a]\nmin = \"c\"\nmax = \"c\"\nunit = \"mg/L\"",
    );
    more("M009", "[summaries.§a]\nunit = \"mg/L\"");
    more(
        "M009",
        "[summaries.a]\nmin = \"c\"\nthreshold = §\"1 mg/L\"\nunit = \"mg/L\"",
    );
    more("M003", "[summaries.§a]\ntime_above = \"c\"\nunit = \"h\"");
    more("M003", "[summaries.§a]\nmin = \"c\"");
    more(
        "M402",
        "[summaries.a]\nat = \"c\"\ntime = §\"-1 h\"\nunit = \"mg/L\"",
    );
    swap(
        "M402",
        "expr = \"c\"",
        "error = { proportional = §-0.1 }\nexpr = \"c\"",
    );
    swap(
        "M204",
        "expr = \"c\"",
        "error = { additive = §\"1 mg\" }\nexpr = \"c\"",
    );
    swap(
        "M009",
        "expr = \"c\"",
        "§error = { lognormal = 0.1, additive = \"1 mg/L\" }\nexpr = \"c\"",
    );
    swap("M009", "expr = \"c\"", "§error = { }\nexpr = \"c\"");
    more(
        "M009",
        "[inputs.d]\ninto = \"x\"\nunit = \"mg\"\nrate = \"1[mg/h]\"\nduration = §\"1[h]\"",
    );
    more("M003", "[§scenario]\nregimen = \"1 mg\"");
    more("M402", "[scenario]\nduration = §\"-1 h\"");
    more("M002", "[scenario]\nduration = \"1 h\"\n§days = 3");
}

#[test]
fn many_findings_come_in_one_run_and_in_order() {
    let text = BASE
        .replace("unit = \"L\"", "unit = \"Lx\"")
        .replace("-k*x", "-k*xx")
        .replace("dt = \"0.1 h\"", "dt = \"0.1 x\"");
    let findings = parse(&text).expect_err("three mistakes");
    let codes: Vec<_> = findings
        .iter()
        .map(|d| (d.code, d.line().unwrap_or(0)))
        .collect();
    // `V` is broken, so `c`, which uses it, is not reported again
    assert_eq!(
        codes,
        [("M201", 5), ("M201", 8), ("M301", 13)],
        "{findings}"
    );
}

#[test]
fn mismatches_name_both_sides_and_what_is_missing() {
    let text = BASE.replace("x / V", "x / V + 2[umol/L]");
    let findings = parse(&text).expect_err("mismatch");
    let d = findings.iter().next().expect("finding");
    assert!(
        d.message.contains("left side of `+` is mg/L (mass/volume)"),
        "{}",
        d.message
    );
    assert!(
        d.message.contains("right side is umol/L (amount/volume)"),
        "{}",
        d.message
    );
    assert!(d.help[0].contains("molar mass"), "{:?}", d.help);
    let text = BASE.replace("-k*x", "-x");
    let findings = parse(&text).expect_err("mismatch");
    let d = findings.iter().next().expect("finding");
    assert_eq!(
        d.message,
        "the rate of `x` must be mg/h (mass/time), the expression is mg (mass)"
    );
    assert!(d.help[0].contains("per time"));
}

#[test]
fn suggestions_name_what_was_meant() {
    for (from, to, help) in [
        ("-k*x", "-K*x", "did you mean `k`?"),
        ("rate =", "rat =", "did you mean `rate`?"),
        ("\"L\"", "\"l\"", "did you mean `L`?"),
        ("-k*x", "-k*ex(x)", "did you mean `exp`?"),
    ] {
        let findings = parse(&BASE.replace(from, to)).expect_err(to);
        assert!(
            findings.iter().any(|d| d.help.iter().any(|h| h == help)),
            "{to}: {findings}"
        );
    }
}

#[test]
fn a_file_in_another_encoding_is_refused_at_its_first_foreign_byte() {
    let path = std::env::temp_dir().join(format!("posology-latin1-{}.toml", std::process::id()));
    std::fs::write(&path, b"name = \"x\"\ntitle = \"M\xfcller\"\n").expect("a file");
    let findings = posology_model::Model::load(&path).expect_err("not UTF-8");
    std::fs::remove_file(&path).expect("the file");
    let found: Vec<_> = findings.iter().map(|d| (d.code, d.position())).collect();
    assert_eq!(found, [("M005", Some((2, 11)))], "{findings}");
}
