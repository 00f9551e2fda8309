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
mod lower;
mod sampling;
mod syntax;

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
        courses.push(read_course(context, pair, &target)?);
    }
    match target {
        Target::Slot(slot) => {
            for course in courses {
                out.levels.push(level(context, slot, course)?);
            }
        }
        Target::Input(input) => {
            // where the next course begins; `None` with an interval to be added to the time
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
                let series = series(context, input, &course, next)?;
                next = match (series.cycles, series.until) {
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
        .or_else(|| names.iter().position(|name| same(&name)))
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
        .help(format!("inputs: {}", names.join(", "))))
}

/// A course as written.
#[derive(Debug)]
struct Course {
    span: std::ops::Range<usize>,
    load: bool,
    amount: f64,
    basis: Basis,
    over: Option<f64>,
    every: Option<f64>,
    times: Option<u32>,
    from: Option<f64>,
    at: Vec<f64>,
    /// Offsets of days within a cycle.
    on: Vec<f64>,
    until: Option<f64>,
}

fn read_course(
    context: &Context<'_>,
    pair: Pair<'_, Rule>,
    target: &Target,
) -> Result<Course, Diagnostic> {
    let mut course = Course {
        span: span(&pair),
        load: false,
        amount: 0.0,
        basis: Basis::Flat,
        over: None,
        every: None,
        times: None,
        from: None,
        at: Vec::new(),
        on: Vec::new(),
        until: None,
    };
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::load => course.load = true,
            Rule::amount => {
                (course.amount, course.basis) = match target {
                    Target::Input(input) => amount::dose(context, *input, part)?,
                    Target::Slot(slot) => (amount::level(context, *slot, part)?, Basis::Flat),
                };
            }
            Rule::clause => {
                for clause in part.into_inner() {
                    read_clause(context, &mut course, clause)?;
                }
            }
            _ => {}
        }
    }
    Ok(course)
}

fn read_clause(
    context: &Context<'_>,
    course: &mut Course,
    clause: Pair<'_, Rule>,
) -> Result<(), Diagnostic> {
    let whole = span(&clause);
    let rule = clause.as_rule();
    let once = |free: bool| match free {
        true => Ok(()),
        false => Err(context.error("R007", whole.clone(), "this is said twice")),
    };
    let positive = |value: f64, what: &str| match value > 0.0 && value.is_finite() {
        true => Ok(value),
        false => Err(context.error(
            "R006",
            whole.clone(),
            format!("the {what} must be positive"),
        )),
    };
    let first = |clause: Pair<'_, Rule>| match clause.into_inner().next() {
        Some(duration) => context.duration(duration),
        None => Err(context.error("R001", whole.clone(), "a time is missing")),
    };
    match rule {
        Rule::over => {
            once(course.over.is_none())?;
            course.over = Some(positive(first(clause)?, "duration")?);
        }
        Rule::every | Rule::daily | Rule::weekly => {
            once(course.every.is_none())?;
            course.every = Some(positive(interval(context, clause)?, "interval")?);
        }
        Rule::times => {
            once(course.times.is_none())?;
            let number = clause
                .into_inner()
                .next()
                .map_or(Ok(f64::NAN), |pair| context.number(&pair))?;
            if number.fract() != 0.0 || !(1.0..=MOST_DOSES).contains(&number) {
                return Err(context
                    .error(
                        "R006",
                        whole,
                        format!("`x` takes a whole number from 1 to {MOST_DOSES}"),
                    )
                    .help("such as `x 6`"));
            }
            course.times = Some(number as u32);
        }
        Rule::from => {
            once(course.from.is_none())?;
            course.from = Some(first(clause)?);
        }
        Rule::until => {
            once(course.until.is_none())?;
            course.until = Some(first(clause)?);
        }
        Rule::at => {
            once(course.at.is_empty())?;
            let times = clause
                .into_inner()
                .map(|duration| context.duration(duration));
            course.at = times.collect::<Result<_, _>>()?;
            course.at.sort_by(f64::total_cmp);
        }
        Rule::on => {
            once(course.on.is_empty())?;
            for day in clause.into_inner() {
                days(context, day, &mut course.on)?;
            }
            course.on.sort_by(f64::total_cmp);
        }
        _ => {}
    }
    Ok(())
}

fn interval(context: &Context<'_>, clause: Pair<'_, Rule>) -> Result<f64, Diagnostic> {
    let day = |count: f64| {
        let unit = posology_model::unit::Unit::parse("d");
        count * unit.map_or(f64::NAN, |unit| context.model.units.scale(&unit))
    };
    match clause.as_rule() {
        Rule::daily => return Ok(day(1.0)),
        Rule::weekly => return Ok(day(7.0)),
        _ => {}
    }
    let (mut number, mut scale) = (1.0, f64::NAN);
    for part in clause.into_inner() {
        match part.as_rule() {
            Rule::number => number = context.number(&part)?,
            _ => scale = context.time_scale(&part)?,
        }
    }
    Ok(number * scale)
}

/// `8` or `1-5`, with or without a unit of days: offsets from the start of the cycle, day 1.
fn days(
    context: &Context<'_>,
    pair: Pair<'_, Rule>,
    offsets: &mut Vec<f64>,
) -> Result<(), Diagnostic> {
    let whole = span(&pair);
    let unit = posology_model::unit::Unit::parse("d");
    let day = unit.map_or(f64::NAN, |unit| context.model.units.scale(&unit));
    let mut numbers = Vec::new();
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::whole => numbers.push(context.number(&part)?),
            _ if context.time_scale(&part)? != day => {
                return Err(context
                    .error("R008", span(&part), "days of a cycle are counted in d")
                    .help("for other times use `at 0 h, 12 h`"));
            }
            _ => {}
        }
    }
    let first = numbers.first().copied().unwrap_or(f64::NAN);
    let last = numbers.last().copied().unwrap_or(first);
    if !(1.0..=MOST_DOSES).contains(&first) || !(first..=MOST_DOSES).contains(&last) {
        return Err(context
            .error("R010", whole, "days of a cycle are counted upwards from 1")
            .help("day 1 is the first day of the cycle: `on days 1, 8, 15` or `on days 1-5`"));
    }
    offsets.extend((first as u32..=last as u32).map(|number| f64::from(number - 1) * day));
    Ok(())
}

fn series(
    context: &Context<'_>,
    input: usize,
    course: &Course,
    next: f64,
) -> Result<Series, Diagnostic> {
    let fault = |code, message: &str| context.error(code, course.span.clone(), message);
    if !course.on.is_empty() && !course.at.is_empty() {
        return Err(fault("R007", "`on` and `at` exclude each other")
            .help("`on` counts days of a cycle, `at` gives times"));
    }
    let mut offsets = if course.on.is_empty() {
        course.at.clone()
    } else {
        course.on.clone()
    };
    if offsets.is_empty() {
        offsets.push(0.0);
    }
    if offsets.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(fault("R010", "the same time comes twice"));
    }
    let spread = offsets[offsets.len() - 1] - offsets[0];
    if let Some(every) = course.every
        && spread >= every
    {
        return Err(
            fault("R010", "the doses of a cycle reach into the next cycle")
                .help("days and times must lie within the interval given by `every`"),
        );
    }
    if course.every.is_none() && course.times.is_some_and(|times| times > 1) {
        return Err(fault("R007", "`x` needs an interval").help("such as `every 21 d x 6`"));
    }
    if course.until.is_some() && (course.every.is_none() || course.times.is_some()) {
        return Err(fault("R007", "`until` goes with `every`, and without `x`"));
    }
    if course.load && course.times.is_none() && (course.every.is_some() || course.until.is_some()) {
        return Err(fault("R007", "the number of loading doses is missing")
            .help("`load 8 mg/kg then ...`, or `load 400 mg every 14 d x 3 then ...`"));
    }
    Ok(Series {
        input,
        amount: course.amount,
        basis: course.basis,
        duration: course.over,
        start: course.from.unwrap_or(next),
        offsets,
        every: course.every.unwrap_or(0.0),
        cycles: if course.every.is_none() {
            Some(1)
        } else {
            course.times
        },
        until: course.until,
    })
}

fn level(context: &Context<'_>, slot: usize, course: Course) -> Result<Level, Diagnostic> {
    let extra = course.load
        || course.over.is_some()
        || course.every.is_some()
        || course.times.is_some()
        || course.until.is_some()
        || !course.on.is_empty()
        || course.at.len() > 1
        || (course.from.is_some() && !course.at.is_empty());
    if extra {
        let name = context.model.slot_name(slot);
        return Err(context
            .error(
                "R009",
                course.span,
                format!("`{name}` is not an input: it only takes a value from a time on"),
            )
            .help(format!("such as `{name}: 1 from 0 d; {name}: 0 from 30 d`")));
    }
    let time = course.from.or(course.at.first().copied()).unwrap_or(0.0);
    Ok(Level {
        slot,
        value: course.amount,
        time,
    })
}

#[cfg(test)]
mod tests;
