//! `[correction]`: settings and weights checked, slots given, the network added to the rates.

mod plan;
mod weights;

pub(super) use plan::Planned;

use super::Builder;
use super::network::{outputs, term};
use super::symbols::{Element, Family, Kind};
use crate::correction::{CorrectedRate, Correction, Form};
use crate::diagnostic::did_you_mean;
use crate::file::{self, Place, Text};
use crate::graph::NodeId;
use crate::unit::{Dimension, Unit};
use plan::Output;

/// An entry of `[correction.rates]` for one state.
struct Target {
    state: usize,
    form: Form,
    scale: f64,
    floor: Option<f64>,
}

impl Builder {
    /// Adds the network to the rates. The last step of all, after the inputs: a correction that is
    /// switched off leaves graph and programs as they are without the section.
    pub(super) fn correction(&mut self, planned: Planned<'_>) {
        let without = planned.is_off().then(|| self.graph.clone());
        let expressions = self.correction_inputs(&planned.file.inputs);
        let targets = self.targets(&planned.outputs);
        self.correction_names(&planned);
        let Some(values) = &planned.values else {
            return;
        };
        if self.ledger.diagnostics.has_errors() {
            return;
        }
        let mut inputs = expressions;
        inputs.extend(planned.latents.iter().map(|&slot| self.graph.slot(slot)));
        let weights: Vec<NodeId> = if planned.weights.is_empty() {
            let constants = values.iter().map(|&value| self.graph.constant(value));
            constants.collect()
        } else {
            let slots = planned.weights.iter().map(|&slot| self.graph.slot(slot));
            slots.collect()
        };
        let terms: Vec<NodeId> = if let Some(graph) = without {
            self.graph = graph;
            vec![self.graph.constant(0.0); targets.len()]
        } else {
            let outputs = outputs(&mut self.graph, &planned.network, &inputs, &weights);
            let pairs = targets.iter().zip(outputs);
            pairs
                .map(|(target, output)| {
                    let state = self.graph.state(target.state);
                    let Target {
                        form, scale, floor, ..
                    } = *target;
                    term(&mut self.graph, form, scale, floor, state, output)
                })
                .collect()
        };
        let mut rates = Vec::with_capacity(targets.len());
        for (target, term) in targets.into_iter().zip(terms) {
            let state = &mut self.model.states[target.state];
            let mechanism = state.rate;
            state.rate = self.graph.add(mechanism, term);
            rates.push(CorrectedRate {
                state: target.state,
                form: target.form,
                scale: target.scale,
                floor: target.floor,
                mechanism,
                term,
            });
        }
        let texts = planned.file.inputs.iter().flat_map(|(_, texts)| texts);
        self.model.correction = Some(Correction {
            network: planned.network,
            inputs: texts.map(|text| text.value.clone()).collect(),
            seed: planned.seed,
            file: planned.file.weights.as_ref().map(|file| file.path.clone()),
            values: values.clone(),
            weights: planned.weights,
            latents: planned.latents,
            rates,
        });
    }

    /// The nodes of the network's inputs, in order; one that failed is left out.
    fn correction_inputs(&mut self, inputs: &Option<(Place, Vec<Text>)>) -> Vec<NodeId> {
        let texts = inputs.iter().flat_map(|(_, texts)| texts);
        let mut nodes = Vec::new();
        for (i, text) in texts.enumerate() {
            let Some(body) = self.body(Some(text)) else {
                continue;
            };
            let what = format!("input {} of the correction", i + 1);
            let plain = Some(Dimension::NONE);
            let found = self.evaluate_as(&body, &Vec::new(), None, plain, &what, None);
            nodes.extend(found.map(|(node, _)| node));
        }
        nodes
    }

    fn targets(&mut self, outputs: &[Output<'_>]) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::with_capacity(outputs.len());
        for output in outputs {
            let Some(target) = self.target_of(output) else {
                continue;
            };
            if targets.iter().any(|known| known.state == target.state) {
                let message = format!("`{}` is corrected twice", output.state);
                self.report(output.entry.name.error("M302", message));
                continue;
            }
            targets.push(target);
        }
        targets
    }

    fn target_of(&mut self, output: &Output<'_>) -> Option<Target> {
        let file::CorrectedRate {
            name,
            scale,
            form,
            floor,
        } = output.entry;
        let form = form
            .as_ref()
            .and_then(|text| self.word(text, "form", &Form::ALL));
        let family = self.symbols.families.get(&output.base);
        // whatever is wrong with the state was said there
        if family.is_some_and(|family| family.kind == Kind::State && family.unit.is_none()) {
            return None;
        }
        let states = &self.model.states;
        let Some(state) = states.iter().position(|state| state.name == output.state) else {
            let message = format!("unknown state `{}`", output.state);
            let names = states.iter().map(|state| state.name.as_str());
            let help = did_you_mean(&output.state, names)
                .unwrap_or_else(|| "a correction is added to the rate of a state".into());
            self.report(name.error("M301", message).help(help));
            return None;
        };
        let (signed, unit) = (states[state].signed, states[state].unit.dimension());
        let form = form?;
        let bound = match form {
            Form::Relative => Dimension::NONE,
            Form::Absolute => unit,
        };
        let bound = bound.per(Dimension::TIME);
        let what = format!("the {} scale of `{}`", form.word(), output.state);
        let scale = scale
            .as_ref()
            .and_then(|text| self.positive(text, bound, &what));
        let what = format!("the floor of `{}`", output.state);
        let floor = match (floor, form) {
            (Some(text), Form::Absolute) if !signed => {
                let value = self.positive(text, unit, &what)?;
                Some(value)
            }
            (Some(text), _) => {
                let message = format!("`{}` needs no floor", output.state);
                let help = "an absolute correction of a state that is not signed has one";
                self.report(text.error("M009", message).help(help));
                return None;
            }
            (None, Form::Absolute) if !signed => {
                let message = format!("the absolute correction of `{}` has no floor", output.state);
                let help = "below `floor` a negative correction fades, so that the state stays \
                            nonnegative: floor = \"10 mg\", or signed = true for the state";
                self.report(name.error("M003", message).help(help));
                return None;
            }
            (None, _) => None,
        };
        Some(Target {
            state,
            form,
            scale: scale?,
            floor,
        })
    }

    fn positive(&mut self, text: &Text, wanted: Dimension, what: &str) -> Option<f64> {
        let value = self.quantity(text, wanted, what)?;
        if value <= 0.0 {
            self.report(text.error("M402", format!("{what} must be positive")));
            return None;
        }
        Some(value)
    }

    /// Names of weights and latents: reserved whether or not they are parameters now, so that what
    /// can be run can be trained; those that are parameters are known to later expressions.
    fn correction_names(&mut self, planned: &Planned<'_>) {
        let (latents, weights) = (
            planned.network.latent_names(),
            planned.network.weight_names(),
        );
        let slots = planned.latents.iter().zip(&latents);
        let slots: Vec<_> = slots.chain(planned.weights.iter().zip(&weights)).collect();
        for name in latents.iter().chain(&weights) {
            let Some(family) = self.symbols.families.get(name) else {
                continue;
            };
            let (noun, place) = (family.kind.noun(), family.place.clone());
            let message = format!("`{name}` is a {noun}, and a name of the correction's network");
            let header = &planned.file.place;
            let finding = place
                .error("M302", message)
                .also(&header.source, header.span.clone(), "this correction")
                .help("names of weights and latents begin with `nn_`: choose another name");
            self.report(finding);
        }
        for (&slot, name) in slots {
            let node = self.graph.slot(slot);
            let element = Element {
                node,
                dynamic: false,
            };
            let family = Family {
                kind: Kind::Parameter,
                place: planned.file.place.clone(),
                indices: Vec::new(),
                unit: Some(Unit::one()),
                elements: vec![Some(element)],
            };
            self.symbols.families.entry(name.clone()).or_insert(family);
            self.symbols.slots.entry(name.clone()).or_insert(slot);
        }
    }
}
