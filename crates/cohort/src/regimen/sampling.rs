//! Sampling times as text.

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::{Model, Origin};

use super::syntax::{Context, Rule, parse, span};

/// Times of one text beyond which the interval is taken for a slip.
const MOST_TIMES: f64 = 1e6;

/// Reads sampling times (model time units, ascending, without repetitions) from a text such as
/// `every 1 d to 63 d`, `0 h, 0.5 h, 2 h; every 6 h from 6 h to 48 h`. A grid without `to` ends
/// with the simulation, at `end`.
///
/// # Errors
/// `R001` for texts that are none of this, `R006` for numbers, `R008` for units.
pub fn sampling_times(
    model: &Model,
    text: &str,
    origin: &Origin,
    end: f64,
) -> Result<Vec<f64>, Diagnostics> {
    let pair = parse(Rule::sampling, text, origin, "every 1 d to 63 d")?;
    let mut context = Context {
        model,
        origin,
        found: Diagnostics::new(),
    };
    let mut times = Vec::new();
    for sample in pair
        .into_inner()
        .filter(|pair| pair.as_rule() == Rule::sample)
    {
        for kind in sample.into_inner() {
            let read = match kind.as_rule() {
                Rule::grid => grid(&context, kind, end),
                _ => match kind.into_inner().next() {
                    Some(duration) => context.duration(duration).map(|time| vec![time]),
                    None => Ok(Vec::new()),
                },
            };
            times.extend(context.keep(read).unwrap_or_default());
        }
    }
    times.sort_by(f64::total_cmp);
    times.dedup();
    if context.found.has_errors() {
        Err(context.found)
    } else {
        Ok(times)
    }
}

fn grid(
    context: &Context<'_>,
    pair: pest::iterators::Pair<'_, Rule>,
    end: f64,
) -> Result<Vec<f64>, Diagnostic> {
    let whole = span(&pair);
    let (mut number, mut every, mut first, mut last) = (1.0, 0.0, 0.0, end);
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::number => number = context.number(&part)?,
            Rule::time_unit => every = number * context.time_scale(&part)?,
            Rule::from | Rule::until => {
                let is_from = part.as_rule() == Rule::from;
                let Some(duration) = part.into_inner().next() else {
                    continue;
                };
                let time = context.duration(duration)?;
                if is_from { first = time } else { last = time }
            }
            _ => {}
        }
    }
    if !(every > 0.0 && every.is_finite()) {
        return Err(context.error("R006", whole, "the interval must be positive"));
    }
    if !last.is_finite() || (last - first) / every > MOST_TIMES {
        return Err(context.error(
            "R006",
            whole,
            format!("these are more than {MOST_TIMES} times"),
        ));
    }
    // a grid that ends on a multiple of its interval contains its end
    let steps = ((last - first) / every + 1e-9).floor();
    let times = (0u32..)
        .map(f64::from)
        .take_while(|&k| k <= steps)
        .map(|k| first + k * every);
    Ok(times
        .map(|time| {
            if (time - last).abs() < 1e-9 * every {
                last
            } else {
                time
            }
        })
        .collect())
}
