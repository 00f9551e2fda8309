//! Inputs: which state a drug enters, and how an amount of it is converted.

use super::Builder;
use super::evaluate::Body;
use super::symbols::{Help, Kind};
use crate::expr::is_identifier;
use crate::file::{self, Text};
use crate::graph::NodeId;
use crate::model;
use crate::unit::{Dimension, Unit};

impl Builder {
    pub(super) fn inputs(&mut self, inputs: &[file::Input]) {
        // names first, so that an expression that uses one is told what it is
        for input in inputs {
            if let Some(into) = &input.into {
                self.symbols
                    .inputs
                    .insert(input.name.value.clone(), into.value.clone());
            }
        }
        for input in inputs {
            if !is_identifier(&input.name.value) {
                self.report(super::index::bad_name(&input.name, "an input"));
                continue;
            }
            let unit = self.unit(input.unit.as_ref());
            let target = input.into.as_ref().and_then(|into| self.target(into));
            let scale = self.amount_scale(input, unit.as_ref(), target);
            let time = Dimension::TIME;
            let per_time = unit.as_ref().map(|unit| unit.dimension().per(time));
            let bioavailability = self.constant(
                input.bioavailability.as_ref(),
                Some(Dimension::NONE),
                "the bioavailability",
            );
            let lag = self.constant(input.lag.as_ref(), Some(time), "the lag");
            let rate = self.constant(input.rate.as_ref(), per_time, "the rate");
            let duration = self.constant(input.duration.as_ref(), Some(time), "the duration");
            if let (Some(_), Some(second)) = (&input.rate, &input.duration) {
                let message = "an input has a modelled rate or a modelled duration, not both";
                self.report(second.error("M009", message));
            }
            let (Some((into, _)), Some(unit)) = (target, unit) else {
                continue;
            };
            let node = self.graph.input(self.model.inputs.len());
            let state = &mut self.model.states[into];
            state.rate = self.graph.add(state.rate, node);
            self.model.inputs.push(model::Input {
                name: input.name.value.clone(),
                unit,
                into,
                amount_scale: scale,
                bioavailability,
                lag,
                rate,
                duration,
                description: input.description.clone(),
            });
        }
    }

    /// The state that `into` names, with its dimension.
    fn target(&mut self, into: &Text) -> Option<(usize, Dimension)> {
        let body = self.body(Some(into))?;
        let Some((name, index)) = body.tree.as_name() else {
            self.report(into.error("M301", "`into` must name a state"));
            return None;
        };
        let found = match self
            .symbols
            .resolve(name, index, &body.tree.span, &Vec::new())
        {
            Ok(found) => found,
            Err(mut problem) => {
                let states = self.model.states.iter().map(|state| state.name.as_str());
                if let Some(text) = crate::diagnostic::did_you_mean(&into.value, states) {
                    problem.help = Help::Text(text);
                }
                let finding = problem.at(&self.symbols, &body.origin);
                self.report(finding);
                return None;
            }
        };
        if found.family.kind != Kind::State {
            let message = format!("`{name}` is a {}, not a state", found.family.kind.noun());
            let place = found.family.place.clone();
            let finding = into.error("M301", message);
            self.report(finding.also(&place.source, place.span, "defined here"));
            return None;
        }
        let dimension = found.family.dimension()?;
        let full = self
            .symbols
            .indices
            .element_name(name, &found.family.indices, found.flat);
        let state = self
            .model
            .states
            .iter()
            .position(|state| state.name == full);
        if state.is_none() {
            self.report(into.error("M309", format!("`{full}` is not defined")));
        }
        Some((state?, dimension))
    }

    /// A constant of the patient with a wanted dimension.
    fn constant(
        &mut self,
        text: Option<&Text>,
        wanted: Option<Dimension>,
        what: &str,
    ) -> Option<NodeId> {
        let body: Body = self.body(text)?;
        self.evaluate_as(&body, &Vec::new(), Some(what), Some(wanted?), what, None)
            .map(|(node, _)| node)
    }

    /// Coherent amount of the state per coherent amount of the input.
    fn amount_scale(
        &mut self,
        input: &file::Input,
        unit: Option<&Unit>,
        target: Option<(usize, Dimension)>,
    ) -> NodeId {
        let one = self.graph.constant(1.0);
        let molar = Dimension::MASS.per(Dimension::AMOUNT);
        let mass = self.constant(input.molar_mass.as_ref(), Some(molar), "the molar mass");
        let (Some(unit), Some((_, state))) = (unit, target) else {
            return one;
        };
        if unit.dimension() == state {
            return one;
        }
        let ratio = unit.dimension().per(state);
        let inverse = state.per(unit.dimension());
        match mass {
            Some(mass) if ratio == molar => return self.graph.div(one, mass),
            Some(mass) if inverse == molar => return mass,
            // a molar mass that failed was reported
            None if input.molar_mass.is_some() => return one,
            _ => {}
        }
        let system = &self.symbols.system;
        let message = format!(
            "input `{}` gives {}, its state holds {}",
            input.name.value,
            system.describe(unit.dimension()),
            system.describe(state)
        );
        let help = if ratio == molar || inverse == molar {
            "give the input a molar_mass, such as molar_mass = \"807.9[g/mol]\""
        } else if ratio == Dimension::VOLUME {
            "make the state an amount and derive the concentration by dividing by a volume"
        } else {
            "an input gives what its state holds"
        };
        let place = input
            .unit
            .as_ref()
            .map(Text::place)
            .unwrap_or(input.name.place());
        let mut finding = place.error("M207", message).help(help);
        if let Some(into) = &input.into {
            let place = into.place();
            finding = finding.also(&place.source, place.span.clone(), "enters this state");
        }
        self.report(finding);
        one
    }
}
