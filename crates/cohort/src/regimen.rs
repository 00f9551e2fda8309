//! Regimens as text.
//!
//! ```text
//! 175 mg/m2 over 3 h every 21 d x 6
//! AUC 5 over 1 h every 21 d x 4                          Calvert: mg = AUC * (GFR + 25)
//! load 8 mg/kg then 6 mg/kg every 21 d x 5
//! 100 mg over 2 h q 24 h x 7
//! 75 mg/m2 over 1 h on days 1, 8, 15 every 28 d x 6       day 1 is the start of a cycle
//! 20 mg every 1 d from 7 d until 28 d
//! docetaxel: 75 mg/m2 over 1 h every 21 d x 6; carboplatin: AUC 5 over 1 h every 21 d x 6
//! abi_on: 1 from 0 d; abi_on: 0 from 30 d                 sets a covariate
//! ```
//!
//! The input may be left out where the model has one. Without `x` or `until`, `every` goes on to
//! the end of the simulation. After `then` the next course begins one interval after the last
//! dose (the interval of the earlier course, or of the later one if the earlier has none).
//! A dose without `over` is a bolus, unless the input has a modelled duration or rate. With
//! `over`, bioavailability scales the rate and not the duration.

mod amount;
mod course;
mod lower;
mod sampling;
mod syntax;

pub use lower::entering;
pub use sampling::sampling_times;

use pest::iterators::Pair;
use posology_model::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use posology_model::model::{Model, Origin};

use syntax::{Context, Rule, parse, span};

/// Doses of one course, beyond which a number is taken for a slip.
const MOST_DOSES: f64 = 1e6;
const EXAMPLE: &str = "175 mg/m2 over 3 h every 21 d x 6";

/// A regimen, checked against a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Regimen {
    pub series: Vec<Series>,
    pub levels: Vec<Level>,
}

/// Equal doses at regular times. Times are in the model's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Index of the input.
    pub input: usize,
    /// Coherent amount in the input's terms, per unit of `basis`; for [`Basis::Calvert`] the
    /// target AUC in mg*min/mL.
    pub amount: f64,
    pub basis: Basis,
    /// Of the infusion; `None` for a bolus or what the model says.
    pub duration: Option<f64>,
    /// Start of the first cycle.
    pub start: f64,
    /// Of the doses from the start of their cycle, ascending.
    pub offsets: Vec<f64>,
    /// Length of a cycle; 0 if there is only one.
    pub every: f64,
    /// Number of cycles; `None`: to the end of the simulation.
    pub cycles: Option<u32>,
    /// No dose later than this.
    pub until: Option<f64>,
}

/// What an amount is multiplied by for each patient. Slots hold coherent values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Basis {
    Flat,
    /// Per coherent unit of the covariate in this slot: body surface or weight.
    Per(usize),
    /// GFR + 25 mL/min, GFR in this slot.
    Calvert(usize),
}

/// A covariate takes a value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub slot: usize,
    /// Coherent.
    pub value: f64,
    pub time: f64,
}

impl Series {
    /// Times of the doses up to `end`, in order.
    pub fn times(&self, end: f64) -> impl Iterator<Item = f64> + '_ {
        let end = self.until.map_or(end, |until| until.min(end));
        let cycles = self
            .cycles
            .unwrap_or(if self.every > 0.0 { u32::MAX } else { 1 });
        let starts = (0..cycles).map(|k| self.start + f64::from(k) * self.every);
        // a hair of tolerance: `until 63 d` includes the dose at 3 * 21 d
        let slack = 1e-9 * self.every;
        let first = self.offsets.first().copied().unwrap_or(0.0);
        starts
            .take_while(move |start| start + first <= end + slack)
            .flat_map(|start| self.offsets.iter().map(move |offset| start + offset))
            .filter(move |&time| time <= end + slack)
            .map(move |time| time.min(end))
    }
}

impl Regimen {
    /// Reads a regimen.
    ///
    /// # Errors
    /// Every finding, with codes `R0xx`: grammar, unknown inputs, units, missing covariates,
    /// numbers, clauses that exclude each other.
    pub fn parse(model: &Model, text: &str, origin: &Origin) -> Result<Self, Diagnostics> {
        let pair = parse(Rule::regimen, text, origin, EXAMPLE)?;
        let mut context = Context {
            model,
            origin,
            found: Diagnostics::new(),
        };
        let mut out = Self {
            series: Vec::new(),
            levels: Vec::new(),
        };
        for part in pair
            .into_inner()
            .filter(|pair| pair.as_rule() == Rule::part)
        {
            let read = read_part(&mut context, part, &mut out);
            context.keep(read);
        }
        if context.found.has_errors() {
            Err(context.found)
        } else {
            Ok(out)
        }
    }
}

enum Target {
    Input(usize),
    Slot(usize),
}

fn read_part(
    context: &mut Context<'_>,
    part: Pair<'_, Rule>,
    out: &mut Regimen,
) -> Result<(), Diagnostic> {
    let whole = span(&part);
    let mut inner = part.into_inner().peekable();
    let drug = inner.next_if(|pair| pair.as_rule() == Rule::drug);
    let target = target(context, drug.as_ref(), whole.clone())?;
    let mut courses = Vec::new();
    for pair in inner.filter(|pair| pair.as_rule() == Rule::course) {
        courses.push(course::read_course(context, pair, &target)?);
    }
    match target {
        Target::Slot(slot) => {
            for course in courses {
                out.levels.push(course::level(context, slot, course)?);
            }
        }
        Target::Input(input) => {
            // when the next course begins; `waits`: its own interval is still to be added
            let mut next = 0.0;
            let mut waits = false;
            let mut endless = false;
            for course in courses {
                if endless {
                    return Err(context
                        .error("R007", course.span, "the course before `then` never ends")
                        .help("give its number of doses: `x 6`"));
                }
                if waits && course.from.is_none() {
                    let Some(every) = course.every else {
                        return Err(context
                            .error("R007", course.span, "it is not said how long after the dose before")
                            .help("give either course an interval (`every 21 d`) or this one a time (`from 21 d`)"));
                    };
                    next += every;
                }
                let series = course::series(context, input, &course, next)?;
                next = match (series.cycles, series.until) {
                    _ if series.every == 0.0 => {
                        series.start + series.offsets.last().copied().unwrap_or(0.0)
                    }
                    (Some(cycles), _) => series.start + f64::from(cycles) * series.every,
                    (None, Some(until)) => {
                        let cycles = ((until - series.start) / series.every + 1e-9).floor() + 1.0;
                        series.start + cycles.max(0.0) * series.every
                    }
                    (None, None) => series.start,
                };
                endless = series.cycles.is_none() && series.until.is_none();
                waits = series.every == 0.0;
                out.series.push(series);
            }
        }
    }
    Ok(())
}

fn target(
    context: &Context<'_>,
    drug: Option<&Pair<'_, Rule>>,
    whole: std::ops::Range<usize>,
) -> Result<Target, Diagnostic> {
    let model = context.model;
    let names: Vec<&str> = model
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    let Some(drug) = drug else {
        return match names.len() {
            1 => Ok(Target::Input(0)),
            0 => Err(context.error(
                "R003",
                whole,
                format!("the model {} has no inputs", model.name),
            )),
            _ => Err(context
                .error("R003", whole, "it is not said which input this is for")
                .help(format!(
                    "write the input before it, such as `{}: ...`; inputs: {}",
                    names[0],
                    names.join(", ")
                ))),
        };
    };
    let text = drug.as_str();
    let same = |name: &&str| name.eq_ignore_ascii_case(text);
    if let Some(input) = model
        .input_index(text)
        .or_else(|| names.iter().position(same))
    {
        return Ok(Target::Input(input));
    }
    let slots = || (0..model.slot_count()).map(|slot| model.slot_name(slot));
    if let Some(slot) = model
        .slot_index(text)
        .or_else(|| slots().position(|name| same(&name)))
    {
        return Ok(Target::Slot(slot));
    }
    Err(context
        .error(
            "R002",
            span(drug),
            format!(
                "`{text}` is neither an input nor a covariate of {}",
                model.name
            ),
        )
        .help_if(did_you_mean(text, names.iter().copied().chain(slots())))
        .help_if(doseable(model)))
}

/// What a regimen can name.
fn doseable(model: &Model) -> Option<String> {
    let list = |what: &str, names: Vec<&str>| {
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let inputs = model.inputs.iter().map(|input| input.name.as_str());
    let covariates = model
        .covariates
        .iter()
        .map(|covariate| covariate.name.as_str());
    let lists = [
        list("inputs", inputs.collect()),
        list("covariates", covariates.collect()),
    ];
    let lists: Vec<String> = lists.into_iter().flatten().collect();
    (!lists.is_empty()).then(|| lists.join("; "))
}

#[cfg(test)]
mod tests;
