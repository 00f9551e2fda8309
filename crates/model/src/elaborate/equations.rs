//! Derived quantities and states.

use std::collections::BTreeMap;

use super::Builder;
use super::evaluate::{Body, Type};
use super::family::{Instance, Shape, expand};
use super::index::Bindings;
use super::symbols::{Element, Family, Kind};
use crate::file::{self, ModelFile, Place, Text};
use crate::model::{Derived, StateVariable};
use crate::unit::{Dimension, Unit};

impl Builder {
    pub(super) fn equations(&mut self, file: &ModelFile) {
        let states = self.declare_states(&file.states);
        let derived = self.declare_derived(&file.derived);
        self.derived(&file.derived, &derived);
        self.states(&file.states, &states);
        if file.states.is_empty() {
            let name = file.name.as_ref().map(|name| name.place().clone());
            let place = name.or_else(|| file.start.clone());
            let finding = crate::Diagnostic::error("M310", "the model has no states");
            let finding = match place {
                Some(place) => finding.at(&place.source, place.span),
                None => finding,
            };
            self.report(finding.help("a state is a table such as [states.central]"));
        }
    }

    /// The unit of a family: that of its first definition; the others must have its dimension.
    fn family_unit(&mut self, shape: &Shape, units: &[Option<(Unit, Place)>]) -> Option<Unit> {
        let mut found: Option<&(Unit, Place)> = None;
        for definition in &shape.definitions {
            let declared = units[*definition].as_ref()?;
            let (unit, place) = declared;
            let (first, first_place) = found.get_or_insert(declared);
            if unit.dimension() != first.dimension() {
                let message = format!(
                    "all elements of `{}` have one dimension: {}, this is {}",
                    shape.base,
                    self.symbols.system.describe(first.dimension()),
                    self.symbols.system.describe(unit.dimension())
                );
                let finding = place.error("M204", message);
                let span = first_place.span.clone();
                self.report(finding.also(&first_place.source, span, "declared here"));
                return None;
            }
        }
        found
            .map(|(unit, _)| unit.clone())
            .filter(|_| shape.size > 0)
    }

    pub(super) fn units<'t>(
        &mut self,
        texts: impl Iterator<Item = Option<&'t Text>>,
    ) -> Vec<Option<(Unit, Place)>> {
        texts
            .map(|text| self.unit(text).zip(text.map(|text| text.place().clone())))
            .collect()
    }

    fn declare_states(&mut self, states: &[file::State]) -> Vec<Instance> {
        let names: Vec<&Text> = states.iter().map(|state| &state.name).collect();
        let findings = &mut self.ledger.diagnostics;
        let (shapes, mut instances) = expand(&self.symbols.indices, &names, "a state", findings);
        let units = self.units(states.iter().map(|state| state.unit.as_ref()));
        let mut elements: BTreeMap<String, Vec<Option<Element>>> = shapes
            .iter()
            .map(|shape| (shape.base.clone(), vec![None; shape.size]))
            .collect();
        for (i, instance) in instances.iter().enumerate() {
            if let Some(family) = elements.get_mut(&instance.base) {
                let node = self.graph.state(i);
                family[instance.flat] = Some(Element {
                    node,
                    dynamic: true,
                });
            }
        }
        for shape in shapes {
            let unit = self.family_unit(&shape, &units);
            let elements = elements.remove(&shape.base).unwrap_or_default();
            let Shape {
                base,
                place,
                indices,
                ..
            } = shape;
            let family = Family {
                kind: Kind::State,
                place,
                indices,
                unit,
                elements,
            };
            if !self.register(&base, family) {
                instances.retain(|instance| instance.base != base);
            }
        }
        let unit = |i: usize| {
            units[i]
                .as_ref()
                .map_or_else(Unit::one, |(unit, _)| unit.clone())
        };
        let zero = self.graph.constant(0.0);
        for instance in &instances {
            let state = &states[instance.definition];
            self.model.states.push(StateVariable {
                name: instance.name.clone(),
                unit: unit(instance.definition),
                init: zero,
                rate: zero,
                signed: state.signed,
                description: state.description.clone(),
            });
        }
        instances
    }

    fn declare_derived(&mut self, derived: &[file::Derived]) -> Vec<Instance> {
        let names: Vec<&Text> = derived.iter().map(|d| &d.name).collect();
        let findings = &mut self.ledger.diagnostics;
        let (shapes, mut instances) = expand(
            &self.symbols.indices,
            &names,
            "a derived quantity",
            findings,
        );
        let units = self.units(derived.iter().map(|d| d.unit.as_ref()));
        for shape in shapes {
            let unit = self.family_unit(&shape, &units);
            let elements = vec![None; shape.size];
            let Shape {
                base,
                place,
                indices,
                ..
            } = shape;
            let family = Family {
                kind: Kind::Derived,
                place,
                indices,
                unit,
                elements,
            };
            if !self.register(&base, family) {
                instances.retain(|instance| instance.base != base);
            }
        }
        let zero = self.graph.constant(0.0);
        for instance in &instances {
            let unit = units[instance.definition].as_ref();
            self.model.derived.push(Derived {
                name: instance.name.clone(),
                unit: unit.map_or_else(Unit::one, |(unit, _)| unit.clone()),
                node: zero,
                description: derived[instance.definition].description.clone(),
            });
        }
        instances
    }

    /// Evaluates derived quantities, each after those that it reads.
    fn derived(&mut self, derived: &[file::Derived], instances: &[Instance]) {
        let bodies: Vec<Option<Body>> =
            derived.iter().map(|d| self.body(d.expr.as_ref())).collect();
        let names: Vec<&Text> = derived.iter().map(|d| &d.name).collect();
        for i in self.order(instances, &bodies, &names) {
            let instance = &instances[i];
            let definition = &derived[instance.definition];
            let wanted = self
                .symbols
                .families
                .get(&instance.base)
                .and_then(Family::dimension);
            let value = bodies[instance.definition].as_ref().and_then(|body| {
                let mut evaluator = self.evaluator(&body.origin, None);
                evaluator.bindings.clone_from(&instance.bindings);
                let value = evaluator.value(&body.tree);
                let what = format!("`{}`", instance.name);
                let declared = definition.unit.as_ref().map(Text::place);
                let node = evaluator.expect(value, wanted?, &body.tree, &what, declared)?;
                Some((node, value.dynamic))
            });
            // a failed definition keeps its declared dimension, so that its users are still checked
            let (node, dynamic) = value.unwrap_or((self.graph.constant(0.0), false));
            self.model.derived[i].node = node;
            self.finish(instance, Element { node, dynamic });
        }
    }

    pub(super) fn finish(&mut self, instance: &Instance, element: Element) {
        if let Some(family) = self.symbols.families.get_mut(&instance.base)
            && let Some(slot) = family.elements.get_mut(instance.flat)
        {
            *slot = Some(element);
        }
    }

    fn states(&mut self, states: &[file::State], instances: &[Instance]) {
        let rates: Vec<Option<Body>> = states.iter().map(|s| self.body(s.rate.as_ref())).collect();
        let inits: Vec<Option<Body>> = states.iter().map(|s| self.body(s.init.as_ref())).collect();
        for (i, instance) in instances.iter().enumerate() {
            let state = &states[instance.definition];
            let declared = state.unit.as_ref().map(Text::place);
            let family = self.symbols.families.get(&instance.base);
            let wanted = family.and_then(Family::dimension);
            let name = &instance.name;
            if let Some(body) = &inits[instance.definition] {
                let what = format!("the initial value of `{name}`");
                let mut evaluator = self.evaluator(&body.origin, Some("an initial value"));
                evaluator.bindings.clone_from(&instance.bindings);
                let value = evaluator.value(&body.tree);
                let node =
                    wanted.and_then(|d| evaluator.expect(value, d, &body.tree, &what, declared));
                if let Some(node) = node {
                    self.model.states[i].init = node;
                }
            }
            if let Some(body) = &rates[instance.definition] {
                let what = format!("the rate of `{name}`");
                let mut evaluator = self.evaluator(&body.origin, None);
                evaluator.bindings.clone_from(&instance.bindings);
                let value = evaluator.value(&body.tree);
                let node = wanted.and_then(|d| {
                    evaluator.expect(value, d.per(Dimension::TIME), &body.tree, &what, declared)
                });
                if let Some(node) = node {
                    self.model.states[i].rate = node;
                }
            }
        }
    }

    /// Evaluates a body that stands outside the families, such as an input's or an output's.
    pub(super) fn evaluate(
        &mut self,
        body: &Body,
        bindings: &Bindings,
        constant: Option<&str>,
    ) -> super::evaluate::Value {
        let mut evaluator = self.evaluator(&body.origin, constant);
        evaluator.bindings.clone_from(bindings);
        evaluator.value(&body.tree)
    }

    /// As [`Self::evaluate`], checked against a wanted dimension, or only to be a number.
    pub(super) fn evaluate_as(
        &mut self,
        body: &Body,
        bindings: &Bindings,
        constant: Option<&str>,
        wanted: Option<Dimension>,
        what: &str,
        declared: Option<&Place>,
    ) -> Option<(crate::graph::NodeId, Dimension)> {
        let value = self.evaluate(body, bindings, constant);
        let wanted = match (wanted, value.of) {
            (Some(wanted), _) => wanted,
            (None, Type::Number(dimension)) => dimension,
            (None, _) => Dimension::NONE,
        };
        let mut evaluator = self.evaluator(&body.origin, constant);
        let node = evaluator.expect(value, wanted, &body.tree, what, declared)?;
        Some((node, wanted))
    }
}
