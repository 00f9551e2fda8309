//! Courses: an amount with its clauses, to series of doses.

use pest::iterators::Pair;
use posology_model::diagnostic::Diagnostic;
use posology_model::unit::Unit;

use super::syntax::{Context, Rule, span};
use super::{Basis, Level, MOST_DOSES, Series, Target, amount};

/// A course as written.
#[derive(Debug)]
pub(super) struct Course {
    pub span: std::ops::Range<usize>,
    pub load: bool,
    pub amount: f64,
    pub basis: Basis,
    pub over: Option<f64>,
    pub every: Option<f64>,
    pub times: Option<u32>,
    pub from: Option<f64>,
    pub at: Vec<f64>,
    /// Offsets of days within a cycle.
    pub on: Vec<f64>,
    pub until: Option<f64>,
}

pub(super) fn read_course(
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
        let unit = Unit::parse("d");
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
    let unit = Unit::parse("d");
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

pub(super) fn series(
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

pub(super) fn level(
    context: &Context<'_>,
    slot: usize,
    course: Course,
) -> Result<Level, Diagnostic> {
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
