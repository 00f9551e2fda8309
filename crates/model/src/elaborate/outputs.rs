//! What is read off a model: observables, toxicities, summaries, balances.

use std::collections::BTreeMap;

use super::Builder;
use super::evaluate::Body;
use super::family::{Instance, Shape, expand};
use super::symbols::{Element, Family, Kind};
use crate::file::{self, Place, Text};
use crate::graph::NodeId;
use crate::model::{Balance, Direction, Observable, ResidualError, Toxicity};
use crate::unit::{Dimension, Unit, parse_quantity};

impl Builder {
    pub(super) fn expand(&mut self, names: &[&Text], what: &str) -> (Vec<Shape>, Vec<Instance>) {
        expand(
            &self.symbols.indices,
            names,
            what,
            &mut self.ledger.diagnostics,
        )
    }

    /// The unit of an output: the declared one, or that of the state, derived quantity, parameter
    /// or covariate that its expression names.
    fn output_unit(
        &mut self,
        declared: Option<&(Unit, Place)>,
        was_declared: bool,
        body: &Body,
        what: &str,
    ) -> Option<Unit> {
        if let Some((unit, _)) = declared {
            return Some(unit.clone());
        }
        if was_declared {
            return None;
        }
        if let Some((name, _)) = body.tree.as_name() {
            // an unknown name is reported when the expression is evaluated
            let unit = self
                .symbols
                .families
                .get(name)
                .and_then(|family| family.unit.clone());
            return Some(unit.unwrap_or_else(Unit::one));
        }
        let finding = body.place().error("M003", format!("{what} has no `unit`"));
        self.report(finding.help("only an expression that is a single name brings its unit"));
        None
    }

    pub(super) fn observables(&mut self, observables: &[file::Observable]) {
        let names: Vec<&Text> = observables.iter().map(|o| &o.name).collect();
        let (shapes, instances) = self.expand(&names, "an observable");
        let bodies: Vec<_> = observables
            .iter()
            .map(|o| self.body(o.expr.as_ref()))
            .collect();
        let units = self.units(observables.iter().map(|o| o.unit.as_ref()));
        let mut found: Vec<Option<(Unit, NodeId)>> = vec![None; instances.len()];
        for (i, instance) in instances.iter().enumerate() {
            let written = &observables[instance.definition];
            let Some(body) = &bodies[instance.definition] else {
                continue;
            };
            let what = format!("observable `{}`", instance.name);
            let declared = units[instance.definition].as_ref();
            let unit = self.output_unit(declared, written.unit.is_some(), body, &what);
            let wanted = unit
                .as_ref()
                .filter(|_| declared.is_some())
                .map(Unit::dimension);
            let place = written.unit.as_ref().map(Text::place);
            let value = self.evaluate_as(body, &instance.bindings, None, wanted, &what, place);
            let (Some(unit), Some((node, dimension))) = (unit, value) else {
                continue;
            };
            let error = written
                .error
                .as_ref()
                .and_then(|e| self.residual_error(e, dimension));
            found[i] = Some((unit.clone(), node));
            self.model.observables.push(Observable {
                name: instance.name.clone(),
                unit,
                node,
                error,
                description: written.description.clone(),
            });
        }
        // registered last: equations cannot read observables, later expressions can
        let mut families: BTreeMap<&str, (Option<Unit>, Vec<_>)> = BTreeMap::new();
        for shape in &shapes {
            families.insert(&shape.base, (None, vec![None; shape.size]));
        }
        for (instance, found) in instances.iter().zip(found) {
            if let (Some((unit, node)), Some((family_unit, elements))) =
                (found, families.get_mut(instance.base.as_str()))
            {
                elements[instance.flat] = Some(Element {
                    node,
                    dynamic: true,
                });
                let first = family_unit.get_or_insert_with(|| unit.clone());
                if first.dimension() != unit.dimension() {
                    let message = format!("all elements of `{}` have one dimension", instance.base);
                    self.report(names[instance.definition].error("M204", message));
                }
            }
        }
        for shape in &shapes {
            let same = shape.definitions.iter().all(|&definition| {
                let tree = bodies[definition].as_ref().map(|body| &body.tree);
                let name = tree.and_then(|tree| tree.as_name());
                name.is_some_and(|(name, _)| name == shape.base)
            });
            if same && self.symbols.families.contains_key(&shape.base) {
                continue; // the observable of a state may carry its name
            }
            let (unit, elements) = families.remove(shape.base.as_str()).unwrap_or_default();
            let (place, indices) = (shape.place.clone(), shape.indices.clone());
            let kind = Kind::Observable;
            self.register(
                &shape.base,
                Family {
                    kind,
                    place,
                    indices,
                    unit,
                    elements,
                },
            );
        }
    }

    fn residual_error(
        &mut self,
        written: &file::ErrorModel,
        dimension: Dimension,
    ) -> Option<ResidualError> {
        let mut error = ResidualError::default();
        let positive = |builder: &mut Self, value: f64, place: &Place, what: &str| {
            if value <= 0.0 {
                let help = "leave it out if there is none";
                builder.report(
                    place
                        .error("M402", format!("{what} must be positive"))
                        .help(help),
                );
            }
            value
        };
        if let Some(number) = &written.proportional {
            let what = "the proportional error";
            error.proportional = positive(self, number.value, &number.place, what);
        }
        if let Some(number) = &written.lognormal {
            error.lognormal = positive(self, number.value, &number.place, "the log-normal error");
        }
        if let Some(text) = &written.additive {
            let what = "the additive error";
            let value = self.quantity(text, dimension, what)?;
            error.additive = positive(self, value, text.place(), what);
        }
        if let Some(text) = &written.lloq {
            let what = "the limit of quantification";
            let value = self.quantity(text, dimension, what)?;
            error.lloq = Some(positive(self, value, text.place(), what));
        }
        let classical = written.proportional.is_some() || written.additive.is_some();
        if written.lognormal.is_some() && classical {
            let message = "a log-normal error excludes proportional and additive ones";
            self.report(written.place.error("M009", message));
        }
        if !classical && written.lognormal.is_none() && written.lloq.is_none() {
            let message = "the error says nothing";
            let help = "give proportional, additive, lognormal or lloq";
            self.report(written.place.error("M009", message).help(help));
        }
        Some(error)
    }

    pub(super) fn toxicities(&mut self, toxicities: &[file::Toxicity]) {
        let names: Vec<&Text> = toxicities.iter().map(|t| &t.name).collect();
        let (_, instances) = self.expand(&names, "a toxicity");
        let bodies: Vec<_> = toxicities
            .iter()
            .map(|t| self.body(t.expr.as_ref()))
            .collect();
        let units = self.units(toxicities.iter().map(|t| t.unit.as_ref()));
        for instance in &instances {
            let written = &toxicities[instance.definition];
            let source = self.citation(written.source.as_ref());
            let Some(body) = &bodies[instance.definition] else {
                continue;
            };
            let what = format!("toxicity `{}`", instance.name);
            let declared = units[instance.definition].as_ref();
            let wanted = declared.map(|(unit, _)| unit.dimension());
            let place = written.unit.as_ref().map(Text::place);
            let value = self.evaluate_as(body, &instance.bindings, None, wanted, &what, place);
            let Some((node, dimension)) = value else {
                continue;
            };
            let Some((direction, thresholds)) = self.thresholds(written, dimension) else {
                continue;
            };
            let Some(grades) = self.grades(written, thresholds.len()) else {
                continue;
            };
            // a threshold carries the unit that the grade is usually stated in
            let unit = match declared {
                Some((unit, _)) => unit.clone(),
                None => {
                    let list = written.below.as_ref().or(written.above.as_ref());
                    let first = list.and_then(|(_, texts)| texts.first());
                    let parsed = first.and_then(|text| parse_quantity(&text.value).ok());
                    parsed.map_or_else(|| self.symbols.system.coherent_unit(dimension), |(_, u)| u)
                }
            };
            self.model.toxicities.push(Toxicity {
                name: instance.name.clone(),
                unit,
                node,
                direction,
                thresholds,
                grades,
                source,
            });
        }
    }

    fn thresholds(
        &mut self,
        written: &file::Toxicity,
        dimension: Dimension,
    ) -> Option<(Direction, Vec<f64>)> {
        let (direction, (place, texts)) = match (&written.below, &written.above) {
            (Some(list), None) => (Direction::Below, list),
            (None, Some(list)) => (Direction::Above, list),
            (both, _) => {
                let message = format!("toxicity `{}` needs `below` or `above`", written.name.value);
                let message = if both.is_some() {
                    message + ", not both"
                } else {
                    message
                };
                self.report(written.name.error("M009", message));
                return None;
            }
        };
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            values.push(self.quantity(text, dimension, "a threshold")?);
        }
        let ordered = |pair: &[f64]| match direction {
            Direction::Below => pair[0] > pair[1],
            Direction::Above => pair[0] < pair[1],
        };
        if values.is_empty() || !values.windows(2).all(ordered) {
            let order = if direction == Direction::Below {
                "falling"
            } else {
                "rising"
            };
            let message = format!("thresholds go from mild to severe: {order}, at least one");
            self.report(place.error("M406", message));
            return None;
        }
        Some((direction, values))
    }

    fn grades(&mut self, written: &file::Toxicity, thresholds: usize) -> Option<Vec<u8>> {
        let (place, numbers) = written.grades.as_ref()?;
        let whole = |n: &file::Number| n.value.fract() == 0.0 && (1.0..=5.0).contains(&n.value);
        if let Some(wrong) = numbers.iter().find(|n| !whole(n)) {
            self.report(
                wrong
                    .place
                    .error("M402", "a grade is a whole number from 1 to 5"),
            );
            return None;
        }
        if numbers.len() != thresholds || !numbers.windows(2).all(|p| p[0].value < p[1].value) {
            let message = format!("{thresholds} thresholds need as many rising grades");
            self.report(place.error("M406", message));
            return None;
        }
        Some(numbers.iter().map(|n| n.value as u8).collect())
    }

    pub(super) fn balances(&mut self, balances: &[file::Balance]) {
        for balance in balances {
            let what = format!("balance `{}`", balance.name.value);
            let none = Vec::new();
            let total = self.body(balance.total.as_ref());
            let gain = self.body(balance.gain.as_ref());
            let total = total.and_then(|b| self.evaluate_as(&b, &none, None, None, &what, None));
            let Some((total, dimension)) = total else {
                continue;
            };
            let per_time = dimension.per(Dimension::TIME);
            let gain = match gain {
                Some(body) => {
                    let what = format!("the gain of {what}");
                    self.evaluate_as(&body, &none, None, Some(per_time), &what, None)
                }
                None if balance.gain.is_none() => Some((self.graph.constant(0.0), per_time)),
                None => None,
            };
            let Some((gain, _)) = gain else { continue };
            let unit = self.symbols.system.coherent_unit(dimension);
            let name = balance.name.value.clone();
            self.model.balances.push(Balance {
                name,
                unit,
                total,
                gain,
            });
        }
    }
}
