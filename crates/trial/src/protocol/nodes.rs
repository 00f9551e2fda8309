//! Arithmetic of registers on a model's graph; conditions are 1 or 0.

use posology_model::graph::{Binary, Graph, NodeId, Unary};

/// Short names for what the machine computes.
pub(super) struct Nodes<'g>(pub &'g mut Graph);

impl Nodes<'_> {
    pub fn number(&mut self, value: f64) -> NodeId {
        self.0.constant(value)
    }

    pub fn slot(&mut self, slot: usize) -> NodeId {
        self.0.slot(slot)
    }

    pub fn time(&mut self) -> NodeId {
        self.0.time()
    }

    pub fn add(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.0.add(a, b)
    }

    pub fn plus(&mut self, a: NodeId, value: f64) -> NodeId {
        let value = self.number(value);
        self.0.add(a, value)
    }

    pub fn times(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.0.mul(a, b)
    }

    pub fn exp(&mut self, a: NodeId) -> NodeId {
        self.0.unary(Unary::Exp, a)
    }

    pub fn smaller(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.0.binary(Binary::Min, a, b)
    }

    pub fn larger(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.0.binary(Binary::Max, a, b)
    }

    pub fn below(&mut self, a: NodeId, value: f64) -> NodeId {
        let value = self.number(value);
        self.0.binary(Binary::Lt, a, value)
    }

    pub fn above(&mut self, a: NodeId, value: f64) -> NodeId {
        let value = self.number(value);
        self.0.binary(Binary::Gt, a, value)
    }

    /// Counters are small whole numbers, so a comparison half-way is exact.
    pub fn at_least(&mut self, count: NodeId, value: f64) -> NodeId {
        self.above(count, value - 0.5)
    }

    pub fn is(&mut self, count: NodeId, value: f64) -> NodeId {
        let low = self.above(count, value - 0.5);
        let high = self.below(count, value + 0.5);
        self.both(low, high)
    }

    pub fn not_before(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.0.binary(Binary::Ge, a, b)
    }

    pub fn both(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.0.binary(Binary::And, a, b)
    }

    pub fn either(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.0.binary(Binary::Or, a, b)
    }

    pub fn not(&mut self, a: NodeId) -> NodeId {
        self.0.unary(Unary::Not, a)
    }

    pub fn pick(&mut self, condition: NodeId, yes: NodeId, no: NodeId) -> NodeId {
        self.0.select(condition, yes, no)
    }

    pub fn all(&mut self, conditions: &[NodeId]) -> NodeId {
        let yes = self.number(1.0);
        conditions
            .iter()
            .fold(yes, |all, &next| self.both(all, next))
    }

    pub fn any(&mut self, conditions: &[NodeId]) -> NodeId {
        let no = self.number(0.0);
        conditions
            .iter()
            .fold(no, |any, &next| self.either(any, next))
    }
}
