//! What a name means.

use std::collections::{BTreeMap, HashMap};

use super::index::{Bindings, Indices};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::expr::Word;
use crate::file::{Origin, Place};
use crate::graph::NodeId;
use crate::unit::{Dimension, Unit, UnitSystem};

/// Words with a meaning of their own.
pub(crate) const RESERVED: &[&str] = &[
    "t", "tad", "pi", "exp", "ln", "log10", "sqrt", "abs", "tanh", "min", "max", "if", "sum",
    "and", "or", "not", "true", "false",
];

/// What a family of names stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Parameter,
    Covariate,
    State,
    Derived,
    Observable,
}

impl Kind {
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Parameter => "parameter",
            Kind::Covariate => "covariate",
            Kind::State => "state",
            Kind::Derived => "derived quantity",
            Kind::Observable => "observable",
        }
    }
}

/// The value of an element: its node, and whether it changes while integrating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub node: NodeId,
    pub dynamic: bool,
}

/// A name with its elements; a plain name has one.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub kind: Kind,
    pub place: Place,
    pub indices: Vec<usize>,
    /// `None` if the definition failed, which was reported.
    pub unit: Option<Unit>,
    /// By flat position; `None` where nothing is defined.
    pub elements: Vec<Option<Element>>,
}

impl Family {
    pub fn dimension(&self) -> Option<Dimension> {
        self.unit.as_ref().map(Unit::dimension)
    }
}

/// Every name of a model.
#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    pub indices: Indices,
    pub families: BTreeMap<String, Family>,
    /// Slot of every parameter element and covariate, by name.
    pub slots: HashMap<String, usize>,
    /// Input names with the name of their state, for help.
    pub inputs: BTreeMap<String, String>,
    pub system: UnitSystem,
}

/// What a name in an expression refers to.
pub(crate) struct Found<'a> {
    pub family: &'a Family,
    pub flat: usize,
}

/// Why a name does not refer to anything. Spans are those of the expression.
pub(crate) struct Problem {
    pub code: &'static str,
    pub message: String,
    pub span: std::ops::Range<usize>,
    pub help: Help,
}

/// What would have been right; looked for only when the problem is reported.
pub(crate) enum Help {
    None,
    Text(String),
    /// A name like this one.
    Name(String),
    /// An element of the index like this one.
    Element(usize, String),
}

impl Problem {
    pub fn at(self, symbols: &Symbols, origin: &Origin) -> Diagnostic {
        let help = match self.help {
            Help::None => None,
            Help::Text(text) => Some(text),
            Help::Name(name) => symbols.help_for_unknown(&name),
            Help::Element(index, word) => {
                let set = &symbols.indices.0[index];
                let known = set.elements.iter().chain([&set.name]);
                did_you_mean(&word, known.map(String::as_str))
            }
        };
        origin
            .at(self.span)
            .error(self.code, self.message)
            .help_if(help)
    }
}

impl Symbols {
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.slots.get(name).copied()
    }

    /// The family and element that `name[index]` at `span` refers to.
    pub fn resolve(
        &self,
        name: &str,
        index: &[Word],
        span: &std::ops::Range<usize>,
        bindings: &Bindings,
    ) -> Result<Found<'_>, Problem> {
        let Some(family) = self.families.get(name) else {
            let message = format!("unknown name `{name}`");
            let head = span.start..span.start + name.len();
            let help = Help::Name(name.to_owned());
            return Err(Problem {
                code: "M301",
                message,
                span: head,
                help,
            });
        };
        if family.indices.len() != index.len() {
            let wanted = match family.indices.len() {
                0 => "no index".to_owned(),
                _ => format!("[{}]", self.indices.names(&family.indices)),
            };
            let message = format!(
                "the {} `{name}` takes {wanted}, found {}",
                family.kind.noun(),
                index.len()
            );
            let help = if index.is_empty() && family.indices.len() == 1 {
                let running = self.indices.names(&family.indices);
                Help::Text(format!(
                    "write `{name}[{running}]` where `{running}` runs, or name one element"
                ))
            } else {
                Help::None
            };
            return Err(Problem {
                code: "M307",
                message,
                span: span.clone(),
                help,
            });
        }
        let mut elements = Vec::with_capacity(index.len());
        for (word, &wanted) in index.iter().zip(&family.indices) {
            elements.push(self.element(name, word, wanted, bindings)?);
        }
        Ok(Found {
            family,
            flat: self.indices.flat(&family.indices, &elements),
        })
    }

    /// The element that `word` selects in a position that runs over the index `wanted`.
    fn element(
        &self,
        name: &str,
        word: &Word,
        wanted: usize,
        bindings: &Bindings,
    ) -> Result<usize, Problem> {
        let problem = |code, message, help| {
            Err(Problem {
                code,
                message,
                span: word.span.clone(),
                help,
            })
        };
        let wanted_set = &self.indices.0[wanted];
        let Some(running) = self.indices.find(&word.text) else {
            if let Some(element) = self.indices.element(wanted, &word.text) {
                return Ok(element);
            }
            let message = format!("`{}` is not an element of `{}`", word.text, wanted_set.name);
            let help = Help::Element(wanted, word.text.clone());
            return problem("M306", message, help);
        };
        if self.indices.0[running].root != wanted_set.root {
            let message = format!(
                "`{name}` runs over `{}` here, not over `{}`",
                wanted_set.name, word.text
            );
            return problem("M307", message, Help::None);
        }
        match bindings.iter().rev().find(|(index, _)| *index == running) {
            Some(&(_, element)) => Ok(element),
            None => {
                let message = format!("nothing runs over `{}` here", word.text);
                let help = format!(
                    "sum over it: `sum[{}](...)`, or name one element",
                    word.text
                );
                problem("M308", message, Help::Text(help))
            }
        }
    }

    fn help_for_unknown(&self, name: &str) -> Option<String> {
        if let Some(state) = self.inputs.get(name) {
            return Some(format!(
                "`{name}` is an input; what it gives arrives in `{state}`"
            ));
        }
        if self.indices.find(name).is_some() {
            return Some(format!(
                "`{name}` is an index; it can stand only in brackets"
            ));
        }
        if RESERVED.contains(&name) {
            return Some(format!("`{name}` is a function"));
        }
        let names = self.families.keys().map(String::as_str);
        did_you_mean(name, names.chain(["t", "tad", "pi"]))
    }
}
