//! Task files of tabular processes: a `[tabular]` table that names tables of transitions.
//!
//! ```toml
//! title = "..."
//! [tabular]
//! states = 716
//! actions = 25                       # or a list of names
//! transitions = "transitions.csv"    # state,action,counts: `next:count next:count ...`
//! inadmissible = "mean"              # pairs without a row: the mean of the state's rows, or
//!                                    # "none" (default): every pair needs a row
//! masked = true                      # policies are kept from pairs without a row
//! start = "start.csv"                # counts
//! terminal = [713, 714]
//! [decisions]
//! horizon = 500
//! discount = 1
//! [tabular.features]
//! state = "code"                     # or "index", "one-hot", "none"
//! width = 64                         # of the code
//! table = "centres.csv"              # state, then a column per feature
//! [reward.survival]                  # [costs.NAME] likewise, with limit and cvar
//! weight = 1
//! next = { 714 = 1 }                 # by the state that follows,
//! action = [0, 1]                    # and by the action, and by a table state,action,next,value
//! [tabular.policies]
//! expert = "expert.csv"              # state,counts: `action:count ...`
//! ```

pub mod codes;
mod gains;
mod sheet;
mod tables;

use std::path::Path;

use posology_model::diagnostic::{Diagnostics, Source, did_you_mean};
use posology_model::file::Number;
use posology_model::file::reader::{Reader, Section};

use super::process::{MOST_ACTIONS, MOST_STATES, StateTable, TabularProcess};
use crate::error::AgentError;
use sheet::Sheet;
use tables::Pairs;

/// Decisions of an episode.
const MOST_DECISIONS: f64 = 1e6;
/// Signs of a code.
const WIDEST_CODE: f64 = 4096.0;
/// Features of all states together, so that a slip of the pen does not fill the memory.
const MOST_FEATURE_VALUES: usize = 1 << 26;

/// Whether a task file describes a tabular process.
pub fn is_tabular(text: &str) -> bool {
    let source = Source::new("", text);
    let (_, root) = Reader::open(&source);
    root.get_ref().contains_key("tabular")
}

/// Reads a task file and its tables.
///
/// # Errors
/// [`AgentError::File`] where it cannot be read, else every finding about it and its tables.
pub fn load_tabular(path: &Path) -> Result<TabularProcess, AgentError> {
    let text = std::fs::read_to_string(path).map_err(|error| AgentError::File {
        path: path.display().to_string(),
        cause: error.to_string(),
    })?;
    Ok(parse_tabular(
        &path.display().to_string(),
        &text,
        path.parent(),
    )?)
}

/// Reads a tabular task from text; its tables are looked for in `folder`.
///
/// # Errors
/// Every finding about the text and its tables.
pub fn parse_tabular(
    name: &str,
    text: &str,
    folder: Option<&Path>,
) -> Result<TabularProcess, Diagnostics> {
    let source = Source::new(name, text);
    let (mut reader, root) = Reader::open(&source);
    let top = Section {
        table: root.get_ref(),
        place: reader.place(0..0),
        what: "the task".to_owned(),
    };
    let title = reader.text(&top, "title").map(|title| title.value);
    let process = read(&mut reader, &top, folder);
    let (process, _) = reader.finish().into_result(process)?;
    let mut process = process.ok_or_else(Diagnostics::new)?;
    process.name = title.unwrap_or_else(|| name.to_owned());
    Ok(process)
}

/// The process, or nothing where something was reported.
fn read(reader: &mut Reader, top: &Section<'_>, folder: Option<&Path>) -> Option<TabularProcess> {
    reader.only(
        top,
        &[
            "title",
            "description",
            "tabular",
            "decisions",
            "reward",
            "costs",
            "train",
        ],
    );
    let Some(table) = reader.section(top, "tabular", "[tabular]") else {
        reader.missing(top, "tabular", "the tables of the process");
        return None;
    };
    reader.only(
        &table,
        &[
            "states",
            "actions",
            "transitions",
            "inadmissible",
            "masked",
            "start",
            "terminal",
            "features",
            "policies",
        ],
    );
    let states = required(reader, &table, "states", (1.0, MOST_STATES as f64))? as usize;
    let actions = action_names(reader, &table)?;
    let terminal = terminal_states(reader, &table, states);
    let mean = choice(reader, &table, "inadmissible", &["none", "mean"])? == 1;
    let masked = reader.flag(&table, "masked").unwrap_or(true);

    let (mut horizon, mut discount) = (None, 1.0);
    match reader.section(top, "decisions", "[decisions]") {
        Some(section) => {
            reader.only(&section, &["horizon", "discount"]);
            horizon = required(reader, &section, "horizon", (1.0, MOST_DECISIONS));
            if let Some(number) = reader.number(&section, "discount") {
                discount = within(reader, &number, "discount", (0.0, 1.0)).unwrap_or(1.0);
            }
        }
        None => reader.missing(top, "decisions", "`horizon`: decisions of an episode"),
    }
    let gains = gains::read(reader, top, states, actions.len(), folder);

    let help = "a table of `state,action,counts`";
    let transitions = reader.required_text(&table, "transitions", help)?;
    let start = reader.required_text(&table, "start", "a table of `counts`")?;
    let transitions = Sheet::read(&transitions, folder, &mut reader.diagnostics);
    let start = Sheet::read(&start, folder, &mut reader.diagnostics);
    let pairs = Pairs {
        states,
        actions: actions.len(),
        terminal: &terminal,
        mean,
        masked,
    };
    let found = &mut reader.diagnostics;
    let start = start.and_then(|sheet| tables::start(&sheet, &pairs, found));
    let rows = transitions.and_then(|sheet| pairs.read(&sheet, found));
    let features = features(reader, &table, states, folder);
    let policies = policies(reader, &table, &pairs, folder);
    let (gains, rows) = (gains?, rows?);
    let transitions = pairs.transitions(&rows, &gains);
    Some(TabularProcess {
        name: String::new(),
        admissible: pairs.admissible(&rows),
        states,
        actions,
        rewards: gains.rewards,
        costs: gains.costs,
        transitions,
        terminal,
        start: start?,
        horizon: horizon? as usize,
        discount,
        features: features?,
        hidden: StateTable::default(),
        policies: policies?,
    })
}

/// The names of the actions, or as many numbers.
fn action_names(reader: &mut Reader, table: &Section<'_>) -> Option<Vec<String>> {
    let listed = matches!(
        table.table.get("actions").map(|value| value.get_ref()),
        Some(toml::de::DeValue::Array(_))
    );
    if !listed {
        let n = required(reader, table, "actions", (1.0, MOST_ACTIONS as f64))?;
        return Some((0..n as usize).map(|a| format!("{a}")).collect());
    }
    let (place, texts) = reader.texts(table, "actions")?;
    if texts.is_empty() || texts.len() > MOST_ACTIONS {
        let message = format!("a process has 1 to {MOST_ACTIONS} actions");
        reader.diagnostics.push(place.error("K109", message));
        return None;
    }
    Some(texts.into_iter().map(|text| text.value).collect())
}

fn terminal_states(reader: &mut Reader, table: &Section<'_>, states: usize) -> Vec<bool> {
    let mut terminal = vec![false; states];
    let Some((_, numbers)) = reader.numbers(table, "terminal") else {
        return terminal;
    };
    for number in numbers {
        if let Some(state) = index(reader, &number, "state", states) {
            terminal[state] = true;
        }
    }
    terminal
}

fn features(
    reader: &mut Reader,
    table: &Section<'_>,
    states: usize,
    folder: Option<&Path>,
) -> Option<StateTable> {
    let Some(section) = reader.section(table, "features", "[tabular.features]") else {
        reader.missing(table, "features", "what is observed: `[tabular.features]`");
        return None;
    };
    reader.only(&section, &["state", "width", "seed", "table"]);
    let kind = choice(
        reader,
        &section,
        "state",
        &["none", "index", "one-hot", "code"],
    )?;
    let mut features = match kind {
        1 => StateTable::index(states),
        2 if states * states <= MOST_FEATURE_VALUES => StateTable::one_hot(states),
        2 => {
            let message = "one-hot features of so many states do not fit";
            let help = "use `state = \"code\"`";
            let finding = section.place.error("K109", message).help(help);
            reader.diagnostics.push(finding);
            return None;
        }
        3 => {
            let width = required(reader, &section, "width", (1.0, WIDEST_CODE))? as usize;
            let seed = match reader.number(&section, "seed") {
                Some(number) => within(reader, &number, "seed", (0.0, 1e15))? as u64,
                None => 1,
            };
            let code = StateTable::code(states, width, seed);
            if code.is_none() {
                let message = format!("{width} signs do not tell {states} states apart");
                let finding = section
                    .place
                    .error("K112", message)
                    .help("a larger `width`");
                reader.diagnostics.push(finding);
            }
            code?
        }
        _ => StateTable::default(),
    };
    if let Some(name) = reader.text(&section, "table") {
        let sheet = Sheet::read(&name, folder, &mut reader.diagnostics)?;
        features = features.and(tables::state_table(
            &sheet,
            states,
            &mut reader.diagnostics,
        )?);
    }
    if features.names.is_empty() {
        let help = "`state = \"code\"` with a `width`, or a `table`";
        reader.missing(&section, "state", help);
        return None;
    }
    Some(features)
}

fn policies(
    reader: &mut Reader,
    table: &Section<'_>,
    pairs: &Pairs<'_>,
    folder: Option<&Path>,
) -> Option<Vec<(String, Vec<f64>)>> {
    let Some(section) = reader.section(table, "policies", "[tabular.policies]") else {
        return Some(Vec::new());
    };
    let mut out = Vec::new();
    for (name, _) in reader.entries(section.table) {
        let file = reader.text(&section, &name.value)?;
        let sheet = Sheet::read(&file, folder, &mut reader.diagnostics)?;
        let policy = tables::policy(&sheet, pairs, &mut reader.diagnostics)?;
        out.push((name.value, policy));
    }
    Some(out)
}

/// A whole or other number of a range, or `K109`.
fn within(reader: &mut Reader, number: &Number, key: &str, range: (f64, f64)) -> Option<f64> {
    let (low, high) = range;
    let whole = key == "discount" || number.value.fract() == 0.0;
    if whole && number.value >= low && number.value <= high {
        return Some(number.value);
    }
    let kind = if key == "discount" {
        "a number"
    } else {
        "a whole number"
    };
    let message = format!("`{key}` must be {kind} from {low} to {high}");
    reader.diagnostics.push(number.place.error("K109", message));
    None
}

fn required(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    range: (f64, f64),
) -> Option<f64> {
    let number = reader.required_number(section, key)?;
    within(reader, &number, key, range)
}

/// A state or action by its number, or `K105`.
fn index(reader: &mut Reader, number: &Number, what: &str, below: usize) -> Option<usize> {
    let value = number.value;
    if value.fract() == 0.0 && value >= 0.0 && value < below as f64 {
        return Some(value as usize);
    }
    let message = format!("{what} {value} does not exist");
    let help = format!("they are numbered 0 to {}", below - 1);
    reader
        .diagnostics
        .push(number.place.error("K105", message).help(help));
    None
}

/// Which of some words; the first if there is none.
fn choice(reader: &mut Reader, section: &Section<'_>, key: &str, words: &[&str]) -> Option<usize> {
    if !section.table.contains_key(key) {
        return Some(0);
    }
    let text = reader.text(section, key)?;
    let found = words.iter().position(|word| *word == text.value);
    if found.is_none() {
        let message = format!("`{key}` of {} cannot be `{}`", section.what, text.value);
        let help = did_you_mean(&text.value, words.iter().copied());
        let finding = text.error("K111", message).help_if(help);
        reader
            .diagnostics
            .push(finding.help(format!("one of: {}", words.join(", "))));
    }
    found
}
