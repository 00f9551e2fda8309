//! The sizes of a policy network for a decision process.

pub use posology_kernels::policy::{NetworkShape, Offsets};
use posology_kernels::recurrent::UNITS_MULTIPLE;

use crate::error::AgentError;
use crate::spec::Spec;

/// What a user may choose about the network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkOptions {
    /// Width of the encoder.
    pub encoder: usize,
    /// Width of the core.
    pub hidden: usize,
    /// A gated recurrent unit, so that the policy adapts to a patient; otherwise a dense layer.
    pub recurrent: bool,
    /// The policy is told the patient's hidden quantities.
    pub sees_hidden: bool,
    /// The policy also states what it believes about the hidden quantities.
    pub beliefs: bool,
    /// Quantiles of each cost's critic.
    pub quantiles: usize,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            encoder: 64,
            hidden: 64,
            recurrent: true,
            sees_hidden: false,
            beliefs: true,
            quantiles: 16,
        }
    }
}

impl NetworkOptions {
    /// The network for a process.
    ///
    /// # Errors
    /// [`AgentError::Option`] for a width that cannot work.
    pub fn shape(&self, spec: &Spec) -> Result<NetworkShape, AgentError> {
        // wide enough for any task here, narrow enough for every loop of the kernels
        const WIDEST: usize = 256;
        for (key, value) in [("encoder", self.encoder), ("hidden", self.hidden)] {
            if value == 0 || value > WIDEST {
                return Err(refused(key, value, &format!("must be 1 to {WIDEST}")));
            }
        }
        if self.recurrent && !self.hidden.is_multiple_of(UNITS_MULTIPLE) {
            let cause = format!("a recurrent core takes a multiple of {UNITS_MULTIPLE}");
            return Err(refused("hidden", self.hidden, &cause));
        }
        if self.quantiles == 0 && !spec.costs.is_empty() {
            return Err(refused("quantiles", 0, "a cost needs at least one"));
        }
        let sees_hidden = if self.sees_hidden {
            spec.hidden.len()
        } else {
            0
        };
        Ok(NetworkShape {
            inputs: spec.features.len() + sees_hidden,
            sees_hidden,
            encoder: self.encoder,
            hidden: self.hidden,
            recurrent: self.recurrent,
            outputs: spec.outputs(self.quantiles, self.beliefs),
        })
    }
}

fn refused(key: &str, value: usize, cause: &str) -> AgentError {
    AgentError::Option {
        key: format!("network.{key}"),
        value: value.to_string(),
        cause: cause.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ActionKind, ActionSpec, CostSpec};

    fn spec() -> Spec {
        Spec {
            features: vec!["a".into(), "b".into()],
            actions: vec![ActionSpec {
                name: "dose".into(),
                kind: ActionKind::Levels(vec![0.0, 1.0, 2.0]),
            }],
            costs: vec![CostSpec {
                name: "toxicity".into(),
                limit: 1.0,
                cvar: None,
            }],
            hidden: vec!["k".into()],
            ..Spec::default()
        }
    }

    #[test]
    fn a_process_gives_the_ends_of_the_network() {
        let options = NetworkOptions {
            sees_hidden: true,
            quantiles: 8,
            ..NetworkOptions::default()
        };
        let shape = options.shape(&spec()).unwrap();
        assert_eq!(
            (shape.inputs, shape.observed(), shape.sees_hidden),
            (3, 2, 1)
        );
        // three levels, the value, eight quantiles, mean and spread of one belief
        assert_eq!(shape.rows(), 3 + 1 + 8 + 2);
    }

    #[test]
    fn widths_that_cannot_work_are_refused() {
        for options in [
            NetworkOptions {
                hidden: 0,
                ..NetworkOptions::default()
            },
            NetworkOptions {
                encoder: 4096,
                ..NetworkOptions::default()
            },
            NetworkOptions {
                hidden: 30,
                ..NetworkOptions::default()
            },
            NetworkOptions {
                quantiles: 0,
                ..NetworkOptions::default()
            },
        ] {
            let refused = options.shape(&spec()).unwrap_err().to_string();
            assert!(refused.starts_with("network."), "{refused}");
        }
    }
}
