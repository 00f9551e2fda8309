//! Amounts with their basis: per body surface, per weight, or by Calvert's formula.

use pest::iterators::Pair;
use posology_model::diagnostic::Diagnostic;
use posology_model::unit::{Dimension, Unit};

use super::Basis;
use super::syntax::{Context, Rule, span};

/// AUC of the Calvert formula (Calvert 1989, J Clin Oncol 7:1748): mg = AUC * (GFR + 25).
const AUC_UNIT: &str = "mg*min/mL";
const BODY_SURFACE: &[&str] = &["BSA"];
const WEIGHT: &[&str] = &["WT", "BW", "WEIGHT"];
const GFR: &[&str] = &["GFR", "CRCL"];

/// Amount (coherent, in the input's terms) and basis of a dose.
pub(super) fn dose(
    context: &Context<'_>,
    input: usize,
    pair: Pair<'_, Rule>,
) -> Result<(f64, Basis), Diagnostic> {
    let whole = span(&pair);
    let Some(kind) = pair.into_inner().next() else {
        return Err(context.error("R001", whole, "an amount is missing"));
    };
    let is_auc = kind.as_rule() == Rule::auc;
    let mut inner = kind.into_inner();
    let number = match inner.next() {
        Some(number) => context.number(&number)?,
        None => return Err(context.error("R001", whole, "an amount is missing")),
    };
    if number <= 0.0 {
        return Err(context.error("R006", whole, "a dose must be positive"));
    }
    let (amount, basis) = match is_auc {
        true => calvert(context, input, number, inner.next(), whole.clone())?,
        false => plain(context, input, number, inner.next(), whole.clone())?,
    };
    if !(amount > 0.0 && amount.is_finite()) {
        return Err(context.error(
            "R006",
            whole,
            "this dose is too large or too small to compute with",
        ));
    }
    Ok((amount, basis))
}

fn plain(
    context: &Context<'_>,
    input: usize,
    number: f64,
    unit: Option<Pair<'_, Rule>>,
    whole: std::ops::Range<usize>,
) -> Result<(f64, Basis), Diagnostic> {
    let model = context.model;
    let declared = &model.inputs[input].unit;
    let name = &model.inputs[input].name;
    let (text, at) = match &unit {
        Some(unit) => (unit.as_str(), span(unit)),
        None if declared.dimension().is_none() => ("1", whole.clone()),
        None => {
            return Err(context
                .error("R004", whole, "the dose needs a unit")
                .help(format!(
                    "amounts of `{name}` are in `{declared}`: `{number} {declared}`"
                )));
        }
    };
    let (amount_text, basis) = match text.rsplit_once('/') {
        Some((amount, "m2" | "m^2" | "m\u{b2}")) => {
            let slot = covariate(
                context,
                BODY_SURFACE,
                "body surface (m^2)",
                Dimension::of(0, 0, 2, 0),
                &at,
            )?;
            (amount, Basis::Per(slot))
        }
        Some((amount, "kg")) => {
            let slot = covariate(context, WEIGHT, "body weight (kg)", Dimension::MASS, &at)?;
            (amount, Basis::Per(slot))
        }
        _ => (text, Basis::Flat),
    };
    let unit = Unit::parse(amount_text).map_err(|error| {
        context
            .error(
                "R008",
                at.clone(),
                format!("`{amount_text}` is not a unit: {error}"),
            )
            .help_if(error.help)
    })?;
    if unit.dimension() != declared.dimension() {
        let message = format!(
            "the dose is {}, but amounts of `{name}` are {}",
            model.units.describe(unit.dimension()),
            model.units.describe(declared.dimension())
        );
        return Err(context.error("R004", at, message).help(format!(
            "give an amount that converts to `{declared}`, alone, per m2 or per kg"
        )));
    }
    // 75 mg per m2: the covariate's row is in its coherent unit (dm^2, mg), so is the divisor
    let per = match (basis, text.ends_with("kg")) {
        (Basis::Flat, _) => 1.0,
        (_, true) => scale(context, "kg"),
        (_, false) => scale(context, "m^2"),
    };
    Ok((number * model.units.scale(&unit) / per, basis))
}

fn calvert(
    context: &Context<'_>,
    input: usize,
    number: f64,
    unit: Option<Pair<'_, Rule>>,
    whole: std::ops::Range<usize>,
) -> Result<(f64, Basis), Diagnostic> {
    let input = &context.model.inputs[input];
    if input.unit.dimension() != Dimension::MASS {
        return Err(context
            .error(
                "R004",
                whole,
                format!(
                    "AUC gives a mass, but amounts of `{}` are in `{}`",
                    input.name, input.unit
                ),
            )
            .help("Calvert's formula gives mg; use an input in a unit of mass"));
    }
    let factor = match unit {
        None => 1.0,
        Some(pair) => {
            let text = pair.as_str();
            let unit = Unit::parse(text).map_err(|error| {
                context
                    .error(
                        "R008",
                        span(&pair),
                        format!("`{text}` is not a unit: {error}"),
                    )
                    .help_if(error.help)
            })?;
            let wanted = Unit::parse(AUC_UNIT).map(|unit| unit.dimension());
            if wanted != Ok(unit.dimension()) {
                return Err(context
                    .error(
                        "R004",
                        span(&pair),
                        format!("`{text}` is not a unit of AUC"),
                    )
                    .help("the AUC of Calvert's formula is in mg/mL*min"));
            }
            context.model.units.scale(&unit) / scale(context, AUC_UNIT)
        }
    };
    let flow = Dimension::VOLUME.per(Dimension::TIME);
    let slot = covariate(
        context,
        GFR,
        "glomerular filtration rate (mL/min)",
        flow,
        &whole,
    )?;
    Ok((number * factor, Basis::Calvert(slot)))
}

/// The slot of a covariate by one of its usual names.
fn covariate(
    context: &Context<'_>,
    names: &[&str],
    what: &str,
    dimension: Dimension,
    at: &std::ops::Range<usize>,
) -> Result<usize, Diagnostic> {
    let model = context.model;
    let named = |name: &&str| {
        (0..model.slot_count()).find(|&slot| model.slot_name(slot).eq_ignore_ascii_case(name))
    };
    let Some(slot) = names.iter().find_map(named) else {
        let message = format!(
            "the dose needs the {what}, but {} has no covariate {}",
            model.name,
            names.join(" or ")
        );
        return Err(context.error("R005", at.clone(), message).help(format!(
            "add it to the model: [covariates] {} = {{ unit = ..., reference = ... }}",
            names[0]
        )));
    };
    let unit = model.slot_unit(slot);
    if unit.dimension() != dimension {
        let message = format!(
            "the dose needs the {what}, but `{}` is in `{unit}`",
            model.slot_name(slot)
        );
        return Err(context
            .error("R004", at.clone(), message)
            .help("declare the covariate in that unit"));
    }
    Ok(slot)
}

/// Coherent value of a slot's new level.
pub(super) fn level(
    context: &Context<'_>,
    slot: usize,
    pair: Pair<'_, Rule>,
) -> Result<f64, Diagnostic> {
    let whole = span(&pair);
    let name = context.model.slot_name(slot);
    let declared = context.model.slot_unit(slot);
    let kind = pair
        .into_inner()
        .next()
        .filter(|kind| kind.as_rule() == Rule::dose);
    let Some(kind) = kind else {
        return Err(context.error(
            "R009",
            whole,
            format!("`{name}` is not an input: it takes a value, not an AUC"),
        ));
    };
    let mut inner = kind.into_inner();
    let number = inner
        .next()
        .map_or(Ok(f64::NAN), |number| context.number(&number))?;
    let value = match inner.next() {
        None if declared.dimension().is_none() => number * context.model.units.scale(declared),
        None => {
            return Err(context
                .error("R004", whole, format!("the value of `{name}` needs a unit"))
                .help(format!("`{number} {declared}`")));
        }
        Some(pair) => {
            let unit = Unit::parse(pair.as_str()).map_err(|error| {
                context
                    .error("R008", span(&pair), format!("this is not a unit: {error}"))
                    .help_if(error.help)
            })?;
            if unit.dimension() != declared.dimension() {
                let message =
                    format!("`{name}` is in `{declared}`, which `{unit}` does not convert to");
                return Err(context.error("R004", span(&pair), message));
            }
            number * context.model.units.scale(&unit)
        }
    };
    match value.is_finite() {
        true => Ok(value),
        false => Err(context.error("R006", whole, "this value is too large")),
    }
}

/// Coherent size of a unit that is known to exist.
pub(super) fn scale(context: &Context<'_>, unit: &str) -> f64 {
    Unit::parse(unit).map_or(f64::NAN, |unit| context.model.units.scale(&unit))
}
