//! Drawing one patient.

use posology_model::diagnostic::Diagnostic;

use super::distribution::Distribution;
use super::equations::Sex;
use super::formula::Scratch;
use super::normal::Truncation;
use super::{Anatomy, Covariate, How, Part, Population, Step};
use crate::philox::{draw, standard_normal, stream};
use crate::population::MOST_REDRAWS;

/// Block of the stream that chooses the row of a real cohort: behind every covariate's number.
pub(super) const ROW_BLOCK: u32 = u32::MAX;

/// Memory for drawing patients, one per thread.
pub(super) struct Workspace {
    normals: Vec<f64>,
    /// The normal number behind each covariate, after the copula.
    ranks: Vec<f64>,
    /// In the covariates' units.
    pub values: Vec<f64>,
    /// In coherent units.
    coherent: Vec<f64>,
    scratch: Scratch,
}

/// Why a draw is not a patient.
enum Reject {
    /// This covariate is outside its bounds, or the anatomy is impossible.
    Outside(Option<usize>),
    Impossible(Diagnostic),
}

/// What does not change between patients.
pub(super) struct Prepared<'a> {
    population: &'a Population,
    pub(super) scales: Vec<f64>,
    /// Per covariate: truncation of the normal number of each distribution.
    limits: Vec<Vec<Truncation>>,
    /// Per drawn covariate: its row of the copula's factor, without zeros; empty for one that does
    /// not vary.
    pub(super) rows: Vec<Vec<(usize, f64)>>,
    /// Normal numbers that any row needs.
    pub(super) needed: Vec<bool>,
}

impl<'a> Prepared<'a> {
    pub fn new(population: &'a Population) -> Self {
        let scale = |c: &Covariate| population.units.scale(&c.unit);
        let limits = |c: &Covariate| match &c.how {
            How::Drawn(d) => vec![Truncation::new(d.limits(c.bounds))],
            How::Mixture { levels, .. } => {
                let truncation = |(_, d): &(f64, Distribution)| Truncation::new(d.limits(c.bounds));
                levels.iter().map(truncation).collect()
            }
            _ => Vec::new(),
        };
        let row = |(k, &i): (usize, &usize)| -> Vec<(usize, f64)> {
            if matches!(
                population.covariates[i].how,
                How::Drawn(Distribution::Fixed(_))
            ) {
                return Vec::new();
            }
            let entries = (0..=k).map(|j| (j, population.factor[(k, j)]));
            entries.filter(|(_, factor)| *factor != 0.0).collect()
        };
        let rows: Vec<Vec<(usize, f64)>> = population.drawn.iter().enumerate().map(row).collect();
        let needs = |j: usize| rows.iter().flatten().any(|(other, _)| *other == j);
        let needed = (0..population.drawn.len()).map(needs).collect();
        Self {
            population,
            scales: population.covariates.iter().map(scale).collect(),
            limits: population.covariates.iter().map(limits).collect(),
            needed,
            rows,
        }
    }

    pub fn workspace(&self) -> Workspace {
        let n = self.population.covariates.len();
        Workspace {
            normals: vec![0.0; self.population.drawn.len()],
            ranks: vec![0.0; n],
            values: vec![f64::NAN; n],
            coherent: vec![f64::NAN; n],
            scratch: Scratch::default(),
        }
    }

    /// The row of the data file that patient `id` is.
    ///
    /// # Errors
    /// `D153` for an id beyond the file's patients where they are not resampled.
    pub fn row(&self, seed: u64, id: u32) -> Result<usize, Diagnostic> {
        let Some(data) = &self.population.data else {
            return Ok(0);
        };
        if data.resample {
            let word = draw(seed, id, 0, stream::COVARIATES, ROW_BLOCK)[0];
            return Ok(((u64::from(word) * data.rows as u64) >> 32) as usize);
        }
        let row = id as usize;
        if row < data.rows {
            return Ok(row);
        }
        let message = format!(
            "the data file has {} patients, number {row} was asked for",
            data.rows
        );
        Err(Diagnostic::error("D153", message)
            .at(&self.population.source, 0..0)
            .help("ask for fewer patients, or add `resample = true` to [data]"))
    }

    /// Draws the covariates of patient `id` into the workspace, again until computed covariates
    /// are inside their bounds; returns how many draws were thrown away.
    ///
    /// # Errors
    /// `D154` where [`MOST_REDRAWS`] draws were outside, `D153` and `D155` for data.
    pub fn patient(&self, seed: u64, id: u32, space: &mut Workspace) -> Result<u32, Diagnostic> {
        let row = self.row(seed, id)?;
        let mut culprit = None;
        for redraw in 0..MOST_REDRAWS {
            match self.attempt(seed, id, redraw, row, space) {
                Ok(()) => return Ok(redraw),
                Err(Reject::Impossible(finding)) => return Err(finding),
                Err(Reject::Outside(which)) => culprit = which,
            }
            // what comes from data alone is the same again
            if self.population.drawn.is_empty() {
                break;
            }
        }
        Err(self.hopeless(culprit, id))
    }

    fn hopeless(&self, culprit: Option<usize>, id: u32) -> Diagnostic {
        let (what, place) = match culprit.and_then(|i| self.population.covariates.get(i)) {
            Some(covariate) => (
                format!("`{}` outside its bounds", covariate.name),
                covariate.place.clone(),
            ),
            None => (
                "an impossible anatomy".to_owned(),
                posology_model::file::Place::new(&self.population.source, 0..0),
            ),
        };
        let message = format!("every draw of patient {id} gave {what}");
        place
            .error("D154", message)
            .help("widen the bounds, or bound what it is computed from")
    }

    fn attempt(
        &self,
        seed: u64,
        id: u32,
        redraw: u32,
        row: usize,
        space: &mut Workspace,
    ) -> Result<(), Reject> {
        let population = self.population;
        for (k, normal) in space.normals.iter_mut().enumerate() {
            if self.needed[k] {
                *normal = standard_normal(seed, id, redraw, stream::COVARIATES, k as u32);
            }
        }
        for (row, &i) in self.rows.iter().zip(&population.drawn) {
            let terms = row.iter().map(|&(j, factor)| factor * space.normals[j]);
            space.ranks[i] = terms.sum();
        }
        for step in &population.order {
            let Step::Covariate(i) = *step else {
                if let Some(anatomy) = &population.anatomy {
                    self.anatomy(anatomy, space)?;
                }
                continue;
            };
            let covariate = &population.covariates[i];
            let value = self.value(i, covariate, row, space)?;
            space.values[i] = value;
            space.coherent[i] = value * self.scales[i];
            let (low, high) = covariate
                .bounds
                .unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            // a truncated draw may miss its bound by rounding
            let slack = 1e-9 * (low.abs().min(high.abs()));
            let slack = if slack.is_finite() { slack } else { 0.0 };
            if !value.is_finite() || value < low - slack || value > high + slack {
                return Err(Reject::Outside(Some(i)));
            }
        }
        Ok(())
    }

    fn value(
        &self,
        i: usize,
        covariate: &Covariate,
        row: usize,
        space: &mut Workspace,
    ) -> Result<f64, Reject> {
        Ok(match &covariate.how {
            How::Drawn(distribution) => distribution.at(self.limits[i][0].map(space.ranks[i])),
            How::Mixture { by, levels } => {
                let chosen = space.values[*by];
                let at = levels.iter().position(|(level, _)| *level == chosen);
                let Some(at) = at else {
                    let by = &self.population.covariates[*by].name;
                    let message = format!(
                        "`{}` has no distribution for {by} = {chosen}",
                        covariate.name
                    );
                    let finding = covariate.place.error("D155", message);
                    return Err(Reject::Impossible(
                        finding.help(format!("add `when.{chosen}`")),
                    ));
                };
                levels[at].1.at(self.limits[i][at].map(space.ranks[i]))
            }
            How::Expression(formula) => formula.value(&space.coherent, &mut space.scratch),
            How::Equation {
                equation,
                arguments,
                scale,
            } => {
                let mut values = [f64::NAN; 3];
                for (slot, (other, factor)) in values.iter_mut().zip(arguments) {
                    *slot = space.values[*other] * factor;
                }
                equation.value(&values[..arguments.len().min(3)]) * scale
            }
            How::Data(column) => {
                let data = self.population.data.as_ref();
                let column = data.and_then(|data| data.columns.get(*column));
                column
                    .and_then(|column| column.values.get(row))
                    .copied()
                    .unwrap_or(f64::NAN)
            }
            How::Anatomy(_) => f64::NAN,
        })
    }

    /// Fills everything that belongs to the anatomy.
    fn anatomy(&self, anatomy: &Anatomy, space: &mut Workspace) -> Result<(), Reject> {
        let sex = Sex::of(space.values[anatomy.female]).ok_or(Reject::Outside(None))?;
        let height = space.values[anatomy.height] * anatomy.scales.0;
        let weight = space.values[anatomy.weight] * anatomy.scales.1;
        let person = anatomy
            .reference
            .anatomy(sex, height, weight)
            .ok_or(Reject::Outside(None))?;
        for (i, covariate) in self.population.covariates.iter().enumerate() {
            let How::Anatomy(part) = covariate.how else {
                continue;
            };
            let value = match part {
                Part::Mass(organ) => person.masses[organ],
                Part::Flow(organ) => person.flows[organ],
                Part::RestMass => person.rest,
                Part::RestFlow => person.rest_flow,
                Part::CardiacOutput => person.cardiac_output,
                Part::FatFreeMass => person.fat_free_mass,
                Part::Plasma => person.plasma,
                Part::Haematocrit => person.haematocrit,
            };
            space.values[i] = value;
            space.coherent[i] = value * self.scales[i];
        }
        Ok(())
    }
}
