//! The order in which derived quantities can be evaluated.

use std::collections::BTreeMap;

use super::Builder;
use super::evaluate::{Body, Ledger};
use super::family::Instance;
use super::index::Bindings;
use super::symbols::{Element, Kind, Symbols};
use crate::expr::{Expr, ExprKind};
use crate::file::Text;

impl Builder {
    /// Derived elements such that each comes after those it reads. Elements that need each other
    /// are reported and left out.
    pub(super) fn order(
        &mut self,
        instances: &[Instance],
        bodies: &[Option<Body>],
        names: &[&Text],
    ) -> Vec<usize> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut place_of: BTreeMap<(&str, usize), usize> = BTreeMap::new();
        for (i, instance) in instances.iter().enumerate() {
            place_of.insert((&instance.base, instance.flat), i);
        }
        let mut marks = vec![Mark::New; instances.len()];
        let mut order = Vec::with_capacity(instances.len());
        let mut cycles = Vec::new();
        // an explicit stack: definitions may form a chain of any length
        let mut stack: Vec<(usize, Vec<usize>)> = Vec::new();
        for root in 0..instances.len() {
            if marks[root] != Mark::New {
                continue;
            }
            marks[root] = Mark::Open;
            let ledger = &mut self.ledger;
            let mut reads =
                |i: usize| reads(&self.symbols, ledger, &instances[i], bodies, &place_of);
            stack.push((root, reads(root)));
            while let Some((i, pending)) = stack.last_mut() {
                let Some(next) = pending.pop() else {
                    marks[*i] = Mark::Done;
                    order.push(*i);
                    stack.pop();
                    continue;
                };
                match marks[next] {
                    Mark::Done => {}
                    Mark::New => {
                        marks[next] = Mark::Open;
                        stack.push((next, reads(next)));
                    }
                    Mark::Open => {
                        let from = stack.iter().position(|(i, _)| *i == next).unwrap_or(0);
                        let cycle: Vec<usize> = stack[from..].iter().map(|(i, _)| *i).collect();
                        cycles.push(cycle);
                    }
                }
            }
        }
        let mut broken = vec![false; instances.len()];
        for cycle in &cycles {
            // one report for a knot of cycles
            let known = cycle.iter().any(|&i| broken[i]);
            for &i in cycle {
                broken[i] = true;
            }
            if !known {
                self.report_cycle(cycle, instances, names);
            }
        }
        for (i, _) in broken.iter().enumerate().filter(|(_, broken)| **broken) {
            let node = self.graph.constant(0.0);
            self.finish(
                &instances[i],
                Element {
                    node,
                    dynamic: false,
                },
            );
        }
        order.retain(|&i| !broken[i]);
        order
    }

    fn report_cycle(&mut self, cycle: &[usize], instances: &[Instance], names: &[&Text]) {
        const SHOWN: usize = 8;
        let mut path: Vec<&str> = cycle
            .iter()
            .take(SHOWN)
            .map(|&i| instances[i].name.as_str())
            .collect();
        if cycle.len() > SHOWN {
            path.push("...");
        }
        path.extend(path.first().copied());
        let message = format!("definitions that need each other: {}", path.join(" -> "));
        let Some((&first, rest)) = cycle.split_first() else {
            return;
        };
        let mut finding = names[instances[first].definition].error("M304", message);
        for &i in rest.iter().take(SHOWN) {
            let place = names[instances[i].definition].place();
            finding = finding.also(&place.source, place.span.clone(), "part of the cycle");
        }
        self.report(finding.help("a quantity that feeds back on itself is a state"));
    }
}

/// The derived elements that an element reads.
fn reads(
    symbols: &Symbols,
    ledger: &mut Ledger,
    instance: &Instance,
    bodies: &[Option<Body>],
    place_of: &BTreeMap<(&str, usize), usize>,
) -> Vec<usize> {
    let Some(body) = &bodies[instance.definition] else {
        return Vec::new();
    };
    let mut out = Vec::new();
    let mut bindings = instance.bindings.clone();
    walk(
        symbols,
        ledger,
        body,
        &body.tree,
        &mut bindings,
        &mut |name, flat| {
            out.extend(place_of.get(&(name, flat)).copied());
        },
    );
    out.sort_unstable();
    out.dedup();
    out
}

/// Visits every derived element that `tree` refers to; unresolvable names are left to evaluation.
fn walk(
    symbols: &Symbols,
    ledger: &mut Ledger,
    body: &Body,
    tree: &Expr,
    bindings: &mut Bindings,
    found: &mut dyn FnMut(&str, usize),
) {
    if !ledger.visit(&body.origin) {
        return;
    }
    match &tree.kind {
        ExprKind::Number { .. } => {}
        ExprKind::Name { name, index } => {
            if let Ok(target) = symbols.resolve(name, index, &tree.span, bindings)
                && target.family.kind == Kind::Derived
            {
                found(name, target.flat);
            }
        }
        ExprKind::Unary(_, a) => walk(symbols, ledger, body, a, bindings, found),
        ExprKind::Chain { first, rest } => {
            walk(symbols, ledger, body, first, bindings, found);
            for (_, operand) in rest {
                walk(symbols, ledger, body, operand, bindings, found);
            }
        }
        ExprKind::Power(a, b) => {
            walk(symbols, ledger, body, a, bindings, found);
            walk(symbols, ledger, body, b, bindings, found);
        }
        ExprKind::Call { arguments, .. } => {
            for argument in arguments {
                walk(symbols, ledger, body, argument, bindings, found);
            }
        }
        ExprKind::Sum {
            indices,
            body: inner,
        } => {
            let ids: Option<Vec<usize>> = indices
                .iter()
                .map(|word| symbols.indices.find(&word.text))
                .collect();
            let Some(ids) = ids else { return };
            for flat in 0..symbols.indices.size(&ids).unwrap_or(0) {
                let elements = symbols.indices.unflat(&ids, flat);
                let depth = bindings.len();
                bindings.extend(ids.iter().copied().zip(elements));
                walk(symbols, ledger, body, inner, bindings, found);
                bindings.truncate(depth);
            }
        }
    }
}
