//! Covariates that are expressions of others.

use std::collections::BTreeSet;
use std::sync::Arc;

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::file::{Place, Text};
use posology_model::graph::{Node, NodeId};
use posology_model::interpret::{Environment, Interpreter};
use posology_model::model::Model;
use posology_model::program::{Block, lower_expressions, lower_slots};
use posology_model::unit::Unit;

/// A compiled expression over the covariates in coherent units.
#[derive(Clone, Debug)]
pub struct Formula {
    /// As written.
    pub text: String,
    setup: Block,
    block: Block,
    /// The value in the covariate's unit as one block, for a device.
    pub(super) whole: Arc<Block>,
    /// Covariates it reads.
    pub(super) reads: Vec<usize>,
    /// Coherent value per value in the covariate's unit.
    scale: f64,
}

/// Memory for evaluating formulas.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    interpreter: Interpreter,
    carried: Vec<f64>,
    out: Vec<f64>,
}

impl Formula {
    /// Value in the covariate's unit, from all covariates in coherent units.
    pub(super) fn value(&self, slots: &[f64], scratch: &mut Scratch) -> f64 {
        let environment = Environment {
            slots,
            ..Environment::default()
        };
        scratch
            .interpreter
            .run(&self.setup, &environment, &mut scratch.carried);
        let environment = Environment {
            carried: &scratch.carried,
            ..environment
        };
        scratch
            .interpreter
            .run(&self.block, &environment, &mut scratch.out);
        scratch.out.first().copied().unwrap_or(f64::NAN) / self.scale
    }
}

/// A model without dynamics whose covariates are those of the population, for its names and units.
///
/// # Errors
/// What is wrong with a name, at the place where it stands.
pub(super) fn names(columns: &[(String, Unit, Place)]) -> Result<Model, Diagnostics> {
    const HEAD: &str = "name = \"population\"\ntitle = \"\"\ntime = \"d\"\ndt = \"1 d\"\n\
        [states.posology_no_state]\nunit = \"1\"\nrate = \"0[1/d]\"\n[covariates]\n";
    let mut text = HEAD.to_owned();
    for (name, unit, _) in columns {
        text.push_str(&format!("{name} = {{ unit = '{unit}', reference = 1 }}\n"));
    }
    let first = HEAD.lines().count() + 1;
    Model::parse("names of the population", &text, None).map_err(|found| {
        found
            .into_iter()
            .map(|finding| {
                let column = finding
                    .line()
                    .and_then(|line| columns.get(line.wrapping_sub(first)));
                match column {
                    Some((_, _, place)) => Diagnostic {
                        secondary: Vec::new(),
                        ..finding.at(&place.source, place.span.clone())
                    },
                    None => finding,
                }
            })
            .collect()
    })
}

/// Compiles the expression of a covariate with this unit.
///
/// # Errors
/// Grammar, names and dimensions as in models; `D131` for one that depends on time.
pub(super) fn compile(model: &mut Model, text: &Text, unit: &Unit) -> Result<Formula, Diagnostics> {
    let node = model.expression_in(&text.value, unit, &text.origin)?;
    let Some(reads) = slots(model, node) else {
        return Err(text
            .error("D131", "a covariate cannot depend on time")
            .help("use other covariates and numbers")
            .into());
    };
    let (setup, block) = lower_expressions(&model.graph, &[node]);
    let scale = model.units.scale(unit);
    let divisor = model.graph.constant(scale);
    let own = model.graph.div(node, divisor);
    Ok(Formula {
        text: text.value.clone(),
        setup,
        block,
        whole: Arc::new(lower_slots(&model.graph, &[own])),
        reads,
        scale,
    })
}

/// The slots a node reads; `None` if it reads anything else that is not constant.
fn slots(model: &Model, node: NodeId) -> Option<Vec<usize>> {
    let mut open = vec![node];
    let (mut seen, mut slots) = (BTreeSet::new(), BTreeSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = model.graph.node(id);
        match node {
            Node::Slot(slot) => {
                slots.insert(slot as usize);
            }
            Node::State(_) | Node::Time | Node::Tad | Node::Input(_) | Node::Seed(_) => {
                return None;
            }
            _ => open.extend(node.operands()),
        }
    }
    Some(slots.into_iter().collect())
}
