//! The report of a check, for a reader and for a program.

use std::fmt::Write;

use posology_model::Program;
use posology_model::interpret::evaluate_slots;
use posology_model::model::StepSchedule;
use posology_sim::step::{Accuracy, Stability};
use serde_json::{Value, json};

use super::balance::Verdict;
use crate::commands::models::{self, PARAMETER_HEADER, parameter_rows};
use crate::context::Context;
use crate::error::Failure;
use crate::scenario::{Scenario, step_text, step_value};
use crate::table::{self, number};

/// A schedule looked for with --pieces.
pub struct InPieces {
    pub schedule: StepSchedule,
    /// Its steps over those of the shipped schedule.
    pub share: f64,
}

/// Everything that was found.
pub struct Report<'a> {
    pub scenario: &'a Scenario,
    pub program: Program,
    pub patients: usize,
    pub stability: Stability,
    pub accuracy: Accuracy,
    pub pieces: Option<InPieces>,
    pub balances: Vec<Verdict>,
    pub device: &'a str,
    /// Seconds.
    pub build: f64,
    pub problems: Vec<String>,
}

impl Report<'_> {
    /// Operations: once per patient, per stage of a step, per step for summaries.
    fn operations(&self) -> [usize; 3] {
        [
            &self.program.setup,
            &self.program.rates,
            &self.program.monitor,
        ]
        .map(|block| block.arithmetic_count())
    }

    /// For a program.
    ///
    /// # Errors
    /// None in practice: a checked scenario has an end.
    pub fn json(&self) -> Result<Value, Failure> {
        let model = &self.scenario.model;
        let [setup, rates, monitor] = self.operations();
        Ok(json!({
            "ok": self.problems.is_empty(),
            "problems": self.problems,
            "warnings": model.warnings,
            "model": models::describe(model),
            "file": self.scenario.path,
            "sha256": self.scenario.hash,
            "regimen": self.scenario.regimen_text(),
            "duration": self.scenario.end()?,
            "units": {"passed": true},
            "operations": {"setup": setup, "rates": rates, "monitor": monitor},
            "balances": self.balances,
            "patients": self.patients,
            "stability": self.stability,
            "accuracy": {
                "tolerance": self.accuracy.tolerance,
                "step": step_value(&self.scenario.schedule),
                "error": self.accuracy.error,
                "largest_constant_step": self.accuracy.constant_step,
                "largest_schedule": step_value(&self.accuracy.schedule),
                "in_pieces": self.pieces.as_ref().map(|pieces| json!({
                    "step": step_value(&pieces.schedule),
                    "steps_over_shipped": pieces.share,
                })),
            },
            "kernel": {"device": self.device, "build_seconds": self.build},
        }))
    }

    /// For a reader.
    ///
    /// # Errors
    /// As [`Report::json`].
    pub fn render(&self, context: &Context) -> Result<String, Failure> {
        let model = &self.scenario.model;
        let unit = model.time_unit.text();
        let mut out = String::new();
        // writing to a string cannot fail
        let _ = writeln!(out, "{}: {}", context.bold(&model.name), model.title);
        let _ = writeln!(out, "{}\n", self.scenario.path.display());
        out.push_str(&table::render(
            &["state", "unit", "dimension", "rate in", "start", "sign"],
            &self.state_rows(),
        ));
        out.push('\n');
        out.push_str(&table::render(&PARAMETER_HEADER, &parameter_rows(model)));
        let _ = writeln!(
            out,
            "\nunits         all expressions have the dimensions they are declared with"
        );
        let [setup, rates, monitor] = self.operations();
        let _ = writeln!(
            out,
            "operations    {rates} per stage of a step, {monitor} per step for summaries, {setup} once per patient"
        );
        for verdict in &self.balances {
            let word = if verdict.holds {
                "holds"
            } else {
                "DOES NOT HOLD"
            };
            let worst = number(verdict.worst, 2);
            let _ = writeln!(
                out,
                "balance       {}: {word}, relative residual {worst} at {} random points",
                verdict.name, verdict.points
            );
        }
        let doses = self
            .scenario
            .regimen_text()
            .map_or("no doses".to_owned(), |t| {
                t.split_whitespace().collect::<Vec<_>>().join(" ")
            });
        let _ = writeln!(
            out,
            "scenario      {} {unit}, {doses}; {} sampled patients",
            number(self.scenario.end()?, 6),
            self.patients
        );
        let s = &self.stability;
        let _ = writeln!(
            out,
            "fastest rate  {} per {unit} (t = {} {unit})",
            number(s.fastest, 4),
            number(s.time, 4)
        );
        let verdict = if s.violation.is_some() {
            "UNSTABLE with"
        } else {
            "stable with"
        };
        let shipped = step_text(&self.scenario.schedule, unit);
        let _ = writeln!(
            out,
            "stability     largest stable step {} {unit}; {verdict} {shipped}",
            number(s.largest_step, 4)
        );
        let a = &self.accuracy;
        let verdict = if a.error <= a.tolerance {
            "within"
        } else {
            "OVER"
        };
        let _ = writeln!(
            out,
            "accuracy      truncation error {}, {verdict} the tolerance {}",
            number(a.error, 3),
            number(a.tolerance, 3)
        );
        let _ = writeln!(
            out,
            "              largest constant step {} {unit}",
            number(a.constant_step, 4)
        );
        let _ = writeln!(
            out,
            "              largest schedule {}",
            step_text(&a.schedule, unit)
        );
        if let Some(pieces) = &self.pieces {
            let _ = writeln!(
                out,
                "              in pieces {}: {} of the shipped schedule's steps",
                step_text(&pieces.schedule, unit),
                number(pieces.share, 3)
            );
        }
        let _ = writeln!(
            out,
            "kernel        built in {} s on {}",
            number(self.build, 3),
            self.device
        );
        let _ = writeln!(
            out,
            "warnings      {}",
            if model.warnings.is_empty() {
                "none".to_owned()
            } else {
                model.warnings.len().to_string()
            }
        );
        Ok(out)
    }

    fn state_rows(&self) -> Vec<Vec<String>> {
        let model = &self.scenario.model;
        let nodes: Vec<_> = model.states.iter().map(|state| state.init).collect();
        let starts = evaluate_slots(&model.graph, &nodes, &model.typical_slots());
        let row = |(state, start): (&posology_model::model::StateVariable, f64)| {
            vec![
                state.name.clone(),
                state.unit.text().to_owned(),
                state.unit.dimension().to_string(),
                format!("{}/{}", state.unit, model.time_unit),
                number(start / model.units.scale(&state.unit), 5),
                if state.signed {
                    "any".to_owned()
                } else {
                    ">= 0".to_owned()
                },
            ]
        };
        model.states.iter().zip(starts).map(row).collect()
    }
}
