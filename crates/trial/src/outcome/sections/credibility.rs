//! Why a reader may believe the model for this purpose, and how far.

use crate::Trial;
use crate::design::{Class, Statistic};
use crate::report::{
    Credibility, Grade, Graded, Section, Uncertainty, Validation, Verification, significant,
};
use crate::run::{CohortAnalysis, TrialResult};
use posology_model::unit::Unit;

/// The section, in the order of ASME V&V 40 and of the guidance of the FDA.
pub(in crate::outcome) fn credibility(trial: &Trial, result: &TrialResult) -> Section {
    let missing = || "The trial file does not say; taken as high.".to_owned();
    let context = trial.context.as_ref();
    let question = match (context, trial.question.as_str()) {
        (Some(context), _) => context.question.clone(),
        (None, "") => "The trial file states no question.".to_owned(),
        (None, question) => question.to_owned(),
    };
    let credibility = Credibility {
        question,
        context: context.map_or_else(
            || "The trial file states no context of use: nothing in this report was prepared to support a decision.".to_owned(),
            |context| context.context_of_use.clone(),
        ),
        influence: graded(context.map_or_else(missing, |context| context.influence.clone())),
        consequence: graded(context.map_or_else(missing, |context| context.consequence.clone())),
        verification: verification(),
        validation: trial
            .validation
            .iter()
            .map(|entry| validation(trial, result, entry))
            .collect(),
        uncertainty: uncertainty(trial, result),
        limits: trial.limits.clone(),
    };
    credibility.section()
}

/// The grade that a text begins with; high without one.
fn graded(text: String) -> Graded {
    let first = text
        .split(|c: char| !c.is_alphabetic())
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let grade = match first.as_str() {
        "low" => Grade::Low,
        "medium" | "moderate" => Grade::Medium,
        _ => Grade::High,
    };
    let graded = matches!(first.as_str(), "low" | "medium" | "moderate" | "high");
    let reason = if graded {
        // "Medium: because" says its grade twice otherwise
        let rest = text.get(first.len()..).unwrap_or_default();
        let rest = rest.trim_start_matches([':', ',', ';', '.', ' ']);
        if rest.is_empty() {
            text
        } else {
            rest.to_owned()
        }
    } else if text.contains("taken as high") {
        text
    } else {
        format!("{text} (No grade is given; taken as high.)")
    };
    Graded { grade, reason }
}

/// What the tests of this software hold; each bound is asserted in the file named.
fn verification() -> Vec<Verification> {
    [
        (
            "Kernel (single precision) against a reference in double precision with the same steps, every shipped model",
            "largest difference at most 1e-5 of the range of each state in each patient",
            "crates/sim/tests/accuracy.rs",
        ),
        (
            "Step schedule of every shipped model against a solution with an adaptive method of order 8",
            "largest difference at most 1e-4, sampled patients",
            "crates/sim/tests/accuracy.rs",
        ),
        (
            "A patient's numbers for other batches, shards and orders of patients",
            "the same to the bit",
            "crates/sim/tests/determinism.rs",
        ),
        (
            "Dosing records against closed forms of linear models",
            "the bounds stated in the files",
            "crates/sim/tests/nmtran.rs, crates/cohort/tests/closed_forms.rs",
        ),
        (
            "Survival curves, log-rank tests, Cox models and their intervals against lifelines, scikit-survival, statsmodels and R",
            "relative error at most 1e-6, mostly 1e-8",
            "crates/trial/tests/statistics (scripts and versions: scripts/golden)",
        ),
        (
            "Clinical endpoints (RECIST 1.1, markers, dose intensity) against tables worked by hand",
            "equal",
            "crates/trial/tests/clinical",
        ),
        (
            "Analyses of arms, subgroups and tests against the same statistics called directly",
            "the bounds stated in the files",
            "crates/trial/tests/analysis",
        ),
    ]
    .into_iter()
    .map(|(check, found, place)| Verification {
        check: check.to_owned(),
        found: found.to_owned(),
        place: place.to_owned(),
    })
    .collect()
}

/// The predicted number, in the unit of the endpoint.
fn predicted(
    trial: &Trial,
    analysis: &CohortAnalysis,
    entry: &crate::design::Validation,
) -> Option<f64> {
    let (e, arm) = (entry.endpoint, entry.arm);
    match (trial.endpoints[e].class(), entry.statistic) {
        (Class::Time, Statistic::Median) => {
            let times = analysis.time(e)?;
            times.arms.iter().find(|own| own.arm == arm)?.median.value
        }
        (Class::Time, Statistic::Mean) => {
            let times = analysis.time(e)?;
            let own = times.arms.iter().find(|own| own.arm == arm)?;
            own.restricted_mean.map(|mean| mean.mean.value)
        }
        (Class::Time, Statistic::Rate) => {
            let times = analysis.time(e)?;
            let own = times.arms.iter().find(|own| own.arm == arm)?;
            Some(own.events as f64 / own.curve.patients().max(1) as f64)
        }
        (Class::YesNo | Class::Response, _) => {
            let rates = analysis.rate(e)?;
            let own = rates.arms.iter().find(|own| own.arm == arm)?;
            Some(own.rate.value)
        }
        (Class::Number, statistic) => {
            let numbers = analysis.number(e)?;
            let own = numbers.arms.iter().find(|own| own.arm == arm)?;
            Some(match statistic {
                Statistic::Median => own.quartiles[1],
                Statistic::Mean | Statistic::Rate => own.mean.value,
            })
        }
    }
}

/// One published number beside its prediction, from the virtual patients where there are any.
fn validation(
    trial: &Trial,
    result: &TrialResult,
    entry: &crate::design::Validation,
) -> Validation {
    let units = &trial.model.units;
    let endpoint = &trial.endpoints[entry.endpoint];
    let share = matches!(endpoint.class(), Class::YesNo | Class::Response)
        || entry.statistic == Statistic::Rate;
    let own = if share {
        1.0
    } else {
        units.scale(&endpoint.unit)
    };
    let (shown, unit) = match Unit::parse(&entry.unit) {
        Ok(unit) if !entry.unit.is_empty() => (units.scale(&unit), entry.unit.as_str()),
        _ if share => (1.0, "1"),
        _ => (own, endpoint.unit.text()),
    };
    let value = result
        .analyses
        .last()
        .and_then(|analysis| predicted(trial, analysis, entry))
        .map(|value| value * own / shown);
    let suffix = match unit {
        "1" => String::new(),
        unit => format!(" {unit}"),
    };
    let say = |value: f64| format!("{}{suffix}", significant(value, 3));
    let inside = |(low, high): (f64, f64)| value.map(|value| value >= low && value <= high);
    let (rule, met) = match entry.range {
        Some((low, high)) => (
            format!(
                "within the published {} to {}",
                significant(low, 3),
                say(high)
            ),
            inside((low, high)).or(Some(false)),
        ),
        None => (String::new(), None),
    };
    let arm = &trial.arms[entry.arm].title;
    let note = match entry.note.as_str() {
        "" => String::new(),
        note => format!(" {note}"),
    };
    Validation {
        quantity: format!(
            "{} ({}, {arm}){note}",
            entry.quantity,
            entry.statistic.name()
        ),
        published: say(entry.published),
        simulated: value.map_or_else(|| "not reached".to_owned(), say),
        rule,
        met,
        used_to_build: false,
        source: trial.citation(&entry.source).to_owned(),
    }
}

fn uncertainty(trial: &Trial, result: &TrialResult) -> Vec<Uncertainty> {
    let entry = |source: &str, treatment: String, effect: &str| Uncertainty {
        source: source.to_owned(),
        treatment,
        effect: effect.to_owned(),
    };
    let sampled = trial.virtual_patients.as_ref();
    let mut out = vec![entry(
        "Differences between patients",
        if sampled.is_some() {
            "sampled from the variability of the model and the population; seeds are in the provenance".to_owned()
        } else {
            "only the real patients".to_owned()
        },
        "the spread shown in every figure",
    )];
    out.push(entry(
        "Chance of a finite number of patients",
        "confidence intervals of every estimate".to_owned(),
        "shrinks with the number of virtual patients, and with it says less about the real world",
    ));
    let drawn = sampled.is_some_and(|sampled| sampled.uncertainty);
    out.push(entry(
        "Parameters of the population (typical values, variances)",
        if drawn {
            "drawn anew in every replicate of the operating characteristics; fixed in this single run".to_owned()
        } else {
            "not considered: fixed at their published values".to_owned()
        },
        if drawn { "" } else { "intervals are too narrow by an unknown amount" },
    ));
    if let Some(visits) = &trial.visits {
        let noisy: Vec<&str> = visits
            .observed
            .iter()
            .filter(|observed| observed.error)
            .map(|observed| observed.name.as_str())
            .collect();
        out.push(entry(
            "Measurement",
            if noisy.is_empty() {
                "measured without error".to_owned()
            } else {
                format!("residual error of the model on {}", noisy.join(", "))
            },
            "enters rules and endpoints that are made of measurements",
        ));
    }
    let diverged: usize = result
        .analyses
        .iter()
        .map(|analysis| analysis.excluded)
        .sum();
    out.push(entry(
        "Numerical solution",
        format!("fixed steps (see the provenance); {diverged} patients left out because their simulation diverged"),
        "",
    ));
    out.push(entry(
        "Structure of the model",
        "not considered: one model".to_owned(),
        "see the limits",
    ));
    out
}
