//! Spectral radius of a model's Jacobian, and with it the largest stable Runge-Kutta step.

use nalgebra::DMatrix;

use crate::differentiate::jacobian;
use crate::graph::{Graph, NodeId};
use crate::interpret::{Environment, Interpreter};
use crate::program::{Block, lower_expressions};

/// Explicit RK4 is stable on the negative real axis for `h * |lambda| < 2.785`.
pub const RK4_REAL_LIMIT: f64 = 2.785_293_563_405_282;

/// The lowered, sparse Jacobian of the rates with respect to the states.
#[derive(Clone, Debug)]
pub struct Jacobian {
    pub n: usize,
    /// (row, column) of each output of `block`.
    pub pattern: Vec<(usize, usize)>,
    pub setup: Block,
    pub block: Block,
}

impl Jacobian {
    /// Differentiate `rates` (nodes of `graph`) symbolically.
    pub fn new(graph: &Graph, rates: &[NodeId]) -> Self {
        let mut graph = graph.clone();
        let n = rates.len();
        let entries = jacobian(&mut graph, rates, n);
        let values: Vec<NodeId> = entries.iter().map(|entry| entry.value).collect();
        let (setup, block) = lower_expressions(&graph, &values);
        let pattern = entries
            .iter()
            .map(|entry| (entry.row, entry.column))
            .collect();
        Self {
            n,
            pattern,
            setup,
            block,
        }
    }

    /// The dense matrix at one point; `environment.slots` must be set, `carried` is computed here.
    pub fn dense(&self, environment: &Environment<'_>) -> DMatrix<f64> {
        let mut interpreter = Interpreter::default();
        let (mut carried, mut values) = (Vec::new(), Vec::new());
        interpreter.run(&self.setup, environment, &mut carried);
        let inner = Environment {
            carried: &carried,
            ..*environment
        };
        interpreter.run(&self.block, &inner, &mut values);
        let mut matrix = DMatrix::zeros(self.n, self.n);
        for (&(row, column), value) in self.pattern.iter().zip(values) {
            matrix[(row, column)] = value;
        }
        matrix
    }

    /// Largest modulus of an eigenvalue at one point; `None` where the Jacobian is not finite.
    pub fn spectral_radius(&self, environment: &Environment<'_>) -> Option<f64> {
        let matrix = self.dense(environment);
        if matrix.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let eigenvalues = matrix.complex_eigenvalues();
        Some(
            eigenvalues
                .iter()
                .map(|lambda| lambda.norm())
                .fold(0.0, f64::max),
        )
    }
}
