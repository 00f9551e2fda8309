//! What a doctor knows: the names that conditions of a trial may use, and nothing else.

use std::cell::RefCell;
use std::collections::BTreeSet;

use posology_model::Model;
use posology_model::diagnostic::{Diagnostic, Diagnostics, Label, did_you_mean};
use posology_model::expr::{self, Expr, ExprKind, Span};
use posology_model::file::{Origin, Text};
use posology_model::model::Scope;
use posology_model::unit::Unit;

use super::Visits;
use super::protocols::units::{Edited, with_units};

/// A model that knows measured values and covariates only.
pub(super) struct Seen {
    model: Model,
    scope: Scope,
    /// Name, unit and the observed quantity it belongs to (its position in the visits).
    names: Vec<(String, Unit, Option<usize>)>,
    /// What would have made a hidden quantity visible.
    who: &'static str,
    code: &'static str,
    /// Positions in the visits of what was used.
    pub used: RefCell<BTreeSet<usize>>,
}

/// A condition or expression with its units written out.
pub(super) struct Compiled {
    pub text: String,
    pub node: posology_model::graph::NodeId,
    pub condition: bool,
    pub dynamic: bool,
    pub dimension: posology_model::unit::Dimension,
}

/// Words that any expression may use.
const BUILT_IN: [&str; 3] = ["t", "tad", "pi"];

impl Seen {
    /// What a rule of a protocol may use: measured values (`X`, `X_baseline`, `X_nadir`) and
    /// covariates.
    pub fn at_visits(model: &Model, visits: &Visits) -> Self {
        let mut model = model.clone();
        let mut names = Vec::new();
        let mut slots: Vec<(String, usize)> = Vec::new();
        let first = model.parameters.len();
        for (index, covariate) in model.covariates.iter().enumerate() {
            slots.push((covariate.name.clone(), first + index));
            names.push((covariate.name.clone(), covariate.unit.clone(), None));
        }
        for (position, observed) in visits.observed.iter().enumerate() {
            let unit = model.observables[observed.observable].unit.clone();
            for ending in ["", "_baseline", "_nadir"] {
                let name = format!("{}{ending}", observed.name);
                let slot = model.add_covariate(&format!("{name} as measured"), &unit, 1.0, "");
                if let Some(slot) = slot {
                    // a measured value takes precedence over a covariate of the same name
                    slots.retain(|(known, _)| *known != name);
                    names.retain(|(known, _, _)| *known != name);
                    slots.push((name.clone(), slot));
                    names.push((name, unit.clone(), Some(position)));
                }
            }
        }
        let scope = model.scope(slots.iter().map(|(name, slot)| (name.as_str(), *slot)));
        Self {
            model,
            scope,
            names,
            who: "a rule",
            code: "T011",
            used: RefCell::new(BTreeSet::new()),
        }
    }

    /// What divides patients at the start: covariates.
    pub fn at_start(model: &Model) -> Self {
        let mut model = model.clone();
        let first = model.parameters.len();
        let (mut names, mut slots) = (Vec::new(), Vec::new());
        for (index, covariate) in model.covariates.iter().enumerate() {
            slots.push((covariate.name.clone(), first + index));
            names.push((covariate.name.clone(), covariate.unit.clone(), None));
        }
        let scope = model.scope(slots.iter().map(|(name, slot)| (name.as_str(), *slot)));
        Self {
            model,
            scope,
            names,
            who: "a stratum or subgroup",
            code: "T024",
            used: RefCell::new(BTreeSet::new()),
        }
    }

    /// The graph in which conditions were compiled; its nodes extend those of the model.
    pub fn into_graph(self) -> posology_model::graph::Graph {
        self.model.graph
    }

    fn unit(&self, name: &str) -> Option<&Unit> {
        let known = self.names.iter().find(|(known, _, _)| known == name);
        known.map(|(_, unit, _)| unit)
    }

    /// Compiles a text in which numbers may carry units as in protocols (`1.5e9/L`), and in which
    /// a number beside a measured value or a covariate is in its unit.
    ///
    /// # Errors
    /// Every finding, at its place in the file.
    pub fn condition(&mut self, text: &str, origin: &Origin) -> Result<Compiled, Diagnostics> {
        let names: Vec<&str> = self
            .names
            .iter()
            .map(|(name, _, _)| name.as_str())
            .collect();
        let edited = with_units(text, &names, &|name| {
            self.unit(name).map(|unit| unit.text().to_owned())
        })
        .map_err(|problem| {
            let place = origin.at(problem.span);
            Diagnostics::from(
                place
                    .error(problem.code, problem.message)
                    .help_if(problem.help),
            )
        })?;
        self.compile(&edited, origin)
    }

    /// Compiles a text as it stands.
    ///
    /// # Errors
    /// As [`Seen::condition`].
    pub fn expression(&mut self, text: &Text) -> Result<Compiled, Diagnostics> {
        self.compile(&Edited::same(&text.value), &text.origin)
    }

    fn compile(&mut self, edited: &Edited, origin: &Origin) -> Result<Compiled, Diagnostics> {
        self.nothing_hidden(edited, origin)?;
        let own = Origin::whole("condition", &edited.text);
        let typed = self
            .model
            .scoped_expression(&self.scope, &edited.text, &own)
            .map_err(|found| {
                found
                    .into_iter()
                    .map(|finding| moved(finding, edited, origin))
                    .collect::<Diagnostics>()
            })?;
        Ok(Compiled {
            text: edited.text.clone(),
            node: typed.node,
            condition: typed.condition,
            dynamic: typed.dynamic,
            dimension: typed.dimension,
        })
    }

    /// Quantities of the model that nobody sees; also notes what is used.
    fn nothing_hidden(&self, edited: &Edited, origin: &Origin) -> Result<(), Diagnostics> {
        // what does not parse is reported when it is compiled
        let Ok(tree) = expr::parse(&edited.text) else {
            return Ok(());
        };
        let mut used = Vec::new();
        names(&tree, &mut used);
        let mut found = Diagnostics::new();
        for (name, span) in used {
            if let Some((_, _, position)) = self.names.iter().find(|(known, _, _)| known == name) {
                self.used.borrow_mut().extend(*position);
                continue;
            }
            if BUILT_IN.contains(&name) {
                continue;
            }
            let observable = self.observable_behind(name);
            if !self.model.knows(name) && observable.is_none() {
                continue;
            }
            let place = origin.at(edited.span(span));
            let message = format!(
                "{} cannot use `{name}`: {}",
                self.who,
                match (&observable, self.code) {
                    (Some(observable), "T011") if observable == name => {
                        "it is not measured at visits".to_owned()
                    }
                    (Some(observable), "T011") => {
                        format!("`{observable}` is not measured at visits")
                    }
                    (_, "T011") => "nobody observes it at a visit".to_owned(),
                    _ => "it is not a covariate, known before treatment".to_owned(),
                }
            );
            let mut finding = place.error(self.code, message);
            if let (Some(observable), "T011") = (&observable, self.code) {
                finding = finding.help(format!("add [visits.observe.{observable}]"));
            }
            let all = self.names.iter().map(|(name, _, _)| name.as_str());
            found.push(
                finding
                    .help_if(did_you_mean(name, all.clone()))
                    .help(format!(
                        "{} may use: {}",
                        self.who,
                        all.collect::<Vec<_>>().join(", ")
                    )),
            );
        }
        if found.has_errors() {
            Err(found)
        } else {
            Ok(())
        }
    }

    /// The observable whose measurement `name` would be.
    fn observable_behind(&self, name: &str) -> Option<String> {
        let base = name
            .strip_suffix("_baseline")
            .or_else(|| name.strip_suffix("_nadir"))
            .unwrap_or(name);
        self.model
            .observables
            .iter()
            .map(|observable| observable.name.as_str())
            .find(|known| *known == base)
            .map(str::to_owned)
    }
}

/// A finding about the edited text, at its place in the file.
fn moved(mut finding: Diagnostic, edited: &Edited, origin: &Origin) -> Diagnostic {
    let shift = |label: &mut Label| {
        if label.source.text() == edited.text {
            let place = origin.at(edited.span(label.span.clone()));
            label.source = place.source;
            label.span = place.span;
        }
    };
    if let Some(label) = &mut finding.primary {
        shift(label);
    }
    finding.secondary.iter_mut().for_each(shift);
    finding
}

/// Every name of an expression, with its place.
pub(super) fn names<'a>(tree: &'a Expr, out: &mut Vec<(&'a str, Span)>) {
    match &tree.kind {
        ExprKind::Number { .. } => {}
        ExprKind::Name { name, .. } => out.push((name, tree.span.clone())),
        ExprKind::Unary(_, inner) => names(inner, out),
        ExprKind::Chain { first, rest } => {
            names(first, out);
            rest.iter().for_each(|(_, next)| names(next, out));
        }
        ExprKind::Power(base, exponent) => {
            names(base, out);
            names(exponent, out);
        }
        ExprKind::Call { arguments, .. } => {
            arguments.iter().for_each(|argument| names(argument, out));
        }
        ExprKind::Sum { body, .. } => names(body, out),
    }
}
