//! Regimens to timelines: one for all patients unless lag or duration differ between them.

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::{Model, Origin};
use posology_model::unit::Unit;
use rayon::prelude::*;

use super::{Basis, MOST_DOSES, Regimen, Series};
use crate::dosing::{DoseRule, DoseValues};
use crate::event::{Action, Amount, Event, Timeline, Timelines};
use crate::population::Cohort;

/// What a series comes down to for one patient.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Individual {
    /// State amount per `Series::amount`.
    factor: f64,
    lag: f64,
    /// Of the infusion; `None` for a bolus.
    duration: Option<f64>,
}

impl Regimen {
    /// The timelines of a cohort from 0 to `end` (model time units). Bioavailability, lag and
    /// covariates are those a patient starts with; doses after `end` are left out.
    ///
    /// # Errors
    /// `R011` for a patient whose covariates or dose expressions give no dose, `R006` where the
    /// regimen has too many doses. They point to the text at `origin`.
    pub fn timelines(
        &self,
        model: &Model,
        cohort: &Cohort,
        end: f64,
        origin: &Origin,
    ) -> Result<Timelines, Diagnostics> {
        let fault = |code, message: String| {
            Diagnostics::from(
                Diagnostic::error(code, message).at(origin.source(), origin.place().span.clone()),
            )
        };
        let doses: f64 = self
            .series
            .iter()
            .map(|series| doses_until(series, end))
            .sum();
        if !end.is_finite() || doses > MOST_DOSES {
            return Err(fault(
                "R006",
                format!("the regimen has more than {MOST_DOSES} doses"),
            ));
        }
        let individuals = self
            .individuals(model, cohort)
            .map_err(|message| fault("R011", message))?;
        let uniform = |pick: fn(&Individual) -> (f64, Option<f64>)| {
            individuals
                .iter()
                .all(|row| row.windows(2).all(|pair| pick(&pair[0]) == pick(&pair[1])))
        };
        if uniform(|i| (i.lag, i.duration)) {
            return Ok(self.shared(&individuals, cohort.len(), end));
        }
        let timelines: Vec<Timeline> = (0..cohort.len())
            .into_par_iter()
            .map(|patient| {
                let of_series = |s: usize| {
                    let individual: &Individual = &individuals[s][patient];
                    (
                        *individual,
                        Amount::fixed(self.series[s].amount * individual.factor),
                    )
                };
                self.timeline(end, of_series)
            })
            .collect();
        let of_patient = (0..cohort.len() as u32).collect();
        Ok(Timelines {
            of_patient,
            timelines,
            scales: Vec::new(),
        }
        .share_equal())
    }

    /// `[series][patient]`
    fn individuals(&self, model: &Model, cohort: &Cohort) -> Result<Vec<Vec<Individual>>, String> {
        let rules = DoseRule::all(model);
        let by_patient: Vec<Vec<Individual>> = (0..cohort.len())
            .into_par_iter()
            .map(|patient| {
                let slots = cohort.patient(patient);
                let one = |series: &Series| individual(model, &rules, series, &slots);
                let all: Result<Vec<_>, String> = self.series.iter().map(one).collect();
                all.map_err(|fault| format!("patient {}: {fault}", cohort.label(patient)))
            })
            .collect::<Result<_, String>>()?;
        Ok((0..self.series.len())
            .map(|s| by_patient.iter().map(|row| row[s]).collect())
            .collect())
    }

    fn shared(&self, individuals: &[Vec<Individual>], patients: usize, end: f64) -> Timelines {
        let mut scales: Vec<Vec<f64>> = Vec::new();
        let mut amounts = Vec::new();
        for (series, row) in self.series.iter().zip(individuals) {
            let first = row.first().map_or(1.0, |individual| individual.factor);
            if row.iter().all(|individual| individual.factor == first) {
                amounts.push(Amount::fixed(series.amount * first));
                continue;
            }
            let factors: Vec<f64> = row.iter().map(|individual| individual.factor).collect();
            let scale = scales
                .iter()
                .position(|known| *known == factors)
                .unwrap_or_else(|| {
                    scales.push(factors);
                    scales.len() - 1
                });
            amounts.push(Amount {
                value: series.amount,
                scale: Some(scale),
                slot: None,
            });
        }
        let nobody = Individual {
            factor: 1.0,
            lag: 0.0,
            duration: None,
        };
        let of_series = |s: usize| {
            (
                individuals[s].first().copied().unwrap_or(nobody),
                amounts[s],
            )
        };
        let mut out = Timelines::shared(patients, self.timeline(end, of_series));
        out.scales = scales;
        out
    }

    fn timeline(&self, end: f64, of_series: impl Fn(usize) -> (Individual, Amount)) -> Timeline {
        let levels = self.levels.iter().filter(|level| level.time <= end);
        let mut events: Vec<Event> = levels
            .map(|level| {
                Event::new(
                    level.time,
                    Action::SetSlot {
                        slot: level.slot,
                        value: level.value,
                    },
                )
            })
            .collect();
        for (s, series) in self.series.iter().enumerate() {
            let (individual, amount) = of_series(s);
            let input = series.input;
            for time in series.times(end) {
                let entry = time + individual.lag;
                match individual.duration {
                    None => events.push(Event::dose(entry, Action::Bolus { input, amount })),
                    Some(duration) => {
                        let change = Amount {
                            value: amount.value / duration,
                            ..amount
                        };
                        events.push(Event::dose(entry, Action::Rate { input, change }));
                        let stop = Action::Rate {
                            input,
                            change: change.negated(),
                        };
                        events.push(Event::new(entry + duration, stop));
                    }
                }
            }
        }
        events.retain(|event| event.time <= end);
        Timeline::new(events, end)
    }
}

/// What enters the state per amount of an input that is given, for each patient as he starts:
/// conversion of the amount times bioavailability.
///
/// # Errors
/// The first patient for whom the model's expressions give no such number.
pub fn entering(model: &Model, cohort: &Cohort, input: usize) -> Result<Vec<f64>, String> {
    let rules = DoseRule::all(model);
    let (Some(of), Some(rule)) = (model.inputs.get(input), rules.get(input)) else {
        return Err(format!("the model has no input {input}"));
    };
    let one = |patient: usize| {
        let values = rule.evaluate(of, &cohort.patient(patient), 0.0);
        let values = values.map_err(|fault| format!("patient {}: {fault}", cohort.label(patient)));
        values.map(|values| values.amount_scale * values.bioavailability)
    };
    (0..cohort.len()).into_par_iter().map(one).collect()
}

fn doses_until(series: &Series, end: f64) -> f64 {
    let end = series.until.map_or(end, |until| until.min(end));
    let possible = if series.every > 0.0 {
        ((end - series.start) / series.every).max(0.0) + 1.0
    } else {
        1.0
    };
    series
        .cycles
        .map_or(possible, |cycles| possible.min(f64::from(cycles)))
        * series.offsets.len() as f64
}

fn individual(
    model: &Model,
    rules: &[DoseRule],
    series: &Series,
    slots: &[f64],
) -> Result<Individual, String> {
    let input = &model.inputs[series.input];
    let rule = &rules[series.input];
    let values: DoseValues = rule
        .evaluate(input, slots, series.start)
        .map_err(|fault| fault.to_string())?;
    let positive = |slot: usize| match slots[slot] {
        value if value > 0.0 && value.is_finite() => Ok(value),
        value => {
            let (name, unit) = (model.slot_name(slot), model.slot_unit(slot));
            let shown = value / model.units.scale(unit);
            Err(format!("`{name}` is {shown} {unit}, which gives no dose"))
        }
    };
    let basis = match series.basis {
        Basis::Flat => 1.0,
        Basis::Per(slot) => positive(slot)?,
        Basis::Calvert(slot) => {
            let size =
                |unit: &str| Unit::parse(unit).map_or(f64::NAN, |unit| model.units.scale(&unit));
            (positive(slot)? / size("mL/min") + 25.0) * size("mg")
        }
    };
    let factor = basis * values.amount_scale * values.bioavailability;
    let modelled = || -> Result<Option<f64>, crate::dosing::DoseFault> {
        if let Some(duration) = values.duration(input)? {
            return Ok(Some(duration));
        }
        Ok(values
            .rate(input)?
            .map(|rate| series.amount * factor / (rate * values.amount_scale)))
    };
    let duration = match series.duration {
        Some(over) => Some(over),
        None => modelled().map_err(|fault| fault.to_string())?,
    };
    match duration {
        Some(duration) if !(duration > 0.0 && duration.is_finite()) => Err(format!(
            "the infusion of `{}` lasts {duration} {}",
            input.name, model.time_unit
        )),
        _ if !factor.is_finite() => Err(format!("the dose of `{}` is not finite", input.name)),
        _ => Ok(Individual {
            factor,
            lag: values.lag,
            duration,
        }),
    }
}
