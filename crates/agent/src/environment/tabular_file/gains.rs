//! Reward terms and costs: by the state that follows, by the action, by a table.

use std::collections::HashMap;
use std::path::Path;

use posology_model::diagnostic::Diagnostics;
use posology_model::file::Number;
use posology_model::file::reader::{Reader, Section};

use super::index;
use super::sheet::{Sheet, report};
use crate::spec::{CostSpec, RewardSpec};

/// What one term adds up.
#[derive(Default)]
struct Gain {
    by_next: HashMap<usize, f64>,
    by_action: Vec<f64>,
    table: Option<Table>,
}

/// Values of a table; columns that it lacks do not matter.
struct Table {
    /// Whether there are columns `state`, `action`, `next`.
    has: [bool; 3],
    values: HashMap<[usize; 3], f64>,
}

/// Reward terms, then costs.
pub(super) struct Gains {
    pub rewards: Vec<RewardSpec>,
    pub costs: Vec<CostSpec>,
    gains: Vec<Gain>,
}

impl Gains {
    /// Reward terms and costs together.
    pub fn signals(&self) -> usize {
        self.gains.len()
    }

    /// Every signal of one transition.
    pub fn of(&self, state: usize, action: usize, next: usize) -> Vec<f64> {
        let one = |gain: &Gain| {
            let by_next = gain.by_next.get(&next).copied().unwrap_or(0.0);
            let by_action = gain.by_action.get(action).copied().unwrap_or(0.0);
            let by_table = gain.table.as_ref().map_or(0.0, |table| {
                let mut key = [state, action, next];
                for (part, has) in key.iter_mut().zip(table.has) {
                    *part = if has { *part } else { 0 };
                }
                table.values.get(&key).copied().unwrap_or(0.0)
            });
            by_next + by_action + by_table
        };
        self.gains.iter().map(one).collect()
    }
}

/// `[reward.NAME]` and `[costs.NAME]`.
pub(super) fn read(
    reader: &mut Reader,
    top: &Section<'_>,
    states: usize,
    actions: usize,
    folder: Option<&Path>,
) -> Option<Gains> {
    const PARTS: [&str; 3] = ["next", "action", "table"];
    let mut out = Gains {
        rewards: Vec::new(),
        costs: Vec::new(),
        gains: Vec::new(),
    };
    let mut complete = true;
    for (name, section) in reader.named(top, "reward", "reward") {
        reader.only(&section, &["weight", PARTS[0], PARTS[1], PARTS[2]]);
        let weight = reader.number(&section, "weight").map_or(1.0, |n| n.value);
        out.rewards.push(RewardSpec {
            name: name.value,
            weight,
            shaping: false,
        });
        match gain(reader, &section, states, actions, folder) {
            Some(gain) => out.gains.push(gain),
            None => complete = false,
        }
    }
    if out.rewards.is_empty() && complete {
        reader.missing(top, "reward", "what is to be gained: `[reward.NAME]`");
        return None;
    }
    for (name, section) in reader.named(top, "costs", "cost") {
        reader.only(&section, &["limit", "cvar", PARTS[0], PARTS[1], PARTS[2]]);
        let limit = reader.required_number(&section, "limit");
        let cvar = match reader.number(&section, "cvar") {
            Some(number) => share(reader, &number),
            None => None,
        };
        out.costs.push(CostSpec {
            name: name.value,
            limit: limit.map_or(0.0, |number| number.value),
            cvar,
        });
        match gain(reader, &section, states, actions, folder) {
            Some(gain) => out.gains.push(gain),
            None => complete = false,
        }
    }
    complete.then_some(out)
}

/// A tail's share, from 0 to below 1.
fn share(reader: &mut Reader, number: &Number) -> Option<f64> {
    if number.value >= 0.0 && number.value < 1.0 {
        return Some(number.value);
    }
    let message = "`cvar` must be at least 0 and below 1";
    let help = "0.95 limits the mean of the worst 5 % of episodes";
    reader
        .diagnostics
        .push(number.place.error("K109", message).help(help));
    None
}

fn gain(
    reader: &mut Reader,
    section: &Section<'_>,
    states: usize,
    actions: usize,
    folder: Option<&Path>,
) -> Option<Gain> {
    let mut gain = Gain::default();
    let known = ["next", "action", "table"];
    if !known.iter().any(|key| section.table.contains_key(*key)) {
        reader.missing(
            section,
            "next",
            "such as `next = { 3 = 1 }`: 1 on reaching state 3",
        );
        return None;
    }
    if let Some(inner) = reader.section(section, "next", &format!("`next` of {}", section.what)) {
        for (key, _) in reader.entries(inner.table) {
            let number = Number {
                value: key.value.parse().unwrap_or(f64::NAN),
                place: key.place().clone(),
            };
            let state = index(reader, &number, "state", states)?;
            let value = reader.number(&inner, &key.value)?;
            gain.by_next.insert(state, value.value);
        }
    }
    if let Some((place, numbers)) = reader.numbers(section, "action") {
        if numbers.len() != actions || numbers.iter().any(|n| !n.value.is_finite()) {
            let message = format!("`action` must be {actions} finite numbers, one per action");
            reader.diagnostics.push(place.error("K109", message));
            return None;
        }
        gain.by_action = numbers.iter().map(|n| n.value).collect();
    }
    if let Some(name) = reader.text(section, "table") {
        let sheet = Sheet::read(&name, folder, &mut reader.diagnostics)?;
        gain.table = Some(table(
            &sheet,
            [states, actions, states],
            &mut reader.diagnostics,
        )?);
    }
    Some(gain)
}

/// A table of some of `state,action,next`, then `value`.
fn table(sheet: &Sheet, below: [usize; 3], found: &mut Diagnostics) -> Option<Table> {
    let names = ["state", "action", "next"];
    let column = |name: &str| sheet.header.iter().position(|cell| cell == name);
    let columns = names.map(column);
    let value = column("value");
    let used = columns.iter().flatten().count();
    let (Some(value), true) = (value, used > 0 && used + 1 == sheet.header.len()) else {
        let message = "the header is not some of `state,action,next`, and `value`";
        found.push(sheet.header_place().error("K102", message));
        return None;
    };
    let before = found.len();
    let mut values = HashMap::new();
    for row in &sheet.rows {
        let mut key = [0; 3];
        for part in 0..3 {
            if let Some(at) = columns[part] {
                key[part] = sheet.index(row, at, below[part], found).unwrap_or(0);
            }
        }
        let number = sheet.number(row, value, found).unwrap_or(0.0);
        if values.insert(key, number).is_some() && found.len() == before {
            report(
                found,
                sheet.place(row).error("K107", "the row stands here twice"),
            );
        }
    }
    let has = columns.map(|column| column.is_some());
    (found.len() == before).then_some(Table { has, values })
}
