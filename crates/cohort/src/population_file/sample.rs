//! Cohorts from a population.

use std::sync::Arc;

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::Model;
use posology_model::sampling::{CovariatePlan, ParameterPlan, PatientPlan};
use posology_model::unit::Unit;
use rayon::prelude::*;

use super::Population;
use super::draw::Prepared;
use crate::population::{Cohort, Sampler};

/// Patients that a thread draws at a time.
const CHUNK: usize = 1024;

/// Covariates of virtual patients, before a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Covariates {
    pub ids: Vec<u32>,
    /// Names of real patients, if they have any.
    pub names: Option<Vec<String>>,
    /// Every covariate of the population, in its order.
    pub columns: Vec<Column>,
    /// Draws that were thrown away because a computed covariate was outside its bounds.
    pub redraws: u64,
}

/// A covariate of each patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub unit: Unit,
    /// `[patient]`, in `unit`.
    pub values: Vec<f64>,
}

/// Patients of a model, and what the model does not know of them.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub cohort: Cohort,
    /// Covariates of the population that the model lacks, for subgroups and strata: `[column]`.
    pub extra: Vec<Column>,
    pub coverage: Coverage,
    /// Draws that were thrown away because a computed covariate was outside its bounds.
    pub redraws: u64,
}

/// How the covariates of a population and of a model meet.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Coverage {
    /// Covariates of the model that the population gives.
    pub given: Vec<String>,
    /// Covariates of the model that keep their reference value: name, value and unit.
    pub reference: Vec<(String, f64, String)>,
    /// Covariates of the population that the model lacks.
    pub extra: Vec<String>,
    /// Parameters that come from the data file instead of being drawn.
    pub parameters: Vec<String>,
}

impl Coverage {
    /// For a report: what keeps its reference value; `None` where everything is given.
    pub fn note(&self) -> Option<String> {
        let kept: Vec<String> = self
            .reference
            .iter()
            .map(|(name, value, unit)| match unit.as_str() {
                "1" => format!("{name} = {value}"),
                _ => format!("{name} = {value} {unit}"),
            })
            .collect();
        (!kept.is_empty()).then(|| {
            format!(
                "the population does not give these covariates of the model, which keep their \
                 reference values: {}",
                kept.join(", ")
            )
        })
    }
}

impl Population {
    /// Covariates of `n` patients with ids `first_id..first_id + n`. Patient `i` depends on `seed`
    /// and `i` only.
    ///
    /// # Errors
    /// `D062` more patients than ids, `D153` more than the data file has, `D154` bounds of computed
    /// covariates that draws do not meet, `D155` a value without a case.
    pub fn covariates(
        &self,
        n: usize,
        seed: u64,
        first_id: u32,
    ) -> Result<Covariates, Diagnostics> {
        self.enough_ids(n, first_id)?;
        let prepared = Prepared::new(self);
        let width = self.covariates.len();
        let parts: Vec<(Vec<Vec<f64>>, u64)> = (0..n.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let (first, last) = (chunk * CHUNK, n.min((chunk + 1) * CHUNK));
                let mut space = prepared.workspace();
                let mut columns = vec![Vec::with_capacity(last - first); width];
                let mut redraws = 0;
                for i in first..last {
                    redraws +=
                        u64::from(prepared.patient(seed, first_id + i as u32, &mut space)?);
                    for (column, value) in columns.iter_mut().zip(&space.values) {
                        column.push(*value);
                    }
                }
                Ok((columns, redraws))
            })
            .collect::<Result<_, Diagnostic>>()?;
        let mut columns: Vec<Vec<f64>> = vec![Vec::with_capacity(n); width];
        let mut redraws = 0;
        for (part, thrown) in parts {
            redraws += thrown;
            for (column, values) in columns.iter_mut().zip(part) {
                column.extend(values);
            }
        }
        self.assembled(columns, redraws, n, first_id)
    }

    /// Refuses more patients than ids.
    pub(super) fn enough_ids(&self, n: usize, first_id: u32) -> Result<(), Diagnostics> {
        let last = u32::try_from(n).ok().and_then(|n| first_id.checked_add(n));
        if last.is_some() {
            return Ok(());
        }
        let message = format!("{n} patients from id {first_id} are too many");
        Err(Diagnostic::error("D062", message)
            .at(&self.source, 0..0)
            .help("ids are 32-bit numbers")
            .into())
    }

    /// Columns `[covariate][patient]` with names and ids.
    pub(super) fn assembled(
        &self,
        columns: Vec<Vec<f64>>,
        redraws: u64,
        n: usize,
        first_id: u32,
    ) -> Result<Covariates, Diagnostics> {
        self.enough_ids(n, first_id)?;
        let column = |(covariate, values): (&super::Covariate, Vec<f64>)| Column {
            name: covariate.name.clone(),
            unit: covariate.unit.clone(),
            values,
        };
        let columns = self.covariates.iter().zip(columns).map(column).collect();
        let ids: Vec<u32> = (0..n as u32).map(|i| first_id + i).collect();
        let names = self.data.as_ref().and_then(|data| data.names.as_ref());
        Ok(Covariates {
            names: names.map(|names| {
                ids.iter()
                    .map(|&id| names.get(id as usize).cloned().unwrap_or_default())
                    .collect()
            }),
            ids,
            columns,
            redraws,
        })
    }

    /// `n` patients of a model: covariates of this population where the names agree, the model's
    /// reference values elsewhere (listed in [`Drawn::coverage`]), individual parameters drawn as
    /// [`Cohort::sample`] draws them or from the data file.
    ///
    /// # Errors
    /// Those of [`Population::covariates`] and [`Cohort::sample`]; `D156` where a covariate of the
    /// same name measures something else, `D157` for parameters that the model lacks.
    pub fn sample(
        &self,
        model: &Model,
        n: usize,
        seed: u64,
        first_id: u32,
    ) -> Result<Drawn, Diagnostics> {
        self.sample_with(&Sampler::new(model)?, n, seed, first_id)
    }

    /// As [`Population::sample`], with a sampler that is prepared already or has other typical
    /// values (see [`super::Uncertainty::replicate`]).
    ///
    /// # Errors
    /// As [`Population::sample`].
    pub fn sample_with(
        &self,
        sampler: &Sampler<'_>,
        n: usize,
        seed: u64,
        first_id: u32,
    ) -> Result<Drawn, Diagnostics> {
        // what does not fit the model shows before anyone is drawn
        self.coverage(sampler.model())?;
        let covariates = self.covariates(n, seed, first_id)?;
        self.individuals(sampler, covariates, seed)
    }

    /// The patients of a model whose covariates these are: the second half of
    /// [`Population::sample_with`].
    ///
    /// # Errors
    /// As [`Population::sample`].
    pub fn individuals(
        &self,
        sampler: &Sampler<'_>,
        covariates: Covariates,
        seed: u64,
    ) -> Result<Drawn, Diagnostics> {
        let slots = sampler.columns(seed, &covariates.ids)?;
        let n = covariates.ids.len();
        self.individuals_of((std::slice::from_ref(sampler), n), covariates, seed, slots)
    }

    /// As [`Population::individuals`], of individual parameters that are drawn already:
    /// `[slot][patient]`, coherent. Each `group` patients have a sampler of their own, of one model.
    ///
    /// # Errors
    /// As [`Population::sample`].
    pub fn individuals_of(
        &self,
        (samplers, group): (&[Sampler<'_>], usize),
        covariates: Covariates,
        seed: u64,
        mut slots: Vec<Vec<f64>>,
    ) -> Result<Drawn, Diagnostics> {
        let Some(first) = samplers.first() else {
            return Err(
                Diagnostic::error("D062", "there is no model to draw patients of")
                    .at(&self.source, 0..0)
                    .into(),
            );
        };
        let model = first.model();
        let links = self.links(model)?;
        let coverage = self.coverage(model)?;
        let overrides = self.overrides(model)?;
        let mut extra = Vec::new();
        for (column, link) in covariates.columns.into_iter().zip(&links) {
            match link {
                Some((slot, scale)) => {
                    slots[*slot] = column.values.iter().map(|value| value * scale).collect();
                }
                None => extra.push(column),
            }
        }
        if !overrides.is_empty() {
            let prepared = Prepared::new(self);
            let data = self.data.as_ref();
            for (patient, &id) in covariates.ids.iter().enumerate() {
                let row = prepared.row(seed, id)?;
                for &(slot, column, scale) in &overrides {
                    let value = data
                        .and_then(|data| data.columns.get(column))
                        .and_then(|column| column.values.get(row))
                        .map_or(f64::NAN, |value| value * scale);
                    let own = samplers.get(patient / group.max(1)).unwrap_or(first);
                    slots[slot][patient] = if value.is_nan() {
                        own.typical()[slot]
                    } else {
                        value
                    };
                }
            }
        }
        Ok(Drawn {
            cohort: Cohort {
                ids: covariates.ids,
                names: covariates.names,
                slots,
            },
            extra,
            coverage,
            redraws: covariates.redraws,
        })
    }

    /// The plan of whole patients of a model for a device: covariates of this population in the
    /// model's slots, parameters as `parameters` draws them or from the data file.
    ///
    /// # Errors
    /// `D156` and `D157` as [`Population::sample`].
    pub fn patient_plan(
        &self,
        model: &Model,
        covariates: Arc<CovariatePlan>,
        parameters: Arc<ParameterPlan>,
    ) -> Result<PatientPlan, Diagnostics> {
        let links = self.links(model)?.into_iter().enumerate();
        let columns = self.overrides(model)?.into_iter();
        Ok(PatientPlan {
            parameters,
            covariates: Some(covariates),
            links: links
                .filter_map(|(i, link)| link.map(|(slot, s)| (i as u32, slot as u32, s.into())))
                .collect(),
            columns: columns
                .map(|(slot, column, s)| (slot as u32, column as u32, s.into()))
                .collect(),
        })
    }

    /// How this population and a model meet, without drawing anyone.
    ///
    /// # Errors
    /// `D156` and `D157` as [`Population::sample`].
    pub fn coverage(&self, model: &Model) -> Result<Coverage, Diagnostics> {
        let links = self.links(model)?;
        let mut out = Coverage::default();
        let mut given = vec![false; model.slot_count()];
        for (covariate, link) in self.covariates.iter().zip(&links) {
            match link {
                Some((slot, _)) => {
                    given[*slot] = true;
                    out.given.push(covariate.name.clone());
                }
                None => out.extra.push(covariate.name.clone()),
            }
        }
        for (i, covariate) in model.covariates.iter().enumerate() {
            if !given[model.parameters.len() + i] {
                let value = covariate.reference / model.units.scale(&covariate.unit);
                let unit = covariate.unit.text().to_owned();
                out.reference.push((covariate.name.clone(), value, unit));
            }
        }
        let from_data = self.overrides(model)?;
        out.parameters = from_data
            .iter()
            .map(|&(slot, ..)| model.slot_name(slot).to_owned())
            .collect();
        Ok(out)
    }

    /// Per covariate: the model's slot of the same name and the factor to its coherent value.
    fn links(&self, model: &Model) -> Result<Vec<Option<(usize, f64)>>, Diagnostics> {
        let mut found = Diagnostics::new();
        let mut links = Vec::with_capacity(self.covariates.len());
        for covariate in &self.covariates {
            let at = model
                .covariates
                .iter()
                .position(|other| other.name == covariate.name);
            let Some(at) = at else {
                links.push(None);
                continue;
            };
            let (own, wanted) = (&covariate.unit, &model.covariates[at].unit);
            if own.dimension() != wanted.dimension() {
                let message = format!(
                    "`{}` is in `{own}` here and in `{wanted}` in {}",
                    covariate.name, model.name
                );
                let finding = covariate.place.error("D156", message);
                found.push(finding.help("give a unit that converts, or rename the covariate"));
                continue;
            }
            let scale = model.units.scale(own);
            links.push(Some((model.parameters.len() + at, scale)));
        }
        if found.is_empty() {
            Ok(links)
        } else {
            Err(found)
        }
    }

    /// Parameters from the data file: slot, column and factor to the coherent value.
    fn overrides(&self, model: &Model) -> Result<Vec<(usize, usize, f64)>, Diagnostics> {
        let mut found = Diagnostics::new();
        let mut out = Vec::new();
        for parameter in &self.parameters {
            let slot = model
                .parameters
                .iter()
                .position(|p| p.name == parameter.name.value);
            let column = self
                .data
                .as_ref()
                .and_then(|data| data.columns.get(parameter.column));
            let (Some(slot), Some(column)) = (slot, column) else {
                let message = format!("{} has no parameter `{}`", model.name, parameter.name.value);
                found.push(parameter.name.error("D157", message));
                continue;
            };
            let declared = &model.parameters[slot].unit;
            let unit = column.unit.as_ref().unwrap_or(declared);
            if unit.dimension() != declared.dimension() {
                let message = format!(
                    "column `{}` is in `{unit}`, the parameter in `{declared}`",
                    column.name
                );
                found.push(parameter.name.error("D156", message));
                continue;
            }
            out.push((slot, parameter.column, model.units.scale(unit)));
        }
        if found.is_empty() {
            Ok(out)
        } else {
            Err(found)
        }
    }
}
