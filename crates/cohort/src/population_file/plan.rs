//! A population as a device draws it.

use std::sync::Arc;

use posology_model::graph::{Binary, Graph, NodeId, Unary};
use posology_model::program::{Block, lower_slots};
use posology_model::sampling::{
    self, Bounds, Branch, CovariatePlan, Level, MISSING, Shape, Table, Truncation,
};

use super::anatomy::{Organ, Scaling};
use super::distribution::Distribution;
use super::draw::{Prepared, ROW_BLOCK};
use super::equations::{Equation, Sex, body_surface_area, fat_free_mass};
use super::{Anatomy, Covariate, Covariates, How, Part, Population, Step, normal};
use crate::device_plan::{HostOnly, fits};
use crate::philox::stream;
use crate::population::MOST_REDRAWS;

/// Numbers of a table at most, the same for every device.
const LARGEST_TABLE: usize = 1 << 24;
/// Operations of all expressions at most: a kernel of more takes seconds to build.
const MOST_OPERATIONS: usize = 6000;
/// Standard deviations beyond which a truncation has no probability in f32.
const FARTHEST: f64 = 11.0;

impl Population {
    /// The plan of the covariates for a device.
    ///
    /// # Errors
    /// What cannot be drawn there: numbers outside the range of f32, truncations beyond 11 standard
    /// deviations, tables with values outside bounds or too large, expressions too long.
    pub fn plan(&self) -> Result<CovariatePlan, HostOnly> {
        let prepared = Prepared::new(self);
        let place: Vec<Option<u32>> = {
            let mut next = 0;
            let number = |&needed: &bool| {
                needed.then(|| {
                    next += 1;
                    next - 1
                })
            };
            prepared.needed.iter().map(number).collect()
        };
        let mut steps = Vec::new();
        for step in &self.order {
            steps.push(match *step {
                Step::Covariate(i) => self.covariate_step(i, &prepared, &place)?,
                Step::Anatomy => match &self.anatomy {
                    Some(anatomy) => self.anatomy_step(anatomy, &prepared),
                    None => continue,
                },
            });
        }
        let operations: usize = steps.iter().filter_map(block).map(|b| b.ops.len()).sum();
        if operations > MOST_OPERATIONS {
            return Err(HostOnly::new(format!(
                "its expressions have {operations} operations, a kernel has {MOST_OPERATIONS} at most"
            )));
        }
        for op in steps.iter().filter_map(block).flat_map(|b| &b.ops) {
            if op.kind == posology_model::program::Kind::Const && !fits(f64::from_bits(op.bits)) {
                return Err(HostOnly::new(format!(
                    "the number {:e} of an expression is outside the range of f32",
                    f64::from_bits(op.bits)
                )));
            }
        }
        let numbers = prepared.needed.iter().enumerate();
        Ok(CovariatePlan {
            stream: stream::COVARIATES,
            scales: prepared.scales.iter().map(|&s| s.into()).collect(),
            normals: numbers
                .filter(|(_, needed)| **needed)
                .map(|(k, _)| k as u32)
                .collect(),
            steps,
            table: self.device_table()?,
            // what comes from data alone is the same again
            most_redraws: if self.drawn.is_empty() {
                1
            } else {
                MOST_REDRAWS
            },
        })
    }

    fn device_table(&self) -> Result<Option<Table>, HostOnly> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        let size = data.rows * data.columns.len();
        if size > LARGEST_TABLE {
            return Err(HostOnly::new(format!(
                "its table has {size} numbers, a device takes {LARGEST_TABLE} at most"
            )));
        }
        for column in &data.columns {
            if let Some(value) = column.values.iter().find(|v| !v.is_nan() && !fits(**v)) {
                return Err(HostOnly::new(format!(
                    "{value:e} in column `{}` is outside the range of f32",
                    column.name
                )));
            }
        }
        Ok(Some(Table {
            rows: data.rows as u32,
            drawn: data.resample.then_some(ROW_BLOCK),
        }))
    }

    /// The table of data as a device reads it: `[columns][rows]`, empty without one.
    pub fn table(&self) -> Vec<f32> {
        let columns = self.data.iter().flat_map(|data| &data.columns);
        columns
            .flat_map(|column| &column.values)
            .map(|value| {
                if value.is_nan() {
                    MISSING
                } else {
                    *value as f32
                }
            })
            .collect()
    }

    fn covariate_step(
        &self,
        i: usize,
        prepared: &Prepared<'_>,
        place: &[Option<u32>],
    ) -> Result<sampling::Step, HostOnly> {
        let covariate = &self.covariates[i];
        let rank = || -> sampling::Rank {
            let at = self.drawn.iter().position(|&drawn| drawn == i);
            let row = at.map_or(&[][..], |at| &prepared.rows[at]);
            row.iter()
                .filter_map(|&(j, factor)| Some((place[j]?, factor.into())))
                .collect()
        };
        let how = match &covariate.how {
            How::Drawn(distribution) => sampling::How::Drawn {
                rank: rank(),
                branch: branch(covariate, distribution)?,
            },
            How::Mixture { by, levels } => sampling::How::Mixture {
                rank: rank(),
                by: *by as u32,
                branches: levels
                    .iter()
                    .map(|(level, d)| Ok(((*level).into(), branch(covariate, d)?)))
                    .collect::<Result<_, HostOnly>>()?,
            },
            How::Expression(formula) => sampling::How::Formula(formula.whole.clone()),
            How::Equation {
                equation,
                arguments,
                scale,
            } => {
                let block = equation_block(*equation, arguments, *scale, &prepared.scales);
                sampling::How::Formula(Arc::new(block))
            }
            How::Data(column) => {
                self.data_is_sound(covariate, *column)?;
                sampling::How::Data(*column as u32)
            }
            // filled by the step of the anatomy
            How::Anatomy(_) => {
                return Err(HostOnly::new(format!("`{}` has no step", covariate.name)));
            }
        };
        if !fits(prepared.scales[i]) {
            let message = format!(
                "the unit of `{}` is outside the range of f32",
                covariate.name
            );
            return Err(HostOnly::new(message));
        }
        Ok(sampling::Step::One {
            covariate: i as u32,
            how,
            bounds: covariate.bounds.map(|(low, high)| Bounds {
                low: low.into(),
                high: high.into(),
            }),
        })
    }

    /// A value of data outside the bounds is an error of the patient, which the host tells.
    fn data_is_sound(&self, covariate: &Covariate, column: usize) -> Result<(), HostOnly> {
        let data = self.data.as_ref().and_then(|data| data.columns.get(column));
        let inside = |value: &f64| {
            let (low, high) = everything(covariate);
            value.is_finite() && *value >= low && *value <= high
        };
        if data.is_some_and(|data| data.values.iter().all(inside)) {
            return Ok(());
        }
        Err(HostOnly::new(format!(
            "column `{}` has values outside its bounds",
            covariate.name
        )))
    }

    fn anatomy_step(&self, anatomy: &Anatomy, prepared: &Prepared<'_>) -> sampling::Step {
        let mut builder = Builder::new(&prepared.scales);
        let (covariates, nodes) = builder.anatomy(anatomy, &self.covariates);
        sampling::Step::Together {
            covariates,
            block: Arc::new(lower_slots(&builder.graph, &nodes)),
        }
    }

    /// Covariates that a device has drawn for ids from `first_id` on: `[covariate][patient]`. What
    /// the file writes down (constants, categories, columns of data) keeps all its digits.
    ///
    /// # Errors
    /// As [`Population::covariates`], of too many patients.
    pub fn covariates_of(
        &self,
        drawn: &[Vec<f32>],
        redraws: u64,
        seed: u64,
        first_id: u32,
    ) -> Result<Covariates, posology_model::Diagnostics> {
        let n = drawn.first().map_or(0, Vec::len);
        let prepared = Prepared::new(self);
        let rows = match &self.data {
            Some(_) => (0..n)
                .map(|i| prepared.row(seed, first_id + i as u32))
                .collect::<Result<Vec<usize>, _>>()?,
            None => Vec::new(),
        };
        let column = |(covariate, values): (&Covariate, &Vec<f32>)| -> Vec<f64> {
            let levels = match &covariate.how {
                How::Drawn(d) => d.levels(),
                How::Mixture { levels, .. } => {
                    levels.iter().flat_map(|(_, d)| d.levels()).collect()
                }
                How::Data(column) => {
                    let data = self.data.as_ref().and_then(|d| d.columns.get(*column));
                    let value = |row: &usize| data.and_then(|d| d.values.get(*row)).copied();
                    return rows
                        .iter()
                        .map(|row| value(row).unwrap_or(f64::NAN))
                        .collect();
                }
                _ => Vec::new(),
            };
            let exact = |value: &f32| {
                let level = levels.iter().find(|(level, _)| *level as f32 == *value);
                level.map_or(f64::from(*value), |(level, _)| *level)
            };
            values.iter().map(exact).collect()
        };
        let columns = self.covariates.iter().zip(drawn).map(column).collect();
        self.assembled(columns, redraws, n, first_id)
    }
}

fn block(step: &sampling::Step) -> Option<&Block> {
    match step {
        sampling::Step::Together { block, .. }
        | sampling::Step::One {
            how: sampling::How::Formula(block),
            ..
        } => Some(block),
        sampling::Step::One { .. } => None,
    }
}

fn everything(covariate: &Covariate) -> (f64, f64) {
    covariate
        .bounds
        .unwrap_or((f64::NEG_INFINITY, f64::INFINITY))
}

/// A distribution of a covariate with its truncation.
fn branch(covariate: &Covariate, distribution: &Distribution) -> Result<Branch, HostOnly> {
    let (low, high) = everything(covariate);
    let shape = match distribution {
        Distribution::Normal { mean, sd } => Shape::Normal {
            mean: (*mean).into(),
            sd: (*sd).into(),
        },
        Distribution::LogNormal { mean_log, sd_log } => Shape::LogNormal {
            median: mean_log.exp().into(),
            sd_log: (*sd_log).into(),
        },
        Distribution::Uniform { low, high } => Shape::Uniform {
            low: (*low).into(),
            high: (*high).into(),
        },
        Distribution::Exponential { mean } => Shape::Exponential {
            mean: (*mean).into(),
        },
        Distribution::Categories { .. } | Distribution::Fixed(_) => {
            let levels = distribution.levels();
            let mut sum = 0.0;
            let last = levels.len().saturating_sub(1);
            let threshold = |&(_, share): &(f64, f64)| {
                sum += share;
                // beyond every normal number, so that f32 can hold it
                normal::quantile(sum.clamp(0.0, 1.0)).clamp(-100.0, 100.0)
            };
            let thresholds: Vec<f64> = levels[..last].iter().map(threshold).collect();
            Shape::Levels {
                thresholds: thresholds.into_iter().map(Into::into).collect(),
                levels: levels
                    .iter()
                    .map(|&(value, _)| Level {
                        value: value.into(),
                        inside: value.is_finite() && value >= low && value <= high,
                    })
                    .collect(),
            }
        }
    };
    let numbers = match &shape {
        Shape::Normal { mean, sd } => vec![*mean, *sd],
        Shape::LogNormal { median, sd_log } => vec![*median, *sd_log],
        Shape::Uniform { low, high } => vec![*low, *high],
        Shape::Exponential { mean } => vec![*mean],
        Shape::Levels { levels, .. } => levels.iter().map(|level| level.value).collect(),
    };
    if let Some(number) = numbers.iter().find(|number| !fits(number.get())) {
        return Err(HostOnly::new(format!(
            "the number {:e} of `{}` is outside the range of f32",
            number.get(),
            covariate.name
        )));
    }
    let limits = distribution.limits(covariate.bounds);
    if limits == (f64::NEG_INFINITY, f64::INFINITY) {
        return Ok(Branch {
            shape,
            truncation: None,
        });
    }
    let within = normal::mass(limits);
    let far = limits.0 > FARTHEST || limits.1 < -FARTHEST;
    // an empty or vanishing part of the distribution, whose quantiles f32 does not resolve
    if far || within.is_nan() || within < 1e-24 {
        return Err(HostOnly::new(format!(
            "the bounds of `{}` leave a share of {within:.1e} of its distribution",
            covariate.name
        )));
    }
    Ok(Branch {
        shape,
        truncation: Some(Truncation {
            below: normal::below(limits.0).into(),
            above: normal::below(-limits.1).into(),
            within: within.into(),
        }),
    })
}

/// An equation over coherent covariates; output 1 is zero where the sex is neither.
fn equation_block(
    equation: Equation,
    arguments: &[(usize, f64)],
    scale: f64,
    scales: &[f64],
) -> Block {
    let mut b = Builder::new(scales);
    let mut argument = |k: usize| match arguments.get(k) {
        Some(&(i, factor)) => b.covariate(i, factor),
        None => b.graph.constant(0.0),
    };
    let (first, second) = (argument(0), argument(1));
    let mut sex = |k: usize| {
        let i = arguments.get(k).map_or(0, |(i, _)| *i);
        b.sex(i)
    };
    let mut nodes = match equation {
        Equation::CkdEpi2009 => {
            let (woman, valid) = sex(2);
            vec![b.ckd_epi_2009(first, second, woman), valid]
        }
        Equation::FatFreeMass => {
            let (woman, valid) = sex(2);
            vec![b.fat_free_mass(first, second, woman), valid]
        }
        Equation::BodySurfaceArea => vec![b.body_surface_area(first, second)],
        Equation::BodyMassIndex => {
            let square = b.graph.mul(first, first);
            vec![b.graph.div(second, square)]
        }
    };
    let factor = b.graph.constant(scale);
    nodes[0] = b.graph.mul(nodes[0], factor);
    lower_slots(&b.graph, &nodes)
}

/// The equations of [`super::equations`] and [`super::anatomy`] as graphs over coherent covariates.
struct Builder<'a> {
    graph: Graph,
    scales: &'a [f64],
}

impl<'a> Builder<'a> {
    fn new(scales: &'a [f64]) -> Self {
        Self {
            graph: Graph::new(),
            scales,
        }
    }

    /// A covariate times `factor`, from its coherent value.
    fn covariate(&mut self, i: usize, factor: f64) -> NodeId {
        let slot = self.graph.slot(i);
        let factor = self.graph.constant(factor / self.scales[i]);
        self.graph.mul(slot, factor)
    }

    /// Whether the covariate is 1, and whether it is 0 or 1.
    fn sex(&mut self, i: usize) -> (NodeId, NodeId) {
        let slot = self.graph.slot(i);
        let (one, zero) = (
            self.graph.constant(self.scales[i]),
            self.graph.constant(0.0),
        );
        let woman = self.graph.binary(Binary::Eq, slot, one);
        let man = self.graph.binary(Binary::Eq, slot, zero);
        (woman, self.graph.binary(Binary::Or, woman, man))
    }

    /// The number of the man or the woman.
    fn of(&mut self, woman: NodeId, pair: [f64; 2]) -> NodeId {
        let [man, other] = pair.map(|value| self.graph.constant(value));
        self.graph.select(woman, other, man)
    }

    fn ckd_epi_2009(&mut self, creatinine: NodeId, age: NodeId, woman: NodeId) -> NodeId {
        let kappa = self.of(woman, [0.9, 0.7]);
        let alpha = self.of(woman, [-0.411, -0.329]);
        let factor = self.of(woman, [141.0, 141.0 * 1.018]);
        let ratio = self.graph.div(creatinine, kappa);
        let one = self.graph.constant(1.0);
        let low = self.graph.binary(Binary::Min, ratio, one);
        let high = self.graph.binary(Binary::Max, ratio, one);
        let low = self.graph.pow(low, alpha);
        let exponent = self.graph.constant(-1.209);
        let high = self.graph.pow(high, exponent);
        // 0.993^age, its logarithm taken in f64
        let decay = self.graph.constant(0.993f64.ln());
        let aged = self.graph.mul(age, decay);
        let aged = self.graph.unary(Unary::Exp, aged);
        let product = self.graph.mul(low, high);
        let product = self.graph.mul(product, aged);
        self.graph.mul(product, factor)
    }

    fn body_surface_area(&mut self, height: NodeId, weight: NodeId) -> NodeId {
        let product = self.graph.mul(height, weight);
        let share = self.graph.constant(1.0 / 36.0);
        let product = self.graph.mul(product, share);
        self.graph.unary(Unary::Sqrt, product)
    }

    fn fat_free_mass(&mut self, height: NodeId, weight: NodeId, woman: NodeId) -> NodeId {
        let base = self.of(woman, [6680.0, 8780.0]);
        let slope = self.of(woman, [216.0, 244.0]);
        let square = self.graph.mul(height, height);
        let index = self.graph.div(weight, square);
        let rise = self.graph.mul(slope, index);
        let below = self.graph.add(base, rise);
        let factor = self.graph.constant(9270.0);
        let above = self.graph.mul(factor, weight);
        self.graph.div(above, below)
    }

    /// Covariates of the anatomy; the first node is zero where there is none, the others are theirs.
    fn anatomy(&mut self, anatomy: &Anatomy, covariates: &[Covariate]) -> (Vec<u32>, Vec<NodeId>) {
        let of = &anatomy.reference;
        let (woman, valid) = self.sex(anatomy.female);
        let height = self.covariate(anatomy.height, anatomy.scales.0);
        let weight = self.covariate(anatomy.weight, anatomy.scales.1);
        let both = |value: &dyn Fn(Sex, usize) -> f64| [value(Sex::Male, 0), value(Sex::Female, 1)];
        let lean_ref = both(&|sex, at| fat_free_mass(of.height[at], of.weight[at], sex));
        let lean = self.fat_free_mass(height, weight, woman);
        let per_fat = self.of(woman, both(&|_, at| 1.0 / (of.weight[at] - lean_ref[at])));
        let fat = self.graph.sub(weight, lean);
        let fat = self.graph.mul(fat, per_fat);
        let area = self.body_surface_area(height, weight);
        let per_area = both(&|_, at| 1.0 / body_surface_area(of.height[at], of.weight[at]));
        let per_area = self.of(woman, per_area);
        let skin = self.graph.mul(area, per_area);
        // kg of the reference that scale in a way
        let mass = |wanted: Scaling, at: usize| -> f64 {
            let whole = of.organs.iter().filter(|o| o.part_of.is_none());
            whole
                .filter(|o| o.scaling == wanted)
                .map(|o| o.mass[at])
                .sum()
        };
        let sums = [Scaling::Adipose, Scaling::Skin, Scaling::Constant]
            .map(|wanted| both(&|_, at| mass(wanted, at)));
        let room = both(&|_, at| 1.0 / (of.weight[at] - sums[0][at] - sums[1][at] - sums[2][at]));
        let [adipose, skins, constant] = sums.map(|pair| self.of(woman, pair));
        let adipose = self.graph.mul(adipose, fat);
        let skins = self.graph.mul(skins, skin);
        let left = self.graph.sub(weight, adipose);
        let left = self.graph.sub(left, skins);
        let left = self.graph.sub(left, constant);
        let room = self.of(woman, room);
        let factor = self.graph.mul(left, room);
        let zero = self.graph.constant(0.0);
        let enough = self.graph.binary(Binary::Ge, fat, zero);
        let positive = self.graph.binary(Binary::Gt, factor, zero);
        let possible = self.graph.binary(Binary::And, enough, positive);
        let mut nodes = vec![self.graph.binary(Binary::And, valid, possible)];
        let mut numbers = Vec::new();
        let one = self.graph.constant(1.0);
        let scale = |organ: &Organ| match organ.scaling {
            Scaling::Adipose => fat,
            Scaling::Skin => skin,
            Scaling::Constant => one,
            Scaling::Lean => factor,
        };
        for (i, covariate) in covariates.iter().enumerate() {
            let How::Anatomy(part) = covariate.how else {
                continue;
            };
            let (pair, factor) = match part {
                Part::Mass(organ) => (of.organs[organ].mass, scale(&of.organs[organ])),
                Part::Flow(organ) => {
                    let share = of.organs[organ].flow.unwrap_or([0.0; 2]);
                    let flow = both(&|_, at| share[at] * of.cardiac_output[at]);
                    (flow, factor)
                }
                Part::RestMass => (both(&|sex, _| of.rest(sex)), factor),
                Part::RestFlow => (
                    both(&|sex, at| of.rest_flow(sex) * of.cardiac_output[at]),
                    factor,
                ),
                Part::CardiacOutput => (of.cardiac_output, factor),
                Part::FatFreeMass => ([1.0; 2], lean),
                Part::Plasma => (of.plasma, factor),
                Part::Haematocrit => (
                    both(&|_, at| of.erythrocytes[at] / (of.plasma[at] + of.erythrocytes[at])),
                    one,
                ),
            };
            let reference = self.of(woman, pair);
            nodes.push(self.graph.mul(reference, factor));
            numbers.push(i as u32);
        }
        (numbers, nodes)
    }
}
