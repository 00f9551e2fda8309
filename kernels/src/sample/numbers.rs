//! Normal numbers of a patient, and what distributions make of them.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::sampling::{Branch, Rank, Shape};

use super::normal::{below, exp, exponential, standard_normal, truncated};

/// Normals whose numbers one word of bits can tell.
const WORD: usize = 32;
/// First number, how many to go through, which of them are wanted, and the place of the first one.
pub(super) type Word = (u32, u32, u32, u32);

/// The wanted numbers (ascending), 32 at most in a word.
pub(super) fn words(wanted: &[u32]) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    for (place, &number) in wanted.iter().enumerate() {
        match out.last_mut() {
            Some((first, count, mask, _)) if ((number - *first) as usize) < WORD => {
                *count = number - *first + 1;
                *mask |= 1 << (number - *first);
            }
            _ => out.push((number, 1, 1, place as u32)),
        }
    }
    out
}

/// Draws the normals with these numbers. The loop is not unrolled: ten rounds of Philox for each
/// would make kernels that take seconds to build.
#[cube]
pub(super) fn draw_normals(
    normals: &mut Array<f32>,
    patient: u32,
    step: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] stream: u32,
    #[comptime] wanted: Arc<Vec<Word>>,
) {
    #[unroll]
    for w in 0..comptime![wanted.len()] {
        let (first, count, mask, place) = comptime![wanted[w]];
        let mut at = comptime![place].runtime();
        let bits = comptime![mask].runtime();
        for k in 0..count {
            if (bits >> k) & 1u32 == 1u32 {
                normals[at as usize] = standard_normal(
                    patient,
                    step,
                    comptime![stream].runtime(),
                    first + k,
                    seed_lo,
                    seed_hi,
                );
                at += 1u32;
            }
        }
    }
}

/// The sum of normals that a rank is.
#[cube]
pub(super) fn rank(normals: &Array<f32>, #[comptime] terms: Arc<Rank>) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for t in 0..comptime![terms.len()] {
        let place = comptime![terms[t].0 as usize];
        if comptime![terms[t].1.get() == 1.0] {
            sum += normals[place];
        } else {
            let factor = comptime![terms[t].1.f32()];
            sum += factor.runtime() * normals[place];
        }
    }
    sum
}

/// What a continuous distribution is, so that branches of one kind share their code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Normal,
    LogNormal,
    Uniform,
    Exponential,
}

impl Kind {
    pub const ALL: [Self; 4] = [
        Self::Normal,
        Self::LogNormal,
        Self::Uniform,
        Self::Exponential,
    ];
}

/// Two parameters of a kind, then the probabilities below, within and above the truncation.
pub(super) type Numbers = (f32, f32, f32, f32, f32);

/// A branch as numbers; `None` for levels.
pub(super) fn continuous(branch: &Branch) -> Option<(Kind, Numbers)> {
    let (kind, a, b) = match &branch.shape {
        Shape::Normal { mean, sd } => (Kind::Normal, mean.get(), sd.get()),
        Shape::LogNormal { median, sd_log } => (Kind::LogNormal, median.get(), sd_log.get()),
        Shape::Uniform { low, high } => (Kind::Uniform, low.get(), high.get() - low.get()),
        Shape::Exponential { mean } => (Kind::Exponential, mean.get(), 0.0),
        Shape::Levels { .. } => return None,
    };
    let [below, within, above] = match branch.truncation {
        Some(cut) => [cut.below, cut.within, cut.above].map(|p| p.f32()),
        None => [0.0, 1.0, 0.0],
    };
    Some((kind, (a as f32, b as f32, below, within, above)))
}

/// The value of a continuous distribution at `z`.
#[cube]
pub(super) fn value_at(
    z: f32,
    a: f32,
    b: f32,
    below_limits: f32,
    within: f32,
    above_limits: f32,
    #[comptime] kind: Kind,
    #[comptime] cut: bool,
) -> f32 {
    let mut at = z;
    if comptime![cut] {
        at = truncated(z, below_limits, within, above_limits);
    }
    if comptime![kind == Kind::Normal] {
        a + b * at
    } else if comptime![kind == Kind::LogNormal] {
        a * exp(b * at)
    } else if comptime![kind == Kind::Uniform] {
        a + b * below(at)
    } else {
        a * exponential(at)
    }
}
