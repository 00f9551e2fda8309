//! Slots that a protocol adds to a patient.

use posology_model::Model;
use posology_model::graph::NodeId;
use posology_model::unit::Unit;

use super::nodes::Nodes;

/// Adds registers to a model and collects what becomes of them at a visit.
pub(super) struct Registers {
    pub starts: Vec<(usize, f64)>,
    /// (slot, its next value)
    pub next: Vec<(usize, NodeId)>,
}

impl Registers {
    pub fn new() -> Self {
        Self {
            starts: Vec::new(),
            next: Vec::new(),
        }
    }

    /// A register that starts at `start`; its name gives way to the model's.
    pub fn add(&mut self, model: &mut Model, name: &str, unit: &Unit, start: f64) -> usize {
        let slot = slot(model, name, unit);
        self.starts.push((slot, start));
        slot
    }

    /// A counter or flag that starts at `start`.
    pub fn count(&mut self, model: &mut Model, name: &str, start: f64) -> usize {
        self.add(model, name, &Unit::one(), start)
    }

    pub fn set(&mut self, slot: usize, value: NodeId) {
        self.next.push((slot, value));
    }

    /// The present value of a register.
    pub fn node(model: &mut Model, slot: usize) -> NodeId {
        Nodes(&mut model.graph).slot(slot)
    }
}

/// A further slot; an underscore is added while the name is taken.
pub(super) fn slot(model: &mut Model, name: &str, unit: &Unit) -> usize {
    let mut name = name.to_owned();
    loop {
        if let Some(slot) = model.add_covariate(&name, unit, 0.0, "register of the protocol") {
            return slot;
        }
        name.push('_');
    }
}
