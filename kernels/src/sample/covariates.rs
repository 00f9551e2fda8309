//! Covariates of a patient.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::sampling::{
    Bounds, Branch, CovariatePlan, How, Level, Rank, Real, Shape, Step, Table,
};

use super::numbers::{Kind, Numbers, continuous, draw_normals, rank, value_at, words};
use super::{STATUS_DRAWN, STATUS_NO_CASE, STATUS_NO_ROW, STATUS_OUTSIDE};
use crate::evaluate::evaluate;
use crate::random::{mul_hi, philox4x32_10};

/// How a covariate is made, shared while the kernel is built.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mixture {
    branches: Vec<(Real, Branch)>,
    /// A mixture; otherwise there is one branch for everybody.
    chosen: bool,
    bounds: Option<Bounds>,
}

impl Mixture {
    /// Branches of a kind: their numbers, parameters, and whether any is truncated.
    fn of(&self, kind: Kind) -> (Vec<(usize, Numbers)>, bool) {
        let mut cut = false;
        let mut out = Vec::new();
        for (at, (_, branch)) in self.branches.iter().enumerate() {
            if let Some((found, numbers)) = continuous(branch)
                && found == kind
            {
                cut |= branch.truncation.is_some();
                out.push((at, numbers));
            }
        }
        (out, cut)
    }

    fn levels(&self, at: usize) -> Option<(Vec<f32>, Vec<Level>)> {
        match &self.branches[at].1.shape {
            Shape::Levels { thresholds, levels } => {
                Some((thresholds.iter().map(|t| t.f32()).collect(), levels.clone()))
            }
            _ => None,
        }
    }

    /// Bounds that continuous values are held in: those of f32 inside the declared ones.
    fn held(&self) -> Option<(f32, f32)> {
        self.bounds
            .map(|bounds| (bounds.low.f32_up(), bounds.high.f32_down()))
            .filter(|(low, high)| low <= high)
    }
}

/// The value of a branch, or of the branch that belongs to `by`, at the normal number `z`; a status in
/// `failed` if there is none.
#[cube]
fn drawn(z: f32, by: f32, failed: &mut Array<u32>, #[comptime] mixture: Arc<Mixture>) -> f32 {
    let mut value = 0.0f32;
    let mut found = comptime![!mixture.chosen].runtime();
    let mut sound = true;
    #[unroll]
    for k in 0..4usize {
        let kind = comptime![Kind::ALL[k]];
        let group = comptime![Arc::new(mixture.of(kind))];
        if comptime![!group.0.is_empty()] {
            let (a0, b0, below0, within0, above0) = comptime![group.0[0].1];
            let mut a = comptime![a0].runtime();
            let mut b = comptime![b0].runtime();
            let mut below_limits = comptime![below0].runtime();
            let mut within = comptime![within0].runtime();
            let mut above_limits = comptime![above0].runtime();
            let mut here = comptime![!mixture.chosen].runtime();
            if comptime![mixture.chosen] {
                #[unroll]
                for g in 0..comptime![group.0.len()] {
                    let level = comptime![mixture.branches[group.0[g].0].0.f32()];
                    let (ag, bg, low, mass, high) = comptime![group.0[g].1];
                    let this = by == level.runtime();
                    a = select(this, comptime![ag].runtime(), a);
                    b = select(this, comptime![bg].runtime(), b);
                    below_limits = select(this, comptime![low].runtime(), below_limits);
                    within = select(this, comptime![mass].runtime(), within);
                    above_limits = select(this, comptime![high].runtime(), above_limits);
                    here = here || this;
                }
            }
            let cut = comptime![group.1];
            let mut at = value_at(z, a, b, below_limits, within, above_limits, kind, cut);
            let finite = (u32::reinterpret(at) & 0x7F80_0000u32) != 0x7F80_0000u32;
            if comptime![cut && mixture.held().is_some()] {
                let (low, high) = comptime![mixture.held().unwrap_or((0.0, 0.0))];
                at = f32::min(
                    f32::max(at, comptime![low].runtime()),
                    comptime![high].runtime(),
                );
            }
            value = select(here, at, value);
            sound = sound && (finite || !here);
            found = found || here;
        }
    }
    #[unroll]
    for k in 0..comptime![mixture.branches.len()] {
        let levels = comptime![Arc::new(mixture.levels(k))];
        if comptime![levels.is_some()] {
            let table = comptime![Arc::new((*levels).clone().unwrap_or_default())];
            let mut here = comptime![!mixture.chosen].runtime();
            if comptime![mixture.chosen] {
                let level = comptime![mixture.branches[k].0.f32()];
                here = by == level.runtime();
            }
            let last = comptime![table.1.len() - 1];
            let (end, end_inside) = comptime![(table.1[last].value.f32(), table.1[last].inside)];
            let mut at = comptime![end].runtime();
            let mut inside = comptime![end_inside].runtime();
            #[unroll]
            for t in 0..last {
                // from the last threshold down, so that the first one above counts
                let threshold = comptime![table.0[last - 1 - t]];
                let (one, within) = comptime![(
                    table.1[last - 1 - t].value.f32(),
                    table.1[last - 1 - t].inside
                )];
                let under = z < threshold.runtime();
                at = select(under, comptime![one].runtime(), at);
                inside = (under && comptime![within].runtime()) || (!under && inside);
            }
            value = select(here, at, value);
            sound = sound && (inside || !here);
            found = found || here;
        }
    }
    if !found {
        failed[0] = STATUS_NO_CASE;
    } else if !sound {
        failed[0] = STATUS_OUTSIDE;
    }
    value
}

/// The row of the table that a patient is.
#[cube]
fn row_of(patient: u32, seed_lo: u32, seed_hi: u32, #[comptime] plan: Arc<CovariatePlan>) -> u32 {
    let table = comptime![plan.table.unwrap_or(Table {
        rows: 0,
        drawn: None
    })];
    let mut row = patient;
    if comptime![table.drawn.is_some()] {
        let mut c = Array::<u32>::new(4usize);
        c[0] = patient;
        c[1] = 0u32;
        c[2] = comptime![plan.stream].runtime();
        c[3] = comptime![table.drawn.unwrap_or(0)].runtime();
        philox4x32_10(&mut c, seed_lo, seed_hi);
        row = mul_hi(c[0], comptime![table.rows].runtime());
    }
    row
}

/// Draws the covariates of a patient.
///
/// `values`: `[covariates]`, each in its own unit. `info`: status, draws thrown away, row of the
/// table. `table`: `[columns][rows]`.
#[cube]
pub fn draw_covariates(
    values: &mut Array<f32>,
    info: &mut Array<u32>,
    table: &[f32],
    patient: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<CovariatePlan>,
) {
    let n = comptime![plan.scales.len()];
    let mut coherent = Array::<f32>::new(comptime![n.max(1)]);
    let mut normals = Array::<f32>::new(comptime![plan.normals.len().max(1)]);
    let mut failed = Array::<u32>::new(1usize);
    let none = Array::<f32>::new(1usize);
    #[unroll]
    for i in 0..n {
        values[i] = 0.0f32;
        coherent[i] = 0.0f32;
    }
    let rows = comptime![plan.table.map_or(0, |table| table.rows)];
    let mut row = 0u32;
    let mut status = comptime![STATUS_OUTSIDE].runtime();
    if comptime![plan.table.is_some()] {
        row = row_of(patient, seed_lo, seed_hi, comptime![plan.clone()]);
        if row >= rows {
            status = STATUS_NO_ROW;
            row = 0u32;
        }
    }
    let mut redraw = 0u32;
    let most = comptime![plan.most_redraws];
    while status == STATUS_OUTSIDE && redraw < most {
        draw_normals(
            &mut normals,
            patient,
            redraw,
            seed_lo,
            seed_hi,
            comptime![plan.stream],
            comptime![Arc::new(words(&plan.normals))],
        );
        status = STATUS_DRAWN;
        #[unroll]
        for s in 0..comptime![plan.steps.len()] {
            failed[0] = STATUS_DRAWN;
            let parts = comptime![Arc::new(Parts::new(&plan.steps[s]))];
            if comptime![parts.block.is_some()] {
                let block = comptime![parts.block.clone().unwrap_or_default()];
                let out = evaluate(&none, &coherent, &none, &none, 0.0f32, 0.0f32, block);
                if comptime![parts.valid.is_some()] {
                    if out[comptime![parts.valid.unwrap_or(0)]] == 0.0f32 {
                        failed[0] = STATUS_OUTSIDE;
                    }
                }
                #[unroll]
                for c in 0..comptime![parts.covariates.len()] {
                    let value = out[comptime![parts.first + c]];
                    if (u32::reinterpret(value) & 0x7F80_0000u32) == 0x7F80_0000u32 {
                        failed[0] = STATUS_OUTSIDE;
                    }
                    if comptime![parts.bounds.is_some()] {
                        let (low, high) = comptime![
                            parts
                                .bounds
                                .map_or((0.0, 0.0), |b| (b.low.f32_up(), b.high.f32_down()))
                        ];
                        if value < comptime![low].runtime() || value > comptime![high].runtime() {
                            failed[0] = STATUS_OUTSIDE;
                        }
                    }
                    let i = comptime![parts.covariates[c] as usize];
                    let scale = comptime![plan.scales[i].f32()];
                    values[i] = value;
                    coherent[i] = value * scale.runtime();
                }
            } else {
                let i = comptime![parts.covariates[0] as usize];
                let scale = comptime![plan.scales[i].f32()];
                if comptime![parts.mixture.is_some()] {
                    let (terms, by, mixture) = comptime![parts.made()];
                    let z = rank(&normals, terms);
                    let mut chosen = 0.0f32;
                    if comptime![by.is_some()] {
                        chosen = values[comptime![by.unwrap_or(0) as usize]];
                    }
                    values[i] = drawn(z, chosen, &mut failed, mixture);
                } else {
                    let first = comptime![parts.column.unwrap_or(0) as usize * rows as usize];
                    values[i] = table[first + row as usize];
                }
                coherent[i] = values[i] * scale.runtime();
            }
            // the first step that fails counts
            status = select(status == STATUS_DRAWN, failed[0], status);
        }
        if status == STATUS_OUTSIDE {
            redraw += 1u32;
        }
    }
    info[0] = status;
    info[1] = redraw;
    info[2] = row;
}

/// The plan of nothing, for what the kernel builder never reaches.
pub(super) fn nobody() -> Arc<CovariatePlan> {
    Arc::new(CovariatePlan {
        stream: 0,
        scales: Vec::new(),
        normals: Vec::new(),
        steps: Vec::new(),
        table: None,
        most_redraws: 0,
    })
}

/// The parts of a step, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Parts {
    covariates: Vec<u32>,
    block: Option<Arc<posology_model::program::Block>>,
    mixture: Option<Made>,
    column: Option<u32>,
    bounds: Option<Bounds>,
    /// Output of the block that is zero for a patient who cannot be.
    valid: Option<usize>,
    /// Output of the block that is the first value.
    first: usize,
}

/// Rank, the covariate that chooses the branch, and the branches.
type Made = (Arc<Rank>, Option<u32>, Arc<Mixture>);

impl Parts {
    fn made(&self) -> Made {
        self.mixture.clone().unwrap_or_else(|| {
            let nothing = Mixture {
                branches: Vec::new(),
                chosen: false,
                bounds: None,
            };
            (Arc::default(), None, Arc::new(nothing))
        })
    }

    fn new(step: &Step) -> Self {
        let mut out = Self {
            covariates: Vec::new(),
            block: None,
            mixture: None,
            column: None,
            bounds: None,
            valid: None,
            first: 0,
        };
        match step {
            Step::Together { covariates, block } => {
                out.covariates.clone_from(covariates);
                out.block = Some(block.clone());
                (out.valid, out.first) = (Some(0), 1);
            }
            Step::One {
                covariate,
                how,
                bounds,
            } => {
                out.covariates.push(*covariate);
                match how {
                    How::Drawn { rank, branch } => {
                        let mixture = Mixture {
                            branches: vec![(Real::new(0.0), branch.clone())],
                            chosen: false,
                            bounds: *bounds,
                        };
                        out.mixture = Some((Arc::new(rank.clone()), None, Arc::new(mixture)));
                    }
                    How::Mixture { rank, by, branches } => {
                        let mixture = Mixture {
                            branches: branches.clone(),
                            chosen: true,
                            bounds: *bounds,
                        };
                        out.mixture = Some((Arc::new(rank.clone()), Some(*by), Arc::new(mixture)));
                    }
                    How::Formula(block) => {
                        out.valid = (block.outputs.len() > 1).then_some(1);
                        out.bounds = *bounds;
                        out.block = Some(block.clone());
                    }
                    How::Data(column) => out.column = Some(*column),
                }
            }
        }
        out
    }
}
