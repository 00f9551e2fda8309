//! Additions to a finished model: registers of a trial, hazards, what a rule may see.

use super::Origin;
use super::later::{Typed, compile, typed};
use super::symbols::{Element, Family, Kind, Symbols};
use crate::diagnostic::Diagnostics;
use crate::file::Place;
use crate::graph::NodeId;
use crate::model::{Covariate, Model, StateVariable};
use crate::unit::Unit;

/// The names that an expression may use, and nothing else of the model.
#[derive(Clone, Debug)]
pub struct Scope {
    symbols: Symbols,
}

fn family(kind: Kind, place: Place, unit: &Unit, node: NodeId, dynamic: bool) -> Family {
    Family {
        kind,
        place,
        indices: Vec::new(),
        unit: Some(unit.clone()),
        elements: vec![Some(Element { node, dynamic })],
    }
}

impl Model {
    /// Adds a covariate with a (coherent) reference value; returns its slot, behind all others, or
    /// `None` if the name is taken.
    pub fn add_covariate(
        &mut self,
        name: &str,
        unit: &Unit,
        reference: f64,
        description: &str,
    ) -> Option<usize> {
        if self.symbols.families.contains_key(name) {
            return None;
        }
        let slot = self.slot_count();
        let node = self.graph.slot(slot);
        let place = Place::new(&self.source, 0..0);
        let added = family(Kind::Covariate, place, unit, node, false);
        self.symbols.families.insert(name.to_owned(), added);
        self.symbols.slots.insert(name.to_owned(), slot);
        self.covariates.push(Covariate {
            name: name.to_owned(),
            unit: unit.clone(),
            reference,
            source: String::new(),
            description: description.to_owned(),
        });
        Some(slot)
    }

    /// Adds a state that starts at zero and never turns negative; returns its index, behind all
    /// others, or `None` if the name is taken.
    pub fn add_state(&mut self, name: &str, unit: &Unit, rate: NodeId) -> Option<usize> {
        if self.symbols.families.contains_key(name) {
            return None;
        }
        let index = self.states.len();
        let node = self.graph.state(index);
        let init = self.graph.constant(0.0);
        let place = Place::new(&self.source, 0..0);
        let added = family(Kind::State, place, unit, node, true);
        self.symbols.families.insert(name.to_owned(), added);
        self.states.push(StateVariable {
            name: name.to_owned(),
            unit: unit.clone(),
            init,
            rate,
            signed: false,
            description: String::new(),
        });
        Some(index)
    }

    /// A scope in which each name means a slot.
    pub fn scope<'a>(&mut self, names: impl IntoIterator<Item = (&'a str, usize)>) -> Scope {
        let nodes: Vec<(&str, Unit, NodeId)> = names
            .into_iter()
            .map(|(name, slot)| (name, self.slot_unit(slot).clone(), self.graph.slot(slot)))
            .collect();
        self.scope_of(nodes)
    }

    /// A scope in which each name means a node of this model's graph, in the dimension of a unit.
    pub fn scope_of<'a>(&self, names: impl IntoIterator<Item = (&'a str, Unit, NodeId)>) -> Scope {
        let mut symbols = self.symbols.clone();
        symbols.families.clear();
        symbols.inputs.clear();
        for (name, unit, node) in names {
            let place = Place::new(&self.source, 0..0);
            let named = family(Kind::Observable, place, &unit, node, false);
            symbols.families.insert(name.to_owned(), named);
        }
        Scope { symbols }
    }

    /// As [`Model::expression`], with the names of `scope` only.
    ///
    /// # Errors
    /// As [`Model::expression`].
    pub fn scoped_expression(
        &mut self,
        scope: &Scope,
        text: &str,
        origin: &Origin,
    ) -> Result<Typed, Diagnostics> {
        compile(
            &scope.symbols,
            &mut self.graph,
            text,
            origin,
            |evaluator, tree| typed(evaluator.value(tree)),
        )
    }

    /// Whether the model knows a name (with any index).
    pub fn knows(&self, name: &str) -> bool {
        self.symbols.families.contains_key(name)
    }
}
