//! CMT and DVID: what a record is about.

use posology_model::diagnostic::{Diagnostic, did_you_mean};

use super::record::{Fallible, Reader};
use crate::table::is_missing;

impl Reader<'_> {
    /// The input that CMT names, or feeds the state it names or numbers.
    pub(super) fn input(&self, row: usize) -> Fallible<usize> {
        let inputs = &self.model.inputs;
        let column = self.layout.cmt;
        let cell = column.map_or("", |column| self.text(row, column));
        let names = || {
            inputs
                .iter()
                .map(|input| input.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        if inputs.is_empty() {
            return Err(self
                .error(
                    "D036",
                    row,
                    column,
                    format!("the model {} has no inputs", self.model.name),
                )
                .help("declare one with [inputs.NAME] and `into`"));
        }
        if is_missing(cell) || cell.parse() == Ok(0.0) {
            return match inputs.len() {
                1 => Ok(0),
                _ => Err(self
                    .error(
                        "D036",
                        row,
                        column,
                        "the dose may go into several inputs".into(),
                    )
                    .help(format!("name one in CMT: {}", names()))),
            };
        }
        let by_name = |name: &str| name.eq_ignore_ascii_case(cell);
        if let Some(input) = self
            .model
            .input_index(cell)
            .or_else(|| inputs.iter().position(|i| by_name(&i.name)))
        {
            return Ok(input);
        }
        let state = self.state(row, cell)?;
        let into: Vec<usize> = (0..inputs.len())
            .filter(|&i| inputs[i].into == state)
            .collect();
        let state = &self.model.states[state].name;
        match into[..] {
            [input] => Ok(input),
            [] => Err(self
                .error(
                    "D036",
                    row,
                    column,
                    format!("no input leads into state `{state}`"),
                )
                .help(format!(
                    "the inputs of {} are: {}",
                    self.model.name,
                    names()
                ))),
            _ => Err(self
                .error(
                    "D036",
                    row,
                    column,
                    format!("several inputs lead into state `{state}`"),
                )
                .help(format!("name the input in CMT: {}", names()))),
        }
    }

    /// The state that a CMT cell numbers (from 1, in the order of the model file) or names.
    fn state(&self, row: usize, cell: &str) -> Fallible<usize> {
        let states = &self.model.states;
        let column = self.layout.cmt;
        if let Ok(number) = cell.parse::<f64>() {
            let found = (0..states.len()).find(|&state| (state + 1) as f64 == number);
            return found.ok_or_else(|| {
                let message = format!("there is no compartment {cell}");
                let help = match number < 0.0 {
                    true => "compartments cannot be turned off".into(),
                    false => format!("states are numbered from 1 to {}", states.len()),
                };
                self.error("D035", row, column, message).help(help)
            });
        }
        let by_name = |name: &str| name.eq_ignore_ascii_case(cell);
        states
            .iter()
            .position(|state| by_name(&state.name))
            .ok_or_else(|| {
                let inputs = self.model.inputs.iter().map(|input| input.name.as_str());
                let observables = self.model.observables.iter().map(|o| o.name.as_str());
                let names = inputs
                    .chain(states.iter().map(|s| s.name.as_str()))
                    .chain(observables);
                let shown: String = cell.chars().take(40).collect();
                self.error(
                    "D035",
                    row,
                    column,
                    format!("`{shown}` is neither an input nor a state"),
                )
                .help_if(did_you_mean(cell, names))
            })
    }

    /// What PRED is: the observable that DVID numbers or names; else the one that CMT names, or
    /// the only one that reads the state CMT stands for; else the first.
    pub(super) fn observable(&self, row: usize) -> Fallible<usize> {
        let observables = &self.model.observables;
        if observables.is_empty() {
            let message = format!(
                "the model {} declares no observable to predict",
                self.model.name
            );
            return Err(Diagnostic::error("D039", message)
                .at(&self.table.source, self.table.header_span(0))
                .help("declare one with [observables.NAME]"));
        }
        let named = |cell: &str| {
            observables
                .iter()
                .position(|o| o.name.eq_ignore_ascii_case(cell))
        };
        if let Some(column) = self.layout.dvid {
            let cell = self.text(row, column);
            if !is_missing(cell) {
                let number = |n: f64| (0..observables.len()).find(|&i| (i + 1) as f64 == n);
                let by_number = || cell.parse().ok().and_then(number);
                return named(cell).or_else(by_number).ok_or_else(|| {
                    let names = observables.iter().map(|o| o.name.as_str());
                    self.error(
                        "D039",
                        row,
                        Some(column),
                        format!("`{cell}` is not an observable"),
                    )
                    .help_if(did_you_mean(cell, names.clone()))
                    .help(format!(
                        "DVID is a name or a number in: {}",
                        names.collect::<Vec<_>>().join(", ")
                    ))
                });
            }
        }
        let cell = self.layout.cmt.map_or("", |column| self.text(row, column));
        if is_missing(cell) || cell.parse() == Ok(0.0) || self.model.input_index(cell).is_some() {
            return Ok(0);
        }
        if let Some(observable) = named(cell) {
            return Ok(observable);
        }
        if self
            .model
            .inputs
            .iter()
            .any(|input| input.name.eq_ignore_ascii_case(cell))
        {
            return Ok(0);
        }
        Ok(self.observable_of_state[self.state(row, cell)?])
    }
}
