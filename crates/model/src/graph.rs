//! The expression graph of a model: every expression of a file, shared.
//!
//! Nodes are hash-consed, so an expression that occurs twice exists once, and constants are
//! folded as they are built. All quantities are in the model's coherent unit system; booleans
//! are 0 and 1.

use std::collections::HashMap;

/// A node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Operations on one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    Neg,
    /// `1/x`; made by lowering only, so that a division by a patient's constant leaves the step loop.
    Recip,
    Exp,
    Ln,
    Log10,
    Sqrt,
    Abs,
    Tanh,
    Not,
}

/// Operations on two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    And,
    Or,
}

/// One expression; operands are earlier nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// Bits of an `f64`.
    Const(u64),
    State(u32),
    /// A parameter or covariate of the patient.
    Slot(u32),
    /// Running infusion rate into an input, coherent amount of the target state per time.
    Input(u32),
    /// Seed of a vector-Jacobian product: the adjoint of state `i`'s rate.
    Seed(u32),
    Time,
    /// Time after the last dose.
    Tad,
    Unary(Unary, NodeId),
    Binary(Binary, NodeId, NodeId),
    /// `condition != 0 ? a : b`
    Select(NodeId, NodeId, NodeId),
}

impl Node {
    /// The nodes this one reads.
    pub fn operands(&self) -> impl Iterator<Item = NodeId> + use<> {
        let ids = match *self {
            Node::Unary(_, a) => [Some(a), None, None],
            Node::Binary(_, a, b) => [Some(a), Some(b), None],
            Node::Select(c, a, b) => [Some(c), Some(a), Some(b)],
            _ => [None; 3],
        };
        ids.into_iter().flatten()
    }
}

/// Value of `op` at `a`, in f64.
pub fn apply_unary(op: Unary, a: f64) -> f64 {
    match op {
        Unary::Neg => -a,
        Unary::Recip => 1.0 / a,
        Unary::Exp => a.exp(),
        Unary::Ln => a.ln(),
        Unary::Log10 => a.log10(),
        Unary::Sqrt => a.sqrt(),
        Unary::Abs => a.abs(),
        Unary::Tanh => a.tanh(),
        Unary::Not => truth(a == 0.0),
    }
}

/// Value of `op` at `(a, b)`, in f64.
pub fn apply_binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => a.powf(b),
        Binary::Min => a.min(b),
        Binary::Max => a.max(b),
        Binary::Lt => truth(a < b),
        Binary::Le => truth(a <= b),
        Binary::Gt => truth(a > b),
        Binary::Ge => truth(a >= b),
        Binary::Eq => truth(a == b),
        Binary::Ne => truth(a != b),
        Binary::And => truth(a != 0.0 && b != 0.0),
        Binary::Or => truth(a != 0.0 || b != 0.0),
    }
}

fn truth(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}

/// Hash-consed, constant-folded expressions. Operands always precede the nodes that read them.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    interned: HashMap<Node, NodeId>,
}

impl Graph {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[id.index()]
    }

    /// The value of a node that is a constant.
    pub fn as_constant(&self, id: NodeId) -> Option<f64> {
        match self.node(id) {
            Node::Const(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    fn intern(&mut self, node: Node) -> NodeId {
        if let Some(&id) = self.interned.get(&node) {
            return id;
        }
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        self.interned.insert(node, id);
        id
    }

    pub fn constant(&mut self, value: f64) -> NodeId {
        // one zero, so that sharing does not depend on its sign
        let value = if value == 0.0 { 0.0 } else { value };
        self.intern(Node::Const(value.to_bits()))
    }

    pub fn state(&mut self, index: usize) -> NodeId {
        self.intern(Node::State(index as u32))
    }

    pub fn slot(&mut self, index: usize) -> NodeId {
        self.intern(Node::Slot(index as u32))
    }

    pub fn input(&mut self, index: usize) -> NodeId {
        self.intern(Node::Input(index as u32))
    }

    pub fn seed(&mut self, index: usize) -> NodeId {
        self.intern(Node::Seed(index as u32))
    }

    pub fn time(&mut self) -> NodeId {
        self.intern(Node::Time)
    }

    pub fn tad(&mut self) -> NodeId {
        self.intern(Node::Tad)
    }

    pub fn unary(&mut self, op: Unary, a: NodeId) -> NodeId {
        if let Some(value) = self.as_constant(a) {
            let folded = apply_unary(op, value);
            if folded.is_finite() {
                return self.constant(folded);
            }
        }
        match (op, self.node(a)) {
            (Unary::Neg, Node::Unary(Unary::Neg, inner)) => inner,
            (Unary::Neg, Node::Binary(Binary::Sub, x, y)) => self.binary(Binary::Sub, y, x),
            (Unary::Recip, Node::Unary(Unary::Recip, inner)) => inner,
            (Unary::Ln, Node::Unary(Unary::Exp, inner)) => inner,
            _ => self.intern(Node::Unary(op, a)),
        }
    }

    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> NodeId {
        let (ca, cb) = (self.as_constant(a), self.as_constant(b));
        if let (Some(x), Some(y)) = (ca, cb) {
            let folded = apply_binary(op, x, y);
            if folded.is_finite() {
                return self.constant(folded);
            }
        }
        match op {
            Binary::Add => {
                if ca == Some(0.0) {
                    return b;
                }
                if cb == Some(0.0) {
                    return a;
                }
                if let Node::Unary(Unary::Neg, inner) = self.node(b) {
                    return self.binary(Binary::Sub, a, inner);
                }
                if let Node::Unary(Unary::Neg, inner) = self.node(a) {
                    return self.binary(Binary::Sub, b, inner);
                }
                self.commutative(op, a, b)
            }
            Binary::Sub => {
                if cb == Some(0.0) {
                    return a;
                }
                if ca == Some(0.0) {
                    return self.unary(Unary::Neg, b);
                }
                if a == b {
                    return self.constant(0.0);
                }
                if let Node::Unary(Unary::Neg, inner) = self.node(b) {
                    return self.binary(Binary::Add, a, inner);
                }
                self.intern(Node::Binary(op, a, b))
            }
            Binary::Mul => {
                // 0 * x is 0 here even where x could be infinite: a switched-off term is off
                if ca == Some(0.0) || cb == Some(0.0) {
                    return self.constant(0.0);
                }
                if ca == Some(1.0) {
                    return b;
                }
                if cb == Some(1.0) {
                    return a;
                }
                if ca == Some(-1.0) {
                    return self.unary(Unary::Neg, b);
                }
                if cb == Some(-1.0) {
                    return self.unary(Unary::Neg, a);
                }
                if let Node::Unary(Unary::Neg, inner) = self.node(a) {
                    let product = self.binary(Binary::Mul, inner, b);
                    return self.unary(Unary::Neg, product);
                }
                if let Node::Unary(Unary::Neg, inner) = self.node(b) {
                    let product = self.binary(Binary::Mul, a, inner);
                    return self.unary(Unary::Neg, product);
                }
                self.commutative(op, a, b)
            }
            Binary::Div => {
                if cb == Some(1.0) {
                    return a;
                }
                if ca == Some(0.0) {
                    return a;
                }
                if let Some(divisor) = cb
                    && divisor != 0.0
                    && (1.0 / divisor).is_finite()
                {
                    let inverse = self.constant(1.0 / divisor);
                    return self.binary(Binary::Mul, a, inverse);
                }
                if let Node::Unary(Unary::Neg, inner) = self.node(a) {
                    let quotient = self.binary(Binary::Div, inner, b);
                    return self.unary(Unary::Neg, quotient);
                }
                self.intern(Node::Binary(op, a, b))
            }
            Binary::Pow => self.power(a, b, cb),
            Binary::Min | Binary::Max | Binary::And | Binary::Or | Binary::Eq | Binary::Ne => {
                if a == b && matches!(op, Binary::Min | Binary::Max) {
                    return a;
                }
                self.commutative(op, a, b)
            }
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
                self.intern(Node::Binary(op, a, b))
            }
        }
    }

    /// Operands in a fixed order, so that `a*b` and `b*a` are one node.
    fn commutative(&mut self, op: Binary, a: NodeId, b: NodeId) -> NodeId {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        self.intern(Node::Binary(op, a, b))
    }

    /// Integer powers become multiplications: exact for negative bases, and cheaper than `pow`.
    fn power(&mut self, a: NodeId, b: NodeId, exponent: Option<f64>) -> NodeId {
        const LARGEST_UNROLLED: f64 = 16.0;
        match exponent {
            Some(0.0) => self.constant(1.0),
            Some(1.0) => a,
            Some(0.5) => self.unary(Unary::Sqrt, a),
            Some(e) if e.fract() == 0.0 && e.abs() <= LARGEST_UNROLLED => {
                let positive = self.repeated_product(a, e.abs() as u32);
                if e < 0.0 {
                    let one = self.constant(1.0);
                    self.binary(Binary::Div, one, positive)
                } else {
                    positive
                }
            }
            _ => self.intern(Node::Binary(Binary::Pow, a, b)),
        }
    }

    fn repeated_product(&mut self, a: NodeId, n: u32) -> NodeId {
        if n == 1 {
            return a;
        }
        let half = self.repeated_product(a, n / 2);
        let square = self.mul(half, half);
        if n % 2 == 1 {
            self.mul(square, a)
        } else {
            square
        }
    }

    pub fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> NodeId {
        if let Some(value) = self.as_constant(condition) {
            return if value != 0.0 { a } else { b };
        }
        if a == b {
            return a;
        }
        self.intern(Node::Select(condition, a, b))
    }

    pub fn add(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.binary(Binary::Add, a, b)
    }

    pub fn sub(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.binary(Binary::Sub, a, b)
    }

    pub fn mul(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.binary(Binary::Mul, a, b)
    }

    pub fn div(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.binary(Binary::Div, a, b)
    }

    pub fn neg(&mut self, a: NodeId) -> NodeId {
        self.unary(Unary::Neg, a)
    }

    pub fn pow(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.binary(Binary::Pow, a, b)
    }

    pub fn powi(&mut self, a: NodeId, n: i32) -> NodeId {
        let exponent = self.constant(f64::from(n));
        self.binary(Binary::Pow, a, exponent)
    }

    /// All nodes that `roots` reach, operands before users.
    pub fn reachable(&self, roots: &[NodeId]) -> Vec<NodeId> {
        let mut seen = vec![false; self.nodes.len()];
        let mut stack: Vec<NodeId> = roots.to_vec();
        while let Some(id) = stack.pop() {
            if !seen[id.index()] {
                seen[id.index()] = true;
                stack.extend(self.node(id).operands());
            }
        }
        (0..self.nodes.len() as u32)
            .map(NodeId)
            .filter(|id| seen[id.index()])
            .collect()
    }

    /// Whether `root` reads any node for which `predicate` holds.
    pub fn reads(&self, root: NodeId, predicate: impl Fn(&Node) -> bool) -> bool {
        self.reachable(&[root])
            .into_iter()
            .any(|id| predicate(&self.node(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_expressions_are_one_node() {
        let mut g = Graph::new();
        let (a, b) = (g.state(0), g.slot(1));
        let ab = g.mul(a, b);
        let ba = g.mul(b, a);
        assert_eq!(ab, ba);
        let n = g.len();
        g.mul(a, b);
        assert_eq!(g.len(), n);
    }

    #[test]
    fn constants_fold_and_identities_vanish() {
        let mut g = Graph::new();
        let (two, three, x) = (g.constant(2.0), g.constant(3.0), g.state(0));
        let six = g.mul(two, three);
        assert_eq!(g.as_constant(six), Some(6.0));
        let zero = g.constant(-0.0);
        assert_eq!(g.add(x, zero), x);
        assert_eq!(g.sub(x, x), zero);
        let off = g.mul(zero, x);
        assert_eq!(off, zero);
        assert_eq!(g.pow(x, two), g.mul(x, x));
    }

    #[test]
    fn division_by_zero_is_not_folded() {
        let mut g = Graph::new();
        let (one, zero) = (g.constant(1.0), g.constant(0.0));
        let bad = g.div(one, zero);
        assert_eq!(g.as_constant(bad), None);
    }

    #[test]
    fn integer_powers_are_products() {
        let mut g = Graph::new();
        let x = g.state(0);
        let x5 = g.powi(x, 5);
        assert!(!g.reads(x5, |n| matches!(n, Node::Binary(Binary::Pow, ..))));
    }
}
