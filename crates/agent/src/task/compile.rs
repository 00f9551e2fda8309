//! From a task file to operation lists.

mod ahead;

use std::path::PathBuf;

use posology_cohort::population_file::Population;
use posology_kernels::environment::{Factor, MaskRule, Measured};
use posology_model::Model;
use posology_model::diagnostic::{Diagnostic, Diagnostics, Source, did_you_mean};
use posology_model::file::{Number, Text};
use posology_model::graph::{Binary, NodeId};
use posology_model::model::{ResidualError, Typed};
use posology_model::program::{Noise, lower_directly};
use posology_model::unit::{Dimension, Unit};
use posology_sim::outputs::{self, Column, OutputPlan, RuleSet};

use super::dosing::{Doses, interval};
use super::read::{self, TaskFile};
use super::{Axis, Baseline, LookAhead, Only, Parts, Task};
use crate::spec::{ActionKind, ActionSpec, CostSpec, RewardSpec, Spec};

/// Patients that are drawn if the file does not say how many.
const POOL: usize = 16_384;
/// Features beyond this are cut: a network cannot use what lies so far outside.
const LARGEST_FEATURE: f64 = 10.0;
/// Levels of an action, as bits of a mask.
const MOST_LEVELS: usize = 32;
/// Decisions of an episode.
const MOST_DECISIONS: f64 = 1e6;

/// A name that the policy may see, or not.
struct Named {
    name: String,
    unit: Unit,
    node: NodeId,
}

struct Compiler<'a> {
    model: Model,
    found: Diagnostics,
    source: &'a Source,
    /// What the policy may see.
    seen: Vec<Named>,
    every: f64,
}

/// An action, once its slots are known.
struct Chosen {
    name: String,
    /// What the policy gave.
    slot: usize,
    unit: Unit,
    /// After the shield.
    node: NodeId,
}

pub(super) fn compile(
    source: &Source,
    file: &TaskFile,
    found: Diagnostics,
    folder: Option<PathBuf>,
) -> Result<Task, Diagnostics> {
    let mut found = found;
    let place = |text: &Text| match &folder {
        Some(folder) => folder.join(&text.value),
        None => PathBuf::from(&text.value),
    };
    let Some(path) = &file.model else {
        return Err(found);
    };
    for text in [Some(path), file.population.as_ref()].into_iter().flatten() {
        let file = place(text);
        if !file.is_file() {
            let message = format!("there is no file `{}`", file.display());
            let finding = text.error("K001", message);
            found.push(finding.help(
                "paths are relative to the task file; the library lies in configs/models and configs/populations",
            ));
            return Err(found);
        }
    }
    let model = match Model::load(&place(path)) {
        Ok(model) => model,
        Err(findings) => {
            found.push(path.error("K001", "the model cannot be used"));
            found.extend(findings.iter().cloned());
            return Err(found);
        }
    };
    let population = match &file.population {
        None => None,
        Some(text) => match Population::load(&place(text)) {
            Ok(population) => Some(population),
            Err(findings) => {
                found.push(text.error("K001", "the population cannot be used"));
                found.extend(findings.iter().cloned());
                return Err(found);
            }
        },
    };
    let base = model.clone();
    let mut compiler = Compiler {
        model,
        found,
        source,
        seen: Vec::new(),
        every: f64::NAN,
    };
    let only = compiler.only(file);
    let built = compiler.build(file);
    let findings = compiler.found;
    match built {
        Some(built) if !findings.has_errors() => Ok(Task {
            title: file.title.clone(),
            description: file.description.clone(),
            source: source.clone(),
            model: base,
            population,
            typical: file.typical,
            only,
            pool: file.pool.as_ref().map_or(POOL, |n| n.value as usize),
            spec: built.spec,
            every: compiler.every,
            program: built.program,
            interval: built.interval,
            baselines: built.baselines,
            parts: built.parts,
            doses: built.doses,
            look_ahead: built.look_ahead,
            looked_at: std::sync::OnceLock::new(),
        }),
        _ => Err(findings),
    }
}

struct Built {
    spec: Spec,
    parts: Parts,
    program: posology_model::program::Program,
    interval: posology_kernels::timeline::Timeline,
    baselines: Vec<Baseline>,
    doses: Vec<Doses>,
    look_ahead: Option<LookAhead>,
}

impl Compiler<'_> {
    fn build(&mut self, file: &TaskFile) -> Option<Built> {
        self.ranges(file);
        let every = self.duration(file.every.as_ref()?)?;
        let horizon = self.duration(file.horizon.as_ref()?)?;
        let decisions = (horizon / every - 1e-9).ceil();
        if !(1.0..=MOST_DECISIONS).contains(&decisions) {
            let message = format!("an episode would have {decisions} decisions");
            let finding = file.horizon.as_ref()?.error("K008", message);
            self.found.push(finding.help("between 1 and 1,000,000"));
            return None;
        }
        self.every = every;
        for i in 0..self.model.covariates.len() {
            let covariate = &self.model.covariates[i];
            let (name, unit) = (covariate.name.clone(), covariate.unit.clone());
            let node = self.model.graph.slot(self.model.parameters.len() + i);
            self.seen.push(Named { name, unit, node });
        }
        let mut parts = Parts::default();
        let mut rules = RuleSet::default();
        let mut chosen = self.actions(file, &mut parts);
        self.observations(file, &mut parts, &mut rules);
        // memory may be used by everything below, its own `next` included
        let starts = self.memory_starts(file, &mut parts);
        let mut plan = OutputPlan::none();
        self.watches(file, &mut parts, &mut plan);
        for (name, end) in &file.ends {
            if let Some(text) = &end.hazard {
                self.hazard(name, text, end.truncates, &mut parts, &mut plan);
            }
        }
        let doses = self.doses(file, &mut chosen, &mut parts, &mut rules);
        let mut nexts = self.memory_nexts(file);

        let mut spec = Spec {
            name: self.source.name().to_owned(),
            horizon: decisions as usize,
            discount: file.discount.as_ref().map_or(1.0, |n| n.value),
            ..Spec::default()
        };
        for (name, action) in &file.actions {
            let kind = match &action.levels {
                Some((_, levels)) => ActionKind::Levels(levels.iter().map(|l| l.value).collect()),
                None => ActionKind::Fraction,
            };
            let name = name.value.clone();
            spec.actions.push(ActionSpec { name, kind });
        }
        let (mut outcome, mut asked) = (Vec::new(), Vec::new());
        for (name, reward) in &file.rewards {
            outcome.extend(self.plain(reward.value.as_ref(), false));
            let fixed = reward.weight.as_ref().map_or(1.0, |w| w.value);
            let mut weight = (fixed, fixed);
            let mut drawn = None;
            if let Some(range) = &reward.drawn {
                (weight, drawn) = self.drawn_weight(name, range, &mut asked)?;
            }
            parts.weights.push(weight);
            parts.weight_slots.push(drawn);
            spec.rewards.push(RewardSpec {
                name: name.value.clone(),
                weight: 0.5 * (weight.0 + weight.1),
                shaping: reward.shaping,
            });
        }
        let mut budgets = Vec::new();
        let mut starts = starts;
        for (name, cost) in &file.costs {
            let node = self.plain(cost.value.as_ref(), false);
            outcome.extend(node);
            let limit = cost.limit.as_ref().map_or(f64::NAN, |l| l.value);
            spec.costs.push(CostSpec {
                name: name.value.clone(),
                limit,
                cvar: cost.cvar.as_ref().map(|c| c.value),
            });
            if let (true, Some(node)) = (cost.budget, node) {
                let register = format!("{}_total", name.value);
                let slot = self.register(name, &register, &Unit::one(), "sum of a cost")?;
                let total = self.model.graph.slot(slot);
                parts.memory_slots.push(slot);
                starts.push(self.model.graph.constant(0.0));
                nexts.push(self.model.graph.add(total, node));
                let limit = self.model.graph.constant(limit);
                let share = self.model.graph.div(total, limit);
                let one = self.model.graph.constant(1.0);
                let left = self.model.graph.sub(one, share);
                budgets.push((format!("budget of {}", name.value), left));
            }
        }
        let (mut terminal, mut truncating) = (Vec::new(), Vec::new());
        for (_, end) in file.ends.iter().filter(|(_, end)| end.hazard.is_none()) {
            let node = self.condition(end.when.as_ref(), false);
            if end.truncates {
                truncating.extend(node);
            } else {
                terminal.extend(node);
            }
        }
        (parts.terminal, parts.truncating) = (terminal.len(), truncating.len());
        let mut after = nexts;
        after.extend(outcome);
        after.extend(terminal);
        after.extend(truncating);

        let mut look = Vec::new();
        for (name, feature) in &file.features {
            let node = self.plain(feature.value.as_ref(), true);
            look.extend(node.map(|node| self.normalised(node, feature)));
            spec.features.push(name.value.clone());
        }
        for (name, node) in budgets.into_iter().chain(asked) {
            let node = self.clipped(node);
            look.push(node);
            spec.features.push(name);
        }
        for (factor, (_, action)) in file.actions.iter().enumerate() {
            let (Some(condition), Some((_, levels))) = (&action.allowed, &action.levels) else {
                continue;
            };
            let Some(node) = self.condition(Some(condition), true) else {
                continue;
            };
            let output = look.len();
            look.push(node);
            let least = levels.iter().map(|l| l.value).fold(f64::INFINITY, f64::min);
            let doses = levels.iter().enumerate().filter(|(_, l)| l.value != least);
            parts.masks.extend(doses.map(|(level, _)| MaskRule {
                factor,
                level: level as u32,
                output,
            }));
        }
        let baselines = self.baselines(file, &mut parts);
        parts.conditions = look.len() - spec.features.len();
        for (name, hidden) in &file.hidden {
            let node = self.plain(hidden.value.as_ref(), false);
            look.extend(node.map(|node| self.normalised(node, hidden)));
            spec.hidden.push(name.value.clone());
        }
        if self.found.has_errors() {
            return None;
        }
        parts.begin = lower_directly(&self.model.graph, &starts);
        parts.outcome = lower_directly(&self.model.graph, &after);
        parts.look = lower_directly(&self.model.graph, &look);
        let interval = interval(&self.model, &doses, every);
        let look_ahead = self.look_ahead(file, &rules);
        if self.found.has_errors() {
            return None;
        }
        let program = plan.program(&self.model, &rules, true);
        Some(Built {
            spec,
            parts,
            program,
            interval,
            baselines,
            doses,
            look_ahead,
        })
    }

    /// The condition on patients, before the task's own names are added.
    fn only(&mut self, file: &TaskFile) -> Option<Only> {
        let text = file.only.as_ref()?;
        let typed = self.typed(text, false)?;
        if !typed.condition || typed.dynamic {
            let message = "a condition on parameters and covariates is needed";
            let finding = text.error("K010", message);
            self.found.push(finding.help("such as `turnover < 0.3`"));
            return None;
        }
        Some(Only {
            block: lower_directly(&self.model.graph, &[typed.node]),
            place: text.place().clone(),
        })
    }

    fn baselines(&mut self, file: &TaskFile, parts: &mut Parts) -> Vec<Baseline> {
        let mut baselines = Vec::new();
        for (name, baseline) in &file.baselines {
            let visible = self.seen.len();
            let search = self.axes(name, baseline, parts);
            let mut gives = Vec::new();
            for (action, _) in &file.actions {
                let text = baseline.gives.iter().find(|(n, _)| n.value == action.value);
                let node = text.and_then(|(_, text)| self.given(action, text));
                gives.push(node.unwrap_or_else(|| self.model.graph.constant(0.0)));
            }
            self.seen.truncate(visible);
            baselines.push(Baseline {
                name: name.value.clone(),
                title: baseline.title.clone(),
                block: lower_directly(&self.model.graph, &gives),
                search,
            });
        }
        baselines
    }

    fn axes(&mut self, name: &Text, baseline: &read::Baseline, parts: &mut Parts) -> Vec<Axis> {
        let mut axes = Vec::new();
        for (parameter, search) in &baseline.search {
            let register = format!("{}_{}", name.value, parameter.value);
            let one = Unit::one();
            let Some(slot) = self.register(parameter, &register, &one, "searched") else {
                continue;
            };
            let points = search.points.as_ref().map_or(31.0, |n| n.value);
            let (from, to) = (&search.from, &search.to);
            let (Some(from), Some(to)) = (from, to) else {
                continue;
            };
            if !(2.0..=1e4).contains(&points) || from.value >= to.value {
                let message = "a search goes up from `from` to `to` in 2 to 10,000 points";
                self.found.push(search.place.error("K008", message));
            }
            parts.kept_slots.push(slot);
            let node = self.model.graph.slot(slot);
            let named = Named {
                name: parameter.value.clone(),
                unit: Unit::one(),
                node,
            };
            self.seen.push(named);
            axes.push(Axis {
                name: parameter.value.clone(),
                slot,
                from: from.value,
                to: to.value,
                points: points as usize,
            });
        }
        axes
    }

    /// What a rule gives of an action, in the action's dimension.
    fn given(&mut self, action: &Text, text: &Text) -> Option<NodeId> {
        let typed = self.typed(text, true)?;
        let wanted = self.seen.iter().find(|n| n.name == action.value)?;
        let dimension = wanted.unit.dimension();
        let zero = self.model.graph.as_constant(typed.node) == Some(0.0);
        if typed.dimension == dimension || zero {
            return Some(typed.node);
        }
        let wanted = self.model.units.describe(dimension);
        let message = format!("`{}` must be in {wanted}", action.value);
        self.found.push(text.error("K002", message));
        None
    }

    /// Numbers that have a range of their own.
    fn ranges(&mut self, file: &TaskFile) {
        let mut check = |number: Option<&Number>, low: f64, high: f64, what: &str| {
            let outside = number.filter(|n| !(n.value >= low && n.value <= high));
            if let Some(number) = outside {
                let message = format!("{what} must lie in {low}..{high}");
                self.found.push(number.place.error("K008", message));
            }
        };
        check(file.discount.as_ref(), 0.0, 1.0, "the discount");
        check(file.pool.as_ref(), 1.0, 16_777_216.0, "the pool");
        for (_, cost) in &file.costs {
            check(cost.cvar.as_ref(), 0.0, 0.999_999, "the tail share");
            check(cost.limit.as_ref(), 0.0, f64::MAX, "the limit");
        }
        for (_, observe) in &file.observe {
            check(observe.missed.as_ref(), 0.0, 1.0, "the probability");
            check(observe.proportional.as_ref(), 0.0, 10.0, "the error");
            check(observe.lognormal.as_ref(), 0.0, 10.0, "the error");
        }
        for (_, feature) in file.features.iter().chain(&file.hidden) {
            check(
                feature.scale.as_ref(),
                f64::MIN_POSITIVE,
                f64::MAX,
                "the scale",
            );
        }
    }

    fn take<T>(&mut self, result: Result<T, Diagnostics>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(findings) => {
                self.found.extend(findings.iter().cloned());
                None
            }
        }
    }

    /// A quantity of a dimension, coherent.
    fn quantity(&mut self, text: &Text, dimension: Dimension, what: &str) -> Option<f64> {
        let read = self.model.quantity(&text.value, &text.origin);
        let (value, found) = self.take(read)?;
        if found == dimension {
            return Some(value);
        }
        let wanted = self.model.units.describe(dimension);
        let message = format!("{what} must be in {wanted}");
        self.found.push(text.error("K002", message));
        None
    }

    fn duration(&mut self, text: &Text) -> Option<f64> {
        let value = self.quantity(text, Dimension::TIME, "the duration")?;
        if value > 0.0 {
            return Some(value);
        }
        self.found
            .push(text.error("K008", "a duration must be positive"));
        None
    }

    /// An expression of what the policy may see, or of everything.
    fn typed(&mut self, text: &Text, seen: bool) -> Option<Typed> {
        let result = if seen {
            let names = self.seen.iter();
            let scope = self
                .model
                .scope_of(names.map(|n| (n.name.as_str(), n.unit.clone(), n.node)));
            let result = self
                .model
                .scoped_expression(&scope, &text.value, &text.origin);
            result.map_err(|findings| self.explain(findings))
        } else {
            self.model.expression(&text.value, &text.origin)
        };
        self.take(result)
    }

    /// Says of an unknown name that exists in the model that the policy cannot see it.
    fn explain(&self, findings: Diagnostics) -> Diagnostics {
        let visible: Vec<&str> = self.seen.iter().map(|n| n.name.as_str()).collect();
        let mut out = Diagnostics::new();
        for finding in findings.iter().cloned() {
            let hidden = finding.message.split('`').nth(1).map(str::to_owned);
            let hidden = hidden.filter(|n| self.model.knows(n) && !visible.contains(&n.as_str()));
            out.push(match hidden {
                Some(name) => Diagnostic {
                    code: "K011",
                    ..finding
                }
                .help(format!(
                    "`{name}` is known to the model, not to the policy: add [observe.{name}]; \
                     visible here: {}",
                    visible.join(", ")
                )),
                None => finding,
            });
        }
        out
    }

    /// An expression without unit; a condition counts as 1 or 0.
    fn plain(&mut self, text: Option<&Text>, seen: bool) -> Option<NodeId> {
        let text = text?;
        let typed = self.typed(text, seen)?;
        if typed.dimension.is_none() {
            return Some(typed.node);
        }
        let found = self.model.units.describe(typed.dimension);
        let finding = text.error(
            "K002",
            format!("the value must have no unit, it is in {found}"),
        );
        self.found
            .push(finding.help("divide by a reference, such as `ANC / 5[1e9/L]`"));
        None
    }

    fn condition(&mut self, text: Option<&Text>, seen: bool) -> Option<NodeId> {
        let text = text?;
        let typed = self.typed(text, seen)?;
        if typed.condition {
            return Some(typed.node);
        }
        let finding = text.error("K010", "a condition is needed");
        self.found.push(finding.help("such as `ANC < 0.5[1e9/L]`"));
        None
    }

    fn normalised(&mut self, node: NodeId, feature: &read::Feature) -> NodeId {
        let graph = &mut self.model.graph;
        let mean = graph.constant(feature.mean.as_ref().map_or(0.0, |n| n.value));
        let scale = graph.constant(feature.scale.as_ref().map_or(1.0, |n| n.value));
        let centred = graph.sub(node, mean);
        let scaled = graph.div(centred, scale);
        self.clipped(scaled)
    }

    fn clipped(&mut self, node: NodeId) -> NodeId {
        let graph = &mut self.model.graph;
        let (low, high) = (
            graph.constant(-LARGEST_FEATURE),
            graph.constant(LARGEST_FEATURE),
        );
        let below = graph.binary(Binary::Min, node, high);
        graph.binary(Binary::Max, below, low)
    }

    /// A new slot.
    fn register(&mut self, at: &Text, name: &str, unit: &Unit, what: &str) -> Option<usize> {
        let slot = self.model.add_covariate(name, unit, 0.0, what);
        if slot.is_none() {
            let message = format!("the model already has something called `{name}`");
            self.found
                .push(at.error("K003", message).help("choose another name"));
        }
        slot
    }

    fn unit(&mut self, text: &Text) -> Option<Unit> {
        match Unit::parse(&text.value) {
            Ok(unit) => Some(unit),
            Err(error) => {
                let place = text.origin.at(error.span.clone());
                let finding = place.error(error.code(), error.message);
                self.found.push(finding.help_if(error.help));
                None
            }
        }
    }

    fn unknown(&mut self, text: &Text, what: &str, known: Vec<String>) {
        let help = did_you_mean(&text.value, known.iter().map(String::as_str))
            .unwrap_or_else(|| format!("known: {}", known.join(", ")));
        let message = format!("the model has no {what} `{}`", text.value);
        self.found.push(text.error("K006", message).help(help));
    }

    fn actions(&mut self, file: &TaskFile, parts: &mut Parts) -> Vec<Chosen> {
        let mut chosen = Vec::new();
        for (name, action) in &file.actions {
            chosen.extend(self.action(name, action, parts));
        }
        chosen
    }

    fn action(&mut self, name: &Text, action: &read::Action, parts: &mut Parts) -> Option<Chosen> {
        let default = match (&action.into, &action.sets) {
            (Some(input), None) => match self.model.input_index(&input.value) {
                Some(at) => self.model.inputs[at].unit.clone(),
                None => {
                    let known = self.model.inputs.iter().map(|i| i.name.clone()).collect();
                    self.unknown(input, "input", known);
                    return None;
                }
            },
            (None, Some(covariate)) => {
                let covariates = &self.model.covariates;
                match covariates.iter().find(|c| c.name == covariate.value) {
                    Some(of) => of.unit.clone(),
                    None => {
                        let known = covariates.iter().map(|c| c.name.clone()).collect();
                        self.unknown(covariate, "covariate", known);
                        return None;
                    }
                }
            }
            _ => {
                let message = format!("action `{}` needs one of `into` and `sets`", name.value);
                let finding = action.place.error("K004", message);
                self.found
                    .push(finding.help("`into` doses an input, `sets` sets a covariate"));
                return None;
            }
        };
        let unit = match &action.unit {
            Some(text) => self.unit(text)?,
            None => default,
        };
        let scale = self.model.units.scale(&unit);
        let factor_levels = match (&action.levels, &action.largest) {
            (Some((place, levels)), None) => {
                let fits = (2..=MOST_LEVELS).contains(&levels.len());
                let real = levels.iter().all(|l| l.value.is_finite() && l.value >= 0.0);
                if !fits || !real {
                    let message = "levels are 2 to 32 numbers, none of them negative";
                    self.found.push(place.error("K005", message));
                    return None;
                }
                levels.iter().map(|l| (l.value * scale).to_bits()).collect()
            }
            (None, Some(_)) => Vec::new(),
            _ => {
                let message = format!(
                    "action `{}` needs one of `levels` and `largest`",
                    name.value
                );
                let finding = action.place.error("K005", message);
                self.found.push(
                    finding.help("`levels = [0, 75, 100]`, or `largest = 100` of a fraction"),
                );
                return None;
            }
        };
        let slot = match &action.sets {
            Some(covariate) => {
                // its own name is the covariate's: the same slot
                self.seen.retain(|n| n.name != covariate.value);
                self.model.slot_index(&covariate.value)?
            }
            None => self.register(name, &name.value, &unit, "what the policy chose")?,
        };
        parts.factors.push(Factor {
            slot,
            levels: factor_levels,
            largest: (action.largest.as_ref().map_or(0.0, |l| l.value) * scale).to_bits(),
        });
        let node = self.model.graph.slot(slot);
        let name = name.value.clone();
        self.seen.push(Named {
            name: name.clone(),
            unit: unit.clone(),
            node,
        });
        Some(Chosen {
            name,
            slot,
            unit,
            node,
        })
    }

    fn observations(&mut self, file: &TaskFile, parts: &mut Parts, rules: &mut RuleSet) {
        for (name, observe) in &file.observe {
            let _ = self.observation(name, observe, parts, rules);
        }
    }

    fn observation(
        &mut self,
        name: &Text,
        observe: &read::Observe,
        parts: &mut Parts,
        rules: &mut RuleSet,
    ) -> Option<()> {
        let known = self.model.observables.iter().find(|o| o.name == name.value);
        let known = known.map(|o| (o.node, o.unit.clone(), o.error));
        let (node, unit, error) = match (&observe.of, known) {
            (None, Some(known)) => known,
            (Some(text), _) => {
                let typed = self.typed(text, false)?;
                let unit = self.model.units.coherent_unit(typed.dimension);
                (typed.node, unit, None)
            }
            (None, None) => {
                let known = self.model.observables.iter().map(|o| o.name.clone());
                let known = known.collect();
                self.unknown(name, "observable", known);
                return None;
            }
        };
        let own = observe.additive.is_some()
            || observe.proportional.is_some()
            || observe.lognormal.is_some();
        let declared = error.unwrap_or_default();
        let error = match (observe.error, own) {
            (Some(false), _) => ResidualError::default(),
            (_, true) => ResidualError {
                additive: match &observe.additive {
                    Some(text) => self.quantity(text, unit.dimension(), "the error")?,
                    None => 0.0,
                },
                proportional: observe.proportional.as_ref().map_or(0.0, |n| n.value),
                lognormal: observe.lognormal.as_ref().map_or(0.0, |n| n.value),
                lloq: declared.lloq,
            },
            _ => declared,
        };
        let lloq = match &observe.lloq {
            Some(text) => Some(self.quantity(text, unit.dimension(), "the limit")?),
            None => error.lloq.filter(|_| observe.error != Some(false)),
        };
        let every = match &observe.every {
            Some(text) => {
                let every = self.duration(text)?;
                let visits = (every / self.every).round();
                if visits < 1.0 || (visits * self.every / every - 1.0).abs() > 1e-9 {
                    let message = "observations are made at decisions only";
                    let finding = text.error("K007", message);
                    self.found
                        .push(finding.help("a multiple of `every` of [decisions]"));
                    return None;
                }
                visits as u32
            }
            None => 1,
        };
        let unit = self.model.units.coherent_unit(unit.dimension());
        let register = format!("{}_seen", name.value);
        let slot = self.register(name, &register, &unit, "as measured")?;
        let register = format!("{}_fresh", name.value);
        let fresh = self.register(name, &register, &Unit::one(), "whether just measured")?;
        let silent = error.additive == 0.0 && error.proportional == 0.0 && error.lognormal == 0.0;
        let noise: Option<Noise> = (!silent).then(|| outputs::noise(&error));
        rules.observe.push((slot, node, noise));
        let missed = observe.missed.as_ref().map_or(0.0, |n| n.value);
        parts.measured.push(Measured {
            every,
            missed: missed.to_bits(),
            lloq: lloq.map(f64::to_bits),
            fresh: Some(fresh),
        });
        for (name, unit, slot) in [
            (name.value.clone(), unit, slot),
            (register, Unit::one(), fresh),
        ] {
            let node = self.model.graph.slot(slot);
            self.seen.retain(|n| n.name != name);
            self.seen.push(Named { name, unit, node });
        }
        Some(())
    }

    fn memory_starts(&mut self, file: &TaskFile, parts: &mut Parts) -> Vec<NodeId> {
        let mut starts = Vec::new();
        let mut added = Vec::new();
        for (name, memory) in &file.memory {
            let Some(text) = &memory.start else { continue };
            let Some(typed) = self.typed(text, !memory.hidden) else {
                continue;
            };
            let unit = self.model.units.coherent_unit(typed.dimension);
            let Some(slot) = self.register(name, &name.value, &unit, "memory") else {
                continue;
            };
            parts.memory_slots.push(slot);
            starts.push(typed.node);
            if memory.hidden {
                parts.hidden_memory.push(slot);
            } else {
                let node = self.model.graph.slot(slot);
                let name = name.value.clone();
                added.push(Named { name, unit, node });
            }
        }
        self.seen.extend(added);
        starts
    }

    fn memory_nexts(&mut self, file: &TaskFile) -> Vec<NodeId> {
        let mut nexts = Vec::new();
        for (name, memory) in &file.memory {
            let (Some(text), Some(slot)) = (&memory.next, self.model.slot_index(&name.value))
            else {
                continue;
            };
            let Some(typed) = self.typed(text, !memory.hidden) else {
                continue;
            };
            let dimension = self.model.slot_unit(slot).dimension();
            let zero = self.model.graph.as_constant(typed.node) == Some(0.0);
            if typed.dimension != dimension && !zero {
                let (found, wanted) = (
                    self.model.units.describe(typed.dimension),
                    self.model.units.describe(dimension),
                );
                let message = format!("`next` is in {found}, `start` in {wanted}");
                self.found.push(memory.place.error("K002", message));
            }
            nexts.push(typed.node);
        }
        nexts
    }

    fn watches(&mut self, file: &TaskFile, parts: &mut Parts, plan: &mut OutputPlan) {
        for (name, watch) in &file.watch {
            let Some((kind, text)) = &watch.kind else {
                continue;
            };
            let Some((request, dimension)) = self.watched(*kind, text) else {
                continue;
            };
            let unit = self.model.units.coherent_unit(dimension);
            let Some(slot) = self.register(name, &name.value, &unit, "over the last interval")
            else {
                continue;
            };
            let column = Column {
                name: name.value.clone(),
                unit: unit.text().to_owned(),
                scale: 1.0,
            };
            plan.summary(column, request);
            parts.watch_slots.push(slot);
        }
    }

    /// Shields and amounts: the `act` block, and the doses of an interval.
    fn doses(
        &mut self,
        file: &TaskFile,
        chosen: &mut [Chosen],
        parts: &mut Parts,
        rules: &mut RuleSet,
    ) -> Vec<Doses> {
        let mut act = Vec::new();
        for of in chosen.iter_mut() {
            let action = file.actions.iter().find(|(name, _)| name.value == of.name);
            let Some(text) = action.and_then(|(_, action)| action.shield.as_ref()) else {
                continue;
            };
            let Some(typed) = self.typed(text, true) else {
                continue;
            };
            if typed.dimension != of.unit.dimension() {
                let wanted = self.model.units.describe(of.unit.dimension());
                let message = format!("the shield must give `{}`, in {wanted}", of.name);
                self.found.push(text.error("K002", message));
                continue;
            }
            of.node = typed.node;
            parts.act_slots.push(of.slot);
            act.push(typed.node);
        }
        // amounts are of what the shield let through
        for of in chosen.iter() {
            for named in &mut self.seen {
                if named.name == of.name {
                    named.node = of.node;
                }
            }
        }
        let mut doses = Vec::new();
        for (name, action) in &file.actions {
            let of = chosen.iter().find(|c| c.name == name.value);
            let (Some(of), Some(input)) = (of, &action.into) else {
                continue;
            };
            let (node, unit) = (of.node, of.unit.clone());
            doses.extend(self.dose(name, action, input, node, &unit, parts, rules, &mut act));
        }
        for of in chosen.iter() {
            let raw = self.model.graph.slot(of.slot);
            for named in &mut self.seen {
                if named.name == of.name {
                    named.node = raw;
                }
            }
        }
        parts.act = lower_directly(&self.model.graph, &act);
        doses
    }

    #[allow(clippy::too_many_arguments)]
    fn dose(
        &mut self,
        name: &Text,
        action: &read::Action,
        input: &Text,
        given: NodeId,
        unit: &Unit,
        parts: &mut Parts,
        rules: &mut RuleSet,
        act: &mut Vec<NodeId>,
    ) -> Option<Doses> {
        let at = self.model.input_index(&input.value)?;
        let of = self.model.inputs[at].clone();
        if of.lag.is_some() || of.rate.is_some() || of.duration.is_some() {
            let message = format!("input `{}` has a lag or a modelled rate", of.name);
            let finding = input.error("K006", message);
            self.found
                .push(finding.help("decisions dose inputs without them"));
            return None;
        }
        let amount = match &action.amount {
            Some(text) => {
                let typed = self.typed(text, true)?;
                if typed.dimension != of.unit.dimension() {
                    let wanted = self.model.units.describe(of.unit.dimension());
                    let message = format!("the amount must be in {wanted}");
                    self.found.push(text.error("K002", message));
                    return None;
                }
                typed.node
            }
            None if unit.dimension() == of.unit.dimension() => given,
            None => {
                let message = format!(
                    "`{}` is in {}, input `{}` takes {}",
                    name.value,
                    unit.text(),
                    of.name,
                    of.unit.text()
                );
                let finding = action.place.error("K002", message);
                self.found.push(finding.help(format!(
                    "say the amount, as `amount = \"{} * BSA\"`",
                    name.value
                )));
                return None;
            }
        };
        let mut node = self.model.graph.mul(amount, of.amount_scale);
        if let Some(fraction) = of.bioavailability {
            node = self.model.graph.mul(node, fraction);
        }
        let register = format!("{}_amount", name.value);
        let slot = self.register(name, &register, &Unit::one(), "coherent amount")?;
        parts.act_slots.push(slot);
        act.push(node);
        rules.dose_slots.push(slot);
        let over = match &action.over {
            Some(text) => Some(self.duration(text)?),
            None => None,
        };
        let mut times = Vec::new();
        for text in &action.at {
            times.push(self.quantity(text, Dimension::TIME, "the time")?);
        }
        if times.is_empty() {
            times.push(0.0);
        }
        let last = times.iter().copied().fold(0.0, f64::max) + over.unwrap_or(0.0);
        if last > self.every * (1.0 + 1e-9) || times.iter().any(|t| *t < 0.0) {
            let message = "a dose must begin and end between two decisions";
            self.found.push(action.place.error("K007", message));
            return None;
        }
        Some(Doses {
            input: at,
            slot,
            at: times,
            over,
        })
    }
}
