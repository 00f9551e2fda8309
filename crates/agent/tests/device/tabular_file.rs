//! Tabular task files: what is right is read, what is wrong is pointed at.

use std::path::Path;

use posology_agent::environment::process::{StateTable, TabularProcess};
use posology_agent::environment::tabular_file::{codes, is_tabular, parse_tabular};
use posology_model::Diagnostics;

const TASK: &str = r#"
title = "Three states"
[tabular]
states = 3
actions = ["wait", "treat"]
transitions = "transitions.csv"
inadmissible = "mean"
start = "start.csv"
terminal = [2]
[tabular.features]
state = "one-hot"
[tabular.policies]
clinic = "clinic.csv"
[decisions]
horizon = 10
discount = 0.9
[reward.cure]
weight = 2
next = { 2 = 1 }
[reward.treatment]
action = [0, -0.25]
[costs.harm]
limit = 0.5
cvar = 0.9
table = "harm.csv"
"#;

const FILES: [(&str, &str); 4] = [
    (
        "transitions.csv",
        "state,action,counts\n0,0,0:3 1:1\n0,1,2:1\n1,1,1:1 2:3\n",
    ),
    ("start.csv", "probabilities\n0:0.25 1:0.75\n"),
    ("clinic.csv", "state,counts\n0,0:1 1:1\n1,1:7\n"),
    (
        "harm.csv",
        "# by state and action\nstate,action,value\n0,1,0.5\n1,1,2\n",
    ),
];

/// The task with `change` made in its text or in one of its tables.
fn parse(change: Option<(&str, &str, &str)>) -> Result<TabularProcess, Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    let replaced = |name: &str, text: &str| match change {
        Some((file, from, to)) if file == name => {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        }
        _ => text.to_owned(),
    };
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), replaced(name, text)).unwrap();
    }
    let text = replaced("task", TASK);
    parse_tabular("task.toml", &text, Some(Path::new(folder.path())))
}

#[test]
fn a_process_is_read_as_written() {
    assert!(is_tabular(TASK) && !is_tabular("model = \"x\""));
    let process = parse(None).unwrap();
    process.check().unwrap();
    assert_eq!(process.name, "Three states");
    assert_eq!(process.actions, ["wait", "treat"]);
    assert_eq!(process.start, [0.25, 0.75, 0.0]);
    assert_eq!(process.terminal, [false, false, true]);
    // waiting in state 1 has no row: it goes on as treatment does, and is masked
    assert_eq!(process.admissible, [0b11, 0b10, 0b11]);
    let t = &process.transitions;
    let outcomes = |pair: usize| {
        let row = t.row_of[pair] as usize;
        t.entries(row)
            .map(|e| {
                let signals: Vec<f64> = t.signals.iter().map(|values| values[e]).collect();
                (t.next[e], t.probability[e], signals)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        outcomes(0),
        [(0, 0.75, vec![0.0; 3]), (1, 0.25, vec![0.0; 3])]
    );
    assert_eq!(outcomes(1), [(2, 1.0, vec![1.0, -0.25, 0.5])]);
    assert_eq!(
        outcomes(2),
        [(1, 0.25, vec![0.0; 3]), (2, 0.75, vec![1.0, 0.0, 0.0])]
    );
    assert_eq!(
        outcomes(3),
        [
            (1, 0.25, vec![0.0, -0.25, 2.0]),
            (2, 0.75, vec![1.0, -0.25, 2.0])
        ]
    );
    assert_eq!((process.horizon, process.discount), (10, 0.9));
    assert_eq!(process.rewards[0].weight, 2.0);
    assert_eq!(
        (process.costs[0].limit, process.costs[0].cvar),
        (0.5, Some(0.9))
    );
    assert_eq!(process.features, StateTable::one_hot(3));
    let clinic = vec![0.5, 0.5, 0.0, 1.0, 0.5, 0.5];
    assert_eq!(process.policies, [("clinic".to_owned(), clinic)]);
    let open = parse(Some((
        "task",
        "terminal = [2]",
        "terminal = [2]\nmasked = false",
    )))
    .unwrap();
    assert_eq!(open.admissible, [0b11; 3]);
}

#[test]
fn mistakes_are_pointed_at() {
    // file, text, what it becomes, code, line
    let cases = [
        ("task", "transitions.csv", "absent.csv", "K101", 6),
        ("task", "states = 3", "states = 0", "K109", 4),
        ("task", "[\"wait\", \"treat\"]", "33", "K109", 5),
        ("task", "\"mean\"", "\"means\"", "K111", 7),
        ("task", "terminal = [2]", "terminal = [3]", "K105", 9),
        ("task", "\"one-hot\"", "\"hot\"", "K111", 11),
        ("task", "\"one-hot\"", "\"code\"\nwidth = 1", "K112", 10),
        ("task", "horizon = 10", "horizon = 1.5", "K109", 15),
        ("task", "discount = 0.9", "discount = 2", "K109", 16),
        ("task", "{ 2 = 1 }", "{ 7 = 1 }", "K105", 19),
        ("task", "[0, -0.25]", "[0]", "K109", 21),
        ("task", "cvar = 0.9", "cvar = 1", "K109", 24),
        ("task", "states = 3", "states = 3\nstate = 3", "M002", 5),
        ("task", "limit = 0.5\n", "", "M003", 22),
        ("transitions.csv", "counts", "count", "K102", 1),
        ("transitions.csv", "0,1,2:1", "0,1,2:1,5", "K103", 3),
        ("transitions.csv", "0,1,2:1", "0,x,2:1", "K104", 3),
        ("transitions.csv", "0,1,2:1", "0,1,2:0.5", "K104", 3),
        ("transitions.csv", "0,1,2:1", "0,1,3:1", "K105", 3),
        ("transitions.csv", "0,1,2:1", "0,4,2:1", "K105", 3),
        ("transitions.csv", "0,1,2:1", "0,0,2:1", "K107", 3),
        ("transitions.csv", "0,1,2:1", "0,1,2:1 2:1", "K107", 3),
        ("transitions.csv", "0,1,2:1", "2,1,2:1", "K110", 3),
        ("transitions.csv", "1,1,1:1 2:3\n", "", "K108", 1),
        ("start.csv", "0.75", "0.7", "K106", 2),
        ("start.csv", "1:0.75", "2:0.75", "K110", 2),
        ("clinic.csv", "1,1:7\n", "", "K108", 1),
        ("clinic.csv", "1,1:7", "1,2:7", "K105", 3),
        ("harm.csv", "value", "harm", "K102", 2),
        ("harm.csv", "1,1,2", "1,1,inf", "K104", 4),
        ("harm.csv", "1,1,2", "0,1,2", "K107", 4),
    ];
    for (file, from, to, code, line) in cases {
        let found = parse(Some((file, from, to))).unwrap_err();
        let first = found.iter().next().unwrap();
        assert_eq!(
            (first.code, first.line()),
            (code, Some(line)),
            "{to}: {found}"
        );
        let name = first.file().unwrap();
        assert!(
            name.ends_with(if file == "task" { "task.toml" } else { file }),
            "{name}"
        );
        assert!(code.starts_with('M') || codes::meaning(code).is_some());
    }
    let strict = parse(Some(("task", "\"mean\"", "\"none\""))).unwrap_err();
    assert_eq!(strict.iter().next().unwrap().code, "K108");
}

#[test]
fn the_centres_of_icu_sepsis_can_be_features() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks");
    let text = std::fs::read_to_string(folder.join("icu-sepsis.toml")).unwrap();
    let (task, _) = text.split_once("[learning]").unwrap();
    let wide = parse_tabular("wide", task, Some(&folder)).unwrap();
    wide.check().unwrap();
    assert_eq!(wide.features.names.len(), 64 + 48);
    assert_eq!(wide.features.names[64], "SOFA / 10");
    // standardised, as the file says
    let centre: Vec<f32> = wide.features.values[65 * 716..65 * 716 + 713].to_vec();
    assert!(centre.iter().sum::<f32>().abs() < 0.5);
    let square = centre.iter().map(|c| c * c).sum::<f32>() / 713.0;
    assert!((square - 1.0).abs() < 0.01);
    // 2238 admissible pairs of state and action
    let allowed = wide.admissible[..713].iter().map(|m| m.count_ones());
    assert_eq!(allowed.sum::<u32>(), 2238);
}

#[test]
fn codes_tell_all_states_apart() {
    let code = StateTable::code(716, 12, 3).unwrap();
    let mut columns: Vec<Vec<u32>> = (0..716)
        .map(|s| {
            (0..12)
                .map(|k| code.values[k * 716 + s].to_bits())
                .collect()
        })
        .collect();
    columns.sort();
    columns.dedup();
    assert_eq!(columns.len(), 716);
    assert!(StateTable::code(5, 2, 3).is_none());
    assert_eq!(StateTable::code(716, 12, 3).unwrap(), code);
}
