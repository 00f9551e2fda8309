//! Mistakes in trial files: each gives its code, at its line, with help.

use posology_model::diagnostic::Severity;

use crate::{BASE, edited, read};

/// (what is replaced, by what, code, text of the line that the finding points at)
const CASES: &[(&str, &str, &str, &str)] = &[
    // [visits]
    ("every = \"7 d\"\nmissed", "missed", "T003", "[visits]"),
    (
        "every = \"7 d\"\nmissed",
        "every = \"0 d\"\nmissed",
        "T013",
        "every = \"0 d\"",
    ),
    (
        "every = \"7 d\"\nmissed",
        "every = \"200 d\"\nmissed",
        "T013",
        "every = \"200 d\"",
    ),
    (
        "every = \"7 d\"\nmissed",
        "every = \"7 mg\"\nmissed",
        "T014",
        "every = \"7 mg\"",
    ),
    (
        "every = \"7 d\"\nmissed",
        "every = \"7 dd\"\nmissed",
        "M201",
        "every = \"7 dd\"",
    ),
    (
        "every = \"7 d\"\nmissed",
        "evry = \"7 d\"\nmissed",
        "T002",
        "evry",
    ),
    ("missed = 0.03", "missed = 1", "T013", "missed = 1"),
    ("missed = 0.03", "missed = -0.1", "T013", "missed = -0.1"),
    ("missed = 0.03", "missed = \"3 %\"", "T004", "missed ="),
    ("\"0.0005/d\"", "\"0.0005 d\"", "T014", "dropout ="),
    ("\"0.0005/d\"", "\"-0.0005/d\"", "T013", "dropout ="),
    (
        "observe.ANC]",
        "observe.ANCC]",
        "T010",
        "[visits.observe.ANCC]",
    ),
    (
        "observe.ANC]\nevery = \"7 d\"",
        "observe.ANC]\nevery = \"10 d\"",
        "T020",
        "every = \"10 d\"",
    ),
    (
        "observe.ANC]\nevery = \"7 d\"",
        "observe.ANC]\nlloq = \"1 mg\"",
        "T014",
        "lloq =",
    ),
    ("[visits]\nevery", "[visitss]\nevery", "T002", "[visitss]"),
    // protocols
    (
        "[protocols.standard]\nrules",
        "[protocols.standard]\nrule",
        "T003",
        "[protocols.standard]",
    ),
    (
        "ANC < 1.5e9/L on day 1: delay 7 d up to 21 d",
        "grade 4 neutropenia: reduce 25 %; second time: stop",
        "T027",
        "second time: stop",
    ),
    (
        "on day 1: delay 7 d",
        "on day 9: delay 7 d",
        "T022",
        "on day 9",
    ),
    (
        "on day 1: delay 7 d up to 21 d",
        "on day 9: skip",
        "T020",
        "on day 9",
    ),
    (
        "on day 1: delay 7 d up to 21 d",
        "on day 0: skip",
        "T020",
        "on day 0",
    ),
    (
        "on day 1: delay 7 d up to 21 d",
        "on day 22: skip",
        "T020",
        "on day 22",
    ),
    (
        "on day 1: delay 7 d",
        "on day 1: delay 5 d",
        "T020",
        "delay 5 d",
    ),
    ("up to 21 d", "up to 20 d", "T020", "up to 20 d"),
    (
        "delay 7 d up to 21 d",
        "delay 28 d up to 21 d",
        "T013",
        "delay 28 d",
    ),
    ("on day 1: delay", ": delay", "T022", ": delay"),
    (
        "ANC < 1.5e9/L",
        "circulating < 1.5e9/L",
        "T011",
        "circulating < 1.5e9/L",
    ),
    (
        "ANC < 1.5e9/L",
        "docetaxel_plasma > 1 mg/L",
        "T011",
        "docetaxel_plasma",
    ),
    ("ANC < 1.5e9/L", "base > 1", "T011", "base > 1"),
    ("ANC < 1.5e9/L", "nobody > 1", "M301", "nobody > 1"),
    ("ANC < 1.5e9/L", "ANC < 1.5 mg/L", "M203", "1.5 mg/L"),
    ("ANC < 1.5e9/L", "ANC < 1.5 zorks", "M201", "1.5 zorks"),
    ("ANC < 1.5e9/L on", "ANC 1.5e9/L on", "M101", "ANC 1.5e9/L"),
    (
        "grade 4 neutropenia",
        "grade 5 neutropenia",
        "T013",
        "grade 5",
    ),
    (
        "grade 4 neutropenia",
        "grade 4 fever",
        "T010",
        "grade 4 fever",
    ),
    ("reduce 25 %;", "reduce 25 mg;", "T019", "reduce 25 mg"),
    ("reduce 25 %;", "reduce to 75 %;", "T019", "reduce to 75 %"),
    ("reduce 25 %;", "reduce 0 %;", "T013", "reduce 0 %"),
    (
        "reduce 25 %;",
        "reduce paclitaxel 25 %;",
        "T010",
        "reduce paclitaxel",
    ),
    (
        "reduce 25 %;",
        "reduce 25 % and delay;",
        "T019",
        "and delay",
    ),
    (
        "source = \"label\"",
        "source = \"lable\"",
        "T016",
        "source = \"lable\"",
    ),
    // arms
    (
        "protocol = \"standard\"",
        "protocol = \"standart\"",
        "T010",
        "standart",
    ),
    (
        "regimen = \"75 mg/m2 over 1 h every 21 d x 6\"\nprotocol = \"standard\"",
        "title = \"nothing\"",
        "T007",
        "[arms.d75]",
    ),
    (
        "regimen = \"75 mg/m2 over 1 h every 21 d x 6\"\n",
        "",
        "T009",
        "protocol = \"standard\"",
    ),
    ("every 21 d x 6", "every 20 d x 6", "T020", "every 20 d"),
    (
        "protocol = \"standard\"",
        "protocol = \"standard\"\n[arms.d75.rule]\nevery = \"7 d\"\nset.ecog1 = \"if(circulating < base, 1, 0)\"",
        "T011",
        "set.ecog1",
    ),
    (
        "protocol = \"standard\"",
        "protocol = \"standard\"\n[arms.d75.rule]\nevery = \"10 d\"\nset.ecog1 = \"0\"",
        "T020",
        "every = \"10 d\"",
    ),
    (
        "protocol = \"standard\"",
        "protocol = \"standard\"\n[arms.d75.rule]\nevery = \"7 d\"\nset.ecog1 = \"ANC\"",
        "T014",
        "set.ecog1",
    ),
    // [design]
    (
        "allocation = \"parallel\"",
        "allocation = \"paralel\"",
        "T010",
        "paralel",
    ),
    (
        "allocation = \"parallel\"",
        "allocation = \"every-arm\"",
        "T009",
        "ratio =",
    ),
    ("ratio = [1, 2]", "ratio = [1, 2, 3]", "T023", "ratio ="),
    ("ratio = [1, 2]", "ratio = [1, 0.5]", "T023", "ratio ="),
    ("ratio = [1, 2]", "ratio = 2", "T004", "ratio ="),
    ("block = 6", "block = 4", "T023", "block = 4"),
    ("\"AAG > 1.34 g/L\"", "\"ANC > 1\"", "T024", "strata ="),
    ("\"AAG > 1.34 g/L\"", "\"k10 > 1/h\"", "T024", "strata ="),
    ("\"AAG > 1.34 g/L\"", "\"AAG\"", "T024", "strata ="),
    ("\"AAG > 1.34 g/L\"", "\"t > 1 d\"", "T024", "strata ="),
    (
        "\"AAG > 1.34 g/L\"",
        "\"AAG > 1.34 mL\"",
        "M203",
        "strata =",
    ),
    ("\"AAG > 1.34 g/L\"", "\"AGE > 65\"", "M301", "strata ="),
    ("\"AAG > 1.34 g/L\"", "\"ecog1\"", "T027", "strata ="),
    (
        "accrual = \"14 d\"",
        "accrual = \"126 d\"",
        "T013",
        "accrual =",
    ),
    (
        "accrual = \"14 d\"",
        "accrual = \"14\"",
        "T014",
        "accrual =",
    ),
    // [subgroups]
    (
        "men = \"female < 0.5\"",
        "men = \"proliferating < 0.5\"",
        "T024",
        "groups =",
    ),
    ("men = \"female < 0.5\", ", "", "T007", "[subgroups.sex]"),
    ("groups = { men", "group = { men", "T003", "[subgroups.sex]"),
    // endpoints
    (
        "toxicity = \"neutropenia\"",
        "toxicity = \"anaemia\"",
        "T010",
        "anaemia",
    ),
    ("grade = 4\n", "grade = 1\n", "T013", "grade = 1"),
    ("grade = 4\n", "", "T003", "[endpoints.grade4]"),
    (
        "within = \"21 d\"",
        "within = \"200 d\"",
        "T013",
        "within =",
    ),
    ("within = \"21 d\"", "time = \"21 d\"", "T009", "time ="),
    (
        "within = \"21 d\"",
        "until = \"neutropenia\"",
        "T009",
        "until =",
    ),
    (
        "within = \"21 d\"",
        "unit = \"mg\"",
        "T014",
        "unit = \"mg\"",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "dose_intensity = \"paclitaxel\"",
        "T010",
        "dose_intensity =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "dose = \"docetaxel\"\nunit = \"L\"",
        "T014",
        "unit = \"L\"",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "time_on_treatment = false",
        "T009",
        "[endpoints.intensity]",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "response = \"size\"",
        "T010",
        "response =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "response = \"docetaxel_plasma\"",
        "T010",
        "response =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "decline = \"ANC\"",
        "T003",
        "[endpoints.intensity]",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "decline = \"ANC\"\nby = 50",
        "T013",
        "by = 50",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "rise = \"ANC\"\nby = 0.25\nat_least = \"2 ng/mL\"",
        "T014",
        "at_least =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "progression = \"ANC\"\nby = 0.2",
        "T009",
        "by = 0.2",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "hazard = \"cp\"",
        "T014",
        "hazard =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "at = \"cp\"\nunit = \"mg/L\"",
        "T003",
        "[endpoints.intensity]",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "at = \"cp\"\ntime = \"6 wk\"",
        "T003",
        "[endpoints.intensity]",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "at = \"cp\"\ntime = \"60 wk\"\nunit = \"mg/L\"",
        "T013",
        "time =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "drawn = \"cp\"\ntime = \"6 wk\"",
        "T014",
        "drawn =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "earliest = [\"neutropenia\"]",
        "T007",
        "earliest =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "earliest = [\"neutropenia\", \"death\"]",
        "T010",
        "earliest =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "earliest = [\"neutropenia\", \"grade4\"]",
        "T015",
        "earliest =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "earliest = [\"neutropenia\", \"neutropenia\"]",
        "T027",
        "earliest =",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "earliest = [\"neutropenia\", \"intensity\"]",
        "T026",
        "[endpoints.intensity]",
    ),
    (
        "dose_intensity = \"docetaxel\"",
        "mean = \"cp\"\nunit = \"mg/L\"\nuntil = \"seen\"\n[endpoints.seen]\nprogression = \"ANC\"",
        "T015",
        "until =",
    ),
    // analysis and plans
    (
        "primary = \"neutropenia\"",
        "primary = \"neutropenia\"\nsecondary = [\"neutropenia\"]",
        "T027",
        "secondary =",
    ),
    (
        "primary = \"neutropenia\"",
        "primary = \"neutropenia\"\nsecondary = [\"death\"]",
        "T010",
        "secondary =",
    ),
    (
        "primary = \"neutropenia\"",
        "primary = \"neutropenia\"\nmultiplicity = \"bonferroni\"",
        "T010",
        "multiplicity =",
    ),
    (
        "primary = \"neutropenia\"",
        "primary = \"neutropenia\"\nalpha = 5",
        "T013",
        "alpha =",
    ),
    (
        "primary = \"neutropenia\"",
        "primary = \"neutropenia\"\nwin_ratio = [\"grade4\"]",
        "T015",
        "win_ratio =",
    ),
    (
        "time_unit = \"d\"",
        "time_unit = \"d\"\ndt = \"0 h\"",
        "T013",
        "dt =",
    ),
    (
        "time_unit = \"d\"",
        "time_unit = \"d\"\ndt = [ { until = \"1 h\", dt = \"1 h\" } ]",
        "T013",
        "dt =",
    ),
    (
        "patients = 100",
        "patients = 100\npopulation = \"../populations/nobody.toml\"",
        "T005",
        "population =",
    ),
    (
        "patients = 100",
        "patients = 100\nuncertainty = true",
        "T009",
        "uncertainty =",
    ),
];

/// Appended to the base trial.
const MORE: &[(&str, &str, &str)] = &[
    (
        "[[validation]]\nquantity = \"q\"\npublished = 1\nendpoint = \"neutropenia\"\narm = \"d75\"\nstatistic = \"median\"\n",
        "T016",
        "[[validation]]",
    ),
    (
        "[[validation]]\nquantity = \"q\"\npublished = 1\nendpoint = \"neutropenia\"\narm = \"d75\"\nstatistic = \"rate\"\nsource = \"label\"\n",
        "T015",
        "endpoint = \"neutropenia\"",
    ),
    (
        "[[validation]]\nquantity = \"q\"\npublished = 1\nlow = 0\nendpoint = \"neutropenia\"\narm = \"d75\"\nstatistic = \"median\"\nsource = \"label\"\n",
        "T009",
        "low = 0",
    ),
    (
        "[[validation]]\nquantity = \"q\"\npublished = 1\nunit = \"mg\"\nendpoint = \"neutropenia\"\narm = \"d75\"\nstatistic = \"median\"\nsource = \"label\"\n",
        "T014",
        "unit = \"mg\"",
    ),
    (
        "[[validation]]\nquantity = \"q\"\npublished = 1\nendpoint = \"neutropenia\"\narm = \"d7\"\nstatistic = \"median\"\nsource = \"label\"\n",
        "T010",
        "arm = \"d7\"",
    ),
    ("[context]\nquestion = \"q\"\n", "T003", "[context]"),
    (
        "[sequential]\nkind = \"pocok\"\nlooks = 3\n",
        "T010",
        "pocok",
    ),
    (
        "[sequential]\nkind = \"pocock\"\nlooks = [0.5, 0.4, 1]\n",
        "T013",
        "looks =",
    ),
    (
        "[sequential]\nkind = \"pocock\"\nlooks = [0.5, 0.9]\n",
        "T013",
        "looks =",
    ),
    (
        "[sequential]\nkind = \"pocock\"\nlooks = 3\nshape = 1\n",
        "T009",
        "shape =",
    ),
    (
        "[sequential]\nkind = \"wang-tsiatis\"\nlooks = 3\n",
        "T003",
        "[sequential]",
    ),
    (
        "[sequential]\nkind = \"pocock\"\nlooks = 3\nfutility = { kind = \"lan-demets-of\" }\n",
        "T009",
        "futility =",
    ),
    (
        "[operating]\nreplicates = 1\npatients = 300\n",
        "T013",
        "replicates =",
    ),
    (
        "[operating]\nreplicates = 100\npatients = 300\nnull = { arm = \"none\" }\n",
        "T010",
        "null =",
    ),
    (
        "[dose_finding]\ndesign = \"4+4\"\ndoses = [\"d75\", \"d100\"]\ndlt = \"grade4\"\n",
        "T010",
        "design =",
    ),
    (
        "[dose_finding]\ndesign = \"boin\"\ntarget = 30\ndoses = [\"d75\", \"d100\"]\ndlt = \"grade4\"\n",
        "T013",
        "target =",
    ),
    (
        "[dose_finding]\ndesign = \"boin\"\ndoses = [\"d75\", \"d100\"]\ndlt = \"neutropenia\"\n",
        "T015",
        "dlt =",
    ),
    (
        "[dose_finding]\ndesign = \"boin\"\ndoses = [\"d75\"]\ndlt = \"grade4\"\n",
        "T007",
        "[dose_finding]",
    ),
    (
        "[dose_finding]\ndesign = \"boin\"\ndoses = [\"d75\", \"d125\"]\ndlt = \"grade4\"\n",
        "R001",
        "doses =",
    ),
    (
        "[dose_finding]\ndesign = \"crm\"\ndoses = [\"d75\", \"d100\"]\nskeleton = [0.3, 0.2]\ndlt = \"grade4\"\n",
        "T013",
        "skeleton =",
    ),
    (
        "[dose_finding]\ndesign = \"crm\"\ndoses = [\"d75\", \"d100\"]\nstart = 3\ndlt = \"grade4\"\n",
        "T013",
        "start =",
    ),
];

fn check(text: &str, what: &str, code: &str, line: &str) {
    let found = read(text)
        .err()
        .unwrap_or_else(|| panic!("{what} is accepted"));
    let of_code: Vec<_> = found
        .iter()
        .filter(|finding| finding.code == code)
        .collect();
    assert!(!of_code.is_empty(), "{what}: no {code} in\n{found}");
    let pointed = |number: usize| text.lines().nth(number - 1).unwrap_or_default();
    let there = of_code
        .iter()
        .find(|finding| pointed(finding.line().unwrap()).contains(line));
    let finding =
        there.unwrap_or_else(|| panic!("{what}: {code} does not point at `{line}`\n{found}"));
    assert_eq!(finding.severity, Severity::Error, "{what}");
    assert!(
        !finding.message.is_empty() && !finding.message.ends_with('.'),
        "{what}"
    );
    // one mistake is not reported as many
    assert!(
        found.len() <= 4,
        "{what}: {} findings\n{found}",
        found.len()
    );
}

#[test]
fn every_mistake_gets_its_diagnostic() {
    for (from, to, code, line) in CASES {
        let text = edited(&[(from, to)]);
        check(&text, to, code, line);
    }
    for (more, code, line) in MORE {
        check(&format!("{BASE}\n{more}"), more, code, line);
    }
    assert!(CASES.len() + MORE.len() > 100);
}

/// A trial without visits cannot have what visits show.
#[test]
fn what_needs_visits_says_so() {
    let visits = BASE
        .split("[visits]")
        .nth(1)
        .unwrap()
        .split("[protocols.")
        .next()
        .unwrap();
    let text = edited(&[("[visits]", ""), (visits, "\n")]);
    check(&text, "no visits", "T021", "[protocols.standard]");
    let text = text.replace("dose_intensity = \"docetaxel\"", "progression = \"ANC\"");
    check(&text, "no visits", "T021", "progression = \"ANC\"");
}

#[test]
fn what_is_not_used_is_a_warning() {
    for (from, line) in [
        ("protocol = \"standard\"", "[protocols.standard]"),
        ("ANC < 1.5e9/L", "[visits.observe.docetaxel_plasma]"),
    ] {
        let mut text = BASE.replace(from, "");
        if line.contains("plasma") {
            text = edited(&[(
                "[protocols.standard]",
                "[visits.observe.docetaxel_plasma]\nerror = false\n[protocols.standard]",
            )]);
        }
        let trial = read(&text).unwrap_or_else(|found| panic!("{found}"));
        let warned: Vec<(&str, &str)> = trial
            .warnings
            .iter()
            .map(|finding| {
                (
                    finding.code,
                    text.lines().nth(finding.line().unwrap() - 1).unwrap(),
                )
            })
            .collect();
        assert!(
            warned.contains(&("T025", line)),
            "{line}: {}",
            trial.warnings
        );
    }
}
